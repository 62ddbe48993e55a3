/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/rmp_client.h - a backend's side of RMP (spec/rmp.md): one device, several servers.
 *
 * Driven from outside, by one thread: rmnic_rmp_client_rx() for each datagram, and, after RX
 * has been drained, rmnic_rmp_client_poll() (RMP-29). A request is a struct rmnic_rmp_call
 * of the caller's. The client takes care that it arrives: session, window, segments,
 * retransmission. It never decides which server is right; that is the store's business.
 */
#ifndef RMNIC_ENGINE_RMP_CLIENT_H
#define RMNIC_ENGINE_RMP_CLIENT_H

#include "engine/env.h"
#include "engine/rmp_rtt.h"
#include "engine/rmp_segment.h"
#include "engine/timer.h"

/* Ends of a call that no server sent. */
#define RMNIC_CALL_UNREACHABLE 0x100 /* no answer before its deadline */
#define RMNIC_CALL_EMPTY       0x101 /* the server no longer has the store the handle is for */

struct rmnic_rmp_client;
struct rmnic_rmp_call;

enum rmnic_call_state {
	RMNIC_CALL_IDLE,    /* the caller's */
	RMNIC_CALL_WAITING, /* for a session, or for room in a window */
	RMNIC_CALL_SENT,
	RMNIC_CALL_LEAVING, /* ended, but datagrams still refer to its page */
};

struct rmnic_rmp_call {
	/* Set by the caller, unchanged until done. */
	uint8_t type;        /* RMNIC_RMP_* */
	uint16_t flags;      /* RMNIC_RMP_F_HEDGE */
	uint32_t peer;
	uint64_t store_id;   /* for which handle is good; 0: any */
	uint64_t handle;
	uint64_t rpn;
	uint64_t version;
	const void *body;    /* WRITE: 4096 bytes that nobody changes until idle(); else copied */
	uint32_t body_len;
	uint32_t crc;        /* WRITE, WRITE_FILLED: the page's checksum */
	void *page;          /* READ: where its bytes go; undefined unless status is OK */
	bool urgent;         /* READ: a guest waits for it; page-outs give way when it is slow */
	uint64_t deadline;   /* ns; 0: none */
	/* status is known. The call may be submitted again only from idle(). */
	void (*done)(struct rmnic_rmp_call *call);
	/* Nothing refers to call and body any more; after done(), maybe at once. May be NULL. */
	void (*idle)(struct rmnic_rmp_call *call);
	void *arg;

	/* Results, valid in done(). */
	uint16_t status;     /* RMNIC_RMP_S_* or RMNIC_CALL_* */
	uint16_t got_flags;
	uint64_t got_version;
	uint32_t got_word;   /* READ of a filled page: RMNIC_RMP_F_FILLED in got_flags */
	const uint8_t *reply; /* other types: the answer's body, of reply_len bytes */
	uint32_t reply_len;

	/* The client's. */
	struct rmnic_timer timer;
	struct rmnic_rmp_client *client;
	struct rmnic_rmp_call *next;
	enum rmnic_call_state state;
	uint64_t id;
	uint64_t sent;       /* ns, last attempt */
	uint64_t first_sent;
	uint64_t retry_at;   /* ns */
	uint32_t stamp;
	uint32_t attempt;
	uint32_t tx_refs;
	uint32_t cost;       /* bytes it holds of a window */
	uint32_t seg_crc;
	uint8_t bad;         /* answers whose checksum was wrong */
	uint8_t busy;        /* BUSY answers in a row */
	bool backing_off;    /* the timer is for a BUSY, not for silence */
	bool hedged;
	uint64_t seg_version;
	struct rmnic_segments segs;
};

enum rmnic_peer_state {
#define RMNIC_PEER_STATES(X)                                                            \
	X(DOWN, "down")         /* waits before it says HELLO again */                  \
	X(HELLO, "hello")                                                               \
	X(SEAL, "seal")                                                                 \
	X(READY, "ready")                                                               \
	X(REFUSED, "refused")   /* for good: version, token, or another server's uuid */ \
	X(FENCED, "fenced")     /* for good: a newer epoch exists */                       \
	X(REMOVED, "removed")   /* rmnic_rmp_client_remove(): an empty place */
#define X(id, name) RMNIC_PEER_##id,
	RMNIC_PEER_STATES(X)
#undef X
	RMNIC_PEER_STATE_COUNT
};

extern const char *const rmnic_peer_state_names[RMNIC_PEER_STATE_COUNT];

struct rmnic_peer_info {
	enum rmnic_peer_state state;
	uint16_t refused; /* RMNIC_RMP_S_*: why; INVALID: another uuid than it should have, or one
			   * that another server has as well */
	uint8_t version_min, version_max; /* that the server speaks, once it said so */
	uint8_t uuid[16];
	uint64_t boot_id, store_id;
	uint64_t max_version; /* answered to SEAL */
	uint32_t mtu;
	uint32_t slab_pages;
	uint32_t window;  /* bytes of page-outs on their way that it is given now */
	bool pressure;
	bool silent;      /* owes an answer, and was not heard for silent_ns */
	uint64_t heard;   /* ns: last valid answer */
	uint64_t asked;   /* ns: first request since the answer before */
	uint64_t srtt[RMNIC_LANES];
	uint64_t retransmits;
};

