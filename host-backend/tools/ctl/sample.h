/* SPDX-License-Identifier: BSD-3-Clause */
/* tools/ctl/sample.h - what `top` asks at one moment, and what two moments make. */
#ifndef RMNIC_CTL_SAMPLE_H
#define RMNIC_CTL_SAMPLE_H

#include <stdint.h>

#include "common/ctl.h"

struct ctl_sample {
	uint64_t ns; /* CLOCK_MONOTONIC */
	/* NULL: the daemon has no such command */
	json_t *status, *devices, *servers, *sessions, *memory, *latency;
};

/* commands: what "help" answered. 0, or -1 with err. */
int ctl_sample_take(struct rmnic_ctl_client *client, const json_t *commands,
		    struct ctl_sample *out, struct rmnic_error *err);
void ctl_sample_free(struct ctl_sample *sample);
/*
 * The devices of `now` with what happened since `before`: "in_rate", "out_rate", "copy_rate"
 * (pages/s), "in_p50", "in_p99", "out_p50", "out_p99" (us), missing where there was nothing. A new
 * reference.
 */
json_t *ctl_sample_devices(const struct ctl_sample *before, const struct ctl_sample *now);
/* Pages a second over all devices: "in_rate" or "out_rate" of the rows above. */
double ctl_sample_sum(const json_t *rows, const char *key);

#endif /* RMNIC_CTL_SAMPLE_H */
