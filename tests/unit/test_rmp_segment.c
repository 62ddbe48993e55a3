/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/rmp_segment.h"

static enum rmnic_segment_fate add(struct rmnic_segments *s, uint32_t stamp, uint32_t offset,
				   uint32_t len, bool *restarted)
{
	const struct rmnic_rmp_msg m = { .stamp = stamp, .offset = offset, .payload_len = len };

	return rmnic_segment_add(s, &m, restarted);
}

/* RMP-12: three segments of a page at MTU 1500, over IPv6 and with a tag; one at 9000. */
static void size__by_mtu(void **state)
{
	(void)state;
	assert_int_equal(rmnic_segment_size(9000), 4096);
	assert_int_equal(rmnic_segment_size(4222), 4096);
	assert_true(rmnic_segment_size(4221) < 4096);
	assert_int_equal(rmnic_segment_size(1500), 1368);
	assert_true(3 * rmnic_segment_size(1500) >= 4096);
	assert_int_equal(rmnic_segment_size(1280) % 8, 0);
	for (uint32_t mtu = 1280; mtu <= 9216; mtu++)
		assert_true(rmnic_segment_size(mtu) + 62 + 16 + 48 <= mtu);
}

static void add__any_order(void **state)
{
	struct rmnic_segments s = { 0 };
	bool r;

	(void)state;
	assert_int_equal(add(&s, 5, 2736, 1360, &r), RMNIC_SEGMENT_NEW);
	assert_int_equal(add(&s, 5, 0, 1368, &r), RMNIC_SEGMENT_NEW);
	assert_int_equal(add(&s, 5, 0, 1368, &r), RMNIC_SEGMENT_DUPLICATE);
	assert_int_equal(add(&s, 5, 1360, 16, &r), RMNIC_SEGMENT_DUPLICATE);
	assert_int_equal(add(&s, 5, 1368, 1368, &r), RMNIC_SEGMENT_LAST);
}

/* RMP-24 */
static void add__attempts_are_not_mixed(void **state)
{
	struct rmnic_segments s = { 0 };
	bool r;

	(void)state;
	add(&s, 0xfffffe, 0, 2048, &r);
	assert_int_equal(add(&s, 1, 2048, 2048, &r), RMNIC_SEGMENT_NEW); /* newer: begins again */
	assert_true(r);
	assert_int_equal(add(&s, 0xfffffe, 0, 2048, &r), RMNIC_SEGMENT_DUPLICATE); /* older */
	assert_int_equal(add(&s, 1, 0, 2048, &r), RMNIC_SEGMENT_LAST);
	assert_false(r);
}

/* All the ways of cutting into multiples of 8 end when every byte is there, not before. */
static void add__any_tiling(void **state)
{
	(void)state;
	for (uint32_t size = 8; size <= 4096; size += 8) {
		struct rmnic_segments s = { 0 };
		bool r;

		for (uint32_t at = 0; at < 4096; at += size) {
			uint32_t len = 4096 - at < size ? 4096 - at : size;

			assert_int_equal(add(&s, 9, at, len, &r),
					 at + len == 4096 ? RMNIC_SEGMENT_LAST : RMNIC_SEGMENT_NEW);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(size__by_mtu),
		cmocka_unit_test(add__any_order),
		cmocka_unit_test(add__attempts_are_not_mixed),
		cmocka_unit_test(add__any_tiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
