/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

/* --- Failing commands ---------------------------------------------------------------- */

RIG_TEST(rmnic_fault_status__every_nth)
{
	uint64_t page = rig_page(rig);

	rig->fault->opcode = RMNIC_OP_PAGE_IN;
	rig->fault->fail_status = RMNIC_SC_UNREACHABLE;
	rig->fault->fail_nth = 3;
	for (int i = 1; i <= 9; i++) {
		struct rmnic_cqe cqe = rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, page);

		if (i % 3)
			assert_cqe(cqe, RMNIC_SC_OK, 1, NONE);
		else
			assert_cqe(cqe, RMNIC_SC_UNREACHABLE, 0, 0);
		assert_cqe(rig_cmd(rig, RMNIC_OP_PAGE_OUT, 0, 1, page), RMNIC_SC_OK, 1, NONE);
	}
	assert_int_equal(rmnic_dev_counters(rig->dev)->faults_injected, 3);
	assert_int_equal(rmnic_dev_counters(rig->dev)->status_retry, 3);
}

RIG_TEST(rmnic_fault_status__share)
{
	uint64_t page = rig_page(rig);
	int failed = 0;

	rig->fault->fail_status = RMNIC_SC_LOST;
	rig->fault->fail_permille = 250;
	for (int i = 0; i < 2000; i++)
		failed += rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, page).status == RMNIC_SC_LOST;
	assert_true(failed > 400 && failed < 600);
	rig->fault->fail_permille = 1000;
	assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, page).status, RMNIC_SC_LOST);
	rig->fault->fail_permille = 0;
	assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, page).status, RMNIC_SC_OK);
}

/* CMD-3: only pages of the range fail, those before them are done. */
RIG_TEST(rmnic_fault_status__range_of_pages)
{
	uint64_t page = rig_pages(rig, 8);

	rig->fault->fail_status = RMNIC_SC_CORRUPT;
	rig->fault->fail_nth = 1;
	rig->fault->fail_rpn_first = 104;
	rig->fault->fail_rpn_count = 2;
	assert_cqe(rig_cmd(rig, RMNIC_OP_PAGE_IN, 100, 8, page), RMNIC_SC_CORRUPT, 4, 4);
	assert_cqe(rig_cmd(rig, RMNIC_OP_PAGE_IN, 96, 8, page), RMNIC_SC_OK, 8, NONE);
	assert_cqe(rig_cmd(rig, RMNIC_OP_PAGE_IN, 105, 8, page), RMNIC_SC_CORRUPT, 0, 0);
	assert_cqe(rig_cmd(rig, RMNIC_OP_PAGE_IN, 106, 8, page), RMNIC_SC_OK, 8, NONE);
	assert_cqe(rig_cmd(rig, RMNIC_OP_FREE, 100, 8, 0), RMNIC_SC_CORRUPT, 4, 4);
	assert_cqe(rig_cmd(rig, RMNIC_OP_FLUSH, 0, 0, 0), RMNIC_SC_OK, 0, NONE);
}

/* A command that a fault fails does not happen. */
RIG_TEST(rmnic_fault_status__failed_write_leaves_the_old_page)
{
	uint64_t page = rig_page(rig);

	page_fill(GUEST(page), 5, 1);
	assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_OUT, 5, 1, page).status, RMNIC_SC_OK);
	rig->fault->fail_status = RMNIC_SC_NO_SPACE;
	rig->fault->fail_nth = 1;
	page_fill(GUEST(page), 5, 2);
	assert_cqe(rig_cmd(rig, RMNIC_OP_PAGE_OUT, 5, 1, page), RMNIC_SC_NO_SPACE, 0, 0);
	assert_cqe(rig_cmd(rig, RMNIC_OP_ZERO, 5, 1, 0), RMNIC_SC_NO_SPACE, 0, 0);
	rig->fault->fail_status = RMNIC_SC_UNREACHABLE;
	assert_cqe(rig_cmd(rig, RMNIC_OP_FLUSH, 0, 0, 0), RMNIC_SC_UNREACHABLE, 0, NONE);
	rig->fault->fail_status = 0;
	assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_IN, 5, 1, page).status, RMNIC_SC_OK);
	assert_true(page_is(GUEST(page), 5, 1));
}

/* --- Delays ------------------------------------------------------------------------------- */

