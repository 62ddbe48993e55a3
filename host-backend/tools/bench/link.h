/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tools/bench/link.h - what lies between the generator and the device it drives.
 *
 * user:   a backend process, by rmnic-user, as QEMU would have it
 * local:  the queue engine and a store in this process' memory: no network, no other process
 * inside: the generator in the backend's own lcore, with its engine, store and ports
 */
#ifndef RMNIC_BENCH_LINK_H
#define RMNIC_BENCH_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "rmnic/device.h"
#include "tools/bench/guest.h"

struct bench_link;
struct bench_load;
struct bench_options;

struct bench_shape {
	uint8_t uuid[16];
	uint64_t capacity;   /* pages, a multiple of slab_pages */
	uint32_t slab_pages;
	uint16_t max_qpairs;
	uint16_t max_depth;
	uint16_t vectors;
};

/* The admin queue pair, for enabling. */
struct bench_enabling {
	uint64_t features; /* that the driver takes, of those offered */
	uint64_t sq, cq, rec;
	uint32_t depth;
};

struct bench_link_ops {
	/* 0, or -1 with err. */
	int (*enable)(struct bench_link *link, const struct bench_enabling *enabling,
		      struct rmnic_error *err);
	/* Rings the doorbell. */
	void (*kick)(struct bench_link *link);
	/* Called while the generator waits: gives the device its turn where it is in this thread.
	 * False: the device is gone. */
	bool (*turn)(struct bench_link *link);
	/* Sleeps until an interrupt or the end of the device, timeout_ms at most. NULL: never. */
	void (*sleep)(struct bench_link *link, int timeout_ms);
	/* The device is gone: waits for a successor and hands everything over to it. 0, or -1 with
	 * err. NULL: there are no successors. */
	int (*revive)(struct bench_link *link, struct rmnic_error *err);
	/* Runs the workload that was begun where the device is polled. NULL: in the caller's thread. */
	int (*run)(struct bench_link *link, struct bench_load *load, struct rmnic_error *err);
	/* The device's counters. 0, or -1 with err. */
	int (*stats)(struct bench_link *link, struct rmnic_stats *out, struct rmnic_error *err);
	void (*close)(struct bench_link *link);
};

struct bench_link {
	const struct bench_link_ops *ops;
	const char *kind;
	char backend[64];  /* what the other end says it is */
	uint64_t features; /* RMNIC_F_* that the device offers */
	uint32_t epoch;
};

/* NULL: err. path: of the backend's socket. */
struct bench_link *bench_link_user(const char *path, const struct bench_shape *shape,
				   const struct bench_guest *guest, int timeout_ms,
				   struct rmnic_error *err);
struct bench_link *bench_link_local(const struct bench_shape *shape,
				    const struct bench_guest *guest, struct rmnic_error *err);
/* Once a process: it starts DPDK. options: ports, servers and what else rmnicd would be told. */
struct bench_link *bench_link_inside(const struct bench_options *options,
				     const struct bench_shape *shape,
				     const struct bench_guest *guest, struct rmnic_error *err);

#endif /* RMNIC_BENCH_LINK_H */
