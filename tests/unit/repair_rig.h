/* SPDX-License-Identifier: BSD-3-Clause */
/* A remote store whose members come and go; what it said of that, and what they have. */
#ifndef REPAIR_RIG_H
#define REPAIR_RIG_H

#include "engine/step.h"
#include "remote_rig.h"

extern unsigned int repair_events[RMNIC_REMOTE_EVENT_COUNT];
extern struct rmnic_remote_event repair_last[RMNIC_REMOTE_EVENT_COUNT];

/* Not started yet: rw.cfg may be changed. */
void repair_init(unsigned int servers, uint64_t pages, uint32_t replicas);
void repair_start(void);
int repair_fini(void **state);
const struct rmnic_remote_counters *repair_counters(void);
struct rmnic_remote_progress repair_progress(void);
/* Slabs of the device that a server holds, in whatever role. */
uint64_t repair_slabs_on(unsigned int server);
/* Until every slab has all its members and nothing is under way. False: not within ns. */
bool repair_whole(uint64_t ns);
/* Writes page i with content base + i, for all pages. */
void repair_write_all(uint64_t base);
/* Whether all pages can be read and have that content, with only this server there. */
bool repair_alone(unsigned int server, uint64_t base);

#endif /* REPAIR_RIG_H */
