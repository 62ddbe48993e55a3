/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fault.c - x- properties that make the device misbehave, for tests of its driver
 * (engine/fault.h). They may be set on the command line and at run time by qom-set.
 */
#include "rmnic.h"

#include "qapi/error.h"
#include "qapi/visitor.h"

typedef struct RmnicKnob {
    const char *name;
    size_t offset; /* in struct rmnic_fault */
    size_t size;   /* 4 or 8 */
    uint64_t max;
    const char *description;
} RmnicKnob;

#define KNOB(name, field, max, description)                                        \
    { name, offsetof(struct rmnic_fault, field), sizeof_field(struct rmnic_fault, field), max, \
      description }

static const RmnicKnob rmnic_knobs[] = {
    KNOB("x-fault-opcode", opcode, UINT8_MAX, "commands concerned; 0: every I/O command"),
    KNOB("x-fault-delay-us", delay_us, 10 * 1000 * 1000, "completions are so much later"),
    KNOB("x-fault-status", fail_status, 0xfff, "status in place of the result"),
    KNOB("x-fault-nth", fail_nth, UINT32_MAX, "... of every n-th concerned command"),
    KNOB("x-fault-permille", fail_permille, 1000, "... of this share of them"),
    KNOB("x-fault-rpn", fail_rpn_first, RMNIC_MAX_CAPACITY, "... that touches pages from here"),
    KNOB("x-fault-rpn-count", fail_rpn_count, RMNIC_MAX_CAPACITY, "... so many; 0: any page"),
    KNOB("x-fault-cqe", cqe_kind, RMNIC_FAULT_CQE_COUNT - 1,
         "a wrong completion: 1 cid, 2 double, 3 status, 4 qid, 5 done, 6 none at all"),
    KNOB("x-fault-cqe-nth", cqe_nth, UINT32_MAX, "... for the n-th concerned one, once"),
    KNOB("x-fault-drop-irq-nth", drop_irq_nth, UINT32_MAX, "every n-th interrupt is dropped"),
};

static uint64_t rmnic_knob_read(const struct rmnic_fault *fault, const RmnicKnob *knob)
{
    const void *field = (const char *)fault + knob->offset;

    return knob->size == 4 ? qatomic_read((const uint32_t *)field)
                           : qatomic_read((const uint64_t *)field);
}

static void rmnic_knob_write(struct rmnic_fault *fault, const RmnicKnob *knob, uint64_t value)
{
    void *field = (char *)fault + knob->offset;

    if (knob->size == 4) {
        qatomic_set((uint32_t *)field, value);
    } else {
        qatomic_set((uint64_t *)field, value);
    }
}

static void rmnic_knob_get(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    RmnicState *s = RMNIC(obj);
    uint64_t value = rmnic_knob_read(s->engine ? rmnic_dev_fault(s->engine) : &s->fault, opaque);

    visit_type_uint64(v, name, &value, errp);
}

static void rmnic_knob_set(Object *obj, Visitor *v, const char *name, void *opaque, Error **errp)
{
    RmnicState *s = RMNIC(obj);
    const RmnicKnob *knob = opaque;
    uint64_t value;

    if (!visit_type_uint64(v, name, &value, errp)) {
        return;
    }
    if (value > knob->max) {
        error_setg(errp, "rmnic: %s=%" PRIu64 " is out of range (0-%" PRIu64 ")", name, value,
                   knob->max);
        return;
    }
    if (s->user && value) {
        error_setg(errp, "rmnic: %s needs the engine in QEMU: leave out chardev=", name);
        return;
    }
    rmnic_knob_write(&s->fault, knob, value);
    if (s->engine) {
        rmnic_knob_write(rmnic_dev_fault(s->engine), knob, value);
    }
}

/* Registers that can be made to lie; 0: the truth. */
static const struct RmnicLie {
    const char *name;
    size_t offset; /* in RmnicState */
    const char *description;
} rmnic_lies[] = {
    { "x-lie-capacity", offsetof(RmnicState, lie_capacity),
      "pages that the register CAPACITY shows instead of the truth; 0: the truth" },
    { "x-lie-cap-ptr", offsetof(RmnicState, lie_cap_ptr),
      "offset that the register CAP_PTR shows instead of the truth; 0: the truth" },
};

/* Reads or writes, as the visitor does. */
static void rmnic_lie_visit(Object *obj, Visitor *v, const char *name, void *opaque,
                            Error **errp)
{
    const struct RmnicLie *lie = opaque;

    visit_type_uint64(v, name, (uint64_t *)((char *)RMNIC(obj) + lie->offset), errp);
}

bool rmnic_fault_none(RmnicState *s, Error **errp)
{
    for (size_t i = 0; i < ARRAY_SIZE(rmnic_knobs); i++) {
        if (rmnic_knob_read(&s->fault, &rmnic_knobs[i])) {
            error_setg(errp, "rmnic: %s needs the engine in QEMU: leave out chardev=",
                       rmnic_knobs[i].name);
            return false;
        }
    }
    return true;
}

void rmnic_fault_apply(RmnicState *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(rmnic_knobs); i++) {
        rmnic_knob_write(rmnic_dev_fault(s->engine), &rmnic_knobs[i],
                         rmnic_knob_read(&s->fault, &rmnic_knobs[i]));
    }
}

void rmnic_fault_class_init(ObjectClass *oc)
{
    for (size_t i = 0; i < ARRAY_SIZE(rmnic_knobs); i++) {
        const RmnicKnob *knob = &rmnic_knobs[i];

        object_class_property_add(oc, knob->name, "uint64", rmnic_knob_get, rmnic_knob_set,
                                  NULL, (void *)knob);
        object_class_property_set_description(oc, knob->name, knob->description);
    }
    for (size_t i = 0; i < ARRAY_SIZE(rmnic_lies); i++) {
        const struct RmnicLie *lie = &rmnic_lies[i];

        object_class_property_add(oc, lie->name, "uint64", rmnic_lie_visit, rmnic_lie_visit,
                                  NULL, (void *)lie);
        object_class_property_set_description(oc, lie->name, lie->description);
    }
}
