/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef RMNIC_COMMON_METRICS_INTERNAL_H
#define RMNIC_COMMON_METRICS_INTERNAL_H

#include <stdbool.h>
#include <stdio.h>

#include "common/metrics.h"

struct rmnic_metrics {
	FILE *out;
	const struct rmnic_metric *family;
};

#endif /* RMNIC_COMMON_METRICS_INTERNAL_H */
