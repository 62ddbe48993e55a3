/* SPDX-License-Identifier: BSD-3-Clause */
/* Counters: one flat object for rmnicctl, families for Prometheus. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/hist.h"
#include "daemon/report.h"
#include "engine/user_msg.h"
#include "user/guard.h"

/* The control thread's alone: too large for a stack. */
static struct rmnic_vdev_view view;

/* What is added up over all devices, in the order of both outputs. */
struct figure {
	const char *name;
	const char *help;
	uint64_t (*get)(const struct rmnic_vdev_view *v);
	enum rmnic_metric_type type;
};

#define FIGURES(X)                                                                             \
	X(pages_out, counters.pages_out, COUNTER, "Pages that guests gave away")               \
	X(pages_in, counters.pages_in, COUNTER, "Pages that guests got back")                  \
	X(pages_freed, counters.pages_freed, COUNTER, "Pages that guests no longer need")      \
	X(page_out_commands, counters.page_out_cmds, COUNTER, "Commands PAGE_OUT")             \
	X(page_in_commands, counters.page_in_cmds, COUNTER, "Commands PAGE_IN")                \
	X(status_refused, counters.status_refused, COUNTER, "Commands that ended REFUSED")     \
	X(status_retry, counters.status_retry, COUNTER, "Commands that ended with RETRY")      \
	X(status_data, counters.status_data, COUNTER, "Commands that ended with DATA lost")    \
	X(aborted, counters.aborted, COUNTER, "Commands that were aborted")                    \
	X(interrupts, counters.interrupts, COUNTER, "Interrupts raised")                       \
	X(wakeups, counters.wakeups, COUNTER, "Times a device's worker slept")                 \
	X(fatal_errors, counters.fatal_errors, COUNTER, "Times a device went FATAL")           \
	X(no_vector, no_vector, COUNTER, "Interrupts without an eventfd")                      \
	X(pages_stored, store.stored, GAUGE, "Pages on servers now")                           \
	X(pages_same_filled, store.same_filled, COUNTER, "Pages out that were one word")       \
	X(pages_unwritten, store.in_unwritten, COUNTER, "Pages in that were never written")    \
	X(pages_reserved, reserved, GAUGE, "Pages that have a place on servers")               \
	X(pages_stale, remote.stale, COUNTER, "Copies older than their page's entry")          \
	X(pages_missing, remote.missing, COUNTER, "Pages a member should hold and does not")   \
	X(pages_lost, remote.lost, COUNTER, "Page-ins with every member proved empty")         \
	X(pages_unreachable, remote.unreachable, COUNTER, "Page-ins no member answered")       \
	X(pages_indeterminate, remote.indeterminate, COUNTER, "Page-outs that ended half done") \
	X(slabs_lost, remote.slabs_lost, COUNTER, "Slabs whose every member was emptied")      \
	X(pages_read_again, remote.read_again, COUNTER, "Page-ins that went on to another member") \
	X(pages_failed_over, remote.failed_over, COUNTER, "Page-ins asked elsewhere for silence") \
	X(pages_hedged, remote.hedged, COUNTER, "Page-ins asked of a second server for slowness") \
	X(pages_hedges_won, remote.hedges_won, COUNTER, "Page-ins that the second server answered first") \
	X(pages_copied, remote.copied, COUNTER, "Pages copied from server to server")          \
	X(pages_fixed, remote.fixed, COUNTER, "Damaged copies that were replaced")             \
	X(pages_scrubbed, remote.scrubbed, COUNTER, "Pages whose copies were compared")        \
	X(scrub_bad, remote.scrub_bad, COUNTER, "Copies that were found wrong by that")        \
	X(pages_spilled, remote.spilled, COUNTER, "Page-outs to the spill file")               \
	X(pages_unspilled, remote.unspilled, COUNTER, "Pages copied back from the spill file") \
	X(spill_errors, remote.spill_errors, COUNTER, "Reads and writes of the spill file that failed") \
	X(members_dropped, remote.dropped, COUNTER, "Servers dropped from a slab's view")      \
	X(resyncs, remote.resyncs, COUNTER, "Slabs brought up to date on a server that came back") \
	X(repairs, remote.repairs, COUNTER, "Slabs copied to another server")                  \
	X(syncs_failed, remote.syncs_failed, COUNTER, "Copies of slabs that came to nothing")  \
	X(fenced, remote.fenced, COUNTER, "Requests refused because of a newer epoch")         \
	X(orphans, remote.orphans, COUNTER, "Slabs on servers that no row named: released")    \
	X(unreleased, remote.unreleased, COUNTER, "Servers not told that a device is gone")    \
	X(slabs_placed, progress.slabs, GAUGE, "Slabs that have a place")                      \
	X(slabs_degraded, progress.degraded, GAUGE, "Slabs on fewer servers than replicas")      \
	X(slabs_syncing, progress.syncing, GAUGE, "Slabs that are being copied")                 \
	X(slabs_away, progress.away, GAUGE, "Slabs with a server that is waited for")            \
	X(slabs_moving, progress.moving, GAUGE, "Slabs on a server that is being drained")       \
	X(slabs_spilling, progress.spilling, GAUGE, "Slabs with a place in the spill file")      \
	X(slabs_waiting, progress.waiting, GAUGE, "Slabs to recover whose servers are not all here") \
	X(sync_done_pages, progress.sync_done, GAUGE, "Pages done, of slabs being copied")  \
	X(sync_todo_pages, progress.sync_todo, GAUGE, "Pages in all, of slabs being copied") \
	X(spilled_pages, progress.spilled, GAUGE, "Pages in the spill file now")               \
	X(spill_free_pages, progress.spill_free, GAUGE, "Pages the spill file could take")     \
	X(frees_told, remote.frees_told, COUNTER, "Freed pages that servers were told of")     \
	X(rmp_rx, client.rx, COUNTER, "Datagrams of servers")                                  \
	X(rmp_tx, client.tx, COUNTER, "Datagrams to servers")                                  \
	X(tx_failed, client.tx_failed, COUNTER, "Datagrams the port did not take")             \
	X(retransmits, client.retransmits, COUNTER, "Requests sent again")                     \
	X(segments, client.segments, COUNTER, "Datagrams that carried a page or a part of one") \
	X(busy, client.busy, COUNTER, "Requests that a server put off")                        \
	X(crc_errors, client.crc_errors, COUNTER, "Pages whose checksum was wrong")            \
	X(sessions, client.sessions, COUNTER, "Sessions opened with servers")                  \
	X(late, client.late, COUNTER, "Answers to what had ended")                             \
	X(strange, client.strange, COUNTER, "Answers that fit nothing")

