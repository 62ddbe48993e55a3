/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/hist.h"
#include "common/log.h"
#include "common/metrics.h"
#include "prometheus.h"
#include "scratch.h"

static const struct rmnic_metric pages = { "rmnic_pages_in_total", RMNIC_METRIC_COUNTER,
					   "Pages that came in." };
static const struct rmnic_metric rtt = { "rmnic_rtt_seconds", RMNIC_METRIC_GAUGE,
					 "A \\ and\na \"line\"." };
static const struct rmnic_metric lat = { "rmnic_page_in_seconds", RMNIC_METRIC_HISTOGRAM,
					 "How long." };

static void fill_all(void *arg, struct rmnic_metrics *m)
{
	static const struct rmnic_label two[] = { { "device", "d1" }, { "vm", "a\"b\\c\nd" } };
	static const double upper[] = { 0.001, 0.002, 1 };
	static const uint64_t count[] = { 3, 0, 4 };

	(void)arg;
	rmnic_metrics_family(m, &pages);
	rmnic_metrics_uint(m, NULL, 0, UINT64_MAX);
	rmnic_metrics_uint(m, two, 2, 7);
	rmnic_metrics_family(m, &rtt);
	rmnic_metrics_double(m, two, 1, 1.5e-05);
	rmnic_metrics_double(m, NULL, 0, NAN);
	rmnic_metrics_family(m, &lat);
	rmnic_metrics_histogram(m, two, 1, upper, count, 3, 2, 2.5);
	rmnic_metrics_histogram(m, NULL, 0, upper, count, 3, 0, 2.5);
}

static void rmnic_metrics__the_format(void **state)
{
	char *text = rmnic_metrics_text(fill_all, NULL);

	(void)state;
	assert_string_equal(text,
		"# HELP rmnic_pages_in_total Pages that came in.\n"
		"# TYPE rmnic_pages_in_total counter\n"
		"rmnic_pages_in_total 18446744073709551615\n"
		"rmnic_pages_in_total{device=\"d1\",vm=\"a\\\"b\\\\c\\nd\"} 7\n"
		"# HELP rmnic_rtt_seconds A \\\\ and\\na \"line\".\n"
		"# TYPE rmnic_rtt_seconds gauge\n"
		"rmnic_rtt_seconds{device=\"d1\"} 1.5e-05\n"
		"rmnic_rtt_seconds NaN\n"
		"# HELP rmnic_page_in_seconds How long.\n"
		"# TYPE rmnic_page_in_seconds histogram\n"
		"rmnic_page_in_seconds_bucket{device=\"d1\",le=\"0.001\"} 3\n"
		"rmnic_page_in_seconds_bucket{device=\"d1\",le=\"0.002\"} 3\n"
		"rmnic_page_in_seconds_bucket{device=\"d1\",le=\"1\"} 7\n"
		"rmnic_page_in_seconds_bucket{device=\"d1\",le=\"+Inf\"} 9\n"
		"rmnic_page_in_seconds_sum{device=\"d1\"} 2.5\n"
		"rmnic_page_in_seconds_count{device=\"d1\"} 9\n"
		"rmnic_page_in_seconds_bucket{le=\"0.001\"} 3\n"
		"rmnic_page_in_seconds_bucket{le=\"0.002\"} 3\n"
		"rmnic_page_in_seconds_bucket{le=\"1\"} 7\n"
		"rmnic_page_in_seconds_bucket{le=\"+Inf\"} 7\n"
		"rmnic_page_in_seconds_sum 2.5\n"
		"rmnic_page_in_seconds_count 7\n");
	assert_null(prometheus_check(text));
	free(text);
}

