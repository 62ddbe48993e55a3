/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#define OUT RMNIC_OP_PAGE_OUT
#define IN  RMNIC_OP_PAGE_IN

static void write_page(struct rig *rig, uint64_t rpn, uint32_t generation)
{
	uint64_t page = FAKE_BASE + 254 * 4096;

	page_fill(GUEST(page), rpn, generation);
	assert_cqe(rig_cmd(rig, OUT, rpn, 1, page), RMNIC_SC_OK, 1, NONE);
}

static bool holds(struct rig *rig, uint64_t rpn, uint32_t generation)
{
	uint64_t page = FAKE_BASE + 254 * 4096;

	memset(GUEST(page), 0xcc, 4096);
	assert_cqe(rig_cmd(rig, IN, rpn, 1, page), RMNIC_SC_OK, 1, NONE);
	return generation ? page_is(GUEST(page), rpn, generation) : page_is_byte(GUEST(page), 0);
}

/* Submits on pair qid without waiting. */
static void submit(struct rig *rig, uint16_t qid, uint16_t cid, uint8_t opcode, uint64_t rpn,
		   uint32_t npages, uint64_t addr)
{
	struct rmnic_sqe sqe = rig_sqe(rig, opcode, rpn, npages, addr);

	sqe.cid = cid;
	pair_put(&rig->q[qid], &sqe);
	pair_ring(&rig->q[qid]);
}

static struct rmnic_cqe reap(struct rig *rig, uint16_t qid)
{
	struct rmnic_cqe cqe;

	if (!pair_reap(&rig->q[qid], &cqe))
		fail_msg("no completion on pair %u", qid);
	return cqe;
}

static void none(struct rig *rig, uint16_t qid)
{
	struct rmnic_cqe cqe;

	assert_false(pair_peek(&rig->q[qid], &cqe));
}

/* --- Each command ---------------------------------------------------------------------------- */

/* CMD-5, CMD-6 */
RIG_TEST(command__page_out_and_in)
{
	assert_true(holds(rig, 9, 0));
	write_page(rig, 9, 1);
	assert_true(holds(rig, 9, 1));
	write_page(rig, 9, 2);
	assert_true(holds(rig, 9, 2));
	assert_int_equal(rmnic_dev_counters(rig->dev)->page_out_cmds, 2);
	assert_int_equal(rmnic_dev_counters(rig->dev)->page_in_cmds, 3);
	assert_int_equal(rmnic_dev_counters(rig->dev)->pages_out, 2);
	assert_int_equal(rmnic_dev_counters(rig->dev)->pages_in, 3);
}

/* A 2 MiB folio is one command, by a list of 512 pages. */
RIG_TEST(command__512_pages)
{
	uint64_t list = rig_page(rig), pages = rig_pages(rig, 64);
	uint64_t *entries = GUEST(list);
	struct rmnic_sqe sqe;

	for (uint32_t i = 0; i < 64; i++)
		page_fill(GUEST(pages + i * 4096), i, 3);
	for (uint32_t i = 0; i < 512; i++)
		entries[i] = pages + i % 64 * 4096;
	sqe = rig_sqe(rig, OUT, 100, 512, list);
	sqe.flags = RMNIC_SQE_F_LIST;
	assert_cqe(rig_io(rig, 1, &sqe), RMNIC_SC_OK, 512, NONE);
	memset(GUEST(pages), 0, 64 * 4096);
	sqe.opcode = IN;
	assert_cqe(rig_io(rig, 2, &sqe), RMNIC_SC_OK, 512, NONE);
	for (uint32_t i = 0; i < 64; i++)
		assert_true(page_is(GUEST(pages + i * 4096), i, 3));
	assert_cqe(rig_cmd(rig, IN, 100 + 77, 1, pages), RMNIC_SC_OK, 1, NONE);
	assert_true(page_is(GUEST(pages), 77 % 64, 3));
}

