/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user_peer.c - the backend's process: whether it lives, and ending it. A pidfd cannot come to
 * mean another process, as a pid can.
 */
#include "user.h"

#include "qapi/error.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Linux 6.5 and later; headers may be older. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static int rmnic_pidfd_signal(int pidfd, int signal)
{
    return syscall(__NR_pidfd_send_signal, pidfd, signal, NULL, 0);
}

/* The pidfd of who listened; -1: errno. */
static int rmnic_peer_pidfd(int fd, pid_t pid)
{
    int pidfd;
    socklen_t len = sizeof(pidfd);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &len) == 0) {
        return pidfd;
    }
    return syscall(__NR_pidfd_open, pid, 0);
}

static bool rmnic_peer_check(const struct ucred *cred, Error **errp)
{
    if (cred->pid <= 0) {
        error_setg(errp, "rmnic: the backend's process cannot be seen from here: run it in the "
                   "same PID namespace");
    } else if (cred->pid == 1) {
        /* It would be the one to be ended when the backend hangs. */
        error_setg(errp, "rmnic: the backend's socket was made by process 1: let the backend "
                   "itself listen, without socket activation");
    } else if (cred->pid == getpid()) {
        error_setg(errp, "rmnic: the backend cannot be QEMU itself");
    } else {
        return true;
    }
    return false;
}

bool rmnic_peer_open(RmnicPeer *peer, int fd, Error **errp)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    int on = 1, pidfd;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0) {
        error_setg_errno(errp, errno, "rmnic: no credentials of the backend");
        return false;
    }
    if (!rmnic_peer_check(&cred, errp)) {
        return false;
    }
    pidfd = rmnic_peer_pidfd(fd, cred.pid);
    if (pidfd < 0) {
        error_setg_errno(errp, errno, "rmnic: no pidfd of the backend (pid %d)", cred.pid);
        return false;
    }
    qemu_set_cloexec(pidfd);
    *peer = (RmnicPeer) { .pid = cred.pid, .pidfd = pidfd };
    return true;
}

void rmnic_peer_close(RmnicPeer *peer)
{
    if (peer->pidfd >= 0) {
        close(peer->pidfd);
    }
    peer->pidfd = -1;
}

bool rmnic_peer_dead(const RmnicPeer *peer)
{
    struct pollfd p = { .fd = peer->pidfd, .events = POLLIN };

    return poll(&p, 1, 0) == 1 && (p.revents & POLLIN);
}

bool rmnic_peer_killable(const RmnicPeer *peer)
{
    return rmnic_pidfd_signal(peer->pidfd, 0) == 0 || errno == ESRCH;
}

bool rmnic_peer_kill(const RmnicPeer *peer)
{
    return rmnic_pidfd_signal(peer->pidfd, SIGKILL) == 0 || errno == ESRCH;
}
