/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/rmp_client.h"

#include <string.h>

#include "engine/rmp_client_internal.h"

/* --- Creation ------------------------------------------------------------------------------- */

static void *get_memory(const struct rmnic_rmp_client *c, size_t bytes)
{
	return c->cfg.env.ops->alloc(c->cfg.env.arg, bytes);
}

struct rmnic_rmp_client *rmnic_rmp_client_create(const struct rmnic_rmp_client_config *cfg)
{
	struct rmnic_rmp_client *c;

	if (!cfg->max_peers || cfg->max_peers > 256 || !cfg->max_calls || cfg->max_calls > 32768 ||
	    cfg->max_mtu < RMNIC_RMP_MIN_MTU || cfg->max_mtu > RMNIC_RMP_MAX_MTU ||
	    cfg->rx_budget < RMNIC_PAGE_SIZE || !cfg->epoch)
		return NULL;
	c = cfg->env.ops->alloc(cfg->env.arg, sizeof(*c));
	if (!c)
		return NULL;
	c->cfg = *cfg;
	c->nslots = cfg->max_calls + cfg->max_peers;
	c->timers.max = c->nslots + cfg->max_peers;
	c->peers = get_memory(c, sizeof(*c->peers) * cfg->max_peers);
	c->slots = get_memory(c, sizeof(*c->slots) * c->nslots);
	c->free_slots = get_memory(c, sizeof(*c->free_slots) * c->nslots);
	c->timers.heap = get_memory(c, sizeof(*c->timers.heap) * (c->timers.max + 1));
	if (!c->peers || !c->slots || !c->free_slots || !c->timers.heap) {
		rmnic_rmp_client_destroy(c);
		return NULL;
	}
	for (uint32_t i = 0; i < c->nslots; i++)
		c->free_slots[c->nfree++] = c->nslots - 1 - i;
	c->out_limit = RMNIC_RMP_PAGE_OUTS * RMNIC_PAGE_SIZE;
	/* RMP-5: counts on from a random place; the lower 16 bits are the slot. */
	c->next_id = cfg->env.ops->random(cfg->env.arg) >> 17;
	rmnic_crc32c_init(&c->crc, false);
	return c;
}

void rmnic_rmp_client_destroy(struct rmnic_rmp_client *c)
{
	struct rmnic_env env;

	if (!c)
		return;
	env = c->cfg.env;
	env.ops->free(env.arg, c->timers.heap);
	env.ops->free(env.arg, c->free_slots);
	env.ops->free(env.arg, c->slots);
	env.ops->free(env.arg, c->peers);
	env.ops->free(env.arg, c);
}

uint32_t rmnic_rmp_client_add(struct rmnic_rmp_client *c,
			      const struct rmnic_addr addr[RMNIC_LANES], const uint8_t *uuid)
{
	struct rmnic_peer *p = c->peers;

	while (p < c->peers + c->npeers && p->state != RMNIC_PEER_REMOVED)
		p++;
	if (p == c->peers + c->cfg.max_peers)
		return UINT32_MAX;
	memset(p, 0, sizeof(*p));
	p->index = (uint32_t)(p - c->peers);
	c->npeers += p->index == c->npeers;
	p->retry.kind = RMNIC_TIMER_PEER;
	memcpy(p->addr, addr, sizeof(p->addr));
	if (uuid) {
		memcpy(p->uuid, uuid, 16);
		p->uuid_known = true;
	}
	rmnic_peer_greet(c, p);
	return p->index;
}

void rmnic_rmp_client_ping(struct rmnic_rmp_client *c, uint32_t peer)
{
	rmnic_peer_ask(c, &c->peers[peer]);
}

