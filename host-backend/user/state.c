/* SPDX-License-Identifier: BSD-3-Clause */
#include "user/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "engine/le.h"
#include "engine/user_msg.h"
#include "user/fds.h"
#include "user/guard.h"

/* The block says of itself what the request says of the device. NULL: it does. */
static const char *matches(const struct rmnic_user_state *state,
			   const struct rmnic_user_device *device)
{
	struct rmnic_state_shape want;
	struct rmnic_state_block block;
	struct rmnic_state_hdr h;
	const char *why = rmnic_state_attach(&block, state->map, state->size, device->uuid);

	if (why)
		return why;
	/* The front end still has the block: what is compared is a copy. */
	rmnic_copy_once(&h, state->map, sizeof(h));
	rmnic_user_device_shape(device, &want);
	if (rmnic_le64_get(h.pages) != want.pages ||
	    rmnic_le32_get(h.slab_pages) != want.slab_pages)
		return "the state block is of a device with another max_capacity or slab_pages";
	if (rmnic_le32_get(h.queues) != want.queues ||
	    rmnic_le32_get(h.depth) != rmnic_le16_get(device->max_depth))
		return "the state block is of a device with other queues";
	if (rmnic_le32_get(h.epoch) != want.epoch)
		return "the state block is of another epoch";
	return NULL;
}

uint16_t rmnic_user_state_map(struct rmnic_user_state *state,
			      const struct rmnic_user_device *device, int fd,
			      struct rmnic_error *err)
{
	uint64_t size = rmnic_le64_get(device->state_size), granule;
	uint16_t status = rmnic_user_memfd_check(fd, F_SEAL_SHRINK | F_SEAL_GROW, size, true,
						 &granule, err);
	const char *why;

	if (status != RMNIC_USER_S_OK)
		return status;
	state->size = size;
	state->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (state->map == MAP_FAILED) {
		rmnic_error_set(err, "%llu bytes of state cannot be mapped: %s",
				(unsigned long long)size, strerrordesc_np(errno));
		return errno == ENOMEM ? RMNIC_USER_S_LIMIT : RMNIC_USER_S_BAD_FD;
	}
	if (!rmnic_guard_add(state->map, size, granule)) {
		munmap(state->map, size);
		rmnic_error_set(err, "this process has too many devices");
		return RMNIC_USER_S_LIMIT;
	}
	madvise(state->map, size, MADV_DONTFORK);
	why = matches(state, device);
	if (!why)
		return RMNIC_USER_S_OK;
	rmnic_error_set(err, "%s", why);
	rmnic_user_state_unmap(state);
	return RMNIC_USER_S_BAD_STATE;
}

void rmnic_user_state_unmap(struct rmnic_user_state *state)
{
	if (state->map) {
		rmnic_guard_remove(state->map);
		munmap(state->map, state->size);
	}
	*state = (struct rmnic_user_state){ 0 };
}
