/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

static void rmnic_hist_add__power_of_two_buckets(void **state)
{
	struct rmnic_hist hist = { 0 };

	(void)state;
	rmnic_hist_add(&hist, 0);
	rmnic_hist_add(&hist, 1);
	rmnic_hist_add(&hist, 2);
	rmnic_hist_add(&hist, 3);
	rmnic_hist_add(&hist, 4);
	rmnic_hist_add(&hist, UINT64_MAX);
	assert_int_equal(hist.bucket[0], 2);
	assert_int_equal(hist.bucket[1], 2);
	assert_int_equal(hist.bucket[2], 1);
	assert_int_equal(hist.bucket[RMNIC_HIST_BUCKETS - 1], 1);
	assert_int_equal(hist.count, 6);
	assert_int_equal(hist.max_ns, UINT64_MAX);
	assert_int_equal(hist.sum_ns, 9); /* 10 and 2^64 - 1, modulo 2^64 */
}

static void rmnic_hist_percentile__upper_bound_of_the_bucket(void **state)
{
	struct rmnic_hist hist = { 0 };

	(void)state;
	assert_int_equal(rmnic_hist_percentile(&hist, 0.5), 0);
	for (int i = 0; i < 90; i++)
		rmnic_hist_add(&hist, 1000); /* 512 to 1023 */
	for (int i = 0; i < 9; i++)
		rmnic_hist_add(&hist, 5000); /* 4096 to 8191 */
	rmnic_hist_add(&hist, 100000); /* 65536 to 131071 */
	assert_int_equal(rmnic_hist_percentile(&hist, 0.01), 1024);
	assert_int_equal(rmnic_hist_percentile(&hist, 0.5), 1024);
	assert_int_equal(rmnic_hist_percentile(&hist, 0.9), 1024);
	assert_int_equal(rmnic_hist_percentile(&hist, 0.91), 8192);
	assert_int_equal(rmnic_hist_percentile(&hist, 0.99), 8192);
	assert_int_equal(rmnic_hist_percentile(&hist, 1.0), 131072);
}

static void rmnic_refusal_names__all_there(void **state)
{
	(void)state;
	for (int i = 0; i < RMNIC_REFUSAL_COUNT; i++)
		assert_true(strlen(rmnic_refusal_names[i]) > 0);
	for (int i = 0; i < RMNIC_STAGE_COUNT; i++)
		assert_true(strlen(rmnic_stage_names[i]) > 0);
	assert_string_equal(rmnic_refusal_names[RMNIC_REFUSAL_NOT_RAM], "not_ram");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_hist_add__power_of_two_buckets),
		cmocka_unit_test(rmnic_hist_percentile__upper_bound_of_the_bucket),
		cmocka_unit_test(rmnic_refusal_names__all_there),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
