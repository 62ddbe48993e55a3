/* SPDX-License-Identifier: BSD-3-Clause */
/* units.c - the parts of dpdk/ that need no port: CPU lists, devices, rings, neighbours, sleeping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dpdk/cpus.h"
#include "dpdk/device.h"
#include "dpdk/neighbour.h"
#include "dpdk/udp.h"
#include "dpdk/wait.h"

/* --- cpus.c --- */

static struct rmnic_cpus some(const char *text)
{
	struct rmnic_cpus all, out;

	memset(&all, 0xff, sizeof(all));
	assert_int_equal(rmnic_cpus_parse(text, &all, &out, NULL), 0);
	return out;
}

static void cpus__parse_and_format(void **state)
{
	struct rmnic_cpus cpus = some("2-5,7,9-10");
	char text[64];

	(void)state;
	assert_int_equal(rmnic_cpus_count(&cpus), 7);
	assert_int_equal(rmnic_cpus_nth(&cpus, 0), 2);
	assert_int_equal(rmnic_cpus_nth(&cpus, 4), 7);
	assert_string_equal(rmnic_cpus_format(&cpus, text, sizeof(text)), "2-5,7,9-10");
	cpus = some("1000");
	assert_string_equal(rmnic_cpus_format(&cpus, text, sizeof(text)), "1000");
}

static void cpus__remove(void **state)
{
	struct rmnic_cpus a = some("0-3"), b = some("1,3");
	char text[64];

	(void)state;
	rmnic_cpus_remove(&a, &b);
	assert_string_equal(rmnic_cpus_format(&a, text, sizeof(text)), "0,2");
}

static void cpus__refuses(void **state)
{
	static const char *const wrong[] = { "", "a", "1-", "-1", "3-2", "1,", "1;2", "0x1" };
	struct rmnic_cpus all = some("0-63"), out;
	struct rmnic_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(rmnic_cpus_parse(wrong[i], &all, &out, &err), -1);
		assert_non_null(strstr(err.text, "expected a list"));
	}
	assert_int_equal(rmnic_cpus_parse("64", &all, &out, &err), -1);
	assert_string_equal(err.text, "cpus '64': CPU 64 is none that may be used here (0-63)");
	assert_int_equal(rmnic_cpus_parse("99999999999", &all, &out, &err), -1);
}

/* --- device.c --- */

static void device__forms(void **state)
{
	static const struct {
		const char *text;
		enum rmnic_driver driver;
		const char *argument;
	} good[] = {
		{ "eth0", RMNIC_DRIVER_PACKET, "eth0" },
		{ "packet:eth0", RMNIC_DRIVER_PACKET, "eth0" },
		{ "af_packet:eth0", RMNIC_DRIVER_AF_PACKET, "eth0" },
		{ "af_xdp:ens1f0np0", RMNIC_DRIVER_AF_XDP, "ens1f0np0" },
		{ "tap:rmnic0", RMNIC_DRIVER_TAP, "rmnic0" },
		{ "memif:server:/run/m.sock", RMNIC_DRIVER_MEMIF, "/run/m.sock" },
		{ "memif:client:/run/m.sock", RMNIC_DRIVER_MEMIF, "/run/m.sock" },
		{ "0000:01:00.0", RMNIC_DRIVER_PCI, "0000:01:00.0" },
		{ "81:00.1", RMNIC_DRIVER_PCI, "0000:81:00.1" },
	};
	struct rmnic_device device;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(rmnic_device_parse(good[i].text, &device, NULL), 0);
		assert_int_equal(device.driver, good[i].driver);
		assert_string_equal(device.argument, good[i].argument);
	}
}

