/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings from a file, in libconfig's syntax. */
#include <errno.h>
#include <inttypes.h>
#include <libconfig.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_internal.h"

#define PREFIX_MAX 320

const char *rmnic_conf_key(const struct rmnic_conf_setting *setting,
			   char buf[RMNIC_CONF_KEY_MAX])
{
	snprintf(buf, RMNIC_CONF_KEY_MAX, "%s",
		 setting->type == RMNIC_CONF_LIST ? setting->plural : setting->name);
	for (char *c = buf; *c; c++)
		if (*c == '-')
			*c = '_';
	return buf;
}

/* "rmnicd.conf:4: "; an included file's own name. */
static const char *place(const config_setting_t *entry, const char *path, char buf[PREFIX_MAX])
{
	const char *file = config_setting_source_file(entry);

	snprintf(buf, PREFIX_MAX, "%s:%u: ", file ? file : path,
		 config_setting_source_line(entry));
	return buf;
}

static const char *type_wanted(enum rmnic_conf_type type)
{
	switch (type) {
	case RMNIC_CONF_BOOL:
		return "true or false";
	case RMNIC_CONF_UINT:
		return "a whole number";
	case RMNIC_CONF_SIZE:
		/* libconfig 1.5 takes 68719476736 for 0: no size is worth that risk. */
		return "a size in quotes, such as \"4G\" or \"4194304\"";
	case RMNIC_CONF_LIST:
		return "a list: ( ..., ... )";
	default:
		return "a string in quotes";
	}
}

/* A scalar as one would type it, or NULL: it is of a type that the setting does not take. */
static const char *scalar_text(const struct rmnic_conf_setting *s,
			       const config_setting_t *entry, char buf[32])
{
	int have = config_setting_type(entry);

	if (have == CONFIG_TYPE_BOOL && s->type == RMNIC_CONF_BOOL)
		return config_setting_get_bool(entry) ? "true" : "false";
	if ((have == CONFIG_TYPE_INT || have == CONFIG_TYPE_INT64) && s->type == RMNIC_CONF_UINT) {
		snprintf(buf, 32, "%lld", config_setting_get_int64(entry));
		return buf;
	}
	if (have == CONFIG_TYPE_STRING && s->type != RMNIC_CONF_BOOL && s->type != RMNIC_CONF_UINT)
		return config_setting_get_string(entry);
	return NULL;
}

/* Of the file that the entry stands in; those with numbers are few and small. */
static int numbers_check(const config_setting_t *entry, const char *path, struct rmnic_error *err)
{
	const char *file = config_setting_source_file(entry), *slash = strrchr(path, '/');
	char beside[PATH_MAX];

	if (!file)
		return rmnic_conf_numbers_check(path, path, err);
	/* An @include's name is as it was written there: see include_dir_set(). */
	if (*file == '/' || !slash || strcmp(file, path) == 0)
		return rmnic_conf_numbers_check(file, file, err);
	snprintf(beside, sizeof(beside), "%.*s/%s", (int)(slash - path), path, file);
	return rmnic_conf_numbers_check(beside, file, err);
}

static int scalar_read(const struct rmnic_conf_setting *s, const config_setting_t *entry,
		       const char *path, void *values, struct rmnic_error *err)
{
	char prefix[PREFIX_MAX], key[RMNIC_CONF_KEY_MAX], buf[32];
	const char *text = scalar_text(s, entry, buf);
	struct rmnic_conf_where where = { place(entry, path, prefix), rmnic_conf_key(s, key) };

	if (text && s->type == RMNIC_CONF_UINT && numbers_check(entry, path, err))
		return -1;
	if (!text)
		return rmnic_error_set(err, "%s%s must be %s", where.prefix, where.name,
				       type_wanted(s->type));
	return rmnic_conf_value_set(s, values, text, where, err);
}

static int unknown_key(const struct rmnic_conf_table *table,
		       const struct rmnic_conf_setting *only, const config_setting_t *entry,
		       const char *path, struct rmnic_error *err)
{
	char prefix[PREFIX_MAX], key[RMNIC_CONF_KEY_MAX], known[384] = "";
	size_t at = 0;

	for (size_t i = 0; i < table->count && at < sizeof(known); i++)
		if (!only || only == &table->settings[i])
			at += (size_t)snprintf(known + at, sizeof(known) - at, " %s",
					       rmnic_conf_key(&table->settings[i], key));
	return rmnic_error_set(err, "%sunknown setting '%s' (known:%s)", place(entry, path, prefix),
			       config_setting_name(entry), known);
}

