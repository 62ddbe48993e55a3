/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/log.h - one line a message on standard error; any thread.
 *
 * "rmnicd: text" by hand; under systemd, which knows whose line it is, "<3>text" with the
 * level the journal keeps. What a peer sent may be in a message: control characters are
 * written as \xNN, so that nobody forges a line.
 */
#ifndef RMNIC_COMMON_LOG_H
#define RMNIC_COMMON_LOG_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum rmnic_log_level { RMNIC_LOG_ERROR, RMNIC_LOG_WARN, RMNIC_LOG_INFO, RMNIC_LOG_DEBUG };

/* The names "error" to "debug", by level, NULL at the end. */
extern const char *const rmnic_log_names[];

/* Once, before the first message: the program's name, which must stay where it is. */
void rmnic_log_open(const char *program);
const char *rmnic_log_program(void);
/* At any time, by any thread. It is INFO at the start. */
void rmnic_log_level_set(enum rmnic_log_level level);
enum rmnic_log_level rmnic_log_level(void);
/* False: there is no such name. */
bool rmnic_log_level_parse(const char *name, enum rmnic_log_level *out);

void rmnic_log(enum rmnic_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
void rmnic_vlog(enum rmnic_log_level level, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));

#define rmnic_log_error(...) rmnic_log(RMNIC_LOG_ERROR, __VA_ARGS__)
#define rmnic_log_warn(...)  rmnic_log(RMNIC_LOG_WARN, __VA_ARGS__)
#define rmnic_log_info(...)  rmnic_log(RMNIC_LOG_INFO, __VA_ARGS__)
#define rmnic_log_debug(...) rmnic_log(RMNIC_LOG_DEBUG, __VA_ARGS__)

/* What a call site remembers so that it says at most one line a second. All zero at first. */
struct rmnic_log_limit {
	_Atomic uint64_t next_ns; /* CLOCK_MONOTONIC */
	_Atomic uint64_t left_out;
};

/* True: say it; *left_out are the messages that were not said since the last one. */
bool rmnic_log_allowed(struct rmnic_log_limit *limit, uint64_t now_ns, uint64_t *left_out);
void rmnic_log_limited_at(struct rmnic_log_limit *limit, enum rmnic_log_level level,
			  const char *format, ...) __attribute__((format(printf, 3, 4)));

/* For what a peer can make happen as often as it likes. */
#define rmnic_log_limited(level, ...)                                   \
	do {                                                            \
		static struct rmnic_log_limit rmnic_limit_;             \
		rmnic_log_limited_at(&rmnic_limit_, level, __VA_ARGS__); \
	} while (0)

#endif /* RMNIC_COMMON_LOG_H */
