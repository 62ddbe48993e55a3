/* SPDX-License-Identifier: BSD-3-Clause */
/* scratch.h - a directory of a test's own, its files, and what is written to standard error. */
#ifndef RMNIC_TESTS_SCRATCH_H
#define RMNIC_TESTS_SCRATCH_H

#include <stddef.h>

struct scratch {
	char dir[64];
	char path[128]; /* of the last scratch_path() */
	int saved;      /* standard error, while it is taken */
};

/* Fails the test when it cannot be made. */
void scratch_open(struct scratch *s);
/* Removes the directory and all that is in it. */
void scratch_close(struct scratch *s);
const char *scratch_path(struct scratch *s, const char *name);
const char *scratch_write(struct scratch *s, const char *name, const char *text);
/* The file's content, of at most len - 1 bytes; "" when it is not there. */
const char *scratch_read(struct scratch *s, const char *name, char *buf, size_t len);
/* What is written to standard error goes to a file until _given() gives it back. */
void scratch_stderr_take(struct scratch *s);
const char *scratch_stderr_give(struct scratch *s, char *buf, size_t len);

#endif /* RMNIC_TESTS_SCRATCH_H */
