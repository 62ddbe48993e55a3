/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ctl/sample.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

static bool has_command(const json_t *commands, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach(commands, i, entry) {
		const char *have = json_string_value(json_object_get(entry, "command"));

		if (have && !strcmp(have, name))
			return true;
	}
	return false;
}

int ctl_sample_take(struct rmnic_ctl_client *client, const json_t *commands,
		    struct ctl_sample *out, struct rmnic_error *err)
{
	struct {
		const char *name;
		json_t **result;
	} const asked[] = {
		{ "status", &out->status }, { "devices", &out->devices },
		{ "servers", &out->servers }, { "sessions", &out->sessions },
		{ "memory", &out->memory }, { "latency", &out->latency },
	};
	struct timespec now;

	memset(out, 0, sizeof(*out));
	clock_gettime(CLOCK_MONOTONIC, &now);
	out->ns = (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		if (!has_command(commands, asked[i].name))
			continue;
		*asked[i].result = rmnic_ctl_ask(client,
						 json_pack("{s:s}", "command", asked[i].name), err);
		if (!*asked[i].result) {
			ctl_sample_free(out);
			return -1;
		}
	}
	return 0;
}

void ctl_sample_free(struct ctl_sample *sample)
{
	json_decref(sample->status);
	json_decref(sample->devices);
	json_decref(sample->servers);
	json_decref(sample->sessions);
	json_decref(sample->memory);
	json_decref(sample->latency);
	memset(sample, 0, sizeof(*sample));
}

/* The row of an array whose key is this text. */
static const json_t *row_find(const json_t *rows, const char *key, const char *text)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		const char *have = json_string_value(json_object_get(row, key));

		if (have && text && !strcmp(have, text))
			return row;
	}
	return NULL;
}

static const json_t *stage_find(const json_t *latency, const char *device, const char *stage)
{
	json_t *row;
	size_t i;

	json_array_foreach(latency, i, row) {
		const char *d = json_string_value(json_object_get(row, "device"));
		const char *s = json_string_value(json_object_get(row, "stage"));

		if (d && s && !strcmp(d, device) && !strcmp(s, stage))
			return json_object_get(row, "buckets");
	}
	return NULL;
}

static json_int_t bucket_count(const json_t *buckets, size_t i)
{
	return json_integer_value(json_array_get(json_array_get(buckets, i), 1));
}

/* The bound below which the p-th part of what was added lies; < 0: nothing was. */
static double added_percentile(const json_t *before, const json_t *now, double p)
{
	size_t buckets = json_array_size(now);
	double total = 0, sum = 0, bound = -1;

	for (size_t i = 0; i < buckets; i++)
		total += (double)(bucket_count(now, i) - bucket_count(before, i));
	if (total <= 0)
		return -1;
	for (size_t i = 0; i < buckets; i++) {
		double added = (double)(bucket_count(now, i) - bucket_count(before, i));

		if (added <= 0)
			continue;
		sum += added;
		bound = json_number_value(json_array_get(json_array_get(now, i), 0));
		if (sum >= p * total)
			break;
	}
	return bound;
}

static void percentiles_add(json_t *row, const struct ctl_sample *before,
			    const struct ctl_sample *now, const char *stage, const char *p50,
			    const char *p99)
{
	const char *device = json_string_value(json_object_get(row, "uuid"));
	const json_t *a = device ? stage_find(before->latency, device, stage) : NULL;
	const json_t *b = device ? stage_find(now->latency, device, stage) : NULL;
	double half = added_percentile(a, b, 0.50);

	if (half < 0)
		return;
	json_object_set_new(row, p50, json_real(half));
	json_object_set_new(row, p99, json_real(added_percentile(a, b, 0.99)));
}

static void rate_add(json_t *row, const json_t *before, const char *counter, const char *rate,
		     double seconds)
{
	const json_t *a = json_object_get(before, counter), *b = json_object_get(row, counter);
	double added = json_number_value(b) - json_number_value(a);

	/* A counter that fell is another life of the daemon. */
	if (json_is_number(a) && json_is_number(b) && added >= 0 && seconds > 0)
		json_object_set_new(row, rate, json_integer((json_int_t)(added / seconds + 0.5)));
}

json_t *ctl_sample_devices(const struct ctl_sample *before, const struct ctl_sample *now)
{
	double seconds = (double)(now->ns - before->ns) / 1e9;
	json_t *rows = json_array(), *device;
	size_t i;

	json_array_foreach(now->devices, i, device) {
		json_t *row = json_copy(device);
		const char *uuid = json_string_value(json_object_get(row, "uuid"));
		const json_t *old = row_find(before->devices, "uuid", uuid);

		if (old) {
			rate_add(row, old, "pages_in", "in_rate", seconds);
			rate_add(row, old, "pages_out", "out_rate", seconds);
			rate_add(row, old, "copied_pages", "copy_rate", seconds);
			percentiles_add(row, before, now, "page-in-total", "in_p50", "in_p99");
			percentiles_add(row, before, now, "page-out-total", "out_p50", "out_p99");
		}
		json_array_append_new(rows, row);
	}
	return rows;
}

double ctl_sample_sum(const json_t *rows, const char *key)
{
	double sum = 0;
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		sum += json_number_value(json_object_get(row, key));
	}
	return sum;
}
