/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages on servers whose state block is gone, and a backend that finds out about them. */
#ifndef RECOVER_RIG_H
#define RECOVER_RIG_H

#include "remote_rig.h"

#define RECOVER_PAGES 256u
#define RECOVER_SLABS (RECOVER_PAGES / CLUSTER_SLAB)

int recover_tear_down(void **state);
bool recover_is_freed(uint64_t rpn);
uint16_t recover_out(uint64_t rpn, uint64_t content);
bool recover_holds(uint64_t rpn, uint64_t content);
void recover_write_all(uint64_t content);
void recover_fill(void);
void recover_up(unsigned int servers, uint32_t replicas);
void recover_check_all(uint64_t content);
void recover_forget(void);
void recover_begin(void);
uint64_t recover_waiting(void);
bool recover_is_over(void);
void recover_wait_until_over(void);
/* Recovers until that is over, or until the backend dies before its n-th store (true). */
bool recover_dies_before(unsigned int n);

#endif /* RECOVER_RIG_H */
