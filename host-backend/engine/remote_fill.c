/* SPDX-License-Identifier: BSD-3-Clause */
/* The words of a slab that is recovered, from what its members hold (STATE-30). */
#include "engine/remote_recover.h"

#include <string.h>

#define CONTENT (RMNIC_RMP_PAGE_STORED | RMNIC_RMP_PAGE_FILLED)

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

/* Who has the newest of page k of the range. differ: not all have that. */
static unsigned int newest(const struct rmnic_remote_recovery *rec, uint32_t k, bool *differ)
{
	unsigned int high = 0;

	*differ = false;
	for (unsigned int i = 1; i < rec->n; i++) {
		*differ |= !is_same(&rec->range.held[i][k], &rec->range.held[0][k]);
		if (rec->range.held[i][k].vstate >> RMNIC_RMP_VERSION_SHIFT >
		    rec->range.held[high][k].vstate >> RMNIC_RMP_VERSION_SHIFT)
			high = i;
	}
	return high;
}

/*
 * Members that differ were told of a write, or of a FREE, that did not come to its end. It was the
 * last one of that page, for there is only one at a time; so it may count, as a write does that is
 * redriven: the page is given to those that lack it, and only then is it HELD. Nobody may answer with
 * the old content once somebody has answered with the new one.
 */
static void agree_on(struct rmnic_remote *r, uint32_t k, unsigned int from)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	const struct rmnic_remote_held *high = &rec->range.held[from][k];
	struct rmnic_remote_agree *a = &rec->agree;

	a->member = rec->member;
	a->from = from;
	a->rpn = rec->range.rpn + k;
	a->version = high->vstate >> RMNIC_RMP_VERSION_SHIFT;
	a->crc = high->crc;
	a->lacking = 0;
	for (unsigned int i = 0; i < rec->n; i++)
		a->lacking |= (uint8_t)((!is_same(&rec->range.held[i][k], high)) << i);
	rmnic_remote_agree_begin(a);
}

/* Where they could not be made to agree, the page has no content (RULES A10). */
static void agreed(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	const struct rmnic_remote_agree *a = &rec->agree;

	rmnic_remote_word_set(r, a->rpn, a->version,
			      a->failed ? RMNIC_STATE_PAGE_UNKNOWN : RMNIC_STATE_PAGE_HELD);
	RMNIC_COUNT(r->remote.indeterminate, a->failed);
	RMNIC_COUNT(r->remote.copied, !a->failed);
	rec->held += !a->failed;
}

/*
 * What the spill file has of a page that no member has as new, or that not all of them have: it was
 * acknowledged without them, or it was on its way back to them. False: the members are to say.
 */
static bool settle_spilled(struct rmnic_remote *r, uint64_t rpn, uint32_t k, uint64_t version,
			   bool differ)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	const struct rmnic_remote_place *at = &rec->places.place[k];

	if (!r->slabs[rec->slab].place_held || at->state == RMNIC_PLACE_EMPTY)
		return false;
	if (at->state != RMNIC_PLACE_RIGHT) { /* what was there may have been newer than all else */
		rmnic_remote_word_set(r, rpn, version, RMNIC_STATE_PAGE_UNKNOWN);
		RMNIC_COUNT(r->remote.indeterminate, 1);
		return true;
	}
	if (at->version < version || (at->version == version && !differ && rec->n))
		return false;
	rmnic_state_version_seen(&r->state, at->version);
	rmnic_remote_word_set(r, rpn, at->version, RMNIC_STATE_PAGE_SPILLED);
	rec->held++;
	return true;
}

static bool is_gone(uint16_t status)
{
	return status == RMNIC_RMP_S_UNKNOWN_SLAB || status == RMNIC_CALL_EMPTY;
}

