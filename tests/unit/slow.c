/* SPDX-License-Identifier: BSD-3-Clause */
#include "slow.h"

#include <stdlib.h>
#include <string.h>

#include "rmnic/device.h"

static struct slow *to_slow(const struct rmnic_store *store)
{
	return (struct slow *)(uintptr_t)store;
}

static uint16_t keep(struct rmnic_store *store, struct rmnic_page_op *op, bool out)
{
	struct slow *slow = to_slow(store);

	if (slow->pending == SLOW_MAX)
		abort();
	slow->out[slow->pending] = out;
	slow->ops[slow->pending++] = op;
	return RMNIC_STORE_PENDING;
}

static uint16_t slow_page_out(struct rmnic_store *store, struct rmnic_page_op *op)
{
	return keep(store, op, true);
}

static uint16_t slow_page_in(struct rmnic_store *store, struct rmnic_page_op *op)
{
	return keep(store, op, false);
}

static void take(struct slow *slow, unsigned int i)
{
	slow->pending--;
	memmove(&slow->ops[i], &slow->ops[i + 1], (slow->pending - i) * sizeof(slow->ops[0]));
	memmove(&slow->out[i], &slow->out[i + 1], (slow->pending - i) * sizeof(slow->out[0]));
}

static void slow_cancel(struct rmnic_store *store, struct rmnic_page_op *op)
{
	struct slow *slow = to_slow(store);

	for (unsigned int i = 0; i < slow->pending; i++) {
		if (slow->ops[i] == op) {
			take(slow, i);
			slow->cancelled++;
			return;
		}
	}
	abort(); /* the engine cancels what it did not start */
}

void slow_answer(struct slow *slow, unsigned int i, uint16_t status)
{
	struct rmnic_page_op *op = slow->ops[i];

	if (i >= slow->pending)
		abort();
	if (!slow->out[i] && status == RMNIC_SC_OK)
		memset(op->data, (int)(op->rpn & 0xff), RMNIC_PAGE_SIZE);
	take(slow, i);
	op->done(op, status);
}

void slow_answer_all(struct slow *slow)
{
	while (slow->pending)
		slow_answer(slow, 0, RMNIC_SC_OK);
}

static uint16_t slow_free(struct rmnic_store *store, uint64_t rpn, uint32_t n)
{
	(void)rpn;
	if (to_slow(store)->free_status == RMNIC_SC_OK)
		to_slow(store)->freed += n;
	return to_slow(store)->free_status;
}

static uint16_t slow_flush(struct rmnic_store *store)
{
	to_slow(store)->flushed++;
	return to_slow(store)->flush_status;
}

static void slow_counters(const struct rmnic_store *store, struct rmnic_store_counters *out)
{
	(void)store;
	memset(out, 0, sizeof(*out));
}

static void slow_settle(struct rmnic_store *store, uint64_t rpn, uint64_t n)
{
	to_slow(store)->settled++;
	to_slow(store)->settled_rpn = rpn;
	to_slow(store)->settled_pages = n;
}

static bool slow_idle(struct rmnic_store *store)
{
	to_slow(store)->idled++;
	return false;
}

static const struct rmnic_store_ops slow_ops = {
	.page_out = slow_page_out,
	.page_in = slow_page_in,
	.cancel = slow_cancel,
	.idle = slow_idle,
	.free = slow_free,
	.zero = slow_free,
	.flush = slow_flush,
	.counters = slow_counters,
	.settle = slow_settle,
};

void slow_init(struct slow *slow)
{
	memset(slow, 0, sizeof(*slow));
	slow->store.ops = &slow_ops;
}
