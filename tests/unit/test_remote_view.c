/* SPDX-License-Identifier: BSD-3-Clause */
/* Members that leave a view, and page operations meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/le.h"
#include "remote_rig.h"
#include "rmnic/device.h"

#define DROP (30 * MS)
#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)

static uint16_t ended;

static void remember(struct rmnic_page_op *op, uint16_t status)
{
	(void)op;
	ended = status;
}

static struct rmnic_state_view row(uint64_t slab)
{
	struct rmnic_state_block b = remote_block();
	struct rmnic_state_view v;

	assert_true(rmnic_state_view_get(&b, slab, &v));
	return v;
}

static uint64_t number(uint64_t slab)
{
	return rmnic_le64_get(row(slab).view);
}

/* What the server was told of the slab's view. */
static uint64_t told(unsigned int server, uint64_t rpn)
{
	return rmnic_le64_get(remote_slab(server, rpn)->view.view);
}

static void cut(unsigned int server, bool there, bool back)
{
	unsigned int end = rw.servers[server].end;

	rw.net.cut[rw.backend][end] = there;
	rw.net.cut[end][rw.backend] = back;
}

static uint16_t start_out(struct rmnic_page_op *op, uint64_t content)
{
	op->data = remote_buf;
	op->done = remember;
	ended = RMNIC_STORE_PENDING;
	cluster_page(remote_buf, content);
	return rw.store->ops->page_out(rw.store, op);
}

/* Until the page operation has ended. False: not within ns. */
static bool ends(uint64_t ns)
{
	uint64_t until = rw.net.now + ns;

	while (ended == RMNIC_STORE_PENDING && cluster_step(&rw, until))
		;
	return ended != RMNIC_STORE_PENDING;
}

/* STATE-22, STATE-23: who is silent is dropped, remembered, and the write goes on without it. */
static void drop__silent_member(void **state)
{
	struct rmnic_page_op op = { .rpn = 3 };
	struct rmnic_state_view v;
	uint64_t before, start;

	(void)state;
	remote_up(2, 64, 2);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	before = number(0);
	cut(0, true, true);
	start = rw.net.now;
	assert_int_equal(start_out(&op, 2), RMNIC_STORE_PENDING);
	assert_true(ends(DROP + 20 * MS));
	assert_int_equal(ended, RMNIC_SC_OK);
	assert_true(rw.net.now - start >= DROP); /* not sooner than it is silent */
	v = row(0);
	assert_int_equal(rmnic_le64_get(v.view), before + 1);
	assert_int_equal(v.members, 2);
	assert_int_equal(__builtin_popcount(v.away), 1);
	assert_int_equal(v.member[__builtin_ctz(v.away)].server[0], 0x50);
	/* What was under way is among what it may lack. */
	assert_true(rmnic_le64_get(v.since[__builtin_ctz(v.away)]) <= VERSION(remote_word(3)));
	assert_true(rmnic_le64_get(v.since[__builtin_ctz(v.away)]) > 1);
	assert_int_equal(told(1, 3), before + 1);
	assert_true(remote_holds(3, 2));
	cluster_fini(&rw);
}

/*
 * STATE-24: who was dropped is not asked for pages any more; it is found out all the same, and soon, that it is
 * back.
 */
static void drop__silent_member_comes_back(void **state)
{
	struct rmnic_page_op op = { .rpn = 3 };

	(void)state;
	remote_up(2, 64, 2);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	cut(0, true, true);
	assert_int_equal(start_out(&op, 2), RMNIC_STORE_PENDING);
	assert_true(ends(DROP + 20 * MS));
	assert_true(row(0).away);
	cluster_run(&rw, 100 * MS);
	cut(0, false, false);
	cluster_run(&rw, 1000 * MS);
	assert_false(row(0).away);
	assert_false(row(0).syncing);
	assert_int_equal(row(0).members, 2);
	cluster_fini(&rw);
}

/* STATE-21: not before those that stay have said that they know. */
static void drop__recorded_first(void **state)
{
	struct rmnic_page_op op = { .rpn = 3 };
	uint64_t before;

	(void)state;
	remote_up(2, 64, 2);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	before = number(0);
	cut(0, true, true);
	assert_int_equal(start_out(&op, 2), RMNIC_STORE_PENDING);
	cluster_run(&rw, DROP / 2);
	cut(1, true, false); /* it has the page, and said so */
	cluster_run(&rw, DROP);
	assert_int_equal(number(0), before + 1); /* the block comes first */
	assert_int_equal(told(1, 3), before);
	assert_int_equal(ended, RMNIC_STORE_PENDING);
	cut(1, false, true); /* it hears, and its answer does not arrive */
	cluster_run(&rw, 500 * MS);
	assert_int_equal(told(1, 3), before + 1);
	assert_int_equal(ended, RMNIC_STORE_PENDING);
	assert_true(remote_word(3) & RMNIC_STATE_PAGE_WRITING);
	cut(1, false, false);
	assert_true(ends(2000 * MS));
	assert_int_equal(ended, RMNIC_SC_OK);
	cluster_fini(&rw);
}

