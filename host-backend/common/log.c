/* SPDX-License-Identifier: BSD-3-Clause */
/* Messages on standard error. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"

#define LINE_MAX_LEN 1024
#define LIMIT_NS     1000000000ull

const char *const rmnic_log_names[] = { "error", "warn", "info", "debug", NULL };

/* syslog's levels, which the journal reads in front of a line. */
static const char *const journal_prefix[] = { "<3>", "<4>", "<6>", "<7>" };

static const char *log_program = "rmnic";
static bool log_to_journal;
static _Atomic int log_level = RMNIC_LOG_INFO;

/* Whether standard error is the journal's socket: JOURNAL_STREAM names it, but is inherited by
 * programs whose standard error is another one. */
static bool journal_is_stderr(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[48];
	struct stat st;

	if (!stream || fstat(STDERR_FILENO, &st))
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return !strcmp(stream, own);
}

void rmnic_log_open(const char *program)
{
	log_program = program;
	log_to_journal = journal_is_stderr();
}

const char *rmnic_log_program(void)
{
	return log_program;
}

void rmnic_log_level_set(enum rmnic_log_level level)
{
	atomic_store_explicit(&log_level, level, memory_order_relaxed);
}

enum rmnic_log_level rmnic_log_level(void)
{
	return atomic_load_explicit(&log_level, memory_order_relaxed);
}

bool rmnic_log_level_parse(const char *name, enum rmnic_log_level *out)
{
	for (int i = 0; rmnic_log_names[i]; i++) {
		if (!strcmp(name, rmnic_log_names[i])) {
			*out = (enum rmnic_log_level)i;
			return true;
		}
	}
	return false;
}

/* Copies text into line, which has room for len - 1 bytes and the newline; its new end. */
static size_t escape(char *line, size_t at, size_t len, const char *text)
{
	for (; *text && at + 5 < len; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			at += (size_t)snprintf(line + at, len - at, "\\x%02x", c);
		else
			line[at++] = *text;
	}
	return at;
}

void rmnic_vlog(enum rmnic_log_level level, const char *format, va_list args)
{
	char text[LINE_MAX_LEN], line[LINE_MAX_LEN + 64];
	int saved = errno;
	size_t at;
	int n;

	if (level > rmnic_log_level())
		return;
	n = vsnprintf(text, sizeof(text), format, args);
	if (n >= (int)sizeof(text))
		memcpy(text + sizeof(text) - 4, "...", 4);
	if (log_to_journal)
		at = (size_t)snprintf(line, sizeof(line), "%s", journal_prefix[level]);
	else
		at = (size_t)snprintf(line, sizeof(line), "%.32s: %s", log_program,
				      level == RMNIC_LOG_WARN ? "warning: " :
				      level == RMNIC_LOG_DEBUG ? "debug: " : "");
	at = escape(line, at, sizeof(line), text);
	line[at++] = '\n';
	/* One call, so that lines of several threads do not mix. Nobody can be told of a failure. */
	if (write(STDERR_FILENO, line, at) < 0)
		errno = saved;
	errno = saved;
}

void rmnic_log(enum rmnic_log_level level, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	rmnic_vlog(level, format, args);
	va_end(args);
}

bool rmnic_log_allowed(struct rmnic_log_limit *limit, uint64_t now_ns, uint64_t *left_out)
{
	uint64_t next = atomic_load_explicit(&limit->next_ns, memory_order_relaxed);

	/* Of several threads that find the second over, one says its message. */
	if (now_ns < next ||
	    !atomic_compare_exchange_strong_explicit(&limit->next_ns, &next, now_ns + LIMIT_NS,
						     memory_order_relaxed, memory_order_relaxed)) {
		atomic_fetch_add_explicit(&limit->left_out, 1, memory_order_relaxed);
		return false;
	}
	*left_out = atomic_exchange_explicit(&limit->left_out, 0, memory_order_relaxed);
	return true;
}

void rmnic_log_limited_at(struct rmnic_log_limit *limit, enum rmnic_log_level level,
			  const char *format, ...)
{
	char text[LINE_MAX_LEN];
	struct timespec now;
	uint64_t left_out;
	va_list args;

	if (level > rmnic_log_level())
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!rmnic_log_allowed(limit, (uint64_t)now.tv_sec * LIMIT_NS + (uint64_t)now.tv_nsec,
			       &left_out))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (left_out)
		rmnic_log(level, "%s (and %" PRIu64 " more like it, left out)", text, left_out);
	else
		rmnic_log(level, "%s", text);
}
