/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Comparing the copies of pages at rest (STATE-27): slowly through all slabs, a range at a time, what
 * each member says it holds of it with what the page's word says, and with each other. A server
 * finds damage in its own memory (RMP-40); here its word for it is heard.
 */
#include <string.h>

#include "engine/remote_range.h"

#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)
#define CONTENT (RMNIC_RMP_PAGE_STORED | RMNIC_RMP_PAGE_FILLED)
#define LOOK_RANGES 256 /* passed over in one call: no page of theirs is held */
#define EMPTY_NS UINT64_C(50000000) /* until the next look, then */
#define STEP_NS UINT64_C(1000000000)

enum scrub_step {
	SCRUB_IDLE,
	SCRUB_ASK,    /* members of the range, one after the other */
	SCRUB_DOUBT,  /* two say different things of one version: each copy is read */
};

struct rmnic_remote_scrub {
	enum scrub_step step;
	struct rmnic_remote_range range;
	uint64_t next;   /* rpn at which the next range begins */
	uint64_t due;    /* ns */
	uint64_t view;   /* of the slab when the range was begun */
	uint64_t word[RMNIC_RANGE_PAGES]; /* then */
	uint32_t doubt;  /* page of the range */
	unsigned int reading; /* entry */
	bool asked;      /* for that page */
	struct rmnic_rmp_call call;
	uint64_t page[RMNIC_PAGE_SIZE / 8]; /* read to be checked, and for nothing else */
};

bool rmnic_remote_scrub_create(struct rmnic_remote *r)
{
	r->scrub = r->cfg.env.ops->alloc(r->cfg.env.arg, sizeof(*r->scrub));
	if (r->scrub)
		r->scrub->range.store = r;
	return r->scrub != NULL;
}

void rmnic_remote_scrub_destroy(struct rmnic_remote *r)
{
	r->cfg.env.ops->free(r->cfg.env.arg, r->scrub);
}

static struct rmnic_remote_slab *slab_of(const struct rmnic_remote *r)
{
	return &r->slabs[r->scrub->range.rpn / r->state.slab_pages];
}

/* Every whole member is here and answers: what is silent is others' business. */
static bool all_here(struct rmnic_remote *r, struct rmnic_remote_slab *s)
{
	unsigned int whole = rmnic_remote_whole(s);
	struct rmnic_peer_info info;

	for (unsigned int i = 0; i < s->members; i++) {
		uint16_t peer = rmnic_remote_peer_of(r, s, i);

		if (!(whole >> i & 1))
			continue;
		if (peer == RMNIC_NO_PEER)
			return false;
		rmnic_rmp_client_peer(r->client, peer, &info);
		if (info.state != RMNIC_PEER_READY || info.silent ||
		    info.store_id != rmnic_le64_get(s->member[i].store_id))
			return false;
	}
	return whole != 0;
}

/* What can be judged: a page that no write is under way for. */
static bool is_at_rest(uint64_t word)
{
	return (word & (RMNIC_STATE_PAGE_KIND | RMNIC_STATE_PAGE_WRITING)) == RMNIC_STATE_PAGE_HELD;
}

/* --- One range ------------------------------------------------------------------------------- */

static void rest(struct rmnic_remote *r, uint32_t pages)
{
	uint64_t now = rmnic_env_now(&r->cfg.env);

	r->scrub->step = SCRUB_IDLE;
	r->scrub->due = now + (pages ? pages * UINT64_C(1000000000) / r->cfg.scrub_rate : EMPTY_NS);
}

/* True: a range with pages to compare begins at sc->next. */
static bool take_range(struct rmnic_remote *r)
{
	struct rmnic_remote_scrub *sc = r->scrub;
	struct rmnic_remote_range *range = &sc->range;
	uint64_t slab, end;
	bool some = false;

	if (sc->next >= r->state.npages)
		sc->next = 0;
	slab = sc->next / r->state.slab_pages;
	end = (slab + 1) * r->state.slab_pages;
	range->rpn = sc->next;
	if (r->slabs[slab].waiting || !all_here(r, &r->slabs[slab])) {
		sc->next = end;
		return false;
	}
	range->pages = end - sc->next < RMNIC_RANGE_PAGES ? (uint32_t)(end - sc->next)
							  : RMNIC_RANGE_PAGES;
	sc->next += range->pages;
	for (uint32_t k = 0; k < range->pages; k++) {
		sc->word[k] = rmnic_state_page(&r->state, range->rpn + k);
		some |= is_at_rest(sc->word[k]);
	}
	sc->view = r->slabs[slab].view;
	return some;
}

static void begin(struct rmnic_remote *r)
{
	for (int i = 0; i < LOOK_RANGES; i++) {
		if (!take_range(r))
			continue;
		r->scrub->range.i = RMNIC_MEMBERS; /* nobody was asked */
		r->scrub->step = SCRUB_ASK;
		return;
	}
	rest(r, 0);
}

/* The next whole member behind entry i; RMNIC_MEMBERS: there is none. */
static unsigned int next_whole(const struct rmnic_remote_slab *s, unsigned int i)
{
	unsigned int whole = rmnic_remote_whole(s);

	for (i = i == RMNIC_MEMBERS ? 0 : i + 1; i < s->members; i++)
		if (whole >> i & 1)
			return i;
	return RMNIC_MEMBERS;
}

static void bad_copy(struct rmnic_remote *r, uint32_t k, unsigned int i)
{
	RMNIC_COUNT(r->remote.scrub_bad, 1);
	rmnic_remote_fix(r, r->scrub->range.rpn + k, i);
}

