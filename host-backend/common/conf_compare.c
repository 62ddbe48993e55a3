/* SPDX-License-Identifier: BSD-3-Clause */
/* What a reload would change. */
#include <string.h>

#include "common/conf_internal.h"

static bool tables_equal(const struct rmnic_conf_table *table, const void *a, const void *b);

static bool strings_equal(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool lists_equal(const struct rmnic_conf_table *item, const struct rmnic_conf_list *a,
			const struct rmnic_conf_list *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++)
		if (!tables_equal(item, (const char *)a->items + i * item->size,
				  (const char *)b->items + i * item->size))
			return false;
	return true;
}

static bool addresses_equal(const struct rmnic_conf_address *a,
			    const struct rmnic_conf_address *b)
{
	return a->ip == b->ip && a->port == b->port;
}

static bool uuids_equal(const struct rmnic_conf_uuid *a, const struct rmnic_conf_uuid *b)
{
	return a->given == b->given && !memcmp(a->byte, b->byte, sizeof(a->byte));
}

static bool settings_equal(const struct rmnic_conf_setting *s, const void *a, const void *b)
{
	const void *x = rmnic_conf_field_const(s, a), *y = rmnic_conf_field_const(s, b);

	switch (s->type) {
	case RMNIC_CONF_BOOL:
		return *(const bool *)x == *(const bool *)y;
	case RMNIC_CONF_UINT:
	case RMNIC_CONF_SIZE:
		return *(const uint64_t *)x == *(const uint64_t *)y;
	case RMNIC_CONF_ENUM:
		return *(const int *)x == *(const int *)y;
	case RMNIC_CONF_ADDRESS:
		return addresses_equal(x, y);
	case RMNIC_CONF_UUID:
		return uuids_equal(x, y);
	case RMNIC_CONF_LIST:
		return lists_equal(s->item, x, y);
	default:
		return strings_equal(*(const char *const *)x, *(const char *const *)y);
	}
}

static bool tables_equal(const struct rmnic_conf_table *table, const void *a, const void *b)
{
	for (size_t i = 0; i < table->count; i++)
		if (!settings_equal(&table->settings[i], a, b))
			return false;
	return true;
}

const char *rmnic_conf_fixed(const struct rmnic_conf_table *table, const void *a,
			     const void *b)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct rmnic_conf_setting *s = &table->settings[i];

		if (!s->reload && !settings_equal(s, a, b))
			return s->name;
	}
	return NULL;
}

bool rmnic_conf_differs(const struct rmnic_conf_table *table, const char *name, const void *a,
			const void *b)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct rmnic_conf_setting *s = &table->settings[i];

		if (!strcmp(s->name, name))
			return !settings_equal(s, a, b);
	}
	return false;
}
