/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions of the RMP server: who is at the other end, and since when. */
#include <string.h>

#include "engine/rmp_server_internal.h"
#include "engine/siphash.h"

#define SLOT_BITS 12
#define SLOT_MASK ((1u << SLOT_BITS) - 1)
/* A cookie is good for one to two of these. */
#define COOKIE_NS UINT64_C(64000000000)

struct rmnic_session *rmnic_session_find(struct rmnic_rmp_server *s, uint32_t id)
{
	uint32_t slot = id & SLOT_MASK;

	if (slot >= s->cfg.max_sessions || s->sessions[slot].id != id)
		return NULL;
	return &s->sessions[slot];
}

bool rmnic_rmp_server_session(const struct rmnic_rmp_server *s, uint32_t index,
			      struct rmnic_rmp_session_info *out)
{
	const struct rmnic_session *e;
	const struct rmnic_mem_device *d;

	if (index >= s->cfg.max_sessions || !s->sessions[index].id)
		return false;
	e = &s->sessions[index];
	d = &s->cfg.store->devices[e->device];
	memset(out, 0, sizeof(*out));
	memcpy(out->peer.ip, e->ip, 16);
	memcpy(out->device, d->uuid, 16);
	out->epoch = e->epoch;
	out->slabs = d->slabs;
	out->pages = d->stored;
	out->reserved = d->reserved;
	out->seen = e->seen;
	return true;
}

void rmnic_session_close(struct rmnic_rmp_server *s, struct rmnic_session *session)
{
	rmnic_paging_finish(s, session);
	s->cfg.store->devices[session->device].sessions--;
	s->active--;
	memset(session, 0, sizeof(*session));
}

/* --- Cookies (RMP-6) -------------------------------------------------------------------------- */

static void make_cookie(const struct rmnic_rmp_server *s, const struct rmnic_call *call,
			uint64_t nonce, uint64_t period, uint8_t *cookie)
{
	uint8_t what[16 + 8 + 8 + 8];

	memcpy(what, call->rx->from.ip, 16);
	rmnic_rmp_put64(what + 16, nonce);
	rmnic_rmp_put64(what + 24, period);
	for (unsigned int half = 0; half < 2; half++) {
		rmnic_rmp_put64(what + 32, half);
		rmnic_rmp_put64(cookie + 8 * half, rmnic_siphash(s->secret, what, sizeof(what)));
	}
}

static bool cookie_good(const struct rmnic_rmp_server *s, const struct rmnic_call *call,
			const struct rmnic_rmp_hello *h)
{
	uint64_t nonce = rmnic_le64_get(h->nonce), period = call->now / COOKIE_NS + 1;
	uint8_t good[16];

	for (int i = 0; i < 2; i++) {
		uint8_t diff = 0;

		make_cookie(s, call, nonce, period - (uint64_t)i, good);
		for (int k = 0; k < 16; k++)
			diff |= good[k] ^ h->cookie[k];
		if (!diff)
			return true;
	}
	return false;
}

/* --- HELLO ---------------------------------------------------------------------------------- */

static void welcome(struct rmnic_rmp_server *s, struct rmnic_call *call, uint16_t status,
		    const struct rmnic_rmp_hello *h, const struct rmnic_session *session)
{
	struct rmnic_rmp_welcome w = {
		.version_min = RMNIC_RMP_VERSION,
		.version_max = RMNIC_RMP_VERSION,
		.nonce = h->nonce,
	};

	memcpy(w.server, s->cfg.uuid, 16);
	if (status == RMNIC_RMP_S_COOKIE)
		make_cookie(s, call, rmnic_le64_get(h->nonce), call->now / COOKIE_NS + 1, w.cookie);
	if (session) {
		w.features = rmnic_le64_put(session->join ? RMNIC_RMP_FEATURE_JOIN : 0);
		w.version = RMNIC_RMP_VERSION;
		w.checksum = rmnic_le32_put(RMNIC_RMP_CHECKSUM_CRC32C);
		w.cipher = rmnic_le32_put(RMNIC_RMP_CIPHER_NONE);
		w.session = rmnic_le32_put(session->id);
		w.boot_id = rmnic_le64_put(s->boot_id);
		w.store_id = rmnic_le64_put(s->cfg.store->store_id);
		w.max_mtu = rmnic_le32_put(s->cfg.max_mtu);
		w.page_outs = rmnic_le32_put(RMNIC_RMP_PAGE_OUTS);
		w.slab_pages = rmnic_le32_put(s->cfg.store->cfg.slab_pages);
		w.lease_ms = rmnic_le32_put((uint32_t)(s->cfg.lease_ns / 1000000));
	}
	/* As long as the request, never longer. */
	rmnic_server_reply(s, call, status, &w, sizeof(w));
	if (s->cfg.greeted && status != RMNIC_RMP_S_COOKIE)
		s->cfg.greeted(s->cfg.arg, &call->rx->from, h, status);
}

