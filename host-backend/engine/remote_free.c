/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages given back. The page's word says so at once and is the truth; the members are told
 * later, in the background, so that their memory is of use to others (RULES A9).
 */
#include <string.h>

#include "engine/store_remote_internal.h"

#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)
#define BITS(word)    ((uint32_t)(word) & 0xffff)
#define SCAN_WORDS    16 /* of the bitmap, in one call */
_Static_assert(SCAN_WORDS * 64 <= RMNIC_RMP_MAX_FREE, "RMP-38: a FREE is about no more pages");
#define TELL_NS       UINT64_C(5000000000)
#define TELL_PAUSE_NS UINT64_C(100000000)

void rmnic_remote_tell_add(struct rmnic_remote *r, uint64_t rpn)
{
	uint64_t bit = 1ull << (rpn % 64);

	r->tell_count += !(r->tell[rpn / 64] & bit);
	r->tell[rpn / 64] |= bit;
}

void rmnic_remote_tell_drop(struct rmnic_remote *r, uint64_t rpn)
{
	uint64_t bit = 1ull << (rpn % 64);

	r->tell_count -= !!(r->tell[rpn / 64] & bit);
	r->tell[rpn / 64] &= ~bit;
}

uint16_t rmnic_remote_free_pages(struct rmnic_store *store, uint64_t rpn, uint32_t n)
{
	struct rmnic_remote *r = (struct rmnic_remote *)store;
	uint64_t version = 0;

	for (uint64_t i = rpn; i < rpn + n; i++) {
		uint64_t word = rmnic_state_page(&r->state, i);
		uint32_t kind = (uint32_t)word & RMNIC_STATE_PAGE_KIND;
		uint32_t writing = (uint32_t)word & RMNIC_STATE_PAGE_WRITING;

		/* Zeros already; a discard of a whole device touches no more than it must. */
		if (((kind == RMNIC_STATE_PAGE_NEVER && !r->slabs[i / r->state.slab_pages].waiting) ||
		     kind == RMNIC_STATE_PAGE_FREED) && !writing)
			continue;
		if (!version)
			version = rmnic_state_version(&r->state);
		if (!version)
			return RMNIC_SC_INTERNAL;
		rmnic_remote_word_set(r, i, version,
				      RMNIC_STATE_PAGE_FREED | RMNIC_STATE_PAGE_TELL | writing);
		rmnic_remote_tell_add(r, i);
	}
	return RMNIC_SC_OK;
}

/*
 * Whether members are to be told of a page. Not while a write is under way: the telling's
 * version would be above the write's, and bury it.
 */
static bool untold(uint64_t word)
{
	uint32_t kind = (uint32_t)word & RMNIC_STATE_PAGE_KIND;

	return (kind == RMNIC_STATE_PAGE_FREED || kind == RMNIC_STATE_PAGE_LOST) &&
	       word & RMNIC_STATE_PAGE_TELL && !(word & RMNIC_STATE_PAGE_WRITING);
}

/* --- Telling ----------------------------------------------------------------------------------- */

/* All members have answered: what was told is told, the rest is told again some time. */
static void told(struct rmnic_remote_free *f)
{
	struct rmnic_remote *r = f->store;

	for (uint32_t i = 0; i < f->ranges; i++) {
		uint64_t rpn = rmnic_le64_get(f->range[i].rpn);
		uint64_t end = rpn + rmnic_le32_get(f->range[i].pages);

		for (; rpn < end; rpn++) {
			uint64_t word = rmnic_state_page(&r->state, rpn);

			/* Written or freed again meanwhile: not what this was about. */
			if (!untold(word) || VERSION(word) > f->version)
				continue;
			if (f->failed) {
				rmnic_remote_tell_add(r, rpn);
				continue;
			}
			rmnic_state_page_set(&r->state, rpn, VERSION(word),
					     BITS(word) & ~RMNIC_STATE_PAGE_TELL);
			RMNIC_COUNT(r->remote.frees_told, 1);
		}
	}
}

static void tell_answered(struct rmnic_remote_free *f)
{
	if (--f->pending)
		return;
	if (f->failed) /* not again at once */
		f->store->tell_after = rmnic_env_now(&f->store->cfg.env) + TELL_PAUSE_NS;
	told(f);
}

static void tell_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_free *f = call->arg;

	/* A member that has lost the slab has lost the pages too. */
	if (call->status != RMNIC_RMP_S_OK && call->status != RMNIC_RMP_S_UNKNOWN_SLAB &&
	    call->status != RMNIC_CALL_EMPTY)
		f->failed = true;
	if (call->status == RMNIC_RMP_S_FENCED)
		rmnic_remote_move(f->store, RMNIC_REMOTE_FENCED);
	tell_answered(f);
}

