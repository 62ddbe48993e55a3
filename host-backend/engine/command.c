/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * I/O commands (device.md, "Commands"): a state machine for each, so that a store may answer
 * later. check.c is how one gets in, transfer.c what moves its pages.
 */
#include "engine/internal.h"

/* Pages of a FREE or ZERO in one step, and what such a step counts against the budget. */
#define DROP_PAGES 1024u
#define DROP_COST  8u

/* --- The state of a command ---------------------------------------------------------- */

/* The one place where a state changes. An illegal move is a bug of ours: FATAL, not a crash. */
bool rmnic_cmd_move(struct rmnic_qp *qp, struct rmnic_cmd *cmd, enum rmnic_cmd_state to)
{
#define TO(state) (1u << RMNIC_CMD_##state)
	static const uint8_t legal[] = {
		[RMNIC_CMD_IDLE] = TO(STARTING) | TO(QUEUED),
		[RMNIC_CMD_QUEUED] = TO(IDLE),
		[RMNIC_CMD_STARTING] = TO(WAITING) | TO(DELAYED) | TO(DROPPED) | TO(IDLE),
		[RMNIC_CMD_WAITING] = TO(DELAYED) | TO(DROPPED) | TO(IDLE),
		[RMNIC_CMD_DELAYED] = TO(DROPPED) | TO(IDLE),
		[RMNIC_CMD_DROPPED] = TO(IDLE),
	};
#undef TO
	if (!(legal[cmd->state] & (1u << to))) {
		rmnic_dev_fail(qp->dev, RMNIC_ERR_INTERNAL);
		return false;
	}
	if (cmd->state == RMNIC_CMD_IDLE)
		qp->in_flight++;
	else if (to == RMNIC_CMD_IDLE)
		qp->in_flight--;
	cmd->state = (uint8_t)to;
	return true;
}

/* --- Ending a command ---------------------------------------------------------------- */

void rmnic_dev_count_status(struct rmnic_dev *dev, uint16_t status)
{
	struct rmnic_counters *c = &dev->counters;

	switch (RMNIC_SC_CLASS(status)) {
	case RMNIC_SC_CLASS_REFUSED:
		RMNIC_COUNT(c->status_refused, 1);
		break;
	case RMNIC_SC_CLASS_RETRY:
		RMNIC_COUNT(c->status_retry, 1);
		break;
	case RMNIC_SC_CLASS_DATA:
		RMNIC_COUNT(c->status_data, 1);
		break;
	}
	if (status == RMNIC_SC_ABORTED)
		RMNIC_COUNT(c->aborted, 1);
}

static void count_opcode(struct rmnic_dev *dev, uint8_t opcode)
{
	struct rmnic_counters *c = &dev->counters;

	switch (opcode) {
	case RMNIC_OP_PAGE_OUT:
		RMNIC_COUNT(c->page_out_cmds, 1);
		break;
	case RMNIC_OP_PAGE_IN:
		RMNIC_COUNT(c->page_in_cmds, 1);
		break;
	case RMNIC_OP_FREE:
		RMNIC_COUNT(c->free_cmds, 1);
		break;
	case RMNIC_OP_ZERO:
		RMNIC_COUNT(c->zero_cmds, 1);
		break;
	case RMNIC_OP_FLUSH:
		RMNIC_COUNT(c->flush_cmds, 1);
		break;
	}
}

static uint16_t idle_cid(const struct rmnic_qp *qp)
{
	for (uint32_t i = 0; i < qp->depth; i++)
		if (qp->cmds[i].state == RMNIC_CMD_IDLE)
			return (uint16_t)i;
	return (uint16_t)qp->depth;
}

