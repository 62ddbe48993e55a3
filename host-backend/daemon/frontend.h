/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/frontend.h - front ends (QEMUs): the rmnic-user socket, its connections, and which
 * device each is about. The control thread's.
 */
#ifndef RMNIC_DAEMON_FRONTEND_H
#define RMNIC_DAEMON_FRONTEND_H

#include "common/error.h"
#include "daemon/backend.h"

struct rmnic_frontends;

/* Listens at path. b outlives it. NULL: err. */
struct rmnic_frontends *rmnic_frontends_open(struct rmnic_backend *b, const char *path,
					     struct rmnic_error *err);
/*
 * Stops listening, ends DMA and says LEAVING to all; done(arg) when no device is left. Guests
 * stall and go on with the next backend.
 */
void rmnic_frontends_leave(struct rmnic_frontends *fs, void (*done)(void *arg), void *arg);
/* After that. NULL is allowed. */
void rmnic_frontends_close(struct rmnic_frontends *fs);
/* Refused requests by status, since the start (USER-23). */
const uint64_t *rmnic_frontends_refused(const struct rmnic_frontends *fs);
unsigned int rmnic_frontends_count(const struct rmnic_frontends *fs);

#endif /* RMNIC_DAEMON_FRONTEND_H */
