/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who really has which page, and what follows: which errors may be, which views may be recorded.
 * It looks into the servers' memory and the state block, never at what the store thinks.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/le.h"
#include "rmnic/device.h"
#include "sim.h"

#define LONG_NS (10 * SECOND) /* of which a member needs no more to be found again */

#define KIND(word)    ((uint32_t)(word) & RMNIC_STATE_PAGE_KIND)
#define VERSION(word) ((word) >> RMNIC_STATE_PAGE_VERSION_SHIFT)
#define CONTENT       (RMNIC_RMP_PAGE_STORED | RMNIC_RMP_PAGE_FILLED)

void oracle_attach(struct sim *s)
{
	if (rmnic_state_attach(&s->block, s->w.state, s->w.state_size, s->w.cfg.device))
		abort();
}

static unsigned int live(const struct rmnic_state_view *v)
{
	return ((1u << v->members) - 1) & ~(unsigned int)v->away;
}

static unsigned int whole(const struct rmnic_state_view *v)
{
	return live(v) & ~(unsigned int)v->syncing;
}

unsigned int oracle_server(const struct rmnic_rmp_member *m)
{
	return (unsigned int)m->server[0] - 0x50;
}

struct rmnic_mem_slab *oracle_slab(struct sim *s, const struct rmnic_rmp_member *m)
{
	struct rmnic_memstore *ms = s->w.servers[oracle_server(m)].store;

	if (!ms || ms->store_id != rmnic_le64_get(m->store_id))
		return NULL;
	return rmnic_mem_slab(ms, 0, rmnic_le64_get(m->handle));
}

static bool rotten(const struct sim *s, const struct rmnic_mem_slab *slab, uint32_t page)
{
	const struct rmnic_page_meta *meta = &slab->meta[page];

	for (unsigned int i = 0; i < s->nrots && i < ROTS; i++) {
		const struct sim_rot *r = &s->rots[i];

		if (r->handle == slab->handle && r->page == page && r->body == meta->body &&
		    r->crc == meta->crc && r->version == meta->vstate >> RMNIC_RMP_VERSION_SHIFT)
			return true;
	}
	return meta->vstate & RMNIC_RMP_PAGE_BAD;
}

/* RMP-39: what is damaged stays so when its slab gets another handle. */
static void rots_follow(struct sim *s, const struct rmnic_rmp_member *m)
{
	const struct rmnic_mem_slab *slab = oracle_slab(s, m);

	for (unsigned int i = 0; slab && i < s->nrots && i < ROTS; i++)
		if (s->rots[i].server == oracle_server(m) && s->rots[i].handle == slab->previous)
			s->rots[i].handle = slab->handle;
}

/* STATE-3: a greater version is a copy of it only while a write is under way. */
static bool has_copy(struct sim *s, const struct rmnic_rmp_member *m, uint64_t rpn)
{
	const struct rmnic_mem_slab *slab = oracle_slab(s, m);
	uint32_t page = (uint32_t)(rpn % CLUSTER_SLAB);
	uint64_t word = rmnic_state_page(&s->block, rpn), version;

	if (!slab || !(slab->meta[page].vstate & CONTENT) || rotten(s, slab, page))
		return false;
	version = slab->meta[page].vstate >> RMNIC_RMP_VERSION_SHIFT;
	return version == VERSION(word) ||
	       (version > VERSION(word) && (word & RMNIC_STATE_PAGE_WRITING));
}

static bool is_spilled(const struct sim *s, uint64_t rpn)
{
	return s->w.spill && s->spill.is_held[rpn] &&
	       rmnic_le64_get(s->spill.data[rpn].record.version) ==
		       VERSION(rmnic_state_page(&s->block, rpn));
}

/* Whether one of those entries, of the page's view, can give it. */
static bool lives_at(struct sim *s, uint64_t rpn, const struct rmnic_state_view *v, unsigned int which)
{
	uint64_t word = rmnic_state_page(&s->block, rpn);

	if (KIND(word) == RMNIC_STATE_PAGE_SPILLED)
		return is_spilled(s, rpn);
	if (KIND(word) != RMNIC_STATE_PAGE_HELD)
		return KIND(word) != RMNIC_STATE_PAGE_LOST;
	for (unsigned int i = 0; i < v->members; i++)
		if ((which >> i & 1) && has_copy(s, &v->member[i], rpn))
			return true;
	return false;
}

