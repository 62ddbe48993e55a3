/* SPDX-License-Identifier: BSD-3-Clause */
/* A backend's side of RMP over the kernel's UDP sockets, for tests of a memory server. */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/store_remote.h"

struct client {
	int fd[RMNIC_LANES];
	struct rmnic_store *store;
	struct rmnic_rmp_client *rmp;
	struct rmnic_remote_config cfg;
	struct rmnic_crc32c crc;
	uint64_t pages;
	uint32_t slab_pages;
	uint8_t version; /* that HELLO claims to speak; 0: the real one */
	unsigned int servers;
	bool changed; /* the status did: who waits for that looks again */
};

/* net.c: sockets, clock, memory. */
bool client_sockets(struct client *c, uint16_t port);
extern const struct rmnic_env_ops client_env;
extern const struct rmnic_net_ops client_net;
/* Receives and runs timers until something came or the deadline is over. */
void client_turn(struct client *c, uint64_t until);
uint64_t client_now(void);

#endif /* CLIENT_H */
