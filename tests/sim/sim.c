/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim - the remote store, its RMP client and memory servers in one process under a virtual
 * clock. Everything is drawn from a seed: sizes, faults, what the guest does and when. A model
 * is the oracle. First the faults, in which no acknowledged page may be lost or wrong; then
 * they stop, and everything must finish.
 *
 *   sim [--seed N] [--runs M] [--ops K] [--rings | --direct] [--first] [--verbose]
 *
 * --rings: the guest talks to a device in front of the store, --direct: to the store itself;
 * else that is drawn too.
 * --first ends with the first run that fails.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rings.h"

#define ROUGH_TIME (20 * SECOND)
#define END_TIME (300 * SECOND) /* for everything to finish when the faults have stopped */

static struct sim *failed_runs;

uint64_t sim_draw(struct sim *s)
{
	uint64_t z = s->rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
	return n ? sim_draw(s) % n : 0;
}

void sim_event(struct sim *s, const char *format, ...)
{
	char *line = s->events[s->nevents++ % EVENTS];
	va_list args;
	int n = snprintf(line, 96, "%12.6f ", (double)s->w.net.now / 1e9);

	va_start(args, format);
	vsnprintf(line + n, (size_t)(96 - n), format, args);
	va_end(args);
	if (s->verbose)
		printf("# %s\n", line);
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->failure[0])
		return;
	va_start(args, format);
	vsnprintf(s->failure, sizeof(s->failure), format, args);
	va_end(args);
}

/* --- A run ------------------------------------------------------------------------------------- */

static void set_up(struct sim *s)
{
	static const uint32_t mtus[] = { 9000, 9000, 4300, 3542, 1500, 1500, 1400, 1280 };
	struct memnet_faults *f = &s->net_faults;
	unsigned int servers = 1 + (unsigned int)sim_below(s, 4);
	uint32_t replicas = servers > 1 ? 1 + (uint32_t)sim_below(s, 2) : 1;
	uint64_t pages = CLUSTER_SLAB * (1 + sim_below(s, 4));
	bool rough = sim_below(s, 4) != 0;

	s->depth = 1 + (unsigned int)sim_below(s, MAX_OPS);
	f->delay_ns = 1000 + sim_below(s, 50000);
	f->jitter_ns = sim_below(s, 2) ? sim_below(s, 200000) : 0;
	f->loss = rough && sim_below(s, 2) ? (unsigned int)sim_below(s, 120) : 0;
	f->duplicate = rough && sim_below(s, 2) ? (unsigned int)sim_below(s, 120) : 0;
	f->reorder = rough && sim_below(s, 2) ? (unsigned int)sim_below(s, sim_below(s, 3) ? 80 : 300) : 0;
	f->late_ns = sim_below(s, 3) ? sim_below(s, 20 * MS) : sim_below(s, 4000 * MS);
	f->corrupt = rough && sim_below(s, 3) == 0 ? (unsigned int)sim_below(s, 40) : 0;
	f->refuse = rough && sim_below(s, 3) == 0 ? (unsigned int)sim_below(s, 60) : 0;
	f->mark = rough && sim_below(s, 4) == 0 ? (unsigned int)sim_below(s, 100) : 0;
	s->crash = sim_below(s, 2) ? 1 + (unsigned int)sim_below(s, 8) : 0;
	s->backend_crash = sim_below(s, 2) ? 1 + (unsigned int)sim_below(s, 8) : 0;
	s->cut = sim_below(s, 3) == 0 ? 1 + (unsigned int)sim_below(s, 6) : 0;
	s->lose = sim_below(s, 6) == 0 ? 1 + (unsigned int)sim_below(s, 3) : 0;
	cluster_init(&s->w, s->seed, servers, (uint32_t)pages + 128 + (uint32_t)sim_below(s, 256), pages,
		   replicas);
	s->w.net.mtu = mtus[sim_below(s, 8)];
	s->w.cfg.timeout_ns = sim_below(s, 2) ? 20 * SECOND : (50 + sim_below(s, 500)) * MS;
	s->silences = s->crash || s->backend_crash || s->cut || s->lose ||
		      s->w.cfg.timeout_ns < 20 * SECOND;
	s->w.net.faults = *f;
	model_init(&s->model, pages);
	printf("# seed %" PRIu64 ": %u servers, %u replicas, %" PRIu64 " pages, depth %u, mtu %u, "
	       "loss %u dup %u reorder %u corrupt %u refuse %u mark %u late %" PRIu64 " us, "
	       "crash %u backend %u cut %u lose %u\n",
	       s->seed, servers, replicas, pages, s->depth, s->w.net.mtu, f->loss, f->duplicate,
	       f->reorder, f->corrupt, f->refuse, f->mark, f->late_ns / 1000, s->crash,
	       s->backend_crash, s->cut, s->lose);
}

static unsigned int under_way(const struct sim *s)
{
	unsigned int n = 0;

	if (s->rings)
		return driver_under_way(s);
	for (unsigned int i = 0; i < s->depth; i++)
		n += s->ops[i].used;
	return n;
}

