/* SPDX-License-Identifier: BSD-3-Clause */
/* Which SQE comes next: fetching, and what ABORT does to commands that were not fetched yet. */
#include "engine/internal.h"

/* RING-1 */
static const struct rmnic_sqe *sqe_at(const struct rmnic_qp *qp, uint32_t index)
{
	return rmnic_ringmem_at(&qp->sq, rmnic_ring_slot(index, qp->depth) *
					 (uint32_t)sizeof(struct rmnic_sqe));
}

/* Passes over commands that were aborted before they were fetched. */
static void skip_leading(struct rmnic_qp *qp)
{
	while (qp->skips) {
		uint32_t slot = rmnic_ring_slot(qp->sq_head, qp->depth);
		uint64_t bit = 1ull << (slot % 64);

		if (!(qp->skip[slot / 64] & bit))
			return;
		qp->skip[slot / 64] &= ~bit;
		qp->skips--;
		qp->sq_head++;
	}
}

/* Whether the command has an entry of the flight table to itself (STATE-15). */
static bool has_entry(const struct rmnic_qp *qp, uint16_t cid)
{
	return cid < qp->depth && qp->cmds[cid].state == RMNIC_CMD_IDLE;
}

/* STATE-11: what was fetched before comes first, from the copy that was made then. */
static void fetch_queued(struct rmnic_qp *qp)
{
	struct rmnic_cmd *cmd = &qp->cmds[qp->queued_head];

	rmnic_copy_once(&qp->sqe, &qp->flights[cmd->cid].sqe, sizeof(qp->sqe));
	/* The block is somebody else's memory: what the table is indexed by stays what it was. */
	qp->sqe.io.cid = rmnic_le16_put(cmd->cid);
	qp->redriven = cmd->redriven;
	qp->stray = false;
	qp->queued_head = cmd->next;
	rmnic_cmd_move(qp, cmd, RMNIC_CMD_IDLE);
}

bool rmnic_qp_fetch(struct rmnic_qp *qp, uint32_t sq_tail)
{
	if (qp->queued_head != RMNIC_NO_CID) {
		fetch_queued(qp);
		return true;
	}
	skip_leading(qp);
	if (qp->sq_head == sq_tail || !rmnic_qp_room(qp))
		return false;
	/* RING-6: copied once; nothing looks at the ring again. */
	rmnic_copy_once(&qp->sqe, sqe_at(qp, qp->sq_head), sizeof(qp->sqe));
	if (!qp->row) {
		qp->sq_head++;
		return true;
	}
	qp->redriven = false;
	qp->stray = !has_entry(qp, rmnic_le16_get(qp->sqe.io.cid));
	if (!qp->stray)
		rmnic_flight_fetched(qp, &qp->sqe.io);
	return true;
}

uint64_t rmnic_qp_peek(const struct rmnic_qp *qp)
{
	if (qp->sq_head == qp->sq_seen)
		return UINT64_MAX;
	return rmnic_le64_get(__atomic_load_n(&sqe_at(qp, qp->sq_head)->rpn, __ATOMIC_RELAXED));
}

/*
 * ABORT of a command that the driver has submitted and that is not fetched yet (CMD-16): it
 * must not run later. Its slot is passed over; at once where it is the next, because the
 * driver may reuse it as soon as it has seen the completion.
 */
bool rmnic_qp_skip(struct rmnic_qp *qp, uint16_t cid)
{
	uint32_t tail;

	if (!rmnic_qp_sync(qp, &tail))
		return false;
	for (uint32_t i = qp->sq_head; i != tail; i++) {
		uint32_t slot = rmnic_ring_slot(i, qp->depth);
		uint64_t bit = 1ull << (slot % 64);

		if ((qp->skip[slot / 64] & bit) ||
		    rmnic_le16_get(__atomic_load_n(&sqe_at(qp, i)->cid, __ATOMIC_RELAXED)) != cid)
			continue;
		if (!rmnic_qp_room(qp))
			return false;
		qp->skip[slot / 64] |= bit;
		qp->skips++;
		skip_leading(qp);
		return true;
	}
	return false;
}

/*
 * STATE-14: the same where fetching is recorded. A table indexed by cid has no place for two that
 * are passed over, so the command is fetched, and what lies before it. A driver that keeps to
 * RING-7 has room in the CQ for all that it submitted.
 */
bool rmnic_qp_pull(struct rmnic_qp *qp, uint16_t cid)
{
	struct rmnic_sqe sqe;
	uint32_t tail, at;

	if (!rmnic_qp_sync(qp, &tail))
		return false;
	for (at = qp->sq_head; at != tail; at++)
		if (rmnic_le16_get(__atomic_load_n(&sqe_at(qp, at)->cid, __ATOMIC_RELAXED)) == cid)
			break;
	if (at == tail)
		return false;
	while (rmnic_qp_room(qp)) {
		uint16_t this_cid;

		rmnic_copy_once(&sqe, sqe_at(qp, qp->sq_head), sizeof(sqe));
		this_cid = rmnic_le16_get(sqe.cid);
		if (!has_entry(qp, this_cid))
			return false; /* only a driver with a fault comes here */
		rmnic_flight_fetched(qp, &sqe);
		if (!rmnic_cmd_queue(qp, &sqe, false))
			return false;
		if (this_cid == cid)
			return true;
		if (qp->sq_head == tail)
			return false; /* the ring was changed under our eyes */
	}
	return false;
}