void rmnic_rmp_client_remove(struct rmnic_rmp_client *c, uint32_t peer)
{
	struct rmnic_peer *p = &c->peers[peer];

	if (peer >= c->npeers || p->state == RMNIC_PEER_REMOVED)
		return;
	rmnic_peer_move(c, p, RMNIC_PEER_REMOVED);
	rmnic_timer_cancel(&c->timers, &p->retry);
	/* Who looks for the server by its uuid finds the one that it may become again. */
	memset(p->uuid, 0, sizeof(p->uuid));
	/* Those who wait for room behind another call are found here as well. */
	for (uint32_t i = 0; i < c->nslots; i++)
		if (c->slots[i] && c->slots[i]->peer == peer)
			rmnic_call_finish(c, c->slots[i], RMNIC_CALL_UNREACHABLE);
}

/* --- Sending ---------------------------------------------------------------------------------- */

enum rmnic_lane rmnic_call_lane(const struct rmnic_rmp_call *call)
{
	/* RMP-27 */
	return call->type == RMNIC_RMP_READ ? RMNIC_LANE_IN : RMNIC_LANE_OUT;
}

static void page_released(void *arg)
{
	struct rmnic_rmp_call *call = arg;

	if (--call->tx_refs || call->state != RMNIC_CALL_LEAVING)
		return;
	call->state = RMNIC_CALL_IDLE;
	if (call->idle)
		call->idle(call);
}

static void send_one(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call,
		     const struct rmnic_tx *tx)
{
	const struct rmnic_peer *p = &c->peers[call->peer];
	enum rmnic_lane lane = rmnic_call_lane(call);

	if (c->cfg.net.ops->send(c->cfg.net.arg, lane, &p->addr[lane], tx)) {
		c->counters.tx++;
		return;
	}
	c->counters.tx_failed++;
	if (tx->release)
		tx->release(tx->release_arg);
}

/* RMP-24: the segments of an attempt carry its stamp, all the same. */
static void send_page(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call,
		      struct rmnic_rmp_msg *m)
{
	const struct rmnic_peer *p = &c->peers[call->peer];
	uint8_t head[RMNIC_RMP_HDR_SIZE];
	uint32_t len;

	m->total = RMNIC_PAGE_SIZE;
	m->crc = call->crc;
	call->tx_refs++; /* one of our own: idle() must not come in between */
	for (m->offset = 0; m->offset < m->total; m->offset += len) {
		struct rmnic_tx tx = {
			.head = head,
			.head_len = sizeof(head),
			.data = (const uint8_t *)call->body + m->offset,
			.release = page_released,
			.release_arg = call,
		};

		len = m->total - m->offset < p->segment ? m->total - m->offset : p->segment;
		tx.data_len = len;
		rmnic_rmp_encode(&c->crc, head, m, len, p->boot_id);
		call->tx_refs++;
		c->counters.segments++;
		send_one(c, call, &tx);
	}
	page_released(call);
}

static void send_body(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call,
		      struct rmnic_rmp_msg *m)
{
	const struct rmnic_peer *p = &c->peers[call->peer];
	uint8_t out[RMNIC_RMP_HDR_SIZE + RMNIC_PAGE_SIZE];
	uint32_t len = call->type == RMNIC_RMP_PROBE ? p->probe_len : call->body_len;
	struct rmnic_tx tx = {
		.head = out,
		.head_len = RMNIC_RMP_HDR_SIZE + len,
		.join = rmnic_segment_join(p->join, call->type, p->segment),
	};
	uint64_t boot = call->type == RMNIC_RMP_HELLO ? 0 : p->boot_id;

	if (call->body_len)
		memcpy(out + RMNIC_RMP_HDR_SIZE, call->body, call->body_len);
	/* A datagram as large as is asked about, made here: a page of zeros a server would be kept else. */
	memset(out + RMNIC_RMP_HDR_SIZE + call->body_len, 0, len - call->body_len);
	if (call->type == RMNIC_RMP_WRITE_FILLED) {
		m->flags |= RMNIC_RMP_F_FILLED;
		m->total = len;
		m->crc = call->crc;
		rmnic_rmp_encode(&c->crc, out, m, len, boot);
	} else {
		rmnic_rmp_encode_body(&c->crc, out, m, out + RMNIC_RMP_HDR_SIZE, len, boot);
	}
	send_one(c, call, &tx);
}

