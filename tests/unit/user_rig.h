/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * user_rig.h - a connection of rmnic-user between a test, which plays the front end, and an
 * owner that remembers what it was asked.
 */
#ifndef USER_RIG_H
#define USER_RIG_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/user_msg.h"
#include "user/conn.h"
#include "vectors.h"

struct user_rig {
	int front;                    /* the front end's socket; -1: closed */
	struct rmnic_user_conn *conn; /* NULL: gone */
	uint64_t refused[RMNIC_USER_S_COUNT];
	uint32_t seq;
	int open_fds; /* of the process, before all */
	int memfds;   /* mapped by it, before all */

	/* How the owner behaves. */
	bool hold;           /* it does not answer yet */
	uint16_t refuse_with; /* it refuses */
	uint64_t available;
	bool destroys;        /* ... the connection, instead of answering */
	uint32_t enable_error;

	/* What it saw. */
	uint16_t asked; /* type of the last request; 0: none */
	unsigned int requests;
	struct rmnic_user_device device;
	struct rmnic_user_state state;
	struct rmnic_user_enable enable;
	uint64_t addr, size, offset, pages;
	uint32_t drain_ms;
	uint16_t first, count;
	int fds[RMNIC_USER_MAX_FDS];
	unsigned int nfds;
	uint32_t watched; /* what watch() said last */
	unsigned int closings;
	char why[128];
	bool front_gone;
	int pidfd;
};

/* A rig on a socket pair; or on fd, which was accepted. */
void user_rig_start(struct user_rig *rig);
void user_rig_start_on(struct user_rig *rig, int fd);
/* Ends everything, and fails if a descriptor was left open or a memfd mapped. */
void user_rig_stop(struct user_rig *rig);

/* The front end's side. */
bool user_rig_send(struct user_rig *rig, const void *bytes, size_t len, const int *fds,
		   unsigned int nfds);
void user_rig_hang_up(struct user_rig *rig);
/* One message of the backend that is there already, checked. False: none is. */
bool user_rig_read(struct user_rig *rig, struct rmnic_user_msg *msg, void *payload);
/* A whole request; what it is answered with, or -1: nothing yet, -2: the connection ended. */
int user_rig_ask(struct user_rig *rig, uint16_t type, const void *payload, uint32_t size,
		 const int *fds, unsigned int nfds);
/* The bytes of a request; returns how many. */
size_t user_rig_put(uint8_t *out, uint16_t type, uint32_t seq, const void *payload,
		    uint32_t size);
/* The next message of the backend is there and is this reply; or there is none. */
void user_rig_expect(struct user_rig *rig, uint16_t type, uint32_t seq, uint16_t status);
void user_rig_expect_silence(struct user_rig *rig);
/* The text of the last refusal that user_rig_ask() read. */
extern char user_rig_text[RMNIC_USER_TEXT_MAX];
extern uint8_t user_rig_payload[RMNIC_USER_MAX_PAYLOAD];

/* Lets the backend's side do all it can do now. */
void user_rig_run(struct user_rig *rig);
void user_rig_answer(struct user_rig *rig);
/* Closes what the owner was given. */
void user_rig_drop(struct user_rig *rig);

/* The device of the golden vector, and a state block for it that is right. */
struct rmnic_user_device user_rig_device(void);
int user_rig_state(const struct rmnic_user_device *device);
/* A memfd with these F_SEAL_* and an eventfd; the caller's. */
int user_rig_memfd(uint64_t size, int seals);
int user_rig_eventfd(void);
/* HELLO and DEVICE. */
void user_rig_hello(struct user_rig *rig);
void user_rig_set_up(struct user_rig *rig);
int user_rig_open_fds(void);
int user_rig_mapped_memfds(void);

#endif /* USER_RIG_H */
