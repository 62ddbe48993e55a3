/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Changing a view. The row of the state block comes first and is the truth from that store on
 * (RULES A4); then the members of the new view are told, and until they have answered no page-out
 * of the slab is acknowledged (STATE-21).
 */
#include <string.h>

#include "engine/store_remote_internal.h"

#define STEP_NS    UINT64_C(1000000000)
#define PAUSE_NS   UINT64_C(5000000)
#define AGAIN_NS   UINT64_C(1000000000)
#define SCAN_SLABS 256 /* in one call */

static void record_done(struct rmnic_rmp_call *call);
static void record_idle(struct rmnic_rmp_call *call);

int rmnic_remote_entry(const struct rmnic_remote_slab *s, uint64_t store_id, uint64_t handle)
{
	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_le64_get(s->member[i].handle) == handle &&
		    rmnic_le64_get(s->member[i].store_id) == store_id && !(s->away >> i & 1))
			return (int)i;
	return -1;
}

/* --- The next view -------------------------------------------------------------------------------- */

void rmnic_remote_view_copy(const struct rmnic_remote *r, uint64_t slab, struct rmnic_state_view *out)
{
	const struct rmnic_remote_slab *s = &r->slabs[slab];

	memset(out, 0, sizeof(*out));
	out->members = s->members;
	out->syncing = s->syncing;
	out->away = s->away;
	out->spill = s->spill;
	for (unsigned int i = 0; i < s->members; i++) {
		out->since[i] = rmnic_le64_put(s->since[i]);
		out->member[i] = s->member[i];
	}
}

void rmnic_remote_view_change(struct rmnic_remote *r, uint64_t slab, struct rmnic_state_view *to)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];

	to->view = rmnic_le64_put(s->view + 1);
	rmnic_state_view_set(&r->state, slab, to);
	rmnic_remote_view_use(r, slab, to, false);
	rmnic_remote_pages_look(r);
	rmnic_remote_repair_look(r, slab);
}

/* --- Dropping a member ------------------------------------------------------------------------------ */

bool rmnic_remote_is_silent(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i)
{
	uint16_t peer = rmnic_remote_peer_of(r, s, i);

	if (peer == RMNIC_NO_PEER)
		return rmnic_env_now(&r->cfg.env) >= r->created + r->cfg.drop_ns;
	return r->peers[peer].silent;
}

/*
 * Whether somebody of the slab answered after entry i was asked in vain. Else it may well be this
 * backend that is cut off, and to drop a member would leave one as silent. Who had nothing to
 * answer since then is asked whether it is there: the next look knows.
 */
static bool others_heard(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i)
{
	uint16_t peer = rmnic_remote_peer_of(r, s, i);
	struct rmnic_peer_info info;
	uint64_t asked = r->created;

	if (peer != RMNIC_NO_PEER) {
		rmnic_rmp_client_peer(r->client, peer, &info);
		asked = info.asked;
	}
	for (unsigned int k = 0; k < s->members; k++) {
		if (k == i || !(rmnic_remote_whole(s) >> k & 1))
			continue;
		peer = rmnic_remote_peer_of(r, s, k);
		if (peer == RMNIC_NO_PEER)
			continue;
		rmnic_rmp_client_peer(r->client, peer, &info);
		if (info.state == RMNIC_PEER_READY && !info.silent && info.heard >= asked)
			return true;
		rmnic_rmp_client_ping(r->client, peer);
	}
	return false;
}

void rmnic_remote_view_remove(struct rmnic_state_view *v, unsigned int i)
{
	unsigned int below = (1u << i) - 1;

	for (unsigned int k = i; k + 1 < v->members; k++) {
		v->member[k] = v->member[k + 1];
		v->since[k] = v->since[k + 1];
	}
	v->members--;
	memset(&v->member[v->members], 0, sizeof(v->member[0]));
	v->since[v->members] = 0;
	v->syncing = (uint8_t)((v->syncing & below) | (v->syncing >> 1 & ~below));
	v->away = (uint8_t)((v->away & below) | (v->away >> 1 & ~below));
}

