/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memd/report.h - what the server tells about itself: control socket, DPDK's telemetry, metrics.
 */
#ifndef RMNIC_MEMD_REPORT_H
#define RMNIC_MEMD_REPORT_H

#include <jansson.h>

#include "common/metrics.h"
#include "memd/server.h"

#define MEMD_FIGURES 64

struct memd_figure {
	const char *name; /* "reads" */
	const char *help;
	bool gauge;       /* else a counter */
	uint64_t value;
};

/* Fills in all figures of the moment. Their number. In any other thread than the lcore. */
unsigned int memd_report_figures(struct memd_server *s, struct memd_figure out[MEMD_FIGURES]);

/* New references, or NULL without memory. */
json_t *memd_report_stats(struct memd_server *s);
json_t *memd_report_sessions(struct memd_server *s);
json_t *memd_report_slabs(struct memd_server *s);
json_t *memd_report_memory(struct memd_server *s);
json_t *memd_report_ports(const struct memd_server *s);

/* A rmnic_metrics_fill; arg: the server. */
void memd_report_metrics(void *arg, struct rmnic_metrics *m);
/* "/rmnic/memd/..." of DPDK's telemetry. It serves this server until the process ends. */
void memd_report_telemetry(struct memd_server *s);

#endif /* RMNIC_MEMD_REPORT_H */
