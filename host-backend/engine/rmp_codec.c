/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/rmp_codec.h"

#include <string.h>

#include "engine/le.h"
#include "engine/page.h"

#define HDR    RMNIC_RMP_HDR_SIZE
#define CHECK  offsetof(struct rmnic_rmp_req, check)
#define FLAGS  0xffffull
#define MAX_HDR 128 /* a later minor version may append to the header, so far */

const char *const rmnic_rmp_drop_names[RMNIC_RMP_DROP_COUNT] = {
#define X(id, name) name,
	RMNIC_RMP_DROPS(X)
#undef X
};

uint16_t rmnic_rmp_get16(const void *at)
{
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return rmnic_le16_get(v);
}

uint32_t rmnic_rmp_get32(const void *at)
{
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return rmnic_le32_get(v);
}

uint64_t rmnic_rmp_get64(const void *at)
{
	uint64_t v;

	memcpy(&v, at, sizeof(v));
	return rmnic_le64_get(v);
}

void rmnic_rmp_put16(void *at, uint16_t v)
{
	v = rmnic_le16_put(v);
	memcpy(at, &v, sizeof(v));
}

void rmnic_rmp_put32(void *at, uint32_t v)
{
	v = rmnic_le32_put(v);
	memcpy(at, &v, sizeof(v));
}

void rmnic_rmp_put64(void *at, uint64_t v)
{
	v = rmnic_le64_put(v);
	memcpy(at, &v, sizeof(v));
}

bool rmnic_rmp_zero(const void *at, size_t len)
{
	const uint8_t *p = at;
	uint8_t any = 0;

	for (size_t i = 0; i < len; i++)
		any |= p[i];
	return any == 0;
}

bool rmnic_rmp_carries_page(uint8_t type)
{
	return type == RMNIC_RMP_WRITE || type == RMNIC_RMP_WRITE_FILLED ||
	       type == (RMNIC_RMP_READ | RMNIC_RMP_REPLY);
}

uint32_t rmnic_rmp_fill_crc(const struct rmnic_crc32c *c, uint32_t word, const uint8_t *uuid,
			    uint64_t rpn, uint64_t version)
{
	uint8_t what[4 + 16 + 24];

	rmnic_rmp_put32(what, word);
	memcpy(what + 4, uuid, 16);
	rmnic_rmp_put64(what + 20, rpn);
	rmnic_rmp_put64(what + 28, version);
	rmnic_rmp_put64(what + 36, sizeof(word));
	return rmnic_crc32c_update(c, 0, what, sizeof(what));
}

/*
 * RMP-2: over the header but its check word, and over what both ends know and nobody sends:
 * the server's incarnation and the length of the payload that arrived.
 */
static uint32_t header_check(const struct rmnic_crc32c *c, const uint8_t *hdr, uint32_t hlen,
			     uint32_t payload_len, uint64_t boot_id)
{
	uint8_t pseudo[12];
	uint32_t crc;

	rmnic_rmp_put64(pseudo, boot_id);
	rmnic_rmp_put32(pseudo + 8, payload_len);
	crc = rmnic_crc32c_update(c, 0, hdr, CHECK);
	if (hlen > HDR)
		crc = rmnic_crc32c_update(c, crc, hdr + HDR, hlen - HDR);
	return rmnic_crc32c_update(c, crc, pseudo, sizeof(pseudo));
}

