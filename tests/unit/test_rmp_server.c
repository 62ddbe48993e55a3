/* SPDX-License-Identifier: BSD-3-Clause */
/* The server alone: datagrams made by hand go in, what it answers is looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/page.h"
#include "engine/rmp_server.h"
#include "memnet.h"

#define PAGES 128
#define SLAB  32
#define SENT  64

struct sent {
	struct rmnic_rmp_msg msg;
	uint32_t len;
	uint8_t bytes[RMNIC_RMP_MAX_MTU];
	const uint8_t *data; /* the page it refers to */
	void (*release)(void *);
	void *release_arg;
};

static struct memnet net;
static uint8_t *pages;
static struct rmnic_memstore *ms;
static struct rmnic_rmp_server *server;
static struct rmnic_crc32c crc;
static struct sent sent[SENT];
static unsigned int nsent;
static bool hold; /* transmits keep their references */
static uint8_t ip = 9;
static uint64_t boot, next_request = 1000;
static uint32_t session, stamp = 1;
static uint64_t handle;
static uint64_t page[512];
static struct rmnic_rmp_server_config config;

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

static void give(const void *data, uint32_t len)
{
	struct rmnic_rx rx = { .data = data, .len = len, .lane = RMNIC_LANE_OUT };

	rx.from.ip[10] = rx.from.ip[11] = 0xff;
	rx.from.ip[15] = ip;
	rx.from.port = 4000;
	nsent = 0;
	rmnic_rmp_server_rx(server, &rx);
}

/* Sends a request with a body; gives the status of the answer, or -1 when there is none. */
static int ask(struct rmnic_rmp_msg *m, const void *body, uint32_t len)
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

static struct rmnic_rmp_hello hello_body(void)
{
	struct rmnic_rmp_hello h = {
		.version_min = 1, .version_max = 1, .checksums = 1, .ciphers = 1, .nonce = 77,
	};

	memset(h.device, 0xd0, 16);
	memset(h.client, 0xc0, 16);
	memset(h.token, 0x70, 32);
	return h;
}

static int hello(struct rmnic_rmp_hello *h, struct rmnic_rmp_welcome *w)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_HELLO };
	int status = ask(&m, h, sizeof(*h));

	if (status >= 0)
		memcpy(w, sent[0].msg.payload, sizeof(*w));
	return status;
}

static int seal(uint32_t epoch)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_SEAL, .epoch = epoch };

	return ask(&m, NULL, 0);
}

static void open_session(void)
{
	struct rmnic_rmp_hello h = hello_body();
	struct rmnic_rmp_welcome w;

	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
	memcpy(h.cookie, w.cookie, 16);
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_OK);
	session = w.session;
	boot = w.boot_id;
}

static int alloc(uint64_t number, uint32_t epoch)
{
	struct rmnic_rmp_alloc a = { .slab = number, .pages = SLAB };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_ALLOC, .rpn = number * SLAB, .epoch = epoch };
	int status = ask(&m, &a, sizeof(a));

	if (status == RMNIC_RMP_S_OK)
		handle = rmnic_rmp_get64(sent[0].msg.payload);
	return status;
}

static int set_up(void **state)
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

static int tear_down(void **state)
{
	(void)state;
	rmnic_rmp_server_destroy(server);
	assert_int_equal(PAGES - rmnic_frames_free(ms->frames), ms->stored);
	rmnic_memstore_destroy(ms);
	memnet_fini(&net);
	free(pages);
	return net.allocations;
}

static void fill(uint64_t seed)
{
	for (unsigned int i = 0; i < 512; i++)
		page[i] = seed * 1000 + i;
}

static uint32_t seal_of(uint64_t rpn, uint64_t version)
{
	uint8_t uuid[16];

	memset(uuid, 0xd0, 16);
	return rmnic_page_seal(&crc, rmnic_crc32c_update(&crc, 0, page, 4096), uuid, rpn, version);
}

static struct rmnic_rmp_msg write_msg(uint64_t rpn, uint64_t version)
{
	return (struct rmnic_rmp_msg){
		.type = RMNIC_RMP_WRITE, .handle = handle, .rpn = rpn, .version = version,
		.epoch = 5, .total = 4096, .crc = seal_of(rpn, version),
	};
}

