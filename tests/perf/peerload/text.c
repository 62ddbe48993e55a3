/* SPDX-License-Identifier: BSD-3-Clause */
/* Redis (RESP) and memcached (its text protocol): a key a page, answers in order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto.h"

static int no_greeting(int fd, uint64_t pages)
{
	(void)fd;
	(void)pages;
	return 0;
}

/* Data and the end of its line behind a head that is there already. */
static size_t data_add(uint8_t *out, int head, const uint8_t *data)
{
	memcpy(out + head, data, PAGE);
	memcpy(out + head + PAGE, "\r\n", 2);
	return (size_t)head + PAGE + 2;
}

/* Length of the first line with its end, 0: it is not here whole. */
static size_t line_len(const uint8_t *in, size_t len)
{
	const uint8_t *end = memchr(in, '\n', len < 128 ? len : 128);

	return end ? (size_t)(end - in) + 1 : 0;
}

static struct answer stored(const uint8_t *in, size_t line, const char *text)
{
	return (struct answer){ .used = line, .failed = line != strlen(text) || memcmp(in, text, line) != 0 };
}

/* A page behind its head line, and a tail behind that. */
static struct answer page_of(const uint8_t *in, size_t len, size_t line, const char *tail)
{
	struct answer a = { 0 };
	size_t end = strlen(tail);

	if (len < line + PAGE + end)
		return a;
	a.used = line + PAGE + end;
	a.page = in + line;
	a.failed = memcmp(in + line + PAGE, tail, end) != 0;
	return a;
}

static size_t redis_request(uint8_t *out, enum op op, uint64_t page, uint64_t tag, const uint8_t *data)
{
	char key[24];
	int len = snprintf(key, sizeof(key), "p%llu", (unsigned long long)page), head;

	(void)tag;
	if (op == OP_READ)
		return (size_t)snprintf((char *)out, REQUEST_MAX, "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n", len, key);
	head = snprintf((char *)out, REQUEST_MAX, "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%u\r\n", len, key, PAGE);
	return data_add(out, head, data);
}

static struct answer redis_answer(const uint8_t *in, size_t len, enum op op)
{
	size_t line = line_len(in, len);

	if (!line)
		return (struct answer){ 0 };
	if (op == OP_WRITE)
		return stored(in, line, "+OK\r\n");
	if (line != 7 || memcmp(in, "$4096\r\n", 7) != 0)
		return (struct answer){ .used = line, .failed = true };
	return page_of(in, len, line, "\r\n");
}

static size_t memcached_request(uint8_t *out, enum op op, uint64_t page, uint64_t tag, const uint8_t *data)
{
	int head;

	(void)tag;
	if (op == OP_READ)
		return (size_t)snprintf((char *)out, REQUEST_MAX, "get p%llu\r\n", (unsigned long long)page);
	head = snprintf((char *)out, REQUEST_MAX, "set p%llu 0 0 %u\r\n", (unsigned long long)page, PAGE);
	return data_add(out, head, data);
}

static struct answer memcached_answer(const uint8_t *in, size_t len, enum op op)
{
	size_t line = line_len(in, len);

	if (!line)
		return (struct answer){ 0 };
	if (op == OP_WRITE)
		return stored(in, line, "STORED\r\n");
	/* 'END' alone: it does not have the page (any more). */
	if (line < 6 || memcmp(in, "VALUE ", 6) != 0 || memcmp(in + line - 7, " 4096\r\n", 7) != 0)
		return (struct answer){ .used = line, .failed = true };
	return page_of(in, len, line, "\r\nEND\r\n");
}

const struct proto proto_redis = { "redis", NULL, no_greeting, redis_request, redis_answer };
const struct proto proto_memcached = { "memcached", NULL, no_greeting, memcached_request, memcached_answer };
