/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the simulator share. */
#ifndef SIM_H
#define SIM_H

#include "model.h"
#include "cluster.h"

#define MAX_OPS  32
#define EVENTS   48
#define MS       UINT64_C(1000000)
#define SECOND   UINT64_C(1000000000)

struct rings;

struct sim_op {
	struct rmnic_page_op op; /* first: done() gets its address */
	struct sim *sim;
	bool used, out, ended;
	uint16_t status;
	uint64_t content;
	uint64_t again; /* 0, or when to send it again */
	uint64_t page[RMNIC_PAGE_SIZE / 8];
};

struct sim {
	struct sim *failed; /* the run that failed before this one */
	struct cluster w;
	struct model model;
	uint64_t seed;
	uint64_t rng; /* the guest's and the faults' own: the network's draws do not shift it */
	unsigned int depth;
	unsigned int crash, backend_crash, lose, cut; /* weights */
	bool faults;
	bool silences; /* servers may be silent for longer than an operation has time */
	bool stalled; /* the backend is not ready: the guest waits */
	bool verbose;
	struct memnet_faults net_faults;
	struct sim_op ops[MAX_OPS];
	struct rings *rings; /* NULL: the guest has the store to itself, without a device */
	uint64_t up_at[CLUSTER_SERVERS]; /* when a dead server comes back */
	uint64_t heal_at;
	uint64_t done, errors, crashes, restarts;
	char events[EVENTS][96];
	unsigned int nevents;
	char failure[256];
};

/* Draws of the guest's and the faults' own: the network's do not shift them. */
uint64_t sim_draw(struct sim *s);
uint64_t sim_below(struct sim *s, uint64_t n);
/* For the list of what happened last, and why a run failed (the first reason counts). */
void sim_event(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_fail(struct sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* pages.c: contents of pages, and the verdict on what became of them. */
void page_make(uint64_t *page, uint64_t content);
/* A page that was read. */
void page_check(struct sim *s, uint64_t rpn, const uint64_t *page);
/* It was acknowledged, or may have been stored: remembers which stores have it then. */
void page_remember(struct sim *s, uint64_t rpn, bool acknowledged);
/* Members of the page's view whose server still has the store that the view names. */
unsigned int page_living(struct sim *s, uint64_t rpn);
/* Whether an error may be, and the operation is tried again later. */
bool page_excused(struct sim *s, uint64_t rpn, bool out, uint16_t status);

/* guest.c: what the guest asks for, and whether the answers may be. */
void guest_begin(struct sim *s);
void guest_resize(struct sim *s, uint64_t pages);
void guest_read(struct sim *s, uint64_t rpn);
void guest_reap(struct sim *s);
void guest_redrive(struct sim *s);

/* faults.c: what goes wrong, and how it heals. */
void faults_draw(struct sim *s);
void faults_heal(struct sim *s, bool all);

#endif /* SIM_H */
