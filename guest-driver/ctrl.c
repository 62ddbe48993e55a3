// SPDX-License-Identifier: GPL-2.0
/*
 * ctrl.c - the life of a controller: states, start, stop, reset, and what goes wrong.
 *
 * Whoever finds the device misbehaving calls rmnic_ctrl_fault() and is done; the reset work
 * does the rest. A reset stops the device, waits until its DMA has ended (DMA-1), takes back
 * every command in flight, starts the device anew and lets the block layer send them again
 * (DMA-6).
 */
#include <linux/io.h>

#include "rmnic.h"

/* Attempts to start a device within one reset. */
#define RMNIC_START_TRIES 3

/* --- States ---------------------------------------------------------------------------- */

static const char *const rmnic_state_names[RMNIC_STATE_COUNT] = {
	[RMNIC_STARTING] = "starting", [RMNIC_LIVE] = "live",
	[RMNIC_RESETTING] = "resetting", [RMNIC_DEAD] = "dead",
	[RMNIC_REMOVING] = "removing", [RMNIC_GONE] = "gone",
};

const char *rmnic_state_name(enum rmnic_state state)
{
	return rmnic_state_names[state];
}

/* The one place that changes ctrl->state. False: not a move there is; nothing changed. */
bool rmnic_ctrl_set_state(struct rmnic_ctrl *ctrl, enum rmnic_state to)
{
	static const u8 moves[RMNIC_STATE_COUNT] = {
		[RMNIC_STARTING] = BIT(RMNIC_LIVE) | BIT(RMNIC_GONE),
		[RMNIC_LIVE] = BIT(RMNIC_RESETTING) | BIT(RMNIC_DEAD) | BIT(RMNIC_REMOVING) |
			       BIT(RMNIC_GONE),
		[RMNIC_RESETTING] = BIT(RMNIC_LIVE) | BIT(RMNIC_DEAD) | BIT(RMNIC_GONE),
		[RMNIC_DEAD] = BIT(RMNIC_RESETTING) | BIT(RMNIC_GONE),
		[RMNIC_REMOVING] = BIT(RMNIC_GONE),
	};
	unsigned long flags;
	bool legal;

	spin_lock_irqsave(&ctrl->state_lock, flags);
	legal = moves[ctrl->state] & BIT(to);
	if (legal)
		WRITE_ONCE(ctrl->state, to);
	spin_unlock_irqrestore(&ctrl->state_lock, flags);
	return legal;
}

/*
 * Something is wrong with the device: have it reset. Any context. why is a constant string
 * and has been logged by the caller where more is known.
 */
void rmnic_ctrl_fault(struct rmnic_ctrl *ctrl, const char *why)
{
	enum rmnic_state state = READ_ONCE(ctrl->state);

	if (state != RMNIC_LIVE && state != RMNIC_REMOVING)
		return;
	WRITE_ONCE(ctrl->fault, why);
	queue_work(ctrl->wq, &ctrl->reset_work);
}

/* --- Stop and start: under ctrl->lock --------------------------------------------------- */

/* The last means when RESETTING does not clear: what PCI itself offers. */
static int rmnic_ctrl_force_stop(struct rmnic_ctrl *ctrl)
{
	struct pci_dev *pdev = ctrl->pdev;
	int err;

	dev_err(ctrl->dev, "device still shows RESETTING after %u ms: function level reset\n",
		ctrl->caps.ready_timeout_ms);
	pci_clear_master(pdev);
	pci_save_state(pdev);
	err = pcie_reset_flr(pdev, PCI_RESET_DO_RESET);
	pci_restore_state(pdev);
	if (!err)
		err = rmnic_regs_disable(ctrl);
	if (!err || err == -ENODEV)
		return err;
	dev_err(ctrl->dev,
		"DMA may still be going on (%d): pages in flight are set aside for good\n", err);
	ctrl->dma_stuck = true;
	return -ETIMEDOUT;
}

/*
 * No command enters the rings any more, and no DMA happens when this returns (unless
 * ctrl->dma_stuck). What the device completed before is completed; the rest stays in the
 * slot tables.
 */
