/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * poll.c - the IOThread that runs the engine: when it polls, when it sleeps, how others get
 * something done in it.
 *
 * NEED_WAKEUP is 0 only while somebody is sure to look at the rings again: between
 * io_poll_begin and io_poll_end, when the AioContext polls rmnic_poll_look(), and inside
 * rmnic_poll_work(). Everywhere else it is 1 and the doorbell's notifier wakes the thread
 * (RING-9, RING-15). How long the AioContext polls before it sleeps adapts itself between 0
 * and poll-max-ns; a device without work costs nothing after that.
 */
#include "rmnic.h"

#include "qapi/error.h"
#include "trace.h"

/* Rounds of the engine before others in the same AioContext get their turn. */
#define RMNIC_POLL_ROUNDS 32
/*
 * RULES E1: the first sleep after work is this short, in case a guest without barriers did
 * not see NEED_WAKEUP; only a second look that finds nothing lets the thread sleep for good.
 */
#define RMNIC_RECHECK_NS  (1 * SCALE_MS)

static RmnicState *rmnic_of_wake(EventNotifier *notifier)
{
    return container_of(notifier, RmnicState, wake);
}

/* The engine's deadlines, and the end of the first sleep. */
static void rmnic_poll_timer_set(RmnicState *s, bool sleeping)
{
    uint64_t at = rmnic_dev_deadline(s->engine);

    if (sleeping && !s->rechecked) {
        /* Set once: the AioContext may look at the rings and go to sleep several times. */
        if (!s->recheck_at) {
            s->recheck_at = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + RMNIC_RECHECK_NS;
        }
        at = MIN(at, s->recheck_at);
    }
    if (at > INT64_MAX) {
        if (timer_pending(s->timer)) {
            timer_del(s->timer);
        }
    } else {
        timer_mod(s->timer, at);
    }
}

/*
 * False: there is something to do, at once. A round without work does the store's
 * housekeeping, so the last one before a sleep is not left out.
 */
static bool rmnic_poll_sleep(RmnicState *s)
{
    bool more = rmnic_dev_poll(s->engine);
    bool slept = rmnic_dev_sleep_begin(s->engine);

    trace_rmnic_sleep(s, slept && !more);
    rmnic_poll_timer_set(s, true);
    return slept && !more;
}

static void rmnic_poll_work(RmnicState *s)
{
    s->lookout = false;
    if (!s->polling) {
        trace_rmnic_wake(s);
        rmnic_dev_sleep_end(s->engine);
    }
    for (int i = 0; i < RMNIC_POLL_ROUNDS && rmnic_dev_has_work(s->engine); i++) {
        rmnic_dev_poll(s->engine);
        s->rechecked = false;
        s->recheck_at = 0;
    }
    if (s->polling) {
        rmnic_poll_timer_set(s, false);
    } else if (!rmnic_poll_sleep(s)) {
        event_notifier_set(&s->wake);
    }
}

static void rmnic_poll_read(EventNotifier *notifier)
{
    RmnicState *s = rmnic_of_wake(notifier);

    if (event_notifier_test_and_clear(notifier)) {
        rmnic_fuzz_doorbell();
        rmnic_dev_doorbell(s->engine);
        rmnic_poll_work(s);
    }
}

static bool rmnic_poll_look(void *opaque)
{
    RmnicState *s = rmnic_of_wake(opaque);

    return s->lookout || rmnic_dev_has_work(s->engine);
}

static void rmnic_poll_ready(EventNotifier *notifier)
{
    rmnic_poll_work(rmnic_of_wake(notifier));
}

static void rmnic_poll_begin(EventNotifier *notifier)
{
    RmnicState *s = rmnic_of_wake(notifier);

    s->polling = true;
    rmnic_dev_sleep_end(s->engine);
}

/* The AioContext calls rmnic_poll_look() once more after this. */
static void rmnic_poll_end(EventNotifier *notifier)
{
    RmnicState *s = rmnic_of_wake(notifier);

    s->polling = false;
    s->lookout = !rmnic_poll_sleep(s);
}

static void rmnic_poll_timer(void *opaque)
{
    RmnicState *s = opaque;

    if (s->recheck_at && qemu_clock_get_ns(QEMU_CLOCK_REALTIME) >= s->recheck_at) {
        s->rechecked = true;
        s->recheck_at = 0;
    }
    rmnic_poll_work(s);
}

