/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

static struct rmnic_cqe admin(struct rig *rig, struct rmnic_admin_sqe sqe)
{
	return rig_admin(rig, &sqe);
}

/* Refused, counted, nothing mapped that was not. */
static void refused(struct rig *rig, struct rmnic_admin_sqe sqe, uint16_t status,
		    enum rmnic_refusal why)
{
	unsigned int before = rig->host.refused[why], mapped = rig->host.mapped;

	assert_cqe(rig_admin(rig, &sqe), status, 0, NONE);
	assert_int_equal(rig->host.refused[why], before + 1);
	assert_int_equal(rig->host.mapped, mapped);
}

#define REFUSED(status, why, ...) \
	refused(rig, (struct rmnic_admin_sqe){ __VA_ARGS__ }, RMNIC_SC_##status, RMNIC_REFUSAL_##why)

/* --- The ladder -------------------------------------------------------------------------- */

RIG_TEST(rmnic_admin_serve__opcodes)
{
	for (unsigned int op = 0; op < 256; op++)
		if (op < RMNIC_OP_IDENTIFY || op > RMNIC_OP_READ_STATS)
			REFUSED(INVALID_OPCODE, INVALID_OPCODE, .opcode = (uint8_t)op);
	assert_int_equal(rmnic_dev_counters(rig->dev)->status_refused, 250);
}

/* CMD-12: what is not below the depth. (Nothing is ever in flight on the admin pair.) */
RIG_TEST(rmnic_admin_serve__cid)
{
	REFUSED(INVALID_CID, BAD_CID, .opcode = RMNIC_OP_IDENTIFY, .cid = 16);
}

/* CMD-9: reserved fields, and each field that an opcode does not use. */
RIG_TEST(rmnic_admin_serve__reserved_fields)
{
	uint64_t page = rig_page(rig);
	enum { QID = 1, ADDR = 2, CREATE = 4, CID = 8, COALESCE = 16 };
	static const unsigned int uses[] = { ADDR, QID | CREATE, QID, QID | COALESCE, QID | CID, ADDR };

	for (uint8_t op = RMNIC_OP_IDENTIFY; op <= RMNIC_OP_READ_STATS; op++) {
		unsigned int u = uses[op - RMNIC_OP_IDENTIFY];

		REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .flags = 1);
		REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .rsvd0 = 1);
		REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .rsvd1[0] = 1);
		REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .rsvd1[13] = 1);
		if (!(u & QID))
			REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .qid = 1);
		if (!(u & ADDR))
			REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .addr = page);
		if (!(u & CID))
			REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .target_cid = 1);
		if (!(u & COALESCE)) {
			REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .coalesce_count = 1);
			REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .coalesce_us = 1);
		}
		if (u & CREATE)
			continue;
		REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .vector = 1);
		REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .sq_addr = page);
		REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .cq_addr = page);
		REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .rec_addr = page);
		REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .depth = 4);
		REFUSED(INVALID_FIELD, RESERVED_FIELD, .opcode = op, .qclass = 1);
	}
}

/* --- Data ------------------------------------------------------------------------------------ */

RIG_TEST(do_identify__tells)
{
	uint64_t page = rig_page(rig);
	const struct rmnic_identify *id = GUEST(page);

	memset(GUEST(page), 0xff, 4096);
	assert_cqe(admin(rig, (struct rmnic_admin_sqe){ .opcode = RMNIC_OP_IDENTIFY, .addr = page }),
		   RMNIC_SC_OK, 0, NONE);
	assert_string_equal(id->serial, "unit");
	assert_string_equal(id->model, "rmnic");
	assert_string_equal(id->firmware, "test");
	assert_memory_equal(id->uuid, rig->config.uuid, 16);
	assert_int_equal(id->capacity, 1024);
	assert_int_equal(id->max_capacity, 4096);
	assert_int_equal(id->features, rig->config.features);
	assert_int_equal(id->slab_pages, 64);
	assert_int_equal(id->max_pages, 512);
	assert_int_equal(id->max_ranges, 256);
	assert_int_equal(id->max_qpairs, RIG_QPS);
	assert_int_equal(id->max_depth, 64);
	for (unsigned int i = 0; i < sizeof(id->rsvd); i++)
		assert_int_equal(id->rsvd[i], 0);
}

/* CMD-10, CMD-11 */
RIG_TEST(do_identify__addresses)
{
	REFUSED(INVALID_ADDRESS, MISALIGNED, .opcode = RMNIC_OP_IDENTIFY, .addr = rig_page(rig) + 64);
	REFUSED(INVALID_ADDRESS, NOT_RAM, .opcode = RMNIC_OP_IDENTIFY, .addr = FAKE_HOLE);
	REFUSED(INVALID_ADDRESS, NOT_RAM, .opcode = RMNIC_OP_READ_STATS, .addr = 0);
}

