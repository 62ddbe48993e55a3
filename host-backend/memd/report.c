/* SPDX-License-Identifier: BSD-3-Clause */
#include "memd/report.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rmnic/device.h"

/* --- Figures ----------------------------------------------------------------------------------- */

struct figures {
	struct memd_figure *out;
	unsigned int n;
};

static void add(struct figures *f, const char *name, const char *help, bool gauge, uint64_t value)
{
	if (f->n < MEMD_FIGURES)
		f->out[f->n++] = (struct memd_figure){ name, help, gauge, value };
}

#define COUNTER(name, help, value) add(f, name, help, false, value)
#define GAUGE(name, help, value)   add(f, name, help, true, value)

static void store_figures(struct memd_server *s, struct figures *f)
{
	const struct rmnic_memstore *ms = s->store;
	uint32_t sessions = 0, slabs = 0;
	struct rmnic_rmp_session_info info;

	for (uint32_t i = 0; i < s->config->max_sessions; i++)
		sessions += rmnic_rmp_server_session(s->rmp, i, &info);
	for (uint32_t i = 0; i < ms->cfg.max_devices; i++)
		slabs += ms->devices[i].slabs;
	GAUGE("memory_bytes", "memory that is lent", memd_server_lent(s) * RMNIC_PAGE_SIZE);
	GAUGE("promised_bytes", "of it promised to devices", ms->reserved * RMNIC_PAGE_SIZE);
	GAUGE("stored_pages", "pages with content", ms->stored);
	GAUGE("slabs", "slabs of all devices", slabs);
	GAUGE("sessions", "sessions", sessions);
	GAUGE("bad_pages", "pages that are damaged now, and not given out", ms->bad);
	GAUGE("pressure", "1: memory is short", ms->pressed);
	GAUGE("draining", "1: new slabs are refused", ms->draining);
	COUNTER("scrubbed_pages", "pages compared with their checksums at rest", ms->scrubbed);
	COUNTER("damaged_pages", "pages found damaged at rest", ms->damaged);
	COUNTER("healed_pages", "of them written again since", ms->healed);
}

static void rmp_figures(struct memd_server *s, struct figures *f)
{
	const struct rmnic_rmp_server_counters *c = rmnic_rmp_server_counters(s->rmp);
	uint64_t dropped = 0;

	for (int i = RMNIC_RMP_DROP_OK + 1; i < RMNIC_RMP_DROP_COUNT; i++)
		dropped += c->dropped[i];
	COUNTER("reads", "pages asked for", c->reads);
	COUNTER("writes", "pages written", c->writes);
	COUNTER("fills", "pages written that repeat one word", c->fills);
	COUNTER("frees", "requests to free pages", c->frees);
	COUNTER("duplicates", "pages or segments that were there already", c->duplicates);
	COUNTER("restarts", "pages put together anew for a newer attempt", c->restarts);
	COUNTER("evicted", "incomplete pages given up for others", c->evicted);
	COUNTER("crc_errors", "pages whose checksum was wrong on arrival", c->crc_errors);
	COUNTER("busy", "requests answered BUSY", c->status[RMNIC_RMP_S_BUSY]);
	COUNTER("no_space", "slabs refused: full", c->status[RMNIC_RMP_S_NO_SPACE]);
	COUNTER("denied", "sessions refused: wrong token", c->status[RMNIC_RMP_S_DENIED]);
	COUNTER("versions_refused", "sessions refused: no version in common",
		c->status[RMNIC_RMP_S_VERSION]);
	COUNTER("fenced", "requests of an epoch that ended", c->status[RMNIC_RMP_S_FENCED]);
	COUNTER("unknown_slab", "requests for slabs that are not there",
		c->status[RMNIC_RMP_S_UNKNOWN_SLAB]);
	COUNTER("no_session", "requests without a session", c->status[RMNIC_RMP_S_NO_SESSION]);
	COUNTER("dropped", "datagrams that were nothing this server knows", dropped);
	COUNTER("leases_over", "devices whose slabs were released for their silence", c->leases);
	COUNTER("datagrams_in", "datagrams received", c->rx);
	COUNTER("datagrams_out", "datagrams sent", c->tx);
	COUNTER("datagrams_unsent", "datagrams that could not be sent", c->tx_failed);
}

