/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/store_remote.h - a page store in the memory of other machines.
 *
 * What is true of each page stands in the state block: the store can be destroyed at any
 * instruction, and one made on the same block, under a higher epoch, goes on. A write is
 * acknowledged when all members of its slab's recorded view hold it; members that fail are
 * dropped and replaced meanwhile (state.md, Changing views).
 */
#ifndef RMNIC_ENGINE_STORE_REMOTE_H
#define RMNIC_ENGINE_STORE_REMOTE_H

#include "engine/rmp_client.h"
#include "engine/spill.h"
#include "engine/state_block.h"
#include "engine/store.h"

struct rmnic_remote_event;

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
	uint64_t drop_ns;    /* silence after which a member is dropped; 0: 30 ms */
	uint64_t away_ns;    /* how long one that was dropped is waited for before its pages are
			      * copied to another server; 0: 10 s */
	uint32_t hedge_permille; /* page-ins that may be asked of a second member as well because
				  * the first is slower than it is as a rule; 0: 20 */
	uint32_t repair_rate; /* pages a second that are copied between servers; 0: 20000 */
	uint32_t scrub_rate;  /* pages a second whose copies are compared; 0: 1000 */
	const struct rmnic_spill_ops *spill; /* the last resort; NULL: there is none */
	void *spill_arg;
	bool recover;        /* the state block is new and servers have the device's pages: find
			      * out what they have (STATE-30) instead of releasing it */
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
	/* A view changed, a repair began or ended, a page is lost. For the log; may be NULL. */
	void (*event)(void *arg, const struct rmnic_remote_event *event);
};

enum rmnic_remote_event_kind {
#define RMNIC_REMOTE_EVENTS(X)                                                             \
	X(DROPPED, "dropped")     /* a member of the slab: server says which */            \
	X(SYNCING, "syncing")     /* a member is being filled */                           \
	X(REPAIRED, "repaired")   /* ... and is whole now; pages: how many were copied */  \
	X(RESCUED, "rescued")     /* one that was away has what is left of the slab */     \
	X(SYNC_FAILED, "sync failed")                                                      \
	X(PAGE_LOST, "page lost") /* a page-in found it so: rpn */                         \
	X(PAGE_FIXED, "page fixed") /* a damaged copy of rpn was replaced */               \
	X(RECOVERED, "recovered") /* the slab was found on servers: so many pages */     \
	X(WAITING, "waiting")   /* recovery: so many pages wait for their servers */     \
	X(SPILLING, "spilling")   /* page-outs of the slab go to the spill file */         \
	X(UNSPILLED, "unspilled") /* its pages are back on servers */                      \
	X(UNBACKED, "unbacked")   /* capacity is in use that nothing can take if a server goes */
#define X(id, name) RMNIC_REMOTE_EV_##id,
	RMNIC_REMOTE_EVENTS(X)
#undef X
	RMNIC_REMOTE_EVENT_COUNT
};

extern const char *const rmnic_remote_event_names[RMNIC_REMOTE_EVENT_COUNT];

struct rmnic_remote_event {
	enum rmnic_remote_event_kind kind;
	uint64_t slab;
	uint64_t rpn;
	uint64_t pages;
	uint8_t server[16]; /* zeros: none is meant */
};

/* How well the pages are kept, now. */
struct rmnic_remote_progress {
	uint64_t slabs;     /* that have a place */
	uint64_t degraded;  /* ... with fewer whole members than replicas */
	uint64_t syncing;   /* ... with a member that is being filled */
	uint64_t away;      /* ... with a member that was dropped and is waited for */
	uint64_t moving;    /* ... with a member on a server that is being drained */
	uint64_t spilling;  /* ... with a place in the spill file */
	uint64_t waiting;   /* recovery: without every member of its highest view */
	uint64_t sync_done, sync_todo; /* pages of the slabs being filled */
	uint64_t spilled;   /* pages in the spill file */
	uint64_t spill_free; /* pages that the spill file could still take */
	uint64_t server_free; /* pages that servers said they could still reserve */
};

