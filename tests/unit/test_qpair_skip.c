/* SPDX-License-Identifier: BSD-3-Clause */
/* qpair.c: commands that are aborted after they were submitted and before they are fetched. */
#include "rig.h"

static struct {
	struct rig *rig;
	int bad, seen;
} order;

static struct rmnic_cqe abort_cmd(struct rig *rig, uint16_t cid)
{
	struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_ABORT, .qid = 1, .target_cid = cid };
	struct rmnic_cqe cqe;

	pair_put(&rig->aq, &sqe);
	pair_ring(&rig->aq);
	/* Page-outs are served after the admin pair, so the first round finds them unfetched. */
	rmnic_dev_poll(rig->dev);
	assert_true(pair_reap(&rig->aq, &cqe));
	return cqe;
}

/* CMD-16: a command that was submitted and not fetched ends ABORTED and never runs. */
RIG_TEST(rmnic_qp_skip__submitted_but_not_fetched)
{
	struct pair *q = &rig->q[1];
	uint64_t pages = rig_pages(rig, 8);
	struct rmnic_cqe cqe;
	unsigned int seen = 0;

	for (uint16_t i = 0; i < 8; i++) {
		struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_OUT, i, 1, pages + i * 4096u);

		page_fill(GUEST(pages + i * 4096u), i, 1);
		sqe.cid = i;
		pair_put(q, &sqe);
	}
	pair_ring(q);
	assert_cqe(abort_cmd(rig, 5), RMNIC_SC_OK, 1, NONE);
	rig_poll(rig);
	while (pair_reap(q, &cqe)) {
		seen |= 1u << cqe.cid;
		assert_int_equal(cqe.status, cqe.cid == 5 ? RMNIC_SC_ABORTED : RMNIC_SC_OK);
	}
	assert_int_equal(seen, 0xff);
	assert_int_equal(rmnic_dev_counters(rig->dev)->pages_out, 7);
	assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_IN, 5, 1, pages).status, RMNIC_SC_OK);
	assert_true(page_is_byte(GUEST(pages), 0));
	/* Its slot and its cid are good for another lap. */
	for (int i = 0; i < 40; i++)
		assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_OUT, 5, 1, pages).status, RMNIC_SC_OK);
	assert_int_equal(rig->host.fatals, 0);
}

/* The completion is visible: is the slot free in the device's eyes as well? */
static void look_at_sq_head(struct fake *fake, enum fake_point point, const struct rmnic_mapping *m,
			    uint32_t offset)
{
	struct rmnic_cqe cqe;

	(void)fake;
	(void)m;
	(void)offset;
	if (point == FAKE_WRITTEN && pair_peek(&order.rig->q[1], &cqe)) {
		order.seen++;
		order.bad += pair_rec(&order.rig->q[1])->sq_head != 1;
	}
}

/* The next one in the ring: its slot is passed over before its completion is written. */
RIG_TEST(rmnic_qp_skip__the_next_one)
{
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_OUT, 0, 1, rig_page(rig));
	struct rmnic_cqe cqe;

	sqe.cid = 4;
	pair_put(&rig->q[1], &sqe);
	pair_ring(&rig->q[1]);
	order.rig = rig;
	order.bad = order.seen = 0;
	rig->host.hook = look_at_sq_head;
	assert_cqe(abort_cmd(rig, 4), RMNIC_SC_OK, 1, NONE);
	assert_true(pair_reap(&rig->q[1], &cqe));
	assert_cqe(cqe, RMNIC_SC_ABORTED, 0, 0);
	assert_int_equal(order.bad, 0);
	assert_true(order.seen > 0);
	rig_poll(rig);
	assert_false(pair_peek(&rig->q[1], &cqe));
}

static void put_outs(struct rig *rig, uint64_t page)
{
	for (uint16_t i = 0; i < 16; i++) {
		struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_OUT, i, 1, page);

		sqe.cid = i;
		pair_put(&rig->q[1], &sqe);
	}
	pair_ring(&rig->q[1]);
}

/* CMD-16: twice is once. */
RIG_TEST(rmnic_qp_skip__twice)
{
	struct rmnic_cqe cqe;
	int n = 0;

	put_outs(rig, rig_page(rig));
	assert_cqe(abort_cmd(rig, 15), RMNIC_SC_OK, 1, NONE);
	assert_cqe(abort_cmd(rig, 15), RMNIC_SC_OK, 0, NONE);
	rig_poll(rig);
	while (pair_reap(&rig->q[1], &cqe))
		n++;
	assert_int_equal(n, 16);
}

/* A pair that is made anew skips nothing of its former life. */
RIG_TEST(rmnic_qp_skip__forgotten_with_the_pair)
{
	struct rmnic_admin_sqe del = { .opcode = RMNIC_OP_DELETE_QP, .qid = 1 };
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;
	int aborted = 0;
	unsigned int seen = 0;

	put_outs(rig, page);
	abort_cmd(rig, 8);
	assert_cqe(rig_admin(rig, &del), RMNIC_SC_OK, 0, NONE);
	rig_create(rig, 1, RMNIC_CLASS_PAGE_OUT, 16, 1);
	put_outs(rig, page);
	abort_cmd(rig, 14);
	rig_poll(rig);
	while (pair_reap(&rig->q[1], &cqe)) {
		aborted += cqe.status == RMNIC_SC_ABORTED;
		seen |= 1u << cqe.cid;
	}
	assert_int_equal(seen, 0xffff);
	assert_int_equal(aborted, 1);
	assert_int_equal(rig->host.fatals, 0);
}

/* Paused with a slot to pass over: what comes before it is completed first. */
RIG_TEST(rmnic_qp_skip__then_paused)
{
	struct rmnic_qp_state state[RIG_QPS + 1];
	struct pair *q = &rig->q[1];
	struct rmnic_cqe cqe;
	int aborted = 0;

	for (uint16_t i = 0; i < 12; i++) {
		struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_OUT, i, 1, rig_page(rig));

		sqe.cid = i;
		pair_put(q, &sqe);
	}
	pair_ring(q);
	abort_cmd(rig, 9); /* four of the others run in the same round */
	rmnic_dev_pause(rig->dev);
	rmnic_dev_save(rig->dev, state);
	assert_true(state[1].sq_head >= 10);
	rmnic_dev_disable(rig->dev);
	assert_true(rmnic_dev_load(rig->dev, rig->config.features, state));
	rmnic_dev_resume(rig->dev);
	rig_poll(rig);
	for (int i = 0; i < 12; i++) {
		assert_true(pair_reap(q, &cqe));
		aborted += cqe.status == RMNIC_SC_ABORTED;
	}
	assert_int_equal(aborted, 1);
	assert_false(pair_peek(q, &cqe));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_qp_skip__submitted_but_not_fetched),
		cmocka_unit_test(rmnic_qp_skip__the_next_one),
		cmocka_unit_test(rmnic_qp_skip__twice),
		cmocka_unit_test(rmnic_qp_skip__forgotten_with_the_pair),
		cmocka_unit_test(rmnic_qp_skip__then_paused),
	};

	return cmocka_run_group_tests_name("qpair_skip", tests, NULL, NULL);
}
