/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * request.c - a request: what is wrong with it, or who is to serve it.
 *
 * A ladder: by itself (engine/user_msg.c), in its place in the order, against the device, its
 * descriptors. What falls off is answered with its status and has changed nothing (USER-1).
 */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "engine/le.h"
#include "user/conn_internal.h"
#include "user/fds.h"
#include "user/state.h"

static void refuse(struct rmnic_user_conn *conn, uint16_t status, const char *why)
{
	struct rmnic_error err;

	rmnic_error_set(&err, "%s: %s", rmnic_user_type_name(conn->type), why);
	rmnic_user_conn_refuse(conn, status, 0, err.text);
}

/* USER-23: once for each kind on a connection, and no flood when there are many connections. */
void rmnic_user_conn_count(struct rmnic_user_conn *conn, uint16_t status, const char *text)
{
	uint16_t type = conn->type < RMNIC_USER_REQUESTS ? conn->type : 0;
	bool *logged = &conn->logged[type][status < RMNIC_USER_S_COUNT ? status : 0];

	if (conn->config.refused && status < RMNIC_USER_S_COUNT)
		RMNIC_COUNT(conn->config.refused[status], 1);
	if (*logged)
		return;
	*logged = true;
	rmnic_log_limited(RMNIC_LOG_WARN, "front end %d: refused, %s: %s", conn->peer.pid,
			  rmnic_user_status_name(status), text);
}

/* --- HELLO and DEVICE ------------------------------------------------------------------------- */

/* USER-4 */
static void hello(struct rmnic_user_conn *conn, const struct rmnic_user_hello *h)
{
	uint16_t min = rmnic_le16_get(h->version_min), max = rmnic_le16_get(h->version_max);
	struct rmnic_user_hello_reply r = {
		.version = rmnic_le16_put(RMNIC_USER_VERSION),
		.features = h->features & rmnic_le64_put(RMNIC_USER_FEATURES),
		.device_features = rmnic_le64_put(conn->config.device_features),
	};
	struct rmnic_error err;

	if (min > RMNIC_USER_VERSION || max < RMNIC_USER_VERSION) {
		rmnic_error_set(&err, "no version of rmnic-user in common: the front end speaks "
				"%u to %u, this backend %u to %u; update the older of the two", min, max, RMNIC_USER_VERSION, RMNIC_USER_VERSION);
		rmnic_user_conn_refuse(conn, RMNIC_USER_S_VERSION, 0, err.text);
		return;
	}
	snprintf(r.name, sizeof(r.name), "%s", conn->config.name);
	rmnic_user_conn_answer(conn, &r, sizeof(r));
}

static void device(struct rmnic_user_conn *conn, const struct rmnic_user_device *d)
{
	uint64_t lacking = rmnic_le64_get(d->features) & ~conn->config.device_features;
	struct rmnic_user_state state;
	struct rmnic_error err;
	uint16_t status;

	if (lacking) {
		rmnic_error_set(&err, "the device offers features that this backend has not: "
				"0x%llx", (unsigned long long)lacking);
		refuse(conn, RMNIC_USER_S_UNSUPPORTED, err.text);
		return;
	}
	status = rmnic_user_state_map(&state, d, conn->stream.fds[0], &err);
	if (status != RMNIC_USER_S_OK) {
		refuse(conn, status, err.text);
		return;
	}
	conn->max_capacity = rmnic_le64_get(d->max_capacity);
	conn->slab_pages = rmnic_le32_get(d->slab_pages);
	conn->vectors = rmnic_le16_get(d->vectors);
	conn->config.ops->device(conn->config.arg, d, &state);
}

/* --- What needs a device ---------------------------------------------------------------------- */

static void eventfds(struct rmnic_user_conn *conn, const struct rmnic_user_call *c)
{
	const struct rmnic_user_conn_ops *ops = conn->config.ops;
	int fds[RMNIC_USER_MAX_FDS] = { 0 };
	unsigned int nfds = conn->stream.nfds;
	struct rmnic_error err;

	/* USER-13 */
	if (c && rmnic_le16_get(c->first) + nfds > conn->vectors) {
		rmnic_error_set(&err, "vectors %u to %u of a device that has %u",
				rmnic_le16_get(c->first), rmnic_le16_get(c->first) + nfds - 1,
				conn->vectors);
		refuse(conn, RMNIC_USER_S_INVALID, err.text);
		return;
	}
	for (unsigned int i = 0; i < nfds; i++) {
		fds[i] = conn->stream.fds[i];
		if (rmnic_user_eventfd_check(fds[i], &err) != RMNIC_USER_S_OK) {
			refuse(conn, RMNIC_USER_S_BAD_FD, err.text);
			return;
		}
	}
	conn->stream.nfds = 0;
	if (c)
		ops->call(conn->config.arg, rmnic_le16_get(c->first), (uint16_t)nfds, fds);
	else
		ops->kick(conn->config.arg, fds[0]);
}

static void mem_add(struct rmnic_user_conn *conn, const struct rmnic_user_region *r)
{
	conn->stream.nfds = 0;
	conn->config.ops->mem_add(conn->config.arg, rmnic_le64_get(r->addr),
				  rmnic_le64_get(r->size), rmnic_le64_get(r->offset),
				  conn->stream.fds[0]);
}

