/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/le.h"
#include "rmnic/device.h"
#include "spill_rig.h"

static uint64_t reserved(void)
{
	uint64_t n;

	rmnic_store_remote_status(rw.store, &n);
	return n;
}

/* --- Room ----------------------------------------------------------------------------------------- */

/* RULES L1: what servers have no room for is backed by the spill spill_file; STATE-28. */
static void room__what_servers_cannot_take(void **state)
{
	struct rmnic_remote_progress p;
	unsigned int spilled = 0;

	(void)state;
	spill_up(1, 2, 2, 4 * CLUSTER_SLAB, 1);
	assert_int_equal(reserved(), 4 * CLUSTER_SLAB);
	assert_int_equal(spill_file.held, 2 * CLUSTER_SLAB);
	assert_int_equal(spill_events[RMNIC_REMOTE_EV_SPILLING], 2);
	for (uint64_t rpn = 5; rpn < 4 * CLUSTER_SLAB; rpn += CLUSTER_SLAB) {
		assert_int_equal(remote_out(rpn, rpn), RMNIC_SC_OK);
		assert_true(remote_holds(rpn, rpn));
		spilled += spill_is_spilled(rpn);
	}
	assert_int_equal(spilled, 2);
	assert_int_equal(spill_counters()->spilled, 2);
	rmnic_store_remote_progress(rw.store, &p);
	assert_int_equal(p.spilled, 2);
	assert_int_equal(p.spilling, 2);
	assert_int_equal(p.spill_free, 0);
}

/* As much as there is, and it is said how much that is. */
static void room__not_enough(void **state)
{
	uint64_t until;

	(void)state;
	spill_set_up(1, 2, 1, 4 * CLUSTER_SLAB, 1);
	assert_true(cluster_start(&rw));
	until = rw.net.now + 10000 * MS;
	while (rmnic_store_remote_status(rw.store, NULL) != RMNIC_REMOTE_NO_SPACE)
		assert_true(cluster_step(&rw, until));
	assert_int_equal(reserved(), 3 * CLUSTER_SLAB);
	assert_int_equal(spill_file.held, CLUSTER_SLAB);
}

/* No server at all: everything has its place in the spill_file, and the device is served. */
static void room__without_servers(void **state)
{
	(void)state;
	spill_set_up(1, 8, 2, 2 * CLUSTER_SLAB, 1);
	spill_servers_leave();
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 10000 * MS));
	assert_int_equal(remote_out(70, 3), RMNIC_SC_OK);
	assert_true(remote_holds(70, 3));
	assert_true(spill_is_spilled(70));
	/* They come back, and it goes to them. */
	assert_true(cluster_server_start(&rw, 0));
	assert_true(spill_comes_back(70, 20000 * MS));
	assert_true(remote_holds(70, 3));
	assert_true(spill_nothing_held(10000 * MS));
	assert_int_equal(remote_slab(0, 70)->number, 1);
	assert_int_equal(spill_view(1).spill, 0);
}

/* Room comes by and by. */
static void room__that_is_waited_for(void **state)
{
	(void)state;
	spill_set_up(1, 2, 4, 6 * CLUSTER_SLAB, 1);
	spill_file.wait_permille = 500;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
	assert_int_equal(spill_file.held, 4 * CLUSTER_SLAB);
	for (uint64_t rpn = 1; rpn < 6 * CLUSTER_SLAB; rpn += 7) {
		assert_int_equal(remote_out(rpn, rpn), RMNIC_SC_OK);
		spill_file.wait_permille = 0; /* a page-in is not kept waiting: its guest asks again */
		assert_true(remote_holds(rpn, rpn));
		spill_file.wait_permille = 500;
	}
}

