/* SPDX-License-Identifier: BSD-3-Clause */
/* STATE-33: the last who had everything are empty, and somebody is away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/le.h"
#include "repair_rig.h"
#include "rmnic/device.h"

#define KIND(word) ((word) & RMNIC_STATE_PAGE_KIND)
#define SINCE      10 /* pages written when one was away: the first ones */

struct waiting {
	struct rmnic_page_op op;
	uint64_t page[512];
	uint16_t status;
};

static void waiting_done(struct rmnic_page_op *op, uint16_t status)
{
	((struct waiting *)op)->status = status;
}

static void begin(struct waiting *x, uint64_t rpn, bool out)
{
	memset(x, 0, sizeof(*x));
	x->op = (struct rmnic_page_op){ .rpn = rpn, .data = x->page, .done = waiting_done };
	if (out)
		cluster_page(x->page, rpn);
	x->status = out ? rw.store->ops->page_out(rw.store, &x->op)
			: rw.store->ops->page_in(rw.store, &x->op);
}

static void server_loses_all(unsigned int i)
{
	cluster_server_stop(&rw, i, false);
	cluster_server_start(&rw, i);
}

/* Server 1 has all pages but the first ones, which were written since, and is away; page 20 was freed. */
static void one_is_away(void)
{
	repair_init(2, CLUSTER_SLAB, 2);
	repair_start();
	repair_write_all(1000);
	assert_non_null(remote_slab(0, 0));
	assert_non_null(remote_slab(1, 0));
	cluster_server_stop(&rw, 1, true);
	for (uint64_t i = 0; i < SINCE; i++)
		assert_int_equal(remote_out(i, 5000 + i), RMNIC_SC_OK);
	assert_int_equal(rw.store->ops->free(rw.store, 20, 1), RMNIC_SC_OK);
	assert_int_equal(repair_progress().away, 1);
}

/* What was written since is lost, what was freed is zeros, and all the rest is there. */
static void is_rescued(void)
{
	for (uint64_t i = 0; i < CLUSTER_SLAB; i++)
		if (i < SINCE)
			assert_int_equal(cluster_in(&rw, i, remote_buf), RMNIC_SC_LOST);
		else if (i == 20)
			assert_true(remote_zeros(i));
		else
			assert_true(remote_holds(i, 1000 + i));
	assert_int_equal(repair_counters()->slabs_lost, 0);
}

static void rescue__of_one_that_was_away(void **state)
{
	struct waiting in, since;

	(void)state;
	one_is_away();
	server_loses_all(0);
	cluster_run(&rw, 1000 * MS);
	begin(&in, 30, false);
	begin(&since, 3, false);
	cluster_run(&rw, 500 * MS);
	assert_int_equal(in.status, RMNIC_STORE_PENDING);
	assert_int_equal(since.status, RMNIC_SC_LOST); /* nobody has that */
	assert_int_equal(KIND(remote_word(30)), RMNIC_STATE_PAGE_HELD);
	cluster_server_start(&rw, 1);
	assert_true(repair_whole(5000 * MS));
	assert_int_equal(in.status, RMNIC_SC_OK);
	assert_true(cluster_is_page(in.page, 1030));
	assert_int_equal(repair_events[RMNIC_REMOTE_EV_RESCUED], 1);
	is_rescued();
	/* It is told of what is no more, so that nobody finds an older copy of that (STATE-30). */
	cluster_run(&rw, 1000 * MS);
	for (uint64_t i = 0; i < SINCE; i++)
		assert_true(rmnic_mem_page(remote_slab(1, i), i)->vstate & RMNIC_RMP_PAGE_TOMBSTONE);
	assert_true(rmnic_mem_page(remote_slab(1, 20), 20)->vstate & RMNIC_RMP_PAGE_TOMBSTONE);
	repair_write_all(7000);
	assert_true(repair_alone(0, 7000));
}

/* Not for ever: then it is as if nobody had been away (STATE-19). */
static void rescue__of_nobody(void **state)
{
	struct waiting in, out;

	(void)state;
	one_is_away();
	server_loses_all(0);
	cluster_run(&rw, 1000 * MS);
	begin(&in, 30, false);
	begin(&out, 31, true);
	cluster_run(&rw, 500 * MS);
	assert_int_equal(in.status, RMNIC_STORE_PENDING);
	assert_int_equal(out.status, RMNIC_STORE_PENDING);
	cluster_run(&rw, 2500 * MS);
	assert_int_equal(in.status, RMNIC_SC_LOST);
	assert_int_equal(repair_counters()->slabs_lost, 1);
	cluster_server_start(&rw, 1); /* too late */
	assert_true(cluster_ready(&rw, 10000 * MS));
	assert_int_equal(cluster_in(&rw, 30, remote_buf), RMNIC_SC_LOST);
	cluster_run(&rw, 1000 * MS);
	assert_int_equal(out.status, RMNIC_SC_OK); /* it was for the slab's next members */
	repair_write_all(7000);
	assert_true(repair_alone(1, 7000));
}

/* The one that is away is empty, too. */
static void rescue__of_an_empty_one(void **state)
{
	(void)state;
	one_is_away();
	cluster_server_stop(&rw, 1, false);
	server_loses_all(0);
	cluster_run(&rw, 1000 * MS);
	assert_int_equal(KIND(remote_word(30)), RMNIC_STATE_PAGE_HELD);
	cluster_server_start(&rw, 1);
	cluster_run(&rw, 900 * MS); /* before it would have been given up */
	assert_int_equal(cluster_in(&rw, 30, remote_buf), RMNIC_SC_LOST);
	assert_true(repair_whole(5000 * MS));
	repair_write_all(7000);
}

