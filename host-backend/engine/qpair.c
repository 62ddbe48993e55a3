/* SPDX-License-Identifier: BSD-3-Clause */
/* A queue pair: indexes, fetching, posting, interrupts, wake-ups (device.md, "Rings"). */
#include <string.h>

#include "engine/internal.h"
#include "engine/step.h"

static struct rmnic_dbrec *rec_of(const struct rmnic_qp *qp)
{
	return qp->rec.ptr;
}

static void rec_written(struct rmnic_qp *qp, size_t offset)
{
	qp->dev->cfg.ops->written(qp->dev->cfg.host, &qp->rec, (uint32_t)offset,
				  sizeof(rmnic_le32));
}

/* --- Creation and deletion ----------------------------------------------------------- */

bool rmnic_qp_depth_ok(const struct rmnic_dev *dev, uint32_t depth)
{
	return depth >= RMNIC_MIN_DEPTH && depth <= dev->cfg.max_depth &&
	       (depth & (depth - 1)) == 0;
}

static bool aligned(struct rmnic_dev *dev, uint64_t addr, uint64_t align, uint16_t qid,
		    uint16_t cid)
{
	if (!(addr & (align - 1)))
		return true;
	rmnic_dev_refuse(dev, RMNIC_REFUSAL_MISALIGNED, qid, cid, addr);
	return false;
}

static bool ring_map(struct rmnic_dev *dev, uint64_t addr, uint32_t len, bool write,
		     struct rmnic_ringmem *out, uint16_t qid, uint16_t cid)
{
	if (!aligned(dev, addr, RMNIC_RING_ALIGN, qid, cid))
		return false;
	if (addr <= UINT64_MAX - len &&
	    rmnic_ringmem_map(out, dev->cfg.ops, dev->cfg.host, addr, len, write))
		return true;
	rmnic_dev_refuse(dev, RMNIC_REFUSAL_NOT_RAM, qid, cid, addr);
	return false;
}

static bool rec_map(struct rmnic_dev *dev, uint64_t addr, struct rmnic_mapping *out, uint16_t qid,
		    uint16_t cid)
{
	if (!aligned(dev, addr, RMNIC_REC_ALIGN, qid, cid))
		return false;
	if (addr <= UINT64_MAX - sizeof(struct rmnic_dbrec) &&
	    dev->cfg.ops->map(dev->cfg.host, addr, sizeof(struct rmnic_dbrec), true, out))
		return true;
	rmnic_dev_refuse(dev, RMNIC_REFUSAL_NOT_RAM, qid, cid, addr);
	return false;
}

static void qp_reset(struct rmnic_qp *qp, const struct rmnic_qp_params *p)
{
	qp->id = p->qid;
	qp->vector = p->vector;
	qp->qclass = p->qclass;
	qp->depth = p->depth;
	qp->coalesce_count = 0;
	qp->coalesce_us = 0;
	qp->sq_head = qp->sq_head_pub = 0;
	qp->cq_tail = qp->cq_flushed = qp->cq_head = 0;
	qp->in_flight = 0;
	qp->skips = 0;
	qp->irq_held = false;
	qp->cur = NULL;
	qp->delayed_head = qp->delayed_tail = RMNIC_NO_CID;
	qp->queued_head = qp->queued_tail = RMNIC_NO_CID;
	qp->redriven = qp->stray = false;
	for (uint32_t i = 0; i < p->depth; i++) {
		qp->cmds[i].state = RMNIC_CMD_IDLE;
		qp->cmds[i].cid = (uint16_t)i;
	}
	memset(qp->skip, 0, (p->depth + 63) / 64 * sizeof(uint64_t));
}

