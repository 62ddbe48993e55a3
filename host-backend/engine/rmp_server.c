/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/rmp_server.h"

#include <string.h>

#include "engine/rmp_server_internal.h"

#define APPLY_A_POLL 4 /* RULES H: then RX is looked at again */
#define MAX_SESSIONS 4096
/* A sleeping server wakes up for so many pages, and looks at a few between two looks at RX. */
#define SCRUB_BURST 64
#define SCRUB_SLICE 8

struct rmnic_rmp_server *rmnic_rmp_server_create(const struct rmnic_rmp_server_config *c)
{
	struct rmnic_rmp_server *s;

	if (!c->store || !c->max_sessions || c->max_sessions > MAX_SESSIONS || !c->max_queue)
		return NULL;
	s = c->env.ops->alloc(c->env.arg, sizeof(*s));
	if (!s)
		return NULL;
	s->cfg = *c;
	if (!s->cfg.max_mtu || s->cfg.max_mtu > RMNIC_RMP_MAX_MTU)
		s->cfg.max_mtu = RMNIC_RMP_MAX_MTU;
	s->sessions = c->env.ops->alloc(c->env.arg, sizeof(*s->sessions) * c->max_sessions);
	if (!s->sessions) {
		c->env.ops->free(c->env.arg, s);
		return NULL;
	}
	rmnic_crc32c_init(&s->crc, false);
	/* RMP-9: another number in each life, from chance and not from a clock. */
	s->boot_id = c->env.ops->random(c->env.arg) | 1;
	s->secret[0] = c->env.ops->random(c->env.arg);
	s->secret[1] = c->env.ops->random(c->env.arg);
	s->queue_head = s->queue_tail = RMNIC_NO_SLOT;
	for (uint32_t i = 0; i < c->store->cfg.max_devices; i++)
		c->store->devices[i].sessions = 0;
	return s;
}

void rmnic_rmp_server_destroy(struct rmnic_rmp_server *s)
{
	if (!s)
		return;
	/* Like a death: nothing more is said or applied, but the store gets its frames back. */
	for (uint32_t i = 0; i < s->cfg.max_sessions; i++)
		rmnic_paging_drop(s, &s->sessions[i]);
	s->cfg.env.ops->free(s->cfg.env.arg, s->sessions);
	s->cfg.env.ops->free(s->cfg.env.arg, s);
}

void rmnic_rmp_server_scrub(struct rmnic_rmp_server *s, uint32_t rate)
{
	s->cfg.scrub_rate = rate;
	s->scrub_left = 0;
	s->scrub_at = 0;
}

void rmnic_rmp_server_pressure(struct rmnic_rmp_server *s, bool on)
{
	s->pressure = on;
}

const struct rmnic_rmp_server_counters *rmnic_rmp_server_counters(const struct rmnic_rmp_server *s)
{
	return &s->counters;
}

/* --- Answers ------------------------------------------------------------------------------ */

/* RMP-25: what each session may have on its way: its share of the queue, one page at least. */
static uint32_t credit(const struct rmnic_rmp_server *s)
{
	uint32_t pages = s->cfg.max_queue / (s->active ? s->active : 1);

	if (pages > RMNIC_RMP_PAGE_OUTS)
		pages = RMNIC_RMP_PAGE_OUTS;
	return (pages ? pages : 1) * RMNIC_PAGE_SIZE;
}

void rmnic_server_header(struct rmnic_rmp_server *s, const struct rmnic_call *call,
			 uint16_t status, uint64_t queued_ns, struct rmnic_rmp_msg *out)
{
	const struct rmnic_session *session = call->session;
	uint64_t us = queued_ns / 1000;

	memset(out, 0, sizeof(*out));
	out->type = call->msg.type | RMNIC_RMP_REPLY;
	out->stamp = call->msg.stamp;
	out->request = call->msg.request;
	out->rpn = call->msg.rpn;
	out->status = status;
	out->queued = us < UINT16_MAX ? (uint16_t)us : UINT16_MAX;
	if (call->rx->congestion)
		out->flags |= RMNIC_RMP_F_CONGESTION;
	if (s->pressure)
		out->flags |= RMNIC_RMP_F_PRESSURE;
	if (!session)
		return;
	out->session = session->id;
	out->epoch = s->cfg.store->devices[session->device].epoch;
	out->credit = credit(s);
}

