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

#include <stdbool.h>
#include <stdint.h>

#include "rmnic/user.h"

struct rmnic_user_conn;

/* A state block that was received: mapped, and checked against the device (USER-6). */
struct rmnic_user_state {
	void *map;
	uint64_t size;
};

void rmnic_user_state_unmap(struct rmnic_user_state *state);

struct rmnic_user_conn_ops {
	/*
	 * Requests; each is answered by the owner. Values are in the host's byte order where
	 * they are arguments, as on the wire inside structures, which last as long as the
	 * request. fds, and the mapping of the state block, become the owner's, whatever
	 * the answer is. fds of kick and call are eventfds that do not block; that of mem_add
	 * is for rmnic_guest_region_prepare() to check.
	 */
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
	/* What rmnic_user_conn_events() returns has changed to this. NULL: the owner asks. */
	void (*watch)(void *arg, uint32_t events);
	/*
	 * The connection ended; the last call, conn is gone. why: for the log. front_gone: the
	 * process at the other end is known dead (USER-21). Else it may connect again, or it is on
	 * its way out: pidfd, the owner's from now on, becomes readable when it is dead. -1:
	 * it is dead, or no pidfd was to be had.
	 */
	void (*closed)(void *arg, const char *why, bool front_gone, int pidfd);
};

struct rmnic_user_conn_config {
	const struct rmnic_user_conn_ops *ops;
	void *arg;
	uint64_t device_features; /* RMNIC_F_*, for HELLO */
	const char *name;         /* for HELLO */
	/* What was refused, by status, of all connections; NULL: not wanted (USER-23). */
	uint64_t *refused; /* [RMNIC_USER_S_COUNT] */
};

/*
 * fd: accepted, becomes the connection's. NULL: out of memory; fd is closed. No op is called
 * before the first rmnic_user_conn_ready().
 */
struct rmnic_user_conn *rmnic_user_conn_create(int fd,
					       const struct rmnic_user_conn_config *config);
/*
 * Closes; ops->closed() is not called, and must not call this. leaving: says LEAVING first, for
 * an owner that has stopped all DMA and unmapped all. May be called inside an op.
 */
void rmnic_user_conn_destroy(struct rmnic_user_conn *conn, bool leaving);
/* The socket, and what to watch it for: of EPOLLIN and EPOLLOUT; EPOLLHUP always. */
int rmnic_user_conn_fd(const struct rmnic_user_conn *conn);
uint32_t rmnic_user_conn_events(const struct rmnic_user_conn *conn);
/* The socket is ready. At most one request is taken. May end in ops->closed(). */
void rmnic_user_conn_ready(struct rmnic_user_conn *conn);
/* pid of the front end and a pidfd that stays the connection's; -1: not to be had. */
int rmnic_user_conn_pid(const struct rmnic_user_conn *conn, int *pidfd);

/*
 * Answers the request under way with OK and size bytes (what its type has), or refuses it.
 * Neither calls back but for watch(): where the connection is broken, the socket becomes ready.
 */
void rmnic_user_conn_answer(struct rmnic_user_conn *conn, const void *payload, uint32_t size);
void rmnic_user_conn_refuse(struct rmnic_user_conn *conn, uint16_t status, uint64_t available,
			    const char *text);
/* A notice, at any time. */
void rmnic_user_conn_fatal(struct rmnic_user_conn *conn, uint32_t error, uint32_t generation);

#endif /* RMNIC_USER_CONN_H */
