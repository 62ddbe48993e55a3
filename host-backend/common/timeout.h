/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/timeout.h - something that is to be done once, in a while, and perhaps again.
 */
#ifndef RMNIC_COMMON_TIMEOUT_H
#define RMNIC_COMMON_TIMEOUT_H

#include <stdint.h>
#include <systemd/sd-event.h>

/*
 * Calls fn once, us from now, or up to a quarter of that later; instead of when it was to be called before.
 * *source NULL: it is made, for the caller to give up. 0, or a negative errno.
 */
int rmnic_timeout_set(sd_event *event, sd_event_source **source, uint64_t us,
		      sd_event_time_handler_t fn, void *arg);

#endif /* RMNIC_COMMON_TIMEOUT_H */