/* A page's word, from what the members hold of page k of the range. */
static void settle_page(struct rmnic_remote *r, uint32_t k)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	uint64_t rpn = rec->range.rpn + k, word = rmnic_state_page(&r->state, rpn);
	bool differ;
	unsigned int from = newest(rec, k, &differ);
	const struct rmnic_remote_held *high = &rec->range.held[from][k];
	uint64_t version = high->vstate >> RMNIC_RMP_VERSION_SHIFT;

	if ((word & RMNIC_STATE_PAGE_KIND) == RMNIC_STATE_PAGE_FREED) {
		/* By the guest, while the slab waited; or by an earlier look at it. */
		if (differ || (high->vstate & CONTENT))
			free_page(r, rpn, word >> RMNIC_STATE_PAGE_VERSION_SHIFT, true);
	} else if (settle_spilled(r, rpn, k, version, differ)) {
		;
	} else if (!rec->n) { /* who had it is empty, or forced to be done without */
		rmnic_remote_word_set(r, rpn, 0, RMNIC_STATE_PAGE_LOST);
	} else if (high->vstate & RMNIC_RMP_PAGE_TOMBSTONE) {
		/* The guest gave it back: that was acknowledged before any member was told. */
		free_page(r, rpn, version, differ);
	} else if (differ) {
		agree_on(r, k, from);
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
	uint16_t peer = rmnic_remote_peer_by(r, rec->member[i].server);

	if (peer == RMNIC_NO_PEER ||
	    !rmnic_remote_range_ask(&rec->range, i, peer, &rec->member[i]))
		rec->slab = RMNIC_NO_SLAB; /* it waits on */
}

static void next_range(struct rmnic_remote *r);

/* The members have said what they hold of the range. */
static void members_said(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;

	rec->filing = r->slabs[rec->slab].place_held;
	if (!rec->filing) {
		next_range(r);
		return;
	}
	rmnic_remote_places_begin(&rec->places, rec->range.rpn, rec->range.pages);
	rmnic_remote_places_next(&rec->places);
}

static void ask_first(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;

	if (rec->n) {
		ask_member(r, 0);
		return;
	}
	memset(rec->range.held[0], 0, sizeof(rec->range.held[0]));
	members_said(r);
}

/* The file has given what it has of the range. */
static void file_said(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;

	rec->filing = false;
	if (rec->places.unread && !rec->trace.found[rec->slab].forced)
		rec->slab = RMNIC_NO_SLAB; /* a disk may have a bad moment: looked at again later */
	else
		next_range(r);
}

static void next_range(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	uint64_t end = (rec->slab + 1) * r->state.slab_pages;

	while (rec->settled < rec->range.pages && !rec->agree.running)
		settle_page(r, rec->settled++);
	if (rec->agree.running)
		return; /* it goes on from there */
	rec->settled = 0;
	rec->range.rpn += rec->range.pages;
	if (rec->range.rpn == end) {
		rmnic_remote_recover_take(r);
		return;
	}
	if (rec->range.pages > end - rec->range.rpn)
		rec->range.pages = (uint32_t)(end - rec->range.rpn);
	ask_first(r);
}

void rmnic_remote_fill_begin(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_recovery *rec = r->recovery;

	rec->slab = slab;
	rec->held = 0;
	rec->settled = 0;
	rec->range.rpn = slab * r->state.slab_pages;
	rec->range.pages = r->state.slab_pages < RMNIC_RANGE_PAGES ? r->state.slab_pages
								   : RMNIC_RANGE_PAGES;
	rec->filing = false;
	ask_first(r);
}

/* A member that is here has no such slab any more. */
static void member_gone(struct rmnic_remote *r, unsigned int i)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	uint64_t slab = rec->slab;

	rec->slab = RMNIC_NO_SLAB;
	if (!rec->trace.found[slab].forced)
		return; /* it waits: what is missing is missing */
	for (rec->n--; i < rec->n; i++)
		rec->member[i] = rec->member[i + 1];
	if (rec->n || r->slabs[slab].place_held)
		rmnic_remote_fill_begin(r, slab);
	else
		rmnic_remote_recover_lose(r, slab);
}

void rmnic_remote_fill_next(struct rmnic_remote *r)
{
	struct rmnic_remote_recovery *rec = r->recovery;
	unsigned int i = rec->range.i;

	if (rec->agree.running) {
		if (rmnic_remote_agree_next(&rec->agree))
			return;
		if (rec->agree.status == RMNIC_CALL_UNREACHABLE || is_gone(rec->agree.status)) {
			rec->slab = RMNIC_NO_SLAB; /* looked at again later, from its start */
			return;
		}
		agreed(r);
		next_range(r);
		return;
	}
	if (rec->filing) {
		if (!rmnic_remote_places_next(&rec->places))
			file_said(r);
		return;
	}
	if (is_gone(rec->range.status))
		member_gone(r, i);
	else if (rec->range.status != RMNIC_RMP_S_OK)
		rec->slab = RMNIC_NO_SLAB; /* silent: looked at again later */
	else if (i + 1 < rec->n)
		ask_member(r, i + 1);
	else
		members_said(r);
}
