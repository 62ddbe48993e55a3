/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking in on a remote store, and what may be set while it runs. */
#include <string.h>

#include "engine/store_remote_internal.h"

const char *const rmnic_remote_event_names[RMNIC_REMOTE_EVENT_COUNT] = {
#define X(id, name) [RMNIC_REMOTE_EV_##id] = name,
	RMNIC_REMOTE_EVENTS(X)
#undef X
};

static struct rmnic_remote *to_remote(const struct rmnic_store *store)
{
	return (struct rmnic_remote *)(uintptr_t)store;
}

/* --- Setting ---------------------------------------------------------------------------------- */

void rmnic_store_remote_domain(struct rmnic_store *store, uint32_t peer, uint32_t domain)
{
	to_remote(store)->peers[peer].domain = domain;
}

void rmnic_store_remote_drain(struct rmnic_store *store, uint32_t peer, bool on)
{
	struct rmnic_remote *r = to_remote(store);

	r->peers[peer].drain = on;
	rmnic_remote_repair_look(r, 0);
	rmnic_remote_reserve(r); /* there is less room than before, or more */
}

bool rmnic_store_remote_replicas(struct rmnic_store *store, uint32_t replicas)
{
	struct rmnic_remote *r = to_remote(store);

	if (!replicas || replicas > RMNIC_MEMBERS || replicas > r->cfg.max_peers)
		return false;
	r->cfg.replicas = replicas;
	rmnic_remote_repair_look(r, 0);
	return true;
}

void rmnic_store_remote_rates(struct rmnic_store *store, uint32_t repair, uint32_t scrub)
{
	struct rmnic_remote *r = to_remote(store);

	r->cfg.repair_rate = repair ? repair : 1;
	r->cfg.scrub_rate = scrub ? scrub : 1;
}

void rmnic_store_remote_patience(struct rmnic_store *store, uint64_t drop_ns, uint64_t away_ns,
				 uint32_t hedge_permille)
{
	struct rmnic_remote *r = to_remote(store);

	r->cfg.drop_ns = drop_ns ? drop_ns : 1;
	r->cfg.away_ns = away_ns ? away_ns : 1;
	r->cfg.hedge_permille = hedge_permille ? hedge_permille : 1;
	rmnic_rmp_client_patience(r->client, r->cfg.drop_ns);
	rmnic_remote_repair_look(r, 0); /* somebody may have been away for long enough */
}

/* --- Looking ---------------------------------------------------------------------------------- */

uint64_t rmnic_store_remote_holds(const struct rmnic_store *store, uint32_t peer)
{
	const struct rmnic_remote *r = to_remote(store);
	struct rmnic_peer_info info;

	rmnic_rmp_client_peer(r->client, peer, &info);
	for (uint32_t i = 0; i < r->nholders; i++)
		if (r->holders[i].slabs && !memcmp(r->holders[i].uuid, info.uuid, 16))
			return r->holders[i].slabs;
	return info.state == RMNIC_PEER_READY && r->peers[peer].own;
}

static bool moving(struct rmnic_remote *r, struct rmnic_remote_slab *s)
{
	for (unsigned int i = 0; i < s->members; i++)
		if (rmnic_remote_live(s) >> i & 1 && rmnic_remote_peer_of(r, s, i) != RMNIC_NO_PEER &&
		    r->peers[s->peer[i]].drain)
			return true;
	return false;
}

void rmnic_store_remote_progress(const struct rmnic_store *store, struct rmnic_remote_progress *out)
{
	struct rmnic_remote *r = to_remote(store);

	memset(out, 0, sizeof(*out));
	for (uint64_t i = 0; i < r->state.nslabs; i++) {
		struct rmnic_remote_slab *s = &r->slabs[i];
		unsigned int whole = (unsigned int)__builtin_popcount(rmnic_remote_whole(s));

		out->waiting += s->waiting; /* which has no members yet */
		if (!s->members && !s->spill)
			continue;
		out->slabs++;
		out->degraded += whole < r->cfg.replicas;
		out->syncing += s->syncing != 0;
		out->away += s->away != 0;
		out->moving += moving(r, s);
		out->spilling += s->spill;
	}
	for (int i = 0; i < RMNIC_REMOTE_JOBS; i++) {
		const struct rmnic_remote_job *j = &r->repair.jobs[i];

		if (j->step != RMNIC_JOB_DRAIN && j->step != RMNIC_JOB_COPY)
			continue;
		out->sync_done += j->page;
		out->sync_todo += r->state.slab_pages;
	}
	out->spilled = r->spilled;
	out->spill_free = rmnic_remote_spill_free(r);
	for (uint32_t i = 0; i < r->cfg.max_peers; i++) {
		struct rmnic_peer_info info;

		rmnic_rmp_client_peer(r->client, i, &info);
		if (info.state == RMNIC_PEER_READY && r->peers[i].free_pages != UINT64_MAX &&
		    !r->peers[i].drain)
			out->server_free += r->peers[i].free_pages;
	}
}

bool rmnic_store_remote_slab(const struct rmnic_store *store, uint64_t slab,
			     struct rmnic_remote_slab_info *out)
{
	const struct rmnic_remote *r = to_remote(store);
	const struct rmnic_remote_slab *s;

	if (slab >= r->state.nslabs)
		return false;
	s = &r->slabs[slab];
	memset(out, 0, sizeof(*out));
	out->view = s->view;
	out->members = s->members;
	out->syncing = s->syncing;
	out->away = s->away;
	out->spill = s->spill;
	out->waiting = s->waiting;
	for (unsigned int i = 0; i < s->members; i++)
		memcpy(out->server[i], s->member[i].server, sizeof(out->server[i]));
	if (s->waiting)
		rmnic_remote_recover_slab(r, slab, out);
	return true;
}
