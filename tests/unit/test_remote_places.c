/* SPDX-License-Identifier: BSD-3-Clause */
/* A recovery by hand (STATE-30) of a device that has pages in its spill file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/le.h"
#include "recover_rig.h"
#include "rmnic/device.h"
#include "spill_rig.h"

#define KIND(word) ((uint32_t)(word) & RMNIC_STATE_PAGE_KIND)

/* Written while all servers were silent, after recover_fill(). */
static const uint64_t late[] = { 1, 2, CLUSTER_SLAB + 3, RECOVER_PAGES - 1 };
#define LATES (sizeof(late) / sizeof(late[0]))

static bool is_late(uint64_t rpn)
{
	for (unsigned int i = 0; i < LATES; i++)
		if (late[i] == rpn)
			return true;
	return false;
}

static void up(unsigned int servers, uint32_t replicas)
{
	spill_set_up(servers, RECOVER_SLABS + 1, RECOVER_SLABS, RECOVER_PAGES, replicas);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
	recover_fill();
}

static void servers_come(unsigned int from)
{
	for (unsigned int i = from; i < rw.nservers; i++)
		assert_true(cluster_server_start(&rw, i));
}

/* Pages of all slabs are on servers, some newer in the file, and both ends are gone. */
static void spill_some(unsigned int servers, uint32_t replicas)
{
	up(servers, replicas);
	spill_servers_leave();
	for (unsigned int i = 0; i < LATES; i++) {
		assert_int_equal(remote_out(late[i], 5000 + late[i]), RMNIC_SC_OK);
		assert_true(spill_is_spilled(late[i]));
	}
	recover_forget();
}

static void check(void)
{
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES - CLUSTER_SLAB; rpn++)
		if (is_late(rpn))
			assert_true(remote_holds(rpn, 5000 + rpn));
		else
			assert_true(recover_is_freed(rpn) ? remote_zeros(rpn) :
							    recover_holds(rpn, 1000 + rpn));
	assert_true(remote_holds(RECOVER_PAGES - 1, 5000 + RECOVER_PAGES - 1));
	assert_true(remote_zeros(RECOVER_PAGES - 2));
}

/* What was acknowledged without the members is newer than what they have, and comes back to them. */
static void places__newer_than_the_members(void **state)
{
	uint64_t highest = 0;

	(void)state;
	spill_some(2, 2);
	for (unsigned int i = 0; i < spill_file.places; i++)
		if (spill_file.data[i].record.version > highest)
			highest = spill_file.data[i].record.version;
	servers_come(0);
	recover_begin();
	assert_true(recover_is_over());
	assert_true(rmnic_le64_get(remote_block().hdr->next_version) > highest);
	/* STATE-29: for whoever comes next. */
	assert_true(rmnic_le64_get(remote_block().hdr->spill_id) == spill_file.id);
	check();
	for (unsigned int i = 0; i < LATES; i++)
		assert_true(spill_comes_back(late[i], 20000 * MS));
	assert_true(spill_nothing_held(20000 * MS));
	check();
}

/* Nobody else has anything: what is in the file is there, the rest is lost and not zeros. */
static void places__servers_are_empty(void **state)
{
	(void)state;
	spill_some(2, 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(cluster_server_start(&rw, i));
		cluster_server_stop(&rw, i, false);
	}
	servers_come(0);
	recover_begin();
	recover_wait_until_over();
	for (unsigned int i = 0; i < LATES; i++)
		assert_true(remote_holds(late[i], 5000 + late[i]));
	assert_int_equal(spill_read(4), RMNIC_SC_LOST);
	assert_int_equal(spill_read(RECOVER_PAGES - 2), RMNIC_SC_LOST);
	assert_int_equal(remote_out(4, 6), RMNIC_SC_OK);
	assert_true(spill_nothing_held(60000 * MS));
	assert_true(remote_holds(4, 6));
	for (unsigned int i = 0; i < LATES; i++)
		assert_true(remote_holds(late[i], 5000 + late[i]));
}

/* What waits for a server keeps its place; forced, it has it as well. */
static void places__a_member_is_missing(void **state)
{
	uint64_t held;

	(void)state;
	spill_some(2, 2);
	held = spill_file.held;
	assert_true(cluster_server_start(&rw, 0));
	recover_begin();
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(recover_waiting(), RECOVER_SLABS);
	assert_int_equal(spill_file.held, held);
	assert_true(rmnic_store_remote_force(rw.store, 0));
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(recover_waiting(), RECOVER_SLABS - 1);
	assert_true(remote_holds(late[0], 5000 + late[0]));
	assert_true(recover_holds(4, 1004));
	servers_come(1);
	recover_wait_until_over();
	check();
}

