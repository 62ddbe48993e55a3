/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A page going out: to every member of its slab's view. It is acknowledged when each member of the
 * view that is recorded by then holds it (RULES A4); who fails is dropped first. Where nobody can
 * take it, it goes to the spill file.
 */
#include <string.h>

#include "engine/page.h"
#include "engine/store_remote_internal.h"

#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)
#define KIND(word)    ((uint32_t)(word) & RMNIC_STATE_PAGE_KIND)
#define BITS(word)    ((uint32_t)(word) & 0xffff)
#define LOOK_NS       UINT64_C(5000000) /* while a member is silent that may not be dropped yet */

static struct rmnic_remote_slab *slab_of(const struct rmnic_remote_op *o)
{
	return &o->store->slabs[o->rpn / o->store->state.slab_pages];
}

/* --- The end ---------------------------------------------------------------------------------------- */

/* STATE-2: the page's word changes when it is held where it should be, and not before. */
static void settle_word(struct rmnic_remote_op *o, uint32_t kind)
{
	struct rmnic_remote *r = o->store;
	uint64_t word = rmnic_state_page(&r->state, o->rpn);

	/* Freed meanwhile: the newer word stays. */
	if (VERSION(word) > o->version) {
		rmnic_remote_word_set(r, o->rpn, VERSION(word),
				      BITS(word) & ~RMNIC_STATE_PAGE_WRITING);
		if (word & RMNIC_STATE_PAGE_TELL)
			rmnic_remote_tell_add(r, o->rpn);
		return;
	}
	rmnic_remote_word_set(r, o->rpn, o->version, kind);
	RMNIC_COUNT(r->counters.same_filled, kind == RMNIC_STATE_PAGE_HELD &&
						     o->type == RMNIC_RMP_WRITE_FILLED);
	/* STATE-5: some may hold it and some not; only a new write can tell. */
	RMNIC_COUNT(r->remote.indeterminate, kind == RMNIC_STATE_PAGE_UNKNOWN);
}

void rmnic_remote_out_give_up(struct rmnic_remote_op *o)
{
	settle_word(o, RMNIC_STATE_PAGE_UNKNOWN);
}

static void out_end(struct rmnic_remote_op *o, uint16_t status)
{
	settle_word(o, status == RMNIC_SC_OK ? RMNIC_STATE_PAGE_HELD : RMNIC_STATE_PAGE_UNKNOWN);
	rmnic_remote_op_end(o, status);
}

/*
 * STATE-16. Whatever a predecessor sent of a write may be on some members and not on others. What
 * was freed stays zeros; a member may have got the write after it was told, so it is told again.
 */
void rmnic_remote_settle(struct rmnic_store *store, uint64_t rpn, uint64_t n)
{
	struct rmnic_remote *r = (struct rmnic_remote *)store;

	for (uint64_t end = rpn + n; rpn < end; rpn++) {
		uint64_t word = rmnic_state_page(&r->state, rpn);

		if (!(word & RMNIC_STATE_PAGE_WRITING) || rmnic_remote_is_writing(r, rpn))
			continue;
		if (KIND(word) == RMNIC_STATE_PAGE_FREED) {
			rmnic_remote_word_set(r, rpn, VERSION(word),
					      RMNIC_STATE_PAGE_FREED | RMNIC_STATE_PAGE_TELL);
			rmnic_remote_tell_add(r, rpn);
			continue;
		}
		rmnic_remote_word_set(r, rpn, VERSION(word), RMNIC_STATE_PAGE_UNKNOWN);
		RMNIC_COUNT(r->remote.indeterminate, 1);
	}
}

/* --- Where it stands ---------------------------------------------------------------------------------- */

/* Whether nobody who would have to hold it can be expected to answer soon. */
static bool all_silent(struct rmnic_remote_op *o)
{
	struct rmnic_remote_slab *s = slab_of(o);

	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_remote_whole(s) >> i & 1 && !rmnic_remote_is_silent(o->store, s, i) &&
		    !rmnic_remote_entry_empty(o->store, s, i))
			return false;
	return true;
}

/* STATE-28. True: it goes there. */
static bool out_spill(struct rmnic_remote_op *o)
{
	struct rmnic_remote *r = o->store;

	if (o->spilling)
		return true;
	if (o->no_spill || !all_silent(o) ||
	    !rmnic_remote_spill_room(r, o->rpn / r->state.slab_pages))
		return false;
	if (rmnic_remote_op_spill(o))
		o->no_spill = true; /* once is enough */
	else if (rmnic_env_now(&r->cfg.env) < o->deadline)
		rmnic_remote_look_by(r, o->deadline); /* or when the file can take more */
	else
		return false;
	return true;
}

