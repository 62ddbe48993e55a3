/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/remote_range.h - what members of a slab say they hold of a few of its pages.
 *
 * One member is asked at a time (SYNC); the answers stand beside each other. Whoever asked looks
 * in between two rounds whether the answer is there.
 */
#ifndef RMNIC_ENGINE_REMOTE_RANGE_H
#define RMNIC_ENGINE_REMOTE_RANGE_H

#include "engine/store_remote_internal.h"

#define RMNIC_RANGE_PAGES RMNIC_RMP_MAX_SYNC

struct rmnic_remote_held {
	uint64_t vstate; /* 0: nothing was ever written or freed there */
	uint32_t crc;
};

struct rmnic_remote_range {
	struct rmnic_remote *store;
	uint64_t rpn;
	uint32_t pages;
	bool asked;      /* no answer yet */
	unsigned int i;  /* who was asked last */
	uint16_t status; /* of that: RMNIC_RMP_S_* or RMNIC_CALL_* */
	struct rmnic_remote_held held[RMNIC_MEMBERS][RMNIC_RANGE_PAGES];
	uint64_t from;   /* what is asked for: not all may fit an answer */
	bool more;
	struct rmnic_rmp_sync body;
	struct rmnic_rmp_call call;
};

/* Asks entry i, member m on peer, for the range. False: not now. */
bool rmnic_remote_range_ask(struct rmnic_remote_range *range, unsigned int i, uint16_t peer,
			    const struct rmnic_rmp_member *m);
void rmnic_remote_range_cancel(struct rmnic_remote_range *range);
/* Whether another request can be made. */
static inline bool rmnic_remote_range_idle(const struct rmnic_remote_range *range)
{
	return !range->asked && range->call.state == RMNIC_CALL_IDLE;
}

#endif /* RMNIC_ENGINE_REMOTE_RANGE_H */
