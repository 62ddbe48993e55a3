/* SPDX-License-Identifier: BSD-3-Clause */
/* One lcore's network: its life, its sockets, its round. */
/* rte_dev_dma_map() is not "stable" before DPDK 23.11, and unchanged since 19.05. */
#define ALLOW_EXPERIMENTAL_API
#include "dpdk/udp.h"

#include <errno.h>
#include <poll.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "dpdk/udp_internal.h"

#define HEAD_ROOM      512u  /* headers of a datagram that carries a page, and more */
#define POOL_CACHE     64u
#define HANDOVER_FRAMES 512u
#define CLOSE_NS       1000000000ull

/* Who has a UDP port. A socket is used by its lcore only; others read whose it is. */
static _Atomic(struct rmnic_udp_socket *) bound[65536];

struct rmnic_udp_socket *rmnic_udp_bound(uint16_t port)
{
	/* Pairs with the release in rmnic_udp_open(). */
	return atomic_load_explicit(&bound[port], memory_order_acquire);
}

static _Thread_local uint64_t round_now; /* 0: no lcore */

uint64_t rmnic_udp_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t rmnic_udp_round_now(void)
{
	return round_now ? round_now : rmnic_udp_now();
}

static struct rte_mempool *pool_create(const char *what, const struct rmnic_udp *udp,
				       unsigned int count, uint16_t private, uint16_t room,
				       struct rmnic_error *err)
{
	static unsigned int number;
	char name[RTE_MEMPOOL_NAMESIZE];
	struct rte_mempool *pool;

	snprintf(name, sizeof(name), "%s%u.%u", what, udp->queue, number++);
	pool = rte_pktmbuf_pool_create(name, count, POOL_CACHE, private, room, SOCKET_ID_ANY);
	if (!pool)
		rmnic_error_set(err, "no memory for %u frames to send (%s): raise --memory-mib",
				count, rte_strerror(rte_errno));
	return pool;
}

/* Enough for all that may be queued and in a NIC's ring, and for what caches hold back. */
static int pools_create(struct rmnic_udp *udp, struct rmnic_error *err)
{
	unsigned int frames = 2 * POOL_CACHE;
	uint16_t room = 0;

	for (uint16_t i = 0; i < udp->nports; i++) {
		const struct rmnic_port *port = udp->ports[i].port;

		frames += 2 * RMNIC_UDP_TX_QUEUE + (port->dma ? port->rx_ring : 0u);
		room = RTE_MAX(room, (uint16_t)(port->mtu + RTE_ETHER_HDR_LEN));
	}
	udp->head_pool = pool_create("head", udp, frames, 0, RTE_PKTMBUF_HEADROOM + HEAD_ROOM, err);
	if (!udp->head_pool)
		return -1;
	udp->page_pool = pool_create("page", udp, frames, RTE_ALIGN(sizeof(struct rmnic_udp_page), 8),
				     0, err);
	if (!udp->page_pool)
		return -1;
	udp->copy_pool = pool_create("copy", udp, frames, 0,
				     (uint16_t)(RTE_PKTMBUF_HEADROOM + room), err);
	return udp->copy_pool ? 0 : -1;
}

/* Frames for us that come to other lcores, and a descriptor that wakes us for them. */
static int handover_create(struct rmnic_udp *udp, struct rmnic_error *err)
{
	char name[RTE_RING_NAMESIZE];

	if (udp->queues == 1)
		return 0;
	snprintf(name, sizeof(name), "handover%u", udp->queue);
	udp->handover = rte_ring_create(name, HANDOVER_FRAMES, SOCKET_ID_ANY, RING_F_SC_DEQ);
	udp->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!udp->handover || udp->wake_fd < 0)
		return rmnic_error_set(err, "handing frames between lcores: %s",
				       udp->handover ? strerror(errno) : rte_strerror(rte_errno));
	return 0;
}

struct rmnic_udp *rmnic_udp_create(const struct rmnic_udp_config *config, struct rmnic_error *err)
{
	struct rmnic_udp *udp;

