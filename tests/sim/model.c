/* SPDX-License-Identifier: BSD-3-Clause */
#include "model.h"

#include <stdlib.h>

void model_init(struct model *m, uint64_t npages)
{
	m->pages = calloc(npages, sizeof(*m->pages));
	if (!m->pages)
		abort();
	m->npages = npages;
	m->next_content = 1;
}

void model_fini(struct model *m)
{
	free(m->pages);
}

uint64_t model_write(struct model *m, uint64_t rpn, uint64_t retry)
{
	struct model_page *p = &m->pages[rpn];
	uint64_t content = retry ? retry : m->next_content++;

	p->busy = true;
	for (unsigned int i = 0; i < p->nmaybe; i++)
		if (p->maybe[i] == content)
			return content;
	if (p->nmaybe == MODEL_MAYBE)
		abort();
	p->maybe[p->nmaybe++] = content;
	return content;
}

void model_written(struct model *m, uint64_t rpn, uint64_t content, bool ok)
{
	struct model_page *p = &m->pages[rpn];

	p->busy = false;
	p->unknown = !ok;
	if (!ok)
		return;
	p->acked = content;
	p->nmaybe = 0;
	p->doomed = false;
}

void model_freeing(struct model *m, uint64_t rpn)
{
	struct model_page *p = &m->pages[rpn];

	p->busy = true;
	for (unsigned int i = 0; i < p->nmaybe; i++)
		if (p->maybe[i] == 0)
			return;
	if (p->nmaybe == MODEL_MAYBE)
		abort();
	p->maybe[p->nmaybe++] = 0;
}

void model_freed(struct model *m, uint64_t rpn)
{
	struct model_page *p = &m->pages[rpn];

	p->acked = 0;
	p->nmaybe = 0;
	p->unknown = p->doomed = false;
}

bool model_read(struct model *m, uint64_t rpn, uint64_t content)
{
	struct model_page *p = &m->pages[rpn];

	/* No write of the page is under way while it is read: what it is now, it stays. */
	for (unsigned int i = 0; i < p->nmaybe && content != p->acked; i++)
		if (p->maybe[i] == content)
			p->acked = content;
	if (content == p->acked) {
		p->nmaybe = 0;
		return true;
	}
	return false;
}
