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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device.h"
#include "engine/store_local.h"
#include "fake.h"
#include "rmnic/ring.h"
#include "slow.h"

#define PAIRS    5u /* the admin pair and four */
#define DEPTH    16u
#define PAGES    96u /* of the store */
#define CAPACITY 64u
#define DATA     (FAKE_BASE + 20 * 4096)
#define LISTS    (FAKE_BASE + 60 * 4096)

#define CHECK(cond)                                                                 \
	do {                                                                        \
		if (!(cond)) {                                                      \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
			abort();                                                    \
		}                                                                   \
	} while (0)

struct pair {
	uint64_t sq, cq, rec;
	uint32_t tail, head;
};

/* A store between the engine and the real one, that knows what each page must hold. */
struct shim {
	struct rmnic_store store;
	uint8_t model[PAGES][4096];
	uint8_t before[4096];
	uint64_t capacity;
};

static struct fake host;
static struct rmnic_host_ops ops;
static struct shim shim;
static struct slow slow;
static struct rmnic_store *local;
static struct rmnic_local_blocks blocks;
static struct rmnic_dev *dev;
static struct pair pairs[PAIRS];
static uint32_t outstanding[PAIRS][65536];
static uint32_t outstanding_sum;
static bool use_slow, dropping;

/* Memory that changes while the engine looks at it. */
static uint32_t mutate_after, mutate_offset;
static uint64_t mutate_value;

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

/* --- The host's side ----------------------------------------------------------------------- */

static void hook(struct fake *fake, enum fake_point point, const struct rmnic_mapping *m,
		 uint32_t offset)
{
	(void)point;
	(void)m;
	(void)offset;
	if (mutate_after && !--mutate_after)
		memcpy(fake->ram + mutate_offset, &mutate_value, 8);
}

static void count_fetched(void *opaque, uint16_t qid, uint16_t cid, uint8_t opcode, uint64_t rpn,
			  uint32_t npages)
{
	(void)opaque;
	(void)opcode;
	(void)rpn;
	(void)npages;
	CHECK(qid < PAIRS);
	outstanding[qid][cid]++;
	outstanding_sum++;
}

static void count_completed(void *opaque, uint16_t qid, uint16_t cid, uint16_t status,
			    uint64_t latency)
{
	(void)opaque;
	(void)status;
	(void)latency;
	CHECK(qid < PAIRS);
	CHECK(outstanding[qid][cid] > 0);
	outstanding[qid][cid]--;
	outstanding_sum--;
}

static void check_off(void)
{
	CHECK(host.mapped == 0);
	CHECK(slow.pending == 0);
	if (outstanding_sum)
		memset(outstanding, 0, sizeof(outstanding));
	outstanding_sum = 0;
	dropping = dev && rmnic_dev_fault(dev)->cqe_kind == RMNIC_FAULT_CQE_DROP;
}

static bool discard(void *owner, uint64_t offset, uint64_t len)
{
	(void)owner;
	CHECK(offset + len <= PAGES * 4096);
	memset(blocks.pages + offset, 0xdd, len);
	return true;
}

/* --- The store's side ------------------------------------------------------------------------ */

static void check_op(const struct rmnic_page_op *op)
{
	const uint8_t *data = op->data;

	CHECK(op->rpn < shim.capacity);
	CHECK(data >= host.device && data <= host.device + FAKE_SIZE - 4096);
	CHECK((uintptr_t)data % 4096 == 0);
}

static uint16_t shim_out(struct rmnic_store *store, struct rmnic_page_op *op)
{
	uint16_t status;

	(void)store;
	check_op(op);
	memcpy(shim.before, op->data, 4096);
	status = local->ops->page_out(local, op);
	if (status == RMNIC_SC_OK)
		memcpy(shim.model[op->rpn], shim.before, 4096);
	return status;
}

static uint16_t shim_in(struct rmnic_store *store, struct rmnic_page_op *op)
{
	uint16_t status;

	(void)store;
	check_op(op);
	status = local->ops->page_in(local, op);
	CHECK(status == RMNIC_SC_OK);
	CHECK(!memcmp(op->data, shim.model[op->rpn], 4096));
	return status;
}

static void model_zero(uint64_t rpn, uint32_t n)
{
	CHECK(n && rpn < shim.capacity && n <= shim.capacity - rpn);
	memset(shim.model[rpn], 0, n * 4096ull);
}

