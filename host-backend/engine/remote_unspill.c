/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages in the spill file go back to the members of their slab, under the version they have
 * (STATE-28). The guest may write or free the page meanwhile: then its word is another one at the end,
 * and nothing was done. A slab's place is given back when nothing is in it and there are enough
 * members to do without.
 */
#include <string.h>

#include "engine/page.h"
#include "engine/step.h"
#include "engine/store_remote_internal.h"

#define VERSION(word)  ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)
#define STEP_NS        UINT64_C(5000000000)
#define PAUSE_NS       UINT64_C(100000000)  /* with pages that cannot go back now */
#define LONG_PAUSE_NS  UINT64_C(1000000000) /* without any */
#define SECOND_NS      UINT64_C(1000000000)
#define SCAN_WORDS     1024 /* in one call */
#define SCAN_SLABS     256

static void copy_done(struct rmnic_rmp_call *call);
static void copy_idle(struct rmnic_rmp_call *call);

/* --- One page ---------------------------------------------------------------------------------- */

static uint64_t slab_of(const struct rmnic_remote_unspill *u)
{
	return u->op.rpn / u->store->state.slab_pages;
}

static void put_if_done(struct rmnic_remote_unspill *u)
{
	if (!u->pending && !u->leaving)
		u->used = false;
}

/*
 * HELD only if every member of the view has it, nobody became a member meanwhile, and the page is
 * still what was read (STATE-2).
 */
static void copied(struct rmnic_remote_unspill *u)
{
	struct rmnic_remote *r = u->store;

	if (u->failed) {
		r->spills.next_at = rmnic_env_now(&r->cfg.env) + PAUSE_NS;
		return;
	}
	if (r->slabs[slab_of(u)].view != u->view ||
	    rmnic_state_page(&r->state, u->op.rpn) != u->word)
		return;
	rmnic_remote_word_set(r, u->op.rpn, VERSION(u->word), RMNIC_STATE_PAGE_HELD);
	RMNIC_COUNT(r->remote.unspilled, 1);
	if (!r->slabs[slab_of(u)].spilled)
		rmnic_remote_event(r, RMNIC_REMOTE_EV_UNSPILLED, slab_of(u), 0, 0, NULL);
}

static void copy_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_unspill *u = call->arg;

	u->failed |= call->status != RMNIC_RMP_S_OK;
	if (call->status == RMNIC_RMP_S_FENCED)
		rmnic_remote_move(u->store, RMNIC_REMOTE_FENCED);
	if (--u->pending == 0)
		copied(u);
}

static void copy_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_unspill *u = call->arg;

	u->leaving--;
	put_if_done(u);
}

/* The same bytes go out as the same message as when they went out first: RMP-19. */
static void copy_prepare(struct rmnic_remote_unspill *u, struct rmnic_rmp_call *call)
{
	const struct rmnic_crc32c *c = rmnic_rmp_client_crc(u->store->client);
	const struct rmnic_spill_place *place = u->op.place;
	uint64_t word;

	if (rmnic_page_maybe_same(place->page) && rmnic_page_same_filled(place->page, &word) &&
	    (uint32_t)word == (uint32_t)(word >> 32)) {
		u->fill = rmnic_le32_put((uint32_t)word);
		call->type = RMNIC_RMP_WRITE_FILLED;
		call->body = &u->fill;
		call->body_len = sizeof(u->fill);
		call->crc = rmnic_rmp_fill_crc(c, (uint32_t)word, u->store->cfg.device, u->op.rpn,
					       VERSION(u->word));
		return;
	}
	call->type = RMNIC_RMP_WRITE;
	call->body = place->page;
	call->body_len = RMNIC_PAGE_SIZE;
	call->crc = rmnic_le32_get(place->record.crc);
}

static void copy_send(struct rmnic_remote_unspill *u, unsigned int i)
{
	struct rmnic_remote *r = u->store;
	struct rmnic_remote_slab *s = &r->slabs[slab_of(u)];
	struct rmnic_rmp_call *call = &u->call[i];

	memset(call, 0, sizeof(*call));
	copy_prepare(u, call);
	call->peer = rmnic_remote_peer_of(r, s, i);
	call->store_id = rmnic_le64_get(s->member[i].store_id);
	call->handle = rmnic_le64_get(s->member[i].handle);
	call->rpn = u->op.rpn;
	call->version = VERSION(u->word);
	call->deadline = rmnic_env_now(&r->cfg.env) + STEP_NS;
	call->done = copy_done;
	call->idle = copy_idle;
	call->arg = u;
	u->sent = true;
	u->pending++;
	u->leaving++;
	if (call->peer != RMNIC_NO_PEER && rmnic_rmp_client_submit(r->client, call))
		return;
	call->status = RMNIC_CALL_UNREACHABLE;
	copy_done(call);
	copy_idle(call);
}

