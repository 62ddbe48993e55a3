/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/le.h"
#include "engine/rmp_codec.h"
#include "server_rig.h"

static unsigned int told;
static uint64_t told_rpn;

static void damaged(void *arg, const uint8_t device[16], uint64_t rpn)
{
	(void)arg;
	assert_int_equal(device[0], 0xd0);
	told++;
	told_rpn = rpn;
}

static struct rmnic_mem_slab *slab(void)
{
	return rmnic_mem_slab(ms, 0, handle);
}

static struct rmnic_page_meta *meta(uint64_t rpn)
{
	return rmnic_mem_page(slab(), rpn);
}

static int set_up(void **state)
{
	int failed = server_rig_up(state);

	told = 0;
	ms->cfg.damaged = damaged;
	return failed;
}

static void store(uint64_t rpn, uint64_t version)
{
	fill(rpn);
	assert_int_equal(write_page(rpn, version), RMNIC_RMP_S_OK);
}

static void spoil(uint64_t rpn)
{
	rmnic_frame_data(ms->frames, meta(rpn)->body)[77] ^= 1;
}

/* RMP-40: only what is wrong is marked, wherever it lies, and once. */
static void scrub__finds_damage(void **state)
{
	(void)state;
	for (uint64_t rpn = 32; rpn < 64; rpn += 3)
		store(rpn, rpn);
	assert_int_equal(rmnic_mem_scrub(ms, 100), 100); /* round and round */
	assert_int_equal(told, 0);
	spoil(41);
	for (int i = 0; i < 20; i++)
		rmnic_mem_scrub(ms, 1);
	assert_int_equal(told, 1);
	assert_true(told_rpn == 41);
	assert_int_equal(ms->bad, 1);
	assert_true(meta(41)->vstate == (UINT64_C(41) << 16 | RMNIC_RMP_PAGE_STORED |
					 RMNIC_RMP_PAGE_BAD));
	assert_int_equal(read_page(41), RMNIC_RMP_S_CORRUPT);
	assert_true(sent[0].msg.version == 41);
	assert_int_equal(read_page(38), RMNIC_RMP_S_OK);
}

/* A word, its checksum, its version: whatever was hit. */
static void scrub__finds_any_damage(void **state)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_WRITE_FILLED, .handle = handle, .rpn = 44,
				   .version = 9, .epoch = 5, .total = 4,
				   .flags = RMNIC_RMP_F_FILLED };
	const uint8_t word[4] = { 1, 2, 3, 4 };
	uint8_t uuid[16];

	(void)state;
	memset(uuid, 0xd0, 16);
	m.crc = rmnic_rmp_fill_crc(&crc, 0x04030201, uuid, 44, 9);
	assert_int_equal(ask(&m, word, 4), RMNIC_RMP_S_OK);
	store(45, 7);
	store(46, 8);
	rmnic_mem_scrub(ms, 3);
	assert_int_equal(ms->bad, 0);
	meta(44)->body ^= 1u << 30;
	meta(45)->crc ^= 1;
	meta(46)->vstate += 1 << 16;
	rmnic_mem_scrub(ms, 3);
	assert_int_equal(ms->bad, 3);
	assert_int_equal(read_page(44), RMNIC_RMP_S_CORRUPT);
	m.request = m.stamp = 0;
	assert_int_equal(ask(&m, word, 4), RMNIC_RMP_S_OK);
	assert_int_equal(read_page(44), RMNIC_RMP_S_OK);
	assert_int_equal(ms->bad, 2);
	assert_int_equal(ms->healed, 1);
}

/* RMP-40: the same version replaces it, an older one never does, a newer one as always. */
static void bad__is_replaced(void **state)
{
	struct rmnic_rmp_msg m;

	(void)state;
	store(40, 12);
	store(41, 13);
	spoil(40);
	spoil(41);
	rmnic_mem_scrub(ms, 2);
	assert_int_equal(ms->bad, 2);
	fill(40);
	assert_int_equal(write_page(40, 11), RMNIC_RMP_S_STALE);
	m = write_msg(40, 12);
	page[3] ^= 1;
	assert_int_equal(ask(&m, page, 4096), RMNIC_RMP_S_CORRUPT);
	assert_int_equal(ms->bad, 2);
	store(40, 12);
	assert_int_equal(read_page(40), RMNIC_RMP_S_OK);
	assert_int_equal(sent[0].msg.crc, seal_of(40, 12));
	store(41, 14);
	assert_int_equal(ms->bad, 0);
	assert_int_equal(ms->healed, 2);
	assert_int_equal(ms->stored, 2);
}

