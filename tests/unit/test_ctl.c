/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <threads.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/ctl_internal.h"
#include "common/log.h"
#include "scratch.h"

#define BIG (8u << 20) /* more than a socket's buffer takes */

/* Generous: only a hang is to be found by it. */
#define TIMEOUT_MS 60000

static struct scratch scratch;
static sd_event *event;
static struct rmnic_ctl *ctl;
static thrd_t thread;

/* --- A daemon in a thread ------------------------------------------------------------------- */

static int run_echo(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	const char *text;

	assert_ptr_equal(arg, &scratch);
	if (rmnic_ctl_string(request, "text", &text, err))
		return -1;
	*result = json_pack("{s:s}", "text", text);
	return 0;
}

static int run_number(void *arg, const json_t *request, json_t **result,
		      struct rmnic_error *err)
{
	uint64_t number;

	(void)arg;
	if (rmnic_ctl_uint(request, "number", 1, 65535, &number, err))
		return -1;
	*result = json_integer((json_int_t)number);
	return 0;
}

static int run_big(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	char *text = malloc(BIG + 1);

	(void)arg;
	(void)request;
	(void)err;
	memset(text, 'x', BIG);
	text[BIG] = '\0';
	*result = json_string(text);
	free(text);
	return 0;
}

static int run_nothing(void *arg, const json_t *request, json_t **result,
		       struct rmnic_error *err)
{
	(void)arg;
	(void)request;
	(void)result;
	(void)err;
	return 0;
}

static int run_quit(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	(void)arg;
	(void)request;
	(void)result;
	(void)err;
	sd_event_exit(event, 0);
	return 0;
}

static const struct rmnic_ctl_command commands[] = {
	{ "echo", run_echo, "says it again" },
	{ "number", run_number, "takes a number" },
	{ "big", run_big, "much" },
	{ "nothing", run_nothing, "nothing" },
	{ "quit", run_quit, "ends" },
	{ 0 },
};

static int serve(void *arg)
{
	(void)arg;
	return sd_event_loop(event);
}

static int setup(void **state)
{
	struct rmnic_error err = { "" };

	(void)state;
	scratch_open(&scratch);
	rmnic_log_open("test");
	rmnic_log_level_set(RMNIC_LOG_ERROR);
	assert_true(sd_event_new(&event) >= 0);
	ctl = rmnic_ctl_listen(event, scratch_path(&scratch, "ctl"), commands, &scratch, &err);
	assert_string_equal(err.text, "");
	assert_int_equal(thrd_create(&thread, serve, NULL), thrd_success);
	return 0;
}

static struct rmnic_ctl_client *client_open(void)
{
	struct rmnic_error err;
	struct rmnic_ctl_client *client =
		rmnic_ctl_connect(scratch_path(&scratch, "ctl"), TIMEOUT_MS, &err);

	if (!client)
		fail_msg("%s", err.text);
	return client;
}

static int teardown(void **state)
{
	struct rmnic_ctl_client *client = client_open();
	struct rmnic_error err;
	int status;

	(void)state;
	json_decref(rmnic_ctl_ask(client, json_pack("{s:s}", "command", "quit"), &err));
	assert_int_equal(thrd_join(thread, &status), thrd_success);
	assert_int_equal(status, 0);
	rmnic_ctl_disconnect(client);
	rmnic_ctl_close(ctl);
	sd_event_unref(event);
	assert_int_not_equal(access(scratch_path(&scratch, "ctl"), F_OK), 0);
	scratch_close(&scratch);
	return 0;
}

/* --- A client that knows only bytes --------------------------------------------------------- */