/* A server with room is added: slabs of which the only place was in the file move there. */
static void room__a_server_is_added(void **state)
{
	(void)state;
	spill_set_up(2, 2, 2, 4 * CLUSTER_SLAB, 1);
	rw.servers[1].unknown = true;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn += 3)
		assert_int_equal(remote_out(rpn, rpn + 9), RMNIC_SC_OK);
	cluster_server_add(&rw, 1);
	assert_true(spill_nothing_held(60000 * MS));
	for (uint64_t rpn = 0; rpn < 4 * CLUSTER_SLAB; rpn += 3) {
		assert_true(spill_is_held(rpn));
		assert_true(remote_holds(rpn, rpn + 9));
	}
	assert_int_equal(spill_events[RMNIC_REMOTE_EV_UNSPILLED], 2);
	assert_int_equal(spill_counters()->unspilled, spill_counters()->spilled);
}

/* A growth that is not wanted any more gives its places back. */
static void room__is_given_back(void **state)
{
	(void)state;
	spill_set_up(1, 2, 4, 6 * CLUSTER_SLAB, 1);
	rw.cfg.reserve = 2 * CLUSTER_SLAB;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
	assert_int_equal(spill_file.held, 0);
	assert_true(rmnic_store_remote_reserve(rw.store, 6 * CLUSTER_SLAB));
	assert_true(cluster_ready(&rw, 20000 * MS));
	assert_int_equal(spill_file.held, 4 * CLUSTER_SLAB);
	assert_true(rmnic_store_remote_reserve(rw.store, 2 * CLUSTER_SLAB));
	assert_true(spill_nothing_held(10000 * MS));
}

/* ... also the one that was under way when it was not wanted any more. */
static void room__that_comes_too_late(void **state)
{
	uint64_t until;

	(void)state;
	spill_set_up(1, 1, 4, 4 * CLUSTER_SLAB, 1);
	rw.cfg.reserve = CLUSTER_SLAB;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
	spill_file.wait_permille = 1000;
	spill_file.stuck = true;
	assert_true(rmnic_store_remote_reserve(rw.store, 4 * CLUSTER_SLAB));
	until = rw.net.now + 30000 * MS;
	while (spill_file.holding == UINT64_MAX)
		assert_true(cluster_step(&rw, until));
	assert_true(rmnic_store_remote_reserve(rw.store, CLUSTER_SLAB));
	spill_file.stuck = false;
	spill_file.wait_permille = 0;
	cluster_run(&rw, 5000 * MS);
	assert_int_equal(spill_file.held, 0);
	assert_int_equal(spill_view(1).view, 0);
	assert_int_equal(spill_view(2).view, 0);
	assert_int_equal(spill_view(3).view, 0);
}

/* A server that has pages is not there: the device waits for it, and takes no place meanwhile. */
static void room__not_before_servers_were_met(void **state)
{
	(void)state;
	spill_set_up(1, 2, 4, 4 * CLUSTER_SLAB, 1);
	rw.cfg.reserve = 2 * CLUSTER_SLAB;
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
	cluster_stop(&rw);
	spill_servers_leave();
	rw.cfg.reserve = 4 * CLUSTER_SLAB;
	assert_true(cluster_start(&rw));
	assert_false(cluster_ready(&rw, 20000 * MS));
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_UNREACHABLE);
	assert_int_equal(spill_file.held, 0);
	assert_true(cluster_server_start(&rw, 0));
	assert_true(cluster_ready(&rw, 20000 * MS));
}

/* --- Pages ------------------------------------------------------------------------------------------ */

/* STATE-28: all members are silent. */
static void page__while_servers_are_silent(void **state)
{
	uint64_t version;

	(void)state;
	spill_up(2, 4, 4, 2 * CLUSTER_SLAB, 2);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	spill_servers_leave();
	assert_int_equal(remote_out(3, 2), RMNIC_SC_OK);
	assert_true(spill_is_spilled(3));
	assert_true(remote_holds(3, 2));
	version = VERSION(remote_word(3));
	assert_true(cluster_server_start(&rw, 0));
	assert_true(cluster_server_start(&rw, 1));
	assert_true(spill_comes_back(3, 30000 * MS));
	assert_int_equal(VERSION(remote_word(3)), version); /* under the same one */
	assert_true(spill_nothing_held(30000 * MS));
	assert_true(remote_holds(3, 2));
}

