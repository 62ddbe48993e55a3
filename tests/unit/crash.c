/* SPDX-License-Identifier: BSD-3-Clause */
#include "crash.h"

#include "engine/step.h"

#define REUSED 0xee /* what the driver puts into a page that it has back */

/* --- Death ---------------------------------------------------------------------------------- */

static jmp_buf death;
static unsigned int steps, die_at;

static void step(void)
{
	if (++steps == die_at)
		longjmp(death, 1);
}

/* --- The driver -------------------------------------------------------------------------------- */

static struct crash_job *new_job(struct crash *c, uint8_t opcode, uint64_t rpn, uint32_t npages,
				 uint32_t generation)
{
	struct crash_job *job = &c->jobs[c->njobs];

	assert_true(c->njobs < CRASH_JOBS && npages <= 4);
	*job = (struct crash_job){
		.qid = opcode == RMNIC_OP_PAGE_IN ? 2 : 1,
		.sqe.io = { .opcode = opcode, .cid = (uint16_t)c->njobs, .npages = npages, .rpn = rpn },
		.generation = generation,
	};
	c->njobs++;
	if (opcode != RMNIC_OP_PAGE_OUT && opcode != RMNIC_OP_PAGE_IN)
		return job;
	job->pages = npages;
	return job;
}

static void give_pages(struct crash *c, struct crash_job *job, uint64_t first, uint64_t stride)
{
	for (uint32_t i = 0; i < job->pages; i++) {
		job->page[i] = first + i * stride;
		if (job->sqe.io.opcode == RMNIC_OP_PAGE_OUT)
			page_fill(fake_at(&c->rig.host, job->page[i]), job->sqe.io.rpn + i,
				  job->generation);
	}
}

struct crash_job *crash_io(struct crash *c, uint8_t opcode, uint64_t rpn, uint32_t npages,
			   uint32_t generation)
{
	struct crash_job *job = new_job(c, opcode, rpn, npages, generation);

	if (!job->pages)
		return job;
	job->sqe.io.addr = rig_pages(&c->rig, npages);
	give_pages(c, job, job->sqe.io.addr, 4096);
	return job;
}

struct crash_job *crash_list(struct crash *c, uint8_t opcode, uint64_t rpn, uint32_t npages,
			     uint32_t generation)
{
	struct crash_job *job = new_job(c, opcode, rpn, npages, generation);
	uint64_t list = fake_alloc(&c->rig.host, npages * 8, 64), first = rig_pages(&c->rig, 8);

	give_pages(c, job, first, 8192);
	memcpy(fake_at(&c->rig.host, list), job->page, npages * 8);
	job->sqe.io.addr = list;
	job->sqe.io.flags = RMNIC_SQE_F_LIST;
	return job;
}

struct crash_job *crash_admin(struct crash *c, const struct rmnic_admin_sqe *sqe)
{
	struct crash_job *job = &c->jobs[c->njobs];

	assert_true(c->njobs < CRASH_JOBS);
	*job = (struct crash_job){ .qid = 0, .sqe.admin = *sqe };
	job->sqe.admin.cid = (uint16_t)c->njobs++;
	return job;
}

static struct pair *pair_of(struct crash *c, uint16_t qid)
{
	return qid ? &c->rig.q[qid] : &c->rig.aq;
}

void crash_send(struct crash *c)
{
	for (unsigned int i = 0; i < c->njobs; i++) {
		struct crash_job *job = &c->jobs[i];

		if (job->sent)
			continue;
		job->sent = true;
		pair_put(pair_of(c, job->qid), &job->sqe);
		pair_ring(pair_of(c, job->qid));
	}
}

/* What came in is right, and what is the driver's again is used for something else. */
static void take_back(struct crash *c, struct crash_job *job)
{
	for (uint32_t i = 0; i < job->pages; i++) {
		void *page = fake_at(&c->rig.host, job->page[i]);

		if (job->sqe.io.opcode == RMNIC_OP_PAGE_IN && job->status == RMNIC_SC_OK)
			assert_true(job->generation
					    ? page_is(page, job->sqe.io.rpn + i, job->generation)
					    : page_is_byte(page, 0));
		memset(page, REUSED, 4096);
	}
}

/* The same command, if it is in flight for the driver: no cid is in flight twice. */
static struct crash_job *job_of(struct crash *c, uint16_t qid, uint16_t cid)
{
	for (unsigned int i = 0; i < c->njobs; i++) {
		struct crash_job *job = &c->jobs[i];

		if (job->qid == qid && job->sent && !job->ended && job->sqe.io.cid == cid)
			return job;
	}
	fail_msg("a completion of pair %u for command %u, which is not in flight", qid, cid);
	return NULL;
}

static void reap_pair(struct crash *c, struct pair *pair)
{
	struct rmnic_cqe cqe;

	while (pair->depth && pair_peek(pair, &cqe)) {
		struct crash_job *job = job_of(c, pair->qid, cqe.cid);

		assert_int_equal(cqe.phase >> RMNIC_CQE_QID_SHIFT, pair->qid);
		job->ended = true;
		job->status = cqe.status;
		take_back(c, job);
		pair->head++;
		__atomic_store_n(&pair_rec(pair)->cq_head, pair->head, __ATOMIC_RELEASE);
	}
}

