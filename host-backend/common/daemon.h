/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/daemon.h - what both daemons share: the control thread's event loop, signals, what is
 * said to systemd, locked memory, directories.
 *
 *   daemon = rmnic_daemon_create(...)   first of all: signals are blocked for threads to come
 *   ... listen, start the EAL and its lcores, watch fds with rmnic_daemon_event() ...
 *   rmnic_daemon_lock_memory(daemon)    when what is to be locked is there
 *   rmnic_daemon_ready(daemon, "2 servers, 1 port")
 *   rmnic_daemon_run(daemon)            until SIGTERM, SIGINT or rmnic_daemon_stop()
 *   rmnic_daemon_destroy(daemon)
 */
#ifndef RMNIC_COMMON_DAEMON_H
#define RMNIC_COMMON_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <systemd/sd-event.h>

#include "common/error.h"

struct rmnic_daemon;

struct rmnic_daemon_ops {
	/*
	 * SIGHUP. Either does all or nothing. -1: err is logged and everything stays as it
	 * was. NULL: SIGHUP is ignored, with a line that says so.
	 */
	int (*reload)(void *arg, struct rmnic_error *err);
	/*
	 * SIGTERM, SIGINT. The loop goes on until rmnic_daemon_finish(), so that what takes
	 * time can be finished; a second signal ends it at once. NULL: it ends at once.
	 */
	void (*stop)(void *arg);
};

/* NULL: err. Call it before the first thread is made. Also ignores SIGPIPE. */
struct rmnic_daemon *rmnic_daemon_create(const struct rmnic_daemon_ops *ops, void *arg,
					 struct rmnic_error *err);
void rmnic_daemon_destroy(struct rmnic_daemon *daemon);
sd_event *rmnic_daemon_event(struct rmnic_daemon *daemon);

/*
 * Locks what is mapped, and what will be where that cannot make a later mapping fail (RULES
 * F8). False: it may not; a warning says what to do, and the daemon goes on.
 */
bool rmnic_daemon_lock_memory(struct rmnic_daemon *daemon);
/* "locked", "locked up to now", or "not locked: Cannot allocate memory (limit 8M)"; for status. */
const char *rmnic_daemon_memory(const struct rmnic_daemon *daemon);

/* Tells systemd that it serves, and logs it. status: a line for a person. */
void rmnic_daemon_ready(struct rmnic_daemon *daemon, const char *status);
/* A new status line, said only when it differs from the last. */
void rmnic_daemon_status(struct rmnic_daemon *daemon, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Runs the loop. The exit status. */
int rmnic_daemon_run(struct rmnic_daemon *daemon);
/* As SIGTERM does; from inside the loop. */
void rmnic_daemon_stop(struct rmnic_daemon *daemon);
/* Ends the loop with this exit status. */
void rmnic_daemon_finish(struct rmnic_daemon *daemon, int status);

/*
 * Where sockets go by default: $RUNTIME_DIRECTORY (systemd's) if set, /run/rmnic as root, else
 * $XDG_RUNTIME_DIR/rmnic, else /tmp/rmnic-UID. It is made if it is not there. Returns buf with
 * "/name" added, or NULL with err.
 */
const char *rmnic_runtime_path(const char *name, char *buf, size_t len,
			       struct rmnic_error *err);
/* The same for who only looks: nothing is made. */
const char *rmnic_runtime_name(const char *name, char *buf, size_t len);

#endif /* RMNIC_COMMON_DAEMON_H */
