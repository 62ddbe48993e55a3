/* SPDX-License-Identifier: BSD-3-Clause */
#include "memd/config.h"

#include "common/conf_net.h"
#include "common/cpu_awake.h"
#include "common/cpu_latency.h"
#include "common/log.h"
#include "dpdk/wait.h"
#include "rmnic/rmp.h"

#define FIELD(f) .offset = offsetof(struct memd_config, f)

static const char *const poll_names[] = {
	[RMNIC_POLL_ADAPTIVE] = "adaptive",
	[RMNIC_POLL_BUSY] = "busy",
	[RMNIC_POLL_BLOCK] = "block",
	NULL,
};

const char *const memd_pressure_names[] = {
	[MEMD_PRESSURE_AUTO] = "auto",
	[MEMD_PRESSURE_ON] = "on",
	[MEMD_PRESSURE_OFF] = "off",
	NULL,
};

static const struct rmnic_conf_setting settings[] = {
	{ .name = "port", .type = RMNIC_CONF_LIST, FIELD(ports), .min = 1, .max = MEMD_MAX_PORTS,
	  .plural = "ports", .item = &rmnic_conf_port_table, .metavar = RMNIC_CONF_PORT_METAVAR,
	  .help = RMNIC_CONF_PORT_HELP },
	{ .name = "udp-port", .type = RMNIC_CONF_UINT, FIELD(udp_port), .min = 1, .max = 65534,
	  .def = "7611", .metavar = "N",
	  .help = "the UDP port of page-ins; page-outs come to the next one" },
	{ .name = "memory", .type = RMNIC_CONF_SIZE, FIELD(memory), .min = 1 << 20,
	  .max = UINT64_C(1) << 43, .def = "4G", .metavar = "SIZE", .reload = true,
	  .help = "memory that is lent to other machines; `rmnicctl memory SIZE` changes it while "
		  "it runs, never below what is promised" },
	{ .name = "memory-max", .type = RMNIC_CONF_SIZE, FIELD(memory_max), .min = 1 << 20,
	  .max = UINT64_C(1) << 43, .metavar = "SIZE",
	  .help = "how far that can grow (as much as the machine has, if not given)" },
	{ .name = "slab-size", .type = RMNIC_CONF_SIZE, FIELD(slab_size), .min = 64 << 10,
	  .max = (uint64_t)RMNIC_RMP_MAX_SLAB << 12, .def = "64M", .metavar = "SIZE",
	  .help = "the largest slab a device may reserve at a time" },
	{ .name = "quota", .type = RMNIC_CONF_SIZE, FIELD(quota), .min = 1 << 20,
	  .max = UINT64_C(1) << 43, .metavar = "SIZE",
	  .help = "the most that one device may reserve (no limit, if not given)" },
	{ .name = "lcores", .type = RMNIC_CONF_UINT, FIELD(lcores), .min = 1, .max = 64, .def = "1",
	  .metavar = "N", .help = "threads that serve; only 1 so far" },
	{ .name = "cpus", .type = RMNIC_CONF_CPUS, FIELD(cpus), .metavar = "LIST",
	  .help = "the CPUs they run on (any, if not given)" },
	{ .name = "poll", .type = RMNIC_CONF_ENUM, FIELD(poll), .def = "adaptive",
	  .names = poll_names, .metavar = "MODE",
	  .help = "what to do without work: sleep where CPUs are shared and spin for a while "
		  "where they are not (adaptive), never sleep (busy), always sleep (block)" },
	{ .name = "cpu-dma-latency-us", .type = RMNIC_CONF_UINT, FIELD(cpu_latency_us),
	  .max = RMNIC_CPU_LATENCY_ANY, .def = RMNIC_CPU_LATENCY_DEFAULT, .metavar = "N",
	  .help = RMNIC_CPU_LATENCY_HELP },
	{ .name = "awake-s", .type = RMNIC_CONF_UINT, FIELD(awake_s),
	  .max = RMNIC_CPU_AWAKE_MAX_S, .def = RMNIC_CPU_AWAKE_DEFAULT, .metavar = "N",
	  .help = RMNIC_CPU_AWAKE_HELP },
	{ .name = "no-huge", .type = RMNIC_CONF_BOOL, FIELD(no_huge),
	  .help = "use no huge pages, neither for what is lent nor for DPDK" },
	{ .name = "memory-mib", .type = RMNIC_CONF_UINT, FIELD(memory_mib), .min = 16, .max = 65536,
	  .def = "128", .metavar = "N", .help = "DPDK's own memory, in MiB" },
	{ .name = "uuid", .type = RMNIC_CONF_UUID, FIELD(uuid), .metavar = "UUID",
	  .help = "the name of this server (kept in --uuid-file, if not given)" },
	{ .name = "uuid-file", .type = RMNIC_CONF_STRING, FIELD(uuid_file), .metavar = "PATH",
	  .help = "where the uuid is kept; made at the first start (/var/lib/rmnic/memd.uuid as "
		  "root)" },
	{ .name = "lease", .type = RMNIC_CONF_UINT, FIELD(lease), .max = 31536000, .def = "0",
	  .metavar = "SECONDS",
	  .help = "release the slabs of a device that was not heard of for so long; 0: never" },
	{ .name = "scrub-rate", .type = RMNIC_CONF_UINT, FIELD(scrub_rate), .max = 10000000,
	  .def = "2000", .metavar = "N", .reload = true,
	  .help = "pages a second that are compared with their checksums while they are at rest; "
		  "0: none" },
	{ .name = "pressure", .type = RMNIC_CONF_ENUM, FIELD(pressure), .def = "auto",
	  .names = memd_pressure_names, .metavar = "MODE", .reload = true,
	  .help = "whether backends are asked to take their slabs away and what leaves is given back: "
		  "when memory is short (auto), now (on), never (off)" },
	{ .name = "pressure-available", .type = RMNIC_CONF_SIZE, FIELD(pressure_available),
	  .min = 1 << 20, .max = UINT64_C(1) << 43, .metavar = "SIZE", .reload = true,
	  .help = "memory is short when the system has less than so much to give (a 64th of the "
		  "machine's, if not given) until it has twice as much" },
	{ .name = "max-devices", .type = RMNIC_CONF_UINT, FIELD(max_devices), .min = 1, .max = 65536,
	  .def = "1024", .metavar = "N", .help = "devices that can have slabs here" },
	{ .name = "max-sessions", .type = RMNIC_CONF_UINT, FIELD(max_sessions), .min = 1,
	  .max = 4096, .def = "512", .metavar = "N",
	  .help = "sessions at a time, one for each device of each backend" },
	{ .name = "control", .type = RMNIC_CONF_STRING, FIELD(control), .metavar = "PATH",
	  .help = "the control socket (/run/rmnic/memd.ctl as root)" },
	{ .name = "metrics-file", .type = RMNIC_CONF_STRING, FIELD(metrics_file), .metavar = "PATH",
	  .help = "where to write figures for Prometheus' textfile collector" },
	{ .name = "metrics-interval-ms", .type = RMNIC_CONF_UINT, FIELD(metrics_interval_ms),
	  .min = 100, .max = 3600000, .def = "10000", .metavar = "N", .help = "how often" },
	{ .name = "log-level", .type = RMNIC_CONF_ENUM, FIELD(log_level), .def = "info",
	  .names = rmnic_log_names, .metavar = "LEVEL", .reload = true,
	  .help = "error, warn, info or debug" },
};

const struct rmnic_conf_program memd_program = {
	.name = "rmnic-memd",
	.summary = "Lends this machine's memory to other machines, whose virtual machines page to it.",
	.footer = "Example:\n"
		  "  rmnic-memd --port eth1 --memory 16G\n",
	.table = { settings, sizeof(settings) / sizeof(settings[0]), sizeof(struct memd_config) },
};
