/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A page coming in: from one member of its slab's view, from a second one beside it where the
 * first is silent, or slower than it is as a rule (RMP-31). Only an answer whose checksum and
 * version are right is delivered; who gave another one has a copy to be replaced.
 */
#include <string.h>

#include "engine/page.h"
#include "engine/store_remote_internal.h"

#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)
#define KIND(word)    ((uint32_t)(word) & RMNIC_STATE_PAGE_KIND)
#define HEDGE_COST    1000 /* thousandths of a page-in */
#define HEDGE_BURST   20   /* hedges that can be saved up */

static struct rmnic_remote_slab *slab_of(const struct rmnic_remote_op *o)
{
	return &o->store->slabs[o->rpn / o->store->state.slab_pages];
}

/* --- What an answer is worth ------------------------------------------------------------------------ */

/* What a failed member adds: silence outweighs damage, damage outweighs proof of loss. */
static void in_failed(struct rmnic_remote_op *o, uint16_t status)
{
	if (status == RMNIC_SC_CORRUPT)
		RMNIC_COUNT(o->store->counters.corrupt, 1);
	if (status == RMNIC_SC_UNREACHABLE || o->worst == RMNIC_SC_OK ||
	    (status == RMNIC_SC_CORRUPT && o->worst == RMNIC_SC_LOST))
		o->worst = status;
	RMNIC_COUNT(o->store->remote.read_again, 1);
}

/*
 * STATE-3: the page's own version is the least that may be delivered; a greater one only
 * while, or after, a write of it was under way. Gives RMNIC_SC_OK, or why not.
 */
static uint16_t version_ok(struct rmnic_remote_op *o, uint64_t got)
{
	uint64_t now = rmnic_state_page(&o->store->state, o->rpn);
	uint64_t least = VERSION(o->entry);

	if (got < least) {
		RMNIC_COUNT(o->store->remote.stale, 1);
		return RMNIC_SC_CORRUPT;
	}
	if (got == least || ((o->entry | now) & RMNIC_STATE_PAGE_WRITING) || VERSION(now) >= got)
		return RMNIC_SC_OK;
	return RMNIC_SC_CORRUPT;
}

/* Where the bytes of call k went. */
static void *page_of(struct rmnic_remote_op *o, unsigned int k)
{
	return o->in_copy == k + 1 ? o->copy : o->op->data;
}

static uint16_t in_status(struct rmnic_remote_op *o, unsigned int k)
{
	struct rmnic_rmp_call *call = &o->call[k];
	struct rmnic_remote *r = o->store;
	uint64_t now = rmnic_state_page(&r->state, o->rpn);
	uint16_t status;

	switch (call->status) {
	case RMNIC_RMP_S_OK:
		status = version_ok(o, call->got_version);
		if (status == RMNIC_SC_OK && (call->got_flags & RMNIC_RMP_F_FILLED))
			rmnic_page_fill(page_of(o, k),
					(uint64_t)call->got_word << 32 | call->got_word);
		return status;
	case RMNIC_RMP_S_ABSENT:
		/* STATE-4: zeros because of the page's own word, never because of an answer. */
		if (KIND(now) == RMNIC_STATE_PAGE_FREED) {
			rmnic_page_fill(page_of(o, k), 0);
			return RMNIC_SC_OK;
		}
		RMNIC_COUNT(r->remote.missing, 1);
		return RMNIC_SC_CORRUPT;
	case RMNIC_RMP_S_CORRUPT:
		return RMNIC_SC_CORRUPT;
	case RMNIC_CALL_EMPTY: /* STATE-8: proof, not silence */
	case RMNIC_RMP_S_UNKNOWN_SLAB:
		return RMNIC_SC_LOST;
	case RMNIC_RMP_S_FENCED:
	case RMNIC_CALL_UNREACHABLE:
		return RMNIC_SC_UNREACHABLE;
	default:
		return RMNIC_SC_INTERNAL;
	}
}

/* --- The end ------------------------------------------------------------------------------------------ */

/* STATE-27: copies that turned out wrong are replaced, now that a right one was seen. */
static void fix_bad(struct rmnic_remote_op *o)
{
	for (unsigned int k = 0; k < o->asked; k++) {
		int i = o->bad >> k & 1 ? rmnic_remote_op_entry(o, k) : -1;

		if (i >= 0)
			rmnic_remote_fix(o->store, o->rpn, (unsigned int)i);
	}
}

