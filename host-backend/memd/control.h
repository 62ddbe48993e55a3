/* SPDX-License-Identifier: BSD-3-Clause */
/* memd/control.h - the commands of the control socket. */
#ifndef RMNIC_MEMD_CONTROL_H
#define RMNIC_MEMD_CONTROL_H

#include "common/ctl.h"
#include "common/daemon.h"
#include "memd/pressure.h"
#include "memd/server.h"

struct memd_control {
	struct memd_server *server;
	struct rmnic_daemon *daemon;
	struct memd_config *config; /* "memory" and others change it */
	struct memd_pressure *pressure;
};

/* arg of its handlers: struct memd_control. */
extern const struct rmnic_ctl_command memd_commands[];

#endif /* RMNIC_MEMD_CONTROL_H */
