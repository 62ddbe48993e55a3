/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/sched_batch.h"

#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* The thread's: 0 means the one that calls. */
static void policy_set(struct rmnic_sched_batch *b, bool on)
{
	static const struct sched_param none;

	if (sched_setscheduler(0, on ? SCHED_BATCH : SCHED_OTHER, &none) == 0)
		atomic_store_explicit(&b->on, on, memory_order_relaxed);
}

/* Time on the CPU, time spent waiting for it, and how often it was got. */
static bool look(const struct rmnic_sched_batch *b, uint64_t *waited, uint64_t *runs)
{
	char text[96], *at, *end;
	ssize_t n = pread(b->fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	strtoull(text, &at, 10);
	*waited = strtoull(at, &end, 10);
	if (end == at)
		return false;
	*runs = strtoull(end, &at, 10);
	return at != end;
}

void rmnic_sched_batch_begin(struct rmnic_sched_batch *b, const char *file)
{
	*b = (struct rmnic_sched_batch){ .fd = -1, .hold_ns = RMNIC_SCHED_BATCH_HOLD_NS };
	if (sched_getscheduler(0) == SCHED_OTHER)
		b->fd = open(file, O_RDONLY | O_CLOEXEC);
}

void rmnic_sched_batch_end(struct rmnic_sched_batch *b)
{
	if (b->fd < 0)
		return;
	policy_set(b, false);
	close(b->fd);
	b->fd = -1;
}

static void judge(struct rmnic_sched_batch *b, uint64_t waited, uint64_t runs, uint64_t now)
{
	bool on = atomic_load_explicit(&b->on, memory_order_relaxed);

	if (on && waited > runs * RMNIC_SCHED_BATCH_LATE_NS) {
		policy_set(b, false);
		b->again = now + b->hold_ns;
		b->hold_ns = b->hold_ns * 2 < RMNIC_SCHED_BATCH_MOST_NS ? b->hold_ns * 2 : RMNIC_SCHED_BATCH_MOST_NS;
	} else if (on && now >= b->again + b->hold_ns) {
		b->hold_ns = RMNIC_SCHED_BATCH_HOLD_NS; /* it went well for as long as it would rest */
	} else if (!on && now >= b->again) {
		policy_set(b, true);
		b->again = now;
	}
}

void rmnic_sched_batch_slept(struct rmnic_sched_batch *b, uint64_t now)
{
	uint64_t waited, runs;

	if (b->fd < 0 || ++b->sleeps < RMNIC_SCHED_BATCH_LOOK)
		return;
	b->sleeps = 0;
	if (!look(b, &waited, &runs)) {
		rmnic_sched_batch_end(b);
		return;
	}
	judge(b, waited - b->waited, runs - b->runs, now);
	b->waited = waited;
	b->runs = runs;
}
