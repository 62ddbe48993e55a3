/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/pingpong.h - bare questions and answers over a port: what the network alone costs.
 *
 * The yardstick for what rmnicd and rmnic-memd add. The same ports, frames of the same sizes, the
 * same way to wait; no protocol, no sessions, no checks beyond those that tell its own frames
 * apart. Frames that are none of its own go to the lcore's network (ARP), so that both may run
 * in one lcore, in turn.
 *
 * Sizes are of UDP payloads. An answer that does not fit in a frame comes in as few as it takes.
 */
#ifndef RMNIC_DPDK_PINGPONG_H
#define RMNIC_DPDK_PINGPONG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "dpdk/udp.h"
#include "dpdk/wait.h"

#define RMNIC_PINGPONG_PORT      7609
#define RMNIC_PINGPONG_REQUEST   62   /* the header of a request for a page */
#define RMNIC_PINGPONG_REPLY     4158 /* a page and its header */
#define RMNIC_PINGPONG_MIN       16
#define RMNIC_PINGPONG_MAX_REPLY 9000
#define RMNIC_PINGPONG_MAX_DEPTH 256

struct rmnic_pingpong_server {
	struct rmnic_udp *udp;
	struct rmnic_wait *wait; /* descriptors are added; it ends when one more is readable */
	uint16_t port;           /* UDP, host order */
	const void *store;       /* what is answered, from pages at random */
	uint64_t store_len;      /* at least two pages more than an answer */
	const _Atomic bool *stop;
	uint64_t served;         /* is set */
};

/* Answers until *stop. In the lcore that owns udp. */
void rmnic_pingpong_serve(struct rmnic_pingpong_server *server);

struct rmnic_pingpong_client {
	struct rmnic_udp *udp;
	struct rmnic_wait *wait;
	uint16_t port;       /* the local UDP port; no socket may have it */
	uint32_t server;     /* address and port, host order */
	uint16_t server_port;
	uint32_t request, reply; /* bytes */
	uint32_t depth;      /* questions at a time, 1 to RMNIC_PINGPONG_MAX_DEPTH */
	uint64_t warmup, count; /* exchanges; the first ones are not counted */
	uint32_t *samples;   /* count of them, ns; in the order of answers */
	const _Atomic bool *stop;
	/* are set: */
	uint64_t done;       /* samples */
	uint64_t lost;       /* questions without an answer */
	uint64_t ns;         /* what done took */
};

/*
 * Asks until count answers came, or *stop. -1: err; the server does not answer. In the lcore that
 * owns udp.
 */
int rmnic_pingpong_ask(struct rmnic_pingpong_client *client, struct rmnic_error *err);

#endif /* RMNIC_DPDK_PINGPONG_H */