#define X(name, field, type, help)                                  \
	static uint64_t get_##name(const struct rmnic_vdev_view *v) \
	{                                                           \
		return v->field;                                    \
	}
FIGURES(X)
#undef X

#define X(name, field, type, help) { #name, help, get_##name, RMNIC_METRIC_##type },
static const struct figure figures[] = { FIGURES(X) };
#undef X

#define NFIGURES (sizeof(figures) / sizeof(figures[0]))

/* --- rmnicctl stats -------------------------------------------------------------------------- */

static void add_network(struct rmnic_report *r, json_t *out)
{
	struct rmnic_udp_counters sum = { 0 };
	struct rmnic_worker_stats s;

	for (unsigned int i = 0; i < r->backend->nworkers; i++) {
		rmnic_worker_stats(r->backend->workers[i], &s);
		sum.rx += s.udp.rx;
		sum.tx += s.udp.tx;
		sum.rx_bytes += s.udp.rx_bytes;
		sum.tx_bytes += s.udp.tx_bytes;
		sum.tx_full += s.udp.tx_full;
		sum.no_mbuf += s.udp.no_mbuf;
		sum.no_neighbour += s.udp.no_neighbour;
		sum.rx_bad += s.udp.rx_bad;
		sum.handed_over += s.udp.handed_over;
	}
	json_object_set_new(out, "net_rx", json_integer((json_int_t)sum.rx));
	json_object_set_new(out, "net_tx", json_integer((json_int_t)sum.tx));
	json_object_set_new(out, "net_rx_bytes", json_integer((json_int_t)sum.rx_bytes));
	json_object_set_new(out, "net_tx_bytes", json_integer((json_int_t)sum.tx_bytes));
	json_object_set_new(out, "net_tx_full", json_integer((json_int_t)sum.tx_full));
	json_object_set_new(out, "net_no_mbuf", json_integer((json_int_t)sum.no_mbuf));
	json_object_set_new(out, "net_no_neighbour", json_integer((json_int_t)sum.no_neighbour));
	json_object_set_new(out, "net_rx_bad", json_integer((json_int_t)sum.rx_bad));
	json_object_set_new(out, "net_handed_over", json_integer((json_int_t)sum.handed_over));
}

