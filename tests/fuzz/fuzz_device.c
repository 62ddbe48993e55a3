/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_device.c - the engine against a hostile guest, driven by libFuzzer.
 *
 * The input is a program: each step is one action of the guest or of the host. Honest values are
 * the default and lies a variation, so that the fuzzer gets behind the first checks. What must
 * hold whatever the guest does:
 *   - no access outside what the host has mapped (the fake host poisons the rest),
 *   - disabled or FATAL: nothing is mapped, the store has nothing pending (DMA-1, DMA-4),
 *   - each command fetched completes exactly once, unless dropped (CMD-2),
 *   - the store is only asked for pages within CAPACITY, and returns what was stored (CMD-6),
 *   - a round of polling comes to an end.
 */
#include "world.h"

#define DATA  (FAKE_BASE + 20 * 4096)
#define LISTS (FAKE_BASE + 60 * 4096)

struct pair {
	uint64_t sq, cq, rec;
	uint32_t tail, head;
};

static struct pair pairs[PAIRS];
static const uint8_t *input;
static size_t input_left;

/* --- The input -------------------------------------------------------------------------- */

static uint64_t take(unsigned int bytes)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < bytes && input_left; i++, input_left--)
		v |= (uint64_t)*input++ << (8 * i);
	return v;
}

/* --- The guest's side ---------------------------------------------------------------------------- */

static struct rmnic_dbrec *rec(const struct pair *p)
{
	return fake_at(&world.host, p->rec);
}

static void pair_place(unsigned int qid)
{
	pairs[qid] = (struct pair){
		.sq = FAKE_BASE + qid * 3 * 4096,
		.cq = FAKE_BASE + (qid * 3 + 1) * 4096,
		.rec = FAKE_BASE + (qid * 3 + 2) * 4096,
	};
	memset(fake_at(&world.host, pairs[qid].cq), 0, 4096);
	memset(fake_at(&world.host, pairs[qid].rec), 0, 256);
}

/* An address: mostly a page that is there, else one that is not, is misaligned, or anything. */
static uint64_t some_address(void)
{
	uint64_t b = take(1);

	if (b < 0xe0)
		return DATA + b % 32 * 4096;
	if (b < 0xf0)
		return LISTS + take(1) % 4 * 4096 + take(1) * 64 % 4096;
	if (b < 0xf8)
		return FAKE_BASE + take(3);
	return take(8);
}

static uint64_t some_rpn(void)
{
	uint64_t b = take(1);

	return b < 0xf0 ? b % (CAPACITY + 4) : take(8);
}

static uint32_t some_count(void)
{
	uint64_t b = take(1);

	return (uint32_t)(b < 0xe0 ? b % 12 : b < 0xf0 ? b * 4 : take(4));
}

static void put_sqe(struct pair *p, void *sqe)
{
	uint64_t flip = take(1);

	if (flip >= 0xf0)
		((uint8_t *)sqe)[take(1) % 64] ^= (uint8_t)take(1);
	memcpy(fake_at(&world.host, p->sq + rmnic_ring_slot(p->tail, DEPTH) * 64), sqe, 64);
	p->tail++;
	if (flip % 4)
		__atomic_store_n(&rec(p)->sq_tail, p->tail, __ATOMIC_RELEASE);
}

static void act_io(void)
{
	struct pair *p = &pairs[1 + take(1) % (PAIRS - 1)];
	uint64_t kind = take(1);
	struct rmnic_sqe sqe = {
		.opcode = (uint8_t)(kind % 5 + 1),
		.flags = kind & 0x80 ? RMNIC_SQE_F_LIST : 0,
		.cid = (uint16_t)(take(1) % (DEPTH + 1)),
	};

	sqe.npages = some_count();
	if (sqe.opcode == RMNIC_OP_FLUSH) {
		sqe.flags = 0;
		sqe.npages = 0;
	} else if (sqe.flags) {
		sqe.addr = LISTS + kind % 4 * 4096 + (kind & 0x20 ? take(1) * 64 % 4096 : 0);
		sqe.rpn = sqe.opcode == RMNIC_OP_FREE ? 0 : some_rpn();
	} else {
		sqe.rpn = some_rpn();
		sqe.addr = sqe.opcode <= RMNIC_OP_PAGE_IN ? some_address() : 0;
	}
	put_sqe(p, &sqe);
}

