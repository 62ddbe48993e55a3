/* SPDX-License-Identifier: BSD-3-Clause */
#include "program.h"

#include <stdlib.h>

static const uint8_t *input;
static size_t left;
static uint64_t chance;
uint64_t program_now;

uint64_t take(unsigned int bytes)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < bytes && left; i++, left--)
		v |= (uint64_t)*input++ << (8 * i);
	return v;
}

size_t program_left(void)
{
	return left;
}

static uint64_t env_now(void *arg)
{
	(void)arg;
	return program_now;
}

static uint64_t env_random(void *arg)
{
	(void)arg;
	return chance = chance * 6364136223846793005ull + 1442695040888963407ull;
}

static void *env_alloc(void *arg, size_t bytes)
{
	(void)arg;
	return calloc(1, bytes);
}

static void env_free(void *arg, void *memory)
{
	(void)arg;
	free(memory);
}

const struct rmnic_env_ops program_env_ops = { env_now, env_random, env_alloc, env_free };

void program_begin(const uint8_t *data, size_t size)
{
	input = data;
	left = size;
	program_now = 1;
	chance = 7;
}