/* A run of pages crosses slabs as it likes. */
RIG_TEST(command__run_across_slabs)
{
	uint64_t pages = rig_pages(rig, 130);

	for (uint32_t i = 0; i < 130; i++)
		page_fill(GUEST(pages + i * 4096), i, 1);
	assert_cqe(rig_cmd(rig, OUT, 60, 130, pages), RMNIC_SC_OK, 130, NONE);
	memset(GUEST(pages), 0, 130 * 4096);
	assert_cqe(rig_cmd(rig, IN, 60, 130, pages), RMNIC_SC_OK, 130, NONE);
	for (uint32_t i = 0; i < 130; i++)
		assert_true(page_is(GUEST(pages + i * 4096), i, 1));
}

/* CMD-5, CMD-15 */
RIG_TEST(command__free)
{
	for (uint64_t rpn = 0; rpn < 6; rpn++)
		write_page(rig, rpn, 1);
	assert_cqe(rig_cmd(rig, RMNIC_OP_FREE, 1, 3, 0), RMNIC_SC_OK, 3, NONE);
	for (uint64_t rpn = 0; rpn < 6; rpn++)
		assert_true(holds(rig, rpn, rpn >= 1 && rpn < 4 ? 0 : 1));
	assert_int_equal(rig->discarded, 3 * 4096);
	assert_int_equal(rmnic_dev_counters(rig->dev)->pages_freed, 3);
	assert_int_equal(rmnic_dev_hist(rig->dev, RMNIC_STAGE_FREE_TOTAL)->count, 1);
}

/* CMD-15: ranges that touch and overlap, in any order; done counts ranges. */
RIG_TEST(command__free_list)
{
	uint64_t list = rig_page(rig);
	struct rmnic_range *ranges = GUEST(list);
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_FREE, 0, 4, list + 64);

	for (uint64_t rpn = 0; rpn < 12; rpn++)
		write_page(rig, rpn, 1);
	ranges += 4;
	ranges[0] = (struct rmnic_range){ .rpn = 8, .npages = 2 };
	ranges[1] = (struct rmnic_range){ .rpn = 1, .npages = 3 };
	ranges[2] = (struct rmnic_range){ .rpn = 3, .npages = 2 };
	ranges[3] = (struct rmnic_range){ .rpn = 500, .npages = 524 };
	sqe.flags = RMNIC_SQE_F_LIST;
	assert_cqe(rig_io(rig, 1, &sqe), RMNIC_SC_OK, 4, NONE);
	for (uint64_t rpn = 0; rpn < 12; rpn++)
		assert_true(holds(rig, rpn,
				  (rpn >= 1 && rpn <= 4) || rpn == 8 || rpn == 9 ? 0 : 1));
}

/* Larger than a step, alone and in a list: all of it is done. */
RIG_TEST(command__free_in_steps, .capacity = 4096)
{
	uint64_t list = rig_page(rig);
	struct rmnic_range *ranges = GUEST(list);
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_FREE, 0, 2, list);

	for (uint64_t rpn = 0; rpn < 4096; rpn += 97)
		write_page(rig, rpn, 1);
	assert_cqe(rig_cmd(rig, RMNIC_OP_FREE, 0, 4095, 0), RMNIC_SC_OK, 4095, NONE);
	for (uint64_t rpn = 0; rpn < 4096; rpn += 97)
		assert_true(holds(rig, rpn, 0));
	for (uint64_t rpn = 0; rpn < 4096; rpn += 97)
		write_page(rig, rpn, 2);
	ranges[0] = (struct rmnic_range){ .rpn = 0, .npages = 3000 };
	ranges[1] = (struct rmnic_range){ .rpn = 3000, .npages = 1096 };
	sqe.flags = RMNIC_SQE_F_LIST;
	assert_cqe(rig_io(rig, 1, &sqe), RMNIC_SC_OK, 2, NONE);
	for (uint64_t rpn = 0; rpn < 4096; rpn += 97)
		assert_true(holds(rig, rpn, 0));
}

