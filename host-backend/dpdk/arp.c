/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP: who has which hardware address. */
#include <rte_arp.h>
#include <rte_ether.h>
#include <string.h>

#include "common/log.h"
#include "dpdk/udp_internal.h"

struct arp_frame {
	struct rte_ether_hdr ether;
	struct rte_arp_hdr arp;
} __attribute__((packed, aligned(2)));

static void arp_send(struct rmnic_udp *udp, struct rmnic_udp_port *p, uint16_t op, uint32_t tip,
		     const struct rte_ether_addr *tha, const struct rte_ether_addr *to)
{
	struct rte_mbuf *m = rmnic_udp_copy_alloc(udp, p);
	struct arp_frame *f;

	if (!m) {
		udp->count.no_mbuf++;
		return;
	}
	f = (struct arp_frame *)rte_pktmbuf_append(m, sizeof(*f));
	rte_ether_addr_copy(to, &f->ether.dst_addr);
	rte_ether_addr_copy(&p->port->mac, &f->ether.src_addr);
	f->ether.ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP);
	f->arp.arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER);
	f->arp.arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
	f->arp.arp_hlen = RTE_ETHER_ADDR_LEN;
	f->arp.arp_plen = sizeof(uint32_t);
	f->arp.arp_opcode = rte_cpu_to_be_16(op);
	rte_ether_addr_copy(&p->port->mac, &f->arp.arp_data.arp_sha);
	f->arp.arp_data.arp_sip = rte_cpu_to_be_32(p->port->ip);
	rte_ether_addr_copy(tha, &f->arp.arp_data.arp_tha);
	f->arp.arp_data.arp_tip = rte_cpu_to_be_32(tip);
	rmnic_udp_frame_queue(udp, p, m);
}

void rmnic_arp_ask(struct rmnic_udp *udp, struct rmnic_udp_port *p, uint32_t ip, uint64_t to)
{
	static const struct rte_ether_addr nobody;
	struct rte_ether_addr dst = { .addr_bytes = { 255, 255, 255, 255, 255, 255 } };

	if (to)
		rmnic_mac_unpack(to, &dst);
	arp_send(udp, p, RTE_ARP_OP_REQUEST, ip, &nobody, &dst);
}

void rmnic_arp_announce(struct rmnic_udp *udp, struct rmnic_udp_port *p)
{
	/* Where the kernel has the address it announces it. */
	if (!p->port->kernel)
		rmnic_arp_ask(udp, p, p->port->ip, 0);
}

static bool arp_valid(const struct rte_mbuf *m, const struct arp_frame *f)
{
	return m->data_len >= sizeof(*f) &&
	       f->arp.arp_hardware == rte_cpu_to_be_16(RTE_ARP_HRD_ETHER) &&
	       f->arp.arp_protocol == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) &&
	       f->arp.arp_hlen == RTE_ETHER_ADDR_LEN && f->arp.arp_plen == sizeof(uint32_t) &&
	       rte_is_valid_assigned_ether_addr(&f->arp.arp_data.arp_sha);
}

/* Only a question for our address makes an entry; anything else changes one that is there. */
void rmnic_arp_input(struct rmnic_udp *udp, struct rmnic_udp_port *p, const struct rte_mbuf *m)
{
	const struct arp_frame *f = rte_pktmbuf_mtod(m, const struct arp_frame *);
	bool question, ours;
	uint32_t from;

	if (!arp_valid(m, f)) {
		udp->count.rx_bad++;
		return;
	}
	from = rte_be_to_cpu_32(f->arp.arp_data.arp_sip);
	question = f->arp.arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REQUEST);
	ours = rte_be_to_cpu_32(f->arp.arp_data.arp_tip) == p->port->ip;
	if (from == p->port->ip) {
		if (!rte_is_same_ether_addr(&f->arp.arp_data.arp_sha, &p->port->mac))
			rmnic_log_limited(RMNIC_LOG_WARN,
					  "port %s: another machine says that it has our address",
					  p->port->device.name);
		return;
	}
	if (from != 0 && rmnic_port_on_link(p->port, from))
		rmnic_neighbour_learn(&p->port->neighbours, from,
				      rmnic_mac_pack(&f->arp.arp_data.arp_sha), udp->now,
				      question && ours);
	/* From 0.0.0.0: somebody probes whether the address is taken. */
	if (question && ours && !p->port->kernel)
		arp_send(udp, p, RTE_ARP_OP_REPLY, from, &f->arp.arp_data.arp_sha,
			 &f->arp.arp_data.arp_sha);
}

void rmnic_arp_timers(struct rmnic_udp *udp)
{
	udp->arp_next = udp->now + RMNIC_NEIGHBOUR_ASK_NS / 2;
	for (uint16_t i = 0; i < udp->nports; i++) {
		struct rmnic_udp_port *p = &udp->ports[i];
		uint32_t at = 0, ip;

		if (!atomic_load_explicit(&p->port->neighbours.waiting, memory_order_relaxed))
			continue;
		while (rmnic_neighbour_due(&p->port->neighbours, &at, udp->now, &ip))
			rmnic_arp_ask(udp, p, ip, 0);
	}
}
