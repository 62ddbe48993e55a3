/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest that talks to the device through rings. It counts: each command that was fetched ends
 * exactly once, and what the guest has back is touched by nobody.
 */
#include <inttypes.h>
#include <string.h>

#include "engine/le.h"
#include "rings.h"
#include "rmnic/ring.h"

#define PAIR_AT(qid)  (0x100000u + (qid) * 0x4000u)
#define LISTS_AT      0x110000u
#define BUFFERS_AT    0x111000u
#define MINE          0xdd /* in a buffer that no command has */

static const char *name_of(uint8_t opcode)
{
	return opcode == RMNIC_OP_PAGE_OUT ? "out" : opcode == RMNIC_OP_PAGE_IN ? "in" : "free";
}

/* Every second page, so that a run would hit a neighbour's. */
static uint64_t buffer_at(struct sim *s, const struct rings_op *o, uint32_t i)
{
	uint64_t first = BUFFERS_AT + (uint64_t)(o - s->rings->ops) * RINGS_CLUSTER * 4096;

	return first + (o->list ? RINGS_CLUSTER - 1 - i : i) * 4096;
}

static struct rmnic_dbrec *rec(struct sim *s, const struct rings_pair *p)
{
	return driver_at(s, p->rec);
}

/* --- Sending ---------------------------------------------------------------------------------------- */

static void put(struct sim *s, struct rings_pair *p, const void *sqe)
{
	struct rings *r = s->rings;

	memcpy((uint8_t *)driver_at(s, p->sq) + rmnic_ring_slot(p->tail, p->depth) * 64, sqe, 64);
	p->tail++;
	rec(s, p)->sq_tail = p->tail;
	/* RING-10; an eventfd that is lost is what the bounded sleep is for. */
	if (rec(s, p)->need_wakeup && sim_below(s, 1000) >= r->lost)
		r->asleep = false;
}

static bool send_admin(struct sim *s, enum rings_admin what, struct rmnic_admin_sqe *sqe)
{
	struct rings_pair *p = &s->rings->pair[0];

	sqe->cid = (uint16_t)rmnic_ring_slot(p->tail, p->depth);
	if (s->rings->admin[sqe->cid])
		return false;
	s->rings->admin[sqe->cid] = what;
	put(s, p, sqe);
	return true;
}

static void create(struct sim *s, uint16_t qid)
{
	struct rings_pair *p = &s->rings->pair[qid];
	struct rmnic_admin_sqe sqe = {
		.opcode = RMNIC_OP_CREATE_QP, .qid = qid, .vector = 0, .depth = (uint16_t)p->depth,
		.sq_addr = p->sq, .cq_addr = p->cq, .rec_addr = p->rec,
		.qclass = qid == 2 ? RMNIC_CLASS_PAGE_IN : RMNIC_CLASS_PAGE_OUT,
	};

	send_admin(s, qid == 1 ? RINGS_CREATE_OUT : RINGS_CREATE_IN, &sqe);
}

static void fill(struct sim *s, struct rings_op *o)
{
	uint64_t *list = (uint64_t *)driver_at(s, LISTS_AT) + (o - s->rings->ops) * 8;

	for (uint32_t i = 0; i < o->n && o->opcode != RMNIC_OP_FREE; i++) {
		list[i] = buffer_at(s, o, i);
		if (o->opcode == RMNIC_OP_PAGE_OUT)
			page_make(driver_at(s, list[i]), o->content[i]);
		else
			memset(driver_at(s, list[i]), 0xee, 4096);
	}
}

/* Whether an ABORT that is in flight names this command: it may be of one that had its cid before. */
static bool abort_is_coming(const struct rings *r, uint16_t qid, uint16_t slot)
{
	for (unsigned int i = 0; i < RINGS_ADMIN; i++)
		if (r->admin[i] == RINGS_ABORT && r->abort[i].qid == qid &&
		    r->abort[i].target_cid == slot)
			return true;
	return false;
}

static void send(struct sim *s, struct rings_op *o)
{
	struct rings_pair *p = &s->rings->pair[o->opcode == RMNIC_OP_PAGE_IN ? 2 : 1];
	uint16_t slot = (uint16_t)rmnic_ring_slot(p->tail, p->depth);
	struct rmnic_sqe sqe = { .opcode = o->opcode, .cid = slot, .npages = o->n, .rpn = o->rpn };

	if (!p->up || p->op[slot])
		return;
	if (o->opcode != RMNIC_OP_FREE) {
		sqe.addr = o->list ? LISTS_AT + (uint64_t)(o - s->rings->ops) * 64 : buffer_at(s, o, 0);
		sqe.flags = o->list ? RMNIC_SQE_F_LIST : 0;
	}
	fill(s, o);
	o->sent = true;
	o->started = s->w.net.now;
	o->index = p->tail;
	o->slot = slot;
	o->aborted = abort_is_coming(s->rings, p->qid, slot);
	p->op[slot] = o;
	put(s, p, &sqe);
}

