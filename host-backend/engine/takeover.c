/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Going on where a predecessor stopped (spec/state.md): its queues, and the commands that it had
 * in flight. Everything is looked at before anything is done. The block may be anything, so each
 * value is checked as if the guest had sent it (STATE-1, STATE-12).
 */
#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

/* --- Looking ------------------------------------------------------------------------------- */

/* A row and an entry as they are looked at: private copies. */
static struct rmnic_state_queue row_copy(const struct rmnic_qp *qp)
{
	struct rmnic_state_queue row;

	rmnic_copy_once(&row, qp->row, sizeof(row));
	return row;
}

static struct rmnic_state_flight flight_copy(const struct rmnic_qp *qp, uint16_t cid)
{
	struct rmnic_state_flight f;

	rmnic_copy_once(&f, &qp->flights[cid], sizeof(f));
	return f;
}

static const char *check_row(const struct rmnic_dev *dev, uint16_t qid,
			     const struct rmnic_state_queue *row)
{
	uint16_t vector = rmnic_le16_get(row->vector);
	uint64_t rsvd;

	memcpy(&rsvd, row->rsvd, sizeof(rsvd));
	if (rmnic_le32_get(row->active) != 1)
		return "the state block has a queue that is neither there nor not";
	if (!rmnic_qp_depth_ok(dev, rmnic_le32_get(row->depth)))
		return "the state block has a queue of an impossible depth";
	if (row->qclass != RMNIC_CLASS_PAGE_OUT && row->qclass != RMNIC_CLASS_PAGE_IN)
		return "the state block has a queue of an unknown class";
	if (vector != RMNIC_NO_VECTOR && vector >= dev->cfg.vectors)
		return "the state block has a queue whose vector the device has not";
	if (qid == 0 && (vector != 0 || row->qclass != 0))
		return "the state block has an admin queue with a class or another vector than 0";
	if (row->refusing > 1 || rsvd)
		return "the state block has a queue with reserved bits set";
	return NULL;
}

/* How far index b is behind index a; negative: ahead of it. Indexes run freely. */
static int32_t behind(rmnic_le32 b, rmnic_le32 a)
{
	return (int32_t)(rmnic_le32_get(a) - rmnic_le32_get(b));
}

static const char *check_flight(const struct rmnic_qp *qp, uint16_t cid,
				const struct rmnic_state_queue *row,
				const struct rmnic_state_flight *f, uint64_t submissions)
{
	uint32_t cq = rmnic_le32_get(f->cq_index), depth = rmnic_le32_get(row->depth);
	uint32_t qid = (uint32_t)(qp - qp->dev->qps);

	if (rmnic_le32_get(f->state) == RMNIC_STATE_FLIGHT_IDLE)
		return NULL;
	if (rmnic_le64_get(f->submission) >= submissions)
		return "the state block has a command in flight that was not counted";
	if (behind(f->sq_index, row->sq_head) < 0)
		return "the state block has a command in flight that was not fetched";
	if (rmnic_le16_get(f->sqe.cid) != cid)
		return "the state block has a command in flight in another's place";
	if (rmnic_le32_get(f->state) == RMNIC_STATE_FLIGHT_FETCHED)
		return NULL;
	if (rmnic_le32_get(f->state) != RMNIC_STATE_FLIGHT_COMPLETING)
		return "the state block has a command in flight in an unknown state";
	if (f->sq_index == row->sq_head)
		return "the state block has a completion of a command that was not fetched";
	if (behind(f->cq_index, row->cq_tail) < 0 || behind(f->cq_index, row->cq_tail) > 1)
		return "the state block has a completion under way that is not the last one";
	if (rmnic_le32_get(f->cqe.phase) != (rmnic_ring_phase(cq, depth) | qid << RMNIC_CQE_QID_SHIFT))
		return "the state block has a completion under way for another place in the ring";
	return NULL;
}

/* No more than one command can have been under way from one store to the next. */
static const char *check_flights(const struct rmnic_qp *qp, const struct rmnic_state_queue *row)
{
	uint64_t submissions = rmnic_le64_get(qp->dev->cfg.block->hdr->submissions);
	uint32_t fetching = row->refusing && row->refused_sq == row->sq_head, completing = fetching;

	if (row->refusing && (behind(row->refused_sq, row->sq_head) < 0 ||
			      behind(row->refused_sq, row->sq_head) > 1))
		return "the state block has a refusal under way that is not of the last command";
	for (uint32_t cid = 0; cid < rmnic_le32_get(row->depth); cid++) {
		const struct rmnic_state_flight f = flight_copy(qp, (uint16_t)cid);
		const char *why = check_flight(qp, (uint16_t)cid, row, &f, submissions);

		if (why)
			return why;
		if (rmnic_le32_get(f.state) == RMNIC_STATE_FLIGHT_IDLE)
			continue;
		fetching += f.sq_index == row->sq_head;
		completing += rmnic_le32_get(f.state) == RMNIC_STATE_FLIGHT_COMPLETING &&
			      f.cq_index == row->cq_tail;
	}
	if (fetching > 1 || completing > 1)
		return "the state block has several commands in flight in one place of a ring";
	return NULL;
}

