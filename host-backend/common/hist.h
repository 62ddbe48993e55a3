/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/hist.h - the engine's histograms as JSON and for Prometheus.
 *
 * Take a copy first where another thread writes (rmnic_hist_copy()).
 */
#ifndef RMNIC_COMMON_HIST_H
#define RMNIC_COMMON_HIST_H

#include <jansson.h>

#include "common/metrics.h"
#include "engine/stats.h"

/* A copy of one that another thread writes; its count is that of the copied buckets. */
void rmnic_hist_copy(struct rmnic_hist *out, const struct rmnic_hist *hist);
/* Adds what is in one to another. */
void rmnic_hist_merge(struct rmnic_hist *into, const struct rmnic_hist *from);
/* {"p50","p99","p999","max"} in us. */
json_t *rmnic_hist_summary(const struct rmnic_hist *hist);
/* The summary, "unit", "count" and "buckets": [[upper, count], ...] up to the last that is not empty. */
json_t *rmnic_hist_json(const struct rmnic_hist *hist);
/* One sample of a histogram family, in seconds. */
void rmnic_hist_metric(struct rmnic_metrics *m, const struct rmnic_label *labels,
		       unsigned int nlabels, const struct rmnic_hist *hist);

#endif /* RMNIC_COMMON_HIST_H */
