/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * host.c - what the engine asks of its host, answered by QEMU (engine/host.h). All of it runs
 * in the engine's IOThread without the BQL.
 */
#include "rmnic.h"

#include "trace.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>

/*
 * RULES C2, CMD-11: only RAM that can be reached directly, in one piece (the engine
 * never asks for bytes on both sides of a page boundary, where a vIOMMU may put a seam). MMIO
 * is refused, the device's own BAR included: an access to it would take the BQL in this thread
 * and deadlock with a reset, and bounce buffers would let a command wait for another one's.
 */
static bool rmnic_host_map(void *host, uint64_t addr, uint32_t len, bool write,
                           struct rmnic_mapping *out)
{
    RmnicState *s = host;
    hwaddr xlat, plen = len;
    MemoryRegion *mr;

    if (len == 0 || addr + len < addr) {
        return false;
    }
    RCU_READ_LOCK_GUARD();
    mr = address_space_translate(s->as, addr, &xlat, &plen, write, MEMTXATTRS_UNSPECIFIED);
    if (plen < len || !rmnic_access_is_direct(mr, write)) {
        return false;
    }
    memory_region_ref(mr);
    *out = (struct rmnic_mapping) {
        .ptr = qemu_map_ram_ptr(mr->ram_block, xlat),
        .addr = addr,
        .len = len,
        .write = write,
        .opaque = mr,
    };
    rmnic_fuzz_mapped(out);
    return true;
}

static void rmnic_owner_release(void *opaque)
{
    object_unref(OBJECT(opaque));
}

/*
 * DMA-8: the last reference to a memory module that was pulled out takes its memory apart,
 * which is done under the BQL: that one is dropped by the main loop.
 */
static void rmnic_region_release(MemoryRegion *mr)
{
    Object *owner = mr->owner;
    uint32_t ref = owner ? qatomic_read(&owner->ref) : 0;

    while (ref > 1) {
        uint32_t seen = qatomic_cmpxchg(&owner->ref, ref, ref - 1);

        if (seen == ref) {
            return;
        }
        ref = seen;
    }
    if (owner) {
        aio_bh_schedule_oneshot(qemu_get_aio_context(), rmnic_owner_release, owner);
    }
}

/*
 * address_space_unmap() marks what was written dirty for migration, drops code that TCG has
 * translated from it, and releases the region's reference.
 */
static void rmnic_host_unmap(void *host, struct rmnic_mapping *mapping, uint32_t written)
{
    RmnicState *s = host;
    MemoryRegion *mr = mapping->opaque;

    rmnic_fuzz_unmapped(mapping);
    memory_region_ref(mr);
    address_space_unmap(s->as, mapping->ptr, mapping->len, written > 0, written);
    rmnic_region_release(mr);
    mapping->ptr = NULL;
}

/* The same for a mapping that stays: it keeps its own reference. */
static void rmnic_host_written(void *host, const struct rmnic_mapping *mapping,
                               uint32_t offset, uint32_t len)
{
    RmnicState *s = host;

    memory_region_ref(mapping->opaque);
    address_space_unmap(s->as, (uint8_t *)mapping->ptr + offset, len, true, len);
}

static void rmnic_host_irq(void *host, uint16_t vector)
{
    rmnic_irq_raise(host, vector);
}

static uint64_t rmnic_host_now_ns(void *host)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

/*
 * RULES E1: a guest's barrier is a host barrier in TCG only when the machine may have several
 * CPUs; this one is executed on the vCPU threads' behalf. Where the kernel has no such call
 * the first sleep is short anyway (poll.c).
 */
static void rmnic_host_membarrier(void *host)
{
    smp_mb(); /* pairs with the guest's between sq_tail and need_wakeup (RING-10) */
    syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0);
}

static void rmnic_host_fetched(void *host, uint16_t qid, uint16_t cid, uint8_t opcode,
                               uint64_t rpn, uint32_t npages)
{
    trace_rmnic_fetched(host, qid, cid, opcode, rpn, npages);
}

static void rmnic_host_completed(void *host, uint16_t qid, uint16_t cid, uint16_t status,
                                 uint64_t latency_ns)
{
    trace_rmnic_completed(host, qid, cid, status, latency_ns);
}

static void rmnic_host_fatal(void *host, uint32_t error)
{
    RmnicState *s = host;

    trace_rmnic_fatal(s, error);
    qatomic_set(&s->engine_error, error);
    qemu_bh_schedule(s->fatal_bh);
}

static void rmnic_host_refused(void *host, enum rmnic_refusal why, uint16_t qid, uint16_t cid,
                               uint64_t value)
{
    rmnic_refused_trace(host, why, qid, cid, value);
}

/* One trace event for each kind of refusal, so that one of them can be watched alone. */
void rmnic_refused_trace(RmnicState *s, enum rmnic_refusal why, uint16_t qid, uint16_t cid,
                         uint64_t value)
{
    switch (why) {
#define REFUSED(id, name)                                     \
    case RMNIC_REFUSAL_##id:                                  \
        trace_rmnic_refused_##name(s, qid, cid, value);       \
        break
    REFUSED(INVALID_OPCODE, invalid_opcode);
    REFUSED(RESERVED_FIELD, reserved_field);
    REFUSED(MISALIGNED, misaligned);
    REFUSED(LIST_CROSSES_PAGE, list_crosses_page);
    REFUSED(NOT_RAM, not_ram);
    REFUSED(BAD_LENGTH, bad_length);
    REFUSED(RPN_RANGE, rpn_range);
    REFUSED(BAD_QID, bad_qid);
    REFUSED(WRONG_CLASS, wrong_class);
    REFUSED(BAD_CID, bad_cid);
    REFUSED(CID_IN_FLIGHT, cid_in_flight);
    REFUSED(BAD_VECTOR, bad_vector);
    REFUSED(BAD_DEPTH, bad_depth);
    REFUSED(BAD_QCLASS, bad_qclass);
    REFUSED(BAD_SQ_TAIL, bad_sq_tail);
    REFUSED(BAD_CQ_HEAD, bad_cq_head);
    REFUSED(BAD_FEATURES, bad_features);
    REFUSED(BAD_AQ, bad_aq);
    REFUSED(BAD_REGISTER, bad_register);
#undef REFUSED
    case RMNIC_REFUSAL_COUNT:
        break;
    }
}

void rmnic_host_init(void)
{
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
}

const struct rmnic_host_ops rmnic_host_ops = {
    .map = rmnic_host_map,
    .unmap = rmnic_host_unmap,
    .written = rmnic_host_written,
    .irq = rmnic_host_irq,
    .now_ns = rmnic_host_now_ns,
    .membarrier = rmnic_host_membarrier,
    .refused = rmnic_host_refused,
    .fetched = rmnic_host_fetched,
    .completed = rmnic_host_completed,
    .fatal = rmnic_host_fatal,
};
