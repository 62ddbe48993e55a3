/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/metrics.h - figures for Prometheus, in a file for node_exporter's textfile collector.
 *
 * The file is written whole under another name and renamed, so that no reader sees half of
 * it. A program describes its families in a table and feeds them one after the other.
 */
#ifndef RMNIC_COMMON_METRICS_H
#define RMNIC_COMMON_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "common/error.h"

enum rmnic_metric_type { RMNIC_METRIC_COUNTER, RMNIC_METRIC_GAUGE, RMNIC_METRIC_HISTOGRAM };

struct rmnic_metric {
	const char *name; /* "rmnic_pages_in_total" */
	enum rmnic_metric_type type;
	const char *help;
};

struct rmnic_label {
	const char *name, *value;
};

/* Where figures are written to while a file is made. */
struct rmnic_metrics;

/* Begins a family; its samples follow, before the next one begins. */
void rmnic_metrics_family(struct rmnic_metrics *m, const struct rmnic_metric *metric);
/* labels: nlabels of them, values in UTF-8 of any content. */
void rmnic_metrics_uint(struct rmnic_metrics *m, const struct rmnic_label *labels,
			unsigned int nlabels, uint64_t value);
void rmnic_metrics_double(struct rmnic_metrics *m, const struct rmnic_label *labels,
			  unsigned int nlabels, double value);
/*
 * One histogram: count[i] observations of at most upper[i] (ascending), not added up, then those above
 * the last; sum of all values. In the family's unit, seconds by convention.
 */
void rmnic_metrics_histogram(struct rmnic_metrics *m, const struct rmnic_label *labels,
			     unsigned int nlabels, const double *upper, const uint64_t *count,
			     unsigned int buckets, uint64_t above, double sum);

struct rmnic_exporter;

typedef void (*rmnic_metrics_fill)(void *arg, struct rmnic_metrics *m);

/* Writes path now and then every interval_ms. NULL: err (the first write failed). */
struct rmnic_exporter *rmnic_exporter_open(sd_event *event, const char *path,
					   unsigned int interval_ms, rmnic_metrics_fill fill,
					   void *arg, struct rmnic_error *err);
/* Removes the file: figures of a program that is gone are no figures. NULL is allowed. */
void rmnic_exporter_close(struct rmnic_exporter *exporter);

/* The text alone, for tests and for who serves it otherwise. To be freed; NULL: no memory. */
char *rmnic_metrics_text(rmnic_metrics_fill fill, void *arg);

#endif /* RMNIC_COMMON_METRICS_H */
