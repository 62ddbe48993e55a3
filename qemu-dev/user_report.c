/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user_report.c - what people are told of a backend: warnings, and the properties "stats" and
 * "backend".
 */
#include "user.h"

#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/bswap.h"
#include "qemu/error-report.h"

/* How long a reader of the counters waits for fresh ones. */
#define RMNIC_STATS_WAIT_MS 200
/* USER-23: a peer that goes on does not fill the log. */
#define RMNIC_SAY_MS        1000

/* --- Warnings ----------------------------------------------------------------------------------------- */

static void G_GNUC_PRINTF(2, 0) rmnic_user_sayv(RmnicUser *u, const char *format, va_list ap)
{
    g_autofree char *text = g_strdup_vprintf(format, ap);
    g_autofree char *who = u->name[0] ? g_strdup_printf("%s (pid %d)", u->name, u->peer.pid)
                                      : g_strdup_printf("backend (pid %d)", u->peer.pid);
    g_autofree char *line = g_strdup_printf("rmnic: chardev=%s: %s: %s", u->label, who, text);

    if (u->starting) {
        if (u->error && !u->patient) {
            return; /* the first is the cause of what follows */
        }
        error_free(u->error);
        u->error = NULL;
        error_setg(&u->error, "%s", line);
        u->patient = false;
        return;
    }
    if (g_strcmp0(line, u->said) == 0 || rmnic_user_now() < u->said_at + RMNIC_SAY_MS) {
        return;
    }
    warn_report("%s", line);
    g_free(u->said);
    u->said = g_steal_pointer(&line);
    u->said_at = rmnic_user_now();
}

void rmnic_user_say(RmnicUser *u, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    rmnic_user_sayv(u, format, ap);
    va_end(ap);
}

void rmnic_user_complain(RmnicUser *u, const char *format, ...)
{
    va_list ap;

    u->complaints++;
    va_start(ap, format);
    rmnic_user_sayv(u, format, ap);
    va_end(ap);
}

/* --- Counters ----------------------------------------------------------------------------------------- */

/* Names are those of the embedded mode where both have a counter. */
static const struct RmnicUserCounter {
    const char *name;
    size_t offset;
    bool gauge; /* of the present, not since the start */
} rmnic_user_counters[] = {
#define COUNTER(name, field) { name, offsetof(struct rmnic_stats, field), false }
#define GAUGE(name, field) { name, offsetof(struct rmnic_stats, field), true }
    COUNTER("page-out-cmds", page_out_cmds),
    COUNTER("page-in-cmds", page_in_cmds),
    COUNTER("free-cmds", free_cmds),
    COUNTER("zero-cmds", zero_cmds),
    COUNTER("flush-cmds", flush_cmds),
    COUNTER("admin-cmds", admin_cmds),
    COUNTER("pages-out", pages_out),
    COUNTER("pages-in", pages_in),
    COUNTER("pages-freed", pages_freed),
    COUNTER("pages-zeroed", pages_zeroed),
    COUNTER("status-refused", refused),
    COUNTER("status-retry", retried),
    COUNTER("status-data", lost),
    COUNTER("aborted", aborted),
    COUNTER("interrupts", interrupts),
    COUNTER("doorbells", doorbells),
    COUNTER("wakeups", wakeups),
    COUNTER("fatal-errors", fatal_errors),
    COUNTER("pages-same-filled", pages_same_filled),
    COUNTER("pages-in-unwritten", pages_in_unwritten),
    GAUGE("pages-stored", pages_stored),
#undef GAUGE
#undef COUNTER
};

static uint64_t rmnic_user_counter(const struct rmnic_stats *stats, size_t offset)
{
    return ldq_le_p((const char *)stats + offset);
}

void rmnic_user_stats_take(RmnicUser *u, const struct rmnic_stats *stats)
{
    u->stats = *stats;
    u->stats_at = rmnic_user_now();
}

/* What a successor counts comes on top; its gauges are its own. */
void rmnic_user_stats_keep(RmnicUser *u)
{
    for (size_t i = 0; i < ARRAY_SIZE(rmnic_user_counters); i++) {
        size_t at = rmnic_user_counters[i].offset;

        if (!rmnic_user_counters[i].gauge) {
            stq_le_p((char *)&u->stats_before + at,
                     rmnic_user_counter(&u->stats_before, at) +
                     rmnic_user_counter(&u->stats, at));
            stq_le_p((char *)&u->stats + at, 0);
        }
    }
    u->wanted.stats = false;
}

