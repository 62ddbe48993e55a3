/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/user_msg.h"

#include <string.h>

#include "engine/le.h"

/* --- What each type is ------------------------------------------------------------------------ */

/* A request's own check: NULL, or what is wrong with a payload of the right length. */
typedef const char *check_fn(const void *payload, unsigned int nfds);

static check_fn check_hello, check_device, check_mem_add, check_mem_del, check_call, check_enable,
	check_stop;

static const struct message {
	const char *name;
	uint32_t size;  /* of the request's payload */
	uint32_t reply; /* of its answer's when that is OK */
	uint8_t min_fds, max_fds;
	check_fn *check;
} requests[RMNIC_USER_REQUESTS] = {
#define SIZE(x) sizeof(struct rmnic_##x)
	[RMNIC_USER_HELLO] = { "HELLO", SIZE(user_hello), SIZE(user_hello_reply), 0, 0,
			       check_hello },
	[RMNIC_USER_DEVICE] = { "DEVICE", SIZE(user_device), SIZE(user_device_reply), 1, 1,
				check_device },
	[RMNIC_USER_MEM_ADD] = { "MEM_ADD", SIZE(user_region), 0, 1, 1, check_mem_add },
	[RMNIC_USER_MEM_DEL] = { "MEM_DEL", SIZE(user_region), 0, 0, 0, check_mem_del },
	[RMNIC_USER_KICK] = { "KICK", 0, 0, 1, 1, NULL },
	[RMNIC_USER_CALL] = { "CALL", SIZE(user_call), 0, 1, RMNIC_USER_MAX_FDS, check_call },
	[RMNIC_USER_ENABLE] = { "ENABLE", SIZE(user_enable), SIZE(user_enable_reply), 0, 0,
				check_enable },
	[RMNIC_USER_RESET] = { "RESET", 0, 0, 0, 0, NULL },
	[RMNIC_USER_STOP] = { "STOP", SIZE(user_stop), 0, 0, 0, check_stop },
	[RMNIC_USER_START] = { "START", 0, 0, 0, 0, NULL },
	[RMNIC_USER_CAPACITY] = { "CAPACITY", SIZE(user_capacity), SIZE(user_capacity), 0, 0,
				  NULL },
	[RMNIC_USER_STATS] = { "STATS", 0, SIZE(stats), 0, 0, NULL },
	[RMNIC_USER_LOG] = { "LOG", 0, 0, 0, 0, NULL },
	[RMNIC_USER_BYE] = { "BYE", 0, 0, 0, 0, NULL },
#undef SIZE
};

const char *rmnic_user_type_name(uint16_t type)
{
	if (type == RMNIC_USER_FATAL)
		return "FATAL";
	if (type == RMNIC_USER_LEAVING)
		return "LEAVING";
	return type && type < RMNIC_USER_REQUESTS ? requests[type].name : "?";
}

const char *rmnic_user_status_name(uint16_t status)
{
	static const char *const names[RMNIC_USER_S_COUNT] = {
		[RMNIC_USER_S_OK] = "OK",
		[RMNIC_USER_S_VERSION] = "VERSION",
		[RMNIC_USER_S_INVALID] = "INVALID",
		[RMNIC_USER_S_ORDER] = "ORDER",
		[RMNIC_USER_S_UNSUPPORTED] = "UNSUPPORTED",
		[RMNIC_USER_S_NO_SPACE] = "NO_SPACE",
		[RMNIC_USER_S_BAD_FD] = "BAD_FD",
		[RMNIC_USER_S_BAD_STATE] = "BAD_STATE",
		[RMNIC_USER_S_IN_USE] = "IN_USE",
		[RMNIC_USER_S_LIMIT] = "LIMIT",
		[RMNIC_USER_S_FENCED] = "FENCED",
		[RMNIC_USER_S_UNREACHABLE] = "UNREACHABLE",
		[RMNIC_USER_S_INTERNAL] = "INTERNAL",
	};

	return status < RMNIC_USER_S_COUNT ? names[status] : "?";
}

uint32_t rmnic_user_reply_size(uint16_t type)
{
	return type < RMNIC_USER_REQUESTS ? requests[type].reply : 0;
}

/* --- Headers ---------------------------------------------------------------------------------- */

