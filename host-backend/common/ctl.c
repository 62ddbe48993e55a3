/* SPDX-License-Identifier: BSD-3-Clause */
/* The control socket, the daemon's side: clients, lines, bounds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ctl.h"
#include "common/ctl_internal.h"
#include "common/listener.h"
#include "common/log.h"

struct client {
	struct rmnic_ctl *ctl; /* NULL: the slot is free */
	int fd;
	sd_event_source *io;
	sd_event_source *slow; /* runs while there is an answer that was not taken yet */
	char *out;             /* the answer under way; NULL: none */
	size_t out_len, out_done;
	size_t in_len;
	char in[RMNIC_CTL_MAX_REQUEST];
};

struct rmnic_ctl {
	sd_event *event;
	sd_event_source *io;
	struct rmnic_listener listener;
	const struct rmnic_ctl_command *commands;
	void *arg;
	unsigned int slow_ms;
	struct client *client[RMNIC_CTL_MAX_CLIENTS];
};

/* --- One client --------------------------------------------------------------------------- */

static void client_drop(struct client *c)
{
	struct rmnic_ctl *ctl = c->ctl;

	for (int i = 0; i < RMNIC_CTL_MAX_CLIENTS; i++)
		if (ctl->client[i] == c)
			ctl->client[i] = NULL;
	sd_event_source_disable_unref(c->io);
	sd_event_source_disable_unref(c->slow);
	close(c->fd);
	free(c->out);
	free(c);
}

/* Sends what the socket takes. False: the client is gone. */
static bool client_send(struct client *c)
{
	while (c->out && c->out_done < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_done, c->out_len - c->out_done,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0)
			return false;
		c->out_done += (size_t)n;
		/* It takes something: the limit is for one that takes nothing. */
		sd_event_source_set_time_relative(c->slow, c->ctl->slow_ms * 1000ull);
	}
	free(c->out);
	c->out = NULL;
	return true;
}

/* The answer becomes what is to be sent; json is given away. */
static bool client_answer(struct client *c, json_t *json)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	char *line = NULL;

	json_decref(json);
	if (text && len < RMNIC_CTL_MAX_REPLY)
		line = realloc(text, len + 2);
	if (!line) {
		rmnic_log_limited(RMNIC_LOG_WARN, "control: an answer of %zu bytes is dropped", len);
		free(text);
		return false;
	}
	line[len] = '\n';
	c->out = line;
	c->out_len = len + 1;
	c->out_done = 0;
	return true;
}

/* Answers the lines that are there, one at a time; the rest waits while an answer does. */
static bool client_work(struct client *c)
{
	while (!c->out) {
		char *end = memchr(c->in, '\n', c->in_len);
		size_t used;

		if (!end)
			break;
		used = (size_t)(end - c->in) + 1;
		if (!client_answer(c, rmnic_ctl_request(c->ctl->commands, c->ctl->arg, c->in,
							used - 1)))
			return false;
		memmove(c->in, c->in + used, c->in_len - used);
		c->in_len -= used;
		if (!client_send(c))
			return false;
	}
	return true;
}

/* False: it closed, or sent a line that is too long. */
static bool client_receive(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_len, sizeof(c->in) - c->in_len, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0)
		return false;
	c->in_len += (size_t)n;
	if (!memchr(c->in, '\n', c->in_len) && c->in_len == sizeof(c->in)) {
		rmnic_log_limited(RMNIC_LOG_WARN, "control: a request longer than %d bytes: its "
				  "client is dropped", RMNIC_CTL_MAX_REQUEST);
		return false;
	}
	return true;
}

static int on_client(sd_event_source *source, int fd, uint32_t events, void *arg)
{
	struct client *c = arg;
	bool alive = true;

	(void)source;
	(void)fd;
	if (events & EPOLLOUT)
		alive = client_send(c);
	if (alive && !c->out && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		alive = client_receive(c);
	if (alive)
		alive = client_work(c);
	if (alive && c->out && (events & EPOLLHUP))
		alive = false; /* nobody is left to take it */
	if (!alive) {
		client_drop(c);
		return 0;
	}
	sd_event_source_set_io_events(c->io, c->out ? EPOLLOUT : EPOLLIN);
	sd_event_source_set_enabled(c->slow, c->out ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	return 0;
}

static int on_slow(sd_event_source *source, uint64_t usec, void *arg)
{
	(void)source;
	(void)usec;
	rmnic_log_limited(RMNIC_LOG_WARN, "control: a client that takes no answer is dropped");
	client_drop(arg);
	return 0;
}

static struct client *client_create(struct rmnic_ctl *ctl, int fd)
{
	struct client *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->ctl = ctl;
	c->fd = fd;
	if (sd_event_add_io(ctl->event, &c->io, fd, EPOLLIN, on_client, c) < 0 ||
	    sd_event_add_time_relative(ctl->event, &c->slow, CLOCK_MONOTONIC,
				       ctl->slow_ms * 1000ull, 0, on_slow, c) < 0) {
		sd_event_source_disable_unref(c->io);
		free(c);
		return NULL;
	}
	sd_event_source_set_enabled(c->slow, SD_EVENT_OFF);
	return c;
}

/* --- The socket --------------------------------------------------------------------------- */

static int on_connect(sd_event_source *source, int listening, uint32_t events, void *arg)
{
	static const char full[] = "{\"ok\":false,\"error\":\"too many control clients\"}\n";
	struct rmnic_ctl *ctl = arg;
	int fd = rmnic_listener_accept(&ctl->listener);

	(void)source;
	(void)listening;
	(void)events;
	if (fd < 0)
		return 0;
	for (int i = 0; i < RMNIC_CTL_MAX_CLIENTS; i++) {
		if (ctl->client[i])
			continue;
		ctl->client[i] = client_create(ctl, fd);
		if (ctl->client[i])
			return 0;
		break;
	}
	/* A fresh socket has room for so little; where it has not, closing says it as well. */
	if (send(fd, full, sizeof(full) - 1, MSG_NOSIGNAL) < 0)
		rmnic_log_debug("control: a client left before it was refused");
	close(fd);
	return 0;
}

struct rmnic_ctl *rmnic_ctl_listen(sd_event *event, const char *path,
				   const struct rmnic_ctl_command *commands, void *arg,
				   struct rmnic_error *err)
{
	struct rmnic_ctl *ctl = calloc(1, sizeof(*ctl));
	int ret;

	if (!ctl) {
		rmnic_error_set(err, "out of memory");
		return NULL;
	}
	ctl->event = event;
	ctl->commands = commands;
	ctl->arg = arg;
	ctl->slow_ms = RMNIC_CTL_SLOW_MS;
	if (rmnic_listener_open(&ctl->listener, path, err))
		goto fail;
	ret = sd_event_add_io(event, &ctl->io, ctl->listener.fd, EPOLLIN, on_connect, ctl);
	if (ret < 0) {
		rmnic_error_set(err, "%s: %s", path, strerror(-ret));
		goto fail;
	}
	return ctl;
fail:
	rmnic_ctl_close(ctl);
	return NULL;
}

void rmnic_ctl_slow_set(struct rmnic_ctl *ctl, unsigned int ms)
{
	ctl->slow_ms = ms;
}

void rmnic_ctl_close(struct rmnic_ctl *ctl)
{
	if (!ctl)
		return;
	for (int i = 0; i < RMNIC_CTL_MAX_CLIENTS; i++)
		if (ctl->client[i])
			client_drop(ctl->client[i]);
	sd_event_source_disable_unref(ctl->io);
	rmnic_listener_close(&ctl->listener);
	free(ctl);
}
