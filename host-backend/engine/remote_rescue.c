/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The last ones who had all of a slab are empty, and somebody is away who had most of it (STATE-33).
 * It is waited for; when it answers, it goes on alone with what it was not dropped too early for, and only
 * the rest is lost.
 */
#include "engine/store_remote_internal.h"

#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)
#define KIND(word)    ((uint32_t)(word) & RMNIC_STATE_PAGE_KIND)
#define AGAIN_NS      UINT64_C(1000000000)

/* --- Who it could be ------------------------------------------------------------------------- */

bool rmnic_remote_emptied(struct rmnic_remote *r, struct rmnic_remote_slab *s)
{
	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_remote_whole(s) >> i & 1 && !rmnic_remote_entry_empty(r, s, i))
			return false;
	return rmnic_remote_whole(s) != 0;
}

/* STATE-23: whether entry i had every page below its `since` when it was dropped, and may have it still. */
static bool is_old(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i)
{
	return (s->away | s->syncing) >> i & 1 && s->since[i] && !rmnic_remote_entry_empty(r, s, i);
}

bool rmnic_remote_elsewhere(struct rmnic_remote *r, uint64_t rpn)
{
	struct rmnic_remote_slab *s = &r->slabs[rpn / r->state.slab_pages];
	uint64_t word = rmnic_state_page(&r->state, rpn);

	for (unsigned int i = 0; KIND(word) == RMNIC_STATE_PAGE_HELD && i < s->members; i++)
		if (VERSION(word) < s->since[i] && is_old(r, s, i))
			return true;
	return false;
}

/* The one that had most; RMNIC_MEMBERS: there is none. here: of those that answer. */
static unsigned int rescuer(struct rmnic_remote *r, struct rmnic_remote_slab *s, bool here)
{
	unsigned int best = RMNIC_MEMBERS;

	for (unsigned int i = 0; i < s->members; i++)
		if (is_old(r, s, i) && (!here || rmnic_remote_is_ready(r, s, i)) &&
		    (best == RMNIC_MEMBERS || s->since[i] > s->since[best]))
			best = i;
	return best;
}

static bool has_pages(const struct rmnic_remote *r, uint64_t slab, unsigned int i)
{
	uint64_t rpn = slab * r->state.slab_pages;

	for (uint64_t end = rpn + r->state.slab_pages; rpn < end; rpn++) {
		uint64_t word = rmnic_state_page(&r->state, rpn);

		if (KIND(word) == RMNIC_STATE_PAGE_HELD && VERSION(word) < r->slabs[slab].since[i])
			return true;
	}
	return false;
}

/* --- Waiting for it -------------------------------------------------------------------------- */

/* Which one it is to be now; RMNIC_MEMBERS: nobody, ever. */
static unsigned int choose(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	uint64_t now = rmnic_env_now(&r->cfg.env);
	unsigned int i;

	if (!s->rescue_by)
		s->rescue_by = now + r->cfg.away_ns;
	i = rescuer(r, s, now >= s->rescue_by);
	return i != RMNIC_MEMBERS && has_pages(r, slab, i) ? i : RMNIC_MEMBERS;
}

bool rmnic_remote_rescue(struct rmnic_remote *r, uint64_t slab)
{
	if (choose(r, slab) == RMNIC_MEMBERS)
		return false;
	rmnic_remote_repair_look(r, slab);
	rmnic_remote_repair_by(r, r->slabs[slab].rescue_by);
	return true;
}

bool rmnic_remote_rescuing(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];

	return rmnic_remote_emptied(r, s) && rescuer(r, s, false) != RMNIC_MEMBERS;
}

/* One that was being filled is as if it had been dropped again: nobody is left to fill it. */
static void stop_filling(struct rmnic_remote *r, uint64_t slab, unsigned int i)
{
	struct rmnic_state_view v;

	rmnic_remote_view_copy(r, slab, &v);
	v.syncing &= (uint8_t)~(1u << i);
	v.away |= (uint8_t)(1u << i);
	rmnic_remote_view_change(r, slab, &v);
}

