/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/store_remote_internal.h - what the files of the remote store share.
 *
 * store_remote.c   creation, the store's operations, looking in
 * remote_page.c    one page out or in, across the members of its slab's view
 * remote_slab.c    whose slabs are where, and which servers were met
 * remote_view.c    changing a view: dropping, recording
 * remote_place.c   which servers take a slab
 * remote_reserve.c finding a place for slabs
 * remote_repair.c  filling a member: one that came back, a new one, one instead of another
 * remote_copy.c    one page from a member to another
 * remote_scrub.c   comparing the copies of pages at rest
 * remote_spill.c   pages that no server can take
 * remote_range.c   what a member holds of some pages
 * remote_recover.c finding out what servers have, without the state block
 * remote_look.c    looking in
 * remote_sweep.c   giving slabs back to servers
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
#define RMNIC_REMOTE_HOLDERS 256
#define RMNIC_MEMBERS       RMNIC_RMP_MAX_MEMBERS
#define RMNIC_REMOTE_JOBS   8  /* slabs that get a member at a time */
#define RMNIC_REMOTE_COPIES 16 /* pages, or ranges of freed ones, on their way between servers */
#define RMNIC_REMOTE_FIXES  64 /* damaged copies that are remembered */
/* Calls of all these, and one STAT. */
#define RMNIC_REMOTE_REPAIR_CALLS (RMNIC_REMOTE_JOBS + RMNIC_REMOTE_COPIES + 1)

/* A slab's view as it is used: a checked copy of the state block's row. */
struct rmnic_remote_slab {
	uint8_t members; /* entries, away ones included; 0 and no spill: it has no place yet */
	uint8_t syncing; /* a bit an entry */
	uint8_t away;
	bool spill;      /* it has a place in the spill file */
	bool gone;       /* every member is proved empty: its pages are still to be called LOST */
	bool waiting;    /* recovery: not every member of its highest view is here */
	bool recording;  /* its members are being told of the view */
	uint8_t job;     /* that gives it a member, + 1; 0: none */
	uint32_t attempts; /* to find members that came to nothing half way */
	uint32_t writes;   /* page-outs under way */
	uint64_t view;
	uint64_t recorded; /* highest view that all its members said they have: STATE-21 */
	uint16_t peer[RMNIC_MEMBERS]; /* RMNIC_NO_PEER: not met yet */
	uint64_t since[RMNIC_MEMBERS];
	uint64_t repair_at; /* ns: not before */
	uint64_t away_at;   /* ns: since when `away` is as it is; 0: nobody looked yet */
	uint8_t away_seen;
	struct rmnic_rmp_member member[RMNIC_MEMBERS];
};

/* Entries that are members. */
static inline unsigned int rmnic_remote_live(const struct rmnic_remote_slab *s)
{
	return ((1u << s->members) - 1) & ~(unsigned int)s->away;
}

/* Members that hold every acknowledged page: they may be read. */
static inline unsigned int rmnic_remote_whole(const struct rmnic_remote_slab *s)
{
	return rmnic_remote_live(s) & ~(unsigned int)s->syncing;
}

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
	bool sweep; /* what it has of the device is to be looked through */
	bool own;   /* with what this backend allocated: nothing is allocated meanwhile */
	bool closed; /* RELEASING: it has nothing of the device any more */
	bool silent; /* it owes an answer and was not heard for drop_ns */
	bool drain;  /* its slabs are to go elsewhere */
	uint32_t domain; /* 0: one of its own */
	uint32_t placing; /* ALLOCs under way: free_pages does not know of them yet */
	uint64_t slabs;  /* that it is a member of, for the same reason as free_pages */
};

/* A server that rows name. */
struct rmnic_remote_holder {
	uint8_t uuid[16];
	uint64_t slabs; /* that it is a member of */
	bool met;       /* it sealed this epoch once */
	bool owes;      /* RELEASING: was not told yet */
};

/* One server at a time is asked what it has and told what to release. */
struct rmnic_remote_sweep {
	bool used;     /* a call is under way */
	bool closing;  /* it is the last one */
	uint32_t peer;
	uint32_t n;    /* handles still to release */
	uint64_t cursor;
	bool more;     /* behind the cursor */
	uint64_t store_id;
	uint64_t handle[RMNIC_RMP_MAX_LIST];
	struct rmnic_rmp_list body;
	struct rmnic_rmp_call call;
};

