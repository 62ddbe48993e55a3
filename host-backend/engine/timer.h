/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/timer.h - many deadlines, the nearest first: a binary heap in memory of the caller's.
 *
 * Whatever has a deadline embeds a struct rmnic_timer. Setting, moving and cancelling take
 * O(log n), looking at the nearest one O(1). Nothing fires by itself.
 */
#ifndef RMNIC_ENGINE_TIMER_H
#define RMNIC_ENGINE_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#define RMNIC_TIMER_NONE UINT64_MAX

struct rmnic_timer {
	uint64_t due;  /* ns */
	uint32_t slot; /* in the heap, from 1; 0: not set */
	uint32_t kind; /* the owner's: which of its structures this is part of */
};

struct rmnic_timers {
	struct rmnic_timer **heap; /* max + 1 entries; the first is unused */
	uint32_t count;
	uint32_t max;
};

/* Sets or moves. False: the heap is full, which is the caller's error in sizing it. */
bool rmnic_timer_set(struct rmnic_timers *ts, struct rmnic_timer *t, uint64_t due);
void rmnic_timer_cancel(struct rmnic_timers *ts, struct rmnic_timer *t);
/* When the nearest is due; RMNIC_TIMER_NONE: none is set. */
uint64_t rmnic_timers_next(const struct rmnic_timers *ts);
/* Takes out one that is due at now; NULL: none. */
struct rmnic_timer *rmnic_timers_pop(struct rmnic_timers *ts, uint64_t now);

#endif /* RMNIC_ENGINE_TIMER_H */
