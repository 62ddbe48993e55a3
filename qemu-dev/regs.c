/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * regs.c - BAR0 and the device's state machine (spec/device.md, "Registers" and "Enable,
 * reset and the end of DMA"). Everything here runs under the BQL.
 */
#include "rmnic.h"

#include "qemu/bswap.h"
#include "trace.h"

/* Every register that is no capability and no doorbell. */
static const struct RmnicReg {
    uint16_t offset;
    uint8_t size;
    bool writable;
} rmnic_regs[] = {
    { RMNIC_REG_MAGIC,        4, false },
    { RMNIC_REG_VERSION,      4, false },
    { RMNIC_REG_CAP_PTR,      4, false },
    { RMNIC_REG_STATUS,       4, false },
    { RMNIC_REG_CTRL,         4, true },
    { RMNIC_REG_ERROR,        4, false },
    { RMNIC_REG_DEV_FEATURES, 8, false },
    { RMNIC_REG_DRV_FEATURES, 8, true },
    { RMNIC_REG_CAPACITY,     8, false },
    { RMNIC_REG_EVENT,        4, true },
    { RMNIC_REG_RESET_COUNT,  4, false },
    { RMNIC_REG_AQ_DEPTH,     4, true },
    { RMNIC_REG_AQ_SQ,        8, true },
    { RMNIC_REG_AQ_CQ,        8, true },
    { RMNIC_REG_AQ_REC,       8, true },
    { RMNIC_REG_UUID,         8, false },
    { RMNIC_REG_UUID + 8,     8, false },
};

/* --- State machine ------------------------------------------------------------------------ */

static const char *const rmnic_state_names[RMNIC_STATE__MAX] = {
    [RMNIC_STATE_DISABLED] = "disabled",
    [RMNIC_STATE_READY] = "ready",
    [RMNIC_STATE_RESETTING] = "resetting",
    [RMNIC_STATE_FATAL] = "fatal",
    [RMNIC_STATE_STARTING] = "starting",
};

const char *rmnic_state_name(RmnicRunState state)
{
    return rmnic_state_names[state];
}

void rmnic_state_set(RmnicState *s, RmnicRunState next)
{
    static const unsigned legal[RMNIC_STATE__MAX] = {
        [RMNIC_STATE_DISABLED] = BIT(RMNIC_STATE_STARTING) | BIT(RMNIC_STATE_RESETTING),
        [RMNIC_STATE_STARTING] = BIT(RMNIC_STATE_READY) | BIT(RMNIC_STATE_FATAL) |
                                 BIT(RMNIC_STATE_RESETTING),
        [RMNIC_STATE_READY] = BIT(RMNIC_STATE_RESETTING) | BIT(RMNIC_STATE_FATAL),
        [RMNIC_STATE_RESETTING] = BIT(RMNIC_STATE_DISABLED),
        [RMNIC_STATE_FATAL] = BIT(RMNIC_STATE_RESETTING),
    };

    if (!(legal[s->state] & BIT(next))) {
        trace_rmnic_state_refused(s, rmnic_state_name(s->state), rmnic_state_name(next));
        return;
    }
    trace_rmnic_state(s, rmnic_state_name(s->state), rmnic_state_name(next));
    s->state = next;
    if (next == RMNIC_STATE_FATAL) {
        s->regs.event |= RMNIC_EVENT_FATAL;
    }
}

/* DMA-5: whatever is wrong makes the device FATAL and does nothing else. */
static void rmnic_enable(RmnicState *s)
{
    s->regs.ctrl = RMNIC_CTRL_ENABLE;
    rmnic_state_set(s, RMNIC_STATE_STARTING);
    if (pci_get_word(s->parent_obj.config + PCI_COMMAND) & PCI_COMMAND_MASTER) {
        s->ops->enable(s);
    } else {
        rmnic_enabled(s, RMNIC_ERR_BUS_MASTER);
    }
}

