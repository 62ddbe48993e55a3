/* SPDX-License-Identifier: BSD-3-Clause */
/* Control of a device: enabling, reset, pause, suspension, capacity (device.md, user.md). */
#include "engine/internal.h"

bool rmnic_dev_features_ok(struct rmnic_dev *dev, uint64_t drv_features)
{
	uint64_t bad = drv_features & ~dev->cfg.features;

	if (bad)
		rmnic_dev_refuse(dev, RMNIC_REFUSAL_BAD_FEATURES, 0, RMNIC_NO_CID, bad);
	return !bad;
}

static bool aq_depth_ok(struct rmnic_dev *dev, uint32_t depth)
{
	if (rmnic_qp_depth_ok(dev, depth))
		return true;
	rmnic_dev_refuse(dev, RMNIC_REFUSAL_BAD_AQ, 0, RMNIC_NO_CID, depth);
	return false;
}

/* The admin queue pair of a new enabling. RMNIC_ERR_NONE, or why not; then nothing is mapped. */
static uint32_t open_admin(struct rmnic_dev *dev, const struct rmnic_dev_enabling *e)
{
	const struct rmnic_qp_params p = {
		.depth = e->aq_depth,
		.sq_addr = e->aq_sq,
		.cq_addr = e->aq_cq,
		.rec_addr = e->aq_rec,
	};

	if (!aq_depth_ok(dev, e->aq_depth))
		return RMNIC_ERR_AQ_DEPTH;
	if (rmnic_qp_open(dev, &p, RMNIC_NO_CID) != RMNIC_SC_OK) {
		rmnic_dev_refuse(dev, RMNIC_REFUSAL_BAD_AQ, 0, RMNIC_NO_CID, e->aq_sq);
		return RMNIC_ERR_AQ_ADDRESS;
	}
	if (!dev->cfg.block)
		return RMNIC_ERR_NONE;
	rmnic_flight_open(&dev->qps[0]);
	rmnic_flight_generation(dev, e);
	return RMNIC_ERR_NONE;
}

static bool is_recorded(const struct rmnic_dev *dev, const struct rmnic_dev_enabling *e)
{
	const struct rmnic_state_block *b = dev->cfg.block;

	return b && rmnic_le32_get(b->hdr->generation) == e->generation;
}

/* DMA-5. What the block has of another enabling is dropped first. */
uint32_t rmnic_dev_enable_recorded(struct rmnic_dev *dev, const struct rmnic_dev_enabling *e)
{
	bool go_on = is_recorded(dev, e);
	uint32_t error = RMNIC_ERR_NONE;

	if (dev->state != RMNIC_DEV_DISABLED)
		rmnic_dev_suspend(dev);
	dev->why = NULL;
	if (dev->cfg.block && !e->generation) {
		dev->why = "an enabling has no generation";
		error = RMNIC_ERR_INTERNAL;
	} else if (!rmnic_dev_features_ok(dev, e->drv_features)) {
		error = RMNIC_ERR_FEATURES;
	} else if (!go_on) {
		rmnic_flight_drop(dev);
		error = open_admin(dev, e);
	} else if (!rmnic_dev_take_over(dev, e)) {
		error = RMNIC_ERR_INTERNAL;
	}
	if (error) {
		dev->state = RMNIC_DEV_FATAL;
		RMNIC_COUNT(dev->counters.fatal_errors, 1);
		return error;
	}
	dev->state = RMNIC_DEV_RUNNING;
	dev->features = e->drv_features;
	rmnic_dev_need_wakeup(dev, 0);
	if (go_on) {
		/* A predecessor may have died before it told of an event: to tell it twice is no harm. */
		dev->event_pending = true;
		rmnic_dev_wake_all(dev);
	}
	return RMNIC_ERR_NONE;
}

uint32_t rmnic_dev_enable(struct rmnic_dev *dev, uint64_t drv_features, uint32_t aq_depth,
			  uint64_t aq_sq, uint64_t aq_cq, uint64_t aq_rec)
{
	const struct rmnic_dev_enabling e = {
		.drv_features = drv_features,
		.aq_sq = aq_sq,
		.aq_cq = aq_cq,
		.aq_rec = aq_rec,
		.aq_depth = aq_depth,
	};

	if (dev->state != RMNIC_DEV_DISABLED)
		rmnic_dev_disable(dev);
	return rmnic_dev_enable_recorded(dev, &e);
}

