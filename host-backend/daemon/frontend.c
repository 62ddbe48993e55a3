/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection and its device. The connection asks, the device answers when it has done it. When
 * one of both ends, the other does:
 *   front end dead    the device is released: its slabs go back to the servers
 *   front end alive   guest memory is let go of at once; the slabs are kept for as long as the
 *                     process lives, because a successor of this backend will want them
 *   device lost       the connection is closed with RMNIC_FRONTEND_LEAVING
 */
#include "daemon/frontend_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/log.h"
#include "common/version.h"
#include "engine/le.h"

/* Connections besides one for each device: those that have not said DEVICE yet, or end. */
#define SPARE 32

/* --- The end of a front end ------------------------------------------------------------------ */

static void conn_close(struct rmnic_frontend *f, bool leaving)
{
	f->io = sd_event_source_disable_unref(f->io);
	if (f->conn)
		rmnic_user_conn_destroy(f->conn, leaving);
	f->conn = NULL;
}

/* Leaving: the last one has gone, of those that have a front end and of those that linger. */
static void frontends_gone(void *arg)
{
	struct rmnic_frontends *fs = arg;
	void (*left)(void *arg) = fs->left;

	if (!left || fs->list || fs->backend->nlingering)
		return;
	fs->left = NULL;
	left(fs->left_arg);
}

static void frontend_free(struct rmnic_frontend *f)
{
	struct rmnic_frontends *fs = f->all;
	struct rmnic_frontend **p = &fs->list;

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
	rmnic_frontends_next(fs);
	frontends_gone(fs);
}

void rmnic_frontend_end(struct rmnic_frontend *f, bool release)
{
	conn_close(f, false);
	f->phase = RMNIC_FRONTEND_ENDING;
	if (f->vdev)
		rmnic_vdev_end(f->vdev, release);
	else
		frontend_free(f);
}

int rmnic_frontend_death(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct rmnic_frontend *f = arg;

	(void)source;
	(void)fd;
	(void)events;
	f->death = sd_event_source_disable_unref(f->death);
	if (f->phase == RMNIC_FRONTEND_ORPHAN) {
		rmnic_log_info("front end %d is gone: its device is released", f->pid);
		rmnic_frontend_end(f, true);
	}
	return 0;
}

/* --- What the device says -------------------------------------------------------------------- */

static void answer_ok(struct rmnic_frontend *f, const struct rmnic_vdev_reply *reply)
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

static void device_done(struct rmnic_frontend *f, const struct rmnic_vdev_reply *reply)
{
	char uuid[37];

	rmnic_uuid_format(f->device.uuid, uuid);
	if (reply->status == RMNIC_USER_S_OK) {
		f->announced = true;
		rmnic_backend_recovered(f->all->backend, f->device.uuid);
		rmnic_log_info("%s: front end %d, epoch %u, %llu pages reserved", uuid, f->pid,
			       rmnic_le32_get(f->device.epoch), (unsigned long long)reply->pages);
		answer_ok(f, reply);
		return;
	}
	rmnic_log_warn("%s: front end %d is refused: %s", uuid, f->pid, reply->text.text);
	f->phase = RMNIC_FRONTEND_REFUSING;
	f->refusal = *reply;
	rmnic_vdev_end(f->vdev, rmnic_vdev_fresh(f->vdev));
}

static void on_done(void *arg, const struct rmnic_vdev_reply *reply)
{
	struct rmnic_frontend *f = arg;

	switch (f->phase) {
	case RMNIC_FRONTEND_LEAVING: /* detached */
		conn_close(f, true);
		rmnic_frontend_end(f, false);
		break;
	case RMNIC_FRONTEND_OPEN:
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
	default: /* RMNIC_FRONTEND_ORPHAN: detached */
		break;
	}
}

static void on_fatal(void *arg, uint32_t error, uint32_t generation)
{
	struct rmnic_frontend *f = arg;

	if (f->phase == RMNIC_FRONTEND_OPEN && f->announced)
		rmnic_user_conn_fatal(f->conn, error, generation);
}

static void leave(struct rmnic_frontend *f)
{
	f->phase = RMNIC_FRONTEND_LEAVING;
	rmnic_vdev_detach(f->vdev);
}

static void on_lost(void *arg, uint16_t status, const char *why)
{
	struct rmnic_frontend *f = arg;

	(void)status;
	(void)why;
	if (f->phase == RMNIC_FRONTEND_OPEN)
		leave(f);
}

static void on_ended(void *arg)
{
	struct rmnic_frontend *f = arg;
	struct rmnic_frontends *fs = f->all;

	f->vdev = NULL;
	if (f->phase != RMNIC_FRONTEND_REFUSING) {
		/* After BYE the connection may go on for a while, if this program does. */
		if (!f->conn || !fs->io)
			frontend_free(f);
		else
			rmnic_frontends_next(fs);
		return;
	}
	f->phase = RMNIC_FRONTEND_OPEN;
	rmnic_user_conn_refuse(f->conn, f->refusal.status,
			       f->refusal.status == RMNIC_USER_S_NO_SPACE ? f->refusal.pages : 0,
			       f->refusal.text.text);
	rmnic_frontends_next(fs);
}

const struct rmnic_vdev_ops rmnic_frontend_vdev_ops = {
	.done = on_done,
	.fatal = on_fatal,
	.lost = on_lost,
	.ended = on_ended,
};

/* --- The socket ------------------------------------------------------------------------------ */

static int on_ready(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct rmnic_frontend *f = arg;

	(void)source;
	(void)fd;
	(void)events;
	rmnic_user_conn_ready(f->conn);
	return 0;
}

static void frontend_create(struct rmnic_frontends *fs, int fd)
{
	const struct rmnic_user_conn_config config = {
		.ops = &rmnic_frontend_conn_ops,
		.device_features = RMNIC_VDEV_FEATURES,
		.name = "rmnicd " RMNIC_BACKEND_VERSION,
		.refused = fs->refused,
	};
	struct rmnic_user_conn_config c = config;
	struct rmnic_frontend *f = calloc(1, sizeof(*f));

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
	b->may_linger = true;
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
	struct rmnic_frontend *f, *next;

	fs->io = sd_event_source_disable_unref(fs->io);
	rmnic_listener_close(&fs->listener);
	for (f = fs->list; f; f = next) {
		next = f->next;
		f->death = sd_event_source_disable_unref(f->death);
		if (f->phase == RMNIC_FRONTEND_OPEN && f->vdev)
			leave(f);
		else if (f->phase != RMNIC_FRONTEND_ENDING || !f->vdev)
			rmnic_frontend_end(f, false);
	}
	fs->left = done;
	fs->left_arg = arg;
	rmnic_backend_linger_end(fs->backend, frontends_gone, fs);
	frontends_gone(fs);
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
