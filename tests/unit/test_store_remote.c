/* SPDX-License-Identifier: BSD-3-Clause */
/* The remote store end to end: client, servers and state block on a network in memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/state_block.h"
#include "rmnic/device.h"
#include "world.h"

#define MS UINT64_C(1000000)

static struct world w;
static uint64_t page[512];

static void up(unsigned int servers, uint64_t pages, uint32_t replicas)
{
	world_init(&w, 1, servers, (uint32_t)pages + 256, pages, replicas);
	assert_true(world_start(&w));
	assert_true(world_ready(&w, 1000 * MS));
}

static uint16_t out(uint64_t rpn, uint64_t content)
{
	world_page(page, content);
	return world_out(&w, rpn, page);
}

/* Whether page rpn can be read and has the content. */
static bool holds(uint64_t rpn, uint64_t content)
{
	memset(page, 0xee, sizeof(page));
	return world_in(&w, rpn, page) == RMNIC_SC_OK && world_is_page(page, content);
}

static bool zeros(uint64_t rpn)
{
	memset(page, 0xee, sizeof(page));
	return world_in(&w, rpn, page) == RMNIC_SC_OK && !page[0] && !page[511];
}

static struct rmnic_state_block block(void)
{
	struct rmnic_state_block b;

	assert_null(rmnic_state_attach(&b, w.state, w.state_size, w.cfg.device));
	return b;
}

static uint64_t word_of(uint64_t rpn)
{
	struct rmnic_state_block b = block();

	return rmnic_state_page(&b, rpn);
}

static struct rmnic_mem_slab *slab_of(unsigned int server, uint64_t rpn)
{
	struct rmnic_memstore *ms = w.servers[server].store;

	for (uint32_t i = 0; i < ms->cfg.max_slabs; i++)
		if (ms->slabs[i].handle && !ms->slabs[i].dying &&
		    ms->slabs[i].number == rpn / WORLD_SLAB)
			return &ms->slabs[i];
	return NULL;
}

static const struct rmnic_rmp_client_counters *wire(void)
{
	return rmnic_rmp_client_counters(rmnic_store_remote_client(w.store));
}

/* --- Pages ---------------------------------------------------------------------------------- */

static void pages__round_trip(void **state)
{
	(void)state;
	up(2, 256, 1);
	for (uint64_t i = 0; i < 256; i++)
		assert_int_equal(out(i, i), RMNIC_SC_OK);
	for (uint64_t i = 0; i < 256; i++)
		assert_true(holds(i, i));
	for (uint64_t i = 0; i < 256; i++)
		assert_int_equal(out(i, i + 1000), RMNIC_SC_OK);
	for (uint64_t i = 256; i-- > 0;)
		assert_true(holds(i, i + 1000));
	assert_int_equal(wire()->retransmits, 0);
	world_fini(&w);
}

/* Each fault alone and all of them, at an MTU of one segment and of three. */
static void pages__through_faults(void **state)
{
	static const struct memnet_faults faults[] = {
		{ .loss = 200 },
		{ .duplicate = 500 },
		{ .reorder = 300, .late_ns = 30 * MS },
		{ .corrupt = 200 },
		{ .refuse = 200 },
		{ .loss = 100, .duplicate = 200, .reorder = 200, .late_ns = 900 * MS, .corrupt = 50,
		  .refuse = 50, .mark = 200 },
	};

	(void)state;
	for (unsigned int i = 0; i < 12; i++) {
		world_init(&w, i, 2, 512, 128, 1 + i % 2);
		w.net.mtu = i < 6 ? 9000 : 1500;
		w.net.faults = faults[i % 6];
		w.net.faults.delay_ns = 5000;
		assert_true(world_start(&w));
		assert_true(world_ready(&w, 60000 * MS));
		for (uint64_t k = 0; k < 400; k++)
			assert_int_equal(out(k * 37 % 128, k), RMNIC_SC_OK);
		memset(&w.net.faults, 0, sizeof(w.net.faults));
		for (uint64_t k = 400 - 128; k < 400; k++)
			assert_true(holds(k * 37 % 128, k));
		world_fini(&w);
	}
}

