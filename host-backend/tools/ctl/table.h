/* SPDX-License-Identifier: BSD-3-Clause */
/* tools/ctl/table.h - rows of JSON as columns for people. */
#ifndef RMNIC_CTL_TABLE_H
#define RMNIC_CTL_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum ctl_kind {
	CTL_TEXT,
	CTL_COUNT,   /* 1,234 */
	CTL_NUMBER,  /* 7611: no commas */
	CTL_PAGES,   /* as a size */
	CTL_BYTES,   /* as a size */
	CTL_US,      /* 14.3 */
	CTL_PERCENT,
	CTL_LINK,    /* true: up */
	CTL_MEMBERS, /* servers of a slab's view */
	CTL_LIST,    /* of texts */
};

struct ctl_column {
	const char *header;
	const char *key; /* "uuid"; "page_in_us.p50" */
	enum ctl_kind kind;
};

struct ctl_table {
	const struct ctl_column *column;
	size_t columns;
	const char *empty; /* printed when there is no row */
};

/* rows: an array of objects. What is missing or of another type is "-". */
void ctl_table_print(FILE *out, const struct ctl_table *table, const json_t *rows);
/* One value as its column shows it, on a terminal harmless whatever it holds. */
void ctl_value_format(enum ctl_kind kind, const json_t *value, char *buf, size_t len);
/* A key and a value a line, aligned. */
void ctl_object_print(FILE *out, const json_t *object);
/* "1.5G"; "1,234" */
void ctl_size_format(double bytes, char *buf, size_t len);
void ctl_count_format(long long count, char *buf, size_t len);

#endif /* RMNIC_CTL_TABLE_H */
