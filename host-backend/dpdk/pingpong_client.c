/* SPDX-License-Identifier: BSD-3-Clause */
/* The asking end: depth questions at a time. */
#include <string.h>

#include "dpdk/pingpong_internal.h"

#define LOST_NS    200000000ull  /* a question that was not answered by then is lost */
#define SILENT_NS  5000000000ull /* ... and by then nobody is there */

struct slot {
	uint64_t id; /* 0: free */
	uint64_t asked;
	uint32_t left; /* bytes of the answer that are not here yet */
};

struct state {
	struct rmnic_pingpong_client *client;
	struct slot slot[RMNIC_PINGPONG_MAX_DEPTH];
	uint16_t free[RMNIC_PINGPONG_MAX_DEPTH];
	uint32_t nfree;
	uint64_t next_id, answers, start, heard;
	struct rmnic_udp_port *port;
	struct pingpong_frame frame; /* what each question looks like */
};

static void slot_done(struct state *s, struct slot *slot, uint64_t now)
{
	struct rmnic_pingpong_client *client = s->client;
	uint64_t ns = now - slot->asked;

	slot->id = 0;
	s->free[s->nfree++] = (uint16_t)(slot - s->slot);
	if (s->answers++ == client->warmup)
		s->start = slot->asked;
	if (s->answers <= client->warmup || client->done == client->count)
		return;
	client->samples[client->done++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
	client->ns = now - s->start;
}

static void take(void *arg, struct rmnic_udp_port *p, const struct pingpong_frame *f, uint32_t len)
{
	struct state *s = arg;
	struct slot *slot = &s->slot[f->head.id % RMNIC_PINGPONG_MAX_DEPTH];

	(void)p;
	/* Of a question that was given up, or of somebody else's. */
	if (slot->id != f->head.id || len > slot->left)
		return;
	slot->left -= len;
	s->heard = rmnic_udp_now();
	if (slot->left == 0)
		slot_done(s, slot, s->heard);
}

static bool question_send(struct state *s, struct slot *slot)
{
	struct rmnic_pingpong_client *client = s->client;
	struct rte_mbuf *m = rmnic_udp_copy_alloc(client->udp, s->port);
	struct pingpong_frame *f;

	if (!m)
		return false;
	f = (struct pingpong_frame *)rte_pktmbuf_append(
		m, (uint16_t)(sizeof(struct rmnic_udp_headers) + client->request));
	if (!f) {
		rte_pktmbuf_free(m);
		return false;
	}
	*f = s->frame;
	memset(f + 1, 0, client->request - RMNIC_PINGPONG_MIN);
	slot->id = ++s->next_id * RMNIC_PINGPONG_MAX_DEPTH + (uint64_t)(slot - s->slot);
	slot->left = client->reply;
	f->head.id = slot->id;
	slot->asked = rmnic_udp_now();
	rmnic_udp_frame_queue(client->udp, s->port, m);
	return true;
}

/* What is overdue is lost; its slot asks the next one. */
static uint64_t lost_find(struct state *s, uint64_t now)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < s->client->depth; i++) {
		struct slot *slot = &s->slot[i];

		if (slot->id == 0)
			continue;
		if (now - slot->asked >= LOST_NS) {
			slot->id = 0;
			s->free[s->nfree++] = (uint16_t)i;
			s->client->lost++;
		} else if (slot->asked + LOST_NS < first) {
			first = slot->asked + LOST_NS;
		}
	}
	return first;
}

static void frame_prepare(struct state *s, uint64_t mac)
{
	struct rmnic_pingpong_client *client = s->client;
	struct pingpong_frame *f = &s->frame;

	rmnic_udp_headers_fill(&f->headers, s->port->port, mac, client->port, client->server,
			       client->server_port, client->request);
	f->head.magic = PINGPONG_REQUEST;
	f->head.reply = client->reply;
}

