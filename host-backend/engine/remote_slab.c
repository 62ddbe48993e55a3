/* SPDX-License-Identifier: BSD-3-Clause */
/* Which servers hold a slab, and reserving slabs on servers. */
#include <string.h>

#include "engine/store_remote_internal.h"

#define STEP_NS UINT64_C(5000000000)

/* --- Views ---------------------------------------------------------------------------------- */

static void use_view(struct rmnic_remote *r, uint64_t slab, const struct rmnic_state_view *v)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];

	if (!s->members && v->members)
		r->slabs_ready++;
	s->members = v->members;
	s->syncing = v->syncing;
	memcpy(s->member, v->member, sizeof(s->member));
	for (unsigned int i = 0; i < RMNIC_MEMBERS; i++)
		s->peer[i] = RMNIC_NO_PEER;
}

bool rmnic_remote_slabs_load(struct rmnic_remote *r)
{
	struct rmnic_state_view v;

	for (uint64_t i = 0; i < r->state.nslabs; i++) {
		if (!rmnic_state_view_get(&r->state, i, &v))
			return false;
		use_view(r, i, &v);
	}
	r->grace_until = rmnic_env_now(&r->cfg.env) + r->cfg.timeout_ns / 4;
	return true;
}

uint16_t rmnic_remote_peer_of(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i)
{
	struct rmnic_peer_info info;

	if (s->peer[i] != RMNIC_NO_PEER)
		return s->peer[i];
	/* RMP-11: by uuid; the address may be another one than yesterday. */
	for (uint32_t p = 0; p < r->cfg.max_peers; p++) {
		rmnic_rmp_client_peer(r->client, p, &info);
		if (!memcmp(info.uuid, s->member[i].server, 16)) {
			s->peer[i] = (uint16_t)p;
			break;
		}
	}
	return s->peer[i];
}

/* --- Placement -------------------------------------------------------------------------------- */

static bool usable(const struct rmnic_remote *r, const struct rmnic_remote_alloc *a, uint32_t peer,
		   unsigned int chosen)
{
	struct rmnic_peer_info info;

	rmnic_rmp_client_peer(r->client, peer, &info);
	if (info.state != RMNIC_PEER_READY || r->peers[peer].full || info.pressure ||
	    info.slab_pages < r->state.slab_pages)
		return false;
	for (unsigned int i = 0; i < chosen; i++)
		if (a->peer[i] == peer) /* replicas are never on one server */
			return false;
	return true;
}

/* The one with more room of two drawn at random. False: none is usable. */
static bool choose(struct rmnic_remote *r, struct rmnic_remote_alloc *a, unsigned int n)
{
	uint32_t found = 0, best = 0;
	uint64_t start = r->cfg.env.ops->random(r->cfg.env.arg);

	for (uint32_t i = 0; i < r->cfg.max_peers && found < 2; i++) {
		uint32_t peer = (uint32_t)((start + i) % r->cfg.max_peers);

		if (!usable(r, a, peer, n))
			continue;
		if (!found++ || r->peers[peer].free_pages > r->peers[best].free_pages)
			best = peer;
	}
	a->peer[n] = best;
	return found != 0;
}

/* --- Reserving -------------------------------------------------------------------------------- */

static void alloc_done(struct rmnic_rmp_call *call);
static void alloc_idle(struct rmnic_rmp_call *call);

/* False: nothing can be sent now; the place is free again and the slab waits. */
static bool alloc_step(struct rmnic_remote *r, struct rmnic_remote_alloc *a)
{
	struct rmnic_rmp_call *call = &a->call;
	unsigned int n = a->step % r->cfg.replicas;
	bool placing = a->step < r->cfg.replicas;

	if (placing && !choose(r, a, n)) {
		a->used = false;
		return false;
	}
	memset(call, 0, sizeof(*call));
	call->peer = a->peer[n];
	call->arg = a;
	call->rpn = a->slab * r->state.slab_pages;
	call->deadline = rmnic_env_now(&r->cfg.env) + STEP_NS;
	call->done = alloc_done;
	call->idle = alloc_idle;
	if (placing) {
		a->body.slab = rmnic_le64_put(a->slab);
		a->body.pages = rmnic_le32_put(r->state.slab_pages);
		call->type = RMNIC_RMP_ALLOC;
		call->body = &a->body;
		call->body_len = sizeof(a->body);
	} else {
		call->type = RMNIC_RMP_RECORD_VIEW;
		call->handle = rmnic_le64_get(a->view.member[n].handle);
		call->store_id = rmnic_le64_get(a->view.member[n].store_id);
		call->body = &a->view;
		call->body_len = sizeof(a->view);
	}
	a->again = false;
	if (!rmnic_rmp_client_submit(r->client, call))
		a->used = false;
	return a->used;
}

static void allocated(struct rmnic_remote *r, struct rmnic_remote_alloc *a)
{
	struct rmnic_rmp_member *m = &a->view.member[a->step];
	struct rmnic_rmp_allocated out;
	struct rmnic_peer_info info;

	memcpy(&out, a->call.reply, sizeof(out));
	rmnic_rmp_client_peer(r->client, a->peer[a->step], &info);
	memcpy(m->server, info.uuid, 16);
	m->store_id = rmnic_le64_put(info.store_id);
	m->handle = out.handle;
	r->peers[a->peer[a->step]].free_pages = rmnic_le64_get(out.free_pages);
}

