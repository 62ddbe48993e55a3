/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Overload in virtual time, over cables of one speed and a switch whose ports have a buffer of
 * usual size (RULES H): incast both ways, and page-ins beside all the page-outs there can be.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cluster.h"
#include "rmnic/device.h"

#define MS      UINT64_C(1000000)
#define READERS 32
#define SERVERS 32
#define DEPTH   256
#define SPEED   UINT64_C(25000000000) /* bits a second */
#define BUFFER  (512u << 10)          /* bytes, of a port */
#define TX_RING (2u << 20) /* 512 frames of a page */

static struct cluster w;

/* Page operations of one backend, always as many as depth. */
struct load {
	struct rmnic_store *store;
	unsigned int end;
	void *state;
	bool out;
	uint64_t pages, next;
	unsigned int depth;
	uint64_t left; /* to begin */
	uint64_t done, failed;
	struct load_op {
		struct rmnic_page_op op;
		struct load *load;
		uint64_t began;
		bool ended;
		uint64_t page[512];
	} ops[DEPTH];
	uint64_t *took; /* ns, of each that is done; NULL: not wanted */
};

static void load_begin(struct load *l, struct load_op *o);

static void load_done(struct rmnic_page_op *op, uint16_t status)
{
	struct load_op *o = (struct load_op *)op;
	struct load *l = o->load;

	if (l->took && status == RMNIC_SC_OK)
		l->took[l->done] = w.net.now - o->began;
	l->done += status == RMNIC_SC_OK;
	l->failed += status != RMNIC_SC_OK;
	o->ended = true; /* begun again from the loop: nobody calls the store from its own callback */
}

static void load_begin(struct load *l, struct load_op *o)
{
	uint16_t status;

	o->ended = false;
	if (!l->left)
		return;
	l->left--;
	o->load = l;
	o->began = w.net.now;
	o->op = (struct rmnic_page_op){ .rpn = l->next++ * 67 % l->pages, .data = o->page, .done = load_done };
	cluster_page(o->page, o->op.rpn);
	status = l->out ? l->store->ops->page_out(l->store, &o->op) :
			  l->store->ops->page_in(l->store, &o->op);
	if (status != RMNIC_STORE_PENDING)
		load_done(&o->op, status);
}

static void load_start(struct load *l, uint64_t operations)
{
	l->left = operations;
	l->done = l->failed = 0;
	for (unsigned int i = 0; i < l->depth; i++)
		load_begin(l, &l->ops[i]);
}

static void load_go_on(struct load *l)
{
	for (unsigned int i = 0; i < l->depth; i++)
		if (l->ops[i].ended)
			load_begin(l, &l->ops[i]);
}

/* Each page once, so that there is something to read. */
static void fill(struct load *l)
{
	bool out = l->out;
	unsigned int depth = l->depth;
	uint64_t *took = l->took;

	l->out = true;
	l->depth = 8;
	l->took = NULL;
	load_start(l, l->pages);
	for (unsigned int i = 0; i < 1000000 && l->done + l->failed < l->pages; i++) {
		cluster_step(&w, w.net.now + MS);
		load_go_on(l);
	}
	assert_int_equal(l->done, l->pages);
	l->out = out;
	l->depth = depth;
	l->took = took;
}

static void ports_on(void)
{
	w.net.ports = (struct memnet_ports){ .bps = SPEED, .buffer = BUFFER, .tx_ring = TX_RING };
}

/* At most one frame of a hundred finds no room. */
static void assert_few_lost(uint64_t refused)
{
	print_message("# %llu frames, %llu found no room in the switch, %llu in the sender or were sent again\n",
		      (unsigned long long)w.net.ports.through,
		      (unsigned long long)w.net.ports.overflows, (unsigned long long)refused);
	assert_true(w.net.ports.through > 10000);
	assert_true((w.net.ports.overflows + refused) * 100 <= w.net.ports.through);
}

static void run_to_the_end(struct load *l, unsigned int n, uint64_t operations)
{
	uint64_t done = 0, most = 0;

	for (unsigned int i = 0; i < 50000000 && done < operations * n; i++) {
		cluster_step(&w, w.net.now + MS);
		done = 0;
		for (unsigned int k = 0; k < n; k++) {
			load_go_on(&l[k]);
			done += l[k].done + l[k].failed;
		}
		most = w.net.count > most ? w.net.count : most;
	}
	for (unsigned int k = 0; k < n; k++) {
		assert_int_equal(l[k].done, operations);
		assert_int_equal(l[k].failed, 0);
	}
	assert_true(most < MEMNET_PACKETS / 2); /* nothing grows without bound */
}

