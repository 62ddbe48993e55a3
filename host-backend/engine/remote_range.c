/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/remote_range.h"

#include <string.h>

#define STEP_NS UINT64_C(1000000000)

static void range_done(struct rmnic_rmp_call *call);
static void range_idle(struct rmnic_rmp_call *call);

static bool submit(struct rmnic_remote_range *range)
{
	struct rmnic_remote *r = range->store;
	struct rmnic_rmp_call *call = &range->call;
	uint64_t end = range->rpn + range->pages;

	memset(&range->body, 0, sizeof(range->body));
	range->body.count = rmnic_le32_put((uint32_t)(end - range->from));
	range->more = false;
	call->type = RMNIC_RMP_SYNC;
	call->rpn = range->from;
	call->body = &range->body;
	call->body_len = sizeof(range->body);
	call->deadline = rmnic_env_now(&r->cfg.env) + STEP_NS;
	call->done = range_done;
	call->idle = range_idle;
	call->arg = range;
	range->asked = true; /* it may end at once */
	if (rmnic_rmp_client_submit(r->client, call))
		return true;
	range->asked = false;
	return false;
}

bool rmnic_remote_range_ask(struct rmnic_remote_range *range, unsigned int i, uint16_t peer,
			    const struct rmnic_rmp_member *m)
{
	struct rmnic_rmp_call *call = &range->call;

	memset(call, 0, sizeof(*call));
	memset(range->held[i], 0, sizeof(range->held[i]));
	call->peer = peer;
	call->store_id = rmnic_le64_get(m->store_id);
	call->handle = rmnic_le64_get(m->handle);
	range->i = i;
	range->from = range->rpn;
	range->status = RMNIC_CALL_UNREACHABLE;
	return submit(range);
}

void rmnic_remote_range_cancel(struct rmnic_remote_range *range)
{
	if (range->asked)
		rmnic_rmp_client_cancel(range->store->client, &range->call);
	range->asked = range->more = false;
}

/* False: that is no answer to SYNC (RMP-34). */
static bool take(struct rmnic_remote_range *range)
{
	const struct rmnic_rmp_call *call = &range->call;
	uint32_t slab_pages = range->store->state.slab_pages, count;
	uint64_t end = range->rpn + range->pages, at = range->from, next;
	struct rmnic_rmp_sync_record rec;
	struct rmnic_rmp_sync head;

	if (call->reply_len < sizeof(head))
		return false;
	memcpy(&head, call->reply, sizeof(head));
	count = rmnic_le32_get(head.count);
	next = rmnic_le64_get(head.next);
	if (count > RMNIC_RMP_MAX_SYNC || call->reply_len != sizeof(head) + count * sizeof(rec) ||
	    next <= range->from || next > end)
		return false;
	for (uint32_t k = 0; k < count; k++) {
		uint64_t rpn;

		memcpy(&rec, call->reply + sizeof(head) + k * sizeof(rec), sizeof(rec));
		rpn = range->rpn / slab_pages * slab_pages + rmnic_le32_get(rec.page);
		if (rpn < at || rpn >= next) /* in order, and what was asked for */
			return false;
		at = rpn + 1;
		range->held[range->i][rpn - range->rpn].vstate = rmnic_le64_get(rec.vstate);
		range->held[range->i][rpn - range->rpn].crc = rmnic_le32_get(rec.crc);
	}
	range->more = next < end;
	range->from = next;
	return true;
}

static void range_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_range *range = call->arg;

	range->status = call->status;
	if (call->status == RMNIC_RMP_S_FENCED)
		rmnic_remote_move(range->store, RMNIC_REMOTE_FENCED);
	if (call->status == RMNIC_RMP_S_OK && !take(range))
		range->status = RMNIC_RMP_S_INVALID;
}

static void range_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_range *range = call->arg;

	range->asked = false;
	if (range->more && !submit(range))
		range->status = RMNIC_CALL_UNREACHABLE;
}
