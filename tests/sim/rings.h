/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store with a device on top, and a guest that talks to it through rings. The process of
 * both may die between any two stores that its successor can see.
 */
#ifndef RINGS_H
#define RINGS_H

#include "engine/device.h"
#include "sim.h"

#define RINGS_PAIRS   3 /* admin, page-out, page-in */
#define RINGS_DEPTH   64
#define RINGS_CLUSTER 3 /* pages of a command */
#define RINGS_ADMIN   8 /* depth of the admin pair */

/* A command of the guest's. Its buffers have a place of their own. */
struct rings_op {
	bool used, sent, list, aborted;
	uint8_t opcode;
	uint16_t slot;
	uint32_t index; /* of its SQE */
	uint32_t n;
	uint64_t rpn;
	uint64_t content[RINGS_CLUSTER];
	uint64_t raced; /* what the guest made of its first page on its way; 0: nothing */
	uint64_t started;
	uint64_t after; /* when to send it */
};

/* cids are slots of the SQ, so that one that is not consumed is not used again (RING-7). */
struct rings_pair {
	uint16_t qid;
	uint32_t depth, tail, head;
	uint64_t sq, cq, rec;
	struct rings_op *op[RINGS_DEPTH]; /* by cid */
	bool up;
};

/* What an admin command was for. */
enum rings_admin { RINGS_NOTHING, RINGS_CREATE_OUT, RINGS_CREATE_IN, RINGS_ABORT };

struct rings {
	struct rmnic_dev *dev; /* NULL: there is none, or its store is not ready yet */
	struct rmnic_state_block block;
	uint8_t *guest;
	uint32_t generation;
	struct rings_pair pair[RINGS_PAIRS];
	enum rings_admin admin[RINGS_ADMIN];
	struct rmnic_admin_sqe abort[RINGS_ADMIN]; /* RINGS_ABORT: of whom */
	struct rings_op ops[MAX_OPS];
	unsigned int die_in; /* steps; 0: it lives on */
	bool doomed;         /* the step has come: nothing that it does any more counts */
	uint8_t *saved_guest, *saved_state; /* as they were at that step */
	bool sleeps;     /* the backend, when it has nothing to do */
	bool asleep, slept;
	uint64_t wake_at, heard;
	bool irqs, raised; /* the driver looks at its CQs when it was interrupted */
	uint64_t look_at;
	unsigned int lost; /* eventfds of 1000, either way */
	uint64_t deaths, resets;
};

/* --- rings.c: the device, and its death ------------------------------------------------------ */

void rings_init(struct sim *s);
void rings_fini(struct sim *s);
/* Makes the device when its store is ready, and lets it do what there is to do. */
void rings_poll(struct sim *s);
/* After anything that the device or its store has done: whether it was its last. */
bool rings_dead(struct sim *s);
void rings_kill(struct sim *s);
/* One of the things that can go wrong with a backend, or with the guest. */
void rings_fault(struct sim *s);
/* In the state block nothing is in flight, and no page half written. */
void rings_audit(struct sim *s);

/* --- driver.c: the guest ---------------------------------------------------------------------- */

void *driver_at(struct sim *s, uint64_t addr);
/* Rings as of a new enabling; whatever was in flight is sent again, or given up. */
void driver_reset(struct sim *s);
void driver_begin(struct sim *s);
/* Sends what can be sent, and takes what has come. */
void driver_run(struct sim *s);
/* A page-in, or a page-out, of one page. */
void driver_one(struct sim *s, uint64_t rpn, bool out);
unsigned int driver_under_way(const struct sim *s);

#endif /* RINGS_H */
