/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/conf_json.h"
#include "conf_rig.h"

#define UUID "0b8f2c4e-6f0a-4c0e-9d0a-5b1b7c9d3e21"

static struct scratch scratch;
static struct settings values, other;

static int setup(void **state)
{
	(void)state;
	scratch_open(&scratch);
	memset(&values, 0, sizeof(values));
	memset(&other, 0, sizeof(other));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rmnic_conf_free(&conf_program.table, &values);
	rmnic_conf_free(&conf_program.table, &other);
	scratch_close(&scratch);
	return 0;
}

static void parsed(const char *line)
{
	struct rmnic_error err = { "" };

	rmnic_conf_free(&conf_program.table, &values);
	assert_int_equal(conf_parse(&scratch, line, &values, &err), RMNIC_CONF_OK);
	assert_string_equal(err.text, "");
}

static void rmnic_conf_parse__defaults(void **state)
{
	(void)state;
	parsed("");
	assert_false(values.no_huge);
	assert_int_equal(values.udp_port, 7700);
	assert_int_equal(values.memory, 4ull << 30);
	assert_null(values.socket);
	assert_int_equal(values.poll, 0);
	assert_false(values.uuid.given);
	assert_int_equal(values.ports.count, 0);
}

static void rmnic_conf_parse__arguments(void **state)
{
	(void)state;
	parsed("--no-huge --udp-port 1 --memory=64M --socket /run/x --poll block --cpus 2-5,7 "
	       "--uuid " UUID " --port eth0,mtu=9000 --port=0000:01:00.0,address=10.0.0.9/24,gateway=10.0.0.1 "
	       "--server 10.0.0.2 --server 10.0.0.3:7700,label=rack-1,uuid=" UUID);
	assert_true(values.no_huge);
	assert_int_equal(values.udp_port, 1);
	assert_int_equal(values.memory, 64 << 20);
	assert_string_equal(values.socket, "/run/x");
	assert_int_equal(values.poll, 2);
	assert_string_equal(values.cpus, "2-5,7");
	assert_true(values.uuid.given);
	assert_int_equal(values.uuid.byte[15], 0x21);
	assert_int_equal(values.ports.count, 2);
	assert_string_equal(conf_port(&values, 0)->device, "eth0");
	assert_int_equal(conf_port(&values, 0)->mtu, 9000);
	assert_null(conf_port(&values, 0)->address);
	assert_string_equal(conf_port(&values, 1)->device, "0000:01:00.0");
	assert_string_equal(conf_port(&values, 1)->address, "10.0.0.9/24");
	assert_string_equal(conf_port(&values, 1)->gateway, "10.0.0.1");
	assert_int_equal(values.servers.count, 2);
	assert_int_equal(conf_server(&values, 0)->address.ip, 0x0a000002);
	assert_int_equal(conf_server(&values, 0)->address.port, 0);
	assert_int_equal(conf_server(&values, 1)->address.port, 7700);
	assert_string_equal(conf_server(&values, 1)->label, "rack-1");
	assert_true(conf_server(&values, 1)->uuid.given);
	/* The last one counts, and a bool can be taken back. */
	parsed("--udp-port 1 --udp-port 2 --no-huge --no-huge=false --socket /a --socket /b");
	assert_int_equal(values.udp_port, 2);
	assert_false(values.no_huge);
	assert_string_equal(values.socket, "/b");
	/* A comma of the value's own. */
	parsed("--port memif:id=0\\,role=client,mtu=9000");
	assert_string_equal(conf_port(&values, 0)->device, "memif:id=0,role=client");
	assert_int_equal(conf_port(&values, 0)->mtu, 9000);
}

