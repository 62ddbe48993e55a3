/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/control.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf_json.h"
#include "common/conf_net.h"
#include "common/ctl.h"
#include "daemon/report.h"
#include "daemon/telemetry.h"

struct rmnic_control {
	struct rmnic_report report;
	struct rmnic_ctl *ctl;
	struct rmnic_exporter *exporter;
};

static int give(json_t *json, json_t **result, struct rmnic_error *err)
{
	*result = json;
	return json ? 0 : rmnic_error_set(err, "out of memory");
}

static int do_devices(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct rmnic_control *c = arg;

	(void)request;
	return give(rmnic_report_devices(&c->report), result, err);
}

static int do_servers(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct rmnic_control *c = arg;

	(void)request;
	return give(rmnic_report_servers(&c->report), result, err);
}

static int do_slabs(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct rmnic_control *c = arg;
	const char *device = NULL;

	if (json_object_get(request, "device") &&
	    rmnic_ctl_string(request, "device", &device, err))
		return -1;
	*result = rmnic_report_slabs(&c->report, device, err);
	return *result ? 0 : -1;
}

static int do_latency(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct rmnic_control *c = arg;

	(void)request;
	return give(rmnic_report_latency(&c->report), result, err);
}

static int do_stats(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct rmnic_control *c = arg;

	(void)request;
	return give(rmnic_report_stats(&c->report), result, err);
}

static int do_status(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct rmnic_control *c = arg;

	(void)request;
	return give(rmnic_report_status(&c->report), result, err);
}

static int do_config(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct rmnic_control *c = arg;

	(void)request;
	return give(rmnic_conf_json(&rmnic_config_program.table, c->report.backend->config),
		    result, err);
}

static int do_server(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct rmnic_control *c = arg;
	struct rmnic_conf_server server;
	const char *action, *text;
	int ret;

	(void)result;
	if (rmnic_ctl_string(request, "action", &action, err) ||
	    rmnic_ctl_string(request, "server", &text, err) ||
	    rmnic_conf_item_parse(&rmnic_conf_server_table, text, &server, err))
		return -1;
	if (!strcmp(action, "add"))
		ret = rmnic_backend_server_add(c->report.backend, &server, false, err);
	else if (!strcmp(action, "remove"))
		ret = rmnic_backend_server_remove(c->report.backend, server.address, err);
	else
		ret = rmnic_error_set(err, "action '%s' is neither add nor remove", action);
	rmnic_conf_free(&rmnic_conf_server_table, &server);
	return ret;
}

static const struct rmnic_ctl_command commands[] = {
	{ "devices", do_devices, "the devices that are served, with their latencies" },
	{ "servers", do_servers, "the memory servers" },
	{ "slabs", do_slabs, "where each slab is; of one device, if \"device\" is given" },
	{ "latency", do_latency, "histograms of each device's stages" },
	{ "stats", do_stats, "counters of all devices together" },
	{ "status", do_status, "this process: lcores, ports, memory" },
	{ "config", do_config, "the settings as they were at the start" },
	{ "server", do_server, "adds or removes a memory server" },
	{ NULL, NULL, NULL },
};

struct rmnic_control *rmnic_control_open(struct rmnic_backend *b, struct rmnic_frontends *fs,
					 struct rmnic_daemon *daemon, const char *path,
					 struct rmnic_error *err)
{
	struct rmnic_control *c = calloc(1, sizeof(*c));

	if (!c) {
		rmnic_error_set(err, "out of memory");
		return NULL;
	}
	c->report.backend = b;
	c->report.frontends = fs;
	c->report.daemon = daemon;
	c->report.started_ns = rmnic_udp_now();
	c->ctl = rmnic_ctl_listen(b->event, path, commands, c, err);
	if (!c->ctl)
		goto fail;
	if (b->config->metrics_file) {
		c->exporter = rmnic_exporter_open(b->event, b->config->metrics_file,
						  (unsigned int)b->config->metrics_interval_ms,
						  rmnic_report_metrics, &c->report, err);
		if (!c->exporter)
			goto fail;
	}
	rmnic_telemetry_open(&c->report);
	json_decref(rmnic_report_status(&c->report)); /* from now on counts what is busy */
	return c;
fail:
	rmnic_control_close(c);
	return NULL;
}

void rmnic_control_close(struct rmnic_control *c)
{
	if (!c)
		return;
	rmnic_telemetry_close();
	rmnic_exporter_close(c->exporter);
	rmnic_ctl_close(c->ctl);
	free(c);
}
