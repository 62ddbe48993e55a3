/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Admin commands (device.md, "Admin commands"). Each ends before the next is fetched, so the
 * admin pair has nothing in flight.
 */
#include <string.h>

#include "engine/internal.h"

/* The outcome of an admin command. done is command specific. */
struct result {
	uint16_t status;
	uint32_t done;
};

/* Which fields of the entry an opcode uses; the others are reserved (CMD-9). */
enum {
	USES_QID = 1,
	USES_ADDR = 2,
	USES_CREATE = 4,
	USES_CID = 8,
	USES_COALESCE = 16,
};

static uint16_t refuse(struct rmnic_dev *dev, enum rmnic_refusal why, uint64_t value,
		       uint16_t status)
{
	rmnic_dev_refuse(dev, why, 0, rmnic_le16_get(dev->qps[0].sqe.admin.cid), value);
	return status;
}

static uint16_t check_reserved(struct rmnic_dev *dev, const struct rmnic_admin_sqe *sqe,
			       unsigned int uses)
{
	uint64_t bad = sqe->flags | sqe->rsvd0;

	for (unsigned int i = 0; i < sizeof(sqe->rsvd1); i++)
		bad |= sqe->rsvd1[i];
	if (!(uses & USES_QID))
		bad |= sqe->qid;
	if (!(uses & USES_ADDR))
		bad |= sqe->addr;
	if (!(uses & USES_CREATE))
		bad |= sqe->vector | sqe->sq_addr | sqe->cq_addr | sqe->rec_addr | sqe->depth |
		       sqe->qclass;
	if (!(uses & USES_CID))
		bad |= sqe->target_cid;
	if (!(uses & USES_COALESCE))
		bad |= sqe->coalesce_count | sqe->coalesce_us;
	if (bad)
		return refuse(dev, RMNIC_REFUSAL_RESERVED_FIELD, bad, RMNIC_SC_INVALID_FIELD);
	return RMNIC_SC_OK;
}

/* The I/O pair that qid names, or NULL. */
static struct rmnic_qp *active_qp(struct rmnic_dev *dev, uint16_t qid)
{
	if (qid && qid <= dev->cfg.max_qpairs && dev->qps[qid].active)
		return &dev->qps[qid];
	refuse(dev, RMNIC_REFUSAL_BAD_QID, qid, 0);
	return NULL;
}

/* --- Data ---------------------------------------------------------------------------- */

/* Hands the 4 KiB in dev->scratch to the guest. */
static uint16_t give(struct rmnic_dev *dev, uint64_t addr)
{
	const struct rmnic_host_ops *ops = dev->cfg.ops;
	struct rmnic_mapping m;

	if (addr % RMNIC_PAGE_SIZE)
		return refuse(dev, RMNIC_REFUSAL_MISALIGNED, addr, RMNIC_SC_INVALID_ADDRESS);
	if (!ops->map(dev->cfg.host, addr, RMNIC_PAGE_SIZE, true, &m))
		return refuse(dev, RMNIC_REFUSAL_NOT_RAM, addr, RMNIC_SC_INVALID_ADDRESS);
	memcpy(m.ptr, &dev->scratch, RMNIC_PAGE_SIZE);
	ops->unmap(dev->cfg.host, &m, RMNIC_PAGE_SIZE);
	return RMNIC_SC_OK;
}

static struct result do_identify(struct rmnic_dev *dev, const struct rmnic_admin_sqe *sqe)
{
	struct rmnic_identify *id = &dev->scratch.identify;

	memset(id, 0, sizeof(*id));
	memcpy(id->serial, dev->cfg.serial, sizeof(id->serial));
	strcpy(id->model, "rmnic");
	memcpy(id->firmware, dev->cfg.firmware, sizeof(id->firmware));
	memcpy(id->uuid, dev->cfg.uuid, sizeof(id->uuid));
	id->capacity = rmnic_le64_put(dev->capacity);
	id->max_capacity = rmnic_le64_put(dev->cfg.max_capacity);
	id->features = rmnic_le64_put(dev->cfg.features);
	id->slab_pages = rmnic_le32_put(dev->cfg.slab_pages);
	id->max_pages = rmnic_le32_put(RMNIC_MAX_PAGES);
	id->max_ranges = rmnic_le32_put(RMNIC_MAX_RANGES);
	id->max_qpairs = rmnic_le16_put(dev->cfg.max_qpairs);
	id->max_depth = rmnic_le16_put(dev->cfg.max_depth);
	return (struct result){ give(dev, rmnic_le64_get(sqe->addr)), 0 };
}