/* Whatever comes through goes into a driver's arguments. */
static void device__refuses(void **state)
{
	static const char *const wrong[] = {
		"", "packet:", "af_packet:", "af_packet:a,framesz=1", "eth0,x", "eth 0", "a/b",
		"an-interface-with-a-long-name", "dpaa:x", "memif:x", "memif:server:m.sock",
		"memif:server:/a,b", "0000:01:00.8", "eth0:1",
		"012345678901234567890123456789012345678901234567890123456789012345678901234567",
	};
	struct rmnic_device device;
	struct rmnic_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		err.text[0] = '\0';
		assert_int_equal(rmnic_device_parse(wrong[i], &device, &err), -1);
		assert_non_null(strstr(err.text, "port '"));
	}
}

/* RULES F8: blocks of whole pages, that hold a whole number of frames. */
static void rings__fit(void **state)
{
	struct rmnic_rings rings;

	(void)state;
	for (uint32_t mtu = 1280; mtu <= 5000; mtu++) {
		assert_true(rmnic_rings_choose((uint16_t)mtu, 1, UINT64_MAX, &rings));
		assert_int_equal(rings.block % 4096, 0);
		assert_int_equal(rings.block % rings.frame, 0);
		assert_int_equal(rings.count % (rings.block / rings.frame), 0);
		/* The kernel puts up to 80 bytes before the IP header. */
		assert_true(rings.frame >= mtu + 80);
	}
	assert_int_equal(rings.frame, 5120);
	assert_int_equal(rings.count, 1024);
}

static void rings__plain_user(void **state)
{
	struct rmnic_rings rings;

	(void)state;
	assert_true(rmnic_rings_choose(5000, 1, 8 << 20, &rings));
	assert_int_equal(rings.count, 256);
	for (uint16_t queues = 1; queues <= 8; queues++) {
		if (rmnic_rings_choose(5000, queues, 8 << 20, &rings))
			assert_true(2ull * queues * rings.count * rings.frame <= 8 << 20);
	}
	assert_false(rmnic_rings_choose(5000, 1, 64 << 10, &rings));
}

/* --- neighbour.c --- */

#define SECOND 1000000000ull
#define IP     0x0a000001u
#define MAC    0x020304050607ull

static struct rmnic_neighbours *table_new(void **state)
{
	struct rmnic_neighbours *n = calloc(1, sizeof(*n));

	*state = n;
	return n;
}

static int table_free(void **state)
{
	free(*state);
	return 0;
}

static void neighbour__asked_then_known(void **state)
{
	struct rmnic_neighbours *n = table_new(state);
	uint64_t now = SECOND;
	struct rmnic_route_answer a = rmnic_neighbour_lookup(n, IP, now);

	assert_true(a.ask && a.mac == 0 && a.to == 0);
	a = rmnic_neighbour_lookup(n, IP, now + 1);
	assert_false(a.ask);
	assert_true(rmnic_neighbour_learn(n, IP, MAC, now + 2, false));
	a = rmnic_neighbour_lookup(n, IP, now + 3);
	assert_true(a.mac == MAC && !a.ask);
	/* The same once more is no news. */
	assert_false(rmnic_neighbour_learn(n, IP, MAC, now + 4, false));
}

/* Nobody fills the table from outside: an answer nobody asked for makes no entry. */
static void neighbour__unasked_is_ignored(void **state)
{
	struct rmnic_neighbours *n = table_new(state);

	assert_false(rmnic_neighbour_learn(n, IP, MAC, SECOND, false));
	assert_true(rmnic_neighbour_lookup(n, IP, SECOND).mac == 0);
	assert_true(rmnic_neighbour_learn(n, IP + 1, MAC, SECOND, true));
	assert_true(rmnic_neighbour_lookup(n, IP + 1, SECOND).mac == MAC);
}

static void neighbour__refreshed_while_used(void **state)
{
	struct rmnic_neighbours *n = table_new(state);
	uint64_t now = SECOND;
	struct rmnic_route_answer a;

	rmnic_neighbour_learn(n, IP, MAC, now, true);
	now += RMNIC_NEIGHBOUR_FRESH_NS;
	a = rmnic_neighbour_lookup(n, IP, now);
	/* Still used, and asked at its own address. */
	assert_true(a.mac == MAC && a.ask && a.to == MAC);
	a = rmnic_neighbour_lookup(n, IP, now + 1);
	assert_true(a.mac == MAC && !a.ask);
	/* A frame from it will do for an answer. */
	rmnic_neighbour_confirm(n, IP, MAC, now + SECOND);
	assert_false(rmnic_neighbour_lookup(n, IP, now + 3 * SECOND).ask);
}

