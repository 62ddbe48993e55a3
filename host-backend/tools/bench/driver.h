/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tools/bench/driver.h - the part of a driver that brings a device up: admin queue, one pair for
 * page-out, one for page-in; and waiting, which is where a dead backend is noticed.
 */
#ifndef RMNIC_BENCH_DRIVER_H
#define RMNIC_BENCH_DRIVER_H

#include "tools/bench/link.h"
#include "tools/bench/pair.h"

#define BENCH_AQ_DEPTH 16

struct bench_driver {
	struct bench_link *link;
	struct bench_guest *guest;
	struct bench_pair aq, out, in;
	uint64_t spin_ns;    /* how long to look at the queues before sleeping */
	uint64_t timeout_ns; /* without any completion for so long it gives up */
	bool reconnect;      /* a backend that dies is waited for */
	uint64_t idle_since; /* 0: the last look found something */
	uint64_t looks;      /* since then: the clock is read at some of them only */
	uint64_t reconnects, reconnect_max_ns;
	const volatile bool *stop; /* set by a signal: waiting for a backend ends */
};

/* Enables the device and creates both pairs. 0, or -1 with err. */
int bench_driver_start(struct bench_driver *driver, uint32_t depth, struct rmnic_error *err);
/* Publishes what was put into a pair and rings where the device wants it. */
void bench_driver_ring(struct bench_driver *driver, struct bench_pair *pair);
/* Something was consumed. */
static inline void bench_driver_busy(struct bench_driver *driver)
{
	driver->idle_since = 0;
}
/*
 * Nothing was consumed: gives the device its turn, sleeps when it is time to, and goes over to a
 * successor when the backend died. -1 with err: it is over.
 */
int bench_driver_idle(struct bench_driver *driver, struct rmnic_error *err);
/* What the device says of itself: the admin command IDENTIFY. 0, or -1 with err. */
int bench_driver_identify(struct bench_driver *driver, struct rmnic_identify *out,
			  struct rmnic_error *err);

uint64_t bench_now(void); /* ns, monotonic */

#endif /* RMNIC_BENCH_DRIVER_H */
