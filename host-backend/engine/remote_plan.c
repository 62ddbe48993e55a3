/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a slab's view needs: a member that came back, one more, one elsewhere, one less. One thing
 * at a time; the view that comes of it is looked at again.
 */
#include <string.h>

#include "engine/store_remote_internal.h"

#define AGAIN_NS  UINT64_C(1000000000) /* when nobody could take a slab */
#define MOVES     (RMNIC_REMOTE_JOBS / 2) /* slabs that leave servers at a time ... */
#define PRESSED   2                       /* ... of those under pressure */

static unsigned int count(unsigned int bits)
{
	return (unsigned int)__builtin_popcount(bits);
}

bool rmnic_remote_is_ready(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i)
{
	uint16_t peer = rmnic_remote_peer_of(r, s, i);
	struct rmnic_peer_info info;

	if (peer == RMNIC_NO_PEER || r->peers[peer].silent)
		return false;
	rmnic_rmp_client_peer(r->client, peer, &info);
	return info.state == RMNIC_PEER_READY &&
	       info.store_id == rmnic_le64_get(s->member[i].store_id);
}

static bool is_pressed(const struct rmnic_remote *r, uint16_t peer)
{
	struct rmnic_peer_info info;

	rmnic_rmp_client_peer(r->client, peer, &info);
	return info.state == RMNIC_PEER_READY && info.pressure;
}

/* Whether its server wants to be rid of it. */
static bool is_unwanted(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i)
{
	uint16_t peer = rmnic_remote_peer_of(r, s, i);

	return peer != RMNIC_NO_PEER && (r->peers[peer].drain || is_pressed(r, peer));
}

bool rmnic_remote_unwanted(const struct rmnic_remote *r)
{
	for (uint32_t i = 0; i < r->cfg.max_peers; i++)
		if (r->peers[i].drain || is_pressed(r, (uint16_t)i))
			return true;
	return false;
}

/* --- Changing it ---------------------------------------------------------------------------------- */

void rmnic_remote_view_without(struct rmnic_remote *r, uint64_t slab, unsigned int i)
{
	struct rmnic_state_view v;

	rmnic_remote_view_copy(r, slab, &v);
	rmnic_remote_view_remove(&v, i);
	rmnic_remote_view_change(r, slab, &v);
}

void rmnic_remote_orphaned(struct rmnic_remote *r, uint64_t slab, unsigned int i, uint64_t version)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	uint64_t since = rmnic_remote_since(r, slab);
	struct rmnic_state_view v;

	if (!(rmnic_remote_whole(s) & ~(1u << i)))
		return;
	if (s->syncing >> i & 1 && s->since[i] < since)
		since = s->since[i];
	rmnic_remote_view_copy(r, slab, &v);
	v.since[i] = rmnic_le64_put(version < since ? version : since);
	v.syncing &= (uint8_t)~(1u << i);
	v.away |= (uint8_t)(1u << i);
	rmnic_remote_view_change(r, slab, &v);
	RMNIC_COUNT(r->remote.dropped, 1);
	rmnic_remote_event(r, RMNIC_REMOTE_EV_DROPPED, slab, 0, 0, s->member[i].server);
}

uint16_t rmnic_remote_peer_with(struct rmnic_remote *r, struct rmnic_remote_slab *s,
				uint64_t store_id, uint64_t handle)
{
	int i = rmnic_remote_entry(s, store_id, handle);

	return i < 0 ? RMNIC_NO_PEER : rmnic_remote_peer_of(r, s, (unsigned int)i);
}

/* Entry i is not waited for, or not needed: the view without it, and what is there goes back. */
static void forget(struct rmnic_remote *r, uint64_t slab, unsigned int i)
{
	uint16_t peer = rmnic_remote_peer_of(r, &r->slabs[slab], i);

	rmnic_remote_view_without(r, slab, i);
	if (peer != RMNIC_NO_PEER)
		rmnic_remote_sweep_at(r, peer, true);
}

/* --- What can be done --------------------------------------------------------------------------- */

/* A whole member to copy from is here. */
static bool has_source(struct rmnic_remote *r, struct rmnic_remote_slab *s)
{
	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_remote_whole(s) >> i & 1 && rmnic_remote_is_ready(r, s, i))
			return true;
	return false;
}

/* One more member, on a server that was not in the view. leaver: the entry it is instead of; -1 */
static void fill(struct rmnic_remote *r, uint64_t slab, int leaver)
{
	uint16_t peer = rmnic_remote_place(r, slab, NULL, 0);

	if (peer == RMNIC_NO_PEER)
		rmnic_remote_repair_by(r, rmnic_env_now(&r->cfg.env) + AGAIN_NS);
	else
		rmnic_remote_job_fill(r, slab, peer, leaver);
}

/* --- Members that are away ---------------------------------------------------------------------------- */

