/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user_io.c - messages of rmnic-user on the socket. It never blocks: one request is under way
 * at a time, and that always fits into the socket's buffer.
 */
#include "user.h"

#include <sys/socket.h>

int64_t rmnic_user_now(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_REALTIME);
}

bool rmnic_user_send(RmnicUser *u, uint16_t type, const void *payload, uint32_t size,
                     const int *fds, unsigned nfds)
{
    struct rmnic_user_msg msg = { .type = type, .size = size, .seq = ++u->req_seq };
    struct rmnic_user_hdr hdr;
    struct iovec iov[2] = { { &hdr, sizeof(hdr) }, { (void *)payload, size } };
    union {
        char bytes[CMSG_SPACE(RMNIC_USER_MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control = { };
    struct msghdr mh = { .msg_iov = iov, .msg_iovlen = size ? 2 : 1 };
    ssize_t sent;

    rmnic_user_hdr_put(&hdr, &msg);
    if (nfds) {
        struct cmsghdr *cmsg;

        mh.msg_control = control.bytes;
        mh.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
        cmsg = CMSG_FIRSTHDR(&mh);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
        memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
    }
    do {
        sent = sendmsg(u->fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent == sizeof(hdr) + size;
}

/* What came beside the bytes: nothing is right but the sender's identity. */
static const char *rmnic_user_ancillary(RmnicUser *u, struct msghdr *mh)
{
    const char *why = NULL;

    if (mh->msg_flags & MSG_CTRUNC) {
        why = "it sent file descriptors";
    }
    for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level != SOL_SOCKET) {
            continue;
        }
        if (c->cmsg_type == SCM_RIGHTS) {
            size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

            for (size_t i = 0; i < n; i++) {
                int fd;

                memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
                close(fd);
            }
            why = "it sent file descriptors";
        } else if (c->cmsg_type == SCM_CREDENTIALS) {
            struct ucred cred;

            memcpy(&cred, CMSG_DATA(c), sizeof(cred));
            /* Else the wrong process would be watched, and ended if it hangs. */
            if (cred.pid != u->peer.pid) {
                why = "the process that answers is not the one that listens: it must listen "
                      "after its last fork";
            }
        }
    }
    return why;
}

/* Up to want bytes more. As rmnic_user_receive(), but 1: some came. */
static int rmnic_user_read(RmnicUser *u, size_t want, const char **why)
{
    union {
        char bytes[CMSG_SPACE(sizeof(struct ucred)) +
                   CMSG_SPACE(RMNIC_USER_MAX_FDS * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = { u->rx.bytes + u->rx.len, want };
    struct msghdr mh = {
        .msg_iov = &iov,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes),
    };
    ssize_t got;

    do {
        got = recvmsg(u->fd, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC); /* USER-2 */
    } while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
        return 0;
    }
    if (got <= 0) {
        return -1;
    }
    *why = rmnic_user_ancillary(u, &mh);
    u->rx.len += got;
    return *why ? -1 : 1;
}

/* USER-1: a header is checked before a byte of its payload is read. */
int rmnic_user_receive(RmnicUser *u, struct rmnic_user_msg *msg, const char **why)
{
    RmnicUserRx *rx = &u->rx;
    size_t whole = sizeof(rx->hdr);

    *why = NULL;
    for (;;) {
        int ret;

        if (rx->len >= sizeof(rx->hdr)) {
            *why = rmnic_user_hdr_get(&rx->hdr, true, msg);
            if (*why) {
                return -1;
            }
            whole = sizeof(rx->hdr) + msg->size;
        }
        if (rx->len == whole && whole >= sizeof(rx->hdr)) {
            rx->len = 0;
            return 1;
        }
        ret = rmnic_user_read(u, whole - rx->len, why);
        if (ret <= 0) {
            return ret;
        }
    }
}
