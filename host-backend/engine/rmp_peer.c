/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A server as the RMP client sees it. From DOWN to READY by HELLO (twice, for the cookie) and
 * SEAL; back to HELLO when the session is in doubt. Calls that are under way stay under way:
 * READY sends them again in the new session. The path's MTU is probed while pages move
 * already, in segments that every path carries.
 */
#include <string.h>

#include "engine/rmp_client_internal.h"

#define HELLO_NS  UINT64_C(300000000)
#define SEAL_NS   UINT64_C(300000000)
#define PROBE_NS  UINT64_C(30000000)
#define RETRY_MIN_NS UINT64_C(5000000)
#define RETRY_DOUBLINGS 8 /* 1.3 s at most */

const char *const rmnic_peer_state_names[RMNIC_PEER_STATE_COUNT] = {
#define X(id, name) name,
	RMNIC_PEER_STATES(X)
#undef X
};

/* Where a page needs one, two or three segments, and what every path can carry. */
static const uint32_t ladder[] = { 4222, 2174, 1500, 1400, RMNIC_RMP_MIN_MTU };

#define RUNGS ((uint32_t)(sizeof(ladder) / sizeof(ladder[0])))

static void go(struct rmnic_rmp_client *c, struct rmnic_peer *p, enum rmnic_peer_step step);

/* --- States --------------------------------------------------------------------------------- */

/* RMP-36: a device that pages nothing is not to be taken for one that is gone. */
static void arm_lease(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	if (p->lease_ms)
		rmnic_timer_set(&c->timers, &p->retry,
				rmnic_env_now(&c->cfg.env) + p->lease_ms * (UINT64_C(1000000) / 4));
}

/* Calls that were sent in an earlier session, or whose timer rests, go out again. */
static void resend(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	for (uint32_t i = 0; i < c->nslots && p->state == RMNIC_PEER_READY; i++) {
		struct rmnic_rmp_call *call = c->slots[i];

		if (!call || call->peer != p->index || call->state != RMNIC_CALL_SENT ||
		    call == &p->ctl)
			continue;
		/* RMP-9: another store knows nothing of this handle, whatever it would say. */
		if (call->store_id && call->store_id != p->store_id) {
			rmnic_call_finish(c, call, RMNIC_CALL_EMPTY);
			continue;
		}
		call->attempt = 1;
		rmnic_call_send(c, call);
	}
}

void rmnic_peer_move(struct rmnic_rmp_client *c, struct rmnic_peer *p, enum rmnic_peer_state to)
{
	enum rmnic_peer_state from = p->state;

	if (from == to)
		return;
	p->state = to;
	p->step = RMNIC_STEP_NONE;
	if (p->ctl.state == RMNIC_CALL_SENT)
		rmnic_rmp_client_cancel(c, &p->ctl);
	if (to == RMNIC_PEER_DOWN) {
		uint64_t wait = RETRY_MIN_NS << p->failures;

		p->failures += p->failures < RETRY_DOUBLINGS;
		rmnic_timer_set(&c->timers, &p->retry, rmnic_env_now(&c->cfg.env) + wait);
	}
	if (to == RMNIC_PEER_READY) {
		p->failures = 0;
		arm_lease(c, p);
		resend(c, p);
		rmnic_peer_pump(c, p);
	}
	if (c->cfg.peer_event && (from == RMNIC_PEER_READY || to == RMNIC_PEER_READY ||
				  to == RMNIC_PEER_REFUSED || to == RMNIC_PEER_FENCED))
		c->cfg.peer_event(c->cfg.arg, p->index, to);
}

static void refuse(struct rmnic_rmp_client *c, struct rmnic_peer *p, uint16_t why)
{
	p->refused = why;
	rmnic_peer_move(c, p, RMNIC_PEER_REFUSED);
}

