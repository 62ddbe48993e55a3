/* SPDX-License-Identifier: BSD-3-Clause */
/* One request of the control socket: the line, the command, the answer. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/ctl_internal.h"
#include "common/log.h"

static int run_log_level(void *arg, const json_t *request, json_t **result,
			 struct rmnic_error *err)
{
	enum rmnic_log_level level;
	const char *name = "";

	(void)arg;
	if (json_object_get(request, "level")) {
		if (rmnic_ctl_string(request, "level", &name, err))
			return -1;
		if (!rmnic_log_level_parse(name, &level))
			return rmnic_error_set(err, "there is no log level '%s' (error, warn, info, "
					       "debug)", name);
		rmnic_log_level_set(level);
	}
	*result = json_pack("{s:s}", "level", rmnic_log_names[rmnic_log_level()]);
	return 0;
}

static const struct rmnic_ctl_command built_in[] = {
	{ "log-level", run_log_level, "show or set what is logged: error, warn, info, debug" },
	{ 0 },
};

static void help_add(json_t *list, const struct rmnic_ctl_command *commands)
{
	for (; commands->name; commands++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "command", commands->name,
						      "help", commands->help));
}

static const struct rmnic_ctl_command *command_find(const struct rmnic_ctl_command *commands,
						    const char *name)
{
	for (; commands->name; commands++)
		if (!strcmp(commands->name, name))
			return commands;
	return NULL;
}

static int unknown_command(const struct rmnic_ctl_command *commands, const char *name,
			   struct rmnic_error *err)
{
	char known[256] = "help log-level";
	size_t at = strlen(known);

	for (; commands->name && at < sizeof(known); commands++)
		at += (size_t)snprintf(known + at, sizeof(known) - at, " %s", commands->name);
	return rmnic_error_set(err, "there is no command '%s' (there are: %s)", name, known);
}

static int command_run(const struct rmnic_ctl_command *commands, void *arg,
		       const json_t *request, json_t **result, struct rmnic_error *err)
{
	const struct rmnic_ctl_command *command;
	const char *name = "";

	if (!json_is_object(request))
		return rmnic_error_set(err, "a request is an object: {\"command\": NAME, ...}");
	if (rmnic_ctl_string(request, "command", &name, err))
		return -1;
	if (!strcmp(name, "help")) {
		*result = json_array();
		help_add(*result, commands);
		help_add(*result, built_in);
		return 0;
	}
	command = command_find(commands, name);
	if (!command)
		command = command_find(built_in, name);
	if (!command)
		return unknown_command(commands, name, err);
	return command->run(arg, request, result, err);
}

json_t *rmnic_ctl_request(const struct rmnic_ctl_command *commands, void *arg,
			  const char *line, size_t len)
{
	struct rmnic_error err = { "the command failed and did not say why" };
	json_t *request, *result = NULL, *answer;
	json_error_t parse;

	request = json_loadb(line, len, JSON_REJECT_DUPLICATES, &parse);
	if (!request)
		return json_pack("{s:b, s:o}", "ok", 0, "error",
				 json_sprintf("the request is no JSON: %s (column %d)", parse.text,
					      parse.column));
	if (!command_run(commands, arg, request, &result, &err)) {
		if (!result)
			result = json_object();
		answer = json_pack("{s:b, s:o}", "ok", 1, "result", result);
	} else {
		/* Its text may quote the request, but only strings that were valid UTF-8. */
		json_decref(result);
		answer = json_pack("{s:b, s:s}", "ok", 0, "error", err.text);
		if (!answer)
			answer = json_pack("{s:b, s:s}", "ok", 0, "error", "the command failed");
	}
	json_decref(request);
	return answer;
}

int rmnic_ctl_string(const json_t *request, const char *key, const char **out,
		     struct rmnic_error *err)
{
	const json_t *value = json_object_get(request, key);

	if (!value)
		return rmnic_error_set(err, "the request has no \"%s\"", key);
	if (!json_is_string(value))
		return rmnic_error_set(err, "\"%s\" must be a string", key);
	*out = json_string_value(value);
	return 0;
}

int rmnic_ctl_uint(const json_t *request, const char *key, uint64_t min, uint64_t max,
		   uint64_t *out, struct rmnic_error *err)
{
	const json_t *value = json_object_get(request, key);
	json_int_t number = json_integer_value(value);

	if (!value)
		return rmnic_error_set(err, "the request has no \"%s\"", key);
	if (!json_is_integer(value))
		return rmnic_error_set(err, "\"%s\" must be a whole number", key);
	if (number < 0 || (uint64_t)number < min || (uint64_t)number > max)
		return rmnic_error_set(err, "%s %" JSON_INTEGER_FORMAT " is out of range (%" PRIu64
				       "-%" PRIu64 ")", key, number, min, max);
	*out = (uint64_t)number;
	return 0;
}
