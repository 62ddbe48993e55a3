/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_state.c - taking over from a state block that may say anything, driven by libFuzzer.
 *
 * The block is memory of the front end's, the rings are the guest's; both change what they like,
 * also while the device runs. The input is a program of such changes and of what the backend does
 * in between. What must hold whatever they say (STATE-1, STATE-12):
 *   - no access outside what the host has mapped (the fake host poisons the rest),
 *   - refused, suspended, disabled: nothing is mapped, the store has nothing pending,
 *   - a refusal of the block has a reason,
 *   - polling comes to an end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device.h"
#include "engine/state_block.h"
#include "fake.h"
#include "program.h"
#include "slow.h"

#define QUEUES 3
#define DEPTH  8
#define PAGES  64

#define CHECK(what)                                                            \
	do {                                                                   \
		if (!(what)) {                                                 \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			abort();                                               \
		}                                                              \
	} while (0)

static struct fake host;
static struct slow slow;
static struct rmnic_dev *dev;
static struct rmnic_dev_config config;
static struct rmnic_state_block block;
static struct rmnic_dev_enabling enabling;
static uint8_t *state;
static uint64_t state_size;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t ring_at(unsigned int qid, unsigned int which)
{
	return FAKE_BASE + (qid * 3 + which) * 4096;
}

static struct rmnic_dbrec *rec(unsigned int qid)
{
	return fake_at(&host, ring_at(qid, 2));
}

/* A predecessor's block: every queue is there, nothing is in flight. */
static void make_block(void)
{
	struct rmnic_state_shape shape = { .pages = PAGES, .slab_pages = PAGES, .queues = QUEUES,
					   .depth = DEPTH, .epoch = 1 };

	state_size = rmnic_state_size(&shape);
	if (!state)
		state = aligned_alloc(4096, state_size);
	memset(state, 0, state_size);
	rmnic_state_format(state, &shape);
	CHECK(!rmnic_state_attach(&block, state, state_size, shape.uuid));
	block.hdr->generation = 1;
	for (unsigned int q = 0; q < QUEUES; q++)
		block.queues[q] = (struct rmnic_state_queue){
			.active = 1, .depth = DEPTH, .sq_addr = ring_at(q, 0),
			.cq_addr = ring_at(q, 1), .rec_addr = ring_at(q, 2), .qclass = q == 2,
		};
	enabling = (struct rmnic_dev_enabling){
		.aq_sq = ring_at(0, 0), .aq_cq = ring_at(0, 1), .aq_rec = ring_at(0, 2),
		.aq_depth = DEPTH, .generation = 1,
	};
}

/* An entry as a predecessor would have left it; what is wrong with it comes in other steps. */
static void put_flight(void)
{
	unsigned int q = take(1) % QUEUES, cid = take(1) % DEPTH, kind = take(1);
	struct rmnic_state_flight *f = &block.flights[q * DEPTH + cid];
	struct rmnic_state_queue *row = &block.queues[q];

	*f = (struct rmnic_state_flight){
		.state = kind & 1 ? RMNIC_STATE_FLIGHT_FETCHED : RMNIC_STATE_FLIGHT_COMPLETING,
		.sq_index = row->sq_head - (kind >> 1 & 1),
		.submission = block.hdr->submissions++,
		.cq_index = row->cq_tail - (kind >> 2 & 1),
		.sqe = { .opcode = (uint8_t)take(1), .cid = (uint16_t)cid, .npages = 1 + (kind >> 6),
			 .rpn = take(1), .addr = FAKE_BASE + (32 + take(1) % 64) * 4096,
			 .flags = kind >> 4 & 1 },
	};
	f->cqe = (struct rmnic_cqe){
		.cid = (uint16_t)cid,
		.phase = q << RMNIC_CQE_QID_SHIFT | (f->cq_index & DEPTH ? 0 : 1),
	};
}

static void spoil(void *at, unsigned int size)
{
	((uint8_t *)at)[take(1) % size] = (uint8_t)take(1);
}

/* A command into the guest's ring, good or not. */
static void submit(void)
{
	unsigned int q = take(1) % QUEUES, n = take(1) % 32;
	uint8_t *sqe = (uint8_t *)fake_at(&host, ring_at(q, 0)) + rec(q)->sq_tail % DEPTH * 64;

	memset(sqe, 0, 64);
	for (unsigned int i = 0; i < n; i++)
		sqe[i] = (uint8_t)take(1);
	rec(q)->sq_tail++;
}

static void nothing_is_held(void)
{
	CHECK(host.mapped == 0);
	CHECK(slow.pending == 0);
}

static void enable(void)
{
	uint32_t error;

	enabling.generation = 1 + take(1) % 2;
	error = rmnic_dev_enable_recorded(dev, &enabling);
	if (!error)
		return;
	nothing_is_held();
	CHECK(error != RMNIC_ERR_INTERNAL || rmnic_dev_why(dev));
}

static void poll(void)
{
	unsigned int rounds = 0;

	while (rmnic_dev_poll(dev))
		CHECK(++rounds < 100000);
	while (slow.pending)
		slow_answer(&slow, take(1) % slow.pending, take(1) % 8 ? RMNIC_SC_OK : RMNIC_SC_LOST);
}

static bool step(void)
{
	switch (take(1) % 12) {
	case 0:
		spoil(&block.queues[take(1) % QUEUES], sizeof(block.queues[0]));
		break;
	case 1:
		spoil(&block.flights[take(1) % (QUEUES * DEPTH)], sizeof(block.flights[0]));
		break;
	case 2:
		spoil(state, 256);
		break;
	case 3:
		put_flight();
		break;
	case 4:
		rec(take(1) % QUEUES)->sq_tail += (uint32_t)take(1);
		break;
	case 5:
		rec(take(1) % QUEUES)->cq_head += (uint32_t)take(1);
		break;
	case 6:
		submit();
		break;
	case 7:
		enable();
		break;
	case 8:
		poll();
		break;
	case 9:
		rmnic_dev_suspend(dev);
		nothing_is_held();
		break;
	case 10:
		rmnic_dev_disable(dev);
		nothing_is_held();
		break;
	default: /* another process */
		rmnic_dev_destroy(dev);
		nothing_is_held();
		dev = rmnic_dev_create(&config);
		return dev != NULL;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	program_begin(data, size);
	if (!state)
		fake_init(&host);
	memset(host.ram, 0, FAKE_SIZE);
	slow_init(&slow);
	make_block();
	config = (struct rmnic_dev_config){
		.ops = &fake_ops, .host = &host, .store = &slow.store, .max_qpairs = QUEUES - 1,
		.max_depth = DEPTH, .vectors = 3, .slab_pages = PAGES, .capacity = PAGES,
		.max_capacity = PAGES, .features = RMNIC_F_COALESCE, .block = &block,
	};
	dev = rmnic_dev_create(&config);
	CHECK(dev);
	while (program_left() && step())
		;
	rmnic_dev_destroy(dev);
	nothing_is_held();
	CHECK(host.bad_calls == 0);
	return 0;
}
