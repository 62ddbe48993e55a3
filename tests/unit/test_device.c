/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#define OUT RMNIC_OP_PAGE_OUT
#define IN  RMNIC_OP_PAGE_IN

/* A rig that is not enabled. */
#define OFF_TEST(name)                                            \
	static void name##_body(struct rig *rig);                 \
	static void name(void **state)                            \
	{                                                         \
		static struct rig rig;                            \
		(void)state;                                      \
		rig_up_off(&rig, &(struct rig_options){ 0 });     \
		name##_body(&rig);                                \
		rig_down(&rig);                                   \
	}                                                         \
	static void name##_body(struct rig *rig)

static void submit(struct rig *rig, uint16_t qid, uint16_t cid, uint8_t opcode, uint64_t rpn,
		   uint32_t npages, uint64_t addr)
{
	struct rmnic_sqe sqe = rig_sqe(rig, opcode, rpn, npages, addr);

	sqe.cid = cid;
	pair_put(&rig->q[qid], &sqe);
	pair_ring(&rig->q[qid]);
}

/* The driver's memory of a reset device: everything from the start. */
static void forget_rings(struct rig *rig)
{
	for (int i = 0; i <= 2; i++) {
		struct pair *q = i ? &rig->q[i] : &rig->aq;

		q->head = q->tail = 0;
		memset(GUEST(q->cq), 0, q->depth * 16);
		memset(GUEST(q->rec), 0, 256);
	}
}

static void enable_again(struct rig *rig)
{
	struct rmnic_admin_sqe sqe;

	forget_rings(rig);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	for (uint16_t qid = 1; qid <= 2; qid++) {
		sqe = rig_create_sqe(rig, &rig->q[qid],
				     qid == 2 ? RMNIC_CLASS_PAGE_IN : RMNIC_CLASS_PAGE_OUT, qid);
		assert_cqe(rig_admin(rig, &sqe), RMNIC_SC_OK, 0, NONE);
	}
}

/* --- Creation ------------------------------------------------------------------------------ */

OFF_TEST(rmnic_dev_create__refuses_what_is_out_of_range)
{
	struct rmnic_dev_config c;

#define BAD(change)                                 \
	do {                                        \
		c = rig->config;                    \
		change;                             \
		assert_null(rmnic_dev_create(&c));  \
	} while (0)
	BAD(c.max_qpairs = 0);
	BAD(c.max_qpairs = 257);
	BAD(c.max_depth = 0);
	BAD(c.max_depth = 1);
	BAD(c.max_depth = 48);
	BAD(c.max_depth = 8192);
	BAD(c.vectors = 0);
	BAD(c.vectors = 2050);
	BAD(c.slab_pages = 0);
	BAD(c.slab_pages = 48);
	BAD(c.capacity = 100);
	BAD(c.capacity = 8192);
	BAD(c.max_capacity = RMNIC_MAX_CAPACITY + 64);
	BAD(c.store = NULL);
	BAD(c.ops = NULL);
#undef BAD
}

OFF_TEST(rmnic_dev_create__largest)
{
	struct rmnic_dev_config c = rig->config;
	struct rmnic_dev *dev;

	c.max_qpairs = RMNIC_MAX_QPAIRS;
	c.max_depth = RMNIC_MAX_DEPTH;
	c.vectors = 2049;
	dev = rmnic_dev_create(&c);
	assert_non_null(dev);
	assert_false(rmnic_dev_poll(dev));
	rmnic_dev_destroy(dev);
	rmnic_dev_destroy(NULL);
}

/* --- Enable (DMA-5) -------------------------------------------------------------------------- */

/* DMA-5: fatal, nothing mapped, counted; left by a disable. */
static void enable_fails(struct rig *rig, uint64_t features, uint32_t depth, uint64_t sq,
			 uint64_t cq, uint64_t rec, uint32_t error)
{
	uint64_t before = rmnic_dev_counters(rig->dev)->fatal_errors;

	assert_int_equal(rmnic_dev_enable(rig->dev, features, depth, sq, cq, rec), error);
	assert_int_equal(rig->host.mapped, 0);
	assert_false(rmnic_dev_poll(rig->dev));
	assert_false(rmnic_dev_has_work(rig->dev));
	assert_true(rmnic_dev_sleep_begin(rig->dev));
	rmnic_dev_pause(rig->dev);
	rmnic_dev_resume(rig->dev);
	assert_false(rmnic_dev_poll(rig->dev));
	assert_int_equal(rmnic_dev_counters(rig->dev)->fatal_errors, before + 1);
	rmnic_dev_disable(rig->dev);
}

