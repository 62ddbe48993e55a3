/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/remote_agree.h"

#include <string.h>

#define STEP_NS UINT64_C(1000000000)

static void agree_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_agree *a = call->arg;

	a->status = call->status;
	if (call->status == RMNIC_RMP_S_FENCED)
		rmnic_remote_move(a->store, RMNIC_REMOTE_FENCED);
	/* Not what was listed a moment ago: there is nothing to agree on. */
	if (call->status != RMNIC_RMP_S_OK ||
	    (call->type == RMNIC_RMP_READ && call->got_version != a->version)) {
		a->failed = true;
		return;
	}
	if (call->type != RMNIC_RMP_READ)
		return;
	a->read = true;
	a->filled = call->got_flags & RMNIC_RMP_F_FILLED;
	a->word = rmnic_le32_put(call->got_word);
}

static void agree_idle(struct rmnic_rmp_call *call)
{
	((struct rmnic_remote_agree *)call->arg)->asked = false;
}

void rmnic_remote_agree_begin(struct rmnic_remote_agree *a)
{
	a->running = true;
	a->read = a->failed = a->asked = false;
}

static void write_to(struct rmnic_remote_agree *a, struct rmnic_rmp_call *call)
{
	call->type = a->filled ? RMNIC_RMP_WRITE_FILLED : RMNIC_RMP_WRITE;
	call->version = a->version; /* the same: it is the same page */
	call->crc = a->crc;
	call->body = a->filled ? (const void *)&a->word : a->page;
	call->body_len = a->filled ? sizeof(a->word) : RMNIC_PAGE_SIZE;
}

bool rmnic_remote_agree_next(struct rmnic_remote_agree *a)
{
	struct rmnic_remote *r = a->store;
	struct rmnic_rmp_call *call = &a->call;
	unsigned int i = a->read ? (unsigned int)__builtin_ctz(a->lacking | 1u << RMNIC_MEMBERS)
				 : a->from;

	a->running = !a->failed && i < RMNIC_MEMBERS;
	if (!a->running)
		return false;
	a->lacking &= (uint8_t)~(1u << i);
	memset(call, 0, sizeof(*call));
	call->peer = rmnic_remote_peer_by(r, a->member[i].server);
	call->store_id = rmnic_le64_get(a->member[i].store_id);
	call->handle = rmnic_le64_get(a->member[i].handle);
	call->rpn = a->rpn;
	call->deadline = rmnic_env_now(&r->cfg.env) + STEP_NS;
	call->done = agree_done;
	call->idle = agree_idle;
	call->arg = a;
	if (a->read) {
		write_to(a, call);
	} else {
		call->type = RMNIC_RMP_READ;
		call->page = a->page;
	}
	a->asked = true; /* it may end at once */
	if (call->peer != RMNIC_NO_PEER && rmnic_rmp_client_submit(r->client, call))
		return true;
	a->asked = a->running = false;
	a->failed = true;
	a->status = RMNIC_CALL_UNREACHABLE;
	return false;
}