/*
 * RMP-40: a reader found it damaged before the server did. The page that it sends instead is not
 * taken for a duplicate.
 */
static void bad__is_replaced_unseen(void **state)
{
	(void)state;
	store(40, 12);
	spoil(40);
	store(40, 12);
	assert_int_equal(ms->healed, 1);
	assert_int_equal(rmnic_rmp_server_counters(server)->duplicates, 0);
	rmnic_mem_scrub(ms, 1);
	assert_int_equal(ms->bad, 0);
	store(40, 12);
	assert_int_equal(rmnic_rmp_server_counters(server)->duplicates, 1);
	meta(40)->crc ^= 1; /* nor is it refused for being another page */
	store(40, 12);
	assert_int_equal(ms->healed, 2);
	fill(41);
	assert_int_equal(write_page(40, 12), RMNIC_RMP_S_STALE); /* as this one is */
}

/* RMP-40: SYNC says so, with the version that is to be written again. */
static void bad__is_told_by_sync(void **state)
{
	struct rmnic_rmp_sync in = { .count = rmnic_le32_put(32) };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_SYNC, .handle = handle, .rpn = 32, .epoch = 5 };
	struct rmnic_rmp_sync_record rec;

	(void)state;
	store(40, 12);
	spoil(40);
	rmnic_mem_scrub(ms, 1);
	assert_int_equal(ask(&m, &in, sizeof(in)), RMNIC_RMP_S_OK);
	memcpy(&rec, sent[0].msg.payload + sizeof(struct rmnic_rmp_sync), sizeof(rec));
	assert_true(rmnic_le64_get(rec.vstate) ==
		    (UINT64_C(12) << 16 | RMNIC_RMP_PAGE_STORED | RMNIC_RMP_PAGE_BAD));
}

static void bad__goes_with_its_slab(void **state)
{
	(void)state;
	store(40, 12);
	store(41, 13);
	spoil(40);
	spoil(41);
	rmnic_mem_scrub(ms, 2);
	rmnic_mem_free(ms, slab(), 40, 1, 20);
	assert_int_equal(ms->bad, 1);
	assert_int_equal(ms->healed, 0); /* freed is not healed */
	rmnic_mem_release(ms, slab());
	assert_int_equal(rmnic_mem_scrub(ms, 1), 0);
	while (rmnic_mem_idle(ms))
		;
	assert_int_equal(ms->bad, 0);
	assert_int_equal(ms->stored, 0);
}

/* At the rate that was asked for, in small pieces, and not at all without one. */
static void poll__scrubs_at_a_rate(void **state)
{
	uint64_t start, seconds;

	(void)state;
	for (uint64_t rpn = 32; rpn < 64; rpn++)
		store(rpn, rpn);
	start = net.now;
	assert_true(rmnic_rmp_server_deadline(server) == UINT64_MAX);
	rmnic_rmp_server_poll(server);
	assert_int_equal(ms->scrubbed, 0);
	rmnic_rmp_server_scrub(server, 1000);
	rmnic_rmp_server_poll(server);
	assert_true(ms->scrubbed && ms->scrubbed <= 8);
	for (int i = 0; i < 200; i++) {
		while (rmnic_rmp_server_poll(server))
			;
		assert_true(rmnic_rmp_server_deadline(server) > net.now);
		net.now = rmnic_rmp_server_deadline(server);
	}
	seconds = (net.now - start) / 1000000000;
	assert_true(seconds > 5);
	assert_true(ms->scrubbed > 900 * seconds && ms->scrubbed < 1100 * (seconds + 1));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, server_rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(scrub__finds_damage),   TEST(scrub__finds_any_damage),
		TEST(bad__is_replaced),      TEST(bad__is_replaced_unseen),
		TEST(bad__is_told_by_sync),  TEST(bad__goes_with_its_slab),
		TEST(poll__scrubs_at_a_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
