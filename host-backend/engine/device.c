/* SPDX-License-Identifier: BSD-3-Clause */
/* The device: creation, control, the poll round. */
#include "engine/device.h"

#include <stdlib.h>
#include <string.h>

#include "engine/internal.h"

/* What one turn of a queue pair may do before others are looked at (RING-14, RULES H). */
#define IN_CMDS   32
#define IN_PAGES  32
#define OUT_CMDS  4
#define OUT_PAGES 16
/* Under steady load the store's housekeeping still runs once in so many rounds. */
#define IDLE_ROUNDS 64

/* --- Creation ------------------------------------------------------------------------ */

static bool config_ok(const struct rmnic_dev_config *c)
{
	return c->ops && c->store && c->max_qpairs >= 1 && c->max_qpairs <= RMNIC_MAX_QPAIRS &&
	       c->max_depth >= RMNIC_MIN_DEPTH && c->max_depth <= RMNIC_MAX_DEPTH &&
	       (c->max_depth & (c->max_depth - 1)) == 0 && c->vectors >= 1 &&
	       c->vectors <= RMNIC_VECTORS && c->slab_pages &&
	       (c->slab_pages & (c->slab_pages - 1)) == 0 && c->capacity % c->slab_pages == 0 &&
	       c->capacity <= c->max_capacity && c->max_capacity <= RMNIC_MAX_CAPACITY;
}

static bool block_ok(const struct rmnic_dev_config *c)
{
	const struct rmnic_state_block *b = c->block;

	return !b || (b->nqueues == c->max_qpairs + 1u && b->depth == c->max_depth &&
		      b->npages == c->max_capacity && b->slab_pages == c->slab_pages &&
		      !memcmp(b->hdr->uuid, c->uuid, sizeof(c->uuid)));
}

struct rmnic_dev *rmnic_dev_create(const struct rmnic_dev_config *config)
{
	struct rmnic_dev *dev;
	size_t n, depth, skip_words, sq_pages, cq_pages;

	if (!config_ok(config) || !block_ok(config))
		return NULL;
	n = config->max_qpairs + 1u;
	depth = config->max_depth;
	skip_words = (depth + 63) / 64;
	sq_pages = rmnic_ringmem_pages(config->max_depth, sizeof(struct rmnic_sqe));
	cq_pages = rmnic_ringmem_pages(config->max_depth, sizeof(struct rmnic_cqe));
	dev = calloc(1, sizeof(*dev));
	if (!dev)
		return NULL;
	dev->cfg = *config;
	dev->capacity = config->capacity;
	dev->unsettled = config->block;
	dev->qps = calloc(n, sizeof(*dev->qps));
	dev->in = calloc(n, sizeof(*dev->in));
	dev->out = calloc(n, sizeof(*dev->out));
	dev->cmds = calloc(n * depth, sizeof(*dev->cmds));
	dev->lists = calloc(n * RMNIC_MAX_PAGES, sizeof(*dev->lists));
	dev->skips = calloc(n * skip_words, sizeof(*dev->skips));
	dev->ring_pages = calloc(n * (sq_pages + cq_pages), sizeof(*dev->ring_pages));
	dev->pages = calloc(2 * RMNIC_PAGE_OPS, sizeof(*dev->pages));
	if (config->block)
		dev->order = calloc(depth, sizeof(*dev->order));
	if (!dev->qps || !dev->in || !dev->out || !dev->cmds || !dev->lists || !dev->skips ||
	    !dev->ring_pages || !dev->pages || (config->block && !dev->order)) {
		rmnic_dev_destroy(dev);
		return NULL;
	}
	for (size_t i = 0; i < n; i++) {
		dev->qps[i].dev = dev;
		dev->qps[i].cmds = dev->cmds + i * depth;
		dev->qps[i].list = dev->lists + i * RMNIC_MAX_PAGES;
		dev->qps[i].skip = dev->skips + i * skip_words;
		dev->qps[i].sq.page = dev->ring_pages + i * (sq_pages + cq_pages);
		dev->qps[i].cq.page = dev->qps[i].sq.page + sq_pages;
		if (config->block) {
			dev->qps[i].row = &config->block->queues[i];
			dev->qps[i].flights = config->block->flights + i * depth;
		}
	}
	for (size_t i = 0; i < 2 * RMNIC_PAGE_OPS; i++) {
		struct rmnic_page **list = &dev->free_page[i / RMNIC_PAGE_OPS];

		dev->pages[i].next_free = *list;
		*list = &dev->pages[i];
	}
	return dev;
}

