/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages at rest in a memory server are looked at from time to time (RMP-40). */
#include "engine/memstore.h"
#include "engine/page.h"
#include "engine/rmp_codec.h"

#define CONTENT  (RMNIC_RMP_PAGE_STORED | RMNIC_RMP_PAGE_FILLED)
#define LOOK_MAX 2048 /* entries passed over in one call: slabs may be empty */

static bool is_good(const struct rmnic_memstore *ms, const struct rmnic_mem_slab *s, uint64_t rpn)
{
	const struct rmnic_page_meta *m = rmnic_mem_page(s, rpn);
	const uint8_t *uuid = ms->devices[s->device].uuid;
	uint64_t version = m->vstate >> RMNIC_RMP_VERSION_SHIFT;
	uint32_t crc;

	if (m->vstate & RMNIC_RMP_PAGE_FILLED)
		return rmnic_rmp_fill_crc(&ms->crc, m->body, uuid, rpn, version) == m->crc;
	crc = rmnic_crc32c_update(&ms->crc, 0, rmnic_frame_data(ms->frames, m->body),
				  RMNIC_PAGE_SIZE);
	return rmnic_page_seal(&ms->crc, crc, uuid, rpn, version) == m->crc;
}

bool rmnic_mem_check(struct rmnic_memstore *ms, struct rmnic_mem_slab *s, uint64_t rpn)
{
	struct rmnic_page_meta *m = rmnic_mem_page(s, rpn);

	if (m->vstate & RMNIC_RMP_PAGE_BAD)
		return false;
	if (!(m->vstate & CONTENT) || is_good(ms, s, rpn))
		return true;
	/* Its version stays: what is older than the page that was here is refused as before. */
	m->vstate |= RMNIC_RMP_PAGE_BAD;
	ms->bad++;
	ms->damaged++;
	if (ms->cfg.damaged)
		ms->cfg.damaged(ms->cfg.arg, ms->devices[s->device].uuid, rpn);
	return false;
}

uint32_t rmnic_mem_scrub(struct rmnic_memstore *ms, uint32_t n)
{
	uint32_t checked = 0;

	for (uint32_t i = 0; i < LOOK_MAX && checked < n; i++) {
		struct rmnic_mem_slab *s = &ms->slabs[ms->scrub_slab];
		uint64_t vstate;

		if (!s->handle || s->dying || ms->scrub_page >= s->pages) {
			ms->scrub_page = 0;
			if (++ms->scrub_slab >= ms->cfg.max_slabs)
				ms->scrub_slab = 0;
			continue;
		}
		vstate = s->meta[ms->scrub_page].vstate;
		if ((vstate & CONTENT) && !(vstate & RMNIC_RMP_PAGE_BAD)) {
			rmnic_mem_check(ms, s, s->number * s->pages + ms->scrub_page);
			checked++;
		}
		ms->scrub_page++;
	}
	ms->scrubbed += checked;
	return checked;
}
