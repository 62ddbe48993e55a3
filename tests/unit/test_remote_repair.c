/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/le.h"
#include "repair_rig.h"
#include "rmnic/device.h"

#define PAGES (4 * CLUSTER_SLAB)

/* The server that holds the slab of rpn, but for `but`; rw.nservers: nobody. */
static unsigned int holder(uint64_t rpn, unsigned int but)
{
	for (unsigned int i = 0; i < rw.nservers; i++)
		if (i != but && remote_slab(i, rpn))
			return i;
	return rw.nservers;
}

/* --- One that comes back --------------------------------------------------------------------------- */

/* STATE-24, STATE-23: it gets what it missed, and no more, under a new handle. */
static void resync__what_was_missed(void **state)
{
	uint64_t handle;

	(void)state;
	repair_init(2, PAGES, 2);
	repair_start();
	repair_write_all(1000);
	handle = remote_slab(1, 0)->handle;
	cluster_server_stop(&rw, 1, true);
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(remote_out(i * 9, 5000 + i), RMNIC_SC_OK);
	assert_int_equal(rw.store->ops->free(rw.store, 70, 3), RMNIC_SC_OK);
	assert_int_equal(repair_progress().away, 4);
	assert_int_equal(repair_progress().degraded, 4);
	cluster_server_start(&rw, 1);
	assert_true(repair_whole(5000 * MS));
	assert_true(repair_counters()->copied >= 19);
	assert_true(repair_counters()->copied < 24); /* those that were being written when it was dropped */
	assert_int_equal(repair_counters()->resyncs, 4);
	assert_int_equal(repair_counters()->repairs, 0);
	assert_int_equal(repair_events[RMNIC_REMOTE_EV_SYNCING], 4);
	assert_int_equal(repair_events[RMNIC_REMOTE_EV_REPAIRED], 4);
	assert_true(remote_slab(1, 0)->handle != handle);
	assert_null(rmnic_mem_slab(rw.servers[1].store, 0, handle));
	/* RULES A7: pages and tombstones. */
	for (uint64_t i = 70; i < 73; i++)
		assert_true(rmnic_mem_page(remote_slab(1, i), i)->vstate & RMNIC_RMP_PAGE_TOMBSTONE);
	cluster_server_stop(&rw, 0, true);
	for (uint64_t i = 0; i < PAGES; i++) {
		if (i >= 70 && i < 73)
			assert_true(remote_zeros(i));
		else
			assert_true(remote_holds(i, i % 9 || i >= 180 ? 1000 + i : 5000 + i / 9));
	}
}

/* A false alarm, again and again: nothing is copied that was not written meanwhile. */
static void resync__false_alarms(void **state)
{
	(void)state;
	repair_init(2, PAGES, 2);
	repair_start();
	repair_write_all(1000);
	for (unsigned int k = 0; k < 6; k++) {
		cluster_server_stop(&rw, k % 2, true);
		assert_int_equal(remote_out(3, 70 + k), RMNIC_SC_OK);
		cluster_server_start(&rw, k % 2);
		assert_true(repair_whole(5000 * MS));
	}
	assert_true(repair_counters()->copied <= 12);
	assert_int_equal(repair_slabs_on(0) + repair_slabs_on(1), 8);
	assert_true(remote_holds(3, 75));
}

/* RMP-39: the answer to RENEW is lost, and the backend with it: its successor gets the same. */
static bool lose_renewals;

static bool lose_renew_answers(void *arg, struct memnet_packet *p)
{
	(void)arg;
	memnet_bytes(p);
	return !(lose_renewals && p->bytes[1] == (RMNIC_RMP_RENEW | RMNIC_RMP_REPLY));
}

