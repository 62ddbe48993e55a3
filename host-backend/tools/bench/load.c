/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/le.h"
#include "tools/bench/content.h"
#include "tools/bench/samples.h"

#define COMPLAINTS 5 /* pages that are named; the rest is counted */
#define FREE_SHARE 16 /* one in so many writes of a mix is a FREE */

const char *const bench_workload_names[BENCH_WORKLOADS + 1] = {
	"fill", "verify", "out-seq", "out-rand", "in-seq", "in-rand", "mix", "both", "free", NULL
};

/* What is in flight under a cid, and the memory that goes with it for good. */
struct bench_slot {
	uint64_t block;
	uint64_t since; /* ns */
	uint32_t version;
	uint8_t opcode;
	uint64_t buffer; /* guest address of cluster pages */
	uint64_t list;   /* guest address of a page list */
};

uint32_t bench_load_depth(const struct bench_load_config *config)
{
	uint32_t flight = config->queue_depth > config->in_depth ? config->queue_depth : config->in_depth;
	uint32_t depth = RMNIC_MIN_DEPTH;

	/* Twice as many: a slow command holds its slot while others pass it (RING-7). */
	while (depth < 2 * flight && depth < RMNIC_MAX_DEPTH)
		depth *= 2;
	return depth;
}

uint64_t bench_load_memory(const struct bench_load_config *config)
{
	uint64_t list = config->lists ? 1 : 0;

	return 2ull * bench_load_depth(config) * (config->cluster + list) * RMNIC_PAGE_SIZE;
}

static int make_slots(struct bench_load *load, struct bench_slot **out, uint32_t depth,
		      struct rmnic_error *err)
{
	const struct bench_load_config *c = &load->config;
	struct bench_slot *slot = calloc(depth, sizeof(*slot));

	*out = slot;
	for (uint32_t i = 0; slot && i < depth; i++) {
		slot[i].buffer = bench_guest_alloc(load->driver->guest, c->cluster * (uint64_t)RMNIC_PAGE_SIZE,
						   RMNIC_PAGE_SIZE);
		if (c->lists)
			slot[i].list = bench_guest_alloc(load->driver->guest, RMNIC_PAGE_SIZE, RMNIC_PAGE_SIZE);
		if (!slot[i].buffer || (c->lists && !slot[i].list))
			return rmnic_error_set(err, "no guest memory is left for buffers");
		for (uint32_t page = 0; page < c->cluster; page++)
			bench_content_guard(bench_guest_at(load->driver->guest, slot[i].buffer + page * 4096ull));
	}
	return slot ? 0 : rmnic_error_set(err, "out of memory");
}

int bench_load_create(struct bench_load *load, const struct bench_load_config *config,
		      struct bench_driver *driver, struct rmnic_error *err)
{
	*load = (struct bench_load){
		.config = *config,
		.driver = driver,
		.blocks = config->pages / config->cluster,
		.version = calloc(config->pages, sizeof(*load->version)),
		.busy = calloc(config->pages / config->cluster, 1),
		.random = config->seed * 0x9e3779b97f4a7c15ull | 1,
		.sample = bench_samples_create(),
	};
	if (!load->version || !load->busy || !load->sample)
		return rmnic_error_set(err, "out of memory");
	return make_slots(load, &load->slot[0], driver->out.depth, err) ||
	       make_slots(load, &load->slot[1], driver->in.depth, err) ? -1 : 0;
}

void bench_load_destroy(struct bench_load *load)
{
	bench_samples_destroy(load->sample);
	free(load->version);
	free(load->busy);
	free(load->slot[0]);
	free(load->slot[1]);
}

/* --- Choosing ----------------------------------------------------------------------------------------- */

static uint64_t next_random(struct bench_load *load)
{
	load->random ^= load->random << 13;
	load->random ^= load->random >> 7;
	load->random ^= load->random << 17;
	return load->random;
}