void rmnic_rmp_encode(const struct rmnic_crc32c *c, void *out, const struct rmnic_rmp_msg *msg,
		      uint32_t payload_len, uint64_t boot_id)
{
	struct rmnic_rmp_req h = {
		.proto = RMNIC_RMP_VERSION,
		.type = msg->type,
		.hlen = sizeof(h),
		.stamp = { (uint8_t)msg->stamp, (uint8_t)(msg->stamp >> 8),
			   (uint8_t)(msg->stamp >> 16) },
		.request = rmnic_le64_put(msg->request),
		.handle = rmnic_le64_put(msg->handle),
		.rpn = rmnic_le64_put(msg->rpn),
		.vflags = rmnic_le64_put(msg->version << RMNIC_RMP_VERSION_SHIFT | msg->flags),
		.session = rmnic_le32_put(msg->session),
		.epoch = rmnic_le32_put(msg->epoch),
		.offset = rmnic_le32_put(msg->offset),
		.total = rmnic_le32_put(msg->total),
		.crc = rmnic_le32_put(msg->crc),
	};

	memcpy(out, &h, sizeof(h));
	if (msg->type & RMNIC_RMP_REPLY) {
		uint8_t *rep = out;

		rmnic_rmp_put32(rep + offsetof(struct rmnic_rmp_rep, credit), msg->credit);
		rmnic_rmp_put16(rep + offsetof(struct rmnic_rmp_rep, queued), msg->queued);
		rmnic_rmp_put16(rep + offsetof(struct rmnic_rmp_rep, status), msg->status);
	}
	rmnic_rmp_put32((uint8_t *)out + CHECK, header_check(c, out, HDR, payload_len, boot_id));
}

void rmnic_rmp_encode_body(const struct rmnic_crc32c *c, void *out, struct rmnic_rmp_msg *msg,
			   const void *body, uint32_t len, uint64_t boot_id)
{
	msg->offset = 0;
	msg->total = len;
	msg->crc = len ? rmnic_crc32c_update(c, 0, body, len) : 0;
	rmnic_rmp_encode(c, out, msg, len, boot_id);
}

size_t rmnic_rmp_first(const void *data, size_t len)
{
	const uint8_t *raw = data;
	size_t end;

	/* A piece of a page does not say how long it is: nothing comes behind one. */
	if (len < HDR || rmnic_rmp_get32(raw + offsetof(struct rmnic_rmp_req, offset)))
		return len;
	end = (size_t)raw[offsetof(struct rmnic_rmp_req, hlen)] +
	      rmnic_rmp_get32(raw + offsetof(struct rmnic_rmp_req, total));
	return end >= HDR && end < len ? end : len;
}

void rmnic_rmp_each(const struct rmnic_rx *rx, void (*take)(void *arg, const struct rmnic_rx *message), void *arg)
{
	struct rmnic_rx message = *rx;
	uint32_t left = rx->len;

	do {
		message.len = (uint32_t)rmnic_rmp_first(message.data, left);
		take(arg, &message);
		message.data = (const uint8_t *)message.data + message.len;
		left -= message.len;
	} while (left);
}

uint32_t rmnic_rmp_peek_session(const void *data, size_t len)
{
	if (len < HDR)
		return 0;
	return rmnic_rmp_get32((const uint8_t *)data + offsetof(struct rmnic_rmp_req, session));
}

static void unpack(struct rmnic_rmp_msg *msg, const struct rmnic_rmp_req *h, const uint8_t *raw)
{
	uint64_t vflags = rmnic_le64_get(h->vflags);
	bool reply = h->type & RMNIC_RMP_REPLY;

	*msg = (struct rmnic_rmp_msg){
		.type = h->type,
		.flags = (uint16_t)(vflags & FLAGS),
		.stamp = h->stamp[0] | (uint32_t)h->stamp[1] << 8 | (uint32_t)h->stamp[2] << 16,
		.request = rmnic_le64_get(h->request),
		.handle = reply ? 0 : rmnic_le64_get(h->handle),
		.rpn = rmnic_le64_get(h->rpn),
		.version = vflags >> RMNIC_RMP_VERSION_SHIFT,
		.session = rmnic_le32_get(h->session),
		.epoch = rmnic_le32_get(h->epoch),
		.offset = rmnic_le32_get(h->offset),
		.total = rmnic_le32_get(h->total),
		.crc = rmnic_le32_get(h->crc),
	};
	if (reply) {
		msg->credit = rmnic_rmp_get32(raw + offsetof(struct rmnic_rmp_rep, credit));
		msg->queued = rmnic_rmp_get16(raw + offsetof(struct rmnic_rmp_rep, queued));
		msg->status = rmnic_rmp_get16(raw + offsetof(struct rmnic_rmp_rep, status));
	}
}

