/* SPDX-License-Identifier: BSD-3-Clause */
/* What comes back to the RMP client. */
#include <string.h>

#include "engine/page.h"
#include "engine/rmp_client_internal.h"

#define BAD_ANSWERS 3           /* with a wrong checksum: the copy itself is bad */
#define BUSY_WAIT_NS UINT64_C(50000)
#define BUSY_DOUBLINGS 7        /* 6.4 ms at most */

/* --- Page-in --------------------------------------------------------------------------------- */

static void bad_page(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call)
{
	c->counters.crc_errors++;
	memset(&call->segs, 0, sizeof(call->segs));
	if (++call->bad >= BAD_ANSWERS)
		rmnic_call_finish(c, call, RMNIC_RMP_S_CORRUPT);
	else
		rmnic_call_send(c, call);
}

static void page_whole(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call,
		       const struct rmnic_rmp_msg *m, uint32_t crc)
{
	crc = rmnic_page_seal(&c->crc, crc, c->cfg.device, call->rpn, m->version);
	if (crc != m->crc) { /* RMP-3 */
		bad_page(c, call);
		return;
	}
	call->got_version = m->version;
	call->got_flags = m->flags;
	rmnic_call_finish(c, call, RMNIC_RMP_S_OK);
}

/*
 * RMP-24. A request that the network doubled is answered twice under one stamp, and the page
 * may have changed in between: so the version and the checksum are looked at as well.
 */
static bool same_page(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call,
		      const struct rmnic_rmp_msg *m)
{
	if (!call->segs.started || call->segs.stamp != m->stamp ||
	    (call->seg_version == m->version && call->seg_crc == m->crc))
		return true;
	if (m->version <= call->seg_version)
		return false;
	memset(&call->segs, 0, sizeof(call->segs));
	c->counters.restarts++;
	return true;
}

static void page_segment(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call,
			 const struct rmnic_rmp_msg *m)
{
	bool whole = m->payload_len == RMNIC_PAGE_SIZE, restarted;
	enum rmnic_segment_fate fate;

	if (!same_page(c, call, m))
		return;
	fate = rmnic_segment_add(&call->segs, m, &restarted);
	c->counters.restarts += restarted;
	if (fate == RMNIC_SEGMENT_DUPLICATE)
		return;
	call->seg_version = m->version;
	call->seg_crc = m->crc;
	if (whole && ((uintptr_t)m->payload | (uintptr_t)call->page) % 8 == 0) {
		page_whole(c, call, m, rmnic_crc32c_copy_page(&c->crc, call->page, m->payload));
		return;
	}
	memcpy((uint8_t *)call->page + m->offset, m->payload, m->payload_len);
	if (fate == RMNIC_SEGMENT_LAST)
		page_whole(c, call, m,
			   rmnic_crc32c_update(&c->crc, 0, call->page, RMNIC_PAGE_SIZE));
}

static void page_in(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call,
		    const struct rmnic_rmp_msg *m)
{
	if (m->flags & RMNIC_RMP_F_FILLED) {
		call->got_word = rmnic_rmp_get32(m->payload);
		if (rmnic_rmp_fill_crc(&c->crc, call->got_word, c->cfg.device, call->rpn,
				       m->version) != m->crc) {
			bad_page(c, call);
			return;
		}
		call->got_version = m->version;
		call->got_flags = m->flags;
		rmnic_call_finish(c, call, RMNIC_RMP_S_OK);
	} else if (m->total == RMNIC_PAGE_SIZE) {
		page_segment(c, call, m);
	} else {
		c->counters.strange++; /* neither a page nor a word: not what was asked for */
	}
}

/* --- Windows and times -------------------------------------------------------------------------- */

static void heard(struct rmnic_rmp_client *c, struct rmnic_peer *p, uint64_t now)
{
	p->heard = now;
	p->owes = false;
	if (!p->silent)
		return;
	p->silent = false;
	c->cfg.silent(c->cfg.arg, p->index, false);
}

static void learn(struct rmnic_rmp_client *c, struct rmnic_peer *p,
		  const struct rmnic_rmp_call *call, const struct rmnic_rmp_msg *m, uint64_t now)
{
	uint64_t took = rmnic_rtt_since(m->stamp, now);

	/* RMP-29: the echo says which attempt it was, so that every answer is a sample. */
	rmnic_rtt_sample(&p->rtt[rmnic_call_lane(call)], took);
	if (call->urgent)
		rmnic_window_page_in(c, took, now);
	if (!m->session)
		return;
	p->credit = m->credit;
	p->pressure = m->flags & RMNIC_RMP_F_PRESSURE;
	if (m->flags & RMNIC_RMP_F_CONGESTION) {
		if (now - p->shrunk > p->rtt[RMNIC_LANE_OUT].srtt) {
			p->cwnd = p->cwnd / 2;
			p->shrunk = now;
		}
	} else if (call->type == RMNIC_RMP_WRITE) { /* RMP-26 */
		if (m->queued > RMNIC_QUEUE_TARGET_US)
			p->cwnd -= p->cwnd / 8;
		else
			p->cwnd += RMNIC_PAGE_SIZE / 4;
	}
	if (p->cwnd < RMNIC_PAGE_SIZE)
		p->cwnd = RMNIC_PAGE_SIZE;
	if (p->cwnd > RMNIC_RMP_PAGE_OUTS * RMNIC_PAGE_SIZE)
		p->cwnd = RMNIC_RMP_PAGE_OUTS * RMNIC_PAGE_SIZE;
}

