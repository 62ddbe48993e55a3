/* SPDX-License-Identifier: BSD-3-Clause */
/* A run: the rough part, the calm part, the end. */
#include "run.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rings.h"

#define ROUGH_TIME (20 * SECOND)
#define END_TIME   (600 * SECOND) /* for everything to finish when the faults have stopped */

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
	return n ? (uint64_t)((__uint128_t)sim_draw(s) * n >> 64) : 0;
}

bool sim_one_of(struct sim *s, uint64_t n)
{
	return n && !sim_below(s, n);
}

void sim_event(struct sim *s, const char *format, ...)
{
	char *line = s->events[s->nevents % EVENTS];
	va_list args;
	int n;

	if (!s->record)
		return; /* a run that fails is run again, with events */
	s->nevents++;
	n = snprintf(line, sizeof(s->events[0]), "%12.6f ", (double)s->w.net.now / 1e9);
	va_start(args, format);
	vsnprintf(line + n, sizeof(s->events[0]) - (size_t)n, format, args);
	va_end(args);
	if (s->verbose)
		printf("# %s\n", line);
}

void sim_fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->failure[0])
		return;
	s->failed_at = s->w.net.now;
	va_start(args, format);
	vsnprintf(s->failure, sizeof(s->failure), format, args);
	va_end(args);
}

/* --- Rounds ------------------------------------------------------------------------------------ */

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
	cluster_step(&s->w, until);
	rings_dead(s);
	rings_poll(s);
	driver_run(s); /* what was acknowledged was so under the views that were there before */
	faults_heal(s, false);
	oracle_views(s);
}

static void round_without(struct sim *s, uint64_t until)
{
	guest_reap(s);
	cluster_step(&s->w, until);
	guest_reap(s); /* what was acknowledged was so under the views that were there before */
	faults_heal(s, false);
	oracle_views(s);
	if (s->stalled && rmnic_store_remote_status(s->w.store, NULL) == RMNIC_REMOTE_READY) {
		s->stalled = false;
		guest_redrive(s);
	}
	guest_reap(s);
}

static void round_of(struct sim *s, uint64_t until)
{
	if (s->rings)
		round_with_rings(s, until);
	else
		round_without(s, until);
	if (s->watch)
		oracle_watch(s);
	if (s->w.stuck)
		sim_fail(s, "somebody has more to do for ever");
}

static void rough_part(struct sim *s, uint64_t ops)
{
	uint64_t until;

	s->faults = true;
	while (!s->failure[0] && s->w.net.now < ROUGH_TIME &&
	       rmnic_store_remote_status(s->w.store, NULL) != RMNIC_REMOTE_READY)
		round_of(s, s->w.net.now + 1 * MS);
	/* A storm of crashes may leave no time for work: then the calm comes sooner. */
	until = s->w.net.now + ROUGH_TIME;
	while (s->done < ops && !s->failure[0] && s->w.net.now < until) {
		for (uint64_t n = 1 + sim_below(s, 3); n; n--)
			if (s->rings)
				driver_begin(s);
			else
				guest_begin(s);
		faults_draw(s);
		if (s->w.store && !s->failure[0])
			round_of(s, s->w.net.now + 1 + sim_below(s, 100000));
	}
}

/* --- The calm ---------------------------------------------------------------------------------- */

static void wait_for_operations(struct sim *s, const char *what)
{
	uint64_t until = s->w.net.now + END_TIME;

	while (under_way(s) && s->w.net.now < until && !s->failure[0])
		round_of(s, s->w.net.now + 10 * MS);
	if (under_way(s))
		sim_fail(s, "%u %s did not finish within %" PRIu64 " s of calm", under_way(s), what,
			 END_TIME / SECOND);
}

/* Every page once; all of them must succeed. */
static void whole_device(struct sim *s, bool out)
{
	for (uint64_t rpn = 0; rpn < s->model.npages && !s->failure[0];) {
		if (under_way(s) < s->depth) {
			if (out) /* what it may have been it is no more */
				s->model.pages[rpn].nmaybe = 0;
			if (s->rings)
				driver_one(s, rpn, out);
			else if (out)
				guest_write(s, rpn);
			else
				guest_read(s, rpn);
			rpn++;
		} else {
			round_of(s, s->w.net.now + 10 * MS);
		}
	}
	wait_for_operations(s, out ? "page-outs" : "page-ins");
}