/* CMD-18: the caller has checked qid, class, depth and vector; here come the addresses. */
uint16_t rmnic_qp_open(struct rmnic_dev *dev, const struct rmnic_qp_params *p, uint16_t cid)
{
	struct rmnic_qp *qp = &dev->qps[p->qid];

	if (!ring_map(dev, p->sq_addr, p->depth * (uint32_t)sizeof(struct rmnic_sqe), false,
		      &qp->sq, p->qid, cid))
		return RMNIC_SC_INVALID_ADDRESS;
	if (!ring_map(dev, p->cq_addr, p->depth * (uint32_t)sizeof(struct rmnic_cqe), true, &qp->cq,
		      p->qid, cid))
		goto unmap_sq;
	if (!rec_map(dev, p->rec_addr, &qp->rec, p->qid, cid))
		goto unmap_cq;
	qp_reset(qp, p);
	qp->active = true;
	if (p->qid == 0)
		return RMNIC_SC_OK;
	if (p->qclass == RMNIC_CLASS_PAGE_IN)
		dev->in[dev->n_in++] = qp;
	else
		dev->out[dev->n_out++] = qp;
	return RMNIC_SC_OK;

unmap_cq:
	rmnic_ringmem_unmap(&qp->cq, dev->cfg.ops, dev->cfg.host);
unmap_sq:
	rmnic_ringmem_unmap(&qp->sq, dev->cfg.ops, dev->cfg.host);
	return RMNIC_SC_INVALID_ADDRESS;
}

static uint16_t list_remove(struct rmnic_qp **list, uint16_t n, const struct rmnic_qp *qp)
{
	for (uint16_t i = 0; i < n; i++) {
		if (list[i] == qp) {
			list[i] = list[n - 1];
			return n - 1;
		}
	}
	return n;
}

void rmnic_qp_close(struct rmnic_qp *qp)
{
	struct rmnic_dev *dev = qp->dev;

	if (!qp->active)
		return;
	rmnic_pages_cancel(qp, NULL);
	for (uint32_t i = 0; i < qp->depth; i++)
		if (qp->cmds[i].state == RMNIC_CMD_DELAYED)
			dev->timers--;
	if (qp->irq_held)
		dev->timers--;
	qp->irq_held = false;
	qp->cur = NULL;
	qp->in_flight = 0;
	qp->active = false;
	dev->n_in = list_remove(dev->in, dev->n_in, qp);
	dev->n_out = list_remove(dev->out, dev->n_out, qp);
	dev->cfg.ops->unmap(dev->cfg.host, &qp->rec, 0);
	rmnic_ringmem_unmap(&qp->cq, dev->cfg.ops, dev->cfg.host);
	rmnic_ringmem_unmap(&qp->sq, dev->cfg.ops, dev->cfg.host);
}

/* --- The driver's indexes ------------------------------------------------------------ */

/*
 * RING-7: what runs out of its range makes the device FATAL: nothing that follows could be
 * believed. sq_tail is loaded with acquire semantics, which pairs with the driver's release
 * store of it (RING-4); cq_head's acquire pairs with the driver's release after it read the
 * entries, so that they are not overwritten under it (RING-8).
 */
bool rmnic_qp_sync(struct rmnic_qp *qp, uint32_t *sq_tail)
{
	struct rmnic_dbrec *rec = rec_of(qp);
	uint32_t tail = rmnic_le32_get(__atomic_load_n(&rec->sq_tail, __ATOMIC_ACQUIRE));
	uint32_t head;

	if (!rmnic_ring_valid(tail, qp->sq_head, qp->depth)) {
		rmnic_dev_refuse(qp->dev, RMNIC_REFUSAL_BAD_SQ_TAIL, qp->id, RMNIC_NO_CID, tail);
		rmnic_dev_fail(qp->dev, RMNIC_ERR_BAD_SQ_TAIL);
		return false;
	}
	*sq_tail = tail;
	if (tail == qp->sq_head)
		return true; /* an idle pair costs one cache line a round */
	head = rmnic_le32_get(__atomic_load_n(&rec->cq_head, __ATOMIC_ACQUIRE));
	if (!rmnic_ring_valid(qp->cq_tail, head, qp->depth)) {
		rmnic_dev_refuse(qp->dev, RMNIC_REFUSAL_BAD_CQ_HEAD, qp->id, RMNIC_NO_CID, head);
		rmnic_dev_fail(qp->dev, RMNIC_ERR_BAD_CQ_HEAD);
		return false;
	}
	qp->cq_head = head;
	return true;
}

/* RING-8: each command in flight has its place in the CQ reserved. */
bool rmnic_qp_room(const struct rmnic_qp *qp)
{
	return rmnic_ring_count(qp->cq_tail, qp->cq_head) + qp->in_flight < qp->depth;
}

