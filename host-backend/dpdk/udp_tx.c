/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams that go out: frames, references to pages, the queue in front of the driver's. */
#include <string.h>

#include "dpdk/udp_internal.h"

#define TTL       64
#define ECN_ABLE  2 /* ECT(0): routers may mark instead of drop */
#define JOIN_LOOK 8 /* frames of the queue that are looked at for one to share */

struct target {
	struct rmnic_udp_port *port;
	uint64_t mac;
	uint32_t ip;
	uint16_t udp_port;
	uint16_t from;
};

struct rmnic_udp_port *rmnic_udp_route(struct rmnic_udp *udp, uint32_t ip, uint32_t *hop)
{
	for (uint16_t i = 0; i < udp->nports; i++) {
		*hop = ip;
		if (rmnic_port_on_link(udp->ports[i].port, ip))
			return &udp->ports[i];
	}
	for (uint16_t i = 0; i < udp->nports; i++) {
		*hop = udp->ports[i].port->gateway;
		if (*hop)
			return &udp->ports[i];
	}
	return NULL;
}

struct rte_mbuf *rmnic_udp_copy_alloc(struct rmnic_udp *udp, struct rmnic_udp_port *p)
{
	/* af_xdp sends from its own pool only; from another it would copy once more. */
	return rte_pktmbuf_alloc(p->port->gated ? p->port->rx_pool[udp->queue] : udp->copy_pool);
}

/* --- The queue --- */

void rmnic_udp_port_drop(struct rmnic_udp_port *p, uint64_t *counter)
{
	*counter += p->ntx;
	for (uint16_t i = 0; i < p->ntx; i++)
		rte_pktmbuf_free(p->tx[i]);
	p->ntx = 0;
	p->stuck_since = 0;
}

void rmnic_udp_port_flush(struct rmnic_udp *udp, struct rmnic_udp_port *p)
{
	uint16_t sent;

	if (p->ntx == 0)
		return;
	/* What a driver takes now it would send when the link is back, seconds later (RULES F5). */
	if (!atomic_load_explicit(&p->port->link.up, memory_order_relaxed)) {
		rmnic_udp_port_drop(p, &udp->count.link_down);
		return;
	}
	sent = rmnic_port_tx(p->port, udp->queue, p->tx, p->ntx);
	if (sent > 0 || p->stuck_since == 0)
		p->stuck_since = udp->now;
	p->ntx -= sent;
	if (p->ntx == 0) {
		p->stuck_since = 0;
		return;
	}
	memmove(p->tx, p->tx + sent, p->ntx * sizeof(p->tx[0]));
	memmove(p->join, p->join + sent, p->ntx * sizeof(p->join[0]));
	if (udp->now - p->stuck_since > RMNIC_UDP_STUCK_NS)
		rmnic_udp_port_drop(p, &udp->count.tx_full);
}

/* Room for one more frame. */
static bool room_make(struct rmnic_udp *udp, struct rmnic_udp_port *p)
{
	if (p->ntx == RMNIC_UDP_TX_QUEUE)
		rmnic_udp_port_flush(udp, p);
	return p->ntx < RMNIC_UDP_TX_QUEUE;
}

void rmnic_udp_frame_queue(struct rmnic_udp *udp, struct rmnic_udp_port *p, struct rte_mbuf *m)
{
	if (!room_make(udp, p)) {
		udp->count.tx_full++;
		rte_pktmbuf_free(m);
		return;
	}
	p->join[p->ntx] = 0;
	p->tx[p->ntx++] = m;
}

/* --- Frames --- */

void rmnic_udp_headers_fill(struct rmnic_udp_headers *h, const struct rmnic_port *port,
			    uint64_t mac, uint16_t from, uint32_t ip, uint16_t to, uint32_t len)
{
	rmnic_mac_unpack(mac, &h->ether.dst_addr);
	rte_ether_addr_copy(&port->mac, &h->ether.src_addr);
	h->ether.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	h->ip = (struct rte_ipv4_hdr){
		.version_ihl = 0x45,
		.type_of_service = ECN_ABLE,
		.total_length = rte_cpu_to_be_16((uint16_t)(sizeof(h->ip) + sizeof(h->udp) + len)),
		.fragment_offset = rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG),
		.time_to_live = TTL,
		.next_proto_id = IPPROTO_UDP,
		.src_addr = rte_cpu_to_be_32(port->ip),
		.dst_addr = rte_cpu_to_be_32(ip),
	};
	h->ip.hdr_checksum = rte_ipv4_cksum(&h->ip);
	h->udp.src_port = rte_cpu_to_be_16(from);
	h->udp.dst_port = rte_cpu_to_be_16(to);
	h->udp.dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof(h->udp) + len));
	/* None: RMP checks its headers and pages itself, end to end. */
	h->udp.dgram_cksum = 0;
}