/* Filled with one word: the same message as it would have been at first (RMP-19). */
static void page__same_filled(void **state)
{
	(void)state;
	spill_up(1, 4, 4, 2 * CLUSTER_SLAB, 1);
	spill_servers_leave();
	memset(remote_buf, 0x5a, sizeof(remote_buf));
	assert_int_equal(cluster_out(&rw, 9, remote_buf), RMNIC_SC_OK);
	assert_true(spill_is_spilled(9));
	assert_true(cluster_server_start(&rw, 0));
	assert_true(spill_comes_back(9, 30000 * MS));
	memset(remote_buf, 0, sizeof(remote_buf));
	assert_int_equal(cluster_in(&rw, 9, remote_buf), RMNIC_SC_OK);
	assert_int_equal(remote_buf[0], 0x5a5a5a5a5a5a5a5a);
	assert_int_equal(remote_buf[511], 0x5a5a5a5a5a5a5a5a);
}

/* The server has it, and could not say so: what comes back is the same to it (RMP-19). */
static void page__the_server_has_it_already(void **state)
{
	unsigned int server;

	(void)state;
	spill_up(1, 4, 4, 2 * CLUSTER_SLAB, 1);
	server = rw.servers[0].end;
	rw.net.cut[server][rw.backend] = 1;
	memset(remote_buf, 0x33, sizeof(remote_buf));
	assert_int_equal(cluster_out(&rw, 9, remote_buf), RMNIC_SC_OK);
	assert_int_equal(remote_slab(0, 9)->stored, 1);
	assert_int_equal(remote_out(10, 4), RMNIC_SC_OK);
	assert_true(spill_is_spilled(9) && spill_is_spilled(10));
	rw.net.cut[server][rw.backend] = 0;
	assert_true(spill_comes_back(9, 30000 * MS));
	assert_true(spill_comes_back(10, 30000 * MS));
	assert_true(remote_holds(10, 4));
}

/* A write that the file cuts short is no page-out that is acknowledged. */
static void page__short_write(void **state)
{
	uint64_t until;

	(void)state;
	spill_up(1, 0, 2, 2 * CLUSTER_SLAB, 1);
	spill_file.short_permille = 1000;
	assert_int_not_equal(remote_out(3, 1), RMNIC_SC_OK);
	assert_int_equal(spill_read(3), RMNIC_SC_INDETERMINATE);
	assert_true(spill_counters()->spill_errors > 0);
	spill_file.short_permille = 0;
	until = rw.net.now + 60000 * MS;
	while (remote_out(3, 2) != RMNIC_SC_OK)
		assert_true(cluster_step(&rw, until));
	assert_true(remote_holds(3, 2));
}

static void page__short_read(void **state)
{
	(void)state;
	spill_up(1, 0, 2, 2 * CLUSTER_SLAB, 1);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	spill_file.short_permille = 1000;
	assert_int_equal(spill_read(3), RMNIC_SC_UNREACHABLE); /* tried again, not given up */
	spill_file.short_permille = 0;
	assert_true(remote_holds(3, 1));
}

static void damaged(size_t at, uint8_t bits)
{
	((uint8_t *)&spill_file.data[3])[at] ^= bits;
	assert_int_equal(spill_read(3), RMNIC_SC_CORRUPT);
	((uint8_t *)&spill_file.data[3])[at] ^= bits;
	assert_true(remote_holds(3, 1));
}

/* One bit of the page, or of the record. */
static void page__damaged(void **state)
{
	(void)state;
	spill_up(1, 0, 2, 2 * CLUSTER_SLAB, 1);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	damaged(0, 0x01);
	damaged(RMNIC_PAGE_SIZE - 1, 0x80);
	for (size_t i = 0; i < sizeof(struct rmnic_spill_record); i++)
		damaged(offsetof(struct rmnic_spill_place, record) + i, (uint8_t)(1u << i % 8));
}

