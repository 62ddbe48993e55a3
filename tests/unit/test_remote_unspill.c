/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/le.h"
#include "rmnic/device.h"
#include "spill_rig.h"

/* --- Back to servers ---------------------------------------------------------------------------------- */

/* The guest writes, frees and reads while its pages go back. */
static void back__while_the_guest_goes_on(void **state)
{
	uint64_t content[CLUSTER_SLAB], n = 0, until;

	(void)state;
	spill_up(2, 4, 4, 2 * CLUSTER_SLAB, 2);
	spill_servers_leave();
	for (uint64_t rpn = 0; rpn < CLUSTER_SLAB; rpn++) {
		content[rpn] = ++n;
		assert_int_equal(remote_out(rpn, n), RMNIC_SC_OK);
	}
	spill_file.wait_permille = 300;
	assert_true(cluster_server_start(&rw, 0));
	assert_true(cluster_server_start(&rw, 1));
	until = rw.net.now + 60000 * MS;
	for (uint64_t i = 0; spill_counters()->unspilled < 20; i++) {
		uint64_t rpn = i * 29 % CLUSTER_SLAB;

		assert_true(cluster_step(&rw, until));
		if (i % 3)
			continue;
		content[rpn] = ++n;
		assert_int_equal(remote_out(rpn, n), RMNIC_SC_OK);
	}
	assert_true(spill_nothing_held(60000 * MS));
	for (uint64_t rpn = 0; rpn < CLUSTER_SLAB; rpn++)
		assert_true(remote_holds(rpn, content[rpn]));
}

/* STATE-23: a member that is away when a page comes back lacks it, however old its version is. */
static void back__an_away_member_lacks_it(void **state)
{
	struct rmnic_state_view v;
	uint64_t version;

	(void)state;
	spill_set_up(2, 4, 4, CLUSTER_SLAB, 2);
	rw.cfg.away_ns = 3600000 * MS;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
	spill_servers_leave();
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	version = VERSION(remote_word(3));
	for (uint64_t i = 0; i < 8; i++) /* versions above it */
		assert_int_equal(remote_out(10 + i, i), RMNIC_SC_OK);
	assert_true(cluster_server_start(&rw, 0)); /* and the other one stays away */
	assert_true(spill_comes_back(3, 30000 * MS));
	cluster_run(&rw, 3000 * MS);
	assert_int_equal(spill_file.held, CLUSTER_SLAB); /* one member is not enough to do without */
	v = spill_view(0);
	assert_int_equal(__builtin_popcount(v.away), 1);
	assert_true(rmnic_le64_get(v.since[__builtin_ctz(v.away)]) <= version);
	/* So it is made whole, and can be read alone. */
	assert_true(cluster_server_start(&rw, 1));
	assert_true(spill_nothing_held(30000 * MS));
	cluster_server_stop(&rw, 0, true);
	assert_true(remote_holds(3, 1));
}

/* Who does not answer has not got it. */
static void back__a_server_leaves_again(void **state)
{
	uint64_t until, held;

	(void)state;
	spill_up(1, 4, 4, CLUSTER_SLAB, 1);
	spill_servers_leave();
	for (uint64_t rpn = 0; rpn < CLUSTER_SLAB; rpn++)
		assert_int_equal(remote_out(rpn, rpn), RMNIC_SC_OK);
	assert_true(cluster_server_start(&rw, 0));
	until = rw.net.now + 30000 * MS;
	while (spill_counters()->unspilled < 5)
		assert_true(cluster_step(&rw, until));
	cluster_server_stop(&rw, 0, true);
	cluster_run(&rw, 20000 * MS);
	held = 0;
	for (uint64_t rpn = 0; rpn < CLUSTER_SLAB; rpn++)
		held += spill_is_held(rpn);
	assert_int_equal(held, spill_counters()->unspilled);
	assert_true(cluster_server_start(&rw, 0));
	assert_true(spill_nothing_held(30000 * MS));
	for (uint64_t rpn = 0; rpn < CLUSTER_SLAB; rpn++)
		assert_true(remote_holds(rpn, rpn));
}

/* A copy that is damaged in the file does not go back; its reader is told. */
static void back__not_what_is_damaged(void **state)
{
	(void)state;
	spill_up(1, 4, 4, CLUSTER_SLAB, 1);
	spill_servers_leave();
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	assert_int_equal(remote_out(4, 2), RMNIC_SC_OK);
	spill_file.data[3].page[77] ^= 4;
	assert_true(cluster_server_start(&rw, 0));
	assert_true(spill_comes_back(4, 30000 * MS));
	cluster_run(&rw, 3000 * MS);
	assert_true(spill_is_spilled(3));
	assert_int_equal(spill_read(3), RMNIC_SC_CORRUPT);
	assert_int_equal(spill_view(0).spill, 1);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_OK); /* a new page is a new page */
	assert_true(remote_holds(3, 5));
	assert_true(spill_nothing_held(30000 * MS));
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, spill_tear_down)
	const struct CMUnitTest tests[] = {
		T(back__while_the_guest_goes_on),
		T(back__an_away_member_lacks_it),
		T(back__a_server_leaves_again),
		T(back__not_what_is_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