static int write_page(uint64_t rpn, uint64_t version)
{
	struct rmnic_rmp_msg m = write_msg(rpn, version);

	return ask(&m, page, 4096);
}

static int read_page(uint64_t rpn)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_READ, .handle = handle, .rpn = rpn, .epoch = 5 };

	return ask(&m, NULL, 0);
}

/* --- Sessions ---------------------------------------------------------------------------------- */

/* RMP-6: an answer is never longer than the question, and nothing is kept before the cookie. */
static void hello__cookie_first(void **state)
{
	struct rmnic_rmp_hello h = hello_body();
	struct rmnic_rmp_welcome w;

	(void)state;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
	assert_true(sent[0].len <= RMNIC_RMP_HDR_SIZE + sizeof(h));
	assert_int_equal(w.session, 0);
	memcpy(h.cookie, w.cookie, 16);
	h.cookie[5] ^= 1;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
	h.cookie[5] ^= 1;
	ip = 10; /* the cookie is for another address */
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
	ip = 9;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_OK);
	assert_int_equal(w.session, session); /* the same nonce: the same session */
	net.now += 200000000000ull;
	h.nonce++;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
}

/* RMP-7, RMP-32 */
static void hello__refused(void **state)
{
	struct rmnic_rmp_hello h = hello_body();
	struct rmnic_rmp_welcome w;

	(void)state;
	h.version_min = h.version_max = 2;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_VERSION);
	assert_int_equal(w.version_min, 1);
	assert_int_equal(w.version_max, 1);
	assert_int_equal(w.version, 0);
	h = hello_body();
	h.checksums = 2;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_UNSUPPORTED);
	h = hello_body();
	h.rsvd2[15] = 1;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_INVALID);
}

/* RMP-8 */
static void hello__token(void **state)
{
	struct rmnic_rmp_hello h = hello_body();
	struct rmnic_rmp_welcome w;
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_STAT };

	(void)state;
	fill(1);
	assert_int_equal(write_page(32, 1), RMNIC_RMP_S_OK);
	h.nonce = 78;
	h.token[31]++;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
	memcpy(h.cookie, w.cookie, 16);
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_DENIED);
	h.device[0]++; /* another device: it sees nothing of the first one's */
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_OK);
	session = w.session;
	assert_int_equal(seal(5), RMNIC_RMP_S_OK);
	assert_int_equal(read_page(32), RMNIC_RMP_S_UNKNOWN_SLAB);
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_rmp_get64(sent[0].msg.payload +
					 offsetof(struct rmnic_rmp_stat, device_slabs)),
			 0);
}

/* RMP-9, RMP-10, RMP-16: a restart with and without memory. */
static void restart__other_boot_id(void **state)
{
	uint64_t old_boot = boot, old_store = ms->store_id;
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_READ, .handle = handle, .rpn = 32, .epoch = 5 };

	(void)state;
	fill(4);
	assert_int_equal(write_page(32, 4), RMNIC_RMP_S_OK);
	rmnic_rmp_server_destroy(server);
	server = rmnic_rmp_server_create(&config);
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_NO_SESSION);
	assert_int_equal(sent[0].msg.session, 0);
	assert_true(sent[0].len <= RMNIC_RMP_HDR_SIZE);
	open_session();
	assert_true(boot != old_boot);
	assert_true(ms->store_id == old_store);
	assert_int_equal(read_page(32), RMNIC_RMP_S_NOT_SEALED); /* RMP-14: not by this session */
	assert_int_equal(seal(5), RMNIC_RMP_S_OK);
	assert_int_equal(read_page(32), RMNIC_RMP_S_OK);
}

/* A session is of use from the address that proved its own, and closed when asked to. */
static void session__address_and_close(void **state)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_PING };

	(void)state;
	ip = 10;
	assert_int_equal(ask(&m, NULL, 0), -1);
	ip = 9;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	m = (struct rmnic_rmp_msg){ .type = RMNIC_RMP_CLOSE };
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	m = (struct rmnic_rmp_msg){ .type = RMNIC_RMP_PING };
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_NO_SESSION);
}

