/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * slow.h - a store that answers when the test says so, as one on other machines would.
 *
 * Reads answer with pages of the byte rpn & 0xff.
 */
#ifndef RMNIC_TESTS_SLOW_H
#define RMNIC_TESTS_SLOW_H

#include "engine/store.h"

#define SLOW_MAX 2048

struct slow {
	struct rmnic_store store;
	struct rmnic_page_op *ops[SLOW_MAX]; /* pending, in the order they came */
	bool out[SLOW_MAX];
	unsigned int pending;
	unsigned int cancelled, freed, flushed;
	unsigned int idled; /* calls */
	uint16_t free_status, flush_status;
	unsigned int settled; /* calls; the last was of: */
	uint64_t settled_rpn, settled_pages;
};

void slow_init(struct slow *slow);
/* Ends the i-th pending operation with status. */
void slow_answer(struct slow *slow, unsigned int i, uint16_t status);
/* Ends all with OK. */
void slow_answer_all(struct slow *slow);

#endif /* RMNIC_TESTS_SLOW_H */
