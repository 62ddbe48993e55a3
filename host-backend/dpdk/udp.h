/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/udp.h - datagrams on the ports of one lcore: the engine's network (engine/env.h).
 *
 * One struct rmnic_udp an lcore, over one queue of every port; used by that lcore alone. The
 * port a datagram leaves by is the one whose subnet its destination is in, else one with a
 * gateway. A destination without a known hardware address is asked for by ARP and the datagram
 * is dropped (the sender's timers see to it).
 */
#ifndef RMNIC_DPDK_UDP_H
#define RMNIC_DPDK_UDP_H

#include "common/error.h"
#include "dpdk/port.h"
#include "engine/env.h"

#define RMNIC_UDP_MAX_PORTS 8
#define RMNIC_UDP_MAX_FDS   32

struct rmnic_udp;
struct rmnic_udp_socket;

struct rmnic_udp_config {
	struct rmnic_port *const *ports;
	uint16_t nports;  /* 1 to RMNIC_UDP_MAX_PORTS */
	uint16_t queue;
	uint16_t queues;  /* how many there are: for handing datagrams to the right lcore (RULES F4) */
	uint32_t max_sockets;
};

struct rmnic_udp_counters {
	uint64_t rx, tx, rx_bytes, tx_bytes;
	uint64_t tx_joined;   /* of tx: in a datagram with an earlier one */
	uint64_t tx_in_place; /* of tx: with a piece of a page that was not copied */
	uint64_t tx_full;     /* the port took no more */
	uint64_t tx_long;     /* longer than the port's MTU, or without a route to it */
	uint64_t link_down;   /* not sent, or dropped before it was */
	uint64_t no_mbuf;
	uint64_t no_neighbour;
	uint64_t rx_bad;      /* frames that are none of ours or are damaged */
	uint64_t handed_over; /* to another lcore */
};

/* In the main thread, before or while the lcore runs its loop. */
struct rmnic_udp *rmnic_udp_create(const struct rmnic_udp_config *config, struct rmnic_error *err);
void rmnic_udp_destroy(struct rmnic_udp *udp);

/*
 * Binds a pair of local UDP ports, one a lane, host order. rx is called from rmnic_udp_poll().
 * NULL: a port is in use, or max_sockets are open.
 */
struct rmnic_udp_socket *rmnic_udp_open(struct rmnic_udp *udp, const uint16_t port[RMNIC_LANES],
					void (*rx)(void *arg, const struct rmnic_rx *rx), void *arg);
/* When it returns nothing refers to any page that was sent through it. */
void rmnic_udp_close(struct rmnic_udp_socket *socket);
/* The network of one client or server. */
struct rmnic_net rmnic_udp_net(struct rmnic_udp_socket *socket);

/*
 * One round on all ports: receives a burst and hands it out, sends what is queued, lets go of
 * pages that were sent. Number of frames received.
 */
unsigned int rmnic_udp_poll(struct rmnic_udp *udp);
/* Reads the clock of this lcore, for who works before rmnic_udp_poll() does that. */
void rmnic_udp_clock(struct rmnic_udp *udp);
/* Sends what is queued; called at the end of a round of work. */
void rmnic_udp_flush(struct rmnic_udp *udp);
/* When poll must run at the latest, ns on rmnic_udp_now(); UINT64_MAX: when a frame comes. */
uint64_t rmnic_udp_deadline(const struct rmnic_udp *udp);
/*
 * Descriptors that become readable when a frame comes; the same for as long as the ports are open.
 * Their number, or 0: there are none for some port, which must be polled.
 */
unsigned int rmnic_udp_fds(const struct rmnic_udp *udp, int fds[RMNIC_UDP_MAX_FDS]);
/* Frames of RX that can be held: for sizing what may be asked for at a time. */
uint32_t rmnic_udp_rx_ring(const struct rmnic_udp *udp);
/* Memory that pages will be sent from, for ports that do DMA (RULES F6). */
int rmnic_udp_register(struct rmnic_udp *udp, void *base, uint64_t len, struct rmnic_error *err);
const struct rmnic_udp_counters *rmnic_udp_counters(const struct rmnic_udp *udp);
/* CLOCK_MONOTONIC, ns: the clock of everything here. */
uint64_t rmnic_udp_now(void);
/*
 * The same as this lcore read it last: before the burst that it is at work on. A look at the clock for every
 * message is a quarter of what an lcore does at depth 64. In other threads: now.
 */
uint64_t rmnic_udp_round_now(void);

#endif /* RMNIC_DPDK_UDP_H */
