/* SPDX-License-Identifier: BSD-3-Clause */
/* What a successor makes of the queues and commands that it finds in the state block. */
#include "rig.h"

#include "engine/internal.h"

#define FLIGHT(rig, qid, cid) (&(rig)->block.flights[(qid) * (rig)->block.depth + (cid)])
#define ROW(rig, qid)         (&(rig)->block.queues[qid])

/* n page-outs on pair 1; cids run down, so that their order is not that of the table. */
static void submit(struct rig *rig, unsigned int n)
{
	uint64_t pages = rig_pages(rig, n);

	for (unsigned int i = 0; i < n; i++) {
		struct rmnic_sqe sqe = { .opcode = RMNIC_OP_PAGE_OUT, .cid = (uint16_t)(15 - i),
					 .npages = 1, .rpn = i, .addr = pages + i * 4096u };

		page_fill(GUEST(sqe.addr), i, 1);
		pair_put(&rig->q[1], &sqe);
	}
	pair_ring(&rig->q[1]);
}

static void fetch_all(struct rig *rig, unsigned int n)
{
	submit(rig, n);
	for (unsigned int i = 0; i < n; i++)
		rmnic_dev_poll(rig->dev);
	assert_int_equal(rig->slow.pending, n);
}

static void die_and_succeed(struct rig *rig)
{
	rig_die(rig);
	rig_succeed(rig);
}

static unsigned int reap_all(struct rig *rig, struct pair *pair, uint16_t status)
{
	struct rmnic_cqe cqe;
	unsigned int n = 0;

	while (pair_reap(pair, &cqe)) {
		assert_int_equal(cqe.status, status);
		n++;
	}
	(void)rig;
	return n;
}

/* --- Going on ------------------------------------------------------------------------------- */

/* STATE-11: in the order of submission, a bounded part each round. */
RIG_TEST(rmnic_dev_take_over__in_order, .recorded = true, .slow = true)
{
	unsigned int before = 0;

	fetch_all(rig, 12);
	die_and_succeed(rig);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	assert_true(rmnic_dev_has_work(rig->dev));
	assert_false(rmnic_dev_sleep_begin(rig->dev));
	while (rig->slow.pending < 12) {
		assert_true(rmnic_dev_poll(rig->dev));
		assert_true(rig->slow.pending - before <= 4);
		before = rig->slow.pending;
	}
	for (unsigned int i = 0; i < 12; i++)
		assert_int_equal(rig->slow.ops[i]->rpn, i);
	slow_answer_all(&rig->slow);
	assert_int_equal(reap_all(rig, &rig->q[1], RMNIC_SC_OK), 12);
}

/* STATE-12, RING-15: nobody knows which wake-up, interrupt or event was lost. */
RIG_TEST(rmnic_dev_take_over__wakes_everybody, .recorded = true)
{
	uint32_t seq = pair_rec(&rig->aq)->event_seq;

	assert_true(rmnic_dev_sleep_begin(rig->dev));
	assert_int_equal(pair_rec(&rig->q[1])->need_wakeup, 1);
	die_and_succeed(rig);
	memset(rig->host.irqs, 0, sizeof(rig->host.irqs));
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	for (unsigned int vector = 0; vector < 3; vector++)
		assert_int_equal(rig->host.irqs[vector], 1);
	assert_int_equal(pair_rec(&rig->aq)->need_wakeup, 0);
	assert_int_equal(pair_rec(&rig->q[1])->need_wakeup, 0);
	assert_int_equal(pair_rec(&rig->q[2])->need_wakeup, 0);
	assert_int_not_equal(pair_rec(&rig->aq)->event_seq, seq);
	rig_cmd(rig, RMNIC_OP_PAGE_OUT, 3, 1, rig_page(rig));
}

/* What the predecessor copied counts, whatever the guest has put into its ring since. */
RIG_TEST(rmnic_dev_take_over__the_ring_has_changed, .recorded = true, .slow = true)
{
	fetch_all(rig, 3);
	memset(GUEST(rig->q[1].sq), 0xff, 16 * 64);
	die_and_succeed(rig);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 3);
	slow_answer_all(&rig->slow);
	assert_int_equal(reap_all(rig, &rig->q[1], RMNIC_SC_OK), 3);
}

/* RING-7: its indexes are checked against the block's. */
RIG_TEST(rmnic_dev_take_over__the_tail_has_changed, .recorded = true)
{
	rig_cmd(rig, RMNIC_OP_PAGE_OUT, 3, 1, rig_page(rig));
	die_and_succeed(rig);
	pair_rec(&rig->q[1])->sq_tail = 500;
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_poll(rig);
	assert_int_equal(rig->host.fatal_error, RMNIC_ERR_BAD_SQ_TAIL);
}

