/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user.c - the mode with a backend: what the registers ask for becomes something wanted of the
 * backend (user.h), and where PCI or QEMU says that DMA has to have ended, it is waited for.
 */
#include "user.h"

#include "engine/state_block.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/memfd.h"
#include "trace.h"

#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/* How much longer than the kill a driver waits: a process with much memory dies slowly. */
#define RMNIC_DEATH_MS 10000
/* BYE frees memory on servers; QEMU does not hang on their account. */
#define RMNIC_BYE_MS   2000

/* --- What is waited for ------------------------------------------------------------------------------- */

static bool rmnic_user_reset_done(const RmnicUser *u)
{
    return !u->told.generation;
}

static bool rmnic_user_no_dma(const RmnicUser *u)
{
    return !u->told.generation || u->told.stopped;
}

static bool rmnic_user_bye_done(const RmnicUser *u)
{
    return u->told.bye || u->link != RMNIC_LINK_UP;
}

static bool rmnic_user_grown(const RmnicUser *u)
{
    return u->grow_error || u->link != RMNIC_LINK_UP || u->told.capacity >= u->wanted.capacity;
}

static bool rmnic_user_settled(const RmnicUser *u)
{
    for (unsigned i = 0; i < u->regions; i++) {
        if (u->region[i].wanted && !u->region[i].told) {
            return false;
        }
    }
    return u->told.kick && u->told.calls == u->s->vectors && !u->req_type;
}

static bool rmnic_user_started(const RmnicUser *u)
{
    return (u->error && !u->patient) || rmnic_user_settled(u);
}

/* --- What the registers ask for ------------------------------------------------------------------------- */

static void rmnic_user_enable(RmnicState *s)
{
    RmnicUser *u = s->user;

    if (++u->generation == 0) {
        u->generation = 1;
    }
    u->wanted.generation = u->generation;
    rmnic_link_run(u);
}

/* USER-17, USER-20 */
static void rmnic_user_disable(RmnicState *s, bool wait)
{
    RmnicUser *u = s->user;

    u->wanted.generation = 0;
    rmnic_link_run(u);
    if (wait) {
        rmnic_user_wait(u, rmnic_user_reset_done, INT64_MAX);
    }
    if (rmnic_user_reset_done(u)) {
        rmnic_quiescent(s);
    }
}

/* DMA-3 */
static void rmnic_user_dma(RmnicState *s, bool dma_allowed, bool running)
{
    RmnicUser *u = s->user;

    s->running = running;
    s->paused = !dma_allowed;
    u->wanted.stopped = s->paused;
    rmnic_link_run(u);
    if (s->paused) {
        rmnic_user_wait(u, rmnic_user_no_dma, INT64_MAX);
    }
}

/* USER-22 */
static bool rmnic_user_grow(RmnicState *s, uint64_t pages, Error **errp)
{
    RmnicUser *u = s->user;

    rmnic_link_run(u);
    if (u->link != RMNIC_LINK_UP || !u->told.device) {
        error_setg(errp, "rmnic: no backend is connected that could reserve capacity=%" PRIu64
                   ": try again", pages << RMNIC_PAGE_SHIFT);
        return false;
    }
    g_clear_pointer(&u->grow_error, g_free);
    u->wanted.capacity = MAX(pages, s->capacity);
    if (!rmnic_user_wait(u, rmnic_user_grown, s->connect_timeout_ms)) {
        error_setg(errp, "rmnic: the backend did not answer within connect-timeout-ms=%u: the "
                   "capacity grows when it does", s->connect_timeout_ms);
    } else if (u->grow_error) {
        error_setg(errp, "rmnic: no capacity=%" PRIu64 " from the backend: %s",
                   pages << RMNIC_PAGE_SHIFT, u->grow_error);
    } else if (u->told.capacity < u->wanted.capacity) {
        error_setg(errp, "rmnic: the backend went away: the capacity grows when it is back");
    } else {
        return true;
    }
    return false;
}

static void rmnic_user_look(RmnicState *s)
{
    rmnic_link_run(s->user);
}

