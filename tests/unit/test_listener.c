/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/listener.h"
#include "scratch.h"

static struct scratch scratch;
static struct rmnic_listener listener;

static int setup(void **state)
{
	(void)state;
	scratch_open(&scratch);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rmnic_listener_close(&listener);
	scratch_close(&scratch);
	return 0;
}

static void rmnic_listener_open__for_its_owner_and_group(void **state)
{
	struct rmnic_error err;
	struct stat st;

	(void)state;
	assert_int_equal(rmnic_listener_open(&listener, scratch_path(&scratch, "s"), &err), 0);
	assert_int_equal(stat(scratch.path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(rmnic_listener_accept(&listener), -1);
}

static void rmnic_listener_open__a_path_too_long(void **state)
{
	struct rmnic_error err;
	char path[200];

	(void)state;
	memset(path, 'x', sizeof(path) - 1);
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(rmnic_listener_open(&listener, path, &err), -1);
	assert_non_null(strstr(err.text, "the path is too long for a socket (at most 107 bytes)"));
	assert_int_equal(listener.fd, -1);
}

static void rmnic_listener_group__members_may_connect(void **state)
{
	struct group *own = getgrgid(getegid());
	struct rmnic_error err = { "" };
	struct stat st;

	(void)state;
	assert_int_equal(rmnic_listener_open(&listener, scratch_path(&scratch, "s"), &err), 0);
	assert_int_equal(rmnic_listener_group(&listener, "no such group", &err), -1);
	assert_string_equal(err.text, "there is no group 'no such group'");
	if (geteuid() == 0) {
		own = getgrnam("daemon");
		assert_non_null(own);
	} else if (!own) {
		skip();
	}
	assert_int_equal(rmnic_listener_group(&listener, own->gr_name, &err), 0);
	assert_int_equal(stat(scratch.path, &st), 0);
	assert_int_equal(st.st_gid, own->gr_gid);
	assert_int_equal(st.st_mode & 07777, 0660);
}

/* Somebody else's socket that took the path's place is not removed. */
static void rmnic_listener_close__only_its_own(void **state)
{
	struct rmnic_listener second;
	struct rmnic_error err;

	(void)state;
	assert_int_equal(rmnic_listener_open(&listener, scratch_path(&scratch, "s"), &err), 0);
	assert_int_equal(unlink(scratch.path), 0);
	assert_int_equal(rmnic_listener_open(&second, scratch.path, &err), 0);
	rmnic_listener_close(&listener);
	assert_int_equal(access(scratch.path, F_OK), 0);
	rmnic_listener_close(&second);
	assert_int_not_equal(access(scratch.path, F_OK), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rmnic_listener_open__for_its_owner_and_group),
		TEST(rmnic_listener_open__a_path_too_long),
		TEST(rmnic_listener_group__members_may_connect),
		TEST(rmnic_listener_close__only_its_own),
	};

	return cmocka_run_group_tests_name("listener", tests, NULL, NULL);
}
