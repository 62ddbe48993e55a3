/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rmnic-bench - drives a backend as QEMU and the driver in a guest would, without a guest.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/daemon.h"
#include "tools/bench/options.h"
#include "tools/bench/report.h"
#include "tools/bench/samples.h"

#define RINGS_SIZE (4ull << 20) /* of guest memory: rings, doorbell records, answers */

static volatile bool stop, stop_all;

static void on_signal(int number)
{
	stop = true;
	stop_all = stop_all || number != SIGUSR1;
}

static void watch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static int shape_of(const struct bench_options *o, uint32_t depth, struct bench_shape *shape,
		    struct rmnic_error *err)
{
	uint64_t bytes = o->capacity ? o->capacity : o->working_set;

	*shape = (struct bench_shape){
		.slab_pages = (uint32_t)(o->slab_size / RMNIC_PAGE_SIZE),
		.capacity = (bytes + o->slab_size - 1) / o->slab_size * (o->slab_size / RMNIC_PAGE_SIZE),
		.max_qpairs = 2,
		.max_depth = (uint16_t)(depth > BENCH_AQ_DEPTH ? depth : BENCH_AQ_DEPTH),
		.vectors = 3,
	};
	memcpy(shape->uuid, o->uuid.byte, 16);
	if (!o->uuid.given && getrandom(shape->uuid, 16, 0) != 16)
		return rmnic_error_set(err, "no random numbers for the device's uuid");
	return 0;
}

static struct bench_link *open_link(const struct bench_options *o, const struct bench_shape *shape,
				    const struct bench_guest *guest, struct rmnic_error *err)
{
	/* As scripts/fleet says to its command. */
	const char *socket = o->socket ? o->socket : getenv("RMNIC_SOCKET");
	char path[108];

	if (o->store == BENCH_STORE_LOCAL)
		return bench_link_local(shape, guest, err);
	if (o->inside)
		return bench_link_inside(o, shape, guest, err);
	if (!socket && !rmnic_runtime_path("rmnic.sock", path, sizeof(path), err))
		return NULL;
	return bench_link_user(socket ? socket : path, shape, guest, (int)o->timeout_s * 1000, err);
}

/* What is left out after a signal, but for a last look at all pages. */
static bool wanted(const struct bench_options *o, int i, int n, const enum bench_workload *phase)
{
	return !stop_all || (i == n - 1 && phase[i] == BENCH_VERIFY && !o->no_verify);
}

static int run_phase(struct bench_load *load, enum bench_workload workload, struct rmnic_error *err)
{
	struct bench_link *link = load->driver->link;

	bench_load_begin(load, workload);
	return link->ops->run ? link->ops->run(link, load, err) : bench_load_run(load, err);
}

static int run_phases(const struct bench_options *o, struct bench_load *load,
		      struct bench_report *report, struct rmnic_error *err)
{
	enum bench_workload phase[BENCH_MAX_PHASES];
	int n = bench_options_phases(o, phase, err);

	for (int i = 0; i < n; i++) {
		if (!wanted(o, i, n, phase))
			continue;
		stop = false;
		fprintf(stderr, "rmnic-bench: %s\n", bench_workload_names[phase[i]]);
		if (run_phase(load, phase[i], err))
			return -1;
		bench_samples_summary(load);
		bench_report_add(report, &load->result);
	}
	return 0;
}

/* The report's verdict, or -1 with err. */
static int drive(const struct bench_options *o, struct bench_driver *driver, uint32_t depth,
		 struct rmnic_error *err)
{
	struct bench_load_config config = bench_options_load(o, &stop);
	struct bench_load load = { 0 };
	struct bench_report *report;
	struct rmnic_stats stats;
	bool known;
	int result = -1;

	if (bench_driver_start(driver, depth, err) || bench_load_create(&load, &config, driver, err))
		goto out;
	report = bench_report_create(o->json);
	if (!report) {
		rmnic_error_set(err, "out of memory");
		goto out;
	}
	if (run_phases(o, &load, report, err))
		goto out;
	known = !driver->link->ops->stats(driver->link, &stats, err);
	if (!known)
		fprintf(stderr, "rmnic-bench: %s\n", err->text);
	result = bench_report_end(report, driver, known ? &stats : NULL) ? 0 : 1;
out:
	bench_load_destroy(&load);
	return result;
}

static int run(const struct bench_options *o, struct rmnic_error *err)
{
	struct bench_load_config config = bench_options_load(o, &stop);
	uint32_t depth = bench_load_depth(&config);
	struct bench_guest guest;
	struct bench_shape shape;
	struct bench_driver driver = {
		.guest = &guest,
		.spin_ns = o->spin_us * 1000,
		.timeout_ns = o->timeout_s * 1000000000u,
		.reconnect = o->reconnect,
	};
	int result = -1;

	if (shape_of(o, depth, &shape, err) ||
	    bench_guest_create(&guest, RINGS_SIZE + bench_load_memory(&config), err))
		return -1;
	driver.link = open_link(o, &shape, &guest, err);
	if (driver.link) {
		result = drive(o, &driver, depth, err);
		if (!o->leave)
			driver.link->ops->close(driver.link);
	}
	bench_guest_destroy(&guest);
	return result;
}

int main(int argc, char **argv)
{
	enum bench_workload phase[BENCH_MAX_PHASES];
	struct bench_options options;
	struct rmnic_error err = { "" };
	int result;

	switch (rmnic_conf_parse(&bench_program, argc, argv, &options, &err)) {
	case RMNIC_CONF_DONE:
		return 0;
	case RMNIC_CONF_BAD:
		fprintf(stderr, "rmnic-bench: %s\n", err.text);
		return 2;
	case RMNIC_CONF_OK:
		break;
	}
	if (bench_options_phases(&options, phase, &err) < 0 || bench_options_check(&options, &err)) {
		fprintf(stderr, "rmnic-bench: %s\n", err.text);
		return 2;
	}
	watch_signals();
	result = run(&options, &err);
	if (result < 0)
		fprintf(stderr, "rmnic-bench: %s\n", err.text);
	rmnic_conf_free(&bench_program.table, &options);
	return result ? 1 : 0;
}
