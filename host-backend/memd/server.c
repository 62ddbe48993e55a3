/* SPDX-License-Identifier: BSD-3-Clause */
#include "memd/server.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/log.h"
#include "dpdk/device.h"
#include "dpdk/eal.h"
#include "memd/mailbox.h"
#include "rmnic/device.h"

#define RX_BURSTS 4   /* received in a row before page-outs are applied */
#define MAX_REFS  4096
#define LEASE_LOOK_NS UINT64_C(1000000000)
#define MAP_A_CALL 64 /* granules: 128 MiB */

/* --- What the engine is given -------------------------------------------------------------------- */

static uint64_t env_now(void *arg)
{
	(void)arg;
	return rmnic_udp_round_now();
}

static uint64_t env_random(void *arg)
{
	uint64_t value = 0;

	(void)arg;
	/* Eight bytes are never interrupted, and the pool is ready by the time servers start. */
	while (getrandom(&value, sizeof(value), 0) != sizeof(value))
		;
	return value;
}

/* Zeroed, and not touched where it is large: tables are as long as memory may ever become. */
static void *env_alloc(void *arg, size_t bytes)
{
	uint8_t *at = calloc(1, bytes + 128);
	uintptr_t aligned = ((uintptr_t)at + 127) & ~(uintptr_t)63;

	(void)arg;
	if (!at)
		return NULL;
	((void **)aligned)[-1] = at;
	return (void *)aligned;
}

static void env_free(void *arg, void *memory)
{
	(void)arg;
	if (memory)
		free(((void **)memory)[-1]);
}

static const struct rmnic_env_ops env_ops = {
	.now_ns = env_now,
	.random = env_random,
	.alloc = env_alloc,
	.free = env_free,
};

static void discard(void *arg, uint32_t granule, bool keep)
{
	struct memd_server *s = arg;

	memd_memory_discard(&s->memory, granule, keep);
}

/* --- What is logged ------------------------------------------------------------------------------- */

static const char *address_text(const struct rmnic_addr *a, char buf[INET6_ADDRSTRLEN])
{
	if (!inet_ntop(AF_INET, a->ip + 12, buf, INET6_ADDRSTRLEN))
		buf[0] = '\0';
	return buf;
}

static void greeted(void *arg, const struct rmnic_addr *from, const struct rmnic_rmp_hello *h,
		    uint16_t status)
{
	char who[INET6_ADDRSTRLEN], device[37];

	(void)arg;
	address_text(from, who);
	rmnic_uuid_format(h->device, device);
	switch (status) {
	case RMNIC_RMP_S_OK:
		rmnic_log_info("device %s: session from %s", device, who);
		break;
	case RMNIC_RMP_S_VERSION:
		rmnic_log_limited(RMNIC_LOG_WARN,
				  "%s refused: it speaks RMP versions %u to %u, this server %u to %u; "
				  "install one release on both machines",
				  who, h->version_min, h->version_max, RMNIC_RMP_VERSION,
				  RMNIC_RMP_VERSION);
		break;
	case RMNIC_RMP_S_DENIED:
		rmnic_log_limited(RMNIC_LOG_WARN,
				  "device %s refused to %s: its slabs here were made with another token "
				  "(token-file of rmnicd)", device, who);
		break;
	case RMNIC_RMP_S_NO_SPACE:
		rmnic_log_limited(RMNIC_LOG_WARN, "device %s of %s refused: too many devices (max-devices)",
				  device, who);
		break;
	case RMNIC_RMP_S_BUSY:
		rmnic_log_limited(RMNIC_LOG_WARN,
				  "device %s of %s has to wait: too many sessions (max-sessions)", device,
				  who);
		break;
	default:
		rmnic_log_limited(RMNIC_LOG_WARN, "%s refused: status %u", who, status);
	}
}

static void lease_over(void *arg, const uint8_t uuid[16])
{
	char device[37];

	(void)arg;
	rmnic_log_warn("device %s was not heard of for too long: its slabs are released (lease)",
		       rmnic_uuid_format(uuid, device));
}

static void damaged(void *arg, const uint8_t uuid[16], uint64_t rpn)
{
	char device[37];

	(void)arg;
	rmnic_log_limited(RMNIC_LOG_WARN,
			  "device %s: page %" PRIu64 " was damaged in this server's memory; it is not "
			  "given out, and another member's copy replaces it (is the memory ECC?)",
			  rmnic_uuid_format(uuid, device), rpn);
}

