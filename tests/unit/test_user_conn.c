/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/le.h"
#include "user/peer.h"
#include "user_rig.h"

/* --- What is asked ---------------------------------------------------------------------------- */

/* One request at a time: the next is not looked at before the answer. */
static void asked__two_at_once(void **state)
{
	uint8_t bytes[64];
	struct user_rig rig;
	size_t len;

	(void)state;
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	rig.hold = true;
	len = user_rig_put(bytes, RMNIC_USER_RESET, 10, NULL, 0);
	len += user_rig_put(bytes + len, RMNIC_USER_START, 11, NULL, 0);
	assert_true(user_rig_send(&rig, bytes, len, NULL, 0));
	user_rig_run(&rig);
	assert_int_equal(rig.asked, RMNIC_USER_RESET);
	assert_int_equal(rmnic_user_conn_events(rig.conn), 0);
	rmnic_user_conn_ready(rig.conn); /* nobody asked for it */
	assert_int_equal(rig.asked, RMNIC_USER_RESET);
	user_rig_expect_silence(&rig);
	user_rig_answer(&rig);
	assert_int_equal(rig.watched, EPOLLIN);
	user_rig_expect(&rig, RMNIC_USER_RESET, 10, RMNIC_USER_S_OK);
	user_rig_run(&rig);
	assert_int_equal(rig.asked, RMNIC_USER_START);
	user_rig_answer(&rig);
	user_rig_expect(&rig, RMNIC_USER_START, 11, RMNIC_USER_S_OK);
	user_rig_stop(&rig);
}

/* USER-21: the front end may end at any byte. */
static void asked__cut_anywhere(void **state)
{
	const struct rmnic_user_hello hello = { 1, 1, 0, 0 };
	struct rmnic_user_device device = user_rig_device();
	uint8_t bytes[512];
	struct user_rig rig;
	size_t len, mid;
	int fd = user_rig_state(&device);

	(void)state;
	mid = user_rig_put(bytes, RMNIC_USER_HELLO, 5, &hello, sizeof(hello));
	len = mid + user_rig_put(bytes + mid, RMNIC_USER_DEVICE, 6, &device, sizeof(device));
	for (size_t cut = 0; cut <= len; cut++) {
		user_rig_start(&rig);
		rig.hold = cut % 2;
		assert_true(!cut || user_rig_send(&rig, bytes, cut < mid ? cut : mid, NULL, 0));
		if (cut > mid)
			assert_true(user_rig_send(&rig, bytes + mid, cut - mid, &fd, 1));
		if (cut % 3)
			user_rig_run(&rig);
		user_rig_hang_up(&rig);
		user_rig_run(&rig);
		assert_int_equal(rig.closings, 1);
		assert_false(rig.front_gone); /* it is this process */
		assert_true(rig.pidfd >= 0);
		assert_true(rig.why[0]);
		user_rig_stop(&rig);
	}
	close(fd);
}

/* --- What is sent ----------------------------------------------------------------------------- */

/* USER-2: a front end that does not read stops itself, not the backend. */
static void answers__not_read(void **state)
{
	const size_t each = sizeof(struct rmnic_user_hdr) + sizeof(struct rmnic_stats);
	uint8_t bytes[64], *answers;
	unsigned int asked = 0;
	struct user_rig rig;
	size_t got = 0, len;
	int small = 1;

	(void)state;
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	setsockopt(rmnic_user_conn_fd(rig.conn), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (rig.watched != EPOLLOUT) {
		assert_true(asked < 1000);
		len = user_rig_put(bytes, RMNIC_USER_STATS, ++asked, NULL, 0);
		assert_true(user_rig_send(&rig, bytes, len, NULL, 0));
		user_rig_run(&rig);
	}
	len = user_rig_put(bytes, RMNIC_USER_STATS, ++asked, NULL, 0);
	assert_true(user_rig_send(&rig, bytes, len, NULL, 0));
	rmnic_user_conn_ready(rig.conn); /* nobody asked for it */
	assert_int_equal(rig.requests, 1 + asked - 1);
	answers = malloc(asked * each);
	while (got < asked * each) {
		ssize_t n = recv(rig.front, answers + got, 100, MSG_DONTWAIT);

		assert_true(n > 0);
		got += (size_t)n;
		user_rig_run(&rig);
	}
	assert_int_equal(rig.watched, EPOLLIN);
	user_rig_expect_silence(&rig);
	for (unsigned int i = 0; i < asked; i++) {
		struct rmnic_user_hdr hdr;
		struct rmnic_user_msg m;

		memcpy(&hdr, answers + i * each, sizeof(hdr));
		assert_null(rmnic_user_hdr_get(&hdr, true, &m));
		assert_null(rmnic_user_reply_check(&m, answers + i * each + sizeof(hdr),
						   RMNIC_USER_STATS, i + 1));
		assert_int_equal(answers[i * each + sizeof(hdr) + 8], 5);
	}
	free(answers);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_RESET, NULL, 0, NULL, 0), RMNIC_USER_S_OK);
	user_rig_stop(&rig);
}

