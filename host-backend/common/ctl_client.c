/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket, the client's side. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/ctl.h"

struct rmnic_ctl_client {
	int fd;
	int timeout_ms;
	char *in; /* what came and is no whole line yet */
	size_t in_len, in_size;
};

static int address_set(const char *path, struct sockaddr_un *out, struct rmnic_error *err)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(out->sun_path))
		return rmnic_error_set(err, "%s: the path is too long for a socket (at most %zu "
				       "bytes)", path, sizeof(out->sun_path) - 1);
	snprintf(out->sun_path, sizeof(out->sun_path), "%s", path);
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits for events until deadline. */
static int wait_for(const struct rmnic_ctl_client *client, short events, int64_t deadline,
		    struct rmnic_error *err)
{
	struct pollfd pfd = { .fd = client->fd, .events = events };

	for (;;) {
		int64_t left = deadline - now_ms();
		int ret = left > 0 ? poll(&pfd, 1, (int)left) : 0;

		if (ret > 0)
			return 0;
		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return rmnic_error_set(err, "%s", strerror(errno));
		return rmnic_error_set(err, "the daemon did not answer within %d ms",
				       client->timeout_ms);
	}
}

struct rmnic_ctl_client *rmnic_ctl_connect(const char *path, int timeout_ms,
					   struct rmnic_error *err)
{
	struct rmnic_ctl_client *client;
	struct sockaddr_un address;

	if (address_set(path, &address, err))
		return NULL;
	client = calloc(1, sizeof(*client));
	if (!client) {
		rmnic_error_set(err, "out of memory");
		return NULL;
	}
	client->timeout_ms = timeout_ms;
	/* A UNIX socket's connect either is done at once or the backlog is full. */
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (client->fd >= 0 &&
	    !connect(client->fd, (struct sockaddr *)&address, sizeof(address)))
		return client;
	if (errno == ENOENT || errno == ECONNREFUSED)
		rmnic_error_set(err, "%s: no daemon there (%s)", path,
				errno == ENOENT ? "no such socket" : "nobody listens");
	else if (errno == EAGAIN)
		rmnic_error_set(err, "%s: the daemon is too busy to take a connection", path);
	else
		rmnic_error_set(err, "%s: %s", path, strerror(errno));
	rmnic_ctl_disconnect(client);
	return NULL;
}

void rmnic_ctl_disconnect(struct rmnic_ctl_client *client)
{
	if (!client)
		return;
	if (client->fd >= 0)
		close(client->fd);
	free(client->in);
	free(client);
}

static int send_all(const struct rmnic_ctl_client *client, const char *text, size_t len,
		    int64_t deadline, struct rmnic_error *err)
{
	while (len) {
		ssize_t n = send(client->fd, text, len, MSG_NOSIGNAL);

		if (n >= 0) {
			text += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			if (wait_for(client, POLLOUT, deadline, err))
				return -1;
		} else if (errno == EPIPE) {
			return rmnic_error_set(err, "the daemon closed the connection");
		} else if (errno != EINTR) {
			return rmnic_error_set(err, "sending: %s", strerror(errno));
		}
	}
	return 0;
}

static int make_room(struct rmnic_ctl_client *client, struct rmnic_error *err)
{
	size_t size = client->in_size ? client->in_size * 2 : 65536;
	char *in;

	if (client->in_len < client->in_size)
		return 0;
	if (size > 2ull * RMNIC_CTL_MAX_REPLY)
		return rmnic_error_set(err, "the answer is too long");
	in = realloc(client->in, size);
	if (!in)
		return rmnic_error_set(err, "out of memory");
	client->in = in;
	client->in_size = size;
	return 0;
}

/* Length of the first line without its newline, or -1 with err. */
static ssize_t line_receive(struct rmnic_ctl_client *client, int64_t deadline,
			    struct rmnic_error *err)
{
	for (size_t seen = 0;;) {
		char *end = client->in_len > seen ?
				    memchr(client->in + seen, '\n', client->in_len - seen) : NULL;
		ssize_t n;

		if (end)
			return end - client->in;
		seen = client->in_len;
		if (make_room(client, err) || wait_for(client, POLLIN, deadline, err))
			return -1;
		n = recv(client->fd, client->in + client->in_len,
			 client->in_size - client->in_len, 0);
		if (n == 0)
			return rmnic_error_set(err, "the daemon closed the connection");
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return rmnic_error_set(err, "receiving: %s", strerror(errno));
		if (n > 0)
			client->in_len += (size_t)n;
	}
}

/* The result of an answer, which is given away. */
static json_t *result_take(json_t *answer, struct rmnic_error *err)
{
	json_t *result = NULL;

	if (json_is_true(json_object_get(answer, "ok"))) {
		result = json_incref(json_object_get(answer, "result"));
		if (!result)
			rmnic_error_set(err, "the daemon's answer has no result");
	} else {
		const char *text = json_string_value(json_object_get(answer, "error"));

		rmnic_error_set(err, "%s", text ? text : "the daemon's answer makes no sense");
	}
	json_decref(answer);
	return result;
}

json_t *rmnic_ctl_ask(struct rmnic_ctl_client *client, json_t *request,
		      struct rmnic_error *err)
{
	int64_t deadline = now_ms() + client->timeout_ms;
	char *text = json_dumps(request, JSON_COMPACT);
	json_error_t parse;
	json_t *answer;
	ssize_t len;
	int ret;

	json_decref(request);
	if (!text) {
		rmnic_error_set(err, "the request cannot be written as JSON");
		return NULL;
	}
	ret = send_all(client, text, strlen(text), deadline, err);
	free(text);
	if (ret || send_all(client, "\n", 1, deadline, err))
		return NULL;
	len = line_receive(client, deadline, err);
	if (len < 0)
		return NULL;
	answer = json_loadb(client->in, (size_t)len, 0, &parse);
	memmove(client->in, client->in + len + 1, client->in_len - (size_t)len - 1);
	client->in_len -= (size_t)len + 1;
	if (!answer) {
		rmnic_error_set(err, "the daemon's answer is no JSON: %s", parse.text);
		return NULL;
	}
	return result_take(answer, err);
}