void rmnic_enabled(RmnicState *s, uint32_t error)
{
    if (s->state != RMNIC_STATE_STARTING) {
        return;
    }
    s->regs.error = error;
    rmnic_state_set(s, error == RMNIC_ERR_NONE ? RMNIC_STATE_READY : RMNIC_STATE_FATAL);
}

/* DMA-1, DMA-2. */
void rmnic_reset(RmnicState *s, bool wait)
{
    if (s->state != RMNIC_STATE_RESETTING) {
        rmnic_state_set(s, RMNIC_STATE_RESETTING);
        s->regs = (RmnicRegs) { .reset_count = s->regs.reset_count };
    }
    s->ops->disable(s, wait);
}

void rmnic_quiescent(RmnicState *s)
{
    if (s->state != RMNIC_STATE_RESETTING) {
        return;
    }
    s->resets++;
    s->regs.reset_count++;
    rmnic_state_set(s, RMNIC_STATE_DISABLED);
}

/* DMA-3. When it returns after taking the permission away, no DMA happens any more. */
void rmnic_dma_set(RmnicState *s, bool dma_allowed, bool running)
{
    if (s->paused == !dma_allowed && s->running == running) {
        return;
    }
    trace_rmnic_dma(s, dma_allowed, running);
    s->ops->dma(s, dma_allowed, running);
}

void rmnic_capacity_grown(RmnicState *s, uint64_t pages)
{
    if (pages != s->capacity) {
        trace_rmnic_capacity(s, pages);
        s->capacity = pages;
        s->regs.event |= RMNIC_EVENT_CAPACITY;
    }
}

void rmnic_fatal(RmnicState *s, uint32_t error)
{
    if (s->state == RMNIC_STATE_READY) {
        s->regs.error = error;
        rmnic_state_set(s, RMNIC_STATE_FATAL);
        rmnic_irq_raise(s, 0);
    }
}

/* --- Register accesses ---------------------------------------------------------------------- */

/* INFO-1 */
void rmnic_caps_build(RmnicState *s)
{
    struct rmnic_cap_queues *queues = (void *)s->caps;
    struct rmnic_cap_transfer *transfer = (void *)(queues + 1);
    struct rmnic_cap_store *store = (void *)(transfer + 1);
    struct rmnic_cap_timing *timing = (void *)(store + 1);
    struct { struct rmnic_cap_hdr *hdr; uint16_t id, length; } caps[] = {
        { &queues->hdr, RMNIC_CAP_QUEUES, sizeof(*queues) },
        { &transfer->hdr, RMNIC_CAP_TRANSFER, sizeof(*transfer) },
        { &store->hdr, RMNIC_CAP_STORE, sizeof(*store) },
        { &timing->hdr, RMNIC_CAP_TIMING, sizeof(*timing) },
    };
    uint16_t offset = RMNIC_REG_CAPS;

    for (size_t i = 0; i < ARRAY_SIZE(caps); i++) {
        offset += caps[i].length;
        caps[i].hdr->id = cpu_to_le16(caps[i].id);
        caps[i].hdr->version = 1;
        caps[i].hdr->length = cpu_to_le16(caps[i].length);
        caps[i].hdr->next = cpu_to_le16(i + 1 < ARRAY_SIZE(caps) ? offset : 0);
    }
    queues->max_qpairs = cpu_to_le16(s->queues);
    queues->max_depth = cpu_to_le16(s->queue_depth);
    queues->max_aq_depth = cpu_to_le16(s->queue_depth);
    queues->min_depth = cpu_to_le16(RMNIC_MIN_DEPTH);
    queues->db_offset = cpu_to_le32(RMNIC_DB_OFFSET);
    queues->db_stride = cpu_to_le32(RMNIC_DB_STRIDE);
    transfer->page_shift = RMNIC_PAGE_SHIFT;
    transfer->max_pages = cpu_to_le32(RMNIC_MAX_PAGES);
    transfer->max_ranges = cpu_to_le32(RMNIC_MAX_RANGES);
    store->max_capacity = cpu_to_le64(s->size >> RMNIC_PAGE_SHIFT);
    store->slab_pages = cpu_to_le32(s->slab_size >> RMNIC_PAGE_SHIFT);
    timing->ready_timeout_ms = cpu_to_le32(s->ready_timeout_ms);
    timing->command_timeout_ms = cpu_to_le32(s->command_timeout_ms);
}

