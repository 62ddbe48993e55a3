// SPDX-License-Identifier: GPL-2.0
/*
 * admin.c - admin commands.
 *
 * Synchronous ones are for set-up and for looking in: one at a time, in memory that was
 * allocated at probe. ABORT has a command of its own and waits for nobody, because it is
 * sent when memory and patience are short.
 */
#include <linux/ctype.h>
#include <linux/dma-mapping.h>
#include <linux/log2.h>

#include "rmnic.h"

#define RMNIC_AQ_DEPTH 32u
/* A lost interrupt costs at most this before the queue is looked at. */
#define RMNIC_ADMIN_LOOK_MS 100

int rmnic_admin_alloc(struct rmnic_ctrl *ctrl)
{
	struct rmnic_admin *admin = &ctrl->admin;
	u32 depth = min(RMNIC_AQ_DEPTH, rounddown_pow_of_two(ctrl->caps.max_aq_depth));
	int err;

	mutex_init(&admin->lock);
	init_completion(&admin->done);
	admin->sync.kind = RMNIC_CMD_ADMIN;
	admin->abort.kind = RMNIC_CMD_ADMIN;
	err = rmnic_queue_alloc(ctrl, &admin->queue, 0, RMNIC_CLASS_PAGE_OUT, depth);
	if (err)
		return err;
	admin->buf = dma_alloc_coherent(ctrl->dev, RMNIC_PAGE_SIZE, &admin->buf_dma, GFP_KERNEL);
	if (!admin->buf) {
		rmnic_queue_free(&admin->queue);
		return -ENOMEM;
	}
	return 0;
}

void rmnic_admin_free(struct rmnic_ctrl *ctrl)
{
	struct rmnic_admin *admin = &ctrl->admin;

	if (admin->buf)
		dma_free_coherent(ctrl->dev, RMNIC_PAGE_SIZE, admin->buf, admin->buf_dma);
	admin->buf = NULL;
	rmnic_queue_free(&admin->queue);
}

static int rmnic_admin_push(struct rmnic_admin *admin, struct rmnic_cmd *cmd)
{
	struct rmnic_queue *q = &admin->queue;
	u32 first, end;
	int err;

	cmd->opcode = cmd->asqe.opcode;
	spin_lock(&q->sq_lock);
	err = rmnic_queue_push(q, cmd);
	if (!err)
		rmnic_queue_ring(q, &first, &end);
	spin_unlock(&q->sq_lock);
	if (!err)
		rmnic_queue_arm(q);
	return err;
}

/*
 * Sends admin->sync and waits for it. 0, or -EIO with the status logged, or why it did not
 * come to that. A command that got stuck stays the device's until the next reset.
 */
static int rmnic_admin_run(struct rmnic_ctrl *ctrl, const char *what)
{
	struct rmnic_admin *admin = &ctrl->admin;
	struct rmnic_cmd *cmd = &admin->sync;
	unsigned int waited = 0;
	int err;

	lockdep_assert_held(&admin->lock);
	if (READ_ONCE(cmd->in_flight))
		return -EBUSY;
	reinit_completion(&admin->done);
	err = rmnic_admin_push(admin, cmd);
	if (err)
		return err;
	while (!wait_for_completion_timeout(&admin->done,
					    msecs_to_jiffies(RMNIC_ADMIN_LOOK_MS))) {
		rmnic_queue_reap(&admin->queue, false);
		waited += RMNIC_ADMIN_LOOK_MS;
		if (READ_ONCE(admin->queue.broken) && !completion_done(&admin->done))
			return -EIO;
		if (rmnic_ctrl_waiting(ctrl, readl(ctrl->bar + RMNIC_REG_STATUS))) /* DMA-10 */
			waited = 0;
		if (waited < ctrl->caps.command_timeout_ms || completion_done(&admin->done))
			continue;
		dev_err(ctrl->dev, "%s: no answer in %u ms\n", what, waited);
		/* While the device is being started its starter sees to it. */
		rmnic_ctrl_fault(ctrl, "an admin command is stuck");
		return -ETIMEDOUT;
	}
	if (cmd->status != RMNIC_SC_OK) {
		dev_err(ctrl->dev, "%s: status 0x%x\n", what, cmd->status);
		return -EIO;
	}
	return 0;
}

static void rmnic_admin_copy_text(char *to, const char *from)
{
	size_t i;

	for (i = 0; i < 32 && from[i]; i++)
		to[i] = isprint(from[i]) ? from[i] : '?';
	to[i] = '\0';
}

