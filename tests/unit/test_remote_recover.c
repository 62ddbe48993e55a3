/* SPDX-License-Identifier: BSD-3-Clause */
/* A backend whose state block is gone, and servers that have the device's pages (STATE-30). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/le.h"
#include "engine/rmp_codec.h"
#include "recover_rig.h"
#include "rmnic/device.h"

/* STATE-30 */
static void recover__all_members(void **state)
{
	uint64_t highest = 0;

	(void)state;
	recover_up(3, 2);
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES; rpn++)
		if (remote_word(rpn) >> RMNIC_STATE_PAGE_VERSION_SHIFT > highest)
			highest = remote_word(rpn) >> RMNIC_STATE_PAGE_VERSION_SHIFT;
	recover_forget();
	recover_begin();
	assert_true(recover_is_over());
	assert_true(rmnic_le64_get(remote_block().hdr->next_version) > highest);
	recover_check_all(1000);
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES; rpn++) {
		uint32_t kind = (uint32_t)remote_word(rpn) & RMNIC_STATE_PAGE_KIND;

		assert_int_equal(kind, rpn >= RECOVER_PAGES - CLUSTER_SLAB ? RMNIC_STATE_PAGE_NEVER :
				       recover_is_freed(rpn) ? RMNIC_STATE_PAGE_FREED :
						       RMNIC_STATE_PAGE_HELD);
	}
	recover_write_all(2000);
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(rmnic_store_remote_counters(rw.store)->orphans, 0);
	/* From here on it is a block like any other. */
	cluster_stop(&rw);
	recover_begin();
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES - CLUSTER_SLAB; rpn++)
		assert_true(recover_holds(rpn, 2000 + rpn));
}

/* STATE-30: whoever is missing may know better; nothing is read, written or released meanwhile. */
static void recover__a_member_is_missing(void **state)
{
	struct rmnic_remote_slab_info info;
	unsigned int slabs = 0;
	uint64_t reserved;

	(void)state;
	recover_up(2, 2);
	recover_forget();
	cluster_server_stop(&rw, 1, true);
	recover_begin();
	assert_int_equal(recover_waiting(), RECOVER_SLABS);
	assert_false(recover_is_over());
	assert_true(rmnic_store_remote_slab(rw.store, 1, &info));
	assert_true(info.waiting && info.view && info.members == 2);
	rmnic_store_remote_status(rw.store, &reserved);
	assert_int_equal(reserved, RECOVER_PAGES); /* what is offered is not less for it */
	rw.cfg.timeout_ns = 100 * MS;
	assert_int_equal(cluster_in(&rw, 1, remote_buf), RMNIC_SC_UNREACHABLE);
	assert_int_equal(cluster_in(&rw, RECOVER_PAGES - 1, remote_buf), RMNIC_SC_UNREACHABLE);
	assert_int_equal(remote_out(1, 1), RMNIC_SC_BUSY);
	/* What the guest gives back meanwhile stays given back. */
	assert_int_equal(rw.store->ops->free(rw.store, 10, 1), RMNIC_SC_OK);
	cluster_run(&rw, 5000 * MS);
	for (uint64_t slab = 0; slab < RECOVER_SLABS; slab++)
		slabs += remote_slab(0, slab * CLUSTER_SLAB) != NULL;
	assert_int_equal(slabs, RECOVER_SLABS);
	assert_false(recover_is_over());
	cluster_server_start(&rw, 1);
	recover_wait_until_over();
	assert_true(remote_zeros(10));
	cluster_run(&rw, 500 * MS);
	assert_true(rmnic_mem_page(remote_slab(1, 10), 10)->vstate & RMNIC_RMP_PAGE_TOMBSTONE);
	assert_int_equal(recover_out(10, 1010), RMNIC_SC_OK);
	recover_check_all(1000);
}

