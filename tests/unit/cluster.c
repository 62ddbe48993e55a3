/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster.h"

#include <stdlib.h>
#include <string.h>

#include "rmnic/device.h"

static void server_rx(void *arg, const struct rmnic_rx *rx)
{
	struct cluster_server *s = arg;

	s->awake = true;
	if (s->server)
		rmnic_rmp_server_rx(s->server, rx);
}

static void backend_rx(void *arg, const struct rmnic_rx *rx)
{
	struct cluster_seat *seat = arg;

	if (seat->store)
		rmnic_rmp_client_rx(rmnic_store_remote_client(seat->store), rx);
}

/* --- Servers ------------------------------------------------------------------------------- */

static void make_memory(struct cluster *w, struct cluster_server *s)
{
	struct rmnic_memstore_config mc = {
		.env = memnet_env_of(&w->net, s->end),
		.npages = s->npages,
		.slack = 32,
		.slab_pages = CLUSTER_SLAB,
		.max_slabs = s->npages / CLUSTER_SLAB + 8,
		.max_devices = CLUSTER_SEATS,
		.max_refs = 1024,
	};

	if (!s->pages)
		s->pages = aligned_alloc(4096, (size_t)s->npages * RMNIC_PAGE_SIZE);
	mc.pages = s->pages;
	s->store = rmnic_memstore_create(&mc);
}

bool cluster_server_start(struct cluster *w, unsigned int i)
{
	struct cluster_server *s = &w->servers[i];
	struct rmnic_rmp_server_config sc = {
		.env = memnet_env_of(&w->net, s->end),
		.net = memnet_net(&w->net, s->end),
		.max_sessions = CLUSTER_SEATS,
		.max_queue = 64,
		.max_mtu = s->max_mtu,
		.scrub_rate = s->scrub_rate,
		.lease_ns = s->lease_ns,
	};
	bool to_fail = w->net.fail_alloc != 0;

	if (!s->store)
		make_memory(w, s);
	memset(sc.uuid, 0x50 + (int)i, 16);
	sc.store = s->store;
	s->server = s->store ? rmnic_rmp_server_create(&sc) : NULL;
	if (!s->server && !to_fail)
		abort();
	w->net.ends[s->end].up = s->server != NULL;
	s->awake = true;
	return s->server != NULL;
}

void cluster_server_stop(struct cluster *w, unsigned int i, bool memory)
{
	struct cluster_server *s = &w->servers[i];

	if (s->server) {
		rmnic_rmp_server_destroy(s->server);
		s->server = NULL;
		w->net.ends[s->end].up = false;
	}
	if (memory)
		return;
	memnet_settle(&w->net, s->end); /* before the memory it sends from goes away */
	rmnic_memstore_destroy(s->store);
	s->store = NULL;
}

static uint32_t add_to(struct cluster *w, struct rmnic_store *store, unsigned int i)
{
	struct rmnic_addr addr[RMNIC_LANES];

	addr[RMNIC_LANE_IN] = addr[RMNIC_LANE_OUT] = w->net.ends[w->servers[i].end].addr;
	addr[RMNIC_LANE_IN].port = RMNIC_RMP_PORT_IN;
	addr[RMNIC_LANE_OUT].port = RMNIC_RMP_PORT_OUT;
	return rmnic_rmp_client_add(rmnic_store_remote_client(store), addr, NULL);
}

void cluster_server_add(struct cluster *w, unsigned int i)
{
	struct cluster_server *s = &w->servers[i];

	s->peer = add_to(w, w->store, i);
	if (s->domain)
		rmnic_store_remote_domain(w->store, s->peer, s->domain);
	s->unknown = false;
}

/* --- Backends ------------------------------------------------------------------------------ */

bool cluster_start(struct cluster *w)
{
	struct cluster_seat *seat = &w->seats[w->seat];

	w->epoch++;
	((struct rmnic_state_hdr *)w->state)->epoch = w->epoch;
	w->backend = seat->end;
	w->cfg.env = memnet_env_of(&w->net, seat->end);
	w->cfg.net = memnet_net(&w->net, seat->end);
	w->cfg.state = w->state;
	w->cfg.spill = w->spill ? &memspill_ops : NULL;
	w->cfg.spill_arg = w->spill;
	w->store = seat->store = rmnic_store_remote_create(&w->cfg, &w->why);
	if (!w->store)
		return false;
	for (unsigned int i = 0; i < w->nservers; i++)
		if (!w->servers[i].unknown)
			cluster_server_add(w, i);
	return true;
}

static void seat_clear(struct cluster *w, struct cluster_seat *seat)
{
	memnet_settle(&w->net, seat->end);
	if (w->spill)
		memspill_die(w->spill);
	rmnic_store_remote_destroy(seat->store);
	seat->store = NULL;
}

void cluster_stop(struct cluster *w)
{
	if (!w->store)
		return;
	seat_clear(w, &w->seats[w->seat]);
	w->store = NULL;
}

