/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/wait.h - what an lcore does after a round without work (DESIGN D10).
 *
 * ADAPTIVE: where CPUs are shared, block on the descriptors at once (or nearly, see
 * rmnic_wait_idle_asked()); on CPUs of its own spin for a while that adapts itself, then block. BUSY: never block. BLOCK: always at once.
 */
#ifndef RMNIC_DPDK_WAIT_H
#define RMNIC_DPDK_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum rmnic_poll_mode { RMNIC_POLL_ADAPTIVE, RMNIC_POLL_BUSY, RMNIC_POLL_BLOCK };

struct rmnic_wait;

/* shared: CPUs are (rmnic_eal_owns_cpus()). */
struct rmnic_wait *rmnic_wait_create(enum rmnic_poll_mode mode, bool shared,
				     struct rmnic_error *err);
void rmnic_wait_destroy(struct rmnic_wait *w);
/* Descriptors to sleep on. An eventfd wakes once for each time it is signalled; nobody reads it. */
int rmnic_wait_add(struct rmnic_wait *w, int fd, bool eventfd, struct rmnic_error *err);
void rmnic_wait_remove(struct rmnic_wait *w, int fd);
/* A round did something. */
void rmnic_wait_busy(struct rmnic_wait *w);
/* A round did nothing. True: it is time to sleep (the caller then sets NEED_WAKEUP and looks
 * once more). False: poll again. */
bool rmnic_wait_idle(struct rmnic_wait *w);
/*
 * The same for who is asked by guests that wait: a doorbell and a wake-up cost them more than a moment's
 * spinning costs, so that is done also where CPUs are shared, for as long as it meets work often
 * enough, and giving way to whoever else wants this CPU (a server that is to answer, perhaps).
 * owed: servers owe answers. Whether it pays to spin for these is another matter than whether it does
 * for the next command: after a long silence one is coming, and the other is not.
 */
bool rmnic_wait_idle_asked(struct rmnic_wait *w, bool owed);
/* Sleeps until a descriptor is ready or until deadline (ns, CLOCK_MONOTONIC; UINT64_MAX: never).
 * short_first: at most 1 ms (RULES E1). True: an eventfd was signalled, which is not said again. */
bool rmnic_wait_sleep(struct rmnic_wait *w, uint64_t deadline, bool short_first);
/* ns slept since creation, and times. */
void rmnic_wait_stats(const struct rmnic_wait *w, uint64_t *slept_ns, uint64_t *sleeps);

#endif /* RMNIC_DPDK_WAIT_H */