/* A member that is being added to a slab's view. */
enum rmnic_remote_job_step {
	RMNIC_JOB_NONE,
	RMNIC_JOB_ASK,   /* for its handle: ALLOC, or RENEW of what an away one has */
	RMNIC_JOB_DRAIN, /* it is in the view, SYNCING: writes from before end */
	RMNIC_JOB_COPY,
	RMNIC_JOB_TELL,  /* it is whole: the members are told, then the one it is for is let go */
};

struct rmnic_remote_job {
	struct rmnic_remote *store;
	enum rmnic_remote_job_step step;
	bool renew;      /* it was away */
	bool answered;   /* ASK: the call is over */
	bool failed;
	uint16_t status; /* ASK: of the call */
	uint16_t peer;
	uint64_t slab;
	uint64_t store_id, handle; /* the member's; 0: not known yet */
	uint64_t old;    /* handle of the member that it is instead of; 0: none leaves */
	uint64_t since;  /* it may lack versions from this one on */
	uint64_t view;   /* in which it became SYNCING; TELL: ... whole */
	uint64_t page;   /* of the slab: where copying goes on */
	uint64_t copied; /* pages */
	uint32_t copies; /* under way */
	struct rmnic_rmp_alloc body;
	struct rmnic_rmp_call call;
};

/* A page, or ranges of freed pages, on the way to one member of a slab. */
struct rmnic_remote_copy {
	struct rmnic_remote *store;
	struct rmnic_remote_job *job; /* NULL: one bad copy is replaced */
	bool used;
	bool again;      /* the call is idle: take the next step */
	uint8_t tried;   /* a bit an entry of the slab's view that was read in vain */
	uint8_t source;  /* entry that is being read */
	uint64_t view;   /* of the slab, that tried and source are about */
	uint64_t rpn;
	uint64_t word;   /* the page's when it was read */
	uint64_t store_id, handle; /* whose it is to be */
	uint32_t fill;   /* the payload of a filled page; little-endian */
	uint8_t page[RMNIC_PAGE_SIZE];
	struct rmnic_rmp_range range[RMNIC_RMP_MAX_RANGES];
	struct rmnic_rmp_call call;
};

/* A copy that is to be replaced. */
struct rmnic_remote_bad {
	uint64_t rpn;
	uint64_t store_id, handle;
};

/* Filling members. */
struct rmnic_remote_repair {
	struct rmnic_remote_job jobs[RMNIC_REMOTE_JOBS];
	struct rmnic_remote_copy copies[RMNIC_REMOTE_COPIES];
	struct rmnic_remote_bad bad[RMNIC_REMOTE_FIXES];
	uint32_t nbad;
	uint64_t left;    /* slabs to be looked at in this round of all */
	uint64_t cursor;
	uint64_t look_at; /* ns: when to begin another round; UINT64_MAX: no time */
	uint64_t tokens;  /* a thousand-millionth of a page each */
	uint64_t filled_at; /* ns: when tokens were counted last */
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
	uint64_t meet_until;  /* ns: how long servers may take to answer */
	uint64_t retry_at;    /* ns: NO_SPACE: when to look again; RELEASING: when to give up */
	uint64_t slabs_want;
	uint64_t slabs_ready;
	uint64_t next_slab;   /* to reserve */
	uint64_t gone;        /* slabs with that mark */
	uint64_t cursor;      /* where giving up slabs, or clearing rows, goes on */
	bool advancing;
	bool served;          /* was READY once */
	struct rmnic_remote_holder *holders;
	uint32_t nholders;
	struct rmnic_remote_sweep sweep;
	uint64_t sweep_after; /* ns */
	uint32_t sweeps;      /* peers with `sweep` set */
	struct rmnic_remote_alloc allocs[RMNIC_REMOTE_ALLOCS];
	struct rmnic_remote_free frees[RMNIC_REMOTE_FREES];
	struct rmnic_remote_repair repair;
	struct rmnic_remote_scrub *scrub;
	struct rmnic_remote_recovery *recovery; /* NULL: every row says who holds its slab */
	uint64_t waiting;     /* slabs with that mark */
	struct rmnic_store_counters counters;
	struct rmnic_remote_counters remote;
};

/* --- store_remote.c -------------------------------------------------------------------- */

void rmnic_remote_move(struct rmnic_remote *r, enum rmnic_remote_status to);

/* --- remote_page.c ----------------------------------------------------------------------- */

