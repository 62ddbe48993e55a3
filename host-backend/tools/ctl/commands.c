/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ctl/commands.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/conf.h"
#include "common/conf_net.h"
#include "tools/ctl/drain.h"
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
	static const char *const actions[] = { "add", "drain", "undrain", "remove" };
	struct rmnic_conf_server server;
	bool known = false;

	for (size_t i = 0; argc == 2 && i < sizeof(actions) / sizeof(actions[0]); i++)
		known |= !strcmp(argv[0], actions[i]);
	if (!known) {
		rmnic_error_set(err, "server wants: add|drain|undrain|remove ADDRESS[:PORT], and to add "
				"also [,label=TEXT][,domain=TEXT][,uuid=UUID]");
		return NULL;
	}
	if (rmnic_conf_item_parse(&rmnic_conf_server_table, argv[1], &server, err))
		return NULL;
	rmnic_conf_free(&rmnic_conf_server_table, &server);
	return json_pack("{s:s, s:s, s:s}", "command", name, "action", argv[0], "server", argv[1]);
}

/* Decimal digits and nothing else, up to max. */
static bool number_parse(const char *text, unsigned long max, unsigned long *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*out = strtoul(text, &end, 10);
	return !*end && *out <= max;
}

static json_t *request_replicas(const char *name, int argc, char *const *argv,
				struct rmnic_error *err)
{
	json_t *request = json_pack("{s:s}", "command", name);
	unsigned long n = 0;

	if (argc > 2 ||
	    (argc && strcmp(argv[0], "auto") != 0 && !number_parse(argv[0], 4, &n))) {
		rmnic_error_set(err, "replicas wants 1 to 4, or auto, and perhaps a device: replicas 3 "
				"[DEVICE]");
		json_decref(request);
		return NULL;
	}
	if (argc)
		json_object_set_new(request, "replicas", json_integer((json_int_t)n));
	if (argc == 2)
		json_object_set_new(request, "device", json_string(argv[1]));
	return request;
}

static json_t *request_rate(const char *name, int argc, char *const *argv,
			    struct rmnic_error *err)
{
	unsigned long n;

	if (!argc)
		return json_pack("{s:s}", "command", name);
	if (argc == 1 && number_parse(argv[0], 10000000, &n) && n)
		return json_pack("{s:s, s:I}", "command", name, "pages", (json_int_t)n);
	rmnic_error_set(err, "%s wants pages a second (1-10000000)", name);
	return NULL;
}

static json_t *request_set(const char *name, int argc, char *const *argv, struct rmnic_error *err)
{
	unsigned long n;

	if (argc == 1)
		return json_pack("{s:s, s:s}", "command", name, "setting", argv[0]);
	if (argc == 2 && number_parse(argv[1], LONG_MAX, &n))
		return json_pack("{s:s, s:s, s:I}", "command", name, "setting", argv[0], "value",
				 (json_int_t)n);
	rmnic_error_set(err, "%s wants a setting, and perhaps a number for it: drop-ms 50", name);
	return NULL;
}

static json_t *request_slab(const char *name, int argc, char *const *argv,
			    struct rmnic_error *err)
{
	unsigned long n = 0;
	bool all = argc == 3 && !strcmp(argv[2], "all");

	if (argc != 3 || strcmp(argv[0], "force") != 0 ||
	    (!all && !number_parse(argv[2], LONG_MAX, &n))) {
		rmnic_error_set(err, "slab wants: force DEVICE SLAB, or force DEVICE all");
		return NULL;
	}
	return json_pack("{s:s, s:s, s:s, s:o}", "command", name, "action", argv[0], "device",
			 argv[1], "slab", all ? json_string("all") : json_integer((json_int_t)n));
}

