/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests to the RMP server about slabs, views and the server as a whole. */
#include <string.h>

#include "engine/rmp_server_internal.h"

/* A request's body is of one length, known from its type. */
static bool body_is(const struct rmnic_call *call, void *body, uint32_t len)
{
	if (call->msg.payload_len != len)
		return false;
	if (len)
		memcpy(body, call->msg.payload, len);
	return true;
}

static void invalid(struct rmnic_rmp_server *s, const struct rmnic_call *call)
{
	rmnic_server_reply(s, call, RMNIC_RMP_S_INVALID, NULL, 0);
}

/* RMP-12: answers as long as was asked for, so that both ways are measured. */
static void probe(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	struct rmnic_rmp_probe p;
	struct rmnic_rmp_msg m;
	struct rmnic_tx tx = { .head = s->scratch };
	uint32_t back, segment;

	if (call->msg.payload_len < sizeof(p)) {
		invalid(s, call);
		return;
	}
	memcpy(&p, call->msg.payload, sizeof(p));
	back = rmnic_le32_get(p.back);
	segment = rmnic_le32_get(p.segment);
	if (back < sizeof(p) || back > s->cfg.max_mtu - RMNIC_RMP_HDR_SIZE || back % 8 ||
	    segment > RMNIC_PAGE_SIZE || segment % RMNIC_RMP_SEG_ALIGN ||
	    (segment && segment < rmnic_segment_size(RMNIC_RMP_MIN_MTU)) ||
	    !rmnic_rmp_zero(call->msg.payload + sizeof(p), call->msg.payload_len - sizeof(p))) {
		invalid(s, call);
		return;
	}
	if (segment)
		call->session->segment = segment;
	p.back = rmnic_le32_put(call->msg.payload_len);
	p.segment = 0;
	memset(s->scratch, 0, RMNIC_RMP_HDR_SIZE + back);
	memcpy(s->scratch + RMNIC_RMP_HDR_SIZE, &p, sizeof(p));
	rmnic_server_header(s, call, RMNIC_RMP_S_OK, 0, &m);
	rmnic_rmp_encode_body(&s->crc, s->scratch, &m, s->scratch + RMNIC_RMP_HDR_SIZE, back,
			      s->boot_id);
	tx.head_len = RMNIC_RMP_HDR_SIZE + back;
	rmnic_server_send(s, call, &tx, RMNIC_RMP_S_OK);
}

static void seal(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	struct rmnic_memstore *ms = s->cfg.store;
	const struct rmnic_mem_device *d = &ms->devices[call->session->device];
	struct rmnic_rmp_sealed out = { 0 };
	uint64_t view = 0;
	uint16_t status;

	if (call->msg.payload_len || !call->msg.epoch) {
		invalid(s, call);
		return;
	}
	status = rmnic_mem_seal(ms, call->session->device, call->msg.epoch);
	if (status == RMNIC_RMP_S_OK) {
		call->session->epoch = call->msg.epoch;
		for (uint32_t i = 0; i < ms->cfg.max_slabs; i++) {
			const struct rmnic_mem_slab *slab = &ms->slabs[i];

			if (slab->handle && !slab->dying && slab->device == call->session->device &&
			    rmnic_le64_get(slab->view.view) > view)
				view = rmnic_le64_get(slab->view.view);
		}
		out.version = rmnic_le64_put(d->version);
		out.view = rmnic_le64_put(view);
		out.slabs = rmnic_le32_put(d->slabs);
	}
	rmnic_server_reply(s, call, status, &out, status == RMNIC_RMP_S_OK ? sizeof(out) : 0);
}

static void alloc(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	struct rmnic_memstore *ms = s->cfg.store;
	struct rmnic_rmp_alloc a;
	struct rmnic_rmp_allocated out;
	uint64_t number, handle = 0;
	uint32_t pages;
	uint16_t status;

	if (!body_is(call, &a, sizeof(a)) || a.rsvd) {
		invalid(s, call);
		return;
	}
	number = rmnic_le64_get(a.slab);
	pages = rmnic_le32_get(a.pages);
	if (!pages || pages > ms->cfg.slab_pages || number > RMNIC_MAX_CAPACITY / pages ||
	    call->msg.rpn != number * pages) {
		invalid(s, call);
		return;
	}
	status = rmnic_mem_alloc(ms, call->session->device, call->msg.epoch, number, pages,
				 &handle);
	out.handle = rmnic_le64_put(handle);
	out.free_pages = rmnic_le64_put(rmnic_mem_free_pages(ms));
	rmnic_server_reply(s, call, status, &out, status == RMNIC_RMP_S_OK ? sizeof(out) : 0);
}

