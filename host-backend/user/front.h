/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * user/front.h - the front end's side of rmnic-user, for programs that are no QEMU: the
 * generator rmnic-bench and tests. Blocking, with a limit on every call.
 */
#ifndef RMNIC_USER_FRONT_H
#define RMNIC_USER_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "rmnic/user.h"

struct rmnic_user_front;

/* Connects and says HELLO. NULL: err says why. timeout_ms: of this and each later call. */
struct rmnic_user_front *rmnic_user_front_open(const char *path, int timeout_ms,
					       struct rmnic_user_hello_reply *hello,
					       struct rmnic_error *err);
/* The same on a socket that is connected already, which becomes the front's; closed on failure. */
struct rmnic_user_front *rmnic_user_front_adopt(int fd, int timeout_ms,
						struct rmnic_user_hello_reply *hello,
						struct rmnic_error *err);
/*
 * The socket, the front's own: a hang-up says that the backend is gone or leaves, and SO_PEERCRED
 * which process it was (USER-19).
 */
int rmnic_user_front_fd(const struct rmnic_user_front *front);
/* Closes the socket, with no BYE. */
void rmnic_user_front_close(struct rmnic_user_front *front);
/*
 * One request and its reply. fds stay the caller's. reply: reply_size bytes, what the type has.
 * Returns RMNIC_USER_S_*, or -1 when the connection is broken or time ran out; err is set for
 * everything but OK. available: may be NULL.
 */
int rmnic_user_front_request(struct rmnic_user_front *front, uint16_t type, const void *payload,
			     uint32_t size, const int *fds, unsigned int nfds, void *reply,
			     uint32_t reply_size, uint64_t *available, struct rmnic_error *err);
/* Takes notices that came while nothing was asked. -1: the connection ended, err. */
int rmnic_user_front_listen(struct rmnic_user_front *front, struct rmnic_error *err);
/* The FATAL that came last and was not told yet: RMNIC_ERR_* and the generation. False: none. */
bool rmnic_user_front_fatal(struct rmnic_user_front *front, uint32_t *error,
			    uint32_t *generation);
/* LEAVING came: the end of the connection that follows is no death. */
bool rmnic_user_front_left(const struct rmnic_user_front *front);
/* A memfd of size bytes as USER-6 and USER-9 want it: sealed, mapped at *map. -1: err. */
int rmnic_user_memfd(const char *name, uint64_t size, void **map, struct rmnic_error *err);

#endif /* RMNIC_USER_FRONT_H */
