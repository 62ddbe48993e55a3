/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Filling a member: one that came back, a new one, one instead of another (STATE-24, STATE-25).
 *
 * A job asks a server for a handle, makes it a member that is SYNCING, waits for the writes from
 * before, copies, and makes it whole. Each step that a successor needs to know of is a view. A
 * member that it finds SYNCING goes on being filled, under the same handle: it is asked what is there
 * already, as one that was away is.
 */
#include <string.h>

#include "engine/remote_range.h"

#define ASK_NS   UINT64_C(5000000000)
#define AGAIN_NS UINT64_C(1000000000) /* after one that failed */
#define STALL_NS UINT64_C(100000000)
#define SCAN     256                  /* slabs, in one call */

static void ask_done(struct rmnic_rmp_call *call);

static uint64_t now_of(const struct rmnic_remote *r)
{
	return rmnic_env_now(&r->cfg.env);
}

/* --- Beginning and end of a job --------------------------------------------------------------------- */

static struct rmnic_remote_job *job_free(struct rmnic_remote *r)
{
	for (int i = 0; i < RMNIC_REMOTE_JOBS; i++)
		if (r->repair.jobs[i].step == RMNIC_JOB_NONE &&
		    r->repair.jobs[i].call.state == RMNIC_CALL_IDLE &&
		    rmnic_remote_range_idle(&r->repair.ranges[i]))
			return &r->repair.jobs[i];
	return NULL;
}

static struct rmnic_remote_job *job_new(struct rmnic_remote *r, uint64_t slab,
					enum rmnic_remote_job_step step, uint16_t peer)
{
	struct rmnic_remote_job *j = job_free(r);

	if (!j)
		return NULL;
	memset(j, 0, sizeof(*j));
	j->store = r;
	j->step = step;
	j->slab = slab;
	j->peer = peer;
	j->leaver = RMNIC_NO_PEER;
	j->range = &r->repair.ranges[j - r->repair.jobs];
	r->slabs[slab].job = (uint8_t)(j - r->repair.jobs + 1);
	return j;
}

static void job_end(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	struct rmnic_remote_slab *s = &r->slabs[j->slab];

	rmnic_remote_copy_cancel(r, j);
	rmnic_remote_range_cancel(j->range);
	if (j->step == RMNIC_JOB_ASK)
		rmnic_rmp_client_cancel(r->client, &j->call);
	/* What no row names any more, or never did, goes back (STATE-18). */
	if (j->handle && !rmnic_remote_named(r, j->slab, rmnic_rmp_client_uuid(r->client, j->peer),
					     j->store_id, j->handle))
		rmnic_remote_sweep_at(r, j->peer, true);
	j->step = RMNIC_JOB_NONE;
	s->job = 0;
	rmnic_remote_repair_look(r, j->slab);
}

static void job_failed(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	struct rmnic_remote_slab *s = &r->slabs[j->slab];
	bool empty = j->status == RMNIC_CALL_EMPTY || j->status == RMNIC_RMP_S_UNKNOWN_SLAB;
	int i = j->handle ? rmnic_remote_entry(s, j->store_id, j->handle) : -1;

	/* If it may not be dropped it stays SYNCING, which is as good as not there. */
	if (i >= 0 && s->syncing >> i & 1)
		rmnic_remote_drop(r, j->slab, (unsigned int)i, empty);
	RMNIC_COUNT(r->remote.syncs_failed, 1);
	rmnic_remote_event(r, RMNIC_REMOTE_EV_SYNC_FAILED, j->slab, 0, j->copied,
			   rmnic_rmp_client_uuid(r->client, j->peer));
	s->repair_at = now_of(r) + AGAIN_NS;
	job_end(r, j);
}

/* --- Asking for a handle ------------------------------------------------------------------------------ */

