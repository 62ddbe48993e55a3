/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tools/bench/content.h - what is in a page: every word follows from the page's number and the
 * number of the write, so a lost, stale, torn or misplaced page cannot pass for the right one.
 */
#ifndef RMNIC_BENCH_CONTENT_H
#define RMNIC_BENCH_CONTENT_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_VERSION_ZERO    0u          /* never written, or freed: zeros */
#define BENCH_VERSION_UNKNOWN 0xffffffffu /* a write of it failed */

void bench_content_fill(void *page, uint64_t rpn, uint32_t version);
/* -1: right. Else the first word that is wrong. */
int bench_content_check(const void *page, uint64_t rpn, uint32_t version);
/* A pattern that no page has: a buffer that is in nobody's use. */
void bench_content_guard(void *page);
bool bench_content_guarded(const void *page);

#endif /* RMNIC_BENCH_CONTENT_H */
