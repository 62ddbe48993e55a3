/* SPDX-License-Identifier: BSD-3-Clause */
#include "user/peer.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* since Linux 6.5 */
#endif

void rmnic_user_peer_find(struct rmnic_user_peer *peer, int fd)
{
	struct ucred cred = { 0 };
	socklen_t len = sizeof(cred);
	int pidfd = -1;

	*peer = (struct rmnic_user_peer){ .pidfd = -1 };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 || cred.pid <= 0)
		return;
	peer->pid = cred.pid;
	/* The socket's own idea of its peer cannot be another process with the same number. */
	len = sizeof(pidfd);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) < 0)
		pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	peer->dead = pidfd < 0 && errno == ESRCH;
	peer->pidfd = pidfd;
}

bool rmnic_user_peer_dead(const struct rmnic_user_peer *peer)
{
	struct pollfd p = { .fd = peer->pidfd, .events = POLLIN };

	return peer->dead || (peer->pidfd >= 0 && poll(&p, 1, 0) > 0 && p.revents & POLLIN);
}