/* A list that is wrong now is refused now; what was half written is settled (STATE-16). */
RIG_TEST(rmnic_dev_take_over__refused_now, .recorded = true, .slow = true)
{
	uint64_t list = fake_alloc(&rig->host, 64, 64);
	struct rmnic_sqe sqe = { .opcode = RMNIC_OP_PAGE_OUT, .npages = 2, .rpn = 7, .addr = list,
				 .flags = RMNIC_SQE_F_LIST };
	struct rmnic_cqe cqe;

	((uint64_t *)GUEST(list))[0] = rig_page(rig);
	((uint64_t *)GUEST(list))[1] = rig_page(rig);
	pair_put(&rig->q[1], &sqe);
	pair_ring(&rig->q[1]);
	rmnic_dev_poll(rig->dev);
	assert_int_equal(rig->slow.pending, 2);
	((uint64_t *)GUEST(list))[0] = FAKE_HOLE;
	die_and_succeed(rig);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_poll(rig);
	assert_true(pair_reap(&rig->q[1], &cqe));
	assert_int_equal(cqe.status, RMNIC_SC_INVALID_ADDRESS);
	assert_int_equal(rig->slow.settled, 1);
	assert_int_equal(rig->slow.settled_rpn, 7);
	assert_int_equal(rig->slow.settled_pages, 2);
}

/* The same where the whole command is refused: the capacity is smaller than it was. */
RIG_TEST(rmnic_dev_take_over__out_of_range_now, .recorded = true, .slow = true)
{
	struct rmnic_sqe sqe = { .opcode = RMNIC_OP_PAGE_OUT, .npages = 1, .rpn = 1000 };

	sqe.addr = rig_page(rig);
	pair_put(&rig->q[1], &sqe);
	pair_ring(&rig->q[1]);
	rmnic_dev_poll(rig->dev);
	assert_int_equal(rig->slow.pending, 1);
	rig_die(rig);
	rig->config.capacity = 512;
	rig_succeed(rig);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_poll(rig);
	assert_int_equal(reap_all(rig, &rig->q[1], RMNIC_SC_RPN_RANGE), 1);
	assert_int_equal(rig->slow.settled, 1);
	assert_int_equal(rig->slow.settled_rpn, 1000);
	/* What the table says of a page that the device has not is nobody's page. */
	rig->slow.settled = 0;
	pair_put(&rig->q[1], &sqe);
	pair_ring(&rig->q[1]);
	rig_poll(rig);
	assert_int_equal(rig->slow.settled, 0);
}

/* CMD-16, STATE-16: ABORT of what waits to be redriven. */
RIG_TEST(rmnic_dev_take_over__abort_of_a_queued_one, .recorded = true, .slow = true)
{
	struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_ABORT, .qid = 1, .target_cid = 10 };
	struct rmnic_cqe cqe;

	fetch_all(rig, 8);
	die_and_succeed(rig);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	pair_put(&rig->aq, &sqe);
	pair_ring(&rig->aq);
	rmnic_dev_poll(rig->dev);
	assert_true(pair_reap(&rig->aq, &cqe));
	assert_cqe(cqe, RMNIC_SC_OK, 1, NONE);
	assert_true(pair_reap(&rig->q[1], &cqe));
	assert_cqe(cqe, RMNIC_SC_ABORTED, 0, 0);
	assert_int_equal(cqe.cid, 10);
	assert_int_equal(rig->slow.settled, 1);
	assert_int_equal(rig->slow.settled_rpn, 5);
	rig_poll(rig);
	for (unsigned int i = 0; i < rig->slow.pending; i++)
		assert_int_not_equal(rig->slow.ops[i]->rpn, 5);
	slow_answer_all(&rig->slow);
	assert_int_equal(reap_all(rig, &rig->q[1], RMNIC_SC_OK), 7);
}

