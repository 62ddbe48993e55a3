/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmstate.c - migration and snapshots. The pages and their metadata travel as RAM (embed.c);
 * here go the registers and the queue pairs, which are at rest because the VM is stopped.
 */
#include "rmnic.h"

#include "hw/pci/msix.h"
#include "migration/vmstate.h"
#include "qapi/error.h"
#include "qemu/error-report.h"

static void rmnic_do_save(void *opaque)
{
    RmnicState *s = opaque;

    rmnic_stats_save(s, s->vm_stats);
    if (s->state == RMNIC_STATE_READY) {
        rmnic_dev_save(s->engine, s->vm_qp);
    }
}

/* RULES C4. Outgoing streams are blocked before; this is for one from an embedded device. */
static bool rmnic_refuses_stream(RmnicState *s)
{
    if (s->user) {
        error_report("rmnic: a device with chardev= can be neither migrated nor restored");
    }
    return s->user;
}

static int rmnic_pre_save(void *opaque)
{
    RmnicState *s = opaque;

    if (rmnic_refuses_stream(s)) {
        return -EINVAL;
    }
    s->ops->look(s);
    s->vm_nqp = s->queues + 1;
    s->vm_npages = s->size >> RMNIC_PAGE_SHIFT;
    s->vm_slab_size = s->slab_size;
    s->vm_features = s->features;
    s->vm_state = s->state;
    s->vm_capacity = s->capacity;
    s->vm_qp = g_renew(struct rmnic_qp_state, s->vm_qp, s->vm_nqp);
    memset(s->vm_qp, 0, s->vm_nqp * sizeof(*s->vm_qp));
    rmnic_engine_call(s, rmnic_do_save, s);
    return 0;
}

/* What VMSTATE_*_EQUAL compares with, and room for the queue pairs. */
static int rmnic_pre_load(void *opaque)
{
    RmnicState *s = opaque;

    if (rmnic_refuses_stream(s)) {
        return -EINVAL;
    }
    s->vm_nqp = s->queues + 1;
    s->vm_npages = s->size >> RMNIC_PAGE_SHIFT;
    s->vm_slab_size = s->slab_size;
    s->vm_features = s->features;
    s->vm_qp = g_renew(struct rmnic_qp_state, s->vm_qp, s->vm_nqp);
    return 0;
}

typedef struct RmnicLoad {
    RmnicState *s;
    Error *err;
} RmnicLoad;

/*
 * The uuid is part of each page's checksum and came with the state, so store and engine are
 * made anew on the memory that arrived. In the IOThread, which therefore sees either the old
 * engine or the new one.
 */
static void rmnic_do_load(void *opaque)
{
    RmnicLoad *load = opaque;
    RmnicState *s = load->s;

    rmnic_dev_disable(s->engine);
    if (!rmnic_engine_create(s, s->vm_capacity, &load->err)) {
        return;
    }
    rmnic_stats_load(s, s->vm_stats);
    if (s->vm_state == RMNIC_STATE_READY) {
        if (!rmnic_dev_load(s->engine, s->regs.drv_features, s->vm_qp)) {
            error_setg(&load->err, "rmnic: a queue pair in the migration stream is invalid, "
                       "or its memory is not RAM here");
        } else if (s->regs.event) {
            rmnic_dev_event(s->engine); /* it may not have been announced yet */
        }
    }
}

static bool rmnic_load_check(RmnicState *s, Error **errp)
{
    uint64_t slab_pages = s->slab_size >> RMNIC_PAGE_SHIFT;
    bool enabled = s->regs.ctrl & RMNIC_CTRL_ENABLE;

    if (s->vm_state >= RMNIC_STATE__MAX || s->vm_state == RMNIC_STATE_RESETTING ||
        enabled != (s->vm_state != RMNIC_STATE_DISABLED) ||
        (s->regs.ctrl & ~RMNIC_CTRL_ENABLE)) {
        error_setg(errp, "rmnic: state %u with CTRL 0x%x in the migration stream is invalid",
                   s->vm_state, s->regs.ctrl);
        return false;
    }
    if (s->vm_capacity > s->size >> RMNIC_PAGE_SHIFT || s->vm_capacity % slab_pages) {
        error_setg(errp, "rmnic: capacity of %" PRIu64 " pages in the migration stream does "
                   "not fit size=%" PRIu64 " and slab-size=%" PRIu64, s->vm_capacity, s->size,
                   s->slab_size);
        return false;
    }
    return true;
}

