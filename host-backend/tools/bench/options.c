/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/options.h"

#include <string.h>

#include "common/conf_net.h"
#include "rmnic/device.h"

static const char *const stores[] = { "remote", "local", NULL };
static const char *const polls[] = { "adaptive", "busy", "block", NULL };

#define AT(field) offsetof(struct bench_options, field)
#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)

static const struct rmnic_conf_setting settings[] = {
	{ .name = "socket", .type = RMNIC_CONF_STRING, .offset = AT(socket), .metavar = "PATH",
	  .help = "where the backend listens for front ends; default: RMNIC_SOCKET, else its own default" },
	{ .name = "store", .type = RMNIC_CONF_ENUM, .offset = AT(store), .names = stores, .def = "remote",
	  .help = "local: no backend and no network, the engine with a store in this process' memory" },
	{ .name = "inside", .type = RMNIC_CONF_BOOL, .offset = AT(inside),
	  .help = "the generator in the backend's own lcore: no other backend is needed, but --port and "
		  "--server are" },
	{ .name = "workloads", .type = RMNIC_CONF_STRING, .offset = AT(workloads),
	  .def = "fill,in-rand,verify", .metavar = "NAME,...",
	  .help = "one after the other: fill and verify (all pages once, in order), out-seq, out-rand, "
		  "in-seq, in-rand, mix (random, both ways), both (random page-ins beside random page-outs), "
		  "free" },
	{ .name = "working-set", .type = RMNIC_CONF_SIZE, .offset = AT(working_set), .min = 64 * KIB,
	  .max = 1024 * GIB, .def = "64M", .metavar = "SIZE", .help = "pages that are used" },
	{ .name = "capacity", .type = RMNIC_CONF_SIZE, .offset = AT(capacity), .min = 0,
	  .max = 1024 * GIB, .metavar = "SIZE",
	  .help = "what the device asks to be reserved; the working set in whole slabs if not given" },
	{ .name = "slab-size", .type = RMNIC_CONF_SIZE, .offset = AT(slab_size), .min = 4 * KIB,
	  .max = 1 * GIB, .def = "64M", .metavar = "SIZE", .help = "a power of two, as the servers have it" },
	{ .name = "ops", .type = RMNIC_CONF_UINT, .offset = AT(ops), .max = UINT64_MAX,
	  .help = "commands of each workload; 100000 if neither this nor --seconds is given" },
	{ .name = "seconds", .type = RMNIC_CONF_UINT, .offset = AT(seconds), .max = 1000000,
	  .help = "how long each workload runs" },
	{ .name = "pause-us", .type = RMNIC_CONF_UINT, .offset = AT(pause_us), .max = 60000000,
	  .metavar = "N",
	  .help = "wait so long before each command but those of fill and verify, so that the backend is "
		  "asleep; with one command in flight" },
	{ .name = "until-signal", .type = RMNIC_CONF_BOOL, .offset = AT(until_signal),
	  .help = "each workload but fill and verify runs until SIGUSR1 (the next one) or SIGINT (the end)" },
	{ .name = "queue-depth", .type = RMNIC_CONF_UINT, .offset = AT(queue_depth), .min = 1, .max = 1024,
	  .def = "1", .help = "commands in flight; page-outs, of both" },
	{ .name = "in-depth", .type = RMNIC_CONF_UINT, .offset = AT(in_depth), .min = 1, .max = 1024,
	  .def = "1", .help = "page-ins in flight, of both" },
	{ .name = "batch", .type = RMNIC_CONF_UINT, .offset = AT(batch), .min = 1, .max = 1024,
	  .def = "1", .help = "commands that are published together" },
	{ .name = "cluster", .type = RMNIC_CONF_UINT, .offset = AT(cluster), .min = 1,
	  .max = RMNIC_MAX_PAGES, .def = "1", .help = "pages of a command" },
	{ .name = "lists", .type = RMNIC_CONF_BOOL, .offset = AT(lists),
	  .help = "name pages by lists rather than as runs" },
	{ .name = "reads", .type = RMNIC_CONF_UINT, .offset = AT(reads), .max = 100, .def = "50",
	  .metavar = "PERCENT", .help = "page-ins among the commands of mix" },
	{ .name = "seed", .type = RMNIC_CONF_UINT, .offset = AT(seed), .max = UINT32_MAX, .def = "1",
	  .help = "of what is random" },
	{ .name = "no-verify", .type = RMNIC_CONF_BOOL, .offset = AT(no_verify),
	  .help = "neither fill nor check pages: rates only" },
	{ .name = "spoil", .type = RMNIC_CONF_UINT, .offset = AT(spoil), .max = UINT64_MAX, .metavar = "N",
	  .help = "change a word of the N-th page that comes in before it is checked: a run that then "
		  "passes would check nothing" },
	{ .name = "spin-us", .type = RMNIC_CONF_UINT, .offset = AT(spin_us), .max = 10000000, .def = "50",
	  .help = "how long to look for completions before sleeping on the interrupt" },
	{ .name = "timeout-s", .type = RMNIC_CONF_UINT, .offset = AT(timeout_s), .min = 1, .max = 3600,
	  .def = "60", .help = "how long to wait for a backend, an answer or a completion" },
	{ .name = "reconnect", .type = RMNIC_CONF_BOOL, .offset = AT(reconnect),
	  .help = "go on with a new backend when the old one dies" },
	{ .name = "leave", .type = RMNIC_CONF_BOOL, .offset = AT(leave),
	  .help = "end without good-bye, as a front end that was killed" },
	{ .name = "uuid", .type = RMNIC_CONF_UUID, .offset = AT(uuid), .metavar = "UUID",
	  .help = "the device's; a random one if not given" },
	{ .name = "json", .type = RMNIC_CONF_BOOL, .offset = AT(json), .help = "print one JSON object" },
	{ .name = "port", .type = RMNIC_CONF_LIST, .offset = AT(ports), .max = 8, .plural = "ports",
	  .item = &rmnic_conf_port_table, .metavar = RMNIC_CONF_PORT_METAVAR,
	  .help = "with --inside: " RMNIC_CONF_PORT_HELP },
	{ .name = "server", .type = RMNIC_CONF_LIST, .offset = AT(servers), .max = 64, .plural = "servers",
	  .item = &rmnic_conf_server_table, .metavar = RMNIC_CONF_SERVER_METAVAR,
	  .help = "with --inside: " RMNIC_CONF_SERVER_HELP },
	{ .name = "poll", .type = RMNIC_CONF_ENUM, .offset = AT(poll), .names = polls, .def = "adaptive",
	  .help = "with --inside: what the lcore does when there is nothing to do" },
	{ .name = "cpus", .type = RMNIC_CONF_CPUS, .offset = AT(cpus), .metavar = "LIST",
	  .help = "with --inside: CPUs for the lcore" },
	{ .name = "memory-mib", .type = RMNIC_CONF_UINT, .offset = AT(memory_mib), .min = 16, .max = 65536,
	  .def = "64", .help = "with --inside: DPDK's own memory" },
	{ .name = "no-huge", .type = RMNIC_CONF_BOOL, .offset = AT(no_huge),
	  .help = "with --inside: no hugepages" },
};

