/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

static void put_in(struct rig *rig, uint16_t cid, uint64_t page)
{
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, cid, 1, page);

	sqe.cid = cid;
	pair_put(&rig->q[2], &sqe);
}

/* --- Indexes ---------------------------------------------------------------------------- */

/* RING-1, RING-2, RING-3, RING-8: many laps of rings of 2, 4 and 8, with every batch size. */
static void laps(struct rig *rig, uint32_t depth)
{
	struct pair *q = &rig->q[3];
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;
	uint32_t seen = 0;

	rig_create(rig, 3, RMNIC_CLASS_PAGE_IN, depth, 3);
	for (uint32_t batch = 1; batch <= depth; batch++)
		for (int round = 0; round < 20; round++) {
			for (uint32_t i = 0; i < batch; i++) {
				struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 1, page);

				sqe.cid = (uint16_t)i;
				pair_put(q, &sqe);
			}
			assert_false(pair_peek(q, &cqe));
			pair_ring(q);
			rig_poll(rig);
			for (uint32_t i = 0; i < batch; i++) {
				assert_true(pair_reap(q, &cqe));
				assert_int_equal(cqe.cid, i);
				assert_int_equal(cqe.phase >> 16, 3);
				seen++;
			}
			assert_false(pair_peek(q, &cqe));
			/* RING-13 */
			assert_int_equal(pair_rec(q)->sq_head, seen);
		}
}

RIG_TEST(rmnic_qp_fetch__laps_of_2)
{
	laps(rig, 2);
}

RIG_TEST(rmnic_qp_fetch__laps_of_4)
{
	laps(rig, 4);
}

RIG_TEST(rmnic_qp_fetch__laps_of_8)
{
	laps(rig, 8);
}

/* RING-1: the wrap of the indexes at 2^32 is no special case. */
RIG_TEST(rmnic_qp_fetch__wrap_at_2_32)
{
	struct rmnic_qp_state state[RIG_QPS + 1];
	struct pair *q = &rig->q[2];
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;
	uint32_t start = (uint32_t)0 - 20;
	struct rmnic_cqe *ring;

	rmnic_dev_pause(rig->dev);
	rmnic_dev_save(rig->dev, state);
	rmnic_dev_disable(rig->dev);
	state[2].sq_head = state[2].cq_tail = start;
	q->head = q->tail = start;
	pair_rec(q)->sq_tail = pair_rec(q)->cq_head = start;
	ring = GUEST(q->cq);
	for (uint32_t i = 0; i < 16; i++)
		ring[rmnic_ring_slot(start + i, 16)].phase = !rmnic_ring_phase(start + i, 16);
	assert_true(rmnic_dev_load(rig->dev, rig->config.features, state));
	rmnic_dev_resume(rig->dev);
	for (uint16_t i = 0; i < 60; i++) {
		put_in(rig, i % 16, page);
		pair_ring(q);
		rig_poll(rig);
		assert_true(pair_reap(q, &cqe));
		assert_int_equal(cqe.cid, i % 16);
		assert_false(pair_peek(q, &cqe));
	}
	assert_int_equal(rig->host.fatals, 0);
}

/* RING-7 */
static void bad_index(struct rig *rig, uint32_t tail, uint32_t head, uint32_t error,
		      enum rmnic_refusal why)
{
	struct rmnic_cqe cqe;

	pair_rec(&rig->q[2])->sq_tail = tail;
	pair_rec(&rig->q[2])->cq_head = head;
	assert_true(rmnic_dev_has_work(rig->dev));
	rig_poll(rig);
	assert_int_equal(rig->host.fatals, 1);
	assert_int_equal(rig->host.fatal_error, error);
	assert_int_equal(rig->host.refused[why], 1);
	/* DMA-4: nothing is mapped, nothing is executed. */
	assert_int_equal(rig->host.mapped, 0);
	put_in(rig, 0, rig_page(rig));
	pair_ring(&rig->q[2]);
	assert_false(rmnic_dev_has_work(rig->dev));
	rig_poll(rig);
	assert_false(pair_peek(&rig->q[2], &cqe));
	assert_int_equal(rig->host.fatals, 1);
	assert_int_equal(rmnic_dev_counters(rig->dev)->fatal_errors, 1);
}

RIG_TEST(rmnic_qp_sync__tail_too_far)
{
	bad_index(rig, 17, 0, RMNIC_ERR_BAD_SQ_TAIL, RMNIC_REFUSAL_BAD_SQ_TAIL);
}