/* The reader that other tests rely on finds what it is for. */
static void prometheus_check__finds_mistakes(void **state)
{
	static const char *const cases[][2] = {
		{ "", "line 1: there is no family" },
		{ "a 1\n", "line 1: a sample outside its family" },
		{ "# HELP a b\n# TYPE a gauge\nb 1\n", "line 3: a sample outside its family" },
		{ "# HELP a b\n# TYPE a gauge\nab 1\n", "line 3: a sample outside its family" },
		{ "# HELP a b\n# TYPE b gauge\n", "line 2: TYPE of another family than HELP" },
		{ "# HELP a b\n# TYPE a gauge\na 1", "line 3: the last line does not end" },
		{ "# HELP a b\n# TYPE a gauge\na one\n", "line 3: no number at the end" },
		{ "# HELP a b\n# TYPE a gauge\na{x=1} 1\n", "line 3: broken labels" },
		{ "# HELP a b\n# TYPE a gauge\na{x=\"\\t\"} 1\n", "line 3: broken labels" },
		{ "# HELP a b\n# TYPE a counter\na 1\n",
		  "line 3: a counter is not negative and its name ends in _total" },
		{ "# HELP a b\n# TYPE a sum\n", "line 2: no such type" },
		{ "# HELP a b\n# TYPE a gauge\n# HELP a b\n", "line 3: this family was there already" },
		{ "# HELP a b\n# TYPE a histogram\na_sum 1\n", "line 3: a histogram without all its buckets" },
		{ "# HELP a b\n# TYPE a histogram\na_bucket{le=\"2\"} 1\na_bucket{le=\"1\"} 1\n",
		  "line 4: buckets do not grow" },
		{ "# HELP a b\n# TYPE a histogram\na_bucket{le=\"+Inf\"} 1\na_count 2\n",
		  "line 4: the count is not that of the last bucket" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(prometheus_check(cases[i][0]), cases[i][1]);
}

/* --- The file ------------------------------------------------------------------------------- */

struct feed {
	sd_event *event;
	uint64_t value;
};

static void fill_value(void *arg, struct rmnic_metrics *m)
{
	struct feed *feed = arg;

	rmnic_metrics_family(m, &pages);
	rmnic_metrics_uint(m, NULL, 0, ++feed->value);
	if (feed->value == 3)
		sd_event_exit(feed->event, 0);
}

static void rmnic_exporter__writes_whole_files_by_a_timer(void **state)
{
	struct rmnic_exporter *exporter;
	struct scratch scratch = { 0 };
	struct rmnic_error err;
	struct feed feed = { 0 };
	char text[512];
	struct stat st;

	(void)state;
	scratch_open(&scratch);
	assert_true(sd_event_new(&feed.event) >= 0);
	exporter = rmnic_exporter_open(feed.event, scratch_path(&scratch, "m.prom"), 1, fill_value,
				       &feed, &err);
	assert_non_null(exporter);
	assert_non_null(strstr(scratch_read(&scratch, "m.prom", text, sizeof(text)), "_total 1\n"));
	assert_int_equal(stat(scratch_path(&scratch, "m.prom"), &st), 0);
	assert_int_equal(st.st_mode & 0444, 0444);
	/* The loop ends with the third writing, which is done all the same. */
	assert_int_equal(sd_event_loop(feed.event), 0);
	assert_non_null(strstr(scratch_read(&scratch, "m.prom", text, sizeof(text)), "_total 3\n"));
	assert_null(prometheus_check(text));
	assert_int_not_equal(access(scratch_path(&scratch, "m.prom.new"), F_OK), 0);
	rmnic_exporter_close(exporter);
	assert_int_not_equal(access(scratch_path(&scratch, "m.prom"), F_OK), 0);
	sd_event_unref(feed.event);
	scratch_close(&scratch);
}

static void rmnic_exporter__a_place_that_cannot_be_written(void **state)
{
	struct rmnic_error err;
	struct feed feed = { 0 };

	(void)state;
	assert_true(sd_event_new(&feed.event) >= 0);
	assert_null(rmnic_exporter_open(feed.event, "/nowhere/m.prom", 1, fill_value, &feed, &err));
	assert_string_equal(err.text, "metrics file /nowhere/m.prom: No such file or directory");
	sd_event_unref(feed.event);
}

/* --- Histograms ----------------------------------------------------------------------------- */

static void fill_hist(void *arg, struct rmnic_metrics *m)
{
	rmnic_metrics_family(m, &lat);
	rmnic_hist_metric(m, NULL, 0, arg);
}

static void rmnic_hist__json_and_metric(void **state)
{
	struct rmnic_hist live = { 0 }, hist;
	json_t *json;
	char *text;

	(void)state;
	json = rmnic_hist_json(&live);
	text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
	assert_string_equal(text, "{\"p50\":0.0,\"p99\":0.0,\"p999\":0.0,\"max\":0.0,\"unit\":\"us\","
				  "\"count\":0,\"buckets\":[]}");
	json_decref(json);
	free(text);
	for (int i = 0; i < 99; i++)
		rmnic_hist_add(&live, 1);
	rmnic_hist_add(&live, 5);
	rmnic_hist_copy(&hist, &live);
	rmnic_hist_merge(&hist, &live);
	assert_int_equal(hist.count, 200);
	assert_int_equal(hist.sum_ns, 208);
	json = rmnic_hist_json(&hist);
	text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(6));
	assert_string_equal(text, "{\"p50\":0.002,\"p99\":0.002,\"p999\":0.005,\"max\":0.005,\"unit\":\"us\","
				  "\"count\":200,\"buckets\":[[0.002,198],[0.004,0],[0.008,2]]}");
	json_decref(json);
	free(text);
	text = rmnic_metrics_text(fill_hist, &hist);
	assert_null(prometheus_check(text));
	assert_non_null(strstr(text, "_bucket{le=\"2e-09\"} 198\n"));
	assert_non_null(strstr(text, "_sum 2.08e-07\n"));
	assert_non_null(strstr(text, "_count 200\n"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_metrics__the_format),
		cmocka_unit_test(prometheus_check__finds_mistakes),
		cmocka_unit_test(rmnic_exporter__writes_whole_files_by_a_timer),
		cmocka_unit_test(rmnic_exporter__a_place_that_cannot_be_written),
		cmocka_unit_test(rmnic_hist__json_and_metric),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