void rmnic_remote_event(struct rmnic_remote *r, enum rmnic_remote_event_kind kind, uint64_t slab,
			uint64_t rpn, uint64_t pages, const uint8_t *server)
{
	struct rmnic_remote_event e = { .kind = kind, .slab = slab, .rpn = rpn, .pages = pages };

	if (server)
		memcpy(e.server, server, sizeof(e.server));
	if (r->cfg.event)
		r->cfg.event(r->cfg.arg, &e);
}

bool rmnic_remote_drop(struct rmnic_remote *r, uint64_t slab, unsigned int i, bool empty)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	uint64_t since = rmnic_remote_since(r, slab);
	struct rmnic_state_view v;
	uint8_t server[16];

	if (!(rmnic_remote_live(s) >> i & 1))
		return true;
	/* STATE-22: somebody who holds everything stays. */
	if (!(rmnic_remote_whole(s) & ~(1u << i)) || (!empty && !others_heard(r, s, i)))
		return false;
	memcpy(server, s->member[i].server, sizeof(server));
	rmnic_remote_view_copy(r, slab, &v);
	if (empty) {
		rmnic_remote_view_remove(&v, i);
	} else {
		/* A predecessor may have gone on writing to a server that never heard of this epoch. */
		if (!rmnic_remote_met(r, server) && r->first_version < since)
			since = r->first_version;
		/* STATE-23. One that was being filled lacks what it lacked before, too. */
		if (v.syncing >> i & 1 && rmnic_le64_get(v.since[i]) < since)
			since = rmnic_le64_get(v.since[i]);
		v.since[i] = rmnic_le64_put(since);
		v.syncing &= (uint8_t)~(1u << i);
		v.away |= (uint8_t)(1u << i);
	}
	rmnic_remote_view_change(r, slab, &v);
	RMNIC_COUNT(r->remote.dropped, 1);
	rmnic_remote_event(r, RMNIC_REMOTE_EV_DROPPED, slab, 0, 0, server);
	return true;
}

/* --- Telling the members ---------------------------------------------------------------------------- */

/* What servers keep of a view are its members, without what this backend remembers besides. */
static void wire_view(const struct rmnic_remote_slab *s, struct rmnic_rmp_view *out)
{
	memset(out, 0, sizeof(*out));
	out->view = rmnic_le64_put(s->view);
	for (unsigned int i = 0; i < s->members; i++) {
		if (s->away >> i & 1)
			continue;
		out->syncing |= (uint8_t)((s->syncing >> i & 1u) << out->members);
		out->member[out->members++] = s->member[i];
	}
}

static void record_end(struct rmnic_remote_record *c)
{
	struct rmnic_remote *r = c->store;
	struct rmnic_remote_slab *s = &r->slabs[c->slab];

	s->recording = false;
	r->recording--;
	if (s->view != c->number)
		return; /* there is a newer one to tell of */
	if (c->failed) {
		r->record_after = rmnic_env_now(&r->cfg.env) + PAUSE_NS;
		return;
	}
	s->recorded = s->view;
	r->unrecorded--;
	rmnic_remote_pages_look(r);
	rmnic_remote_repair_look(r, c->slab);
}

static void record_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_record *c = call->arg;
	struct rmnic_remote *r = c->store;
	int i = rmnic_remote_entry(&r->slabs[c->slab], call->store_id, call->handle);

	switch (call->status) {
	case RMNIC_RMP_S_OK:
		break;
	case RMNIC_RMP_S_FENCED:
		rmnic_remote_move(r, RMNIC_REMOTE_FENCED);
		c->failed = true;
		break;
	case RMNIC_CALL_UNREACHABLE:
		c->failed = true;
		if (i >= 0 && rmnic_remote_is_silent(r, &r->slabs[c->slab], (unsigned int)i))
			rmnic_remote_drop(r, c->slab, (unsigned int)i, false);
		break;
	default: /* it has lost the slab, or means another view: not a member to rely on */
		c->failed = true;
		if (i >= 0)
			rmnic_remote_drop(r, c->slab, (unsigned int)i, true);
	}
	if (--c->pending == 0)
		record_end(c);
}

static void record_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_record *c = call->arg;

	if (--c->leaving == 0)
		c->used = false;
}

