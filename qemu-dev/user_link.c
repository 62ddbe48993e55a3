/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * user_link.c - the connection to a backend and to the one after it (spec/user.md, "When one
 * side dies").
 *
 * The chardev gives the address; connecting is done here, because the moment matters: not
 * before the predecessor is known dead, and never blocking. Its idea of the connection is kept up
 * for those who look at it.
 */
#include "user.h"

#include "chardev/char-socket.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "trace.h"

#include <poll.h>
#include <sys/un.h>

#define RMNIC_CONNECT_MS 100  /* between two attempts */
#define RMNIC_REFUSED_MS 1000 /* the same, when the last one ended with a refusal */
/* Messages read in one go, so that a backend that never stops talking stops nothing else. */
#define RMNIC_LINK_BATCH 64

static void rmnic_link_readable(void *opaque)
{
    rmnic_link_run(opaque);
}

void rmnic_link_arm(RmnicUser *u)
{
    int64_t at;

    if (u->link == RMNIC_LINK_UP) {
        u->kill_at = !rmnic_user_overdue(u) ? INT64_MAX
                     : MIN(u->kill_at, rmnic_user_now() + u->s->kill_timeout_ms);
    }
    at = u->link == RMNIC_LINK_DOWN ? u->connect_at
         : MIN(u->kill_at, u->link == RMNIC_LINK_UP ? u->ask_at : INT64_MAX);
    if (at == INT64_MAX) {
        timer_del(u->timer);
    } else {
        timer_mod(u->timer, at);
    }
}

/* --- Ends ----------------------------------------------------------------------------------------- */

/* Nobody is left who could touch the guest's memory. */
static void rmnic_link_gone(RmnicUser *u)
{
    bool refused = !u->entrusted && !u->leaving;

    if (u->entrusted && !u->leaving) {
        rmnic_user_say(u, "has ended: the device waits for another one");
    }
    if (u->peer.pidfd >= 0) {
        qemu_set_fd_handler(u->peer.pidfd, NULL, NULL, NULL);
    }
    rmnic_peer_close(&u->peer);
    u->link = RMNIC_LINK_DOWN;
    u->entrusted = u->leaving = u->killed = false;
    u->kill_at = INT64_MAX;
    u->connect_at = rmnic_user_now() + (refused ? RMNIC_REFUSED_MS : RMNIC_CONNECT_MS);
    trace_rmnic_user_gone(u->s);
    rmnic_user_forget(u);
}

/* USER-19 */
void rmnic_link_drop(RmnicUser *u)
{
    if (u->link == RMNIC_LINK_UP) {
        qemu_set_fd_handler(u->fd, NULL, NULL, NULL);
        shutdown(u->fd, SHUT_RDWR);
        close(u->fd);
        u->fd = -1;
        qemu_chr_fe_disconnect(&u->s->chr);
        u->rx.len = 0;
        u->req_type = 0;
        u->ask_at = INT64_MAX;
        rmnic_user_stats_keep(u);
    }
    if (!u->entrusted || u->leaving || rmnic_peer_dead(&u->peer)) {
        rmnic_link_gone(u);
    } else {
        u->link = RMNIC_LINK_DYING;
        u->kill_at = MIN(u->kill_at, rmnic_user_now() + u->s->kill_timeout_ms);
        trace_rmnic_user_dying(u->s, u->peer.pid);
    }
    rmnic_link_arm(u);
}

/* USER-17: what does not answer is ended; its death is what is waited for then. */
static void rmnic_link_kill(RmnicUser *u)
{
    u->kill_at = INT64_MAX;
    if (!rmnic_peer_kill(&u->peer)) {
        rmnic_user_complain(u, "it holds up the device and QEMU may not end it (%s): end it by "
                            "hand (kill -9 %d)", strerror(errno), u->peer.pid);
        u->kill_at = rmnic_user_now() + u->s->kill_timeout_ms; /* to say so again */
        return; /* it may still answer */
    } else if (!u->killed) {
        u->killed = true;
        u->kills++;
        trace_rmnic_user_kill(u->s, u->peer.pid);
        rmnic_user_complain(u, u->link == RMNIC_LINK_UP
                            ? "it did not stop within kill-timeout-ms=%u: killed"
                            : "it went away but did not end within kill-timeout-ms=%u: killed",
                            u->s->kill_timeout_ms);
    }
    rmnic_link_drop(u);
}

/* --- Beginnings ------------------------------------------------------------------------------------ */

static SocketChardev *rmnic_link_chardev(RmnicUser *u)
{
    return SOCKET_CHARDEV(qemu_chr_fe_get_driver(&u->s->chr));
}

/* Length of *sun; 0: the path is too long for a socket. */
static socklen_t rmnic_link_address(RmnicUser *u, struct sockaddr_un *sun)
{
    UnixSocketAddress *addr = &rmnic_link_chardev(u)->addr->u.q_unix;
    size_t len = strlen(addr->path);
    bool abstract = addr->has_abstract && addr->abstract;
    bool tight = !addr->has_tight || addr->tight;

    *sun = (struct sockaddr_un) { .sun_family = AF_UNIX };
    if (len + 1 > sizeof(sun->sun_path)) {
        return 0;
    }
    memcpy(sun->sun_path + abstract, addr->path, len);
    return abstract && tight ? offsetof(struct sockaddr_un, sun_path) + 1 + len : sizeof(*sun);
}

/* A connected socket, or -errno. A full backlog is an error, too: nothing is waited for. */
static int rmnic_link_connect(RmnicUser *u)
{
    struct sockaddr_un sun;
    socklen_t len = rmnic_link_address(u, &sun);
    int fd;

    if (!len) {
        return -ENAMETOOLONG;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sun, len) == 0) {
        return fd < 0 ? -errno : fd;
    }
    len = errno;
    close(fd);
    return -(int)len;
}

