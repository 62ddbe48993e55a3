/* SPDX-License-Identifier: BSD-3-Clause */
/* The ladder: each rung with its status and its counter, and nothing changed behind it. */
#include "rig.h"

#define OUT RMNIC_OP_PAGE_OUT
#define IN  RMNIC_OP_PAGE_IN

/* CMD-4: refused, counted once, nothing fetched into the in-flight table or the store. */
static void refused(struct rig *rig, uint16_t qid, const struct rmnic_sqe *sqe, uint16_t status,
		    enum rmnic_refusal why)
{
	uint64_t dirty = rig->meta_dirty;
	unsigned int before = rig->host.refused[why], total = rig->host.refused_total;

	assert_cqe(rig_io(rig, qid, sqe), status, 0, NONE);
	assert_int_equal(rig->host.refused[why], before + 1);
	assert_int_equal(rig->host.refused_total, total + 1);
	assert_int_equal(rmnic_dev_counters(rig->dev)->refused[why], before + 1);
	assert_int_equal(rig->meta_dirty, dirty);
	assert_int_equal(rig->host.mapped, 9); /* three pairs, no page */
}

/* Expects name on pair qid for a good command with one thing changed. */
#define REFUSED(qid, op, status, why, ...)                                             \
	do {                                                                           \
		struct rmnic_sqe sqe = rig_sqe(rig, op, 1, 1, page);                   \
		if ((op) == RMNIC_OP_FREE || (op) == RMNIC_OP_ZERO)                    \
			sqe.addr = 0;                                                  \
		if ((op) == RMNIC_OP_FLUSH)                                            \
			sqe.addr = sqe.rpn = sqe.npages = 0;                           \
		__VA_ARGS__;                                                           \
		refused(rig, qid, &sqe, RMNIC_SC_##status, RMNIC_REFUSAL_##why);       \
	} while (0)

RIG_TEST(rmnic_cmd_check__opcode)
{
	uint64_t page = rig_page(rig);

	for (unsigned int op = 0; op < 256; op++) {
		if (op >= RMNIC_OP_PAGE_OUT && op <= RMNIC_OP_FLUSH)
			continue;
		REFUSED(1, (uint8_t)op, INVALID_OPCODE, INVALID_OPCODE, (void)0);
	}
}

/* CMD-9 */
RIG_TEST(rmnic_cmd_check__reserved_fields)
{
	uint64_t page = rig_page(rig);

	for (int i = 0; i < 5; i++)
		for (int bit = 0; bit < 64; bit += 21)
			REFUSED(2, IN, INVALID_FIELD, RESERVED_FIELD, sqe.rsvd[i] = 1ull << bit);
	for (int bit = 1; bit < 8; bit++)
		REFUSED(1, OUT, INVALID_FIELD, RESERVED_FIELD, sqe.flags = (uint8_t)(1 << bit));
	REFUSED(1, RMNIC_OP_ZERO, INVALID_FIELD, RESERVED_FIELD, sqe.flags = RMNIC_SQE_F_LIST);
	REFUSED(1, RMNIC_OP_ZERO, INVALID_FIELD, RESERVED_FIELD, sqe.addr = page);
	REFUSED(1, RMNIC_OP_FREE, INVALID_FIELD, RESERVED_FIELD, sqe.addr = page);
	REFUSED(1, RMNIC_OP_FREE, INVALID_FIELD, RESERVED_FIELD, sqe.flags = RMNIC_SQE_F_LIST;
		sqe.addr = page);
	REFUSED(1, RMNIC_OP_FLUSH, INVALID_FIELD, RESERVED_FIELD, sqe.flags = RMNIC_SQE_F_LIST);
	REFUSED(1, RMNIC_OP_FLUSH, INVALID_FIELD, RESERVED_FIELD, sqe.npages = 1);
	REFUSED(1, RMNIC_OP_FLUSH, INVALID_FIELD, RESERVED_FIELD, sqe.rpn = 1);
	REFUSED(1, RMNIC_OP_FLUSH, INVALID_FIELD, RESERVED_FIELD, sqe.addr = 1);
}

/* CMD-12 */
RIG_TEST(rmnic_cmd_check__cid)
{
	uint64_t page = rig_page(rig);

	REFUSED(2, IN, INVALID_CID, BAD_CID, sqe.cid = 16);
	REFUSED(2, IN, INVALID_CID, BAD_CID, sqe.cid = 0xffff);
}

/* CMD-12 */
RIG_TEST(rmnic_cmd_check__cid_in_flight, .slow = true)
{
	struct rmnic_sqe first = rig_sqe(rig, IN, 1, 1, rig_page(rig));
	struct rmnic_cqe cqe;
	struct pair *q = &rig->q[2];

	pair_put(q, &first);
	pair_put(q, &first);
	pair_ring(q);
	rig_poll(rig);
	assert_true(pair_reap(q, &cqe));
	assert_cqe(cqe, RMNIC_SC_INVALID_CID, 0, NONE);
	assert_refused(rig, CID_IN_FLIGHT);
	assert_false(pair_peek(q, &cqe));
	slow_answer(&rig->slow, 0, RMNIC_SC_OK);
	assert_true(pair_reap(q, &cqe));
	assert_cqe(cqe, RMNIC_SC_OK, 1, NONE);
}

/* CMD-13 */
RIG_TEST(rmnic_cmd_check__class)
{
	uint64_t page = rig_page(rig);

	REFUSED(1, IN, WRONG_CLASS, WRONG_CLASS, (void)0);
	REFUSED(2, OUT, WRONG_CLASS, WRONG_CLASS, (void)0);
	REFUSED(2, RMNIC_OP_FREE, WRONG_CLASS, WRONG_CLASS, (void)0);
	REFUSED(2, RMNIC_OP_ZERO, WRONG_CLASS, WRONG_CLASS, (void)0);
	REFUSED(2, RMNIC_OP_FLUSH, WRONG_CLASS, WRONG_CLASS, (void)0);
}

RIG_TEST(rmnic_cmd_check__length)
{
	uint64_t page = rig_page(rig);

	REFUSED(2, IN, INVALID_LENGTH, BAD_LENGTH, sqe.npages = 0);
	REFUSED(2, IN, INVALID_LENGTH, BAD_LENGTH, sqe.npages = 513);
	REFUSED(1, OUT, INVALID_LENGTH, BAD_LENGTH, sqe.npages = UINT32_MAX);
	REFUSED(1, RMNIC_OP_FREE, INVALID_LENGTH, BAD_LENGTH, sqe.npages = 0);
	REFUSED(1, RMNIC_OP_ZERO, INVALID_LENGTH, BAD_LENGTH, sqe.npages = 0);
	REFUSED(1, RMNIC_OP_FREE, INVALID_LENGTH, BAD_LENGTH, sqe.flags = RMNIC_SQE_F_LIST;
		sqe.rpn = 0; sqe.addr = page; sqe.npages = 257);
	REFUSED(1, RMNIC_OP_FREE, INVALID_LENGTH, BAD_LENGTH, sqe.flags = RMNIC_SQE_F_LIST;
		sqe.rpn = 0; sqe.addr = page; sqe.npages = 0);
}

RIG_TEST(rmnic_cmd_check__range)
{
	uint64_t page = rig_page(rig);

	REFUSED(2, IN, RPN_RANGE, RPN_RANGE, sqe.rpn = 1024);
	REFUSED(2, IN, RPN_RANGE, RPN_RANGE, sqe.rpn = 1023; sqe.npages = 2);
	REFUSED(2, IN, RPN_RANGE, RPN_RANGE, sqe.rpn = UINT64_MAX; sqe.npages = 1);
	REFUSED(1, RMNIC_OP_FREE, RPN_RANGE, RPN_RANGE, sqe.rpn = 0; sqe.npages = 1025);
	REFUSED(1, RMNIC_OP_ZERO, RPN_RANGE, RPN_RANGE, sqe.rpn = 0; sqe.npages = UINT32_MAX);
	assert_cqe(rig_cmd(rig, IN, 1023, 1, page), RMNIC_SC_OK, 1, NONE);
}

/* CMD-10, CMD-11 */
RIG_TEST(rmnic_cmd_check__addresses)
{
	uint64_t page = rig_page(rig);

	REFUSED(2, IN, INVALID_ADDRESS, MISALIGNED, sqe.addr = page + 8);
	REFUSED(2, IN, INVALID_ADDRESS, MISALIGNED, sqe.addr = page + 2048);
	REFUSED(2, IN, INVALID_ADDRESS, NOT_RAM, sqe.addr = ~0xfffull);
	REFUSED(2, IN, INVALID_ADDRESS, NOT_RAM, sqe.addr = ~0xfffull - 4096; sqe.npages = 2);
	REFUSED(2, IN, INVALID_ADDRESS, MISALIGNED, sqe.flags = RMNIC_SQE_F_LIST;
		sqe.addr = page + 32);
	REFUSED(2, IN, INVALID_ADDRESS, LIST_CROSSES_PAGE, sqe.flags = RMNIC_SQE_F_LIST;
		sqe.addr = page + 64; sqe.npages = 505);
	REFUSED(2, IN, INVALID_ADDRESS, NOT_RAM, sqe.flags = RMNIC_SQE_F_LIST; sqe.addr = FAKE_HOLE);
	REFUSED(2, IN, INVALID_ADDRESS, NOT_RAM, sqe.flags = RMNIC_SQE_F_LIST; sqe.addr = 0);
}

/* CMD-3, CMD-11: a page that is not RAM, or misaligned in a list, fails by its index. */
RIG_TEST(rmnic_cmd_check__one_page_of_a_command)
{
	uint64_t list = rig_page(rig), page = rig_pages(rig, 2), after;
	uint64_t *entries = GUEST(list);
	struct rmnic_sqe sqe = rig_sqe(rig, IN, 1, 3, list);

	sqe.flags = RMNIC_SQE_F_LIST;
	entries[0] = page;
	entries[1] = FAKE_HOLE;
	entries[2] = page + 4096;
	assert_cqe(rig_io(rig, 2, &sqe), RMNIC_SC_INVALID_ADDRESS, 1, 1);
	assert_refused(rig, NOT_RAM);
	entries[1] = page + 512;
	assert_cqe(rig_io(rig, 2, &sqe), RMNIC_SC_INVALID_ADDRESS, 1, 1);
	assert_refused(rig, MISALIGNED);
	/* A run that leaves RAM. */
	after = FAKE_BASE + FAKE_SIZE - 2 * 4096;
	assert_cqe(rig_cmd(rig, IN, 0, 3, after), RMNIC_SC_INVALID_ADDRESS, 2, 2);
	assert_int_equal(rig->host.refused[RMNIC_REFUSAL_NOT_RAM], 2);
}

/* CMD-4: one bad range of a list: its index, and none of the others is freed. */
RIG_TEST(rmnic_cmd_check__ranges)
{
	uint64_t list = rig_page(rig), page = rig_page(rig);
	struct rmnic_range *ranges = GUEST(list);
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_FREE, 0, 3, list);
	static const struct {
		struct rmnic_range range;
		uint16_t status;
		enum rmnic_refusal why;
	} bad[] = {
		{ { .rpn = 1024, .npages = 1 }, RMNIC_SC_RPN_RANGE, RMNIC_REFUSAL_RPN_RANGE },
		{ { .rpn = ~0ull, .npages = 2 }, RMNIC_SC_RPN_RANGE, RMNIC_REFUSAL_RPN_RANGE },
		{ { .rpn = 1, .npages = 0 }, RMNIC_SC_INVALID_LENGTH, RMNIC_REFUSAL_BAD_LENGTH },
		{ { .rpn = 1, .npages = 1, .rsvd = 1 }, RMNIC_SC_INVALID_FIELD,
		  RMNIC_REFUSAL_RESERVED_FIELD },
	};

	sqe.flags = RMNIC_SQE_F_LIST;
	page_fill(GUEST(page), 5, 1);
	assert_int_equal(rig_cmd(rig, OUT, 5, 1, page).status, RMNIC_SC_OK);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		unsigned int before = rig->host.refused[bad[i].why];

		ranges[0] = (struct rmnic_range){ .rpn = 5, .npages = 1 };
		ranges[1] = (struct rmnic_range){ .rpn = 7, .npages = 2 };
		ranges[2] = bad[i].range;
		assert_cqe(rig_io(rig, 1, &sqe), bad[i].status, 0, 2);
		assert_int_equal(rig->host.refused[bad[i].why], before + 1);
	}
	assert_int_equal(rig_cmd(rig, IN, 5, 1, page).status, RMNIC_SC_OK);
	assert_true(page_is(GUEST(page), 5, 1));
}

