/* SPDX-License-Identifier: BSD-3-Clause */
/* The backend dies between any two stores: each command ends exactly once (RULES B2). */
#include "crash.h"

#include "engine/internal.h"

/* --- Pages ------------------------------------------------------------------------------------ */

static void outs(struct crash *c)
{
	for (uint64_t rpn = 0; rpn < 5; rpn++)
		crash_io(c, RMNIC_OP_PAGE_OUT, rpn, 1, 1);
}

static void expect_outs(struct crash *c)
{
	for (uint64_t rpn = 0; rpn < 5; rpn++)
		crash_expect(c, rpn, 1);
}

/* STATE-9, STATE-10, STATE-11 */
static void death__page_out(void **state)
{
	(void)state;
	crash_play(&(struct crash_scene){ .name = "page-out",
					  .set_up = outs, .check = expect_outs, .min_steps = 50,
					  .twice = true });
}

static void write_now(struct crash *c, uint64_t rpn, uint32_t npages, uint32_t generation)
{
	uint64_t page = rig_page(&c->rig);

	for (uint32_t i = 0; i < npages; i++) {
		page_fill(fake_at(&c->rig.host, page), rpn + i, generation);
		assert_int_equal(rig_cmd(&c->rig, RMNIC_OP_PAGE_OUT, rpn + i, 1, page).status,
				 RMNIC_SC_OK);
	}
}

static void ins(struct crash *c)
{
	write_now(c, 0, 5, 1);
	for (uint64_t rpn = 0; rpn < 5; rpn++)
		crash_io(c, RMNIC_OP_PAGE_IN, rpn, 1, 1);
	crash_io(c, RMNIC_OP_PAGE_IN, 100, 1, 0);
}

static void death__page_in(void **state)
{
	(void)state;
	crash_play(&(struct crash_scene){ .name = "page-in",
					  .set_up = ins, .min_steps = 60, .twice = true });
}

static void clusters(struct crash *c)
{
	write_now(c, 20, 4, 1);
	crash_io(c, RMNIC_OP_PAGE_OUT, 0, 4, 2);
	crash_list(c, RMNIC_OP_PAGE_OUT, 10, 3, 2);
	crash_io(c, RMNIC_OP_PAGE_IN, 20, 2, 1);
	crash_list(c, RMNIC_OP_PAGE_IN, 22, 2, 1);
}

static void expect_clusters(struct crash *c)
{
	for (uint64_t i = 0; i < 4; i++)
		crash_expect(c, i, 2);
	for (uint64_t i = 10; i < 13; i++)
		crash_expect(c, i, 2);
}

static void death__clusters(void **state)
{
	(void)state;
	crash_play(&(struct crash_scene){ .name = "clusters",
					  .set_up = clusters, .check = expect_clusters,
					  .min_steps = 40 });
}

static void drops(struct crash *c)
{
	uint64_t list = fake_alloc(&c->rig.host, 4096, 4096);
	struct rmnic_range *range = fake_at(&c->rig.host, list);
	struct crash_job *job;

	write_now(c, 0, 12, 1);
	crash_io(c, RMNIC_OP_FREE, 0, 3, 0);
	crash_io(c, RMNIC_OP_ZERO, 4, 2, 0);
	range[0] = (struct rmnic_range){ .rpn = 7, .npages = 1 };
	range[1] = (struct rmnic_range){ .rpn = 9, .npages = 2 };
	job = crash_io(c, RMNIC_OP_FREE, 0, 2, 0);
	job->sqe.io.addr = list;
	job->sqe.io.flags = RMNIC_SQE_F_LIST;
	crash_io(c, RMNIC_OP_FLUSH, 0, 0, 0);
}

/* Once its FREE has ended a page is written again: freeing it twice would lose that. */
static void write_freed(struct crash *c)
{
	if (c->polls || !c->jobs[0].ended || c->njobs > 4)
		return;
	crash_io(c, RMNIC_OP_PAGE_OUT, 1, 1, 2);
	crash_send(c);
}

