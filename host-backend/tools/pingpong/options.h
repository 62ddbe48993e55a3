/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tools/pingpong/options.h - the command line of rmnic-pingpong.
 */
#ifndef RMNIC_PINGPONG_OPTIONS_H
#define RMNIC_PINGPONG_OPTIONS_H

#include "common/conf.h"

struct pingpong_options {
	struct rmnic_conf_list ports; /* struct rmnic_conf_port */
	struct rmnic_conf_address to;
	uint64_t udp_port, request, reply, depth, count, warmup;
	uint64_t store_mib, memory_mib;
	const char *cpus;
	int poll; /* enum rmnic_poll_mode */
	int log_level;
	bool no_huge, json;
};

/* "server" or "client". */
extern const struct rmnic_conf_program pingpong_server_program, pingpong_client_program;

#endif /* RMNIC_PINGPONG_OPTIONS_H */