/* STATE-33: who is away, or being filled, is a holder of what it was not dropped too early for. */
static unsigned int holders(struct sim *s, uint64_t rpn, const struct rmnic_state_view *v)
{
	uint64_t version = VERSION(rmnic_state_page(&s->block, rpn));
	unsigned int which = whole(v);

	for (unsigned int i = 0; i < v->members; i++)
		if (((v->away | v->syncing) >> i & 1) && version < rmnic_le64_get(v->since[i]))
			which |= 1u << i;
	return which;
}

/* Whether somebody whom the page's view names can give it, or will. */
static bool lives(struct sim *s, uint64_t rpn, const struct rmnic_state_view *v)
{
	return lives_at(s, rpn, v, holders(s, rpn, v));
}

static void view_of(struct sim *s, uint64_t slab, struct rmnic_state_view *v)
{
	if (!rmnic_state_view_get(&s->block, slab, v))
		sim_fail(s, "the row of slab %" PRIu64 " is damaged", slab);
}

void oracle_doom(struct sim *s, uint64_t slab)
{
	struct rmnic_state_view v;

	view_of(s, slab, &v);
	for (uint64_t rpn = slab * CLUSTER_SLAB; rpn < (slab + 1) * CLUSTER_SLAB; rpn++)
		if (!s->model.pages[rpn].doomed && !lives(s, rpn, &v)) {
			s->model.pages[rpn].doomed = true;
			sim_event(s, "page %" PRIu64 " has no copy left", rpn);
		}
}

void oracle_doom_all(struct sim *s)
{
	for (uint64_t i = 0; i < s->block.nslabs; i++)
		oracle_doom(s, i);
}

/*
 * Before a server loses these pages. One that came home from the spill file, of which the backend has
 * not heard yet, is on the disk and at home: that it is at home may be heard when it is not any more.
 */
void oracle_going(struct sim *s, unsigned int server, uint64_t rpn, uint64_t n)
{
	for (uint64_t end = rpn + n; rpn < end && rpn < s->model.npages; rpn++) {
		const struct rmnic_state_view *v = &s->views[rpn / CLUSTER_SLAB];
		bool here = false, elsewhere = false;

		for (unsigned int i = 0; i < v->members; i++)
			if (live(v) >> i & 1 && has_copy(s, &v->member[i], rpn))
				*(oracle_server(&v->member[i]) == server ? &here : &elsewhere) = true;
		if (here && !elsewhere && KIND(rmnic_state_page(&s->block, rpn)) == RMNIC_STATE_PAGE_SPILLED)
			s->model.pages[rpn].doomed = true;
	}
}

/* --- Views ------------------------------------------------------------------------------------- */

/*
 * STATE-25: whoever may be read from now on has all that was acknowledged and that somebody whom it could
 * be copied from has, and no freed page.
 */
static void promoted(struct sim *s, uint64_t slab, const struct rmnic_rmp_member *m,
		     const struct rmnic_state_view *from)
{
	const struct rmnic_mem_slab *at = oracle_slab(s, m);
	const struct rmnic_memstore *ms = s->w.servers[oracle_server(m)].store;

	if (!at) {
		if (ms && ms->store_id == rmnic_le64_get(m->store_id) &&
		    !s->w.servers[oracle_server(m)].lease_ns)
			sim_fail(s, "slab %" PRIu64 ": a view names what server %u has not got", slab,
				 oracle_server(m));
		return;
	}
	for (uint32_t i = 0; i < CLUSTER_SLAB; i++) {
		uint64_t word = rmnic_state_page(&s->block, slab * CLUSTER_SLAB + i);
		uint64_t version = at->meta[i].vstate >> RMNIC_RMP_VERSION_SHIFT;

		if ((word & RMNIC_STATE_PAGE_WRITING) ||
		    s->model.pages[slab * CLUSTER_SLAB + i].doomed)
			continue;
		if (KIND(word) == RMNIC_STATE_PAGE_HELD &&
		    (version != VERSION(word) || !(at->meta[i].vstate & CONTENT)) &&
		    lives_at(s, slab * CLUSTER_SLAB + i, from, whole(from)))
			sim_fail(s, "page %" PRIu64 ": server %u is a whole member with version %" PRIu64
				 ", acknowledged was %" PRIu64, slab * CLUSTER_SLAB + i,
				 oracle_server(m), version, VERSION(word));
		/*
		 * A server that was a member before all was lost gives the same slab again (RMP-15),
		 * with pages that were freed since: no harm, for no word asks for them. Nor for what a
		 * succeeded backend wrote there, above every version that this one knows (STATE-32).
		 */
		if (KIND(word) == RMNIC_STATE_PAGE_FREED && !(word & RMNIC_STATE_PAGE_TELL) &&
		    !s->lost_at[slab] && (at->meta[i].vstate & CONTENT) && version <= VERSION(word))
			sim_fail(s, "page %" PRIu64 ": it is free, and server %u is a whole member with it",
				 slab * CLUSTER_SLAB + i, oracle_server(m));
	}
}

