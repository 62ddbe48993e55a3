/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

static uint64_t buf[512];

static uint16_t out(struct rig *rig, uint64_t rpn, uint32_t generation)
{
	struct rmnic_page_op op = { .rpn = rpn, .data = buf };

	page_fill(buf, rpn, generation);
	return rig->store->ops->page_out(rig->store, &op);
}

static uint16_t out_word(struct rig *rig, uint64_t rpn, uint64_t word)
{
	struct rmnic_page_op op = { .rpn = rpn, .data = buf };

	for (int i = 0; i < 512; i++)
		buf[i] = word;
	return rig->store->ops->page_out(rig->store, &op);
}

static uint16_t in(struct rig *rig, uint64_t rpn)
{
	struct rmnic_page_op op = { .rpn = rpn, .data = buf };

	memset(buf, 0xaa, sizeof(buf));
	return rig->store->ops->page_in(rig->store, &op);
}

static void idle_all(struct rig *rig)
{
	for (int i = 0; rig->store->ops->idle(rig->store); i++)
		assert_true(i < 10000);
}

static struct rmnic_store_counters counters(struct rig *rig)
{
	struct rmnic_store_counters c;

	rig->store->ops->counters(rig->store, &c);
	return c;
}

RIG_TEST(local_create__refuses_bad_blocks)
{
	struct rmnic_local_blocks b = rig->blocks;

	b.granule = 2048;
	assert_null(rmnic_store_local_create(&b, rig->config.uuid));
	b.granule = 4097;
	assert_null(rmnic_store_local_create(&b, rig->config.uuid));
	b.granule = 4096;
	b.npages = 0;
	assert_null(rmnic_store_local_create(&b, rig->config.uuid));
}

/* CMD-5 */
RIG_TEST(local_page_in__unwritten_reads_zeros)
{
	assert_int_equal(in(rig, 3), RMNIC_SC_OK);
	assert_true(page_is_byte(buf, 0));
	assert_int_equal(counters(rig).in_unwritten, 1);
	assert_int_equal(counters(rig).stored, 0);
}

/* CMD-6 */
RIG_TEST(local_page_out__reads_back_the_latest)
{
	for (uint64_t rpn = 0; rpn < 100; rpn++)
		assert_int_equal(out(rig, rpn, 1), RMNIC_SC_OK);
	assert_int_equal(out(rig, 7, 2), RMNIC_SC_OK);
	for (uint64_t rpn = 0; rpn < 100; rpn++) {
		assert_int_equal(in(rig, rpn), RMNIC_SC_OK);
		assert_true(page_is(buf, rpn, rpn == 7 ? 2 : 1));
	}
	assert_int_equal(counters(rig).stored, 100);
	assert_int_equal(rig->pages_dirty, 101 * 4096);
	assert_int_equal(rig->meta_dirty, 101 * 16);
}

RIG_TEST(local_page_out__same_filled_takes_no_page)
{
	assert_int_equal(out_word(rig, 1, 0), RMNIC_SC_OK);
	assert_int_equal(out_word(rig, 2, 0x1122334455667788ull), RMNIC_SC_OK);
	assert_int_equal(counters(rig).stored, 0);
	assert_int_equal(counters(rig).same_filled, 2);
	assert_int_equal(rig->pages_dirty, 0);
	assert_int_equal(rig->meta_dirty, 32);
	assert_int_equal(in(rig, 1), RMNIC_SC_OK);
	assert_true(page_is_byte(buf, 0));
	assert_int_equal(in(rig, 2), RMNIC_SC_OK);
	assert_true(buf[0] == 0x1122334455667788ull && buf[511] == buf[0]);
	assert_int_equal(counters(rig).in_unwritten, 0);
}

/* A page that only looks same-filled at the words that are looked at first. */
RIG_TEST(local_page_out__nearly_same_filled)
{
	struct rmnic_page_op op = { .rpn = 9, .data = buf };

	memset(buf, 0, sizeof(buf));
	buf[300] = 1;
	assert_int_equal(rig->store->ops->page_out(rig->store, &op), RMNIC_SC_OK);
	assert_int_equal(counters(rig).same_filled, 0);
	assert_int_equal(in(rig, 9), RMNIC_SC_OK);
	assert_true(buf[300] == 1 && buf[299] == 0);
}

