/* SPDX-License-Identifier: BSD-3-Clause */
/* Finding a place for slabs: which servers take them, and how far that is. */
#include <string.h>

#include "engine/store_remote_internal.h"

#define STEP_NS  UINT64_C(5000000000)
#define RETRY_NS UINT64_C(1000000000) /* with all servers full */

/* --- Reserving -------------------------------------------------------------------------------- */

static void alloc_done(struct rmnic_rmp_call *call);
static void alloc_idle(struct rmnic_rmp_call *call);

/* The slab waits. What was allocated for it is found by the sweep of a successor, at last. */
static void alloc_drop(struct rmnic_remote *r, struct rmnic_remote_alloc *a)
{
	a->used = a->again = false;
	r->slabs[a->slab].attempts += a->step != 0;
}

/* False: nothing can be sent now; the place is free again and the slab waits. */
static bool alloc_step(struct rmnic_remote *r, struct rmnic_remote_alloc *a)
{
	struct rmnic_rmp_call *call = &a->call;
	unsigned int n = a->step % a->view.members;
	bool placing = a->step < a->view.members;
	uint16_t to = RMNIC_NO_PEER;

	if (placing && (to = rmnic_remote_place(r, a->slab, a->peer, n)) == RMNIC_NO_PEER) {
		alloc_drop(r, a);
		return false;
	}
	if (placing)
		a->peer[n] = to;
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
	r->peers[call->peer].placing += placing;
	if (!rmnic_rmp_client_submit(r->client, call)) {
		r->peers[call->peer].placing -= placing;
		alloc_drop(r, a);
	}
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

/* Every member has the slab and the view: from now on it is the truth (RULES A4). */
static void publish(struct rmnic_remote *r, struct rmnic_remote_alloc *a)
{
	struct rmnic_state_view v = { .view = a->view.view, .members = a->view.members };

	a->used = false;
	if (a->slab >= r->slabs_want) { /* not any more */
		for (unsigned int i = 0; i < a->view.members; i++)
			rmnic_remote_sweep_at(r, a->peer[i], true);
		return;
	}
	memcpy(v.member, a->view.member, sizeof(v.member));
	v.spill = r->slabs[a->slab].spill; /* until its pages are on these servers */
	if (v.spill)
		r->retry_at = 0; /* there is room: others like it follow at once */
	rmnic_state_view_set(&r->state, a->slab, &v);
	rmnic_remote_view_use(r, a->slab, &v, true);
	rmnic_remote_pages_look(r);
}

static void alloc_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_alloc *a = call->arg;
	struct rmnic_remote *r = a->store;

	a->again = true;
	r->peers[call->peer].placing -= call->type == RMNIC_RMP_ALLOC;
	if (r->status == RMNIC_REMOTE_RELEASING) { /* what was allocated is swept */
		alloc_drop(r, a);
		return;
	}
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
		a->again = false;
	}
	if (a->step == 2 * a->view.members)
		publish(r, a);
	else if (!a->again)
		alloc_drop(r, a);
}

static void alloc_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_alloc *a = call->arg;

	if (a->used && a->again)
		alloc_step(a->store, a);
	rmnic_remote_reserve(a->store);
}

bool rmnic_remote_reserving_slab(const struct rmnic_remote *r, uint64_t slab)
{
	for (int i = 0; i < RMNIC_REMOTE_ALLOCS; i++)
		if (r->allocs[i].used && r->allocs[i].slab == slab)
			return true;
	return false;
}

/*
 * Moves next_slab to one without members that nobody sees to, and with (spill) or without a place in
 * the spill file. False: there is none.
 */
static bool find_slab(struct rmnic_remote *r, bool spill)
{
	for (uint64_t i = 0; i < r->slabs_want; i++, r->next_slab++) {
		const struct rmnic_remote_slab *s;

		if (r->next_slab >= r->slabs_want)
			r->next_slab = 0;
		s = &r->slabs[r->next_slab];
		if (!s->members && s->spill == spill && !s->waiting &&
		    r->next_slab != r->spills.holding &&
		    !rmnic_remote_reserving_slab(r, r->next_slab))
			return true;
	}
	return false;
}

/* Those without any place first; then those of which the only one is in the spill file. */
static bool find_wanting(struct rmnic_remote *r)
{
	return (r->slabs_ready < r->slabs_want && find_slab(r, false)) ||
	       (r->spills.only && find_slab(r, true));
}