static uint8_t choose_opcode(struct bench_load *load, enum bench_workload workload)
{
	uint64_t dice;

	switch (workload) {
	case BENCH_VERIFY:
	case BENCH_IN_SEQ:
	case BENCH_IN_RAND:
		return RMNIC_OP_PAGE_IN;
	case BENCH_FREE:
		return RMNIC_OP_FREE;
	case BENCH_MIX:
		dice = next_random(load);
		if (dice % 100 < load->config.reads)
			return RMNIC_OP_PAGE_IN;
		return (dice >> 32) % FREE_SHARE ? RMNIC_OP_PAGE_OUT : RMNIC_OP_FREE;
	default:
		return RMNIC_OP_PAGE_OUT;
	}
}

/* A block with no command in flight; fewer are in flight than there are blocks. */
static uint64_t choose_block(struct bench_load *load, enum bench_workload workload)
{
	bool ordered = workload == BENCH_FILL || workload == BENCH_VERIFY ||
		       workload == BENCH_OUT_SEQ || workload == BENCH_IN_SEQ;
	uint64_t block = ordered ? load->cursor++ % load->blocks : next_random(load) % load->blocks;

	while (load->busy[block])
		block = (block + 1) % load->blocks;
	return block;
}

/* --- Submitting ------------------------------------------------------------------------------------------- */

static uint8_t *buffer_page(const struct bench_load *load, const struct bench_slot *slot, uint32_t page)
{
	return bench_guest_at(load->driver->guest, slot->buffer + page * (uint64_t)RMNIC_PAGE_SIZE);
}

/* A list names the buffer's pages backwards, so that a run is not mistaken for one. */
static uint32_t page_at(const struct bench_load *load, uint32_t i)
{
	return load->config.lists ? load->config.cluster - 1 - i : i;
}

static void write_list(struct bench_load *load, const struct bench_slot *slot)
{
	uint64_t *list = bench_guest_at(load->driver->guest, slot->list);

	for (uint32_t i = 0; i < load->config.cluster; i++)
		list[i] = rmnic_le64_put(slot->buffer + page_at(load, i) * (uint64_t)RMNIC_PAGE_SIZE);
}

static bool submit(struct bench_load *load, enum bench_workload workload, uint8_t opcode, struct bench_result *r)
{
	const struct bench_load_config *c = &load->config;
	bool in = opcode == RMNIC_OP_PAGE_IN;
	struct bench_pair *pair = in ? &load->driver->in : &load->driver->out;
	struct rmnic_sqe sqe = { .opcode = opcode, .npages = rmnic_le32_put(c->cluster) };
	struct bench_slot *slot;
	uint16_t cid;

	if (!bench_pair_slot(pair, &cid))
		return false;
	slot = &load->slot[in][cid];
	slot->opcode = opcode;
	slot->block = choose_block(load, workload);
	slot->version = opcode == RMNIC_OP_PAGE_OUT ? ++load->writes : BENCH_VERSION_ZERO;
	slot->since = 0;
	load->busy[slot->block] = 1;
	for (uint32_t i = 0; i < c->cluster && c->verify && opcode != RMNIC_OP_FREE; i++) {
		uint8_t *page = buffer_page(load, slot, page_at(load, i));

		if (in && !bench_content_guarded(page))
			r->late++;
		if (!in)
			bench_content_fill(page, slot->block * c->cluster + i, slot->version);
	}
	sqe.rpn = rmnic_le64_put(slot->block * c->cluster);
	if (opcode != RMNIC_OP_FREE) {
		sqe.addr = rmnic_le64_put(c->lists ? slot->list : slot->buffer);
		sqe.flags = c->lists ? RMNIC_SQE_F_LIST : 0;
		if (c->lists)
			write_list(load, slot);
	}
	bench_pair_put(pair, &sqe);
	return true;
}

/* Stamps what was put since the last time, publishes it and rings. */
static void publish(struct bench_load *load, struct bench_pair *pair, uint32_t from)
{
	struct bench_slot *slots = load->slot[pair == &load->driver->in];
	uint64_t now = bench_now();

	if (from == pair->tail)
		return;
	for (; from != pair->tail; from++)
		slots[from & (pair->depth - 1)].since = now;
	bench_driver_ring(load->driver, pair);
}

