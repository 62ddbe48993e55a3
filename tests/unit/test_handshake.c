/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two hand-shakes, with the driver's steps put at every place in the device's: each hook of
 * the host and each gap between calls is a place, and all pairs of places are tried.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

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

/* --- Both at once, with real threads that really sleep ------------------------------------------------ */

#define ROUNDS     20000
#define PATIENCE   5000 /* ms; a wake-up that is lost lets one of the two wait so long */

static struct {
	struct rmnic_host_ops ops;
	int doorbell, interrupt; /* eventfds */
	bool stop, overslept;
	unsigned int sleeps;
} both;

static void both_irq(void *host, uint16_t vector)
{
	uint64_t one = 1;

	(void)host;
	if (vector == 2 && write(both.interrupt, &one, sizeof(one)) != sizeof(one))
		both.overslept = true;
}

static void both_membarrier(void *host)
{
	(void)host;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Waits for an eventfd and takes what is in it. */
static bool wait_for(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	uint64_t n;

	return poll(&pfd, 1, PATIENCE) == 1 && read(fd, &n, sizeof(n)) == sizeof(n);
}

static void *engine_thread(void *dev)
{
	while (!__atomic_load_n(&both.stop, __ATOMIC_ACQUIRE) && !both.overslept) {
		if (rmnic_dev_poll(dev) || !rmnic_dev_sleep_begin(dev))
			continue;
		both.sleeps++;
		if (!wait_for(both.doorbell))
			both.overslept = true;
		rmnic_dev_sleep_end(dev);
	}
	return NULL;
}

static void ring_if_needed(struct pair *q)
{
	uint64_t one = 1;

	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* RING-10 */
	if (__atomic_load_n(&pair_rec(q)->need_wakeup, __ATOMIC_RELAXED))
		assert_int_equal(write(both.doorbell, &one, sizeof(one)), sizeof(one));
}

/* Arms, looks once more, waits; as a driver that has spun long enough does. */
static bool wait_for_cqe(struct pair *q, unsigned int spins)
{
	struct rmnic_cqe cqe;

	while (spins--)
		if (pair_peek(q, &cqe))
			return true;
	__atomic_store_n(&pair_rec(q)->cq_arm, q->head, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* RING-11 */
	while (!pair_peek(q, &cqe))
		if (!wait_for(both.interrupt))
			return pair_peek(q, &cqe);
	return true;
}

/*
 * RING-9, RING-11. That two threads which really sleep always wake each other. A barrier that is
 * missing is too rare an accident to be seen here; the places above are what checks the order.
 */
RIG_TEST(handshake__two_threads)
{
	struct pair *q = &rig->q[2];
	uint64_t page = rig_page(rig);
	pthread_t thread;

	memset(&both, 0, sizeof(both));
	both.doorbell = eventfd(0, 0);
	both.interrupt = eventfd(0, 0);
	both.ops = fake_ops;
	both.ops.irq = both_irq;
	both.ops.membarrier = both_membarrier;
	rmnic_dev_destroy(rig->dev);
	rig->config.ops = &both.ops;
	rig->dev = rmnic_dev_create(&rig->config);
	pair_init(&rig->aq, &rig->host, 0, 16);
	assert_int_equal(rig_enable(rig), RMNIC_ERR_NONE);
	rig_create(rig, 2, RMNIC_CLASS_PAGE_IN, 16, 2);
	assert_int_equal(pthread_create(&thread, NULL, engine_thread, rig->dev), 0);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		struct rmnic_sqe sqe = rig_sqe(rig, RMNIC_OP_PAGE_IN, 0, 1, page);

		/* Now and then long enough for the device to fall asleep, or nearly. */
		for (volatile unsigned int k = 0; k < i * 7 % 3000; k++)
			;
		pair_put(q, &sqe);
		pair_ring(q);
		ring_if_needed(q);
		if (!wait_for_cqe(q, i * 13 % 400))
			fail_msg("round %u: waited in vain", i);
		q->head++;
		__atomic_store_n(&pair_rec(q)->cq_head, q->head, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&both.stop, true, __ATOMIC_RELEASE);
	assert_int_equal(write(both.doorbell, &(uint64_t){ 1 }, 8), 8);
	pthread_join(thread, NULL);
	assert_false(both.overslept);
	assert_true(both.sleeps > 10);
	close(both.doorbell);
	close(both.interrupt);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake__armed_interrupt_never_lost),
		cmocka_unit_test(handshake__wakeup_never_lost),
		cmocka_unit_test(handshake__two_threads),
	};

	return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