void rmnic_remote_out_spilled(struct rmnic_remote_op *o)
{
	struct rmnic_remote *r = o->store;

	RMNIC_COUNT(r->remote.spill_errors, o->spill.status != RMNIC_SC_OK);
	if (o->spill.status != RMNIC_SC_OK || r->status == RMNIC_REMOTE_FENCED) {
		rmnic_remote_out_look(o);
		return;
	}
	RMNIC_COUNT(r->remote.spilled, 1);
	settle_word(o, RMNIC_STATE_PAGE_SPILLED);
	rmnic_remote_op_end(o, RMNIC_SC_OK);
}

/* Members that left the view are not waited for; those that are silent leave it, if they may. */
static void let_go(struct rmnic_remote_op *o)
{
	struct rmnic_remote *r = o->store;
	uint64_t slab = o->rpn / r->state.slab_pages;

	for (unsigned int k = 0; k < o->asked; k++) {
		int i;

		if (!(o->pending >> k & 1))
			continue;
		if (o->unsent >> k & 1)
			rmnic_remote_op_send(o, k);
		if (!(o->pending >> k & 1))
			continue; /* answered at once */
		i = rmnic_remote_op_entry(o, k);
		if (i >= 0 && !rmnic_remote_is_silent(r, &r->slabs[slab], (unsigned int)i))
			continue;
		if (i < 0 || rmnic_remote_drop(r, slab, (unsigned int)i, false))
			rmnic_remote_op_forget(o, k);
		else
			rmnic_remote_look_by(r, rmnic_env_now(&r->cfg.env) + LOOK_NS);
	}
}

/* Whether each member of the view that is to have every page has this one. */
static bool held_by_all(struct rmnic_remote_op *o)
{
	struct rmnic_remote_slab *s = slab_of(o);
	unsigned int missing = rmnic_remote_whole(s);

	if (!missing)
		return false;
	for (unsigned int k = 0; k < o->asked; k++) {
		int i = rmnic_remote_op_entry(o, k);

		if (i >= 0 && o->held >> k & 1)
			missing &= ~(1u << i);
	}
	return !missing;
}

static void out_ask(struct rmnic_remote_op *o, unsigned int i)
{
	struct rmnic_rmp_call *call = rmnic_remote_op_ask(o, i, o->type);

	call->version = o->version;
	call->crc = o->crc;
	call->body = o->type == RMNIC_RMP_WRITE ? (const void *)o->copy : &o->word;
	call->body_len = o->type == RMNIC_RMP_WRITE ? RMNIC_PAGE_SIZE : sizeof(o->word);
}

/* The slab found other members since it was asked of those it had, or had none. False: none is left. */
static bool ask_others(struct rmnic_remote_op *o)
{
	struct rmnic_remote_slab *s = slab_of(o);
	bool any = false;

	for (unsigned int i = 0; i < s->members; i++) {
		bool asked = !(rmnic_remote_live(s) >> i & 1);

		for (unsigned int k = 0; k < o->asked && !asked; k++)
			asked = rmnic_remote_op_entry(o, k) == (int)i;
		if (asked || o->asked == RMNIC_MEMBERS)
			continue;
		out_ask(o, i);
		any = true;
	}
	return any;
}

void rmnic_remote_out_look(struct rmnic_remote_op *o)
{
	struct rmnic_remote *r = o->store;
	uint64_t now = rmnic_env_now(&r->cfg.env);
	bool waits;

	if (o->looking)
		return; /* by an answer that came while it was being asked for */
	/* STATE-32: a member that has not heard of the successor yet may say what it likes. */
	if (r->status == RMNIC_REMOTE_FENCED)
		o->worst = RMNIC_SC_UNREACHABLE;
	o->looking = true;
	if (o->worst == RMNIC_SC_OK)
		let_go(o);
	o->looking = false;
	if (o->spilling || (o->worst == RMNIC_SC_OK && out_spill(o)))
		return;
	if (now >= o->deadline && o->worst == RMNIC_SC_OK)
		o->worst = RMNIC_SC_UNREACHABLE;
	if (o->worst == RMNIC_SC_OK && o->pending) {
		if (o->unsent)
			rmnic_remote_look_by(r, now + LOOK_NS);
		return;
	}
	waits = slab_of(o)->recorded != slab_of(o)->view; /* STATE-21 */
	if (o->worst != RMNIC_SC_OK) {
		out_end(o, o->worst);
	} else if (!waits && held_by_all(o)) {
		out_end(o, RMNIC_SC_OK);
	} else if (!waits && ask_others(o)) {
		rmnic_remote_out_look(o);
	} else if (waits || !rmnic_remote_whole(slab_of(o)) ||
		   rmnic_remote_rescuing(r, o->rpn / r->state.slab_pages)) {
		/* RULES L1, STATE-33: or until the slab has members again */
		rmnic_remote_look_by(r, o->deadline);
	} else {
		out_end(o, RMNIC_SC_UNREACHABLE);
	}
}