/* The completion entry, as it should be or as a fault wants it. */
static void post(struct rmnic_qp *qp, struct rmnic_cmd *cmd, enum rmnic_fault_cqe fault)
{
	uint16_t cid = cmd->cid, qid = qp->id, status = cmd->status;
	uint32_t done = cmd->done;

	switch (fault) {
	case RMNIC_FAULT_CQE_BAD_CID:
		cid = idle_cid(qp);
		break;
	case RMNIC_FAULT_CQE_DOUBLE:
		/* Only where there is room: RING-8 is kept even then. */
		if (rmnic_qp_room(qp))
			rmnic_qp_post(qp, RMNIC_NO_CID, cid, qid, status, done, cmd->failed);
		break;
	case RMNIC_FAULT_CQE_BAD_STATUS:
		status = 0xfff;
		break;
	case RMNIC_FAULT_CQE_BAD_QID:
		qid++;
		break;
	case RMNIC_FAULT_CQE_BAD_DONE:
		done = cmd->npages + 1;
		break;
	default:
		break;
	}
	rmnic_qp_post(qp, cmd->cid, cid, qid, status, done, cmd->failed);
}

/*
 * STATE-16: pages that a predecessor was writing, and that this end of the command leaves as they
 * were. A page that this life has written, or given up, says so already.
 */
static void settle(struct rmnic_dev *dev, uint8_t opcode, uint64_t rpn, uint64_t npages)
{
	struct rmnic_store *store = dev->cfg.store;

	if (opcode != RMNIC_OP_PAGE_OUT || !store->ops->settle || rpn >= dev->cfg.max_capacity ||
	    npages > dev->cfg.max_capacity - rpn)
		return;
	store->ops->settle(store, rpn, npages);
}

/* CMD-2: the one place where a command in flight gets its completion. dev->now is now. */
static void cmd_complete(struct rmnic_qp *qp, struct rmnic_cmd *cmd, enum rmnic_fault_cqe fault)
{
	struct rmnic_dev *dev = qp->dev;
	uint64_t latency = dev->now - cmd->t_fetch;

	if (fault == RMNIC_FAULT_CQE_DROP) {
		rmnic_cmd_move(qp, cmd, RMNIC_CMD_DROPPED);
		return;
	}
	if (cmd->redriven && cmd->status != RMNIC_SC_OK)
		settle(dev, cmd->opcode, cmd->rpn, cmd->npages);
	post(qp, cmd, fault);
	if (!rmnic_cmd_move(qp, cmd, RMNIC_CMD_IDLE))
		return;
	rmnic_dev_count_status(dev, cmd->status);
	count_opcode(dev, cmd->opcode);
	if (cmd->opcode == RMNIC_OP_PAGE_IN)
		rmnic_hist_add(&dev->hist[RMNIC_STAGE_PAGE_IN_TOTAL], latency);
	else if (cmd->opcode == RMNIC_OP_PAGE_OUT)
		rmnic_hist_add(&dev->hist[RMNIC_STAGE_PAGE_OUT_TOTAL], latency);
	else if (cmd->opcode == RMNIC_OP_FREE)
		rmnic_hist_add(&dev->hist[RMNIC_STAGE_FREE_TOTAL], latency);
	if (dev->cfg.ops->completed)
		dev->cfg.ops->completed(dev->cfg.host, qp->id, cmd->cid, cmd->status, latency);
}

/* Into the list of delayed commands, which is sorted by due time; mostly at its end. */
static void delay(struct rmnic_qp *qp, struct rmnic_cmd *cmd, uint64_t due)
{
	uint16_t *link = &qp->delayed_head;

	if (!rmnic_cmd_move(qp, cmd, RMNIC_CMD_DELAYED))
		return;
	cmd->due = due;
	qp->dev->timers++;
	if (qp->delayed_head != RMNIC_NO_CID && qp->cmds[qp->delayed_tail].due <= due)
		link = &qp->cmds[qp->delayed_tail].next;
	while (*link != RMNIC_NO_CID && qp->cmds[*link].due <= due)
		link = &qp->cmds[*link].next;
	cmd->next = *link;
	*link = cmd->cid;
	if (cmd->next == RMNIC_NO_CID)
		qp->delayed_tail = cmd->cid;
}

static void undelay(struct rmnic_qp *qp, const struct rmnic_cmd *cmd)
{
	uint16_t *link = &qp->delayed_head, prev = RMNIC_NO_CID;

	while (*link != cmd->cid) {
		prev = *link;
		link = &qp->cmds[*link].next;
	}
	*link = cmd->next;
	if (qp->delayed_tail == cmd->cid)
		qp->delayed_tail = prev;
	qp->dev->timers--;
}

