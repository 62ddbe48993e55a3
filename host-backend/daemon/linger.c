/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Devices that are gone while a server that holds slabs of theirs was away: it is told when it is back,
 * as long as this process lives and has room. Leases see to the rest. To everybody else such
 * a device does not exist: it has no front end, no guest memory, and no place among the devices; only its
 * slot, whose UDP ports it speaks from.
 */
#include "common/log.h"
#include "common/timeout.h"
#include "daemon/backend.h"
#include "daemon/device_internal.h"

#define LINGER_NS UINT64_C(3600000000000)
/* The engine gives up by itself, a while after it was asked last. */
#define ASK_US UINT64_C(5000000)
/* Slots that stay free for devices. */
#define FREE_SLOTS 4

static unsigned int slots_free(const struct rmnic_backend *b)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < b->config->max_devices; i++)
		n += !b->vdevs[i] && !b->lingering[i];
	return n;
}

static void on_ended(void *arg)
{
	struct rmnic_backend *b = arg;

	b->nlingering--;
	if (!b->nlingering && b->lingered)
		b->lingered(b->lingered_arg);
}

/* Nobody asks it for anything. */
static const struct rmnic_vdev_ops ops = { .ended = on_ended };

/* Its place is free when the worker has let go of it. */
static void end(struct rmnic_vdev *v)
{
	if (!v->busy)
		rmnic_vdev_end(v, v->release);
}

static void ask(void *arg)
{
	struct rmnic_vdev *v = arg;

	rmnic_store_remote_release(v->store);
}

static bool over(const struct rmnic_vdev *v)
{
	return rmnic_store_remote_status(v->store, NULL) == RMNIC_REMOTE_RELEASED ||
	       rmnic_udp_now() >= v->ended_at + LINGER_NS;
}

static bool timer_start(struct rmnic_backend *b);

static int on_time(sd_event_source *source, uint64_t usec, void *arg)
{
	struct rmnic_backend *b = arg;

	(void)source;
	(void)usec;

	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++) {
		struct rmnic_vdev *v = b->lingering[i];

		if (!v || v->busy)
			continue;
		rmnic_worker_call(v->worker, ask, v);
		if (over(v))
			end(v);
	}
	if (b->nlingering && !timer_start(b)) /* they go when their places are wanted */
		rmnic_log_warn("no timer: servers that come back are not told of devices that are gone");
	return 0;
}

static bool timer_start(struct rmnic_backend *b)
{
	return rmnic_timeout_set(b->event, &b->linger_timer, ASK_US, on_time, b) >= 0;
}

bool rmnic_vdev_linger(struct rmnic_vdev *v)
{
	struct rmnic_backend *b = v->backend;

	if (!b->may_linger || slots_free(b) < FREE_SLOTS || !timer_start(b))
		return false;
	rmnic_log_info("%s: a server that holds slabs of it does not answer: it is told when it does",
		       v->label);
	b->vdevs[v->slot] = NULL;
	b->lingering[v->slot] = v;
	b->nlingering++;
	v->lingering = true;
	v->ended_at = rmnic_udp_now();
	v->ops = &ops;
	v->arg = b;
	return true;
}

void rmnic_vdev_linger_over(struct rmnic_vdev *v)
{
	if (!v->lingering || v->busy)
		return;
	rmnic_log_info("%s: all its slabs are given back", v->label);
	end(v);
}

void rmnic_backend_linger_make_room(struct rmnic_backend *b)
{
	struct rmnic_vdev *oldest = NULL;

	if (slots_free(b) > FREE_SLOTS)
		return;
	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++)
		if (b->lingering[i] && !b->lingering[i]->busy &&
		    (!oldest || b->lingering[i]->ended_at < oldest->ended_at))
			oldest = b->lingering[i];
	if (oldest)
		end(oldest);
}

void rmnic_backend_linger_end(struct rmnic_backend *b, void (*done)(void *arg), void *arg)
{
	b->may_linger = false;
	b->lingered = done;
	b->lingered_arg = arg;
	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++)
		if (b->lingering[i])
			end(b->lingering[i]);
}
