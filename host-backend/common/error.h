/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/error.h - what went wrong, in words for a person: what, where, and what to do.
 */
#ifndef RMNIC_COMMON_ERROR_H
#define RMNIC_COMMON_ERROR_H

struct rmnic_error {
	char text[512];
};

/* Sets the text, unless err is NULL. Always returns -1, for `return rmnic_error_set(...)`. */
int rmnic_error_set(struct rmnic_error *err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* RMNIC_COMMON_ERROR_H */