bool rmnic_qp_delayed(struct rmnic_qp *qp, uint64_t now)
{
	bool any = false;

	while (qp->active && qp->delayed_head != RMNIC_NO_CID) {
		struct rmnic_cmd *cmd = &qp->cmds[qp->delayed_head];

		if (cmd->due > now)
			break;
		undelay(qp, cmd);
		cmd_complete(qp, cmd, rmnic_fault_cqe(qp->dev, cmd));
		any = true;
	}
	if (any && qp->active)
		rmnic_qp_flush(qp);
	return any;
}

void rmnic_cmd_finish(struct rmnic_qp *qp, struct rmnic_cmd *cmd)
{
	struct rmnic_dev *dev = qp->dev;
	uint64_t now = rmnic_dev_now(dev), wait = rmnic_fault_delay(dev, cmd);

	if (cmd->opcode == RMNIC_OP_PAGE_IN)
		rmnic_hist_add(&dev->hist[RMNIC_STAGE_PAGE_IN_STORE], now - cmd->t_fetch);
	else if (cmd->opcode == RMNIC_OP_PAGE_OUT)
		rmnic_hist_add(&dev->hist[RMNIC_STAGE_PAGE_OUT_STORE], now - cmd->t_fetch);
	if (wait)
		delay(qp, cmd, now + wait);
	else
		cmd_complete(qp, cmd, rmnic_fault_cqe(dev, cmd));
}

/* CMD-3: status is that of the first unit that failed, also when they end out of order. */
void rmnic_cmd_fail_unit(struct rmnic_cmd *cmd, uint32_t index, uint16_t status)
{
	if (index >= cmd->failed)
		return;
	cmd->failed = index;
	cmd->status = status;
}

/* --- FREE, ZERO, FLUSH --------------------------------------------------------------- */

static uint16_t drop(struct rmnic_dev *dev, uint8_t opcode, uint64_t rpn, uint32_t n)
{
	struct rmnic_store *store = dev->cfg.store;
	uint16_t status = opcode == RMNIC_OP_ZERO ? store->ops->zero(store, rpn, n)
						  : store->ops->free(store, rpn, n);

	if (status != RMNIC_SC_OK)
		return status;
	if (opcode == RMNIC_OP_ZERO)
		RMNIC_COUNT(dev->counters.pages_zeroed, n);
	else
		RMNIC_COUNT(dev->counters.pages_freed, n);
	return status;
}

/* One bounded piece of a FREE or ZERO: the rest of a range, or DROP_PAGES of it. */
static uint32_t step_drop(struct rmnic_qp *qp, struct rmnic_cmd *cmd)
{
	bool list = cmd->flags & RMNIC_SQE_F_LIST;
	uint64_t rpn = cmd->rpn + cmd->started;
	uint32_t left = cmd->npages - cmd->started, n;
	uint16_t status;

	if (cmd->started >= cmd->stop_at) {
		rmnic_cmd_fail_unit(cmd, cmd->started, cmd->fault_status);
		return DROP_COST;
	}
	if (list) {
		const struct rmnic_range *range = rmnic_qp_range(qp, cmd->started);

		rpn = rmnic_le64_get(range->rpn) + qp->range_done;
		left = rmnic_le32_get(range->npages) - qp->range_done;
	} else if (left > cmd->stop_at - cmd->started) {
		left = cmd->stop_at - cmd->started;
	}
	n = left < DROP_PAGES ? left : DROP_PAGES;
	status = drop(qp->dev, cmd->opcode, rpn, n);
	if (status != RMNIC_SC_OK) {
		rmnic_cmd_fail_unit(cmd, cmd->started, status);
		return DROP_COST;
	}
	if (!list) {
		cmd->started += n;
	} else if (n < left) {
		qp->range_done += n;
		return DROP_COST;
	} else {
		qp->range_done = 0;
		cmd->started++;
	}
	cmd->done = cmd->started;
	return DROP_COST;
}

static uint32_t step_flush(struct rmnic_qp *qp, struct rmnic_cmd *cmd)
{
	struct rmnic_store *store = qp->dev->cfg.store;

	cmd->status = cmd->fault_status ? cmd->fault_status : store->ops->flush(store);
	return 1;
}

