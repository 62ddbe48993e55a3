/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Recovery by hand (STATE-30): the state block is gone and servers have the device's pages. The rows
 * are written anew from the views that servers were told of, the pages' words from what the members
 * hold.
 *
 * A slab is taken only when every member of the highest view seen is here with the store that the
 * view names (RULES A6). Acknowledged pages are on all of them: a page-out was acknowledged when
 * every member of a view had it that all its members knew of. One that is missing may know of a later
 * view; so its slabs wait, for it or for the operator.
 */
#include <string.h>

#include "engine/remote_range.h"
#include "engine/remote_trace.h"
#include "engine/step.h"

#define LOOK_NS    UINT64_C(500000000) /* between two looks at slabs that wait */
#define LOOK_SLABS 64                  /* in one call */
#define NO_SLAB    UINT64_MAX
#define CONTENT    (RMNIC_RMP_PAGE_STORED | RMNIC_RMP_PAGE_FILLED)

struct rmnic_remote_recovery {
	struct rmnic_remote_trace trace;
	struct rmnic_remote_range range; /* of `slab`, below */
	bool finding;    /* the device is not served yet */
	uint64_t cursor; /* slab to be looked at next */
	uint64_t look_at; /* ns: when to begin with the first one again */
	uint64_t slab;   /* that is being taken; NO_SLAB: none */
	unsigned int n;  /* who is asked for its pages */
	struct rmnic_rmp_member member[RMNIC_MEMBERS];
	uint64_t held;   /* pages that were found */
};

static bool begun(const struct rmnic_remote *r)
{
	return rmnic_le32_get(r->state.hdr->recovering) == 1;
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
	if (!rec->trace.found)
		return false;
	rec->trace.store = rec->range.store = r;
	rec->finding = true;
	rec->slab = NO_SLAB;
	RMNIC_PUBLISH(&r->state.hdr->recovering, rmnic_le32_put(1));
	for (uint64_t i = 0; i < r->state.nslabs; i++) {
		r->slabs[i].waiting = !r->slabs[i].view;
		r->waiting += r->slabs[i].waiting;
	}
	return true;
}

void rmnic_remote_recover_destroy(struct rmnic_remote *r)
{
	const struct rmnic_env *env = &r->cfg.env;

	if (r->recovery)
		env->ops->free(env->arg, r->recovery->trace.found);
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

/* Nobody has it: whatever was in it is lost, and that is known before it takes pages again. */
static void lose(struct rmnic_remote *r, uint64_t slab)
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

/* Its words are written: who was read are its members from now on. */
static void take(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	uint64_t slab = rec->slab, seen = rmnic_le64_get(rec->trace.found[slab].view.view);
	struct rmnic_state_view v = { .view = rmnic_le64_put(seen + 1),
				      .members = (uint8_t)rec->n };

	memcpy(v.member, rec->member, rec->n * sizeof(v.member[0]));
	rmnic_state_view_set(&r->state, slab, &v);
	rmnic_remote_view_use(r, slab, &v, false);
	if (slab >= r->slabs_want && rmnic_remote_slab_used(r, slab))
		r->slabs_want = slab + 1;
	rec->slab = NO_SLAB;
	wait_over(r, slab);
	rmnic_remote_repair_look(r, slab);
	rmnic_remote_event(r, RMNIC_REMOTE_EV_RECOVERED, slab, 0, rec->held, NULL);
}

/* --- Its pages -------------------------------------------------------------------------------- */

/* Whether two members hold the same, damage aside: that is found and mended later. */
static bool is_same(const struct rmnic_remote_held *a, const struct rmnic_remote_held *b)
{
	const uint64_t bad = RMNIC_RMP_PAGE_BAD;

	return (a->vstate & ~bad) == (b->vstate & ~bad) &&
	       (a->crc == b->crc || ((a->vstate | b->vstate) & bad));
}

static void free_page(struct rmnic_remote *r, uint64_t rpn, uint64_t version, bool tell)
{
	rmnic_remote_word_set(r, rpn, version,
			      RMNIC_STATE_PAGE_FREED | (tell ? RMNIC_STATE_PAGE_TELL : 0));
	if (tell)
		rmnic_remote_tell_add(r, rpn);
}

/*
 * A page's word, from what the members hold of page k of the range. Those that differ were told of
 * a write, or of a FREE, that did not come to its end. A FREE was acknowledged before anybody was
 * told. A write was not acknowledged while somebody lacked it; but the page it replaces is gone where
 * it arrived, and as long as one copy answers with the new content and one with the old, neither may
 * be given (STATE-5, RULES A10).
 */
static void settle_page(struct rmnic_remote *r, uint32_t k)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	const struct rmnic_remote_held *high = &rec->range.held[0][k];
	uint64_t rpn = rec->range.rpn + k, version;
	uint64_t word = rmnic_state_page(&r->state, rpn);
	bool differ = false;

	for (unsigned int i = 1; i < rec->n; i++) {
		const struct rmnic_remote_held *h = &rec->range.held[i][k];

		differ |= !is_same(h, high);
		if (h->vstate >> RMNIC_RMP_VERSION_SHIFT > high->vstate >> RMNIC_RMP_VERSION_SHIFT)
			high = h;
	}
	version = high->vstate >> RMNIC_RMP_VERSION_SHIFT;
	rmnic_state_version_seen(&r->state, version);
	if ((word & RMNIC_STATE_PAGE_KIND) == RMNIC_STATE_PAGE_FREED) {
		/* By the guest, while the slab waited; or by an earlier look at it. */
		if (differ || (high->vstate & CONTENT))
			free_page(r, rpn, word >> RMNIC_STATE_PAGE_VERSION_SHIFT, true);
	} else if (high->vstate & RMNIC_RMP_PAGE_TOMBSTONE) {
		free_page(r, rpn, version, differ);
	} else if (differ) {
		rmnic_remote_word_set(r, rpn, version, RMNIC_STATE_PAGE_UNKNOWN);
		RMNIC_COUNT(r->remote.indeterminate, 1);
	} else if (high->vstate & CONTENT) {
		rmnic_remote_word_set(r, rpn, version, RMNIC_STATE_PAGE_HELD);
		rec->held++;
	} else { /* no member of the view ever had it: it was not acknowledged */
		rmnic_remote_word_set(r, rpn, 0, RMNIC_STATE_PAGE_NEVER);
	}
}

