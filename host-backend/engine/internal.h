/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/internal.h - what the files of the queue engine share and nobody else sees.
 *
 * device.c  the device: creation, the poll round
 * control.c enabling, reset, pause, suspension
 * qpair.c   a queue pair: indexes, posting, interrupts, wake-ups
 * fetch.c   which SQE comes next
 * check.c   I/O commands: the ladder of checks
 * command.c I/O commands: a state machine for each
 * transfer.c  the pages of a command, on their way to the store and back
 * admin.c   admin commands
 * state.c   save and load
 * flight.c  queues and commands in flight, recorded in the state block
 * takeover.c  going on where another process stopped
 * fault.c   misbehaviour on request
 *
 * Memory, all of it from rmnic_dev_create(): 64 bytes for each slot of each queue pair (its
 * in-flight table, touched only as far as the guest uses it; 64 MiB of address space for
 * 256 pairs of 4096), 4 KiB a pair for the list of the one command that it is starting, and
 * RMNIC_PAGE_OPS * 2 page operations of 88 bytes. A command needs its list only until its
 * last page was handed to the store, and a pair starts one command at a time.
 */
#ifndef RMNIC_ENGINE_INTERNAL_H
#define RMNIC_ENGINE_INTERNAL_H

#include "engine/device.h"
#include "engine/le.h"
#include "engine/ringmem.h"
#include "engine/state_block.h"
#include "rmnic/ring.h"

/* Pages that may be with the store at a time, for each class: page-in has its own. */
#define RMNIC_PAGE_OPS 512
#define RMNIC_NO_CID   0xffffu
#define RMNIC_VECTORS  2049

/*
 * A command's life. IDLE slots are not in flight. Only rmnic_cmd_move() changes a state.
 *   STARTING  its pages are being handed to the store; at most one a queue pair
 *   WAITING   every page that will be was handed over, some have not come back
 *   DELAYED   all done; the completion is held back (fault delay_us)
 *   DROPPED   all done; the completion is never written (fault CQE_DROP)
 */
enum rmnic_cmd_state {
	RMNIC_CMD_IDLE,
	RMNIC_CMD_QUEUED,
	RMNIC_CMD_STARTING,
	RMNIC_CMD_WAITING,
	RMNIC_CMD_DELAYED,
	RMNIC_CMD_DROPPED,
};

/* One slot of a pair's in-flight table; the index is the cid. Units: pages, or the ranges of
 * a FREE list. */
struct rmnic_cmd {
	uint8_t state;
	uint8_t opcode;
	uint16_t status;
	uint16_t cid;
	uint16_t next;    /* in the list of delayed, or of queued, commands */
	uint32_t npages;
	uint32_t started; /* units handed to the store */
	uint32_t pending; /* of those, not back yet */
	uint32_t done;
	uint32_t failed;  /* first that failed, or RMNIC_NONE_FAILED */
	uint32_t stop_at; /* first unit that an injected fault fails; npages: none */
	uint16_t fault_status;
	uint8_t flags;    /* RMNIC_SQE_F_* */
	bool redriven;    /* a predecessor may have done some of it */
	uint8_t rsvd[4];
	uint64_t rpn;
	uint64_t t_fetch; /* ns */
	uint64_t due;     /* ns; DELAYED */
};
_Static_assert(sizeof(struct rmnic_cmd) == 64, "a slot is a cache line");

struct rmnic_qp {
	struct rmnic_dev *dev;
	bool active;
	bool irq_held;        /* coalescing holds an interrupt back */
	uint8_t qclass;
	uint16_t id;
	uint16_t vector;
	uint16_t coalesce_count;
	uint16_t coalesce_us;
	uint32_t depth;
	uint32_t sq_head;     /* SQEs fetched */
	uint32_t sq_seen;     /* the driver's tail, as far as this round goes */
	uint32_t sq_head_pub; /* as last written to the record */
	uint32_t cq_tail;     /* CQEs written */
	uint32_t cq_flushed;  /* ... up to which cq_arm was compared */
	uint32_t cq_head;     /* the driver's, last valid value read */
	uint32_t in_flight;
	uint32_t skips;       /* bits set in skip */
	uint32_t irq_from;    /* index of the CQE whose interrupt is held back */
	uint64_t irq_due;     /* ns */
	struct rmnic_ringmem sq, cq;
	struct rmnic_mapping rec;
	/* The command being started: its slot, its SQE and its list, all private copies. */
	struct rmnic_cmd *cur;
	uint32_t range_done;  /* pages done of range cur->started */
	union {
		struct rmnic_sqe io;
		struct rmnic_admin_sqe admin;
	} sqe;
	uint64_t *list;        /* RMNIC_MAX_PAGES words */
	struct rmnic_cmd *cmds; /* max_depth slots */
	uint64_t *skip;        /* SQ slots aborted before they were fetched */
	uint16_t delayed_head, delayed_tail; /* by due time; RMNIC_NO_CID: empty */
	uint16_t queued_head, queued_tail;   /* by submission; RMNIC_NO_CID: empty */
	/* Of the state block; NULL: the device has none. */
	struct rmnic_state_queue *row;
	struct rmnic_state_flight *flights;
	bool redriven; /* sqe: a predecessor fetched it */
	bool stray;    /* sqe: its cid has no entry of its own; recorded in the row (STATE-15) */
};

