/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/memstore.h"
#include "memnet.h"

#define PAGES 64
#define SLAB  16

static struct memnet net;
static uint8_t *pages;
static struct rmnic_memstore *ms;
static uint32_t dev;

static struct rmnic_memstore_config config(void)
{
	return (struct rmnic_memstore_config){
		.env = memnet_env(&net), .pages = pages, .npages = PAGES, .slack = 8,
		.slab_pages = SLAB, .max_slabs = 8, .max_devices = 2, .max_refs = 4,
	};
}

static int set_up(void **state)
{
	struct rmnic_memstore_config c;

	(void)state;
	memnet_init(&net, 7);
	pages = aligned_alloc(4096, PAGES * 4096);
	c = config();
	ms = rmnic_memstore_create(&c);
	return !ms || rmnic_mem_device_open(ms, (const uint8_t *)"device-one-uuid.",
					    (const uint8_t *)"token-token-token-token-token-32",
					    &dev) != RMNIC_RMP_S_OK;
}

static int tear_down(void **state)
{
	(void)state;
	rmnic_memstore_destroy(ms);
	memnet_fini(&net);
	free(pages);
	return net.allocations;
}

static struct rmnic_mem_slab *slab(uint64_t number)
{
	uint64_t handle;

	assert_int_equal(rmnic_mem_alloc(ms, dev, 1, number, SLAB, &handle), RMNIC_RMP_S_OK);
	return rmnic_mem_slab(ms, dev, handle);
}

static uint16_t put(struct rmnic_mem_slab *s, uint64_t rpn, uint64_t version, uint32_t crc)
{
	uint32_t frame = rmnic_frame_get(ms->frames);

	memset(rmnic_frame_data(ms->frames, frame), (int)version, 4096);
	return rmnic_mem_write(ms, s, rpn, version, RMNIC_RMP_PAGE_STORED, crc, frame);
}

/* RMP-8 */
static void device__token_and_room(void **state)
{
	uint32_t other;

	(void)state;
	assert_int_equal(rmnic_mem_device_open(ms, (const uint8_t *)"device-one-uuid.",
					       (const uint8_t *)"token-token-token-token-token-33",
					       &other),
			 RMNIC_RMP_S_DENIED);
	slab(0);
	assert_int_equal(rmnic_mem_device_open(ms, (const uint8_t *)"device-two-uuid.",
					       (const uint8_t *)"token-token-token-token-token-33",
					       &other),
			 RMNIC_RMP_S_OK);
	assert_int_not_equal(other, dev);
	ms->devices[other].sessions = 1;
	assert_int_equal(rmnic_mem_device_open(ms, (const uint8_t *)"device-three-uu.",
					       (const uint8_t *)"token-token-token-token-token-33",
					       &other),
			 RMNIC_RMP_S_NO_SPACE);
}

/* RMP-13 */
static void seal__never_falls(void **state)
{
	(void)state;
	assert_int_equal(rmnic_mem_seal(ms, dev, 5), RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_mem_seal(ms, dev, 5), RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_mem_seal(ms, dev, 4), RMNIC_RMP_S_FENCED);
	assert_int_equal(ms->devices[dev].epoch, 5);
}

/* RMP-15, RMP-16 */
static void alloc__handles(void **state)
{
	uint64_t a, b, c;

	(void)state;
	assert_int_equal(rmnic_mem_alloc(ms, dev, 1, 3, SLAB, &a), RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_mem_alloc(ms, dev, 1, 3, SLAB, &b), RMNIC_RMP_S_OK);
	assert_true(a == b);
	assert_int_equal(rmnic_mem_alloc(ms, dev, 1, 3, SLAB / 2, &b), RMNIC_RMP_S_INVALID);
	assert_int_equal(rmnic_mem_alloc(ms, dev, 2, 3, SLAB, &b), RMNIC_RMP_S_OK);
	assert_true(a != b); /* another epoch's copy of the same slab */
	rmnic_mem_release(ms, rmnic_mem_slab(ms, dev, a));
	assert_null(rmnic_mem_slab(ms, dev, a));
	while (rmnic_mem_idle(ms))
		;
	assert_int_equal(rmnic_mem_alloc(ms, dev, 1, 3, SLAB, &c), RMNIC_RMP_S_OK);
	assert_true(c != a && c != b);
	assert_int_equal(c & 0xfffff, a & 0xfffff); /* the same place, another name */
	assert_null(rmnic_mem_slab(ms, dev, a));
	assert_null(rmnic_mem_slab(ms, dev + 1, b));
	assert_null(rmnic_mem_slab(ms, dev, 0));
	assert_null(rmnic_mem_slab(ms, dev, ~0ull));
}

