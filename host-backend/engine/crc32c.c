/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/crc32c.h"

#include <string.h>

#include "engine/le.h"

#define POLY      0x82f63b78u /* 0x1edc6f41 with its bits reversed */
#define PAGE      4096
#define LANES     4
#define LANE_SIZE (PAGE / LANES)

/* --- Portable: eight bytes at a time by table ---------------------------------------- */

static inline uint32_t table_word(const struct rmnic_crc32c *c, uint32_t crc, uint64_t word)
{
	word ^= crc;
	return c->table[7][word & 0xff] ^ c->table[6][(word >> 8) & 0xff] ^
	       c->table[5][(word >> 16) & 0xff] ^ c->table[4][(word >> 24) & 0xff] ^
	       c->table[3][(word >> 32) & 0xff] ^ c->table[2][(word >> 40) & 0xff] ^
	       c->table[1][(word >> 48) & 0xff] ^ c->table[0][word >> 56];
}

static uint32_t table_update(const struct rmnic_crc32c *c, uint32_t crc, const void *buf,
			     size_t len)
{
	const uint8_t *p = buf;

	crc = ~crc;
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		crc = table_word(c, crc, rmnic_le64_get(word));
	}
	for (; len; p++, len--)
		crc = c->table[0][(crc ^ *p) & 0xff] ^ (crc >> 8);
	return ~crc;
}

static uint32_t table_copy_page(const struct rmnic_crc32c *c, void *dst, const void *src,
				const void *next)
{
	(void)next; /* the table is slower than memory */
	const uint64_t *from = src;
	uint64_t *to = dst;
	uint32_t crc = ~0u;

	for (unsigned int i = 0; i < PAGE / 8; i++) {
		uint64_t word = __atomic_load_n(&from[i], __ATOMIC_RELAXED);

		to[i] = word;
		crc = table_word(c, crc, rmnic_le64_get(word));
	}
	return ~crc;
}

/* --- SSE4.2: the instruction takes three cycles but starts one each cycle ------------ */

#if defined(__x86_64__)
/* The CRC state after LANE_SIZE zero bytes. */
static inline uint32_t lane_shift(const struct rmnic_crc32c *c, uint32_t crc)
{
	return c->lane[0][crc & 0xff] ^ c->lane[1][(crc >> 8) & 0xff] ^
	       c->lane[2][(crc >> 16) & 0xff] ^ c->lane[3][crc >> 24];
}

static inline uint64_t word_at(const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, 8);
	return word;
}

/* The state after the PAGE bytes at p: four quarters at once, as below. */
__attribute__((target("sse4.2"))) static uint32_t sse_page(const struct rmnic_crc32c *c,
							   uint32_t state, const uint8_t *p)
{
	uint64_t c0 = state, c1 = 0, c2 = 0, c3 = 0;

	for (unsigned int i = 0; i < LANE_SIZE; i += 8) {
		c0 = __builtin_ia32_crc32di(c0, word_at(p + i));
		c1 = __builtin_ia32_crc32di(c1, word_at(p + i + LANE_SIZE));
		c2 = __builtin_ia32_crc32di(c2, word_at(p + i + 2 * LANE_SIZE));
		c3 = __builtin_ia32_crc32di(c3, word_at(p + i + 3 * LANE_SIZE));
	}
	c1 ^= lane_shift(c, (uint32_t)c0);
	c2 ^= lane_shift(c, (uint32_t)c1);
	c3 ^= lane_shift(c, (uint32_t)c2);
	return (uint32_t)c3;
}

__attribute__((target("sse4.2"))) static uint32_t sse_update(const struct rmnic_crc32c *c,
							     uint32_t crc, const void *buf,
							     size_t len)
{
	const uint8_t *p = buf;
	uint64_t state = ~crc;

	for (; len >= PAGE; p += PAGE, len -= PAGE)
		state = sse_page(c, (uint32_t)state, p);
	for (; len >= 8; p += 8, len -= 8)
		state = __builtin_ia32_crc32di(state, word_at(p));
	for (; len; p++, len--)
		state = __builtin_ia32_crc32qi((uint32_t)state, *p);
	return ~(uint32_t)state;
}

