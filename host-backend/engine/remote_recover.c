/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery by hand (STATE-30): the state block is gone and servers have the device's pages. The rows
 * are written anew from the views that servers were told of, the pages' words from what the members
 * hold.
 *
 * A slab is taken only when every member of the highest view seen is here with the store that the
 * view names (RULES A6). Acknowledged pages are on all of them: a page-out was acknowledged when
 * every member of a view had it that all its members knew of. One that is missing may know of a later
 * view; so its slabs wait, for it or for the operator. What is newer in the spill file, if that is
 * still there, was acknowledged without any of them.
 */
#include <string.h>

#include "engine/remote_recover.h"
#include "engine/step.h"

#define LOOK_NS    UINT64_C(500000000) /* between two looks at slabs that wait */
#define LOOK_SLABS 64                  /* in one call */

static bool begun(const struct rmnic_remote *r)
{
	return rmnic_le32_get(r->state.hdr->recovering) == 1;
}

/* The rows said which slabs had a place in the spill file. Now whatever is in it is looked at. */
static void take_places(struct rmnic_remote *r)
{
	const struct rmnic_spill_ops *file = r->cfg.spill;
	uint64_t n = r->state.slab_pages;

	for (uint64_t i = 0; file && file->kept && i < r->state.nslabs; i++) {
		struct rmnic_remote_slab *s = &r->slabs[i];

		if (!s->waiting || s->place_held || !file->kept(r->cfg.spill_arg, i * n, n))
			continue;
		s->place_held = true;
		r->spills.held++;
	}
	/* STATE-29: before a word or a row counts on it. A death before finds `recovering`. */
	if (file && r->spills.held)
		RMNIC_PUBLISH(&r->state.hdr->spill_id,
			      rmnic_le64_put(file->id(r->cfg.spill_arg)));
}

bool rmnic_remote_recover_create(struct rmnic_remote *r)
{
	const struct rmnic_env *env = &r->cfg.env;
	struct rmnic_remote_recovery *rec;
	bool rows = false;

	for (uint64_t i = 0; i < r->state.nslabs; i++)
		rows |= r->slabs[i].view != 0;
	/* A block with rows is the truth, unless a predecessor was about to find out the rest. */
	if (!begun(r) && (rows || !r->cfg.recover))
		return true;
	rec = env->ops->alloc(env->arg, sizeof(*rec));
	r->recovery = rec;
	if (!rec)
		return false;
	rec->trace.found =
		env->ops->alloc(env->arg, sizeof(*rec->trace.found) * r->state.nslabs);
	if (!rec->trace.found || !rmnic_remote_places_create(&rec->places, r))
		return false;
	rec->trace.store = rec->range.store = rec->agree.store = r;
	rec->finding = true;
	rec->slab = RMNIC_NO_SLAB;
	RMNIC_PUBLISH(&r->state.hdr->recovering, rmnic_le32_put(1));
	for (uint64_t i = 0; i < r->state.nslabs; i++) {
		r->slabs[i].waiting = !r->slabs[i].view;
		r->waiting += r->slabs[i].waiting;
	}
	take_places(r);
	return true;
}

void rmnic_remote_recover_destroy(struct rmnic_remote *r)
{
	const struct rmnic_env *env = &r->cfg.env;

	if (r->recovery) {
		rmnic_remote_places_destroy(&r->recovery->places);
		env->ops->free(env->arg, r->recovery->trace.found);
	}
	env->ops->free(env->arg, r->recovery);
}

bool rmnic_remote_finding(const struct rmnic_remote *r)
{
	return r->recovery && r->recovery->finding;
}

bool rmnic_remote_recovering(const struct rmnic_remote *r)
{
	return r->recovery && begun(r);
}

void rmnic_remote_recover_slab(const struct rmnic_remote *r, uint64_t slab,
			       struct rmnic_remote_slab_info *out)
{
	const struct rmnic_rmp_view *v = &r->recovery->trace.found[slab].view;

	out->view = rmnic_le64_get(v->view);
	out->members = v->members;
	out->syncing = v->syncing;
	for (unsigned int i = 0; i < v->members; i++)
		memcpy(out->server[i], v->member[i].server, sizeof(out->server[i]));
}

