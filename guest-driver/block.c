// SPDX-License-Identifier: GPL-2.0
/*
 * block.c - the disk: requests of the block layer become commands, completions end them.
 *
 * Reads go to page-in pairs (hardware contexts of type READ), all else to page-out pairs. A
 * page-in is waited for by its submitter, spinning for a bounded time; see queue.c.
 *
 * A request's data is believed in one place, rmnic_request_end(), behind a status OK.
 */
#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/module.h>

#include "rmnic.h"

/* A discard or write of zeroes of this many pages is one command: 1 GiB. */
#define RMNIC_BULK_PAGES BIT(18)
/* First wait before a page is tried again; doubled each time. */
#define RMNIC_BACKOFF_MS 10
#define RMNIC_BACKOFF_MAX_MS 500

static struct request *rmnic_cmd_rq(struct rmnic_cmd *cmd)
{
	return blk_mq_rq_from_pdu(container_of(cmd, struct rmnic_iod, cmd));
}

static bool rmnic_rq_has_data(const struct request *rq)
{
	return req_op(rq) == REQ_OP_READ || req_op(rq) == REQ_OP_WRITE;
}

/* --- Preparing a command ----------------------------------------------------------------- */

static u8 rmnic_request_opcode(const struct request *rq)
{
	switch (req_op(rq)) {
	case REQ_OP_READ:
		return RMNIC_OP_PAGE_IN;
	case REQ_OP_WRITE:
		return RMNIC_OP_PAGE_OUT;
	case REQ_OP_DISCARD:
		return RMNIC_OP_FREE;
	case REQ_OP_WRITE_ZEROES:
		return RMNIC_OP_ZERO;
	case REQ_OP_FLUSH:
		return RMNIC_OP_FLUSH;
	default:
		return 0;
	}
}

/* Fills in the command; takes its pages and maps its memory. Undone by unprepare. */
static blk_status_t rmnic_request_prepare(struct rmnic_ctrl *ctrl, struct request *rq)
{
	struct rmnic_iod *iod = blk_mq_rq_to_pdu(rq);
	struct rmnic_cmd *cmd = &iod->cmd;
	int err;

	if (!(rq->rq_flags & RQF_DONTPREP)) {
		iod->retries = 0;
		iod->redrives = 0;
		iod->split = false;
		rq->rq_flags |= RQF_DONTPREP;
	}
	cmd->kind = RMNIC_CMD_BLK;
	cmd->opcode = rmnic_request_opcode(rq);
	if (!cmd->opcode)
		return BLK_STS_NOTSUPP;
	cmd->rpn = 0;
	cmd->npages = 0;
	cmd->sqe = (struct rmnic_sqe) { .opcode = cmd->opcode };
	if (cmd->opcode == RMNIC_OP_FLUSH)
		return BLK_STS_OK;

	cmd->rpn = blk_rq_pos(rq) >> RMNIC_SECTOR_SHIFT;
	cmd->npages = blk_rq_bytes(rq) >> RMNIC_PAGE_SHIFT;
	if (iod->split)
		cmd->npages = 1;
	if (!cmd->npages || cmd->rpn + cmd->npages > ctrl->capacity)
		return BLK_STS_IOERR;
	cmd->sqe.rpn = cpu_to_le64(cmd->rpn);
	cmd->sqe.npages = cpu_to_le32(cmd->npages);
	if (!rmnic_pages_claim(ctrl, cmd->rpn, cmd->npages))
		return BLK_STS_RESOURCE;
	err = rmnic_rq_has_data(rq) ? rmnic_iod_map(ctrl, rq) : 0;
	if (err) {
		rmnic_pages_release(ctrl, cmd->rpn, cmd->npages);
		return err == -EINVAL ? BLK_STS_IOERR : BLK_STS_RESOURCE;
	}
	if (cmd->opcode != RMNIC_OP_PAGE_IN)
		rmnic_pages_forget_frees(ctrl, cmd->rpn, cmd->npages);
	return BLK_STS_OK;
}

/* The command is the driver's again: gives back its memory and its pages. */
static void rmnic_request_unprepare(struct rmnic_ctrl *ctrl, struct request *rq)
{
	struct rmnic_iod *iod = blk_mq_rq_to_pdu(rq);

	if (rmnic_rq_has_data(rq))
		rmnic_iod_unmap(ctrl, rq);
	if (iod->cmd.npages)
		rmnic_pages_release(ctrl, iod->cmd.rpn, iod->cmd.npages);
}

