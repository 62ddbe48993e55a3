/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device in its worker: requests of the control thread. A request ends at once or stays
 * pending and is looked at once a round; nothing here waits.
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "daemon/device_internal.h"

#define MS UINT64_C(1000000)
/* What servers that do not answer may keep as yet: see linger.c. */
#define RELEASE_MS 5000
/* The front end asks for one thing at a time, and what is behind may be the end of DMA (RULES C1). */
#define CAPACITY_MS 1000

/* --- Ending DMA ------------------------------------------------------------------------------ */

void rmnic_vdev_suspend(struct rmnic_vdev *v)
{
	v->serving = false;
	rmnic_dev_suspend(v->dev);
}

static void go_fatal(struct rmnic_vdev *v, uint32_t error)
{
	v->fatal = true;
	v->fatal_error = error;
	v->fatal_generation = v->enabling.generation;
	rmnic_vdev_notify(v, &v->fatal_notice);
}

static void refuse(struct rmnic_vdev_request *r, uint16_t status, const char *text)
{
	r->reply.status = status;
	rmnic_error_set(&r->reply.text, "%s", text);
}

/* --- Requests ---------------------------------------------------------------------------------------
 *
 * start() and go_on() return whether the request has ended.
 */

static bool attach(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	if (v->spill && rmnic_wait_add(rmnic_worker_wait(v->worker), rmnic_spill_event(v->spill), true,
				       &r->reply.text)) {
		r->reply.status = RMNIC_USER_S_LIMIT;
		return true;
	}
	if (!rmnic_worker_add(v->worker, v)) {
		refuse(r, RMNIC_USER_S_LIMIT, "this worker has no room for another device");
		return true;
	}
	v->listening = true; /* its servers are told to it next: rmnic_vdev_begin() */
	r->deadline = rmnic_udp_now() + v->backend->config->reserve_timeout_ms * MS;
	return false;
}

/* USER-7: what the store's status says about a reservation of `pages`. True: it is settled. */
static bool reserved(struct rmnic_vdev *v, struct rmnic_vdev_request *r, uint64_t pages)
{
	enum rmnic_remote_status status = rmnic_store_remote_status(v->store, &r->reply.pages);
	char text[RMNIC_USER_TEXT_MAX];

	switch (status) {
	case RMNIC_REMOTE_READY:
		if (r->reply.pages >= pages)
			return true;
		break;
	case RMNIC_REMOTE_NO_SPACE:
		if (!r->reply.pages && rmnic_vdev_fault(v, text, sizeof(text))) {
			refuse(r, RMNIC_USER_S_NO_SPACE, text);
			return true;
		}
		snprintf(text, sizeof(text),
			 "the memory servers%s can hold %llu pages of the %llu that the device would "
			 "offer: add servers%s, or make it smaller",
			 v->spill ? " and the spill file" : "", (unsigned long long)r->reply.pages,
			 (unsigned long long)pages, v->spill ? ", raise spill_size" : "");
		refuse(r, RMNIC_USER_S_NO_SPACE, text);
		return true;
	case RMNIC_REMOTE_UNREACHABLE:
		refuse(r, RMNIC_USER_S_UNREACHABLE, rmnic_vdev_missing(v, text, sizeof(text)));
		return true;
	case RMNIC_REMOTE_FENCED:
		refuse(r, RMNIC_USER_S_FENCED,
		       "a memory server knows a newer epoch of the device: another backend serves it");
		return true;
	case RMNIC_REMOTE_DAMAGED:
		refuse(r, RMNIC_USER_S_BAD_STATE, "the state block's record of a slab is damaged");
		return true;
	default:
		break;
	}
	if (atomic_load(&v->give_up))
		return true;
	if (rmnic_udp_now() < r->deadline)
		return false;
	refuse(r, RMNIC_USER_S_UNREACHABLE, rmnic_vdev_missing(v, text, sizeof(text)));
	return true;
}

static bool attach_on(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	return reserved(v, r, rmnic_le64_get(v->conf.capacity));
}

static bool mem_add(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	r->reply.status = rmnic_guest_memory_insert(&v->memory, &r->region);
	if (r->reply.status == RMNIC_USER_S_LIMIT)
		refuse(r, RMNIC_USER_S_LIMIT, "too many regions of guest memory");
	else if (r->reply.status != RMNIC_USER_S_OK)
		refuse(r, r->reply.status, "the region overlaps another one");
	return true;
}

static bool mem_take(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	struct rmnic_guest_region *region =
		rmnic_guest_memory_find(&v->memory, r->region.addr, r->region.size);

	rmnic_guest_memory_remove(&v->memory, region, &r->region);
	return true;
}

/* USER-11: pages under way are finished first. A paused engine fetches nothing new. */
static bool mem_del(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	struct rmnic_guest_region *region =
		rmnic_guest_memory_find(&v->memory, r->region.addr, r->region.size);

	if (!region) {
		memset(&r->region, 0, sizeof(r->region));
		refuse(r, RMNIC_USER_S_INVALID, "no such region of guest memory was added");
		return true;
	}
	region->leaving = true;
	if (!region->uses)
		return mem_take(v, r);
	rmnic_dev_pause(v->dev);
	return false;
}

