/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/crc32c.h - CRC32C (Castagnoli), over any buffer and fused with the copy of a page.
 *
 * The tables live in an object of the caller's, so that there is no global state to set up.
 */
#ifndef RMNIC_ENGINE_CRC32C_H
#define RMNIC_ENGINE_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rmnic_crc32c {
	const char *name; /* of the implementation */
	uint32_t (*update)(const struct rmnic_crc32c *c, uint32_t crc, const void *buf, size_t len);
	uint32_t (*copy_page)(const struct rmnic_crc32c *c, void *dst, const void *src,
			      const void *next);
	uint32_t table[8][256]; /* portable: the CRC of one byte followed by 0 to 7 zeros */
	uint32_t lane[4][256];  /* advances a CRC over a quarter of a page of zeros */
};

/* Chooses the fastest implementation this CPU has; portable forces the table. */
void rmnic_crc32c_init(struct rmnic_crc32c *c, bool portable);

/*
 * The CRC of a buffer appended to what crc is the CRC of (0: nothing). The standard form:
 * inverted on the way in and out.
 */
static inline uint32_t rmnic_crc32c_update(const struct rmnic_crc32c *c, uint32_t crc,
					   const void *buf, size_t len)
{
	return c->update(c, crc, buf, len);
}

/*
 * Copies 4096 bytes and returns the CRC of what was copied. Each word of src is read once,
 * so that the two agree even while src changes (RULES B5). Both are aligned to 8 bytes.
 */
static inline uint32_t rmnic_crc32c_copy_page(const struct rmnic_crc32c *c, void *dst,
					      const void *src)
{
	return c->copy_page(c, dst, src, NULL);
}

/* The same, and fetches the page at next, wherever that is, into the CPU's cache meanwhile. */
static inline uint32_t rmnic_crc32c_copy_page_before(const struct rmnic_crc32c *c, void *dst,
						     const void *src, const void *next)
{
	return c->copy_page(c, dst, src, next);
}

#endif /* RMNIC_ENGINE_CRC32C_H */