/* The page is here; nobody wrote it meanwhile, and the members are those it is read for. */
static void page_read(struct rmnic_remote_spill_op *op)
{
	struct rmnic_remote_unspill *u = op->arg;
	struct rmnic_remote *r = u->store;
	struct rmnic_remote_slab *s = &r->slabs[slab_of(u)];
	bool same = rmnic_state_page(&r->state, op->rpn) == u->word;

	/* One place under the guest's pages: what is wrong in it is told to who reads it. */
	if (r->status < RMNIC_REMOTE_FENCED && same && s->view == u->view &&
	    op->status == RMNIC_SC_OK && op->version == VERSION(u->word)) {
		u->leaving++;
		for (unsigned int i = 0; i < s->members && s->view == u->view; i++)
			if (rmnic_remote_live(s) >> i & 1)
				copy_send(u, i);
		u->leaving--;
	}
	RMNIC_COUNT(r->remote.spill_errors, same && op->status != RMNIC_SC_OK);
	if (--u->pending == 0 && u->sent)
		copied(u);
	put_if_done(u);
}

static void page_start(struct rmnic_remote *r, struct rmnic_remote_unspill *u, uint64_t rpn,
		       uint64_t word)
{
	uint64_t rate = r->cfg.repair_rate ? r->cfg.repair_rate : 1;
	uint64_t now = rmnic_env_now(&r->cfg.env);

	u->used = true;
	u->failed = u->sent = false;
	u->word = word;
	u->view = r->slabs[rpn / r->state.slab_pages].view;
	u->pending = 1; /* the file */
	u->op.rpn = rpn;
	u->op.done = page_read;
	u->op.arg = u;
	r->spills.next_at = (r->spills.next_at + SECOND_NS / rate > now ? r->spills.next_at : now) +
			    SECOND_NS / rate;
	if (rmnic_remote_spill_read(&u->op))
		return;
	u->pending = 0;
	u->used = false;
	r->spills.next_at = now + PAUSE_NS;
}

/* --- A slab -------------------------------------------------------------------------------------- */

/* Whether its members can take pages now, and all know that they are members. */
static bool can_take(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];

	if (!rmnic_remote_whole(s) || s->recorded != s->view || s->waiting || s->gone ||
	    rmnic_remote_emptied(r, s))
		return false;
	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_remote_live(s) >> i & 1 && rmnic_remote_is_silent(r, s, i))
			return false;
	return true;
}

static bool is_spilled(uint64_t word)
{
	/* WRITING, and by nobody here: a redriving comes, or it is settled (STATE-16). */
	return (word & (RMNIC_STATE_PAGE_KIND | RMNIC_STATE_PAGE_WRITING)) ==
	       RMNIC_STATE_PAGE_SPILLED;
}

/*
 * STATE-23: a member that is away lacks versions from `since` on and no others. A page that comes
 * back now was written before that, perhaps, and it lacks that as well.
 */
static bool lower_since(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	uint64_t rpn = slab * r->state.slab_pages, least = UINT64_MAX;
	struct rmnic_state_view v;
	bool lower = false;

	if (!s->away || (r->spills.checked == slab && r->spills.checked_view == s->view))
		return false;
	r->spills.checked = slab; /* versions only grow: as long as the view is the same */
	r->spills.checked_view = s->view;
	for (uint64_t end = rpn + r->state.slab_pages; rpn < end; rpn++) {
		uint64_t word = rmnic_state_page(&r->state, rpn);

		if ((word & RMNIC_STATE_PAGE_KIND) == RMNIC_STATE_PAGE_SPILLED &&
		    VERSION(word) < least)
			least = VERSION(word);
	}
	rmnic_remote_view_copy(r, slab, &v);
	for (unsigned int i = 0; i < s->members; i++)
		if (s->away >> i & 1 && s->since[i] > least) {
			v.since[i] = rmnic_le64_put(least);
			lower = true;
		}
	if (lower)
		rmnic_remote_view_change(r, slab, &v);
	return lower;
}