const struct rmnic_conf_program bench_program = {
	.name = "rmnic-bench",
	.summary = "Drives a backend as QEMU and the driver in a guest would, without a guest: pages out and "
		   "in, each of them verified; latencies and rates.",
	.footer = "Exit: 0 every page came back as it went out and every command ended OK; 1 not so; 2 wrong use.\n"
		  "SIGINT and SIGTERM end the workload under way; what was asked for after it is left out, but "
		  "for a last verify.",
	.table = { settings, sizeof(settings) / sizeof(settings[0]), sizeof(struct bench_options) },
};

static int workload_by_name(const char *name, size_t len)
{
	for (int i = 0; bench_workload_names[i]; i++) {
		if (strlen(bench_workload_names[i]) == len && !strncmp(bench_workload_names[i], name, len))
			return i;
	}
	return -1;
}

int bench_options_phases(const struct bench_options *o, enum bench_workload phase[BENCH_MAX_PHASES],
			 struct rmnic_error *err)
{
	const char *name = o->workloads;
	int n = 0;

	for (;;) {
		size_t len = strcspn(name, ",");
		int workload = workload_by_name(name, len);

		if (workload < 0)
			return rmnic_error_set(err, "--workloads: no workload '%.*s' (fill, verify, out-seq, "
					       "out-rand, in-seq, in-rand, mix, both, free)", (int)len, name);
		if (n == BENCH_MAX_PHASES)
			return rmnic_error_set(err, "--workloads: at most %d", BENCH_MAX_PHASES);
		phase[n++] = (enum bench_workload)workload;
		if (!name[len])
			return n;
		name += len + 1;
	}
}

