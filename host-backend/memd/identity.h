/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memd/identity.h - the server's uuid, by which clients know it again (RMP-11).
 */
#ifndef RMNIC_MEMD_IDENTITY_H
#define RMNIC_MEMD_IDENTITY_H

#include <stdint.h>

#include "common/error.h"

/*
 * The uuid that the file keeps; one is drawn and kept there when there is no file. path NULL: the
 * default. Two servers under one name would pass for one: the file is locked as long as the
 * descriptor that is returned is open. -1: err.
 */
int memd_identity_load(const char *path, uint8_t uuid[16], struct rmnic_error *err);

#endif /* RMNIC_MEMD_IDENTITY_H */
