/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/port.h - an Ethernet port: its device, addresses, queues, neighbours (ARP).
 *
 * Opened and closed in the main thread; what the lcores use of it does not change in between, but for
 * the neighbour table (RCU or a sequence lock) and the link's state.
 */
#ifndef RMNIC_DPDK_PORT_H
#define RMNIC_DPDK_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct rmnic_port_config {
	/*
	 * "eth0" or "packet:eth0" (packet.h); of DPDK's drivers "0000:01:00.0" (PCI, vfio-pci),
	 * "af_packet:eth0", "af_xdp:eth0", "tap:name", "memif:...": a driver and its argument
	 */
	const char *device;
	const char *address; /* "10.0.0.1/24"; NULL: as the kernel has it on that interface */
	const char *gateway; /* for servers that are not on the link; NULL: none */
	uint16_t queues;     /* RX and TX each, one an lcore */
	uint16_t mtu;        /* 0: the interface's */
	uint16_t udp_first, udp_last; /* UDP ports that are ours, host order: kept from the
				       * kernel's stack where the interface is shared (RULES F7) */
};

struct rmnic_port;

struct rmnic_port_info {
	char device[64];
	char driver[32];
	uint8_t mac[6];
	uint32_t ip;       /* host order */
	uint8_t prefix;
	uint16_t mtu;
	bool multi_segs;   /* a datagram's page may be sent from where it lies */
	bool kernel;       /* the kernel has an address there: it answers ARP */
	bool link_up;
	uint64_t rx, tx, rx_missed, rx_errors, tx_errors; /* frames */
};

/* NULL: err says what is wrong with which argument. */
struct rmnic_port *rmnic_port_open(const struct rmnic_port_config *config,
				   struct rmnic_error *err);
void rmnic_port_close(struct rmnic_port *port);
void rmnic_port_info(const struct rmnic_port *port, struct rmnic_port_info *out);

#endif /* RMNIC_DPDK_PORT_H */
