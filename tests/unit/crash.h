/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crash.h - a backend that dies at each step in turn, and what its driver makes of it.
 *
 * A scene gives a device commands. It is played once to the end, and then again and again with
 * the device's process dying before its first, second, third ... store that a successor or the
 * guest can see; a successor goes on. The driver takes each page back for something else as
 * soon as it has the command's completion, so that whatever is done twice shows.
 */
#ifndef RMNIC_TESTS_CRASH_H
#define RMNIC_TESTS_CRASH_H

#include "rig.h"

#define CRASH_JOBS 32

/* A command of the driver's, and how it ended. */
struct crash_job {
	uint16_t qid;
	union {
		struct rmnic_sqe io;
		struct rmnic_admin_sqe admin;
	} sqe;
	uint16_t want;       /* status; CRASH_ANY: any */
	uint32_t generation; /* of the content that its pages have, or get; 0: zeros */
	uint64_t page[4];    /* guest pages */
	uint32_t pages;
	bool may_vanish;     /* ends with its pair, perhaps without a completion */
	bool sent, ended;
	uint16_t status;
};

#define CRASH_ANY 0xffff

struct crash {
	struct rig rig;
	struct crash_job jobs[CRASH_JOBS];
	unsigned int njobs;
	unsigned int polls; /* of this life */
	unsigned int lives;
	void *scene_data;
};

struct crash_scene {
	const char *name;
	struct rig_options options;
	/* Queues, contents, commands. No death can come here. */
	void (*set_up)(struct crash *c);
	/* What else is submitted once this life has polled so many times; may be NULL. */
	void (*meanwhile)(struct crash *c);
	/* After all have ended; may be NULL. */
	void (*check)(struct crash *c);
	unsigned int min_steps; /* fewer mean that the scene has not played */
	bool twice;             /* let the successor die at each of its steps too */
};

/* A command, its buffers filled (PAGE_OUT) or to be filled (PAGE_IN); not sent yet. */
struct crash_job *crash_io(struct crash *c, uint8_t opcode, uint64_t rpn, uint32_t npages,
			   uint32_t generation);
/* The same with a page list. */
struct crash_job *crash_list(struct crash *c, uint8_t opcode, uint64_t rpn, uint32_t npages,
			     uint32_t generation);
struct crash_job *crash_admin(struct crash *c, const struct rmnic_admin_sqe *sqe);
/* Writes the SQEs of all jobs that were not sent, and moves the tails. */
void crash_send(struct crash *c);
/* Consumes what is in the rings. */
void crash_reap(struct crash *c);
/* What the device has for rpn is this content. */
void crash_expect(struct crash *c, uint64_t rpn, uint32_t generation);

void crash_play(const struct crash_scene *scene);

#endif /* RMNIC_TESTS_CRASH_H */
