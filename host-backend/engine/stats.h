/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/stats.h - counters and latency histograms of a device.
 *
 * Written by the polling thread alone, with relaxed atomic stores; any thread may read.
 */
#ifndef RMNIC_ENGINE_STATS_H
#define RMNIC_ENGINE_STATS_H

#include <stdint.h>

#include "engine/host.h"

/* Bucket i counts values v (ns) with 2^i <= v < 2^(i+1); bucket 0 also counts 0. */
#define RMNIC_HIST_BUCKETS 40

struct rmnic_hist {
	uint64_t bucket[RMNIC_HIST_BUCKETS];
	uint64_t count;
	uint64_t sum_ns;
	uint64_t max_ns;
};

/* The stages of a command that are timed. */
enum rmnic_stage {
#define RMNIC_STAGES(X)                                                       \
	X(PAGE_IN_STORE, "page-in-store")   /* fetch to the last page's bytes */  \
	X(PAGE_IN_TOTAL, "page-in-total")   /* fetch to the CQE */                \
	X(PAGE_OUT_STORE, "page-out-store")                                       \
	X(PAGE_OUT_TOTAL, "page-out-total")                                       \
	X(FREE_TOTAL, "free-total")                                               \
	X(ADMIN_TOTAL, "admin-total")
#define X(id, name) RMNIC_STAGE_##id,
	RMNIC_STAGES(X)
#undef X
	RMNIC_STAGE_COUNT
};

struct rmnic_counters {
	uint64_t page_out_cmds, page_in_cmds, free_cmds, zero_cmds, flush_cmds, admin_cmds;
	uint64_t pages_out, pages_in, pages_freed, pages_zeroed;
	uint64_t status_refused, status_retry, status_data, aborted;
	uint64_t interrupts, doorbells, wakeups, resets, fatal_errors;
	uint64_t refused[RMNIC_REFUSAL_COUNT];
	uint64_t faults_injected;
};

void rmnic_hist_add(struct rmnic_hist *hist, uint64_t ns);
/* The upper bound of the bucket in which the p-th part (0 < p <= 1) lies; 0 when empty. */
uint64_t rmnic_hist_percentile(const struct rmnic_hist *hist, double p);

extern const char *const rmnic_stage_names[RMNIC_STAGE_COUNT];
extern const char *const rmnic_refusal_names[RMNIC_REFUSAL_COUNT];

#endif /* RMNIC_ENGINE_STATS_H */
