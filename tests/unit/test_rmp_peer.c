/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client_rig.h"

static struct cluster_catch caught;

/* RMP-12: the ladder finds what the path carries, and pages pass from the first moment. */
static void probe__finds_the_mtu(void **state)
{
	static const uint32_t path[][2] = { { 9000, 4222 }, { 4150, 2174 }, { 1500, 1500 },
					    { 1450, 1400 }, { 1280, 1280 } };

	for (unsigned int i = 0; i < 5; i++) {
		struct rmnic_peer_info info;
		struct probe_call p;

		client_rig_down(state);
		cluster_init(&w, 12, 1, 256, 64, 1);
		w.net.mtu = path[i][0];
		client_end = memnet_add(&w.net, 2, client_rig_rx, NULL);
		client_cfg.net = memnet_net(&w.net, client_end);
		start_client(NULL);
		pass_time(MS / 2);
		assert_int_equal(peer_state(), RMNIC_PEER_READY); /* not yet measured, but of use */
		alloc_slab();
		make_call(&p, RMNIC_RMP_WRITE, 5, 9);
		assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
		pass_time(500 * MS);
		rmnic_rmp_client_peer(client, 0, &info);
		assert_int_equal(info.mtu, path[i][1]);
		w.net.sent = 0;
		make_call(&p, RMNIC_RMP_READ, 5, 0);
		assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
		assert_true(cluster_is_page(p.page, 9));
		assert_int_equal(w.net.sent, 1 + (4095 + rmnic_segment_size(info.mtu)) /
						     rmnic_segment_size(info.mtu));
	}
}

/* RMP-10, RMP-9: a restarted server is greeted anew; one without its memory is known as such. */
static void restart__with_and_without_memory(void **state)
{
	struct probe_call p;
	struct rmnic_peer_info info;

	(void)state;
	make_call(&p, RMNIC_RMP_WRITE, 5, 9);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	rmnic_rmp_client_peer(client, 0, &info);
	/* RMP-9: a handle of another store is not even asked for. */
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	p.call.store_id = info.store_id + 1;
	w.net.sent = 0;
	assert_int_equal(run_call(&p), RMNIC_CALL_EMPTY);
	assert_int_equal(w.net.sent, 0);
	cluster_server_stop(&w, 0, true);
	cluster_server_start(&w, 0);
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	p.call.store_id = info.store_id;
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	assert_true(cluster_is_page(p.page, 9));
	cluster_server_stop(&w, 0, false);
	cluster_server_start(&w, 0);
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	p.call.store_id = info.store_id;
	assert_int_equal(run_call(&p), RMNIC_CALL_EMPTY);
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_UNKNOWN_SLAB); /* not "empty" (RMP-16) */
}

/* RMP-11 */
static void hello__another_server(void **state)
{
	uint8_t uuid[16];

	client_rig_down(state);
	cluster_init(&w, 14, 1, 256, 64, 1);
	client_end = memnet_add(&w.net, 2, client_rig_rx, NULL);
	client_cfg.net = memnet_net(&w.net, client_end);
	memset(uuid, 0x99, 16);
	start_client(uuid);
	pass_time(100 * MS);
	assert_int_equal(peer_state(), RMNIC_PEER_REFUSED);
}

/* RMP-7: a server of another version says so and is given up, with the reason. */
static void hello__another_version(void **state)
{
	struct rmnic_peer_info info;
	struct rmnic_rmp_msg m;
	struct rmnic_rmp_welcome wel = { .version_min = 2, .version_max = 3 };
	uint8_t out[RMNIC_RMP_HDR_SIZE + sizeof(wel)];
	struct rmnic_rx rx = { .data = out, .len = sizeof(out) };

	client_rig_down(state);
	cluster_init(&w, 15, 1, 256, 64, 1);
	client_end = memnet_add(&w.net, 2, client_rig_rx, NULL);
	client_cfg.net = memnet_net(&w.net, client_end);
	w.net.ends[w.servers[0].end].rx = cluster_catch_rx;
	w.net.ends[w.servers[0].end].arg = &caught;
	caught.n = 0;
	start_client(NULL);
	pass_time(MS);
	assert_int_equal(caught.n, 1);
	assert_int_equal(rmnic_rmp_decode(rmnic_rmp_client_crc(client), &m, caught.bytes[0],
					  caught.len[0], false, 0),
			 RMNIC_RMP_DROP_OK);
	memcpy(&wel.nonce, m.payload + offsetof(struct rmnic_rmp_hello, nonce), 8);
	m.type |= RMNIC_RMP_REPLY;
	m.status = RMNIC_RMP_S_VERSION;
	memcpy(out + RMNIC_RMP_HDR_SIZE, &wel, sizeof(wel));
	rmnic_rmp_encode_body(rmnic_rmp_client_crc(client), out, &m, &wel, sizeof(wel), 0);
	rx.from = w.net.ends[w.servers[0].end].addr;
	rmnic_rmp_client_rx(client, &rx);
	rmnic_rmp_client_peer(client, 0, &info);
	assert_int_equal(info.state, RMNIC_PEER_REFUSED);
	assert_int_equal(info.refused, RMNIC_RMP_S_VERSION);
	assert_int_equal(info.version_min, 2);
	assert_int_equal(info.version_max, 3);
}

