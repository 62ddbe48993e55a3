/* SPDX-License-Identifier: BSD-3-Clause */
/* conf_rig.h - a program with a setting of each type, and its parsing for tests. */
#ifndef RMNIC_TESTS_CONF_RIG_H
#define RMNIC_TESTS_CONF_RIG_H

#include "common/conf.h"
#include "common/conf_net.h"
#include "scratch.h"

struct settings {
	bool no_huge;
	uint64_t udp_port;
	uint64_t memory;
	const char *socket;
	int poll;
	const char *cpus;
	struct rmnic_conf_uuid uuid;
	struct rmnic_conf_list ports;
	struct rmnic_conf_list servers;
	const char *servers_file;
};

extern const struct rmnic_conf_program conf_program;

/* Parses a line of arguments divided by blanks; "@name" stands for a file of the scratch. */
enum rmnic_conf_result conf_parse(struct scratch *s, const char *line, struct settings *out,
				  struct rmnic_error *err);
/* Fails the test unless the line is refused in these words ("@name" as above). */
void conf_refused(struct scratch *s, const char *line, const char *text);
const struct rmnic_conf_port *conf_port(const struct settings *v, size_t i);
const struct rmnic_conf_server *conf_server(const struct settings *v, size_t i);

#endif /* RMNIC_TESTS_CONF_RIG_H */