/* STATE-14: two of one cid, neither fetched; the first was aborted before the second was sent. */
RIG_TEST(rmnic_qp_pull__the_same_cid_twice, .recorded = true, .slow = true)
{
	struct rmnic_admin_sqe abort = { .opcode = RMNIC_OP_ABORT, .qid = 1, .target_cid = 15 };
	unsigned int aborted = 0;
	struct rmnic_cqe cqe;

	submit(rig, 8);
	for (unsigned int round = 0; round < 2; round++) {
		struct rmnic_sqe sqe = { .opcode = RMNIC_OP_PAGE_OUT, .cid = 3, .npages = 1,
					 .rpn = 50 + round };

		sqe.addr = rig_page(rig);
		pair_put(&rig->q[1], &sqe);
		pair_ring(&rig->q[1]);
		abort.target_cid = 3;
		abort.cid = (uint16_t)round;
		pair_put(&rig->aq, &abort);
		pair_ring(&rig->aq);
		rmnic_dev_poll(rig->dev);
		assert_true(pair_reap(&rig->aq, &cqe));
		assert_cqe(cqe, RMNIC_SC_OK, 1, NONE);
		while (pair_reap(&rig->q[1], &cqe)) {
			assert_int_equal(cqe.cid, 3);
			assert_cqe(cqe, RMNIC_SC_ABORTED, 0, 0);
			aborted++;
		}
		assert_int_equal(aborted, round + 1);
	}
	die_and_succeed(rig);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 8);
	for (unsigned int i = 0; i < 8; i++)
		assert_int_equal(rig->slow.ops[i]->rpn, i);
	slow_answer_all(&rig->slow);
	assert_int_equal(reap_all(rig, &rig->q[1], RMNIC_SC_OK), 8);
}

/* Paused, what was fetched goes on, whoever fetched it; what was not is left alone (DMA-3). */
RIG_TEST(rmnic_dev_take_over__then_paused, .recorded = true, .slow = true)
{
	fetch_all(rig, 6);
	die_and_succeed(rig);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rmnic_dev_pause(rig->dev);
	submit(rig, 2);
	assert_false(rmnic_dev_quiet(rig->dev));
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 6);
	slow_answer_all(&rig->slow);
	assert_true(rmnic_dev_quiet(rig->dev));
	assert_int_equal(reap_all(rig, &rig->q[1], RMNIC_SC_OK), 6);
}

/* --- Ends ---------------------------------------------------------------------------------------- */

/* Another enabling has nothing of the last one: its indexes, commands, half-written pages. */
RIG_TEST(rmnic_dev_enable_recorded__another_generation, .recorded = true, .slow = true)
{
	fetch_all(rig, 6);
	die_and_succeed(rig);
	rig->generation++;
	pair_init(&rig->aq, &rig->host, 0, 16);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	assert_int_equal(rig->block.hdr->generation, rig->generation);
	assert_int_equal(rig->slow.settled, 1);
	assert_int_equal(rig->slow.settled_rpn, 0);
	assert_int_equal(rig->slow.settled_pages, rig->config.max_capacity);
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 0);
	assert_int_equal(ROW(rig, 1)->active, 0);
	/* A pair of the same number has an empty flight table. */
	rig_create(rig, 1, RMNIC_CLASS_PAGE_OUT, 16, 1);
	die_and_succeed(rig);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 0);
	assert_int_equal(reap_all(rig, &rig->q[1], RMNIC_SC_OK), 0);
}

/* An enabling without a number could not be told from none. */
RIG_TEST(rmnic_dev_enable_recorded__no_generation, .recorded = true)
{
	rmnic_dev_disable(rig->dev);
	rig->generation = 0;
	assert_int_equal(rig_enable(rig), RMNIC_ERR_INTERNAL);
	assert_non_null(rmnic_dev_why(rig->dev));
	assert_int_equal(rmnic_dev_enable(rig->dev, 0, 16, rig->aq.sq, rig->aq.cq, rig->aq.rec),
			 RMNIC_ERR_INTERNAL);
}

/* What the guest asks for is wrong: that is no fault of the block's, and nothing is recorded. */
RIG_TEST(rmnic_dev_enable_recorded__bad_admin_queue, .recorded = true)
{
	rmnic_dev_disable(rig->dev);
	rig->generation++;
	rig->aq.cq = FAKE_HOLE;
	assert_int_equal(rig_enable(rig), RMNIC_ERR_AQ_ADDRESS);
	assert_null(rmnic_dev_why(rig->dev));
	assert_int_equal(rig->block.hdr->generation, 0);
	assert_int_equal(rig->host.mapped, 0);
}