/* RMP-36 */
static void lease__collects_garbage_only(void **state)
{
	(void)state;
	rmnic_rmp_server_destroy(server);
	config.lease_ns = 1000;
	server = rmnic_rmp_server_create(&config);
	open_session();
	assert_int_equal(seal(5), RMNIC_RMP_S_OK);
	for (int i = 0; i < 8; i++)
		rmnic_rmp_server_poll(server);
	assert_int_equal(read_page(32), RMNIC_RMP_S_ABSENT);
	net.now += 2000;
	for (int i = 0; i < 8; i++)
		rmnic_rmp_server_poll(server);
	assert_int_equal(ms->devices[0].slabs, 0);
	assert_int_equal(rmnic_rmp_server_counters(server)->leases, 1);
	config.lease_ns = 0;
}

/* --- Epochs -------------------------------------------------------------------------------------- */

/* RMP-13, RMP-14 */
static void epoch__fences(void **state)
{
	struct rmnic_rmp_msg m;
	uint32_t old = session;

	(void)state;
	fill(1);
	assert_int_equal(write_page(33, 1), RMNIC_RMP_S_OK);
	m = write_msg(33, 2);
	m.epoch = 6;
	assert_int_equal(ask(&m, page, 4096), RMNIC_RMP_S_NOT_SEALED);
	open_session(); /* the same nonce: the same session; it stands for the successor */
	assert_int_equal(seal(6), RMNIC_RMP_S_OK);
	session = old;
	assert_int_equal(write_page(33, 3), RMNIC_RMP_S_FENCED);
	assert_int_equal(sent[0].msg.epoch, 6);
	assert_int_equal(read_page(33), RMNIC_RMP_S_FENCED);
	assert_int_equal(alloc(2, 5), RMNIC_RMP_S_FENCED);
	assert_int_equal(seal(5), RMNIC_RMP_S_FENCED);
	assert_int_equal(rmnic_mem_page(rmnic_mem_slab(ms, 0, handle), 33)->vstate >> 16, 1);
}

/* RMP-13: what was received before the SEAL and waits is refused as well. */
static void epoch__fences_what_is_queued(void **state)
{
	struct rmnic_rmp_msg m;
	uint8_t out[RMNIC_RMP_HDR_SIZE + 4096];

	(void)state;
	fill(1);
	m = write_msg(33, 9);
	m.session = session;
	m.request = next_request++;
	memcpy(out + RMNIC_RMP_HDR_SIZE, page, 4096);
	rmnic_rmp_encode(&crc, out, &m, 4096, boot);
	give(out, sizeof(out)); /* queued: there was no poll */
	assert_int_equal(nsent, 0);
	assert_int_equal(rmnic_mem_seal(ms, 0, 7), RMNIC_RMP_S_OK);
	rmnic_rmp_server_poll(server);
	assert_int_equal(nsent, 1);
	assert_int_equal(sent[0].msg.status, RMNIC_RMP_S_FENCED);
	assert_int_equal(rmnic_mem_page(rmnic_mem_slab(ms, 0, handle), 33)->vstate, 0);
}

/* --- Pages -------------------------------------------------------------------------------------- */

/* RMP-3, RMP-22 */
static void write__then_read(void **state)
{
	(void)state;
	assert_int_equal(read_page(40), RMNIC_RMP_S_ABSENT);
	fill(7);
	assert_int_equal(write_page(40, 12), RMNIC_RMP_S_OK);
	assert_int_equal(read_page(40), RMNIC_RMP_S_OK);
	assert_int_equal(nsent, 4); /* nobody has told of a larger MTU: 1280 */
	assert_int_equal(sent[2].msg.version, 12);
	assert_int_equal(sent[2].msg.crc, seal_of(40, 12));
	for (unsigned int i = 0, at = 0; i < nsent; at += sent[i++].msg.payload_len)
		assert_memory_equal(sent[i].msg.payload, (uint8_t *)page + at,
				    sent[i].msg.payload_len);
	assert_int_equal(read_page(31), RMNIC_RMP_S_INVALID); /* another slab's */
	assert_int_equal(read_page(64), RMNIC_RMP_S_INVALID);
}

/* RMP-3: spoilt bytes never become the page. */
static void write__wrong_checksum(void **state)
{
	struct rmnic_rmp_msg m;

	(void)state;
	fill(1);
	assert_int_equal(write_page(40, 12), RMNIC_RMP_S_OK);
	m = write_msg(40, 13);
	page[100] ^= 4;
	assert_int_equal(ask(&m, page, 4096), RMNIC_RMP_S_CORRUPT);
	assert_int_equal(rmnic_rmp_server_counters(server)->crc_errors, 1);
	assert_int_equal(rmnic_mem_page(rmnic_mem_slab(ms, 0, handle), 40)->vstate >> 16, 12);
	m = write_msg(40, 13);
	m.rpn = 41; /* right bytes, wrong page */
	assert_int_equal(ask(&m, page, 4096), RMNIC_RMP_S_CORRUPT);
}

