/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tools/ctl/views.h - what each command's answer looks like (common/ctl-results.md).
 */
#ifndef RMNIC_CTL_VIEWS_H
#define RMNIC_CTL_VIEWS_H

#include "tools/ctl/table.h"

extern const struct ctl_table ctl_devices, ctl_servers, ctl_slabs, ctl_server_slabs, ctl_sessions,
	ctl_ports, ctl_lcores, ctl_stages;

void ctl_status_print(FILE *out, const json_t *result);
void ctl_latency_print(FILE *out, const json_t *result);
void ctl_slabs_print(FILE *out, const json_t *result);
void ctl_memory_print(FILE *out, const json_t *result);

#endif /* RMNIC_CTL_VIEWS_H */
