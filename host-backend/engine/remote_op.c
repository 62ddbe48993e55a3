/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages on their way: taking one up, asking members about it, letting go of it. */
#include <string.h>

#include "engine/store_remote_internal.h"

/* --- Who writes what ------------------------------------------------------------------------------- */

static struct rmnic_remote_op **bucket_of(const struct rmnic_remote *r, uint64_t rpn)
{
	return &r->writing[(rpn * 0x9e3779b97f4a7c15ull >> 32) & (r->buckets - 1)];
}

bool rmnic_remote_is_writing(const struct rmnic_remote *r, uint64_t rpn)
{
	for (const struct rmnic_remote_op *o = *bucket_of(r, rpn); o; o = o->chain)
		if (o->rpn == rpn)
			return true;
	return false;
}

static void unchain(struct rmnic_remote_op *o)
{
	struct rmnic_remote_op **at = bucket_of(o->store, o->rpn);

	while (*at != o)
		at = &(*at)->chain;
	*at = o->chain;
}

static bool writes_to(const struct rmnic_remote *r, const struct rmnic_remote_op *o, uint64_t slab)
{
	return o->op && o->out && o->rpn / r->state.slab_pages == slab;
}

bool rmnic_remote_writes_before(const struct rmnic_remote *r, uint64_t slab, uint64_t view)
{
	for (uint32_t i = 0; i < r->nops; i++)
		if (writes_to(r, &r->ops[i], slab) && r->ops[i].view < view)
			return true;
	return false;
}

uint64_t rmnic_remote_since(const struct rmnic_remote *r, uint64_t slab)
{
	uint64_t since = rmnic_le64_get(r->state.hdr->next_version);

	for (uint32_t i = 0; i < r->nops; i++)
		if (writes_to(r, &r->ops[i], slab) && r->ops[i].version < since)
			since = r->ops[i].version;
	return since;
}

/* --- Taking up and letting go ----------------------------------------------------------------------- */

struct rmnic_remote_op *rmnic_remote_op_get(struct rmnic_remote *r, struct rmnic_page_op *op, bool out)
{
	struct rmnic_remote_op *o = r->free_op[out];

	if (!o)
		return NULL;
	r->free_op[out] = o->next;
	o->op = op;
	o->rpn = op->rpn;
	o->used = o->starting = true;
	o->spilling = o->no_spill = false;
	o->asked = o->pending = o->unsent = o->held = o->bad = o->leaving = 0;
	o->in_data = o->in_copy = 0;
	o->worst = RMNIC_SC_OK;
	o->view = r->slabs[o->rpn / r->state.slab_pages].view;
	o->deadline = rmnic_env_now(&r->cfg.env) + r->cfg.timeout_ns;
	if (out) {
		o->chain = *bucket_of(r, o->rpn);
		*bucket_of(r, o->rpn) = o;
	}
	return o;
}

/* Its place is free for another page when nothing transmits from it any more. */
static void put_if_done(struct rmnic_remote_op *o)
{
	if (!o->used || o->op || o->leaving || o->starting)
		return;
	o->used = false;
	o->next = o->store->free_op[o->out];
	o->store->free_op[o->out] = o;
}

void rmnic_remote_op_end(struct rmnic_remote_op *o, uint16_t status)
{
	struct rmnic_page_op *op = o->op;
	bool starting = o->starting;

	o->op = NULL;
	o->worst = status;
	if (o->out)
		unchain(o);
	o->starting = true; /* not put before the last call is cancelled */
	for (unsigned int k = 0; k < o->asked; k++)
		rmnic_remote_op_forget(o, k);
	o->starting = starting;
	if (!starting)
		op->done(op, status);
	put_if_done(o);
}

uint16_t rmnic_remote_op_started(struct rmnic_remote_op *o)
{
	uint16_t status = o->op ? RMNIC_STORE_PENDING : o->worst;

	o->starting = false;
	put_if_done(o);
	return status;
}

/* --- Asking members ----------------------------------------------------------------------------------- */

static void call_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_op *o = call->arg;
	struct rmnic_remote *r = o->store;
	unsigned int k = (unsigned int)(call - o->call);

	o->pending &= (uint8_t)~(1u << k);
	if (call->status == RMNIC_RMP_S_FENCED) {
		RMNIC_COUNT(r->remote.fenced, 1);
		rmnic_remote_move(r, RMNIC_REMOTE_FENCED);
	}
	if (!o->op)
		return;
	if (o->out)
		rmnic_remote_out_answer(o, k);
	else
		rmnic_remote_in_answer(o, k);
}

static void call_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_op *o = call->arg;

	o->leaving--;
	put_if_done(o);
}

