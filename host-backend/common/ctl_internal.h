/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of common/ctl.h share. */
#ifndef RMNIC_COMMON_CTL_INTERNAL_H
#define RMNIC_COMMON_CTL_INTERNAL_H

#include <sys/un.h>

#include "common/ctl.h"

/* 0, or -1 with err: the path is too long. */
int rmnic_ctl_address(const char *path, struct sockaddr_un *out, struct rmnic_error *err);
/* Connects and closes: 0, or errno's value. */
int rmnic_ctl_probe(const struct sockaddr_un *address);
/* The answer to one line; a new reference, NULL: out of memory. */
json_t *rmnic_ctl_request(const struct rmnic_ctl_command *commands, void *arg,
			  const char *line, size_t len);

#endif /* RMNIC_COMMON_CTL_INTERNAL_H */