static void in_end_bad(struct rmnic_remote_op *o)
{
	struct rmnic_remote *r = o->store;
	uint16_t status = o->worst == RMNIC_SC_OK ? RMNIC_SC_UNREACHABLE : o->worst;

	/* STATE-33: somebody who is away has it, and may be back in time. */
	if ((status == RMNIC_SC_LOST || status == RMNIC_SC_CORRUPT) &&
	    rmnic_remote_elsewhere(r, o->rpn)) {
		if (rmnic_env_now(&r->cfg.env) < o->deadline) {
			rmnic_remote_look_by(r, o->deadline);
			return;
		}
		status = RMNIC_SC_UNREACHABLE;
	}
	RMNIC_COUNT(r->remote.unreachable, status == RMNIC_SC_UNREACHABLE);
	if (status == RMNIC_SC_LOST) {
		RMNIC_COUNT(r->remote.lost, 1);
		rmnic_remote_event(r, RMNIC_REMOTE_EV_PAGE_LOST, o->rpn / r->state.slab_pages,
				   o->rpn, 1, NULL);
	}
	rmnic_remote_op_end(o, status);
}

/* --- Asking -------------------------------------------------------------------------------------------- */

static bool was_asked(const struct rmnic_remote_op *o, unsigned int i)
{
	for (unsigned int k = 0; k < o->asked; k++)
		if (rmnic_remote_op_entry(o, k) == (int)i)
			return true;
	return false;
}

/*
 * The member to ask next, or -1. Those whose server is here come first; slabs begin with
 * different members, so that all servers have something to do. well: only such.
 */
static int in_next(struct rmnic_remote_op *o, bool well)
{
	struct rmnic_remote *r = o->store;
	struct rmnic_remote_slab *s = slab_of(o);
	uint64_t first = o->rpn / r->state.slab_pages;
	struct rmnic_peer_info info;
	int any = -1;

	for (unsigned int n = 0; n < s->members; n++) {
		unsigned int i = (unsigned int)((first + n) % s->members);
		uint16_t peer;

		if (!(rmnic_remote_whole(s) >> i & 1) || was_asked(o, i))
			continue;
		peer = rmnic_remote_peer_of(r, s, i);
		if (any < 0)
			any = (int)i;
		if (peer == RMNIC_NO_PEER)
			continue;
		rmnic_rmp_client_peer(r->client, peer, &info);
		if (info.state == RMNIC_PEER_READY && !info.silent)
			return (int)i;
	}
	return well ? -1 : any;
}

/* False: nobody can be asked now. */
static bool in_ask(struct rmnic_remote_op *o, uint16_t flags, bool well)
{
	struct rmnic_rmp_call *call;
	unsigned int k = o->asked;
	int i;

	if (k == RMNIC_MEMBERS || (o->in_data && o->in_copy))
		return false;
	i = in_next(o, well);
	if (i < 0)
		return false;
	call = rmnic_remote_op_ask(o, (unsigned int)i, RMNIC_RMP_READ);
	call->urgent = true;
	call->flags = flags;
	if (!o->in_data) {
		o->in_data = (uint8_t)(k + 1);
		call->page = o->op->data;
	} else {
		o->in_copy = (uint8_t)(k + 1);
		call->page = o->copy;
	}
	if (!rmnic_remote_op_send(o, k)) { /* its server was not met since this backend started */
		rmnic_remote_op_forget(o, k);
		call->status = RMNIC_CALL_UNREACHABLE;
		rmnic_remote_in_answer(o, k);
	}
	return true;
}

static void buffer_free(struct rmnic_remote_op *o, unsigned int k)
{
	if (o->in_data == k + 1)
		o->in_data = 0;
	if (o->in_copy == k + 1)
		o->in_copy = 0;
}

static void in_won(struct rmnic_remote_op *o, unsigned int k)
{
	struct rmnic_remote *r = o->store;

	RMNIC_COUNT(r->remote.hedges_won, (o->call[k].flags & RMNIC_RMP_F_HEDGE) != 0);
	if (o->in_copy == k + 1) {
		/* What the other one still brings must not be written over this. */
		if (o->in_data)
			rmnic_remote_op_forget(o, o->in_data - 1u);
		memcpy(o->op->data, o->copy, RMNIC_PAGE_SIZE);
	}
	fix_bad(o);
	rmnic_remote_op_end(o, RMNIC_SC_OK);
}

void rmnic_remote_in_answer(struct rmnic_remote_op *o, unsigned int k)
{
	struct rmnic_remote *r = o->store;
	uint16_t status = in_status(o, k);
	int i = rmnic_remote_op_entry(o, k);

	/* A14: not a member's any more. STATE-32: what another backend has written since is elsewhere. */
	if (status == RMNIC_SC_OK && ((i < 0 && KIND(o->entry) == RMNIC_STATE_PAGE_HELD) ||
				      r->status == RMNIC_REMOTE_FENCED))
		status = RMNIC_SC_UNREACHABLE;
	if (status == RMNIC_SC_OK) {
		in_won(o, k);
		return;
	}
	if (i >= 0 && status == RMNIC_SC_LOST)
		rmnic_remote_drop(r, o->rpn / r->state.slab_pages, (unsigned int)i, true);
	if (status == RMNIC_SC_CORRUPT)
		o->bad |= (uint8_t)(1u << k);
	buffer_free(o, k);
	in_failed(o, status);
	if (!o->pending && !in_ask(o, 0, false) && o->op)
		in_end_bad(o);
}

