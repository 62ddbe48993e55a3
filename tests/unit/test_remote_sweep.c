/* SPDX-License-Identifier: BSD-3-Clause */
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

#define SLABS 40 /* more than one answer to LIST */

static const struct rmnic_remote_counters *counters(void)
{
	return rmnic_store_remote_counters(rw.store);
}

static bool released(uint64_t ns)
{
	uint64_t until = rw.net.now + ns;

	while (rmnic_store_remote_status(rw.store, NULL) != RMNIC_REMOTE_RELEASED)
		if (!cluster_step(&rw, until))
			return rmnic_store_remote_status(rw.store, NULL) == RMNIC_REMOTE_RELEASED;
	return true;
}

static uint64_t slabs_on(unsigned int server)
{
	struct rmnic_memstore *ms = rw.servers[server].store;
	uint64_t n = 0;

	for (uint32_t i = 0; i < ms->cfg.max_devices; i++)
		n += ms->devices[i].slabs;
	return n;
}

/* What a predecessor allocated on the first server and no row names, under epochs 1 to n. */
static void plant(unsigned int n)
{
	struct rmnic_memstore *ms = rw.servers[0].store;
	uint8_t token[32];
	uint64_t handle;
	uint32_t device;

	memset(token, 0x77, sizeof(token));
	assert_int_equal(rmnic_mem_device_open(ms, rw.cfg.device, token, &device), RMNIC_RMP_S_OK);
	for (unsigned int i = 1; i <= n; i++)
		assert_int_equal(rmnic_mem_alloc(ms, device, i, i % 3, CLUSTER_SLAB, &handle),
				 RMNIC_RMP_S_OK);
}

/* STATE-18: what no row names and is of a former epoch goes; everything else stays. */
static void orphans__released_at_the_start(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 2, 64 * CLUSTER_SLAB, 2 * CLUSTER_SLAB, 1);
	plant(SLABS);
	rw.epoch = SLABS;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	assert_int_equal(remote_out(3, 4), RMNIC_SC_OK);
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(counters()->orphans, SLABS);
	assert_int_equal(slabs_on(0) + slabs_on(1), 2);
	assert_true(remote_holds(3, 4));
	/* A successor finds its rows, and no orphan. */
	cluster_stop(&rw);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(counters()->orphans, 0);
	assert_true(remote_holds(3, 4));
	cluster_fini(&rw);
}

/* Another device's slabs are none of its business. */
static void orphans__of_another_device(void **state)
{
	struct rmnic_memstore *ms;
	uint8_t other[16], token[32] = { 0 };
	uint32_t device;
	uint64_t handle;

	(void)state;
	cluster_init(&rw, 1, 1, 8 * CLUSTER_SLAB, CLUSTER_SLAB, 1);
	ms = rw.servers[0].store;
	memset(other, 0xaa, sizeof(other));
	assert_int_equal(rmnic_mem_device_open(ms, other, token, &device), RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_mem_alloc(ms, device, 1, 0, CLUSTER_SLAB, &handle), RMNIC_RMP_S_OK);
	rw.epoch = 9;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	rmnic_store_remote_release(rw.store);
	assert_true(released(5000 * MS));
	assert_int_equal(slabs_on(0), 1);
	assert_non_null(rmnic_mem_slab(ms, device, handle));
	cluster_fini(&rw);
}

/* STATE-17: everything goes back, on every server, and the rows are clear. */
static void release__all(void **state)
{
	struct rmnic_state_block b;
	struct rmnic_state_view v;

	(void)state;
	remote_up(3, SLABS * CLUSTER_SLAB, 2);
	assert_int_equal(remote_out(3, 4), RMNIC_SC_OK);
	rmnic_store_remote_release(rw.store);
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_RELEASING);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_UNREACHABLE);
	assert_true(released(60000 * MS));
	assert_int_equal(slabs_on(0) + slabs_on(1) + slabs_on(2), 0);
	assert_int_equal(counters()->unreleased, 0);
	b = remote_block();
	for (uint64_t i = 0; i < SLABS; i++) {
		assert_true(rmnic_state_view_get(&b, i, &v));
		assert_int_equal(v.members, 0);
	}
	/* The servers have room for another device. */
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(rw.servers[i].store->devices[0].sessions, 0);
	cluster_fini(&rw);
}

