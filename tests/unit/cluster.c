/* SPDX-License-Identifier: BSD-3-Clause */
#include "cluster.h"

#include <stdlib.h>
#include <string.h>

#include "rmnic/device.h"

static void server_rx(void *arg, const struct rmnic_rx *rx)
{
	struct cluster_server *s = arg;

	if (s->server)
		rmnic_rmp_server_rx(s->server, rx);
}

static void backend_rx(void *arg, const struct rmnic_rx *rx)
{
	struct cluster *w = arg;

	if (w->store)
		rmnic_rmp_client_rx(rmnic_store_remote_client(w->store), rx);
}

void cluster_server_start(struct cluster *w, unsigned int i)
{
	struct cluster_server *s = &w->servers[i];
	struct rmnic_memstore_config mc = {
		.env = memnet_env(&w->net),
		.npages = s->npages,
		.slack = 32,
		.slab_pages = CLUSTER_SLAB,
		.max_slabs = s->npages / CLUSTER_SLAB + 8,
		.max_devices = 8,
		.max_refs = 256,
	};
	struct rmnic_rmp_server_config sc = {
		.env = memnet_env(&w->net),
		.net = memnet_net(&w->net, s->end),
		.max_sessions = 16,
		.max_queue = 64,
		.max_mtu = s->max_mtu,
		.lease_ns = s->lease_ns,
	};

	if (!s->store) {
		if (!s->pages)
			s->pages = aligned_alloc(4096, (size_t)s->npages * RMNIC_PAGE_SIZE);
		mc.pages = s->pages;
		s->store = rmnic_memstore_create(&mc);
	}
	memset(sc.uuid, 0x50 + (int)i, 16);
	sc.store = s->store;
	s->server = rmnic_rmp_server_create(&sc);
	if (!s->store || !s->server)
		abort();
	w->net.ends[s->end].up = true;
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

bool cluster_start(struct cluster *w)
{
	struct rmnic_rmp_client *c;

	w->epoch++;
	((struct rmnic_state_hdr *)w->state)->epoch = w->epoch;
	w->store = rmnic_store_remote_create(&w->cfg, &w->why);
	if (!w->store)
		return false;
	c = rmnic_store_remote_client(w->store);
	for (unsigned int i = 0; i < w->nservers; i++) {
		struct rmnic_addr addr[RMNIC_LANES];

		addr[RMNIC_LANE_IN] = addr[RMNIC_LANE_OUT] = w->net.ends[w->servers[i].end].addr;
		addr[RMNIC_LANE_IN].port = RMNIC_RMP_PORT_IN;
		addr[RMNIC_LANE_OUT].port = RMNIC_RMP_PORT_OUT;
		rmnic_rmp_client_add(c, addr, NULL);
	}
	return true;
}

void cluster_stop(struct cluster *w)
{
	if (!w->store)
		return;
	memnet_settle(&w->net, w->backend);
	rmnic_store_remote_destroy(w->store);
	w->store = NULL;
}

void cluster_init(struct cluster *w, uint64_t seed, unsigned int servers, uint32_t npages,
		uint64_t pages, uint32_t replicas)
{
	struct rmnic_state_shape shape = {
		.pages = pages, .slab_pages = CLUSTER_SLAB, .queues = 3, .depth = 64, .epoch = 1,
	};

	memset(w, 0, sizeof(*w));
	memnet_init(&w->net, seed);
	w->backend = memnet_add(&w->net, 1, backend_rx, w);
	memset(shape.uuid, 0xd0, 16);
	w->state_size = rmnic_state_size(&shape);
	w->state = aligned_alloc(4096, w->state_size);
	memset(w->state, 0, w->state_size);
	rmnic_state_format(w->state, &shape);
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
		.max_peers = CLUSTER_SERVERS,
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

/* Everybody does what there is to do now. */
static void settle(struct cluster *w)
{
	bool more;

	do {
		more = false;
		for (unsigned int i = 0; i < w->nservers; i++)
			if (w->servers[i].server)
				more |= rmnic_rmp_server_poll(w->servers[i].server);
		if (w->store) {
			more |= rmnic_rmp_client_poll(rmnic_store_remote_client(w->store));
			more |= w->store->ops->idle(w->store);
		}
	} while (more);
}

bool cluster_step(struct cluster *w, uint64_t until)
{
	uint64_t packet, timer = UINT64_MAX;

	settle(w);
	packet = memnet_next(&w->net);
	if (w->store)
		timer = rmnic_store_remote_deadline(w->store);
	if (packet > until && timer > until) {
		w->net.now = until;
		return false;
	}
	if (packet <= timer)
		memnet_deliver(&w->net);
	else if (timer > w->net.now)
		w->net.now = timer;
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
