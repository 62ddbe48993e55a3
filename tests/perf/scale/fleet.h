/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Many memory servers and many devices, all of the engine's own code, on one network (net.h).
 * Capacity is reserved for real; pages are written to a few places of it.
 */
#ifndef SCALE_FLEET_H
#define SCALE_FLEET_H

#include "engine/rmp_server.h"
#include "engine/store_remote.h"
#include "net.h"

#define SCALE_SLAB_PAGES 16384u /* 64 MiB, the default */
#define SCALE_NS_A_MS    UINT64_C(1000000)

struct scale_options {
	uint32_t servers, devices;
	uint32_t replicas;
	uint32_t known;   /* servers that a device is told of, at most */
	uint32_t mib;     /* of a device */
	uint32_t pages;   /* that each device writes */
	uint32_t probes;  /* devices whose work is counted and timed, one after the other */
	uint32_t deep;    /* pages that are written to each slab of the server that is to die */
	uint64_t seed;
};

struct scale_server {
	struct rmnic_memstore *store;
	struct rmnic_rmp_server *server; /* NULL: dead */
	uint32_t end;
	uint32_t npages;
};

struct scale_device {
	struct scale_net *net;
	struct rmnic_store *store;
	uint32_t end;
	uint32_t index;
	uint64_t pages;
	uint64_t state_bytes;
	uint64_t dropped_at; /* ns: when it last dropped a member; 0: never */
};

struct scale_fleet {
	struct scale_options o;
	struct scale_net net;
	struct scale_server *servers;
	struct scale_device *devices;
	uint64_t setup_ns; /* from a device's first greeting until its capacity is reserved, at most */
};

/* All devices are READY; else exits with a message. */
void scale_fleet_init(struct scale_fleet *f, const struct scale_options *options);
void scale_fleet_fini(struct scale_fleet *f);
/* Like kill -9 of it and its machine: its memory is gone. */
void scale_fleet_kill(struct scale_fleet *f, uint32_t server);
/* Of all but this device nothing happens until it is ended; nothing is under way then. */
void scale_fleet_pause(struct scale_fleet *f, const struct scale_device *but, bool on);
/* Its uuid, as views name it. */
void scale_fleet_uuid(uint32_t server, uint8_t uuid[16]);
/* Datagrams of all ends, and times that one was looked at. */
void scale_fleet_count(const struct scale_fleet *f, uint64_t *sent, uint64_t *polls);

#endif /* SCALE_FLEET_H */
