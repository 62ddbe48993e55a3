// SPDX-License-Identifier: GPL-2.0
/*
 * queue.c - the submission side of a queue pair: memory, submit, ring, wait a moment.
 *
 * A command's cid is its SQE's slot. The slot is taken again only after its command's CQE
 * was consumed (RING-5, RING-7), and, being the oldest, as late as the ring allows: a
 * completion that a broken device writes twice finds nobody.
 */
#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/ktime.h>
#include <linux/processor.h>
#include <linux/slab.h>

#include "rmnic.h"
#include "trace.h"

/* Looks at the CQ between two looks at the clock, and between two rests of the CPU. */
#define RMNIC_SPIN_CLOCK 64
#define RMNIC_SPIN_RELAX 512
/*
 * A spin that ends well earns 1, one in vain costs 2: it costs about twice what the other
 * saves. At most so much is saved up; without credit one batch in RETRY spins.
 */
#define RMNIC_SPIN_COST 2u
#define RMNIC_SPIN_CREDIT_MAX 64u
#define RMNIC_SPIN_RETRY 8

/* --- Memory -------------------------------------------------------------------------- */

int rmnic_queue_alloc(struct rmnic_ctrl *ctrl, struct rmnic_queue *q, u16 qid, u8 qclass,
		      u32 depth)
{
	q->ctrl = ctrl;
	q->qid = qid;
	q->qclass = qclass;
	q->depth = depth;
	q->spin_credit = RMNIC_SPIN_CREDIT_MAX;
	q->doorbell = ctrl->bar + ctrl->caps.db_offset + (size_t)qid * ctrl->caps.db_stride;
	spin_lock_init(&q->sq_lock);
	spin_lock_init(&q->cq_lock);
	q->slots = kcalloc(depth, sizeof(*q->slots), GFP_KERNEL);
	/* dma_alloc_coherent() gives whole pages, so RMNIC_RING_ALIGN holds. */
	q->sq = dma_alloc_coherent(ctrl->dev, depth * sizeof(*q->sq), &q->sq_dma, GFP_KERNEL);
	q->cq = dma_alloc_coherent(ctrl->dev, depth * sizeof(*q->cq), &q->cq_dma, GFP_KERNEL);
	q->rec = dma_alloc_coherent(ctrl->dev, sizeof(*q->rec), &q->rec_dma, GFP_KERNEL);
	if (!q->slots || !q->sq || !q->cq || !q->rec) {
		rmnic_queue_free(q);
		return -ENOMEM;
	}
	return 0;
}

void rmnic_queue_free(struct rmnic_queue *q)
{
	struct device *dev;

	if (!q->ctrl)
		return;
	dev = q->ctrl->dev;
	if (q->rec)
		dma_free_coherent(dev, sizeof(*q->rec), q->rec, q->rec_dma);
	if (q->cq)
		dma_free_coherent(dev, q->depth * sizeof(*q->cq), q->cq, q->cq_dma);
	if (q->sq)
		dma_free_coherent(dev, q->depth * sizeof(*q->sq), q->sq, q->sq_dma);
	kfree(q->slots);
	q->slots = NULL;
	q->sq = NULL;
	q->cq = NULL;
	q->rec = NULL;
}

/* Empties the rings before the pair is (again) made known to the device. RING-3. */
void rmnic_queue_reset(struct rmnic_queue *q)
{
	unsigned long flags;

	spin_lock(&q->sq_lock);
	spin_lock_irqsave(&q->cq_lock, flags);
	memset(q->slots, 0, q->depth * sizeof(*q->slots));
	memset(q->sq, 0, q->depth * sizeof(*q->sq));
	memset(q->cq, 0, q->depth * sizeof(*q->cq));
	memset(q->rec, 0, sizeof(*q->rec));
	q->sq_tail = 0;
	q->sq_rung = 0;
	q->cq_head = 0;
	/* An index the CQ's tail has just left behind: no interrupt is asked for. */
	q->cq_arm = U32_MAX;
	q->rec->cq_arm = cpu_to_le32(q->cq_arm);
	q->broken = false;
	spin_unlock_irqrestore(&q->cq_lock, flags);
	spin_unlock(&q->sq_lock);
}

