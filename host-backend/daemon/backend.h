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
#include "daemon/worker.h"
#include "dpdk/port.h"
#include "engine/env.h"

struct rmnic_server {
	struct rmnic_conf_address address; /* port: page-in's; page-out's is the next */
	char label[64];
	struct rmnic_conf_uuid uuid;
	bool configured; /* from the configuration; false: added by a command */
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
	struct rmnic_vdev *vdevs[RMNIC_MAX_DEVICES]; /* slot: also picks the UDP ports */
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
/* The worker with the fewest devices. */
struct rmnic_worker *rmnic_backend_pick(const struct rmnic_backend *b);

/* The two addresses of a server, for RMP's client. */
void rmnic_server_addr(const struct rmnic_server *server, struct rmnic_addr addr[RMNIC_LANES]);
/* 0, or -1 with err: it is there already, or there are too many. */
int rmnic_backend_server_add(struct rmnic_backend *b, const struct rmnic_conf_server *conf,
			     bool configured, struct rmnic_error *err);
/* 0, or -1 with err: it is not there, or a device has a slab on it. */
int rmnic_backend_server_remove(struct rmnic_backend *b, struct rmnic_conf_address address,
				struct rmnic_error *err);
/* Makes the configured part of the list what config says: all or nothing. */
int rmnic_backend_servers_reload(struct rmnic_backend *b, const struct rmnic_conf_list *servers,
				 struct rmnic_error *err);

#endif /* RMNIC_DAEMON_BACKEND_H */
