/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server_rig.h"

static int write_part(const struct rmnic_rmp_msg *whole, uint32_t s, uint32_t offset, uint32_t len)
{
	struct rmnic_rmp_msg m = *whole;

	m.stamp = s;
	m.offset = offset;
	return ask(&m, (uint8_t *)page + offset, len);
}

/* RMP-3, RMP-22 */
static void write__then_read(void **state)
{
	(void)state;
	assert_int_equal(read_page(40), RMNIC_RMP_S_ABSENT);
	fill(7);
	assert_int_equal(write_page(40, 12), RMNIC_RMP_S_OK);
	assert_int_equal(read_page(40), RMNIC_RMP_S_OK);
	assert_int_equal(nsent, 4); /* nobody has told of a larger MTU: 1280 */
	assert_int_equal(sent[2].msg.version, 12);
	assert_int_equal(sent[2].msg.crc, seal_of(40, 12));
	for (unsigned int i = 0, at = 0; i < nsent; at += sent[i++].msg.payload_len)
		assert_memory_equal(sent[i].msg.payload, (uint8_t *)page + at,
				    sent[i].msg.payload_len);
	assert_int_equal(read_page(31), RMNIC_RMP_S_INVALID); /* another slab's */
	assert_int_equal(read_page(64), RMNIC_RMP_S_INVALID);
}

/* RMP-3: spoilt bytes never become the page. */
static void write__wrong_checksum(void **state)
{
	struct rmnic_rmp_msg m;

	(void)state;
	fill(1);
	assert_int_equal(write_page(40, 12), RMNIC_RMP_S_OK);
	m = write_msg(40, 13);
	page[100] ^= 4;
	assert_int_equal(ask(&m, page, 4096), RMNIC_RMP_S_CORRUPT);
	assert_int_equal(rmnic_rmp_server_counters(server)->crc_errors, 1);
	assert_int_equal(rmnic_mem_page(rmnic_mem_slab(ms, 0, handle), 40)->vstate >> 16, 12);
	m = write_msg(40, 13);
	m.rpn = 41; /* right bytes, wrong page */
	assert_int_equal(ask(&m, page, 4096), RMNIC_RMP_S_CORRUPT);
}

/* RMP-19: a late duplicate cannot undo a newer write. */
static void write__late_duplicate(void **state)
{
	struct rmnic_rmp_msg old;

	(void)state;
	fill(1);
	old = write_msg(40, 12);
	assert_int_equal(ask(&old, page, 4096), RMNIC_RMP_S_OK);
	assert_int_equal(ask(&old, page, 4096), RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_rmp_server_counters(server)->duplicates, 1);
	fill(2);
	assert_int_equal(write_page(40, 13), RMNIC_RMP_S_OK);
	fill(1);
	assert_int_equal(ask(&old, page, 4096), RMNIC_RMP_S_STALE);
	assert_int_equal(read_page(40), RMNIC_RMP_S_OK);
	fill(2);
	assert_int_equal(sent[0].msg.crc, seal_of(40, 13));
}

/* RMP-20: a read that is still being sent sees the page as it was when it was asked for. */
static void write__fresh_frame(void **state)
{
	uint8_t before[8];
	unsigned int n;

	(void)state;
	fill(1);
	assert_int_equal(write_page(40, 1), RMNIC_RMP_S_OK);
	hold = true;
	assert_int_equal(read_page(40), RMNIC_RMP_S_OK);
	n = nsent;
	memcpy(before, sent[0].data, sizeof(before));
	hold = false;
	{
		struct sent kept[4];

		memcpy(kept, sent, sizeof(kept));
		for (uint64_t v = 2; v < 100; v++) {
			fill(v);
			assert_int_equal(write_page(40, v), RMNIC_RMP_S_OK);
			assert_memory_equal(kept[0].data, before, sizeof(before));
		}
		for (unsigned int i = 0; i < n; i++)
			kept[i].release(kept[i].release_arg);
	}
}

