/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes, uuids and addresses as people write them. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/conf.h"

static const char size_units[] = "KMGTP";

bool rmnic_size_parse(const char *text, uint64_t *out)
{
	unsigned int shift = 0;
	const char *unit;
	uint64_t value;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end) {
		unit = strchr(size_units, toupper((unsigned char)*end));
		if (!unit)
			return false;
		shift = 10 * (unsigned int)(unit - size_units + 1);
		end++;
	}
	if (*end && strcasecmp(end, "iB") != 0 && strcasecmp(end, "B") != 0)
		return false;
	if (shift && value >> (64 - shift))
		return false;
	*out = value << shift;
	return true;
}

const char *rmnic_size_format(uint64_t bytes, char *buf, size_t len)
{
	unsigned int unit = 0;

	while (bytes && !(bytes & 1023) && unit < sizeof(size_units) - 1) {
		bytes >>= 10;
		unit++;
	}
	if (unit)
		snprintf(buf, len, "%" PRIu64 "%c", bytes, size_units[unit - 1]);
	else
		snprintf(buf, len, "%" PRIu64, bytes);
	return buf;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool rmnic_uuid_parse(const char *text, uint8_t out[16])
{
	uint8_t value[16];

	for (int i = 0; i < 16; i++) {
		int high, low;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *text++ != '-')
			return false;
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		value[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	if (*text)
		return false;
	memcpy(out, value, sizeof(value));
	return true;
}

const char *rmnic_uuid_format(const uint8_t uuid[16], char buf[37])
{
	char *at = buf;

	for (int i = 0; i < 16; i++)
		at += sprintf(at, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			      uuid[i]);
	return buf;
}

const char *rmnic_address_format(struct rmnic_conf_address address, char buf[24])
{
	int n = snprintf(buf, 24, "%u.%u.%u.%u", address.ip >> 24, address.ip >> 16 & 255,
			 address.ip >> 8 & 255, address.ip & 255);

	if (address.port)
		snprintf(buf + n, 24 - (size_t)n, ":%u", address.port);
	return buf;
}
