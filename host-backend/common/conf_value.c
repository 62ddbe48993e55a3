/* SPDX-License-Identifier: BSD-3-Clause */
/* One setting's value, from text. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf_internal.h"

#define MAX_CPU 1023

bool rmnic_conf_is_string(enum rmnic_conf_type type)
{
	switch (type) {
	case RMNIC_CONF_STRING:
	case RMNIC_CONF_IPV4:
	case RMNIC_CONF_SUBNET:
	case RMNIC_CONF_CPUS:
	case RMNIC_CONF_MORE:
		return true;
	default:
		return false;
	}
}

void *rmnic_conf_field(const struct rmnic_conf_setting *setting, void *values)
{
	return (char *)values + setting->offset;
}

const void *rmnic_conf_field_const(const struct rmnic_conf_setting *setting,
				   const void *values)
{
	return (const char *)values + setting->offset;
}

/* Decimal digits and nothing else; a number too large for 64 bits is UINT64_MAX. */
static bool number_parse(const char *text, uint64_t *out)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return *end == '\0';
}

static int out_of_range(struct rmnic_conf_where where, const char *text, uint64_t min,
			uint64_t max, struct rmnic_error *err)
{
	return rmnic_error_set(err, "%s%s %s is out of range (%" PRIu64 "-%" PRIu64 ")",
			       where.prefix, where.name, text, min, max);
}

static int uint_set(const struct rmnic_conf_setting *s, uint64_t *out, const char *text,
		    struct rmnic_conf_where where, struct rmnic_error *err)
{
	uint64_t value;

	if (*text == '-' && number_parse(text + 1, &value))
		return out_of_range(where, text, s->min, s->max, err);
	if (!number_parse(text, &value))
		return rmnic_error_set(err, "%s%s '%s' is not a whole number (%" PRIu64 "-%" PRIu64
				       ")", where.prefix, where.name, text, s->min, s->max);
	if (value < s->min || value > s->max)
		return out_of_range(where, text, s->min, s->max, err);
	*out = value;
	return 0;
}

static int size_set(const struct rmnic_conf_setting *s, uint64_t *out, const char *text,
		    struct rmnic_conf_where where, struct rmnic_error *err)
{
	char low[24], high[24];
	uint64_t value;

	if (!rmnic_size_parse(text, &value))
		return rmnic_error_set(err, "%s%s '%s' is not a size (such as 512M or 4G)",
				       where.prefix, where.name, text);
	if (value < s->min || value > s->max)
		return rmnic_error_set(err, "%s%s %s is out of range (%s-%s)", where.prefix,
				       where.name, text,
				       rmnic_size_format(s->min, low, sizeof(low)),
				       rmnic_size_format(s->max, high, sizeof(high)));
	*out = value;
	return 0;
}

static int bool_set(bool *out, const char *text, struct rmnic_conf_where where,
		    struct rmnic_error *err)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return rmnic_error_set(err, "%s%s must be true or false, not '%s'", where.prefix,
				       where.name, text);
	*out = !strcmp(text, "true");
	return 0;
}

static int enum_set(const struct rmnic_conf_setting *s, int *out, const char *text,
		    struct rmnic_conf_where where, struct rmnic_error *err)
{
	char known[256] = "";
	size_t at = 0;

	for (int i = 0; s->names[i]; i++) {
		if (!strcmp(text, s->names[i])) {
			*out = i;
			return 0;
		}
		if (at < sizeof(known))
			at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
					       i ? ", " : "", s->names[i]);
	}
	return rmnic_error_set(err, "%s%s '%s' is not one of %s", where.prefix, where.name, text,
			       known);
}

static bool ipv4_parse(const char *text, uint32_t *out)
{
	struct in_addr in;

	if (inet_pton(AF_INET, text, &in) != 1)
		return false;
	*out = ntohl(in.s_addr);
	return true;
}

static int subnet_check(const char *text, struct rmnic_conf_where where,
			struct rmnic_error *err)
{
	const char *slash = strchr(text, '/');
	char ip[INET_ADDRSTRLEN];
	uint64_t bits;
	uint32_t value;

	if (!slash || (size_t)(slash - text) >= sizeof(ip))
		return rmnic_error_set(err, "%s%s '%s' is not an address with its prefix's length "
				       "(such as 10.0.0.1/24)", where.prefix, where.name, text);
	snprintf(ip, sizeof(ip), "%.*s", (int)(slash - text), text);
	if (!ipv4_parse(ip, &value) || !number_parse(slash + 1, &bits))
		return rmnic_error_set(err, "%s%s '%s' is not an IPv4 address with its prefix's "
				       "length (such as 10.0.0.1/24)", where.prefix, where.name,
				       text);
	if (bits < 1 || bits > 32)
		return rmnic_error_set(err, "%s%s %s: prefix length %" PRIu64
				       " is out of range (1-32)", where.prefix, where.name, text,
				       bits);
	return 0;
}

