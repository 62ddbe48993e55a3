/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include <stdlib.h>

#include "engine/internal.h"

/* --- The store's blocks ------------------------------------------------------------- */

static void pages_dirty(void *owner, uint64_t offset, uint64_t len)
{
	struct rig *rig = owner;

	assert_true(offset + len <= rig->blocks.npages * 4096);
	rig->pages_dirty += len;
}

static void meta_dirty(void *owner, uint64_t offset, uint64_t len)
{
	struct rig *rig = owner;

	assert_true(offset + len <= rig->blocks.npages * sizeof(struct rmnic_meta));
	rig->meta_dirty += len;
}

static bool discard(void *owner, uint64_t offset, uint64_t len)
{
	struct rig *rig = owner;

	assert_int_equal(offset % rig->blocks.granule, 0);
	assert_int_equal(len % rig->blocks.granule, 0);
	assert_true(offset + len <= rig->blocks.npages * 4096);
	memset(rig->blocks.pages + offset, 0xdd, len);
	rig->discarded += len;
	return true;
}

/* --- The device ------------------------------------------------------------------------ */

static void make_state(struct rig *rig)
{
	struct rmnic_dev_config *c = &rig->config;
	struct rmnic_state_shape shape = {
		.pages = c->max_capacity, .slab_pages = c->slab_pages,
		.queues = c->max_qpairs + 1u, .depth = c->max_depth, .epoch = 1,
	};
	uint64_t size;

	memcpy(shape.uuid, c->uuid, sizeof(shape.uuid));
	size = rmnic_state_size(&shape);
	rig->state = aligned_alloc(4096, size);
	assert_non_null(rig->state);
	memset(rig->state, 0, size);
	rmnic_state_format(rig->state, &shape);
	assert_null(rmnic_state_attach(&rig->block, rig->state, size, shape.uuid));
	rig->generation = 7;
	c->block = &rig->block;
}

void rig_up_off(struct rig *rig, const struct rig_options *o)
{
	struct rmnic_dev_config *c = &rig->config;
	uint64_t max = o->max_capacity ? o->max_capacity : 4096;

	memset(rig, 0, sizeof(*rig));
	fake_init(&rig->host);
	*c = (struct rmnic_dev_config){
		.ops = &fake_ops,
		.host = &rig->host,
		.max_qpairs = RIG_QPS,
		.max_depth = o->max_depth ? o->max_depth : 64,
		.vectors = o->vectors ? o->vectors : 9,
		.slab_pages = o->slab_pages ? o->slab_pages : 64,
		.capacity = o->capacity ? o->capacity : 1024,
		.max_capacity = max,
		.features = RMNIC_F_CAPACITY_EV | RMNIC_F_COALESCE,
		.uuid = "0123456789abcde",
		.serial = "unit",
		.firmware = "test",
	};
	rig->blocks = (struct rmnic_local_blocks){
		.pages = aligned_alloc(4096, max * 4096),
		.meta = calloc(max, sizeof(struct rmnic_meta)),
		.npages = max,
		.granule = o->granule ? o->granule : 4096,
		.owner = rig,
		.pages_dirty = pages_dirty,
		.meta_dirty = meta_dirty,
		.discard = discard,
	};
	assert_non_null(rig->blocks.pages);
	assert_non_null(rig->blocks.meta);
	if (o->slow) {
		slow_init(&rig->slow);
		c->store = &rig->slow.store;
	} else {
		rig->store = rmnic_store_local_create(&rig->blocks, c->uuid);
		assert_non_null(rig->store);
		c->store = rig->store;
	}
	if (o->recorded)
		make_state(rig);
	rig->dev = rmnic_dev_create(c);
	assert_non_null(rig->dev);
	rig->fault = rmnic_dev_fault(rig->dev);
	pair_init(&rig->aq, &rig->host, 0, 16);
}

void rig_up(struct rig *rig, const struct rig_options *o)
{
	rig_up_off(rig, o);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_create(rig, 1, RMNIC_CLASS_PAGE_OUT, 16, 1);
	rig_create(rig, 2, RMNIC_CLASS_PAGE_IN, 16, 2);
	memset(rig->host.irqs, 0, sizeof(rig->host.irqs));
	rig->host.irq_total = 0;
	rig->slow.settled = 0; /* the first enabling finds nothing to settle, and looks */
}

