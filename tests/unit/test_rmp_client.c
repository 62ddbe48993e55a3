/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client_rig.h"

static uint64_t times[16];
static unsigned int ntimes, drop_first;

static bool drop_reads(void *arg, struct memnet_packet *p)
{
	(void)arg;
	if (p->from != client_end || p->bytes[1] != RMNIC_RMP_READ)
		return true;
	times[ntimes++ % 16] = w.net.now;
	if (ntimes > 1)
		assert_true(p->bytes[30] & RMNIC_RMP_F_RETRANSMIT);
	return ntimes > drop_first;
}

static unsigned int out_now, out_most, in_now, in_most;

static bool count_pages(void *arg, struct memnet_packet *p)
{
	(void)arg;
	if (p->bytes[1] == RMNIC_RMP_WRITE)
		out_most = ++out_now > out_most ? out_now : out_most;
	else if (p->bytes[1] == (RMNIC_RMP_WRITE | RMNIC_RMP_REPLY))
		out_now--;
	else if (p->bytes[1] == RMNIC_RMP_READ)
		in_most = ++in_now > in_most ? in_now : in_most;
	else if (p->bytes[1] == (RMNIC_RMP_READ | RMNIC_RMP_REPLY))
		in_now--;
	return true;
}

static void write_read__round_trip(void **state)
{
	struct probe_call p;

	(void)state;
	make_call(&p, RMNIC_RMP_WRITE, 5, 9);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	assert_true(p.idle);
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	assert_int_equal(p.call.got_version, 9);
	assert_true(cluster_is_page(p.page, 9));
}

/* RMP-29 */
static void silence__doubles_the_wait(void **state)
{
	struct probe_call p;

	(void)state;
	for (int i = 0; i < 20; i++) {
		make_call(&p, RMNIC_RMP_READ, 5, 0);
		assert_int_equal(run_call(&p), RMNIC_RMP_S_ABSENT);
	}
	w.net.filter = drop_reads;
	ntimes = 0;
	drop_first = 3;
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_ABSENT);
	w.net.filter = NULL;
	assert_int_equal(ntimes, 4);
	assert_int_equal(times[1] - times[0], RMNIC_RTO_MIN_NS);
	assert_int_equal(times[2] - times[1], 2 * RMNIC_RTO_MIN_NS);
	assert_int_equal(times[3] - times[2], 4 * RMNIC_RTO_MIN_NS);
	assert_int_equal(rmnic_rmp_client_counters(client)->retransmits, 3);
}

static void silence__ends_with_the_deadline(void **state)
{
	struct probe_call p;
	uint64_t before;

	(void)state;
	w.net.cut[client_end][w.servers[0].end] = 1;
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	before = w.net.now;
	assert_int_equal(run_call(&p), RMNIC_CALL_UNREACHABLE);
	assert_true(w.net.now - before >= 10000 * MS && w.net.now - before < 10010 * MS);
	assert_int_not_equal(peer_state(), RMNIC_PEER_READY);
	w.net.cut[client_end][w.servers[0].end] = 0;
	pass_time(2000 * MS);
	assert_int_equal(peer_state(), RMNIC_PEER_READY);
}

/* RMP-25, RMP-28: 40 page-outs and 40 page-ins at once; never more under way than allowed. */
static void windows__hold(void **state)
{
	static struct probe_call p[40];

	(void)state;
	pass_time(500 * MS); /* one datagram a page */
	w.net.filter = count_pages;
	out_now = out_most = in_now = in_most = 0;
	for (int i = 0; i < 40; i++) {
		make_call(&p[i], RMNIC_RMP_WRITE, (uint64_t)i, (uint64_t)i + 1);
		assert_true(rmnic_rmp_client_submit(client, &p[i].call));
	}
	pass_time(200 * MS);
	for (int i = 0; i < 40; i++)
		assert_true(p[i].done && p[i].call.status == RMNIC_RMP_S_OK);
	assert_in_range(out_most, 2, 8);
	for (int i = 0; i < 40; i++) {
		make_call(&p[i], RMNIC_RMP_READ, (uint64_t)i, 0);
		assert_true(rmnic_rmp_client_submit(client, &p[i].call));
	}
	pass_time(200 * MS);
	for (int i = 0; i < 40; i++)
		assert_true(p[i].done && cluster_is_page(p[i].page, (uint64_t)i + 1));
	assert_int_equal(in_most, client_cfg.rx_budget / 4096);
	w.net.filter = NULL;
}

/* RMP-26: marks of congestion and long queues shrink the page-out window. */
static void window__shrinks_on_congestion(void **state)
{
	struct rmnic_peer_info info;
	struct probe_call p;

	(void)state;
	w.net.faults.mark = 1000;
	for (uint64_t i = 1; i < 30; i++) {
		make_call(&p, RMNIC_RMP_WRITE, 1, i);
		assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	}
	rmnic_rmp_client_peer(client, 0, &info);
	assert_int_equal(info.window, 4096);
	w.net.faults.mark = 0;
	for (uint64_t i = 30; i < 100; i++) {
		make_call(&p, RMNIC_RMP_WRITE, 1, i);
		assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	}
	rmnic_rmp_client_peer(client, 0, &info);
	assert_int_equal(info.window, 8 * 4096);
}

