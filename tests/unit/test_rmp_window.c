/* SPDX-License-Identifier: BSD-3-Clause */
/* engine/rmp_window.c: page-outs that give way to page-ins (RMP-26). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client_rig.h"

#define NEAR_NS UINT64_C(5000)
#define FAR_NS  UINT64_C(400000) /* each way */
#define FULL    (8 * 4096u)
#define QUICK_ENOUGH 100

static uint32_t window(void)
{
	struct rmnic_peer_info info;

	rmnic_rmp_client_peer(client, 0, &info);
	return info.window;
}

static void page_in(bool urgent)
{
	struct probe_call p;

	make_call(&p, RMNIC_RMP_READ, 1, 0);
	p.call.urgent = urgent;
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
}

static void page_out(uint64_t version)
{
	struct probe_call p;

	make_call(&p, RMNIC_RMP_WRITE, 1, version);
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
}

/* The path is quick, and the client knows it. */
static int up(void **state)
{
	if (client_rig_up(state))
		return -1;
	w.net.faults.delay_ns = NEAR_NS;
	pass_time(500 * MS);
	page_out(1);
	for (int i = 0; i < 20; i++)
		page_in(true);
	return window() == FULL ? 0 : -1;
}

static void page_in__slow(void **state)
{
	(void)state;
	w.net.faults.delay_ns = FAR_NS;
	for (int i = 0; i < 20; i++)
		page_in(true);
	assert_int_equal(window(), 4096);
	w.net.faults.delay_ns = NEAR_NS;
	for (int i = 0; i < QUICK_ENOUGH; i++)
		page_in(true);
	assert_int_equal(window(), FULL);
}

/* Repair and scrubbing read as well: nobody waits for them. */
static void page_in__not_urgent(void **state)
{
	(void)state;
	w.net.faults.delay_ns = FAR_NS;
	for (int i = 0; i < 20; i++)
		page_in(false);
	assert_int_equal(window(), FULL);
}

/* Page-outs alone have all of it. */
static void page_in__no_more(void **state)
{
	static struct probe_call p[2];

	(void)state;
	w.net.faults.delay_ns = FAR_NS;
	for (int i = 0; i < 20; i++)
		page_in(true);
	assert_int_equal(window(), 4096);
	pass_time(20 * MS);
	for (uint64_t i = 0; i < 2; i++) {
		make_call(&p[i], RMNIC_RMP_WRITE, i, 2);
		assert_true(rmnic_rmp_client_submit(client, &p[i].call));
	}
	assert_int_equal(window(), FULL);
	pass_time(20 * MS);
	assert_true(p[0].done && p[1].done);
}

/* The path has become longer for good: what was quick once is forgotten. */
static void page_in__longer_path(void **state)
{
	uint64_t end;

	(void)state;
	w.net.faults.delay_ns = FAR_NS;
	page_in(true);
	assert_true(window() < FULL);
	for (end = w.net.now + 11000 * MS; w.net.now < end;)
		page_in(true);
	for (int i = 0; i < QUICK_ENOUGH; i++)
		page_in(true);
	assert_int_equal(window(), FULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, client_rig_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(page_in__slow),
		TEST(page_in__not_urgent),
		TEST(page_in__no_more),
		TEST(page_in__longer_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
