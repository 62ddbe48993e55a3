/* SPDX-License-Identifier: BSD-3-Clause */
/* NBD: fixed newstyle negotiation, simple replies. */
#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "proto.h"

#define MAGIC          0x4e42444d41474943ull
#define OPTION_MAGIC   0x49484156454f5054ull
#define REQUEST_MAGIC  0x25609513u
#define REPLY_MAGIC    0x67446698u
#define FIXED_NEWSTYLE 1u
#define NO_ZEROES      2u
#define EXPORT_NAME    1u

struct __attribute__((packed)) hello {
	uint64_t magic, option_magic;
	uint16_t flags;
};

struct __attribute__((packed)) choice {
	uint32_t flags;
	uint64_t magic;
	uint32_t option, len;
};

struct __attribute__((packed)) export {
	uint64_t size;
	uint16_t flags;
};

struct __attribute__((packed)) request {
	uint32_t magic;
	uint16_t flags, type;
	uint64_t handle, offset;
	uint32_t len;
};

struct __attribute__((packed)) reply {
	uint32_t magic, error;
	uint64_t handle;
};

static int nbd_greet(int fd, uint64_t pages)
{
	struct choice choice = { .flags = htobe32(FIXED_NEWSTYLE | NO_ZEROES),
				 .magic = htobe64(OPTION_MAGIC), .option = htobe32(EXPORT_NAME) };
	struct hello hello;
	struct export export;

	if (recv(fd, &hello, sizeof(hello), MSG_WAITALL) != sizeof(hello) ||
	    be64toh(hello.magic) != MAGIC || be64toh(hello.option_magic) != OPTION_MAGIC ||
	    !(be16toh(hello.flags) & FIXED_NEWSTYLE) || !(be16toh(hello.flags) & NO_ZEROES)) {
		fprintf(stderr, "peerload: this is no NBD server of the fixed newstyle\n");
		return -1;
	}
	if (send(fd, &choice, sizeof(choice), MSG_NOSIGNAL) != sizeof(choice) ||
	    recv(fd, &export, sizeof(export), MSG_WAITALL) != sizeof(export)) {
		fprintf(stderr, "peerload: the NBD server offers no default export\n");
		return -1;
	}
	if (be64toh(export.size) / PAGE < pages) {
		fprintf(stderr, "peerload: the NBD export has %llu pages, %llu are needed\n",
			(unsigned long long)(be64toh(export.size) / PAGE), (unsigned long long)pages);
		return -1;
	}
	return 0;
}

static size_t nbd_request(uint8_t *out, enum op op, uint64_t page, uint64_t tag, const uint8_t *data)
{
	struct request r = { .magic = htobe32(REQUEST_MAGIC), .type = htobe16(op == OP_WRITE),
			     .handle = tag, .offset = htobe64(page * PAGE), .len = htobe32(PAGE) };

	memcpy(out, &r, sizeof(r));
	if (op == OP_READ)
		return sizeof(r);
	memcpy(out + sizeof(r), data, PAGE);
	return sizeof(r) + PAGE;
}

static struct answer nbd_answer(const uint8_t *in, size_t len, enum op op)
{
	struct answer a = { 0 };
	struct reply r;

	if (len < sizeof(r))
		return a;
	memcpy(&r, in, sizeof(r));
	a.failed = be32toh(r.magic) != REPLY_MAGIC || r.error;
	if (a.failed || op == OP_WRITE) {
		a.used = sizeof(r);
	} else if (len >= sizeof(r) + PAGE) {
		a.used = sizeof(r) + PAGE;
		a.page = in + sizeof(r);
	}
	return a;
}

static int64_t nbd_tag(const uint8_t *in, size_t len)
{
	struct reply r;

	if (len < sizeof(r))
		return -1;
	memcpy(&r, in, sizeof(r));
	return (int64_t)(r.handle & INT64_MAX);
}

const struct proto proto_nbd = { "nbd", nbd_tag, nbd_greet, nbd_request, nbd_answer };
