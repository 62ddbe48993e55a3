/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer.c - one end of a network under test: datagrams over dpdk/, echoed or asked for.
 *
 *   peer echo --port DEVICE,...                 answers each datagram with its own bytes
 *   peer ping --port DEVICE,... --to ADDRESS    asks, one at a time, and compares
 *
 * Each lcore has a socket of its own, at --udp-port + 2 * lcore. Until SIGTERM, or until ping is
 * done. Prints "ready" when it runs, and at the end one JSON object with what was counted. Exit:
 * 0, 1 an answer was missing or wrong, 2 it could not start.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/conf_net.h"
#include "common/log.h"
#include "dpdk/eal.h"
#include "dpdk/port.h"
#include "dpdk/udp.h"
#include "dpdk/wait.h"

#define MAX_LCORES 8
#define MAX_SIZE   9000
#define HEAD       16

struct worker {
	unsigned int number;
	struct rmnic_udp *udp;
	struct rmnic_wait *wait;
	struct rmnic_udp_socket *socket;
	struct rmnic_net net;
	char *page;             /* what answers and questions are sent from */
	uint64_t held, released; /* pages given to send, and got back */
	uint64_t got, wrong, sent, marked;
	uint64_t sequence, asked_at, first_at;
	uint64_t slowest, done_at;
	bool waiting;
};

static struct {
	bool ping;
	struct rmnic_addr to;
	uint64_t count, size, join, gap_ns, retry_ns, timeout_ns;
	uint32_t parts;
	unsigned int lcores;
	uint16_t udp_port, to_port;
	int poll;
	bool huge;
	uint32_t memory;
	const char *cpus;
} opt = { .count = 1000, .size = 1000, .retry_ns = 20000000, .timeout_ns = 20000000000ull,
	  .lcores = 1, .udp_port = 7700, .to_port = 7700, .memory = 64 };

static struct rmnic_port *ports[RMNIC_UDP_MAX_PORTS];
static uint16_t nports;
static struct worker workers[MAX_LCORES];
static _Atomic bool stop;
static int stop_fd; /* wakes all lcores, and stays readable */

static void stop_now(int signal)
{
	uint64_t one = 1;

	(void)signal;
	atomic_store(&stop, true);
	(void)!write(stop_fd, &one, sizeof(one));
}

static void page_back(void *arg)
{
	struct worker *w = arg;

	w->released++;
}

static void content_fill(char *out, uint64_t size, uint64_t sequence)
{
	for (uint64_t i = 0; i < size; i++)
		out[i] = (char)(sequence * 31 + i * 7 + (i >> 8));
}

static void send_bytes(struct worker *w, enum rmnic_lane lane, const struct rmnic_addr *to,
		       const char *bytes, uint32_t size)
{
	uint32_t head = size < HEAD ? size : HEAD;
	struct rmnic_tx tx = { .head = bytes, .head_len = head };

	if (size > head) {
		tx.data = bytes + head;
		tx.data_len = size - head;
		tx.release = page_back;
		tx.release_arg = w;
	}
	if (w->net.ops->send(w->net.arg, lane, to, &tx)) {
		w->sent++;
		w->held += tx.data != NULL;
	}
}

/* The same bytes as several messages that may share a datagram as long as all of them. */
static void send_parts(struct worker *w, const struct rmnic_addr *to)
{
	uint32_t part = (uint32_t)(opt.size / opt.parts);

	for (uint32_t i = 0; i < opt.parts; i++) {
		struct rmnic_tx tx = { .head = w->page + i * part, .head_len = part, .join = (uint32_t)opt.join };

		w->sent += w->net.ops->send(w->net.arg, RMNIC_LANE_IN, to, &tx);
	}
}

static void echo_rx(void *arg, const struct rmnic_rx *rx)
{
	struct worker *w = arg;

	w->got++;
	w->marked += rx->congestion;
	/* The page must not change while it is referenced: flush before the next one uses it. */
	if (w->held != w->released)
		rmnic_udp_flush(w->udp);
	if (rx->len > MAX_SIZE || w->held != w->released)
		return;
	memcpy(w->page, rx->data, rx->len);
	send_bytes(w, rx->lane, &rx->from, w->page, rx->len);
}

