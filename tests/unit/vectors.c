/* SPDX-License-Identifier: BSD-3-Clause */
#define _DEFAULT_SOURCE /* scandir */
#include "vectors.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIRECTORY "spec/vectors"

static void bad(const char *name, const char *line)
{
	fprintf(stderr, "%s/%s: cannot make sense of '%s'\n", DIRECTORY, name, line);
	abort();
}

static bool field(struct vector *v, const char *key, uint64_t n)
{
	struct rmnic_rmp_msg *m = &v->msg;

#define FIELD(name)                             \
	if (!strcmp(key, #name)) {              \
		m->name = (__typeof__(m->name))n; \
		return true;                    \
	}
	FIELD(type) FIELD(flags) FIELD(stamp) FIELD(request) FIELD(handle) FIELD(rpn)
	FIELD(version) FIELD(session) FIELD(epoch) FIELD(offset) FIELD(total) FIELD(crc)
	FIELD(credit) FIELD(queued) FIELD(status) FIELD(payload_len)
#undef FIELD
	if (!strcmp(key, "reply"))
		v->reply = n;
	else if (!strcmp(key, "boot"))
		v->boot = n;
	else
		return false;
	return true;
}

static void load(struct vector *v, const char *name)
{
	char path[320], line[512], key[32];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", DIRECTORY, name);
	f = fopen(path, "r");
	if (!f)
		bad(name, "the file");
	memset(v, 0, sizeof(*v));
	snprintf(v->name, sizeof(v->name), "%.*s", (int)(strlen(name) - 4), name);
	while (fgets(line, sizeof(line), f)) {
		unsigned long long n;
		unsigned int byte;
		int used;
		char *p = line;

		line[strcspn(line, "#\n")] = 0;
		if (sscanf(line, "%31[a-z_] = %lli", key, (long long *)&n) == 2) {
			if (!field(v, key, n))
				bad(name, line);
			continue;
		}
		for (; sscanf(p, " %2x%n", &byte, &used) == 1; p += used) {
			if (v->len == sizeof(v->bytes))
				bad(name, line);
			v->bytes[v->len++] = (uint8_t)byte;
		}
		if (p[strspn(p, " ")])
			bad(name, line);
	}
	fclose(f);
}

static int is_vector(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 4 && !strcmp(e->d_name + n - 4, ".hex");
}

unsigned int vectors_load(struct vector **vectors)
{
	struct dirent **names;
	int n = scandir(DIRECTORY, &names, is_vector, alphasort);

	if (n <= 0)
		bad("", "a directory without vectors");
	*vectors = calloc((size_t)n, sizeof(**vectors));
	for (int i = 0; i < n; i++) {
		load(&(*vectors)[i], names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return (unsigned int)n;
}

const struct vector *vectors_find(const struct vector *v, unsigned int n, const char *name)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(v[i].name, name))
			return &v[i];
	bad(name, "no such vector");
	return NULL;
}
