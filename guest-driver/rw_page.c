// SPDX-License-Identifier: GPL-2.0
/*
 * rw_page.c - one swap page past the block layer, where the kernel has that way (RULES L3).
 *
 * It saves a bio, a request and a timer for each page. What it takes away must be done here:
 * commands from a pool of each pair's own, retries, the watchdog instead of the request's
 * timer, and io statistics. Whatever is not a single page of swap, and whatever finds no
 * room, is refused with an error, and the kernel sends a bio instead.
 */
#include <linux/dma-mapping.h>
#include <linux/ktime.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "rmnic.h"

#ifdef RMNIC_HAVE_RW_PAGE

#define RMNIC_RW_RETRY_MS 10
/* A page that stays under another command, or meets a reset, is tried again so soon. */
#define RMNIC_RW_AGAIN_MS 5

/* One page on its way. Free, in flight, or on the list of those to be sent again. */
struct rmnic_page_cmd {
	struct rmnic_cmd cmd;
	struct list_head link; /* pool->idle or rwpage->again */
	struct rmnic_page_pool *pool;
	struct block_device *bdev;
	struct page *page;
	unsigned long acct_start; /* jiffies */
	dma_addr_t dma;
	u8 retries;
	u8 redrives;
};

struct rmnic_page_pool {
	spinlock_t lock; /* irqsave */
	struct list_head idle;
	struct rmnic_queue *queue;
	struct rmnic_page_cmd *cmds;
};

struct rmnic_rwpage {
	struct rmnic_ctrl *ctrl;
	spinlock_t lock; /* irqsave */
	struct list_head again;
	struct delayed_work work;
	struct rmnic_page_pool pools[]; /* one for each of ctrl->queues */
};

static struct rmnic_page_cmd *rmnic_page_cmd_of(struct rmnic_cmd *cmd)
{
	return container_of(cmd, struct rmnic_page_cmd, cmd);
}

static bool rmnic_page_is_write(const struct rmnic_page_cmd *pc)
{
	return pc->cmd.opcode == RMNIC_OP_PAGE_OUT;
}

static enum dma_data_direction rmnic_page_dir(const struct rmnic_page_cmd *pc)
{
	return rmnic_page_is_write(pc) ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
}

/* --- The pool ---------------------------------------------------------------------------- */

static struct rmnic_page_cmd *rmnic_pool_take(struct rmnic_page_pool *pool)
{
	struct rmnic_page_cmd *pc;
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	pc = list_first_entry_or_null(&pool->idle, struct rmnic_page_cmd, link);
	if (pc)
		list_del(&pc->link);
	spin_unlock_irqrestore(&pool->lock, flags);
	return pc;
}

static void rmnic_pool_put(struct rmnic_page_cmd *pc)
{
	struct rmnic_page_pool *pool = pc->pool;
	unsigned long flags;

	spin_lock_irqsave(&pool->lock, flags);
	list_add(&pc->link, &pool->idle);
	spin_unlock_irqrestore(&pool->lock, flags);
}

/* A page-out is worth a short wait: refused, it loses PG_reclaim and reclaim loses pace. */
static struct rmnic_page_cmd *rmnic_pool_take_soon(struct rmnic_page_pool *pool)
{
	struct rmnic_page_cmd *pc = rmnic_pool_take(pool);
	u64 limit;

	if (likely(pc))
		return pc;
	limit = ktime_get_ns() + (u64)READ_ONCE(pool->queue->ctrl->poll_us) * NSEC_PER_USEC;
	do {
		rmnic_queue_reap(pool->queue, false);
		pc = rmnic_pool_take(pool);
	} while (!pc && ktime_get_ns() < limit);
	return pc;
}

/* --- Sending ------------------------------------------------------------------------------- */

/*
 * Takes the remote page, maps the local one and writes the SQE into the ring, unpublished.
 * An error leaves nothing behind: -EBUSY and -ESHUTDOWN pass, others are for the block layer.
 */
static int rmnic_page_push(struct rmnic_ctrl *ctrl, struct rmnic_page_cmd *pc)
{
	struct rmnic_queue *q = pc->pool->queue;
	int err;

	if (!rmnic_pages_claim(ctrl, pc->cmd.rpn, 1))
		return -EBUSY;
	pc->dma = dma_map_page(ctrl->dev, pc->page, 0, PAGE_SIZE, rmnic_page_dir(pc));
	if (dma_mapping_error(ctrl->dev, pc->dma)) {
		rmnic_pages_release(ctrl, pc->cmd.rpn, 1);
		return -EBUSY;
	}
	if (rmnic_page_is_write(pc))
		rmnic_pages_forget_frees(ctrl, pc->cmd.rpn, 1);
	pc->cmd.sqe = (struct rmnic_sqe) {
		.opcode = pc->cmd.opcode,
		.npages = cpu_to_le32(1),
		.rpn = cpu_to_le64(pc->cmd.rpn),
		.addr = cpu_to_le64(pc->dma),
	};
	spin_lock(&q->sq_lock);
	err = rmnic_queue_push(q, &pc->cmd);
	spin_unlock(&q->sq_lock);
	if (err) {
		dma_unmap_page(ctrl->dev, pc->dma, PAGE_SIZE, rmnic_page_dir(pc));
		rmnic_pages_release(ctrl, pc->cmd.rpn, 1);
	}
	return err;
}