/* RULES A6: a server that came back empty proves nothing about what it had. */
static void recover__a_member_is_empty(void **state)
{
	(void)state;
	recover_up(2, 2);
	recover_forget();
	cluster_server_stop(&rw, 1, false);
	cluster_server_start(&rw, 1);
	recover_begin();
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(recover_waiting(), RECOVER_SLABS);
	for (uint64_t slab = 0; slab < RECOVER_SLABS; slab++)
		assert_true(rmnic_store_remote_force(rw.store, slab));
	recover_wait_until_over();
	recover_check_all(1000);
	assert_false(rmnic_store_remote_force(rw.store, 0));
	assert_false(rmnic_store_remote_force(rw.store, RECOVER_SLABS));
	assert_int_equal(remote_out(1, 5), RMNIC_SC_OK);
}

/* The operator's decision, slab by slab; what was not decided goes on waiting. */
static void recover__forced(void **state)
{
	(void)state;
	recover_up(2, 2);
	recover_forget();
	cluster_server_stop(&rw, 1, true);
	recover_begin();
	assert_true(rmnic_store_remote_force(rw.store, 1));
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(recover_waiting(), RECOVER_SLABS - 1);
	assert_true(recover_holds(CLUSTER_SLAB + 2, 1000 + CLUSTER_SLAB + 2));
	assert_int_equal(cluster_in(&rw, 1, remote_buf), RMNIC_SC_UNREACHABLE);
	assert_int_equal(recover_out(CLUSTER_SLAB + 2, 7), RMNIC_SC_OK);
	/* Its other member returns: what it has is not asked for any more (RULES A8). */
	cluster_server_start(&rw, 1);
	recover_wait_until_over();
	assert_true(recover_holds(CLUSTER_SLAB + 2, 7));
	assert_int_equal(recover_out(CLUSTER_SLAB + 2, 1000 + CLUSTER_SLAB + 2), RMNIC_SC_OK);
	recover_check_all(1000);
}

/* With one replica, and its server emptied, nobody knows anything: errors, not zeros (STATE-4). */
static void recover__nobody_has_it(void **state)
{
	(void)state;
	recover_up(1, 1);
	recover_forget();
	cluster_server_stop(&rw, 0, false);
	cluster_server_start(&rw, 0);
	recover_begin();
	assert_true(recover_is_over());
	assert_int_equal(cluster_in(&rw, 1, remote_buf), RMNIC_SC_LOST);
	assert_int_equal(cluster_in(&rw, RECOVER_PAGES - 1, remote_buf), RMNIC_SC_LOST);
	assert_int_equal(remote_out(1, 9), RMNIC_SC_OK);
	assert_true(remote_holds(1, 9));
}

/* A slab that only a missing server may have waits, too; forced, it is lost. */
static void recover__nobody_here_has_it(void **state)
{
	uint64_t slab;

	(void)state;
	/* Each has room for one half. */
	cluster_init(&rw, 1, 2, RECOVER_PAGES / 2 + 32, RECOVER_PAGES, 1);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 1000 * MS));
	recover_fill();
	recover_forget();
	cluster_server_stop(&rw, 1, true);
	recover_begin();
	assert_int_equal(recover_waiting(), RECOVER_SLABS / 2);
	for (slab = 0; remote_slab(0, slab * CLUSTER_SLAB); slab++)
		;
	assert_int_equal(cluster_in(&rw, slab * CLUSTER_SLAB + 1, remote_buf),
			 RMNIC_SC_UNREACHABLE);
	assert_true(rmnic_store_remote_force(rw.store, slab));
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(cluster_in(&rw, slab * CLUSTER_SLAB + 1, remote_buf), RMNIC_SC_LOST);
	/* There is room for it only when what its server has left of it is released. */
	cluster_server_start(&rw, 1);
	recover_wait_until_over();
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(remote_out(slab * CLUSTER_SLAB + 1, 3), RMNIC_SC_OK);
	assert_true(remote_holds(slab * CLUSTER_SLAB + 1, 3));
	assert_int_equal(cluster_in(&rw, slab * CLUSTER_SLAB + 2, remote_buf), RMNIC_SC_LOST);
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES - CLUSTER_SLAB; rpn++)
		if (rpn / CLUSTER_SLAB != slab && !recover_is_freed(rpn))
			assert_true(recover_holds(rpn, 1000 + rpn));
}