static void lcore_figures(struct memd_server *s, struct figures *f)
{
	const struct rmnic_udp_counters *u = rmnic_udp_counters(s->udp);
	uint64_t slept = 0, sleeps = 0;

	rmnic_wait_stats(s->wait, &slept, &sleeps);
	COUNTER("tx_full", "frames the port did not take", u->tx_full);
	COUNTER("no_mbuf", "frames without a buffer", u->no_mbuf);
	COUNTER("no_neighbour", "datagrams whose receiver's address was not known yet", u->no_neighbour);
	COUNTER("rx_bad", "frames that were damaged or none of ours", u->rx_bad);
	COUNTER("rounds", "rounds of the lcore", s->rounds);
	COUNTER("busy_rounds", "rounds with work", s->busy_rounds);
	COUNTER("sleeps", "times the lcore slept", sleeps);
	COUNTER("slept_us", "time it slept, in microseconds", slept / 1000);
	COUNTER("uptime_us", "time since it started, in microseconds",
		(rmnic_udp_now() - s->started) / 1000);
}

static void fill_figures(struct memd_server *s, void *arg)
{
	store_figures(s, arg);
	rmp_figures(s, arg);
	lcore_figures(s, arg);
}

unsigned int memd_report_figures(struct memd_server *s, struct memd_figure out[MEMD_FIGURES])
{
	struct figures f = { out, 0 };

	memd_server_call(s, fill_figures, &f);
	return f.n;
}

json_t *memd_report_stats(struct memd_server *s)
{
	struct memd_figure figure[MEMD_FIGURES];
	unsigned int n = memd_report_figures(s, figure);
	json_t *out = json_object();

	for (unsigned int i = 0; i < n; i++)
		json_object_set_new(out, figure[i].name, json_integer((json_int_t)figure[i].value));
	return out;
}

/* --- Sessions ------------------------------------------------------------------------------------ */

struct sessions {
	struct rmnic_rmp_session_info *info;
	uint32_t n;
};

static void copy_sessions(struct memd_server *s, void *arg)
{
	struct sessions *x = arg;

	for (uint32_t i = 0; i < s->config->max_sessions; i++)
		x->n += rmnic_rmp_server_session(s->rmp, i, &x->info[x->n]);
}

json_t *memd_report_sessions(struct memd_server *s)
{
	struct sessions x = { calloc(s->config->max_sessions, sizeof(*x.info)), 0 };
	char device[37], peer[INET6_ADDRSTRLEN];
	json_t *out = json_array();

	if (x.info)
		memd_server_call(s, copy_sessions, &x);
	for (uint32_t i = 0; i < x.n; i++) {
		const struct rmnic_rmp_session_info *e = &x.info[i];

		json_array_append_new(
			out, json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "device",
				       rmnic_uuid_format(e->device, device), "peer",
				       inet_ntop(AF_INET, e->peer.ip + 12, peer, sizeof(peer)), "epoch",
				       (json_int_t)e->epoch, "slabs", (json_int_t)e->slabs, "pages",
				       (json_int_t)e->pages, "reserved_pages", (json_int_t)e->reserved,
				       "silent_ms",
				       (json_int_t)((rmnic_udp_now() - e->seen) / 1000000)));
	}
	free(x.info);
	return out;
}

/* --- Slabs --------------------------------------------------------------------------------------- */

struct slab {
	uint8_t device[16];
	uint64_t number, handle;
	uint32_t pages, stored, epoch;
};

/* A few at a time: the table may be long. */
#define SLABS_A_CALL 1024

struct slabs {
	struct slab slab[SLABS_A_CALL];
	uint32_t n, from;
};

