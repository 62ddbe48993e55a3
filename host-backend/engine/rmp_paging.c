/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages in and out of the RMP server. */
#include <string.h>

#include "engine/page.h"
#include "engine/rmp_server_internal.h"

/* --- Page-in --------------------------------------------------------------------------------- */

static void reply_fill(struct rmnic_rmp_server *s, const struct rmnic_call *call,
		       const struct rmnic_page_meta *m)
{
	uint8_t out[RMNIC_RMP_HDR_SIZE + 4];
	struct rmnic_tx tx = { .head = out, .head_len = sizeof(out), .join = rmnic_server_join(call) };
	struct rmnic_rmp_msg r;

	rmnic_server_header(s, call, RMNIC_RMP_S_OK, 0, &r);
	r.flags |= RMNIC_RMP_F_FILLED;
	r.version = m->vstate >> RMNIC_RMP_VERSION_SHIFT;
	r.total = 4;
	r.crc = m->crc;
	rmnic_rmp_put32(out + RMNIC_RMP_HDR_SIZE, m->body);
	rmnic_rmp_encode(&s->crc, out, &r, 4, s->boot_id);
	rmnic_server_send(s, call, &tx, RMNIC_RMP_S_OK);
}

/* The page straight from its frame, in as many segments as the session's path needs. */
static void reply_page(struct rmnic_rmp_server *s, const struct rmnic_call *call,
		       const struct rmnic_page_meta *m)
{
	const uint8_t *bytes = rmnic_frame_data(s->cfg.store->frames, m->body);
	uint8_t out[RMNIC_RMP_HDR_SIZE];
	struct rmnic_rmp_msg r;
	uint32_t len;

	rmnic_server_header(s, call, RMNIC_RMP_S_OK, 0, &r);
	r.version = m->vstate >> RMNIC_RMP_VERSION_SHIFT;
	r.total = RMNIC_PAGE_SIZE;
	r.crc = m->crc;
	for (r.offset = 0; r.offset < r.total; r.offset += len) {
		struct rmnic_tx tx = {
			.head = out,
			.head_len = sizeof(out),
			.data = bytes + r.offset,
			.release = rmnic_frame_release,
			.release_arg = rmnic_frame_hold(s->cfg.store->frames, m->body),
		};

		if (!tx.release_arg) {
			/* Too much is on its way already; the client asks again. */
			rmnic_server_reply(s, call, RMNIC_RMP_S_BUSY, NULL, 0);
			return;
		}
		len = r.total - r.offset;
		if (len > call->session->segment)
			len = call->session->segment;
		tx.data_len = len;
		rmnic_rmp_encode(&s->crc, out, &r, len, s->boot_id);
		if (!rmnic_server_send(s, call, &tx, RMNIC_RMP_S_OK))
			rmnic_frame_release(tx.release_arg);
	}
}

static void read_page(struct rmnic_rmp_server *s, const struct rmnic_call *call)
{
	const struct rmnic_page_meta *m = rmnic_mem_page(call->slab, call->msg.rpn);

	s->counters.reads++;
	if (m->vstate & RMNIC_RMP_PAGE_BAD) /* RMP-40 */
		rmnic_server_reply_with(s, call, RMNIC_RMP_S_CORRUPT, 0,
					m->vstate >> RMNIC_RMP_VERSION_SHIFT, NULL, 0);
	else if (m->vstate & RMNIC_RMP_PAGE_STORED)
		reply_page(s, call, m);
	else if (m->vstate & RMNIC_RMP_PAGE_FILLED)
		reply_fill(s, call, m);
	else /* RMP-22: with the tombstone's version; what it means is the client's to know */
		rmnic_server_reply_with(s, call, RMNIC_RMP_S_ABSENT, 0,
					m->vstate >> RMNIC_RMP_VERSION_SHIFT, NULL, 0);
}

/* --- Page-out: receiving --------------------------------------------------------------------- */

/*
 * RMP-19. What is there in this version already is looked at before the write is answered without
 * being done: its reader may have found it damaged, and this is what replaces it (RMP-40).
 */
