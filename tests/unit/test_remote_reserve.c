/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "remote_rig.h"
#include "rmnic/device.h"

static uint64_t reserved(void)
{
	uint64_t n;

	rmnic_store_remote_status(rw.store, &n);
	return n;
}

static enum rmnic_remote_status status(void)
{
	return rmnic_store_remote_status(rw.store, NULL);
}

/* Until the status is this one. False: not within ns. */
static bool becomes(enum rmnic_remote_status want, uint64_t ns)
{
	uint64_t until = rw.net.now + ns;

	while (status() != want)
		if (!cluster_step(&rw, until))
			return status() == want;
	return true;
}

static uint64_t slabs_of(unsigned int server)
{
	return rw.servers[server].store->devices[0].slabs;
}

/* RULES L1: what is advertised is reserved, and no more; it grows when more is wanted. */
static void reserve__what_is_advertised(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 1, 1024, 512, 1);
	rw.cfg.reserve = CLUSTER_SLAB + 1; /* rounded up to slabs */
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 1000 * MS));
	assert_int_equal(reserved(), 2 * CLUSTER_SLAB);
	assert_int_equal(slabs_of(0), 2);
	assert_int_equal(remote_out(2 * CLUSTER_SLAB, 1), RMNIC_SC_BUSY); /* it has no place */
	assert_int_equal(remote_out(1, 7), RMNIC_SC_OK);
	assert_true(rmnic_store_remote_reserve(rw.store, 512));
	assert_int_equal(status(), RMNIC_REMOTE_GROWING);
	assert_true(remote_holds(1, 7)); /* served meanwhile */
	assert_true(becomes(RMNIC_REMOTE_READY, 1000 * MS));
	assert_int_equal(reserved(), 512);
	assert_int_equal(remote_out(500, 2), RMNIC_SC_OK);
	assert_true(remote_holds(500, 2));
	assert_false(rmnic_store_remote_reserve(rw.store, 513));
	cluster_fini(&rw);
}

/* More than there is: the caller hears how much could be had, gives up, and it goes back. */
static void reserve__less_again(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 2, 2 * CLUSTER_SLAB + 32, 512, 1); /* two slabs on each */
	rw.cfg.reserve = CLUSTER_SLAB;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 1000 * MS));
	assert_int_equal(remote_out(3, 7), RMNIC_SC_OK);
	assert_true(rmnic_store_remote_reserve(rw.store, 512));
	assert_true(becomes(RMNIC_REMOTE_NO_SPACE, 5000 * MS));
	assert_int_equal(reserved(), 4 * CLUSTER_SLAB);
	assert_true(remote_holds(3, 7));
	assert_int_equal(remote_out(CLUSTER_SLAB, 8), RMNIC_SC_OK); /* the second slab is used by now */
	assert_true(rmnic_store_remote_reserve(rw.store, CLUSTER_SLAB));
	assert_true(becomes(RMNIC_REMOTE_READY, 1000 * MS));
	cluster_run(&rw, 1000 * MS);
	/* STATE-17, STATE-18: what holds a page stays, whatever is wanted. */
	assert_int_equal(reserved(), 2 * CLUSTER_SLAB);
	assert_int_equal(slabs_of(0) + slabs_of(1), 2);
	assert_true(remote_holds(3, 7));
	assert_true(remote_holds(CLUSTER_SLAB, 8));
	/* And there is room for it once more, on the same servers and under new handles. */
	assert_true(rmnic_store_remote_reserve(rw.store, 4 * CLUSTER_SLAB));
	assert_true(becomes(RMNIC_REMOTE_READY, 5000 * MS));
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn++)
		assert_int_equal(remote_out(rpn, rpn), RMNIC_SC_OK);
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn++)
		assert_true(remote_holds(rpn, rpn));
	cluster_fini(&rw);
}

/* NO_SPACE is not for ever: a server comes, or gets more memory. */
static void no_space__over_when_a_server_comes(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 2, CLUSTER_SLAB + 32, 2 * CLUSTER_SLAB, 1);
	cluster_server_stop(&rw, 1, true);
	assert_true(cluster_start(&rw));
	assert_true(becomes(RMNIC_REMOTE_NO_SPACE, 5000 * MS));
	assert_int_equal(reserved(), CLUSTER_SLAB);
	cluster_server_start(&rw, 1);
	assert_true(becomes(RMNIC_REMOTE_READY, 10000 * MS));
	cluster_fini(&rw);
}

/* RMP-17: a server that is short of memory takes nothing; nobody asks it for anything else meanwhile. */
static void no_space__over_when_pressure_ends(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 2, 1024, 4 * CLUSTER_SLAB, 2);
	rmnic_rmp_server_pressure(rw.servers[1].server, true);
	assert_true(cluster_start(&rw));
	assert_false(cluster_ready(&rw, 10000 * MS));
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_NO_SPACE);
	rmnic_rmp_server_pressure(rw.servers[1].server, false);
	assert_true(cluster_ready(&rw, 5000 * MS));
	cluster_fini(&rw);
}