static bool ask(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	struct rmnic_rmp_call *call = &j->call;

	call->type = j->renew ? RMNIC_RMP_RENEW : RMNIC_RMP_ALLOC;
	call->peer = j->peer;
	call->deadline = now_of(r) + ASK_NS;
	call->done = ask_done;
	call->arg = j;
	if (j->renew) {
		call->store_id = j->store_id;
		call->handle = j->old;
		call->version = j->since;
	} else {
		j->body.slab = rmnic_le64_put(j->slab);
		j->body.pages = rmnic_le32_put(r->state.slab_pages);
		call->rpn = j->slab * r->state.slab_pages;
		call->body = &j->body;
		call->body_len = sizeof(j->body);
		r->peers[j->peer].placing++;
	}
	if (rmnic_rmp_client_submit(r->client, call))
		return true;
	r->peers[j->peer].placing -= !j->renew;
	r->slabs[j->slab].repair_at = now_of(r) + AGAIN_NS;
	job_end(r, j);
	return false;
}

bool rmnic_remote_job_renew(struct rmnic_remote *r, uint64_t slab, unsigned int i)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	struct rmnic_remote_job *j = job_new(r, slab, RMNIC_JOB_ASK, rmnic_remote_peer_of(r, s, i));

	if (!j)
		return false;
	j->renew = true;
	j->old = rmnic_le64_get(s->member[i].handle);
	j->store_id = rmnic_le64_get(s->member[i].store_id);
	j->since = s->since[i];
	return ask(r, j);
}

bool rmnic_remote_job_fill(struct rmnic_remote *r, uint64_t slab, uint16_t peer, int leaver)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	struct rmnic_remote_job *j = job_new(r, slab, RMNIC_JOB_ASK, peer);

	if (!j)
		return false;
	if (leaver >= 0) {
		j->leaver = rmnic_remote_peer_of(r, s, (unsigned int)leaver);
		j->old = rmnic_le64_get(s->member[leaver].handle);
	}
	return ask(r, j);
}

static void ask_done(struct rmnic_rmp_call *call)
{
	struct rmnic_remote_job *j = call->arg;
	struct rmnic_remote *r = j->store;
	struct rmnic_rmp_allocated out;
	struct rmnic_peer_info info;

	r->peers[call->peer].placing -= call->type == RMNIC_RMP_ALLOC;
	if (call->status == RMNIC_RMP_S_FENCED)
		rmnic_remote_move(r, RMNIC_REMOTE_FENCED);
	j->answered = true;
	j->status = call->status;
	if (call->status != RMNIC_RMP_S_OK)
		return;
	if (call->reply_len != sizeof(out)) {
		j->status = RMNIC_RMP_S_INVALID;
		return;
	}
	memcpy(&out, call->reply, sizeof(out));
	rmnic_rmp_client_peer(r->client, call->peer, &info);
	r->peers[call->peer].free_pages = rmnic_le64_get(out.free_pages);
	j->handle = rmnic_le64_get(out.handle);
	j->store_id = info.store_id;
}

/* It gave no handle. */
static void refused(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	struct rmnic_remote_slab *s = &r->slabs[j->slab];

	switch (j->status) {
	case RMNIC_RMP_S_NO_SPACE:
	case RMNIC_RMP_S_QUOTA:
	case RMNIC_RMP_S_DRAINING:
		r->peers[j->peer].full = true; /* another one, at once */
		break;
	case RMNIC_CALL_EMPTY:
	case RMNIC_RMP_S_UNKNOWN_SLAB: /* what was away is gone */
		for (unsigned int i = 0; j->renew && i < s->members; i++)
			if (s->away >> i & 1 && rmnic_le64_get(s->member[i].handle) == j->old)
				rmnic_remote_view_without(r, j->slab, i);
		break;
	default:
		s->repair_at = now_of(r) + AGAIN_NS;
		/* ALLOC may have been heard, and its answer not. */
		if (!j->renew)
			rmnic_remote_sweep_at(r, j->peer, true);
	}
	job_end(r, j);
}