static void ping_rx(void *arg, const struct rmnic_rx *rx)
{
	struct worker *w = arg;
	uint64_t now = rmnic_udp_now();

	if (!w->waiting || rx->len != opt.size || memcmp(rx->data, w->page, opt.size)) {
		/* A late answer to a question that was asked twice is none. */
		w->wrong += rx->len != opt.size;
		return;
	}
	w->got++;
	if (now - w->asked_at > w->slowest)
		w->slowest = now - w->asked_at;
	w->waiting = false;
	w->done_at = now;
}

/* False: done. */
static bool ping_step(struct worker *w, uint64_t now)
{
	struct rmnic_addr to = opt.to;

	if (w->got == opt.count || (w->waiting && now > w->first_at + opt.timeout_ns))
		return false;
	if (w->waiting ? now < w->asked_at + opt.retry_ns : now < w->done_at + opt.gap_ns)
		return true;
	if (w->held != w->released)
		return true;
	if (!w->waiting) {
		content_fill(w->page, opt.size, ++w->sequence);
		w->first_at = now;
	}
	w->waiting = true;
	w->asked_at = now;
	to.port = (uint16_t)(opt.to_port + 2 * w->number);
	if (opt.parts > 1)
		send_parts(w, &to);
	else
		send_bytes(w, RMNIC_LANE_IN, &to, w->page, (uint32_t)opt.size);
	return true;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int worker_run(void *arg)
{
	struct worker *w = arg;
	uint64_t deadline;

	while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
		unsigned int n = rmnic_udp_poll(w->udp);
		uint64_t now = rmnic_udp_now();

		if (opt.ping && !ping_step(w, now))
			break;
		rmnic_udp_flush(w->udp);
		if (n > 0) {
			rmnic_wait_busy(w->wait);
			continue;
		}
		if (!rmnic_wait_idle(w->wait))
			continue;
		deadline = rmnic_udp_deadline(w->udp);
		if (opt.ping)
			deadline = earlier(deadline, w->waiting ? w->asked_at + opt.retry_ns
								: w->done_at + opt.gap_ns);
		rmnic_wait_sleep(w->wait, deadline, false);
	}
	rmnic_udp_close(w->socket);
	return 0;
}

static int port_add(const char *text, struct rmnic_error *err)
{
	struct rmnic_conf_port conf;
	struct rmnic_port_config config = { 0 };

	if (nports == RMNIC_UDP_MAX_PORTS)
		return rmnic_error_set(err, "too many ports");
	if (rmnic_conf_item_parse(&rmnic_conf_port_table, text, &conf, err))
		return -1;
	config.device = conf.device;
	config.address = conf.address;
	config.gateway = conf.gateway;
	config.mtu = (uint16_t)conf.mtu;
	config.queues = (uint16_t)opt.lcores;
	config.udp_first = opt.udp_port;
	config.udp_last = (uint16_t)(opt.udp_port + 2 * opt.lcores - 1);
	ports[nports] = rmnic_port_open(&config, err);
	rmnic_conf_free(&rmnic_conf_port_table, &conf);
	if (!ports[nports])
		return -1;
	nports++;
	return 0;
}