/* DMA-5 */
OFF_TEST(rmnic_dev_enable__each_wrong_value)
{
	struct pair *a = &rig->aq;
	uint64_t f = rig->config.features;

	enable_fails(rig, f | 1ull << 40, 16, a->sq, a->cq, a->rec, RMNIC_ERR_FEATURES);
	assert_refused(rig, BAD_FEATURES);
	enable_fails(rig, f, 0, a->sq, a->cq, a->rec, RMNIC_ERR_AQ_DEPTH);
	enable_fails(rig, f, 1, a->sq, a->cq, a->rec, RMNIC_ERR_AQ_DEPTH);
	enable_fails(rig, f, 3, a->sq, a->cq, a->rec, RMNIC_ERR_AQ_DEPTH);
	enable_fails(rig, f, 128, a->sq, a->cq, a->rec, RMNIC_ERR_AQ_DEPTH);
	enable_fails(rig, f, 0x80000000u, a->sq, a->cq, a->rec, RMNIC_ERR_AQ_DEPTH);
	enable_fails(rig, f, 16, a->sq + 64, a->cq, a->rec, RMNIC_ERR_AQ_ADDRESS);
	enable_fails(rig, f, 16, a->sq, a->cq + 64, a->rec, RMNIC_ERR_AQ_ADDRESS);
	enable_fails(rig, f, 16, a->sq, a->cq, a->rec + 64, RMNIC_ERR_AQ_ADDRESS);
	enable_fails(rig, f, 16, FAKE_HOLE, a->cq, a->rec, RMNIC_ERR_AQ_ADDRESS);
	enable_fails(rig, f, 16, a->sq, ~0xfffull, a->rec, RMNIC_ERR_AQ_ADDRESS);
	enable_fails(rig, f, 16, a->sq, a->cq, 0, RMNIC_ERR_AQ_ADDRESS);
	assert_int_equal(rig->host.refused[RMNIC_REFUSAL_BAD_AQ], 11);
	assert_int_equal(rig->host.fatals, 0); /* the caller is told, not the callback */
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
}

/* --- Disable in every state (DMA-1, DMA-2) ------------------------------------------------------ */

OFF_TEST(rmnic_dev_disable__never_enabled)
{
	rmnic_dev_disable(rig->dev);
	rmnic_dev_disable(rig->dev);
	assert_int_equal(rmnic_dev_counters(rig->dev)->resets, 0);
}

/* DMA-2: pages, capacity and counters stay. */
RIG_TEST(rmnic_dev_disable__keeps_what_is_stored)
{
	uint64_t page = rig_page(rig);

	page_fill(GUEST(page), 3, 1);
	assert_int_equal(rig_cmd(rig, OUT, 3, 1, page).status, RMNIC_SC_OK);
	assert_true(rmnic_dev_set_capacity(rig->dev, 2048));
	rmnic_dev_disable(rig->dev);
	assert_int_equal(rig->host.mapped, 0);
	assert_int_equal(rmnic_dev_counters(rig->dev)->resets, 1);
	enable_again(rig);
	memset(GUEST(page), 0, 4096);
	assert_cqe(rig_cmd(rig, IN, 3, 1, page), RMNIC_SC_OK, 1, NONE);
	assert_true(page_is(GUEST(page), 3, 1));
	assert_cqe(rig_cmd(rig, IN, 2047, 1, page), RMNIC_SC_OK, 1, NONE);
	assert_int_equal(rmnic_dev_counters(rig->dev)->pages_out, 1);
	assert_int_equal(rmnic_dev_counters(rig->dev)->pages_in, 2);
}

/* CMD-2, DMA-1: every state of a command; none completes, nothing is touched any more. */
RIG_TEST(rmnic_dev_disable__commands_in_every_state, .slow = true)
{
	uint64_t page = rig_page(rig), list = rig_page(rig);
	uint64_t *entries = GUEST(list);
	struct rmnic_sqe big = rig_sqe(rig, IN, 0, 512, list);
	struct rmnic_cqe cqe;

	for (int i = 0; i < 512; i++)
		entries[i] = page;
	for (uint16_t cid = 0; cid < 4; cid++)
		submit(rig, 2, cid, IN, cid, 1, page);
	rig_poll(rig);
	rig->fault->cqe_kind = RMNIC_FAULT_CQE_DROP;
	rig->fault->cqe_nth = 1;
	slow_answer(&rig->slow, 0, RMNIC_SC_OK); /* dropped */
	rig->fault->delay_us = 100;
	slow_answer(&rig->slow, 0, RMNIC_SC_OK); /* delayed */
	big.flags = RMNIC_SQE_F_LIST;
	big.cid = 9;
	pair_put(&rig->q[2], &big);
	submit(rig, 2, 10, IN, 0, 1, page); /* stays behind it, unfetched */
	rig_poll(rig); /* big is half started: 510 of 512 */
	assert_int_equal(rig->slow.pending, 512);
	rmnic_dev_disable(rig->dev);
	assert_int_equal(rig->slow.pending, 0);
	assert_int_equal(rig->host.mapped, 0);
	assert_true(rmnic_dev_deadline(rig->dev) == UINT64_MAX);
	rig->host.now += 1000000;
	rig_poll(rig);
	assert_false(pair_peek(&rig->q[2], &cqe));
	rig->fault->delay_us = 0;
	enable_again(rig);
	submit(rig, 2, 0, IN, 0, 1, page);
	rig_poll(rig);
	slow_answer_all(&rig->slow);
	assert_true(pair_reap(&rig->q[2], &cqe));
	assert_cqe(cqe, RMNIC_SC_OK, 1, NONE);
}