/* STATE-22: when everybody is silent it is this end that is cut off. */
static void drop__not_when_all_are_silent(void **state)
{
	struct rmnic_page_op op = { .rpn = 3 };
	uint64_t before;

	(void)state;
	remote_up(2, 64, 2);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	before = number(0);
	cut(0, true, true);
	cut(1, true, true);
	assert_int_equal(start_out(&op, 2), RMNIC_STORE_PENDING);
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(ended, RMNIC_STORE_PENDING);
	assert_int_equal(number(0), before);
	assert_int_equal(row(0).away, 0);
	cut(0, false, false);
	cut(1, false, false);
	assert_true(ends(3000 * MS));
	assert_int_equal(ended, RMNIC_SC_OK);
	cluster_fini(&rw);
}

static unsigned int deaf_after;

/* Server 0 falls silent when it has been asked twice what it was asked. */
static bool falls_silent(void *arg, struct memnet_packet *p)
{
	unsigned int *n = arg;

	if (p->to == rw.servers[0].end)
		return ++*n <= deaf_after;
	return p->from != rw.servers[0].end || *n < deaf_after;
}

/*
 * STATE-22: the others may have answered before anybody knew that one is silent. They are asked whether
 * they are there, so that the write does not wait for its time-out.
 */
static void drop__others_have_nothing_to_say(void **state)
{
	struct rmnic_page_op op = { .rpn = 3 };
	unsigned int seen = 0;

	(void)state;
	remote_up(2, 64, 2);
	rmnic_store_remote_rates(rw.store, 1, 1);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	cluster_run(&rw, 2000 * MS);
	/* It answers something else after the other one has the page, and is then asked again in vain. */
	deaf_after = 1;
	rw.net.filter = falls_silent;
	rw.net.filter_arg = &seen;
	cut(0, true, false);
	assert_int_equal(start_out(&op, 2), RMNIC_STORE_PENDING);
	cluster_run(&rw, 300000);
	cut(0, false, false);
	assert_int_equal(ended, RMNIC_STORE_PENDING);
	rmnic_rmp_client_ping(rmnic_store_remote_client(rw.store), rw.servers[0].peer);
	assert_true(ends(DROP + 60 * MS));
	assert_int_equal(ended, RMNIC_SC_OK);
	assert_int_equal(__builtin_popcount(row(0).away), 1);
	cluster_fini(&rw);
}

/* STATE-22: the last one stays, also when it is all that is wrong; RULES A14: no other is asked. */
static void drop__not_the_last(void **state)
{
	struct rmnic_page_op op = { .rpn = 3 };

	(void)state;
	remote_up(2, 64, 2);
	cut(0, true, true);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	assert_int_equal(__builtin_popcount(row(0).away), 1);
	cut(0, false, true); /* it stays away, whatever it is asked */
	cluster_server_stop(&rw, 1, true);
	assert_int_equal(start_out(&op, 2), RMNIC_STORE_PENDING);
	cluster_run(&rw, 1000 * MS);
	assert_int_equal(ended, RMNIC_STORE_PENDING);
	assert_int_equal(__builtin_popcount(row(0).away), 1);
	cut(0, false, false);
	assert_true(cluster_server_start(&rw, 1));
	assert_true(ends(5000 * MS));
	assert_int_equal(ended, RMNIC_SC_OK);
	assert_true(remote_holds(3, 2));
	cluster_fini(&rw);
}

/* A server of many slabs dies: more views are to be recorded than there are places for, and time goes by. */
static void drop__many_slabs_at_once(void **state)
{
	const uint64_t slabs = 48;
	uint64_t away = 0;

	(void)state;
	cluster_init(&rw, 1, 3, 4096, slabs * CLUSTER_SLAB, 2);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	cut(0, true, true);
	rmnic_rmp_client_ping(rmnic_store_remote_client(rw.store), rw.servers[0].peer);
	cluster_run(&rw, 3000 * MS);
	assert_false(rw.stuck);
	for (uint64_t slab = 0; slab < slabs; slab++)
		away += row(slab).away != 0;
	assert_in_range(away, 20, slabs); /* there are 16 places */
	cluster_fini(&rw);
}

/* An emptied member is no member any more, and is not remembered. */
static void drop__emptied(void **state)
{
	struct rmnic_state_view v;
	uint64_t before, until;

	(void)state;
	remote_up(2, 64, 2);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	before = number(0);
	cluster_server_stop(&rw, 0, false);
	assert_true(cluster_server_start(&rw, 0));
	until = rw.net.now + 3000 * MS;
	while (number(0) == before && cluster_step(&rw, until))
		;
	v = row(0);
	assert_int_equal(rmnic_le64_get(v.view), before + 1);
	assert_int_equal(v.members, 1);
	assert_int_equal(v.away, 0);
	assert_int_equal(v.member[0].server[0], 0x51);
	assert_true(remote_holds(3, 1));
	cluster_fini(&rw);
}