int bench_options_check(const struct bench_options *o, struct rmnic_error *err)
{
	struct bench_load_config load = bench_options_load(o, NULL);

	if (o->batch > o->queue_depth)
		return rmnic_error_set(err, "--batch %llu is above --queue-depth %llu: it would never be full",
				       (unsigned long long)o->batch, (unsigned long long)o->queue_depth);
	if (o->pause_us && (o->inside || o->queue_depth > 1))
		return rmnic_error_set(err, "--pause-us is for one command in flight (--queue-depth 1), and not with "
					    "--inside, whose lcore must not wait");
	if (o->slab_size & (o->slab_size - 1))
		return rmnic_error_set(err, "--slab-size: %llu is no power of two",
				       (unsigned long long)o->slab_size);
	/* A command needs a block that no other is at work on (CMD-1). */
	if (load.pages / load.cluster < 2 * (o->queue_depth + o->in_depth))
		return rmnic_error_set(err, "--working-set: %llu commands of %llu pages at a time need %llu KiB at "
				       "least", 0ull + o->queue_depth + o->in_depth,
				       (unsigned long long)o->cluster,
				       8ull * (o->queue_depth + o->in_depth) * o->cluster);
	if (bench_load_memory(&load) > 4 * GIB)
		return rmnic_error_set(err, "--queue-depth %llu with --cluster %llu needs %llu MiB of buffers: "
				       "choose less", (unsigned long long)o->queue_depth,
				       (unsigned long long)o->cluster,
				       (unsigned long long)(bench_load_memory(&load) / MIB));
	if (o->capacity && o->capacity < o->working_set)
		return rmnic_error_set(err, "--capacity is below --working-set");
	if (o->inside && (!o->ports.count || !o->servers.count))
		return rmnic_error_set(err, "--inside needs a --port and a --server at least");
	if (!o->inside && (o->ports.count || o->servers.count))
		return rmnic_error_set(err, "--port and --server are for --inside; else the backend has them");
	return 0;
}

struct bench_load_config bench_options_load(const struct bench_options *o, const volatile bool *stop)
{
	bool limited = o->ops || o->seconds || o->until_signal;
	uint64_t pages = o->working_set / RMNIC_PAGE_SIZE;

	return (struct bench_load_config){
		.pages = pages - pages % o->cluster,
		.cluster = (uint32_t)o->cluster,
		.queue_depth = (uint32_t)o->queue_depth,
		.in_depth = (uint32_t)o->in_depth,
		.batch = (uint32_t)o->batch,
		.reads = (uint32_t)o->reads,
		.lists = o->lists,
		.verify = !o->no_verify,
		.seed = o->seed,
		.spoil = o->spoil,
		.ops = limited ? o->ops : 100000,
		.time_ns = o->seconds * 1000000000u,
		.pause_ns = o->pause_us * 1000,
		.stop = stop,
	};
}