/* The page counted as stored goes, when the same rpn becomes same-filled; and comes back. */
RIG_TEST(local_page_out__stored_and_same_filled_in_turn)
{
	out(rig, 4, 1);
	assert_int_equal(counters(rig).stored, 1);
	out_word(rig, 4, 5);
	assert_int_equal(counters(rig).stored, 0);
	idle_all(rig);
	assert_int_equal(rig->discarded, 4096);
	out(rig, 4, 2);
	assert_int_equal(counters(rig).stored, 1);
	assert_int_equal(in(rig, 4), RMNIC_SC_OK);
	assert_true(page_is(buf, 4, 2));
}

/* CMD-20: whatever is damaged, the reader is told. */
RIG_TEST(local_page_in__flipped_bits_are_corrupt)
{
	struct rmnic_meta *m = &rig->blocks.meta[5], good;

	out(rig, 5, 1);
	out(rig, 6, 1); /* so that version 2 exists */
	good = *m;
	for (unsigned int bit = 0; bit < 4096 * 8; bit += 397) {
		rig->blocks.pages[5 * 4096 + bit / 8] ^= (uint8_t)(1 << (bit % 8));
		assert_int_equal(in(rig, 5), RMNIC_SC_CORRUPT);
		rig->blocks.pages[5 * 4096 + bit / 8] ^= (uint8_t)(1 << (bit % 8));
	}
	for (unsigned int bit = 0; bit < 64; bit++) {
		m->body ^= 1ull << bit;
		assert_int_equal(in(rig, 5), RMNIC_SC_CORRUPT);
		*m = good;
	}
	/* A version that was never given out, also where no checksum tells. */
	out_word(rig, 7, 1);
	rig->blocks.meta[7].version_flags += 1ull << 40;
	assert_int_equal(in(rig, 7), RMNIC_SC_CORRUPT);
	rig->blocks.meta[7].version_flags = RMNIC_META_SAME_FILLED;
	assert_int_equal(in(rig, 7), RMNIC_SC_CORRUPT);
	/* Its flags and version: STORED lost, SAME_FILLED or INDETERMINATE gained, ... */
	for (unsigned int bit = 0; bit < 64; bit++) {
		m->version_flags ^= 1ull << bit;
		if (bit == 2)
			assert_int_equal(in(rig, 5), RMNIC_SC_INDETERMINATE);
		else
			assert_int_equal(in(rig, 5), RMNIC_SC_CORRUPT);
		*m = good;
	}
	assert_int_equal(in(rig, 5), RMNIC_SC_OK);
	assert_true(counters(rig).corrupt > 100);
}

/* CMD-20: a good page in the wrong place, and an old one put back. */
RIG_TEST(local_page_in__misplaced_or_stale_is_corrupt)
{
	static uint8_t old[4096];

	out(rig, 1, 1);
	out(rig, 2, 1);
	memcpy(rig->blocks.pages + 2 * 4096, rig->blocks.pages + 4096, 4096);
	assert_int_equal(in(rig, 2), RMNIC_SC_CORRUPT);
	rig->blocks.meta[2] = rig->blocks.meta[1];
	assert_int_equal(in(rig, 2), RMNIC_SC_CORRUPT);
	memcpy(old, rig->blocks.pages + 4096, 4096);
	out(rig, 1, 2);
	memcpy(rig->blocks.pages + 4096, old, 4096);
	assert_int_equal(in(rig, 1), RMNIC_SC_CORRUPT);
	assert_int_equal(out(rig, 1, 3), RMNIC_SC_OK);
	assert_int_equal(in(rig, 1), RMNIC_SC_OK);
}

/* CMD-7: an indeterminate page fails until it is written whole, or freed. */
RIG_TEST(local_page_in__indeterminate_until_healed)
{
	for (uint64_t rpn = 1; rpn <= 2; rpn++) {
		out(rig, rpn, 1);
		rig->blocks.meta[rpn].version_flags |= RMNIC_META_INDETERMINATE;
		assert_int_equal(in(rig, rpn), RMNIC_SC_INDETERMINATE);
	}
	out(rig, 1, 2);
	assert_int_equal(in(rig, 1), RMNIC_SC_OK);
	assert_int_equal(rig->store->ops->free(rig->store, 2, 1), RMNIC_SC_OK);
	assert_int_equal(in(rig, 2), RMNIC_SC_OK);
	assert_true(page_is_byte(buf, 0));
}