void rmnic_queue_open(struct rmnic_queue *q)
{
	spin_lock(&q->sq_lock);
	q->live = true;
	spin_unlock(&q->sq_lock);
}

/* When it returns no new command enters the ring. */
void rmnic_queue_close(struct rmnic_queue *q)
{
	spin_lock(&q->sq_lock);
	q->live = false;
	spin_unlock(&q->sq_lock);
}

/* --- Submission: all under sq_lock ----------------------------------------------------- */

/* Whether the next slot is ours to write. RING-5, RING-7. */
bool rmnic_queue_room(struct rmnic_queue *q)
{
	lockdep_assert_held(&q->sq_lock);
	/* Pairs with the release in rmnic_cq_take(). */
	return !smp_load_acquire(&q->slots[rmnic_ring_slot(q->sq_tail, q->depth)].cmd);
}

/* Writes the command into the ring without publishing it. -EBUSY: full; -ESHUTDOWN. */
int rmnic_queue_push(struct rmnic_queue *q, struct rmnic_cmd *cmd)
{
	u32 cid = rmnic_ring_slot(q->sq_tail, q->depth);

	lockdep_assert_held(&q->sq_lock);
	if (!q->live)
		return -ESHUTDOWN;
	if (!rmnic_queue_room(q))
		return -EBUSY;
	cmd->queue = q;
	cmd->idx = q->sq_tail;
	cmd->aborted = false;
	cmd->start_ns = ktime_get_ns();
	cmd->sqe.cid = cpu_to_le16(cid);
	q->sq[cid] = cmd->sqe;
	WRITE_ONCE(cmd->in_flight, true);
	WRITE_ONCE(q->slots[cid].idx, q->sq_tail);
	/* Pairs with the reader of the slot table: the command is whole when it is seen. */
	smp_store_release(&q->slots[cid].cmd, cmd);
	q->sq_tail++;
	rmnic_trace_start(cmd);
	return 0;
}

/*
 * Publishes what was pushed and wakes the device if it sleeps. *first to *end: the indexes
 * published now. False: there was nothing.
 */
bool rmnic_queue_ring(struct rmnic_queue *q, u32 *first, u32 *end)
{
	lockdep_assert_held(&q->sq_lock);
	*first = q->sq_rung;
	*end = q->sq_tail;
	if (*first == *end)
		return false;
	WRITE_ONCE(q->sq_rung, *end);
	/* RING-4: the SQEs before the tail; the device loads it with acquire. */
	virt_store_release(&q->rec->sq_tail, cpu_to_le32(*end));
	/*
	 * RING-10: the tail before the look at need_wakeup; pairs with the device's barrier
	 * between need_wakeup and its last look at the tail (RING-9). virt_mb(), because
	 * smp_mb() is patched away when the guest boots on one CPU.
	 */
	virt_mb();
	if (READ_ONCE(q->rec->need_wakeup)) {
		writel(1, q->doorbell);
		q->doorbells++;
	}
	return true;
}

/* --- Waiting ---------------------------------------------------------------------- */

static bool rmnic_slot_done(const struct rmnic_queue *q, u32 idx)
{
	const struct rmnic_slot *slot = &q->slots[rmnic_ring_slot(idx, q->depth)];

	return !READ_ONCE(slot->cmd) || READ_ONCE(slot->idx) != idx;
}

/*
 * Looks at the CQ for up to poll_us, until the commands first to end - 1 are done, and ends
 * in this context whatever it finds: a page-in then needs no interrupt and no wake-up. The
 * caller may be in a read-side critical section (blk-mq is), so this never sleeps.
 */