/* Half of one write and half of another, each with a right record. */
static void page__torn(void **state)
{
	struct rmnic_spill_place old;

	(void)state;
	spill_up(1, 0, 2, 2 * CLUSTER_SLAB, 1);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	old = spill_file.data[3];
	assert_int_equal(remote_out(3, 2), RMNIC_SC_OK);
	memcpy(spill_file.data[3].page, old.page, RMNIC_PAGE_SIZE / 2);
	assert_int_equal(spill_read(3), RMNIC_SC_CORRUPT);
	assert_int_equal(remote_out(3, 3), RMNIC_SC_OK);
	assert_true(remote_holds(3, 3));
}

/* STATE-3: an older write, whole, or another page's. */
static void page__old_or_foreign(void **state)
{
	struct rmnic_spill_place old;

	(void)state;
	spill_up(1, 0, 2, 2 * CLUSTER_SLAB, 1);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	assert_int_equal(remote_out(4, 5), RMNIC_SC_OK);
	old = spill_file.data[3];
	assert_int_equal(remote_out(3, 2), RMNIC_SC_OK);
	spill_file.data[3] = old;
	assert_int_equal(spill_read(3), RMNIC_SC_CORRUPT);
	spill_file.data[3] = spill_file.data[4];
	assert_int_equal(spill_read(3), RMNIC_SC_CORRUPT);
}

static void page__freed(void **state)
{
	(void)state;
	spill_up(1, 4, 2, 2 * CLUSTER_SLAB, 1);
	spill_servers_leave();
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	assert_true(spill_is_spilled(3));
	assert_int_equal(rw.store->ops->free(rw.store, 3, 1), RMNIC_SC_OK);
	assert_true(remote_zeros(3));
	assert_true(cluster_server_start(&rw, 0));
	assert_true(spill_nothing_held(30000 * MS));
	assert_true(remote_zeros(3));
	assert_int_equal(spill_counters()->unspilled, 0);
}

/* A write that nobody waits for does not end after, and instead of, a later one. */
static void page__cancelled_write(void **state)
{
	struct rmnic_page_op op = { .rpn = 3, .data = remote_buf };

	(void)state;
	spill_up(1, 0, 2, 2 * CLUSTER_SLAB, 1);
	cluster_page(remote_buf, 1);
	spill_file.stuck = true;
	assert_int_equal(rw.store->ops->page_out(rw.store, &op), RMNIC_STORE_PENDING);
	rw.store->ops->cancel(rw.store, &op);
	assert_int_equal(spill_file.nios, 1);
	cluster_page(remote_buf, 2);
	spill_file.stuck = false;
	assert_int_equal(cluster_out(&rw, 3, remote_buf), RMNIC_SC_OK);
	assert_true(remote_holds(3, 2));
}

/* --- Restarts ------------------------------------------------------------------------------------------ */

static void restart__same_file(void **state)
{
	(void)state;
	spill_up(1, 0, 2, 2 * CLUSTER_SLAB, 1);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	cluster_stop(&rw);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
	assert_true(remote_holds(3, 1));
	assert_int_equal(spill_file.held, 2 * CLUSTER_SLAB);
}

/* What a predecessor held is given back when it is not needed any more. */
static void restart__and_back(void **state)
{
	struct rmnic_state_block b;

	(void)state;
	spill_up(1, 4, 4, 2 * CLUSTER_SLAB, 1);
	spill_servers_leave();
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	cluster_stop(&rw);
	assert_true(cluster_server_start(&rw, 0));
	assert_true(cluster_start(&rw));
	assert_true(spill_nothing_held(30000 * MS));
	assert_true(remote_holds(3, 1));
	b = remote_block();
	assert_int_equal(b.hdr->spill_id, 0); /* the next one can do without a file */
}

