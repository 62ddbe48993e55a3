/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/store_remote.h"

#include <string.h>

#include "engine/store_remote_internal.h"

#define TIMEOUT_NS UINT64_C(20000000000)
#define MEET_NS    UINT64_C(5000000000)
#define DROP_NS    UINT64_C(30000000)
#define AWAY_NS    UINT64_C(10000000000)
#define HEDGE_PERMILLE 20
#define REPAIR_RATE 20000
#define SCRUB_RATE 1000

const char *const rmnic_remote_status_names[RMNIC_REMOTE_STATUS_COUNT] = {
	[RMNIC_REMOTE_STARTING] = "starting",
	[RMNIC_REMOTE_READY] = "ready",
	[RMNIC_REMOTE_GROWING] = "growing",
	[RMNIC_REMOTE_NO_SPACE] = "no space",
	[RMNIC_REMOTE_UNREACHABLE] = "unreachable",
	[RMNIC_REMOTE_FENCED] = "fenced",
	[RMNIC_REMOTE_DAMAGED] = "damaged",
	[RMNIC_REMOTE_RELEASING] = "releasing",
	[RMNIC_REMOTE_RELEASED] = "released",
};

static struct rmnic_remote *to_remote(const struct rmnic_store *store)
{
	return (struct rmnic_remote *)(uintptr_t)store;
}

void rmnic_remote_move(struct rmnic_remote *r, enum rmnic_remote_status to)
{
	if (r->status == RMNIC_REMOTE_RELEASING && to == RMNIC_REMOTE_FENCED)
		to = RMNIC_REMOTE_RELEASED; /* what is left is another backend's */
	/* Nothing but the end comes after FENCED: this backend is not the device's any more. */
	if (r->status == to || r->status == RMNIC_REMOTE_RELEASED ||
	    (r->status >= RMNIC_REMOTE_FENCED && to < r->status))
		return;
	r->status = to;
	if (to == RMNIC_REMOTE_FENCED)
		rmnic_remote_pages_look(r);
	if (r->cfg.status_changed)
		r->cfg.status_changed(r->cfg.arg);
}

static void peer_event(void *arg, uint32_t peer, enum rmnic_peer_state state)
{
	struct rmnic_remote *r = arg;

	if (state == RMNIC_PEER_READY)
		rmnic_remote_peer_up(r, peer);
	else if (state == RMNIC_PEER_FENCED)
		rmnic_remote_move(r, RMNIC_REMOTE_FENCED);
	if (r->cfg.peer_changed)
		r->cfg.peer_changed(r->cfg.arg, peer, state);
}

/* Comes from among the client's timers: only noted here. */
static void peer_silent(void *arg, uint32_t peer, bool silent)
{
	struct rmnic_remote *r = arg;

	r->silent += (uint32_t)silent - (uint32_t)r->peers[peer].silent;
	r->peers[peer].silent = silent;
	rmnic_remote_pages_look(r);
	if (silent)
		rmnic_remote_drop_soon(r);
	else
		rmnic_remote_repair_look(r, 0);
}

static uint16_t remote_flush(struct rmnic_store *store)
{
	(void)store; /* what was acknowledged is where it stays (CMD-14) */
	return RMNIC_SC_OK;
}

static bool remote_idle(struct rmnic_store *store)
{
	struct rmnic_remote *r = to_remote(store);
	bool more;

	if (r->status >= RMNIC_REMOTE_RELEASING)
		return rmnic_remote_releasing(r);
	if (rmnic_remote_recover(r))
		return true;
	rmnic_remote_reserve(r);
	rmnic_remote_sweep(r);
	more = rmnic_remote_lose(r);
	more |= rmnic_remote_views(r);
	more |= rmnic_remote_repair(r);
	more |= rmnic_remote_unspill(r);
	more |= rmnic_remote_scrub(r);
	rmnic_remote_pages(r);
	return rmnic_remote_tell(r) || more;
}

static void remote_counters(const struct rmnic_store *store, struct rmnic_store_counters *out)
{
	*out = to_remote(store)->counters;
}

static const struct rmnic_store_ops remote_ops = {
	.page_out = rmnic_remote_page_out,
	.page_in = rmnic_remote_page_in,
	.cancel = rmnic_remote_cancel,
	.free = rmnic_remote_free_pages,
	.zero = rmnic_remote_free_pages, /* a freed page reads as zeros */
	.flush = remote_flush,
	.idle = remote_idle,
	.counters = remote_counters,
	.settle = rmnic_remote_settle,
};

static uint64_t slabs_of(const struct rmnic_remote *r, uint64_t pages)
{
	return pages / r->state.slab_pages + (pages % r->state.slab_pages != 0);
}