/* --- The loop ------------------------------------------------------------------------------------- */

static void received(void *arg, const struct rmnic_rx *rx)
{
	struct memd_server *s = arg;

	rmnic_rmp_server_rx(s->rmp, rx);
}

/* RMP-27: page-ins are answered as they are received, page-outs wait for that, four at a time. */
static bool one_round(struct memd_server *s)
{
	bool work = false;

	for (int i = 0; i < RX_BURSTS && rmnic_udp_poll(s->udp); i++)
		work = true;
	work |= rmnic_rmp_server_poll(s->rmp);
	work |= memd_mailbox_run(s->mailbox);
	rmnic_udp_flush(s->udp);
	return work;
}

static uint64_t deadline(const struct memd_server *s)
{
	uint64_t due = rmnic_udp_deadline(s->udp), scrub = rmnic_rmp_server_deadline(s->rmp);
	uint64_t look = s->config->lease ? rmnic_udp_now() + LEASE_LOOK_NS : UINT64_MAX;
	uint64_t awake = rmnic_cpu_awake_deadline(&s->awake);

	due = scrub < due ? scrub : due;
	due = awake < due ? awake : due;
	return look < due ? look : due;
}

static void settle_cpus(struct memd_server *s)
{
	uint64_t now = rmnic_udp_round_now(), reads = rmnic_rmp_server_counters(s->rmp)->reads;

	if (reads != s->reads)
		rmnic_cpu_awake_paged(&s->awake, now);
	s->reads = reads;
	rmnic_cpu_awake_settle(&s->awake, now);
}

static int loop(void *arg)
{
	struct memd_server *s = arg;

	rmnic_sched_batch_begin(&s->batch, RMNIC_SCHED_BATCH_FILE);
	while (!s->stop) {
		s->rounds++;
		if (one_round(s)) {
			s->busy_rounds++;
			rmnic_wait_busy(s->wait);
		} else if (rmnic_wait_idle(s->wait)) {
			settle_cpus(s);
			/* What wakes it stays readable until it was looked at: nothing is missed. */
			rmnic_wait_sleep(s->wait, deadline(s), false);
			rmnic_sched_batch_slept(&s->batch, rmnic_udp_round_now());
		}
	}
	rmnic_sched_batch_end(&s->batch);
	return 0;
}

/* --- Setting up ------------------------------------------------------------------------------------ */

static int open_store(struct memd_server *s, struct rmnic_error *err)
{
	const struct memd_config *c = s->config;
	uint64_t pages = c->memory / RMNIC_PAGE_SIZE + MEMD_SLACK;
	uint64_t most = c->memory_max ? c->memory_max : memd_memory_of_machine();
	struct rmnic_memstore_config store = {
		.env = { &env_ops, s },
		.slack = MEMD_SLACK,
		.lent = (uint32_t)pages,
		.slab_pages = (uint32_t)(c->slab_size / RMNIC_PAGE_SIZE),
		.max_devices = (uint32_t)c->max_devices,
		.max_refs = MAX_REFS,
		.quota = (uint32_t)(c->quota / RMNIC_PAGE_SIZE),
		.discard = discard,
		.damaged = damaged,
		.arg = s,
	};
	uint64_t slabs;

	if (most < c->memory)
		most = c->memory;
	if (memd_memory_open(&s->memory, most + MEMD_SLACK * RMNIC_PAGE_SIZE,
			     pages * RMNIC_PAGE_SIZE, !c->no_huge, err))
		return -1;
	store.pages = s->memory.base;
	store.npages = (uint32_t)(s->memory.size / RMNIC_PAGE_SIZE);
	/* Devices may have smaller slabs than the largest; a place without a slab costs nothing. */
	slabs = store.npages / store.slab_pages + 4096;
	store.max_slabs = slabs < (1u << 20) - 1 ? (uint32_t)slabs : (1u << 20) - 1;
	s->store = rmnic_memstore_create(&store);
	if (!s->store)
		return rmnic_error_set(err, "no memory for the tables of %" PRIu64 " MiB (a smaller "
				       "--memory-max?)", most >> 20);
	return 0;
}

