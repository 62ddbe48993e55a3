/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include "engine/crc32c.h"

static struct rmnic_crc32c fast, portable;

static int setup(void **state)
{
	(void)state;
	rmnic_crc32c_init(&fast, false);
	rmnic_crc32c_init(&portable, true);
	return 0;
}

/* RFC 3720, appendix B.4, and the usual check value. */
static void check_vectors(const struct rmnic_crc32c *c)
{
	uint8_t buf[32];

	assert_int_equal(rmnic_crc32c_update(c, 0, "", 0), 0);
	assert_int_equal(rmnic_crc32c_update(c, 0, "123456789", 9), 0xe3069283);
	memset(buf, 0, sizeof(buf));
	assert_int_equal(rmnic_crc32c_update(c, 0, buf, 32), 0x8a9136aa);
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(rmnic_crc32c_update(c, 0, buf, 32), 0x62a8ab43);
	for (uint8_t i = 0; i < 32; i++)
		buf[i] = i;
	assert_int_equal(rmnic_crc32c_update(c, 0, buf, 32), 0x46dd794e);
	for (uint8_t i = 0; i < 32; i++)
		buf[i] = 31 - i;
	assert_int_equal(rmnic_crc32c_update(c, 0, buf, 32), 0x113fdb5c);
}

static void rmnic_crc32c_update__known_vectors_portable(void **state)
{
	(void)state;
	assert_string_equal(portable.name, "table");
	check_vectors(&portable);
}

static void rmnic_crc32c_update__known_vectors_fast(void **state)
{
	(void)state;
#if defined(__x86_64__)
	if (!__builtin_cpu_supports("sse4.2"))
		skip();
	assert_string_equal(fast.name, "sse4.2");
#endif
	check_vectors(&fast);
}

/* Any length, any alignment, cut anywhere: the two agree. */
static void rmnic_crc32c_update__implementations_agree(void **state)
{
	uint8_t buf[128];

	(void)state;
	for (unsigned int i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 37 + 11);
	for (unsigned int from = 0; from < 16; from++)
		for (unsigned int len = 0; len <= 100; len++) {
			uint32_t a = rmnic_crc32c_update(&portable, 0, buf + from, len);

			assert_int_equal(rmnic_crc32c_update(&fast, 0, buf + from, len), a);
			for (unsigned int cut = 0; cut <= len; cut += 7) {
				uint32_t b = rmnic_crc32c_update(&fast, 0, buf + from, cut);

				b = rmnic_crc32c_update(&fast, b, buf + from + cut, len - cut);
				assert_int_equal(b, a);
			}
		}
}

/* Whole pages within, which go by four streams; any start, any rest, appended to anything. */
static void rmnic_crc32c_update__pages_agree(void **state)
{
	static uint64_t words[3 * 512 + 8];
	const uint8_t *buf = (const uint8_t *)words;

	(void)state;
	for (unsigned int i = 0; i < 3 * 512 + 8; i++)
		words[i] = (i + 1) * 0x9e3779b97f4a7c15ull;
	for (unsigned int from = 0; from < 9; from++)
		for (unsigned int len = 4095; len <= 3 * 4096; len += 1021)
			assert_int_equal(rmnic_crc32c_update(&fast, len, buf + from, len),
					 rmnic_crc32c_update(&portable, len, buf + from, len));
	assert_int_equal(rmnic_crc32c_update(&fast, 7, buf, 4096),
			 rmnic_crc32c_update(&portable, 7, buf, 4096));
}

static void check_copy(const struct rmnic_crc32c *c)
{
	uint64_t src[512], dst[512];

	for (unsigned int round = 0; round < 50; round++) {
		page_fill(src, round, 7);
		memset(dst, 0, sizeof(dst));
		assert_int_equal(rmnic_crc32c_copy_page(c, dst, src),
				 rmnic_crc32c_update(&portable, 0, src, sizeof(src)));
		assert_memory_equal(src, dst, sizeof(src));
		memset(dst, 0, sizeof(dst));
		assert_int_equal(rmnic_crc32c_copy_page_before(c, dst, src, dst),
				 rmnic_crc32c_update(&portable, 0, src, sizeof(src)));
		assert_memory_equal(src, dst, sizeof(src));
	}
}

static void rmnic_crc32c_copy_page__equals_update(void **state)
{
	(void)state;
	check_copy(&portable);
	check_copy(&fast);
}

/* Each single bit of a page counts, in every lane. */
static void rmnic_crc32c_copy_page__every_bit_counts(void **state)
{
	uint64_t src[512], dst[512];
	uint32_t good;

	(void)state;
	page_fill(src, 1, 1);
	good = rmnic_crc32c_copy_page(&fast, dst, src);
	for (unsigned int bit = 0; bit < 4096 * 8; bit += 61) {
		src[bit / 64] ^= 1ull << (bit % 64);
		assert_int_not_equal(rmnic_crc32c_copy_page(&fast, dst, src), good);
		src[bit / 64] ^= 1ull << (bit % 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_crc32c_update__known_vectors_portable),
		cmocka_unit_test(rmnic_crc32c_update__known_vectors_fast),
		cmocka_unit_test(rmnic_crc32c_update__implementations_agree),
		cmocka_unit_test(rmnic_crc32c_update__pages_agree),
		cmocka_unit_test(rmnic_crc32c_copy_page__equals_update),
		cmocka_unit_test(rmnic_crc32c_copy_page__every_bit_counts),
	};

	return cmocka_run_group_tests_name("crc32c", tests, setup, NULL);
}
