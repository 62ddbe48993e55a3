/* SPDX-License-Identifier: BSD-3-Clause */
/* Save and load: what a device's queue pairs are, without anything in flight. */
#include <string.h>

#include "engine/internal.h"

void rmnic_dev_save(struct rmnic_dev *dev, struct rmnic_qp_state *state)
{
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs; i++) {
		const struct rmnic_qp *qp = &dev->qps[i];

		memset(&state[i], 0, sizeof(state[i]));
		if (!qp->active)
			continue;
		state[i].active = 1;
		state[i].qclass = qp->qclass;
		state[i].vector = qp->vector;
		state[i].coalesce_count = qp->coalesce_count;
		state[i].coalesce_us = qp->coalesce_us;
		state[i].depth = qp->depth;
		state[i].sq_head = qp->sq_head;
		state[i].cq_tail = qp->cq_tail;
		state[i].sq_addr = qp->sq.addr;
		state[i].cq_addr = qp->cq.addr;
		state[i].rec_addr = qp->rec.addr;
	}
}

static bool load_qp(struct rmnic_dev *dev, uint16_t qid, const struct rmnic_qp_state *s)
{
	const struct rmnic_qp_params p = {
		.qid = qid,
		.vector = s->vector,
		.qclass = s->qclass,
		.depth = s->depth,
		.sq_addr = s->sq_addr,
		.cq_addr = s->cq_addr,
		.rec_addr = s->rec_addr,
	};
	struct rmnic_qp *qp = &dev->qps[qid];

	if (s->active != 1 || s->qclass > RMNIC_CLASS_PAGE_IN ||
	    !rmnic_qp_depth_ok(dev, s->depth) ||
	    (s->vector != RMNIC_NO_VECTOR && s->vector >= dev->cfg.vectors) ||
	    (qid == 0 && (s->vector != 0 || s->qclass != 0)) ||
	    rmnic_qp_open(dev, &p, RMNIC_NO_CID) != RMNIC_SC_OK)
		return false;
	qp->coalesce_count = s->coalesce_count;
	qp->coalesce_us = s->coalesce_us;
	qp->sq_head = qp->sq_head_pub = s->sq_head;
	qp->cq_tail = qp->cq_flushed = qp->cq_head = s->cq_tail;
	return true;
}

bool rmnic_dev_load(struct rmnic_dev *dev, uint64_t drv_features,
		    const struct rmnic_qp_state *state)
{
	if (dev->state != RMNIC_DEV_DISABLED || state[0].active != 1 ||
	    !rmnic_dev_features_ok(dev, drv_features))
		return false;
	for (uint32_t i = 0; i <= dev->cfg.max_qpairs; i++) {
		if (state[i].active && !load_qp(dev, (uint16_t)i, &state[i])) {
			rmnic_dev_close(dev);
			return false;
		}
	}
	dev->features = drv_features;
	dev->state = RMNIC_DEV_PAUSED;
	return true;
}

void rmnic_dev_counters_load(struct rmnic_dev *dev, const struct rmnic_counters *from)
{
	dev->counters = *from;
}
