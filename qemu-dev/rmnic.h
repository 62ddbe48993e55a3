/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rmnic.h - the state of one device and what its source files ask of each other.
 *
 * Two threads touch it: whoever holds QEMU's big lock ("BQL": register and configuration
 * accesses, QOM, migration), and the IOThread that runs the engine. A field belongs to the
 * BQL unless it says otherwise. The engine is only called in the IOThread, or while the
 * IOThread is known not to touch it (see rmnic_engine_call()).
 */
#ifndef QEMU_RMNIC_H
#define QEMU_RMNIC_H

#include "compat.h"

#include "engine/device.h"
#include "engine/store_local.h"

#define TYPE_RMNIC "rmnic"
OBJECT_DECLARE_SIMPLE_TYPE(RmnicState, RMNIC)

/* What a driver is told to wait for (CAP_TIMING); the embedded store answers at once. */
#define RMNIC_READY_TIMEOUT_MS   2000
#define RMNIC_COMMAND_TIMEOUT_MS 10000

/* What the embedded engine has; a backend may have less. */
#define RMNIC_FEATURES (RMNIC_F_CAPACITY_EV | RMNIC_F_COALESCE | RMNIC_F_SAME_FILLED)

/* Of BAR0 from RMNIC_REG_CAPS on. */
#define RMNIC_CAPS_SIZE (sizeof(struct rmnic_cap_queues) + sizeof(struct rmnic_cap_transfer) + \
                         sizeof(struct rmnic_cap_store) + sizeof(struct rmnic_cap_timing))

/*
 * spec/device.md, "Enable, reset and the end of DMA"; changed by rmnic_state_set() alone. The
 * values are those of the migration stream, where STARTING never is.
 */
typedef enum RmnicRunState {
    RMNIC_STATE_DISABLED,
    RMNIC_STATE_READY,
    RMNIC_STATE_RESETTING,
    RMNIC_STATE_FATAL,
    RMNIC_STATE_STARTING,
    RMNIC_STATE__MAX
} RmnicRunState;

/*
 * Who executes commands: the engine in this process (local.c) or a backend (user.c). Called
 * under the BQL.
 */
typedef struct RmnicModeOps {
    bool (*start)(RmnicState *s, Error **errp);
    /* The device was reset; afterwards nobody uses its notifiers or guest memory. */
    void (*stop)(RmnicState *s);
    /* Takes the registers as they are; the answer is rmnic_enabled(), now or later. */
    void (*enable)(RmnicState *s);
    /* The answer is rmnic_quiescent(); wait: before it returns. */
    void (*disable)(RmnicState *s, bool wait);
    /* Sets paused and running. When it returns after taking DMA away, there is none. */
    void (*dma)(RmnicState *s, bool dma_allowed, bool running);
    /* The answer is rmnic_capacity_grown() before it returns, or an error. */
    bool (*grow)(RmnicState *s, uint64_t pages, Error **errp);
    /* What was said meanwhile takes effect: a register is about to be read or written. */
    void (*look)(RmnicState *s);
    /* DMA-10 */
    bool (*waiting)(RmnicState *s);
    /* s->iommu has changed; before the guest runs. */
    void (*iommu)(RmnicState *s);
    /* Members of the property "stats". */
    bool (*stats)(RmnicState *s, Visitor *v, Error **errp);
} RmnicModeOps;

typedef struct RmnicUser RmnicUser;

/* What the guest reads and writes in BAR0, as far as it is not constant. */
typedef struct RmnicRegs {
    uint32_t ctrl;
    uint32_t error;
    uint32_t event;
    uint32_t reset_count;
    uint32_t aq_depth;
    uint64_t drv_features;
    uint64_t aq_sq;
    uint64_t aq_cq;
    uint64_t aq_rec;
} RmnicRegs;

/* Places in the migration stream's array of counters; those not named are zero. */
enum {
    RMNIC_VM_RESETS,
    RMNIC_VM_BAD_REGISTERS,
    RMNIC_VM_SAME_FILLED,
    RMNIC_VM_IN_UNWRITTEN,
    RMNIC_VM_CORRUPT,
    RMNIC_VM_COUNTERS = 8, /* in the order of rmnic_fields[] in stats.c */
    RMNIC_VM_REFUSED = 64, /* by enum rmnic_refusal */
    RMNIC_VM_STATS = 128
};