bool rmnic_queue_spin(struct rmnic_queue *q, u32 first, u32 end)
{
	u64 limit_ns = (u64)READ_ONCE(q->ctrl->poll_us) * NSEC_PER_USEC;
	u64 start = 0;
	u32 n = 0;

	for (;;) {
		if (rmnic_cqe_pending(q))
			q->polled += rmnic_queue_reap(q, false);
		while (first != end && rmnic_slot_done(q, first))
			first++;
		if (first == end)
			return true;
		if (++n % RMNIC_SPIN_CLOCK)
			continue;
		if (!start)
			start = ktime_get_ns();
		else if (ktime_get_ns() - start > limit_ns)
			return false;
		if (!READ_ONCE(q->live) || READ_ONCE(q->broken))
			return false;
		/* Under TCG a pause leaves the translated code: seldom (RULES L5). */
		if (!(n % RMNIC_SPIN_RELAX))
			cpu_relax();
	}
}

/*
 * Whether spinning is worth it. Where the CPU that spins is the one the device's thread waits
 * for (more threads than cores), it only keeps the answer away: after some spins in vain
 * most batches go to sleep at once, and now and then one tries again.
 */
static bool rmnic_queue_should_spin(struct rmnic_queue *q)
{
	if (q->qclass != RMNIC_CLASS_PAGE_IN || !READ_ONCE(q->ctrl->poll_us))
		return false;
	/* A hint, changed without a lock: a lost update costs one spin more or less. */
	if (READ_ONCE(q->spin_credit))
		return true;
	return ++q->spin_skips % RMNIC_SPIN_RETRY == 0;
}

static void rmnic_queue_spin_account(struct rmnic_queue *q, bool done)
{
	u32 credit = READ_ONCE(q->spin_credit);

	q->spins++;
	if (!done)
		q->spin_fails++;
	if (done)
		credit = min(credit + 1, RMNIC_SPIN_CREDIT_MAX);
	else
		credit -= min(credit, RMNIC_SPIN_COST);
	WRITE_ONCE(q->spin_credit, credit);
}

/* Publishes what was pushed; waits a moment for page-ins, leaves the rest to interrupts. */
void rmnic_queue_kick(struct rmnic_queue *q)
{
	u32 first, end;
	bool rung;

	spin_lock(&q->sq_lock);
	rung = rmnic_queue_ring(q, &first, &end);
	spin_unlock(&q->sq_lock);
	if (!rung)
		return;
	if (rmnic_queue_should_spin(q))
		rmnic_queue_spin_account(q, rmnic_queue_spin(q, first, end));
	else if (rmnic_cqe_pending(q))
		rmnic_queue_reap(q, false);
	rmnic_queue_arm(q);
}

/*
 * Everything in flight, taken from a device that does no DMA any more; chained. The caller
 * ends or redrives it.
 */
struct rmnic_cmd *rmnic_queue_take_all(struct rmnic_queue *q)
{
	struct rmnic_cmd *chain = NULL;
	unsigned long flags;
	u32 i;

	spin_lock(&q->sq_lock);
	spin_lock_irqsave(&q->cq_lock, flags);
	for (i = 0; i < q->depth; i++) {
		/* Newest first, so that the chain is in the order of submission. */
		u32 slot = rmnic_ring_slot(q->sq_tail - 1 - i, q->depth);
		struct rmnic_cmd *cmd = q->slots[slot].cmd;

		if (!cmd)
			continue;
		q->slots[slot].cmd = NULL;
		WRITE_ONCE(cmd->in_flight, false);
		cmd->next = chain;
		chain = cmd;
	}
	/* Nothing is outstanding now, whatever the rings say: none is to be reaped. */
	q->broken = true;
	spin_unlock_irqrestore(&q->cq_lock, flags);
	spin_unlock(&q->sq_lock);
	return chain;
}
