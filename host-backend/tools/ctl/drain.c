/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ctl/drain.h"

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Between two looks: the daemon's answer is all that tells how far it is. */
#define LOOK_MS 300

/* The server's row. False: there is none, or nobody drains it any more. */
static bool row_find(const json_t *servers, const char *address, json_int_t *slabs)
{
	json_t *row;
	size_t i;

	json_array_foreach(servers, i, row) {
		const char *text = json_string_value(json_object_get(row, "address"));
		const char *note = json_string_value(json_object_get(row, "note"));

		if (!text || strcmp(text, address) != 0)
			continue;
		*slabs = json_integer_value(json_object_get(row, "slabs"));
		return note && strstr(note, "drain");
	}
	return false;
}

/* On a terminal in place; else a line for each change. */
static void progress_show(const char *address, json_int_t left, json_int_t all)
{
	bool terminal = isatty(STDOUT_FILENO);

	printf("%s%s: %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT " slabs left%s",
	       terminal ? "\r" : "", address, left, all, terminal ? "\033[K" : "\n");
	fflush(stdout);
}

int ctl_drain_follow(struct rmnic_ctl_client *client, const json_t *result,
		     struct rmnic_error *err)
{
	const char *address = json_string_value(json_object_get(result, "address"));
	json_int_t all = json_integer_value(json_object_get(result, "slabs")), left = all, shown = -1;

	while (address) {
		json_t *servers = rmnic_ctl_ask(client, json_pack("{s:s}", "command", "servers"),
						err);
		bool there = servers && row_find(servers, address, &left);

		json_decref(servers);
		if (!servers)
			return -1;
		if (!there || !left)
			break;
		if (left != shown)
			progress_show(address, left, all > left ? all : left);
		shown = left;
		poll(NULL, 0, LOOK_MS);
	}
	if (address && shown >= 0 && isatty(STDOUT_FILENO))
		putchar('\n');
	if (address && !left)
		printf("%s is empty\n", address);
	return 0;
}