/* RMP-19: a late duplicate cannot undo a newer write. */
static void write__late_duplicate(void **state)
{
	struct rmnic_rmp_msg old;

	(void)state;
	fill(1);
	old = write_msg(40, 12);
	assert_int_equal(ask(&old, page, 4096), RMNIC_RMP_S_OK);
	assert_int_equal(ask(&old, page, 4096), RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_rmp_server_counters(server)->duplicates, 1);
	fill(2);
	assert_int_equal(write_page(40, 13), RMNIC_RMP_S_OK);
	fill(1);
	assert_int_equal(ask(&old, page, 4096), RMNIC_RMP_S_STALE);
	assert_int_equal(read_page(40), RMNIC_RMP_S_OK);
	fill(2);
	assert_int_equal(sent[0].msg.crc, seal_of(40, 13));
}

/* RMP-20: a read that is still being sent sees the page as it was when it was asked for. */
static void write__fresh_frame(void **state)
{
	uint8_t before[8];
	unsigned int n;

	(void)state;
	fill(1);
	assert_int_equal(write_page(40, 1), RMNIC_RMP_S_OK);
	hold = true;
	assert_int_equal(read_page(40), RMNIC_RMP_S_OK);
	n = nsent;
	memcpy(before, sent[0].data, sizeof(before));
	hold = false;
	{
		struct sent kept[4];

		memcpy(kept, sent, sizeof(kept));
		for (uint64_t v = 2; v < 100; v++) {
			fill(v);
			assert_int_equal(write_page(40, v), RMNIC_RMP_S_OK);
			assert_memory_equal(kept[0].data, before, sizeof(before));
		}
		for (unsigned int i = 0; i < n; i++)
			kept[i].release(kept[i].release_arg);
	}
}

static int write_part(const struct rmnic_rmp_msg *whole, uint32_t s, uint32_t offset, uint32_t len)
{
	struct rmnic_rmp_msg m = *whole;

	m.stamp = s;
	m.offset = offset;
	return ask(&m, (uint8_t *)page + offset, len);
}

/* RMP-24 */
static void write__segments(void **state)
{
	struct rmnic_rmp_msg m;

	(void)state;
	fill(3);
	m = write_msg(50, 3);
	m.request = 5555;
	assert_int_equal(write_part(&m, 100, 2736, 1360), -1);
	assert_int_equal(write_part(&m, 100, 0, 1368), -1);
	assert_int_equal(write_part(&m, 100, 0, 1368), -1);
	assert_int_equal(write_part(&m, 101, 1368, 1368), -1); /* another attempt begins again */
	assert_int_equal(write_part(&m, 100, 1368, 1368), -1);
	assert_int_equal(write_part(&m, 101, 0, 1368), -1);
	assert_int_equal(write_part(&m, 101, 2736, 1360), RMNIC_RMP_S_OK);
	assert_int_equal(sent[0].msg.stamp, 101);
	assert_int_equal(rmnic_rmp_server_counters(server)->restarts, 1);
	assert_int_equal(read_page(50), RMNIC_RMP_S_OK);
	assert_int_equal(sent[0].msg.crc, m.crc);
	/* One id, two pages: refused. */
	m = write_msg(51, 4);
	m.request = 6666;
	assert_int_equal(write_part(&m, 100, 0, 1368), -1);
	m.rpn = 52;
	assert_int_equal(write_part(&m, 100, 1368, 1368), RMNIC_RMP_S_INVALID);
}

/* RMP-25: eight of a session are queued, no more; the ninth is told so. */
static void write__eight_at_a_time(void **state)
{
	struct rmnic_rmp_msg m;

	(void)state;
	fill(1);
	for (uint64_t i = 0; i < 8; i++) {
		m = write_msg(40 + i, 10 + i);
		assert_int_equal(write_part(&m, 100, 0, 1368), -1);
	}
	m = write_msg(50, 20);
	assert_int_equal(write_part(&m, 100, 0, 1368), RMNIC_RMP_S_BUSY);
	assert_int_equal(sent[0].msg.credit, 8 * 4096);
	net.now += 200000000; /* the oldest has had time enough */
	assert_int_equal(write_part(&m, 101, 0, 1368), -1);
	assert_int_equal(rmnic_rmp_server_counters(server)->evicted, 1);
}