void rmnic_peer_lost(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	if (p->state == RMNIC_PEER_HELLO || p->state == RMNIC_PEER_DOWN ||
	    p->state == RMNIC_PEER_REFUSED || p->state == RMNIC_PEER_FENCED ||
	    p->state == RMNIC_PEER_REMOVED)
		return;
	rmnic_peer_greet(c, p);
}

void rmnic_peer_reseal(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	if (p->state != RMNIC_PEER_READY)
		return;
	rmnic_peer_move(c, p, RMNIC_PEER_SEAL);
	go(c, p, RMNIC_STEP_SEAL);
}

void rmnic_peer_reprobe(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	if (p->state != RMNIC_PEER_READY)
		return;
	if (p->ctl.state != RMNIC_CALL_IDLE)
		return; /* under way */
	p->rung = 0;
	p->mtu = RMNIC_RMP_MIN_MTU;
	p->segment = rmnic_segment_size(RMNIC_RMP_MIN_MTU);
	go(c, p, RMNIC_STEP_PROBE);
}

/* --- HELLO ------------------------------------------------------------------------------------ */

void rmnic_peer_greet(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	struct rmnic_rmp_hello *h = &p->hello;

	memset(h, 0, sizeof(*h));
	h->version_min = RMNIC_RMP_VERSION;
	h->version_max = RMNIC_RMP_VERSION;
	h->checksums = rmnic_le32_put(RMNIC_RMP_CHECKSUM_CRC32C);
	h->ciphers = rmnic_le32_put(RMNIC_RMP_CIPHER_NONE);
	h->features = rmnic_le64_put(RMNIC_RMP_FEATURE_JOIN);
	memcpy(h->client, c->cfg.uuid, 16);
	memcpy(h->device, c->cfg.device, 16);
	memcpy(h->token, c->cfg.token, 32);
	h->nonce = rmnic_le64_put(c->cfg.env.ops->random(c->cfg.env.arg));
	rmnic_peer_move(c, p, RMNIC_PEER_HELLO);
	go(c, p, RMNIC_STEP_HELLO);
}

/*
 * Whether another server has this uuid and is here: the same one by two addresses, or two that were
 * given one name. A row could not say which of them it means. One that moved is not here any more.
 */
static bool name_taken(const struct rmnic_rmp_client *c, const struct rmnic_peer *p,
		       const uint8_t *uuid)
{
	for (uint32_t i = 0; i < c->npeers; i++) {
		const struct rmnic_peer *q = &c->peers[i];

		if (q != p && (q->state == RMNIC_PEER_SEAL || q->state == RMNIC_PEER_READY) &&
		    !memcmp(q->uuid, uuid, 16))
			return true;
	}
	return false;
}

static void welcomed(struct rmnic_rmp_client *c, struct rmnic_peer *p,
		     const struct rmnic_rmp_welcome *w)
{
	/* RMP-7, RMP-11: another version than offered, or not the server it should be. */
	if (w->version != RMNIC_RMP_VERSION ||
	    rmnic_le32_get(w->checksum) != RMNIC_RMP_CHECKSUM_CRC32C ||
	    rmnic_le32_get(w->cipher) != RMNIC_RMP_CIPHER_NONE || w->rsvd0 ||
	    rmnic_le64_get(w->features) & ~(uint64_t)RMNIC_RMP_FEATURE_JOIN ||
	    !w->session || !w->boot_id || !w->store_id ||
	    !rmnic_rmp_zero(w->rsvd1, sizeof(w->rsvd1))) {
		refuse(c, p, RMNIC_RMP_S_VERSION);
		return;
	}
	if (p->uuid_known && memcmp(p->uuid, w->server, 16) != 0) {
		refuse(c, p, RMNIC_RMP_S_INVALID);
		return;
	}
	if (name_taken(c, p, w->server)) { /* as long as the other one is here */
		p->refused = RMNIC_RMP_S_INVALID;
		rmnic_peer_move(c, p, RMNIC_PEER_DOWN);
		return;
	}
	p->refused = RMNIC_RMP_S_OK;
	p->lease_ms = rmnic_le32_get(w->lease_ms);
	memcpy(p->uuid, w->server, 16);
	p->uuid_known = true;
	p->session = rmnic_le32_get(w->session);
	p->boot_id = rmnic_le64_get(w->boot_id);
	p->store_id = rmnic_le64_get(w->store_id);
	p->slab_pages = rmnic_le32_get(w->slab_pages);
	p->max_mtu = rmnic_le32_get(w->max_mtu);
	p->join = rmnic_le64_get(w->features) & RMNIC_RMP_FEATURE_JOIN;
	p->segment = rmnic_segment_size(RMNIC_RMP_MIN_MTU);
	p->mtu = RMNIC_RMP_MIN_MTU;
	p->credit = RMNIC_PAGE_SIZE;
	p->cwnd = RMNIC_RMP_PAGE_OUTS * RMNIC_PAGE_SIZE;
	p->rung = 0;
	p->telling = false;
	c->counters.sessions++;
	rmnic_peer_move(c, p, RMNIC_PEER_SEAL);
	go(c, p, RMNIC_STEP_SEAL);
}

