/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames that come in: checked, one check after the other, and handed to their socket. */
#include <string.h>

#include "dpdk/udp_internal.h"

#define ECN_MARKED 3

static bool source_plausible(const struct rmnic_port *port, uint32_t ip)
{
	return ip >> 24 != 0 && ip >> 24 != 127 && ip >> 28 < 14 && ip != port->ip;
}

/*
 * Whether the frame is a whole IPv4 datagram for us, without options (nobody sends us any):
 * a path that fragments is not used, as RMP probes the path's MTU.
 */
static bool ip_valid(const struct rmnic_port *port, const struct rte_mbuf *m,
		     const struct rmnic_udp_headers *h)
{
	uint16_t total;

	if (m->data_len < sizeof(*h) || h->ip.version_ihl != 0x45)
		return false;
	total = rte_be_to_cpu_16(h->ip.total_length);
	if (total < sizeof(h->ip) + sizeof(h->udp) || total > m->data_len - sizeof(h->ether))
		return false;
	if (h->ip.fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK))
		return false;
	if (h->ip.next_proto_id != IPPROTO_UDP || h->ip.dst_addr != rte_cpu_to_be_32(port->ip) ||
	    !source_plausible(port, rte_be_to_cpu_32(h->ip.src_addr)))
		return false;
	return rte_raw_cksum(&h->ip, sizeof(h->ip)) == 0xffff;
}

/*
 * Senders of ours leave the checksum out, RMP has its own. A datagram of this machine's kernel
 * (over veth or tap) carries the pseudo header's sum only, for the device to complete.
 */
static bool checksum_valid(const struct rmnic_udp_headers *h)
{
	uint16_t pseudo = rte_ipv4_phdr_cksum(&h->ip, 0);
	uint32_t sum;

	if (h->udp.dgram_cksum == 0 || h->udp.dgram_cksum == pseudo)
		return true;
	sum = (uint32_t)pseudo +
	      rte_raw_cksum(&h->udp, (size_t)rte_be_to_cpu_16(h->udp.dgram_len));
	return (uint16_t)((sum & 0xffff) + (sum >> 16)) == 0xffff;
}

static bool udp_valid(const struct rmnic_udp_headers *h)
{
	uint16_t len = rte_be_to_cpu_16(h->udp.dgram_len);

	return len >= sizeof(h->udp) &&
	       len == rte_be_to_cpu_16(h->ip.total_length) - sizeof(h->ip) &&
	       h->udp.src_port != 0 && checksum_valid(h);
}

void rmnic_udp_deliver(struct rmnic_udp *udp, struct rte_mbuf *m)
{
	const struct rmnic_udp_headers *h = rte_pktmbuf_mtod(m, const struct rmnic_udp_headers *);
	uint16_t port = rte_be_to_cpu_16(h->udp.dst_port);
	struct rmnic_udp_socket *s = rmnic_udp_bound(port);
	struct rmnic_rx rx = { .from = { .ip = { [10] = 0xff, [11] = 0xff } } };

	/* Closed between one lcore and the other. */
	if (!s || s->udp != udp) {
		udp->count.rx_bad++;
		return;
	}
	memcpy(rx.from.ip + 12, &h->ip.src_addr, sizeof(h->ip.src_addr));
	rx.from.port = rte_be_to_cpu_16(h->udp.src_port);
	rx.lane = port == s->port[RMNIC_LANE_IN] ? RMNIC_LANE_IN : RMNIC_LANE_OUT;
	rx.congestion = (h->ip.type_of_service & ECN_MARKED) == ECN_MARKED;
	rx.data = h + 1;
	rx.len = (uint32_t)rte_be_to_cpu_16(h->udp.dgram_len) - (uint32_t)sizeof(h->udp);
	udp->count.rx++;
	udp->count.rx_bytes += rx.len;
	s->rx(s->arg, &rx);
}

/* True: the frame is somebody else's now. */
static bool datagram_input(struct rmnic_udp *udp, struct rmnic_udp_port *p, struct rte_mbuf *m)
{
	const struct rmnic_udp_headers *h = rte_pktmbuf_mtod(m, const struct rmnic_udp_headers *);
	struct rmnic_udp_socket *s;
	uint32_t from;

	if (!ip_valid(p->port, m, h) || !udp_valid(h)) {
		udp->count.rx_bad++;
		return false;
	}
	s = rmnic_udp_bound(rte_be_to_cpu_16(h->udp.dst_port));
	if (!s) {
		udp->count.rx_bad++;
		return false;
	}
	from = rte_be_to_cpu_32(h->ip.src_addr);
	if (rmnic_port_on_link(p->port, from))
		rmnic_neighbour_confirm(&p->port->neighbours, from,
					rmnic_mac_pack(&h->ether.src_addr), udp->now);
	if (s->udp == udp) {
		rmnic_udp_deliver(udp, m);
		return false;
	}
	/* The kernel's or the NIC's hash chose another lcore than the socket's (RULES F4). */
	if (rte_ring_enqueue(s->udp->handover, m)) {
		udp->count.rx_bad++;
		return false;
	}
	udp->count.handed_over++;
	rmnic_udp_wake(s->udp);
	return true;
}

/* Of a network that shares the wire, its tag taken off on the way. */
static bool of_vlan(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) && (m->vlan_tci & 0xfff);
}

void rmnic_udp_input(struct rmnic_udp *udp, struct rmnic_udp_port *p, struct rte_mbuf *m)
{
	const struct rte_ether_hdr *ether;
	bool taken = false;

	/* In place: an mbuf has room for a whole frame. */
	if ((m->nb_segs > 1 && rte_pktmbuf_linearize(m)) || m->data_len < sizeof(*ether) ||
	    of_vlan(m)) {
		udp->count.rx_bad++;
		rte_pktmbuf_free(m);
		return;
	}
	ether = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
	if (ether->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP))
		rmnic_arp_input(udp, p, m);
	else if (ether->ether_type == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) &&
		 rte_is_same_ether_addr(&ether->dst_addr, &p->port->mac))
		taken = datagram_input(udp, p, m);
	else
		udp->count.rx_bad++;
	if (!taken)
		rte_pktmbuf_free(m);
}