static bool zero(const void *memory, size_t bytes)
{
	const uint8_t *p = memory;

	while (bytes && !*p)
		p++, bytes--;
	return !bytes;
}

void rmnic_user_hdr_put(struct rmnic_user_hdr *hdr, const struct rmnic_user_msg *msg)
{
	memset(hdr, 0, sizeof(*hdr));
	hdr->magic = rmnic_le32_put(RMNIC_USER_MAGIC);
	hdr->type = rmnic_le16_put(msg->type);
	hdr->flags = rmnic_le16_put(msg->flags);
	hdr->size = rmnic_le32_put(msg->size);
	hdr->seq = rmnic_le32_put(msg->seq);
	hdr->status = rmnic_le16_put(msg->status);
}

/* USER-1 */
const char *rmnic_user_hdr_get(const struct rmnic_user_hdr *hdr, bool reply,
			       struct rmnic_user_msg *msg)
{
	msg->type = rmnic_le16_get(hdr->type);
	msg->flags = rmnic_le16_get(hdr->flags);
	msg->size = rmnic_le32_get(hdr->size);
	msg->seq = rmnic_le32_get(hdr->seq);
	msg->status = rmnic_le16_get(hdr->status);
	if (rmnic_le32_get(hdr->magic) != RMNIC_USER_MAGIC)
		return "the magic number is wrong: the other end does not speak rmnic-user";
	if (!zero(hdr->rsvd, sizeof(hdr->rsvd)))
		return "a reserved byte of the header is not zero";
	if (msg->size > RMNIC_USER_MAX_PAYLOAD)
		return "the payload is longer than any message";
	if (!reply) {
		if (msg->flags || msg->status)
			return "a request has flags or a status";
		return NULL;
	}
	if (msg->flags == RMNIC_USER_F_REPLY)
		return msg->status < RMNIC_USER_S_COUNT ? NULL : "the status is unknown";
	if (msg->flags != RMNIC_USER_F_NOTICE)
		return "it is neither a reply nor a notice";
	if (msg->seq || msg->status)
		return "a notice has a sequence number or a status";
	return NULL;
}

/* --- Requests --------------------------------------------------------------------------------- */

/* NUL-terminated printable ASCII, nothing behind it. */
static bool string_ok(const char *s, size_t bytes)
{
	size_t n = 0;

	while (n < bytes && s[n] >= ' ' && s[n] <= '~')
		n++;
	return n < bytes && zero(s + n, bytes - n);
}

static bool power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

static const char *check_hello(const void *payload, unsigned int nfds)
{
	struct rmnic_user_hello h;

	(void)nfds;
	memcpy(&h, payload, sizeof(h));
	if (h.rsvd)
		return "a reserved field is not zero";
	if (!h.version_min || rmnic_le16_get(h.version_min) > rmnic_le16_get(h.version_max))
		return "the range of versions is empty";
	return NULL;
}

void rmnic_user_device_shape(const struct rmnic_user_device *d, struct rmnic_state_shape *shape)
{
	*shape = (struct rmnic_state_shape){
		.pages = rmnic_le64_get(d->max_capacity),
		.slab_pages = rmnic_le32_get(d->slab_pages),
		.queues = 1u + rmnic_le16_get(d->max_qpairs), /* and the admin pair */
		.depth = rmnic_le16_get(d->max_depth),
		.epoch = rmnic_le32_get(d->epoch),
	};
	memcpy(shape->uuid, d->uuid, sizeof(shape->uuid));
}

static const char *check_capacity(const struct rmnic_user_device *d)
{
	uint64_t capacity = rmnic_le64_get(d->capacity), most = rmnic_le64_get(d->max_capacity);
	uint32_t slab = rmnic_le32_get(d->slab_pages);

	if (!power_of_two(slab))
		return "slab_pages is no power of two";
	if (!capacity || capacity % slab || most % slab)
		return "a capacity is zero or no multiple of slab_pages";
	if (capacity > most || most > RMNIC_MAX_CAPACITY)
		return "the capacity is above its maximum";
	return NULL;
}

