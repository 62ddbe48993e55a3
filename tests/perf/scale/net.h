/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A network of thousands of ends, a clock and memory, for one process that is a whole fleet. Cables
 * of one speed, switch ports with endless buffers: what a datagram waits for is the cables. An end
 * takes part in a moment only when it has something to do there, so that a fleet costs what it does and
 * not what it is.
 */
#ifndef SCALE_NET_H
#define SCALE_NET_H

#include "engine/env.h"

struct scale_net;

/* What an end is. */
struct scale_kind {
	void (*rx)(void *arg, const struct rmnic_rx *rx);
	bool (*poll)(void *arg);         /* true: there is more to do now */
	uint64_t (*deadline)(void *arg);
};

struct scale_end {
	struct scale_net *net;
	const struct scale_kind *kind;
	void *arg;
	struct rmnic_addr addr;
	uint32_t index;
	bool up;
	bool awake;
	uint64_t due;   /* ns: its next timer */
	uint32_t place; /* in the heap of timers, from 1; 0: it has none */
	uint64_t tx_free, rx_free; /* ns: when its cable, and the switch's port to it, are free */
	uint64_t sent, polls;
	uint64_t allocated; /* bytes */
};

struct scale_packet {
	struct scale_packet *next; /* spare ones */
	uint32_t from, to;
	enum rmnic_lane lane;
	uint32_t len;
	uint8_t bytes[];
};

struct scale_delivery {
	uint64_t at, seq;
	struct scale_packet *packet;
};

struct scale_net {
	uint64_t now; /* ns */
	uint64_t seed, seq;
	uint64_t delay_ns; /* of a cable and a switch */
	uint64_t bps;
	struct scale_end *ends;
	uint32_t nends, max_ends;
	struct scale_delivery *heap; /* from 1 */
	uint32_t count, room;
	struct scale_end **timers;   /* from 1 */
	uint32_t ntimers;
	uint32_t *awake;             /* a ring: each end is in it once at most */
	uint32_t awake_head, awake_count;
	struct scale_packet *spare[2]; /* small, large */
	uint8_t *arena; /* address space; memory where it is written to */
	uint64_t arena_used;
	uint32_t rounds; /* polls since time went by */
};

/* Exits with a message where the system has no address space for it. */
void scale_net_init(struct scale_net *net, uint64_t seed, uint32_t max_ends);
void scale_net_fini(struct scale_net *net);
uint32_t scale_net_add(struct scale_net *net, const struct scale_kind *kind, void *arg);
struct rmnic_env scale_net_env(struct scale_net *net, uint32_t end);
struct rmnic_net scale_net_of(struct scale_net *net, uint32_t end);
uint64_t scale_net_random(struct scale_net *net);
/* Zeroed address space; never given back. */
void *scale_net_memory(struct scale_net *net, uint64_t bytes);
/* It is polled before time goes by. */
void scale_net_wake(struct scale_net *net, uint32_t end);
/* Nothing reaches it any more, and it does nothing. */
void scale_net_cut(struct scale_net *net, uint32_t end);
/*
 * All there is to do now; when that is nothing, goes on to the next delivery or timer. False: there
 * is none before until, which it is now.
 */
bool scale_net_step(struct scale_net *net, uint64_t until);

#endif /* SCALE_NET_H */
