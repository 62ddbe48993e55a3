/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/stats.h"

#include "engine/le.h"

const char *const rmnic_stage_names[RMNIC_STAGE_COUNT] = {
#define X(id, name) name,
	RMNIC_STAGES(X)
#undef X
};

const char *const rmnic_refusal_names[RMNIC_REFUSAL_COUNT] = {
#define X(id, name) name,
	RMNIC_REFUSALS(X)
#undef X
};

void rmnic_hist_add(struct rmnic_hist *hist, uint64_t ns)
{
	unsigned int bucket = ns ? 63 - (unsigned int)__builtin_clzll(ns) : 0;

	if (bucket >= RMNIC_HIST_BUCKETS)
		bucket = RMNIC_HIST_BUCKETS - 1;
	RMNIC_COUNT(hist->bucket[bucket], 1);
	RMNIC_COUNT(hist->sum_ns, ns);
	if (ns > hist->max_ns)
		__atomic_store_n(&hist->max_ns, ns, __ATOMIC_RELAXED);
	RMNIC_COUNT(hist->count, 1);
}

uint64_t rmnic_hist_percentile(const struct rmnic_hist *hist, double p)
{
	uint64_t total = 0, sum = 0;
	unsigned int last = 0;

	/* The buckets themselves are counted: count may be ahead of or behind them. */
	for (unsigned int i = 0; i < RMNIC_HIST_BUCKETS; i++) {
		uint64_t n = __atomic_load_n(&hist->bucket[i], __ATOMIC_RELAXED);

		total += n;
		if (n)
			last = i;
	}
	if (total == 0)
		return 0;
	for (unsigned int i = 0; i < last; i++) {
		sum += __atomic_load_n(&hist->bucket[i], __ATOMIC_RELAXED);
		if ((double)sum >= p * (double)total)
			return 2ull << i;
	}
	return 2ull << last;
}
