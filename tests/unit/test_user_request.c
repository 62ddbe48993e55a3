/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/le.h"
#include "user_rig.h"

#define SEALS     (F_SEAL_SHRINK | F_SEAL_GROW)
#define AT(field) offsetof(struct rmnic_state_hdr, field)

static struct user_vector *vectors;
static unsigned int nvectors;

/* Asks what a golden vector asks, with eventfds where it has descriptors. */
static int ask_vector(struct user_rig *rig, const char *name)
{
	const struct user_vector *v = user_vectors_find(vectors, nvectors, name);
	int fds[RMNIC_USER_MAX_FDS], status;

	for (unsigned int i = 0; i < v->fds; i++)
		fds[i] = user_rig_eventfd();
	status = user_rig_ask(rig, v->msg.type, v->bytes + sizeof(struct rmnic_user_hdr),
			      v->msg.size, fds, v->fds);
	for (unsigned int i = 0; i < v->fds; i++)
		close(fds[i]);
	return status;
}

static int ask(struct user_rig *rig, uint16_t type)
{
	return user_rig_ask(rig, type, NULL, 0, NULL, 0);
}

static int ask_device(struct user_rig *rig, const struct rmnic_user_device *device, int fd)
{
	return user_rig_ask(rig, RMNIC_USER_DEVICE, device, sizeof(*device), &fd, 1);
}

/* --- HELLO ------------------------------------------------------------------------------------ */

/* USER-4 */
static void hello__versions(void **state)
{
	struct rmnic_user_hello hello = { 2, 9, 0, 0 };
	struct rmnic_user_hello_reply r;
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_HELLO, &hello, sizeof(hello), NULL, 0),
			 RMNIC_USER_S_VERSION);
	assert_non_null(strstr(user_rig_text, "2 to 9"));
	assert_non_null(strstr(user_rig_text, "1 to 1"));
	assert_int_equal(ask(&rig, RMNIC_USER_RESET), RMNIC_USER_S_ORDER);
	assert_int_equal(ask_vector(&rig, "hello"), RMNIC_USER_S_OK);
	memcpy(&r, user_rig_payload, sizeof(r));
	assert_int_equal(r.version, 1);
	assert_int_equal(r.features, 0);
	assert_int_equal(r.device_features, 14);
	assert_string_equal(r.name, "rig");
	assert_int_equal(rig.requests, 0);
	user_rig_stop(&rig);
}

/* --- Order ------------------------------------------------------------------------------------ */

static const char *const later[] = { "mem-add", "mem-del", "kick", "call", "enable", "reset",
				     "stop", "start", "capacity", "stats", "bye" };
#define LATER (sizeof(later) / sizeof(later[0]))

/* USER-4, USER-5: nothing is taken before what it depends on. */
static void order__before_device(void **state)
{
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	for (unsigned int i = 0; i < LATER; i++)
		assert_int_equal(ask_vector(&rig, later[i]), RMNIC_USER_S_ORDER);
	assert_int_equal(ask_vector(&rig, "device"), RMNIC_USER_S_ORDER);
	assert_int_equal(ask_vector(&rig, "log"), RMNIC_USER_S_UNSUPPORTED);
	user_rig_hello(&rig);
	assert_int_equal(ask_vector(&rig, "hello"), RMNIC_USER_S_ORDER);
	for (unsigned int i = 0; i < LATER; i++)
		assert_int_equal(ask_vector(&rig, later[i]), RMNIC_USER_S_ORDER);
	assert_int_equal(rig.requests, 0);
	user_rig_stop(&rig);
}

static void order__twice(void **state)
{
	struct rmnic_user_device device = user_rig_device();
	int fd = user_rig_state(&device);
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	assert_int_equal(ask_vector(&rig, "hello"), RMNIC_USER_S_ORDER);
	assert_int_equal(ask_device(&rig, &device, fd), RMNIC_USER_S_ORDER);
	rig.enable_error = RMNIC_ERR_AQ_DEPTH;
	assert_int_equal(ask_vector(&rig, "enable"), RMNIC_USER_S_OK);
	rig.enable_error = 0;
	assert_int_equal(ask_vector(&rig, "enable"), RMNIC_USER_S_OK);
	assert_int_equal(ask_vector(&rig, "enable"), RMNIC_USER_S_ORDER);
	assert_int_equal(ask(&rig, RMNIC_USER_RESET), RMNIC_USER_S_OK);
	assert_int_equal(ask_vector(&rig, "enable"), RMNIC_USER_S_OK);
	assert_int_equal(ask(&rig, RMNIC_USER_BYE), RMNIC_USER_S_OK);
	for (unsigned int i = 0; i < LATER; i++)
		assert_int_equal(ask_vector(&rig, later[i]), RMNIC_USER_S_ORDER);
	user_rig_stop(&rig);
	close(fd);
}

