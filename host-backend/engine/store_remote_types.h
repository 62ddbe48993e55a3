/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/store_remote_types.h - what a remote store remembers: slabs, servers, pages on their way, and
 * whatever else is under way. What is done with it: store_remote_internal.h.
 */
#ifndef RMNIC_ENGINE_STORE_REMOTE_TYPES_H
#define RMNIC_ENGINE_STORE_REMOTE_TYPES_H

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
	uint64_t rescue_by; /* ns: how long one that is away is waited for; 0: nobody is */
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

#endif /* RMNIC_ENGINE_STORE_REMOTE_TYPES_H */
