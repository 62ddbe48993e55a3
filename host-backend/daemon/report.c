/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices, slabs, latencies, status, as JSON. Servers and figures have files of their own. */
#include "daemon/report.h"

#include <rte_lcore.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/hist.h"
#include "common/log.h"
#include "common/version.h"
#include "daemon/device.h"
#include "dpdk/udp.h"
#include "engine/le.h"
#include "engine/state_block.h"

/* The control thread's alone: too large for a stack. */
static struct rmnic_vdev_view view;

static const char *const poll_names[] = { "adaptive", "busy", "block" };

/* --- Devices --------------------------------------------------------------------------------- */

static const char *state_name(const struct rmnic_vdev_view *w)
{
	if (w->status != RMNIC_REMOTE_READY && w->status != RMNIC_REMOTE_GROWING)
		return rmnic_remote_status_names[w->status];
	if (w->fatal)
		return "fatal";
	if (!w->enabled)
		return "disabled";
	return w->stopped ? "stopped" : "running";
}

static json_t *device(struct rmnic_vdev *v)
{
	struct rmnic_vdev_names n;
	char uuid[37];

	rmnic_vdev_names(v, &n);
	rmnic_vdev_look(v, &view);
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:I, s:I, s:o, s:o}",
			 "uuid", rmnic_uuid_format(n.uuid, uuid), "vm", n.name, "state",
			 state_name(&view), "epoch", (json_int_t)n.epoch, "capacity_pages",
			 (json_int_t)n.capacity, "max_capacity_pages", (json_int_t)n.max_capacity,
			 "reserved_pages", (json_int_t)view.reserved, "stored_pages",
			 (json_int_t)view.store.stored, "queues", (json_int_t)n.max_qpairs, "lcore",
			 (int)n.lcore, "pid", n.pid, "pages_in",
			 (json_int_t)view.counters.pages_in, "pages_out",
			 (json_int_t)view.counters.pages_out, "page_in_us",
			 rmnic_hist_summary(&view.hist[RMNIC_STAGE_PAGE_IN_TOTAL]), "page_out_us",
			 rmnic_hist_summary(&view.hist[RMNIC_STAGE_PAGE_OUT_TOTAL]));
}

json_t *rmnic_report_devices(struct rmnic_report *r)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++)
		if (r->backend->vdevs[i])
			json_array_append_new(list, device(r->backend->vdevs[i]));
	return list;
}

/* --- Slabs ----------------------------------------------------------------------------------- */

static json_t *members(const struct rmnic_state_view *v)
{
	json_t *list = json_array();
	char uuid[37], handle[24];

	for (unsigned int i = 0; i < v->members; i++) {
		/* A handle is 64 bits, more than a number of JSON's safely has. */
		snprintf(handle, sizeof(handle), "0x%llx",
			 (unsigned long long)rmnic_le64_get(v->member[i].handle));
		json_array_append_new(list, json_pack("{s:s, s:s}", "server",
						      rmnic_uuid_format(v->member[i].server, uuid),
						      "handle", handle));
	}
	return list;
}

static void slabs_of(struct rmnic_vdev *v, json_t *list)
{
	const struct rmnic_state_block *block = rmnic_vdev_block(v);
	struct rmnic_state_view sv;
	struct rmnic_vdev_names n;
	char uuid[37];

	rmnic_vdev_names(v, &n);
	rmnic_uuid_format(n.uuid, uuid);
	for (uint64_t slab = 0; slab < block->nslabs; slab++) {
		if (!rmnic_state_view_get(block, slab, &sv) || !sv.members)
			continue;
		json_array_append_new(list,
				      json_pack("{s:s, s:I, s:I, s:o}", "device", uuid, "slab",
						(json_int_t)slab, "view",
						(json_int_t)rmnic_le64_get(sv.view), "members",
						members(&sv)));
	}
}

json_t *rmnic_report_slabs(struct rmnic_report *r, const char *name, struct rmnic_error *err)
{
	struct rmnic_vdev *only = NULL;
	uint8_t uuid[16];
	json_t *list;

	if (name) {
		if (rmnic_uuid_parse(name, uuid))
			only = rmnic_backend_find(r->backend, uuid);
		if (!only) {
			rmnic_error_set(err, "there is no device '%s' (see: rmnicctl devices)", name);
			return NULL;
		}
	}
	list = json_array();
	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++)
		if (r->backend->vdevs[i] && (!only || r->backend->vdevs[i] == only))
			slabs_of(r->backend->vdevs[i], list);
	return list;
}

