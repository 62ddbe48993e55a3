/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory servers as all devices together see them. */
#include <stdio.h>
#include <string.h>

#include "daemon/report.h"
#include "dpdk/udp.h"
#include "engine/le.h"
#include "engine/state_block.h"

struct server {
	const struct rmnic_server *conf;
	bool met;         /* its uuid is known */
	uint8_t uuid[16];
	enum rmnic_peer_state state; /* of the device that gets on best with it */
	bool asked;       /* by a device */
	bool silent;      /* as one device has it */
	bool pressure;
	uint32_t mtu, window;
	uint64_t free_pages, slabs, pages, srtt, retransmits;
};

/*
 * Pages are counted by going through the state blocks, 8 bytes a page: for that no more than a
 * hundredth of the time is spent, and in between the last count is told.
 */
#define COUNT_SHARE 100
static struct {
	uint64_t next_ns;
	unsigned int n;
	struct {
		uint8_t uuid[16];
		uint64_t pages;
	} on[RMNIC_MAX_SERVERS];
} counted;

/* The control thread's alone: too large for a stack. */
static struct rmnic_vdev_view view;
static struct server servers[RMNIC_MAX_SERVERS];

static void add_peer(struct server *s, const struct rmnic_vdev_peer *p)
{
	const struct rmnic_peer_info *i = &p->info;
	bool better = !s->asked || i->state == RMNIC_PEER_READY;

	s->asked = true;
	s->retransmits += i->retransmits;
	s->slabs += p->slabs;
	s->silent |= i->silent;
	s->pressure |= i->pressure;
	if (!better)
		return;
	s->state = i->state;
	s->mtu = i->mtu;
	s->window += i->window;
	s->srtt = i->srtt[RMNIC_LANE_IN] ? i->srtt[RMNIC_LANE_IN] : i->srtt[RMNIC_LANE_OUT];
	if (p->free_pages != UINT64_MAX && (!s->free_pages || p->free_pages < s->free_pages))
		s->free_pages = p->free_pages;
}

static uint64_t held(const struct rmnic_state_block *block, uint64_t slab)
{
	uint64_t first = slab * block->slab_pages, n = 0;

	for (uint64_t rpn = first; rpn < first + block->slab_pages && rpn < block->npages; rpn++)
		n += (rmnic_state_page(block, rpn) & RMNIC_STATE_PAGE_KIND) == RMNIC_STATE_PAGE_HELD;
	return n;
}

static void count_slab(const struct rmnic_state_view *v, uint64_t pages)
{
	for (unsigned int k = 0; k < v->members; k++) {
		unsigned int i = 0;

		if (v->away >> k & 1)
			continue;
		while (i < counted.n && memcmp(counted.on[i].uuid, v->member[k].server, 16) != 0)
			i++;
		if (i == RMNIC_MAX_SERVERS)
			continue;
		if (i == counted.n) {
			memcpy(counted.on[i].uuid, v->member[k].server, 16);
			counted.on[i].pages = 0;
			counted.n++;
		}
		counted.on[i].pages += pages;
	}
}

static void count_pages(struct rmnic_backend *b)
{
	uint64_t now = rmnic_udp_now();
	struct rmnic_state_view v;

	if (now < counted.next_ns)
		return;
	counted.n = 0;
	for (unsigned int d = 0; d < RMNIC_MAX_DEVICES; d++) {
		const struct rmnic_state_block *block =
			b->vdevs[d] ? rmnic_vdev_block(b->vdevs[d]) : NULL;

		for (uint64_t slab = 0; block && slab < block->nslabs; slab++)
			if (rmnic_state_view_get(block, slab, &v) && v.members)
				count_slab(&v, held(block, slab));
	}
	counted.next_ns = rmnic_udp_now();
	counted.next_ns += (counted.next_ns - now) * COUNT_SHARE;
}

static uint64_t pages_on(const uint8_t uuid[16])
{
	for (unsigned int i = 0; i < counted.n; i++)
		if (!memcmp(counted.on[i].uuid, uuid, 16))
			return counted.on[i].pages;
	return 0;
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
	count_pages(b);
	for (unsigned int i = 0; i < b->nservers; i++) {
		static const uint8_t never[16];

		servers[i].met = memcmp(b->servers[i].met, never, sizeof(never)) != 0;
		memcpy(servers[i].uuid, b->servers[i].met, sizeof(servers[i].uuid));
		servers[i].pages = servers[i].met ? pages_on(servers[i].uuid) : 0;
	}
}

/* What else there is to say of it. Returns buf. */
static const char *note(const struct server *s, char *buf, size_t len)
{
	const char *drain = s->conf->drained ? "drained" : "draining";

	snprintf(buf, len, "%s%s%s", s->conf->draining || s->conf->leaving ? drain : "",
		 s->silent ? " silent" : "", s->pressure ? " pressure" : "");
	return *buf == ' ' ? buf + 1 : buf;
}

static json_t *server_json(const struct server *s)
{
	char address[24], uuid[37] = "", text[64];

	if (s->met)
		rmnic_uuid_format(s->uuid, uuid);
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:I, s:I}", "address",
			 rmnic_address_format(s->conf->address, address), "uuid", uuid, "label",
			 s->conf->label, "domain", s->conf->domain, "state",
			 s->asked ? rmnic_peer_state_names[s->state] : "unused", "note",
			 note(s, text, sizeof(text)), "mtu", (json_int_t)s->mtu, "free_pages",
			 (json_int_t)s->free_pages, "slabs", (json_int_t)s->slabs, "pages",
			 (json_int_t)s->pages, "rtt_us", (double)s->srtt / 1000.0, "window_bytes",
			 (json_int_t)s->window, "retransmits", (json_int_t)s->retransmits);
}

json_t *rmnic_report_servers(struct rmnic_report *r)
{
	json_t *list = json_array();

	gather(r->backend);
	for (unsigned int i = 0; i < r->backend->nservers; i++)
		json_array_append_new(list, server_json(&servers[i]));
	return list;
}
