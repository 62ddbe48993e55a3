/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/daemon.h"
#include "common/log.h"
#include "scratch.h"

static struct scratch scratch;
static struct rmnic_daemon *daemon_;
static int notify; /* systemd's end */

/* What the daemon's callbacks were told, and what they are to do. */
static struct {
	int reloads, stops;
	bool reload_fails, finish_at_once;
} seen;

static int on_reload(void *arg, struct rmnic_error *err)
{
	assert_ptr_equal(arg, &seen);
	seen.reloads++;
	if (seen.reloads == 2)
		kill(getpid(), SIGTERM);
	return seen.reload_fails ? rmnic_error_set(err, "servers.conf:4: no") : 0;
}

static void on_stop(void *arg)
{
	assert_ptr_equal(arg, &seen);
	seen.stops++;
	if (seen.finish_at_once)
		rmnic_daemon_finish(daemon_, 0);
	else
		kill(getpid(), SIGINT);
}

static const struct rmnic_daemon_ops ops = { on_reload, on_stop };

static int setup(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct rmnic_error err;

	(void)state;
	memset(&seen, 0, sizeof(seen));
	seen.finish_at_once = true;
	scratch_open(&scratch);
	rmnic_log_open("test");
	rmnic_log_level_set(RMNIC_LOG_INFO);
	notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	strcpy(address.sun_path, scratch_path(&scratch, "notify"));
	assert_int_equal(bind(notify, (struct sockaddr *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.sun_path, 1);
	daemon_ = rmnic_daemon_create(&ops, &seen, &err);
	assert_non_null(daemon_);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rmnic_daemon_destroy(daemon_);
	unsetenv("NOTIFY_SOCKET");
	close(notify);
	scratch_close(&scratch);
	return 0;
}

/* What systemd was told next; "" when nothing. */
static const char *told(void)
{
	static char text[512];
	ssize_t n = recv(notify, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void rmnic_daemon_ready__and_status(void **state)
{
	char text[512];

	(void)state;
	scratch_stderr_take(&scratch);
	rmnic_daemon_ready(daemon_, "2 servers");
	scratch_stderr_give(&scratch, text, sizeof(text));
	assert_string_equal(text, "test: ready: 2 servers\n");
	assert_string_equal(told(), "STATUS=2 servers");
	assert_string_equal(told(), "READY=1");
	rmnic_daemon_status(daemon_, "%d servers", 2);
	assert_string_equal(told(), "");
	rmnic_daemon_status(daemon_, "%d servers", 3);
	assert_string_equal(told(), "STATUS=3 servers");
}

static void rmnic_daemon_run__reload_then_stop(void **state)
{
	char text[512];

	(void)state;
	seen.reloads = 1; /* the next one asks for the end */
	scratch_stderr_take(&scratch);
	kill(getpid(), SIGHUP);
	assert_int_equal(rmnic_daemon_run(daemon_), 0);
	scratch_stderr_give(&scratch, text, sizeof(text));
	assert_string_equal(text, "test: reloaded\ntest: Terminated: stopping\n");
	assert_int_equal(seen.reloads, 2);
	assert_int_equal(seen.stops, 1);
	assert_memory_equal(told(), "RELOADING=1\nMONOTONIC_USEC=", 27);
	assert_string_equal(told(), "READY=1");
	assert_string_equal(told(), "STOPPING=1");
}

static void rmnic_daemon_run__a_wrong_reload_says_why(void **state)
{
	char text[512];

	(void)state;
	seen.reloads = 1;
	seen.reload_fails = true;
	scratch_stderr_take(&scratch);
	kill(getpid(), SIGHUP);
	assert_int_equal(rmnic_daemon_run(daemon_), 0);
	scratch_stderr_give(&scratch, text, sizeof(text));
	assert_string_equal(text, "test: nothing is changed by this reload: servers.conf:4: no\n"
				  "test: Terminated: stopping\n");
	told();
	assert_string_equal(told(), "READY=1");
}

static void rmnic_daemon_run__a_second_signal_ends_at_once(void **state)
{
	char text[512];

	(void)state;
	seen.finish_at_once = false; /* it would take for ever */
	scratch_stderr_take(&scratch);
	kill(getpid(), SIGTERM);
	assert_int_equal(rmnic_daemon_run(daemon_), 1);
	scratch_stderr_give(&scratch, text, sizeof(text));
	assert_string_equal(text, "test: Terminated: stopping\n"
				  "test: warning: Interrupt again: ending at once\n");
}

/* RULES F8: whether memory is locked can be seen. (The sanitizers' mlockall does nothing.) */
static void rmnic_daemon_memory__says_how_it_is(void **state)
{
	(void)state;
	assert_string_equal(rmnic_daemon_memory(daemon_), "not locked yet");
	rmnic_daemon_lock_memory(daemon_);
	assert_memory_equal(rmnic_daemon_memory(daemon_), "locked", 6);
}

static void rmnic_runtime_path__by_the_environment(void **state)
{
	struct rmnic_error err;
	char path[256], want[256];
	struct stat st;

	(void)state;
	snprintf(want, sizeof(want), "%s/run/a.sock", scratch.dir);
	setenv("RUNTIME_DIRECTORY", scratch_path(&scratch, "run"), 1);
	assert_string_equal(rmnic_runtime_name("a.sock", path, sizeof(path)), want);
	assert_int_not_equal(access(scratch.path, F_OK), 0);
	assert_string_equal(rmnic_runtime_path("a.sock", path, sizeof(path), &err), want);
	assert_int_equal(stat(scratch.path, &st), 0);
	assert_true(S_ISDIR(st.st_mode));
	assert_int_equal(rmdir(scratch.path), 0);
	/* Of several the first. */
	snprintf(path, sizeof(path), "%s/run:/other", scratch.dir);
	setenv("RUNTIME_DIRECTORY", path, 1);
	assert_string_equal(rmnic_runtime_name("a.sock", path, sizeof(path)), want);
	/* A link that somebody put there is not followed. */
	assert_int_equal(symlink("/etc", scratch_path(&scratch, "run")), 0);
	assert_null(rmnic_runtime_path("a.sock", path, sizeof(path), &err));
	assert_non_null(strstr(err.text, "run: is no directory of this user's"));
	unsetenv("RUNTIME_DIRECTORY");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rmnic_daemon_ready__and_status),
		TEST(rmnic_daemon_run__reload_then_stop),
		TEST(rmnic_daemon_run__a_wrong_reload_says_why),
		TEST(rmnic_daemon_run__a_second_signal_ends_at_once),
		TEST(rmnic_daemon_memory__says_how_it_is),
		TEST(rmnic_runtime_path__by_the_environment),
	};

	return cmocka_run_group_tests_name("daemon", tests, NULL, NULL);
}
