/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection and its device. The connection asks, the device answers when it has done it. When
 * one of both ends, the other does:
 *   front end dead    the device is released: its slabs go back to the servers
 *   front end alive   guest memory is let go of at once; the slabs are kept for as long as the
 *                     process lives, because a successor of this backend will want them
 *   device lost       the connection is closed with LEAVING
 */
#include "daemon/frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/listener.h"
#include "common/log.h"
#include "common/version.h"
#include "daemon/device.h"
#include "engine/user_msg.h"
#include "engine/le.h"

/* Connections besides one for each device: those that have not said DEVICE yet, or end. */
#define SPARE 32

enum phase {
	OPEN,     /* serves, or waits for a request */
	REFUSING, /* DEVICE failed: answered when what it reserved was given back */
	LEAVING,  /* DMA is being ended; then LEAVING */
	ORPHAN,   /* no connection; the slabs are kept while the process lives */
	ENDING,   /* no connection; the device is being taken away */
};

struct frontend {
	struct frontend *next;
	struct rmnic_frontends *all;
	enum phase phase;
	struct rmnic_user_conn *conn;
	sd_event_source *io;
	int pidfd;
	sd_event_source *death;
	struct rmnic_vdev *vdev;
	uint16_t asked; /* RMNIC_USER_*: the request that the device works on */
	bool announced; /* DEVICE was answered OK */
	bool waiting;   /* DEVICE waits for the end of another connection about the same device */
	struct rmnic_user_device device;
	struct rmnic_user_state state;
	struct rmnic_vdev_reply refusal; /* REFUSING */
	int pid;
};

struct rmnic_frontends {
	struct rmnic_backend *backend;
	struct rmnic_listener listener;
	sd_event_source *io;
	struct frontend *list;
	unsigned int count;
	uint64_t refused[RMNIC_USER_S_COUNT];
	void (*left)(void *arg);
	void *left_arg;
};

static void next_of_uuid(struct rmnic_frontends *fs);

/* --- The end of a front end ------------------------------------------------------------------------- */

static void conn_close(struct frontend *f, bool leaving)
{
	f->io = sd_event_source_disable_unref(f->io);
	if (f->conn)
		rmnic_user_conn_destroy(f->conn, leaving);
	f->conn = NULL;
}

static void frontend_free(struct frontend *f)
{
	struct rmnic_frontends *fs = f->all;
	struct frontend **p = &fs->list;

	while (*p != f)
		p = &(*p)->next;
	*p = f->next;
	fs->count--;
	conn_close(f, false);
	sd_event_source_disable_unref(f->death);
	if (f->pidfd >= 0)
		close(f->pidfd);
	if (f->waiting)
		rmnic_user_state_unmap(&f->state);
	free(f);
	next_of_uuid(fs);
	if (fs->left && !fs->list)
		fs->left(fs->left_arg);
}

/* The connection is gone or not wanted any more; the device goes as well, if there is one. */
static void frontend_end(struct frontend *f, bool release)
{
	conn_close(f, false);
	f->phase = ENDING;
	if (f->vdev)
		rmnic_vdev_end(f->vdev, release);
	else
		frontend_free(f);
}

static int on_death(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct frontend *f = arg;

	(void)source;
	(void)fd;
	(void)events;
	f->death = sd_event_source_disable_unref(f->death);
	if (f->phase == ORPHAN) {
		rmnic_log_info("front end %d is gone: its device is released", f->pid);
		frontend_end(f, true);
	}
	return 0;
}

/* --- What the device says ----------------------------------------------------------------------------- */

static void answer_ok(struct frontend *f, const struct rmnic_vdev_reply *reply)
{
	const struct rmnic_user_device_reply device = {
		.reserved = rmnic_le64_put(reply->pages),
		.command_timeout_ms =
			rmnic_le32_put((uint32_t)f->all->backend->config->command_timeout_ms),
	};
	const struct rmnic_user_enable_reply enable = { .error = rmnic_le32_put(reply->dev_error) };
	const struct rmnic_user_capacity capacity = { .pages = rmnic_le64_put(reply->pages) };

	switch (f->asked) {
	case RMNIC_USER_DEVICE:
		rmnic_user_conn_answer(f->conn, &device, sizeof(device));
		break;
	case RMNIC_USER_ENABLE:
		rmnic_user_conn_answer(f->conn, &enable, sizeof(enable));
		break;
	case RMNIC_USER_CAPACITY:
		rmnic_user_conn_answer(f->conn, &capacity, sizeof(capacity));
		break;
	case RMNIC_USER_STATS:
		rmnic_user_conn_answer(f->conn, &reply->stats, sizeof(reply->stats));
		break;
	default:
		rmnic_user_conn_answer(f->conn, NULL, 0);
	}
}