static bool is_whole(const struct sim *s, const struct rmnic_remote_progress *p)
{
	return !p->degraded && !p->syncing && !p->away && !p->moving && !p->spilled &&
	       p->slabs == s->block.nslabs;
}

/* What a server had is released after the views that do not name it any more are known (STATE-17). */
static void wait_for_drain(struct sim *s, unsigned int i, uint64_t until)
{
	uint32_t peer = s->w.servers[i].peer;

	if (!s->servers[i].draining)
		return;
	while (rmnic_store_remote_holds(s->w.store, peer) && s->w.net.now < until && !s->failure[0])
		round_of(s, s->w.net.now + 50 * MS);
	if (rmnic_store_remote_holds(s->w.store, peer))
		sim_fail(s, "server %u is drained, and views name it", i);
}

/* Nothing is left to be repaired, where servers are enough. */
static void wait_for_repair(struct sim *s)
{
	uint64_t until = s->w.net.now + END_TIME;
	struct rmnic_remote_progress p;

	if (!oracle_suffices(s))
		return;
	rmnic_store_remote_progress(s->w.store, &p);
	while (!is_whole(s, &p) && s->w.net.now < until && !s->failure[0]) {
		for (unsigned int i = 0; i < 20; i++)
			round_of(s, s->w.net.now + 50 * MS);
		rmnic_store_remote_progress(s->w.store, &p);
	}
	if (!is_whole(s, &p))
		sim_fail(s, "after %" PRIu64 " s of calm: %" PRIu64 " slabs of %" PRIu64 ", %" PRIu64
			 " degraded, %" PRIu64 " syncing, %" PRIu64 " away, %" PRIu64 " moving, %" PRIu64
			 " pages spilled", END_TIME / SECOND, p.slabs, s->block.nslabs, p.degraded,
			 p.syncing, p.away, p.moving, p.spilled);
	for (unsigned int i = 0; i < s->w.nservers && !s->failure[0]; i++)
		wait_for_drain(s, i, until);
}

/* STATE-27: what is damaged at rest is found and replaced, as long as somebody has it right. */
static void wait_for_scrubbing(struct sim *s)
{
	uint64_t until = s->w.net.now + END_TIME;

	while (oracle_rotten(s) && s->w.net.now < until && !s->failure[0])
		for (unsigned int i = 0; i < 100; i++)
			round_of(s, s->w.net.now + 20 * MS);
	if (oracle_rotten(s))
		sim_fail(s, "a damaged copy of page %" PRIu64 " was not replaced within %" PRIu64 " s",
			 oracle_rotten(s) - 1, END_TIME / SECOND);
}

/* RMP-29: a backend that was stopped reads what has arrived, and only then looks at the clock. */
static void pause_check(struct sim *s)
{
	const struct rmnic_rmp_client_counters *c =
		rmnic_rmp_client_counters(rmnic_store_remote_client(s->w.store));
	uint64_t before = c->retransmits;

	if (s->rings || s->failure[0] || s->w.cfg.timeout_ns < SECOND)
		return;
	for (uint64_t rpn = 0; rpn < s->model.npages && under_way(s) < s->depth; rpn++)
		guest_read(s, rpn);
	s->w.net.ends[s->w.backend].frozen = true;
	cluster_run(&s->w, 100 * MS);
	memnet_thaw(&s->w.net, s->w.backend);
	wait_for_operations(s, "page-ins after a pause");
	if (c->retransmits != before)
		sim_fail(s, "%" PRIu64 " requests were sent again whose answers were there",
			 c->retransmits - before);
}

/* Everything is well again: what is under way ends, and every page reads as it should. */
static void calm_part(struct sim *s)
{
	memset(&s->w.net.faults, 0, sizeof(s->w.net.faults));
	s->w.net.faults.delay_ns = 5000;
	s->spill.short_permille = s->spill.wait_permille = 0;
	faults_heal(s, true);
	rmnic_store_remote_reserve(s->w.store, s->model.npages);
	s->w.cfg.reserve = s->model.npages;
	if (s->rings)
		s->rings->die_in = 0;
	wait_for_operations(s, "operations"); /* errors whose cause was before may still come in */
	cluster_run(&s->w, 5 * SECOND); /* for greetings that were put off */
	oracle_views(s);
	wait_for_repair(s);
	wait_for_scrubbing(s);
	s->faults = false;
	whole_device(s, false);
	if (!s->failure[0])
		oracle_audit(s);
	whole_device(s, true);
	whole_device(s, false);
	pause_check(s);
}