#define AHEAD 64u /* words: eight cache lines */

/*
 * Four quarters of the page at once. A CRC without the inversions is linear, so the quarters'
 * CRCs are put together by moving each over the zeros that stand for what follows it.
 */
__attribute__((target("sse4.2"))) static uint32_t sse_copy_page(const struct rmnic_crc32c *c,
								void *dst, const void *src,
								const void *next)
{
	const uint64_t *from = src, *then = next;
	uint64_t *to = dst;
	const unsigned int words = LANE_SIZE / 8;
	uint64_t c0 = ~0u, c1 = 0, c2 = 0, c3 = 0;

	for (unsigned int i = 0; i < words; i++) {
		/* Four streams are more than the CPU's own prefetcher follows on a cold page. */
		if (i % 8 == 0 && i + AHEAD < words) {
			__builtin_prefetch(&from[i + AHEAD]);
			__builtin_prefetch(&from[i + AHEAD + words]);
			__builtin_prefetch(&from[i + AHEAD + 2 * words]);
			__builtin_prefetch(&from[i + AHEAD + 3 * words]);
		}
		if (i % 8 == 0 && then) {
			__builtin_prefetch(&then[i]);
			__builtin_prefetch(&then[i + words]);
			__builtin_prefetch(&then[i + 2 * words]);
			__builtin_prefetch(&then[i + 3 * words]);
		}
		uint64_t w0 = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
		uint64_t w1 = __atomic_load_n(&from[i + words], __ATOMIC_RELAXED);
		uint64_t w2 = __atomic_load_n(&from[i + 2 * words], __ATOMIC_RELAXED);
		uint64_t w3 = __atomic_load_n(&from[i + 3 * words], __ATOMIC_RELAXED);

		to[i] = w0;
		to[i + words] = w1;
		to[i + 2 * words] = w2;
		to[i + 3 * words] = w3;
		c0 = __builtin_ia32_crc32di(c0, w0);
		c1 = __builtin_ia32_crc32di(c1, w1);
		c2 = __builtin_ia32_crc32di(c2, w2);
		c3 = __builtin_ia32_crc32di(c3, w3);
	}
	c1 ^= lane_shift(c, (uint32_t)c0);
	c2 ^= lane_shift(c, (uint32_t)c1);
	c3 ^= lane_shift(c, (uint32_t)c2);
	return ~(uint32_t)c3;
}
#endif

/* --- Setting up ---------------------------------------------------------------------- */

static void table_init(struct rmnic_crc32c *c)
{
	for (unsigned int i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? POLY ^ (crc >> 1) : crc >> 1;
		c->table[0][i] = crc;
	}
	for (unsigned int n = 1; n < 8; n++)
		for (unsigned int i = 0; i < 256; i++) {
			uint32_t crc = c->table[n - 1][i];

			c->table[n][i] = c->table[0][crc & 0xff] ^ (crc >> 8);
		}
	/* Moving over zeros is linear: the entries for single bits make up all others. */
	for (unsigned int n = 0; n < 4; n++)
		for (unsigned int i = 1; i < 256; i++) {
			unsigned int rest = i & (i - 1);
			uint32_t crc = i << (8 * n);

			for (unsigned int k = 0; !rest && k < LANE_SIZE / 8; k++)
				crc = table_word(c, crc, 0);
			c->lane[n][i] = rest ? c->lane[n][rest] ^ c->lane[n][i ^ rest] : crc;
		}
}

void rmnic_crc32c_init(struct rmnic_crc32c *c, bool portable)
{
	table_init(c);
	c->name = "table";
	c->update = table_update;
	c->copy_page = table_copy_page;
#if defined(__x86_64__)
	if (!portable && __builtin_cpu_supports("sse4.2")) {
		c->name = "sse4.2";
		c->update = sse_update;
		c->copy_page = sse_copy_page;
	}
#else
	(void)portable;
#endif
}
