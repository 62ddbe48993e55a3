/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * user/peer.h - the process at the other end of a socket: who it is, and whether it lives.
 */
#ifndef RMNIC_USER_PEER_H
#define RMNIC_USER_PEER_H

#include <stdbool.h>

struct rmnic_user_peer {
	int pid;   /* 0: not to be had (another pid namespace) */
	int pidfd; /* -1: not to be had, or it was dead already */
	bool dead; /* it was dead when it was looked for */
};

/* Who connected fd. */
void rmnic_user_peer_find(struct rmnic_user_peer *peer, int fd);
/* Known dead. False: it lives, or nobody can tell. */
bool rmnic_user_peer_dead(const struct rmnic_user_peer *peer);

#endif /* RMNIC_USER_PEER_H */
