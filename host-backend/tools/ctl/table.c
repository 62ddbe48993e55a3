/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ctl/table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SIZE 4096.0
#define CELL_MAX  256

void ctl_size_format(double bytes, char *buf, size_t len)
{
	static const char units[] = "BKMGTPE";
	size_t unit = 0;

	while (fabs(bytes) >= 1024 && unit < sizeof(units) - 2) {
		bytes /= 1024;
		unit++;
	}
	/* A whole number needs no point: 4G, but 1.5G. */
	if (unit == 0 || fabs(bytes - round(bytes)) < 0.05)
		snprintf(buf, len, "%.0f%c", bytes, units[unit]);
	else
		snprintf(buf, len, "%.1f%c", bytes, units[unit]);
}

void ctl_count_format(long long count, char *buf, size_t len)
{
	char digits[32];
	size_t n, at = 0;

	snprintf(digits, sizeof(digits), "%lld", count);
	n = strlen(digits);
	for (size_t i = 0; i < n && at + 2 < len; i++) {
		buf[at++] = digits[i];
		if ((n - 1 - i) % 3 == 0 && i + 1 < n && digits[i] != '-')
			buf[at++] = ',';
	}
	buf[at] = '\0';
}

/* What a daemon got from a peer may be in a text: no control characters reach the terminal. */
static void text_format(const char *text, char *buf, size_t len)
{
	size_t at = 0;

	for (; *text && at + 1 < len; text++)
		buf[at++] = (unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text;
	buf[at] = '\0';
	if (!at)
		snprintf(buf, len, "-");
}

/* A member that is whole needs no word; one that is not has its state behind it. */
static void member_format(const json_t *member, char *buf, size_t len)
{
	const char *server = json_string_value(json_object_get(member, "address"));
	const char *state = json_string_value(json_object_get(member, "state"));
	char text[64], more[32];

	if (!server || !*server)
		server = json_string_value(json_object_get(member, "server"));
	text_format(server ? server : "-", text, sizeof(text));
	text_format(state ? state : "", more, sizeof(more));
	if (state && strcmp(state, "whole") != 0)
		snprintf(buf, len, "%s(%s)", text, more);
	else
		snprintf(buf, len, "%s", text);
}

static void list_format(enum ctl_kind kind, const json_t *list, char *buf, size_t len)
{
	size_t at = 0, i;
	json_t *entry;

	snprintf(buf, len, "-");
	json_array_foreach(list, i, entry) {
		const char *string = json_string_value(entry);
		char text[112];

		if (at >= len)
			break;
		if (kind == CTL_MEMBERS)
			member_format(entry, text, sizeof(text));
		else
			text_format(string ? string : "-", text, sizeof(text));
		at += (size_t)snprintf(buf + at, len - at, "%s%s", i ? " " : "", text);
	}
}

static void number_format(enum ctl_kind kind, const json_t *value, char *buf, size_t len)
{
	double number = json_number_value(value);

	switch (kind) {
	case CTL_PAGES:
		ctl_size_format(number * PAGE_SIZE, buf, len);
		break;
	case CTL_BYTES:
		ctl_size_format(number, buf, len);
		break;
	case CTL_US:
	case CTL_PERCENT:
		snprintf(buf, len, "%.1f", number);
		break;
	case CTL_NUMBER:
	case CTL_TEXT:
		if (json_is_integer(value))
			snprintf(buf, len, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		else
			snprintf(buf, len, "%g", number);
		break;
	default:
		if (json_is_integer(value))
			ctl_count_format(json_integer_value(value), buf, len);
		else
			snprintf(buf, len, "%.1f", number);
	}
}

void ctl_value_format(enum ctl_kind kind, const json_t *value, char *buf, size_t len)
{
	if (json_is_string(value))
		text_format(json_string_value(value), buf, len);
	else if (json_is_number(value))
		number_format(kind, value, buf, len);
	else if (json_is_boolean(value) && kind == CTL_LINK)
		snprintf(buf, len, "%s", json_is_true(value) ? "up" : "down");
	else if (json_is_boolean(value))
		snprintf(buf, len, "%s", json_is_true(value) ? "yes" : "no");
	else if (kind == CTL_MEMBERS || kind == CTL_LIST)
		list_format(kind, value, buf, len);
	else
		snprintf(buf, len, "-");
}

/* "a.b": b of the object a. */
static const json_t *path_get(const json_t *row, const char *key)
{
	const char *dot = strchr(key, '.');
	char first[64];

	if (!dot)
		return json_object_get(row, key);
	snprintf(first, sizeof(first), "%.*s", (int)(dot - key), key);
	return json_object_get(json_object_get(row, first), dot + 1);
}

static bool right_aligned(enum ctl_kind kind)
{
	return kind != CTL_TEXT && kind != CTL_LINK && kind != CTL_MEMBERS &&
	       kind != CTL_LIST;
}

static void cell_print(FILE *out, const struct ctl_table *table, size_t column,
		       const char *text, const size_t *width)
{
	bool last = column + 1 == table->columns;
	int pad = (int)width[column];

	if (column)
		fputs("  ", out);
	if (right_aligned(table->column[column].kind))
		fprintf(out, "%*s", pad, text);
	else if (last)
		fputs(text, out);
	else
		fprintf(out, "%-*s", pad, text);
	if (last)
		putc('\n', out);
}

void ctl_table_print(FILE *out, const struct ctl_table *table, const json_t *rows)
{
	size_t width[32], i;
	char cell[CELL_MAX];
	json_t *row;

	if (!json_array_size(rows)) {
		fprintf(out, "%s\n", table->empty);
		return;
	}
	for (size_t c = 0; c < table->columns; c++) {
		width[c] = strlen(table->column[c].header);
		json_array_foreach(rows, i, row) {
			ctl_value_format(table->column[c].kind, path_get(row, table->column[c].key),
					 cell, sizeof(cell));
			if (strlen(cell) > width[c])
				width[c] = strlen(cell);
		}
	}
	for (size_t c = 0; c < table->columns; c++)
		cell_print(out, table, c, table->column[c].header, width);
	json_array_foreach(rows, i, row) {
		for (size_t c = 0; c < table->columns; c++) {
			ctl_value_format(table->column[c].kind, path_get(row, table->column[c].key),
					 cell, sizeof(cell));
			cell_print(out, table, c, cell, width);
		}
	}
}

void ctl_object_print(FILE *out, const json_t *object)
{
	const char *key;
	char cell[CELL_MAX];
	size_t width = 0;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) {
		if (strlen(key) > width)
			width = strlen(key);
	}
	json_object_foreach((json_t *)object, key, value) {
		char *text = NULL;

		if (json_is_array(value) || json_is_object(value))
			text = json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII);
		else
			ctl_value_format(CTL_NUMBER, value, cell, sizeof(cell));
		fprintf(out, "%-*s  %s\n", (int)width, key, text ? text : cell);
		free(text);
	}
}