static void device_done(struct frontend *f, const struct rmnic_vdev_reply *reply)
{
	char uuid[37];

	rmnic_uuid_format(f->device.uuid, uuid);
	if (reply->status == RMNIC_USER_S_OK) {
		f->announced = true;
		rmnic_log_info("%s: front end %d, epoch %u, %llu pages reserved", uuid, f->pid,
			       rmnic_le32_get(f->device.epoch), (unsigned long long)reply->pages);
		answer_ok(f, reply);
		return;
	}
	rmnic_log_warn("%s: front end %d is refused: %s", uuid, f->pid, reply->text.text);
	f->phase = REFUSING;
	f->refusal = *reply;
	rmnic_vdev_end(f->vdev, rmnic_vdev_fresh(f->vdev));
}

static void on_done(void *arg, const struct rmnic_vdev_reply *reply)
{
	struct frontend *f = arg;

	switch (f->phase) {
	case LEAVING: /* detached */
		conn_close(f, true);
		frontend_end(f, false);
		break;
	case OPEN:
		if (f->asked == RMNIC_USER_DEVICE)
			device_done(f, reply);
		else if (reply->status == RMNIC_USER_S_OK)
			answer_ok(f, reply);
		else
			rmnic_user_conn_refuse(f->conn, reply->status,
					       reply->status == RMNIC_USER_S_NO_SPACE ?
						       reply->pages : 0,
					       reply->text.text);
		break;
	default: /* ORPHAN: detached */
		break;
	}
}

static void on_fatal(void *arg, uint32_t error, uint32_t generation)
{
	struct frontend *f = arg;

	if (f->phase == OPEN && f->announced)
		rmnic_user_conn_fatal(f->conn, error, generation);
}

static void leave(struct frontend *f)
{
	f->phase = LEAVING;
	rmnic_vdev_detach(f->vdev);
}

static void on_lost(void *arg, uint16_t status, const char *why)
{
	struct frontend *f = arg;

	(void)status;
	(void)why;
	if (f->phase == OPEN)
		leave(f);
}

static void on_ended(void *arg)
{
	struct frontend *f = arg;
	struct rmnic_frontends *fs = f->all;

	f->vdev = NULL;
	if (f->phase != REFUSING) {
		if (!f->conn)
			frontend_free(f);
		else
			next_of_uuid(fs); /* BYE: the connection may go on for a while */
		return;
	}
	f->phase = OPEN;
	rmnic_user_conn_refuse(f->conn, f->refusal.status,
			       f->refusal.status == RMNIC_USER_S_NO_SPACE ? f->refusal.pages : 0,
			       f->refusal.text.text);
	next_of_uuid(fs);
}

static const struct rmnic_vdev_ops vdev_ops = {
	.done = on_done,
	.fatal = on_fatal,
	.lost = on_lost,
	.ended = on_ended,
};

/* --- What the connection asks ---------------------------------------------------------------------------- */

static void make_device(struct frontend *f)
{
	struct rmnic_error err;
	uint16_t status;

	f->waiting = false;
	f->asked = RMNIC_USER_DEVICE;
	f->vdev = rmnic_vdev_create(f->all->backend, &f->device, &f->state, &vdev_ops, f, &status,
				    &err);
	if (f->vdev) {
		rmnic_vdev_pid_set(f->vdev, f->pid);
		return;
	}
	rmnic_log_warn("front end %d is refused: %s", f->pid, err.text);
	rmnic_user_conn_refuse(f->conn, status, 0, err.text);
}

/* The front end that has this device and is on its way out, or could be. */
static struct frontend *leaving_one(struct frontend *f)
{
	for (struct frontend *o = f->all->list; o; o = o->next) {
		if (o == f || !o->vdev || memcmp(o->device.uuid, f->device.uuid, 16))
			continue;
		if (o->phase != OPEN || !o->announced)
			return o;
	}
	return NULL;
}

