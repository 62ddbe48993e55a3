/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/sched_batch.h - who is woken does not interrupt who has the CPU, as long as that is soon done with it.
 *
 * A thread that each datagram wakes, on the CPU of who sends them, interrupts the sender behind the first of a burst:
 * two switches a datagram. Under SCHED_BATCH it runs when the sender has sent them all. Where the CPU is
 * somebody's who computes for long, though, it would wait for milliseconds. The kernel says how long
 * it waited (/proc/thread-self/schedstat): where that is too long, the thread goes back to what it was, for a
 * while that doubles each time. Used by one thread, the one in question.
 */
#ifndef RMNIC_COMMON_SCHED_BATCH_H
#define RMNIC_COMMON_SCHED_BATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RMNIC_SCHED_BATCH_LOOK     64u                      /* sleeps from one look at the clock to the next */
#define RMNIC_SCHED_BATCH_LATE_NS  UINT64_C(250000)         /* on average of those: too long */
#define RMNIC_SCHED_BATCH_HOLD_NS  UINT64_C(10000000000)    /* without it, the first time */
#define RMNIC_SCHED_BATCH_MOST_NS  UINT64_C(640000000000)

#define RMNIC_SCHED_BATCH_FILE "/proc/thread-self/schedstat"

struct rmnic_sched_batch {
	int fd;         /* -1: how long it waits cannot be known, or somebody gave it a policy: never */
	_Atomic bool on;
	uint32_t sleeps;
	uint64_t waited, runs; /* by the last look; ns, and how often it got the CPU */
	uint64_t again;        /* ns of the caller's clock: not before */
	uint64_t hold_ns;
};

/* In the thread. file: RMNIC_SCHED_BATCH_FILE. */
void rmnic_sched_batch_begin(struct rmnic_sched_batch *b, const char *file);
/* The policy is again what it was. */
void rmnic_sched_batch_end(struct rmnic_sched_batch *b);
/* After each sleep. Costs a system call each RMNIC_SCHED_BATCH_LOOK. */
void rmnic_sched_batch_slept(struct rmnic_sched_batch *b, uint64_t now);

#endif /* RMNIC_COMMON_SCHED_BATCH_H */
