/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf_rig.h"

static struct scratch scratch;
static struct settings values;

static int setup(void **state)
{
	(void)state;
	scratch_open(&scratch);
	memset(&values, 0, sizeof(values));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rmnic_conf_free(&conf_program.table, &values);
	scratch_close(&scratch);
	return 0;
}

static void parsed(const char *file)
{
	struct rmnic_error err = { "" };

	scratch_write(&scratch, "c", file);
	rmnic_conf_free(&conf_program.table, &values);
	conf_parse(&scratch, "--config @c", &values, &err);
	assert_string_equal(err.text, "");
}

static void refused(const char *file, const char *text)
{
	scratch_write(&scratch, "c", file);
	conf_refused(&scratch, "--config @c", text);
}

static void rmnic_conf_file_read__every_type(void **state)
{
	(void)state;
	parsed("# a comment\n"
	       "no_huge = true;\nudp_port = 7000\nmemory = \"67108864\"\nsocket = \"/run/x\"\n"
	       "poll = \"busy\";\ncpus = \"2-5,7\";\nuuid = \"0b8f2c4e-6f0a-4c0e-9d0a-5b1b7c9d3e21\";\n"
	       "ports = ( \"eth0,mtu=9000\", { device = \"memif:id=0,role=client\"; mtu = 1500;\n"
	       "  address = \"10.0.0.9/24\"; gateway = \"10.0.0.1\"; } );\n"
	       "servers = [ \"10.0.0.2\", \"10.0.0.3:7700\" ];\n");
	assert_true(values.no_huge);
	assert_int_equal(values.udp_port, 7000);
	assert_int_equal(values.memory, 64 << 20);
	assert_string_equal(values.socket, "/run/x");
	assert_int_equal(values.poll, 1);
	assert_true(values.uuid.given);
	assert_int_equal(values.ports.count, 2);
	assert_int_equal(conf_port(&values, 0)->mtu, 9000);
	assert_string_equal(conf_port(&values, 1)->device, "memif:id=0,role=client");
	assert_int_equal(conf_port(&values, 1)->mtu, 1500);
	assert_string_equal(conf_port(&values, 1)->gateway, "10.0.0.1");
	assert_int_equal(values.servers.count, 2);
	parsed("");
	assert_int_equal(values.udp_port, 7700);
}

