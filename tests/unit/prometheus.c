/* SPDX-License-Identifier: BSD-3-Clause */
#include "prometheus.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FAMILIES 64
#define NAME_MAX_LEN 128

struct reader {
	char family[NAME_MAX_LEN]; /* the one that is being read */
	char type[16];
	char seen[MAX_FAMILIES][NAME_MAX_LEN];
	int families;
	char series[1024];   /* of the histogram being read: its labels without le */
	double le, buckets;  /* last bound, and count of observations there */
	bool infinite;       /* le="+Inf" was there */
};

static char report[512];

static const char *wrong(int line, const char *what)
{
	snprintf(report, sizeof(report), "line %d: %s", line, what);
	return report;
}

/* [a-zA-Z_:][a-zA-Z0-9_:]*, or without colons for a label; its length, 0: none */
static size_t name_len(const char *at, bool label)
{
	size_t n = 0;

	while (isalnum((unsigned char)at[n]) || at[n] == '_' || (!label && at[n] == ':'))
		n++;
	return isdigit((unsigned char)at[0]) ? 0 : n;
}

/* NULL: broken; else what follows the closing quote. value: unescaped. */
static const char *quoted(const char *at, char *value, size_t len)
{
	size_t n = 0;

	if (*at++ != '"')
		return NULL;
	for (; *at != '"'; at++) {
		char c = *at;

		if (c == '\0' || c == '\n' || n + 1 >= len)
			return NULL;
		if (c == '\\') {
			c = *++at;
			if (c != '\\' && c != '"' && c != 'n')
				return NULL;
			c = c == 'n' ? '\n' : c;
		}
		value[n++] = c;
	}
	value[n] = '\0';
	return at + 1;
}

static const char *comment(struct reader *r, const char *line, int number)
{
	bool help = !strncmp(line, "# HELP ", 7);
	const char *name = line + 7;
	size_t n = name_len(name, false);

	if ((!help && strncmp(line, "# TYPE ", 7)) || !n || n >= NAME_MAX_LEN || name[n] != ' ')
		return wrong(number, "no HELP or TYPE of a family");
	if (help) {
		for (int i = 0; i < r->families; i++)
			if (strlen(r->seen[i]) == n && !strncmp(r->seen[i], name, n))
				return wrong(number, "this family was there already");
		snprintf(r->family, sizeof(r->family), "%.*s", (int)n, name);
		strcpy(r->seen[r->families++ % MAX_FAMILIES], r->family);
		r->type[0] = '\0';
		r->series[0] = '\0';
		return NULL;
	}
	if (strlen(r->family) != n || strncmp(r->family, name, n))
		return wrong(number, "TYPE of another family than HELP");
	name += n + 1;
	n = strcspn(name, "\n");
	if (!((n == 7 && !strncmp(name, "counter", 7)) || (n == 5 && !strncmp(name, "gauge", 5)) ||
	      (n == 9 && !strncmp(name, "histogram", 9))))
		return wrong(number, "no such type");
	snprintf(r->type, sizeof(r->type), "%.*s", (int)n, name);
	return NULL;
}

/* Labels into `series` but for le; NULL: broken. */
static const char *labels(const char *at, char *series, size_t len, char *le, size_t le_len)
{
	char value[512];
	size_t used = 0;

	if (*at != '{')
		return at;
	do {
		size_t n = name_len(++at, true);

		if (!n || at[n] != '=')
			return NULL;
		if (n == 2 && !strncmp(at, "le", 2)) {
			at = quoted(at + 3, le, le_len);
		} else {
			used += (size_t)snprintf(series + used, len - used, "%.*s=", (int)n, at);
			at = quoted(at + n + 1, value, sizeof(value));
			if (at && used < len)
				used += (size_t)snprintf(series + used, len - used, "%s;", value);
		}
		if (!at || used >= len)
			return NULL;
	} while (*at == ',');
	return *at == '}' ? at + 1 : NULL;
}

/* Buckets of one series follow each other, grow, end at +Inf, and that is the count. */
static const char *histogram(struct reader *r, const char *suffix, const char *series,
			     const char *le, double value, int number)
{
	double bound = *le ? strtod(le, NULL) : 0;

	if (!strcmp(suffix, "_bucket")) {
		if (!*le)
			return wrong(number, "a bucket without le");
		if (strcmp(series, r->series) || r->infinite) {
			snprintf(r->series, sizeof(r->series), "%s", series);
			r->le = -INFINITY;
			r->buckets = 0;
		}
		if (bound <= r->le || value < r->buckets)
			return wrong(number, "buckets do not grow");
		r->le = bound;
		r->buckets = value;
		r->infinite = isinf(bound);
		return NULL;
	}
	if (strcmp(suffix, "_sum") && strcmp(suffix, "_count"))
		return wrong(number, "no sample of a histogram");
	if (strcmp(series, r->series) || !r->infinite)
		return wrong(number, "a histogram without all its buckets");
	if (!strcmp(suffix, "_count") && value != r->buckets)
		return wrong(number, "the count is not that of the last bucket");
	return NULL;
}

static const char *sample(struct reader *r, const char *line, int number)
{
	size_t n = name_len(line, false), family = strlen(r->family);
	char series[1024] = "", le[64] = "", suffix[16] = "";
	const char *at;
	double value;
	char *end;

	if (!n || n < family || strncmp(line, r->family, family) || !*r->type)
		return wrong(number, "a sample outside its family");
	snprintf(suffix, sizeof(suffix), "%.*s", (int)(n - family), line + family);
	at = labels(line + n, series, sizeof(series), le, sizeof(le));
	if (!at || *at != ' ')
		return wrong(number, "broken labels");
	value = strtod(at + 1, &end);
	if (end == at + 1 || *end != '\n')
		return wrong(number, "no number at the end");
	if (!strcmp(r->type, "counter") && (value < 0 || n < 6 || strncmp(line + n - 6, "_total", 6)))
		return wrong(number, "a counter is not negative and its name ends in _total");
	if (!strcmp(r->type, "histogram"))
		return histogram(r, suffix, series, le, value, number);
	return *suffix ? wrong(number, "a sample outside its family") : NULL;
}

const char *prometheus_check(const char *text)
{
	static struct reader r;
	int number = 1;

	memset(&r, 0, sizeof(r));
	for (; *text; number++) {
		const char *end = strchr(text, '\n');
		const char *bad = !end ? wrong(number, "the last line does not end") :
				  *text == '#' ? comment(&r, text, number) :
				  sample(&r, text, number);

		if (bad)
			return bad;
		text = end + 1;
	}
	return r.families ? NULL : wrong(number, "there is no family");
}
