/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a worker has to say about a device, said by the control thread: a worker that waited for
 * the reader of a log would wait for whoever pages that reader in.
 *
 * The worker leaves a note and posts one message; what happens again before the note was read is
 * counted elsewhere and not said.
 */
#include <string.h>

#include "common/log.h"
#include "daemon/device_internal.h"

/* --- In the worker -------------------------------------------------------------------------- */

/* True: the note of this kind is free, and is the caller's until the message is posted. */
static bool begin(struct rmnic_vdev *v, unsigned int what)
{
	return !(atomic_load_explicit(&v->news.what, memory_order_acquire) & what);
}

static void tell(struct rmnic_vdev *v, unsigned int what)
{
	atomic_fetch_or_explicit(&v->news.what, what, memory_order_release);
	rmnic_vdev_notify(v, &v->news.notice);
}

void rmnic_vdev_news_refusal(struct rmnic_vdev *v, enum rmnic_refusal why, uint16_t qid,
			     uint16_t cid, uint64_t value)
{
	if (!begin(v, RMNIC_NEWS_REFUSAL))
		return;
	v->news.refusal.why = why;
	v->news.refusal.qid = qid;
	v->news.refusal.cid = cid;
	v->news.refusal.value = value;
	tell(v, RMNIC_NEWS_REFUSAL);
}

void rmnic_vdev_news_peer(void *arg, uint32_t peer, enum rmnic_peer_state state)
{
	(void)peer;
	(void)state;
	tell(arg, RMNIC_NEWS_PEERS);
}

void rmnic_vdev_news_empty(void *arg, const uint8_t server[16], uint64_t slabs)
{
	struct rmnic_vdev *v = arg;

	if (!begin(v, RMNIC_NEWS_EMPTY))
		return;
	memcpy(v->news.empty.server, server, sizeof(v->news.empty.server));
	v->news.empty.slabs = slabs;
	tell(v, RMNIC_NEWS_EMPTY);
}

void rmnic_vdev_news_released(struct rmnic_vdev *v)
{
	tell(v, RMNIC_NEWS_RELEASED);
}

void rmnic_vdev_news_events(struct rmnic_vdev *v)
{
	tell(v, RMNIC_NEWS_EVENTS);
}

/* --- In the control thread ------------------------------------------------------------------- */

static void say_refusal(struct rmnic_vdev *v)
{
	/* USER-23: a guest that repeats it does not flood the log. */
	rmnic_log_limited(RMNIC_LOG_INFO, "%s: refused: %s (queue %u, command %u, value 0x%llx)",
			  v->label, rmnic_refusal_names[v->news.refusal.why],
			  v->news.refusal.qid, v->news.refusal.cid,
			  (unsigned long long)v->news.refusal.value);
}

static void say_peer(struct rmnic_vdev *v, uint32_t i, const struct rmnic_vdev_peer *p)
{
	char address[24];

	rmnic_address_format(p->address, address);
	switch (p->info.state) {
	case RMNIC_PEER_READY:
		rmnic_backend_server_met(v->backend, p->address, p->info.uuid);
		rmnic_log_info("%s: memory server %s is ready", v->label, address);
		break;
	case RMNIC_PEER_REFUSED:
		rmnic_log_warn("%s: memory server %s refuses this backend (rmnicctl servers)",
			       v->label, address);
		break;
	case RMNIC_PEER_FENCED:
		rmnic_log_warn("%s: memory server %s knows a newer epoch", v->label, address);
		break;
	default:
		if (v->said[i] == RMNIC_PEER_READY)
			rmnic_log_warn("%s: memory server %s does not answer any more", v->label,
				       address);
	}
}

static void say_peers(struct rmnic_vdev *v)
{
	static struct rmnic_vdev_view view;

	rmnic_vdev_look(v, &view);
	for (uint32_t i = 0; i < view.npeers; i++) {
		if (v->said[i] != view.peers[i].info.state && view.peers[i].address.ip)
			say_peer(v, i, &view.peers[i]);
		v->said[i] = view.peers[i].info.state;
	}
}

static void say_empty(struct rmnic_vdev *v)
{
	char uuid[37];

	rmnic_log_error("%s: memory server %s came back empty: the pages of %llu slabs were there",
			v->label, rmnic_uuid_format(v->news.empty.server, uuid),
			(unsigned long long)v->news.empty.slabs);
}

void rmnic_vdev_news_read(struct rmnic_msg *msg)
{
	struct rmnic_vdev *v = msg->arg;
	unsigned int what;

	atomic_store(&v->news.notice.posted, false);
	what = atomic_load_explicit(&v->news.what, memory_order_acquire);
	/* These have no note that could be overwritten: what comes from here on is told again. */
	atomic_fetch_and_explicit(&v->news.what, RMNIC_NEWS_REFUSAL | RMNIC_NEWS_EMPTY,
				  memory_order_acq_rel);
	if (what & RMNIC_NEWS_REFUSAL)
		say_refusal(v);
	if (what & RMNIC_NEWS_EMPTY)
		say_empty(v);
	if ((what & RMNIC_NEWS_PEERS) && !v->ending)
		say_peers(v);
	if (what & RMNIC_NEWS_EVENTS)
		rmnic_vdev_events_came(v);
	atomic_fetch_and_explicit(&v->news.what, ~(what & (RMNIC_NEWS_REFUSAL | RMNIC_NEWS_EMPTY)),
				  memory_order_release);
	if (what & RMNIC_NEWS_RELEASED)
		rmnic_vdev_linger_over(v);
}
