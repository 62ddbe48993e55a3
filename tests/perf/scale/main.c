/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scale - one fleet of memory servers and devices in one process, under a virtual clock: what a page
 * costs in it, and what a failure of a server does. Prints one JSON object.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "phases.h"

static const char usage[] =
	"scale - a fleet of memory servers and devices under a virtual clock; prints JSON\n"
	"  --servers N   memory servers (1 to 10000; default 4)\n"
	"  --devices N   devices (1 to 100000; default 40)\n"
	"  --mib N       capacity of each device, a multiple of 64 (64 to 4194304; default 1024)\n"
	"  --replicas N  1 to 4; default 2\n"
	"  --known N     servers that a device is told of (1 to 256; default 16)\n"
	"  --pages N     pages that each device writes and reads (1 to 65536; default 16)\n"
	"  --probes N    devices whose work for 256 pages is counted, one after the other (1 to 65536; default 16)\n"
	"  --deep N      a server dies that holds so many pages in each of its slabs (0 to 16384: 0: none dies; default 0)\n"
	"  --seed N      default 1\n";

static void refuse(const char *name, const char *text, uint64_t least, uint64_t most)
{
	fprintf(stderr, "scale: %s %s: expected a number from %" PRIu64 " to %" PRIu64 "; --help lists them\n", name,
		text ? text : "", least, most);
	exit(2);
}

static uint64_t number(const char *name, const char *text, uint64_t least, uint64_t most)
{
	char *end = NULL;
	uint64_t n = text && *text >= '0' && *text <= '9' ? strtoull(text, &end, 10) : 0;

	if (!end || *end || n < least || n > most)
		refuse(name, text, least, most);
	return n;
}

static void options_read(struct scale_options *o, int argc, char **argv)
{
	uint64_t seed = 1;
	struct {
		const char *name;
		uint32_t *to;
		uint64_t least, most;
	} all[] = {
		{ "--servers", &o->servers, 1, 10000 }, { "--devices", &o->devices, 1, 100000 },
		{ "--mib", &o->mib, 64, 4194304 },	{ "--replicas", &o->replicas, 1, 4 },
		{ "--known", &o->known, 1, 256 },	{ "--pages", &o->pages, 1, 65536 },
		{ "--probes", &o->probes, 1, 65536 },	{ "--deep", &o->deep, 0, 16384 },
	};

	for (int i = 1; i < argc; i += 2) {
		size_t k = 0;

		if (!strcmp(argv[i], "--help")) {
			fputs(usage, stdout);
			exit(0);
		}
		if (!strcmp(argv[i], "--seed")) {
			seed = number(argv[i], argv[i + 1], 0, UINT64_MAX);
			continue;
		}
		while (k < sizeof(all) / sizeof(all[0]) && strcmp(argv[i], all[k].name) != 0)
			k++;
		if (k == sizeof(all) / sizeof(all[0])) {
			fprintf(stderr, "scale: there is no option '%s'; --help lists them\n", argv[i]);
			exit(2);
		}
		*all[k].to = (uint32_t)number(argv[i], argv[i + 1], all[k].least, all[k].most);
	}
	o->seed = seed;
	if (o->mib % 64)
		refuse("--mib (a multiple of 64)", "", 64, 4194304);
	if (o->replicas > o->servers || o->replicas > o->known)
		refuse("--replicas (no more than servers, and servers known)", "", 1, 4);
	if (o->deep && o->servers <= o->replicas)
		refuse("--servers (one can only be replaced by another one)", "", o->replicas + 1, 10000);
}

static void print_cost(const char *name, const struct scale_cost *c, const struct scale_times *t)
{
	printf(" \"%s\": {\"messages\": %.3f, \"polls\": %.3f, \"cpu_us\": %.3f, \"steps\": ", name, c->messages,
	       c->polls, c->cpu_us);
	if (scale_steps)
		printf("%.1f", c->steps);
	else
		printf("null");
	printf(", \"p50_us\": %.2f, \"max_us\": %.2f},\n", scale_times_us(t, 0.5), scale_times_us(t, 1));
}

static void print_times(const char *name, const struct scale_times *t)
{
	printf(" \"%s\": {\"pages\": %" PRIu64 ", \"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"p999\": %.2f, \"max\": %.2f},\n",
	       name, t->count, scale_times_us(t, 0.5), scale_times_us(t, 0.9), scale_times_us(t, 0.99),
	       scale_times_us(t, 0.999), scale_times_us(t, 1));
}

