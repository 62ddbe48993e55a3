/* SPDX-License-Identifier: BSD-3-Clause */
#define _DEFAULT_SOURCE /* scandir */
#include "vectors.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RMP_DIRECTORY  "spec/vectors"
#define USER_DIRECTORY "spec/vectors/user"

static void bad(const char *directory, const char *name, const char *line)
{
	fprintf(stderr, "%s/%s: cannot make sense of '%s'\n", directory, name, line);
	abort();
}

/* --- A file: lines of `key = number`, then bytes in hexadecimal; # begins a comment ------------- */

struct file {
	const char *directory, *name;
	bool (*field)(void *vector, const char *key, uint64_t n);
	void *vector;
	uint8_t *bytes;
	uint32_t len, max;
};

static void parse_line(struct file *in, char *line)
{
	unsigned long long n;
	unsigned int byte;
	char key[32];
	int used;

	line[strcspn(line, "#\n")] = 0;
	if (sscanf(line, "%31[a-z_] = %lli", key, (long long *)&n) == 2) {
		if (!in->field(in->vector, key, n))
			bad(in->directory, in->name, line);
		return;
	}
	for (; sscanf(line, " %2x%n", &byte, &used) == 1; line += used) {
		if (in->len == in->max)
			bad(in->directory, in->name, line);
		in->bytes[in->len++] = (uint8_t)byte;
	}
	if (line[strspn(line, " ")])
		bad(in->directory, in->name, line);
}

static void parse(struct file *in)
{
	char path[320], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", in->directory, in->name);
	f = fopen(path, "r");
	if (!f) {
		bad(in->directory, in->name, "the file");
		return;
	}
	while (fgets(line, sizeof(line), f))
		parse_line(in, line);
	fclose(f);
}

static int is_vector(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 4 && !strcmp(e->d_name + n - 4, ".hex");
}

/* Calls load(i, name) for each file; the array is made of n elements first. */
static unsigned int for_each(const char *directory, size_t each, void **array,
			     void (*load)(void *vector, const char *name))
{
	struct dirent **names;
	int n = scandir(directory, &names, is_vector, alphasort);

	if (n <= 0)
		bad(directory, "", "a directory without vectors");
	*array = calloc((size_t)n, each);
	for (int i = 0; i < n; i++) {
		load((uint8_t *)*array + (size_t)i * each, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return (unsigned int)n;
}

/* --- RMP ------------------------------------------------------------------------------------------ */

#define FIELD(name)                             \
	if (!strcmp(key, #name)) {              \
		m->name = (__typeof__(m->name))n; \
		return true;                    \
	}

static bool rmp_field(void *vector, const char *key, uint64_t n)
{
	struct vector *v = vector;
	struct rmnic_rmp_msg *m = &v->msg;

	FIELD(type) FIELD(flags) FIELD(stamp) FIELD(request) FIELD(handle) FIELD(rpn)
	FIELD(version) FIELD(session) FIELD(epoch) FIELD(offset) FIELD(total) FIELD(crc)
	FIELD(credit) FIELD(queued) FIELD(status) FIELD(payload_len)
	if (!strcmp(key, "reply"))
		v->reply = n;
	else if (!strcmp(key, "boot"))
		v->boot = n;
	else
		return false;
	return true;
}

static void rmp_load(void *vector, const char *name)
{
	struct vector *v = vector;
	struct file in = { RMP_DIRECTORY, name, rmp_field, v, v->bytes, 0, sizeof(v->bytes) };

	snprintf(v->name, sizeof(v->name), "%.*s", (int)(strlen(name) - 4), name);
	parse(&in);
	v->len = in.len;
}

unsigned int vectors_load(struct vector **vectors)
{
	return for_each(RMP_DIRECTORY, sizeof(**vectors), (void **)vectors, rmp_load);
}

const struct vector *vectors_find(const struct vector *v, unsigned int n, const char *name)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(v[i].name, name))
			return &v[i];
	bad(RMP_DIRECTORY, name, "no such vector");
	return NULL;
}

/* --- rmnic-user ----------------------------------------------------------------------------------- */

static bool user_field(void *vector, const char *key, uint64_t n)
{
	struct user_vector *v = vector;
	struct rmnic_user_msg *m = &v->msg;

	FIELD(type) FIELD(flags) FIELD(size) FIELD(seq) FIELD(status)
	if (strcmp(key, "fds"))
		return false;
	v->fds = (unsigned int)n;
	return true;
}

static void user_load(void *vector, const char *name)
{
	struct user_vector *v = vector;
	struct file in = { USER_DIRECTORY, name, user_field, v, v->bytes, 0, sizeof(v->bytes) };

	snprintf(v->name, sizeof(v->name), "%.*s", (int)(strlen(name) - 4), name);
	parse(&in);
	v->len = in.len;
}

unsigned int user_vectors_load(struct user_vector **vectors)
{
	return for_each(USER_DIRECTORY, sizeof(**vectors), (void **)vectors, user_load);
}

const struct user_vector *user_vectors_find(const struct user_vector *v, unsigned int n,
					    const char *name)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(v[i].name, name))
			return &v[i];
	bad(USER_DIRECTORY, name, "no such vector");
	return NULL;
}