/* USER-22 */
static void capacity(struct rmnic_user_conn *conn, uint64_t pages)
{
	if (pages < conn->capacity)
		refuse(conn, RMNIC_USER_S_INVALID, "less than was reserved before");
	else if (pages > conn->max_capacity || pages % conn->slab_pages)
		refuse(conn, RMNIC_USER_S_INVALID,
		       "above max_capacity, or no multiple of slab_pages");
	else
		conn->config.ops->capacity(conn->config.arg, pages);
}

static void serve(struct rmnic_user_conn *conn)
{
	const struct rmnic_user_conn_ops *ops = conn->config.ops;
	void *arg = conn->config.arg;
	const union {
		struct rmnic_user_hello hello;
		struct rmnic_user_device device;
		struct rmnic_user_region region;
		struct rmnic_user_call call;
		struct rmnic_user_enable enable;
		struct rmnic_user_stop stop;
		struct rmnic_user_capacity capacity;
	} *p = (const void *)conn->stream.payload;

	switch (conn->type) {
	case RMNIC_USER_HELLO:
		hello(conn, &p->hello);
		break;
	case RMNIC_USER_DEVICE:
		device(conn, &p->device);
		break;
	case RMNIC_USER_MEM_ADD:
		mem_add(conn, &p->region);
		break;
	case RMNIC_USER_MEM_DEL:
		ops->mem_del(arg, rmnic_le64_get(p->region.addr), rmnic_le64_get(p->region.size));
		break;
	case RMNIC_USER_KICK:
		eventfds(conn, NULL);
		break;
	case RMNIC_USER_CALL:
		eventfds(conn, &p->call);
		break;
	case RMNIC_USER_ENABLE:
		ops->enable(arg, &p->enable);
		break;
	case RMNIC_USER_RESET:
		ops->reset(arg);
		break;
	case RMNIC_USER_STOP:
		ops->stop(arg, rmnic_le32_get(p->stop.drain_ms));
		break;
	case RMNIC_USER_START:
		ops->start(arg);
		break;
	case RMNIC_USER_CAPACITY:
		capacity(conn, rmnic_le64_get(p->capacity.pages));
		break;
	case RMNIC_USER_STATS:
		ops->stats(arg);
		break;
	case RMNIC_USER_BYE:
		ops->bye(arg);
		break;
	}
}

/* --- The ladder ------------------------------------------------------------------------------- */

/* Why the request cannot come now; or NULL. */
static const char *out_of_order(const struct rmnic_user_conn *conn)
{
	if (conn->stage == RMNIC_USER_STAGE_BYE)
		return "after BYE nothing can be asked";
	if (conn->type == RMNIC_USER_HELLO)
		return conn->stage == RMNIC_USER_STAGE_NEW ? NULL : "was answered already";
	if (conn->stage == RMNIC_USER_STAGE_NEW)
		return "HELLO must come first";
	if (conn->type == RMNIC_USER_DEVICE)
		return conn->stage == RMNIC_USER_STAGE_HELLO ? NULL : "was answered already";
	if (conn->stage == RMNIC_USER_STAGE_HELLO)
		return "DEVICE must come before";
	if (conn->type == RMNIC_USER_ENABLE && conn->enabled)
		return "the device is enabled; RESET must come before";
	return NULL;
}

void rmnic_user_conn_dispatch(struct rmnic_user_conn *conn)
{
	const struct rmnic_user_stream *s = &conn->stream;
	const char *why = s->fds_wrong;
	uint16_t status = RMNIC_USER_S_INVALID;

	if (!why)
		status = rmnic_user_request_check(&s->msg, s->payload, s->nfds, &why);
	if (!why) {
		status = RMNIC_USER_S_ORDER;
		why = out_of_order(conn);
	}
	if (why)
		refuse(conn, status, why);
	else
		serve(conn);
}

void rmnic_user_conn_done(struct rmnic_user_conn *conn, const void *payload)
{
	struct rmnic_user_device_reply device_reply;
	struct rmnic_user_enable_reply enable;
	struct rmnic_user_capacity capacity_reply;

	switch (conn->type) {
	case RMNIC_USER_HELLO:
		conn->stage = RMNIC_USER_STAGE_HELLO;
		break;
	case RMNIC_USER_DEVICE:
		memcpy(&device_reply, payload, sizeof(device_reply));
		conn->capacity = rmnic_le64_get(device_reply.reserved);
		conn->stage = RMNIC_USER_STAGE_DEVICE;
		break;
	case RMNIC_USER_ENABLE:
		memcpy(&enable, payload, sizeof(enable));
		conn->enabled = rmnic_le32_get(enable.error) == RMNIC_ERR_NONE;
		break;
	case RMNIC_USER_RESET:
		conn->enabled = false;
		break;
	case RMNIC_USER_CAPACITY:
		memcpy(&capacity_reply, payload, sizeof(capacity_reply));
		conn->capacity = rmnic_le64_get(capacity_reply.pages);
		break;
	case RMNIC_USER_BYE:
		conn->stage = RMNIC_USER_STAGE_BYE;
		break;
	}
}
