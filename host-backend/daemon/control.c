/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/control.h"

#include <stdlib.h>
#include <string.h>

#include "common/conf_json.h"
#include "daemon/control_internal.h"
#include "daemon/telemetry.h"

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
	struct rmnic_config config = *c->report.backend->config;
	const struct rmnic_tuning *t = &c->report.backend->tuning;

	(void)request;
#define X(name) config.name = t->name;
	RMNIC_TUNINGS(X)
#undef X
	return give(rmnic_conf_json(&rmnic_config_program.table, &config), result, err);
}

static const struct rmnic_ctl_command commands[] = {
	{ "devices", do_devices, "the devices that are served, with their latencies" },
	{ "servers", do_servers, "the memory servers" },
	{ "slabs", do_slabs, "where each slab is; of one device, if \"device\" is given" },
	{ "latency", do_latency, "histograms of each device's stages" },
	{ "stats", do_stats, "counters of all devices together" },
	{ "status", do_status, "this process: lcores, ports, memory" },
	{ "config", do_config, "the settings; servers as they were at the start" },
	{ "server", rmnic_control_server, "adds, drains, undrains or removes a memory server" },
	{ "replicas", rmnic_control_replicas, "servers that hold each page; of one device, if \"device\" is "
	  "given" },
	{ "repair-rate", rmnic_control_repair_rate, "pages a second copied from server to server" },
	{ "scrub-rate", rmnic_control_scrub_rate, "pages a second whose copies are compared" },
	{ "set", rmnic_control_set, "a setting that may change, as it is, or another value for it" },
	{ "slab", rmnic_control_slab, "forces slabs that wait for a server" },
	{ "device", rmnic_control_device, "recovers a device whose state is gone" },
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
