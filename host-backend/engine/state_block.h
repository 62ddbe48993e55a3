/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/state_block.h - the state of a device that outlives its backend (spec/state.md).
 *
 * The block is memory of somebody else's, who may be wrong about what is in it: attaching
 * validates every field that is used (STATE-1), and a row is validated each time it is read.
 */
#ifndef RMNIC_ENGINE_STATE_BLOCK_H
#define RMNIC_ENGINE_STATE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rmnic/state.h"

struct rmnic_state_block {
	struct rmnic_state_hdr *hdr;
	struct rmnic_state_slab *slabs;
	uint64_t *pages;
	struct rmnic_state_queue *queues;
	struct rmnic_state_flight *flights; /* [queue pair * depth + cid] */
	uint64_t npages;
	uint64_t nslabs;
	uint32_t slab_pages;
	uint32_t nqueues;
	uint32_t depth;
};

struct rmnic_state_shape {
	uint8_t uuid[16];
	uint64_t pages;      /* a multiple of slab_pages */
	uint32_t slab_pages; /* a power of two */
	uint32_t queues;     /* the device's max_qpairs + 1 */
	uint32_t depth;      /* its max_depth: flights of each queue pair */
	uint32_t epoch;
};

/* Bytes that a block of this shape takes; 0: the shape is out of range. */
uint64_t rmnic_state_size(const struct rmnic_state_shape *shape);
/* Makes a new block in zeroed memory of rmnic_state_size() bytes. */
void rmnic_state_format(void *memory, const struct rmnic_state_shape *shape);
/* NULL: fine, and *block can be used. Else what is wrong, for a message to the user. */
const char *rmnic_state_attach(struct rmnic_state_block *block, void *memory, uint64_t size,
			       const uint8_t *uuid);

/* STATE-31: members that the device's slabs are to have; 0: as whoever serves it is configured. */
uint32_t rmnic_state_replicas(const struct rmnic_state_block *block);
/* replicas: up to RMNIC_RMP_MAX_MEMBERS. */
void rmnic_state_replicas_set(struct rmnic_state_block *block, uint32_t replicas);

/* The slab's view, copied and checked; view->view is 0 where there is none. False: damaged. */
bool rmnic_state_view_get(const struct rmnic_state_block *block, uint64_t slab,
			  struct rmnic_state_view *view);
/* Records view, which must be newer than the recorded one: all of it or nothing (STATE-6). */
void rmnic_state_view_set(struct rmnic_state_block *block, uint64_t slab,
			  const struct rmnic_state_view *view);
/* The slab has no members any more: one store, as above. */
void rmnic_state_view_clear(struct rmnic_state_block *block, uint64_t slab);

/* A page's word. Setting it is one store: a death finds the old or the new one (STATE-2). */
uint64_t rmnic_state_page(const struct rmnic_state_block *block, uint64_t rpn);
void rmnic_state_page_set(struct rmnic_state_block *block, uint64_t rpn, uint64_t version,
			  uint32_t bits);

/* A version that was never used; recorded before it is returned (STATE-7). 0: none is left. */
uint64_t rmnic_state_version(struct rmnic_state_block *block);
/* Versions up to this one were used somewhere. */
void rmnic_state_version_seen(struct rmnic_state_block *block, uint64_t version);

#endif /* RMNIC_ENGINE_STATE_BLOCK_H */