/* --- The end ----------------------------------------------------------------------------------- */

/* Each frame is in a slab, or free: nothing leaks, whatever happened. */
static void audit(struct sim *s)
{
	if (s->rings)
		rings_audit(s);
	if (s->spill.wrong)
		sim_fail(s, "spill file: %s", s->spill.why);
	if (s->w.net.changed)
		sim_fail(s, "%" PRIu64 " pages changed while they were being sent", s->w.net.changed);
	for (unsigned int i = 0; i < s->w.nservers && !s->failure[0]; i++) {
		struct rmnic_memstore *ms = s->w.servers[i].store;

		cluster_server_stop(&s->w, i, true);
		memnet_settle(&s->w.net, s->w.servers[i].end);
		if (rmnic_frames_total(ms->frames) - rmnic_frames_free(ms->frames) != ms->stored)
			sim_fail(s, "server %u: %u frames in use, %" PRIu64 " pages stored", i,
				 rmnic_frames_total(ms->frames) - rmnic_frames_free(ms->frames), ms->stored);
	}
}

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
		if (s->w.servers[i].store->devices[0].slabs && !s->w.servers[i].unknown)
			sim_fail(s, "server %u: %u slabs of a device that is gone", i,
				 s->w.servers[i].store->devices[0].slabs);
}

static struct sim *make(uint64_t seed, const struct run_options *options)
{
	struct sim *s = calloc(1, sizeof(*s));

	s->seed = seed;
	s->rng = seed * 0x2545f4914f6cdd1dull;
	s->verbose = options->verbose;
	s->record = options->verbose;
	s->watch = options->verbose ? options->watch : 0;
	s->with_rings = options->rings < 0 ? seed * 0x9e3779b97f4a7c15ull >> 63 != 0 : options->rings;
	s->ops = calloc(MAX_OPS, sizeof(*s->ops));
	s->old_ops = calloc(MAX_OPS, sizeof(*s->old_ops));
	return s;
}

static void go(struct sim *s, const struct run_options *options)
{
	sim_set_up(s);
	if (!options->quiet || s->record)
		sim_print(s);
	if (s->with_rings)
		rings_init(s);
	if (!sim_start(s, cluster_start))
		return;
	faults_backend_up(s);
	rough_part(s, options->ops);
	calm_part(s);
	if (!s->failure[0])
		end_part(s);
	audit(s);
}

static void put(struct sim *s)
{
	if (s->failure[0]) { /* the pieces may not fit together any more: they are left as they are */
		s->failed = failed_runs;
		failed_runs = s;
		return;
	}
	rings_fini(s);
	cluster_fini(&s->w);
	memspill_fini(&s->spill);
	model_fini(&s->model);
	free(s->ops);
	free(s->old_ops);
	free(s);
}

/* The same once more, with events; it must end the same way. */
static void explain(const struct sim *s, const struct run_options *options)
{
	struct sim *again = make(s->seed, options);

	again->record = true;
	go(again, options);
	for (unsigned int i = again->nevents > EVENTS ? again->nevents - EVENTS : 0; i < again->nevents; i++)
		printf("#   %s\n", again->events[i % EVENTS]);
	if (strcmp(again->failure, s->failure) != 0)
		printf("# the second run of the seed ended otherwise: %s\n", again->failure);
	printf("# FAILED at %.6f s: %s\n# replay: sim --seed %" PRIu64 " --ops %" PRIu64 " %s --verbose\n",
	       (double)s->failed_at / 1e9, s->failure, s->seed, options->ops,
	       s->with_rings ? "--rings" : "--direct");
	put(again);
}

bool run(uint64_t seed, const struct run_options *options, struct run_sum *sum)
{
	struct sim *s = make(seed, options);
	bool ok;

	go(s, options);
	ok = !s->failure[0];
	sum->done += s->done;
	for (unsigned int i = 0; i < FAULT_COUNT; i++)
		sum->counts[i] += s->counts[i];
	if (!ok)
		explain(s, options);
	else if (!options->quiet)
		printf("#   %" PRIu64 " operations, %" PRIu64 " errors, %.3f s, trace %016" PRIx64 "\n", s->done,
		       s->errors, (double)s->w.net.now / 1e9, s->w.net.hash);
	put(s);
	return ok;
}
