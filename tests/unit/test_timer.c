/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/timer.h"

#define N 200

/* Against a plain array, with moves and cancellations at random. */
static void timers__come_out_in_order(void **state)
{
	struct rmnic_timer *heap[N + 1], t[N] = { { 0 } };
	struct rmnic_timers ts = { .heap = heap, .max = N };
	uint32_t seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct rmnic_timer *x = &t[(seed = seed * 1664525 + 1013904223) >> 8 & 127];
		uint64_t least = RMNIC_TIMER_NONE;

		switch (seed >> 28 & 3) {
		case 0:
			rmnic_timer_cancel(&ts, x);
			break;
		case 1:
			x = rmnic_timers_pop(&ts, seed >> 12 & 1023);
			if (x) {
				assert_true(x->due <= (seed >> 12 & 1023));
				assert_int_equal(x->slot, 0);
			}
			break;
		default:
			assert_true(rmnic_timer_set(&ts, x, seed >> 16 & 1023));
		}
		for (int i = 0; i < N; i++)
			if (t[i].slot && t[i].due < least)
				least = t[i].due;
		assert_int_equal(rmnic_timers_next(&ts), least);
	}
}

static void set__full(void **state)
{
	struct rmnic_timer *heap[3], t[3] = { { 0 } };
	struct rmnic_timers ts = { .heap = heap, .max = 2 };

	(void)state;
	assert_true(rmnic_timer_set(&ts, &t[0], 5));
	assert_true(rmnic_timer_set(&ts, &t[1], 3));
	assert_false(rmnic_timer_set(&ts, &t[2], 1));
	assert_null(rmnic_timers_pop(&ts, 2));
	assert_ptr_equal(rmnic_timers_pop(&ts, 3), &t[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timers__come_out_in_order),
		cmocka_unit_test(set__full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