/* --- What the owner is handed ----------------------------------------------------------------- */

static void requests__handed_over(void **state)
{
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	assert_int_equal(rig.state.size, 0x10b000);
	assert_memory_equal(rig.state.map, "RMNRST01", 8);
	assert_string_equal(rig.device.name, "guest-1");
	assert_int_equal(ask_vector(&rig, "mem-add"), RMNIC_USER_S_OK);
	assert_int_equal(rig.asked, RMNIC_USER_MEM_ADD);
	assert_true(rig.addr == 0x100000000 && rig.size == 0x40000000);
	assert_true(rig.offset == 0xc0000000 && rig.nfds == 1);
	rig.size = 0;
	assert_int_equal(ask_vector(&rig, "mem-del"), RMNIC_USER_S_OK);
	assert_int_equal(rig.asked, RMNIC_USER_MEM_DEL);
	assert_true(rig.addr == 0x100000000 && rig.size == 0x40000000);
	user_rig_drop(&rig);
	assert_int_equal(ask_vector(&rig, "call"), RMNIC_USER_S_OK);
	assert_true(rig.first == 16 && rig.count == 16 && rig.nfds == 16);
	assert_int_equal(ask_vector(&rig, "enable"), RMNIC_USER_S_OK);
	assert_true(rig.enable.generation == 0xa1b2c3d4 && rig.enable.stopped == 1);
	assert_int_equal(ask_vector(&rig, "stop"), RMNIC_USER_S_OK);
	assert_int_equal(rig.drain_ms, 2000);
	assert_int_equal(ask_vector(&rig, "start"), RMNIC_USER_S_OK);
	assert_int_equal(rig.asked, RMNIC_USER_START);
	assert_int_equal(ask_vector(&rig, "stats"), RMNIC_USER_S_OK);
	assert_int_equal(user_rig_payload[8], 5);
	assert_int_equal(ask_vector(&rig, "bye"), RMNIC_USER_S_OK);
	assert_int_equal(rig.asked, RMNIC_USER_BYE);
	user_rig_stop(&rig);
}

/* USER-7: the refusal says how much there is, and the front end may ask again. */
static void device__refused_then_taken(void **state)
{
	struct rmnic_user_device device = user_rig_device();
	int fd = user_rig_state(&device);
	struct rmnic_user_error error;
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_hello(&rig);
	rig.refuse_with = RMNIC_USER_S_NO_SPACE;
	rig.available = 16384;
	assert_int_equal(ask_device(&rig, &device, fd), RMNIC_USER_S_NO_SPACE);
	memcpy(&error, user_rig_payload, sizeof(error));
	assert_int_equal(error.available, 16384);
	assert_string_equal(error.text, "as told");
	assert_int_equal(ask(&rig, RMNIC_USER_RESET), RMNIC_USER_S_ORDER);
	rig.refuse_with = 0;
	assert_int_equal(ask_device(&rig, &device, fd), RMNIC_USER_S_OK);
	assert_int_equal(ask(&rig, RMNIC_USER_RESET), RMNIC_USER_S_OK);
	user_rig_stop(&rig);
	close(fd);
}

/* USER-8 */
static void device__features_it_has_not(void **state)
{
	struct rmnic_user_device device = user_rig_device();
	int fd = user_rig_state(&device);
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_hello(&rig);
	device.features = 15;
	assert_int_equal(ask_device(&rig, &device, fd), RMNIC_USER_S_UNSUPPORTED);
	assert_non_null(strstr(user_rig_text, "0x1"));
	device.features = 6;
	assert_int_equal(ask_device(&rig, &device, fd), RMNIC_USER_S_OK);
	user_rig_stop(&rig);
	close(fd);
}

/* --- The state block -------------------------------------------------------------------------- */

static void expect_state(struct user_rig *rig, const struct rmnic_user_device *device, int fd,
			 int status, const char *text)
{
	assert_int_equal(ask_device(rig, device, fd), status);
	if (!strstr(user_rig_text, text))
		fail_msg("'%s' does not say '%s'", user_rig_text, text);
	close(fd);
}

