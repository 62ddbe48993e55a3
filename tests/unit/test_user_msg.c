/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/user_msg.h"
#include "vectors.h"

static struct user_vector *vectors;
static unsigned int count;

static bool is_request(const struct user_vector *v)
{
	return !v->msg.flags;
}

static const struct user_vector *vector(const char *name)
{
	return user_vectors_find(vectors, count, name);
}

/* The vector's payload in a block of its own, so that a byte read past its end is noticed. */
static void *payload_of(const struct user_vector *v)
{
	void *exact = malloc(v->msg.size ? v->msg.size : 1);

	memcpy(exact, v->bytes + sizeof(struct rmnic_user_hdr), v->msg.size);
	return exact;
}

static uint16_t check_request(const struct user_vector *v)
{
	const char *why = "not set";
	void *payload = payload_of(v);
	uint16_t status = rmnic_user_request_check(&v->msg, payload, v->fds, &why);

	free(payload);
	assert_true(status == RMNIC_USER_S_OK ? !why : !!why[0]);
	return status;
}

static const char *check_reply(const struct user_vector *v)
{
	void *payload = payload_of(v);
	const char *why = rmnic_user_reply_check(&v->msg, payload, v->msg.type, v->msg.seq);

	free(payload);
	return why;
}

/* --- Golden vectors --------------------------------------------------------------------------- */

static void vectors__cover_every_message(void **state)
{
	bool request[RMNIC_USER_REQUESTS] = { false }, answer[RMNIC_USER_REQUESTS] = { false };

	(void)state;
	for (unsigned int i = 0; i < count; i++)
		if (vectors[i].msg.type < RMNIC_USER_REQUESTS)
			(is_request(&vectors[i]) ? request : answer)[vectors[i].msg.type] = true;
	for (unsigned int t = RMNIC_USER_HELLO; t < RMNIC_USER_REQUESTS; t++) {
		assert_true(request[t]);
		assert_true(answer[t]);
	}
	vector("fatal");
	vector("leaving");
}

/* USER-1 */
static void hdr_get__golden_vectors(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < count; i++) {
		const struct user_vector *v = &vectors[i];
		struct rmnic_user_msg m;
		struct rmnic_user_hdr hdr;

		memset(&m, 0x55, sizeof(m));
		memcpy(&hdr, v->bytes, sizeof(hdr));
		assert_null(rmnic_user_hdr_get(&hdr, !is_request(v), &m));
		assert_non_null(rmnic_user_hdr_get(&hdr, is_request(v), &m));
		assert_int_equal(m.type, v->msg.type);
		assert_int_equal(m.flags, v->msg.flags);
		assert_int_equal(m.size, v->msg.size);
		assert_int_equal(m.seq, v->msg.seq);
		assert_int_equal(m.status, v->msg.status);
		assert_int_equal(v->len, sizeof(hdr) + m.size);
	}
}

static void hdr_put__golden_vectors(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < count; i++) {
		struct rmnic_user_hdr hdr;

		memset(&hdr, 0x55, sizeof(hdr));
		rmnic_user_hdr_put(&hdr, &vectors[i].msg);
		assert_memory_equal(&hdr, vectors[i].bytes, sizeof(hdr));
	}
}

static void checks__golden_vectors(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < count; i++) {
		const struct user_vector *v = &vectors[i];

		if (!is_request(v))
			assert_null(check_reply(v));
		else
			assert_int_equal(check_request(v), v->msg.type == RMNIC_USER_LOG ?
								   RMNIC_USER_S_UNSUPPORTED :
								   RMNIC_USER_S_OK);
	}
}

/* --- Headers ---------------------------------------------------------------------------------- */

/* USER-1: each byte of a header that is wrong is seen; those that say what comes, may differ. */
static void hdr_get__every_byte(void **state)
{
	static const char *const names[] = { "hello", "hello-reply", "fatal" };

	(void)state;
	for (unsigned int n = 0; n < 3; n++) {
		const struct user_vector *v = vector(names[n]);

		for (unsigned int at = 0; at < sizeof(struct rmnic_user_hdr); at++) {
			bool free_choice = (at >= 4 && at < 6) || /* type */
					   (at >= 12 && at < 16 && n < 2) || /* seq */
					   (at == 16 && n == 1); /* status of a reply */
			struct rmnic_user_hdr hdr;
			struct rmnic_user_msg m;

			memcpy(&hdr, v->bytes, sizeof(hdr));
			if (at == 8) /* another length, no impossible one */
				continue;
			((uint8_t *)&hdr)[at] ^= at == 9 ? 0x60 : at == 16 ? 0x07 : 0x50;
			assert_int_equal(!rmnic_user_hdr_get(&hdr, n > 0, &m), free_choice);
		}
	}
}

