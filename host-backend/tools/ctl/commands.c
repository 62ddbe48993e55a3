/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ctl/commands.h"

#include <string.h>

#include "common/conf.h"
#include "common/conf_net.h"
#include "tools/ctl/views.h"

static json_t *request_plain(const char *name, int argc, char *const *argv,
			     struct rmnic_error *err)
{
	if (argc) {
		rmnic_error_set(err, "%s takes no argument '%s'", name, argv[0]);
		return NULL;
	}
	return json_pack("{s:s}", "command", name);
}

static json_t *request_device(const char *name, int argc, char *const *argv,
			      struct rmnic_error *err)
{
	if (argc == 0)
		return json_pack("{s:s}", "command", name);
	if (argc == 1)
		return json_pack("{s:s, s:s}", "command", name, "device", argv[0]);
	rmnic_error_set(err, "%s takes one device at most", name);
	return NULL;
}

/* Checked here as well, so that the error comes in the words of the argument. */
static json_t *request_server(const char *name, int argc, char *const *argv,
			      struct rmnic_error *err)
{
	struct rmnic_conf_server server;

	if (argc != 2 || (strcmp(argv[0], "add") != 0 && strcmp(argv[0], "remove") != 0)) {
		rmnic_error_set(err, "server wants: add|remove ADDRESS[:PORT][,label=TEXT]"
				"[,uuid=UUID]");
		return NULL;
	}
	if (rmnic_conf_item_parse(&rmnic_conf_server_table, argv[1], &server, err))
		return NULL;
	rmnic_conf_free(&rmnic_conf_server_table, &server);
	return json_pack("{s:s, s:s, s:s}", "command", name, "action", argv[0], "server", argv[1]);
}

static json_t *request_memory(const char *name, int argc, char *const *argv,
			      struct rmnic_error *err)
{
	uint64_t bytes;

	if (argc == 0)
		return json_pack("{s:s}", "command", name);
	if (argc > 1 || !rmnic_size_parse(argv[0], &bytes) || bytes > INT64_MAX) {
		rmnic_error_set(err, "memory wants one size, such as 4G");
		return NULL;
	}
	return json_pack("{s:s, s:I}", "command", name, "bytes", (json_int_t)bytes);
}

static json_t *request_level(const char *name, int argc, char *const *argv,
			     struct rmnic_error *err)
{
	if (argc == 0)
		return json_pack("{s:s}", "command", name);
	if (argc == 1)
		return json_pack("{s:s, s:s}", "command", name, "level", argv[0]);
	rmnic_error_set(err, "log-level wants one level: error, warn, info or debug");
	return NULL;
}

static void print_devices(FILE *out, const json_t *result)
{
	ctl_table_print(out, &ctl_devices, result);
}

static void print_servers(FILE *out, const json_t *result)
{
	ctl_table_print(out, &ctl_servers, result);
}

static void print_sessions(FILE *out, const json_t *result)
{
	ctl_table_print(out, &ctl_sessions, result);
}

static void print_nothing(FILE *out, const json_t *result)
{
	if (json_object_size(result))
		ctl_object_print(out, result);
}

const struct ctl_command ctl_commands[] = {
	{ "status", "", "the daemon, its lcores and ports", request_plain, ctl_status_print, NULL },
	{ "devices", "", "the guests' devices: state, capacity, pages, latency", request_plain,
	  print_devices, "rmnicd" },
	{ "servers", "", "the memory servers: state, free and used memory, round trip",
	  request_plain, print_servers, "rmnicd" },
	{ "slabs", "[DEVICE]", "where each slab of the devices lies", request_device,
	  ctl_slabs_print, NULL },
	{ "sessions", "", "the devices that keep pages at a memory server", request_plain,
	  print_sessions, "rmnic-memd" },
	{ "latency", "[DEVICE]", "histograms of each stage of a page's way", request_device,
	  ctl_latency_print, NULL },
	{ "stats", "", "all counters", request_plain, ctl_object_print, NULL },
	{ "config", "", "the settings in force", request_plain, ctl_object_print, NULL },
	{ "server", "add|remove SERVER", "add a memory server, or take one away", request_server,
	  print_nothing, "rmnicd" },
	{ "memory", "[SIZE]", "what a memory server lends, or another amount", request_memory,
	  ctl_memory_print, "rmnic-memd" },
	{ "log-level", "[LEVEL]", "what is logged: error, warn, info or debug", request_level,
	  ctl_object_print, NULL },
	{ 0 },
};

const struct ctl_command *ctl_command_find(const char *name)
{
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}
