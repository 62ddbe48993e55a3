/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server dies with all it had. Those who had pages there notice, do without it, and after a while
 * (away_ns) have them copied to others; some go on reading just those pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "phases.h"

#define VICTIM    0
#define READERS   64
#define LOADS     256 /* rounds of readers under way */
#define BUSY_NS   (500 * SCALE_NS_A_MS) /* so long they read often */
#define OFTEN_NS  (5 * SCALE_NS_A_MS)
#define SELDOM_NS (50 * SCALE_NS_A_MS)
#define LOOK_NS   (10 * SCALE_NS_A_MS)
#define LIMIT_NS  UINT64_C(600000000000)

struct victim {
	struct scale_device *device;
	uint64_t *slab;
	uint32_t slabs;
	bool whole;
};

struct failure {
	struct scale_fleet *fleet;
	struct scale_failure *out;
	struct victim *victims; /* devices with slabs there */
	uint32_t nvictims, readers;
	uint32_t whole;
	struct scale_load *load[LOADS];
	struct scale_job *jobs[LOADS];
	uint64_t *rpns[LOADS];
	uint64_t *before; /* pages that servers had been given */
};

static void *get(size_t n, size_t bytes)
{
	void *p = calloc(n ? n : 1, bytes);

	if (!p) {
		fprintf(stderr, "scale: no memory for the failure\n");
		exit(2);
	}
	return p;
}

/* --- Whom it hits ---------------------------------------------------------------------------- */

static bool is_member(const struct scale_device *d, uint64_t slab, const uint8_t uuid[16])
{
	struct rmnic_remote_slab_info info;

	if (!rmnic_store_remote_slab(d->store, slab, &info))
		return false;
	for (unsigned int i = 0; i < info.members; i++)
		if (!memcmp(info.server[i], uuid, 16))
			return true;
	return false;
}

static void find_victims(struct failure *x)
{
	struct scale_fleet *f = x->fleet;
	uint8_t uuid[16];

	scale_fleet_uuid(VICTIM, uuid);
	x->victims = get(f->o.devices, sizeof(*x->victims));
	for (uint32_t i = 0; i < f->o.devices; i++) {
		struct victim *v = &x->victims[x->nvictims];
		uint64_t nslabs = f->devices[i].pages / SCALE_SLAB_PAGES;

		v->device = &f->devices[i];
		v->device->dropped_at = 0;
		v->slab = get(nslabs, sizeof(*v->slab));
		for (uint64_t slab = 0; slab < nslabs; slab++)
			if (is_member(v->device, slab, uuid))
				v->slab[v->slabs++] = slab;
		if (v->slabs)
			x->nvictims++;
		else
			free(v->slab);
		x->out->slabs += v->slabs;
	}
	x->out->devices = x->nvictims;
	x->readers = x->nvictims < READERS ? x->nvictims : READERS;
}

/* There is something to copy in each of the slabs. */
static void write_deep(struct failure *x)
{
	uint32_t deep = x->fleet->o.deep;
	struct scale_job *jobs = get(x->nvictims, sizeof(*jobs));
	struct scale_times times = { 0 };

	for (uint32_t i = 0; i < x->nvictims; i++) {
		struct victim *v = &x->victims[i];
		uint64_t *rpn = get((size_t)v->slabs * deep, sizeof(*rpn));

		for (uint32_t k = 0; k < v->slabs * deep; k++)
			rpn[k] = scale_load_slab_page(v->slab[k / deep], k % deep);
		jobs[i] = (struct scale_job){ v->device, rpn, v->slabs * deep };
	}
	scale_load_run(scale_load_begin(x->fleet, jobs, x->nvictims, true, &times));
	x->out->pages = times.count;
	x->out->in.failed += times.failed;
	for (uint32_t i = 0; i < x->nvictims; i++)
		free((void *)(uintptr_t)jobs[i].rpn);
	free(jobs);
	scale_times_free(&times);
}

/* --- Readers ------------------------------------------------------------------------------------- */

static void load_free(struct failure *x, uint32_t i)
{
	scale_load_end(x->load[i]);
	free(x->jobs[i]);
	free(x->rpns[i]);
	x->load[i] = NULL;
}

