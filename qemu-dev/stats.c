/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stats.c - what the device has done, as QOM properties that qom-get reads while the guest
 * runs: "stats" (counters) and "latency" (a histogram for each stage). The engine's thread
 * writes the words, any thread may read them.
 */
#include "rmnic.h"

#include "qapi/error.h"
#include "qapi/qapi-builtin-visit.h"
#include "qapi/visitor.h"

typedef struct RmnicField {
    const char *name;
    size_t offset;
} RmnicField;

/* INVARIANT: the order is that of the migration stream; new ones go to the end. */
#define COUNTER(name, field) { name, offsetof(struct rmnic_counters, field) }

static const RmnicField rmnic_fields[] = {
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
    COUNTER("status-refused", status_refused),
    COUNTER("status-retry", status_retry),
    COUNTER("status-data", status_data),
    COUNTER("aborted", aborted),
    COUNTER("interrupts", interrupts),
    COUNTER("doorbells", doorbells),
    COUNTER("wakeups", wakeups),
    COUNTER("fatal-errors", fatal_errors),
    COUNTER("faults-injected", faults_injected),
};

QEMU_BUILD_BUG_ON(ARRAY_SIZE(rmnic_fields) > RMNIC_VM_REFUSED - RMNIC_VM_COUNTERS);
QEMU_BUILD_BUG_ON(RMNIC_REFUSAL_COUNT > RMNIC_VM_STATS - RMNIC_VM_REFUSED);

static bool rmnic_stats_value(Visitor *v, const char *name, uint64_t value, Error **errp)
{
    return visit_type_uint64(v, name, &value, errp);
}

static bool rmnic_stats_refused(RmnicState *s, Visitor *v, Error **errp)
{
    const struct rmnic_counters *c = rmnic_dev_counters(s->engine);

    for (int i = 0; i < RMNIC_REFUSAL_COUNT; i++) {
        uint64_t n = qatomic_read(&c->refused[i]);
        g_autofree char *name = g_strdelimit(g_strdup(rmnic_refusal_names[i]), "_", '-');

        if (i == RMNIC_REFUSAL_BAD_REGISTER) {
            n += s->bad_registers;
        }
        if (!rmnic_stats_value(v, name, n, errp)) {
            return false;
        }
    }
    return visit_check_struct(v, errp);
}

static bool rmnic_stats_store(RmnicState *s, Visitor *v, Error **errp)
{
    struct rmnic_store_counters c;

    s->store->ops->counters(s->store, &c);
    return rmnic_stats_value(v, "pages-same-filled", c.same_filled, errp) &&
           rmnic_stats_value(v, "pages-in-unwritten", c.in_unwritten, errp) &&
           rmnic_stats_value(v, "pages-stored", c.stored, errp) &&
           rmnic_stats_value(v, "pages-corrupt", c.corrupt, errp);
}

bool rmnic_local_stats(RmnicState *s, Visitor *v, Error **errp)
{
    const char *counters = (const char *)rmnic_dev_counters(s->engine);
    bool ok;

    for (size_t i = 0; i < ARRAY_SIZE(rmnic_fields); i++) {
        const uint64_t *field = (const uint64_t *)(counters + rmnic_fields[i].offset);

        if (!rmnic_stats_value(v, rmnic_fields[i].name, qatomic_read(field), errp)) {
            return false;
        }
    }
    if (!rmnic_stats_value(v, "resets", s->resets, errp) || !rmnic_stats_store(s, v, errp) ||
        !visit_start_struct(v, "refused", NULL, 0, errp)) {
        return false;
    }
    ok = rmnic_stats_refused(s, v, errp);
    visit_end_struct(v, NULL);
    return ok && visit_check_struct(v, errp);
}

static bool rmnic_realized(RmnicState *s, const char *name, Error **errp)
{
    if (!DEVICE(s)->realized) {
        error_setg(errp, "rmnic: %s can be read once the device is realized", name);
    }
    return DEVICE(s)->realized;
}

static void rmnic_stats_get(Object *obj, Visitor *v, const char *name, void *opaque,
                            Error **errp)
{
    RmnicState *s = RMNIC(obj);

    if (rmnic_realized(s, name, errp) && visit_start_struct(v, name, NULL, 0, errp)) {
        s->ops->stats(s, v, errp);
        visit_end_struct(v, NULL);
    }
}

/* --- Latency ---------------------------------------------------------------------------------- */

/* Bucket i holds values from 2^i ns, bucket 0 also those below; zeros at the end are left out. */
static bool rmnic_latency_buckets(const struct rmnic_hist *hist, Visitor *v, Error **errp)
{
    uint64List *list = NULL, **tail = &list;
    bool ok;
    int n = RMNIC_HIST_BUCKETS;

    while (n > 0 && hist->bucket[n - 1] == 0) {
        n--;
    }
    for (int i = 0; i < n; i++) {
        QAPI_LIST_APPEND(tail, hist->bucket[i]);
    }
    ok = visit_type_uint64List(v, "buckets", &list, errp);
    qapi_free_uint64List(list);
    return ok;
}

