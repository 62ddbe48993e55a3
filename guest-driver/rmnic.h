/* SPDX-License-Identifier: GPL-2.0 */
/*
 * rmnic.h - the structures of the driver and what its files offer each other.
 *
 * A controller (ctrl) is one device. It has one admin queue pair and I/O queue pairs, each a
 * ring of commands and a ring of completions. Requirement ids in comments (RING-5, DMA-1)
 * are those of spec/device.md.
 *
 * Locks, outermost first: ctrl->lock (life of the device), ctrl->admin.lock (one synchronous
 * admin command at a time), queue->sq_lock, queue->cq_lock.
 */
#ifndef RMNIC_H
#define RMNIC_H

#include <linux/atomic.h>
#include <linux/blk-mq.h>
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>

#include <rmnic/device.h>
#include <rmnic/ring.h>

#include "compat.h"

#define RMNIC_NAME "rmnic"
#define RMNIC_SECTOR_SHIFT (RMNIC_PAGE_SHIFT - SECTOR_SHIFT)
#define RMNIC_FREE_CMDS 4
#define RMNIC_HIST_BUCKETS 40
/* Resets of the driver's own that one request may go through. */
#define RMNIC_MAX_REDRIVES 5

struct rmnic_ctrl;
struct rmnic_queue;

/* --- Parameters (param.c) --------------------------------------------------------- */

extern unsigned int rmnic_poll_us;
extern unsigned int rmnic_queue_depth;
extern unsigned int rmnic_pairs;
extern unsigned int rmnic_timeout_ms;
extern unsigned int rmnic_max_retries;
extern unsigned int rmnic_max_resets;
extern unsigned int rmnic_coalesce_count;
extern unsigned int rmnic_coalesce_us;
extern unsigned int rmnic_swapoff_wait_ms;
extern bool rmnic_use_rw_page;

#define RMNIC_POLL_US_MAX 10000

/* --- Commands ---------------------------------------------------------------------- */

enum rmnic_cmd_kind {
	RMNIC_CMD_ADMIN, /* admin.c */
	RMNIC_CMD_BLK,   /* a request of the block layer: block.c */
	RMNIC_CMD_FREE,  /* a batch of freed swap slots: slots.c */
	RMNIC_CMD_PAGE,  /* one page past the block layer: rw_page.c */
};

/*
 * One command. It is the device's from the moment it stands in its queue's slot table until
 * whoever takes it out of there, and nobody else, ends it.
 */
struct rmnic_cmd {
	union {
		struct rmnic_sqe sqe;
		struct rmnic_admin_sqe asqe;
	};
	struct rmnic_cmd *next; /* in a chain of finished commands */
	struct rmnic_queue *queue;
	u64 start_ns;
	u64 rpn;
	u32 npages;
	u32 idx; /* of the SQE; its slot is the command's cid */
	u8 opcode;
	u8 kind;
	bool in_flight;
	bool aborted; /* an ABORT was sent for it */
	/* the completion, checked */
	u16 status;
	u32 done;
	u32 failed;
};

/* A request's private part: what it takes to be sent, allocated with the tags. */
struct rmnic_iod {
	struct rmnic_cmd cmd;
	__le64 *list; /* the page list the device reads, 4 KiB */
	dma_addr_t list_dma;
	dma_addr_t *maps; /* the driver's own note of each mapping: the device may write the list */
	u16 nmaps;
	u8 retries;  /* of the page or cluster at the request's head */
	u8 redrives; /* after resets that the driver asked for itself */
	bool split;  /* page by page, after a cluster failed */
};

/* --- Latency histograms ------------------------------------------------------------ */

/* Bucket i counts values v in ns with 2^i <= v < 2^(i+1). Written under cq_lock. */
struct rmnic_hist {
	u64 bucket[RMNIC_HIST_BUCKETS];
	u64 count;
	u64 sum_ns;
	u64 max_ns;
};

/* --- Queue pairs (queue.c, cq.c) --------------------------------------------------------- */

struct rmnic_slot {
	struct rmnic_cmd *cmd; /* NULL: free */
	u32 idx;
};

struct rmnic_queue {
	struct rmnic_ctrl *ctrl;
	u16 qid;
	u16 vector;
	u8 qclass; /* RMNIC_CLASS_*; the admin pair's is of no importance */
	u32 depth;
	void __iomem *doorbell;
	struct rmnic_dbrec *rec;
	struct rmnic_slot *slots;

