/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Giving slabs back to servers: what a server lists under the device's uuid and no row names
 * (STATE-18), or all of it when the device is gone.
 *
 * A slab that this backend allocated itself may only be released while nothing is allocated on
 * that server: ALLOC would give the same handle again, and a RELEASE that the network held back
 * would take away what a row names by then.
 */
#include <string.h>

#include "engine/store_remote_internal.h"

#define STEP_NS UINT64_C(1000000000)
#define PAUSE_NS UINT64_C(100000000)
#define CLEAR_ROWS 1024 /* in one call */

static void step_done(struct rmnic_rmp_call *call);
static void step_idle(struct rmnic_rmp_call *call);

static void mark(struct rmnic_remote *r, struct rmnic_remote_peer *p)
{
	r->sweeps += !p->sweep;
	p->sweep = true;
}

void rmnic_remote_sweep_at(struct rmnic_remote *r, uint32_t peer, bool own)
{
	/* Nothing is allocated any more: a server that is done with is, whatever session is next. */
	if (r->peers[peer].closed)
		return;
	mark(r, &r->peers[peer]);
	r->peers[peer].own |= own;
}

/* --- One server ------------------------------------------------------------------------------- */

static void finish(struct rmnic_remote *r, bool whole)
{
	struct rmnic_remote_sweep *sw = &r->sweep;
	struct rmnic_remote_peer *p = &r->peers[sw->peer];
	struct rmnic_peer_info info;

	sw->used = false;
	if (!whole) { /* from the start, when the server is there, and not at once */
		mark(r, p);
		r->sweep_after = rmnic_env_now(&r->cfg.env) + PAUSE_NS;
		return;
	}
	p->own &= p->sweep; /* asked for again meanwhile */
	p->owes = false;
	p->closed = sw->closing;
	rmnic_rmp_client_peer(r->client, sw->peer, &info);
	for (uint32_t i = 0; i < r->nholders; i++)
		if (!memcmp(r->holders[i].uuid, info.uuid, 16))
			r->holders[i].owes = false;
}

/* The next request of the sweep, as far as there is one. */
static void step(struct rmnic_remote *r)
{
	struct rmnic_remote_sweep *sw = &r->sweep;
	struct rmnic_rmp_call *call = &sw->call;

	memset(call, 0, sizeof(*call));
	call->peer = sw->peer;
	call->store_id = sw->store_id;
	call->deadline = rmnic_env_now(&r->cfg.env) + STEP_NS;
	call->done = step_done;
	call->idle = step_idle;
	call->arg = r;
	if (sw->n) {
		call->type = RMNIC_RMP_RELEASE;
		call->handle = sw->handle[sw->n - 1];
	} else if (sw->more) {
		call->type = RMNIC_RMP_LIST;
		memset(&sw->body, 0, sizeof(sw->body));
		sw->body.cursor = rmnic_le64_put(sw->cursor);
		call->body = &sw->body;
		call->body_len = sizeof(sw->body);
	} else if (r->status == RMNIC_REMOTE_RELEASING && !sw->closing) {
		sw->closing = true; /* its place there is free for another device */
		call->type = RMNIC_RMP_CLOSE;
	} else {
		finish(r, true);
		return;
	}
	if (!rmnic_rmp_client_submit(r->client, call))
		finish(r, false);
}

/*
 * Whether the server has a slab that was dropped and is waited for: the handle it has by now may be
 * one that a predecessor asked for and did not live to write down (RMP-39).
 */
static bool awaited(const struct rmnic_remote *r, uint64_t slab, const uint8_t server[16])
{
	const struct rmnic_remote_slab *s = &r->slabs[slab];

	if (slab >= r->state.nslabs)
		return false;
	for (unsigned int i = 0; i < s->members; i++)
		if (s->away >> i & 1 && !memcmp(s->member[i].server, server, 16))
			return true;
	return false;
}

