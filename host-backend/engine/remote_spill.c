/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pages that no server can take: their places in the spill file (STATE-28).
 *
 * A slab's range of the file is held before the row says that it has a place there, and given back
 * after the row says that it has none. A place is written and read in one piece; what is in it is
 * believed only when record and checksum say that all of it is of one write.
 */
#include <stddef.h>
#include <string.h>

#include "engine/page.h"
#include "engine/step.h"
#include "engine/store_remote_internal.h"

#define MAGIC    UINT64_C(0x314c50534e4d52) /* "RMNSPL1" */
#define NO_SLAB  UINT64_MAX
#define RETRY_NS UINT64_C(1000000000) /* with the file full */

static const struct rmnic_spill_ops *file(const struct rmnic_remote *r)
{
	return r->cfg.spill;
}

bool rmnic_remote_spill_create(struct rmnic_remote *r)
{
	const struct rmnic_env *env = &r->cfg.env;
	struct rmnic_remote_spills *p = &r->spills;

	p->holding = NO_SLAB;
	if (!file(r))
		return true;
	p->places = env->ops->alloc(env->arg, sizeof(*p->places) * RMNIC_REMOTE_UNSPILLS);
	if (!p->places)
		return false;
	for (int i = 0; i < RMNIC_REMOTE_UNSPILLS; i++) {
		p->unspill[i].store = r;
		p->unspill[i].op.store = r;
		p->unspill[i].op.place = &p->places[i];
	}
	return true;
}

void rmnic_remote_spill_destroy(struct rmnic_remote *r)
{
	r->cfg.env.ops->free(r->cfg.env.arg, r->spills.places);
}

/* --- What is under way ------------------------------------------------------------------------- */

static struct rmnic_remote_spill_op **bucket_of(struct rmnic_remote *r, uint64_t rpn)
{
	return &r->spills.busy[rpn % RMNIC_REMOTE_SPILL_BUCKETS];
}

static bool is_writing(struct rmnic_remote *r, uint64_t rpn)
{
	const struct rmnic_remote_spill_op *op = *bucket_of(r, rpn);

	while (op && (op->rpn != rpn || !op->io.write))
		op = op->chain;
	return op != NULL;
}

bool rmnic_remote_spill_slab_busy(const struct rmnic_remote *r, uint64_t slab)
{
	for (unsigned int i = 0; i < RMNIC_REMOTE_SPILL_BUCKETS; i++)
		for (const struct rmnic_remote_spill_op *op = r->spills.busy[i]; op; op = op->chain)
			if (op->rpn / r->state.slab_pages == slab)
				return true;
	return false;
}

static void unchain(struct rmnic_remote_spill_op *op)
{
	struct rmnic_remote_spill_op **at = bucket_of(op->store, op->rpn);

	while (*at != op)
		at = &(*at)->chain;
	*at = op->chain;
}

/* --- Places -------------------------------------------------------------------------------------- */

uint64_t rmnic_remote_spill_free(const struct rmnic_remote *r)
{
	return file(r) ? file(r)->room(r->cfg.spill_arg) : 0;
}

/* The file has room for the slab: from now on the row says so. */
static void place_taken(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	struct rmnic_state_view v;

	r->spills.held += !s->place_held;
	s->place_held = true;
	if (slab >= r->slabs_want && !s->members)
		return; /* not any more: it is given back as any place without a row */
	/* STATE-29: before a row counts on it. */
	RMNIC_PUBLISH(&r->state.hdr->spill_id, rmnic_le64_put(file(r)->id(r->cfg.spill_arg)));
	rmnic_remote_view_copy(r, slab, &v);
	v.spill = 1;
	rmnic_remote_view_change(r, slab, &v);
	rmnic_remote_event(r, RMNIC_REMOTE_EV_SPILLING, slab, 0, 0, NULL);
}

static void place_get(struct rmnic_remote *r, uint64_t slab)
{
	uint64_t first = slab * r->state.slab_pages;
	enum rmnic_spill_hold hold = RMNIC_SPILL_HELD;

	if (!r->slabs[slab].place_held)
		hold = file(r)->hold(r->cfg.spill_arg, first, r->state.slab_pages);
	r->spills.holding = hold == RMNIC_SPILL_WAIT ? slab : NO_SLAB;
	if (hold == RMNIC_SPILL_NONE)
		r->spills.full_until = rmnic_env_now(&r->cfg.env) + RETRY_NS;
	else if (hold == RMNIC_SPILL_HELD)
		place_taken(r, slab);
}

bool rmnic_remote_spill_room(struct rmnic_remote *r, uint64_t slab)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];

	if (!file(r) || r->status >= RMNIC_REMOTE_FENCED)
		return false;
	if (s->spill)
		return true;
	/* Not beside a view that servers are just told of: they would be of the same number. */
	if (r->spills.holding != NO_SLAB || rmnic_remote_reserving_slab(r, slab) ||
	    rmnic_env_now(&r->cfg.env) < r->spills.full_until)
		return false;
	place_get(r, slab);
	return s->spill;
}

bool rmnic_remote_spill_poll(struct rmnic_remote *r)
{
	bool work = file(r) && file(r)->poll && file(r)->poll(r->cfg.spill_arg);

	if (r->spills.holding != NO_SLAB && r->status < RMNIC_REMOTE_FENCED)
		place_get(r, r->spills.holding);
	return work;
}

/* --- Another file -------------------------------------------------------------------------------- */