static uint64_t resident(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)u.ru_maxrss * 1024;
}

/* Bytes for each page of capacity, and how far servers are from being equally full. */
static void print_memory(const struct scale_fleet *f)
{
	uint64_t backend = 0, server = 0, pages = 0, lent = 0, reserved = 0, most = 0;

	for (uint32_t i = 0; i < f->o.devices; i++) {
		backend += f->net.ends[f->devices[i].end].allocated + f->devices[i].state_bytes;
		pages += f->devices[i].pages;
	}
	for (uint32_t i = 0; i < f->o.servers; i++) {
		const struct scale_server *s = &f->servers[i];

		server += f->net.ends[s->end].allocated;
		lent += s->npages;
		reserved += s->store->reserved;
		most = s->store->reserved > most ? s->store->reserved : most;
	}
	printf(" \"capacity_gib\": %" PRIu64 ", \"lent_gib\": %" PRIu64 ", \"backend_bytes_per_page\": %.4f,"
	       " \"server_bytes_per_page\": %.4f, \"resident_bytes_per_page\": %.4f, \"resident_mib\": %" PRIu64 ","
	       " \"fullest\": %.4f,\n",
	       pages >> 18, lent >> 18, (double)backend / (double)pages, (double)server / (double)lent,
	       (double)resident() / (double)pages, resident() >> 20,
	       reserved ? (double)most * f->o.servers / (double)reserved : 0);
}

static void print_failure(const struct scale_fleet *f, const struct scale_failure *x)
{
	printf(" \"failure\": {\"slabs\": %" PRIu64 ", \"devices\": %" PRIu64 ", \"pages\": %" PRIu64
	       ", \"dropped_busy_ms\": %.2f, \"dropped_ms\": %.2f, \"whole_ms\": %.2f, \"copied\": %" PRIu64
	       ", \"copied_per_server\": %.1f, \"copied_most\": %" PRIu64 ",\n ",
	       x->slabs, x->devices, x->pages, x->busy_ms, x->dropped_ms, x->whole_ms, x->taken,
	       (double)x->taken / (f->o.servers - 1), x->taken_most);
	print_times("page_in_us", &x->in);
	printf("  \"failed\": %" PRIu64 "},\n", x->in.failed);
}

int main(int argc, char **argv)
{
	struct scale_options o = { .servers = 4, .devices = 40, .replicas = 2, .known = 16, .mib = 1024, .pages = 16,
				   .probes = 16 };
	struct scale_failure failure = { 0 };
	struct scale_steady steady = { 0 };
	struct timespec began, ended;
	struct scale_fleet f;
	uint64_t bad;

	options_read(&o, argc, argv);
	clock_gettime(CLOCK_MONOTONIC, &began);
	scale_fleet_init(&f, &o);
	scale_steady_run(&f, &steady);
	printf("{\"servers\": %u, \"devices\": %u, \"replicas\": %u, \"known\": %u, \"setup_ms\": %.2f,\n", o.servers,
	       o.devices, o.replicas, o.known, (double)f.setup_ns / (double)SCALE_NS_A_MS);
	print_memory(&f);
	print_times("page_out_us", &steady.out);
	print_times("page_in_us", &steady.in);
	print_cost("out", &steady.cost_out, &steady.out_one);
	print_cost("in", &steady.cost_in, &steady.in_one);
	printf(" \"idle_messages\": %.3f,\n", steady.idle_messages);
	if (o.deep) {
		scale_failure_run(&f, &failure);
		print_failure(&f, &failure);
	}
	bad = steady.out.failed + steady.in.failed + steady.out_one.failed + steady.in_one.failed + failure.in.failed;
	bad += steady.in.wrong + steady.in_one.wrong + failure.in.wrong;
	clock_gettime(CLOCK_MONOTONIC, &ended);
	printf(" \"virtual_s\": %.3f, \"seconds\": %.2f, \"bad\": %" PRIu64 "}\n", (double)f.net.now / 1e9,
	       (double)(ended.tv_sec - began.tv_sec) + (double)(ended.tv_nsec - began.tv_nsec) / 1e9, bad);
	scale_fleet_fini(&f);
	return bad != 0;
}
