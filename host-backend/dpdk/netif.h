/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/netif.h - an interface as the kernel knows it.
 */
#ifndef RMNIC_DPDK_NETIF_H
#define RMNIC_DPDK_NETIF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct rmnic_netif {
	unsigned int index;
	uint32_t mtu;
	bool up;         /* administratively, and with a carrier */
	bool ethernet;
	uint8_t mac[6];
	bool has_ip;     /* an IPv4 address; the first one: */
	uint32_t ip;     /* host order */
	uint8_t prefix;
};

/* -1: there is no such interface, or the kernel does not tell. */
int rmnic_netif_read(const char *name, struct rmnic_netif *out, struct rmnic_error *err);
/* Whether the kernel has this address on it; prefix is set when it has. */
bool rmnic_netif_has(const char *name, uint32_t ip, uint8_t *prefix);

#define RMNIC_DOMAIN_TAP (-2) /* no socket, a queue of a tap interface */

/*
 * Sockets of one domain, or queues of taps, among this process's descriptors, up to max, in order; their
 * number.
 */
unsigned int rmnic_packet_fds_find(int domain, int *fds, unsigned int max);

struct rmnic_link_watch;

/* The state of a link, as lcores see it. */
struct rmnic_link {
	_Atomic bool up;
	_Atomic bool changed; /* cleared by whoever saw to it */
	int event;            /* eventfd, readable once it has changed; -1: nobody tells */
};

/*
 * A thread of its own that keeps *link true to what netlink says (RULES F5), and clears the error
 * that an interface going down leaves on the sockets.
 */
struct rmnic_link_watch *rmnic_link_watch_start(const char *name, unsigned int index,
						struct rmnic_link *link, const int *fds,
						unsigned int nfds,
						struct rmnic_error *err);
void rmnic_link_watch_stop(struct rmnic_link_watch *watch);

#endif /* RMNIC_DPDK_NETIF_H */
