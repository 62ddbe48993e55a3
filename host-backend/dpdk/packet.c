/* SPDX-License-Identifier: BSD-3-Clause */
/* Packet sockets: a ring that the kernel fills, and messages to send. */
#include "dpdk/packet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dpdk/udp_internal.h"

#define TX_BUFFER   (4 << 20) /* bytes that may wait in a NIC's queue */
#define MAX_SEGS    4
#define POOL_CACHE  64u
/* A place whose frame is somebody's: neither the kernel's nor to be received again. */
#define TAKEN       (1u << 30)
/* Of what is in front of a frame, so that a page in a datagram lies at a multiple of 8 for its checksum. */
#define RESERVE     6u

struct rmnic_packet {
	int fd;
	uint8_t *ring;
	uint32_t frame, count, next;
	struct rte_mempool *pool; /* mbufs without bytes of their own */
	struct rte_mbuf_ext_shared_info *info;
	_Atomic uint64_t rx, tx, tx_errors;
	uint64_t rx_missed;
};

static struct tpacket2_hdr *place(const struct rmnic_packet *p, uint32_t i)
{
	return (struct tpacket2_hdr *)(void *)(p->ring + (size_t)i * p->frame);
}

/* --- Opening ------------------------------------------------------------------------------------- */

static int option(const struct rmnic_packet *p, int name, const void *value, socklen_t len)
{
	return setsockopt(p->fd, SOL_PACKET, name, value, len);
}

static int ring_map(struct rmnic_packet *p, const struct rmnic_rings *rings)
{
	const struct tpacket_req req = {
		.tp_block_size = rings->block,
		.tp_block_nr = rings->count / (rings->block / rings->frame),
		.tp_frame_size = rings->frame,
		.tp_frame_nr = rings->count,
	};
	const int version = TPACKET_V2;
	const unsigned int reserve = RESERVE;
	void *at;

	if (option(p, PACKET_VERSION, &version, sizeof(version)) ||
	    option(p, PACKET_RESERVE, &reserve, sizeof(reserve)) ||
	    option(p, PACKET_RX_RING, &req, sizeof(req)))
		return -1;
	p->frame = rings->frame;
	p->count = rings->count;
	at = mmap(NULL, (size_t)p->frame * p->count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		  p->fd, 0);
	if (at == MAP_FAILED)
		return -1;
	p->ring = at;
	return 0;
}

/* RULES F4: the kernel's hash chooses the queue, and who is full gives to the others. */
static int fanout_join(const struct rmnic_packet *p, const struct rmnic_packet *first)
{
	uint32_t how = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_ROLLOVER, group = 0;
	socklen_t len = sizeof(group);

	if (!first)
		how |= PACKET_FANOUT_FLAG_UNIQUEID;
	else if (getsockopt(first->fd, SOL_PACKET, PACKET_FANOUT, &group, &len))
		return -1;
	group = (group & 0xffff) | how << 16;
	return option(p, PACKET_FANOUT, &group, sizeof(group));
}

static int socket_set_up(struct rmnic_packet *p, unsigned int ifindex,
			 const struct rmnic_rings *rings, bool shared,
			 const struct rmnic_packet *first)
{
	const struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)ifindex,
	};
	const int one = 1, buffer = TX_BUFFER;

	/* Of no protocol until it is bound, so that it gets nothing of other interfaces. */
	p->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || ring_map(p, rings))
		return -1;
	/* Better without queueing discipline, and without what the kernel itself sends; it works with them. */
	option(p, PACKET_QDISC_BYPASS, &one, sizeof(one));
	option(p, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	if (setsockopt(p->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)))
		setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));
	if (bind(p->fd, (const struct sockaddr *)&at, sizeof(at)))
		return -1;
	return shared ? fanout_join(p, first) : 0;
}

/* The frame is nobody's any more: in the lcore that freed it. */
static void give_back(void *addr, void *opaque)
{
	struct tpacket2_hdr *h = opaque;

	(void)addr;
	/* Pairs with the kernel's look for a place of its own. */
	__atomic_store_n(&h->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
}

static int mbufs_create(struct rmnic_packet *p)
{
	static unsigned int number;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "packet%u", number++);
	p->pool = rte_pktmbuf_pool_create(name, p->count + 2 * POOL_CACHE, POOL_CACHE, 0, 0,
					  SOCKET_ID_ANY);
	p->info = calloc(p->count, sizeof(*p->info));
	if (!p->pool || !p->info)
		return -1;
	for (uint32_t i = 0; i < p->count; i++) {
		p->info[i].free_cb = give_back;
		p->info[i].fcb_opaque = place(p, i);
	}
	return 0;
}

struct rmnic_packet *rmnic_packet_open(const char *interface, unsigned int ifindex,
				       const struct rmnic_rings *rings, bool shared,
				       const struct rmnic_packet *first, struct rmnic_error *err)
{
	struct rmnic_packet *p = calloc(1, sizeof(*p));

	if (p)
		p->fd = -1;
	if (!p || socket_set_up(p, ifindex, rings, shared, first)) {
		rmnic_error_set(err, "a packet socket on %s: %s%s", interface, strerror(errno),
				errno == EPERM ? " (it takes CAP_NET_RAW: be root, or own the network namespace)" : "");
		rmnic_packet_close(p);
		return NULL;
	}
	if (mbufs_create(p)) {
		rmnic_error_set(err, "a packet socket on %s: no memory for %u frames: raise --memory-mib",
				interface, p->count);
		rmnic_packet_close(p);
		return NULL;
	}
	return p;
}

