/* SPDX-License-Identifier: BSD-3-Clause */
#include "net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA    (UINT64_C(64) << 40)
#define SMALL    256  /* bytes of most datagrams */
#define LARGE    9216
#define FRAMING  66   /* Ethernet, IPv4, UDP, preamble and gap */
#define ENDLESS  10000000 /* polls without any time going by */

static void give_up(const char *what)
{
	fprintf(stderr, "scale: %s\n", what);
	exit(2);
}

uint64_t scale_net_random(struct scale_net *net)
{
	uint64_t z = net->seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

/* --- What the engine is given ------------------------------------------------------------- */

void *scale_net_memory(struct scale_net *net, uint64_t bytes)
{
	void *p = net->arena + net->arena_used;

	net->arena_used += (bytes + 63) / 64 * 64;
	if (net->arena_used > ARENA)
		give_up("the fleet is larger than the address space kept for it: fewer or smaller servers");
	return p;
}

static uint64_t env_now(void *arg)
{
	return ((struct scale_end *)arg)->net->now;
}

static uint64_t env_random(void *arg)
{
	return scale_net_random(((struct scale_end *)arg)->net);
}

static void *env_alloc(void *arg, size_t bytes)
{
	struct scale_end *e = arg;

	e->allocated += bytes;
	return scale_net_memory(e->net, bytes);
}

static void env_free(void *arg, void *memory)
{
	(void)arg; /* all of it goes at the end */
	(void)memory;
}

struct rmnic_env scale_net_env(struct scale_net *net, uint32_t end)
{
	static const struct rmnic_env_ops ops = { env_now, env_random, env_alloc, env_free };

	return (struct rmnic_env){ &ops, &net->ends[end] };
}

/* --- Deliveries ------------------------------------------------------------------------------- */

static bool before(const struct scale_delivery *a, const struct scale_delivery *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void push(struct scale_net *net, struct scale_delivery d)
{
	uint32_t i;

	if (net->count + 2 > net->room) {
		net->room = net->room ? 2 * net->room : 1024;
		net->heap = realloc(net->heap, net->room * sizeof(*net->heap));
		if (!net->heap)
			give_up("no memory for datagrams");
	}
	for (i = ++net->count; i > 1 && before(&d, &net->heap[i / 2]); i /= 2)
		net->heap[i] = net->heap[i / 2];
	net->heap[i] = d;
}

static struct scale_packet *pop(struct scale_net *net)
{
	struct scale_packet *top = net->heap[1].packet;
	struct scale_delivery last = net->heap[net->count--];
	uint32_t i = 1, child;

	for (; (child = 2 * i) <= net->count; i = child) {
		child += child < net->count && before(&net->heap[child + 1], &net->heap[child]);
		if (!before(&net->heap[child], &last))
			break;
		net->heap[i] = net->heap[child];
	}
	if (net->count)
		net->heap[i] = last;
	return top;
}

static struct scale_packet *packet_get(struct scale_net *net, uint32_t len)
{
	bool large = len > SMALL;
	struct scale_packet *p = net->spare[large];

	if (p)
		net->spare[large] = p->next;
	else
		p = malloc(sizeof(*p) + (large ? LARGE : SMALL));
	if (!p || len > LARGE)
		give_up("no memory for a datagram");
	p->len = len;
	return p;
}

static uint32_t end_of(const struct scale_net *net, const struct rmnic_addr *a)
{
	uint32_t index = (uint32_t)a->ip[13] << 16 | (uint32_t)a->ip[14] << 8 | a->ip[15];

	return index < net->nends ? index : net->nends;
}

static bool net_send(void *arg, enum rmnic_lane lane, const struct rmnic_addr *to,
		     const struct rmnic_tx *tx)
{
	struct scale_end *from = arg, *target;
	struct scale_net *net = from->net;
	uint32_t len = tx->head_len + tx->data_len, index = end_of(net, to);
	uint64_t ns = (len + FRAMING) * UINT64_C(8000000000) / net->bps, arrives;
	struct scale_packet *p;

	if (index == net->nends)
		return false;
	target = &net->ends[index];
	p = packet_get(net, len);
	p->from = from->index;
	p->to = index;
	p->lane = lane;
	memcpy(p->bytes, tx->head, tx->head_len);
	if (tx->data_len)
		memcpy(p->bytes + tx->head_len, tx->data, tx->data_len);
	from->sent++;
	from->tx_free = (from->tx_free > net->now ? from->tx_free : net->now) + ns;
	arrives = from->tx_free + net->delay_ns;
	target->rx_free = (target->rx_free > arrives ? target->rx_free : arrives) + ns;
	push(net, (struct scale_delivery){ target->rx_free, net->seq++, p });
	if (tx->release)
		tx->release(tx->release_arg);
	return true;
}

struct rmnic_net scale_net_of(struct scale_net *net, uint32_t end)
{
	static const struct rmnic_net_ops ops = { net_send };

	return (struct rmnic_net){ &ops, &net->ends[end] };
}

static void deliver(struct scale_net *net)
{
	while (net->count && net->heap[1].at <= net->now) {
		struct scale_packet *p = pop(net);
		struct scale_end *to = &net->ends[p->to];
		struct rmnic_rx rx = { .from = net->ends[p->from].addr, .lane = p->lane,
				       .data = p->bytes, .len = p->len };

		if (to->up) {
			to->kind->rx(to->arg, &rx);
			scale_net_wake(net, p->to);
		}
		p->next = net->spare[p->len > SMALL];
		net->spare[p->len > SMALL] = p;
	}
}

/* --- Timers ------------------------------------------------------------------------------------ */

static void place(struct scale_net *net, uint32_t i, struct scale_end *e)
{
	net->timers[i] = e;
	e->place = i;
}

static void rise(struct scale_net *net, struct scale_end *e, uint32_t i)
{
	for (; i > 1 && net->timers[i / 2]->due > e->due; i /= 2)
		place(net, i, net->timers[i / 2]);
	place(net, i, e);
}

static void sink(struct scale_net *net, struct scale_end *e, uint32_t i)
{
	uint32_t child;

	for (; (child = 2 * i) <= net->ntimers; i = child) {
		child += child < net->ntimers && net->timers[child + 1]->due < net->timers[child]->due;
		if (net->timers[child]->due >= e->due)
			break;
		place(net, i, net->timers[child]);
	}
	place(net, i, e);
}

static void timer_set(struct scale_net *net, struct scale_end *e, uint64_t due)
{
	uint64_t old = e->due;
	uint32_t at = e->place;
	struct scale_end *last;

	e->due = due;
	if (at && due != UINT64_MAX) {
		if (due < old)
			rise(net, e, at);
		else
			sink(net, e, at);
	} else if (at) {
		e->place = 0;
		last = net->timers[net->ntimers--];
		if (last == e)
			return;
		if (at > 1 && net->timers[at / 2]->due > last->due)
			rise(net, last, at);
		else
			sink(net, last, at);
	} else if (due != UINT64_MAX) {
		rise(net, e, ++net->ntimers);
	}
}

/* --- Time ---------------------------------------------------------------------------------------- */

void scale_net_wake(struct scale_net *net, uint32_t end)
{
	struct scale_end *e = &net->ends[end];

	if (e->awake || !e->up)
		return;
	e->awake = true;
	net->awake[(net->awake_head + net->awake_count++) % net->max_ends] = end;
}

void scale_net_cut(struct scale_net *net, uint32_t end)
{
	net->ends[end].up = false;
	timer_set(net, &net->ends[end], UINT64_MAX);
}

/* Everybody who has something to do does it; what has arrived came before (RMP-29). */
static void settle(struct scale_net *net)
{
	while (net->awake_count) {
		struct scale_end *e = &net->ends[net->awake[net->awake_head]];
		bool more;

		net->awake_head = (net->awake_head + 1) % net->max_ends;
		net->awake_count--;
		e->awake = false;
		if (!e->up)
			continue;
		more = e->kind->poll(e->arg);
		e->polls++;
		if (++net->rounds > ENDLESS)
			give_up("somebody has something to do for ever, and no time goes by");
		if (more)
			scale_net_wake(net, e->index);
		else
			timer_set(net, e, e->kind->deadline(e->arg));
	}
}

bool scale_net_step(struct scale_net *net, uint64_t until)
{
	uint64_t next, timer;

	deliver(net);
	settle(net);
	next = net->count ? net->heap[1].at : UINT64_MAX;
	timer = net->ntimers ? net->timers[1]->due : UINT64_MAX;
	if (timer < next)
		next = timer;
	if (next > until) {
		net->now = until;
		return false;
	}
	if (next > net->now) {
		net->now = next;
		net->rounds = 0;
	}
	deliver(net);
	while (net->ntimers && net->timers[1]->due <= net->now) {
		uint32_t end = net->timers[1]->index;

		timer_set(net, net->timers[1], UINT64_MAX);
		scale_net_wake(net, end);
	}
	settle(net);
	return true;
}

/* --- Setting up ------------------------------------------------------------------------------------ */

uint32_t scale_net_add(struct scale_net *net, const struct scale_kind *kind, void *arg)
{
	struct scale_end *e = &net->ends[net->nends];

	if (net->nends == net->max_ends)
		give_up("more ends than the network was made for");
	e->net = net;
	e->kind = kind;
	e->arg = arg;
	e->index = net->nends;
	e->up = true;
	e->due = UINT64_MAX;
	e->addr.ip[10] = e->addr.ip[11] = 0xff;
	e->addr.ip[12] = 10;
	e->addr.ip[13] = (uint8_t)(e->index >> 16);
	e->addr.ip[14] = (uint8_t)(e->index >> 8);
	e->addr.ip[15] = (uint8_t)e->index;
	return net->nends++;
}

void scale_net_init(struct scale_net *net, uint64_t seed, uint32_t max_ends)
{
	memset(net, 0, sizeof(*net));
	net->seed = seed;
	net->now = 1000000000;
	net->delay_ns = 5000;
	net->bps = UINT64_C(25000000000);
	net->max_ends = max_ends;
	net->arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (net->arena == MAP_FAILED)
		give_up("the system gives no address space of 64 TiB (vm.overcommit_memory=2, or a limit on "
			"address space: 'ulimit -v')");
	/* Huge pages would make a page that is written to 2 MiB of memory. */
	madvise(net->arena, ARENA, MADV_NOHUGEPAGE);
	net->ends = calloc(max_ends, sizeof(*net->ends));
	net->timers = calloc(max_ends + 1, sizeof(struct scale_end *));
	net->awake = calloc(max_ends, sizeof(*net->awake));
	if (!net->ends || !net->timers || !net->awake)
		give_up("no memory for the network");
}

void scale_net_fini(struct scale_net *net)
{
	while (net->count)
		free(pop(net));
	for (int i = 0; i < 2; i++)
		while (net->spare[i]) {
			struct scale_packet *p = net->spare[i];

			net->spare[i] = p->next;
			free(p);
		}
	munmap(net->arena, ARENA);
	free(net->heap);
	free(net->ends);
	free(net->timers);
	free(net->awake);
}
