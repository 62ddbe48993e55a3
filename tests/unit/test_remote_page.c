/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rmnic/device.h"
#include "spill_rig.h"

static uint16_t ended;

static void remember(struct rmnic_page_op *op, uint16_t status)
{
	(void)op;
	ended = status;
}

static void never(struct rmnic_page_op *op, uint16_t status)
{
	(void)op;
	fail_msg("a cancelled operation ended with 0x%x", status);
}

/* RULES B5: what is sent, and sent again, is what was there at first. */
static void out__guest_changes_the_page(void **state)
{
	struct rmnic_page_op op = { .rpn = 3, .data = remote_buf, .done = remember };

	(void)state;
	remote_up(1, 64, 1);
	cluster_page(remote_buf, 5);
	ended = RMNIC_STORE_PENDING;
	assert_int_equal(rw.store->ops->page_out(rw.store, &op), RMNIC_STORE_PENDING);
	cluster_page(remote_buf, 6); /* before anything was delivered */
	cluster_run(&rw, 100 * MS);
	assert_int_equal(ended, RMNIC_SC_OK);
	assert_int_equal(remote_wire()->crc_errors, 0);
	assert_true(remote_holds(3, 5));
	cluster_fini(&rw);
}

/* STATE-3: an older copy than the page's word is never delivered, whatever its checksum. */
static void in__older_copy(void **state)
{
	struct rmnic_state_block b;
	uint64_t word;

	(void)state;
	remote_up(1, 64, 1);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_OK);
	b = remote_block();
	word = rmnic_state_page(&b, 3);
	rmnic_state_page_set(&b, 3, (word >> 16) + 1, RMNIC_STATE_PAGE_HELD);
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_CORRUPT);
	assert_int_equal(rmnic_store_remote_counters(rw.store)->stale, 1);
	/* A newer one only while a write is under way. */
	rmnic_state_page_set(&b, 3, (word >> 16) - 1, RMNIC_STATE_PAGE_HELD);
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_CORRUPT);
	rmnic_state_page_set(&b, 3, (word >> 16) - 1,
			     RMNIC_STATE_PAGE_HELD | RMNIC_STATE_PAGE_WRITING);
	assert_true(remote_holds(3, 5));
	cluster_fini(&rw);
}

/* STATE-4: a server that has nothing is no proof of an empty page. */
static void in__absent_is_not_empty(void **state)
{
	(void)state;
	remote_up(1, 64, 1);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_OK);
	rmnic_mem_free(rw.servers[0].store, remote_slab(0, 3), 3, 1, 1ull << 40);
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_CORRUPT);
	assert_int_equal(rmnic_store_remote_counters(rw.store)->missing, 1);
	rmnic_mem_release(rw.servers[0].store, remote_slab(0, 3));
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_LOST);
	cluster_fini(&rw);
}

/* STATE-8, RMP-9: another store is proof of loss; the same one after a restart is not. */
static void in__server_restarted(void **state)
{
	(void)state;
	remote_up(1, 64, 1);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_OK);
	cluster_server_stop(&rw, 0, true);
	cluster_server_start(&rw, 0);
	assert_true(remote_holds(3, 5));
	cluster_server_stop(&rw, 0, false);
	cluster_server_start(&rw, 0);
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_LOST);
	assert_true(remote_zeros(4)); /* never written: nothing was lost of it */
	assert_int_equal(remote_out(4, 1), RMNIC_SC_UNREACHABLE);
	cluster_fini(&rw);
}

static void in__server_silent(void **state)
{
	(void)state;
	remote_up(1, 64, 1);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_OK);
	cluster_server_stop(&rw, 0, true);
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_UNREACHABLE); /* bounded, not LOST */
	cluster_server_start(&rw, 0);
	assert_true(remote_holds(3, 5));
	cluster_fini(&rw);
}

/* STATE-5 */
static void out__failed_leaves_indeterminate(void **state)
{
	(void)state;
	remote_up(1, 64, 1);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_OK);
	rw.net.cut[rw.servers[0].end][rw.backend] = 1; /* it arrives, the answer does not */
	assert_int_equal(remote_out(3, 6), RMNIC_SC_UNREACHABLE);
	rw.net.cut[rw.servers[0].end][rw.backend] = 0;
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_INDETERMINATE);
	assert_int_equal(remote_out(3, 7), RMNIC_SC_OK);
	assert_true(remote_holds(3, 7));
	cluster_fini(&rw);
}

