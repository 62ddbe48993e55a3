// SPDX-License-Identifier: GPL-2.0
/*
 * slots.c - the pages of the remote memory: which are under a command, which are to be freed.
 *
 * busy: one bit a page, set by whoever is about to send a command for it (CMD-1: never two
 * commands on one page). pending: one bit a page, set when the kernel gives a swap slot back.
 * The notice comes in atomic context, under locks of the swap code, so it only sets a bit; a
 * work gathers bits into FREE commands.
 *
 * INVARIANT: a pending bit is cleared only by the holder of the page's busy bit. So a write
 * either clears it before it is sent, and no FREE follows, or finds the page busy with the
 * FREE and waits: the free never overtakes the write (RULES B4, L6).
 */
#include <linux/bitmap.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "rmnic.h"

/* Pages a hint bit stands for. */
#define RMNIC_HINT_SHIFT 12
/* Notices after which the work does not wait for more, and how long it waits for them. */
#define RMNIC_FREE_BATCH 512
#define RMNIC_FREE_DELAY_MS 20
/* After a FREE that could not be sent or came back with a retryable status. */
#define RMNIC_FREE_RETRY_MS 50
/* The bitmaps may take this part of the machine's memory. */
#define RMNIC_BITMAP_SHARE 16

static void rmnic_free_work(struct work_struct *work);

/* --- Busy pages ----------------------------------------------------------------------------- */

/* The bits of pages rpn .. rpn + n - 1 that lie in the word of rpn; *n: how many they are. */
static unsigned long rmnic_word_mask(u64 rpn, u64 left, u64 *n)
{
	unsigned int bit = rpn % BITS_PER_LONG;

	*n = min_t(u64, left, BITS_PER_LONG - bit);
	return (*n == BITS_PER_LONG ? ~0ul : (1ul << *n) - 1) << bit;
}

static bool rmnic_word_claim(unsigned long *word, unsigned long mask)
{
	unsigned long old = READ_ONCE(*word);

	do {
		if (old & mask)
			return false;
	} while (!try_cmpxchg(word, &old, old | mask));
	return true;
}

static void rmnic_bits_clear(unsigned long *map, u64 rpn, u64 npages)
{
	while (npages) {
		u64 n;
		unsigned long mask = rmnic_word_mask(rpn, npages, &n);

		atomic_long_andnot(mask, (atomic_long_t *)&map[rpn / BITS_PER_LONG]);
		rpn += n;
		npages -= n;
	}
}

static bool rmnic_pages_try(struct rmnic_pages *pages, u64 rpn, u64 npages)
{
	u64 at = rpn;

	while (at < rpn + npages) {
		u64 n;
		unsigned long mask = rmnic_word_mask(at, rpn + npages - at, &n);

		if (!rmnic_word_claim(&pages->busy[at / BITS_PER_LONG], mask)) {
			rmnic_bits_clear(pages->busy, rpn, at - rpn);
			return false;
		}
		at += n;
	}
	return true;
}

/*
 * CMD-1: takes the pages for one command. False: another command is on one of them; the
 * block layer is told to run the queues when that one ends. Any context.
 */
bool rmnic_pages_claim(struct rmnic_ctrl *ctrl, u64 rpn, u64 npages)
{
	struct rmnic_pages *pages = &ctrl->pages;

	if (likely(rmnic_pages_try(pages, rpn, npages)))
		return true;
	atomic_set(&pages->conflict, 1);
	/* Pairs with the barrier in rmnic_pages_release(): it sees the flag, or we the bits. */
	smp_mb();
	return rmnic_pages_try(pages, rpn, npages);
}

void rmnic_pages_release(struct rmnic_ctrl *ctrl, u64 rpn, u64 npages)
{
	struct rmnic_pages *pages = &ctrl->pages;

	rmnic_bits_clear(pages->busy, rpn, npages);
	/* Pairs with the barrier in rmnic_pages_claim(). */
	smp_mb();
	if (unlikely(atomic_read(&pages->conflict)) && atomic_xchg(&pages->conflict, 0))
		blk_mq_run_hw_queues(ctrl->disk->queue, true);
}