static void cut(unsigned int server, bool off)
{
	rw.net.cut[rw.backend][rw.servers[server].end] = off;
	rw.net.cut[rw.servers[server].end][rw.backend] = off;
}

/* The next write drops the server, and is acknowledged by the others. */
static void leave_behind(unsigned int server)
{
	cut(server, true);
	recover_write_all(3000);
	recover_forget();
	cut(server, false);
}

static void check_new(void)
{
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES - CLUSTER_SLAB; rpn++)
		assert_true(recover_holds(rpn, 3000 + rpn));
}

/* RULES A8: what a member got that was dropped is not looked at, however new it is. */
static void recover__orphans_on_a_member_that_was_dropped(void **state)
{
	struct rmnic_mem_slab *s;

	(void)state;
	recover_up(2, 2);
	cut(1, true);
	recover_write_all(3000);
	s = remote_slab(1, 0);
	for (uint64_t rpn = 0; rpn < CLUSTER_SLAB; rpn++)
		assert_int_equal(rmnic_mem_write(rw.servers[1].store, s, rpn, 1 << 20,
						 RMNIC_RMP_PAGE_FILLED, 0, 7), RMNIC_RMP_S_OK);
	recover_forget();
	cut(1, false);
	recover_begin();
	recover_wait_until_over();
	check_new();
	assert_true(rmnic_le64_get(remote_block().hdr->next_version) > 1 << 20);
}

/* RULES A6: the one that is here was left behind, and does not know it. */
static void recover__the_missing_one_knows_better(void **state)
{
	for (unsigned int stale = 0; stale < 2; stale++) {
		if (stale)
			recover_tear_down(state);
		recover_up(2, 2);
		leave_behind(stale);
		cluster_server_stop(&rw, !stale, true);
		recover_begin();
		cluster_run(&rw, 3000 * MS);
		assert_int_equal(recover_waiting(), RECOVER_SLABS);
		cluster_server_start(&rw, !stale);
		recover_wait_until_over();
		check_new();
	}
}

/* A member that was being filled counts as one that must be here, and is not read. */
static void recover__a_member_was_being_filled(void **state)
{
	unsigned int third = 0;
	struct rmnic_rmp_view v;
	uint64_t handle;

	(void)state;
	recover_up(3, 2);
	while (remote_slab(third, 0))
		third++;
	v = remote_slab(third == 0, 0)->view;
	assert_int_equal(v.members, 2);
	assert_int_equal(rmnic_mem_alloc(rw.servers[third].store, 0, rw.epoch, 0, CLUSTER_SLAB, &handle),
			 RMNIC_RMP_S_OK);
	v.view = rmnic_le64_put(rmnic_le64_get(v.view) + 1);
	v.members = 3;
	v.syncing = 4;
	memset(v.member[2].server, 0x50 + (int)third, 16);
	v.member[2].store_id = rmnic_le64_put(rw.servers[third].store->store_id);
	v.member[2].handle = rmnic_le64_put(handle);
	/* One of its members was told. */
	assert_int_equal(rmnic_mem_record_view(remote_slab(third == 0, 0), &v), RMNIC_RMP_S_OK);
	recover_forget();
	cluster_server_stop(&rw, third, true);
	recover_begin();
	assert_true(recover_waiting() >= 1);
	assert_int_equal(cluster_in(&rw, 1, remote_buf), RMNIC_SC_UNREACHABLE);
	cluster_server_start(&rw, third);
	recover_wait_until_over();
	assert_int_equal(rmnic_store_remote_counters(rw.store)->copied, 0);
	recover_check_all(1000);
	cluster_run(&rw, 3000 * MS);
	assert_true(rmnic_store_remote_counters(rw.store)->orphans > 0);
}

