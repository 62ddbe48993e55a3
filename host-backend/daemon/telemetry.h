/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/telemetry.h - the same figures through DPDK's telemetry: /rmnic/devices, /rmnic/servers,
 * /rmnic/stats (dpdk-telemetry.py).
 *
 * Its callbacks run in threads of DPDK's: they ask the control thread by a message and wait for it.
 */
#ifndef RMNIC_DAEMON_TELEMETRY_H
#define RMNIC_DAEMON_TELEMETRY_H

#include "daemon/report.h"

void rmnic_telemetry_open(struct rmnic_report *report);
/* Later questions are answered with an error. */
void rmnic_telemetry_close(void);

#endif /* RMNIC_DAEMON_TELEMETRY_H */