RIG_TEST(rmnic_dev_suspend__goes_on, .recorded = true, .slow = true)
{
	fetch_all(rig, 5);
	rmnic_dev_suspend(rig->dev);
	assert_int_equal(rig->host.mapped, 0);
	assert_int_equal(rig->slow.cancelled, 5);
	assert_false(rmnic_dev_poll(rig->dev));
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_poll(rig);
	slow_answer_all(&rig->slow);
	assert_int_equal(reap_all(rig, &rig->q[1], RMNIC_SC_OK), 5);
	assert_int_equal(rig->slow.settled, 0);
	/* Enabled twice: as if it had been suspended in between. */
	fetch_all(rig, 5);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 5);
	slow_answer_all(&rig->slow);
	assert_int_equal(reap_all(rig, &rig->q[1], RMNIC_SC_OK), 5);
}

/* A reset drops all, also that of a device which was suspended, or never enabled in this life. */
RIG_TEST(rmnic_dev_disable__drops_what_is_recorded, .recorded = true, .slow = true)
{
	fetch_all(rig, 5);
	rmnic_dev_suspend(rig->dev);
	rmnic_dev_disable(rig->dev);
	assert_int_equal(rig->block.hdr->generation, 0);
	for (unsigned int i = 0; i <= RIG_QPS; i++)
		assert_int_equal(ROW(rig, i)->active, 0);
	rig->generation++;
	pair_init(&rig->aq, &rig->host, 0, 16);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 0);
	rig_create(rig, 1, RMNIC_CLASS_PAGE_OUT, 16, 1);
	fetch_all(rig, 2);
	die_and_succeed(rig);
	rmnic_dev_disable(rig->dev);
	assert_int_equal(rig->block.hdr->generation, 0);
	assert_int_equal(rig->slow.settled, 1);
}

/* Death after FATAL, before anybody was told: the successor finds what its predecessor found. */
RIG_TEST(rmnic_dev_fail__found_again, .recorded = true)
{
	pair_rec(&rig->q[1])->sq_tail = 400;
	rig_poll(rig);
	assert_int_equal(rig->host.fatals, 1);
	assert_int_equal(rig->host.mapped, 0);
	die_and_succeed(rig);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_poll(rig);
	assert_int_equal(rig->host.fatals, 2);
	assert_int_equal(rig->host.fatal_error, RMNIC_ERR_BAD_SQ_TAIL);
}

/* --- Damage ----------------------------------------------------------------------------------------- */

/* Refused with a reason; nothing is mapped, nothing is written, nothing served. */
static void assert_damaged(struct rig *rig, const char *reason)
{
	uint8_t cq[16 * 16];

	memcpy(cq, GUEST(rig->q[1].cq), sizeof(cq));
	assert_int_equal(rig_enable(rig), RMNIC_ERR_INTERNAL);
	assert_non_null(rmnic_dev_why(rig->dev));
	if (!strstr(rmnic_dev_why(rig->dev), reason))
		fail_msg("'%s' is not about '%s'", rmnic_dev_why(rig->dev), reason);
	assert_int_equal(rig->host.mapped, 0);
	assert_memory_equal(cq, GUEST(rig->q[1].cq), sizeof(cq));
	assert_false(rmnic_dev_poll(rig->dev));
	assert_int_equal(rig->slow.pending, 0);
}

#define DAMAGE(what, value, reason)         \
	do {                                \
		__typeof__(what) was = what; \
		what = value;               \
		assert_damaged(rig, reason); \
		what = was;                 \
	} while (0)

/* STATE-1, STATE-12: each field of a row. */
RIG_TEST(rmnic_dev_take_over__damaged_row, .recorded = true, .slow = true)
{
	struct rmnic_state_queue *aq = ROW(rig, 0), *row = ROW(rig, 1);

	fetch_all(rig, 3);
	die_and_succeed(rig);
	DAMAGE(rig->block.hdr->drv_features, 0, "other features");
	DAMAGE(aq->active, 0, "another admin queue");
	DAMAGE(aq->depth, 8, "another admin queue");
	DAMAGE(aq->sq_addr, aq->sq_addr + 4096, "another admin queue");
	DAMAGE(aq->cq_addr, aq->cq_addr + 4096, "another admin queue");
	DAMAGE(aq->rec_addr, aq->rec_addr + 4096, "another admin queue");
	DAMAGE(aq->vector, 1, "admin queue with a class");
	DAMAGE(aq->qclass, 1, "admin queue with a class");
	DAMAGE(row->active, 2, "neither there nor not");
	DAMAGE(row->depth, 0, "impossible depth");
	DAMAGE(row->depth, 12, "impossible depth");
	DAMAGE(row->depth, 128, "impossible depth");
	DAMAGE(row->sq_addr, row->sq_addr + 64, "guest's memory");
	DAMAGE(row->sq_addr, FAKE_HOLE, "guest's memory");
	DAMAGE(row->cq_addr, FAKE_HOLE, "guest's memory");
	DAMAGE(row->cq_addr, 0xfffffffffffff000ull, "guest's memory");
	DAMAGE(row->rec_addr, 12, "guest's memory");
	DAMAGE(row->vector, 9, "vector");
	DAMAGE(row->qclass, 2, "unknown class");
	DAMAGE(row->refusing, 2, "reserved");
	DAMAGE(row->rsvd[7], 1, "reserved");
	DAMAGE(row->refusing, 1, "refusal"); /* of an SQE that was not the last */
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
}