static unsigned int named(const struct rmnic_state_view *v, unsigned int which,
			  const struct rmnic_rmp_member *m)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < v->members; i++)
		n += (which >> i & 1) && !memcmp(&v->member[i], m, sizeof(*m));
	return n;
}

/* STATE-22: somebody with everything stays, unless all of them are empty. */
static void last_dropped(struct sim *s, uint64_t slab, const struct rmnic_state_view *old)
{
	for (unsigned int i = 0; i < old->members; i++)
		if ((whole(old) >> i & 1) && oracle_slab(s, &old->member[i]))
			sim_fail(s, "slab %" PRIu64 " has no whole member, and server %u had all of it",
				 slab, oracle_server(&old->member[i]));
}

static void view_changed(struct sim *s, uint64_t slab, const struct rmnic_state_view *old,
			 const struct rmnic_state_view *v)
{
	bool stayed = false;

	sim_event(s, "slab %" PRIu64 ": view %" PRIu64 ", %u entries, syncing %x, away %x", slab,
		  (uint64_t)rmnic_le64_get(v->view), v->members, v->syncing, v->away);
	for (unsigned int i = 0; i < v->members; i++)
		for (unsigned int k = 0; k < i; k++)
			if ((live(v) >> i & 1) && (live(v) >> k & 1) &&
			    !memcmp(v->member[i].server, v->member[k].server, 16))
				sim_fail(s, "slab %" PRIu64 ": server %u is a member twice", slab,
					 oracle_server(&v->member[i])); /* STATE-26 */
	for (unsigned int i = 0; i < v->members; i++)
		rots_follow(s, &v->member[i]);
	for (unsigned int i = 0; i < v->members; i++)
		stayed |= (whole(v) >> i & 1) && named(old, whole(old), &v->member[i]);
	if (!stayed && old->members)
		s->lost_at[slab] = s->w.net.now;
	for (unsigned int i = 0; i < v->members && old->members; i++)
		if ((whole(v) >> i & 1) && !named(old, whole(old), &v->member[i]))
			promoted(s, slab, &v->member[i], old);
	if (whole(old) && !whole(v) && v->members)
		last_dropped(s, slab, old);
	oracle_doom(s, slab);
}

/* STATE-33: who is away is not waited for longer than that; the store began later, when it was told. */
static void waited(struct sim *s, uint64_t slab)
{
	const struct rmnic_state_view *v = &s->views[slab];
	uint64_t most = s->w.cfg.away_ns ? s->w.cfg.away_ns : LONG_NS;
	bool emptied = whole(v) != 0;

	for (unsigned int i = 0; i < v->members; i++)
		emptied &= !(whole(v) >> i & 1) || !oracle_slab(s, &v->member[i]);
	if (!emptied)
		s->emptied_at[slab] = 0;
	else if (!s->emptied_at[slab])
		s->emptied_at[slab] = s->w.net.now;
	else if (s->w.net.now - s->emptied_at[slab] >= most)
		for (uint64_t rpn = slab * CLUSTER_SLAB; rpn < (slab + 1) * CLUSTER_SLAB; rpn++)
			s->model.pages[rpn].doomed |= !lives_at(s, rpn, v, whole(v));
}

void oracle_views(struct sim *s)
{
	struct rmnic_state_view v;

	for (uint64_t i = 0; i < s->block.nslabs && !s->failure[0]; i++) {
		waited(s, i);
		if (s->block.slabs[i].current == s->views[i].view)
			continue;
		view_of(s, i, &v);
		view_changed(s, i, &s->views[i], &v);
		s->views[i] = v;
	}
}

