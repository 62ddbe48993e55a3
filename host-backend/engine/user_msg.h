/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/user_msg.h - the messages of rmnic-user (spec/user.md): making and checking them.
 *
 * Pure: no socket is touched. Both ends use it, so that what one accepts the other can send.
 */
#ifndef RMNIC_ENGINE_USER_MSG_H
#define RMNIC_ENGINE_USER_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/state_block.h"
#include "rmnic/user.h"

/* A header in the host's order; magic and reserved fields were checked. */
struct rmnic_user_msg {
	uint16_t type;
	uint16_t flags;
	uint16_t status;
	uint32_t size; /* of the payload */
	uint32_t seq;
};

void rmnic_user_hdr_put(struct rmnic_user_hdr *hdr, const struct rmnic_user_msg *msg);
/*
 * Reads a header. reply: it comes from a backend. NULL: it can be right, and the payload is at
 * most RMNIC_USER_MAX_PAYLOAD bytes. Else what is wrong: the connection cannot go on.
 */
const char *rmnic_user_hdr_get(const struct rmnic_user_hdr *hdr, bool reply,
			       struct rmnic_user_msg *msg);
/*
 * Checks a request as far as it can be by itself: length, reserved fields, number of fds,
 * ranges. RMNIC_USER_S_OK, or a status and in *why what is wrong.
 */
uint16_t rmnic_user_request_check(const struct rmnic_user_msg *msg, const void *payload,
				  unsigned int nfds, const char **why);
/* The shape of the state block that goes with a device: what is in its memory is not looked at. */
void rmnic_user_device_shape(const struct rmnic_user_device *device,
			     struct rmnic_state_shape *shape);
/*
 * Checks a reply against the request (its type and seq), or a notice. NULL: it is right; else
 * what is wrong: the connection cannot go on. type 0: no request is under way.
 */
const char *rmnic_user_reply_check(const struct rmnic_user_msg *msg, const void *payload,
				   uint16_t type, uint32_t seq);
/* Bytes that the answer OK to a request has. */
uint32_t rmnic_user_reply_size(uint16_t type);
/* Makes text fit to be shown: printable ASCII, terminated (USER-3). */
void rmnic_user_text_clean(const char *from, char to[RMNIC_USER_TEXT_MAX]);
/* "HELLO", "NO_SPACE", ...; "?" for a value that is unknown. */
const char *rmnic_user_type_name(uint16_t type);
const char *rmnic_user_status_name(uint16_t status);

#endif /* RMNIC_ENGINE_USER_MSG_H */