static bool get_memory(struct rmnic_remote *r)
{
	const struct rmnic_env *env = &r->cfg.env;

	for (r->buckets = 16; r->buckets < r->cfg.max_ops; r->buckets *= 2)
		;
	r->nops = 2 * r->cfg.max_ops;
	r->slabs = env->ops->alloc(env->arg, sizeof(*r->slabs) * r->state.nslabs);
	r->peers = env->ops->alloc(env->arg, sizeof(*r->peers) * r->cfg.max_peers);
	r->ops = env->ops->alloc(env->arg, sizeof(*r->ops) * r->nops);
	r->writing = env->ops->alloc(env->arg, sizeof(*r->writing) * r->buckets);
	r->copies = env->ops->alloc(env->arg, sizeof(*r->copies) * r->nops);
	r->tell = env->ops->alloc(env->arg, (r->state.npages / 64 + 1) * sizeof(uint64_t));
	r->holders = env->ops->alloc(env->arg, sizeof(*r->holders) * RMNIC_REMOTE_HOLDERS);
	return r->slabs && r->holders && r->peers && r->ops && r->writing && r->copies && r->tell &&
	       rmnic_remote_spill_create(r) &&
	       rmnic_remote_repair_create(r) && rmnic_remote_scrub_create(r);
}

static void set_up(struct rmnic_remote *r)
{
	for (uint32_t i = 0; i < r->nops; i++) {
		struct rmnic_remote_op *o = &r->ops[i];

		o->store = r;
		o->out = i < r->cfg.max_ops;
		o->spill.place = &r->copies[i];
		o->copy = r->copies[i].page;
		o->next = r->free_op[o->out];
		r->free_op[o->out] = o;
	}
	for (uint32_t i = 0; i < r->cfg.max_peers; i++)
		r->peers[i].free_pages = UINT64_MAX;
	r->slabs_want = slabs_of(r, r->cfg.reserve);
	r->created = rmnic_env_now(&r->cfg.env);
	r->first_version = rmnic_le64_get(r->state.hdr->next_version);
	r->meet_until = r->created + r->cfg.meet_ns;
	r->look_at = UINT64_MAX;
	for (uint64_t rpn = 0; rpn < r->state.npages; rpn++) {
		uint64_t word = rmnic_state_page(&r->state, rpn);

		if (word & RMNIC_STATE_PAGE_TELL)
			rmnic_remote_tell_add(r, rpn);
		switch (word & RMNIC_STATE_PAGE_KIND) {
		case RMNIC_STATE_PAGE_SPILLED:
			r->slabs[rpn / r->state.slab_pages].spilled++;
			r->spilled++;
			/* fall through */
		case RMNIC_STATE_PAGE_HELD:
			r->counters.stored++;
		}
	}
}

static const char *make_client(struct rmnic_remote *r)
{
	struct rmnic_rmp_client_config c = {
		.env = r->cfg.env,
		.net = r->cfg.net,
		.epoch = rmnic_le32_get(r->state.hdr->epoch),
		.max_peers = r->cfg.max_peers,
		/* A page-in has two members to answer at most. */
		.max_calls = r->cfg.max_ops * (RMNIC_MEMBERS + 2) + RMNIC_REMOTE_ALLOCS +
			     (RMNIC_REMOTE_FREES + RMNIC_REMOTE_RECORDS) * RMNIC_MEMBERS +
			     RMNIC_REMOTE_BACKGROUND,
		.max_mtu = r->cfg.max_mtu,
		.rx_budget = r->cfg.rx_budget,
		.silent_ns = r->cfg.drop_ns,
		.arg = r,
		.peer_event = peer_event,
		.silent = peer_silent,
		.hedge = rmnic_remote_hedge,
	};

	memcpy(c.uuid, r->cfg.uuid, 16);
	memcpy(c.device, r->cfg.device, 16);
	memcpy(c.token, r->cfg.token, 32);
	r->client = rmnic_rmp_client_create(&c);
	return r->client ? NULL : "no memory for the RMP client, or a limit is out of range";
}

static void take_defaults(struct rmnic_remote_config *c)
{
	c->timeout_ns = c->timeout_ns ? c->timeout_ns : TIMEOUT_NS;
	c->meet_ns = c->meet_ns ? c->meet_ns : MEET_NS;
	c->drop_ns = c->drop_ns ? c->drop_ns : DROP_NS;
	c->away_ns = c->away_ns ? c->away_ns : AWAY_NS;
	c->hedge_permille = c->hedge_permille ? c->hedge_permille : HEDGE_PERMILLE;
	c->repair_rate = c->repair_rate ? c->repair_rate : REPAIR_RATE;
	c->scrub_rate = c->scrub_rate ? c->scrub_rate : SCRUB_RATE;
}

