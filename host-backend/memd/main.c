/* SPDX-License-Identifier: BSD-3-Clause */
/* rmnic-memd: the memory server. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/conf_net.h"
#include "common/ctl.h"
#include "common/cpu_latency.h"
#include "common/daemon.h"
#include "common/log.h"
#include "dpdk/eal.h"
#include "memd/config.h"
#include "memd/control.h"
#include "memd/identity.h"
#include "memd/pressure.h"
#include "memd/report.h"
#include "memd/server.h"

#define EXIT_USAGE 2

struct memd {
	int argc;
	char *const *argv;
	struct memd_config config;
	struct rmnic_daemon *daemon;
	struct rmnic_port *ports[MEMD_MAX_PORTS];
	struct memd_server server;
	struct memd_pressure *pressure;
	struct memd_control control;
	struct rmnic_ctl *ctl;
	struct rmnic_exporter *exporter;
	int identity; /* its file, locked; -1: none */
	bool eal;
};

static int check(const struct memd_config *c, struct rmnic_error *err)
{
	if (!c->ports.count)
		return rmnic_error_set(err, "no port: say which network to serve (--port eth1)");
	if (c->lcores > 1)
		return rmnic_error_set(err, "lcores: one lcore serves all devices so far; leave it at 1");
	if (c->slab_size % 4096 || c->memory % 4096)
		return rmnic_error_set(err, "slab-size and memory are multiples of 4096");
	if (c->memory < c->slab_size)
		return rmnic_error_set(err, "memory: %" PRIu64 " MiB is less than one slab (slab-size)",
				       c->memory >> 20);
	if (c->memory_max && c->memory_max < c->memory)
		return rmnic_error_set(err, "memory-max is less than memory");
	if (c->memory_max > (UINT64_C(1) << 43))
		return rmnic_error_set(err, "memory-max: 8 TiB is the most");
	return 0;
}

static void take_over(struct memd *d, const struct memd_config *fresh)
{
	d->config.memory = fresh->memory;
	d->config.log_level = fresh->log_level;
	d->config.scrub_rate = fresh->scrub_rate;
	d->config.pressure = fresh->pressure;
	d->config.pressure_available = fresh->pressure_available;
	rmnic_log_level_set((enum rmnic_log_level)fresh->log_level);
	memd_server_scrub(&d->server, (uint32_t)fresh->scrub_rate);
	memd_pressure_changed(d->pressure);
}

/* SIGHUP: the network, and what tables were made for, stay as they are. */
static int reload(void *arg, struct rmnic_error *err)
{
	struct memd *d = arg;
	struct memd_config fresh;
	const char *fixed;

	if (rmnic_conf_parse(&memd_program, d->argc, d->argv, &fresh, err) != RMNIC_CONF_OK)
		return -1;
	fixed = rmnic_conf_fixed(&memd_program.table, &d->config, &fresh);
	if (fixed)
		rmnic_error_set(err, "%s changes with a restart only", fixed);
	else if (!check(&fresh, err) &&
		 (fresh.memory == d->config.memory || !memd_server_lend(&d->server, fresh.memory, err))) {
		take_over(d, &fresh);
		rmnic_conf_free(&memd_program.table, &fresh);
		return 0;
	}
	rmnic_conf_free(&memd_program.table, &fresh);
	return -1;
}

static const struct rmnic_daemon_ops daemon_ops = { .reload = reload };

static int open_ports(struct memd *d, struct rmnic_error *err)
{
	const struct rmnic_conf_port *ports = d->config.ports.items;

	for (size_t i = 0; i < d->config.ports.count; i++) {
		const struct rmnic_port_config port = {
			.device = ports[i].device,
			.address = ports[i].address,
			.gateway = ports[i].gateway,
			.queues = 1,
			.mtu = (uint16_t)ports[i].mtu,
			.udp_first = (uint16_t)d->config.udp_port,
			.udp_last = (uint16_t)(d->config.udp_port + 1),
		};

		d->ports[i] = rmnic_port_open(&port, err);
		if (!d->ports[i])
			return -1;
		d->server.nports++;
	}
	return 0;
}

static int start_eal(struct memd *d, struct rmnic_error *err)
{
	const struct rmnic_eal_config eal = {
		.program = "rmnic-memd",
		.workers = 1,
		.cpus = d->config.cpus,
		.memory_mib = (uint32_t)d->config.memory_mib,
		.hugepages = !d->config.no_huge,
		.telemetry = true,
		.log_level = rmnic_log_level() == RMNIC_LOG_DEBUG ? 8 : 5,
	};

	if (rmnic_eal_start(&eal, err))
		return -1;
	d->eal = true;
	return 0;
}