/* STATE-1: each field of an entry. */
RIG_TEST(rmnic_dev_take_over__damaged_flight, .recorded = true, .slow = true)
{
	struct rmnic_state_flight *f = FLIGHT(rig, 1, 15), *last = FLIGHT(rig, 1, 13);

	fetch_all(rig, 3);
	die_and_succeed(rig);
	DAMAGE(f->state, 3, "unknown state");
	DAMAGE(f->state, RMNIC_STATE_FLIGHT_COMPLETING, "another place in the ring");
	DAMAGE(f->submission, ~0ull, "not counted");
	DAMAGE(f->sq_index, 4, "not fetched");
	DAMAGE(f->sqe.cid, 3, "another's place");
	f->state = RMNIC_STATE_FLIGHT_COMPLETING;
	f->cqe = (struct rmnic_cqe){ .cid = 15, .phase = 1u << 16 | 1 };
	DAMAGE(f->cqe.phase, 1u << 16, "another place in the ring");
	DAMAGE(f->cqe.phase, 2u << 16 | 1, "another place in the ring");
	DAMAGE(f->cq_index, 1, "not the last one");
	DAMAGE(f->cq_index, ~1u, "not the last one");
	DAMAGE(f->sq_index, ROW(rig, 1)->sq_head, "was not fetched");
	*last = *f;
	last->sqe.cid = 13;
	DAMAGE(last->sq_index, 1, "several commands in flight");
	last->state = RMNIC_STATE_FLIGHT_FETCHED;
	f->state = RMNIC_STATE_FLIGHT_FETCHED;
	last->sq_index = f->sq_index = ROW(rig, 1)->sq_head;
	assert_damaged(rig, "several commands in flight");
	f->sq_index = 0;
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
}

/* A block of another device, or of another shape, is not this device's. */
RIG_TEST(rmnic_dev_create__block_of_another_shape, .recorded = true)
{
	struct rmnic_dev_config c = rig->config;
	struct rmnic_state_block b = rig->block;

	c.block = &b;
#define OTHER(field, value)                       \
	do {                                      \
		b = rig->block;                   \
		b.field = value;                  \
		assert_null(rmnic_dev_create(&c)); \
	} while (0)
	OTHER(nqueues, RIG_QPS);
	OTHER(depth, 128);
	OTHER(npages, 64);
	OTHER(slab_pages, 128);
#undef OTHER
	b = rig->block;
	c.uuid[0]++;
	assert_null(rmnic_dev_create(&c));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_dev_take_over__in_order),
		cmocka_unit_test(rmnic_dev_take_over__wakes_everybody),
		cmocka_unit_test(rmnic_dev_take_over__the_ring_has_changed),
		cmocka_unit_test(rmnic_dev_take_over__the_tail_has_changed),
		cmocka_unit_test(rmnic_dev_take_over__refused_now),
		cmocka_unit_test(rmnic_dev_take_over__out_of_range_now),
		cmocka_unit_test(rmnic_dev_take_over__abort_of_a_queued_one),
		cmocka_unit_test(rmnic_qp_pull__the_same_cid_twice),
		cmocka_unit_test(rmnic_dev_take_over__then_paused),
		cmocka_unit_test(rmnic_dev_enable_recorded__another_generation),
		cmocka_unit_test(rmnic_dev_enable_recorded__no_generation),
		cmocka_unit_test(rmnic_dev_enable_recorded__bad_admin_queue),
		cmocka_unit_test(rmnic_dev_suspend__goes_on),
		cmocka_unit_test(rmnic_dev_disable__drops_what_is_recorded),
		cmocka_unit_test(rmnic_dev_fail__found_again),
		cmocka_unit_test(rmnic_dev_take_over__damaged_row),
		cmocka_unit_test(rmnic_dev_take_over__damaged_flight),
		cmocka_unit_test(rmnic_dev_create__block_of_another_shape),
	};

	return cmocka_run_group_tests_name("takeover", tests, NULL, NULL);
}
