/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>

#include "rig.h"

#define OUT RMNIC_OP_PAGE_OUT
#define IN  RMNIC_OP_PAGE_IN

/* --- A guest that changes what it gave away --------------------------------------------- */

static struct scribble {
	struct rig *rig;
	uint64_t addr;
	uint32_t len;
	unsigned int maps, after;
} scribble;

/* With the n-th mapping of a page, overwrites memory: the engine has begun to use it. */
static void scribble_at(struct fake *fake, enum fake_point point, const struct rmnic_mapping *m,
			uint32_t offset)
{
	(void)m;
	(void)offset;
	if (point == FAKE_MAP && ++scribble.maps == scribble.after)
		memset(fake_at(fake, scribble.addr), 0xff, scribble.len);
}

/* RING-6: a list is copied before the first page moves, and never read again. */
RIG_TEST(rmnic_cmd_step_pages__list_copied_once)
{
	uint64_t list = rig_page(rig), page = rig_pages(rig, 4);
	uint64_t *entries = GUEST(list);
	struct rmnic_sqe sqe = rig_sqe(rig, IN, 0, 4, list);

	for (unsigned int i = 0; i < 4; i++)
		entries[i] = page + i * 4096;
	sqe.flags = RMNIC_SQE_F_LIST;
	scribble = (struct scribble){ .rig = rig, .addr = list, .len = 4096, .after = 2 };
	rig->host.hook = scribble_at;
	assert_cqe(rig_io(rig, 2, &sqe), RMNIC_SC_OK, 4, NONE);
	assert_int_equal(rig->host.mapped, 9);
}

static struct {
	struct rig *rig;
	uint64_t addr;
} race;

static void race_dirty(void *owner, uint64_t offset, uint64_t len)
{
	(void)owner;
	(void)offset;
	(void)len;
	/* The store has taken its one reading; from here on nothing of the page counts. */
	memset(fake_at(&race.rig->host, race.addr), 0x11, 4096);
}

/* CMD-19: what was read once is what counts. */
RIG_TEST(rmnic_cmd_step_pages__page_changed_after_it_was_read)
{
	uint64_t page = rig_page(rig), back = rig_page(rig);
	struct rmnic_local_blocks blocks = rig->blocks;
	struct rmnic_store *first = rig->store;

	blocks.pages_dirty = race_dirty;
	race.rig = rig;
	race.addr = page;
	rmnic_dev_destroy(rig->dev);
	rig->store = rmnic_store_local_create(&blocks, rig->config.uuid);
	rig->config.store = rig->store;
	rig->dev = rmnic_dev_create(&rig->config);
	pair_init(&rig->aq, &rig->host, 0, 16);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_create(rig, 1, RMNIC_CLASS_PAGE_OUT, 16, 1);
	rig_create(rig, 2, RMNIC_CLASS_PAGE_IN, 16, 2);
	page_fill(GUEST(page), 3, 1);
	assert_cqe(rig_cmd(rig, OUT, 3, 1, page), RMNIC_SC_OK, 1, NONE);
	assert_true(page_is_byte(GUEST(page), 0x11));
	assert_cqe(rig_cmd(rig, IN, 3, 1, back), RMNIC_SC_OK, 1, NONE);
	assert_true(page_is(GUEST(back), 3, 1));
	rmnic_store_local_destroy(first);
}

static void *race_writer(void *stop)
{
	volatile uint64_t *page = fake_at(&race.rig->host, race.addr);

	/* Between one word everywhere and another, so that it is same-filled now and then. */
	for (uint64_t word = 1; !__atomic_load_n((bool *)stop, __ATOMIC_RELAXED); word ^= 3)
		for (unsigned int i = 0; i < 512; i++)
			page[i] = word;
	return NULL;
}