/* --- The machine --------------------------------------------------------------------- */

/* One step of the command that is being started. Returns what it cost, in pages. */
static uint32_t step(struct rmnic_qp *qp, uint32_t budget)
{
	struct rmnic_cmd *cmd = qp->cur;
	uint32_t cost;

	if (cmd->opcode == RMNIC_OP_PAGE_IN || cmd->opcode == RMNIC_OP_PAGE_OUT)
		cost = rmnic_cmd_step_pages(qp, cmd, budget);
	else if (cmd->opcode == RMNIC_OP_FLUSH)
		cost = step_flush(qp, cmd);
	else
		cost = step_drop(qp, cmd);
	if (cmd->started < cmd->npages && cmd->failed == RMNIC_NONE_FAILED)
		return cost;
	qp->cur = NULL;
	if (cmd->pending)
		rmnic_cmd_move(qp, cmd, RMNIC_CMD_WAITING);
	else
		rmnic_cmd_finish(qp, cmd);
	return cost ? cost : 1;
}

/* CMD-4: a refused command has changed nothing. It never enters the in-flight table. */
static void end_refused(struct rmnic_qp *qp, uint16_t status, uint32_t failed)
{
	struct rmnic_dev *dev = qp->dev;
	uint16_t cid = rmnic_le16_get(qp->sqe.io.cid);

	if (qp->redriven)
		settle(dev, qp->sqe.io.opcode, rmnic_le64_get(qp->sqe.io.rpn),
		       rmnic_le32_get(qp->sqe.io.npages));
	if (qp->stray)
		rmnic_qp_post_stray(qp, cid, status);
	else
		rmnic_qp_post(qp, cid, cid, qp->id, status, 0, failed);
	rmnic_dev_count_status(dev, status);
	count_opcode(dev, qp->sqe.io.opcode);
	if (dev->cfg.ops->completed)
		dev->cfg.ops->completed(dev->cfg.host, qp->id, cid, status, 0);
}

/* What its SQE says of a command, and nothing done yet. */
static void cmd_fill(struct rmnic_cmd *cmd, const struct rmnic_sqe *sqe, uint64_t now)
{
	cmd->opcode = sqe->opcode;
	cmd->flags = sqe->flags;
	cmd->status = RMNIC_SC_OK;
	cmd->npages = rmnic_le32_get(sqe->npages);
	cmd->started = cmd->pending = cmd->done = 0;
	cmd->failed = RMNIC_NONE_FAILED;
	cmd->rpn = rmnic_le64_get(sqe->rpn);
	cmd->t_fetch = now;
	cmd->stop_at = cmd->npages;
	cmd->fault_status = 0;
}

bool rmnic_cmd_queue(struct rmnic_qp *qp, const struct rmnic_sqe *sqe, bool redriven)
{
	uint16_t cid = rmnic_le16_get(sqe->cid);
	struct rmnic_cmd *cmd = &qp->cmds[cid];

	if (!rmnic_cmd_move(qp, cmd, RMNIC_CMD_QUEUED))
		return false;
	cmd_fill(cmd, sqe, qp->dev->now);
	cmd->redriven = redriven;
	cmd->next = RMNIC_NO_CID;
	if (qp->queued_head == RMNIC_NO_CID)
		qp->queued_head = cid;
	else
		qp->cmds[qp->queued_tail].next = cid;
	qp->queued_tail = cid;
	return true;
}

static void unqueue(struct rmnic_qp *qp, const struct rmnic_cmd *cmd)
{
	uint16_t *link = &qp->queued_head, prev = RMNIC_NO_CID;

	while (*link != cmd->cid) {
		prev = *link;
		link = &qp->cmds[*link].next;
	}
	*link = cmd->next;
	if (qp->queued_tail == cmd->cid)
		qp->queued_tail = prev;
}

