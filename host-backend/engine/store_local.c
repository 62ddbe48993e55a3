/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/store_local.h"

#include <stdlib.h>
#include <string.h>

#include "engine/le.h"
#include "engine/page.h"
#include "rmnic/device.h"

#define VERSION_SHIFT 16
#define VERSION_MAX   ((1ull << 48) - 1)
#define FLAGS_MASK    0xffffull
/* One call of idle() looks at so many words of the bitmap and gives back one run of
 * at most so many bytes (or one granule, where that is larger). */
#define IDLE_WORDS 256
#define IDLE_BYTES (128u * 1024)

struct local {
	struct rmnic_store store;
	struct rmnic_local_blocks blocks;
	struct rmnic_crc32c crc;
	uint8_t uuid[16];
	uint64_t version;   /* of the last change; the next one is above it */
	uint64_t ngranules; /* whole ones */
	uint32_t granule_pages;
	uint64_t freed_count; /* bits set in freed */
	uint64_t cursor;      /* granule at which idle() goes on */
	uint64_t *freed;      /* a bit a granule: some page of it was given back */
	struct rmnic_store_counters counters;
	/* The private copy of a page that looks same-filled. */
	uint64_t copy[RMNIC_PAGE_SIZE / 8];
};

static struct local *to_local(const struct rmnic_store *store)
{
	return (struct local *)(uintptr_t)store;
}

/* CAP-4: each page has its place from the start; there is nothing to run out of. */
static uint8_t *page_at(const struct local *s, uint64_t rpn)
{
	return s->blocks.pages + rpn * RMNIC_PAGE_SIZE;
}

static void mark_freed(struct local *s, uint64_t rpn)
{
	uint64_t granule = rpn / s->granule_pages;
	uint64_t bit = 1ull << (granule % 64);

	if (granule >= s->ngranules || (s->freed[granule / 64] & bit))
		return;
	s->freed[granule / 64] |= bit;
	s->freed_count++;
}

/* Every change of a page's state goes through here; the bytes are in place already. */
static void meta_set(struct local *s, uint64_t rpn, uint64_t version, uint64_t flags, uint64_t body)
{
	struct rmnic_meta *m = &s->blocks.meta[rpn];
	bool was = rmnic_le64_get(m->version_flags) & RMNIC_META_STORED;
	bool is = flags & RMNIC_META_STORED;

	m->version_flags = rmnic_le64_put(version << VERSION_SHIFT | flags);
	m->body = rmnic_le64_put(body);
	if (was && !is) {
		s->counters.stored--;
		mark_freed(s, rpn);
	} else if (!was && is) {
		s->counters.stored++;
	}
}

static void meta_told(struct local *s, uint64_t rpn, uint64_t n)
{
	if (s->blocks.meta_dirty)
		s->blocks.meta_dirty(s->blocks.owner, rpn * sizeof(struct rmnic_meta),
				     n * sizeof(struct rmnic_meta));
}

/* CMD-19: what is stored and what was checksummed are the same single reading of the page. */
/* CMD-6 */
static uint16_t local_page_out(struct rmnic_store *store, struct rmnic_page_op *op)
{
	struct local *s = to_local(store);
	const void *from = op->data;
	uint32_t crc;
	uint64_t word;

	if (s->version >= VERSION_MAX)
		return RMNIC_SC_INTERNAL;
	s->version++;
	if (rmnic_page_maybe_same(from)) {
		rmnic_copy_once(s->copy, from, RMNIC_PAGE_SIZE);
		from = s->copy;
		if (rmnic_page_same_filled(from, &word)) {
			meta_set(s, op->rpn, s->version, RMNIC_META_SAME_FILLED, word);
			meta_told(s, op->rpn, 1);
			RMNIC_COUNT(s->counters.same_filled, 1);
			return RMNIC_SC_OK;
		}
	}
	crc = rmnic_crc32c_copy_page(&s->crc, page_at(s, op->rpn), from);
	crc = rmnic_page_seal(&s->crc, crc, s->uuid, op->rpn, s->version);
	meta_set(s, op->rpn, s->version, RMNIC_META_STORED, crc);
	if (s->blocks.pages_dirty)
		s->blocks.pages_dirty(s->blocks.owner, op->rpn * RMNIC_PAGE_SIZE, RMNIC_PAGE_SIZE);
	meta_told(s, op->rpn, 1);
	return RMNIC_SC_OK;
}

