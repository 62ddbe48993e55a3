/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/ctl/views.h"

#include <string.h>

#define TABLE(columns, text) { columns, sizeof(columns) / sizeof(columns[0]), text }
#define BAR_WIDTH 40

static const struct ctl_column device_columns[] = {
	{ "DEVICE", "uuid", CTL_TEXT },
	{ "VM", "vm", CTL_TEXT },
	{ "STATE", "state", CTL_TEXT },
	{ "EPOCH", "epoch", CTL_NUMBER },
	{ "CAPACITY", "capacity_pages", CTL_PAGES },
	{ "STORED", "stored_pages", CTL_PAGES },
	{ "QUEUES", "queues", CTL_NUMBER },
	{ "LCORE", "lcore", CTL_NUMBER },
	{ "PAGES-IN", "pages_in", CTL_COUNT },
	{ "PAGES-OUT", "pages_out", CTL_COUNT },
	{ "IN-P50", "page_in_us.p50", CTL_US },
	{ "IN-P99", "page_in_us.p99", CTL_US },
	{ "OUT-P50", "page_out_us.p50", CTL_US },
	{ "OUT-P99", "page_out_us.p99", CTL_US },
	{ "REPLICAS", "replicas", CTL_NUMBER },
	{ "SLABS", "slabs.placed", CTL_COUNT },
	{ "HEALTH", "health", CTL_TEXT },
};

const struct ctl_table ctl_devices = TABLE(device_columns, "no device is connected");

static const struct ctl_column server_columns[] = {
	{ "SERVER", "address", CTL_TEXT },
	{ "LABEL", "label", CTL_TEXT },
	{ "DOMAIN", "domain", CTL_TEXT },
	{ "STATE", "state", CTL_TEXT },
	{ "NOTE", "note", CTL_TEXT },
	{ "MTU", "mtu", CTL_NUMBER },
	{ "FREE", "free_pages", CTL_PAGES },
	{ "SLABS", "slabs", CTL_COUNT },
	{ "STORED", "pages", CTL_PAGES },
	{ "RTT-US", "rtt_us", CTL_US },
	{ "WINDOW", "window_bytes", CTL_BYTES },
	{ "RETRANSMITS", "retransmits", CTL_COUNT },
	{ "UUID", "uuid", CTL_TEXT },
};

const struct ctl_table ctl_servers =
	TABLE(server_columns, "no memory server is configured (rmnicctl server add ADDRESS)");

static const struct ctl_column slab_columns[] = {
	{ "DEVICE", "device", CTL_TEXT },
	{ "SLAB", "slab", CTL_NUMBER },
	{ "VIEW", "view", CTL_NUMBER },
	{ "SPILL", "spill", CTL_TEXT },
	{ "WAITING-FOR", "missing", CTL_LIST },
	{ "MEMBERS", "members", CTL_MEMBERS },
};

const struct ctl_table ctl_slabs = TABLE(slab_columns, "there is no slab yet");

static const struct ctl_column server_slab_columns[] = {
	{ "DEVICE", "device", CTL_TEXT },
	{ "SLAB", "slab", CTL_NUMBER },
	{ "HANDLE", "handle", CTL_NUMBER },
	{ "STORED", "pages", CTL_PAGES },
	{ "RESERVED", "reserved_pages", CTL_PAGES },
};

const struct ctl_table ctl_server_slabs = TABLE(server_slab_columns, "there is no slab yet");

static const struct ctl_column session_columns[] = {
	{ "DEVICE", "device", CTL_TEXT },
	{ "PEER", "peer", CTL_TEXT },
	{ "EPOCH", "epoch", CTL_NUMBER },
	{ "SLABS", "slabs", CTL_COUNT },
	{ "STORED", "pages", CTL_PAGES },
};

const struct ctl_table ctl_sessions = TABLE(session_columns, "no backend is connected");

static const struct ctl_column port_columns[] = {
	{ "PORT", "device", CTL_TEXT },
	{ "DRIVER", "driver", CTL_TEXT },
	{ "ADDRESS", "address", CTL_TEXT },
	{ "MTU", "mtu", CTL_NUMBER },
	{ "LINK", "link", CTL_LINK },
	{ "RX", "rx", CTL_COUNT },
	{ "TX", "tx", CTL_COUNT },
	{ "MISSED", "rx_missed", CTL_COUNT },
	{ "RX-ERRORS", "rx_errors", CTL_COUNT },
	{ "TX-ERRORS", "tx_errors", CTL_COUNT },
};

