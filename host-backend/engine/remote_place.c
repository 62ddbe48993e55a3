/* SPDX-License-Identifier: BSD-3-Clause */
/* Which servers take a slab. */
#include <string.h>

#include "engine/store_remote_internal.h"

/* Members whose failure domain matters to the next one. */
struct neighbours {
	unsigned int n;
	uint32_t domain[2 * RMNIC_MEMBERS];
};

bool rmnic_remote_may_take(const struct rmnic_remote *r, uint32_t peer)
{
	const struct rmnic_remote_peer *p = &r->peers[peer];
	struct rmnic_peer_info info;

	if (p->full || p->drain || p->silent)
		return false;
	/* STATE-18: a RELEASE that is still on its way must not meet a slab allocated anew. */
	if (p->own)
		return false;
	rmnic_rmp_client_peer(r->client, peer, &info);
	return info.state == RMNIC_PEER_READY && !info.pressure &&
	       info.slab_pages >= r->state.slab_pages;
}

unsigned int rmnic_remote_takers(const struct rmnic_remote *r)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < r->cfg.max_peers; i++)
		n += rmnic_remote_may_take(r, i);
	return n;
}

/* Pages that the server can still reserve, as far as is known. */
static uint64_t room_of(const struct rmnic_remote *r, uint32_t peer)
{
	const struct rmnic_remote_peer *p = &r->peers[peer];
	uint64_t coming = (uint64_t)p->placing * r->state.slab_pages;

	if (p->free_pages == UINT64_MAX)
		return UINT64_MAX - coming; /* unheard of as yet: it is asked, and then it is known */
	return p->free_pages > coming ? p->free_pages - coming : 0;
}

static void neighbour_add(const struct rmnic_remote *r, struct neighbours *near, uint32_t peer)
{
	/* One that is to leave need not be kept apart from. */
	if (r->peers[peer].domain && !r->peers[peer].drain)
		near->domain[near->n++] = r->peers[peer].domain;
}

static unsigned int crowd(const struct rmnic_remote *r, const struct neighbours *near, uint32_t peer)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < near->n; i++)
		n += near->domain[i] == r->peers[peer].domain;
	return n;
}

/* Whether the server is in the slab's view, in whatever role, or chosen already. */
static bool taken(const struct rmnic_remote *r, const struct rmnic_remote_slab *s, uint32_t peer,
		  const uint32_t *but, unsigned int n)
{
	const uint8_t *uuid = rmnic_rmp_client_uuid(r->client, peer);

	for (unsigned int i = 0; i < n; i++)
		if (but[i] == peer)
			return true;
	for (unsigned int i = 0; i < s->members; i++)
		if (!memcmp(s->member[i].server, uuid, 16))
			return true;
	return false;
}

uint16_t rmnic_remote_place(struct rmnic_remote *r, uint64_t slab, const uint32_t *but,
			    unsigned int n)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	unsigned int found = 0, least = UINT32_MAX, a, b;
	uint16_t able[RMNIC_REMOTE_HOLDERS];
	struct neighbours near = { 0 };
	const struct rmnic_env *env = &r->cfg.env;

	for (unsigned int i = 0; i < n; i++)
		neighbour_add(r, &near, but[i]);
	for (unsigned int i = 0; i < s->members; i++)
		if (!(s->away >> i & 1) && rmnic_remote_peer_of(r, s, i) != RMNIC_NO_PEER)
			neighbour_add(r, &near, s->peer[i]);
	for (uint32_t peer = 0; peer < r->cfg.max_peers; peer++) {
		unsigned int near_by = crowd(r, &near, peer);

		if (near_by > least || !rmnic_remote_may_take(r, peer) || taken(r, s, peer, but, n))
			continue;
		if (near_by < least) /* STATE-26: as far apart as can be had */
			found = 0;
		least = near_by;
		able[found++] = (uint16_t)peer;
	}
	if (!found)
		return RMNIC_NO_PEER;
	a = (unsigned int)(env->ops->random(env->arg) % found);
	if (found == 1)
		return able[a];
	b = (unsigned int)(env->ops->random(env->arg) % (found - 1));
	b += b >= a;
	return room_of(r, able[a]) >= room_of(r, able[b]) ? able[a] : able[b];
}
