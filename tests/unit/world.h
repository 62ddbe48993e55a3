/* SPDX-License-Identifier: BSD-3-Clause */
/* One device's remote store and some memory servers on a network in memory. */
#ifndef WORLD_H
#define WORLD_H

#include "engine/rmp_server.h"
#include "engine/store_remote.h"
#include "memnet.h"

#define WORLD_SERVERS 8
#define WORLD_SLAB    64u /* pages */

struct world_server {
	struct rmnic_memstore *store;
	struct rmnic_rmp_server *server; /* NULL: dead */
	uint8_t *pages;
	unsigned int end;
	uint32_t npages;
	uint32_t max_mtu;
	uint64_t lease_ns;
};

struct world {
	struct memnet net;
	struct world_server servers[WORLD_SERVERS];
	unsigned int nservers;
	unsigned int backend; /* end of the store */
	struct rmnic_store *store;
	void *state;
	uint64_t state_size;
	uint32_t epoch;
	struct rmnic_remote_config cfg;
	const char *why;
};

/* Servers of npages each and a store of pages on top. It is not started. */
void world_init(struct world *w, uint64_t seed, unsigned int servers, uint32_t npages,
		uint64_t pages, uint32_t replicas);
void world_fini(struct world *w);
/* A backend of the next epoch on the same state block. */
bool world_start(struct world *w);
/* The backend dies: what it sent stays under way. */
void world_stop(struct world *w);
void world_server_start(struct world *w, unsigned int i);
/* memory: whether the store is still there when the server is started again. */
void world_server_stop(struct world *w, unsigned int i, bool memory);

/* The next delivery or timer, at until at the latest. False: nothing happens before until. */
bool world_step(struct world *w, uint64_t until);
void world_run(struct world *w, uint64_t ns);
/* Until the store's status is READY. False: not within ns. */
bool world_ready(struct world *w, uint64_t ns);

/* One page out or in, waited for at most 60 s. Gives RMNIC_SC_*, or RMNIC_STORE_PENDING. */
uint16_t world_out(struct world *w, uint64_t rpn, const void *page);
uint16_t world_in(struct world *w, uint64_t rpn, void *page);
/* A page whose content can be told from seed. */
void world_page(void *page, uint64_t seed);
bool world_is_page(const void *page, uint64_t seed);

/* A bare datagram's way into a server or client, and a catcher for what comes back. */
struct world_catch {
	unsigned int n;
	uint32_t len[64];
	uint8_t bytes[64][RMNIC_RMP_MAX_MTU];
};

void world_catch_rx(void *arg, const struct rmnic_rx *rx);

#endif /* WORLD_H */
