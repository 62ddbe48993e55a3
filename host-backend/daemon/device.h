/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/device.h - one guest's device in the backend: queue engine, remote store, guest memory,
 * eventfds. It knows no socket: whoever owns it (frontend.c, or a generator) asks, one request at a
 * time, and is answered once by ops->done().
 *
 * All functions are called in the control thread, which also calls back; requests are executed
 * by the device's worker and never waited for.
 */
#ifndef RMNIC_DAEMON_DEVICE_H
#define RMNIC_DAEMON_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "daemon/config.h"
#include "engine/rmp_client.h"
#include "engine/stats.h"
#include "engine/store_remote.h"
#include "rmnic/user.h"
#include "user/conn.h"

struct rmnic_backend;
struct rmnic_vdev;
struct rmnic_worker;

/* Features that devices of this backend can offer their drivers. */
#define RMNIC_VDEV_FEATURES (RMNIC_F_CAPACITY_EV | RMNIC_F_COALESCE | RMNIC_F_SAME_FILLED)

struct rmnic_vdev_reply {
	uint16_t status;     /* RMNIC_USER_S_* */
	uint32_t dev_error;  /* ENABLE: RMNIC_ERR_* */
	uint64_t pages;      /* reserved; NO_SPACE: that could be had */
	struct rmnic_error text; /* when status is not OK */
	struct rmnic_stats stats; /* STATS */
};

struct rmnic_vdev_ops {
	/* The request under way has ended. */
	void (*done)(void *arg, const struct rmnic_vdev_reply *reply);
	/* The device went FATAL. */
	void (*fatal)(void *arg, uint32_t error, uint32_t generation);
	/* It cannot be served any more: the servers know a newer epoch, or its state is damaged. */
	void (*lost)(void *arg, uint16_t status, const char *why);
	/* After rmnic_vdev_end(): it does not exist any more. */
	void (*ended)(void *arg);
};

/*
 * Makes the device and begins to reserve its capacity; done() says how that ended (USER-7), after
 * which a refused one is to be ended by its owner. state becomes the device's. NULL: status and
 * err say why (IN_USE, LIMIT, BAD_STATE, ...).
 */
struct rmnic_vdev *rmnic_vdev_create(struct rmnic_backend *b,
				     const struct rmnic_user_device *device,
				     const struct rmnic_user_state *state,
				     const struct rmnic_vdev_ops *ops, void *arg,
				     uint16_t *status, struct rmnic_error *err);
/* No server held anything of it when it was made: if it is refused, nobody will miss its slabs. */
bool rmnic_vdev_fresh(const struct rmnic_vdev *v);
/* Requests, as in spec/user.md. fds become the device's. */
void rmnic_vdev_mem_add(struct rmnic_vdev *v, uint64_t addr, uint64_t size, uint64_t offset,
			int fd);
void rmnic_vdev_mem_del(struct rmnic_vdev *v, uint64_t addr, uint64_t size);
void rmnic_vdev_kick(struct rmnic_vdev *v, int fd);
void rmnic_vdev_call(struct rmnic_vdev *v, uint16_t first, uint16_t count, const int *fds);
void rmnic_vdev_enable(struct rmnic_vdev *v, const struct rmnic_user_enable *enable);
void rmnic_vdev_reset(struct rmnic_vdev *v);
void rmnic_vdev_stop(struct rmnic_vdev *v, uint32_t drain_ms);
void rmnic_vdev_start(struct rmnic_vdev *v);
void rmnic_vdev_capacity(struct rmnic_vdev *v, uint64_t pages);
void rmnic_vdev_stats(struct rmnic_vdev *v);
/*
 * Ends all DMA and unmaps the guest's memory, whatever is under way; done() when that is so, and a
 * request that was under way is not answered any more.
 */
void rmnic_vdev_detach(struct rmnic_vdev *v);
/*
 * Detaches if need be and takes the device away; ops->ended() when it is gone. release: gives its
 * slabs back to the servers first, as far as they answer.
 */
void rmnic_vdev_end(struct rmnic_vdev *v, bool release);

/* --- For those who look on: what the worker had at one moment -------------------------------- */

struct rmnic_vdev_peer {
	struct rmnic_conf_address address; /* ip 0: a server that was removed */
	uint64_t free_pages; /* as it said last; UINT64_MAX: never */
	uint64_t slabs;      /* in whose views it is */
	struct rmnic_peer_info info;
};

struct rmnic_vdev_view {
	struct rmnic_counters counters;
	struct rmnic_hist hist[RMNIC_STAGE_COUNT];
	struct rmnic_store_counters store;
	struct rmnic_remote_counters remote;
	struct rmnic_remote_progress progress;
	struct rmnic_rmp_client_counters client;
	enum rmnic_remote_status status;
	uint64_t reserved;
	uint32_t npeers;
	struct rmnic_vdev_peer peers[RMNIC_MAX_SERVERS];
	uint64_t no_vector;
	bool enabled, stopped, fatal;
};

struct rmnic_vdev_names {
	uint8_t uuid[16];
	char name[33];
	char serial[33];
	uint32_t epoch;
	uint64_t capacity, max_capacity;
	uint16_t max_qpairs;
	unsigned int worker; /* its index */
	unsigned int lcore;
	uint32_t replicas;   /* in force */
	int pid; /* of the front end; -1: unknown */
};

/* Members that its slabs are to have: its own, else as all devices. */
uint32_t rmnic_vdev_replicas(const struct rmnic_vdev *v);
/* Its own, kept in its state block (STATE-31); 0: as all devices. */
void rmnic_vdev_replicas_set(struct rmnic_vdev *v, uint32_t replicas);
void rmnic_vdev_names(const struct rmnic_vdev *v, struct rmnic_vdev_names *out);
void rmnic_vdev_pid_set(struct rmnic_vdev *v, int pid);
/* Asks the worker and waits for it (bounded: it copies). All but progress. */
void rmnic_vdev_look(struct rmnic_vdev *v, struct rmnic_vdev_view *out);
/* ... and progress, for which the worker goes through the slabs: not several times a second. */
void rmnic_vdev_look_through(struct rmnic_vdev *v, struct rmnic_vdev_view *out);
const struct rmnic_state_block *rmnic_vdev_block(const struct rmnic_vdev *v);
/* Slabs first to first + n - 1 as the store has them; how many of them there are. Waits likewise. */
unsigned int rmnic_vdev_slabs(struct rmnic_vdev *v, uint64_t first, unsigned int n,
			      struct rmnic_remote_slab_info *out);
/* Takes what there is of slabs that wait: this one, or all (UINT64_MAX). How many waited. */
uint64_t rmnic_vdev_force(struct rmnic_vdev *v, uint64_t slab);

#endif /* RMNIC_DAEMON_DEVICE_H */