/* RMP-17: 56 pages can be promised of 64, in slabs of 16: three. */
static void alloc__only_what_is_there(void **state)
{
	uint64_t h;

	(void)state;
	slab(0);
	slab(1);
	assert_int_equal(rmnic_mem_free_pages(ms), 24);
	slab(2);
	assert_int_equal(rmnic_mem_alloc(ms, dev, 1, 3, SLAB, &h), RMNIC_RMP_S_NO_SPACE);
	rmnic_mem_release(ms, slab(1));
	assert_int_equal(rmnic_mem_alloc(ms, dev, 1, 3, SLAB, &h), RMNIC_RMP_S_BUSY);
	while (rmnic_mem_idle(ms))
		;
	assert_int_equal(rmnic_mem_alloc(ms, dev, 1, 3, SLAB, &h), RMNIC_RMP_S_OK);
	ms->draining = true;
	assert_int_equal(rmnic_mem_alloc(ms, dev, 1, 4, SLAB, &h), RMNIC_RMP_S_DRAINING);
	ms->draining = false;
	ms->cfg.quota = 3 * SLAB;
	assert_int_equal(rmnic_mem_alloc(ms, dev, 1, 4, SLAB, &h), RMNIC_RMP_S_QUOTA);
}

/* RMP-19: newer wins, the same again is fine, a late older one changes nothing. */
static void write__versions(void **state)
{
	struct rmnic_mem_slab *s = slab(0);
	uint32_t used;

	(void)state;
	assert_int_equal(put(s, 3, 10, 0xaa), RMNIC_RMP_S_OK);
	used = rmnic_frames_free(ms->frames);
	assert_int_equal(put(s, 3, 10, 0xaa), RMNIC_RMP_S_OK);
	assert_int_equal(put(s, 3, 10, 0xbb), RMNIC_RMP_S_STALE);
	assert_int_equal(put(s, 3, 9, 0xcc), RMNIC_RMP_S_STALE);
	assert_int_equal(rmnic_mem_page(s, 3)->crc, 0xaa);
	assert_int_equal(rmnic_frame_data(ms->frames, rmnic_mem_page(s, 3)->body)[0], 10);
	assert_int_equal(put(s, 3, 11, 0xdd), RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_mem_page(s, 3)->crc, 0xdd);
	assert_int_equal(rmnic_frames_free(ms->frames), used); /* none is lost on the way */
	assert_int_equal(s->stored, 1);
	assert_int_equal(s->version, 11);
}

/* RMP-21: a tombstone holds off a write that is older than it. */
static void free__leaves_tombstones(void **state)
{
	struct rmnic_mem_slab *s = slab(0);
	uint32_t all = rmnic_frames_free(ms->frames);

	(void)state;
	put(s, 3, 10, 1);
	put(s, 4, 20, 1);
	rmnic_mem_free(ms, s, 2, 3, 15);
	assert_int_equal(rmnic_mem_page(s, 3)->vstate, 15 << 16 | RMNIC_RMP_PAGE_TOMBSTONE);
	assert_int_equal(rmnic_mem_page(s, 4)->vstate, 20 << 16 | RMNIC_RMP_PAGE_STORED);
	assert_int_equal(rmnic_mem_page(s, 2)->vstate, 15 << 16 | RMNIC_RMP_PAGE_TOMBSTONE);
	assert_int_equal(put(s, 3, 14, 1), RMNIC_RMP_S_STALE);
	assert_int_equal(put(s, 2, 15, 0), RMNIC_RMP_S_STALE); /* a tombstone is no content */
	assert_int_equal(rmnic_frames_free(ms->frames), all - 1);
	assert_int_equal(put(s, 3, 16, 1), RMNIC_RMP_S_OK);
	assert_int_equal(s->stored, 2);
}

/* RMP-23 */
static void write__filled(void **state)
{
	struct rmnic_mem_slab *s = slab(0);
	uint32_t all = rmnic_frames_free(ms->frames);

	(void)state;
	put(s, 0, 5, 1);
	assert_int_equal(rmnic_mem_write(ms, s, 0, 6, RMNIC_RMP_PAGE_FILLED, 9, 0x1234),
			 RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_frames_free(ms->frames), all);
	assert_int_equal(rmnic_mem_page(s, 0)->body, 0x1234);
	assert_int_equal(rmnic_mem_write(ms, s, 0, 4, RMNIC_RMP_PAGE_FILLED, 9, 0x5678),
			 RMNIC_RMP_S_STALE);
	assert_int_equal(rmnic_mem_page(s, 0)->body, 0x1234);
	assert_int_equal(s->stored, 1);
}