/* REG-1: the register an access hits, when its size and alignment are right; else NULL. */
static const struct RmnicReg *rmnic_reg_find(hwaddr addr, unsigned size)
{
    if ((size != 4 && size != 8) || addr % size) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_SIZE(rmnic_regs); i++) {
        const struct RmnicReg *reg = &rmnic_regs[i];

        if (addr >= reg->offset && addr + size <= reg->offset + reg->size) {
            return reg;
        }
    }
    return NULL;
}

/* Counted here and not by the engine, whose counters belong to its thread. */
static void rmnic_register_refused(RmnicState *s, hwaddr addr)
{
    s->bad_registers++;
    rmnic_refused_trace(s, RMNIC_REFUSAL_BAD_REGISTER, 0, 0, addr);
}

static uint32_t rmnic_status(RmnicState *s)
{
    static const uint32_t bits[RMNIC_STATE__MAX] = {
        [RMNIC_STATE_READY] = RMNIC_STATUS_READY,
        [RMNIC_STATE_RESETTING] = RMNIC_STATUS_RESETTING,
        [RMNIC_STATE_FATAL] = RMNIC_STATUS_FATAL,
    };

    return bits[s->state] | (s->ops->waiting(s) ? RMNIC_STATUS_WAITING : 0); /* DMA-10 */
}

static uint64_t rmnic_reg_value(RmnicState *s, hwaddr offset)
{
    switch (offset) {
    case RMNIC_REG_MAGIC:
        return RMNIC_MAGIC;
    case RMNIC_REG_VERSION:
        return RMNIC_VERSION_MAJOR << 16 | RMNIC_VERSION_MINOR;
    case RMNIC_REG_CAP_PTR:
        return s->lie_cap_ptr ? s->lie_cap_ptr : RMNIC_REG_CAPS;
    case RMNIC_REG_STATUS:
        return rmnic_status(s);
    case RMNIC_REG_CTRL:
        return s->regs.ctrl;
    case RMNIC_REG_ERROR:
        return s->regs.error;
    case RMNIC_REG_DEV_FEATURES:
        return s->features;
    case RMNIC_REG_DRV_FEATURES:
        return s->regs.drv_features;
    case RMNIC_REG_CAPACITY:
        return s->lie_capacity ? s->lie_capacity : s->capacity;
    case RMNIC_REG_EVENT:
        return s->regs.event;
    case RMNIC_REG_RESET_COUNT:
        return s->regs.reset_count;
    case RMNIC_REG_AQ_DEPTH:
        return s->regs.aq_depth;
    case RMNIC_REG_AQ_SQ:
        return s->regs.aq_sq;
    case RMNIC_REG_AQ_CQ:
        return s->regs.aq_cq;
    case RMNIC_REG_AQ_REC:
        return s->regs.aq_rec;
    case RMNIC_REG_UUID:
        return ldq_le_p(s->uuid.data);
    default: /* RMNIC_REG_UUID + 8 */
        return ldq_le_p(s->uuid.data + 8);
    }
}