/* CMD-5 */
RIG_TEST(command__zero)
{
	write_page(rig, 5, 1);
	assert_cqe(rig_cmd(rig, RMNIC_OP_ZERO, 4, 1020, 0), RMNIC_SC_OK, 1020, NONE);
	assert_true(holds(rig, 5, 0));
	assert_int_equal(rmnic_dev_counters(rig->dev)->pages_zeroed, 1020);
}

/* CMD-14 */
RIG_TEST(command__flush, .slow = true)
{
	assert_cqe(rig_cmd(rig, RMNIC_OP_FLUSH, 0, 0, 0), RMNIC_SC_OK, 0, NONE);
	assert_int_equal(rig->slow.flushed, 1);
	rig->slow.flush_status = RMNIC_SC_UNREACHABLE;
	assert_cqe(rig_cmd(rig, RMNIC_OP_FLUSH, 0, 0, 0), RMNIC_SC_UNREACHABLE, 0, NONE);
}

RIG_TEST(command__free_that_fails, .slow = true)
{
	uint64_t list = rig_page(rig);
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_FREE, 0, 1, list);

	rig->slow.free_status = RMNIC_SC_UNREACHABLE;
	assert_cqe(rig_cmd(rig, RMNIC_OP_FREE, 0, 5, 0), RMNIC_SC_UNREACHABLE, 0, 0);
	*(struct rmnic_range *)GUEST(list) = (struct rmnic_range){ .rpn = 8, .npages = 2 };
	sqe.flags = RMNIC_SQE_F_LIST;
	assert_cqe(rig_io(rig, 1, &sqe), RMNIC_SC_UNREACHABLE, 0, 0);
}

/* --- Completions ---------------------------------------------------------------------------------- */

/* CMD-2: each command once, whatever the mixture. */
RIG_TEST(command__each_completed_exactly_once)
{
	uint64_t page = rig_page(rig);
	unsigned int seen = 0, n = 0;
	struct rmnic_cqe cqe;

	for (uint16_t i = 0; i < 16; i++) {
		static const uint8_t ops[] = { OUT, RMNIC_OP_ZERO, RMNIC_OP_FREE, OUT };
		uint8_t op = ops[i % 4];

		submit(rig, 1, i, op, i == 7 ? 5000 : i, 1, op == OUT ? page : 0);
	}
	rig_poll(rig);
	while (pair_reap(&rig->q[1], &cqe)) {
		assert_false(seen & 1u << cqe.cid);
		seen |= 1u << cqe.cid;
		assert_int_equal(cqe.status, cqe.cid == 7 ? RMNIC_SC_RPN_RANGE : RMNIC_SC_OK);
		n++;
	}
	assert_int_equal(n, 16);
	assert_int_equal(rig->host.fetched, rig->host.completed);
}

/* CMD-3: answers out of order; the first index that failed gives the status. */
RIG_TEST(command__answers_out_of_order, .slow = true)
{
	struct rmnic_cqe cqe;

	submit(rig, 2, 1, IN, 0, 6, rig_pages(rig, 6));
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 6);
	slow_answer(&rig->slow, 5, RMNIC_SC_OK);
	slow_answer(&rig->slow, 4, RMNIC_SC_LOST);
	slow_answer(&rig->slow, 0, RMNIC_SC_OK);
	slow_answer(&rig->slow, 1, RMNIC_SC_UNREACHABLE); /* page 2 */
	none(rig, 2);
	slow_answer(&rig->slow, 1, RMNIC_SC_CORRUPT); /* page 3 */
	none(rig, 2);
	slow_answer(&rig->slow, 0, RMNIC_SC_OK);
	cqe = reap(rig, 2);
	assert_cqe(cqe, RMNIC_SC_UNREACHABLE, 3, 2);
	assert_int_equal(cqe.cid, 1);
	none(rig, 2);
}

