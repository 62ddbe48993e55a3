/* SPDX-License-Identifier: BSD-3-Clause */
/* The figures for Prometheus and for DPDK's telemetry. */
#include <rte_telemetry.h>
#include <stdio.h>

#include "memd/report.h"

void memd_report_metrics(void *arg, struct rmnic_metrics *m)
{
	struct memd_figure figure[MEMD_FIGURES];
	unsigned int n = memd_report_figures(arg, figure);
	char name[80];

	for (unsigned int i = 0; i < n; i++) {
		const struct rmnic_metric metric = {
			.name = name,
			.type = figure[i].gauge ? RMNIC_METRIC_GAUGE : RMNIC_METRIC_COUNTER,
			.help = figure[i].help,
		};

		snprintf(name, sizeof(name), "rmnic_memd_%s%s", figure[i].name,
			 figure[i].gauge ? "" : "_total");
		rmnic_metrics_family(m, &metric);
		rmnic_metrics_uint(m, NULL, 0, figure[i].value);
	}
}

/* DPDK passes no argument to a command. */
static struct memd_server *server;

static int tell_stats(const char *cmd, const char *params, struct rte_tel_data *d)
{
	struct memd_figure figure[MEMD_FIGURES];
	unsigned int n = memd_report_figures(server, figure);

	(void)cmd;
	(void)params;
	rte_tel_data_start_dict(d);
	for (unsigned int i = 0; i < n; i++)
		rte_tel_data_add_dict_u64(d, figure[i].name, figure[i].value);
	return 0;
}

/* The same answers as the control socket's, as text. */
static int tell_json(json_t *value, struct rte_tel_data *d)
{
	char *text = value ? json_dumps(value, JSON_COMPACT) : NULL;
	int status = -1;

	json_decref(value);
	if (text)
		status = rte_tel_data_string(d, text);
	free(text);
	return status;
}

static int tell_memory(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	return tell_json(memd_report_memory(server), d);
}

static int tell_sessions(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	return tell_json(memd_report_sessions(server), d);
}

void memd_report_telemetry(struct memd_server *s)
{
	server = s;
	rte_telemetry_register_cmd("/rmnic/memd/stats", tell_stats, "Counters and gauges of the server.");
	rte_telemetry_register_cmd("/rmnic/memd/memory", tell_memory, "What is lent, promised and free.");
	rte_telemetry_register_cmd("/rmnic/memd/sessions", tell_sessions, "Who has a session.");
}
