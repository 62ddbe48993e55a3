/* SPDX-License-Identifier: BSD-3-Clause */
#include "server_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/page.h"

struct memnet net;
static uint8_t *pages;
struct rmnic_memstore *ms;
struct rmnic_rmp_server *server;
struct rmnic_crc32c crc;
struct sent sent[SENT];
unsigned int nsent;
bool hold;
uint8_t ip = 9;
uint64_t boot, next_request = 1000;
uint32_t session;
static uint32_t stamp = 1;
uint64_t handle;
uint64_t page[512];
struct rmnic_rmp_server_config config;

static bool net_send(void *arg, enum rmnic_lane lane, const struct rmnic_addr *to,
		     const struct rmnic_tx *tx)
{
	struct sent *s = &sent[nsent++ % SENT];

	(void)arg;
	(void)lane;
	assert_int_equal(to->ip[15], ip);
	s->len = tx->head_len + tx->data_len;
	memcpy(s->bytes, tx->head, tx->head_len);
	if (tx->data_len)
		memcpy(s->bytes + tx->head_len, tx->data, tx->data_len);
	s->join = tx->join;
	s->data = tx->data;
	s->release = hold ? tx->release : NULL;
	s->release_arg = tx->release_arg;
	if (tx->release && !hold)
		tx->release(tx->release_arg);
	if (rmnic_rmp_decode(&crc, &s->msg, s->bytes, s->len, true,
			     rmnic_rmp_peek_session(s->bytes, s->len) ? boot : 0))
		fail_msg("the server sent what does not decode");
	return true;
}

void give(const void *data, uint32_t len)
{
	struct rmnic_rx rx = { .data = data, .len = len, .lane = RMNIC_LANE_OUT };

	rx.from.ip[10] = rx.from.ip[11] = 0xff;
	rx.from.ip[15] = ip;
	rx.from.port = 4000;
	nsent = 0;
	rmnic_rmp_server_rx(server, &rx);
}

/* Sends a request with a body; gives the status of the answer, or -1 when there is none. */
int ask(struct rmnic_rmp_msg *m, const void *body, uint32_t len)
{
	uint8_t out[RMNIC_RMP_MAX_MTU];
	bool is_page = rmnic_rmp_carries_page(m->type);

	m->session = m->type == RMNIC_RMP_HELLO ? 0 : session;
	if (!m->request)
		m->request = next_request++;
	if (!m->stamp)
		m->stamp = stamp++;
	if (len)
		memcpy(out + RMNIC_RMP_HDR_SIZE, body, len);
	if (is_page)
		rmnic_rmp_encode(&crc, out, m, len, boot);
	else
		rmnic_rmp_encode_body(&crc, out, m, out + RMNIC_RMP_HDR_SIZE, len,
				      m->session ? boot : 0);
	give(out, RMNIC_RMP_HDR_SIZE + len);
	while (rmnic_rmp_server_poll(server))
		;
	return nsent ? sent[nsent - 1].msg.status : -1;
}

struct rmnic_rmp_hello hello_body(void)
{
	struct rmnic_rmp_hello h = {
		.version_min = 1, .version_max = 1, .checksums = 1, .ciphers = 1, .nonce = 77,
	};

	memset(h.device, 0xd0, 16);
	memset(h.client, 0xc0, 16);
	memset(h.token, 0x70, 32);
	return h;
}

int hello(struct rmnic_rmp_hello *h, struct rmnic_rmp_welcome *w)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_HELLO };
	int status = ask(&m, h, sizeof(*h));

	if (status >= 0)
		memcpy(w, sent[0].msg.payload, sizeof(*w));
	return status;
}

int seal(uint32_t epoch)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_SEAL, .epoch = epoch };

	return ask(&m, NULL, 0);
}

void open_session(void)
{
	struct rmnic_rmp_hello h = hello_body();
	struct rmnic_rmp_welcome w;

	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
	memcpy(h.cookie, w.cookie, 16);
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_OK);
	session = w.session;
	boot = w.boot_id;
}

int alloc(uint64_t number, uint32_t epoch)
{
	struct rmnic_rmp_alloc a = { .slab = number, .pages = SLAB };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_ALLOC, .rpn = number * SLAB, .epoch = epoch };
	int status = ask(&m, &a, sizeof(a));

	if (status == RMNIC_RMP_S_OK)
		handle = rmnic_rmp_get64(sent[0].msg.payload);
	return status;
}

int server_rig_up(void **state)
{
	struct rmnic_memstore_config c;
	static const struct rmnic_net_ops ops = { net_send };

	(void)state;
	memnet_init(&net, 3);
	rmnic_crc32c_init(&crc, false);
	pages = aligned_alloc(4096, PAGES * 4096);
	c = (struct rmnic_memstore_config){
		.env = memnet_env(&net), .pages = pages, .npages = PAGES, .slack = 16,
		.slab_pages = SLAB, .max_slabs = 8, .max_devices = 4, .max_refs = 16,
	};
	ms = rmnic_memstore_create(&c);
	config = (struct rmnic_rmp_server_config){
		.env = memnet_env(&net), .net = { &ops, NULL }, .store = ms, .uuid = "server-uuid-16-b",
		.max_sessions = 4, .max_queue = 32,
	};
	server = rmnic_rmp_server_create(&config);
	hold = false;
	ip = 9;
	open_session();
	return seal(5) || alloc(1, 5);
}

int server_rig_down(void **state)
{
	(void)state;
	rmnic_rmp_server_destroy(server);
	assert_int_equal(PAGES - rmnic_frames_free(ms->frames), ms->stored);
	rmnic_memstore_destroy(ms);
	memnet_fini(&net);
	free(pages);
	return net.allocations;
}

void fill(uint64_t seed)
{
	for (unsigned int i = 0; i < 512; i++)
		page[i] = seed * 1000 + i;
}

uint32_t seal_of(uint64_t rpn, uint64_t version)
{
	uint8_t uuid[16];

	memset(uuid, 0xd0, 16);
	return rmnic_page_seal(&crc, rmnic_crc32c_update(&crc, 0, page, 4096), uuid, rpn, version);
}

struct rmnic_rmp_msg write_msg(uint64_t rpn, uint64_t version)
{
	return (struct rmnic_rmp_msg){
		.type = RMNIC_RMP_WRITE, .handle = handle, .rpn = rpn, .version = version,
		.epoch = 5, .total = 4096, .crc = seal_of(rpn, version),
	};
}

int write_page(uint64_t rpn, uint64_t version)
{
	struct rmnic_rmp_msg m = write_msg(rpn, version);

	return ask(&m, page, 4096);
}

int read_page(uint64_t rpn)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_READ, .handle = handle, .rpn = rpn, .epoch = 5 };

	return ask(&m, NULL, 0);
}
