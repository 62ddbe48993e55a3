/* SPDX-License-Identifier: BSD-3-Clause */
/* The client against real servers on a network in memory, which drops what a test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/page.h"
#include "engine/rmp_client.h"
#include "rmnic/device.h"
#include "world.h"

#define MS UINT64_C(1000000)

static struct world w;
static struct rmnic_rmp_client *c;
static unsigned int end;
static uint64_t handle;
static unsigned int hedged;
static struct rmnic_rmp_client_config cfg;

static void client_rx(void *arg, const struct rmnic_rx *rx)
{
	(void)arg;
	if (c)
		rmnic_rmp_client_rx(c, rx);
}

static void on_hedge(void *arg, struct rmnic_rmp_call *call)
{
	(void)arg;
	(void)call;
	hedged++;
}

static void step_until(uint64_t until)
{
	for (;;) {
		uint64_t packet, timer;

		for (unsigned int i = 0; i < w.nservers; i++)
			while (w.servers[i].server && rmnic_rmp_server_poll(w.servers[i].server))
				;
		while (rmnic_rmp_client_poll(c))
			;
		packet = memnet_next(&w.net);
		timer = rmnic_rmp_client_deadline(c);
		if (packet > until && timer > until)
			break;
		if (packet <= timer)
			memnet_deliver(&w.net);
		else if (timer > w.net.now)
			w.net.now = timer;
	}
	w.net.now = until;
}

static void pass(uint64_t ns)
{
	step_until(w.net.now + ns);
}

struct probe_call {
	struct rmnic_rmp_call call;
	bool done, idle;
	uint64_t page[512];
};

static void on_done(struct rmnic_rmp_call *call)
{
	((struct probe_call *)call)->done = true;
}

static void on_idle(struct rmnic_rmp_call *call)
{
	((struct probe_call *)call)->idle = true;
}

static void make(struct probe_call *p, uint8_t type, uint64_t rpn, uint64_t version)
{
	struct rmnic_peer_info info;

	rmnic_rmp_client_peer(c, 0, &info);
	memset(p, 0, sizeof(*p));
	p->call.type = type;
	p->call.handle = handle;
	p->call.rpn = rpn;
	p->call.version = version;
	p->call.done = on_done;
	p->call.idle = on_idle;
	if (type == RMNIC_RMP_READ)
		p->call.page = p->page;
	if (type == RMNIC_RMP_WRITE) {
		world_page(p->page, version);
		p->call.body = p->page;
		p->call.body_len = 4096;
		p->call.crc = rmnic_page_seal(rmnic_rmp_client_crc(c),
					      rmnic_crc32c_update(rmnic_rmp_client_crc(c), 0,
								  p->page, 4096),
					      cfg.device, rpn, version);
	}
	p->call.deadline = w.net.now + 10000 * MS;
}

static uint16_t run(struct probe_call *p)
{
	assert_true(rmnic_rmp_client_submit(c, &p->call));
	for (int i = 0; i < 12000 && !p->done; i++)
		pass(MS);
	assert_true(p->done);
	return p->call.status;
}

static enum rmnic_peer_state peer_state(void)
{
	struct rmnic_peer_info info;

	rmnic_rmp_client_peer(c, 0, &info);
	return info.state;
}

static void start(const uint8_t *uuid)
{
	struct rmnic_addr addr[RMNIC_LANES];

	c = rmnic_rmp_client_create(&cfg);
	assert_non_null(c);
	addr[0] = addr[1] = w.net.ends[w.servers[0].end].addr;
	addr[0].port = RMNIC_RMP_PORT_IN;
	addr[1].port = RMNIC_RMP_PORT_OUT;
	assert_int_equal(rmnic_rmp_client_add(c, addr, uuid), 0);
}

static void alloc(void)
{
	struct rmnic_rmp_alloc a = { .slab = 0, .pages = WORLD_SLAB };
	struct probe_call p;

	make(&p, RMNIC_RMP_ALLOC, 0, 0);
	p.call.handle = 0;
	p.call.body = &a;
	p.call.body_len = sizeof(a);
	/* The answer's body is gone after done(): the handle is asked of the server itself. */
	assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	handle = w.servers[0].store->slabs[0].handle;
}