RIG_TEST(rmnic_fault_delay__completes_when_due)
{
	struct pair *q = &rig->q[2];
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 1, rig_page(rig));
	struct rmnic_cqe cqe;
	uint64_t deadline;

	assert_true(rmnic_dev_deadline(rig->dev) == UINT64_MAX);
	rig->fault->delay_us = 500;
	pair_put(q, &sqe);
	pair_ring(q);
	rig_poll(rig);
	assert_false(pair_peek(q, &cqe));
	deadline = rmnic_dev_deadline(rig->dev);
	assert_true(deadline > rig->host.now && deadline <= rig->host.now + 500000);
	assert_true(rmnic_dev_sleep_begin(rig->dev));
	rmnic_dev_sleep_end(rig->dev);
	rig->host.now = deadline - 10;
	rig_poll(rig);
	assert_false(pair_peek(q, &cqe));
	rig->host.now = deadline;
	rig->host.tick = 0; /* to the nanosecond */
	assert_true(rmnic_dev_has_work(rig->dev));
	assert_false(rmnic_dev_sleep_begin(rig->dev));
	rig_poll(rig);
	assert_true(pair_reap(q, &cqe));
	assert_cqe(cqe, RMNIC_SC_OK, 1, NONE);
	assert_true(rmnic_dev_deadline(rig->dev) == UINT64_MAX);
	assert_int_equal(rig->host.irqs[2], 1);
	assert_true(rmnic_dev_hist(rig->dev, RMNIC_STAGE_PAGE_IN_TOTAL)->max_ns >= 500000);
	assert_true(rmnic_dev_hist(rig->dev, RMNIC_STAGE_PAGE_IN_STORE)->max_ns < 1000);
}

/* In the order in which they are due, also when the knob is turned down meanwhile. */
RIG_TEST(rmnic_fault_delay__sorted_by_due_time)
{
	static const uint32_t delays[] = { 300, 100, 200, 400, 50, 300 };
	static const uint16_t order[] = { 4, 1, 2, 0, 5, 3 };
	struct pair *q = &rig->q[2];
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;

	for (uint16_t i = 0; i < 6; i++) {
		struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, i, 1, page);

		sqe.cid = i;
		rig->fault->delay_us = delays[i];
		pair_put(q, &sqe);
		pair_ring(q);
		rig_poll(rig);
	}
	for (uint16_t i = 0; i < 6; i++) {
		rig->host.now = rmnic_dev_deadline(rig->dev);
		rig_poll(rig);
		assert_true(pair_reap(q, &cqe));
		assert_int_equal(cqe.cid, order[i]);
	}
	assert_false(pair_reap(q, &cqe));
}

RIG_TEST(rmnic_fault_delay__at_most_ten_seconds)
{
	struct pair *q = &rig->q[2];
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 1, rig_page(rig));

	rig->fault->delay_us = UINT32_MAX;
	pair_put(q, &sqe);
	pair_ring(q);
	rig_poll(rig);
	assert_true(rmnic_dev_deadline(rig->dev) <= rig->host.now + 10000000000ull);
}

/* --- Completions that lie ------------------------------------------------------------------ */

static struct rmnic_cqe lie(struct rig *rig, enum rmnic_fault_cqe kind)
{
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 1, FAKE_BASE + 255 * 4096);
	struct rmnic_cqe cqe = { .status = 0x7777 };

	rig->fault->cqe_kind = kind;
	rig->fault->cqe_nth = 1;
	sqe.cid = 3;
	pair_put(&rig->q[2], &sqe);
	pair_ring(&rig->q[2]);
	rig_poll(rig);
	assert_int_equal(rig->fault->cqe_nth, 0); /* once */
	if (kind != RMNIC_FAULT_CQE_DROP)
		assert_true(pair_reap(&rig->q[2], &cqe));
	return cqe;
}

RIG_TEST(rmnic_fault_cqe__kinds)
{
	struct rmnic_cqe cqe;

	assert_int_not_equal(lie(rig, RMNIC_FAULT_CQE_BAD_CID).cid, 3);
	assert_int_equal(lie(rig, RMNIC_FAULT_CQE_BAD_STATUS).status, 0xfff);
	assert_int_equal(lie(rig, RMNIC_FAULT_CQE_BAD_QID).phase >> 16, 3);
	assert_int_equal(lie(rig, RMNIC_FAULT_CQE_BAD_DONE).done, 2);
	assert_int_equal(lie(rig, RMNIC_FAULT_CQE_DOUBLE).cid, 3);
	assert_true(pair_reap(&rig->q[2], &cqe));
	assert_int_equal(cqe.cid, 3);
	assert_false(pair_peek(&rig->q[2], &cqe));
	/* And then all is well again. */
	assert_cqe(rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, FAKE_BASE + 255 * 4096), RMNIC_SC_OK, 1,
		   NONE);
}

