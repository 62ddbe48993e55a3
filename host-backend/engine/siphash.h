/* SPDX-License-Identifier: BSD-3-Clause */
/* engine/siphash.h - SipHash-2-4: a keyed hash of short input, for cookies. */
#ifndef RMNIC_ENGINE_SIPHASH_H
#define RMNIC_ENGINE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t rmnic_siphash(const uint64_t key[2], const void *data, size_t len);

#endif /* RMNIC_ENGINE_SIPHASH_H */
