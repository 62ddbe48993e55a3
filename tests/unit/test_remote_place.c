/* SPDX-License-Identifier: BSD-3-Clause */
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

#define SERVERS 64
#define EACH    80 /* slabs on a server, on the average */

static uint64_t slabs_on[CLUSTER_SERVERS];

/* Members of one view are on different servers, and in different domains where told to be. */
static void check_views(unsigned int members, bool domains)
{
	struct rmnic_state_block b = remote_block();

	memset(slabs_on, 0, sizeof(slabs_on));
	for (uint64_t i = 0; i < b.nslabs; i++) {
		struct rmnic_remote_slab_info s;

		assert_true(rmnic_store_remote_slab(rw.store, i, &s));
		assert_int_equal(s.members, members);
		for (unsigned int k = 0; k < s.members; k++) {
			unsigned int at = s.server[k][0] - 0x50u;

			slabs_on[at]++;
			for (unsigned int m = 0; m < k; m++) {
				unsigned int other = s.server[m][0] - 0x50u;

				assert_true(at != other);
				if (domains)
					assert_true(rw.servers[at].domain != rw.servers[other].domain);
			}
		}
	}
}

/* In thousandths: how much more than the average the fullest has. */
static unsigned int imbalance(unsigned int servers)
{
	uint64_t most = 0, all = 0;

	for (unsigned int i = 0; i < servers; i++) {
		all += slabs_on[i];
		if (slabs_on[i] > most)
			most = slabs_on[i];
	}
	assert_true(all > 0);
	return all ? (unsigned int)(most * servers * 1000 / all - 1000) : 0;
}

static void up(unsigned int servers, uint64_t slabs, uint32_t replicas, uint32_t room)
{
	cluster_init(&rw, 1, servers, room * CLUSTER_SLAB + 40, slabs * CLUSTER_SLAB, replicas);
	rw.cfg.max_peers = servers;
}

static void ready(void)
{
	assert_true(cluster_start(&rw));
	for (unsigned int i = 0; i < rw.nservers; i++)
		rmnic_store_remote_domain(rw.store, rw.servers[i].peer, rw.servers[i].domain);
	assert_true(cluster_ready(&rw, 60000 * MS));
}

/* The fullest of 64 servers has less than 5 % more than the average. */
static void place__evenly(void **state)
{
	(void)state;
	up(SERVERS, SERVERS * EACH / 2, 2, EACH + 20);
	ready();
	check_views(2, false);
	print_message("imbalance: %u in a thousand\n", imbalance(SERVERS));
	assert_true(imbalance(SERVERS) < 50);
}

/* STATE-26: eight racks of eight. */
static void place__in_different_domains(void **state)
{
	(void)state;
	up(SERVERS, SERVERS * EACH / 2, 2, EACH + 20);
	for (unsigned int i = 0; i < SERVERS; i++)
		rw.servers[i].domain = 1 + i / 8;
	ready();
	check_views(2, true);
	print_message("imbalance: %u in a thousand\n", imbalance(SERVERS));
	assert_true(imbalance(SERVERS) < 50);
}

/* There are fewer domains than members: then as many as there are. */
static void place__too_few_domains(void **state)
{
	struct rmnic_state_block b;

	(void)state;
	up(4, 16, 3, 32);
	for (unsigned int i = 0; i < 4; i++)
		rw.servers[i].domain = 1 + i % 2;
	ready();
	check_views(3, false);
	b = remote_block();
	for (uint64_t i = 0; i < b.nslabs; i++) {
		struct rmnic_remote_slab_info s;
		unsigned int in[2] = { 0 };

		assert_true(rmnic_store_remote_slab(rw.store, i, &s));
		for (unsigned int k = 0; k < 3; k++)
			in[(s.server[k][0] - 0x50u) % 2]++;
		assert_true(in[0] && in[1]);
	}
}