int rmnic_admin_identify(struct rmnic_ctrl *ctrl)
{
	struct rmnic_admin *admin = &ctrl->admin;
	const struct rmnic_identify *id = admin->buf;
	int err;

	mutex_lock(&admin->lock);
	memset(admin->buf, 0, RMNIC_PAGE_SIZE);
	admin->sync.asqe = (struct rmnic_admin_sqe) {
		.opcode = RMNIC_OP_IDENTIFY,
		.addr = cpu_to_le64(admin->buf_dma),
	};
	err = rmnic_admin_run(ctrl, "IDENTIFY");
	if (!err && memcmp(id->uuid, ctrl->uuid, sizeof(ctrl->uuid))) {
		/* Another device in the same place does not hold our pages. */
		dev_err(ctrl->dev, "device is another one now: uuid %pUb, was %pUb\n",
			id->uuid, ctrl->uuid);
		err = -ESTALE;
	}
	if (!err) {
		rmnic_admin_copy_text(ctrl->serial, id->serial);
		rmnic_admin_copy_text(ctrl->model, id->model);
		rmnic_admin_copy_text(ctrl->firmware, id->firmware);
	}
	mutex_unlock(&admin->lock);
	return err;
}

static int rmnic_admin_set_coalesce(struct rmnic_ctrl *ctrl, struct rmnic_queue *q)
{
	struct rmnic_admin *admin = &ctrl->admin;

	admin->sync.asqe = (struct rmnic_admin_sqe) {
		.opcode = RMNIC_OP_SET_COALESCE,
		.qid = cpu_to_le16(q->qid),
		.coalesce_count = cpu_to_le16(rmnic_coalesce_count),
		.coalesce_us = cpu_to_le16(rmnic_coalesce_us),
	};
	return rmnic_admin_run(ctrl, "SET_COALESCE");
}

/* The pair's rings are empty and zeroed (RING-3). Page-outs may share interrupts. */
int rmnic_admin_create_queue(struct rmnic_ctrl *ctrl, struct rmnic_queue *q)
{
	struct rmnic_admin *admin = &ctrl->admin;
	int err;

	mutex_lock(&admin->lock);
	admin->sync.asqe = (struct rmnic_admin_sqe) {
		.opcode = RMNIC_OP_CREATE_QP,
		.qid = cpu_to_le16(q->qid),
		.vector = cpu_to_le16(q->vector),
		.sq_addr = cpu_to_le64(q->sq_dma),
		.cq_addr = cpu_to_le64(q->cq_dma),
		.rec_addr = cpu_to_le64(q->rec_dma),
		.depth = cpu_to_le16(q->depth),
		.qclass = q->qclass,
	};
	err = rmnic_admin_run(ctrl, "CREATE_QP");
	if (!err && q->qclass == RMNIC_CLASS_PAGE_OUT && rmnic_coalesce_count > 1 &&
	    ctrl->caps.features & RMNIC_F_COALESCE)
		err = rmnic_admin_set_coalesce(ctrl, q);
	mutex_unlock(&admin->lock);
	return err;
}

int rmnic_admin_read_stats(struct rmnic_ctrl *ctrl, struct rmnic_stats *stats)
{
	struct rmnic_admin *admin = &ctrl->admin;
	int err;

	mutex_lock(&admin->lock);
	admin->sync.asqe = (struct rmnic_admin_sqe) {
		.opcode = RMNIC_OP_READ_STATS,
		.addr = cpu_to_le64(admin->buf_dma),
	};
	err = rmnic_admin_run(ctrl, "READ_STATS");
	if (!err)
		memcpy(stats, admin->buf, sizeof(*stats));
	mutex_unlock(&admin->lock);
	return err;
}

/*
 * Asks for the end of a command that is late (CMD-16); its CQE comes by itself. False: the
 * one abort there is has been taken for another, or the queue is closed. Any context.
 */
bool rmnic_admin_abort(struct rmnic_ctrl *ctrl, struct rmnic_cmd *victim)
{
	struct rmnic_admin *admin = &ctrl->admin;

	if (atomic_cmpxchg(&admin->abort_used, 0, 1))
		return false;
	admin->abort.asqe = (struct rmnic_admin_sqe) {
		.opcode = RMNIC_OP_ABORT,
		.qid = cpu_to_le16(victim->queue->qid),
		.target_cid = victim->sqe.cid,
	};
	if (rmnic_admin_push(admin, &admin->abort)) {
		atomic_set(&admin->abort_used, 0);
		return false;
	}
	return true;
}

/* The CQE of an admin command came, or a reset dropped it (status ABORTED). Any context. */
void rmnic_admin_finish(struct rmnic_cmd *cmd)
{
	struct rmnic_admin *admin = container_of(cmd->queue, struct rmnic_admin, queue);

	if (cmd == &admin->abort)
		atomic_set(&admin->abort_used, 0);
	else
		complete(&admin->done);
}
