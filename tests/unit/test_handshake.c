/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two hand-shakes, with the driver's steps put at every place in the device's: each hook of
 * the host and each gap between calls is a place, and all pairs of places are tried.
 */
#include "rig.h"

#define PLACES 12

struct model {
	struct rig *rig;
	int place;           /* places passed so far */
	int first, second;   /* where the driver takes its two steps */
	void (*step[2])(struct model *m);
	/* armed interrupt */
	bool saw_cqe;
	/* wake-up */
	bool rang;
};

static void pass(struct model *m)
{
	if (m->place == m->first)
		m->step[0](m);
	if (m->place == m->second)
		m->step[1](m);
	m->place++;
}

static void at_hook(struct fake *fake, enum fake_point point, const struct rmnic_mapping *m,
		    uint32_t offset)
{
	(void)point;
	(void)m;
	(void)offset;
	pass(fake->hook_data);
}

/* --- RING-11: the driver arms, then looks once more, then waits ------------------------------- */

static void arm(struct model *m)
{
	pair_rec(&m->rig->q[2])->cq_arm = m->rig->q[2].head;
}

static void last_look(struct model *m)
{
	struct rmnic_cqe cqe;

	m->saw_cqe = pair_peek(&m->rig->q[2], &cqe);
}

/* RING-11: whenever it arms and looks, it sees the entry or gets an interrupt. */
RIG_TEST(handshake__armed_interrupt_never_lost)
{
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;
	int waited = 0, reached = 0;

	for (int first = 0; first < PLACES; first++)
		for (int second = first; second < PLACES; second++) {
			struct model m = { .rig = rig, .first = first, .second = second };
			struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 1, page);

			m.step[0] = arm;
			m.step[1] = last_look;
			pair_rec(&rig->q[2])->cq_arm = rig->q[2].head - 1;
			rig->host.irqs[2] = 0;
			rig->host.hook_data = &m;
			pair_put(&rig->q[2], &sqe);
			pair_ring(&rig->q[2]);
			pass(&m);
			rig->host.hook = at_hook;
			rig_poll(rig);
			rig->host.hook = NULL;
			reached = m.place > reached ? m.place : reached;
			while (m.place <= second)
				pass(&m);
			if (!m.saw_cqe) {
				assert_int_equal(rig->host.irqs[2], 1);
				waited++;
			}
			assert_true(pair_reap(&rig->q[2], &cqe));
		}
	/* The places were there: before, between and after the device's own steps. */
	assert_true(reached >= 5 && reached <= PLACES);
	assert_true(waited > 5);
}

/* --- RING-9, RING-10: the driver submits, then looks at need_wakeup ------------------------------ */

static void submit(struct model *m)
{
	pair_ring(&m->rig->q[2]);
}

static void look_at_need_wakeup(struct model *m)
{
	m->rang = pair_rec(&m->rig->q[2])->need_wakeup == 1;
}

/* RING-9: whenever it submits, the device stays up or is rung for. */
RIG_TEST(handshake__wakeup_never_lost)
{
	uint64_t page = rig_page(rig);
	struct rmnic_cqe cqe;
	int slept = 0, stayed = 0, reached = 0;

	rig_poll(rig);
	for (int first = 0; first < PLACES; first++)
		for (int second = first; second < PLACES; second++) {
			struct model m = { .rig = rig, .first = first, .second = second };
			struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 1, page);
			bool sleeps;

			m.step[0] = submit;
			m.step[1] = look_at_need_wakeup;
			rig->host.hook_data = &m;
			pair_put(&rig->q[2], &sqe);
			pass(&m);
			rig->host.hook = at_hook;
			sleeps = rmnic_dev_sleep_begin(rig->dev);
			rig->host.hook = NULL;
			reached = m.place > reached ? m.place : reached;
			while (m.place <= second)
				pass(&m);
			if (sleeps)
				assert_true(m.rang);
			slept += sleeps;
			stayed += !sleeps;
			rmnic_dev_sleep_end(rig->dev);
			rig_poll(rig);
			assert_true(pair_reap(&rig->q[2], &cqe));
		}
	assert_true(reached >= 5 && reached <= PLACES);
	assert_true(slept > 5 && stayed > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake__armed_interrupt_never_lost),
		cmocka_unit_test(handshake__wakeup_never_lost),
	};

	return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