void rmnic_dev_stats(struct rmnic_dev *dev, struct rmnic_stats *st)
{
	const struct rmnic_counters *c = &dev->counters;
	struct rmnic_store_counters sc;

	dev->cfg.store->ops->counters(dev->cfg.store, &sc);
	memset(st, 0, sizeof(*st));
	st->page_out_cmds = rmnic_le64_put(c->page_out_cmds);
	st->page_in_cmds = rmnic_le64_put(c->page_in_cmds);
	st->free_cmds = rmnic_le64_put(c->free_cmds);
	st->zero_cmds = rmnic_le64_put(c->zero_cmds);
	st->flush_cmds = rmnic_le64_put(c->flush_cmds);
	st->admin_cmds = rmnic_le64_put(c->admin_cmds);
	st->pages_out = rmnic_le64_put(c->pages_out);
	st->pages_in = rmnic_le64_put(c->pages_in);
	st->pages_freed = rmnic_le64_put(c->pages_freed);
	st->pages_zeroed = rmnic_le64_put(c->pages_zeroed);
	st->pages_same_filled = rmnic_le64_put(sc.same_filled);
	st->pages_in_unwritten = rmnic_le64_put(sc.in_unwritten);
	st->pages_stored = rmnic_le64_put(sc.stored);
	st->refused = rmnic_le64_put(c->status_refused);
	st->retried = rmnic_le64_put(c->status_retry);
	st->lost = rmnic_le64_put(c->status_data);
	st->aborted = rmnic_le64_put(c->aborted);
	st->interrupts = rmnic_le64_put(c->interrupts);
	st->doorbells = rmnic_le64_put(__atomic_load_n(&c->doorbells, __ATOMIC_RELAXED));
	st->wakeups = rmnic_le64_put(c->wakeups);
	st->resets = rmnic_le64_put(c->resets);
	st->fatal_errors = rmnic_le64_put(c->fatal_errors);
}

static struct result do_read_stats(struct rmnic_dev *dev, const struct rmnic_admin_sqe *sqe)
{
	rmnic_dev_stats(dev, &dev->scratch.stats);
	return (struct result){ give(dev, rmnic_le64_get(sqe->addr)), 0 };
}

/* --- Queue pairs --------------------------------------------------------------------- */

/* STATE-13: what a predecessor did before it died is done. */
static bool is_there(const struct rmnic_dev *dev, const struct rmnic_qp_params *p)
{
	const struct rmnic_qp *qp;

	if (p->qid == 0 || p->qid > dev->cfg.max_qpairs || !dev->qps[p->qid].active)
		return false;
	qp = &dev->qps[p->qid];
	return qp->qclass == p->qclass && qp->depth == p->depth && qp->vector == p->vector &&
	       qp->sq.addr == p->sq_addr && qp->cq.addr == p->cq_addr &&
	       qp->rec.addr == p->rec_addr;
}

static bool is_gone(const struct rmnic_dev *dev, uint16_t qid)
{
	return qid && qid <= dev->cfg.max_qpairs && !dev->qps[qid].active;
}

/* CMD-18: each value is checked before anything exists. */
static struct result do_create(struct rmnic_dev *dev, const struct rmnic_admin_sqe *sqe)
{
	struct rmnic_qp_params p = {
		.qid = rmnic_le16_get(sqe->qid),
		.vector = rmnic_le16_get(sqe->vector),
		.qclass = sqe->qclass,
		.depth = rmnic_le16_get(sqe->depth),
		.sq_addr = rmnic_le64_get(sqe->sq_addr),
		.cq_addr = rmnic_le64_get(sqe->cq_addr),
		.rec_addr = rmnic_le64_get(sqe->rec_addr),
	};
	uint16_t sc;