/* A write that is to be redriven, or settled, is not decided by what is in the file meanwhile. */
static void restart__in_a_write_with_servers(void **state)
{
	struct rmnic_page_op op = { .rpn = 3, .data = remote_buf };

	(void)state;
	spill_up(1, 4, 4, 2 * CLUSTER_SLAB, 1);
	spill_servers_leave();
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	spill_file.stuck = true;
	cluster_page(remote_buf, 2);
	assert_int_equal(rw.store->ops->page_out(rw.store, &op), RMNIC_STORE_PENDING);
	cluster_stop(&rw);
	spill_file.stuck = false;
	assert_true(cluster_server_start(&rw, 0));
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
	cluster_run(&rw, 3000 * MS);
	assert_true(spill_is_spilled(3));
	assert_true(remote_word(3) & RMNIC_STATE_PAGE_WRITING);
	rw.store->ops->settle(rw.store, 3, 1);
	assert_int_equal(spill_read(3), RMNIC_SC_INDETERMINATE);
	assert_true(spill_nothing_held(30000 * MS));
}

/* STATE-29 */
static void restart__another_file(void **state)
{
	struct rmnic_state_block b;

	(void)state;
	spill_up(1, 0, 2, 2 * CLUSTER_SLAB, 1);
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	assert_int_equal(remote_out(4, 1), RMNIC_SC_OK);
	b = remote_block();
	assert_int_equal(rmnic_le64_get(b.hdr->spill_id), spill_file.id);
	cluster_stop(&rw);
	memspill_renew(&spill_file);
	assert_true(cluster_start(&rw));
	assert_int_equal(spill_read(3), RMNIC_SC_LOST);
	assert_true(cluster_ready(&rw, 20000 * MS));
	assert_int_equal(rmnic_le64_get(b.hdr->spill_id), spill_file.id);
	assert_int_equal(spill_read(4), RMNIC_SC_LOST);
	assert_int_equal(remote_out(3, 2), RMNIC_SC_OK); /* and the slab takes pages again */
	assert_true(remote_holds(3, 2));
}

/* The backend dies while it writes: the page is the old or the new one, or its reader is told. */
static void restart__in_a_write(void **state)
{
	(void)state;
	spill_up(1, 0, 2, 2 * CLUSTER_SLAB, 1);
	for (uint64_t i = 1; i <= 200; i++) {
		struct rmnic_page_op op = { .rpn = 3, .data = remote_buf };
		uint16_t status;

		assert_int_equal(remote_out(3, 2 * i), RMNIC_SC_OK);
		cluster_page(remote_buf, 2 * i + 1);
		spill_file.stuck = true;
		assert_int_equal(rw.store->ops->page_out(rw.store, &op), RMNIC_STORE_PENDING);
		cluster_stop(&rw);
		spill_file.stuck = false;
		assert_true(cluster_start(&rw));
		assert_true(cluster_ready(&rw, 20000 * MS));
		status = spill_read(3);
		if (status == RMNIC_SC_OK)
			assert_true(cluster_is_page(remote_buf, 2 * i) ||
				    cluster_is_page(remote_buf, 2 * i + 1));
		else
			assert_int_equal(status, RMNIC_SC_CORRUPT);
		rw.store->ops->settle(rw.store, 3, 1); /* nobody redrives it */
		assert_int_equal(spill_read(3), RMNIC_SC_INDETERMINATE);
	}
	assert_true(spill_file.torn > 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, spill_tear_down)
	const struct CMUnitTest tests[] = {
		T(room__what_servers_cannot_take),
		T(room__not_enough),
		T(room__without_servers),
		T(room__that_is_waited_for),
		T(room__a_server_is_added),
		T(room__is_given_back),
		T(room__that_comes_too_late),
		T(room__not_before_servers_were_met),
		T(page__while_servers_are_silent),
		T(page__same_filled),
		T(page__the_server_has_it_already),
		T(page__short_write),
		T(page__short_read),
		T(page__damaged),
		T(page__torn),
		T(page__old_or_foreign),
		T(page__freed),
		T(page__cancelled_write),
		T(restart__same_file),
		T(restart__and_back),
		T(restart__in_a_write_with_servers),
		T(restart__another_file),
		T(restart__in_a_write),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