static uint16_t corrupt(struct local *s)
{
	RMNIC_COUNT(s->counters.corrupt, 1);
	return RMNIC_SC_CORRUPT;
}

/* CMD-5, CMD-20 */
static uint16_t local_page_in(struct rmnic_store *store, struct rmnic_page_op *op)
{
	struct local *s = to_local(store);
	const struct rmnic_meta *m = &s->blocks.meta[op->rpn];
	uint64_t version = rmnic_le64_get(m->version_flags) >> VERSION_SHIFT;
	uint64_t flags = rmnic_le64_get(m->version_flags) & FLAGS_MASK;
	uint64_t body = rmnic_le64_get(m->body);
	uint32_t crc;

	/* A version from nowhere: the metadata itself is damaged. */
	if (version > s->version || (flags && !version))
		return corrupt(s);
	switch (flags) {
	case 0:
		if (body)
			return corrupt(s);
		rmnic_page_fill(op->data, 0);
		RMNIC_COUNT(s->counters.in_unwritten, 1);
		return RMNIC_SC_OK;
	case RMNIC_META_SAME_FILLED:
		rmnic_page_fill(op->data, body);
		return RMNIC_SC_OK;
	case RMNIC_META_STORED:
		crc = rmnic_crc32c_copy_page_before(&s->crc, op->data, page_at(s, op->rpn),
						    page_at(s, op->next));
		crc = rmnic_page_seal(&s->crc, crc, s->uuid, op->rpn, version);
		return crc == body ? RMNIC_SC_OK : corrupt(s);
	case RMNIC_META_INDETERMINATE:
	case RMNIC_META_INDETERMINATE | RMNIC_META_STORED:
		return RMNIC_SC_INDETERMINATE;
	default:
		return corrupt(s);
	}
}

/* Free and zero: the pages' bytes are no longer used. flags: what they become. */
static uint16_t local_drop(struct local *s, uint64_t rpn, uint32_t n, uint64_t flags)
{
	uint64_t first = 0, changed = 0;

	if (s->version >= VERSION_MAX)
		return RMNIC_SC_INTERNAL;
	s->version++;
	for (uint64_t i = rpn; i < rpn + n; i++) {
		const struct rmnic_meta *m = &s->blocks.meta[i];

		/* What is so already is left alone: a discard of a whole, mostly unused
		 * device must not dirty all of its metadata. */
		if ((rmnic_le64_get(m->version_flags) & FLAGS_MASK) == flags && m->body == 0)
			continue;
		meta_set(s, i, s->version, flags, 0);
		if (!changed)
			first = i;
		changed = i - first + 1;
	}
	if (changed)
		meta_told(s, first, changed);
	return RMNIC_SC_OK;
}

static uint16_t local_free(struct rmnic_store *store, uint64_t rpn, uint32_t n)
{
	return local_drop(to_local(store), rpn, n, 0);
}

static uint16_t local_zero(struct rmnic_store *store, uint64_t rpn, uint32_t n)
{
	return local_drop(to_local(store), rpn, n, RMNIC_META_SAME_FILLED);
}

static uint16_t local_flush(struct rmnic_store *store)
{
	(void)store; /* memory is all there is (CMD-14) */
	return RMNIC_SC_OK;
}

/* Whether no page of a granule has its bytes in the block. */
static bool granule_unused(const struct local *s, uint64_t granule)
{
	const struct rmnic_meta *m = &s->blocks.meta[granule * s->granule_pages];

	for (uint32_t i = 0; i < s->granule_pages; i++)
		if (rmnic_le64_get(m[i].version_flags) & RMNIC_META_STORED)
			return false;
	return true;
}

/* The first freed granule at or after the cursor, looking at IDLE_WORDS words at most. */
static bool next_freed(struct local *s, uint64_t *granule)
{
	uint64_t words = (s->ngranules + 63) / 64;

	for (unsigned int i = 0; i < IDLE_WORDS; i++) {
		uint64_t index = s->cursor / 64;
		uint64_t bits = s->freed[index] & (~0ull << (s->cursor % 64));

		if (bits) {
			*granule = index * 64 + (uint64_t)__builtin_ctzll(bits);
			return true;
		}
		s->cursor = index + 1 < words ? (index + 1) * 64 : 0;
	}
	return false;
}