static bool rmnic_latency_stage(const struct rmnic_hist *hist, Visitor *v, Error **errp)
{
    return rmnic_stats_value(v, "count", hist->count, errp) &&
           rmnic_stats_value(v, "sum-ns", hist->sum_ns, errp) &&
           rmnic_stats_value(v, "max-ns", hist->max_ns, errp) &&
           rmnic_stats_value(v, "p50-ns", rmnic_hist_percentile(hist, 0.5), errp) &&
           rmnic_stats_value(v, "p90-ns", rmnic_hist_percentile(hist, 0.9), errp) &&
           rmnic_stats_value(v, "p99-ns", rmnic_hist_percentile(hist, 0.99), errp) &&
           rmnic_stats_value(v, "p999-ns", rmnic_hist_percentile(hist, 0.999), errp) &&
           rmnic_latency_buckets(hist, v, errp) && visit_check_struct(v, errp);
}

/* A copy, so that the figures of one answer belong together. */
static struct rmnic_hist rmnic_hist_copy(const struct rmnic_hist *from)
{
    struct rmnic_hist to;

    for (int i = 0; i < RMNIC_HIST_BUCKETS; i++) {
        to.bucket[i] = qatomic_read(&from->bucket[i]);
    }
    to.count = qatomic_read(&from->count);
    to.sum_ns = qatomic_read(&from->sum_ns);
    to.max_ns = qatomic_read(&from->max_ns);
    return to;
}

static void rmnic_latency_get(Object *obj, Visitor *v, const char *name, void *opaque,
                              Error **errp)
{
    RmnicState *s = RMNIC(obj);
    bool ok = true;

    if (!rmnic_realized(s, name, errp)) {
        return;
    }
    if (s->user) {
        error_setg(errp, "rmnic: the backend measures latency: ask it (rmnicctl latency)");
        return;
    }
    if (!visit_start_struct(v, name, NULL, 0, errp)) {
        return;
    }
    for (int i = 0; ok && i < RMNIC_STAGE_COUNT; i++) {
        struct rmnic_hist hist = rmnic_hist_copy(rmnic_dev_hist(s->engine, i));

        ok = visit_start_struct(v, rmnic_stage_names[i], NULL, 0, errp);
        if (ok) {
            ok = rmnic_latency_stage(&hist, v, errp);
            visit_end_struct(v, NULL);
        }
    }
    if (ok) {
        visit_check_struct(v, errp);
    }
    visit_end_struct(v, NULL);
}

/* --- Migration --------------------------------------------------------------------------------- */

void rmnic_stats_save(RmnicState *s, uint64_t *to)
{
    const struct rmnic_counters *c = rmnic_dev_counters(s->engine);
    struct rmnic_store_counters store;

    s->store->ops->counters(s->store, &store);
    memset(to, 0, RMNIC_VM_STATS * sizeof(*to));
    to[RMNIC_VM_RESETS] = s->resets;
    to[RMNIC_VM_BAD_REGISTERS] = s->bad_registers;
    to[RMNIC_VM_SAME_FILLED] = store.same_filled;
    to[RMNIC_VM_IN_UNWRITTEN] = store.in_unwritten;
    to[RMNIC_VM_CORRUPT] = store.corrupt;
    for (size_t i = 0; i < ARRAY_SIZE(rmnic_fields); i++) {
        memcpy(&to[RMNIC_VM_COUNTERS + i], (const char *)c + rmnic_fields[i].offset,
               sizeof(*to));
    }
    memcpy(&to[RMNIC_VM_REFUSED], c->refused, sizeof(c->refused));
}

void rmnic_stats_load(RmnicState *s, const uint64_t *from)
{
    struct rmnic_counters c = { };
    struct rmnic_store_counters store = {
        .same_filled = from[RMNIC_VM_SAME_FILLED],
        .in_unwritten = from[RMNIC_VM_IN_UNWRITTEN],
        .corrupt = from[RMNIC_VM_CORRUPT],
    };

    s->resets = from[RMNIC_VM_RESETS];
    s->bad_registers = from[RMNIC_VM_BAD_REGISTERS];
    for (size_t i = 0; i < ARRAY_SIZE(rmnic_fields); i++) {
        memcpy((char *)&c + rmnic_fields[i].offset, &from[RMNIC_VM_COUNTERS + i], sizeof(*from));
    }
    memcpy(c.refused, &from[RMNIC_VM_REFUSED], sizeof(c.refused));
    rmnic_dev_counters_load(s->engine, &c);
    rmnic_store_local_counters_load(s->store, &store);
}

void rmnic_stats_class_init(ObjectClass *oc)
{
    object_class_property_add(oc, "stats", "RmnicStats", rmnic_stats_get, NULL, NULL, NULL);
    object_class_property_set_description(oc, "stats", "counters since the device was created");
    object_class_property_add(oc, "latency", "RmnicLatency", rmnic_latency_get, NULL, NULL, NULL);
    object_class_property_set_description(oc, "latency",
        "per stage: count, sum, maximum, percentiles and power-of-two buckets, in ns");
}