/* CMD-1: a later command may overtake; each has its own state. */
RIG_TEST(command__overtaking, .slow = true)
{
	uint64_t page = rig_page(rig);

	submit(rig, 2, 1, IN, 1, 1, page);
	submit(rig, 2, 2, IN, 2, 1, page);
	rig_poll(rig);
	assert_false(rmnic_dev_quiet(rig->dev));
	slow_answer(&rig->slow, 1, RMNIC_SC_OK);
	assert_int_equal(reap(rig, 2).cid, 2);
	assert_int_equal(rig->host.irqs[2], 1); /* armed at 0, raised without a poll */
	slow_answer(&rig->slow, 0, RMNIC_SC_CORRUPT);
	assert_int_equal(reap(rig, 2).status, RMNIC_SC_CORRUPT);
	assert_true(rmnic_dev_quiet(rig->dev));
	assert_int_equal(rmnic_dev_counters(rig->dev)->status_data, 1);
}

/* CMD-2: an answer for a command of which some pages are not even started. */
RIG_TEST(command__failure_stops_the_rest, .slow = true)
{
	uint64_t list = rig_page(rig), page = rig_page(rig);
	uint64_t *entries = GUEST(list);
	struct rmnic_sqe sqe = rig_sqe(rig, IN, 0, 512, list);
	struct rmnic_cqe cqe;

	for (int i = 0; i < 512; i++)
		entries[i] = page;
	sqe.flags = RMNIC_SQE_F_LIST;
	pair_put(&rig->q[2], &sqe);
	pair_ring(&rig->q[2]);
	rmnic_dev_poll(rig->dev);
	assert_in_range(rig->slow.pending, 1, 511);
	slow_answer(&rig->slow, 0, RMNIC_SC_LOST);
	rig_poll(rig);
	slow_answer_all(&rig->slow);
	assert_true(pair_reap(&rig->q[2], &cqe));
	assert_int_equal(cqe.status, RMNIC_SC_LOST);
	assert_int_equal(cqe.failed, 0);
	assert_in_range(cqe.done, 0, 511);
}

/* --- ABORT in each state (CMD-16) --------------------------------------------------------------------- */

static struct rmnic_cqe abort_cmd(struct rig *rig, uint16_t qid, uint16_t cid)
{
	struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_ABORT, .qid = qid, .target_cid = cid };

	return rig_admin(rig, &sqe);
}

/* CMD-16 */
RIG_TEST(rmnic_cmd_abort__idle)
{
	assert_cqe(abort_cmd(rig, 2, 3), RMNIC_SC_OK, 0, NONE);
	assert_true(holds(rig, 0, 0));
	for (uint16_t cid = 0; cid < 16; cid++)
		assert_cqe(abort_cmd(rig, 2, cid), RMNIC_SC_OK, 0, NONE);
	none(rig, 2);
}

/* CMD-16: no DMA of it will happen, and what the store would answer is forgotten. */
RIG_TEST(rmnic_cmd_abort__waiting, .slow = true)
{
	uint64_t pages = rig_pages(rig, 4);

	submit(rig, 2, 3, IN, 0, 4, pages);
	submit(rig, 2, 4, IN, 8, 1, pages);
	rig_poll(rig);
	slow_answer(&rig->slow, 1, RMNIC_SC_OK);
	assert_int_equal(rig->host.mapped, 9 + 4);
	assert_cqe(abort_cmd(rig, 2, 3), RMNIC_SC_OK, 1, NONE);
	assert_int_equal(rig->slow.cancelled, 3);
	assert_int_equal(rig->host.mapped, 9 + 1);
	assert_cqe(reap(rig, 2), RMNIC_SC_ABORTED, 1, 0);
	/* The other command is unharmed. */
	slow_answer(&rig->slow, 0, RMNIC_SC_OK);
	assert_cqe(reap(rig, 2), RMNIC_SC_OK, 1, NONE);
	assert_int_equal(rmnic_dev_counters(rig->dev)->aborted, 1);
}