/* room: enough of them may have some. greeted: every server has answered, or never will. */
static uint32_t count_ready(const struct rmnic_remote *r, bool *room, bool *greeted)
{
	struct rmnic_peer_info info;
	uint32_t ready = 0, roomy = 0;

	*greeted = true;
	for (uint32_t i = 0; i < r->cfg.max_peers; i++) {
		rmnic_rmp_client_peer(r->client, i, &info);
		*greeted &= info.state >= RMNIC_PEER_READY;
		if (info.state != RMNIC_PEER_READY)
			continue;
		ready++;
		roomy += !r->peers[i].full && !r->peers[i].drain && !info.pressure &&
			 info.slab_pages >= r->state.slab_pages;
	}
	*room = roomy >= r->cfg.replicas;
	return ready;
}

bool rmnic_remote_reserving(const struct rmnic_remote *r)
{
	for (int i = 0; i < RMNIC_REMOTE_ALLOCS; i++)
		if (r->allocs[i].used || r->allocs[i].call.state != RMNIC_CALL_IDLE)
			return true;
	return false;
}

bool rmnic_remote_reserving_at(const struct rmnic_remote *r, uint32_t peer)
{
	for (int i = 0; i < RMNIC_REMOTE_ALLOCS; i++) {
		const struct rmnic_remote_alloc *a = &r->allocs[i];

		if (a->call.state != RMNIC_CALL_IDLE && a->call.peer == peer)
			return true;
		for (unsigned int k = 0; a->used && k <= a->step && k < a->view.members; k++)
			if (a->peer[k] == peer)
				return true;
	}
	return false;
}

/*
 * Above every view of the slab so far, those included that servers were told of in vain. The
 * copy that holds is the other one of the row's two.
 */
static uint64_t next_view(const struct rmnic_remote *r, uint64_t slab)
{
	return rmnic_le64_get(r->state.slabs[slab].current) + 1 + 2ull * r->slabs[slab].attempts;
}

/* STATE-26: those that answer first are not all there are to choose from. */
static bool greeting(const struct rmnic_remote *r)
{
	struct rmnic_peer_info info;

	if (r->served || rmnic_env_now(&r->cfg.env) >= r->created + RMNIC_REMOTE_GREET_NS)
		return false;
	for (uint32_t i = 0; i < r->cfg.max_peers; i++) {
		rmnic_rmp_client_peer(r->client, i, &info);
		if (info.state < RMNIC_PEER_READY)
			return true;
	}
	return false;
}

static void start_allocs(struct rmnic_remote *r)
{
	if (greeting(r))
		return;
	/* What cannot be ended is not begun: it would be begun again and again. */
	if (rmnic_remote_takers(r) < r->cfg.replicas)
		return;
	r->advancing = true;
	for (int i = 0; i < RMNIC_REMOTE_ALLOCS; i++) {
		struct rmnic_remote_alloc *a = &r->allocs[i];

		if (a->used || a->call.state != RMNIC_CALL_IDLE || !find_wanting(r))
			continue;
		memset(a, 0, sizeof(*a));
		a->store = r;
		a->used = true;
		a->slab = r->next_slab;
		a->view.view = rmnic_le64_put(next_view(r, a->slab));
		a->view.members = (uint8_t)r->cfg.replicas;
		alloc_step(r, a);
	}
	r->advancing = false;
}

uint64_t rmnic_remote_placed(const struct rmnic_remote *r)
{
	uint64_t n = r->slabs_ready;

	for (uint64_t i = 0; r->waiting && i < r->slabs_want; i++)
		n += r->slabs[i].waiting;
	return n;
}

/* How far it is; STATE-20. */
static enum rmnic_remote_status judge(struct rmnic_remote *r)
{
	uint64_t now = rmnic_env_now(&r->cfg.env);
	bool missing = rmnic_remote_missing(r) != NULL, room, greeted;
	uint32_t ready = count_ready(r, &room, &greeted);

