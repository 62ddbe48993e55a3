/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_rmp_server.c - a memory server against hostile datagrams, driven by libFuzzer.
 *
 * The input is a program. Sessions and slabs are opened honestly first; then messages come whose
 * checksums are right and whose fields lie, and plain noise. What must hold (RMP-37):
 *   - no access outside of a datagram or a frame (the sanitizer),
 *   - what the server sends decodes, and outside a session is no longer than what it answers,
 *   - in the end each frame is in a slab or free.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/rmp_server.h"
#include "program.h"

#define CHECK(x) ((x) ? (void)0 : abort())
#define PAGES 64
#define SLAB  8
#define HELD  32

static uint64_t boot, handles[2];
static uint32_t session;
static struct rmnic_crc32c crc;
static struct rmnic_memstore *ms;
static struct rmnic_rmp_server *server;
static uint32_t request_len;
static uint8_t last[RMNIC_RMP_MAX_MTU];
static struct {
	void (*release)(void *arg);
	void *arg;
} held[HELD];

static bool net_send(void *arg, enum rmnic_lane lane, const struct rmnic_addr *to,
		     const struct rmnic_tx *tx)
{
	uint32_t len = tx->head_len + tx->data_len;
	struct rmnic_rmp_msg m;
	bool in_session;

	(void)arg;
	(void)lane;
	(void)to;
	CHECK(len <= sizeof(last));
	memcpy(last, tx->head, tx->head_len);
	if (tx->data_len)
		memcpy(last + tx->head_len, tx->data, tx->data_len);
	in_session = rmnic_rmp_peek_session(last, len);
	CHECK(in_session || len <= request_len);
	CHECK(rmnic_rmp_decode(&crc, &m, last, len, true, in_session ? boot : 0) ==
	      RMNIC_RMP_DROP_OK);
	if (tx->release) {
		unsigned int slot = (unsigned int)take(1) % HELD;

		if (held[slot].release)
			held[slot].release(held[slot].arg);
		held[slot].release = tx->release;
		held[slot].arg = tx->release_arg;
	}
	return true;
}

static void give(const uint8_t *data, uint32_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	struct rmnic_rx rx = { .data = exact, .len = len, .from = { .port = 9 } };

	memcpy(exact, data, len);
	request_len = len;
	rmnic_rmp_server_rx(server, &rx);
	free(exact);
}

static void send_message(struct rmnic_rmp_msg *m, const void *body, uint32_t len)
{
	uint8_t out[RMNIC_RMP_MAX_MTU];

	m->session = m->type == RMNIC_RMP_HELLO ? 0 : session;
	if (len)
		memcpy(out + RMNIC_RMP_HDR_SIZE, body, len);
	if (rmnic_rmp_carries_page(m->type))
		rmnic_rmp_encode(&crc, out, m, len, boot);
	else
		rmnic_rmp_encode_body(&crc, out, m, out + RMNIC_RMP_HDR_SIZE, len,
				      m->session ? boot : 0);
	give(out, RMNIC_RMP_HDR_SIZE + len);
}

static void open_session(void)
{
	struct rmnic_rmp_hello h = { .version_min = 1, .version_max = 1, .checksums = 1, .ciphers = 1 };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_HELLO };
	struct rmnic_rmp_welcome w;

	for (int i = 0; i < 2; i++) {
		send_message(&m, &h, sizeof(h));
		memcpy(&w, last + RMNIC_RMP_HDR_SIZE, sizeof(w));
		memcpy(h.cookie, w.cookie, 16);
	}
	session = w.session;
	boot = w.boot_id;
	m = (struct rmnic_rmp_msg){ .type = RMNIC_RMP_SEAL, .epoch = 1 };
	send_message(&m, NULL, 0);
	for (uint64_t i = 0; i < 2; i++) {
		struct rmnic_rmp_alloc a = { .slab = i, .pages = SLAB };

		m = (struct rmnic_rmp_msg){ .type = RMNIC_RMP_ALLOC, .epoch = 1, .rpn = i * SLAB };
		send_message(&m, &a, sizeof(a));
		handles[i] = rmnic_rmp_get64(last + RMNIC_RMP_HDR_SIZE);
	}
}

/* A message with every field from the input, honest ones more often. */
static void made_message(void)
{
	uint8_t body[RMNIC_RMP_MAX_BODY + 4096] = { 0 };
	uint64_t lies = take(1);
	struct rmnic_rmp_msg m = {
		.type = (uint8_t)(1 + take(1) % 17),
		.stamp = (uint32_t)take(1),
		.request = take(1),
		.handle = lies & 1 ? take(8) : handles[take(1) & 1],
		.rpn = lies & 2 ? take(8) : take(1) % (2 * SLAB),
		.version = lies & 4 ? take(6) : take(1),
		.flags = lies & 8 ? (uint16_t)take(2) : 0,
		.epoch = lies & 16 ? (uint32_t)take(4) : 1,
		.crc = (uint32_t)take(1),
	};
	uint32_t len = (uint32_t)take(2) % (lies & 32 ? 4097 : 200);

	if (m.type == RMNIC_RMP_WRITE) {
		m.total = lies & 64 ? (uint32_t)take(4) : 4096;
		m.offset = lies & 64 ? (uint32_t)take(4) : (uint32_t)take(1) * 8 % 4096;
		len = (uint32_t)take(2) % 4097 / 8 * 8;
	} else if (m.type == RMNIC_RMP_WRITE_FILLED) {
		m.total = len = 4;
		m.flags |= RMNIC_RMP_F_FILLED;
		m.crc = rmnic_rmp_fill_crc(&crc, 0, (const uint8_t[16]){ 0 }, m.rpn, m.version);
	}
	for (uint32_t i = 0; i < len && i < 160; i++)
		body[i] = (uint8_t)take(1);
	send_message(&m, body, len);
}

static void step(void)
{
	uint8_t noise[128];
	uint32_t len;

	switch (take(1) % 8) {
	case 0:
		len = (uint32_t)take(1) % sizeof(noise);
		for (uint32_t i = 0; i < len; i++)
			noise[i] = (uint8_t)take(1);
		give(noise, len);
		break;
	case 1:
		program_now += take(4) * 1000;
		break;
	case 2:
		rmnic_rmp_server_poll(server);
		break;
	case 3:
		open_session();
		break;
	default:
		made_message();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rmnic_net_ops net_ops = { net_send };
	static uint8_t pages[PAGES * RMNIC_PAGE_SIZE];
	const struct rmnic_env env = { &program_env_ops, NULL };
	const struct rmnic_memstore_config mc = {
		.env = env, .pages = pages, .npages = PAGES, .slack = 16, .slab_pages = SLAB,
		.max_slabs = 8, .max_devices = 2, .max_refs = 16,
	};
	struct rmnic_rmp_server_config sc = {
		.env = env, .net = { &net_ops, NULL }, .max_sessions = 3, .max_queue = 8,
		.lease_ns = 60000000000ull,
	};

	program_begin(data, size);
	boot = session = 0;
	rmnic_crc32c_init(&crc, false);
	ms = rmnic_memstore_create(&mc);
	sc.store = ms;
	server = rmnic_rmp_server_create(&sc);
	open_session();
	while (program_left())
		step();
	rmnic_rmp_server_destroy(server);
	for (unsigned int i = 0; i < HELD; i++)
		if (held[i].release)
			held[i].release(held[i].arg);
	memset(held, 0, sizeof(held));
	CHECK(PAGES - rmnic_frames_free(ms->frames) == ms->stored);
	rmnic_memstore_destroy(ms);
	return 0;
}
