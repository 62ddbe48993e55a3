/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memd/server.h - the lcore that serves: one thread owns the network, the store and the memory.
 * Everybody else reaches them by memd_server_call().
 */
#ifndef RMNIC_MEMD_SERVER_H
#define RMNIC_MEMD_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/cpu_awake.h"
#include "common/sched_batch.h"
#include "common/error.h"
#include "dpdk/udp.h"
#include "dpdk/wait.h"
#include "engine/rmp_server.h"
#include "memd/config.h"
#include "memd/memory.h"

/* Frames beside what is lent, for pages on their way: no page-out waits for one of them. */
#define MEMD_SLACK (2 * RMNIC_FRAME_GRANULE)

struct memd_server {
	const struct memd_config *config;
	uint8_t uuid[16];
	struct rmnic_port *const *ports;
	uint16_t nports;
	/* The lcore's, once it runs. */
	struct memd_memory memory;
	struct rmnic_memstore *store;
	struct rmnic_rmp_server *rmp;
	struct rmnic_udp *udp;
	struct rmnic_udp_socket *socket;
	struct rmnic_wait *wait;
	struct memd_mailbox *mailbox;
	struct rmnic_cpu_awake awake;
	struct rmnic_sched_batch batch;
	uint64_t reads; /* page-ins that it knows of */
	uint64_t rounds, busy_rounds, started;
	bool running;
	bool stop;
};

/* Sets up network, memory and store, and starts the lcore. -1: err; memd_server_stop() is due. */
int memd_server_start(struct memd_server *s, struct rmnic_error *err);
void memd_server_stop(struct memd_server *s);

/* Runs fn(arg) in the lcore between two rounds, and waits for it. From any other thread. */
void memd_server_call(struct memd_server *s, void (*fn)(struct memd_server *s, void *arg),
		      void *arg);

/* DRAINING: no new slabs. From any other thread. */
void memd_server_drain(struct memd_server *s, bool on);
bool memd_server_draining(struct memd_server *s);
/* Pages at rest that are looked at in a second; 0: none. From any other thread. */
void memd_server_scrub(struct memd_server *s, uint32_t rate);

/* Pages that are lent: those on their way are not among them. */
uint64_t memd_server_lent(const struct memd_server *s);
/*
 * Lends so many bytes from now on. -1: err; what could be had is lent. In any other thread than the
 * lcore.
 */
int memd_server_lend(struct memd_server *s, uint64_t bytes, struct rmnic_error *err);

#endif /* RMNIC_MEMD_SERVER_H */
