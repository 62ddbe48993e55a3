/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/content.h"

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

void bench_content_fill(void *page, uint64_t rpn, uint32_t version)
{
	uint64_t *word = page;
	uint64_t v = seed(rpn, version);

	for (uint64_t i = 0; i < WORDS; i++)
		word[i] = version == BENCH_VERSION_ZERO ? 0 : v + i * (v << 8 | 0x55);
}

int bench_content_check(const void *page, uint64_t rpn, uint32_t version)
{
	const uint64_t *word = page;
	uint64_t v = seed(rpn, version);
	uint64_t wrong = 0;

	/* Without a branch a word, so that checking costs less than what is measured. */
	for (uint64_t i = 0; i < WORDS; i++)
		wrong |= word[i] ^ (version == BENCH_VERSION_ZERO ? 0 : v + i * (v << 8 | 0x55));
	if (!wrong)
		return -1;
	for (int i = 0; i < WORDS; i++) {
		if (word[i] != (version == BENCH_VERSION_ZERO ? 0 : v + (uint64_t)i * (v << 8 | 0x55)))
			return i;
	}
	return 0;
}

void bench_content_guard(void *page)
{
	for (int i = 0; i < WORDS; i++)
		((uint64_t *)page)[i] = GUARD;
}

bool bench_content_guarded(const void *page)
{
	uint64_t wrong = 0;

	for (int i = 0; i < WORDS; i++)
		wrong |= ((const uint64_t *)page)[i] ^ GUARD;
	return !wrong;
}
