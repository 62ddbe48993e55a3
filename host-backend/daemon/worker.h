/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/worker.h - an lcore that polls devices and the network.
 *
 * A worker owns a list of devices, one queue of every port (struct rmnic_udp) and what it sleeps on.
 * Everybody else reaches it by messages alone, which it runs between two rounds.
 */
#ifndef RMNIC_DAEMON_WORKER_H
#define RMNIC_DAEMON_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "daemon/mailbox.h"
#include "dpdk/udp.h"
#include "dpdk/wait.h"

struct rmnic_vdev;
struct rmnic_worker;

struct rmnic_worker_config {
	unsigned int index; /* among the workers: also the number of its port queue */
	unsigned int lcore; /* DPDK's */
	unsigned int workers;
	struct rmnic_port *const *ports;
	uint16_t nports;
	uint32_t max_devices;
	enum rmnic_poll_mode poll;
	bool shared; /* CPUs are: rmnic_wait_create() */
	uint64_t awake_s; /* rmnic_cpu_awake_init() */
};

struct rmnic_worker_stats {
	uint64_t rounds, busy_rounds;
	uint64_t slept_ns, sleeps;
	uint32_t devices;
	bool awake; /* CPUs are kept from sleeping */
	struct rmnic_udp_counters udp;
};

/* Creates and starts it. NULL: err. */
struct rmnic_worker *rmnic_worker_start(const struct rmnic_worker_config *config,
					struct rmnic_error *err);
/* Ends the loop and waits for it. No device may be left. */
void rmnic_worker_stop(struct rmnic_worker *w);

unsigned int rmnic_worker_index(const struct rmnic_worker *w);
unsigned int rmnic_worker_lcore(const struct rmnic_worker *w);

/* --- From any other thread ------------------------------------------------------------------- */

void rmnic_worker_post(struct rmnic_worker *w, struct rmnic_msg *msg);
/* Runs fn(arg) in the worker between two rounds and waits for it: only for what is short. */
void rmnic_worker_call(struct rmnic_worker *w, void (*fn)(void *arg), void *arg);
/*
 * Calls fn(arg) once a round in the worker, after network and devices were polled, until it is
 * removed; true: it did something, poll again at once. One at a time; fn NULL removes it.
 * For a generator of load that lives in the lcore.
 */
void rmnic_worker_poller(struct rmnic_worker *w, bool (*fn)(void *arg), void *arg);
void rmnic_worker_stats(struct rmnic_worker *w, struct rmnic_worker_stats *out);

/* --- In the worker --------------------------------------------------------------------------- */

struct rmnic_udp *rmnic_worker_udp(struct rmnic_worker *w);
struct rmnic_wait *rmnic_worker_wait(struct rmnic_worker *w);
bool rmnic_worker_add(struct rmnic_worker *w, struct rmnic_vdev *vdev);
/* vdev is in the middle of its page-outs: looks at what is more urgent. */
void rmnic_worker_turn(struct rmnic_worker *w, const struct rmnic_vdev *vdev);
void rmnic_worker_remove(struct rmnic_worker *w, struct rmnic_vdev *vdev);

#endif /* RMNIC_DAEMON_WORKER_H */