void rmnic_remote_out_answer(struct rmnic_remote_op *o, unsigned int k)
{
	struct rmnic_remote *r = o->store;
	uint64_t slab = o->rpn / r->state.slab_pages;
	int i = rmnic_remote_op_entry(o, k);

	switch (o->call[k].status) {
	case RMNIC_RMP_S_OK:
		o->held |= (uint8_t)(1u << k);
		break;
	case RMNIC_RMP_S_FENCED:
		o->worst = RMNIC_SC_UNREACHABLE;
		break;
	case RMNIC_CALL_UNREACHABLE:
		if (i >= 0 && !rmnic_remote_drop(r, slab, (unsigned int)i, false))
			o->worst = RMNIC_SC_UNREACHABLE;
		break;
	case RMNIC_CALL_EMPTY:
	case RMNIC_RMP_S_UNKNOWN_SLAB:
		if (i >= 0 && !rmnic_remote_drop(r, slab, (unsigned int)i, true) &&
		    !rmnic_remote_rescuing(r, slab))
			o->worst = RMNIC_SC_UNREACHABLE;
		break;
	default: /* it refuses the page: what it has is not what it should have */
		if (i >= 0 && !rmnic_remote_drop(r, slab, (unsigned int)i, true))
			o->worst = RMNIC_SC_INTERNAL;
	}
	if (!o->starting)
		rmnic_remote_out_look(o);
}

/* --- The beginning -------------------------------------------------------------------------------------- */

/* Copies the page, once (RULES B5), and finds out what is to be sent. */
static void out_prepare(struct rmnic_remote *r, struct rmnic_remote_op *o)
{
	const struct rmnic_crc32c *c = rmnic_rmp_client_crc(r->client);
	uint32_t crc = rmnic_crc32c_copy_page(c, o->copy, o->op->data);
	uint64_t word;

	/* A13: a small record, but a record, on every member. */
	if (rmnic_page_maybe_same(o->copy) && rmnic_page_same_filled(o->copy, &word) &&
	    (uint32_t)word == (uint32_t)(word >> 32)) {
		o->type = RMNIC_RMP_WRITE_FILLED;
		o->word = rmnic_le32_put((uint32_t)word);
		o->crc = rmnic_rmp_fill_crc(c, (uint32_t)word, r->cfg.device, o->rpn, o->version);
		return;
	}
	o->type = RMNIC_RMP_WRITE;
	o->crc = rmnic_page_seal(c, crc, r->cfg.device, o->rpn, o->version);
}

uint16_t rmnic_remote_page_out(struct rmnic_store *store, struct rmnic_page_op *op)
{
	struct rmnic_remote *r = (struct rmnic_remote *)store;
	struct rmnic_remote_slab *s = &r->slabs[op->rpn / r->state.slab_pages];
	struct rmnic_remote_op *o;
	uint64_t word;

	if (r->status >= RMNIC_REMOTE_FENCED)
		return RMNIC_SC_UNREACHABLE;
	if ((!rmnic_remote_live(s) && !s->spill) || s->waiting || rmnic_remote_is_writing(r, op->rpn))
		return RMNIC_SC_BUSY;
	o = rmnic_remote_op_get(r, op, true);
	if (!o)
		return RMNIC_SC_BUSY;
	o->version = rmnic_state_version(&r->state);
	if (!o->version) {
		rmnic_remote_op_end(o, RMNIC_SC_INTERNAL);
		return rmnic_remote_op_started(o);
	}
	out_prepare(r, o);
	rmnic_remote_tell_drop(r, op->rpn);
	word = rmnic_state_page(&r->state, op->rpn);
	rmnic_remote_word_set(r, op->rpn, VERSION(word), BITS(word) | RMNIC_STATE_PAGE_WRITING);
	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_remote_live(s) >> i & 1)
			out_ask(o, i);
	rmnic_remote_out_look(o); /* which sends what was not sent */
	return rmnic_remote_op_started(o);
}