/* --- The end of a slab's wait ----------------------------------------------------------------- */

static void wait_over(struct rmnic_remote *r, uint64_t slab)
{
	r->slabs[slab].waiting = false;
	r->waiting--;
	rmnic_remote_pages_look(r);
}

void rmnic_remote_recover_lose(struct rmnic_remote *r, uint64_t slab)
{
	const struct rmnic_remote_found *f = &r->recovery->trace.found[slab];
	uint64_t rpn = slab * r->state.slab_pages;

	for (uint64_t end = rpn + r->state.slab_pages; rpn < end; rpn++)
		if ((rmnic_state_page(&r->state, rpn) & RMNIC_STATE_PAGE_KIND) !=
		    RMNIC_STATE_PAGE_FREED)
			rmnic_remote_word_set(r, rpn, 0, RMNIC_STATE_PAGE_LOST);
	/* Its next view is above whatever somebody who returns may know of. */
	r->slabs[slab].attempts = (uint32_t)(rmnic_le64_get(f->view.view) / 2 + 1);
	RMNIC_COUNT(r->remote.slabs_lost, 1);
	wait_over(r, slab);
}

void rmnic_remote_recover_take(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	uint64_t slab = rec->slab, seen = rmnic_le64_get(rec->trace.found[slab].view.view);
	struct rmnic_state_view v = { .view = rmnic_le64_put(seen + 1),
				      .members = (uint8_t)rec->n,
				      .spill = r->slabs[slab].spilled != 0 };

	rec->slab = RMNIC_NO_SLAB;
	if (!rec->n)
		RMNIC_COUNT(r->remote.slabs_lost, 1); /* but for what is in the file */
	if (!v.members && !v.spill) {
		rmnic_remote_recover_lose(r, slab);
		return;
	}
	memcpy(v.member, rec->member, rec->n * sizeof(v.member[0]));
	rmnic_state_view_set(&r->state, slab, &v);
	rmnic_remote_view_use(r, slab, &v, false);
	if (slab >= r->slabs_want && rmnic_remote_slab_used(r, slab))
		r->slabs_want = slab + 1;
	wait_over(r, slab);
	rmnic_remote_repair_look(r, slab);
	rmnic_remote_event(r, RMNIC_REMOTE_EV_RECOVERED, slab, 0, rec->held, NULL);
}

/* --- Which slabs can be taken ------------------------------------------------------------------- */

/* Whether the member's server is here with the store that is meant. */
static bool is_here(struct rmnic_remote *r, const struct rmnic_rmp_member *m)
{
	uint16_t peer = rmnic_remote_peer_by(r, m->server);
	struct rmnic_peer_info info;

	if (peer == RMNIC_NO_PEER)
		return false;
	rmnic_rmp_client_peer(r->client, peer, &info);
	return info.state == RMNIC_PEER_READY && info.store_id == rmnic_le64_get(m->store_id);
}

/*
 * Whom to read of the slab's members: those that are whole, if all members are here. The operator may
 * want fewer than that: whole ones that are here, one that was being filled, or who else told of the
 * view. Gives their number.
 */
static unsigned int choose(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	const struct rmnic_remote_found *f = &rec->trace.found[slab];
	unsigned int here = 0, use;

	for (unsigned int i = 0; i < f->view.members; i++)
		here |= (unsigned int)is_here(r, &f->view.member[i]) << i;
	use = here & ~(unsigned int)f->view.syncing;
	if (here + 1 != 1u << f->view.members && !f->forced)
		return 0;
	rec->n = 0;
	for (unsigned int i = 0; i < f->view.members; i++)
		if (use >> i & 1)
			rec->member[rec->n++] = f->view.member[i];
	for (unsigned int i = 0; i < f->view.members && !rec->n && f->forced; i++)
		if (here >> i & 1)
			rec->member[rec->n++] = f->view.member[i];
	if (!rec->n && f->forced && is_here(r, &f->teller))
		rec->member[rec->n++] = f->teller;
	return rec->n;
}

