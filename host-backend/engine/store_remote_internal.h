/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/store_remote_internal.h - what the files of the remote store share.
 *
 * store_remote.c   creation, the store's operations, looking in
 * remote_page.c    one page out or in, across the members of its slab's view
 * remote_slab.c    finding members; reserving slabs
 * remote_free.c    telling members which pages were freed
 */
#ifndef RMNIC_ENGINE_STORE_REMOTE_INTERNAL_H
#define RMNIC_ENGINE_STORE_REMOTE_INTERNAL_H

#include "engine/le.h"
#include "engine/rmp_codec.h"
#include "engine/store_remote.h"

#define RMNIC_NO_PEER UINT16_MAX
#define RMNIC_REMOTE_ALLOCS 8
#define RMNIC_REMOTE_FREES  4
#define RMNIC_MEMBERS       RMNIC_RMP_MAX_MEMBERS

/* A slab's view as it is used: a checked copy of the state block's row. */
struct rmnic_remote_slab {
	uint8_t members; /* 0: none yet */
	uint8_t syncing;
	uint16_t peer[RMNIC_MEMBERS]; /* RMNIC_NO_PEER: not met yet */
	struct rmnic_rmp_member member[RMNIC_MEMBERS];
};

/* A page on its way. Out: a call for each member; in: one after the other. */
struct rmnic_remote_op {
	struct rmnic_remote *store;
	struct rmnic_page_op *op; /* NULL: cancelled, or not in use */
	struct rmnic_remote_op *next;  /* free ones */
	struct rmnic_remote_op *chain; /* by rpn: page-outs under way */
	bool out;
	bool used;
	bool starting;    /* inside page_out or page_in: the answer is what that returns */
	uint8_t tried;    /* in: a bit a member that was asked */
	uint8_t pending;  /* answers to come */
	uint8_t leaving;  /* calls that are not idle yet */
	uint16_t worst;   /* RMNIC_SC_*: what the members that failed add up to */
	uint64_t rpn;
	uint64_t version; /* out: of this write */
	uint64_t entry;   /* in: the page's word when it was asked for */
	uint32_t word;    /* out: the payload of a filled page; little-endian */
	uint8_t *copy;    /* out: the private copy (RULES B5) */
	struct rmnic_rmp_call call[RMNIC_MEMBERS];
};

/* A slab that is being reserved: ALLOC at each member, RECORD_VIEW at each, then the row. */
struct rmnic_remote_alloc {
	struct rmnic_remote *store;
	bool used;
	bool again;         /* the call is idle: take the next step */
	uint8_t step;       /* calls answered */
	uint64_t slab;
	uint32_t peer[RMNIC_MEMBERS];
	struct rmnic_rmp_view view;
	struct rmnic_rmp_alloc body;
	struct rmnic_rmp_call call;
};

/* Pages of one slab whose members are being told. */
struct rmnic_remote_free {
	struct rmnic_remote *store;
	bool used;
	bool failed;
	uint8_t pending, leaving;
	uint32_t ranges;
	uint64_t version;
	struct rmnic_rmp_range range[RMNIC_RMP_MAX_RANGES];
	struct rmnic_rmp_call call[RMNIC_MEMBERS];
};

/* A server, beyond what the client knows. */
struct rmnic_remote_peer {
	uint64_t free_pages; /* as it said last; UINT64_MAX: never */
	bool full;
};

struct rmnic_remote {
	struct rmnic_store store;
	struct rmnic_remote_config cfg;
	struct rmnic_rmp_client *client;
	struct rmnic_state_block state;
	enum rmnic_remote_status status;
	struct rmnic_remote_slab *slabs;
	struct rmnic_remote_peer *peers;
	struct rmnic_remote_op *ops;
	struct rmnic_remote_op *free_op[2]; /* in, out */
	struct rmnic_remote_op **writing;   /* buckets by rpn */
	uint32_t buckets;
	uint32_t nops;
	uint8_t *copies;
	uint64_t *tell;       /* a bit a page: members were not told yet that it is free */
	uint64_t tell_count;
	uint64_t tell_cursor;
	uint64_t tell_after;  /* ns */
	uint64_t grace_until; /* ns: how long to wait for servers that rows name */
	uint64_t slabs_ready;
	uint64_t next_slab;   /* to reserve */
	bool advancing;
	struct rmnic_remote_alloc allocs[RMNIC_REMOTE_ALLOCS];
	struct rmnic_remote_free frees[RMNIC_REMOTE_FREES];
	struct rmnic_store_counters counters;
	struct rmnic_remote_counters remote;
};

/* --- store_remote.c -------------------------------------------------------------------- */

void rmnic_remote_move(struct rmnic_remote *r, enum rmnic_remote_status to);

/* --- remote_page.c ----------------------------------------------------------------------- */

uint16_t rmnic_remote_page_out(struct rmnic_store *store, struct rmnic_page_op *op);
uint16_t rmnic_remote_page_in(struct rmnic_store *store, struct rmnic_page_op *op);
void rmnic_remote_cancel(struct rmnic_store *store, struct rmnic_page_op *op);
void rmnic_remote_settle(struct rmnic_store *store, uint64_t rpn, uint64_t n);

/* --- remote_slab.c ----------------------------------------------------------------------- */

/* Reads every row of the state block. False: one is damaged. */
bool rmnic_remote_slabs_load(struct rmnic_remote *r);
/* The member's server, if it has been met. */
uint16_t rmnic_remote_peer_of(struct rmnic_remote *r, struct rmnic_remote_slab *slab, unsigned int i);
/* Reserves more slabs, as far as that is possible now. */
void rmnic_remote_reserve(struct rmnic_remote *r);
/* A server became known, or came back. */
void rmnic_remote_peer_up(struct rmnic_remote *r, uint32_t peer);

/* --- remote_free.c ----------------------------------------------------------------------- */

uint16_t rmnic_remote_free_pages(struct rmnic_store *store, uint64_t rpn, uint32_t n);
void rmnic_remote_tell_add(struct rmnic_remote *r, uint64_t rpn);
void rmnic_remote_tell_drop(struct rmnic_remote *r, uint64_t rpn);
/* Tells members some more. True: there is more that could be told now. */
bool rmnic_remote_tell(struct rmnic_remote *r);

#endif /* RMNIC_ENGINE_STORE_REMOTE_INTERNAL_H */