static void cancel__forgets(void **state)
{
	struct rmnic_page_op ops[2] = { { .rpn = 3, .data = remote_buf, .done = never },
					{ .rpn = 4, .data = remote_buf, .done = never } };
	static uint64_t untouched[512];

	(void)state;
	remote_up(1, 64, 1);
	assert_int_equal(remote_out(4, 9), RMNIC_SC_OK);
	ops[1].data = untouched;
	assert_int_equal(rw.store->ops->page_out(rw.store, &ops[0]), RMNIC_STORE_PENDING);
	assert_int_equal(rw.store->ops->page_in(rw.store, &ops[1]), RMNIC_STORE_PENDING);
	rw.store->ops->cancel(rw.store, &ops[0]);
	rw.store->ops->cancel(rw.store, &ops[1]);
	cluster_run(&rw, 100 * MS);
	assert_int_equal(untouched[0], 0);
	assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_INDETERMINATE);
	assert_true(remote_holds(4, 9));
	assert_int_equal(remote_out(3, 1), RMNIC_SC_OK);
	cluster_fini(&rw);
}

/* A page-out of content 6 to page 3, which held 5, was under way when its backend died. */
static void die_writing(bool arrived)
{
	struct rmnic_page_op op = { .rpn = 3, .data = remote_buf, .done = never };

	remote_up(1, 64, 1);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_OK);
	cluster_page(remote_buf, 6);
	rw.net.cut[rw.backend][rw.servers[0].end] = !arrived;
	rw.net.cut[rw.servers[0].end][rw.backend] = true;
	assert_int_equal(rw.store->ops->page_out(rw.store, &op), RMNIC_STORE_PENDING);
	cluster_run(&rw, 1 * MS);
	cluster_stop(&rw);
	cluster_run(&rw, 5 * MS); /* what was sent comes to its end */
	memset(rw.net.cut, 0, sizeof(rw.net.cut));
	assert_true(remote_word(3) & RMNIC_STATE_PAGE_WRITING);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 10000 * MS));
}

/* STATE-3, STATE-16: old or new until it is redriven, and if it is not, neither. */
static void settle__death_while_writing(void **state)
{
	(void)state;
	for (unsigned int arrived = 0; arrived < 2; arrived++) {
		die_writing(arrived);
		assert_true(remote_holds(3, 5 + arrived));
		assert_int_equal(remote_out(3, 6), RMNIC_SC_OK); /* redriven */
		assert_true(remote_holds(3, 6));
		rw.store->ops->settle(rw.store, 0, 64);
		assert_true(remote_holds(3, 6));
		cluster_fini(&rw);
		die_writing(arrived);
		rw.store->ops->settle(rw.store, 0, 64);
		assert_int_equal(cluster_in(&rw, 3, remote_buf), RMNIC_SC_INDETERMINATE);
		assert_int_equal(remote_out(3, 7), RMNIC_SC_OK);
		assert_true(remote_holds(3, 7));
		cluster_fini(&rw);
	}
}

/* Only what nobody writes now; and what is freed stays freed, to be told to the members. */
static void settle__leaves_the_living(void **state)
{
	struct rmnic_page_op op = { .rpn = 4, .data = remote_buf, .done = remember };
	struct rmnic_state_block b;
	uint64_t word;

	(void)state;
	remote_up(1, 64, 1);
	assert_int_equal(remote_out(5, 1), RMNIC_SC_OK);
	cluster_page(remote_buf, 8);
	assert_int_equal(rw.store->ops->page_out(rw.store, &op), RMNIC_STORE_PENDING);
	b = remote_block();
	word = remote_word(5);
	/* Told already; then a write began. */
	rmnic_state_page_set(&b, 5, (word >> 16) + 100,
			     RMNIC_STATE_PAGE_FREED | RMNIC_STATE_PAGE_WRITING);
	rmnic_state_version_seen(&b, (word >> 16) + 100);
	rw.store->ops->settle(rw.store, 0, 64);
	assert_true(remote_word(4) & RMNIC_STATE_PAGE_WRITING);
	assert_true(remote_word(5) & RMNIC_STATE_PAGE_TELL);
	cluster_run(&rw, 100 * MS);
	assert_int_equal(ended, RMNIC_SC_OK);
	assert_true(remote_holds(4, 8));
	assert_true(remote_zeros(5));
	assert_int_equal(remote_word(5) & 0xffff, RMNIC_STATE_PAGE_FREED); /* and they were told */
	cluster_fini(&rw);
}

