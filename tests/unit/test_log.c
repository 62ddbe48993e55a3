/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/log.h"
#include "scratch.h"

#define SECOND 1000000000ull

static struct scratch scratch;

static int setup(void **state)
{
	(void)state;
	scratch_open(&scratch);
	unsetenv("JOURNAL_STREAM");
	rmnic_log_open("prog");
	rmnic_log_level_set(RMNIC_LOG_INFO);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scratch_close(&scratch);
	return 0;
}

static void rmnic_log__program_and_level_in_front(void **state)
{
	char text[256];

	(void)state;
	scratch_stderr_take(&scratch);
	rmnic_log_error("servers.conf:4: port %d is out of range", 70000);
	rmnic_log_warn("careful");
	rmnic_log_info("hello");
	rmnic_log_debug("not shown");
	rmnic_log_level_set(RMNIC_LOG_DEBUG);
	rmnic_log_debug("shown");
	rmnic_log_level_set(RMNIC_LOG_ERROR);
	rmnic_log_warn("not shown");
	assert_string_equal(scratch_stderr_give(&scratch, text, sizeof(text)),
			    "prog: servers.conf:4: port 70000 is out of range\n"
			    "prog: warning: careful\nprog: hello\nprog: debug: shown\n");
}

static void rmnic_log__nobody_forges_a_line(void **state)
{
	char text[256];

	(void)state;
	scratch_stderr_take(&scratch);
	rmnic_log_info("peer says: %s", "a\nprog: b\x1b[2J\x7f");
	assert_string_equal(scratch_stderr_give(&scratch, text, sizeof(text)),
			    "prog: peer says: a\\x0aprog: b\\x1b[2J\\x7f\n");
}

static void rmnic_log__a_long_message_is_cut(void **state)
{
	char long_text[5000], text[6000];
	size_t len;

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	scratch_stderr_take(&scratch);
	rmnic_log_info("%s", long_text);
	memset(long_text, '\n', sizeof(long_text) - 1);
	rmnic_log_info("%s", long_text);
	scratch_stderr_give(&scratch, text, sizeof(text));
	len = strcspn(text, "\n");
	assert_in_range(len, 1000, 1100);
	assert_memory_equal(text + len - 3, "...", 3);
	/* Escaped it is longer, and still one line. */
	assert_int_equal(strlen(text + len + 1), strcspn(text + len + 1, "\n") + 1);
}

static void rmnic_log__levels_for_the_journal(void **state)
{
	char text[256], stream[64];
	struct stat st;

	(void)state;
	scratch_stderr_take(&scratch);
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	rmnic_log_open("prog");
	rmnic_log_error("bad");
	rmnic_log_info("good");
	/* The variable alone does not do: standard error may be another file by now. */
	setenv("JOURNAL_STREAM", "1:2", 1);
	rmnic_log_open("prog");
	rmnic_log_info("by hand");
	unsetenv("JOURNAL_STREAM");
	assert_string_equal(scratch_stderr_give(&scratch, text, sizeof(text)),
			    "<3>bad\n<6>good\nprog: by hand\n");
}

static void rmnic_log_level_parse__names(void **state)
{
	enum rmnic_log_level level = RMNIC_LOG_INFO;

	(void)state;
	assert_true(rmnic_log_level_parse("debug", &level));
	assert_int_equal(level, RMNIC_LOG_DEBUG);
	assert_false(rmnic_log_level_parse("loud", &level));
	assert_false(rmnic_log_level_parse("", &level));
	assert_int_equal(level, RMNIC_LOG_DEBUG);
}

static void rmnic_log_allowed__one_a_second(void **state)
{
	struct rmnic_log_limit limit = { 0 };
	uint64_t left_out = 99;

	(void)state;
	assert_true(rmnic_log_allowed(&limit, 5 * SECOND, &left_out));
	assert_int_equal(left_out, 0);
	for (int i = 0; i < 7; i++)
		assert_false(rmnic_log_allowed(&limit, 5 * SECOND + (uint64_t)i, &left_out));
	assert_false(rmnic_log_allowed(&limit, 6 * SECOND - 1, &left_out));
	assert_true(rmnic_log_allowed(&limit, 6 * SECOND, &left_out));
	assert_int_equal(left_out, 8);
	assert_true(rmnic_log_allowed(&limit, 7 * SECOND, &left_out));
	assert_int_equal(left_out, 0);
}

static void rmnic_log_limited_at__says_what_was_left_out(void **state)
{
	struct rmnic_log_limit limit = { 0 };
	char text[256];

	(void)state;
	limit.left_out = 12;
	scratch_stderr_take(&scratch);
	rmnic_log_limited_at(&limit, RMNIC_LOG_INFO, "bad frame");
	limit.next_ns = UINT64_MAX;
	rmnic_log_limited_at(&limit, RMNIC_LOG_INFO, "bad frame");
	assert_string_equal(scratch_stderr_give(&scratch, text, sizeof(text)),
			    "prog: bad frame (and 12 more like it, left out)\n");
	assert_int_equal(limit.left_out, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rmnic_log__program_and_level_in_front, setup,
						teardown),
		cmocka_unit_test_setup_teardown(rmnic_log__nobody_forges_a_line, setup, teardown),
		cmocka_unit_test_setup_teardown(rmnic_log__a_long_message_is_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(rmnic_log__levels_for_the_journal, setup, teardown),
		cmocka_unit_test(rmnic_log_level_parse__names),
		cmocka_unit_test(rmnic_log_allowed__one_a_second),
		cmocka_unit_test_setup_teardown(rmnic_log_limited_at__says_what_was_left_out, setup,
						teardown),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
