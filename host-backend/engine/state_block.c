/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/state_block.h"

#include <string.h>

#include "engine/le.h"
#include "engine/step.h"

#define ALIGN RMNIC_STATE_ALIGN

#ifdef RMNIC_STEPS
void (*rmnic_step_hook)(void);
#endif

static uint64_t align_up(uint64_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static bool shape_ok(const struct rmnic_state_shape *s)
{
	return s->slab_pages && !(s->slab_pages & (s->slab_pages - 1)) &&
	       s->slab_pages <= RMNIC_RMP_MAX_SLAB && s->pages && s->pages % s->slab_pages == 0 &&
	       s->pages <= RMNIC_MAX_CAPACITY && s->queues && s->queues <= RMNIC_MAX_QPAIRS + 1 &&
	       s->depth >= RMNIC_MIN_DEPTH && s->depth <= RMNIC_MAX_DEPTH &&
	       !(s->depth & (s->depth - 1));
}

/* Offsets of the four tables and the end, in this order. */
static void lay_out(const struct rmnic_state_shape *s, uint64_t at[5])
{
	at[0] = ALIGN;
	at[1] = at[0] + align_up(s->pages / s->slab_pages * sizeof(struct rmnic_state_slab));
	at[2] = at[1] + align_up(s->pages * sizeof(uint64_t));
	at[3] = at[2] + align_up(s->queues * sizeof(struct rmnic_state_queue));
	at[4] = at[3] + align_up((uint64_t)s->queues * s->depth * sizeof(struct rmnic_state_flight));
}

uint64_t rmnic_state_size(const struct rmnic_state_shape *s)
{
	uint64_t at[5];

	if (!shape_ok(s))
		return 0;
	lay_out(s, at);
	return at[4];
}

void rmnic_state_format(void *memory, const struct rmnic_state_shape *s)
{
	struct rmnic_state_hdr *h = memory;
	uint64_t at[5];

	lay_out(s, at);
	memset(h, 0, sizeof(*h));
	h->version = rmnic_le32_put(RMNIC_STATE_VERSION);
	h->hdr_size = rmnic_le32_put(sizeof(*h));
	h->size = rmnic_le64_put(at[4]);
	memcpy(h->uuid, s->uuid, sizeof(h->uuid));
	h->pages = rmnic_le64_put(s->pages);
	h->slab_pages = rmnic_le32_put(s->slab_pages);
	h->epoch = rmnic_le32_put(s->epoch);
	h->slab_offset = rmnic_le64_put(at[0]);
	h->page_offset = rmnic_le64_put(at[1]);
	h->queue_offset = rmnic_le64_put(at[2]);
	h->flight_offset = rmnic_le64_put(at[3]);
	h->queues = rmnic_le32_put(s->queues);
	h->flights = rmnic_le32_put(s->queues * s->depth);
	h->depth = rmnic_le32_put(s->depth);
	h->next_version = rmnic_le64_put(1);
	h->magic = rmnic_le64_put(RMNIC_STATE_MAGIC);
}

/* Whether a table of n entries lies in the block, behind the header and aligned. */
static bool table_ok(uint64_t offset, uint64_t n, size_t each, uint64_t size)
{
	return offset >= ALIGN && offset % ALIGN == 0 && offset <= size &&
	       n <= (size - offset) / each;
}

const char *rmnic_state_attach(struct rmnic_state_block *b, void *memory, uint64_t size,
			       const uint8_t *uuid)
{
	struct rmnic_state_hdr h;
	struct rmnic_state_shape s = { 0 };

	if (size < ALIGN)
		return "the state block is shorter than its header";
	memcpy(&h, memory, sizeof(h));
	if (rmnic_le64_get(h.magic) != RMNIC_STATE_MAGIC)
		return "the state block has another magic number: it is no state block";
	if (rmnic_le32_get(h.version) != RMNIC_STATE_VERSION ||
	    rmnic_le32_get(h.hdr_size) != sizeof(h))
		return "the state block is of another version than this program knows";
	if (memcmp(h.uuid, uuid, 16) != 0)
		return "the state block belongs to a device with another uuid";
	s.pages = rmnic_le64_get(h.pages);
	s.slab_pages = rmnic_le32_get(h.slab_pages);
	s.queues = rmnic_le32_get(h.queues);
	s.depth = rmnic_le32_get(h.depth);
	if (!shape_ok(&s) || rmnic_le32_get(h.flights) != s.queues * s.depth)
		return "the state block has an impossible number of pages, slabs, queues or flights";
	if (rmnic_le64_get(h.size) > size)
		return "the state block is shorter than it says";
	if (!table_ok(rmnic_le64_get(h.slab_offset), s.pages / s.slab_pages,
		      sizeof(struct rmnic_state_slab), size) ||
	    !table_ok(rmnic_le64_get(h.page_offset), s.pages, sizeof(uint64_t), size) ||
	    !table_ok(rmnic_le64_get(h.queue_offset), s.queues, sizeof(struct rmnic_state_queue),
		      size) ||
	    !table_ok(rmnic_le64_get(h.flight_offset), (uint64_t)s.queues * s.depth,
		      sizeof(struct rmnic_state_flight), size))
		return "a table of the state block lies outside of it";
	if (!rmnic_le64_get(h.next_version) || !rmnic_le32_get(h.epoch))
		return "the state block has no epoch or no version";
	if (rmnic_le32_get(h.replicas) > RMNIC_RMP_MAX_MEMBERS)
		return "the state block wants more replicas than a slab can have";
	b->hdr = memory;
	b->slabs = (void *)((uint8_t *)memory + rmnic_le64_get(h.slab_offset));
	b->pages = (void *)((uint8_t *)memory + rmnic_le64_get(h.page_offset));
	b->queues = (void *)((uint8_t *)memory + rmnic_le64_get(h.queue_offset));
	b->flights = (void *)((uint8_t *)memory + rmnic_le64_get(h.flight_offset));
	b->nqueues = s.queues;
	b->depth = s.depth;
	b->npages = s.pages;
	b->slab_pages = s.slab_pages;
	b->nslabs = s.pages / s.slab_pages;
	return NULL;
}

/* --- Replicas -------------------------------------------------------------------------------- */

uint32_t rmnic_state_replicas(const struct rmnic_state_block *b)
{
	uint32_t n = rmnic_le32_get(__atomic_load_n(&b->hdr->replicas, __ATOMIC_RELAXED));

	return n > RMNIC_RMP_MAX_MEMBERS ? 0 : n;
}

void rmnic_state_replicas_set(struct rmnic_state_block *b, uint32_t replicas)
{
	RMNIC_PUBLISH(&b->hdr->replicas, rmnic_le32_put(replicas));
}

/* --- Views ------------------------------------------------------------------------------------ */

bool rmnic_state_view_get(const struct rmnic_state_block *b, uint64_t slab,
			  struct rmnic_state_view *view)
{
	const struct rmnic_state_slab *row = &b->slabs[slab];
	/* Pairs with the release store in rmnic_state_view_set(). */
	uint64_t current = rmnic_le64_get(__atomic_load_n(&row->current, __ATOMIC_ACQUIRE));

	memset(view, 0, sizeof(*view));
	if (!current)
		return true;
	rmnic_copy_once(view, &row->copy[current & 1], sizeof(*view));
	if (rmnic_le64_get(view->view) != current || view->members > RMNIC_RMP_MAX_MEMBERS ||
	    view->spill > 1 || (!view->members && !view->spill) ||
	    (view->syncing | view->away) >> view->members || (view->syncing & view->away))
		return false;
	for (unsigned int i = 0; i < view->members; i++)
		if (!view->member[i].store_id || !view->member[i].handle)
			return false;
	return true;
}

void rmnic_state_view_set(struct rmnic_state_block *b, uint64_t slab,
			  const struct rmnic_state_view *view)
{
	struct rmnic_state_slab *row = &b->slabs[slab];

	/* The copy that does not hold is written, then one store makes it the one that does. */
	RMNIC_STEP();
	row->copy[rmnic_le64_get(view->view) & 1] = *view;
	RMNIC_PUBLISH(&row->current, view->view);
}

void rmnic_state_view_clear(struct rmnic_state_block *b, uint64_t slab)
{
	/* The copies stay as they are: nobody looks at them before one is written anew. */
	__atomic_store_n(&b->slabs[slab].current, 0, __ATOMIC_RELEASE);
}

/* --- Pages ------------------------------------------------------------------------------------ */

uint64_t rmnic_state_page(const struct rmnic_state_block *b, uint64_t rpn)
{
	return rmnic_le64_get(__atomic_load_n(&b->pages[rpn], __ATOMIC_RELAXED));
}

void rmnic_state_page_set(struct rmnic_state_block *b, uint64_t rpn, uint64_t version,
			  uint32_t bits)
{
	RMNIC_PUBLISH(&b->pages[rpn],
		      rmnic_le64_put(version << RMNIC_STATE_PAGE_VERSION_SHIFT | bits));
}

uint64_t rmnic_state_version(struct rmnic_state_block *b)
{
	uint64_t v = rmnic_le64_get(b->hdr->next_version);

	if (!v || v > RMNIC_RMP_VERSION_MAX)
		return 0;
	RMNIC_PUBLISH(&b->hdr->next_version, rmnic_le64_put(v + 1));
	return v;
}

void rmnic_state_version_seen(struct rmnic_state_block *b, uint64_t version)
{
	if (rmnic_le64_get(b->hdr->next_version) <= version)
		RMNIC_PUBLISH(&b->hdr->next_version, rmnic_le64_put(version + 1));
}