/* One remote_buf, one write at a time; and as many pages as were provided for. */
static void out__limits(void **state)
{
	static struct rmnic_page_op ops[65];
	static uint64_t pages[65][512];

	(void)state;
	remote_up(1, 128, 1);
	rw.net.cut[rw.backend][rw.servers[0].end] = 1;
	for (unsigned int i = 0; i < 65; i++) {
		ops[i] = (struct rmnic_page_op){ .rpn = i, .data = pages[i], .done = never };
		pages[i][0] = i + 1;
		assert_int_equal(rw.store->ops->page_out(rw.store, &ops[i]),
				 i < 64 ? RMNIC_STORE_PENDING : RMNIC_SC_BUSY);
	}
	rw.store->ops->cancel(rw.store, &ops[0]);
	cluster_run(&rw, MS); /* its place is free again */
	ops[64].rpn = 1;
	assert_int_equal(rw.store->ops->page_out(rw.store, &ops[64]), RMNIC_SC_BUSY);
	for (unsigned int i = 1; i < 64; i++)
		rw.store->ops->cancel(rw.store, &ops[i]);
	rw.net.cut[rw.backend][rw.servers[0].end] = 0;
	cluster_run(&rw, 3000 * MS);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(remote_out(i, i), RMNIC_SC_OK);
	cluster_fini(&rw);
}

/* STATE-2: acknowledged is what every member holds; members are on different servers. */
static void replicas__all_hold_it(void **state)
{
	bool cut = false;
	struct rmnic_page_op op = { .rpn = 3, .data = remote_buf, .done = never };
	uint64_t before;

	(void)state;
	cluster_init(&rw, 1, 3, 512, 256, 2);
	rw.cfg.drop_ns = 60000 * MS; /* nobody is dropped */
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 1000 * MS));
	for (uint64_t i = 0; i < 256; i++) {
		unsigned int n = 0;

		assert_int_equal(remote_out(i, i), RMNIC_SC_OK);
		for (unsigned int k = 0; k < 3; k++)
			n += remote_slab(k, i) && rmnic_mem_page(remote_slab(k, i), i)->vstate;
		assert_int_equal(n, 2);
	}
	/* While one of them does not hear, a write is not held by all (what then: test_remote_view.c). */
	for (unsigned int k = 0; k < 3 && !cut; k++)
		if (remote_slab(k, 3))
			rw.net.cut[rw.backend][rw.servers[k].end] = cut = true;
	before = remote_word(3);
	cluster_page(remote_buf, 77);
	assert_int_equal(rw.store->ops->page_out(rw.store, &op), RMNIC_STORE_PENDING);
	cluster_run(&rw, 20 * MS);
	assert_true(remote_word(3) == (before | RMNIC_STATE_PAGE_WRITING));
	rw.store->ops->cancel(rw.store, &op);
	cluster_fini(&rw);
}

/* A page-in goes on to another member: when one is dead, lost its memory, or has a bad copy. */
static void replicas__read_elsewhere(void **state)
{
	struct rmnic_memstore *ms;
	uint8_t *bytes;

	(void)state;
	remote_up(2, 64, 2);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(remote_out(i, i), RMNIC_SC_OK);
	for (unsigned int k = 0; k < 2; k++) {
		ms = rw.servers[k].store;
		rmnic_frame_data(ms->frames, rmnic_mem_page(remote_slab(k, 3), 3)->body)[9] ^= 1;
		assert_true(remote_holds(3, 3));
		cluster_run(&rw, 2000 * MS);
		bytes = rmnic_frame_data(ms->frames, rmnic_mem_page(remote_slab(k, 3), 3)->body);
		if (!cluster_is_page(bytes, 3)) /* nobody read it, so that nobody replaced it */
			bytes[9] ^= 1;
		cluster_server_stop(&rw, k, true);
		assert_true(remote_holds(5, 5));
		cluster_server_start(&rw, k);
		cluster_run(&rw, 2000 * MS);
	}
	cluster_server_stop(&rw, 0, false);
	cluster_server_start(&rw, 0);
	cluster_run(&rw, 2000 * MS);
	for (uint64_t i = 0; i < 64; i++)
		assert_true(remote_holds(i, i));
	cluster_server_stop(&rw, 0, false);
	cluster_server_stop(&rw, 1, false);
	cluster_server_start(&rw, 0);
	cluster_server_start(&rw, 1);
	cluster_run(&rw, 2000 * MS);
	assert_int_equal(cluster_in(&rw, 5, remote_buf), RMNIC_SC_LOST);
	cluster_fini(&rw);
}

/* --- A backend that has a successor ------------------------------------------------------------------- */

struct one {
	struct rmnic_page_op op;
	uint16_t status;
	uint64_t page[512];
};

static void one_done(struct rmnic_page_op *op, uint16_t status)
{
	((struct one *)op)->status = status;
}

static void one_begin(struct one *one, uint64_t rpn, bool out)
{
	memset(one, 0, sizeof(*one));
	one->op = (struct rmnic_page_op){ .rpn = rpn, .data = one->page, .done = one_done };
	one->status = out ? rw.store->ops->page_out(rw.store, &one->op) :
			    rw.store->ops->page_in(rw.store, &one->op);
}