static const char *check_device(const void *payload, unsigned int nfds)
{
	struct rmnic_state_shape shape;
	struct rmnic_user_device d;
	const char *why;

	(void)nfds;
	memcpy(&d, payload, sizeof(d));
	why = check_capacity(&d);
	if (why)
		return why;
	if (d.rsvd0)
		return "a reserved field is not zero";
	if (zero(d.uuid, sizeof(d.uuid)))
		return "the uuid is zero";
	if (rmnic_le16_get(d.max_qpairs) < 2 || rmnic_le16_get(d.max_qpairs) > RMNIC_MAX_QPAIRS)
		return "max_qpairs is out of range (2-256)";
	if (!power_of_two(rmnic_le16_get(d.max_depth)) ||
	    rmnic_le16_get(d.max_depth) < RMNIC_MIN_DEPTH ||
	    rmnic_le16_get(d.max_depth) > RMNIC_MAX_DEPTH)
		return "max_depth is no power of two from 2 to 4096";
	if (!d.vectors || rmnic_le16_get(d.vectors) > RMNIC_USER_MAX_VECTORS)
		return "the number of vectors is out of range (1-2049)";
	if (!d.epoch)
		return "the epoch is zero";
	if (!string_ok(d.serial, sizeof(d.serial)) || !string_ok(d.name, sizeof(d.name)))
		return "the serial or the name is not terminated printable ASCII";
	rmnic_user_device_shape(&d, &shape);
	if (!rmnic_state_size(&shape))
		return "slabs, queues or their depth are more than a state block can hold";
	if (rmnic_le64_get(d.state_size) != rmnic_state_size(&shape))
		return "state_size is not that of a state block for this device";
	return NULL;
}

static const char *check_region(const struct rmnic_user_region *r)
{
	uint64_t addr = rmnic_le64_get(r->addr), size = rmnic_le64_get(r->size);
	uint64_t offset = rmnic_le64_get(r->offset);

	if (r->rsvd)
		return "a reserved field is not zero";
	if (!size || (addr | size | offset) % 4096)
		return "the region is empty or not aligned to 4096";
	if (addr + size - 1 < addr)
		return "the region wraps around the end of the address space";
	/* File offsets are signed. */
	if (size > INT64_MAX || offset > INT64_MAX - size)
		return "the region ends beyond the end of any file";
	return NULL;
}

static const char *check_mem_add(const void *payload, unsigned int nfds)
{
	struct rmnic_user_region r;

	(void)nfds;
	memcpy(&r, payload, sizeof(r));
	return check_region(&r);
}

static const char *check_mem_del(const void *payload, unsigned int nfds)
{
	struct rmnic_user_region r;

	(void)nfds;
	memcpy(&r, payload, sizeof(r));
	return r.offset ? "a reserved field is not zero" : check_region(&r);
}

static const char *check_call(const void *payload, unsigned int nfds)
{
	struct rmnic_user_call c;

	memcpy(&c, payload, sizeof(c));
	if (c.rsvd)
		return "a reserved field is not zero";
	if (rmnic_le16_get(c.count) != nfds)
		return "count is not the number of file descriptors";
	if ((uint32_t)rmnic_le16_get(c.first) + nfds > RMNIC_USER_MAX_VECTORS)
		return "a vector is out of range (0-2048)";
	return NULL;
}

static const char *check_enable(const void *payload, unsigned int nfds)
{
	struct rmnic_user_enable e;

	(void)nfds;
	memcpy(&e, payload, sizeof(e));
	if (e.rsvd)
		return "a reserved field is not zero";
	if (!e.generation)
		return "the generation is zero";
	return rmnic_le32_get(e.stopped) > 1 ? "stopped is neither 0 nor 1" : NULL;
}

static const char *check_stop(const void *payload, unsigned int nfds)
{
	struct rmnic_user_stop s;

	(void)nfds;
	memcpy(&s, payload, sizeof(s));
	return s.rsvd ? "a reserved field is not zero" : NULL;
}

/* USER-1 */
uint16_t rmnic_user_request_check(const struct rmnic_user_msg *msg, const void *payload,
				  unsigned int nfds, const char **why)
{
	const struct message *m;

	if (!msg->type || msg->type >= RMNIC_USER_REQUESTS || msg->type == RMNIC_USER_LOG) {
		*why = "this version has no such request";
		return RMNIC_USER_S_UNSUPPORTED;
	}
	m = &requests[msg->type];
	if (msg->size != m->size)
		*why = "the payload's length is wrong";
	else if (nfds < m->min_fds || nfds > m->max_fds)
		*why = "the number of file descriptors is wrong";
	else
		*why = m->check ? m->check(payload, nfds) : NULL;
	return *why ? RMNIC_USER_S_INVALID : RMNIC_USER_S_OK;
}

