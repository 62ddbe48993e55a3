/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings: defaults, then the file, then the arguments. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_internal.h"
#include "common/version.h"

void rmnic_conf_free(const struct rmnic_conf_table *table, void *values)
{
	for (size_t i = 0; i < table->count; i++)
		rmnic_conf_value_free(&table->settings[i], values);
}

int rmnic_conf_defaults(const struct rmnic_conf_table *table, void *values,
			struct rmnic_error *err)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct rmnic_conf_setting *s = &table->settings[i];
		struct rmnic_conf_where where = { "default of ", s->name };

		if (s->def && rmnic_conf_value_set(s, values, s->def, where, err))
			return -1;
	}
	return 0;
}

/* --- Arguments ---------------------------------------------------------------------------- */

/* An argument in its parts. */
struct argument {
	char name[RMNIC_CONF_KEY_MAX]; /* without the dashes */
	const char *value;             /* after '=', or NULL */
};

static int argument_split(const char *text, struct argument *out, struct rmnic_error *err)
{
	const char *equals = strchr(text, '=');
	size_t len;

	if (strncmp(text, "--", 2) != 0)
		return rmnic_error_set(err, "unexpected argument '%s' (try --help)", text);
	text += 2;
	len = equals ? (size_t)(equals - text) : strlen(text);
	if (len >= sizeof(out->name))
		return rmnic_error_set(err, "unknown argument '--%s' (try --help)", text);
	memcpy(out->name, text, len);
	out->name[len] = '\0';
	out->value = equals ? equals + 1 : NULL;
	return 0;
}

static const struct rmnic_conf_setting *argument_find(const struct rmnic_conf_table *table,
						      const char *name)
{
	for (size_t i = 0; i < table->count; i++)
		if (!strcmp(table->settings[i].name, name))
			return &table->settings[i];
	return NULL;
}

/* The value of argv[*i], which may be the next argument; NULL: err. */
static const char *argument_value(const struct argument *arg, int argc, char *const *argv,
				  int *i, struct rmnic_error *err)
{
	if (arg->value)
		return arg->value;
	if (*i + 1 < argc)
		return argv[++*i];
	rmnic_error_set(err, "--%s needs a value (try --help)", arg->name);
	return NULL;
}

static int argument_set(const struct rmnic_conf_setting *s, const char *text, bool *replaced,
			void *values, struct rmnic_error *err)
{
	char prefix[256];
	void *item;

	snprintf(prefix, sizeof(prefix), "--%s", s->name);
	if (s->type != RMNIC_CONF_LIST)
		return rmnic_conf_value_set(s, values, text,
					    (struct rmnic_conf_where){ "", prefix }, err);
	if (!*replaced)
		rmnic_conf_list_clear(s, values);
	*replaced = true;
	item = rmnic_conf_list_grow(s, values, err);
	if (!item)
		return -1;
	snprintf(prefix, sizeof(prefix), "--%s %s: ", s->name, text);
	return rmnic_conf_item_text(s->item, text, item, prefix, err);
}

static int arguments_read(const struct rmnic_conf_table *table, int argc, char *const *argv,
			  void *values, struct rmnic_error *err)
{
	bool *replaced = calloc(table->count, sizeof(*replaced));
	int ret = 0;

	if (!replaced)
		return rmnic_error_set(err, "out of memory");
	for (int i = 1; !ret && i < argc; i++) {
		const struct rmnic_conf_setting *s;
		const char *text = "true";
		struct argument arg = { 0 };

		ret = argument_split(argv[i], &arg, err);
		if (ret)
			break;
		if (!strcmp(argv[i], "--check"))
			continue;
		/* None: it is --config, which was seen to as well. */
		s = argument_find(table, arg.name);
		if (!s || s->type != RMNIC_CONF_BOOL || arg.value)
			text = argument_value(&arg, argc, argv, &i, err);
		if (!text)
			ret = -1;
		else if (s)
			ret = argument_set(s, text, &replaced[s - table->settings], values, err);
	}
	free(replaced);
	return ret;
}

/* What is not a setting. */
struct scan {
	const char *config; /* NULL: none */
	bool check;
};