	if (config->nports < 1 || config->nports > RMNIC_UDP_MAX_PORTS) {
		rmnic_error_set(err, "%u ports are out of range (1-%d)", config->nports,
				RMNIC_UDP_MAX_PORTS);
		return NULL;
	}
	udp = calloc(1, sizeof(*udp) + config->max_sockets * sizeof(udp->sockets[0]));
	if (!udp) {
		rmnic_error_set(err, "no memory for %u sockets", config->max_sockets);
		return NULL;
	}
	udp->nports = config->nports;
	udp->queue = config->queue;
	udp->queues = config->queues ? config->queues : 1;
	udp->max_sockets = config->max_sockets;
	udp->wake_fd = -1;
	udp->now = rmnic_udp_now();
	for (uint16_t i = 0; i < udp->nports; i++) {
		udp->ports[i].port = config->ports[i];
		if (udp->queue >= config->ports[i]->queues) {
			rmnic_error_set(err, "port %s has no queue %u", config->ports[i]->device.name,
					udp->queue);
			goto failed;
		}
	}
	if (pools_create(udp, err) || handover_create(udp, err))
		goto failed;
	return udp;
failed:
	rmnic_udp_destroy(udp);
	return NULL;
}

void rmnic_udp_destroy(struct rmnic_udp *udp)
{
	struct rte_mbuf *m;

	if (!udp)
		return;
	for (uint32_t i = 0; i < udp->max_sockets; i++) {
		if (udp->sockets[i].open)
			rmnic_udp_close(&udp->sockets[i]);
	}
	for (uint16_t i = 0; i < udp->nports; i++)
		rmnic_udp_port_drop(&udp->ports[i], &udp->count.tx_full);
	while (udp->handover && rte_ring_dequeue(udp->handover, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(udp->handover);
	if (udp->wake_fd >= 0)
		close(udp->wake_fd);
	rte_mempool_free(udp->head_pool);
	rte_mempool_free(udp->page_pool);
	rte_mempool_free(udp->copy_pool);
	free(udp);
}

/* --- Sockets --- */

struct rmnic_udp_socket *rmnic_udp_open(struct rmnic_udp *udp, const uint16_t port[RMNIC_LANES],
					void (*rx)(void *arg, const struct rmnic_rx *rx), void *arg)
{
	struct rmnic_udp_socket *s = NULL;

	for (uint32_t i = 0; i < udp->max_sockets && !s; i++) {
		if (!udp->sockets[i].open)
			s = &udp->sockets[i];
	}
	if (!s || !port[0] || !port[1] || port[0] == port[1])
		return NULL;
	*s = (struct rmnic_udp_socket){ .udp = udp, .rx = rx, .arg = arg };
	for (int lane = 0; lane < RMNIC_LANES; lane++) {
		struct rmnic_udp_socket *nobody = NULL;

		s->port[lane] = port[lane];
		/* Pairs with the acquire in rmnic_udp_bound(). */
		if (atomic_compare_exchange_strong_explicit(&bound[port[lane]], &nobody, s,
							    memory_order_release,
							    memory_order_relaxed))
			continue;
		if (lane > 0)
			atomic_store(&bound[port[0]], NULL);
		return NULL;
	}
	s->open = true;
	return s;
}

static void done_cleanup(struct rmnic_udp *udp)
{
	for (uint16_t i = 0; i < udp->nports; i++) {
		if (udp->ports[i].port->dma)
			rte_eth_tx_done_cleanup(udp->ports[i].port->id, udp->queue, 0);
	}
}

/* A NIC that does not let go of frames (its link is down): its queue is emptied by force. */
static void queues_restart(struct rmnic_udp *udp)
{
	for (uint16_t i = 0; i < udp->nports; i++) {
		uint16_t id = udp->ports[i].port->id;

		if (!udp->ports[i].port->dma || rte_eth_dev_tx_queue_stop(id, udp->queue))
			continue;
		if (rte_eth_dev_tx_queue_start(id, udp->queue))
			rmnic_log_error("port %s: its transmit queue %u does not start again",
					udp->ports[i].port->device.name, udp->queue);
	}
}

void rmnic_udp_close(struct rmnic_udp_socket *s)
{
	struct rmnic_udp *udp = s->udp;
	uint64_t end = rmnic_udp_now() + CLOSE_NS;

	for (int lane = 0; lane < RMNIC_LANES; lane++)
		atomic_store(&bound[s->port[lane]], NULL);
	rmnic_udp_flush(udp);
	while (s->in_flight > 0 && (udp->now = rmnic_udp_now()) < end) {
		for (uint16_t i = 0; i < udp->nports; i++)
			rmnic_udp_port_flush(udp, &udp->ports[i]);
		done_cleanup(udp);
	}
	if (s->in_flight > 0) {
		for (uint16_t i = 0; i < udp->nports; i++)
			rmnic_udp_port_drop(&udp->ports[i], &udp->count.tx_full);
		queues_restart(udp);
	}
	if (s->in_flight > 0)
		rmnic_log_error("%u pages are still held by a port that does not stop",
				s->in_flight);
	s->open = false;
}

static const struct rmnic_net_ops net_ops = { .send = rmnic_udp_send };

struct rmnic_net rmnic_udp_net(struct rmnic_udp_socket *socket)
{
	return (struct rmnic_net){ .ops = &net_ops, .arg = socket };
}

/* --- The round --- */

void rmnic_udp_wake(struct rmnic_udp *udp)
{
	uint64_t one = 1;

	if (!atomic_exchange_explicit(&udp->signalled, true, memory_order_acq_rel))
		(void)!write(udp->wake_fd, &one, sizeof(one));
}

static unsigned int handover_take(struct rmnic_udp *udp)
{
	struct rte_mbuf *frames[RMNIC_UDP_BURST];
	unsigned int n;
	uint64_t count;

	if (!udp->handover)
		return 0;
	/* Before the ring is looked at: what comes later signals again. A signal that is not in the
	 * descriptor yet is on its way, and is taken back when it wakes us. */
	if (atomic_load_explicit(&udp->signalled, memory_order_relaxed) &&
	    read(udp->wake_fd, &count, sizeof(count)) == (ssize_t)sizeof(count))
		atomic_exchange_explicit(&udp->signalled, false, memory_order_acq_rel);
	n = rte_ring_dequeue_burst(udp->handover, (void **)frames, RMNIC_UDP_BURST, NULL);
	for (unsigned int i = 0; i < n; i++) {
		rmnic_udp_deliver(udp, frames[i]);
		rte_pktmbuf_free(frames[i]);
	}
	return n;
}

/* RULES F1: an empty receive of af_xdp may block for a second. */
bool rmnic_udp_readable(const struct rmnic_udp *udp, const struct rmnic_port *port)
{
	struct pollfd fd = { .fd = port->fds[udp->queue], .events = POLLIN };

	return poll(&fd, 1, 0) > 0 && (fd.revents & POLLIN);
}

void rmnic_udp_port_watch(struct rmnic_udp *udp, struct rmnic_udp_port *p)
{
	struct rmnic_link *link = &p->port->link;
	uint64_t count;

	/* Pairs with the release in link.c. */
	if (udp->queue != 0 || !atomic_load_explicit(&link->changed, memory_order_acquire))
		return;
	/* The descriptor first: what changes meanwhile makes it readable again. */
	(void)!read(link->event, &count, sizeof(count));
	atomic_store_explicit(&link->changed, false, memory_order_relaxed);
	/* Whoever is on the link now may not have been there when it went down. */
	if (atomic_load_explicit(&link->up, memory_order_relaxed))
		rmnic_arp_announce(udp, p);
}

static unsigned int port_receive(struct rmnic_udp *udp, struct rmnic_udp_port *p)
{
	struct rte_mbuf *frames[RMNIC_UDP_BURST];
	uint16_t n;

	rmnic_udp_port_watch(udp, p);
	if (p->port->gated && !rmnic_udp_readable(udp, p->port))
		return 0;
	n = rmnic_port_rx(p->port, udp->queue, frames, RMNIC_UDP_BURST);
	for (uint16_t i = 0; i < n; i++)
		rmnic_udp_input(udp, p, frames[i]);
	return n;
}

void rmnic_udp_flush(struct rmnic_udp *udp)
{
	for (uint16_t i = 0; i < udp->nports; i++)
		rmnic_udp_port_flush(udp, &udp->ports[i]);
	if (udp->in_flight > 0)
		done_cleanup(udp);
}

void rmnic_udp_clock(struct rmnic_udp *udp)
{
	udp->now = round_now = rmnic_udp_now();
}

unsigned int rmnic_udp_poll(struct rmnic_udp *udp)
{
	unsigned int n = 0;

	rmnic_udp_clock(udp);
	for (uint16_t i = 0; i < udp->nports; i++)
		n += port_receive(udp, &udp->ports[i]);
	n += handover_take(udp);
	if (udp->now >= udp->arp_next)
		rmnic_arp_timers(udp);
	rmnic_udp_flush(udp);
	return n;
}

uint64_t rmnic_udp_deadline(const struct rmnic_udp *udp)
{
	for (uint16_t i = 0; i < udp->nports; i++) {
		/* Frames that the port did not take; pages that it did not let go of. */
		if (udp->ports[i].ntx > 0)
			return udp->now;
		if (atomic_load_explicit(&udp->ports[i].port->neighbours.waiting,
					 memory_order_relaxed))
			return udp->arp_next;
	}
	return udp->in_flight > 0 ? udp->now : UINT64_MAX;
}

unsigned int rmnic_udp_fds(const struct rmnic_udp *udp, int fds[RMNIC_UDP_MAX_FDS])
{
	unsigned int n = 0;

	for (uint16_t i = 0; i < udp->nports; i++) {
		if (udp->ports[i].port->nfds == 0)
			return 0;
		fds[n++] = udp->ports[i].port->fds[udp->queue];
		if (udp->queue == 0 && udp->ports[i].port->link.event >= 0)
			fds[n++] = udp->ports[i].port->link.event;
	}
	if (udp->wake_fd >= 0)
		fds[n++] = udp->wake_fd;
	return n;
}

uint32_t rmnic_udp_rx_ring(const struct rmnic_udp *udp)
{
	uint32_t least = UINT32_MAX;

	for (uint16_t i = 0; i < udp->nports; i++)
		least = RTE_MIN(least, (uint32_t)udp->ports[i].port->rx_ring);
	return least;
}

const struct rmnic_udp_counters *rmnic_udp_counters(const struct rmnic_udp *udp)
{
	return &udp->count;
}

/* --- Memory that NICs read (RULES F6) --- */

int rmnic_udp_register(struct rmnic_udp *udp, void *base, uint64_t len, struct rmnic_error *err)
{
	bool dma = false;

	for (uint16_t i = 0; i < udp->nports; i++)
		dma |= udp->ports[i].port->dma;
	if (!dma)
		return 0;
	if (udp->nregions == RMNIC_UDP_REGIONS)
		return rmnic_error_set(err, "more than %u pieces of memory to send pages from",
				       RMNIC_UDP_REGIONS);
	/* Another lcore may have registered it. */
	if (rte_extmem_register(base, len, NULL, 0, (size_t)sysconf(_SC_PAGESIZE)) &&
	    rte_errno != EEXIST)
		return rmnic_error_set(err, "memory to send pages from: %s", rte_strerror(rte_errno));
	for (uint16_t i = 0; i < udp->nports; i++) {
		struct rte_eth_dev_info info;
		struct rmnic_port *port = udp->ports[i].port;

		if (!port->dma || rte_eth_dev_info_get(port->id, &info))
			continue;
		if (rte_dev_dma_map(info.device, base, (uintptr_t)base, len) &&
		    rte_errno != EEXIST && rte_errno != ENOTSUP)
			return rmnic_error_set(err, "port %s: it cannot reach the pages: %s",
					       port->device.name, rte_strerror(rte_errno));
	}
	udp->region[udp->nregions].base = (uintptr_t)base;
	udp->region[udp->nregions].len = len;
	udp->nregions++;
	return 0;
}
