/* SPDX-License-Identifier: BSD-3-Clause */
/* engine/page.h - looking at the bytes of one 4 KiB page. */
#ifndef RMNIC_ENGINE_PAGE_H
#define RMNIC_ENGINE_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/crc32c.h"

/*
 * Whether a page may be one word repeated, looking at a few words only. page may change
 * meanwhile: true is a hint to look at a private copy, false is always safe to act on.
 */
bool rmnic_page_maybe_same(const void *page);
/* Whether a private page is one 64-bit word repeated, and which. */
bool rmnic_page_same_filled(const void *page, uint64_t *word);
/* Writes word all over a page. */
void rmnic_page_fill(void *page, uint64_t word);
/*
 * The checksum of a page (RULES A2): over its bytes, of which crc is the CRC already, and
 * what they are: whose, which page, which version, how long.
 */
uint32_t rmnic_page_seal(const struct rmnic_crc32c *c, uint32_t crc, const uint8_t *uuid,
			 uint64_t rpn, uint64_t version);

#endif /* RMNIC_ENGINE_PAGE_H */
