/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/conf.h"

static void rmnic_size_parse__units(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {
		{ "0", 0 }, { "4096", 4096 }, { "1K", 1024 }, { "64M", 64ull << 20 },
		{ "4G", 4ull << 30 }, { "4g", 4ull << 30 }, { "4GiB", 4ull << 30 },
		{ "2TB", 2ull << 40 }, { "1P", 1ull << 50 }, { "16383P", 16383ull << 50 },
		{ "18446744073709551615", UINT64_MAX },
	};
	static const char *const bad[] = { "", "G", "-1", " 1", "4X", "4GG", "4G ", "1.5G", "16384P",
					   "18446744073709551616", "0x10", "4i" };
	uint64_t value;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_true(rmnic_size_parse(good[i].text, &value));
		assert_int_equal(value, good[i].bytes);
	}
	value = 7;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(rmnic_size_parse(bad[i], &value));
	assert_int_equal(value, 7);
}

static void rmnic_size_format__shortest_exact(void **state)
{
	char buf[24];

	(void)state;
	assert_string_equal(rmnic_size_format(0, buf, sizeof(buf)), "0");
	assert_string_equal(rmnic_size_format(1023, buf, sizeof(buf)), "1023");
	assert_string_equal(rmnic_size_format(1024, buf, sizeof(buf)), "1K");
	assert_string_equal(rmnic_size_format(1536ull << 20, buf, sizeof(buf)), "1536M");
	assert_string_equal(rmnic_size_format(4ull << 30, buf, sizeof(buf)), "4G");
	assert_string_equal(rmnic_size_format(4097, buf, sizeof(buf)), "4097");
	assert_string_equal(rmnic_size_format(UINT64_MAX, buf, sizeof(buf)), "18446744073709551615");
	assert_string_equal(rmnic_size_format(1ull << 63, buf, sizeof(buf)), "8192P");
}

static void rmnic_uuid_parse__both_ways(void **state)
{
	static const char text[] = "0b8f2c4e-6f0a-4c0e-9d0a-5b1b7c9d3eff";
	static const char *const bad[] = {
		"", "0b8f2c4e", "0b8f2c4e-6f0a-4c0e-9d0a-5b1b7c9d3ef", "0b8f2c4e-6f0a-4c0e-9d0a-5b1b7c9d3eff0",
		"0b8f2c4e06f0a-4c0e-9d0a-5b1b7c9d3eff", "gb8f2c4e-6f0a-4c0e-9d0a-5b1b7c9d3eff",
		"0b8f2c4e-6f0a-4c0e-9d0a-5b1b7c9d3ef ",
	};
	uint8_t uuid[16] = { 0 };
	char buf[37];

	(void)state;
	assert_true(rmnic_uuid_parse(text, uuid));
	assert_int_equal(uuid[0], 0x0b);
	assert_int_equal(uuid[15], 0xff);
	assert_string_equal(rmnic_uuid_format(uuid, buf), text);
	assert_true(rmnic_uuid_parse("0B8F2C4E-6F0A-4C0E-9D0A-5B1B7C9D3EFF", uuid));
	assert_string_equal(rmnic_uuid_format(uuid, buf), text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(rmnic_uuid_parse(bad[i], uuid));
	assert_string_equal(rmnic_uuid_format(uuid, buf), text);
}

static void rmnic_address_format__port_only_when_given(void **state)
{
	char buf[24];

	(void)state;
	assert_string_equal(rmnic_address_format((struct rmnic_conf_address){ 0x0a000001, 0 }, buf),
			    "10.0.0.1");
	assert_string_equal(rmnic_address_format((struct rmnic_conf_address){ 0xffffffff, 65535 },
						 buf), "255.255.255.255:65535");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_size_parse__units),
		cmocka_unit_test(rmnic_size_format__shortest_exact),
		cmocka_unit_test(rmnic_uuid_parse__both_ways),
		cmocka_unit_test(rmnic_address_format__port_only_when_given),
	};

	return cmocka_run_group_tests_name("conf_text", tests, NULL, NULL);
}