	if (dev->qps[0].redriven && is_there(dev, &p))
		return (struct result){ RMNIC_SC_OK, 0 };
	if (p.qid == 0 || p.qid > dev->cfg.max_qpairs || dev->qps[p.qid].active)
		return (struct result){
			refuse(dev, RMNIC_REFUSAL_BAD_QID, p.qid, RMNIC_SC_INVALID_QID), 0
		};
	if (p.qclass != RMNIC_CLASS_PAGE_OUT && p.qclass != RMNIC_CLASS_PAGE_IN)
		return (struct result){
			refuse(dev, RMNIC_REFUSAL_BAD_QCLASS, p.qclass, RMNIC_SC_INVALID_FIELD), 0
		};
	if (!rmnic_qp_depth_ok(dev, p.depth))
		return (struct result){
			refuse(dev, RMNIC_REFUSAL_BAD_DEPTH, p.depth, RMNIC_SC_INVALID_DEPTH), 0
		};
	if (p.vector != RMNIC_NO_VECTOR && p.vector >= dev->cfg.vectors)
		return (struct result){
			refuse(dev, RMNIC_REFUSAL_BAD_VECTOR, p.vector, RMNIC_SC_INVALID_VECTOR), 0
		};
	sc = rmnic_qp_open(dev, &p, rmnic_le16_get(sqe->cid));
	if (sc == RMNIC_SC_OK) {
		rmnic_qp_need_wakeup(&dev->qps[p.qid], 0);
		if (dev->qps[p.qid].row)
			rmnic_flight_open(&dev->qps[p.qid]);
	}
	return (struct result){ sc, 0 };
}

/* CMD-17: RING-8 has kept a place in the CQ for each command in flight. */
static struct result do_delete(struct rmnic_dev *dev, const struct rmnic_admin_sqe *sqe)
{
	struct rmnic_qp *qp;

	if (dev->qps[0].redriven && is_gone(dev, rmnic_le16_get(sqe->qid)))
		return (struct result){ RMNIC_SC_OK, 0 }; /* STATE-13 */
	qp = active_qp(dev, rmnic_le16_get(sqe->qid));
	if (!qp)
		return (struct result){ RMNIC_SC_INVALID_QID, 0 };
	for (uint32_t i = 0; i < qp->depth && qp->in_flight; i++)
		if (qp->cmds[i].state != RMNIC_CMD_IDLE)
			rmnic_cmd_abort(qp, &qp->cmds[i]);
	rmnic_qp_flush(qp);
	rmnic_qp_irq_release(qp);
	if (qp->row)
		rmnic_flight_close(qp);
	rmnic_qp_close(qp);
	return (struct result){ RMNIC_SC_OK, 0 };
}

static struct result do_coalesce(struct rmnic_dev *dev, const struct rmnic_admin_sqe *sqe)
{
	struct rmnic_qp *qp = active_qp(dev, rmnic_le16_get(sqe->qid));

	if (!qp)
		return (struct result){ RMNIC_SC_INVALID_QID, 0 };
	/* What the old setting holds back the new one knows nothing of (RING-12). */
	rmnic_qp_irq_release(qp);
	qp->coalesce_count = rmnic_le16_get(sqe->coalesce_count);
	qp->coalesce_us = rmnic_le16_get(sqe->coalesce_us);
	if (qp->row)
		rmnic_flight_coalesce(qp);
	return (struct result){ RMNIC_SC_OK, 0 };
}

/* CMD-16 */
static struct result do_abort(struct rmnic_dev *dev, const struct rmnic_admin_sqe *sqe)
{
	struct rmnic_qp *qp = active_qp(dev, rmnic_le16_get(sqe->qid));
	uint16_t cid = rmnic_le16_get(sqe->target_cid);

	if (!qp)
		return (struct result){ RMNIC_SC_INVALID_QID, 0 };
	if (cid >= qp->depth)
		return (struct result){
			refuse(dev, RMNIC_REFUSAL_BAD_CID, cid, RMNIC_SC_INVALID_CID), 0
		};
	if (qp->cmds[cid].state != RMNIC_CMD_IDLE || (qp->row && rmnic_qp_pull(qp, cid))) {
		rmnic_cmd_abort(qp, &qp->cmds[cid]);
	} else if (!qp->row && rmnic_qp_skip(qp, cid)) {
		rmnic_qp_post(qp, cid, cid, qp->id, RMNIC_SC_ABORTED, 0, 0);
		rmnic_dev_count_status(dev, RMNIC_SC_ABORTED);
	} else {
		return (struct result){ RMNIC_SC_OK, 0 };
	}
	/* Its CQE comes before ours, also for a driver that waits for an interrupt. */
	rmnic_qp_flush(qp);
	return (struct result){ RMNIC_SC_OK, 1 };
}

