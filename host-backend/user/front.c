/* SPDX-License-Identifier: BSD-3-Clause */
#include "user/front.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "engine/le.h"
#include "engine/user_msg.h"

struct rmnic_user_front {
	int fd;
	int timeout_ms;
	uint32_t seq;
	const char *broken; /* why nothing can be asked any more */
	bool left;
	struct rmnic_user_fatal fatal; /* the last one; error 0: none */
	uint8_t payload[RMNIC_USER_MAX_PAYLOAD];
};

/* --- Time and bytes --------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Waits until the socket is ready. NULL, or why it will not be. */
static const char *await(const struct rmnic_user_front *f, short events, int64_t deadline)
{
	struct pollfd p = { .fd = f->fd, .events = events };

	for (;;) {
		int64_t left = deadline - now_ms();
		int n = poll(&p, 1, left < 0 ? 0 : (int)left);

		if (n > 0)
			return NULL;
		if (n < 0 && errno != EINTR)
			return strerrordesc_np(errno);
		if (n == 0)
			return "the backend did not answer in time";
	}
}

static const char *receive(struct rmnic_user_front *f, void *to, size_t len, int64_t deadline)
{
	uint8_t *p = to;

	while (len) {
		ssize_t n = recv(f->fd, p, len, MSG_DONTWAIT);
		const char *why = NULL;

		if (n > 0) {
			p += n;
			len -= (size_t)n;
		} else if (n == 0) {
			why = "the backend closed the connection";
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			why = await(f, POLLIN, deadline);
		} else if (errno != EINTR) {
			why = strerrordesc_np(errno);
		}
		if (why)
			return why;
	}
	return NULL;
}

static const char *send_all(struct rmnic_user_front *f, const uint8_t *bytes, size_t len,
			    const int *fds, unsigned int nfds, int64_t deadline)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(RMNIC_USER_MAX_FDS * sizeof(int))] = { 0 };
	struct cmsghdr *c = (struct cmsghdr *)control;

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(nfds * sizeof(int));
	if (nfds)
		memcpy(CMSG_DATA(c), fds, nfds * sizeof(int));
	while (len) {
		struct iovec iov = { (void *)(uintptr_t)bytes, len };
		struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };
		const char *why = NULL;
		ssize_t n;

		if (nfds) {
			m.msg_control = control;
			m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		}
		n = sendmsg(f->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
			nfds = 0; /* they went with the first byte */
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			why = await(f, POLLOUT, deadline);
		} else if (errno != EINTR) {
			why = strerrordesc_np(errno);
		}
		if (why)
			return why;
	}
	return NULL;
}

/* --- Messages --------------------------------------------------------------------------------- */

/*
 * Reads one message of the backend into f->payload and checks it against the request under way
 * (type 0: none). NULL, or why the connection cannot go on.
 */
static const char *read_message(struct rmnic_user_front *f, uint16_t type,
				struct rmnic_user_msg *msg, int64_t deadline)
{
	struct rmnic_user_hdr hdr;
	const char *why = receive(f, &hdr, sizeof(hdr), deadline);

	if (!why)
		why = rmnic_user_hdr_get(&hdr, true, msg);
	if (!why)
		why = receive(f, f->payload, msg->size, deadline);
	if (!why)
		why = rmnic_user_reply_check(msg, f->payload, type, f->seq);
	if (why || msg->flags != RMNIC_USER_F_NOTICE)
		return why;
	if (msg->type == RMNIC_USER_LEAVING)
		f->left = true;
	else
		memcpy(&f->fatal, f->payload, sizeof(f->fatal));
	return NULL;
}

static int broken(struct rmnic_user_front *f, const char *why, struct rmnic_error *err)
{
	f->broken = why;
	return rmnic_error_set(err, "the connection to the backend ended: %s", why);
}

/* USER-3 */
static void refusal(const struct rmnic_user_front *f, uint16_t type, uint16_t status,
		    uint64_t *available, struct rmnic_error *err)
{
	char text[RMNIC_USER_TEXT_MAX];
	struct rmnic_user_error e;

	memcpy(&e, f->payload, sizeof(e));
	rmnic_user_text_clean(e.text, text);
	rmnic_error_set(err, "the backend refuses %s (%s): %s", rmnic_user_type_name(type),
			rmnic_user_status_name(status), text);
	if (available)
		*available = rmnic_le64_get(e.available);
}

