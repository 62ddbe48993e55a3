/* SPDX-License-Identifier: BSD-3-Clause */
/* Copies of pages at rest are compared (STATE-27). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/rmp_codec.h"
#include "remote_rig.h"
#include "rmnic/device.h"

#define PAGES 256u
#define USED  192u
#define RATE  2000u

static int tear_down(void **state)
{
	(void)state;
	cluster_fini(&rw);
	return 0;
}

static void up(unsigned int servers)
{
	cluster_init(&rw, 1, servers, PAGES + 256, PAGES, 2);
	rw.cfg.scrub_rate = RATE;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 1000 * MS));
	for (uint64_t rpn = 0; rpn < USED; rpn++)
		assert_int_equal(remote_out(rpn, 1000 + rpn), RMNIC_SC_OK);
}

static const struct rmnic_remote_counters *counters(void)
{
	return rmnic_store_remote_counters(rw.store);
}

static void rounds(unsigned int n)
{
	cluster_run(&rw, n * MS * 1000 * PAGES / RATE);
}

static struct rmnic_page_meta *meta(unsigned int server, uint64_t rpn)
{
	return rmnic_mem_page(remote_slab(server, rpn), rpn);
}

/* Nothing is wrong, whatever is written meanwhile; and not faster than it should be. */
static void scrub__whole_copies(void **state)
{
	uint64_t before, start;

	(void)state;
	up(3);
	start = rw.net.now;
	before = counters()->scrubbed;
	for (int i = 0; i < 40; i++) {
		for (uint64_t rpn = (uint64_t)i % 4; rpn < USED; rpn += 4)
			assert_int_equal(remote_out(rpn, 2000 + rpn), RMNIC_SC_OK);
		assert_int_equal(rw.store->ops->free(rw.store, 20, 9), RMNIC_SC_OK);
		cluster_run(&rw, 37 * MS);
	}
	rounds(2);
	assert_true(counters()->scrubbed - before > USED);
	assert_true(counters()->scrubbed - before <
		    RATE * (rw.net.now - start) / (1000 * MS) + 2 * 64);
	assert_int_equal(counters()->scrub_bad, 0);
}

/* Each page is the same on both, and nobody has found it damaged. */
static void check_copies(void)
{
	for (uint64_t rpn = 0; rpn < USED; rpn++) {
		assert_true(meta(0, rpn)->vstate == meta(1, rpn)->vstate);
		assert_int_equal(meta(0, rpn)->crc, meta(1, rpn)->crc);
		assert_true(meta(0, rpn)->vstate & RMNIC_RMP_PAGE_STORED);
		assert_false(meta(0, rpn)->vstate & RMNIC_RMP_PAGE_BAD);
	}
}

/* What a server says of its memory, what it has lost, what it never got. */
static void scrub__finds_wrong_copies(void **state)
{
	(void)state;
	up(2);
	rounds(2);
	assert_int_equal(counters()->scrub_bad, 0);
	rmnic_frame_data(rw.servers[0].store->frames, meta(0, 5)->body)[9] ^= 1;
	assert_false(rmnic_mem_check(rw.servers[0].store, remote_slab(0, 5), 5));
	meta(1, 70)->vstate -= UINT64_C(1) << 16;
	/* A page as it once was, whole in itself. */
	rmnic_frame_put(rw.servers[0].store->frames, meta(0, 50)->body);
	rw.servers[0].store->stored--;
	meta(0, 50)->vstate = UINT64_C(1) << 16 | RMNIC_RMP_PAGE_FILLED;
	meta(0, 50)->body = 7;
	meta(0, 50)->crc = rmnic_rmp_fill_crc(
		rmnic_rmp_client_crc(rmnic_store_remote_client(rw.store)), 7, rw.cfg.device, 50, 1);
	meta(1, 100)->vstate |= RMNIC_RMP_PAGE_TOMBSTONE;
	meta(1, 100)->vstate &= ~(uint64_t)RMNIC_RMP_PAGE_STORED;
	rmnic_frame_put(rw.servers[1].store->frames, meta(1, 100)->body);
	rw.servers[1].store->stored--;
	rounds(2);
	assert_true(counters()->scrub_bad >= 4);
	check_copies();
	for (uint64_t rpn = 0; rpn < USED; rpn++)
		assert_true(remote_holds(rpn, 1000 + rpn));
}

/* Both say that they have it, and of the same version: reading it shows who is right. */
static void scrub__doubts(void **state)
{
	(void)state;
	up(2);
	rounds(2);
	meta(1, 33)->crc ^= 4;
	meta(0, 34)->crc ^= 4;
	rounds(2);
	assert_true(counters()->scrub_bad >= 2);
	check_copies();
	assert_true(remote_holds(33, 1033));
	assert_true(remote_holds(34, 1034));
}

/* A member that is silent is not asked, and is not found wrong. */
static void scrub__stops_while_a_member_is_silent(void **state)
{
	uint64_t before;

	(void)state;
	up(2);
	for (unsigned int i = 0; i < 2; i++)
		rw.net.cut[rw.servers[i].end][rw.backend] = true;
	rounds(2);
	before = counters()->scrubbed;
	rounds(10);
	assert_int_equal(counters()->scrubbed, before);
	for (unsigned int i = 0; i < 2; i++)
		rw.net.cut[rw.servers[i].end][rw.backend] = false;
	cluster_run(&rw, 3000 * MS);
	rounds(2);
	assert_true(counters()->scrubbed > before);
	assert_int_equal(counters()->scrub_bad, 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(scrub__whole_copies),
		TEST(scrub__finds_wrong_copies),
		TEST(scrub__doubts),
		TEST(scrub__stops_while_a_member_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