static void covers__edges(void **state)
{
	struct rmnic_mem_slab *s = slab(2);

	(void)state;
	assert_true(rmnic_mem_covers(s, 32, SLAB));
	assert_true(rmnic_mem_covers(s, 47, 1));
	assert_false(rmnic_mem_covers(s, 47, 2));
	assert_false(rmnic_mem_covers(s, 31, 1));
	assert_false(rmnic_mem_covers(s, 32, ~0ull));
	assert_false(rmnic_mem_covers(s, ~0ull, 1));
}

/* RMP-33 */
static void view__only_newer(void **state)
{
	struct rmnic_mem_slab *s = slab(0);
	struct rmnic_rmp_view v = { .view = 4, .members = 1 };

	(void)state;
	assert_int_equal(rmnic_mem_record_view(s, &v), RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_mem_record_view(s, &v), RMNIC_RMP_S_OK);
	v.members = 2;
	assert_int_equal(rmnic_mem_record_view(s, &v), RMNIC_RMP_S_STALE);
	v.view = 3;
	assert_int_equal(rmnic_mem_record_view(s, &v), RMNIC_RMP_S_STALE);
	v.view = 5;
	assert_int_equal(rmnic_mem_record_view(s, &v), RMNIC_RMP_S_OK);
}

static void release__gives_all_back(void **state)
{
	struct rmnic_mem_slab *s = slab(0);
	uint32_t all = rmnic_frames_free(ms->frames);

	(void)state;
	for (uint64_t i = 0; i < SLAB; i++)
		put(s, i, i + 1, 1);
	rmnic_mem_device_drop(ms, dev);
	while (rmnic_mem_idle(ms))
		;
	assert_int_equal(rmnic_frames_free(ms->frames), all);
	assert_int_equal(ms->stored, 0);
	assert_int_equal(ms->reserved, 0);
	assert_int_equal(ms->devices[dev].stored, 0);
}

/* A slab that is used again is as empty as a fresh one: written, filled, freed and damaged pages. */
static void release__leaves_no_metadata(void **state)
{
	static const struct rmnic_page_meta none;
	struct rmnic_mem_slab *s = slab(0);
	struct rmnic_page_meta *meta = s->meta;

	(void)state;
	for (uint64_t i = 0; i < SLAB / 2; i++)
		put(s, i, i + 1, 1);
	rmnic_mem_write(ms, s, SLAB / 2, 9, RMNIC_RMP_PAGE_FILLED, 5, 7);
	rmnic_mem_free(ms, s, SLAB / 2 + 1, 1, 10);
	assert_false(rmnic_mem_check(ms, s, 0)); /* that is no checksum of its */
	assert_int_equal(ms->bad, 1);
	rmnic_mem_device_drop(ms, dev);
	while (rmnic_mem_idle(ms))
		;
	assert_int_equal(ms->bad, 0);
	for (uint64_t i = 0; i < SLAB; i++)
		assert_memory_equal(&meta[i], &none, sizeof(none));
}

/*
 * Terabytes can be promised: until a page is written, 16 bytes of it are not. A mark in the metadata of
 * every slab that is free is still there when all have been allocated.
 */
static void alloc__touches_no_metadata(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < ms->cfg.max_slabs; i++)
		ms->slabs[i].meta[SLAB - 1].body = 0xabcd;
	for (uint64_t number = 0; number < 3; number++)
		assert_int_equal(slab(number)->meta[SLAB - 1].body, 0xabcd);
}

/* A store over two granules and a bit, with its memory's fate written down. */
static unsigned int kept, gone;

static void note_discard(void *arg, uint32_t granule, bool keep)
{
	(void)arg;
	(void)granule;
	kept += keep;
	gone += !keep;
}

static struct rmnic_memstore *large(uint8_t **memory, uint32_t lent)
{
	struct rmnic_memstore_config c = config();
	struct rmnic_memstore *big;

	c.npages = 4 * RMNIC_FRAME_GRANULE;
	c.lent = lent;
	c.slab_pages = RMNIC_FRAME_GRANULE;
	c.discard = note_discard;
	*memory = aligned_alloc(4096, (size_t)c.npages * 4096);
	c.pages = *memory;
	kept = gone = 0;
	big = rmnic_memstore_create(&c);
	assert_non_null(big);
	assert_int_equal(rmnic_mem_device_open(big, (const uint8_t *)"device-one-uuid.",
					       (const uint8_t *)"token-token-token-token-token-32",
					       &dev),
			 RMNIC_RMP_S_OK);
	return big;
}