static void hdr_get__limits(void **state)
{
	struct rmnic_user_msg m = { .type = 1, .size = RMNIC_USER_MAX_PAYLOAD }, got;
	struct rmnic_user_hdr hdr;

	(void)state;
	rmnic_user_hdr_put(&hdr, &m);
	assert_null(rmnic_user_hdr_get(&hdr, false, &got));
	m.size++;
	rmnic_user_hdr_put(&hdr, &m);
	assert_non_null(rmnic_user_hdr_get(&hdr, false, &got));
	m = (struct rmnic_user_msg){ .type = 1, .flags = RMNIC_USER_F_REPLY,
				     .status = RMNIC_USER_S_COUNT - 1 };
	rmnic_user_hdr_put(&hdr, &m);
	assert_null(rmnic_user_hdr_get(&hdr, true, &got));
	m.status++;
	rmnic_user_hdr_put(&hdr, &m);
	assert_non_null(rmnic_user_hdr_get(&hdr, true, &got));
	m.status = 0;
	m.flags = RMNIC_USER_F_REPLY | RMNIC_USER_F_NOTICE;
	rmnic_user_hdr_put(&hdr, &m);
	assert_non_null(rmnic_user_hdr_get(&hdr, true, &got));
}

/* --- Requests --------------------------------------------------------------------------------- */

/* USER-1: no other length, no other number of file descriptors. */
static void request__length_and_fds(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < count; i++) {
		struct user_vector v = vectors[i];

		if (!is_request(&v) || v.msg.type == RMNIC_USER_LOG)
			continue;
		v.msg.size++;
		assert_int_equal(check_request(&v), RMNIC_USER_S_INVALID);
		v.msg.size = v.msg.size > 1 ? v.msg.size - 2 : 8;
		assert_int_equal(check_request(&v), RMNIC_USER_S_INVALID);
		v.msg.size = vectors[i].msg.size;
		for (v.fds = 0; v.fds <= RMNIC_USER_MAX_FDS + 1; v.fds++)
			if (v.fds != vectors[i].fds)
				assert_int_equal(check_request(&v), RMNIC_USER_S_INVALID);
	}
}

static void request__unknown_type(void **state)
{
	struct user_vector v = *vector("reset");

	(void)state;
	v.msg.type = 0;
	assert_int_equal(check_request(&v), RMNIC_USER_S_UNSUPPORTED);
	v.msg.type = RMNIC_USER_REQUESTS;
	assert_int_equal(check_request(&v), RMNIC_USER_S_UNSUPPORTED);
	v.msg.type = RMNIC_USER_FATAL;
	assert_int_equal(check_request(&v), RMNIC_USER_S_UNSUPPORTED);
	v.msg.type = 0xffff;
	assert_int_equal(check_request(&v), RMNIC_USER_S_UNSUPPORTED);
}

/* What the request is answered with when one field of it has another value. */
struct wrong {
	const char *vector;
	size_t at, bytes;
	uint64_t value;
	uint16_t status;
};