static uint32_t add_server(unsigned int i)
{
	struct rmnic_addr addr[RMNIC_LANES];

	addr[0] = addr[1] = w.net.ends[w.servers[i].end].addr;
	addr[0].port = RMNIC_RMP_PORT_IN;
	addr[1].port = RMNIC_RMP_PORT_OUT;
	return rmnic_rmp_client_add(client, addr, NULL);
}

/* RMP-11: a row could not say which of them it means. The one that was first goes on. */
static void hello__two_of_one_name(void **state)
{
	struct rmnic_peer_info info;
	uint32_t twin;

	(void)state;
	twin = add_server(0);
	assert_int_equal(twin, 1);
	pass_time(3000 * MS);
	rmnic_rmp_client_peer(client, twin, &info);
	assert_int_not_equal(info.state, RMNIC_PEER_READY);
	assert_int_equal(info.refused, RMNIC_RMP_S_INVALID);
	assert_int_equal(peer_state(), RMNIC_PEER_READY);
	/* When that is gone, the other address is as good. */
	rmnic_rmp_client_remove(client, 0);
	pass_time(3000 * MS);
	rmnic_rmp_client_peer(client, twin, &info);
	assert_int_equal(info.state, RMNIC_PEER_READY);
	assert_int_equal(info.refused, RMNIC_RMP_S_OK);
}

/* The server looks at its leases in between, at one device a time. */
static void idle_server(unsigned int times)
{
	for (unsigned int i = 0; i < times; i++) {
		pass_time(10 * MS);
		rmnic_rmp_server_poll(w.servers[0].server);
	}
}

/* RMP-36: an idle device keeps its slabs; one whose backend is gone loses them. */
static void lease__renewed_without_work(void **state)
{
	(void)state;
	w.servers[0].lease_ns = 400 * MS;
	cluster_server_stop(&w, 0, true);
	cluster_server_start(&w, 0);
	alloc_slab(); /* in the new session */
	assert_int_equal(w.servers[0].store->devices[0].slabs, 1);
	idle_server(2000);
	assert_int_equal(w.servers[0].store->devices[0].slabs, 1);
	assert_int_equal(peer_state(), RMNIC_PEER_READY);
	rmnic_rmp_client_remove(client, 0);
	idle_server(100);
	assert_int_equal(w.servers[0].store->devices[0].slabs, 0);
}

/* RMP-14 */
static void epoch__fenced(void **state)
{
	struct probe_call p;

	(void)state;
	rmnic_mem_seal(w.servers[0].store, 0, 4);
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_FENCED);
	assert_int_equal(peer_state(), RMNIC_PEER_FENCED);
}

/* What waits and what is under way ends; the place is used again, for the same server too. */
static void remove__and_add_again(void **state)
{
	struct rmnic_addr addr[RMNIC_LANES];
	struct rmnic_peer_info info;
	struct probe_call p, q;

	(void)state;
	cluster_server_stop(&w, 0, true);
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	make_call(&q, RMNIC_RMP_WRITE, 6, 9);
	assert_true(rmnic_rmp_client_submit(client, &p.call));
	assert_true(rmnic_rmp_client_submit(client, &q.call));
	rmnic_rmp_client_remove(client, 0);
	assert_true(p.done && q.done);
	assert_int_equal(p.call.status, RMNIC_CALL_UNREACHABLE);
	assert_int_equal(q.call.status, RMNIC_CALL_UNREACHABLE);
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	assert_false(rmnic_rmp_client_submit(client, &p.call));
	cluster_server_start(&w, 0);
	pass_time(3000 * MS);
	rmnic_rmp_client_peer(client, 0, &info);
	assert_int_equal(info.state, RMNIC_PEER_REMOVED); /* nobody greets it */
	for (int i = 0; i < 16; i++)
		assert_int_equal(info.uuid[i], 0);
	addr[0] = addr[1] = w.net.ends[w.servers[0].end].addr;
	addr[0].port = RMNIC_RMP_PORT_IN;
	addr[1].port = RMNIC_RMP_PORT_OUT;
	assert_int_equal(rmnic_rmp_client_add(client, addr, NULL), 0);
	pass_time(100 * MS);
	assert_int_equal(peer_state(), RMNIC_PEER_READY);
	make_call(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_ABSENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, client_rig_up, client_rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(probe__finds_the_mtu),
		TEST(restart__with_and_without_memory),
		TEST(hello__another_server),
		TEST(hello__another_version),
		TEST(hello__two_of_one_name),
		TEST(lease__renewed_without_work),
		TEST(epoch__fenced),
		TEST(remove__and_add_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