static void act_admin(void)
{
	uint64_t kind = take(1), qid = take(1) % (PAIRS + 1);
	struct rmnic_admin_sqe sqe = {
		.opcode = (uint8_t)(RMNIC_OP_IDENTIFY + kind % 6),
		.cid = (uint16_t)(take(1) % (DEPTH + 1)),
	};

	switch (sqe.opcode) {
	case RMNIC_OP_IDENTIFY:
	case RMNIC_OP_READ_STATS:
		sqe.addr = some_address();
		break;
	case RMNIC_OP_CREATE_QP:
		sqe.qid = (uint16_t)qid;
		sqe.qclass = kind & 0x80 ? RMNIC_CLASS_PAGE_IN : RMNIC_CLASS_PAGE_OUT;
		sqe.vector = kind & 0x40 ? RMNIC_NO_VECTOR : (uint16_t)(qid % 3);
		sqe.depth = DEPTH;
		if (qid && qid < PAIRS) {
			pair_place((unsigned int)qid);
			sqe.sq_addr = pairs[qid].sq;
			sqe.cq_addr = pairs[qid].cq;
			sqe.rec_addr = pairs[qid].rec;
		}
		break;
	case RMNIC_OP_SET_COALESCE:
		sqe.qid = (uint16_t)qid;
		sqe.coalesce_count = (uint16_t)take(1);
		sqe.coalesce_us = (uint16_t)take(1);
		break;
	case RMNIC_OP_ABORT:
		sqe.target_cid = (uint16_t)(take(1) % (DEPTH + 1));
		sqe.qid = (uint16_t)qid;
		break;
	default:
		sqe.qid = (uint16_t)qid;
	}
	put_sqe(&pairs[0], &sqe);
}

static void act_list(void)
{
	uint64_t *list = fake_at(&world.host, LISTS + take(1) % 4 * 4096);
	uint64_t n = take(1) % 16, kind = take(1);

	for (uint64_t i = 0; i < n; i++) {
		if (kind & 1) {
			list[2 * i] = some_rpn();
			list[2 * i + 1] = take(1) % 8 + (kind & 2 ? take(1) << 32 : 0);
		} else {
			list[i] = some_address();
		}
	}
	if (kind & 4)
		for (uint64_t i = n; i < 512; i++)
			list[i] = DATA + i % 32 * 4096;
}

/* Content of a data page: derived, same-filled, or nearly. */
static void act_data(void)
{
	uint64_t *page = fake_at(&world.host, DATA + take(1) % 32 * 4096);
	uint64_t kind = take(1), word = take(1) * 0x0101010101010101ull;

	for (unsigned int i = 0; i < 512; i++)
		page[i] = kind & 1 ? word : word * (i + 1) + kind;
	if (kind & 2)
		page[take(2) % 512] ^= 1;
}

/* An honest driver takes what is there. */
static void act_reap(void)
{
	struct pair *p = &pairs[take(1) % PAIRS];

	for (unsigned int i = 0; i < DEPTH; i++) {
		const struct rmnic_cqe *cqe =
			fake_at(&world.host, p->cq + rmnic_ring_slot(p->head, DEPTH) * 16);

		if ((cqe->phase & 1) != rmnic_ring_phase(p->head, DEPTH))
			break;
		p->head++;
	}
	rec(p)->cq_head = p->head;
	if (take(1) & 1)
		rec(p)->cq_arm = p->head;
}