/* RMP-24 */
static void write__segments(void **state)
{
	struct rmnic_rmp_msg m;

	(void)state;
	fill(3);
	m = write_msg(50, 3);
	m.request = 5555;
	assert_int_equal(write_part(&m, 100, 2736, 1360), -1);
	assert_int_equal(write_part(&m, 100, 0, 1368), -1);
	assert_int_equal(write_part(&m, 100, 0, 1368), -1);
	assert_int_equal(write_part(&m, 101, 1368, 1368), -1); /* another attempt begins again */
	assert_int_equal(write_part(&m, 100, 1368, 1368), -1);
	assert_int_equal(write_part(&m, 101, 0, 1368), -1);
	assert_int_equal(write_part(&m, 101, 2736, 1360), RMNIC_RMP_S_OK);
	assert_int_equal(sent[0].msg.stamp, 101);
	assert_int_equal(rmnic_rmp_server_counters(server)->restarts, 1);
	assert_int_equal(read_page(50), RMNIC_RMP_S_OK);
	assert_int_equal(sent[0].msg.crc, m.crc);
	/* One id, two pages: refused. */
	m = write_msg(51, 4);
	m.request = 6666;
	assert_int_equal(write_part(&m, 100, 0, 1368), -1);
	m.rpn = 52;
	assert_int_equal(write_part(&m, 100, 1368, 1368), RMNIC_RMP_S_INVALID);
}

/* RMP-25: eight of a session are queued, no more; the ninth is told so. */
static void write__eight_at_a_time(void **state)
{
	struct rmnic_rmp_msg m;

	(void)state;
	fill(1);
	for (uint64_t i = 0; i < 8; i++) {
		m = write_msg(40 + i, 10 + i);
		assert_int_equal(write_part(&m, 100, 0, 1368), -1);
	}
	m = write_msg(50, 20);
	assert_int_equal(write_part(&m, 100, 0, 1368), RMNIC_RMP_S_BUSY);
	assert_int_equal(sent[0].msg.credit, 8 * 4096);
	net.now += 200000000; /* the oldest has had time enough */
	assert_int_equal(write_part(&m, 101, 0, 1368), -1);
	assert_int_equal(rmnic_rmp_server_counters(server)->evicted, 1);
}

/* RMP-27: a page-in is answered while page-outs wait. */
static void read__before_queued_writes(void **state)
{
	struct rmnic_rmp_msg m;
	uint8_t out[RMNIC_RMP_HDR_SIZE + 4096];

	(void)state;
	fill(1);
	assert_int_equal(write_page(40, 1), RMNIC_RMP_S_OK);
	m = write_msg(41, 2);
	m.session = session;
	memcpy(out + RMNIC_RMP_HDR_SIZE, page, 4096);
	rmnic_rmp_encode(&crc, out, &m, 4096, boot);
	give(out, sizeof(out));
	assert_int_equal(nsent, 0);
	m = (struct rmnic_rmp_msg){ .type = RMNIC_RMP_READ, .handle = handle, .rpn = 40,
				    .epoch = 5, .session = session };
	rmnic_rmp_encode(&crc, out, &m, 0, boot);
	give(out, RMNIC_RMP_HDR_SIZE);
	assert_int_equal(sent[0].msg.type, RMNIC_RMP_READ | RMNIC_RMP_REPLY);
	net.now += 70000;
	nsent = 0;
	rmnic_rmp_server_poll(server);
	assert_int_equal(sent[0].msg.status, RMNIC_RMP_S_OK);
	assert_int_equal(sent[0].msg.queued, 70);
}

/* RMP-23 */
static void write_filled__is_a_page(void **state)
{
	uint8_t uuid[16], word[4] = { 1, 2, 3, 4 };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_WRITE_FILLED, .handle = handle, .rpn = 44,
				   .version = 9, .epoch = 5, .total = 4,
				   .flags = RMNIC_RMP_F_FILLED };

	(void)state;
	memset(uuid, 0xd0, 16);
	m.crc = rmnic_rmp_fill_crc(&crc, 0x04030201, uuid, 44, 9);
	assert_int_equal(ask(&m, word, 4), RMNIC_RMP_S_OK);
	assert_int_equal(ms->stored, 0);
	assert_int_equal(read_page(44), RMNIC_RMP_S_OK);
	assert_true(sent[0].msg.flags & RMNIC_RMP_F_FILLED);
	assert_int_equal(sent[0].msg.crc, m.crc);
	assert_memory_equal(sent[0].msg.payload, word, 4);
	m.version = 10;
	m.request = m.stamp = 0;
	assert_int_equal(ask(&m, word, 4), RMNIC_RMP_S_CORRUPT);
	fill(1);
	assert_int_equal(write_page(44, 8), RMNIC_RMP_S_STALE);
}