#define AT(type, field) \
	offsetof(struct rmnic_user_##type, field), sizeof(((struct rmnic_user_##type *)0)->field)
#define NO   RMNIC_USER_S_INVALID
#define FINE RMNIC_USER_S_OK

static const struct wrong wrongs[] = {
	{ "hello", AT(hello, version_min), 0, NO },
	{ "hello", AT(hello, version_min), 3, FINE },
	{ "hello", AT(hello, version_min), 4, NO },
	{ "hello", AT(hello, rsvd), 1, NO },
	{ "device", AT(device, capacity), 0, NO },
	{ "device", AT(device, capacity), 16384 + 1, NO },
	{ "device", AT(device, capacity), 65536, FINE },
	{ "device", AT(device, capacity), 65536 + 16384, NO },
	{ "device", AT(device, max_capacity), RMNIC_MAX_CAPACITY + 16384, NO },
	{ "device", AT(device, max_capacity), 65536 + 1, NO },
	{ "device", AT(device, slab_pages), 0, NO },
	{ "device", AT(device, slab_pages), 16383, NO },
	{ "device", AT(device, max_qpairs), 1, NO },
	{ "device", AT(device, max_qpairs), 257, NO },
	{ "device", AT(device, max_depth), 0, NO },
	{ "device", AT(device, max_depth), 1, NO },
	{ "device", AT(device, max_depth), 255, NO },
	{ "device", AT(device, max_depth), 8192, NO },
	{ "device", AT(device, vectors), 0, NO },
	{ "device", AT(device, vectors), 1, FINE },
	{ "device", AT(device, vectors), 2049, FINE },
	{ "device", AT(device, vectors), 2050, NO },
	{ "device", AT(device, rsvd0), 1, NO },
	{ "device", AT(device, epoch), 0, NO },
	{ "device", AT(device, features), UINT64_MAX, FINE }, /* the backend knows what it has */
	{ "device", AT(device, state_size), 0, NO },
	{ "device", AT(device, state_size), 0x10b000 - 4096, NO },
	{ "device", AT(device, state_size), 0x10b000 + 4096, NO },
	{ "mem-add", AT(region, addr), 0x800, NO },
	{ "mem-add", AT(region, addr), 0ull - 0x40000000, FINE },
	{ "mem-add", AT(region, addr), 0ull - 0x3ffff000, NO },
	{ "mem-add", AT(region, size), 0, NO },
	{ "mem-add", AT(region, size), 0x40000001, NO },
	{ "mem-add", AT(region, size), 0ull - 4096, NO },
	{ "mem-add", AT(region, offset), 0x1001, NO },
	{ "mem-add", AT(region, offset), INT64_MAX - 0xfff - 0x40000000, FINE },
	{ "mem-add", AT(region, offset), INT64_MAX - 0xfff - 0x40000000 + 4096, NO },
	{ "mem-add", AT(region, offset), 0ull - 4096, NO },
	{ "mem-add", AT(region, rsvd), 1, NO },
	{ "mem-del", AT(region, offset), 4096, NO },
	{ "mem-del", AT(region, rsvd), 1, NO },
	{ "mem-del", AT(region, size), 0, NO },
	{ "call", AT(call, first), 2049 - 16, FINE },
	{ "call", AT(call, first), 2049 - 15, NO },
	{ "call", AT(call, first), 0xffff, NO },
	{ "call", AT(call, count), 15, NO },
	{ "call", AT(call, count), 0, NO },
	{ "call", AT(call, rsvd), 1, NO },
	{ "enable", AT(enable, generation), 0, NO },
	{ "enable", AT(enable, stopped), 2, NO },
	{ "enable", AT(enable, rsvd), 1, NO },
	{ "stop", AT(stop, rsvd), 1, NO },
};

/* USER-1, USER-7, USER-9 */
static void request__every_field(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
		const struct wrong *w = &wrongs[i];
		struct user_vector v = *vector(w->vector);

		memcpy(v.bytes + sizeof(struct rmnic_user_hdr) + w->at, &w->value, w->bytes);
		if (check_request(&v) != w->status)
			fail_msg("%s: %llu at %zu is answered with %s", w->vector,
				 (unsigned long long)w->value, w->at,
				 rmnic_user_status_name(check_request(&v)));
	}
}

static void region__larger_than_any_file(void **state)
{
	struct user_vector v = *vector("mem-add");
	struct rmnic_user_region *r = (void *)(v.bytes + sizeof(struct rmnic_user_hdr));

	(void)state;
	*r = (struct rmnic_user_region){ .size = INT64_MAX - 4095ull };
	assert_int_equal(check_request(&v), RMNIC_USER_S_OK);
	r->size += 4096;
	assert_int_equal(check_request(&v), RMNIC_USER_S_INVALID);
}

