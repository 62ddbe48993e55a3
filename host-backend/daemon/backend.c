/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/conf_net.h"
#include "common/log.h"
#include "daemon/device_internal.h"
#include "dpdk/eal.h"

/* --- Opening --------------------------------------------------------------------------------- */

static int on_mail(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct rmnic_backend *b = arg;

	(void)source;
	(void)fd;
	(void)events;
	rmnic_mailbox_clear(b->mailbox);
	while (rmnic_mailbox_run(b->mailbox))
		;
	return 0;
}

static int eal_open(const struct rmnic_config *config, struct rmnic_error *err)
{
	const struct rmnic_eal_config eal = {
		.program = "rmnicd",
		.workers = (uint16_t)config->lcores,
		.cpus = config->cpus,
		.memory_mib = (uint32_t)config->memory_mib,
		.hugepages = !config->no_huge,
		.telemetry = true,
		.log_level = RTE_LOG_WARNING,
	};

	return rmnic_eal_start(&eal, err);
}

static int ports_open(struct rmnic_backend *b, struct rmnic_error *err)
{
	const struct rmnic_config *config = b->config;
	const struct rmnic_conf_port *ports = config->ports.items;

	for (size_t i = 0; i < config->ports.count; i++) {
		const struct rmnic_port_config c = {
			.device = ports[i].device,
			.address = ports[i].address,
			.gateway = ports[i].gateway,
			.queues = (uint16_t)config->lcores,
			.mtu = (uint16_t)ports[i].mtu,
			.udp_first = (uint16_t)config->udp_port,
			.udp_last = (uint16_t)(config->udp_port + 2 * config->max_devices - 1),
		};

		b->ports[i] = rmnic_port_open(&c, err);
		if (!b->ports[i])
			return -1;
		b->nports++;
	}
	return 0;
}

static int workers_start(struct rmnic_backend *b, struct rmnic_error *err)
{
	bool shared = !rmnic_eal_owns_cpus();
	unsigned int lcore;

	RTE_LCORE_FOREACH_WORKER(lcore) {
		const struct rmnic_worker_config c = {
			.index = b->nworkers,
			.lcore = lcore,
			.workers = (unsigned int)b->config->lcores,
			.ports = b->ports,
			.nports = b->nports,
			.max_devices = (uint32_t)b->config->max_devices,
			.poll = (enum rmnic_poll_mode)b->config->poll,
			.shared = shared,
			.awake_s = b->config->awake_s,
		};

		if (b->nworkers == b->config->lcores)
			break;
		b->workers[b->nworkers] = rmnic_worker_start(&c, err);
		if (!b->workers[b->nworkers])
			return -1;
		b->nworkers++;
	}
	return 0;
}

/* 64 hexadecimal digits; without a file the token is zero, which is one that everybody knows. */
static int token_read(struct rmnic_backend *b, struct rmnic_error *err)
{
	const char *path = b->config->token_file;
	char text[80] = "";
	FILE *file;
	size_t n;

	if (!path)
		return 0;
	file = fopen(path, "re");
	if (!file)
		return rmnic_error_set(err, "token_file %s: %s", path, strerror(errno));
	n = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = '\0';
	if (n != 64 || strspn(text, "0123456789abcdefABCDEF") != 64)
		return rmnic_error_set(err, "token_file %s: it must hold 64 hexadecimal digits and "
				       "nothing else (openssl rand -hex 32 makes some)", path);
	for (unsigned int i = 0; i < sizeof(b->token); i++) {
		char digits[3] = { text[2 * i], text[2 * i + 1], '\0' };

		b->token[i] = (uint8_t)strtoul(digits, NULL, 16);
	}
	return 0;
}

static int config_check(const struct rmnic_config *config, struct rmnic_error *err)
{
	if (!config->ports.count)
		return rmnic_error_set(err, "no port is given: --port DEVICE, or ports = ( ... ) in the "
				       "file");
	if (config->udp_port + 2 * config->max_devices > 65536)
		return rmnic_error_set(err, "udp_port %llu leaves no room for max_devices %llu, which "
				       "need two ports each up to 65535",
				       (unsigned long long)config->udp_port,
				       (unsigned long long)config->max_devices);
	return 0;
}