/* DMA-2, DMA-4: out of FATAL and back. */
RIG_TEST(rmnic_dev_disable__leaves_fatal)
{
	uint64_t page = rig_page(rig);

	pair_rec(&rig->aq)->sq_tail = 999;
	rig_poll(rig);
	assert_int_equal(rig->host.fatals, 1);
	assert_int_equal(rig->host.mapped, 0);
	rmnic_dev_disable(rig->dev);
	enable_again(rig);
	assert_cqe(rig_cmd(rig, IN, 0, 1, page), RMNIC_SC_OK, 1, NONE);
	assert_int_equal(rig->host.fatals, 1);
}

/* An interrupt that was held back, and an event, die with the reset. */
RIG_TEST(rmnic_dev_disable__forgets_interrupts)
{
	struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_SET_COALESCE, .qid = 2,
				       .coalesce_count = 9, .coalesce_us = 9 };

	rig_admin(rig, &sqe);
	submit(rig, 2, 0, IN, 0, 1, rig_page(rig));
	rig_poll(rig);
	rmnic_dev_pause(rig->dev);
	rmnic_dev_event(rig->dev);
	rig->host.irq_total = 0;
	rmnic_dev_disable(rig->dev);
	rig->host.now += 1000000;
	rig_poll(rig);
	assert_int_equal(rig->host.irq_total, 0);
	enable_again(rig);
	rmnic_dev_pause(rig->dev);
	rig->host.irqs[0] = 0;
	rmnic_dev_resume(rig->dev);
	assert_int_equal(pair_rec(&rig->aq)->event_seq, 0);
}

/* --- Pause and resume (DMA-3) ---------------------------------------------------------------------- */

/* DMA-3: what is fetched is completed, without its delay; nothing is fetched or touched. */
RIG_TEST(rmnic_dev_pause__completes_what_was_fetched)
{
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;

	rig->fault->delay_us = 1000000;
	submit(rig, 2, 0, IN, 0, 1, page);
	rig_poll(rig);
	assert_false(pair_peek(&rig->q[2], &cqe));
	rig->fault->delay_us = 0;
	rmnic_dev_pause(rig->dev);
	assert_true(rmnic_dev_quiet(rig->dev));
	assert_true(pair_reap(&rig->q[2], &cqe));
	assert_cqe(cqe, RMNIC_SC_OK, 1, NONE);
	assert_int_equal(rig->host.irqs[2], 1);
	submit(rig, 2, 1, IN, 0, 1, page);
	pair_rec(&rig->q[1])->sq_tail = 12345; /* not even looked at */
	for (int i = 0; i < 3; i++) {
		assert_false(rmnic_dev_has_work(rig->dev));
		assert_false(rmnic_dev_poll(rig->dev));
		assert_true(rmnic_dev_sleep_begin(rig->dev));
		rmnic_dev_sleep_end(rig->dev);
	}
	assert_false(pair_peek(&rig->q[2], &cqe));
	assert_int_equal(rig->host.fatals, 0);
	assert_int_equal(rig->host.mapped, 9); /* the queues stay */
	pair_rec(&rig->q[1])->sq_tail = 0;
	rmnic_dev_resume(rig->dev);
	rig_poll(rig);
	assert_true(pair_reap(&rig->q[2], &cqe));
	assert_int_equal(cqe.cid, 1);
}

