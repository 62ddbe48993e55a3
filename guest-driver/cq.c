// SPDX-License-Identifier: GPL-2.0
/*
 * cq.c - the completion side of a queue pair: look, check, take, end, arm, interrupt.
 *
 * A CQE is copied once and checked in one place, rmnic_cqe_check(); nothing else believes a
 * word of it (DRV-1).
 */
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/ktime.h>
#include <linux/log2.h>

#include "rmnic.h"
#include "trace.h"

/* CQEs consumed under one hold of cq_lock, which keeps interrupts off. */
#define RMNIC_REAP_BUDGET 16

/* --- Completion ------------------------------------------------------------------------ */

static u32 rmnic_cqe_phase(const struct rmnic_queue *q, u32 head)
{
	const struct rmnic_cqe *cqe = &q->cq[rmnic_ring_slot(head, q->depth)];

	/* RING-2: phase first, with acquire; pairs with the device's release store of it. */
	return le32_to_cpu(virt_load_acquire(&cqe->phase));
}

/* Whether there is a CQE to consume; a hint without cq_lock. */
bool rmnic_cqe_pending(const struct rmnic_queue *q)
{
	u32 head = READ_ONCE(q->cq_head);

	return (rmnic_cqe_phase(q, head) & RMNIC_CQE_PHASE) == rmnic_ring_phase(head, q->depth);
}

static bool rmnic_status_known(u16 status)
{
	switch (status) {
	case RMNIC_SC_OK:
	case RMNIC_SC_INVALID_OPCODE ... RMNIC_SC_INVALID_DEPTH:
	case RMNIC_SC_BUSY ... RMNIC_SC_INTERNAL:
	case RMNIC_SC_LOST ... RMNIC_SC_CORRUPT:
		return true;
	default:
		return false;
	}
}

/*
 * The command that a CQE, copied once, ends; its result is filled in. NULL and *why: the
 * device lies. Everything in the CQE is checked here and nowhere else (DRV-1).
 */
static struct rmnic_cmd *rmnic_cqe_check(struct rmnic_queue *q, const struct rmnic_cqe *cqe,
					 u32 phase, const char **why)
{
	u16 cid = le16_to_cpu(cqe->cid);
	u16 status = le16_to_cpu(cqe->status);
	u32 done = le32_to_cpu(cqe->done);
	u32 failed = le32_to_cpu(cqe->failed);
	struct rmnic_cmd *cmd;

	*why = "completion with reserved bits set";
	if (phase & 0xfffe)
		return NULL;
	*why = "completion of another queue pair";
	if (phase >> RMNIC_CQE_QID_SHIFT != q->qid)
		return NULL;
	*why = "completion with a cid out of range";
	if (cid >= q->depth)
		return NULL;
	*why = "completion of a command that is not in flight";
	cmd = q->slots[cid].cmd;
	if (!cmd || (s32)(READ_ONCE(q->sq_rung) - cmd->idx) <= 0)
		return NULL;
	*why = "completion with an unknown status";
	if (!rmnic_status_known(status))
		return NULL;
	if (cmd->kind != RMNIC_CMD_ADMIN) {
		/* CMD-3 */
		*why = "completion of more pages than the command has";
		if (done > cmd->npages || (failed != RMNIC_NONE_FAILED && failed >= cmd->npages))
			return NULL;
		*why = "successful completion of a part of a command";
		if (status == RMNIC_SC_OK && (done != cmd->npages || failed != RMNIC_NONE_FAILED))
			return NULL;
	}
	cmd->status = status;
	cmd->done = done;
	cmd->failed = failed;
	return cmd;
}

static void rmnic_hist_add(struct rmnic_hist *hist, u64 ns)
{
	unsigned int bucket = ns ? ilog2(ns) : 0;

	hist->bucket[min_t(unsigned int, bucket, RMNIC_HIST_BUCKETS - 1)]++;
	hist->count++;
	hist->sum_ns += ns;
	if (ns > hist->max_ns)
		hist->max_ns = ns;
}

static void rmnic_queue_broken(struct rmnic_queue *q, const struct rmnic_cqe *cqe, u32 phase,
			       const char *why)
{
	q->broken = true;
	dev_err_ratelimited(q->ctrl->dev,
			    "queue %u: %s (cid %u status 0x%x done %u failed %u phase 0x%x)\n",
			    q->qid, why, le16_to_cpu(cqe->cid), le16_to_cpu(cqe->status),
			    le32_to_cpu(cqe->done), le32_to_cpu(cqe->failed), phase);
	rmnic_ctrl_fault(q->ctrl, why);
}

/* Once: what is checked is what is used, whatever the device writes meanwhile. */
static void rmnic_cqe_copy(struct rmnic_cqe *to, const struct rmnic_cqe *from)
{
	to->cid = READ_ONCE(from->cid);
	to->status = READ_ONCE(from->status);
	to->done = READ_ONCE(from->done);
	to->failed = READ_ONCE(from->failed);
}

