/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/config.h"

#include "common/conf_net.h"
#include "common/cpu_awake.h"
#include "common/cpu_latency.h"
#include "common/log.h"
#include "daemon/spill.h"
#include "dpdk/wait.h"
#include "rmnic/rmp.h"

/* By enum rmnic_poll_mode. */
static const char *const poll_names[] = { "adaptive", "busy", "block", NULL };

/* By enum rmnic_spill_io_mode. */
static const char *const spill_names[] = { "auto", "io_uring", "thread", NULL };

_Static_assert(RMNIC_SPILL_IO_AUTO == 0 && RMNIC_SPILL_IO_URING == 1 && RMNIC_SPILL_IO_THREAD == 2,
	       "spill_names is in another order");

_Static_assert(RMNIC_POLL_ADAPTIVE == 0 && RMNIC_POLL_BUSY == 1 && RMNIC_POLL_BLOCK == 2,
	       "poll_names is in another order");

#define FIELD(name) offsetof(struct rmnic_config, name)

static const struct rmnic_conf_setting settings[] = {
	{ .name = "socket", .type = RMNIC_CONF_STRING, .offset = FIELD(socket), .metavar = "PATH",
	  .help = "where QEMU connects (rmnic-user); default: rmnic.sock in the runtime directory, "
		  "/run/rmnic as root" },
	{ .name = "socket-group", .type = RMNIC_CONF_STRING, .offset = FIELD(socket_group),
	  .metavar = "NAME",
	  .help = "whose members may connect there besides root: the group that QEMU runs in, such as "
		  "kvm; default: nobody" },
	{ .name = "control", .type = RMNIC_CONF_STRING, .offset = FIELD(control), .metavar = "PATH",
	  .help = "where rmnicctl connects; default: rmnicd.ctl beside it" },
	{ .name = "port", .type = RMNIC_CONF_LIST, .offset = FIELD(ports), .min = 0, .max = 8,
	  .metavar = RMNIC_CONF_PORT_METAVAR, .help = RMNIC_CONF_PORT_HELP, .plural = "ports",
	  .item = &rmnic_conf_port_table },
	{ .name = "server", .type = RMNIC_CONF_LIST, .offset = FIELD(servers), .min = 0,
	  .max = RMNIC_MAX_SERVERS, .metavar = RMNIC_CONF_SERVER_METAVAR,
	  .help = RMNIC_CONF_SERVER_HELP, .plural = "servers", .item = &rmnic_conf_server_table,
	  .reload = true },
	{ .name = "servers-file", .type = RMNIC_CONF_MORE, .offset = FIELD(servers_file),
	  .metavar = "PATH", .plural = "servers",
	  .help = "a file with more servers, read again on SIGHUP", .reload = true },
	{ .name = "lcores", .type = RMNIC_CONF_UINT, .offset = FIELD(lcores), .min = 1,
	  .max = RMNIC_MAX_LCORES, .def = "1", .metavar = "N",
	  .help = "threads that move pages; a device belongs to one of them" },
	{ .name = "cpus", .type = RMNIC_CONF_CPUS, .offset = FIELD(cpus), .metavar = "LIST",
	  .help = "CPUs for these threads, \"2-5,7\"; default: any" },
	{ .name = "poll", .type = RMNIC_CONF_ENUM, .offset = FIELD(poll), .def = "adaptive",
	  .names = poll_names,
	  .help = "what a thread does without work: adaptive spins for a while on CPUs of its own and "
		  "blocks on shared ones, busy always spins, block never does" },
	{ .name = "cpu-dma-latency-us", .type = RMNIC_CONF_UINT, .offset = FIELD(cpu_latency_us),
	  .max = RMNIC_CPU_LATENCY_ANY, .def = RMNIC_CPU_LATENCY_DEFAULT, .metavar = "N",
	  .help = RMNIC_CPU_LATENCY_HELP },
	{ .name = "awake-s", .type = RMNIC_CONF_UINT, .offset = FIELD(awake_s),
	  .max = RMNIC_CPU_AWAKE_MAX_S, .def = RMNIC_CPU_AWAKE_DEFAULT, .metavar = "N",
	  .help = RMNIC_CPU_AWAKE_HELP },
	{ .name = "replicas", .type = RMNIC_CONF_UINT, .offset = FIELD(replicas), .min = 0,
	  .max = RMNIC_RMP_MAX_MEMBERS, .def = "0", .metavar = "N",
	  .help = "servers that hold each page; 0: 2 where there are two servers or more, else 1",
	  .reload = true },
	{ .name = "drop-ms", .type = RMNIC_CONF_UINT, .offset = FIELD(drop_ms), .min = 1,
	  .max = 10000, .def = "30", .metavar = "N",
	  .help = "silence after which a server that owes an answer is done without, as long as "
		  "another one has the page", .reload = true },
	{ .name = "away-ms", .type = RMNIC_CONF_UINT, .offset = FIELD(away_ms), .min = 1,
	  .max = 86400000, .def = "10000", .metavar = "N",
	  .help = "how long such a server is waited for before its pages are copied to another one",
	  .reload = true },
	{ .name = "repair-rate", .type = RMNIC_CONF_UINT, .offset = FIELD(repair_rate), .min = 1,
	  .max = 10000000, .def = "20000", .metavar = "N",
	  .help = "pages a second, of each device, that are copied from server to server",
	  .reload = true },
	{ .name = "scrub-rate", .type = RMNIC_CONF_UINT, .offset = FIELD(scrub_rate), .min = 1,
	  .max = 10000000, .def = "1000", .metavar = "N",
	  .help = "pages a second, of each device, whose copies are compared", .reload = true },
	{ .name = "hedge-permille", .type = RMNIC_CONF_UINT, .offset = FIELD(hedge_permille),
	  .min = 1, .max = 1000, .def = "20", .metavar = "N",
	  .help = "page-ins of 1000 that may be asked of a second server because the first is slower "
		  "than it is as a rule", .reload = true },
	{ .name = "spill-dir", .type = RMNIC_CONF_STRING, .offset = FIELD(spill_dir),
	  .metavar = "PATH",
	  .help = "the last resort: a directory for files that take pages which no server can hold; "
		  "default: none, and such pages fail" },
	{ .name = "spill-size", .type = RMNIC_CONF_SIZE, .offset = FIELD(spill_size),
	  .min = 1 << 20, .max = UINT64_C(1) << 46, .metavar = "SIZE",
	  .help = "what these files may take in all; default: half of what is free there" },
	{ .name = "spill-io", .type = RMNIC_CONF_ENUM, .offset = FIELD(spill_io), .def = "auto",
	  .names = spill_names,
	  .help = "how they are read and written: auto is io_uring where it is allowed, and says so in "
		  "the log where it is not" },
	{ .name = "udp-port", .type = RMNIC_CONF_UINT, .offset = FIELD(udp_port), .min = 1,
	  .max = 65534, .def = "7700", .metavar = "N",
	  .help = "first local UDP port; each device takes two" },
	{ .name = "max-devices", .type = RMNIC_CONF_UINT, .offset = FIELD(max_devices), .min = 1,
	  .max = RMNIC_MAX_DEVICES, .def = "64", .metavar = "N",
	  .help = "devices that are served at a time" },
	{ .name = "no-huge", .type = RMNIC_CONF_BOOL, .offset = FIELD(no_huge),
	  .help = "DPDK without hugepages" },
	{ .name = "memory-mib", .type = RMNIC_CONF_UINT, .offset = FIELD(memory_mib), .min = 32,
	  .max = 65536, .def = "128", .metavar = "N",
	  .help = "DPDK's own memory, for frames, in MiB" },
	{ .name = "token-file", .type = RMNIC_CONF_STRING, .offset = FIELD(token_file),
	  .metavar = "PATH",
	  .help = "64 hexadecimal digits that are shown to the memory servers: a device's first "
		  "session fixes them, and no other is let at its pages" },
	{ .name = "reserve-timeout-ms", .type = RMNIC_CONF_UINT,
	  .offset = FIELD(reserve_timeout_ms), .min = 100, .max = 3600000, .def = "15000",
	  .metavar = "N", .help = "how long servers may take to hold what a device offers" },
	{ .name = "command-timeout-ms", .type = RMNIC_CONF_UINT,
	  .offset = FIELD(command_timeout_ms), .min = 1000, .max = 3600000, .def = "30000",
	  .metavar = "N", .help = "how long a guest's driver waits for a command before it complains" },
	{ .name = "metrics-file", .type = RMNIC_CONF_STRING, .offset = FIELD(metrics_file),
	  .metavar = "PATH", .help = "a file of figures for Prometheus (textfile collector)" },
	{ .name = "metrics-interval-ms", .type = RMNIC_CONF_UINT,
	  .offset = FIELD(metrics_interval_ms), .min = 100, .max = 3600000, .def = "5000",
	  .metavar = "N", .help = "how often it is written" },
	{ .name = "log-level", .type = RMNIC_CONF_ENUM, .offset = FIELD(log_level), .def = "info",
	  .names = rmnic_log_names, .help = "what is logged, and all that is worse", .reload = true },
};

const struct rmnic_conf_program rmnic_config_program = {
	.name = "rmnicd",
	.summary = "Serves the remote memory devices of the virtual machines on this host: takes their "
		   "pages out of guest memory and keeps them on memory servers.",
	.footer = "SIGHUP reads the file again: servers, servers_file, replicas, drop_ms, away_ms, "
		  "repair_rate, scrub_rate, hedge_permille and log_level may change. A server that is not listed any more is drained first. "
		  "SIGTERM lets the guests wait for the next rmnicd.\n",
	.table = { settings, sizeof(settings) / sizeof(settings[0]), sizeof(struct rmnic_config) },
};
