/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * props.c - the properties a user sets: -device rmnic,size=4G,... Every wrong value is refused
 * at realize with an error that names the property, the value and what is allowed.
 */
#include "rmnic.h"

#include "hw/boards.h"
#include "hw/qdev-properties-system.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "qemu/error-report.h"
#include "qemu/units.h"

#define RMNIC_MAX_VECTORS 2048 /* of an MSI-X table */
#define RMNIC_MAX_SLAB    (1 * TiB)
#define RMNIC_MAX_SIZE    (RMNIC_MAX_CAPACITY << RMNIC_PAGE_SHIFT)
#define RMNIC_MIN_TIMEOUT 100            /* ms */
#define RMNIC_MAX_TIMEOUT (3600 * 1000)

static bool rmnic_check_slab(RmnicState *s, Error **errp)
{
    if (s->slab_size < RMNIC_PAGE_SIZE || s->slab_size > RMNIC_MAX_SLAB ||
        !is_power_of_2(s->slab_size)) {
        error_setg(errp, "rmnic: slab-size=%" PRIu64 " is no power of two from %u to %" PRIu64,
                   s->slab_size, RMNIC_PAGE_SIZE, (uint64_t)RMNIC_MAX_SLAB);
        return false;
    }
    return true;
}

static bool rmnic_check_memdev(RmnicState *s, Error **errp)
{
    const char *id = object_get_canonical_path_component(OBJECT(s->memdev));
    MemoryRegion *mr;

    if (host_memory_backend_is_mapped(s->memdev)) {
        error_setg(errp, "rmnic: memdev=%s is in use by another device: give each its own", id);
        return false;
    }
    mr = host_memory_backend_get_memory(s->memdev);
    if (memory_region_is_rom(mr)) {
        error_setg(errp, "rmnic: memdev=%s is read-only: create it with readonly=off", id);
        return false;
    }
    s->size = memory_region_size(mr);
    return true;
}

static bool rmnic_check_timeout(const char *name, uint32_t ms, Error **errp)
{
    if (ms < RMNIC_MIN_TIMEOUT || ms > RMNIC_MAX_TIMEOUT) {
        error_setg(errp, "rmnic: %s=%u is out of range (%u-%u)", name, ms, RMNIC_MIN_TIMEOUT,
                   RMNIC_MAX_TIMEOUT);
        return false;
    }
    return true;
}

/* What the engine in this process has a use for, a backend has not. */
static bool rmnic_check_chardev(RmnicState *s, Error **errp)
{
    if (!qemu_chr_fe_backend_connected(&s->chr)) {
        return true;
    }
    if (s->memdev || s->iothread) {
        error_setg(errp, "rmnic: chardev= and %s= exclude each other: the backend %s",
                   s->memdev ? "memdev" : "iothread",
                   s->memdev ? "keeps the pages: give size=" : "has threads of its own");
        return false;
    }
    return rmnic_fault_none(s, errp) &&
           rmnic_check_timeout("connect-timeout-ms", s->connect_timeout_ms, errp) &&
           rmnic_check_timeout("kill-timeout-ms", s->kill_timeout_ms, errp);
}

static bool rmnic_check_size(RmnicState *s, Error **errp)
{
    if (!s->size == !s->memdev) {
        error_setg(errp, s->memdev ? "rmnic: size= and memdev= exclude each other: give one"
                                   : "rmnic: nothing to keep pages in: give size= or memdev=");
        return false;
    }
    if (s->memdev && !rmnic_check_memdev(s, errp)) {
        return false;
    }
    if (s->size > RMNIC_MAX_SIZE || s->size % s->slab_size) {
        error_setg(errp, "rmnic: %s%" PRIu64 " is no multiple of slab-size=%" PRIu64
                   " up to %" PRIu64, s->memdev ? "memdev= of size " : "size=", s->size,
                   s->slab_size, (uint64_t)RMNIC_MAX_SIZE);
        return false;
    }
    return true;
}

static bool rmnic_check_queues(RmnicState *s, Error **errp)
{
    /* A pair carries one direction: with fewer than two a driver could not page both ways. */
    if (s->queues < 2 || s->queues > RMNIC_MAX_QPAIRS) {
        error_setg(errp, "rmnic: queues=%u is out of range (2-%u)", s->queues, RMNIC_MAX_QPAIRS);
        return false;
    }
    if (s->queue_depth < RMNIC_MIN_DEPTH || s->queue_depth > RMNIC_MAX_DEPTH ||
        !is_power_of_2(s->queue_depth)) {
        error_setg(errp, "rmnic: queue-depth=%u is no power of two from %u to %u",
                   s->queue_depth, RMNIC_MIN_DEPTH, RMNIC_MAX_DEPTH);
        return false;
    }
    if (s->vectors == UINT32_MAX) {
        s->vectors = s->queues + 1; /* one for the admin pair, one for each I/O pair */
    }
    if (s->vectors < 1 || s->vectors > RMNIC_MAX_VECTORS) {
        error_setg(errp, "rmnic: vectors=%u is out of range (1-%u)", s->vectors,
                   RMNIC_MAX_VECTORS);
        return false;
    }
    return true;
}

