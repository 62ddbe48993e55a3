/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - a device on a fake host, and a small driver that talks to it.
 */
#ifndef RMNIC_TESTS_RIG_H
#define RMNIC_TESTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/device.h"
#include "engine/state_block.h"
#include "engine/store_local.h"
#include "fake.h"
#include "rmnic/ring.h"
#include "slow.h"

#define RIG_QPS 8 /* I/O pairs that the rig's driver can have */

/* A queue pair as its driver sees it. */
struct pair {
	struct fake *host;
	uint16_t qid;
	uint32_t depth, tail, head;
	uint64_t sq, cq, rec;
};

struct rig_options {
	uint16_t max_depth;    /* default 64 */
	uint16_t vectors;      /* default 9 */
	uint32_t slab_pages;   /* default 64 */
	uint64_t capacity;     /* default 1024 pages */
	uint64_t max_capacity; /* default 4096 pages */
	uint32_t granule;      /* default 4096 bytes */
	bool slow;             /* the store answers when told to */
	bool recorded;         /* queues and commands in flight are, in a state block */
};

struct rig {
	struct fake host;
	struct rmnic_dev_config config;
	struct rmnic_dev *dev;
	struct rmnic_fault *fault;
	struct rmnic_store *store;
	struct rmnic_local_blocks blocks;
	struct slow slow;
	void *state; /* the state block, if there is one */
	struct rmnic_state_block block;
	uint32_t generation;
	struct pair aq, q[RIG_QPS + 1];
	uint16_t next_cid;
	uint64_t discarded; /* bytes */
	uint64_t pages_dirty, meta_dirty;
};

/* A device that is not enabled. */
void rig_up_off(struct rig *rig, const struct rig_options *options);
/* Enabled, pair 1 for page-out and pair 2 for page-in, both of depth 16, vectors 1 and 2. */
void rig_up(struct rig *rig, const struct rig_options *options);
/* Disables and checks that nothing is mapped or wrong. */
void rig_down(struct rig *rig);

/* The backend is dead, at whatever instruction: its memory and its mappings are gone. */
void rig_die(struct rig *rig);
/* Another process attaches to the state block; it is not enabled yet. */
void rig_succeed(struct rig *rig);

/* Guest memory for a pair. */
void pair_init(struct pair *pair, struct fake *host, uint16_t qid, uint32_t depth);
struct rmnic_dbrec *pair_rec(const struct pair *pair);
/* Writes an entry into the next slot, without publishing it. */
void pair_put(struct pair *pair, const void *sqe);
/* Publishes what was put. */
void pair_ring(struct pair *pair);
/* The next completion, if its phase says that it is there. Leaves cq_head alone. */
bool pair_peek(const struct pair *pair, struct rmnic_cqe *cqe);
/* Consumes the next completion; false: there is none. */
bool pair_reap(struct pair *pair, struct rmnic_cqe *cqe);

uint32_t rig_enable(struct rig *rig);
struct rmnic_admin_sqe rig_create_sqe(struct rig *rig, const struct pair *pair, uint8_t qclass,
				      uint16_t vector);
void rig_create(struct rig *rig, uint16_t qid, uint8_t qclass, uint32_t depth, uint16_t vector);
/* Polls until there is nothing to do. */
void rig_poll(struct rig *rig);
/* Submits, polls, and returns the one completion. */
struct rmnic_cqe rig_admin(struct rig *rig, const struct rmnic_admin_sqe *sqe);
struct rmnic_cqe rig_io(struct rig *rig, uint16_t qid, const struct rmnic_sqe *sqe);
/* One command with inline address on pair 1 or 2, by opcode. */
struct rmnic_sqe rig_sqe(struct rig *rig, uint8_t opcode, uint64_t rpn, uint32_t npages,
			 uint64_t addr);
struct rmnic_cqe rig_cmd(struct rig *rig, uint8_t opcode, uint64_t rpn, uint32_t npages,
			 uint64_t addr);

/* A guest page. */
uint64_t rig_page(struct rig *rig);
uint64_t rig_pages(struct rig *rig, uint32_t n);
/* Content derived from rpn and generation; never same-filled. */
void page_fill(void *page, uint64_t rpn, uint32_t generation);
bool page_is(const void *page, uint64_t rpn, uint32_t generation);
bool page_is_byte(const void *page, uint8_t byte);
#define GUEST(addr) fake_at(&rig->host, addr)

#define assert_cqe(cqe, status_, done_, failed_)                   \
	do {                                                       \
		struct rmnic_cqe cqe_ = (cqe);                     \
		assert_int_equal(cqe_.status, status_);            \
		assert_int_equal(cqe_.done, done_);                \
		assert_int_equal(cqe_.failed, (uint32_t)(failed_)); \
	} while (0)
#define assert_refused(rig, why) assert_int_equal((rig)->host.refused[RMNIC_REFUSAL_##why], 1)

#define NONE RMNIC_NONE_FAILED

/* Sets a rig up and down around the body of a test. */
#define RIG_TEST(name, ...)                                          \
	static void name##_body(struct rig *rig);                    \
	static void name(void **state)                               \
	{                                                            \
		static struct rig rig;                               \
		(void)state;                                         \
		rig_up(&rig, &(struct rig_options){ __VA_ARGS__ });  \
		name##_body(&rig);                                   \
		rig_down(&rig);                                      \
	}                                                            \
	static void name##_body(struct rig *rig)

#endif /* RMNIC_TESTS_RIG_H */
