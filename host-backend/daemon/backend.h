/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/backend.h - what the devices of one process share: DPDK's environment, ports, workers,
 * the list of memory servers, the list of devices. The control thread's.
 */
#ifndef RMNIC_DAEMON_BACKEND_H
#define RMNIC_DAEMON_BACKEND_H

#include <systemd/sd-event.h>

#include "common/conf_net.h"
#include "daemon/config.h"
#include "daemon/device.h"
#include "daemon/spill.h"
#include "daemon/worker.h"
#include "dpdk/port.h"
#include "engine/env.h"

struct rmnic_server {
	struct rmnic_conf_address address; /* port: page-in's; page-out's is the next */
	char label[64];
	char domain[64];        /* what fails together with it; empty: nothing does */
	uint32_t domain_number; /* for the engine; 0: one of its own */
	struct rmnic_conf_uuid uuid;
	bool configured; /* from the configuration; false: added by a command */
	bool draining;   /* by a command: its slabs go elsewhere */
	bool leaving;    /* not in the configuration any more: removed when it is empty */
	bool drained;    /* that was said */
	uint8_t met[16]; /* the uuid that it said it has; zeros: never met */
};

/* What may change while devices are served: settings of the configuration, by their names there. */
#define RMNIC_TUNINGS(X)                                  \
	X(replicas)    /* 0: by the number of servers */   \
	X(repair_rate) /* pages a second, of each device */ \
	X(scrub_rate)                                      \
	X(drop_ms)                                         \
	X(away_ms)                                         \
	X(hedge_permille)

struct rmnic_tuning {
#define X(name) uint32_t name;
	RMNIC_TUNINGS(X)
#undef X
};

struct rmnic_backend {
	const struct rmnic_config *config; /* as it was at the start */
	sd_event *event;
	struct rmnic_mailbox *mailbox; /* the control thread's */
	struct rmnic_port *ports[RMNIC_UDP_MAX_PORTS];
	uint16_t nports;
	struct rmnic_worker *workers[RMNIC_MAX_LCORES];
	unsigned int nworkers;
	struct rmnic_server servers[RMNIC_MAX_SERVERS];
	unsigned int nservers;
	char domains[RMNIC_MAX_SERVERS][64]; /* by number - 1; those of no server are free */
	sd_event_source *drain_timer;
	struct rmnic_tuning tuning;          /* in force */
	struct rmnic_tuning configured;      /* as it was read last */
	struct rmnic_vdev *lingering[RMNIC_MAX_DEVICES]; /* by slot: gone, but for the servers */
	unsigned int nlingering;
	bool may_linger;
	sd_event_source *linger_timer;
	void (*lingered)(void *arg); /* the last one has ended */
	void *lingered_arg;
	uint8_t recover[RMNIC_MAX_DEVICES][16]; /* devices to recover by hand */
	unsigned int nrecover;
	struct rmnic_vdev *vdevs[RMNIC_MAX_DEVICES]; /* slot: also picks the UDP ports */
	struct rmnic_spill_pool spill;
	uint8_t uuid[16];  /* the backend's own, of this life */
	uint8_t token[32]; /* shown to servers (RMP-8) */
	sd_event_source *mail_source;
};

/*
 * Starts DPDK, opens the ports, starts the workers. b: all zero, but for what a socket that
 * listens already needs (config, event). config and event outlive it. Once a process. 0, or -1
 * with err; rmnic_backend_close() is due in any case.
 */
int rmnic_backend_open(struct rmnic_backend *b, const struct rmnic_config *config,
		       sd_event *event, struct rmnic_error *err);
/* No device may be left. */
void rmnic_backend_close(struct rmnic_backend *b);
unsigned int rmnic_backend_devices(const struct rmnic_backend *b);
/* The one with this uuid, or NULL. */
struct rmnic_vdev *rmnic_backend_find(const struct rmnic_backend *b, const uint8_t *uuid);
/* fn for each device, in its worker, one after the other; waits for it: only for what is short. */
void rmnic_backend_each(struct rmnic_backend *b, void (*fn)(struct rmnic_vdev *v, void *arg),
			void *arg);
/* The worker with the fewest devices. */
struct rmnic_worker *rmnic_backend_pick(const struct rmnic_backend *b);

/* --- servers.c --------------------------------------------------------------------------------- */