static int open_rmp(struct memd_server *s, struct rmnic_error *err)
{
	const struct memd_config *c = s->config;
	struct rmnic_rmp_server_config rmp = {
		.env = { &env_ops, s },
		.net = rmnic_udp_net(s->socket),
		.store = s->store,
		.max_sessions = (uint32_t)c->max_sessions,
		.max_queue = MEMD_SLACK / 4,
		.scrub_rate = (uint32_t)c->scrub_rate,
		.lease_ns = c->lease * UINT64_C(1000000000),
		.greeted = greeted,
		.lease_over = lease_over,
		.arg = s,
	};

	memcpy(rmp.uuid, s->uuid, 16);
	s->rmp = rmnic_rmp_server_create(&rmp);
	return s->rmp ? 0 : rmnic_error_set(err, "no memory for %" PRIu64 " sessions",
					    c->max_sessions);
}

/* A NIC reads pages where they lie; then they lie there for good (RULES F6). */
static int register_memory(struct memd_server *s, struct rmnic_error *err)
{
	struct rmnic_port_info info;

	for (uint16_t i = 0; i < s->nports; i++) {
		rmnic_port_info(s->ports[i], &info);
		s->memory.pinned |= !strcmp(info.driver, rmnic_driver_names[RMNIC_DRIVER_PCI]);
	}
	if (!s->memory.pinned)
		return 0;
	return rmnic_udp_register(s->udp, s->memory.base,
				  (uint64_t)rmnic_frames_total(s->store->frames) * RMNIC_PAGE_SIZE,
				  err);
}

static int open_network(struct memd_server *s, struct rmnic_error *err)
{
	const struct memd_config *c = s->config;
	const struct rmnic_udp_config udp = {
		.ports = s->ports, .nports = s->nports, .queue = 0, .queues = 1, .max_sockets = 1,
	};
	const uint16_t port[RMNIC_LANES] = {
		[RMNIC_LANE_IN] = (uint16_t)c->udp_port,
		[RMNIC_LANE_OUT] = (uint16_t)(c->udp_port + 1),
	};

	s->udp = rmnic_udp_create(&udp, err);
	if (!s->udp)
		return -1;
	s->socket = rmnic_udp_open(s->udp, port, received, s);
	if (!s->socket)
		return rmnic_error_set(err, "UDP ports %u and %u are taken", port[0], port[1]);
	return 0;
}

static int open_wait(struct memd_server *s, bool shared, struct rmnic_error *err)
{
	int fds[RMNIC_UDP_MAX_FDS];
	unsigned int n = rmnic_udp_fds(s->udp, fds);
	enum rmnic_poll_mode mode = (enum rmnic_poll_mode)s->config->poll;

	if (!n && mode != RMNIC_POLL_BUSY) {
		rmnic_log_warn("a port cannot be waited for: the server polls all the time");
		mode = RMNIC_POLL_BUSY;
	}
	s->mailbox = memd_mailbox_create(err);
	s->wait = s->mailbox ? rmnic_wait_create(mode, shared, err) : NULL;
	if (!s->wait || rmnic_wait_add(s->wait, memd_mailbox_fd(s->mailbox), true, err))
		return -1;
	for (unsigned int i = 0; i < n; i++)
		if (rmnic_wait_add(s->wait, fds[i], false, err))
			return -1;
	return 0;
}

int memd_server_start(struct memd_server *s, struct rmnic_error *err)
{
	unsigned int lcore = rte_get_next_lcore(-1u, 1, 0);

	s->started = rmnic_udp_now();
	rmnic_cpu_awake_init(&s->awake, s->config->awake_s);
	if (open_network(s, err) || open_store(s, err) || register_memory(s, err) ||
	    open_rmp(s, err) || open_wait(s, !rmnic_eal_owns_cpus(), err))
		return -1;
	if (rte_eal_remote_launch(loop, s, lcore))
		return rmnic_error_set(err, "lcore %u is busy", lcore);
	s->running = true;
	return 0;
}

static void stop(struct memd_server *s, void *arg)
{
	(void)arg;
	s->stop = true;
}