RIG_TEST(rmnic_qp_sync__tail_moved_back)
{
	bad_index(rig, (uint32_t)-1, 0, RMNIC_ERR_BAD_SQ_TAIL, RMNIC_REFUSAL_BAD_SQ_TAIL);
}

RIG_TEST(rmnic_qp_sync__head_past_tail)
{
	bad_index(rig, 1, 1, RMNIC_ERR_BAD_CQ_HEAD, RMNIC_REFUSAL_BAD_CQ_HEAD);
}

RIG_TEST(rmnic_qp_sync__head_a_ring_behind)
{
	bad_index(rig, 1, (uint32_t)-17, RMNIC_ERR_BAD_CQ_HEAD, RMNIC_REFUSAL_BAD_CQ_HEAD);
}

RIG_TEST(rmnic_qp_sync__full_ring_is_fine)
{
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;

	for (uint16_t i = 0; i < 16; i++)
		put_in(rig, i, page);
	pair_ring(&rig->q[2]);
	rig_poll(rig);
	for (uint16_t i = 0; i < 16; i++)
		assert_true(pair_reap(&rig->q[2], &cqe));
	assert_int_equal(rig->host.fatals, 0);
}

/* RING-8: a CQ that is not emptied is never written over; and that is no reason to spin. */
RIG_TEST(rmnic_qp_room__full_cq)
{
	struct pair *q = &rig->q[2];
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;

	for (uint16_t i = 0; i < 16; i++)
		put_in(rig, i, page);
	pair_ring(q);
	rig_poll(rig);
	for (uint16_t i = 0; i < 4; i++)
		put_in(rig, i, page);
	pair_ring(q);
	rig_poll(rig);
	assert_int_equal(rmnic_dev_counters(rig->dev)->page_in_cmds, 16);
	assert_false(rmnic_dev_has_work(rig->dev));
	assert_true(rmnic_dev_sleep_begin(rig->dev));
	rmnic_dev_sleep_end(rig->dev);
	assert_true(pair_reap(q, &cqe));
	assert_true(pair_reap(q, &cqe));
	assert_int_equal(cqe.cid, 1);
	assert_true(rmnic_dev_has_work(rig->dev));
	rig_poll(rig);
	assert_int_equal(rmnic_dev_counters(rig->dev)->page_in_cmds, 18);
	for (int i = 0; i < 16; i++)
		assert_true(pair_reap(q, &cqe));
	rig_poll(rig);
	assert_true(pair_reap(q, &cqe) && pair_reap(q, &cqe));
	assert_int_equal(rig->host.fatals, 0);
}

/* RING-6: the entry is taken once; what the guest makes of it afterwards is not seen. */
static void scribble_sqe(struct fake *fake, enum fake_point point, const struct rmnic_mapping *m,
			 uint32_t offset)
{
	struct rig *rig = fake->hook_data;

	(void)m;
	(void)offset;
	if (point == FAKE_MAP)
		memset(GUEST(rig->q[2].sq), 0xff, 64 * 16);
}

RIG_TEST(rmnic_qp_fetch__entry_copied_once)
{
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 4, rig_pages(rig, 4));

	rig->host.hook = scribble_sqe;
	rig->host.hook_data = rig;
	assert_cqe(rig_io(rig, 2, &sqe), RMNIC_SC_OK, 4, NONE);
}

/* --- Completions ---------------------------------------------------------------------------- */

/* RING-2: when the phase word changes, the rest of the entry is there. */
static struct {
	struct rig *rig;
	int bad, seen;
} order;

static void look_at_cq(struct fake *fake, enum fake_point point, const struct rmnic_mapping *m,
		       uint32_t offset)
{
	struct rmnic_cqe cqe;

	(void)fake;
	(void)m;
	(void)offset;
	(void)point;
	if (pair_peek(&order.rig->q[2], &cqe)) {
		order.seen++;
		order.bad += cqe.cid != 9 || cqe.done != 1 || cqe.failed != RMNIC_NONE_FAILED;
	}
}

RIG_TEST(rmnic_qp_post__body_before_phase)
{
	memset(GUEST(rig->q[2].cq), 0x5a & ~1, 256); /* phase 0, garbage around it */
	order.rig = rig;
	order.bad = order.seen = 0;
	rig->host.hook = look_at_cq;
	put_in(rig, 9, rig_page(rig));
	pair_ring(&rig->q[2]);
	rig_poll(rig);
	assert_int_equal(order.bad, 0);
	assert_true(order.seen > 0);
}