/* One round: a little time passes, then whatever has ended is looked at. */
static void round_with_rings(struct sim *s, uint64_t until)
{
	driver_run(s);
	rings_poll(s);
	driver_run(s);
	if (!s->faults && !driver_under_way(s))
		return; /* it had no need of the network */
	cluster_step(&s->w, until);
	rings_dead(s);
	faults_heal(s, false);
	rings_poll(s);
	driver_run(s);
}

static void round_of(struct sim *s, uint64_t until)
{
	if (s->rings) {
		round_with_rings(s, until);
		return;
	}
	guest_reap(s);
	cluster_step(&s->w, until);
	faults_heal(s, false);
	if (s->stalled && rmnic_store_remote_status(s->w.store, NULL) == RMNIC_REMOTE_READY) {
		s->stalled = false;
		guest_redrive(s);
	}
	guest_reap(s);
}

static void rough_part(struct sim *s, uint64_t ops)
{
	uint64_t until;

	s->faults = true;
	while (s->done < ops && !s->failure[0] &&
	       rmnic_store_remote_status(s->w.store, NULL) != RMNIC_REMOTE_READY)
		round_of(s, s->w.net.now + 1 * MS);
	/* A storm of crashes may leave no time for work: then the calm comes sooner. */
	until = s->w.net.now + ROUGH_TIME;
	while (s->done < ops && !s->failure[0] && s->w.net.now < until) {
		if (s->rings)
			driver_begin(s);
		else
			guest_begin(s);
		faults_draw(s);
		if (s->w.store && !s->failure[0])
			round_of(s, s->w.net.now + 1 + sim_below(s, 50000));
	}
}

/* Everything is well again: what is under way ends, and every page reads as it should. */
static void calm_part(struct sim *s)
{
	uint64_t until;

	memset(&s->w.net.faults, 0, sizeof(s->w.net.faults));
	s->w.net.faults.delay_ns = 5000;
	faults_heal(s, true);
	guest_resize(s, s->model.npages);
	until = s->w.net.now + END_TIME;
	s->faults = true; /* errors whose cause was before may still come in */
	if (s->rings)
		s->rings->die_in = 0;
	while (under_way(s) && s->w.net.now < until && !s->failure[0])
		round_of(s, s->w.net.now + 10 * MS);
	if (under_way(s))
		sim_fail(s, "%u operations did not finish within %" PRIu64 " s of calm", under_way(s),
		     END_TIME / SECOND);
	cluster_run(&s->w, 5 * SECOND); /* for greetings that were put off */
	s->faults = false;
	for (uint64_t rpn = 0; rpn < s->model.npages && !s->failure[0]; rpn++) {
		if (s->rings)
			driver_read(s, rpn);
		else
			guest_read(s, rpn);
		until = s->w.net.now + 60 * SECOND;
		guest_reap(s);
		while (under_way(s) && s->w.net.now < until && !s->failure[0])
			round_of(s, until);
		if (under_way(s))
			sim_fail(s, "page %" PRIu64 " cannot be read after the faults", rpn);
	}
}

/* A page whose members were told that it is free: whoever still has it was overtaken. */
static void audit_freed(struct sim *s, const struct rmnic_mem_slab *slab)
{
	const uint32_t bits = RMNIC_STATE_PAGE_KIND | RMNIC_STATE_PAGE_TELL |
			      RMNIC_STATE_PAGE_WRITING;
	const uint16_t content = RMNIC_RMP_PAGE_STORED | RMNIC_RMP_PAGE_FILLED;
	struct rmnic_state_block block;
	struct rmnic_state_view v;
	bool member = false;

	if (rmnic_state_attach(&block, s->w.state, s->w.state_size, s->w.cfg.device) ||
	    !rmnic_state_view_get(&block, slab->number, &v))
		abort();
	for (unsigned int i = 0; i < v.members; i++)
		member |= v.member[i].handle == slab->handle;
	for (uint32_t i = 0; i < slab->pages && member; i++) {
		uint64_t word = rmnic_state_page(&block, slab->number * slab->pages + i);

		if (((uint32_t)word & bits) == RMNIC_STATE_PAGE_FREED &&
		    (slab->meta[i].vstate & content))
			sim_fail(s, "page %" PRIu64 " was freed, and a member has it again",
			     slab->number * slab->pages + i);
	}
}

/* Each frame is in a slab, or free: nothing leaks, whatever happened. */
static void audit(struct sim *s)
{
	if (s->rings)
		rings_audit(s);
	if (s->w.net.changed)
		sim_fail(s, "%" PRIu64 " pages changed while they were being sent", s->w.net.changed);
	for (unsigned int i = 0; i < s->w.nservers; i++)
		for (uint32_t k = 0; k < s->w.servers[i].store->cfg.max_slabs; k++)
			if (s->w.servers[i].store->slabs[k].handle &&
			    !s->w.servers[i].store->slabs[k].dying)
				audit_freed(s, &s->w.servers[i].store->slabs[k]);
	for (unsigned int i = 0; i < s->w.nservers && !s->failure[0]; i++) {
		struct rmnic_memstore *ms = s->w.servers[i].store;

		cluster_server_stop(&s->w, i, true);
		memnet_settle(&s->w.net, s->w.servers[i].end);
		if (rmnic_frames_total(ms->frames) - rmnic_frames_free(ms->frames) != ms->stored)
			sim_fail(s, "server %u: %u frames in use, %" PRIu64 " pages stored", i,
			     rmnic_frames_total(ms->frames) - rmnic_frames_free(ms->frames), ms->stored);
	}
}

