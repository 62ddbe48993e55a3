/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device in the control thread: requests on their way to the worker and back, the end. The
 * worker has one request at a time; what the owner wants meanwhile (the end) is noted, the
 * request is told to give up, and what is next is decided when it is back.
 */
#include "daemon/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/device_internal.h"

static void go_on(struct rmnic_vdev *v);

/* --- Messages -------------------------------------------------------------------------------- */

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

void rmnic_vdev_begin(struct rmnic_vdev *v)
{
	v->fatal_notice.msg = (struct rmnic_msg){ .run = fatal_came, .arg = v };
	v->lost_notice.msg = (struct rmnic_msg){ .run = lost_came, .arg = v };
	v->news.notice.msg = (struct rmnic_msg){ .run = rmnic_vdev_news_read, .arg = v };
	v->poke.msg = (struct rmnic_msg){ .run = poked, .arg = v };
	v->opened = true;
	send(v, RMNIC_VDEV_ATTACH);
	/* The list is this thread's, which waits here. */
	rmnic_worker_call(v->worker, rmnic_vdev_peers_add, v);
}

/* --- Requests -------------------------------------------------------------------------------- */

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

/* --- Back from the worker -------------------------------------------------------------------- */

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
		v->owing = r->reply.status != RMNIC_USER_S_OK;
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
	} else if (v->ending && v->owing && !v->lingering && rmnic_vdev_linger(v)) {
		ended(arg); /* for its owner; the rest is between us and the servers */
	} else if (v->ending && v->opened) {
		send(v, RMNIC_VDEV_CLOSE);
	} else if (v->ending) {
		/* INVARIANT: notices are in the same ring before the answer to CLOSE, and have come. */
		rmnic_vdev_free(v);
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
