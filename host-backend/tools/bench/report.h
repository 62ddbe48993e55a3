/* SPDX-License-Identifier: BSD-3-Clause */
/* tools/bench/report.h - results for people, and as one JSON object. */
#ifndef RMNIC_BENCH_REPORT_H
#define RMNIC_BENCH_REPORT_H

#include <stdbool.h>

#include "tools/bench/load.h"

struct bench_report;

/* json: one object at the end, else a line a workload as it comes. NULL: out of memory. */
struct bench_report *bench_report_create(bool json);
void bench_report_add(struct bench_report *report, const struct bench_result *result);
/* Prints what is left and says whether all was well. stats: NULL: they are not to be had. */
bool bench_report_end(struct bench_report *report, const struct bench_driver *driver,
		      const struct rmnic_stats *stats);

#endif /* RMNIC_BENCH_REPORT_H */
