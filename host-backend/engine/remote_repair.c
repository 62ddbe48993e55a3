/* SPDX-License-Identifier: BSD-3-Clause */
/* Filling a member: one that came back, a new one, one instead of another. */
#include <string.h>

#include "engine/store_remote_internal.h"

void rmnic_remote_repair_look(struct rmnic_remote *r, uint64_t slab)
{
	(void)slab; /* all of them are looked at: a view that changed makes room for others */
	r->repair.left = r->state.nslabs;
}

bool rmnic_remote_repair(struct rmnic_remote *r)
{
	r->repair.left = 0;
	return false;
}

uint64_t rmnic_remote_repair_due(const struct rmnic_remote *r)
{
	return r->repair.left ? 0 : UINT64_MAX;
}

bool rmnic_remote_repair_named(const struct rmnic_remote *r, uint32_t peer, uint64_t handle)
{
	for (int i = 0; i < RMNIC_REMOTE_JOBS; i++) {
		const struct rmnic_remote_job *j = &r->repair.jobs[i];

		if (j->step != RMNIC_JOB_NONE && j->peer == peer && j->handle == handle)
			return true;
	}
	return false;
}

void rmnic_remote_fix(struct rmnic_remote *r, uint64_t rpn, unsigned int i)
{
	const struct rmnic_remote_slab *s = &r->slabs[rpn / r->state.slab_pages];
	struct rmnic_remote_repair *p = &r->repair;
	struct rmnic_remote_bad bad = {
		.rpn = rpn,
		.store_id = rmnic_le64_get(s->member[i].store_id),
		.handle = rmnic_le64_get(s->member[i].handle),
	};

	for (uint32_t k = 0; k < p->nbad; k++)
		if (p->bad[k].rpn == rpn && p->bad[k].handle == bad.handle)
			return;
	if (p->nbad < RMNIC_REMOTE_FIXES) /* else somebody finds it again */
		p->bad[p->nbad++] = bad;
}
