/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/rmp_server_internal.h - what the files of the RMP server share.
 *
 * rmp_server.c   creation, the way of a datagram, answers, the poll round
 * rmp_session.c  sessions: cookie, HELLO, leases
 * rmp_admin.c    what concerns slabs, views and the server as a whole
 * rmp_paging.c   READ, WRITE, WRITE_FILLED, FREE
 */
#ifndef RMNIC_ENGINE_RMP_SERVER_INTERNAL_H
#define RMNIC_ENGINE_RMP_SERVER_INTERNAL_H

#include "engine/le.h"
#include "engine/rmp_segment.h"
#include "engine/rmp_server.h"

#define RMNIC_NO_SLOT UINT32_MAX
/* Stored as the session's length of silence after which another may take its place. */
#define RMNIC_SESSION_IDLE_NS UINT64_C(1000000000)
/* A page that has been incomplete for so long gives way to another. */
#define RMNIC_PARTIAL_NS UINT64_C(100000000)
#define RMNIC_SESSIONS_A_DEVICE 8

/*
 * The life of a page-out in the server:
 *   IDLE -> PARTIAL (first segment) -> QUEUED (whole) -> IDLE (applied or refused)
 *   PARTIAL -> IDLE when it is given up
 */
enum rmnic_out_state { RMNIC_OUT_IDLE, RMNIC_OUT_PARTIAL, RMNIC_OUT_QUEUED };

struct rmnic_out {
	enum rmnic_out_state state;
	uint32_t session;           /* slot */
	uint32_t next;              /* in the queue; indexes are session * 8 + n */
	uint32_t frame;
	uint32_t bytes_crc;         /* of the bytes alone, when whole in one datagram */
	bool has_crc;
	bool congestion; /* a segment came marked */
	enum rmnic_lane lane;
	struct rmnic_addr from;
	uint64_t t_first;           /* ns: of its first segment */
	uint64_t t_queued;          /* ns */
	struct rmnic_rmp_msg msg;   /* without a payload */
	struct rmnic_segments segs;
};

struct rmnic_session {
	uint32_t id; /* 0: not in use; slot in its low 12 bits */
	uint32_t device;
	uint32_t epoch;   /* sealed by this session */
	uint32_t segment; /* bytes of a page in a datagram to the client */
	bool join;        /* RMP-41: messages to the client may share a datagram */
	uint32_t queued;  /* outs QUEUED */
	uint8_t client[16];
	uint8_t ip[16];
	uint64_t nonce;
	uint64_t seen; /* ns */
	struct rmnic_out outs[RMNIC_RMP_PAGE_OUTS];
};

/* A request on its way through the server. */
struct rmnic_call {
	const struct rmnic_rx *rx;
	struct rmnic_rmp_msg msg;
	struct rmnic_session *session; /* NULL: HELLO */
	struct rmnic_mem_slab *slab;   /* set where the type names one */
	uint64_t now;
};

struct rmnic_rmp_server {
	struct rmnic_rmp_server_config cfg;
	struct rmnic_crc32c crc;
	struct rmnic_session *sessions;
	uint64_t boot_id;
	uint64_t secret[2];
	uint32_t queue_head, queue_tail; /* of outs QUEUED */
	uint32_t queued;
	uint32_t active; /* sessions in use */
	uint32_t lease_scan;
	uint32_t scrub_left; /* pages of this burst of scrubbing */
	uint64_t scrub_at;   /* ns: of the next one */
	bool pressure;
	struct rmnic_rmp_server_counters counters;
	uint8_t scratch[RMNIC_RMP_MAX_MTU];
};

/* --- rmp_server.c ---------------------------------------------------------------------- */

/*
 * Answers call with a status and a body, of which nothing is kept. The body is left out
 * unless status is OK or the type is HELLO.
 */
void rmnic_server_reply(struct rmnic_rmp_server *s, const struct rmnic_call *call,
			uint16_t status, const void *body, uint32_t len);
/* As above with flags, rpn and version of the answer given. */
void rmnic_server_reply_with(struct rmnic_rmp_server *s, const struct rmnic_call *call,
			     uint16_t status, uint16_t flags, uint64_t version, const void *body,
			     uint32_t len);
/* Fills in an answer's header but for its payload. queued_ns: time spent waiting. */
void rmnic_server_header(struct rmnic_rmp_server *s, const struct rmnic_call *call,
			 uint16_t status, uint64_t queued_ns, struct rmnic_rmp_msg *out);
/* For the answer to call: see struct rmnic_tx. */
uint32_t rmnic_server_join(const struct rmnic_call *call);
bool rmnic_server_send(struct rmnic_rmp_server *s, const struct rmnic_call *call,
		       const struct rmnic_tx *tx, uint16_t status);

/* --- rmp_session.c ----------------------------------------------------------------------- */

void rmnic_session_hello(struct rmnic_rmp_server *s, struct rmnic_call *call);
struct rmnic_session *rmnic_session_find(struct rmnic_rmp_server *s, uint32_t id);
void rmnic_session_close(struct rmnic_rmp_server *s, struct rmnic_session *session);
/* Looks at a few devices whose lease may have run out. */
void rmnic_session_leases(struct rmnic_rmp_server *s);

/* --- rmp_admin.c ------------------------------------------------------------------------- */

void rmnic_admin_request(struct rmnic_rmp_server *s, struct rmnic_call *call);

/* --- rmp_paging.c ------------------------------------------------------------------------ */

void rmnic_paging_request(struct rmnic_rmp_server *s, struct rmnic_call *call);
/* Applies the first page-out of the queue; it is not empty. */
void rmnic_paging_apply(struct rmnic_rmp_server *s);
/* Ends what a session has in the server: what is whole is applied, the rest dropped. */
void rmnic_paging_finish(struct rmnic_rmp_server *s, struct rmnic_session *session);
/* Drops it all. The queue is void afterwards. */
void rmnic_paging_drop(struct rmnic_rmp_server *s, struct rmnic_session *session);

#endif /* RMNIC_ENGINE_RMP_SERVER_INTERNAL_H */
