/* SPDX-License-Identifier: BSD-3-Clause */
/* tools/ctl/commands.h - rmnicctl's commands: what is asked for and how the answer is shown. */
#ifndef RMNIC_CTL_COMMANDS_H
#define RMNIC_CTL_COMMANDS_H

#include <stdio.h>

#include "common/ctl.h"
#include "common/error.h"
#include <jansson.h>

struct ctl_command {
	const char *name;
	const char *usage; /* the arguments */
	const char *help;
	/* The request; NULL: err says what is wrong with the arguments. */
	json_t *(*request)(const char *name, int argc, char *const *argv,
			   struct rmnic_error *err);
	void (*print)(FILE *out, const json_t *result);
	/*
	 * Goes on asking until what was begun is done, and shows how far it is. NULL: nothing is begun.
	 * 0, or -1 with err.
	 */
	int (*follow)(struct rmnic_ctl_client *client, const json_t *result,
		      struct rmnic_error *err);
	const char *daemon; /* the one that has it: "rmnicd", "rmnic-memd"; NULL: both */
};

/* NULL-terminated by name. "top" is not among them. */
extern const struct ctl_command ctl_commands[];
const struct ctl_command *ctl_command_find(const char *name);

#endif /* RMNIC_CTL_COMMANDS_H */
