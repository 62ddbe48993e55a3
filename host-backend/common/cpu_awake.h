/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/cpu_awake.h - keeps this machine's CPUs awake between the page-ins of guests that page.
 *
 * A page-in that comes after a silence finds CPUs asleep, three of them one after the other, and waking them
 * takes longer than the page's way. So after a page-in the kernel is asked for a while that no CPU
 * sleeps; who pages at all then finds them awake, and a machine without page-ins costs nothing.
 * The wish ends with the process, however that ends (/dev/cpu_dma_latency). Used by one thread.
 */
#ifndef RMNIC_COMMON_CPU_AWAKE_H
#define RMNIC_COMMON_CPU_AWAKE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define RMNIC_CPU_AWAKE_MAX_S   3600
#define RMNIC_CPU_AWAKE_DEFAULT "10"
#define RMNIC_CPU_AWAKE_HELP                                                                          \
	"for how many seconds after a page-in CPUs of this machine are kept from sleeping "            \
	"(/dev/cpu_dma_latency, which only root may ask), so that the first page-in after a silence "  \
	"is quick; for the first of them a PING each 4 ms keeps caches warm as well; it costs power; 0: never"

struct rmnic_cpu_awake {
	uint64_t hold_ns;    /* 0: never */
	uint64_t until;      /* ns of the caller's clock; 0: nobody has paged in */
	int fd;              /* -1: nothing is asked for */
	_Atomic bool asking; /* the same, for who reports it in another thread */
	bool refused;        /* the kernel does not let us; said once */
};

/* seconds: 0 to RMNIC_CPU_AWAKE_MAX_S. */
void rmnic_cpu_awake_init(struct rmnic_cpu_awake *a, uint64_t seconds);
void rmnic_cpu_awake_end(struct rmnic_cpu_awake *a);

/* A page-in was served. Costs a store. */
static inline void rmnic_cpu_awake_paged(struct rmnic_cpu_awake *a, uint64_t now)
{
	a->until = now + a->hold_ns;
}

/* Before the thread sleeps: asks, or takes the wish back when it is time. */
void rmnic_cpu_awake_settle(struct rmnic_cpu_awake *a, uint64_t now);
/* When settle must be called at the latest, ns; UINT64_MAX: nothing is asked for. */
uint64_t rmnic_cpu_awake_deadline(const struct rmnic_cpu_awake *a);

#endif /* RMNIC_COMMON_CPU_AWAKE_H */