static bool mem_del_on(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	struct rmnic_guest_region *region =
		rmnic_guest_memory_find(&v->memory, r->region.addr, r->region.size);

	if (v->serving && !rmnic_dev_quiet(v->dev) && !atomic_load(&v->give_up))
		return false;
	/* What is left is a ring: the queue's memory goes away. */
	if (region->uses) {
		rmnic_vdev_suspend(v);
		if (!atomic_load(&v->give_up))
			go_fatal(v, RMNIC_ERR_DMA);
	} else if (v->serving) {
		rmnic_dev_resume(v->dev);
	}
	return mem_take(v, r);
}

static bool set_kick(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	struct rmnic_wait *wait = rmnic_worker_wait(v->worker);
	int old = v->kick;

	if (rmnic_wait_add(wait, r->fd, true, &r->reply.text)) {
		r->reply.status = RMNIC_USER_S_LIMIT;
		return true;
	}
	if (old >= 0)
		rmnic_wait_remove(wait, old);
	v->kick = r->fd;
	r->fd = old;
	return true;
}

static bool set_calls(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	if ((uint32_t)r->call.first + r->call.count > rmnic_le16_get(v->conf.vectors)) {
		refuse(r, RMNIC_USER_S_INVALID, "the device has fewer interrupt vectors");
		return true;
	}
	for (unsigned int i = 0; i < r->call.count; i++) {
		int old = v->calls[r->call.first + i];

		v->calls[r->call.first + i] = r->call.fds[i];
		r->call.fds[i] = old;
	}
	return true;
}

/* USER-14 */
static bool enable(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	const struct rmnic_user_enable *e = &r->enable;

	if (v->enabled) {
		refuse(r, RMNIC_USER_S_ORDER, "the device is enabled already: RESET comes first");
		return true;
	}
	v->enabling = (struct rmnic_dev_enabling){
		.drv_features = rmnic_le64_get(e->drv_features),
		.aq_sq = rmnic_le64_get(e->aq_sq),
		.aq_cq = rmnic_le64_get(e->aq_cq),
		.aq_rec = rmnic_le64_get(e->aq_rec),
		.aq_depth = rmnic_le32_get(e->aq_depth),
		.generation = rmnic_le32_get(e->generation),
	};
	r->reply.dev_error = rmnic_dev_enable_recorded(v->dev, &v->enabling);
	v->enabled = true;
	v->fatal = r->reply.dev_error != RMNIC_ERR_NONE;
	v->stopped = rmnic_le32_get(e->stopped) != 0;
	v->serving = !v->fatal && !v->lost;
	if (v->stopped && !v->fatal)
		rmnic_vdev_suspend(v);
	return true;
}

/* USER-15 */
static bool reset(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	(void)r;
	rmnic_dev_disable(v->dev);
	v->serving = v->enabled = v->stopped = v->fatal = false;
	return true;
}

/* USER-16: nothing new is fetched; what is under way has drain_ms. */
static bool stop(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	v->stopped = true;
	if (!v->serving)
		return true;
	rmnic_dev_pause(v->dev);
	r->deadline = rmnic_udp_now() + r->drain_ms * MS;
	return false;
}

static bool stop_on(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	if (v->serving && !rmnic_dev_quiet(v->dev) && rmnic_udp_now() < r->deadline &&
	    !atomic_load(&v->give_up))
		return false;
	rmnic_vdev_suspend(v);
	return true;
}

static bool start(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	uint32_t error;

	(void)r;
	if (!v->stopped || !v->enabled || v->fatal || v->lost) {
		v->stopped = false;
		return true;
	}
	v->stopped = false;
	error = rmnic_dev_enable_recorded(v->dev, &v->enabling);
	v->serving = error == RMNIC_ERR_NONE;
	if (error != RMNIC_ERR_NONE)
		go_fatal(v, error);
	return true;
}

/*
 * USER-22. What is there already is announced to the guest once more: its registers are the front
 * end's, which asks again when it has set them.
 */
static bool capacity(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	if (r->pages < atomic_load(&v->capacity) || r->pages % v->block.slab_pages ||
	    !rmnic_store_remote_reserve(v->store, r->pages)) {
		refuse(r, RMNIC_USER_S_INVALID, "less than now, no multiple of the slab size, or above "
		       "the device's maximum capacity");
		return true;
	}
	r->deadline = rmnic_udp_now() + CAPACITY_MS * MS;
	v->grow_until = rmnic_udp_now() + v->backend->config->reserve_timeout_ms * MS;
	return false;
}

/* What could be had of it is not kept for nobody. */
static void give_back(struct rmnic_vdev *v)
{
	v->grow_until = 0;
	rmnic_store_remote_reserve(v->store, atomic_load(&v->capacity));
}

