/* SPDX-License-Identifier: BSD-3-Clause */
#include "user/conn.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/le.h"
#include "user/conn_internal.h"

/* --- Life ------------------------------------------------------------------------------------- */

struct rmnic_user_conn *rmnic_user_conn_create(int fd, const struct rmnic_user_conn_config *config)
{
	struct rmnic_user_conn *conn = calloc(1, sizeof(*conn));

	if (!conn) {
		close(fd);
		return NULL;
	}
	conn->config = *config;
	rmnic_user_stream_open(&conn->stream, fd);
	rmnic_user_peer_find(&conn->peer, fd);
	conn->told = rmnic_user_conn_events(conn);
	return conn;
}

/* INVARIANT: nobody but _ready(), which looks at gone, uses conn after this. */
static void let_go(struct rmnic_user_conn *conn)
{
	rmnic_user_stream_close(&conn->stream);
	conn->gone = true;
	if (!conn->in_ready)
		free(conn);
}

void rmnic_user_conn_destroy(struct rmnic_user_conn *conn, bool leaving)
{
	const struct rmnic_user_msg notice = { .type = RMNIC_USER_LEAVING,
					       .flags = RMNIC_USER_F_NOTICE };

	if (leaving && !conn->broken)
		rmnic_user_stream_send(&conn->stream, &notice, NULL);
	if (conn->peer.pidfd >= 0)
		close(conn->peer.pidfd);
	let_go(conn);
}

static void end(struct rmnic_user_conn *conn, const char *why)
{
	bool dead = rmnic_user_peer_dead(&conn->peer);
	int pidfd = conn->peer.pidfd;

	if (dead && pidfd >= 0) {
		close(pidfd);
		pidfd = -1;
	}
	conn->config.ops->closed(conn->config.arg, why, dead, pidfd);
	let_go(conn);
}

int rmnic_user_conn_fd(const struct rmnic_user_conn *conn)
{
	return conn->stream.fd;
}

int rmnic_user_conn_pid(const struct rmnic_user_conn *conn, int *pidfd)
{
	if (pidfd)
		*pidfd = conn->peer.pidfd;
	return conn->peer.pid > 0 ? conn->peer.pid : -1;
}

/* --- The socket ------------------------------------------------------------------------------- */

/* A request is only read when nothing of what came before is left to do. */
uint32_t rmnic_user_conn_events(const struct rmnic_user_conn *conn)
{
	if (conn->stream.out_len)
		return EPOLLOUT;
	return conn->under_way ? 0 : EPOLLIN;
}

static void tell(struct rmnic_user_conn *conn)
{
	uint32_t events = rmnic_user_conn_events(conn);

	if (events == conn->told)
		return;
	conn->told = events;
	if (conn->config.ops->watch)
		conn->config.ops->watch(conn->config.arg, events);
}

/* The owner is in the middle of something: it hears of the end from its event loop. */
static void break_off(struct rmnic_user_conn *conn, const char *why)
{
	conn->broken = why;
	shutdown(conn->stream.fd, SHUT_RDWR);
}

static void send_message(struct rmnic_user_conn *conn, const struct rmnic_user_msg *msg,
			 const void *payload)
{
	const char *why = conn->broken ? NULL :
					 rmnic_user_stream_send(&conn->stream, msg, payload);

	if (why)
		break_off(conn, why);
	tell(conn);
}

/* Takes what came, at most one request. Returns why the connection ends, or NULL. */
static const char *advance(struct rmnic_user_conn *conn)
{
	const char *why;
	int whole;

	if (conn->broken)
		return conn->broken;
	why = rmnic_user_stream_flush(&conn->stream);
	if (why)
		return why;
	if (conn->under_way || conn->stream.out_len)
		return rmnic_user_stream_hung_up(&conn->stream) ? "the other end closed" : NULL;
	whole = rmnic_user_stream_receive(&conn->stream, &why);
	if (whole < 0)
		return why;
	if (whole) {
		conn->seq = conn->stream.msg.seq;
		conn->under_way = true;
		conn->type = conn->stream.msg.type;
		rmnic_user_conn_dispatch(conn);
		if (!conn->gone)
			rmnic_user_stream_next(&conn->stream);
	}
	return NULL;
}

void rmnic_user_conn_ready(struct rmnic_user_conn *conn)
{
	const char *why;

	conn->in_ready = true;
	why = advance(conn);
	conn->in_ready = false;
	if (conn->gone)
		free(conn);
	else if (why)
		end(conn, why);
	else
		tell(conn);
}

/* --- Answers ---------------------------------------------------------------------------------- */

static void reply(struct rmnic_user_conn *conn, uint16_t status, const void *payload, uint32_t size)
{
	const struct rmnic_user_msg msg = {
		.type = conn->type, .flags = RMNIC_USER_F_REPLY, .status = status,
		.size = size, .seq = conn->seq,
	};

	conn->under_way = false;
	send_message(conn, &msg, payload);
}

void rmnic_user_conn_answer(struct rmnic_user_conn *conn, const void *payload, uint32_t size)
{
	if (!conn->under_way || size != rmnic_user_reply_size(conn->type)) {
		break_off(conn, "this backend answered wrongly");
		return;
	}
	rmnic_user_conn_done(conn, payload);
	reply(conn, RMNIC_USER_S_OK, payload, size);
}

void rmnic_user_conn_refuse(struct rmnic_user_conn *conn, uint16_t status, uint64_t available,
			    const char *text)
{
	struct rmnic_user_error error = { .available = rmnic_le64_put(available) };
	size_t len = strnlen(text, sizeof(error.text) - 1);

	if (!conn->under_way) {
		break_off(conn, "this backend answered wrongly");
		return;
	}
	memcpy(error.text, text, len);
	rmnic_user_conn_count(conn, status, text);
	reply(conn, status, &error, sizeof(error));
}

void rmnic_user_conn_fatal(struct rmnic_user_conn *conn, uint32_t error, uint32_t generation)
{
	const struct rmnic_user_fatal fatal = { rmnic_le32_put(error),
						rmnic_le32_put(generation) };
	const struct rmnic_user_msg msg = { .type = RMNIC_USER_FATAL,
					    .flags = RMNIC_USER_F_NOTICE,
					    .size = sizeof(fatal) };

	send_message(conn, &msg, &fatal);
}