static void resync__renewal_is_lost(void **state)
{
	(void)state;
	repair_init(2, CLUSTER_SLAB, 2);
	repair_start();
	repair_write_all(1);
	rw.net.filter = lose_renew_answers;
	lose_renewals = true;
	cluster_server_stop(&rw, 1, true);
	assert_int_equal(remote_out(3, 4), RMNIC_SC_OK); /* what it was to begin with */
	cluster_server_start(&rw, 1);
	cluster_run(&rw, 1500 * MS);
	assert_int_equal(repair_progress().away, 1);
	cluster_stop(&rw);
	lose_renewals = false;
	repair_start();
	assert_true(repair_whole(5000 * MS));
	assert_true(repair_counters()->copied < 4);
	assert_int_equal(repair_slabs_on(1), 1);
	assert_true(repair_alone(1, 1));
}

/* --- One that does not ---------------------------------------------------------------------------- */

/* It is waited for, then its pages are copied elsewhere; when it returns it gives back what it has. */
static void repair__elsewhere(void **state)
{
	unsigned int first, other, third;

	(void)state;
	repair_init(3, CLUSTER_SLAB, 2);
	repair_start();
	repair_write_all(1);
	first = holder(0, 3);
	other = holder(0, first);
	third = 3 - first - other;
	cluster_server_stop(&rw, first, true);
	assert_int_equal(remote_out(7, 8), RMNIC_SC_OK);
	cluster_run(&rw, 1500 * MS);
	assert_null(remote_slab(third, 0)); /* not yet */
	assert_true(repair_whole(10000 * MS));
	assert_non_null(remote_slab(third, 0));
	assert_int_equal(repair_counters()->repairs, 1);
	assert_int_equal(repair_counters()->copied, CLUSTER_SLAB);
	assert_memory_equal(repair_last[RMNIC_REMOTE_EV_REPAIRED].server,
			    rmnic_rmp_client_uuid(rmnic_store_remote_client(rw.store), third), 16);
	cluster_server_start(&rw, first);
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(repair_slabs_on(first), 0);
	assert_true(repair_alone(third, 1));
}

/* One that is waited for is waited for no longer when less patience is asked for meanwhile. */
static void repair__patience_changes(void **state)
{
	(void)state;
	repair_init(3, CLUSTER_SLAB, 2);
	rw.cfg.away_ns = 3600000 * MS;
	repair_start();
	repair_write_all(1);
	cluster_server_stop(&rw, holder(0, 3), true);
	assert_int_equal(remote_out(7, 8), RMNIC_SC_OK);
	assert_false(repair_whole(20000 * MS));
	rmnic_store_remote_patience(rw.store, 30 * MS, 1000 * MS, 20);
	assert_true(repair_whole(5000 * MS));
	assert_int_equal(repair_counters()->repairs, 1);
}

/* STATE-8: one that has another store has nothing to wait for. */
static void repair__store_is_gone(void **state)
{
	(void)state;
	repair_init(2, PAGES, 2);
	rw.cfg.away_ns = 3600000 * MS;
	repair_start();
	repair_write_all(1);
	for (unsigned int k = 0; k < 4; k++) {
		cluster_server_stop(&rw, k % 2, false);
		cluster_server_start(&rw, k % 2);
		cluster_run(&rw, 100 * MS);
		assert_int_equal(remote_out(3, 4), RMNIC_SC_OK); /* somebody asks it something */
		assert_true(repair_whole(20000 * MS));
	}
	assert_int_equal(repair_counters()->repairs, 16);
	assert_true(repair_alone(1, 1));
}

/* It was away first: that it is back with another store is proof enough. */
static void repair__store_is_gone_meanwhile(void **state)
{
	(void)state;
	repair_init(2, PAGES, 2);
	rw.cfg.away_ns = 3600000 * MS;
	repair_start();
	repair_write_all(1);
	cluster_server_stop(&rw, 1, false);
	repair_write_all(1);
	assert_int_equal(repair_progress().away, 4);
	cluster_server_start(&rw, 1);
	assert_true(repair_whole(20000 * MS));
	assert_int_equal(repair_counters()->repairs, 4);
	assert_true(repair_alone(1, 1));
}

