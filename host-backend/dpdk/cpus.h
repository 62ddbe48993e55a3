/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/cpus.h - sets of CPUs, as people write them: "2-5,7".
 */
#ifndef RMNIC_DPDK_CPUS_H
#define RMNIC_DPDK_CPUS_H

#include <sched.h>
#include <stddef.h>

#include "common/error.h"

struct rmnic_cpus {
	cpu_set_t set;
};

/* Those this process may run on. */
int rmnic_cpus_allowed(struct rmnic_cpus *out, struct rmnic_error *err);
/* Those text names; -1 with err: it is no list, or one of them is not among the allowed. */
int rmnic_cpus_parse(const char *text, const struct rmnic_cpus *allowed, struct rmnic_cpus *out,
		     struct rmnic_error *err);
/* "0-1,4" Returns buf. */
const char *rmnic_cpus_format(const struct rmnic_cpus *cpus, char *buf, size_t len);
unsigned int rmnic_cpus_count(const struct rmnic_cpus *cpus);
/* The nth, from 0; n is less than the count. */
unsigned int rmnic_cpus_nth(const struct rmnic_cpus *cpus, unsigned int n);
void rmnic_cpus_remove(struct rmnic_cpus *cpus, const struct rmnic_cpus *which);

#endif /* RMNIC_DPDK_CPUS_H */
