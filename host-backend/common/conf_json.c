/* SPDX-License-Identifier: BSD-3-Clause */
/* Settings as JSON. */
#include "common/conf_internal.h"
#include "common/conf_json.h"

static json_t *string_json(const char *text)
{
	json_t *json = text ? json_string(text) : NULL;

	/* A path that is no UTF-8 cannot be written in JSON. */
	return json ? json : text ? json_string("(not UTF-8)") : json_null();
}

static json_t *address_json(const struct rmnic_conf_address *address)
{
	char buf[24];

	return address->ip ? json_string(rmnic_address_format(*address, buf)) : json_null();
}

static json_t *uuid_json(const struct rmnic_conf_uuid *uuid)
{
	char buf[37];

	return uuid->given ? json_string(rmnic_uuid_format(uuid->byte, buf)) : json_null();
}

static json_t *list_json(const struct rmnic_conf_table *item, const struct rmnic_conf_list *list)
{
	json_t *json = json_array();

	for (size_t i = 0; i < list->count; i++)
		json_array_append_new(json, rmnic_conf_json(item, (const char *)list->items +
								   i * item->size));
	return json;
}

static json_t *setting_json(const struct rmnic_conf_setting *s, const void *values)
{
	const void *field = rmnic_conf_field_const(s, values);

	switch (s->type) {
	case RMNIC_CONF_BOOL:
		return json_boolean(*(const bool *)field);
	case RMNIC_CONF_UINT:
	case RMNIC_CONF_SIZE:
		return json_integer((json_int_t)*(const uint64_t *)field);
	case RMNIC_CONF_ENUM:
		return json_string(s->names[*(const int *)field]);
	case RMNIC_CONF_ADDRESS:
		return address_json(field);
	case RMNIC_CONF_UUID:
		return uuid_json(field);
	case RMNIC_CONF_LIST:
		return list_json(s->item, field);
	default:
		return string_json(*(const char *const *)field);
	}
}

json_t *rmnic_conf_json(const struct rmnic_conf_table *table, const void *values)
{
	json_t *json = json_object();
	char key[RMNIC_CONF_KEY_MAX];

	for (size_t i = 0; i < table->count; i++)
		json_object_set_new(json, rmnic_conf_key(&table->settings[i], key),
				    setting_json(&table->settings[i], values));
	return json;
}