static const char *look(struct rmnic_dev *dev, const struct rmnic_dev_enabling *e)
{
	const struct rmnic_state_hdr *hdr = dev->cfg.block->hdr;
	struct rmnic_state_queue row = row_copy(&dev->qps[0]);

	if (rmnic_le64_get(hdr->drv_features) != e->drv_features)
		return "the state block is of an enabling with other features";
	if (!row.active || rmnic_le32_get(row.depth) != e->aq_depth ||
	    rmnic_le64_get(row.sq_addr) != e->aq_sq || rmnic_le64_get(row.cq_addr) != e->aq_cq ||
	    rmnic_le64_get(row.rec_addr) != e->aq_rec)
		return "the state block has another admin queue than the device";
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs; i++) {
		const char *why;

		row = row_copy(&dev->qps[i]);
		if (!row.active)
			continue;
		why = check_row(dev, (uint16_t)i, &row);
		if (!why)
			why = check_flights(&dev->qps[i], &row);
		if (why)
			return why;
	}
	return NULL;
}

/* --- Doing --------------------------------------------------------------------------------- */

static const char *map_row(struct rmnic_dev *dev, uint16_t qid, const struct rmnic_state_queue *row)
{
	const struct rmnic_qp_params p = {
		.qid = qid,
		.vector = rmnic_le16_get(row->vector),
		.qclass = row->qclass,
		.depth = rmnic_le32_get(row->depth),
		.sq_addr = rmnic_le64_get(row->sq_addr),
		.cq_addr = rmnic_le64_get(row->cq_addr),
		.rec_addr = rmnic_le64_get(row->rec_addr),
	};
	struct rmnic_qp *qp = &dev->qps[qid];
	const char *why = check_row(dev, qid, row);

	if (why)
		return why; /* it changed since it was looked at */
	if (rmnic_qp_open(dev, &p, RMNIC_NO_CID) != RMNIC_SC_OK)
		return "the state block has a queue that does not lie in the guest's memory";
	qp->coalesce_count = rmnic_le16_get(row->coalesce_count);
	qp->coalesce_us = rmnic_le16_get(row->coalesce_us);
	qp->sq_head = qp->sq_head_pub = rmnic_le32_get(row->sq_head);
	qp->cq_tail = qp->cq_flushed = qp->cq_head = rmnic_le32_get(row->cq_tail);
	return NULL;
}

/*
 * The death was between COMPLETING and IDLE: what the guest may have seen stands. Writing the CQE
 * again changes nothing where it is in the ring, read or not.
 */
static void finish(struct rmnic_qp *qp, uint16_t cid, const struct rmnic_state_flight *f)
{
	if (rmnic_le32_get(f->cq_index) == qp->cq_tail) {
		rmnic_cqe_write(qp, &f->cqe);
		qp->cq_tail++;
		rmnic_flight_tail(qp);
	}
	rmnic_flight_completed(qp, cid);
}

static void finish_refusal(struct rmnic_qp *qp, const struct rmnic_state_queue *row)
{
	if (row->refusing && rmnic_le32_get(row->refused_sq) == qp->sq_head)
		rmnic_qp_post_stray(qp, rmnic_le16_get(row->refused_cid),
				    rmnic_le16_get(row->refused_status));
	else if (row->refusing)
		rmnic_flight_refused(qp);
}

static int by_submission(const void *a, const void *b)
{
	uint64_t x = ((const struct rmnic_flight_order *)a)->submission;
	uint64_t y = ((const struct rmnic_flight_order *)b)->submission;

	return x < y ? -1 : x > y;
}

static const char *take_flights(struct rmnic_qp *qp, const struct rmnic_state_queue *row)
{
	struct rmnic_flight_order *order = qp->dev->order;
	uint32_t n = 0;

	for (uint32_t cid = 0; cid < qp->depth; cid++) {
		const struct rmnic_state_flight f = flight_copy(qp, (uint16_t)cid);
		uint32_t state = rmnic_le32_get(f.state);

		if (state == RMNIC_STATE_FLIGHT_COMPLETING) {
			finish(qp, (uint16_t)cid, &f);
		} else if (state == RMNIC_STATE_FLIGHT_FETCHED) {
			order[n].submission = rmnic_le64_get(f.submission);
			order[n++].cid = (uint16_t)cid;
			/* STATE-9: the death was before sq_head was moved. */
			if (rmnic_le32_get(f.sq_index) == qp->sq_head)
				rmnic_flight_head(qp);
		}
	}
	finish_refusal(qp, row);
	/* STATE-11. Here, and not while they are served: each poll round does a bounded part. */
	qsort(order, n, sizeof(*order), by_submission);
	for (uint32_t i = 0; i < n; i++) {
		struct rmnic_state_flight f = flight_copy(qp, order[i].cid);

		f.sqe.cid = rmnic_le16_put(order[i].cid);
		if (!rmnic_cmd_queue(qp, &f.sqe, true))
			return "a command in flight could not be queued";
	}
	return NULL;
}

bool rmnic_dev_take_over(struct rmnic_dev *dev, const struct rmnic_dev_enabling *e)
{
	dev->why = look(dev, e);
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs && !dev->why; i++) {
		const struct rmnic_state_queue row = row_copy(&dev->qps[i]);

		if (row.active)
			dev->why = map_row(dev, (uint16_t)i, &row);
	}
	rmnic_dev_now(dev);
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs && !dev->why; i++) {
		struct rmnic_qp *qp = &dev->qps[i];
		const struct rmnic_state_queue row = row_copy(qp);

		if (!qp->active)
			continue;
		dev->why = take_flights(qp, &row);
		if (!dev->why)
			rmnic_qp_flush(qp);
	}
	if (!dev->why)
		return true;
	rmnic_dev_close(dev);
	return false;
}