RIG_TEST(do_read_stats__counts)
{
	uint64_t page = rig_page(rig), stats = rig_page(rig);
	const struct rmnic_stats *st = GUEST(stats);

	page_fill(GUEST(page), 1, 1);
	rig_cmd(rig, RMNIC_OP_PAGE_OUT, 1, 1, page);
	memset(GUEST(page), 0, 4096);
	rig_cmd(rig, RMNIC_OP_PAGE_OUT, 2, 1, page);
	rig_cmd(rig, RMNIC_OP_PAGE_IN, 3, 1, page);
	rig_cmd(rig, RMNIC_OP_FREE, 2, 4, 0);
	rig_cmd(rig, RMNIC_OP_ZERO, 9, 5, 0);
	rig_cmd(rig, RMNIC_OP_FLUSH, 0, 0, 0);
	rig_cmd(rig, RMNIC_OP_PAGE_IN, 5000, 1, page);
	rmnic_dev_doorbell(rig->dev);
	assert_cqe(admin(rig, (struct rmnic_admin_sqe){ .opcode = RMNIC_OP_READ_STATS,
							.addr = stats }),
		   RMNIC_SC_OK, 0, NONE);
	assert_int_equal(st->page_out_cmds, 2);
	assert_int_equal(st->page_in_cmds, 2);
	assert_int_equal(st->free_cmds, 1);
	assert_int_equal(st->zero_cmds, 1);
	assert_int_equal(st->flush_cmds, 1);
	assert_int_equal(st->admin_cmds, 3);
	assert_int_equal(st->pages_out, 2);
	assert_int_equal(st->pages_in, 1);
	assert_int_equal(st->pages_freed, 4);
	assert_int_equal(st->pages_zeroed, 5);
	assert_int_equal(st->pages_same_filled, 1);
	assert_int_equal(st->pages_in_unwritten, 1);
	assert_int_equal(st->pages_stored, 1);
	assert_int_equal(st->refused, 1);
	assert_int_equal(st->doorbells, 1);
	for (unsigned int i = 0; i < sizeof(st->rsvd); i++)
		assert_int_equal(st->rsvd[i], 0);
}

/* --- CREATE_QP (CMD-18) ------------------------------------------------------------------------ */

/* CMD-18: each wrong value refused, and what was refused does not exist. */
RIG_TEST(do_create__each_wrong_value)
{
	struct pair pair;
	struct rmnic_admin_sqe good, sqe;

	pair_init(&pair, &rig->host, 5, 16);
	good = rig_create_sqe(rig, &pair, RMNIC_CLASS_PAGE_IN, 1);
#define BAD(status, why, change)                                       \
	do {                                                           \
		sqe = good;                                            \
		change;                                                \
		refused(rig, sqe, RMNIC_SC_##status, RMNIC_REFUSAL_##why); \
	} while (0)
	BAD(INVALID_QID, BAD_QID, sqe.qid = 0);
	BAD(INVALID_QID, BAD_QID, sqe.qid = 1); /* exists */
	BAD(INVALID_QID, BAD_QID, sqe.qid = RIG_QPS + 1);
	BAD(INVALID_QID, BAD_QID, sqe.qid = 0xffff);
	BAD(INVALID_FIELD, BAD_QCLASS, sqe.qclass = 2);
	BAD(INVALID_FIELD, BAD_QCLASS, sqe.qclass = 255);
	BAD(INVALID_DEPTH, BAD_DEPTH, sqe.depth = 0);
	BAD(INVALID_DEPTH, BAD_DEPTH, sqe.depth = 1);
	BAD(INVALID_DEPTH, BAD_DEPTH, sqe.depth = 12);
	BAD(INVALID_DEPTH, BAD_DEPTH, sqe.depth = 128);
	BAD(INVALID_VECTOR, BAD_VECTOR, sqe.vector = 9);
	BAD(INVALID_VECTOR, BAD_VECTOR, sqe.vector = 0xfffe);
	BAD(INVALID_ADDRESS, MISALIGNED, sqe.sq_addr += 64);
	BAD(INVALID_ADDRESS, MISALIGNED, sqe.cq_addr += 256);
	BAD(INVALID_ADDRESS, MISALIGNED, sqe.rec_addr += 64);
	BAD(INVALID_ADDRESS, NOT_RAM, sqe.sq_addr = FAKE_HOLE);
	BAD(INVALID_ADDRESS, NOT_RAM, sqe.cq_addr = FAKE_HOLE);
	BAD(INVALID_ADDRESS, NOT_RAM, sqe.rec_addr = FAKE_HOLE);
	BAD(INVALID_ADDRESS, NOT_RAM, sqe.rec_addr = ~0xffull);
	/* A ring of 64 that only just leaves RAM. */
	BAD(INVALID_ADDRESS, NOT_RAM, sqe.depth = 64; sqe.sq_addr = FAKE_BASE + FAKE_SIZE);
	/* The order: qid, class, depth, vector, addresses. */
	BAD(INVALID_QID, BAD_QID, sqe.qid = 99; sqe.qclass = 9);
	BAD(INVALID_FIELD, BAD_QCLASS, sqe.qclass = 9; sqe.depth = 3);
	BAD(INVALID_DEPTH, BAD_DEPTH, sqe.depth = 3; sqe.vector = 99);
	BAD(INVALID_VECTOR, BAD_VECTOR, sqe.vector = 99; sqe.sq_addr = 1);
#undef BAD
	assert_cqe(rig_admin(rig, &good), RMNIC_SC_OK, 0, NONE);
}

/* RING-15: a pair that is made while the device polls needs no doorbell, whatever was there. */
RIG_TEST(do_create__no_doorbell_needed)
{
	struct rmnic_admin_sqe sqe;

	pair_init(&rig->q[3], &rig->host, 3, 16);
	pair_rec(&rig->q[3])->need_wakeup = 1;
	sqe = rig_create_sqe(rig, &rig->q[3], RMNIC_CLASS_PAGE_IN, 1);
	assert_cqe(rig_admin(rig, &sqe), RMNIC_SC_OK, 0, NONE);
	assert_int_equal(pair_rec(&rig->q[3])->need_wakeup, 0);
}

/* Created, deleted and created again: every index starts at 0, as the first time. */
RIG_TEST(do_create__again_after_delete)
{
	uint64_t page = rig_page(rig);

	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 21; i++)
			rig_cmd(rig, RMNIC_OP_PAGE_IN, 0, 1, page);
		assert_cqe(admin(rig, (struct rmnic_admin_sqe){ .opcode = RMNIC_OP_DELETE_QP,
								.qid = 2 }),
			   RMNIC_SC_OK, 0, NONE);
		rig_create(rig, 2, RMNIC_CLASS_PAGE_IN, 16, 2);
	}
}