int rmnic_backend_open(struct rmnic_backend *b, const struct rmnic_config *config,
		       sd_event *event, struct rmnic_error *err)
{
	int ret;

	b->config = config;
	b->event = event;
	if (getrandom(b->uuid, sizeof(b->uuid), 0) != sizeof(b->uuid))
		return rmnic_error_set(err, "no random numbers: %s", strerror(errno));
	rmnic_tuning_read(config, &b->configured);
	b->tuning = b->configured;
	if (config_check(config, err) || token_read(b, err) ||
	    rmnic_spill_pool_open(&b->spill, config->spill_dir, config->spill_size,
				  (enum rmnic_spill_io_mode)config->spill_io, err) ||
	    rmnic_backend_servers_reload(b, &config->servers, err) || eal_open(config, err))
		return -1;
	b->mailbox = rmnic_mailbox_create("rmnic-control", err);
	if (!b->mailbox || ports_open(b, err))
		return -1;
	ret = sd_event_add_io(event, &b->mail_source, rmnic_mailbox_fd(b->mailbox), EPOLLIN, on_mail,
			      b);
	if (ret < 0)
		return rmnic_error_set(err, "event loop: %s", strerror(-ret));
	return workers_start(b, err);
}

void rmnic_backend_close(struct rmnic_backend *b)
{
	for (unsigned int i = 0; i < b->nworkers; i++)
		rmnic_worker_stop(b->workers[i]);
	for (unsigned int i = 0; i < b->nports; i++)
		rmnic_port_close(b->ports[i]);
	b->nworkers = b->nports = 0;
	b->drain_timer = sd_event_source_disable_unref(b->drain_timer);
	b->linger_timer = sd_event_source_disable_unref(b->linger_timer);
	b->mail_source = sd_event_source_disable_unref(b->mail_source);
	rmnic_mailbox_destroy(b->mailbox);
	b->mailbox = NULL;
	rmnic_spill_pool_close(&b->spill);
	rmnic_eal_stop();
}

/* --- Devices --------------------------------------------------------------------------------- */

unsigned int rmnic_backend_devices(const struct rmnic_backend *b)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++)
		n += b->vdevs[i] != NULL;
	return n;
}

struct rmnic_vdev *rmnic_backend_find(const struct rmnic_backend *b, const uint8_t *uuid)
{
	struct rmnic_vdev_names names;

	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++) {
		if (!b->vdevs[i])
			continue;
		rmnic_vdev_names(b->vdevs[i], &names);
		if (!memcmp(names.uuid, uuid, sizeof(names.uuid)))
			return b->vdevs[i];
	}
	return NULL;
}

struct call {
	struct rmnic_vdev *v;
	void (*fn)(struct rmnic_vdev *v, void *arg);
	void *arg;
};

static void run_call(void *arg)
{
	struct call *c = arg;

	/* One that is not attached is told when it is; one that is being closed has no socket any more. */
	if (c->v->listening)
		c->fn(c->v, c->arg);
}

void rmnic_backend_each(struct rmnic_backend *b, void (*fn)(struct rmnic_vdev *v, void *arg),
			void *arg)
{
	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++) {
		struct call c = { b->vdevs[i], fn, arg };

		if (c.v && c.v->opened)
			rmnic_worker_call(c.v->worker, run_call, &c);
	}
}

struct rmnic_worker *rmnic_backend_pick(const struct rmnic_backend *b)
{
	unsigned int used[RMNIC_MAX_LCORES] = { 0 }, best = 0;
	struct rmnic_vdev_names names;

	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++) {
		if (!b->vdevs[i])
			continue;
		rmnic_vdev_names(b->vdevs[i], &names);
		used[names.worker]++;
	}
	for (unsigned int i = 1; i < b->nworkers; i++)
		if (used[i] < used[best])
			best = i;
	return b->workers[best];
}