static void act_lie(void)
{
	struct pair *p = &pairs[take(1) % PAIRS];
	uint64_t kind = take(1);
	uint32_t value = (uint32_t)take(kind & 0x40 ? 4 : 1);

	switch (kind % 4) {
	case 0:
		rec(p)->sq_tail = value;
		p->tail = value;
		break;
	case 1:
		rec(p)->cq_head = value;
		break;
	case 2:
		rec(p)->cq_arm = value;
		break;
	default:
		rec(p)->sq_tail += 1;
		p->tail += 1;
	}
}

static void act_scribble(void)
{
	uint32_t offset = (uint32_t)(take(3) % (FAKE_SIZE / 8)) * 8;
	uint64_t value = take(8);

	memcpy(world.host.ram + offset, &value, 8);
}

static void act_mutate(void)
{
	world.mutate_after = (uint32_t)take(1) + 1;
	world.mutate_offset = (uint32_t)(take(2) % (64 * 4096 / 8)) * 8;
	world.mutate_value = take(8);
}

/* --- The device's registers and the host's life ----------------------------------------------------- */

static void act_enable(void)
{
	uint64_t kind = take(1), features = RMNIC_F_COALESCE | RMNIC_F_CAPACITY_EV;
	uint64_t sq, cq, record;
	uint32_t depth = DEPTH, error;

	rmnic_dev_disable(world.dev);
	world_check_off();
	pair_place(0);
	sq = pairs[0].sq;
	cq = pairs[0].cq;
	record = pairs[0].rec;
	if (kind & 0x80)
		features = take(8);
	if (kind & 0x40)
		depth = (uint32_t)take(4);
	if (kind & 0x20)
		sq = take(8);
	if (kind & 0x10)
		cq = some_address();
	if (kind & 0x08)
		record = some_address();
	error = rmnic_dev_enable(world.dev, features, depth, sq, cq, record);
	if (error)
		world_check_off();
}

static void act_migrate(void)
{
	struct rmnic_qp_state state[PAIRS];
	uint64_t kind = take(1);
	bool loaded;

	rmnic_dev_pause(world.dev);
	if (!rmnic_dev_quiet(world.dev))
		return;
	rmnic_dev_save(world.dev, state);
	rmnic_dev_disable(world.dev);
	world_check_off();
	rmnic_store_local_reload(world.local);
	if (kind & 1)
		((uint8_t *)state)[take(2) % sizeof(state)] ^= (uint8_t)take(1);
	loaded = rmnic_dev_load(world.dev, RMNIC_F_COALESCE | RMNIC_F_CAPACITY_EV, state);
	if (!loaded)
		world_check_off();
	else if (!(kind & 2))
		rmnic_dev_resume(world.dev);
}

static void act_fault(void)
{
	struct rmnic_fault *fault = rmnic_dev_fault(world.dev);
	uint64_t kind = take(1);

	switch (kind % 6) {
	case 0:
		fault->delay_us = (uint32_t)take(2);
		break;
	case 1:
		fault->fail_status = (uint32_t)take(2) & 0xfff;
		fault->fail_nth = (uint32_t)take(1) % 8;
		break;
	case 2:
		fault->fail_rpn_first = some_rpn();
		fault->fail_rpn_count = some_rpn();
		break;
	case 3:
		fault->cqe_kind = (uint32_t)take(1) % (RMNIC_FAULT_CQE_COUNT + 1);
		fault->cqe_nth = (uint32_t)take(1) % 8;
		world.dropping |= fault->cqe_kind == RMNIC_FAULT_CQE_DROP;
		break;
	case 4:
		fault->drop_irq_nth = (uint32_t)take(1) % 4;
		fault->opcode = (uint32_t)take(1) % 8;
		break;
	default:
		memset(fault, 0, sizeof(*fault));
	}
}

static void act_poll(uint64_t rounds)
{
	while (rounds-- && rmnic_dev_poll(world.dev))
		;
}

static void act_poll_all(void)
{
	uint32_t rounds = 0;

	while (rmnic_dev_poll(world.dev))
		CHECK(++rounds < 20000);
}