void rmnic_remote_rescue_plan(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	unsigned int i = choose(r, slab);
	uint64_t now = rmnic_env_now(&r->cfg.env), again = now + AGAIN_NS;

	if (i == RMNIC_MEMBERS) { /* rmnic_remote_lose() sees to it */
		s->gone = true;
		r->gone++;
	} else if (s->syncing >> i & 1) {
		stop_filling(r, slab, i);
	} else if (rmnic_remote_is_ready(r, s, i) && !r->peers[s->peer[i]].own) {
		rmnic_remote_job_renew(r, slab, i);
	} else {
		/* Past that time it may be there, and be busy with something else. */
		rmnic_remote_repair_by(r, now < s->rescue_by && s->rescue_by < again ? s->rescue_by : again);
	}
}

/* --- It is here ------------------------------------------------------------------------------ */

/*
 * What it lacks is lost. It may have an older copy of that, and of what was freed since: it is told that
 * these are no more.
 */
static void lose_since(struct rmnic_remote *r, uint64_t slab, uint64_t since)
{
	uint64_t rpn = slab * r->state.slab_pages;

	for (uint64_t end = rpn + r->state.slab_pages; rpn < end; rpn++) {
		uint64_t word = rmnic_state_page(&r->state, rpn);
		uint32_t kind = KIND(word);

		if (kind == RMNIC_STATE_PAGE_HELD && VERSION(word) >= since)
			kind = RMNIC_STATE_PAGE_LOST;
		else if (kind != RMNIC_STATE_PAGE_FREED && kind != RMNIC_STATE_PAGE_LOST)
			continue;
		rmnic_remote_word_set(r, rpn, VERSION(word),
				      kind | RMNIC_STATE_PAGE_TELL |
					      ((uint32_t)word & RMNIC_STATE_PAGE_WRITING));
		rmnic_remote_tell_add(r, rpn);
	}
}

/* The view in which entry `stays` is the only member; who else was away is so still. */
static void view_alone(struct rmnic_remote *r, uint64_t slab, unsigned int stays,
		       const struct rmnic_remote_job *j)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	struct rmnic_state_view v;

	rmnic_remote_view_copy(r, slab, &v);
	v.away &= (uint8_t)~(1u << stays);
	v.since[stays] = 0;
	v.member[stays].store_id = rmnic_le64_put(j->store_id);
	v.member[stays].handle = rmnic_le64_put(j->handle);
	for (unsigned int k = v.members; k-- > 0;) {
		uint16_t peer = rmnic_remote_peer_of(r, s, k);

		if (k == stays || v.away >> k & 1)
			continue;
		if (v.syncing >> k & 1 && v.since[k]) {
			v.syncing &= (uint8_t)~(1u << k);
			v.away |= (uint8_t)(1u << k);
			continue;
		}
		rmnic_remote_view_remove(&v, k);
		if (peer != RMNIC_NO_PEER)
			rmnic_remote_sweep_at(r, peer, true); /* STATE-18 */
	}
	rmnic_remote_view_change(r, slab, &v);
}

bool rmnic_remote_rescue_join(struct rmnic_remote *r, const struct rmnic_remote_job *j)
{
	struct rmnic_remote_slab *s = &r->slabs[j->slab];
	unsigned int i = 0;

	while (i < s->members && !(s->away >> i & 1 && rmnic_le64_get(s->member[i].handle) == j->old))
		i++;
	if (i == s->members)
		return false;
	lose_since(r, j->slab, s->since[i]); /* STATE-19: before the view */
	view_alone(r, j->slab, i, j);
	rmnic_remote_event(r, RMNIC_REMOTE_EV_RESCUED, j->slab, 0, 0,
			   rmnic_rmp_client_uuid(r->client, j->peer));
	return true;
}