void rmnic_call_send(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call)
{
	struct rmnic_peer *p = &c->peers[call->peer];
	uint64_t now = rmnic_env_now(&c->cfg.env);
	uint32_t stamp = rmnic_rtt_stamp(now);
	struct rmnic_rmp_msg m = {
		.type = call->type,
		.flags = call->flags | (call->attempt ? RMNIC_RMP_F_RETRANSMIT : 0),
		.request = call->id,
		.handle = call->handle,
		.rpn = call->rpn,
		.version = call->version,
		.session = call->type == RMNIC_RMP_HELLO ? 0 : p->session,
		.epoch = c->cfg.epoch,
	};

	/* RMP-24: no two attempts of a request have one stamp. */
	if (call->attempt && stamp == call->stamp)
		stamp = (stamp + 1) & 0xffffff;
	c->counters.retransmits += call->attempt != 0;
	p->retransmits += call->attempt != 0;
	m.stamp = call->stamp = stamp;
	if (!call->attempt)
		call->first_sent = now;
	if (!p->owes)
		p->asked = now;
	p->owes = true;
	call->sent = now;
	call->state = RMNIC_CALL_SENT;
	call->backing_off = false;
	call->retry_at = now + rmnic_rtt_timeout(&p->rtt[rmnic_call_lane(call)], call->attempt);
	call->attempt++;
	rmnic_call_arm(c, call);
	if (call->type == RMNIC_RMP_WRITE)
		send_page(c, call, &m);
	else
		send_body(c, call, &m);
}

void rmnic_rmp_client_touch(struct rmnic_rmp_client *c, uint32_t peer)
{
	const struct rmnic_peer *p = &c->peers[peer];
	uint8_t out[RMNIC_RMP_HDR_SIZE];
	struct rmnic_tx tx = { .head = out, .head_len = sizeof(out) };
	struct rmnic_rmp_msg m = {
		.type = RMNIC_RMP_PING,
		.stamp = rmnic_rtt_stamp(rmnic_env_now(&c->cfg.env)),
		.epoch = c->cfg.epoch,
	};

	if (peer >= c->npeers || p->state != RMNIC_PEER_READY)
		return;
	m.session = p->session;
	m.request = c->next_id++ << 16 | RMNIC_SLOT_NOBODY;
	rmnic_rmp_encode_body(&c->crc, out, &m, NULL, 0, p->boot_id);
	if (c->cfg.net.ops->send(c->cfg.net.arg, RMNIC_LANE_OUT, &p->addr[RMNIC_LANE_OUT], &tx))
		c->counters.tx++;
	else
		c->counters.tx_failed++;
}

/* --- Calls ------------------------------------------------------------------------------------- */

static void enter(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call)
{
	uint32_t slot = c->free_slots[--c->nfree];

	call->client = c;
	call->id = c->next_id++ << 16 | slot;
	c->slots[slot] = call;
	call->attempt = 0;
	call->cost = 0;
	call->bad = call->busy = 0;
	call->backing_off = call->hedged = false;
	call->got_flags = 0;
	call->retry_at = RMNIC_TIMER_NONE;
	call->next = NULL;
	memset(&call->segs, 0, sizeof(call->segs));
}

bool rmnic_rmp_client_submit(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call)
{
	struct rmnic_peer *p = &c->peers[call->peer];
	int lane = rmnic_call_lane(call);

	if (call->state != RMNIC_CALL_IDLE || !c->nfree || call->peer >= c->npeers ||
	    p->state == RMNIC_PEER_REMOVED ||
	    call->body_len > RMNIC_PAGE_SIZE)
		return false;
	enter(c, call);
	call->state = RMNIC_CALL_WAITING;
	if (p->wait_head[lane])
		p->wait_tail[lane]->next = call;
	else
		p->wait_head[lane] = call;
	p->wait_tail[lane] = call;
	rmnic_call_arm(c, call);
	rmnic_peer_pump(c, p);
	return true;
}

