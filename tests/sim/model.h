/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the pages of a device may hold, as seen from outside: the oracle of the simulator.
 * A content is a number; 0 is zeros.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stdint.h>

#define MODEL_MAYBE 8

struct model_page {
	uint64_t acked;             /* content last acknowledged, or read */
	uint64_t maybe[MODEL_MAYBE]; /* written since, and not acknowledged */
	unsigned int nmaybe;
	bool unknown;               /* the last page-out ended with an error */
	bool doomed;                /* nobody has it any more whom its view names: it may be lost */
	bool busy;                  /* an operation is under way: none other is started */
};

struct model {
	struct model_page *pages;
	uint64_t npages;
	uint64_t next_content;
};

void model_init(struct model *m, uint64_t npages);
void model_fini(struct model *m);
/* A page-out begins; gives the content to write. retry: the content of an earlier attempt. */
uint64_t model_write(struct model *m, uint64_t rpn, uint64_t retry);
void model_written(struct model *m, uint64_t rpn, uint64_t content, bool ok);
/* It is being freed: zeros, or what it was. */
void model_freeing(struct model *m, uint64_t rpn);
void model_freed(struct model *m, uint64_t rpn);
/* Whether a page may read as content. It settles the page: older content never comes back. */
bool model_read(struct model *m, uint64_t rpn, uint64_t content);

#endif /* MODEL_H */
