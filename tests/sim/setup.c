/* SPDX-License-Identifier: BSD-3-Clause */
/* What a run is made of, as its seed draws it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim.h"

/* A fault is on in one run of so many. */
static const unsigned char rarity[FAULT_COUNT] = {
	[FAULT_CRASH] = 2,  [FAULT_LOSE] = 5,   [FAULT_CUT] = 3,      [FAULT_STOP] = 4,
	[FAULT_SLOW] = 4,   [FAULT_ROT] = 4,    [FAULT_STARVE] = 5,   [FAULT_REPLAY] = 5,
	[FAULT_DRAIN] = 4,  [FAULT_ADD] = 4,    [FAULT_PRESSURE] = 8, [FAULT_JUMP] = 6,
	[FAULT_BACKEND] = 2, [FAULT_PAUSE] = 5, [FAULT_SUCCEED] = 4,  [FAULT_RESIZE] = 4,
	[FAULT_DISK] = 4,
};

static void draw_network(struct sim *s)
{
	static const uint32_t mtus[] = { 9000, 9000, 9000, 4300, 3542, 1500, 1500, 1280 };
	struct memnet_faults *f = &s->net_faults;
	bool rough = !sim_one_of(s, 4);
	uint32_t mtu = mtus[sim_below(s, 8)];
	/* A page of many segments has as many chances to be lost. */
	unsigned int most = mtu > 4200 ? 120 : 50;

	s->w.net.mtu = mtu;
	s->w.net.join = true;
	s->w.net.keep_old = s->weight[FAULT_REPLAY] != 0;
	f->delay_ns = 1000 + sim_below(s, 50000);
	f->jitter_ns = sim_one_of(s, 2) ? sim_below(s, 200000) : 0;
	f->loss = rough && sim_one_of(s, 2) ? (unsigned int)sim_below(s, most) : 0;
	f->duplicate = rough && sim_one_of(s, 2) ? (unsigned int)sim_below(s, 120) : 0;
	f->reorder = rough && sim_one_of(s, 2) ? (unsigned int)sim_below(s, most * 2) : 0;
	f->late_ns = sim_one_of(s, 3) ? sim_below(s, 2000 * MS) : sim_below(s, 20 * MS);
	f->corrupt = rough && sim_one_of(s, 3) ? (unsigned int)sim_below(s, 40) : 0;
	f->refuse = rough && sim_one_of(s, 3) ? (unsigned int)sim_below(s, 60) : 0;
	f->mark = rough && sim_one_of(s, 4) ? (unsigned int)sim_below(s, 100) : 0;
	f->handover = sim_one_of(s, 4) ? (unsigned int)sim_below(s, 200) : 0;
}

/* A server that holds so many pages, instead of the one that the cluster made. */
static void resize_server(struct sim *s, unsigned int i, uint64_t pages)
{
	struct cluster_server *c = &s->w.servers[i];

	cluster_server_stop(&s->w, i, false);
	free(c->pages);
	c->pages = NULL;
	c->npages = (uint32_t)pages;
	c->domain = sim_one_of(s, 2) ? 1 + (uint32_t)sim_below(s, 4) : 0;
	c->scrub_rate = sim_one_of(s, 2) ? 50 + (uint32_t)sim_below(s, 1000) : 0;
	cluster_server_start(&s->w, i);
}

/* As many that can hold everything as there are replicas; others may be small, or not known yet. */
static void draw_servers(struct sim *s, unsigned int n, uint32_t replicas, uint64_t pages)
{
	for (unsigned int i = 0; i < n; i++) {
		s->servers[i].big = i < replicas || !sim_one_of(s, 4);
		resize_server(s, i, s->servers[i].big ? pages + 128 + sim_below(s, 256) :
							CLUSTER_SLAB + 40 + sim_below(s, 100));
		s->w.servers[i].unknown = i >= replicas && s->weight[FAULT_ADD] && sim_one_of(s, 3);
	}
}

static void draw_store(struct sim *s)
{
	static const uint32_t rates[] = { 0, 500, 2000, 20000 };
	struct rmnic_remote_config *c = &s->w.cfg;

	c->timeout_ns = sim_one_of(s, 4) ? (50 + sim_below(s, 500)) * MS : 20 * SECOND;
	c->drop_ns = sim_one_of(s, 2) ? (2 + sim_below(s, 200)) * MS : 0;
	c->away_ns = sim_one_of(s, 8) ? 0 : sim_below(s, 1000) * MS + 1;
	c->repair_rate = rates[sim_below(s, 4)];
	c->scrub_rate = 50 + (uint32_t)sim_below(s, 1000);
	c->hedge_permille = sim_one_of(s, 2) ? 1 + (uint32_t)sim_below(s, 500) : 0;
	c->rx_budget = (uint32_t)(2 + sim_below(s, 62)) * RMNIC_PAGE_SIZE;
	c->max_ops = s->depth * 3 + (uint32_t)sim_below(s, 64);
}