/* A command that is in flight, or was a moment ago. */
static void abort_some(struct sim *s)
{
	struct rings_op *o = &s->rings->ops[sim_below(s, s->depth)];
	struct rmnic_admin_sqe sqe = {
		.opcode = RMNIC_OP_ABORT, .qid = o->opcode == RMNIC_OP_PAGE_IN ? 2 : 1,
		.target_cid = o->slot,
	};

	if (!o->used || !o->sent || !s->rings->pair[sqe.qid].up)
		return;
	if (!send_admin(s, RINGS_ABORT, &sqe))
		return;
	s->rings->abort[sqe.cid] = sqe;
	o->aborted = true;
	sim_event(s, "abort of command %u on pair %u", o->slot, sqe.qid);
}

/* --- Commands ----------------------------------------------------------------------------------------- */

/* A page that nobody can take any more is only read. */
static bool can_start(const struct sim *s, uint8_t opcode, uint64_t rpn, uint32_t n)
{
	for (uint64_t i = rpn; i < rpn + n; i++)
		if (i >= s->model.npages || s->model.pages[i].busy ||
		    (opcode != RMNIC_OP_PAGE_IN && s->model.pages[i].nmaybe == MODEL_MAYBE))
			return false;
	return true;
}

static bool is_mine(const uint64_t *page)
{
	return *(const uint8_t *)page == MINE && !memcmp(page, page + 1, 4088) &&
	       !memcmp(page, (const uint8_t *)page + 1, 8);
}

static void start(struct sim *s, struct rings_op *o, uint8_t opcode, uint64_t rpn, uint32_t n)
{
	*o = (struct rings_op){ .used = true, .opcode = opcode, .rpn = rpn, .n = n, .list = o->list };
	for (uint32_t i = 0; i < RINGS_CLUSTER; i++)
		if (!is_mine(driver_at(s, buffer_at(s, o, i)))) {
			sim_fail(s, "a page that the guest has back was written to");
			return;
		}
	o->list = n > 1 && sim_below(s, 2);
	for (uint32_t i = 0; i < n; i++) {
		s->model.pages[rpn + i].busy = true;
		if (opcode == RMNIC_OP_PAGE_OUT)
			o->content[i] = model_write(&s->model, rpn + i, 0);
		else if (opcode == RMNIC_OP_FREE)
			model_freeing(&s->model, rpn + i);
	}
}

/*
 * A guest that does what it must not. An SQE that was fetched is the device's copy (RING-6); a page
 * that changes while it goes out is stored as it was or as it is (CMD-19), never as neither.
 */
static void meddle(struct sim *s)
{
	struct rings_op *o = &s->rings->ops[sim_below(s, s->depth)];
	struct rings_pair *p = &s->rings->pair[o->opcode == RMNIC_OP_PAGE_IN ? 2 : 1];
	uint32_t head;

	if (!o->used || !o->sent || !s->rings->dev)
		return;
	head = rmnic_le32_get(s->rings->block.queues[p->qid].sq_head);
	if ((int32_t)(head - o->index) > 0)
		memset((uint8_t *)driver_at(s, p->sq) + rmnic_ring_slot(o->index, p->depth) * 64, 0xa5, 64);
	if (o->opcode != RMNIC_OP_PAGE_OUT || o->raced || s->model.pages[o->rpn].nmaybe == MODEL_MAYBE)
		return;
	o->raced = model_write(&s->model, o->rpn, 0);
	page_make(driver_at(s, buffer_at(s, o, 0)), o->raced);
}

void driver_begin(struct sim *s)
{
	uint32_t n = sim_below(s, 3) ? 1 : 1 + (uint32_t)sim_below(s, RINGS_CLUSTER);
	uint64_t rpn = sim_below(s, s->model.npages);
	unsigned int what = (unsigned int)sim_below(s, 100);
	uint8_t opcode = what < 8    ? RMNIC_OP_FREE
			 : what < 50 ? RMNIC_OP_PAGE_OUT
				     : RMNIC_OP_PAGE_IN;
	struct rings_op *o = NULL;

	if (what == 99)
		abort_some(s);
	if (what == 98)
		meddle(s);
	for (unsigned int i = 0; i < s->depth && !o; i++)
		if (!s->rings->ops[i].used)
			o = &s->rings->ops[i];
	if (o && can_start(s, opcode, rpn, n))
		start(s, o, opcode, rpn, n);
}

