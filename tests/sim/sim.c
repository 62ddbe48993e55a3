/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim - the remote store, its RMP client and memory servers in one process under a virtual
 * clock. Everything is drawn from a seed: sizes, faults, what the guest does and when. A model
 * is the oracle. First the faults, in which no acknowledged page may be lost or wrong; then
 * they stop, and everything must finish.
 *
 *   sim [--seed N] [--runs M] [--ops K] [--first] [--verbose]
 *
 * --first ends with the first run that fails.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "rmnic/device.h"
#include "world.h"

#define MAX_OPS  32
#define EVENTS   48
#define MS       UINT64_C(1000000)
#define SECOND   UINT64_C(1000000000)
#define ROUGH_TIME (20 * SECOND)
#define END_TIME (300 * SECOND) /* for everything to finish when the faults have stopped */

struct sim_op {
	struct rmnic_page_op op; /* first: done() gets its address */
	struct sim *sim;
	bool used, out, ended;
	uint16_t status;
	uint64_t content;
	uint64_t again; /* 0, or when to send it again */
	uint64_t page[RMNIC_PAGE_SIZE / 8];
};

struct sim {
	struct sim *failed; /* the run that failed before this one */
	struct world w;
	struct model model;
	uint64_t seed;
	uint64_t rng; /* the guest's and the faults' own: the network's draws do not shift it */
	unsigned int depth;
	unsigned int crash, backend_crash, lose, cut; /* weights */
	bool faults;
	bool stalled; /* the backend is not ready: the guest waits */
	bool verbose;
	struct memnet_faults net_faults;
	struct sim_op ops[MAX_OPS];
	uint64_t up_at[WORLD_SERVERS]; /* when a dead server comes back */
	uint64_t heal_at;
	uint64_t done, errors, crashes, restarts;
	char events[EVENTS][96];
	unsigned int nevents;
	char failure[256];
};

static struct sim *failed_runs;

