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

static uint64_t end_now(void *arg)
{
	const struct memnet_end *end = arg;

	return end->net->now + end->skew;
}

static uint64_t end_random(void *arg)
{
	return memnet_random(((struct memnet_end *)arg)->net);
}

static void *end_alloc(void *arg, size_t bytes)
{
	return env_alloc(((struct memnet_end *)arg)->net, bytes);
}

static void end_free(void *arg, void *memory)
{
	env_free(((struct memnet_end *)arg)->net, memory);
}

struct rmnic_env memnet_env_of(struct memnet *net, unsigned int end)
{
	static const struct rmnic_env_ops ops = { end_now, end_random, end_alloc, end_free };

	return (struct rmnic_env){ &ops, &net->ends[end] };
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
	p->queued = true;
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
	top->queued = false;
	return top;
}

/* A word of each cache line: whoever writes a page writes all of it. */
static uint64_t sum(const void *data, uint32_t len)
{
	const uint8_t *at = data;
	uint64_t total = 0, word;

	for (uint32_t i = 0; i + 8 <= len; i += 64) {
		memcpy(&word, at + i, 8);
		total += word * (i | 1);
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
	p->queued = false;
	p->sent = net->now;
	p->sum = tx->data_len ? sum(tx->data, tx->data_len) : 0;
	p->net = net;
	p->corrupt = memnet_chance(net, net->faults.corrupt);
	p->congestion = memnet_chance(net, net->faults.mark);
	p->handed = false;
	p->at = net->now + net->faults.delay_ns + net->ends[from].slow_ns;
	if (net->faults.jitter_ns)
		p->at += memnet_random(net) % net->faults.jitter_ns;
	if (memnet_chance(net, net->faults.reorder))
		p->at += net->faults.late_ns;
	memcpy(p->bytes, tx->head, tx->head_len);
	return p;
}

/* Its descriptor may stay in the sender's ring for a while. */
static void put(struct memnet *net, struct memnet_packet *p)
{
	struct memnet_end *from = &net->ends[p->from];
	struct memnet_packet *oldest;

	if (net->keep_old) {
		oldest = from->old[from->nold % MEMNET_OLD];
		from->old[from->nold++ % MEMNET_OLD] = p;
		p = oldest;
	}
	if (p)
		net->spare[net->nspare++] = p;
}

static void drop(struct memnet *net, struct memnet_packet *p)
{
	memnet_bytes(p);
	put(net, p);
	net->lost++;
}

/* When it arrives over real cables. False: the port's buffer is full. */
static bool over_ports(struct memnet *net, struct memnet_packet *p)
{
	struct memnet_end *from = &net->ends[p->from], *to = &net->ends[p->to];
	uint64_t ns = (p->len + 66) * UINT64_C(8000000000) / net->ports.bps, arrives;

	from->tx_free = (from->tx_free > net->now ? from->tx_free : net->now) + ns;
	arrives = from->tx_free + net->faults.delay_ns;
	if (to->rx_free > arrives &&
	    (to->rx_free - arrives) * (net->ports.bps / 1000) / UINT64_C(8000000) + p->len >
		    net->ports.buffer) {
		net->ports.overflows++;
		return false;
	}
	to->rx_free = (to->rx_free > arrives ? to->rx_free : arrives) + ns;
	net->ports.through++;
	p->at = to->rx_free;
	return true;
}

/* Whether the end's own cable has taken all that it can for now. */
static bool tx_full(const struct memnet *net, const struct memnet_end *end)
{
	return net->ports.bps && end->tx_free > net->now &&
	       (end->tx_free - net->now) * (net->ports.bps / 1000) / UINT64_C(8000000) >
		       net->ports.tx_ring;
}

static unsigned int find_end(const struct memnet *net, const struct rmnic_addr *to)
{
	for (unsigned int i = 0; i < net->nends; i++)
		if (!memcmp(net->ends[i].addr.ip, to->ip, 16))
			return i;
	return MEMNET_ENDS;
}

/* Adds tx to the datagram that its end sent last, just now and the same way. False: it has to go alone. */
static bool join(struct memnet_end *end, unsigned int target, enum rmnic_lane lane, const struct rmnic_tx *tx)
{
	struct memnet_packet *p = end->open;

	if (!p || !tx->join || tx->data || !p->queued || p->from != end->index || p->sent != end->net->now ||
	    p->to != target || p->lane != lane || !p->copied || p->len + tx->head_len > tx->join)
		return false;
	memcpy(p->bytes + p->len, tx->head, tx->head_len);
	p->len += tx->head_len;
	end->net->joined++;
	return true;
}

static bool net_send(void *arg, enum rmnic_lane lane, const struct rmnic_addr *to,
		     const struct rmnic_tx *tx)
{
	struct memnet_end *end = arg;
	struct memnet *net = end->net;
	unsigned int target = find_end(net, to);
	struct memnet_packet *p;

	if (memnet_chance(net, net->faults.refuse) || end->starved_until > net->now ||
	    tx_full(net, end))
		return false;
	net->sent++;
	if (net->join && join(end, target, lane, tx))
		return true;
	p = make(net, end->index, target, lane, tx);
	if (net->filter && !net->filter(net->filter_arg, p)) {
		memnet_bytes(p);
		net->spare[net->nspare++] = p; /* it never was in the sender's ring: see put() */
		net->lost++;
		return true;
	}
	if (target == MEMNET_ENDS || memnet_chance(net, net->faults.loss) || p->len > net->mtu - 28 ||
	    (net->ports.bps && !over_ports(net, p))) {
		drop(net, p);
		return true;
	}
	push(net, p);
	end->open = tx->join ? p : NULL;
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

void memnet_note(struct memnet *net, uint64_t what)
{
	net->hash = (net->hash ^ what) * 0x100000001b3ull;
}

/* Whether it is handed to the end's process now. */
static bool arrives(struct memnet *net, struct memnet_packet *p)
{
	struct memnet_end *to = &net->ends[p->to];

	if (!to->up || net->cut[p->from][p->to] || to->starved_until > net->now) {
		net->lost++;
		put(net, p);
		return false;
	}
	if (to->frozen) {
		if (to->ninbox == MEMNET_INBOX) {
			net->lost++;
			put(net, p);
		} else {
			to->inbox[to->ninbox++] = p;
		}
		return false;
	}
	if (!p->handed && memnet_chance(net, net->faults.handover)) {
		p->handed = true;
		p->at = net->now + 1000 + memnet_random(net) % 50000;
		push(net, p);
		return false;
	}
	return true;
}

bool memnet_deliver(struct memnet *net)
{
	struct memnet_packet *p;
	struct memnet_end *to;
	struct rmnic_rx rx;

	if (!net->count)
		return false;
	p = pop(net);
	if (p->at > net->now)
		net->now = p->at;
	memnet_bytes(p);
	if (!arrives(net, p))
		return true;
	to = &net->ends[p->to];
	if (p->corrupt)
		p->bytes[memnet_random(net) % p->len] ^= (uint8_t)(1u << memnet_random(net) % 8);
	p->corrupt = false;
	rx = (struct rmnic_rx){ .from = net->ends[p->from].addr,
				.lane = p->lane,
				.congestion = p->congestion,
				.data = p->bytes,
				.len = p->len };
	net->delivered++;
	to->received++;
	memnet_note(net, net->now);
	memnet_note(net, p->from << 16 | p->to << 8 | p->bytes[1]);
	memnet_note(net, p->len);
	to->rx(to->arg, &rx);
	put(net, p);
	return true;
}

void memnet_thaw(struct memnet *net, unsigned int end)
{
	struct memnet_end *e = &net->ends[end];

	e->frozen = false;
	for (unsigned int i = 0; i < e->ninbox; i++) {
		e->inbox[i]->at = net->now;
		push(net, e->inbox[i]);
	}
	e->ninbox = 0;
}

void memnet_replay(struct memnet *net, unsigned int end)
{
	struct memnet_end *e = &net->ends[end];

	for (unsigned int i = 0; i < MEMNET_OLD; i++) {
		struct memnet_packet *p = e->old[(e->nold + i) % MEMNET_OLD];

		if (!p)
			continue;
		e->old[(e->nold + i) % MEMNET_OLD] = NULL;
		p->seq = net->seq++;
		p->at = net->now + net->faults.delay_ns;
		if (p->len > net->mtu - 28)
			net->spare[net->nspare++] = p; /* no path has carried it, nor does now */
		else
			push(net, p);
	}
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
	net->keep_old = false;
	while (net->count)
		drop(net, pop(net));
	free(net->memory);
	free(net->all);
}
