/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/rmp_codec.h - RMP's headers and bodies as host structures (spec/rmp.md).
 *
 * Decoding reads a datagram once, never past its length, and yields only what passed the
 * checks that need no state. The payload is left where it is.
 */
#ifndef RMNIC_ENGINE_RMP_CODEC_H
#define RMNIC_ENGINE_RMP_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/crc32c.h"
#include "engine/env.h"
#include "rmnic/rmp.h"

#define RMNIC_RMP_HDR_SIZE ((uint32_t)sizeof(struct rmnic_rmp_req))

/* Either header. A request has handle, an answer credit, queued and status. */
struct rmnic_rmp_msg {
	uint8_t type;
	uint16_t flags;   /* RMNIC_RMP_F_* */
	uint32_t stamp;   /* 24 bits */
	uint64_t request;
	uint64_t handle;
	uint64_t rpn;
	uint64_t version; /* 48 bits */
	uint32_t session;
	uint32_t epoch;
	uint32_t offset;
	uint32_t total;
	uint32_t crc;
	uint32_t credit;
	uint16_t queued;
	uint16_t status;
	/* Decoding only: */
	const uint8_t *payload;
	uint32_t payload_len;
};

/* Why a datagram was dropped unread; RMNIC_RMP_OK: it was not. */
enum rmnic_rmp_drop {
#define RMNIC_RMP_DROPS(X)                                                              \
	X(OK, "ok")                                                                     \
	X(SHORT, "short")       /* no header, or less than it says */                   \
	X(VERSION, "version")   /* another version of the protocol */                   \
	X(CHECK, "check")       /* the header's checksum is wrong */                    \
	X(TYPE, "type")         /* unknown, or an answer where a request belongs */     \
	X(FIELD, "field")       /* a reserved bit is set, or a value is out of range */ \
	X(LENGTH, "length")     /* offset, total and payload do not fit together */     \
	X(BODY, "body")         /* the body's checksum is wrong */
#define X(id, name) RMNIC_RMP_DROP_##id,
	RMNIC_RMP_DROPS(X)
#undef X
	RMNIC_RMP_DROP_COUNT
};

extern const char *const rmnic_rmp_drop_names[RMNIC_RMP_DROP_COUNT];

/*
 * Writes msg's header (RMNIC_RMP_HDR_SIZE bytes) for a datagram with payload_len bytes of
 * payload. boot_id: the server's incarnation, 0 outside a session (RMP-2).
 */
void rmnic_rmp_encode(const struct rmnic_crc32c *c, void *out, const struct rmnic_rmp_msg *msg,
		      uint32_t payload_len, uint64_t boot_id);
/* As above for a payload that is no page: sets offset, total and crc from the body. */
void rmnic_rmp_encode_body(const struct rmnic_crc32c *c, void *out, struct rmnic_rmp_msg *msg,
			   const void *body, uint32_t len, uint64_t boot_id);

/*
 * RMP-41: bytes of the first message of a datagram, as its header says and nobody has checked; len
 * where another message cannot be behind it.
 */
size_t rmnic_rmp_first(const void *data, size_t len);
/* Calls take with each message of a datagram, in its order; an empty datagram is one. */
void rmnic_rmp_each(const struct rmnic_rx *rx, void (*take)(void *arg, const struct rmnic_rx *message), void *arg);

/* The session a datagram claims to belong to, before anything is checked; 0: none. */
uint32_t rmnic_rmp_peek_session(const void *data, size_t len);
/*
 * reply: which direction is expected. On anything but RMNIC_RMP_DROP_OK *msg is undefined.
 * The checksum of a body is checked too; that of a page is the caller's to check.
 */
enum rmnic_rmp_drop rmnic_rmp_decode(const struct rmnic_crc32c *c, struct rmnic_rmp_msg *msg,
				     const void *data, size_t len, bool reply, uint64_t boot_id);

/* Whether the payload of type is page content (a page or a fill word), not a body. */
bool rmnic_rmp_carries_page(uint8_t type);

/* The checksum of a fill word as of a page of 4 bytes (RMP-3). */
uint32_t rmnic_rmp_fill_crc(const struct rmnic_crc32c *c, uint32_t word, const uint8_t *uuid,
			    uint64_t rpn, uint64_t version);

/* Fields of a payload, at any address. */
uint16_t rmnic_rmp_get16(const void *at);
uint32_t rmnic_rmp_get32(const void *at);
uint64_t rmnic_rmp_get64(const void *at);
void rmnic_rmp_put16(void *at, uint16_t v);
void rmnic_rmp_put32(void *at, uint32_t v);
void rmnic_rmp_put64(void *at, uint64_t v);
/* Whether len bytes are zero. */
bool rmnic_rmp_zero(const void *at, size_t len);

#endif /* RMNIC_ENGINE_RMP_CODEC_H */