static void look_at(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	const struct rmnic_remote_found *f = &rec->trace.found[slab];
	bool known = f->view.view != 0;

	if (!r->slabs[slab].waiting)
		return;
	if (known && choose(r, slab)) {
		rmnic_remote_fill_begin(r, slab);
		return;
	}
	if (!f->forced && (known || !rmnic_remote_trace_whole(&rec->trace)))
		return; /* who is missing may have it */
	/* It was reserved once: who had it came back empty, or it was in the file alone. */
	rec->n = 0;
	if (r->slabs[slab].place_held)
		rmnic_remote_fill_begin(r, slab);
	else if (f->forced || slab < rec->trace.end || slab < r->slabs_want)
		rmnic_remote_recover_lose(r, slab);
	else
		wait_over(r, slab);
}

/* All was looked at once: from now on the device is served as far as that goes. */
static void found_out(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;

	rec->cursor = 0;
	rec->look_at = rmnic_env_now(&r->cfg.env) + LOOK_NS;
	if (!r->waiting)
		RMNIC_PUBLISH(&r->state.hdr->recovering, 0);
	else if (rec->finding)
		rmnic_remote_event(r, RMNIC_REMOTE_EV_WAITING, 0, 0,
				   r->waiting * r->state.slab_pages, NULL);
	rec->finding = false;
	rmnic_remote_reserve(r);
}

/* Who is configured has answered, or had the time to. */
static bool has_met(struct rmnic_remote *r)
{
	if (rmnic_remote_trace_whole(&r->recovery->trace))
		return rmnic_remote_trace_begun(&r->recovery->trace);
	if (rmnic_env_now(&r->cfg.env) < r->meet_until)
		return false;
	if (rmnic_remote_trace_begun(&r->recovery->trace))
		return true;
	rmnic_remote_move(r, RMNIC_REMOTE_UNREACHABLE);
	return false;
}

static bool look_around(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;

	if (rec->finding ? !has_met(r) : rmnic_env_now(&r->cfg.env) < rec->look_at)
		return false;
	for (int n = 0; n < LOOK_SLABS && rec->slab == RMNIC_NO_SLAB; n++) {
		if (rec->cursor == r->state.nslabs) {
			found_out(r);
			return false;
		}
		look_at(r, rec->cursor++);
	}
	return true;
}

/* Whether nothing of the slab that is being taken is under way. */
static bool is_idle(const struct rmnic_remote_recovery *rec)
{
	return rmnic_remote_range_idle(&rec->range) && !rec->agree.asked && !rec->places.pending &&
	       rec->agree.call.state == RMNIC_CALL_IDLE;
}

bool rmnic_remote_recover(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;

	if (!rmnic_remote_recovering(r) || r->status >= RMNIC_REMOTE_FENCED || !is_idle(rec))
		return false;
	if (rec->slab != RMNIC_NO_SLAB) {
		rmnic_remote_fill_next(r);
		return true;
	}
	if (rmnic_remote_trace_ask(&rec->trace)) {
		rec->cursor = 0; /* there is news */
		return true;
	}
	return !rec->trace.used && look_around(r);
}

uint64_t rmnic_remote_recover_due(const struct rmnic_remote *r)
{
	const struct rmnic_remote_recovery *rec = r->recovery;
	uint64_t due, now = rmnic_env_now(&r->cfg.env);

	if (!rmnic_remote_recovering(r) || r->status >= RMNIC_REMOTE_FENCED ||
	    !is_idle(rec) || rec->trace.asked)
		return UINT64_MAX; /* what is to come is an answer, if anything */
	due = rec->finding ? r->meet_until : rec->look_at;
	if (rec->finding && due <= now) /* nobody came, or all that can be known is */
		due = UINT64_MAX;
	return rec->trace.after > now && rec->trace.after < due ? rec->trace.after : due;
}

bool rmnic_store_remote_force(struct rmnic_store *store, uint64_t slab)
{
	struct rmnic_remote *r = (struct rmnic_remote *)store;

	if (slab >= r->state.nslabs || !r->slabs[slab].waiting || !r->recovery)
		return false;
	r->recovery->trace.found[slab].forced = true;
	r->recovery->cursor = 0;
	r->recovery->look_at = 0;
	return true;
}
