/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the simulator share. */
#ifndef SIM_H
#define SIM_H

#include "model.h"
#include "cluster.h"
#include "memspill.h"

#define MAX_OPS   32
#define MAX_SLABS 8
#define EVENTS    60
#define JUNK      4
#define ROTS      64
#define MS        UINT64_C(1000000)
#define SECOND    UINT64_C(1000000000)

struct rings;
struct sim;

/* What can go wrong, each with a weight of its own that the seed draws; most are 0. */
#define FAULTS(X)                                                                          \
	X(CRASH, "crash", fault_crash)          /* a server, which keeps its memory */      \
	X(LOSE, "lose", fault_lose)             /* ... or does not */                       \
	X(CUT, "cut", fault_cut)                /* a cable, perhaps one way only */         \
	X(STOP, "stop", fault_stop)             /* a server is stopped, and resumes */      \
	X(SLOW, "slow", fault_slow)             /* it answers late for a while */           \
	X(ROT, "rot", fault_rot)                /* a bit flips in its memory */             \
	X(STARVE, "starve", fault_starve)       /* somebody's pool of buffers is empty */   \
	X(REPLAY, "replay", fault_replay)       /* a link was down and sends old frames */  \
	X(DRAIN, "drain", fault_drain)          /* a server is to be emptied, or not */     \
	X(ADD, "add", fault_add)                /* a server that nobody knew */             \
	X(PRESSURE, "pressure", fault_pressure) /* it wants its memory back */              \
	X(JUMP, "jump", fault_jump)             /* somebody's clock moves on at once */     \
	X(BACKEND, "backend", fault_backend)    /* it dies, or something happens to it */   \
	X(PAUSE, "pause", fault_pause)          /* it is stopped, and resumes */            \
	X(SUCCEED, "succeed", fault_succeed)    /* ... when it has a successor already */   \
	X(RESIZE, "resize", fault_resize)       /* more or less is to be reserved */        \
	X(DISK, "disk", fault_disk)             /* the spill file's answers nothing */

enum sim_fault {
#define X(id, name, run) FAULT_##id,
	FAULTS(X)
#undef X
	FAULT_COUNT
};

struct sim_op {
	struct rmnic_page_op op; /* first: done() gets its address */
	struct sim *sim;
	bool used, out, ended;
	uint16_t status;
	uint64_t content;
	uint64_t started;
	uint64_t view;  /* of its slab when it ended */
	uint64_t again; /* 0, or when to send it again */
	uint64_t page[RMNIC_PAGE_SIZE / 8];
};

/* A page that was damaged at rest, as its server has it since. */
struct sim_rot {
	unsigned int server;
	uint64_t handle, version;
	uint32_t page, body, crc;
};

/* What the simulator knows of a server beyond the cluster. */
struct sim_server {
	bool big;         /* it can hold all of the device */
	bool draining;
	uint64_t up_at, thaw_at; /* a dead or stopped one; 0: it is neither */
	uint64_t fast_at;
	uint64_t trouble; /* the last time at which it was not well, or not within reach */
};

struct sim {
	struct sim *failed; /* the run that failed before this one */
	struct cluster w;
	struct rmnic_state_block block; /* the store's, attached */
	struct memspill spill; /* where w.spill says so */
	struct model model;
	uint64_t seed;
	uint64_t rng; /* the guest's and the faults' own: the network's draws do not shift it */
	unsigned int depth;
	unsigned int weight[FAULT_COUNT];
	unsigned int weights; /* all of them */
	bool faults;
	bool stalled; /* the backend is not ready: the guest waits */
	bool verbose, record;
	uint64_t watch, watched; /* a page, + 1 */
	struct memnet_faults net_faults;
	struct sim_op *ops;     /* MAX_OPS */
	struct sim_op *old_ops; /* of the backend that was succeeded */
	struct sim_op junk[JUNK]; /* what that one writes when it resumes */
	uint64_t old_fenced; /* a bit a server that knew of its successor by then */
	bool with_rings;
	struct rings *rings; /* NULL: the guest has the store to itself, without a device */
	struct sim_server servers[CLUSTER_SERVERS];
	struct sim_rot rots[ROTS];
	unsigned int nrots;
	struct rmnic_state_view views[MAX_SLABS]; /* as they were seen last */
	uint64_t lost_at[MAX_SLABS]; /* when nobody of an old view was left in the new one */
	uint64_t emptied_at[MAX_SLABS]; /* when the memory of its last whole member was lost; 0: it is there */
	uint64_t trouble; /* of the backend itself */
	uint64_t heal_at, wake_at, old_at, disk_at;
	uint64_t disk_trouble;
	uint64_t done, ok, errors, counts[FAULT_COUNT];
	char events[EVENTS][112];
	unsigned int nevents;
	char failure[256];
	uint64_t failed_at;
};

