/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/port_internal.h - a port as the files of dpdk/ see it.
 */
#ifndef RMNIC_DPDK_PORT_INTERNAL_H
#define RMNIC_DPDK_PORT_INTERNAL_H

#include <net/if.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <stdatomic.h>

#include "dpdk/device.h"
#include "dpdk/neighbour.h"
#include "dpdk/netif.h"
#include "dpdk/packet.h"
#include "dpdk/port.h"

#define RMNIC_PORT_MAX_QUEUES 64
/*
 * The largest IP packet that is worth room in a ring: a page, its header, and what IP and a
 * tunnel put around it. A ring's frame then is 5 KiB, of which a plain user may lock enough
 * (RULES F8).
 */
#define RMNIC_PORT_MAX_MTU 5000
#define RMNIC_PORT_MIN_MTU 1280

struct rmnic_nft;

struct rmnic_port {
	struct rmnic_device device;
	char vdev[40];       /* "": a PCI device */
	bool probed, started;
	bool lsc;            /* the driver tells when the link changes */
	uint16_t id;         /* DPDK's; of packet sockets: none */
	uint16_t queues;
	uint16_t mtu;
	uint16_t rx_ring;    /* frames a queue holds */
	uint16_t room;       /* bytes of an mbuf for a frame */
	unsigned int ifindex; /* 0: the kernel has no such interface */
	struct rte_ether_addr mac;
	uint32_t ip, mask, gateway; /* host order; gateway 0: none */
	uint8_t prefix;
	bool multi_segs;
	bool dma;            /* reads what is sent by itself: only registered memory is sent in place */
	bool gated;          /* an empty receive blocks: ask the socket first (RULES F1) */
	bool kernel;         /* the kernel has our address: it answers ARP */
	struct rmnic_link link;
	int fds[RMNIC_PORT_MAX_QUEUES];
	unsigned int nfds;   /* queues, or 0: cannot be slept on */
	struct rmnic_packet *packet[RMNIC_PORT_MAX_QUEUES]; /* NULL: DPDK's device */
	struct rte_mempool *rx_pool[RMNIC_PORT_MAX_QUEUES];
	struct rmnic_neighbours neighbours;
	struct rmnic_link_watch *watch;
	struct rmnic_nft *nft;
};

/* As rte_eth_rx_burst() and rte_eth_tx_burst(), by the queue's lcore. */
static inline uint16_t rmnic_port_rx(struct rmnic_port *port, uint16_t queue, struct rte_mbuf **frames,
				     uint16_t n)
{
	return port->packet[queue] ? rmnic_packet_rx(port->packet[queue], frames, n)
				   : rte_eth_rx_burst(port->id, queue, frames, n);
}

static inline uint16_t rmnic_port_tx(struct rmnic_port *port, uint16_t queue, struct rte_mbuf **frames,
				     uint16_t n)
{
	return port->packet[queue] ? rmnic_packet_tx(port->packet[queue], frames, n)
				   : rte_eth_tx_burst(port->id, queue, frames, n);
}

/* Whether an address is on the port's link. */
static inline bool rmnic_port_on_link(const struct rmnic_port *port, uint32_t ip)
{
	return ((ip ^ port->ip) & port->mask) == 0;
}

#endif /* RMNIC_DPDK_PORT_INTERNAL_H */
