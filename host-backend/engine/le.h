/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/le.h - little-endian fields, and reading memory that somebody else writes.
 *
 * All contracts are little-endian. The conversions are written out where a field is read or
 * written, so that a big-endian host needs a change here only.
 */
#ifndef RMNIC_ENGINE_LE_H
#define RMNIC_ENGINE_LE_H

#include <stddef.h>
#include <stdint.h>

#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the rmnic engine has not been ported to big-endian hosts: give engine/le.h byte swaps"
#endif

static inline uint16_t rmnic_le16_get(uint16_t v)
{
	return v;
}

static inline uint32_t rmnic_le32_get(uint32_t v)
{
	return v;
}

static inline uint64_t rmnic_le64_get(uint64_t v)
{
	return v;
}

static inline uint16_t rmnic_le16_put(uint16_t v)
{
	return v;
}

static inline uint32_t rmnic_le32_put(uint32_t v)
{
	return v;
}

static inline uint64_t rmnic_le64_put(uint64_t v)
{
	return v;
}

/*
 * Copies words that a peer may be changing. Each is loaded exactly once, which memcpy does
 * not promise: a compiler may read its source again where the copy is used (RING-6).
 */
static inline void rmnic_copy_once(void *dst, const void *src, size_t bytes)
{
	/* Words of structures with other members: the compiler has to see that they are those. */
	typedef uint64_t __attribute__((may_alias)) word;
	const word *from = src;
	word *to = dst;

	for (size_t i = 0; i < bytes / 8; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

/* Counters have one writer and any number of readers. */
#define RMNIC_COUNT(word, n) __atomic_store_n(&(word), (word) + (n), __ATOMIC_RELAXED)

#endif /* RMNIC_ENGINE_LE_H */
