/* SPDX-License-Identifier: BSD-3-Clause */
/* Several messages in a datagram (RMP-41). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client_rig.h"
#include "engine/le.h"
#include "engine/rmp_segment.h"
#include "server_rig.h"

#define HDR RMNIC_RMP_HDR_SIZE

/* --- Where one ends and the next begins --- */

static size_t first_of(uint32_t hlen, uint32_t offset, uint32_t total, size_t len)
{
	uint8_t *exact = calloc(1, len ? len : 1); /* so that a read past its end is seen */
	size_t n;

	if (len >= HDR) {
		exact[offsetof(struct rmnic_rmp_req, hlen)] = (uint8_t)hlen;
		rmnic_rmp_put32(exact + offsetof(struct rmnic_rmp_req, offset), offset);
		rmnic_rmp_put32(exact + offsetof(struct rmnic_rmp_req, total), total);
	}
	n = rmnic_rmp_first(exact, len);
	free(exact);
	return n;
}

static void first__of_several(void **state)
{
	(void)state;
	assert_int_equal(first_of(HDR, 0, 0, HDR), HDR);
	assert_int_equal(first_of(HDR, 0, 0, 2 * HDR), HDR);
	assert_int_equal(first_of(HDR, 0, 100, HDR + 99), HDR + 99);
	assert_int_equal(first_of(HDR, 0, 100, HDR + 100), HDR + 100);
	assert_int_equal(first_of(HDR, 0, 100, HDR + 101), HDR + 100);
	assert_int_equal(first_of(HDR + 8, 0, 4, 3 * HDR), HDR + 12);
}

/* Nothing is behind a piece of a page, and no header makes the rest of a datagram begin inside itself. */
static void first__of_one(void **state)
{
	(void)state;
	assert_int_equal(first_of(HDR, 8, 0, 4 * HDR), 4 * HDR);
	assert_int_equal(first_of(HDR, 0, UINT32_MAX, 4 * HDR), 4 * HDR);
	assert_int_equal(first_of(0, 0, 0, 4 * HDR), 4 * HDR);
	assert_int_equal(first_of(HDR - 1, 0, 0, 4 * HDR), 4 * HDR);
	for (size_t len = 0; len < HDR; len++)
		assert_int_equal(first_of(HDR, 0, 0, len), len);
}

static void join__what_may(void **state)
{
	(void)state;
	assert_int_equal(rmnic_segment_join(true, RMNIC_RMP_READ, 4096), HDR + 4096);
	assert_int_equal(rmnic_segment_join(true, RMNIC_RMP_WRITE | RMNIC_RMP_REPLY, 1120), HDR + 1120);
	assert_int_equal(rmnic_segment_join(false, RMNIC_RMP_READ, 4096), 0);
	/* Before the agreement, and what measures the path. */
	assert_int_equal(rmnic_segment_join(true, RMNIC_RMP_HELLO | RMNIC_RMP_REPLY, 4096), 0);
	assert_int_equal(rmnic_segment_join(true, RMNIC_RMP_PROBE, 4096), 0);
}

/* --- The server's end --- */

/* READs of count pages from 32 on, one behind the other. */
static uint32_t reads(uint8_t *out, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		struct rmnic_rmp_msg m = {
			.type = RMNIC_RMP_READ, .request = 500 + i, .stamp = 7, .handle = handle, .rpn = 32 + i,
			.session = session, .epoch = 5,
		};

		rmnic_rmp_encode_body(&crc, out + i * HDR, &m, NULL, 0, boot);
	}
	return count * HDR;
}

static void server__answers_each(void **state)
{
	uint8_t out[8 * RMNIC_RMP_HDR_SIZE];

	(void)state;
	fill(1);
	assert_int_equal(write_page(33, 4), RMNIC_RMP_S_OK);
	give(out, reads(out, 3));
	/* The page in as many segments as an MTU of 1280 makes necessary. */
	assert_int_equal(nsent, 6);
	for (unsigned int i = 0; i < 6; i++)
		assert_int_equal(sent[i].msg.request, i == 0 ? 500 : i < 5 ? 501 : 502);
	assert_int_equal(sent[0].msg.status, RMNIC_RMP_S_ABSENT);
	assert_int_equal(sent[1].msg.total, 4096);
	assert_int_equal(sent[5].msg.status, RMNIC_RMP_S_ABSENT);
}

/* What is damaged is dropped; what is whole behind it is served; no more is read than is there. */
static void server__one_of_them_damaged(void **state)
{
	uint8_t out[8 * RMNIC_RMP_HDR_SIZE];
	uint32_t len = reads(out, 3);

	(void)state;
	out[HDR + offsetof(struct rmnic_rmp_req, rpn)] ^= 1;
	give(out, len);
	assert_int_equal(nsent, 2);
	assert_int_equal(sent[1].msg.request, 502);
	assert_int_equal(rmnic_rmp_server_counters(server)->dropped[RMNIC_RMP_DROP_CHECK], 1);
	for (uint32_t cut = 1; cut < HDR; cut++) {
		give(out, len - cut);
		assert_int_equal(nsent, 1);
	}
}