/*
 * Whether this page may go this way: single pages of swap; reads only those that bypass the
 * swap cache, so that readahead keeps its batches.
 */
static bool rmnic_page_suits(struct page *page, enum req_op op)
{
	if (PAGE_SIZE != RMNIC_PAGE_SIZE || PageCompound(page))
		return false;
	if (op_is_write(op))
		return PageSwapCache(page);
	return PageSwapBacked(page) && !PageSwapCache(page);
}

/*
 * A page-in is complete on return, its page up to date and unlocked, or unlocked and failed; a
 * page-out is under way. An error means that nothing was done. A page-in may sleep.
 *
 * INVARIANT: a page-in is waited for. do_swap_page() takes a page that is still locked for
 * somebody else's: it would drop its reference under the DMA, or read the page once more.
 */
int rmnic_rw_page(struct block_device *bdev, sector_t sector, struct page *page,
		  enum req_op op)
{
	struct rmnic_ctrl *ctrl = bdev->bd_disk->private_data;
	bool write = op_is_write(op);
	enum hctx_type type = write ? HCTX_TYPE_DEFAULT : HCTX_TYPE_READ;
	struct rmnic_page_pool *pool;
	struct rmnic_page_cmd *pc;
	u64 rpn = sector >> RMNIC_SECTOR_SHIFT;
	int err;

	if (!rmnic_page_suits(page, op) || rmnic_ctrl_failing(ctrl) ||
	    rpn >= READ_ONCE(ctrl->capacity))
		return -EOPNOTSUPP;
	pool = &ctrl->rwpage->pools[ctrl->tagset.map[type].mq_map[raw_smp_processor_id()]];
	pc = write ? rmnic_pool_take_soon(pool) : rmnic_pool_take(pool);
	if (!pc)
		return -EBUSY;
	pc->bdev = bdev;
	pc->page = page;
	pc->retries = 0;
	pc->redrives = 0;
	pc->cmd.kind = RMNIC_CMD_PAGE;
	pc->cmd.opcode = write ? RMNIC_OP_PAGE_OUT : RMNIC_OP_PAGE_IN;
	pc->cmd.rpn = rpn;
	pc->cmd.npages = 1;
	pc->acct_start = bdev_start_io_acct(bdev, PAGE_SECTORS, op, jiffies);
	err = rmnic_page_push(ctrl, pc);
	if (err) {
		bdev_end_io_acct(bdev, op, pc->acct_start);
		rmnic_pool_put(pc);
		return err;
	}
	rmnic_ctrl_watch(ctrl);
	rmnic_queue_kick(pool->queue);
	/* After the spin the interrupt, or the ladder for late commands, unlocks it. */
	if (!write)
		wait_on_page_locked(page);
	return 0;
}

/* --- Ending ----------------------------------------------------------------------------------- */

/* The one place where a page that came this way is marked up to date. Any context. DRV-6. */
static void rmnic_page_end(struct rmnic_page_cmd *pc, bool ok)
{
	struct page *page = pc->page;

	bdev_end_io_acct(pc->bdev, rmnic_page_is_write(pc) ? REQ_OP_WRITE : REQ_OP_READ,
			 pc->acct_start);
	if (!ok)
		dev_err_ratelimited(pc->pool->queue->ctrl->dev,
				    "opcode %u of rpn %llu failed: status 0x%x after %u retries\n",
				    pc->cmd.opcode, pc->cmd.rpn, pc->cmd.status, pc->retries);
	if (!rmnic_page_is_write(pc)) {
		rmnic_pool_put(pc);
		page_endio(page, false, ok ? 0 : -EIO);
		return;
	}
	rmnic_pool_put(pc);
	if (!ok) {
		/* As for a bio: the page stays dirty and is not rotated to be reclaimed. */
		SetPageError(page);
		set_page_dirty(page);
		ClearPageReclaim(page);
	}
	end_page_writeback(page);
}

/* Sends the page again after a while; the work ends it if the device is dead by then. */
static void rmnic_page_again(struct rmnic_ctrl *ctrl, struct rmnic_page_cmd *pc,
			     unsigned int delay_ms)
{
	struct rmnic_rwpage *rw = ctrl->rwpage;
	unsigned long flags;

	spin_lock_irqsave(&rw->lock, flags);
	list_add_tail(&pc->link, &rw->again);
	spin_unlock_irqrestore(&rw->lock, flags);
	queue_delayed_work(ctrl->wq, &rw->work, msecs_to_jiffies(delay_ms));
}