void rmnic_call_submit_ctl(struct rmnic_rmp_client *c, struct rmnic_peer *p, uint8_t type,
			   const void *body, uint32_t len, uint64_t timeout)
{
	struct rmnic_rmp_call *call = &p->ctl;

	call->type = type;
	call->peer = p->index;
	call->body = body;
	call->body_len = len;
	call->deadline = rmnic_env_now(&c->cfg.env) + timeout;
	enter(c, call); /* there is a slot for each peer beyond max_calls */
	rmnic_call_send(c, call);
}

static void unwait(struct rmnic_peer *p, struct rmnic_rmp_call *call)
{
	int lane = rmnic_call_lane(call);
	struct rmnic_rmp_call **at = &p->wait_head[lane], *before = NULL;

	while (*at != call) {
		before = *at;
		at = &before->next;
	}
	*at = call->next;
	if (p->wait_tail[lane] == call)
		p->wait_tail[lane] = before;
}

/* Takes a call out of everything but the hands of those who still transmit it. */
static void leave(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call)
{
	uint32_t slot = (uint32_t)call->id & RMNIC_SLOT_MASK;

	if (call->state == RMNIC_CALL_WAITING)
		unwait(&c->peers[call->peer], call);
	rmnic_timer_cancel(&c->timers, &call->timer);
	c->slots[slot] = NULL;
	c->free_slots[c->nfree++] = slot;
	rmnic_call_give_room(c, call);
	call->id = 0;
	call->state = RMNIC_CALL_LEAVING;
}

void rmnic_call_finish(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call, uint16_t status)
{
	struct rmnic_peer *p = &c->peers[call->peer];

	leave(c, call);
	call->status = status;
	call->tx_refs++; /* done() first, then idle() */
	call->done(call);
	page_released(call);
	rmnic_peer_pump_all(c, p);
}

void rmnic_rmp_client_cancel(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call)
{
	struct rmnic_peer *p = &c->peers[call->peer];

	if (call->state != RMNIC_CALL_WAITING && call->state != RMNIC_CALL_SENT)
		return;
	leave(c, call);
	call->tx_refs++;
	page_released(call);
	rmnic_peer_pump_all(c, p);
}

/* --- Looking in ---------------------------------------------------------------------------------- */

void rmnic_rmp_client_peer(const struct rmnic_rmp_client *c, uint32_t peer,
			   struct rmnic_peer_info *out)
{
	const struct rmnic_peer *p = &c->peers[peer];

	memset(out, 0, sizeof(*out));
	/* A place that was never taken is as empty as one that was left. */
	out->state = peer < c->npeers ? p->state : RMNIC_PEER_REMOVED;
	out->refused = p->refused;
	out->version_min = p->version_min;
	out->version_max = p->version_max;
	memcpy(out->uuid, p->uuid, 16);
	out->boot_id = p->boot_id;
	out->store_id = p->store_id;
	out->max_version = p->max_version;
	out->mtu = p->mtu;
	out->slab_pages = p->slab_pages;
	out->window = p->credit < p->cwnd ? p->credit : p->cwnd;
	if (out->window > c->out_limit)
		out->window = c->out_limit;
	out->pressure = p->pressure;
	out->silent = p->silent;
	out->heard = p->heard;
	out->asked = p->asked;
	for (int lane = 0; lane < RMNIC_LANES; lane++)
		out->srtt[lane] = p->rtt[lane].srtt;
	out->retransmits = p->retransmits;
}

const uint8_t *rmnic_rmp_client_uuid(const struct rmnic_rmp_client *c, uint32_t peer)
{
	return c->peers[peer].uuid;
}

const struct rmnic_rmp_client_counters *rmnic_rmp_client_counters(const struct rmnic_rmp_client *c)
{
	return &c->counters;
}

const struct rmnic_crc32c *rmnic_rmp_client_crc(const struct rmnic_rmp_client *c)
{
	return &c->crc;
}