static int worker_start(struct worker *w, struct rmnic_error *err)
{
	struct rmnic_udp_config config = { .ports = ports, .nports = nports,
					   .queue = (uint16_t)w->number,
					   .queues = (uint16_t)opt.lcores, .max_sockets = 4 };
	uint16_t udp_ports[RMNIC_LANES] = { (uint16_t)(opt.udp_port + 2 * w->number),
					    (uint16_t)(opt.udp_port + 2 * w->number + 1) };
	int fds[RMNIC_UDP_MAX_FDS];
	unsigned int nfds;

	w->page = mmap(NULL, MAX_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->udp = rmnic_udp_create(&config, err);
	w->wait = w->udp ? rmnic_wait_create((enum rmnic_poll_mode)opt.poll,
					     !rmnic_eal_owns_cpus(), err)
			 : NULL;
	if (!w->wait)
		return -1;
	nfds = rmnic_udp_fds(w->udp, fds);
	if (nfds == 0)
		return rmnic_error_set(err, "there are no descriptors to sleep on");
	for (unsigned int i = 0; i < nfds; i++) {
		if (rmnic_wait_add(w->wait, fds[i], false, err))
			return -1;
	}
	if (rmnic_wait_add(w->wait, stop_fd, false, err))
		return -1;
	w->socket = rmnic_udp_open(w->udp, udp_ports, opt.ping ? ping_rx : echo_rx, w);
	if (!w->socket)
		return rmnic_error_set(err, "UDP port %u is taken", udp_ports[0]);
	w->net = rmnic_udp_net(w->socket);
	return 0;
}

static uint64_t cpu_us(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000u +
	       (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int report(uint64_t ran_ns, uint64_t cpu)
{
	struct rmnic_udp_counters c = { 0 };
	struct worker sum = { 0 };
	struct rmnic_port_info info;

	for (unsigned int i = 0; i < opt.lcores; i++) {
		const struct worker *w = &workers[i];
		const uint64_t *from = (const uint64_t *)rmnic_udp_counters(w->udp);

		for (size_t j = 0; j < sizeof(c) / sizeof(uint64_t); j++)
			((uint64_t *)&c)[j] += from[j];
		sum.got += w->got;
		sum.wrong += w->wrong;
		sum.held += w->held;
		sum.released += w->released;
		sum.marked += w->marked;
		sum.slowest = w->slowest > sum.slowest ? w->slowest : sum.slowest;
	}
	rmnic_port_info(ports[0], &info);
	printf("{\"got\": %" PRIu64 ", \"wrong\": %" PRIu64 ", \"marked\": %" PRIu64
	       ", \"held\": %" PRIu64 ", \"released\": %" PRIu64 ", \"slowest_us\": %" PRIu64
	       ", \"rx\": %" PRIu64 ", \"tx\": %" PRIu64 ", \"tx_joined\": %" PRIu64 ", \"tx_in_place\": %" PRIu64
	       ", \"tx_full\": %" PRIu64
	       ", \"tx_long\": %" PRIu64 ", \"link_down\": %" PRIu64 ", \"no_mbuf\": %" PRIu64
	       ", \"no_neighbour\": %" PRIu64 ", \"rx_bad\": %" PRIu64 ", \"handed_over\": %" PRIu64
	       ", \"mtu\": %u, \"kernel\": %s, \"link_up\": %s, \"multi_segs\": %s"
	       ", \"ran_us\": %" PRIu64 ", \"cpu_us\": %" PRIu64 "}\n",
	       sum.got, sum.wrong, sum.marked, sum.held, sum.released, sum.slowest / 1000, c.rx, c.tx,
	       c.tx_joined, c.tx_in_place, c.tx_full, c.tx_long, c.link_down, c.no_mbuf, c.no_neighbour, c.rx_bad,
	       c.handed_over, info.mtu, info.kernel ? "true" : "false",
	       info.link_up ? "true" : "false", info.multi_segs ? "true" : "false", ran_ns / 1000,
	       cpu);
	return sum.wrong || sum.held != sum.released ||
	       (opt.ping && sum.got != opt.count * opt.lcores);
}

enum { PORT = 1, TO, COUNT, SIZE, GAP, LCORES, UDP_PORT, TO_PORT, POLL, HUGE, MEMORY, CPUS, TIMEOUT,
       RETRY, DEBUG, PARTS, JOIN };

static int options(int argc, char **argv, const char **port_texts)
{
	static const struct option known[] = {
		{ "port", 1, NULL, PORT }, { "to", 1, NULL, TO }, { "count", 1, NULL, COUNT },
		{ "size", 1, NULL, SIZE }, { "gap-us", 1, NULL, GAP }, { "lcores", 1, NULL, LCORES },
		{ "udp-port", 1, NULL, UDP_PORT }, { "to-port", 1, NULL, TO_PORT },
		{ "poll", 1, NULL, POLL }, { "huge", 0, NULL, HUGE },
		{ "memory-mib", 1, NULL, MEMORY }, { "cpus", 1, NULL, CPUS },
		{ "timeout-s", 1, NULL, TIMEOUT }, { "retry-ms", 1, NULL, RETRY },
		{ "debug", 0, NULL, DEBUG }, { "parts", 1, NULL, PARTS }, { "join", 1, NULL, JOIN }, { 0 },
	};
	static const char *const modes[] = { "adaptive", "busy", "block" };
	int c, n = 0;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (c) {
		case PORT: port_texts[n++ % RMNIC_UDP_MAX_PORTS] = optarg; break;
		case TO:
			opt.to.ip[10] = opt.to.ip[11] = 0xff;
			if (inet_pton(AF_INET, optarg, opt.to.ip + 12) != 1)
				return -1;
			break;
		case COUNT: opt.count = strtoull(optarg, NULL, 10); break;
		case SIZE: opt.size = strtoull(optarg, NULL, 10); break;
		case PARTS: opt.parts = (uint32_t)atoi(optarg); break;
		case JOIN: opt.join = strtoull(optarg, NULL, 10); break;
		case GAP: opt.gap_ns = strtoull(optarg, NULL, 10) * 1000; break;
		case LCORES: opt.lcores = (unsigned int)atoi(optarg); break;
		case UDP_PORT: opt.udp_port = (uint16_t)atoi(optarg); break;
		case TO_PORT: opt.to_port = (uint16_t)atoi(optarg); break;
		case HUGE: opt.huge = true; break;
		case MEMORY: opt.memory = (uint32_t)atoi(optarg); break;
		case CPUS: opt.cpus = optarg; break;
		case TIMEOUT: opt.timeout_ns = strtoull(optarg, NULL, 10) * 1000000000u; break;
		case RETRY: opt.retry_ns = strtoull(optarg, NULL, 10) * 1000000u; break;
		case DEBUG: rmnic_log_level_set(RMNIC_LOG_DEBUG); break;
		case POLL:
			for (int i = 0; i < 3; i++)
				opt.poll = strcmp(optarg, modes[i]) ? opt.poll : i;
			break;
		default: return -1;
		}
	}
	if (optind != argc - 1 || n == 0 || opt.lcores < 1 || opt.lcores > MAX_LCORES ||
	    opt.size > MAX_SIZE)
		return -1;
	opt.ping = !strcmp(argv[optind], "ping");
	return opt.ping || !strcmp(argv[optind], "echo") ? n : -1;
}

int main(int argc, char **argv)
{
	const char *port_texts[RMNIC_UDP_MAX_PORTS];
	struct rmnic_eal_config eal = { .program = "peer" };
	struct rmnic_error err;
	uint64_t start, cpu;
	int n, ret = 2;

	rmnic_log_open("peer");
	n = options(argc, argv, port_texts);
	if (n < 0) {
		fprintf(stderr, "peer: wrong arguments; see the head of tests/net/peer.c\n");
		return 2;
	}
	eal.workers = (uint16_t)opt.lcores;
	eal.memory_mib = opt.memory;
	eal.hugepages = opt.huge;
	eal.cpus = opt.cpus;
	if (rmnic_eal_start(&eal, &err)) {
		rmnic_log_error("%s", err.text);
		return 2;
	}
	stop_fd = eventfd(0, EFD_CLOEXEC);
	signal(SIGTERM, stop_now);
	signal(SIGINT, stop_now);
	for (int i = 0; i < n; i++) {
		if (port_add(port_texts[i], &err))
			goto out;
	}
	for (unsigned int i = 0; i < opt.lcores; i++) {
		workers[i].number = i;
		if (worker_start(&workers[i], &err))
			goto out;
	}
	printf("ready\n");
	fflush(stdout);
	start = rmnic_udp_now();
	cpu = cpu_us();
	for (unsigned int i = 0; i < opt.lcores; i++)
		rmnic_eal_launch(i + 1, worker_run, &workers[i], NULL);
	for (unsigned int i = 0; i < opt.lcores; i++)
		rmnic_eal_join(i + 1);
	ret = report(rmnic_udp_now() - start, cpu_us() - cpu);
out:
	if (ret == 2)
		rmnic_log_error("%s", err.text);
	for (unsigned int i = 0; i < opt.lcores; i++) {
		rmnic_udp_destroy(workers[i].udp);
		rmnic_wait_destroy(workers[i].wait);
	}
	for (uint16_t i = 0; i < nports; i++)
		rmnic_port_close(ports[i]);
	rmnic_eal_stop();
	return ret;
}