static bool rmnic_user_waiting(RmnicState *s)
{
    return s->user->link != RMNIC_LINK_UP || !s->user->told.device;
}

/* Refused before the guest runs, see rmnic_user_machine_done(). */
static void rmnic_user_iommu(RmnicState *s)
{
}

/* --- The state block ------------------------------------------------------------------------------------ */

/*
 * USER-5: above all epochs of earlier lives of a device of this uuid, of which no server can know that
 * they are over. Halves of a second since 2020, in 32 bits until 2088; a life that takes more than two
 * backends a second has other problems.
 */
static uint32_t rmnic_user_first_epoch(void)
{
    int64_t since = g_get_real_time() - INT64_C(1577836800) * G_USEC_PER_SEC;

    return MAX(1, since / (G_USEC_PER_SEC / 2));
}

/* RULES A1: it lives as long as the device does. */
static bool rmnic_user_block_init(RmnicUser *u, Error **errp)
{
    ERRP_GUARD();
    RmnicState *s = u->s;
    struct rmnic_state_shape shape = {
        .pages = s->size >> RMNIC_PAGE_SHIFT,
        .slab_pages = s->slab_size >> RMNIC_PAGE_SHIFT,
        .queues = s->queues + 1,
        .depth = s->queue_depth,
        .epoch = rmnic_user_first_epoch(),
    };

    memcpy(shape.uuid, s->uuid.data, sizeof(shape.uuid));
    u->state_size = rmnic_state_size(&shape);
    if (!u->state_size) {
        error_setg(errp, "rmnic: no state block fits size=%" PRIu64 ", slab-size=%" PRIu64
                   " and queues=%u of queue-depth=%u: make slabs or queues smaller", s->size,
                   s->slab_size, s->queues, s->queue_depth);
        return false;
    }
    u->state_fd = qemu_memfd_create("rmnic-state", u->state_size, false, 0,
                                    F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL, errp);
    if (u->state_fd < 0) {
        error_prepend(errp, "rmnic: no state block of %" PRIu64 " bytes: ", u->state_size);
        return false;
    }
    u->state = mmap(NULL, u->state_size, PROT_READ | PROT_WRITE, MAP_SHARED, u->state_fd, 0);
    if (u->state == MAP_FAILED) {
        error_setg_errno(errp, errno, "rmnic: mapping the state block of %" PRIu64 " bytes",
                         u->state_size);
        close(u->state_fd);
        return false;
    }
    rmnic_state_format(u->state, &shape);
    u->epoch = shape.epoch;
    return true;
}

static void rmnic_user_block_exit(RmnicUser *u)
{
    munmap(u->state, u->state_size);
    close(u->state_fd);
}

/* --- Life ------------------------------------------------------------------------------------------------- */

/* Slabs are given back now and not when servers find out. */
static void rmnic_user_bye(RmnicUser *u)
{
    u->wanted.generation = 0;
    u->wanted.bye = true;
    if (u->link == RMNIC_LINK_UP && u->told.device &&
        !rmnic_user_wait(u, rmnic_user_bye_done, MIN(RMNIC_BYE_MS, u->s->kill_timeout_ms))) {
        rmnic_user_say(u, "did not answer BYE: what it holds is freed when it notices");
    }
}

/* QEMU ends; the machine was stopped before. */
static void rmnic_user_exit(Notifier *notifier, void *data)
{
    rmnic_user_bye(container_of(notifier, RmnicUser, exit));
}

/* RULES C3; the command line may name the vIOMMU, or a memory module, after the device. */
static void rmnic_user_machine_done(Notifier *notifier, void *data)
{
    RmnicUser *u = container_of(notifier, RmnicUser, machine_done);

    if (rmnic_behind_iommu(u->s)) {
        error_report("rmnic: chardev= does not work behind a vIOMMU: leave one of them out");
    } else if (u->unusable != UINT64_MAX) {
        error_report("rmnic: chardev= needs the guest's memory on sealed shared memfds, and what "
                     "is at 0x%" PRIx64 " is not: give it -object memory-backend-memfd,share=on",
                     u->unusable);
    } else {
        return;
    }
    exit(EXIT_FAILURE);
}