/* USER-23 */
static void add_refused(struct rmnic_report *r, json_t *out)
{
	const uint64_t *refused = rmnic_frontends_refused(r->frontends);
	char key[64];

	for (uint16_t i = 1; i < RMNIC_USER_S_COUNT; i++) {
		snprintf(key, sizeof(key), "user_refused_%s", rmnic_user_status_name(i));
		for (char *c = key; *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c += 'a' - 'A';
		json_object_set_new(out, key, json_integer((json_int_t)refused[i]));
	}
	json_object_set_new(out, "guest_memory_lost", json_integer((json_int_t)rmnic_guard_faults()));
}

json_t *rmnic_report_stats(struct rmnic_report *r)
{
	uint64_t sum[NFIGURES] = { 0 }, why[RMNIC_REFUSAL_COUNT] = { 0 };
	json_t *out = json_object();
	char key[64];

	for (unsigned int d = 0; d < RMNIC_MAX_DEVICES; d++) {
		if (!r->backend->vdevs[d])
			continue;
		rmnic_vdev_look_through(r->backend->vdevs[d], &view);
		for (unsigned int i = 0; i < NFIGURES; i++)
			sum[i] += figures[i].get(&view);
		for (unsigned int i = 0; i < RMNIC_REFUSAL_COUNT; i++)
			why[i] += view.counters.refused[i];
	}
	for (unsigned int i = 0; i < NFIGURES; i++)
		json_object_set_new(out, figures[i].name, json_integer((json_int_t)sum[i]));
	for (unsigned int i = 0; i < RMNIC_REFUSAL_COUNT; i++) {
		snprintf(key, sizeof(key), "refused_%s", rmnic_refusal_names[i]);
		json_object_set_new(out, key, json_integer((json_int_t)why[i]));
	}
	add_network(r, out);
	add_refused(r, out);
	return out;
}

/* --- Prometheus ------------------------------------------------------------------------------ */

/* A device as it was at one moment, for all families. */
struct sample {
	char uuid[37];
	struct rmnic_vdev_names names;
	struct rmnic_label labels[2];
	struct rmnic_vdev_view view;
};

static struct sample *samples_take(struct rmnic_backend *b, unsigned int *n)
{
	struct sample *list = calloc(rmnic_backend_devices(b) + 1u, sizeof(*list));

	*n = 0;
	for (unsigned int d = 0; list && d < RMNIC_MAX_DEVICES; d++) {
		struct sample *s = &list[*n];

		if (!b->vdevs[d])
			continue;
		rmnic_vdev_names(b->vdevs[d], &s->names);
		rmnic_uuid_format(s->names.uuid, s->uuid);
		rmnic_vdev_look_through(b->vdevs[d], &s->view);
		s->labels[0] = (struct rmnic_label){ "device", s->uuid };
		s->labels[1] = (struct rmnic_label){ "vm", s->names.name };
		++*n;
	}
	return list;
}

static void servers(struct rmnic_report *r, struct rmnic_metrics *m)
{
	static const struct rmnic_metric up = { "rmnicd_server_ready", RMNIC_METRIC_GAUGE,
						"1: a device can use the memory server" };
	static const struct rmnic_metric pages = { "rmnicd_server_pages", RMNIC_METRIC_GAUGE,
						   "Pages of this host's devices on the server" };
	json_t *list = rmnic_report_servers(r), *s;
	size_t i;

	for (int pass = 0; pass < 2; pass++) {
		rmnic_metrics_family(m, pass ? &pages : &up);
		json_array_foreach(list, i, s) {
			const char *state = json_string_value(json_object_get(s, "state"));
			struct rmnic_label l = { "server",
						 json_string_value(json_object_get(s, "address")) };

			rmnic_metrics_uint(m, &l, 1,
					   pass ? (uint64_t)json_integer_value(
							  json_object_get(s, "pages")) :
						  !strcmp(state, "ready"));
		}
	}
	json_decref(list);
}

void rmnic_report_metrics(void *arg, struct rmnic_metrics *m)
{
	static const struct rmnic_metric devices = { "rmnicd_devices", RMNIC_METRIC_GAUGE,
						     "Devices that are served" };
	static const struct rmnic_metric in = { "rmnicd_page_in_seconds", RMNIC_METRIC_HISTOGRAM,
						"Time from a PAGE_IN command's fetch to its completion" };
	static const struct rmnic_metric out = { "rmnicd_page_out_seconds", RMNIC_METRIC_HISTOGRAM,
						 "The same of PAGE_OUT" };
	struct rmnic_report *r = arg;
	unsigned int n;
	struct sample *s = samples_take(r->backend, &n);
	char name[64];

	rmnic_metrics_family(m, &devices);
	rmnic_metrics_uint(m, NULL, 0, rmnic_backend_devices(r->backend));
	for (unsigned int i = 0; i < NFIGURES; i++) {
		const struct rmnic_metric family = { name, figures[i].type, figures[i].help };

		snprintf(name, sizeof(name), "rmnicd_%s%s", figures[i].name,
			 figures[i].type == RMNIC_METRIC_COUNTER ? "_total" : "");
		rmnic_metrics_family(m, &family);
		for (unsigned int d = 0; d < n; d++)
			rmnic_metrics_uint(m, s[d].labels, 2, figures[i].get(&s[d].view));
	}
	rmnic_metrics_family(m, &in);
	for (unsigned int d = 0; d < n; d++)
		rmnic_hist_metric(m, s[d].labels, 2, &s[d].view.hist[RMNIC_STAGE_PAGE_IN_TOTAL]);
	rmnic_metrics_family(m, &out);
	for (unsigned int d = 0; d < n; d++)
		rmnic_hist_metric(m, s[d].labels, 2, &s[d].view.hist[RMNIC_STAGE_PAGE_OUT_TOTAL]);
	free(s);
	servers(r, m);
}