/* Through loss, doubling and late datagrams. */
static void release__through_faults(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed < 8; seed++) {
		cluster_init(&rw, seed, 2, 64 * CLUSTER_SLAB, 8 * CLUSTER_SLAB, 1);
		assert_true(cluster_start(&rw));
		assert_true(cluster_ready(&rw, 5000 * MS));
		rw.net.faults = (struct memnet_faults){ .loss = 200, .duplicate = 200, .reorder = 200,
							.late_ns = 20 * MS, .delay_ns = 5000 };
		rmnic_store_remote_release(rw.store);
		assert_true(released(30000 * MS));
		assert_int_equal(slabs_on(0) + slabs_on(1), 0);
		cluster_fini(&rw);
	}
}

/* A server that is away is not waited for without end; it is counted, for the log. */
static void release__server_away(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 2, 64 * CLUSTER_SLAB, 8 * CLUSTER_SLAB, 2);
	rw.cfg.timeout_ns = 3000 * MS;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	cluster_server_stop(&rw, 1, true);
	rmnic_store_remote_release(rw.store);
	cluster_run(&rw, 2500 * MS);
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_RELEASING);
	assert_int_equal(slabs_on(0), 0);
	assert_true(released(1000 * MS));
	assert_int_equal(counters()->unreleased, 1);
	cluster_fini(&rw);
}

/* Asked again and again, it waits for the server for as long as its owner likes. */
static void release__asked_again(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 2, 64 * CLUSTER_SLAB, 8 * CLUSTER_SLAB, 2);
	rw.cfg.timeout_ns = 3000 * MS;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	cluster_server_stop(&rw, 1, true);
	for (int i = 0; i < 5; i++) {
		rmnic_store_remote_release(rw.store);
		cluster_run(&rw, 2500 * MS);
		assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_RELEASING);
	}
	assert_true(slabs_on(1) > 0);
	assert_true(cluster_server_start(&rw, 1));
	rmnic_store_remote_release(rw.store);
	assert_true(released(2500 * MS));
	assert_int_equal(slabs_on(0) + slabs_on(1), 0);
	assert_int_equal(counters()->unreleased, 0);
	/* It is over for good. */
	rmnic_store_remote_release(rw.store);
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_RELEASED);
	cluster_fini(&rw);
}

/* A server whose slabs were copied elsewhere while it was away: no view names it, and it is waited for. */
static void release__no_view_names_it(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 3, 64 * CLUSTER_SLAB, 8 * CLUSTER_SLAB, 2);
	rw.cfg.away_ns = 100 * MS;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	for (uint64_t rpn = 0; rpn < 8 * CLUSTER_SLAB; rpn += 7)
		assert_int_equal(remote_out(rpn, rpn), RMNIC_SC_OK);
	cluster_server_stop(&rw, 1, true);
	for (uint64_t rpn = 0; rpn < 8 * CLUSTER_SLAB; rpn += 7)
		assert_int_equal(remote_out(rpn, rpn), RMNIC_SC_OK);
	for (int i = 0; i < 100 && rmnic_store_remote_holds(rw.store, 1); i++)
		cluster_run(&rw, 100 * MS);
	assert_int_equal(rmnic_store_remote_holds(rw.store, 1), 0);
	assert_true(slabs_on(1) > 0);
	rmnic_store_remote_release(rw.store);
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_RELEASING);
	assert_true(cluster_server_start(&rw, 1));
	assert_true(released(5000 * MS));
	assert_int_equal(slabs_on(0) + slabs_on(1) + slabs_on(2), 0);
	cluster_fini(&rw);
}

/* Whoever took over keeps what is there. */
static void release__fenced(void **state)
{
	(void)state;
	remote_up(1, CLUSTER_SLAB, 1);
	assert_int_equal(rmnic_mem_seal(rw.servers[0].store, 0, rw.epoch + 1), RMNIC_RMP_S_OK);
	rmnic_store_remote_release(rw.store);
	assert_true(released(5000 * MS));
	assert_int_equal(slabs_on(0), 1);
	cluster_fini(&rw);
}

/*
 * STATE-18: a RELEASE that the network held back meets no slab that was allocated anew. The first
 * one of each handle is kept for a second, while the slab is wanted again at once.
 */
