/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rmnic/device.h"
#include "sim.h"

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

/* Remembers which stores a page is in that was just acknowledged. */
static void remember(struct sim *s, uint64_t rpn)
{
	struct rmnic_state_block block;
	struct rmnic_state_view v;

	if (rmnic_state_attach(&block, s->w.state, s->w.state_size, s->w.cfg.device) ||
	    !rmnic_state_view_get(&block, rpn / CLUSTER_SLAB, &v))
		abort();
	for (unsigned int i = 0; i < 4; i++)
		s->model.pages[rpn].held[i] = i < v.members ? v.member[i].store_id : 0;
}

/* Whether no server has one of those stores any more. */
static bool may_be_lost(const struct sim *s, uint64_t rpn)
{
	for (unsigned int i = 0; i < 4; i++)
		for (unsigned int k = 0; k < s->w.nservers; k++)
			if (s->w.servers[k].store && s->model.pages[rpn].held[i] &&
			    s->w.servers[k].store->store_id == s->model.pages[rpn].held[i])
				return false;
	return s->model.pages[rpn].held[0] != 0;
}

/* Members of the page's view whose server still has the store that the view names. */
static unsigned int living(struct sim *s, uint64_t rpn)
{
	struct rmnic_state_block block;
	struct rmnic_state_view v;
	unsigned int n = 0;

	if (rmnic_state_attach(&block, s->w.state, s->w.state_size, s->w.cfg.device) ||
	    !rmnic_state_view_get(&block, rpn / CLUSTER_SLAB, &v))
		abort();
	for (unsigned int i = 0; i < v.members; i++)
		for (unsigned int k = 0; k < s->w.nservers; k++)
			n += s->w.servers[k].store &&
			     s->w.servers[k].store->store_id == v.member[i].store_id;
	return v.members ? n : s->w.cfg.replicas;
}

/* --- The guest ------------------------------------------------------------------------------- */

void guest_op_done(struct rmnic_page_op *op, uint16_t status)
{
	struct sim_op *o = (struct sim_op *)op;

	o->status = status;
	o->ended = true;
}

void guest_start(struct sim *s, struct sim_op *o)
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
		guest_op_done(&o->op, status);
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
		return !o->out && may_be_lost(s, o->op.rpn);
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
		sim_fail(s, "page %" PRIu64 " reads as a mixture or as nothing that was written",
		     o->op.rpn);
	else if (!model_read(&s->model, o->op.rpn, content))
		sim_fail(s, "page %" PRIu64 " reads as content %" PRIu64 ", acknowledged was %" PRIu64,
		     o->op.rpn, content, s->model.pages[o->op.rpn].acked);
}

static void end(struct sim *s, struct sim_op *o)
{
	bool ok = o->status == RMNIC_SC_OK;
	bool hopeless = living(s, o->op.rpn) < s->w.cfg.replicas;

	sim_event(s, "%s %" PRIu64 " content %" PRIu64 ": 0x%x", o->out ? "out" : "in", o->op.rpn,
	      o->content, o->status);
	s->done++;
	s->errors += !ok;
	if (!ok && !excused(s, o)) {
		sim_fail(s, "%s of page %" PRIu64 " ended with 0x%x", o->out ? "page-out" : "page-in",
		     o->op.rpn, o->status);
		return;
	}
	if (o->out) {
		model_written(&s->model, o->op.rpn, o->content, ok);
		if (ok)
			remember(s, o->op.rpn);
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

void guest_begin(struct sim *s)
{
	uint64_t rpn = sim_below(s, s->model.npages);
	unsigned int what = (unsigned int)sim_below(s, 100);
	struct sim_op *o = NULL;

	for (unsigned int i = 0; i < s->depth && !o; i++)
		if (!s->ops[i].used)
			o = &s->ops[i];
	if (!o || s->model.pages[rpn].busy || s->stalled)
		return;
	if (what < 8) {
		if (s->w.store->ops->free(s->w.store, rpn, 1) != RMNIC_SC_OK)
			sim_fail(s, "free of page %" PRIu64 " failed", rpn);
		model_freed(&s->model, rpn);
		sim_event(s, "free %" PRIu64, rpn);
		return;
	}
	o->used = true;
	o->sim = s;
	/* A page that nobody can take any more is only read. */
	o->out = what < 50 && s->model.pages[rpn].nmaybe < MODEL_MAYBE;
	o->op.rpn = rpn;
	o->op.data = o->page;
	o->op.done = guest_op_done;
	o->content = o->out ? model_write(&s->model, rpn, 0) : 0;
	s->model.pages[rpn].busy = true;
	guest_start(s, o);
}

void guest_reap(struct sim *s)
{
	for (unsigned int i = 0; i < s->depth; i++) {
		struct sim_op *o = &s->ops[i];

		if (!o->used)
			continue;
		if (o->again && o->again <= s->w.net.now && !s->stalled)
			guest_start(s, o);
		if (o->ended && !o->again) {
			o->ended = false;
			end(s, o);
		}
	}
}

/*
 * What was in flight is redriven (RULES B2), or the guest has given it up. With several
 * members giving up is not allowed: they may differ for ever (state.md, redrive).
 */
void guest_redrive(struct sim *s)
{
	for (unsigned int i = 0; i < s->depth; i++) {
		struct sim_op *o = &s->ops[i];

		if (!o->used || o->ended || o->again)
			continue;
		if (s->w.cfg.replicas == 1 && sim_below(s, 4) == 0) {
			sim_event(s, "%s %" PRIu64 " is given up", o->out ? "out" : "in", o->op.rpn);
			o->out = false; /* and looks at what is there */
		}
		guest_start(s, o);
	}
}
