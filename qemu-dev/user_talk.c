/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user_talk.c - what the backend is to be told next (spec/user.md).
 */
#include "user.h"

#include "engine/state_block.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "trace.h"

/* Commands may complete for so long after a STOP before they are put back (USER-16). */
#define RMNIC_DRAIN_MS 500

/* --- Requests --------------------------------------------------------------------------------------- */

static void rmnic_user_ask(RmnicUser *u, uint16_t type, const void *payload, uint32_t size,
                           const int *fds, unsigned nfds)
{
    trace_rmnic_user_ask(u->s, rmnic_user_type_name(type));
    u->req_type = type;
    if (!rmnic_user_send(u, type, payload, size, fds, nfds)) {
        rmnic_link_drop(u);
    }
}

static void rmnic_user_ask_hello(RmnicUser *u)
{
    struct rmnic_user_hello hello = {
        .version_min = cpu_to_le16(RMNIC_USER_VERSION),
        .version_max = cpu_to_le16(RMNIC_USER_VERSION),
        .features = cpu_to_le64(RMNIC_USER_FEATURES),
    };

    u->ask_at = rmnic_user_now() + u->s->connect_timeout_ms;
    rmnic_user_ask(u, RMNIC_USER_HELLO, &hello, sizeof(hello), NULL, 0);
}

/* USER-5: link is UP only when the predecessor is gone. */
static void rmnic_user_ask_device(RmnicUser *u)
{
    RmnicState *s = u->s;
    struct rmnic_state_hdr *block = u->state;
    const char *name = qemu_get_vm_name();
    struct rmnic_user_device device = {
        .capacity = cpu_to_le64(s->capacity),
        .max_capacity = cpu_to_le64(s->size >> RMNIC_PAGE_SHIFT),
        .slab_pages = cpu_to_le32(s->slab_size >> RMNIC_PAGE_SHIFT),
        .max_qpairs = cpu_to_le16(s->queues),
        .max_depth = cpu_to_le16(s->queue_depth),
        .vectors = cpu_to_le16(s->vectors),
        .epoch = cpu_to_le32(++u->epoch),
        .features = cpu_to_le64(s->features),
        .state_size = cpu_to_le64(u->state_size),
    };

    memcpy(device.uuid, s->uuid.data, sizeof(device.uuid));
    pstrcpy(device.serial, sizeof(device.serial), s->serial);
    pstrcpy(device.name, sizeof(device.name), name ? name : "");
    for (char *c = device.name; *c; c++) {
        *c = *c >= ' ' && *c <= '~' ? *c : '?';
    }
    /* Pairs with the backend's reading it after the message that announces it. */
    qatomic_store_release(&block->epoch, cpu_to_le32(u->epoch));
    u->entrusted = true;
    u->ask_at = rmnic_user_now() + u->s->connect_timeout_ms;
    rmnic_user_ask(u, RMNIC_USER_DEVICE, &device, sizeof(device), &u->state_fd, 1);
}

static void rmnic_user_ask_region(RmnicUser *u, uint16_t type, unsigned index)
{
    RmnicUserRegion *r = &u->region[index];
    bool add = type == RMNIC_USER_MEM_ADD;
    struct rmnic_user_region region = {
        .addr = cpu_to_le64(r->addr),
        .size = cpu_to_le64(r->size),
        .offset = cpu_to_le64(add ? r->offset : 0),
    };

    u->req_index = index;
    r->told = true;
    rmnic_user_ask(u, type, &region, sizeof(region), &r->fd, add);
}

static void rmnic_user_ask_call(RmnicUser *u)
{
    unsigned n = MIN(u->s->vectors - u->told.calls, RMNIC_USER_MAX_FDS);
    struct rmnic_user_call call = {
        .first = cpu_to_le16(u->told.calls),
        .count = cpu_to_le16(n),
    };
    int fds[RMNIC_USER_MAX_FDS];

    for (unsigned i = 0; i < n; i++) {
        fds[i] = event_notifier_get_fd(&u->s->vector[u->told.calls + i].notifier);
    }
    u->req_calls = n;
    rmnic_user_ask(u, RMNIC_USER_CALL, &call, sizeof(call), fds, n);
}

static void rmnic_user_ask_enable(RmnicUser *u)
{
    const RmnicRegs *regs = &u->s->regs;
    struct rmnic_user_enable enable = {
        .drv_features = cpu_to_le64(regs->drv_features),
        .aq_sq = cpu_to_le64(regs->aq_sq),
        .aq_cq = cpu_to_le64(regs->aq_cq),
        .aq_rec = cpu_to_le64(regs->aq_rec),
        .aq_depth = cpu_to_le32(regs->aq_depth),
        .generation = cpu_to_le32(u->wanted.generation),
        .stopped = cpu_to_le32(u->wanted.stopped),
    };

    u->told.generation = u->wanted.generation;
    u->told.stopped = u->wanted.stopped;
    u->notices = 0;
    rmnic_user_ask(u, RMNIC_USER_ENABLE, &enable, sizeof(enable), NULL, 0);
}

