/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/report.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/le.h"

struct bench_report {
	bool json;
	json_t *phases;
	uint64_t commands, pages, errors, mismatches, late;
};

struct bench_report *bench_report_create(bool json)
{
	struct bench_report *report = calloc(1, sizeof(*report));

	if (report) {
		report->json = json;
		report->phases = json_array();
	}
	if (report && !json)
		printf("%-9s %10s %12s %10s %9s %9s %9s %9s %10s\n", "workload", "commands", "pages/s",
		       "MiB/s", "p50 us", "p90 us", "p99 us", "p99.9 us", "max us");
	return report;
}

static json_t *us(uint32_t ns)
{
	return json_real(ns / 1000.0);
}

static json_t *latency_json(const struct bench_latency *l)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "commands", (json_int_t)l->commands, "p50",
			 us(l->p50), "p90", us(l->p90), "p99", us(l->p99), "p999", us(l->p999), "max",
			 us(l->max));
}

static json_t *phase_json(const struct bench_result *r, double rate)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:o, s:o, s:o, s:I, s:I, s:I}",
			 "workload", bench_workload_names[r->workload],
			 "commands", (json_int_t)r->commands, "pages", (json_int_t)r->pages,
			 "pages_out", (json_int_t)r->pages_out, "pages_in", (json_int_t)r->pages_in,
			 "seconds", r->ns / 1e9, "pages_per_s", rate, "latency_us",
			 latency_json(&r->all), "page_in_us", latency_json(&r->in), "page_out_us",
			 latency_json(&r->out),
			 "errors", (json_int_t)r->errors, "mismatches", (json_int_t)r->mismatches,
			 "late_writes", (json_int_t)r->late);
}

static void row(const char *name, const struct bench_latency *l, double pages_per_s)
{
	printf("%-9s %10llu %12.0f %10.1f %9.1f %9.1f %9.1f %9.1f %10.1f\n", name,
	       (unsigned long long)l->commands, pages_per_s, pages_per_s / 256, l->p50 / 1e3,
	       l->p90 / 1e3, l->p99 / 1e3, l->p999 / 1e3, l->max / 1e3);
}

void bench_report_add(struct bench_report *report, const struct bench_result *r)
{
	double rate = r->ns ? r->pages / (r->ns / 1e9) : 0;

	report->commands += r->commands;
	report->pages += r->pages;
	report->errors += r->errors;
	report->mismatches += r->mismatches;
	report->late += r->late;
	if (report->json) {
		json_array_append_new(report->phases, phase_json(r, rate));
		return;
	}
	row(bench_workload_names[r->workload], &r->all, rate);
	if (r->in.commands && r->out.commands) {
		row("  in", &r->in, r->pages_in / (r->ns / 1e9));
		row("  out", &r->out, r->pages_out / (r->ns / 1e9));
	}
	fflush(stdout);
}

static json_t *stats_json(const struct rmnic_stats *s)
{
	if (!s)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}",
			 "pages_out", (json_int_t)rmnic_le64_get(s->pages_out),
			 "pages_in", (json_int_t)rmnic_le64_get(s->pages_in),
			 "pages_freed", (json_int_t)rmnic_le64_get(s->pages_freed),
			 "pages_stored", (json_int_t)rmnic_le64_get(s->pages_stored),
			 "doorbells", (json_int_t)rmnic_le64_get(s->doorbells),
			 "wakeups", (json_int_t)rmnic_le64_get(s->wakeups));
}

bool bench_report_end(struct bench_report *report, const struct bench_driver *driver,
		      const struct rmnic_stats *stats)
{
	bool ok = report->pages && !report->errors && !report->mismatches && !report->late;

	if (report->json) {
		json_t *all = json_pack("{s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:f, s:o, s:b}",
					"link", driver->link->kind, "backend", driver->link->backend,
					"phases", report->phases, "errors", (json_int_t)report->errors,
					"mismatches", (json_int_t)report->mismatches,
					"late_writes", (json_int_t)report->late,
					"reconnects", (json_int_t)driver->reconnects,
					"reconnect_max_ms", driver->reconnect_max_ns / 1e6,
					"device_stats", stats_json(stats), "ok", ok);

		json_dumpf(all, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
		printf("\n");
		json_decref(all);
	} else {
		printf("%llu pages over %s; %llu errors, %llu mismatches, %llu writes too late",
		       (unsigned long long)report->pages, driver->link->kind,
		       (unsigned long long)report->errors, (unsigned long long)report->mismatches,
		       (unsigned long long)report->late);
		if (driver->reconnect)
			printf(", %llu backends died", (unsigned long long)driver->reconnects);
		printf("\n");
		json_decref(report->phases);
	}
	free(report);
	return ok;
}
