/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server_rig.h"

/* RMP-15, RMP-17, RMP-18 */
static void slabs__alloc_and_release(void **state)
{
	uint64_t first = handle;
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_RELEASE, .handle = handle, .epoch = 5 };
	struct rmnic_rmp_alloc a = { .slab = 3, .pages = SLAB };
	struct rmnic_rmp_msg wrong = { .type = RMNIC_RMP_ALLOC, .rpn = 3, .epoch = 5 };

	(void)state;
	assert_int_equal(alloc(1, 5), RMNIC_RMP_S_OK);
	assert_true(handle == first);
	assert_int_equal(ask(&wrong, &a, sizeof(a)), RMNIC_RMP_S_INVALID);
	assert_int_equal(alloc(2, 5), RMNIC_RMP_S_OK);
	assert_int_equal(alloc(3, 5), RMNIC_RMP_S_OK);
	assert_int_equal(alloc(4, 5), RMNIC_RMP_S_NO_SPACE);
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_UNKNOWN_SLAB);
	handle = first;
	assert_int_equal(read_page(32), RMNIC_RMP_S_UNKNOWN_SLAB);
	assert_int_equal(alloc(1, 5), RMNIC_RMP_S_OK);
	assert_true(handle != first);
}

/* RMP-39: repeated with the old handle it gives the same answer, until the new one is renewed. */
static void slabs__renew(void **state)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_RENEW, .handle = handle, .epoch = 5,
				   .version = 78 };
	struct rmnic_rmp_allocated out;
	uint64_t first = handle, second;

	(void)state;
	fill(1);
	assert_int_equal(write_page(33, 77), RMNIC_RMP_S_OK);
	assert_int_equal(write_page(34, 78), RMNIC_RMP_S_OK);
	assert_int_equal(write_page(35, 90), RMNIC_RMP_S_OK);
	assert_int_equal(ask(&m, page, 8), RMNIC_RMP_S_INVALID);
	m.request = 0;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	assert_int_equal(sent[0].msg.payload_len, sizeof(out));
	memcpy(&out, sent[0].msg.payload, sizeof(out));
	second = out.handle;
	assert_true(second && second != first);
	assert_int_equal(read_page(33), RMNIC_RMP_S_UNKNOWN_SLAB);
	assert_int_equal(write_page(33, 78), RMNIC_RMP_S_UNKNOWN_SLAB);
	m.request = 0;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK); /* the answer was lost */
	memcpy(&out, sent[0].msg.payload, sizeof(out));
	assert_true(out.handle == second);
	handle = second;
	assert_int_equal(read_page(33), RMNIC_RMP_S_OK); /* what was in it is in it */
	assert_int_equal(read_page(34), RMNIC_RMP_S_ABSENT); /* but for what is not wanted */
	assert_int_equal(read_page(35), RMNIC_RMP_S_ABSENT);
	assert_int_equal(ms->devices[0].stored, 1);
	assert_int_equal(write_page(34, 79), RMNIC_RMP_S_OK);
	m.request = 0;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK); /* one that the network held back */
	assert_int_equal(read_page(34), RMNIC_RMP_S_OK);
	m.request = 0;
	m.handle = second;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	memcpy(&out, sent[0].msg.payload, sizeof(out));
	assert_true(out.handle != second && out.handle != first);
	m.request = 0;
	m.handle = first;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_UNKNOWN_SLAB);
	m.request = 0;
	m.handle = out.handle;
	m.epoch = 4;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_FENCED); /* RMP-14 */
}

/* RMP-39: a renewed slab is of the session's epoch; a released one cannot be renewed. */
static void slabs__renew_epoch(void **state)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_RENEW, .handle = handle, .epoch = 6 };
	struct rmnic_mem_slab *slab = rmnic_mem_slab(ms, 0, handle);
	uint64_t first = handle;

	(void)state;
	assert_int_equal(slab->epoch, 5);
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_NOT_SEALED);
	assert_int_equal(seal(6), RMNIC_RMP_S_OK);
	m.request = 0;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	assert_int_equal(slab->epoch, 6);
	rmnic_mem_release(ms, slab);
	m.request = 0;
	m.handle = first;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_UNKNOWN_SLAB);
	m.request = 0;
	m.handle = UINT64_MAX;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_UNKNOWN_SLAB);
	m.request = 0;
	m.handle = 0;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_UNKNOWN_SLAB);
}