/* The guest goes on writing while a slow copy is made: what it wrote is what is there. */
static void repair__while_the_guest_writes(void **state)
{
	(void)state;
	repair_init(2, PAGES, 2);
	rw.cfg.repair_rate = 500;
	repair_start();
	repair_write_all(1);
	cluster_server_stop(&rw, 1, false);
	cluster_server_start(&rw, 1);
	cluster_run(&rw, 150 * MS);
	for (uint64_t i = 0; i < PAGES; i += 3) {
		assert_int_equal(remote_out(i, i + 1), RMNIC_SC_OK);
		assert_int_equal(rw.store->ops->free(rw.store, i, 1), RMNIC_SC_OK);
		assert_int_equal(remote_out(i, i + 1), RMNIC_SC_OK);
		cluster_run(&rw, 3 * MS);
	}
	assert_true(repair_progress().syncing > 0); /* or it was over too soon to show anything */
	assert_true(repair_whole(20000 * MS));
	assert_true(repair_alone(1, 1));
}

/* --- One that fails while it is filled --------------------------------------------------------------- */

static void failed__tried_again_later(void **state)
{
	struct rmnic_peer_info info;
	uint64_t began;

	(void)state;
	repair_init(2, CLUSTER_SLAB, 2);
	rw.cfg.repair_rate = 50;
	repair_start();
	repair_write_all(1);
	cluster_server_stop(&rw, 1, true);
	repair_write_all(1);
	cluster_server_start(&rw, 1);
	while (!repair_counters()->copied)
		assert_true(cluster_step(&rw, rw.net.now + 10000 * MS));
	cluster_server_stop(&rw, 1, true);
	began = rw.net.now;
	while (!repair_events[RMNIC_REMOTE_EV_SYNC_FAILED])
		assert_true(cluster_step(&rw, began + 10000 * MS));
	assert_int_equal(repair_counters()->syncs_failed, 1);
	assert_int_equal(repair_progress().syncing, 0);
	began = rw.net.now;
	cluster_server_start(&rw, 1);
	do {
		assert_true(cluster_step(&rw, began + 900 * MS));
		rmnic_rmp_client_peer(rmnic_store_remote_client(rw.store), 1, &info);
	} while (info.state != RMNIC_PEER_READY || info.silent);
	cluster_run(&rw, began + 900 * MS - rw.net.now);
	assert_int_equal(repair_events[RMNIC_REMOTE_EV_SYNCING], 1); /* it is there, but not at once */
	assert_true(repair_whole(20000 * MS));
	assert_true(repair_alone(1, 1)); /* it lacked what it had lacked before, too */
}

/* Nobody has room: it is asked for again, and found when there is some. */
static void failed__no_room(void **state)
{
	uint64_t handle;
	unsigned int i = 2;

	(void)state;
	repair_init(3, CLUSTER_SLAB, 2);
	for (unsigned int k = 0; k < 3; k++)
		rw.servers[k].npages = CLUSTER_SLAB + 256;
	cluster_server_stop(&rw, 2, true);
	repair_start();
	repair_write_all(1);
	assert_int_equal(rmnic_mem_alloc(rw.servers[2].store, 5, 1, 0, CLUSTER_SLAB, &handle),
			 RMNIC_RMP_S_OK);
	while (rmnic_mem_alloc(rw.servers[2].store, 5, 1, i, CLUSTER_SLAB, &handle) == RMNIC_RMP_S_OK)
		i++;
	cluster_server_start(&rw, 2);
	cluster_server_stop(&rw, 1, true);
	assert_int_equal(remote_out(7, 8), RMNIC_SC_OK);
	assert_false(repair_whole(10000 * MS));
	assert_int_equal(repair_progress().degraded, 1);
	rmnic_mem_device_drop(rw.servers[2].store, 5);
	assert_true(repair_whole(20000 * MS));
	assert_true(repair_alone(2, 1));
}

/* --- Servers that are to be rid of their slabs --------------------------------------------------------- */

