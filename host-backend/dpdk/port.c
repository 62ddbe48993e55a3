/* SPDX-License-Identifier: BSD-3-Clause */
/* Ports: opening, addresses, closing. */
#include "dpdk/port.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/log.h"
#include "dpdk/eal_internal.h"
#include "dpdk/netif.h"
#include "dpdk/nft.h"
#include "dpdk/port_device.h"
#include "dpdk/port_internal.h"

static int address_parse(const char *what, const char *text, uint32_t *ip, struct rmnic_error *err)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return rmnic_error_set(err, "%s '%s' is no IPv4 address such as 10.0.0.1", what, text);
	*ip = ntohl(in.s_addr);
	return 0;
}

/* "10.0.0.1/24", of a host: not a network's or a broadcast address. */
static int subnet_parse(struct rmnic_port *port, const char *text, struct rmnic_error *err)
{
	const char *slash = strchr(text, '/');
	char ip[16];
	char *end;
	unsigned long prefix;

	if (!slash || slash - text >= (long)sizeof(ip))
		return rmnic_error_set(err, "port %s: address '%s': expected ADDRESS/PREFIX such as "
					    "10.0.0.1/24", port->device.name, text);
	snprintf(ip, sizeof(ip), "%.*s", (int)(slash - text), text);
	if (address_parse("address", ip, &port->ip, err))
		return -1;
	prefix = strtoul(slash + 1, &end, 10);
	if (end == slash + 1 || *end || prefix < 1 || prefix > 32)
		return rmnic_error_set(err, "port %s: prefix '%s' is out of range (1-32)",
				       port->device.name, slash + 1);
	port->prefix = (uint8_t)prefix;
	return 0;
}

static int addresses_check(struct rmnic_port *port, const char *gateway, struct rmnic_error *err)
{
	uint32_t host;

	port->mask = UINT32_MAX << (32 - port->prefix);
	host = port->ip & ~port->mask;
	if (port->ip >> 28 >= 14 || port->ip >> 24 == 0 || port->ip >> 24 == 127 ||
	    (port->prefix < 31 && (host == 0 || host == ~port->mask)))
		return rmnic_error_set(err, "port %s: address %u.%u.%u.%u/%u is none of a host",
				       port->device.name, port->ip >> 24, port->ip >> 16 & 255,
				       port->ip >> 8 & 255, port->ip & 255, port->prefix);
	if (!gateway)
		return 0;
	if (address_parse("gateway", gateway, &port->gateway, err))
		return -1;
	if (!rmnic_port_on_link(port, port->gateway) || port->gateway == port->ip)
		return rmnic_error_set(err, "port %s: gateway %s is not in the port's network "
					    "(%u.%u.%u.%u/%u)", port->device.name, gateway,
				       port->ip >> 24, port->ip >> 16 & 255, port->ip >> 8 & 255,
				       port->ip & 255, port->prefix);
	return 0;
}

/* The port's addresses, and whether the kernel answers for them. */
static int addresses_set(struct rmnic_port *port, const struct rmnic_port_config *config,
			 const struct rmnic_netif *netif, struct rmnic_error *err)
{
	uint8_t prefix;

	if (config->address && subnet_parse(port, config->address, err))
		return -1;
	if (!config->address) {
		if (!netif->has_ip)
			return rmnic_error_set(err, "port %s: no address: the kernel has none there; "
						    "give address=ADDRESS/PREFIX", port->device.name);
		port->ip = netif->ip;
		port->prefix = netif->prefix;
	}
	if (addresses_check(port, config->gateway, err))
		return -1;
	port->kernel = port->device.interface &&
		       rmnic_netif_has(port->device.argument, port->ip, &prefix);
	if (netif->has_ip && port->device.driver == RMNIC_DRIVER_AF_XDP)
		return rmnic_error_set(err, "port %s: af_xdp takes every frame from the kernel, which "
					    "has the address %u.%u.%u.%u there: use packet, or take "
					    "the address away (ip address flush dev %s)",
				       port->device.name, netif->ip >> 24, netif->ip >> 16 & 255,
				       netif->ip >> 8 & 255, netif->ip & 255, port->device.argument);
	return 0;
}

static int mtu_set(struct rmnic_port *port, const struct rmnic_port_config *config,
		   const struct rmnic_netif *netif, struct rmnic_error *err)
{
	uint32_t most = netif->mtu ? netif->mtu : 9216;
	uint32_t mtu = config->mtu ? config->mtu : netif->mtu ? netif->mtu : 1500;

	if (mtu < RMNIC_PORT_MIN_MTU || mtu > most)
		return rmnic_error_set(err, "port %s: MTU %" PRIu32 " is out of range (%d-%" PRIu32
					    "%s)", port->device.name, mtu, RMNIC_PORT_MIN_MTU, most,
				       netif->mtu ? ", the interface's" : "");
	/* An mbuf of af_xdp lies in one 4 KiB chunk (RULES F1). */
	most = port->device.driver == RMNIC_DRIVER_AF_XDP ? RMNIC_PORT_XDP_MTU : RMNIC_PORT_MAX_MTU;
	port->mtu = (uint16_t)(mtu < most ? mtu : most);
	return 0;
}