/* --- Becoming a member ---------------------------------------------------------------------------------- */

/* The view with the member in it, SYNCING. False: that cannot be any more. */
static bool view_with(struct rmnic_remote *r, const struct rmnic_remote_job *j,
		      struct rmnic_state_view *v)
{
	struct rmnic_remote_slab *s = &r->slabs[j->slab];
	unsigned int i = 0;

	/* STATE-26: all members may have been lost meanwhile, and the slab be that server's another way. */
	if (!rmnic_remote_whole(s) || (!j->renew && rmnic_remote_in_view(r, s, j->peer)))
		return false;
	rmnic_remote_view_copy(r, j->slab, v);
	if (j->renew) {
		while (i < v->members && !(v->away >> i & 1 &&
					   rmnic_le64_get(v->member[i].handle) == j->old))
			i++;
		if (i == v->members)
			return false;
		v->away &= (uint8_t)~(1u << i);
	} else {
		/* One that is away makes room, or the one that is to leave. */
		for (unsigned int k = v->members; k-- > 0 && v->members == RMNIC_MEMBERS;)
			if (v->away >> k & 1)
				rmnic_remote_view_remove(v, k);
		for (unsigned int k = v->members; k-- > 0 && v->members == RMNIC_MEMBERS;)
			if (j->old && rmnic_le64_get(v->member[k].handle) == j->old)
				rmnic_remote_view_remove(v, k);
		if (v->members == RMNIC_MEMBERS)
			return false;
		i = v->members++;
		v->since[i] = 0;
		memcpy(v->member[i].server, rmnic_rmp_client_uuid(r->client, j->peer), 16);
	}
	v->member[i].store_id = rmnic_le64_put(j->store_id);
	v->member[i].handle = rmnic_le64_put(j->handle);
	v->syncing |= (uint8_t)(1u << i);
	return true;
}

static void begin_filling(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	struct rmnic_remote_slab *s = &r->slabs[j->slab];
	int i = rmnic_remote_entry(s, j->store_id, j->handle);

	j->step = RMNIC_JOB_DRAIN;
	j->view = s->view;
	j->since = s->since[i];
	rmnic_remote_event(r, RMNIC_REMOTE_EV_SYNCING, j->slab, 0, 0, s->member[i].server);
}

static void join(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	struct rmnic_remote_slab *s = &r->slabs[j->slab];
	struct rmnic_state_view v;

	if (j->call.state != RMNIC_CALL_IDLE)
		return;
	if (j->status != RMNIC_RMP_S_OK) {
		refused(r, j);
		return;
	}
	if (j->renew && rmnic_remote_emptied(r, s) && rmnic_remote_rescue_join(r, j)) {
		j->step = RMNIC_JOB_TELL;
		j->view = s->view;
		return;
	}
	if (!view_with(r, j, &v)) {
		s->repair_at = now_of(r) + AGAIN_NS;
		job_end(r, j);
		return;
	}
	rmnic_remote_view_change(r, j->slab, &v); /* STATE-25: from now on each write goes to it */
	j->has_some = j->renew;
	begin_filling(r, j);
}

bool rmnic_remote_job_resume(struct rmnic_remote *r, uint64_t slab, unsigned int i)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	struct rmnic_remote_job *j = job_new(r, slab, RMNIC_JOB_DRAIN, rmnic_remote_peer_of(r, s, i));

	if (!j)
		return false;
	j->handle = rmnic_le64_get(s->member[i].handle);
	j->store_id = rmnic_le64_get(s->member[i].store_id);
	j->has_some = true;
	begin_filling(r, j);
	return true;
}

/* --- Being whole -------------------------------------------------------------------------------------------- */

