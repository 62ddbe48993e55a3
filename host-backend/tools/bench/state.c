/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/state.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/le.h"
#include "engine/state_block.h"
#include "user/front.h"

int bench_state_create(struct bench_state *state, const struct bench_shape *shape,
		       struct rmnic_error *err)
{
	struct rmnic_state_shape s = {
		.pages = shape->capacity,
		.slab_pages = shape->slab_pages,
		.queues = shape->max_qpairs + 1u,
		.depth = shape->max_depth,
	};

	*state = (struct bench_state){ .fd = -1 };
	memcpy(s.uuid, shape->uuid, 16);
	state->size = rmnic_state_size(&s);
	if (!state->size)
		return rmnic_error_set(err, "no state block can have %u queues of %u entries", s.queues,
				       s.depth);
	state->fd = rmnic_user_memfd("rmnic-bench-state", state->size, &state->map, err);
	if (state->fd < 0)
		return -1;
	rmnic_state_format(state->map, &s);
	return 0;
}

void bench_state_destroy(struct bench_state *state)
{
	if (state->map)
		munmap(state->map, state->size);
	if (state->fd >= 0)
		close(state->fd);
	*state = (struct bench_state){ .fd = -1 };
}

void bench_state_device(struct bench_state *state, const struct bench_shape *shape,
			uint32_t epoch, uint64_t features, struct rmnic_user_device *out)
{
	struct rmnic_state_hdr *hdr = state->map;

	hdr->epoch = rmnic_le32_put(epoch);
	*out = (struct rmnic_user_device){
		.capacity = rmnic_le64_put(shape->capacity),
		.max_capacity = rmnic_le64_put(shape->capacity),
		.slab_pages = rmnic_le32_put(shape->slab_pages),
		.max_qpairs = rmnic_le16_put(shape->max_qpairs),
		.max_depth = rmnic_le16_put(shape->max_depth),
		.vectors = rmnic_le16_put(shape->vectors),
		.epoch = rmnic_le32_put(epoch),
		.features = rmnic_le64_put(features),
		.state_size = rmnic_le64_put(state->size),
		.serial = "bench",
		.name = "rmnic-bench",
	};
	memcpy(out->uuid, shape->uuid, 16);
}
