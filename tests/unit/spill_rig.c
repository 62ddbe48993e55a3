/* SPDX-License-Identifier: BSD-3-Clause */
#include "spill_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rmnic/device.h"

#define KIND(word) ((uint32_t)(word) & RMNIC_STATE_PAGE_KIND)

struct memspill spill_file;
unsigned int spill_events[RMNIC_REMOTE_EVENT_COUNT];
struct rmnic_remote_event spill_last[RMNIC_REMOTE_EVENT_COUNT];

static void on_event(void *arg, const struct rmnic_remote_event *event)
{
	(void)arg;
	spill_events[event->kind]++;
	spill_last[event->kind] = *event;
}

void spill_set_up(unsigned int servers, uint32_t slabs, uint32_t places, uint64_t pages,
		   uint32_t replicas)
{
	memset(spill_events, 0, sizeof(spill_events));
	assert_true(memspill_init(&spill_file, 7, pages, places * CLUSTER_SLAB));
	cluster_init(&rw, 1, servers, slabs * CLUSTER_SLAB + 40, pages, replicas);
	rw.spill = &spill_file;
	rw.cfg.event = on_event;
}

void spill_up(unsigned int servers, uint32_t slabs, uint32_t places, uint64_t pages,
	       uint32_t replicas)
{
	spill_set_up(servers, slabs, places, pages, replicas);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
}

int spill_tear_down(void **state)
{
	(void)state;
	cluster_fini(&rw);
	if (spill_file.wrong)
		fail_msg("%s", spill_file.why);
	memspill_fini(&spill_file);
	return 0;
}

const struct rmnic_remote_counters *spill_counters(void)
{
	return rmnic_store_remote_counters(rw.store);
}

bool spill_is_spilled(uint64_t rpn)
{
	return KIND(remote_word(rpn)) == RMNIC_STATE_PAGE_SPILLED;
}

bool spill_is_held(uint64_t rpn)
{
	return KIND(remote_word(rpn)) == RMNIC_STATE_PAGE_HELD;
}

struct rmnic_state_view spill_view(uint64_t slab)
{
	struct rmnic_state_block b = remote_block();
	struct rmnic_state_view v;

	assert_true(rmnic_state_view_get(&b, slab, &v));
	return v;
}

bool spill_comes_back(uint64_t rpn, uint64_t ns)
{
	uint64_t until = rw.net.now + ns;

	while (!spill_is_held(rpn))
		if (!cluster_step(&rw, until))
			return false;
	return true;
}

bool spill_nothing_held(uint64_t ns)
{
	uint64_t until = rw.net.now + ns;

	while (spill_file.held)
		if (!cluster_step(&rw, until))
			return false;
	return true;
}

uint16_t spill_read(uint64_t rpn)
{
	return cluster_in(&rw, rpn, remote_buf);
}

void spill_servers_leave(void)
{
	for (unsigned int i = 0; i < rw.nservers; i++)
		cluster_server_stop(&rw, i, true);
}

