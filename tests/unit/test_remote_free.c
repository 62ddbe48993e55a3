/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "remote_rig.h"
#include "rmnic/device.h"

static uint16_t ended;

static void remember(struct rmnic_page_op *op, uint16_t status)
{
	(void)op;
	ended = status;
}

static void free__members_are_told(void **state)
{
	(void)state;
	remote_up(2, 128, 2);
	for (uint64_t i = 0; i < 128; i++)
		assert_int_equal(remote_out(i, i), RMNIC_SC_OK);
	assert_int_equal(rw.servers[0].store->stored, 128);
	assert_int_equal(rw.store->ops->free(rw.store, 0, 100), RMNIC_SC_OK);
	cluster_run(&rw, 1000 * MS);
	assert_int_equal(rw.servers[0].store->stored, 28);
	assert_int_equal(rw.servers[1].store->stored, 28);
	assert_int_equal(rmnic_store_remote_counters(rw.store)->frees_told, 100);
	assert_false(remote_word(50) & RMNIC_STATE_PAGE_TELL);
	cluster_fini(&rw);
}

/* A telling that is slow must not bury the write that came after the free. */
static void free__then_written(void **state)
{
	(void)state;
	remote_up(1, 64, 1);
	for (uint64_t round = 0; round < 50; round++) {
		assert_int_equal(remote_out(3, 2 * round), RMNIC_SC_OK);
		rw.net.faults.reorder = 500;
		rw.net.faults.late_ns = 40 * MS;
		assert_int_equal(rw.store->ops->free(rw.store, 3, 1), RMNIC_SC_OK);
		if (round % 2)
			cluster_run(&rw, MS);
		assert_int_equal(remote_out(3, 2 * round + 1), RMNIC_SC_OK);
		cluster_run(&rw, 200 * MS);
		assert_true(remote_holds(3, 2 * round + 1));
		rw.net.faults.reorder = 0;
	}
	cluster_fini(&rw);
}

/* A telling that failed is not taken up again while the page is being written. */
static void free__told_while_written(void **state)
{
	struct rmnic_page_op op = { .rpn = 3, .data = remote_buf, .done = remember };

	(void)state;
	remote_up(1, 64, 1);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_OK);
	rw.net.cut[rw.backend][rw.servers[0].end] = 1;
	assert_int_equal(rw.store->ops->free(rw.store, 3, 1), RMNIC_SC_OK);
	cluster_run(&rw, 10 * MS);
	cluster_page(remote_buf, 6);
	ended = RMNIC_STORE_PENDING;
	assert_int_equal(rw.store->ops->page_out(rw.store, &op), RMNIC_STORE_PENDING);
	cluster_run(&rw, 8000 * MS); /* the telling ends UNREACHABLE, the page-out goes on */
	assert_int_equal(ended, RMNIC_STORE_PENDING);
	rw.net.cut[rw.backend][rw.servers[0].end] = 0;
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(ended, RMNIC_SC_OK);
	assert_true(remote_holds(3, 6));
	cluster_fini(&rw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free__members_are_told),
		cmocka_unit_test(free__then_written),
		cmocka_unit_test(free__told_while_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
