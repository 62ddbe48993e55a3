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

static int run_pressure(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct memd_control *c = arg;
	struct memd_pressure_info info;
	const char *mode;
	int i = 0;

	if (json_object_get(request, "mode")) {
		if (rmnic_ctl_string(request, "mode", &mode, err))
			return -1;
		while (memd_pressure_names[i] && strcmp(memd_pressure_names[i], mode) != 0)
			i++;
		if (!memd_pressure_names[i])
			return rmnic_error_set(err, "mode: '%s' is none of on, off and auto", mode);
		c->config->pressure = i;
		memd_pressure_changed(c->pressure);
	}
	memd_pressure_look(c->pressure, &info);
	return give(json_pack("{s:s,s:b,s:I,s:I}", "mode", memd_pressure_names[c->config->pressure],
			      "pressure", info.now, "available", (json_int_t)info.available, "below",
			      (json_int_t)info.below),
		    result, err);
}

static int run_drain(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct memd_control *c = arg;
	const json_t *on = json_object_get(request, "on");

	if (on) {
		if (!json_is_boolean(on))
			return rmnic_error_set(err, "on: true or false is wanted");
		memd_server_drain(c->server, json_is_true(on));
		rmnic_log_info(json_is_true(on) ? "new slabs are refused (drain)"
						: "new slabs are taken again (drain off)");
	}
	return give(json_pack("{s:b}", "draining", memd_server_draining(c->server)), result, err);
}

static int run_scrub(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct memd_control *c = arg;
	uint64_t rate;

	if (json_object_get(request, "pages")) {
		if (rmnic_ctl_uint(request, "pages", 0, 10000000, &rate, err))
			return -1;
		c->config->scrub_rate = rate;
		memd_server_scrub(c->server, (uint32_t)rate);
	}
	return give(json_pack("{s:I}", "pages", (json_int_t)c->config->scrub_rate), result, err);
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
	lcores = json_pack("[{s:i,s:f,s:I,s:b,s:s}]", "lcore", 1, "busy_percent",
			   up > slept ? 100.0 * (double)(up - slept) / (double)up : 0.0, "sessions",
			   (json_int_t)figure(f, n, "sessions"), "awake", c->server->awake.asking,
			   "sched", c->server->batch.on ? "batch" : "other");
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
	{ "pressure", run_pressure,
	  "whether memory is short; with \"mode\": say so (on, off), or look at it (auto)" },
	{ "drain", run_drain, "whether new slabs are refused; with \"on\": refuse or take them" },
	{ "scrub-rate", run_scrub,
	  "pages a second that are looked at; with \"pages\": so many from now on" },
	{ "config", run_config, "the settings in force" },
	{ NULL, NULL, NULL },
};