/* Finds the way to the server, with ARP's help. */
static int server_find(struct state *s, struct rmnic_error *err)
{
	struct rmnic_pingpong_client *client = s->client;
	struct rmnic_route_answer answer = { 0 };
	struct rmnic_udp *udp = client->udp;
	uint64_t end = rmnic_udp_now() + SILENT_NS;
	uint32_t hop;

	s->port = rmnic_udp_route(udp, client->server, &hop);
	while (s->port && !answer.mac && udp->now < end) {
		if (rmnic_udp_poll(udp) == 0 && rmnic_wait_idle(client->wait))
			rmnic_wait_sleep(client->wait, udp->now + 10000000ull, false);
		if (atomic_load_explicit(client->stop, memory_order_relaxed))
			break;
		answer = rmnic_neighbour_lookup(&s->port->port->neighbours, hop, udp->now);
		if (answer.ask)
			rmnic_arp_ask(udp, s->port, hop, answer.to);
		rmnic_udp_flush(udp);
	}
	if (!answer.mac)
		return rmnic_error_set(err, "%u.%u.%u.%u: %s", client->server >> 24,
				       client->server >> 16 & 255, client->server >> 8 & 255,
				       client->server & 255,
				       s->port ? "nobody on the link has this address"
					       : "no port leads there");
	/* An answer may take several frames, a question is one. */
	if (client->request + 28u > s->port->port->mtu)
		return rmnic_error_set(err, "a request of %u bytes does not fit in a frame: the "
					    "port's MTU is %u",
				       client->request, s->port->port->mtu);
	frame_prepare(s, answer.mac);
	return 0;
}

static int config_check(const struct rmnic_pingpong_client *client, struct rmnic_error *err)
{
	if (client->request < RMNIC_PINGPONG_MIN || client->request > RMNIC_PINGPONG_MAX_REPLY)
		return rmnic_error_set(err, "a request of %u bytes is out of range (%d-%d)",
				       client->request, RMNIC_PINGPONG_MIN, RMNIC_PINGPONG_MAX_REPLY);
	if (client->reply < RMNIC_PINGPONG_MIN || client->reply > RMNIC_PINGPONG_MAX_REPLY)
		return rmnic_error_set(err, "a reply of %u bytes is out of range (%d-%d)",
				       client->reply, RMNIC_PINGPONG_MIN, RMNIC_PINGPONG_MAX_REPLY);
	if (client->depth < 1 || client->depth > RMNIC_PINGPONG_MAX_DEPTH)
		return rmnic_error_set(err, "a depth of %u is out of range (1-%d)", client->depth,
				       RMNIC_PINGPONG_MAX_DEPTH);
	return 0;
}

static int ask_loop(struct state *s, struct rmnic_error *err)
{
	struct rmnic_pingpong_client *client = s->client;
	struct rmnic_udp *udp = client->udp;
	uint64_t overdue = 0;

	while (client->done < client->count &&
	       !atomic_load_explicit(client->stop, memory_order_relaxed)) {
		unsigned int n = 0;

		while (s->nfree > 0 && question_send(s, &s->slot[s->free[s->nfree - 1]]))
			s->nfree--;
		rmnic_udp_port_flush(udp, s->port);
		for (uint16_t i = 0; i < udp->nports; i++)
			n += pingpong_receive(udp, &udp->ports[i], client->port, PINGPONG_REPLY, s,
					      take);
		if (n > 0) {
			rmnic_wait_busy(client->wait);
			continue;
		}
		udp->now = rmnic_udp_now();
		if (udp->now >= overdue)
			overdue = lost_find(s, udp->now);
		if (udp->now - s->heard > SILENT_NS)
			return rmnic_error_set(err, "%u.%u.%u.%u:%u does not answer: does "
						    "rmnic-pingpong server run there?",
					       client->server >> 24, client->server >> 16 & 255,
					       client->server >> 8 & 255, client->server & 255,
					       client->server_port);
		if (rmnic_wait_idle(client->wait))
			rmnic_wait_sleep(client->wait, overdue, false);
	}
	return 0;
}

int rmnic_pingpong_ask(struct rmnic_pingpong_client *client, struct rmnic_error *err)
{
	/* Of the lcore that asks, one at a time. */
	static _Thread_local struct state s;

	if (config_check(client, err))
		return -1;
	memset(&s, 0, sizeof(s));
	s.client = client;
	client->done = client->lost = client->ns = 0;
	client->udp->now = rmnic_udp_now();
	s.heard = client->udp->now;
	for (uint32_t i = 0; i < client->depth; i++)
		s.free[s.nfree++] = (uint16_t)(client->depth - 1 - i);
	if (server_find(&s, err))
		return -1;
	s.heard = client->udp->now;
	return ask_loop(&s, err);
}