/* CMD-19: racing its own page, a guest reads back some mixture of the two, never an error. */
RIG_TEST(rmnic_cmd_step_pages__page_changed_while_it_is_read)
{
	uint64_t back = rig_page(rig);
	const uint64_t *words = GUEST(back);
	bool stop = false;
	pthread_t thread;

	race.rig = rig;
	race.addr = rig_page(rig);
	assert_int_equal(pthread_create(&thread, NULL, race_writer, &stop), 0);
	for (unsigned int round = 0; round < 3000; round++) {
		assert_cqe(rig_cmd(rig, OUT, round % 7, 1, race.addr), RMNIC_SC_OK, 1, NONE);
		assert_cqe(rig_cmd(rig, IN, round % 7, 1, back), RMNIC_SC_OK, 1, NONE);
		for (unsigned int i = 0; i < 512; i++)
			assert_true(words[i] <= 2);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

/* A store may fetch ahead what it is told of; nothing but pages of the device is ever named. */
RIG_TEST(rmnic_cmd_step_pages__what_is_read_next, .slow = true)
{
	uint64_t pages = rig_pages(rig, 8);
	const struct { uint64_t rpn; uint32_t n; } read[] = { { 100, 3 }, { 7, 1 }, { 1024, 1 }, { 9, 1 } };
	const uint64_t next[] = { 101, 102, 7, /* the device has 1024 pages */ 7, 9 };
	struct rmnic_cqe cqe;

	for (unsigned int i = 0; i < 4; i++) {
		struct rmnic_sqe sqe = rig_sqe(rig, IN, read[i].rpn, read[i].n, pages + i * 4096);

		pair_put(&rig->q[2], &sqe);
	}
	pair_ring(&rig->q[2]);
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 5);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(rig->slow.ops[i]->next, next[i]);
	slow_answer_all(&rig->slow);
	for (unsigned int i = 0; i < 4; i++)
		assert_true(pair_reap(&rig->q[2], &cqe));
	rig_poll(rig);
}

/* CMD-8, CMD-20: a damaged page never completes with OK, whatever its place in a cluster. */
RIG_TEST(rmnic_cmd_step_pages__corrupt_page_in_a_cluster)
{
	uint64_t pages = rig_pages(rig, 8);

	for (unsigned int i = 0; i < 8; i++)
		page_fill(GUEST(pages + i * 4096), i, 1);
	assert_cqe(rig_cmd(rig, OUT, 0, 8, pages), RMNIC_SC_OK, 8, NONE);
	for (unsigned int bad = 0; bad < 8; bad++) {
		rig->blocks.pages[bad * 4096 + 123] ^= 4;
		assert_cqe(rig_cmd(rig, IN, 0, 8, pages), RMNIC_SC_CORRUPT, bad, bad);
		rig->blocks.pages[bad * 4096 + 123] ^= 4;
	}
	assert_cqe(rig_cmd(rig, IN, 0, 8, pages), RMNIC_SC_OK, 8, NONE);
	assert_int_equal(rmnic_dev_counters(rig->dev)->status_data, 8);
}

/* --- Memory -------------------------------------------------------------------------------- */

/* A page that came in was written, all of it; one that went out was not. */
RIG_TEST(rmnic_cmd_step_pages__tells_what_it_wrote)
{
	uint64_t page = rig_page(rig);

	assert_cqe(rig_cmd(rig, OUT, 0, 1, page), RMNIC_SC_OK, 1, NONE);
	for (unsigned int i = 0; i < 4096; i += 16)
		assert_false(fake_dirty(&rig->host, page + i));
	assert_cqe(rig_cmd(rig, IN, 0, 1, page), RMNIC_SC_OK, 1, NONE);
	for (unsigned int i = 0; i < 4096; i += 16)
		assert_true(fake_dirty(&rig->host, page + i));
}

/* Every mapping is given back, whatever became of the page. */
RIG_TEST(rmnic_cmd_step_pages__mappings_are_given_back)
{
	uint64_t pages = rig_pages(rig, 4);

	rig->host.hole[(pages - FAKE_BASE) / 4096 + 2] = true;
	assert_cqe(rig_cmd(rig, OUT, 0, 4, pages), RMNIC_SC_INVALID_ADDRESS, 2, 2);
	assert_cqe(rig_cmd(rig, IN, 0, 4, pages), RMNIC_SC_INVALID_ADDRESS, 2, 2);
	assert_int_equal(rig->host.mapped, 9);
	rig->host.no_memory = true;
	assert_cqe(rig_cmd(rig, IN, 0, 1, pages), RMNIC_SC_INVALID_ADDRESS, 0, 0);
	rig->host.no_memory = false;
	assert_cqe(rig_cmd(rig, IN, 0, 1, pages), RMNIC_SC_OK, 1, NONE);
}

/* --- Bounds ----------------------------------------------------------------------------------- */

/* RING-14: page-outs that hang at the store leave the page-ins their own operations. */
RIG_TEST(rmnic_cmd_step_pages__page_in_has_operations_of_its_own, .slow = true)
{
	struct rmnic_cqe cqe;
	uint64_t page = rig_page(rig);

	rig_create(rig, 3, RMNIC_CLASS_PAGE_OUT, 64, 3);
	for (uint16_t cid = 0; cid < 64; cid++) {
		struct rmnic_sqe sqe = rig_sqe(rig, OUT, cid, 1, page);

		sqe.cid = cid;
		pair_put(&rig->q[3], &sqe);
	}
	pair_ring(&rig->q[3]);
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 64);
	assert_false(rmnic_dev_has_work(rig->dev));
	for (uint16_t cid = 0; cid < 8; cid++) {
		struct rmnic_sqe sqe = rig_sqe(rig, IN, cid, 1, page);

		sqe.cid = cid;
		pair_put(&rig->q[2], &sqe);
	}
	pair_ring(&rig->q[2]);
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 72);
	slow_answer(&rig->slow, 64, RMNIC_SC_OK);
	assert_true(pair_reap(&rig->q[2], &cqe));
	assert_cqe(cqe, RMNIC_SC_OK, 1, NONE);
	/* DMA-1: disabling forgets all of them. */
	rmnic_dev_disable(rig->dev);
	assert_int_equal(rig->slow.pending, 0);
	assert_int_equal(rig->slow.cancelled, 71);
	assert_int_equal(rig->host.mapped, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_cmd_step_pages__list_copied_once),
		cmocka_unit_test(rmnic_cmd_step_pages__page_changed_after_it_was_read),
		cmocka_unit_test(rmnic_cmd_step_pages__page_changed_while_it_is_read),
		cmocka_unit_test(rmnic_cmd_step_pages__what_is_read_next),
		cmocka_unit_test(rmnic_cmd_step_pages__corrupt_page_in_a_cluster),
		cmocka_unit_test(rmnic_cmd_step_pages__tells_what_it_wrote),
		cmocka_unit_test(rmnic_cmd_step_pages__mappings_are_given_back),
		cmocka_unit_test(rmnic_cmd_step_pages__page_in_has_operations_of_its_own),
	};

	return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
