/* SPDX-License-Identifier: BSD-3-Clause */
/* Devices, latencies, status, as JSON. Slabs, servers and figures have files of their own. */
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

/* "" when nothing is wrong; else what is, in a few words. */
static const char *health(const struct rmnic_remote_progress *p, char *buf, size_t len)
{
	const struct {
		const char *what;
		uint64_t slabs;
	} parts[] = {
		{ "waiting", p->waiting }, { "degraded", p->degraded }, { "syncing", p->syncing },
		{ "away", p->away },       { "moving", p->moving },     { "spilling", p->spilling },
	};
	size_t at = 0;

	buf[0] = '\0';
	for (unsigned int i = 0; i < sizeof(parts) / sizeof(parts[0]) && at < len; i++)
		if (parts[i].slabs)
			at += (size_t)snprintf(buf + at, len - at, "%s%llu %s", at ? ", " : "",
					       (unsigned long long)parts[i].slabs, parts[i].what);
	if (p->sync_todo && at < len)
		snprintf(buf + at, len - at, " (%llu%%)",
			 (unsigned long long)(100 * p->sync_done / p->sync_todo));
	return buf;
}

static json_t *slab_counts(const struct rmnic_remote_progress *p)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "placed", (json_int_t)p->slabs,
			 "degraded", (json_int_t)p->degraded, "syncing", (json_int_t)p->syncing,
			 "away", (json_int_t)p->away, "moving", (json_int_t)p->moving, "spilling",
			 (json_int_t)p->spilling, "waiting", (json_int_t)p->waiting);
}

/* What keeps the pages, and how well. */
static void add_keeping(json_t *out, const struct rmnic_vdev_names *n)
{
	const struct rmnic_remote_progress *p = &view.progress;
	char text[128];
	json_t *more = json_pack("{s:i, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "replicas",
				 (int)n->replicas, "health", health(p, text, sizeof(text)), "slabs",
				 slab_counts(p), "sync_done_pages", (json_int_t)p->sync_done,
				 "sync_todo_pages", (json_int_t)p->sync_todo, "copied_pages",
				 (json_int_t)view.remote.copied, "spilled_pages",
				 (json_int_t)p->spilled, "spill_free_pages",
				 (json_int_t)p->spill_free, "server_free_pages",
				 (json_int_t)p->server_free, "lost_pages",
				 (json_int_t)view.remote.lost);

	json_object_update(out, more);
	json_decref(more);
}

static json_t *device(struct rmnic_vdev *v)
{
	struct rmnic_vdev_names n;
	char uuid[37];
	json_t *out;

	rmnic_vdev_names(v, &n);
	rmnic_vdev_look_through(v, &view);
	out = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:i, s:I, s:I, s:o, s:o}",
			"uuid", rmnic_uuid_format(n.uuid, uuid), "vm", n.name, "state",
			state_name(&view), "epoch", (json_int_t)n.epoch, "capacity_pages",
			(json_int_t)n.capacity, "max_capacity_pages", (json_int_t)n.max_capacity,
			"reserved_pages", (json_int_t)view.reserved, "stored_pages",
			(json_int_t)view.store.stored, "queues", (json_int_t)n.max_qpairs, "lcore",
			(int)n.lcore, "pid", n.pid, "pages_in", (json_int_t)view.counters.pages_in,
			"pages_out", (json_int_t)view.counters.pages_out, "page_in_us",
			rmnic_hist_summary(&view.hist[RMNIC_STAGE_PAGE_IN_TOTAL]), "page_out_us",
			rmnic_hist_summary(&view.hist[RMNIC_STAGE_PAGE_OUT_TOTAL]));
	add_keeping(out, &n);
	return out;
}

json_t *rmnic_report_devices(struct rmnic_report *r)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++)
		if (r->backend->vdevs[i])
			json_array_append_new(list, device(r->backend->vdevs[i]));
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
	return json_pack("{s:i, s:i, s:f, s:i, s:b, s:I, s:I}", "lcore",
			 (int)rmnic_worker_lcore(r->backend->workers[i]), "cpu",
			 rte_lcore_to_cpu_id((int)rmnic_worker_lcore(r->backend->workers[i])),
			 "busy_percent", busy, "devices", (int)s.devices, "awake", s.awake, "rounds",
			 (json_int_t)s.rounds, "sleeps", (json_int_t)s.sleeps);
}

json_t *rmnic_report_status(struct rmnic_report *r)
{
	struct rmnic_backend *b = r->backend;
	json_t *lcores = json_array(), *ports = json_array(), *recovering = json_array();
	char uuid[37];

	for (unsigned int i = 0; i < b->nworkers; i++)
		json_array_append_new(lcores, lcore(r, i));
	for (unsigned int i = 0; i < b->nports; i++)
		json_array_append_new(ports, port(b->ports[i]));
	for (unsigned int i = 0; i < b->nrecover; i++)
		json_array_append_new(recovering, json_string(rmnic_uuid_format(b->recover[i], uuid)));
	return json_pack("{s:s, s:s, s:i, s:I, s:s, s:s, s:i, s:i, s:i, s:o, s:o, s:o}", "program",
			 "rmnicd", "version", RMNIC_BACKEND_VERSION, "pid", (int)getpid(), "uptime_s",
			 (json_int_t)((rmnic_udp_now() - r->started_ns) / 1000000000), "memory",
			 rmnic_daemon_memory(r->daemon), "poll", poll_names[b->config->poll],
			 "devices", (int)rmnic_backend_devices(b), "lingering", (int)b->nlingering,
			 "frontends", (int)rmnic_frontends_count(r->frontends), "recovering", recovering,
			 "lcores", lcores, "ports", ports);
}