/* RMP-28: what one reader has asked for fits what it set aside, whoever answers. */
static void incast__one_reader_of_32_servers(void **state)
{
	static struct load l;

	(void)state;
	cluster_init(&w, 5, SERVERS, CLUSTER_SLAB + 40, (uint64_t)SERVERS * CLUSTER_SLAB, 1);
	w.cfg.rx_budget = BUFFER / 2;
	w.cfg.max_ops = DEPTH;
	assert_true(cluster_start(&w));
	assert_true(cluster_ready(&w, 60000 * MS));
	l = (struct load){ .store = w.store, .pages = (uint64_t)SERVERS * CLUSTER_SLAB, .depth = DEPTH };
	fill(&l);
	ports_on();
	load_start(&l, 20000);
	run_to_the_end(&l, 1, 20000);
	assert_few_lost(rmnic_rmp_client_counters(rmnic_store_remote_client(w.store))->tx_failed);
	cluster_fini(&w);
}

static uint64_t not_sent_once(const struct load *l)
{
	uint64_t n = rmnic_rmp_server_counters(w.servers[0].server)->tx_failed;

	for (unsigned int i = 0; i < READERS; i++)
		n += rmnic_rmp_client_counters(rmnic_store_remote_client(l[i].store))->retransmits;
	return n;
}

/* RMP-29: what 32 readers want of one server waits in its ring, and nobody asks for it again. */
static void incast__32_readers_of_one_server(void **state)
{
	static struct load l[READERS];
	struct cluster_seat *seat;
	uint64_t refused, before;

	(void)state;
	cluster_init(&w, 6, 1, READERS * 2 * CLUSTER_SLAB + 128, CLUSTER_SLAB, 1);
	assert_true(cluster_start(&w));
	for (unsigned int i = 0; i < READERS; i++) {
		seat = i ? cluster_join(&w) : &w.seats[0];
		assert_non_null(seat);
		l[i] = (struct load){ .store = seat->store, .pages = CLUSTER_SLAB, .depth = 16 };
	}
	cluster_run(&w, 5000 * MS);
	for (unsigned int i = 0; i < READERS; i++)
		fill(&l[i]);
	ports_on();
	before = not_sent_once(l);
	for (unsigned int i = 0; i < READERS; i++)
		load_start(&l[i], 1000);
	run_to_the_end(l, READERS, 1000);
	refused = not_sent_once(l) - before;
	assert_few_lost(refused);
	cluster_fini(&w);
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t p99(uint64_t *took, uint64_t n)
{
	qsort(took, n, sizeof(*took), by_size);
	return took[n * 99 / 100];
}

/* RMP-27: beside all the page-outs that there can be a page-in takes four times as long at most. */
static void page_in__beside_page_outs(void **state)
{
	static uint64_t took[5000];
	static struct load in, out;
	uint64_t idle, busy;

	(void)state;
	cluster_init(&w, 7, 4, 512, 256, 2);
	assert_true(cluster_start(&w));
	assert_true(cluster_ready(&w, 60000 * MS));
	in = (struct load){ .store = w.store, .pages = 128, .depth = 1, .took = took };
	out = (struct load){ .store = w.store, .pages = 256, .depth = 32, .out = true };
	fill(&in);
	ports_on();
	load_start(&in, 5000);
	run_to_the_end(&in, 1, 5000);
	idle = p99(took, 5000);
	out.next = 128; /* the page-ins' pages are not written meanwhile */
	load_start(&in, 5000);
	load_start(&out, UINT64_MAX);
	for (unsigned int i = 0; i < 5000000 && in.done < 5000; i++) {
		cluster_step(&w, w.net.now + MS);
		load_go_on(&in);
		load_go_on(&out);
	}
	assert_int_equal(in.done, 5000);
	busy = p99(took, 5000);
	print_message("# page-in p99: idle %llu ns, beside page-outs %llu ns\n", (unsigned long long)idle,
		      (unsigned long long)busy);
	assert_true(out.done > 5000);
	assert_true(busy <= 4 * idle);
	cluster_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(incast__one_reader_of_32_servers),
		cmocka_unit_test(incast__32_readers_of_one_server),
		cmocka_unit_test(page_in__beside_page_outs),
	};

	return cmocka_run_group_tests_name("overload", tests, NULL, NULL);
}
