/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rmnicctl - asks and tells the daemons over their control sockets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/daemon.h"
#include "common/version.h"
#include "tools/ctl/commands.h"
#include "tools/ctl/top.h"

struct options {
	const char *control; /* NULL: by the command */
	bool json;
	bool no_wait;
	int timeout_ms;
	struct ctl_top_options top;
};

static void help_print(void)
{
	printf("Usage: rmnicctl [OPTION]... COMMAND [ARGUMENT]...\n\n"
	       "Asks rmnicd or rmnic-memd over its control socket, and changes what can change while\n"
	       "it runs.\n\nCommands:\n");
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		printf("  %-11s %-31s %s%s%s%s\n", c->name, c->usage, c->help,
		       c->daemon ? " (" : "", c->daemon ? c->daemon : "", c->daemon ? ")" : "");
	printf("  %-11s %-31s rates, latencies and servers, in place on a terminal; q ends it\n",
	       "top", "");
	printf("\nOptions:\n"
	       "  --control PATH   the daemon's socket (default: rmnicd.ctl, else memd.ctl, in the\n"
	       "                   directory that the daemons use: /run/rmnic as root; RMNIC_CONTROL,\n"
	       "                   where set, names rmnicd's)\n"
	       "  --json           the answer as the daemon gave it\n"
	       "  --no-wait        server drain: only begin; rmnicctl servers shows how far it is\n"
	       "  --timeout MS     how long to wait for an answer (default 5000)\n"
	       "  --interval S     top: seconds between pictures (default 1)\n"
	       "  --once           top: one picture, over one interval\n"
	       "  -h, --help       print this\n"
	       "  -V, --version    print the version\n"
	       "\nExit status: 0 done, 1 the daemon refused or is not there, 2 wrong usage.\n");
}

static int usage_error(const char *format, const char *what)
{
	fputs("rmnicctl: ", stderr);
	fprintf(stderr, format, what);
	fputs(" (try rmnicctl --help)\n", stderr);
	return 2;
}

/* A number of milliseconds from text in units of `unit` ms. False: it is none in range. */
static bool ms_parse(const char *text, double unit, int *out)
{
	char *end;
	double value = strtod(text, &end) * unit;

	if (end == text || *end || !(value >= 1 && value <= 3600e3))
		return false;
	*out = (int)value;
	return true;
}

/* An option's value: after '=', or the next argument. */
static const char *option_value(const char *name, int argc, char **argv, int *i)
{
	size_t len = strlen(name);

	if (argv[*i][len] == '=')
		return argv[*i] + len + 1;
	return *i + 1 < argc ? argv[++*i] : NULL;
}

static bool option_is(const char *name, const char *arg)
{
	size_t len = strlen(name);

	return !strncmp(arg, name, len) && (arg[len] == '\0' || arg[len] == '=');
}

static int option_valued(struct options *o, int argc, char **argv, int *i)
{
	const char *value;

	if (option_is("--control", argv[*i])) {
		o->control = option_value("--control", argc, argv, i);
		return o->control ? 0 : usage_error("%s needs a path", "--control");
	}
	if (option_is("--timeout", argv[*i])) {
		value = option_value("--timeout", argc, argv, i);
		return value && ms_parse(value, 1, &o->timeout_ms) ?
			       0 : usage_error("%s needs a number of ms (1-3600000)", "--timeout");
	}
	if (option_is("--interval", argv[*i])) {
		value = option_value("--interval", argc, argv, i);
		return value && ms_parse(value, 1000, &o->top.interval_ms) ?
			       0 : usage_error("%s needs seconds (0.001-3600)", "--interval");
	}
	return usage_error("unknown option '%s'", argv[*i]);
}

/*
 * Options stand anywhere; what is none is moved to the front of argv. The number of those, or
 * -1 - status to end with.
 */
static int options_read(struct options *o, int argc, char **argv)
{
	int words = 0, ret;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) {
			help_print();
			return -1;
		}
		if (!strcmp(argv[i], "-V") || !strcmp(argv[i], "--version")) {
			printf("rmnicctl %s\n", RMNIC_BACKEND_VERSION);
			return -1;
		}
		if (!strcmp(argv[i], "--json")) {
			o->json = true;
		} else if (!strcmp(argv[i], "--no-wait")) {
			o->no_wait = true;
		} else if (!strcmp(argv[i], "--once")) {
			o->top.once = true;
		} else if (argv[i][0] == '-' && argv[i][1]) {
			ret = option_valued(o, argc, argv, &i);
			if (ret)
				return -1 - ret;
		} else {
			argv[words++] = argv[i];
		}
	}
	return words;
}