/* --- Interrupts ------------------------------------------------------------------------------- */

static void reap_all(struct pair *q)
{
	struct rmnic_cqe cqe;

	while (pair_reap(q, &cqe))
		;
}

/* RING-11: with the armed entry, and only with it. */
RIG_TEST(rmnic_qp_flush__armed_entry_interrupts)
{
	struct pair *q = &rig->q[2];
	uint64_t page = rig_page(rig);

	pair_rec(q)->cq_arm = 2;
	for (uint16_t i = 0; i < 6; i++) {
		put_in(rig, i, page);
		pair_ring(q);
		rig_poll(rig);
		assert_int_equal(rig->host.irqs[2], i >= 2);
	}
	/* Passed: it does not fire again. Armed anew in the middle of a batch: once. */
	reap_all(q);
	pair_rec(q)->cq_arm = 8;
	for (uint16_t i = 0; i < 6; i++)
		put_in(rig, i, page);
	pair_ring(q);
	rig_poll(rig);
	assert_int_equal(rig->host.irqs[2], 2);
	assert_int_equal(rig->host.irq_total, 2);
	assert_int_equal(rmnic_dev_counters(rig->dev)->interrupts, 3); /* one at set-up */
}

RIG_TEST(rmnic_qp_flush__polled_pair_takes_none)
{
	struct pair *q = &rig->q[3];
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 1, rig_page(rig));

	rig_create(rig, 3, RMNIC_CLASS_PAGE_IN, 4, RMNIC_NO_VECTOR);
	rig->host.irq_total = 0;
	pair_rec(q)->cq_arm = 0;
	assert_cqe(rig_io(rig, 3, &sqe), RMNIC_SC_OK, 1, NONE);
	assert_int_equal(rig->host.irq_total, 0);
}

static void coalesce(struct rig *rig, uint16_t qid, uint16_t count, uint16_t us)
{
	struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_SET_COALESCE,
				       .qid = qid,
				       .coalesce_count = count,
				       .coalesce_us = us };

	assert_cqe(rig_admin(rig, &sqe), RMNIC_SC_OK, 0, NONE);
}

/* RING-12: by count, the armed entry included. */
RIG_TEST(rmnic_qp_flush__coalesced_by_count)
{
	struct pair *q = &rig->q[2];
	uint64_t page = rig_page(rig);

	coalesce(rig, 2, 4, 1000);
	pair_rec(q)->cq_arm = 1;
	for (uint16_t i = 0; i < 8; i++) {
		put_in(rig, i, page);
		pair_ring(q);
		rig_poll(rig);
		assert_int_equal(rig->host.irqs[2], i >= 4);
	}
	assert_true(rmnic_dev_deadline(rig->dev) == UINT64_MAX);
}

/* RING-12: by time, and the device wakes itself for it. */
RIG_TEST(rmnic_qp_flush__coalesced_by_time)
{
	struct pair *q = &rig->q[2];
	uint64_t deadline;

	coalesce(rig, 2, 4, 100);
	pair_rec(q)->cq_arm = 0;
	put_in(rig, 0, rig_page(rig));
	pair_ring(q);
	rig_poll(rig);
	assert_int_equal(rig->host.irqs[2], 0);
	deadline = rmnic_dev_deadline(rig->dev);
	assert_true(deadline <= rig->host.now + 100000);
	/* A driver that consumes and arms again meanwhile loses nothing. */
	reap_all(q);
	pair_rec(q)->cq_arm = 1;
	rig->host.now = deadline - 5;
	rig_poll(rig);
	assert_int_equal(rig->host.irqs[2], 0);
	rig->host.now = deadline;
	rig_poll(rig);
	assert_int_equal(rig->host.irqs[2], 1);
	assert_true(rmnic_dev_deadline(rig->dev) == UINT64_MAX);
	put_in(rig, 0, rig_page(rig));
	pair_ring(q);
	rig_poll(rig);
	rig->host.now += 100000;
	rig_poll(rig);
	assert_int_equal(rig->host.irqs[2], 2);
}

