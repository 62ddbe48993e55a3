/* SPDX-License-Identifier: BSD-3-Clause */
/* A remote store with a spill file, and what can be seen of both. */
#ifndef SPILL_RIG_H
#define SPILL_RIG_H

#include "remote_rig.h"

#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)

extern struct memspill spill_file;
extern unsigned int spill_events[RMNIC_REMOTE_EVENT_COUNT];
extern struct rmnic_remote_event spill_last[RMNIC_REMOTE_EVENT_COUNT];

/* Servers with room for so many slabs each, a spill file for so many; a device of pages. */
void spill_set_up(unsigned int servers, uint32_t slabs, uint32_t places, uint64_t pages,
		  uint32_t replicas);
/* ... and it is READY. */
void spill_up(unsigned int servers, uint32_t slabs, uint32_t places, uint64_t pages,
	      uint32_t replicas);
/* Of a test: nothing was done to the file that must not be. */
int spill_tear_down(void **state);

const struct rmnic_remote_counters *spill_counters(void);
bool spill_is_spilled(uint64_t rpn);
bool spill_is_held(uint64_t rpn);
struct rmnic_state_view spill_view(uint64_t slab);
/* Until the page is with the servers, or no place of the file is held. False: not within ns. */
bool spill_comes_back(uint64_t rpn, uint64_t ns);
bool spill_nothing_held(uint64_t ns);
/* What a page-in comes to; remote_buf has the page. */
uint16_t spill_read(uint64_t rpn);
/* All servers are gone, with what they have; the next page-outs are not for them. */
void spill_servers_leave(void);

#endif /* SPILL_RIG_H */