static void rmnic_link_up(RmnicUser *u, int fd)
{
    Error *err = NULL;

    if (!rmnic_peer_open(&u->peer, fd, &err)) {
        rmnic_user_complain(u, "%s", error_get_pretty(err));
        error_free(err);
        close(fd);
        u->connect_at = rmnic_user_now() + RMNIC_REFUSED_MS;
        return;
    }
    qemu_socket_set_nonblock(fd);
    u->link = RMNIC_LINK_UP;
    u->fd = fd;
    u->name[0] = 0;
    u->connect_at = INT64_MAX;
    u->connects++;
    u->notices = 0;
    trace_rmnic_user_connected(u->s, u->peer.pid);
    if (!u->warned && !rmnic_peer_killable(&u->peer)) {
        /* It is not passed over either: USER-19 leaves only waiting then. */
        warn_report("rmnic: chardev=%s: QEMU may not end the backend (pid %d, of another user) if "
                    "it hangs: a reset or stop of the device waits until it is ended by a "
                    "watchdog or by hand", u->label, u->peer.pid);
        u->warned = true;
    }
    qemu_set_fd_handler(fd, rmnic_link_readable, NULL, u);
    qemu_set_fd_handler(u->peer.pidfd, rmnic_link_readable, NULL, u);
}

static void rmnic_link_try(RmnicUser *u)
{
    int fd = rmnic_link_connect(u), copy;

    u->connect_at = rmnic_user_now() + RMNIC_CONNECT_MS;
    if (fd < 0) {
        if (u->starting) {
            error_free(u->error);
            u->error = NULL;
            error_setg(&u->error, "rmnic: chardev=%s: connecting to %s failed: %s: start the "
                       "backend there (rmnicd --socket)", u->label,
                       rmnic_link_chardev(u)->addr->u.q_unix.path, strerror(-fd));
            u->patient = true;
        }
        return;
    }
    copy = qemu_dup(fd);
    if (copy >= 0 && qemu_chr_add_client(qemu_chr_fe_get_driver(&u->s->chr), copy) < 0) {
        close(copy); /* it only shows something else then */
    }
    rmnic_link_up(u, fd);
}

/* --- Going on --------------------------------------------------------------------------------------- */

/* One message; false: there is none, or no connection any more. */
static bool rmnic_link_read(RmnicUser *u)
{
    struct rmnic_user_msg msg;
    const void *payload = &u->rx.hdr + 1;
    const char *why;
    int ret = rmnic_user_receive(u, &msg, &why);

    if (ret > 0) {
        why = rmnic_user_reply_check(&msg, payload, u->req_type, u->req_seq);
        if (!why && rmnic_user_heard(u, &msg, payload)) {
            return u->link == RMNIC_LINK_UP;
        }
    } else if (ret == 0) {
        return false;
    }
    if (why) {
        rmnic_user_complain(u, "%s%s%s: the connection is dropped",
                            ret > 0 ? rmnic_user_type_name(msg.type) : "", ret > 0 ? ": " : "",
                            why);
    } else if (ret < 0 && u->starting) {
        rmnic_user_complain(u, "it closed the connection in place of answering %s",
                            rmnic_user_type_name(u->req_type));
        u->patient = true; /* another one may be about to listen */
    }
    rmnic_link_drop(u);
    return false;
}

/*
 * As long as nobody has taken the device the guest waits without an end (DMA-10); so who keeps
 * it waiting is given up, and ended if it had got the state block.
 */
static void rmnic_link_impatient(RmnicUser *u)
{
    rmnic_user_complain(u, "it did not answer %s within connect-timeout-ms=%u: the connection is "
                        "dropped", rmnic_user_type_name(u->req_type), u->s->connect_timeout_ms);
    rmnic_link_drop(u);
}

