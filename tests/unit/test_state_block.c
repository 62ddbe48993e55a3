/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/state_block.h"

static const struct rmnic_state_shape shape = {
	.uuid = "uuid-of-a-device", .pages = 1024, .slab_pages = 128, .queues = 5, .depth = 8,
	.epoch = 3,
};
static uint8_t *memory;
static uint64_t size;

static int set_up(void **state)
{
	(void)state;
	size = rmnic_state_size(&shape);
	memory = aligned_alloc(4096, size);
	memset(memory, 0, size);
	rmnic_state_format(memory, &shape);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	free(memory);
	return 0;
}

static const char *attach(struct rmnic_state_block *b)
{
	return rmnic_state_attach(b, memory, size, shape.uuid);
}

static void size__refuses_odd_shapes(void **state)
{
	struct rmnic_state_shape s = shape;

	(void)state;
	assert_int_equal(size % 4096, 0);
	s.slab_pages = 100;
	assert_int_equal(rmnic_state_size(&s), 0);
	s.slab_pages = 2048;
	assert_int_equal(rmnic_state_size(&s), 0);
	s = shape;
	s.pages = RMNIC_MAX_CAPACITY + 128;
	assert_int_equal(rmnic_state_size(&s), 0);
	for (unsigned int i = 0; i < 6; i++) {
		static const uint32_t queues[] = { 0, RMNIC_MAX_QPAIRS + 2, 5, 5, 5, 5 };
		static const uint32_t depth[] = { 8, 8, 0, 1, 12, 2 * RMNIC_MAX_DEPTH };

		s = shape;
		s.queues = queues[i];
		s.depth = depth[i];
		assert_int_equal(rmnic_state_size(&s), 0);
	}
	s.queues = RMNIC_MAX_QPAIRS + 1;
	s.depth = RMNIC_MAX_DEPTH;
	assert_true(rmnic_state_size(&s) > 257ull * 4096 * 128);
}

/* STATE-1: each 8 bytes of the header in turn become what they should not be. */
static void attach__every_field_is_checked(void **state)
{
	static const size_t checked[] = { 0, 8, 16, 24, 40, 48, 56, 64, 72, 80, 88, 112, 96 };
	struct rmnic_state_block b;

	(void)state;
	assert_null(attach(&b));
	for (unsigned int i = 0; i < sizeof(checked) / sizeof(checked[0]); i++) {
		uint64_t was, bad = checked[i] == 96 ? 0 : ~0ull;

		memcpy(&was, memory + checked[i], 8);
		memcpy(memory + checked[i], &bad, 8);
		assert_non_null(attach(&b));
		memcpy(memory + checked[i], &was, 8);
		assert_null(attach(&b));
	}
	for (size_t at = 56; at <= 80; at += 8) { /* a table that begins, or ends, outside */
		uint64_t was, bad;

		memcpy(&was, memory + at, 8);
		for (bad = size; bad; bad = bad << 1 & ~0xfffull) {
			uint64_t aligned = (bad + 4095) / 4096 * 4096;

			memcpy(memory + at, &aligned, 8);
			assert_non_null(attach(&b));
		}
		memcpy(memory + at, &was, 8);
	}
	assert_non_null(rmnic_state_attach(&b, memory, size - 1, shape.uuid));
	assert_non_null(rmnic_state_attach(&b, memory, 100, shape.uuid));
	assert_non_null(rmnic_state_attach(&b, memory, size, (const uint8_t *)"another-device.."));
}

/* What is there for whom: each pair's flights lie behind those of the one before it. */
static void attach__queues_and_flights(void **state)
{
	struct rmnic_state_hdr *hdr = (void *)memory;
	struct rmnic_state_block b;

	(void)state;
	assert_null(attach(&b));
	assert_int_equal(b.nqueues, 5);
	assert_int_equal(b.depth, 8);
	assert_true((uint8_t *)b.queues >= memory + 4096);
	assert_true((uint8_t *)&b.queues[5] <= (uint8_t *)b.flights);
	assert_true((uint8_t *)&b.flights[5 * 8] <= memory + size);
	hdr->flights++;
	assert_non_null(attach(&b));
	hdr->flights--;
	hdr->depth = 4; /* as many as it says would be fewer than it has */
	assert_non_null(attach(&b));
}

