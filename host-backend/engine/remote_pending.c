/* SPDX-License-Identifier: BSD-3-Clause */
/* What is not in the tree yet; each goes away with the file that brings it. */
#include "engine/store_remote_internal.h"

__attribute__((weak)) bool rmnic_remote_repair(struct rmnic_remote *r) { (void)r; return false; }
__attribute__((weak)) uint64_t rmnic_remote_repair_due(const struct rmnic_remote *r) { (void)r; return UINT64_MAX; }
__attribute__((weak)) void rmnic_remote_repair_look(struct rmnic_remote *r, uint64_t slab) { (void)r; (void)slab; }
__attribute__((weak)) void rmnic_remote_fix(struct rmnic_remote *r, uint64_t rpn, unsigned int i) { (void)r; (void)rpn; (void)i; }
__attribute__((weak)) bool rmnic_remote_recover(struct rmnic_remote *r) { (void)r; return false; }
__attribute__((weak)) uint64_t rmnic_remote_recover_due(const struct rmnic_remote *r) { (void)r; return UINT64_MAX; }
__attribute__((weak)) bool rmnic_remote_scrub(struct rmnic_remote *r) { (void)r; return false; }
__attribute__((weak)) uint64_t rmnic_remote_scrub_due(const struct rmnic_remote *r) { (void)r; return UINT64_MAX; }
