/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * user/conn.h - one rmnic-user connection, the backend's side (spec/user.md).
 *
 * Everything here runs in the control thread. Requests are checked, put into order and handed
 * to the owner, who answers each with rmnic_user_conn_answer() or _refuse(), at once or
 * later; the next request is not looked at before that. Sockets are not blocking and are
 * watched by the owner's event loop.
 */
#ifndef RMNIC_USER_CONN_H
#define RMNIC_USER_CONN_H

#include "common/error.h"
#include "rmnic/user.h"

struct rmnic_user_conn;

/* A state block that was received: mapped, its seals and length checked (USER-6). */
struct rmnic_user_state {
	void *map;
	uint64_t size;
};

struct rmnic_user_conn_ops {
	/* Requests; each is answered by the owner. Values are in the host's byte order where
	 * they are arguments, as on the wire inside structures. fds become the owner's. */
	void (*device)(void *arg, const struct rmnic_user_device *device,
		       const struct rmnic_user_state *state);
	void (*mem_add)(void *arg, uint64_t addr, uint64_t size, uint64_t offset, int fd);
	void (*mem_del)(void *arg, uint64_t addr, uint64_t size);
	void (*kick)(void *arg, int fd);
	void (*call)(void *arg, uint16_t first, uint16_t count, const int *fds);
	void (*enable)(void *arg, const struct rmnic_user_enable *enable);
	void (*reset)(void *arg);
	void (*stop)(void *arg, uint32_t drain_ms);
	void (*start)(void *arg);
	void (*capacity)(void *arg, uint64_t pages);
	void (*stats)(void *arg);
	void (*bye)(void *arg);
	/*
	 * The connection ended; the last call. why: for the log. front_gone: the process at the
	 * other end is known dead (USER-21); else it may connect again.
	 */
	void (*closed)(void *arg, const char *why, bool front_gone);
};

struct rmnic_user_conn_config {
	const struct rmnic_user_conn_ops *ops;
	void *arg;
	uint64_t device_features; /* RMNIC_F_*, for HELLO */
	const char *name;         /* for HELLO */
};

/* fd: accepted, becomes the connection's. NULL: out of memory; fd is closed. */
struct rmnic_user_conn *rmnic_user_conn_create(int fd,
					       const struct rmnic_user_conn_config *config);
/* Closes; ops->closed() is not called. Says LEAVING first if the owner has unmapped all. */
void rmnic_user_conn_destroy(struct rmnic_user_conn *conn, bool leaving);
/* The socket, and what to watch it for (EPOLLIN, EPOLLOUT). */
int rmnic_user_conn_fd(const struct rmnic_user_conn *conn);
uint32_t rmnic_user_conn_events(const struct rmnic_user_conn *conn);
/* The socket is ready. May end in ops->closed(), after which conn is gone. */
void rmnic_user_conn_ready(struct rmnic_user_conn *conn);
/* pid of the front end and a pidfd that stays the connection's; -1: not to be had. */
int rmnic_user_conn_pid(const struct rmnic_user_conn *conn, int *pidfd);

/* Answers the request under way with OK and size bytes (what its type has), or refuses it. */
void rmnic_user_conn_answer(struct rmnic_user_conn *conn, const void *payload, uint32_t size);
void rmnic_user_conn_refuse(struct rmnic_user_conn *conn, uint16_t status, uint64_t available,
			    const char *text);
/* A notice, at any time. */
void rmnic_user_conn_fatal(struct rmnic_user_conn *conn, uint32_t error, uint32_t generation);

#endif /* RMNIC_USER_CONN_H */
