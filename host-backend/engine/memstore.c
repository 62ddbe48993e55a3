/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/memstore.h"

#include <string.h>

#include "engine/le.h"

#define SLOT_BITS 20
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
#define NO_SLAB   UINT32_MAX
#define VERSION_SHIFT RMNIC_RMP_VERSION_SHIFT
#define KIND_MASK 0xffffu
#define IDLE_PAGES 256 /* given back in one call of idle */

static void *get_memory(const struct rmnic_memstore_config *c, size_t bytes)
{
	return c->env.ops->alloc(c->env.arg, bytes);
}

static void free_slabs_init(struct rmnic_memstore *ms)
{
	ms->free_slab = NO_SLAB;
	for (uint32_t i = ms->cfg.max_slabs; i-- > 0;) {
		ms->slabs[i].meta = ms->meta + (size_t)i * ms->cfg.slab_pages;
		ms->slabs[i].next = ms->free_slab;
		ms->free_slab = i;
	}
	for (uint32_t i = 0; i < ms->buckets; i++)
		ms->bucket[i] = NO_SLAB;
}

struct rmnic_memstore *rmnic_memstore_create(const struct rmnic_memstore_config *c)
{
	struct rmnic_memstore *ms;

	if (!c->pages || !c->npages || c->npages <= c->slack || c->lent > c->npages ||
	    (c->lent && c->lent <= c->slack) || !c->max_slabs ||
	    c->max_slabs > SLOT_MASK || !c->max_devices || !c->slab_pages ||
	    c->slab_pages > RMNIC_RMP_MAX_SLAB)
		return NULL;
	ms = get_memory(c, sizeof(*ms));
	if (!ms)
		return NULL;
	ms->cfg = *c;
	for (ms->buckets = 16; ms->buckets < c->max_slabs; ms->buckets *= 2)
		;
	ms->lent = c->lent ? c->lent : c->npages;
	ms->frames = rmnic_frames_create(&c->env, c->pages, c->npages, (uint32_t)ms->lent,
					 c->max_refs);
	ms->devices = get_memory(c, sizeof(*ms->devices) * c->max_devices);
	ms->slabs = get_memory(c, sizeof(*ms->slabs) * c->max_slabs);
	ms->meta = get_memory(c, sizeof(*ms->meta) * c->max_slabs * (size_t)c->slab_pages);
	ms->bucket = get_memory(c, sizeof(*ms->bucket) * ms->buckets);
	if (!ms->frames || !ms->devices || !ms->slabs || !ms->meta || !ms->bucket) {
		rmnic_memstore_destroy(ms);
		return NULL;
	}
	free_slabs_init(ms);
	rmnic_crc32c_init(&ms->crc, false);
	/* RMP-9: random, so that no store ever passes for another one. */
	ms->store_id = c->env.ops->random(c->env.arg) | 1;
	ms->generation = c->env.ops->random(c->env.arg) >> (SLOT_BITS + 1);
	return ms;
}

void rmnic_memstore_destroy(struct rmnic_memstore *ms)
{
	struct rmnic_env env;

	if (!ms)
		return;
	env = ms->cfg.env;
	env.ops->free(env.arg, ms->bucket);
	env.ops->free(env.arg, ms->meta);
	env.ops->free(env.arg, ms->slabs);
	env.ops->free(env.arg, ms->devices);
	rmnic_frames_destroy(ms->frames);
	env.ops->free(env.arg, ms);
}

/* --- Devices --------------------------------------------------------------------------- */

/* RMP-8. In a time that does not depend on where the first difference is. */
static bool token_equal(const uint8_t *a, const uint8_t *b)
{
	uint8_t diff = 0;

	for (int i = 0; i < 32; i++)
		diff |= a[i] ^ b[i];
	return diff == 0;
}

uint16_t rmnic_mem_device_open(struct rmnic_memstore *ms, const uint8_t *uuid,
			       const uint8_t *token, uint32_t *device)
{
	struct rmnic_mem_device *spare = NULL;

	for (uint32_t i = 0; i < ms->cfg.max_devices; i++) {
		struct rmnic_mem_device *d = &ms->devices[i];

		if (d->used && !memcmp(d->uuid, uuid, 16)) {
			*device = i;
			return token_equal(d->token, token) ? RMNIC_RMP_S_OK : RMNIC_RMP_S_DENIED;
		}
		/* Nothing is kept for it: its place may go to another device. */
		if (!spare && (!d->used || (!d->slabs && !d->sessions)))
			spare = d;
	}
	if (!spare)
		return RMNIC_RMP_S_NO_SPACE;
	memset(spare, 0, sizeof(*spare));
	spare->used = true;
	memcpy(spare->uuid, uuid, 16);
	memcpy(spare->token, token, 32);
	*device = (uint32_t)(spare - ms->devices);
	return RMNIC_RMP_S_OK;
}