static int rmnic_ctrl_stop(struct rmnic_ctrl *ctrl)
{
	unsigned int i;
	int err;

	if (ctrl->disk && !ctrl->quiesced) {
		blk_mq_quiesce_queue(ctrl->disk->queue);
		ctrl->quiesced = true;
	}
	rmnic_queue_close(&ctrl->admin.queue);
	for (i = 0; i < rmnic_ctrl_nr_queues(ctrl); i++)
		rmnic_queue_close(&ctrl->queues[i]);
	err = rmnic_regs_disable(ctrl);
	if (err == -ETIMEDOUT)
		err = rmnic_ctrl_force_stop(ctrl);
	if (err == -ENODEV)
		/* DMA-7: what reads as gone may come back, with its rings as they were. */
		pci_clear_master(ctrl->pdev);
	for (i = 0; i < rmnic_ctrl_nr_queues(ctrl); i++)
		rmnic_queue_reap(&ctrl->queues[i], false);
	rmnic_queue_reap(&ctrl->admin.queue, false);
	return err;
}

static void rmnic_cmd_drop(struct rmnic_ctrl *ctrl, struct rmnic_cmd *cmd)
{
	switch (cmd->kind) {
	case RMNIC_CMD_BLK:
		rmnic_request_redrive(cmd);
		break;
	case RMNIC_CMD_FREE:
		rmnic_free_redrive(cmd);
		break;
	case RMNIC_CMD_PAGE:
		rmnic_rw_page_redrive(cmd);
		break;
	case RMNIC_CMD_ADMIN:
		cmd->status = RMNIC_SC_ABORTED;
		cmd->done = 0;
		rmnic_admin_finish(cmd);
		break;
	}
}

/*
 * Takes back every command in flight. DMA-2: the device has forgotten them. DMA-6: each is
 * sent again after the start, or fails when there is none.
 */
static void rmnic_ctrl_drop_all(struct rmnic_ctrl *ctrl)
{
	unsigned int i;

	for (i = 0; i <= rmnic_ctrl_nr_queues(ctrl); i++) {
		struct rmnic_queue *q = i ? &ctrl->queues[i - 1] : &ctrl->admin.queue;
		struct rmnic_cmd *chain = rmnic_queue_take_all(q);

		while (chain) {
			struct rmnic_cmd *cmd = chain;

			chain = cmd->next;
			rmnic_cmd_drop(ctrl, cmd);
		}
	}
}

static int rmnic_ctrl_start(struct rmnic_ctrl *ctrl)
{
	unsigned int i;
	u64 capacity;
	int err;

	rmnic_queue_reset(&ctrl->admin.queue);
	for (i = 0; i < rmnic_ctrl_nr_queues(ctrl); i++)
		rmnic_queue_reset(&ctrl->queues[i]);
	ctrl->event_seq = 0;
	pci_set_master(ctrl->pdev);
	err = rmnic_regs_enable(ctrl);
	if (err)
		return err;
	rmnic_queue_open(&ctrl->admin.queue);
	err = rmnic_admin_identify(ctrl);
	if (err)
		return err;
	/* A value that cannot be true is not believed: the disk stays as large as it was. */
	err = rmnic_regs_read_capacity(ctrl, &capacity);
	if (!err)
		rmnic_disk_grow(ctrl, capacity);
	else if (!ctrl->capacity)
		return err;
	for (i = 0; i < rmnic_ctrl_nr_queues(ctrl); i++) {
		err = rmnic_admin_create_queue(ctrl, &ctrl->queues[i]);
		if (err)
			return err;
		rmnic_queue_open(&ctrl->queues[i]);
	}
	return 0;
}

/* Lets requests through again, to the device or to their errors. */
static void rmnic_ctrl_let_go(struct rmnic_ctrl *ctrl)
{
	if (!ctrl->disk)
		return;
	if (ctrl->quiesced)
		blk_mq_unquiesce_queue(ctrl->disk->queue);
	ctrl->quiesced = false;
	blk_mq_kick_requeue_list(ctrl->disk->queue);
	mod_delayed_work(ctrl->wq, &ctrl->pages.work, 0);
}

/*
 * The end: DEAD or GONE. The device is stopped and everything in flight, waiting or still to
 * come fails. Under ctrl->lock; idempotent.
 */