/* Whether nothing has happened to the page since the range was begun. */
static bool is_unchanged(const struct rmnic_remote *r, uint32_t k)
{
	return is_at_rest(r->scrub->word[k]) &&
	       rmnic_state_page(&r->state, r->scrub->range.rpn + k) == r->scrub->word[k];
}

/* Judges a page of the range. True: copies of the right version differ. */
static bool compare(struct rmnic_remote *r, uint32_t k)
{
	const struct rmnic_remote_scrub *sc = r->scrub;
	const struct rmnic_remote_held *first = NULL;
	struct rmnic_remote_slab *s = slab_of(r);
	bool differ = false;

	if (!is_unchanged(r, k))
		return false;
	RMNIC_COUNT(r->remote.scrubbed, 1);
	for (unsigned int i = next_whole(s, RMNIC_MEMBERS); i < RMNIC_MEMBERS; i = next_whole(s, i)) {
		const struct rmnic_remote_held *h = &sc->range.held[i][k];

		if (h->vstate >> RMNIC_RMP_VERSION_SHIFT != VERSION(sc->word[k]) ||
		    !(h->vstate & CONTENT) || (h->vstate & RMNIC_RMP_PAGE_BAD)) {
			bad_copy(r, k, i);
			continue;
		}
		if (!first)
			first = h;
		differ |= h->crc != first->crc || h->vstate != first->vstate;
	}
	return differ;
}

/* From page k on. */
static void compare_from(struct rmnic_remote *r, uint32_t k)
{
	struct rmnic_remote_scrub *sc = r->scrub;

	for (; k < sc->range.pages; k++) {
		if (!compare(r, k))
			continue;
		sc->doubt = k;
		sc->reading = RMNIC_MEMBERS;
		sc->step = SCRUB_DOUBT;
		return;
	}
	rest(r, sc->range.pages);
}

/* --- A page in doubt ----------------------------------------------------------------------------- */

static void read_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote *r = call->arg;
	struct rmnic_remote_scrub *sc = r->scrub;

	/* A checksum is wrong for one of them: the client finds out which (RMP-3). */
	if (call->status == RMNIC_RMP_S_CORRUPT && slab_of(r)->view == sc->view &&
	    is_unchanged(r, sc->doubt))
		bad_copy(r, sc->doubt, sc->reading);
}

static void read_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote *r = call->arg;

	r->scrub->asked = false;
}

static bool read_next(struct rmnic_remote *r)
{
	struct rmnic_remote_scrub *sc = r->scrub;
	struct rmnic_rmp_call *call = &sc->call;
	struct rmnic_remote_slab *s = slab_of(r);

	sc->reading = next_whole(s, sc->reading);
	if (sc->reading == RMNIC_MEMBERS) {
		compare_from(r, sc->doubt + 1);
		return true;
	}
	memset(call, 0, sizeof(*call));
	call->type = RMNIC_RMP_READ;
	call->peer = rmnic_remote_peer_of(r, s, sc->reading);
	call->store_id = rmnic_le64_get(s->member[sc->reading].store_id);
	call->handle = rmnic_le64_get(s->member[sc->reading].handle);
	call->rpn = sc->range.rpn + sc->doubt;
	call->page = sc->page;
	call->deadline = rmnic_env_now(&r->cfg.env) + STEP_NS;
	call->done = read_done;
	call->idle = read_idle;
	call->arg = r;
	sc->asked = true; /* it may end at once */
	if (rmnic_rmp_client_submit(r->client, call))
		return false;
	sc->asked = false;
	rest(r, sc->range.pages);
	return true;
}

/* --- Rounds ---------------------------------------------------------------------------------- */

static bool ask_next(struct rmnic_remote *r)
{
	struct rmnic_remote_range *range = &r->scrub->range;
	struct rmnic_remote_slab *s = slab_of(r);
	unsigned int i;

	/* Silent, released, emptied: others see to that, and the range comes round again. */
	if (range->i != RMNIC_MEMBERS && range->status != RMNIC_RMP_S_OK) {
		rest(r, range->pages);
		return true;
	}
	i = next_whole(s, range->i);
	if (i == RMNIC_MEMBERS)
		compare_from(r, 0);
	else if (rmnic_remote_range_ask(range, i, rmnic_remote_peer_of(r, s, i), &s->member[i]))
		return false;
	else
		rest(r, range->pages);
	return true;
}

static bool may_scrub(const struct rmnic_remote *r)
{
	return r->served && r->cfg.scrub_rate && r->status < RMNIC_REMOTE_FENCED;
}

bool rmnic_remote_scrub(struct rmnic_remote *r)
{
	struct rmnic_remote_scrub *sc = r->scrub;

	if (!may_scrub(r) || sc->asked || sc->call.state != RMNIC_CALL_IDLE ||
	    !rmnic_remote_range_idle(&sc->range))
		return false;
	if (sc->step == SCRUB_IDLE) {
		if (rmnic_env_now(&r->cfg.env) < sc->due)
			return false;
		begin(r);
		return sc->step != SCRUB_IDLE;
	}
	/* Other members: what was heard is of no use. */
	if (slab_of(r)->view != sc->view || !all_here(r, slab_of(r))) {
		rest(r, sc->range.pages);
		return false;
	}
	return sc->step == SCRUB_ASK ? ask_next(r) : read_next(r);
}

uint64_t rmnic_remote_scrub_due(const struct rmnic_remote *r)
{
	const struct rmnic_remote_scrub *sc = r->scrub;

	if (!may_scrub(r))
		return UINT64_MAX;
	if (sc->step == SCRUB_IDLE)
		return sc->due;
	/* An answer is there, or it comes as a datagram. */
	return sc->asked || !rmnic_remote_range_idle(&sc->range) ? UINT64_MAX : 0;
}