uint16_t rmnic_mem_seal(struct rmnic_memstore *ms, uint32_t device, uint32_t epoch)
{
	struct rmnic_mem_device *d = &ms->devices[device];

	if (epoch < d->epoch)
		return RMNIC_RMP_S_FENCED;
	d->epoch = epoch; /* RMP-13: the only place where a fence moves */
	return RMNIC_RMP_S_OK;
}

/* --- Slabs ------------------------------------------------------------------------------- */

static uint32_t bucket_of(const struct rmnic_memstore *ms, uint32_t device, uint64_t number)
{
	uint64_t h = (number + 1) * 0x9e3779b97f4a7c15ull ^ (uint64_t)device << 32;

	return (uint32_t)((h ^ h >> 29) & (ms->buckets - 1));
}

static struct rmnic_mem_slab *find_number(struct rmnic_memstore *ms, uint32_t device,
					  uint64_t number, uint32_t epoch)
{
	uint32_t i = ms->bucket[bucket_of(ms, device, number)];

	for (; i != NO_SLAB; i = ms->slabs[i].next) {
		struct rmnic_mem_slab *s = &ms->slabs[i];

		if (s->device == device && s->number == number && s->epoch == epoch)
			return s;
	}
	return NULL;
}

uint64_t rmnic_mem_free_pages(const struct rmnic_memstore *ms)
{
	uint64_t promised = ms->reserved + ms->cfg.slack;

	return ms->draining || ms->pressed || promised >= ms->lent ? 0 : ms->lent - promised;
}

/* RMP-17: every page of a slab is backed from the moment the slab exists. */
static uint16_t may_alloc(const struct rmnic_memstore *ms, uint32_t device, uint32_t pages)
{
	if (ms->draining)
		return RMNIC_RMP_S_DRAINING;
	if (ms->cfg.quota && ms->devices[device].reserved + pages > ms->cfg.quota)
		return RMNIC_RMP_S_QUOTA;
	if (pages > rmnic_mem_free_pages(ms) || ms->free_slab == NO_SLAB)
		/* What was released is about to come back. */
		return ms->dying ? RMNIC_RMP_S_BUSY : RMNIC_RMP_S_NO_SPACE;
	return RMNIC_RMP_S_OK;
}

uint16_t rmnic_mem_alloc(struct rmnic_memstore *ms, uint32_t device, uint32_t epoch,
			 uint64_t number, uint32_t pages, uint64_t *handle)
{
	struct rmnic_mem_slab *s = find_number(ms, device, number, epoch);
	uint32_t slot, *bucket;
	uint16_t status;
	struct rmnic_page_meta *meta;

	if (s) { /* RMP-15 */
		*handle = s->handle;
		return s->pages == pages ? RMNIC_RMP_S_OK : RMNIC_RMP_S_INVALID;
	}
	status = may_alloc(ms, device, pages);
	if (status != RMNIC_RMP_S_OK)
		return status;
	slot = ms->free_slab;
	s = &ms->slabs[slot];
	ms->free_slab = s->next;
	/*
	 * INVARIANT: the metadata of a slab that is not in use is zeros: reap() leaves it so. It is not
	 * touched here, so that a slab takes memory for it as pages are written, and no time.
	 */
	meta = s->meta;
	memset(s, 0, sizeof(*s));
	s->meta = meta;
	/* RMP-16: the upper part counts on for ever. */
	s->handle = ++ms->generation << SLOT_BITS | slot;
	s->number = number;
	s->device = device;
	s->epoch = epoch;
	s->pages = pages;
	bucket = &ms->bucket[bucket_of(ms, device, number)];
	s->next = *bucket;
	*bucket = slot;
	ms->reserved += pages;
	ms->devices[device].reserved += pages;
	ms->devices[device].slabs++;
	*handle = s->handle;
	return RMNIC_RMP_S_OK;
}

struct rmnic_mem_slab *rmnic_mem_slab(struct rmnic_memstore *ms, uint32_t device, uint64_t handle)
{
	uint32_t slot = (uint32_t)handle & SLOT_MASK;
	struct rmnic_mem_slab *s;

	if (!handle || slot >= ms->cfg.max_slabs)
		return NULL;
	s = &ms->slabs[slot];
	return s->handle == handle && !s->dying && s->device == device ? s : NULL;
}

