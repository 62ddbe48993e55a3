/* SPDX-License-Identifier: BSD-3-Clause */
/* tools/bench/options.h - the settings of rmnic-bench; what they mean is said in options.c's table. */
#ifndef RMNIC_BENCH_OPTIONS_H
#define RMNIC_BENCH_OPTIONS_H

#include "common/conf.h"
#include "tools/bench/load.h"

#define BENCH_MAX_PHASES 32

enum bench_store { BENCH_STORE_REMOTE, BENCH_STORE_LOCAL };

struct bench_options {
	const char *socket; /* NULL: the default */
	int store;          /* enum bench_store */
	bool inside;
	const char *workloads;
	uint64_t working_set, capacity, slab_size; /* bytes; capacity 0: as the working set needs */
	uint64_t ops, seconds;
	uint64_t pause_us;
	uint64_t queue_depth, in_depth, batch, cluster, reads, seed, spoil;
	bool lists, no_verify, json, reconnect, until_signal, leave;
	uint64_t spin_us, timeout_s;
	struct rmnic_conf_uuid uuid;
	/* inside: what rmnicd would be told */
	struct rmnic_conf_list ports, servers;
	int poll;
	uint64_t memory_mib;
	bool no_huge;
	const char *cpus;
};

extern const struct rmnic_conf_program bench_program;

/* The workloads that were asked for, in order. Their number, or -1 with err. */
int bench_options_phases(const struct bench_options *o, enum bench_workload phase[BENCH_MAX_PHASES],
			 struct rmnic_error *err);
/* Looks at what no single setting shows to be wrong. 0, or -1 with err. */
int bench_options_check(const struct bench_options *o, struct rmnic_error *err);
struct bench_load_config bench_options_load(const struct bench_options *o,
					    const volatile bool *stop);

#endif /* RMNIC_BENCH_OPTIONS_H */
