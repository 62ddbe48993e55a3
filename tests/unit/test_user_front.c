/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/le.h"
#include "user/front.h"
#include "user_rig.h"

#define SOON 50 /* ms, where the time is to run out */
#define LONG 60000

static struct user_vector *vectors;
static unsigned int nvectors;
static struct rmnic_error err;
static struct rmnic_user_hello_reply hello;

/* --- A backend that has said all it will ever say --------------------------------------------- */

struct script {
	int backend;
	struct rmnic_user_front *front;
};

static void say(struct script *s, const char *name, uint32_t seq)
{
	const struct user_vector *v = user_vectors_find(vectors, nvectors, name);
	struct rmnic_user_msg m = v->msg;
	struct rmnic_user_hdr hdr;

	m.seq = m.flags & RMNIC_USER_F_NOTICE ? 0 : seq;
	rmnic_user_hdr_put(&hdr, &m);
	assert_int_equal(send(s->backend, &hdr, sizeof(hdr), 0), sizeof(hdr));
	if (m.size)
		assert_int_equal(send(s->backend, v->bytes + sizeof(hdr), m.size, 0), m.size);
}

static void adopt(struct script *s, int fd, int timeout_ms)
{
	memset(&err, 0, sizeof(err));
	s->front = rmnic_user_front_adopt(fd, timeout_ms, &hello, &err);
}

static int script_pair(struct script *s)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	s->backend = pair[1];
	return pair[0];
}

/* Connected: HELLO was answered. */
static void script_start(struct script *s, int timeout_ms)
{
	int fd = script_pair(s);

	say(s, "hello-reply", 1);
	adopt(s, fd, timeout_ms);
	assert_non_null(s->front);
}

static void script_end(struct script *s)
{
	if (s->front)
		rmnic_user_front_close(s->front);
	if (s->backend >= 0)
		close(s->backend);
}

static int ask(struct script *s, uint16_t type)
{
	memset(&err, 0, sizeof(err));
	return rmnic_user_front_request(s->front, type, NULL, 0, NULL, 0, NULL, 0, NULL, &err);
}

