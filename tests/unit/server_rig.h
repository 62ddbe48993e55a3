/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server alone: datagrams made by hand go in, what it answers is looked at. One device has a
 * session that sealed epoch 5, and slab 1 (pages 32 to 63) under `handle`.
 */
#ifndef SERVER_RIG_H
#define SERVER_RIG_H

#include "engine/rmp_server.h"
#include "memnet.h"

#define PAGES 128
#define SLAB  32
#define SENT  64

struct sent {
	struct rmnic_rmp_msg msg;
	uint32_t len;
	uint32_t join;
	uint8_t bytes[RMNIC_RMP_MAX_MTU];
	const uint8_t *data; /* the page it refers to */
	void (*release)(void *);
	void *release_arg;
};

extern struct memnet net;
extern struct rmnic_memstore *ms;
extern struct rmnic_rmp_server *server;
extern struct rmnic_crc32c crc;
extern struct sent sent[SENT];
extern unsigned int nsent;
extern uint64_t handle;
extern uint64_t page[512];
extern struct rmnic_rmp_server_config config;
extern bool hold; /* transmits keep their references */
extern uint8_t ip; /* the last byte of the client's address */
extern uint64_t boot, next_request;
extern uint32_t session;

/* Gives a datagram to the server, without a poll afterwards. */
void give(const void *data, uint32_t len);
/* Sends a request with a body; gives the answer's status, or -1 when there is none. */
int ask(struct rmnic_rmp_msg *m, const void *body, uint32_t len);
struct rmnic_rmp_hello hello_body(void);
int hello(struct rmnic_rmp_hello *h, struct rmnic_rmp_welcome *w);
int seal(uint32_t epoch);
void open_session(void);
int alloc(uint64_t number, uint32_t epoch);
int server_rig_up(void **state);
int server_rig_down(void **state);
void fill(uint64_t seed);
uint32_t seal_of(uint64_t rpn, uint64_t version);
struct rmnic_rmp_msg write_msg(uint64_t rpn, uint64_t version);
int write_page(uint64_t rpn, uint64_t version);
int read_page(uint64_t rpn);

#endif /* SERVER_RIG_H */