bool cluster_succeed(struct cluster *w)
{
	void *copy = aligned_alloc(4096, w->state_size);

	cluster_old_stop(w);
	memcpy(copy, w->state, w->state_size);
	w->seats[w->seat].state = w->state;
	w->state = copy;
	w->seat = !w->seat;
	return cluster_start(w);
}

struct cluster_seat *cluster_old(struct cluster *w)
{
	return w->seats[!w->seat].store ? &w->seats[!w->seat] : NULL;
}

void cluster_old_stop(struct cluster *w)
{
	struct cluster_seat *old = &w->seats[!w->seat];

	if (old->store)
		seat_clear(w, old);
	free(old->state);
	old->state = NULL;
}

static void *make_state(struct cluster *w, uint8_t device, uint64_t pages, uint32_t epoch)
{
	struct rmnic_state_shape shape = {
		.pages = pages, .slab_pages = CLUSTER_SLAB, .queues = 3, .depth = 64, .epoch = epoch,
	};
	void *state;

	memset(shape.uuid, device, 16);
	w->state_size = rmnic_state_size(&shape);
	state = aligned_alloc(4096, w->state_size);
	if (!state)
		abort();
	memset(state, 0, w->state_size);
	rmnic_state_format(state, &shape);
	return state;
}

struct cluster_seat *cluster_join(struct cluster *w)
{
	struct cluster_seat *seat = &w->seats[w->nseats];
	uint8_t device = (uint8_t)(0xd0 + w->nseats);
	struct rmnic_remote_config c = w->cfg;

	seat->end = memnet_add(&w->net, (uint8_t)(100 + w->nseats++), backend_rx, seat);
	seat->state = make_state(w, device, ((struct rmnic_state_hdr *)w->state)->pages, 1);
	c.env = memnet_env_of(&w->net, seat->end);
	c.net = memnet_net(&w->net, seat->end);
	c.state = seat->state;
	memset(c.device, device, 16);
	seat->store = rmnic_store_remote_create(&c, &w->why);
	for (unsigned int i = 0; i < w->nservers && seat->store; i++)
		add_to(w, seat->store, i);
	return seat->store ? seat : NULL;
}

void cluster_init(struct cluster *w, uint64_t seed, unsigned int servers, uint32_t npages,
		uint64_t pages, uint32_t replicas)
{
	memset(w, 0, sizeof(*w));
	memnet_init(&w->net, seed);
	w->nseats = 2;
	for (unsigned int i = 0; i < 2; i++)
		w->seats[i].end = memnet_add(&w->net, (uint8_t)(i ? 250 : 1), backend_rx, &w->seats[i]);
	w->backend = w->seats[0].end;
	w->state = make_state(w, 0xd0, pages, 1);
	w->nservers = servers;
	for (unsigned int i = 0; i < servers; i++) {
		w->servers[i].npages = npages;
		w->servers[i].end = memnet_add(&w->net, (uint8_t)(10 + i), server_rx, &w->servers[i]);
		cluster_server_start(w, i);
	}
	w->cfg = (struct rmnic_remote_config){
		.env = memnet_env(&w->net),
		.net = memnet_net(&w->net, w->backend),
		.state = w->state,
		.state_size = w->state_size,
		.max_peers = CLUSTER_PEERS,
		.replicas = replicas,
		.max_ops = 64,
		.max_mtu = 9000,
		.rx_budget = 64 * RMNIC_PAGE_SIZE,
	};
	memset(w->cfg.uuid, 0xb0, 16);
	memset(w->cfg.token, 0x77, 32);
	memset(w->cfg.device, 0xd0, 16);
}

void cluster_fini(struct cluster *w)
{
	cluster_stop(w);
	for (unsigned int i = 0; i < w->nseats; i++) {
		if (w->seats[i].store)
			seat_clear(w, &w->seats[i]);
		free(w->seats[i].state);
	}
	for (unsigned int i = 0; i < w->nservers; i++) {
		cluster_server_stop(w, i, true);
		cluster_server_stop(w, i, false);
		free(w->servers[i].pages);
	}
	free(w->state);
	memnet_fini(&w->net);
	if (w->net.allocations)
		abort(); /* something was not freed */
}

/* --- Time ---------------------------------------------------------------------------------- */

/* A deadline of an end's clock, in the world's time. */
static uint64_t world_time(const struct cluster *w, unsigned int end, uint64_t deadline)
{
	return deadline == UINT64_MAX || deadline < w->net.ends[end].skew ?
		       deadline : deadline - w->net.ends[end].skew;
}

static bool server_round(struct cluster *w, struct cluster_server *s)
{
	if (!s->server || w->net.ends[s->end].frozen ||
	    (!s->awake && world_time(w, s->end, s->deadline) > w->net.now))
		return false;
	s->awake = rmnic_rmp_server_poll(s->server);
	s->deadline = rmnic_rmp_server_deadline(s->server);
	if (s->lease_ns) /* which it looks at in passing */
		s->deadline = w->net.now + w->net.ends[s->end].skew + s->lease_ns / 4;
	return s->awake;
}