/* The holder of the pages is about to write them: what was to be freed there is not. */
void rmnic_pages_forget_frees(struct rmnic_ctrl *ctrl, u64 rpn, u64 npages)
{
	struct rmnic_pages *pages = &ctrl->pages;
	u64 forgotten = 0;

	if (!atomic_read(&pages->npending))
		return;
	while (npages) {
		unsigned long *word = &pages->pending[rpn / BITS_PER_LONG];
		u64 n;
		unsigned long mask = rmnic_word_mask(rpn, npages, &n);

		if (READ_ONCE(*word) & mask)
			forgotten += hweight_long(atomic_long_fetch_andnot(mask,
							(atomic_long_t *)word) & mask);
		rpn += n;
		npages -= n;
	}
	if (forgotten) {
		atomic_sub(forgotten, &pages->npending);
		atomic64_add(forgotten, &pages->overtaken);
	}
}

/* --- Notices ---------------------------------------------------------------------------------- */

static void rmnic_pages_mark(struct rmnic_pages *pages, u64 rpn)
{
	/*
	 * The count first: a write that finds it zero does not look at the bits. Slot reuse
	 * is ordered after the notice by the swap code's own lock.
	 */
	atomic_inc(&pages->npending);
	if (test_and_set_bit(rpn, pages->pending)) {
		atomic_dec(&pages->npending);
		return;
	}
	if (!test_bit(rpn >> RMNIC_HINT_SHIFT, pages->hint))
		set_bit(rpn >> RMNIC_HINT_SHIFT, pages->hint);
}

static void rmnic_free_kick(struct rmnic_ctrl *ctrl, unsigned int delay_ms)
{
	if (rmnic_ctrl_failing(ctrl))
		return;
	if (delay_ms)
		queue_delayed_work(ctrl->wq, &ctrl->pages.work, msecs_to_jiffies(delay_ms));
	else
		mod_delayed_work(ctrl->wq, &ctrl->pages.work, 0);
}

/*
 * A swap slot is free. Called with interrupts off, under si->lock and page table locks; may
 * come after remove(), when the disk is dead but still a swap device (RULES L6). offset
 * counts kernel pages from the beginning of bdev, which may be a partition.
 */
void rmnic_slot_free_notify(struct block_device *bdev, unsigned long offset)
{
	struct rmnic_ctrl *ctrl = bdev->bd_disk->private_data;
	struct rmnic_pages *pages = &ctrl->pages;
	u64 rpn = (get_start_sect(bdev) >> RMNIC_SECTOR_SHIFT) +
		  ((u64)offset << (PAGE_SHIFT - RMNIC_PAGE_SHIFT));
	unsigned int i;

	if (rmnic_ctrl_failing(ctrl) || rpn >= pages->npages)
		return;
	for (i = 0; i < PAGE_SIZE / RMNIC_PAGE_SIZE && rpn + i < pages->npages; i++)
		rmnic_pages_mark(pages, rpn + i);
	atomic64_inc(&pages->noticed);
	if (atomic_read(&pages->npending) % RMNIC_FREE_BATCH == 0)
		rmnic_free_kick(ctrl, 0);
	else if (!delayed_work_pending(&pages->work))
		rmnic_free_kick(ctrl, RMNIC_FREE_DELAY_MS);
}

/* --- FREE commands ---------------------------------------------------------------------------- */

/* Takes one page for a FREE. False: busy, or no longer pending. */
static bool rmnic_free_take(struct rmnic_pages *pages, u64 rpn)
{
	if (!rmnic_pages_try(pages, rpn, 1))
		return false;
	if (test_and_clear_bit(rpn, pages->pending)) {
		atomic_dec(&pages->npending);
		return true;
	}
	rmnic_bits_clear(pages->busy, rpn, 1);
	return false;
}

static bool rmnic_free_add(struct rmnic_free_cmd *free, u64 rpn, u32 max_ranges)
{
	struct rmnic_free_range *last = free->nranges ? &free->ranges[free->nranges - 1] : NULL;

	if (last && last->rpn + last->npages == rpn) {
		last->npages++;
		return true;
	}
	if (free->nranges == max_ranges)
		return false;
	free->ranges[free->nranges++] = (struct rmnic_free_range) { .rpn = rpn, .npages = 1 };
	return true;
}

