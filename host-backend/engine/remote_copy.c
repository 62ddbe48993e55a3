/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Copying between members of a slab: a page under the version that it has, ranges of freed pages as
 * tombstones. What the guest writes meanwhile goes to the same member by itself, and servers keep
 * the newer of two (RMP-19): copies and writes may pass each other.
 */
#include <string.h>

#include "engine/page.h"
#include "engine/store_remote_internal.h"

#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)
#define KIND(word)    ((uint32_t)(word) & RMNIC_STATE_PAGE_KIND)
#define READ_NS       UINT64_C(1000000000)
#define WRITE_NS      UINT64_C(5000000000)
#define TOKEN         UINT64_C(1000000000) /* a page's */
#define SECOND_NS     UINT64_C(1000000000)
#define BURST         100  /* of a second's pages: so many may be saved up */
#define SPOILT        4    /* answers, until a page is taken to be wrong where it is and not on its way */

static void copy_done(struct rmnic_rmp_call *call);
static void copy_idle(struct rmnic_rmp_call *call);

static struct rmnic_remote_slab *slab_of(const struct rmnic_remote_copy *c)
{
	return &c->store->slabs[c->rpn / c->store->state.slab_pages];
}

/* --- The rate ------------------------------------------------------------------------------------ */

static void refill(struct rmnic_remote *r)
{
	struct rmnic_remote_repair *p = &r->repair;
	uint64_t now = rmnic_env_now(&r->cfg.env), past = now - p->filled_at;
	uint64_t most = (r->cfg.repair_rate / BURST + 1) * TOKEN;

	p->filled_at = now;
	p->tokens += (past < SECOND_NS ? past : SECOND_NS) * r->cfg.repair_rate;
	if (p->tokens > most)
		p->tokens = most;
}

static bool spend(struct rmnic_remote *r)
{
	refill(r);
	if (r->repair.tokens < TOKEN)
		return false;
	r->repair.tokens -= TOKEN;
	return true;
}

struct rmnic_remote_copy *rmnic_remote_copy_get(struct rmnic_remote *r)
{
	for (int i = 0; i < RMNIC_REMOTE_COPIES; i++)
		if (!r->repair.copies[i].used)
			return spend(r) ? &r->repair.copies[i] : NULL;
	return NULL;
}

uint64_t rmnic_remote_copy_due(const struct rmnic_remote *r)
{
	const struct rmnic_remote_repair *p = &r->repair;

	for (int i = 0; i < RMNIC_REMOTE_COPIES; i++)
		if (!p->copies[i].used) /* else one that ends is a look */
			return p->tokens >= TOKEN ? p->filled_at :
						    p->filled_at + (TOKEN - p->tokens) /
									   r->cfg.repair_rate + 1;
	return UINT64_MAX;
}

/* --- One of them --------------------------------------------------------------------------------- */

static void copy_end(struct rmnic_remote_copy *c)
{
	if (c->job)
		c->job->copies--;
	c->job = NULL;
	c->ended = true;
	c->used = c->call.state != RMNIC_CALL_IDLE;
}

static bool copy_submit(struct rmnic_remote_copy *c, uint8_t type, uint16_t peer, uint64_t store_id,
			uint64_t handle, uint64_t within)
{
	struct rmnic_remote *r = c->store;
	struct rmnic_rmp_call *call = &c->call;

	call->type = type;
	call->peer = peer;
	call->store_id = store_id;
	call->handle = handle;
	call->rpn = c->rpn;
	call->deadline = rmnic_env_now(&r->cfg.env) + within;
	call->done = copy_done;
	call->idle = copy_idle;
	call->arg = c;
	c->again = false;
	return peer != RMNIC_NO_PEER && rmnic_rmp_client_submit(r->client, call);
}

/* A member to read from that was not read yet; RMNIC_MEMBERS: there is none. */
static unsigned int source(struct rmnic_remote_copy *c)
{
	struct rmnic_remote_slab *s = slab_of(c);

	if (c->view != s->view) { /* its entries are others now */
		c->view = s->view;
		c->tried = 0;
	}
	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_remote_whole(s) >> i & 1 && !(c->tried >> i & 1) &&
		    rmnic_le64_get(s->member[i].handle) != c->handle &&
		    rmnic_remote_is_ready(c->store, s, i))
			return i;
	return RMNIC_MEMBERS;
}