void rmnic_ctrl_kill(struct rmnic_ctrl *ctrl, enum rmnic_state end)
{
	rmnic_ctrl_stop(ctrl);
	if (!rmnic_ctrl_set_state(ctrl, end))
		return;
	rmnic_ctrl_drop_all(ctrl);
	rmnic_ctrl_let_go(ctrl);
}

static bool rmnic_ctrl_hopeless(int err)
{
	return err == -ENODEV || err == -ESTALE || err == -EPROTO;
}

/* RESETTING to LIVE, or to the end. The device is stopped already. */
static int rmnic_ctrl_revive(struct rmnic_ctrl *ctrl, int err)
{
	int tries;

	for (tries = 0; !err && tries < RMNIC_START_TRIES; tries++) {
		err = rmnic_ctrl_start(ctrl);
		if (!err || rmnic_ctrl_hopeless(err))
			break;
		if (!rmnic_ctrl_stop(ctrl)) {
			rmnic_ctrl_drop_all(ctrl);
			if (tries + 1 < RMNIC_START_TRIES)
				err = 0;
		}
	}
	if (err) {
		dev_err(ctrl->dev, "device cannot be started again (%d): its pages are lost\n",
			err);
		rmnic_ctrl_kill(ctrl, err == -ENODEV ? RMNIC_GONE : RMNIC_DEAD);
		return err;
	}
	ctrl->resets++;
	WRITE_ONCE(ctrl->fault, NULL);
	rmnic_ctrl_set_state(ctrl, RMNIC_LIVE);
	rmnic_ctrl_let_go(ctrl);
	queue_work(ctrl->wq, &ctrl->event_work);
	return 0;
}

static int rmnic_ctrl_cycle(struct rmnic_ctrl *ctrl)
{
	int err;

	if (!rmnic_ctrl_set_state(ctrl, RMNIC_RESETTING))
		return -ENODEV;
	err = rmnic_ctrl_stop(ctrl);
	rmnic_ctrl_drop_all(ctrl);
	return rmnic_ctrl_revive(ctrl, err);
}

/* --- Who asks for it ---------------------------------------------------------------------- */

/* In probe. On failure the device is off and its memory may be freed unless dma_stuck. */
int rmnic_ctrl_first_start(struct rmnic_ctrl *ctrl)
{
	int err;

	/* DMA-9: whoever had it before us, a crashed kernel perhaps, may have left it on. */
	err = rmnic_regs_disable(ctrl);
	if (err) {
		dev_err(ctrl->dev, "device does not leave RESETTING (%d)\n", err);
		return err;
	}
	err = rmnic_ctrl_start(ctrl);
	if (err) {
		rmnic_ctrl_stop(ctrl);
		rmnic_ctrl_drop_all(ctrl);
	}
	return err;
}

/* Whether the device had more resets of the driver's own than it is worth. */
static bool rmnic_ctrl_worn_out(struct rmnic_ctrl *ctrl)
{
	if (time_after(jiffies, ctrl->fault_epoch + 60 * HZ)) {
		ctrl->fault_epoch = jiffies;
		ctrl->fault_resets = 0;
	}
	return ctrl->fault_resets++ >= rmnic_max_resets;
}

static void rmnic_reset_work(struct work_struct *work)
{
	struct rmnic_ctrl *ctrl = container_of(work, struct rmnic_ctrl, reset_work);
	const char *why;

	mutex_lock(&ctrl->lock);
	why = xchg(&ctrl->fault, NULL);
	if (ctrl->held || !why || rmnic_ctrl_failing(ctrl))
		goto out;
	if (rmnic_regs_gone(ctrl)) {
		dev_err(ctrl->dev, "device is gone: outstanding requests fail\n");
		rmnic_ctrl_kill(ctrl, RMNIC_GONE);
	} else if (ctrl->state == RMNIC_REMOVING) {
		dev_err(ctrl->dev, "%s, while being removed: outstanding requests fail\n", why);
		rmnic_ctrl_kill(ctrl, RMNIC_GONE);
	} else if (rmnic_ctrl_worn_out(ctrl)) {
		dev_err(ctrl->dev,
			"%s: more than %u resets in a minute, device is given up (write 1 to rmnic/reset to try again)\n",
			why, rmnic_max_resets);
		rmnic_ctrl_kill(ctrl, RMNIC_DEAD);
	} else {
		dev_warn(ctrl->dev, "reset: %s\n", why);
		ctrl->reset_by_user = false;
		rmnic_ctrl_cycle(ctrl);
	}
out:
	mutex_unlock(&ctrl->lock);
}