static void rmnic_link_due(RmnicUser *u)
{
    int64_t now = rmnic_user_now();

    if (u->link != RMNIC_LINK_DOWN && rmnic_peer_dead(&u->peer)) {
        trace_rmnic_user_dead(u->s, u->peer.pid);
        rmnic_link_drop(u);
    } else if (now >= u->kill_at) {
        rmnic_link_kill(u);
    } else if (u->link == RMNIC_LINK_UP && u->req_type && now >= u->ask_at) {
        rmnic_link_impatient(u);
    }
    if (u->link == RMNIC_LINK_DOWN && now >= u->connect_at && !u->wanted.bye) {
        rmnic_link_try(u);
    }
}

void rmnic_link_run(RmnicUser *u)
{
    for (int i = 0; i < RMNIC_LINK_BATCH && u->link == RMNIC_LINK_UP; i++) {
        if (!rmnic_link_read(u)) {
            break;
        }
    }
    rmnic_link_due(u);
    rmnic_user_talk(u);
    rmnic_link_arm(u);
}

/* When something happens by itself. */
static int64_t rmnic_link_next(const RmnicUser *u)
{
    switch (u->link) {
    case RMNIC_LINK_DOWN:
        return u->connect_at;
    case RMNIC_LINK_UP:
        return MIN(u->kill_at, u->ask_at);
    default:
        return u->kill_at;
    }
}

bool rmnic_user_wait(RmnicUser *u, bool (*done)(const RmnicUser *u), int64_t limit_ms)
{
    int64_t end = limit_ms == INT64_MAX ? INT64_MAX : rmnic_user_now() + limit_ms;

    for (;;) {
        struct pollfd fds[2];
        nfds_t n = 0;
        int64_t now, next;

        rmnic_link_run(u);
        if (done(u)) {
            return true;
        }
        now = rmnic_user_now();
        if (now >= end) {
            return false;
        }
        if (u->link != RMNIC_LINK_DOWN) {
            fds[n++] = (struct pollfd) { .fd = u->peer.pidfd, .events = POLLIN };
        }
        if (u->link == RMNIC_LINK_UP) {
            fds[n++] = (struct pollfd) { .fd = u->fd, .events = POLLIN };
        }
        next = MIN(end, rmnic_link_next(u));
        poll(fds, n, next == INT64_MAX ? -1 : MIN(MAX(next - now, 0), INT_MAX));
    }
}

/* --- Life ------------------------------------------------------------------------------------------- */

static bool rmnic_link_check(RmnicUser *u, Chardev *chr, Error **errp)
{
    SocketChardev *sock;

    if (!object_dynamic_cast(OBJECT(chr), TYPE_CHARDEV_SOCKET)) {
        error_setg(errp, "rmnic: chardev=%s is no socket: -chardev socket,id=%s,path=PATH",
                   chr->label, chr->label);
        return false;
    }
    sock = SOCKET_CHARDEV(chr);
    if (sock->addr->type != SOCKET_ADDRESS_TYPE_UNIX) {
        error_setg(errp, "rmnic: chardev=%s has no path: file descriptors of memory can only be "
                   "passed over a UNIX socket: -chardev socket,id=%s,path=PATH", chr->label,
                   chr->label);
        return false;
    }
    if (sock->is_listen) {
        error_setg(errp, "rmnic: chardev=%s listens: the backend does, so say server=off",
                   chr->label);
        return false;
    }
    return true;
}

bool rmnic_link_init(RmnicUser *u, Error **errp)
{
    Chardev *chr = qemu_chr_fe_get_driver(&u->s->chr);
    SocketChardev *sock;

    if (!rmnic_link_check(u, chr, errp)) {
        return false;
    }
    u->timer = timer_new_ms(QEMU_CLOCK_REALTIME, rmnic_link_readable, u);
    u->connect_at = 0;
    sock = SOCKET_CHARDEV(chr);
    /*
     * Nobody but us is to connect from here on, also with reconnect=; what has begun is let
     * finish. An error only means that there is no connection yet.
     */
    rmnic_chardev_no_reconnect(sock);
    if (qemu_chr_fe_wait_connected(&u->s->chr, NULL) == 0 && sock->sioc) {
        int fd = qemu_dup(sock->sioc->fd);

        if (fd >= 0) {
            rmnic_link_up(u, fd);
        }
    }
    return true;
}

void rmnic_link_exit(RmnicUser *u)
{
    if (u->link == RMNIC_LINK_UP) {
        u->leaving = true; /* we are, so there is nothing to wait for */
        rmnic_link_drop(u);
    }
    if (u->link == RMNIC_LINK_DYING) {
        rmnic_link_gone(u);
    }
    timer_free(u->timer);
    u->timer = NULL;
}