/* As many as the device has, and then all of them deleted. */
RIG_TEST(do_create__all_pairs)
{
	for (uint16_t qid = 3; qid <= RIG_QPS; qid++)
		rig_create(rig, qid, qid % 2, 4, qid);
	for (uint16_t qid = 1; qid <= RIG_QPS; qid++)
		assert_cqe(admin(rig, (struct rmnic_admin_sqe){ .opcode = RMNIC_OP_DELETE_QP,
								.qid = qid }),
			   RMNIC_SC_OK, 0, NONE);
	assert_int_equal(rig->host.mapped, 3);
}

/* --- DELETE_QP (CMD-17) --------------------------------------------------------------------------- */

RIG_TEST(do_delete__refusals)
{
	REFUSED(INVALID_QID, BAD_QID, .opcode = RMNIC_OP_DELETE_QP, .qid = 0);
	REFUSED(INVALID_QID, BAD_QID, .opcode = RMNIC_OP_DELETE_QP, .qid = 3);
	REFUSED(INVALID_QID, BAD_QID, .opcode = RMNIC_OP_DELETE_QP, .qid = 0xffff);
}

/* CMD-17: in flight in every state: ABORTED each, and then no DMA. */
RIG_TEST(do_delete__with_commands_in_flight, .slow = true)
{
	struct pair *q = &rig->q[2];
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;
	unsigned int seen = 0, aborted = 0;

	rig->fault->opcode = RMNIC_OP_PAGE_IN;
	for (uint16_t cid = 0; cid < 8; cid++) {
		struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, cid, 1, page);

		sqe.cid = cid;
		pair_put(q, &sqe);
	}
	pair_ring(q);
	rig_poll(rig);
	slow_answer(&rig->slow, 0, RMNIC_SC_OK); /* completed */
	rig->fault->cqe_kind = RMNIC_FAULT_CQE_DROP;
	rig->fault->cqe_nth = 1;
	slow_answer(&rig->slow, 0, RMNIC_SC_OK); /* dropped */
	rig->fault->delay_us = 100;
	slow_answer(&rig->slow, 0, RMNIC_SC_OK); /* delayed */
	assert_cqe(admin(rig, (struct rmnic_admin_sqe){ .opcode = RMNIC_OP_DELETE_QP, .qid = 2 }),
		   RMNIC_SC_OK, 0, NONE);
	assert_int_equal(rig->slow.pending, 0);
	assert_int_equal(rig->host.mapped, 6);
	assert_true(rmnic_dev_deadline(rig->dev) == UINT64_MAX);
	while (pair_reap(q, &cqe)) {
		seen |= 1u << cqe.cid;
		aborted += cqe.status == RMNIC_SC_ABORTED;
	}
	assert_int_equal(seen, 0xff);
	assert_int_equal(aborted, 7);
	assert_int_equal(rmnic_dev_counters(rig->dev)->aborted, 7);
}