/* By the administrator; also wakes the dead. Returns when the device is live again. */
int rmnic_ctrl_reset_sync(struct rmnic_ctrl *ctrl)
{
	int err = -EBUSY;

	mutex_lock(&ctrl->lock);
	if (!ctrl->held && !ctrl->dma_stuck) {
		ctrl->reset_by_user = true;
		ctrl->fault_resets = 0;
		err = rmnic_ctrl_cycle(ctrl);
	}
	mutex_unlock(&ctrl->lock);
	return err;
}

/* Before a PCI reset or suspend: the device is off until rmnic_ctrl_unhold(). */
void rmnic_ctrl_hold(struct rmnic_ctrl *ctrl)
{
	mutex_lock(&ctrl->lock);
	ctrl->held = true;
	ctrl->reset_by_user = true;
	if (rmnic_ctrl_set_state(ctrl, RMNIC_RESETTING)) {
		ctrl->hold_err = rmnic_ctrl_stop(ctrl);
		rmnic_ctrl_drop_all(ctrl);
	}
	mutex_unlock(&ctrl->lock);
}

int rmnic_ctrl_unhold(struct rmnic_ctrl *ctrl)
{
	int err = 0;

	mutex_lock(&ctrl->lock);
	ctrl->held = false;
	if (ctrl->state == RMNIC_RESETTING) {
		/* After a PCI reset the device may need a moment to be off. */
		err = ctrl->hold_err ? ctrl->hold_err : rmnic_regs_disable(ctrl);
		err = rmnic_ctrl_revive(ctrl, err);
	}
	mutex_unlock(&ctrl->lock);
	return err;
}

/* --- Events ---------------------------------------------------------------------------------- */

static void rmnic_event_work(struct work_struct *work)
{
	struct rmnic_ctrl *ctrl = container_of(work, struct rmnic_ctrl, event_work);
	u64 capacity;
	u32 event;

	mutex_lock(&ctrl->lock);
	if (ctrl->held || (ctrl->state != RMNIC_LIVE && ctrl->state != RMNIC_REMOVING))
		goto out;
	event = readl(ctrl->bar + RMNIC_REG_EVENT);
	if (event == U32_MAX && rmnic_regs_gone(ctrl)) {
		rmnic_ctrl_fault(ctrl, "device is gone");
		goto out;
	}
	writel(event, ctrl->bar + RMNIC_REG_EVENT);
	if (event & RMNIC_EVENT_FATAL) {
		dev_err_ratelimited(ctrl->dev, "device reports fatal error %u\n",
				    readl(ctrl->bar + RMNIC_REG_ERROR));
		rmnic_ctrl_fault(ctrl, "fatal error of the device");
	} else if (event & RMNIC_EVENT_CAPACITY) {
		if (rmnic_regs_read_capacity(ctrl, &capacity))
			rmnic_ctrl_fault(ctrl, "bad capacity");
		else
			rmnic_disk_grow(ctrl, capacity);
	}
out:
	mutex_unlock(&ctrl->lock);
}

/*
 * In the handler of vector 0. alone: the vector serves nothing else, so that an interrupt
 * that brought no completion is an event, also when the device cannot write event_seq any
 * more (DMA-4).
 */
void rmnic_ctrl_event(struct rmnic_ctrl *ctrl, bool alone)
{
	u32 seq = le32_to_cpu(READ_ONCE(ctrl->admin.queue.rec->event_seq));

	if (seq == ctrl->event_seq && !alone)
		return;
	ctrl->event_seq = seq;
	queue_work(ctrl->wq, &ctrl->event_work);
}

/* --- Set-up ------------------------------------------------------------------------ */

void rmnic_ctrl_init(struct rmnic_ctrl *ctrl)
{
	mutex_init(&ctrl->lock);
	spin_lock_init(&ctrl->state_lock);
	ctrl->fault_epoch = jiffies;
	INIT_WORK(&ctrl->reset_work, rmnic_reset_work);
	INIT_WORK(&ctrl->event_work, rmnic_event_work);
	rmnic_late_init(ctrl);
}