#define LATE (UINT64_C(1) << 20)

/* A page-out of a word that has come to one member. good: its checksum is right. */
static void half_written(unsigned int server, uint64_t rpn, uint32_t word, bool good)
{
	const struct rmnic_crc32c *c = rmnic_rmp_client_crc(rmnic_store_remote_client(rw.store));
	uint32_t crc = rmnic_rmp_fill_crc(c, word, rw.cfg.device, rpn, LATE);

	assert_int_equal(rmnic_mem_write(rw.servers[server].store, remote_slab(server, rpn), rpn, LATE,
					 RMNIC_RMP_PAGE_FILLED, good ? crc : ~crc, word),
			 RMNIC_RMP_S_OK);
}

static bool is_word(uint64_t rpn, uint32_t word)
{
	memset(remote_buf, 0xee, sizeof(remote_buf));
	return cluster_in(&rw, rpn, remote_buf) == RMNIC_SC_OK &&
	       remote_buf[0] == ((uint64_t)word << 32 | word) && remote_buf[511] == remote_buf[0];
}

/*
 * Page-outs and a FREE that one member was told of and the other not. What can be had of them
 * counts, and all have it then; a copy that cannot be read makes the page one without content.
 */
static void recover__in_flight(void **state)
{
	uint64_t stored;

	(void)state;
	recover_up(2, 2);
	half_written(0, 1, 71, true);
	half_written(1, 4, 74, true);
	half_written(1, RECOVER_PAGES - 1, 75, true);
	half_written(0, 5, 76, false);
	/* A page that was whole on one of them is whole on both. */
	assert_int_equal(recover_out(8, 1008), RMNIC_SC_OK);
	rmnic_mem_page(remote_slab(0, 8), 8)->vstate -= 1 << 16;
	rmnic_mem_free(rw.servers[1].store, remote_slab(1, 2), 2, 1, LATE);
	stored = rw.servers[0].store->devices[0].stored;
	recover_forget();
	recover_begin();
	assert_true(is_word(1, 71));
	assert_true(is_word(4, 74));
	assert_true(is_word(RECOVER_PAGES - 1, 75));
	assert_true(recover_holds(8, 1008));
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(rmnic_mem_page(remote_slab(i, 1), 1)->vstate ==
			    (LATE << 16 | RMNIC_RMP_PAGE_FILLED));
		assert_true(rmnic_mem_page(remote_slab(i, 4), 4)->body == 74);
		assert_true(rmnic_mem_page(remote_slab(i, RECOVER_PAGES - 1), RECOVER_PAGES - 1)->body == 75);
	}
	assert_true(rmnic_mem_page(remote_slab(0, 8), 8)->vstate ==
		    rmnic_mem_page(remote_slab(1, 8), 8)->vstate);
	assert_int_equal(rw.servers[0].store->devices[0].stored, stored + 1);
	assert_int_equal(cluster_in(&rw, 5, remote_buf), RMNIC_SC_INDETERMINATE);
	assert_true(remote_zeros(2));
	cluster_run(&rw, 500 * MS);
	assert_false(remote_word(2) & RMNIC_STATE_PAGE_TELL);
	assert_true(rmnic_mem_page(remote_slab(0, 2), 2)->vstate & RMNIC_RMP_PAGE_TOMBSTONE);
	for (uint64_t rpn = 1; rpn < 7; rpn++)
		assert_int_equal(recover_out(rpn, 1000 + rpn), RMNIC_SC_OK);
	assert_int_equal(cluster_out(&rw, RECOVER_PAGES - 1, memset(remote_buf, 0, 4096)), RMNIC_SC_OK);
	recover_check_all(1000);
}