static bool rmnic_user_stats_taken(const RmnicUser *u)
{
    return !u->wanted.stats;
}

static bool rmnic_visit_number(Visitor *v, const char *name, uint64_t value, Error **errp)
{
    return visit_type_uint64(v, name, &value, errp);
}

static bool rmnic_visit_text(Visitor *v, const char *name, const char *text, Error **errp)
{
    char *value = (char *)text; /* output visitors read it only */

    return visit_type_str(v, name, &value, errp);
}

bool rmnic_user_stats(RmnicState *s, Visitor *v, Error **errp)
{
    RmnicUser *u = s->user;

    u->wanted.stats = u->link == RMNIC_LINK_UP && u->told.device;
    rmnic_user_wait(u, rmnic_user_stats_taken, RMNIC_STATS_WAIT_MS);
    for (size_t i = 0; i < ARRAY_SIZE(rmnic_user_counters); i++) {
        size_t at = rmnic_user_counters[i].offset;

        if (!rmnic_visit_number(v, rmnic_user_counters[i].name,
                                rmnic_user_counter(&u->stats, at) +
                                rmnic_user_counter(&u->stats_before, at), errp)) {
            return false;
        }
    }
    /* A backend that is away or silent is no error; how old the figures are is said. */
    if (!rmnic_visit_number(v, "age-ms", u->stats_at ? rmnic_user_now() - u->stats_at : 0, errp) ||
        !rmnic_visit_number(v, "resets", s->resets, errp) ||
        !visit_start_struct(v, "refused", NULL, 0, errp)) {
        return false;
    }
    rmnic_visit_number(v, "bad-register", s->bad_registers, errp);
    visit_end_struct(v, NULL);
    return visit_check_struct(v, errp);
}

/* --- The connection ------------------------------------------------------------------------------------ */

static const char *rmnic_user_connection(const RmnicUser *u)
{
    switch (u->link) {
    case RMNIC_LINK_DOWN:
        return "waiting for a backend";
    case RMNIC_LINK_DYING:
        return "waiting for the last backend's end";
    default:
        return !u->told.device ? "setting up" : u->req_type ? "asking" : "connected";
    }
}

static bool rmnic_user_visit(RmnicUser *u, Visitor *v, Error **errp)
{
    bool there = u->link != RMNIC_LINK_DOWN;
    unsigned told = 0;

    for (unsigned i = 0; i < u->regions; i++) {
        told += u->region[i].told;
    }
    return rmnic_visit_text(v, "connection", rmnic_user_connection(u), errp) &&
           rmnic_visit_text(v, "request",
                            u->req_type ? rmnic_user_type_name(u->req_type) : "", errp) &&
           rmnic_visit_text(v, "name", there ? u->name : "", errp) &&
           rmnic_visit_number(v, "pid", there ? u->peer.pid : 0, errp) &&
           rmnic_visit_number(v, "epoch", u->epoch, errp) &&
           rmnic_visit_number(v, "generation", u->wanted.generation, errp) &&
           rmnic_visit_number(v, "regions", told, errp) &&
           rmnic_visit_number(v, "connects", u->connects, errp) &&
           rmnic_visit_number(v, "complaints", u->complaints, errp) &&
           rmnic_visit_number(v, "kills", u->kills, errp) && visit_check_struct(v, errp);
}

static void rmnic_user_backend_get(Object *obj, Visitor *v, const char *name, void *opaque,
                                   Error **errp)
{
    RmnicUser *u = RMNIC(obj)->user;

    if (!u) {
        error_setg(errp, "rmnic: this device has no backend: it was made without chardev=");
    } else if (visit_start_struct(v, name, NULL, 0, errp)) {
        rmnic_link_run(u);
        rmnic_user_visit(u, v, errp);
        visit_end_struct(v, NULL);
    }
}

void rmnic_user_report_class_init(ObjectClass *oc)
{
    object_class_property_add(oc, "backend", "RmnicBackend", rmnic_user_backend_get, NULL, NULL,
                              NULL);
    object_class_property_set_description(oc, "backend",
        "with chardev=: the connection, the backend's name and pid, the epoch");
}
