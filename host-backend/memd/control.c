/* SPDX-License-Identifier: BSD-3-Clause */
#include "memd/control.h"

#include <string.h>
#include <unistd.h>

#include "common/conf_json.h"
#include "common/log.h"
#include "common/version.h"
#include "memd/report.h"

static int give(json_t *value, json_t **result, struct rmnic_error *err)
{
	*result = value;
	return value ? 0 : rmnic_error_set(err, "no memory for the answer");
}

static int run_sessions(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	(void)request;
	return give(memd_report_sessions(((struct memd_control *)arg)->server), result, err);
}

static int run_slabs(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	(void)request;
	return give(memd_report_slabs(((struct memd_control *)arg)->server), result, err);
}

static int run_stats(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	(void)request;
	return give(memd_report_stats(((struct memd_control *)arg)->server), result, err);
}

static int run_memory(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct memd_control *c = arg;
	uint64_t bytes;

	if (json_object_get(request, "bytes")) {
		if (rmnic_ctl_uint(request, "bytes", 1 << 20, UINT64_C(1) << 43, &bytes, err) ||
		    memd_server_lend(c->server, bytes, err))
			return -1;
		c->config->memory = bytes;
		rmnic_log_info("%llu MiB are lent now", (unsigned long long)bytes >> 20);
	}
	return give(memd_report_memory(c->server), result, err);
}

static int run_config(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	(void)request;
	return give(rmnic_conf_json(&memd_program.table, ((struct memd_control *)arg)->config), result,
		    err);
}

static uint64_t figure(const struct memd_figure *f, unsigned int n, const char *name)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(f[i].name, name))
			return f[i].value;
	return 0;
}

static int run_status(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct memd_control *c = arg;
	struct memd_figure f[MEMD_FIGURES];
	unsigned int n = memd_report_figures(c->server, f);
	uint64_t up = figure(f, n, "uptime_us"), slept = figure(f, n, "slept_us");
	char uuid[37];
	json_t *lcores, *out;

	(void)request;
	lcores = json_pack("[{s:i,s:f,s:I}]", "lcore", 1, "busy_percent",
			   up > slept ? 100.0 * (double)(up - slept) / (double)up : 0.0, "sessions",
			   (json_int_t)figure(f, n, "sessions"));
	out = json_pack("{s:s,s:s,s:s,s:i,s:I,s:s,s:s,s:b,s:o*,s:o*}", "program", memd_program.name,
			"version", RMNIC_BACKEND_VERSION, "uuid", rmnic_uuid_format(c->server->uuid, uuid), "pid",
			(int)getpid(), "uptime_s", (json_int_t)(up / 1000000), "memory",
			rmnic_daemon_memory(c->daemon), "lent_memory",
			memd_memory_kind(&c->server->memory), "lent_locked", c->server->memory.locked,
			"lcores", lcores, "ports", memd_report_ports(c->server));
	return give(out, result, err);
}

const struct rmnic_ctl_command memd_commands[] = {
	{ "status", run_status, "what this is, its memory, lcores and ports" },
	{ "sessions", run_sessions, "who has a session" },
	{ "slabs", run_slabs, "what is reserved, slab by slab" },
	{ "stats", run_stats, "counters and gauges" },
	{ "memory", run_memory, "what is lent; with \"bytes\": lend so much" },
	{ "config", run_config, "the settings in force" },
	{ NULL, NULL, NULL },
};