static json_t *request_recover(const char *name, int argc, char *const *argv,
			       struct rmnic_error *err)
{
	if (argc == 2 && (!strcmp(argv[0], "recover") || !strcmp(argv[0], "cancel")))
		return json_pack("{s:s, s:s, s:s}", "command", name, "action", argv[0], "device",
				 argv[1]);
	rmnic_error_set(err, "device wants: recover UUID, or cancel UUID");
	return NULL;
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

static json_t *request_drain(const char *name, int argc, char *const *argv,
			     struct rmnic_error *err)
{
	if (argc == 0)
		return json_pack("{s:s}", "command", name);
	if (argc == 1 && (!strcmp(argv[0], "on") || !strcmp(argv[0], "off")))
		return json_pack("{s:s, s:b}", "command", name, "on", !strcmp(argv[0], "on"));
	rmnic_error_set(err, "drain wants on or off (a backend's servers: server drain ADDRESS)");
	return NULL;
}

static json_t *request_pressure(const char *name, int argc, char *const *argv,
				struct rmnic_error *err)
{
	if (argc == 0)
		return json_pack("{s:s}", "command", name);
	if (argc == 1 && (!strcmp(argv[0], "on") || !strcmp(argv[0], "off") ||
			  !strcmp(argv[0], "auto")))
		return json_pack("{s:s, s:s}", "command", name, "mode", argv[0]);
	rmnic_error_set(err, "pressure wants on, off or auto");
	return NULL;
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

/* What there is to say of it is said by who follows it. */
static void print_nothing(FILE *out, const json_t *result)
{
	(void)out;
	(void)result;
}

const struct ctl_command ctl_commands[] = {
	{ "status", "", "the daemon, its lcores and ports", request_plain, ctl_status_print, NULL,
	  NULL },
	{ "devices", "", "the guests' devices: state, capacity, pages, latency, health", request_plain,
	  print_devices, NULL, "rmnicd" },
	{ "servers", "", "the memory servers: state, free and used memory, round trip",
	  request_plain, print_servers, NULL, "rmnicd" },
	{ "slabs", "[DEVICE]", "where each slab of the devices lies", request_device,
	  ctl_slabs_print, NULL, NULL },
	{ "sessions", "", "the devices that keep pages at a memory server", request_plain,
	  print_sessions, NULL, "rmnic-memd" },
	{ "latency", "[DEVICE]", "histograms of each stage of a page's way", request_device,
	  ctl_latency_print, NULL, NULL },
	{ "stats", "", "all counters", request_plain, ctl_object_print, NULL, NULL },
	{ "config", "", "the settings in force", request_plain, ctl_object_print, NULL, NULL },
	{ "server", "add|drain|undrain|remove SERVER",
	  "add a memory server; take its slabs away and wait until it is empty; take it away",
	  request_server, print_nothing, ctl_drain_follow, "rmnicd" },
	{ "replicas", "[N|auto] [DEVICE]", "servers that hold each page", request_replicas,
	  ctl_object_print, NULL, "rmnicd" },
	{ "repair-rate", "[N]", "pages a second that are copied from server to server", request_rate,
	  ctl_object_print, NULL, "rmnicd" },
	{ "scrub-rate", "[N]", "pages a second that are looked at while nobody asks for them",
	  request_rate, ctl_object_print, NULL, NULL },
	{ "set", "SETTING [N]",
	  "drop-ms, away-ms, hedge-permille, repair-rate or scrub-rate, until a restart",
	  request_set, ctl_object_print, NULL, "rmnicd" },
	{ "slab", "force DEVICE SLAB|all",
	  "take what there is of a slab that waits for a server: what only that one has is lost",
	  request_slab, ctl_object_print, NULL, "rmnicd" },
	{ "device", "recover|cancel UUID",
	  "recover a device from what servers have of it, when its QEMU connects next",
	  request_recover, print_nothing, NULL, "rmnicd" },
	{ "memory", "[SIZE]", "what a memory server lends, or another amount", request_memory,
	  ctl_memory_print, NULL, "rmnic-memd" },
	{ "drain", "[on|off]", "whether a memory server refuses new slabs", request_drain,
	  ctl_object_print, NULL, "rmnic-memd" },
	{ "pressure", "[on|off|auto]",
	  "whether a memory server is short of memory and wants slabs to be taken away",
	  request_pressure, ctl_object_print, NULL, "rmnic-memd" },
	{ "log-level", "[LEVEL]", "what is logged: error, warn, info or debug", request_level,
	  ctl_object_print, NULL, NULL },
	{ 0 },
};

const struct ctl_command *ctl_command_find(const char *name)
{
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}