/* One slab, for looking at it. */
struct rmnic_remote_slab_info {
	uint64_t view;
	uint8_t members, syncing, away; /* entries, and a bit an entry */
	bool spill, waiting; /* waiting: the others are of the highest view that was seen */
	uint8_t server[RMNIC_RMP_MAX_MEMBERS][16];
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
	uint64_t dropped;     /* members dropped from views */
	uint64_t resyncs;     /* of members that came back */
	uint64_t repairs;     /* of slabs, on another server */
	uint64_t syncs_failed;
	uint64_t copied;      /* pages between servers, for all of these */
	uint64_t fixed;       /* damaged copies that were replaced */
	uint64_t scrubbed;    /* pages whose copies were compared */
	uint64_t scrub_bad;   /* copies that were found wrong by that */
	uint64_t hedged;      /* page-ins asked of a second member for slowness */
	uint64_t hedges_won;  /* ... which was first */
	uint64_t failed_over; /* page-ins asked of another member for silence */
	uint64_t spilled;     /* page-outs to the spill file */
	uint64_t unspilled;   /* pages copied back from it */
	uint64_t spill_errors;
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
/* reserved: pages of the device that have a place, known or still looked for. May be NULL. */
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
 * which is after timeout_ns at the latest; asked again meanwhile, so long after that.
 */
void rmnic_store_remote_release(struct rmnic_store *store);
/* The uuid of a server that holds slabs of the device and was not met. False: there is none. */
bool rmnic_store_remote_missing(const struct rmnic_store *store, uint8_t server[16]);
/* now_ns() at which to poll the client and ops->idle() at the latest; UINT64_MAX: never. */
uint64_t rmnic_store_remote_deadline(const struct rmnic_store *store);
/* Pages that the client's peer said it can still reserve; UINT64_MAX: it never said. */
uint64_t rmnic_store_remote_free_pages(const struct rmnic_store *store, uint32_t peer);
const struct rmnic_remote_counters *rmnic_store_remote_counters(const struct rmnic_store *store);

/* --- Servers that come and go ----------------------------------------------------------------- */

/*
 * The peer's failure domain, any number; members of a view are in different ones where that is
 * possible (STATE-26). 0, as at first: one of its own.
 */
void rmnic_store_remote_domain(struct rmnic_store *store, uint32_t peer, uint32_t domain);
/* on: takes the device's slabs away from the server and gives it no more; false: no longer. */
void rmnic_store_remote_drain(struct rmnic_store *store, uint32_t peer, bool on);
/*
 * Slabs in whose views the server is, away ones included; 1 also when that is none, as long as a
 * server that is here was not told yet what it may release.
 */
uint64_t rmnic_store_remote_holds(const struct rmnic_store *store, uint32_t peer);
/* Members of new slabs, 1 to RMNIC_RMP_MAX_MEMBERS; others get more or fewer by and by. */
bool rmnic_store_remote_replicas(struct rmnic_store *store, uint32_t replicas);
/* Pages a second, 1 at least: see the configuration. */
void rmnic_store_remote_rates(struct rmnic_store *store, uint32_t repair, uint32_t scrub);
/*
 * drop_ns, away_ns, hedge_permille of the configuration, 1 at least. What is waited for already is
 * given up at the sooner of the old and the new time, or at the new one.
 */
void rmnic_store_remote_patience(struct rmnic_store *store, uint64_t drop_ns, uint64_t away_ns,
				 uint32_t hedge_permille);
/* Goes through the slabs: not for each page. */
void rmnic_store_remote_progress(const struct rmnic_store *store,
				 struct rmnic_remote_progress *out);
/* False: there is no such slab. */
bool rmnic_store_remote_slab(const struct rmnic_store *store, uint64_t slab,
			     struct rmnic_remote_slab_info *out);
/*
 * Recovery: takes what servers that are here have of a slab that waits. Pages that only the others
 * have are lost, or old. False: it does not wait.
 */
bool rmnic_store_remote_force(struct rmnic_store *store, uint64_t slab);

#endif /* RMNIC_ENGINE_STORE_REMOTE_H */