static void expect_drops(struct crash *c)
{
	static const uint8_t freed[] = { 0, 2, 4, 5, 7, 9, 10 }, held[] = { 3, 6, 8, 11 };

	for (unsigned int i = 0; i < sizeof(freed); i++)
		crash_expect(c, freed[i], 0);
	for (unsigned int i = 0; i < sizeof(held); i++)
		crash_expect(c, held[i], 1);
	crash_expect(c, 1, c->njobs > 4 ? 2 : 0);
}

static void death__free_zero_flush(void **state)
{
	(void)state;
	crash_play(&(struct crash_scene){ .name = "free, zero, flush",
					  .set_up = drops, .meanwhile = write_freed,
					  .check = expect_drops, .min_steps = 40 });
}

/* --- Rings ---------------------------------------------------------------------------------------- */

static void shallow(struct crash *c)
{
	rig_create(&c->rig, 3, RMNIC_CLASS_PAGE_OUT, 4, RMNIC_NO_VECTOR);
}

/* Twelve commands through rings of four, whose driver takes completions as they come. */
static void wrap_more(struct crash *c)
{
	unsigned int open = 0;

	crash_reap(c);
	for (unsigned int i = 0; i < c->njobs; i++)
		open += !c->jobs[i].ended;
	for (; open < 4 && c->njobs < 12; open++) {
		struct crash_job *job = crash_io(c, RMNIC_OP_PAGE_OUT, c->njobs, 1, 3);

		/* The lowest that is not in flight. */
		job->qid = 3;
		for (uint16_t cid = 0, i = 0; i < c->njobs - 1; i++) {
			if (!c->jobs[i].ended && c->jobs[i].sqe.io.cid == cid) {
				cid++;
				i = (uint16_t)-1;
			}
			job->sqe.io.cid = cid;
		}
		if (c->njobs == 1)
			job->sqe.io.cid = 0;
	}
	crash_send(c);
}

static void expect_wrapped(struct crash *c)
{
	assert_int_equal(c->njobs, 12);
	for (uint64_t rpn = 0; rpn < 12; rpn++)
		crash_expect(c, rpn, 3);
}

/* RING-1, RING-3: slots and phases of later laps. */
static void death__ring_wraps(void **state)
{
	(void)state;
	crash_play(&(struct crash_scene){ .name = "ring wraps",
					  .set_up = shallow, .meanwhile = wrap_more,
					  .check = expect_wrapped, .min_steps = 120 });
}

/* The CQ is full for the first life: nothing more is fetched, and nothing is written over. */
static void full(struct crash *c)
{
	shallow(c);
	for (uint16_t i = 0; i < 4; i++)
		crash_io(c, RMNIC_OP_PAGE_OUT, i, 1, 1)->qid = 3;
}

static void full_more(struct crash *c)
{
	/* Not a driver that keeps to RING-7: what it reuses it has not consumed. */
	if (c->njobs == 4 && c->polls == 3)
		for (uint16_t i = 0; i < 4; i++) {
			struct crash_job *job = crash_io(c, RMNIC_OP_PAGE_OUT, 4u + i, 1, 1);

			job->qid = 3;
			job->sqe.io.cid = i;
		}
	if (c->polls == 3)
		crash_send(c);
	if (c->polls > 6)
		crash_reap(c);
}

static void expect_full(struct crash *c)
{
	assert_int_equal(c->njobs, 8);
	for (uint64_t rpn = 0; rpn < 8; rpn++)
		crash_expect(c, rpn, 1);
}

/* RING-8 */
static void death__full_cq(void **state)
{
	(void)state;
	crash_play(&(struct crash_scene){ .name = "full CQ",
					  .set_up = full, .meanwhile = full_more,
					  .check = expect_full, .min_steps = 80 });
}

/* --- Refusals ---------------------------------------------------------------------------------------- */

