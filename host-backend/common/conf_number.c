/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers that are too large, in a file for libconfig: it keeps the low 32 bits of one that has no L
 * behind it, and says nothing, so that 4294967301 would be a fine 5. They are looked for in the text.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_internal.h"

struct scan {
	FILE *file;
	unsigned int line;
	char name[RMNIC_CONF_KEY_MAX]; /* the last one before the number: whose value it is */
	char word[RMNIC_CONF_KEY_MAX]; /* a name or a number, as far as it fits */
};

static int next(struct scan *s)
{
	int c = getc(s->file);

	s->line += c == '\n';
	return c;
}

static void back(struct scan *s, int c)
{
	s->line -= c == '\n';
	ungetc(c, s->file);
}

/* A name or a number, which begins with c. */
static void word_read(struct scan *s, int c)
{
	size_t len = 0;

	for (; isalnum(c) || c == '_' || c == '-' || c == '*' || c == '.' || c == '+'; c = next(s))
		if (len + 1 < sizeof(s->word))
			s->word[len++] = (char)c;
	s->word[len] = '\0';
	back(s, c);
}

static void string_skip(struct scan *s)
{
	int c;

	while ((c = next(s)) != EOF && c != '"')
		if (c == '\\')
			next(s);
}

static void line_skip(struct scan *s)
{
	int c;

	while ((c = next(s)) != EOF && c != '\n')
		;
}

static void comment_skip(struct scan *s)
{
	int c = next(s);

	if (c == '/') {
		line_skip(s);
		return;
	}
	for (int last = 0; c == '*' && (last = next(s)) != EOF;) {
		while (last == '*')
			if ((last = next(s)) == '/')
				return;
	}
}

/* Decimal or hexadecimal, without the L that makes it one of 64 bits. */
static bool too_large(const char *word)
{
	bool hex = word[0] == '0' && (word[1] == 'x' || word[1] == 'X');
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(word, &end, hex ? 16 : 10);
	return !*end && (errno || value > (hex ? UINT32_MAX : INT32_MAX));
}

int rmnic_conf_numbers_check(const char *path, const char *name, struct rmnic_error *err)
{
	struct scan s = { .file = fopen(path, "re"), .line = 1 };
	int ret = 0, c;

	if (!s.file)
		return rmnic_error_set(err, "%s: %s", name, strerror(errno));
	while (!ret && (c = next(&s)) != EOF) {
		if (c == '"') {
			string_skip(&s);
		} else if (c == '#') {
			line_skip(&s);
		} else if (c == '/') {
			comment_skip(&s);
		} else if (isdigit(c)) {
			word_read(&s, c);
			if (too_large(s.word))
				ret = rmnic_error_set(err, "%s:%u: %s %s is out of range", name,
						      s.line, s.name, s.word);
		} else if (isalpha(c) || c == '_' || c == '*') {
			word_read(&s, c);
			memcpy(s.name, s.word, sizeof(s.name));
		}
	}
	fclose(s.file);
	return ret;
}
