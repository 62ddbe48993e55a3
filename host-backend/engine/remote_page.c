/* SPDX-License-Identifier: BSD-3-Clause */
/* One page out or in, across the members of its slab's view. */
#include <string.h>

#include "engine/page.h"
#include "engine/store_remote_internal.h"

#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)
#define KIND(word)    ((uint32_t)(word) & RMNIC_STATE_PAGE_KIND)
#define BITS(word)    ((uint32_t)(word) & 0xffff)

static void call_done(struct rmnic_rmp_call *call);
static void call_idle(struct rmnic_rmp_call *call);

static struct rmnic_remote *to_remote(struct rmnic_store *store)
{
	return (struct rmnic_remote *)store;
}

/* --- Operations --------------------------------------------------------------------------------- */

static struct rmnic_remote_op **bucket_of(struct rmnic_remote *r, uint64_t rpn)
{
	return &r->writing[(rpn * 0x9e3779b97f4a7c15ull >> 32) & (r->buckets - 1)];
}

static bool is_writing(struct rmnic_remote *r, uint64_t rpn)
{
	for (const struct rmnic_remote_op *o = *bucket_of(r, rpn); o; o = o->chain)
		if (o->rpn == rpn)
			return true;
	return false;
}

static struct rmnic_remote_op *op_get(struct rmnic_remote *r, struct rmnic_page_op *op, bool out)
{
	struct rmnic_remote_op *o = r->free_op[out];

	if (!o)
		return NULL;
	r->free_op[out] = o->next;
	o->op = op;
	o->rpn = op->rpn;
	o->used = true;
	o->starting = true;
	o->tried = o->pending = o->leaving = 0;
	o->worst = RMNIC_SC_OK;
	if (out) {
		o->chain = *bucket_of(r, o->rpn);
		*bucket_of(r, o->rpn) = o;
	}
	return o;
}

/* Its place is free for another page when nothing transmits from it any more. */
static void op_put_if_done(struct rmnic_remote_op *o)
{
	if (!o->used || o->op || o->pending || o->leaving || o->starting)
		return;
	o->used = false;
	o->next = o->store->free_op[o->out];
	o->store->free_op[o->out] = o;
}

static void unchain(struct rmnic_remote_op *o)
{
	struct rmnic_remote_op **at = bucket_of(o->store, o->rpn);

	while (*at != o)
		at = &(*at)->chain;
	*at = o->chain;
}

/* Ends the operation; the owner hears of it here, or by what page_out or page_in returns. */
static void op_end(struct rmnic_remote_op *o, uint16_t status)
{
	struct rmnic_page_op *op = o->op;

	o->op = NULL;
	o->worst = status;
	if (o->out)
		unchain(o);
	if (!o->starting)
		op->done(op, status);
	op_put_if_done(o);
}

static uint16_t op_started(struct rmnic_remote_op *o)
{
	uint16_t status = o->op ? RMNIC_STORE_PENDING : o->worst;

	o->starting = false;
	op_put_if_done(o);
	return status;
}

static void op_ask(struct rmnic_remote_op *o, unsigned int i, uint8_t type)
{
	struct rmnic_remote *r = o->store;
	struct rmnic_remote_slab *s = &r->slabs[o->rpn / r->state.slab_pages];
	struct rmnic_rmp_call *call = &o->call[i];
	uint16_t peer = rmnic_remote_peer_of(r, s, i);

	memset(call, 0, sizeof(*call));
	call->type = type;
	call->peer = peer;
	call->handle = rmnic_le64_get(s->member[i].handle);
	call->store_id = rmnic_le64_get(s->member[i].store_id);
	call->rpn = o->rpn;
	call->deadline = rmnic_env_now(&r->cfg.env) + r->cfg.timeout_ns;
	call->done = call_done;
	call->idle = call_idle;
	call->arg = o;
	o->pending++;
	o->leaving++;
	if (type == RMNIC_RMP_READ) {
		call->page = o->op->data;
	} else {
		call->version = o->version;
		call->crc = o->call[0].crc;
		call->body = type == RMNIC_RMP_WRITE ? (const void *)o->copy : &o->word;
		call->body_len = type == RMNIC_RMP_WRITE ? RMNIC_PAGE_SIZE : sizeof(o->word);
	}
}