	spinlock_t sq_lock ____cacheline_aligned_in_smp; /* process context only */
	bool live;    /* commands are accepted; cleared under sq_lock */
	u32 sq_tail;  /* SQEs written */
	u32 sq_rung;  /* SQEs published */
	struct rmnic_sqe *sq;

	spinlock_t cq_lock ____cacheline_aligned_in_smp; /* irqsave */
	bool broken;  /* the device wrote nonsense: read no more before a reset */
	u32 cq_head;
	u32 cq_arm;
	struct rmnic_cqe *cq;
	struct rmnic_hist hist; /* page-ins or page-outs */
	u64 completed;
	u64 polled;     /* of them, found by a spinning submitter */
	u64 spins;      /* batches that were spun for */
	u64 spin_fails; /* ... and were left to the interrupt */
	u64 spin_skips; /* batches that were not spun for, for want of success */
	u32 spin_credit;
	u64 interrupts;
	u64 doorbells;  /* under sq_lock */

	dma_addr_t sq_dma;
	dma_addr_t cq_dma;
	dma_addr_t rec_dma;
};

/* One MSI-X vector; with few of them queues share. */
struct rmnic_vector {
	struct rmnic_ctrl *ctrl;
	u16 index;
	cpumask_t cpus;
};

int rmnic_queue_alloc(struct rmnic_ctrl *ctrl, struct rmnic_queue *q, u16 qid, u8 qclass,
		      u32 depth);
void rmnic_queue_free(struct rmnic_queue *q);
void rmnic_queue_reset(struct rmnic_queue *q);
void rmnic_queue_open(struct rmnic_queue *q);
void rmnic_queue_close(struct rmnic_queue *q);
int rmnic_queue_push(struct rmnic_queue *q, struct rmnic_cmd *cmd);
bool rmnic_queue_room(struct rmnic_queue *q);
void rmnic_queue_kick(struct rmnic_queue *q);
bool rmnic_queue_ring(struct rmnic_queue *q, u32 *first, u32 *end);
bool rmnic_queue_spin(struct rmnic_queue *q, u32 first, u32 end);
bool rmnic_cqe_pending(const struct rmnic_queue *q);
u32 rmnic_queue_reap(struct rmnic_queue *q, bool irq);
void rmnic_queue_arm(struct rmnic_queue *q);
struct rmnic_cmd *rmnic_queue_take_all(struct rmnic_queue *q);
irqreturn_t rmnic_vector_irq(int irq, void *data);

static inline u32 rmnic_queue_outstanding(const struct rmnic_queue *q)
{
	return READ_ONCE(q->sq_rung) - READ_ONCE(q->cq_head);
}

/* --- The slots of the remote memory (slots.c) --------------------------------------- */

struct rmnic_free_range {
	u64 rpn;
	u32 npages;
};

struct rmnic_free_cmd {
	struct rmnic_cmd cmd;
	struct rmnic_ctrl *ctrl;
	struct rmnic_range *list;
	dma_addr_t list_dma;
	struct rmnic_free_range *ranges; /* the driver's own copy */
	u32 nranges;
	bool used; /* by the work, until the command ended */
};

struct rmnic_pages {
	u64 npages;             /* that the bitmaps cover */
	unsigned long *busy;    /* a command on this page is in flight */
	unsigned long *pending; /* freed by the kernel, not yet on the device */
	unsigned long *hint;    /* a bit a block of pages: pending may have bits in it */
	u64 cursor;             /* block at which the next search begins; the work's own */
	atomic_t npending;
	atomic_t conflict; /* somebody was turned away because of a busy page */
	struct delayed_work work;
	struct rmnic_free_cmd free[RMNIC_FREE_CMDS];
	atomic64_t noticed; /* slots the kernel gave back */
	atomic64_t freed;   /* pages freed on the device */
	atomic64_t overtaken; /* notices a new write made needless */
};

int rmnic_pages_alloc(struct rmnic_ctrl *ctrl);
void rmnic_pages_free_dma(struct rmnic_ctrl *ctrl);
void rmnic_pages_free(struct rmnic_ctrl *ctrl);
bool rmnic_pages_claim(struct rmnic_ctrl *ctrl, u64 rpn, u64 npages);
void rmnic_pages_release(struct rmnic_ctrl *ctrl, u64 rpn, u64 npages);
void rmnic_pages_forget_frees(struct rmnic_ctrl *ctrl, u64 rpn, u64 npages);
void rmnic_slot_free_notify(struct block_device *bdev, unsigned long offset);
void rmnic_free_finish(struct rmnic_cmd *cmd);
void rmnic_free_redrive(struct rmnic_cmd *cmd);

