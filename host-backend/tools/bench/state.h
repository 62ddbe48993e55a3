/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tools/bench/state.h - the state block that a front end holds for its backends (spec/state.md),
 * and how it presents the device to each of them.
 */
#ifndef RMNIC_BENCH_STATE_H
#define RMNIC_BENCH_STATE_H

#include "rmnic/user.h"
#include "tools/bench/link.h"

struct bench_state {
	int fd; /* sealed */
	void *map;
	uint64_t size;
};

/* A new block in a memfd of its own. 0, or -1 with err. */
int bench_state_create(struct bench_state *state, const struct bench_shape *shape,
		       struct rmnic_error *err);
void bench_state_destroy(struct bench_state *state);
/* Records the epoch and fills in the message DEVICE. */
void bench_state_device(struct bench_state *state, const struct bench_shape *shape,
			uint32_t epoch, uint64_t features, struct rmnic_user_device *out);

#endif /* RMNIC_BENCH_STATE_H */