static void on_device(void *arg, const struct rmnic_user_device *device,
		      const struct rmnic_user_state *state)
{
	struct frontend *f = arg, *other;

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
	if (other->phase == ORPHAN)
		frontend_end(other, false);
}

/* A device has ended: somebody may have waited for it. */
static void next_of_uuid(struct rmnic_frontends *fs)
{
	if (!fs->io)
		return; /* leaving */
	for (struct frontend *f = fs->list; f; f = f->next)
		if (f->waiting && f->conn && !leaving_one(f)) {
			make_device(f);
			return;
		}
}

/* False: there is no device (any more), and the request was refused. */
static bool ask(struct frontend *f, uint16_t type)
{
	f->asked = type;
	if (f->vdev && f->announced)
		return true;
	rmnic_user_conn_refuse(f->conn, RMNIC_USER_S_ORDER, 0, "there is no device: DEVICE comes first");
	return false;
}

static void on_mem_add(void *arg, uint64_t addr, uint64_t size, uint64_t offset, int fd)
{
	struct frontend *f = arg;

	if (ask(f, RMNIC_USER_MEM_ADD))
		rmnic_vdev_mem_add(f->vdev, addr, size, offset, fd);
	else
		close(fd);
}

static void on_mem_del(void *arg, uint64_t addr, uint64_t size)
{
	struct frontend *f = arg;

	if (ask(f, RMNIC_USER_MEM_DEL))
		rmnic_vdev_mem_del(f->vdev, addr, size);
}

static void on_kick(void *arg, int fd)
{
	struct frontend *f = arg;

	if (ask(f, RMNIC_USER_KICK))
		rmnic_vdev_kick(f->vdev, fd);
	else
		close(fd);
}

static void on_call(void *arg, uint16_t first, uint16_t count, const int *fds)
{
	struct frontend *f = arg;

	if (ask(f, RMNIC_USER_CALL)) {
		rmnic_vdev_call(f->vdev, first, count, fds);
		return;
	}
	for (unsigned int i = 0; i < count; i++)
		close(fds[i]);
}

static void on_enable(void *arg, const struct rmnic_user_enable *enable)
{
	struct frontend *f = arg;

	if (ask(f, RMNIC_USER_ENABLE))
		rmnic_vdev_enable(f->vdev, enable);
}

static void on_reset(void *arg)
{
	struct frontend *f = arg;

	if (ask(f, RMNIC_USER_RESET))
		rmnic_vdev_reset(f->vdev);
}

static void on_stop(void *arg, uint32_t drain_ms)
{
	struct frontend *f = arg;

	if (ask(f, RMNIC_USER_STOP))
		rmnic_vdev_stop(f->vdev, drain_ms);
}

static void on_start(void *arg)
{
	struct frontend *f = arg;

	if (ask(f, RMNIC_USER_START))
		rmnic_vdev_start(f->vdev);
}

static void on_capacity(void *arg, uint64_t pages)
{
	struct frontend *f = arg;

	if (ask(f, RMNIC_USER_CAPACITY))
		rmnic_vdev_capacity(f->vdev, pages);
}

static void on_stats(void *arg)
{
	struct frontend *f = arg;

	if (ask(f, RMNIC_USER_STATS))
		rmnic_vdev_stats(f->vdev);
}

/* USER-21: answered first. */
static void on_bye(void *arg)
{
	struct frontend *f = arg;

	if (!ask(f, RMNIC_USER_BYE))
		return;
	rmnic_user_conn_answer(f->conn, NULL, 0);
	f->announced = false;
	f->phase = ENDING;
	rmnic_log_info("front end %d: the device is gone for good", f->pid);
	rmnic_vdev_end(f->vdev, true);
}

static void on_watch(void *arg, uint32_t events)
{
	struct frontend *f = arg;

	if (f->io)
		sd_event_source_set_io_events(f->io, events);
}

/* USER-21 */
static void on_closed(void *arg, const char *why, bool front_gone, int pidfd)
{
	struct frontend *f = arg;

	f->conn = NULL;
	f->io = sd_event_source_disable_unref(f->io);
	if (f->announced || f->vdev)
		rmnic_log_info("front end %d: the connection ended: %s", f->pid, why);
	if (pidfd >= 0)
		f->pidfd = pidfd;
	if (f->phase == ENDING && f->vdev)
		return; /* BYE came: freed when the device has ended */
	if (f->phase == REFUSING) {
		f->phase = ENDING;
		return;
	}
	if (front_gone || !f->vdev || pidfd < 0 || f->phase == LEAVING) {
		frontend_end(f, front_gone);
		return;
	}
	if (sd_event_add_io(f->all->backend->event, &f->death, pidfd, EPOLLIN, on_death, f) < 0) {
		frontend_end(f, false);
		return;
	}
	f->phase = ORPHAN;
	rmnic_vdev_detach(f->vdev);
}