static void pages__unwritten_read_as_zeros(void **state)
{
	(void)state;
	up(1, 64, 1);
	assert_true(zeros(7));
	assert_int_equal(out(7, 1), RMNIC_SC_OK);
	assert_int_equal(w.store->ops->free(w.store, 5, 4), RMNIC_SC_OK);
	assert_true(zeros(7));
	assert_int_equal(out(7, 2), RMNIC_SC_OK);
	assert_true(holds(7, 2));
	world_fini(&w);
}

/* RMP-23: words that fill a page take no frame; a word of 64 bits is a page like any other. */
static void pages__same_filled(void **state)
{
	struct rmnic_store_counters n;

	(void)state;
	up(1, 64, 1);
	for (int i = 0; i < 512; i++)
		page[i] = 0x0102030401020304ull;
	assert_int_equal(world_out(&w, 1, page), RMNIC_SC_OK);
	for (int i = 0; i < 512; i++)
		page[i] = 0x0102030401020305ull;
	assert_int_equal(world_out(&w, 2, page), RMNIC_SC_OK);
	assert_int_equal(w.servers[0].store->stored, 1);
	w.store->ops->counters(w.store, &n);
	assert_int_equal(n.same_filled, 1);
	assert_int_equal(n.stored, 2);
	assert_int_equal(world_in(&w, 1, page), RMNIC_SC_OK);
	assert_true(page[0] == 0x0102030401020304ull && page[511] == page[0]);
	assert_int_equal(world_in(&w, 2, page), RMNIC_SC_OK);
	assert_true(page[0] == 0x0102030401020305ull && page[511] == page[0]);
	world_fini(&w);
}

static uint16_t ended;

static void remember(struct rmnic_page_op *op, uint16_t status)
{
	(void)op;
	ended = status;
}

/* RULES B5: what is sent, and sent again, is what was there at first. */
static void out__guest_changes_the_page(void **state)
{
	struct rmnic_page_op op = { .rpn = 3, .data = page, .done = remember };

	(void)state;
	up(1, 64, 1);
	world_page(page, 5);
	ended = RMNIC_STORE_PENDING;
	assert_int_equal(w.store->ops->page_out(w.store, &op), RMNIC_STORE_PENDING);
	world_page(page, 6); /* before anything was delivered */
	world_run(&w, 100 * MS);
	assert_int_equal(ended, RMNIC_SC_OK);
	assert_int_equal(wire()->crc_errors, 0);
	assert_true(holds(3, 5));
	world_fini(&w);
}

/* --- What may be answered ---------------------------------------------------------------------- */

/* STATE-3: an older copy than the page's word is never delivered, whatever its checksum. */
static void in__older_copy(void **state)
{
	struct rmnic_state_block b;
	uint64_t word;

	(void)state;
	up(1, 64, 1);
	assert_int_equal(out(3, 5), RMNIC_SC_OK);
	b = block();
	word = rmnic_state_page(&b, 3);
	rmnic_state_page_set(&b, 3, (word >> 16) + 1, RMNIC_STATE_PAGE_HELD);
	assert_int_equal(world_in(&w, 3, page), RMNIC_SC_CORRUPT);
	assert_int_equal(rmnic_store_remote_counters(w.store)->stale, 1);
	/* A newer one only while a write is under way. */
	rmnic_state_page_set(&b, 3, (word >> 16) - 1, RMNIC_STATE_PAGE_HELD);
	assert_int_equal(world_in(&w, 3, page), RMNIC_SC_CORRUPT);
	rmnic_state_page_set(&b, 3, (word >> 16) - 1,
			     RMNIC_STATE_PAGE_HELD | RMNIC_STATE_PAGE_WRITING);
	assert_true(holds(3, 5));
	world_fini(&w);
}