/* Nothing is in the slab's place and it can do without. */
static bool give_up_place(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	struct rmnic_state_view v;

	if (rmnic_remote_spill_slab_busy(r, slab) || !can_take(r, slab) ||
	    (uint32_t)__builtin_popcount(rmnic_remote_whole(s)) < r->cfg.replicas)
		return false;
	rmnic_remote_view_copy(r, slab, &v);
	v.spill = 0;
	rmnic_remote_view_change(r, slab, &v);
	return true;
}

/* The row says nothing of it any more. */
static bool give_back(struct rmnic_remote *r, uint64_t slab)
{
	if (slab == r->spills.holding || rmnic_remote_spill_slab_busy(r, slab))
		return false;
	r->slabs[slab].place_held = false;
	if (!--r->spills.held) /* STATE-29: whoever comes next can do without the file */
		RMNIC_PUBLISH(&r->state.hdr->spill_id, rmnic_le64_put(0));
	r->cfg.spill->release(r->cfg.spill_arg, slab * r->state.slab_pages, r->state.slab_pages);
	return true;
}

/* Moves rpn to a page of the slab that is to go back. False: there is none from there on. */
static bool find_page(struct rmnic_remote *r, uint64_t slab, uint64_t *rpn, int *words)
{
	uint64_t end = (slab + 1) * r->state.slab_pages;

	for (; *rpn < end; ++*rpn, --*words) {
		if (!*words)
			return true;
		if (is_spilled(rmnic_state_page(&r->state, *rpn)) && !rmnic_remote_is_writing(r, *rpn))
			return true;
	}
	return false;
}

/* --- All of them ---------------------------------------------------------------------------------- */

static struct rmnic_remote_unspill *free_one(struct rmnic_remote *r)
{
	for (int i = 0; i < RMNIC_REMOTE_UNSPILLS; i++)
		if (!r->spills.unspill[i].used)
			return &r->spills.unspill[i];
	return NULL;
}

/* On with the next slab; after a round of them without any work not at once. */
static void next_slab(struct rmnic_remote *r, bool worked)
{
	struct rmnic_remote_spills *p = &r->spills;

	p->slab = (p->slab + 1) % r->state.nslabs;
	p->rpn = p->slab * r->state.slab_pages;
	p->fruitless = worked ? 0 : p->fruitless + 1;
	if (p->fruitless < r->state.nslabs)
		return;
	p->fruitless = 0;
	p->next_at = rmnic_env_now(&r->cfg.env) + (r->spilled ? PAUSE_NS : LONG_PAUSE_NS);
}

/* Copies what can be of the slab at which it stands, or goes on to the next. */
static void work(struct rmnic_remote *r, int *words)
{
	struct rmnic_remote_spills *p = &r->spills;
	struct rmnic_remote_slab *s = &r->slabs[p->slab];

	if (s->place_held && !s->spill && !s->waiting) { /* STATE-30: what waits may have pages there */
		next_slab(r, give_back(r, p->slab));
	} else if (s->spill && !s->spilled && can_take(r, p->slab)) {
		next_slab(r, give_up_place(r, p->slab));
	} else if (s->spill && can_take(r, p->slab) && lower_since(r, p->slab)) {
		next_slab(r, true); /* when its members know of it */
	} else if (!s->spill || !can_take(r, p->slab) ||
		   !find_page(r, p->slab, &p->rpn, words)) {
		next_slab(r, false);
	} else if (*words) {
		p->fruitless = 0;
		page_start(r, free_one(r), p->rpn, rmnic_state_page(&r->state, p->rpn));
		p->rpn++;
	}
}

bool rmnic_remote_unspill(struct rmnic_remote *r)
{
	bool more = rmnic_remote_spill_poll(r);
	int words = SCAN_WORDS;

	rmnic_remote_backed_look(r);
	if (!r->spills.held || r->status >= RMNIC_REMOTE_FENCED)
		return more;
	for (int i = 0; i < SCAN_SLABS && words; i++) {
		if (rmnic_env_now(&r->cfg.env) < r->spills.next_at || !free_one(r))
			return more;
		work(r, &words);
	}
	return true;
}

uint64_t rmnic_remote_unspill_due(const struct rmnic_remote *r)
{
	if (!r->spills.held || r->status >= RMNIC_REMOTE_FENCED)
		return UINT64_MAX;
	for (int i = 0; i < RMNIC_REMOTE_UNSPILLS; i++)
		if (!r->spills.unspill[i].used)
			return r->spills.only && r->retry_at < r->spills.next_at ? r->retry_at :
										   r->spills.next_at;
	return UINT64_MAX; /* what ends one of them is a reason to look */
}
