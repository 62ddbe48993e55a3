/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/cpu_latency.h - how long this machine's CPUs may take to come out of idleness.
 *
 * A daemon that sleeps is woken as quickly as its CPU is. Who asks for less pays with power, and so does
 * every CPU of the machine: it is never asked for unless a setting says so.
 */
#ifndef RMNIC_COMMON_CPU_LATENCY_H
#define RMNIC_COMMON_CPU_LATENCY_H

#include <stdint.h>

#include "common/conf.h"
#include "common/error.h"

#define RMNIC_CPU_LATENCY_ANY     2000000000 /* us: what the kernel takes for no wish at all */
#define RMNIC_CPU_LATENCY_DEFAULT "2000000000"
#define RMNIC_CPU_LATENCY_HELP                                                                        \
	"how many microseconds this machine's CPUs may take to wake up while this runs, as "          \
	"/dev/cpu_dma_latency has it; 0: they spin and never sleep, which is for the quickest first "   \
	"page-in after a silence and costs power; default: as the machine has it"

/* Asks for us until the process ends, however it does. */
int rmnic_cpu_latency_ask(uint64_t us, struct rmnic_error *err);

#endif /* RMNIC_COMMON_CPU_LATENCY_H */