/* Commands that were not fetched get nothing, and do not happen. */
RIG_TEST(do_delete__not_fetched)
{
	struct rmnic_admin_sqe del = { .opcode = RMNIC_OP_DELETE_QP, .qid = 1 };
	struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_ZERO, 0, 1, 0);
	struct rmnic_cqe cqe;

	pair_put(&rig->q[1], &sqe);
	pair_ring(&rig->q[1]);
	assert_cqe(rig_admin(rig, &del), RMNIC_SC_OK, 0, NONE);
	assert_false(pair_peek(&rig->q[1], &cqe));
	assert_int_equal(rmnic_dev_counters(rig->dev)->zero_cmds, 0);
}

/* --- SET_COALESCE, ABORT ------------------------------------------------------------------------------ */

RIG_TEST(do_coalesce__refusals)
{
	REFUSED(INVALID_QID, BAD_QID, .opcode = RMNIC_OP_SET_COALESCE, .qid = 0);
	REFUSED(INVALID_QID, BAD_QID, .opcode = RMNIC_OP_SET_COALESCE, .qid = 7);
	/* A feature that was not taken. */
	assert_int_equal(rmnic_dev_enable(rig->dev, 0, 16, rig->aq.sq, rig->aq.cq, rig->aq.rec),
			 RMNIC_ERR_NONE);
	memset(GUEST(rig->aq.rec), 0, 256);
	memset(GUEST(rig->aq.cq), 0, 256);
	rig->aq.head = rig->aq.tail = 0;
	REFUSED(INVALID_OPCODE, INVALID_OPCODE, .opcode = RMNIC_OP_SET_COALESCE, .qid = 1);
}

RIG_TEST(do_abort__refusals)
{
	REFUSED(INVALID_QID, BAD_QID, .opcode = RMNIC_OP_ABORT, .qid = 0);
	REFUSED(INVALID_QID, BAD_QID, .opcode = RMNIC_OP_ABORT, .qid = 8);
	REFUSED(INVALID_CID, BAD_CID, .opcode = RMNIC_OP_ABORT, .qid = 1, .target_cid = 16);
}

/* RING-7: an index found out of range while aborting ends the device, without a crash. */
RIG_TEST(do_abort__pair_with_a_bad_tail)
{
	struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_ABORT, .qid = 1, .target_cid = 1 };
	struct rmnic_cqe cqe;

	pair_rec(&rig->q[1])->sq_tail = 1000;
	pair_put(&rig->aq, &sqe);
	pair_ring(&rig->aq);
	rig_poll(rig);
	assert_int_equal(rig->host.fatal_error, RMNIC_ERR_BAD_SQ_TAIL);
	assert_false(pair_peek(&rig->aq, &cqe));
}

/* Admin commands one after the other, many in one go. */
RIG_TEST(rmnic_admin_serve__batch)
{
	struct rmnic_cqe cqe;

	for (uint16_t i = 0; i < 16; i++) {
		struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_ABORT, .cid = i, .qid = 1 };

		pair_put(&rig->aq, &sqe);
	}
	pair_ring(&rig->aq);
	rig_poll(rig);
	for (uint16_t i = 0; i < 16; i++) {
		assert_true(pair_reap(&rig->aq, &cqe));
		assert_int_equal(cqe.cid, i);
	}
	assert_int_equal(rmnic_dev_hist(rig->dev, RMNIC_STAGE_ADMIN_TOTAL)->count, 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rmnic_admin_serve__opcodes),
		cmocka_unit_test(rmnic_admin_serve__cid),
		cmocka_unit_test(rmnic_admin_serve__reserved_fields),
		cmocka_unit_test(do_identify__tells),
		cmocka_unit_test(do_identify__addresses),
		cmocka_unit_test(do_read_stats__counts),
		cmocka_unit_test(do_create__each_wrong_value),
		cmocka_unit_test(do_create__no_doorbell_needed),
		cmocka_unit_test(do_create__again_after_delete),
		cmocka_unit_test(do_create__all_pairs),
		cmocka_unit_test(do_delete__refusals),
		cmocka_unit_test(do_delete__with_commands_in_flight),
		cmocka_unit_test(do_delete__not_fetched),
		cmocka_unit_test(do_coalesce__refusals),
		cmocka_unit_test(do_abort__refusals),
		cmocka_unit_test(do_abort__pair_with_a_bad_tail),
		cmocka_unit_test(rmnic_admin_serve__batch),
	};

	return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
