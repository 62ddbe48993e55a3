/* SPDX-License-Identifier: BSD-3-Clause */
/* Whose slabs are where: the rows of the state block, and the servers that they name. */
#include <string.h>

#include "engine/store_remote_internal.h"

/* --- Servers that rows name ------------------------------------------------------------------- */

static struct rmnic_remote_holder *holder_find(const struct rmnic_remote *r, const uint8_t *uuid)
{
	for (uint32_t i = 0; i < r->nholders; i++)
		if (!memcmp(r->holders[i].uuid, uuid, 16))
			return &r->holders[i];
	return NULL;
}

/* NULL: rows name more servers than a device can have. */
static struct rmnic_remote_holder *holder_get(struct rmnic_remote *r, const uint8_t *uuid)
{
	struct rmnic_remote_holder *h = holder_find(r, uuid);

	if (h)
		return h;
	for (uint32_t i = 0; i < r->nholders && !h; i++)
		if (!r->holders[i].slabs)
			h = &r->holders[i];
	if (!h && r->nholders < RMNIC_REMOTE_HOLDERS)
		h = &r->holders[r->nholders++];
	if (h) {
		memset(h, 0, sizeof(*h));
		memcpy(h->uuid, uuid, 16);
	}
	return h;
}

bool rmnic_remote_met(const struct rmnic_remote *r, const uint8_t server[16])
{
	const struct rmnic_remote_holder *h = holder_find(r, server);

	return h && h->met;
}

static bool all_met(const struct rmnic_remote *r)
{
	for (uint32_t i = 0; i < r->nholders; i++)
		if (r->holders[i].slabs && !r->holders[i].met)
			return false;
	return true;
}

/* Of a slab that nobody who holds all of it has been met of; NULL: there is none. */
static const struct rmnic_remote_holder *unmet(const struct rmnic_remote *r,
					       const struct rmnic_remote_slab *s)
{
	const struct rmnic_remote_holder *h = NULL;

	for (unsigned int i = 0; i < s->members; i++) {
		if (!(rmnic_remote_whole(s) >> i & 1))
			continue;
		h = holder_find(r, s->member[i].server);
		if (h->met)
			return NULL;
	}
	return h;
}

const struct rmnic_remote_holder *rmnic_remote_missing(const struct rmnic_remote *r)
{
	const struct rmnic_remote_holder *h;

	if (all_met(r))
		return NULL;
	for (uint64_t i = 0; i < r->state.nslabs; i++) {
		h = unmet(r, &r->slabs[i]);
		if (h)
			return h;
	}
	return NULL;
}

/* --- Views ---------------------------------------------------------------------------------- */

static bool has_place(const struct rmnic_remote_slab *s)
{
	return rmnic_remote_live(s) || s->spill;
}

static bool only_spill(const struct rmnic_remote_slab *s)
{
	return s->spill && !s->members;
}

static void view_drop(struct rmnic_remote *r, struct rmnic_remote_slab *s)
{
	r->slabs_ready -= has_place(s);
	r->spills.only -= only_spill(s);
	r->unrecorded -= s->recorded != s->view;
	for (unsigned int i = 0; i < s->members; i++)
		holder_find(r, s->member[i].server)->slabs--;
	s->members = s->syncing = s->away = 0;
	s->spill = false;
	s->view = s->recorded = s->rescue_by = 0;
	r->gone -= s->gone;
	s->gone = false;
}

/* A view that changes names members as well that were not met, and may stay away (STATE-20). */
static bool is_here(const struct rmnic_remote *r, const uint8_t *uuid)
{
	struct rmnic_peer_info info;

	for (uint32_t p = 0; p < r->cfg.max_peers; p++)
		if (!memcmp(rmnic_rmp_client_uuid(r->client, p), uuid, 16)) {
			rmnic_rmp_client_peer(r->client, p, &info);
			return info.state == RMNIC_PEER_READY;
		}
	return false;
}

/* False: there are too many servers. */
static bool view_take(struct rmnic_remote *r, struct rmnic_remote_slab *s,
		      const struct rmnic_state_view *v, bool recorded)
{
	struct rmnic_remote_holder *h;

	for (unsigned int i = 0; i < RMNIC_MEMBERS; i++)
		s->peer[i] = RMNIC_NO_PEER;
	for (unsigned int i = 0; i < v->members; i++) {
		h = holder_get(r, v->member[i].server);
		if (!h)
			return false;
		h->slabs++;
		h->met |= r->loaded && is_here(r, h->uuid);
		s->members = (uint8_t)(i + 1);
		s->member[i] = v->member[i];
		s->since[i] = rmnic_le64_get(v->since[i]);
	}
	s->syncing = v->syncing;
	s->away = v->away;
	s->spill = v->spill;
	s->view = rmnic_le64_get(v->view);
	s->recorded = recorded || !rmnic_remote_live(s) ? s->view : 0;
	r->unrecorded += s->recorded != s->view;
	r->slabs_ready += has_place(s);
	r->spills.only += only_spill(s);
	return true;
}