/* Gathers the pending pages of one block. False: the list is full, the block not done. */
static bool rmnic_free_block(struct rmnic_ctrl *ctrl, struct rmnic_free_cmd *free, u64 block)
{
	struct rmnic_pages *pages = &ctrl->pages;
	u64 end = min(pages->npages, (block + 1) << RMNIC_HINT_SHIFT);
	u64 rpn = block << RMNIC_HINT_SHIFT;
	bool left = false;

	/* Cleared before the search: a notice that comes meanwhile sets it again. */
	clear_bit(block, pages->hint);
	/* Pairs with the order of the bits in rmnic_pages_mark(). */
	smp_mb__after_atomic();
	while ((rpn = find_next_bit(pages->pending, end, rpn)) < end) {
		if (free->nranges == ctrl->caps.max_ranges) {
			set_bit(block, pages->hint);
			return false;
		}
		if (rmnic_free_take(pages, rpn))
			rmnic_free_add(free, rpn, ctrl->caps.max_ranges);
		else
			left = true;
		rpn++;
	}
	if (left)
		set_bit(block, pages->hint);
	return true;
}

static void rmnic_free_fill(struct rmnic_ctrl *ctrl, struct rmnic_free_cmd *free)
{
	struct rmnic_pages *pages = &ctrl->pages;
	u64 blocks = DIV_ROUND_UP(pages->npages, 1ull << RMNIC_HINT_SHIFT);
	u64 start = pages->cursor;
	u64 block = start;
	bool wrapped = false;

	free->nranges = 0;
	for (;;) {
		block = find_next_bit(pages->hint, wrapped ? start : blocks, block);
		if (block >= (wrapped ? start : blocks)) {
			if (wrapped || !start)
				break;
			wrapped = true;
			block = 0;
			continue;
		}
		if (!rmnic_free_block(ctrl, free, block))
			break;
		block++;
	}
	pages->cursor = block < blocks ? block : 0;
}

static bool rmnic_free_send(struct rmnic_ctrl *ctrl, struct rmnic_free_cmd *free)
{
	struct rmnic_queue *q = &ctrl->queues[0];
	u32 i;
	int err;

	for (i = 0; i < free->nranges; i++)
		free->list[i] = (struct rmnic_range) {
			.rpn = cpu_to_le64(free->ranges[i].rpn),
			.npages = cpu_to_le32(free->ranges[i].npages),
		};
	free->cmd.kind = RMNIC_CMD_FREE;
	free->cmd.opcode = RMNIC_OP_FREE;
	free->cmd.rpn = free->ranges[0].rpn;
	free->cmd.npages = free->nranges;
	free->cmd.sqe = (struct rmnic_sqe) {
		.opcode = RMNIC_OP_FREE,
		.flags = RMNIC_SQE_F_LIST,
		.npages = cpu_to_le32(free->nranges),
		.addr = cpu_to_le64(free->list_dma),
	};
	spin_lock(&q->sq_lock);
	err = rmnic_queue_push(q, &free->cmd);
	spin_unlock(&q->sq_lock);
	if (err) {
		rmnic_free_redrive(&free->cmd);
		return false;
	}
	rmnic_ctrl_watch(ctrl);
	rmnic_queue_kick(q);
	return true;
}

/* One at a time; commands end on other CPUs meanwhile. */
static void rmnic_free_work(struct work_struct *work)
{
	struct rmnic_pages *pages = container_of(work, struct rmnic_pages, work.work);
	struct rmnic_ctrl *ctrl = container_of(pages, struct rmnic_ctrl, pages);
	unsigned int i;

	if (rmnic_ctrl_failing(ctrl) || !atomic_read(&pages->npending))
		return;
	for (i = 0; i < RMNIC_FREE_CMDS && atomic_read(&pages->npending); i++) {
		struct rmnic_free_cmd *free = &pages->free[i];

		/* Pairs with the release in rmnic_free_done(). */
		if (smp_load_acquire(&free->used))
			continue;
		rmnic_free_fill(ctrl, free);
		if (!free->nranges)
			break;
		free->used = true;
		if (!rmnic_free_send(ctrl, free))
			break;
	}
	if (atomic_read(&pages->npending))
		rmnic_free_kick(ctrl, RMNIC_FREE_RETRY_MS);
}

/* Gives the command's pages back, freed or, with again, to be freed another time. */
static void rmnic_free_done(struct rmnic_free_cmd *free, bool again)
{
	struct rmnic_ctrl *ctrl = free->ctrl;
	u64 npages = 0;
	u32 i;
	u64 n;

	for (i = 0; i < free->nranges; i++) {
		struct rmnic_free_range *range = &free->ranges[i];

		for (n = 0; again && n < range->npages; n++)
			rmnic_pages_mark(&ctrl->pages, range->rpn + n);
		npages += range->npages;
		rmnic_pages_release(ctrl, range->rpn, range->npages);
	}
	if (!again)
		atomic64_add(npages, &ctrl->pages.freed);
	/* Pairs with the acquire in rmnic_free_work(): the lists are the work's again. */
	smp_store_release(&free->used, false);
}