static void notices__without_end(void **state)
{
	struct user_rig rig;
	int small = 1;

	(void)state;
	user_rig_start(&rig);
	setsockopt(rmnic_user_conn_fd(rig.conn), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (uint32_t i = 0; i < 2000; i++)
		rmnic_user_conn_fatal(rig.conn, RMNIC_ERR_DMA, i);
	assert_int_equal(rig.closings, 0); /* not in the middle of what the owner does */
	user_rig_run(&rig);
	assert_int_equal(rig.closings, 1);
	assert_non_null(strstr(rig.why, "does not read"));
	user_rig_stop(&rig);
}

static void notices__fatal_and_leaving(void **state)
{
	struct rmnic_user_fatal fatal;
	struct rmnic_user_msg m;
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	rig.hold = true;
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_RESET, NULL, 0, NULL, 0), -1);
	rmnic_user_conn_fatal(rig.conn, RMNIC_ERR_BAD_SQ_TAIL, 0x01020304);
	assert_true(user_rig_read(&rig, &m, &fatal));
	assert_null(rmnic_user_reply_check(&m, &fatal, RMNIC_USER_RESET, rig.seq));
	assert_int_equal(m.type, RMNIC_USER_FATAL);
	assert_int_equal(fatal.error, RMNIC_ERR_BAD_SQ_TAIL);
	assert_int_equal(fatal.generation, 0x01020304);
	rmnic_user_conn_destroy(rig.conn, true);
	rig.conn = NULL;
	assert_true(user_rig_read(&rig, &m, NULL));
	assert_int_equal(m.type, RMNIC_USER_LEAVING);
	assert_int_equal(m.flags, RMNIC_USER_F_NOTICE);
	assert_int_equal(rig.closings, 0);
	user_rig_stop(&rig);
}

static void answers__twice(void **state)
{
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_RESET, NULL, 0, NULL, 0), RMNIC_USER_S_OK);
	rmnic_user_conn_answer(rig.conn, NULL, 0);
	user_rig_expect_silence(&rig);
	user_rig_run(&rig);
	assert_int_equal(rig.closings, 1);
	user_rig_stop(&rig);
	user_rig_start(&rig);
	rmnic_user_conn_refuse(rig.conn, RMNIC_USER_S_INTERNAL, 0, "no");
	user_rig_expect_silence(&rig);
	user_rig_run(&rig);
	assert_int_equal(rig.closings, 1);
	user_rig_stop(&rig);
}

/* --- The owner, and the process at the other end ---------------------------------------------- */

static void owner__destroys_while_asked(void **state)
{
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	rig.destroys = true;
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_RESET, NULL, 0, NULL, 0), -2);
	assert_int_equal(rig.closings, 0);
	user_rig_stop(&rig);
}

static void owner__peer_ends_before_the_answer(void **state)
{
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	rig.hold = true;
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_RESET, NULL, 0, NULL, 0), -1);
	user_rig_hang_up(&rig);
	user_rig_run(&rig);
	assert_int_equal(rig.closings, 1);
	user_rig_stop(&rig);
}

/* A process that connects, closes its socket, and ends when told to: when told[1] is closed. */
static pid_t front_process(const struct sockaddr_un *to, socklen_t len, const int told[2])
{
	pid_t pid = fork();
	char byte;
	int fd;

	if (pid)
		return pid;
	close(told[1]);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (const struct sockaddr *)to, len) < 0)
		_exit(1);
	close(fd);
	_exit(read(told[0], &byte, 1) != 0);
}

/* USER-21: a socket that closed does not mean that its process is dead; the pidfd tells. */
static void peer__lives_and_dies(void **state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(to.sun_family); /* the kernel chooses a name */
	struct pollfd dead = { .events = POLLIN };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), told[2];
	struct user_rig rig;
	int first, pidfd;
	pid_t pid;

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&to, len), 0);
	len = sizeof(to);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&to, &len), 0);
	assert_int_equal(listen(listener, 2), 0);
	assert_int_equal(pipe(told), 0);
	pid = front_process(&to, len, told);
	first = accept(listener, NULL, NULL);
	user_rig_start_on(&rig, first);
	assert_int_equal(rmnic_user_conn_pid(rig.conn, &pidfd), pid);
	assert_true(pidfd >= 0);
	while (!rig.closings) {
		struct pollfd p = { .fd = first, .events = POLLIN };

		assert_int_equal(poll(&p, 1, 60000), 1);
		user_rig_run(&rig);
	}
	assert_false(rig.front_gone);
	assert_true(rig.pidfd >= 0);
	dead.fd = rig.pidfd;
	assert_int_equal(poll(&dead, 1, 0), 0);
	close(told[1]);
	rig.open_fds--;
	assert_int_equal(poll(&dead, 1, 60000), 1);
	user_rig_stop(&rig);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(told[0]);
	close(listener);
}

static void peer__is_dead(void **state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(to.sun_family);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), told[2];
	struct user_rig rig;
	pid_t pid;

	(void)state;
	assert_int_equal(bind(listener, (struct sockaddr *)&to, len), 0);
	len = sizeof(to);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&to, &len), 0);
	assert_int_equal(listen(listener, 2), 0);
	assert_int_equal(pipe(told), 0);
	pid = front_process(&to, len, told);
	close(told[1]);
	user_rig_start_on(&rig, accept(listener, NULL, NULL));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	user_rig_run(&rig);
	assert_int_equal(rig.closings, 1);
	assert_true(rig.front_gone);
	user_rig_stop(&rig);
	close(told[0]);
	close(listener);
}

/* Where the kernel gives no pidfd, what is not known dead counts as alive. */
static void peer__without_pidfd(void **state)
{
	(void)state;
	assert_true(rmnic_user_peer_dead(&(struct rmnic_user_peer){ 7, -1, true }));
	assert_false(rmnic_user_peer_dead(&(struct rmnic_user_peer){ 7, -1, false }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked__two_at_once),
		cmocka_unit_test(asked__cut_anywhere),
		cmocka_unit_test(answers__not_read),
		cmocka_unit_test(notices__without_end),
		cmocka_unit_test(notices__fatal_and_leaving),
		cmocka_unit_test(answers__twice),
		cmocka_unit_test(owner__destroys_while_asked),
		cmocka_unit_test(owner__peer_ends_before_the_answer),
		cmocka_unit_test(peer__lives_and_dies),
		cmocka_unit_test(peer__is_dead),
		cmocka_unit_test(peer__without_pidfd),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