/* RMP-27: a page-in is answered while page-outs wait. */
static void read__before_queued_writes(void **state)
{
	struct rmnic_rmp_msg m;
	uint8_t out[RMNIC_RMP_HDR_SIZE + 4096];

	(void)state;
	fill(1);
	assert_int_equal(write_page(40, 1), RMNIC_RMP_S_OK);
	m = write_msg(41, 2);
	m.session = session;
	memcpy(out + RMNIC_RMP_HDR_SIZE, page, 4096);
	rmnic_rmp_encode(&crc, out, &m, 4096, boot);
	give(out, sizeof(out));
	assert_int_equal(nsent, 0);
	m = (struct rmnic_rmp_msg){ .type = RMNIC_RMP_READ, .handle = handle, .rpn = 40,
				    .epoch = 5, .session = session };
	rmnic_rmp_encode(&crc, out, &m, 0, boot);
	give(out, RMNIC_RMP_HDR_SIZE);
	assert_int_equal(sent[0].msg.type, RMNIC_RMP_READ | RMNIC_RMP_REPLY);
	net.now += 70000;
	nsent = 0;
	rmnic_rmp_server_poll(server);
	assert_int_equal(sent[0].msg.status, RMNIC_RMP_S_OK);
	assert_int_equal(sent[0].msg.queued, 70);
}

/* RMP-23 */
static void write_filled__is_a_page(void **state)
{
	uint8_t uuid[16], word[4] = { 1, 2, 3, 4 };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_WRITE_FILLED, .handle = handle, .rpn = 44,
				   .version = 9, .epoch = 5, .total = 4,
				   .flags = RMNIC_RMP_F_FILLED };

	(void)state;
	memset(uuid, 0xd0, 16);
	m.crc = rmnic_rmp_fill_crc(&crc, 0x04030201, uuid, 44, 9);
	assert_int_equal(ask(&m, word, 4), RMNIC_RMP_S_OK);
	assert_int_equal(ms->stored, 0);
	assert_int_equal(read_page(44), RMNIC_RMP_S_OK);
	assert_true(sent[0].msg.flags & RMNIC_RMP_F_FILLED);
	assert_int_equal(sent[0].msg.crc, m.crc);
	assert_memory_equal(sent[0].msg.payload, word, 4);
	m.version = 10;
	m.request = m.stamp = 0;
	assert_int_equal(ask(&m, word, 4), RMNIC_RMP_S_CORRUPT);
	fill(1);
	assert_int_equal(write_page(44, 8), RMNIC_RMP_S_STALE);
}

/* RMP-21 */
static void free__ranges(void **state)
{
	struct rmnic_rmp_range r[2] = { { .rpn = 40, .pages = 2 }, { .rpn = 63, .pages = 1 } };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_FREE, .handle = handle, .version = 20,
				   .epoch = 5 };

	(void)state;
	fill(1);
	write_page(40, 10);
	write_page(41, 30);
	assert_int_equal(ask(&m, r, sizeof(r)), RMNIC_RMP_S_OK);
	assert_int_equal(read_page(40), RMNIC_RMP_S_ABSENT);
	assert_int_equal(sent[0].msg.version, 20);
	assert_int_equal(read_page(41), RMNIC_RMP_S_OK);
	fill(1);
	assert_int_equal(write_page(40, 19), RMNIC_RMP_S_STALE);
	r[1].pages = 2; /* past the slab: nothing of it is done */
	r[0].rpn = 41;
	m.version = 40;
	m.request = 0;
	assert_int_equal(ask(&m, r, sizeof(r)), RMNIC_RMP_S_INVALID);
	assert_int_equal(read_page(41), RMNIC_RMP_S_OK);
}

/* --- Slabs ---------------------------------------------------------------------------------------- */