static void record_ask(struct rmnic_remote_record *c, unsigned int n, uint16_t peer,
		       const struct rmnic_rmp_member *m)
{
	struct rmnic_remote *r = c->store;
	struct rmnic_rmp_call *call = &c->call[n];

	memset(call, 0, sizeof(*call));
	call->type = RMNIC_RMP_RECORD_VIEW;
	call->peer = peer;
	call->handle = rmnic_le64_get(m->handle);
	call->store_id = rmnic_le64_get(m->store_id);
	call->body = &c->view;
	call->body_len = sizeof(c->view);
	call->deadline = rmnic_env_now(&r->cfg.env) + STEP_NS;
	call->done = record_done;
	call->idle = record_idle;
	call->arg = c;
	if (peer != RMNIC_NO_PEER && rmnic_rmp_client_submit(r->client, call))
		return;
	call->status = RMNIC_CALL_UNREACHABLE;
	record_done(call);
	record_idle(call);
}

static void record_start(struct rmnic_remote *r, struct rmnic_remote_record *c, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	struct rmnic_rmp_member member[RMNIC_MEMBERS];
	uint16_t peer[RMNIC_MEMBERS];
	unsigned int n = 0;

	wire_view(s, &c->view);
	for (unsigned int i = 0; i < s->members; i++) {
		if (s->away >> i & 1)
			continue;
		member[n] = s->member[i]; /* an answer at once may change the view */
		peer[n++] = rmnic_remote_peer_of(r, s, i);
	}
	c->store = r;
	c->used = true;
	c->failed = false;
	c->slab = slab;
	c->number = s->view;
	s->recording = true;
	r->recording++;
	c->pending = c->leaving = (uint8_t)(n + 1); /* one for the loop */
	for (unsigned int i = 0; i < n; i++)
		record_ask(c, i, peer[i], &member[i]);
	if (--c->pending == 0)
		record_end(c);
	if (--c->leaving == 0)
		c->used = false;
}

static void record_some(struct rmnic_remote *r)
{
	unsigned int k = 0;

	for (unsigned int n = 0; n < SCAN_SLABS && n < r->state.nslabs; n++) {
		uint64_t slab = r->record_cursor++ % r->state.nslabs;

		if (r->slabs[slab].recorded == r->slabs[slab].view || r->slabs[slab].recording)
			continue;
		while (k < RMNIC_REMOTE_RECORDS && r->records[k].used)
			k++;
		if (k == RMNIC_REMOTE_RECORDS)
			return; /* it goes on when one of them ends */
		record_start(r, &r->records[k], slab);
	}
}

/* --- Members that are silent though nobody writes to their slabs ----------------------------------- */

static void drop_silent(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];

	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_remote_live(s) >> i & 1 && rmnic_remote_is_silent(r, s, i) &&
		    rmnic_remote_drop(r, slab, i, false))
			return; /* the entries are others now */
}

void rmnic_remote_drop_soon(struct rmnic_remote *r)
{
	r->drop_left = r->state.nslabs;
	r->drop_again = rmnic_env_now(&r->cfg.env) + AGAIN_NS;
}

static bool drop_some(struct rmnic_remote *r)
{
	if (!r->drop_left && r->silent && rmnic_env_now(&r->cfg.env) >= r->drop_again)
		rmnic_remote_drop_soon(r);
	for (unsigned int n = 0; n < SCAN_SLABS && r->drop_left; n++)
		drop_silent(r, --r->drop_left);
	return r->drop_left != 0;
}

bool rmnic_remote_views(struct rmnic_remote *r)
{
	bool more;

	if (r->status >= RMNIC_REMOTE_FENCED)
		return false;
	more = drop_some(r);
	if (r->unrecorded && rmnic_env_now(&r->cfg.env) >= r->record_after)
		record_some(r);
	return more;
}

static bool record_free(const struct rmnic_remote *r)
{
	for (unsigned int k = 0; k < RMNIC_REMOTE_RECORDS; k++)
		if (!r->records[k].used)
			return true;
	return false;
}

uint64_t rmnic_remote_views_due(const struct rmnic_remote *r)
{
	uint64_t due = r->silent ? r->drop_again : UINT64_MAX;

	if (r->status >= RMNIC_REMOTE_FENCED)
		return UINT64_MAX;
	if (r->drop_left)
		return 0;
	/* Those under way need no look: what ends them is one. So it is for those that wait for their place. */
	if (r->unrecorded > r->recording && r->record_after < due && record_free(r))
		due = r->record_after;
	return due;
}
