/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/listener.h - a UNIX socket that a daemon listens at.
 *
 * Mode 0660 from the start. The socket of a predecessor that is gone is replaced, one with
 * somebody behind it never.
 */
#ifndef RMNIC_COMMON_LISTENER_H
#define RMNIC_COMMON_LISTENER_H

#include <sys/types.h>

#include "common/error.h"

struct rmnic_listener {
	int fd;    /* not blocking; -1: closed */
	char path[108];
	dev_t dev; /* of the socket's file: it is removed only while it is still ours */
	ino_t ino;
};

/* 0, or -1 with err; then there is nothing to close. */
int rmnic_listener_open(struct rmnic_listener *l, const char *path, struct rmnic_error *err);
/* Lets this group's members connect as well. 0, or -1 with err. */
int rmnic_listener_group(const struct rmnic_listener *l, const char *group,
			 struct rmnic_error *err);
void rmnic_listener_close(struct rmnic_listener *l);
/* A connection that came, close-on-exec and not blocking; -1: none. */
int rmnic_listener_accept(const struct rmnic_listener *l);

#endif /* RMNIC_COMMON_LISTENER_H */