/* --- Replies and notices ---------------------------------------------------------------------- */

static const char *check_hello_reply(const void *payload)
{
	struct rmnic_user_hello_reply h;

	memcpy(&h, payload, sizeof(h));
	if (h.rsvd0 || h.rsvd1)
		return "a reserved field is not zero";
	if (rmnic_le16_get(h.version) != RMNIC_USER_VERSION)
		return "a version was chosen that was not offered";
	if (rmnic_le64_get(h.features) & ~RMNIC_USER_FEATURES)
		return "features were taken that were not offered";
	return string_ok(h.name, sizeof(h.name)) ? NULL : "the name is no printable ASCII";
}

static const char *check_device_reply(const void *payload)
{
	struct rmnic_user_device_reply d;

	memcpy(&d, payload, sizeof(d));
	return d.rsvd ? "a reserved field is not zero" : NULL;
}

static const char *check_enable_reply(const void *payload)
{
	struct rmnic_user_enable_reply e;

	memcpy(&e, payload, sizeof(e));
	if (e.rsvd)
		return "a reserved field is not zero";
	return rmnic_le32_get(e.error) > RMNIC_ERR_BUS_MASTER ? "the error is unknown" : NULL;
}

static const char *check_stats_reply(const void *payload)
{
	const uint8_t *rsvd = (const uint8_t *)payload + offsetof(struct rmnic_stats, rsvd);
	const size_t bytes = sizeof(((struct rmnic_stats *)0)->rsvd);

	return zero(rsvd, bytes) ? NULL : "a reserved field is not zero";
}

static const char *check_ok(uint16_t type, const void *payload)
{
	switch (type) {
	case RMNIC_USER_HELLO:
		return check_hello_reply(payload);
	case RMNIC_USER_DEVICE:
		return check_device_reply(payload);
	case RMNIC_USER_ENABLE:
		return check_enable_reply(payload);
	case RMNIC_USER_STATS:
		return check_stats_reply(payload);
	default:
		return NULL;
	}
}

static const char *check_error(const struct rmnic_user_msg *msg, const void *payload)
{
	struct rmnic_user_error e;

	if (msg->size != sizeof(e))
		return "the payload's length is wrong";
	memcpy(&e, payload, sizeof(e));
	if (e.available && msg->status != RMNIC_USER_S_NO_SPACE)
		return "pages are said to be available without NO_SPACE";
	return NULL;
}

static const char *check_notice(const struct rmnic_user_msg *msg, const void *payload)
{
	struct rmnic_user_fatal f;

	if (msg->type == RMNIC_USER_LEAVING)
		return msg->size ? "the payload's length is wrong" : NULL;
	if (msg->type != RMNIC_USER_FATAL)
		return "the notice is unknown";
	if (msg->size != sizeof(f))
		return "the payload's length is wrong";
	memcpy(&f, payload, sizeof(f));
	if (!f.error || rmnic_le32_get(f.error) > RMNIC_ERR_BUS_MASTER)
		return "the error is unknown";
	return NULL;
}

/* USER-1 */
const char *rmnic_user_reply_check(const struct rmnic_user_msg *msg, const void *payload,
				   uint16_t type, uint32_t seq)
{
	if (msg->flags == RMNIC_USER_F_NOTICE)
		return check_notice(msg, payload);
	if (!type)
		return "a reply came to no request";
	if (msg->type != type || msg->seq != seq)
		return "the reply is to another request";
	if (msg->status != RMNIC_USER_S_OK)
		return check_error(msg, payload);
	if (type >= RMNIC_USER_REQUESTS)
		return "a request that does not exist was granted";
	if (msg->size != rmnic_user_reply_size(type))
		return "the payload's length is wrong";
	return check_ok(type, payload);
}

/* USER-3 */
void rmnic_user_text_clean(const char *from, char to[RMNIC_USER_TEXT_MAX])
{
	size_t n = 0;

	for (; n < RMNIC_USER_TEXT_MAX - 1 && from[n]; n++)
		to[n] = from[n] >= ' ' && from[n] <= '~' ? from[n] : '?';
	to[n] = 0;
}
