/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server_rig.h"

/* RMP-6: an answer is never longer than the question, and nothing is kept before the cookie. */
static void hello__cookie_first(void **state)
{
	struct rmnic_rmp_hello h = hello_body();
	struct rmnic_rmp_welcome w;

	(void)state;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
	assert_true(sent[0].len <= RMNIC_RMP_HDR_SIZE + sizeof(h));
	assert_int_equal(w.session, 0);
	memcpy(h.cookie, w.cookie, 16);
	h.cookie[5] ^= 1;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
	h.cookie[5] ^= 1;
	ip = 10; /* the cookie is for another address */
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
	ip = 9;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_OK);
	assert_int_equal(w.session, session); /* the same nonce: the same session */
	net.now += 200000000000ull;
	h.nonce++;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
}

/* RMP-7, RMP-32 */
static void hello__refused(void **state)
{
	struct rmnic_rmp_hello h = hello_body();
	struct rmnic_rmp_welcome w;

	(void)state;
	h.version_min = h.version_max = 2;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_VERSION);
	assert_int_equal(w.version_min, 1);
	assert_int_equal(w.version_max, 1);
	assert_int_equal(w.version, 0);
	h = hello_body();
	h.checksums = 2;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_UNSUPPORTED);
	h = hello_body();
	h.rsvd2[15] = 1;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_INVALID);
}

/* RMP-8 */
static void hello__token(void **state)
{
	struct rmnic_rmp_hello h = hello_body();
	struct rmnic_rmp_welcome w;
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_STAT };

	(void)state;
	fill(1);
	assert_int_equal(write_page(32, 1), RMNIC_RMP_S_OK);
	h.nonce = 78;
	h.token[31]++;
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_COOKIE);
	memcpy(h.cookie, w.cookie, 16);
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_DENIED);
	h.device[0]++; /* another device: it sees nothing of the first one's */
	assert_int_equal(hello(&h, &w), RMNIC_RMP_S_OK);
	session = w.session;
	assert_int_equal(seal(5), RMNIC_RMP_S_OK);
	assert_int_equal(read_page(32), RMNIC_RMP_S_UNKNOWN_SLAB);
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	assert_int_equal(rmnic_rmp_get64(sent[0].msg.payload +
					 offsetof(struct rmnic_rmp_stat, device_slabs)),
			 0);
}

/* RMP-9, RMP-10, RMP-16: a restart with and without memory. */
static void restart__other_boot_id(void **state)
{
	uint64_t old_boot = boot, old_store = ms->store_id;
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_READ, .handle = handle, .rpn = 32, .epoch = 5 };

	(void)state;
	fill(4);
	assert_int_equal(write_page(32, 4), RMNIC_RMP_S_OK);
	rmnic_rmp_server_destroy(server);
	server = rmnic_rmp_server_create(&config);
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_NO_SESSION);
	assert_int_equal(sent[0].msg.session, 0);
	assert_true(sent[0].len <= RMNIC_RMP_HDR_SIZE);
	open_session();
	assert_true(boot != old_boot);
	assert_true(ms->store_id == old_store);
	assert_int_equal(read_page(32), RMNIC_RMP_S_NOT_SEALED); /* RMP-14: not by this session */
	assert_int_equal(seal(5), RMNIC_RMP_S_OK);
	assert_int_equal(read_page(32), RMNIC_RMP_S_OK);
}

/* A session is of use from the address that proved its own, and closed when asked to. */
static void session__address_and_close(void **state)
{
	struct rmnic_rmp_msg m = { .type = RMNIC_RMP_PING };

	(void)state;
	ip = 10;
	assert_int_equal(ask(&m, NULL, 0), -1);
	ip = 9;
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	m = (struct rmnic_rmp_msg){ .type = RMNIC_RMP_CLOSE };
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_OK);
	m = (struct rmnic_rmp_msg){ .type = RMNIC_RMP_PING };
	assert_int_equal(ask(&m, NULL, 0), RMNIC_RMP_S_NO_SESSION);
}

/* RMP-36 */
static void lease__collects_garbage_only(void **state)
{
	(void)state;
	rmnic_rmp_server_destroy(server);
	config.lease_ns = 1000;
	server = rmnic_rmp_server_create(&config);
	open_session();
	assert_int_equal(seal(5), RMNIC_RMP_S_OK);
	for (int i = 0; i < 8; i++)
		rmnic_rmp_server_poll(server);
	assert_int_equal(read_page(32), RMNIC_RMP_S_ABSENT);
	net.now += 2000;
	for (int i = 0; i < 8; i++)
		rmnic_rmp_server_poll(server);
	assert_int_equal(ms->devices[0].slabs, 0);
	assert_int_equal(rmnic_rmp_server_counters(server)->leases, 1);
	config.lease_ns = 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, server_rig_up, server_rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hello__cookie_first),
		TEST(hello__refused),
		TEST(hello__token),
		TEST(restart__other_boot_id),
		TEST(session__address_and_close),
		TEST(lease__collects_garbage_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