struct rmnic_store *rmnic_store_remote_create(const struct rmnic_remote_config *cfg,
					      const char **why)
{
	struct rmnic_remote *r = cfg->env.ops->alloc(cfg->env.arg, sizeof(*r));

	if (!r) {
		*why = "no memory for the store";
		return NULL;
	}
	r->store.ops = &remote_ops;
	r->cfg = *cfg;
	take_defaults(&r->cfg);
	if (!cfg->replicas || cfg->replicas > RMNIC_MEMBERS || !cfg->max_ops ||
	    cfg->max_ops > 4096 || !cfg->max_peers || cfg->replicas > cfg->max_peers)
		*why = "replicas, page operations or servers are out of range";
	else if ((*why = rmnic_state_attach(&r->state, cfg->state, cfg->state_size,
					    cfg->device)) != NULL)
		;
	else if (cfg->reserve > r->state.npages)
		*why = "the device wants more pages than its state block has";
	else if (!get_memory(r))
		*why = "no memory for the pages on their way";
	else if ((*why = make_client(r)) == NULL) {
		if (!r->cfg.reserve)
			r->cfg.reserve = r->state.npages;
		set_up(r);
		if (!rmnic_remote_slabs_load(r))
			r->status = RMNIC_REMOTE_DAMAGED;
		else
			rmnic_remote_spill_load(r);
		if (r->status == RMNIC_REMOTE_DAMAGED || rmnic_remote_recover_create(r))
			return &r->store;
		*why = "no memory for what servers say they have";
	}
	rmnic_store_remote_destroy(&r->store);
	return NULL;
}

void rmnic_store_remote_destroy(struct rmnic_store *store)
{
	struct rmnic_remote *r = to_remote(store);
	struct rmnic_env env;

	if (!r)
		return;
	env = r->cfg.env;
	rmnic_rmp_client_destroy(r->client);
	rmnic_remote_recover_destroy(r);
	rmnic_remote_scrub_destroy(r);
	rmnic_remote_repair_destroy(r);
	rmnic_remote_spill_destroy(r);
	env.ops->free(env.arg, r->tell);
	env.ops->free(env.arg, r->copies);
	env.ops->free(env.arg, r->writing);
	env.ops->free(env.arg, r->ops);
	env.ops->free(env.arg, r->holders);
	env.ops->free(env.arg, r->peers);
	env.ops->free(env.arg, r->slabs);
	env.ops->free(env.arg, r);
}

struct rmnic_rmp_client *rmnic_store_remote_client(struct rmnic_store *store)
{
	return to_remote(store)->client;
}

enum rmnic_remote_status rmnic_store_remote_status(const struct rmnic_store *store,
						   uint64_t *reserved)
{
	const struct rmnic_remote *r = to_remote(store);

	if (reserved)
		*reserved = rmnic_remote_placed(r) * r->state.slab_pages;
	return r->status;
}

const struct rmnic_remote_counters *rmnic_store_remote_counters(const struct rmnic_store *store)
{
	return &to_remote(store)->remote;
}

bool rmnic_store_remote_reserve(struct rmnic_store *store, uint64_t pages)
{
	struct rmnic_remote *r = to_remote(store);

	if (pages > r->state.npages)
		return false;
	rmnic_remote_want(r, slabs_of(r, pages));
	return true;
}

bool rmnic_store_remote_missing(const struct rmnic_store *store, uint8_t server[16])
{
	const struct rmnic_remote_holder *h = rmnic_remote_missing(to_remote(store));

	if (h)
		memcpy(server, h->uuid, 16);
	return h != NULL;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* When the store's own affairs, beside the client's, are to go on. */
static uint64_t own_due(const struct rmnic_remote *r)
{
	uint64_t now = rmnic_env_now(&r->cfg.env), due = rmnic_remote_tell_due(r);

	if (r->status == RMNIC_REMOTE_NO_SPACE || r->status == RMNIC_REMOTE_RELEASING)
		due = sooner(due, r->retry_at);
	else if ((r->status == RMNIC_REMOTE_STARTING || r->status == RMNIC_REMOTE_GROWING) &&
		 r->meet_until > now)
		due = sooner(due, r->meet_until);
	if (r->status == RMNIC_REMOTE_STARTING && r->created + RMNIC_REMOTE_GREET_NS > now)
		due = sooner(due, r->created + RMNIC_REMOTE_GREET_NS);
	if (r->sweep_after > now)
		due = sooner(due, r->sweep_after);
	if (r->status >= RMNIC_REMOTE_RELEASING)
		return due;
	due = sooner(due, r->look ? 0 : r->look_at);
	due = sooner(due, rmnic_remote_views_due(r));
	due = sooner(due, rmnic_remote_repair_due(r));
	due = sooner(due, rmnic_remote_unspill_due(r));
	due = sooner(due, rmnic_remote_scrub_due(r));
	return sooner(due, rmnic_remote_recover_due(r));
}

uint64_t rmnic_store_remote_deadline(const struct rmnic_store *store)
{
	const struct rmnic_remote *r = to_remote(store);

	return sooner(rmnic_rmp_client_deadline(r->client), own_due(r));
}

uint64_t rmnic_store_remote_free_pages(const struct rmnic_store *store, uint32_t peer)
{
	return to_remote(store)->peers[peer].free_pages;
}