static uint64_t rmnic_reg_read(void *opaque, hwaddr addr, unsigned size)
{
    RmnicState *s = opaque;
    const struct RmnicReg *reg;
    uint64_t val = 0;

    if (rmnic_in_d3(s)) {
        return UINT64_MAX; /* what a function that does not answer reads as */
    }
    s->ops->look(s);
    reg = rmnic_reg_find(addr, size);
    if (reg) {
        val = rmnic_reg_value(s, reg->offset) >> (addr - reg->offset) * 8;
        val = size == 4 ? (uint32_t)val : val;
    } else if (addr >= RMNIC_REG_CAPS && addr < RMNIC_REG_CAPS + RMNIC_CAPS_SIZE &&
               size == 4 && addr % size == 0) {
        val = ldl_le_p(s->caps + (addr - RMNIC_REG_CAPS));
    } else {
        rmnic_register_refused(s, addr);
    }
    trace_rmnic_reg_read(s, addr, size, val);
    return val;
}

static uint64_t *rmnic_reg_setup_field(RmnicState *s, hwaddr offset)
{
    switch (offset) {
    case RMNIC_REG_DRV_FEATURES:
        return &s->regs.drv_features;
    case RMNIC_REG_AQ_SQ:
        return &s->regs.aq_sq;
    case RMNIC_REG_AQ_CQ:
        return &s->regs.aq_cq;
    case RMNIC_REG_AQ_REC:
        return &s->regs.aq_rec;
    default:
        return NULL;
    }
}

/* REG-3: what describes the admin queue is fixed while the device is enabled. */
static void rmnic_setup_write(RmnicState *s, const struct RmnicReg *reg, hwaddr addr,
                              uint64_t val, unsigned size)
{
    uint64_t *field = rmnic_reg_setup_field(s, reg->offset);

    if (s->regs.ctrl & RMNIC_CTRL_ENABLE) {
        rmnic_register_refused(s, addr);
    } else if (field) {
        *field = deposit64(*field, (addr - reg->offset) * 8, size * 8, val);
    } else {
        s->regs.aq_depth = val;
    }
}

static void rmnic_ctrl_write(RmnicState *s, uint32_t val)
{
    bool enable = val & RMNIC_CTRL_ENABLE;

    if (val & ~RMNIC_CTRL_ENABLE) {
        rmnic_register_refused(s, RMNIC_REG_CTRL); /* REG-2 */
        return;
    }
    if (enable == !!(s->regs.ctrl & RMNIC_CTRL_ENABLE)) {
        return;
    }
    if (!enable) {
        rmnic_reset(s, false);
    } else if (s->state == RMNIC_STATE_RESETTING) {
        rmnic_register_refused(s, RMNIC_REG_CTRL);
    } else {
        rmnic_enable(s);
    }
}

/* Also of pairs that do not exist: those do nothing. */
static bool rmnic_is_doorbell(hwaddr addr, unsigned size)
{
    return addr >= RMNIC_DB_OFFSET && size == 4 && addr % RMNIC_DB_STRIDE == 0;
}

static void rmnic_reg_write(void *opaque, hwaddr addr, uint64_t val, unsigned size)
{
    RmnicState *s = opaque;
    const struct RmnicReg *reg;

    if (rmnic_in_d3(s)) {
        return;
    }
    trace_rmnic_reg_write(s, addr, size, val);
    if (rmnic_is_doorbell(addr, size)) {
        rmnic_poll_kick(s); /* only without ioeventfd */
        return;
    }
    s->ops->look(s);
    reg = rmnic_reg_find(addr, size);
    if (!reg || !reg->writable) {
        rmnic_register_refused(s, addr); /* REG-2 */
    } else if (reg->offset == RMNIC_REG_CTRL) {
        rmnic_ctrl_write(s, val);
    } else if (reg->offset == RMNIC_REG_EVENT) {
        s->regs.event &= ~val;
    } else {
        rmnic_setup_write(s, reg, addr, val, size);
    }
}

/* Every size and alignment reaches the functions above, so that the wrong ones are counted. */
const MemoryRegionOps rmnic_regs_ops = {
    .read = rmnic_reg_read,
    .write = rmnic_reg_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 8, .unaligned = true },
};