/* The CQE of a FREE came. Any context. */
void rmnic_free_finish(struct rmnic_cmd *cmd)
{
	struct rmnic_free_cmd *free = container_of(cmd, struct rmnic_free_cmd, cmd);
	struct rmnic_ctrl *ctrl = free->ctrl;
	bool again = RMNIC_SC_CLASS(cmd->status) == RMNIC_SC_CLASS_RETRY;

	if (cmd->status != RMNIC_SC_OK && !again)
		dev_err_ratelimited(ctrl->dev,
				    "FREE of %u ranges from rpn %llu failed: status 0x%x\n",
				    free->nranges, cmd->rpn, cmd->status);
	rmnic_free_done(free, again);
	if (atomic_read(&ctrl->pages.npending) >= RMNIC_FREE_BATCH || again)
		rmnic_free_kick(ctrl, again ? RMNIC_FREE_RETRY_MS : 0);
}

/* The command never reached the device, or a reset dropped it. */
void rmnic_free_redrive(struct rmnic_cmd *cmd)
{
	rmnic_free_done(container_of(cmd, struct rmnic_free_cmd, cmd), true);
}

/* --- Memory ----------------------------------------------------------------------------------- */

/* So many pages that three bitmaps stay a small part of memory, whatever the device claims. */
static u64 rmnic_pages_coverable(struct rmnic_ctrl *ctrl)
{
	u64 budget = ((u64)totalram_pages() << PAGE_SHIFT) / RMNIC_BITMAP_SHARE;
	u64 most = budget * BITS_PER_BYTE / 2;

	if (ctrl->caps.max_capacity > most)
		dev_warn(ctrl->dev,
			 "capacity may grow to %llu pages; with this much memory %llu are usable\n",
			 ctrl->caps.max_capacity, most);
	return min(ctrl->caps.max_capacity, most);
}

int rmnic_pages_alloc(struct rmnic_ctrl *ctrl)
{
	struct rmnic_pages *pages = &ctrl->pages;
	unsigned int i;

	pages->npages = rmnic_pages_coverable(ctrl);
	INIT_DELAYED_WORK(&pages->work, rmnic_free_work);
	pages->busy = vzalloc(BITS_TO_LONGS(pages->npages) * sizeof(long));
	pages->pending = vzalloc(BITS_TO_LONGS(pages->npages) * sizeof(long));
	pages->hint = vzalloc(BITS_TO_LONGS((pages->npages >> RMNIC_HINT_SHIFT) + 1) *
			      sizeof(long));
	if (!pages->busy || !pages->pending || !pages->hint)
		return -ENOMEM;
	for (i = 0; i < RMNIC_FREE_CMDS; i++) {
		struct rmnic_free_cmd *free = &pages->free[i];

		free->ctrl = ctrl;
		free->ranges = kcalloc(RMNIC_MAX_RANGES, sizeof(*free->ranges), GFP_KERNEL);
		free->list = dma_alloc_coherent(ctrl->dev, RMNIC_PAGE_SIZE, &free->list_dma,
						GFP_KERNEL);
		if (!free->ranges || !free->list)
			return -ENOMEM;
	}
	return 0;
}

/* What the device might read; before the PCI device is let go. */
void rmnic_pages_free_dma(struct rmnic_ctrl *ctrl)
{
	unsigned int i;

	for (i = 0; i < RMNIC_FREE_CMDS; i++) {
		struct rmnic_free_cmd *free = &ctrl->pages.free[i];

		if (free->list)
			dma_free_coherent(ctrl->dev, RMNIC_PAGE_SIZE, free->list,
					  free->list_dma);
		free->list = NULL;
	}
}

/* The rest, which late notices still touch; with the controller itself. */
void rmnic_pages_free(struct rmnic_ctrl *ctrl)
{
	struct rmnic_pages *pages = &ctrl->pages;
	unsigned int i;

	for (i = 0; i < RMNIC_FREE_CMDS; i++)
		kfree(pages->free[i].ranges);
	vfree(pages->busy);
	vfree(pages->pending);
	vfree(pages->hint);
}
