/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "common/sched_batch.h"
#include "scratch.h"

#define SECOND UINT64_C(1000000000)

static struct scratch scratch;
static const char *file;
static struct rmnic_sched_batch b;
static uint64_t waited, runs;

/* What the kernel would say. */
static void kernel_says(uint64_t wait_ns, uint64_t times)
{
	FILE *out = fopen(file, "w");

	assert_non_null(out);
	waited += wait_ns;
	runs += times;
	fprintf(out, "%llu %llu %llu\n", 123ull, (unsigned long long)waited, (unsigned long long)runs);
	assert_int_equal(fclose(out), 0);
}

static int policy(void)
{
	return sched_getscheduler(0);
}

/* As many sleeps as make it look, of which each waited so long for the CPU afterwards. */
static void sleeps(uint64_t each_ns, uint64_t now)
{
	kernel_says(RMNIC_SCHED_BATCH_LOOK * each_ns, RMNIC_SCHED_BATCH_LOOK);
	for (unsigned int i = 0; i < RMNIC_SCHED_BATCH_LOOK; i++)
		rmnic_sched_batch_slept(&b, now);
}

static int up(void **state)
{
	(void)state;
	scratch_open(&scratch);
	file = scratch_path(&scratch, "schedstat");
	waited = runs = 0;
	kernel_says(0, 1);
	rmnic_sched_batch_begin(&b, file);
	return policy() == SCHED_OTHER ? 0 : -1;
}

static int down(void **state)
{
	(void)state;
	rmnic_sched_batch_end(&b);
	scratch_close(&scratch);
	return policy() == SCHED_OTHER ? 0 : -1;
}

static void good__is_on(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < RMNIC_SCHED_BATCH_LOOK - 1; i++)
		rmnic_sched_batch_slept(&b, SECOND);
	assert_int_equal(policy(), SCHED_OTHER);
	rmnic_sched_batch_slept(&b, SECOND);
	assert_int_equal(policy(), SCHED_BATCH);
	assert_true(b.on);
	for (uint64_t t = 2; t < 100; t++)
		sleeps(RMNIC_SCHED_BATCH_LATE_NS, t * SECOND);
	assert_int_equal(policy(), SCHED_BATCH);
}

static void late__is_off_for_longer_each_time(void **state)
{
	uint64_t now = 0, hold = RMNIC_SCHED_BATCH_HOLD_NS;

	(void)state;
	sleeps(0, now);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(policy(), SCHED_BATCH);
		sleeps(RMNIC_SCHED_BATCH_LATE_NS + 1000, now += SECOND);
		assert_int_equal(policy(), SCHED_OTHER);
		assert_false(b.on);
		/* What it waits now says nothing: it is not polite. */
		sleeps(10 * RMNIC_SCHED_BATCH_LATE_NS, now + hold - 1);
		assert_int_equal(policy(), SCHED_OTHER);
		sleeps(0, now += hold);
		hold = hold * 2 < RMNIC_SCHED_BATCH_MOST_NS ? hold * 2 : RMNIC_SCHED_BATCH_MOST_NS;
	}
	assert_int_equal(hold, RMNIC_SCHED_BATCH_MOST_NS);
	/* A time without trouble, and it begins anew. */
	sleeps(0, now += hold);
	sleeps(RMNIC_SCHED_BATCH_LATE_NS + 1000, now += SECOND);
	assert_int_equal(policy(), SCHED_OTHER);
	sleeps(0, now + RMNIC_SCHED_BATCH_HOLD_NS);
	assert_int_equal(policy(), SCHED_BATCH);
}

static void never__where_nothing_is_known(void **state)
{
	struct rmnic_sched_batch other;

	(void)state;
	rmnic_sched_batch_begin(&other, "/proc/no-such-file");
	for (unsigned int i = 0; i < 2 * RMNIC_SCHED_BATCH_LOOK; i++)
		rmnic_sched_batch_slept(&other, SECOND);
	assert_int_equal(policy(), SCHED_OTHER);
	rmnic_sched_batch_end(&other);
	/* It was known, and is not any more. */
	sleeps(0, SECOND);
	assert_int_equal(policy(), SCHED_BATCH);
	assert_int_equal(truncate(file, 0), 0);
	for (unsigned int i = 0; i < RMNIC_SCHED_BATCH_LOOK; i++)
		rmnic_sched_batch_slept(&b, 2 * SECOND);
	assert_int_equal(policy(), SCHED_OTHER);
}

/* Whoever gave the thread a policy of its own knows why. */
static void never__another_policy(void **state)
{
	const struct sched_param none = { 0 };
	struct rmnic_sched_batch other;

	(void)state;
	assert_int_equal(sched_setscheduler(0, SCHED_BATCH, &none), 0);
	rmnic_sched_batch_begin(&other, file);
	assert_int_equal(other.fd, -1);
	rmnic_sched_batch_end(&other);
	assert_int_equal(policy(), SCHED_BATCH);
	assert_int_equal(sched_setscheduler(0, SCHED_OTHER, &none), 0);
}

/* The kernel's own file has what is looked for. */
static void kernel__says_so(void **state)
{
	struct rmnic_sched_batch real;

	(void)state;
	rmnic_sched_batch_begin(&real, RMNIC_SCHED_BATCH_FILE);
	assert_true(real.fd >= 0);
	for (unsigned int i = 0; i < RMNIC_SCHED_BATCH_LOOK; i++)
		rmnic_sched_batch_slept(&real, SECOND);
	assert_true(real.runs > 0);
	assert_int_equal(policy(), SCHED_BATCH);
	rmnic_sched_batch_end(&real);
	assert_int_equal(policy(), SCHED_OTHER);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(good__is_on),
		TEST(late__is_off_for_longer_each_time),
		TEST(never__where_nothing_is_known),
		TEST(never__another_policy),
		TEST(kernel__says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
