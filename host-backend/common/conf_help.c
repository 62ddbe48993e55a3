/* SPDX-License-Identifier: BSD-3-Clause */
/* --help, from the table. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/conf_internal.h"

#define COLUMN 26
#define WIDTH  92

/* Prints text from column `from` on, broken at blanks. `at` is where the line stands. */
static void wrap(const char *text, int at, int from)
{
	while (*text) {
		int len = (int)strcspn(text, " \n");

		if (at > from && at + 1 + len > WIDTH) {
			putchar('\n');
			at = 0;
		}
		if (at < from) {
			printf("%*s", from - at, "");
			at = from;
		} else if (at > from) {
			putchar(' ');
			at++;
		}
		printf("%.*s", len, text);
		at += len;
		text += len;
		if (*text == '\n') {
			putchar('\n');
			at = 0;
		}
		if (*text)
			text++;
	}
	putchar('\n');
}

static const char *metavar(const struct rmnic_conf_setting *s)
{
	if (s->metavar)
		return s->metavar;
	switch (s->type) {
	case RMNIC_CONF_BOOL:
		return "";
	case RMNIC_CONF_UINT:
		return "N";
	case RMNIC_CONF_SIZE:
		return "SIZE";
	case RMNIC_CONF_CPUS:
		return "LIST";
	case RMNIC_CONF_UUID:
		return "UUID";
	default:
		return "TEXT";
	}
}

/* "busy|adaptive|block" */
static const char *names_join(const char *const *names, char *buf, size_t len)
{
	size_t at = 0;

	buf[0] = '\0';
	for (int i = 0; names[i] && at < len; i++)
		at += (size_t)snprintf(buf + at, len - at, "%s%s", i ? "|" : "", names[i]);
	return buf;
}

/* "(1-64, default 1; reload)" and the like, in the order in which people ask. */
static void details(const struct rmnic_conf_setting *s, char *buf, size_t len)
{
	char low[24], high[24], range[64] = "", def[160] = "";

	if (s->type == RMNIC_CONF_UINT)
		snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, s->min, s->max);
	if (s->type == RMNIC_CONF_SIZE)
		snprintf(range, sizeof(range), "%s-%s", rmnic_size_format(s->min, low, sizeof(low)),
			 rmnic_size_format(s->max, high, sizeof(high)));
	if (s->type == RMNIC_CONF_LIST)
		snprintf(range, sizeof(range), "repeatable, up to %" PRIu64, s->max);
	if (s->def)
		snprintf(def, sizeof(def), "default %s", s->def);
	buf[0] = '\0';
	if (*range || *def || s->reload)
		snprintf(buf, len, " (%s%s%s%s%s)", range, *range && *def ? ", " : "", def,
			 s->reload && (*range || *def) ? "; " : "",
			 s->reload ? "a reload changes it" : "");
}

static void setting_print(const struct rmnic_conf_setting *s)
{
	char text[1024], more[256], names[128];
	const char *value = s->type == RMNIC_CONF_ENUM ?
			    names_join(s->names, names, sizeof(names)) : metavar(s);
	int at = printf("  --%s%s%s", s->name, *value ? " " : "", value);

	if (at >= COLUMN - 1) {
		putchar('\n');
		at = 0;
	}
	details(s, more, sizeof(more));
	snprintf(text, sizeof(text), "%s%s", s->help, more);
	wrap(text, at, COLUMN);
}

/* A line that fits stays as it is, with its blanks in front. */
static void footer_print(const char *text)
{
	char line[1024];

	putchar('\n');
	while (*text) {
		size_t len = strcspn(text, "\n");

		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		if (len <= WIDTH)
			puts(line);
		else
			wrap(line, 0, 0);
		text += len + (text[len] == '\n');
	}
}

void rmnic_conf_help(const struct rmnic_conf_program *program)
{
	const struct rmnic_conf_table *table = &program->table;
	char key[RMNIC_CONF_KEY_MAX];

	printf("Usage: %s [--config FILE] [SETTING]...\n\n", program->name);
	wrap(program->summary, 0, 0);
	printf("\nSettings:\n");
	wrap("read settings from FILE; arguments win over it", printf("  --config FILE"), COLUMN);
	for (size_t i = 0; i < table->count; i++)
		setting_print(&table->settings[i]);
	wrap("only check that the settings are right", printf("  --check"), COLUMN);
	wrap("print this", printf("  -h, --help"), COLUMN);
	wrap("print the version", printf("  -V, --version"), COLUMN);
	printf("\n");
	wrap("In the file a setting is written with _ for - (udp_port = 7700; log_level = \"info\"); "
	     "what is repeatable is a list:", 0, 0);
	for (size_t i = 0; i < table->count; i++)
		if (table->settings[i].type == RMNIC_CONF_LIST)
			printf("  %s = ( \"%s\", ... );\n", rmnic_conf_key(&table->settings[i], key),
			       metavar(&table->settings[i]));
	if (program->footer)
		footer_print(program->footer);
}
