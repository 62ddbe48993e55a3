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

/* RULES L1: what is not there is not promised. */
static void backend__not_enough_memory(void **state)
{
	uint64_t reserved;

	(void)state;
	cluster_init(&rw, 1, 2, 128, 256, 1); /* each has room for one slab of 64 beside its slack */
	assert_true(cluster_start(&rw));
	assert_false(cluster_ready(&rw, 5000 * MS));
	assert_int_equal(rmnic_store_remote_status(rw.store, &reserved), RMNIC_REMOTE_NO_SPACE);
	assert_int_equal(reserved, 128);
	cluster_fini(&rw);
}

/* A server that is slow to answer may have what the others lack: it is waited for, but not for ever. */
static void backend__not_enough_memory_is_not_said_too_early(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 2, 128, 128, 1); /* both are needed */
	cluster_server_stop(&rw, 1, true);
	rw.cfg.meet_ns = 4000 * MS;
	assert_true(cluster_start(&rw));
	cluster_run(&rw, 3000 * MS);
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_STARTING);
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_NO_SPACE);
	cluster_fini(&rw);
}

/* With fewer servers than replicas nothing is promised: two copies on one are one. */
static void replicas__not_on_one_server(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 1, 512, 64, 2);
	assert_true(cluster_start(&rw));
	assert_false(cluster_ready(&rw, 3000 * MS));
	cluster_fini(&rw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backend__not_enough_memory),
		cmocka_unit_test(backend__not_enough_memory_is_not_said_too_early),
		cmocka_unit_test(replicas__not_on_one_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
