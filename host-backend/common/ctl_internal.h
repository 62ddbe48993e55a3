/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of common/ctl.h share. */
#ifndef RMNIC_COMMON_CTL_INTERNAL_H
#define RMNIC_COMMON_CTL_INTERNAL_H

#include "common/ctl.h"

/* The answer to one line; a new reference, NULL: out of memory. */
json_t *rmnic_ctl_request(const struct rmnic_ctl_command *commands, void *arg,
			  const char *line, size_t len);

/* For tests: another limit than RMNIC_CTL_SLOW_MS, for clients to come. */
void rmnic_ctl_slow_set(struct rmnic_ctl *ctl, unsigned int ms);

#endif /* RMNIC_COMMON_CTL_INTERNAL_H */