static void idle(struct rmnic_memstore *store)
{
	while (rmnic_mem_idle(store))
		;
}

static void lend__more_and_less(void **state)
{
	uint8_t *memory;
	struct rmnic_memstore *big = large(&memory, 2 * RMNIC_FRAME_GRANULE);
	uint64_t handle;

	(void)state;
	assert_int_equal(rmnic_mem_free_pages(big), 2 * RMNIC_FRAME_GRANULE - 8);
	/* Not before there is memory for it. */
	assert_int_equal(rmnic_mem_lend(big, 4 * RMNIC_FRAME_GRANULE), 2 * RMNIC_FRAME_GRANULE);
	rmnic_frames_add(big->frames, rmnic_frames_out(big->frames));
	rmnic_frames_add(big->frames, rmnic_frames_out(big->frames));
	assert_int_equal(rmnic_mem_lend(big, 4 * RMNIC_FRAME_GRANULE), 4 * RMNIC_FRAME_GRANULE);
	assert_int_equal(rmnic_mem_alloc(big, dev, 1, 0, RMNIC_FRAME_GRANULE, &handle), RMNIC_RMP_S_OK);
	/* Never below what is promised, whatever is asked for. */
	assert_int_equal(rmnic_mem_lend(big, 1), RMNIC_FRAME_GRANULE + 8 + 1);
	assert_int_equal(rmnic_mem_free_pages(big), 1);
	assert_int_equal(rmnic_mem_alloc(big, dev, 1, 1, 2, &handle), RMNIC_RMP_S_NO_SPACE);
	idle(big);
	assert_int_equal(gone, 2);
	assert_int_equal(rmnic_frames_total(big->frames), 2 * RMNIC_FRAME_GRANULE);
	rmnic_memstore_destroy(big);
	free(memory);
}

/* What is promised keeps its memory; what a device leaves behind goes back. */
static void idle__gives_memory_back(void **state)
{
	uint8_t *memory;
	struct rmnic_memstore *big = large(&memory, 4 * RMNIC_FRAME_GRANULE);
	struct rmnic_mem_slab *s[3];
	uint64_t handle;

	(void)state;
	for (uint64_t n = 0; n < 3; n++) {
		assert_int_equal(rmnic_mem_alloc(big, dev, 1, n, RMNIC_FRAME_GRANULE, &handle),
				 RMNIC_RMP_S_OK);
		s[n] = rmnic_mem_slab(big, dev, handle);
		for (uint64_t i = 0; i < RMNIC_FRAME_GRANULE; i++)
			assert_int_equal(rmnic_mem_write(big, s[n], n * RMNIC_FRAME_GRANULE + i, 1,
							 RMNIC_RMP_PAGE_STORED, 1,
							 rmnic_frame_get(big->frames)),
					 RMNIC_RMP_S_OK);
	}
	rmnic_mem_free(big, s[0], 0, RMNIC_FRAME_GRANULE, 2);
	idle(big);
	assert_int_equal(kept, 0); /* freed, but promised */
	for (int n = 0; n < 3; n++)
		rmnic_mem_release(big, s[n]);
	idle(big);
	assert_int_equal(kept, 1); /* two granules are kept warm */
	assert_int_equal(gone, 0);
	assert_int_equal(rmnic_mem_free_pages(big), 4 * RMNIC_FRAME_GRANULE - 8);
	rmnic_memstore_destroy(big);
	free(memory);
}

static void create__allocation_fails(void **state)
{
	struct rmnic_memstore_config c = config();
	int before = net.allocations;

	(void)state;
	for (unsigned int n = 1; n <= 8; n++) {
		net.fail_alloc = n;
		assert_null(rmnic_memstore_create(&c));
		assert_int_equal(net.allocations, before);
	}
	net.fail_alloc = 0;
	c.npages = c.slack;
	assert_null(rmnic_memstore_create(&c));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(device__token_and_room), TEST(seal__never_falls),
		TEST(alloc__handles),         TEST(alloc__only_what_is_there),
		TEST(write__versions),        TEST(free__leaves_tombstones),
		TEST(write__filled),          TEST(covers__edges),
		TEST(view__only_newer),       TEST(release__gives_all_back),
		TEST(release__leaves_no_metadata), TEST(alloc__touches_no_metadata),
		TEST(lend__more_and_less),
		TEST(idle__gives_memory_back),
		TEST(create__allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
