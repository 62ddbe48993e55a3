/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a device: everything it will ever need, before it is answered for; and taking it apart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/device_internal.h"

/* Page-ins, and as many page-outs, with the servers at a time. */
#define MAX_OPS 512
/* What the store is given to receive in at least, in pages. */
#define MIN_RX_PAGES 8
#define MS UINT64_C(1000000)

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
		.replicas = rmnic_vdev_replicas(v),
		.drop_ns = b->tuning.drop_ms * MS,
		.away_ns = b->tuning.away_ms * MS,
		.hedge_permille = b->tuning.hedge_permille,
		.repair_rate = b->tuning.repair_rate,
		.scrub_rate = b->tuning.scrub_rate,
		.max_ops = MAX_OPS,
		.reserve = rmnic_le64_get(v->conf.capacity),
		.arg = v,
		.status_changed = rmnic_vdev_status,
		.peer_changed = rmnic_vdev_news_peer,
		.server_empty = rmnic_vdev_news_empty,
		.event = rmnic_vdev_event,
		.recover = v->recover,
		.spill = v->spill ? &rmnic_spill_file_ops : NULL,
		.spill_arg = v->spill,
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
		if (!rmnic_state_view_get(&v->block, i, &view) || view.view)
			return false;
	return true;
}

/* STATE-29: without the file that its pages are in it is not served: they would be taken for lost. */
static bool open_spill(struct rmnic_vdev *v, struct rmnic_error *err)
{
	struct rmnic_spill_pool *pool = &v->backend->spill;
	bool lost;

	if (!pool->there) {
		if (!v->block.hdr->spill_id)
			return true;
		rmnic_error_set(err, "the device has pages in a spill file, and this backend no spill_dir: "
				"start it with the one that the last backend had");
		return false;
	}
	v->spill = rmnic_spill_open(pool, &v->block,
				    v->recover || rmnic_le32_get(v->block.hdr->recovering), &lost, err);
	if (v->spill && lost)
		rmnic_log_error("%s: its spill file is not in %s: the pages in it are lost", v->label,
				pool->dir);
	return v->spill != NULL;
}

bool rmnic_vdev_fresh(const struct rmnic_vdev *v)
{
	return v->fresh;
}

/* RMNIC_USER_S_OK, or the status and err. */
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
	v->replicas = rmnic_state_replicas(&v->block);
	/* One that is being recovered has slabs on servers, though its block says nothing of them. */
	v->recover = no_slabs(v) && rmnic_backend_recovering(v->backend, v->conf.uuid);
	v->fresh = no_slabs(v) && !v->recover && !rmnic_le32_get(v->block.hdr->recovering);
	rmnic_worker_call(v->worker, open_socket, &o);
	if (!v->socket) {
		rmnic_error_set(err, "the UDP ports %u and %u are in use", first, first + 1u);
		return RMNIC_USER_S_LIMIT;
	}
	if (!open_spill(v, err))
		return RMNIC_USER_S_BAD_STATE;
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

void rmnic_vdev_free(struct rmnic_vdev *v)
{
	if (v->socket)
		rmnic_worker_call(v->worker, close_socket, v);
	sd_event_source_disable_unref(v->events_timer);
	rmnic_vdev_events_say(v);
	rmnic_dev_destroy(v->dev);
	rmnic_store_remote_destroy(v->store);
	rmnic_spill_close(v->spill, v->release);
	free(v->calls);
	rmnic_user_state_unmap(&v->state);
	if (v->lingering)
		v->backend->lingering[v->slot] = NULL;
	else
		v->backend->vdevs[v->slot] = NULL;
	free(v);
}

static void set_label(struct rmnic_vdev *v)
{
	struct rmnic_vdev_names names;
	char uuid[37];

	rmnic_vdev_names(v, &names);
	rmnic_uuid_format(v->conf.uuid, uuid);
	if (names.name[0])
		snprintf(v->label, sizeof(v->label), "%s (%s)", uuid, names.name);
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
	rmnic_backend_linger_make_room(b);
	while (slot < b->config->max_devices && (b->vdevs[slot] || b->lingering[slot]))
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
	atomic_store(&v->capacity, rmnic_le64_get(device->capacity));
	set_label(v);
	*status = make(v, err);
	if (*status != RMNIC_USER_S_OK) {
		v->release = v->fresh; /* nobody will ask for what was made for it */
		rmnic_vdev_free(v);
		return NULL;
	}
	rmnic_vdev_begin(v);
	return v;
}
