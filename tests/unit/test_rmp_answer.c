/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client_rig.h"

static unsigned int swaps;

/* Between two answers to one request that the network doubled, the page changes. */
static bool change_between(void *arg, struct memnet_packet *p)
{
	(void)arg;
	if (p->from == client_end && p->bytes[1] == RMNIC_RMP_READ)
		p->at += swaps++ % 2 ? 100000 : 0;
	/* Of the first answer half is lost, of the second the other half. */
	if (p->bytes[1] == (RMNIC_RMP_READ | RMNIC_RMP_REPLY))
		return (rmnic_rmp_get64(p->bytes + 30) >> 16 == 9) ==
		       (rmnic_rmp_get32(p->bytes + 46) < 2048);
	return true;
}

/* RMP-5: an answer that comes when its request has ended, or was another's, is nobody's. */
static void answer__late(void **state)
{
	struct probe_call p, q;

	(void)state;
	make_call(&p, RMNIC_RMP_WRITE, 5, 9);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	w.net.faults.duplicate = 1000;
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	pass_time(10 * MS);
	assert_true(rmnic_rmp_client_counters(client)->late >= 1);
	w.net.faults.duplicate = 0;
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	assert_true(rmnic_rmp_client_submit(client, &p.call));
	rmnic_rmp_client_cancel(client, &p.call);
	assert_true(p.idle && !p.done);
	make_call(&q, RMNIC_RMP_READ, 6, 0); /* in the same slot */
	assert_int_equal(run_call(&q), RMNIC_RMP_S_ABSENT);
	pass_time(10 * MS);
	assert_false(p.done);
}

static unsigned int silences;

static void count_silence(void *arg, uint32_t peer, bool silent)
{
	(void)arg;
	(void)peer;
	silences += silent;
}

/* RMP-5: it was given up, and answered all the same: nobody was silent, however long it is until the next. */
static void answer__late_is_a_sign_of_life(void **state)
{
	struct rmnic_peer_info info;
	struct probe_call p;

	(void)state;
	memnet_settle(&w.net, client_end);
	rmnic_rmp_client_destroy(client);
	client_cfg.silent = count_silence;
	client_cfg.silent_ns = 30 * MS;
	silences = 0;
	start_client(NULL);
	pass_time(100 * MS);
	make_call(&p, RMNIC_RMP_PING, 0, 0);
	assert_true(rmnic_rmp_client_submit(client, &p.call));
	rmnic_rmp_client_cancel(client, &p.call);
	pass_time(1000 * MS);
	rmnic_rmp_client_peer(client, 0, &info);
	assert_true(info.heard >= info.asked);
	make_call(&p, RMNIC_RMP_PING, 0, 0);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	assert_int_equal(silences, 0);
	/* Given up, and not answered: that is silence, as the next request finds out. */
	w.net.faults.loss = 1000;
	make_call(&p, RMNIC_RMP_PING, 0, 0);
	assert_true(rmnic_rmp_client_submit(client, &p.call));
	rmnic_rmp_client_cancel(client, &p.call);
	pass_time(100 * MS);
	make_call(&p, RMNIC_RMP_PING, 0, 0);
	assert_true(rmnic_rmp_client_submit(client, &p.call));
	pass_time(10 * MS);
	assert_int_equal(silences, 1);
	w.net.faults.loss = 0;
	pass_time(1000 * MS);
	assert_true(p.done);
}

/* RMP-30 */
static void busy__waits_and_asks_again(void **state)
{
	struct probe_call p;
	uint32_t frames[257];
	unsigned int n = 0;
	struct rmnic_peer_info before, after;

	(void)state;
	rmnic_rmp_client_peer(client, 0, &before);
	while ((frames[n] = rmnic_frame_get(w.servers[0].store->frames)) != RMNIC_FRAME_NONE)
		n++;
	make_call(&p, RMNIC_RMP_WRITE, 1, 1);
	assert_true(rmnic_rmp_client_submit(client, &p.call));
	pass_time(100 * MS);
	assert_false(p.done);
	assert_in_range(rmnic_rmp_client_counters(client)->busy, 10, 30); /* with growing pauses */
	rmnic_rmp_client_peer(client, 0, &after);
	assert_int_equal(after.window, before.window);
	assert_int_equal(after.state, RMNIC_PEER_READY);
	while (n)
		rmnic_frame_put(w.servers[0].store->frames, frames[--n]);
	pass_time(20 * MS);
	assert_true(p.done && p.call.status == RMNIC_RMP_S_OK);
}

/* RMP-3: a copy that is bad at rest is never delivered; after three looks it is given up. */
static void read__bad_copy(void **state)
{
	struct probe_call p;
	struct rmnic_memstore *ms = w.servers[0].store;

	(void)state;
	make_call(&p, RMNIC_RMP_WRITE, 5, 9);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	rmnic_frame_data(ms->frames, rmnic_mem_page(&ms->slabs[0], 5)->body)[77] ^= 1;
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_CORRUPT);
	assert_int_equal(rmnic_rmp_client_counters(client)->crc_errors, 3);
}

/* RMP-24: segments of two answers to one attempt are not put together. */
static void read__doubled_request(void **state)
{
	struct probe_call p, q;
	uint8_t copy[RMNIC_RMP_HDR_SIZE];
	struct rmnic_rx rx;

	(void)state;
	client_rig_down(state);
	cluster_init(&w, 16, 1, 256, 64, 1);
	w.net.mtu = 1500;
	client_end = memnet_add(&w.net, 2, client_rig_rx, NULL);
	client_cfg.net = memnet_net(&w.net, client_end);
	start_client(NULL);
	pass_time(500 * MS);
	alloc_slab();
	make_call(&p, RMNIC_RMP_WRITE, 5, 9);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	w.net.filter = change_between;
	make_call(&q, RMNIC_RMP_READ, 5, 0);
	assert_true(rmnic_rmp_client_submit(client, &q.call));
	memnet_bytes(w.net.heap[1]);
	memcpy(copy, w.net.heap[1]->bytes, sizeof(copy));
	memnet_deliver(&w.net); /* the request: answered with version 9 */
	make_call(&p, RMNIC_RMP_WRITE, 5, 10);
	{
		uint32_t frame = rmnic_frame_get(w.servers[0].store->frames);

		memcpy(rmnic_frame_data(w.servers[0].store->frames, frame), p.page, 4096);
		assert_int_equal(rmnic_mem_write(w.servers[0].store, &w.servers[0].store->slabs[0],
						 5, 10, RMNIC_RMP_PAGE_STORED, p.call.crc, frame),
				 RMNIC_RMP_S_OK);
	}
	rx = (struct rmnic_rx){ .data = copy, .len = sizeof(copy),
				.from = w.net.ends[client_end].addr };
	rmnic_rmp_server_rx(w.servers[0].server, &rx); /* its double: with version 10 */
	pass_time(MS / 2);
	assert_false(q.done); /* half of each is no page */
	w.net.filter = NULL;
	pass_time(100 * MS);
	assert_true(q.done);
	assert_int_equal(q.call.got_version, 10);
	assert_int_equal(rmnic_rmp_client_counters(client)->crc_errors, 0);
	assert_true(cluster_is_page(q.page, 10));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, client_rig_up, client_rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answer__late), TEST(answer__late_is_a_sign_of_life),
		TEST(busy__waits_and_asks_again),
		TEST(read__bad_copy),
		TEST(read__doubled_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