static void device__strings_and_uuid(void **state)
{
	struct user_vector v = *vector("device");
	struct rmnic_user_device *d = (void *)(v.bytes + sizeof(struct rmnic_user_hdr));

	(void)state;
	memset(d->name, 0, sizeof(d->name));
	assert_int_equal(check_request(&v), RMNIC_USER_S_OK);
	d->name[31] = 'x';
	assert_int_equal(check_request(&v), RMNIC_USER_S_INVALID);
	memset(d->name, 'x', sizeof(d->name));
	assert_int_equal(check_request(&v), RMNIC_USER_S_INVALID);
	d->name[31] = 0;
	assert_int_equal(check_request(&v), RMNIC_USER_S_OK);
	d->serial[1] = '\n';
	assert_int_equal(check_request(&v), RMNIC_USER_S_INVALID);
	d->serial[1] = '\x80';
	assert_int_equal(check_request(&v), RMNIC_USER_S_INVALID);
	d->serial[1] = '~';
	assert_int_equal(check_request(&v), RMNIC_USER_S_OK);
	memset(d->uuid, 0, sizeof(d->uuid));
	assert_int_equal(check_request(&v), RMNIC_USER_S_INVALID);
	d->uuid[15] = 1;
	assert_int_equal(check_request(&v), RMNIC_USER_S_OK);
}

/* The largest device that one can ask for has a state block. */
static void device__largest(void **state)
{
	struct user_vector v = *vector("device");
	struct rmnic_user_device *d = (void *)(v.bytes + sizeof(struct rmnic_user_hdr));
	struct rmnic_state_shape shape;

	(void)state;
	d->max_qpairs = RMNIC_MAX_QPAIRS;
	d->max_depth = RMNIC_MAX_DEPTH;
	rmnic_user_device_shape(d, &shape);
	assert_int_equal(shape.queues, RMNIC_MAX_QPAIRS + 1);
	assert_int_equal(shape.epoch, 7);
	assert_memory_equal(shape.uuid, d->uuid, 16);
	d->state_size = rmnic_state_size(&shape);
	assert_true(d->state_size > (RMNIC_MAX_QPAIRS + 1ull) * RMNIC_MAX_DEPTH *
					    sizeof(struct rmnic_state_flight));
	assert_int_equal(check_request(&v), RMNIC_USER_S_OK);
}

/* --- Replies ---------------------------------------------------------------------------------- */

static void reply__to_another_request(void **state)
{
	const struct user_vector *v = vector("reset-reply");
	struct user_vector other = *v;

	(void)state;
	assert_null(rmnic_user_reply_check(&v->msg, NULL, RMNIC_USER_RESET, v->msg.seq));
	assert_non_null(rmnic_user_reply_check(&v->msg, NULL, RMNIC_USER_RESET, v->msg.seq + 1));
	assert_non_null(rmnic_user_reply_check(&v->msg, NULL, RMNIC_USER_START, v->msg.seq));
	other.msg.type = 0;
	assert_non_null(rmnic_user_reply_check(&other.msg, NULL, 0, v->msg.seq));
	other.msg.type = RMNIC_USER_REQUESTS;
	assert_non_null(check_reply(&other));
}

static void reply__length(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < count; i++) {
		struct user_vector v = vectors[i];

		if (is_request(&v))
			continue;
		v.msg.size++;
		assert_non_null(check_reply(&v));
		v.msg.size = v.msg.size > 1 ? v.msg.size - 2 : 8;
		assert_non_null(check_reply(&v));
	}
}

/* USER-1: a refusal has the text of one, whatever the request's own answer is. */
static void reply__refusal(void **state)
{
	struct user_vector v = *vector("device-no-space");

	(void)state;
	v.msg.status = RMNIC_USER_S_LIMIT;
	assert_non_null(check_reply(&v)); /* pages are available, it says */
	memset(v.bytes + sizeof(struct rmnic_user_hdr) + RMNIC_USER_TEXT_MAX, 0, 8);
	assert_null(check_reply(&v));
	v.msg.size = sizeof(struct rmnic_user_device_reply);
	assert_non_null(check_reply(&v));
}

static const struct wrong wrong_replies[] = {
	{ "hello-reply", AT(hello_reply, version), 0, NO },
	{ "hello-reply", AT(hello_reply, version), 2, NO },
	{ "hello-reply", AT(hello_reply, rsvd0), 1, NO },
	{ "hello-reply", AT(hello_reply, rsvd1), 1, NO },
	{ "hello-reply", AT(hello_reply, features), 1, NO },
	{ "hello-reply", AT(hello_reply, device_features), UINT64_MAX, FINE },
	{ "hello-reply", AT(hello_reply, name) - 31, 7, NO },
	{ "device-reply", AT(device_reply, rsvd), 1, NO },
	{ "enable-reply", AT(enable_reply, error), RMNIC_ERR_BUS_MASTER, FINE },
	{ "enable-reply", AT(enable_reply, error), RMNIC_ERR_BUS_MASTER + 1, NO },
	{ "enable-reply", AT(enable_reply, rsvd), 1, NO },
	{ "stats-reply", offsetof(struct rmnic_stats, rsvd), 1, 1, NO },
	{ "stats-reply", 4095, 1, 1, NO },
	{ "fatal", AT(fatal, error), 0, NO },
	{ "fatal", AT(fatal, error), RMNIC_ERR_BUS_MASTER + 1, NO },
};