/* CMD-16: half of its pages started, the store's answers outstanding. */
RIG_TEST(rmnic_cmd_abort__starting, .slow = true)
{
	uint64_t list = rig_page(rig), page = rig_page(rig);
	uint64_t *entries = GUEST(list);

	for (int i = 0; i < 512; i++)
		entries[i] = page;
	/* Two of them use up the 512 page operations: the second stays half started. */
	for (uint16_t cid = 0; cid < 2; cid++) {
		struct rmnic_sqe sqe = rig_sqe(rig, OUT, 0, 400, list);

		sqe.flags = RMNIC_SQE_F_LIST;
		sqe.cid = cid;
		pair_put(&rig->q[1], &sqe);
	}
	pair_ring(&rig->q[1]);
	rig_poll(rig);
	assert_int_equal(rig->slow.pending, 512);
	assert_int_equal(rig->host.mapped, 9 + 512);
	assert_false(rmnic_dev_has_work(rig->dev)); /* nothing to do before the store answers */
	assert_cqe(abort_cmd(rig, 1, 1), RMNIC_SC_OK, 1, NONE);
	assert_int_equal(rig->slow.pending, 400);
	assert_cqe(reap(rig, 1), RMNIC_SC_ABORTED, 0, 0);
	assert_cqe(abort_cmd(rig, 1, 0), RMNIC_SC_OK, 1, NONE);
	assert_cqe(reap(rig, 1), RMNIC_SC_ABORTED, 0, 0);
	assert_int_equal(rig->slow.pending, 0);
	assert_int_equal(rig->host.mapped, 9);
	assert_true(rmnic_dev_quiet(rig->dev));
}

/* CMD-16 */
RIG_TEST(rmnic_cmd_abort__delayed)
{
	struct rmnic_cqe cqe;
	uint64_t page = rig_page(rig);

	rig->fault->delay_us = 1000;
	for (uint16_t cid = 0; cid < 3; cid++)
		submit(rig, 2, cid, IN, 0, 1, page);
	rig_poll(rig);
	none(rig, 2);
	assert_cqe(abort_cmd(rig, 2, 2), RMNIC_SC_OK, 1, NONE);
	assert_cqe(abort_cmd(rig, 2, 0), RMNIC_SC_OK, 1, NONE);
	cqe = reap(rig, 2);
	assert_int_equal(cqe.cid, 2);
	assert_cqe(cqe, RMNIC_SC_ABORTED, 0, 0);
	assert_int_equal(reap(rig, 2).cid, 0);
	none(rig, 2);
	/* The list of the delayed ones is whole. */
	submit(rig, 2, 2, IN, 0, 1, page);
	rig_poll(rig);
	rig->host.now += 2000000;
	rig_poll(rig);
	assert_int_equal(reap(rig, 2).cid, 1);
	assert_int_equal(reap(rig, 2).cid, 2);
	none(rig, 2);
	assert_true(rmnic_dev_deadline(rig->dev) == UINT64_MAX);
}

/* --- The turn of a pair ---------------------------------------------------------------------------------- */

/* RING-14: what a page-in arriving in the middle of a burst of page-outs waits for. */
static struct late {
	struct rig *rig;
	uint64_t page;
	unsigned int outs, at_submit, at_done;
	bool submitted, done;
} late;

static void late_page_in(struct fake *fake, enum fake_point point, const struct rmnic_mapping *m,
			 uint32_t offset)
{
	struct rmnic_cqe cqe;

	(void)fake;
	(void)offset;
	if (point != FAKE_MAP || m->len != 4096)
		return;
	if (!m->write)
		late.outs++;
	if (late.outs == 21 && !late.submitted) {
		submit(late.rig, 2, 0, IN, 900, 1, late.page);
		late.submitted = true;
		late.at_submit = late.outs;
	}
	if (late.submitted && !late.done && pair_peek(&late.rig->q[2], &cqe)) {
		late.done = true;
		late.at_done = late.outs;
	}
}

/* RING-14 */
RIG_TEST(rmnic_qp_serve__page_in_overtakes_page_outs)
{
	late = (struct late){ .rig = rig, .page = rig_page(rig) };
	for (uint16_t cid = 0; cid < 16; cid++)
		submit(rig, 1, cid, OUT, cid * 8u, 8, FAKE_BASE + 240 * 4096);
	rig->host.hook = late_page_in;
	rig_poll(rig);
	assert_true(late.done);
	/* Sixteen pages a turn at most. */
	assert_in_range(late.at_done - late.at_submit, 0, 16);
	assert_int_equal(late.outs, 128);
}

