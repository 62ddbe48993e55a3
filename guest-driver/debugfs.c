// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs.c - /sys/kernel/debug/rmnic/rmnicN/: queues, in_flight, latency, slots, device_stats.
 */
#include <linux/debugfs.h>
#include <linux/ktime.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "rmnic.h"

static struct dentry *rmnic_debugfs_root;

static struct rmnic_queue *rmnic_nth_queue(struct rmnic_ctrl *ctrl, unsigned int i)
{
	return i ? &ctrl->queues[i - 1] : &ctrl->admin.queue;
}

static const char *rmnic_queue_class(const struct rmnic_queue *q)
{
	if (!q->qid)
		return "admin";
	return q->qclass == RMNIC_CLASS_PAGE_IN ? "in" : "out";
}

/* One line a queue pair, the names in the first line. */
static int queues_show(struct seq_file *m, void *data)
{
	struct rmnic_ctrl *ctrl = m->private;
	unsigned int i;

	seq_puts(m, "qid class vector depth live broken sq_tail sq_rung cq_head cq_arm need_wakeup completed polled spins spin_fails spin_skips interrupts doorbells\n");
	for (i = 0; i <= ctrl->nr_out + ctrl->nr_in; i++) {
		const struct rmnic_queue *q = rmnic_nth_queue(ctrl, i);

		seq_printf(m, "%u %s %u %u %d %d %u %u %u %u %u %llu %llu %llu %llu %llu %llu %llu\n",
			   q->qid, rmnic_queue_class(q), q->vector, q->depth, q->live,
			   q->broken, q->sq_tail, q->sq_rung, q->cq_head, q->cq_arm,
			   le32_to_cpu(READ_ONCE(q->rec->need_wakeup)), q->completed, q->polled,
			   q->spins, q->spin_fails, q->spin_skips, q->interrupts,
			   q->doorbells);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(queues);

/* One line a command in flight. */
static int in_flight_show(struct seq_file *m, void *data)
{
	struct rmnic_ctrl *ctrl = m->private;
	u64 now = ktime_get_ns();
	unsigned int i;
	u32 slot;

	seq_puts(m, "qid cid opcode rpn npages age_us aborted\n");
	for (i = 0; i <= ctrl->nr_out + ctrl->nr_in; i++) {
		struct rmnic_queue *q = rmnic_nth_queue(ctrl, i);

		for (slot = 0; slot < q->depth; slot++) {
			struct rmnic_cmd copy;
			unsigned long flags;

			/* The command is this queue's only under its lock. */
			spin_lock_irqsave(&q->cq_lock, flags);
			if (!q->slots[slot].cmd) {
				spin_unlock_irqrestore(&q->cq_lock, flags);
				continue;
			}
			copy = *q->slots[slot].cmd;
			spin_unlock_irqrestore(&q->cq_lock, flags);
			seq_printf(m, "%u %u 0x%02x %llu %u %llu %d\n", q->qid, slot,
				   copy.opcode, copy.rpn, copy.npages,
				   div_u64(now - min(now, copy.start_ns), NSEC_PER_USEC),
				   copy.aborted);
		}
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(in_flight);

/* Page-ins and page-outs from submission to completion; a line a bucket that is not empty. */
static int latency_show(struct seq_file *m, void *data)
{
	static const char *const names[] = {
		[RMNIC_CLASS_PAGE_OUT] = "page_out", [RMNIC_CLASS_PAGE_IN] = "page_in",
	};
	struct rmnic_ctrl *ctrl = m->private;
	unsigned int class, i, b;

	seq_puts(m, "class from_ns below_ns count\n");
	for (class = 0; class < ARRAY_SIZE(names); class++) {
		struct rmnic_hist sum = {};

		for (i = 0; i < ctrl->nr_out + ctrl->nr_in; i++) {
			const struct rmnic_hist *hist = &ctrl->queues[i].hist;

			if (ctrl->queues[i].qclass != class)
				continue;
			for (b = 0; b < RMNIC_HIST_BUCKETS; b++)
				sum.bucket[b] += hist->bucket[b];
			sum.count += hist->count;
			sum.sum_ns += hist->sum_ns;
			sum.max_ns = max(sum.max_ns, hist->max_ns);
		}
		for (b = 0; b < RMNIC_HIST_BUCKETS; b++)
			if (sum.bucket[b])
				seq_printf(m, "%s %llu %llu %llu\n", names[class], 1ull << b,
					   2ull << b, sum.bucket[b]);
		seq_printf(m, "%s count %llu mean_ns %llu max_ns %llu\n", names[class],
			   sum.count, sum.count ? div64_u64(sum.sum_ns, sum.count) : 0,
			   sum.max_ns);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(latency);

/* Swap slots given back by the kernel, and what became of them. */
static int slots_show(struct seq_file *m, void *data)
{
	struct rmnic_ctrl *ctrl = m->private;
	struct rmnic_pages *pages = &ctrl->pages;

	seq_printf(m, "noticed %lld\nfreed %lld\novertaken %lld\npending %d\n",
		   atomic64_read(&pages->noticed), atomic64_read(&pages->freed),
		   atomic64_read(&pages->overtaken), atomic_read(&pages->npending));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(slots);

/* The device's own counters, by READ_STATS. */
static int device_stats_show(struct seq_file *m, void *data)
{
	static const char *const names[] = {
		"page_out_cmds", "page_in_cmds", "free_cmds", "zero_cmds", "flush_cmds",
		"admin_cmds", "pages_out", "pages_in", "pages_freed", "pages_zeroed",
		"pages_same_filled", "pages_in_unwritten", "pages_stored", "refused",
		"retried", "lost", "aborted", "interrupts", "doorbells", "wakeups", "resets",
		"fatal_errors",
	};
	struct rmnic_ctrl *ctrl = m->private;
	struct rmnic_stats *stats;
	unsigned int i;
	int err;

	/* The names above stand for the counters in order, all of them. */
	BUILD_BUG_ON(ARRAY_SIZE(names) * sizeof(__le64) != offsetof(struct rmnic_stats, rsvd));
	stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	if (!stats)
		return -ENOMEM;
	err = rmnic_admin_read_stats(ctrl, stats);
	for (i = 0; !err && i < ARRAY_SIZE(names); i++)
		seq_printf(m, "%s %llu\n", names[i], le64_to_cpu(((__le64 *)stats)[i]));
	kfree(stats);
	return err;
}
DEFINE_SHOW_ATTRIBUTE(device_stats);

void rmnic_debugfs_add(struct rmnic_ctrl *ctrl)
{
	ctrl->debugfs = debugfs_create_dir(ctrl->disk->disk_name, rmnic_debugfs_root);
	debugfs_create_file("queues", 0444, ctrl->debugfs, ctrl, &queues_fops);
	debugfs_create_file("in_flight", 0444, ctrl->debugfs, ctrl, &in_flight_fops);
	debugfs_create_file("latency", 0444, ctrl->debugfs, ctrl, &latency_fops);
	debugfs_create_file("slots", 0444, ctrl->debugfs, ctrl, &slots_fops);
	debugfs_create_file("device_stats", 0444, ctrl->debugfs, ctrl, &device_stats_fops);
}

void rmnic_debugfs_remove(struct rmnic_ctrl *ctrl)
{
	debugfs_remove_recursive(ctrl->debugfs);
}

void rmnic_debugfs_init(void)
{
	rmnic_debugfs_root = debugfs_create_dir(RMNIC_NAME, NULL);
}

void rmnic_debugfs_exit(void)
{
	debugfs_remove_recursive(rmnic_debugfs_root);
}
