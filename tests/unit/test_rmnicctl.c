/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tools/ctl/commands.h"
#include "tools/ctl/sample.h"
#include "tools/ctl/views.h"

static json_t *json(const char *text)
{
	json_error_t err;
	json_t *value = json_loads(text, JSON_DECODE_ANY, &err);

	if (!value)
		fail_msg("%s", err.text);
	return value;
}

/* What printing this answer gives; to be freed. */
static char *printed(void (*print)(FILE *out, const json_t *result), const char *text)
{
	json_t *value = json(text);
	char *buf = NULL;
	size_t len;
	FILE *out = open_memstream(&buf, &len);

	print(out, value);
	fclose(out);
	json_decref(value);
	return buf;
}

static void prints(const char *command, const char *answer, const char *want)
{
	char *text = printed(ctl_command_find(command)->print, answer);

	assert_string_equal(text, want);
	free(text);
}

static void ctl_size_format__whole_or_one_digit(void **state)
{
	char buf[32];

	(void)state;
	ctl_size_format(0, buf, sizeof(buf));
	assert_string_equal(buf, "0B");
	ctl_size_format(4096, buf, sizeof(buf));
	assert_string_equal(buf, "4K");
	ctl_size_format(1.5 * 1024 * 1024 * 1024, buf, sizeof(buf));
	assert_string_equal(buf, "1.5G");
	ctl_size_format(1ull << 60, buf, sizeof(buf));
	assert_string_equal(buf, "1E");
	ctl_count_format(1234567, buf, sizeof(buf));
	assert_string_equal(buf, "1,234,567");
	ctl_count_format(-123, buf, sizeof(buf));
	assert_string_equal(buf, "-123");
	ctl_count_format(999, buf, sizeof(buf));
	assert_string_equal(buf, "999");
}

static void ctl_table_print__columns(void **state)
{
	(void)state;
	prints("sessions",
	       "[{\"device\":\"0b8f2c4e\",\"peer\":\"10.0.0.1:7700\",\"epoch\":3,\"slabs\":16,\"pages\":262144},"
	       "{\"device\":\"1\",\"peer\":\"10.0.0.2:7700\",\"epoch\":12,\"slabs\":1600,\"pages\":1}]",
	       "DEVICE    PEER           EPOCH  SLABS  STORED\n"
	       "0b8f2c4e  10.0.0.1:7700      3     16      1G\n"
	       "1         10.0.0.2:7700     12  1,600      4K\n");
	prints("sessions", "[]", "no backend is connected\n");
}

static void ctl_table_print__answers_of_any_shape(void **state)
{
	static const char *const shapes[] = {
		"[]", "{}", "5", "null", "\"x\"", "[5]", "[null]", "[[]]",
		"[{\"uuid\":5,\"page_in_us\":7,\"members\":3,\"buckets\":{},\"link\":[]}]",
		"[{\"buckets\":[5,[],[\"x\",\"y\"],[1,-5],[2,9]],\"members\":[5,{\"server\":5}]}]",
	};

	(void)state;
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
			free(printed(c->print, shapes[i]));
	}
	/* What is missing is a dash; nothing reaches the terminal as a control character. */
	prints("sessions", "[{\"device\":\"a\\u001b[2J\\n\",\"pages\":\"\"}]",
	       "DEVICE  PEER  EPOCH  SLABS  STORED\na?[2J?  -         -      -       -\n");
}

static void ctl_slabs_print__of_either_daemon(void **state)
{
	(void)state;
	prints("slabs",
	       "[{\"device\":\"d\",\"slab\":7,\"view\":2,\"members\":[{\"server\":\"u1\","
	       "\"address\":\"10.0.0.1:7611\",\"state\":\"whole\"},{\"server\":\"u2\",\"address\":\"\","
	       "\"state\":\"away\"}],\"spill\":true,\"missing\":[\"u2\",\"u3\"]}]",
	       "DEVICE  SLAB  VIEW  SPILL  WAITING-FOR  MEMBERS\n"
	       "d          7     2  yes    u2 u3        10.0.0.1:7611 u2(away)\n");
	prints("slabs", "[{\"device\":\"d\",\"slab\":7,\"handle\":5,\"pages\":2}]",
	       "DEVICE  SLAB  HANDLE  STORED  RESERVED\nd          7       5      8K         -\n");
}