/* Nobody is left to be read: those who could be asked have it wrong, or the others are away. */
static void copy_without_source(struct rmnic_remote_copy *c)
{
	struct rmnic_remote_slab *s = slab_of(c);
	unsigned int missing = rmnic_remote_whole(s) & ~(unsigned int)c->tried;

	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_le64_get(s->member[i].handle) == c->handle)
			missing &= ~(1u << i);
	if (c->job && (missing || c->unheard))
		c->job->stalled = true;
	else if (c->job) /* no member has the page: to be filled is to be as the others are */
		RMNIC_COUNT(c->store->remote.missing, 1);
	copy_end(c);
}

static void copy_read(struct rmnic_remote_copy *c)
{
	struct rmnic_remote_slab *s = slab_of(c);
	unsigned int i = source(c);

	if (i == RMNIC_MEMBERS) {
		copy_without_source(c);
		return;
	}
	c->source = (uint8_t)i;
	memset(&c->call, 0, sizeof(c->call));
	c->call.page = c->page;
	if (!copy_submit(c, RMNIC_RMP_READ, s->peer[i], rmnic_le64_get(s->member[i].store_id),
			 rmnic_le64_get(s->member[i].handle), READ_NS)) {
		c->unheard = true;
		c->tried |= (uint8_t)(1u << i);
		copy_without_source(c);
	}
}

static void copy_failed(struct rmnic_remote_copy *c, uint16_t status)
{
	if (c->job) {
		c->job->failed = true;
		c->job->status = status;
	}
	copy_end(c);
}

/* The page is here: under the version that it has it goes to the one that lacks it (STATE-27). */
static void copy_write(struct rmnic_remote_copy *c)
{
	const struct rmnic_crc32c *crc = rmnic_rmp_client_crc(c->store->client);
	const uint8_t *uuid = c->store->cfg.device;
	bool filled = c->call.got_flags & RMNIC_RMP_F_FILLED;
	uint32_t word = c->call.got_word;
	uint64_t version = c->call.got_version;
	struct rmnic_rmp_call *call = &c->call;

	memset(call, 0, sizeof(*call));
	call->version = version;
	if (filled) {
		c->fill = rmnic_le32_put(word);
		call->body = &c->fill;
		call->body_len = sizeof(c->fill);
		call->crc = rmnic_rmp_fill_crc(crc, word, uuid, c->rpn, version);
	} else {
		call->body = c->page;
		call->body_len = RMNIC_PAGE_SIZE;
		call->crc = rmnic_page_seal(crc, rmnic_crc32c_update(crc, 0, c->page,
								     RMNIC_PAGE_SIZE),
					    uuid, c->rpn, version);
	}
	if (!copy_submit(c, filled ? RMNIC_RMP_WRITE_FILLED : RMNIC_RMP_WRITE,
			 rmnic_remote_peer_with(c->store, slab_of(c), c->store_id, c->handle),
			 c->store_id, c->handle, WRITE_NS))
		copy_failed(c, RMNIC_CALL_UNREACHABLE);
}

/* Whether the page is still what it was when it was decided to copy it, and nobody writes to it. */
static bool same(const struct rmnic_remote_copy *c)
{
	return rmnic_state_page(&c->store->state, c->rpn) == c->word &&
	       !rmnic_remote_is_writing(c->store, c->rpn);
}

/* STATE-3. A write that a predecessor did not live to end has perhaps been read. */
static bool version_ok(const struct rmnic_remote_copy *c, uint64_t got)
{
	return got == VERSION(c->word) ||
	       (got > VERSION(c->word) && c->word & RMNIC_STATE_PAGE_WRITING);
}

/* What came of reading one member. True: the page is good. */
static bool read_ok(struct rmnic_remote_copy *c)
{
	struct rmnic_remote *r = c->store;
	const struct rmnic_rmp_call *call = &c->call;
	int i = rmnic_remote_entry(slab_of(c), call->store_id, call->handle);

	switch (call->status) {
	case RMNIC_RMP_S_OK:
		if (version_ok(c, call->got_version))
			return true;
		/* No write of it is under way: it is not newer by rights, either. */
		/* fall through */
	case RMNIC_RMP_S_ABSENT:
	case RMNIC_RMP_S_CORRUPT:
		if (call->status == RMNIC_RMP_S_CORRUPT && ++c->spoilt < SPOILT)
			return false; /* it is asked again */
		c->spoilt = 0;
		if (i >= 0)
			rmnic_remote_fix(r, c->rpn, (unsigned int)i);
		break;
	case RMNIC_RMP_S_FENCED:
		rmnic_remote_move(r, RMNIC_REMOTE_FENCED);
		break;
	case RMNIC_CALL_EMPTY:
	case RMNIC_RMP_S_UNKNOWN_SLAB:
		if (i >= 0)
			rmnic_remote_drop(r, c->rpn / r->state.slab_pages, (unsigned int)i, true);
		break;
	default:
		c->unheard = true;
	}
	c->tried |= (uint8_t)(1u << c->source);
	return false;
}