/* RMP-31 */
static void hedge__after_p99(void **state)
{
	struct probe_call p;

	(void)state;
	client_rig_down(state);
	cluster_init(&w, 13, 1, 256, 64, 1);
	client_end = memnet_add(&w.net, 2, client_rig_rx, NULL);
	client_cfg.net = memnet_net(&w.net, client_end);
	client_cfg.hedge = client_rig_hedge;
	start_client(NULL);
	pass_time(100 * MS);
	alloc_slab();
	for (int i = 0; i < 100; i++) {
		make_call(&p, RMNIC_RMP_READ, 5, 0);
		assert_int_equal(run_call(&p), RMNIC_RMP_S_ABSENT);
	}
	assert_true(hedged <= 2);
	hedged = 0;
	w.net.filter = drop_reads;
	ntimes = 0;
	drop_first = 2;
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_ABSENT);
	w.net.filter = NULL;
	client_cfg.hedge = NULL;
	assert_int_equal(hedged, 1);
}

/* RMP-20: the copy belongs to the network until it says so. */
static void write__idle_after_the_last_transmit(void **state)
{
	struct probe_call p;

	(void)state;
	make_call(&p, RMNIC_RMP_WRITE, 5, 9);
	w.net.faults.reorder = 1000;
	w.net.faults.late_ns = 3000 * MS;
	assert_true(rmnic_rmp_client_submit(client, &p.call)); /* this one arrives in 3 s */
	w.net.faults.reorder = 0;
	pass_time(500 * MS);
	assert_true(p.done && p.call.status == RMNIC_RMP_S_OK); /* a later attempt did */
	assert_false(p.idle);
	assert_false(rmnic_rmp_client_submit(client, &p.call));
	pass_time(3000 * MS);
	assert_true(p.idle);
}

/* A PING that nobody waits for: a sign of life, no answer to anything, and nothing to be asked again. */
static void touch__leaves_nothing(void **state)
{
	const struct rmnic_rmp_client_counters *c = rmnic_rmp_client_counters(client);
	struct rmnic_rmp_client_counters before = *c;
	struct rmnic_peer_info info;

	(void)state;
	rmnic_rmp_client_touch(client, 0);
	assert_int_equal(c->tx, before.tx + 1);
	assert_false(rmnic_rmp_client_owed(client));
	pass_time(MS);
	assert_int_equal(c->rx, before.rx + 1);
	assert_int_equal(c->late, before.late);
	assert_int_equal(c->strange, before.strange);
	w.net.cut[client_end][w.servers[0].end] = 1;
	rmnic_rmp_client_touch(client, 0);
	pass_time(500 * MS);
	assert_int_equal(c->tx, before.tx + 2);
	assert_int_equal(c->retransmits, before.retransmits);
	rmnic_rmp_client_peer(client, 0, &info);
	assert_false(info.silent);
	assert_int_equal(peer_state(), RMNIC_PEER_READY);
	/* Nobody is there, or nobody can be asked. */
	rmnic_rmp_client_touch(client, 1);
	rmnic_rmp_client_remove(client, 0);
	rmnic_rmp_client_touch(client, 0);
	assert_int_equal(c->tx, before.tx + 2);
}

static void submit__limits(void **state)
{
	static struct probe_call p[65];
	struct probe_call one;

	(void)state;
	for (int i = 0; i < 65; i++)
		make_call(&p[i], RMNIC_RMP_READ, 1, 0);
	w.net.cut[client_end][w.servers[0].end] = 1;
	for (int i = 0; i < 65; i++)
		if (!rmnic_rmp_client_submit(client, &p[i].call))
			assert_true(i >= 64); /* max_calls, and one for each peer's own */
	make_call(&one, RMNIC_RMP_READ, 1, 0);
	assert_false(rmnic_rmp_client_submit(client, &p[0].call));
	for (int i = 0; i < 65; i++)
		rmnic_rmp_client_cancel(client, &p[i].call);
	for (int i = 0; i < 65; i++)
		assert_true(p[i].call.state == RMNIC_CALL_IDLE);
	one.call.peer = 1;
	assert_false(rmnic_rmp_client_submit(client, &one.call)); /* no such peer */
}

static void create__allocation_fails(void **state)
{
	int before = w.net.allocations;

	(void)state;
	for (unsigned int n = 1; n <= 5; n++) {
		w.net.fail_alloc = n;
		assert_null(rmnic_rmp_client_create(&client_cfg));
		assert_int_equal(w.net.allocations, before);
	}
	w.net.fail_alloc = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, client_rig_up, client_rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write_read__round_trip),
		TEST(silence__doubles_the_wait),
		TEST(silence__ends_with_the_deadline),
		TEST(windows__hold),
		TEST(window__shrinks_on_congestion),
		TEST(hedge__after_p99),
		TEST(write__idle_after_the_last_transmit),
		TEST(touch__leaves_nothing),
		TEST(submit__limits),
		TEST(create__allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
