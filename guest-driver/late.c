// SPDX-License-Identifier: GPL-2.0
/*
 * late.c - commands past their time: look at the CQ, abort, reset (DRV-4).
 *
 * Requests are watched by the block layer's timer, what it knows nothing of by the watchdog.
 */
#include <linux/io.h>
#include <linux/ktime.h>

#include "rmnic.h"

/* How many times its time a late command waits for its turn to be aborted. */
#define RMNIC_ABORT_PATIENCE 3

/* Since it was sent, or since its device was seen WAITING for the last time (DMA-10). */
static u64 rmnic_cmd_age_ns(const struct rmnic_ctrl *ctrl, const struct rmnic_cmd *cmd, u64 now)
{
	return now - min(now, max(cmd->start_ns, READ_ONCE(ctrl->waiting_ns)));
}

/* DMA-10: whether nobody is there to execute commands; then their time begins anew. */
bool rmnic_ctrl_waiting(struct rmnic_ctrl *ctrl, u32 status)
{
	/* All ones is a device that is gone; one that is being removed is not waited for. */
	if (status == U32_MAX || !(status & RMNIC_STATUS_WAITING) ||
	    READ_ONCE(ctrl->state) == RMNIC_REMOVING)
		return false;
	WRITE_ONCE(ctrl->waiting_ns, ktime_get_ns());
	dev_notice_ratelimited(ctrl->dev, "device waits for its backend: so do commands\n");
	return true;
}

/*
 * DRV-4: the ladder for a command past its time: look at the CQ, abort, reset. True: it has ended
 * meanwhile. Sleeps not; called again while the command stays late.
 */
bool rmnic_cmd_stuck(struct rmnic_ctrl *ctrl, struct rmnic_cmd *cmd)
{
	struct rmnic_queue *q = cmd->queue;
	u16 cid = le16_to_cpu(cmd->sqe.cid);
	enum rmnic_state state;
	u32 status;

	rmnic_queue_reap(q, false);
	if (!READ_ONCE(cmd->in_flight)) {
		dev_warn_ratelimited(ctrl->dev,
				     "queue %u: command %u was complete, its interrupt lost\n",
				     q->qid, cid);
		rmnic_queue_arm(q);
		return true;
	}
	state = READ_ONCE(ctrl->state);
	if (state != RMNIC_LIVE && state != RMNIC_REMOVING)
		return false;
	status = readl(ctrl->bar + RMNIC_REG_STATUS);
	if (rmnic_regs_gone(ctrl)) {
		rmnic_ctrl_fault(ctrl, "device is gone");
	} else if (status & RMNIC_STATUS_FATAL) {
		rmnic_ctrl_fault(ctrl, "device is fatal");
	} else if (rmnic_ctrl_waiting(ctrl, status)) {
		return false;
	} else if (!cmd->aborted) {
		if (rmnic_admin_abort(ctrl, cmd)) {
			cmd->aborted = true;
			dev_warn_ratelimited(ctrl->dev,
					     "queue %u: command %u (opcode %u rpn %llu) is late: abort\n",
					     q->qid, cid, cmd->opcode, cmd->rpn);
		} else if (rmnic_cmd_age_ns(ctrl, cmd, ktime_get_ns()) >
			   (u64)RMNIC_ABORT_PATIENCE * ctrl->timeout_ms * NSEC_PER_MSEC) {
			dev_err_ratelimited(ctrl->dev,
					    "queue %u: command %u is late and cannot be aborted\n",
					    q->qid, cid);
			rmnic_ctrl_fault(ctrl, "a command is stuck, and so is an abort");
		}
		/* The abort's own interrupt may be lost as well. */
		rmnic_queue_reap(&ctrl->admin.queue, false);
	} else {
		dev_err_ratelimited(ctrl->dev, "queue %u: command %u survived its abort\n",
				    q->qid, cid);
		rmnic_ctrl_fault(ctrl, "a command is stuck");
	}
	return false;
}

/* The oldest late command that the block layer's own timer does not watch. */
static struct rmnic_cmd *rmnic_queue_late(struct rmnic_queue *q, u64 limit_ns, bool *busy)
{
	struct rmnic_cmd *late = NULL;
	u64 now = ktime_get_ns();
	unsigned long flags;
	u32 i;

	spin_lock_irqsave(&q->cq_lock, flags);
	for (i = 0; i < q->depth; i++) {
		struct rmnic_cmd *cmd = READ_ONCE(q->slots[i].cmd);

		if (!cmd || (cmd->kind != RMNIC_CMD_FREE && cmd->kind != RMNIC_CMD_PAGE))
			continue;
		*busy = true;
		if (rmnic_cmd_age_ns(q->ctrl, cmd, now) > limit_ns &&
		    (!late || cmd->start_ns < late->start_ns))
			late = cmd;
	}
	spin_unlock_irqrestore(&q->cq_lock, flags);
	return late;
}

static void rmnic_watchdog_work(struct work_struct *work)
{
	struct rmnic_ctrl *ctrl = container_of(work, struct rmnic_ctrl, watchdog.work);
	u64 limit_ns = (u64)ctrl->timeout_ms * NSEC_PER_MSEC;
	bool busy = false;
	unsigned int i;

	for (i = 0; i < rmnic_ctrl_nr_queues(ctrl); i++) {
		struct rmnic_cmd *late = rmnic_queue_late(&ctrl->queues[i], limit_ns, &busy);

		if (late)
			rmnic_cmd_stuck(ctrl, late);
	}
	if (busy)
		rmnic_ctrl_watch(ctrl);
}

/* A command was sent that the block layer knows nothing of: see to it that it ends. */
void rmnic_ctrl_watch(struct rmnic_ctrl *ctrl)
{
	if (!delayed_work_pending(&ctrl->watchdog))
		queue_delayed_work(ctrl->wq, &ctrl->watchdog,
				   msecs_to_jiffies(ctrl->timeout_ms) / 2 + 1);
}

void rmnic_late_init(struct rmnic_ctrl *ctrl)
{
	INIT_DELAYED_WORK(&ctrl->watchdog, rmnic_watchdog_work);
}