/* Since when they are. */
static void note_away(struct rmnic_remote *r, struct rmnic_remote_slab *s)
{
	if (s->away & ~s->away_seen)
		s->away_at = rmnic_env_now(&r->cfg.env);
	s->away_seen = s->away;
}

/* How many are still waited for; UINT_MAX: something was done about one of them. */
#define DONE UINT32_MAX
static unsigned int plan_away(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	uint64_t due = s->away_at + r->cfg.away_ns;
	bool late = rmnic_env_now(&r->cfg.env) >= due;
	unsigned int waited = 0;

	for (unsigned int i = 0; i < s->members; i++) {
		if (!(s->away >> i & 1))
			continue;
		/* Nothing that it has is of any use. */
		if (rmnic_remote_entry_empty(r, s, i) || !s->since[i] ||
		    count(rmnic_remote_whole(s)) >= r->cfg.replicas) {
			forget(r, slab, i);
			return DONE;
		}
		if (is_unwanted(r, s, i))
			continue;
		/* STATE-18: nothing gets a handle while what has none is looked for there. */
		if (rmnic_remote_is_ready(r, s, i) && !r->peers[s->peer[i]].own) {
			rmnic_remote_job_renew(r, slab, i);
			return DONE;
		}
		waited += !late;
		if (!late)
			rmnic_remote_repair_by(r, due);
	}
	return waited;
}

/* --- Members that are to leave -------------------------------------------------------------------------- */

static unsigned int moves(const struct rmnic_remote *r, bool pressed)
{
	unsigned int n = 0;

	for (int i = 0; i < RMNIC_REMOTE_JOBS; i++) {
		const struct rmnic_remote_job *j = &r->repair.jobs[i];

		n += j->step != RMNIC_JOB_NONE && j->leaver != RMNIC_NO_PEER &&
		     (!pressed || !r->peers[j->leaver].drain);
	}
	return n;
}

static void plan_move(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];

	for (unsigned int i = 0; i < s->members; i++) {
		if (!(rmnic_remote_live(s) >> i & 1) || !is_unwanted(r, s, i))
			continue;
		if (moves(r, false) >= MOVES ||
		    (!r->peers[s->peer[i]].drain && moves(r, true) >= PRESSED))
			return; /* when one of those has ended */
		fill(r, slab, (int)i);
		return;
	}
}

/* There are more than there should be: the one that is missed least. */
static void plan_fewer(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	unsigned int worst = 0;
	uint64_t most = 0;

	for (unsigned int i = 0; i < s->members; i++) {
		uint64_t cost = 1;

		if (!(rmnic_remote_live(s) >> i & 1))
			continue;
		if (!rmnic_remote_is_ready(r, s, i))
			cost = UINT64_MAX;
		else if (is_unwanted(r, s, i))
			cost = UINT64_MAX - 1;
		else if (r->peers[s->peer[i]].free_pages < UINT64_MAX - 2)
			cost = UINT64_MAX - 2 - r->peers[s->peer[i]].free_pages;
		if (cost > most) {
			most = cost;
			worst = i;
		}
	}
	rmnic_remote_job_leave(r, slab, worst);
}

/* --- A slab --------------------------------------------------------------------------------------------- */

/* One that was left SYNCING, by a predecessor or because there was nobody to copy from. */
static void plan_syncing(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	unsigned int i = (unsigned int)__builtin_ctz(s->syncing);

	if (rmnic_remote_entry_empty(r, s, i))
		rmnic_remote_drop(r, slab, i, true);
	else if (rmnic_remote_is_ready(r, s, i))
		rmnic_remote_job_resume(r, slab, i);
	else
		rmnic_remote_repair_by(r, rmnic_env_now(&r->cfg.env) + AGAIN_NS);
}

void rmnic_remote_plan(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	unsigned int live = count(rmnic_remote_live(s)), waited;

	note_away(r, s);
	if (s->job || s->waiting || s->gone || !rmnic_remote_whole(s))
		return;
	if (!s->syncing && !s->away && live == r->cfg.replicas && !r->repair.unwanted)
		return; /* as it should be */
	if (rmnic_env_now(&r->cfg.env) < s->repair_at) {
		rmnic_remote_repair_by(r, s->repair_at);
		return;
	}
	if (rmnic_remote_emptied(r, s)) {
		rmnic_remote_rescue_plan(r, slab);
		return;
	}
	if (!has_source(r, s)) {
		rmnic_remote_repair_by(r, rmnic_env_now(&r->cfg.env) + AGAIN_NS);
		return;
	}
	if (s->syncing) {
		plan_syncing(r, slab);
		return;
	}
	waited = plan_away(r, slab);
	if (waited == DONE)
		return;
	if (live + waited < r->cfg.replicas)
		fill(r, slab, -1);
	else if (live > r->cfg.replicas)
		plan_fewer(r, slab);
	else
		plan_move(r, slab);
}
