/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/page.h"
#include "engine/rmp_codec.h"
#include "vectors.h"

static struct rmnic_crc32c crc;
static struct vector *vectors;
static unsigned int count;

static enum rmnic_rmp_drop decode(struct rmnic_rmp_msg *m, const struct vector *v, size_t len)
{
	return rmnic_rmp_decode(&crc, m, v->bytes, len, v->reply, v->boot);
}

/* Every type has a request and an answer among the vectors. */
static void vectors__cover_every_message(void **state)
{
	bool have[256] = { false };

	(void)state;
	for (unsigned int i = 0; i < count; i++)
		have[vectors[i].msg.type] = true;
	for (unsigned int t = RMNIC_RMP_HELLO; t <= RMNIC_RMP_RENEW; t++) {
		assert_true(have[t]);
		assert_true(have[t | RMNIC_RMP_REPLY]);
	}
}

static void decode__golden_vectors(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < count; i++) {
		const struct vector *v = &vectors[i];
		struct rmnic_rmp_msg m;

		if (decode(&m, v, v->len) != RMNIC_RMP_DROP_OK)
			fail_msg("%s is not taken", v->name);
		assert_int_equal(m.payload_len, v->msg.payload_len);
		assert_ptr_equal(m.payload, v->bytes + RMNIC_RMP_HDR_SIZE);
		m.payload = NULL;
		if (memcmp(&m, &v->msg, sizeof(m)) != 0)
			fail_msg("%s: a field differs", v->name);
	}
}

static void encode__golden_vectors(void **state)
{
	uint8_t out[RMNIC_RMP_HDR_SIZE];

	(void)state;
	for (unsigned int i = 0; i < count; i++) {
		const struct vector *v = &vectors[i];

		rmnic_rmp_encode(&crc, out, &v->msg, v->msg.payload_len, v->boot);
		if (memcmp(out, v->bytes, sizeof(out)) != 0)
			fail_msg("%s: the header differs", v->name);
	}
}

/* RMP-1, RMP-2: no part of a datagram passes for the whole, and none is read past its end. */
static void decode__truncated_vectors(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < count; i++) {
		const struct vector *v = &vectors[i];

		for (size_t len = 0; len < v->len; len++) {
			uint8_t *exact = malloc(len ? len : 1);
			struct rmnic_rmp_msg m;

			memcpy(exact, v->bytes, len);
			assert_int_not_equal(rmnic_rmp_decode(&crc, &m, exact, len, v->reply,
							      v->boot),
					     RMNIC_RMP_DROP_OK);
			free(exact);
		}
	}
}

/* RMP-4: a bit that fell over in the header or a body is noticed; in a page, by its checksum. */
static void decode__every_flipped_bit(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < count; i++) {
		struct vector v = vectors[i];
		uint32_t end = rmnic_rmp_carries_page(v.msg.type) ? RMNIC_RMP_HDR_SIZE : v.len;

		for (uint32_t bit = 0; bit < end * 8; bit++) {
			struct rmnic_rmp_msg m;

			v.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_not_equal(decode(&m, &v, v.len), RMNIC_RMP_DROP_OK);
			v.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

/* RMP-1: a longer header, of a later minor version, is skipped over; one that lies is not read. */
static void decode__longer_header(void **state)
{
	struct vector v = *vectors_find(vectors, count, "ping");
	uint8_t pseudo[12] = { 0 }, *exact;
	struct rmnic_rmp_msg m;
	uint32_t check;

	(void)state;
	v.bytes[2] = 70;
	memset(v.bytes + 62, 0x33, 8);
	rmnic_rmp_put64(pseudo, v.boot);
	check = rmnic_crc32c_update(&crc, 0, v.bytes, 58);
	check = rmnic_crc32c_update(&crc, check, v.bytes + 62, 8);
	rmnic_rmp_put32(v.bytes + 58, rmnic_crc32c_update(&crc, check, pseudo, sizeof(pseudo)));
	assert_int_equal(decode(&m, &v, 70), RMNIC_RMP_DROP_OK);
	assert_int_equal(m.payload_len, 0);
	for (size_t len = 62; len < 70; len++) {
		exact = malloc(len);
		memcpy(exact, v.bytes, len);
		assert_int_equal(rmnic_rmp_decode(&crc, &m, exact, len, false, v.boot),
				 RMNIC_RMP_DROP_SHORT);
		free(exact);
	}
	v.bytes[2] = 129;
	assert_int_equal(decode(&m, &v, 200), RMNIC_RMP_DROP_SHORT);
	v.bytes[2] = 61;
	assert_int_equal(decode(&m, &v, 62), RMNIC_RMP_DROP_SHORT);
}

/* RMP-3: the page of a WRITE is the page it says it is, of that device and version. */
static void page_checksum__covers_identity(void **state)
{
	const struct vector *v = vectors_find(vectors, count, "write");
	uint32_t bytes = rmnic_crc32c_update(&crc, 0, v->bytes + RMNIC_RMP_HDR_SIZE, 4096);
	uint8_t uuid[16];

	(void)state;
	for (unsigned int i = 0; i < 16; i++)
		uuid[i] = (uint8_t)(0x10 + i);
	assert_int_equal(rmnic_page_seal(&crc, bytes, uuid, v->msg.rpn, v->msg.version), v->msg.crc);
	assert_int_not_equal(rmnic_page_seal(&crc, bytes, uuid, v->msg.rpn + 1, v->msg.version),
			     v->msg.crc);
	assert_int_not_equal(rmnic_page_seal(&crc, bytes, uuid, v->msg.rpn, v->msg.version + 1),
			     v->msg.crc);
	v = vectors_find(vectors, count, "write-filled");
	assert_int_equal(rmnic_rmp_fill_crc(&crc, 0x01020304, uuid, v->msg.rpn, v->msg.version),
			 v->msg.crc);
	uuid[3]++;
	assert_int_not_equal(rmnic_rmp_fill_crc(&crc, 0x01020304, uuid, v->msg.rpn,
						v->msg.version),
			     v->msg.crc);
}

/* RMP-2: a datagram of another incarnation of the server fails its check. */
static void decode__other_boot_id(void **state)
{
	const struct vector *v = vectors_find(vectors, count, "read");
	struct rmnic_rmp_msg m;

	(void)state;
	assert_int_equal(rmnic_rmp_decode(&crc, &m, v->bytes, v->len, false, v->boot + 1),
			 RMNIC_RMP_DROP_CHECK);
	assert_int_equal(rmnic_rmp_decode(&crc, &m, v->bytes, v->len, true, v->boot),
			 RMNIC_RMP_DROP_TYPE);
}

/* A message that is wrong in one way, with a check word that is right. */
static enum rmnic_rmp_drop made(const struct rmnic_rmp_msg *m, uint32_t len)
{
	static uint8_t out[RMNIC_RMP_MAX_MTU];
	struct rmnic_rmp_msg got;

	memset(out, 0, sizeof(out));
	rmnic_rmp_encode(&crc, out, m, len, 1);
	return rmnic_rmp_decode(&crc, &got, out, RMNIC_RMP_HDR_SIZE + len,
				m->type & RMNIC_RMP_REPLY, 1);
}

/* RMP-32 */
static void decode__reserved_flags(void **state)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_PING };

	(void)state;
	assert_int_equal(made(&m, 0), RMNIC_RMP_DROP_OK);
	for (unsigned int bit = 0; bit < 16; bit++) {
		bool fine = (1u << bit) & (RMNIC_RMP_F_RETRANSMIT | RMNIC_RMP_F_HEDGE);

		m.flags = (uint16_t)(1u << bit);
		assert_int_equal(made(&m, 0), fine ? RMNIC_RMP_DROP_OK : RMNIC_RMP_DROP_FIELD);
	}
	m = (struct rmnic_rmp_msg){ .type = RMNIC_RMP_PING | RMNIC_RMP_REPLY,
				    .status = RMNIC_RMP_S_COUNT };
	assert_int_equal(made(&m, 0), RMNIC_RMP_DROP_FIELD);
	m = (struct rmnic_rmp_msg){ .type = RMNIC_RMP_RENEW + 1 };
	assert_int_equal(made(&m, 0), RMNIC_RMP_DROP_TYPE);
}