/* STATE-4: a server that has nothing is no proof of an empty page. */
static void in__absent_is_not_empty(void **state)
{
	(void)state;
	up(1, 64, 1);
	assert_int_equal(out(3, 5), RMNIC_SC_OK);
	rmnic_mem_free(w.servers[0].store, slab_of(0, 3), 3, 1, 1ull << 40);
	assert_int_equal(world_in(&w, 3, page), RMNIC_SC_CORRUPT);
	assert_int_equal(rmnic_store_remote_counters(w.store)->missing, 1);
	rmnic_mem_release(w.servers[0].store, slab_of(0, 3));
	assert_int_equal(world_in(&w, 3, page), RMNIC_SC_LOST);
	world_fini(&w);
}

/* STATE-8, RMP-9: another store is proof of loss; the same one after a restart is not. */
static void in__server_restarted(void **state)
{
	(void)state;
	up(1, 64, 1);
	assert_int_equal(out(3, 5), RMNIC_SC_OK);
	world_server_stop(&w, 0, true);
	world_server_start(&w, 0);
	assert_true(holds(3, 5));
	world_server_stop(&w, 0, false);
	world_server_start(&w, 0);
	assert_int_equal(world_in(&w, 3, page), RMNIC_SC_LOST);
	assert_true(zeros(4)); /* never written: nothing was lost of it */
	assert_int_equal(out(4, 1), RMNIC_SC_UNREACHABLE);
	world_fini(&w);
}

static void in__server_silent(void **state)
{
	(void)state;
	up(1, 64, 1);
	assert_int_equal(out(3, 5), RMNIC_SC_OK);
	world_server_stop(&w, 0, true);
	assert_int_equal(world_in(&w, 3, page), RMNIC_SC_UNREACHABLE); /* bounded, not LOST */
	world_server_start(&w, 0);
	assert_true(holds(3, 5));
	world_fini(&w);
}

/* STATE-5 */
static void out__failed_leaves_indeterminate(void **state)
{
	(void)state;
	up(1, 64, 1);
	assert_int_equal(out(3, 5), RMNIC_SC_OK);
	w.net.cut[w.servers[0].end][w.backend] = 1; /* it arrives, the answer does not */
	assert_int_equal(out(3, 6), RMNIC_SC_UNREACHABLE);
	w.net.cut[w.servers[0].end][w.backend] = 0;
	assert_int_equal(world_in(&w, 3, page), RMNIC_SC_INDETERMINATE);
	assert_int_equal(out(3, 7), RMNIC_SC_OK);
	assert_true(holds(3, 7));
	world_fini(&w);
}

static void never(struct rmnic_page_op *op, uint16_t status)
{
	(void)op;
	fail_msg("a cancelled operation ended with 0x%x", status);
}

static void cancel__forgets(void **state)
{
	struct rmnic_page_op ops[2] = { { .rpn = 3, .data = page, .done = never },
					{ .rpn = 4, .data = page, .done = never } };
	static uint64_t untouched[512];

	(void)state;
	up(1, 64, 1);
	assert_int_equal(out(4, 9), RMNIC_SC_OK);
	ops[1].data = untouched;
	assert_int_equal(w.store->ops->page_out(w.store, &ops[0]), RMNIC_STORE_PENDING);
	assert_int_equal(w.store->ops->page_in(w.store, &ops[1]), RMNIC_STORE_PENDING);
	w.store->ops->cancel(w.store, &ops[0]);
	w.store->ops->cancel(w.store, &ops[1]);
	world_run(&w, 100 * MS);
	assert_int_equal(untouched[0], 0);
	assert_int_equal(world_in(&w, 3, page), RMNIC_SC_INDETERMINATE);
	assert_true(holds(4, 9));
	assert_int_equal(out(3, 1), RMNIC_SC_OK);
	world_fini(&w);
}

