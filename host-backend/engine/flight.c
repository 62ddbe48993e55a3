/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues and commands in flight, recorded in the state block (spec/state.md): what this process
 * leaves to its successor when it dies at any instruction. One thread writes, nobody reads while
 * it lives. RMNIC_PUBLISH() marks each store that a successor decides by.
 */
#include <string.h>

#include "engine/internal.h"
#include "engine/step.h"

/* --- Queues ---------------------------------------------------------------------------- */

void rmnic_flight_open(struct rmnic_qp *qp)
{
	struct rmnic_state_queue *row = qp->row;

	/* Entries of an earlier pair of this number. Nobody looks at them before active is 1. */
	for (uint32_t i = 0; i < qp->depth; i++)
		qp->flights[i].state = RMNIC_STATE_FLIGHT_IDLE;
	RMNIC_STEP();
	*row = (struct rmnic_state_queue){
		.depth = rmnic_le32_put(qp->depth),
		.sq_addr = rmnic_le64_put(qp->sq.addr),
		.cq_addr = rmnic_le64_put(qp->cq.addr),
		.rec_addr = rmnic_le64_put(qp->rec.addr),
		.vector = rmnic_le16_put(qp->vector),
		.qclass = qp->qclass,
	};
	RMNIC_PUBLISH(&row->active, rmnic_le32_put(1)); /* the row is whole */
}

void rmnic_flight_close(struct rmnic_qp *qp)
{
	RMNIC_PUBLISH(&qp->row->active, 0);
}

void rmnic_flight_coalesce(struct rmnic_qp *qp)
{
	qp->row->coalesce_count = rmnic_le16_put(qp->coalesce_count);
	RMNIC_STEP(); /* half of it is no harm: the command is redriven */
	qp->row->coalesce_us = rmnic_le16_put(qp->coalesce_us);
}

/* --- Commands -------------------------------------------------------------------------- */

/* STATE-9 */
void rmnic_flight_fetched(struct rmnic_qp *qp, const struct rmnic_sqe *sqe)
{
	struct rmnic_state_flight *f = &qp->flights[rmnic_le16_get(sqe->cid)];
	struct rmnic_state_hdr *hdr = qp->dev->cfg.block->hdr;
	uint64_t submission = rmnic_le64_get(hdr->submissions);

	/* Before an entry has the number, so that no other one gets it. */
	RMNIC_PUBLISH(&hdr->submissions, rmnic_le64_put(submission + 1));
	f->sq_index = rmnic_le32_put(qp->sq_head);
	f->submission = rmnic_le64_put(submission);
	RMNIC_STEP();
	f->sqe = *sqe;
	/* The entry is whole: from here on the command is redriven. */
	RMNIC_PUBLISH(&f->state, rmnic_le32_put(RMNIC_STATE_FLIGHT_FETCHED));
	rmnic_flight_head(qp);
}

/* From here on the SQE is not fetched again; before, its entry's sq_index says that it was. */
void rmnic_flight_head(struct rmnic_qp *qp)
{
	qp->sq_head++;
	RMNIC_PUBLISH(&qp->row->sq_head, rmnic_le32_put(qp->sq_head));
}

/* STATE-10: from here on the command is not redriven, because the guest may see its CQE. */
void rmnic_flight_completing(struct rmnic_qp *qp, uint16_t slot, const struct rmnic_cqe *cqe)
{
	struct rmnic_state_flight *f = &qp->flights[slot];

	RMNIC_STEP();
	f->cq_index = rmnic_le32_put(qp->cq_tail);
	f->cqe = *cqe;
	RMNIC_PUBLISH(&f->state, rmnic_le32_put(RMNIC_STATE_FLIGHT_COMPLETING));
}

void rmnic_flight_tail(struct rmnic_qp *qp)
{
	RMNIC_PUBLISH(&qp->row->cq_tail, rmnic_le32_put(qp->cq_tail));
}

void rmnic_flight_completed(struct rmnic_qp *qp, uint16_t slot)
{
	RMNIC_PUBLISH(&qp->flights[slot].state, rmnic_le32_put(RMNIC_STATE_FLIGHT_IDLE));
}

/* STATE-15 */
void rmnic_flight_refusing(struct rmnic_qp *qp, uint16_t cid, uint16_t status)
{
	RMNIC_STEP();
	qp->row->refused_sq = rmnic_le32_put(qp->sq_head);
	qp->row->refused_cid = rmnic_le16_put(cid);
	qp->row->refused_status = rmnic_le16_put(status);
	RMNIC_PUBLISH(&qp->row->refusing, 1);
}

/* Both indexes in one store: the SQE is fetched and its CQE written, or neither. */
void rmnic_flight_refused(struct rmnic_qp *qp)
{
	typedef uint64_t __attribute__((may_alias)) two_words;
	union {
		rmnic_le32 index[2]; /* sq_head, cq_tail: as they lie in the row */
		uint64_t both;
	} now = { { rmnic_le32_put(qp->sq_head), rmnic_le32_put(qp->cq_tail) } };

	RMNIC_PUBLISH((two_words *)(void *)&qp->row->sq_head, now.both);
	RMNIC_PUBLISH(&qp->row->refusing, 0);
}

/* --- Enablings --------------------------------------------------------------------------- */

void rmnic_flight_drop(struct rmnic_dev *dev)
{
	struct rmnic_state_block *b = dev->cfg.block;
	struct rmnic_store *store = dev->cfg.store;

	if (!b)
		return;
	/* First: what is left of an enabling is of no use without all of it. */
	RMNIC_PUBLISH(&b->hdr->generation, 0);
	for (uint32_t i = 0; i < b->nqueues; i++)
		if (b->queues[i].active)
			RMNIC_PUBLISH(&b->queues[i].active, 0);
	if (dev->unsettled && store->ops->settle)
		store->ops->settle(store, 0, b->npages);
	dev->unsettled = false;
}

void rmnic_flight_generation(struct rmnic_dev *dev, const struct rmnic_dev_enabling *e)
{
	struct rmnic_state_hdr *hdr = dev->cfg.block->hdr;

	RMNIC_STEP();
	hdr->drv_features = rmnic_le64_put(e->drv_features);
	/* The admin queue pair's row is there: a successor goes on with it. */
	RMNIC_PUBLISH(&hdr->generation, rmnic_le32_put(e->generation));
}