void rmnic_remote_view_use(struct rmnic_remote *r, uint64_t slab, const struct rmnic_state_view *v,
			   bool recorded)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];

	view_drop(r, s);
	view_take(r, s, v, recorded);
}

void rmnic_remote_view_clear(struct rmnic_remote *r, uint64_t slab)
{
	/* STATE-17: before any server is told to release it. */
	rmnic_state_view_clear(&r->state, slab);
	view_drop(r, &r->slabs[slab]);
}

bool rmnic_remote_slab_used(const struct rmnic_remote *r, uint64_t slab)
{
	uint64_t rpn = slab * r->state.slab_pages;

	for (uint64_t end = rpn + r->state.slab_pages; rpn < end; rpn++)
		if (rmnic_state_page(&r->state, rpn))
			return true;
	return false;
}

bool rmnic_remote_slabs_load(struct rmnic_remote *r)
{
	uint64_t want = r->slabs_want;
	struct rmnic_state_view v;

	for (uint64_t i = 0; i < r->state.nslabs; i++) {
		if (!rmnic_state_view_get(&r->state, i, &v) ||
		    !view_take(r, &r->slabs[i], &v, false))
			return false;
		r->slabs[i].place_held = v.spill;
		if (!v.view || i < want)
			continue;
		/* What was reserved for a growth that nobody heard of goes back (STATE-18). */
		if (rmnic_remote_slab_used(r, i))
			r->slabs_want = i + 1;
		else
			rmnic_remote_view_clear(r, i);
	}
	r->loaded = true;
	return true;
}

bool rmnic_remote_named(const struct rmnic_remote *r, uint64_t slab, const uint8_t server[16],
			uint64_t store_id, uint64_t handle)
{
	const struct rmnic_remote_slab *s;

	if (slab >= r->state.nslabs)
		return false;
	s = &r->slabs[slab];
	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_le64_get(s->member[i].handle) == handle &&
		    rmnic_le64_get(s->member[i].store_id) == store_id &&
		    !memcmp(s->member[i].server, server, 16))
			return true;
	return false;
}

uint16_t rmnic_remote_peer_by(const struct rmnic_remote *r, const uint8_t uuid[16])
{
	for (uint32_t p = 0; p < r->cfg.max_peers; p++)
		if (!memcmp(rmnic_rmp_client_uuid(r->client, p), uuid, 16))
			return (uint16_t)p;
	return RMNIC_NO_PEER;
}

uint16_t rmnic_remote_peer_of(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i)
{
	const uint8_t *uuid = s->member[i].server;

	/* RMP-11: by uuid; the address may be another one than yesterday, and its place in the
	 * client's table another server's by now. */
	if (s->peer[i] != RMNIC_NO_PEER &&
	    !memcmp(rmnic_rmp_client_uuid(r->client, s->peer[i]), uuid, 16))
		return s->peer[i];
	s->peer[i] = rmnic_remote_peer_by(r, uuid);
	return s->peer[i];
}

/* --- A server that came back empty --------------------------------------------------------------- */

bool rmnic_remote_entry_empty(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i)
{
	uint16_t peer = rmnic_remote_peer_of(r, s, i);
	struct rmnic_peer_info info;

	if (peer == RMNIC_NO_PEER)
		return false;
	rmnic_rmp_client_peer(r->client, peer, &info);
	return info.state == RMNIC_PEER_READY &&
	       info.store_id != rmnic_le64_get(s->member[i].store_id);
}

void rmnic_remote_word_set(struct rmnic_remote *r, uint64_t rpn, uint64_t version, uint32_t bits)
{
	uint64_t word = rmnic_state_page(&r->state, rpn);
	uint32_t from = (uint32_t)word & RMNIC_STATE_PAGE_KIND, to = bits & RMNIC_STATE_PAGE_KIND;
	struct rmnic_remote_slab *s = &r->slabs[rpn / r->state.slab_pages];
	int spilled = (to == RMNIC_STATE_PAGE_SPILLED) - (from == RMNIC_STATE_PAGE_SPILLED);
	int stored = (to == RMNIC_STATE_PAGE_HELD) - (from == RMNIC_STATE_PAGE_HELD) + spilled;

	rmnic_state_page_set(&r->state, rpn, version, bits);
	RMNIC_COUNT(r->counters.stored, (uint64_t)(int64_t)stored);
	s->spilled += (uint32_t)spilled;
	r->spilled += (uint64_t)(int64_t)spilled;
}

