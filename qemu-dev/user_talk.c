/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user_talk.c - what the backend is to be told next, and what its answers mean (spec/user.md).
 */
#include "user.h"

#include "engine/state_block.h"
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "trace.h"

/* A refused DEVICE is asked for again after this long: servers may come back. */
#define RMNIC_ASK_AGAIN_MS 500
/* Commands may complete for so long after a STOP before they are put back (USER-16). */
#define RMNIC_DRAIN_MS     500
/* Between two enablings. One FATAL and one LEAVING is all that there is to say unasked. */
#define RMNIC_MAX_NOTICES  16

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
    u->ask_at = INT64_MAX;
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
    u->req_index = n;
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
    int index;

    if (u->link != RMNIC_LINK_UP || u->req_type || rmnic_user_introduce(u) || u->told.bye) {
        return;
    }
    if (u->told.generation && u->told.generation != u->wanted.generation) {
        rmnic_user_ask(u, RMNIC_USER_RESET, NULL, 0, NULL, 0);
    } else if (u->told.generation && u->wanted.stopped && !u->told.stopped) {
        rmnic_user_ask_stop(u);
    } else if ((index = rmnic_user_region_due(u, false)) >= 0) {
        rmnic_user_ask_region(u, RMNIC_USER_MEM_DEL, index);
    } else if (u->wanted.bye) {
        rmnic_user_ask(u, RMNIC_USER_BYE, NULL, 0, NULL, 0);
    } else if ((index = rmnic_user_region_due(u, true)) >= 0) {
        rmnic_user_ask_region(u, RMNIC_USER_MEM_ADD, index);
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

/* --- Answers ----------------------------------------------------------------------------------------- */

/* USER-8 */
static bool rmnic_user_heard_hello(RmnicUser *u, const struct rmnic_user_hello_reply *hello)
{
    uint64_t features = le64_to_cpu(hello->device_features);

    for (size_t i = 0; i < sizeof(hello->name); i++) {
        char c = hello->name[i];

        u->name[i] = c == 0 || (c >= ' ' && c <= '~') ? c : '?'; /* USER-3 */
    }
    if (le16_to_cpu(hello->version) != RMNIC_USER_VERSION) {
        rmnic_user_complain(u, "it chose version %u, which was not offered",
                            le16_to_cpu(hello->version));
        return false;
    }
    if (u->starting) {
        u->s->features &= features;
    } else if (u->s->features & ~features) {
        rmnic_user_complain(u, "it lacks features that the guest's device has (0x%" PRIx64 "): "
                            "start one that has them", u->s->features & ~features);
        return false;
    }
    u->told.hello = true;
    return true;
}

static bool rmnic_user_heard_device(RmnicUser *u, const struct rmnic_user_device_reply *reply)
{
    RmnicState *s = u->s;
    uint32_t timeout = le32_to_cpu(reply->command_timeout_ms);

    if (le64_to_cpu(reply->reserved) < s->capacity) {
        rmnic_user_complain(u, "it reserved %" PRIu64 " pages of %" PRIu64 " and calls that a "
                            "success", le64_to_cpu(reply->reserved), s->capacity);
        return false;
    }
    if (u->starting && timeout) {
        s->command_timeout_ms = timeout;
    }
    u->told.device = true;
    u->told.capacity = s->capacity;
    if (!u->starting) {
        rmnic_user_say(u, "serves the device now");
    }
    return true;
}

/* The predecessor's commands go on, or the device comes up. */
static void rmnic_user_heard_enable(RmnicUser *u, uint32_t error)
{
    if (u->told.generation != u->wanted.generation) {
        return; /* it was disabled meanwhile: RESET comes next */
    }
    if (u->s->state == RMNIC_STATE_STARTING) {
        rmnic_enabled(u->s, error);
    } else if (error != RMNIC_ERR_NONE) {
        rmnic_fatal(u->s, error);
    }
}

static bool rmnic_user_heard_capacity(RmnicUser *u, uint64_t pages)
{
    RmnicState *s = u->s;

    if (pages < u->req_pages) {
        rmnic_user_complain(u, "it reserved %" PRIu64 " pages of %" PRIu64 " and calls that a "
                            "success", pages, u->req_pages);
        return false;
    }
    u->told.capacity = u->req_pages;
    rmnic_capacity_grown(s, u->req_pages);
    if (s->state == RMNIC_STATE_READY) {
        rmnic_irq_raise(s, 0); /* CAP-2: EVENT shows it from now on */
    }
    return true;
}

static void rmnic_user_heard_reset(RmnicUser *u)
{
    u->told.generation = 0;
    u->told.stopped = false;
    if (!u->wanted.generation) {
        rmnic_quiescent(u->s);
    }
}

void rmnic_user_forget(RmnicUser *u)
{
    memset(&u->told, 0, sizeof(u->told));
    for (unsigned i = u->regions; i-- > 0;) {
        u->region[i].refused = false;
        rmnic_mem_untold(u, i);
    }
    rmnic_user_heard_reset(u);
}

/* --- Refusals ---------------------------------------------------------------------------------------- */

static char *rmnic_user_refusal(RmnicUser *u, uint16_t type, uint16_t status,
                                const struct rmnic_user_error *error)
{
    char text[RMNIC_USER_TEXT_MAX];
    uint64_t available = le64_to_cpu(error->available);
    g_autofree char *room = NULL;

    rmnic_user_text_clean(error->text, text);
    if (status == RMNIC_USER_S_NO_SPACE && available <= UINT64_MAX >> RMNIC_PAGE_SHIFT) {
        room = g_strdup_printf(" (there is room for %" PRIu64 " bytes)",
                               available << RMNIC_PAGE_SHIFT);
    }
    return g_strdup_printf("it refused %s with %s: %s%s", rmnic_user_type_name(type),
                           rmnic_user_status_name(status), text, room ? room : "");
}

/* False: nothing works without it, or DMA would not have ended. */
static bool rmnic_user_refused(RmnicUser *u, uint16_t type, uint16_t status,
                               const struct rmnic_user_error *error)
{
    g_autofree char *text = rmnic_user_refusal(u, type, status, error);

    switch (type) {
    case RMNIC_USER_DEVICE:
        u->entrusted = false; /* it closed what it was given (USER-1) */
        u->ask_at = rmnic_user_now() + RMNIC_ASK_AGAIN_MS;
        rmnic_user_complain(u, "%s", text);
        /* These two pass: a predecessor's end is noticed, a server comes back. */
        u->patient = status == RMNIC_USER_S_IN_USE || status == RMNIC_USER_S_UNREACHABLE;
        return true;
    case RMNIC_USER_MEM_ADD:
        u->region[u->req_index].refused = true;
        rmnic_user_complain(u, "%s: the guest cannot page what is in the memory at 0x%" PRIx64,
                            text, u->region[u->req_index].addr);
        rmnic_mem_untold(u, u->req_index);
        return true;
    case RMNIC_USER_ENABLE:
        rmnic_user_complain(u, "%s", text);
        rmnic_user_heard_enable(u, RMNIC_ERR_INTERNAL);
        return true;
    case RMNIC_USER_CAPACITY:
        rmnic_user_complain(u, "%s", text);
        g_free(u->grow_error);
        u->grow_error = g_steal_pointer(&text);
        u->wanted.capacity = u->s->capacity;
        return true;
    case RMNIC_USER_STATS:
    case RMNIC_USER_BYE:
        rmnic_user_complain(u, "%s", text);
        u->wanted.stats = false;
        u->told.bye = type == RMNIC_USER_BYE;
        return true;
    default:
        rmnic_user_complain(u, "%s: the connection is dropped", text);
        return false;
    }
}

static bool rmnic_user_notice(RmnicUser *u, uint16_t type, const struct rmnic_user_fatal *fatal)
{
    if (++u->notices > RMNIC_MAX_NOTICES) {
        rmnic_user_complain(u, "it sends notices without end: the connection is dropped");
        return false;
    }
    if (type == RMNIC_USER_LEAVING) {
        u->leaving = true;
        return false; /* nothing more is to be heard from it */
    }
    /* USER-18 */
    if (u->wanted.generation && le32_to_cpu(fatal->generation) == u->wanted.generation) {
        trace_rmnic_fatal(u->s, le32_to_cpu(fatal->error));
        rmnic_fatal(u->s, le32_to_cpu(fatal->error));
    }
    return true;
}

/* What comes back for the request that was under way. */
static bool rmnic_user_answer(RmnicUser *u, uint16_t type, const void *payload)
{
    switch (type) {
    case RMNIC_USER_HELLO:
        return rmnic_user_heard_hello(u, payload);
    case RMNIC_USER_DEVICE:
        return rmnic_user_heard_device(u, payload);
    case RMNIC_USER_MEM_DEL:
        rmnic_mem_untold(u, u->req_index);
        break;
    case RMNIC_USER_KICK:
        u->told.kick = true;
        break;
    case RMNIC_USER_CALL:
        u->told.calls += u->req_index;
        break;
    case RMNIC_USER_ENABLE:
        rmnic_user_heard_enable(u, le32_to_cpu(((const struct rmnic_user_enable_reply *)
                                                payload)->error));
        break;
    case RMNIC_USER_RESET:
        rmnic_user_heard_reset(u);
        break;
    case RMNIC_USER_STOP:
        u->told.stopped = true;
        break;
    case RMNIC_USER_CAPACITY:
        return rmnic_user_heard_capacity(u, le64_to_cpu(((const struct rmnic_user_capacity *)
                                                         payload)->pages));
    case RMNIC_USER_STATS:
        u->wanted.stats = false;
        rmnic_user_stats_take(u, payload);
        break;
    case RMNIC_USER_BYE:
        u->told.bye = true;
        u->entrusted = false;
        break;
    }
    return true;
}

bool rmnic_user_heard(RmnicUser *u, const struct rmnic_user_msg *msg, const void *payload)
{
    uint16_t type = u->req_type;
    bool ok;

    trace_rmnic_user_heard(u->s, rmnic_user_type_name(msg->type),
                           rmnic_user_status_name(msg->status));
    if (msg->flags == RMNIC_USER_F_NOTICE) {
        return rmnic_user_notice(u, msg->type, payload);
    }
    u->req_type = 0;
    if (type == RMNIC_USER_RESET || type == RMNIC_USER_STOP || type == RMNIC_USER_MEM_DEL) {
        u->kill_at = INT64_MAX; /* it is getting on */
    }
    ok = msg->status == RMNIC_USER_S_OK ? rmnic_user_answer(u, type, payload)
                                        : rmnic_user_refused(u, type, msg->status, payload);
    if (ok) {
        rmnic_user_talk(u);
    }
    return ok;
}