static int read_only(int fd)
{
	char path[32];
	int other;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	other = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(other >= 0);
	close(fd);
	return other;
}

/* USER-6 */
static void state__wrong_fd(void **state)
{
	const struct rmnic_user_device d = user_rig_device();
	const uint64_t size = d.state_size;
	const int no = RMNIC_USER_S_BAD_FD;
	int other[2], fd;
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_hello(&rig);
	assert_int_equal(pipe2(other, O_CLOEXEC), 0);
	close(other[1]);
	expect_state(&rig, &d, other[0], no, "no memfd");
	expect_state(&rig, &d, open("/dev/null", O_RDWR | O_CLOEXEC), no, "no memfd");
	expect_state(&rig, &d, user_rig_eventfd(), no, "no memfd");
	expect_state(&rig, &d, user_rig_memfd(size, 0), no, "shrinking");
	expect_state(&rig, &d, user_rig_memfd(size, F_SEAL_GROW), no, "shrinking");
	expect_state(&rig, &d, user_rig_memfd(size, F_SEAL_SHRINK), no, "growing");
	expect_state(&rig, &d, user_rig_memfd(size, SEALS | F_SEAL_WRITE), no, "written");
	expect_state(&rig, &d, user_rig_memfd(size, SEALS | F_SEAL_FUTURE_WRITE), no, "written");
	expect_state(&rig, &d, read_only(user_rig_memfd(size, SEALS)), no, "written");
	expect_state(&rig, &d, user_rig_memfd(size - 4096, SEALS), no, "bytes");
	expect_state(&rig, &d, user_rig_memfd(size + 4096, SEALS), no, "bytes");
	assert_int_equal(rig.requests, 0);
	fd = user_rig_state(&d);
	assert_int_equal(ask_device(&rig, &d, fd), RMNIC_USER_S_OK);
	close(fd);
	user_rig_stop(&rig);
}

/* A state block for d, with one field of its header made another. */
static int damaged(const struct rmnic_user_device *d, size_t at, uint8_t flip)
{
	uint8_t byte;
	int fd = user_rig_state(d);

	assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
	byte ^= flip;
	assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
	return fd;
}

/* USER-6, STATE-1 */
static void state__of_another_device(void **state)
{
	struct rmnic_user_device d = user_rig_device(), same;
	const int no = RMNIC_USER_S_BAD_STATE;
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_hello(&rig);
	expect_state(&rig, &d, user_rig_memfd(d.state_size, SEALS), no, "magic");
	expect_state(&rig, &d, damaged(&d, AT(magic), 1), no, "magic");
	expect_state(&rig, &d, damaged(&d, AT(uuid), 1), no, "uuid");
	expect_state(&rig, &d, damaged(&d, AT(epoch), 1), no, "epoch");
	expect_state(&rig, &d, damaged(&d, AT(page_offset) + 7, 1), no,
		     "outside");
	/* Blocks that are right, each for a device that would need no more room. */
	same = d;
	same.max_qpairs--;
	expect_state(&rig, &d, user_rig_state(&same), no, "queues");
	same = d;
	same.max_depth /= 2;
	expect_state(&rig, &d, user_rig_state(&same), no, "queues");
	same = d;
	same.slab_pages *= 2;
	expect_state(&rig, &d, user_rig_state(&same), no, "slab_pages");
	same = d;
	same.max_capacity -= same.slab_pages;
	expect_state(&rig, &d, user_rig_state(&same), no, "max_capacity");
	assert_int_equal(rig.requests, 0);
	user_rig_stop(&rig);
}

/* --- Eventfds --------------------------------------------------------------------------------- */

/* USER-12, USER-13 */
static void eventfds__checked(void **state)
{
	struct rmnic_user_call call = { 30, 3, 0 };
	struct user_rig rig;
	int fds[3], null = open("/dev/null", O_RDWR | O_CLOEXEC);

	(void)state;
	user_rig_start(&rig);
	user_rig_set_up(&rig);
	for (int i = 0; i < 3; i++)
		fds[i] = user_rig_eventfd();
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_CALL, &call, sizeof(call), fds, 3),
			 RMNIC_USER_S_OK);
	assert_true(fcntl(rig.fds[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(rig.fds[2], F_GETFL) & O_NONBLOCK);
	user_rig_drop(&rig);
	call.first = 31; /* the device has 33 */
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_CALL, &call, sizeof(call), fds, 3),
			 RMNIC_USER_S_INVALID);
	assert_non_null(strstr(user_rig_text, "31 to 33"));
	call.first = 0;
	close(fds[2]);
	fds[2] = null;
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_CALL, &call, sizeof(call), fds, 3),
			 RMNIC_USER_S_BAD_FD);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_KICK, NULL, 0, &null, 1),
			 RMNIC_USER_S_BAD_FD);
	assert_int_equal(rig.nfds, 0);
	assert_int_equal(user_rig_ask(&rig, RMNIC_USER_KICK, NULL, 0, fds, 1), RMNIC_USER_S_OK);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
	rig.open_fds--; /* null */
	user_rig_stop(&rig);
}