/* A page that is with the store, or a free one. op is first: done() gets its address. */
struct rmnic_page {
	struct rmnic_page_op op;
	struct rmnic_page *next_free;
	struct rmnic_qp *qp;
	struct rmnic_cmd *cmd; /* NULL: free */
	struct rmnic_mapping mapping;
	uint32_t index;
};

enum rmnic_dev_state {
	RMNIC_DEV_DISABLED,
	RMNIC_DEV_RUNNING,
	RMNIC_DEV_PAUSED,
	RMNIC_DEV_FATAL,
};

/* What fault.c remembers between commands. */
struct rmnic_fault_state {
	uint32_t nth_seen, nth_count;
	uint32_t cqe_seen, cqe_count;
	uint32_t irq_seen, irq_count;
	uint32_t random;
};

struct rmnic_dev {
	struct rmnic_dev_config cfg;
	enum rmnic_dev_state state;
	uint64_t features;     /* the driver's */
	bool in_poll;
	bool irq_any;          /* irq_map has a bit */
	bool event_pending;    /* rmnic_dev_event() came while paused */
	bool unsettled;        /* a predecessor may have left pages half written */
	uint64_t capacity;
	uint64_t now;          /* ns, last time read */
	uint32_t timers;       /* delayed commands and held interrupts */
	uint32_t rounds;
	uint32_t next_out;     /* page-out pair served first next round */
	uint16_t n_in, n_out;
	struct rmnic_qp **in, **out; /* active pairs by class */
	struct rmnic_qp *qps;  /* max_qpairs + 1; 0: admin */
	struct rmnic_page *pages; /* 2 * RMNIC_PAGE_OPS */
	struct rmnic_page *free_page[2]; /* by class */
	struct rmnic_cmd *cmds;
	uint64_t *lists;
	uint64_t *skips;
	struct rmnic_mapping *ring_pages; /* of all rings */
	uint64_t irq_map[(RMNIC_VECTORS + 63) / 64];
	struct rmnic_counters counters;
	struct rmnic_hist hist[RMNIC_STAGE_COUNT];
	struct rmnic_fault fault;
	struct rmnic_fault_state fault_state;
	struct rmnic_flight_order *order; /* max_depth, for takeover.c; NULL: no state block */
	const char *why;       /* what is wrong with the state block */
	union {
		struct rmnic_identify identify;
		struct rmnic_stats stats;
		uint64_t words[512];
	} scratch;
};

/* --- device.c ------------------------------------------------------------------------ */

/* Counts and tells a refusal. */
void rmnic_dev_refuse(struct rmnic_dev *dev, enum rmnic_refusal why, uint16_t qid, uint16_t cid,
		      uint64_t value);
/* Goes FATAL: everything is dropped and unmapped. */
void rmnic_dev_fail(struct rmnic_dev *dev, uint32_t error);
/* Forgets all queue pairs and what they have in flight; the state block keeps them. */
void rmnic_dev_close(struct rmnic_dev *dev);
/* Every pair's vector, and the event if there was one, as after any pause (RING-15). */
void rmnic_dev_wake_all(struct rmnic_dev *dev);
/* Writes need_wakeup in every pair's record. */
void rmnic_dev_need_wakeup(struct rmnic_dev *dev, uint32_t value);
/* Whether the device offers these features; refused and counted if not. */
bool rmnic_dev_features_ok(struct rmnic_dev *dev, uint64_t drv_features);
static inline uint64_t rmnic_dev_now(struct rmnic_dev *dev)
{
	return dev->now = dev->cfg.ops->now_ns(dev->cfg.host);
}

/* --- qpair.c ------------------------------------------------------------------------- */

struct rmnic_qp_params {
	uint16_t qid;
	uint16_t vector;
	uint8_t qclass;
	uint32_t depth;
	uint64_t sq_addr, cq_addr, rec_addr;
};

