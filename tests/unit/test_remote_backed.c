/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rmnic/device.h"
#include "spill_rig.h"

/* --- Looking ahead ---------------------------------------------------------------------------------------- */

static void look_now(void)
{
	cluster_run(&rw, 3000 * MS);
}

/* Two copies are room enough, as long as both are there. */
static void backed__by_another_copy(void **state)
{
	(void)state;
	spill_up(2, 4, 0, 4 * CLUSTER_SLAB, 2);
	look_now();
	assert_int_equal(spill_events[RMNIC_REMOTE_EV_UNBACKED], 0);
	cluster_server_stop(&rw, 1, true);
	assert_int_equal(remote_out(1, 1), RMNIC_SC_OK);
	cluster_run(&rw, 10000 * MS);
	assert_true(spill_events[RMNIC_REMOTE_EV_UNBACKED] > 0);
}

/* A slab with a place in the file needs no other. */
static void backed__by_its_place(void **state)
{
	(void)state;
	spill_up(1, 4, 1, CLUSTER_SLAB, 1);
	spill_servers_leave();
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	memset(spill_events, 0, sizeof(spill_events));
	look_now();
	assert_int_equal(spill_file.held, spill_file.limit);
	assert_int_equal(spill_events[RMNIC_REMOTE_EV_UNBACKED], 0);
}

/* It is said before there is no place: when one server's loss would be too much. */
static void backed__one_loss_too_many(void **state)
{
	(void)state;
	spill_up(2, 3, 4, 6 * CLUSTER_SLAB, 1); /* the servers are full with it */
	cluster_run(&rw, 3000 * MS);
	assert_int_equal(spill_file.held, 0);
	assert_int_equal(spill_events[RMNIC_REMOTE_EV_UNBACKED], 0); /* one's slabs would fit into the file */
	spill_file.limit = CLUSTER_SLAB;
	look_now();
	assert_int_equal(spill_events[RMNIC_REMOTE_EV_UNBACKED], 1);
	assert_int_equal(spill_last[RMNIC_REMOTE_EV_UNBACKED].pages, 2 * CLUSTER_SLAB - 8); /* a rest of the servers' */
	spill_file.limit = 3 * CLUSTER_SLAB; /* it is said again only after it was well */
	look_now();
	spill_file.limit = 0;
	look_now();
	assert_int_equal(spill_events[RMNIC_REMOTE_EV_UNBACKED], 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, spill_tear_down)
	const struct CMUnitTest tests[] = {
		T(backed__by_another_copy),
		T(backed__by_its_place),
		T(backed__one_loss_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