/* A page that is on this server, and on no other one. */
static uint64_t page_on(unsigned int server)
{
	uint64_t rpn = 3;

	while (rpn < 8 * CLUSTER_SLAB && !remote_slab(server, rpn))
		rpn += CLUSTER_SLAB;
	assert_true(rpn < 8 * CLUSTER_SLAB);
	return rpn;
}

/* STATE-32: a server that has not heard of the successor answers as before, and that is nothing. */
static void fenced__nothing_is_acknowledged(void **state)
{
	unsigned int end;
	struct one out, in, told;
	uint64_t first, second;

	(void)state;
	remote_up(2, 8 * CLUSTER_SLAB, 1);
	end = rw.servers[1].end;
	first = page_on(0);
	second = page_on(1);
	assert_int_equal(remote_out(second, 1), RMNIC_SC_OK);
	assert_int_equal(remote_out(second + 1, 2), RMNIC_SC_OK);
	assert_int_equal(rmnic_mem_seal(rw.servers[0].store, 0, rw.epoch + 1), RMNIC_RMP_S_OK);
	rw.net.cut[end][rw.backend] = true;
	one_begin(&out, second, true);
	one_begin(&in, second + 1, false);
	one_begin(&told, first, true);
	while (told.status == RMNIC_STORE_PENDING)
		assert_true(cluster_step(&rw, rw.net.now + 1000 * MS));
	assert_int_equal(rmnic_store_remote_status(rw.store, NULL), RMNIC_REMOTE_FENCED);
	rw.net.cut[end][rw.backend] = false;
	cluster_run(&rw, 1000 * MS);
	assert_int_equal(told.status, RMNIC_SC_UNREACHABLE);
	assert_int_equal(out.status, RMNIC_SC_UNREACHABLE);
	assert_int_equal(in.status, RMNIC_SC_UNREACHABLE);
	cluster_fini(&rw);
}

/* --- A slab without members ------------------------------------------------------------------------------ */

/* RULES L1: what the disk did not take, and nobody else can, waits for servers. */
static void out__waits_for_members(void **state)
{
	uint64_t until;
	struct one out;

	(void)state;
	spill_set_up(1, 8, 2, 2 * CLUSTER_SLAB, 1);
	spill_servers_leave();
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 10000 * MS));
	spill_file.short_permille = 1000;
	one_begin(&out, 70, true);
	cluster_run(&rw, 100 * MS);
	assert_true(spill_counters()->spill_errors > 0);
	assert_int_equal(out.status, RMNIC_STORE_PENDING);
	assert_true(cluster_server_start(&rw, 0));
	until = rw.net.now + 10000 * MS;
	while (!spill_view(1).members)
		assert_true(cluster_step(&rw, until));
	cluster_run(&rw, 5 * MS);
	assert_int_equal(out.status, RMNIC_SC_OK);
	assert_true(spill_is_held(70));
	spill_tear_down(NULL);
}

/* RMP-26: the page-ins of a guest are what page-outs give way to. */
static void in__slow_ones_hold_page_outs_back(void **state)
{
	struct rmnic_peer_info info;

	(void)state;
	remote_up(1, 64, 1);
	assert_int_equal(remote_out(3, 5), RMNIC_SC_OK);
	rw.net.faults.delay_ns = 5000;
	for (int i = 0; i < 20; i++)
		assert_true(remote_holds(3, 5));
	rw.net.faults.delay_ns = 400000;
	for (int i = 0; i < 20; i++)
		assert_true(remote_holds(3, 5));
	rmnic_rmp_client_peer(rmnic_store_remote_client(rw.store), 0, &info);
	assert_int_equal(info.window, 4096);
	cluster_fini(&rw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(out__guest_changes_the_page),
		cmocka_unit_test(in__older_copy),
		cmocka_unit_test(in__absent_is_not_empty),
		cmocka_unit_test(in__server_restarted),
		cmocka_unit_test(in__server_silent),
		cmocka_unit_test(out__failed_leaves_indeterminate),
		cmocka_unit_test(cancel__forgets),
		cmocka_unit_test(settle__death_while_writing),
		cmocka_unit_test(settle__leaves_the_living),
		cmocka_unit_test(out__limits),
		cmocka_unit_test(replicas__all_hold_it),
		cmocka_unit_test(replicas__read_elsewhere),
		cmocka_unit_test(fenced__nothing_is_acknowledged),
		cmocka_unit_test(out__waits_for_members),
		cmocka_unit_test(in__slow_ones_hold_page_outs_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