static bool rmnic_check_serial(RmnicState *s, Error **errp)
{
    size_t max = sizeof_field(struct rmnic_identify, serial) - 1;

    if (!s->serial) {
        s->serial = g_strdup("rmnic");
    }
    for (const char *c = s->serial; *c; c++) {
        if (!g_ascii_isgraph(*c)) {
            error_setg(errp, "rmnic: serial=%s holds a character that is not printable ASCII",
                       s->serial);
            return false;
        }
    }
    if (strlen(s->serial) > max) {
        error_setg(errp, "rmnic: serial=%s is longer than %zu characters", s->serial, max);
        return false;
    }
    return true;
}

/* CAP-1. min: what it may not fall below. */
static bool rmnic_check_capacity(RmnicState *s, uint64_t capacity, uint64_t min, Error **errp)
{
    if (capacity % s->slab_size || capacity < min || capacity > s->size) {
        error_setg(errp, "rmnic: capacity=%" PRIu64 " is no multiple of slab-size=%" PRIu64
                   " from %" PRIu64 " to %" PRIu64, capacity, s->slab_size, min, s->size);
        return false;
    }
    return true;
}

bool rmnic_props_check(RmnicState *s, Error **errp)
{
    if (!rmnic_check_chardev(s, errp) ||
        !rmnic_check_slab(s, errp) || !rmnic_check_size(s, errp) ||
        !rmnic_check_queues(s, errp) || !rmnic_check_serial(s, errp)) {
        return false;
    }
    if (s->start_capacity == 0) {
        s->start_capacity = s->size;
    }
    if (!rmnic_check_capacity(s, s->start_capacity, s->slab_size, errp)) {
        return false;
    }
    if (!kvm_enabled() && current_machine->smp.max_cpus == 1) {
        /* RULES E1 */
        warn_report("rmnic: TCG drops the guest's memory barriers with maxcpus=1, so that a "
                    "wake-up may be late by a millisecond: use -smp 1,maxcpus=2");
    }
    return true;
}

static void rmnic_capacity_get(Object *obj, Visitor *v, const char *name, void *opaque,
                               Error **errp)
{
    RmnicState *s = RMNIC(obj);
    uint64_t value = DEVICE(s)->realized ? s->capacity << RMNIC_PAGE_SHIFT : s->start_capacity;

    visit_type_size(v, name, &value, errp);
}

/* CAP-2: at run time it may only grow. */
static void rmnic_capacity_prop_set(Object *obj, Visitor *v, const char *name, void *opaque,
                                    Error **errp)
{
    RmnicState *s = RMNIC(obj);
    uint64_t value;

    if (!visit_type_size(v, name, &value, errp)) {
        return;
    }
    if (!DEVICE(s)->realized) {
        s->start_capacity = value;
        return;
    }
    if (rmnic_check_capacity(s, value, s->capacity << RMNIC_PAGE_SHIFT, errp)) {
        s->ops->grow(s, value >> RMNIC_PAGE_SHIFT, errp);
    }
}

static char *rmnic_state_get(Object *obj, Error **errp)
{
    RmnicState *s = RMNIC(obj);

    return g_strdup(DEVICE(s)->realized ? rmnic_state_name(s->state) : "unrealized");
}

RMNIC_PROPERTIES rmnic_properties[] = {
    DEFINE_PROP_SIZE("size", RmnicState, size, 0),
    DEFINE_PROP_LINK("memdev", RmnicState, memdev, TYPE_MEMORY_BACKEND, HostMemoryBackend *),
    DEFINE_PROP_SIZE("slab-size", RmnicState, slab_size, 64 * MiB),
    DEFINE_PROP_UINT16("queues", RmnicState, queues, 16),
    DEFINE_PROP_UINT16("queue-depth", RmnicState, queue_depth, 256),
    DEFINE_PROP_UINT32("vectors", RmnicState, vectors, UINT32_MAX),
    DEFINE_PROP_LINK("iothread", RmnicState, iothread, TYPE_IOTHREAD, IOThread *),
    DEFINE_PROP_UINT32("poll-max-ns", RmnicState, poll_max_ns, 200 * SCALE_US),
    DEFINE_PROP_CHR("chardev", RmnicState, chr),
    DEFINE_PROP_UINT32("connect-timeout-ms", RmnicState, connect_timeout_ms, 20000),
    DEFINE_PROP_UINT32("kill-timeout-ms", RmnicState, kill_timeout_ms, 5000),
    DEFINE_PROP_STRING("serial", RmnicState, serial),
    DEFINE_PROP_UUID("uuid", RmnicState, uuid),
    RMNIC_PROPERTIES_END
};

void rmnic_props_class_init(ObjectClass *oc)
{
    device_class_set_props(DEVICE_CLASS(oc), rmnic_properties);
    object_class_property_add(oc, "capacity", "size", rmnic_capacity_get,
                              rmnic_capacity_prop_set, NULL, NULL);
    object_class_property_set_description(oc, "capacity",
        "bytes the guest may use now; grows at run time by qom-set, up to size");
    object_class_property_add_str(oc, "state", rmnic_state_get, NULL);
    object_class_property_set_description(oc, "state", "disabled, starting, ready, resetting or fatal");
}