/* One page, one write at a time; and as many pages as were provided for. */
static void out__limits(void **state)
{
	static struct rmnic_page_op ops[65];
	static uint64_t pages[65][512];

	(void)state;
	up(1, 128, 1);
	w.net.cut[w.backend][w.servers[0].end] = 1;
	for (unsigned int i = 0; i < 65; i++) {
		ops[i] = (struct rmnic_page_op){ .rpn = i, .data = pages[i], .done = never };
		pages[i][0] = i + 1;
		assert_int_equal(w.store->ops->page_out(w.store, &ops[i]),
				 i < 64 ? RMNIC_STORE_PENDING : RMNIC_SC_BUSY);
	}
	w.store->ops->cancel(w.store, &ops[0]);
	world_run(&w, MS); /* its place is free again */
	ops[64].rpn = 1;
	assert_int_equal(w.store->ops->page_out(w.store, &ops[64]), RMNIC_SC_BUSY);
	for (unsigned int i = 1; i < 64; i++)
		w.store->ops->cancel(w.store, &ops[i]);
	w.net.cut[w.backend][w.servers[0].end] = 0;
	world_run(&w, 3000 * MS);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(out(i, i), RMNIC_SC_OK);
	world_fini(&w);
}

/* --- Freeing ---------------------------------------------------------------------------------- */

static void free__members_are_told(void **state)
{
	(void)state;
	up(2, 128, 2);
	for (uint64_t i = 0; i < 128; i++)
		assert_int_equal(out(i, i), RMNIC_SC_OK);
	assert_int_equal(w.servers[0].store->stored, 128);
	assert_int_equal(w.store->ops->free(w.store, 0, 100), RMNIC_SC_OK);
	world_run(&w, 1000 * MS);
	assert_int_equal(w.servers[0].store->stored, 28);
	assert_int_equal(w.servers[1].store->stored, 28);
	assert_int_equal(rmnic_store_remote_counters(w.store)->frees_told, 100);
	assert_false(word_of(50) & RMNIC_STATE_PAGE_TELL);
	world_fini(&w);
}

/* A telling that is slow must not bury the write that came after the free. */
static void free__then_written(void **state)
{
	(void)state;
	up(1, 64, 1);
	for (uint64_t round = 0; round < 50; round++) {
		assert_int_equal(out(3, 2 * round), RMNIC_SC_OK);
		w.net.faults.reorder = 500;
		w.net.faults.late_ns = 40 * MS;
		assert_int_equal(w.store->ops->free(w.store, 3, 1), RMNIC_SC_OK);
		if (round % 2)
			world_run(&w, MS);
		assert_int_equal(out(3, 2 * round + 1), RMNIC_SC_OK);
		world_run(&w, 200 * MS);
		assert_true(holds(3, 2 * round + 1));
		w.net.faults.reorder = 0;
	}
	world_fini(&w);
}

/* A telling that failed is not taken up again while the page is being written. */
static void free__told_while_written(void **state)
{
	struct rmnic_page_op op = { .rpn = 3, .data = page, .done = remember };

	(void)state;
	up(1, 64, 1);
	assert_int_equal(out(3, 5), RMNIC_SC_OK);
	w.net.cut[w.backend][w.servers[0].end] = 1;
	assert_int_equal(w.store->ops->free(w.store, 3, 1), RMNIC_SC_OK);
	world_run(&w, 10 * MS);
	world_page(page, 6);
	ended = RMNIC_STORE_PENDING;
	assert_int_equal(w.store->ops->page_out(w.store, &op), RMNIC_STORE_PENDING);
	world_run(&w, 8000 * MS); /* the telling ends UNREACHABLE, the page-out goes on */
	assert_int_equal(ended, RMNIC_STORE_PENDING);
	w.net.cut[w.backend][w.servers[0].end] = 0;
	world_run(&w, 5000 * MS);
	assert_int_equal(ended, RMNIC_SC_OK);
	assert_true(holds(3, 6));
	world_fini(&w);
}