/* RING-14: one 2 MiB page-out is no reason either. */
RIG_TEST(rmnic_qp_serve__page_in_overtakes_a_large_page_out)
{
	uint64_t list = rig_page(rig), page = rig_page(rig);
	uint64_t *entries = GUEST(list);
	struct rmnic_sqe sqe = rig_sqe(rig, OUT, 0, 512, list);

	for (int i = 0; i < 512; i++)
		entries[i] = page;
	sqe.flags = RMNIC_SQE_F_LIST;
	late = (struct late){ .rig = rig, .page = rig_page(rig) };
	pair_put(&rig->q[1], &sqe);
	pair_ring(&rig->q[1]);
	rig->host.hook = late_page_in;
	rig_poll(rig);
	assert_in_range(late.at_done - late.at_submit, 0, 16);
	assert_int_equal(reap(rig, 1).done, 512);
}

/* RING-14: nor are several pairs that all page out. */
RIG_TEST(rmnic_qp_serve__page_in_overtakes_several_pairs)
{
	uint64_t pages = rig_pages(rig, 8);

	late = (struct late){ .rig = rig, .page = rig_page(rig) };
	for (uint16_t qid = 3; qid <= 6; qid++)
		rig_create(rig, qid, RMNIC_CLASS_PAGE_OUT, 16, qid);
	for (uint16_t qid = 3; qid <= 6; qid++)
		for (uint16_t cid = 0; cid < 16; cid++)
			submit(rig, qid, cid, OUT, cid * 8u, 8, pages);
	rig->host.hook = late_page_in;
	rig_poll(rig);
	assert_true(late.done);
	assert_in_range(late.at_done - late.at_submit, 0, 16);
	assert_int_equal(late.outs, 4 * 128);
}

/* A round is bounded, and every pair gets its turn. */
RIG_TEST(rmnic_qp_serve__pairs_take_turns)
{
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;

	rig_create(rig, 3, RMNIC_CLASS_PAGE_OUT, 16, 3);
	for (uint16_t cid = 0; cid < 16; cid++) {
		submit(rig, 1, cid, OUT, cid, 1, page);
		submit(rig, 3, cid, OUT, cid + 50, 1, page);
	}
	assert_true(rmnic_dev_poll(rig->dev));
	for (uint16_t qid = 1; qid <= 3; qid += 2)
		for (int i = 0; i < 4; i++)
			assert_true(pair_reap(&rig->q[qid], &cqe));
	none(rig, 1);
	none(rig, 3);
	rig_poll(rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(command__page_out_and_in),
		cmocka_unit_test(command__512_pages),
		cmocka_unit_test(command__run_across_slabs),
		cmocka_unit_test(command__free),
		cmocka_unit_test(command__free_list),
		cmocka_unit_test(command__free_in_steps),
		cmocka_unit_test(command__zero),
		cmocka_unit_test(command__flush),
		cmocka_unit_test(command__free_that_fails),
		cmocka_unit_test(command__each_completed_exactly_once),
		cmocka_unit_test(command__answers_out_of_order),
		cmocka_unit_test(command__overtaking),
		cmocka_unit_test(command__failure_stops_the_rest),
		cmocka_unit_test(rmnic_cmd_abort__idle),
		cmocka_unit_test(rmnic_cmd_abort__waiting),
		cmocka_unit_test(rmnic_cmd_abort__starting),
		cmocka_unit_test(rmnic_cmd_abort__delayed),
		cmocka_unit_test(rmnic_qp_serve__page_in_overtakes_page_outs),
		cmocka_unit_test(rmnic_qp_serve__page_in_overtakes_a_large_page_out),
		cmocka_unit_test(rmnic_qp_serve__page_in_overtakes_several_pairs),
		cmocka_unit_test(rmnic_qp_serve__pairs_take_turns),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
