/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memd/pressure.h - when the machine wants its memory back. A server lends what is idle and does not
 * swap: under pressure it takes no new slabs, asks backends to take theirs away, and gives the memory
 * of those that leave to the system. In the main thread.
 */
#ifndef RMNIC_MEMD_PRESSURE_H
#define RMNIC_MEMD_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/error.h"
#include "memd/server.h"

struct memd_pressure;

struct memd_pressure_info {
	bool now;
	uint64_t available; /* bytes that the system could give; UINT64_MAX: it does not say */
	uint64_t below;     /* pressure begins there, and ends at twice as much */
};

/* config: with what it says at each look. NULL: err. */
struct memd_pressure *memd_pressure_open(sd_event *event, struct memd_server *server,
					 const struct memd_config *config, struct rmnic_error *err);
void memd_pressure_close(struct memd_pressure *p);
/* The configuration is another one: looks at once. */
void memd_pressure_changed(struct memd_pressure *p);
void memd_pressure_look(struct memd_pressure *p, struct memd_pressure_info *out);

#endif /* RMNIC_MEMD_PRESSURE_H */
