/* SPDX-License-Identifier: BSD-3-Clause */
/* The remote store end to end: client, servers and state block on a network in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rmnic/device.h"
#include "world.h"

static uint64_t page[512], other[512];

static void out__then_in_gives_the_same_bytes(void **state)
{
	struct world w;

	(void)state;
	world_init(&w, 1, 1, 256, 128, 1);
	assert_true(world_start(&w));
	assert_true(world_ready(&w, 1000000000));
	for (uint64_t i = 0; i < 128; i++) {
		world_page(page, i);
		assert_int_equal(world_out(&w, i, page), RMNIC_SC_OK);
	}
	for (uint64_t i = 0; i < 128; i++) {
		assert_int_equal(world_in(&w, i, page), RMNIC_SC_OK);
		assert_true(world_is_page(page, i));
	}
	(void)other;
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out__then_in_gives_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
