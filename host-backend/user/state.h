/* SPDX-License-Identifier: BSD-3-Clause */
/* user/state.h - receiving a device's state block (USER-6). */
#ifndef RMNIC_USER_STATE_H
#define RMNIC_USER_STATE_H

#include "common/error.h"
#include "user/conn.h"

/*
 * Maps the state block in fd and holds it against the device it comes with, which was checked by
 * itself already. fd stays the caller's. Returns RMNIC_USER_S_*; err has the text for everything
 * but OK.
 */
uint16_t rmnic_user_state_map(struct rmnic_user_state *state,
			      const struct rmnic_user_device *device, int fd,
			      struct rmnic_error *err);

#endif /* RMNIC_USER_STATE_H */