/* After a long silence the first frame goes where the neighbour was, with a question to all; not for ever. */
static void neighbour__dies(void **state)
{
	struct rmnic_neighbours *n = table_new(state);
	uint64_t now = SECOND + 2 * RMNIC_NEIGHBOUR_DEAD_NS;
	struct rmnic_route_answer a;
	int used = 0;

	rmnic_neighbour_learn(n, IP, MAC, SECOND, true);
	a = rmnic_neighbour_lookup(n, IP, now);
	assert_true(a.mac == MAC && a.ask && a.to == 0);
	for (; a.mac && used < 100; used++) {
		now += RMNIC_NEIGHBOUR_ASK_NS;
		a = rmnic_neighbour_lookup(n, IP, now);
	}
	assert_in_range(used, 2, 20);
	rmnic_neighbour_learn(n, IP, MAC, now, false); /* it is there after all */
	assert_true(rmnic_neighbour_lookup(n, IP, now).mac == MAC);
}

/* Whoever was told a lie asks everybody as soon as it hears from the right one, and sends on. */
static void neighbour__heard_from_elsewhere(void **state)
{
	struct rmnic_neighbours *n = table_new(state);
	uint64_t now = 1000 * SECOND;
	struct rmnic_route_answer a;

	rmnic_neighbour_learn(n, IP, MAC + 1, now, true);
	rmnic_neighbour_confirm(n, IP, MAC, now + 1);
	a = rmnic_neighbour_lookup(n, IP, now + 2);
	assert_true(a.mac == MAC + 1 && a.ask && a.to == 0);
	rmnic_neighbour_learn(n, IP, MAC, now + 3, false);
	a = rmnic_neighbour_lookup(n, IP, now + 4);
	assert_true(a.mac == MAC && !a.ask);
}

/* Lcores read the clock once a round: what one heard may lie in another one's future. */
static void neighbour__heard_ahead(void **state)
{
	struct rmnic_neighbours *n = table_new(state);
	struct rmnic_route_answer a;

	rmnic_neighbour_learn(n, IP, MAC, SECOND + 5000, true);
	a = rmnic_neighbour_lookup(n, IP, SECOND);
	assert_true(a.mac == MAC && !a.ask);
}

/* Asked again by a timer, first quickly, then slowly, until nobody waits for it any more. */
static void neighbour__retried(void **state)
{
	struct rmnic_neighbours *n = table_new(state);
	uint64_t now = SECOND, end = now + 5 * SECOND;
	unsigned int asked = 0;
	uint32_t at, ip;

	assert_true(rmnic_neighbour_lookup(n, IP, now).ask);
	for (; now < end; now += RMNIC_NEIGHBOUR_ASK_NS / 2) {
		at = 0;
		while (rmnic_neighbour_due(n, &at, now, &ip)) {
			assert_int_equal(ip, IP);
			asked++;
		}
	}
	assert_in_range(asked, 4, 6);
	/* Nobody sent to it for a while: the timer has nothing to wait for. */
	assert_int_equal(n->waiting, 0);
}

/* More neighbours than slots: those that are sent to stay. */
static void neighbour__full(void **state)
{
	struct rmnic_neighbours *n = table_new(state);
	uint64_t now = SECOND;

	for (uint32_t i = 0; i < 4 * RMNIC_NEIGHBOURS; i++) {
		now += 1000;
		rmnic_neighbour_learn(n, 0x0b000000u + i, MAC, now, true);
		rmnic_neighbour_learn(n, IP, MAC + 1, now, true);
		assert_true(rmnic_neighbour_lookup(n, IP, now).mac == MAC + 1);
	}
}