static bool to_release(const struct rmnic_remote *r, const struct rmnic_rmp_list_entry *e)
{
	const struct rmnic_remote_sweep *sw = &r->sweep;
	uint32_t epoch = rmnic_le32_get(e->epoch), ours = rmnic_le32_get(r->state.hdr->epoch);
	struct rmnic_peer_info info;

	if (r->status == RMNIC_REMOTE_RELEASING)
		return true;
	rmnic_rmp_client_peer(r->client, sw->peer, &info);
	if (rmnic_remote_named(r, rmnic_le64_get(e->slab), info.uuid, sw->store_id,
			       rmnic_le64_get(e->handle)) ||
	    rmnic_remote_repair_named(r, sw->peer, rmnic_le64_get(e->handle)))
		return false;
	if (awaited(r, rmnic_le64_get(e->slab), info.uuid))
		return false;
	/* Not what was asked for since: an ALLOC that was on its way then may still be (STATE-18). */
	return epoch < ours || (epoch == ours && sw->own);
}

/* False: that is no answer to LIST. */
static bool listed(struct rmnic_remote *r, const struct rmnic_rmp_call *call)
{
	struct rmnic_remote_sweep *sw = &r->sweep;
	struct rmnic_rmp_list_entry e;
	struct rmnic_rmp_list head;
	uint32_t count;

	if (call->reply_len < sizeof(head))
		return false;
	memcpy(&head, call->reply, sizeof(head));
	count = rmnic_le32_get(head.count);
	if (count > RMNIC_RMP_MAX_LIST || call->reply_len != sizeof(head) + count * sizeof(e))
		return false;
	sw->more = call->got_flags & RMNIC_RMP_F_MORE;
	/* A cursor that does not move would be asked for without end. */
	if (sw->more && rmnic_le64_get(head.cursor) <= sw->cursor)
		return false;
	sw->cursor = rmnic_le64_get(head.cursor);
	for (uint32_t i = 0; i < count; i++) {
		memcpy(&e, call->reply + sizeof(head) + i * sizeof(e), sizeof(e));
		if (to_release(r, &e))
			sw->handle[sw->n++] = rmnic_le64_get(e.handle);
	}
	return true;
}

static void step_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote *r = call->arg;
	struct rmnic_remote_sweep *sw = &r->sweep;
	bool ok = call->status == RMNIC_RMP_S_OK;

	if (!sw->used)
		return;
	switch (call->type) {
	case RMNIC_RMP_LIST:
		ok = ok && listed(r, call);
		break;
	case RMNIC_RMP_RELEASE:
		if (r->status != RMNIC_REMOTE_RELEASING)
			RMNIC_COUNT(r->remote.orphans, ok);
		ok |= call->status == RMNIC_RMP_S_UNKNOWN_SLAB; /* RMP-18 */
		sw->n -= ok;
		break;
	default:
		ok = true;
	}
	if (call->status == RMNIC_RMP_S_FENCED)
		rmnic_remote_move(r, RMNIC_REMOTE_FENCED);
	if (call->status == RMNIC_CALL_EMPTY) /* gone with all it had; its next store is swept anew */
		finish(r, true);
	else if (!ok)
		finish(r, false);
}

static void step_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote *r = call->arg;

	if (r->sweep.used)
		step(r);
}

/* --- All of them ------------------------------------------------------------------------------- */

static bool allocating_at(const struct rmnic_remote *r, uint32_t peer)
{
	return rmnic_remote_reserving_at(r, peer) || rmnic_remote_repairing_at(r, peer);
}

static bool begin(struct rmnic_remote *r, uint32_t peer)
{
	struct rmnic_remote_sweep *sw = &r->sweep;
	struct rmnic_peer_info info;

	/* Nothing is allocated there meanwhile, and what was is in a row by now (STATE-18). */
	if (!r->peers[peer].sweep || (r->peers[peer].own && allocating_at(r, peer)))
		return false;
	rmnic_rmp_client_peer(r->client, peer, &info);
	if (info.state != RMNIC_PEER_READY)
		return false;
	r->peers[peer].sweep = false;
	r->sweeps--;
	sw->used = true;
	sw->closing = false;
	sw->own = r->peers[peer].own;
	sw->peer = peer;
	sw->store_id = info.store_id;
	sw->n = 0;
	sw->cursor = 0;
	sw->more = true;
	step(r);
	return true;
}

