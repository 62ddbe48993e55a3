/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * user/fds.h - whether a file descriptor that a front end passed is what it should be.
 *
 * Each returns RMNIC_USER_S_OK, or another status with err. The descriptor stays the caller's.
 */
#ifndef RMNIC_USER_FDS_H
#define RMNIC_USER_FDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "rmnic/user.h"

/*
 * A memfd that can be written, has all of these F_SEAL_* and at least size bytes, or exactly
 * that many. *granule: what offset and length of a mapping of it must be multiples of.
 */
uint16_t rmnic_user_memfd_check(int fd, int seals, uint64_t size, bool exactly, uint64_t *granule,
				struct rmnic_error *err);
/* An eventfd; it is made not to block. */
uint16_t rmnic_user_eventfd_check(int fd, struct rmnic_error *err);

#endif /* RMNIC_USER_FDS_H */