/* --- Capacity --------------------------------------------------------------------------------- */

static int ask_capacity(struct user_rig *rig, uint64_t pages)
{
	const struct rmnic_user_capacity c = { pages };

	return user_rig_ask(rig, RMNIC_USER_CAPACITY, &c, sizeof(c), NULL, 0);
}

/* USER-22 */
static void capacity__never_less(void **state)
{
	struct user_rig rig;

	(void)state;
	user_rig_start(&rig);
	user_rig_set_up(&rig); /* 32768 of 65536, slabs of 16384 */
	assert_int_equal(ask_capacity(&rig, 16384), RMNIC_USER_S_INVALID);
	assert_int_equal(ask_capacity(&rig, 40000), RMNIC_USER_S_INVALID);
	assert_int_equal(ask_capacity(&rig, 65536 + 16384), RMNIC_USER_S_INVALID);
	assert_int_equal(ask_capacity(&rig, 32768), RMNIC_USER_S_OK);
	rig.refuse_with = RMNIC_USER_S_NO_SPACE;
	assert_int_equal(ask_capacity(&rig, 65536), RMNIC_USER_S_NO_SPACE);
	rig.refuse_with = 0;
	assert_int_equal(ask_capacity(&rig, 49152), RMNIC_USER_S_OK);
	assert_int_equal(rig.pages, 49152);
	assert_int_equal(ask_capacity(&rig, 32768), RMNIC_USER_S_INVALID);
	assert_int_equal(ask_capacity(&rig, 65536), RMNIC_USER_S_OK);
	user_rig_stop(&rig);
}

/* --- The log ---------------------------------------------------------------------------------- */

/* USER-23: every refusal is counted, a kind of them logged once. */
static void refusals__counted_and_logged_once(void **state)
{
	int log = memfd_create("log", MFD_CLOEXEC), standard = dup(2);
	char text[4096] = { 0 }, *line;
	struct user_rig rig;
	struct timespec now, end;
	unsigned int lines = 0, asked = 0;

	(void)state;
	fflush(stderr);
	dup2(log, 2);
	user_rig_start(&rig);
	user_rig_hello(&rig);
	/* For longer than the time in which no second line is let through. */
	for (clock_gettime(CLOCK_MONOTONIC, &end), end.tv_sec += 2, now = end;
	     !asked || now.tv_sec < end.tv_sec; clock_gettime(CLOCK_MONOTONIC, &now), asked++)
		assert_int_equal(ask(&rig, RMNIC_USER_RESET), RMNIC_USER_S_ORDER);
	assert_int_equal(rig.refused[RMNIC_USER_S_ORDER], asked);
	assert_int_equal(rig.refused[RMNIC_USER_S_INVALID], 0);
	user_rig_stop(&rig);
	dup2(standard, 2);
	close(standard);
	assert_true(pread(log, text, sizeof(text) - 1, 0) >= 0);
	for (line = text; (line = strstr(line, "refused")); line++)
		lines++;
	assert_int_equal(lines, 1);
	assert_non_null(strstr(text, "RESET: DEVICE must come before"));
	close(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First, while no line was logged this second. */
		cmocka_unit_test(refusals__counted_and_logged_once),
		cmocka_unit_test(hello__versions),
		cmocka_unit_test(order__before_device),
		cmocka_unit_test(order__twice),
		cmocka_unit_test(requests__handed_over),
		cmocka_unit_test(device__refused_then_taken),
		cmocka_unit_test(device__features_it_has_not),
		cmocka_unit_test(state__wrong_fd),
		cmocka_unit_test(state__of_another_device),
		cmocka_unit_test(eventfds__checked),
		cmocka_unit_test(capacity__never_less),
	};
	int failed;

	nvectors = user_vectors_load(&vectors);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(vectors);
	return failed;
}