static void written(struct rmnic_remote_copy *c)
{
	struct rmnic_remote *r = c->store;
	struct rmnic_remote_slab *s = slab_of(c);
	int i = rmnic_remote_entry(s, c->store_id, c->handle);

	switch (c->call.status) {
	case RMNIC_RMP_S_OK:
		RMNIC_COUNT(r->remote.copied, c->call.type != RMNIC_RMP_FREE);
		if (c->job) {
			c->job->copied += c->call.type != RMNIC_RMP_FREE;
		} else {
			RMNIC_COUNT(r->remote.fixed, 1);
			rmnic_remote_event(r, RMNIC_REMOTE_EV_PAGE_FIXED,
					   c->rpn / r->state.slab_pages, c->rpn, 1,
					   i < 0 ? NULL : s->member[i].server);
		}
		break;
	case RMNIC_RMP_S_STALE:
		/* The guest was there first; or it has what nobody acknowledged (STATE-24). */
		if (i >= 0 && c->call.type != RMNIC_RMP_FREE && same(c)) {
			rmnic_remote_orphaned(r, c->rpn / r->state.slab_pages, (unsigned int)i,
					      VERSION(c->word));
			copy_failed(c, RMNIC_RMP_S_STALE);
			return;
		}
		break;
	case RMNIC_RMP_S_FENCED:
		rmnic_remote_move(r, RMNIC_REMOTE_FENCED);
		break;
	default:
		copy_failed(c, c->call.status);
		return;
	}
	copy_end(c);
}

static void copy_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_copy *c = call->arg;

	if (c->ended)
		return;
	if (call->type != RMNIC_RMP_READ)
		written(c);
	else if (!same(c)) /* written or freed meanwhile: that goes there by itself */
		copy_end(c);
	else
		c->good = read_ok(c);
	c->again = !c->ended;
}

static void copy_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_copy *c = call->arg;

	if (c->ended)
		c->used = false;
	else if (c->again && c->good)
		copy_write(c);
	else if (c->again)
		copy_read(c);
}

static void copy_begin(struct rmnic_remote *r, struct rmnic_remote_copy *c,
		       struct rmnic_remote_job *j, uint64_t rpn, uint64_t store_id, uint64_t handle)
{
	c->store = r;
	c->job = j;
	c->used = true;
	c->ended = c->again = c->good = c->unheard = false;
	c->tried = c->spoilt = 0;
	c->rpn = rpn;
	c->view = slab_of(c)->view;
	c->word = rmnic_state_page(&r->state, rpn);
	c->store_id = store_id;
	c->handle = handle;
	if (j)
		j->copies++;
}

void rmnic_remote_copy_page(struct rmnic_remote *r, struct rmnic_remote_copy *c,
			    struct rmnic_remote_job *job, uint64_t rpn, uint64_t store_id,
			    uint64_t handle)
{
	copy_begin(r, c, job, rpn, store_id, handle);
	copy_read(c);
}

void rmnic_remote_copy_freed(struct rmnic_remote *r, struct rmnic_remote_copy *c,
			     struct rmnic_remote_job *job, uint32_t n)
{
	copy_begin(r, c, job, rmnic_le64_get(c->range[0].rpn), job->store_id, job->handle);
	memset(&c->call, 0, sizeof(c->call));
	/* Above every write of these pages so far, below every one to come. */
	c->call.version = rmnic_state_version(&r->state);
	c->call.body = c->range;
	c->call.body_len = n * (uint32_t)sizeof(c->range[0]);
	if (!c->call.version || !copy_submit(c, RMNIC_RMP_FREE, job->peer, job->store_id,
					     job->handle, WRITE_NS))
		copy_failed(c, RMNIC_CALL_UNREACHABLE);
}

void rmnic_remote_copy_cancel(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	for (int i = 0; i < RMNIC_REMOTE_COPIES; i++) {
		struct rmnic_remote_copy *c = &r->repair.copies[i];

		if (!c->used || c->job != j)
			continue;
		copy_end(c);
		rmnic_rmp_client_cancel(r->client, &c->call);
	}
}
