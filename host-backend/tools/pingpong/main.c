/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rmnic-pingpong - what a question and its answer cost on a port, with nothing around them.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/conf_net.h"
#include "common/log.h"
#include "dpdk/eal.h"
#include "dpdk/pingpong.h"
#include "tools/pingpong/options.h"

#define LCORE 1

struct run {
	bool is_server;
	struct pingpong_options o;
	struct rmnic_port *port;
	struct rmnic_udp *udp;
	struct rmnic_wait *wait;
	char *store;
	uint64_t store_len;
	struct rmnic_pingpong_server server;
	struct rmnic_pingpong_client client;
	struct rmnic_error err;
};

static _Atomic bool stop;
static int stop_fd;

static void on_signal(int number)
{
	uint64_t one = 1;

	(void)number;
	atomic_store(&stop, true);
	(void)!write(stop_fd, &one, sizeof(one));
}

static int port_open(struct run *r)
{
	const struct rmnic_conf_port *conf = r->o.ports.items;
	struct rmnic_port_config config = {
		.device = conf->device,
		.address = conf->address,
		.gateway = conf->gateway,
		.queues = 1,
		.mtu = (uint16_t)conf->mtu,
		.udp_first = (uint16_t)r->o.udp_port,
		.udp_last = (uint16_t)r->o.udp_port,
	};
	struct rmnic_udp_config udp = { .ports = &r->port, .nports = 1, .queues = 1,
					.max_sockets = 1 };

	r->port = rmnic_port_open(&config, &r->err);
	r->udp = r->port ? rmnic_udp_create(&udp, &r->err) : NULL;
	return r->udp ? 0 : -1;
}

static int wait_create(struct run *r)
{
	int fds[RMNIC_UDP_MAX_FDS];
	unsigned int n = rmnic_udp_fds(r->udp, fds);
	/* A port that cannot be slept on is polled. */
	enum rmnic_poll_mode mode = n ? (enum rmnic_poll_mode)r->o.poll : RMNIC_POLL_BUSY;

	if (n == 0 && r->o.poll != RMNIC_POLL_BUSY)
		rmnic_log_info("this port has nothing to sleep on: polling it all the time");
	r->wait = rmnic_wait_create(mode, !rmnic_eal_owns_cpus(), &r->err);
	if (!r->wait || rmnic_wait_add(r->wait, stop_fd, false, &r->err))
		return -1;
	for (unsigned int i = 0; i < n; i++) {
		if (rmnic_wait_add(r->wait, fds[i], false, &r->err))
			return -1;
	}
	return 0;
}

/* Each page different, and written, so that each is memory of its own. */
static int store_create(struct run *r)
{
	uint64_t *word;

	r->store_len = r->o.store_mib << 20;
	r->store = mmap(NULL, r->store_len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r->store == MAP_FAILED) {
		r->store = NULL;
		return rmnic_error_set(&r->err, "a store of %" PRIu64 " MiB: %s", r->o.store_mib,
				       strerror(errno));
	}
	for (word = (uint64_t *)r->store; (char *)word < r->store + r->store_len; word++)
		*word = (uint64_t)(uintptr_t)word * 0x9e3779b97f4a7c15ull;
	return rmnic_udp_register(r->udp, r->store, r->store_len, &r->err);
}

static int serve(void *arg)
{
	struct run *r = arg;

	rmnic_pingpong_serve(&r->server);
	return 0;
}

