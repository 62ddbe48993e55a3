/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/worker.h"

#include <rte_launch.h>
#include <rte_lcore.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/cpu_awake.h"
#include "common/log.h"
#include "daemon/config.h"
#include "daemon/device_internal.h"

/* Bursts received in a row before devices are looked at again. */
#define RX_BURSTS 8
/* After 10 ms without work a page-in takes 100 us more than one of many, on CPUs that did not sleep. */
#define WARM_NS     UINT64_C(4000000)
#define WARM_FOR_NS UINT64_C(1000000000)

struct rmnic_worker {
	struct rmnic_worker_config config;
	struct rmnic_mailbox *mailbox;
	struct rmnic_udp *udp;
	struct rmnic_wait *wait;
	atomic_bool stop;
	bool running;
	/* The worker's own from here on. */
	uint32_t ndevs;
	struct rmnic_vdev *devs[RMNIC_MAX_DEVICES];
	bool (*poller)(void *arg);
	void *poller_arg;
	struct rmnic_cpu_awake awake;
	uint64_t paged;     /* ns: the last page-in */
	uint64_t warm_at;   /* ns: the path is kept warm then */
	uint32_t warm_turn; /* whose server is next */
	bool slept; /* nothing was found since the last sleep */
	uint64_t rounds, busy_rounds;
};

/* --- The loop -------------------------------------------------------------------------------- */

/* Page-ins of all devices come before page-outs of any. */
static bool page_ins(struct rmnic_worker *w, const struct rmnic_vdev *but)
{
	bool work = false;

	for (uint32_t i = 0; i < w->ndevs; i++)
		if (w->devs[i] != but)
			work |= rmnic_vdev_poll_in(w->devs[i]);
	return work;
}

/*
 * A guest that waits comes first, also before answers: what it asks is on its way before anything
 * else is looked at, which after a sleep is not in the CPU's caches.
 */
static bool asked(struct rmnic_worker *w)
{
	if (!page_ins(w, NULL))
		return false;
	rmnic_udp_flush(w->udp);
	w->paged = rmnic_udp_round_now();
	w->warm_at = w->paged + WARM_NS;
	rmnic_cpu_awake_paged(&w->awake, w->paged);
	return true;
}

static bool receive(struct rmnic_worker *w)
{
	bool work = false;

	for (int i = 0; i < RX_BURSTS && rmnic_udp_poll(w->udp); i++) {
		asked(w);
		work = true;
	}
	return work;
}

/* RMP-29: after RX was drained, so that an answer that is here is no silence. */
static bool timers(struct rmnic_worker *w)
{
	uint64_t now = rmnic_udp_round_now();
	bool work = false;

	for (uint32_t i = 0; i < w->ndevs; i++)
		work |= rmnic_vdev_timers(w->devs[i], now);
	return work;
}

static bool devices(struct rmnic_worker *w)
{
	bool work = false;

	for (uint32_t i = 0; i < w->ndevs; i++)
		work |= rmnic_vdev_poll(w->devs[i]);
	return work;
}

/* RULES H: neither answers nor page-ins are left lying while pages go out. */
void rmnic_worker_turn(struct rmnic_worker *w, const struct rmnic_vdev *vdev)
{
	rmnic_udp_poll(w->udp);
	if (w->ndevs > 1)
		page_ins(w, vdev);
}

static bool one_round(struct rmnic_worker *w)
{
	bool work;

	/* Others may have had this CPU since the last round. */
	rmnic_udp_clock(w->udp);
	work = asked(w);
	work |= receive(w);
	work |= timers(w);
	work |= rmnic_mailbox_run(w->mailbox);
	work |= devices(w);
	if (w->poller)
		work |= w->poller(w->poller_arg);
	rmnic_udp_flush(w->udp);
	return work;
}

/* USER-12. Devices before `upto` were told. */
static void wake(struct rmnic_worker *w, uint32_t upto)
{
	for (uint32_t i = 0; i < upto; i++)
		rmnic_vdev_wake(w->devs[i]);
}

/* Whether servers owe answers. */
static bool owed(const struct rmnic_worker *w)
{
	for (uint32_t i = 0; i < w->ndevs; i++)
		if (rmnic_vdev_owed(w->devs[i]))
			return true;
	return false;
}

/*
 * Whether caches are kept warm, as CPUs are kept awake: for the first of those seconds, in which most silences end. It
 * takes two hundredths of a CPU. Not while servers owe answers: those come by the same way.
 */
