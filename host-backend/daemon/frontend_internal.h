/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/frontend_internal.h - what the files of front ends share.
 *
 * frontend.c     the socket, the end of a front end, what its device says
 * frontend_ask.c what its connection asks of the device
 */
#ifndef RMNIC_DAEMON_FRONTEND_INTERNAL_H
#define RMNIC_DAEMON_FRONTEND_INTERNAL_H

#include "common/listener.h"
#include "daemon/device.h"
#include "daemon/frontend.h"
#include "user/conn.h"

enum rmnic_frontend_phase {
	RMNIC_FRONTEND_OPEN,     /* serves, or waits for a request */
	RMNIC_FRONTEND_REFUSING, /* DEVICE failed: answered when what it reserved was given back */
	RMNIC_FRONTEND_LEAVING,  /* DMA is being ended; then RMNIC_FRONTEND_LEAVING */
	RMNIC_FRONTEND_ORPHAN,   /* no connection; the slabs are kept while the process lives */
	RMNIC_FRONTEND_ENDING,   /* no connection; the device is being taken away */
};

struct rmnic_frontend {
	struct rmnic_frontend *next;
	struct rmnic_frontends *all;
	enum rmnic_frontend_phase phase;
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
	struct rmnic_vdev_reply refusal; /* RMNIC_FRONTEND_REFUSING */
	int pid;
};

struct rmnic_frontends {
	struct rmnic_backend *backend;
	struct rmnic_listener listener;
	sd_event_source *io;
	struct rmnic_frontend *list;
	unsigned int count;
	uint64_t refused[RMNIC_USER_S_COUNT];
	void (*left)(void *arg);
	void *left_arg;
};

/* --- frontend.c ------------------------------------------------------------------------------ */

extern const struct rmnic_vdev_ops rmnic_frontend_vdev_ops;
/* The connection is gone or not wanted any more; the device goes as well, if there is one. */
void rmnic_frontend_end(struct rmnic_frontend *f, bool release);
/* pidfd is readable: the process is dead. For sd_event_add_io(). */
int rmnic_frontend_death(sd_event_source *source, int fd, uint32_t events, void *arg);

/* --- frontend_ask.c -------------------------------------------------------------------------- */

extern const struct rmnic_user_conn_ops rmnic_frontend_conn_ops;
/* A device has ended: somebody may have waited for it. */
void rmnic_frontends_next(struct rmnic_frontends *fs);

#endif /* RMNIC_DAEMON_FRONTEND_INTERNAL_H */
