/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/control_internal.h - what the files of the control socket share.
 *
 * control.c        the socket, and what only asks
 * control_change.c commands that change something
 */
#ifndef RMNIC_DAEMON_CONTROL_INTERNAL_H
#define RMNIC_DAEMON_CONTROL_INTERNAL_H

#include "common/ctl.h"
#include "daemon/control.h"
#include "daemon/report.h"

struct rmnic_control {
	struct rmnic_report report;
	struct rmnic_ctl *ctl;
	struct rmnic_exporter *exporter;
};

/* For struct rmnic_ctl_command; arg: the struct rmnic_control. */
int rmnic_control_server(void *arg, const json_t *request, json_t **result,
			 struct rmnic_error *err);
int rmnic_control_replicas(void *arg, const json_t *request, json_t **result,
			   struct rmnic_error *err);
int rmnic_control_set(void *arg, const json_t *request, json_t **result,
		      struct rmnic_error *err);
int rmnic_control_repair_rate(void *arg, const json_t *request, json_t **result,
			      struct rmnic_error *err);
int rmnic_control_scrub_rate(void *arg, const json_t *request, json_t **result,
			     struct rmnic_error *err);
int rmnic_control_slab(void *arg, const json_t *request, json_t **result,
		       struct rmnic_error *err);
int rmnic_control_device(void *arg, const json_t *request, json_t **result,
			 struct rmnic_error *err);

#endif /* RMNIC_DAEMON_CONTROL_INTERNAL_H */
