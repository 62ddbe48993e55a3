/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages out of and into devices of a fleet: what each takes, and whether it is the right one. */
#ifndef SCALE_LOAD_H
#define SCALE_LOAD_H

#include "fleet.h"

#define SCALE_LOAD_DEPTH 4 /* pages of a device that are under way */

/* Pages of one device. */
struct scale_job {
	struct scale_device *device;
	const uint64_t *rpn;
	uint32_t count;
};

/* Times in ns. */
struct scale_times {
	uint64_t *ns;
	uint64_t count, room;
	uint64_t failed; /* ended with an error */
	uint64_t wrong;  /* came back with another content */
};

struct scale_load;

/* Begins to move pages of the jobs, out or in; neither may be changed until it ends. */
struct scale_load *scale_load_begin(struct scale_fleet *f, const struct scale_job *jobs, uint32_t njobs,
				    bool out, struct scale_times *times);
/* Asks for what can be asked for now. */
void scale_load_feed(struct scale_load *load);
bool scale_load_over(const struct scale_load *load);
/* What is under way is taken back. */
void scale_load_end(struct scale_load *load);
/* All three, while time goes by. */
void scale_load_run(struct scale_load *load);

/* The k-th page of a device that is written to: they go round its slabs. */
uint64_t scale_load_page(const struct scale_device *d, uint32_t k);
/* The i-th page of a slab. */
uint64_t scale_load_slab_page(uint64_t slab, uint32_t i);

void scale_times_add(struct scale_times *t, uint64_t ns);
void scale_times_sort(struct scale_times *t);
/* Of sorted ones, in us: what a share of them does not exceed; 1: the longest. */
double scale_times_us(const struct scale_times *t, double share);
void scale_times_free(struct scale_times *t);

#endif /* SCALE_LOAD_H */
