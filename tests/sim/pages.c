/* SPDX-License-Identifier: BSD-3-Clause */
/* What pages look like, what may become of them, and which errors the faults excuse. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "rmnic/device.h"
#include "sim.h"

/* Every fifth content is a word that fills the page. */
void page_make(uint64_t *page, uint64_t content)
{
	bool fill = content % 5 == 0;

	for (unsigned int i = 0; i < RMNIC_PAGE_SIZE / 8; i++)
		page[i] = fill ? content << 32 | content : content << 32 | (i + 1);
}

/* False: it is a mixture of contents, or nothing that was ever written. */
static bool know_page(const uint64_t *page, uint64_t *content)
{
	uint64_t want[RMNIC_PAGE_SIZE / 8];

	*content = page[0] >> 32;
	page_make(want, *content);
	return !memcmp(page, want, sizeof(want));
}

/* Whether no server has one of those stores any more. */
static bool may_be_lost(const struct sim *s, uint64_t rpn)
{
	for (unsigned int i = 0; i < 4; i++)
		for (unsigned int k = 0; k < s->w.nservers; k++)
			if (s->w.servers[k].store && s->model.pages[rpn].held[i] &&
			    s->w.servers[k].store->store_id == s->model.pages[rpn].held[i])
				return false;
	return s->model.pages[rpn].held[0] != 0;
}

/* Which stores a page is in that was just acknowledged, or else may be in. */
void page_remember(struct sim *s, uint64_t rpn, bool acknowledged)
{
	struct rmnic_state_block block;
	struct rmnic_state_view v;

	if (!acknowledged && may_be_lost(s, rpn))
		return; /* it stays what it is */
	if (rmnic_state_attach(&block, s->w.state, s->w.state_size, s->w.cfg.device) ||
	    !rmnic_state_view_get(&block, rpn / CLUSTER_SLAB, &v))
		abort();
	for (unsigned int i = 0; i < 4; i++)
		s->model.pages[rpn].held[i] = i < v.members ? v.member[i].store_id : 0;
}

/* Members of the page's view whose server still has the store that the view names. */
unsigned int page_living(struct sim *s, uint64_t rpn)
{
	struct rmnic_state_block block;
	struct rmnic_state_view v;
	unsigned int n = 0;

	if (rmnic_state_attach(&block, s->w.state, s->w.state_size, s->w.cfg.device) ||
	    !rmnic_state_view_get(&block, rpn / CLUSTER_SLAB, &v))
		abort();
	for (unsigned int i = 0; i < v.members; i++)
		for (unsigned int k = 0; k < s->w.nservers; k++)
			n += s->w.servers[k].store &&
			     s->w.servers[k].store->store_id == v.member[i].store_id;
	return v.members ? n : s->w.cfg.replicas;
}

bool page_excused(struct sim *s, uint64_t rpn, bool out, uint16_t status)
{
	unsigned int alive = page_living(s, rpn);

	switch (status) {
	case RMNIC_SC_BUSY:
		return true;
	case RMNIC_SC_UNREACHABLE:
		/* A member without its store cannot take a write until the view changes. */
		return (s->faults && s->silences) || (out && alive < s->w.cfg.replicas);
	case RMNIC_SC_CORRUPT:
		return !out && s->net_faults.corrupt && s->faults;
	case RMNIC_SC_INDETERMINATE:
		return !out && s->model.pages[rpn].unknown;
	case RMNIC_SC_LOST:
		return !out && may_be_lost(s, rpn);
	default:
		return false;
	}
}

void page_check(struct sim *s, uint64_t rpn, const uint64_t *page)
{
	uint64_t content;

	if (!know_page(page, &content))
		sim_fail(s, "page %" PRIu64 " reads as a mixture or as nothing that was written", rpn);
	else if (!model_read(&s->model, rpn, content))
		sim_fail(s, "page %" PRIu64 " reads as content %" PRIu64 ", acknowledged was %" PRIu64,
			 rpn, content, s->model.pages[rpn].acked);
}