typedef struct RmnicVector {
    RmnicState *dev;
    EventNotifier notifier; /* set by the IOThread */
    int virq;               /* KVM's route for it, or -1: the main loop delivers */
} RmnicVector;

struct RmnicState {
    PCIDevice parent_obj;

    /* Properties; constant once realized. */
    uint64_t size;
    uint64_t slab_size;
    uint64_t start_capacity; /* bytes */
    uint16_t queues;
    uint16_t queue_depth;
    uint32_t vectors;
    uint32_t poll_max_ns;
    char *serial;
    QemuUUID uuid;
    HostMemoryBackend *memdev;
    IOThread *iothread;
    CharBackend chr;         /* to a backend; else the engine is in this process */
    uint32_t connect_timeout_ms;
    uint32_t kill_timeout_ms;

    /* Constant once realized, too. */
    const RmnicModeOps *ops;
    uint32_t ready_timeout_ms;
    uint32_t command_timeout_ms;
    EventNotifier wake;      /* of all doorbells */

    /* Registers and state machine (regs.c). */
    MemoryRegion bar;
    MemoryRegion msix_bar;
    uint8_t pm_cap;          /* offset in configuration space */
    RmnicRegs regs;
    RmnicRunState state;
    uint64_t features;
    uint64_t capacity;       /* pages */
    uint64_t lie_capacity;   /* pages; 0: CAPACITY tells the truth */
    uint64_t lie_cap_ptr;    /* 0: CAP_PTR tells the truth */
    uint64_t bad_registers;
    uint64_t resets;
    /* Written in the IOThread while a caller of rmnic_engine_call() waits: both may read. */
    bool running;            /* the VM is */
    bool paused;             /* the engine was told to stop DMA */
    uint32_t engine_error;   /* atomic, set by the IOThread: the engine went fatal */
    QEMUBH *fatal_bh;
    uint8_t caps[RMNIC_CAPS_SIZE];
    VMChangeStateEntry *vmchange;

    RmnicUser *user;         /* user.c; NULL: embedded */

    /* The engine and its store (local.c, embed.c). */
    struct rmnic_dev *engine;
    struct rmnic_store *store;
    struct rmnic_fault fault; /* what the x-fault properties say */
    MemoryRegion own_pages;
    MemoryRegion *pages;
    MemoryRegion meta;
    uint32_t granule;         /* bytes in which freed memory goes back to the host */

    /* The engine's thread (poll.c). */
    IOThread *thread;
    bool own_thread;
    AioContext *ctx;
    QEMUTimer *timer;         /* IOThread */
    bool polling;             /* IOThread: NEED_WAKEUP is 0 */
    bool rechecked;           /* IOThread: the first, short sleep is over */
    uint64_t recheck_at;      /* IOThread: when it will be; 0: not begun */
    bool lookout;             /* IOThread: work was seen after all on going to sleep */
    AddressSpace *as;         /* of the device's DMA */
    bool iommu;

    /* Interrupts (irq.c). */
    RmnicVector *vector;
    bool irqfd;

    /* What a migration stream holds, between pre_save or pre_load and post_load (vmstate.c). */
    uint16_t vm_nqp;
    uint32_t vm_state;
    uint64_t vm_npages;
    uint64_t vm_slab_size;
    uint64_t vm_features;
    uint64_t vm_capacity;
    uint64_t vm_stats[RMNIC_VM_STATS];
    struct rmnic_qp_state *vm_qp;
};

/* --- regs.c ----------------------------------------------------------------------------- */

extern const MemoryRegionOps rmnic_regs_ops;

void rmnic_caps_build(RmnicState *s);
/* Enters `next`, or stays where it is when that is no legal move. */
void rmnic_state_set(RmnicState *s, RmnicRunState next);
const char *rmnic_state_name(RmnicRunState state);
/* The answer to ops->enable(): RMNIC_ERR_NONE, or why not. */
void rmnic_enabled(RmnicState *s, uint32_t error);
/* Any reset: all queues go, CTRL and the rest are cleared (DMA-2). wait: until no DMA happens. */
void rmnic_reset(RmnicState *s, bool wait);
/* The answer to ops->disable(). */
void rmnic_quiescent(RmnicState *s);
/* Has DMA match dma_allowed. running: the VM is. */
void rmnic_dma_set(RmnicState *s, bool dma_allowed, bool running);
void rmnic_capacity_grown(RmnicState *s, uint64_t pages);
/* What executes commands gave up: RMNIC_ERR_*. */
void rmnic_fatal(RmnicState *s, uint32_t error);