/* Everything is copied: it may be read from now on, and the one it is instead of leaves. */
static void finish(struct rmnic_remote *r, struct rmnic_remote_job *j, unsigned int i)
{
	const uint8_t *server = rmnic_rmp_client_uuid(r->client, j->peer);
	struct rmnic_state_view v;

	rmnic_remote_view_copy(r, j->slab, &v);
	v.syncing &= (uint8_t)~(1u << i);
	v.since[i] = 0;
	for (unsigned int k = 0; k < v.members; k++)
		if (j->leaver != RMNIC_NO_PEER && rmnic_le64_get(v.member[k].handle) == j->old) {
			rmnic_remote_view_remove(&v, k);
			break;
		}
	rmnic_remote_view_change(r, j->slab, &v);
	j->step = RMNIC_JOB_TELL;
	j->view = r->slabs[j->slab].view;
	if (j->renew || j->since)
		RMNIC_COUNT(r->remote.resyncs, 1);
	else
		RMNIC_COUNT(r->remote.repairs, 1);
	rmnic_remote_event(r, RMNIC_REMOTE_EV_REPAIRED, j->slab, 0, j->copied, server);
}

bool rmnic_remote_job_leave(struct rmnic_remote *r, uint64_t slab, unsigned int i)
{
	struct rmnic_remote_slab *s = &r->slabs[slab];
	uint16_t peer = rmnic_remote_peer_of(r, s, i);
	struct rmnic_remote_job *j = job_new(r, slab, RMNIC_JOB_TELL, peer);

	if (!j)
		return false;
	j->leaver = peer;
	rmnic_remote_view_without(r, slab, i);
	j->view = s->view;
	return true;
}

static void fill(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	struct rmnic_remote_slab *s = &r->slabs[j->slab];
	int i = rmnic_remote_entry(s, j->store_id, j->handle);

	if (rmnic_remote_emptied(r, s)) { /* STATE-33: there is nothing to fill it with */
		job_end(r, j);
		return;
	}
	if (i < 0 || !(s->syncing >> i & 1)) { /* it was dropped */
		j->failed = true;
	} else if (j->step == RMNIC_JOB_DRAIN) {
		/* STATE-25: what a write from before missed is copied, so it has to be over. */
		if (s->recorded < j->view || rmnic_remote_writes_before(r, j->slab, j->view))
			return;
		j->step = RMNIC_JOB_COPY;
	}
	if (j->step == RMNIC_JOB_COPY && !j->failed && !j->stalled)
		r->repair.busy |= rmnic_remote_copy_slab(r, j);
	if (j->failed) {
		job_failed(r, j);
	} else if (j->stalled) { /* nobody to copy from is here: it stays SYNCING until then */
		s->repair_at = now_of(r) + STALL_NS;
		job_end(r, j);
	} else if (j->page == r->state.slab_pages && !j->copies) {
		finish(r, j, (unsigned int)i);
	}
}

static void job_step(struct rmnic_remote *r, struct rmnic_remote_job *j)
{
	switch (j->step) {
	case RMNIC_JOB_NONE:
		break;
	case RMNIC_JOB_ASK:
		if (j->answered)
			join(r, j);
		break;
	case RMNIC_JOB_DRAIN:
	case RMNIC_JOB_COPY:
		fill(r, j);
		break;
	case RMNIC_JOB_TELL: /* those who stay know it before the one that leaves loses it */
		if (r->slabs[j->slab].recorded < j->view &&
		    !rmnic_remote_emptied(r, &r->slabs[j->slab]))
			break;
		if (j->leaver != RMNIC_NO_PEER)
			rmnic_remote_sweep_at(r, j->leaver, true);
		job_end(r, j);
	}
}

/* --- Creation -------------------------------------------------------------------------------------- */

bool rmnic_remote_repair_create(struct rmnic_remote *r)
{
	r->repair.ranges = r->cfg.env.ops->alloc(r->cfg.env.arg,
						 sizeof(*r->repair.ranges) * RMNIC_REMOTE_JOBS);
	return r->repair.ranges != NULL;
}