void rmnic_packet_close(struct rmnic_packet *p)
{
	if (!p)
		return;
	if (p->ring)
		munmap(p->ring, (size_t)p->frame * p->count);
	if (p->fd >= 0)
		close(p->fd);
	rte_mempool_free(p->pool);
	free(p->info);
	free(p);
}

/* --- Receiving ------------------------------------------------------------------------------------- */

/* An mbuf that is the frame where it lies. NULL: there is none left. */
static struct rte_mbuf *frame_take(struct rmnic_packet *p, struct tpacket2_hdr *h, uint32_t status)
{
	struct rte_mbuf_ext_shared_info *info = &p->info[p->next];
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->pool);
	uint8_t *at = (uint8_t *)h + h->tp_mac;

	if (!m)
		return NULL;
	rte_mbuf_ext_refcnt_set(info, 1);
	rte_pktmbuf_attach_extbuf(m, at, (rte_iova_t)(uintptr_t)at, (uint16_t)h->tp_snaplen, info);
	m->data_len = (uint16_t)h->tp_snaplen;
	m->pkt_len = h->tp_snaplen;
	if (status & TP_STATUS_VLAN_VALID) {
		m->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		m->vlan_tci = h->tp_vlan_tci;
	}
	return m;
}

uint16_t rmnic_packet_rx(struct rmnic_packet *p, struct rte_mbuf **frames, uint16_t n)
{
	uint16_t got = 0;

	while (got < n) {
		struct tpacket2_hdr *h = place(p, p->next);
		/* Pairs with the kernel's store of it, after the frame. */
		uint32_t status = __atomic_load_n(&h->tp_status, __ATOMIC_ACQUIRE);

		if (!(status & TP_STATUS_USER))
			break;
		frames[got] = frame_take(p, h, status);
		if (!frames[got])
			break;
		h->tp_status = TAKEN;
		got++;
		p->next = p->next + 1 == p->count ? 0 : p->next + 1;
	}
	if (got)
		atomic_store_explicit(&p->rx, p->rx + got, memory_order_relaxed);
	return got;
}

/* --- Sending --------------------------------------------------------------------------------------- */

/* Pieces of a frame; 0: it has more than it may have. */
static size_t pieces(const struct rte_mbuf *m, struct iovec iov[MAX_SEGS])
{
	size_t n = 0;

	for (; m; m = m->next) {
		if (n == MAX_SEGS)
			return 0;
		iov[n++] = (struct iovec){ rte_pktmbuf_mtod(m, void *), m->data_len };
	}
	return n;
}

static void drop(struct rmnic_packet *p, struct rte_mbuf *m)
{
	rte_pktmbuf_free(m);
	atomic_store_explicit(&p->tx_errors, p->tx_errors + 1, memory_order_relaxed);
}

uint16_t rmnic_packet_tx(struct rmnic_packet *p, struct rte_mbuf **frames, uint16_t n)
{
	struct iovec iov[RMNIC_UDP_TX_QUEUE][MAX_SEGS];
	struct mmsghdr msg[RMNIC_UDP_TX_QUEUE];
	int sent;

	if (n > RMNIC_UDP_TX_QUEUE)
		n = RMNIC_UDP_TX_QUEUE;
	for (uint16_t i = 0; i < n; i++)
		msg[i].msg_hdr = (struct msghdr){
			.msg_iov = iov[i], .msg_iovlen = pieces(frames[i], iov[i]),
		};
	sent = sendmmsg(p->fd, msg, n, MSG_DONTWAIT);
	if (sent < 0) {
		if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
			return 0;
		/* This one will not go (it is too long, the interface is down): those behind it may. */
		drop(p, frames[0]);
		return 1;
	}
	for (int i = 0; i < sent; i++)
		rte_pktmbuf_free(frames[i]);
	atomic_store_explicit(&p->tx, p->tx + (uint64_t)sent, memory_order_relaxed);
	return (uint16_t)sent;
}

/* --- Looking in -------------------------------------------------------------------------------------- */

int rmnic_packet_fd(const struct rmnic_packet *p)
{
	return p->fd;
}

void rmnic_packet_count(struct rmnic_packet *p, struct rmnic_packet_counters *out)
{
	struct tpacket_stats stats = { 0 };
	socklen_t len = sizeof(stats);

	/* The kernel counts from one question to the next. */
	if (!getsockopt(p->fd, SOL_PACKET, PACKET_STATISTICS, &stats, &len))
		p->rx_missed += stats.tp_drops;
	*out = (struct rmnic_packet_counters){
		.rx = atomic_load_explicit(&p->rx, memory_order_relaxed),
		.tx = atomic_load_explicit(&p->tx, memory_order_relaxed),
		.rx_missed = p->rx_missed,
		.tx_errors = atomic_load_explicit(&p->tx_errors, memory_order_relaxed),
	};
}