/* The memory and the remote page are the driver's again. */
static void rmnic_page_take_back(struct rmnic_ctrl *ctrl, struct rmnic_page_cmd *pc)
{
	if (likely(!ctrl->dma_stuck))
		dma_unmap_page(ctrl->dev, pc->dma, PAGE_SIZE, rmnic_page_dir(pc));
	else
		get_page(pc->page); /* for good: see rmnic_iod_quarantine() */
	rmnic_pages_release(ctrl, pc->cmd.rpn, 1);
}

void rmnic_rw_page_finish(struct rmnic_cmd *cmd)
{
	struct rmnic_page_cmd *pc = rmnic_page_cmd_of(cmd);
	struct rmnic_ctrl *ctrl = cmd->queue->ctrl;

	rmnic_page_take_back(ctrl, pc);
	if (RMNIC_SC_CLASS(cmd->status) == RMNIC_SC_CLASS_RETRY &&
	    pc->retries < rmnic_max_retries && !rmnic_ctrl_failing(ctrl)) {
		rmnic_page_again(ctrl, pc, RMNIC_RW_RETRY_MS << min_t(u8, pc->retries++, 5));
		return;
	}
	rmnic_page_end(pc, cmd->status == RMNIC_SC_OK);
}

/* A reset dropped the command. DMA-6. */
void rmnic_rw_page_redrive(struct rmnic_cmd *cmd)
{
	struct rmnic_page_cmd *pc = rmnic_page_cmd_of(cmd);
	struct rmnic_ctrl *ctrl = cmd->queue->ctrl;

	rmnic_page_take_back(ctrl, pc);
	cmd->status = RMNIC_SC_ABORTED;
	if (!ctrl->reset_by_user && ++pc->redrives > RMNIC_MAX_REDRIVES)
		rmnic_page_end(pc, false);
	else
		rmnic_page_again(ctrl, pc, RMNIC_RW_AGAIN_MS);
}

static void rmnic_rw_page_work(struct work_struct *work)
{
	struct rmnic_rwpage *rw = container_of(work, struct rmnic_rwpage, work.work);
	struct rmnic_ctrl *ctrl = rw->ctrl;
	struct rmnic_page_cmd *pc, *next;
	LIST_HEAD(list);

	spin_lock_irq(&rw->lock);
	list_splice_init(&rw->again, &list);
	spin_unlock_irq(&rw->lock);
	list_for_each_entry_safe(pc, next, &list, link) {
		list_del(&pc->link);
		if (rmnic_ctrl_failing(ctrl))
			rmnic_page_end(pc, false);
		else if (rmnic_page_push(ctrl, pc))
			rmnic_page_again(ctrl, pc, RMNIC_RW_AGAIN_MS);
		else
			rmnic_queue_kick(pc->pool->queue);
	}
}

/* --- Memory ----------------------------------------------------------------------------------- */

static int rmnic_pool_alloc(struct rmnic_ctrl *ctrl, unsigned int i)
{
	struct rmnic_page_pool *pool = &ctrl->rwpage->pools[i];
	unsigned int n = ctrl->depth - ctrl->tags;
	unsigned int k;

	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->idle);
	pool->queue = &ctrl->queues[i];
	pool->cmds = kcalloc(n, sizeof(*pool->cmds), GFP_KERNEL);
	if (!pool->cmds)
		return -ENOMEM;
	for (k = 0; k < n; k++) {
		pool->cmds[k].pool = pool;
		list_add_tail(&pool->cmds[k].link, &pool->idle);
	}
	return 0;
}

int rmnic_rw_page_alloc(struct rmnic_ctrl *ctrl)
{
	unsigned int queues = ctrl->nr_out + ctrl->nr_in;
	unsigned int i;
	int err;

	if (!rmnic_use_rw_page)
		return 0;
	ctrl->rwpage = kzalloc(struct_size(ctrl->rwpage, pools, queues), GFP_KERNEL);
	if (!ctrl->rwpage)
		return -ENOMEM;
	ctrl->rwpage->ctrl = ctrl;
	spin_lock_init(&ctrl->rwpage->lock);
	INIT_LIST_HEAD(&ctrl->rwpage->again);
	INIT_DELAYED_WORK(&ctrl->rwpage->work, rmnic_rw_page_work);
	for (i = 0; i < queues; i++) {
		err = rmnic_pool_alloc(ctrl, i);
		if (err) {
			rmnic_rw_page_free(ctrl);
			return err;
		}
	}
	return 0;
}

/* The device is gone and the disk deleted: nothing is in flight, nothing more comes. */
void rmnic_rw_page_free(struct rmnic_ctrl *ctrl)
{
	unsigned int i;

	if (!ctrl->rwpage)
		return;
	/* Ends what waits to be sent again. */
	flush_delayed_work(&ctrl->rwpage->work);
	for (i = 0; i < ctrl->nr_out + ctrl->nr_in; i++)
		kfree(ctrl->rwpage->pools[i].cmds);
	kfree(ctrl->rwpage);
	ctrl->rwpage = NULL;
}

#endif /* RMNIC_HAVE_RW_PAGE */
