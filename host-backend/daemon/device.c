/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device in the control thread: creation, requests on their way to the worker and back, the
 * end. The worker has one request at a time; what the owner wants meanwhile (the end) is
 * noted, the request is told to give up, and what is next is decided when it is back.
 */
#include "daemon/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/device_internal.h"

/* Page-ins, and as many page-outs, with the servers at a time. */
#define MAX_OPS 512
/* What the store is given to receive in at least, in pages. */
#define MIN_RX_PAGES 8

static void go_on(struct rmnic_vdev *v);

/* --- Messages ------------------------------------------------------------------------------------- */

static void send(struct rmnic_vdev *v, enum rmnic_vdev_request_kind kind)
{
	struct rmnic_vdev_request *r = &v->request;

	r->kind = kind;
	r->msg.run = rmnic_vdev_work;
	r->msg.arg = v;
	r->deadline = 0;
	r->step = 0;
	memset(&r->reply, 0, sizeof(r->reply));
	v->busy = true;
	rmnic_worker_post(v->worker, &r->msg);
}

void rmnic_vdev_notify(struct rmnic_vdev *v, struct rmnic_vdev_notice *notice)
{
	if (!atomic_exchange(&notice->posted, true))
		rmnic_mailbox_post(v->backend->mailbox, &notice->msg);
}

static void fatal_came(struct rmnic_msg *msg)
{
	struct rmnic_vdev *v = msg->arg;
	uint32_t error = v->fatal_error, generation = v->fatal_generation;

	atomic_store(&v->fatal_notice.posted, false);
	rmnic_log_warn("%s: the device went FATAL (error %u)", v->label, error);
	if (!v->ending)
		v->ops->fatal(v->arg, error, generation);
}

static void lost_came(struct rmnic_msg *msg)
{
	struct rmnic_vdev *v = msg->arg;
	bool fenced = rmnic_store_remote_status(v->store, NULL) == RMNIC_REMOTE_FENCED;
	const char *why = fenced ? "a memory server knows a newer epoch: another backend has it" :
				   "its state block is damaged";

	atomic_store(&v->lost_notice.posted, false);
	if (v->ending)
		return;
	rmnic_log_error("%s: the device is not served any more: %s", v->label, why);
	v->ops->lost(v->arg, fenced ? RMNIC_USER_S_FENCED : RMNIC_USER_S_BAD_STATE, why);
}

/* In the worker: a request that is pending sees give_up in its next round, which is now. */
static void poked(struct rmnic_msg *msg)
{
	struct rmnic_vdev *v = msg->arg;

	atomic_store(&v->poke.posted, false);
}

/* --- Creation ----------------------------------------------------------------------------------------- */

struct opening {
	struct rmnic_vdev *v;
	uint16_t port[RMNIC_LANES];
	uint32_t rx_frames;
};

static void open_socket(void *arg)
{
	struct opening *o = arg;
	struct rmnic_udp *udp = rmnic_worker_udp(o->v->worker);

	o->v->socket = rmnic_udp_open(udp, o->port, rmnic_vdev_rx, o->v);
	o->rx_frames = rmnic_udp_rx_ring(udp);
}

static void close_socket(void *arg)
{
	struct rmnic_vdev *v = arg;

	rmnic_udp_close(v->socket);
}

static const char *state_wrong(const struct rmnic_vdev *v)
{
	const struct rmnic_state_hdr *h = v->block.hdr;

	if (h->pages != v->conf.max_capacity || h->slab_pages != v->conf.slab_pages)
		return "the state block is of another capacity or slab size than the device";
	if (rmnic_le32_get(h->queues) != rmnic_le16_get(v->conf.max_qpairs) + 1u ||
	    rmnic_le32_get(h->depth) != rmnic_le16_get(v->conf.max_depth))
		return "the state block has other queues than the device";
	if (h->epoch != v->conf.epoch)
		return "the state block has another epoch than the device";
	return NULL;
}

/* RULES H: what is asked for at a time fits half of what the port can hold (incast). */
static uint32_t rx_budget(const struct rmnic_backend *b, uint32_t frames, uint32_t *max_mtu)
{
	struct rmnic_port_info info;
	uint32_t mtu = RMNIC_RMP_MIN_MTU, budget, frame;

	for (unsigned int i = 0; i < b->nports; i++) {
		rmnic_port_info(b->ports[i], &info);
		mtu = info.mtu > mtu ? info.mtu : mtu;
	}
	*max_mtu = mtu > RMNIC_RMP_MAX_MTU ? RMNIC_RMP_MAX_MTU : mtu;
	frame = mtu - 128 < RMNIC_PAGE_SIZE ? mtu - 128 : RMNIC_PAGE_SIZE;
	budget = frames / 2 * frame;
	return budget > MIN_RX_PAGES * RMNIC_PAGE_SIZE ? budget : MIN_RX_PAGES * RMNIC_PAGE_SIZE;
}

