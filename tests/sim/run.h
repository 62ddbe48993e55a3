/* SPDX-License-Identifier: BSD-3-Clause */
/* One run of the simulator: one seed. */
#ifndef RUN_H
#define RUN_H

#include "sim.h"

struct run_options {
	uint64_t ops;
	bool verbose, quiet;
	uint64_t watch; /* a page, + 1; 0: none */
	int rings; /* 1: with a device, 0: without; -1: as the seed will */
};

struct run_sum {
	uint64_t done, counts[FAULT_COUNT];
};

/* False: it failed, and what is to be known about it was printed. */
bool run(uint64_t seed, const struct run_options *options, struct run_sum *sum);

#endif /* RUN_H */
