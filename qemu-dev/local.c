/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * local.c - the embedded mode: engine and store in this process, the engine in an IOThread
 * (poll.c). Whatever is asked of it is done when the call returns.
 */
#include "rmnic.h"

#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "trace.h"

#define RMNIC_FIRMWARE "rmnic-qemu 1.0"

/* --- The engine ------------------------------------------------------------------------------ */

static void rmnic_engine_free(RmnicState *s)
{
    rmnic_dev_destroy(s->engine);
    s->engine = NULL;
    rmnic_store_local_destroy(s->store);
    s->store = NULL;
}

bool rmnic_engine_create(RmnicState *s, uint64_t capacity, Error **errp)
{
    struct rmnic_dev_config config = {
        .ops = &rmnic_host_ops,
        .host = s,
        .store = rmnic_embed_open(s),
        .max_qpairs = s->queues,
        .max_depth = s->queue_depth,
        .vectors = s->vectors,
        .slab_pages = s->slab_size >> RMNIC_PAGE_SHIFT,
        .capacity = capacity,
        .max_capacity = s->size >> RMNIC_PAGE_SHIFT,
        .features = s->features,
        .firmware = RMNIC_FIRMWARE,
    };
    struct rmnic_dev *engine;

    memcpy(config.uuid, s->uuid.data, sizeof(config.uuid));
    pstrcpy(config.serial, sizeof(config.serial), s->serial);
    engine = config.store ? rmnic_dev_create(&config) : NULL;
    if (!engine) {
        error_setg(errp, "rmnic: no memory for queues=%u of queue-depth=%u over size=%" PRIu64,
                   s->queues, s->queue_depth, s->size);
        rmnic_store_local_destroy(config.store);
        return false;
    }
    rmnic_engine_free(s);
    s->engine = engine;
    s->store = config.store;
    s->capacity = capacity;
    rmnic_fault_apply(s);
    return true;
}

/* --- Calls into its thread --------------------------------------------------------------------- */

/* What one call into the engine's thread carries. */
typedef struct RmnicControl {
    RmnicState *s;
    bool dma_allowed;
    bool running;
    uint64_t pages;
    uint32_t error;
} RmnicControl;

static void rmnic_do_enable(void *opaque)
{
    RmnicControl *c = opaque;
    RmnicState *s = c->s;

    c->error = rmnic_dev_enable(s->engine, s->regs.drv_features, s->regs.aq_depth,
                                s->regs.aq_sq, s->regs.aq_cq, s->regs.aq_rec);
    if (c->error == RMNIC_ERR_NONE && s->paused) {
        rmnic_dev_pause(s->engine);
    }
}

static void rmnic_do_disable(void *opaque)
{
    RmnicControl *c = opaque;

    rmnic_dev_disable(c->s->engine);
}

static void rmnic_do_dma(void *opaque)
{
    RmnicControl *c = opaque;
    RmnicState *s = c->s;

    s->running = c->running;
    if (s->paused == !c->dma_allowed) {
        return;
    }
    s->paused = !c->dma_allowed;
    if (s->paused) {
        rmnic_dev_pause(s->engine);
    } else {
        rmnic_dev_resume(s->engine);
    }
}

/* CAP-2: the driver is told as soon as DMA is allowed. */
static void rmnic_do_capacity(void *opaque)
{
    RmnicControl *c = opaque;

    c->error = !rmnic_dev_set_capacity(c->s->engine, c->pages);
    if (!c->error && c->s->capacity != c->pages) {
        rmnic_dev_event(c->s->engine);
    }
}

static void rmnic_do_features(void *opaque)
{
    RmnicState *s = opaque;
    Error *err = NULL;

    rmnic_dev_disable(s->engine);
    s->features = RMNIC_FEATURES | (s->iommu ? RMNIC_F_IOVA : 0);
    if (!rmnic_engine_create(s, s->capacity, &err)) {
        warn_report_err(err);
    }
}

/* --- What the registers ask for ----------------------------------------------------------------- */

static void rmnic_local_enable(RmnicState *s)
{
    RmnicControl c = { .s = s };

    rmnic_engine_call(s, rmnic_do_enable, &c);
    rmnic_enabled(s, c.error);
    rmnic_poll_kick(s);
}

static void rmnic_local_disable(RmnicState *s, bool wait)
{
    RmnicControl c = { .s = s };

    rmnic_engine_call(s, rmnic_do_disable, &c);
    qemu_bh_cancel(s->fatal_bh);
    qatomic_set(&s->engine_error, RMNIC_ERR_NONE);
    rmnic_quiescent(s);
}

static void rmnic_local_dma(RmnicState *s, bool dma_allowed, bool running)
{
    RmnicControl c = { .s = s, .dma_allowed = dma_allowed, .running = running };

    rmnic_engine_call(s, rmnic_do_dma, &c);
    if (dma_allowed) {
        rmnic_poll_kick(s);
    }
}

static bool rmnic_local_grow(RmnicState *s, uint64_t pages, Error **errp)
{
    RmnicControl c = { .s = s, .pages = pages };

    rmnic_engine_call(s, rmnic_do_capacity, &c);
    if (c.error) {
        error_setg(errp, "rmnic: the engine refused capacity=%" PRIu64,
                   pages << RMNIC_PAGE_SHIFT);
        return false;
    }
    rmnic_capacity_grown(s, pages);
    return true;
}

/* What the engine said in its thread, seen under the BQL. */
static void rmnic_local_look(RmnicState *s)
{
    uint32_t error = qatomic_xchg(&s->engine_error, RMNIC_ERR_NONE);

    if (error != RMNIC_ERR_NONE) {
        rmnic_fatal(s, error);
    }
}

static void rmnic_fatal_bh(void *opaque)
{
    rmnic_local_look(opaque);
}

static void rmnic_local_iommu(RmnicState *s)
{
    rmnic_engine_call(s, rmnic_do_features, s);
}

static bool rmnic_local_waiting(RmnicState *s)
{
    return false;
}

/* --- Life ----------------------------------------------------------------------------------------- */

static bool rmnic_local_start(RmnicState *s, Error **errp)
{
    if (!rmnic_embed_init(s, errp)) {
        return false;
    }
    rmnic_host_init();
    if (!rmnic_engine_create(s, s->start_capacity >> RMNIC_PAGE_SHIFT, errp)) {
        rmnic_embed_exit(s);
        return false;
    }
    if (!rmnic_poll_start(s, errp)) {
        rmnic_engine_free(s);
        rmnic_embed_exit(s);
        return false;
    }
    s->fatal_bh = qemu_bh_new(rmnic_fatal_bh, s);
    rmnic_poll_run(s);
    return true;
}

static void rmnic_local_stop(RmnicState *s)
{
    rmnic_poll_halt(s);
    qemu_bh_delete(s->fatal_bh);
    rmnic_poll_stop(s);
    rmnic_engine_free(s);
    rmnic_embed_exit(s);
}

const RmnicModeOps rmnic_local_ops = {
    .start = rmnic_local_start,
    .stop = rmnic_local_stop,
    .enable = rmnic_local_enable,
    .disable = rmnic_local_disable,
    .dma = rmnic_local_dma,
    .grow = rmnic_local_grow,
    .look = rmnic_local_look,
    .waiting = rmnic_local_waiting,
    .iommu = rmnic_local_iommu,
    .stats = rmnic_local_stats,
};