const struct ctl_table ctl_ports = TABLE(port_columns, "no port is open");

static const struct ctl_column lcore_columns[] = {
	{ "LCORE", "lcore", CTL_NUMBER },
	{ "CPU", "cpu", CTL_NUMBER },
	{ "BUSY-%", "busy_percent", CTL_PERCENT },
	{ "DEVICES", "devices", CTL_COUNT },
	{ "CPUS-AWAKE", "awake", CTL_TEXT },
	{ "SCHED", "sched", CTL_TEXT },
};

const struct ctl_table ctl_lcores = TABLE(lcore_columns, "no lcore works");

static const struct ctl_column stage_columns[] = {
	{ "DEVICE", "device", CTL_TEXT },
	{ "STAGE", "stage", CTL_TEXT },
	{ "COUNT", "count", CTL_COUNT },
	{ "P50-US", "p50", CTL_US },
	{ "P99-US", "p99", CTL_US },
	{ "P99.9-US", "p999", CTL_US },
	{ "MAX-US", "max", CTL_US },
};

const struct ctl_table ctl_stages = TABLE(stage_columns, "nothing has been timed yet");

void ctl_status_print(FILE *out, const json_t *result)
{
	json_t *flat = json_copy((json_t *)result);
	const json_t *ports = json_object_get(result, "ports");
	const json_t *lcores = json_object_get(result, "lcores");

	json_object_del(flat, "ports");
	json_object_del(flat, "lcores");
	ctl_object_print(out, flat);
	json_decref(flat);
	if (json_is_array(lcores)) {
		putc('\n', out);
		ctl_table_print(out, &ctl_lcores, lcores);
	}
	if (json_is_array(ports)) {
		putc('\n', out);
		ctl_table_print(out, &ctl_ports, ports);
	}
}

static json_int_t bucket_max(const json_t *buckets)
{
	json_int_t most = 0;
	json_t *bucket;
	size_t i;

	json_array_foreach(buckets, i, bucket) {
		json_int_t count = json_integer_value(json_array_get(bucket, 1));

		if (count > most)
			most = count;
	}
	return most;
}

/* From the first bucket that is not empty, one line each: bound, count, bar. */
static void buckets_print(FILE *out, const json_t *row)
{
	const json_t *buckets = json_object_get(row, "buckets");
	json_int_t most = bucket_max(buckets);
	bool begun = false;
	char count[32], device[64], stage[64];
	json_t *bucket;
	size_t i;

	if (!most)
		return;
	ctl_value_format(CTL_TEXT, json_object_get(row, "device"), device, sizeof(device));
	ctl_value_format(CTL_TEXT, json_object_get(row, "stage"), stage, sizeof(stage));
	fprintf(out, "\n%s %s\n", device, stage);
	json_array_foreach(buckets, i, bucket) {
		json_int_t n = json_integer_value(json_array_get(bucket, 1));
		int bar = (int)((double)n / (double)most * BAR_WIDTH + 0.5);

		begun = begun || n;
		if (!begun)
			continue;
		ctl_count_format(n, count, sizeof(count));
		fprintf(out, "  < %12.1f us %14s%s%.*s\n",
			json_number_value(json_array_get(bucket, 0)), count, bar > 0 ? "  " : "",
			bar > 0 ? bar : 0, "########################################");
	}
}

void ctl_latency_print(FILE *out, const json_t *result)
{
	json_t *row;
	size_t i;

	ctl_table_print(out, &ctl_stages, result);
	json_array_foreach(result, i, row) {
		buckets_print(out, row);
	}
}

/* A backend knows a slab's members, a memory server what it keeps of it. */
void ctl_slabs_print(FILE *out, const json_t *result)
{
	const json_t *first = json_array_get(result, 0);

	ctl_table_print(out, json_object_get(first, "handle") ? &ctl_server_slabs : &ctl_slabs,
			result);
}

void ctl_memory_print(FILE *out, const json_t *result)
{
	static const char *const keys[] = { "memory", "used", "free" };
	static const char *const states[] = { "hugepages", "pressure", "draining" };
	char text[32];

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		ctl_value_format(CTL_BYTES, json_object_get(result, keys[i]), text, sizeof(text));
		fprintf(out, "%-10s  %s\n", keys[i], text);
	}
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		ctl_value_format(CTL_TEXT, json_object_get(result, states[i]), text, sizeof(text));
		fprintf(out, "%-10s  %s\n", states[i], text);
	}
}