static void copy_slabs(struct memd_server *s, void *arg)
{
	const struct rmnic_memstore *ms = s->store;
	struct slabs *x = arg;
	uint32_t end = x->from + SLABS_A_CALL;

	x->n = 0;
	for (; x->from < end && x->from < ms->cfg.max_slabs; x->from++) {
		const struct rmnic_mem_slab *slab = &ms->slabs[x->from];
		struct slab *o = &x->slab[x->n];

		if (!slab->handle || slab->dying)
			continue;
		memcpy(o->device, ms->devices[slab->device].uuid, 16);
		o->number = slab->number;
		o->handle = slab->handle;
		o->pages = slab->pages;
		o->stored = slab->stored;
		o->epoch = slab->epoch;
		x->n++;
	}
}

json_t *memd_report_slabs(struct memd_server *s)
{
	struct slabs *x = calloc(1, sizeof(*x));
	json_t *out = json_array();
	char device[37], handle[19];

	while (x && x->from < s->store->cfg.max_slabs) {
		memd_server_call(s, copy_slabs, x);
		for (uint32_t i = 0; i < x->n; i++) {
			const struct slab *e = &x->slab[i];

			snprintf(handle, sizeof(handle), "%016llx", (unsigned long long)e->handle);
			json_array_append_new(
				out, json_pack("{s:s,s:I,s:s,s:I,s:I,s:I}", "device",
					       rmnic_uuid_format(e->device, device), "slab",
					       (json_int_t)e->number, "handle", handle, "pages",
					       (json_int_t)e->stored, "reserved_pages",
					       (json_int_t)e->pages, "epoch", (json_int_t)e->epoch));
		}
	}
	free(x);
	return out;
}

/* --- Memory and ports ------------------------------------------------------------------------------ */

struct memory {
	uint64_t lent, promised, pool;
	bool locked, pressed, draining;
};

static void copy_memory(struct memd_server *s, void *arg)
{
	struct memory *x = arg;

	x->lent = memd_server_lent(s) * RMNIC_PAGE_SIZE;
	x->promised = s->store->reserved * RMNIC_PAGE_SIZE;
	x->pool = (uint64_t)rmnic_frames_total(s->store->frames) * RMNIC_PAGE_SIZE;
	x->locked = s->memory.locked;
	x->pressed = s->store->pressed;
	x->draining = s->store->draining;
}

json_t *memd_report_memory(struct memd_server *s)
{
	struct memory x = { 0 };

	memd_server_call(s, copy_memory, &x);
	return json_pack("{s:I,s:I,s:I,s:I,s:b,s:s,s:b,s:b,s:b}", "memory", (json_int_t)x.lent, "used",
			 (json_int_t)x.promised, "free", (json_int_t)(x.lent - x.promised), "pool",
			 (json_int_t)x.pool, "hugepages", s->memory.pages == MEMD_PAGES_HUGE, "kind",
			 memd_memory_kind(&s->memory), "locked", x.locked, "pressure", x.pressed,
			 "draining", x.draining);
}

json_t *memd_report_ports(const struct memd_server *s)
{
	json_t *out = json_array();

	for (uint16_t i = 0; i < s->nports; i++) {
		struct rmnic_port_info p;
		char mac[18], address[32];

		rmnic_port_info(s->ports[i], &p);
		snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", p.mac[0], p.mac[1], p.mac[2],
			 p.mac[3], p.mac[4], p.mac[5]);
		snprintf(address, sizeof(address), "%u.%u.%u.%u/%u", p.ip >> 24, p.ip >> 16 & 255,
			 p.ip >> 8 & 255, p.ip & 255, p.prefix);
		json_array_append_new(
			out, json_pack("{s:s,s:s,s:s,s:s,s:i,s:b,s:I,s:I,s:I,s:I,s:I}", "device", p.device,
				       "driver", p.driver, "mac", mac, "address", address, "mtu",
				       (int)p.mtu, "link", p.link_up, "rx", (json_int_t)p.rx, "tx",
				       (json_int_t)p.tx, "rx_missed", (json_int_t)p.rx_missed, "rx_errors",
				       (json_int_t)p.rx_errors, "tx_errors", (json_int_t)p.tx_errors));
	}
	return out;
}
