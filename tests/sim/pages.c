/* SPDX-License-Identifier: BSD-3-Clause */
/* What pages look like. */
#include <inttypes.h>
#include <string.h>

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
	uint64_t wrong = 0, first, step;

	*content = page[0] >> 32;
	step = *content % 5 != 0;
	first = *content << 32 | (step ? 1 : *content);
	for (uint64_t i = 0; i < RMNIC_PAGE_SIZE / 8; i++)
		wrong |= page[i] ^ (first + i * step);
	return !wrong;
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