/* Half of the servers have thrice the memory: who has more gets more, and none is full before its time. */
static void place__servers_of_different_size(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	up(16, 16 * 60 / 2, 2, 150);
	for (unsigned int i = 0; i < 16; i += 2) {
		cluster_server_stop(&rw, i, false);
		rw.servers[i].npages = 50 * CLUSTER_SLAB + 40;
		cluster_server_start(&rw, i);
	}
	ready();
	check_views(2, false);
	for (unsigned int i = 0; i < 16; i++) {
		uint64_t room = (i % 2 ? 150 : 50) - slabs_on[i];

		if (room < least)
			least = room;
		if (room > most)
			most = room;
	}
	print_message("free slabs of a server: %u to %u\n", (unsigned int)least, (unsigned int)most);
	assert_true(least > 0);
	assert_true(most < 4 * 16); /* 40 are free on the average */
}

/* One that is drained, or under pressure, or silent, is given nothing. */
static void place__not_there(void **state)
{
	(void)state;
	up(5, 8, 2, 32);
	rw.cfg.reserve = CLUSTER_SLAB;
	ready();
	rmnic_store_remote_drain(rw.store, rw.servers[0].peer, true);
	rmnic_rmp_server_pressure(rw.servers[1].server, true);
	assert_true(repair_whole(20000 * MS));
	cluster_run(&rw, 20000 * MS);
	assert_true(rmnic_store_remote_reserve(rw.store, 8 * CLUSTER_SLAB));
	assert_true(cluster_ready(&rw, 20000 * MS));
	assert_int_equal(repair_slabs_on(0) + repair_slabs_on(1), 0); /* also not for a while */
	assert_int_equal(repair_slabs_on(2) + repair_slabs_on(3) + repair_slabs_on(4), 16);
}

/* Answers to the first ALLOC that is asked now are held back for a while. */
static uint64_t slow_request;

static bool first_alloc_is_slow(void *arg, struct memnet_packet *p)
{
	const struct rmnic_rmp_rep *h = (const struct rmnic_rmp_rep *)p->bytes;

	(void)arg;
	if (h->type != (RMNIC_RMP_ALLOC | RMNIC_RMP_REPLY))
		return true;
	if (!slow_request)
		slow_request = rmnic_le64_get(h->request);
	if (rmnic_le64_get(h->request) == slow_request)
		p->at += 500 * MS;
	return true;
}

/*
 * STATE-26: while a server is asked to take a slab over, all that the slab had is lost, and the server
 * is the one that it begins anew on: it does not become a member of it twice.
 */
static void place__there_meanwhile(void **state)
{
	struct rmnic_remote_slab_info info;
	unsigned int from, to;

	(void)state;
	repair_init(2, CLUSTER_SLAB, 1);
	repair_start();
	repair_write_all(1);
	from = remote_slab(0, 0) ? 0 : 1;
	to = 1 - from;
	slow_request = 0;
	rw.net.filter = first_alloc_is_slow;
	rmnic_store_remote_drain(rw.store, rw.servers[from].peer, true);
	cluster_run(&rw, 50 * MS);
	assert_int_not_equal(slow_request, 0);
	cluster_server_stop(&rw, from, false);
	cluster_server_start(&rw, from);
	remote_out(3, 4); /* it finds that nobody is left */
	cluster_run(&rw, 50 * MS);
	assert_int_equal(remote_out(3, 4), RMNIC_SC_OK); /* the other one has the slab now */
	assert_non_null(remote_slab(to, 3));
	for (unsigned int i = 0; i < 100; i++) {
		cluster_run(&rw, 10 * MS);
		assert_true(rmnic_store_remote_slab(rw.store, 0, &info));
		assert_int_equal(info.members, 1);
	}
	assert_true(remote_holds(3, 4));
	assert_int_equal(repair_progress().moving, 0);
}

#define TEST(name) cmocka_unit_test_teardown(name, repair_fini)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(place__evenly),
		TEST(place__in_different_domains),
		TEST(place__too_few_domains),
		TEST(place__servers_of_different_size),
		TEST(place__not_there),
		TEST(place__there_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