/* A page that is back on servers and was written there again: its old copy is still in the file. */
static void places__older_than_the_members(void **state)
{
	uint64_t first = UINT64_MAX;

	(void)state;
	up(1, 1);
	spill_servers_leave();
	for (uint64_t rpn = 1; rpn < 5; rpn++)
		assert_int_equal(remote_out(rpn, 5000 + rpn), RMNIC_SC_OK);
	rmnic_store_remote_rates(rw.store, 1, 1);
	servers_come(0);
	for (int i = 0; i < 1000 && first == UINT64_MAX; i++) {
		cluster_run(&rw, 10 * MS);
		for (uint64_t rpn = 1; rpn < 5; rpn++)
			first = spill_is_held(rpn) ? rpn : first;
	}
	assert_true(first < 5);
	assert_int_equal(remote_out(first, 6000), RMNIC_SC_OK);
	assert_true(spill_is_held(first));
	recover_forget();
	recover_begin();
	assert_true(recover_is_over());
	assert_true(remote_holds(first, 6000));
	for (uint64_t rpn = 1; rpn < 5; rpn++)
		if (rpn != first) {
			assert_true(spill_is_spilled(rpn));
			assert_true(remote_holds(rpn, 5000 + rpn));
		}
}

/* A page that only one of two members got when it was copied back: both get it again. */
static void places__half_way_back(void **state)
{
	uint64_t version;

	(void)state;
	spill_some(2, 2);
	servers_come(0);
	version = spill_file.data[late[0]].record.version;
	assert_int_equal(rmnic_mem_write(rw.servers[0].store, remote_slab(0, late[0]), late[0], version,
					 RMNIC_RMP_PAGE_FILLED, 0, 7), RMNIC_RMP_S_OK);
	recover_begin();
	assert_true(spill_is_spilled(late[0]));
	check();
}

/* Damage in the file is told to who reads the page; the rest is as it was. */
static void places__damaged(void **state)
{
	(void)state;
	spill_some(2, 2);
	spill_file.data[late[0]].page[9] ^= 1;
	spill_file.data[late[1]].record.version ^= 1 << 20;
	servers_come(0);
	recover_begin();
	assert_true(recover_is_over());
	assert_int_equal(spill_read(late[0]), RMNIC_SC_CORRUPT);
	assert_int_equal(spill_read(late[1]), RMNIC_SC_INDETERMINATE);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(remote_out(late[i], 5000 + late[i]), RMNIC_SC_OK);
	check();
}

/* A disk that does not answer may do so later; forced, its pages have no content. */
static void places__unreadable(void **state)
{
	(void)state;
	spill_some(2, 2);
	servers_come(0);
	spill_file.short_permille = 1000;
	assert_true(cluster_start(&rw));
	cluster_run(&rw, 5000 * MS);
	assert_true(recover_waiting() >= LATES - 1);
	assert_true(rmnic_store_remote_force(rw.store, 0));
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(KIND(remote_word(late[0])), RMNIC_STATE_PAGE_UNKNOWN);
	spill_file.short_permille = 0;
	recover_wait_until_over();
	assert_true(remote_holds(late[2], 5000 + late[2]));
	assert_int_equal(spill_read(late[0]), RMNIC_SC_INDETERMINATE);
	assert_int_equal(remote_out(late[0], 1), RMNIC_SC_OK);
}

/* Another file has nothing of the device: what the servers have is what there is. */
static void places__another_file(void **state)
{
	(void)state;
	spill_some(2, 2);
	memspill_renew(&spill_file);
	servers_come(0);
	recover_begin();
	assert_true(recover_is_over());
	recover_check_all(1000);
}

/* The one that recovers dies before any one of its stores; its successor is not told to recover. */
static void places__dies_before_a_store(void **state)
{
	unsigned int n;
	bool died = true;

	(void)state;
	spill_some(2, 2);
	servers_come(0);
	for (n = 1; died; n += 17) {
		recover_forget();
		assert_true(cluster_start(&rw));
		rw.cfg.recover = false;
		if (n == 1) /* after the first store of all */
			remote_block().hdr->spill_id = 0;
		died = recover_dies_before(n);
		cluster_stop(&rw);
		assert_true(cluster_start(&rw));
		assert_true(cluster_ready(&rw, 20000 * MS));
		recover_wait_until_over();
		check();
		/* Back into the file with them, under new versions. */
		spill_servers_leave();
		for (unsigned int i = 0; i < LATES; i++)
			assert_int_equal(remote_out(late[i], 5000 + late[i]), RMNIC_SC_OK);
		servers_come(0);
	}
	assert_true(n > RECOVER_PAGES);
}

#define TEST(name) cmocka_unit_test_teardown(name, spill_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(places__newer_than_the_members),
		TEST(places__servers_are_empty),
		TEST(places__a_member_is_missing),
		TEST(places__older_than_the_members),
		TEST(places__half_way_back),
		TEST(places__damaged),
		TEST(places__unreadable),
		TEST(places__another_file),
		TEST(places__dies_before_a_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
