/* SPDX-License-Identifier: BSD-3-Clause */
/* The neighbour table: open addressing over a few slots, lock-free. */
#include "dpdk/neighbour.h"

#include <stddef.h>

#define PROBES 16u
#define QUICK_QUESTIONS 5u

static struct rmnic_neighbour *slot(struct rmnic_neighbours *n, uint32_t ip, uint32_t i)
{
	return &n->entry[(ip * 2654435761u + i) % RMNIC_NEIGHBOURS];
}

static struct rmnic_neighbour *find(struct rmnic_neighbours *n, uint32_t ip)
{
	for (uint32_t i = 0; i < PROBES; i++) {
		struct rmnic_neighbour *e = slot(n, ip, i);

		/* Pairs with the release in claim(): its hardware address is not the last owner's. */
		if (atomic_load_explicit(&e->ip, memory_order_acquire) == ip)
			return e;
	}
	return NULL;
}

/* A slot for ip: a free one, or that of whoever was not sent to for the longest time. */
static struct rmnic_neighbour *claim(struct rmnic_neighbours *n, uint32_t ip, uint64_t now)
{
	struct rmnic_neighbour *victim = slot(n, ip, 0);
	uint32_t old;

	for (uint32_t i = 0; i < PROBES; i++) {
		struct rmnic_neighbour *e = slot(n, ip, i);

		if (atomic_load_explicit(&e->ip, memory_order_relaxed) == 0) {
			victim = e;
			break;
		}
		if (atomic_load_explicit(&e->used, memory_order_relaxed) <
		    atomic_load_explicit(&victim->used, memory_order_relaxed))
			victim = e;
	}
	old = atomic_load_explicit(&victim->ip, memory_order_relaxed);
	atomic_store_explicit(&victim->mac, 0, memory_order_relaxed);
	atomic_store_explicit(&victim->asked, 0, memory_order_relaxed);
	atomic_store_explicit(&victim->questions, 0, memory_order_relaxed);
	atomic_store_explicit(&victim->used, now, memory_order_relaxed);
	/* Pairs with the acquire in find(). Who loses the race tries again with the next frame. */
	if (!atomic_compare_exchange_strong_explicit(&victim->ip, &old, ip, memory_order_release,
						     memory_order_relaxed))
		return NULL;
	return victim;
}

static uint64_t pause_of(struct rmnic_neighbour *e)
{
	return atomic_load_explicit(&e->questions, memory_order_relaxed) < QUICK_QUESTIONS
		       ? RMNIC_NEIGHBOUR_ASK_NS
		       : RMNIC_NEIGHBOUR_SLOW_NS;
}

/* True for one caller only, so that lcores do not ask in chorus. */
static bool may_ask(struct rmnic_neighbour *e, uint64_t now)
{
	uint64_t asked = atomic_load_explicit(&e->asked, memory_order_relaxed);

	if (asked != 0 && now < asked + pause_of(e))
		return false;
	if (!atomic_compare_exchange_strong_explicit(&e->asked, &asked, now, memory_order_relaxed,
						     memory_order_relaxed))
		return false;
	atomic_fetch_add_explicit(&e->questions, 1, memory_order_relaxed);
	return true;
}

struct rmnic_route_answer rmnic_neighbour_lookup(struct rmnic_neighbours *n, uint32_t ip,
						 uint64_t now)
{
	struct rmnic_neighbour *e = find(n, ip);
	struct rmnic_route_answer answer = { 0 };
	uint64_t age, heard;

	if (!e)
		e = claim(n, ip, now);
	if (!e)
		return answer;
	atomic_store_explicit(&e->used, now, memory_order_relaxed);
	answer.mac = atomic_load_explicit(&e->mac, memory_order_relaxed);
	/* Another lcore's clock may be a round ahead of this one's. */
	heard = atomic_load_explicit(&e->confirmed, memory_order_relaxed);
	age = now > heard ? now - heard : 0;
	if (answer.mac && age < RMNIC_NEIGHBOUR_FRESH_NS)
		return answer;
	/* Asked at its old address at first, as the kernel does; then whoever has it now. */
	answer.to = age < RMNIC_NEIGHBOUR_DEAD_NS / 2 ? answer.mac : 0;
	/* Who was not heard of because it was not asked is not gone: after a silence the first
	 * datagram need not wait for the answer. */
	if (age >= RMNIC_NEIGHBOUR_DEAD_NS &&
	    atomic_load_explicit(&e->questions, memory_order_relaxed) >= QUICK_QUESTIONS)
		answer.mac = 0;
	answer.ask = may_ask(e, now);
	if (answer.ask && !answer.mac)
		atomic_fetch_add_explicit(&n->waiting, 1, memory_order_relaxed);
	return answer;
}

bool rmnic_neighbour_learn(struct rmnic_neighbours *n, uint32_t ip, uint64_t mac, uint64_t now,
			   bool create)
{
	struct rmnic_neighbour *e = find(n, ip);
	bool news;

	if (!e && create)
		e = claim(n, ip, now);
	if (!e)
		return false;
	news = atomic_exchange_explicit(&e->mac, mac, memory_order_relaxed) != mac;
	atomic_store_explicit(&e->confirmed, now, memory_order_relaxed);
	atomic_store_explicit(&e->questions, 0, memory_order_relaxed);
	atomic_store_explicit(&e->asked, 0, memory_order_relaxed);
	return news;
}

void rmnic_neighbour_confirm(struct rmnic_neighbours *n, uint32_t ip, uint64_t mac, uint64_t now)
{
	struct rmnic_neighbour *e = find(n, ip);
	uint64_t known;

	if (!e)
		return;
	known = atomic_load_explicit(&e->mac, memory_order_relaxed);
	if (known == mac)
		atomic_store_explicit(&e->confirmed, now, memory_order_relaxed);
	else if (known)
		/* It moved, or one of the two lies: everybody is asked, soon. */
		atomic_store_explicit(&e->confirmed, now - RMNIC_NEIGHBOUR_DEAD_NS / 2,
				      memory_order_relaxed);
}

bool rmnic_neighbour_due(struct rmnic_neighbours *n, uint32_t *at, uint64_t now, uint32_t *ip)
{
	if (*at == 0)
		atomic_store_explicit(&n->waiting, 0, memory_order_relaxed);
	while (*at < RMNIC_NEIGHBOURS) {
		struct rmnic_neighbour *e = &n->entry[(*at)++];
		uint64_t used = atomic_load_explicit(&e->used, memory_order_relaxed);

		*ip = atomic_load_explicit(&e->ip, memory_order_acquire);
		if (*ip == 0 || atomic_load_explicit(&e->mac, memory_order_relaxed) != 0)
			continue;
		/* Nobody waits for it any more. */
		if (now > used + 2 * RMNIC_NEIGHBOUR_SLOW_NS)
			continue;
		atomic_fetch_add_explicit(&n->waiting, 1, memory_order_relaxed);
		if (may_ask(e, now))
			return true;
	}
	return false;
}