void rmnic_remote_repair_destroy(struct rmnic_remote *r)
{
	r->cfg.env.ops->free(r->cfg.env.arg, r->repair.ranges);
}

/* --- Rounds --------------------------------------------------------------------------------------------------- */

void rmnic_remote_repair_look(struct rmnic_remote *r, uint64_t slab)
{
	(void)slab; /* all of them are looked at: what one has done with may be for another */
	r->repair.left = r->state.nslabs;
}

void rmnic_remote_repair_by(struct rmnic_remote *r, uint64_t at)
{
	if (at < r->repair.look_at)
		r->repair.look_at = at;
}

/* What slabs need, as long as there is somebody to do it. */
static void look(struct rmnic_remote *r)
{
	struct rmnic_remote_repair *p = &r->repair;

	if (now_of(r) >= p->look_at) {
		p->look_at = UINT64_MAX;
		p->left = r->state.nslabs;
	}
	if (p->left)
		p->unwanted = rmnic_remote_unwanted(r);
	for (int i = 0; i < SCAN && p->left && job_free(r); i++) {
		p->left--;
		p->cursor = (p->cursor + 1) % r->state.nslabs;
		rmnic_remote_plan(r, p->cursor);
	}
}

bool rmnic_remote_repair(struct rmnic_remote *r)
{
	struct rmnic_remote_repair *p = &r->repair;

	if (!r->served || r->status >= RMNIC_REMOTE_FENCED)
		return false;
	p->busy = false;
	for (int i = 0; i < RMNIC_REMOTE_JOBS; i++)
		job_step(r, &p->jobs[i]);
	rmnic_remote_copy_bad(r);
	rmnic_remote_room_ask(r);
	look(r);
	return p->busy || (p->left && job_free(r));
}

uint64_t rmnic_remote_repair_due(const struct rmnic_remote *r)
{
	const struct rmnic_remote_repair *p = &r->repair;
	uint64_t due = p->look_at, room = rmnic_remote_room_due(r), copy;
	bool copying = p->nbad != 0, idle = false;

	if (!r->served || r->status >= RMNIC_REMOTE_FENCED)
		return UINT64_MAX;
	for (int i = 0; i < RMNIC_REMOTE_JOBS; i++) {
		const struct rmnic_remote_job *j = &p->jobs[i];

		if (j->step == RMNIC_JOB_ASK && j->answered)
			return 0;
		copying |= j->step == RMNIC_JOB_COPY && rmnic_remote_copy_more(r, j);
		idle |= j->step == RMNIC_JOB_NONE && j->call.state == RMNIC_CALL_IDLE;
	}
	if (p->left && idle)
		return 0;
	if (room < due)
		due = room;
	copy = copying ? rmnic_remote_copy_due(r) : UINT64_MAX;
	return copy < due ? copy : due;
}

bool rmnic_remote_repairing_at(const struct rmnic_remote *r, uint32_t peer)
{
	for (int i = 0; i < RMNIC_REMOTE_JOBS; i++) {
		const struct rmnic_remote_job *j = &r->repair.jobs[i];

		if (j->call.peer == peer && j->call.state != RMNIC_CALL_IDLE)
			return true;
		/* Answered, and not yet in a row; none gets there once the device is given up. */
		if (j->step == RMNIC_JOB_ASK && j->peer == peer &&
		    r->status < RMNIC_REMOTE_RELEASING)
			return true;
	}
	return false;
}

bool rmnic_remote_repair_named(const struct rmnic_remote *r, uint32_t peer, uint64_t handle)
{
	for (int i = 0; i < RMNIC_REMOTE_JOBS; i++) {
		const struct rmnic_remote_job *j = &r->repair.jobs[i];

		if (j->step == RMNIC_JOB_ASK && j->peer == peer && j->handle == handle)
			return true;
	}
	return false;
}