uint32_t rmnic_server_join(const struct rmnic_call *call)
{
	const struct rmnic_session *session = call->session;

	return session ? rmnic_segment_join(session->join, call->msg.type, session->segment) : 0;
}

bool rmnic_server_send(struct rmnic_rmp_server *s, const struct rmnic_call *call,
		       const struct rmnic_tx *tx, uint16_t status)
{
	bool sent = s->cfg.net.ops->send(s->cfg.net.arg, call->rx->lane, &call->rx->from, tx);

	s->counters.tx += sent;
	s->counters.tx_failed += !sent;
	s->counters.status[status]++;
	return sent;
}

void rmnic_server_reply_with(struct rmnic_rmp_server *s, const struct rmnic_call *call,
			     uint16_t status, uint16_t flags, uint64_t version, const void *body,
			     uint32_t len)
{
	uint8_t out[RMNIC_RMP_HDR_SIZE + RMNIC_RMP_MAX_BODY];
	struct rmnic_tx tx = { .head = out, .join = rmnic_server_join(call) };
	struct rmnic_rmp_msg m;
	uint64_t boot = call->session ? s->boot_id : 0;

	rmnic_server_header(s, call, status, 0, &m);
	m.flags |= flags;
	m.version = version;
	if (len)
		memcpy(out + RMNIC_RMP_HDR_SIZE, body, len);
	rmnic_rmp_encode_body(&s->crc, out, &m, out + RMNIC_RMP_HDR_SIZE, len, boot);
	tx.head_len = RMNIC_RMP_HDR_SIZE + len;
	rmnic_server_send(s, call, &tx, status);
}

void rmnic_server_reply(struct rmnic_rmp_server *s, const struct rmnic_call *call,
			uint16_t status, const void *body, uint32_t len)
{
	rmnic_server_reply_with(s, call, status, 0, 0, body, len);
}

/* --- Requests -------------------------------------------------------------------------------- */

/* RMP-6: the sender of a datagram without a session gets one header at most. */
static void no_session(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	const uint8_t *raw = call->rx->data;

	/* Its checksum cannot be checked, so nothing of it is believed: an echo, no more. */
	if (raw[0] != RMNIC_RMP_VERSION || raw[1] < RMNIC_RMP_HELLO || raw[1] > RMNIC_RMP_RENEW) {
		s->counters.dropped[RMNIC_RMP_DROP_TYPE]++;
		return;
	}
	memset(&call->msg, 0, sizeof(call->msg));
	call->msg.type = raw[1];
	call->msg.stamp = raw[3] | (uint32_t)raw[4] << 8 | (uint32_t)raw[5] << 16;
	call->msg.request = rmnic_rmp_get64(raw + offsetof(struct rmnic_rmp_req, request));
	rmnic_server_reply(s, call, RMNIC_RMP_S_NO_SESSION, NULL, 0);
}

static bool names_slab(uint8_t type)
{
	switch (type) {
	case RMNIC_RMP_READ:
	case RMNIC_RMP_WRITE:
	case RMNIC_RMP_WRITE_FILLED:
	case RMNIC_RMP_FREE:
	case RMNIC_RMP_RELEASE:
	case RMNIC_RMP_RECORD_VIEW:
	case RMNIC_RMP_READ_VIEW:
	case RMNIC_RMP_SYNC:
		return true;
	default:
		return false;
	}
}

/* RMP-14: who may do what under which epoch. */
static uint16_t check_epoch(const struct rmnic_rmp_server *s, const struct rmnic_call *call)
{
	uint32_t fence = s->cfg.store->devices[call->session->device].epoch;

	if (!names_slab(call->msg.type) && call->msg.type != RMNIC_RMP_ALLOC &&
	    call->msg.type != RMNIC_RMP_RENEW)
		return RMNIC_RMP_S_OK;
	if (call->msg.epoch < fence)
		return RMNIC_RMP_S_FENCED;
	if (call->msg.epoch > fence || call->session->epoch != call->msg.epoch)
		return RMNIC_RMP_S_NOT_SEALED;
	return RMNIC_RMP_S_OK;
}