static void headers_fill(void *at, const struct target *t, uint32_t len)
{
	rmnic_udp_headers_fill(at, t->port->port, t->mac, t->from, t->ip, t->udp_port, len);
}

/* The driver has sent it, or it was dropped: in the lcore that sent it. */
static void page_free(void *addr, void *opaque)
{
	struct rmnic_udp_page *page = opaque;

	(void)addr;
	if (page->socket)
		page->socket->in_flight--;
	page->udp->in_flight--;
	page->release(page->release_arg);
}

static bool registered(const struct rmnic_udp *udp, const void *data, uint32_t len)
{
	uintptr_t at = (uintptr_t)data;

	for (unsigned int i = 0; i < udp->nregions; i++) {
		if (at >= udp->region[i].base && at - udp->region[i].base <= udp->region[i].len &&
		    len <= udp->region[i].len - (at - udp->region[i].base))
			return true;
	}
	return false;
}

struct rte_mbuf *rmnic_udp_page_attach(struct rmnic_udp *udp, struct rmnic_udp_socket *s,
				       const void *data, uint32_t len, void (*release)(void *arg),
				       void *arg)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(udp->page_pool);
	struct rmnic_udp_page *page;

	if (!m)
		return NULL;
	page = rte_mbuf_to_priv(m);
	page->release = release;
	page->release_arg = arg;
	page->udp = udp;
	page->socket = s;
	page->info.free_cb = page_free;
	page->info.fcb_opaque = page;
	rte_mbuf_ext_refcnt_set(&page->info, 1);
	/* Lengths are 16 bits wide (RULES F6): it is below the MTU here. */
	rte_pktmbuf_attach_extbuf(m, (void *)(uintptr_t)data, (rte_iova_t)(uintptr_t)data,
				  (uint16_t)len, &page->info);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	if (s)
		s->in_flight++;
	udp->in_flight++;
	return m;
}

static bool in_place(const struct rmnic_udp *udp, const struct target *t, const struct rmnic_tx *tx)
{
	return tx->data && tx->release && t->port->port->multi_segs &&
	       (!t->port->port->dma || registered(udp, tx->data, tx->data_len));
}

static struct rte_mbuf *frame_refer(struct rmnic_udp_socket *s, const struct target *t,
				    const struct rmnic_tx *tx)
{
	uint32_t front = (uint32_t)sizeof(struct rmnic_udp_headers) + tx->head_len;
	struct rte_mbuf *m = rte_pktmbuf_alloc(s->udp->head_pool);
	struct rte_mbuf *page;
	char *at;

	if (!m)
		return NULL;
	at = rte_pktmbuf_append(m, (uint16_t)front);
	page = at ? rmnic_udp_page_attach(s->udp, s, tx->data, tx->data_len, tx->release,
					  tx->release_arg)
		  : NULL;
	if (!page) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	headers_fill(at, t, tx->head_len + tx->data_len);
	memcpy(at + sizeof(struct rmnic_udp_headers), tx->head, tx->head_len);
	m->next = page;
	m->nb_segs = 2;
	m->pkt_len = front + tx->data_len;
	return m;
}

static void message_copy(char *at, const struct rmnic_tx *tx)
{
	memcpy(at, tx->head, tx->head_len);
	if (tx->data)
		memcpy(at + tx->head_len, tx->data, tx->data_len);
}

static struct rte_mbuf *frame_copy(struct rmnic_udp_socket *s, const struct target *t,
				   const struct rmnic_tx *tx)
{
	uint32_t data_len = tx->data ? tx->data_len : 0;
	struct rte_mbuf *m = rmnic_udp_copy_alloc(s->udp, t->port);
	char *at;

	if (!m)
		return NULL;
	at = rte_pktmbuf_append(m, (uint16_t)(sizeof(struct rmnic_udp_headers) + tx->head_len + data_len));
	if (!at) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	headers_fill(at, t, tx->head_len + data_len);
	message_copy(at + sizeof(struct rmnic_udp_headers), tx);
	return m;
}

/* --- Several messages in a datagram (RMP-41) --- */

static bool same_way(const struct rmnic_udp_headers *h, const struct target *t)
{
	return h->ip.dst_addr == rte_cpu_to_be_32(t->ip) && h->udp.dst_port == rte_cpu_to_be_16(t->udp_port) &&
	       h->udp.src_port == rte_cpu_to_be_16(t->from);
}

