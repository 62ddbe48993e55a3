/* SPDX-License-Identifier: BSD-3-Clause */
/* Spinning and sleeping. */
#include "dpdk/wait.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define SPIN_MIN_NS  10000ull
#define SPIN_MAX_NS  1000000ull
#define SPIN_NS      50000ull
#define SHORT_NS     1000000ull
/*
 * Spinning on shared CPUs. A spin that was not in vain earns 1 and one in vain costs 2:
 * it takes the CPU from others for about twice as long as a sleep and a wake-up would have taken.
 * A guest that only reads comes back with its next fault after 30 to 80 us.
 */
#define ASKED_NS     100000ull
#define ASKED_COST   2u
#define ASKED_CREDIT 16u
#define ASKED_RETRY  8u
#define EVENTS       16
#define SECOND_NS    1000000000ull
#define FD_TIMER     (1ull << 32)
#define FD_EVENT     (1ull << 33)

struct rmnic_wait {
	enum rmnic_poll_mode mode;
	bool shared;
	bool slack_set;
	int epoll;
	int timer;
	uint64_t armed; /* when the timer expires; 0: it does not */
	uint64_t spin_ns;    /* how long to spin before sleeping; adapts itself */
	uint64_t idle_since; /* 0: busy */
	uint64_t asked_since; /* 0: not spinning on a shared CPU */
	/* Whether that pays; by what is spun for, commands or answers. */
	struct asked {
		uint32_t credit, skips;
	} asked[2];
	unsigned int asked_for;
	uint64_t slept_ns;
	uint64_t sleeps;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / SECOND_NS),
				  .tv_nsec = (long)(ns % SECOND_NS) };
}

static int timer_prepare(struct rmnic_wait *w, struct rmnic_error *err)
{
	struct epoll_event event = { .events = EPOLLIN };

	w->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	event.data.u64 = (uint32_t)w->timer | FD_TIMER;
	if (w->timer < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->timer, &event))
		return rmnic_error_set(err, "a timer for sleeping lcores: %s", strerror(errno));
	return 0;
}

struct rmnic_wait *rmnic_wait_create(enum rmnic_poll_mode mode, bool shared,
				     struct rmnic_error *err)
{
	struct rmnic_wait *w = calloc(1, sizeof(*w));

	if (!w) {
		rmnic_error_set(err, "sleeping lcores: %s", strerror(errno));
		return NULL;
	}
	w->mode = mode;
	w->shared = shared;
	w->spin_ns = SPIN_NS;
	w->timer = -1;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll < 0) {
		rmnic_error_set(err, "an epoll descriptor: %s", strerror(errno));
		rmnic_wait_destroy(w);
		return NULL;
	}
	if (timer_prepare(w, err)) {
		rmnic_wait_destroy(w);
		return NULL;
	}
	return w;
}

void rmnic_wait_destroy(struct rmnic_wait *w)
{
	if (!w)
		return;
	if (w->timer >= 0)
		close(w->timer);
	if (w->epoll >= 0)
		close(w->epoll);
	free(w);
}

int rmnic_wait_add(struct rmnic_wait *w, int fd, bool eventfd, struct rmnic_error *err)
{
	/*
	 * Edge-triggered, an eventfd wakes once for each signal and need not be read: a read
	 * could block, for the other end may read it first and decides whether it blocks.
	 */
	struct epoll_event event = { .events = EPOLLIN | (eventfd ? EPOLLET : 0u),
				     .data.u64 = (uint32_t)fd | (eventfd ? FD_EVENT : 0u) };

	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event))
		return rmnic_error_set(err, "descriptor %d cannot be slept on: %s", fd,
				       strerror(errno));
	return 0;
}

void rmnic_wait_remove(struct rmnic_wait *w, int fd)
{
	epoll_ctl(w->epoll, EPOLL_CTL_DEL, fd, NULL);
}

void rmnic_wait_busy(struct rmnic_wait *w)
{
	struct asked *a = &w->asked[w->asked_for];

	w->idle_since = 0;
	if (w->asked_since && a->credit < ASKED_CREDIT)
		a->credit++;
	w->asked_since = 0;
}