/*
 * Looks for --help, --version, --check and --config before anything else is read. The word after an
 * argument that wants one is its value, whatever it looks like.
 */
static enum rmnic_conf_result arguments_scan(const struct rmnic_conf_program *program, int argc,
					     char *const *argv, struct scan *scan,
					     struct rmnic_error *err)
{
	*scan = (struct scan){ 0 };
	for (int i = 1; i < argc; i++) {
		const struct rmnic_conf_setting *s;
		struct argument arg = { 0 };

		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			rmnic_conf_help(program);
			return RMNIC_CONF_DONE;
		}
		if (!strcmp(argv[i], "--version") || !strcmp(argv[i], "-V")) {
			printf("%s %s\n", program->name, RMNIC_BACKEND_VERSION);
			return RMNIC_CONF_DONE;
		}
		if (argument_split(argv[i], &arg, err))
			return RMNIC_CONF_BAD;
		s = argument_find(&program->table, arg.name);
		if (!strcmp(arg.name, "config")) {
			scan->config = argument_value(&arg, argc, argv, &i, err);
			if (!scan->config)
				return RMNIC_CONF_BAD;
		} else if (!strcmp(argv[i], "--check")) {
			scan->check = true;
		} else if (!s) {
			rmnic_error_set(err, "unknown argument '--%s' (try --help)", arg.name);
			return RMNIC_CONF_BAD;
		} else if (s->type != RMNIC_CONF_BOOL && !arg.value) {
			i++;
		}
	}
	return RMNIC_CONF_OK;
}

/* --- All of it ---------------------------------------------------------------------------- */

static const struct rmnic_conf_setting *list_find(const struct rmnic_conf_table *table,
						  const char *plural)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct rmnic_conf_setting *s = &table->settings[i];

		if (s->type == RMNIC_CONF_LIST && !strcmp(s->plural, plural))
			return s;
	}
	return NULL;
}

static int more_read(const struct rmnic_conf_table *table, void *values,
		     struct rmnic_error *err)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct rmnic_conf_setting *s = &table->settings[i];
		const char *path;

		if (s->type != RMNIC_CONF_MORE)
			continue;
		path = *(const char *const *)rmnic_conf_field_const(s, values);
		if (path && rmnic_conf_file_read(table, path, list_find(table, s->plural), values,
						 err))
			return -1;
	}
	return 0;
}

static int lists_check(const struct rmnic_conf_table *table, const void *values,
		       struct rmnic_error *err)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct rmnic_conf_setting *s = &table->settings[i];
		const struct rmnic_conf_list *list;

		if (s->type != RMNIC_CONF_LIST)
			continue;
		list = rmnic_conf_field_const(s, values);
		if (list->count < s->min)
			return rmnic_error_set(err, "too few %s: %zu of at least %zu: add --%s %s, or %s = "
					       "( ... ) in the file", s->plural, list->count,
					       (size_t)s->min, s->name, s->metavar, s->plural);
		if (list->count > s->max)
			return rmnic_error_set(err, "too many %s: %zu of at most %zu", s->plural,
					       list->count, (size_t)s->max);
	}
	return 0;
}

enum rmnic_conf_result rmnic_conf_parse(const struct rmnic_conf_program *program, int argc,
					char *const *argv, void *values,
					struct rmnic_error *err)
{
	const struct rmnic_conf_table *table = &program->table;
	enum rmnic_conf_result result;
	struct scan scan;

	memset(values, 0, table->size);
	result = arguments_scan(program, argc, argv, &scan, err);
	if (result != RMNIC_CONF_OK)
		return result;
	if (rmnic_conf_defaults(table, values, err) ||
	    (scan.config && rmnic_conf_file_read(table, scan.config, NULL, values, err)) ||
	    arguments_read(table, argc, argv, values, err) || more_read(table, values, err) ||
	    lists_check(table, values, err)) {
		rmnic_conf_free(table, values);
		return RMNIC_CONF_BAD;
	}
	if (!scan.check)
		return RMNIC_CONF_OK;
	printf("%s: the settings are right\n", program->name);
	rmnic_conf_free(table, values);
	return RMNIC_CONF_DONE;
}