/* --- wait.c --- */

static struct rmnic_wait *wait_new(enum rmnic_poll_mode mode, bool shared)
{
	struct rmnic_wait *w = rmnic_wait_create(mode, shared, NULL);

	assert_non_null(w);
	return w;
}

static void wait__modes(void **state)
{
	struct rmnic_wait *w = wait_new(RMNIC_POLL_BUSY, true);

	(void)state;
	assert_false(rmnic_wait_idle(w));
	rmnic_wait_destroy(w);
	w = wait_new(RMNIC_POLL_BLOCK, false);
	assert_true(rmnic_wait_idle(w));
	rmnic_wait_destroy(w);
	/* RULES F3 */
	w = wait_new(RMNIC_POLL_ADAPTIVE, true);
	assert_true(rmnic_wait_idle(w));
	rmnic_wait_destroy(w);
	w = wait_new(RMNIC_POLL_ADAPTIVE, false);
	assert_false(rmnic_wait_idle(w));
	while (!rmnic_wait_idle(w))
		;
	rmnic_wait_busy(w);
	assert_false(rmnic_wait_idle(w));
	rmnic_wait_destroy(w);
}

/* Where CPUs are shared who is asked by guests spins as long as that pays, and now and then to find out. */
static void wait__asked(void **state)
{
	struct rmnic_wait *w = wait_new(RMNIC_POLL_ADAPTIVE, true);
	int tries = 1;

	(void)state;
	while (rmnic_wait_idle_asked(w, false))
		tries++;
	assert_in_range(tries, 2, 16);
	rmnic_wait_busy(w); /* it came */
	assert_false(rmnic_wait_idle_asked(w, false));
	while (!rmnic_wait_idle_asked(w, false)) /* it does not come: for a while, then no more */
		;
	assert_true(rmnic_wait_idle_asked(w, false));
	/* Who is not never spins there (RULES F3). */
	assert_true(rmnic_wait_idle(w));
	rmnic_wait_destroy(w);
	w = wait_new(RMNIC_POLL_BLOCK, true);
	for (int i = 0; i < 32; i++)
		assert_true(rmnic_wait_idle_asked(w, false));
	rmnic_wait_destroy(w);
}

/* Commands that do not come are no reason not to spin for answers that do, and the reverse. */
static void wait__owed(void **state)
{
	struct rmnic_wait *w = wait_new(RMNIC_POLL_ADAPTIVE, true);

	(void)state;
	for (int owed = 0; owed < 2; owed++) {
		while (rmnic_wait_idle_asked(w, owed))
			;
		rmnic_wait_busy(w); /* it came: this is worth a spin */
	}
	assert_false(rmnic_wait_idle_asked(w, false));
	while (!rmnic_wait_idle_asked(w, false)) /* it does not come */
		;
	assert_true(rmnic_wait_idle_asked(w, false));
	assert_false(rmnic_wait_idle_asked(w, true));
	while (!rmnic_wait_idle_asked(w, true))
		;
	assert_true(rmnic_wait_idle_asked(w, true));
	rmnic_wait_destroy(w);
}

/* A timer that expires too early is not set again: it ends a sleep, and the next one is whole. */
static void wait__early_timer(void **state)
{
	struct rmnic_wait *w = wait_new(RMNIC_POLL_BLOCK, true);
	int fd = eventfd(0, 0);
	uint64_t start = rmnic_udp_now();

	(void)state;
	assert_int_equal(rmnic_wait_add(w, fd, true, NULL), 0);
	eventfd_write(fd, 1);
	rmnic_wait_sleep(w, start + 3000000, false); /* woken before */
	while (rmnic_udp_now() < start + 20000000)
		rmnic_wait_sleep(w, start + 20000000, false);
	/* A deadline before the one that is set is kept. */
	eventfd_write(fd, 1);
	start = rmnic_udp_now();
	rmnic_wait_sleep(w, start + UINT64_C(60000000000), false);
	rmnic_wait_sleep(w, start + 2000000, false);
	assert_in_range(rmnic_udp_now() - start, 2000000, UINT64_C(30000000000));
	close(fd);
	rmnic_wait_destroy(w);
}

