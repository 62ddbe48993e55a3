/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/content.h"

#include <string.h>

#define WORDS 512
#define GUARD 0x6775617264206d65ull /* what a page holds is never this word: see seed() */

/* splitmix64: neighbouring pages and versions have nothing in common. */
static uint64_t seed(uint64_t rpn, uint32_t version)
{
	uint64_t z = (rpn << 24) + version * 0x9e3779b97f4a7c15ull + 1;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) | 1;
}

/* Word i of a page is the sum of seed() and i steps, so that a word in a wrong place shows. */
static uint64_t step(uint64_t v)
{
	return v << 8 | 0x55;
}

/*
 * Two words at a time, as every CPU that DPDK runs on can: pages are filled and checked between the operations that are
 * measured, by the same thread.
 */
#define LANES 2u
typedef uint64_t lanes __attribute__((vector_size(LANES * 8)));

static void fill(void *page, uint64_t v, uint64_t by)
{
	lanes words = { v, v + by };

	for (uint8_t *at = page; at < (uint8_t *)page + WORDS * 8; at += sizeof(words), words += LANES * by)
		memcpy(at, &words, sizeof(words));
}

static bool is_filled(const void *page, uint64_t v, uint64_t by)
{
	lanes words = { v, v + by }, wrong = words ^ words, found;
	uint64_t any = 0;

	for (const uint8_t *at = page; at < (const uint8_t *)page + WORDS * 8;
	     at += sizeof(words), words += LANES * by) {
		memcpy(&found, at, sizeof(found));
		wrong |= found ^ words;
	}
	for (unsigned int i = 0; i < LANES; i++)
		any |= wrong[i];
	return !any;
}

void bench_content_fill(void *page, uint64_t rpn, uint32_t version)
{
	uint64_t v = seed(rpn, version);

	if (version == BENCH_VERSION_ZERO)
		fill(page, 0, 0);
	else
		fill(page, v, step(v));
}

int bench_content_check(const void *page, uint64_t rpn, uint32_t version)
{
	const uint64_t *word = page;
	bool zero = version == BENCH_VERSION_ZERO;
	uint64_t v = zero ? 0 : seed(rpn, version), by = zero ? 0 : step(v);

	if (is_filled(page, v, by))
		return -1;
	for (int i = 0; i < WORDS; i++, v += by) {
		if (word[i] != v)
			return i;
	}
	return 0;
}

void bench_content_guard(void *page)
{
	fill(page, GUARD, 0);
}

bool bench_content_guarded(const void *page)
{
	return is_filled(page, GUARD, 0);
}