int rmnic_user_front_request(struct rmnic_user_front *f, uint16_t type, const void *payload,
			     uint32_t size, const int *fds, unsigned int nfds, void *reply,
			     uint32_t reply_size, uint64_t *available, struct rmnic_error *err)
{
	uint8_t out[sizeof(struct rmnic_user_hdr) + RMNIC_USER_MAX_PAYLOAD];
	struct rmnic_user_msg msg = { .type = type, .size = size, .seq = ++f->seq };
	int64_t deadline = now_ms() + f->timeout_ms;
	const char *why = f->broken, *later;

	if (available)
		*available = 0;
	if (why)
		return broken(f, why, err);
	if (size > RMNIC_USER_MAX_PAYLOAD || nfds > RMNIC_USER_MAX_FDS)
		return rmnic_error_set(err, "a request of %u bytes and %u file descriptors is more "
				       "than one can have", size, nfds);
	rmnic_user_hdr_put((struct rmnic_user_hdr *)out, &msg);
	if (size)
		memcpy(out + sizeof(struct rmnic_user_hdr), payload, size);
	why = send_all(f, out, sizeof(struct rmnic_user_hdr) + size, fds, nfds, deadline);
	/* A backend that leaves may have said so before it closed: what it said is still read. */
	do {
		later = read_message(f, type, &msg, deadline);
		if (!why)
			why = later;
	} while (!later && msg.flags == RMNIC_USER_F_NOTICE);
	if (why)
		return broken(f, why, err);
	if (msg.status != RMNIC_USER_S_OK) {
		refusal(f, type, msg.status, available, err);
		return msg.status;
	}
	if (msg.size != reply_size)
		return broken(f, "the reply has another length than was asked for", err);
	if (reply_size)
		memcpy(reply, f->payload, reply_size);
	return RMNIC_USER_S_OK;
}

/* --- Notices ---------------------------------------------------------------------------------- */

int rmnic_user_front_listen(struct rmnic_user_front *f, struct rmnic_error *err)
{
	struct rmnic_user_msg msg;
	struct pollfd p = { .fd = f->fd, .events = POLLIN };

	while (!f->broken && poll(&p, 1, 0) > 0) {
		const char *why = read_message(f, 0, &msg, now_ms() + f->timeout_ms);

		if (why)
			return broken(f, why, err);
	}
	return f->broken ? broken(f, f->broken, err) : 0;
}

bool rmnic_user_front_fatal(struct rmnic_user_front *f, uint32_t *error, uint32_t *generation)
{
	if (!f->fatal.error)
		return false;
	*error = rmnic_le32_get(f->fatal.error);
	*generation = rmnic_le32_get(f->fatal.generation);
	f->fatal.error = 0;
	return true;
}

bool rmnic_user_front_left(const struct rmnic_user_front *f)
{
	return f->left;
}

/* --- Connecting ------------------------------------------------------------------------------- */

static int connect_to(const char *path, int timeout_ms, struct rmnic_error *err)
{
	struct timeval limit = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(to.sun_path))
		return rmnic_error_set(err, "%s: a socket's path has at most %zu bytes", path,
				       sizeof(to.sun_path) - 1);
	memcpy(to.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return rmnic_error_set(err, "a socket cannot be made: %s", strerrordesc_np(errno));
	/* A backend that does not accept has a full queue some day. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int error = errno;

		close(fd);
		return rmnic_error_set(err, "%s: %s; is the backend running?", path,
				       error == EAGAIN ? "it does not accept connections" :
							 strerrordesc_np(error));
	}
	return fd;
}

struct rmnic_user_front *rmnic_user_front_adopt(int fd, int timeout_ms,
						struct rmnic_user_hello_reply *hello,
						struct rmnic_error *err)
{
	const struct rmnic_user_hello h = {
		.version_min = rmnic_le16_put(RMNIC_USER_VERSION),
		.version_max = rmnic_le16_put(RMNIC_USER_VERSION),
		.features = rmnic_le64_put(RMNIC_USER_FEATURES),
	};
	struct rmnic_user_front *f = calloc(1, sizeof(*f));

	if (!f) {
		close(fd);
		rmnic_error_set(err, "no memory for a connection");
		return NULL;
	}
	f->fd = fd;
	f->timeout_ms = timeout_ms;
	if (rmnic_user_front_request(f, RMNIC_USER_HELLO, &h, sizeof(h), NULL, 0, hello,
				     sizeof(*hello), NULL, err) == RMNIC_USER_S_OK)
		return f;
	rmnic_user_front_close(f);
	return NULL;
}

struct rmnic_user_front *rmnic_user_front_open(const char *path, int timeout_ms,
					       struct rmnic_user_hello_reply *hello,
					       struct rmnic_error *err)
{
	int fd = connect_to(path, timeout_ms, err);

	return fd < 0 ? NULL : rmnic_user_front_adopt(fd, timeout_ms, hello, err);
}

int rmnic_user_front_fd(const struct rmnic_user_front *f)
{
	return f->fd;
}

void rmnic_user_front_close(struct rmnic_user_front *f)
{
	close(f->fd);
	free(f);
}

int rmnic_user_memfd(const char *name, uint64_t size, void **map, struct rmnic_error *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && ftruncate(fd, (off_t)size) == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
		*map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (*map != MAP_FAILED)
			return fd;
	}
	rmnic_error_set(err, "%s: a memfd of %llu bytes cannot be made: %s", name,
			(unsigned long long)size, strerrordesc_np(errno));
	if (fd >= 0)
		close(fd);
	return -1;
}
