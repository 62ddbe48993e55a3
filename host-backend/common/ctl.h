/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/ctl.h - the control socket: one JSON object a line, each way.
 *
 *   {"command": "server", "action": "add", "server": "10.0.0.1:7611"}
 *   {"ok": true, "result": {}}       or      {"ok": false, "error": "text"}
 *
 * Commands run in the event loop's thread and answer at once. A client's next request is not
 * looked at before its last answer is on its way, so what a client can make grow is one line
 * and one answer. What the answers look like: ctl-results.md.
 */
#ifndef RMNIC_COMMON_CTL_H
#define RMNIC_COMMON_CTL_H

#include <jansson.h>
#include <systemd/sd-event.h>

#include "common/error.h"

#define RMNIC_CTL_MAX_REQUEST 65536    /* bytes of a request's line */
#define RMNIC_CTL_MAX_REPLY   (64u << 20)
#define RMNIC_CTL_MAX_CLIENTS 32
#define RMNIC_CTL_SLOW_MS     30000    /* a client that takes nothing for so long is dropped */

struct rmnic_ctl_command {
	const char *name;
	/*
	 * 0: *result is a new reference, which is given away (left NULL it stands for {}).
	 * -1: err says why not. request is the whole object, of unknown content otherwise.
	 */
	int (*run)(void *arg, const json_t *request, json_t **result, struct rmnic_error *err);
	const char *help; /* one line */
};

struct rmnic_ctl;

/*
 * Listens at path, mode 0660. A socket that a dead predecessor left is replaced, one with somebody
 * behind it never. commands ends with a NULL name and stays where it is; "help" (what there
 * is) and "log-level" ({"level": "debug"}) are there without it. NULL: err.
 */
struct rmnic_ctl *rmnic_ctl_listen(sd_event *event, const char *path,
				   const struct rmnic_ctl_command *commands, void *arg,
				   struct rmnic_error *err);
/* Drops the clients and removes the socket's file. NULL is allowed. */
void rmnic_ctl_close(struct rmnic_ctl *ctl);

/*
 * For a command's handler: a string, or a whole number, of the request. -1, err: it is missing, of
 * another type or out of range.
 */
int rmnic_ctl_string(const json_t *request, const char *key, const char **out,
		     struct rmnic_error *err);
int rmnic_ctl_uint(const json_t *request, const char *key, uint64_t min, uint64_t max,
		   uint64_t *out, struct rmnic_error *err);

/* --- A client's side; blocking, with a limit on every call --- */

struct rmnic_ctl_client;

struct rmnic_ctl_client *rmnic_ctl_connect(const char *path, int timeout_ms,
					   struct rmnic_error *err);
void rmnic_ctl_disconnect(struct rmnic_ctl_client *client);
/* Asks; takes the request over. The result, a new reference; NULL: err, the daemon's words. */
json_t *rmnic_ctl_ask(struct rmnic_ctl_client *client, json_t *request,
		      struct rmnic_error *err);

#endif /* RMNIC_COMMON_CTL_H */
