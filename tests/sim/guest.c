/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest of a store without a device: it hands pages to the store itself. */
#include <inttypes.h>
#include <string.h>

#include "rmnic/device.h"
#include "sim.h"

static void guest_op_done(struct rmnic_page_op *op, uint16_t status)
{
	struct sim_op *o = (struct sim_op *)op;

	o->status = status;
	o->ended = true;
}

static void guest_start(struct sim *s, struct sim_op *o)
{
	const struct rmnic_store_ops *ops = s->w.store->ops;
	uint16_t status;

	o->again = 0;
	o->ended = false;
	if (o->out)
		page_make(o->page, o->content);
	else
		memset(o->page, 0xee, sizeof(o->page));
	status = o->out ? ops->page_out(s->w.store, &o->op) : ops->page_in(s->w.store, &o->op);
	if (status != RMNIC_STORE_PENDING)
		guest_op_done(&o->op, status);
	else if (o->out) /* a guest that does not keep its page as it was (RULES B5) */
		memset(o->page, 0xdd, sizeof(o->page));
}

static void end(struct sim *s, struct sim_op *o)
{
	bool ok = o->status == RMNIC_SC_OK;
	bool hopeless = page_living(s, o->op.rpn) < s->w.cfg.replicas;

	sim_event(s, "%s %" PRIu64 " content %" PRIu64 ": 0x%x", o->out ? "out" : "in", o->op.rpn,
	      o->content, o->status);
	s->done++;
	s->errors += !ok;
	if (!ok && !page_excused(s, o->op.rpn, o->out, o->status)) {
		sim_fail(s, "%s of page %" PRIu64 " ended with 0x%x", o->out ? "page-out" : "page-in",
		     o->op.rpn, o->status);
		return;
	}
	if (o->out) {
		model_written(&s->model, o->op.rpn, o->content, ok);
		if (ok)
			page_remember(s, o->op.rpn, true);
		if (!ok && !hopeless) { /* the driver redrives it */
			model_write(&s->model, o->op.rpn, o->content);
			o->again = s->w.net.now + 5 * MS;
			return;
		}
	} else {
		if (ok)
			page_check(s, o->op.rpn, o->page);
		s->model.pages[o->op.rpn].busy = false;
	}
	o->used = false;
}

/* The device advertises more; or it was to be more, and is not. What is used keeps its place. */
void guest_resize(struct sim *s, uint64_t pages)
{
	if (!rmnic_store_remote_reserve(s->w.store, pages))
		sim_fail(s, "%" PRIu64 " pages cannot be wanted", pages);
	s->w.cfg.reserve = pages; /* of a successor */
	sim_event(s, "%" PRIu64 " pages are wanted", pages);
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
	if (what == 8 && sim_below(s, 10) == 0)
		guest_resize(s, 1 + sim_below(s, s->model.npages));
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

void guest_read(struct sim *s, uint64_t rpn)
{
	struct sim_op *o = &s->ops[0];

	*o = (struct sim_op){ .used = true, .sim = s, .op = { .rpn = rpn } };
	o->op.data = o->page;
	o->op.done = guest_op_done;
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
