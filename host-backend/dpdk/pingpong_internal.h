/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/pingpong_internal.h - frames of the ping-pong, and how both ends receive them.
 */
#ifndef RMNIC_DPDK_PINGPONG_INTERNAL_H
#define RMNIC_DPDK_PINGPONG_INTERNAL_H

#include "dpdk/pingpong.h"
#include "dpdk/udp_internal.h"

#define PINGPONG_REQUEST 0x676e6970u
#define PINGPONG_REPLY   0x676e6f70u

/* Of both ends' own machines, and gone with them: host order. */
struct pingpong_head {
	uint32_t magic;
	uint32_t reply;  /* bytes of the whole answer */
	uint64_t id;
} __attribute__((packed, aligned(2)));

_Static_assert(sizeof(struct pingpong_head) == RMNIC_PINGPONG_MIN, "the least there is to say");

/* A frame of the ping-pong, from its Ethernet header on. */
struct pingpong_frame {
	struct rmnic_udp_headers headers;
	struct pingpong_head head;
} __attribute__((packed, aligned(2)));

/* One burst; what is not for this UDP port is the network's. Called for each that is. */
static inline unsigned int pingpong_receive(struct rmnic_udp *udp, struct rmnic_udp_port *p,
					    uint16_t port, uint32_t magic, void *arg,
					    void (*take)(void *arg, struct rmnic_udp_port *p,
							 const struct pingpong_frame *f,
							 uint32_t len))
{
	struct rte_mbuf *frames[RMNIC_UDP_BURST];
	uint16_t n;

	if (p->port->gated && !rmnic_udp_readable(udp, p->port))
		return 0;
	n = rmnic_port_rx(p->port, udp->queue, frames, RMNIC_UDP_BURST);
	for (uint16_t i = 0; i < n; i++) {
		const struct pingpong_frame *f =
			rte_pktmbuf_mtod(frames[i], const struct pingpong_frame *);

		if (frames[i]->data_len < sizeof(*f) || frames[i]->nb_segs != 1 ||
		    f->headers.ether.ether_type != rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) ||
		    f->headers.ip.version_ihl != 0x45 ||
		    f->headers.ip.next_proto_id != IPPROTO_UDP ||
		    f->headers.udp.dst_port != rte_cpu_to_be_16(port) || f->head.magic != magic) {
			rmnic_udp_input(udp, p, frames[i]);
			continue;
		}
		take(arg, p, f,
		     frames[i]->data_len - (uint32_t)sizeof(struct rmnic_udp_headers));
		rte_pktmbuf_free(frames[i]);
	}
	return n;
}

#endif /* RMNIC_DPDK_PINGPONG_INTERNAL_H */
