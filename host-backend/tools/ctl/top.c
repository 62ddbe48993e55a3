/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ctl/top.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "tools/ctl/sample.h"
#include "tools/ctl/views.h"

#define TABLE(columns, text) { columns, sizeof(columns) / sizeof(columns[0]), text }

static const struct ctl_column device_columns[] = {
	{ "DEVICE", "uuid", CTL_TEXT },
	{ "VM", "vm", CTL_TEXT },
	{ "STATE", "state", CTL_TEXT },
	{ "CAPACITY", "capacity_pages", CTL_PAGES },
	{ "STORED", "stored_pages", CTL_PAGES },
	{ "IN/S", "in_rate", CTL_COUNT },
	{ "OUT/S", "out_rate", CTL_COUNT },
	{ "IN-P50", "in_p50", CTL_US },
	{ "IN-P99", "in_p99", CTL_US },
	{ "OUT-P50", "out_p50", CTL_US },
	{ "OUT-P99", "out_p99", CTL_US },
	{ "COPIED/S", "copy_rate", CTL_COUNT },
	{ "HEALTH", "health", CTL_TEXT },
};

static const struct ctl_table top_devices = TABLE(device_columns, "no device is connected");

static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

/* --- One picture -------------------------------------------------------------------------- */

static void field(const json_t *object, const char *key, enum ctl_kind kind, char *buf,
		  size_t len)
{
	ctl_value_format(kind, json_object_get(object, key), buf, len);
}

static void headline_print(FILE *out, const struct ctl_sample *now)
{
	char program[64], version[64], memory[160], clock[16];
	json_int_t up = json_integer_value(json_object_get(now->status, "uptime_s"));
	time_t seconds = time(NULL);
	struct tm local;

	field(now->status, "program", CTL_TEXT, program, sizeof(program));
	field(now->status, "version", CTL_TEXT, version, sizeof(version));
	field(now->status, "memory", CTL_TEXT, memory, sizeof(memory));
	localtime_r(&seconds, &local);
	strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	fprintf(out, "%s %s  up %lld:%02lld:%02lld  memory %s  %s\n", program, version, up / 3600,
		up / 60 % 60, up % 60, memory, clock);
}

static void rates_print(FILE *out, const json_t *rows)
{
	char in[32], out_rate[32];

	ctl_count_format((long long)ctl_sample_sum(rows, "in_rate"), in, sizeof(in));
	ctl_count_format((long long)ctl_sample_sum(rows, "out_rate"), out_rate, sizeof(out_rate));
	fprintf(out, "page-ins %s/s  page-outs %s/s\n", in, out_rate);
}

static void picture_print(FILE *out, const struct ctl_sample *before,
			  const struct ctl_sample *now)
{
	headline_print(out, now);
	if (now->devices) {
		json_t *rows = ctl_sample_devices(before, now);

		rates_print(out, rows);
		putc('\n', out);
		ctl_table_print(out, &top_devices, rows);
		json_decref(rows);
	}
	if (now->servers) {
		putc('\n', out);
		ctl_table_print(out, &ctl_servers, now->servers);
	}
	if (now->memory) {
		putc('\n', out);
		ctl_memory_print(out, now->memory);
	}
	if (now->sessions) {
		putc('\n', out);
		ctl_table_print(out, &ctl_sessions, now->sessions);
	}
}

/* --- The terminal ------------------------------------------------------------------------- */

static struct termios saved;
static bool raw;

/* No echo, keys at once, no wrapped lines, no cursor. */
static void terminal_begin(void)
{
	struct termios t;

	if (isatty(STDIN_FILENO) && !tcgetattr(STDIN_FILENO, &saved)) {
		t = saved;
		t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw = !tcsetattr(STDIN_FILENO, TCSANOW, &t);
	}
	fputs("\033[?25l\033[?7l\033[2J", stdout);
}

static void terminal_end(void)
{
	fputs("\033[?7h\033[?25h\n", stdout);
	fflush(stdout);
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
}

/* Over the last picture, each line cleared behind its end, and no more lines than there are. */
static void terminal_show(const char *text)
{
	struct winsize size = { .ws_row = 0 };
	int left = 1000;

	if (!ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) && size.ws_row > 1)
		left = size.ws_row - 1;
	fputs("\033[H", stdout);
	while (*text && left-- > 0) {
		int len = (int)strcspn(text, "\n");

		printf("%.*s\033[K\n", len, text);
		text += len + (text[len] == '\n');
	}
	fputs("\033[J", stdout);
	fflush(stdout);
}

/* Until the interval is over, q is typed or a signal comes. False: it is time to end. */
static bool interval_wait(int ms)
{
	struct pollfd key = { .fd = raw ? STDIN_FILENO : -1, .events = POLLIN };
	char typed;

	if (ended)
		return false;
	if (poll(&key, 1, ms) <= 0)
		return !ended;
	return read(STDIN_FILENO, &typed, 1) == 1 && typed != 'q' && !ended;
}

/* --- The loop ----------------------------------------------------------------------------- */

static int picture_show(const struct ctl_sample *before, const struct ctl_sample *now,
			bool terminal, struct rmnic_error *err)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return rmnic_error_set(err, "out of memory");
	picture_print(out, before, now);
	fclose(out);
	if (terminal)
		terminal_show(text);
	else
		fputs(text, stdout);
	free(text);
	return 0;
}

static int loop(struct rmnic_ctl_client *client, const json_t *commands,
		const struct ctl_top_options *options, bool terminal, struct rmnic_error *err)
{
	struct ctl_sample before, now;
	int ret = ctl_sample_take(client, commands, &before, err);

	if (ret)
		return ret;
	if (terminal)
		ret = picture_show(&before, &before, terminal, err);
	while (!ret && interval_wait(options->interval_ms)) {
		ret = ctl_sample_take(client, commands, &now, err);
		if (ret)
			break;
		ret = picture_show(&before, &now, terminal, err);
		ctl_sample_free(&before);
		before = now;
		if (!terminal)
			break;
	}
	ctl_sample_free(&before);
	return ret;
}

int ctl_top_run(struct rmnic_ctl_client *client, const struct ctl_top_options *options,
		struct rmnic_error *err)
{
	bool terminal = isatty(STDOUT_FILENO) && !options->once;
	struct sigaction action = { .sa_handler = on_signal };
	json_t *commands = rmnic_ctl_ask(client, json_pack("{s:s}", "command", "help"), err);
	int ret;

	if (!commands)
		return -1;
	/* The terminal is put in order on the way out, whoever ends this. */
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	if (terminal)
		terminal_begin();
	ret = loop(client, commands, options, terminal, err);
	if (terminal)
		terminal_end();
	json_decref(commands);
	return ret;
}
