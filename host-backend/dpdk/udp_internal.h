/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/udp_internal.h - one lcore's network as the files of dpdk/ see it.
 *
 *   udp.c      life: creating, sockets, the round
 *   udp_tx.c   from struct rmnic_tx to frames
 *   udp_rx.c   from frames to struct rmnic_rx
 *   arp.c      questions and answers
 */
#ifndef RMNIC_DPDK_UDP_INTERNAL_H
#define RMNIC_DPDK_UDP_INTERNAL_H

#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_udp.h>

#include "dpdk/port_internal.h"
#include "dpdk/udp.h"

#define RMNIC_UDP_BURST    16u  /* frames of one port in one round */
#define RMNIC_UDP_TX_QUEUE 64u  /* frames of one port that wait to be sent */
#define RMNIC_UDP_REGIONS  8u   /* registered memory */
#define RMNIC_UDP_STUCK_NS 100000000ull /* a port that takes nothing for so long: drop */

/* What is in front of each datagram: IPv4 without options. */
struct rmnic_udp_headers {
	struct rte_ether_hdr ether;
	struct rte_ipv4_hdr ip;
	struct rte_udp_hdr udp;
} __attribute__((packed, aligned(2)));

struct rmnic_udp_socket {
	struct rmnic_udp *udp;
	uint16_t port[RMNIC_LANES];
	void (*rx)(void *arg, const struct rmnic_rx *rx);
	void *arg;
	uint32_t in_flight; /* pages that are referenced */
	bool open;
};

/* In the private area of an mbuf that refers to a page: no memory is needed besides (RULES A11). */
struct rmnic_udp_page {
	struct rte_mbuf_ext_shared_info info;
	void (*release)(void *arg);
	void *release_arg;
	struct rmnic_udp *udp;
	struct rmnic_udp_socket *socket; /* NULL: none */
};

struct rmnic_udp_port {
	struct rmnic_port *port;
	struct rte_mbuf *tx[RMNIC_UDP_TX_QUEUE];
	uint32_t join[RMNIC_UDP_TX_QUEUE]; /* bytes of payload that tx[i] may grow to; 0: it is full */
	uint16_t ntx;
	uint64_t stuck_since; /* 0: it takes frames */
};

struct rmnic_udp {
	struct rmnic_udp_port ports[RMNIC_UDP_MAX_PORTS];
	uint16_t nports, queue, queues;
	uint64_t now;       /* of this round */
	uint64_t arp_next;  /* when unanswered questions are looked at again */
	uint32_t in_flight; /* pages of all sockets */
	struct rte_mempool *head_pool; /* headers */
	struct rte_mempool *page_pool; /* references to pages */
	struct rte_mempool *copy_pool; /* whole frames */
	struct rte_ring *handover;     /* frames for our sockets that came to other lcores */
	int wake_fd;                   /* ... and what wakes us for them; -1: one lcore */
	_Atomic bool signalled;
	struct {
		uintptr_t base;
		uint64_t len;
	} region[RMNIC_UDP_REGIONS];
	unsigned int nregions;
	struct rmnic_udp_counters count;
	uint32_t max_sockets;
	struct rmnic_udp_socket sockets[];
};

/* The socket that has this local UDP port, of whichever lcore, or NULL. */
struct rmnic_udp_socket *rmnic_udp_bound(uint16_t port);

/* By another lcore: there is something in the handover ring. */
void rmnic_udp_wake(struct rmnic_udp *udp);

/* What a port needs to be seen to each round, whoever receives its frames. */
void rmnic_udp_port_watch(struct rmnic_udp *udp, struct rmnic_udp_port *p);
/* Whether there is something to receive; of gated ports only. */
bool rmnic_udp_readable(const struct rmnic_udp *udp, const struct rmnic_port *port);

/* --- udp_tx.c --- */
bool rmnic_udp_send(void *arg, enum rmnic_lane lane, const struct rmnic_addr *to,
		    const struct rmnic_tx *tx);
/* Queues a frame, which is complete; takes it over. */
void rmnic_udp_frame_queue(struct rmnic_udp *udp, struct rmnic_udp_port *p, struct rte_mbuf *m);
void rmnic_udp_port_flush(struct rmnic_udp *udp, struct rmnic_udp_port *p);
/* Drops what waits to be sent, and counts it there. */
void rmnic_udp_port_drop(struct rmnic_udp_port *p, uint64_t *counter);
/* The port and the next hop towards ip; NULL: none. */
struct rmnic_udp_port *rmnic_udp_route(struct rmnic_udp *udp, uint32_t ip, uint32_t *hop);
/* An empty mbuf for a whole frame that leaves by this port. */
struct rte_mbuf *rmnic_udp_copy_alloc(struct rmnic_udp *udp, struct rmnic_udp_port *p);

void rmnic_udp_headers_fill(struct rmnic_udp_headers *h, const struct rmnic_port *port,
			    uint64_t mac, uint16_t from, uint32_t ip, uint16_t to, uint32_t len);
/* An mbuf that is the page where it lies; NULL: there is none left. socket may be NULL. */
struct rte_mbuf *rmnic_udp_page_attach(struct rmnic_udp *udp, struct rmnic_udp_socket *s,
				       const void *data, uint32_t len, void (*release)(void *arg),
				       void *arg);

/* --- udp_rx.c --- */
/* Takes the frame over. */
void rmnic_udp_input(struct rmnic_udp *udp, struct rmnic_udp_port *p, struct rte_mbuf *m);
/* A datagram whose headers were checked on another lcore. */
void rmnic_udp_deliver(struct rmnic_udp *udp, struct rte_mbuf *m);

/* --- arp.c --- */
void rmnic_arp_input(struct rmnic_udp *udp, struct rmnic_udp_port *p, const struct rte_mbuf *m);
/* to: 0 for everybody. */
void rmnic_arp_ask(struct rmnic_udp *udp, struct rmnic_udp_port *p, uint32_t ip, uint64_t to);
/* Tells everybody where we are. */
void rmnic_arp_announce(struct rmnic_udp *udp, struct rmnic_udp_port *p);
void rmnic_arp_timers(struct rmnic_udp *udp);

static inline uint64_t rmnic_mac_pack(const struct rte_ether_addr *mac)
{
	uint64_t packed = 0;

	for (int i = 0; i < RTE_ETHER_ADDR_LEN; i++)
		packed |= (uint64_t)mac->addr_bytes[i] << (8 * i);
	return packed;
}

static inline void rmnic_mac_unpack(uint64_t packed, struct rte_ether_addr *mac)
{
	for (int i = 0; i < RTE_ETHER_ADDR_LEN; i++)
		mac->addr_bytes[i] = (uint8_t)(packed >> (8 * i));
}

#endif /* RMNIC_DPDK_UDP_INTERNAL_H */