static int open_control(struct memd *d, struct rmnic_error *err)
{
	char buf[256];
	const char *path = d->config.control;

	if (!path)
		path = rmnic_runtime_path("memd.ctl", buf, sizeof(buf), err);
	if (!path)
		return -1;
	d->control = (struct memd_control){ &d->server, d->daemon, &d->config, d->pressure };
	d->ctl = rmnic_ctl_listen(rmnic_daemon_event(d->daemon), path, memd_commands, &d->control, err);
	return d->ctl ? 0 : -1;
}

static int open_metrics(struct memd *d, struct rmnic_error *err)
{
	if (!d->config.metrics_file)
		return 0;
	d->exporter = rmnic_exporter_open(rmnic_daemon_event(d->daemon), d->config.metrics_file,
					  (unsigned int)d->config.metrics_interval_ms,
					  memd_report_metrics, &d->server, err);
	return d->exporter ? 0 : -1;
}

static int start(struct memd *d, struct rmnic_error *err)
{
	d->daemon = rmnic_daemon_create(&daemon_ops, d, err);
	if (!d->daemon)
		return -1;
	if (d->config.uuid.given) {
		memcpy(d->server.uuid, d->config.uuid.byte, 16);
	} else {
		d->identity = memd_identity_load(d->config.uuid_file, d->server.uuid, err);
		if (d->identity < 0)
			return -1;
	}
	if (start_eal(d, err) || open_ports(d, err))
		return -1;
	/* Before what is lent is there: that is locked as it is used, and not all at once. */
	rmnic_daemon_lock_memory(d->daemon);
	if (rmnic_cpu_latency_ask(d->config.cpu_latency_us, err))
		return -1;
	d->server.config = &d->config;
	d->server.ports = d->ports;
	if (memd_server_start(&d->server, err))
		return -1;
	memd_report_telemetry(&d->server);
	d->pressure = memd_pressure_open(rmnic_daemon_event(d->daemon), &d->server, &d->config, err);
	if (!d->pressure)
		return -1;
	return open_control(d, err) || open_metrics(d, err) ? -1 : 0;
}

static void finish(struct memd *d)
{
	rmnic_exporter_close(d->exporter);
	rmnic_ctl_close(d->ctl);
	memd_pressure_close(d->pressure);
	if (d->eal) {
		memd_server_stop(&d->server);
		for (uint16_t i = 0; i < d->server.nports; i++)
			rmnic_port_close(d->ports[i]);
		rmnic_eal_stop();
	}
	if (d->daemon)
		rmnic_daemon_destroy(d->daemon);
	if (d->identity >= 0)
		close(d->identity);
	rmnic_conf_free(&memd_program.table, &d->config);
}

static void say_ready(struct memd *d)
{
	char size[32], uuid[37], line[160];

	snprintf(line, sizeof(line), "%s lent, in %s%s; server %s",
		 rmnic_size_format(d->config.memory, size, sizeof(size)),
		 memd_memory_kind(&d->server.memory), d->server.memory.locked ? "" : " (not locked)",
		 rmnic_uuid_format(d->server.uuid, uuid));
	rmnic_daemon_ready(d->daemon, line);
}

int main(int argc, char **argv)
{
	struct memd d = { .argc = argc, .argv = argv, .identity = -1 };
	struct rmnic_error err;
	int status = EXIT_FAILURE;

	rmnic_log_open("rmnic-memd");
	switch (rmnic_conf_parse(&memd_program, argc, argv, &d.config, &err)) {
	case RMNIC_CONF_DONE:
		return EXIT_SUCCESS;
	case RMNIC_CONF_BAD:
		rmnic_log_error("%s", err.text);
		return EXIT_USAGE;
	case RMNIC_CONF_OK:
		break;
	}
	rmnic_log_level_set((enum rmnic_log_level)d.config.log_level);
	if (check(&d.config, &err)) {
		rmnic_log_error("%s", err.text);
		rmnic_conf_free(&memd_program.table, &d.config);
		return EXIT_USAGE;
	}
	if (start(&d, &err)) {
		rmnic_log_error("%s", err.text);
	} else {
		say_ready(&d);
		status = rmnic_daemon_run(d.daemon);
	}
	finish(&d);
	return status;
}