struct options {
	uint64_t ops;
	bool verbose;
	int rings; /* 1: with a device, 0: without; -1: as the seed will */
};

/* The device is gone: nothing of it is left anywhere. */
static void end_part(struct sim *s)
{
	uint64_t until = s->w.net.now + 60 * SECOND;

	rmnic_store_remote_release(s->w.store);
	while (rmnic_store_remote_status(s->w.store, NULL) != RMNIC_REMOTE_RELEASED)
		if (!cluster_step(&s->w, until))
			break;
	if (rmnic_store_remote_status(s->w.store, NULL) != RMNIC_REMOTE_RELEASED)
		sim_fail(s, "the device's slabs were not released");
	/* It may give up early; then it says so. */
	if (rmnic_store_remote_counters(s->w.store)->unreleased && s->w.cfg.timeout_ns < SECOND)
		return;
	for (unsigned int i = 0; i < s->w.nservers; i++)
		if (s->w.servers[i].store->devices[0].slabs)
			sim_fail(s, "server %u: %u slabs of a device that is gone", i,
				 s->w.servers[i].store->devices[0].slabs);
}

/* False: the run failed. */
static bool run(uint64_t seed, const struct options *options, uint64_t *done)
{
	struct sim *s = calloc(1, sizeof(*s));
	bool ok;

	s->seed = seed;
	s->rng = seed * 0x2545f4914f6cdd1dull;
	s->verbose = options->verbose;
	set_up(s);
	if (options->rings < 0 ? seed * 0x9e3779b97f4a7c15ull >> 63 != 0 : options->rings != 0) {
		rings_init(s);
		s->backend_crash *= 5; /* it is what such a run is about */
		printf("# seed %" PRIu64 ": with a device and its rings\n", seed);
	}
	if (cluster_start(&s->w)) {
		rough_part(s, options->ops);
		calm_part(s);
		if (!s->failure[0])
			end_part(s);
		audit(s);
	} else {
		sim_fail(s, "the store was not created: %s", s->w.why);
	}
	ok = !s->failure[0];
	if (!ok) {
		unsigned int from = s->nevents > EVENTS ? s->nevents - EVENTS : 0;

		for (unsigned int i = from; i < s->nevents; i++)
			printf("#   %s\n", s->events[i % EVENTS]);
		printf("# FAILED at %.6f s: %s\n# replay: sim --seed %" PRIu64 " --ops %" PRIu64
		       " %s --verbose\n",
		       (double)s->w.net.now / 1e9, s->failure, seed, options->ops,
		       s->rings ? "--rings" : "--direct");
	} else {
		printf("#   %" PRIu64 " operations, %" PRIu64 " errors, %" PRIu64 " crashes, %" PRIu64
		       " restarts, %.3f s, trace %016" PRIx64 "\n",
		       s->done, s->errors, s->crashes, s->restarts, (double)s->w.net.now / 1e9,
		       s->w.net.hash);
	}
	*done += s->done;
	if (!ok) { /* the pieces may not fit together any more: they are left as they are */
		s->failed = failed_runs;
		failed_runs = s;
	} else {
		rings_fini(s);
		cluster_fini(&s->w);
		model_fini(&s->model);
		free(s);
	}
	return ok;
}

static uint64_t number(const char *text)
{
	char *end_ = NULL;
	uint64_t n = text ? strtoull(text, &end_, 0) : 0;

	if (!text || *end_ || end_ == text) {
		fprintf(stderr, "sim: '%s' is no number\n", text ? text : "");
		exit(2);
	}
	return n;
}

static int usage(void)
{
	fprintf(stderr, "usage: sim [--seed N] [--runs M] [--ops K] [--rings | --direct] [--first] "
			"[--verbose]\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct options options = { .ops = 2000, .rings = -1 };
	uint64_t seed = 1, runs = 1, done = 0, failed = 0;
	bool first = false;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seed"))
			seed = number(argv[++i]);
		else if (!strcmp(argv[i], "--runs"))
			runs = number(argv[++i]);
		else if (!strcmp(argv[i], "--ops"))
			options.ops = number(argv[++i]);
		else if (!strcmp(argv[i], "--rings"))
			options.rings = 1;
		else if (!strcmp(argv[i], "--direct"))
			options.rings = 0;
		else if (!strcmp(argv[i], "--first"))
			first = true;
		else if (!strcmp(argv[i], "--verbose"))
			options.verbose = true;
		else
			return usage();
	}
	for (uint64_t i = 0; i < runs && !(first && failed); i++)
		failed += !run(seed + i, &options, &done);
	printf("# %" PRIu64 " runs, %" PRIu64 " failed, %" PRIu64 " page operations\n", runs, failed,
	       done);
	return failed != 0;
}