static uint64_t submit_batch(struct bench_load *load, enum bench_workload workload, uint64_t limit,
			     struct bench_result *r)
{
	struct bench_driver *d = load->driver;
	uint32_t in = d->in.tail;
	uint32_t out = d->out.tail;
	uint64_t n = 0;

	while (n < limit && submit(load, workload, choose_opcode(load, workload), r))
		n++;
	publish(load, &d->in, in);
	publish(load, &d->out, out);
	return n;
}

/* Fills the depth: a step that put one batch alone would leave an lcore that is the limit with little in flight. */
static uint64_t submit_batches(struct bench_load *load, struct bench_result *r)
{
	const struct bench_load_config *c = &load->config;
	const struct bench_driver *d = load->driver;
	uint64_t left = load->left;

	while (left) {
		uint64_t batch = left < c->batch ? left : c->batch;
		uint64_t put;

		if (c->queue_depth - d->in.in_flight - d->out.in_flight < batch)
			break;
		put = submit_batch(load, r->workload, batch, r);
		left -= put;
		if (put < batch)
			break;
	}
	return load->left - left;
}

/* Both pairs are kept full, each by itself; a page-in is published at once, as a fault would be. */
static uint64_t submit_both(struct bench_load *load, uint64_t limit, struct bench_result *r)
{
	const struct bench_load_config *c = &load->config;
	struct bench_driver *d = load->driver;
	uint32_t in = d->in.tail;
	uint32_t out = d->out.tail;
	uint64_t n = 0;

	while (n < limit && d->in.in_flight < c->in_depth && submit(load, BENCH_BOTH, RMNIC_OP_PAGE_IN, r))
		n++;
	publish(load, &d->in, in);
	if (c->queue_depth - d->out.in_flight < c->batch)
		return n;
	for (uint32_t i = 0; i < c->batch && n < limit && submit(load, BENCH_BOTH, RMNIC_OP_PAGE_OUT, r); i++)
		n++;
	publish(load, &d->out, out);
	return n;
}

/* --- Completing ------------------------------------------------------------------------------------------- */

static void complain(struct bench_result *r, uint64_t rpn, uint32_t version, int word)
{
	if (++r->mismatches <= COMPLAINTS)
		fprintf(stderr, "rmnic-bench: MISMATCH page %llu, write %u, word %d\n",
			(unsigned long long)rpn, version, word);
}

static void check_pages(struct bench_load *load, struct bench_slot *slot, struct bench_result *r)
{
	const struct bench_load_config *c = &load->config;

	for (uint32_t i = 0; i < c->cluster; i++) {
		uint8_t *page = buffer_page(load, slot, page_at(load, i));
		uint64_t rpn = slot->block * c->cluster + i;
		uint32_t version = load->version[rpn];
		int word;

		if (++load->checked == c->spoil)
			page[8 * 100] ^= 1;
		word = version == BENCH_VERSION_UNKNOWN ? -1 : bench_content_check(page, rpn, version);

		if (word >= 0)
			complain(r, rpn, version, word);
		bench_content_guard(page);
	}
}