/* DMA-3: a large command in the middle is finished before the pause is. */
RIG_TEST(rmnic_dev_pause__in_the_middle_of_a_command)
{
	uint64_t list = rig_page(rig), page = rig_page(rig);
	uint64_t *entries = GUEST(list);
	struct rmnic_sqe sqe = rig_sqe(rig, OUT, 0, 512, list);
	struct rmnic_cqe cqe;

	for (int i = 0; i < 512; i++)
		entries[i] = page;
	sqe.flags = RMNIC_SQE_F_LIST;
	pair_put(&rig->q[1], &sqe);
	pair_ring(&rig->q[1]);
	rmnic_dev_poll(rig->dev);
	assert_false(pair_peek(&rig->q[1], &cqe));
	rmnic_dev_pause(rig->dev);
	assert_true(pair_reap(&rig->q[1], &cqe));
	assert_cqe(cqe, RMNIC_SC_OK, 512, NONE);
}

/* With a store that answers later, it is quiet when the last answer has come. */
RIG_TEST(rmnic_dev_pause__waits_for_the_store, .slow = true)
{
	struct rmnic_cqe cqe;

	submit(rig, 2, 0, IN, 0, 2, rig_pages(rig, 2));
	rig_poll(rig);
	rmnic_dev_pause(rig->dev);
	assert_false(rmnic_dev_quiet(rig->dev));
	/* It may need its own turns to come to an end: nothing of it is saved with the machine. */
	rig->slow.idled = 0;
	rmnic_dev_poll(rig->dev);
	assert_int_equal(rig->slow.idled, 1);
	slow_answer_all(&rig->slow);
	assert_true(rmnic_dev_quiet(rig->dev));
	assert_true(pair_reap(&rig->q[2], &cqe));
	assert_cqe(cqe, RMNIC_SC_OK, 2, NONE);
}

/* RING-15: every vector once, because one may have been lost meanwhile. */
RIG_TEST(rmnic_dev_resume__raises_every_vector)
{
	rmnic_dev_pause(rig->dev);
	rig->host.irq_total = 0;
	memset(rig->host.irqs, 0, sizeof(rig->host.irqs));
	rmnic_dev_resume(rig->dev);
	for (int i = 0; i <= 2; i++)
		assert_int_equal(rig->host.irqs[i], 1);
	assert_int_equal(rig->host.irq_total, 3);
	rmnic_dev_resume(rig->dev); /* not paused: nothing */
	assert_int_equal(rig->host.irq_total, 3);
}

/* --- Capacity and events (CAP-1, CAP-2, CAP-4) -------------------------------------------------------- */

/* CAP-1 */
RIG_TEST(rmnic_dev_set_capacity__grows_by_slabs)
{
	uint64_t page = rig_page(rig);

	assert_int_equal(rig_cmd(rig, IN, 1024, 1, page).status, RMNIC_SC_RPN_RANGE);
	assert_false(rmnic_dev_set_capacity(rig->dev, 1024 + 32));
	assert_false(rmnic_dev_set_capacity(rig->dev, 960));
	assert_false(rmnic_dev_set_capacity(rig->dev, 4096 + 64));
	assert_false(rmnic_dev_set_capacity(rig->dev, 0));
	assert_int_equal(rig_cmd(rig, IN, 1024, 1, page).status, RMNIC_SC_RPN_RANGE);
	assert_true(rmnic_dev_set_capacity(rig->dev, 1088));
	assert_int_equal(rig_cmd(rig, IN, 1024, 1, page).status, RMNIC_SC_OK);
	assert_int_equal(rig_cmd(rig, IN, 1088, 1, page).status, RMNIC_SC_RPN_RANGE);
	assert_true(rmnic_dev_set_capacity(rig->dev, 4096));
}

/* CAP-4: every page that was promised can be written, with content of its own. */
RIG_TEST(rmnic_dev_set_capacity__is_held, .max_capacity = 1024)
{
	uint64_t page = rig_page(rig);

	for (uint64_t rpn = 0; rpn < 1024; rpn++) {
		page_fill(GUEST(page), rpn, 1);
		assert_int_equal(rig_cmd(rig, OUT, rpn, 1, page).status, RMNIC_SC_OK);
	}
	for (uint64_t rpn = 0; rpn < 1024; rpn++) {
		assert_int_equal(rig_cmd(rig, IN, rpn, 1, page).status, RMNIC_SC_OK);
		assert_true(page_is(GUEST(page), rpn, 1));
	}
}

