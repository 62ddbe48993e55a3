/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/config.h - the settings of rmnicd; what they mean is said in config.c's table.
 */
#ifndef RMNIC_DAEMON_CONFIG_H
#define RMNIC_DAEMON_CONFIG_H

#include "common/conf.h"

#define RMNIC_MAX_SERVERS 64
#define RMNIC_MAX_DEVICES 256
#define RMNIC_MAX_LCORES  32

struct rmnic_config {
	const char *socket;  /* NULL: the default */
	const char *socket_group; /* NULL: this process's */
	const char *control; /* NULL: the default */
	struct rmnic_conf_list ports;   /* of struct rmnic_conf_port */
	struct rmnic_conf_list servers; /* of struct rmnic_conf_server */
	uint64_t lcores;
	const char *cpus;
	int poll; /* enum rmnic_poll_mode */
	uint64_t cpu_latency_us;
	uint64_t awake_s;
	uint64_t replicas; /* 0: by the number of servers */
	uint64_t drop_ms, away_ms;
	uint64_t repair_rate, scrub_rate;
	uint64_t hedge_permille;
	const char *spill_dir; /* NULL: no spill files */
	int spill_io;          /* enum rmnic_spill_io_mode */
	uint64_t spill_size;   /* 0: half of what is free there */
	uint64_t udp_port;
	uint64_t max_devices;
	bool no_huge;
	uint64_t memory_mib;
	const char *token_file;
	const char *metrics_file;
	uint64_t metrics_interval_ms;
	uint64_t reserve_timeout_ms;
	uint64_t command_timeout_ms;
	int log_level;
	const char *servers_file;
};

extern const struct rmnic_conf_program rmnic_config_program;

#endif /* RMNIC_DAEMON_CONFIG_H */