/* The last frame in the queue that goes the same way, where it has room for len bytes more. */
static struct rte_mbuf *frame_shared(const struct target *t, uint32_t len, uint32_t most)
{
	const struct rmnic_udp_port *p = t->port;

	for (uint16_t i = p->ntx; i > 0 && p->ntx - i < JOIN_LOOK; i--) {
		struct rte_mbuf *m = p->tx[i - 1];
		uint32_t room = RTE_MIN(p->join[i - 1], most);

		if (room == 0 || !same_way(rte_pktmbuf_mtod(m, struct rmnic_udp_headers *), t))
			continue;
		return m->pkt_len - sizeof(struct rmnic_udp_headers) + len <= room && rte_pktmbuf_tailroom(m) >= len
			       ? m : NULL;
	}
	return NULL;
}

/* False: there is no frame to share. */
static bool message_join(struct rmnic_udp_socket *s, const struct target *t, const struct rmnic_tx *tx, uint32_t len)
{
	struct rte_mbuf *m = tx->join ? frame_shared(t, len, tx->join) : NULL;

	if (!m)
		return false;
	message_copy(rte_pktmbuf_append(m, (uint16_t)len), tx);
	headers_fill(rte_pktmbuf_mtod(m, void *), t, m->pkt_len - (uint32_t)sizeof(struct rmnic_udp_headers));
	s->udp->count.tx_joined++;
	return true;
}

/* Adds a frame of its own to the queue. False: it cannot be made. */
static bool message_queue(struct rmnic_udp_socket *s, const struct target *t, const struct rmnic_tx *tx, bool place)
{
	struct rmnic_udp_port *p = t->port;
	struct rte_mbuf *m;

	if (!room_make(s->udp, p)) {
		s->udp->count.tx_full++;
		return false;
	}
	m = place ? frame_refer(s, t, tx) : frame_copy(s, t, tx);
	if (!m) {
		s->udp->count.no_mbuf++;
		return false;
	}
	p->join[p->ntx] = place ? 0 : tx->join;
	p->tx[p->ntx++] = m;
	return true;
}

/* Where it goes, and whether it can: the ladder of refusals. */
static bool target_find(struct rmnic_udp *udp, const struct rmnic_addr *to, uint32_t len,
			struct target *t)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	struct rmnic_route_answer answer;
	uint32_t ip, hop = 0;

	memcpy(&ip, to->ip + 12, sizeof(ip));
	t->ip = rte_be_to_cpu_32(ip);
	t->udp_port = to->port;
	t->port = memcmp(to->ip, mapped, sizeof(mapped)) ? NULL
							 : rmnic_udp_route(udp, t->ip, &hop);
	if (!t->port || t->ip >> 28 >= 14 ||
	    len > t->port->port->mtu - sizeof(struct rte_ipv4_hdr) - sizeof(struct rte_udp_hdr)) {
		udp->count.tx_long++;
		return false;
	}
	if (!atomic_load_explicit(&t->port->port->link.up, memory_order_relaxed)) {
		udp->count.link_down++;
		return false;
	}
	answer = rmnic_neighbour_lookup(&t->port->port->neighbours, hop, udp->now);
	if (answer.ask)
		rmnic_arp_ask(udp, t->port, hop, answer.to);
	if (!answer.mac) {
		udp->count.no_neighbour++;
		return false;
	}
	t->mac = answer.mac;
	return true;
}

bool rmnic_udp_send(void *arg, enum rmnic_lane lane, const struct rmnic_addr *to,
		    const struct rmnic_tx *tx)
{
	struct rmnic_udp_socket *s = arg;
	struct rmnic_udp *udp = s->udp;
	uint32_t data_len = tx->data ? tx->data_len : 0;
	struct target t = { .from = s->port[lane] };
	bool place;

	/* Each alone first, so that the sum cannot wrap. */
	if (tx->head_len > UINT16_MAX || data_len > UINT16_MAX ||
	    !target_find(udp, to, tx->head_len + data_len, &t))
		return false;
	place = in_place(udp, &t, tx);
	if ((place || !message_join(s, &t, tx, tx->head_len + data_len)) && !message_queue(s, &t, tx, place))
		return false;
	udp->count.tx++;
	udp->count.tx_in_place += place;
	udp->count.tx_bytes += tx->head_len + data_len;
	/* A copy was made: the page is not looked at any more. */
	if (!place && tx->data && tx->release)
		tx->release(tx->release_arg);
	return true;
}