/* The order of the rungs: opcode, reserved fields, cid, class, then the operands. */
RIG_TEST(rmnic_cmd_check__order)
{
	struct rmnic_sqe sqe = {
		.opcode = 0x77, .flags = 0x80, .cid = 99, .rpn = ~0ull, .addr = 1
	};

	refused(rig, 1, &sqe, RMNIC_SC_INVALID_OPCODE, RMNIC_REFUSAL_INVALID_OPCODE);
	sqe.opcode = IN;
	refused(rig, 1, &sqe, RMNIC_SC_INVALID_FIELD, RMNIC_REFUSAL_RESERVED_FIELD);
	sqe.flags = 0;
	refused(rig, 1, &sqe, RMNIC_SC_INVALID_CID, RMNIC_REFUSAL_BAD_CID);
	sqe.cid = 1;
	refused(rig, 1, &sqe, RMNIC_SC_WRONG_CLASS, RMNIC_REFUSAL_WRONG_CLASS);
	refused(rig, 2, &sqe, RMNIC_SC_INVALID_LENGTH, RMNIC_REFUSAL_BAD_LENGTH);
	sqe.npages = 1;
	refused(rig, 2, &sqe, RMNIC_SC_RPN_RANGE, RMNIC_REFUSAL_RPN_RANGE);
	sqe.rpn = 0;
	refused(rig, 2, &sqe, RMNIC_SC_INVALID_ADDRESS, RMNIC_REFUSAL_MISALIGNED);
	assert_int_equal(rmnic_dev_counters(rig->dev)->status_refused, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_cmd_check__opcode),
		cmocka_unit_test(rmnic_cmd_check__reserved_fields),
		cmocka_unit_test(rmnic_cmd_check__cid),
		cmocka_unit_test(rmnic_cmd_check__cid_in_flight),
		cmocka_unit_test(rmnic_cmd_check__class),
		cmocka_unit_test(rmnic_cmd_check__length),
		cmocka_unit_test(rmnic_cmd_check__range),
		cmocka_unit_test(rmnic_cmd_check__addresses),
		cmocka_unit_test(rmnic_cmd_check__one_page_of_a_command),
		cmocka_unit_test(rmnic_cmd_check__ranges),
		cmocka_unit_test(rmnic_cmd_check__order),
	};

	return cmocka_run_group_tests_name("check", tests, NULL, NULL);
}
