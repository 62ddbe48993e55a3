/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * user/stream.h - the bytes and file descriptors of one rmnic-user socket, made into messages.
 *
 * Never blocks: neither reading nor writing waits for the other end, whatever the socket's
 * flags are. Of the messages to come none is read before the one at hand was let go, so that
 * descriptors are always those of the message they came with.
 */
#ifndef RMNIC_USER_STREAM_H
#define RMNIC_USER_STREAM_H

#include <stdalign.h>
#include <stdbool.h>

#include "engine/user_msg.h"

/* One answer of any size and some notices: more is under way only if the peer does not read. */
#define RMNIC_USER_STREAM_OUT 8192

struct rmnic_user_stream {
	int fd;
	uint32_t got; /* bytes of the message at hand */
	struct rmnic_user_hdr hdr;
	struct rmnic_user_msg msg; /* once got has passed the header */
	alignas(8) uint8_t payload[RMNIC_USER_MAX_PAYLOAD];
	int fds[RMNIC_USER_MAX_FDS];
	unsigned int nfds;
	const char *fds_wrong; /* why the descriptors that came cannot be taken; or NULL */
	uint32_t out_len;      /* bytes of out that wait to be written */
	uint8_t out[RMNIC_USER_STREAM_OUT];
};

/* fd becomes the stream's. */
void rmnic_user_stream_open(struct rmnic_user_stream *stream, int fd);
void rmnic_user_stream_close(struct rmnic_user_stream *stream);
/* 1: msg, payload and fds are a whole request; 0: not yet; -1: the connection ended, *why. */
int rmnic_user_stream_receive(struct rmnic_user_stream *stream, const char **why);
/* Lets the message go and closes its descriptors. Those that were taken: nfds = 0 first. */
void rmnic_user_stream_next(struct rmnic_user_stream *stream);
/* Queues a message behind those that wait, and writes what can be written. NULL, or why not. */
const char *rmnic_user_stream_send(struct rmnic_user_stream *stream,
				   const struct rmnic_user_msg *msg, const void *payload);
const char *rmnic_user_stream_flush(struct rmnic_user_stream *stream);
/* The other end has closed, though something may be left to read. */
bool rmnic_user_stream_hung_up(const struct rmnic_user_stream *stream);

#endif /* RMNIC_USER_STREAM_H */
