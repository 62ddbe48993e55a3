/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "engine/rmp_codec.h"

#define BATCH 64

uint64_t client_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static uint64_t env_now(void *arg)
{
	(void)arg;
	return client_now();
}

static uint64_t env_random(void *arg)
{
	uint64_t v = 0;

	(void)arg;
	if (getrandom(&v, sizeof(v), 0) != sizeof(v))
		abort();
	return v;
}

static void *env_alloc(void *arg, size_t bytes)
{
	size_t whole = (bytes + 63) & ~(size_t)63;
	void *at = aligned_alloc(64, whole);

	(void)arg;
	return at ? memset(at, 0, whole) : NULL;
}

static void env_free(void *arg, void *memory)
{
	(void)arg;
	free(memory);
}

const struct rmnic_env_ops client_env = { env_now, env_random, env_alloc, env_free };

/* A HELLO that claims to be of another version, and is right in everything else. */
static void claim(struct client *c, uint8_t *datagram, uint32_t len)
{
	struct rmnic_rmp_hello hello;
	struct rmnic_rmp_msg m;

	if (!c->version || datagram[1] != RMNIC_RMP_HELLO ||
	    rmnic_rmp_decode(&c->crc, &m, datagram, len, false, 0) != RMNIC_RMP_DROP_OK)
		return;
	memcpy(&hello, m.payload, sizeof(hello));
	hello.version_min = hello.version_max = c->version;
	memcpy(datagram + RMNIC_RMP_HDR_SIZE, &hello, sizeof(hello));
	rmnic_rmp_encode_body(&c->crc, datagram, &m, datagram + RMNIC_RMP_HDR_SIZE, sizeof(hello), 0);
}

static bool net_send(void *arg, enum rmnic_lane lane, const struct rmnic_addr *to,
		     const struct rmnic_tx *tx)
{
	struct client *c = arg;
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(to->port) };
	uint8_t datagram[RMNIC_RMP_MAX_MTU];
	uint32_t len = tx->head_len + (tx->data ? tx->data_len : 0);

	if (len > sizeof(datagram))
		return false;
	memcpy(&sa.sin_addr, to->ip + 12, 4);
	memcpy(datagram, tx->head, tx->head_len);
	if (tx->data)
		memcpy(datagram + tx->head_len, tx->data, tx->data_len);
	claim(c, datagram, len);
	if (sendto(c->fd[lane], datagram, len, 0, (struct sockaddr *)&sa, sizeof(sa)) != (ssize_t)len)
		return false;
	if (tx->release)
		tx->release(tx->release_arg);
	return true;
}

const struct rmnic_net_ops client_net = { net_send };

bool client_sockets(struct client *c, uint16_t port)
{
	for (int lane = 0; lane < RMNIC_LANES; lane++) {
		struct sockaddr_in sa = { .sin_family = AF_INET,
					  .sin_port = htons((uint16_t)(port + lane)) };
		int probe = IP_PMTUDISC_PROBE, room = 4 << 20;

		c->fd[lane] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		/* Never in fragments: RMP measures the path itself. */
		if (c->fd[lane] < 0 ||
		    setsockopt(c->fd[lane], IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof(probe)) ||
		    setsockopt(c->fd[lane], SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) ||
		    bind(c->fd[lane], (struct sockaddr *)&sa, sizeof(sa))) {
			perror("client: sockets");
			return false;
		}
	}
	return true;
}

static bool receive(struct client *c, enum rmnic_lane lane)
{
	uint8_t bytes[RMNIC_RMP_MAX_MTU + 2];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	/* Behind 42 bytes of headers a page's bytes lie at multiples of 8, as in a real frame. */
	ssize_t n = recvfrom(c->fd[lane], bytes + 2, sizeof(bytes) - 2, 0, (struct sockaddr *)&from,
			     &from_len);
	struct rmnic_rx rx = { .lane = lane, .data = bytes + 2, .len = (uint32_t)n };

	if (n < 0)
		return false;
	rx.from.ip[10] = rx.from.ip[11] = 0xff;
	memcpy(rx.from.ip + 12, &from.sin_addr, 4);
	rx.from.port = ntohs(from.sin_port);
	rmnic_rmp_client_rx(c->rmp, &rx);
	return true;
}

void client_turn(struct client *c, uint64_t until)
{
	struct pollfd p[RMNIC_LANES];
	uint64_t due, now;
	bool more = false;

	for (int lane = 0; lane < RMNIC_LANES; lane++) {
		p[lane] = (struct pollfd){ .fd = c->fd[lane], .events = POLLIN };
		for (int i = 0; i < BATCH && receive(c, (enum rmnic_lane)lane); i++)
			;
	}
	more |= rmnic_rmp_client_poll(c->rmp);
	more |= c->store->ops->idle(c->store);
	due = rmnic_store_remote_deadline(c->store);
	if (until < due)
		due = until;
	now = client_now();
	if (!more && due > now && !c->changed) {
		struct timespec t = { .tv_sec = (time_t)((due - now) / 1000000000),
				      .tv_nsec = (long)((due - now) % 1000000000) };

		ppoll(p, RMNIC_LANES, &t, NULL);
	}
	c->changed = false;
}
