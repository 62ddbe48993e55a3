/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/frame.h"
#include "memnet.h"

#define FRAMES 8

static struct memnet net;
static uint8_t *pages;
static struct rmnic_frames *fs;

static int set_up(void **state)
{
	struct rmnic_env env;

	(void)state;
	memnet_init(&net, 1);
	env = memnet_env(&net);
	pages = aligned_alloc(4096, FRAMES * 4096);
	fs = rmnic_frames_create(&env, pages, FRAMES, FRAMES, 2);
	return !fs || !pages;
}

static int tear_down(void **state)
{
	(void)state;
	rmnic_frames_destroy(fs);
	memnet_fini(&net);
	free(pages);
	return net.allocations;
}

static void get__all_different_then_none(void **state)
{
	bool seen[FRAMES] = { false };

	(void)state;
	for (int i = 0; i < FRAMES; i++) {
		uint32_t f = rmnic_frame_get(fs);

		assert_true(f < FRAMES && !seen[f]);
		seen[f] = true;
	}
	assert_int_equal(rmnic_frame_get(fs), RMNIC_FRAME_NONE);
	rmnic_frame_put(fs, 3);
	rmnic_frame_put(fs, 5);
	assert_int_equal(rmnic_frames_free(fs), 2);
	assert_int_equal(rmnic_frame_get(fs), 3);
	assert_int_equal(rmnic_frame_get(fs), 5);
}

/* RMP-20: a frame comes back when the last datagram that refers to it has left. */
static void put__waits_for_the_last_transmit(void **state)
{
	uint32_t f = rmnic_frame_get(fs);
	void *a, *b;

	(void)state;
	memset(rmnic_frame_data(fs, f), 0x5a, 4096);
	a = rmnic_frame_hold(fs, f);
	b = rmnic_frame_hold(fs, f);
	rmnic_frame_put(fs, f);
	assert_int_equal(rmnic_frames_free(fs), FRAMES - 1);
	for (int i = 0; i < FRAMES - 1; i++)
		assert_int_not_equal(rmnic_frame_get(fs), f);
	assert_int_equal(rmnic_frame_get(fs), RMNIC_FRAME_NONE);
	rmnic_frame_release(a);
	assert_int_equal(rmnic_frame_get(fs), RMNIC_FRAME_NONE);
	for (int i = 0; i < 4096; i++)
		assert_int_equal(rmnic_frame_data(fs, f)[i], 0x5a);
	rmnic_frame_release(b);
	assert_int_equal(rmnic_frame_get(fs), f);
}

static void hold__bounded(void **state)
{
	uint32_t f[3] = { rmnic_frame_get(fs), rmnic_frame_get(fs), rmnic_frame_get(fs) };
	void *a = rmnic_frame_hold(fs, f[0]), *b = rmnic_frame_hold(fs, f[1]);

	(void)state;
	assert_null(rmnic_frame_hold(fs, f[2]));
	assert_ptr_equal(rmnic_frame_hold(fs, f[0]), a); /* one more of the same is no new one */
	rmnic_frame_release(a);
	rmnic_frame_release(a);
	assert_int_equal(rmnic_frames_held(fs), 1);
	assert_non_null(rmnic_frame_hold(fs, f[2]));
	rmnic_frame_release(b);
}

static void create__allocation_fails(void **state)
{
	struct rmnic_env env = memnet_env(&net);
	int before = net.allocations;

	(void)state;
	for (unsigned int n = 1; n <= 3; n++) {
		net.fail_alloc = n;
		assert_null(rmnic_frames_create(&env, pages, FRAMES, FRAMES, 2));
		assert_int_equal(net.allocations, before);
	}
	net.fail_alloc = 0;
}

/* A pool of two granules and a bit, of which one is lent at first. Nothing of it is touched. */
static struct rmnic_frames *granules(void)
{
	struct rmnic_env env = memnet_env(&net);
	struct rmnic_frames *g;

	g = rmnic_frames_create(&env, pages, 2 * RMNIC_FRAME_GRANULE + 8, 100, 2);
	assert_non_null(g);
	assert_int_equal(rmnic_frames_total(g), RMNIC_FRAME_GRANULE);
	return g;
}