static uint16_t shim_free(struct rmnic_store *store, uint64_t rpn, uint32_t n)
{
	(void)store;
	model_zero(rpn, n);
	return local->ops->free(local, rpn, n);
}

static uint16_t shim_zero(struct rmnic_store *store, uint64_t rpn, uint32_t n)
{
	(void)store;
	model_zero(rpn, n);
	return local->ops->zero(local, rpn, n);
}

static uint16_t shim_flush(struct rmnic_store *store)
{
	(void)store;
	return local->ops->flush(local);
}

static bool shim_idle(struct rmnic_store *store)
{
	(void)store;
	return local->ops->idle(local);
}

static void shim_counters(const struct rmnic_store *store, struct rmnic_store_counters *out)
{
	(void)store;
	local->ops->counters(local, out);
}

static const struct rmnic_store_ops shim_ops = {
	.page_out = shim_out,
	.page_in = shim_in,
	.free = shim_free,
	.zero = shim_zero,
	.flush = shim_flush,
	.idle = shim_idle,
	.counters = shim_counters,
};

/* --- The guest's side ---------------------------------------------------------------------------- */

static struct rmnic_dbrec *rec(const struct pair *p)
{
	return fake_at(&host, p->rec);
}

static void pair_place(unsigned int qid)
{
	pairs[qid] = (struct pair){
		.sq = FAKE_BASE + qid * 3 * 4096,
		.cq = FAKE_BASE + (qid * 3 + 1) * 4096,
		.rec = FAKE_BASE + (qid * 3 + 2) * 4096,
	};
	memset(fake_at(&host, pairs[qid].cq), 0, 4096);
	memset(fake_at(&host, pairs[qid].rec), 0, 256);
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
	memcpy(fake_at(&host, p->sq + rmnic_ring_slot(p->tail, DEPTH) * 64), sqe, 64);
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
	uint64_t *list = fake_at(&host, LISTS + take(1) % 4 * 4096);
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
	uint64_t *page = fake_at(&host, DATA + take(1) % 32 * 4096);
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
			fake_at(&host, p->cq + rmnic_ring_slot(p->head, DEPTH) * 16);

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

	memcpy(host.ram + offset, &value, 8);
}

static void act_mutate(void)
{
	mutate_after = (uint32_t)take(1) + 1;
	mutate_offset = (uint32_t)(take(2) % (64 * 4096 / 8)) * 8;
	mutate_value = take(8);
}

/* --- The device's registers and the host's life ----------------------------------------------------- */

static void act_enable(void)
{
	uint64_t kind = take(1), features = RMNIC_F_COALESCE | RMNIC_F_CAPACITY_EV;
	uint64_t sq, cq, record;
	uint32_t depth = DEPTH, error;

	rmnic_dev_disable(dev);
	check_off();
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
	error = rmnic_dev_enable(dev, features, depth, sq, cq, record);
	if (error)
		check_off();
}

static void act_migrate(void)
{
	struct rmnic_qp_state state[PAIRS];
	uint64_t kind = take(1);
	bool loaded;

	rmnic_dev_pause(dev);
	if (!rmnic_dev_quiet(dev))
		return;
	rmnic_dev_save(dev, state);
	rmnic_dev_disable(dev);
	check_off();
	rmnic_store_local_reload(local);
	if (kind & 1)
		((uint8_t *)state)[take(2) % sizeof(state)] ^= (uint8_t)take(1);
	loaded = rmnic_dev_load(dev, RMNIC_F_COALESCE | RMNIC_F_CAPACITY_EV, state);
	if (!loaded)
		check_off();
	else if (!(kind & 2))
		rmnic_dev_resume(dev);
}

static void act_fault(void)
{
	struct rmnic_fault *fault = rmnic_dev_fault(dev);
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
		dropping |= fault->cqe_kind == RMNIC_FAULT_CQE_DROP;
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
	while (rounds-- && rmnic_dev_poll(dev))
		;
}

static void act_poll_all(void)
{
	uint32_t rounds = 0;

	while (rmnic_dev_poll(dev))
		CHECK(++rounds < 20000);
}

static void act_sleep(void)
{
	if (!rmnic_dev_sleep_begin(dev))
		return;
	if (rmnic_dev_deadline(dev) < UINT64_MAX && (take(1) & 1))
		host.now = rmnic_dev_deadline(dev);
	rmnic_dev_sleep_end(dev);
}

