/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory servers as all devices together see them. */
#include <stdio.h>
#include <string.h>

#include "daemon/report.h"
#include "engine/le.h"
#include "engine/state_block.h"

struct server {
	const struct rmnic_server *conf;
	bool met;         /* its uuid is known */
	uint8_t uuid[16];
	enum rmnic_peer_state state; /* of the device that gets on best with it */
	bool asked;       /* by a device */
	uint32_t mtu, window;
	uint64_t free_pages, slabs, pages, srtt, retransmits;
};

/* The control thread's alone: too large for a stack. */
static struct rmnic_vdev_view view;
static struct server servers[RMNIC_MAX_SERVERS];

static void add_peer(struct server *s, const struct rmnic_vdev_peer *p)
{
	const struct rmnic_peer_info *i = &p->info;
	bool better = !s->asked || i->state == RMNIC_PEER_READY;

	s->asked = true;
	s->retransmits += i->retransmits;
	if (!better)
		return;
	s->state = i->state;
	s->mtu = i->mtu;
	s->window += i->window;
	s->srtt = i->srtt[RMNIC_LANE_IN] ? i->srtt[RMNIC_LANE_IN] : i->srtt[RMNIC_LANE_OUT];
	if (p->free_pages != UINT64_MAX && (!s->free_pages || p->free_pages < s->free_pages))
		s->free_pages = p->free_pages;
	if (i->state == RMNIC_PEER_READY) {
		s->met = true;
		memcpy(s->uuid, i->uuid, sizeof(s->uuid));
	}
}

static uint64_t held(const struct rmnic_state_block *block, uint64_t slab)
{
	uint64_t first = slab * block->slab_pages, n = 0;

	for (uint64_t rpn = first; rpn < first + block->slab_pages && rpn < block->npages; rpn++)
		n += (rmnic_state_page(block, rpn) & RMNIC_STATE_PAGE_KIND) == RMNIC_STATE_PAGE_HELD;
	return n;
}

static void add_slabs(const struct rmnic_state_block *block, unsigned int n)
{
	struct rmnic_state_view v;

	for (uint64_t slab = 0; slab < block->nslabs; slab++) {
		uint64_t pages;

		if (!rmnic_state_view_get(block, slab, &v) || !v.members)
			continue;
		pages = held(block, slab);
		for (unsigned int k = 0; k < v.members; k++)
			for (unsigned int i = 0; i < n; i++) {
				if (!servers[i].met ||
				    memcmp(servers[i].uuid, v.member[k].server, 16) != 0)
					continue;
				servers[i].slabs++;
				servers[i].pages += pages;
			}
	}
}

static void gather(struct rmnic_backend *b)
{
	memset(servers, 0, sizeof(servers));
	for (unsigned int i = 0; i < b->nservers; i++)
		servers[i].conf = &b->servers[i];
	for (unsigned int d = 0; d < RMNIC_MAX_DEVICES; d++) {
		if (!b->vdevs[d])
			continue;
		rmnic_vdev_look(b->vdevs[d], &view);
		for (uint32_t p = 0; p < view.npeers; p++)
			for (unsigned int i = 0; i < b->nservers; i++)
				if (view.peers[p].address.ip == b->servers[i].address.ip &&
				    view.peers[p].address.port == b->servers[i].address.port)
					add_peer(&servers[i], &view.peers[p]);
	}
	for (unsigned int d = 0; d < RMNIC_MAX_DEVICES; d++)
		if (b->vdevs[d])
			add_slabs(rmnic_vdev_block(b->vdevs[d]), b->nservers);
}

json_t *rmnic_report_servers(struct rmnic_report *r)
{
	json_t *list = json_array();

	gather(r->backend);
	for (unsigned int i = 0; i < r->backend->nservers; i++) {
		const struct server *s = &servers[i];
		char address[24], uuid[37] = "";

		if (s->met)
			rmnic_uuid_format(s->uuid, uuid);
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:I, s:I}", "address",
				  rmnic_address_format(s->conf->address, address), "uuid", uuid,
				  "label", s->conf->label, "state",
				  s->asked ? rmnic_peer_state_names[s->state] : "unused", "mtu",
				  (json_int_t)s->mtu, "free_pages", (json_int_t)s->free_pages, "slabs",
				  (json_int_t)s->slabs, "pages", (json_int_t)s->pages, "rtt_us",
				  (double)s->srtt / 1000.0, "window_bytes", (json_int_t)s->window,
				  "retransmits", (json_int_t)s->retransmits));
	}
	return list;
}