bool rmnic_vdev_grow_end(struct rmnic_vdev *v)
{
	if (!v->grow_until || v->pending || rmnic_udp_now() < v->grow_until)
		return false;
	give_back(v);
	return true;
}

/* Servers that are slow go on with it, for who asks again; until then nobody behind waits. */
static bool go_on_growing(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	enum rmnic_remote_status status = rmnic_store_remote_status(v->store, &r->reply.pages);

	if (status != RMNIC_REMOTE_GROWING && status != RMNIC_REMOTE_STARTING)
		return false;
	if (atomic_load(&v->give_up) || rmnic_udp_now() >= v->grow_until)
		return false;
	r->reply.status = RMNIC_USER_S_UNREACHABLE;
	rmnic_error_set(&r->reply.text, "%llu pages of the %llu are reserved as yet: the memory servers "
			"are slow; ask again in a moment", (unsigned long long)r->reply.pages,
			(unsigned long long)r->pages);
	return true;
}

static bool capacity_on(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	if (!reserved(v, r, r->pages))
		return false;
	if (r->reply.status != RMNIC_USER_S_OK) {
		if (!go_on_growing(v, r))
			give_back(v);
		return true;
	}
	v->grow_until = 0;
	if (!rmnic_dev_set_capacity(v->dev, r->pages)) {
		refuse(r, RMNIC_USER_S_INTERNAL, "the engine does not take this capacity");
		return true;
	}
	atomic_store(&v->capacity, r->pages);
	r->reply.pages = r->pages;
	rmnic_dev_event(v->dev);
	return true;
}

static bool stats(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	rmnic_dev_stats(v->dev, &r->reply.stats);
	return true;
}

static bool detach(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	(void)r;
	rmnic_vdev_suspend(v);
	if (v->kick >= 0)
		rmnic_wait_remove(rmnic_worker_wait(v->worker), v->kick);
	return true;
}

static bool release(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	rmnic_store_remote_release(v->store);
	r->deadline = rmnic_udp_now() + RELEASE_MS * MS;
	return false;
}

static bool release_on(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	if (rmnic_store_remote_status(v->store, NULL) == RMNIC_REMOTE_RELEASED)
		return true;
	if (!atomic_load(&v->give_up) && rmnic_udp_now() < r->deadline)
		return false;
	refuse(r, RMNIC_USER_S_UNREACHABLE, "servers that hold slabs of the device do not answer");
	return true;
}

static bool take_off_on(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	(void)r;
	/* What is under way refers to the store's memory. */
	if (v->spill && !rmnic_spill_idle(v->spill))
		return false;
	if (v->spill)
		rmnic_wait_remove(rmnic_worker_wait(v->worker), rmnic_spill_event(v->spill));
	rmnic_worker_remove(v->worker, v);
	rmnic_udp_close(v->socket);
	v->socket = NULL;
	return true;
}

static bool take_off(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	v->listening = false;
	v->leaving = true;
	return take_off_on(v, r);
}

static const struct {
	bool (*start)(struct rmnic_vdev *v, struct rmnic_vdev_request *r);
	bool (*go_on)(struct rmnic_vdev *v, struct rmnic_vdev_request *r);
} works[RMNIC_VDEV_KINDS] = {
	[RMNIC_VDEV_ATTACH] = { attach, attach_on },
	[RMNIC_VDEV_MEM_ADD] = { mem_add, NULL },
	[RMNIC_VDEV_MEM_DEL] = { mem_del, mem_del_on },
	[RMNIC_VDEV_KICK] = { set_kick, NULL },
	[RMNIC_VDEV_CALL] = { set_calls, NULL },
	[RMNIC_VDEV_ENABLE] = { enable, NULL },
	[RMNIC_VDEV_RESET] = { reset, NULL },
	[RMNIC_VDEV_STOP] = { stop, stop_on },
	[RMNIC_VDEV_START] = { start, NULL },
	[RMNIC_VDEV_CAPACITY] = { capacity, capacity_on },
	[RMNIC_VDEV_STATS] = { stats, NULL },
	[RMNIC_VDEV_DETACH] = { detach, NULL },
	[RMNIC_VDEV_RELEASE] = { release, release_on },
	[RMNIC_VDEV_CLOSE] = { take_off, take_off_on },
};

static void send_back(struct rmnic_vdev *v, struct rmnic_vdev_request *r)
{
	v->pending = NULL;
	r->msg.run = rmnic_vdev_back;
	rmnic_mailbox_post(v->backend->mailbox, &r->msg);
}

void rmnic_vdev_work(struct rmnic_msg *msg)
{
	struct rmnic_vdev_request *r = (struct rmnic_vdev_request *)msg;
	struct rmnic_vdev *v = msg->arg;

	if (works[r->kind].start(v, r))
		send_back(v, r);
	else
		v->pending = r;
}

bool rmnic_vdev_go_on(struct rmnic_vdev *v)
{
	struct rmnic_vdev_request *r = v->pending;

	if (!r || !works[r->kind].go_on(v, r))
		return false;
	send_back(v, r);
	return true;
}