static uint16_t check_hello(const struct rmnic_rmp_hello *h)
{
	/* RMP-7: a session has one version that both ends know. */
	if (h->version_min > RMNIC_RMP_VERSION || h->version_max < RMNIC_RMP_VERSION)
		return RMNIC_RMP_S_VERSION;
	if (h->rsvd0 || h->rsvd1 || !rmnic_rmp_zero(h->rsvd2, sizeof(h->rsvd2)))
		return RMNIC_RMP_S_INVALID; /* RMP-32 */
	if (!(rmnic_le32_get(h->checksums) & RMNIC_RMP_CHECKSUM_CRC32C) ||
	    !(rmnic_le32_get(h->ciphers) & RMNIC_RMP_CIPHER_NONE))
		return RMNIC_RMP_S_UNSUPPORTED;
	return RMNIC_RMP_S_OK;
}

/*
 * The place for a new session: the one this very HELLO opened before, a free one, or the
 * one that was silent longest, of the same device if it has its share.
 */
static struct rmnic_session *place(struct rmnic_rmp_server *s, const struct rmnic_call *call,
				   const struct rmnic_rmp_hello *h, uint32_t device, bool *same)
{
	struct rmnic_session *spare = NULL, *oldest = NULL;
	bool share = s->cfg.store->devices[device].sessions >= RMNIC_SESSIONS_A_DEVICE;

	*same = false;
	for (uint32_t i = 0; i < s->cfg.max_sessions; i++) {
		struct rmnic_session *e = &s->sessions[i];

		if (!e->id) {
			spare = spare ? spare : e;
			continue;
		}
		if (e->device == device && e->nonce == rmnic_le64_get(h->nonce) &&
		    !memcmp(e->client, h->client, 16) && !memcmp(e->ip, call->rx->from.ip, 16)) {
			*same = true;
			return e;
		}
		if ((!share || e->device == device) && (!oldest || e->seen < oldest->seen))
			oldest = e;
	}
	if (spare && !share)
		return spare;
	if (!oldest || (!share && call->now - oldest->seen < RMNIC_SESSION_IDLE_NS))
		return NULL;
	rmnic_session_close(s, oldest);
	return oldest;
}

void rmnic_session_hello(struct rmnic_rmp_server *s, struct rmnic_call *call)
{
	struct rmnic_rmp_hello h;
	struct rmnic_session *e;
	uint32_t device = 0;
	uint16_t status;
	bool same;

	if (call->msg.payload_len != sizeof(h))
		return;
	memcpy(&h, call->msg.payload, sizeof(h));
	status = check_hello(&h);
	if (status == RMNIC_RMP_S_OK && !cookie_good(s, call, &h))
		status = RMNIC_RMP_S_COOKIE;
	if (status == RMNIC_RMP_S_OK)
		status = rmnic_mem_device_open(s->cfg.store, h.device, h.token, &device);
	if (status != RMNIC_RMP_S_OK) {
		welcome(s, call, status, &h, NULL);
		return;
	}
	e = place(s, call, &h, device, &same);
	if (!e) {
		welcome(s, call, RMNIC_RMP_S_BUSY, &h, NULL);
		return;
	}
	if (!same) {
		uint32_t upper = (uint32_t)s->cfg.env.ops->random(s->cfg.env.arg) | 1u << SLOT_BITS;

		e->id = (upper & ~SLOT_MASK) | (uint32_t)(e - s->sessions);
		e->device = device;
		e->segment = rmnic_segment_size(RMNIC_RMP_MIN_MTU);
		e->join = rmnic_le64_get(h.features) & RMNIC_RMP_FEATURE_JOIN;
		e->nonce = rmnic_le64_get(h.nonce);
		memcpy(e->client, h.client, 16);
		memcpy(e->ip, call->rx->from.ip, 16);
		s->cfg.store->devices[device].sessions++;
		s->active++;
	}
	e->seen = call->now;
	s->cfg.store->devices[device].seen = call->now;
	welcome(s, call, RMNIC_RMP_S_OK, &h, e);
}

/* RMP-36: what nobody has asked for in a long time is garbage; nothing else follows from it. */
void rmnic_session_leases(struct rmnic_rmp_server *s)
{
	struct rmnic_memstore *ms = s->cfg.store;
	uint64_t now;
	struct rmnic_mem_device *d;

	if (!s->cfg.lease_ns)
		return;
	now = rmnic_env_now(&s->cfg.env);
	if (++s->lease_scan >= ms->cfg.max_devices)
		s->lease_scan = 0;
	d = &ms->devices[s->lease_scan];
	if (!d->used || !d->slabs || now < d->seen || now - d->seen < s->cfg.lease_ns)
		return;
	rmnic_mem_device_drop(ms, s->lease_scan);
	s->counters.leases++;
	if (s->cfg.lease_over)
		s->cfg.lease_over(s->cfg.arg, d->uuid);
}