RIG_TEST(rmnic_fault_cqe__nth_concerned_completion)
{
	uint64_t page = rig_page(rig);

	rig->fault->opcode = RMNIC_OP_PAGE_IN;
	rig->fault->cqe_kind = RMNIC_FAULT_CQE_BAD_STATUS;
	rig->fault->cqe_nth = 2;
	assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_OUT, 0, 1, page).status, RMNIC_SC_OK);
	assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, page).status, RMNIC_SC_OK);
	assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_OUT, 0, 1, page).status, RMNIC_SC_OK);
	assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, page).status, 0xfff);
	assert_int_equal(rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, page).status, RMNIC_SC_OK);
}

/* RING-8 holds even for a lie: no second entry where there is no room. */
RIG_TEST(rmnic_fault_cqe__double_only_where_there_is_room)
{
	struct pair *q = &rig->q[2];
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;
	int n = 0;

	for (uint16_t i = 0; i < 16; i++) {
		struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, i, 1, page);

		pair_put(q, &sqe);
	}
	rig->fault->cqe_kind = RMNIC_FAULT_CQE_DOUBLE;
	rig->fault->cqe_nth = 16;
	pair_ring(q);
	rig_poll(rig);
	while (pair_reap(q, &cqe))
		n++;
	assert_int_equal(n, 16);
}

/* CMD-16: a dropped completion keeps its command in flight, until ABORT. */
RIG_TEST(rmnic_fault_cqe__drop_until_aborted)
{
	struct rmnic_admin_sqe abort = { .opcode = RMNIC_OP_ABORT, .qid = 2, .target_cid = 3 };
	struct rmnic_cqe cqe;
	struct rmnic_sqe again = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 1, rig_page(rig));

	lie(rig, RMNIC_FAULT_CQE_DROP);
	assert_false(pair_peek(&rig->q[2], &cqe));
	again.cid = 3;
	assert_cqe(rig_io(rig, 2, &again), RMNIC_SC_INVALID_CID, 0, NONE);
	assert_cqe(rig_admin(rig, &abort), RMNIC_SC_OK, 1, NONE);
	assert_true(pair_reap(&rig->q[2], &cqe));
	assert_cqe(cqe, RMNIC_SC_ABORTED, 0, 0);
	assert_int_equal(cqe.cid, 3);
	assert_cqe(rig_io(rig, 2, &again), RMNIC_SC_OK, 1, NONE);
}

/* An admin command's too, but only by its opcode: a driver's reset path needs no knob at 0. */
RIG_TEST(rmnic_fault_drop_admin__by_opcode_only)
{
	struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_ABORT, .qid = 1 };
	struct rmnic_cqe cqe;

	rig->fault->cqe_kind = RMNIC_FAULT_CQE_DROP;
	rig->fault->cqe_nth = 1;
	assert_cqe(rig_admin(rig, &sqe), RMNIC_SC_OK, 0, NONE);
	rig->fault->opcode = RMNIC_OP_ABORT;
	rig->fault->cqe_nth = 2;
	assert_cqe(rig_admin(rig, &sqe), RMNIC_SC_OK, 0, NONE);
	pair_put(&rig->aq, &sqe);
	pair_ring(&rig->aq);
	rig_poll(rig);
	assert_false(pair_peek(&rig->aq, &cqe));
	assert_int_equal(rig->fault->cqe_nth, 0);
	assert_cqe(rig_admin(rig, &sqe), RMNIC_SC_OK, 0, NONE);
}

/* --- Interrupts ------------------------------------------------------------------------------ */

RIG_TEST(rmnic_fault_drop_irq__every_nth)
{
	uint64_t page = rig_page(rig);

	rig->fault->drop_irq_nth = 3;
	for (int i = 0; i < 9; i++) {
		pair_rec(&rig->q[2])->cq_arm = rig->q[2].head;
		rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, page);
	}
	assert_int_equal(rig->host.irqs[2], 6);
	assert_int_equal(rmnic_dev_counters(rig->dev)->faults_injected, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_fault_status__every_nth),
		cmocka_unit_test(rmnic_fault_status__share),
		cmocka_unit_test(rmnic_fault_status__range_of_pages),
		cmocka_unit_test(rmnic_fault_status__failed_write_leaves_the_old_page),
		cmocka_unit_test(rmnic_fault_delay__completes_when_due),
		cmocka_unit_test(rmnic_fault_delay__sorted_by_due_time),
		cmocka_unit_test(rmnic_fault_delay__at_most_ten_seconds),
		cmocka_unit_test(rmnic_fault_cqe__kinds),
		cmocka_unit_test(rmnic_fault_cqe__nth_concerned_completion),
		cmocka_unit_test(rmnic_fault_cqe__double_only_where_there_is_room),
		cmocka_unit_test(rmnic_fault_cqe__drop_until_aborted),
		cmocka_unit_test(rmnic_fault_drop_admin__by_opcode_only),
		cmocka_unit_test(rmnic_fault_drop_irq__every_nth),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