static void tell_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_free *f = call->arg;

	if (--f->leaving == 0)
		f->used = false;
}

/* Takes pages out of the bitmap, of one slab, in order. False: there are none just here. */
static bool collect(struct rmnic_remote *r, struct rmnic_remote_free *f)
{
	uint64_t words = (r->state.npages + 63) / 64;
	uint64_t slab = UINT64_MAX, end = 0;

	f->ranges = 0;
	for (int i = 0; i < SCAN_WORDS; i++, r->tell_cursor++) {
		if (r->tell_cursor >= words)
			r->tell_cursor = 0;
		while (r->tell[r->tell_cursor]) {
			uint64_t rpn = r->tell_cursor * 64 +
				       (uint64_t)__builtin_ctzll(r->tell[r->tell_cursor]);
			struct rmnic_rmp_range *range = &f->range[f->ranges];

			if (!untold(rmnic_state_page(&r->state, rpn))) {
				rmnic_remote_tell_drop(r, rpn); /* its write adds it again */
				continue;
			}
			if (slab == UINT64_MAX)
				slab = rpn / r->state.slab_pages;
			if (rpn / r->state.slab_pages != slab)
				return true;
			if (f->ranges && rpn == end) {
				range--;
				range->pages = rmnic_le32_put(rmnic_le32_get(range->pages) + 1);
			} else {
				if (f->ranges == RMNIC_RMP_MAX_RANGES)
					return true;
				*range = (struct rmnic_rmp_range){ .rpn = rmnic_le64_put(rpn),
								   .pages = rmnic_le32_put(1) };
				f->ranges++;
			}
			end = rpn + 1;
			rmnic_remote_tell_drop(r, rpn);
		}
	}
	return f->ranges != 0;
}

static void tell_members(struct rmnic_remote *r, struct rmnic_remote_free *f)
{
	uint64_t slab = rmnic_le64_get(f->range[0].rpn) / r->state.slab_pages;
	struct rmnic_remote_slab *s = &r->slabs[slab];

	f->used = true;
	f->failed = s->waiting; /* STATE-30: nobody can be told yet */
	/* Above every write of these pages so far, below every one to come. */
	f->version = rmnic_state_version(&r->state);
	f->pending = f->leaving = 1; /* one for the loop */
	for (unsigned int i = 0; i < s->members; i++) {
		struct rmnic_rmp_call *call = &f->call[i];

		if (s->away >> i & 1)
			continue; /* it is told when it is filled (STATE-23) */
		f->pending++;
		f->leaving++;
		memset(call, 0, sizeof(*call));
		call->type = RMNIC_RMP_FREE;
		call->peer = rmnic_remote_peer_of(r, s, i);
		call->handle = rmnic_le64_get(s->member[i].handle);
		call->store_id = rmnic_le64_get(s->member[i].store_id);
		call->rpn = rmnic_le64_get(f->range[0].rpn);
		call->version = f->version;
		call->body = f->range;
		call->body_len = f->ranges * (uint32_t)sizeof(f->range[0]);
		call->deadline = rmnic_env_now(&r->cfg.env) + TELL_NS;
		call->done = tell_done;
		call->idle = tell_idle;
		call->arg = f;
		if (call->peer == RMNIC_NO_PEER || !f->version ||
		    !rmnic_rmp_client_submit(r->client, call)) {
			call->status = RMNIC_CALL_UNREACHABLE;
			tell_done(call);
			tell_idle(call);
		}
	}
	tell_answered(f);
	if (--f->leaving == 0)
		f->used = false;
}

bool rmnic_remote_tell(struct rmnic_remote *r)
{
	if (!r->tell_count || r->status >= RMNIC_REMOTE_FENCED ||
	    rmnic_env_now(&r->cfg.env) < r->tell_after)
		return false;
	for (int i = 0; i < RMNIC_REMOTE_FREES; i++) {
		struct rmnic_remote_free *f = &r->frees[i];

		if (f->used)
			continue;
		f->store = r;
		if (collect(r, f))
			tell_members(r, f);
		return r->tell_count && rmnic_env_now(&r->cfg.env) >= r->tell_after;
	}
	return false;
}

uint64_t rmnic_remote_tell_due(const struct rmnic_remote *r)
{
	if (r->tell_count && r->status < RMNIC_REMOTE_FENCED)
		for (int i = 0; i < RMNIC_REMOTE_FREES; i++)
			if (!r->frees[i].used)
				return r->tell_after;
	return UINT64_MAX;
}
