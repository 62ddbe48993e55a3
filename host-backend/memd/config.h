/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memd/config.h - the settings of rmnic-memd; what they mean is said in config.c's table.
 */
#ifndef RMNIC_MEMD_CONFIG_H
#define RMNIC_MEMD_CONFIG_H

#include "common/conf.h"

#define MEMD_MAX_PORTS 8

enum memd_pressure_mode {
	MEMD_PRESSURE_AUTO, /* what the system has left says */
	MEMD_PRESSURE_ON,
	MEMD_PRESSURE_OFF,
};

/* "auto", ...; NULL after the last. */
extern const char *const memd_pressure_names[];

struct memd_config {
	const char *control; /* NULL: the default */
	struct rmnic_conf_list ports; /* of struct rmnic_conf_port */
	uint64_t udp_port;
	uint64_t memory;     /* bytes */
	uint64_t memory_max; /* bytes; 0: the machine's */
	uint64_t slab_size;  /* bytes */
	uint64_t quota;      /* bytes a device; 0: none */
	uint64_t lcores;
	const char *cpus;
	int poll; /* enum rmnic_poll_mode */
	uint64_t cpu_latency_us;
	uint64_t awake_s;
	bool no_huge;
	uint64_t memory_mib; /* DPDK's own */
	struct rmnic_conf_uuid uuid;
	const char *uuid_file; /* NULL: the default */
	uint64_t lease;        /* seconds; 0: none */
	uint64_t scrub_rate;   /* pages a second; 0: none */
	int pressure;          /* enum memd_pressure_mode */
	uint64_t pressure_available; /* bytes; 0: the default */
	uint64_t max_devices;
	uint64_t max_sessions;
	const char *metrics_file; /* NULL: none */
	uint64_t metrics_interval_ms;
	int log_level; /* enum rmnic_log_level */
};

extern const struct rmnic_conf_program memd_program;

#endif /* RMNIC_MEMD_CONFIG_H */
