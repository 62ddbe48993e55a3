/* SPDX-License-Identifier: BSD-3-Clause */
/* Lists of settings, and one item of a list as text: "eth0,mtu=9000". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_internal.h"

void *rmnic_conf_list_grow(const struct rmnic_conf_setting *setting, void *values,
			   struct rmnic_error *err)
{
	struct rmnic_conf_list *list = rmnic_conf_field(setting, values);
	const struct rmnic_conf_table *item = setting->item;
	char *items, *added;

	items = realloc(list->items, (list->count + 1) * item->size);
	if (!items) {
		rmnic_error_set(err, "out of memory");
		return NULL;
	}
	list->items = items;
	added = items + list->count * item->size;
	memset(added, 0, item->size);
	list->count++;
	return rmnic_conf_defaults(item, added, err) ? NULL : added;
}

void rmnic_conf_list_clear(const struct rmnic_conf_setting *setting, void *values)
{
	struct rmnic_conf_list *list = rmnic_conf_field(setting, values);

	for (size_t i = 0; i < list->count; i++)
		rmnic_conf_free(setting->item, (char *)list->items + i * setting->item->size);
	free(list->items);
	*list = (struct rmnic_conf_list){ 0 };
}

/* Ends *at at its next comma and moves on past it. "\," is a comma of the text. */
static char *word_next(char **at)
{
	char *word = *at, *from = word, *to = word;

	while (*from && *from != ',') {
		if (from[0] == '\\' && (from[1] == ',' || from[1] == '\\'))
			from++;
		*to++ = *from++;
	}
	*at = *from ? from + 1 : NULL;
	*to = '\0';
	return word;
}

static int unknown_part(const struct rmnic_conf_table *item, const char *part,
			const char *prefix, struct rmnic_error *err)
{
	char known[256] = "";
	size_t at = 0;

	for (size_t i = 1; i < item->count && at < sizeof(known); i++)
		at += (size_t)snprintf(known + at, sizeof(known) - at, " %s=",
				       item->settings[i].name);
	return rmnic_error_set(err, "%sunknown part '%s' (known:%s)", prefix, part, known);
}

static int part_set(const struct rmnic_conf_table *item, char *part, void *values,
		    const char *prefix, struct rmnic_error *err)
{
	char *equals = strchr(part, '=');

	for (size_t i = 1; equals && i < item->count; i++) {
		const struct rmnic_conf_setting *s = &item->settings[i];

		if (strlen(s->name) == (size_t)(equals - part) &&
		    !strncmp(part, s->name, (size_t)(equals - part)))
			return rmnic_conf_value_set(s, values, equals + 1,
						    (struct rmnic_conf_where){ prefix, s->name },
						    err);
	}
	return unknown_part(item, part, prefix, err);
}

int rmnic_conf_item_text(const struct rmnic_conf_table *item, const char *text, void *values,
			 const char *prefix, struct rmnic_error *err)
{
	const struct rmnic_conf_setting *first = &item->settings[0];
	char *copy = strdup(text), *at = copy;
	int ret;

	if (!copy)
		return rmnic_error_set(err, "out of memory");
	ret = rmnic_conf_value_set(first, values, word_next(&at),
				   (struct rmnic_conf_where){ prefix, first->name }, err);
	while (!ret && at)
		ret = part_set(item, word_next(&at), values, prefix, err);
	free(copy);
	return ret;
}

int rmnic_conf_item_parse(const struct rmnic_conf_table *item, const char *text, void *values,
			  struct rmnic_error *err)
{
	memset(values, 0, item->size);
	if (!rmnic_conf_defaults(item, values, err) &&
	    !rmnic_conf_item_text(item, text, values, "", err))
		return 0;
	rmnic_conf_free(item, values);
	return -1;
}
