/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/page.h"
#include "repair_rig.h"
#include "rmnic/device.h"

#define PAGES (4 * CLUSTER_SLAB)

static uint8_t *bytes_of(unsigned int server, uint64_t rpn)
{
	const struct rmnic_page_meta *m = rmnic_mem_page(remote_slab(server, rpn), rpn);

	assert_true(m->vstate & RMNIC_RMP_PAGE_STORED);
	return rmnic_frame_data(rw.servers[server].store->frames, m->body);
}

/* Server 1 is there with nothing, and the backend knows it. */
static void empty_server_1(void)
{
	cluster_server_stop(&rw, 1, false);
	cluster_server_start(&rw, 1);
	while (!repair_events[RMNIC_REMOTE_EV_DROPPED]) {
		assert_int_equal(remote_out(3, 4), RMNIC_SC_OK);
		assert_true(cluster_step(&rw, rw.net.now + 1000 * MS));
	}
}

/* --- The rate ---------------------------------------------------------------------------------------- */

static void rate__is_kept(void **state)
{
	uint64_t began, took;

	(void)state;
	repair_init(2, PAGES, 2);
	rw.cfg.repair_rate = 200;
	repair_start();
	repair_write_all(1);
	empty_server_1();
	began = rw.net.now;
	while (repair_counters()->copied < 200) {
		/* A hundredth of a second's may have been saved up, and one. */
		assert_true(repair_counters()->copied <= (rw.net.now - began) * 200 / (1000 * MS) + 4);
		assert_true(cluster_step(&rw, rw.net.now + 10000 * MS));
	}
	took = rw.net.now - began;
	assert_in_range(took / MS, 950, 1100);
	rmnic_store_remote_rates(rw.store, 100000, 1000);
	assert_true(repair_whole(500 * MS));
	assert_true(repair_alone(1, 1));
}

/* --- Writes from before -------------------------------------------------------------------------------- */

static unsigned int reads, writes_held;
static bool hold_answers;

/* The answer of server 0 to a page-out is late; how many pages are read, and by when. */
static bool late_answers(void *arg, struct memnet_packet *p)
{
	(void)arg;
	memnet_bytes(p);
	if (hold_answers && p->from == rw.servers[0].end &&
	    p->bytes[1] == (RMNIC_RMP_WRITE | RMNIC_RMP_REPLY)) {
		writes_held++;
		return false; /* it is asked again */
	}
	reads += p->bytes[1] == RMNIC_RMP_READ;
	return true;
}

static uint16_t ended;

static void remember(struct rmnic_page_op *op, uint16_t status)
{
	(void)op;
	ended = status;
}

/* STATE-25: a member is there, but nothing is copied while a write that it does not know of is under way. */
static void copying__begins_after_the_writes(void **state)
{
	struct rmnic_page_op op = { .rpn = 7, .data = remote_buf, .done = remember };

	(void)state;
	repair_init(2, CLUSTER_SLAB, 2);
	rw.cfg.drop_ns = 60000 * MS;
	repair_start();
	repair_write_all(1);
	cluster_server_stop(&rw, 1, false);
	cluster_server_start(&rw, 1);
	rw.net.filter = late_answers;
	hold_answers = true;
	reads = 0;
	ended = RMNIC_STORE_PENDING;
	cluster_page(remote_buf, 8);
	assert_int_equal(rw.store->ops->page_out(rw.store, &op), RMNIC_STORE_PENDING);
	cluster_run(&rw, 5000 * MS);
	assert_true(writes_held > 0);
	assert_int_equal(ended, RMNIC_STORE_PENDING);
	assert_int_equal(repair_events[RMNIC_REMOTE_EV_SYNCING], 1);
	assert_int_equal(reads, 0);
	hold_answers = false;
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(ended, RMNIC_SC_OK);
	assert_true(reads > 0);
	assert_true(repair_whole(5000 * MS));
	for (uint64_t i = 0; i < CLUSTER_SLAB; i++)
		assert_true(cluster_is_page(bytes_of(1, i), 1 + i));
}

/* --- Copies that are wrong ------------------------------------------------------------------------------- */