static void op_submit(struct rmnic_remote_op *o, unsigned int i)
{
	struct rmnic_rmp_call *call = &o->call[i];

	if (call->peer != RMNIC_NO_PEER && rmnic_rmp_client_submit(o->store->client, call))
		return;
	/* Its server was not met since this backend started. */
	call->status = RMNIC_CALL_UNREACHABLE;
	call->done(call);
	o->leaving--;
	op_put_if_done(o);
}

/* --- Page-out ------------------------------------------------------------------------------------ */

static uint16_t out_status(uint16_t status)
{
	switch (status) {
	case RMNIC_RMP_S_OK:
		return RMNIC_SC_OK;
	case RMNIC_RMP_S_FENCED:
	case RMNIC_CALL_UNREACHABLE:
	case RMNIC_CALL_EMPTY:
	case RMNIC_RMP_S_UNKNOWN_SLAB:
		return RMNIC_SC_UNREACHABLE;
	default:
		return RMNIC_SC_INTERNAL;
	}
}

/* STATE-2: the page's word changes when every member has answered, and not before. */
static void out_end(struct rmnic_remote_op *o)
{
	struct rmnic_remote *r = o->store;
	uint64_t word = rmnic_state_page(&r->state, o->rpn);
	bool was_held = KIND(word) == RMNIC_STATE_PAGE_HELD;

	/* Freed meanwhile: the newer word stays. */
	if (VERSION(word) > o->version) {
		rmnic_state_page_set(&r->state, o->rpn, VERSION(word),
				     BITS(word) & ~RMNIC_STATE_PAGE_WRITING);
		if (word & RMNIC_STATE_PAGE_TELL)
			rmnic_remote_tell_add(r, o->rpn);
	} else if (o->worst == RMNIC_SC_OK) {
		rmnic_state_page_set(&r->state, o->rpn, o->version, RMNIC_STATE_PAGE_HELD);
		if (o->call[0].type == RMNIC_RMP_WRITE_FILLED)
			RMNIC_COUNT(r->counters.same_filled, 1);
		RMNIC_COUNT(r->counters.stored, !was_held);
	} else {
		/* STATE-5: some may hold it and some not; only a new write can tell. */
		rmnic_state_page_set(&r->state, o->rpn, o->version, RMNIC_STATE_PAGE_UNKNOWN);
		RMNIC_COUNT(r->remote.indeterminate, 1);
		RMNIC_COUNT(r->counters.stored, -(uint64_t)was_held);
	}
}

/*
 * STATE-16. Whatever a predecessor sent of a write may be on some members and not on others. What
 * was freed stays zeros; a member may have got the write after it was told, so it is told again.
 */
void rmnic_remote_settle(struct rmnic_store *store, uint64_t rpn, uint64_t n)
{
	struct rmnic_remote *r = to_remote(store);

	for (uint64_t end = rpn + n; rpn < end; rpn++) {
		uint64_t word = rmnic_state_page(&r->state, rpn);

		if (!(word & RMNIC_STATE_PAGE_WRITING) || is_writing(r, rpn))
			continue;
		if (KIND(word) == RMNIC_STATE_PAGE_FREED) {
			rmnic_state_page_set(&r->state, rpn, VERSION(word),
					     RMNIC_STATE_PAGE_FREED | RMNIC_STATE_PAGE_TELL);
			rmnic_remote_tell_add(r, rpn);
			continue;
		}
		rmnic_state_page_set(&r->state, rpn, VERSION(word), RMNIC_STATE_PAGE_UNKNOWN);
		RMNIC_COUNT(r->remote.indeterminate, 1);
		RMNIC_COUNT(r->counters.stored,
			    -(uint64_t)(KIND(word) == RMNIC_STATE_PAGE_HELD));
	}
}

/* Copies the page, once (RULES B5), and finds out what is to be sent. */
static uint8_t out_prepare(struct rmnic_remote *r, struct rmnic_remote_op *o)
{
	const struct rmnic_crc32c *c = rmnic_rmp_client_crc(r->client);
	uint32_t crc = rmnic_crc32c_copy_page(c, o->copy, o->op->data);
	uint64_t word;

	/* A13: a small record, but a record, on every member. */
	if (rmnic_page_maybe_same(o->copy) && rmnic_page_same_filled(o->copy, &word) &&
	    (uint32_t)word == (uint32_t)(word >> 32)) {
		o->word = rmnic_le32_put((uint32_t)word);
		o->call[0].crc = rmnic_rmp_fill_crc(c, (uint32_t)word, r->cfg.device, o->rpn,
						    o->version);
		return RMNIC_RMP_WRITE_FILLED;
	}
	o->call[0].crc = rmnic_page_seal(c, crc, r->cfg.device, o->rpn, o->version);
	return RMNIC_RMP_WRITE;
}