static void wrong(struct crash *c)
{
	struct crash_job *job;

	crash_io(c, 0x33, 0, 1, 1)->want = RMNIC_SC_INVALID_OPCODE;
	crash_io(c, RMNIC_OP_PAGE_OUT, 1u << 20, 1, 1)->want = RMNIC_SC_RPN_RANGE;
	job = crash_io(c, RMNIC_OP_PAGE_OUT, 0, 1, 1); /* no entry of the flight table */
	job->sqe.io.cid = 5000;
	job->want = RMNIC_SC_INVALID_CID;
	crash_io(c, RMNIC_OP_PAGE_OUT, 1, 1, 1);
	job = crash_io(c, RMNIC_OP_PAGE_IN, 0, 1, 1);
	job->sqe.io.cid = 16;
	job->want = RMNIC_SC_INVALID_CID;
	job = crash_admin(c, &(struct rmnic_admin_sqe){ .opcode = RMNIC_OP_IDENTIFY });
	job->sqe.admin.cid = 999;
	job->want = RMNIC_SC_INVALID_CID;
	crash_admin(c, &(struct rmnic_admin_sqe){ .opcode = 0x99 })->want = RMNIC_SC_INVALID_OPCODE;
}

static void expect_wrong(struct crash *c)
{
	crash_expect(c, 1, 1);
	crash_expect(c, 0, 0);
}

/* STATE-15 */
static void death__refusals(void **state)
{
	(void)state;
	crash_play(&(struct crash_scene){ .name = "refusals",
					  .set_up = wrong, .check = expect_wrong, .min_steps = 50,
					  .twice = true });
}

/* --- Admin commands -------------------------------------------------------------------------------------- */

static void admin(struct crash *c)
{
	struct rmnic_admin_sqe sqe;

	pair_init(&c->rig.q[4], &c->rig.host, 4, 8);
	sqe = rig_create_sqe(&c->rig, &c->rig.q[4], RMNIC_CLASS_PAGE_OUT, 4);
	crash_admin(c, &sqe);
	crash_admin(c, &(struct rmnic_admin_sqe){ .opcode = RMNIC_OP_SET_COALESCE, .qid = 4,
						  .coalesce_count = 9, .coalesce_us = 50 });
	crash_admin(c, &(struct rmnic_admin_sqe){ .opcode = RMNIC_OP_IDENTIFY,
						  .addr = rig_page(&c->rig) });
	crash_admin(c, &(struct rmnic_admin_sqe){ .opcode = RMNIC_OP_READ_STATS,
						  .addr = rig_page(&c->rig) });
	crash_admin(c, &(struct rmnic_admin_sqe){ .opcode = RMNIC_OP_DELETE_QP, .qid = 3 });
	rig_create(&c->rig, 3, RMNIC_CLASS_PAGE_OUT, 4, RMNIC_NO_VECTOR);
	for (uint16_t i = 0; i < 4; i++) {
		struct crash_job *job = crash_io(c, RMNIC_OP_PAGE_OUT, 30u + i, 1, 1);

		job->qid = 3;
		job->sqe.io.cid = i;
		job->want = CRASH_ANY;
		job->may_vanish = true;
	}
}

/* STATE-13: done once, told once; and the new pair is used by whoever is alive then. */
static void use_new_pair(struct crash *c)
{
	crash_reap(c);
	if (c->njobs == 9 && c->jobs[0].ended) {
		struct crash_job *job = crash_io(c, RMNIC_OP_PAGE_OUT, 40, 1, 1);

		job->qid = 4;
		job->sqe.io.cid = 3;
		crash_send(c);
	}
}

static void expect_admin(struct crash *c)
{
	const struct rmnic_qp *qp = &c->rig.dev->qps[4];

	assert_int_equal(c->njobs, 10);
	assert_false(c->rig.dev->qps[3].active);
	assert_true(qp->active);
	assert_int_equal(qp->depth, 8);
	assert_int_equal(qp->coalesce_count, 9);
	assert_int_equal(qp->coalesce_us, 50);
	crash_expect(c, 40, 1);
}

