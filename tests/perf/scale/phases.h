/* SPDX-License-Identifier: BSD-3-Clause */
/* What is measured of a fleet. */
#ifndef SCALE_PHASES_H
#define SCALE_PHASES_H

#include "load.h"

/* What a page costs; each a mean of those moved. */
struct scale_cost {
	double messages, polls;
	double cpu_us; /* of the process: both ends, the network, and making up or comparing the page */
	double steps;  /* basic blocks of the engine; 0 where they are not counted */
};

struct scale_steady {
	struct scale_times out, in;       /* all devices at once */
	struct scale_times out_one, in_one; /* one after the other */
	struct scale_cost cost_out, cost_in; /* of those */
	double idle_messages; /* of a device that does nothing, in a second */
};

struct scale_failure {
	uint64_t slabs;    /* that the server held */
	uint64_t devices;  /* to which they belong */
	uint64_t pages;    /* in them */
	double dropped_ms; /* until all of them did without it */
	double busy_ms;    /* ... those that page in */
	double whole_ms;   /* until all had as many whole members as before */
	uint64_t taken, taken_most; /* pages that other servers were given; the one that got most */
	struct scale_times in; /* page-ins of those slabs meanwhile */
};

/* Counted by the engine when it was built for that (steps.c). */
extern uint64_t scale_steps;

void scale_steady_run(struct scale_fleet *f, struct scale_steady *out);
/* Kills the server that devices were told of first. */
void scale_failure_run(struct scale_fleet *f, struct scale_failure *out);

#endif /* SCALE_PHASES_H */