uint16_t rmnic_remote_page_out(struct rmnic_store *store, struct rmnic_page_op *op)
{
	struct rmnic_remote *r = to_remote(store);
	const struct rmnic_remote_slab *s = &r->slabs[op->rpn / r->state.slab_pages];
	struct rmnic_remote_op *o;
	uint64_t word, version;
	uint32_t crc;
	uint8_t type;

	if (r->status >= RMNIC_REMOTE_FENCED)
		return RMNIC_SC_UNREACHABLE;
	if (!s->members || is_writing(r, op->rpn))
		return RMNIC_SC_BUSY;
	o = op_get(r, op, true);
	if (!o)
		return RMNIC_SC_BUSY;
	version = rmnic_state_version(&r->state);
	if (!version) {
		op_end(o, RMNIC_SC_INTERNAL);
		return op_started(o);
	}
	o->version = version;
	type = out_prepare(r, o);
	crc = o->call[0].crc;
	rmnic_remote_tell_drop(r, op->rpn);
	word = rmnic_state_page(&r->state, op->rpn);
	rmnic_state_page_set(&r->state, op->rpn, VERSION(word),
			     BITS(word) | RMNIC_STATE_PAGE_WRITING);
	/* One for the loop, so that an answer at once does not end what has not begun. */
	o->pending = 1;
	for (unsigned int i = 0; i < s->members; i++) {
		op_ask(o, i, type);
		o->call[i].crc = crc;
		op_submit(o, i);
	}
	if (--o->pending == 0) {
		out_end(o);
		op_end(o, o->worst);
	}
	return op_started(o);
}

static void out_answer(struct rmnic_remote_op *o, const struct rmnic_rmp_call *call)
{
	uint16_t status = out_status(call->status);

	if (status != RMNIC_SC_OK && o->worst != RMNIC_SC_UNREACHABLE)
		o->worst = status;
	if (--o->pending == 0) {
		out_end(o);
		op_end(o, o->worst);
	}
}

/* --- Page-in ------------------------------------------------------------------------------------- */

/* What a failed member adds: silence outweighs damage, damage outweighs proof of loss. */
static void in_failed(struct rmnic_remote_op *o, uint16_t status)
{
	struct rmnic_remote_counters *n = &o->store->remote;

	if (status == RMNIC_SC_CORRUPT)
		RMNIC_COUNT(o->store->counters.corrupt, 1);
	if (status == RMNIC_SC_UNREACHABLE || o->worst == RMNIC_SC_OK ||
	    (status == RMNIC_SC_CORRUPT && o->worst == RMNIC_SC_LOST))
		o->worst = status;
	RMNIC_COUNT(n->read_again, 1);
}

/*
 * STATE-3: the page's own version is the least that may be delivered; a greater one only
 * while, or after, a write of it was under way. Gives RMNIC_SC_OK, or why not.
 */
static uint16_t in_version_ok(struct rmnic_remote_op *o, uint64_t got)
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