static bool warm(const struct rmnic_worker *w)
{
	return rmnic_cpu_awake_deadline(&w->awake) != UINT64_MAX && rmnic_udp_round_now() - w->paged < WARM_FOR_NS &&
	       !owed(w);
}

static uint64_t deadline(struct rmnic_worker *w)
{
	uint64_t first = rmnic_udp_deadline(w->udp), awake = rmnic_cpu_awake_deadline(&w->awake);

	if (awake < first)
		first = awake;
	if (warm(w) && w->warm_at < first)
		first = w->warm_at;
	for (uint32_t i = 0; i < w->ndevs; i++) {
		uint64_t d = rmnic_vdev_deadline(w->devs[i]);

		if (d < first)
			first = d;
	}
	return first;
}

/* A PING takes a page-in's whole way, through the kernel's code as through ours: one device's to one of its servers. */
static void keep_warm(struct rmnic_worker *w, uint64_t now)
{
	w->warm_at = now + WARM_NS;
	if (!w->ndevs)
		return;
	rmnic_vdev_touch(w->devs[w->warm_turn % w->ndevs], w->warm_turn / w->ndevs);
	w->warm_turn++;
	rmnic_udp_flush(w->udp);
}

/*
 * After a sleep that no eventfd ended: whether there was nothing to do but to keep warm. Then devices go on sleeping, and
 * no guest's doorbell is to be watched for anew, which costs an interrupt of every CPU. Not after a brief sleep, which is
 * for the sake of another look (RULES E1).
 */
static bool still_asleep(struct rmnic_worker *w)
{
	uint64_t now;

	rmnic_udp_clock(w->udp);
	if (!warm(w))
		return false;
	now = rmnic_udp_round_now();
	if (now >= w->warm_at)
		keep_warm(w, now);
	else if (!rmnic_udp_poll(w->udp))
		return false;
	return !owed(w) && deadline(w) > now;
}

static void go_to_sleep(struct rmnic_worker *w)
{
	bool brief = !w->slept, signalled;

	for (uint32_t i = 0; i < w->ndevs; i++)
		if (!rmnic_vdev_sleep(w->devs[i], brief)) {
			wake(w, i);
			return;
		}
	rmnic_cpu_awake_settle(&w->awake, rmnic_udp_round_now());
	/* RULES E1: a wake-up may be lost, so the first sleep after work is short. */
	do
		signalled = rmnic_wait_sleep(w->wait, deadline(w), brief);
	while (!brief && !signalled && still_asleep(w));
	wake(w, w->ndevs);
	w->slept = true;
}

static int loop(void *arg)
{
	struct rmnic_worker *w = arg;

	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
		w->rounds++;
		if (one_round(w)) {
			w->busy_rounds++;
			w->slept = false;
			rmnic_wait_busy(w->wait);
		} else if (rmnic_wait_idle_asked(w->wait, owed(w))) {
			go_to_sleep(w);
		}
	}
	return 0;
}

/* --- Starting and stopping ------------------------------------------------------------------- */

static int set_up(struct rmnic_worker *w, struct rmnic_error *err)
{
	const struct rmnic_worker_config *c = &w->config;
	const struct rmnic_udp_config udp = {
		.ports = c->ports,
		.nports = c->nports,
		.queue = (uint16_t)c->index,
		.queues = (uint16_t)c->workers,
		.max_sockets = c->max_devices,
	};
	int fds[RMNIC_UDP_MAX_FDS];
	char name[32];
	unsigned int n;

	snprintf(name, sizeof(name), "rmnic-worker-%u", c->index);
	w->mailbox = rmnic_mailbox_create(name, err);
	if (!w->mailbox)
		return -1;
	w->udp = rmnic_udp_create(&udp, err);
	if (!w->udp)
		return -1;
	n = rmnic_udp_fds(w->udp, fds);
	if (!n && c->poll != RMNIC_POLL_BUSY)
		rmnic_log_warn("a port cannot be waited for: lcore %u polls all the time", c->lcore);
	w->wait = rmnic_wait_create(n ? c->poll : RMNIC_POLL_BUSY, c->shared, err);
	if (!w->wait || rmnic_wait_add(w->wait, rmnic_mailbox_fd(w->mailbox), true, err))
		return -1;
	for (unsigned int i = 0; i < n; i++)
		if (rmnic_wait_add(w->wait, fds[i], false, err))
			return -1;
	return 0;
}

struct rmnic_worker *rmnic_worker_start(const struct rmnic_worker_config *config,
					struct rmnic_error *err)
{
	struct rmnic_worker *w = calloc(1, sizeof(*w));