/* RMP-24: the shape of a page's segments, and that of everything else (one datagram). */
static bool shape_ok(const struct rmnic_rmp_msg *m)
{
	if (m->total > RMNIC_RMP_MAX_TOTAL || m->payload_len > m->total ||
	    m->offset > m->total - m->payload_len)
		return false;
	if (m->type == RMNIC_RMP_PROBE || m->type == (RMNIC_RMP_PROBE | RMNIC_RMP_REPLY))
		return m->offset == 0 && m->payload_len == m->total;
	if (!rmnic_rmp_carries_page(m->type))
		return m->offset == 0 && m->payload_len == m->total &&
		       m->total <= RMNIC_RMP_MAX_BODY;
	if (m->flags & RMNIC_RMP_F_FILLED)
		return m->total == 4 && m->payload_len == 4;
	if (m->total == 0) /* an answer without a page */
		return m->type & RMNIC_RMP_REPLY;
	return m->total == RMNIC_PAGE_SIZE && m->payload_len &&
	       m->offset % RMNIC_RMP_SEG_ALIGN == 0 &&
	       (m->payload_len % RMNIC_RMP_SEG_ALIGN == 0);
}

static bool fields_ok(const struct rmnic_rmp_msg *m)
{
	/* RMP-32: what has no meaning yet is refused, not ignored. */
	if (m->flags & ~RMNIC_RMP_F_KNOWN || m->flags & RMNIC_RMP_F_COMPRESSED)
		return false;
	if (m->type & RMNIC_RMP_REPLY)
		return m->status < RMNIC_RMP_S_COUNT;
	return !(m->flags & (RMNIC_RMP_F_CONGESTION | RMNIC_RMP_F_PRESSURE | RMNIC_RMP_F_MORE)) &&
	       !(m->flags & RMNIC_RMP_F_FILLED) == (m->type != RMNIC_RMP_WRITE_FILLED);
}

/* RMP-4 */
static bool body_ok(const struct rmnic_crc32c *c, const struct rmnic_rmp_msg *m)
{
	uint32_t crc;

	if (rmnic_rmp_carries_page(m->type))
		return true;
	crc = m->payload_len ? rmnic_crc32c_update(c, 0, m->payload, m->payload_len) : 0;
	return crc == m->crc;
}

/* The ladder of RMP-1: length, version, checksum, then everything that the checksum covers. */
enum rmnic_rmp_drop rmnic_rmp_decode(const struct rmnic_crc32c *c, struct rmnic_rmp_msg *msg,
				     const void *data, size_t len, bool reply, uint64_t boot_id)
{
	const uint8_t *raw = data;
	struct rmnic_rmp_req h;
	uint8_t type;

	if (len < HDR || len > RMNIC_RMP_MAX_MTU)
		return RMNIC_RMP_DROP_SHORT;
	memcpy(&h, raw, sizeof(h));
	if (h.hlen < HDR || h.hlen > MAX_HDR || h.hlen > len)
		return RMNIC_RMP_DROP_SHORT;
	/* RMP-7: only HELLO and its answer keep their form in every version. */
	type = h.type & (uint8_t)~RMNIC_RMP_REPLY;
	if (h.proto != RMNIC_RMP_VERSION && type != RMNIC_RMP_HELLO)
		return RMNIC_RMP_DROP_VERSION;
	if (rmnic_le32_get(h.check) !=
	    header_check(c, raw, h.hlen, (uint32_t)(len - h.hlen), boot_id))
		return RMNIC_RMP_DROP_CHECK;
	if (reply != !!(h.type & RMNIC_RMP_REPLY) || type < RMNIC_RMP_HELLO ||
	    type > RMNIC_RMP_RENEW)
		return RMNIC_RMP_DROP_TYPE;
	unpack(msg, &h, raw);
	msg->payload = raw + h.hlen;
	msg->payload_len = (uint32_t)(len - h.hlen);
	if (!fields_ok(msg))
		return RMNIC_RMP_DROP_FIELD;
	if (!shape_ok(msg))
		return RMNIC_RMP_DROP_LENGTH;
	return body_ok(c, msg) ? RMNIC_RMP_DROP_OK : RMNIC_RMP_DROP_BODY;
}