void rmnic_poll_kick(RmnicState *s)
{
    event_notifier_set(&s->wake);
}

/* --- Calls into the thread ------------------------------------------------------------------ */

typedef struct RmnicCall {
    void (*fn)(void *opaque);
    void *opaque;
    QemuSemaphore done;
} RmnicCall;

static void rmnic_call_bh(void *opaque)
{
    RmnicCall *call = opaque;

    call->fn(call->opaque);
    qemu_sem_post(&call->done);
}

/*
 * The thread never takes the BQL (RULES C2), so waiting for it under the BQL is safe, with one
 * exception: a vIOMMU that reports a fault stores its interrupt message from the thread that
 * did the access, and that store takes the BQL. So with a vIOMMU the wait lets go of it now
 * and then.
 */
void rmnic_engine_call(RmnicState *s, void (*fn)(void *opaque), void *opaque)
{
    RmnicCall call = { .fn = fn, .opaque = opaque };

    if (!s->thread) {
        fn(opaque);
        return;
    }
    qemu_sem_init(&call.done, 0);
    aio_bh_schedule_oneshot(s->ctx, rmnic_call_bh, &call);
    while (qemu_sem_timedwait(&call.done, s->iommu ? 10 : 1000) < 0) {
        if (s->iommu) {
            rmnic_bql_unlock();
            rmnic_bql_lock();
        }
    }
    qemu_sem_destroy(&call.done);
}

static void rmnic_poll_attach(void *opaque)
{
    RmnicState *s = opaque;

    s->timer = aio_timer_new(s->ctx, QEMU_CLOCK_REALTIME, SCALE_NS, rmnic_poll_timer, s);
    rmnic_aio_set_notifier(s->ctx, &s->wake, rmnic_poll_read, rmnic_poll_look,
                           rmnic_poll_ready);
    aio_set_event_notifier_poll(s->ctx, &s->wake, rmnic_poll_begin, rmnic_poll_end);
}

static void rmnic_poll_detach(void *opaque)
{
    RmnicState *s = opaque;

    rmnic_aio_set_notifier(s->ctx, &s->wake, NULL, NULL, NULL);
    timer_free(s->timer);
    s->timer = NULL;
}

static bool rmnic_thread_create(RmnicState *s, Error **errp)
{
    static unsigned serial;
    g_autofree char *id = g_strdup_printf("rmnic-iothread-%u", serial++);
    Error *err = NULL;

    s->thread = iothread_create(id, errp);
    if (!s->thread) {
        return false;
    }
    s->own_thread = true;
    /* From nothing to full polling in two wake-ups; back in halves, as work gets rarer. */
    if (!object_property_set_int(OBJECT(s->thread), "poll-max-ns", s->poll_max_ns, &err) ||
        !object_property_set_int(OBJECT(s->thread), "poll-grow", 64, &err) ||
        !object_property_set_int(OBJECT(s->thread), "poll-shrink", 2, &err)) {
        error_propagate(errp, err);
        iothread_destroy(s->thread);
        return false;
    }
    return true;
}

bool rmnic_poll_start(RmnicState *s, Error **errp)
{
#ifdef CONFIG_FUZZ
    /* An input has to do the same each time, and the fuzzer's hooks know no threads. */
    s->ctx = qemu_get_aio_context();
    return true;
#endif
    if (s->iothread) {
        s->thread = s->iothread;
        object_ref(OBJECT(s->thread));
    } else if (!rmnic_thread_create(s, errp)) {
        return false;
    }
    s->ctx = iothread_get_aio_context(s->thread);
    return true;
}

void rmnic_poll_run(RmnicState *s)
{
    rmnic_engine_call(s, rmnic_poll_attach, s);
}

void rmnic_poll_halt(RmnicState *s)
{
    rmnic_engine_call(s, rmnic_poll_detach, s);
}

void rmnic_poll_stop(RmnicState *s)
{
    if (!s->thread) {
        return;
    }
    if (s->own_thread) {
        iothread_destroy(s->thread);
    } else {
        object_unref(OBJECT(s->thread));
    }
    s->thread = NULL;
}