static void act_sleep(void)
{
	if (!rmnic_dev_sleep_begin(world.dev))
		return;
	if (rmnic_dev_deadline(world.dev) < UINT64_MAX && (take(1) & 1))
		world.host.now = rmnic_dev_deadline(world.dev);
	rmnic_dev_sleep_end(world.dev);
}

static void act_answer(void)
{
	static const uint16_t statuses[] = { RMNIC_SC_OK, RMNIC_SC_OK, RMNIC_SC_LOST,
					     RMNIC_SC_UNREACHABLE };
	uint64_t which = take(1), status = take(1);

	if (world.slow.pending)
		slow_answer(&world.slow, (unsigned int)(which % world.slow.pending), statuses[status % 4]);
}

static void act_capacity(void)
{
	uint64_t pages = take(1) % (PAGES + 32);

	if (rmnic_dev_set_capacity(world.dev, pages))
		world.capacity = pages;
	rmnic_dev_event(world.dev);
}

/* --- One input ------------------------------------------------------------------------------------------ */

static void act_disable(void)
{
	rmnic_dev_disable(world.dev);
	world_check_off();
}

static void act_pause(void)
{
	rmnic_dev_pause(world.dev);
}

static void act_resume(void)
{
	rmnic_dev_resume(world.dev);
}

static void act_poll_some(void)
{
	act_poll(take(1) % 8 + 1);
}

static void act_clock(void)
{
	world.host.now += take(4);
}

/* What comes more often is there more often. */
static void (*const actions[])(void) = {
	act_io,	     act_io,	   act_io,	 act_io,       act_io,	    act_io,
	act_reap,    act_reap,	   act_reap,	 act_poll_all, act_poll_all, act_poll_some,
	act_poll_some, act_poll_some, act_admin,  act_admin,    act_admin,    act_answer,
	act_answer,  act_list,	   act_data,	 act_fault,    act_clock,    act_sleep,
	act_enable,  act_disable,  act_pause,	 act_resume,   act_lie,	    act_scribble,
	act_mutate,  act_migrate,  act_capacity,
};

static void step(uint64_t action)
{
	actions[action % (sizeof(actions) / sizeof(actions[0]))]();
	world_check();
}

/* Most inputs start where an honest driver has come to: enabled, a few pairs of each class. */
static void start(void)
{
	CHECK(rmnic_dev_enable(world.dev, RMNIC_F_COALESCE | RMNIC_F_CAPACITY_EV, DEPTH, pairs[0].sq,
			       pairs[0].cq, pairs[0].rec) == RMNIC_ERR_NONE);
	for (unsigned int qid = 1; qid < PAIRS; qid++) {
		struct rmnic_admin_sqe sqe = {
			.opcode = RMNIC_OP_CREATE_QP,
			.qid = (uint16_t)qid,
			.vector = (uint16_t)(qid % 3),
			.sq_addr = pairs[qid].sq,
			.cq_addr = pairs[qid].cq,
			.rec_addr = pairs[qid].rec,
			.depth = DEPTH,
			.qclass = qid % 2 ? RMNIC_CLASS_PAGE_OUT : RMNIC_CLASS_PAGE_IN,
		};

		memcpy(fake_at(&world.host, pairs[0].sq + (qid - 1) * 64), &sqe, sizeof(sqe));
		pairs[0].tail++;
	}
	rec(&pairs[0])->sq_tail = pairs[0].tail;
	act_poll_all();
	CHECK(rmnic_dev_counters(world.dev)->admin_cmds == PAIRS - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t options;

	if (!world.local)
		world_setup();
	input = data;
	input_left = size;
	options = take(1);
	world_begin(options & 1);
	for (unsigned int qid = 0; qid < PAIRS; qid++)
		pair_place(qid);
	if (options & 6)
		start();
	while (input_left)
		step(take(1));
	rmnic_dev_disable(world.dev);
	world_check_off();
	rmnic_dev_destroy(world.dev);
	world.dev = NULL;
	return 0;
}