/*
 * Runs in the thread that writes pages, so a granule found unused here stays so until it
 * was discarded: a page written again is never lost (CMD-15).
 */
static bool local_idle(struct rmnic_store *store)
{
	struct local *s = to_local(store);
	uint64_t max = IDLE_BYTES / s->blocks.granule ? IDLE_BYTES / s->blocks.granule : 1;
	uint64_t first, n = 0;

	if (!s->freed_count)
		return false;
	if (!next_freed(s, &first))
		return true;
	for (uint64_t g = first; g < s->ngranules && g < first + max; g++) {
		uint64_t bit = 1ull << (g % 64);

		if (!(s->freed[g / 64] & bit))
			break;
		s->freed[g / 64] &= ~bit;
		s->freed_count--;
		s->cursor = g;
		if (!granule_unused(s, g))
			break;
		n++;
	}
	if (n && s->blocks.discard)
		s->blocks.discard(s->blocks.owner, first * s->blocks.granule,
				  n * s->blocks.granule);
	return s->freed_count != 0;
}

static void local_counters(const struct rmnic_store *store, struct rmnic_store_counters *out)
{
	const struct local *s = to_local(store);

	out->same_filled = __atomic_load_n(&s->counters.same_filled, __ATOMIC_RELAXED);
	out->in_unwritten = __atomic_load_n(&s->counters.in_unwritten, __ATOMIC_RELAXED);
	out->stored = __atomic_load_n(&s->counters.stored, __ATOMIC_RELAXED);
	out->corrupt = __atomic_load_n(&s->counters.corrupt, __ATOMIC_RELAXED);
}

static const struct rmnic_store_ops local_ops = {
	.page_out = local_page_out,
	.page_in = local_page_in,
	.free = local_free,
	.zero = local_zero,
	.flush = local_flush,
	.idle = local_idle,
	.saved = true,
	.counters = local_counters,
};

struct rmnic_store *rmnic_store_local_create(const struct rmnic_local_blocks *blocks,
					     const uint8_t *uuid)
{
	struct local *s;

	if (!blocks->pages || !blocks->meta || !blocks->npages ||
	    blocks->granule < RMNIC_PAGE_SIZE || blocks->granule % RMNIC_PAGE_SIZE)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->store.ops = &local_ops;
	s->blocks = *blocks;
	memcpy(s->uuid, uuid, sizeof(s->uuid));
	rmnic_crc32c_init(&s->crc, false);
	s->granule_pages = blocks->granule / RMNIC_PAGE_SIZE;
	s->ngranules = blocks->npages / s->granule_pages;
	s->freed = calloc((size_t)(s->ngranules / 64 + 1), sizeof(uint64_t));
	if (!s->freed) {
		free(s);
		return NULL;
	}
	rmnic_store_local_reload(&s->store);
	return &s->store;
}

void rmnic_store_local_reload(struct rmnic_store *store)
{
	struct local *s = to_local(store);
	uint64_t version = 0, stored = 0;

	for (uint64_t i = 0; i < s->blocks.npages; i++) {
		uint64_t vf = rmnic_le64_get(s->blocks.meta[i].version_flags);

		if (vf >> VERSION_SHIFT > version)
			version = vf >> VERSION_SHIFT;
		stored += vf & RMNIC_META_STORED;
	}
	s->version = version;
	__atomic_store_n(&s->counters.stored, stored, __ATOMIC_RELAXED);
	/* What is freed now, discards of the old contents do not concern. */
	memset(s->freed, 0, (size_t)(s->ngranules / 64 + 1) * sizeof(uint64_t));
	s->freed_count = 0;
	s->cursor = 0;
}

void rmnic_store_local_counters_load(struct rmnic_store *store,
				     const struct rmnic_store_counters *from)
{
	struct local *s = to_local(store);

	s->counters.same_filled = from->same_filled;
	s->counters.in_unwritten = from->in_unwritten;
	s->counters.corrupt = from->corrupt;
}

void rmnic_store_local_destroy(struct rmnic_store *store)
{
	struct local *s = to_local(store);

	if (!s)
		return;
	free(s->freed);
	free(s);
}
