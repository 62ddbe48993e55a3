/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network, a clock and a source of chance in memory, for tests of RMP's two ends. Nothing
 * happens by itself: a test moves time from one delivery or deadline to the next. Pages are
 * read when a datagram is delivered, not when it is sent, as a zero-copy transmit does.
 */
#ifndef MEMNET_H
#define MEMNET_H

#include "engine/env.h"

#define MEMNET_ENDS    64
#define MEMNET_PACKETS 8192
#define MEMNET_BYTES   9408

struct memnet;

struct memnet_end {
	struct rmnic_addr addr; /* port 0: whatever the lane */
	bool up;
	void (*rx)(void *arg, const struct rmnic_rx *rx);
	void *arg;
	struct memnet *net;
	unsigned int index;
};

struct memnet_packet {
	uint64_t at; /* delivery */
	uint64_t seq;
	unsigned int from, to;
	enum rmnic_lane lane;
	struct memnet *net;
	bool corrupt, congestion, copied;
	struct rmnic_tx tx; /* data and release of what is not copied yet */
	uint32_t len;
	uint64_t sum;   /* of the data when it was sent */
	uint8_t *bytes; /* MEMNET_BYTES, at an address like that in a real frame */
};

/* Chances are out of 1000. All zero: a perfect network that takes delay_ns. */
struct memnet_faults {
	unsigned int loss, duplicate, reorder, corrupt, refuse, mark;
	uint64_t delay_ns, jitter_ns, late_ns; /* late: what reorder adds */
};

struct memnet {
	uint64_t now;
	uint64_t seed;
	uint64_t seq;
	uint64_t hash; /* of everything delivered: two runs of a seed agree */
	uint32_t mtu;
	struct memnet_faults faults;
	struct memnet_end ends[MEMNET_ENDS];
	unsigned int nends;
	uint8_t cut[MEMNET_ENDS][MEMNET_ENDS]; /* from, to */
	struct memnet_packet *heap[MEMNET_PACKETS + 1];
	struct memnet_packet *spare[MEMNET_PACKETS];
	struct memnet_packet *all;
	uint8_t *memory;
	unsigned int count, nspare;
	uint64_t sent, delivered, lost;
	uint64_t changed; /* pages that were written to while they were being sent */
	unsigned int fail_alloc; /* the n-th allocation from now fails; 0: none */
	int allocations; /* that were not freed */
	/* May drop (false), delay or spoil a packet; NULL: no filter. */
	bool (*filter)(void *arg, struct memnet_packet *p);
	void *filter_arg;
};

void memnet_init(struct memnet *net, uint64_t seed);
void memnet_fini(struct memnet *net);
struct rmnic_env memnet_env(struct memnet *net);
/* ip: the last byte of its address. The index is also the end's number. */
unsigned int memnet_add(struct memnet *net, uint8_t ip,
			void (*rx)(void *arg, const struct rmnic_rx *rx), void *arg);
struct rmnic_net memnet_net(struct memnet *net, unsigned int end);
uint64_t memnet_random(struct memnet *net);
bool memnet_chance(struct memnet *net, unsigned int permille);
/* When the next datagram arrives; UINT64_MAX: none is under way. */
uint64_t memnet_next(const struct memnet *net);
/* Delivers the next datagram; now becomes its time if that is later. False: none. */
bool memnet_deliver(struct memnet *net);
/* Takes copies of all that an end has under way and lets go of its memory. */
void memnet_settle(struct memnet *net, unsigned int end);
/* Whole bytes of a packet, header and data. */
void memnet_bytes(struct memnet_packet *p);

#endif /* MEMNET_H */