/*
 * The kernel shall not see what is ours (RULES F7): on a shared interface it would answer, and on one of
 * our own it would still look where to route each datagram before it drops it.
 */
static void kernel_keep_out(struct rmnic_port *port, const struct rmnic_port_config *config,
			    bool shared)
{
	struct rmnic_error why;

	port->nft = rmnic_nft_add(port->device.argument, port->ip, config->udp_first,
				  config->udp_last, &why);
	if (!port->nft && !shared)
		rmnic_log_info("port %s: the kernel's stack sees our datagrams as well, which costs "
			       "some time: %s", port->device.name, why.text);
	else if (!port->nft)
		rmnic_log_warn("port %s: the kernel's stack sees our datagrams as well, which is slow "
			       "and makes it answer 'port unreachable': %s",
			       port->device.name, why.text);
}

static int interface_watch(struct rmnic_port *port, const struct rmnic_port_config *config,
			   const struct rmnic_netif *netif, struct rmnic_error *err)
{
	/* So that the first round announces us. */
	atomic_store(&port->link.changed, true);
	if (!port->device.interface)
		return rmnic_port_link_follow(port, err);
	port->watch = rmnic_link_watch_start(port->device.argument, netif->index, &port->link,
					     port->fds, port->nfds, err);
	if (!port->watch)
		return -1;
	if (config->udp_first)
		kernel_keep_out(port, config, netif->has_ip);
	return 0;
}

struct rmnic_port *rmnic_port_open(const struct rmnic_port_config *config,
				   struct rmnic_error *err)
{
	struct rmnic_port *port = calloc(1, sizeof(*port));
	struct rmnic_netif netif = { 0 };

	if (!port) {
		rmnic_error_set(err, "port %s: no memory", config->device);
		return NULL;
	}
	port->link.event = -1;
	if (rmnic_device_parse(config->device, &port->device, err))
		goto failed;
	if (config->queues < 1 || config->queues > RMNIC_PORT_MAX_QUEUES) {
		rmnic_error_set(err, "port %s: %u queues are out of range (1-%d)", config->device,
				config->queues, RMNIC_PORT_MAX_QUEUES);
		goto failed;
	}
	port->queues = config->queues;
	if (port->device.interface &&
	    rmnic_netif_read(port->device.argument, &netif, err))
		goto failed;
	if (port->device.interface && !netif.ethernet) {
		rmnic_error_set(err, "port %s: interface %s is not Ethernet", config->device,
				port->device.argument);
		goto failed;
	}
	port->ifindex = netif.index;
	memcpy(port->mac.addr_bytes, netif.mac, sizeof(netif.mac));
	if (addresses_set(port, config, &netif, err) || mtu_set(port, config, &netif, err) ||
	    rmnic_port_device_open(port, err) || interface_watch(port, config, &netif, err))
		goto failed;
	rmnic_log_info("port %s: %s, %u.%u.%u.%u/%u, MTU %u, %u queue%s of %u frames, link %s",
		       port->device.name, rmnic_driver_names[port->device.driver], port->ip >> 24,
		       port->ip >> 16 & 255, port->ip >> 8 & 255, port->ip & 255, port->prefix,
		       port->mtu, port->queues, port->queues == 1 ? "" : "s", port->rx_ring,
		       atomic_load(&port->link.up) ? "up" : "down");
	return port;
failed:
	rmnic_port_close(port);
	return NULL;
}

void rmnic_port_close(struct rmnic_port *port)
{
	if (!port)
		return;
	rmnic_link_watch_stop(port->watch);
	rmnic_nft_remove(port->nft);
	rmnic_port_device_close(port);
	free(port);
}

void rmnic_port_info(const struct rmnic_port *port, struct rmnic_port_info *out)
{
	*out = (struct rmnic_port_info){
		.ip = port->ip,
		.prefix = port->prefix,
		.mtu = port->mtu,
		.multi_segs = port->multi_segs,
		.kernel = port->kernel,
		.link_up = atomic_load_explicit(&port->link.up, memory_order_relaxed),
	};
	snprintf(out->device, sizeof(out->device), "%s", port->device.name);
	snprintf(out->driver, sizeof(out->driver), "%s",
		 rmnic_driver_names[port->device.driver]);
	memcpy(out->mac, port->mac.addr_bytes, sizeof(out->mac));
	rmnic_port_device_count(port, out);
}