/* RMP-24 */
static void decode__segments_out_of_shape(void **state)
{
	static const struct {
		uint32_t offset, total, len;
		enum rmnic_rmp_drop want;
	} cases[] = {
		{ 0, 4096, 4096, RMNIC_RMP_DROP_OK },
		{ 1368, 4096, 1368, RMNIC_RMP_DROP_OK },
		{ 4088, 4096, 8, RMNIC_RMP_DROP_OK },
		{ 4096, 4096, 8, RMNIC_RMP_DROP_LENGTH },
		{ 4092, 4096, 4, RMNIC_RMP_DROP_LENGTH },
		{ 8, 4096, 4096, RMNIC_RMP_DROP_LENGTH },
		{ 0xfffffff8, 4096, 16, RMNIC_RMP_DROP_LENGTH },
		{ 0, 4096, 0, RMNIC_RMP_DROP_LENGTH },
		{ 0, 8192, 4096, RMNIC_RMP_DROP_LENGTH },
		{ 0, 0, 0, RMNIC_RMP_DROP_LENGTH },
		{ 0, RMNIC_RMP_MAX_TOTAL + 8, 4096, RMNIC_RMP_DROP_LENGTH },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rmnic_rmp_msg m = { .type = RMNIC_RMP_WRITE,
					   .offset = cases[i].offset,
					   .total = cases[i].total };

		assert_int_equal(made(&m, cases[i].len), cases[i].want);
	}
}

/* RMP-7: HELLO is read whatever its version, everything else is not. */
static void decode__protocol_version(void **state)
{
	struct vector v = *vectors_find(vectors, count, "hello");
	struct rmnic_rmp_msg m;
	uint8_t pseudo[12] = { 0 };
	uint32_t check;

	(void)state;
	v.bytes[0] = 9;
	rmnic_rmp_put32(pseudo + 8, v.len - RMNIC_RMP_HDR_SIZE);
	check = rmnic_crc32c_update(&crc, 0, v.bytes, 58);
	rmnic_rmp_put32(v.bytes + 58, rmnic_crc32c_update(&crc, check, pseudo, sizeof(pseudo)));
	assert_int_equal(decode(&m, &v, v.len), RMNIC_RMP_DROP_OK);
	v = *vectors_find(vectors, count, "ping");
	v.bytes[0] = 9;
	assert_int_equal(decode(&m, &v, v.len), RMNIC_RMP_DROP_VERSION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors__cover_every_message),
		cmocka_unit_test(decode__golden_vectors),
		cmocka_unit_test(encode__golden_vectors),
		cmocka_unit_test(decode__truncated_vectors),
		cmocka_unit_test(decode__every_flipped_bit),
		cmocka_unit_test(decode__longer_header),
		cmocka_unit_test(page_checksum__covers_identity),
		cmocka_unit_test(decode__other_boot_id),
		cmocka_unit_test(decode__reserved_flags),
		cmocka_unit_test(decode__segments_out_of_shape),
		cmocka_unit_test(decode__protocol_version),
	};
	int failed;

	rmnic_crc32c_init(&crc, false);
	count = vectors_load(&vectors);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(vectors);
	return failed;
}