static int address_set(const struct rmnic_conf_setting *s, struct rmnic_conf_address *out,
		       const char *text, struct rmnic_conf_where where, struct rmnic_error *err)
{
	const char *colon = strchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : strlen(text);
	struct rmnic_conf_where port = { .prefix = where.prefix, .name = "port" };
	const struct rmnic_conf_setting range = { .min = 1, .max = s->max ? s->max : 65535 };
	struct rmnic_conf_address value = { 0 };
	char ip[INET_ADDRSTRLEN] = "";
	uint64_t number = 0;

	if (len < sizeof(ip))
		snprintf(ip, sizeof(ip), "%.*s", (int)len, text);
	if (!ipv4_parse(ip, &value.ip) || !value.ip)
		return rmnic_error_set(err, "%s%s '%s' is not an IPv4 address (such as 10.0.0.1 or "
				       "10.0.0.1:7611)", where.prefix, where.name, text);
	if (colon && uint_set(&range, &number, colon + 1, port, err))
		return -1;
	value.port = (uint16_t)number;
	*out = value;
	return 0;
}

/* "2-5,7": ascending within a range, each a CPU's number. */
static int cpus_check(const char *text, struct rmnic_conf_where where, struct rmnic_error *err)
{
	const char *at = text;

	for (;;) {
		char *end;
		unsigned long first, last;

		if (!isdigit((unsigned char)*at))
			break;
		first = last = strtoul(at, &end, 10);
		if (*end == '-' && isdigit((unsigned char)end[1]))
			last = strtoul(end + 1, &end, 10);
		if (last < first || last > MAX_CPU)
			break;
		if (*end == '\0')
			return 0;
		if (*end != ',')
			break;
		at = end + 1;
	}
	return rmnic_error_set(err, "%s%s '%s' is not a list of CPUs (such as 2-5,7; 0-%d)",
			       where.prefix, where.name, text, MAX_CPU);
}

static int string_set(const struct rmnic_conf_setting *s, char **out, const char *text,
		      struct rmnic_conf_where where, struct rmnic_error *err)
{
	uint32_t ip;
	char *copy;

	if (!*text)
		return rmnic_error_set(err, "%s%s is empty", where.prefix, where.name);
	if (s->type == RMNIC_CONF_IPV4 && !ipv4_parse(text, &ip))
		return rmnic_error_set(err, "%s%s '%s' is not an IPv4 address (such as 10.0.0.1)",
				       where.prefix, where.name, text);
	if (s->type == RMNIC_CONF_SUBNET && subnet_check(text, where, err))
		return -1;
	if (s->type == RMNIC_CONF_CPUS && cpus_check(text, where, err))
		return -1;
	copy = strdup(text);
	if (!copy)
		return rmnic_error_set(err, "out of memory");
	free(*out);
	*out = copy;
	return 0;
}

static int uuid_set(struct rmnic_conf_uuid *out, const char *text,
		    struct rmnic_conf_where where, struct rmnic_error *err)
{
	if (!rmnic_uuid_parse(text, out->byte))
		return rmnic_error_set(err, "%s%s '%s' is not a uuid (such as "
				       "0b8f2c4e-6f0a-4c0e-9d0a-5b1b7c9d3e21)", where.prefix,
				       where.name, text);
	out->given = true;
	return 0;
}

int rmnic_conf_value_set(const struct rmnic_conf_setting *setting, void *values,
			 const char *text, struct rmnic_conf_where where,
			 struct rmnic_error *err)
{
	void *field = rmnic_conf_field(setting, values);

	switch (setting->type) {
	case RMNIC_CONF_BOOL:
		return bool_set(field, text, where, err);
	case RMNIC_CONF_UINT:
		return uint_set(setting, field, text, where, err);
	case RMNIC_CONF_SIZE:
		return size_set(setting, field, text, where, err);
	case RMNIC_CONF_ENUM:
		return enum_set(setting, field, text, where, err);
	case RMNIC_CONF_ADDRESS:
		return address_set(setting, field, text, where, err);
	case RMNIC_CONF_UUID:
		return uuid_set(field, text, where, err);
	case RMNIC_CONF_LIST:
		break;
	default:
		return string_set(setting, field, text, where, err);
	}
	return rmnic_error_set(err, "%s%s is a list", where.prefix, where.name);
}

void rmnic_conf_value_free(const struct rmnic_conf_setting *setting, void *values)
{
	char **field = rmnic_conf_field(setting, values);

	if (setting->type == RMNIC_CONF_LIST) {
		rmnic_conf_list_clear(setting, values);
	} else if (rmnic_conf_is_string(setting->type)) {
		free(*field);
		*field = NULL;
	}
}
