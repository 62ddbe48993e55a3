/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a call without an answer comes to, and when: sent again, asked of somebody else, given up; and
 * when the server counts as silent.
 */
#include <stddef.h>

#include "engine/rmp_client_internal.h"

#define OWNER(t, type, member) ((type *)(void *)((uint8_t *)(t) - offsetof(type, member)))
#define TIMERS_A_POLL 64
#define LOST_ATTEMPTS 4   /* unheard of all the while, and for LOST_NS: the session is in doubt */
/* A server that shares its CPU with others may get no turn for so long. */
#define LOST_NS UINT64_C(100000000)
#define HOLE_ATTEMPTS 6   /* of a page, while small answers come: the MTU is in doubt */

static uint64_t hedge_at(const struct rmnic_rmp_client *c, const struct rmnic_rmp_call *call)
{
	uint64_t p99;

	if (!c->cfg.hedge || call->hedged || call->type != RMNIC_RMP_READ ||
	    call->state != RMNIC_CALL_SENT || (call->flags & RMNIC_RMP_F_HEDGE))
		return RMNIC_TIMER_NONE;
	p99 = rmnic_rtt_p99(&c->peers[call->peer].rtt[RMNIC_LANE_IN]);
	return p99 ? call->first_sent + p99 : RMNIC_TIMER_NONE;
}

/* When the peer will have been silent for too long. */
static uint64_t silent_at(const struct rmnic_rmp_client *c, const struct rmnic_rmp_call *call)
{
	const struct rmnic_peer *p = &c->peers[call->peer];

	if (!c->cfg.silent || call->state != RMNIC_CALL_SENT || !p->owes || p->silent)
		return RMNIC_TIMER_NONE;
	return p->asked + c->cfg.silent_ns;
}

void rmnic_rmp_client_patience(struct rmnic_rmp_client *c, uint64_t silent_ns)
{
	c->cfg.silent_ns = silent_ns;
}

void rmnic_call_arm(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call)
{
	uint64_t due = call->retry_at, hedge = hedge_at(c, call), silent = silent_at(c, call);

	if (hedge < due)
		due = hedge;
	if (silent < due)
		due = silent;
	if (call->deadline && call->deadline < due)
		due = call->deadline;
	if (due == RMNIC_TIMER_NONE)
		rmnic_timer_cancel(&c->timers, &call->timer);
	else
		rmnic_timer_set(&c->timers, &call->timer, due);
}

/* No answer to the last attempt. */
static void silence(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call, uint64_t now)
{
	struct rmnic_peer *p = &c->peers[call->peer];

	if (call == &p->ctl) {
		rmnic_call_send(c, call);
		return;
	}
	if (p->state != RMNIC_PEER_READY) {
		/* Sent again when the peer is ready. */
		call->retry_at = RMNIC_TIMER_NONE;
		rmnic_call_arm(c, call);
		return;
	}
	if (now - p->shrunk > p->rtt[RMNIC_LANE_OUT].srtt) {
		p->cwnd = p->cwnd / 2 > RMNIC_PAGE_SIZE ? p->cwnd / 2 : RMNIC_PAGE_SIZE;
		p->shrunk = now;
	}
	rmnic_call_send(c, call);
	if (call->attempt > LOST_ATTEMPTS && p->heard < call->first_sent &&
	    now - call->first_sent > LOST_NS)
		rmnic_peer_lost(c, p);
	else if (call->attempt > HOLE_ATTEMPTS && rmnic_call_cost(call))
		rmnic_peer_reprobe(c, p);
}

static void call_due(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call, uint64_t now)
{
	if (call->deadline && now >= call->deadline) {
		rmnic_call_finish(c, call, RMNIC_CALL_UNREACHABLE);
		return;
	}
	if (silent_at(c, call) <= now) {
		struct rmnic_peer *p = &c->peers[call->peer];

		p->silent = true;
		/* Who asks it may turn to others: somebody has to hear that it is back. */
		rmnic_timer_set(&c->timers, &p->retry, now);
		c->cfg.silent(c->cfg.arg, call->peer, true);
	}
	if (hedge_at(c, call) <= now) { /* RMP-31 */
		call->hedged = true;
		c->counters.hedges++;
		rmnic_call_arm(c, call);
		c->cfg.hedge(c->cfg.arg, call);
		return;
	}
	if (now < call->retry_at)
		rmnic_call_arm(c, call);
	else if (call->backing_off && c->peers[call->peer].state == RMNIC_PEER_READY)
		rmnic_call_send(c, call); /* RMP-30: BUSY was an answer, not a silence */
	else
		silence(c, call, now);
}

bool rmnic_rmp_client_poll(struct rmnic_rmp_client *c)
{
	uint64_t now = rmnic_env_now(&c->cfg.env);
	struct rmnic_timer *t;

	for (int i = 0; i < TIMERS_A_POLL; i++) {
		t = rmnic_timers_pop(&c->timers, now);
		if (!t)
			return false;
		if (t->kind == RMNIC_TIMER_PEER)
			rmnic_peer_due(c, OWNER(t, struct rmnic_peer, retry));
		else
			call_due(c, OWNER(t, struct rmnic_rmp_call, timer), now);
	}
	return rmnic_timers_next(&c->timers) <= now;
}

uint64_t rmnic_rmp_client_deadline(const struct rmnic_rmp_client *c)
{
	return rmnic_timers_next(&c->timers);
}

bool rmnic_rmp_client_owed(const struct rmnic_rmp_client *c)
{
	return c->nfree != c->nslots;
}