static uint64_t draw(struct sim *s)
{
	uint64_t z = s->rng += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static uint64_t below(struct sim *s, uint64_t n)
{
	return n ? draw(s) % n : 0;
}

__attribute__((format(printf, 2, 3))) static void event(struct sim *s, const char *format, ...)
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

__attribute__((format(printf, 2, 3))) static void fail(struct sim *s, const char *format, ...)
{
	va_list args;

	if (s->failure[0])
		return;
	va_start(args, format);
	vsnprintf(s->failure, sizeof(s->failure), format, args);
	va_end(args);
}

/* --- Pages ------------------------------------------------------------------------------- */

/* Every fifth content is a word that fills the page. */
static void make_page(uint64_t *page, uint64_t content)
{
	bool fill = content % 5 == 0;

	for (unsigned int i = 0; i < RMNIC_PAGE_SIZE / 8; i++)
		page[i] = fill ? content << 32 | content : content << 32 | (i + 1);
}

/* False: it is a mixture of contents, or nothing that was ever written. */
static bool know_page(const uint64_t *page, uint64_t *content)
{
	uint64_t want[RMNIC_PAGE_SIZE / 8];

	*content = page[0] >> 32;
	make_page(want, *content);
	return !memcmp(page, want, sizeof(want));
}

/* Members of the page's view whose server still has the store that the view names. */
static unsigned int living(struct sim *s, uint64_t rpn)
{
	struct rmnic_state_block block;
	struct rmnic_state_view v;
	unsigned int n = 0;

	if (rmnic_state_attach(&block, s->w.state, s->w.state_size, s->w.cfg.device) ||
	    !rmnic_state_view_get(&block, rpn / WORLD_SLAB, &v))
		abort();
	for (unsigned int i = 0; i < v.members; i++)
		for (unsigned int k = 0; k < s->w.nservers; k++)
			n += s->w.servers[k].store &&
			     s->w.servers[k].store->store_id == v.member[i].store_id;
	return v.members ? n : s->w.cfg.replicas;
}

/* --- The guest ------------------------------------------------------------------------------- */

static void op_done(struct rmnic_page_op *op, uint16_t status)
{
	struct sim_op *o = (struct sim_op *)op;

	o->status = status;
	o->ended = true;
}

static void start(struct sim *s, struct sim_op *o)
{
	const struct rmnic_store_ops *ops = s->w.store->ops;
	uint16_t status;

	o->again = 0;
	o->ended = false;
	if (o->out)
		make_page(o->page, o->content);
	else
		memset(o->page, 0xee, sizeof(o->page));
	status = o->out ? ops->page_out(s->w.store, &o->op) : ops->page_in(s->w.store, &o->op);
	if (status != RMNIC_STORE_PENDING)
		op_done(&o->op, status);
	else if (o->out) /* a guest that does not keep its page as it was (RULES B5) */
		memset(o->page, 0xdd, sizeof(o->page));
}

/* Whether an error may be, and the operation is tried again later. */
static bool excused(struct sim *s, const struct sim_op *o)
{
	unsigned int alive = living(s, o->op.rpn);

	switch (o->status) {
	case RMNIC_SC_BUSY:
		return true;
	case RMNIC_SC_UNREACHABLE:
		/* A member without its store cannot take a write until the view changes. */
		return s->faults || (o->out && alive < s->w.cfg.replicas);
	case RMNIC_SC_CORRUPT:
		return !o->out && s->net_faults.corrupt && s->faults;
	case RMNIC_SC_INDETERMINATE:
		return !o->out && s->model.pages[o->op.rpn].unknown;
	case RMNIC_SC_LOST:
		return !o->out && alive == 0;
	default:
		return false;
	}
}

static void end_in(struct sim *s, struct sim_op *o)
{
	uint64_t content;

	if (o->status != RMNIC_SC_OK)
		return;
	if (!know_page(o->page, &content))
		fail(s, "page %" PRIu64 " reads as a mixture or as nothing that was written",
		     o->op.rpn);
	else if (!model_read(&s->model, o->op.rpn, content))
		fail(s, "page %" PRIu64 " reads as content %" PRIu64 ", acknowledged was %" PRIu64,
		     o->op.rpn, content, s->model.pages[o->op.rpn].acked);
}

static void end(struct sim *s, struct sim_op *o)
{
	bool ok = o->status == RMNIC_SC_OK;
	bool hopeless = living(s, o->op.rpn) < s->w.cfg.replicas;

	event(s, "%s %" PRIu64 " content %" PRIu64 ": 0x%x", o->out ? "out" : "in", o->op.rpn,
	      o->content, o->status);
	s->done++;
	s->errors += !ok;
	if (!ok && !excused(s, o)) {
		fail(s, "%s of page %" PRIu64 " ended with 0x%x", o->out ? "page-out" : "page-in",
		     o->op.rpn, o->status);
		return;
	}
	if (o->out) {
		model_written(&s->model, o->op.rpn, o->content, ok);
		if (!ok && !hopeless) { /* the driver redrives it */
			model_write(&s->model, o->op.rpn, o->content);
			o->again = s->w.net.now + 5 * MS;
			return;
		}
	} else {
		end_in(s, o);
		s->model.pages[o->op.rpn].busy = false;
	}
	o->used = false;
}

static void begin(struct sim *s)
{
	uint64_t rpn = below(s, s->model.npages);
	unsigned int what = (unsigned int)below(s, 100);
	struct sim_op *o = NULL;

	for (unsigned int i = 0; i < s->depth && !o; i++)
		if (!s->ops[i].used)
			o = &s->ops[i];
	if (!o || s->model.pages[rpn].busy || s->stalled)
		return;
	if (what < 8) {
		if (s->w.store->ops->free(s->w.store, rpn, 1) != RMNIC_SC_OK)
			fail(s, "free of page %" PRIu64 " failed", rpn);
		model_freed(&s->model, rpn);
		event(s, "free %" PRIu64, rpn);
		return;
	}
	o->used = true;
	o->sim = s;
	/* A page that nobody can take any more is only read. */
	o->out = what < 50 && s->model.pages[rpn].nmaybe < MODEL_MAYBE;
	o->op.rpn = rpn;
	o->op.data = o->page;
	o->op.done = op_done;
	o->content = o->out ? model_write(&s->model, rpn, 0) : 0;
	s->model.pages[rpn].busy = true;
	start(s, o);
}

static void reap(struct sim *s)
{
	for (unsigned int i = 0; i < s->depth; i++) {
		struct sim_op *o = &s->ops[i];

		if (!o->used)
			continue;
		if (o->again && o->again <= s->w.net.now && !s->stalled)
			start(s, o);
		if (o->ended && !o->again) {
			o->ended = false;
			end(s, o);
		}
	}
}

/* --- Faults ------------------------------------------------------------------------------------- */

static void restart_backend(struct sim *s)
{
	world_stop(&s->w);
	if (!world_start(&s->w)) {
		fail(s, "the backend does not start: %s", s->w.why);
		return;
	}
	s->restarts++;
	event(s, "backend of epoch %u", s->w.epoch);
	s->stalled = true; /* the guest waits */
}

static void crash_server(struct sim *s, bool memory)
{
	unsigned int i = (unsigned int)below(s, s->w.nservers);

	if (!s->w.servers[i].server)
		return;
	event(s, "server %u dies, %s memory", i, memory ? "keeps" : "loses");
	world_server_stop(&s->w, i, memory);
	s->up_at[i] = s->w.net.now + below(s, 400 * MS);
	s->crashes++;
}

static void cut_cable(struct sim *s)
{
	unsigned int end_ = s->w.servers[below(s, s->w.nservers)].end;
	unsigned int way = (unsigned int)below(s, 3);

	s->w.net.cut[s->w.backend][end_] = way != 1;
	s->w.net.cut[end_][s->w.backend] = way != 0;
	s->heal_at = s->w.net.now + below(s, 300 * MS);
	event(s, "cable of end %u cut, way %u", end_, way);
}

static void heal(struct sim *s, bool all)
{
	for (unsigned int i = 0; i < s->w.nservers; i++)
		if (!s->w.servers[i].server && (all || s->up_at[i] <= s->w.net.now)) {
			world_server_start(&s->w, i);
			event(s, "server %u is back", i);
		}
	if (all || (s->heal_at && s->heal_at <= s->w.net.now)) {
		memset(s->w.net.cut, 0, sizeof(s->w.net.cut));
		s->heal_at = 0;
	}
}

static void trouble(struct sim *s)
{
	uint64_t what = below(s, 40000);

	if (what < s->crash)
		crash_server(s, true);
	else if ((what -= s->crash) < s->backend_crash)
		restart_backend(s);
	else if ((what -= s->backend_crash) < s->cut)
		cut_cable(s);
	else if (what - s->cut < s->lose)
		crash_server(s, false);
}

/* --- A run ------------------------------------------------------------------------------------- */

static void set_up(struct sim *s)
{
	static const uint32_t mtus[] = { 9000, 9000, 4300, 3542, 1500, 1500, 1400, 1280 };
	struct memnet_faults *f = &s->net_faults;
	unsigned int servers = 1 + (unsigned int)below(s, 4);
	uint32_t replicas = servers > 1 ? 1 + (uint32_t)below(s, 2) : 1;
	uint64_t pages = WORLD_SLAB * (1 + below(s, 4));
	bool rough = below(s, 4) != 0;

	s->depth = 1 + (unsigned int)below(s, MAX_OPS);
	f->delay_ns = 1000 + below(s, 50000);
	f->jitter_ns = below(s, 2) ? below(s, 200000) : 0;
	f->loss = rough && below(s, 2) ? (unsigned int)below(s, 120) : 0;
	f->duplicate = rough && below(s, 2) ? (unsigned int)below(s, 120) : 0;
	f->reorder = rough && below(s, 2) ? (unsigned int)below(s, below(s, 3) ? 80 : 300) : 0;
	f->late_ns = below(s, 3) ? below(s, 20 * MS) : below(s, 4000 * MS);
	f->corrupt = rough && below(s, 3) == 0 ? (unsigned int)below(s, 40) : 0;
	f->refuse = rough && below(s, 3) == 0 ? (unsigned int)below(s, 60) : 0;
	f->mark = rough && below(s, 4) == 0 ? (unsigned int)below(s, 100) : 0;
	s->crash = below(s, 2) ? 1 + (unsigned int)below(s, 8) : 0;
	s->backend_crash = below(s, 2) ? 1 + (unsigned int)below(s, 8) : 0;
	s->cut = below(s, 3) == 0 ? 1 + (unsigned int)below(s, 6) : 0;
	s->lose = below(s, 6) == 0 ? 1 + (unsigned int)below(s, 3) : 0;
	world_init(&s->w, s->seed, servers, (uint32_t)pages + 128 + (uint32_t)below(s, 256), pages,
		   replicas);
	s->w.net.mtu = mtus[below(s, 8)];
	s->w.cfg.timeout_ns = below(s, 2) ? 20 * SECOND : (50 + below(s, 500)) * MS;
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

	for (unsigned int i = 0; i < s->depth; i++)
		n += s->ops[i].used;
	return n;
}

/*
 * What was in flight is redriven (RULES B2), or the guest has given it up. With several
 * members giving up is not allowed: they may differ for ever (state.md, redrive).
 */
static void redrive(struct sim *s)
{
	for (unsigned int i = 0; i < s->depth; i++) {
		struct sim_op *o = &s->ops[i];

		if (!o->used || o->ended || o->again)
			continue;
		if (s->w.cfg.replicas == 1 && below(s, 4) == 0) {
			event(s, "%s %" PRIu64 " is given up", o->out ? "out" : "in", o->op.rpn);
			o->out = false; /* and looks at what is there */
		}
		start(s, o);
	}
}

/* One round: a little time passes, then whatever has ended is looked at. */
static void round_of(struct sim *s, uint64_t until)
{
	reap(s);
	world_step(&s->w, until);
	heal(s, false);
	if (s->stalled && rmnic_store_remote_status(s->w.store, NULL) == RMNIC_REMOTE_READY) {
		s->stalled = false;
		redrive(s);
	}
	reap(s);
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
		begin(s);
		trouble(s);
		if (s->w.store && !s->failure[0])
			round_of(s, s->w.net.now + 1 + below(s, 50000));
	}
}