static void death__admin(void **state)
{
	(void)state;
	crash_play(&(struct crash_scene){ .name = "admin",
					  .set_up = admin, .meanwhile = use_new_pair,
					  .check = expect_admin, .min_steps = 60, .twice = true });
}

/* A pair that is deleted while the store has not answered. */
static void delete_busy(struct crash *c)
{
	for (uint16_t i = 0; i < 6; i++) {
		struct crash_job *job = crash_io(c, RMNIC_OP_PAGE_OUT, i, 2, 1);

		job->want = CRASH_ANY;
		job->may_vanish = true;
	}
}

static void delete_later(struct crash *c)
{
	if (c->njobs > 6 || c->polls != 1)
		return;
	crash_admin(c, &(struct rmnic_admin_sqe){ .opcode = RMNIC_OP_DELETE_QP, .qid = 1 });
	crash_send(c);
}

static void expect_deleted(struct crash *c)
{
	assert_int_equal(c->njobs, 7);
	assert_false(c->rig.dev->qps[1].active);
	assert_int_equal(c->rig.slow.pending, 0);
	/* What was fetched has ended, one way or the other (CMD-17). */
	for (unsigned int i = 0; i < 6; i++)
		assert_true(!c->jobs[i].ended || c->jobs[i].status == RMNIC_SC_OK ||
			    c->jobs[i].status == RMNIC_SC_ABORTED);
}

static void death__delete_in_flight(void **state)
{
	(void)state;
	crash_play(&(struct crash_scene){ .name = "delete in flight",
					  .options = { .slow = true },
					  .set_up = delete_busy, .meanwhile = delete_later,
					  .check = expect_deleted, .min_steps = 50 });
}

/* One that is with the store, one that was not fetched, one that ended long ago. */
static void abort_some(struct crash *c)
{
	for (uint16_t i = 0; i < 8; i++)
		crash_io(c, RMNIC_OP_PAGE_OUT, i, 1, 1)->want = CRASH_ANY;
}

static void abort_later(struct crash *c)
{
	static const uint16_t target[] = { 6, 1, 12 };

	/* Nothing of an aborted command reaches the store again. */
	for (unsigned int i = 0; i < c->rig.slow.pending && c->njobs > 8; i++)
		if (c->jobs[8].ended)
			assert_int_not_equal(c->rig.slow.ops[i]->rpn, 6);
	if (c->njobs > 8 || c->polls != 1)
		return;
	for (unsigned int i = 0; i < 3; i++)
		crash_admin(c, &(struct rmnic_admin_sqe){ .opcode = RMNIC_OP_ABORT, .qid = 1,
							  .target_cid = target[i] });
	crash_send(c);
}

static void expect_aborted(struct crash *c)
{
	assert_int_equal(c->njobs, 11);
	for (unsigned int i = 0; i < 8; i++)
		assert_true(c->jobs[i].status == RMNIC_SC_OK ||
			    (c->jobs[i].status == RMNIC_SC_ABORTED && (i == 6 || i == 1)));
}

/* STATE-14 */
static void death__abort(void **state)
{
	(void)state;
	crash_play(&(struct crash_scene){ .name = "abort",
					  .options = { .slow = true },
					  .set_up = abort_some, .meanwhile = abort_later,
					  .check = expect_aborted, .min_steps = 100 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(death__page_out),
		cmocka_unit_test(death__page_in),
		cmocka_unit_test(death__clusters),
		cmocka_unit_test(death__free_zero_flush),
		cmocka_unit_test(death__ring_wraps),
		cmocka_unit_test(death__full_cq),
		cmocka_unit_test(death__refusals),
		cmocka_unit_test(death__admin),
		cmocka_unit_test(death__delete_in_flight),
		cmocka_unit_test(death__abort),
	};

	return cmocka_run_group_tests_name("flight", tests, NULL, NULL);
}
