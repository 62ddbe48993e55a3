/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/packet.h - a packet socket (packet(7)) as a queue of a port, in mbufs.
 *
 * What net_af_packet does too, for less: frames are received where the kernel put them, and sent from
 * where they lie by one sendmmsg() for a burst. (That driver's transmit ring makes the kernel copy each frame
 * once more where its receiver is on the same machine, and all its sockets are in a fanout group.)
 */
#ifndef RMNIC_DPDK_PACKET_H
#define RMNIC_DPDK_PACKET_H

#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "dpdk/device.h"

struct rmnic_packet;

struct rmnic_packet_counters {
	uint64_t rx, tx;
	uint64_t rx_missed; /* the ring was full */
	uint64_t tx_errors; /* refused by the kernel for good */
};

/*
 * interface: its name, for errors. first: the queue that shares the interface's frames with this one by a hash
 * of their flow (RULES F4); NULL: this one gets all, or is the first. shared: others will follow.
 */
struct rmnic_packet *rmnic_packet_open(const char *interface, unsigned int ifindex,
				       const struct rmnic_rings *rings, bool shared,
				       const struct rmnic_packet *first, struct rmnic_error *err);
/* When nobody has a frame of it any more. NULL: nothing. */
void rmnic_packet_close(struct rmnic_packet *p);

/*
 * As rte_eth_rx_burst() and rte_eth_tx_burst(), in the queue's lcore. A received frame may be freed in
 * another one; its place in the ring is taken until then.
 */
uint16_t rmnic_packet_rx(struct rmnic_packet *p, struct rte_mbuf **frames, uint16_t n);
uint16_t rmnic_packet_tx(struct rmnic_packet *p, struct rte_mbuf **frames, uint16_t n);

/* Readable while there is something to receive. */
int rmnic_packet_fd(const struct rmnic_packet *p);
/* In any thread, one at a time. */
void rmnic_packet_count(struct rmnic_packet *p, struct rmnic_packet_counters *out);

#endif /* RMNIC_DPDK_PACKET_H */