static void act_answer(void)
{
	static const uint16_t statuses[] = { RMNIC_SC_OK, RMNIC_SC_OK, RMNIC_SC_LOST,
					     RMNIC_SC_UNREACHABLE };
	uint64_t which = take(1), status = take(1);

	if (slow.pending)
		slow_answer(&slow, (unsigned int)(which % slow.pending), statuses[status % 4]);
}

static void act_capacity(void)
{
	uint64_t pages = take(1) % (PAGES + 32);

	if (rmnic_dev_set_capacity(dev, pages))
		shim.capacity = pages;
	rmnic_dev_event(dev);
}

/* --- One input ------------------------------------------------------------------------------------------ */

static void act_disable(void)
{
	rmnic_dev_disable(dev);
	check_off();
}

static void act_pause(void)
{
	rmnic_dev_pause(dev);
}

static void act_resume(void)
{
	rmnic_dev_resume(dev);
}

static void act_poll_some(void)
{
	act_poll(take(1) % 8 + 1);
}

static void act_clock(void)
{
	host.now += take(4);
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
	if (host.fatals) {
		CHECK(host.fatal_error == RMNIC_ERR_BAD_SQ_TAIL ||
		      host.fatal_error == RMNIC_ERR_BAD_CQ_HEAD);
		check_off();
		host.fatals = 0;
	}
	CHECK(host.bad_calls == 0);
	if (!dropping && rmnic_dev_quiet(dev))
		CHECK(outstanding_sum == 0);
}

/* The store's tables take long to set up, so one store serves all inputs. */
static void setup(void)
{
	static const uint8_t uuid[16] = "fuzz";

	blocks = (struct rmnic_local_blocks){
		.pages = aligned_alloc(4096, PAGES * 4096),
		.meta = calloc(PAGES, sizeof(struct rmnic_meta)),
		.npages = PAGES,
		.granule = 8192,
		.discard = discard,
	};
	CHECK(blocks.pages && blocks.meta);
	local = rmnic_store_local_create(&blocks, uuid);
	CHECK(local);
	fake_init(&host);
	ops = fake_ops;
	ops.fetched = count_fetched;
	ops.completed = count_completed;
}

static void begin(void)
{
	struct rmnic_dev_config config = {
		.ops = &ops,
		.host = &host,
		.max_qpairs = PAIRS - 1,
		.max_depth = DEPTH,
		.vectors = 3,
		.slab_pages = 8,
		.capacity = CAPACITY,
		.max_capacity = PAGES,
		.features = RMNIC_F_COALESCE | RMNIC_F_CAPACITY_EV,
		.serial = "fuzz",
	};
	uint8_t *ram = host.ram, *device = host.device, *dirty = host.dirty;

	memset(blocks.meta, 0, PAGES * sizeof(struct rmnic_meta));
	rmnic_store_local_reload(local);
	shim.store.ops = &shim_ops;
	shim.capacity = CAPACITY;
	memset(shim.model, 0, sizeof(shim.model));
	slow_init(&slow);
	host = (struct fake){
		.ram = ram, .device = device, .dirty = dirty, .tick = 1, .hook = hook
	};
	memset(ram, 0, 72 * 4096);
	mutate_after = 0;
	config.store = use_slow ? &slow.store : &shim.store;
	dev = rmnic_dev_create(&config);
	CHECK(dev);
	for (unsigned int qid = 0; qid < PAIRS; qid++)
		pair_place(qid);
	check_off();
}

/* Most inputs start where an honest driver has come to: enabled, a few pairs of each class. */
static void start(void)
{
	CHECK(rmnic_dev_enable(dev, RMNIC_F_COALESCE | RMNIC_F_CAPACITY_EV, DEPTH, pairs[0].sq,
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

		memcpy(fake_at(&host, pairs[0].sq + (qid - 1) * 64), &sqe, sizeof(sqe));
		pairs[0].tail++;
	}
	rec(&pairs[0])->sq_tail = pairs[0].tail;
	act_poll_all();
	CHECK(rmnic_dev_counters(dev)->admin_cmds == PAIRS - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t options;

	if (!local)
		setup();
	input = data;
	input_left = size;
	options = take(1);
	use_slow = options & 1;
	begin();
	if (options & 6)
		start();
	while (input_left)
		step(take(1));
	rmnic_dev_disable(dev);
	check_off();
	rmnic_dev_destroy(dev);
	dev = NULL;
	return 0;
}
