/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/rmp_client_internal.h - what the files of the RMP client share.
 *
 * rmp_client.c  creation, calls, sending
 * rmp_due.c     when there is no answer
 * rmp_window.c  how much is under way
 * rmp_answer.c  what comes back
 * rmp_peer.c    a server as the client sees it: session, epoch, MTU
 */
#ifndef RMNIC_ENGINE_RMP_CLIENT_INTERNAL_H
#define RMNIC_ENGINE_RMP_CLIENT_INTERNAL_H

#include "engine/le.h"
#include "engine/rmp_client.h"

#define RMNIC_SLOT_MASK 0xffffu
#define RMNIC_SLOT_NOBODY RMNIC_SLOT_MASK /* of a request that nobody waits for */
#define RMNIC_TIMER_PEER 1 /* a timer's kind; 0: a call's */
/* A page-out window shrinks while the server says that pages wait longer than this. */
#define RMNIC_QUEUE_TARGET_US 50

/* What the peer's own call does next, when it has come home. */
enum rmnic_peer_step { RMNIC_STEP_NONE, RMNIC_STEP_HELLO, RMNIC_STEP_SEAL, RMNIC_STEP_PROBE,
		       RMNIC_STEP_PING };

struct rmnic_peer {
	enum rmnic_peer_state state;
	uint16_t refused;
	uint8_t version_min, version_max;
	uint32_t index;
	uint32_t session;
	uint32_t segment;      /* bytes of a page in a datagram to the server */
	bool join;             /* RMP-41: messages to it may share a datagram */
	uint32_t mtu;
	uint32_t rung;         /* of the MTU ladder, while probing */
	uint32_t credit;       /* bytes, as the server grants */
	uint32_t cwnd;         /* bytes, as its queue allows */
	uint32_t out_bytes;    /* page-outs on their way */
	uint32_t failures;     /* to open a session, in a row */
	uint32_t slab_pages;
	uint32_t max_mtu;      /* the server's */
	enum rmnic_peer_step step;
	bool pressure;
	bool pumping;
	bool telling;          /* the last step of PROBE: saying which segment size to use */
	bool uuid_known;
	uint8_t uuid[16];
	uint64_t boot_id, store_id;
	uint64_t max_version;
	uint64_t heard;        /* ns: last valid answer */
	uint64_t asked;        /* ns: first request since */
	bool owes;             /* it was asked something since it was heard */
	bool silent;           /* ... cfg.silent_ns ago: told */
	uint64_t shrunk;       /* ns: window last halved */
	uint64_t retransmits;
	struct rmnic_addr addr[RMNIC_LANES];
	struct rmnic_rtt rtt[RMNIC_LANES];
	struct rmnic_rmp_call *wait_head[RMNIC_LANES], *wait_tail[RMNIC_LANES];
	struct rmnic_rmp_call ctl; /* the peer's own: HELLO, SEAL, PROBE */
	struct rmnic_timer retry;  /* DOWN: when to say HELLO; READY: when to renew the lease */
	uint32_t lease_ms;
	struct rmnic_rmp_hello hello;
	struct rmnic_rmp_probe probe;
	uint32_t probe_len;    /* bytes of PROBE's payload: behind its fields are zeros */
};

struct rmnic_rmp_client {
	struct rmnic_rmp_client_config cfg;
	struct rmnic_crc32c crc;
	struct rmnic_peer *peers;
	uint32_t npeers;
	struct rmnic_rmp_call **slots;
	uint32_t *free_slots;
	uint32_t nfree, nslots;
	uint64_t next_id;
	uint32_t in_bytes; /* of pages asked for */
	bool starved;      /* a page-in waits for in_bytes to fall */
	uint32_t out_limit;    /* bytes to each server, as page-ins allow */
	uint64_t in_least[2];  /* ns: the shortest page-in, lately and before that */
	uint64_t in_turned;    /* ns: when lately began */
	uint64_t in_heard;     /* ns: last page-in that came */
	struct rmnic_timers timers;
	struct rmnic_rmp_client_counters counters;
};

/* --- rmp_client.c ---------------------------------------------------------------------- */

enum rmnic_lane rmnic_call_lane(const struct rmnic_rmp_call *call);
/* Sends an attempt; a call in a window has its room already. */
void rmnic_call_send(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call);
/* Ends a call with status. */
void rmnic_call_finish(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call, uint16_t status);
/* Sends what waits for the peer, as far as windows allow. */
void rmnic_peer_pump(struct rmnic_rmp_client *c, struct rmnic_peer *p);
/* Sets the call's timer to what comes first: retry_at, the hedge, the deadline. */
void rmnic_call_arm(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call);
/* Submits a peer's own call, past windows and whatever the peer's state. */
void rmnic_call_submit_ctl(struct rmnic_rmp_client *c, struct rmnic_peer *p, uint8_t type,
			   const void *body, uint32_t len, uint64_t timeout);

/* --- rmp_peer.c -------------------------------------------------------------------------- */

/* The one function that changes a peer's state. */
void rmnic_peer_move(struct rmnic_rmp_client *c, struct rmnic_peer *p, enum rmnic_peer_state to);
void rmnic_peer_greet(struct rmnic_rmp_client *c, struct rmnic_peer *p);
/* Asks whether it is there, if nothing else is being asked of it. */
void rmnic_peer_ask(struct rmnic_rmp_client *c, struct rmnic_peer *p);
/* Its timer is due. */
void rmnic_peer_due(struct rmnic_rmp_client *c, struct rmnic_peer *p);
/* The server does not know the session (any more), or was silent for too long. */
void rmnic_peer_lost(struct rmnic_rmp_client *c, struct rmnic_peer *p);
/* The server does not know the epoch: SEAL again. */
void rmnic_peer_reseal(struct rmnic_rmp_client *c, struct rmnic_peer *p);
/* Large datagrams do not arrive: measure again. */
void rmnic_peer_reprobe(struct rmnic_rmp_client *c, struct rmnic_peer *p);

/* --- rmp_window.c ------------------------------------------------------------------------- */

/* Bytes of a window that a call takes. */
uint32_t rmnic_call_cost(const struct rmnic_rmp_call *call);
void rmnic_call_give_room(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call);
/* The answer to a page-in that a guest waits for came ns after the question. */
void rmnic_window_page_in(struct rmnic_rmp_client *c, uint64_t ns, uint64_t now);
/* Room has come free: for this server, and for page-ins of any that wait for it. */
void rmnic_peer_pump_all(struct rmnic_rmp_client *c, struct rmnic_peer *p);

#endif /* RMNIC_ENGINE_RMP_CLIENT_INTERNAL_H */