static uint16_t may_write(struct rmnic_rmp_server *s, const struct rmnic_call *call, bool *again)
{
	const struct rmnic_rmp_msg *m = &call->msg;
	uint16_t status = rmnic_mem_may_write(call->slab, m->rpn, m->version, m->crc, again);

	if (rmnic_mem_page(call->slab, m->rpn)->vstate >> RMNIC_RMP_VERSION_SHIFT != m->version ||
	    rmnic_mem_check(s->cfg.store, call->slab, m->rpn))
		return status;
	return rmnic_mem_may_write(call->slab, m->rpn, m->version, m->crc, again);
}

static void out_drop(struct rmnic_rmp_server *s, struct rmnic_out *o)
{
	rmnic_frame_put(s->cfg.store->frames, o->frame);
	memset(o, 0, sizeof(*o));
}

/*
 * The slot in which a page-out is put together: its own if some of it came before, a free
 * one, or that of a page which has been incomplete for too long. NULL: all eight are in use
 * (RMP-25) or there is no frame.
 */
static struct rmnic_out *out_slot(struct rmnic_rmp_server *s, const struct rmnic_call *call)
{
	struct rmnic_session *e = call->session;
	struct rmnic_out *spare = NULL, *late = NULL;

	for (int i = 0; i < RMNIC_RMP_PAGE_OUTS; i++) {
		struct rmnic_out *o = &e->outs[i];

		if (o->state == RMNIC_OUT_IDLE)
			spare = o;
		else if (o->msg.request == call->msg.request)
			return o;
		else if (o->state == RMNIC_OUT_PARTIAL && (!late || o->t_first < late->t_first))
			late = o;
	}
	if (!spare && late && call->now - late->t_first >= RMNIC_PARTIAL_NS) {
		out_drop(s, late);
		s->counters.evicted++;
		spare = late;
	}
	if (!spare || s->queued >= s->cfg.max_queue)
		return NULL;
	spare->frame = rmnic_frame_get(s->cfg.store->frames); /* RMP-20 */
	if (spare->frame == RMNIC_FRAME_NONE)
		return NULL;
	spare->state = RMNIC_OUT_PARTIAL;
	spare->session = (uint32_t)(e - s->sessions);
	spare->t_first = call->now;
	spare->msg = call->msg;
	return spare;
}

static void enqueue(struct rmnic_rmp_server *s, const struct rmnic_call *call, struct rmnic_out *o)
{
	uint32_t index = o->session * RMNIC_RMP_PAGE_OUTS +
			 (uint32_t)(o - s->sessions[o->session].outs);

	o->state = RMNIC_OUT_QUEUED;
	o->t_queued = call->now;
	o->from = call->rx->from;
	o->lane = call->rx->lane;
	o->msg.stamp = call->msg.stamp; /* of the attempt that made it whole */
	o->next = RMNIC_NO_SLOT;
	if (s->queue_head == RMNIC_NO_SLOT)
		s->queue_head = index;
	else
		s->sessions[s->queue_tail / RMNIC_RMP_PAGE_OUTS]
			.outs[s->queue_tail % RMNIC_RMP_PAGE_OUTS].next = index;
	s->queue_tail = index;
	s->queued++;
	call->session->queued++;
}

/* Copies a segment to its place; a page that comes whole gets its checksum on the way. */
static void take_bytes(struct rmnic_rmp_server *s, const struct rmnic_call *call,
		       struct rmnic_out *o)
{
	uint8_t *to = rmnic_frame_data(s->cfg.store->frames, o->frame) + call->msg.offset;

	o->has_crc = call->msg.payload_len == RMNIC_PAGE_SIZE &&
		     (uintptr_t)call->msg.payload % 8 == 0;
	if (o->has_crc)
		o->bytes_crc = rmnic_crc32c_copy_page(&s->crc, to, call->msg.payload);
	else
		memcpy(to, call->msg.payload, call->msg.payload_len);
}