struct rmnic_rmp_call *rmnic_remote_op_ask(struct rmnic_remote_op *o, unsigned int i, uint8_t type)
{
	struct rmnic_remote *r = o->store;
	const struct rmnic_rmp_member *m = &r->slabs[o->rpn / r->state.slab_pages].member[i];
	struct rmnic_rmp_call *call = &o->call[o->asked];

	o->pending |= (uint8_t)(1u << o->asked);
	o->unsent |= (uint8_t)(1u << o->asked);
	o->asked++;
	memset(call, 0, sizeof(*call));
	call->type = type;
	call->handle = rmnic_le64_get(m->handle);
	call->store_id = rmnic_le64_get(m->store_id);
	call->rpn = o->rpn;
	call->deadline = o->deadline;
	call->done = call_done;
	call->idle = call_idle;
	call->arg = o;
	return call;
}

bool rmnic_remote_op_send(struct rmnic_remote_op *o, unsigned int k)
{
	struct rmnic_remote *r = o->store;
	struct rmnic_remote_slab *s = &r->slabs[o->rpn / r->state.slab_pages];
	struct rmnic_rmp_call *call = &o->call[k];
	int i = rmnic_remote_entry(s, call->store_id, call->handle);
	uint16_t peer = i < 0 ? RMNIC_NO_PEER : rmnic_remote_peer_of(r, s, (unsigned int)i);

	if (peer == RMNIC_NO_PEER)
		return false; /* its server was not met since this backend started */
	call->peer = peer;
	o->unsent &= (uint8_t)~(1u << k);
	o->leaving++;
	if (rmnic_rmp_client_submit(r->client, call))
		return true;
	o->leaving--;
	o->unsent |= (uint8_t)(1u << k);
	return false;
}

int rmnic_remote_op_entry(const struct rmnic_remote_op *o, unsigned int k)
{
	const struct rmnic_remote *r = o->store;

	return rmnic_remote_entry(&r->slabs[o->rpn / r->state.slab_pages], o->call[k].store_id,
				  o->call[k].handle);
}

bool rmnic_remote_op_owns(const struct rmnic_rmp_call *call)
{
	return call->done == call_done;
}

void rmnic_remote_op_forget(struct rmnic_remote_op *o, unsigned int k)
{
	uint8_t bit = (uint8_t)(1u << k);

	if (o->pending & bit && !(o->unsent & bit))
		rmnic_rmp_client_cancel(o->store->client, &o->call[k]);
	o->pending &= (uint8_t)~bit;
	o->unsent &= (uint8_t)~bit;
}

/* --- The spill file ------------------------------------------------------------------------------------ */

static void spill_done(struct rmnic_remote_spill_op *sp)
{
	struct rmnic_remote_op *o =
		(void *)((uint8_t *)sp - offsetof(struct rmnic_remote_op, spill));

	o->spilling = false;
	o->leaving--;
	if (o->op && o->out)
		rmnic_remote_out_spilled(o);
	else if (o->op)
		rmnic_remote_in_spilled(o);
	else
		put_if_done(o);
}

bool rmnic_remote_op_spill(struct rmnic_remote_op *o)
{
	o->spill.store = o->store;
	o->spill.rpn = o->rpn;
	o->spill.version = o->version;
	o->spill.done = spill_done;
	o->spilling = true;
	o->leaving++;
	if (o->out ? rmnic_remote_spill_write(&o->spill) : rmnic_remote_spill_read(&o->spill))
		return true;
	o->spilling = false;
	o->leaving--;
	return false;
}

/* --- Looking again -------------------------------------------------------------------------------------- */

void rmnic_remote_pages_look(struct rmnic_remote *r)
{
	r->look = true;
}

void rmnic_remote_look_by(struct rmnic_remote *r, uint64_t at)
{
	if (at < r->look_at)
		r->look_at = at;
}

void rmnic_remote_pages(struct rmnic_remote *r)
{
	if (!r->look && rmnic_env_now(&r->cfg.env) < r->look_at)
		return;
	r->look = false;
	r->look_at = UINT64_MAX;
	for (uint32_t i = 0; i < r->nops; i++) {
		struct rmnic_remote_op *o = &r->ops[i];

		if (!o->op)
			continue;
		if (o->out)
			rmnic_remote_out_look(o);
		else
			rmnic_remote_in_look(o);
	}
}

void rmnic_remote_cancel(struct rmnic_store *store, struct rmnic_page_op *op)
{
	struct rmnic_remote *r = (struct rmnic_remote *)store;

	for (uint32_t i = 0; i < r->nops; i++) {
		struct rmnic_remote_op *o = &r->ops[i];

		if (!o->used || o->op != op)
			continue;
		if (o->out) /* what was sent may still take effect */
			rmnic_remote_out_give_up(o);
		o->starting = true; /* nobody is told */
		rmnic_remote_op_end(o, RMNIC_SC_ABORTED);
		o->starting = false;
		put_if_done(o);
		return;
	}
}