static int rmnic_post_load(void *opaque, int version_id)
{
    RmnicState *s = opaque;
    RmnicLoad load = { .s = s };

    if (rmnic_load_check(s, &load.err)) {
        rmnic_engine_call(s, rmnic_do_load, &load);
    }
    if (load.err) {
        error_report_err(load.err);
        return -EINVAL;
    }
    qatomic_set(&s->engine_error, RMNIC_ERR_NONE);
    s->paused = true;
    s->state = s->vm_state;
    rmnic_irq_update(s);
    return 0;
}

static const VMStateDescription rmnic_vmstate_qp = {
    .name = "rmnic/queue-pair",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = RMNIC_VMFIELDS {
        VMSTATE_UINT8(active, struct rmnic_qp_state),
        VMSTATE_UINT8(qclass, struct rmnic_qp_state),
        VMSTATE_UINT16(vector, struct rmnic_qp_state),
        VMSTATE_UINT16(coalesce_count, struct rmnic_qp_state),
        VMSTATE_UINT16(coalesce_us, struct rmnic_qp_state),
        VMSTATE_UINT32(depth, struct rmnic_qp_state),
        VMSTATE_UINT32(sq_head, struct rmnic_qp_state),
        VMSTATE_UINT32(cq_tail, struct rmnic_qp_state),
        VMSTATE_UINT64(sq_addr, struct rmnic_qp_state),
        VMSTATE_UINT64(cq_addr, struct rmnic_qp_state),
        VMSTATE_UINT64(rec_addr, struct rmnic_qp_state),
        VMSTATE_END_OF_LIST()
    }
};

const VMStateDescription rmnic_vmstate = {
    .name = TYPE_RMNIC,
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = rmnic_pre_save,
    .pre_load = rmnic_pre_load,
    .post_load = rmnic_post_load,
    .fields = RMNIC_VMFIELDS {
        VMSTATE_PCI_DEVICE(parent_obj, RmnicState),
        VMSTATE_MSIX(parent_obj, RmnicState),
        VMSTATE_UINT64_EQUAL(vm_npages, RmnicState, "size= differs between the two sides"),
        VMSTATE_UINT64_EQUAL(vm_slab_size, RmnicState, "slab-size= differs between the two sides"),
        VMSTATE_UINT64_EQUAL(vm_features, RmnicState, "only one side has a vIOMMU"),
        VMSTATE_UINT16_EQUAL(vm_nqp, RmnicState, "queues= differs between the two sides"),
        VMSTATE_UINT32(vm_state, RmnicState),
        VMSTATE_UINT64(vm_capacity, RmnicState),
        VMSTATE_UINT64_ARRAY(vm_stats, RmnicState, RMNIC_VM_STATS),
        VMSTATE_UINT8_ARRAY(uuid.data, RmnicState, 16),
        VMSTATE_UINT32(regs.ctrl, RmnicState),
        VMSTATE_UINT32(regs.error, RmnicState),
        VMSTATE_UINT32(regs.event, RmnicState),
        VMSTATE_UINT32(regs.reset_count, RmnicState),
        VMSTATE_UINT32(regs.aq_depth, RmnicState),
        VMSTATE_UINT64(regs.drv_features, RmnicState),
        VMSTATE_UINT64(regs.aq_sq, RmnicState),
        VMSTATE_UINT64(regs.aq_cq, RmnicState),
        VMSTATE_UINT64(regs.aq_rec, RmnicState),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT16(vm_qp, RmnicState, vm_nqp, rmnic_vmstate_qp,
                                             struct rmnic_qp_state),
        VMSTATE_END_OF_LIST()
    }
};