static void no_space__over_when_memory_is_freed(void **state)
{
	uint64_t handle;

	(void)state;
	cluster_init(&rw, 1, 1, 2 * CLUSTER_SLAB + 32, 2 * CLUSTER_SLAB, 1);
	/* Somebody else's. */
	assert_int_equal(rmnic_mem_alloc(rw.servers[0].store, 5, 1, 0, CLUSTER_SLAB, &handle),
			 RMNIC_RMP_S_OK);
	assert_true(cluster_start(&rw));
	assert_true(becomes(RMNIC_REMOTE_NO_SPACE, 5000 * MS));
	rmnic_mem_release(rw.servers[0].store, rmnic_mem_slab(rw.servers[0].store, 5, handle));
	assert_true(becomes(RMNIC_REMOTE_READY, 10000 * MS));
	cluster_fini(&rw);
}

/* A server that is full is passed over; the next one is used. */
static void full__the_next_server(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 3, CLUSTER_SLAB + 32, 3 * CLUSTER_SLAB, 1);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(slabs_of(i), 1);
	cluster_fini(&rw);
}

/* Nobody is there: that is said after a while, and it is over when somebody comes. */
static void unreachable__no_server(void **state)
{
	uint8_t uuid[16];

	(void)state;
	cluster_init(&rw, 1, 1, 256, 64, 1);
	rw.cfg.meet_ns = 700 * MS;
	cluster_server_stop(&rw, 0, true);
	assert_true(cluster_start(&rw));
	cluster_run(&rw, 600 * MS);
	assert_int_equal(status(), RMNIC_REMOTE_STARTING);
	cluster_run(&rw, 200 * MS);
	assert_int_equal(status(), RMNIC_REMOTE_UNREACHABLE);
	assert_false(rmnic_store_remote_missing(rw.store, uuid)); /* none in particular */
	cluster_server_start(&rw, 0);
	assert_true(becomes(RMNIC_REMOTE_READY, 5000 * MS));
	cluster_fini(&rw);
}

/* STATE-20: a successor waits for every server that a row names, and says which is missing. */
static void unreachable__server_of_a_row(void **state)
{
	uint8_t uuid[16];
	unsigned int gone;

	(void)state;
	remote_up(2, 4 * CLUSTER_SLAB, 1);
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn += 8)
		assert_int_equal(remote_out(rpn, rpn), RMNIC_SC_OK);
	gone = slabs_of(1) ? 1 : 0;
	cluster_stop(&rw);
	cluster_server_stop(&rw, gone, true);
	rw.cfg.meet_ns = 500 * MS;
	assert_true(cluster_start(&rw));
	cluster_run(&rw, 400 * MS);
	assert_int_equal(status(), RMNIC_REMOTE_STARTING);
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(status(), RMNIC_REMOTE_UNREACHABLE);
	assert_true(rmnic_store_remote_missing(rw.store, uuid));
	assert_int_equal(uuid[0], 0x50 + gone);
	cluster_server_start(&rw, gone);
	assert_true(becomes(RMNIC_REMOTE_READY, 5000 * MS));
	assert_false(rmnic_store_remote_missing(rw.store, uuid));
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn += 8)
		assert_true(remote_holds(rpn, rpn));
	cluster_fini(&rw);
}

/* Once it serves, a server that goes away changes nothing of the status. */
static void ready__stays(void **state)
{
	(void)state;
	remote_up(2, 4 * CLUSTER_SLAB, 1);
	cluster_server_stop(&rw, 0, true);
	cluster_run(&rw, 30000 * MS);
	assert_int_equal(status(), RMNIC_REMOTE_READY);
	cluster_fini(&rw);
}

/*
 * Half an allocation with two replicas came to nothing: the view that one server was told of must
 * not stand in the way of the next try.
 */
static bool refuse_views;

static bool lose_views_of_server_1(void *arg, struct memnet_packet *p)
{
	(void)arg;
	memnet_bytes(p);
	return !(p->to == rw.servers[1].end && p->bytes[1] == RMNIC_RMP_RECORD_VIEW && refuse_views);
}

static void view__above_one_that_came_to_nothing(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 8; seed++) { /* either may be the first to be told */
		cluster_init(&rw, seed, 3, 256, CLUSTER_SLAB, 2);
		refuse_views = true;
		rw.net.filter = lose_views_of_server_1;
		cluster_server_stop(&rw, 2, true);
		assert_true(cluster_start(&rw));
		cluster_run(&rw, 12000 * MS); /* more than one try */
		assert_int_equal(reserved(), 0);
		cluster_server_stop(&rw, 1, true);
		cluster_server_start(&rw, 2); /* now with this one */
		assert_true(becomes(RMNIC_REMOTE_READY, 30000 * MS));
		assert_int_equal(remote_out(5, 6), RMNIC_SC_OK);
		assert_true(remote_holds(5, 6));
		cluster_fini(&rw);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reserve__what_is_advertised),
		cmocka_unit_test(reserve__less_again),
		cmocka_unit_test(no_space__over_when_a_server_comes),
		cmocka_unit_test(no_space__over_when_pressure_ends),
		cmocka_unit_test(no_space__over_when_memory_is_freed),
		cmocka_unit_test(full__the_next_server),
		cmocka_unit_test(unreachable__no_server),
		cmocka_unit_test(unreachable__server_of_a_row),
		cmocka_unit_test(ready__stays),
		cmocka_unit_test(view__above_one_that_came_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