static void expect_text(const char *text)
{
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void request__answered(void **state)
{
	struct rmnic_user_capacity want = { 49152 }, got = { 0 };
	struct rmnic_user_hdr hdr;
	struct script s;

	(void)state;
	script_start(&s, LONG);
	assert_int_equal(hello.device_features, 14);
	assert_string_equal(hello.name, "rmnicd 1.0");
	say(&s, "capacity-reply", 2);
	assert_int_equal(rmnic_user_front_request(s.front, RMNIC_USER_CAPACITY, &want, sizeof(want),
						  NULL, 0, &got, sizeof(got), NULL, &err),
			 RMNIC_USER_S_OK);
	assert_int_equal(got.pages, 49152);
	/* What it sent is what the backend takes. */
	assert_int_equal(recv(s.backend, &hdr, sizeof(hdr), 0), sizeof(hdr));
	assert_int_equal(hdr.type, RMNIC_USER_HELLO);
	assert_int_equal(recv(s.backend, &hello, sizeof(struct rmnic_user_hello), 0), 16);
	assert_int_equal(recv(s.backend, &hdr, sizeof(hdr), 0), sizeof(hdr));
	assert_int_equal(hdr.type, RMNIC_USER_CAPACITY);
	assert_int_equal(hdr.seq, 2);
	script_end(&s);
}

static void request__refused(void **state)
{
	uint8_t device[128] = { 0 };
	struct rmnic_user_device_reply reply;
	uint64_t available = 1;
	struct script s;

	(void)state;
	script_start(&s, LONG);
	say(&s, "device-no-space", 2);
	assert_int_equal(rmnic_user_front_request(s.front, RMNIC_USER_DEVICE, device,
						  sizeof(device), NULL, 0, &reply, sizeof(reply),
						  &available, &err),
			 RMNIC_USER_S_NO_SPACE);
	assert_int_equal(available, 16384);
	expect_text("refuses DEVICE (NO_SPACE): the servers hold 16384 pages");
	say(&s, "reset-reply", 3);
	assert_int_equal(ask(&s, RMNIC_USER_RESET), RMNIC_USER_S_OK);
	script_end(&s);
}

/* USER-3: a hostile text is shown without what a terminal would take for more than text. */
static void request__refused_with_escapes(void **state)
{
	struct rmnic_user_msg m = { .type = RMNIC_USER_RESET, .flags = RMNIC_USER_F_REPLY,
				    .status = RMNIC_USER_S_INTERNAL, .seq = 2,
				    .size = sizeof(struct rmnic_user_error) };
	struct rmnic_user_error e = { 0 };
	struct rmnic_user_hdr hdr;
	struct script s;

	(void)state;
	script_start(&s, LONG);
	memset(e.text, '\x1b', sizeof(e.text)); /* and no end */
	rmnic_user_hdr_put(&hdr, &m);
	assert_int_equal(send(s.backend, &hdr, sizeof(hdr), 0), sizeof(hdr));
	assert_int_equal(send(s.backend, &e, sizeof(e), 0), sizeof(e));
	assert_int_equal(ask(&s, RMNIC_USER_RESET), RMNIC_USER_S_INTERNAL);
	expect_text("(INTERNAL): ????");
	assert_null(strchr(err.text, '\x1b'));
	script_end(&s);
}

/* USER-4 */
static void open__version(void **state)
{
	struct script s;
	int fd = script_pair(&s);

	(void)state;
	say(&s, "hello-version", 1);
	adopt(&s, fd, LONG);
	assert_null(s.front);
	expect_text("(VERSION): no version of rmnic-user in common");
	script_end(&s);
}

/* USER-1: what is wrong ends the connection for good. */
static void replies__wrong(void **state)
{
	static const struct {
		const char *vector, *text;
		uint32_t seq;
	} wrong[] = {
		{ "start-reply", "another request", 2 },
		{ "reset-reply", "another request", 3 },
		{ "reset-reply", "another request", 1 },
		{ "reset", "neither a reply nor a notice", 2 },
		{ "hello-reply", "another request", 2 },
	};
	struct script s;

	(void)state;
	for (unsigned int i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		script_start(&s, LONG);
		say(&s, wrong[i].vector, wrong[i].seq);
		assert_int_equal(ask(&s, RMNIC_USER_RESET), -1);
		expect_text(wrong[i].text);
		say(&s, "reset-reply", 3);
		assert_int_equal(ask(&s, RMNIC_USER_RESET), -1);
		expect_text(wrong[i].text);
		script_end(&s);
	}
}

static void replies__of_another_size(void **state)
{
	struct script s;
	uint64_t small;

	(void)state;
	script_start(&s, LONG);
	say(&s, "stats-reply", 2);
	assert_int_equal(rmnic_user_front_request(s.front, RMNIC_USER_STATS, NULL, 0, NULL, 0,
						  &small, sizeof(small), NULL, &err),
			 -1);
	expect_text("another length");
	script_end(&s);
}

/* --- Ends ------------------------------------------------------------------------------------- */

/* A hello-reply cut after each byte, with the backend silent or gone behind it. */
static void open__cut_anywhere(void **state)
{
	const struct user_vector *v = user_vectors_find(vectors, nvectors, "hello-reply");
	uint8_t bytes[128];
	struct script s;

	(void)state;
	memcpy(bytes, v->bytes, v->len);
	((struct rmnic_user_hdr *)bytes)->seq = rmnic_le32_put(1);
	for (uint32_t cut = 0; cut <= v->len; cut++) {
		int fd = script_pair(&s);

		assert_true(send(s.backend, bytes, cut, 0) == (ssize_t)cut);
		if (cut % 8) {
			shutdown(s.backend, SHUT_WR);
			adopt(&s, fd, LONG);
		} else {
			adopt(&s, fd, cut < v->len ? 1 : LONG);
		}
		assert_int_equal(!!s.front, cut == v->len);
		if (cut < v->len)
			expect_text(cut % 8 ? "closed" : "in time");
		script_end(&s);
	}
}

static void request__no_answer(void **state)
{
	struct script s;

	(void)state;
	script_start(&s, SOON);
	assert_int_equal(ask(&s, RMNIC_USER_RESET), -1);
	expect_text("did not answer in time");
	/* The answer that comes late is not taken for the next request's. */
	say(&s, "reset-reply", 2);
	assert_int_equal(ask(&s, RMNIC_USER_RESET), -1);
	script_end(&s);
}

/* Nobody reads what is sent: that takes no longer than told either. */
static void request__not_read(void **state)
{
	static uint8_t payload[RMNIC_USER_MAX_PAYLOAD];
	struct script s;
	int status = 0;

	(void)state;
	script_start(&s, SOON);
	for (int i = 0; i < 1000 && status != -1; i++) {
		/* Answered before it is asked, so that all depends on the sending. */
		say(&s, "log-reply", (uint32_t)i + 2);
		status = rmnic_user_front_request(s.front, RMNIC_USER_LOG, payload,
						  sizeof(payload), NULL, 0, NULL, 0, NULL, &err);
	}
	assert_int_equal(status, -1);
	expect_text("in time");
	script_end(&s);
}

/* --- Notices ---------------------------------------------------------------------------------- */

static void notices__between_answers(void **state)
{
	uint32_t error = 0, generation = 0;
	struct script s;

	(void)state;
	script_start(&s, LONG);
	say(&s, "fatal", 0);
	say(&s, "reset-reply", 2);
	assert_false(rmnic_user_front_fatal(s.front, &error, &generation));
	assert_int_equal(ask(&s, RMNIC_USER_RESET), RMNIC_USER_S_OK);
	assert_true(rmnic_user_front_fatal(s.front, &error, &generation));
	assert_int_equal(error, RMNIC_ERR_DMA);
	assert_int_equal(generation, 0xa1b2c3d4);
	assert_false(rmnic_user_front_fatal(s.front, &error, &generation));
	assert_int_equal(rmnic_user_front_listen(s.front, &err), 0);
	say(&s, "fatal", 0);
	assert_int_equal(rmnic_user_front_listen(s.front, &err), 0);
	assert_true(rmnic_user_front_fatal(s.front, &error, &generation));
	assert_false(rmnic_user_front_left(s.front));
	say(&s, "leaving", 0);
	close(s.backend);
	s.backend = -1;
	assert_int_equal(rmnic_user_front_listen(s.front, &err), -1);
	assert_true(rmnic_user_front_left(s.front));
	script_end(&s);
}

/* It had left before it was asked: that is known though the request cannot be sent. */
static void notices__left_before_the_request(void **state)
{
	struct script s;

	(void)state;
	script_start(&s, LONG);
	say(&s, "leaving", 0);
	/* What was sent is read first, or the kernel throws away what waits for the front end. */
	assert_true(recv(s.backend, (uint8_t[256]){ 0 }, 256, 0) > 0);
	close(s.backend);
	s.backend = -1;
	assert_int_equal(ask(&s, RMNIC_USER_RESET), -1);
	assert_true(rmnic_user_front_left(s.front));
	script_end(&s);
}

static void notices__unasked_reply(void **state)
{
	struct script s;

	(void)state;
	script_start(&s, LONG);
	say(&s, "reset-reply", 2);
	assert_int_equal(rmnic_user_front_listen(s.front, &err), -1);
	expect_text("no request");
	script_end(&s);
}

/* --- Against the backend's side, over a real socket ------------------------------------------- */

static void *serve(void *listener)
{
	struct user_rig rig;

	user_rig_start_on(&rig, accept(*(int *)listener, NULL, NULL));
	while (!rig.closings) {
		struct pollfd p = { .fd = rmnic_user_conn_fd(rig.conn), .events = POLLIN };

		assert_true(poll(&p, 1, LONG) > 0);
		user_rig_run(&rig);
	}
	user_rig_drop(&rig);
	return NULL;
}

static void ask_all(struct rmnic_user_front *front)
{
	struct rmnic_user_device device = user_rig_device();
	struct rmnic_user_device_reply device_reply;
	struct rmnic_user_region region = { 0, 1 << 20, 0, 0 };
	struct rmnic_user_call call = { 0, 3, 0 };
	struct rmnic_state_shape shape;
	struct rmnic_stats stats;
	void *state, *memory;
	int fds[3], small = 1;

	fds[0] = rmnic_user_memfd("state", device.state_size, &state, &err);
	assert_true(fds[0] >= 0);
	rmnic_user_device_shape(&device, &shape);
	rmnic_state_format(state, &shape);
	assert_int_equal(rmnic_user_front_request(front, RMNIC_USER_DEVICE, &device, sizeof(device),
						  fds, 1, &device_reply, sizeof(device_reply), NULL,
						  &err),
			 RMNIC_USER_S_OK);
	assert_int_equal(device_reply.reserved, 32768);
	close(fds[0]);
	fds[0] = rmnic_user_memfd("memory", 1 << 20, &memory, &err);
	assert_true(fds[0] >= 0);
	assert_int_equal(rmnic_user_front_request(front, RMNIC_USER_MEM_ADD, &region,
						  sizeof(region), fds, 1, NULL, 0, NULL, &err),
			 RMNIC_USER_S_OK);
	close(fds[0]);
	for (int i = 0; i < 3; i++)
		fds[i] = user_rig_eventfd();
	assert_int_equal(rmnic_user_front_request(front, RMNIC_USER_CALL, &call, sizeof(call), fds,
						  3, NULL, 0, NULL, &err),
			 RMNIC_USER_S_OK);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	assert_int_equal(rmnic_user_front_request(front, RMNIC_USER_STATS, NULL, 0, NULL, 0, &stats,
						  sizeof(stats), NULL, &err),
			 RMNIC_USER_S_OK);
	assert_int_equal(stats.page_in_cmds, 5);
	/* More than the socket takes at once: the descriptor goes with the first byte alone. */
	setsockopt(rmnic_user_front_fd(front), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	fds[0] = user_rig_eventfd();
	assert_int_equal(rmnic_user_front_request(front, RMNIC_USER_LOG, memory,
						  RMNIC_USER_MAX_PAYLOAD, fds, 1, NULL, 0, NULL,
						  &err),
			 RMNIC_USER_S_UNSUPPORTED);
	close(fds[0]);
	munmap(state, device.state_size);
	munmap(memory, 1 << 20);
}

static void open__the_backend(void **state)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	char directory[] = "/tmp/rmnic-test-XXXXXX";
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct rmnic_user_front *front;
	pthread_t thread;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(to.sun_path, sizeof(to.sun_path), "%s/socket", directory);
	front = rmnic_user_front_open(to.sun_path, LONG, &hello, &err);
	assert_null(front);
	expect_text("No such file");
	assert_int_equal(bind(listener, (struct sockaddr *)&to, sizeof(to)), 0);
	front = rmnic_user_front_open(to.sun_path, LONG, &hello, &err);
	assert_null(front);
	expect_text("refused; is the backend running?");
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(pthread_create(&thread, NULL, serve, &listener), 0);
	front = rmnic_user_front_open(to.sun_path, LONG, &hello, &err);
	assert_non_null(front);
	assert_string_equal(hello.name, "rig");
	ask_all(front);
	rmnic_user_front_close(front);
	assert_int_equal(pthread_join(thread, NULL), 0);
	close(listener);
	unlink(to.sun_path);
	rmdir(directory);
}

static void open__path_too_long(void **state)
{
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[199] = 0;
	assert_null(rmnic_user_front_open(path, LONG, &hello, &err));
	expect_text("at most 107 bytes");
}

/* USER-6, USER-9: the backend's own check of what it makes is in test_user_memory.c. */
static void memfd__sealed(void **state)
{
	void *map;
	int fd = rmnic_user_memfd("sealed", 8192, &map, &err);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	munmap(map, 8192);
	close(fd);
	assert_int_equal(rmnic_user_memfd("large", UINT64_MAX, &map, &err), -1);
	expect_text("cannot be made");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request__answered),
		cmocka_unit_test(request__refused),
		cmocka_unit_test(request__refused_with_escapes),
		cmocka_unit_test(open__version),
		cmocka_unit_test(replies__wrong),
		cmocka_unit_test(replies__of_another_size),
		cmocka_unit_test(open__cut_anywhere),
		cmocka_unit_test(request__no_answer),
		cmocka_unit_test(request__not_read),
		cmocka_unit_test(notices__between_answers),
		cmocka_unit_test(notices__left_before_the_request),
		cmocka_unit_test(notices__unasked_reply),
		cmocka_unit_test(open__the_backend),
		cmocka_unit_test(open__path_too_long),
		cmocka_unit_test(memfd__sealed),
	};
	int failed;

	nvectors = user_vectors_load(&vectors);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(vectors);
	return failed;
}