/* Takes finished commands out of the slot table, up to the budget; chained at *done. */
static u32 rmnic_cq_take(struct rmnic_queue *q, struct rmnic_cmd **done)
{
	u64 now = ktime_get_ns();
	u32 taken = 0;

	lockdep_assert_held(&q->cq_lock);
	while (taken < RMNIC_REAP_BUDGET && !q->broken) {
		u32 phase = rmnic_cqe_phase(q, q->cq_head);
		struct rmnic_cmd *cmd;
		struct rmnic_cqe cqe;
		const char *why;

		if ((phase & RMNIC_CQE_PHASE) != rmnic_ring_phase(q->cq_head, q->depth))
			break;
		rmnic_cqe_copy(&cqe, &q->cq[rmnic_ring_slot(q->cq_head, q->depth)]);
		cmd = rmnic_cqe_check(q, &cqe, phase, &why);
		if (!cmd) {
			rmnic_queue_broken(q, &cqe, phase, why);
			break;
		}
		if (cmd->opcode == RMNIC_OP_PAGE_IN || cmd->opcode == RMNIC_OP_PAGE_OUT)
			rmnic_hist_add(&q->hist, now - min(now, cmd->start_ns));
		rmnic_trace_end(cmd, now - min(now, cmd->start_ns));
		cmd->next = *done;
		*done = cmd;
		WRITE_ONCE(cmd->in_flight, false);
		/* From here the slot may be written again. Pairs with rmnic_queue_room(). */
		smp_store_release(&q->slots[rmnic_ring_slot(cmd->idx, q->depth)].cmd, NULL);
		WRITE_ONCE(q->cq_head, q->cq_head + 1);
		taken++;
	}
	if (taken) {
		/* The CQEs are read; pairs with the device's acquire of cq_head (RING-8). */
		virt_store_release(&q->rec->cq_head, cpu_to_le32(q->cq_head));
	}
	q->completed += taken;
	return taken;
}

static void rmnic_cmd_finish(struct rmnic_cmd *cmd, bool irq)
{
	switch (cmd->kind) {
	case RMNIC_CMD_BLK:
		rmnic_request_finish(cmd, irq);
		break;
	case RMNIC_CMD_FREE:
		rmnic_free_finish(cmd);
		break;
	case RMNIC_CMD_PAGE:
		rmnic_rw_page_finish(cmd);
		break;
	case RMNIC_CMD_ADMIN:
		rmnic_admin_finish(cmd);
		break;
	}
}

/*
 * Consumes all there is and ends the commands, outside the lock. Any context. Returns how
 * many there were.
 */
u32 rmnic_queue_reap(struct rmnic_queue *q, bool irq)
{
	u32 total = 0;
	u32 taken;

	do {
		struct rmnic_cmd *done = NULL;
		unsigned long flags;

		spin_lock_irqsave(&q->cq_lock, flags);
		taken = rmnic_cq_take(q, &done);
		spin_unlock_irqrestore(&q->cq_lock, flags);
		while (done) {
			struct rmnic_cmd *cmd = done;

			done = cmd->next;
			rmnic_cmd_finish(cmd, irq);
		}
		total += taken;
	} while (taken == RMNIC_REAP_BUDGET);
	return total;
}

/* Asks for an interrupt at the next CQE if there is anything to wait for. RING-11. */
void rmnic_queue_arm(struct rmnic_queue *q)
{
	unsigned long flags;
	u32 head;

	do {
		/*
		 * Pairs with the barrier in rmnic_queue_ring(): either this sees the tail
		 * just published, or its publisher sees the head just moved and arms.
		 */
		smp_mb();
		head = READ_ONCE(q->cq_head);
		if (!rmnic_queue_outstanding(q) || READ_ONCE(q->cq_arm) == head)
			return;
		spin_lock_irqsave(&q->cq_lock, flags);
		if (q->broken) {
			spin_unlock_irqrestore(&q->cq_lock, flags);
			return;
		}
		WRITE_ONCE(q->cq_arm, q->cq_head);
		WRITE_ONCE(q->rec->cq_arm, cpu_to_le32(q->cq_head));
		spin_unlock_irqrestore(&q->cq_lock, flags);
		/* cq_arm before the last look at the CQ; pairs with the device's barrier. */
		virt_mb();
	} while (rmnic_cqe_pending(q) && rmnic_queue_reap(q, false));
}

/* --- Interrupts -------------------------------------------------------------------------- */

static bool rmnic_queue_irq(struct rmnic_queue *q)
{
	u32 n;

	q->interrupts++;
	n = rmnic_queue_reap(q, true);
	rmnic_queue_arm(q);
	return n;
}

/*
 * Always IRQ_HANDLED: the vector is the driver's alone, and a submitter that spins often
 * consumes what the interrupt was raised for.
 */
irqreturn_t rmnic_vector_irq(int irq, void *data)
{
	struct rmnic_vector *vector = data;
	struct rmnic_ctrl *ctrl = vector->ctrl;
	unsigned int i;

	if (vector->index == 0) {
		bool completion = rmnic_queue_irq(&ctrl->admin.queue);

		rmnic_ctrl_event(ctrl, ctrl->nr_vectors > 1 && !completion);
	}
	for (i = 0; i < ctrl->nr_out + ctrl->nr_in; i++)
		if (ctrl->queues[i].vector == vector->index)
			rmnic_queue_irq(&ctrl->queues[i]);
	return IRQ_HANDLED;
}