/* --- The ladder ---------------------------------------------------------------------- */

static const struct {
	struct result (*run)(struct rmnic_dev *dev, const struct rmnic_admin_sqe *sqe);
	unsigned int uses;
} commands[] = {
	[RMNIC_OP_IDENTIFY - RMNIC_OP_IDENTIFY] = { do_identify, USES_ADDR },
	[RMNIC_OP_CREATE_QP - RMNIC_OP_IDENTIFY] = { do_create, USES_QID | USES_CREATE },
	[RMNIC_OP_DELETE_QP - RMNIC_OP_IDENTIFY] = { do_delete, USES_QID },
	[RMNIC_OP_SET_COALESCE - RMNIC_OP_IDENTIFY] = { do_coalesce, USES_QID | USES_COALESCE },
	[RMNIC_OP_ABORT - RMNIC_OP_IDENTIFY] = { do_abort, USES_QID | USES_CID },
	[RMNIC_OP_READ_STATS - RMNIC_OP_IDENTIFY] = { do_read_stats, USES_ADDR },
};

static struct result run(struct rmnic_dev *dev, const struct rmnic_admin_sqe *sqe)
{
	const struct rmnic_qp *aq = &dev->qps[0];
	uint16_t cid = rmnic_le16_get(sqe->cid), sc;
	unsigned int index = sqe->opcode - (unsigned int)RMNIC_OP_IDENTIFY;

	if (cid >= aq->depth)
		return (struct result){
			refuse(dev, RMNIC_REFUSAL_BAD_CID, cid, RMNIC_SC_INVALID_CID), 0
		};
	if (index >= sizeof(commands) / sizeof(commands[0]) ||
	    (sqe->opcode == RMNIC_OP_SET_COALESCE && !(dev->features & RMNIC_F_COALESCE)))
		return (struct result){ refuse(dev, RMNIC_REFUSAL_INVALID_OPCODE, sqe->opcode,
					       RMNIC_SC_INVALID_OPCODE),
					0 };
	sc = check_reserved(dev, sqe, commands[index].uses);
	if (sc)
		return (struct result){ sc, 0 };
	return commands[index].run(dev, sqe);
}

bool rmnic_admin_serve(struct rmnic_dev *dev)
{
	struct rmnic_qp *aq = &dev->qps[0];
	const struct rmnic_host_ops *ops = dev->cfg.ops;
	struct rmnic_admin_sqe sqe;
	struct result result;
	uint64_t start;
	uint32_t tail;

	if (!rmnic_qp_sync(aq, &tail))
		return true;
	if (!rmnic_qp_fetch(aq, tail)) {
		rmnic_qp_flush(aq);
		return false;
	}
	sqe = aq->sqe.admin;
	start = rmnic_dev_now(dev);
	RMNIC_COUNT(dev->counters.admin_cmds, 1);
	if (ops->fetched)
		ops->fetched(dev->cfg.host, 0, rmnic_le16_get(sqe.cid), sqe.opcode, 0, 0);
	result = run(dev, &sqe);
	if (!aq->active)
		return true; /* it was the guest's rings that ended it: FATAL */
	if (aq->stray)
		rmnic_qp_post_stray(aq, rmnic_le16_get(sqe.cid), result.status);
	else if (!rmnic_fault_drop_admin(dev, sqe.opcode))
		rmnic_qp_post(aq, rmnic_le16_get(sqe.cid), rmnic_le16_get(sqe.cid), 0, result.status,
			      result.done, RMNIC_NONE_FAILED);
	rmnic_dev_count_status(dev, result.status);
	rmnic_hist_add(&dev->hist[RMNIC_STAGE_ADMIN_TOTAL], rmnic_dev_now(dev) - start);
	if (ops->completed)
		ops->completed(dev->cfg.host, 0, rmnic_le16_get(sqe.cid), result.status,
			       dev->now - start);
	rmnic_qp_flush(aq);
	return true;
}