/* For whoever looks into a failure: each change of a page, wherever it is kept. */
void oracle_watch(struct sim *s)
{
	uint64_t rpn = s->watch - 1, word = rmnic_state_page(&s->block, rpn), sum = word;
	char line[256];
	struct rmnic_state_view v;
	int n = snprintf(line, sizeof(line), "word %" PRIu64 ".%x", VERSION(word),
			 (unsigned int)word & 0xffff);

	view_of(s, rpn / CLUSTER_SLAB, &v);
	for (unsigned int i = 0; i < v.members; i++) {
		const struct rmnic_mem_slab *at = oracle_slab(s, &v.member[i]);
		uint64_t meta = at ? at->meta[rpn % CLUSTER_SLAB].vstate : 0;

		sum = (sum ^ meta) * 0x100000001b3ull + i + !at;
		n += snprintf(line + n, sizeof(line) - (size_t)n, ", server %u%s %" PRIu64 ".%x",
			      oracle_server(&v.member[i]), at ? "" : " (gone)",
			      meta >> RMNIC_RMP_VERSION_SHIFT, (unsigned int)meta & 0xffff);
	}
	if (sum != s->watched)
		printf("# %12.6f page %" PRIu64 ": %s\n", (double)s->w.net.now / 1e9, rpn, line);
	s->watched = sum;
}

/* --- The backend that was succeeded --------------------------------------------------------------- */

uint64_t oracle_sealed(struct sim *s)
{
	uint64_t servers = 0;

	for (unsigned int i = 0; i < s->w.nservers; i++) {
		const struct rmnic_memstore *ms = s->w.servers[i].store;

		servers |= (uint64_t)(ms && ms->devices[0].used && ms->devices[0].epoch == s->w.epoch) << i;
	}
	return servers;
}

bool oracle_old_member(struct sim *s, uint64_t rpn, uint64_t servers)
{
	struct rmnic_state_block b;
	struct rmnic_state_view v;

	if (rmnic_state_attach(&b, cluster_old(&s->w)->state, s->w.state_size, s->w.cfg.device) ||
	    !rmnic_state_view_get(&b, rpn / CLUSTER_SLAB, &v))
		return true; /* it has spoilt it */
	for (unsigned int i = 0; i < v.members; i++)
		if ((whole(&v) >> i & 1) && (servers >> oracle_server(&v.member[i]) & 1))
			return true;
	return false;
}

/* --- Answers ----------------------------------------------------------------------------------- */

uint64_t oracle_view(const struct sim *s, uint64_t rpn)
{
	return rmnic_le64_get(s->block.slabs[rpn / CLUSTER_SLAB].current);
}

/*
 * STATE-2, STATE-21: whole members have it, and know that they are members. The view is the one of
 * that moment: when the guest looks there may be another, which need not be known to anybody yet.
 */
void oracle_acked(struct sim *s, uint64_t rpn, uint64_t view)
{
	uint64_t word = rmnic_state_page(&s->block, rpn);
	const struct rmnic_mem_slab *at;
	struct rmnic_state_view v;

	view_of(s, rpn / CLUSTER_SLAB, &v);
	if (KIND(word) != RMNIC_STATE_PAGE_HELD && KIND(word) != RMNIC_STATE_PAGE_SPILLED &&
	    !(s->rings && KIND(word) == RMNIC_STATE_PAGE_LOST))
		sim_fail(s, "page %" PRIu64 " was acknowledged, and its word is %#" PRIx64, rpn, word);
	if (KIND(word) == RMNIC_STATE_PAGE_SPILLED && !is_spilled(s, rpn))
		sim_fail(s, "page %" PRIu64 " was acknowledged, and is not in the spill file", rpn);
	for (unsigned int i = 0; i < v.members && KIND(word) == RMNIC_STATE_PAGE_HELD; i++) {
		at = oracle_slab(s, &v.member[i]);
		if (!at || !(whole(&v) >> i & 1))
			continue;
		if (at->meta[rpn % CLUSTER_SLAB].vstate >> RMNIC_RMP_VERSION_SHIFT != VERSION(word))
			sim_fail(s, "page %" PRIu64 " was acknowledged, and server %u has not got it", rpn,
				 oracle_server(&v.member[i]));
		if (rmnic_le64_get(at->view.view) < view)
			sim_fail(s, "page %" PRIu64 " was acknowledged, and server %u knows view %" PRIu64
				 " of %" PRIu64, rpn, oracle_server(&v.member[i]),
				 (uint64_t)rmnic_le64_get(at->view.view), view);
	}
	s->model.pages[rpn].doomed = !lives(s, rpn, &v);
}