void rmnic_mem_release(struct rmnic_memstore *ms, struct rmnic_mem_slab *s)
{
	uint32_t slot = (uint32_t)(s - ms->slabs);
	uint32_t *at = &ms->bucket[bucket_of(ms, s->device, s->number)];

	while (*at != slot)
		at = &ms->slabs[*at].next;
	*at = s->next;
	s->dying = true;
	s->cursor = 0;
	ms->dying++;
	ms->devices[s->device].slabs--;
	ms->devices[s->device].reserved -= s->pages;
	ms->devices[s->device].stored -= s->stored;
}

bool rmnic_mem_covers(const struct rmnic_mem_slab *s, uint64_t rpn, uint64_t n)
{
	uint64_t first = s->number * s->pages;

	return rpn >= first && n <= s->pages && rpn - first <= s->pages - n;
}

struct rmnic_page_meta *rmnic_mem_page(const struct rmnic_mem_slab *s, uint64_t rpn)
{
	return &s->meta[rpn - s->number * s->pages];
}

/* --- Pages --------------------------------------------------------------------------------- */

uint16_t rmnic_mem_may_write(const struct rmnic_mem_slab *s, uint64_t rpn, uint64_t version,
			     uint32_t crc, bool *again)
{
	const struct rmnic_page_meta *m = rmnic_mem_page(s, rpn);
	uint64_t held = m->vstate >> VERSION_SHIFT;

	*again = false;
	/* RMP-40: what is damaged is replaced by what it was. */
	if (version > held || (version == held && (m->vstate & RMNIC_RMP_PAGE_BAD)))
		return RMNIC_RMP_S_OK;
	/* RMP-19: the same once more is answered as the first time, anything older refused. */
	if (version == held && m->crc == crc &&
	    (m->vstate & (RMNIC_RMP_PAGE_STORED | RMNIC_RMP_PAGE_FILLED))) {
		*again = true;
		return RMNIC_RMP_S_OK;
	}
	return RMNIC_RMP_S_STALE;
}

/* Every change of a page goes through here. */
static void meta_set(struct rmnic_memstore *ms, struct rmnic_mem_slab *s,
		     struct rmnic_page_meta *m, uint64_t version, uint16_t kind, uint32_t crc,
		     uint32_t body)
{
	const uint16_t content = RMNIC_RMP_PAGE_STORED | RMNIC_RMP_PAGE_FILLED;
	bool had = m->vstate & content, has = kind & content;
	struct rmnic_mem_device *d = &ms->devices[s->device];

	if (m->vstate & RMNIC_RMP_PAGE_STORED) {
		rmnic_frame_put(ms->frames, m->body);
		ms->stored--;
	}
	if (m->vstate & RMNIC_RMP_PAGE_BAD) {
		ms->bad--;
		ms->healed += has;
	}
	if (kind & RMNIC_RMP_PAGE_STORED)
		ms->stored++;
	if (had != has) {
		s->stored += has ? 1 : -1u;
		d->stored += has ? 1 : -1ull;
	}
	m->vstate = version << VERSION_SHIFT | kind;
	m->crc = crc;
	m->body = body;
	if (version > s->version)
		s->version = version;
	if (version > d->version)
		d->version = version;
}

uint16_t rmnic_mem_write(struct rmnic_memstore *ms, struct rmnic_mem_slab *s, uint64_t rpn,
			 uint64_t version, uint16_t kind, uint32_t crc, uint32_t body)
{
	bool again;
	uint16_t status = rmnic_mem_may_write(s, rpn, version, crc, &again);

	if (status == RMNIC_RMP_S_OK && !again)
		meta_set(ms, s, rmnic_mem_page(s, rpn), version, kind, crc, body);
	else if (kind & RMNIC_RMP_PAGE_STORED)
		rmnic_frame_put(ms->frames, body);
	return status;
}

void rmnic_mem_free(struct rmnic_memstore *ms, struct rmnic_mem_slab *s, uint64_t rpn, uint32_t n,
		    uint64_t version)
{
	struct rmnic_page_meta *m = rmnic_mem_page(s, rpn);

	/* RMP-21: a tombstone, so that an older write that comes late finds it. */
	for (uint32_t i = 0; i < n; i++)
		if (m[i].vstate >> VERSION_SHIFT < version)
			meta_set(ms, s, &m[i], version, RMNIC_RMP_PAGE_TOMBSTONE, 0, 0);
}

/* RMP-39: what may never have been acknowledged, for whoever asks says so. */
static void forget(struct rmnic_memstore *ms, struct rmnic_mem_slab *s, uint64_t from)
{
	for (uint32_t i = 0; i < s->pages; i++)
		if (s->meta[i].vstate && s->meta[i].vstate >> VERSION_SHIFT >= from)
			meta_set(ms, s, &s->meta[i], 0, 0, 0, 0);
}