void rmnic_dev_close(struct rmnic_dev *dev)
{
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs; i++)
		rmnic_qp_close(&dev->qps[i]);
	memset(dev->irq_map, 0, sizeof(dev->irq_map));
	dev->irq_any = false;
	dev->event_pending = false;
}

void rmnic_dev_destroy(struct rmnic_dev *dev)
{
	if (!dev)
		return;
	if (dev->state == RMNIC_DEV_RUNNING || dev->state == RMNIC_DEV_PAUSED)
		rmnic_dev_close(dev);
	free(dev->order);
	free(dev->pages);
	free(dev->ring_pages);
	free(dev->skips);
	free(dev->lists);
	free(dev->cmds);
	free(dev->out);
	free(dev->in);
	free(dev->qps);
	free(dev);
}

/* --- Refusals and fatal errors ------------------------------------------------------- */

void rmnic_dev_refuse(struct rmnic_dev *dev, enum rmnic_refusal why, uint16_t qid, uint16_t cid,
		      uint64_t value)
{
	RMNIC_COUNT(dev->counters.refused[why], 1);
	dev->cfg.ops->refused(dev->cfg.host, why, qid, cid, value);
}

/* DMA-4. Queues and flights stay recorded: a successor that is not told finds out for itself. */
void rmnic_dev_fail(struct rmnic_dev *dev, uint32_t error)
{
	if (dev->state != RMNIC_DEV_RUNNING && dev->state != RMNIC_DEV_PAUSED)
		return;
	dev->state = RMNIC_DEV_FATAL;
	RMNIC_COUNT(dev->counters.fatal_errors, 1);
	rmnic_dev_close(dev);
	dev->cfg.ops->fatal(dev->cfg.host, error);
}

/* --- The poll round -----------------------------------------------------------------------------
 */

static bool timers(struct rmnic_dev *dev)
{
	uint64_t now = rmnic_dev_now(dev);
	bool work = false;

	for (uint32_t i = 0; i <= dev->cfg.max_qpairs && dev->timers; i++) {
		struct rmnic_qp *qp = &dev->qps[i];

		if (!qp->active)
			continue;
		work |= rmnic_qp_delayed(qp, now);
		if (qp->irq_held && qp->irq_due <= now) {
			rmnic_qp_irq_release(qp);
			work = true;
		}
	}
	return work;
}

/* RING-14. A pair that goes FATAL empties the list. */
static bool serve_in(struct rmnic_dev *dev)
{
	bool work = false;

	for (uint16_t i = 0; i < dev->n_in; i++)
		work |= rmnic_qp_serve(dev->in[i], IN_CMDS, IN_PAGES);
	if (work)
		rmnic_dev_irqs(dev);
	return work;
}

/* Each page-out pair gets one turn, and after each turn page-in pairs are looked at again. */
static bool serve_out(struct rmnic_dev *dev)
{
	uint16_t turns = dev->n_out;
	bool work = false;

	for (uint16_t i = 0; i < turns && dev->n_out; i++) {
		if (dev->next_out >= dev->n_out)
			dev->next_out = 0;
		if (!rmnic_qp_serve(dev->out[dev->next_out++], OUT_CMDS, OUT_PAGES))
			continue;
		work = true;
		if (dev->cfg.ops->turn)
			dev->cfg.ops->turn(dev->cfg.host);
		serve_in(dev);
	}
	return work;
}

static bool housekeeping(struct rmnic_dev *dev)
{
	struct rmnic_store *store = dev->cfg.store;

	return store->ops->idle && store->ops->idle(store);
}

