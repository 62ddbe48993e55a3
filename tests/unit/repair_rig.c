/* SPDX-License-Identifier: BSD-3-Clause */
#include "repair_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rmnic/device.h"

unsigned int repair_events[RMNIC_REMOTE_EVENT_COUNT];
struct rmnic_remote_event repair_last[RMNIC_REMOTE_EVENT_COUNT];

static void on_event(void *arg, const struct rmnic_remote_event *event)
{
	(void)arg;
	repair_events[event->kind]++;
	repair_last[event->kind] = *event;
}

void repair_init(unsigned int servers, uint64_t pages, uint32_t replicas)
{
	memset(repair_events, 0, sizeof(repair_events));
	memset(repair_last, 0, sizeof(repair_last));
	cluster_init(&rw, 1, servers, (uint32_t)pages + 256, pages, replicas);
	rw.cfg.event = on_event;
	rw.cfg.away_ns = 2000 * MS;
}

void repair_start(void)
{
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 10000 * MS));
}

int repair_fini(void **state)
{
	(void)state;
	if (rw.state)
		cluster_fini(&rw);
	memset(&rw, 0, sizeof(rw));
	return 0;
}

const struct rmnic_remote_counters *repair_counters(void)
{
	return rmnic_store_remote_counters(rw.store);
}

struct rmnic_remote_progress repair_progress(void)
{
	struct rmnic_remote_progress p;

	rmnic_store_remote_progress(rw.store, &p);
	return p;
}

uint64_t repair_slabs_on(unsigned int server)
{
	const struct rmnic_memstore *ms = rw.servers[server].store;
	uint64_t n = 0;

	for (uint32_t i = 0; i < ms->cfg.max_devices; i++)
		n += ms->devices[i].slabs;
	return n;
}

bool repair_whole(uint64_t ns)
{
	uint64_t until = rw.net.now + ns;
	struct rmnic_remote_progress p;

	do {
		p = repair_progress();
		if (p.slabs && !p.degraded && !p.syncing && !p.away && !p.moving)
			return true;
	} while (cluster_step(&rw, until));
	return false;
}

void repair_write_all(uint64_t base)
{
	struct rmnic_state_block b = remote_block();

	for (uint64_t i = 0; i < b.npages; i++)
		assert_int_equal(remote_out(i, base + i), RMNIC_SC_OK);
}

bool repair_alone(unsigned int server, uint64_t base)
{
	struct rmnic_state_block b = remote_block();
	bool good = true;

	for (unsigned int i = 0; i < rw.nservers; i++)
		if (i != server)
			cluster_server_stop(&rw, i, true);
	for (uint64_t i = 0; i < b.npages && good; i++)
		good = remote_holds(i, base + i);
	return good;
}
