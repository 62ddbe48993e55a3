/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/device.h - the queue engine of one device: admin queue, I/O queue pairs, commands.
 *
 * It knows nothing of PCI: the host keeps the registers and calls in here. Nothing is
 * allocated after rmnic_dev_create(). Unless said otherwise a function is called in the
 * thread that polls the device, or while no thread does.
 */
#ifndef RMNIC_ENGINE_DEVICE_H
#define RMNIC_ENGINE_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/fault.h"
#include "engine/host.h"
#include "engine/stats.h"
#include "engine/store.h"
#include "rmnic/device.h"

struct rmnic_dev;
struct rmnic_state_block;

struct rmnic_dev_config {
	const struct rmnic_host_ops *ops;
	void *host;
	struct rmnic_store *store;
	uint16_t max_qpairs;   /* I/O queue pairs, 1 to RMNIC_MAX_QPAIRS */
	uint16_t max_depth;    /* a power of two, RMNIC_MIN_DEPTH to RMNIC_MAX_DEPTH */
	uint16_t vectors;      /* MSI-X vectors, 1 to 2049 */
	uint32_t slab_pages;   /* a power of two */
	uint64_t capacity;     /* pages, a multiple of slab_pages, at most max_capacity */
	uint64_t max_capacity; /* pages, at most RMNIC_MAX_CAPACITY */
	uint64_t features;     /* RMNIC_F_*, reported by IDENTIFY */
	uint8_t uuid[16];
	char serial[32];
	char firmware[32];
	/*
	 * Where queues and commands in flight are recorded, so that a successor completes each
	 * command exactly once (spec/state.md); attached, and of this device's shape. NULL: they are
	 * not recorded. Outlives the device.
	 */
	struct rmnic_state_block *block;
};

/* What the registers say when CTRL.ENABLE is set. */
struct rmnic_dev_enabling {
	uint64_t drv_features;
	uint64_t aq_sq, aq_cq, aq_rec;
	uint32_t aq_depth;
	uint32_t generation; /* of this enabling; only used with a block, and then never 0 */
};

/* NULL: out of memory, or the configuration is out of the ranges above, or not the block's. */
struct rmnic_dev *rmnic_dev_create(const struct rmnic_dev_config *config);
/* The state block stays as it is: a device made on it later can go on. */
void rmnic_dev_destroy(struct rmnic_dev *dev);

/* --- Control (device.md, "Enable, reset and the end of DMA") ------------------------- */

/*
 * Maps the admin queue and starts executing. Returns RMNIC_ERR_NONE or the RMNIC_ERR_* that
 * makes the device fatal; then nothing is mapped. drv_features was checked by nobody yet.
 * aq_depth: a power of two, RMNIC_MIN_DEPTH to the configured max_depth.
 */
uint32_t rmnic_dev_enable(struct rmnic_dev *dev, uint64_t drv_features, uint32_t aq_depth,
			  uint64_t aq_sq, uint64_t aq_cq, uint64_t aq_rec);
/*
 * The same with a state block (and, without one, the same as rmnic_dev_enable(), which a device
 * with one refuses with INTERNAL). Queues and flights of this generation are taken over: the
 * device goes on where its predecessor stopped, in the polls that follow; those of another
 * are dropped. RMNIC_ERR_INTERNAL: rmnic_dev_why() says what is wrong with the block.
 */
uint32_t rmnic_dev_enable_recorded(struct rmnic_dev *dev,
				   const struct rmnic_dev_enabling *enabling);
/* For a message to the user, after the call above returned an error; else NULL. */
const char *rmnic_dev_why(const struct rmnic_dev *dev);
/*
 * Forgets every queue pair and command, with a state block only: its queues and flights stay,
 * and rmnic_dev_enable_recorded() with the same generation goes on. A page-out that was with
 * the store reads as INDETERMINATE until then. No guest memory is mapped afterwards. Without a
 * block it is a rmnic_dev_disable().
 */
void rmnic_dev_suspend(struct rmnic_dev *dev);
/*
 * Drops every queue pair and every command in flight, without completions, those in the state
 * block too. When it returns no guest memory is mapped and none will be touched. Idempotent; also
 * leaves FATAL.
 */
void rmnic_dev_disable(struct rmnic_dev *dev);
/*
 * Stops DMA but keeps the queues (bus master cleared, D3hot, VM stopped): commands already
 * fetched are completed first (delays are cut short), nothing is fetched until resume.
 */