/* RMP-15, RMP-17, RMP-18 */
static void slabs__alloc_and_release(void **state)
{
	uint64_t first = handle;
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_RELEASE, .handle = handle, .epoch = 5 };
	struct rmnic_rmp_alloc a = { .slab = 3, .pages = SLAB };
	struct rmnic_rmp_msg wrong = { .type = RMNIC_RMP_ALLOC, .rpn = 3, .epoch = 5 };

	(void)state;
	assert_int_equal(alloc(1, 5), RMNIC_RMP_S_OK);
	assert_true(handle == first);
	assert_int_equal(ask(&wrong, &a, sizeof(a)), RMNIC_RMP_S_INVALID);
	assert_int_equal(alloc(2, 5), RMNIC_RMP_S_OK);
	assert_int_equal(alloc(3, 5), RMNIC_RMP_S_OK);
	assert_int_equal(alloc(4, 5), RMNIC_RMP_S_NO_SPACE);
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_UNKNOWN_SLAB);
	handle = first;
	assert_int_equal(read_page(32), RMNIC_RMP_S_UNKNOWN_SLAB);
	assert_int_equal(alloc(1, 5), RMNIC_RMP_S_OK);
	assert_true(handle != first);
}

/* RMP-35 */
static void slabs__list(void **state)
{
	struct rmnic_rmp_list in = { 0 }, out;
	struct rmnic_rmp_list_entry e;
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_LIST };

	(void)state;
	fill(1);
	write_page(33, 77);
	assert_int_equal(alloc(2, 5), RMNIC_RMP_S_OK);
	assert_int_equal(ask(&m, &in, sizeof(in)), RMNIC_RMP_S_OK);
	memcpy(&out, sent[0].msg.payload, sizeof(out));
	assert_int_equal(out.count, 2);
	assert_false(sent[0].msg.flags & RMNIC_RMP_F_MORE);
	memcpy(&e, sent[0].msg.payload + sizeof(out), sizeof(e));
	assert_int_equal(e.slab, 1);
	assert_int_equal(e.version, 77);
	assert_int_equal(e.epoch, 5);
	assert_int_equal(e.pages, 1);
}

/* RMP-33 */
static void views__recorded_and_read(void **state)
{
	struct rmnic_rmp_view v = { .view = 2, .members = 1 };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_RECORD_VIEW, .handle = handle, .epoch = 5 };
	struct rmnic_rmp_msg r = { .type = RMNIC_RMP_READ_VIEW, .handle = handle, .epoch = 5 };
	struct rmnic_rmp_msg s = { .type = RMNIC_RMP_SEAL, .epoch = 5 };
	struct rmnic_rmp_sealed sealed;

	(void)state;
	v.member[0].handle = handle;
	assert_int_equal(ask(&m, &v, sizeof(v)), RMNIC_RMP_S_OK);
	assert_int_equal(ask(&r, NULL, 0), RMNIC_RMP_S_OK);
	assert_memory_equal(sent[0].msg.payload, &v, sizeof(v));
	v.view = 1;
	m.request = 0;
	assert_int_equal(ask(&m, &v, sizeof(v)), RMNIC_RMP_S_STALE);
	v.view = 3;
	v.syncing = 2; /* of a member that is not there */
	m.request = 0;
	assert_int_equal(ask(&m, &v, sizeof(v)), RMNIC_RMP_S_INVALID);
	assert_int_equal(ask(&s, NULL, 0), RMNIC_RMP_S_OK);
	memcpy(&sealed, sent[0].msg.payload, sizeof(sealed));
	assert_int_equal(sealed.view, 2);
	assert_int_equal(sealed.slabs, 1);
}

/* RMP-34 */
static void sync__tombstones_included(void **state)
{
	struct rmnic_rmp_sync in = { .count = SLAB }, out;
	struct rmnic_rmp_sync_record r[2];
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_SYNC, .handle = handle, .rpn = 32, .epoch = 5 };

	(void)state;
	fill(1);
	write_page(35, 8);
	rmnic_mem_free(ms, rmnic_mem_slab(ms, 0, handle), 50, 1, 9);
	assert_int_equal(ask(&m, &in, sizeof(in)), RMNIC_RMP_S_OK);
	memcpy(&out, sent[0].msg.payload, sizeof(out));
	memcpy(r, sent[0].msg.payload + sizeof(out), sizeof(r));
	assert_int_equal(out.count, 2);
	assert_int_equal(out.next, 64);
	assert_int_equal(r[0].page, 3);
	assert_int_equal(r[0].vstate, 8 << 16 | RMNIC_RMP_PAGE_STORED);
	assert_int_equal(r[1].page, 18);
	assert_int_equal(r[1].vstate, 9 << 16 | RMNIC_RMP_PAGE_TOMBSTONE);
	in.count = SLAB + 1;
	m.request = 0;
	assert_int_equal(ask(&m, &in, sizeof(in)), RMNIC_RMP_S_INVALID);
}