static void busy(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call, uint64_t now)
{
	c->counters.busy++;
	call->retry_at = now + (BUSY_WAIT_NS << call->busy);
	call->busy += call->busy < BUSY_DOUBLINGS;
	call->backing_off = true;
	call->attempt = 1; /* it was heard: the next silence is the first */
	rmnic_call_arm(c, call);
}

/* --- Answers ------------------------------------------------------------------------------------ */

static void answered(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call,
		     const struct rmnic_rmp_msg *m, uint64_t now)
{
	struct rmnic_peer *p = &c->peers[call->peer];

	switch (m->status) {
	case RMNIC_RMP_S_OK:
		if (call->type == RMNIC_RMP_READ) {
			page_in(c, call, m);
			return;
		}
		break;
	case RMNIC_RMP_S_BUSY:
		if (call != &p->ctl) {
			busy(c, call, now);
			return;
		}
		break;
	case RMNIC_RMP_S_NO_SESSION:
		if (call->type != RMNIC_RMP_HELLO) {
			rmnic_peer_lost(c, p);
			return;
		}
		break;
	case RMNIC_RMP_S_NOT_SEALED:
		if (call != &p->ctl) {
			rmnic_peer_reseal(c, p);
			return;
		}
		break;
	case RMNIC_RMP_S_CORRUPT:
		/* Spoilt on its way: the private copy is as it was. */
		if (call->type == RMNIC_RMP_WRITE || call->type == RMNIC_RMP_WRITE_FILLED) {
			c->counters.crc_errors++;
			if (++call->bad < BAD_ANSWERS)
				rmnic_call_send(c, call);
			else
				busy(c, call, now);
			return;
		}
		break;
	default:
		break;
	}
	call->got_version = m->version;
	call->got_flags = m->flags;
	call->reply = m->payload;
	call->reply_len = m->payload_len;
	if (m->status == RMNIC_RMP_S_FENCED && call != &p->ctl)
		rmnic_peer_move(c, p, RMNIC_PEER_FENCED);
	rmnic_call_finish(c, call, m->status);
}

/*
 * RMP-5: of a request that was given up, as when another member answered first. Its page is nobody's,
 * but its server is not silent; else it would seem to have been, for as long as nothing more is asked
 * of it. One that answers what was asked before its silence began says nothing about that.
 */
static void late(struct rmnic_rmp_client *c, const struct rmnic_rx *rx)
{
	uint32_t session = rmnic_rmp_peek_session(rx->data, rx->len);
	uint64_t now = rmnic_env_now(&c->cfg.env);
	struct rmnic_rmp_msg m;

	for (struct rmnic_peer *p = c->peers; session && p < c->peers + c->npeers; p++) {
		if (p->session != session || memcmp(rx->from.ip, p->addr[0].ip, sizeof(rx->from.ip)) != 0)
			continue;
		if (p->owes && p->state == RMNIC_PEER_READY &&
		    rmnic_rmp_decode(&c->crc, &m, rx->data, rx->len, true, p->boot_id) == RMNIC_RMP_DROP_OK &&
		    now / 1000 - rmnic_rtt_since(m.stamp, now) / 1000 >= p->asked / 1000)
			heard(c, p, now);
		return;
	}
}

/* RMP-5: an answer belongs to the call whose number it bears, or to none. */
static struct rmnic_rmp_call *find_call(struct rmnic_rmp_client *c, const struct rmnic_rx *rx)
{
	struct rmnic_rmp_call *call;
	uint64_t id;
	uint32_t slot;

	if (rx->len < RMNIC_RMP_HDR_SIZE) {
		c->counters.dropped[RMNIC_RMP_DROP_SHORT]++;
		return NULL;
	}
	id = rmnic_rmp_get64((const uint8_t *)rx->data + offsetof(struct rmnic_rmp_rep, request));
	slot = (uint32_t)id & RMNIC_SLOT_MASK;
	call = slot < c->nslots ? c->slots[slot] : NULL;
	if (!call || call->id != id || call->state != RMNIC_CALL_SENT) {
		c->counters.late += slot != RMNIC_SLOT_NOBODY;
		late(c, rx);
		return NULL;
	}
	return call;
}

static void message_rx(void *arg, const struct rmnic_rx *rx)
{
	struct rmnic_rmp_client *c = arg;
	struct rmnic_rmp_call *call;
	struct rmnic_rmp_msg m;
	struct rmnic_peer *p;
	uint32_t session;
	uint64_t now = rmnic_env_now(&c->cfg.env);
	enum rmnic_rmp_drop drop;

	c->counters.rx++;
	call = find_call(c, rx);
	if (!call)
		return;
	p = &c->peers[call->peer];
	session = rmnic_rmp_peek_session(rx->data, rx->len);
	drop = rmnic_rmp_decode(&c->crc, &m, rx->data, rx->len, true, session ? p->boot_id : 0);
	c->counters.dropped[drop]++;
	if (drop != RMNIC_RMP_DROP_OK)
		return;
	/* From elsewhere, to another question, of a former session, or without one. */
	if (memcmp(rx->from.ip, p->addr[0].ip, sizeof(rx->from.ip)) != 0 ||
	    m.type != (call->type | RMNIC_RMP_REPLY) || (session && session != p->session) ||
	    (!session && call->type != RMNIC_RMP_HELLO && m.status != RMNIC_RMP_S_NO_SESSION) ||
	    (session && m.rpn != call->rpn)) {
		c->counters.strange++;
		return;
	}
	learn(c, p, call, &m, now);
	heard(c, p, now);
	answered(c, call, &m, now);
}

void rmnic_rmp_client_rx(struct rmnic_rmp_client *c, const struct rmnic_rx *rx)
{
	rmnic_rmp_each(rx, message_rx, c);
}