/* Everything is well again: what is under way ends, and every page reads as it should. */
static void calm_part(struct sim *s)
{
	uint64_t until;

	memset(&s->w.net.faults, 0, sizeof(s->w.net.faults));
	s->w.net.faults.delay_ns = 5000;
	heal(s, true);
	until = s->w.net.now + END_TIME;
	s->faults = true; /* errors whose cause was before may still come in */
	while (under_way(s) && s->w.net.now < until && !s->failure[0])
		round_of(s, s->w.net.now + 10 * MS);
	if (under_way(s))
		fail(s, "%u operations did not finish within %" PRIu64 " s of calm", under_way(s),
		     END_TIME / SECOND);
	world_run(&s->w, 5 * SECOND); /* for greetings that were put off */
	s->faults = false;
	for (uint64_t rpn = 0; rpn < s->model.npages && !s->failure[0]; rpn++) {
		struct sim_op *o = &s->ops[0];

		*o = (struct sim_op){ .used = true, .sim = s, .op = { .rpn = rpn } };
		o->op.data = o->page;
		o->op.done = op_done;
		start(s, o);
		until = s->w.net.now + 60 * SECOND;
		reap(s);
		while (o->used && s->w.net.now < until && !s->failure[0])
			round_of(s, until);
		if (o->used)
			fail(s, "page %" PRIu64 " cannot be read after the faults", rpn);
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
			fail(s, "page %" PRIu64 " was freed, and a member has it again",
			     slab->number * slab->pages + i);
	}
}