static void ctl_latency_print__buckets_as_bars(void **state)
{
	(void)state;
	prints("latency",
	       "[{\"device\":\"d\",\"stage\":\"page-in-total\",\"count\":3,\"p50\":1.0,\"p99\":2.0,"
	       "\"p999\":2.0,\"max\":1.9,\"buckets\":[[0.5,0],[1.0,1],[2.0,2]]}]",
	       "DEVICE  STAGE          COUNT  P50-US  P99-US  P99.9-US  MAX-US\n"
	       "d       page-in-total      3     1.0     2.0       2.0     1.9\n"
	       "\nd page-in-total\n"
	       "  <          1.0 us              1  ####################\n"
	       "  <          2.0 us              2  ########################################\n");
}

static void ctl_status_print__flat_then_tables(void **state)
{
	(void)state;
	prints("status",
	       "{\"program\":\"rmnicd\",\"pid\":5,\"memory\":\"locked\",\"ports\":[{\"device\":\"eth0\","
	       "\"link\":true}]}",
	       "program  rmnicd\npid      5\nmemory   locked\n\n"
	       "PORT  DRIVER  ADDRESS  MTU  LINK  RX  TX  MISSED  RX-ERRORS  TX-ERRORS\n"
	       "eth0  -       -          -  up     -   -       -          -          -\n");
}