static void reply__every_field(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < sizeof(wrong_replies) / sizeof(wrong_replies[0]); i++) {
		const struct wrong *w = &wrong_replies[i];
		struct user_vector v = *vector(w->vector);

		memcpy(v.bytes + sizeof(struct rmnic_user_hdr) + w->at, &w->value, w->bytes);
		if (!check_reply(&v) != (w->status == FINE))
			fail_msg("%s: %llu at %zu is not what was expected", w->vector,
				 (unsigned long long)w->value, w->at);
	}
}

static void notice__needs_no_request(void **state)
{
	const struct user_vector *v = vector("fatal");
	struct user_vector other = *v;

	(void)state;
	assert_null(rmnic_user_reply_check(&v->msg, v->bytes + sizeof(struct rmnic_user_hdr), 0,
					   5));
	other.msg.type = RMNIC_USER_RESET;
	assert_non_null(check_reply(&other));
	other.msg.type = RMNIC_USER_LEAVING + 1;
	assert_non_null(check_reply(&other));
}

/* --- Words ------------------------------------------------------------------------------------ */

/* USER-3 */
static void text_clean__hostile(void **state)
{
	char from[RMNIC_USER_TEXT_MAX], to[RMNIC_USER_TEXT_MAX];

	(void)state;
	memset(from, 'a', sizeof(from)); /* no end */
	from[0] = '\x1b';
	from[1] = '\n';
	from[2] = '\x7f';
	from[3] = '\xff';
	memset(to, 0x55, sizeof(to));
	rmnic_user_text_clean(from, to);
	assert_int_equal(strlen(to), RMNIC_USER_TEXT_MAX - 1);
	assert_memory_equal(to, "????aaa", 7);
	from[6] = 0;
	rmnic_user_text_clean(from, to);
	assert_string_equal(to, "????aa");
}

static void names__all(void **state)
{
	(void)state;
	for (uint16_t t = 1; t < RMNIC_USER_REQUESTS; t++)
		assert_string_not_equal(rmnic_user_type_name(t), "?");
	for (uint16_t s = 0; s < RMNIC_USER_S_COUNT; s++)
		assert_string_not_equal(rmnic_user_status_name(s), "?");
	assert_string_equal(rmnic_user_type_name(RMNIC_USER_FATAL), "FATAL");
	assert_string_equal(rmnic_user_type_name(RMNIC_USER_LEAVING), "LEAVING");
	assert_string_equal(rmnic_user_type_name(0), "?");
	assert_string_equal(rmnic_user_type_name(RMNIC_USER_REQUESTS), "?");
	assert_string_equal(rmnic_user_type_name(66), "?");
	assert_string_equal(rmnic_user_status_name(RMNIC_USER_S_COUNT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors__cover_every_message),
		cmocka_unit_test(hdr_get__golden_vectors),
		cmocka_unit_test(hdr_put__golden_vectors),
		cmocka_unit_test(checks__golden_vectors),
		cmocka_unit_test(hdr_get__every_byte),
		cmocka_unit_test(hdr_get__limits),
		cmocka_unit_test(request__length_and_fds),
		cmocka_unit_test(request__unknown_type),
		cmocka_unit_test(request__every_field),
		cmocka_unit_test(region__larger_than_any_file),
		cmocka_unit_test(device__strings_and_uuid),
		cmocka_unit_test(device__largest),
		cmocka_unit_test(reply__to_another_request),
		cmocka_unit_test(reply__length),
		cmocka_unit_test(reply__refusal),
		cmocka_unit_test(reply__every_field),
		cmocka_unit_test(notice__needs_no_request),
		cmocka_unit_test(text_clean__hostile),
		cmocka_unit_test(names__all),
	};
	int failed;

	count = user_vectors_load(&vectors);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(vectors);
	return failed;
}
