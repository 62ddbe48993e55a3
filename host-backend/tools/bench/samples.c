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

enum { ALL = -1, OUT, IN };

static bool of_class(uint32_t sample, int class)
{
	return class == ALL || (int)(sample & 1) == class;
}

static void max_add(struct bench_latency *latency, uint32_t ns)
{
	latency->commands++;
	if (ns > latency->max)
		latency->max = ns;
}

void bench_samples_add(struct bench_load *load, uint64_t ns, bool in)
{
	struct bench_result *r = &load->result;
	uint32_t sample = bench_sample(ns, in);

	load->sample[load->samples++ % BENCH_SAMPLES] = sample;
	/* The slowest one counts also when its sample does not last. */
	max_add(&r->all, sample & ~1u);
	max_add(in ? &r->in : &r->out, sample & ~1u);
}

/* Percentiles: the smallest sample of the class that a share of them, in thousandths, does not exceed. */
static void summary(const uint32_t *sorted, uint64_t n, int class, struct bench_latency *latency)
{
	const struct {
		uint64_t permille;
		uint32_t *to;
	} wanted[] = { { 500, &latency->p50 }, { 900, &latency->p90 }, { 990, &latency->p99 },
		       { 999, &latency->p999 } };
	uint64_t all = 0;
	uint64_t seen = 0;
	unsigned int w = 0;

	for (uint64_t i = 0; i < n; i++)
		all += of_class(sorted[i], class);
	for (uint64_t i = 0; i < n && w < 4; i++) {
		seen += of_class(sorted[i], class);
		while (w < 4 && seen && seen >= (all * wanted[w].permille + 999) / 1000)
			*wanted[w++].to = sorted[i] & ~1u;
	}
}

void bench_samples_summary(struct bench_load *load)
{
	struct bench_result *r = &load->result;
	uint64_t n = load->samples < BENCH_SAMPLES ? load->samples : BENCH_SAMPLES;

	qsort(load->sample, n, sizeof(*load->sample), by_value);
	summary(load->sample, n, ALL, &r->all);
	summary(load->sample, n, IN, &r->in);
	summary(load->sample, n, OUT, &r->out);
}
