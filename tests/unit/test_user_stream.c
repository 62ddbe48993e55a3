/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "user_rig.h"

/* --- Receiving -------------------------------------------------------------------------------- */

/* USER-1: however the bytes come, the requests are the same, with their descriptors. */
static void bytes__one_at_a_time(void **state)
{
	const struct rmnic_user_hello hello = { 1, 1, 0, 0 };
	struct rmnic_user_device device = user_rig_device();
	uint8_t bytes[512];
	struct user_rig rig;
	size_t len;
	int fd;

	(void)state;
	user_rig_start(&rig);
	len = user_rig_put(bytes, RMNIC_USER_HELLO, 5, &hello, sizeof(hello));
	len += user_rig_put(bytes + len, RMNIC_USER_DEVICE, 6, &device, sizeof(device));
	len += user_rig_put(bytes + len, RMNIC_USER_RESET, 7, NULL, 0);
	fd = user_rig_state(&device);
	for (size_t at = 0; at < len; at++) {
		bool first = at == sizeof(struct rmnic_user_hdr) + sizeof(hello);

		assert_true(user_rig_send(&rig, bytes + at, 1, &fd, first));
		user_rig_run(&rig);
	}
	close(fd);
	user_rig_expect(&rig, RMNIC_USER_HELLO, 5, RMNIC_USER_S_OK);
	user_rig_expect(&rig, RMNIC_USER_DEVICE, 6, RMNIC_USER_S_OK);
	user_rig_expect(&rig, RMNIC_USER_RESET, 7, RMNIC_USER_S_OK);
	assert_int_equal(rig.requests, 2);
	user_rig_stop(&rig);
}

/* Descriptors stay with their message when many wait in the socket. */
static void bytes__descriptors_of_the_next(void **state)
{
	const struct rmnic_user_region region = { 0x1000, 0x1000, 0, 0 };
	struct user_rig rig;
	uint8_t bytes[64];
	int event, memory = user_rig_memfd(4096, 0);
	size_t len;

	(void)state;
	event = user_rig_eventfd();
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	len = user_rig_put(bytes, RMNIC_USER_RESET, 10, NULL, 0);
	assert_true(user_rig_send(&rig, bytes, len, NULL, 0));
	len = user_rig_put(bytes, RMNIC_USER_KICK, 11, NULL, 0);
	assert_true(user_rig_send(&rig, bytes, len, &event, 1));
	len = user_rig_put(bytes, RMNIC_USER_MEM_ADD, 12, &region, sizeof(region));
	assert_true(user_rig_send(&rig, bytes, len, &memory, 1));
	len = user_rig_put(bytes, RMNIC_USER_START, 13, NULL, 0);
	assert_true(user_rig_send(&rig, bytes, len, NULL, 0));
	user_rig_run(&rig);
	user_rig_expect(&rig, RMNIC_USER_RESET, 10, RMNIC_USER_S_OK);
	user_rig_expect(&rig, RMNIC_USER_KICK, 11, RMNIC_USER_S_OK);
	user_rig_expect(&rig, RMNIC_USER_MEM_ADD, 12, RMNIC_USER_S_OK);
	user_rig_expect(&rig, RMNIC_USER_START, 13, RMNIC_USER_S_OK);
	assert_int_equal(rig.nfds, 2);
	user_rig_stop(&rig);
	close(event);
	close(memory);
}

