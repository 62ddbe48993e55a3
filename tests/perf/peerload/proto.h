/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * proto.h - how a page is asked for and stored by each protocol: NBD, Redis, memcached.
 *
 * A request is built into a buffer; an answer is taken off the front of what was received.
 */
#ifndef PEERLOAD_PROTO_H
#define PEERLOAD_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE        4096u
#define REQUEST_MAX (PAGE + 128u)
#define ANSWER_MAX  (PAGE + 128u)

enum op { OP_READ, OP_WRITE };

/* What an answer was. used: bytes of it, 0: it is not here whole. */
struct answer {
	size_t used;
	bool failed;          /* the server refused, or this is no answer at all */
	const uint8_t *page;  /* of a READ, in the buffer */
};

struct proto {
	const char *name;
	/* Where answers may overtake each other: the tag of the first one, -1: it is not here. Else NULL. */
	int64_t (*tag)(const uint8_t *in, size_t len);
	/* On a blocking socket, before the first request. 0, or -1 after a message. */
	int (*greet)(int fd, uint64_t pages);
	/* Gives the request's length, REQUEST_MAX at most. */
	size_t (*request)(uint8_t *out, enum op op, uint64_t page, uint64_t tag, const uint8_t *data);
	struct answer (*answer)(const uint8_t *in, size_t len, enum op op);
};

extern const struct proto proto_nbd, proto_redis, proto_memcached;

#endif /* PEERLOAD_PROTO_H */
