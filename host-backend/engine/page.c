/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/page.h"

#include <string.h>

#include "engine/le.h"

#define PAGE  4096
#define WORDS (PAGE / 8)

bool rmnic_page_maybe_same(const void *page)
{
	const uint64_t *p = page;
	uint64_t first = __atomic_load_n(&p[0], __ATOMIC_RELAXED);

	return __atomic_load_n(&p[WORDS - 1], __ATOMIC_RELAXED) == first &&
	       __atomic_load_n(&p[1], __ATOMIC_RELAXED) == first &&
	       __atomic_load_n(&p[WORDS / 2], __ATOMIC_RELAXED) == first;
}

bool rmnic_page_same_filled(const void *page, uint64_t *word)
{
	const uint64_t *p = page;

	/* Blocks of one cache line, without a branch inside: the compiler makes vectors. */
	for (unsigned int i = 0; i < WORDS; i += 8) {
		uint64_t diff = 0;

		for (unsigned int k = 0; k < 8; k++)
			diff |= p[i + k] ^ p[0];
		if (diff)
			return false;
	}
	*word = p[0];
	return true;
}

void rmnic_page_fill(void *page, uint64_t word)
{
	uint64_t *p = page;

	if (word == 0) {
		memset(page, 0, PAGE);
		return;
	}
	for (unsigned int i = 0; i < WORDS; i++)
		p[i] = word;
}

uint32_t rmnic_page_seal(const struct rmnic_crc32c *c, uint32_t crc, const uint8_t *uuid,
			 uint64_t rpn, uint64_t version)
{
	struct {
		uint8_t uuid[16];
		uint64_t rpn;
		uint64_t version;
		uint64_t length;
	} what;

	memcpy(what.uuid, uuid, sizeof(what.uuid));
	what.rpn = rmnic_le64_put(rpn);
	what.version = rmnic_le64_put(version);
	what.length = rmnic_le64_put(PAGE);
	return rmnic_crc32c_update(c, crc, &what, sizeof(what));
}