/* STATE-20: a successor serves slabs of which one whole member is here. */
static void successor__one_member_is_enough(void **state)
{
	(void)state;
	remote_up(2, 64, 2);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	cluster_server_stop(&rw, 0, true);
	cluster_stop(&rw);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 1000 * MS));
	assert_true(remote_holds(3, 1));
	assert_int_equal(remote_out(3, 2), RMNIC_SC_OK);
	assert_int_equal(__builtin_popcount(row(0).away), 1);
	cluster_server_stop(&rw, 1, true);
	cluster_stop(&rw);
	/* It is not enough that somebody is here who was dropped (RULES A5). */
	assert_true(cluster_server_start(&rw, 0));
	assert_true(cluster_start(&rw));
	assert_false(cluster_ready(&rw, 3000 * MS));
	cluster_fini(&rw);
}

/* The server that is asked first for pages of slab 0. */
static unsigned int first_asked(void)
{
	return row(0).member[0].server[0] - 0x50u;
}

/* --- Page-ins --------------------------------------------------------------------------------------- */

/* What may change while it runs: from then on more silence is borne, or less. */
static void patience__changes(void **state)
{
	uint64_t start;

	(void)state;
	for (uint64_t drop = 5; drop <= 500; drop *= 100) {
		remote_up(2, 64, 2);
		assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
		rmnic_store_remote_patience(rw.store, drop * MS, 10000 * MS, 20);
		cut(1, true, true);
		start = rw.net.now;
		assert_int_equal(remote_out(3, 2), RMNIC_SC_OK);
		assert_in_range(rw.net.now - start, drop * MS, drop * MS + 150 * MS);
		assert_int_equal(__builtin_popcount(row(0).away), 1);
		cluster_fini(&rw);
	}
}

/* A silent server's page-ins are asked of another member as soon as that is known. */
static void in__fails_over(void **state)
{
	uint64_t start;

	(void)state;
	remote_up(2, 128, 2);
	for (uint64_t i = 0; i < 128; i++)
		assert_int_equal(remote_out(i, i), RMNIC_SC_OK);
	cut(first_asked(), true, true);
	for (uint64_t i = 0; i < 128; i++) {
		start = rw.net.now;
		assert_true(remote_holds(i, i));
		assert_true(rw.net.now - start <= DROP + 5 * MS);
	}
	assert_true(rmnic_store_remote_counters(rw.store)->failed_over >= 1);
	/* Once it is known to be silent nobody is sent there first. */
	assert_true(rmnic_store_remote_counters(rw.store)->failed_over <= 2);
	cluster_fini(&rw);
}

static unsigned int slow_one_in, slow_server;

static bool slow_sometimes(void *arg, struct memnet_packet *p)
{
	unsigned int *n = arg;

	if (p->from == rw.servers[slow_server].end && p->len > RMNIC_PAGE_SIZE && slow_one_in &&
	    ++*n % slow_one_in == 0)
		p->at += 20 * MS;
	return true;
}

/* Page-ins that took longer than 10 ms. */
static unsigned int slow_reads(unsigned int reads)
{
	unsigned int slow = 0;
	uint64_t start;

	for (unsigned int n = 0; n < reads; n++) {
		start = rw.net.now;
		assert_true(remote_holds(n % 64, n % 64 + 1));
		slow += rw.net.now - start > 10 * MS;
	}
	return slow;
}

/* RMP-31: one that takes longer than its server's as a rule is asked of another, within bounds. */
static void in__is_hedged(void **state)
{
	const struct rmnic_remote_counters *c;
	unsigned int seen = 0;
	uint64_t before;

	(void)state;
	cluster_init(&rw, 1, 2, 512, 128, 2);
	rw.net.filter = slow_sometimes;
	rw.net.filter_arg = &seen;
	slow_one_in = 0;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 1000 * MS));
	c = rmnic_store_remote_counters(rw.store);
	for (uint64_t i = 0; i < 128; i++)
		assert_int_equal(remote_out(i, i + 1), RMNIC_SC_OK);
	slow_server = first_asked();
	assert_int_equal(slow_reads(1000), 0);
	before = c->hedged;
	slow_one_in = 250;
	assert_int_equal(slow_reads(4000), 0);
	assert_true(c->hedges_won > 4 && c->hedged - before <= 4000 * 2 / 100 + 20);
	/* When it is slow much more often, asking twice is no remedy but a second load. */
	before = c->hedged;
	slow_one_in = 5;
	slow_server = first_asked();
	slow_reads(300); /* of which 60 are slow */
	assert_true(c->hedged - before <= 300 * 2 / 100 + 20);
	cluster_fini(&rw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drop__silent_member),
		cmocka_unit_test(drop__silent_member_comes_back),
		cmocka_unit_test(drop__recorded_first),
		cmocka_unit_test(drop__not_when_all_are_silent),
		cmocka_unit_test(drop__others_have_nothing_to_say),
		cmocka_unit_test(drop__not_the_last),
		cmocka_unit_test(drop__many_slabs_at_once),
		cmocka_unit_test(drop__emptied),
		cmocka_unit_test(successor__one_member_is_enough),
		cmocka_unit_test(patience__changes),
		cmocka_unit_test(in__fails_over),
		cmocka_unit_test(in__is_hedged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
