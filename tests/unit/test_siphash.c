/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/siphash.h"

/* Key and message 00 01 02 ..., as in the paper's appendix and the authors' vectors. */
static void siphash__published_vectors(void **state)
{
	const uint64_t key[2] = { 0x0706050403020100ull, 0x0f0e0d0c0b0a0908ull };
	uint8_t in[15];

	(void)state;
	for (unsigned int i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	assert_true(rmnic_siphash(key, in, 15) == 0xa129ca6149be45e5ull);
	assert_true(rmnic_siphash(key, in, 0) == 0x726fdb47dd0e0e31ull);
	assert_true(rmnic_siphash(key, in, 8) == 0x93f5f5799a932462ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(siphash__published_vectors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