/* Whether depth is one that a queue may have. */
bool rmnic_qp_depth_ok(const struct rmnic_dev *dev, uint32_t depth);
/* RMNIC_SC_OK, or refused and counted; then nothing is mapped. Nothing is recorded yet. */
uint16_t rmnic_qp_open(struct rmnic_dev *dev, const struct rmnic_qp_params *params,
		       uint16_t cid);
/* Unmaps; commands in flight are forgotten, the state block keeps them. */
void rmnic_qp_close(struct rmnic_qp *qp);
/* Reads and checks the driver's indexes. False: the device went FATAL. */
bool rmnic_qp_sync(struct rmnic_qp *qp, uint32_t *sq_tail);
/* Whether the CQ has room for one more command. */
bool rmnic_qp_room(const struct rmnic_qp *qp);
/* fetch.c. Copies the next SQE to qp->sqe: a queued one, or from the ring. False: none, or no room. */
bool rmnic_qp_fetch(struct rmnic_qp *qp, uint32_t sq_tail);
/* What the next SQE of this round seems to be about; nothing may follow from it. UINT64_MAX: there is none. */
uint64_t rmnic_qp_peek(const struct rmnic_qp *qp);
/*
 * Writes one CQE. slot: the command whose entry of the flight table this ends, RMNIC_NO_CID:
 * none; usually it is cid.
 */
void rmnic_qp_post(struct rmnic_qp *qp, uint16_t slot, uint16_t cid, uint16_t qid,
		   uint16_t status, uint32_t done, uint32_t failed);
/* The CQE of a command without an entry, which is the last that was fetched (STATE-15). */
void rmnic_qp_post_stray(struct rmnic_qp *qp, uint16_t cid, uint16_t status);
/* A CQE as it goes into the ring, at cq_tail. */
void rmnic_cqe_write(struct rmnic_qp *qp, const struct rmnic_cqe *cqe);
/* After a batch of posts: publishes sq_head, decides about the interrupt. */
void rmnic_qp_flush(struct rmnic_qp *qp);
/* Raises the pair's interrupt with the next rmnic_dev_irqs(). */
void rmnic_qp_irq_raise(struct rmnic_qp *qp);
/* Raises an interrupt that coalescing holds back. */
void rmnic_qp_irq_release(struct rmnic_qp *qp);
/* Whether a poll would get on with it. */
bool rmnic_qp_has_work(const struct rmnic_qp *qp);
void rmnic_qp_need_wakeup(struct rmnic_qp *qp, uint32_t value);
/*
 * Finds a command that was submitted but not fetched, and passes over it for good; its CQE is
 * the caller's to write.
 */
bool rmnic_qp_skip(struct rmnic_qp *qp, uint16_t cid);
/* The same with a state block: fetches it, and what lies before it, as QUEUED (STATE-14). */
bool rmnic_qp_pull(struct rmnic_qp *qp, uint16_t cid);
/* Raises what was collected. */
void rmnic_dev_irqs(struct rmnic_dev *dev);

/* The i-th range of the list that was copied. */
static inline const struct rmnic_range *rmnic_qp_range(const struct rmnic_qp *qp, uint32_t i)
{
	return (const struct rmnic_range *)qp->list + i;
}

/* --- check.c ------------------------------------------------------------------------- */

/*
 * Checks qp->sqe and copies its list to qp->list. RMNIC_SC_OK, or refused and counted; failed
 * is then the entry of the list that is wrong, or RMNIC_NONE_FAILED.
 */
uint16_t rmnic_cmd_check(struct rmnic_qp *qp, uint32_t *failed);
/* Refuses qp->sqe, or a page of it. Returns status. */
uint16_t rmnic_cmd_refuse(struct rmnic_qp *qp, enum rmnic_refusal why, uint64_t value,
			  uint16_t status);

/* --- command.c ----------------------------------------------------------------------- */

/*
 * Serves an I/O queue pair: at most max_cmds commands fetched and about max_pages pages
 * moved. True: something was done.
 */