/* --- Submission: blk-mq calls this in a read-side critical section, never sleep ------------- */

static blk_status_t rmnic_request_submit(struct rmnic_queue *q, struct request *rq)
{
	struct rmnic_ctrl *ctrl = q->ctrl;
	struct rmnic_iod *iod = blk_mq_rq_to_pdu(rq);
	blk_status_t status;

	if (unlikely(rmnic_ctrl_failing(ctrl)))
		return BLK_STS_IOERR;
	status = rmnic_request_prepare(ctrl, rq);
	if (unlikely(status))
		return status;
	spin_lock(&q->sq_lock);
	if (unlikely(!q->live || !rmnic_queue_room(q))) {
		spin_unlock(&q->sq_lock);
		rmnic_request_unprepare(ctrl, rq);
		return BLK_STS_RESOURCE;
	}
	/* Before the push: another CPU's ring may publish the command at once. */
	blk_mq_start_request(rq);
	rmnic_queue_push(q, &iod->cmd);
	spin_unlock(&q->sq_lock);
	return BLK_STS_OK;
}

static blk_status_t rmnic_queue_rq(struct blk_mq_hw_ctx *hctx,
				   const struct blk_mq_queue_data *bd)
{
	struct rmnic_queue *q = hctx->driver_data;
	blk_status_t status = rmnic_request_submit(q, bd->rq);

	/* From here the request may be gone: a page-in ends within the kick. */
	if (bd->last || status)
		rmnic_queue_kick(q);
	return status;
}

static void rmnic_commit_rqs(struct blk_mq_hw_ctx *hctx)
{
	rmnic_queue_kick(hctx->driver_data);
}

/* A whole plug: each pair is rung once for all its commands, and page-ins are reaped together. */
static void rmnic_queue_rqs(rmnic_rq_list *list)
{
	rmnic_rq_list refused = RMNIC_RQ_LIST_EMPTY;
	struct rmnic_queue *last = NULL;
	struct request *rq;

	while ((rq = rq_list_pop(list))) {
		struct rmnic_queue *q = rq->mq_hctx->driver_data;

		if (last && last != q)
			rmnic_queue_kick(last);
		last = q;
		rmnic_rq_claim_tag(rq);
		if (rmnic_request_submit(q, rq) != BLK_STS_OK)
			rmnic_rq_list_push(&refused, rq);
	}
	if (last)
		rmnic_queue_kick(last);
	*list = refused;
}

/* --- Completion ------------------------------------------------------------------------------ */

static void rmnic_request_requeue(struct request *rq, unsigned int delay_ms)
{
	blk_mq_requeue_request(rq, !delay_ms);
	if (delay_ms)
		blk_mq_delay_kick_requeue_list(rq->q, delay_ms);
}

/* The command's part of the request ends; the rest, if any, goes on page by page. */
static void rmnic_request_advance(struct request *rq, blk_status_t status)
{
	struct rmnic_iod *iod = blk_mq_rq_to_pdu(rq);
	unsigned int bytes = blk_rq_bytes(rq);

	if (rmnic_rq_has_data(rq))
		bytes = iod->cmd.npages << RMNIC_PAGE_SHIFT;
	iod->retries = 0;
	if (blk_update_request(rq, status, bytes))
		rmnic_request_requeue(rq, 0);
	else
		__blk_mq_end_request(rq, status);
}

/*
 * A status other than OK. A cluster is sent again page by page (DRV-3), so that exactly
 * the failed page's bio ends with the error; what a failed cluster did transfer is not
 * believed (CMD-7, CMD-8).
 */
static void rmnic_request_failed(struct request *rq)
{
	struct rmnic_iod *iod = blk_mq_rq_to_pdu(rq);
	struct rmnic_cmd *cmd = &iod->cmd;
	struct rmnic_ctrl *ctrl = cmd->queue->ctrl;

	if (rmnic_rq_has_data(rq) && cmd->npages > 1) {
		iod->split = true;
		iod->retries = 0;
		rmnic_request_requeue(rq, 0);
		return;
	}
	if (RMNIC_SC_CLASS(cmd->status) == RMNIC_SC_CLASS_RETRY &&
	    iod->retries < rmnic_max_retries && !rmnic_ctrl_failing(ctrl)) {
		unsigned int delay = RMNIC_BACKOFF_MS << min_t(u8, iod->retries, 8);

		iod->retries++;
		rmnic_request_requeue(rq, min_t(unsigned int, delay, RMNIC_BACKOFF_MAX_MS));
		return;
	}
	dev_err_ratelimited(ctrl->dev,
			    "opcode %u of %u pages from rpn %llu failed: status 0x%x after %u retries\n",
			    cmd->opcode, cmd->npages, cmd->rpn, cmd->status, iod->retries);
	rmnic_request_advance(rq, BLK_STS_IOERR);
}