void rig_down(struct rig *rig)
{
	rmnic_dev_disable(rig->dev);
	/* DMA-1: when disable returns, nothing of the guest's is mapped. */
	assert_int_equal(rig->host.mapped, 0);
	assert_int_equal(rig->host.bad_calls, 0);
	rmnic_dev_destroy(rig->dev);
	rmnic_store_local_destroy(rig->store);
	free(rig->blocks.pages);
	free(rig->blocks.meta);
	free(rig->state);
	fake_free(&rig->host);
}

void rig_die(struct rig *rig)
{
	/* Its pieces may not fit together any more: nothing of it runs again. */
	rig->dev->state = RMNIC_DEV_DISABLED;
	rmnic_dev_destroy(rig->dev);
	rig->dev = NULL;
	rig->slow.pending = 0;
	fake_forget(&rig->host);
}

void rig_succeed(struct rig *rig)
{
	rig->dev = rmnic_dev_create(&rig->config);
	assert_non_null(rig->dev);
	rig->fault = rmnic_dev_fault(rig->dev);
}

uint32_t rig_enable(struct rig *rig)
{
	const struct rmnic_dev_enabling enabling = {
		.drv_features = rig->config.features,
		.aq_sq = rig->aq.sq,
		.aq_cq = rig->aq.cq,
		.aq_rec = rig->aq.rec,
		.aq_depth = rig->aq.depth,
		.generation = rig->generation,
	};

	if (rig->state)
		return rmnic_dev_enable_recorded(rig->dev, &enabling);
	return rmnic_dev_enable(rig->dev, rig->config.features, rig->aq.depth, rig->aq.sq,
				rig->aq.cq, rig->aq.rec);
}

/* --- The driver's side of a queue pair ---------------------------------------------------- */

void pair_init(struct pair *pair, struct fake *host, uint16_t qid, uint32_t depth)
{
	*pair = (struct pair){
		.host = host,
		.qid = qid,
		.depth = depth,
		.sq = fake_alloc(host, depth * 64, 4096),
		.cq = fake_alloc(host, depth * 16, 4096),
		.rec = fake_alloc(host, 256, 256),
	};
	memset(fake_at(host, pair->cq), 0, depth * 16);
	memset(fake_at(host, pair->rec), 0, 256);
}

struct rmnic_dbrec *pair_rec(const struct pair *pair)
{
	return fake_at(pair->host, pair->rec);
}

void pair_put(struct pair *pair, const void *sqe)
{
	uint64_t slot = rmnic_ring_slot(pair->tail++, pair->depth);

	memcpy(fake_at(pair->host, pair->sq + slot * 64), sqe, 64);
}

void pair_ring(struct pair *pair)
{
	__atomic_store_n(&pair_rec(pair)->sq_tail, pair->tail, __ATOMIC_RELEASE);
}

bool pair_peek(const struct pair *pair, struct rmnic_cqe *cqe)
{
	uint64_t slot = rmnic_ring_slot(pair->head, pair->depth);
	const struct rmnic_cqe *at = fake_at(pair->host, pair->cq + slot * 16);
	uint32_t phase = __atomic_load_n(&at->phase, __ATOMIC_ACQUIRE);

	if ((phase & RMNIC_CQE_PHASE) != rmnic_ring_phase(pair->head, pair->depth))
		return false;
	*cqe = *at;
	return true;
}

bool pair_reap(struct pair *pair, struct rmnic_cqe *cqe)
{
	if (!pair_peek(pair, cqe))
		return false;
	/* What a migration would not see was never sent. */
	assert_true(fake_dirty(pair->host,
			       pair->cq + rmnic_ring_slot(pair->head, pair->depth) * 16ull));
	pair->head++;
	__atomic_store_n(&pair_rec(pair)->cq_head, pair->head, __ATOMIC_RELEASE);
	return true;
}

/* --- Commands -------------------------------------------------------------------------------- */

void rig_poll(struct rig *rig)
{
	for (int i = 0; rmnic_dev_poll(rig->dev); i++)
		assert_true(i < 100000);
}

