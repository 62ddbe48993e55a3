/* SPDX-License-Identifier: BSD-3-Clause */
#include "user/stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void rmnic_user_stream_open(struct rmnic_user_stream *s, int fd)
{
	memset(s, 0, sizeof(*s));
	s->fd = fd;
}

static void close_fds(struct rmnic_user_stream *s)
{
	while (s->nfds)
		close(s->fds[--s->nfds]);
}

void rmnic_user_stream_close(struct rmnic_user_stream *s)
{
	close_fds(s);
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
}

void rmnic_user_stream_next(struct rmnic_user_stream *s)
{
	close_fds(s);
	s->fds_wrong = NULL;
	s->got = 0;
}

/* --- Receiving -------------------------------------------------------------------------------- */

/* Takes the descriptors of one read, or closes them and remembers why they are wrong. */
static void take_fds(struct rmnic_user_stream *s, struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (s->got)
				s->fds_wrong = "a file descriptor came behind the first byte";
			else if (s->nfds == RMNIC_USER_MAX_FDS)
				s->fds_wrong = "more file descriptors came than a message can have";
			if (s->fds_wrong)
				close(fd);
			else
				s->fds[s->nfds++] = fd;
		}
	}
	if (m->msg_flags & MSG_CTRUNC)
		s->fds_wrong = "more file descriptors came than can be taken (16 with a "
			       "message, and within the limit of open files)";
}

/*
 * Reads at most len bytes, which all belong to the message at hand: so do the descriptors that
 * come with them (the kernel hands them out with the first byte they were sent with).
 */
static ssize_t read_some(struct rmnic_user_stream *s, void *to, size_t len)
{
	alignas(struct cmsghdr) char control[CMSG_SPACE(RMNIC_USER_MAX_FDS * sizeof(int))];
	struct iovec iov = { to, len };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	ssize_t n;

	do {
		/* USER-2: a child of the backend never gets them. */
		n = recvmsg(s->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n > 0) {
		take_fds(s, &m);
		s->got += (uint32_t)n;
	}
	return n;
}

static int ended(const struct rmnic_user_stream *s, ssize_t n, const char **why)
{
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n < 0)
		*why = strerrordesc_np(errno);
	else
		*why = s->got ? "the other end closed in the middle of a message" :
				"the other end closed";
	return -1;
}

int rmnic_user_stream_receive(struct rmnic_user_stream *s, const char **why)
{
	const uint32_t header = sizeof(s->hdr);
	ssize_t n;

	while (s->got < header) {
		n = read_some(s, (uint8_t *)&s->hdr + s->got, header - s->got);
		if (n <= 0)
			return ended(s, n, why);
		if (s->got < header)
			continue;
		*why = rmnic_user_hdr_get(&s->hdr, false, &s->msg);
		if (*why)
			return -1;
	}
	while (s->got < header + s->msg.size) {
		uint32_t at = s->got - header;

		n = read_some(s, s->payload + at, s->msg.size - at);
		if (n <= 0)
			return ended(s, n, why);
	}
	return 1;
}

bool rmnic_user_stream_hung_up(const struct rmnic_user_stream *s)
{
	struct pollfd p = { .fd = s->fd };

	return poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLERR | POLLNVAL);
}

/* --- Sending ---------------------------------------------------------------------------------- */

const char *rmnic_user_stream_flush(struct rmnic_user_stream *s)
{
	uint32_t at = 0;

	while (at < s->out_len) {
		ssize_t n = send(s->fd, s->out + at, s->out_len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0)
			return strerrordesc_np(errno);
		at += (uint32_t)n;
	}
	s->out_len -= at;
	memmove(s->out, s->out + at, s->out_len);
	return NULL;
}

const char *rmnic_user_stream_send(struct rmnic_user_stream *s, const struct rmnic_user_msg *msg,
				   const void *payload)
{
	struct rmnic_user_hdr hdr;

	if (sizeof(hdr) + msg->size > sizeof(s->out) - s->out_len)
		return "the other end does not read what it is sent";
	rmnic_user_hdr_put(&hdr, msg);
	memcpy(s->out + s->out_len, &hdr, sizeof(hdr));
	if (msg->size)
		memcpy(s->out + s->out_len + sizeof(hdr), payload, msg->size);
	s->out_len += (uint32_t)sizeof(hdr) + msg->size;
	return rmnic_user_stream_flush(s);
}