void driver_one(struct sim *s, uint64_t rpn, bool out)
{
	unsigned int i = 0;

	while (s->rings->ops[i].used)
		i++;
	start(s, &s->rings->ops[i], out ? RMNIC_OP_PAGE_OUT : RMNIC_OP_PAGE_IN, rpn, 1);
}

/* The command is over for the guest; its buffers are its own again. */
static void let_go(struct sim *s, struct rings_op *o)
{
	for (uint32_t i = 0; i < o->n; i++)
		memset(driver_at(s, buffer_at(s, o, i)), MINE, 4096);
	for (uint32_t i = 0; i < o->n; i++)
		s->model.pages[o->rpn + i].busy = false;
	o->used = false;
}

/* What became of one page of a command. */
static void page_ended(struct sim *s, struct rings_op *o, uint32_t i, bool ok)
{
	uint64_t rpn = o->rpn + i;

	if (o->opcode == RMNIC_OP_PAGE_OUT) {
		model_written(&s->model, rpn, o->content[i], ok);
		if (ok) /* a command of several pages ends with the last of them, and interrupts take time */
			oracle_acked(s, rpn, 0);
		if (ok && !i && o->raced) /* or that: the next read tells */
			model_write(&s->model, rpn, o->raced);
	} else if (o->opcode == RMNIC_OP_FREE) {
		if (ok)
			model_freed(&s->model, rpn);
	} else if (ok) {
		page_check(s, rpn, driver_at(s, buffer_at(s, o, i)));
	}
	s->model.pages[rpn].busy = true;
}

static bool is_excused(struct sim *s, const struct rings_op *o, const struct rmnic_cqe *cqe)
{
	if (cqe->failed >= o->n || cqe->done >= o->n)
		return false;
	if (cqe->status == RMNIC_SC_ABORTED)
		return o->aborted;
	return oracle_excused(s, o->rpn + cqe->failed, o->opcode == RMNIC_OP_PAGE_OUT, cqe->status,
			      o->started);
}

static void ended(struct sim *s, struct rings_op *o, const struct rmnic_cqe *cqe)
{
	bool ok = cqe->status == RMNIC_SC_OK;

	if (s->record)
		sim_event(s, "%s %" PRIu64 "+%u content %" PRIu64 ": 0x%x", name_of(o->opcode), o->rpn,
			  o->n, o->content[0], cqe->status);
	memnet_note(&s->w.net, o->rpn << 16 | cqe->status);
	s->done += o->n;
	s->ok += ok;
	s->errors += !ok;
	if (ok ? cqe->done != o->n || cqe->failed != RMNIC_NONE_FAILED : !is_excused(s, o, cqe))
		sim_fail(s, "%s of page %" PRIu64 "+%u ended with 0x%x, done %u, failed %u, after %" PRIu64
			 " us", name_of(o->opcode), o->rpn, o->n, cqe->status, cqe->done, cqe->failed,
			 (s->w.net.now - o->started) / 1000);
	for (uint32_t i = 0; i < o->n; i++)
		page_ended(s, o, i, ok);
	o->sent = o->aborted = false;
	if (ok || o->opcode == RMNIC_OP_PAGE_IN) {
		let_go(s, o);
		return;
	}
	/* The driver sends it again. */
	for (uint32_t i = 0; i < o->n && o->opcode == RMNIC_OP_PAGE_OUT; i++)
		model_write(&s->model, o->rpn + i, o->content[i]);
	o->after = s->w.net.now + 5 * MS;
}

/* --- Completions -------------------------------------------------------------------------------------- */

static bool next_cqe(struct sim *s, struct rings_pair *p, struct rmnic_cqe *cqe)
{
	const struct rmnic_cqe *at = (const struct rmnic_cqe *)driver_at(s, p->cq) +
				     rmnic_ring_slot(p->head, p->depth);

	if ((at->phase & RMNIC_CQE_PHASE) != rmnic_ring_phase(p->head, p->depth))
		return false;
	*cqe = *at;
	p->head++;
	rec(s, p)->cq_head = p->head;
	return true;
}