void crash_reap(struct crash *c)
{
	for (uint16_t qid = 0; qid <= RIG_QPS; qid++)
		reap_pair(c, pair_of(c, qid));
}

void crash_expect(struct crash *c, uint64_t rpn, uint32_t generation)
{
	uint64_t page = rig_page(&c->rig);
	struct rmnic_sqe sqe = { .opcode = RMNIC_OP_PAGE_IN, .npages = 1, .rpn = rpn, .addr = page };
	struct rmnic_cqe cqe;

	pair_put(&c->rig.q[2], &sqe);
	pair_ring(&c->rig.q[2]);
	rig_poll(&c->rig);
	if (!pair_peek(&c->rig.q[2], &cqe) || cqe.status != RMNIC_SC_OK)
		fail_msg("page %u cannot be read", (unsigned int)rpn);
	c->rig.q[2].head++;
	__atomic_store_n(&pair_rec(&c->rig.q[2])->cq_head, c->rig.q[2].head, __ATOMIC_RELEASE);
	if (!(generation ? page_is(fake_at(&c->rig.host, page), rpn, generation)
			 : page_is_byte(fake_at(&c->rig.host, page), 0)))
		fail_msg("page %u has not its content of generation %u", (unsigned int)rpn, generation);
}

/* --- Playing -------------------------------------------------------------------------------------- */

static void live(struct crash *c, const struct crash_scene *scene)
{
	unsigned int idle = 0;

	c->lives++;
	/* A few rounds at least: what a scene does meanwhile goes by their number. */
	for (c->polls = 0; idle < 3 || c->polls < 10; c->polls++) {
		assert_true(c->polls < 10000);
		if (scene->meanwhile)
			scene->meanwhile(c);
		idle = rmnic_dev_poll(c->rig.dev) ? 0 : idle + 1;
		if (c->rig.slow.pending) {
			slow_answer(&c->rig.slow, 0, RMNIC_SC_OK);
			idle = 0;
		}
	}
}

/* A life, which ends at step at. False: it went through to the end. */
static bool live_until(struct crash *c, const struct crash_scene *scene, unsigned int at)
{
	volatile bool died = false; /* it is looked at after a longjmp() */

	steps = 0;
	die_at = at;
	rmnic_step_hook = step;
	if (setjmp(death)) {
		died = true;
	} else {
		if (c->lives)
			assert_int_equal(rig_enable(&c->rig), RMNIC_ERR_NONE);
		live(c, scene);
	}
	rmnic_step_hook = NULL;
	crash_reap(c);
	if (!died)
		return false;
	rig_die(&c->rig);
	rig_succeed(&c->rig);
	return true;
}

static void check(struct crash *c, const struct crash_scene *scene, unsigned int at)
{
	for (unsigned int i = 0; i < c->njobs; i++) {
		struct crash_job *job = &c->jobs[i];

		if (!job->ended && job->may_vanish)
			continue;
		if (!job->ended)
			fail_msg("%s, death at step %u: command %u has not ended", scene->name, at, i);
		if (job->want != CRASH_ANY && job->status != job->want)
			fail_msg("%s, death at step %u: command %u ended with 0x%x", scene->name, at,
				 i, job->status);
		for (uint32_t k = 0; k < job->pages; k++)
			if (!page_is_byte(fake_at(&c->rig.host, job->page[k]), REUSED))
				fail_msg("%s, death at step %u: command %u wrote to a page again",
					 scene->name, at, i);
	}
	if (scene->check)
		scene->check(c);
	assert_int_equal(c->rig.host.fatals, 0);
}

/* first, second: the steps before which there is a death; 0: there is none. False: there was none. */
static bool play(const struct crash_scene *scene, unsigned int first, unsigned int second,
		 unsigned int *took)
{
	struct rig_options options = scene->options;
	static struct crash c;
	bool died;

	memset(&c, 0, sizeof(c));
	options.capacity = options.max_capacity = 128; /* hundreds of devices are made */
	options.recorded = true;
	rig_up(&c.rig, &options);
	scene->set_up(&c);
	crash_send(&c);
	died = live_until(&c, scene, first);
	*took = steps;
	if (died && second)
		died = live_until(&c, scene, second);
	if (died)
		assert_false(live_until(&c, scene, 0));
	check(&c, scene, first);
	rig_down(&c.rig);
	return died;
}

void crash_play(const struct crash_scene *scene)
{
	unsigned int took, all, at;

	assert_false(play(scene, 0, 0, &all));
	if (all < scene->min_steps)
		fail_msg("%s: %u steps only", scene->name, all);
	for (at = 1; play(scene, at, 0, &took); at++)
		;
	assert_int_equal(at, all + 1);
	for (at = 1; scene->twice && at <= all; at += 1 + all / 40)
		for (unsigned int second = 1; play(scene, at, second, &took); second++)
			;
	print_message("# %s: %u steps\n", scene->name, all);
}