/* CAP-2 */
RIG_TEST(rmnic_dev_event__moves_seq_and_interrupts)
{
	rig->host.irqs[0] = 0;
	rmnic_dev_event(rig->dev);
	assert_int_equal(pair_rec(&rig->aq)->event_seq, 1);
	assert_int_equal(rig->host.irqs[0], 1);
	/* DMA-3: not while paused; then with the resume. */
	rmnic_dev_pause(rig->dev);
	rmnic_dev_event(rig->dev);
	assert_int_equal(pair_rec(&rig->aq)->event_seq, 1);
	rmnic_dev_resume(rig->dev);
	assert_int_equal(pair_rec(&rig->aq)->event_seq, 2);
	/* Only with a driver that took the feature, and only while enabled. */
	rmnic_dev_disable(rig->dev);
	rmnic_dev_event(rig->dev);
	assert_int_equal(rmnic_dev_enable(rig->dev, 0, 16, rig->aq.sq, rig->aq.cq, rig->aq.rec),
			 RMNIC_ERR_NONE);
	rmnic_dev_event(rig->dev);
	assert_int_equal(pair_rec(&rig->aq)->event_seq, 2);
}

/* --- The round ------------------------------------------------------------------------------------------ */

/* Housekeeping: when idle, and now and then under load; never while paused. */
RIG_TEST(rmnic_dev_poll__housekeeping)
{
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;

	page_fill(GUEST(page), 1, 1);
	rig_cmd(rig, OUT, 1, 1, page);
	submit(rig, 1, 1, RMNIC_OP_FREE, 1, 1, 0);
	rmnic_dev_poll(rig->dev);
	assert_int_equal(rig->discarded, 0);
	rmnic_dev_pause(rig->dev);
	rig_poll(rig);
	assert_int_equal(rig->discarded, 0);
	rmnic_dev_resume(rig->dev);
	for (int i = 0; i < 200; i++) {
		submit(rig, 2, 0, IN, 0, 1, page);
		assert_true(rmnic_dev_poll(rig->dev));
		assert_true(pair_reap(&rig->q[2], &cqe));
	}
	assert_int_equal(rig->discarded, 4096);
}

/* RING-14, across devices: the host may look at others between two turns, and at page-ins alone. */
RIG_TEST(rmnic_dev_poll_in__leaves_page_outs_alone)
{
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;

	submit(rig, 1, 0, OUT, 1, 1, page);
	submit(rig, 2, 0, IN, 0, 1, page);
	assert_true(rmnic_dev_poll_in(rig->dev));
	assert_true(pair_reap(&rig->q[2], &cqe));
	assert_false(pair_peek(&rig->q[1], &cqe));
	assert_int_equal(rig->host.turns, 0);
	assert_false(rmnic_dev_poll_in(rig->dev));
	assert_true(rmnic_dev_poll(rig->dev));
	assert_true(pair_reap(&rig->q[1], &cqe));
	assert_int_equal(rig->host.turns, 1);
	rmnic_dev_pause(rig->dev);
	submit(rig, 2, 1, IN, 0, 1, page);
	assert_false(rmnic_dev_poll_in(rig->dev));
	rmnic_dev_resume(rig->dev);
	rig_poll(rig);
}

RIG_TEST(rmnic_dev_bad_register__counts)
{
	rmnic_dev_bad_register(rig->dev, 0x777);
	assert_refused(rig, BAD_REGISTER);
	assert_int_equal(rig->host.refused_value, 0x777);
	assert_int_equal(rmnic_dev_counters(rig->dev)->refused[RMNIC_REFUSAL_BAD_REGISTER], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_dev_create__refuses_what_is_out_of_range),
		cmocka_unit_test(rmnic_dev_create__largest),
		cmocka_unit_test(rmnic_dev_enable__each_wrong_value),
		cmocka_unit_test(rmnic_dev_disable__never_enabled),
		cmocka_unit_test(rmnic_dev_disable__keeps_what_is_stored),
		cmocka_unit_test(rmnic_dev_disable__commands_in_every_state),
		cmocka_unit_test(rmnic_dev_disable__leaves_fatal),
		cmocka_unit_test(rmnic_dev_disable__forgets_interrupts),
		cmocka_unit_test(rmnic_dev_pause__completes_what_was_fetched),
		cmocka_unit_test(rmnic_dev_pause__in_the_middle_of_a_command),
		cmocka_unit_test(rmnic_dev_pause__waits_for_the_store),
		cmocka_unit_test(rmnic_dev_resume__raises_every_vector),
		cmocka_unit_test(rmnic_dev_set_capacity__grows_by_slabs),
		cmocka_unit_test(rmnic_dev_set_capacity__is_held),
		cmocka_unit_test(rmnic_dev_event__moves_seq_and_interrupts),
		cmocka_unit_test(rmnic_dev_poll__housekeeping),
		cmocka_unit_test(rmnic_dev_poll_in__leaves_page_outs_alone),
		cmocka_unit_test(rmnic_dev_bad_register__counts),
	};

	return cmocka_run_group_tests_name("device", tests, NULL, NULL);
}
