/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/rmp_rtt.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)

/* RMP-29: with no sample the first timeout is a guess; then it follows what is measured. */
static void timeout__follows_samples(void **state)
{
	struct rmnic_rtt r = { 0 };

	(void)state;
	assert_int_equal(rmnic_rtt_timeout(&r, 0), RMNIC_RTO_INITIAL_NS);
	for (int i = 0; i < 200; i++)
		rmnic_rtt_sample(&r, 8 * MS);
	assert_in_range(rmnic_rtt_timeout(&r, 0), 8 * MS, 9 * MS);
	assert_in_range(r.srtt, 79 * MS / 10, 81 * MS / 10);
	for (int i = 0; i < 200; i++)
		rmnic_rtt_sample(&r, 10 * US);
	assert_int_equal(rmnic_rtt_timeout(&r, 0), RMNIC_RTO_MIN_NS);
}

/* RMP-29: doubles with each silence, up to a limit. */
static void timeout__doubles(void **state)
{
	struct rmnic_rtt r = { .srtt = 2 * MS };

	(void)state;
	assert_int_equal(rmnic_rtt_timeout(&r, 0), 2 * MS);
	assert_int_equal(rmnic_rtt_timeout(&r, 1), 4 * MS);
	assert_int_equal(rmnic_rtt_timeout(&r, 5), 64 * MS);
	assert_int_equal(rmnic_rtt_timeout(&r, 50), RMNIC_RTO_MAX_NS);
}

static void timeout__grows_with_spread(void **state)
{
	struct rmnic_rtt r = { 0 };

	(void)state;
	for (int i = 0; i < 200; i++)
		rmnic_rtt_sample(&r, i % 2 ? 2 * MS : 10 * MS);
	assert_in_range(rmnic_rtt_timeout(&r, 0), 15 * MS, 30 * MS);
}

/* A stamp is 24 bits of microseconds: it wraps every 16.8 s. */
static void stamp__wraps(void **state)
{
	uint64_t now = ((UINT64_C(1) << 24) - 5) * US;

	(void)state;
	assert_int_equal(rmnic_rtt_stamp(now), (1u << 24) - 5);
	assert_int_equal(rmnic_rtt_since(rmnic_rtt_stamp(now), now + 12 * US), 12 * US);
}

static void p99__is_the_99th(void **state)
{
	struct rmnic_rtt r = { 0 };

	(void)state;
	for (int i = 0; i < 50; i++)
		rmnic_rtt_sample(&r, 10 * US);
	assert_int_equal(rmnic_rtt_p99(&r), 0); /* too few */
	for (int i = 0; i < 2000; i++)
		rmnic_rtt_sample(&r, i % 50 ? 10 * US : 900 * US);
	assert_in_range(rmnic_rtt_p99(&r), 900 * US, 1200 * US);
	for (int i = 0; i < 40000; i++) /* the past fades */
		rmnic_rtt_sample(&r, 10 * US);
	assert_in_range(rmnic_rtt_p99(&r), 10 * US, 14 * US);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timeout__follows_samples),
		cmocka_unit_test(timeout__doubles),
		cmocka_unit_test(timeout__grows_with_spread),
		cmocka_unit_test(stamp__wraps),
		cmocka_unit_test(p99__is_the_99th),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