static void rmnic_conf_parse__wrong_arguments(void **state)
{
	static const char *const cases[][2] = {
		{ "--udp-port 70000", "--udp-port 70000 is out of range (1-65535)" },
		{ "--udp-port 0", "--udp-port 0 is out of range (1-65535)" },
		{ "--udp-port -5", "--udp-port -5 is out of range (1-65535)" },
		{ "--udp-port 99999999999999999999999",
		  "--udp-port 99999999999999999999999 is out of range (1-65535)" },
		{ "--udp-port many", "--udp-port 'many' is not a whole number (1-65535)" },
		{ "--udp-port 7x", "--udp-port '7x' is not a whole number (1-65535)" },
		{ "--udp-port=", "--udp-port '' is not a whole number (1-65535)" },
		{ "--udp-port", "--udp-port needs a value (try --help)" },
		{ "--memory 4X", "--memory '4X' is not a size (such as 512M or 4G)" },
		{ "--memory 4K", "--memory 4K is out of range (1M-1T)" },
		{ "--memory 2T", "--memory 2T is out of range (1M-1T)" },
		{ "--poll spin", "--poll 'spin' is not one of adaptive, busy, block" },
		{ "--no-huge=1", "--no-huge must be true or false, not '1'" },
		{ "--cpus 5-2", "--cpus '5-2' is not a list of CPUs (such as 2-5,7; 0-1023)" },
		{ "--cpus 1,", "--cpus '1,' is not a list of CPUs (such as 2-5,7; 0-1023)" },
		{ "--cpus 1024", "--cpus '1024' is not a list of CPUs (such as 2-5,7; 0-1023)" },
		{ "--uuid 12", "--uuid '12' is not a uuid (such as "
			       "0b8f2c4e-6f0a-4c0e-9d0a-5b1b7c9d3e21)" },
		{ "--socket=", "--socket is empty" },
		{ "--what 1", "unknown argument '--what' (try --help)" },
		{ "what", "unexpected argument 'what' (try --help)" },
		{ "-x", "unexpected argument '-x' (try --help)" },
		{ "--server 10.0.0.1:70000",
		  "--server 10.0.0.1:70000: port 70000 is out of range (1-65534)" },
		{ "--server 10.0.0.1:", "--server 10.0.0.1:: port '' is not a whole number (1-65534)" },
		{ "--server host", "--server host: address 'host' is not an IPv4 address (such as "
				   "10.0.0.1 or 10.0.0.1:7611)" },
		{ "--server 0.0.0.0", "--server 0.0.0.0: address '0.0.0.0' is not an IPv4 address "
				      "(such as 10.0.0.1 or 10.0.0.1:7611)" },
		{ "--server 10.0.0.1,labels=x",
		  "--server 10.0.0.1,labels=x: unknown part 'labels=x' (known: label= domain= uuid=)" },
		{ "--server 10.0.0.1,label", "--server 10.0.0.1,label: unknown part 'label' (known: "
					     "label= domain= uuid=)" },
		{ "--port eth0,mtu=100", "--port eth0,mtu=100: mtu 100 is out of range (1280-65535)" },
		{ "--port eth0,address=10.0.0.1", "--port eth0,address=10.0.0.1: address '10.0.0.1' is not an "
						  "address with its prefix's length (such as 10.0.0.1/24)" },
		{ "--port eth0,address=10.0.0.1/33", "--port eth0,address=10.0.0.1/33: address 10.0.0.1/33: "
						     "prefix length 33 is out of range (1-32)" },
		{ "--port eth0,gateway=x", "--port eth0,gateway=x: gateway 'x' is not an IPv4 address (such "
					   "as 10.0.0.1)" },
		{ "--port ,mtu=1500", "--port ,mtu=1500: device is empty" },
		{ "--port a --port b --port c", "too many ports: 3 of at most 2" },
		{ "--config", "--config needs a value (try --help)" },
		{ "--config @missing", "@missing: No such file or directory" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		conf_refused(&scratch, cases[i][0], cases[i][1]);
}

static void rmnic_conf_parse__arguments_win_over_the_file(void **state)
{
	(void)state;
	scratch_write(&scratch, "c", "udp_port = 1;\nmemory = \"64M\";\nports = ( \"eth0\" );\n"
		      "servers = ( \"10.0.0.2\", \"10.0.0.3\" );\n");
	parsed("--config @c");
	assert_int_equal(values.udp_port, 1);
	assert_int_equal(values.servers.count, 2);
	/* Wherever --config stands. */
	parsed("--udp-port 5 --server 10.0.0.9 --config @c");
	assert_int_equal(values.udp_port, 5);
	assert_int_equal(values.memory, 64 << 20);
	assert_int_equal(values.servers.count, 1);
	assert_int_equal(conf_server(&values, 0)->address.ip, 0x0a000009);
	assert_int_equal(values.ports.count, 1);
}

static void rmnic_conf_parse__a_file_of_more_servers(void **state)
{
	(void)state;
	scratch_write(&scratch, "more", "servers = ( \"10.0.0.4\", { address = \"10.0.0.5:7700\"; } );\n");
	parsed("--servers-file @more --server 10.0.0.2");
	assert_int_equal(values.servers.count, 3);
	assert_int_equal(conf_server(&values, 2)->address.port, 7700);
	scratch_write(&scratch, "more", "\n\nservers = (\n\"10.0.0.4:70000\" );\n");
	conf_refused(&scratch, "--servers-file @more", "@more:4: port 70000 is out of range (1-65534)");
	scratch_write(&scratch, "more", "udp_port = 1;\n");
	conf_refused(&scratch, "--servers-file @more",
		     "@more:1: unknown setting 'udp_port' (known: servers)");
	conf_refused(&scratch, "--servers-file @gone", "@gone: No such file or directory");
}

static void rmnic_conf_fixed__what_a_reload_may_change(void **state)
{
	struct rmnic_error err;

	(void)state;
	parsed("--server 10.0.0.2,label=a --port eth0");
	assert_int_equal(conf_parse(&scratch, "--server 10.0.0.2,label=b --port eth0 --memory 1G",
				    &other, &err), RMNIC_CONF_OK);
	assert_null(rmnic_conf_fixed(&conf_program.table, &values, &other));
	assert_true(rmnic_conf_differs(&conf_program.table, "server", &values, &other));
	assert_true(rmnic_conf_differs(&conf_program.table, "memory", &values, &other));
	assert_false(rmnic_conf_differs(&conf_program.table, "port", &values, &other));
	rmnic_conf_free(&conf_program.table, &other);
	assert_int_equal(conf_parse(&scratch, "--server 10.0.0.2,label=a --port eth1", &other, &err),
			 RMNIC_CONF_OK);
	assert_string_equal(rmnic_conf_fixed(&conf_program.table, &values, &other), "port");
	rmnic_conf_free(&conf_program.table, &other);
	assert_int_equal(conf_parse(&scratch, "--server 10.0.0.2,label=a --port eth0 --uuid " UUID,
				    &other, &err), RMNIC_CONF_OK);
	assert_string_equal(rmnic_conf_fixed(&conf_program.table, &values, &other), "uuid");
}

static void rmnic_conf_item_parse__a_server(void **state)
{
	struct rmnic_conf_server server;
	struct rmnic_error err;

	(void)state;
	assert_int_equal(rmnic_conf_item_parse(&rmnic_conf_server_table, "10.1.2.3:7611,label=x",
					       &server, &err), 0);
	assert_int_equal(server.address.ip, 0x0a010203);
	assert_string_equal(server.label, "x");
	rmnic_conf_free(&rmnic_conf_server_table, &server);
	assert_int_equal(rmnic_conf_item_parse(&rmnic_conf_server_table, "10.1.2.3,label=x,y",
					       &server, &err), -1);
	assert_string_equal(err.text, "unknown part 'y' (known: label= domain= uuid=)");
}

static void stdout_of(const char *line, char *buf, size_t len);

static void rmnic_conf_parse__only_checks(void **state)
{
	char text[256];

	(void)state;
	scratch_write(&scratch, "c", "udp_port = 1;\n");
	stdout_of("--check --config @c --memory 1G", text, sizeof(text));
	assert_string_equal(text, "prog: the settings are right\n");
	scratch_write(&scratch, "c", "udp_port = 0;\n");
	conf_refused(&scratch, "--config @c --check", "@c:1: udp_port 0 is out of range (1-65535)");
	conf_refused(&scratch, "--check=1", "unknown argument '--check' (try --help)");
}

/* --- Help ------------------------------------------------------------------------------------ */

static void stdout_of(const char *line, char *buf, size_t len)
{
	struct rmnic_error err;
	int saved = dup(STDOUT_FILENO);

	fflush(stdout);
	assert_non_null(freopen(scratch_path(&scratch, "out"), "w", stdout));
	assert_int_equal(conf_parse(&scratch, line, &values, &err), RMNIC_CONF_DONE);
	fflush(stdout);
	assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
	close(saved);
	scratch_read(&scratch, "out", buf, len);
}

static void rmnic_conf_help__every_setting_with_its_range(void **state)
{
	char text[8192];

	(void)state;
	/* Before anything else is read: help is what one asks for when the rest is wrong. */
	stdout_of("--config @missing --help", text, sizeof(text));
	for (size_t i = 0; i < conf_program.table.count; i++) {
		char name[64];

		snprintf(name, sizeof(name), "  --%s", conf_program.table.settings[i].name);
		assert_non_null(strstr(text, name));
	}
	assert_non_null(strstr(text, "Usage: prog [--config FILE]"));
	assert_non_null(strstr(text, "--udp-port N            the first UDP port (1-65535, default 7700)"));
	assert_non_null(strstr(text, "(1M-1T, default 4G; a reload changes it)"));
	assert_non_null(strstr(text, "--poll adaptive|busy|block\n"));
	assert_non_null(strstr(text, "servers = ( \"ADDRESS[:PORT][,label=TEXT][,domain=TEXT][,uuid=UUID]\", ... );"));
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 100);
	stdout_of("--version", text, sizeof(text));
	assert_memory_equal(text, "prog ", 5);
}

static void rmnic_conf_json__all_settings(void **state)
{
	json_t *json;
	char *text;

	(void)state;
	parsed("--server 10.0.0.2:7700,label=a --poll busy");
	json = rmnic_conf_json(&conf_program.table, &values);
	text = json_dumps(json, JSON_COMPACT);
	assert_string_equal(text,
			    "{\"no_huge\":false,\"udp_port\":7700,\"memory\":4294967296,\"socket\":null,"
			    "\"poll\":\"busy\",\"cpus\":null,\"uuid\":null,\"ports\":[],\"servers\":[{"
			    "\"address\":\"10.0.0.2:7700\",\"label\":\"a\",\"domain\":null,\"uuid\":null}],"
			    "\"servers_file\":null}");
	json_decref(json);
	free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rmnic_conf_parse__defaults),
		TEST(rmnic_conf_parse__arguments),
		TEST(rmnic_conf_parse__wrong_arguments),
		TEST(rmnic_conf_parse__arguments_win_over_the_file),
		TEST(rmnic_conf_parse__a_file_of_more_servers),
		TEST(rmnic_conf_fixed__what_a_reload_may_change),
		TEST(rmnic_conf_item_parse__a_server),
		TEST(rmnic_conf_parse__only_checks),
		TEST(rmnic_conf_help__every_setting_with_its_range),
		TEST(rmnic_conf_json__all_settings),
	};

	return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
