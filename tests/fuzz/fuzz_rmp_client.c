/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_rmp_client.c - the RMP client against a hostile server, driven by libFuzzer.
 *
 * The input is a program: page-ins and page-outs are asked for, and the server answers requests
 * with right checksums and fields that lie, or not at all. What must hold (RMP-37):
 *   - no access outside of a datagram or a page (the sanitizer),
 *   - a page-in that ends OK has the checksum of its device, page and version (RMP-3),
 *   - each call ends once, or was cancelled, and comes home.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/page.h"
#include "engine/rmp_client.h"
#include "program.h"

#define CHECK(x) ((x) ? (void)0 : abort())
#define CALLS 8
#define ASKED 16

struct asked {
	struct rmnic_rmp_msg msg;
	uint64_t nonce;
};

static const uint64_t boot = 77;
static struct rmnic_crc32c crc;
static struct rmnic_rmp_client *client;
static struct asked asked[ASKED];
static unsigned int nasked;
static struct rmnic_rmp_call calls[CALLS];
static uint64_t pages[CALLS][512];
static const uint8_t device[16] = "a-device-to-fuzz";

static bool net_send(void *arg, enum rmnic_lane lane, const struct rmnic_addr *to,
		     const struct rmnic_tx *tx)
{
	uint8_t all[RMNIC_RMP_MAX_MTU];
	struct asked *a = &asked[nasked++ % ASKED];

	(void)arg;
	(void)lane;
	(void)to;
	memcpy(all, tx->head, tx->head_len);
	if (tx->data_len)
		memcpy(all + tx->head_len, tx->data, tx->data_len);
	CHECK(rmnic_rmp_decode(&crc, &a->msg, all, tx->head_len + tx->data_len, false,
			       rmnic_rmp_peek_session(all, tx->head_len) ? boot : 0) ==
	      RMNIC_RMP_DROP_OK);
	if (a->msg.type == RMNIC_RMP_HELLO)
		memcpy(&a->nonce, a->msg.payload + offsetof(struct rmnic_rmp_hello, nonce), 8);
	if (tx->release)
		tx->release(tx->release_arg);
	return true;
}

static void call_done(struct rmnic_rmp_call *call)
{
	uint32_t want;

	if (call->type != RMNIC_RMP_READ || call->status != RMNIC_RMP_S_OK ||
	    (call->got_flags & RMNIC_RMP_F_FILLED))
		return;
	want = rmnic_page_seal(&crc, rmnic_crc32c_update(&crc, 0, call->page, RMNIC_PAGE_SIZE),
			       device, call->rpn, call->got_version);
	CHECK(want == call->seg_crc);
}

static void give(const uint8_t *data, uint32_t len)
{
	uint8_t *exact = malloc(len ? len : 1);
	struct rmnic_rx rx = { .data = exact, .len = len };

	memcpy(exact, data, len);
	rmnic_rmp_client_rx(client, &rx);
	free(exact);
}

/* The body of an honest answer, as far as one is needed to get on. */
static uint32_t honest(const struct asked *a, uint8_t *body)
{
	struct rmnic_rmp_welcome w = { .version_min = 1, .version_max = 1, .version = 1,
				       .checksum = 1, .cipher = 1, .session = 5, .boot_id = boot,
				       .store_id = 9, .max_mtu = 9000, .slab_pages = 64 };

	if (a->msg.type == RMNIC_RMP_HELLO) {
		w.nonce = a->nonce;
		memcpy(body, &w, sizeof(w));
		return sizeof(w);
	}
	if (a->msg.type == RMNIC_RMP_SEAL)
		return sizeof(struct rmnic_rmp_sealed);
	return a->msg.type == RMNIC_RMP_PROBE ? a->msg.payload_len : 0;
}