static int raw_open(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = { .tv_sec = TIMEOUT_MS / 1000 };

	/* What should be answered and is not fails; it does not hang. */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	strcpy(address.sun_path, scratch_path(&scratch, "ctl"));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void raw_send(int fd, const char *text, size_t len)
{
	assert_int_equal(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* A line, without its newline; "" when the connection is closed. */
static const char *raw_line(int fd, char *buf, size_t len)
{
	size_t at = 0;

	while (at + 1 < len && recv(fd, buf + at, 1, 0) == 1 && buf[at] != '\n')
		at++;
	buf[at] = '\0';
	return buf;
}

static void answered(const char *request, const char *answer)
{
	char text[512];
	int fd = raw_open();

	raw_send(fd, request, strlen(request));
	raw_send(fd, "\n", 1);
	assert_string_equal(raw_line(fd, text, sizeof(text)), answer);
	close(fd);
}

/* --- Tests ---------------------------------------------------------------------------------- */

static void rmnic_ctl_request__answers(void **state)
{
	(void)state;
	answered("{\"command\":\"echo\",\"text\":\"a\\nb\"}",
		 "{\"ok\":true,\"result\":{\"text\":\"a\\nb\"}}");
	answered("{\"command\":\"nothing\"}", "{\"ok\":true,\"result\":{}}");
	answered("{\"command\":\"number\",\"number\":7611}", "{\"ok\":true,\"result\":7611}");
	answered("{\"command\":\"log-level\",\"level\":\"warn\"}",
		 "{\"ok\":true,\"result\":{\"level\":\"warn\"}}");
	assert_int_equal(rmnic_log_level(), RMNIC_LOG_WARN);
	answered("{\"command\":\"log-level\"}", "{\"ok\":true,\"result\":{\"level\":\"warn\"}}");
}

static void rmnic_ctl_request__refusals(void **state)
{
	(void)state;
	answered("{\"command\":\"echo\"}",
		 "{\"ok\":false,\"error\":\"the request has no \\\"text\\\"\"}");
	answered("{\"command\":\"echo\",\"text\":5}",
		 "{\"ok\":false,\"error\":\"\\\"text\\\" must be a string\"}");
	answered("{\"command\":\"number\",\"number\":70000}",
		 "{\"ok\":false,\"error\":\"number 70000 is out of range (1-65535)\"}");
	answered("{\"command\":\"number\",\"number\":-1}",
		 "{\"ok\":false,\"error\":\"number -1 is out of range (1-65535)\"}");
	answered("{\"command\":\"number\",\"number\":\"7\"}",
		 "{\"ok\":false,\"error\":\"\\\"number\\\" must be a whole number\"}");
	answered("{\"command\":\"log-level\",\"level\":\"loud\"}",
		 "{\"ok\":false,\"error\":\"there is no log level 'loud' (error, warn, info, debug)\"}");
	answered("{\"command\":\"what\"}",
		 "{\"ok\":false,\"error\":\"there is no command 'what' (there are: help log-level echo "
		 "number big nothing quit)\"}");
	answered("{}", "{\"ok\":false,\"error\":\"the request has no \\\"command\\\"\"}");
	answered("[]", "{\"ok\":false,\"error\":\"a request is an object: {\\\"command\\\": NAME, "
		       "...}\"}");
	answered("{\"command\":\"echo\",\"command\":\"quit\"}",
		 "{\"ok\":false,\"error\":\"the request is no JSON: duplicate object key near "
		 "'\\\"command\\\"' (column 27)\"}");
	answered("", "{\"ok\":false,\"error\":\"the request is no JSON: '[' or '{' expected near end of "
		     "file (column 0)\"}");
}

static void rmnic_ctl_request__help_lists_all(void **state)
{
	struct rmnic_ctl_client *client = client_open();
	struct rmnic_error err;
	json_t *help = rmnic_ctl_ask(client, json_pack("{s:s}", "command", "help"), &err);

	(void)state;
	assert_int_equal(json_array_size(help), 6);
	assert_string_equal(json_string_value(json_object_get(json_array_get(help, 0), "help")),
			    "says it again");
	json_decref(help);
	rmnic_ctl_disconnect(client);
}

static void rmnic_ctl__lines_however_they_come(void **state)
{
	static const char two[] = "{\"command\":\"echo\",\"text\":\"1\"}\n"
				  "{\"command\":\"echo\",\"text\":\"2\"}\n";
	char text[512];
	int fd = raw_open();

	(void)state;
	raw_send(fd, two, sizeof(two) - 1);
	assert_string_equal(raw_line(fd, text, sizeof(text)),
			    "{\"ok\":true,\"result\":{\"text\":\"1\"}}");
	assert_string_equal(raw_line(fd, text, sizeof(text)),
			    "{\"ok\":true,\"result\":{\"text\":\"2\"}}");
	for (size_t i = 0; i < sizeof(two) - 1; i++)
		raw_send(fd, two + i, 1);
	raw_line(fd, text, sizeof(text));
	assert_string_equal(raw_line(fd, text, sizeof(text)),
			    "{\"ok\":true,\"result\":{\"text\":\"2\"}}");
	/* A client that says no more still gets what it asked for. */
	raw_send(fd, two, sizeof(two) - 1);
	shutdown(fd, SHUT_WR);
	raw_line(fd, text, sizeof(text));
	assert_string_equal(raw_line(fd, text, sizeof(text)),
			    "{\"ok\":true,\"result\":{\"text\":\"2\"}}");
	assert_string_equal(raw_line(fd, text, sizeof(text)), "");
	close(fd);
}

static void rmnic_ctl__a_line_without_end_is_dropped(void **state)
{
	static char line[RMNIC_CTL_MAX_REQUEST];
	char text[64];
	int fd = raw_open();

	(void)state;
	memset(line, ' ', sizeof(line));
	raw_send(fd, line, sizeof(line));
	assert_string_equal(raw_line(fd, text, sizeof(text)), "");
	close(fd);
	/* The longest that is taken. */
	fd = raw_open();
	memcpy(line, "{\"command\":\"nothing\"}", 21);
	line[sizeof(line) - 1] = '\n';
	raw_send(fd, line, sizeof(line));
	assert_string_equal(raw_line(fd, text, sizeof(text)), "{\"ok\":true,\"result\":{}}");
	close(fd);
}

static void rmnic_ctl__a_slow_client_holds_nobody_up(void **state)
{
	static const char twice[] = "{\"command\":\"big\"}\n{\"command\":\"nothing\"}\n";
	struct rmnic_ctl_client *client;
	struct rmnic_error err;
	size_t got = 0;
	char text[4096];
	int slow = raw_open();

	(void)state;
	raw_send(slow, twice, sizeof(twice) - 1);
	client = client_open();
	for (int i = 0; i < 3; i++) {
		json_t *result = rmnic_ctl_ask(client, json_pack("{s:s}", "command", "nothing"), &err);

		assert_non_null(result);
		json_decref(result);
	}
	rmnic_ctl_disconnect(client);
	while (got < BIG) {
		/* No more than that: the next answer is behind it. */
		size_t want = BIG - got < sizeof(text) ? BIG - got : sizeof(text);
		ssize_t n = recv(slow, text, want, 0);

		assert_true(n > 0);
		got += (size_t)n;
	}
	raw_line(slow, text, sizeof(text));
	assert_string_equal(raw_line(slow, text, sizeof(text)), "{\"ok\":true,\"result\":{}}");
	/* One that leaves before it has taken all. */
	raw_send(slow, twice, sizeof(twice) - 1);
	assert_int_equal(recv(slow, text, 1, 0), 1);
	close(slow);
}

static void rmnic_ctl__a_client_that_takes_nothing_is_dropped(void **state)
{
	struct pollfd gone = { .events = 0 };

	(void)state;
	rmnic_ctl_slow_set(ctl, 1);
	gone.fd = raw_open();
	raw_send(gone.fd, "{\"command\":\"big\"}\n", 18);
	assert_int_equal(poll(&gone, 1, TIMEOUT_MS), 1);
	assert_true(gone.revents & POLLHUP);
	close(gone.fd);
	answered("{\"command\":\"nothing\"}", "{\"ok\":true,\"result\":{}}");
}

static void rmnic_ctl__no_more_clients_than_there_are_places(void **state)
{
	int fd[RMNIC_CTL_MAX_CLIENTS + 1];
	char text[128];

	(void)state;
	for (int i = 0; i <= RMNIC_CTL_MAX_CLIENTS; i++) {
		fd[i] = raw_open();
		if (i < RMNIC_CTL_MAX_CLIENTS)
			raw_send(fd[i], "{\"command\":\"nothing\"}\n", 22);
		raw_line(fd[i], text, sizeof(text));
		assert_string_equal(text, i < RMNIC_CTL_MAX_CLIENTS ? "{\"ok\":true,\"result\":{}}" :
				    "{\"ok\":false,\"error\":\"too many control clients\"}");
	}
	/* A place is free again when a client's end was noticed: its answer shows that. */
	for (int i = 0; i <= RMNIC_CTL_MAX_CLIENTS; i++) {
		shutdown(fd[i], SHUT_WR);
		assert_string_equal(raw_line(fd[i], text, sizeof(text)), "");
		close(fd[i]);
	}
	answered("{\"command\":\"nothing\"}", "{\"ok\":true,\"result\":{}}");
}

static void rmnic_ctl_listen__mode_and_predecessors(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct rmnic_ctl *second;
	struct rmnic_error err;
	char want[256];
	struct stat st;
	sd_event *loop;
	int fd;

	(void)state;
	assert_int_equal(stat(scratch_path(&scratch, "ctl"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_true(sd_event_new(&loop) >= 0);
	/* One that lives is left alone. */
	assert_null(rmnic_ctl_listen(loop, scratch.path, commands, NULL, &err));
	snprintf(want, sizeof(want), "%s: another daemon serves this socket: stop it, or choose another "
		 "path", scratch.path);
	assert_string_equal(err.text, want);
	answered("{\"command\":\"nothing\"}", "{\"ok\":true,\"result\":{}}");
	/* One that is dead is replaced. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(address.sun_path, scratch_path(&scratch, "dead"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	second = rmnic_ctl_listen(loop, scratch.path, commands, NULL, &err);
	assert_non_null(second);
	rmnic_ctl_close(second);
	assert_int_not_equal(access(scratch_path(&scratch, "dead"), F_OK), 0);
	/* What is no socket is somebody's file. */
	scratch_write(&scratch, "file", "precious");
	assert_null(rmnic_ctl_listen(loop, scratch.path, commands, NULL, &err));
	assert_non_null(strstr(err.text, "is there and is no socket"));
	assert_int_equal(access(scratch_path(&scratch, "file"), F_OK), 0);
	sd_event_unref(loop);
}

static void rmnic_ctl_connect__nobody_there(void **state)
{
	struct rmnic_ctl_client *client;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct rmnic_error err;
	int fd;

	(void)state;
	assert_null(rmnic_ctl_connect(scratch_path(&scratch, "none"), 10, &err));
	assert_non_null(strstr(err.text, "none: no daemon there (no such socket)"));
	/* Somebody who takes the connection and says nothing. */
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(address.sun_path, scratch_path(&scratch, "mute"));
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_null(rmnic_ctl_connect(scratch.path, 10, &err));
	assert_non_null(strstr(err.text, "no daemon there (nobody listens)"));
	assert_int_equal(listen(fd, 1), 0);
	client = rmnic_ctl_connect(scratch.path, 10, &err);
	assert_non_null(client);
	assert_null(rmnic_ctl_ask(client, json_object(), &err));
	assert_string_equal(err.text, "the daemon did not answer within 10 ms");
	rmnic_ctl_disconnect(client);
	close(fd);
}

static void rmnic_ctl_ask__the_daemons_words(void **state)
{
	struct rmnic_ctl_client *client = client_open();
	struct rmnic_error err;
	json_t *big;

	(void)state;
	assert_null(rmnic_ctl_ask(client, json_pack("{s:s}", "command", "echo"), &err));
	assert_string_equal(err.text, "the request has no \"text\"");
	big = rmnic_ctl_ask(client, json_pack("{s:s}", "command", "big"), &err);
	assert_int_equal(json_string_length(big), BIG);
	json_decref(big);
	rmnic_ctl_disconnect(client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rmnic_ctl_request__answers),
		TEST(rmnic_ctl_request__refusals),
		TEST(rmnic_ctl_request__help_lists_all),
		TEST(rmnic_ctl__lines_however_they_come),
		TEST(rmnic_ctl__a_line_without_end_is_dropped),
		TEST(rmnic_ctl__a_slow_client_holds_nobody_up),
		TEST(rmnic_ctl__a_client_that_takes_nothing_is_dropped),
		TEST(rmnic_ctl__no_more_clients_than_there_are_places),
		TEST(rmnic_ctl_listen__mode_and_predecessors),
		TEST(rmnic_ctl_connect__nobody_there),
		TEST(rmnic_ctl_ask__the_daemons_words),
	};

	return cmocka_run_group_tests_name("ctl", tests, NULL, NULL);
}