/* ... and the server goes away in the middle of that: it is waited for. */
static void recover__in_flight_and_silent(void **state)
{
	(void)state;
	recover_up(2, 2);
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES; rpn++)
		half_written(0, rpn, 9, true);
	recover_forget();
	assert_true(cluster_start(&rw));
	while (rmnic_mem_page(remote_slab(1, 20), 20)->vstate >> 16 != LATE)
		cluster_step(&rw, rw.net.now + 10 * MS);
	cluster_server_stop(&rw, 1, true);
	cluster_run(&rw, 8000 * MS);
	assert_int_equal(recover_waiting(), RECOVER_SLABS);
	cluster_server_start(&rw, 1);
	recover_wait_until_over();
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES; rpn++)
		assert_true(is_word(rpn, 9));
	assert_int_equal(rmnic_store_remote_counters(rw.store)->indeterminate, 0);
}

/* The backend that recovers dies as well: its successor goes on, and takes nothing for an orphan. */
static void recover__dies_half_way(void **state)
{
	unsigned int deaths = 0;

	(void)state;
	recover_up(2, 2);
	recover_forget();
	for (unsigned int steps = 1; deaths < 100; steps++) {
		assert_true(cluster_start(&rw));
		rw.cfg.recover = false;
		for (unsigned int i = 0; i < steps; i++)
			cluster_step(&rw, rw.net.now + 10 * MS);
		if (recover_is_over())
			break;
		cluster_stop(&rw);
		deaths++;
	}
	assert_true(deaths > 15);
	assert_true(cluster_ready(&rw, 20000 * MS));
	assert_true(recover_is_over());
	recover_check_all(1000);
	assert_int_equal(rmnic_store_remote_counters(rw.store)->orphans, 0);
}

/* ... before any one of its stores. Its successor is not told that it is to recover anything. */
static void recover__dies_before_a_store(void **state)
{
	unsigned int n;
	bool died = true;

	(void)state;
	recover_up(2, 2);
	for (n = 1; died; n += 13) {
		recover_forget();
		assert_true(cluster_start(&rw));
		rw.cfg.recover = false;
		died = recover_dies_before(n);
		cluster_stop(&rw);
		assert_true(cluster_start(&rw));
		assert_true(cluster_ready(&rw, 20000 * MS));
		assert_true(recover_is_over());
		recover_check_all(1000);
		assert_int_equal(rmnic_store_remote_counters(rw.store)->orphans, 0);
	}
	assert_true(n > RECOVER_PAGES); /* each page's word is one */
}

/* A block with rows is the truth, whatever was asked for. */
static void recover__not_with_rows(void **state)
{
	(void)state;
	recover_up(2, 2);
	cluster_stop(&rw);
	rw.cfg.recover = true;
	cluster_server_stop(&rw, 1, true);
	assert_true(cluster_start(&rw));
	assert_true(recover_is_over());
	assert_int_equal(recover_waiting(), 0);
	cluster_server_start(&rw, 1);
	assert_true(cluster_ready(&rw, 20000 * MS));
	recover_check_all(1000);
}

static void recover__allocation_fails(void **state)
{
	int before;

	(void)state;
	recover_up(1, 1);
	recover_forget();
	before = rw.net.allocations;
	for (unsigned int n = 1;; n++) {
		rw.net.fail_alloc = n;
		if (cluster_start(&rw))
			break;
		assert_int_equal(rw.net.allocations, before);
		assert_non_null(rw.why);
	}
	rw.net.fail_alloc = 0;
}

#define TEST(name) cmocka_unit_test_teardown(name, recover_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(recover__all_members),
		TEST(recover__a_member_is_missing),
		TEST(recover__a_member_is_empty),
		TEST(recover__forced),
		TEST(recover__nobody_has_it),
		TEST(recover__nobody_here_has_it),
		TEST(recover__orphans_on_a_member_that_was_dropped),
		TEST(recover__the_missing_one_knows_better),
		TEST(recover__a_member_was_being_filled),
		TEST(recover__in_flight),
		TEST(recover__in_flight_and_silent),
		TEST(recover__dies_half_way),
		TEST(recover__dies_before_a_store),
		TEST(recover__not_with_rows),
		TEST(recover__allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