/* Draws of the guest's and the faults' own: the network's do not shift them. */
uint64_t sim_draw(struct sim *s);
uint64_t sim_below(struct sim *s, uint64_t n);
/* One time of n. */
bool sim_one_of(struct sim *s, uint64_t n);
/* For the list of what happened last, and why a run failed (the first reason counts). */
void sim_event(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* setup.c: what the seed draws; it is printed before anything happens. */
void sim_set_up(struct sim *s);
void sim_print(const struct sim *s);
/* A backend, or its successor. One of its allocations may fail first: then it starts once more. */
bool sim_start(struct sim *s, bool (*start)(struct cluster *w));

/* pages.c: contents of pages. */
void page_make(uint64_t *page, uint64_t content);
/* A page that was read. */
void page_check(struct sim *s, uint64_t rpn, const uint64_t *page);

/* oracle.c: who has which page, and what follows from it. */
/* The state block is another one. */
void oracle_attach(struct sim *s);
/* The server's slab that a view's entry names; NULL: it is gone. */
struct rmnic_mem_slab *oracle_slab(struct sim *s, const struct rmnic_rmp_member *m);
unsigned int oracle_server(const struct rmnic_rmp_member *m);
/* Copies may be gone: pages of the slab that have no other are lost, rightly. */
void oracle_doom(struct sim *s, uint64_t slab);
void oracle_doom_all(struct sim *s);
/* Before a server loses pages from rpn on. */
void oracle_going(struct sim *s, unsigned int server, uint64_t rpn, uint64_t n);
void oracle_watch(struct sim *s);
/* A bit a server that has sealed the present epoch. */
uint64_t oracle_sealed(struct sim *s);
/* Whether a whole member of a page's slab, as the backend that was succeeded has it, is one of those. */
bool oracle_old_member(struct sim *s, uint64_t rpn, uint64_t servers);
/* Looks at views that have changed since. */
void oracle_views(struct sim *s);
/* The view that the row of a page's slab has now. */
uint64_t oracle_view(const struct sim *s, uint64_t rpn);
/* A page-out was acknowledged, when its slab had that view; 0: nobody knows. */
void oracle_acked(struct sim *s, uint64_t rpn, uint64_t view);
/* Whether an error may be, of an operation that began at a time. */
bool oracle_excused(struct sim *s, uint64_t rpn, bool out, uint16_t status, uint64_t started);
/* Whether servers are enough for every slab to be whole. */
bool oracle_suffices(const struct sim *s);
/* A page, + 1, of which a member has a damaged copy that could be replaced; 0: there is none. */
uint64_t oracle_rotten(struct sim *s);
/* Every member has what it should have, and nobody has more. */
void oracle_audit(struct sim *s);

/* guest.c: what the guest asks for, and whether the answers may be. */
void guest_begin(struct sim *s);
void guest_read(struct sim *s, uint64_t rpn);
void guest_write(struct sim *s, uint64_t rpn);
void guest_reap(struct sim *s);
void guest_redrive(struct sim *s);
/* The backend that was succeeded goes on: nothing that it does may count. */
void guest_old_writes(struct sim *s);

/* faults.c: what goes wrong, and how it heals. */
extern const char *const fault_names[FAULT_COUNT];
void faults_draw(struct sim *s);
void faults_heal(struct sim *s, bool all);
/* A backend has begun to live. */
void faults_backend_up(struct sim *s);

#endif /* SIM_H */
