/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest of a store without a device: it hands pages to the store itself. */
#include <inttypes.h>
#include <string.h>

#include "rmnic/device.h"
#include "sim.h"

#define POISON UINT64_C(0xbad00001) /* a content that nobody may ever read */

static void guest_op_done(struct rmnic_page_op *op, uint16_t status)
{
	struct sim_op *o = (struct sim_op *)op;

	o->status = status;
	o->view = oracle_view(o->sim, op->rpn);
	o->ended = true;
}

static void send(struct sim *s, struct rmnic_store *store, struct sim_op *o)
{
	uint16_t status;

	o->again = 0;
	o->ended = false;
	o->started = s->w.net.now;
	if (o->out)
		page_make(o->page, o->content);
	else
		o->page[0] = o->page[511] = ~UINT64_C(0);
	status = o->out ? store->ops->page_out(store, &o->op) : store->ops->page_in(store, &o->op);
	if (status != RMNIC_STORE_PENDING)
		o->op.done(&o->op, status);
	else if (o->out) /* a guest that does not keep its page as it was (RULES B5) */
		memset(o->page, 0xdd, sizeof(o->page));
}

static void prepare(struct sim *s, struct sim_op *o, uint64_t rpn, bool out)
{
	o->used = true;
	o->sim = s;
	o->out = out;
	o->op.rpn = rpn;
	o->op.data = o->page;
	o->op.done = guest_op_done;
	o->content = out ? model_write(&s->model, rpn, 0) : 0;
	s->model.pages[rpn].busy = true;
	send(s, s->w.store, o);
}

static void end(struct sim *s, struct sim_op *o)
{
	bool ok = o->status == RMNIC_SC_OK;

	if (s->record)
		sim_event(s, "%s %" PRIu64 " content %" PRIu64 ": 0x%x", o->out ? "out" : "in", o->op.rpn,
			  o->content, o->status);
	memnet_note(&s->w.net, o->op.rpn << 16 | o->status);
	s->done++;
	s->ok += ok;
	s->errors += !ok;
	if (!ok && !oracle_excused(s, o->op.rpn, o->out, o->status, o->started)) {
		sim_fail(s, "%s of page %" PRIu64 " ended with 0x%x after %" PRIu64 " us",
			 o->out ? "page-out" : "page-in", o->op.rpn, o->status,
			 (s->w.net.now - o->started) / 1000);
		return;
	}
	if (o->out) {
		model_written(&s->model, o->op.rpn, o->content, ok);
		if (ok) {
			oracle_acked(s, o->op.rpn, o->view);
		} else { /* the driver redrives it */
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

static struct sim_op *unused(struct sim *s)
{
	for (unsigned int i = 0; i < s->depth; i++)
		if (!s->ops[i].used)
			return &s->ops[i];
	return NULL;
}

/* ABORT: what was to be read is touched no more, what was to be written is old or new. */
static void cancel(struct sim *s)
{
	struct sim_op *o = &s->ops[sim_below(s, s->depth)];

	if (!o->used || o->ended || o->again || s->stalled)
		return;
	s->w.store->ops->cancel(s->w.store, &o->op);
	sim_event(s, "%s %" PRIu64 " is cancelled", o->out ? "out" : "in", o->op.rpn);
	if (o->out)
		model_written(&s->model, o->op.rpn, o->content, false);
	s->model.pages[o->op.rpn].busy = false;
	o->used = false;
}

void guest_begin(struct sim *s)
{
	uint64_t rpn = sim_below(s, s->model.npages);
	unsigned int what = (unsigned int)sim_below(s, 100);
	struct sim_op *o = unused(s);

	if (what == 99 && sim_one_of(s, 4))
		cancel(s);
	if (!o || s->model.pages[rpn].busy || s->stalled)
		return;
	if (what < 8) {
		if (s->w.store->ops->free(s->w.store, rpn, 1) != RMNIC_SC_OK)
			sim_fail(s, "free of page %" PRIu64 " failed", rpn);
		model_freed(&s->model, rpn);
		sim_event(s, "free %" PRIu64, rpn);
		return;
	}
	/* A page that nobody can take any more is only read. */
	prepare(s, o, rpn, what < 50 && s->model.pages[rpn].nmaybe < MODEL_MAYBE);
}

void guest_read(struct sim *s, uint64_t rpn)
{
	prepare(s, unused(s), rpn, false);
}

void guest_write(struct sim *s, uint64_t rpn)
{
	prepare(s, unused(s), rpn, true);
}

void guest_reap(struct sim *s)
{
	for (unsigned int i = 0; i < s->depth; i++) {
		struct sim_op *o = &s->ops[i];

		if (!o->used)
			continue;
		if (o->again && o->again <= s->w.net.now && !s->stalled)
			send(s, s->w.store, o);
		if (o->ended && !o->again) {
			o->ended = false;
			end(s, o);
		}
	}
}

/* What was in flight is redriven (RULES B2), or the guest has given it up (STATE-16). */
void guest_redrive(struct sim *s)
{
	for (unsigned int i = 0; i < s->depth; i++) {
		struct sim_op *o = &s->ops[i];

		if (!o->used || o->ended || o->again)
			continue;
		if (o->out && sim_one_of(s, 4)) {
			sim_event(s, "out %" PRIu64 " is given up", o->op.rpn);
			s->w.store->ops->settle(s->w.store, o->op.rpn, 1);
			model_written(&s->model, o->op.rpn, o->content, false);
			o->out = false; /* and looks at what is there */
		}
		s->model.pages[o->op.rpn].busy = true;
		send(s, s->w.store, o);
	}
}

/* --- The backend that was succeeded -------------------------------------------------------------- */

/*
 * RMP-13: who had sealed the successor's epoch before this one woke up takes nothing from it any more.
 * STATE-32: once it is told of that it goes on with nobody.
 */
static void old_op_done(struct rmnic_page_op *op, uint16_t status)
{
	struct sim_op *o = (struct sim_op *)op;
	struct sim *s = o->sim;

	if (status == RMNIC_SC_OK &&
	    (oracle_old_member(s, op->rpn, s->old_fenced) ||
	     rmnic_store_remote_status(cluster_old(&s->w)->store, NULL) == RMNIC_REMOTE_FENCED))
		sim_fail(s, "page-out %" PRIu64 " of a backend with a successor was acknowledged", op->rpn);
}

void guest_old_writes(struct sim *s)
{
	struct rmnic_store *store = cluster_old(&s->w)->store;

	s->old_fenced = oracle_sealed(s);
	for (unsigned int i = 0; i < JUNK; i++) {
		struct sim_op *o = &s->junk[i];

		*o = (struct sim_op){ .sim = s, .used = true, .out = true, .content = POISON + i,
				      .op = { .rpn = sim_below(s, s->model.npages), .data = o->page,
					      .done = old_op_done } };
		send(s, store, o);
	}
}
