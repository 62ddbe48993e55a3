/* SPDX-License-Identifier: BSD-3-Clause */
/* A port's device: DPDK's, or packet sockets. */
#include "dpdk/port_device.h"

#include <inttypes.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mbuf_pool_ops.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "dpdk/eal_internal.h"
#include "dpdk/netif.h"
#include "dpdk/port_internal.h"

#define ETHERNET_ROOM 32u   /* header, VLAN tag, checksum */
#define NIC_RING      1024u
#define XDP_RING      2048u
#define TAP_RING      32u /* buffers that one frame may be spread over: any will do */
#define SOCKETS_MAX   256u
/* What may be held of RX beside the ring: a burst, and what waits for another lcore. */
#define RX_HELD       1024u
#define POOL_CACHE    64u

static int failed(const struct rmnic_port *port, const char *what, int code,
		  struct rmnic_error *err)
{
	char said[256];

	/* RULES F8 */
	const char *hint = port->device.driver == RMNIC_DRIVER_AF_XDP && rmnic_lockable() != UINT64_MAX
				   ? "; af_xdp is for root, packet is not"
				   : "";

	/* -1 is no error's number in drivers that return it. */
	if (code == -1)
		return rmnic_error_set(err, "port %s: %s: %s%s", port->device.name, what,
				       rmnic_eal_said(said, sizeof(said)), hint);
	return rmnic_error_set(err, "port %s: %s (%s): %s%s", port->device.name, what,
			       rte_strerror(code < 0 ? -code : code),
			       rmnic_eal_said(said, sizeof(said)), hint);
}

#define NO_DOMAIN (-1) /* its queues are no descriptors of this process */

static int domain_of(const struct rmnic_port *port)
{
	switch (port->device.driver) {
	case RMNIC_DRIVER_AF_PACKET: return AF_PACKET;
	case RMNIC_DRIVER_AF_XDP: return AF_XDP;
	case RMNIC_DRIVER_TAP: return RMNIC_DOMAIN_TAP;
	default: return NO_DOMAIN;
	}
}

/* The sockets that are there now and were not before are the port's (RULES F2). */
static void sockets_note(struct rmnic_port *port, const int *before, unsigned int nbefore)
{
	int now[SOCKETS_MAX];
	unsigned int n;

	if (domain_of(port) == NO_DOMAIN)
		return;
	n = rmnic_packet_fds_find(domain_of(port), now, SOCKETS_MAX);
	for (unsigned int i = 0; i < n; i++) {
		bool old = false;

		for (unsigned int j = 0; j < nbefore; j++)
			old |= before[j] == now[i];
		if (!old && port->nfds < RMNIC_PORT_MAX_QUEUES)
			port->fds[port->nfds++] = now[i];
	}
}

static unsigned int sockets_before(const struct rmnic_port *port, int *before)
{
	return domain_of(port) == NO_DOMAIN ? 0 :
					      rmnic_packet_fds_find(domain_of(port), before, SOCKETS_MAX);
}

static int rings_set(struct rmnic_port *port, struct rmnic_rings *rings, struct rmnic_error *err)
{
	uint64_t lockable = rmnic_lockable();

	if (port->device.driver != RMNIC_DRIVER_AF_PACKET)
		return 0;
	if (!rmnic_rings_choose(port->mtu, port->queues, lockable, rings))
		return rmnic_error_set(err, "port %s: its rings need more locked memory than the "
					    "%" PRIu64 " KiB that are left: raise the limit (ulimit -l, "
					    "LimitMEMLOCK=), or take fewer lcores",
				       port->device.name, lockable / 1024);
	port->rx_ring = (uint16_t)rings->count;
	port->room = (uint16_t)rings->frame;
	return 0;
}

static void sigio_ignore(int number)
{
	(void)number;
}

/*
 * tap's driver looks at its queue only after a SIGIO, if it may have that signal. Its handler counts for all
 * queues of the process, and a signal that comes between a look and the note of it is forgotten: frames
 * then lie there until the next one comes. Where somebody else has the signal the driver always looks.
 */