uint16_t rmnic_remote_page_out(struct rmnic_store *store, struct rmnic_page_op *op);
uint16_t rmnic_remote_page_in(struct rmnic_store *store, struct rmnic_page_op *op);
/* The slab's view changed, or is recorded: its page operations look again at where they are. */
void rmnic_remote_pages_look(struct rmnic_remote *r, uint64_t slab);
/* Page operations that wait for the peer ask another one, or drop it. */
void rmnic_remote_pages_silent(struct rmnic_remote *r, uint32_t peer);
/* Page-outs of the slab under way that began under a view older than this one (STATE-25). */
bool rmnic_remote_writes_before(const struct rmnic_remote *r, uint64_t slab, uint64_t view);
/* The lowest version that a page-out of the slab under way has; else the next one (STATE-23). */
uint64_t rmnic_remote_since(const struct rmnic_remote *r, uint64_t slab);
/* Whether a page-out of the page is under way. */
bool rmnic_remote_is_writing(const struct rmnic_remote *r, uint64_t rpn);
void rmnic_remote_cancel(struct rmnic_store *store, struct rmnic_page_op *op);
void rmnic_remote_settle(struct rmnic_store *store, uint64_t rpn, uint64_t n);

/* --- remote_slab.c ----------------------------------------------------------------------- */

/* Reads every row of the state block. False: one is damaged. */
bool rmnic_remote_slabs_load(struct rmnic_remote *r);
/* The member's server, if it has been met. */
uint16_t rmnic_remote_peer_of(struct rmnic_remote *r, struct rmnic_remote_slab *slab, unsigned int i);
/* From now on the slab's members are those of view. */
void rmnic_remote_view_use(struct rmnic_remote *r, uint64_t slab, const struct rmnic_state_view *view);
/* The row names nobody any more (STATE-17). */
void rmnic_remote_view_clear(struct rmnic_remote *r, uint64_t slab);
/* Whether any page of the slab was ever written or freed. */
bool rmnic_remote_slab_used(const struct rmnic_remote *r, uint64_t slab);
/* Calls the pages of one slab that is gone LOST. True: there are more such slabs. */
bool rmnic_remote_lose(struct rmnic_remote *r);
/* Whether a row names this slab of a server's. */
bool rmnic_remote_named(const struct rmnic_remote *r, uint64_t slab, const uint8_t server[16],
			uint64_t store_id, uint64_t handle);
/* A server that rows name and that was not met; NULL: there is none. */
const struct rmnic_remote_holder *rmnic_remote_missing(const struct rmnic_remote *r);
/* A server became known, or came back. */
void rmnic_remote_peer_up(struct rmnic_remote *r, uint32_t peer);

/* --- remote_view.c ----------------------------------------------------------------------- */

/* The slab's view as it is now, to be changed. */
void rmnic_remote_view_copy(const struct rmnic_remote *r, uint64_t slab,
			    struct rmnic_state_view *out);
/*
 * The slab's next view: recorded in the block at once, and in use; with its members as soon as
 * may be (STATE-21). to->view is set here.
 */
void rmnic_remote_view_change(struct rmnic_remote *r, uint64_t slab, struct rmnic_state_view *to);
/*
 * STATE-22. Drops entry i, if that may be. empty: it has lost what it held, and is not waited for.
 * False: it is the last one, or everybody is silent.
 */
bool rmnic_remote_drop(struct rmnic_remote *r, uint64_t slab, unsigned int i, bool empty);
/* Goes on telling members of views. True: there is more that could be done now. */
bool rmnic_remote_record(struct rmnic_remote *r);
/* The client heard nothing of a peer that owes an answer for drop_ns, or has heard of it again. */
void rmnic_remote_silence(struct rmnic_remote *r, uint32_t peer, bool silent);

/* --- remote_place.c ---------------------------------------------------------------------- */

/*
 * A server for another member of the slab, beside those it has and those in but[0 .. n - 1]: the one
 * with more room of two drawn at random (STATE-26). RMNIC_NO_PEER: there is none.
 */
uint16_t rmnic_remote_place(struct rmnic_remote *r, uint64_t slab, const uint32_t *but, unsigned int n);
/* Whether the server may be given a slab now. */
bool rmnic_remote_may_take(const struct rmnic_remote *r, uint32_t peer);
/* Servers that may. */
unsigned int rmnic_remote_takers(const struct rmnic_remote *r);

/* --- remote_repair.c --------------------------------------------------------------------- */

/* Something is to be done about the slab, perhaps: its view changed, or a server's state did. */
void rmnic_remote_repair_look(struct rmnic_remote *r, uint64_t slab);
/* Goes on filling members. True: there is more that could be done now. */
bool rmnic_remote_repair(struct rmnic_remote *r);
/* When to try that at the latest; UINT64_MAX: no time. */
uint64_t rmnic_remote_repair_due(const struct rmnic_remote *r);
/* Whether a handle on a peer is in use by a repair that no row names yet. */
bool rmnic_remote_repair_named(const struct rmnic_remote *r, uint32_t peer, uint64_t handle);
/* Entry i of the slab's view has a wrong copy of rpn: it is replaced some time (STATE-27). */
void rmnic_remote_fix(struct rmnic_remote *r, uint64_t rpn, unsigned int i);