static void write_segment(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	const struct rmnic_rmp_msg *m = &call->msg;
	struct rmnic_out *o;
	uint16_t status;
	bool again, restarted;

	status = may_write(s, call, &again);
	if (status != RMNIC_RMP_S_OK || again) {
		s->counters.duplicates += again;
		rmnic_server_reply(s, call, status, NULL, 0);
		return;
	}
	o = out_slot(s, call);
	if (!o) {
		rmnic_server_reply(s, call, RMNIC_RMP_S_BUSY, NULL, 0);
		return;
	}
	/* One request id is one page of one version: anything else under it is a lie. */
	if (o->msg.rpn != m->rpn || o->msg.version != m->version || o->msg.crc != m->crc ||
	    o->msg.handle != m->handle || o->msg.epoch != m->epoch) {
		rmnic_server_reply(s, call, RMNIC_RMP_S_INVALID, NULL, 0);
		return;
	}
	if (o->state == RMNIC_OUT_QUEUED) { /* whole already: its answer is to come */
		s->counters.duplicates++;
		return;
	}
	o->congestion |= call->rx->congestion;
	switch (rmnic_segment_add(&o->segs, m, &restarted)) {
	case RMNIC_SEGMENT_DUPLICATE:
		s->counters.duplicates++;
		break;
	case RMNIC_SEGMENT_NEW:
		take_bytes(s, call, o);
		break;
	case RMNIC_SEGMENT_LAST:
		take_bytes(s, call, o);
		enqueue(s, call, o);
		break;
	}
	s->counters.restarts += restarted;
}

/* --- Page-out: applying ------------------------------------------------------------------------ */

/* RMP-3, RMP-13: the last look before a page becomes what the slab holds. */
static uint16_t apply(struct rmnic_rmp_server *s, struct rmnic_out *o)
{
	struct rmnic_memstore *ms = s->cfg.store;
	const struct rmnic_mem_device *d = &ms->devices[s->sessions[o->session].device];
	struct rmnic_mem_slab *slab;
	uint16_t status;
	uint32_t crc;

	if (o->msg.epoch != d->epoch) /* sealed while it was queued */
		return RMNIC_RMP_S_FENCED;
	slab = rmnic_mem_slab(ms, s->sessions[o->session].device, o->msg.handle);
	if (!slab) /* released meanwhile */
		return RMNIC_RMP_S_UNKNOWN_SLAB;
	crc = o->has_crc ? o->bytes_crc
			 : rmnic_crc32c_update(&s->crc, 0, rmnic_frame_data(ms->frames, o->frame),
					       RMNIC_PAGE_SIZE);
	crc = rmnic_page_seal(&s->crc, crc, d->uuid, o->msg.rpn, o->msg.version);
	if (crc != o->msg.crc) {
		s->counters.crc_errors++;
		return RMNIC_RMP_S_CORRUPT;
	}
	status = rmnic_mem_write(ms, slab, o->msg.rpn, o->msg.version, RMNIC_RMP_PAGE_STORED, crc,
				 o->frame);
	o->frame = RMNIC_FRAME_NONE; /* the store's now */
	s->counters.writes += status == RMNIC_RMP_S_OK;
	return status;
}

void rmnic_paging_apply(struct rmnic_rmp_server *s)
{
	struct rmnic_session *e = &s->sessions[s->queue_head / RMNIC_RMP_PAGE_OUTS];
	struct rmnic_out *o = &e->outs[s->queue_head % RMNIC_RMP_PAGE_OUTS];
	const struct rmnic_rx rx = { .from = o->from, .lane = o->lane,
				     .congestion = o->congestion };
	struct rmnic_call call = { .rx = &rx, .msg = o->msg, .session = e };
	uint8_t out[RMNIC_RMP_HDR_SIZE];
	struct rmnic_tx tx = { .head = out, .head_len = sizeof(out), .join = rmnic_server_join(&call) };
	struct rmnic_rmp_msg r;
	uint64_t waited = rmnic_env_now(&s->cfg.env) - o->t_queued;
	uint16_t status = apply(s, o);

	s->queue_head = o->next;
	s->queued--;
	e->queued--;
	if (o->frame != RMNIC_FRAME_NONE)
		rmnic_frame_put(s->cfg.store->frames, o->frame);
	memset(o, 0, sizeof(*o));
	rmnic_server_header(s, &call, status, waited, &r);
	rmnic_rmp_encode_body(&s->crc, out, &r, NULL, 0, s->boot_id);
	rmnic_server_send(s, &call, &tx, status);
}