/* STATE-27: the reader gets another member's, and the bad one is replaced and counted. */
static void fixed__damaged(void **state)
{
	(void)state;
	repair_init(2, CLUSTER_SLAB, 2);
	repair_start();
	repair_write_all(1);
	bytes_of(0, 5)[9] ^= 1;
	bytes_of(1, 6)[9] ^= 1;
	for (unsigned int i = 0; i < 20; i++) { /* either may be asked first */
		assert_true(remote_holds(5, 6));
		assert_true(remote_holds(6, 7));
	}
	assert_true(repair_counters()->fixed >= 1);
	assert_int_equal(repair_events[RMNIC_REMOTE_EV_PAGE_FIXED], repair_counters()->fixed);
	cluster_run(&rw, 1000 * MS);
	assert_true(cluster_is_page(bytes_of(0, 5), 6) || cluster_is_page(bytes_of(1, 6), 7));
}

/* One that is damaged where it is copied from: the other source is read, or it is left out. */
static void copied__from_a_good_one(void **state)
{
	(void)state;
	repair_init(3, CLUSTER_SLAB, 3);
	repair_start();
	repair_write_all(1);
	bytes_of(0, 5)[9] ^= 1;
	bytes_of(2, 6)[9] ^= 1;
	empty_server_1();
	assert_true(repair_whole(20000 * MS));
	assert_true(repair_alone(1, 1));
}

static void copied__nobody_has_it(void **state)
{
	(void)state;
	repair_init(2, CLUSTER_SLAB, 2);
	repair_start();
	repair_write_all(1);
	bytes_of(0, 5)[9] ^= 1;
	empty_server_1();
	assert_true(repair_whole(20000 * MS)); /* one page does not keep the others from it */
	assert_int_equal(cluster_in(&rw, 5, remote_buf), RMNIC_SC_CORRUPT);
	cluster_server_stop(&rw, 0, true);
	for (uint64_t i = 0; i < CLUSTER_SLAB; i++)
		if (i != 5)
			assert_true(remote_holds(i, 1 + i));
	assert_int_equal(cluster_in(&rw, 5, remote_buf), RMNIC_SC_UNREACHABLE); /* STATE-33 */
}

/*
 * RULES A8: a member has a page that is newer than what was acknowledged, from a backend that did
 * not know of its successor. It is not kept, neither when it is found nor when its server returns.
 */
static void plant_orphan(unsigned int server, uint64_t rpn, uint64_t version)
{
	struct rmnic_memstore *ms = rw.servers[server].store;
	uint32_t frame = rmnic_frame_get(ms->frames), crc;

	cluster_page(rmnic_frame_data(ms->frames, frame), 999);
	crc = rmnic_crc32c_update(rmnic_rmp_client_crc(rmnic_store_remote_client(rw.store)), 0,
				  rmnic_frame_data(ms->frames, frame), RMNIC_PAGE_SIZE);
	crc = rmnic_page_seal(rmnic_rmp_client_crc(rmnic_store_remote_client(rw.store)), crc,
			      rw.cfg.device, rpn, version);
	assert_int_equal(rmnic_mem_write(ms, remote_slab(server, rpn), rpn, version,
					 RMNIC_RMP_PAGE_STORED, crc, frame),
			 RMNIC_RMP_S_OK);
}

static void orphan__of_one_that_returns(void **state)
{
	(void)state;
	repair_init(2, CLUSTER_SLAB, 2);
	repair_start();
	repair_write_all(1);
	cluster_server_stop(&rw, 1, true);
	assert_int_equal(remote_out(3, 4), RMNIC_SC_OK);
	plant_orphan(1, 9, 5000);
	cluster_server_start(&rw, 1);
	assert_true(repair_whole(10000 * MS));
	assert_true(repair_counters()->copied < 8);
	assert_true(repair_alone(1, 1));
}

static void orphan__of_one_that_stayed(void **state)
{
	(void)state;
	repair_init(2, CLUSTER_SLAB, 2);
	repair_start();
	repair_write_all(1);
	plant_orphan(1, 9, 5000);
	for (unsigned int i = 0; i < 50 && !repair_counters()->resyncs; i++) {
		assert_true(remote_holds(9, 10)); /* never the other one, whoever is asked */
		cluster_run(&rw, 2000 * MS);
	}
	assert_true(repair_counters()->resyncs > 0);
	assert_true(repair_whole(10000 * MS));
	assert_true(repair_alone(1, 1));
}

#define TEST(name) cmocka_unit_test_teardown(name, repair_fini)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rate__is_kept),
		TEST(copying__begins_after_the_writes),
		TEST(fixed__damaged),
		TEST(copied__from_a_good_one),
		TEST(copied__nobody_has_it),
		TEST(orphan__of_one_that_returns),
		TEST(orphan__of_one_that_stayed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