/* RULES F3: where CPUs are shared, who spins keeps the vCPU that it waits for from running. */
bool rmnic_wait_idle(struct rmnic_wait *w)
{
	uint64_t now;

	if (w->mode == RMNIC_POLL_BUSY)
		return false;
	if (w->mode == RMNIC_POLL_BLOCK || w->shared)
		return true;
	now = now_ns();
	if (w->idle_since == 0) {
		w->idle_since = now;
		return false;
	}
	return now - w->idle_since >= w->spin_ns;
}

bool rmnic_wait_idle_asked(struct rmnic_wait *w, bool owed)
{
	struct asked *a = &w->asked[owed];
	uint64_t now;

	if (w->mode != RMNIC_POLL_ADAPTIVE || !w->shared)
		return rmnic_wait_idle(w);
	now = now_ns();
	if (!w->asked_since) {
		if (!a->credit && ++a->skips % ASKED_RETRY)
			return true;
		w->asked_since = now;
		w->asked_for = owed;
		if (owed)
			sched_yield(); /* to who is to answer, if it has this CPU */
		return false;
	}
	if (now - w->asked_since < ASKED_NS) {
		sched_yield();
		return false;
	}
	a = &w->asked[w->asked_for];
	a->credit -= a->credit < ASKED_COST ? a->credit : ASKED_COST;
	w->asked_since = 0;
	return true;
}

/* Slept shortly: spinning a bit longer would have met the work. Slept long: it was in vain. */
static void spin_adapt(struct rmnic_wait *w, uint64_t slept, bool woken)
{
	if (woken && slept < w->spin_ns * 2)
		w->spin_ns = w->spin_ns * 2 < SPIN_MAX_NS ? w->spin_ns * 2 : SPIN_MAX_NS;
	else if (slept > w->spin_ns * 8)
		w->spin_ns = w->spin_ns / 2 > SPIN_MIN_NS ? w->spin_ns / 2 : SPIN_MIN_NS;
}

static void event_take(struct rmnic_wait *w, const struct epoll_event *event)
{
	int fd = (int)(uint32_t)event->data.u64;
	socklen_t len = sizeof(int);
	uint64_t count;
	int error;

	if (event->data.u64 & FD_TIMER) {
		if (read(fd, &count, sizeof(count)) == sizeof(count))
			w->armed = 0;
		return;
	}
	/* A packet socket whose interface went down is in error until it is asked which. */
	if (event->events & EPOLLERR)
		(void)getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
}

/*
 * Setting a timer costs a virtual machine an exit, and most sleeps end long before theirs. So one that
 * expires earlier than it has to is left as it is: it ends a sleep for nothing once in a while.
 */
static int sleep_until(struct rmnic_wait *w, struct epoll_event *events, uint64_t now,
		       uint64_t deadline)
{
	struct itimerspec at = { .it_value = to_timespec(deadline) };

	if (deadline <= now)
		return epoll_wait(w->epoll, events, EVENTS, 0);
	if (deadline != UINT64_MAX && (!w->armed || w->armed > deadline)) {
		timerfd_settime(w->timer, TFD_TIMER_ABSTIME, &at, NULL);
		w->armed = deadline;
	}
	return epoll_wait(w->epoll, events, EVENTS, -1);
}

bool rmnic_wait_sleep(struct rmnic_wait *w, uint64_t deadline, bool short_first)
{
	struct epoll_event events[EVENTS];
	uint64_t start = now_ns(), slept;
	bool woken = false, signalled = false;
	int n;

	/* The default slack of 50 us would be on top of every deadline; it is the thread's. */
	if (!w->slack_set) {
		prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
		w->slack_set = true;
	}
	if (short_first && deadline > start + SHORT_NS)
		deadline = start + SHORT_NS;
	n = sleep_until(w, events, start, deadline);
	for (int i = 0; i < n; i++) {
		woken |= !(events[i].data.u64 & FD_TIMER);
		signalled |= events[i].data.u64 & FD_EVENT;
		event_take(w, &events[i]);
	}
	slept = now_ns() - start;
	spin_adapt(w, slept, woken);
	w->slept_ns += slept;
	w->sleeps++;
	w->idle_since = 0;
	return signalled;
}

void rmnic_wait_stats(const struct rmnic_wait *w, uint64_t *slept_ns, uint64_t *sleeps)
{
	*slept_ns = w->slept_ns;
	*sleeps = w->sleeps;
}
