/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/remote_trace.h"

#include <string.h>

#define STEP_NS  UINT64_C(1000000000)
#define PAUSE_NS UINT64_C(100000000)

static void ask_done(struct rmnic_rmp_call *call);
static void ask_idle(struct rmnic_rmp_call *call);

/* --- Answers ----------------------------------------------------------------------------------- */

/* False: that is no answer to LIST. */
static bool take_list(struct rmnic_remote_trace *t)
{
	const struct rmnic_rmp_call *call = &t->call;
	struct rmnic_rmp_list head;
	uint32_t count;

	if (call->reply_len < sizeof(head))
		return false;
	memcpy(&head, call->reply, sizeof(head));
	count = rmnic_le32_get(head.count);
	if (count > RMNIC_RMP_MAX_LIST ||
	    call->reply_len != sizeof(head) + count * sizeof(t->entry[0]))
		return false;
	t->more = call->got_flags & RMNIC_RMP_F_MORE;
	if (t->more && rmnic_le64_get(head.cursor) <= t->cursor)
		return false;
	t->cursor = rmnic_le64_get(head.cursor);
	memcpy(t->entry, call->reply + sizeof(head), count * sizeof(t->entry[0]));
	t->n = count;
	return true;
}

static bool view_ok(const struct rmnic_rmp_view *v)
{
	if (!v->view || !v->members || v->members > RMNIC_MEMBERS || v->syncing >> v->members)
		return false;
	for (unsigned int i = 0; i < v->members; i++) {
		if (!v->member[i].store_id || !v->member[i].handle)
			return false;
		for (unsigned int k = 0; k < i; k++)
			if (!memcmp(v->member[i].server, v->member[k].server, 16))
				return false;
	}
	return true;
}

/*
 * Of two views with one number the one is of a slab that was being reserved when its backend died,
 * the other its successor's, under a higher epoch.
 */
static bool is_higher(const struct rmnic_remote_found *f, uint64_t number, uint32_t epoch)
{
	uint64_t have = rmnic_le64_get(f->view.view);

	return number > have || (number == have && epoch > f->epoch);
}

/* False: that is no answer to READ_VIEW. */
static bool take_view(struct rmnic_remote_trace *t)
{
	const struct rmnic_rmp_list_entry *e = &t->entry[t->n - 1];
	struct rmnic_remote_found *f = &t->found[rmnic_le64_get(e->slab)];
	uint32_t epoch = rmnic_le32_get(e->epoch);
	struct rmnic_rmp_view v;

	if (t->call.reply_len != sizeof(v))
		return false;
	memcpy(&v, t->call.reply, sizeof(v));
	if (!v.view) /* it was being reserved, or filled: no page of it was ever acknowledged */
		return true;
	if (!view_ok(&v))
		return false;
	if (!is_higher(f, rmnic_le64_get(v.view), epoch))
		return true;
	f->view = v;
	f->epoch = epoch;
	memcpy(f->teller.server, rmnic_rmp_client_uuid(t->store->client, t->peer), 16);
	f->teller.store_id = rmnic_le64_put(t->store_id);
	f->teller.handle = e->handle;
	return true;
}

static void ask_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_trace *t = call->arg;
	bool ok = call->status == RMNIC_RMP_S_OK;

	if (call->status == RMNIC_RMP_S_FENCED)
		rmnic_remote_move(t->store, RMNIC_REMOTE_FENCED);
	if (call->type == RMNIC_RMP_LIST) {
		ok = ok && take_list(t);
	} else {
		ok = ok ? take_view(t) : call->status == RMNIC_RMP_S_UNKNOWN_SLAB;
		t->n -= ok;
	}
	if (!ok) { /* from the start, some time: what it has is not known as yet */
		t->used = false;
		t->after = rmnic_env_now(&t->store->cfg.env) + PAUSE_NS;
	}
}

static void ask_idle(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_trace *t = call->arg;

	t->asked = false;
}

/* --- Questions ---------------------------------------------------------------------------------- */

static bool submit(struct rmnic_remote_trace *t, uint8_t type)
{
	struct rmnic_rmp_call *call = &t->call;

	memset(call, 0, sizeof(*call));
	call->type = type;
	call->peer = t->peer;
	call->store_id = t->store_id;
	call->deadline = rmnic_env_now(&t->store->cfg.env) + STEP_NS;
	call->done = ask_done;
	call->idle = ask_idle;
	call->arg = t;
	if (type == RMNIC_RMP_LIST) {
		memset(&t->body, 0, sizeof(t->body));
		t->body.cursor = rmnic_le64_put(t->cursor);
		call->body = &t->body;
		call->body_len = sizeof(t->body);
	} else {
		call->handle = rmnic_le64_get(t->entry[t->n - 1].handle);
		call->rpn = rmnic_le64_get(t->entry[t->n - 1].slab) * t->store->state.slab_pages;
	}
	t->asked = true;
	if (rmnic_rmp_client_submit(t->store->client, call))
		return true;
	t->asked = t->used = false;
	return false;
}

/* Whether the entry is worth a question: it may know of a view that nobody told of before. */
static bool is_news(struct rmnic_remote_trace *t, const struct rmnic_rmp_list_entry *e)
{
	uint64_t slab = rmnic_le64_get(e->slab);

	if (slab >= t->store->state.nslabs || !e->view)
		return false;
	if (slab >= t->end)
		t->end = slab + 1;
	return is_higher(&t->found[slab], rmnic_le64_get(e->view), rmnic_le32_get(e->epoch));
}

static bool is_listed(const struct rmnic_remote_trace *t, uint32_t peer,
		      const struct rmnic_peer_info *info)
{
	return info->state == RMNIC_PEER_READY && t->listed[peer] == info->store_id;
}

/* A server that was not looked through. False: there is none. */
static bool next_server(struct rmnic_remote_trace *t)
{
	struct rmnic_peer_info info;

	for (uint32_t i = 0; i < t->store->cfg.max_peers; i++) {
		rmnic_rmp_client_peer(t->store->client, i, &info);
		if (info.state != RMNIC_PEER_READY || is_listed(t, i, &info))
			continue;
		t->used = t->more = true;
		t->peer = i;
		t->n = 0;
		t->cursor = 0;
		t->store_id = info.store_id;
		return true;
	}
	return false;
}

bool rmnic_remote_trace_ask(struct rmnic_remote_trace *t)
{
	if (t->asked || t->call.state != RMNIC_CALL_IDLE)
		return false;
	if (!t->used && (rmnic_env_now(&t->store->cfg.env) < t->after || !next_server(t)))
		return false;
	while (t->n && !is_news(t, &t->entry[t->n - 1]))
		t->n--;
	if (t->n)
		return submit(t, RMNIC_RMP_READ_VIEW);
	if (t->more)
		return submit(t, RMNIC_RMP_LIST);
	t->listed[t->peer] = t->store_id;
	t->used = false;
	return true;
}

bool rmnic_remote_trace_whole(const struct rmnic_remote_trace *t)
{
	struct rmnic_peer_info info;

	for (uint32_t i = 0; i < t->store->cfg.max_peers; i++) {
		rmnic_rmp_client_peer(t->store->client, i, &info);
		if (info.state != RMNIC_PEER_REMOVED && !is_listed(t, i, &info))
			return false;
	}
	return true;
}

bool rmnic_remote_trace_begun(const struct rmnic_remote_trace *t)
{
	for (uint32_t i = 0; i < t->store->cfg.max_peers; i++)
		if (t->listed[i])
			return true;
	return false;
}
