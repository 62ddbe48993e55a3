/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/control.h - what rmnicctl, DPDK's telemetry and Prometheus are told, and what rmnicctl may
 * change. The shapes of the answers: common/ctl-results.md.
 */
#ifndef RMNIC_DAEMON_CONTROL_H
#define RMNIC_DAEMON_CONTROL_H

#include <jansson.h>

#include "common/daemon.h"
#include "daemon/backend.h"
#include "daemon/frontend.h"

struct rmnic_control;

/* path: of the control socket. NULL: err. */
struct rmnic_control *rmnic_control_open(struct rmnic_backend *b, struct rmnic_frontends *fs,
					 struct rmnic_daemon *daemon, const char *path,
					 struct rmnic_error *err);
/* NULL is allowed. */
void rmnic_control_close(struct rmnic_control *c);

#endif /* RMNIC_DAEMON_CONTROL_H */