static void ctl_commands__requests(void **state)
{
	static const struct {
		const char *command, *argv[3];
		int argc;
		const char *request; /* or what is wrong */
	} cases[] = {
		{ "devices", { 0 }, 0, "{\"command\":\"devices\"}" },
		{ "devices", { "x" }, 1, "devices takes no argument 'x'" },
		{ "slabs", { "u" }, 1, "{\"command\":\"slabs\",\"device\":\"u\"}" },
		{ "slabs", { "u", "v" }, 2, "slabs takes one device at most" },
		{ "memory", { "4G" }, 1, "{\"command\":\"memory\",\"bytes\":4294967296}" },
		{ "memory", { 0 }, 0, "{\"command\":\"memory\"}" },
		{ "memory", { "lots" }, 1, "memory wants one size, such as 4G" },
		{ "server", { "add", "10.0.0.1:7611,label=a" }, 2,
		  "{\"command\":\"server\",\"action\":\"add\",\"server\":\"10.0.0.1:7611,label=a\"}" },
		{ "server", { "add", "10.0.0.1:70000" }, 2, "port 70000 is out of range (1-65534)" },
		{ "server", { "drain", "10.0.0.1" }, 2,
		  "{\"command\":\"server\",\"action\":\"drain\",\"server\":\"10.0.0.1\"}" },
		{ "server", { "drop", "10.0.0.1" }, 2,
		  "server wants: add|drain|undrain|remove ADDRESS[:PORT], and to add also [,label=TEXT]"
		  "[,domain=TEXT][,uuid=UUID]" },
		{ "replicas", { 0 }, 0, "{\"command\":\"replicas\"}" },
		{ "replicas", { "auto" }, 1, "{\"command\":\"replicas\",\"replicas\":0}" },
		{ "replicas", { "3", "u" }, 2,
		  "{\"command\":\"replicas\",\"replicas\":3,\"device\":\"u\"}" },
		{ "replicas", { "5" }, 1,
		  "replicas wants 1 to 4, or auto, and perhaps a device: replicas 3 [DEVICE]" },
		{ "repair-rate", { "500" }, 1, "{\"command\":\"repair-rate\",\"pages\":500}" },
		{ "set", { "drop-ms", "50" }, 2,
		  "{\"command\":\"set\",\"setting\":\"drop-ms\",\"value\":50}" },
		{ "set", { "drop-ms" }, 1, "{\"command\":\"set\",\"setting\":\"drop-ms\"}" },
		{ "set", { "drop-ms", "soon" }, 2,
		  "set wants a setting, and perhaps a number for it: drop-ms 50" },
		{ "scrub-rate", { "0" }, 1, "scrub-rate wants pages a second (1-10000000)" },
		{ "drain", { 0 }, 0, "{\"command\":\"drain\"}" },
		{ "drain", { "on" }, 1, "{\"command\":\"drain\",\"on\":true}" },
		{ "drain", { "off" }, 1, "{\"command\":\"drain\",\"on\":false}" },
		{ "drain", { "maybe" }, 1,
		  "drain wants on or off (a backend's servers: server drain ADDRESS)" },
		{ "pressure", { "auto" }, 1, "{\"command\":\"pressure\",\"mode\":\"auto\"}" },
		{ "pressure", { "high" }, 1, "pressure wants on, off or auto" },
		{ "slab", { "force", "u", "7" }, 3,
		  "{\"command\":\"slab\",\"action\":\"force\",\"device\":\"u\",\"slab\":7}" },
		{ "slab", { "force", "u", "all" }, 3,
		  "{\"command\":\"slab\",\"action\":\"force\",\"device\":\"u\",\"slab\":\"all\"}" },
		{ "slab", { "force", "u" }, 2, "slab wants: force DEVICE SLAB, or force DEVICE all" },
		{ "device", { "recover", "u" }, 2,
		  "{\"command\":\"device\",\"action\":\"recover\",\"device\":\"u\"}" },
		{ "device", { "recover" }, 1, "device wants: recover UUID, or cancel UUID" },
		{ "log-level", { "debug" }, 1, "{\"command\":\"log-level\",\"level\":\"debug\"}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct ctl_command *c = ctl_command_find(cases[i].command);
		struct rmnic_error err = { "" };
		json_t *request = c->request(c->name, cases[i].argc,
					     (char *const *)(uintptr_t)cases[i].argv, &err);
		char *text = request ? json_dumps(request, JSON_COMPACT) : strdup(err.text);

		assert_string_equal(text, cases[i].request);
		free(text);
		json_decref(request);
	}
	assert_null(ctl_command_find("what"));
}

static void ctl_sample_devices__what_happened_in_between(void **state)
{
	struct ctl_sample before = { .ns = 1000000000ull }, now = { .ns = 3000000000ull };
	json_t *rows, *row;

	(void)state;
	before.devices = json("[{\"uuid\":\"a\",\"pages_in\":100,\"pages_out\":7},"
			      "{\"uuid\":\"b\",\"pages_in\":9}]");
	before.latency = json("[{\"device\":\"a\",\"stage\":\"page-in-total\","
			      "\"buckets\":[[1.0,1000],[2.0,0]]}]");
	now.devices = json("[{\"uuid\":\"a\",\"pages_in\":300,\"pages_out\":7},"
			   "{\"uuid\":\"b\",\"pages_in\":5},{\"uuid\":\"c\",\"pages_in\":5}]");
	now.latency = json("[{\"device\":\"a\",\"stage\":\"page-in-total\","
			   "\"buckets\":[[1.0,1000],[2.0,98],[4.0,0],[8.0,2]]}]");
	rows = ctl_sample_devices(&before, &now);
	row = json_array_get(rows, 0);
	assert_int_equal(json_integer_value(json_object_get(row, "in_rate")), 100);
	assert_true(json_is_integer(json_object_get(row, "out_rate")));
	assert_int_equal(json_integer_value(json_object_get(row, "out_rate")), 0);
	/* Of the hundred in between alone. */
	assert_true(json_real_value(json_object_get(row, "in_p50")) == 2.0);
	assert_true(json_real_value(json_object_get(row, "in_p99")) == 8.0);
	assert_null(json_object_get(row, "out_p50"));
	/* A counter that fell, and a device that came. */
	assert_null(json_object_get(json_array_get(rows, 1), "in_rate"));
	assert_null(json_object_get(json_array_get(rows, 2), "in_rate"));
	assert_true(ctl_sample_sum(rows, "in_rate") == 100);
	json_decref(rows);
	ctl_sample_free(&before);
	ctl_sample_free(&now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ctl_size_format__whole_or_one_digit),
		cmocka_unit_test(ctl_table_print__columns),
		cmocka_unit_test(ctl_table_print__answers_of_any_shape),
		cmocka_unit_test(ctl_slabs_print__of_either_daemon),
		cmocka_unit_test(ctl_latency_print__buckets_as_bars),
		cmocka_unit_test(ctl_status_print__flat_then_tables),
		cmocka_unit_test(ctl_commands__requests),
		cmocka_unit_test(ctl_sample_devices__what_happened_in_between),
	};

	return cmocka_run_group_tests_name("rmnicctl", tests, NULL, NULL);
}
