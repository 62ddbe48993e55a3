/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/store_remote_internal.h - what the files of the remote store share.
 *
 * store_remote.c   creation, the store's operations, looking in
 * remote_op.c      pages on their way: the members that are asked about one
 * remote_out.c     a page going out
 * remote_in.c      a page coming in
 * remote_slab.c    whose slabs are where, and which servers were met
 * remote_view.c    changing a view: dropping, recording
 * remote_place.c   which servers take a slab
 * remote_reserve.c finding a place for slabs
 * remote_plan.c    what a slab's view needs
 * remote_repair.c  filling a member: one that came back, a new one, one instead of another
 * remote_copy.c    one page from a member to another
 * remote_scrub.c   comparing the copies of pages at rest
 * remote_spill.c   pages that no server can take
 * remote_unspill.c ... and their way back
 * remote_backed.c  whether there is a place for the pages of a server that goes
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
#define RMNIC_REMOTE_RECORDS 16
#define RMNIC_REMOTE_BACKGROUND 128 /* calls of repair, scrubbing and recovery together */
#define RMNIC_REMOTE_HOLDERS 256
#define RMNIC_REMOTE_UNSPILLS 8
#define RMNIC_REMOTE_SPILL_BUCKETS 64
#define RMNIC_REMOTE_GREET_NS UINT64_C(500000000) /* so long all servers are waited for at first */
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
	bool place_held; /* ... which the file has room for; or had, and is to take it back */
	bool gone;       /* every member is proved empty: its pages are still to be called LOST */
	bool waiting;    /* recovery: not every member of its highest view is here */
	bool recording;  /* its members are being told of the view */
	uint8_t job;     /* that gives it a member, + 1; 0: none */
	uint32_t attempts; /* to find members that came to nothing half way */
	uint32_t spilled;  /* pages in the spill file */
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

/* A place in the spill file for a page that goes out or comes in. */
struct rmnic_remote;

struct rmnic_remote_spill_op {
	struct rmnic_remote *store;
	struct rmnic_spill_io io;
	uint64_t rpn;
	uint64_t version;  /* out: of the page; in: of what was read */
	struct rmnic_spill_place *place; /* set at creation; the page is at its start */
	uint16_t status;   /* RMNIC_SC_* */
	void (*done)(struct rmnic_remote_spill_op *op);
	void *arg;
	struct rmnic_remote_spill_op *chain; /* remote_spill.c: those under way */
};

/*
 * A page on its way. Out: a call for each member of the view; in: one after the other, a second
 * beside the first where that is slow or silent. A member is known by its handle: the view may
 * change meanwhile.
 */