/*
 * Entries that never held everything go back: ALLOC would give the same slab again, with pages in it
 * that were freed or lost since (STATE-18).
 */
static void sweep_entries(struct rmnic_remote *r, struct rmnic_remote_slab *s)
{
	for (unsigned int i = 0; i < s->members; i++) {
		uint16_t peer = rmnic_remote_peer_of(r, s, i);

		if (peer != RMNIC_NO_PEER)
			rmnic_remote_sweep_at(r, peer, true);
	}
}

/* Pages that only those members held are lost, which is known before the members are others. */
static void lose_slab(struct rmnic_remote *r, uint64_t slab)
{
	uint64_t rpn = slab * r->state.slab_pages;
	struct rmnic_state_view v = { .spill = 1 };

	for (uint64_t end = rpn + r->state.slab_pages; rpn < end; rpn++) {
		uint64_t word = rmnic_state_page(&r->state, rpn);

		if ((word & RMNIC_STATE_PAGE_KIND) == RMNIC_STATE_PAGE_HELD)
			rmnic_remote_word_set(r, rpn, word >> RMNIC_STATE_PAGE_VERSION_SHIFT,
					      RMNIC_STATE_PAGE_LOST); /* STATE-19 */
	}
	sweep_entries(r, &r->slabs[slab]);
	if (r->slabs[slab].spill)
		rmnic_remote_view_change(r, slab, &v);
	else
		view_drop(r, &r->slabs[slab]);
	rmnic_remote_pages_look(r);
	RMNIC_COUNT(r->remote.slabs_lost, 1);
}

bool rmnic_remote_lose(struct rmnic_remote *r)
{
	struct rmnic_remote_slab *s;

	if (!r->gone)
		return false;
	do {
		if (++r->cursor >= r->state.nslabs)
			r->cursor = 0;
		s = &r->slabs[r->cursor];
	} while (!s->gone);
	s->gone = false;
	r->gone--;
	/* Its server may have left again meanwhile: then it is looked at when it returns. */
	if (rmnic_remote_emptied(r, s) && !rmnic_remote_rescue(r, r->cursor))
		lose_slab(r, r->cursor);
	if (!r->gone)
		rmnic_remote_reserve(r);
	return r->gone;
}

/* Who came back empty is no member any more, or the slab is gone. */
static bool slab_emptied(struct rmnic_remote *r, uint64_t slab, const struct rmnic_peer_info *info)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];

	for (unsigned int i = 0; i < s->members; i++) {
		if (memcmp(s->member[i].server, info->uuid, 16) != 0 || !rmnic_remote_entry_empty(r, s, i))
			continue;
		if (s->away >> i & 1) {
			rmnic_remote_repair_look(r, slab);
			return false;
		}
		if (!rmnic_remote_drop(r, slab, i, true) && !s->gone && rmnic_remote_emptied(r, s)) {
			s->gone = true;
			r->gone++;
		}
		return true;
	}
	return false;
}

static void look_for_loss(struct rmnic_remote *r, const struct rmnic_peer_info *info)
{
	uint64_t emptied = 0;

	for (uint64_t i = 0; i < r->state.nslabs; i++)
		emptied += slab_emptied(r, i, info);
	if (emptied && r->cfg.server_empty)
		r->cfg.server_empty(r->cfg.arg, info->uuid, emptied);
}

void rmnic_remote_peer_up(struct rmnic_remote *r, uint32_t peer)
{
	struct rmnic_remote_holder *h;
	struct rmnic_peer_info info;

	rmnic_rmp_client_peer(r->client, peer, &info);
	/* STATE-7: also what a predecessor used that this block does not know of. */
	rmnic_state_version_seen(&r->state, info.max_version);
	r->peers[peer].full = false;
	r->tell_after = 0;
	h = holder_find(r, info.uuid);
	if (h)
		h->met = true;
	if (r->status == RMNIC_REMOTE_DAMAGED)
		return;
	look_for_loss(r, &info);
	rmnic_remote_pages_look(r);
	r->record_after = 0;
	for (uint64_t i = 0; i < r->state.nslabs; i++)
		rmnic_remote_repair_look(r, i);
	rmnic_remote_sweep_at(r, peer, false);
	rmnic_remote_reserve(r);
}