/* A page-in of each reader; those before may be under way still. */
static void read_once(struct failure *x, uint64_t round)
{
	uint32_t i = (uint32_t)(round % LOADS);

	if (x->load[i] && !scale_load_over(x->load[i]))
		return; /* it waits: how long it takes will be seen */
	if (x->load[i])
		load_free(x, i);
	x->jobs[i] = get(x->readers, sizeof(*x->jobs[i]));
	x->rpns[i] = get(x->readers, sizeof(*x->rpns[i]));
	for (uint32_t k = 0; k < x->readers; k++) {
		struct victim *v = &x->victims[(uint64_t)k * x->nvictims / x->readers];

		x->rpns[i][k] = scale_load_slab_page(v->slab[round % v->slabs],
						     (uint32_t)(round * 7 % x->fleet->o.deep));
		x->jobs[i][k] = (struct scale_job){ v->device, &x->rpns[i][k], 1 };
	}
	x->load[i] = scale_load_begin(x->fleet, x->jobs[i], x->readers, false, &x->out->in);
	scale_load_feed(x->load[i]);
}

static void readers_end(struct failure *x)
{
	for (uint32_t i = 0; i < LOADS; i++) {
		while (x->load[i] && !scale_load_over(x->load[i]))
			scale_net_step(&x->fleet->net, UINT64_MAX - 1);
		if (x->load[i])
			load_free(x, i);
	}
}

/* --- What it takes ---------------------------------------------------------------------------------- */

static uint64_t given(const struct scale_fleet *f, uint32_t server)
{
	const struct rmnic_rmp_server *s = f->servers[server].server;

	return s ? rmnic_rmp_server_counters(s)->writes + rmnic_rmp_server_counters(s)->fills : 0;
}

static void look(struct failure *x)
{
	struct rmnic_remote_progress p;

	for (uint32_t i = 0; i < x->nvictims; i++) {
		struct victim *v = &x->victims[i];

		if (v->whole || !v->device->dropped_at)
			continue;
		rmnic_store_remote_progress(v->device->store, &p);
		v->whole = !p.degraded && !p.syncing;
		x->whole += v->whole;
	}
}

static void sum_up(struct failure *x, uint64_t died)
{
	struct scale_failure *out = x->out;
	uint64_t last = died, busy = died;

	for (uint32_t i = 0; i < x->nvictims; i++)
		if (x->victims[i].device->dropped_at > last)
			last = x->victims[i].device->dropped_at;
	for (uint32_t k = 0; k < x->readers; k++) {
		uint64_t at = x->victims[(uint64_t)k * x->nvictims / x->readers].device->dropped_at;

		busy = at > busy ? at : busy;
	}
	out->dropped_ms = (double)(last - died) / (double)SCALE_NS_A_MS;
	out->busy_ms = (double)(busy - died) / (double)SCALE_NS_A_MS;
	out->whole_ms = (double)(x->fleet->net.now - died) / (double)SCALE_NS_A_MS;
	for (uint32_t i = 0; i < x->fleet->o.servers; i++) {
		uint64_t n = i == VICTIM ? 0 : given(x->fleet, i) - x->before[i];

		out->taken += n;
		out->taken_most = n > out->taken_most ? n : out->taken_most;
	}
}

static void wait_whole(struct failure *x, uint64_t died)
{
	struct scale_net *net = &x->fleet->net;
	uint64_t looked = died, read_at = died, round = 0;

	while (x->whole < x->nvictims) {
		uint64_t next = looked + LOOK_NS < read_at ? looked + LOOK_NS : read_at;

		while (net->now < next)
			scale_net_step(net, next);
		if (net->now >= read_at) {
			read_once(x, round++);
			read_at += net->now - died < BUSY_NS ? OFTEN_NS : SELDOM_NS;
		}
		if (net->now >= looked + LOOK_NS) {
			look(x);
			looked = net->now;
		}
		if (net->now - died > LIMIT_NS) {
			fprintf(stderr, "scale: after 600 s %u of %u devices do without what died\n",
				x->nvictims - x->whole, x->nvictims);
			exit(1);
		}
	}
}

void scale_failure_run(struct scale_fleet *f, struct scale_failure *out)
{
	struct failure x = { .fleet = f, .out = out };
	uint64_t died;

	find_victims(&x);
	write_deep(&x);
	x.before = get(f->o.servers, sizeof(*x.before));
	for (uint32_t i = 0; i < f->o.servers; i++)
		x.before[i] = given(f, i);
	died = f->net.now;
	scale_fleet_kill(f, VICTIM);
	wait_whole(&x, died);
	sum_up(&x, died);
	readers_end(&x);
	scale_times_sort(&out->in);
	for (uint32_t i = 0; i < x.nvictims; i++)
		free(x.victims[i].slab);
	free(x.victims);
	free(x.before);
}