static void admin_ended(struct sim *s, const struct rmnic_cqe *cqe)
{
	struct rings *r = s->rings;
	enum rings_admin what = cqe->cid < RINGS_ADMIN ? r->admin[cqe->cid] : RINGS_NOTHING;

	if (what == RINGS_NOTHING || cqe->status != RMNIC_SC_OK) {
		sim_fail(s, "a completion of admin command %u with 0x%x, which is %s", cqe->cid,
			 cqe->status, what ? "in flight" : "not in flight");
		return;
	}
	r->admin[cqe->cid] = RINGS_NOTHING;
	if (what == RINGS_CREATE_OUT || what == RINGS_CREATE_IN)
		r->pair[what].up = true;
}

/* False: a completion that nobody waits for. */
static bool take_pair(struct sim *s, struct rings_pair *p)
{
	struct rmnic_cqe cqe;

	while (!s->failure[0] && next_cqe(s, p, &cqe)) {
		struct rings_op *o = cqe.cid < RINGS_DEPTH ? p->op[cqe.cid] : NULL;

		if (!p->qid) {
			admin_ended(s, &cqe);
			continue;
		}
		if (!o || cqe.phase >> RMNIC_CQE_QID_SHIFT != p->qid) {
			sim_fail(s, "a completion of command %u on pair %u, which is not in flight", cqe.cid,
				 p->qid);
			return false;
		}
		p->op[cqe.cid] = NULL;
		ended(s, o, &cqe);
	}
	return true;
}

/* It looks when it was interrupted, or has waited for too long (DRV-4); then it asks for the next. */
static void take(struct sim *s)
{
	struct rings *r = s->rings;

	if (r->irqs && !r->raised && s->w.net.now < r->look_at)
		return;
	r->raised = false;
	r->look_at = r->lost ? s->w.net.now + 20 * MS : UINT64_MAX;
	for (unsigned int i = 0; i < RINGS_PAIRS; i++) {
		rec(s, &r->pair[i])->cq_arm = r->pair[i].head;
		while (take_pair(s, &r->pair[i]) && rec(s, &r->pair[i])->cq_arm != r->pair[i].head)
			rec(s, &r->pair[i])->cq_arm = r->pair[i].head; /* RING-11: and one last look */
	}
}

void driver_run(struct sim *s)
{
	struct rings *r = s->rings;

	take(s);
	for (unsigned int i = 0; i < s->depth; i++)
		if (r->ops[i].used && !r->ops[i].sent && r->ops[i].after <= s->w.net.now)
			send(s, &r->ops[i]);
}

unsigned int driver_under_way(const struct sim *s)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->depth; i++)
		n += s->rings->ops[i].used;
	for (unsigned int i = 0; i < RINGS_ADMIN; i++)
		n += s->rings->admin[i] != RINGS_NOTHING;
	return n;
}

/* --- A new enabling -------------------------------------------------------------------------------------- */

/* Dropped without a completion: each of its pages is old, new or INDETERMINATE. */
static void dropped(struct sim *s, struct rings_op *o)
{
	bool give_up = sim_below(s, 4) == 0;

	for (uint32_t i = 0; i < o->n && o->sent; i++)
		page_ended(s, o, i, false);
	o->sent = o->aborted = false;
	if (give_up) {
		sim_event(s, "%s %" PRIu64 "+%u is given up", name_of(o->opcode), o->rpn, o->n);
		let_go(s, o);
		return;
	}
	for (uint32_t i = 0; i < o->n && o->opcode == RMNIC_OP_PAGE_OUT; i++)
		model_write(&s->model, o->rpn + i, o->content[i]);
}

void driver_reset(struct sim *s)
{
	static const uint32_t depths[] = { 4, 8, 64, 64 };
	struct rings *r = s->rings;

	r->generation++;
	r->resets++;
	memset(r->admin, 0, sizeof(r->admin));
	for (uint16_t qid = 0; qid < RINGS_PAIRS; qid++) {
		struct rings_pair *p = &r->pair[qid];

		*p = (struct rings_pair){ .qid = qid, .sq = PAIR_AT(qid), .cq = PAIR_AT(qid) + 4096,
					  .rec = PAIR_AT(qid) + 8192 };
		p->depth = qid ? depths[sim_below(s, 4)] : RINGS_ADMIN;
		memset(driver_at(s, p->sq), 0, 0x4000);
	}
	for (unsigned int i = 0; i < MAX_OPS; i++) {
		if (r->ops[i].used)
			dropped(s, &r->ops[i]);
		else
			memset(driver_at(s, buffer_at(s, &r->ops[i], 0)), MINE, RINGS_CLUSTER * 4096);
	}
	r->raised = true;
	create(s, 1);
	create(s, 2);
}
