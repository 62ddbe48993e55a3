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

static void pages__round_trip(void **state)
{
	(void)state;
	remote_up(2, 256, 1);
	for (uint64_t i = 0; i < 256; i++)
		assert_int_equal(remote_out(i, i), RMNIC_SC_OK);
	for (uint64_t i = 0; i < 256; i++)
		assert_true(remote_holds(i, i));
	for (uint64_t i = 0; i < 256; i++)
		assert_int_equal(remote_out(i, i + 1000), RMNIC_SC_OK);
	for (uint64_t i = 256; i-- > 0;)
		assert_true(remote_holds(i, i + 1000));
	assert_int_equal(remote_wire()->retransmits, 0);
	cluster_fini(&rw);
}

/* Each fault alone and all of them, at an MTU of one segment and of three. */
static void pages__through_faults(void **state)
{
	static const struct memnet_faults faults[] = {
		{ .loss = 200 },
		{ .duplicate = 500 },
		{ .reorder = 300, .late_ns = 30 * MS },
		{ .corrupt = 200 },
		{ .refuse = 200 },
		{ .loss = 100, .duplicate = 200, .reorder = 200, .late_ns = 900 * MS, .corrupt = 50,
		  .refuse = 50, .mark = 200 },
	};

	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		cluster_init(&rw, i, 2, 512, 128, 1 + i % 2);
		rw.net.mtu = i < 6 ? 9000 : 1500;
		rw.net.faults = faults[i % 6];
		rw.net.faults.delay_ns = 5000;
		/* What is late here is late by many timeouts of a page: luck may take its time. */
		rw.cfg.timeout_ns = 50000 * MS;
		assert_true(cluster_start(&rw));
		assert_true(cluster_ready(&rw, 60000 * MS));
		for (uint64_t k = 0; k < 400; k++) {
			uint16_t status = remote_out(k * 37 % 128, k);

			/* Frames that are late hold their copies. */
			for (; status == RMNIC_SC_BUSY; status = remote_out(k * 37 % 128, k))
				cluster_run(&rw, 10 * MS);
			assert_int_equal(status, RMNIC_SC_OK);
		}
		memset(&rw.net.faults, 0, sizeof(rw.net.faults));
		for (uint64_t k = 400 - 128; k < 400; k++)
			assert_true(remote_holds(k * 37 % 128, k));
		cluster_fini(&rw);
	}
}

static void pages__unwritten_read_as_zeros(void **state)
{
	(void)state;
	remote_up(1, 64, 1);
	assert_true(remote_zeros(7));
	assert_int_equal(remote_out(7, 1), RMNIC_SC_OK);
	assert_int_equal(rw.store->ops->free(rw.store, 5, 4), RMNIC_SC_OK);
	assert_true(remote_zeros(7));
	assert_int_equal(remote_out(7, 2), RMNIC_SC_OK);
	assert_true(remote_holds(7, 2));
	cluster_fini(&rw);
}

/* RMP-23: words that fill a page take no frame; a word of 64 bits is a page like any other. */
static void pages__same_filled(void **state)
{
	struct rmnic_store_counters n;

	(void)state;
	remote_up(1, 64, 1);
	for (int i = 0; i < 512; i++)
		remote_buf[i] = 0x0102030401020304ull;
	assert_int_equal(cluster_out(&rw, 1, remote_buf), RMNIC_SC_OK);
	for (int i = 0; i < 512; i++)
		remote_buf[i] = 0x0102030401020305ull;
	assert_int_equal(cluster_out(&rw, 2, remote_buf), RMNIC_SC_OK);
	assert_int_equal(rw.servers[0].store->stored, 1);
	rw.store->ops->counters(rw.store, &n);
	assert_int_equal(n.same_filled, 1);
	assert_int_equal(n.stored, 2);
	assert_int_equal(cluster_in(&rw, 1, remote_buf), RMNIC_SC_OK);
	assert_true(remote_buf[0] == 0x0102030401020304ull && remote_buf[511] == remote_buf[0]);
	assert_int_equal(cluster_in(&rw, 2, remote_buf), RMNIC_SC_OK);
	assert_true(remote_buf[0] == 0x0102030401020305ull && remote_buf[511] == remote_buf[0]);
	cluster_fini(&rw);
}

/* STATE-7: a successor goes on where the other stopped, with every page. */
static void backend__restarted(void **state)
{
	(void)state;
	remote_up(2, 128, 1);
	for (uint64_t round = 0; round < 20; round++) {
		for (uint64_t i = 0; i < 128; i++)
			assert_int_equal(remote_out(i, round * 1000 + i), RMNIC_SC_OK);
		cluster_stop(&rw);
		assert_true(cluster_start(&rw));
		assert_true(cluster_ready(&rw, 1000 * MS));
		for (uint64_t i = 0; i < 128; i++)
			assert_true(remote_holds(i, round * 1000 + i));
	}
	cluster_fini(&rw);
}

/* RMP-13: the one that was replaced learns so, and changes nothing more. */
static void backend__fenced(void **state)
{
	(void)state;
	remote_up(1, 64, 1);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_OK);
	rmnic_mem_seal(rw.servers[0].store, 0, rw.epoch + 1);
	assert_int_equal(remote_out(3, 6), RMNIC_SC_UNREACHABLE);
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_FENCED);
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_INDETERMINATE);
	assert_int_equal(remote_out(4, 6), RMNIC_SC_UNREACHABLE);
	cluster_stop(&rw);
	rmnic_mem_seal(rw.servers[0].store, 0, rw.epoch + 2); /* before the next one says a word */
	assert_true(cluster_start(&rw));
	cluster_run(&rw, 500 * MS);
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_FENCED);
	cluster_fini(&rw);
}

/* STATE-1 */
static void backend__damaged_state(void **state)
{
	struct rmnic_state_block b;

	(void)state;
	remote_up(1, 64, 1);
	cluster_stop(&rw);
	b = remote_block();
	b.slabs[0].copy[b.slabs[0].current & 1].members = 9;
	assert_true(cluster_start(&rw));
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_DAMAGED);
	assert_int_equal(remote_out(1, 1), RMNIC_SC_UNREACHABLE);
	cluster_stop(&rw);
	((struct rmnic_state_hdr *)rw.state)->magic++;
	assert_false(cluster_start(&rw));
	assert_non_null(rw.why);
	cluster_fini(&rw);
}

static void create__allocation_fails(void **state)
{
	const char *why = NULL;
	int before;

	(void)state;
	cluster_init(&rw, 1, 1, 256, 64, 1);
	before = rw.net.allocations;
	((struct rmnic_state_hdr *)rw.state)->epoch = 1;
	for (unsigned int n = 1; n <= 12; n++) {
		rw.net.fail_alloc = n;
		assert_null(rmnic_store_remote_create(&rw.cfg, &why));
		assert_non_null(why);
		assert_int_equal(rw.net.allocations, before);
	}
	rw.net.fail_alloc = 0;
	cluster_fini(&rw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages__round_trip),
		cmocka_unit_test(pages__through_faults),
		cmocka_unit_test(pages__unwritten_read_as_zeros),
		cmocka_unit_test(pages__same_filled),
		cmocka_unit_test(backend__restarted),
		cmocka_unit_test(backend__fenced),
		cmocka_unit_test(backend__damaged_state),
		cmocka_unit_test(create__allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
