/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/report.h - what is told about the backend, as JSON (common/ctl-results.md) and as
 * figures for Prometheus. The control thread's.
 */
#ifndef RMNIC_DAEMON_REPORT_H
#define RMNIC_DAEMON_REPORT_H

#include <jansson.h>

#include "common/daemon.h"
#include "common/metrics.h"
#include "daemon/backend.h"
#include "daemon/frontend.h"

struct rmnic_report {
	struct rmnic_backend *backend;
	struct rmnic_frontends *frontends;
	struct rmnic_daemon *daemon;
	uint64_t started_ns;
	/* For busy_percent: of each worker, when it was last asked. */
	uint64_t asked_ns[RMNIC_MAX_LCORES], slept_ns[RMNIC_MAX_LCORES];
};

json_t *rmnic_report_devices(struct rmnic_report *r);
json_t *rmnic_report_servers(struct rmnic_report *r);
/* The device of this uuid, as text. NULL: err. */
struct rmnic_vdev *rmnic_report_device(struct rmnic_report *r, const char *name,
				       struct rmnic_error *err);
/* device: a uuid, or NULL for all. NULL: err, there is no such device. */
json_t *rmnic_report_slabs(struct rmnic_report *r, const char *device, struct rmnic_error *err);
json_t *rmnic_report_latency(struct rmnic_report *r);
json_t *rmnic_report_stats(struct rmnic_report *r);
json_t *rmnic_report_status(struct rmnic_report *r);
/* Fits rmnic_metrics_fill; arg: the struct rmnic_report. */
void rmnic_report_metrics(void *arg, struct rmnic_metrics *m);

#endif /* RMNIC_DAEMON_REPORT_H */
