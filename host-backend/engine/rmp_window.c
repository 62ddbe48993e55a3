/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much a client has under way (RMP-25, RMP-26, RMP-28): page-outs by the window of each server,
 * page-ins by what this end can receive.
 */
#include "engine/rmp_client_internal.h"

#define OUT_MOST    (RMNIC_RMP_PAGE_OUTS * RMNIC_PAGE_SIZE)
#define IN_LATE     4u /* times the shortest, and a bit for what is coincidence */
#define IN_SLACK_NS UINT64_C(20000)
#define IN_SPAN_NS  UINT64_C(5000000000)
#define IN_QUIET_NS UINT64_C(10000000) /* without a page-in: page-outs have all to themselves */

uint32_t rmnic_call_cost(const struct rmnic_rmp_call *call)
{
	return call->type == RMNIC_RMP_READ || call->type == RMNIC_RMP_WRITE ? RMNIC_PAGE_SIZE : 0;
}

/*
 * RMP-26. Where CPUs or links are shared, a page-in waits behind page-outs that no server's queue shows: in
 * sockets, in schedulers. So page-ins are the measure. The shortest is what they take undisturbed; it is
 * forgotten after a while, because paths change.
 */
void rmnic_window_page_in(struct rmnic_rmp_client *c, uint64_t ns, uint64_t now)
{
	uint64_t least;

	ns = ns ? ns : 1;
	if (now - c->in_turned > IN_SPAN_NS) {
		c->in_least[1] = c->in_least[0];
		c->in_least[0] = 0;
		c->in_turned = now;
	}
	if (!c->in_least[0] || ns < c->in_least[0])
		c->in_least[0] = ns;
	least = c->in_least[0];
	if (c->in_least[1] && c->in_least[1] < least)
		least = c->in_least[1];
	c->in_heard = now;
	if (ns <= IN_LATE * least + IN_SLACK_NS)
		c->out_limit += RMNIC_PAGE_SIZE / 8;
	else
		c->out_limit -= c->out_limit / 4;
	if (c->out_limit < RMNIC_PAGE_SIZE)
		c->out_limit = RMNIC_PAGE_SIZE;
	if (c->out_limit > OUT_MOST)
		c->out_limit = OUT_MOST;
}

static uint32_t out_window(struct rmnic_rmp_client *c, const struct rmnic_peer *p)
{
	uint32_t window = p->credit < p->cwnd ? p->credit : p->cwnd;

	if (c->out_limit < OUT_MOST && rmnic_env_now(&c->cfg.env) - c->in_heard > IN_QUIET_NS)
		c->out_limit = OUT_MOST; /* nobody waits any more */
	return window < c->out_limit ? window : c->out_limit;
}

static bool take_room(struct rmnic_rmp_client *c, struct rmnic_peer *p, struct rmnic_rmp_call *call)
{
	uint32_t cost = rmnic_call_cost(call);

	if (call->cost || !cost)
		return true;
	if (call->type == RMNIC_RMP_READ) {
		if (c->in_bytes + cost > c->cfg.rx_budget) {
			c->starved = true;
			return false;
		}
		c->in_bytes += cost;
	} else {
		/* One page may always be under way, or a window of nothing would last. */
		if (p->out_bytes && p->out_bytes + cost > out_window(c, p))
			return false;
		p->out_bytes += cost;
	}
	call->cost = cost;
	return true;
}

void rmnic_call_give_room(struct rmnic_rmp_client *c, struct rmnic_rmp_call *call)
{
	if (call->type == RMNIC_RMP_READ)
		c->in_bytes -= call->cost;
	else
		c->peers[call->peer].out_bytes -= call->cost;
	call->cost = 0;
}

void rmnic_peer_pump(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	if (p->state != RMNIC_PEER_READY || p->pumping)
		return;
	p->pumping = true; /* calls that end in here submit others: the loop sees them */
	for (int lane = 0; lane < RMNIC_LANES; lane++) {
		struct rmnic_rmp_call *call;

		while ((call = p->wait_head[lane]) && p->state == RMNIC_PEER_READY) {
			if (call->store_id && call->store_id != p->store_id) {
				rmnic_call_finish(c, call, RMNIC_CALL_EMPTY);
				continue;
			}
			if (!take_room(c, p, call))
				break;
			p->wait_head[lane] = call->next;
			rmnic_call_send(c, call);
		}
	}
	p->pumping = false;
}

void rmnic_peer_pump_all(struct rmnic_rmp_client *c, struct rmnic_peer *p)
{
	rmnic_peer_pump(c, p);
	if (!c->starved || c->in_bytes + RMNIC_PAGE_SIZE > c->cfg.rx_budget)
		return;
	c->starved = false;
	for (uint32_t i = 1; i <= c->npeers; i++)
		rmnic_peer_pump(c, &c->peers[(p->index + i) % c->npeers]);
}
