/* SPDX-License-Identifier: BSD-3-Clause */
/* One device's remote store and some memory servers on a network in memory. */
#ifndef CLUSTER_H
#define CLUSTER_H

#include "engine/rmp_server.h"
#include "engine/store_remote.h"
#include "memnet.h"
#include "memspill.h"

#define CLUSTER_SERVERS 64
#define CLUSTER_PEERS   32 /* that the store has room for, unless told otherwise */
#define CLUSTER_SEATS   34 /* the store's two, and those of other devices */
#define CLUSTER_SLAB    64u /* pages */

struct cluster_server {
	struct rmnic_memstore *store;
	struct rmnic_rmp_server *server; /* NULL: dead */
	uint8_t *pages;
	unsigned int end;
	uint32_t npages;
	uint32_t max_mtu;
	uint32_t peer;   /* the client's number of it */
	uint32_t domain;
	uint32_t scrub_rate;
	uint64_t lease_ns;
	uint64_t deadline; /* its own clock's */
	bool unknown;    /* nobody told the store of it yet */
	bool awake;      /* there may be something for it to do */
};

/* A place for a backend: its address, and who sits there. */
struct cluster_seat {
	struct rmnic_store *store;
	unsigned int end;
	void *state; /* of another device; of one that was succeeded: its own copy */
};

struct cluster {
	struct memnet net;
	struct cluster_server servers[CLUSTER_SERVERS];
	struct cluster_seat seats[CLUSTER_SEATS];
	unsigned int nseats;
	unsigned int seat; /* of the store */
	unsigned int nservers;
	unsigned int backend; /* end of the store */
	struct rmnic_store *store;
	void *state;
	uint64_t state_size;
	uint32_t epoch;
	struct rmnic_remote_config cfg;
	struct memspill *spill; /* the backend's spill file; NULL: none */
	const char *why;
	bool stuck; /* somebody has more to do for ever, and no time passes */
	unsigned int same_time; /* steps */
};

/* Servers of npages each and a store of pages on top. It is not started. */
void cluster_init(struct cluster *w, uint64_t seed, unsigned int servers, uint32_t npages,
		uint64_t pages, uint32_t replicas);
void cluster_fini(struct cluster *w);
/* A backend of the next epoch on the same state block. */
bool cluster_start(struct cluster *w);
/* The backend dies: what it sent stays under way. */
void cluster_stop(struct cluster *w);
/*
 * Another backend takes the device over while this one, which is stopped, does not know: it
 * keeps a state block of its own, as it was. It is in the other seat from now on.
 */
bool cluster_succeed(struct cluster *w);
/* The one that was succeeded, or NULL; and its end. */
struct cluster_seat *cluster_old(struct cluster *w);
void cluster_old_stop(struct cluster *w);
/* A backend of another device of as many pages, which uses the same servers. */
struct cluster_seat *cluster_join(struct cluster *w);
/* False: an allocation failed, as it was asked to (net.fail_alloc). */
bool cluster_server_start(struct cluster *w, unsigned int i);
/* memory: whether the store is still there when the server is started again. */
void cluster_server_stop(struct cluster *w, unsigned int i, bool memory);
/* The store is told of a server that was unknown. */
void cluster_server_add(struct cluster *w, unsigned int i);

/* The next delivery or timer, at until at the latest. False: nothing happens before until. */
bool cluster_step(struct cluster *w, uint64_t until);
void cluster_run(struct cluster *w, uint64_t ns);
/* Until the store's status is READY. False: not within ns. */
bool cluster_ready(struct cluster *w, uint64_t ns);

/* One page out or in, waited for at most 60 s. Gives RMNIC_SC_*, or RMNIC_STORE_PENDING. */
uint16_t cluster_out(struct cluster *w, uint64_t rpn, const void *page);
uint16_t cluster_in(struct cluster *w, uint64_t rpn, void *page);
/* A page whose content can be told from seed. */
void cluster_page(void *page, uint64_t seed);
bool cluster_is_page(const void *page, uint64_t seed);

/* A bare datagram's way into a server or client, and a catcher for what comes back. */
struct cluster_catch {
	unsigned int n;
	uint32_t len[64];
	uint8_t bytes[64][RMNIC_RMP_MAX_MTU];
};

void cluster_catch_rx(void *arg, const struct rmnic_rx *rx);

#endif /* CLUSTER_H */