/* STATE-29: what was in the slab's place is on another disk, or nowhere. */
static void place_gone(struct rmnic_remote *r, uint64_t slab)
{
	uint64_t rpn = slab * r->state.slab_pages;
	struct rmnic_state_view v;

	for (uint64_t end = rpn + r->state.slab_pages; rpn < end; rpn++) {
		uint64_t word = rmnic_state_page(&r->state, rpn);

		if ((word & RMNIC_STATE_PAGE_KIND) == RMNIC_STATE_PAGE_SPILLED)
			rmnic_remote_word_set(r, rpn, word >> RMNIC_STATE_PAGE_VERSION_SHIFT,
					      RMNIC_STATE_PAGE_LOST |
						      (word & RMNIC_STATE_PAGE_WRITING));
	}
	if (!r->slabs[slab].spill)
		return;
	if (!r->slabs[slab].members) {
		rmnic_remote_view_clear(r, slab);
		return;
	}
	rmnic_remote_view_copy(r, slab, &v);
	v.spill = 0;
	rmnic_remote_view_change(r, slab, &v);
}

void rmnic_remote_spill_load(struct rmnic_remote *r)
{
	uint64_t said = rmnic_le64_get(r->state.hdr->spill_id);

	if (!said || !file(r))
		return;
	if (said == file(r)->id(r->cfg.spill_arg)) {
		for (uint64_t i = 0; i < r->state.nslabs; i++)
			r->spills.held += r->slabs[i].place_held;
		return;
	}
	for (uint64_t i = 0; i < r->state.nslabs; i++) {
		r->slabs[i].place_held = false;
		if (r->slabs[i].spill || r->slabs[i].spilled)
			place_gone(r, i);
	}
	/* Last: a death before finds all of it to be done again. */
	RMNIC_PUBLISH(&r->state.hdr->spill_id, rmnic_le64_put(0));
}

/* --- Reading and writing --------------------------------------------------------------------------- */

static uint32_t page_crc(const struct rmnic_remote_spill_op *op, uint64_t version)
{
	const struct rmnic_crc32c *c = rmnic_rmp_client_crc(op->store->client);
	uint32_t crc = rmnic_crc32c_update(c, 0, op->place->page, RMNIC_PAGE_SIZE);

	return rmnic_page_seal(c, crc, op->store->cfg.device, op->rpn, version);
}

static uint32_t record_check(const struct rmnic_remote_spill_op *op)
{
	return rmnic_crc32c_update(rmnic_rmp_client_crc(op->store->client), 0, &op->place->record,
				   offsetof(struct rmnic_spill_record, check));
}

/* All of one write, of this page, and as it was. */
static bool place_right(struct rmnic_remote_spill_op *op)
{
	const struct rmnic_spill_record *rec = &op->place->record;

	if (rec->magic != rmnic_le64_put(MAGIC) || rec->rpn != rmnic_le64_put(op->rpn) ||
	    rec->check != rmnic_le32_put(record_check(op)))
		return false;
	op->version = rmnic_le64_get(rec->version);
	return rec->crc == rmnic_le32_put(page_crc(op, op->version));
}

static void op_end(struct rmnic_spill_io *io, uint32_t bytes)
{
	struct rmnic_remote_spill_op *op = io->arg;
	bool whole = bytes == sizeof(*op->place);

	unchain(op);
	if (io->write) {
		op->status = whole ? RMNIC_SC_OK : RMNIC_SC_UNREACHABLE;
	} else if (!whole) { /* which may be no more than a bad moment of the disk's */
		op->status = RMNIC_SC_UNREACHABLE;
	} else {
		op->status = place_right(op) ? RMNIC_SC_OK : RMNIC_SC_CORRUPT;
	}
	if (op->store->spills.refused)
		rmnic_remote_pages_look(op->store);
	op->store->spills.refused = false;
	op->done(op);
}

static bool op_submit(struct rmnic_remote_spill_op *op, bool write)
{
	struct rmnic_remote *r = op->store;
	struct rmnic_remote_spill_op **bucket = bucket_of(r, op->rpn);

	op->io = (struct rmnic_spill_io){
		.write = write, .place = op->rpn, .data = op->place, .done = op_end, .arg = op,
	};
	op->chain = *bucket; /* first: it may end at once */
	*bucket = op;
	if (file(r)->submit(r->cfg.spill_arg, &op->io))
		return true;
	unchain(op);
	r->spills.refused = true;
	return false;
}

bool rmnic_remote_spill_write(struct rmnic_remote_spill_op *op)
{
	struct rmnic_remote *r = op->store;
	struct rmnic_spill_record *rec = &op->place->record;

	if (!file(r) || !r->slabs[op->rpn / r->state.slab_pages].spill)
		return false;
	/* A write that nobody waits for any more must not end after this one. */
	if (is_writing(r, op->rpn)) {
		r->spills.refused = true;
		return false;
	}
	memset(op->place->rsvd, 0, sizeof(op->place->rsvd));
	rec->magic = rmnic_le64_put(MAGIC);
	rec->rpn = rmnic_le64_put(op->rpn);
	rec->version = rmnic_le64_put(op->version);
	rec->crc = rmnic_le32_put(page_crc(op, op->version));
	rec->check = rmnic_le32_put(record_check(op));
	return op_submit(op, true);
}

bool rmnic_remote_spill_read(struct rmnic_remote_spill_op *op)
{
	struct rmnic_remote *r = op->store;

	if (file(r))
		return op_submit(op, false);
	op->status = RMNIC_SC_UNREACHABLE;
	op->done(op);
	return true;
}