static const char *make_store(struct rmnic_vdev *v, uint32_t rx_frames)
{
	struct rmnic_backend *b = v->backend;
	struct rmnic_remote_config c = {
		.env = { .ops = &rmnic_vdev_env_ops },
		.net = rmnic_udp_net(v->socket),
		.state = v->state.map,
		.state_size = v->state.size,
		.max_peers = RMNIC_MAX_SERVERS,
		.replicas = (uint32_t)b->config->replicas,
		.max_ops = MAX_OPS,
		.reserve = rmnic_le64_get(v->conf.capacity),
		.arg = v,
		.status_changed = rmnic_vdev_status,
	};
	const char *why = NULL;

	c.rx_budget = rx_budget(b, rx_frames, &c.max_mtu);
	memcpy(c.uuid, b->uuid, sizeof(c.uuid));
	memcpy(c.token, b->token, sizeof(c.token));
	memcpy(c.device, v->conf.uuid, sizeof(c.device));
	v->store = rmnic_store_remote_create(&c, &why);
	if (v->store)
		v->client = rmnic_store_remote_client(v->store);
	return why;
}

static bool make_engine(struct rmnic_vdev *v)
{
	struct rmnic_dev_config c = {
		.ops = &rmnic_vdev_host_ops,
		.host = v,
		.store = v->store,
		.max_qpairs = rmnic_le16_get(v->conf.max_qpairs),
		.max_depth = rmnic_le16_get(v->conf.max_depth),
		.vectors = rmnic_le16_get(v->conf.vectors),
		.slab_pages = rmnic_le32_get(v->conf.slab_pages),
		.capacity = rmnic_le64_get(v->conf.capacity),
		.max_capacity = rmnic_le64_get(v->conf.max_capacity),
		.features = rmnic_le64_get(v->conf.features),
		.firmware = "rmnicd",
		.block = &v->block,
	};

	memcpy(c.uuid, v->conf.uuid, sizeof(c.uuid));
	memcpy(c.serial, v->conf.serial, sizeof(c.serial));
	v->dev = rmnic_dev_create(&c);
	v->calls = malloc(sizeof(*v->calls) * c.vectors);
	if (!v->dev || !v->calls)
		return false;
	for (unsigned int i = 0; i < c.vectors; i++)
		v->calls[i] = -1;
	return true;
}

static bool no_slabs(const struct rmnic_vdev *v)
{
	struct rmnic_state_view view;

	for (uint64_t i = 0; i < v->block.nslabs; i++)
		if (!rmnic_state_view_get(&v->block, i, &view) || view.members)
			return false;
	return true;
}

bool rmnic_vdev_fresh(const struct rmnic_vdev *v)
{
	return v->fresh;
}

/* Everything it will ever need, before it is answered for. 0, or the status and err. */
static uint16_t make(struct rmnic_vdev *v, struct rmnic_error *err)
{
	uint16_t first = (uint16_t)(v->backend->config->udp_port + 2 * v->slot);
	struct opening o = { .v = v, .port = { first, (uint16_t)(first + 1) } };
	const char *why = rmnic_state_attach(&v->block, v->state.map, v->state.size, v->conf.uuid);

	if (!why)
		why = state_wrong(v);
	if (why) {
		rmnic_error_set(err, "%s", why);
		return RMNIC_USER_S_BAD_STATE;
	}
	v->fresh = no_slabs(v);
	rmnic_worker_call(v->worker, open_socket, &o);
	if (!v->socket) {
		rmnic_error_set(err, "the UDP ports %u and %u are in use", first, first + 1u);
		return RMNIC_USER_S_LIMIT;
	}
	why = make_store(v, o.rx_frames);
	if (why) {
		rmnic_error_set(err, "%s", why);
		return RMNIC_USER_S_BAD_STATE;
	}
	if (!make_engine(v)) {
		rmnic_error_set(err, "no memory for the device's queues");
		return RMNIC_USER_S_LIMIT;
	}
	return RMNIC_USER_S_OK;
}

static void free_vdev(struct rmnic_vdev *v)
{
	if (v->socket)
		rmnic_worker_call(v->worker, close_socket, v);
	rmnic_dev_destroy(v->dev);
	rmnic_store_remote_destroy(v->store);
	free(v->calls);
	rmnic_user_state_unmap(&v->state);
	v->backend->vdevs[v->slot] = NULL;
	free(v);
}