/* --- remote_spill.c ---------------------------------------------------------------------- */

/* A place in the spill file for a page that goes out or comes in. */
struct rmnic_remote_spill_op {
	struct rmnic_remote *store;
	struct rmnic_spill_io io;
	uint64_t rpn;
	uint64_t version;  /* out: of the page; in: of what was read */
	struct rmnic_spill_place *place; /* set at creation; the page is at its start */
	uint16_t status;   /* RMNIC_SC_* */
	void (*done)(struct rmnic_remote_spill_op *op);
};

/* Whether the slab has a place in the spill file, or gets one now. */
bool rmnic_remote_spill_room(struct rmnic_remote *r, uint64_t slab);
/* op->place's page goes to the file, with its record. False: not now. May end at once. */
bool rmnic_remote_spill_write(struct rmnic_remote_spill_op *op);
/* ... comes from it: done() says OK only when record and checksum are right. */
bool rmnic_remote_spill_read(struct rmnic_remote_spill_op *op);
/* Goes on copying pages back to servers. True: there is more that could be done now. */
bool rmnic_remote_unspill(struct rmnic_remote *r);
uint64_t rmnic_remote_unspill_due(const struct rmnic_remote *r);

/* --- remote_scrub.c ---------------------------------------------------------------------- */

/* False: no memory. */
bool rmnic_remote_scrub_create(struct rmnic_remote *r);
void rmnic_remote_scrub_destroy(struct rmnic_remote *r);
/* Goes on comparing. True: there is more that could be done now. */
bool rmnic_remote_scrub(struct rmnic_remote *r);
uint64_t rmnic_remote_scrub_due(const struct rmnic_remote *r);

/* --- remote_recover.c -------------------------------------------------------------------- */

/*
 * Once the rows are loaded: begins, if that was asked for or a predecessor did not finish it. Slabs
 * without a row wait from then on. False: no memory.
 */
bool rmnic_remote_recover_create(struct rmnic_remote *r);
void rmnic_remote_recover_destroy(struct rmnic_remote *r);
/* STATE-30: goes on finding out. True: there is more that could be done now. */
bool rmnic_remote_recover(struct rmnic_remote *r);
uint64_t rmnic_remote_recover_due(const struct rmnic_remote *r);
/* The device is not served yet, and nothing is reserved: too little is known of its slabs. */
bool rmnic_remote_finding(const struct rmnic_remote *r);
/* Servers may have slabs that no row names yet: nothing is released on any of them. */
bool rmnic_remote_recovering(const struct rmnic_remote *r);

/* --- remote_reserve.c -------------------------------------------------------------------- */

/* Reserves more slabs, as far as that is possible now, and says how far it is. */
void rmnic_remote_reserve(struct rmnic_remote *r);
/* Wants slabs in all from now on. */
void rmnic_remote_want(struct rmnic_remote *r, uint64_t slabs);
/* Whether a place is being found for some slab. */
bool rmnic_remote_reserving(const struct rmnic_remote *r);
/* Whether one is being found on this server, among others. */
bool rmnic_remote_reserving_at(const struct rmnic_remote *r, uint32_t peer);

/* --- remote_sweep.c ---------------------------------------------------------------------- */

/* The server is to be asked what it has. own: also of what this backend allocated. */
void rmnic_remote_sweep_at(struct rmnic_remote *r, uint32_t peer, bool own);
/* Goes on with that. */
void rmnic_remote_sweep(struct rmnic_remote *r);
/* RELEASING: one step. True: there is more that could be done now. */
bool rmnic_remote_releasing(struct rmnic_remote *r);

/* --- remote_free.c ----------------------------------------------------------------------- */

uint16_t rmnic_remote_free_pages(struct rmnic_store *store, uint64_t rpn, uint32_t n);
void rmnic_remote_tell_add(struct rmnic_remote *r, uint64_t rpn);
void rmnic_remote_tell_drop(struct rmnic_remote *r, uint64_t rpn);
/* Tells members some more. True: there is more that could be told now. */
bool rmnic_remote_tell(struct rmnic_remote *r);
/* When to try that at the latest; UINT64_MAX: no time. */
uint64_t rmnic_remote_tell_due(const struct rmnic_remote *r);

#endif /* RMNIC_ENGINE_STORE_REMOTE_INTERNAL_H */