struct rmnic_rmp_client_config {
	struct rmnic_env env;
	struct rmnic_net net;
	uint8_t uuid[16];    /* the backend's own */
	uint8_t device[16];
	uint8_t token[32];
	uint32_t epoch;
	uint32_t max_peers;  /* 1 to 256 */
	uint32_t max_calls;  /* 1 to 32768, on their way or waiting */
	uint32_t max_mtu;    /* RMNIC_RMP_MIN_MTU to RMNIC_RMP_MAX_MTU */
	uint32_t rx_budget;  /* bytes of pages asked for and not yet here, of all servers */
	uint64_t silent_ns;  /* 0: silence is not told */
	void *arg;
	/* A peer entered or left READY, or gave up. */
	void (*peer_event)(void *arg, uint32_t peer, enum rmnic_peer_state state);
	/*
	 * A peer has not been heard for silent_ns since it was asked something, or is heard
	 * again. Only to be noted there: calls must not be submitted or cancelled. May be NULL.
	 */
	void (*silent)(void *arg, uint32_t peer, bool silent);
	/* A page-in took longer than its server's 99th percentile; once a call. May be NULL. */
	void (*hedge)(void *arg, struct rmnic_rmp_call *call);
};

struct rmnic_rmp_client_counters {
	uint64_t rx, tx, tx_failed;
	uint64_t dropped[RMNIC_RMP_DROP_COUNT];
	uint64_t late;        /* answers to calls that had ended */
	uint64_t strange;     /* answers from elsewhere, or that fit no call */
	uint64_t retransmits, segments, busy, crc_errors, hedges, sessions, restarts;
};

/* NULL: out of memory or out of the ranges above. */
struct rmnic_rmp_client *rmnic_rmp_client_create(const struct rmnic_rmp_client_config *config);
/* No call may be under way: cancel them first. */
void rmnic_rmp_client_destroy(struct rmnic_rmp_client *c);
/* silent_ns of the configuration, not 0. Who is silent already stays so until it is heard. */
void rmnic_rmp_client_patience(struct rmnic_rmp_client *c, uint64_t silent_ns);

/*
 * Adds a server by the addresses of its two ports and begins to greet it. uuid: whom to
 * expect, or NULL for whoever answers first. Its number, or UINT32_MAX: too many.
 */
uint32_t rmnic_rmp_client_add(struct rmnic_rmp_client *c,
			      const struct rmnic_addr addr[RMNIC_LANES], const uint8_t *uuid);
/*
 * Forgets a server: calls to it end with UNREACHABLE, and its number may be given to another
 * one. The caller has seen to it that nothing names it any more.
 */
void rmnic_rmp_client_remove(struct rmnic_rmp_client *c, uint32_t peer);
/* Asks a READY peer whether it is there, if nothing else of the client's own is being asked of it. */
void rmnic_rmp_client_ping(struct rmnic_rmp_client *c, uint32_t peer);
/* Sends a PING that nobody waits for: its answer, if it comes, is a sign of life and no more. */
void rmnic_rmp_client_touch(struct rmnic_rmp_client *c, uint32_t peer);
void rmnic_rmp_client_peer(const struct rmnic_rmp_client *c, uint32_t peer,
			   struct rmnic_peer_info *out);
/* Its uuid, zeros while it has not said it; valid as long as the client. */
const uint8_t *rmnic_rmp_client_uuid(const struct rmnic_rmp_client *c, uint32_t peer);

/* False: max_calls are under way, or the call is not IDLE; done() will not be called. */
bool rmnic_rmp_client_submit(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call);
/* Ends a call without done(); idle() comes as always. What was sent may still take effect. */
void rmnic_rmp_client_cancel(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call);

void rmnic_rmp_client_rx(struct rmnic_rmp_client *c, const struct rmnic_rx *rx);
/* Runs timers that are due; bounded. True: there are more. */
bool rmnic_rmp_client_poll(struct rmnic_rmp_client *c);
/* now_ns() at which to poll at the latest; UINT64_MAX: never. */
uint64_t rmnic_rmp_client_deadline(const struct rmnic_rmp_client *c);
/* Whether any call has not ended. */
bool rmnic_rmp_client_owed(const struct rmnic_rmp_client *c);

const struct rmnic_rmp_client_counters *
rmnic_rmp_client_counters(const struct rmnic_rmp_client *c);
const struct rmnic_crc32c *rmnic_rmp_client_crc(const struct rmnic_rmp_client *c);

#endif /* RMNIC_ENGINE_RMP_CLIENT_H */
