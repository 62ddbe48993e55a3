/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

void scratch_open(struct scratch *s)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(s->dir, sizeof(s->dir), "%.40s/rmnic-unit-XXXXXX", tmp ? tmp : "/tmp");
	s->saved = -1;
	assert_non_null(mkdtemp(s->dir));
}

void scratch_close(struct scratch *s)
{
	DIR *dir = opendir(s->dir);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	assert_int_equal(rmdir(s->dir), 0);
}

const char *scratch_path(struct scratch *s, const char *name)
{
	snprintf(s->path, sizeof(s->path), "%s/%.60s", s->dir, name);
	return s->path;
}

const char *scratch_write(struct scratch *s, const char *name, const char *text)
{
	FILE *out = fopen(scratch_path(s, name), "w");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
	return s->path;
}

const char *scratch_read(struct scratch *s, const char *name, char *buf, size_t len)
{
	FILE *in = fopen(scratch_path(s, name), "r");
	size_t n = in ? fread(buf, 1, len - 1, in) : 0;

	buf[n] = '\0';
	if (in)
		fclose(in);
	return buf;
}

void scratch_stderr_take(struct scratch *s)
{
	int fd = open(scratch_path(s, "stderr"), O_CREAT | O_TRUNC | O_WRONLY | O_APPEND, 0600);

	assert_true(fd >= 0);
	s->saved = dup(STDERR_FILENO);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
}

const char *scratch_stderr_give(struct scratch *s, char *buf, size_t len)
{
	assert_int_equal(dup2(s->saved, STDERR_FILENO), STDERR_FILENO);
	close(s->saved);
	s->saved = -1;
	return scratch_read(s, "stderr", buf, len);
}