	if (rmnic_remote_placed(r) >= r->slabs_want && (!missing || r->served))
		return RMNIC_REMOTE_READY;
	if ((missing && !r->served) || ready < r->cfg.replicas) {
		if (now >= r->meet_until)
			return RMNIC_REMOTE_UNREACHABLE;
	} else if (!room && !rmnic_remote_reserving(r)) {
		/* One that is slow to answer may have what the others lack. */
		if (greeted || now >= r->meet_until)
			return RMNIC_REMOTE_NO_SPACE;
	} else if (r->status == RMNIC_REMOTE_NO_SPACE) {
		return RMNIC_REMOTE_NO_SPACE; /* until it is over */
	}
	return r->served ? RMNIC_REMOTE_GROWING : RMNIC_REMOTE_STARTING;
}

static void look_again(struct rmnic_remote *r)
{
	uint64_t now = rmnic_env_now(&r->cfg.env);

	if ((r->status != RMNIC_REMOTE_NO_SPACE && !r->spills.only) || now < r->retry_at)
		return;
	r->retry_at = now + RETRY_NS;
	for (uint32_t i = 0; i < r->cfg.max_peers; i++)
		r->peers[i].full = false;
	/* Who was short of memory says with its next answer that it is no longer, and owes none. */
	for (uint32_t i = 0; i < r->cfg.max_peers; i++)
		rmnic_rmp_client_ping(r->client, i);
}

/*
 * RULES L1: what no server has room for is backed by the spill file. Not before the servers that
 * have the device's pages were met: those pages come first. True: there is more of it now, or soon.
 */
static bool use_spill(struct rmnic_remote *r)
{
	uint64_t before = r->slabs_ready;

	if (!r->served && rmnic_remote_missing(r))
		return false;
	r->advancing = true;
	while (r->slabs_ready < r->slabs_want && find_slab(r, false) &&
	       rmnic_remote_spill_room(r, r->next_slab))
		;
	r->advancing = false;
	return r->slabs_ready != before || r->spills.holding != UINT64_MAX;
}

/* Nothing is to be reserved now. */
static bool settled(const struct rmnic_remote *r)
{
	return r->status == RMNIC_REMOTE_READY && rmnic_remote_placed(r) >= r->slabs_want &&
	       (!r->spills.only || rmnic_env_now(&r->cfg.env) < r->retry_at);
}

void rmnic_remote_reserve(struct rmnic_remote *r)
{
	enum rmnic_remote_status to;

	if (r->advancing || r->status >= RMNIC_REMOTE_FENCED || rmnic_remote_finding(r))
		return;
	if (settled(r))
		return;
	look_again(r);
	start_allocs(r);
	to = judge(r);
	if ((to == RMNIC_REMOTE_NO_SPACE || to == RMNIC_REMOTE_UNREACHABLE) && use_spill(r)) {
		to = r->served ? RMNIC_REMOTE_GROWING : RMNIC_REMOTE_STARTING;
		if (rmnic_remote_placed(r) >= r->slabs_want)
			to = RMNIC_REMOTE_READY;
	}
	r->served |= to == RMNIC_REMOTE_READY;
	if (to == RMNIC_REMOTE_NO_SPACE && r->status != to)
		r->retry_at = rmnic_env_now(&r->cfg.env) + RETRY_NS;
	rmnic_remote_move(r, to);
}

/* Slabs beyond what is wanted go back to their servers, as long as they hold nothing. */
static void give_back(struct rmnic_remote *r)
{
	bool some = false;

	for (uint64_t i = r->slabs_want; i < r->state.nslabs; i++) {
		if (!r->slabs[i].members && !r->slabs[i].spill)
			continue;
		if (rmnic_remote_slab_used(r, i)) {
			r->slabs_want = i + 1;
			continue;
		}
		rmnic_remote_view_clear(r, i);
		some = true;
	}
	for (uint32_t i = 0; i < r->cfg.max_peers && some; i++)
		rmnic_remote_sweep_at(r, i, true);
}

void rmnic_remote_want(struct rmnic_remote *r, uint64_t slabs)
{
	if (r->status >= RMNIC_REMOTE_FENCED)
		return;
	r->slabs_want = slabs;
	r->meet_until = rmnic_env_now(&r->cfg.env) + r->cfg.meet_ns;
	for (uint32_t i = 0; i < r->cfg.max_peers; i++)
		r->peers[i].full = false;
	/* So that the outcome is told, also when it is the same as before. */
	rmnic_remote_move(r, r->served ? RMNIC_REMOTE_GROWING : RMNIC_REMOTE_STARTING);
	give_back(r);
	rmnic_remote_reserve(r);
}
