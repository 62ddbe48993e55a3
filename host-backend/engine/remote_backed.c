/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RULES L1, looking ahead: what the device advertises has a place now; would it still have one if
 * any one server went? A slab with two whole members would, and so would one with a place in the
 * spill file. The others need room elsewhere.
 */
#include "engine/store_remote_internal.h"

#define LOOK_NS UINT64_C(1000000000)

static uint64_t mix(uint64_t seen, uint64_t value)
{
	return (seen ^ value) * 0x9e3779b97f4a7c15ull + (seen >> 29);
}

static bool gives_room(const struct rmnic_remote *r, uint32_t peer, struct rmnic_peer_info *info)
{
	rmnic_rmp_client_peer(r->client, peer, info);
	return info->state == RMNIC_PEER_READY && !r->peers[peer].silent && !r->peers[peer].drain &&
	       !info->pressure && r->peers[peer].free_pages != UINT64_MAX;
}

/* All that the answer depends on, as one number. */
static uint64_t look_over(const struct rmnic_remote *r)
{
	uint64_t seen = mix(r->slabs_ready, r->spills.held);
	struct rmnic_peer_info info;

	seen = mix(seen, rmnic_remote_spill_free(r));
	seen = mix(seen, r->remote.dropped + r->remote.repairs + r->remote.resyncs);
	for (uint32_t i = 0; i < r->cfg.max_peers; i++)
		seen = mix(seen, gives_room(r, i, &info) ? r->peers[i].free_pages : UINT64_MAX);
	return seen;
}

/* Pages that only this server holds for the device. */
static uint64_t alone(struct rmnic_remote *r, uint32_t peer)
{
	uint64_t pages = 0;

	for (uint64_t i = 0; i < r->state.nslabs; i++) {
		struct rmnic_remote_slab *s = &r->slabs[i];
		unsigned int whole = rmnic_remote_whole(s);

		if (!s->spill && whole && !(whole & (whole - 1)) &&
		    rmnic_remote_peer_of(r, s, (unsigned int)__builtin_ctz(whole)) == peer)
			pages += r->state.slab_pages;
	}
	return pages;
}

/* Whether there is room elsewhere for what the server holds alone; how many pages lack it. */
static uint64_t lacking(struct rmnic_remote *r, uint32_t peer)
{
	uint64_t need = alone(r, peer), room = rmnic_remote_spill_free(r);
	struct rmnic_peer_info info;

	for (uint32_t i = 0; i < r->cfg.max_peers && room < need; i++)
		if (i != peer && gives_room(r, i, &info))
			room += r->peers[i].free_pages;
	return need > room ? need - room : 0;
}

void rmnic_remote_backed_look(struct rmnic_remote *r)
{
	struct rmnic_remote_spills *p = &r->spills;
	uint64_t now = rmnic_env_now(&r->cfg.env), seen, lack = 0;
	struct rmnic_peer_info info;

	if (!r->served || r->status >= RMNIC_REMOTE_FENCED || now < p->backed_at)
		return;
	p->backed_at = now + LOOK_NS;
	seen = look_over(r);
	if (seen == p->backed_seen)
		return;
	p->backed_seen = seen;
	for (uint32_t i = 0; i < r->cfg.max_peers && !lack; i++) {
		rmnic_rmp_client_peer(r->client, i, &info);
		if (info.state == RMNIC_PEER_REMOVED || (lack = lacking(r, i)) == 0)
			continue;
		if (!p->unbacked)
			rmnic_remote_event(r, RMNIC_REMOTE_EV_UNBACKED, 0, 0, lack, info.uuid);
	}
	p->unbacked = lack != 0;
}
