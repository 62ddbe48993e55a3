/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tools/bench/pair.h - a queue pair as its driver sees it (spec/device.md, "Rings").
 *
 * A command's cid is its slot in the SQ, so a slot is free exactly when its command was consumed
 * (RING-5, RING-7).
 */
#ifndef RMNIC_BENCH_PAIR_H
#define RMNIC_BENCH_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "rmnic/device.h"
#include "tools/bench/guest.h"

struct bench_pair {
	struct bench_guest *guest;
	uint16_t qid;
	uint32_t depth, tail, head, in_flight;
	uint64_t sq, cq, rec; /* guest addresses */
	struct rmnic_dbrec *record;
	bool busy[RMNIC_MAX_DEPTH]; /* by cid */
};

/* Memory for rings of so many entries. 0, or -1 with err. */
int bench_pair_init(struct bench_pair *pair, struct bench_guest *guest, uint16_t qid,
		    uint32_t depth, struct rmnic_error *err);
/* Whether the next slot is free; its number, the cid of the command that goes there. */
bool bench_pair_slot(const struct bench_pair *pair, uint16_t *cid);
/* Writes the entry into the next slot; nobody sees it yet. Its cid is set here. */
void bench_pair_put(struct bench_pair *pair, void *sqe);
/* Publishes what was put. True: the device sleeps and wants its doorbell (RING-10). */
bool bench_pair_publish(struct bench_pair *pair);
/* Whether the device has asked for the doorbell since. */
bool bench_pair_wants_doorbell(const struct bench_pair *pair);

enum bench_reap { BENCH_REAP_NONE, BENCH_REAP_ONE, BENCH_REAP_BAD };
/* Consumes the next completion. BAD: it cannot be right (DRV-1); err says why. */
enum bench_reap bench_pair_reap(struct bench_pair *pair, struct rmnic_cqe *cqe,
				struct rmnic_error *err);
/* Asks for an interrupt at the next completion. False: it is there already (RING-11). */
bool bench_pair_arm(struct bench_pair *pair);

#endif /* RMNIC_BENCH_PAIR_H */
