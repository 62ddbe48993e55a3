/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of a link, from netlink, in a thread that sleeps until it changes. */
#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "dpdk/netif.h"

struct rmnic_link_watch {
	pthread_t thread;
	char name[IFNAMSIZ];
	unsigned int index;
	struct rmnic_link *link;
	const int *fds;
	unsigned int nfds;
	int netlink;
	int stop;
};

static void link_set(struct rmnic_link_watch *watch, bool up)
{
	uint64_t one = 1;
	int error;

	/* Pending, it would fail the next call on the socket, and wake its lcore for ever. */
	for (unsigned int i = 0; i < watch->nfds; i++) {
		socklen_t len = sizeof(error);

		(void)getsockopt(watch->fds[i], SOL_SOCKET, SO_ERROR, &error, &len);
	}
	if (atomic_exchange_explicit(&watch->link->up, up, memory_order_relaxed) == up)
		return;
	/* Pairs with the acquire in rmnic_udp_port_watch(). */
	atomic_store_explicit(&watch->link->changed, true, memory_order_release);
	(void)!write(watch->link->event, &one, sizeof(one));
	if (up)
		rmnic_log_info("%s: the link is up", watch->name);
	else
		rmnic_log_warn("%s: the link is down", watch->name);
}

static void message_take(struct rmnic_link_watch *watch, const struct nlmsghdr *h)
{
	const struct ifinfomsg *info = NLMSG_DATA(h);

	if (h->nlmsg_type != RTM_NEWLINK && h->nlmsg_type != RTM_DELLINK)
		return;
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*info)) || info->ifi_index != (int)watch->index)
		return;
	if (h->nlmsg_type == RTM_DELLINK)
		rmnic_log_error("%s: the interface is gone; restart when it is back", watch->name);
	link_set(watch, h->nlmsg_type == RTM_NEWLINK && (info->ifi_flags & IFF_UP) &&
				(info->ifi_flags & IFF_RUNNING));
}

static void netlink_read(struct rmnic_link_watch *watch)
{
	_Alignas(struct nlmsghdr) char buf[32768];
	ssize_t got = recv(watch->netlink, buf, sizeof(buf), MSG_DONTWAIT);
	const struct nlmsghdr *h = (const struct nlmsghdr *)buf;
	struct rmnic_netif now;

	/* Messages were lost: ask how it is. */
	if (got < 0 && errno == ENOBUFS && rmnic_netif_read(watch->name, &now, NULL) == 0)
		link_set(watch, now.up);
	for (size_t left = got > 0 ? (size_t)got : 0; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left))
		message_take(watch, h);
}

static void *watch_run(void *arg)
{
	struct rmnic_link_watch *watch = arg;
	struct pollfd poll_fds[2] = { { .fd = watch->netlink, .events = POLLIN },
				      { .fd = watch->stop, .events = POLLIN } };

	while (!(poll_fds[1].revents & POLLIN)) {
		if (poll(poll_fds, 2, -1) > 0 && poll_fds[0].revents)
			netlink_read(watch);
	}
	return NULL;
}

/* The daemons take signals in their own thread. */
static int thread_start(struct rmnic_link_watch *watch)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&watch->thread, NULL, watch_run, watch);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error == 0)
		pthread_setname_np(watch->thread, "rmnic-link");
	return error;
}

struct rmnic_link_watch *rmnic_link_watch_start(const char *name, unsigned int index,
						struct rmnic_link *link, const int *fds,
						unsigned int nfds,
						struct rmnic_error *err)
{
	struct rmnic_link_watch *watch = calloc(1, sizeof(*watch));
	struct sockaddr_nl at = { .nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK };
	struct rmnic_netif now;
	int error;

	if (!watch)
		goto failed;
	strncpy(watch->name, name, IFNAMSIZ - 1);
	watch->index = index;
	watch->link = link;
	watch->fds = fds;
	watch->nfds = nfds;
	watch->netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	watch->stop = eventfd(0, EFD_CLOEXEC);
	link->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (watch->netlink < 0 || watch->stop < 0 || link->event < 0 ||
	    bind(watch->netlink, (struct sockaddr *)&at, sizeof(at)))
		goto close_fds;
	/* From here on each change is told, so what is true now does not get lost. */
	if (rmnic_netif_read(name, &now, err))
		goto close_fds;
	atomic_store_explicit(&link->up, now.up, memory_order_relaxed);
	error = thread_start(watch);
	if (error == 0)
		return watch;
	errno = error;
close_fds:
	error = errno;
	close(watch->netlink);
	close(watch->stop);
	close(link->event);
	link->event = -1;
	free(watch);
	errno = error;
failed:
	rmnic_error_set(err, "interface %s: its link cannot be watched: %s", name, strerror(errno));
	return NULL;
}

void rmnic_link_watch_stop(struct rmnic_link_watch *watch)
{
	uint64_t one = 1;

	if (!watch)
		return;
	(void)!write(watch->stop, &one, sizeof(one));
	pthread_join(watch->thread, NULL);
	close(watch->netlink);
	close(watch->stop);
	close(watch->link->event);
	free(watch);
}
