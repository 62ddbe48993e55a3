/* SPDX-License-Identifier: BSD-3-Clause */
/* What is not in the tree yet; each goes away with the file that brings it. */
#include "engine/store_remote_internal.h"

__attribute__((weak)) bool rmnic_remote_recover(struct rmnic_remote *r) { (void)r; return false; }
__attribute__((weak)) uint64_t rmnic_remote_recover_due(const struct rmnic_remote *r) { (void)r; return UINT64_MAX; }
