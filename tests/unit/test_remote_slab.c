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

/* RULES L1: what is not there is not promised. */
static void backend__not_enough_memory(void **state)
{
	uint64_t reserved;

	(void)state;
	cluster_init(&rw, 1, 2, 128, 256, 1); /* each has room for one slab of 64 beside its slack */
	assert_true(cluster_start(&rw));
	assert_false(cluster_ready(&rw, 5000 * MS));
	assert_int_equal(rmnic_store_remote_status(rw.store, &reserved), RMNIC_REMOTE_NO_SPACE);
	assert_int_equal(reserved, 128);
	cluster_fini(&rw);
}

/* A server that is slow to answer may have what the others lack: it is waited for, but not for ever. */
static void backend__not_enough_memory_is_not_said_too_early(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 2, 128, 128, 1); /* both are needed */
	cluster_server_stop(&rw, 1, true);
	rw.cfg.meet_ns = 4000 * MS;
	assert_true(cluster_start(&rw));
	cluster_run(&rw, 3000 * MS);
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_STARTING);
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_NO_SPACE);
	cluster_fini(&rw);
}

/* With fewer servers than replicas nothing is promised: two copies on one are one. */
static void replicas__not_on_one_server(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 1, 512, 64, 2);
	assert_true(cluster_start(&rw));
	assert_false(cluster_ready(&rw, 3000 * MS));
	cluster_fini(&rw);
}

static unsigned int empty_calls;
static uint64_t empty_slabs;
static uint8_t empty_server;

static void note_empty(void *arg, const uint8_t server[16], uint64_t slabs)
{
	(void)arg;
	empty_calls++;
	empty_slabs = slabs;
	empty_server = server[0];
}

static void start_noting(unsigned int servers, uint32_t replicas)
{
	cluster_init(&rw, 1, servers, 1024, 4 * CLUSTER_SLAB, replicas);
	rw.cfg.server_empty = note_empty;
	empty_calls = 0;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 1000 * MS));
}

static void server_loses_all(unsigned int i)
{
	cluster_server_stop(&rw, i, false);
	cluster_server_start(&rw, i);
}

/* STATE-19: its pages are lost, and said to be; then the slabs take pages again. */
static void server__empty(void **state)
{
	struct rmnic_store_counters n;

	(void)state;
	start_noting(1, 1);
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn += 2)
		assert_int_equal(remote_out(rpn, rpn), RMNIC_SC_OK);
	assert_int_equal(rw.store->ops->free(rw.store, 4, 1), RMNIC_SC_OK);
	server_loses_all(0);
	assert_int_equal(cluster_in(&rw, 2, remote_buf), RMNIC_SC_LOST);
	cluster_run(&rw, 1000 * MS);
	assert_true(cluster_ready(&rw, 5000 * MS));
	assert_int_equal(empty_calls, 1);
	assert_int_equal(empty_slabs, 4);
	assert_int_equal(empty_server, 0x50);
	assert_int_equal(rmnic_store_remote_counters(rw.store)->slabs_lost, 4);
	rw.store->ops->counters(rw.store, &n);
	assert_int_equal(n.stored, 0);
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn++)
		if (rpn % 2 || rpn == 4) /* never written, or freed: zeros as before */
			assert_true(remote_zeros(rpn));
		else
			assert_int_equal(cluster_in(&rw, rpn, remote_buf), RMNIC_SC_LOST);
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn += 3)
		assert_int_equal(remote_out(rpn, rpn + 1), RMNIC_SC_OK);
	/* A successor sees the same. */
	cluster_stop(&rw);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	assert_true(remote_holds(6, 7));
	assert_int_equal(cluster_in(&rw, 2, remote_buf), RMNIC_SC_LOST);
	cluster_fini(&rw);
}

/* It came back empty while there was no backend. */
static void server__empty_meanwhile(void **state)
{
	(void)state;
	start_noting(1, 1);
	assert_int_equal(remote_out(2, 3), RMNIC_SC_OK);
	cluster_stop(&rw);
	server_loses_all(0);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	cluster_run(&rw, 1000 * MS);
	assert_int_equal(cluster_in(&rw, 2, remote_buf), RMNIC_SC_LOST);
	assert_true(remote_zeros(1));
	assert_int_equal(remote_out(2, 4), RMNIC_SC_OK);
	assert_true(remote_holds(2, 4));
	cluster_fini(&rw);
}

/* With another member that has it nothing is lost, and the row stays as it is (RULES A4). */
static void server__empty_one_of_two(void **state)
{
	(void)state;
	start_noting(2, 2);
	assert_int_equal(remote_out(2, 3), RMNIC_SC_OK);
	server_loses_all(0);
	cluster_run(&rw, 2000 * MS);
	assert_true(remote_holds(2, 3));
	assert_int_equal(rmnic_store_remote_counters(rw.store)->slabs_lost, 0);
	cluster_fini(&rw);
}

/* A place in the client's table that another server has by now does not stand for the first. */
static void server__removed_and_another_added(void **state)
{
	struct rmnic_rmp_client *c;
	struct rmnic_addr addr[2][RMNIC_LANES];

	(void)state;
	start_noting(2, 1);
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn += 4)
		assert_int_equal(remote_out(rpn, rpn), RMNIC_SC_OK);
	c = rmnic_store_remote_client(rw.store);
	for (unsigned int i = 0; i < 2; i++) {
		addr[i][0] = addr[i][1] = rw.net.ends[rw.servers[i].end].addr;
		addr[i][RMNIC_LANE_IN].port = RMNIC_RMP_PORT_IN;
		addr[i][RMNIC_LANE_OUT].port = RMNIC_RMP_PORT_OUT;
		rmnic_rmp_client_remove(c, i);
	}
	assert_int_equal(rmnic_rmp_client_add(c, addr[1], NULL), 0); /* the other way round */
	assert_int_equal(rmnic_rmp_client_add(c, addr[0], NULL), 1);
	cluster_run(&rw, 1000 * MS);
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn += 4)
		assert_true(remote_holds(rpn, rpn));
	cluster_fini(&rw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backend__not_enough_memory),
		cmocka_unit_test(backend__not_enough_memory_is_not_said_too_early),
		cmocka_unit_test(replicas__not_on_one_server),
		cmocka_unit_test(server__empty),
		cmocka_unit_test(server__empty_meanwhile),
		cmocka_unit_test(server__empty_one_of_two),
		cmocka_unit_test(server__removed_and_another_added),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
