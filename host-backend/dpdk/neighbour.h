/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/neighbour.h - hardware addresses of a port's neighbours, and when to ask for them.
 *
 * Any lcore looks up and learns, without a lock: an entry's address and its hardware address are
 * one atomic word each. Only what is asked for, or who asks for us, gets an entry, and an entry that
 * is not sent to is the first to go.
 */
#ifndef RMNIC_DPDK_NEIGHBOUR_H
#define RMNIC_DPDK_NEIGHBOUR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RMNIC_NEIGHBOURS 256u /* a power of two */

#define RMNIC_NEIGHBOUR_FRESH_NS 20000000000ull /* after that it is asked again, still used */
#define RMNIC_NEIGHBOUR_DEAD_NS  60000000000ull /* after that, and questions in vain, not used any more */
#define RMNIC_NEIGHBOUR_ASK_NS   100000000ull   /* between two questions, at first */
#define RMNIC_NEIGHBOUR_SLOW_NS  1000000000ull  /* ... and when nobody answers */

struct rmnic_neighbour {
	_Atomic uint32_t ip;        /* host order; 0: free */
	_Atomic uint32_t questions; /* unanswered ones */
	_Atomic uint64_t mac;       /* in the low 48 bits, as in memory; 0: not known */
	_Atomic uint64_t confirmed; /* ns: when it was last heard of */
	_Atomic uint64_t asked;     /* ns */
	_Atomic uint64_t used;      /* ns: last sent to */
};

struct rmnic_neighbours {
	struct rmnic_neighbour entry[RMNIC_NEIGHBOURS];
	_Atomic uint32_t waiting; /* entries that are asked for; an upper bound */
};

/* What a sender is told. */
struct rmnic_route_answer {
	uint64_t mac;  /* 0: not known */
	bool ask;      /* this caller should send a question now... */
	uint64_t to;   /* ... to this address; 0: to all */
};

struct rmnic_route_answer rmnic_neighbour_lookup(struct rmnic_neighbours *n, uint32_t ip,
						 uint64_t now);
/* ip said that its address is mac. create: also if nobody asked. True: it was news. */
bool rmnic_neighbour_learn(struct rmnic_neighbours *n, uint32_t ip, uint64_t mac, uint64_t now,
			   bool create);
/* A frame came from ip by mac: when that is what is known, it need not be asked again; else it
 * is asked at once. */
void rmnic_neighbour_confirm(struct rmnic_neighbours *n, uint32_t ip, uint64_t mac, uint64_t now);
/*
 * The next entry, from *at on, whose question is due again; false: none. Call with *at = 0 and
 * until false.
 */
bool rmnic_neighbour_due(struct rmnic_neighbours *n, uint32_t *at, uint64_t now, uint32_t *ip);

#endif /* RMNIC_DPDK_NEIGHBOUR_H */
