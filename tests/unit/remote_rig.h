/* SPDX-License-Identifier: BSD-3-Clause */
/* A remote store that is READY, and what its servers and its state block hold. */
#ifndef REMOTE_RIG_H
#define REMOTE_RIG_H

#include "engine/state_block.h"
#include "cluster.h"

#define MS UINT64_C(1000000)

extern struct cluster rw;
extern uint64_t remote_buf[512];

void remote_up(unsigned int servers, uint64_t pages, uint32_t replicas);
uint16_t remote_out(uint64_t rpn, uint64_t content);
bool remote_holds(uint64_t rpn, uint64_t content);
bool remote_zeros(uint64_t rpn);
struct rmnic_state_block remote_block(void);
uint64_t remote_word(uint64_t rpn);
struct rmnic_mem_slab *remote_slab(unsigned int server, uint64_t rpn);
const struct rmnic_rmp_client_counters *remote_wire(void);

#endif /* REMOTE_RIG_H */