/* The two addresses of a server, for RMP's client. */
void rmnic_server_addr(const struct rmnic_server *server, struct rmnic_addr addr[RMNIC_LANES]);
/* NULL: there is none. Port 0 is the usual one. */
struct rmnic_server *rmnic_backend_server(struct rmnic_backend *b,
					  struct rmnic_conf_address address);
/* 0, or -1 with err: it is there already, or there are too many. */
int rmnic_backend_server_add(struct rmnic_backend *b, const struct rmnic_conf_server *conf,
			     bool configured, struct rmnic_error *err);
/* 0, or -1 with err: it is not there, or holds something. */
int rmnic_backend_server_remove(struct rmnic_backend *b, struct rmnic_conf_address address,
				struct rmnic_error *err);
/*
 * Makes the configured part of the list what config says: all or nothing. A server that is not in it
 * any more and holds something is drained first.
 */
int rmnic_backend_servers_reload(struct rmnic_backend *b, const struct rmnic_conf_list *servers,
				 struct rmnic_error *err);
/* A device met the server at this address. */
void rmnic_backend_server_met(struct rmnic_backend *b, struct rmnic_conf_address address,
			      const uint8_t uuid[16]);

/* --- servers_drain.c --------------------------------------------------------------------------- */

/* Slabs on a server, of how many devices. */
struct rmnic_server_use {
	uint64_t slabs;
	unsigned int devices;
};

/*
 * Counts them. A device that waits for a server which was never met, as this one was not, counts
 * with one slab: it may be this one's.
 */
struct rmnic_server_use rmnic_backend_server_use(struct rmnic_backend *b,
						 const struct rmnic_server *server);
/* Servers that take slabs. */
unsigned int rmnic_backend_servers_staying(const struct rmnic_backend *b);
/*
 * on: takes all slabs away from the server; the log says when it is empty. 0, or -1 with err: it is not
 * there, or the others are too few for the replicas.
 */
int rmnic_backend_server_drain(struct rmnic_backend *b, struct rmnic_conf_address address, bool on,
			       struct rmnic_error *err);
/* Tells all devices whether the server is to be drained, and looks after it until it is empty. */
void rmnic_backend_drain_go(struct rmnic_backend *b, struct rmnic_server *server);

/* --- tuning.c ---------------------------------------------------------------------------------- */

void rmnic_tuning_read(const struct rmnic_config *config, struct rmnic_tuning *out);
/* Replicas in force: of all devices that have no number of their own. */
uint32_t rmnic_backend_replicas(const struct rmnic_backend *b);
/* Makes what is in force known to all devices. */
void rmnic_backend_tune(struct rmnic_backend *b);
/*
 * The configuration was read again: what differs from what was read last comes in force, and the
 * list of servers. All or nothing.
 */
int rmnic_backend_reload(struct rmnic_backend *b, const struct rmnic_config *config,
			 struct rmnic_error *err);
/*
 * 0, or -1 with err: there are fewer servers. uuid: of the one device that is meant; NULL: all
 * that were not told otherwise. replicas 0: by the number of servers; of a device: as all.
 */
int rmnic_backend_replicas_set(struct rmnic_backend *b, const uint8_t *uuid, uint32_t replicas,
			       struct rmnic_error *err);

/* --- linger.c ---------------------------------------------------------------------------------- */

/* A device comes: of those that linger one goes, if there is little room. */
void rmnic_backend_linger_make_room(struct rmnic_backend *b);
/* Ends them all, and lets no other linger; done(arg) each time when none is left. */
void rmnic_backend_linger_end(struct rmnic_backend *b, void (*done)(void *arg), void *arg);

/* --- recover.c --------------------------------------------------------------------------------- */

/* When the device comes next it is recovered from what servers have. 0, or -1 with err. */
int rmnic_backend_recover(struct rmnic_backend *b, const uint8_t uuid[16],
			  struct rmnic_error *err);
int rmnic_backend_recover_cancel(struct rmnic_backend *b, const uint8_t uuid[16],
				 struct rmnic_error *err);
bool rmnic_backend_recovering(const struct rmnic_backend *b, const uint8_t uuid[16]);
/* It is served now. */
void rmnic_backend_recovered(struct rmnic_backend *b, const uint8_t uuid[16]);

#endif /* RMNIC_DAEMON_BACKEND_H */