/* Every slab has members, and their servers were met, or have had time enough to answer. */
static void check_ready(struct rmnic_remote *r)
{
	if (r->slabs_ready < r->state.nslabs)
		return;
	if (rmnic_env_now(&r->cfg.env) < r->grace_until)
		for (uint64_t i = 0; i < r->state.nslabs; i++)
			for (unsigned int k = 0; k < r->slabs[i].members; k++)
				if (rmnic_remote_peer_of(r, &r->slabs[i], k) == RMNIC_NO_PEER)
					return;
	rmnic_remote_move(r, RMNIC_REMOTE_READY);
}

/* Every member has the slab and the view: from now on it is the truth (RULES A4). */
static void publish(struct rmnic_remote *r, struct rmnic_remote_alloc *a)
{
	struct rmnic_state_view v = { .view = a->view.view, .members = a->view.members };

	memcpy(v.member, a->view.member, sizeof(v.member));
	rmnic_state_view_set(&r->state, a->slab, &v);
	use_view(r, a->slab, &v);
	a->used = false;
	check_ready(r);
}

static void alloc_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_alloc *a = call->arg;
	struct rmnic_remote *r = a->store;

	a->again = true;
	switch (call->status) {
	case RMNIC_RMP_S_OK:
		if (call->type == RMNIC_RMP_ALLOC) {
			if (call->reply_len != sizeof(struct rmnic_rmp_allocated))
				a->again = false;
			else
				allocated(r, a);
		}
		a->step++;
		break;
	case RMNIC_RMP_S_NO_SPACE:
	case RMNIC_RMP_S_QUOTA:
	case RMNIC_RMP_S_DRAINING:
		r->peers[call->peer].full = true;
		break; /* the same step at another server */
	case RMNIC_RMP_S_FENCED:
		a->again = false;
		rmnic_remote_move(r, RMNIC_REMOTE_FENCED);
		break;
	default:
		/* What was reserved on the way is found by LIST, or ends with its lease. */
		a->again = false;
	}
	if (a->step == 2 * r->cfg.replicas)
		publish(r, a);
	else if (!a->again)
		a->used = false;
}

static void alloc_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_alloc *a = call->arg;

	if (a->used && a->again)
		alloc_step(a->store, a);
	rmnic_remote_reserve(a->store);
}

/* Whether another step is under way for the slab. */
static bool reserving(const struct rmnic_remote *r, uint64_t slab)
{
	for (int i = 0; i < RMNIC_REMOTE_ALLOCS; i++)
		if (r->allocs[i].used && r->allocs[i].slab == slab)
			return true;
	return false;
}

/* Moves next_slab to one without members that nobody sees to. False: there is none. */
static bool find_slab(struct rmnic_remote *r)
{
	for (uint64_t i = 0; i < r->state.nslabs; i++, r->next_slab++) {
		if (r->next_slab >= r->state.nslabs)
			r->next_slab = 0;
		if (!r->slabs[r->next_slab].members && !reserving(r, r->next_slab))
			return true;
	}
	return false;
}

static bool all_full(const struct rmnic_remote *r)
{
	struct rmnic_peer_info info;
	uint32_t ready = 0;

	for (uint32_t i = 0; i < r->cfg.max_peers; i++) {
		rmnic_rmp_client_peer(r->client, i, &info);
		if (info.state == RMNIC_PEER_READY && !r->peers[i].full)
			return false;
		ready += info.state == RMNIC_PEER_READY;
	}
	return ready >= r->cfg.replicas;
}

void rmnic_remote_reserve(struct rmnic_remote *r)
{
	bool busy = false;

	if (r->slabs_ready == r->state.nslabs && r->status == RMNIC_REMOTE_STARTING) {
		check_ready(r);
		return;
	}
	if (r->advancing || (r->status != RMNIC_REMOTE_STARTING && r->status != RMNIC_REMOTE_NO_SPACE))
		return;
	r->advancing = true;
	for (int i = 0; i < RMNIC_REMOTE_ALLOCS; i++) {
		struct rmnic_remote_alloc *a = &r->allocs[i];

		if (!a->used && a->call.state == RMNIC_CALL_IDLE && find_slab(r)) {
			memset(a, 0, sizeof(*a));
			a->store = r;
			a->used = true;
			a->slab = r->next_slab;
			a->view.view = rmnic_le64_put(1);
			a->view.members = (uint8_t)r->cfg.replicas;
			alloc_step(r, a);
		}
		busy |= a->used;
	}
	r->advancing = false;
	check_ready(r);
	if (!busy && r->slabs_ready < r->state.nslabs && all_full(r))
		rmnic_remote_move(r, RMNIC_REMOTE_NO_SPACE);
}

void rmnic_remote_peer_up(struct rmnic_remote *r, uint32_t peer)
{
	struct rmnic_peer_info info;

	rmnic_rmp_client_peer(r->client, peer, &info);
	/* STATE-7: also what a predecessor used that this block does not know of. */
	rmnic_state_version_seen(&r->state, info.max_version);
	r->peers[peer].full = false;
	r->tell_after = 0;
	rmnic_remote_reserve(r);
}