void sim_print(const struct sim *s)
{
	const struct memnet_faults *f = &s->net_faults;

	printf("# seed %" PRIu64 ": %s, %u servers, %u replicas, %" PRIu64 " pages, depth %u, mtu %u, "
	       "loss %u dup %u reorder %u late %" PRIu64 " us corrupt %u refuse %u mark %u handover %u, "
	       "timeout %" PRIu64 " drop %" PRIu64 " away %" PRIu64 " ms",
	       s->seed, s->with_rings ? "with a device and its rings" : "the store alone", s->w.nservers,
	       s->w.cfg.replicas, s->model.npages, s->depth, s->w.net.mtu, f->loss, f->duplicate, f->reorder,
	       f->late_ns / 1000, f->corrupt, f->refuse, f->mark, f->handover,
	       s->w.cfg.timeout_ns / MS, s->w.cfg.drop_ns / MS, s->w.cfg.away_ns / MS);
	if (s->w.spill)
		printf(", spill %" PRIu64 " short %u wait %u", s->spill.limit, s->spill.short_permille,
		       s->spill.wait_permille);
	for (unsigned int i = 0; i < FAULT_COUNT; i++)
		if (s->weight[i])
			printf(", %s %u", fault_names[i], s->weight[i]);
	printf("\n");
}

/* Perhaps there is a spill file, perhaps with room for a part of the device only. */
static void draw_spill(struct sim *s, uint64_t pages)
{
	if (!sim_one_of(s, 3))
		return;
	if (!memspill_init(&s->spill, s->seed, pages, CLUSTER_SLAB * (1 + sim_below(s, pages / CLUSTER_SLAB))))
		abort();
	s->spill.short_permille = sim_one_of(s, 3) ? (uint32_t)sim_below(s, 100) : 0;
	s->spill.wait_permille = sim_one_of(s, 2) ? (uint32_t)sim_below(s, 300) : 0;
	s->w.spill = &s->spill;
}

static void draw_faults(struct sim *s)
{
	for (unsigned int i = 0; i < FAULT_COUNT; i++)
		s->weight[i] = sim_one_of(s, rarity[i]) ? 1 + (unsigned int)sim_below(s, 6) : 0;
	if (s->with_rings) {
		s->weight[FAULT_SUCCEED] = 0; /* QEMU sees to that (RULES A3) */
		s->weight[FAULT_BACKEND] *= 5; /* it is what such a run is about */
	}
	for (unsigned int i = 0; i < FAULT_COUNT; i++)
		s->weights += s->weight[i];
}

void sim_set_up(struct sim *s)
{
	unsigned int servers = 1 + (unsigned int)sim_below(s, sim_one_of(s, 10) ? 20 : 6);
	uint32_t replicas = 1 + (uint32_t)sim_below(s, servers < 3 ? servers : 3);
	uint64_t pages = CLUSTER_SLAB * (1 + sim_below(s, 4));

	draw_faults(s);
	s->depth = 1 + (unsigned int)sim_below(s, MAX_OPS);
	cluster_init(&s->w, s->seed, servers, 128, pages, replicas);
	draw_network(s);
	draw_spill(s, pages);
	draw_store(s);
	draw_servers(s, servers, replicas, pages);
	s->w.net.faults = s->net_faults;
	model_init(&s->model, pages);
	oracle_attach(s);
}

bool sim_start(struct sim *s, bool (*start)(struct cluster *w))
{
	int before = s->w.net.allocations;

	if (s->faults && s->w.spill && sim_one_of(s, 12)) { /* STATE-29 */
		sim_event(s, "the spill file is another one");
		memspill_renew(&s->spill);
		oracle_doom_all(s);
	}
	if (s->faults || sim_one_of(s, 8))
		s->w.net.fail_alloc = sim_one_of(s, 8) ? 1 + (unsigned int)sim_below(s, 40) : 0;
	if (start(&s->w)) {
		s->w.net.fail_alloc = 0;
		oracle_attach(s);
		return true;
	}
	if (s->w.net.fail_alloc || !s->w.why)
		sim_fail(s, "the backend does not start: %s", s->w.why ? s->w.why : "nobody knows why");
	else if (s->w.net.allocations > before)
		sim_fail(s, "a backend that did not start left memory behind");
	else if (!cluster_start(&s->w))
		sim_fail(s, "the backend does not start: %s", s->w.why);
	oracle_attach(s);
	return !s->failure[0];
}
