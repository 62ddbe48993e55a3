/* SPDX-License-Identifier: BSD-3-Clause */
/* The settings of both ends. */
#include "tools/pingpong/options.h"

#include "common/conf_net.h"
#include "common/log.h"
#include "dpdk/pingpong.h"
#include "dpdk/wait.h"

static const char *const poll_names[] = { "adaptive", "busy", "block", NULL };

_Static_assert(RMNIC_POLL_ADAPTIVE == 0 && RMNIC_POLL_BUSY == 1 && RMNIC_POLL_BLOCK == 2,
	       "poll_names is in another order");

#define FIELD(name) offsetof(struct pingpong_options, name)

#define BOTH                                                                                       \
	{ .name = "port", .type = RMNIC_CONF_LIST, .offset = FIELD(ports), .min = 1, .max = 1,      \
	  .metavar = RMNIC_CONF_PORT_METAVAR, .help = RMNIC_CONF_PORT_HELP, .plural = "ports",      \
	  .item = &rmnic_conf_port_table },                                                         \
	{ .name = "poll", .type = RMNIC_CONF_ENUM, .offset = FIELD(poll), .def = "adaptive",        \
	  .names = poll_names,                                                                      \
	  .help = "what is done while nothing comes: adaptive spins on a CPU of its own and blocks " \
		  "on a shared one" },                                                              \
	{ .name = "cpus", .type = RMNIC_CONF_CPUS, .offset = FIELD(cpus), .metavar = "LIST",        \
	  .help = "CPU for the loop; default: any" },                                               \
	{ .name = "no-huge", .type = RMNIC_CONF_BOOL, .offset = FIELD(no_huge),                     \
	  .help = "DPDK without hugepages" },                                                       \
	{ .name = "memory-mib", .type = RMNIC_CONF_UINT, .offset = FIELD(memory_mib), .min = 32,    \
	  .max = 65536, .def = "128", .metavar = "N", .help = "DPDK's own memory, in MiB" },        \
	{ .name = "log-level", .type = RMNIC_CONF_ENUM, .offset = FIELD(log_level), .def = "info",  \
	  .names = rmnic_log_names, .help = "what is logged, and all that is worse" },              \
	{ .name = "json", .type = RMNIC_CONF_BOOL, .offset = FIELD(json),                           \
	  .help = "the result as one JSON object" }

static const struct rmnic_conf_setting server_settings[] = {
	{ .name = "udp-port", .type = RMNIC_CONF_UINT, .offset = FIELD(udp_port), .min = 1,
	  .max = 65535, .def = "7609", .metavar = "N", .help = "UDP port" },
	{ .name = "store-mib", .type = RMNIC_CONF_UINT, .offset = FIELD(store_mib), .min = 1,
	  .max = 1048576, .def = "1024", .metavar = "N",
	  .help = "memory whose pages are sent, picked at random, in MiB" },
	BOTH,
};

static const struct rmnic_conf_setting client_settings[] = {
	{ .name = "to", .type = RMNIC_CONF_ADDRESS, .offset = FIELD(to), .metavar = "ADDRESS[:PORT]",
	  .help = "the server (port 7609 if not given)" },
	{ .name = "udp-port", .type = RMNIC_CONF_UINT, .offset = FIELD(udp_port), .min = 1,
	  .max = 65535, .def = "7608", .metavar = "N", .help = "local UDP port" },
	{ .name = "request", .type = RMNIC_CONF_UINT, .offset = FIELD(request),
	  .min = RMNIC_PINGPONG_MIN, .max = RMNIC_PINGPONG_MAX_REPLY, .def = "62", .metavar = "N",
	  .help = "bytes of a question" },
	{ .name = "reply", .type = RMNIC_CONF_UINT, .offset = FIELD(reply),
	  .min = RMNIC_PINGPONG_MIN, .max = RMNIC_PINGPONG_MAX_REPLY, .def = "4158",
	  .metavar = "N", .help = "bytes of an answer; it comes in several frames at a small MTU" },
	{ .name = "depth", .type = RMNIC_CONF_UINT, .offset = FIELD(depth), .min = 1,
	  .max = RMNIC_PINGPONG_MAX_DEPTH, .def = "1", .metavar = "N", .help = "questions at a time" },
	{ .name = "count", .type = RMNIC_CONF_UINT, .offset = FIELD(count), .min = 1,
	  .max = 1000000000, .def = "200000", .metavar = "N", .help = "exchanges that are timed" },
	{ .name = "warmup", .type = RMNIC_CONF_UINT, .offset = FIELD(warmup), .min = 0,
	  .max = 1000000000, .def = "1000", .metavar = "N", .help = "exchanges before that" },
	BOTH,
};

#define TABLE(s) { s, sizeof(s) / sizeof((s)[0]), sizeof(struct pingpong_options) }

const struct rmnic_conf_program pingpong_server_program = {
	.name = "rmnic-pingpong server",
	.summary = "Answers the questions of rmnic-pingpong client: what the network alone costs.",
	.table = TABLE(server_settings),
};

const struct rmnic_conf_program pingpong_client_program = {
	.name = "rmnic-pingpong client",
	.summary = "Asks rmnic-pingpong server and times the answers: what the network alone costs.",
	.table = TABLE(client_settings),
};