/* CMD-5, CMD-15 */
RIG_TEST(local_free__reads_zeros_and_gives_memory_back)
{
	for (uint64_t rpn = 10; rpn < 20; rpn++)
		out(rig, rpn, 1);
	assert_int_equal(rig->store->ops->free(rig->store, 12, 3), RMNIC_SC_OK);
	assert_int_equal(counters(rig).stored, 7);
	for (uint64_t rpn = 12; rpn < 15; rpn++) {
		assert_int_equal(in(rig, rpn), RMNIC_SC_OK);
		assert_true(page_is_byte(buf, 0));
	}
	idle_all(rig);
	assert_int_equal(rig->discarded, 3 * 4096);
	for (uint64_t rpn = 10; rpn < 20; rpn++) {
		assert_int_equal(in(rig, rpn), RMNIC_SC_OK);
		assert_true(rpn >= 12 && rpn < 15 ? page_is_byte(buf, 0) : page_is(buf, rpn, 1));
	}
	assert_int_equal(counters(rig).in_unwritten, 6);
}

/* What was free already costs nothing: not its metadata, not a discard. */
RIG_TEST(local_free__of_free_pages_touches_nothing)
{
	assert_int_equal(rig->store->ops->free(rig->store, 0, 1000), RMNIC_SC_OK);
	assert_int_equal(rig->meta_dirty, 0);
	idle_all(rig);
	assert_int_equal(rig->discarded, 0);
}

/* CMD-5: zeros, but written ones. */
RIG_TEST(local_zero__reads_zeros_as_written)
{
	out(rig, 3, 1);
	assert_int_equal(rig->store->ops->zero(rig->store, 3, 2), RMNIC_SC_OK);
	assert_int_equal(in(rig, 3), RMNIC_SC_OK);
	assert_true(page_is_byte(buf, 0));
	assert_int_equal(in(rig, 4), RMNIC_SC_OK);
	assert_true(page_is_byte(buf, 0));
	assert_int_equal(counters(rig).in_unwritten, 0);
	assert_int_equal(counters(rig).stored, 0);
}

/* CMD-15: a page written again after it was freed is never discarded. */
RIG_TEST(local_idle__spares_pages_written_again)
{
	for (uint64_t rpn = 0; rpn < 200; rpn++)
		out(rig, rpn, 1);
	rig->store->ops->free(rig->store, 0, 200);
	for (uint64_t rpn = 0; rpn < 200; rpn += 3)
		out(rig, rpn, 2);
	idle_all(rig);
	assert_int_equal(rig->discarded, (200 - 67) * 4096);
	for (uint64_t rpn = 0; rpn < 200; rpn += 3) {
		assert_int_equal(in(rig, rpn), RMNIC_SC_OK);
		assert_true(page_is(buf, rpn, 2));
	}
}

/* A granule of several pages goes when the last of them is free, not before. */
RIG_TEST(local_idle__whole_granules_only, .granule = 16384)
{
	for (uint64_t rpn = 0; rpn < 12; rpn++)
		out(rig, rpn, 1);
	rig->store->ops->free(rig->store, 0, 3);
	rig->store->ops->free(rig->store, 4, 4);
	rig->store->ops->free(rig->store, 9, 3);
	idle_all(rig);
	assert_int_equal(rig->discarded, 16384);
	assert_int_equal(in(rig, 3), RMNIC_SC_OK);
	assert_int_equal(in(rig, 8), RMNIC_SC_OK);
	rig->store->ops->free(rig->store, 3, 1);
	idle_all(rig);
	assert_int_equal(rig->discarded, 2 * 16384);
	assert_int_equal(in(rig, 8), RMNIC_SC_OK);
	assert_true(page_is(buf, 8, 1));
}

/* Bounded work a call, whatever was freed. */
RIG_TEST(local_idle__bounded)
{
	uint64_t before;

	for (uint64_t rpn = 0; rpn < 4096; rpn++)
		out(rig, rpn, 1);
	rig->store->ops->free(rig->store, 0, 4096);
	do {
		before = rig->discarded;
	} while (rig->store->ops->idle(rig->store) && rig->discarded - before <= 128 * 1024);
	assert_int_equal(rig->discarded, 4096 * 4096);
}