static void serve(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	uint16_t status = check_epoch(s, call);

	if (status == RMNIC_RMP_S_OK && names_slab(call->msg.type)) {
		call->slab = rmnic_mem_slab(s->cfg.store, call->session->device, call->msg.handle);
		if (!call->slab) /* RMP-16 */
			status = RMNIC_RMP_S_UNKNOWN_SLAB;
	}
	if (status != RMNIC_RMP_S_OK) {
		rmnic_server_reply(s, call, status, NULL, 0);
		return;
	}
	switch (call->msg.type) {
	case RMNIC_RMP_READ:
	case RMNIC_RMP_WRITE:
	case RMNIC_RMP_WRITE_FILLED:
	case RMNIC_RMP_FREE:
		rmnic_paging_request(s, call);
		break;
	default:
		rmnic_admin_request(s, call);
	}
}

static void message_rx(void *arg, const struct rmnic_rx *rx)
{
	struct rmnic_rmp_server *s = arg;
	struct rmnic_call call = { .rx = rx, .now = rmnic_env_now(&s->cfg.env) };
	uint32_t id = rmnic_rmp_peek_session(rx->data, rx->len);
	enum rmnic_rmp_drop drop;

	s->counters.rx++;
	if (id) {
		call.session = rmnic_session_find(s, id);
		if (!call.session) {
			no_session(s, &call); /* RMP-10 */
			return;
		}
	}
	drop = rmnic_rmp_decode(&s->crc, &call.msg, rx->data, rx->len, false,
				call.session ? s->boot_id : 0);
	/* A session is used from the address that proved its own, and no other. */
	if (drop == RMNIC_RMP_DROP_OK && call.session &&
	    memcmp(call.session->ip, rx->from.ip, sizeof(rx->from.ip)) != 0)
		drop = RMNIC_RMP_DROP_FIELD;
	s->counters.dropped[drop]++;
	if (drop != RMNIC_RMP_DROP_OK)
		return;
	if (!call.session) {
		if (call.msg.type == RMNIC_RMP_HELLO)
			rmnic_session_hello(s, &call);
		else
			rmnic_server_reply(s, &call, RMNIC_RMP_S_NO_SESSION, NULL, 0);
		return;
	}
	call.session->seen = call.now;
	s->cfg.store->devices[call.session->device].seen = call.now;
	serve(s, &call);
}

/* RMP-37: whatever the datagram holds, it is served, answered with a status or counted. */
void rmnic_rmp_server_rx(struct rmnic_rmp_server *s, const struct rmnic_rx *rx)
{
	rmnic_rmp_each(rx, message_rx, s);
}

/* --- Rounds --------------------------------------------------------------------------------- */

/* RMP-40. Evenly, and never for longer than a page-in may wait. True: there is more to do now. */
static bool scrub(struct rmnic_rmp_server *s)
{
	uint64_t now;

	if (!s->cfg.scrub_rate)
		return false;
	if (!s->scrub_left) {
		now = rmnic_env_now(&s->cfg.env);
		if (now < s->scrub_at)
			return false;
		s->scrub_left = SCRUB_BURST;
		s->scrub_at = now + SCRUB_BURST * UINT64_C(1000000000) / s->cfg.scrub_rate;
	}
	rmnic_mem_scrub(s->cfg.store, SCRUB_SLICE);
	s->scrub_left -= SCRUB_SLICE;
	return s->scrub_left != 0;
}

uint64_t rmnic_rmp_server_deadline(const struct rmnic_rmp_server *s)
{
	return s->cfg.scrub_rate && s->cfg.store->reserved ? s->scrub_at : UINT64_MAX;
}

bool rmnic_rmp_server_poll(struct rmnic_rmp_server *s)
{
	bool more;

	for (int i = 0; i < APPLY_A_POLL && s->queued; i++)
		rmnic_paging_apply(s);
	more = rmnic_mem_idle(s->cfg.store);
	more |= scrub(s);
	rmnic_session_leases(s);
	return s->queued || more;
}