struct rmnic_remote_op {
	struct rmnic_remote *store;
	struct rmnic_page_op *op; /* NULL: cancelled, or not in use */
	struct rmnic_remote_op *next;  /* free ones */
	struct rmnic_remote_op *chain; /* by rpn: page-outs under way */
	bool out;
	bool used;
	bool starting;    /* inside page_out or page_in: the answer is what that returns */
	bool looking;     /* at where it stands */
	bool spilling;    /* the spill file owes an answer */
	bool no_spill;    /* it was tried there */
	uint8_t asked;    /* calls that were made: call[0] .. call[asked - 1] */
	uint8_t pending;  /* a bit a call: an answer is to come */
	uint8_t unsent;   /* a bit a call: its server was not met yet */
	uint8_t held;     /* out: a bit a call: that member has it */
	uint8_t bad;      /* in: a bit a call: that member's copy is wrong */
	uint8_t leaving;  /* calls that are not idle yet, and the spill file's */
	uint8_t in_data, in_copy; /* in: the call that fills op->data, or copy, + 1; 0: none */
	uint16_t worst;   /* RMNIC_SC_*: what the members that failed add up to */
	uint64_t rpn;
	uint64_t version; /* out: of this write */
	uint64_t view;    /* of the slab when the operation began */
	uint64_t entry;   /* in: the page's word when it was asked for */
	uint64_t deadline; /* ns */
	uint32_t word;    /* out: the payload of a filled page; little-endian */
	uint8_t type;     /* out: RMNIC_RMP_WRITE or _FILLED */
	uint32_t crc;     /* out */
	uint8_t *copy;    /* out: the private copy (RULES B5); in: of a second member's answer */
	struct rmnic_remote_spill_op spill;
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

/* A view that its members are being told of: RECORD_VIEW at each. */
struct rmnic_remote_record {
	struct rmnic_remote *store;
	bool used;
	bool failed;
	uint8_t pending, leaving;
	uint64_t slab;
	uint64_t number; /* of the view */
	struct rmnic_rmp_view view;
	struct rmnic_rmp_call call[RMNIC_MEMBERS];
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
	bool owes;   /* RELEASING: it has slabs that no view named when that began */
	bool silent; /* it owes an answer and was not heard for drop_ns */
	bool drain;  /* its slabs are to go elsewhere */
	uint32_t domain; /* 0: one of its own */
	uint64_t room_at; /* ns: when it was asked last how much room it has */
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
	bool own;      /* when it began: what this backend allocated may be released as well */
	uint32_t peer;
	uint32_t n;    /* handles still to release */
	uint64_t cursor;
	bool more;     /* behind the cursor */
	uint64_t store_id;
	uint64_t handle[RMNIC_RMP_MAX_LIST];
	struct rmnic_rmp_list body;
	struct rmnic_rmp_call call;
};

/* A page on its way from the spill file to the members of its slab. */
struct rmnic_remote_unspill {
	struct rmnic_remote *store;
	bool used;
	uint8_t pending, leaving;
	bool sent;      /* to somebody */
	bool failed;
	uint64_t word;  /* the page's when it began */
	uint64_t view;  /* the slab's */
	uint32_t fill;  /* the payload of a filled page; little-endian */
	struct rmnic_remote_spill_op op;
	struct rmnic_rmp_call call[RMNIC_MEMBERS];
};

/* The spill file, as it is used. */
struct rmnic_remote_spills {
	struct rmnic_remote_spill_op *busy[RMNIC_REMOTE_SPILL_BUCKETS]; /* by rpn: under way */
	struct rmnic_spill_place *places; /* of unspill[] */
	struct rmnic_remote_unspill unspill[RMNIC_REMOTE_UNSPILLS];
	uint64_t held;       /* slabs with place_held */
	uint64_t only;       /* slabs that have no other place */
	uint64_t holding;    /* slab that gets one; UINT64_MAX: none */
	uint64_t full_until; /* ns: there was no room */
	bool refused;        /* somebody is to try again when something ends */
	uint64_t slab, rpn;  /* where copying back goes on */
	uint64_t checked, checked_view; /* slab and view of which `since` is low enough */
	uint64_t fruitless;  /* slabs looked at in a row without finding any work */
	uint64_t next_at;    /* ns: when the next page may be copied */
	uint64_t backed_at;  /* ns: when to look whether capacity is backed, again */
	uint64_t backed_seen; /* of what that depends on */
	bool unbacked;
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
	uint64_t old;    /* handle: renew: before that; else of the one that leaves */
	uint64_t since;  /* it may lack versions from this one on */
	bool has_some;   /* it is asked what it has; else that is nothing */
	bool looking;    /* it was asked, about pages from `known` on */
	uint64_t known;  /* page of the slab: up to here `range` says what it has */
	struct rmnic_remote_range *range;
	uint64_t view;   /* in which it became SYNCING; TELL: ... whole */
	bool stalled;    /* nobody to copy from answers */
	uint16_t leaver; /* peer of the member that it is instead of; RMNIC_NO_PEER: none leaves */
	uint64_t freed;  /* page of the slab: where tombstones go on */
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
	bool ended;      /* only its call has to come home */
	bool again;      /* the call is idle: take the next step */
	bool good;       /* the page was read */
	bool unheard;    /* one that was asked for the page did not answer */
	uint8_t tried;   /* a bit an entry of the slab's view that was read in vain */
	uint8_t source;  /* entry that is being read */
	uint8_t spoilt;  /* answers of it whose checksum was wrong */
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
	struct rmnic_remote_range *ranges; /* one a job */
	struct rmnic_remote_copy copies[RMNIC_REMOTE_COPIES];
	struct rmnic_remote_bad bad[RMNIC_REMOTE_FIXES];
	uint32_t nbad;
	bool busy;        /* there is more to be copied at once */
	bool unwanted;    /* some server wants to be rid of slabs */
	uint64_t left;    /* slabs to be looked at in this round of all */
	uint64_t cursor;
	uint64_t look_at; /* ns: when to begin another round; UINT64_MAX: no time */
	uint64_t tokens;  /* a thousand-millionth of a page each */
	uint64_t filled_at; /* ns: when tokens were counted last */
	uint64_t room_at; /* ns: when to ask somebody how much room there is */
	uint32_t room_peer;
	struct rmnic_rmp_call room;
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
	struct rmnic_spill_place *copies; /* one an operation */
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
	bool loaded;          /* the rows of the state block were read */
	bool look;            /* page operations look at where they are */
	struct rmnic_remote_holder *holders;
	uint32_t nholders;
	struct rmnic_remote_sweep sweep;
	uint64_t sweep_after; /* ns */
	uint32_t sweeps;      /* peers with `sweep` set */
	struct rmnic_remote_alloc allocs[RMNIC_REMOTE_ALLOCS];
	struct rmnic_remote_free frees[RMNIC_REMOTE_FREES];
	struct rmnic_remote_repair repair;
	struct rmnic_remote_record records[RMNIC_REMOTE_RECORDS];
	uint64_t unrecorded;  /* slabs whose members were not all told of their view */
	uint64_t record_cursor;
	uint64_t record_after; /* ns */
	uint64_t recording;   /* slabs whose members are being told */
	uint64_t drop_left;   /* slabs to look through for members that are silent */
	uint64_t drop_again;  /* ns: when to look through them again */
	uint32_t silent;      /* peers that are */
	uint64_t created;     /* ns */
	uint64_t first_version; /* no page had one from this on when the store was created */
	uint64_t look_at;     /* ns: when page operations look again; UINT64_MAX: no time */
	uint32_t hedge_tokens; /* a thousandth each */
	uint64_t spilled;     /* pages in the spill file */
	struct rmnic_remote_spills spills;
	struct rmnic_remote_scrub *scrub;
	struct rmnic_remote_recovery *recovery; /* NULL: every row says who holds its slab */
	uint64_t waiting;     /* slabs with that mark */
	struct rmnic_store_counters counters;
	struct rmnic_remote_counters remote;
};

/* --- store_remote.c -------------------------------------------------------------------- */

void rmnic_remote_move(struct rmnic_remote *r, enum rmnic_remote_status to);

/* --- remote_op.c ------------------------------------------------------------------------- */

/* NULL: as many as can be are under way. */
struct rmnic_remote_op *rmnic_remote_op_get(struct rmnic_remote *r, struct rmnic_page_op *op,
					    bool out);
/* Ends it; the owner hears of it here, or by what page_out or page_in returns. */
void rmnic_remote_op_end(struct rmnic_remote_op *o, uint16_t status);
/* What page_out or page_in returns. */
uint16_t rmnic_remote_op_started(struct rmnic_remote_op *o);
/* The next call, to entry i; the rest of it is the caller's to fill in. */
struct rmnic_rmp_call *rmnic_remote_op_ask(struct rmnic_remote_op *o, unsigned int i, uint8_t type);
/* False: its server was not met; the call is pending still, and unsent. */
bool rmnic_remote_op_send(struct rmnic_remote_op *o, unsigned int k);
/* The entry of the view that call k is to; -1: it is no member any more. */
int rmnic_remote_op_entry(const struct rmnic_remote_op *o, unsigned int k);
/* Nobody waits for call k any more. */
void rmnic_remote_op_forget(struct rmnic_remote_op *o, unsigned int k);
/* Whether the call is one of a page operation. */
bool rmnic_remote_op_owns(const struct rmnic_rmp_call *call);
/* Starts its read or write of the spill file. False: not now. */
bool rmnic_remote_op_spill(struct rmnic_remote_op *o);
/* A view changed or is recorded, a peer is silent: page operations look again at where they are. */
void rmnic_remote_pages_look(struct rmnic_remote *r);
/* ... at that time (ns) at the latest. */
void rmnic_remote_look_by(struct rmnic_remote *r, uint64_t at);
/* They do. */
void rmnic_remote_pages(struct rmnic_remote *r);
/* Page-outs of the slab under way that began under a view older than this one (STATE-25). */
bool rmnic_remote_writes_before(const struct rmnic_remote *r, uint64_t slab, uint64_t view);
/* The lowest version that a page-out of the slab under way has; else the next one (STATE-23). */
uint64_t rmnic_remote_since(const struct rmnic_remote *r, uint64_t slab);
/* Whether a page-out of the page is under way. */
bool rmnic_remote_is_writing(const struct rmnic_remote *r, uint64_t rpn);
void rmnic_remote_cancel(struct rmnic_store *store, struct rmnic_page_op *op);

/* --- remote_out.c ------------------------------------------------------------------------ */

uint16_t rmnic_remote_page_out(struct rmnic_store *store, struct rmnic_page_op *op);
void rmnic_remote_settle(struct rmnic_store *store, uint64_t rpn, uint64_t n);
void rmnic_remote_out_answer(struct rmnic_remote_op *o, unsigned int k);
void rmnic_remote_out_spilled(struct rmnic_remote_op *o);
void rmnic_remote_out_look(struct rmnic_remote_op *o);
/* Its page is INDETERMINATE from now on. */
void rmnic_remote_out_give_up(struct rmnic_remote_op *o);

/* --- remote_in.c ------------------------------------------------------------------------- */

uint16_t rmnic_remote_page_in(struct rmnic_store *store, struct rmnic_page_op *op);
void rmnic_remote_in_answer(struct rmnic_remote_op *o, unsigned int k);
void rmnic_remote_in_spilled(struct rmnic_remote_op *o);
void rmnic_remote_in_look(struct rmnic_remote_op *o);
/* A page-in takes longer than its server's as a rule: the client's callback. */
void rmnic_remote_hedge(void *arg, struct rmnic_rmp_call *call);

/* --- remote_slab.c ----------------------------------------------------------------------- */

/* Reads every row of the state block. False: one is damaged. */
bool rmnic_remote_slabs_load(struct rmnic_remote *r);
/* The server with this uuid, if it has been met. */
uint16_t rmnic_remote_peer_by(const struct rmnic_remote *r, const uint8_t uuid[16]);
/* The member's server, likewise. */
uint16_t rmnic_remote_peer_of(struct rmnic_remote *r, struct rmnic_remote_slab *slab, unsigned int i);
/* From now on the slab's members are those of view. recorded: they were told of it already. */
void rmnic_remote_view_use(struct rmnic_remote *r, uint64_t slab, const struct rmnic_state_view *view,
			   bool recorded);
/* The row names nobody any more (STATE-17). */
void rmnic_remote_view_clear(struct rmnic_remote *r, uint64_t slab);
/* Sets a page's word, and counts what is stored and what is spilled. */
void rmnic_remote_word_set(struct rmnic_remote *r, uint64_t rpn, uint64_t version, uint32_t bits);
/* Whether any page of the slab was ever written or freed. */
bool rmnic_remote_slab_used(const struct rmnic_remote *r, uint64_t slab);
/* Calls the pages of one slab that is gone LOST. True: there are more such slabs. */
bool rmnic_remote_lose(struct rmnic_remote *r);
/* Whether a row names this slab of a server's. */
bool rmnic_remote_named(const struct rmnic_remote *r, uint64_t slab, const uint8_t server[16],
			uint64_t store_id, uint64_t handle);
/* A server that rows name and that was not met; NULL: there is none. */
const struct rmnic_remote_holder *rmnic_remote_missing(const struct rmnic_remote *r);
/* Whether a server that rows name has sealed this epoch. */
bool rmnic_remote_met(const struct rmnic_remote *r, const uint8_t server[16]);
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
/* Some peer is silent: it is dropped from the slabs that nobody writes to as well. */
void rmnic_remote_drop_soon(struct rmnic_remote *r);
/* Goes on with that, and with telling members of views. True: there is more to be done now. */
bool rmnic_remote_views(struct rmnic_remote *r);
uint64_t rmnic_remote_views_due(const struct rmnic_remote *r);
/* Takes entry i out of a view. */
void rmnic_remote_view_remove(struct rmnic_state_view *v, unsigned int i);
/* For the log. server: NULL for none. */
void rmnic_remote_event(struct rmnic_remote *r, enum rmnic_remote_event_kind kind, uint64_t slab,
			uint64_t rpn, uint64_t pages, const uint8_t *server);
/* Whether entry i of the slab owes an answer and was not heard for drop_ns, or was never met. */
bool rmnic_remote_is_silent(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i);
/* The entry with this handle on this store; -1: there is none, or it is away. */
int rmnic_remote_entry(const struct rmnic_remote_slab *s, uint64_t store_id, uint64_t handle);

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
/* Asks servers how much room they have, one after the other. */
void rmnic_remote_room_ask(struct rmnic_remote *r);
uint64_t rmnic_remote_room_due(const struct rmnic_remote *r);

/* --- remote_repair.c --------------------------------------------------------------------- */

/* False: no memory. */
bool rmnic_remote_repair_create(struct rmnic_remote *r);
void rmnic_remote_repair_destroy(struct rmnic_remote *r);
/* Something is to be done about the slab, perhaps: its view changed, or a server's state did. */
void rmnic_remote_repair_look(struct rmnic_remote *r, uint64_t slab);
/* Goes on filling members. True: there is more that could be done now. */
bool rmnic_remote_repair(struct rmnic_remote *r);
/* ... at that time (ns) at the latest. */
void rmnic_remote_repair_by(struct rmnic_remote *r, uint64_t at);
/* Whether a server gives, or gave, a handle that no row names yet. */
bool rmnic_remote_repairing_at(const struct rmnic_remote *r, uint32_t peer);
/* Entry i, which is away, is filled under a new handle. False: not now. */
bool rmnic_remote_job_renew(struct rmnic_remote *r, uint64_t slab, unsigned int i);
/* Another member, on peer; leaver: the entry that leaves for it, or -1. */
bool rmnic_remote_job_fill(struct rmnic_remote *r, uint64_t slab, uint16_t peer, int leaver);
/* Entry i, which is SYNCING, is filled from the start. */
bool rmnic_remote_job_resume(struct rmnic_remote *r, uint64_t slab, unsigned int i);
/* Entry i leaves the view. */
bool rmnic_remote_job_leave(struct rmnic_remote *r, uint64_t slab, unsigned int i);
/* When to try that at the latest; UINT64_MAX: no time. */
uint64_t rmnic_remote_repair_due(const struct rmnic_remote *r);
/* Whether a handle on a peer is in use by a repair that no row names yet. */
bool rmnic_remote_repair_named(const struct rmnic_remote *r, uint32_t peer, uint64_t handle);
/* Entry i of the slab's view has a wrong copy of rpn: it is replaced some time (STATE-27). */
void rmnic_remote_fix(struct rmnic_remote *r, uint64_t rpn, unsigned int i);

/* --- remote_plan.c ----------------------------------------------------------------------- */

/* Does what the slab's view needs next, as far as it can. */
void rmnic_remote_plan(struct rmnic_remote *r, uint64_t slab);
/* Whether any server wants to be rid of slabs. */
bool rmnic_remote_unwanted(const struct rmnic_remote *r);
/* Entry i's server is here, with the store that the view names. */
bool rmnic_remote_is_ready(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i);
/*
 * Entry i has a page that is newer than `version`, which is what was acknowledged last: it is dropped,
 * and forgets all from that one on when it is filled.
 */
void rmnic_remote_orphaned(struct rmnic_remote *r, uint64_t slab, unsigned int i, uint64_t version);
/* The server of the member with this handle; RMNIC_NO_PEER: there is none. */
uint16_t rmnic_remote_peer_with(struct rmnic_remote *r, struct rmnic_remote_slab *s,
				uint64_t store_id, uint64_t handle);
/* The slab's next view is the one without entry i. */
void rmnic_remote_view_without(struct rmnic_remote *r, uint64_t slab, unsigned int i);

/* --- remote_copy.c ----------------------------------------------------------------------- */

/* Goes on copying what the job's member lacks. True: there is more to be done now. */
bool rmnic_remote_copy_slab(struct rmnic_remote *r, struct rmnic_remote_job *j);
/* Whether another page of it could be copied, but for the rate. */
bool rmnic_remote_copy_more(const struct rmnic_remote *r, const struct rmnic_remote_job *j);
void rmnic_remote_copy_cancel(struct rmnic_remote *r, struct rmnic_remote_job *j);
/* Replaces bad copies. True: some are left. */
bool rmnic_remote_copy_bad(struct rmnic_remote *r);
/* When the rate lets another page pass; UINT64_MAX: that is not what is waited for. */
uint64_t rmnic_remote_copy_due(const struct rmnic_remote *r);

/* --- remote_spill.c ---------------------------------------------------------------------- */

/* False: no memory. */
bool rmnic_remote_spill_create(struct rmnic_remote *r);
void rmnic_remote_spill_destroy(struct rmnic_remote *r);
/*
 * STATE-29: what the rows say of the spill file, compared with the one there is. Called once the
 * rows are loaded and the pages counted.
 */
void rmnic_remote_spill_load(struct rmnic_remote *r);
/* Pages that the file may still take. */
uint64_t rmnic_remote_spill_free(const struct rmnic_remote *r);
/*
 * Whether the slab has a place in the spill file, or gets one now. False may become true: its view
 * changes then, and rmnic_remote_pages_look() is called.
 */
bool rmnic_remote_spill_room(struct rmnic_remote *r, uint64_t slab);
/*
 * op->place's page goes to the file, with its record. False: not now (too many are under way, an
 * earlier write of the page is, or the slab has no place any more); rmnic_remote_pages_look() is
 * called when it may be tried again. May end at once.
 */
bool rmnic_remote_spill_write(struct rmnic_remote_spill_op *op);
/*
 * ... comes from it: done() says OK only when record and checksum are right. There is no file:
 * UNREACHABLE, for it may be on another disk.
 */
bool rmnic_remote_spill_read(struct rmnic_remote_spill_op *op);
/* Collects what the file has done. True: something. */
bool rmnic_remote_spill_poll(struct rmnic_remote *r);
/* Whether a read or write of any place of the slab is under way. */
bool rmnic_remote_spill_slab_busy(const struct rmnic_remote *r, uint64_t slab);

/* --- remote_unspill.c -------------------------------------------------------------------- */

/*
 * Called in each round: what the file has done, pages back to servers, places that nobody needs
 * any more. True: there is more that could be done now.
 */
bool rmnic_remote_unspill(struct rmnic_remote *r);
uint64_t rmnic_remote_unspill_due(const struct rmnic_remote *r);

/* --- remote_backed.c --------------------------------------------------------------------- */

/* Says so when a server's loss would leave slabs without a place; looks at most once a second. */
void rmnic_remote_backed_look(struct rmnic_remote *r);

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
/* Of a slab that waits: the highest view that was seen of it, and who is in that. */
void rmnic_remote_recover_slab(const struct rmnic_remote *r, uint64_t slab,
			       struct rmnic_remote_slab_info *out);
/* The device is not served yet, and nothing is reserved: too little is known of its slabs. */
bool rmnic_remote_finding(const struct rmnic_remote *r);
/* Servers may have slabs that no row names yet: nothing is released on any of them. */
bool rmnic_remote_recovering(const struct rmnic_remote *r);

/* --- remote_reserve.c -------------------------------------------------------------------- */

/* Reserves more slabs, as far as that is possible now, and says how far it is. */
void rmnic_remote_reserve(struct rmnic_remote *r);
/* Wants slabs in all from now on. */
void rmnic_remote_want(struct rmnic_remote *r, uint64_t slabs);
/* Slabs that have a place, or wait for the servers that have their pages (STATE-30). */
uint64_t rmnic_remote_placed(const struct rmnic_remote *r);
/* Whether a place is being found for some slab. */
bool rmnic_remote_reserving(const struct rmnic_remote *r);
/* ... for this one. */
bool rmnic_remote_reserving_slab(const struct rmnic_remote *r, uint64_t slab);
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