static const struct rmnic_user_conn_ops conn_ops = {
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

/* --- The socket -------------------------------------------------------------------------------------------- */

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct frontend *f = arg;

	(void)source;
	(void)fd;
	(void)events;
	rmnic_user_conn_ready(f->conn);
	return 0;
}

static void frontend_create(struct rmnic_frontends *fs, int fd)
{
	const struct rmnic_user_conn_config config = {
		.ops = &conn_ops,
		.device_features = RMNIC_VDEV_FEATURES,
		.name = "rmnicd " RMNIC_BACKEND_VERSION,
		.refused = fs->refused,
	};
	struct rmnic_user_conn_config c = config;
	struct frontend *f = calloc(1, sizeof(*f));

	if (!f) {
		close(fd);
		return;
	}
	c.arg = f;
	f->all = fs;
	f->pidfd = -1;
	f->next = fs->list;
	fs->list = f;
	fs->count++;
	f->conn = rmnic_user_conn_create(fd, &c);
	if (!f->conn ||
	    sd_event_add_io(fs->backend->event, &f->io, rmnic_user_conn_fd(f->conn),
			    rmnic_user_conn_events(f->conn), on_ready, f) < 0) {
		frontend_free(f);
		return;
	}
	f->pid = rmnic_user_conn_pid(f->conn, NULL);
}

static int on_connect(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct rmnic_frontends *fs = arg;
	int conn = rmnic_listener_accept(&fs->listener);

	(void)source;
	(void)fd;
	(void)events;
	if (conn < 0)
		return 0;
	if (fs->count >= fs->backend->config->max_devices + SPARE) {
		rmnic_log_limited(RMNIC_LOG_WARN, "too many connections of front ends: one is closed");
		close(conn);
		return 0;
	}
	frontend_create(fs, conn);
	return 0;
}

struct rmnic_frontends *rmnic_frontends_open(struct rmnic_backend *b, const char *path,
					     struct rmnic_error *err)
{
	struct rmnic_frontends *fs = calloc(1, sizeof(*fs));
	int ret;

	if (!fs) {
		rmnic_error_set(err, "out of memory");
		return NULL;
	}
	fs->backend = b;
	if (rmnic_listener_open(&fs->listener, path, err)) {
		free(fs);
		return NULL;
	}
	if (b->config->socket_group &&
	    rmnic_listener_group(&fs->listener, b->config->socket_group, err)) {
		rmnic_frontends_close(fs);
		return NULL;
	}
	ret = sd_event_add_io(b->event, &fs->io, fs->listener.fd, EPOLLIN, on_connect, fs);
	if (ret < 0) {
		rmnic_error_set(err, "%s: %s", path, strerror(-ret));
		rmnic_frontends_close(fs);
		return NULL;
	}
	return fs;
}

void rmnic_frontends_leave(struct rmnic_frontends *fs, void (*done)(void *arg), void *arg)
{
	struct frontend *f, *next;

	fs->io = sd_event_source_disable_unref(fs->io);
	rmnic_listener_close(&fs->listener);
	for (f = fs->list; f; f = next) {
		next = f->next;
		f->death = sd_event_source_disable_unref(f->death);
		if (f->phase == OPEN && f->vdev)
			leave(f);
		else if (f->phase != ENDING || !f->vdev)
			frontend_end(f, false);
	}
	fs->left = done;
	fs->left_arg = arg;
	if (!fs->list)
		done(arg);
}

void rmnic_frontends_close(struct rmnic_frontends *fs)
{
	if (!fs)
		return;
	sd_event_source_disable_unref(fs->io);
	rmnic_listener_close(&fs->listener);
	free(fs);
}

const uint64_t *rmnic_frontends_refused(const struct rmnic_frontends *fs)
{
	return fs->refused;
}

unsigned int rmnic_frontends_count(const struct rmnic_frontends *fs)
{
	return fs->count;
}