/* It was well for all of the time, or for so long that it should have been found. */
static bool was_well(const struct sim *s, uint64_t trouble, uint64_t started)
{
	return trouble < started || s->w.net.now - trouble > LONG_NS;
}

/*
 * Whether some member could have answered. Where pages are spoilt on their way one may seem to have
 * a wrong copy, and another one is needed.
 */
static bool could_answer(struct sim *s, uint64_t rpn, bool out, uint64_t started)
{
	unsigned int needed = !out && s->net_faults.corrupt ? 2 : 1;
	struct rmnic_state_view v;

	view_of(s, rpn / CLUSTER_SLAB, &v);
	if (!was_well(s, s->trouble, started) || !was_well(s, s->lost_at[rpn / CLUSTER_SLAB], started))
		return false;
	if (KIND(rmnic_state_page(&s->block, rpn)) == RMNIC_STATE_PAGE_SPILLED && !out)
		return was_well(s, s->disk_trouble, started) && !s->spill.short_permille;
	for (unsigned int i = 0; i < v.members; i++) {
		const struct rmnic_rmp_member *m = &v.member[i];

		if ((whole(&v) >> i & 1) &&
		    was_well(s, s->servers[oracle_server(m)].trouble, started) &&
		    (out ? oracle_slab(s, m) != NULL : has_copy(s, m, rpn)) && !--needed)
			return true;
	}
	return false;
}

bool oracle_excused(struct sim *s, uint64_t rpn, bool out, uint16_t status, uint64_t started)
{
	const struct model_page *p = &s->model.pages[rpn];

	oracle_views(s);
	switch (status) {
	case RMNIC_SC_BUSY:
		return true;
	case RMNIC_SC_UNREACHABLE:
		if (!s->faults)
			return false;
		return (p->doomed && !out) || s->w.cfg.timeout_ns < 2 * SECOND ||
		       !could_answer(s, rpn, out, started);
	case RMNIC_SC_CORRUPT:
		return !out && (p->doomed || (s->net_faults.corrupt && s->faults));
	case RMNIC_SC_INDETERMINATE:
		return !out && p->unknown;
	case RMNIC_SC_LOST:
		return !out && p->doomed;
	default:
		return false;
	}
}

/* --- The end ----------------------------------------------------------------------------------- */

bool oracle_suffices(const struct sim *s)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < s->w.nservers; i++)
		n += s->servers[i].big && !s->servers[i].draining && !s->w.servers[i].unknown;
	return n >= s->w.cfg.replicas;
}

uint64_t oracle_rotten(struct sim *s)
{
	const struct rmnic_mem_slab *at;
	struct rmnic_state_view v;

	for (uint64_t rpn = 0; rpn < s->block.npages; rpn++) {
		if (rpn % CLUSTER_SLAB == 0)
			view_of(s, rpn / CLUSTER_SLAB, &v);
		if (KIND(rmnic_state_page(&s->block, rpn)) != RMNIC_STATE_PAGE_HELD)
			continue;
		for (unsigned int i = 0; i < v.members; i++) {
			at = whole(&v) >> i & 1 ? oracle_slab(s, &v.member[i]) : NULL;
			/* Views are compared by version: only its server can find out what rots. */
			if (at && s->w.servers[oracle_server(&v.member[i])].scrub_rate &&
			    rotten(s, at, (uint32_t)(rpn % CLUSTER_SLAB)) && lives(s, rpn, &v))
				return rpn + 1;
		}
	}
	return 0;
}

void oracle_audit(struct sim *s)
{
	struct rmnic_state_view v;

	for (uint64_t i = 0; i < s->block.nslabs && !s->failure[0]; i++) {
		view_of(s, i, &v);
		for (unsigned int k = 0; k < v.members; k++)
			if (whole(&v) >> k & 1)
				promoted(s, i, &v.member[k], &v);
	}
}