void rmnic_remote_sweep(struct rmnic_remote *r)
{
	/* STATE-30: what no row names is perhaps what is still looked for. */
	if (rmnic_remote_recovering(r) && r->status != RMNIC_REMOTE_RELEASING)
		return;
	if (!r->sweeps || r->status == RMNIC_REMOTE_FENCED || r->status == RMNIC_REMOTE_DAMAGED ||
	    r->sweep.used || r->sweep.call.state != RMNIC_CALL_IDLE ||
	    rmnic_env_now(&r->cfg.env) < r->sweep_after)
		return;
	/* In turn: one that is asked for again and again does not keep the others waiting. */
	for (uint32_t i = 1; i <= r->cfg.max_peers; i++)
		if (begin(r, (r->sweep.peer + i) % r->cfg.max_peers))
			return;
}

/* --- The end of a device ------------------------------------------------------------------------ */

void rmnic_store_remote_release(struct rmnic_store *store)
{
	struct rmnic_remote *r = (struct rmnic_remote *)store;

	if (r->status == RMNIC_REMOTE_FENCED)
		rmnic_remote_move(r, RMNIC_REMOTE_RELEASED); /* they are another backend's now */
	if (r->status <= RMNIC_REMOTE_RELEASING)
		r->retry_at = rmnic_env_now(&r->cfg.env) + r->cfg.timeout_ns;
	if (r->status >= RMNIC_REMOTE_RELEASING)
		return;
	rmnic_remote_move(r, RMNIC_REMOTE_RELEASING);
	r->cursor = 0;
	for (uint32_t i = 0; i < r->nholders; i++)
		r->holders[i].owes = r->holders[i].slabs != 0;
	for (uint32_t i = 0; i < r->cfg.max_peers; i++) {
		/* One that went away has what views do not name any more. */
		r->peers[i].owes = r->peers[i].own;
		rmnic_remote_sweep_at(r, i, true);
	}
}

static void released(struct rmnic_remote *r)
{
	r->sweep.used = false;
	rmnic_rmp_client_cancel(r->client, &r->sweep.call);
	for (uint32_t i = 0; i < r->nholders; i++)
		r->remote.unreleased += r->holders[i].owes;
	rmnic_remote_move(r, RMNIC_REMOTE_RELEASED);
}

/* Whether somebody has slabs of the device still, as far as that is known. */
static bool left_over(const struct rmnic_remote *r)
{
	struct rmnic_peer_info info;

	for (uint32_t i = 0; i < r->nholders; i++)
		if (r->holders[i].owes)
			return true;
	for (uint32_t i = 0; i < r->cfg.max_peers; i++) {
		rmnic_rmp_client_peer(r->client, i, &info);
		if (r->peers[i].sweep && (info.state == RMNIC_PEER_READY || r->peers[i].owes))
			return true;
	}
	for (uint32_t i = 0; i < r->cfg.max_peers; i++)
		if (allocating_at(r, i))
			return true;
	return r->sweep.used;
}

bool rmnic_remote_releasing(struct rmnic_remote *r)
{
	if (r->status == RMNIC_REMOTE_RELEASED)
		return false;
	for (int i = 0; i < CLEAR_ROWS && r->cursor < r->state.nslabs; i++)
		rmnic_remote_view_clear(r, r->cursor++);
	if (r->cursor < r->state.nslabs)
		return true;
	rmnic_remote_sweep(r);
	if (!left_over(r) || rmnic_env_now(&r->cfg.env) >= r->retry_at)
		released(r);
	return false;
}
