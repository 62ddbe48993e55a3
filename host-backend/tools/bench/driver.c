/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/driver.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/le.h"

#define CLOCK_EVERY 64 /* looks between two readings of the clock */
#define NAP_MS      100

uint64_t bench_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void bench_driver_ring(struct bench_driver *driver, struct bench_pair *pair)
{
	if (bench_pair_publish(pair))
		driver->link->ops->kick(driver->link);
}

static int revive(struct bench_driver *driver, struct rmnic_error *err)
{
	uint64_t start = bench_now();
	uint64_t took;

	if (!driver->reconnect || !driver->link->ops->revive)
		return rmnic_error_set(err, "the backend is gone (--reconnect goes on with its successor)");
	fprintf(stderr, "rmnic-bench: the backend died with %u commands in flight\n",
		driver->out.in_flight + driver->in.in_flight);
	if (driver->link->ops->revive(driver->link, err))
		return -1;
	took = bench_now() - start;
	if (took > driver->reconnect_max_ns)
		driver->reconnect_max_ns = took;
	driver->reconnects++;
	driver->idle_since = 0;
	/* What was published when nobody looked is looked at by the successor, asked or not. */
	driver->link->ops->kick(driver->link);
	fprintf(stderr, "rmnic-bench: reconnected, epoch %u, after %llu ms\n", driver->link->epoch,
		(unsigned long long)(took / 1000000));
	return 0;
}

/* Arms the queues; sleeps only if nothing came meanwhile. */
static void nap(struct bench_driver *driver)
{
	struct bench_pair *pairs[] = { &driver->aq, &driver->out, &driver->in };
	bool quiet = true;

	for (int i = 0; i < 3; i++) {
		if (pairs[i]->depth && !bench_pair_arm(pairs[i]))
			quiet = false;
	}
	if (quiet)
		driver->link->ops->sleep(driver->link, NAP_MS);
}

int bench_driver_idle(struct bench_driver *driver, struct rmnic_error *err)
{
	uint64_t now;

	if (!driver->link->ops->turn(driver->link))
		return revive(driver, err);
	if (driver->idle_since && driver->looks++ % CLOCK_EVERY && driver->spin_ns)
		return 0;
	now = bench_now();
	if (!driver->idle_since) {
		driver->idle_since = now;
		driver->looks = 1;
	}
	if (now - driver->idle_since > driver->timeout_ns)
		return rmnic_error_set(err, "no completion within %llu s: %u page-outs and %u page-ins are in "
				       "flight", (unsigned long long)(driver->timeout_ns / 1000000000u),
				       driver->out.in_flight, driver->in.in_flight);
	if (now - driver->idle_since >= driver->spin_ns && driver->link->ops->sleep) {
		nap(driver);
		driver->looks = 0;
	}
	return 0;
}

/* --- Admin commands ---------------------------------------------------------------------------------- */

static int admin(struct bench_driver *driver, struct rmnic_admin_sqe *sqe, const char *what,
		 struct rmnic_error *err)
{
	struct rmnic_cqe cqe;
	enum bench_reap got;

	bench_pair_put(&driver->aq, sqe);
	bench_driver_ring(driver, &driver->aq);
	while ((got = bench_pair_reap(&driver->aq, &cqe, err)) == BENCH_REAP_NONE) {
		if (bench_driver_idle(driver, err))
			return -1;
	}
	bench_driver_busy(driver);
	if (got == BENCH_REAP_BAD)
		return -1;
	if (cqe.status)
		return rmnic_error_set(err, "%s ended with status 0x%x", what, cqe.status);
	return 0;
}

static int create(struct bench_driver *driver, struct bench_pair *pair, uint16_t qid,
		  uint8_t qclass, uint32_t depth, struct rmnic_error *err)
{
	struct rmnic_admin_sqe sqe = {
		.opcode = RMNIC_OP_CREATE_QP,
		.qid = rmnic_le16_put(qid),
		.vector = rmnic_le16_put(qid),
		.depth = rmnic_le16_put((uint16_t)depth),
		.qclass = qclass,
	};

	if (bench_pair_init(pair, driver->guest, qid, depth, err))
		return -1;
	sqe.sq_addr = rmnic_le64_put(pair->sq);
	sqe.cq_addr = rmnic_le64_put(pair->cq);
	sqe.rec_addr = rmnic_le64_put(pair->rec);
	return admin(driver, &sqe, qclass == RMNIC_CLASS_PAGE_IN ? "creating the page-in pair"
								 : "creating the page-out pair", err);
}

int bench_driver_start(struct bench_driver *driver, uint32_t depth, struct rmnic_error *err)
{
	struct bench_enabling enabling = { .depth = BENCH_AQ_DEPTH };

	if (bench_pair_init(&driver->aq, driver->guest, 0, BENCH_AQ_DEPTH, err))
		return -1;
	enabling.sq = driver->aq.sq;
	enabling.cq = driver->aq.cq;
	enabling.rec = driver->aq.rec;
	if (driver->link->ops->enable(driver->link, &enabling, err))
		return -1;
	return create(driver, &driver->out, 1, RMNIC_CLASS_PAGE_OUT, depth, err) ||
	       create(driver, &driver->in, 2, RMNIC_CLASS_PAGE_IN, depth, err) ? -1 : 0;
}

int bench_driver_identify(struct bench_driver *driver, struct rmnic_identify *out,
			  struct rmnic_error *err)
{
	uint64_t page = bench_guest_alloc(driver->guest, RMNIC_PAGE_SIZE, RMNIC_PAGE_SIZE);
	struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_IDENTIFY, .addr = rmnic_le64_put(page) };

	if (!page)
		return rmnic_error_set(err, "no guest memory is left for IDENTIFY");
	if (admin(driver, &sqe, "IDENTIFY", err))
		return -1;
	memcpy(out, bench_guest_at(driver->guest, page), sizeof(*out));
	return 0;
}