static void hello_done(struct rmnic_rmp_call *call)
{
	struct rmnic_rmp_client *c = call->client;
	struct rmnic_peer *p = &c->peers[call->peer];
	struct rmnic_rmp_welcome w;

	if (call->status == RMNIC_CALL_UNREACHABLE || call->status == RMNIC_RMP_S_BUSY ||
	    call->status == RMNIC_RMP_S_NO_SESSION) {
		rmnic_peer_move(c, p, RMNIC_PEER_DOWN);
		return;
	}
	if (call->reply_len != sizeof(w)) {
		refuse(c, p, RMNIC_RMP_S_VERSION);
		return;
	}
	memcpy(&w, call->reply, sizeof(w));
	p->version_min = w.version_min;
	p->version_max = w.version_max;
	if (w.nonce != p->hello.nonce) { /* to an earlier HELLO */
		rmnic_peer_move(c, p, RMNIC_PEER_DOWN);
		return;
	}
	if (call->status == RMNIC_RMP_S_COOKIE) {
		/* Twice in a row: the server forgot its secret meanwhile; begin again. */
		if (!rmnic_rmp_zero(p->hello.cookie, 16)) {
			rmnic_peer_move(c, p, RMNIC_PEER_DOWN);
			return;
		}
		memcpy(p->hello.cookie, w.cookie, 16);
		go(c, p, RMNIC_STEP_HELLO);
		return;
	}
	if (call->status != RMNIC_RMP_S_OK)
		refuse(c, p, call->status);
	else
		welcomed(c, p, &w);
}

/* --- SEAL --------------------------------------------------------------------------------------- */

static void seal_done(struct rmnic_rmp_call *call)
{
	struct rmnic_rmp_client *c = call->client;
	struct rmnic_peer *p = &c->peers[call->peer];
	struct rmnic_rmp_sealed out;

	if (call->status == RMNIC_RMP_S_FENCED) {
		rmnic_peer_move(c, p, RMNIC_PEER_FENCED);
	} else if (call->status != RMNIC_RMP_S_OK || call->reply_len != sizeof(out)) {
		rmnic_peer_move(c, p, RMNIC_PEER_DOWN);
	} else {
		memcpy(&out, call->reply, sizeof(out));
		p->max_version = rmnic_le64_get(out.version);
		p->rung = 0;
		rmnic_peer_move(c, p, RMNIC_PEER_READY);
		if (p->state == RMNIC_PEER_READY && p->ctl.state != RMNIC_CALL_SENT)
			go(c, p, RMNIC_STEP_PROBE);
	}
}

/* --- PROBE (RMP-12) -------------------------------------------------------------------------------- */