static void granule__added(void **state)
{
	struct rmnic_frames *g = granules();

	(void)state;
	for (uint32_t i = 0; i < RMNIC_FRAME_GRANULE; i++)
		assert_int_equal(rmnic_frame_get(g), i);
	assert_int_equal(rmnic_frame_get(g), RMNIC_FRAME_NONE);
	assert_int_equal(rmnic_frames_out(g), 1);
	assert_int_equal(rmnic_frames_add(g, 2), 8); /* the last one is smaller */
	assert_int_equal(rmnic_frame_get(g), 2 * RMNIC_FRAME_GRANULE);
	assert_int_equal(rmnic_frames_add(g, 1), RMNIC_FRAME_GRANULE);
	assert_int_equal(rmnic_frames_out(g), RMNIC_FRAME_NONE);
	assert_int_equal(rmnic_frames_free(g), RMNIC_FRAME_GRANULE + 7);
	rmnic_frames_destroy(g);
}

/* Only what holds nothing leaves, and nothing is given out of it afterwards. */
static void granule__taken_when_it_is_empty(void **state)
{
	struct rmnic_frames *g = granules();

	(void)state;
	assert_int_equal(rmnic_frame_get(g), 0);
	assert_int_equal(rmnic_frames_take(g), RMNIC_FRAME_NONE);
	rmnic_frames_add(g, 1);
	assert_int_equal(rmnic_frames_take(g), 1);
	assert_int_equal(rmnic_frames_total(g), RMNIC_FRAME_GRANULE);
	rmnic_frame_put(g, 0);
	assert_int_equal(rmnic_frames_take(g), 0);
	assert_int_equal(rmnic_frames_free(g), 0);
	assert_int_equal(rmnic_frame_get(g), RMNIC_FRAME_NONE);
	rmnic_frames_add(g, 0);
	assert_int_equal(rmnic_frame_get(g), 0);
	rmnic_frames_destroy(g);
}

/* What is still transmitted from is not given back to the system (RMP-20). */
static void granule__not_taken_while_it_is_sent(void **state)
{
	struct rmnic_frames *g = granules();
	uint32_t f = rmnic_frame_get(g);
	void *ref = rmnic_frame_hold(g, f);

	(void)state;
	rmnic_frame_put(g, f);
	assert_int_equal(rmnic_frames_take(g), RMNIC_FRAME_NONE);
	assert_int_equal(rmnic_frames_cool(g), RMNIC_FRAME_NONE);
	rmnic_frame_release(ref);
	assert_int_equal(rmnic_frames_take(g), 0);
	rmnic_frames_destroy(g);
}

/* Memory that was used and is not any more can be emptied; fresh memory need not be. */
static void granule__cooled(void **state)
{
	struct rmnic_frames *g = granules();
	uint32_t f;

	(void)state;
	rmnic_frames_add(g, 1);
	assert_int_equal(rmnic_frames_cool(g), RMNIC_FRAME_NONE);
	f = rmnic_frame_get(g);
	assert_int_equal(rmnic_frames_touched(g), RMNIC_FRAME_GRANULE);
	assert_int_equal(rmnic_frames_cool(g), RMNIC_FRAME_NONE);
	rmnic_frame_put(g, f);
	assert_int_equal(rmnic_frames_cool(g), f / RMNIC_FRAME_GRANULE);
	assert_int_equal(rmnic_frames_touched(g), 0);
	assert_int_equal(rmnic_frames_cool(g), RMNIC_FRAME_NONE);
	assert_int_equal(rmnic_frames_free(g), 2 * RMNIC_FRAME_GRANULE);
	rmnic_frames_destroy(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(get__all_different_then_none, set_up, tear_down),
		cmocka_unit_test_setup_teardown(put__waits_for_the_last_transmit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hold__bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(create__allocation_fails, set_up, tear_down),
		cmocka_unit_test_setup_teardown(granule__added, set_up, tear_down),
		cmocka_unit_test_setup_teardown(granule__taken_when_it_is_empty, set_up, tear_down),
		cmocka_unit_test_setup_teardown(granule__not_taken_while_it_is_sent, set_up, tear_down),
		cmocka_unit_test_setup_teardown(granule__cooled, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