void memd_server_stop(struct memd_server *s)
{
	if (s->running) {
		memd_server_call(s, stop, NULL);
		rte_eal_wait_lcore(rte_get_next_lcore(-1u, 1, 0));
	}
	rmnic_cpu_awake_end(&s->awake);
	/* Nothing refers to a page any more when the socket is closed. */
	if (s->socket)
		rmnic_udp_close(s->socket);
	rmnic_rmp_server_destroy(s->rmp);
	rmnic_memstore_destroy(s->store);
	rmnic_udp_destroy(s->udp);
	rmnic_wait_destroy(s->wait);
	memd_mailbox_destroy(s->mailbox);
	memd_memory_close(&s->memory);
}

/* --- From other threads ----------------------------------------------------------------------------- */

struct forward {
	struct memd_server *server;
	void (*fn)(struct memd_server *s, void *arg);
	void *arg;
};

static void run_forward(void *arg)
{
	struct forward *f = arg;

	f->fn(f->server, f->arg);
}

void memd_server_call(struct memd_server *s, void (*fn)(struct memd_server *s, void *arg), void *arg)
{
	struct forward f = { s, fn, arg };

	memd_mailbox_call(s->mailbox, run_forward, &f);
}

static void drain_on(struct memd_server *s, void *arg)
{
	s->store->draining = *(bool *)arg;
}

void memd_server_drain(struct memd_server *s, bool on)
{
	memd_server_call(s, drain_on, &on);
}

static void drain_ask(struct memd_server *s, void *arg)
{
	*(bool *)arg = s->store->draining;
}

bool memd_server_draining(struct memd_server *s)
{
	bool on = false;

	memd_server_call(s, drain_ask, &on);
	return on;
}

static void scrub_set(struct memd_server *s, void *arg)
{
	rmnic_rmp_server_scrub(s->rmp, *(uint32_t *)arg);
}

void memd_server_scrub(struct memd_server *s, uint32_t rate)
{
	memd_server_call(s, scrub_set, &rate);
}

uint64_t memd_server_lent(const struct memd_server *s)
{
	return s->store->lent - MEMD_SLACK;
}

struct lend {
	uint64_t pages; /* with those on their way */
	uint64_t promised;
	bool more;      /* call again */
	bool refused;   /* less than is promised */
	bool short_of;  /* the system has no more */
};

/* A bounded piece of the way. */
static void lend_some(struct memd_server *s, void *arg)
{
	struct lend *l = arg;
	struct rmnic_frames *fs = s->store->frames;

	l->more = false;
	l->promised = s->store->reserved;
	l->refused = l->pages < l->promised + MEMD_SLACK;
	if (l->refused)
		return;
	for (int i = 0; rmnic_frames_total(fs) < l->pages && !l->short_of; i++) {
		uint32_t g = rmnic_frames_out(fs);

		if (i == MAP_A_CALL) {
			l->more = true;
			return;
		}
		l->short_of = g == RMNIC_FRAME_NONE || !memd_memory_map(&s->memory, g, 1);
		if (!l->short_of)
			rmnic_frames_add(fs, g);
	}
	rmnic_mem_lend(s->store, l->pages);
}

int memd_server_lend(struct memd_server *s, uint64_t bytes, struct rmnic_error *err)
{
	struct lend l = { .pages = bytes / RMNIC_PAGE_SIZE + MEMD_SLACK };
	char text[32], have[32];

	if (l.pages > s->memory.size / RMNIC_PAGE_SIZE)
		return rmnic_error_set(err, "%s is more than this server was started for: %s (memory-max)",
				       rmnic_size_format(bytes, text, sizeof(text)),
				       rmnic_size_format(s->memory.size - MEMD_SLACK * RMNIC_PAGE_SIZE,
							 have, sizeof(have)));
	do
		memd_server_call(s, lend_some, &l);
	while (l.more);
	if (l.refused)
		return rmnic_error_set(err, "%s is less than the %s promised to devices",
				       rmnic_size_format(bytes, text, sizeof(text)),
				       rmnic_size_format(l.promised * RMNIC_PAGE_SIZE, have,
							 sizeof(have)));
	if (l.short_of)
		return rmnic_error_set(err, "the system has no more %s: %s are lent now",
				       memd_memory_kind(&s->memory),
				       rmnic_size_format(memd_server_lent(s) * RMNIC_PAGE_SIZE, have,
							 sizeof(have)));
	return 0;
}
