/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/store_remote.h - a page store in the memory of other machines.
 *
 * What is true of each page stands in the state block: the store can be destroyed at any
 * instruction, and one made on the same block, under a higher epoch, goes on. Views may have
 * several members; a write is acknowledged when all of them hold it. Changing views
 * (dropping, repairing, spilling) is not done here yet.
 */
#ifndef RMNIC_ENGINE_STORE_REMOTE_H
#define RMNIC_ENGINE_STORE_REMOTE_H

#include "engine/rmp_client.h"
#include "engine/state_block.h"
#include "engine/store.h"

struct rmnic_remote_config {
	struct rmnic_env env;
	struct rmnic_net net;
	uint8_t uuid[16];  /* the backend's own */
	uint8_t token[32];
	void *state;       /* the state block: its uuid and epoch are the device's */
	uint64_t state_size;
	uint8_t device[16];
	uint32_t max_peers;
	uint32_t replicas; /* members of a new slab's view, 1 to RMNIC_RMP_MAX_MEMBERS */
	uint32_t max_ops;  /* page-ins, and as many page-outs, that can be pending */
	uint32_t max_mtu;
	uint32_t rx_budget;
	uint64_t timeout_ns; /* a page operation without an answer for so long fails; 0: 20 s */
	uint64_t reserve;    /* pages that need a place at the start: what the device advertises;
			      * 0: all of the state block's */
	uint64_t meet_ns;    /* how long servers may take to answer at first; 0: 5 s */
	void *arg;
	/* Told when the status below changes. May be NULL. */
	void (*status_changed)(void *arg);
	/* A peer of the client's entered or left READY, or gave up. For the log; may be NULL. */
	void (*peer_changed)(void *arg, uint32_t peer, enum rmnic_peer_state state);
	/*
	 * A server came back with another store: so many slabs of the device are gone with the
	 * old one. For the log; may be NULL.
	 */
	void (*server_empty)(void *arg, const uint8_t server[16], uint64_t slabs);
};

enum rmnic_remote_status {
	/*
	 * Reserves what the device will advertise (RULES L1) and meets the servers that hold it.
	 * The device is not served before it is over.
	 */
	RMNIC_REMOTE_STARTING,
	RMNIC_REMOTE_READY,
	/* Was READY and still serves; reserves more, or anew what went with an emptied server. */
	RMNIC_REMOTE_GROWING,
	/* The servers together hold less than that. What could be had is reserved; it goes on
	 * trying. */
	RMNIC_REMOTE_NO_SPACE,
	/* Servers that are needed do not answer (rmnic_store_remote_missing()); it goes on. */
	RMNIC_REMOTE_UNREACHABLE,
	RMNIC_REMOTE_FENCED,   /* another backend has a newer epoch: stop */
	RMNIC_REMOTE_DAMAGED,  /* a row of the state block makes no sense */
	RMNIC_REMOTE_RELEASING,
	RMNIC_REMOTE_RELEASED, /* as far as servers could be reached */
	RMNIC_REMOTE_STATUS_COUNT
};

struct rmnic_remote_counters {
	uint64_t stale;       /* copies older than the page's entry: not delivered */
	uint64_t missing;     /* pages that a member should hold and does not */
	uint64_t lost;        /* page-ins with every member proved empty */
	uint64_t unreachable;
	uint64_t indeterminate; /* page-outs that ended half done */
	uint64_t fenced;
	uint64_t frees_told;  /* pages */
	uint64_t read_again;  /* page-ins that went on to another member */
	uint64_t slabs_lost;  /* slabs that were emptied on every member and reserved anew */
	uint64_t orphans;     /* slabs that servers had for the device and no row named: released */
	uint64_t unreleased;  /* servers that could not be told to release the device's slabs */
};

extern const char *const rmnic_remote_status_names[RMNIC_REMOTE_STATUS_COUNT];

/* NULL, and *why says what is wrong, for a message to the user. */
struct rmnic_store *rmnic_store_remote_create(const struct rmnic_remote_config *config,
					      const char **why);
/* Operations that are pending are forgotten. Datagrams may still refer to its pages: the
 * network must have let go of them all. */
void rmnic_store_remote_destroy(struct rmnic_store *store);

/* Servers, datagrams and timers are the client's: add peers to it, feed it, poll it. */
struct rmnic_rmp_client *rmnic_store_remote_client(struct rmnic_store *store);
/* reserved: pages of the device that have a place. May be NULL. */
enum rmnic_remote_status rmnic_store_remote_status(const struct rmnic_store *store,
						   uint64_t *reserved);
/*
 * Wants a place for pages in all, rounded up to slabs, and goes on as at the start: READY when
 * there is one, NO_SPACE or UNREACHABLE when not. Fewer than before gives slabs without pages
 * beyond that back to their servers. False: more than the state block has.
 */
bool rmnic_store_remote_reserve(struct rmnic_store *store, uint64_t pages);
/*
 * The device is gone for good: gives all its slabs back on all servers, and forgets them in the
 * state block. No page operation is under way, none is accepted any more. RELEASED at the end,
 * which is after timeout_ns at the latest.
 */
void rmnic_store_remote_release(struct rmnic_store *store);
/* The uuid of a server that holds slabs of the device and was not met. False: there is none. */
bool rmnic_store_remote_missing(const struct rmnic_store *store, uint8_t server[16]);
/* now_ns() at which to poll the client and ops->idle() at the latest; UINT64_MAX: never. */
uint64_t rmnic_store_remote_deadline(const struct rmnic_store *store);
/* Pages that the client's peer said it can still reserve; UINT64_MAX: it never said. */
uint64_t rmnic_store_remote_free_pages(const struct rmnic_store *store, uint32_t peer);
const struct rmnic_remote_counters *rmnic_store_remote_counters(const struct rmnic_store *store);

#endif /* RMNIC_ENGINE_STORE_REMOTE_H */
