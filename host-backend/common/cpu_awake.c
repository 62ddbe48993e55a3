/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/cpu_awake.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define DEVICE "/dev/cpu_dma_latency"

void rmnic_cpu_awake_init(struct rmnic_cpu_awake *a, uint64_t seconds)
{
	*a = (struct rmnic_cpu_awake){ .hold_ns = seconds * 1000000000ull, .fd = -1 };
}

static void take_back(struct rmnic_cpu_awake *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	atomic_store_explicit(&a->asking, false, memory_order_relaxed);
}

void rmnic_cpu_awake_end(struct rmnic_cpu_awake *a)
{
	take_back(a);
}

static void ask(struct rmnic_cpu_awake *a)
{
	const int32_t none = 0;

	a->fd = open(DEVICE, O_WRONLY | O_CLOEXEC);
	if (a->fd >= 0 && write(a->fd, &none, sizeof(none)) == sizeof(none)) {
		atomic_store_explicit(&a->asking, true, memory_order_relaxed);
		return;
	}
	rmnic_log_info("CPUs may sleep between page-ins, the first one after a silence is slower: " DEVICE
		       ": %s (only root may ask; awake-s 0 does not try)", strerror(errno));
	a->refused = true;
	take_back(a);
}

void rmnic_cpu_awake_settle(struct rmnic_cpu_awake *a, uint64_t now)
{
	if (now >= a->until)
		take_back(a);
	else if (a->fd < 0 && a->hold_ns && !a->refused)
		ask(a);
}

uint64_t rmnic_cpu_awake_deadline(const struct rmnic_cpu_awake *a)
{
	return a->fd >= 0 ? a->until : UINT64_MAX;
}