static bool backend_round(struct cluster *w, struct cluster_seat *seat)
{
	bool more;

	if (!seat->store || w->net.ends[seat->end].frozen)
		return false;
	more = rmnic_rmp_client_poll(rmnic_store_remote_client(seat->store));
	more |= w->spill && memspill_busy(w->spill);
	return seat->store->ops->idle(seat->store) || more;
}

/* Everybody does what there is to do now. */
static void settle(struct cluster *w)
{
	unsigned int rounds = 0;
	bool more;

	do {
		more = false;
		for (unsigned int i = 0; i < w->nservers; i++)
			more |= server_round(w, &w->servers[i]);
		for (unsigned int i = 0; i < w->nseats; i++)
			more |= backend_round(w, &w->seats[i]);
	} while (more && ++rounds < 100000);
	w->stuck |= more;
}

/* When the next timer runs out. */
static uint64_t next_timer(const struct cluster *w)
{
	uint64_t first = UINT64_MAX, at;

	for (unsigned int i = 0; i < w->nseats; i++)
		if (w->seats[i].store && !w->net.ends[w->seats[i].end].frozen) {
			at = world_time(w, w->seats[i].end,
					rmnic_store_remote_deadline(w->seats[i].store));
			first = at < first ? at : first;
		}
	for (unsigned int i = 0; i < w->nservers; i++)
		if (w->servers[i].server && !w->net.ends[w->servers[i].end].frozen) {
			at = world_time(w, w->servers[i].end, w->servers[i].deadline);
			first = at < first ? at : first;
		}
	return first;
}

/* RMP-29: all that has arrived is read before anybody looks at timers. */
static void deliver(struct cluster *w)
{
	while (memnet_next(&w->net) <= w->net.now)
		memnet_deliver(&w->net);
}

bool cluster_step(struct cluster *w, uint64_t until)
{
	uint64_t packet, timer, before = w->net.now;

	deliver(w);
	settle(w);
	packet = memnet_next(&w->net);
	timer = next_timer(w);
	if ((packet > until && timer > until) || w->stuck) {
		w->net.now = until;
		w->same_time = 0;
		return false;
	}
	if (packet < timer)
		timer = packet;
	if (timer > w->net.now)
		w->net.now = timer;
	deliver(w);
	w->same_time = w->net.now > before ? 0 : w->same_time + 1;
	w->stuck |= w->same_time > 1000000;
	return true;
}

void cluster_run(struct cluster *w, uint64_t ns)
{
	uint64_t until = w->net.now + ns;

	while (cluster_step(w, until))
		;
}

bool cluster_ready(struct cluster *w, uint64_t ns)
{
	uint64_t until = w->net.now + ns;

	while (rmnic_store_remote_status(w->store, NULL) != RMNIC_REMOTE_READY)
		if (!cluster_step(w, until))
			return false;
	return true;
}

/* --- Pages ----------------------------------------------------------------------------------- */

struct waiter {
	struct rmnic_page_op op;
	uint16_t status;
};

static void waiter_done(struct rmnic_page_op *op, uint16_t status)
{
	((struct waiter *)op)->status = status;
}

static uint16_t wait_for(struct cluster *w, struct waiter *x)
{
	uint64_t until = w->net.now + 60000000000ull;

	while (x->status == RMNIC_STORE_PENDING && cluster_step(w, until))
		;
	if (x->status == RMNIC_STORE_PENDING)
		w->store->ops->cancel(w->store, &x->op);
	return x->status;
}

uint16_t cluster_out(struct cluster *w, uint64_t rpn, const void *page)
{
	struct waiter x = { .op = { .rpn = rpn, .data = (void *)(uintptr_t)page,
				    .done = waiter_done } };

	x.status = w->store->ops->page_out(w->store, &x.op);
	return wait_for(w, &x);
}

uint16_t cluster_in(struct cluster *w, uint64_t rpn, void *page)
{
	struct waiter x = { .op = { .rpn = rpn, .data = page, .done = waiter_done } };

	x.status = w->store->ops->page_in(w->store, &x.op);
	return wait_for(w, &x);
}

void cluster_page(void *page, uint64_t seed)
{
	uint64_t *p = page;

	for (unsigned int i = 0; i < RMNIC_PAGE_SIZE / 8; i++)
		p[i] = (seed << 16 | i) * 0x9e3779b97f4a7c15ull;
}

bool cluster_is_page(const void *page, uint64_t seed)
{
	uint64_t want[RMNIC_PAGE_SIZE / 8];

	cluster_page(want, seed);
	return !memcmp(page, want, sizeof(want));
}

void cluster_catch_rx(void *arg, const struct rmnic_rx *rx)
{
	struct cluster_catch *c = arg;

	if (c->n == 64)
		abort();
	c->len[c->n] = rx->len;
	memcpy(c->bytes[c->n++], rx->data, rx->len);
}