/* STATE-31: as it was set, for who attaches next; nonsense is nobody's setting. */
static void replicas__are_kept(void **state)
{
	struct rmnic_state_hdr *hdr = (void *)memory;
	struct rmnic_state_block b, next;

	(void)state;
	assert_null(attach(&b));
	assert_int_equal(rmnic_state_replicas(&b), 0);
	rmnic_state_replicas_set(&b, 3);
	assert_null(attach(&next));
	assert_int_equal(rmnic_state_replicas(&next), 3);
	hdr->replicas = RMNIC_RMP_MAX_MEMBERS + 1;
	assert_int_equal(rmnic_state_replicas(&b), 0);
	assert_non_null(attach(&next));
}

static struct rmnic_state_view view(uint64_t number, uint8_t members)
{
	struct rmnic_state_view v = { .view = number, .members = members };

	for (unsigned int i = 0; i < members; i++) {
		v.member[i].store_id = number * 10 + i;
		v.member[i].handle = number * 100 + i;
	}
	return v;
}

/* STATE-6: a death before the last store finds the old view, whole. */
static void view__all_or_nothing(void **state)
{
	struct rmnic_state_block b;
	struct rmnic_state_view v = view(1, 2), got;

	(void)state;
	assert_null(attach(&b));
	assert_true(rmnic_state_view_get(&b, 2, &got));
	assert_int_equal(got.view, 0);
	rmnic_state_view_set(&b, 2, &v);
	assert_true(rmnic_state_view_get(&b, 2, &got));
	assert_memory_equal(&got, &v, sizeof(v));
	/* The next view's copy half written. */
	memset(&b.slabs[2].copy[0], 0xff, 70);
	assert_true(rmnic_state_view_get(&b, 2, &got));
	assert_memory_equal(&got, &v, sizeof(v));
	v = view(2, 1);
	rmnic_state_view_set(&b, 2, &v);
	assert_true(rmnic_state_view_get(&b, 2, &got));
	assert_memory_equal(&got, &v, sizeof(v));
}

/* STATE-1 */
static void view__damaged(void **state)
{
	struct rmnic_state_block b;
	struct rmnic_state_view v = view(1, 2), got;

	(void)state;
	assert_null(attach(&b));
	rmnic_state_view_set(&b, 0, &v);
	b.slabs[0].copy[1].members = 5;
	assert_false(rmnic_state_view_get(&b, 0, &got));
	b.slabs[0].copy[1].members = 0;
	assert_false(rmnic_state_view_get(&b, 0, &got));
	b.slabs[0].copy[1].members = 2;
	b.slabs[0].copy[1].syncing = 4;
	assert_false(rmnic_state_view_get(&b, 0, &got));
	b.slabs[0].copy[1].syncing = 0;
	b.slabs[0].current = 3;
	assert_false(rmnic_state_view_get(&b, 0, &got));
	b.slabs[0].current = 1;
	b.slabs[0].copy[1].member[1].handle = 0;
	assert_false(rmnic_state_view_get(&b, 0, &got));
}

/* STATE-7 */
static void version__recorded_before_use(void **state)
{
	struct rmnic_state_block b, next;

	(void)state;
	assert_null(attach(&b));
	for (uint64_t i = 1; i < 100; i++) {
		assert_int_equal(rmnic_state_version(&b), i);
		assert_true(b.hdr->next_version > i); /* what a successor would start from */
	}
	assert_null(attach(&next));
	assert_int_equal(rmnic_state_version(&next), 100);
	rmnic_state_version_seen(&next, 50);
	assert_int_equal(rmnic_state_version(&next), 101);
	rmnic_state_version_seen(&next, 500);
	assert_int_equal(rmnic_state_version(&next), 501);
	rmnic_state_version_seen(&next, RMNIC_RMP_VERSION_MAX);
	assert_int_equal(rmnic_state_version(&next), 0);
}

static void page__word(void **state)
{
	struct rmnic_state_block b;

	(void)state;
	assert_null(attach(&b));
	assert_int_equal(rmnic_state_page(&b, 1023), 0);
	rmnic_state_page_set(&b, 1023, RMNIC_RMP_VERSION_MAX, RMNIC_STATE_PAGE_HELD);
	assert_true(rmnic_state_page(&b, 1023) == (~0ull << 16 | RMNIC_STATE_PAGE_HELD));
	assert_int_equal(rmnic_state_page(&b, 1022), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(size__refuses_odd_shapes), TEST(attach__every_field_is_checked),
		TEST(attach__queues_and_flights),
		TEST(replicas__are_kept),
		TEST(view__all_or_nothing),     TEST(view__damaged),
		TEST(version__recorded_before_use), TEST(page__word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