/* RMP-39: what was sent under the old handle finds nothing from now on. */
static void renew(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	struct rmnic_memstore *ms = s->cfg.store;
	struct rmnic_rmp_allocated out;
	uint64_t handle = 0;
	uint16_t status;

	status = rmnic_mem_renew(ms, call->session->device, call->msg.epoch, call->msg.handle,
				 call->msg.version, &handle);
	out.handle = rmnic_le64_put(handle);
	out.free_pages = rmnic_le64_put(rmnic_mem_free_pages(ms));
	rmnic_server_reply(s, call, status, &out, status == RMNIC_RMP_S_OK ? sizeof(out) : 0);
}

/* RMP-35: the device's slabs, a few at a time; the cursor is a place in the table. */
static void list(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	struct rmnic_memstore *ms = s->cfg.store;
	struct {
		struct rmnic_rmp_list head;
		struct rmnic_rmp_list_entry entry[RMNIC_RMP_MAX_LIST];
	} out;
	struct rmnic_rmp_list in;
	uint64_t i;
	uint32_t n = 0;

	if (!body_is(call, &in, sizeof(in)) || in.count || in.rsvd) {
		invalid(s, call);
		return;
	}
	memset(&out, 0, sizeof(out));
	for (i = rmnic_le64_get(in.cursor); i < ms->cfg.max_slabs && n < RMNIC_RMP_MAX_LIST; i++) {
		const struct rmnic_mem_slab *slab = &ms->slabs[i];

		if (!slab->handle || slab->dying || slab->device != call->session->device)
			continue;
		out.entry[n].handle = rmnic_le64_put(slab->handle);
		out.entry[n].slab = rmnic_le64_put(slab->number);
		out.entry[n].view = slab->view.view;
		out.entry[n].version = rmnic_le64_put(slab->version);
		out.entry[n].epoch = rmnic_le32_put(slab->epoch);
		out.entry[n].pages = rmnic_le32_put(slab->stored);
		n++;
	}
	out.head.cursor = rmnic_le64_put(i);
	out.head.count = rmnic_le32_put(n);
	rmnic_server_reply_with(s, call, RMNIC_RMP_S_OK,
				i < ms->cfg.max_slabs ? RMNIC_RMP_F_MORE : 0, 0, &out,
				(uint32_t)(sizeof(out.head) + n * sizeof(out.entry[0])));
}

static void record_view(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	struct rmnic_rmp_view v;

	if (!body_is(call, &v, sizeof(v)) || !v.view || !v.members ||
	    v.members > RMNIC_RMP_MAX_MEMBERS || v.syncing >> v.members ||
	    !rmnic_rmp_zero(v.rsvd, sizeof(v.rsvd)) ||
	    !rmnic_rmp_zero(&v.member[v.members],
			    (RMNIC_RMP_MAX_MEMBERS - v.members) * sizeof(v.member[0]))) {
		invalid(s, call);
		return;
	}
	rmnic_server_reply(s, call, rmnic_mem_record_view(call->slab, &v), NULL, 0);
}

/*
 * RMP-34: what is held of a range, tombstones included, in order. Pages that were never
 * written have no record.
 */
