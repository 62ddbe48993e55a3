/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/timeout.h"

int rmnic_timeout_set(sd_event *event, sd_event_source **source, uint64_t us,
		      sd_event_time_handler_t fn, void *arg)
{
	int ret;

	if (!*source)
		return sd_event_add_time_relative(event, source, CLOCK_MONOTONIC, us, us / 4, fn, arg);
	ret = sd_event_source_set_time_relative(*source, us);
	return ret < 0 ? ret : sd_event_source_set_enabled(*source, SD_EVENT_ONESHOT);
}