/* The SQE in qp->sqe becomes the command that is being started, or is refused. */
static void begin(struct rmnic_qp *qp)
{
	const struct rmnic_sqe *sqe = &qp->sqe.io;
	struct rmnic_dev *dev = qp->dev;
	struct rmnic_cmd *cmd;
	uint32_t failed;
	uint16_t status;

	if (dev->cfg.ops->fetched)
		dev->cfg.ops->fetched(dev->cfg.host, qp->id, rmnic_le16_get(sqe->cid), sqe->opcode,
				      rmnic_le64_get(sqe->rpn), rmnic_le32_get(sqe->npages));
	status = rmnic_cmd_check(qp, &failed);
	if (status) {
		end_refused(qp, status, failed);
		return;
	}
	cmd = &qp->cmds[rmnic_le16_get(sqe->cid)];
	if (!rmnic_cmd_move(qp, cmd, RMNIC_CMD_STARTING))
		return;
	cmd_fill(cmd, sqe, dev->now);
	cmd->redriven = qp->redriven;
	cmd->fault_status = rmnic_fault_status(dev, cmd, &cmd->stop_at);
	if (!cmd->fault_status)
		cmd->stop_at = cmd->npages;
	qp->range_done = 0;
	qp->cur = cmd;
}

bool rmnic_qp_serve(struct rmnic_qp *qp, uint32_t max_cmds, uint32_t max_pages)
{
	struct rmnic_dev *dev = qp->dev;
	bool worked = false;
	uint32_t cmds = 0, pages = 0, tail;

	if (dev->state == RMNIC_DEV_PAUSED)
		tail = qp->sq_head; /* DMA-3: not even the tail is looked at */
	else if (!rmnic_qp_sync(qp, &tail))
		return true;
	if (!qp->cur && tail == qp->sq_head && qp->queued_head == RMNIC_NO_CID)
		return false;
	qp->sq_seen = tail;
	rmnic_dev_now(dev);
	while (qp->active && pages < max_pages) {
		uint32_t cost;

		if (!qp->cur) {
			if (cmds++ == max_cmds || !rmnic_qp_fetch(qp, tail))
				break;
			worked = true;
			begin(qp);
			continue;
		}
		cost = step(qp, max_pages - pages);
		if (!cost)
			break; /* every page operation is with the store */
		worked = true;
		pages += cost;
	}
	if (qp->active)
		rmnic_qp_flush(qp);
	return worked;
}

/*
 * CMD-16, CMD-17. A command that was done but not completed (delayed, dropped) ends as if it
 * had not begun: an aborted command says nothing about its pages (CMD-7).
 */
void rmnic_cmd_abort(struct rmnic_qp *qp, struct rmnic_cmd *cmd)
{
	rmnic_pages_cancel(qp, cmd);
	if (cmd->state == RMNIC_CMD_DELAYED)
		undelay(qp, cmd);
	if (cmd->state == RMNIC_CMD_QUEUED)
		unqueue(qp, cmd);
	if (qp->cur == cmd)
		qp->cur = NULL;
	if (cmd->done == cmd->npages)
		cmd->done = 0;
	if (cmd->started < cmd->npages && cmd->failed == RMNIC_NONE_FAILED)
		cmd->failed = cmd->started;
	else if (cmd->failed == RMNIC_NONE_FAILED && cmd->npages)
		cmd->failed = 0;
	cmd->status = RMNIC_SC_ABORTED;
	rmnic_dev_now(qp->dev);
	cmd_complete(qp, cmd, RMNIC_FAULT_CQE_NONE);
}

void rmnic_qp_drain(struct rmnic_qp *qp)
{
	rmnic_dev_now(qp->dev);
	qp->sq_seen = qp->sq_head; /* nothing of the ring follows what is under way */
	while (qp->active && qp->cur && step(qp, RMNIC_MAX_PAGES))
		;
	/* A command aborted before it was fetched is told to nobody else: pass over it now. */
	while (qp->active && qp->skips) {
		uint32_t tail;

		if (!rmnic_qp_sync(qp, &tail) || !rmnic_qp_fetch(qp, tail))
			break;
		qp->sq_seen = tail;
		begin(qp);
		while (qp->active && qp->cur && step(qp, RMNIC_MAX_PAGES))
			;
		if (qp->cur)
			break;
	}
	if (!qp->active)
		return;
	rmnic_qp_delayed(qp, UINT64_MAX);
	if (qp->active)
		rmnic_qp_flush(qp);
}