/* DRV-6: the one place where a request's data is taken for good. */
static void rmnic_request_end(struct request *rq)
{
	struct rmnic_iod *iod = blk_mq_rq_to_pdu(rq);

	if (unlikely(iod->cmd.status != RMNIC_SC_OK))
		rmnic_request_failed(rq);
	else if (unlikely(iod->split))
		rmnic_request_advance(rq, BLK_STS_OK);
	else
		blk_mq_end_request(rq, BLK_STS_OK);
}

/* The CQE came. Any context; an interrupt hands over to the CPU that submitted. */
void rmnic_request_finish(struct rmnic_cmd *cmd, bool irq)
{
	struct request *rq = rmnic_cmd_rq(cmd);

	rmnic_request_unprepare(cmd->queue->ctrl, rq);
	if (irq && blk_mq_complete_request_remote(rq))
		return;
	rmnic_request_end(rq);
}

/* A reset dropped the command: send it again, or, when no start follows, let it fail. DMA-6. */
void rmnic_request_redrive(struct rmnic_cmd *cmd)
{
	struct rmnic_iod *iod = container_of(cmd, struct rmnic_iod, cmd);
	struct request *rq = rmnic_cmd_rq(cmd);
	struct rmnic_ctrl *ctrl = cmd->queue->ctrl;

	if (unlikely(ctrl->dma_stuck && rmnic_rq_has_data(rq)))
		rmnic_iod_quarantine(ctrl, rq);
	rmnic_request_unprepare(ctrl, rq);
	if (!ctrl->reset_by_user && ++iod->redrives > RMNIC_MAX_REDRIVES) {
		dev_err_ratelimited(ctrl->dev,
				    "opcode %u at rpn %llu failed: in flight at %u resets\n",
				    cmd->opcode, cmd->rpn, iod->redrives);
		blk_mq_end_request(rq, BLK_STS_IOERR);
		return;
	}
	/* The list is kicked when the device is live, or dead and everything fails. */
	blk_mq_requeue_request(rq, false);
}

static enum blk_eh_timer_return rmnic_timeout(struct request *rq)
{
	struct rmnic_iod *iod = blk_mq_rq_to_pdu(rq);
	struct rmnic_queue *q = rq->mq_hctx->driver_data;

	if (!READ_ONCE(iod->cmd.in_flight))
		return BLK_EH_DONE;
	return rmnic_cmd_stuck(q->ctrl, &iod->cmd) ? BLK_EH_DONE : BLK_EH_RESET_TIMER;
}

/* --- blk-mq's set-up -------------------------------------------------------------------------- */

static int rmnic_init_hctx(struct blk_mq_hw_ctx *hctx, void *data, unsigned int index)
{
	struct rmnic_ctrl *ctrl = data;

	hctx->driver_data = &ctrl->queues[index];
	return 0;
}

static int rmnic_init_request(struct blk_mq_tag_set *set, struct request *rq,
			      unsigned int hctx_idx, unsigned int numa_node)
{
	return rmnic_iod_alloc(set->driver_data, blk_mq_rq_to_pdu(rq));
}

static void rmnic_exit_request(struct blk_mq_tag_set *set, struct request *rq,
			       unsigned int hctx_idx)
{
	rmnic_iod_free(set->driver_data, blk_mq_rq_to_pdu(rq));
}

/* The hardware contexts are numbered as ctrl->queues: page-out pairs first. */
static void rmnic_map_queues(struct blk_mq_tag_set *set)
{
	struct rmnic_ctrl *ctrl = set->driver_data;
	struct blk_mq_queue_map *out = &set->map[HCTX_TYPE_DEFAULT];
	struct blk_mq_queue_map *in = &set->map[HCTX_TYPE_READ];

	out->nr_queues = ctrl->nr_out;
	out->queue_offset = 0;
	blk_mq_map_queues(out);
	in->nr_queues = ctrl->nr_in;
	in->queue_offset = ctrl->nr_out;
	blk_mq_map_queues(in);
}