static void ask_member(struct rmnic_remote *r, unsigned int i)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	struct rmnic_remote_slab s = { .members = 1, .member = { rec->member[i] } };
	uint16_t peer;

	s.peer[0] = RMNIC_NO_PEER;
	peer = rmnic_remote_peer_of(r, &s, 0);
	if (peer == RMNIC_NO_PEER ||
	    !rmnic_remote_range_ask(&rec->range, i, peer, &rec->member[i]))
		rec->slab = NO_SLAB; /* it waits on */
}

static void next_range(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	uint64_t end = (rec->slab + 1) * r->state.slab_pages;

	for (uint32_t k = 0; k < rec->range.pages; k++)
		settle_page(r, k);
	rec->range.rpn += rec->range.pages;
	if (rec->range.rpn == end) {
		take(r);
		return;
	}
	if (rec->range.pages > end - rec->range.rpn)
		rec->range.pages = (uint32_t)(end - rec->range.rpn);
	ask_member(r, 0);
}

static void fill_begin(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_recovery *rec = r->recovery;

	rec->slab = slab;
	rec->held = 0;
	rec->range.rpn = slab * r->state.slab_pages;
	rec->range.pages = r->state.slab_pages < RMNIC_RANGE_PAGES ? r->state.slab_pages
								   : RMNIC_RANGE_PAGES;
	ask_member(r, 0);
}

/* A member that is here has no such slab any more. */
static void member_gone(struct rmnic_remote *r, unsigned int i)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	uint64_t slab = rec->slab;

	rec->slab = NO_SLAB;
	if (!rec->trace.found[slab].forced)
		return; /* it waits: what is missing is missing */
	for (rec->n--; i < rec->n; i++)
		rec->member[i] = rec->member[i + 1];
	if (rec->n)
		fill_begin(r, slab);
	else
		lose(r, slab);
}

/* The answer of a member is here. */
static void fill_next(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	unsigned int i = rec->range.i;

	if (rec->range.status == RMNIC_RMP_S_UNKNOWN_SLAB || rec->range.status == RMNIC_CALL_EMPTY)
		member_gone(r, i);
	else if (rec->range.status != RMNIC_RMP_S_OK)
		rec->slab = NO_SLAB; /* silent: looked at again later */
	else if (i + 1 < rec->n)
		ask_member(r, i + 1);
	else
		next_range(r);
}

/* --- Which slabs can be taken ------------------------------------------------------------------- */

/* Whether the member's server is here with the store that is meant. */
static bool is_here(struct rmnic_remote *r, const struct rmnic_rmp_member *m)
{
	struct rmnic_remote_slab s = { .members = 1, .member = { *m } };
	struct rmnic_peer_info info;
	uint16_t peer;

	s.peer[0] = RMNIC_NO_PEER;
	peer = rmnic_remote_peer_of(r, &s, 0);
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
	if (known && choose(r, slab))
		fill_begin(r, slab);
	else if (f->forced)
		lose(r, slab);
	else if (known || !rmnic_remote_trace_whole(&rec->trace))
		return; /* who is missing may have it */
	else if (slab < rec->trace.end || slab < r->slabs_want)
		lose(r, slab); /* it was reserved: who had it came back empty */
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
	for (int n = 0; n < LOOK_SLABS && rec->slab == NO_SLAB; n++) {
		if (rec->cursor == r->state.nslabs) {
			found_out(r);
			return false;
		}
		look_at(r, rec->cursor++);
	}
	return true;
}

bool rmnic_remote_recover(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;

	if (!rmnic_remote_recovering(r) || r->status >= RMNIC_REMOTE_FENCED ||
	    !rmnic_remote_range_idle(&rec->range))
		return false;
	if (rec->slab != NO_SLAB) {
		fill_next(r);
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
	    !rmnic_remote_range_idle(&rec->range) || rec->trace.asked)
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