/* First another one is filled, then the old one leaves: there are always as many as there were. */
static void drain__nothing_is_lost(void **state)
{
	(void)state;
	repair_init(3, 8 * CLUSTER_SLAB, 2);
	repair_start();
	repair_write_all(1);
	assert_true(rmnic_store_remote_holds(rw.store, 0) > 0);
	rmnic_store_remote_drain(rw.store, 0, true);
	assert_true(repair_progress().moving > 0);
	for (uint64_t i = 0; rmnic_store_remote_holds(rw.store, 0); i++) {
		struct rmnic_remote_progress p = repair_progress();

		assert_int_equal(p.degraded, 0);
		assert_true(cluster_step(&rw, rw.net.now + 20000 * MS));
		if (i % 64 == 0)
			assert_true(remote_holds(i / 64 % (8 * CLUSTER_SLAB), 1 + i / 64 % (8 * CLUSTER_SLAB)));
	}
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(repair_slabs_on(0), 0); /* they were given back */
	assert_int_equal(repair_slabs_on(1) + repair_slabs_on(2), 16);
	assert_int_equal(repair_progress().moving, 0);
	/* It is given no more, until it is wanted again. */
	cluster_server_stop(&rw, 1, false);
	cluster_server_start(&rw, 1);
	repair_write_all(1);
	assert_true(repair_whole(20000 * MS));
	assert_int_equal(repair_slabs_on(0), 0);
	cluster_server_stop(&rw, 2, false);
	repair_write_all(1);
	rmnic_store_remote_drain(rw.store, 0, false);
	assert_true(repair_whole(20000 * MS));
	assert_int_equal(repair_slabs_on(0), 8);
	assert_true(repair_alone(0, 1));
}

/* There is nowhere to go: it stays, and nothing fails. */
static void drain__nowhere_to_go(void **state)
{
	(void)state;
	repair_init(2, CLUSTER_SLAB, 2);
	repair_start();
	repair_write_all(1);
	rmnic_store_remote_drain(rw.store, 1, true);
	cluster_run(&rw, 10000 * MS);
	assert_int_equal(repair_progress().moving, 1);
	assert_int_equal(repair_progress().degraded, 0);
	assert_int_equal(rmnic_store_remote_holds(rw.store, 1), 1);
	assert_true(repair_alone(1, 1));
}

/* With as many members as there can be, one leaves before the other is filled. */
static void drain__four_replicas(void **state)
{
	(void)state;
	repair_init(5, CLUSTER_SLAB, 4);
	repair_start();
	repair_write_all(1);
	for (unsigned int i = 0; i < 5; i++)
		if (remote_slab(i, 0)) {
			rmnic_store_remote_drain(rw.store, rw.servers[i].peer, true);
			assert_true(repair_whole(20000 * MS));
			cluster_run(&rw, 2000 * MS);
			assert_null(remote_slab(i, 0));
			break;
		}
	assert_int_equal(repair_counters()->repairs, 1);
}

/* A server that lends less asks for slabs to be taken away: a few at a time, until it is content. */
static void pressure__some_at_a_time(void **state)
{
	unsigned int most = 0;
	uint64_t had;

	(void)state;
	repair_init(3, 16 * CLUSTER_SLAB, 2);
	repair_start();
	repair_write_all(1);
	had = repair_slabs_on(0);
	assert_true(had > 6);
	rmnic_rmp_server_pressure(rw.servers[0].server, true);
	while (repair_slabs_on(0) > had - 4) {
		struct rmnic_remote_progress p = repair_progress();

		assert_int_equal(p.degraded, 0);
		if (p.syncing > most)
			most = (unsigned int)p.syncing;
		assert_true(cluster_step(&rw, rw.net.now + 20000 * MS));
	}
	assert_in_range(most, 1, 2);
	rmnic_rmp_server_pressure(rw.servers[0].server, false);
	cluster_run(&rw, 20000 * MS);
	assert_true(repair_slabs_on(0) >= had - 8);
	assert_true(repair_whole(1000 * MS));
	for (uint64_t i = 0; i < 16 * CLUSTER_SLAB; i++)
		assert_true(remote_holds(i, 1 + i));
}

/* --- More and fewer -------------------------------------------------------------------------------------- */