static struct rmnic_cqe run(struct rig *rig, struct pair *pair, const void *sqe)
{
	struct rmnic_cqe cqe = { .status = 0xffff };
	struct rmnic_cqe more;

	pair_put(pair, sqe);
	pair_ring(pair);
	rig_poll(rig);
	if (!pair_reap(pair, &cqe))
		fail_msg("no completion on pair %u", pair->qid);
	if (pair_peek(pair, &more))
		fail_msg("two completions on pair %u", pair->qid);
	assert_int_equal(cqe.phase >> RMNIC_CQE_QID_SHIFT, pair->qid);
	assert_int_equal(cqe.phase & 0xfffe, 0);
	assert_int_equal(cqe.cid, ((const struct rmnic_sqe *)sqe)->cid);
	return cqe;
}

struct rmnic_cqe rig_admin(struct rig *rig, const struct rmnic_admin_sqe *sqe)
{
	return run(rig, &rig->aq, sqe);
}

struct rmnic_cqe rig_io(struct rig *rig, uint16_t qid, const struct rmnic_sqe *sqe)
{
	return run(rig, &rig->q[qid], sqe);
}

struct rmnic_admin_sqe rig_create_sqe(struct rig *rig, const struct pair *pair, uint8_t qclass,
				      uint16_t vector)
{
	(void)rig;
	return (struct rmnic_admin_sqe){
		.opcode = RMNIC_OP_CREATE_QP,
		.qid = pair->qid,
		.vector = vector,
		.sq_addr = pair->sq,
		.cq_addr = pair->cq,
		.rec_addr = pair->rec,
		.depth = (uint16_t)pair->depth,
		.qclass = qclass,
	};
}

void rig_create(struct rig *rig, uint16_t qid, uint8_t qclass, uint32_t depth, uint16_t vector)
{
	struct rmnic_admin_sqe sqe;

	pair_init(&rig->q[qid], &rig->host, qid, depth);
	sqe = rig_create_sqe(rig, &rig->q[qid], qclass, vector);
	assert_cqe(rig_admin(rig, &sqe), RMNIC_SC_OK, 0, NONE);
}

struct rmnic_sqe rig_sqe(struct rig *rig, uint8_t opcode, uint64_t rpn, uint32_t npages,
			 uint64_t addr)
{
	return (struct rmnic_sqe){
		.opcode = opcode,
		.cid = rig->next_cid++ % 16,
		.npages = npages,
		.rpn = rpn,
		.addr = addr,
	};
}

struct rmnic_cqe rig_cmd(struct rig *rig, uint8_t opcode, uint64_t rpn, uint32_t npages,
			 uint64_t addr)
{
	struct rmnic_sqe sqe = rig_sqe(rig, opcode, rpn, npages, addr);

	return rig_io(rig, opcode == RMNIC_OP_PAGE_IN ? 2 : 1, &sqe);
}

/* --- Pages -------------------------------------------------------------------------------------- */

uint64_t rig_page(struct rig *rig)
{
	return rig_pages(rig, 1);
}

uint64_t rig_pages(struct rig *rig, uint32_t n)
{
	return fake_alloc(&rig->host, n * 4096, 4096);
}

static uint64_t word_of(uint64_t rpn, uint32_t generation, unsigned int i)
{
	uint64_t x = rpn * 0x9e3779b97f4a7c15ull + generation * 0xbf58476d1ce4e5b9ull + i;

	x ^= x >> 31;
	return x * 0x94d049bb133111ebull;
}

void page_fill(void *page, uint64_t rpn, uint32_t generation)
{
	uint64_t *words = page;

	for (unsigned int i = 0; i < 512; i++)
		words[i] = word_of(rpn, generation, i);
}

bool page_is(const void *page, uint64_t rpn, uint32_t generation)
{
	const uint64_t *words = page;

	for (unsigned int i = 0; i < 512; i++)
		if (words[i] != word_of(rpn, generation, i))
			return false;
	return true;
}

bool page_is_byte(const void *page, uint8_t byte)
{
	const uint8_t *p = page;

	for (unsigned int i = 0; i < 4096; i++)
		if (p[i] != byte)
			return false;
	return true;
}
