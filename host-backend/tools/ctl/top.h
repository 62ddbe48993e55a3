/* SPDX-License-Identifier: BSD-3-Clause */
/* tools/ctl/top.h - `rmnicctl top`: rates and latencies, in place on a terminal. */
#ifndef RMNIC_CTL_TOP_H
#define RMNIC_CTL_TOP_H

#include <stdbool.h>

#include "common/ctl.h"

struct ctl_top_options {
	int interval_ms;
	bool once; /* one picture, after one interval */
};

/* 0, or -1 with err. */
int ctl_top_run(struct rmnic_ctl_client *client, const struct ctl_top_options *options,
		struct rmnic_error *err);

#endif /* RMNIC_CTL_TOP_H */