static uint16_t in_status(struct rmnic_remote_op *o, const struct rmnic_rmp_call *call)
{
	struct rmnic_remote *r = o->store;
	uint64_t now = rmnic_state_page(&r->state, o->rpn);
	uint16_t status;

	switch (call->status) {
	case RMNIC_RMP_S_OK:
		status = in_version_ok(o, call->got_version);
		if (status == RMNIC_SC_OK && (call->got_flags & RMNIC_RMP_F_FILLED))
			rmnic_page_fill(o->op->data,
					(uint64_t)call->got_word << 32 | call->got_word);
		return status;
	case RMNIC_RMP_S_ABSENT:
		/* STATE-4: zeros because of the page's own word, never because of an answer. */
		if (KIND(now) == RMNIC_STATE_PAGE_FREED) {
			rmnic_page_fill(o->op->data, 0);
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

/* The member to ask next: one whose server is up, else any that was not asked yet. */
static unsigned int in_next(struct rmnic_remote_op *o)
{
	struct rmnic_remote *r = o->store;
	struct rmnic_remote_slab *s = &r->slabs[o->rpn / r->state.slab_pages];
	unsigned int any = RMNIC_MEMBERS;
	struct rmnic_peer_info info;

	for (unsigned int i = 0; i < s->members; i++) {
		uint16_t peer = rmnic_remote_peer_of(r, s, i);

		if ((o->tried | s->syncing) >> i & 1)
			continue;
		if (any == RMNIC_MEMBERS)
			any = i;
		if (peer == RMNIC_NO_PEER)
			continue;
		rmnic_rmp_client_peer(r->client, peer, &info);
		if (info.state == RMNIC_PEER_READY)
			return i;
	}
	return any;
}

static void in_ask(struct rmnic_remote_op *o)
{
	unsigned int i = in_next(o);

	if (i == RMNIC_MEMBERS) {
		RMNIC_COUNT(o->store->remote.lost, o->worst == RMNIC_SC_LOST);
		RMNIC_COUNT(o->store->remote.unreachable, o->worst == RMNIC_SC_UNREACHABLE);
		op_end(o, o->worst == RMNIC_SC_OK ? RMNIC_SC_UNREACHABLE : o->worst);
		return;
	}
	o->tried |= (uint8_t)(1u << i);
	op_ask(o, i, RMNIC_RMP_READ);
	op_submit(o, i);
}

static void in_answer(struct rmnic_remote_op *o, const struct rmnic_rmp_call *call)
{
	uint16_t status = in_status(o, call);

	o->pending--;
	if (status == RMNIC_SC_OK) {
		op_end(o, RMNIC_SC_OK);
		return;
	}
	in_failed(o, status);
	in_ask(o);
}

uint16_t rmnic_remote_page_in(struct rmnic_store *store, struct rmnic_page_op *op)
{
	struct rmnic_remote *r = to_remote(store);
	uint64_t word = rmnic_state_page(&r->state, op->rpn);
	struct rmnic_remote_op *o;

	switch (KIND(word)) {
	case RMNIC_STATE_PAGE_NEVER:
	case RMNIC_STATE_PAGE_FREED:
		rmnic_page_fill(op->data, 0);
		RMNIC_COUNT(r->counters.in_unwritten, 1);
		return RMNIC_SC_OK;
	case RMNIC_STATE_PAGE_HELD:
		break;
	case RMNIC_STATE_PAGE_UNKNOWN:
		return RMNIC_SC_INDETERMINATE;
	case RMNIC_STATE_PAGE_LOST:
		return RMNIC_SC_LOST;
	default:
		return RMNIC_SC_INTERNAL;
	}
	if (r->status >= RMNIC_REMOTE_FENCED)
		return RMNIC_SC_UNREACHABLE;
	o = op_get(r, op, false);
	if (!o)
		return RMNIC_SC_BUSY;
	o->entry = word;
	in_ask(o);
	return op_started(o);
}

/* --- Calls ----------------------------------------------------------------------------------------- */

static void call_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_op *o = call->arg;

	if (call->status == RMNIC_RMP_S_FENCED) {
		RMNIC_COUNT(o->store->remote.fenced, 1);
		rmnic_remote_move(o->store, RMNIC_REMOTE_FENCED);
	}
	if (o->out)
		out_answer(o, call);
	else
		in_answer(o, call);
}

static void call_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_op *o = call->arg;

	o->leaving--;
	op_put_if_done(o);
}

void rmnic_remote_cancel(struct rmnic_store *store, struct rmnic_page_op *op)
{
	struct rmnic_remote *r = to_remote(store);

	for (uint32_t i = 0; i < r->nops; i++) {
		struct rmnic_remote_op *o = &r->ops[i];

		if (!o->used || o->op != op)
			continue;
		o->op = NULL;
		if (o->out) {
			/* What was sent may still take effect. */
			o->worst = RMNIC_SC_ABORTED;
			out_end(o);
			unchain(o);
		}
		o->starting = true; /* not put before the last call is cancelled */
		o->pending = 0;
		for (unsigned int k = 0; k < RMNIC_MEMBERS; k++)
			rmnic_rmp_client_cancel(r->client, &o->call[k]);
		o->starting = false;
		op_put_if_done(o);
		return;
	}
}