static void sigio_take(void)
{
	struct sigaction action;

	if (sigaction(SIGIO, NULL, &action) || action.sa_handler != SIG_DFL)
		return;
	action = (struct sigaction){ .sa_handler = sigio_ignore, .sa_flags = SA_RESTART };
	sigaction(SIGIO, &action, NULL);
}

static int probe(struct rmnic_port *port, const struct rmnic_rings *rings, struct rmnic_error *err)
{
	static unsigned int number;
	int before[SOCKETS_MAX];
	unsigned int nbefore = sockets_before(port, before);
	char args[256];
	int ret;

	rmnic_eal_forget();
	if (port->device.driver == RMNIC_DRIVER_TAP)
		sigio_take();
	if (port->device.driver == RMNIC_DRIVER_PCI) {
		ret = rte_dev_probe(port->device.argument);
		if (ret || rte_eth_dev_get_port_by_name(port->device.argument, &port->id))
			return failed(port, "no driver takes it; is it bound to vfio-pci "
					    "(dpdk-devbind.py --status)?", ret, err);
		port->probed = true;
		return 0;
	}
	snprintf(port->vdev, sizeof(port->vdev), "%s_rmnic%u",
		 rmnic_driver_names[port->device.driver], number++);
	rmnic_device_arguments(&port->device, port->queues, rings, args, sizeof(args));
	ret = rte_eal_hotplug_add("vdev", port->vdev, args);
	if (ret)
		return failed(port, "cannot be opened", ret, err);
	port->probed = true;
	if (rte_eth_dev_get_port_by_name(port->vdev, &port->id))
		return failed(port, "cannot be opened", ENODEV, err);
	/* What tap's driver has by now only keeps the interface alive. */
	if (port->device.driver != RMNIC_DRIVER_TAP)
		sockets_note(port, before, nbefore);
	return 0;
}

/*
 * af_xdp's driver gives the pool's memory to the kernel as if its objects were packed, and the
 * kernel refuses a frame that crosses a page: so an object, with what the mempool puts in front
 * of it, is one page exactly. (Others are spread over memory channels.)
 */
static struct rte_mempool *umem_create(const char *name, unsigned int count)
{
	struct rte_pktmbuf_pool_private private = { 0 };
	struct rte_mempool_objsz exact;
	struct rte_mempool *pool;
	unsigned int size;

	rte_mempool_calc_obj_size(64, RTE_MEMPOOL_F_NO_SPREAD, &exact);
	size = (unsigned int)sysconf(_SC_PAGESIZE) - exact.header_size - exact.trailer_size;
	private.mbuf_data_room_size = (uint16_t)(size - sizeof(struct rte_mbuf));
	pool = rte_mempool_create_empty(name, count, size, 0, sizeof(private), SOCKET_ID_ANY,
					RTE_MEMPOOL_F_NO_SPREAD);
	if (!pool)
		return NULL;
	if (rte_mempool_set_ops_byname(pool, rte_mbuf_best_mempool_ops(), NULL)) {
		rte_mempool_free(pool);
		return NULL;
	}
	rte_pktmbuf_pool_init(pool, &private);
	if (rte_mempool_populate_default(pool) < 0) {
		rte_mempool_free(pool);
		return NULL;
	}
	rte_mempool_obj_iter(pool, rte_pktmbuf_init, NULL);
	return pool;
}

/* Whether its receive ring is full of the pool's buffers all the time. */
static bool keeps_buffers(const struct rmnic_port *port)
{
	return port->device.driver == RMNIC_DRIVER_PCI || port->device.driver == RMNIC_DRIVER_TAP;
}

static uint16_t ring_of(const struct rmnic_port *port)
{
	switch (port->device.driver) {
	case RMNIC_DRIVER_AF_XDP: return XDP_RING;
	case RMNIC_DRIVER_TAP: return TAP_RING;
	default: return NIC_RING;
	}
}