static void set_label(struct rmnic_vdev *v)
{
	char uuid[37];

	rmnic_uuid_format(v->conf.uuid, uuid);
	if (v->conf.name[0])
		snprintf(v->label, sizeof(v->label), "%s (%.32s)", uuid, v->conf.name);
	else
		snprintf(v->label, sizeof(v->label), "%s", uuid);
}

static struct rmnic_vdev *take_slot(struct rmnic_backend *b, const uint8_t *uuid,
				    uint16_t *status, struct rmnic_error *err)
{
	struct rmnic_vdev *v;
	unsigned int slot = 0;

	if (rmnic_backend_find(b, uuid)) { /* USER-5 */
		*status = RMNIC_USER_S_IN_USE;
		rmnic_error_set(err, "the device is served on another connection");
		return NULL;
	}
	*status = RMNIC_USER_S_LIMIT;
	while (slot < b->config->max_devices && b->vdevs[slot])
		slot++;
	if (slot == b->config->max_devices) {
		rmnic_error_set(err, "this backend serves max_devices = %u devices already", slot);
		return NULL;
	}
	v = calloc(1, sizeof(*v));
	if (!v) {
		rmnic_error_set(err, "no memory for another device");
		return NULL;
	}
	v->backend = b;
	v->slot = slot;
	v->worker = rmnic_backend_pick(b); /* before it counts itself */
	b->vdevs[slot] = v;
	return v;
}

struct rmnic_vdev *rmnic_vdev_create(struct rmnic_backend *b,
				     const struct rmnic_user_device *device,
				     const struct rmnic_user_state *state,
				     const struct rmnic_vdev_ops *ops, void *arg,
				     uint16_t *status, struct rmnic_error *err)
{
	struct rmnic_vdev *v;

	if (rmnic_le64_get(device->features) & ~RMNIC_VDEV_FEATURES) {
		*status = RMNIC_USER_S_UNSUPPORTED;
		rmnic_error_set(err, "the device has features that this backend has not");
		v = NULL;
	} else {
		v = take_slot(b, device->uuid, status, err);
	}
	if (!v) {
		struct rmnic_user_state unwanted = *state;

		rmnic_user_state_unmap(&unwanted);
		return NULL;
	}
	v->conf = *device;
	v->state = *state;
	v->ops = ops;
	v->arg = arg;
	v->pid = v->kick = -1;
	v->detached = true;
	v->fatal_notice.msg = (struct rmnic_msg){ .run = fatal_came, .arg = v };
	v->lost_notice.msg = (struct rmnic_msg){ .run = lost_came, .arg = v };
	v->poke.msg = (struct rmnic_msg){ .run = poked, .arg = v };
	set_label(v);
	*status = make(v, err);
	if (*status != RMNIC_USER_S_OK) {
		free_vdev(v);
		return NULL;
	}
	v->opened = true;
	send(v, RMNIC_VDEV_ATTACH);
	return v;
}

/* --- Requests ------------------------------------------------------------------------------------------ */

static void answer(struct rmnic_vdev *v, uint16_t status, const struct rmnic_error *text)
{
	struct rmnic_vdev_reply reply = { .status = status };

	if (text)
		reply.text = *text;
	v->ops->done(v->arg, &reply);
}

void rmnic_vdev_mem_add(struct rmnic_vdev *v, uint64_t addr, uint64_t size, uint64_t offset,
			int fd)
{
	struct rmnic_error err;
	uint16_t status =
		rmnic_guest_region_prepare(&v->request.region, addr, size, offset, fd, &err);

	close(fd);
	v->detached = false;
	if (status == RMNIC_USER_S_OK)
		send(v, RMNIC_VDEV_MEM_ADD);
	else
		answer(v, status, &err);
}

void rmnic_vdev_mem_del(struct rmnic_vdev *v, uint64_t addr, uint64_t size)
{
	memset(&v->request.region, 0, sizeof(v->request.region));
	v->request.region.addr = addr;
	v->request.region.size = size;
	send(v, RMNIC_VDEV_MEM_DEL);
}

void rmnic_vdev_kick(struct rmnic_vdev *v, int fd)
{
	v->detached = false;
	v->request.fd = fd;
	send(v, RMNIC_VDEV_KICK);
}

void rmnic_vdev_call(struct rmnic_vdev *v, uint16_t first, uint16_t count, const int *fds)
{
	v->detached = false;
	v->request.call.first = first;
	v->request.call.count = count;
	memcpy(v->request.call.fds, fds, sizeof(*fds) * count);
	send(v, RMNIC_VDEV_CALL);
}

