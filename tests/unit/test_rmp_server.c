/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server_rig.h"

/* RMP-13, RMP-14 */
static void epoch__fences(void **state)
{
	struct rmnic_rmp_msg m;
	uint32_t old = session;

	(void)state;
	fill(1);
	assert_int_equal(write_page(33, 1), RMNIC_RMP_S_OK);
	m = write_msg(33, 2);
	m.epoch = 6;
	assert_int_equal(ask(&m, page, 4096), RMNIC_RMP_S_NOT_SEALED);
	open_session(); /* the same nonce: the same session; it stands for the successor */
	assert_int_equal(seal(6), RMNIC_RMP_S_OK);
	session = old;
	assert_int_equal(write_page(33, 3), RMNIC_RMP_S_FENCED);
	assert_int_equal(sent[0].msg.epoch, 6);
	assert_int_equal(read_page(33), RMNIC_RMP_S_FENCED);
	assert_int_equal(alloc(2, 5), RMNIC_RMP_S_FENCED);
	assert_int_equal(seal(5), RMNIC_RMP_S_FENCED);
	assert_int_equal(rmnic_mem_page(rmnic_mem_slab(ms, 0, handle), 33)->vstate >> 16, 1);
}

/* RMP-37: noise, and messages that are right but for one field, stop nobody. */
static void rx__noise(void **state)
{
	uint8_t out[256];

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct rmnic_rmp_msg m = { .type = (uint8_t)(1 + memnet_random(&net) % 16) };
		uint32_t len = (uint32_t)(memnet_random(&net) % 180) & ~3u;

		for (unsigned int k = 0; k < sizeof(out); k++)
			out[k] = memnet_chance(&net, 300) ? (uint8_t)memnet_random(&net) : 0;
		m.session = session;
		m.epoch = memnet_chance(&net, 800) ? 5 : (uint32_t)memnet_random(&net);
		m.handle = memnet_chance(&net, 800) ? handle : memnet_random(&net);
		m.rpn = memnet_chance(&net, 800) ? 32 + (uint64_t)i % 32 : memnet_random(&net);
		m.version = memnet_random(&net) >> 40;
		if (m.type == RMNIC_RMP_CLOSE || (m.type == RMNIC_RMP_SEAL && m.epoch != 5))
			continue;
		if (memnet_chance(&net, 100)) {
			give(out, len);
		} else if (rmnic_rmp_carries_page(m.type)) {
			m.total = m.type == RMNIC_RMP_WRITE ? 4096 : 4;
			m.flags = m.type == RMNIC_RMP_WRITE ? 0 : RMNIC_RMP_F_FILLED;
			rmnic_rmp_encode(&crc, out, &m, len, boot);
			give(out, RMNIC_RMP_HDR_SIZE + len);
		} else {
			rmnic_rmp_encode_body(&crc, out, &m, out + RMNIC_RMP_HDR_SIZE, len, boot);
			give(out, RMNIC_RMP_HDR_SIZE + len);
		}
		rmnic_rmp_server_poll(server);
	}
	open_session();
	assert_int_equal(seal(5), RMNIC_RMP_S_OK);
	assert_true(alloc(0, 5) >= 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_rig_up, server_rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(epoch__fences),
		TEST(rx__noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