static int pools_create(struct rmnic_port *port, struct rmnic_error *err)
{
	bool umem = port->device.driver == RMNIC_DRIVER_AF_XDP;
	/* af_xdp keeps what is received and what is sent in this pool, and fills both rings. */
	unsigned int count = umem ? 3 * XDP_RING + RX_HELD
			     : keeps_buffers(port) ? port->rx_ring + RX_HELD : RX_HELD;
	char name[RTE_MEMPOOL_NAMESIZE];

	for (uint16_t q = 0; q < port->queues; q++) {
		snprintf(name, sizeof(name), "rx%u.%u", port->id, q);
		port->rx_pool[q] =
			umem ? umem_create(name, count)
			     : rte_pktmbuf_pool_create(name, count, POOL_CACHE, 0,
						       (uint16_t)(RTE_PKTMBUF_HEADROOM + port->room),
						       SOCKET_ID_ANY);
		if (!port->rx_pool[q])
			return rmnic_error_set(err, "port %s: no memory for %u frames of %u bytes: "
						    "raise --memory-mib", port->device.name, count,
					       port->room);
	}
	return 0;
}

static int queues_setup(struct rmnic_port *port, struct rmnic_error *err)
{
	int before[SOCKETS_MAX];
	int ret;

	for (uint16_t q = 0; q < port->queues; q++) {
		unsigned int nbefore = sockets_before(port, before);

		ret = rte_eth_rx_queue_setup(port->id, q, port->rx_ring,
					     (unsigned int)SOCKET_ID_ANY, NULL, port->rx_pool[q]);
		if (ret)
			return failed(port, "a receive queue", ret, err);
		sockets_note(port, before, nbefore);
		ret = rte_eth_tx_queue_setup(port->id, q, port->rx_ring,
					     (unsigned int)SOCKET_ID_ANY, NULL);
		if (ret)
			return failed(port, "a transmit queue", ret, err);
	}
	return 0;
}

static void mtu_apply(struct rmnic_port *port, const struct rte_eth_dev_info *info,
		      struct rte_eth_conf *conf)
{
	uint16_t most = info->max_mtu;

	/* The other drivers do not know the interface's MTU, or that of the path (RULES F1). */
	if (port->device.driver != RMNIC_DRIVER_PCI)
		return;
	if (port->mtu > most)
		port->mtu = most;
	conf->rxmode.mtu = port->mtu;
}

static int configure(struct rmnic_port *port, struct rmnic_error *err)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = { 0 };
	int ret = rte_eth_dev_info_get(port->id, &info);

	if (ret)
		return failed(port, "its driver does not describe it", ret, err);
	if (port->queues > info.max_rx_queues || port->queues > info.max_tx_queues)
		return rmnic_error_set(err, "port %s: it has %u queues, one for each lcore; %u were "
					    "asked for", port->device.name,
				       RTE_MIN(info.max_rx_queues, info.max_tx_queues),
				       port->queues);
	mtu_apply(port, &info, &conf);
	port->multi_segs = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	port->dma = port->device.driver == RMNIC_DRIVER_PCI;
	port->gated = port->device.driver == RMNIC_DRIVER_AF_XDP;
	port->lsc = !port->device.interface && (*info.dev_flags & RTE_ETH_DEV_INTR_LSC);
	conf.intr_conf.lsc = port->lsc;
	if (port->multi_segs)
		conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
	if (port->queues > 1 && (info.flow_type_rss_offloads & RTE_ETH_RSS_UDP)) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
	}
	if (port->rx_ring == 0)
		port->rx_ring = ring_of(port);
	if (port->room == 0)
		port->room = (uint16_t)(port->mtu + ETHERNET_ROOM);
	ret = rte_eth_dev_configure(port->id, port->queues, port->queues, &conf);
	if (ret)
		return failed(port, "cannot be configured", ret, err);
	return rte_eth_macaddr_get(port->id, &port->mac)
		       ? failed(port, "its address is not known", ENODEV, err)
		       : 0;
}

/* --- Packet sockets ---------------------------------------------------------------------------- */

static int packets_open(struct rmnic_port *port, struct rmnic_error *err)
{
	struct rmnic_rings rings;

	/* The kernel keeps these rings itself: they do not count as locked. */
	rmnic_rings_choose(port->mtu, port->queues, UINT64_MAX, &rings);
	port->rx_ring = (uint16_t)rings.count;
	port->multi_segs = true;
	for (uint16_t q = 0; q < port->queues; q++) {
		port->packet[q] = rmnic_packet_open(port->device.argument, port->ifindex, &rings,
						    port->queues > 1, q ? port->packet[0] : NULL, err);
		if (!port->packet[q])
			return -1;
		port->fds[port->nfds++] = rmnic_packet_fd(port->packet[q]);
	}
	return 0;
}