static int group_read(const struct rmnic_conf_table *table,
		      const struct rmnic_conf_setting *only, const config_setting_t *group,
		      const char *path, void *values, struct rmnic_error *err);

static int item_read(const struct rmnic_conf_setting *s, const config_setting_t *entry,
		     const char *path, void *values, struct rmnic_error *err)
{
	const struct rmnic_conf_setting *first = &s->item->settings[0];
	char prefix[PREFIX_MAX], key[RMNIC_CONF_KEY_MAX];
	void *item;

	place(entry, path, prefix);
	item = rmnic_conf_list_grow(s, values, err);
	if (!item)
		return -1;
	if (config_setting_type(entry) == CONFIG_TYPE_STRING)
		return rmnic_conf_item_text(s->item, config_setting_get_string(entry), item,
					    prefix, err);
	if (!config_setting_is_group(entry))
		return rmnic_error_set(err, "%san item of %s must be a string or a group { ... }",
				       prefix, s->plural);
	if (!config_setting_get_member(entry, rmnic_conf_key(first, key)))
		return rmnic_error_set(err, "%san item of %s has no '%s'", prefix, s->plural, key);
	return group_read(s->item, NULL, entry, path, item, err);
}

static int list_read(const struct rmnic_conf_setting *s, const config_setting_t *entry,
		     const char *path, void *values, struct rmnic_error *err)
{
	char prefix[PREFIX_MAX];

	if (!config_setting_is_list(entry) && !config_setting_is_array(entry))
		return rmnic_error_set(err, "%s%s must be %s", place(entry, path, prefix),
				       s->plural, type_wanted(s->type));
	for (int i = 0; i < config_setting_length(entry); i++)
		if (item_read(s, config_setting_get_elem(entry, (unsigned int)i), path, values,
			      err))
			return -1;
	return 0;
}

static int entry_read(const struct rmnic_conf_table *table,
		      const struct rmnic_conf_setting *only, const config_setting_t *entry,
		      const char *path, void *values, struct rmnic_error *err)
{
	const char *name = config_setting_name(entry);
	char key[RMNIC_CONF_KEY_MAX];

	for (size_t i = 0; i < table->count; i++) {
		const struct rmnic_conf_setting *s = &table->settings[i];

		if ((only && s != only) || strcmp(name, rmnic_conf_key(s, key)) != 0)
			continue;
		if (s->type == RMNIC_CONF_LIST)
			return list_read(s, entry, path, values, err);
		return scalar_read(s, entry, path, values, err);
	}
	return unknown_key(table, only, entry, path, err);
}

/* The depth is the table's: a table's items are no deeper than its lists. */
static int group_read(const struct rmnic_conf_table *table,
		      const struct rmnic_conf_setting *only, const config_setting_t *group,
		      const char *path, void *values, struct rmnic_error *err)
{
	for (int i = 0; i < config_setting_length(group); i++)
		if (entry_read(table, only, config_setting_get_elem(group, (unsigned int)i), path,
			       values, err))
			return -1;
	return 0;
}

static int syntax_error(const config_t *file, const char *path, struct rmnic_error *err)
{
	const char *where = config_error_file(file);

	return rmnic_error_set(err, "%s:%d: %s", where ? where : path, config_error_line(file),
			       config_error_text(file));
}

/* An @include's path is taken from the directory of the file that was named. */
static void include_dir_set(config_t *file, const char *path)
{
	char *copy = strdup(path);

	if (copy)
		config_set_include_dir(file, dirname(copy));
	free(copy);
}

int rmnic_conf_file_read(const struct rmnic_conf_table *table, const char *path,
			 const struct rmnic_conf_setting *only, void *values,
			 struct rmnic_error *err)
{
	FILE *stream = fopen(path, "re");
	config_t file;
	int ret;

	if (!stream)
		return rmnic_error_set(err, "%s: %s", path, strerror(errno));
	config_init(&file);
	include_dir_set(&file, path);
	if (config_read(&file, stream))
		ret = group_read(table, only, config_root_setting(&file), path, values, err);
	else
		ret = syntax_error(&file, path, err);
	config_destroy(&file);
	fclose(stream);
	return ret;
}
