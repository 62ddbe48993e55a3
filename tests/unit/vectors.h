/* SPDX-License-Identifier: BSD-3-Clause */
/* The golden vectors of spec/vectors: messages as bytes, and what they say. */
#ifndef VECTORS_H
#define VECTORS_H

#include "engine/rmp_codec.h"
#include "engine/user_msg.h"

/* A datagram of RMP. */
struct vector {
	char name[64];
	bool reply;
	uint64_t boot;
	struct rmnic_rmp_msg msg;
	uint32_t len;
	uint8_t bytes[RMNIC_RMP_MAX_MTU];
};

/* Reads all of them, from the top of the tree; aborts when there are none or one is damaged. */
unsigned int vectors_load(struct vector **vectors);
const struct vector *vectors_find(const struct vector *v, unsigned int n, const char *name);

/* A message of rmnic-user: spec/vectors/user. */
struct user_vector {
	char name[64];
	struct rmnic_user_msg msg;
	unsigned int fds;
	uint32_t len;
	uint8_t bytes[sizeof(struct rmnic_user_hdr) + RMNIC_USER_MAX_PAYLOAD];
};

unsigned int user_vectors_load(struct user_vector **vectors);
const struct user_vector *user_vectors_find(const struct user_vector *v, unsigned int n,
					    const char *name);

#endif /* VECTORS_H */
