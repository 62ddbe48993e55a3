/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tools/bench/load.h - workloads: which pages go out and come in, how many at a time, and whether
 * each came back as it went out.
 */
#ifndef RMNIC_BENCH_LOAD_H
#define RMNIC_BENCH_LOAD_H

#include "tools/bench/driver.h"

enum bench_workload {
	BENCH_FILL,     /* every page out, once, in order */
	BENCH_VERIFY,   /* every page in, once, in order */
	BENCH_OUT_SEQ,
	BENCH_OUT_RAND,
	BENCH_IN_SEQ,
	BENCH_IN_RAND,
	BENCH_MIX,      /* random, a share of them page-ins, a few FREEs among the rest */
	BENCH_BOTH,     /* random page-ins beside random page-outs, so many of each in flight */
	BENCH_FREE,     /* random */
	BENCH_WORKLOADS
};

extern const char *const bench_workload_names[BENCH_WORKLOADS + 1]; /* NULL at the end */

struct bench_load_config {
	uint64_t pages;       /* of the working set */
	uint32_t cluster;     /* pages a command */
	uint32_t queue_depth; /* commands in flight, of both pairs together; of BOTH: page-outs */
	uint32_t in_depth;    /* of BOTH: page-ins in flight */
	uint32_t batch;       /* commands published together */
	uint32_t reads;       /* percent of MIX */
	bool lists;           /* page lists rather than runs */
	bool verify;
	uint64_t seed;
	uint64_t spoil;   /* the so manieth page checked is changed before; 0: none */
	uint64_t ops;     /* of a phase, in commands; 0: no such limit */
	uint64_t time_ns; /* of a phase; 0: no such limit */
	uint64_t pause_ns; /* between commands, in which nothing is asked; not of FILL and VERIFY */
	const volatile bool *stop; /* set by a signal: end the phase */
};

struct bench_slot;

struct bench_latency {
	uint64_t commands;
	uint32_t p50, p90, p99, p999, max; /* ns */
};

struct bench_result {
	enum bench_workload workload;
	uint64_t commands, pages, pages_in, pages_out;
	uint64_t ns;
	struct bench_latency all, in, out; /* out: FREEs too */
	uint64_t errors;     /* commands that did not end OK */
	uint64_t mismatches; /* pages that came back wrong */
	uint64_t late;       /* buffers written while they were nobody's */
};

struct bench_load {
	struct bench_load_config config;
	struct bench_driver *driver;
	uint64_t blocks;    /* of cluster pages; a command is on one of them */
	uint32_t *version;  /* a page's: which write of it is the last */
	uint8_t *busy;      /* a block's: a command on it is in flight (CMD-1) */
	struct bench_slot *slot[2]; /* by class and cid */
	uint32_t writes;    /* so far: the version of the next one */
	uint64_t cursor, random, checked;
	uint32_t *sample;   /* latencies of the phase (samples.h); the last ones when there are too many */
	uint64_t samples;
	/* Of the phase under way: */
	struct bench_result result;
	uint64_t left; /* commands to submit */
	uint64_t start;
	uint64_t resume; /* ns: when the next command goes, after a pause */
	bool once;     /* ends by itself, however long it takes */
};

/* Bytes of guest memory that it takes beside the rings. */
uint64_t bench_load_memory(const struct bench_load_config *config);
/* Entries of the rings that this many commands in flight need. */
uint32_t bench_load_depth(const struct bench_load_config *config);
/* 0, or -1 with err. The driver's pairs exist. */
int bench_load_create(struct bench_load *load, const struct bench_load_config *config,
		      struct bench_driver *driver, struct rmnic_error *err);
void bench_load_destroy(struct bench_load *load);

enum bench_step {
	BENCH_STEP_BUSY, /* something was submitted or has completed */
	BENCH_STEP_IDLE, /* nothing: wait */
	BENCH_STEP_PAUSE, /* nothing is to be done before load->resume */
	BENCH_STEP_END,  /* the workload is over, nothing is in flight; result is complete but for percentiles */
	BENCH_STEP_BAD,  /* a completion that cannot be right; err */
};

/* A workload in steps that never wait: reaps what is there, submits what there is room for. */
void bench_load_begin(struct bench_load *load, enum bench_workload workload);
enum bench_step bench_load_step(struct bench_load *load, struct rmnic_error *err);
/* Runs the one that was begun to its end. 0, or -1 with err. */
int bench_load_run(struct bench_load *load, struct rmnic_error *err);

#endif /* RMNIC_BENCH_LOAD_H */