static const struct blk_mq_ops rmnic_mq_ops = {
	.queue_rq = rmnic_queue_rq,
	.queue_rqs = rmnic_queue_rqs,
	.commit_rqs = rmnic_commit_rqs,
	.complete = rmnic_request_end,
	.timeout = rmnic_timeout,
	.init_hctx = rmnic_init_hctx,
	.init_request = rmnic_init_request,
	.exit_request = rmnic_exit_request,
	.map_queues = rmnic_map_queues,
};

/* --- The disk --------------------------------------------------------------------------------- */

/* The last reference is gone: no late swap_slot_free_notify() can come any more (RULES L6). */
static void rmnic_free_disk(struct gendisk *disk)
{
	rmnic_ctrl_release(disk->private_data);
}

static const struct block_device_operations rmnic_fops = {
	.owner = THIS_MODULE,
	.free_disk = rmnic_free_disk,
	.swap_slot_free_notify = rmnic_slot_free_notify,
};

#ifdef RMNIC_HAVE_RW_PAGE
static const struct block_device_operations rmnic_rw_page_fops = {
	.owner = THIS_MODULE,
	.free_disk = rmnic_free_disk,
	.swap_slot_free_notify = rmnic_slot_free_notify,
	.rw_page = rmnic_rw_page,
};
#endif

static const struct block_device_operations *rmnic_disk_fops(struct rmnic_ctrl *ctrl)
{
#ifdef RMNIC_HAVE_RW_PAGE
	if (ctrl->rwpage)
		return &rmnic_rw_page_fops;
#endif
	return &rmnic_fops;
}

/* Capacity as the disk shows it: what the bitmaps cover. Under ctrl->lock or in probe. CAP-2. */
void rmnic_disk_grow(struct rmnic_ctrl *ctrl, u64 pages)
{
	pages = min(pages, ctrl->pages.npages);
	if (pages <= ctrl->capacity)
		return;
	if (ctrl->capacity)
		dev_info(ctrl->dev, "capacity grew from %llu to %llu pages\n", ctrl->capacity,
			 pages);
	WRITE_ONCE(ctrl->capacity, pages);
	if (ctrl->disk)
		set_capacity_and_notify(ctrl->disk, pages << RMNIC_SECTOR_SHIFT);
}

int rmnic_tags_alloc(struct rmnic_ctrl *ctrl)
{
	struct blk_mq_tag_set *set = &ctrl->tagset;

	set->ops = &rmnic_mq_ops;
	set->nr_hw_queues = ctrl->nr_out + ctrl->nr_in;
	set->nr_maps = HCTX_TYPE_READ + 1;
	set->queue_depth = ctrl->tags;
	set->cmd_size = sizeof(struct rmnic_iod);
	set->numa_node = dev_to_node(ctrl->dev);
	set->timeout = msecs_to_jiffies(ctrl->timeout_ms);
	set->flags = BLK_MQ_F_SHOULD_MERGE | BLK_MQ_F_NO_SCHED_BY_DEFAULT;
	set->driver_data = ctrl;
	return blk_mq_alloc_tag_set(set);
}

/* The disk exists but nobody can open it yet. */
int rmnic_disk_alloc(struct rmnic_ctrl *ctrl)
{
	struct rmnic_disk_limits limits = {
		.max_sectors = ctrl->caps.max_pages << RMNIC_SECTOR_SHIFT,
		.max_segments = ctrl->caps.max_pages,
		.max_segment_size = min_t(size_t, ctrl->caps.max_pages << RMNIC_PAGE_SHIFT,
					  round_down(dma_max_mapping_size(ctrl->dev),
						     RMNIC_PAGE_SIZE)),
		.max_bulk_sectors = RMNIC_BULK_PAGES << RMNIC_SECTOR_SHIFT,
	};
	struct gendisk *disk = rmnic_compat_disk_alloc(&ctrl->tagset, &limits, ctrl);

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	snprintf(disk->disk_name, sizeof(disk->disk_name), RMNIC_NAME "%d", ctrl->instance);
	disk->fops = rmnic_disk_fops(ctrl);
	disk->private_data = ctrl;
	ctrl->disk = disk;
	set_capacity(disk, ctrl->capacity << RMNIC_SECTOR_SHIFT);
	return 0;
}