/* USER-1: descriptors that come too late, or too many, are closed and the request refused. */
static void bytes__stray_descriptors(void **state)
{
	const struct rmnic_user_call call = { 0, 16, 0 };
	uint8_t bytes[64];
	struct user_rig rig;
	int fds[40];
	size_t len;

	(void)state;
	for (unsigned int i = 0; i < 40; i++)
		fds[i] = user_rig_eventfd();
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	len = user_rig_put(bytes, RMNIC_USER_KICK, 10, NULL, 0);
	assert_true(user_rig_send(&rig, bytes, 3, NULL, 0));
	user_rig_run(&rig);
	assert_true(user_rig_send(&rig, bytes + 3, len - 3, fds, 1));
	user_rig_run(&rig);
	user_rig_expect(&rig, RMNIC_USER_KICK, 10, RMNIC_USER_S_INVALID);
	/* Some at the first byte and some later. */
	assert_true(user_rig_send(&rig, bytes, 3, fds, 1));
	user_rig_run(&rig);
	assert_true(user_rig_send(&rig, bytes + 3, len - 3, fds, 1));
	user_rig_run(&rig);
	user_rig_expect(&rig, RMNIC_USER_KICK, 10, RMNIC_USER_S_INVALID);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_KICK, NULL, 0, fds, 17),
			 RMNIC_USER_S_INVALID);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_CALL, &call, sizeof(call), fds, 16),
			 RMNIC_USER_S_OK);
	user_rig_drop(&rig);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_CALL, &call, sizeof(call), fds, 17),
			 RMNIC_USER_S_INVALID);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_CALL, &call, sizeof(call), fds, 40),
			 RMNIC_USER_S_INVALID);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_RESET, NULL, 0, fds, 1),
			 RMNIC_USER_S_INVALID);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_KICK, NULL, 0, fds, 1), RMNIC_USER_S_OK);
	assert_int_equal(rig.nfds, 1);
	user_rig_stop(&rig);
	for (unsigned int i = 0; i < 40; i++)
		close(fds[i]);
}

/* USER-1: where the next message begins nobody knows. */
static void bytes__wrong_header(void **state)
{
	uint8_t bytes[64] = { 0 };
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	assert_true(user_rig_send(&rig, bytes, sizeof(bytes), NULL, 0));
	user_rig_run(&rig);
	assert_int_equal(rig.closings, 1);
	assert_non_null(strstr(rig.why, "magic"));
	user_rig_stop(&rig);
}

/* --- Sending ---------------------------------------------------------------------------------- */

/* What the socket takes of a message depends on what is in it already. */
static void answers__sent_in_parts(void **state)
{
	const size_t whole = sizeof(struct rmnic_user_hdr) + sizeof(struct rmnic_stats);
	unsigned int parts = 0;

	(void)state;
	for (unsigned int before = 0; before < 12; before++) {
		uint8_t bytes[64];
		uint8_t answer[sizeof(struct rmnic_user_hdr) + sizeof(struct rmnic_stats)] = { 0 };
		int small = 1, waiting = 0;
		struct rmnic_user_fatal fatal;
		struct rmnic_user_msg m;
		struct user_rig rig;
		size_t got = 0;

		user_rig_start(&rig);
		user_rig_set_up(&rig);
		setsockopt(rmnic_user_conn_fd(rig.conn), SOL_SOCKET, SO_SNDBUF, &small,
			   sizeof(small));
		for (unsigned int i = 0; i < before; i++)
			rmnic_user_conn_fatal(rig.conn, RMNIC_ERR_DMA, i);
		assert_true(user_rig_send(&rig, bytes, user_rig_put(bytes, RMNIC_USER_STATS, 77, NULL, 0),
					  NULL, 0));
		user_rig_run(&rig);
		ioctl(rig.front, FIONREAD, &waiting);
		parts += (size_t)waiting > before * 32 && (size_t)waiting < before * 32 + whole;
		for (unsigned int i = 0; i < before; i++) {
			assert_true(user_rig_read(&rig, &m, &fatal));
			assert_int_equal(fatal.generation, i);
			user_rig_run(&rig);
		}
		while (got < whole) {
			ssize_t n = recv(rig.front, answer + got, whole - got, MSG_DONTWAIT);

			assert_true(n > 0);
			got += (size_t)n;
			user_rig_run(&rig);
		}
		memcpy(bytes, answer, sizeof(struct rmnic_user_hdr));
		assert_null(rmnic_user_hdr_get((void *)bytes, true, &m));
		assert_null(rmnic_user_reply_check(&m, answer + sizeof(struct rmnic_user_hdr),
						   RMNIC_USER_STATS, 77));
		user_rig_stop(&rig);
	}
	assert_true(parts > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes__one_at_a_time),
		cmocka_unit_test(bytes__descriptors_of_the_next),
		cmocka_unit_test(bytes__stray_descriptors),
		cmocka_unit_test(bytes__wrong_header),
		cmocka_unit_test(answers__sent_in_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