void rmnic_dev_pause(struct rmnic_dev *dev);
/*
 * Whether nothing fetched is unfinished. Always true after a pause with a store that answers
 * at once; with another one the host polls on until it is.
 */
bool rmnic_dev_quiet(const struct rmnic_dev *dev);
/* Raises every vector once; the host polls at least once after it (RING-15). */
void rmnic_dev_resume(struct rmnic_dev *dev);
/*
 * pages: a multiple of slab_pages, not below the present capacity, not above max_capacity;
 * else false and nothing changes. The event is the host's to announce: rmnic_dev_event().
 */
bool rmnic_dev_set_capacity(struct rmnic_dev *dev, uint64_t pages);
/*
 * Moves event_seq in the admin doorbell record and raises vector 0, if the driver took
 * RMNIC_F_CAPACITY_EV; while paused, after the resume.
 */
void rmnic_dev_event(struct rmnic_dev *dev);

/* --- Data path ----------------------------------------------------------------------- */

/*
 * One round: page-in queue pairs first, then the admin queue, then page-out queue pairs;
 * bounded work. True: something was done, poll again.
 */
bool rmnic_dev_poll(struct rmnic_dev *dev);
/* Only its page-in queue pairs: for a host that has several devices and page-outs of another to do. */
bool rmnic_dev_poll_in(struct rmnic_dev *dev);
/*
 * Whether a poll would find work; looks at the tails and deadlines only. It reads queues
 * that a disable unmaps, so like the poll it belongs to the polling thread.
 */
bool rmnic_dev_has_work(struct rmnic_dev *dev);
/*
 * Before the host sleeps: sets NEED_WAKEUP everywhere, then looks once more. False: there is
 * work and NEED_WAKEUP is clear again; do not sleep.
 */
bool rmnic_dev_sleep_begin(struct rmnic_dev *dev);
/* After a wake-up: clears NEED_WAKEUP. */
void rmnic_dev_sleep_end(struct rmnic_dev *dev);
/* now_ns() at which rmnic_dev_poll() must be called again at the latest; UINT64_MAX: never. */
uint64_t rmnic_dev_deadline(const struct rmnic_dev *dev);

/* --- Looking in ---------------------------------------------------------------------- */

const struct rmnic_counters *rmnic_dev_counters(struct rmnic_dev *dev);
/* What READ_STATS gives the guest, for a host that is asked for it by somebody else. */
void rmnic_dev_stats(struct rmnic_dev *dev, struct rmnic_stats *st);
const struct rmnic_hist *rmnic_dev_hist(struct rmnic_dev *dev, enum rmnic_stage stage);
/* For what only the host sees: a refused register access (REG-1, REG-2), a doorbell. */
void rmnic_dev_bad_register(struct rmnic_dev *dev, uint64_t offset);
void rmnic_dev_doorbell(struct rmnic_dev *dev);
/* Knobs for tests, all zero (off) at creation; may be changed at any time by any thread. */
struct rmnic_fault *rmnic_dev_fault(struct rmnic_dev *dev);

/* --- Save and load (migration) ------------------------------------------------------- */

/* A queue pair at rest: paused, nothing in flight. Index 0 is the admin queue pair. */
struct rmnic_qp_state {
	uint8_t active;
	uint8_t qclass;
	uint16_t vector;
	uint16_t coalesce_count;
	uint16_t coalesce_us;
	uint32_t depth;
	uint32_t sq_head;
	uint32_t cq_tail;
	uint64_t sq_addr;
	uint64_t cq_addr;
	uint64_t rec_addr;
};

/* The device must be paused and quiet. qp: max_qpairs + 1 entries. */
void rmnic_dev_save(struct rmnic_dev *dev, struct rmnic_qp_state *qp);
/*
 * On a disabled device, with entry 0 active (one saved while disabled is not loaded); leaves
 * it paused. Every value is checked as if the guest had sent it.
 * False: a value is out of range or an address is not RAM; the device stays disabled.
 */
bool rmnic_dev_load(struct rmnic_dev *dev, uint64_t drv_features,
		    const struct rmnic_qp_state *qp);

/* The counters a migrated device carries along; rmnic_dev_counters() reads them. */
void rmnic_dev_counters_load(struct rmnic_dev *dev, const struct rmnic_counters *from);

#endif /* RMNIC_ENGINE_DEVICE_H */