/* --- Latency --------------------------------------------------------------------------------- */

json_t *rmnic_report_latency(struct rmnic_report *r)
{
	json_t *list = json_array(), *entry;
	struct rmnic_vdev_names n;
	char uuid[37];

	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++) {
		if (!r->backend->vdevs[i])
			continue;
		rmnic_vdev_names(r->backend->vdevs[i], &n);
		rmnic_vdev_look(r->backend->vdevs[i], &view);
		for (int stage = 0; stage < RMNIC_STAGE_COUNT; stage++) {
			entry = rmnic_hist_json(&view.hist[stage]);
			json_object_set_new(entry, "device",
					    json_string(rmnic_uuid_format(n.uuid, uuid)));
			json_object_set_new(entry, "stage", json_string(rmnic_stage_names[stage]));
			json_array_append_new(list, entry);
		}
	}
	return list;
}

/* --- Status ---------------------------------------------------------------------------------- */

static json_t *port(const struct rmnic_port *p)
{
	struct rmnic_port_info i;
	char mac[18], address[24];

	rmnic_port_info(p, &i);
	snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", i.mac[0], i.mac[1], i.mac[2],
		 i.mac[3], i.mac[4], i.mac[5]);
	snprintf(address, sizeof(address), "%u.%u.%u.%u/%u", i.ip >> 24, i.ip >> 16 & 255,
		 i.ip >> 8 & 255, i.ip & 255, i.prefix);
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:b, s:I, s:I, s:I, s:I, s:I}", "device", i.device,
			 "driver", i.driver, "mac", mac, "address", address, "mtu", i.mtu, "link",
			 i.link_up, "rx", (json_int_t)i.rx, "tx", (json_int_t)i.tx, "rx_missed",
			 (json_int_t)i.rx_missed, "rx_errors", (json_int_t)i.rx_errors, "tx_errors",
			 (json_int_t)i.tx_errors);
}

/* busy_percent: since it was last asked for. */
static json_t *lcore(struct rmnic_report *r, unsigned int i)
{
	struct rmnic_worker_stats s;
	uint64_t now, spent, slept;
	double busy;

	rmnic_worker_stats(r->backend->workers[i], &s);
	now = rmnic_udp_now();
	spent = now - (r->asked_ns[i] ? r->asked_ns[i] : r->started_ns);
	slept = s.slept_ns - r->slept_ns[i];
	busy = spent && slept < spent ? 100.0 * (double)(spent - slept) / (double)spent : 0.0;
	r->asked_ns[i] = now;
	r->slept_ns[i] = s.slept_ns;
	return json_pack("{s:i, s:i, s:f, s:i, s:I, s:I}", "lcore",
			 (int)rmnic_worker_lcore(r->backend->workers[i]), "cpu",
			 rte_lcore_to_cpu_id((int)rmnic_worker_lcore(r->backend->workers[i])),
			 "busy_percent", busy, "devices", (int)s.devices, "rounds",
			 (json_int_t)s.rounds, "sleeps", (json_int_t)s.sleeps);
}

json_t *rmnic_report_status(struct rmnic_report *r)
{
	struct rmnic_backend *b = r->backend;
	json_t *lcores = json_array(), *ports = json_array();

	for (unsigned int i = 0; i < b->nworkers; i++)
		json_array_append_new(lcores, lcore(r, i));
	for (unsigned int i = 0; i < b->nports; i++)
		json_array_append_new(ports, port(b->ports[i]));
	return json_pack("{s:s, s:s, s:i, s:I, s:s, s:s, s:i, s:i, s:o, s:o}", "program", "rmnicd",
			 "version", RMNIC_BACKEND_VERSION, "pid", (int)getpid(), "uptime_s",
			 (json_int_t)((rmnic_udp_now() - r->started_ns) / 1000000000), "memory",
			 rmnic_daemon_memory(r->daemon), "poll", poll_names[b->config->poll],
			 "devices", (int)rmnic_backend_devices(b), "frontends",
			 (int)rmnic_frontends_count(r->frontends), "lcores", lcores, "ports", ports);
}