/* --- Silence, slowness, and changes of the view ------------------------------------------------------- */

void rmnic_remote_in_look(struct rmnic_remote_op *o)
{
	struct rmnic_remote *r = o->store;
	bool silent = true;

	if (o->spilling)
		return;
	for (unsigned int k = 0; k < o->asked; k++) {
		int i;

		if (!(o->pending >> k & 1))
			continue;
		i = rmnic_remote_op_entry(o, k);
		if (i < 0) { /* A14: nobody's answer who is no member */
			rmnic_remote_op_forget(o, k);
			buffer_free(o, k);
		} else {
			silent &= rmnic_remote_is_silent(r, slab_of(o), (unsigned int)i);
		}
	}
	if (o->pending && !silent)
		return;
	if (in_ask(o, 0, o->pending != 0))
		RMNIC_COUNT(r->remote.failed_over, 1);
	else if (!o->pending)
		in_end_bad(o);
}

void rmnic_remote_hedge(void *arg, struct rmnic_rmp_call *call)
{
	struct rmnic_remote *r = arg;
	struct rmnic_remote_op *o = call->arg;

	if (!rmnic_remote_op_owns(call) || !o->op || o->out || r->hedge_tokens < HEDGE_COST)
		return;
	if (!in_ask(o, RMNIC_RMP_F_HEDGE, true))
		return;
	r->hedge_tokens -= HEDGE_COST;
	RMNIC_COUNT(r->remote.hedged, 1);
}

/* --- The beginning --------------------------------------------------------------------------------------- */

void rmnic_remote_in_spilled(struct rmnic_remote_op *o)
{
	struct rmnic_remote *r = o->store;
	uint64_t now = rmnic_state_page(&r->state, o->rpn);
	uint16_t status = o->spill.status;

	if (status == RMNIC_SC_OK)
		status = version_ok(o, o->spill.version);
	if (status == RMNIC_SC_OK) {
		memcpy(o->op->data, o->copy, RMNIC_PAGE_SIZE);
		rmnic_remote_op_end(o, RMNIC_SC_OK);
		return;
	}
	/* It went back to servers while it was being read. */
	if (KIND(now) == RMNIC_STATE_PAGE_HELD) {
		o->entry = now;
		if (!in_ask(o, 0, false) && o->op)
			in_end_bad(o);
		return;
	}
	RMNIC_COUNT(r->remote.spill_errors, 1);
	in_failed(o, status);
	in_end_bad(o);
}

static void in_spill(struct rmnic_remote_op *o)
{
	if (!rmnic_remote_op_spill(o))
		rmnic_remote_op_end(o, RMNIC_SC_BUSY);
}

uint16_t rmnic_remote_page_in(struct rmnic_store *store, struct rmnic_page_op *op)
{
	struct rmnic_remote *r = (struct rmnic_remote *)store;
	const struct rmnic_remote_slab *s = &r->slabs[op->rpn / r->state.slab_pages];
	uint64_t word = rmnic_state_page(&r->state, op->rpn);
	struct rmnic_remote_op *o;

	if (s->waiting) /* STATE-30: its words say nothing yet */
		return RMNIC_SC_UNREACHABLE;
	switch (KIND(word)) {
	case RMNIC_STATE_PAGE_NEVER:
	case RMNIC_STATE_PAGE_FREED:
		rmnic_page_fill(op->data, 0);
		RMNIC_COUNT(r->counters.in_unwritten, 1);
		return RMNIC_SC_OK;
	case RMNIC_STATE_PAGE_HELD:
	case RMNIC_STATE_PAGE_SPILLED:
		break;
	case RMNIC_STATE_PAGE_UNKNOWN:
		return RMNIC_SC_INDETERMINATE;
	case RMNIC_STATE_PAGE_LOST:
		RMNIC_COUNT(r->remote.lost, 1);
		rmnic_remote_event(r, RMNIC_REMOTE_EV_PAGE_LOST, op->rpn / r->state.slab_pages,
				   op->rpn, 1, NULL);
		return RMNIC_SC_LOST;
	default:
		return RMNIC_SC_INTERNAL;
	}
	if (r->status >= RMNIC_REMOTE_FENCED)
		return RMNIC_SC_UNREACHABLE;
	o = rmnic_remote_op_get(r, op, false);
	if (!o)
		return RMNIC_SC_BUSY;
	o->entry = word;
	o->version = VERSION(word);
	if (KIND(word) == RMNIC_STATE_PAGE_SPILLED) {
		in_spill(o);
		return rmnic_remote_op_started(o);
	}
	r->hedge_tokens += r->cfg.hedge_permille;
	if (r->hedge_tokens > HEDGE_BURST * HEDGE_COST)
		r->hedge_tokens = HEDGE_BURST * HEDGE_COST;
	if (!in_ask(o, 0, false) && o->op)
		in_end_bad(o);
	return rmnic_remote_op_started(o);
}