bool rmnic_dev_poll(struct rmnic_dev *dev)
{
	bool work = false;

	if (dev->state == RMNIC_DEV_FATAL || dev->state == RMNIC_DEV_DISABLED)
		return housekeeping(dev);
	dev->in_poll = true;
	if (dev->timers)
		work |= timers(dev);
	work |= serve_in(dev);
	if (dev->state == RMNIC_DEV_RUNNING)
		work |= rmnic_admin_serve(dev);
	work |= serve_out(dev);
	dev->in_poll = false;
	rmnic_dev_irqs(dev);
	/* While paused the store may be being saved: then not one byte of it changes. */
	if (dev->state == RMNIC_DEV_PAUSED && dev->cfg.store->ops->saved)
		return work;
	if (!work || ++dev->rounds % IDLE_ROUNDS == 0)
		work |= housekeeping(dev);
	return work;
}

bool rmnic_dev_poll_in(struct rmnic_dev *dev)
{
	bool outer = dev->in_poll, work;

	if (dev->state != RMNIC_DEV_RUNNING)
		return false;
	dev->in_poll = true;
	work = serve_in(dev);
	dev->in_poll = outer;
	return work;
}

bool rmnic_dev_has_work(struct rmnic_dev *dev)
{
	if (dev->state != RMNIC_DEV_RUNNING && dev->state != RMNIC_DEV_PAUSED)
		return false;
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs; i++)
		if (dev->qps[i].active && rmnic_qp_has_work(&dev->qps[i]))
			return true;
	return dev->timers && rmnic_dev_deadline(dev) <= rmnic_dev_now(dev);
}

void rmnic_dev_need_wakeup(struct rmnic_dev *dev, uint32_t value)
{
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs; i++)
		if (dev->qps[i].active)
			rmnic_qp_need_wakeup(&dev->qps[i], value);
}

/*
 * RING-9. The barrier is the host's, because under one-CPU TCG the guest has none (E1); it
 * pairs with the driver's between its store of sq_tail and its load of need_wakeup.
 */
bool rmnic_dev_sleep_begin(struct rmnic_dev *dev)
{
	if (dev->state != RMNIC_DEV_RUNNING)
		return !rmnic_dev_has_work(dev);
	rmnic_dev_need_wakeup(dev, 1);
	dev->cfg.ops->membarrier(dev->cfg.host);
	if (!rmnic_dev_has_work(dev))
		return true;
	rmnic_dev_need_wakeup(dev, 0);
	return false;
}

void rmnic_dev_sleep_end(struct rmnic_dev *dev)
{
	RMNIC_COUNT(dev->counters.wakeups, 1);
	if (dev->state == RMNIC_DEV_RUNNING)
		rmnic_dev_need_wakeup(dev, 0);
}

uint64_t rmnic_dev_deadline(const struct rmnic_dev *dev)
{
	uint64_t first = UINT64_MAX;

	if (!dev->timers)
		return first;
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs; i++) {
		const struct rmnic_qp *qp = &dev->qps[i];

		if (!qp->active)
			continue;
		if (qp->irq_held && qp->irq_due < first)
			first = qp->irq_due;
		if (qp->delayed_head != RMNIC_NO_CID && qp->cmds[qp->delayed_head].due < first)
			first = qp->cmds[qp->delayed_head].due;
	}
	return first;
}

/* --- Looking in
 * ------------------------------------------------------------------------------------ */

const struct rmnic_counters *rmnic_dev_counters(struct rmnic_dev *dev)
{
	return &dev->counters;
}

const struct rmnic_hist *rmnic_dev_hist(struct rmnic_dev *dev, enum rmnic_stage stage)
{
	return &dev->hist[stage];
}

struct rmnic_fault *rmnic_dev_fault(struct rmnic_dev *dev)
{
	return &dev->fault;
}

void rmnic_dev_bad_register(struct rmnic_dev *dev, uint64_t offset)
{
	rmnic_dev_refuse(dev, RMNIC_REFUSAL_BAD_REGISTER, 0, RMNIC_NO_CID, offset);
}

void rmnic_dev_doorbell(struct rmnic_dev *dev)
{
	RMNIC_COUNT(dev->counters.doorbells, 1);
}
