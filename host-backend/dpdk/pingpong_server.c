/* SPDX-License-Identifier: BSD-3-Clause */
/* The answering end: pages from where they lie. */
#include <string.h>

#include "dpdk/pingpong_internal.h"

#define PAGE 4096u

struct state {
	struct rmnic_pingpong_server *server;
	uint64_t random;
};

static uint64_t next_random(struct state *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random;
}

static void nothing(void *arg)
{
	(void)arg;
}

/* The answer's headers: the question's, with both ends exchanged. */
static void turn(struct pingpong_frame *out, const struct pingpong_frame *in, uint32_t len)
{
	*out = *in;
	out->headers.ether.dst_addr = in->headers.ether.src_addr;
	out->headers.ether.src_addr = in->headers.ether.dst_addr;
	out->headers.ip.src_addr = in->headers.ip.dst_addr;
	out->headers.ip.dst_addr = in->headers.ip.src_addr;
	out->headers.ip.total_length = rte_cpu_to_be_16((uint16_t)(28 + len));
	out->headers.ip.hdr_checksum = 0;
	out->headers.ip.hdr_checksum = rte_ipv4_cksum(&out->headers.ip);
	out->headers.udp.src_port = in->headers.udp.dst_port;
	out->headers.udp.dst_port = in->headers.udp.src_port;
	out->headers.udp.dgram_len = rte_cpu_to_be_16((uint16_t)(8 + len));
	out->headers.udp.dgram_cksum = 0;
	out->head.magic = PINGPONG_REPLY;
}

/* One frame of len bytes of payload, of which what follows the head is a page's. */
static struct rte_mbuf *frame_make(struct rmnic_udp *udp, struct rmnic_udp_port *p,
				   const struct pingpong_frame *in, const char *data, uint32_t len)
{
	bool place = p->port->multi_segs && len > RMNIC_PINGPONG_MIN;
	uint32_t data_len = len - RMNIC_PINGPONG_MIN;
	struct rte_mbuf *m = place ? rte_pktmbuf_alloc(udp->head_pool)
				   : rmnic_udp_copy_alloc(udp, p);
	struct rte_mbuf *page;

	if (!m)
		return NULL;
	turn((struct pingpong_frame *)rte_pktmbuf_append(m, sizeof(*in)), in, len);
	if (!place) {
		memcpy(rte_pktmbuf_append(m, (uint16_t)data_len), data, data_len);
		return m;
	}
	page = rmnic_udp_page_attach(udp, NULL, data, data_len, nothing, NULL);
	if (!page) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	m->next = page;
	m->nb_segs = 2;
	m->pkt_len += data_len;
	return m;
}

static void answer(void *arg, struct rmnic_udp_port *p, const struct pingpong_frame *f,
		   uint32_t len)
{
	struct state *s = arg;
	struct rmnic_pingpong_server *server = s->server;
	uint32_t left = f->head.reply, most = p->port->mtu - 28u;
	const char *data = (const char *)server->store;

	(void)len;
	if (left < RMNIC_PINGPONG_MIN || left > RMNIC_PINGPONG_MAX_REPLY)
		return;
	data += next_random(s) % ((server->store_len - RMNIC_PINGPONG_MAX_REPLY) / PAGE) * PAGE;
	while (left > 0) {
		uint32_t now = left < most ? left : most;
		struct rte_mbuf *m;

		/* The rest must hold a head. */
		if (left > now && left - now < RMNIC_PINGPONG_MIN)
			now -= RMNIC_PINGPONG_MIN;
		m = frame_make(server->udp, p, f, data, now);
		if (!m) {
			server->udp->count.no_mbuf++;
			return;
		}
		rmnic_udp_frame_queue(server->udp, p, m);
		data += now;
		left -= now;
	}
	server->served++;
}

void rmnic_pingpong_serve(struct rmnic_pingpong_server *server)
{
	struct rmnic_udp *udp = server->udp;
	struct state s = { .server = server, .random = rmnic_udp_now() | 1 };

	while (!atomic_load_explicit(server->stop, memory_order_relaxed)) {
		unsigned int n = 0;

		udp->now = rmnic_udp_now();
		for (uint16_t i = 0; i < udp->nports; i++) {
			n += pingpong_receive(udp, &udp->ports[i], server->port, PINGPONG_REQUEST,
					      &s, answer);
			rmnic_udp_port_watch(udp, &udp->ports[i]);
		}
		rmnic_udp_flush(udp);
		if (n > 0)
			rmnic_wait_busy(server->wait);
		else if (rmnic_wait_idle(server->wait))
			rmnic_wait_sleep(server->wait, rmnic_udp_deadline(udp), false);
	}
}