/* --- Lives of the backend ------------------------------------------------------------------------ */

/* STATE-7: a successor goes on where the other stopped, with every page. */
static void backend__restarted(void **state)
{
	(void)state;
	up(2, 128, 1);
	for (uint64_t round = 0; round < 20; round++) {
		for (uint64_t i = 0; i < 128; i++)
			assert_int_equal(out(i, round * 1000 + i), RMNIC_SC_OK);
		world_stop(&w);
		assert_true(world_start(&w));
		assert_true(world_ready(&w, 1000 * MS));
		for (uint64_t i = 0; i < 128; i++)
			assert_true(holds(i, round * 1000 + i));
	}
	world_fini(&w);
}

/* RMP-13: the one that was replaced learns so, and changes nothing more. */
static void backend__fenced(void **state)
{
	(void)state;
	up(1, 64, 1);
	assert_int_equal(out(3, 5), RMNIC_SC_OK);
	rmnic_mem_seal(w.servers[0].store, 0, w.epoch + 1);
	assert_int_equal(out(3, 6), RMNIC_SC_UNREACHABLE);
	assert_int_equal(rmnic_store_remote_status(w.store, NULL), RMNIC_REMOTE_FENCED);
	assert_int_equal(world_in(&w, 3, page), RMNIC_SC_INDETERMINATE);
	assert_int_equal(out(4, 6), RMNIC_SC_UNREACHABLE);
	world_stop(&w);
	rmnic_mem_seal(w.servers[0].store, 0, w.epoch + 2); /* before the next one says a word */
	assert_true(world_start(&w));
	world_run(&w, 500 * MS);
	assert_int_equal(rmnic_store_remote_status(w.store, NULL), RMNIC_REMOTE_FENCED);
	world_fini(&w);
}

/* STATE-1 */
static void backend__damaged_state(void **state)
{
	struct rmnic_state_block b;

	(void)state;
	up(1, 64, 1);
	world_stop(&w);
	b = block();
	b.slabs[0].copy[b.slabs[0].current & 1].members = 9;
	assert_true(world_start(&w));
	assert_int_equal(rmnic_store_remote_status(w.store, NULL), RMNIC_REMOTE_DAMAGED);
	assert_int_equal(out(1, 1), RMNIC_SC_UNREACHABLE);
	world_stop(&w);
	((struct rmnic_state_hdr *)w.state)->magic++;
	assert_false(world_start(&w));
	assert_non_null(w.why);
	world_fini(&w);
}

/* RULES L1: what is not there is not promised. */
static void backend__not_enough_memory(void **state)
{
	uint64_t reserved;

	(void)state;
	world_init(&w, 1, 2, 128, 256, 1); /* each has room for one slab of 64 beside its slack */
	assert_true(world_start(&w));
	assert_false(world_ready(&w, 5000 * MS));
	assert_int_equal(rmnic_store_remote_status(w.store, &reserved), RMNIC_REMOTE_NO_SPACE);
	assert_int_equal(reserved, 128);
	world_fini(&w);
}

/* --- Several members ------------------------------------------------------------------------------ */

/* STATE-2: acknowledged is what every member holds; members are on different servers. */
static void replicas__all_hold_it(void **state)
{
	struct rmnic_page_op op = { .rpn = 3, .data = page, .done = never };
	uint64_t before;

	(void)state;
	up(3, 256, 2);
	for (uint64_t i = 0; i < 256; i++) {
		unsigned int n = 0;

		assert_int_equal(out(i, i), RMNIC_SC_OK);
		for (unsigned int k = 0; k < 3; k++)
			n += slab_of(k, i) && rmnic_mem_page(slab_of(k, i), i)->vstate;
		assert_int_equal(n, 2);
	}
	for (unsigned int k = 0; k < 3; k++)
		if (slab_of(k, 3))
			w.net.cut[w.backend][w.servers[k].end] = 1;
	for (unsigned int k = 0; k < 3; k++)
		if (slab_of(k, 3)) {
			w.net.cut[w.backend][w.servers[k].end] = 0; /* one of the two hears */
			break;
		}
	before = word_of(3);
	world_page(page, 77);
	assert_int_equal(w.store->ops->page_out(w.store, &op), RMNIC_STORE_PENDING);
	world_run(&w, 3000 * MS);
	assert_true(word_of(3) == (before | RMNIC_STATE_PAGE_WRITING));
	w.store->ops->cancel(w.store, &op);
	world_fini(&w);
}

