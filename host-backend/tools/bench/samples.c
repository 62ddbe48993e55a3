/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/samples.h"

#include <stdlib.h>
#include <sys/mman.h>

uint32_t *bench_samples_create(void)
{
	void *map = mmap(NULL, BENCH_SAMPLES * sizeof(uint32_t), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

void bench_samples_destroy(uint32_t *sample)
{
	if (sample)
		munmap(sample, BENCH_SAMPLES * sizeof(uint32_t));
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The smallest sample that a share of them, in thousandths, does not exceed. */
static uint32_t at(const uint32_t *sorted, uint64_t n, uint64_t permille)
{
	uint64_t rank = (n * permille + 999) / 1000;

	return sorted[rank ? rank - 1 : 0];
}

void bench_samples_summary(struct bench_load *load)
{
	struct bench_result *r = &load->result;
	uint32_t *sample = load->sample;
	uint64_t n = load->samples < BENCH_SAMPLES ? load->samples : BENCH_SAMPLES;

	if (!n)
		return;
	qsort(sample, n, sizeof(*sample), by_value);
	r->p50 = at(sample, n, 500);
	r->p90 = at(sample, n, 900);
	r->p99 = at(sample, n, 990);
	r->p999 = at(sample, n, 999);
	r->max = sample[n - 1];
}