/* RMP-21 */
static void free__ranges(void **state)
{
	struct rmnic_rmp_range r[2] = { { .rpn = 40, .pages = 2 }, { .rpn = 63, .pages = 1 } };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_FREE, .handle = handle, .version = 20,
				   .epoch = 5 };

	(void)state;
	fill(1);
	write_page(40, 10);
	write_page(41, 30);
	assert_int_equal(ask(&m, r, sizeof(r)), RMNIC_RMP_S_OK);
	assert_int_equal(read_page(40), RMNIC_RMP_S_ABSENT);
	assert_int_equal(sent[0].msg.version, 20);
	assert_int_equal(read_page(41), RMNIC_RMP_S_OK);
	fill(1);
	assert_int_equal(write_page(40, 19), RMNIC_RMP_S_STALE);
	r[1].pages = 2; /* past the slab: nothing of it is done */
	r[0].rpn = 41;
	m.version = 40;
	m.request = 0;
	assert_int_equal(ask(&m, r, sizeof(r)), RMNIC_RMP_S_INVALID);
	assert_int_equal(read_page(41), RMNIC_RMP_S_OK);
}

/* RMP-38: the same ranges again and again are work as well. */
static void free__not_too_many_pages(void **state)
{
	struct rmnic_rmp_range r[RMNIC_RMP_MAX_RANGES];
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_FREE, .handle = handle, .version = 20,
				   .epoch = 5 };
	uint32_t most = RMNIC_RMP_MAX_FREE / SLAB;

	(void)state;
	for (uint32_t i = 0; i < RMNIC_RMP_MAX_RANGES; i++)
		r[i] = (struct rmnic_rmp_range){ .rpn = SLAB, .pages = SLAB };
	fill(1);
	write_page(40, 10);
	assert_int_equal(ask(&m, r, (most + 1) * (uint32_t)sizeof(r[0])), RMNIC_RMP_S_INVALID);
	assert_int_equal(read_page(40), RMNIC_RMP_S_OK);
	m.request = 0;
	assert_int_equal(ask(&m, r, most * (uint32_t)sizeof(r[0])), RMNIC_RMP_S_OK);
	assert_int_equal(read_page(40), RMNIC_RMP_S_ABSENT);
}

/* RMP-13: what was received before the SEAL and waits is refused as well. */
static void epoch__fences_what_is_queued(void **state)
{
	struct rmnic_rmp_msg m;
	uint8_t out[RMNIC_RMP_HDR_SIZE + 4096];

	(void)state;
	fill(1);
	m = write_msg(33, 9);
	m.session = session;
	m.request = next_request++;
	memcpy(out + RMNIC_RMP_HDR_SIZE, page, 4096);
	rmnic_rmp_encode(&crc, out, &m, 4096, boot);
	give(out, sizeof(out)); /* queued: there was no poll */
	assert_int_equal(nsent, 0);
	assert_int_equal(rmnic_mem_seal(ms, 0, 7), RMNIC_RMP_S_OK);
	rmnic_rmp_server_poll(server);
	assert_int_equal(nsent, 1);
	assert_int_equal(sent[0].msg.status, RMNIC_RMP_S_FENCED);
	assert_int_equal(rmnic_mem_page(rmnic_mem_slab(ms, 0, handle), 33)->vstate, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_rig_up, server_rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write__then_read),
		TEST(write__wrong_checksum),
		TEST(write__late_duplicate),
		TEST(write__fresh_frame),
		TEST(write__segments),
		TEST(write__eight_at_a_time),
		TEST(read__before_queued_writes),
		TEST(write_filled__is_a_page),
		TEST(free__ranges),
		TEST(free__not_too_many_pages),
		TEST(epoch__fences_what_is_queued),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