/* Waits for a backend that has reserved the capacity and knows everything. */
static bool rmnic_user_connect(RmnicUser *u, Error **errp)
{
    RmnicState *s = u->s;

    u->starting = true;
    if (rmnic_link_init(u, errp)) {
        rmnic_user_wait(u, rmnic_user_started, s->connect_timeout_ms);
        if (rmnic_user_settled(u) && (!u->error || u->patient)) {
            error_free(u->error); /* it came right by itself */
            u->error = NULL;
            u->starting = false;
            return true;
        }
        if (!u->error) {
            error_setg(&u->error, "rmnic: chardev=%s: the backend (pid %d) did not answer %s "
                       "within connect-timeout-ms=%u", u->label, u->peer.pid,
                       rmnic_user_type_name(u->req_type), s->connect_timeout_ms);
        }
        error_propagate(errp, u->error);
        u->error = NULL;
        rmnic_user_bye(u);
        rmnic_link_exit(u);
    }
    return false;
}

/* RULES C4. Snapshots are blocked by the same means. */
static bool rmnic_user_block_migration(RmnicUser *u, Error **errp)
{
    error_setg(&u->blocker, "rmnic: a device with chardev= can be neither migrated nor saved: "
               "its backend cannot log yet which memory it writes");
    return rmnic_migration_block(&u->blocker, errp);
}

static bool rmnic_user_start(RmnicState *s, Error **errp)
{
    RmnicUser *u;

    if (s->iommu) {
        error_setg(errp, "rmnic: chardev= does not work behind a vIOMMU: leave one of them out");
        return false;
    }
    /* USER-12; without it a backend's first sleep is short anyway. */
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0);
    u = s->user = g_new0(RmnicUser, 1);
    u->s = s;
    u->label = g_strdup(qemu_chr_fe_get_driver(&s->chr)->label);
    u->fd = u->peer.pidfd = -1;
    u->connect_at = u->ask_at = u->kill_at = INT64_MAX;
    u->starting = true;
    s->capacity = u->wanted.capacity = s->start_capacity >> RMNIC_PAGE_SHIFT;
    u->wanted.stopped = s->paused;
    s->ready_timeout_ms = s->kill_timeout_ms + RMNIC_DEATH_MS;
    if (!rmnic_user_block_migration(u, errp)) {
        goto free_user;
    }
    if (!rmnic_user_block_init(u, errp)) {
        goto unblock;
    }
    if (!rmnic_mem_init(u, errp)) {
        goto free_block;
    }
    if (!rmnic_user_connect(u, errp)) {
        goto exit_mem;
    }
    u->exit.notify = rmnic_user_exit;
    qemu_add_exit_notifier(&u->exit);
    u->machine_done.notify = rmnic_user_machine_done;
    qemu_add_machine_init_done_notifier(&u->machine_done);
    return true;

exit_mem:
    rmnic_mem_exit(u);
free_block:
    rmnic_user_block_exit(u);
unblock:
    rmnic_migration_unblock(&u->blocker);
free_user:
    g_free(u->label);
    g_free(u);
    s->user = NULL;
    return false;
}

static void rmnic_user_stop(RmnicState *s)
{
    RmnicUser *u = s->user;

    qemu_remove_machine_init_done_notifier(&u->machine_done);
    qemu_remove_exit_notifier(&u->exit);
    rmnic_user_bye(u);
    rmnic_link_exit(u);
    rmnic_mem_exit(u);
    rmnic_user_block_exit(u);
    rmnic_migration_unblock(&u->blocker);
    g_free(u->grow_error);
    g_free(u->said);
    g_free(u->label);
    g_free(u);
    s->user = NULL;
}

const RmnicModeOps rmnic_user_ops = {
    .start = rmnic_user_start,
    .stop = rmnic_user_stop,
    .enable = rmnic_user_enable,
    .disable = rmnic_user_disable,
    .dma = rmnic_user_dma,
    .grow = rmnic_user_grow,
    .look = rmnic_user_look,
    .waiting = rmnic_user_waiting,
    .iommu = rmnic_user_iommu,
    .stats = rmnic_user_stats,
};