bool rmnic_qp_serve(struct rmnic_qp *qp, uint32_t max_cmds, uint32_t max_pages);
/* The only way to another state. False: not a legal move; the device went FATAL. */
bool rmnic_cmd_move(struct rmnic_qp *qp, struct rmnic_cmd *cmd, enum rmnic_cmd_state to);
/* What the SQE says, at the end of the list of what was fetched and waits for its turn. */
bool rmnic_cmd_queue(struct rmnic_qp *qp, const struct rmnic_sqe *sqe, bool redriven);
/* Ends a command that is in flight with ABORTED, whatever its state. */
void rmnic_cmd_abort(struct rmnic_qp *qp, struct rmnic_cmd *cmd);
/* Nothing of the command is with the store any more, and nothing will be. */
void rmnic_cmd_finish(struct rmnic_qp *qp, struct rmnic_cmd *cmd);
/* Page (or range) index of the command has failed. */
void rmnic_cmd_fail_unit(struct rmnic_cmd *cmd, uint32_t index, uint16_t status);
/* Completes delayed commands that are due at now. */
bool rmnic_qp_delayed(struct rmnic_qp *qp, uint64_t now);
/* Finishes what was fetched, as far as the store lets it. */
void rmnic_qp_drain(struct rmnic_qp *qp);
/* Counts a status by its class. */
void rmnic_dev_count_status(struct rmnic_dev *dev, uint16_t status);

/* --- transfer.c ---------------------------------------------------------------------- */

/*
 * Hands pages of qp->cur to the store until budget or the page operations are used up, or one
 * has failed. Returns how many.
 */
uint32_t rmnic_cmd_step_pages(struct rmnic_qp *qp, struct rmnic_cmd *cmd, uint32_t budget);
/* Forgets the pages of cmd, or of every command of qp if NULL, that are with the store. */
void rmnic_pages_cancel(struct rmnic_qp *qp, struct rmnic_cmd *cmd);

/* --- admin.c ------------------------------------------------------------------------- */

/* One admin command, if there is one. */
bool rmnic_admin_serve(struct rmnic_dev *dev);

/* --- flight.c (STATE-9 to STATE-15); all but the last need a state block --------------- */

struct rmnic_flight_order {
	uint64_t submission;
	uint16_t cid;
};

/* The pair exists from now on: its row, with an empty flight table. */
void rmnic_flight_open(struct rmnic_qp *qp);
/* The pair, and whatever is in flight on it, is gone. */
void rmnic_flight_close(struct rmnic_qp *qp);
/* The SQE at sq_head was copied: records it and moves sq_head. */
void rmnic_flight_fetched(struct rmnic_qp *qp, const struct rmnic_sqe *sqe);
/* Moves sq_head over what is recorded. */
void rmnic_flight_head(struct rmnic_qp *qp);
/* Before its CQE is written, and after cq_tail was moved. */
void rmnic_flight_completing(struct rmnic_qp *qp, uint16_t slot, const struct rmnic_cqe *cqe);
void rmnic_flight_completed(struct rmnic_qp *qp, uint16_t slot);
/* cq_tail was moved. */
void rmnic_flight_tail(struct rmnic_qp *qp);
/* The same for a command without an entry. */
void rmnic_flight_refusing(struct rmnic_qp *qp, uint16_t cid, uint16_t status);
void rmnic_flight_refused(struct rmnic_qp *qp);
void rmnic_flight_coalesce(struct rmnic_qp *qp);
/* The enabling has ended: queues and flights are of none. Nothing without a state block. */
void rmnic_flight_drop(struct rmnic_dev *dev);
/* Queues and flights are of this enabling from now on. */
void rmnic_flight_generation(struct rmnic_dev *dev, const struct rmnic_dev_enabling *enabling);

/* --- takeover.c ---------------------------------------------------------------------- */

/*
 * Takes over the queues and the commands in flight of a predecessor (STATE-11, STATE-12).
 * False: dev->why says what is wrong; then nothing is mapped and nothing was served.
 */
bool rmnic_dev_take_over(struct rmnic_dev *dev, const struct rmnic_dev_enabling *enabling);

/* --- fault.c ------------------------------------------------------------------------- */

/* The status to put in place of the result of this command, and from which unit on; 0: none. */
uint16_t rmnic_fault_status(struct rmnic_dev *dev, const struct rmnic_cmd *cmd,
			    uint32_t *stop_at);
/* By how many ns to hold back its completion. */
uint64_t rmnic_fault_delay(struct rmnic_dev *dev, const struct rmnic_cmd *cmd);
/* What to do to its completion entry. */
enum rmnic_fault_cqe rmnic_fault_cqe(struct rmnic_dev *dev, const struct rmnic_cmd *cmd);
/* Whether to lose the completion of this admin command: only when the knobs name its opcode. */
bool rmnic_fault_drop_admin(struct rmnic_dev *dev, uint8_t opcode);
/* Whether to leave out this interrupt. */
bool rmnic_fault_drop_irq(struct rmnic_dev *dev);

#endif /* RMNIC_ENGINE_INTERNAL_H */
