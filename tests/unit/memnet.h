/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network, a clock and a source of chance in memory, for tests of RMP's two ends. Nothing
 * happens by itself: a test moves time from one delivery or deadline to the next. Pages are
 * read when a datagram is delivered, not when it is sent, as a zero-copy transmit does.
 */
#ifndef MEMNET_H
#define MEMNET_H

#include "engine/env.h"

#define MEMNET_ENDS    72
#define MEMNET_PACKETS 16384
#define MEMNET_BYTES   9408
#define MEMNET_INBOX   256 /* datagrams that wait for a process that is stopped */
#define MEMNET_OLD     64  /* frames that stay in a TX ring */

struct memnet;
struct memnet_packet;

struct memnet_end {
	struct rmnic_addr addr; /* port 0: whatever the lane */
	bool up;
	bool frozen; /* its process is stopped: what arrives waits; see memnet_thaw() */
	void (*rx)(void *arg, const struct rmnic_rx *rx);
	void *arg;
	struct memnet *net;
	unsigned int index;
	uint64_t skew;          /* ns: what its clock is ahead by */
	uint64_t starved_until; /* it has no buffers: it sends nothing, and loses what arrives */
	uint64_t slow_ns;       /* what it takes longer to be heard */
	uint64_t received;      /* datagrams */
	struct memnet_packet *inbox[MEMNET_INBOX];
	unsigned int ninbox;
	struct memnet_packet *old[MEMNET_OLD]; /* frames of its TX ring, with keep_old */
	unsigned int nold;
	struct memnet_packet *open; /* its last one, which others may join (RMP-41); NULL: none */
	uint64_t tx_free, rx_free; /* when its cable, and the switch's port to it, are free */
};

struct memnet_packet {
	uint64_t at; /* delivery */
	uint64_t seq;
	unsigned int from, to;
	enum rmnic_lane lane;
	struct memnet *net;
	bool corrupt, congestion, copied;
	bool queued;   /* in the heap */
	uint64_t sent; /* at that time */
	struct rmnic_tx tx; /* data and release of what is not copied yet */
	uint32_t len;
	uint64_t sum;   /* of the data when it was sent */
	uint8_t *bytes; /* MEMNET_BYTES, at an address like that in a real frame */
	bool handed; /* it came to the wrong lcore, once */
};

/* Cables of one speed, and a switch whose ports have a buffer each. */
struct memnet_ports {
	uint64_t bps;     /* 0: no such limits */
	uint32_t buffer;  /* bytes, of each port */
	uint32_t tx_ring; /* bytes that an end may have waiting for its own cable */
	uint64_t overflows; /* datagrams that found a buffer full */
	uint64_t through;
};

/* Chances are out of 1000. All zero: a perfect network that takes delay_ns. */
struct memnet_faults {
	unsigned int loss, duplicate, reorder, corrupt, refuse, mark;
	unsigned int handover; /* arrives at another lcore, which hands it over after its next round */
	uint64_t delay_ns, jitter_ns, late_ns; /* late: what reorder adds */
};

struct memnet {
	uint64_t now;
	uint64_t seed;
	uint64_t seq;
	uint64_t hash; /* of everything delivered: two runs of a seed agree */
	uint32_t mtu;
	bool join;     /* messages that may share a datagram do */
	bool keep_old; /* TX rings keep their last frames: see memnet_replay() */
	struct memnet_faults faults;
	struct memnet_ports ports;
	struct memnet_end ends[MEMNET_ENDS];
	unsigned int nends;
	uint8_t cut[MEMNET_ENDS][MEMNET_ENDS]; /* from, to */
	struct memnet_packet *heap[MEMNET_PACKETS + 1];
	struct memnet_packet *spare[MEMNET_PACKETS];
	struct memnet_packet *all;
	uint8_t *memory;
	unsigned int count, nspare;
	uint64_t sent, delivered, lost;
	uint64_t joined;  /* messages in a datagram with an earlier one */
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
/* With the clock of an end. */
struct rmnic_env memnet_env_of(struct memnet *net, unsigned int end);
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
/* The process goes on: what waited for it arrives now. */
void memnet_thaw(struct memnet *net, unsigned int end);
/* The link was down and is up: the frames that lay in the TX ring are sent once more (RULES F5). */
void memnet_replay(struct memnet *net, unsigned int end);
/* Adds to the hash of what happened. */
void memnet_note(struct memnet *net, uint64_t what);
/* Takes copies of all that an end has under way and lets go of its memory. */
void memnet_settle(struct memnet *net, unsigned int end);
/* Whole bytes of a packet, header and data. */
void memnet_bytes(struct memnet_packet *p);

#endif /* MEMNET_H */
