/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "conf_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define AT(field) .offset = offsetof(struct settings, field)

static const char *const poll_names[] = { "adaptive", "busy", "block", NULL };

static const struct rmnic_conf_setting settings[] = {
	{ .name = "no-huge", .type = RMNIC_CONF_BOOL, AT(no_huge), .help = "no hugepages" },
	{ .name = "udp-port", .type = RMNIC_CONF_UINT, AT(udp_port), .min = 1, .max = 65535,
	  .def = "7700", .help = "the first UDP port" },
	{ .name = "memory", .type = RMNIC_CONF_SIZE, AT(memory), .min = 1 << 20,
	  .max = 1ull << 40, .def = "4G", .help = "what is lent", .reload = true },
	{ .name = "socket", .type = RMNIC_CONF_STRING, AT(socket), .metavar = "PATH",
	  .help = "the socket" },
	{ .name = "poll", .type = RMNIC_CONF_ENUM, AT(poll), .names = poll_names,
	  .def = "adaptive", .help = "how to wait" },
	{ .name = "cpus", .type = RMNIC_CONF_CPUS, AT(cpus), .help = "CPUs of the workers" },
	{ .name = "uuid", .type = RMNIC_CONF_UUID, AT(uuid), .help = "who this is" },
	{ .name = "port", .type = RMNIC_CONF_LIST, AT(ports), .max = 2, .plural = "ports",
	  .item = &rmnic_conf_port_table, .metavar = RMNIC_CONF_PORT_METAVAR,
	  .help = RMNIC_CONF_PORT_HELP },
	{ .name = "server", .type = RMNIC_CONF_LIST, AT(servers), .max = 64, .plural = "servers",
	  .item = &rmnic_conf_server_table, .metavar = RMNIC_CONF_SERVER_METAVAR,
	  .help = RMNIC_CONF_SERVER_HELP, .reload = true },
	{ .name = "servers-file", .type = RMNIC_CONF_MORE, AT(servers_file), .plural = "servers",
	  .metavar = "PATH", .help = "more servers", .reload = true },
};

const struct rmnic_conf_program conf_program = {
	.name = "prog",
	.summary = "A program for tests.",
	.table = { settings, sizeof(settings) / sizeof(settings[0]), sizeof(struct settings) },
};

/* Each "@name" in text becomes the path of that file. */
static void expand(struct scratch *s, const char *text, char *out, size_t len)
{
	size_t at = 0;

	while (*text && at < len) {
		const char *sign = strchr(text, '@');
		size_t plain = sign ? (size_t)(sign - text) : strlen(text), name;

		at += (size_t)snprintf(out + at, len - at, "%.*s", (int)plain, text);
		text += plain;
		if (!sign || at >= len)
			break;
		name = strcspn(++text, ": =");
		at += (size_t)snprintf(out + at, len - at, "%s/%.*s", s->dir, (int)name, text);
		text += name;
	}
}

enum rmnic_conf_result conf_parse(struct scratch *s, const char *line, struct settings *out,
				  struct rmnic_error *err)
{
	char text[1024] = "", *argv[64], *save = NULL;
	int argc = 0;

	expand(s, line, text, sizeof(text));
	argv[argc++] = (char *)(uintptr_t)"prog";
	for (char *word = strtok_r(text, " ", &save); word && argc < 64;
	     word = strtok_r(NULL, " ", &save))
		argv[argc++] = word;
	return rmnic_conf_parse(&conf_program, argc, argv, out, err);
}

void conf_refused(struct scratch *s, const char *line, const char *text)
{
	struct rmnic_error err = { "" };
	struct settings values;
	char want[1024] = "";

	expand(s, text, want, sizeof(want));
	assert_int_equal(conf_parse(s, line, &values, &err), RMNIC_CONF_BAD);
	assert_string_equal(err.text, want);
}

const struct rmnic_conf_port *conf_port(const struct settings *v, size_t i)
{
	assert_true(i < v->ports.count);
	return (const struct rmnic_conf_port *)v->ports.items + i;
}

const struct rmnic_conf_server *conf_server(const struct settings *v, size_t i)
{
	assert_true(i < v->servers.count);
	return (const struct rmnic_conf_server *)v->servers.items + i;
}