static void packets_count(const struct rmnic_port *port, struct rmnic_port_info *out)
{
	for (uint16_t q = 0; q < port->queues; q++) {
		struct rmnic_packet_counters c;

		rmnic_packet_count(port->packet[q], &c);
		out->rx += c.rx;
		out->tx += c.tx;
		out->rx_missed += c.rx_missed;
		out->tx_errors += c.tx_errors;
	}
}

/* --- Either -------------------------------------------------------------------------------------- */

int rmnic_port_device_open(struct rmnic_port *port, struct rmnic_error *err)
{
	struct rmnic_rings rings = { 0 };
	int ret;

	if (port->device.driver == RMNIC_DRIVER_PACKET)
		return packets_open(port, err);

	if (rings_set(port, &rings, err) || probe(port, &rings, err) || configure(port, err) ||
	    pools_create(port, err) || queues_setup(port, err))
		return -1;
	ret = rte_eth_dev_start(port->id);
	if (ret)
		return failed(port, "does not start", ret, err);
	port->started = true;
	if (port->nfds != port->queues)
		port->nfds = 0;
	return 0;
}

void rmnic_port_device_count(const struct rmnic_port *port, struct rmnic_port_info *out)
{
	struct rte_eth_stats stats = { 0 };

	if (port->device.driver == RMNIC_DRIVER_PACKET) {
		packets_count(port, out);
		return;
	}
	if (rte_eth_stats_get(port->id, &stats))
		return;
	out->rx = stats.ipackets;
	out->tx = stats.opackets;
	out->rx_missed = stats.imissed + stats.rx_nombuf;
	out->rx_errors = stats.ierrors;
	out->tx_errors = stats.oerrors;
}

/* In EAL's interrupt thread. */
static int link_event(uint16_t id, enum rte_eth_event_type event, void *arg, void *unused)
{
	struct rmnic_port *port = arg;
	struct rte_eth_link link = { 0 };
	uint64_t one = 1;
	bool up;

	(void)event;
	(void)unused;
	if (rte_eth_link_get_nowait(id, &link))
		return 0;
	up = link.link_status == RTE_ETH_LINK_UP;
	if (atomic_exchange_explicit(&port->link.up, up, memory_order_relaxed) == up)
		return 0;
	rmnic_log_info("port %s: the link is %s", port->device.name, up ? "up" : "down");
	/* Pairs with the acquire in rmnic_udp_port_watch(). */
	atomic_store_explicit(&port->link.changed, true, memory_order_release);
	if (port->link.event >= 0)
		(void)!write(port->link.event, &one, sizeof(one));
	return 0;
}

int rmnic_port_link_follow(struct rmnic_port *port, struct rmnic_error *err)
{
	struct rte_eth_link link = { 0 };
	int ret;

	/* A driver that cannot tell is believed to be up. */
	if (!port->lsc) {
		atomic_store(&port->link.up, true);
		return 0;
	}
	ret = rte_eth_dev_callback_register(port->id, RTE_ETH_EVENT_INTR_LSC, link_event, port);
	if (ret)
		return failed(port, "its link cannot be watched", ret, err);
	if (rte_eth_link_get_nowait(port->id, &link) == 0)
		atomic_store(&port->link.up, link.link_status == RTE_ETH_LINK_UP);
	return 0;
}

void rmnic_port_device_close(struct rmnic_port *port)
{
	if (port->lsc)
		rte_eth_dev_callback_unregister(port->id, RTE_ETH_EVENT_INTR_LSC, link_event, port);
	if (port->started && rte_eth_dev_stop(port->id))
		rmnic_log_warn("port %s: it does not stop", port->device.name);
	if (port->probed) {
		rte_eth_dev_close(port->id);
		if (port->vdev[0])
			rte_eal_hotplug_remove("vdev", port->vdev);
	}
	for (uint16_t q = 0; q < port->queues && q < RMNIC_PORT_MAX_QUEUES; q++) {
		rmnic_packet_close(port->packet[q]);
		rte_mempool_free(port->rx_pool[q]);
	}
}
