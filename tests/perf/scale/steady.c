/* SPDX-License-Identifier: BSD-3-Clause */
/* What a page costs in a fleet where all is well. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "phases.h"

#define PROBE_PAGES 256
#define BEFORE_NS   UINT64_C(1000000000) /* a start is over then, MTUs are known */
#define IDLE_NS     UINT64_C(10000000000)

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static uint64_t *pages_of(const struct scale_device *d, uint32_t from, uint32_t n)
{
	uint64_t *rpn = malloc((n ? n : 1) * sizeof(*rpn));

	if (!rpn)
		exit(2);
	for (uint32_t k = 0; k < n; k++)
		rpn[k] = scale_load_page(d, from + k);
	return rpn;
}

/* Every device at once. */
static void all(struct scale_fleet *f, struct scale_steady *s)
{
	struct scale_job *jobs = calloc(f->o.devices, sizeof(*jobs));

	if (!jobs)
		exit(2);
	for (uint32_t i = 0; i < f->o.devices; i++) {
		jobs[i].device = &f->devices[i];
		jobs[i].count = f->o.pages;
		jobs[i].rpn = pages_of(&f->devices[i], 0, f->o.pages);
	}
	scale_load_run(scale_load_begin(f, jobs, f->o.devices, true, &s->out));
	scale_load_run(scale_load_begin(f, jobs, f->o.devices, false, &s->in));
	for (uint32_t i = 0; i < f->o.devices; i++)
		free((void *)(uintptr_t)jobs[i].rpn);
	free(jobs);
}

static void measure(struct scale_fleet *f, const struct scale_job *job, bool out, struct scale_times *times,
		    struct scale_cost *cost)
{
	uint64_t sent[2], polls[2], steps = scale_steps;
	double cpu = cpu_us();

	scale_fleet_count(f, &sent[0], &polls[0]);
	scale_load_run(scale_load_begin(f, job, 1, out, times));
	/* What follows from a page after its end is part of what it costs. */
	while (f->net.count)
		scale_net_step(&f->net, UINT64_MAX - 1);
	cost->cpu_us += cpu_us() - cpu;
	cost->steps += (double)(scale_steps - steps);
	scale_fleet_count(f, &sent[1], &polls[1]);
	cost->messages += (double)(sent[1] - sent[0]);
	cost->polls += (double)(polls[1] - polls[0]);
}

static void mean(struct scale_cost *c, double pages)
{
	c->messages /= pages;
	c->polls /= pages;
	c->cpu_us /= pages;
	c->steps /= pages;
}

/* One device after the other, as if each were in a process of its own; the rest stands still. */
static void probe(struct scale_fleet *f, struct scale_steady *s)
{
	uint32_t n = f->o.probes < f->o.devices ? f->o.probes : f->o.devices;
	struct scale_times ignored = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		struct scale_device *d = &f->devices[(uint64_t)i * f->o.devices / n];
		uint64_t *rpn = pages_of(d, 0, PROBE_PAGES);
		struct scale_job job = { d, rpn, PROBE_PAGES };

		scale_fleet_pause(f, d, true);
		/* First uses of memory, which are the system's, come before. */
		scale_load_run(scale_load_begin(f, &job, 1, true, &ignored));
		scale_load_run(scale_load_begin(f, &job, 1, false, &ignored));
		measure(f, &job, true, &s->out_one, &s->cost_out);
		measure(f, &job, false, &s->in_one, &s->cost_in);
		scale_fleet_pause(f, d, false);
		free(rpn);
	}
	mean(&s->cost_out, (double)n * PROBE_PAGES);
	mean(&s->cost_in, (double)n * PROBE_PAGES);
	scale_times_free(&ignored);
}

static void idle(struct scale_fleet *f, struct scale_steady *s)
{
	uint64_t sent[2], polls, until = f->net.now + BEFORE_NS;

	while (scale_net_step(&f->net, until))
		;
	scale_fleet_count(f, &sent[0], &polls);
	until += IDLE_NS;
	while (scale_net_step(&f->net, until))
		;
	scale_fleet_count(f, &sent[1], &polls);
	s->idle_messages = (double)(sent[1] - sent[0]) / f->o.devices / ((double)IDLE_NS / 1e9);
}

void scale_steady_run(struct scale_fleet *f, struct scale_steady *s)
{
	all(f, s);
	idle(f, s);
	probe(f, s);
	scale_times_sort(&s->out);
	scale_times_sort(&s->in);
	scale_times_sort(&s->out_one);
	scale_times_sort(&s->in_one);
}