/* The socket of this daemon, where it is by default: this user's, else the system's. */
static bool socket_find(const char *name, char *path, size_t len)
{
	rmnic_runtime_name(name, path, len);
	if (!access(path, F_OK))
		return true;
	snprintf(path, len, "/run/rmnic/%s", name);
	return !access(path, F_OK);
}

static const char *control_path(const struct options *o, const char *daemon, char *path,
				size_t len)
{
	const char *named = getenv("RMNIC_CONTROL"); /* as scripts/fleet says to its command */

	if (o->control)
		return o->control;
	if (named && *named && (!daemon || !strcmp(daemon, "rmnicd")))
		return named;
	if ((!daemon || !strcmp(daemon, "rmnicd")) && socket_find("rmnicd.ctl", path, len))
		return path;
	if ((!daemon || !strcmp(daemon, "rmnic-memd")) && socket_find("memd.ctl", path, len))
		return path;
	return rmnic_runtime_name(daemon && !strcmp(daemon, "rmnic-memd") ? "memd.ctl" :
				  "rmnicd.ctl", path, len);
}

static struct rmnic_ctl_client *daemon_connect(const struct options *o, const char *daemon)
{
	struct rmnic_ctl_client *client;
	struct rmnic_error err;
	char buf[256];
	const char *path = control_path(o, daemon, buf, sizeof(buf));
	const char *program = daemon ? daemon : strstr(path, "memd") ? "rmnic-memd" : "rmnicd";

	client = rmnic_ctl_connect(path, o->timeout_ms, &err);
	if (!client)
		fprintf(stderr, "rmnicctl: %s: start it (systemctl start %s, or %s --control PATH), "
			"or name its socket with --control\n", err.text, program, program);
	return client;
}

static int command_run(const struct options *o, const struct ctl_command *command, int argc,
		       char *const *argv)
{
	struct rmnic_ctl_client *client;
	struct rmnic_error err;
	json_t *request, *result;

	request = command->request(command->name, argc, argv, &err);
	if (!request)
		return usage_error("%s", err.text);
	client = daemon_connect(o, command->daemon);
	if (!client) {
		json_decref(request);
		return 1;
	}
	result = rmnic_ctl_ask(client, request, &err);
	if (result && command->follow && !o->json && !o->no_wait &&
	    command->follow(client, result, &err)) {
		json_decref(result);
		result = NULL;
	}
	rmnic_ctl_disconnect(client);
	if (!result) {
		fprintf(stderr, "rmnicctl: %s: %s\n", command->name, err.text);
		return 1;
	}
	if (o->json) {
		json_dumpf(result, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
		putchar('\n');
	} else {
		command->print(stdout, result);
	}
	json_decref(result);
	return 0;
}

static int top_run(const struct options *o, int argc)
{
	struct rmnic_ctl_client *client;
	struct rmnic_error err;
	int ret;

	if (argc)
		return usage_error("%s takes no argument", "top");
	if (o->json)
		return usage_error("%s has no --json: use devices, servers, latency or stats", "top");
	client = daemon_connect(o, NULL);
	if (!client)
		return 1;
	ret = ctl_top_run(client, &o->top, &err);
	rmnic_ctl_disconnect(client);
	if (ret)
		fprintf(stderr, "rmnicctl: top: %s\n", err.text);
	return ret ? 1 : 0;
}

int main(int argc, char **argv)
{
	struct options o = { .timeout_ms = 5000, .top = { .interval_ms = 1000 } };
	const struct ctl_command *command;
	int words = options_read(&o, argc, argv), status;

	if (words < 0)
		return -1 - words;
	if (words == 0)
		return usage_error("%s", "no command is given");
	command = ctl_command_find(argv[0]);
	if (command)
		status = command_run(&o, command, words - 1, argv + 1);
	else if (!strcmp(argv[0], "top"))
		status = top_run(&o, words - 1);
	else
		return usage_error("there is no command '%s'", argv[0]);
	/* What could not be written was not shown. */
	if (fflush(stdout) || ferror(stdout)) {
		perror("rmnicctl: standard output");
		return 1;
	}
	return status;
}
