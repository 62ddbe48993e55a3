/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

static struct rmnic_qp_state saved[RIG_QPS + 1];

static void save(struct rig *rig)
{
	rmnic_dev_pause(rig->dev);
	rmnic_dev_save(rig->dev, saved);
}

static bool load(struct rig *rig)
{
	return rmnic_dev_load(rig->dev, rig->config.features, saved);
}

/* In the middle of a load: nothing lost, nothing done twice. */
RIG_TEST(rmnic_dev_load__goes_on_in_the_middle)
{
	uint64_t pages = rig_pages(rig, 16);
	struct rmnic_cqe cqe;
	unsigned int seen = 0;

	for (uint16_t cid = 0; cid < 16; cid++) {
		struct rmnic_sqe sqe =
			rig_sqe(rig, RMNIC_OP_PAGE_OUT, cid, 1, pages + cid * 4096u);

		page_fill(GUEST(pages + cid * 4096u), cid, 1);
		sqe.cid = cid;
		pair_put(&rig->q[1], &sqe);
	}
	pair_ring(&rig->q[1]);
	rmnic_dev_poll(rig->dev);
	save(rig);
	assert_int_equal(saved[1].active, 1);
	assert_in_range(saved[1].sq_head, 1, 15);
	assert_int_equal(saved[1].cq_tail, saved[1].sq_head);
	assert_int_equal(saved[3].active, 0);
	/* Another device, on the same blocks. */
	rmnic_dev_disable(rig->dev);
	rmnic_dev_destroy(rig->dev);
	rig->dev = rmnic_dev_create(&rig->config);
	rmnic_store_local_reload(rig->store);
	assert_true(load(rig));
	assert_false(rmnic_dev_poll(rig->dev)); /* paused */
	rmnic_dev_resume(rig->dev);
	rig_poll(rig);
	while (pair_reap(&rig->q[1], &cqe)) {
		assert_int_equal(cqe.status, RMNIC_SC_OK);
		assert_false(seen & 1u << cqe.cid);
		seen |= 1u << cqe.cid;
	}
	assert_int_equal(seen, 0xffff);
	for (uint64_t rpn = 0; rpn < 16; rpn++) {
		assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_IN, rpn, 1, pages).status, RMNIC_SC_OK);
		assert_true(page_is(GUEST(pages), rpn, 1));
	}
}

/* Coalescing and vector travel along. */
RIG_TEST(rmnic_dev_load__settings)
{
	struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_SET_COALESCE, .qid = 2,
				       .coalesce_count = 3, .coalesce_us = 50 };

	rig_admin(rig, &sqe);
	save(rig);
	assert_int_equal(saved[2].coalesce_count, 3);
	assert_int_equal(saved[2].coalesce_us, 50);
	assert_int_equal(saved[2].vector, 2);
	assert_int_equal(saved[2].qclass, RMNIC_CLASS_PAGE_IN);
	rmnic_dev_disable(rig->dev);
	assert_true(load(rig));
	rmnic_dev_resume(rig->dev);
	rig->host.irqs[2] = 0;
	rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, rig_page(rig));
	assert_int_equal(rig->host.irqs[2], 0);
	assert_true(rmnic_dev_deadline(rig->dev) <= rig->host.now + 50000);
}

/* Whatever comes over the wire is checked as if the guest had sent it. */
RIG_TEST(rmnic_dev_load__each_wrong_value)
{
	struct rmnic_qp_state good[RIG_QPS + 1];

	save(rig);
	memcpy(good, saved, sizeof(good));
	assert_false(load(rig)); /* not disabled */
	rmnic_dev_disable(rig->dev);
#define BAD(change)                                     \
	do {                                            \
		memcpy(saved, good, sizeof(good));      \
		change;                                 \
		assert_false(load(rig));                \
		assert_int_equal(rig->host.mapped, 0);  \
		assert_false(rmnic_dev_poll(rig->dev)); \
	} while (0)
	BAD(saved[0].active = 0);
	BAD(saved[0].active = 2);
	BAD(saved[0].vector = 1);
	BAD(saved[0].qclass = 1);
	BAD(saved[1].active = 7);
	BAD(saved[1].qclass = 2);
	BAD(saved[1].vector = 9);
	BAD(saved[1].depth = 0);
	BAD(saved[1].depth = 17);
	BAD(saved[1].depth = 0x10000);
	BAD(saved[2].sq_addr = FAKE_HOLE);
	BAD(saved[2].cq_addr += 1);
	BAD(saved[2].rec_addr = ~0xffull);
	BAD(saved[8].active = 1);
	assert_false(rmnic_dev_load(rig->dev, 1ull << 33, good));
#undef BAD
	memcpy(saved, good, sizeof(good));
	assert_true(load(rig));
}

/* RING-7: indexes that do not fit the guest's are found when they are used. */
RIG_TEST(rmnic_dev_load__indexes_that_do_not_fit)
{
	save(rig);
	rmnic_dev_disable(rig->dev);
	saved[2].sq_head = 5000;
	assert_true(load(rig));
	rmnic_dev_resume(rig->dev);
	rig_poll(rig);
	assert_int_equal(rig->host.fatal_error, RMNIC_ERR_BAD_SQ_TAIL);
}

/* The statistics of a migrated device run on. */
RIG_TEST(rmnic_dev_counters_load__runs_on)
{
	struct rmnic_counters counters = { .pages_in = 1000, .page_in_cmds = 900, .interrupts = 7 };
	struct rmnic_store_counters store = { .same_filled = 55, .in_unwritten = 66, .corrupt = 77,
					      .stored = 88 };
	struct rmnic_store_counters now;

	rmnic_dev_counters_load(rig->dev, &counters);
	rmnic_store_local_counters_load(rig->store, &store);
	rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, rig_page(rig));
	assert_int_equal(rmnic_dev_counters(rig->dev)->pages_in, 1001);
	assert_int_equal(rmnic_dev_counters(rig->dev)->page_in_cmds, 901);
	rig->store->ops->counters(rig->store, &now);
	assert_int_equal(now.same_filled, 55);
	assert_int_equal(now.in_unwritten, 67);
	assert_int_equal(now.corrupt, 77);
	assert_int_equal(now.stored, 0); /* a gauge: counted from the metadata */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_dev_load__goes_on_in_the_middle),
		cmocka_unit_test(rmnic_dev_load__settings),
		cmocka_unit_test(rmnic_dev_load__each_wrong_value),
		cmocka_unit_test(rmnic_dev_load__indexes_that_do_not_fit),
		cmocka_unit_test(rmnic_dev_counters_load__runs_on),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