/* An eventfd wakes once for each signal though nobody reads it; what is pending wakes at once. */
static void wait__eventfd(void **state)
{
	struct rmnic_wait *w = wait_new(RMNIC_POLL_BLOCK, true);
	int fd = eventfd(0, 0);
	uint64_t slept, times, start;

	(void)state;
	assert_int_equal(rmnic_wait_add(w, fd, true, NULL), 0);
	eventfd_write(fd, 1);
	assert_true(rmnic_wait_sleep(w, UINT64_MAX, false));
	start = rmnic_udp_now();
	assert_false(rmnic_wait_sleep(w, start + 2000000, false));
	assert_true(rmnic_udp_now() >= start + 2000000);
	eventfd_write(fd, 1);
	rmnic_wait_sleep(w, UINT64_MAX, false);
	rmnic_wait_stats(w, &slept, &times);
	assert_int_equal(times, 3);
	assert_true(slept >= 2000000);
	rmnic_wait_remove(w, fd);
	eventfd_write(fd, 1);
	start = rmnic_udp_now();
	rmnic_wait_sleep(w, start + 1000000, false);
	assert_true(rmnic_udp_now() >= start + 1000000);
	close(fd);
	rmnic_wait_destroy(w);
}

/* RULES E1 */
static void wait__short_first(void **state)
{
	struct rmnic_wait *w = wait_new(RMNIC_POLL_BLOCK, true);
	uint64_t start = rmnic_udp_now();

	(void)state;
	/* Without its limit this would not end. */
	rmnic_wait_sleep(w, UINT64_MAX, true);
	assert_true(rmnic_udp_now() >= start + 1000000);
	rmnic_wait_destroy(w);
}

/* What is overdue does not sleep, and a plain descriptor wakes for as long as it is readable. */
static void wait__level_and_overdue(void **state)
{
	struct rmnic_wait *w = wait_new(RMNIC_POLL_BLOCK, true);
	int ends[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	assert_int_equal(rmnic_wait_add(w, ends[0], false, NULL), 0);
	rmnic_wait_sleep(w, 1, false);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_false(rmnic_wait_sleep(w, UINT64_MAX, false));
	assert_false(rmnic_wait_sleep(w, UINT64_MAX, false));
	close(ends[0]);
	close(ends[1]);
	rmnic_wait_destroy(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cpus__parse_and_format),
		cmocka_unit_test(cpus__remove),
		cmocka_unit_test(cpus__refuses),
		cmocka_unit_test(device__forms),
		cmocka_unit_test(device__refuses),
		cmocka_unit_test(rings__fit),
		cmocka_unit_test(rings__plain_user),
		cmocka_unit_test_teardown(neighbour__asked_then_known, table_free),
		cmocka_unit_test_teardown(neighbour__unasked_is_ignored, table_free),
		cmocka_unit_test_teardown(neighbour__refreshed_while_used, table_free),
		cmocka_unit_test_teardown(neighbour__heard_from_elsewhere, table_free),
		cmocka_unit_test_teardown(neighbour__heard_ahead, table_free),
		cmocka_unit_test_teardown(neighbour__dies, table_free),
		cmocka_unit_test_teardown(neighbour__retried, table_free),
		cmocka_unit_test_teardown(neighbour__full, table_free),
		cmocka_unit_test(wait__modes),
		cmocka_unit_test(wait__asked),
		cmocka_unit_test(wait__owed),
		cmocka_unit_test(wait__early_timer),
		cmocka_unit_test(wait__eventfd),
		cmocka_unit_test(wait__short_first),
		cmocka_unit_test(wait__level_and_overdue),
	};

	return cmocka_run_group_tests_name("dpdk", tests, NULL, NULL);
}