static void answer(void)
{
	uint8_t out[RMNIC_RMP_MAX_MTU] = { 0 }, *body = out + RMNIC_RMP_HDR_SIZE;
	uint64_t lies = take(1);
	const struct asked *a = &asked[take(1) % ASKED];
	bool first = a->msg.type == RMNIC_RMP_HELLO;
	struct rmnic_rmp_msg m = {
		.type = a->msg.type | RMNIC_RMP_REPLY,
		.stamp = lies & 1 ? (uint32_t)take(3) : a->msg.stamp,
		.request = a->msg.request,
		.rpn = a->msg.rpn,
		.version = take(1),
		.flags = lies & 2 ? (uint16_t)take(2) : 0,
		.status = lies & 4 ? (uint16_t)take(1) % RMNIC_RMP_S_COUNT : 0,
		.session = lies & 8 ? (uint32_t)take(1) : first ? 0 : 5,
		.credit = lies & 16 ? (uint32_t)take(4) : 32768,
		.queued = (uint16_t)take(1),
	};
	uint32_t len = honest(a, body);

	if (!a->msg.type)
		return;
	if (a->msg.type == RMNIC_RMP_READ && !(lies & 32)) {
		m.total = RMNIC_PAGE_SIZE;
		m.offset = (uint32_t)take(1) % 4 * 1024;
		len = lies & 64 ? 1024 : RMNIC_PAGE_SIZE - m.offset;
		m.crc = rmnic_page_seal(&crc, rmnic_crc32c_update(&crc, 0, body, RMNIC_PAGE_SIZE),
					device, m.rpn, m.version);
		body[7] = (uint8_t)(lies >> 7); /* spoilt */
		rmnic_rmp_encode(&crc, out, &m, len, boot);
	} else {
		if (lies & 128)
			for (uint32_t i = len = (uint32_t)take(1); i; i--)
				body[i] = (uint8_t)take(1);
		rmnic_rmp_encode_body(&crc, out, &m, body, len, m.session ? boot : 0);
	}
	give(out, RMNIC_RMP_HDR_SIZE + len);
}

static void ask(void)
{
	unsigned int i = (unsigned int)take(1) % CALLS;
	struct rmnic_rmp_call *call = &calls[i];

	if (call->state != RMNIC_CALL_IDLE) {
		rmnic_rmp_client_cancel(client, call);
		CHECK(call->state == RMNIC_CALL_IDLE);
		return;
	}
	memset(call, 0, sizeof(*call));
	call->type = take(1) & 1 ? RMNIC_RMP_READ : RMNIC_RMP_WRITE;
	call->handle = 3;
	call->store_id = take(1) & 1 ? 9 : 0;
	call->rpn = take(1);
	call->version = 1;
	call->page = pages[i];
	call->body = call->type == RMNIC_RMP_WRITE ? pages[i] : NULL;
	call->body_len = call->body ? RMNIC_PAGE_SIZE : 0;
	call->deadline = program_now + take(4) * 1000;
	call->done = call_done;
	rmnic_rmp_client_submit(client, call);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct rmnic_net_ops net_ops = { net_send };
	struct rmnic_rmp_client_config c = {
		.env = { &program_env_ops, NULL }, .net = { &net_ops, NULL }, .epoch = 1, .max_peers = 1,
		.max_calls = CALLS, .max_mtu = 9000, .rx_budget = 4 * RMNIC_PAGE_SIZE,
	};
	const struct rmnic_addr addr[RMNIC_LANES] = { { .port = 1 }, { .port = 2 } };
	uint8_t noise[100];

	memcpy(c.device, device, 16);
	program_begin(data, size);
	nasked = 0;
	memset(asked, 0, sizeof(asked));
	memset(calls, 0, sizeof(calls));
	rmnic_crc32c_init(&crc, false);
	client = rmnic_rmp_client_create(&c);
	rmnic_rmp_client_add(client, addr, NULL);
	while (program_left())
		switch (take(1) % 8) {
		case 0:
			program_now += take(3) * 1000;
			break;
		case 1:
			for (int i = 0; i < 64 && rmnic_rmp_client_poll(client); i++)
				;
			break;
		case 2:
			for (unsigned int i = 0; i < sizeof(noise); i++)
				noise[i] = (uint8_t)take(1);
			give(noise, sizeof(noise));
			break;
		case 3:
			ask();
			break;
		default:
			answer();
		}
	for (unsigned int i = 0; i < CALLS; i++) {
		rmnic_rmp_client_cancel(client, &calls[i]);
		CHECK(calls[i].state == RMNIC_CALL_IDLE);
	}
	rmnic_rmp_client_destroy(client);
	return 0;
}
