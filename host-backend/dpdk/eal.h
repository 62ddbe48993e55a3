/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/eal.h - starts DPDK's environment: memory, lcores.
 */
#ifndef RMNIC_DPDK_EAL_H
#define RMNIC_DPDK_EAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct rmnic_eal_config {
	const char *program;   /* for logs and the runtime directory */
	uint16_t workers;      /* lcores beside the main one, 0 to 64 */
	const char *cpus;      /* CPUs for the workers, "2-5,7"; NULL: any (RULES F3) */
	uint32_t memory_mib;   /* of DPDK's own */
	bool hugepages;        /* false: --no-huge */
	const char *const *devices; /* EAL device arguments ("-a ...", "--vdev ..."), NULL-terminated */
	bool telemetry;
	int log_level;         /* RTE_LOG_* */
};

/* 0, or -1 with err. Once a process. */
int rmnic_eal_start(const struct rmnic_eal_config *config, struct rmnic_error *err);
void rmnic_eal_stop(void);
/*
 * Runs a function on a worker lcore (1 to workers), and waits for its end, asleep:
 * rte_eal_wait_lcore() spins. One at a time an lcore.
 */
int rmnic_eal_launch(unsigned int lcore, int (*run)(void *arg), void *arg,
		     struct rmnic_error *err);
/* What it returned. */
int rmnic_eal_join(unsigned int lcore);
/* Whether workers have CPUs that nobody else uses: none is shared with another lcore and there are
 * more CPUs than lcores. */
bool rmnic_eal_owns_cpus(void);

#endif /* RMNIC_DPDK_EAL_H */
