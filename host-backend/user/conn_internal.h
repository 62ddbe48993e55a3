/* SPDX-License-Identifier: BSD-3-Clause */
/* user/conn_internal.h - a connection's parts: conn.c has its life, request.c what is asked. */
#ifndef RMNIC_USER_CONN_INTERNAL_H
#define RMNIC_USER_CONN_INTERNAL_H

#include "user/conn.h"
#include "user/peer.h"
#include "user/stream.h"

/* How far setting up has come. */
enum rmnic_user_stage {
	RMNIC_USER_STAGE_NEW,
	RMNIC_USER_STAGE_HELLO, /* was answered */
	RMNIC_USER_STAGE_DEVICE,
	RMNIC_USER_STAGE_BYE,
};

struct rmnic_user_conn {
	struct rmnic_user_conn_config config;
	struct rmnic_user_stream stream;
	struct rmnic_user_peer peer;
	uint32_t told;      /* what the owner watches for */
	const char *broken; /* why nothing can be sent any more */
	bool in_ready;
	bool gone;

	bool under_way; /* a request was handed out and not answered */
	uint16_t type;  /* of it */
	uint32_t seq;

	enum rmnic_user_stage stage;
	bool enabled;
	uint64_t capacity, max_capacity; /* pages */
	uint32_t slab_pages;
	uint16_t vectors;
	bool logged[RMNIC_USER_REQUESTS][RMNIC_USER_S_COUNT];
};

/* Checks the request in the stream and answers it or hands it to the owner. */
void rmnic_user_conn_dispatch(struct rmnic_user_conn *conn);
/* The owner answered OK with payload: what that means for the requests to come. */
void rmnic_user_conn_done(struct rmnic_user_conn *conn, const void *payload);
/* Counts a refusal, and logs it if it is news. */
void rmnic_user_conn_count(struct rmnic_user_conn *conn, uint16_t status, const char *text);

#endif /* RMNIC_USER_CONN_INTERNAL_H */