static unsigned int held_back;

static bool hold_releases_back(void *arg, struct memnet_packet *p)
{
	(void)arg;
	memnet_bytes(p);
	if (p->bytes[1] == RMNIC_RMP_RELEASE && !(p->bytes[30] & RMNIC_RMP_F_RETRANSMIT)) {
		p->at += 1000 * MS;
		held_back++;
	}
	return true;
}

static void release__held_back(void **state)
{
	(void)state;
	cluster_init(&rw, 1, 1, 64 * CLUSTER_SLAB, 4 * CLUSTER_SLAB, 1);
	rw.net.filter = hold_releases_back;
	held_back = 0;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 5000 * MS));
	for (unsigned int i = 0; i < 5; i++) {
		assert_true(rmnic_store_remote_reserve(rw.store, CLUSTER_SLAB));
		assert_true(cluster_ready(&rw, 5000 * MS));
		assert_true(rmnic_store_remote_reserve(rw.store, 4 * CLUSTER_SLAB));
		assert_true(cluster_ready(&rw, 5000 * MS));
	}
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn += 8)
		assert_int_equal(remote_out(rpn, rpn), RMNIC_SC_OK);
	cluster_run(&rw, 5000 * MS);
	assert_int_not_equal(held_back, 0);
	assert_int_equal(slabs_on(0), 4);
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn += 8)
		assert_true(remote_holds(rpn, rpn));
	cluster_fini(&rw);
}

/* A server may answer LIST with anything (RMP-37). */
static bool spoil_list(void *arg, struct memnet_packet *p)
{
	struct rmnic_crc32c crc;
	struct rmnic_rmp_msg m;
	uint8_t body[RMNIC_RMP_MAX_BODY];
	struct rmnic_rmp_list *head = (struct rmnic_rmp_list *)body;

	memnet_bytes(p);
	if (p->to != rw.backend || p->bytes[1] != (RMNIC_RMP_LIST | RMNIC_RMP_REPLY))
		return true;
	rmnic_crc32c_init(&crc, false);
	assert_int_equal(rmnic_rmp_decode(&crc, &m, p->bytes, p->len, true, *(uint64_t *)arg),
			 RMNIC_RMP_DROP_OK);
	memcpy(body, m.payload, m.payload_len);
	switch (held_back++ % 3) {
	case 0: /* more entries than are there */
		head->count = rmnic_le32_put(rmnic_le32_get(head->count) + 1);
		break;
	case 1: /* the same once more, for ever */
		m.flags |= RMNIC_RMP_F_MORE;
		head->cursor = 0;
		break;
	default:
		head->count = rmnic_le32_put(UINT32_MAX);
	}
	rmnic_rmp_encode_body(&crc, p->bytes, &m, body, m.payload_len, *(uint64_t *)arg);
	memcpy(p->bytes + RMNIC_RMP_HDR_SIZE, body, m.payload_len);
	return true;
}

static void list__makes_no_sense(void **state)
{
	struct rmnic_peer_info info;

	(void)state;
	remote_up(1, 4 * CLUSTER_SLAB, 1);
	assert_int_equal(remote_out(3, 4), RMNIC_SC_OK);
	rmnic_rmp_client_peer(rmnic_store_remote_client(rw.store), 0, &info);
	held_back = 0;
	rw.net.filter = spoil_list;
	rw.net.filter_arg = &info.boot_id;
	assert_true(rmnic_store_remote_reserve(rw.store, CLUSTER_SLAB));
	cluster_run(&rw, 1000 * MS);
	assert_in_range(held_back, 3, 12); /* asked again, but not as fast as it answers */
	rw.net.filter = NULL;
	cluster_run(&rw, 3000 * MS);
	assert_int_equal(slabs_on(0), 1);
	assert_true(remote_holds(3, 4));
	cluster_fini(&rw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(orphans__released_at_the_start),
		cmocka_unit_test(orphans__of_another_device),
		cmocka_unit_test(release__all),
		cmocka_unit_test(release__through_faults),
		cmocka_unit_test(release__server_away),
		cmocka_unit_test(release__asked_again),
		cmocka_unit_test(release__no_view_names_it),
		cmocka_unit_test(release__fenced),
		cmocka_unit_test(release__held_back),
		cmocka_unit_test(list__makes_no_sense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