static void complete(struct bench_load *load, struct bench_slot *slot, const struct rmnic_cqe *cqe,
		     uint64_t now, struct bench_result *r)
{
	const struct bench_load_config *c = &load->config;
	bool ok = cqe->status == RMNIC_SC_OK && cqe->done == c->cluster;

	bench_samples_add(load, now - slot->since, slot->opcode == RMNIC_OP_PAGE_IN);
	load->busy[slot->block] = 0;
	r->commands++;
	if (!ok && ++r->errors <= COMPLAINTS)
		fprintf(stderr, "rmnic-bench: opcode %u on page %llu ended with status 0x%x, %u of %u pages done\n",
			slot->opcode, 0ull + slot->block * c->cluster, cqe->status, cqe->done,
			c->cluster);
	r->pages += ok ? c->cluster : 0;
	if (slot->opcode != RMNIC_OP_PAGE_IN) {
		r->pages_out += ok && slot->opcode == RMNIC_OP_PAGE_OUT ? c->cluster : 0;
		for (uint32_t i = 0; i < c->cluster; i++)
			load->version[slot->block * c->cluster + i] = ok ? slot->version : BENCH_VERSION_UNKNOWN;
		return;
	}
	r->pages_in += ok ? c->cluster : 0;
	if (c->verify && ok)
		check_pages(load, slot, r);
	else if (c->verify)
		for (uint32_t i = 0; i < c->cluster; i++)
			bench_content_guard(buffer_page(load, slot, i));
}

/* Number of completions, or -1 with err. */
static int reap(struct bench_load *load, struct bench_pair *pair, struct bench_result *r,
		struct rmnic_error *err)
{
	struct rmnic_cqe cqe;
	enum bench_reap got;
	int n = 0;

	while ((got = bench_pair_reap(pair, &cqe, err)) == BENCH_REAP_ONE) {
		complete(load, &load->slot[pair == &load->driver->in][cqe.cid], &cqe, bench_now(), r);
		n++;
	}
	return got == BENCH_REAP_BAD ? -1 : n;
}

void bench_load_begin(struct bench_load *load, enum bench_workload workload)
{
	load->once = workload == BENCH_FILL || workload == BENCH_VERIFY;
	load->left = load->once ? load->blocks : load->config.ops ? load->config.ops : UINT64_MAX;
	load->result = (struct bench_result){ .workload = workload };
	load->samples = 0;
	load->cursor = 0;
	load->start = bench_now();
	load->resume = 0;
}

enum bench_step bench_load_step(struct bench_load *load, struct rmnic_error *err)
{
	const struct bench_load_config *c = &load->config;
	struct bench_driver *d = load->driver;
	struct bench_result *r = &load->result;
	uint64_t put = 0;
	int in = reap(load, &d->in, r, err);
	int out = in < 0 ? -1 : reap(load, &d->out, r, err);

	if (out < 0)
		return BENCH_STEP_BAD;
	if (*c->stop || (!load->once && c->time_ns && bench_now() - load->start >= c->time_ns))
		load->left = 0;
	if (!load->left && !d->in.in_flight && !d->out.in_flight) {
		r->ns = bench_now() - load->start;
		return BENCH_STEP_END;
	}
	if (c->pause_ns && !load->once && (in || out)) /* one command at a time: it was the only one */
		load->resume = bench_now() + c->pause_ns;
	if (load->resume > bench_now())
		return BENCH_STEP_PAUSE;
	if (r->workload == BENCH_BOTH)
		put = submit_both(load, load->left, r);
	else
		put = submit_batches(load, r);
	load->left -= put;
	return in || out || put ? BENCH_STEP_BUSY : BENCH_STEP_IDLE;
}

/* So long that whoever serves the device goes to sleep. A signal ends it early. */
static void pause_until(uint64_t ns)
{
	uint64_t now = bench_now();
	struct timespec left = { 0 };

	if (now >= ns)
		return;
	left.tv_sec = (time_t)((ns - now) / 1000000000u);
	left.tv_nsec = (long)((ns - now) % 1000000000u);
	nanosleep(&left, NULL);
}

int bench_load_run(struct bench_load *load, struct rmnic_error *err)
{
	for (;;) {
		switch (bench_load_step(load, err)) {
		case BENCH_STEP_BUSY:
			bench_driver_busy(load->driver);
			break;
		case BENCH_STEP_IDLE:
			if (!bench_driver_idle(load->driver, err))
				break;
			return -1;
		case BENCH_STEP_PAUSE:
			pause_until(load->resume);
			break;
		case BENCH_STEP_END:
			return 0;
		case BENCH_STEP_BAD:
			return -1;
		}
	}
}
