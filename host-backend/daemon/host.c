/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the engine asks of whatever it runs in (engine/host.h, engine/env.h). All of it runs in
 * the device's worker, but for allocation, which happens while things are made.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <rte_atomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/device_internal.h"

/* --- struct rmnic_host_ops ------------------------------------------------------------------- */

/* USER-10: the one translation. */
static bool host_map(void *host, uint64_t addr, uint32_t len, bool write,
		     struct rmnic_mapping *out)
{
	struct rmnic_vdev *v = host;

	return rmnic_guest_memory_map(&v->memory, addr, len, write, out);
}

/* RULES C4: with host_written() the one place to mark what was written, when there is a log. */
static void host_unmap(void *host, struct rmnic_mapping *mapping, uint32_t written)
{
	struct rmnic_vdev *v = host;

	(void)written;
	rmnic_guest_memory_unmap(&v->memory, mapping);
}

static void host_written(void *host, const struct rmnic_mapping *mapping, uint32_t offset,
			 uint32_t len)
{
	(void)host;
	(void)mapping;
	(void)offset;
	(void)len;
}

/* USER-13 */
static void host_irq(void *host, uint16_t vector)
{
	struct rmnic_vdev *v = host;
	uint64_t one = 1;
	ssize_t n;

	if (vector >= rmnic_le16_get(v->conf.vectors) || v->calls[vector] < 0) {
		v->no_vector++;
		return;
	}
	do
		n = write(v->calls[vector], &one, sizeof(one));
	while (n < 0 && errno == EINTR); /* EAGAIN: it is raised already, and not yet seen */
}

static uint64_t host_now(void *host)
{
	(void)host;
	return rmnic_udp_round_now();
}

/*
 * RULES E1: front ends register for it, so their guests' CPUs execute a barrier as well. That
 * interrupts them, so it is left out where a guest without barriers would lose 1 ms at most.
 */
static void host_membarrier(void *host)
{
	const struct rmnic_vdev *v = host;

	rte_mb(); /* pairs with the guest's between sq_tail and need_wakeup (RING-10) */
	if (!v->brief)
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
}

static void host_refused(void *host, enum rmnic_refusal why, uint16_t qid, uint16_t cid,
			 uint64_t value)
{
	rmnic_vdev_news_refusal(host, why, qid, cid, value);
}

static void host_turn(void *host)
{
	struct rmnic_vdev *v = host;

	rmnic_worker_turn(v->worker, v);
}

static void host_fatal(void *host, uint32_t error)
{
	struct rmnic_vdev *v = host;

	v->fatal = true;
	v->fatal_error = error;
	v->fatal_generation = v->enabling.generation;
	rmnic_vdev_notify(v, &v->fatal_notice);
}

const struct rmnic_host_ops rmnic_vdev_host_ops = {
	.map = host_map,
	.unmap = host_unmap,
	.written = host_written,
	.irq = host_irq,
	.now_ns = host_now,
	.membarrier = host_membarrier,
	.refused = host_refused,
	.turn = host_turn,
	.fatal = host_fatal,
};

/* --- struct rmnic_env_ops -------------------------------------------------------------------- */

static uint64_t env_now(void *arg)
{
	(void)arg;
	return rmnic_udp_round_now();
}

/* Drawn for request ids, cookies and placement: a call of the kernel's for each is cheap enough. */
static uint64_t env_random(void *arg)
{
	uint64_t value;

	(void)arg;
	while (getrandom(&value, sizeof(value), 0) != sizeof(value))
		;
	return value;
}

static void *env_alloc(void *arg, size_t bytes)
{
	void *memory;

	(void)arg;
	if (posix_memalign(&memory, 64, bytes))
		return NULL;
	return memset(memory, 0, bytes);
}

static void env_free(void *arg, void *memory)
{
	(void)arg;
	free(memory);
}

const struct rmnic_env_ops rmnic_vdev_env_ops = {
	.now_ns = env_now,
	.random = env_random,
	.alloc = env_alloc,
	.free = env_free,
};