uint16_t rmnic_mem_renew(struct rmnic_memstore *ms, uint32_t device, uint32_t epoch,
			 uint64_t handle, uint64_t from, uint64_t *renewed)
{
	struct rmnic_mem_slab *s = rmnic_mem_slab(ms, device, handle);
	uint32_t slot = (uint32_t)handle & SLOT_MASK;

	if (s) {
		forget(ms, s, from);
		s->previous = handle;
		s->handle = ++ms->generation << SLOT_BITS | slot;
	} else { /* RMP-39: the answer was lost; handles of a slab are all of one slot */
		s = slot < ms->cfg.max_slabs ? &ms->slabs[slot] : NULL;
		if (!s || !handle || s->previous != handle || !s->handle || s->dying ||
		    s->device != device)
			return RMNIC_RMP_S_UNKNOWN_SLAB;
	}
	s->epoch = epoch;
	*renewed = s->handle;
	return RMNIC_RMP_S_OK;
}

uint16_t rmnic_mem_record_view(struct rmnic_mem_slab *s, const struct rmnic_rmp_view *view)
{
	uint64_t have = rmnic_le64_get(s->view.view), want = rmnic_le64_get(view->view);

	if (want < have || (want == have && memcmp(&s->view, view, sizeof(*view)) != 0))
		return RMNIC_RMP_S_STALE;
	s->view = *view; /* RMP-33 */
	return RMNIC_RMP_S_OK;
}

/* --- Giving back ----------------------------------------------------------------------------- */

/* True: the slab is empty and free again. */
static bool reap(struct rmnic_memstore *ms, struct rmnic_mem_slab *s)
{
	uint32_t end = s->pages - s->cursor > IDLE_PAGES ? s->cursor + IDLE_PAGES : s->pages;

	for (; s->cursor < end; s->cursor++) {
		struct rmnic_page_meta *m = &s->meta[s->cursor];

		if (!m->vstate)
			continue; /* it may not even be memory */
		ms->bad -= (m->vstate & RMNIC_RMP_PAGE_BAD) != 0;
		if (m->vstate & RMNIC_RMP_PAGE_STORED) {
			rmnic_frame_put(ms->frames, m->body);
			ms->stored--;
		}
		memset(m, 0, sizeof(*m));
	}
	if (s->cursor < s->pages)
		return false;
	ms->reserved -= s->pages;
	ms->dying--;
	s->dying = false;
	s->handle = 0;
	s->next = ms->free_slab;
	ms->free_slab = (uint32_t)(s - ms->slabs);
	return true;
}

void rmnic_mem_press(struct rmnic_memstore *ms, bool on)
{
	ms->pressed = on;
}

uint64_t rmnic_mem_lend(struct rmnic_memstore *ms, uint64_t pages)
{
	uint64_t least = ms->reserved + ms->cfg.slack + 1;
	uint64_t most = rmnic_frames_total(ms->frames);

	if (pages < least)
		pages = least;
	ms->lent = pages < most ? pages : most;
	return ms->lent;
}

/* One granule that is too much. True: there may be another. */
static bool give_memory_back(struct rmnic_memstore *ms)
{
	uint32_t g = RMNIC_FRAME_NONE;
	bool keep = rmnic_frames_total(ms->frames) < ms->lent + RMNIC_FRAME_GRANULE;

	if (!ms->cfg.discard)
		return false;
	/* What is promised keeps its memory: a page-out must not wait for the system. */
	if (!keep)
		g = rmnic_frames_take(ms->frames);
	else if (rmnic_frames_touched(ms->frames) > ms->reserved + ms->cfg.slack +
							    2ull * RMNIC_FRAME_GRANULE)
		g = rmnic_frames_cool(ms->frames);
	if (g != RMNIC_FRAME_NONE)
		ms->cfg.discard(ms->cfg.arg, g, keep);
	return g != RMNIC_FRAME_NONE;
}

bool rmnic_mem_idle(struct rmnic_memstore *ms)
{
	if (!ms->dying)
		return give_memory_back(ms);
	for (uint32_t i = 0; i < IDLE_PAGES; i++) {
		struct rmnic_mem_slab *s = &ms->slabs[ms->scan];

		if (s->dying && !reap(ms, s))
			return true;
		if (++ms->scan == ms->cfg.max_slabs)
			ms->scan = 0;
		if (!ms->dying) /* its memory may be too much now */
			return ms->cfg.discard != NULL;
	}
	return true;
}

void rmnic_mem_device_drop(struct rmnic_memstore *ms, uint32_t device)
{
	for (uint32_t i = 0; i < ms->cfg.max_slabs; i++) {
		struct rmnic_mem_slab *s = &ms->slabs[i];

		if (s->handle && !s->dying && s->device == device)
			rmnic_mem_release(ms, s);
	}
}