/* A store opened on the blocks of another goes on where that one stopped. */
RIG_TEST(local_reload__goes_on)
{
	struct rmnic_store *first = rig->store;
	uint64_t version;

	out(rig, 1, 1);
	out(rig, 2, 1);
	out_word(rig, 3, 7);
	version = rig->blocks.meta[3].version_flags >> 16;
	rig->store = rmnic_store_local_create(&rig->blocks, rig->config.uuid);
	assert_int_equal(counters(rig).stored, 2);
	assert_int_equal(in(rig, 1), RMNIC_SC_OK);
	assert_true(page_is(buf, 1, 1));
	/* A2: the version is never restarted. */
	out(rig, 2, 2);
	assert_true(rig->blocks.meta[2].version_flags >> 16 > version);
	rmnic_store_local_destroy(rig->store);
	rig->store = first;
	memset(rig->blocks.meta, 0, rig->blocks.npages * sizeof(struct rmnic_meta));
	rmnic_store_local_reload(rig->store);
	assert_int_equal(counters(rig).stored, 0);
	assert_int_equal(in(rig, 1), RMNIC_SC_OK);
	assert_true(page_is_byte(buf, 0));
}

/* Freed before, written by whoever filled the blocks: no discard of the old life follows. */
RIG_TEST(local_reload__forgets_pending_discards)
{
	out(rig, 1, 1);
	rig->store->ops->free(rig->store, 1, 1);
	rmnic_store_local_reload(rig->store);
	idle_all(rig);
	assert_int_equal(rig->discarded, 0);
	out(rig, 1, 2);
	rig->store->ops->free(rig->store, 1, 1);
	idle_all(rig);
	assert_int_equal(rig->discarded, 4096);
}

/* A version that leaves no room for another one: writing is refused, reading goes on. */
RIG_TEST(local_reload__versions_used_up)
{
	out(rig, 1, 1);
	rig->blocks.meta[2].version_flags = 0xffffffffffffull << 16;
	rmnic_store_local_reload(rig->store);
	assert_int_equal(in(rig, 1), RMNIC_SC_OK);
	assert_int_equal(out(rig, 1, 2), RMNIC_SC_INTERNAL);
	assert_int_equal(rig->store->ops->free(rig->store, 1, 1), RMNIC_SC_INTERNAL);
	assert_int_equal(in(rig, 1), RMNIC_SC_OK);
	assert_true(page_is(buf, 1, 1));
}

/* Another device's pages do not pass for ours. */
RIG_TEST(local_page_in__other_uuid_is_corrupt)
{
	struct rmnic_store *first = rig->store;
	uint8_t uuid[16] = { 9 };

	out(rig, 1, 1);
	rig->store = rmnic_store_local_create(&rig->blocks, uuid);
	assert_int_equal(in(rig, 1), RMNIC_SC_CORRUPT);
	rmnic_store_local_destroy(rig->store);
	rig->store = first;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local_create__refuses_bad_blocks),
		cmocka_unit_test(local_page_in__unwritten_reads_zeros),
		cmocka_unit_test(local_page_out__reads_back_the_latest),
		cmocka_unit_test(local_page_out__same_filled_takes_no_page),
		cmocka_unit_test(local_page_out__nearly_same_filled),
		cmocka_unit_test(local_page_out__stored_and_same_filled_in_turn),
		cmocka_unit_test(local_page_in__flipped_bits_are_corrupt),
		cmocka_unit_test(local_page_in__misplaced_or_stale_is_corrupt),
		cmocka_unit_test(local_page_in__indeterminate_until_healed),
		cmocka_unit_test(local_free__reads_zeros_and_gives_memory_back),
		cmocka_unit_test(local_free__of_free_pages_touches_nothing),
		cmocka_unit_test(local_zero__reads_zeros_as_written),
		cmocka_unit_test(local_idle__spares_pages_written_again),
		cmocka_unit_test(local_idle__whole_granules_only),
		cmocka_unit_test(local_idle__bounded),
		cmocka_unit_test(local_reload__goes_on),
		cmocka_unit_test(local_reload__forgets_pending_discards),
		cmocka_unit_test(local_reload__versions_used_up),
		cmocka_unit_test(local_page_in__other_uuid_is_corrupt),
	};

	return cmocka_run_group_tests_name("store_local", tests, NULL, NULL);
}