const char *rmnic_dev_why(const struct rmnic_dev *dev)
{
	return dev->why;
}

void rmnic_dev_suspend(struct rmnic_dev *dev)
{
	if (!dev->cfg.block) {
		rmnic_dev_disable(dev);
		return;
	}
	if (dev->state == RMNIC_DEV_RUNNING || dev->state == RMNIC_DEV_PAUSED)
		rmnic_dev_close(dev);
	dev->state = RMNIC_DEV_DISABLED;
}

/* DMA-1, DMA-2: what the engine holds of it; the registers are the host's. */
void rmnic_dev_disable(struct rmnic_dev *dev)
{
	if (dev->state != RMNIC_DEV_DISABLED) {
		rmnic_dev_close(dev);
		dev->state = RMNIC_DEV_DISABLED;
		RMNIC_COUNT(dev->counters.resets, 1);
	}
	rmnic_flight_drop(dev);
}

/* DMA-3 */
void rmnic_dev_pause(struct rmnic_dev *dev)
{
	if (dev->state != RMNIC_DEV_RUNNING)
		return;
	dev->in_poll = true;
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs && dev->state == RMNIC_DEV_RUNNING; i++) {
		struct rmnic_qp *qp = &dev->qps[i];

		if (!qp->active)
			continue;
		if (i)
			rmnic_qp_drain(qp);
		/* RING-12: an interrupt held back would be lost with the state. */
		if (qp->active)
			rmnic_qp_irq_release(qp);
	}
	dev->in_poll = false;
	rmnic_dev_irqs(dev);
	if (dev->state == RMNIC_DEV_RUNNING)
		dev->state = RMNIC_DEV_PAUSED;
}

bool rmnic_dev_quiet(const struct rmnic_dev *dev)
{
	for (uint32_t i = 1; i <= dev->cfg.max_qpairs; i++) {
		const struct rmnic_qp *qp = &dev->qps[i];

		if (!qp->active)
			continue;
		for (uint32_t cid = 0; cid < qp->depth && qp->in_flight; cid++)
			if (qp->cmds[cid].state != RMNIC_CMD_IDLE &&
			    qp->cmds[cid].state != RMNIC_CMD_DROPPED)
				return false;
	}
	return true;
}

void rmnic_dev_resume(struct rmnic_dev *dev)
{
	if (dev->state != RMNIC_DEV_PAUSED)
		return;
	dev->state = RMNIC_DEV_RUNNING;
	rmnic_dev_wake_all(dev);
}

/* RING-15: an interrupt may have been lost on the way; the tails the next poll sees. */
void rmnic_dev_wake_all(struct rmnic_dev *dev)
{
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs; i++)
		if (dev->qps[i].active)
			rmnic_qp_irq_raise(&dev->qps[i]);
	if (dev->event_pending)
		rmnic_dev_event(dev);
	rmnic_dev_irqs(dev);
}

/* CAP-1 */
bool rmnic_dev_set_capacity(struct rmnic_dev *dev, uint64_t pages)
{
	if (pages % dev->cfg.slab_pages || pages < dev->capacity || pages > dev->cfg.max_capacity)
		return false;
	dev->capacity = pages;
	return true;
}

/* CAP-2. While paused there is no DMA (DMA-3): the event waits for the resume. */
void rmnic_dev_event(struct rmnic_dev *dev)
{
	struct rmnic_qp *aq = &dev->qps[0];
	struct rmnic_dbrec *rec = aq->rec.ptr;
	uint32_t seq;

	if (!(dev->features & RMNIC_F_CAPACITY_EV))
		return;
	if (dev->state == RMNIC_DEV_PAUSED)
		dev->event_pending = true;
	if (dev->state != RMNIC_DEV_RUNNING)
		return;
	dev->event_pending = false;
	/* Only that it moves has a meaning, so a value that the guest put there will do. */
	seq = rmnic_le32_get(__atomic_load_n(&rec->event_seq, __ATOMIC_RELAXED)) + 1;
	/* Pairs with the driver's acquire load of event_seq. */
	__atomic_store_n(&rec->event_seq, rmnic_le32_put(seq), __ATOMIC_RELEASE);
	dev->cfg.ops->written(dev->cfg.host, &aq->rec, offsetof(struct rmnic_dbrec, event_seq),
			      sizeof(rec->event_seq));
	rmnic_qp_irq_raise(aq);
	if (!dev->in_poll)
		rmnic_dev_irqs(dev);
}
