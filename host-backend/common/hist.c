/* SPDX-License-Identifier: BSD-3-Clause */
/* The engine's histograms for people and Prometheus. */
#include "common/hist.h"

#define NS_PER_US 1000.0
#define NS_PER_S  1000000000.0

static uint64_t load(const uint64_t *value)
{
	return __atomic_load_n(value, __ATOMIC_RELAXED);
}

void rmnic_hist_copy(struct rmnic_hist *out, const struct rmnic_hist *hist)
{
	out->count = 0;
	for (int i = 0; i < RMNIC_HIST_BUCKETS; i++) {
		out->bucket[i] = load(&hist->bucket[i]);
		out->count += out->bucket[i];
	}
	out->sum_ns = load(&hist->sum_ns);
	out->max_ns = load(&hist->max_ns);
}

void rmnic_hist_merge(struct rmnic_hist *into, const struct rmnic_hist *from)
{
	for (int i = 0; i < RMNIC_HIST_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
	into->count += from->count;
	into->sum_ns += from->sum_ns;
	if (from->max_ns > into->max_ns)
		into->max_ns = from->max_ns;
}

/* A bucket's upper bound may lie above the largest value there was. */
static double percentile_us(const struct rmnic_hist *hist, double p)
{
	uint64_t ns = rmnic_hist_percentile(hist, p);

	return (double)(ns > hist->max_ns ? hist->max_ns : ns) / NS_PER_US;
}

json_t *rmnic_hist_summary(const struct rmnic_hist *hist)
{
	return json_pack("{s:f, s:f, s:f, s:f}", "p50", percentile_us(hist, 0.50), "p99",
			 percentile_us(hist, 0.99), "p999", percentile_us(hist, 0.999), "max",
			 (double)hist->max_ns / NS_PER_US);
}

static int last_used(const struct rmnic_hist *hist)
{
	int last = RMNIC_HIST_BUCKETS - 1;

	while (last >= 0 && !hist->bucket[last])
		last--;
	return last;
}

json_t *rmnic_hist_json(const struct rmnic_hist *hist)
{
	json_t *json = rmnic_hist_summary(hist);
	json_t *buckets = json_array();
	int last = last_used(hist);

	for (int i = 0; i <= last; i++)
		json_array_append_new(buckets,
				      json_pack("[f, I]", (double)(2ull << i) / NS_PER_US,
						(json_int_t)hist->bucket[i]));
	json_object_set_new(json, "unit", json_string("us"));
	json_object_set_new(json, "count", json_integer((json_int_t)hist->count));
	json_object_set_new(json, "buckets", buckets);
	return json;
}

void rmnic_hist_metric(struct rmnic_metrics *m, const struct rmnic_label *labels,
		       unsigned int nlabels, const struct rmnic_hist *hist)
{
	double upper[RMNIC_HIST_BUCKETS - 1];

	/* The last bucket has no bound. */
	for (int i = 0; i < RMNIC_HIST_BUCKETS - 1; i++)
		upper[i] = (double)(2ull << i) / NS_PER_S;
	rmnic_metrics_histogram(m, labels, nlabels, upper, hist->bucket, RMNIC_HIST_BUCKETS - 1,
				hist->bucket[RMNIC_HIST_BUCKETS - 1],
				(double)hist->sum_ns / NS_PER_S);
}