static int set_up(void **state)
{
	(void)state;
	world_init(&w, 11, 1, 256, 64, 1);
	end = memnet_add(&w.net, 2, client_rx, NULL);
	cfg = (struct rmnic_rmp_client_config){
		.env = memnet_env(&w.net), .net = memnet_net(&w.net, end), .epoch = 3,
		.max_peers = 2, .max_calls = 64, .max_mtu = 9000, .rx_budget = 8 * 4096,
	};
	memset(cfg.device, 0xd0, 16);
	hedged = 0;
	start(NULL);
	pass(100 * MS);
	assert_int_equal(peer_state(), RMNIC_PEER_READY);
	alloc();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	memnet_settle(&w.net, end);
	rmnic_rmp_client_destroy(c);
	c = NULL;
	world_fini(&w);
	return 0;
}

static void write_read__round_trip(void **state)
{
	struct probe_call p;

	(void)state;
	make(&p, RMNIC_RMP_WRITE, 5, 9);
	assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	assert_true(p.idle);
	make(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	assert_int_equal(p.call.got_version, 9);
	assert_true(world_is_page(p.page, 9));
}

/* RMP-12: the ladder finds what the path carries, and pages pass from the first moment. */
static void probe__finds_the_mtu(void **state)
{
	static const uint32_t path[][2] = { { 9000, 4222 }, { 4150, 2174 }, { 1500, 1500 },
					    { 1450, 1400 }, { 1280, 1280 } };

	for (unsigned int i = 0; i < 5; i++) {
		struct rmnic_peer_info info;
		struct probe_call p;

		tear_down(state);
		world_init(&w, 12, 1, 256, 64, 1);
		w.net.mtu = path[i][0];
		end = memnet_add(&w.net, 2, client_rx, NULL);
		cfg.net = memnet_net(&w.net, end);
		start(NULL);
		pass(MS / 2);
		assert_int_equal(peer_state(), RMNIC_PEER_READY); /* not yet measured, but of use */
		alloc();
		make(&p, RMNIC_RMP_WRITE, 5, 9);
		assert_int_equal(run(&p), RMNIC_RMP_S_OK);
		pass(500 * MS);
		rmnic_rmp_client_peer(c, 0, &info);
		assert_int_equal(info.mtu, path[i][1]);
		w.net.sent = 0;
		make(&p, RMNIC_RMP_READ, 5, 0);
		assert_int_equal(run(&p), RMNIC_RMP_S_OK);
		assert_true(world_is_page(p.page, 9));
		assert_int_equal(w.net.sent, 1 + (4095 + rmnic_segment_size(info.mtu)) /
						     rmnic_segment_size(info.mtu));
	}
}

/* --- Retransmission --------------------------------------------------------------------------- */

static uint64_t times[16];
static unsigned int ntimes, drop_first;

static bool drop_reads(void *arg, struct memnet_packet *p)
{
	(void)arg;
	if (p->from != end || p->bytes[1] != RMNIC_RMP_READ)
		return true;
	times[ntimes++ % 16] = w.net.now;
	if (ntimes > 1)
		assert_true(p->bytes[30] & RMNIC_RMP_F_RETRANSMIT);
	return ntimes > drop_first;
}

/* RMP-29 */
static void silence__doubles_the_wait(void **state)
{
	struct probe_call p;

	(void)state;
	for (int i = 0; i < 20; i++) {
		make(&p, RMNIC_RMP_READ, 5, 0);
		assert_int_equal(run(&p), RMNIC_RMP_S_ABSENT);
	}
	w.net.filter = drop_reads;
	ntimes = 0;
	drop_first = 3;
	make(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run(&p), RMNIC_RMP_S_ABSENT);
	w.net.filter = NULL;
	assert_int_equal(ntimes, 4);
	assert_int_equal(times[1] - times[0], RMNIC_RTO_MIN_NS);
	assert_int_equal(times[2] - times[1], 2 * RMNIC_RTO_MIN_NS);
	assert_int_equal(times[3] - times[2], 4 * RMNIC_RTO_MIN_NS);
	assert_int_equal(rmnic_rmp_client_counters(c)->retransmits, 3);
}

static void silence__ends_with_the_deadline(void **state)
{
	struct probe_call p;
	uint64_t before;

	(void)state;
	w.net.cut[end][w.servers[0].end] = 1;
	make(&p, RMNIC_RMP_READ, 5, 0);
	before = w.net.now;
	assert_int_equal(run(&p), RMNIC_CALL_UNREACHABLE);
	assert_true(w.net.now - before >= 10000 * MS && w.net.now - before < 10010 * MS);
	assert_int_not_equal(peer_state(), RMNIC_PEER_READY);
	w.net.cut[end][w.servers[0].end] = 0;
	pass(2000 * MS);
	assert_int_equal(peer_state(), RMNIC_PEER_READY);
}

/* RMP-5: an answer that comes when its request has ended, or was another's, is nobody's. */
static void answer__late(void **state)
{
	struct probe_call p, q;

	(void)state;
	make(&p, RMNIC_RMP_WRITE, 5, 9);
	assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	w.net.faults.duplicate = 1000;
	make(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	pass(10 * MS);
	assert_true(rmnic_rmp_client_counters(c)->late >= 1);
	w.net.faults.duplicate = 0;
	make(&p, RMNIC_RMP_READ, 5, 0);
	assert_true(rmnic_rmp_client_submit(c, &p.call));
	rmnic_rmp_client_cancel(c, &p.call);
	assert_true(p.idle && !p.done);
	make(&q, RMNIC_RMP_READ, 6, 0); /* in the same slot */
	assert_int_equal(run(&q), RMNIC_RMP_S_ABSENT);
	pass(10 * MS);
	assert_false(p.done);
}

/* --- Windows ------------------------------------------------------------------------------------ */

static unsigned int out_now, out_most, in_now, in_most;

static bool count_pages(void *arg, struct memnet_packet *p)
{
	(void)arg;
	if (p->bytes[1] == RMNIC_RMP_WRITE)
		out_most = ++out_now > out_most ? out_now : out_most;
	else if (p->bytes[1] == (RMNIC_RMP_WRITE | RMNIC_RMP_REPLY))
		out_now--;
	else if (p->bytes[1] == RMNIC_RMP_READ)
		in_most = ++in_now > in_most ? in_now : in_most;
	else if (p->bytes[1] == (RMNIC_RMP_READ | RMNIC_RMP_REPLY))
		in_now--;
	return true;
}

/* RMP-25, RMP-28: 40 page-outs and 40 page-ins at once; never more under way than allowed. */
static void windows__hold(void **state)
{
	static struct probe_call p[40];

	(void)state;
	pass(500 * MS); /* one datagram a page */
	w.net.filter = count_pages;
	out_now = out_most = in_now = in_most = 0;
	for (int i = 0; i < 40; i++) {
		make(&p[i], RMNIC_RMP_WRITE, (uint64_t)i, (uint64_t)i + 1);
		assert_true(rmnic_rmp_client_submit(c, &p[i].call));
	}
	pass(200 * MS);
	for (int i = 0; i < 40; i++)
		assert_true(p[i].done && p[i].call.status == RMNIC_RMP_S_OK);
	assert_in_range(out_most, 2, 8);
	for (int i = 0; i < 40; i++) {
		make(&p[i], RMNIC_RMP_READ, (uint64_t)i, 0);
		assert_true(rmnic_rmp_client_submit(c, &p[i].call));
	}
	pass(200 * MS);
	for (int i = 0; i < 40; i++)
		assert_true(p[i].done && world_is_page(p[i].page, (uint64_t)i + 1));
	assert_int_equal(in_most, cfg.rx_budget / 4096);
	w.net.filter = NULL;
}

/* RMP-26: marks of congestion and long queues shrink the page-out window. */
static void window__shrinks_on_congestion(void **state)
{
	struct rmnic_peer_info info;
	struct probe_call p;

	(void)state;
	w.net.faults.mark = 1000;
	for (uint64_t i = 1; i < 30; i++) {
		make(&p, RMNIC_RMP_WRITE, 1, i);
		assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	}
	rmnic_rmp_client_peer(c, 0, &info);
	assert_int_equal(info.window, 4096);
	w.net.faults.mark = 0;
	for (uint64_t i = 30; i < 100; i++) {
		make(&p, RMNIC_RMP_WRITE, 1, i);
		assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	}
	rmnic_rmp_client_peer(c, 0, &info);
	assert_int_equal(info.window, 8 * 4096);
}

/* RMP-30 */
static void busy__waits_and_asks_again(void **state)
{
	struct probe_call p;
	uint32_t frames[257];
	unsigned int n = 0;
	struct rmnic_peer_info before, after;

	(void)state;
	rmnic_rmp_client_peer(c, 0, &before);
	while ((frames[n] = rmnic_frame_get(w.servers[0].store->frames)) != RMNIC_FRAME_NONE)
		n++;
	make(&p, RMNIC_RMP_WRITE, 1, 1);
	assert_true(rmnic_rmp_client_submit(c, &p.call));
	pass(100 * MS);
	assert_false(p.done);
	assert_in_range(rmnic_rmp_client_counters(c)->busy, 10, 30); /* with growing pauses */
	rmnic_rmp_client_peer(c, 0, &after);
	assert_int_equal(after.window, before.window);
	assert_int_equal(after.state, RMNIC_PEER_READY);
	while (n)
		rmnic_frame_put(w.servers[0].store->frames, frames[--n]);
	pass(20 * MS);
	assert_true(p.done && p.call.status == RMNIC_RMP_S_OK);
}

/* RMP-31 */
static void hedge__after_p99(void **state)
{
	struct probe_call p;

	(void)state;
	tear_down(state);
	world_init(&w, 13, 1, 256, 64, 1);
	end = memnet_add(&w.net, 2, client_rx, NULL);
	cfg.net = memnet_net(&w.net, end);
	cfg.hedge = on_hedge;
	start(NULL);
	pass(100 * MS);
	alloc();
	for (int i = 0; i < 100; i++) {
		make(&p, RMNIC_RMP_READ, 5, 0);
		assert_int_equal(run(&p), RMNIC_RMP_S_ABSENT);
	}
	assert_true(hedged <= 2);
	hedged = 0;
	w.net.filter = drop_reads;
	ntimes = 0;
	drop_first = 2;
	make(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run(&p), RMNIC_RMP_S_ABSENT);
	w.net.filter = NULL;
	cfg.hedge = NULL;
	assert_int_equal(hedged, 1);
}

/* --- Sessions ----------------------------------------------------------------------------------- */

/* RMP-10, RMP-9: a restarted server is greeted anew; one without its memory is known as such. */
static void restart__with_and_without_memory(void **state)
{
	struct probe_call p;
	struct rmnic_peer_info info;

	(void)state;
	make(&p, RMNIC_RMP_WRITE, 5, 9);
	assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	rmnic_rmp_client_peer(c, 0, &info);
	world_server_stop(&w, 0, true);
	world_server_start(&w, 0);
	make(&p, RMNIC_RMP_READ, 5, 0);
	p.call.store_id = info.store_id;
	assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	assert_true(world_is_page(p.page, 9));
	world_server_stop(&w, 0, false);
	world_server_start(&w, 0);
	make(&p, RMNIC_RMP_READ, 5, 0);
	p.call.store_id = info.store_id;
	assert_int_equal(run(&p), RMNIC_CALL_EMPTY);
	make(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run(&p), RMNIC_RMP_S_UNKNOWN_SLAB); /* not "empty" (RMP-16) */
}

/* RMP-11 */
static void hello__another_server(void **state)
{
	uint8_t uuid[16];

	tear_down(state);
	world_init(&w, 14, 1, 256, 64, 1);
	end = memnet_add(&w.net, 2, client_rx, NULL);
	cfg.net = memnet_net(&w.net, end);
	memset(uuid, 0x99, 16);
	start(uuid);
	pass(100 * MS);
	assert_int_equal(peer_state(), RMNIC_PEER_REFUSED);
}

static struct world_catch caught;

/* RMP-7: a server of another version says so and is given up, with the reason. */
static void hello__another_version(void **state)
{
	struct rmnic_peer_info info;
	struct rmnic_rmp_msg m;
	struct rmnic_rmp_welcome wel = { .version_min = 2, .version_max = 3 };
	uint8_t out[RMNIC_RMP_HDR_SIZE + sizeof(wel)];
	struct rmnic_rx rx = { .data = out, .len = sizeof(out) };

	tear_down(state);
	world_init(&w, 15, 1, 256, 64, 1);
	end = memnet_add(&w.net, 2, client_rx, NULL);
	cfg.net = memnet_net(&w.net, end);
	w.net.ends[w.servers[0].end].rx = world_catch_rx;
	w.net.ends[w.servers[0].end].arg = &caught;
	caught.n = 0;
	start(NULL);
	pass(MS);
	assert_int_equal(caught.n, 1);
	assert_int_equal(rmnic_rmp_decode(rmnic_rmp_client_crc(c), &m, caught.bytes[0],
					  caught.len[0], false, 0),
			 RMNIC_RMP_DROP_OK);
	memcpy(&wel.nonce, m.payload + offsetof(struct rmnic_rmp_hello, nonce), 8);
	m.type |= RMNIC_RMP_REPLY;
	m.status = RMNIC_RMP_S_VERSION;
	memcpy(out + RMNIC_RMP_HDR_SIZE, &wel, sizeof(wel));
	rmnic_rmp_encode_body(rmnic_rmp_client_crc(c), out, &m, &wel, sizeof(wel), 0);
	rx.from = w.net.ends[w.servers[0].end].addr;
	rmnic_rmp_client_rx(c, &rx);
	rmnic_rmp_client_peer(c, 0, &info);
	assert_int_equal(info.state, RMNIC_PEER_REFUSED);
	assert_int_equal(info.refused, RMNIC_RMP_S_VERSION);
}

/* RMP-14 */
static void epoch__fenced(void **state)
{
	struct probe_call p;

	(void)state;
	rmnic_mem_seal(w.servers[0].store, 0, 4);
	make(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run(&p), RMNIC_RMP_S_FENCED);
	assert_int_equal(peer_state(), RMNIC_PEER_FENCED);
}

/* --- Pages ---------------------------------------------------------------------------------------- */

/* RMP-3: a copy that is bad at rest is never delivered; after three looks it is given up. */
static void read__bad_copy(void **state)
{
	struct probe_call p;
	struct rmnic_memstore *ms = w.servers[0].store;

	(void)state;
	make(&p, RMNIC_RMP_WRITE, 5, 9);
	assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	rmnic_frame_data(ms->frames, rmnic_mem_page(&ms->slabs[0], 5)->body)[77] ^= 1;
	make(&p, RMNIC_RMP_READ, 5, 0);
	assert_int_equal(run(&p), RMNIC_RMP_S_CORRUPT);
	assert_int_equal(rmnic_rmp_client_counters(c)->crc_errors, 3);
}

static unsigned int swaps;

/* Between two answers to one request that the network doubled, the page changes. */
static bool change_between(void *arg, struct memnet_packet *p)
{
	(void)arg;
	if (p->from == end && p->bytes[1] == RMNIC_RMP_READ)
		p->at += swaps++ % 2 ? 100000 : 0;
	/* Of the first answer half is lost, of the second the other half. */
	if (p->bytes[1] == (RMNIC_RMP_READ | RMNIC_RMP_REPLY))
		return (rmnic_rmp_get64(p->bytes + 30) >> 16 == 9) ==
		       (rmnic_rmp_get32(p->bytes + 46) < 2048);
	return true;
}

/* RMP-24: segments of two answers to one attempt are not put together. */
static void read__doubled_request(void **state)
{
	struct probe_call p, q;
	uint8_t copy[RMNIC_RMP_HDR_SIZE];
	struct rmnic_rx rx;

	(void)state;
	tear_down(state);
	world_init(&w, 16, 1, 256, 64, 1);
	w.net.mtu = 1500;
	end = memnet_add(&w.net, 2, client_rx, NULL);
	cfg.net = memnet_net(&w.net, end);
	start(NULL);
	pass(500 * MS);
	alloc();
	make(&p, RMNIC_RMP_WRITE, 5, 9);
	assert_int_equal(run(&p), RMNIC_RMP_S_OK);
	w.net.filter = change_between;
	make(&q, RMNIC_RMP_READ, 5, 0);
	assert_true(rmnic_rmp_client_submit(c, &q.call));
	memnet_bytes(w.net.heap[1]);
	memcpy(copy, w.net.heap[1]->bytes, sizeof(copy));
	memnet_deliver(&w.net); /* the request: answered with version 9 */
	make(&p, RMNIC_RMP_WRITE, 5, 10);
	{
		uint32_t frame = rmnic_frame_get(w.servers[0].store->frames);

		memcpy(rmnic_frame_data(w.servers[0].store->frames, frame), p.page, 4096);
		assert_int_equal(rmnic_mem_write(w.servers[0].store, &w.servers[0].store->slabs[0],
						 5, 10, RMNIC_RMP_PAGE_STORED, p.call.crc, frame),
				 RMNIC_RMP_S_OK);
	}
	rx = (struct rmnic_rx){ .data = copy, .len = sizeof(copy),
				.from = w.net.ends[end].addr };
	rmnic_rmp_server_rx(w.servers[0].server, &rx); /* its double: with version 10 */
	pass(MS / 2);
	assert_false(q.done); /* half of each is no page */
	w.net.filter = NULL;
	pass(100 * MS);
	assert_true(q.done);
	assert_int_equal(q.call.got_version, 10);
	assert_true(world_is_page(q.page, 10));
}

/* RMP-20: the copy belongs to the network until it says so. */
static void write__idle_after_the_last_transmit(void **state)
{
	struct probe_call p;

	(void)state;
	make(&p, RMNIC_RMP_WRITE, 5, 9);
	w.net.faults.reorder = 1000;
	w.net.faults.late_ns = 3000 * MS;
	assert_true(rmnic_rmp_client_submit(c, &p.call)); /* this one arrives in 3 s */
	w.net.faults.reorder = 0;
	pass(500 * MS);
	assert_true(p.done && p.call.status == RMNIC_RMP_S_OK); /* a later attempt did */
	assert_false(p.idle);
	assert_false(rmnic_rmp_client_submit(c, &p.call));
	pass(3000 * MS);
	assert_true(p.idle);
}

static void submit__limits(void **state)
{
	static struct probe_call p[65];
	struct probe_call one;

	(void)state;
	for (int i = 0; i < 65; i++)
		make(&p[i], RMNIC_RMP_READ, 1, 0);
	w.net.cut[end][w.servers[0].end] = 1;
	for (int i = 0; i < 65; i++)
		if (!rmnic_rmp_client_submit(c, &p[i].call))
			assert_true(i >= 64); /* max_calls, and one for each peer's own */
	make(&one, RMNIC_RMP_READ, 1, 0);
	assert_false(rmnic_rmp_client_submit(c, &p[0].call));
	for (int i = 0; i < 65; i++)
		rmnic_rmp_client_cancel(c, &p[i].call);
	for (int i = 0; i < 65; i++)
		assert_true(p[i].call.state == RMNIC_CALL_IDLE);
	one.call.peer = 1;
	assert_false(rmnic_rmp_client_submit(c, &one.call)); /* no such peer */
}

static void create__allocation_fails(void **state)
{
	int before = w.net.allocations;

	(void)state;
	for (unsigned int n = 1; n <= 5; n++) {
		w.net.fail_alloc = n;
		assert_null(rmnic_rmp_client_create(&cfg));
		assert_int_equal(w.net.allocations, before);
	}
	w.net.fail_alloc = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(write_read__round_trip),
		TEST(probe__finds_the_mtu),
		TEST(silence__doubles_the_wait),
		TEST(silence__ends_with_the_deadline),
		TEST(answer__late),
		TEST(windows__hold),
		TEST(window__shrinks_on_congestion),
		TEST(busy__waits_and_asks_again),
		TEST(hedge__after_p99),
		TEST(restart__with_and_without_memory),
		TEST(hello__another_server),
		TEST(hello__another_version),
		TEST(epoch__fenced),
		TEST(read__bad_copy),
		TEST(read__doubled_request),
		TEST(write__idle_after_the_last_transmit),
		TEST(submit__limits),
		TEST(create__allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
