/* SPDX-License-Identifier: BSD-3-Clause */
/* All that a member lacks: what it has, what is copied to it, and which bad copies are replaced. */
#include "engine/remote_range.h"

#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)
#define KIND(word)    ((uint32_t)(word) & RMNIC_STATE_PAGE_KIND)
#define SCAN_PAGES    4096 /* in one call */
#define COPIES_OF_JOB (RMNIC_REMOTE_COPIES / 2)

/* --- A member that is being filled ------------------------------------------------------------------- */

/*
 * STATE-24: what the member has of the next pages, if it may have any. False: nobody knows yet.
 */
static bool known(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	struct rmnic_rmp_member m = { .store_id = rmnic_le64_put(j->store_id),
				      .handle = rmnic_le64_put(j->handle) };
	struct rmnic_remote_range *range = j->range;
	uint64_t rest = r->state.slab_pages - j->known;

	if (!j->has_some || j->page < j->known)
		return true;
	if (!rmnic_remote_range_idle(range))
		return false;
	if (j->looking) {
		j->looking = false;
		j->known += range->pages;
		j->failed = range->status != RMNIC_RMP_S_OK;
		j->status = range->status;
		return !j->failed;
	}
	range->store = r;
	range->rpn = j->slab * r->state.slab_pages + j->known;
	range->pages = rest < RMNIC_RANGE_PAGES ? (uint32_t)rest : RMNIC_RANGE_PAGES;
	j->looking = rmnic_remote_range_ask(range, 0, j->peer, &m);
	j->failed = !j->looking;
	return false;
}

/* Whether the member lacks the page. What is being written goes to it by itself. */
static bool lacks(const struct rmnic_remote *r, const struct rmnic_remote_job *j, uint64_t rpn)
{
	uint64_t word = rmnic_state_page(&r->state, rpn), held;

	if (KIND(word) != RMNIC_STATE_PAGE_HELD || rmnic_remote_is_writing(r, rpn))
		return false;
	if (!j->has_some || word & RMNIC_STATE_PAGE_WRITING) /* by a predecessor, who is dead */
		return true;
	held = j->range->held[0][rpn - j->range->rpn].vstate;
	return VERSION(held) != VERSION(word) || held & RMNIC_RMP_PAGE_BAD ||
	       !(held & (RMNIC_RMP_PAGE_STORED | RMNIC_RMP_PAGE_FILLED));
}

/* Freed pages from j->freed on, as far as one request goes. Gives how many ranges that are. */
static uint32_t collect_freed(struct rmnic_remote *r, struct rmnic_remote_job *j,
			      struct rmnic_remote_copy *c)
{
	uint64_t first = j->slab * r->state.slab_pages, end = UINT64_MAX;
	uint32_t n = 0, pages = 0;

	for (unsigned int k = 0; k < SCAN_PAGES && j->freed < r->state.slab_pages; k++, j->freed++) {
		uint64_t rpn = first + j->freed, word = rmnic_state_page(&r->state, rpn);

		/* A tombstone of now would bury a write that is on its way: that write's end tells. */
		if (KIND(word) != RMNIC_STATE_PAGE_FREED || word & RMNIC_STATE_PAGE_WRITING)
			continue;
		if (pages == RMNIC_RMP_MAX_FREE || (rpn != end && n == RMNIC_RMP_MAX_RANGES))
			return n;
		if (rpn == end) {
			c->range[n - 1].pages =
				rmnic_le32_put(rmnic_le32_get(c->range[n - 1].pages) + 1);
		} else {
			c->range[n++] = (struct rmnic_rmp_range){ .rpn = rmnic_le64_put(rpn),
								  .pages = rmnic_le32_put(1) };
		}
		end = rpn + 1;
		pages++;
	}
	return n;
}

bool rmnic_remote_copy_slab(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	uint64_t first = j->slab * r->state.slab_pages;
	struct rmnic_remote_copy *c;
	uint32_t n;

	for (unsigned int k = 0; k < SCAN_PAGES && !j->failed && !j->stalled; k++) {
		bool freed = j->freed < r->state.slab_pages;

		if (!freed && j->page == r->state.slab_pages)
			return false;
		if (!freed && !known(r, j))
			return false;
		if (!freed && !lacks(r, j, first + j->page)) {
			j->page++;
			continue;
		}
		c = j->copies < COPIES_OF_JOB ? rmnic_remote_copy_get(r) : NULL;
		if (!c)
			return false;
		if (!freed)
			rmnic_remote_copy_page(r, c, j, first + j->page++, j->store_id, j->handle);
		else if ((n = collect_freed(r, j, c)))
			rmnic_remote_copy_freed(r, c, j, n);
	}
	return !j->failed && !j->stalled;
}

bool rmnic_remote_copy_more(const struct rmnic_remote *r, const struct rmnic_remote_job *j)
{
	return j->page < r->state.slab_pages && j->copies < COPIES_OF_JOB && !j->looking;
}

/* --- Bad ones --------------------------------------------------------------------------------------- */

void rmnic_remote_fix(struct rmnic_remote *r, uint64_t rpn, unsigned int i)
{
	const struct rmnic_remote_slab *s = &r->slabs[rpn / r->state.slab_pages];
	struct rmnic_remote_repair *p = &r->repair;
	struct rmnic_remote_bad bad = {
		.rpn = rpn,
		.store_id = rmnic_le64_get(s->member[i].store_id),
		.handle = rmnic_le64_get(s->member[i].handle),
	};

	for (uint32_t k = 0; k < p->nbad; k++)
		if (p->bad[k].rpn == rpn && p->bad[k].handle == bad.handle)
			return;
	for (int k = 0; k < RMNIC_REMOTE_COPIES; k++) /* it is being replaced */
		if (p->copies[k].used && !p->copies[k].job && p->copies[k].rpn == rpn &&
		    p->copies[k].handle == bad.handle)
			return;
	if (p->nbad < RMNIC_REMOTE_FIXES) /* else somebody finds it again */
		p->bad[p->nbad++] = bad;
}

bool rmnic_remote_copy_bad(struct rmnic_remote *r)
{
	struct rmnic_remote_repair *p = &r->repair;
	struct rmnic_remote_bad gone;

	while (p->nbad) {
		struct rmnic_remote_bad *bad = &p->bad[p->nbad - 1];
		const struct rmnic_remote_slab *s = &r->slabs[bad->rpn / r->state.slab_pages];
		uint64_t word = rmnic_state_page(&r->state, bad->rpn);
		struct rmnic_remote_copy *c;
		int i = rmnic_remote_entry(s, bad->store_id, bad->handle);

		/* Written anew, freed, or being copied anyway. */
		if (i < 0 || s->syncing >> i & 1 || KIND(word) != RMNIC_STATE_PAGE_HELD ||
		    word & RMNIC_STATE_PAGE_WRITING) {
			p->nbad--;
			continue;
		}
		c = rmnic_remote_copy_get(r);
		if (!c)
			return true;
		/* Its place in the queue is another one's by the time the copy is under way. */
		gone = *bad;
		p->nbad--;
		rmnic_remote_copy_page(r, c, NULL, gone.rpn, gone.store_id, gone.handle);
	}
	return false;
}