static void replicas__more_and_fewer(void **state)
{
	(void)state;
	repair_init(3, PAGES, 1);
	repair_start();
	repair_write_all(1);
	assert_false(rmnic_store_remote_replicas(rw.store, 0));
	assert_false(rmnic_store_remote_replicas(rw.store, RMNIC_RMP_MAX_MEMBERS + 1));
	assert_true(rmnic_store_remote_replicas(rw.store, 3));
	assert_true(repair_whole(20000 * MS));
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(repair_slabs_on(i), 4);
	assert_true(rmnic_store_remote_replicas(rw.store, 1));
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(repair_slabs_on(0) + repair_slabs_on(1) + repair_slabs_on(2), 4);
	for (uint64_t i = 0; i < PAGES; i++)
		assert_true(remote_holds(i, 1 + i));
}

/* --- A backend that dies -------------------------------------------------------------------------------- */

static jmp_buf death;
static unsigned int steps_left;

static void step(void)
{
	if (!--steps_left)
		longjmp(death, 1);
}

/* From the loss of a member until it is whole again, with a death at step n. False: it was not reached. */
static bool die_at(unsigned int n, bool memory)
{
	volatile bool died = true;

	repair_init(3, CLUSTER_SLAB, 2);
	rw.cfg.away_ns = 200 * MS;
	repair_start();
	repair_write_all(1);
	cluster_server_stop(&rw, holder(0, 3), memory);
	steps_left = n;
	rmnic_step_hook = step;
	if (!setjmp(death)) {
		remote_out(9, 10);
		rw.store->ops->free(rw.store, 20, 1);
		for (unsigned int i = 0; i < 3; i++)
			if (!rw.servers[i].server)
				cluster_server_start(&rw, i);
		repair_whole(20000 * MS);
		cluster_run(&rw, 500 * MS);
		died = false;
	}
	rmnic_step_hook = NULL;
	cluster_stop(&rw);
	for (unsigned int i = 0; i < 3; i++)
		if (!rw.servers[i].server)
			cluster_server_start(&rw, i);
	return died;
}

/* Death at any store: a successor goes on, and at the end both members have everything. */
static void death__at_each_step(void **state)
{
	bool alive[2] = { false, false };

	(void)state;
	for (unsigned int n = 1; !alive[0] || !alive[1]; n++) {
		unsigned int first, second, memory = n % 2;

		alive[memory] |= !die_at(1 + n / 2, memory);

		repair_start();
		rw.store->ops->settle(rw.store, 0, CLUSTER_SLAB);
		if (!repair_whole(20000 * MS))
			fail_msg("step %u: no successor made it whole", 1 + n / 2);
		first = holder(0, 3);
		second = holder(0, first);
		assert_int_equal(holder(0, first) < 3, 1);
		cluster_run(&rw, 3000 * MS);
		assert_int_equal(repair_slabs_on(0) + repair_slabs_on(1) + repair_slabs_on(2), 2);
		for (unsigned int k = 0; k < 2; k++) {
			cluster_server_stop(&rw, k ? first : second, true);
			for (uint64_t i = 0; i < CLUSTER_SLAB; i++)
				if (i != 9 && i != 20)
					assert_true(remote_holds(i, 1 + i));
			cluster_server_start(&rw, k ? first : second);
			assert_true(repair_whole(20000 * MS));
		}
		repair_fini(NULL);
		if (alive[0] || alive[1])
			assert_true(n > 20); /* or there was nothing to die of */
	}
}

#define TEST(name) cmocka_unit_test_teardown(name, repair_fini)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(resync__what_was_missed),
		TEST(resync__false_alarms),
		TEST(resync__renewal_is_lost),
		TEST(repair__elsewhere),
		TEST(repair__patience_changes),
		TEST(repair__store_is_gone),
		TEST(repair__store_is_gone_meanwhile),
		TEST(repair__while_the_guest_writes),
		TEST(failed__tried_again_later),
		TEST(failed__no_room),
		TEST(drain__nothing_is_lost),
		TEST(drain__nowhere_to_go),
		TEST(drain__four_replicas),
		TEST(pressure__some_at_a_time),
		TEST(replicas__more_and_fewer),
		TEST(death__at_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
