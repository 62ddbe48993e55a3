/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rmnicd - the host backend: keeps the pages of this host's guests on memory servers.
 *
 * This thread is the control thread: front ends, rmnicctl, signals. Pages move in the workers
 * (worker.c). What is made here is taken apart in reverse.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/cpu_latency.h"
#include "common/daemon.h"
#include "common/log.h"
#include "daemon/backend.h"
#include "daemon/control.h"
#include "daemon/frontend.h"
#include "user/guard.h"

struct program {
	struct rmnic_config config;
	int argc;
	char **argv;
	struct rmnic_daemon *daemon;
	struct rmnic_backend backend;
	struct rmnic_frontends *frontends;
	struct rmnic_control *control;
};

static int reload(void *arg, struct rmnic_error *err)
{
	struct program *p = arg;
	struct rmnic_config fresh;
	const char *fixed;
	int ret = -1;

	memset(&fresh, 0, sizeof(fresh));
	if (rmnic_conf_parse(&rmnic_config_program, p->argc, p->argv, &fresh, err) !=
	    RMNIC_CONF_OK)
		return -1;
	fixed = rmnic_conf_fixed(&rmnic_config_program.table, &p->config, &fresh);
	if (fixed)
		rmnic_error_set(err, "%s cannot change while rmnicd runs: restart it", fixed);
	else
		ret = rmnic_backend_reload(&p->backend, &fresh, err);
	if (!ret)
		rmnic_log_level_set((enum rmnic_log_level)fresh.log_level);
	rmnic_conf_free(&rmnic_config_program.table, &fresh);
	return ret;
}

static void left(void *arg)
{
	struct program *p = arg;

	rmnic_daemon_finish(p->daemon, 0);
}

/* Guests stall from here on, until the next backend comes. */
static void stop(void *arg)
{
	struct program *p = arg;

	if (p->frontends)
		rmnic_frontends_leave(p->frontends, left, p);
	else
		left(p);
}

static const struct rmnic_daemon_ops daemon_ops = { .reload = reload, .stop = stop };

static const char *path_of(const char *given, const char *name, char *buf, size_t len,
			   struct rmnic_error *err)
{
	return given ? given : rmnic_runtime_path(name, buf, len, err);
}

static int open_all(struct program *p, struct rmnic_error *err)
{
	char socket_buf[108], control_buf[108], text[160];
	const char *socket, *control;

	socket = path_of(p->config.socket, "rmnic.sock", socket_buf, sizeof(socket_buf), err);
	control = path_of(p->config.control, "rmnicd.ctl", control_buf, sizeof(control_buf), err);
	if (!socket || !control)
		return -1;
	/*
	 * The socket first: it tells whether another rmnicd is here, before anything of that
	 * one's ports is touched. Who connects meanwhile waits.
	 */
	p->backend.config = &p->config;
	p->backend.event = rmnic_daemon_event(p->daemon);
	p->frontends = rmnic_frontends_open(&p->backend, socket, err);
	if (!p->frontends ||
	    rmnic_backend_open(&p->backend, &p->config, p->backend.event, err))
		return -1;
	if (!rmnic_guard_install())
		return rmnic_error_set(err, "SIGBUS cannot be handled: %m");
	rmnic_daemon_lock_memory(p->daemon);
	if (rmnic_cpu_latency_ask(p->config.cpu_latency_us, err))
		return -1;
	p->control = rmnic_control_open(&p->backend, p->frontends, p->daemon, control, err);
	if (!p->control)
		return -1;
	snprintf(text, sizeof(text), "%u server%s, %u port%s, listening at %s", p->backend.nservers,
		 p->backend.nservers == 1 ? "" : "s", p->backend.nports,
		 p->backend.nports == 1 ? "" : "s", socket);
	rmnic_daemon_ready(p->daemon, text);
	return 0;
}

static int run(struct program *p)
{
	struct rmnic_error err;
	int status = 1;

	p->daemon = rmnic_daemon_create(&daemon_ops, p, &err);
	if (!p->daemon) {
		rmnic_log_error("%s", err.text);
		return 1;
	}
	if (open_all(p, &err))
		rmnic_log_error("%s", err.text);
	else
		status = rmnic_daemon_run(p->daemon);
	rmnic_control_close(p->control);
	rmnic_frontends_close(p->frontends);
	rmnic_backend_close(&p->backend);
	rmnic_daemon_destroy(p->daemon);
	return status;
}

int main(int argc, char **argv)
{
	static struct program program;
	struct rmnic_error err;
	int status;

	rmnic_log_open("rmnicd");
	program.argc = argc;
	program.argv = argv;
	switch (rmnic_conf_parse(&rmnic_config_program, argc, argv, &program.config, &err)) {
	case RMNIC_CONF_DONE:
		return 0;
	case RMNIC_CONF_BAD:
		rmnic_log_error("%s", err.text);
		return 2;
	default:
		break;
	}
	rmnic_log_level_set((enum rmnic_log_level)program.config.log_level);
	status = run(&program);
	rmnic_conf_free(&rmnic_config_program.table, &program.config);
	return status;
}