/* --- Admin commands (admin.c) ------------------------------------------------------- */

struct rmnic_admin {
	struct rmnic_queue queue;
	struct mutex lock; /* one synchronous command, and buf */
	struct rmnic_cmd sync;
	struct completion done;
	struct rmnic_cmd abort; /* kept back, so that an abort needs nobody's leave */
	atomic_t abort_used;
	void *buf; /* 4 KiB: IDENTIFY, READ_STATS */
	dma_addr_t buf_dma;
};

int rmnic_admin_alloc(struct rmnic_ctrl *ctrl);
void rmnic_admin_free(struct rmnic_ctrl *ctrl);
int rmnic_admin_identify(struct rmnic_ctrl *ctrl);
int rmnic_admin_create_queue(struct rmnic_ctrl *ctrl, struct rmnic_queue *q);
int rmnic_admin_read_stats(struct rmnic_ctrl *ctrl, struct rmnic_stats *stats);
bool rmnic_admin_abort(struct rmnic_ctrl *ctrl, struct rmnic_cmd *victim);
void rmnic_admin_finish(struct rmnic_cmd *cmd);

/* --- The controller (ctrl.c, regs.c) -------------------------------------------------- */

enum rmnic_state {
	RMNIC_STARTING,  /* in probe: nobody else knows of the device */
	RMNIC_LIVE,
	RMNIC_RESETTING, /* stopped; what is in flight or comes waits to be sent again */
	RMNIC_DEAD,      /* given up: commands fail; the administrator may reset it */
	RMNIC_REMOVING,  /* the driver is leaving; a failure now is final */
	RMNIC_GONE,      /* no device any more; commands fail */
	RMNIC_STATE_COUNT
};

struct rmnic_caps {
	u64 features;
	u64 max_capacity;
	u32 slab_pages;
	u32 max_pages;
	u32 max_ranges;
	u32 max_depth;
	u32 min_depth;
	u32 max_aq_depth;
	u32 max_qpairs;
	u32 db_offset;
	u32 db_stride;
	u32 ready_timeout_ms;
	u32 command_timeout_ms;
};

struct rmnic_ctrl {
	struct list_head list;
	struct pci_dev *pdev;
	struct device *dev;
	int instance;
	void __iomem *bar;
	struct rmnic_caps caps;
	u8 uuid[16];
	char serial[33];
	char model[33];
	char firmware[33];
	u64 capacity; /* pages in use by the disk */

	struct mutex lock; /* stop, start, and all that changes the queues */
	enum rmnic_state state; /* changed by rmnic_ctrl_set_state() alone */
	spinlock_t state_lock;
	bool held;      /* suspend or a PCI reset holds the device stopped */
	int hold_err; /* how stopping it went */
	bool quiesced; /* the block layer's queue */
	bool dma_stuck; /* the device never said that its DMA ended: its memory is not reused */
	bool reset_by_user; /* the reset under way was asked for: it counts against nobody */
	unsigned long resets; /* of any origin */
	unsigned int fault_resets; /* the driver's own, since fault_epoch */
	unsigned long fault_epoch; /* jiffies */
	const char *fault; /* what the last reset of the driver's own was for */
	struct workqueue_struct *wq;
	struct work_struct reset_work;
	struct work_struct event_work;
	struct delayed_work watchdog;
	u32 event_seq;

	unsigned int nr_vectors;
	struct rmnic_vector *vectors;
	struct rmnic_admin admin;
	unsigned int nr_out; /* queues[0 .. nr_out - 1] are page-out pairs, */
	unsigned int nr_in;  /* the rest page-in pairs: as the hardware contexts */
	struct rmnic_queue *queues;
	unsigned int tags; /* requests a pair */
	u32 depth;         /* entries a ring */
	unsigned int poll_us;
	unsigned int timeout_ms;
	u64 waiting_ns; /* when the device was last seen WAITING */

	struct blk_mq_tag_set tagset;
	struct dma_pool *list_pool;
	struct gendisk *disk;
	struct rmnic_pages pages;
	struct rmnic_rwpage *rwpage;
	struct dentry *debugfs;
};

const char *rmnic_state_name(enum rmnic_state state);
bool rmnic_ctrl_set_state(struct rmnic_ctrl *ctrl, enum rmnic_state to);
void rmnic_ctrl_fault(struct rmnic_ctrl *ctrl, const char *why);
int rmnic_ctrl_first_start(struct rmnic_ctrl *ctrl);
int rmnic_ctrl_reset_sync(struct rmnic_ctrl *ctrl);
void rmnic_ctrl_hold(struct rmnic_ctrl *ctrl);
int rmnic_ctrl_unhold(struct rmnic_ctrl *ctrl);
void rmnic_ctrl_kill(struct rmnic_ctrl *ctrl, enum rmnic_state end);
void rmnic_ctrl_init(struct rmnic_ctrl *ctrl);
void rmnic_ctrl_event(struct rmnic_ctrl *ctrl, bool alone);

