/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/timer.h"

#include <stddef.h>

static void put(struct rmnic_timers *ts, uint32_t slot, struct rmnic_timer *t)
{
	ts->heap[slot] = t;
	t->slot = slot;
}

static void rise(struct rmnic_timers *ts, struct rmnic_timer *t, uint32_t slot)
{
	while (slot > 1 && ts->heap[slot / 2]->due > t->due) {
		put(ts, slot, ts->heap[slot / 2]);
		slot /= 2;
	}
	put(ts, slot, t);
}

static void sink(struct rmnic_timers *ts, struct rmnic_timer *t, uint32_t slot)
{
	for (;;) {
		uint32_t child = slot * 2;

		if (child > ts->count)
			break;
		if (child < ts->count && ts->heap[child + 1]->due < ts->heap[child]->due)
			child++;
		if (ts->heap[child]->due >= t->due)
			break;
		put(ts, slot, ts->heap[child]);
		slot = child;
	}
	put(ts, slot, t);
}

bool rmnic_timer_set(struct rmnic_timers *ts, struct rmnic_timer *t, uint64_t due)
{
	uint64_t old = t->due;

	t->due = due;
	if (t->slot) {
		if (due < old)
			rise(ts, t, t->slot);
		else
			sink(ts, t, t->slot);
		return true;
	}
	if (ts->count == ts->max)
		return false;
	rise(ts, t, ++ts->count);
	return true;
}

void rmnic_timer_cancel(struct rmnic_timers *ts, struct rmnic_timer *t)
{
	uint32_t slot = t->slot;
	struct rmnic_timer *last;

	if (!slot)
		return;
	t->slot = 0;
	last = ts->heap[ts->count--];
	if (last == t)
		return;
	if (slot > 1 && ts->heap[slot / 2]->due > last->due)
		rise(ts, last, slot);
	else
		sink(ts, last, slot);
}

uint64_t rmnic_timers_next(const struct rmnic_timers *ts)
{
	return ts->count ? ts->heap[1]->due : RMNIC_TIMER_NONE;
}

struct rmnic_timer *rmnic_timers_pop(struct rmnic_timers *ts, uint64_t now)
{
	struct rmnic_timer *t;

	if (!ts->count || ts->heap[1]->due > now)
		return NULL;
	t = ts->heap[1];
	rmnic_timer_cancel(ts, t);
	return t;
}