/* Each frame is in a slab, or free: nothing leaks, whatever happened. */
static void audit(struct sim *s)
{
	if (s->w.net.changed)
		fail(s, "%" PRIu64 " pages changed while they were being sent", s->w.net.changed);
	for (unsigned int i = 0; i < s->w.nservers; i++)
		for (uint32_t k = 0; k < s->w.servers[i].store->cfg.max_slabs; k++)
			if (s->w.servers[i].store->slabs[k].handle &&
			    !s->w.servers[i].store->slabs[k].dying)
				audit_freed(s, &s->w.servers[i].store->slabs[k]);
	for (unsigned int i = 0; i < s->w.nservers && !s->failure[0]; i++) {
		struct rmnic_memstore *ms = s->w.servers[i].store;

		world_server_stop(&s->w, i, true);
		memnet_settle(&s->w.net, s->w.servers[i].end);
		if (ms->cfg.npages - rmnic_frames_free(ms->frames) != ms->stored)
			fail(s, "server %u: %u frames in use, %" PRIu64 " pages stored", i,
			     ms->cfg.npages - rmnic_frames_free(ms->frames), ms->stored);
	}
}

/* False: the run failed. */
static bool run(uint64_t seed, uint64_t ops, bool verbose, uint64_t *hash, uint64_t *done)
{
	struct sim *s = calloc(1, sizeof(*s));
	bool ok;

	s->seed = seed;
	s->rng = seed * 0x2545f4914f6cdd1dull;
	s->verbose = verbose;
	set_up(s);
	if (world_start(&s->w)) {
		rough_part(s, ops);
		calm_part(s);
		audit(s);
	} else {
		fail(s, "the store was not created: %s", s->w.why);
	}
	ok = !s->failure[0];
	if (!ok) {
		unsigned int from = s->nevents > EVENTS ? s->nevents - EVENTS : 0;

		for (unsigned int i = from; i < s->nevents; i++)
			printf("#   %s\n", s->events[i % EVENTS]);
		printf("# FAILED at %.6f s: %s\n# replay: sim --seed %" PRIu64 " --ops %" PRIu64
		       " --verbose\n",
		       (double)s->w.net.now / 1e9, s->failure, seed, ops);
	} else {
		printf("#   %" PRIu64 " operations, %" PRIu64 " errors, %" PRIu64 " crashes, %" PRIu64
		       " restarts, %.3f s, trace %016" PRIx64 "\n",
		       s->done, s->errors, s->crashes, s->restarts, (double)s->w.net.now / 1e9,
		       s->w.net.hash);
	}
	*hash = s->w.net.hash;
	*done += s->done;
	if (!ok) { /* the pieces may not fit together any more: they are left as they are */
		s->failed = failed_runs;
		failed_runs = s;
	} else {
		world_fini(&s->w);
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
	fprintf(stderr, "usage: sim [--seed N] [--runs M] [--ops K] [--first] [--verbose]\n");
	return 2;
}

int main(int argc, char **argv)
{
	uint64_t seed = 1, runs = 1, ops = 2000, hash, done = 0, failed = 0;
	bool verbose = false, first = false;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seed"))
			seed = number(argv[++i]);
		else if (!strcmp(argv[i], "--runs"))
			runs = number(argv[++i]);
		else if (!strcmp(argv[i], "--ops"))
			ops = number(argv[++i]);
		else if (!strcmp(argv[i], "--first"))
			first = true;
		else if (!strcmp(argv[i], "--verbose"))
			verbose = true;
		else
			return usage();
	}
	for (uint64_t i = 0; i < runs && !(first && failed); i++)
		failed += !run(seed + i, ops, verbose, &hash, &done);
	printf("# %" PRIu64 " runs, %" PRIu64 " failed, %" PRIu64 " page operations\n", runs, failed,
	       done);
	return failed != 0;
}