/* --- rmnic.c ---------------------------------------------------------------------------- */

/* What the configuration space says: bus mastering is on, the function is in D0 (DMA-3). */
bool rmnic_config_allows_dma(RmnicState *s);
bool rmnic_in_d3(RmnicState *s);
bool rmnic_behind_iommu(RmnicState *s);

/* --- local.c ---------------------------------------------------------------------------- */

extern const RmnicModeOps rmnic_local_ops;

/* (Re)makes store and engine from the properties and s->uuid; the old ones are gone. */
bool rmnic_engine_create(RmnicState *s, uint64_t capacity, Error **errp);

/* --- user.c ----------------------------------------------------------------------------- */

extern const RmnicModeOps rmnic_user_ops;

void rmnic_user_report_class_init(ObjectClass *oc);

/* --- host.c ------------------------------------------------------------------------------- */

extern const struct rmnic_host_ops rmnic_host_ops;

void rmnic_host_init(void);
void rmnic_refused_trace(RmnicState *s, enum rmnic_refusal why, uint16_t qid, uint16_t cid,
                         uint64_t value);

/* --- poll.c ------------------------------------------------------------------------------- */

bool rmnic_poll_start(RmnicState *s, Error **errp);
void rmnic_poll_stop(RmnicState *s);
/* From run to halt the thread polls s->engine, which must exist. */
void rmnic_poll_run(RmnicState *s);
void rmnic_poll_halt(RmnicState *s);
/* Has the engine look at its queues; any thread. */
void rmnic_poll_kick(RmnicState *s);
/*
 * Runs fn(opaque) in the IOThread, between two rounds of the engine, and waits for it.
 * Called with the BQL held.
 */
void rmnic_engine_call(RmnicState *s, void (*fn)(void *opaque), void *opaque);

/* --- fuzz.c ------------------------------------------------------------------------------- */

#ifdef CONFIG_FUZZ
/* The fuzzer fills guest memory: here, and what is mapped still, at each doorbell. */
void rmnic_fuzz_mapped(const struct rmnic_mapping *mapping);
void rmnic_fuzz_unmapped(const struct rmnic_mapping *mapping);
void rmnic_fuzz_doorbell(void);
#else
static inline void rmnic_fuzz_mapped(const struct rmnic_mapping *mapping) {}
static inline void rmnic_fuzz_unmapped(const struct rmnic_mapping *mapping) {}
static inline void rmnic_fuzz_doorbell(void) {}
#endif

/* --- irq.c -------------------------------------------------------------------------------- */

bool rmnic_irq_init(RmnicState *s, Error **errp);
void rmnic_irq_exit(RmnicState *s);
/* After a change of the configuration space: irqfd follows MSI-X. */
void rmnic_irq_update(RmnicState *s);
/* Any thread. */
void rmnic_irq_raise(RmnicState *s, uint16_t vector);

/* --- embed.c ------------------------------------------------------------------------------ */

bool rmnic_embed_init(RmnicState *s, Error **errp);
void rmnic_embed_exit(RmnicState *s);
/* A store on the blocks as they are now; NULL: out of memory. */
struct rmnic_store *rmnic_embed_open(RmnicState *s);

/* --- props.c, fault.c, stats.c, vmstate.c --------------------------------------------------- */

/* Checks every property and fills in defaults. */
bool rmnic_props_check(RmnicState *s, Error **errp);
void rmnic_props_class_init(ObjectClass *oc);
void rmnic_fault_class_init(ObjectClass *oc);
/* False: a fault is asked for, which only the embedded engine can have. */
bool rmnic_fault_none(RmnicState *s, Error **errp);
/* Hands the engine what the x-fault properties say. */
void rmnic_fault_apply(RmnicState *s);
void rmnic_stats_class_init(ObjectClass *oc);
bool rmnic_local_stats(RmnicState *s, Visitor *v, Error **errp);
/* The counters as the migration stream has them; in the IOThread. */
void rmnic_stats_save(RmnicState *s, uint64_t *to);
void rmnic_stats_load(RmnicState *s, const uint64_t *from);

extern const VMStateDescription rmnic_vmstate;

#endif /* QEMU_RMNIC_H */