/* A page-out has somewhere to go when it is back, and its page is not lost. */
static void rescue__page_outs_wait(void **state)
{
	struct waiting old, since;

	(void)state;
	one_is_away();
	server_loses_all(0);
	cluster_run(&rw, 1000 * MS);
	begin(&old, 40, true);
	begin(&since, 4, true);
	cluster_run(&rw, 500 * MS);
	assert_int_equal(old.status, RMNIC_STORE_PENDING);
	cluster_server_start(&rw, 1);
	assert_true(repair_whole(5000 * MS));
	assert_int_equal(old.status, RMNIC_SC_OK);
	assert_int_equal(since.status, RMNIC_SC_OK);
	assert_true(remote_holds(40, 40));
	assert_true(remote_holds(4, 4));
	assert_true(remote_holds(41, 1041));
	assert_int_equal(cluster_in(&rw, 5, remote_buf), RMNIC_SC_LOST);
	cluster_run(&rw, 1000 * MS); /* no telling has buried them */
	cluster_server_stop(&rw, 0, true);
	assert_true(remote_holds(40, 40));
	assert_true(remote_holds(4, 4));
}

/* It had become a member again, and the one that it was to be filled from has not heard of that. */
static void rescue__of_one_that_just_came(void **state)
{
	uint64_t until;

	(void)state;
	one_is_away();
	cluster_server_start(&rw, 1);
	for (until = rw.net.now + 5000 * MS; !repair_progress().syncing;)
		assert_true(cluster_step(&rw, until));
	server_loses_all(0);
	assert_true(repair_whole(5000 * MS));
	assert_int_equal(repair_events[RMNIC_REMOTE_EV_RESCUED], 1);
	is_rescued();
}

/* It was being filled again, from the one that is empty now. */
static void rescue__of_one_being_filled(void **state)
{
	(void)state;
	one_is_away();
	rmnic_store_remote_rates(rw.store, 1, 1);
	cluster_server_start(&rw, 1);
	for (unsigned int i = 0; i < 200 && !repair_progress().syncing; i++)
		cluster_run(&rw, 10 * MS);
	assert_int_equal(repair_progress().syncing, 1);
	server_loses_all(0);
	cluster_run(&rw, 1500 * MS);
	assert_int_equal(repair_events[RMNIC_REMOTE_EV_RESCUED], 1);
	rmnic_store_remote_rates(rw.store, 20000, 1);
	assert_true(repair_whole(5000 * MS));
	is_rescued();
}

/* The backend dies before each store of it in turn; its successor goes on. */
static jmp_buf died;
static unsigned int steps_left;

static void step(void)
{
	if (!--steps_left)
		longjmp(died, 1);
}

/* False: it was done before step n. */
static bool dies_at(unsigned int n)
{
	volatile bool dead = true;

	steps_left = n;
	rmnic_step_hook = step;
	if (!setjmp(died)) {
		cluster_server_start(&rw, 1);
		cluster_run(&rw, 1500 * MS);
		dead = false;
	}
	rmnic_step_hook = NULL;
	return dead;
}

static void death__at_each_step(void **state)
{
	bool dies = true;
	unsigned int n;

	(void)state;
	for (n = 1; dies; n++) {
		one_is_away();
		server_loses_all(0);
		cluster_run(&rw, 1000 * MS);
		dies = dies_at(n);
		cluster_stop(&rw);
		repair_start();
		if (!repair_whole(20000 * MS))
			fail_msg("step %u: no successor made it whole", n);
		is_rescued();
		repair_fini(NULL);
	}
	assert_true(n > SINCE);
}

/* STATE-3: whole members have it damaged, and who is away does not. */
static void damaged__one_is_away_with_it(void **state)
{
	struct waiting in;

	(void)state;
	one_is_away();
	rmnic_frame_data(rw.servers[0].store->frames, rmnic_mem_page(remote_slab(0, 30), 30)->body)[9] ^= 1;
	rmnic_frame_data(rw.servers[0].store->frames, rmnic_mem_page(remote_slab(0, 3), 3)->body)[9] ^= 1;
	begin(&in, 30, false);
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_CORRUPT); /* nobody has that */
	assert_int_equal(cluster_in(&rw, 30, remote_buf), RMNIC_SC_UNREACHABLE); /* after 20 s */
	assert_int_equal(in.status, RMNIC_SC_UNREACHABLE);
	begin(&in, 30, false);
	cluster_run(&rw, 500 * MS);
	assert_int_equal(in.status, RMNIC_STORE_PENDING);
	cluster_server_start(&rw, 1);
	assert_true(repair_whole(5000 * MS));
	cluster_run(&rw, 100 * MS);
	assert_int_equal(in.status, RMNIC_SC_OK);
	assert_true(cluster_is_page(in.page, 1030));
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_CORRUPT);
}

#define TEST(name) cmocka_unit_test_teardown(name, repair_fini)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rescue__of_one_that_was_away),
		TEST(rescue__of_nobody),
		TEST(rescue__of_an_empty_one),
		TEST(rescue__page_outs_wait),
		TEST(rescue__of_one_that_just_came),
		TEST(rescue__of_one_being_filled),
		TEST(death__at_each_step),
		TEST(damaged__one_is_away_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
