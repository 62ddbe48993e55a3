/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/rmp_server.h - a memory server's side of RMP (spec/rmp.md).
 *
 * Driven from outside, by one thread: rmnic_rmp_server_rx() for each datagram, then
 * rmnic_rmp_server_poll(). Page-ins are answered while they are received; page-outs are
 * received into fresh frames, queued, and applied by poll, so that none of them stands
 * before a page-in (RMP-27).
 */
#ifndef RMNIC_ENGINE_RMP_SERVER_H
#define RMNIC_ENGINE_RMP_SERVER_H

#include "engine/memstore.h"
#include "engine/rmp_codec.h"

struct rmnic_rmp_server;

struct rmnic_rmp_server_config {
	struct rmnic_env env;
	struct rmnic_net net;
	struct rmnic_memstore *store; /* outlives the server */
	uint8_t uuid[16];
	uint32_t max_sessions;        /* 1 to 4096 */
	uint32_t max_queue;           /* page-outs of all sessions that are queued at a time */
	uint32_t max_mtu;             /* 0: RMNIC_RMP_MAX_MTU */
	uint32_t scrub_rate;          /* pages at rest looked at in a second; 0: none */
	uint64_t lease_ns;            /* slabs of a device unheard of for so long are released; 0: never */
	/* A HELLO was answered, with another status than COOKIE; for the log. May be NULL. */
	void (*greeted)(void *arg, const struct rmnic_addr *from,
			const struct rmnic_rmp_hello *hello, uint16_t status);
	/* The slabs of a device were dropped: its lease ran out. May be NULL. */
	void (*lease_over)(void *arg, const uint8_t device[16]);
	void *arg;
};

struct rmnic_rmp_session_info {
	struct rmnic_addr peer; /* port 0 */
	uint8_t device[16];
	uint32_t epoch; /* that it sealed; 0: none yet */
	uint64_t slabs, pages, reserved; /* of the device */
	uint64_t seen;  /* ns */
};

struct rmnic_rmp_server_counters {
	uint64_t rx, tx, tx_failed;
	uint64_t dropped[RMNIC_RMP_DROP_COUNT];
	uint64_t status[RMNIC_RMP_S_COUNT]; /* answers, by status */
	uint64_t reads, writes, fills, frees;
	uint64_t duplicates; /* page-outs or segments that were there already */
	uint64_t restarts;   /* reassemblies begun again for a newer attempt */
	uint64_t evicted;    /* reassemblies given up for others */
	uint64_t crc_errors; /* pages wrong on arrival */
	uint64_t leases;     /* devices dropped */
};

/* NULL: out of memory or out of the ranges above. */
struct rmnic_rmp_server *rmnic_rmp_server_create(const struct rmnic_rmp_server_config *config);
/* Datagrams under way may still refer to frames of the store. */
void rmnic_rmp_server_destroy(struct rmnic_rmp_server *server);

void rmnic_rmp_server_rx(struct rmnic_rmp_server *server, const struct rmnic_rx *rx);
/* Applies queued page-outs, then housekeeping; bounded. True: there is more to do. */
bool rmnic_rmp_server_poll(struct rmnic_rmp_server *server);
/* When to poll at the latest, for what is not asked for (ns, now_ns()'s); UINT64_MAX: never. */
uint64_t rmnic_rmp_server_deadline(const struct rmnic_rmp_server *server);
/* Pages at rest that are looked at in a second, from now on; 0: none (RMP-40). */
void rmnic_rmp_server_scrub(struct rmnic_rmp_server *server, uint32_t rate);
/* The server asks its clients to take slabs away (RMNIC_RMP_F_PRESSURE). */
void rmnic_rmp_server_pressure(struct rmnic_rmp_server *server, bool on);

/* The session in place index, from 0. False: there is none. */
bool rmnic_rmp_server_session(const struct rmnic_rmp_server *server, uint32_t index,
			      struct rmnic_rmp_session_info *out);

const struct rmnic_rmp_server_counters *
rmnic_rmp_server_counters(const struct rmnic_rmp_server *server);

#endif /* RMNIC_ENGINE_RMP_SERVER_H */