/* RMP-12 */
static void probe__sets_the_segment(void **state)
{
	uint8_t body[2048] = { 0 };
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_PROBE };

	(void)state;
	rmnic_rmp_put32(body, 4096);
	assert_int_equal(ask(&m, body, sizeof(body)), RMNIC_RMP_S_OK);
	assert_int_equal(sent[0].len, RMNIC_RMP_HDR_SIZE + 4096);
	assert_int_equal(rmnic_rmp_get32(sent[0].msg.payload), sizeof(body));
	rmnic_rmp_put32(body, 8);
	rmnic_rmp_put32(body + 4, 4096);
	m.request = 0;
	assert_int_equal(ask(&m, body, 8), RMNIC_RMP_S_OK);
	fill(2);
	write_page(40, 1);
	assert_int_equal(read_page(40), RMNIC_RMP_S_OK);
	assert_int_equal(nsent, 1);
	rmnic_rmp_put32(body + 4, 100);
	m.request = 0;
	assert_int_equal(ask(&m, body, 8), RMNIC_RMP_S_INVALID);
}

/* RMP-37: noise, and messages that are right but for one field, stop nobody. */
static void rx__noise(void **state)
{
	uint8_t out[256];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct rmnic_rmp_msg m = { .type = (uint8_t)(1 + memnet_random(&net) % 16) };
		uint32_t len = (uint32_t)(memnet_random(&net) % 180) & ~3u;

		for (unsigned int k = 0; k < sizeof(out); k++)
			out[k] = memnet_chance(&net, 300) ? (uint8_t)memnet_random(&net) : 0;
		m.session = session;
		m.epoch = memnet_chance(&net, 800) ? 5 : (uint32_t)memnet_random(&net);
		m.handle = memnet_chance(&net, 800) ? handle : memnet_random(&net);
		m.rpn = memnet_chance(&net, 800) ? 32 + (uint64_t)i % 32 : memnet_random(&net);
		m.version = memnet_random(&net) >> 40;
		if (m.type == RMNIC_RMP_CLOSE || (m.type == RMNIC_RMP_SEAL && m.epoch != 5))
			continue;
		if (memnet_chance(&net, 100)) {
			give(out, len);
		} else if (rmnic_rmp_carries_page(m.type)) {
			m.total = m.type == RMNIC_RMP_WRITE ? 4096 : 4;
			m.flags = m.type == RMNIC_RMP_WRITE ? 0 : RMNIC_RMP_F_FILLED;
			rmnic_rmp_encode(&crc, out, &m, len, boot);
			give(out, RMNIC_RMP_HDR_SIZE + len);
		} else {
			rmnic_rmp_encode_body(&crc, out, &m, out + RMNIC_RMP_HDR_SIZE, len, boot);
			give(out, RMNIC_RMP_HDR_SIZE + len);
		}
		rmnic_rmp_server_poll(server);
	}
	open_session();
	assert_int_equal(seal(5), RMNIC_RMP_S_OK);
	assert_true(alloc(0, 5) >= 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hello__cookie_first),      TEST(hello__refused),
		TEST(hello__token),             TEST(restart__other_boot_id),
		TEST(session__address_and_close), TEST(lease__collects_garbage_only),
		TEST(epoch__fences),            TEST(epoch__fences_what_is_queued),
		TEST(write__then_read),         TEST(write__wrong_checksum),
		TEST(write__late_duplicate),    TEST(write__fresh_frame),
		TEST(write__segments),          TEST(write__eight_at_a_time),
		TEST(read__before_queued_writes), TEST(write_filled__is_a_page),
		TEST(free__ranges),             TEST(slabs__alloc_and_release),
		TEST(slabs__list),              TEST(views__recorded_and_read),
		TEST(sync__tombstones_included), TEST(probe__sets_the_segment),
		TEST(rx__noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