static void rmnic_conf_file_read__wrong_values(void **state)
{
	static const char *const cases[][2] = {
		{ "\n\n\nudp_port = 70000", "@c:4: udp_port 70000 is out of range (1-65535)" },
		{ "udp_port = -1", "@c:1: udp_port -1 is out of range (1-65535)" },
		{ "udp_port = \"7\"", "@c:1: udp_port must be a whole number" },
		{ "udp_port = 7.5", "@c:1: udp_port must be a whole number" },
		{ "no_huge = 1", "@c:1: no_huge must be true or false" },
		{ "socket = 7", "@c:1: socket must be a string in quotes" },
		{ "socket = \"\"", "@c:1: socket is empty" },
		{ "memory = true", "@c:1: memory must be a size in quotes, such as \"4G\" or \"4194304\"" },
		/* 64G, which libconfig reads as 0. */
		{ "memory = 68719476736", "@c:1: memory must be a size in quotes, such as \"4G\" or "
					  "\"4194304\"" },
		{ "memory = \"5K\"", "@c:1: memory 5K is out of range (1M-1T)" },
		{ "poll = \"spin\"", "@c:1: poll 'spin' is not one of adaptive, busy, block" },
		{ "\nports = \"eth0\"", "@c:2: ports must be a list: ( ..., ... )" },
		{ "ports = (\n7 )", "@c:2: an item of ports must be a string or a group { ... }" },
		{ "ports = (\n{ mtu = 1500; } )", "@c:2: an item of ports has no 'device'" },
		{ "ports = ( { device = \"eth0\";\n mtu = 1; } )", "@c:2: mtu 1 is out of range (1280-65535)" },
		{ "ports = ( { device = \"eth0\";\n mut = 1; } )",
		  "@c:2: unknown setting 'mut' (known: device address gateway mtu)" },
		{ "servers = (\n\"10.0.0.1\",\n\"10.0.0.1:70000\" )",
		  "@c:3: port 70000 is out of range (1-65534)" },
		{ "\nudp-port = 1", "@c:2: unknown setting 'udp-port' (known: no_huge udp_port memory socket "
				    "poll cpus uuid ports servers servers_file)" },
		{ "port = ( \"eth0\" )", "@c:1: unknown setting 'port' (known: no_huge udp_port memory socket "
					 "poll cpus uuid ports servers servers_file)" },
		{ "udp_port = 1\nudp_port = 2", "@c:2: duplicate setting name" },
		{ "udp_port = ", "@c:1: syntax error" },
		{ "@include \"gone\"", "@c:1: cannot open include file" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(cases[i][0], cases[i][1]);
}

/* libconfig reads each of these as a number that would do. */
static void rmnic_conf_numbers_check__low_half(void **state)
{
	static const char *const cases[][2] = {
		{ "udp_port = 4294967301;", "@c:1: udp_port 4294967301 is out of range" },
		{ "\nudp_port\n= // 1\n 4294967301;", "@c:4: udp_port 4294967301 is out of range" },
		{ "udp_port = -4294967291;", "@c:1: udp_port 4294967291 is out of range" },
		{ "udp_port = 0x100000005;", "@c:1: udp_port 0x100000005 is out of range" },
		{ "udp_port = 99999999999999999999;",
		  "@c:1: udp_port 99999999999999999999 is out of range" },
		{ "udp_port = 7; ports = ( { device = \"a\"; mtu = 4294968796; } );",
		  "@c:1: mtu 4294968796 is out of range" },
		{ "/* 1 ** 2 */ udp_port = 4294967301;", "@c:1: udp_port 4294967301 is out of range" },
		/* Of 64 bits for libconfig as well: it is the setting's range that says no. */
		{ "udp_port = 4294967301L;", "@c:1: udp_port 4294967301 is out of range (1-65535)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(cases[i][0], cases[i][1]);
	parsed("# 4294967301\n// 4294967301\n/* 4294967301\n **/ udp_port = 7;\n"
	       "socket = \"4294967301 \\\" 4294967301\";");
	assert_int_equal(values.udp_port, 7);
	scratch_write(&scratch, "more.conf", "\nudp_port = 4294967301;\n");
	refused("@include \"more.conf\"\n", "more.conf:2: udp_port 4294967301 is out of range");
}

static void rmnic_conf_file_read__include_beside_the_file(void **state)
{
	(void)state;
	scratch_write(&scratch, "more.conf", "servers = ( \"10.0.0.2\" );\n\nmemory = \"64M\";\n");
	parsed("udp_port = 9\n@include \"more.conf\"\npoll = \"block\"\n");
	assert_int_equal(values.udp_port, 9);
	assert_int_equal(values.memory, 64 << 20);
	assert_int_equal(values.servers.count, 1);
	assert_int_equal(values.poll, 2);
	/* The included file's own name and line. */
	scratch_write(&scratch, "more.conf", "\n\nmemory = \"5\";\n");
	refused("udp_port = 9\n@include \"more.conf\"\n", "more.conf:3: memory 5 is out of range (1M-1T)");
	scratch_write(&scratch, "more.conf", "\n\n(\n");
	refused("udp_port = 9\n@include \"more.conf\"\n", "more.conf:3: syntax error");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rmnic_conf_file_read__every_type),
		TEST(rmnic_conf_file_read__wrong_values),
		TEST(rmnic_conf_numbers_check__low_half),
		TEST(rmnic_conf_file_read__include_beside_the_file),
	};

	return cmocka_run_group_tests_name("conf_file", tests, NULL, NULL);
}
