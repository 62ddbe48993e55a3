/* SPDX-License-Identifier: BSD-3-Clause */
/* tools/ctl/drain.h - looking on while a server is drained. */
#ifndef RMNIC_CTL_DRAIN_H
#define RMNIC_CTL_DRAIN_H

#include "common/ctl.h"

/*
 * result: what rmnicd answered to a drain. Until the server is empty, or is not there any more, says
 * how many slabs it still has. Of another answer there is nothing to follow. 0, or -1 with err.
 */
int ctl_drain_follow(struct rmnic_ctl_client *client, const json_t *result,
		     struct rmnic_error *err);

#endif /* RMNIC_CTL_DRAIN_H */
