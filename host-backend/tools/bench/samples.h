/* SPDX-License-Identifier: BSD-3-Clause */
/* tools/bench/samples.h - latencies one by one, for percentiles without buckets. */
#ifndef RMNIC_BENCH_SAMPLES_H
#define RMNIC_BENCH_SAMPLES_H

#include <stdint.h>

#include "tools/bench/load.h"

#define BENCH_SAMPLES (1u << 22) /* of a phase; when there are more, the last ones */

/* NULL: out of memory. */
uint32_t *bench_samples_create(void);
void bench_samples_destroy(uint32_t *sample);
/* Sorts those of the last phase and sets its result's percentiles. */
void bench_samples_summary(struct bench_load *load);

/* The lowest bit says which way, so that what is sorted together can be told apart. */
static inline uint32_t bench_sample(uint64_t ns, bool in)
{
	return (uint32_t)(ns > UINT32_MAX ? UINT32_MAX & ~1u : ns & ~1ull) | in;
}

/* Keeps the latency of one command. */
void bench_samples_add(struct bench_load *load, uint64_t ns, bool in);

#endif /* RMNIC_BENCH_SAMPLES_H */