	if (!w) {
		rmnic_error_set(err, "no memory for worker %u", config->index);
		return NULL;
	}
	w->config = *config;
	rmnic_cpu_awake_init(&w->awake, config->awake_s);
	if (set_up(w, err)) {
		rmnic_worker_stop(w);
		return NULL;
	}
	if (rte_eal_remote_launch(loop, w, config->lcore)) {
		rmnic_error_set(err, "lcore %u is busy", config->lcore);
		rmnic_worker_stop(w);
		return NULL;
	}
	w->running = true;
	return w;
}

static void stop_now(struct rmnic_msg *msg)
{
	struct rmnic_worker *w = msg->arg;

	atomic_store_explicit(&w->stop, true, memory_order_relaxed);
}

void rmnic_worker_stop(struct rmnic_worker *w)
{
	struct rmnic_msg msg = { .run = stop_now, .arg = w };

	if (!w)
		return;
	if (w->running) {
		rmnic_mailbox_post(w->mailbox, &msg);
		rte_eal_wait_lcore(w->config.lcore);
	}
	rmnic_cpu_awake_end(&w->awake);
	rmnic_wait_destroy(w->wait);
	rmnic_udp_destroy(w->udp);
	rmnic_mailbox_destroy(w->mailbox);
	free(w);
}

unsigned int rmnic_worker_index(const struct rmnic_worker *w)
{
	return w->config.index;
}

unsigned int rmnic_worker_lcore(const struct rmnic_worker *w)
{
	return w->config.lcore;
}

/* --- From other threads ---------------------------------------------------------------------- */

void rmnic_worker_post(struct rmnic_worker *w, struct rmnic_msg *msg)
{
	rmnic_mailbox_post(w->mailbox, msg);
}

struct call {
	struct rmnic_msg msg;
	void (*fn)(void *arg);
	void *arg;
	sem_t done;
};

static void run_call(struct rmnic_msg *msg)
{
	struct call *call = (struct call *)msg;

	call->fn(call->arg);
	sem_post(&call->done);
}

void rmnic_worker_call(struct rmnic_worker *w, void (*fn)(void *arg), void *arg)
{
	struct call call = { .msg = { .run = run_call }, .fn = fn, .arg = arg };

	sem_init(&call.done, 0, 0);
	rmnic_mailbox_post(w->mailbox, &call.msg);
	while (sem_wait(&call.done))
		; /* a signal came */
	sem_destroy(&call.done);
}

struct poller {
	struct rmnic_worker *worker;
	bool (*fn)(void *arg);
	void *arg;
};

static void set_poller(void *arg)
{
	struct poller *p = arg;

	p->worker->poller = p->fn;
	p->worker->poller_arg = p->arg;
}

void rmnic_worker_poller(struct rmnic_worker *w, bool (*fn)(void *arg), void *arg)
{
	struct poller p = { w, fn, arg };

	rmnic_worker_call(w, set_poller, &p);
}

struct stats {
	struct rmnic_worker *worker;
	struct rmnic_worker_stats *out;
};

static void get_stats(void *arg)
{
	struct stats *s = arg;
	struct rmnic_worker *w = s->worker;

	s->out->rounds = w->rounds;
	s->out->busy_rounds = w->busy_rounds;
	s->out->devices = w->ndevs;
	s->out->awake = w->awake.asking;
	rmnic_wait_stats(w->wait, &s->out->slept_ns, &s->out->sleeps);
	s->out->udp = *rmnic_udp_counters(w->udp);
}

void rmnic_worker_stats(struct rmnic_worker *w, struct rmnic_worker_stats *out)
{
	struct stats s = { w, out };

	rmnic_worker_call(w, get_stats, &s);
}

/* --- In the worker --------------------------------------------------------------------------- */

struct rmnic_udp *rmnic_worker_udp(struct rmnic_worker *w)
{
	return w->udp;
}

struct rmnic_wait *rmnic_worker_wait(struct rmnic_worker *w)
{
	return w->wait;
}

bool rmnic_worker_add(struct rmnic_worker *w, struct rmnic_vdev *vdev)
{
	if (w->ndevs == RMNIC_MAX_DEVICES)
		return false;
	w->devs[w->ndevs++] = vdev;
	return true;
}

void rmnic_worker_remove(struct rmnic_worker *w, struct rmnic_vdev *vdev)
{
	for (uint32_t i = 0; i < w->ndevs; i++)
		if (w->devs[i] == vdev) {
			w->devs[i] = w->devs[--w->ndevs];
			return;
		}
}