/* --- Completions and interrupts ------------------------------------------------------ */

static struct rmnic_cqe cqe_of(const struct rmnic_qp *qp, uint16_t cid, uint16_t qid,
			       uint16_t status, uint32_t done, uint32_t failed)
{
	return (struct rmnic_cqe){
		.cid = rmnic_le16_put(cid),
		.status = rmnic_le16_put(status),
		.done = rmnic_le32_put(done),
		.failed = rmnic_le32_put(failed),
		.phase = rmnic_le32_put(rmnic_ring_phase(qp->cq_tail, qp->depth) |
					(uint32_t)qid << RMNIC_CQE_QID_SHIFT),
	};
}

void rmnic_cqe_write(struct rmnic_qp *qp, const struct rmnic_cqe *from)
{
	struct rmnic_cqe *cqe = rmnic_ringmem_at(
		&qp->cq, rmnic_ring_slot(qp->cq_tail, qp->depth) * (uint32_t)sizeof(*cqe));

	RMNIC_STEP();
	__atomic_store_n(&cqe->cid, from->cid, __ATOMIC_RELAXED);
	__atomic_store_n(&cqe->status, from->status, __ATOMIC_RELAXED);
	RMNIC_STEP();
	__atomic_store_n(&cqe->done, from->done, __ATOMIC_RELAXED);
	__atomic_store_n(&cqe->failed, from->failed, __ATOMIC_RELAXED);
	RMNIC_STEP();
	/* RING-2, RING-3: pairs with the driver's acquire load of phase. */
	__atomic_store_n(&cqe->phase, from->phase, __ATOMIC_RELEASE);
}

void rmnic_qp_post(struct rmnic_qp *qp, uint16_t slot, uint16_t cid, uint16_t qid, uint16_t status,
		   uint32_t done, uint32_t failed)
{
	const struct rmnic_cqe cqe = cqe_of(qp, cid, qid, status, done, failed);

	if (qp->row && slot != RMNIC_NO_CID)
		rmnic_flight_completing(qp, slot, &cqe);
	rmnic_cqe_write(qp, &cqe);
	qp->cq_tail++;
	if (!qp->row)
		return;
	rmnic_flight_tail(qp);
	if (slot != RMNIC_NO_CID)
		rmnic_flight_completed(qp, slot);
}

void rmnic_qp_post_stray(struct rmnic_qp *qp, uint16_t cid, uint16_t status)
{
	const struct rmnic_cqe cqe = cqe_of(qp, cid, qp->id, status, 0, RMNIC_NONE_FAILED);

	rmnic_flight_refusing(qp, cid, status);
	rmnic_cqe_write(qp, &cqe);
	qp->cq_tail++;
	qp->sq_head++;
	rmnic_flight_refused(qp);
	qp->stray = false;
}

void rmnic_qp_irq_raise(struct rmnic_qp *qp)
{
	struct rmnic_dev *dev = qp->dev;

	if (qp->vector == RMNIC_NO_VECTOR)
		return;
	dev->irq_map[qp->vector / 64] |= 1ull << (qp->vector % 64);
	dev->irq_any = true;
}

void rmnic_qp_irq_release(struct rmnic_qp *qp)
{
	if (!qp->irq_held)
		return;
	qp->irq_held = false;
	qp->dev->timers--;
	rmnic_qp_irq_raise(qp);
}

/* RING-12: count includes the entry that was armed, so that 1 is no coalescing. */
static void irq_decide(struct rmnic_qp *qp, bool armed, uint32_t arm)
{
	if (qp->irq_held) {
		if (qp->cq_tail - qp->irq_from >= qp->coalesce_count)
			rmnic_qp_irq_release(qp);
		return;
	}
	if (!armed)
		return;
	if (qp->coalesce_us == 0 || qp->cq_tail - arm >= qp->coalesce_count) {
		rmnic_qp_irq_raise(qp);
		return;
	}
	qp->irq_held = true;
	qp->irq_from = arm;
	qp->irq_due = rmnic_dev_now(qp->dev) + qp->coalesce_us * 1000ull;
	qp->dev->timers++;
}