/* late.c */
void rmnic_late_init(struct rmnic_ctrl *ctrl);
bool rmnic_cmd_stuck(struct rmnic_ctrl *ctrl, struct rmnic_cmd *cmd);
bool rmnic_ctrl_waiting(struct rmnic_ctrl *ctrl, u32 status);
void rmnic_ctrl_watch(struct rmnic_ctrl *ctrl);

static inline unsigned int rmnic_ctrl_nr_queues(const struct rmnic_ctrl *ctrl)
{
	return ctrl->nr_out + ctrl->nr_in;
}

static inline bool rmnic_ctrl_failing(const struct rmnic_ctrl *ctrl)
{
	enum rmnic_state state = READ_ONCE(ctrl->state);

	return state == RMNIC_DEAD || state == RMNIC_GONE;
}

int rmnic_regs_identify(struct rmnic_ctrl *ctrl);
int rmnic_regs_read_capacity(struct rmnic_ctrl *ctrl, u64 *pages);
int rmnic_regs_enable(struct rmnic_ctrl *ctrl);
int rmnic_regs_disable(struct rmnic_ctrl *ctrl);
bool rmnic_regs_gone(struct rmnic_ctrl *ctrl);

/* --- The disk (block.c, iod.c) ------------------------------------------------------------- */

int rmnic_tags_alloc(struct rmnic_ctrl *ctrl);
int rmnic_disk_alloc(struct rmnic_ctrl *ctrl);
void rmnic_disk_grow(struct rmnic_ctrl *ctrl, u64 pages);
void rmnic_request_finish(struct rmnic_cmd *cmd, bool irq);
void rmnic_request_redrive(struct rmnic_cmd *cmd);

int rmnic_iod_alloc(struct rmnic_ctrl *ctrl, struct rmnic_iod *iod);
void rmnic_iod_free(struct rmnic_ctrl *ctrl, struct rmnic_iod *iod);
int rmnic_iod_map(struct rmnic_ctrl *ctrl, struct request *rq);
void rmnic_iod_unmap(struct rmnic_ctrl *ctrl, struct request *rq);
void rmnic_iod_quarantine(struct rmnic_ctrl *ctrl, struct request *rq);

/* users.c */
void rmnic_disk_swapoff(struct rmnic_ctrl *ctrl);

/* power.c */
extern const struct pci_error_handlers rmnic_err_handlers;
extern const struct dev_pm_ops rmnic_pm_ops;
int rmnic_power_init(void);
void rmnic_power_exit(void);
void rmnic_power_add(struct rmnic_ctrl *ctrl);
void rmnic_power_remove(struct rmnic_ctrl *ctrl);

/* pci.c */
void rmnic_ctrl_release(struct rmnic_ctrl *ctrl);

/* --- One page past the block layer (rw_page.c) ---------------------------------------- */

#ifdef RMNIC_HAVE_RW_PAGE
int rmnic_rw_page(struct block_device *bdev, sector_t sector, struct page *page,
		  enum req_op op);
int rmnic_rw_page_alloc(struct rmnic_ctrl *ctrl);
void rmnic_rw_page_free(struct rmnic_ctrl *ctrl);
void rmnic_rw_page_finish(struct rmnic_cmd *cmd);
void rmnic_rw_page_redrive(struct rmnic_cmd *cmd);
#else
static inline int rmnic_rw_page_alloc(struct rmnic_ctrl *ctrl)
{
	return 0;
}

static inline void rmnic_rw_page_free(struct rmnic_ctrl *ctrl)
{
}

static inline void rmnic_rw_page_finish(struct rmnic_cmd *cmd)
{
}

static inline void rmnic_rw_page_redrive(struct rmnic_cmd *cmd)
{
}
#endif

/* --- Looking in ------------------------------------------------------------------------ */

extern const struct attribute_group *rmnic_attr_groups[]; /* sysfs.c */
void rmnic_debugfs_add(struct rmnic_ctrl *ctrl);
void rmnic_debugfs_remove(struct rmnic_ctrl *ctrl);
void rmnic_debugfs_init(void);
void rmnic_debugfs_exit(void);

#endif /* RMNIC_H */