static void probe_done(struct rmnic_rmp_call *call)
{
	struct rmnic_rmp_client *c = call->client;
	struct rmnic_peer *p = &c->peers[call->peer];

	if (p->state != RMNIC_PEER_READY)
		return;
	if (call->status != RMNIC_RMP_S_OK && call->status != RMNIC_CALL_UNREACHABLE)
		return; /* no use asking on: what every path carries stays in use */
	if (p->telling) {
		/* Until the server was told, it uses what every path carries. */
		if (call->status != RMNIC_RMP_S_OK)
			go(c, p, RMNIC_STEP_PROBE);
		return;
	}
	if (call->status == RMNIC_RMP_S_OK) {
		p->mtu = ladder[p->rung];
		p->segment = rmnic_segment_size(p->mtu);
		p->rung = RUNGS;
	} else {
		p->rung++;
	}
	go(c, p, RMNIC_STEP_PROBE);
}

static void send_probe(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	uint32_t len = sizeof(p->probe);

	memset(&p->probe, 0, sizeof(p->probe));
	p->telling = false;
	while (p->rung < RUNGS &&
	       (ladder[p->rung] > c->cfg.max_mtu || ladder[p->rung] > p->max_mtu))
		p->rung++;
	if (p->rung >= RUNGS - 1) {
		/* The smallest is taken for granted. */
		p->telling = true;
		p->probe.segment = rmnic_le32_put(p->segment);
	} else {
		len = rmnic_segment_size(ladder[p->rung]);
	}
	p->probe.back = rmnic_le32_put(len);
	p->probe_len = len;
	p->ctl.done = probe_done;
	rmnic_call_submit_ctl(c, p, RMNIC_RMP_PROBE, &p->probe, sizeof(p->probe),
			      p->telling ? SEAL_NS : PROBE_NS);
}

/* --- The peer's own call ---------------------------------------------------------------------------- */

static void ping_done(struct rmnic_rmp_call *call)
{
	struct rmnic_peer *p = &call->client->peers[call->peer];

	if (call->status == RMNIC_CALL_UNREACHABLE)
		rmnic_peer_lost(call->client, p);
}

void rmnic_peer_ask(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	if (p->state == RMNIC_PEER_READY && p->ctl.state == RMNIC_CALL_IDLE)
		go(c, p, RMNIC_STEP_PING);
}

void rmnic_peer_due(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	if (p->state == RMNIC_PEER_DOWN) {
		rmnic_peer_greet(c, p);
	} else if (p->state == RMNIC_PEER_READY) {
		arm_lease(c, p);
		rmnic_peer_ask(c, p);
	}
}

static void take_step(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	enum rmnic_peer_step step = p->step;

	p->step = RMNIC_STEP_NONE;
	switch (step) {
	case RMNIC_STEP_NONE:
		break;
	case RMNIC_STEP_HELLO:
		p->ctl.done = hello_done;
		rmnic_call_submit_ctl(c, p, RMNIC_RMP_HELLO, &p->hello, sizeof(p->hello), HELLO_NS);
		break;
	case RMNIC_STEP_SEAL:
		p->ctl.done = seal_done;
		rmnic_call_submit_ctl(c, p, RMNIC_RMP_SEAL, NULL, 0, SEAL_NS);
		break;
	case RMNIC_STEP_PROBE:
		send_probe(c, p);
		break;
	case RMNIC_STEP_PING:
		p->ctl.done = ping_done;
		rmnic_call_submit_ctl(c, p, RMNIC_RMP_PING, NULL, 0, SEAL_NS);
		break;
	}
}

static void ctl_idle(struct rmnic_rmp_call *call)
{
	take_step(call->client, &call->client->peers[call->peer]);
}

static void go(struct rmnic_rmp_client *c, struct rmnic_peer *p, enum rmnic_peer_step step)
{
	p->step = step;
	p->ctl.idle = ctl_idle;
	if (p->ctl.state == RMNIC_CALL_IDLE)
		take_step(c, p);
}