/* Tells the host which bytes of the CQ were written: one run, or two around the end. */
static void cq_written(struct rmnic_qp *qp)
{
	const struct rmnic_host_ops *ops = qp->dev->cfg.ops;
	uint32_t first = rmnic_ring_slot(qp->cq_flushed, qp->depth);
	uint32_t n = qp->cq_tail - qp->cq_flushed;
	uint32_t run = n < qp->depth - first ? n : qp->depth - first;
	const uint32_t size = sizeof(struct rmnic_cqe);

	rmnic_ringmem_written(&qp->cq, ops, qp->dev->cfg.host, first * size, run * size);
	if (n > run)
		rmnic_ringmem_written(&qp->cq, ops, qp->dev->cfg.host, 0, (n - run) * size);
}

void rmnic_qp_flush(struct rmnic_qp *qp)
{
	struct rmnic_dbrec *rec = rec_of(qp);
	uint32_t arm;
	bool armed;

	if (qp->sq_head != qp->sq_head_pub) {
		/* RING-13: informative, nobody synchronizes on it. */
		__atomic_store_n(&rec->sq_head, rmnic_le32_put(qp->sq_head), __ATOMIC_RELAXED);
		rec_written(qp, offsetof(struct rmnic_dbrec, sq_head));
		qp->sq_head_pub = qp->sq_head;
	}
	if (qp->cq_tail == qp->cq_flushed)
		return;
	cq_written(qp);
	/*
	 * RING-11: between the phase words written above and the load of cq_arm; pairs with
	 * the driver's barrier between its store of cq_arm and its last look at the CQ.
	 * Either the driver sees the entry or we see the arm.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	arm = rmnic_le32_get(__atomic_load_n(&rec->cq_arm, __ATOMIC_RELAXED));
	armed = rmnic_ring_armed(arm, qp->cq_flushed, qp->cq_tail);
	qp->cq_flushed = qp->cq_tail;
	irq_decide(qp, armed, arm);
}

void rmnic_dev_irqs(struct rmnic_dev *dev)
{
	if (!dev->irq_any)
		return;
	dev->irq_any = false;
	for (size_t i = 0; i < sizeof(dev->irq_map) / sizeof(dev->irq_map[0]); i++) {
		uint64_t bits = dev->irq_map[i];

		dev->irq_map[i] = 0;
		for (; bits; bits &= bits - 1) {
			if (rmnic_fault_drop_irq(dev))
				continue;
			RMNIC_COUNT(dev->counters.interrupts, 1);
			dev->cfg.ops->irq(dev->cfg.host,
					  (uint16_t)(i * 64 + __builtin_ctzll(bits)));
		}
	}
}

/* --- Sleeping ------------------------------------------------------------------------ */

/*
 * What a poll could not get on with is no work: a CQ that the driver does not empty, or a
 * store that has not answered, must not keep the host spinning. An index out of range is
 * work, because the poll makes the device FATAL.
 */
bool rmnic_qp_has_work(const struct rmnic_qp *qp)
{
	const struct rmnic_dbrec *rec = rec_of(qp);
	uint32_t tail, head;

	if (qp->cur && (qp->id == 0 || qp->dev->free_page[qp->qclass]))
		return true;
	if (qp->queued_head != RMNIC_NO_CID && !qp->cur)
		return qp->id || qp->dev->state == RMNIC_DEV_RUNNING;
	if (qp->dev->state != RMNIC_DEV_RUNNING || qp->cur)
		return false;
	tail = rmnic_le32_get(__atomic_load_n(&rec->sq_tail, __ATOMIC_RELAXED));
	if (tail == qp->sq_head)
		return false;
	head = rmnic_le32_get(__atomic_load_n(&rec->cq_head, __ATOMIC_RELAXED));
	return !rmnic_ring_valid(tail, qp->sq_head, qp->depth) ||
	       !rmnic_ring_valid(qp->cq_tail, head, qp->depth) ||
	       rmnic_ring_count(qp->cq_tail, head) + qp->in_flight < qp->depth;
}

void rmnic_qp_need_wakeup(struct rmnic_qp *qp, uint32_t value)
{
	__atomic_store_n(&rec_of(qp)->need_wakeup, rmnic_le32_put(value), __ATOMIC_RELAXED);
	rec_written(qp, offsetof(struct rmnic_dbrec, need_wakeup));
}
