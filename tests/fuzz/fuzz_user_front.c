/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_user_front.c - the front end's checks of rmnic-user against a hostile backend, driven by
 * libFuzzer.
 *
 * The input is a program: what the backend says, said before it is asked, and what it is
 * asked. What must hold (USER-1, USER-3):
 *   - no access outside of a message, whatever its length says (the sanitizer),
 *   - what is taken as right is right: a status that exists, a reply of the length of its type,
 *   - a text that a person will see is printable,
 *   - a connection that was found broken stays broken.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/user_msg.h"
#include "program.h"
#include "user/front.h"

#define CHECK(x) ((x) ? (void)0 : abort())

static int backend;

/* A message that is right for the request with this type and number, but for what is changed. */
static void made_message(uint16_t type, uint32_t seq)
{
	static struct {
		struct rmnic_user_hdr hdr;
		uint8_t payload[RMNIC_USER_MAX_PAYLOAD];
	} out;
	uint64_t kind = take(1), lies = take(1);
	struct rmnic_user_msg msg = { .type = type, .flags = RMNIC_USER_F_REPLY, .seq = seq,
				      .size = rmnic_user_reply_size(type) };

	memset(&out, 0, sizeof(out));
	if (kind % 8 == 0) {
		msg.status = (uint16_t)(1 + take(1) % 15);
		msg.size = sizeof(struct rmnic_user_error);
	} else if (kind % 8 == 1) {
		msg.type = (uint16_t)(RMNIC_USER_FATAL + take(1) % 3);
		msg.flags = RMNIC_USER_F_NOTICE;
		msg.seq = 0;
		msg.size = msg.type == RMNIC_USER_FATAL ? sizeof(struct rmnic_user_fatal) : 0;
		out.payload[0] = (uint8_t)take(1);
	} else if (type == RMNIC_USER_HELLO) {
		out.payload[0] = 1;
	}
	for (uint64_t i = 0; i < lies % 8; i++)
		out.payload[take(2) % 512] ^= (uint8_t)take(1);
	if (lies & 64)
		msg.size = (uint32_t)take(2) % sizeof(out.payload);
	rmnic_user_hdr_put(&out.hdr, &msg);
	if (lies & 128)
		((uint8_t *)&out.hdr)[take(1) % sizeof(out.hdr)] ^= (uint8_t)take(1);
	send(backend, &out, sizeof(out.hdr) + msg.size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void say(uint16_t type, uint32_t seq)
{
	uint8_t raw[512];
	uint32_t len;

	switch (take(1) % 8) {
	case 0:
		len = (uint32_t)take(2) % sizeof(raw);
		for (uint32_t i = 0; i < len; i++)
			raw[i] = (uint8_t)take(1);
		send(backend, raw, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		break;
	case 1:
		shutdown(backend, SHUT_WR);
		break;
	case 2:
		made_message((uint16_t)take(1), (uint32_t)take(1));
		break;
	default:
		made_message(type, seq);
	}
	if (take(1) % 4 == 0)
		made_message(type, seq);
}

static void check_text(const struct rmnic_error *err)
{
	CHECK(memchr(err->text, 0, sizeof(err->text)));
	for (const char *p = err->text; *p; p++)
		CHECK(*p >= ' ' && *p <= '~');
}

/* The checks alone, with the bytes in a block of their own: nothing behind them may be read. */
static void one_message(void)
{
	uint32_t size = (uint32_t)take(2) % (RMNIC_USER_MAX_PAYLOAD + 1);
	struct rmnic_user_hdr hdr;
	struct rmnic_user_msg msg;
	uint8_t *payload;

	for (size_t i = 0; i < sizeof(hdr); i++)
		((uint8_t *)&hdr)[i] = (uint8_t)take(1);
	if (take(1) & 1)
		hdr.size = size;
	if (rmnic_user_hdr_get(&hdr, true, &msg))
		return;
	CHECK(msg.size <= RMNIC_USER_MAX_PAYLOAD && msg.status < RMNIC_USER_S_COUNT);
	payload = malloc(msg.size ? msg.size : 1);
	for (uint32_t i = 0; i < msg.size; i++)
		payload[i] = (uint8_t)take(1);
	if (!rmnic_user_reply_check(&msg, payload, msg.type, msg.seq) &&
	    msg.flags == RMNIC_USER_F_REPLY) {
		CHECK(msg.status || (msg.type && msg.type < RMNIC_USER_REQUESTS));
		CHECK(msg.size == (msg.status ? sizeof(struct rmnic_user_error) :
						rmnic_user_reply_size(msg.type)));
	}
	free(payload);
}

static void ask(struct rmnic_user_front *front, uint32_t seq)
{
	static uint8_t reply[RMNIC_USER_MAX_PAYLOAD];
	uint16_t type = (uint16_t)(1 + take(1) % (RMNIC_USER_REQUESTS - 1));
	uint32_t error, generation;
	struct rmnic_error err = { { 0 } };
	uint64_t available = 1;
	int status;

	say(type, seq);
	if (take(1) % 4 == 0 && rmnic_user_front_listen(front, &err) < 0)
		check_text(&err);
	status = rmnic_user_front_request(front, type, NULL, 0, NULL, 0, reply,
					  rmnic_user_reply_size(type), &available, &err);
	CHECK(status >= -1 && status < RMNIC_USER_S_COUNT);
	CHECK(!available || status == RMNIC_USER_S_NO_SPACE);
	if (status)
		check_text(&err);
	if (rmnic_user_front_fatal(front, &error, &generation))
		CHECK(error && error <= RMNIC_ERR_BUS_MASTER);
	if (status == -1)
		CHECK(rmnic_user_front_request(front, type, NULL, 0, NULL, 0, reply,
					       rmnic_user_reply_size(type), NULL, &err) == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rmnic_user_hello_reply hello;
	struct rmnic_user_front *front;
	struct rmnic_error err;
	int pair[2];

	program_begin(data, size);
	if (take(1) == 255) {
		one_message();
		return 0;
	}
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	backend = pair[1];
	say(RMNIC_USER_HELLO, 1);
	front = rmnic_user_front_adopt(pair[0], 0, &hello, &err);
	if (front) {
		CHECK(hello.version == RMNIC_USER_VERSION && !hello.features);
		for (uint32_t seq = 2; program_left() && seq < 50; seq++)
			ask(front, seq);
		rmnic_user_front_close(front);
	} else {
		check_text(&err);
	}
	close(backend);
	return 0;
}