void rmnic_vdev_enable(struct rmnic_vdev *v, const struct rmnic_user_enable *enable)
{
	v->detached = false;
	v->request.enable = *enable;
	send(v, RMNIC_VDEV_ENABLE);
}

void rmnic_vdev_reset(struct rmnic_vdev *v)
{
	send(v, RMNIC_VDEV_RESET);
}

void rmnic_vdev_stop(struct rmnic_vdev *v, uint32_t drain_ms)
{
	v->request.drain_ms = drain_ms;
	send(v, RMNIC_VDEV_STOP);
}

void rmnic_vdev_start(struct rmnic_vdev *v)
{
	send(v, RMNIC_VDEV_START);
}

void rmnic_vdev_capacity(struct rmnic_vdev *v, uint64_t pages)
{
	v->request.pages = pages;
	send(v, RMNIC_VDEV_CAPACITY);
}

void rmnic_vdev_stats(struct rmnic_vdev *v)
{
	send(v, RMNIC_VDEV_STATS);
}

/* Whatever is under way ends in the worker's next round. */
static void give_up(struct rmnic_vdev *v)
{
	atomic_store(&v->give_up, true);
	if (!atomic_exchange(&v->poke.posted, true))
		rmnic_worker_post(v->worker, &v->poke.msg);
}

void rmnic_vdev_detach(struct rmnic_vdev *v)
{
	v->detaching = true;
	if (v->busy)
		give_up(v);
	else
		go_on(v);
}

void rmnic_vdev_end(struct rmnic_vdev *v, bool release)
{
	v->ending = true;
	v->release = release;
	if (v->busy)
		give_up(v);
	else
		go_on(v);
}

/* --- Back from the worker ----------------------------------------------------------------------------- */

static void close_fds(const int *fds, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* USER-21: nothing of the guest's stays. The worker does not look at any of it any more. */
static void let_go(struct rmnic_vdev *v)
{
	rmnic_guest_memory_clear(&v->memory);
	close_fds(&v->kick, 1);
	close_fds(v->calls, rmnic_le16_get(v->conf.vectors));
	v->kick = -1;
	for (unsigned int i = 0; i < rmnic_le16_get(v->conf.vectors); i++)
		v->calls[i] = -1;
	v->detached = true;
}

/* Gives back what a request had brought or replaced. */
static void tidy(struct rmnic_vdev *v)
{
	struct rmnic_vdev_request *r = &v->request;

	switch (r->kind) {
	case RMNIC_VDEV_MEM_ADD:
		if (r->reply.status != RMNIC_USER_S_OK)
			rmnic_guest_region_unmap(&r->region);
		break;
	case RMNIC_VDEV_MEM_DEL:
		if (r->reply.status == RMNIC_USER_S_OK)
			rmnic_guest_region_unmap(&r->region);
		break;
	case RMNIC_VDEV_KICK:
		close_fds(&r->fd, 1);
		break;
	case RMNIC_VDEV_CALL:
		close_fds(r->call.fds, r->call.count);
		break;
	case RMNIC_VDEV_DETACH:
		let_go(v);
		break;
	case RMNIC_VDEV_RELEASE:
		v->released = true;
		break;
	case RMNIC_VDEV_CLOSE:
		v->opened = false;
		break;
	default:
		break;
	}
}

/* The next step of a detaching or ending device that has no request under way. */
static void go_on(struct rmnic_vdev *v)
{
	void (*ended)(void *arg) = v->ops->ended;
	void *arg = v->arg;

	if (!v->detached) {
		send(v, RMNIC_VDEV_DETACH);
	} else if (v->detaching && !v->ending) {
		v->detaching = false;
		answer(v, RMNIC_USER_S_OK, NULL);
	} else if (v->ending && v->release && !v->released) {
		atomic_store(&v->give_up, false);
		send(v, RMNIC_VDEV_RELEASE);
	} else if (v->ending && v->opened) {
		send(v, RMNIC_VDEV_CLOSE);
	} else if (v->ending) {
		/* INVARIANT: notices are in the same ring before the answer to CLOSE, and have come. */
		free_vdev(v);
		ended(arg);
	}
}

void rmnic_vdev_back(struct rmnic_msg *msg)
{
	struct rmnic_vdev *v = msg->arg;
	struct rmnic_vdev_reply reply = v->request.reply;

	v->busy = false;
	tidy(v);
	if (v->ending || v->detaching)
		go_on(v);
	else
		v->ops->done(v->arg, &reply);
}