/* RMP-35 */
static void slabs__list(void **state)
{
	struct rmnic_rmp_list in = { 0 }, out;
	struct rmnic_rmp_list_entry e;
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_LIST };

	(void)state;
	fill(1);
	write_page(33, 77);
	assert_int_equal(alloc(2, 5), RMNIC_RMP_S_OK);
	assert_int_equal(ask(&m, &in, sizeof(in)), RMNIC_RMP_S_OK);
	memcpy(&out, sent[0].msg.payload, sizeof(out));
	assert_int_equal(out.count, 2);
	assert_false(sent[0].msg.flags & RMNIC_RMP_F_MORE);
	memcpy(&e, sent[0].msg.payload + sizeof(out), sizeof(e));
	assert_int_equal(e.slab, 1);
	assert_int_equal(e.version, 77);
	assert_int_equal(e.epoch, 5);
	assert_int_equal(e.pages, 1);
}

/* RMP-33 */
static void views__recorded_and_read(void **state)
{
	struct rmnic_rmp_view v = { .view = 2, .members = 1 };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_RECORD_VIEW, .handle = handle, .epoch = 5 };
	struct rmnic_rmp_msg r = { .type = RMNIC_RMP_READ_VIEW, .handle = handle, .epoch = 5 };
	struct rmnic_rmp_msg s = { .type = RMNIC_RMP_SEAL, .epoch = 5 };
	struct rmnic_rmp_sealed sealed;

	(void)state;
	v.member[0].handle = handle;
	assert_int_equal(ask(&m, &v, sizeof(v)), RMNIC_RMP_S_OK);
	assert_int_equal(ask(&r, NULL, 0), RMNIC_RMP_S_OK);
	assert_memory_equal(sent[0].msg.payload, &v, sizeof(v));
	v.view = 1;
	m.request = 0;
	assert_int_equal(ask(&m, &v, sizeof(v)), RMNIC_RMP_S_STALE);
	v.view = 3;
	v.syncing = 2; /* of a member that is not there */
	m.request = 0;
	assert_int_equal(ask(&m, &v, sizeof(v)), RMNIC_RMP_S_INVALID);
	assert_int_equal(ask(&s, NULL, 0), RMNIC_RMP_S_OK);
	memcpy(&sealed, sent[0].msg.payload, sizeof(sealed));
	assert_int_equal(sealed.view, 2);
	assert_int_equal(sealed.slabs, 1);
}

/* RMP-34 */
static void sync__tombstones_included(void **state)
{
	struct rmnic_rmp_sync in = { .count = SLAB }, out;
	struct rmnic_rmp_sync_record r[2];
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_SYNC, .handle = handle, .rpn = 32, .epoch = 5 };

	(void)state;
	fill(1);
	write_page(35, 8);
	rmnic_mem_free(ms, rmnic_mem_slab(ms, 0, handle), 50, 1, 9);
	assert_int_equal(ask(&m, &in, sizeof(in)), RMNIC_RMP_S_OK);
	memcpy(&out, sent[0].msg.payload, sizeof(out));
	memcpy(r, sent[0].msg.payload + sizeof(out), sizeof(r));
	assert_int_equal(out.count, 2);
	assert_int_equal(out.next, 64);
	assert_int_equal(r[0].page, 3);
	assert_int_equal(r[0].vstate, 8 << 16 | RMNIC_RMP_PAGE_STORED);
	assert_int_equal(r[1].page, 18);
	assert_int_equal(r[1].vstate, 9 << 16 | RMNIC_RMP_PAGE_TOMBSTONE);
	in.count = SLAB + 1;
	m.request = 0;
	assert_int_equal(ask(&m, &in, sizeof(in)), RMNIC_RMP_S_INVALID);
}

/* RMP-12 */
static void probe__sets_the_segment(void **state)
{
	uint8_t body[2048] = { 0 };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_PROBE };

	(void)state;
	rmnic_rmp_put32(body, 4096);
	assert_int_equal(ask(&m, body, sizeof(body)), RMNIC_RMP_S_OK);
	assert_int_equal(sent[0].len, RMNIC_RMP_HDR_SIZE + 4096);
	assert_int_equal(rmnic_rmp_get32(sent[0].msg.payload), sizeof(body));
	rmnic_rmp_put32(body, 8);
	rmnic_rmp_put32(body + 4, 4096);
	m.request = 0;
	assert_int_equal(ask(&m, body, 8), RMNIC_RMP_S_OK);
	fill(2);
	write_page(40, 1);
	assert_int_equal(read_page(40), RMNIC_RMP_S_OK);
	assert_int_equal(nsent, 1);
	rmnic_rmp_put32(body + 4, 100);
	m.request = 0;
	assert_int_equal(ask(&m, body, 8), RMNIC_RMP_S_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_rig_up, server_rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(slabs__alloc_and_release),
		TEST(slabs__renew),
		TEST(slabs__renew_epoch),
		TEST(slabs__list),
		TEST(views__recorded_and_read),
		TEST(sync__tombstones_included),
		TEST(probe__sets_the_segment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
