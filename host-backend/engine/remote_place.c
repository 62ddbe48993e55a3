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

bool rmnic_remote_in_view(const struct rmnic_remote *r, const struct rmnic_remote_slab *s, uint32_t peer)
{
	const uint8_t *uuid = rmnic_rmp_client_uuid(r->client, peer);

	for (unsigned int i = 0; i < s->members; i++)
		if (!memcmp(s->member[i].server, uuid, 16))
			return true;
	return false;
}

/* Whether the server is in the slab's view or chosen already. */
static bool taken(const struct rmnic_remote *r, const struct rmnic_remote_slab *s, uint32_t peer,
		  const uint32_t *but, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (but[i] == peer)
			return true;
	return rmnic_remote_in_view(r, s, peer);
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

/* --- How much room there is ------------------------------------------------------------------------ */

#define ROOM_NS     UINT64_C(1000000000)  /* between two questions, at most */
#define ROOM_OLD_NS UINT64_C(10000000000) /* what was said is not believed for longer */

static void room_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote *r = call->arg;
	struct rmnic_remote_peer *p = &r->peers[call->peer];
	struct rmnic_rmp_stat stat;

	if (call->status != RMNIC_RMP_S_OK || call->reply_len != sizeof(stat))
		return;
	memcpy(&stat, call->reply, sizeof(stat));
	p->free_pages = rmnic_le64_get(stat.free_pages);
	/* It may take slabs again; what it says to ALLOC counts for more. */
	if (p->full && p->free_pages >= r->state.slab_pages) {
		p->full = false;
		rmnic_remote_repair_look(r, 0);
	}
}

/*
 * With many servers they are asked faster, so that each is asked in time: nothing else tells a device
 * that does not page that a server has died.
 */
static uint64_t room_pause(const struct rmnic_remote *r)
{
	struct rmnic_peer_info info;
	uint32_t ready = 0;

	for (uint32_t i = 0; i < r->cfg.max_peers; i++) {
		rmnic_rmp_client_peer(r->client, i, &info);
		ready += info.state == RMNIC_PEER_READY;
	}
	return ready > ROOM_OLD_NS / ROOM_NS ? ROOM_OLD_NS / ready : ROOM_NS;
}

void rmnic_remote_room_ask(struct rmnic_remote *r)
{
	struct rmnic_rmp_call *call = &r->repair.room;
	uint64_t now = rmnic_env_now(&r->cfg.env);
	struct rmnic_peer_info info;

	if (now < r->repair.room_at || call->state != RMNIC_CALL_IDLE)
		return;
	r->repair.room_at = now + room_pause(r);
	if (rmnic_remote_unwanted(r)) /* one that asks to be relieved says so in its answers */
		rmnic_remote_repair_look(r, 0);
	for (uint32_t i = 1; i <= r->cfg.max_peers; i++) {
		uint32_t peer = (r->repair.room_peer + i) % r->cfg.max_peers;

		rmnic_rmp_client_peer(r->client, peer, &info);
		if (info.state != RMNIC_PEER_READY || r->peers[peer].silent ||
		    (r->peers[peer].room_at && now < r->peers[peer].room_at + ROOM_OLD_NS))
			continue;
		memset(call, 0, sizeof(*call));
		call->type = RMNIC_RMP_STAT;
		call->peer = r->repair.room_peer = peer;
		call->deadline = now + ROOM_NS;
		call->done = room_done;
		call->arg = r;
		r->peers[peer].room_at = now;
		rmnic_rmp_client_submit(r->client, call);
		return;
	}
}

uint64_t rmnic_remote_room_due(const struct rmnic_remote *r)
{
	return r->repair.room.state == RMNIC_CALL_IDLE ? r->repair.room_at : UINT64_MAX;
}