/* With fewer servers than replicas nothing is promised: two copies on one are one. */
static void replicas__not_on_one_server(void **state)
{
	(void)state;
	world_init(&w, 1, 1, 512, 64, 2);
	assert_true(world_start(&w));
	assert_false(world_ready(&w, 3000 * MS));
	world_fini(&w);
}

/* A page-in goes on to another member: when one is dead, lost its memory, or has a bad copy. */
static void replicas__read_elsewhere(void **state)
{
	struct rmnic_memstore *ms;

	(void)state;
	up(2, 64, 2);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(out(i, i), RMNIC_SC_OK);
	for (unsigned int k = 0; k < 2; k++) {
		ms = w.servers[k].store;
		rmnic_frame_data(ms->frames, rmnic_mem_page(slab_of(k, 3), 3)->body)[9] ^= 1;
		assert_true(holds(3, 3));
		rmnic_frame_data(ms->frames, rmnic_mem_page(slab_of(k, 3), 3)->body)[9] ^= 1;
		world_server_stop(&w, k, true);
		assert_true(holds(5, 5));
		world_server_start(&w, k);
		world_run(&w, 2000 * MS);
	}
	world_server_stop(&w, 0, false);
	world_server_start(&w, 0);
	world_run(&w, 2000 * MS);
	for (uint64_t i = 0; i < 64; i++)
		assert_true(holds(i, i));
	world_server_stop(&w, 1, false);
	world_server_start(&w, 1);
	world_run(&w, 2000 * MS);
	assert_int_equal(world_in(&w, 5, page), RMNIC_SC_LOST);
	world_fini(&w);
}

static void create__allocation_fails(void **state)
{
	const char *why = NULL;
	int before;

	(void)state;
	world_init(&w, 1, 1, 256, 64, 1);
	before = w.net.allocations;
	((struct rmnic_state_hdr *)w.state)->epoch = 1;
	for (unsigned int n = 1; n <= 12; n++) {
		w.net.fail_alloc = n;
		assert_null(rmnic_store_remote_create(&w.cfg, &why));
		assert_non_null(why);
		assert_int_equal(w.net.allocations, before);
	}
	w.net.fail_alloc = 0;
	world_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages__round_trip),
		cmocka_unit_test(pages__through_faults),
		cmocka_unit_test(pages__unwritten_read_as_zeros),
		cmocka_unit_test(pages__same_filled),
		cmocka_unit_test(out__guest_changes_the_page),
		cmocka_unit_test(in__older_copy),
		cmocka_unit_test(in__absent_is_not_empty),
		cmocka_unit_test(in__server_restarted),
		cmocka_unit_test(in__server_silent),
		cmocka_unit_test(out__failed_leaves_indeterminate),
		cmocka_unit_test(cancel__forgets),
		cmocka_unit_test(out__limits),
		cmocka_unit_test(free__members_are_told),
		cmocka_unit_test(free__then_written),
		cmocka_unit_test(free__told_while_written),
		cmocka_unit_test(backend__restarted),
		cmocka_unit_test(backend__fenced),
		cmocka_unit_test(backend__damaged_state),
		cmocka_unit_test(backend__not_enough_memory),
		cmocka_unit_test(replicas__all_hold_it),
		cmocka_unit_test(replicas__not_on_one_server),
		cmocka_unit_test(replicas__read_elsewhere),
		cmocka_unit_test(create__allocation_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
