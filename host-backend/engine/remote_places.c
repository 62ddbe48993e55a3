/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/remote_places.h"

#include <string.h>

static bool is_zeros(const struct rmnic_spill_place *place)
{
	static const struct rmnic_spill_record zeros;

	return !memcmp(&place->record, &zeros, sizeof(zeros));
}

static void place_read(struct rmnic_remote_spill_op *op)
{
	struct rmnic_remote_places *p = op->arg;
	struct rmnic_remote_place *at = &p->place[op->rpn - p->rpn];

	at->version = op->version;
	if (op->status == RMNIC_SC_UNREACHABLE)
		at->state = RMNIC_PLACE_UNREAD;
	else if (op->version) /* its record is right; whether its bytes are is for who reads the page */
		at->state = RMNIC_PLACE_RIGHT;
	else
		at->state = is_zeros(op->place) ? RMNIC_PLACE_EMPTY : RMNIC_PLACE_TORN;
	p->unread |= at->state == RMNIC_PLACE_UNREAD;
	p->pending--;
}

bool rmnic_remote_places_create(struct rmnic_remote_places *p, struct rmnic_remote *r)
{
	const struct rmnic_env *env = &r->cfg.env;

	p->store = r;
	p->data = env->ops->alloc(env->arg, sizeof(*p->data) * RMNIC_PLACES_AT_ONCE);
	for (int i = 0; p->data && i < RMNIC_PLACES_AT_ONCE; i++) {
		p->op[i].store = r;
		p->op[i].place = &p->data[i];
		p->op[i].done = place_read;
		p->op[i].arg = p;
	}
	return p->data != NULL;
}

void rmnic_remote_places_destroy(struct rmnic_remote_places *p)
{
	if (p->data)
		p->store->cfg.env.ops->free(p->store->cfg.env.arg, p->data);
}

void rmnic_remote_places_begin(struct rmnic_remote_places *p, uint64_t rpn, uint32_t pages)
{
	p->rpn = rpn;
	p->pages = pages;
	p->next = 0;
	p->unread = false;
}

bool rmnic_remote_places_next(struct rmnic_remote_places *p)
{
	if (p->next == p->pages)
		return false;
	for (int i = 0; i < RMNIC_PLACES_AT_ONCE && p->next < p->pages; i++) {
		struct rmnic_remote_spill_op *op = &p->op[i];

		op->rpn = p->rpn + p->next;
		op->version = 0;
		p->pending++; /* it may end at once */
		p->next++;
		if (rmnic_remote_spill_read(op))
			continue;
		op->status = RMNIC_SC_UNREACHABLE; /* too much is under way: another time */
		place_read(op);
	}
	return true;
}
