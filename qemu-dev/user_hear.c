/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user_hear.c - what the backend's answers and notices mean (spec/user.md). Their form was
 * checked (engine/user_msg.h); here it is what they say.
 */
#include "user.h"

#include "qemu/bswap.h"
#include "trace.h"

/* A refused DEVICE is asked for again after this long: servers may come back. */
#define RMNIC_ASK_AGAIN_MS 500
/* Between two enablings. One FATAL and one LEAVING is all that there is to say unasked. */
#define RMNIC_MAX_NOTICES  16

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
    u->ask_at = INT64_MAX;
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
    u->ask_at = INT64_MAX;
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
        u->told.calls += u->req_calls;
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