static void rmnic_user_ask_stop(RmnicUser *u)
{
    struct rmnic_user_stop stop = {
        .drain_ms = cpu_to_le32(MIN(RMNIC_DRAIN_MS, u->s->kill_timeout_ms / 2)),
    };

    rmnic_user_ask(u, RMNIC_USER_STOP, &stop, sizeof(stop), NULL, 0);
}

static void rmnic_user_ask_start(RmnicUser *u)
{
    u->told.stopped = false;
    rmnic_user_ask(u, RMNIC_USER_START, NULL, 0, NULL, 0);
}

static void rmnic_user_ask_capacity(RmnicUser *u)
{
    struct rmnic_user_capacity capacity = { .pages = cpu_to_le64(u->wanted.capacity) };

    u->req_pages = u->wanted.capacity;
    rmnic_user_ask(u, RMNIC_USER_CAPACITY, &capacity, sizeof(capacity), NULL, 0);
}

/* A region in which what is wanted and what was told differ; -1: none. */
static int rmnic_user_region_due(const RmnicUser *u, bool add)
{
    unsigned told = 0;

    for (unsigned i = 0; i < u->regions; i++) {
        told += u->region[i].told;
    }
    for (unsigned i = 0; i < u->regions; i++) {
        const RmnicUserRegion *r = &u->region[i];

        if (add ? r->wanted && !r->told && !r->refused && told < RMNIC_USER_MAX_REGIONS
                : r->told && !r->wanted) {
            return i;
        }
    }
    return -1;
}

/* DMA-4: what is FATAL is not enabled with a successor. */
static bool rmnic_user_live(const RmnicUser *u)
{
    return u->s->state == RMNIC_STATE_STARTING || u->s->state == RMNIC_STATE_READY;
}

/* What a backend is told before it may be asked for anything. True: it said something. */
static bool rmnic_user_introduce(RmnicUser *u)
{
    if (!u->told.hello) {
        rmnic_user_ask_hello(u);
    } else if (u->told.device) {
        return false;
    } else if (u->ask_at == INT64_MAX || rmnic_user_now() >= u->ask_at) {
        rmnic_user_ask_device(u);
    }
    return true;
}

/* In the order of what is worst to be late with: first what ends DMA. */
void rmnic_user_talk(RmnicUser *u)
{
    int gone, new;

    if (u->link != RMNIC_LINK_UP || u->req_type || rmnic_user_introduce(u) || u->told.bye) {
        return;
    }
    gone = rmnic_user_region_due(u, false);
    new = rmnic_user_region_due(u, true);
    if (u->told.generation && u->told.generation != u->wanted.generation) {
        rmnic_user_ask(u, RMNIC_USER_RESET, NULL, 0, NULL, 0);
    } else if (u->told.generation && u->wanted.stopped && !u->told.stopped) {
        rmnic_user_ask_stop(u);
    } else if (gone >= 0) {
        rmnic_user_ask_region(u, RMNIC_USER_MEM_DEL, gone);
    } else if (u->wanted.bye) {
        rmnic_user_ask(u, RMNIC_USER_BYE, NULL, 0, NULL, 0);
    } else if (new >= 0) {
        rmnic_user_ask_region(u, RMNIC_USER_MEM_ADD, new);
    } else if (!u->told.kick) {
        int fd = event_notifier_get_fd(&u->s->wake);

        rmnic_user_ask(u, RMNIC_USER_KICK, NULL, 0, &fd, 1);
    } else if (u->told.calls < u->s->vectors) {
        rmnic_user_ask_call(u);
    } else if (u->wanted.generation && !u->told.generation && rmnic_user_live(u)) {
        rmnic_user_ask_enable(u);
    } else if (u->told.generation && !u->wanted.stopped && u->told.stopped) {
        rmnic_user_ask_start(u);
    } else if (u->wanted.capacity > u->told.capacity) {
        rmnic_user_ask_capacity(u);
    } else if (u->wanted.stats) {
        rmnic_user_ask(u, RMNIC_USER_STATS, NULL, 0, NULL, 0);
    }
}

bool rmnic_user_overdue(const RmnicUser *u)
{
    return (u->told.generation && u->told.generation != u->wanted.generation) ||
           (u->told.generation && u->wanted.stopped && !u->told.stopped) ||
           rmnic_mem_leaving(u);
}
