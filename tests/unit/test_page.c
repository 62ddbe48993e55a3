/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include "engine/page.h"

static uint64_t page[512];

static void rmnic_page_maybe_same__never_misses_one(void **state)
{
	(void)state;
	rmnic_page_fill(page, 0);
	assert_true(rmnic_page_maybe_same(page));
	rmnic_page_fill(page, 0x1234567812345678ull);
	assert_true(rmnic_page_maybe_same(page));
	page_fill(page, 1, 1);
	assert_false(rmnic_page_maybe_same(page));
}

/* One word that differs, wherever it is. */
static void rmnic_page_same_filled__every_word_counts(void **state)
{
	static const uint64_t words[] = { 0, ~0ull, 0x0102030405060708ull };

	(void)state;
	for (size_t w = 0; w < 3; w++) {
		uint64_t word = 1;

		rmnic_page_fill(page, words[w]);
		assert_true(rmnic_page_same_filled(page, &word));
		assert_true(word == words[w]);
		for (unsigned int i = 0; i < 512; i++) {
			page[i] ^= 1ull << (i % 64);
			assert_false(rmnic_page_same_filled(page, &word));
			page[i] ^= 1ull << (i % 64);
		}
	}
}

static void rmnic_page_fill__whole_page(void **state)
{
	(void)state;
	memset(page, 0xee, sizeof(page));
	rmnic_page_fill(page, 0);
	assert_true(page_is_byte(page, 0));
	rmnic_page_fill(page, 0x5a5a5a5a5a5a5a5aull);
	assert_true(page_is_byte(page, 0x5a));
}

/* The same bytes elsewhere, of another device or an older version, are another page. */
static void rmnic_page_seal__binds_what_the_page_is(void **state)
{
	struct rmnic_crc32c c;
	uint8_t uuid[16] = { 1, 2, 3 }, other[16] = { 1, 2, 4 };
	uint32_t seal;

	(void)state;
	rmnic_crc32c_init(&c, false);
	seal = rmnic_page_seal(&c, 77, uuid, 5, 9);
	assert_int_equal(seal, rmnic_page_seal(&c, 77, uuid, 5, 9));
	assert_int_not_equal(seal, rmnic_page_seal(&c, 78, uuid, 5, 9));
	assert_int_not_equal(seal, rmnic_page_seal(&c, 77, other, 5, 9));
	assert_int_not_equal(seal, rmnic_page_seal(&c, 77, uuid, 6, 9));
	assert_int_not_equal(seal, rmnic_page_seal(&c, 77, uuid, 5, 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_page_maybe_same__never_misses_one),
		cmocka_unit_test(rmnic_page_same_filled__every_word_counts),
		cmocka_unit_test(rmnic_page_fill__whole_page),
		cmocka_unit_test(rmnic_page_seal__binds_what_the_page_is),
	};

	return cmocka_run_group_tests_name("page", tests, NULL, NULL);
}