static void sync(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	struct {
		struct rmnic_rmp_sync head;
		struct rmnic_rmp_sync_record record[RMNIC_RMP_MAX_SYNC];
	} out;
	struct rmnic_rmp_sync in;
	uint64_t rpn = call->msg.rpn, end;
	uint32_t n = 0;

	if (!body_is(call, &in, sizeof(in)) || in.next || in.rsvd || !in.count ||
	    !rmnic_mem_covers(call->slab, rpn, rmnic_le32_get(in.count))) {
		invalid(s, call);
		return;
	}
	memset(&out, 0, sizeof(out));
	end = rpn + rmnic_le32_get(in.count);
	for (; rpn < end && n < RMNIC_RMP_MAX_SYNC; rpn++) {
		const struct rmnic_page_meta *m = rmnic_mem_page(call->slab, rpn);

		if (!m->vstate)
			continue;
		out.record[n].vstate = rmnic_le64_put(m->vstate);
		out.record[n].page = rmnic_le32_put((uint32_t)(rpn % call->slab->pages));
		out.record[n].crc = rmnic_le32_put(m->crc);
		n++;
	}
	out.head.next = rmnic_le64_put(rpn);
	out.head.count = rmnic_le32_put(n);
	rmnic_server_reply_with(s, call, RMNIC_RMP_S_OK, rpn < end ? RMNIC_RMP_F_MORE : 0, 0, &out,
				(uint32_t)(sizeof(out.head) + n * sizeof(out.record[0])));
}

static void stat(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	const struct rmnic_memstore *ms = s->cfg.store;
	const struct rmnic_mem_device *d = &ms->devices[call->session->device];
	const struct rmnic_rmp_stat out = {
		.pages_total = rmnic_le64_put(ms->lent),
		.pages_reserved = rmnic_le64_put(ms->reserved),
		.pages_stored = rmnic_le64_put(ms->stored),
		.device_slabs = rmnic_le64_put(d->slabs),
		.device_pages = rmnic_le64_put(d->stored),
		.sessions = rmnic_le64_put(s->active),
		.reads = rmnic_le64_put(s->counters.reads),
		.writes = rmnic_le64_put(s->counters.writes + s->counters.fills),
		.duplicates = rmnic_le64_put(s->counters.duplicates),
		.crc_errors = rmnic_le64_put(s->counters.crc_errors),
		.busy = rmnic_le64_put(s->counters.status[RMNIC_RMP_S_BUSY]),
		.free_pages = rmnic_le64_put(rmnic_mem_free_pages(ms)),
	};

	rmnic_server_reply(s, call, RMNIC_RMP_S_OK, &out, sizeof(out));
}

/* A handful of requests have no body: to send one with them is a mistake. */
static bool bodyless(uint8_t type)
{
	return type == RMNIC_RMP_PING || type == RMNIC_RMP_CLOSE || type == RMNIC_RMP_RELEASE ||
	       type == RMNIC_RMP_READ_VIEW || type == RMNIC_RMP_STAT ||
	       type == RMNIC_RMP_RENEW;
}

void rmnic_admin_request(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	if (bodyless(call->msg.type) && call->msg.payload_len) {
		invalid(s, call);
		return;
	}
	switch (call->msg.type) {
	case RMNIC_RMP_PING:
		rmnic_server_reply(s, call, RMNIC_RMP_S_OK, NULL, 0);
		break;
	case RMNIC_RMP_CLOSE:
		rmnic_server_reply(s, call, RMNIC_RMP_S_OK, NULL, 0);
		rmnic_session_close(s, call->session);
		break;
	case RMNIC_RMP_PROBE:
		probe(s, call);
		break;
	case RMNIC_RMP_SEAL:
		seal(s, call);
		break;
	case RMNIC_RMP_ALLOC:
		alloc(s, call);
		break;
	case RMNIC_RMP_RENEW:
		renew(s, call);
		break;
	case RMNIC_RMP_RELEASE: /* RMP-18: a second one finds UNKNOWN_SLAB, which is as good */
		rmnic_mem_release(s->cfg.store, call->slab);
		rmnic_server_reply(s, call, RMNIC_RMP_S_OK, NULL, 0);
		break;
	case RMNIC_RMP_LIST:
		list(s, call);
		break;
	case RMNIC_RMP_RECORD_VIEW:
		record_view(s, call);
		break;
	case RMNIC_RMP_READ_VIEW:
		rmnic_server_reply(s, call, RMNIC_RMP_S_OK, &call->slab->view,
				   sizeof(call->slab->view));
		break;
	case RMNIC_RMP_SYNC:
		sync(s, call);
		break;
	case RMNIC_RMP_STAT:
		stat(s, call);
		break;
	default:
		rmnic_server_reply(s, call, RMNIC_RMP_S_UNSUPPORTED, NULL, 0);
	}
}
