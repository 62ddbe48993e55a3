/* SPDX-License-Identifier: BSD-3-Clause */
/* What a front end asks: each request goes to its device, which answers when it has done it. */
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/frontend_internal.h"

static void make_device(struct rmnic_frontend *f)
{
	struct rmnic_error err;
	uint16_t status;

	f->waiting = false;
	f->asked = RMNIC_USER_DEVICE;
	f->vdev = rmnic_vdev_create(f->all->backend, &f->device, &f->state,
				    &rmnic_frontend_vdev_ops, f, &status,
				    &err);
	if (f->vdev) {
		rmnic_vdev_pid_set(f->vdev, f->pid);
		return;
	}
	rmnic_log_warn("front end %d is refused: %s", f->pid, err.text);
	rmnic_user_conn_refuse(f->conn, status, 0, err.text);
}

/* The front end that has this device and is on its way out. */
static struct rmnic_frontend *leaving_one(struct rmnic_frontend *f)
{
	for (struct rmnic_frontend *o = f->all->list; o; o = o->next) {
		if (o == f || !o->vdev ||
		    memcmp(o->device.uuid, f->device.uuid, 16) != 0)
			continue;
		if (o->phase != RMNIC_FRONTEND_OPEN)
			return o;
	}
	return NULL;
}

static void on_device(void *arg, const struct rmnic_user_device *device,
		      const struct rmnic_user_state *state)
{
	struct rmnic_frontend *f = arg, *other;

	f->device = *device;
	f->state = *state;
	if (f->vdev) {
		rmnic_user_state_unmap(&f->state);
		rmnic_user_conn_refuse(f->conn, RMNIC_USER_S_ORDER, 0,
				       "this connection has its device already");
		return;
	}
	other = leaving_one(f);
	if (!other) {
		make_device(f);
		return;
	}
	/* The same device a moment after its last connection broke: not IN_USE, but soon. */
	f->waiting = true;
	if (other->phase == RMNIC_FRONTEND_ORPHAN)
		rmnic_frontend_end(other, false);
}

void rmnic_frontends_next(struct rmnic_frontends *fs)
{
	if (!fs->io)
		return; /* leaving */
	for (struct rmnic_frontend *f = fs->list; f; f = f->next)
		if (f->waiting && f->conn && !leaving_one(f)) {
			make_device(f);
			return;
		}
}

/* False: there is no device (any more), and the request was refused. */
static bool ask(struct rmnic_frontend *f, uint16_t type)
{
	f->asked = type;
	if (f->vdev && f->announced)
		return true;
	rmnic_user_conn_refuse(f->conn, RMNIC_USER_S_ORDER, 0, "there is no device: DEVICE comes first");
	return false;
}

static void on_mem_add(void *arg, uint64_t addr, uint64_t size, uint64_t offset, int fd)
{
	struct rmnic_frontend *f = arg;

	if (ask(f, RMNIC_USER_MEM_ADD))
		rmnic_vdev_mem_add(f->vdev, addr, size, offset, fd);
	else
		close(fd);
}

static void on_mem_del(void *arg, uint64_t addr, uint64_t size)
{
	struct rmnic_frontend *f = arg;

	if (ask(f, RMNIC_USER_MEM_DEL))
		rmnic_vdev_mem_del(f->vdev, addr, size);
}

static void on_kick(void *arg, int fd)
{
	struct rmnic_frontend *f = arg;

	if (ask(f, RMNIC_USER_KICK))
		rmnic_vdev_kick(f->vdev, fd);
	else
		close(fd);
}

static void on_call(void *arg, uint16_t first, uint16_t count, const int *fds)
{
	struct rmnic_frontend *f = arg;

	if (ask(f, RMNIC_USER_CALL)) {
		rmnic_vdev_call(f->vdev, first, count, fds);
		return;
	}
	for (unsigned int i = 0; i < count; i++)
		close(fds[i]);
}

static void on_enable(void *arg, const struct rmnic_user_enable *enable)
{
	struct rmnic_frontend *f = arg;

	if (ask(f, RMNIC_USER_ENABLE))
		rmnic_vdev_enable(f->vdev, enable);
}

static void on_reset(void *arg)
{
	struct rmnic_frontend *f = arg;

	if (ask(f, RMNIC_USER_RESET))
		rmnic_vdev_reset(f->vdev);
}

static void on_stop(void *arg, uint32_t drain_ms)
{
	struct rmnic_frontend *f = arg;

	if (ask(f, RMNIC_USER_STOP))
		rmnic_vdev_stop(f->vdev, drain_ms);
}

static void on_start(void *arg)
{
	struct rmnic_frontend *f = arg;

	if (ask(f, RMNIC_USER_START))
		rmnic_vdev_start(f->vdev);
}

static void on_capacity(void *arg, uint64_t pages)
{
	struct rmnic_frontend *f = arg;

	if (ask(f, RMNIC_USER_CAPACITY))
		rmnic_vdev_capacity(f->vdev, pages);
}

static void on_stats(void *arg)
{
	struct rmnic_frontend *f = arg;

	if (ask(f, RMNIC_USER_STATS))
		rmnic_vdev_stats(f->vdev);
}

/* USER-21: answered first. */
static void on_bye(void *arg)
{
	struct rmnic_frontend *f = arg;

	if (!ask(f, RMNIC_USER_BYE))
		return;
	rmnic_user_conn_answer(f->conn, NULL, 0);
	f->announced = false;
	f->phase = RMNIC_FRONTEND_ENDING;
	rmnic_log_info("front end %d: the device is gone for good", f->pid);
	rmnic_vdev_end(f->vdev, true);
}

static void on_watch(void *arg, uint32_t events)
{
	struct rmnic_frontend *f = arg;

	if (f->io)
		sd_event_source_set_io_events(f->io, events);
}

/* USER-21 */
static void on_closed(void *arg, const char *why, bool front_gone, int pidfd)
{
	struct rmnic_frontend *f = arg;

	f->conn = NULL;
	f->io = sd_event_source_disable_unref(f->io);
	if (f->announced || f->vdev)
		rmnic_log_info("front end %d: the connection ended: %s", f->pid, why);
	if (pidfd >= 0)
		f->pidfd = pidfd;
	if (f->phase == RMNIC_FRONTEND_ENDING && f->vdev)
		return; /* BYE came: freed when the device has ended */
	if (f->phase == RMNIC_FRONTEND_REFUSING) {
		f->phase = RMNIC_FRONTEND_ENDING;
		return;
	}
	if (front_gone || !f->vdev || pidfd < 0 || f->phase == RMNIC_FRONTEND_LEAVING) {
		rmnic_frontend_end(f, front_gone);
		return;
	}
	if (sd_event_add_io(f->all->backend->event, &f->death, pidfd, EPOLLIN, rmnic_frontend_death,
			    f) < 0) {
		rmnic_frontend_end(f, false);
		return;
	}
	f->phase = RMNIC_FRONTEND_ORPHAN;
	rmnic_vdev_detach(f->vdev);
}

const struct rmnic_user_conn_ops rmnic_frontend_conn_ops = {
	.device = on_device,
	.mem_add = on_mem_add,
	.mem_del = on_mem_del,
	.kick = on_kick,
	.call = on_call,
	.enable = on_enable,
	.reset = on_reset,
	.stop = on_stop,
	.start = on_start,
	.capacity = on_capacity,
	.stats = on_stats,
	.bye = on_bye,
	.watch = on_watch,
	.closed = on_closed,
};