/* RING-12: none is lost when the setting changes, the pair goes, or the device pauses. */
RIG_TEST(rmnic_qp_irq_release__nothing_held_is_lost)
{
	struct rmnic_admin_sqe del = { .opcode = RMNIC_OP_DELETE_QP, .qid = 2 };
	struct pair *q = &rig->q[2];
	uint64_t page = rig_page(rig);

	coalesce(rig, 2, 10, 1000);
	for (uint16_t i = 0; i < 3; i++) {
		reap_all(q);
		pair_rec(q)->cq_arm = q->head;
		put_in(rig, 0, page);
		pair_ring(q);
		rig_poll(rig);
		assert_int_equal(rig->host.irqs[2], i + (i > 1));
		if (i == 0)
			coalesce(rig, 2, 10, 500);
		if (i == 1) {
			rmnic_dev_pause(rig->dev);
			assert_int_equal(rig->host.irqs[2], 2);
			rmnic_dev_resume(rig->dev); /* RING-15: one more */
			assert_int_equal(rig->host.irqs[2], 3);
		}
		if (i == 2)
			assert_cqe(rig_admin(rig, &del), RMNIC_SC_OK, 0, NONE);
		assert_int_equal(rig->host.irqs[2], i + 1 + (i > 0));
		assert_true(rmnic_dev_deadline(rig->dev) == UINT64_MAX);
	}
}

/* Pairs on one vector: once a round, not once a pair. */
RIG_TEST(rmnic_dev_irqs__shared_vector_once_a_round)
{
	uint64_t page = rig_page(rig);

	rig_create(rig, 3, RMNIC_CLASS_PAGE_IN, 16, 2);
	rig->host.irqs[2] = 0;
	for (uint16_t qid = 2; qid <= 3; qid++) {
		struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 1, page);

		pair_rec(&rig->q[qid])->cq_arm = 0;
		pair_put(&rig->q[qid], &sqe);
		pair_ring(&rig->q[qid]);
	}
	rmnic_dev_poll(rig->dev);
	assert_int_equal(rig->host.irqs[2], 1);
}

/* --- Sleeping ------------------------------------------------------------------------------------ */

/* RING-9 */
RIG_TEST(rmnic_dev_sleep_begin__sets_need_wakeup_then_looks_again)
{
	rig_poll(rig);
	for (uint16_t i = 1; i <= 2; i++)
		assert_int_equal(pair_rec(&rig->q[i])->need_wakeup, 0);
	assert_true(rmnic_dev_sleep_begin(rig->dev));
	assert_int_equal(rig->host.membarriers, 1);
	assert_int_equal(pair_rec(&rig->aq)->need_wakeup, 1);
	for (uint16_t i = 1; i <= 2; i++)
		assert_int_equal(pair_rec(&rig->q[i])->need_wakeup, 1);
	rmnic_dev_sleep_end(rig->dev);
	for (uint16_t i = 1; i <= 2; i++)
		assert_int_equal(pair_rec(&rig->q[i])->need_wakeup, 0);
	assert_int_equal(rmnic_dev_counters(rig->dev)->wakeups, 1);
	put_in(rig, 0, rig_page(rig));
	pair_ring(&rig->q[2]);
	assert_false(rmnic_dev_sleep_begin(rig->dev));
	assert_int_equal(pair_rec(&rig->q[2])->need_wakeup, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_qp_fetch__laps_of_2),
		cmocka_unit_test(rmnic_qp_fetch__laps_of_4),
		cmocka_unit_test(rmnic_qp_fetch__laps_of_8),
		cmocka_unit_test(rmnic_qp_fetch__wrap_at_2_32),
		cmocka_unit_test(rmnic_qp_sync__tail_too_far),
		cmocka_unit_test(rmnic_qp_sync__tail_moved_back),
		cmocka_unit_test(rmnic_qp_sync__head_past_tail),
		cmocka_unit_test(rmnic_qp_sync__head_a_ring_behind),
		cmocka_unit_test(rmnic_qp_sync__full_ring_is_fine),
		cmocka_unit_test(rmnic_qp_room__full_cq),
		cmocka_unit_test(rmnic_qp_fetch__entry_copied_once),
		cmocka_unit_test(rmnic_qp_post__body_before_phase),
		cmocka_unit_test(rmnic_qp_flush__armed_entry_interrupts),
		cmocka_unit_test(rmnic_qp_flush__polled_pair_takes_none),
		cmocka_unit_test(rmnic_qp_flush__coalesced_by_count),
		cmocka_unit_test(rmnic_qp_flush__coalesced_by_time),
		cmocka_unit_test(rmnic_qp_irq_release__nothing_held_is_lost),
		cmocka_unit_test(rmnic_dev_irqs__shared_vector_once_a_round),
		cmocka_unit_test(rmnic_dev_sleep_begin__sets_need_wakeup_then_looks_again),
	};

	return cmocka_run_group_tests_name("qpair", tests, NULL, NULL);
}