void rmnic_paging_finish(struct rmnic_rmp_server *s, struct rmnic_session *e)
{
	while (e->queued) /* the queue is one for all sessions */
		rmnic_paging_apply(s);
	rmnic_paging_drop(s, e);
}

void rmnic_paging_drop(struct rmnic_rmp_server *s, struct rmnic_session *e)
{
	for (int i = 0; i < RMNIC_RMP_PAGE_OUTS; i++)
		if (e->outs[i].state != RMNIC_OUT_IDLE)
			out_drop(s, &e->outs[i]);
}

/* --- Small requests ----------------------------------------------------------------------------- */

static void write_filled(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	const struct rmnic_rmp_msg *m = &call->msg;
	struct rmnic_memstore *ms = s->cfg.store;
	uint32_t word = rmnic_rmp_get32(m->payload);
	uint16_t status = RMNIC_RMP_S_CORRUPT;
	bool again = false;

	if (rmnic_rmp_fill_crc(&s->crc, word, ms->devices[call->session->device].uuid, m->rpn,
			       m->version) != m->crc)
		s->counters.crc_errors++;
	else
		status = may_write(s, call, &again);
	if (status == RMNIC_RMP_S_OK && !again) { /* RMP-23 */
		rmnic_mem_write(ms, call->slab, m->rpn, m->version, RMNIC_RMP_PAGE_FILLED, m->crc,
				word);
		s->counters.fills++;
	}
	s->counters.duplicates += again;
	rmnic_server_reply(s, call, status, NULL, 0);
}

static void free_ranges(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	uint32_t n = call->msg.payload_len / sizeof(struct rmnic_rmp_range);
	struct rmnic_rmp_range r[RMNIC_RMP_MAX_RANGES];
	uint64_t pages = 0;

	if (!n || n > RMNIC_RMP_MAX_RANGES || call->msg.payload_len % sizeof(r[0])) {
		rmnic_server_reply(s, call, RMNIC_RMP_S_INVALID, NULL, 0);
		return;
	}
	memcpy(r, call->msg.payload, n * sizeof(r[0]));
	/* All are checked before any is freed. */
	for (uint32_t i = 0; i < n; i++) {
		pages += rmnic_le32_get(r[i].pages);
		if (r[i].rsvd || !r[i].pages || pages > RMNIC_RMP_MAX_FREE || /* RMP-38 */
		    !rmnic_mem_covers(call->slab, rmnic_le64_get(r[i].rpn),
				      rmnic_le32_get(r[i].pages))) {
			rmnic_server_reply(s, call, RMNIC_RMP_S_INVALID, NULL, 0);
			return;
		}
	}
	for (uint32_t i = 0; i < n; i++)
		rmnic_mem_free(s->cfg.store, call->slab, rmnic_le64_get(r[i].rpn),
			       rmnic_le32_get(r[i].pages), call->msg.version);
	s->counters.frees++;
	rmnic_server_reply(s, call, RMNIC_RMP_S_OK, NULL, 0);
}

void rmnic_paging_request(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	bool changes = call->msg.type != RMNIC_RMP_READ;

	if ((call->msg.type == RMNIC_RMP_READ && call->msg.payload_len) ||
	    (changes && !call->msg.version) ||
	    (call->msg.type != RMNIC_RMP_FREE && !rmnic_mem_covers(call->slab, call->msg.rpn, 1))) {
		rmnic_server_reply(s, call, RMNIC_RMP_S_INVALID, NULL, 0);
		return;
	}
	switch (call->msg.type) {
	case RMNIC_RMP_READ:
		read_page(s, call);
		break;
	case RMNIC_RMP_WRITE:
		write_segment(s, call);
		break;
	case RMNIC_RMP_WRITE_FILLED:
		write_filled(s, call);
		break;
	default:
		free_ranges(s, call);
	}
}