/* Both ends must take it: features of later versions are not taken, and are no reason to refuse. */
static void server__takes_what_it_knows(void **state)
{
	static const uint64_t offers[][2] = { { 0, 0 }, { 1ull << 63, 0 }, { 1ull << 63 | RMNIC_RMP_FEATURE_JOIN, 1 } };

	(void)state;
	for (unsigned int i = 0; i < 3; i++) {
		struct rmnic_rmp_hello h = hello_body();
		struct rmnic_rmp_welcome got;

		h.nonce = rmnic_le64_put(1000 + i);
		h.features = rmnic_le64_put(offers[i][0]);
		assert_int_equal(hello(&h, &got), RMNIC_RMP_S_COOKIE);
		memcpy(h.cookie, got.cookie, 16);
		assert_int_equal(hello(&h, &got), RMNIC_RMP_S_OK);
		assert_int_equal(sent[0].join, 0);
		assert_int_equal(rmnic_le64_get(got.features), offers[i][1]);
		session = rmnic_le32_get(got.session);
		assert_int_equal(seal(5), RMNIC_RMP_S_OK);
		assert_int_equal(sent[0].join, offers[i][1] ? HDR + rmnic_segment_size(RMNIC_RMP_MIN_MTU) : 0);
	}
}

/* --- Both --- */

static unsigned int packets[256], longest;

static bool count_packets(void *arg, struct memnet_packet *p)
{
	(void)arg;
	packets[p->bytes[1]]++;
	return true;
}

static bool watch_length(void *arg, struct memnet_packet *p)
{
	(void)arg;
	(void)p;
	longest = longest > p->len ? longest : p->len;
	return true;
}

static void read_together(struct probe_call *p, unsigned int n, uint16_t status)
{
	for (unsigned int i = 0; i < n; i++) {
		make_call(&p[i], RMNIC_RMP_READ, i, 0);
		assert_true(rmnic_rmp_client_submit(client, &p[i].call));
	}
	pass_time(100 * MS);
	for (unsigned int i = 0; i < n; i++) {
		assert_true(p[i].done);
		assert_int_equal(p[i].call.status, status);
	}
}

static void both__share_datagrams(void **state)
{
	static struct probe_call p[8];

	(void)state;
	pass_time(500 * MS); /* the path is known */
	w.net.join = true;
	w.net.filter = count_packets;
	memset(packets, 0, sizeof(packets));
	w.net.joined = 0;
	read_together(p, 8, RMNIC_RMP_S_ABSENT);
	assert_int_equal(packets[RMNIC_RMP_READ], 1);
	assert_int_equal(packets[RMNIC_RMP_READ | RMNIC_RMP_REPLY], 1);
	assert_int_equal(w.net.joined, 14);
	assert_int_equal(rmnic_rmp_client_counters(client)->retransmits, 0);
	assert_int_equal(rmnic_rmp_client_counters(client)->strange, 0);
	w.net.filter = NULL;
}

/* A datagram with many messages is lost as a whole, and each of them is asked again. */
static void both__lost_together(void **state)
{
	static struct probe_call p[8];

	(void)state;
	pass_time(500 * MS);
	w.net.join = true;
	w.net.faults.loss = 300;
	w.net.faults.corrupt = 100;
	w.net.faults.duplicate = 200;
	for (int i = 0; i < 50; i++)
		read_together(p, 8, RMNIC_RMP_S_ABSENT);
	assert_true(rmnic_rmp_client_counters(client)->retransmits > 50);
}

/* No datagram is longer than one that the path was measured with, before it was measured either. */
static void both__never_longer_than_the_path(void **state)
{
	static struct probe_call p[40];

	(void)state;
	w.net.join = true;
	w.net.filter = watch_length;
	longest = 0;
	for (unsigned int i = 0; i < 40; i++) {
		make_call(&p[i], RMNIC_RMP_PING, 0, 0);
		p[i].call.handle = 0;
		assert_true(rmnic_rmp_client_submit(client, &p[i].call));
	}
	pass_time(100 * MS);
	for (unsigned int i = 0; i < 40; i++)
		assert_int_equal(p[i].call.status, RMNIC_RMP_S_OK);
	assert_true(longest <= 4158);
	assert_true(w.net.joined > 40);
	w.net.filter = NULL;
}

#define SERVER(name) cmocka_unit_test_setup_teardown(name, server_rig_up, server_rig_down)
#define BOTH(name)   cmocka_unit_test_setup_teardown(name, client_rig_up, client_rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first__of_several),
		cmocka_unit_test(first__of_one),
		cmocka_unit_test(join__what_may),
		SERVER(server__answers_each),
		SERVER(server__one_of_them_damaged),
		SERVER(server__takes_what_it_knows),
		BOTH(both__share_datagrams),
		BOTH(both__lost_together),
		BOTH(both__never_longer_than_the_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