static int ask(void *arg)
{
	struct run *r = arg;

	return rmnic_pingpong_ask(&r->client, &r->err);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static double at(const struct rmnic_pingpong_client *c, double part)
{
	uint64_t i = (uint64_t)((double)c->done * part);

	return (double)c->samples[i < c->done ? i : c->done - 1] / 1000;
}

static void client_print(struct run *r)
{
	const struct rmnic_pingpong_client *c = &r->client;
	double rate = c->ns ? (double)c->done * 1e9 / (double)c->ns : 0;

	qsort(c->samples, c->done, sizeof(c->samples[0]), compare);
	if (r->o.json)
		printf("{\"request\": %u, \"reply\": %u, \"depth\": %u, \"exchanges\": %" PRIu64
		       ", \"lost\": %" PRIu64 ", \"rate\": %.0f, \"p50_us\": %.2f, \"p90_us\": %.2f, "
		       "\"p99_us\": %.2f, \"p999_us\": %.2f, \"max_us\": %.2f}\n",
		       c->request, c->reply, c->depth, c->done, c->lost, rate, at(c, 0.5),
		       at(c, 0.9), at(c, 0.99), at(c, 0.999), at(c, 1));
	else
		printf("%u bytes -> %u bytes, %u at a time: %" PRIu64 " exchanges, %" PRIu64
		       " lost, %.0f a second\np50 %.2f us, p90 %.2f, p99 %.2f, p99.9 %.2f, max %.2f\n",
		       c->request, c->reply, c->depth, c->done, c->lost, rate, at(c, 0.5),
		       at(c, 0.9), at(c, 0.99), at(c, 0.999), at(c, 1));
}

static int server_run(struct run *r)
{
	if (store_create(r))
		return -1;
	r->server = (struct rmnic_pingpong_server){ .udp = r->udp, .wait = r->wait,
						    .port = (uint16_t)r->o.udp_port,
						    .store = r->store, .store_len = r->store_len,
						    .stop = &stop };
	rmnic_log_info("answering on UDP port %u", r->server.port);
	sd_notify(0, "READY=1");
	if (rmnic_eal_launch(LCORE, serve, r, &r->err))
		return -1;
	rmnic_eal_join(LCORE);
	if (r->o.json)
		printf("{\"served\": %" PRIu64 "}\n", r->server.served);
	else
		printf("%" PRIu64 " questions answered\n", r->server.served);
	return 0;
}

static int client_run(struct run *r)
{
	struct rmnic_pingpong_client *c = &r->client;
	int ret;

	*c = (struct rmnic_pingpong_client){
		.udp = r->udp, .wait = r->wait, .port = (uint16_t)r->o.udp_port,
		.server = r->o.to.ip,
		.server_port = r->o.to.port ? r->o.to.port : RMNIC_PINGPONG_PORT,
		.request = (uint32_t)r->o.request, .reply = (uint32_t)r->o.reply,
		.depth = (uint32_t)r->o.depth, .warmup = r->o.warmup, .count = r->o.count,
		.samples = calloc(r->o.count, sizeof(uint32_t)), .stop = &stop,
	};
	if (!c->samples)
		return rmnic_error_set(&r->err, "no memory for %" PRIu64 " latencies", r->o.count);
	ret = rmnic_eal_launch(LCORE, ask, r, &r->err);
	if (ret == 0)
		ret = rmnic_eal_join(LCORE);
	if (ret == 0 && c->done == 0)
		ret = rmnic_error_set(&r->err, "stopped before the first answer");
	if (ret == 0)
		client_print(r);
	free(c->samples);
	return ret;
}

static int run_all(struct run *r)
{
	struct rmnic_eal_config eal = {
		.program = "rmnic-pingpong",
		.workers = 1,
		.cpus = r->o.cpus,
		.memory_mib = (uint32_t)r->o.memory_mib,
		.hugepages = !r->o.no_huge,
	};

	if (!r->is_server && !r->o.to.ip)
		return rmnic_error_set(&r->err, "to whom? --to ADDRESS[:PORT]");
	if (rmnic_eal_start(&eal, &r->err) || port_open(r) || wait_create(r))
		return -1;
	return r->is_server ? server_run(r) : client_run(r);
}

static int usage(const char *mode)
{
	if (mode && (!strcmp(mode, "--help") || !strcmp(mode, "-h"))) {
		printf("rmnic-pingpong server|client ...\n\nWhat a question and its answer cost on a "
		       "port, with nothing around them.\n'rmnic-pingpong server --help' and "
		       "'rmnic-pingpong client --help' tell more.\n");
		return 0;
	}
	fprintf(stderr, "rmnic-pingpong: '%s': expected server or client, or --help\n",
		mode ? mode : "");
	return 2;
}

int main(int argc, char **argv)
{
	static struct run r;
	const struct rmnic_conf_program *program;
	int ret;

	r.is_server = argc > 1 && strcmp(argv[1], "server") == 0;
	if (argc < 2 || (!r.is_server && strcmp(argv[1], "client") != 0))
		return usage(argc < 2 ? NULL : argv[1]);
	rmnic_log_open("rmnic-pingpong");
	program = r.is_server ? &pingpong_server_program : &pingpong_client_program;
	switch (rmnic_conf_parse(program, argc - 1, argv + 1, &r.o, &r.err)) {
	case RMNIC_CONF_OK: break;
	case RMNIC_CONF_DONE: return 0;
	case RMNIC_CONF_BAD: rmnic_log_error("%s", r.err.text); return 2;
	}
	rmnic_log_level_set((enum rmnic_log_level)r.o.log_level);
	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	ret = run_all(&r);
	if (ret)
		rmnic_log_error("%s", r.err.text);
	rmnic_udp_destroy(r.udp);
	rmnic_wait_destroy(r.wait);
	rmnic_port_close(r.port);
	rmnic_eal_stop();
	if (r.store)
		munmap(r.store, r.store_len);
	rmnic_conf_free(&program->table, &r.o);
	return ret ? 1 : 0;
}
