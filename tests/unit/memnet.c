/* SPDX-License-Identifier: BSD-3-Clause */
#include "memnet.h"

#include <stdlib.h>
#include <string.h>

/* Ethernet, IPv4 and UDP come before RMP in a frame: the payload then is aligned to 8. */
#define FRAME_HEAD 42

uint64_t memnet_random(struct memnet *net)
{
	uint64_t z = net->seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

bool memnet_chance(struct memnet *net, unsigned int permille)
{
	return permille && memnet_random(net) % 1000 < permille;
}

/* --- What the engine is given ------------------------------------------------------------ */

static uint64_t env_now(void *arg)
{
	return ((struct memnet *)arg)->now;
}

static uint64_t env_random(void *arg)
{
	return memnet_random(arg);
}

static void *env_alloc(void *arg, size_t bytes)
{
	struct memnet *net = arg;
	void *p;

	if (net->fail_alloc && !--net->fail_alloc)
		return NULL;
	p = aligned_alloc(64, (bytes + 64) / 64 * 64);
	if (!p)
		return NULL;
	memset(p, 0, bytes);
	net->allocations++;
	return p;
}

static void env_free(void *arg, void *memory)
{
	if (!memory)
		return;
	((struct memnet *)arg)->allocations--;
	free(memory);
}

struct rmnic_env memnet_env(struct memnet *net)
{
	static const struct rmnic_env_ops ops = { env_now, env_random, env_alloc, env_free };

	return (struct rmnic_env){ &ops, net };
}

/* --- Packets --------------------------------------------------------------------------------- */

static bool before(const struct memnet_packet *a, const struct memnet_packet *b)
{
	return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

static void push(struct memnet *net, struct memnet_packet *p)
{
	unsigned int i = ++net->count;

	for (; i > 1 && before(p, net->heap[i / 2]); i /= 2)
		net->heap[i] = net->heap[i / 2];
	net->heap[i] = p;
}

static struct memnet_packet *pop(struct memnet *net)
{
	struct memnet_packet *top = net->heap[1], *last = net->heap[net->count--];
	unsigned int i = 1, child;

	for (; (child = 2 * i) <= net->count; i = child) {
		child += child < net->count && before(net->heap[child + 1], net->heap[child]);
		if (!before(net->heap[child], last))
			break;
		net->heap[i] = net->heap[child];
	}
	if (net->count)
		net->heap[i] = last;
	return top;
}

static uint64_t sum(const void *data, uint32_t len)
{
	const uint8_t *at = data;
	uint64_t total = 0, word;

	for (; len >= 8; at += 8, len -= 8) {
		memcpy(&word, at, 8);
		total = (total ^ word) * 0x9e3779b97f4a7c15ull;
	}
	return total;
}

void memnet_bytes(struct memnet_packet *p)
{
	if (p->copied)
		return;
	p->copied = true;
	memcpy(p->bytes + p->tx.head_len, p->tx.data, p->tx.data_len);
	p->net->changed += sum(p->bytes + p->tx.head_len, p->tx.data_len) != p->sum;
	if (p->tx.release)
		p->tx.release(p->tx.release_arg);
}

static struct memnet_packet *make(struct memnet *net, unsigned int from, unsigned int to,
				  enum rmnic_lane lane, const struct rmnic_tx *tx)
{
	struct memnet_packet *p;

	if (!net->nspare)
		abort(); /* a test sends more than it was made for */
	p = net->spare[--net->nspare];
	p->seq = net->seq++;
	p->from = from;
	p->to = to;
	p->lane = lane;
	p->tx = *tx;
	p->len = tx->head_len + tx->data_len;
	p->copied = !tx->data_len;
	p->sum = tx->data_len ? sum(tx->data, tx->data_len) : 0;
	p->net = net;
	p->corrupt = memnet_chance(net, net->faults.corrupt);
	p->congestion = memnet_chance(net, net->faults.mark);
	p->at = net->now + net->faults.delay_ns;
	if (net->faults.jitter_ns)
		p->at += memnet_random(net) % net->faults.jitter_ns;
	if (memnet_chance(net, net->faults.reorder))
		p->at += net->faults.late_ns;
	memcpy(p->bytes, tx->head, tx->head_len);
	return p;
}

static void drop(struct memnet *net, struct memnet_packet *p)
{
	memnet_bytes(p);
	net->spare[net->nspare++] = p;
	net->lost++;
}

static unsigned int find_end(const struct memnet *net, const struct rmnic_addr *to)
{
	for (unsigned int i = 0; i < net->nends; i++)
		if (!memcmp(net->ends[i].addr.ip, to->ip, 16))
			return i;
	return MEMNET_ENDS;
}

static bool net_send(void *arg, enum rmnic_lane lane, const struct rmnic_addr *to,
		     const struct rmnic_tx *tx)
{
	struct memnet_end *end = arg;
	struct memnet *net = end->net;
	unsigned int target = find_end(net, to);
	struct memnet_packet *p;

	if (memnet_chance(net, net->faults.refuse))
		return false;
	net->sent++;
	p = make(net, end->index, target, lane, tx);
	if (target == MEMNET_ENDS || memnet_chance(net, net->faults.loss) ||
	    p->len > net->mtu - 28 || (net->filter && !net->filter(net->filter_arg, p))) {
		drop(net, p);
		return true;
	}
	push(net, p);
	if (memnet_chance(net, net->faults.duplicate)) {
		struct rmnic_tx again = { .head = p->bytes, .head_len = p->len };

		memnet_bytes(p);
		push(net, make(net, end->index, target, lane, &again));
	}
	return true;
}

struct rmnic_net memnet_net(struct memnet *net, unsigned int end)
{
	static const struct rmnic_net_ops ops = { net_send };

	return (struct rmnic_net){ &ops, &net->ends[end] };
}

uint64_t memnet_next(const struct memnet *net)
{
	return net->count ? net->heap[1]->at : UINT64_MAX;
}

static void hash_in(struct memnet *net, uint64_t v)
{
	net->hash = (net->hash ^ v) * 0x100000001b3ull;
}

bool memnet_deliver(struct memnet *net)
{
	struct memnet_packet *p;
	struct memnet_end *to;

	if (!net->count)
		return false;
	p = pop(net);
	if (p->at > net->now)
		net->now = p->at;
	memnet_bytes(p);
	to = &net->ends[p->to];
	if (p->corrupt)
		p->bytes[memnet_random(net) % p->len] ^= (uint8_t)(1u << memnet_random(net) % 8);
	if (to->up && !net->cut[p->from][p->to]) {
		struct rmnic_rx rx = { .from = net->ends[p->from].addr,
				       .lane = p->lane,
				       .congestion = p->congestion,
				       .data = p->bytes,
				       .len = p->len };

		net->delivered++;
		hash_in(net, net->now);
		hash_in(net, p->from << 16 | p->to << 8 | p->bytes[1]);
		hash_in(net, p->len);
		to->rx(to->arg, &rx);
	} else {
		net->lost++;
	}
	net->spare[net->nspare++] = p;
	return true;
}

void memnet_settle(struct memnet *net, unsigned int end)
{
	for (unsigned int i = 1; i <= net->count; i++)
		if (net->heap[i]->from == end)
			memnet_bytes(net->heap[i]);
}

/* --- Setting up --------------------------------------------------------------------------------- */

unsigned int memnet_add(struct memnet *net, uint8_t ip,
			void (*rx)(void *arg, const struct rmnic_rx *rx), void *arg)
{
	struct memnet_end *e = &net->ends[net->nends];

	e->addr.ip[10] = e->addr.ip[11] = 0xff;
	e->addr.ip[12] = 10;
	e->addr.ip[15] = ip;
	e->up = true;
	e->rx = rx;
	e->arg = arg;
	e->net = net;
	e->index = net->nends;
	return net->nends++;
}

void memnet_init(struct memnet *net, uint64_t seed)
{
	memset(net, 0, sizeof(*net));
	net->seed = seed;
	net->now = 1000000000;
	net->mtu = 9000;
	net->faults.delay_ns = 5000;
	net->all = calloc(MEMNET_PACKETS, sizeof(*net->all));
	net->memory = aligned_alloc(64, (size_t)MEMNET_PACKETS * MEMNET_BYTES);
	if (!net->all || !net->memory)
		abort();
	for (unsigned int i = 0; i < MEMNET_PACKETS; i++) {
		net->all[i].bytes = net->memory + (size_t)i * MEMNET_BYTES + FRAME_HEAD;
		net->spare[net->nspare++] = &net->all[i];
	}
}

void memnet_fini(struct memnet *net)
{
	while (net->count)
		drop(net, pop(net));
	free(net->memory);
	free(net->all);
}
