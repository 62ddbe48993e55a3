/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sim - the remote store, its RMP client and memory servers in one process under a virtual
 * clock. Everything is drawn from a seed: sizes, faults, what the guest does and when. A model
 * is the oracle. First the faults, in which no acknowledged page may be lost or wrong; then
 * they stop, and everything must finish, and every slab be whole again.
 *
 *   sim [--seed N] [--runs M | --seconds T] [--ops K] [--rings | --direct] [--first]
 *       [--quiet] [--verbose [--watch RPN]]
 *
 * --rings: the guest talks to a device in front of the store, --direct: to the store itself;
 * else that is drawn too. --seconds: seeds from N on, for so long.
 * --first ends with the first run that fails; --quiet prints only what failed, and the sum;
 * --watch says of a page what becomes of it, wherever it is kept.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "run.h"

static uint64_t number(const char *text)
{
	char *end_ = NULL;
	uint64_t n = text ? strtoull(text, &end_, 0) : 0;

	if (!text || *end_ || end_ == text) {
		fprintf(stderr, "sim: '%s' is no number\n", text ? text : "");
		exit(2);
	}
	return n;
}

static int usage(void)
{
	fprintf(stderr, "usage: sim [--seed N] [--runs M | --seconds T] [--ops K] [--rings | --direct] "
			"[--first] [--quiet] [--verbose [--watch RPN]]\n");
	return 2;
}

static double seconds_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct arguments {
	struct run_options options;
	uint64_t seed, runs, seconds;
	bool first, quiet;
};

static bool read_arguments(struct arguments *a, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--seed"))
			a->seed = number(argv[++i]);
		else if (!strcmp(argv[i], "--runs"))
			a->runs = number(argv[++i]);
		else if (!strcmp(argv[i], "--seconds"))
			a->seconds = number(argv[++i]);
		else if (!strcmp(argv[i], "--ops"))
			a->options.ops = number(argv[++i]);
		else if (!strcmp(argv[i], "--rings"))
			a->options.rings = 1;
		else if (!strcmp(argv[i], "--direct"))
			a->options.rings = 0;
		else if (!strcmp(argv[i], "--watch"))
			a->options.watch = number(argv[++i]) + 1;
		else if (!strcmp(argv[i], "--first"))
			a->first = true;
		else if (!strcmp(argv[i], "--quiet"))
			a->options.quiet = true;
		else if (!strcmp(argv[i], "--verbose"))
			a->options.verbose = true;
		else
			return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	struct arguments a = { .options = { .ops = 20000, .rings = -1 }, .seed = 1, .runs = 1 };
	double began = seconds_of(CLOCK_MONOTONIC), used;
	struct run_sum sum = { 0 };
	uint64_t failed = 0, runs = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!read_arguments(&a, argc, argv))
		return usage();
	while (!(a.first && failed) &&
	       (a.seconds ? seconds_of(CLOCK_MONOTONIC) - began < (double)a.seconds : runs < a.runs))
		failed += !run(a.seed + runs++, &a.options, &sum);
	used = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
	for (unsigned int i = 0; i < FAULT_COUNT; i++)
		printf("%s%s %" PRIu64, i ? ", " : "# faults: ", fault_names[i], sum.counts[i]);
	printf("\n# %" PRIu64 " page operations, %.1f million a minute of one core\n", sum.done,
	       (double)sum.done * 60 / 1e6 / used);
	printf("# %" PRIu64 " runs, %" PRIu64 " failed, seeds %" PRIu64 " to %" PRIu64 "\n", runs, failed,
	       a.seed, a.seed + runs - 1);
	return failed != 0;
}
