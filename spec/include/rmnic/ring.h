/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-3-Clause) */
/*
 * rmnic/ring.h - index and phase arithmetic of the rings (spec/device.md, "Rings").
 *
 * Pure functions of their arguments: no memory is touched and no barrier implied. Indexes
 * are host-endian, run freely modulo 2^32 and are reduced to a slot only to address memory,
 * so full (tail - head == depth) and empty (tail == head) differ. depth is a power of two
 * from RMNIC_MIN_DEPTH to RMNIC_MAX_DEPTH; it divides 2^32, so the wrap of an index is no
 * special case.
 */
#ifndef RMNIC_RING_H
#define RMNIC_RING_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stdint.h>
#endif

/* The ring slot of index idx. */
static inline uint32_t rmnic_ring_slot(uint32_t idx, uint32_t depth)
{
	return idx & (depth - 1);
}

/* Entries between head and tail. Meaningful only when rmnic_ring_valid() holds. */
static inline uint32_t rmnic_ring_count(uint32_t tail, uint32_t head)
{
	return tail - head;
}

/* Whether tail may follow head: at most depth entries ahead of it. */
static inline bool rmnic_ring_valid(uint32_t tail, uint32_t head, uint32_t depth)
{
	return tail - head <= depth;
}

/* The phase bit of the entry with index idx: 1 on the first lap, then 0, 1, ... */
static inline uint32_t rmnic_ring_phase(uint32_t idx, uint32_t depth)
{
	return (idx & depth) ? 0 : 1;
}

/*
 * Whether moving a CQ's tail from old_tail to new_tail writes the entry with index arm,
 * for which the driver asked an interrupt.
 */
static inline bool rmnic_ring_armed(uint32_t arm, uint32_t old_tail, uint32_t new_tail)
{
	return arm - old_tail < new_tail - old_tail;
}

#endif /* RMNIC_RING_H */
