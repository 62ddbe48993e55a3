/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens to a device's pages, for the log. The worker adds up what is alike, by kind and server;
 * the control thread fetches that once a second at most and says it. So a server that goes is one
 * line, not one for each of its slabs, and nothing is left out.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/timeout.h"
#include "daemon/device_internal.h"

#define PAUSE_US UINT64_C(1000000)

/* --- In the worker -------------------------------------------------------------------------- */

static struct rmnic_vdev_event *find(struct rmnic_vdev_events *all,
				     const struct rmnic_remote_event *e)
{
	struct rmnic_vdev_event *own;

	for (unsigned int i = 0; i < all->n; i++) {
		own = &all->list[i];
		if (own->first.kind == e->kind && !memcmp(own->first.server, e->server, 16))
			return own;
	}
	if (all->n == RMNIC_VDEV_EVENTS)
		return NULL;
	own = &all->list[all->n++];
	memset(own, 0, sizeof(*own));
	own->first = *e;
	return own;
}

/* For struct rmnic_remote_config: from deep inside the store, so it is only noted here. */
void rmnic_vdev_event(void *arg, const struct rmnic_remote_event *e)
{
	struct rmnic_vdev *v = arg;
	struct rmnic_vdev_events *all = &v->events;
	struct rmnic_vdev_event *own;

	if (e->kind == RMNIC_REMOTE_EV_PAGE_LOST && all->nlost < RMNIC_VDEV_LOST) {
		all->lost[all->nlost++] = e->rpn;
	} else {
		own = find(all, e);
		if (own) {
			own->times++;
			own->pages += e->pages;
		} else {
			all->left_out++;
		}
	}
	rmnic_vdev_news_events(v);
}

struct fetching {
	struct rmnic_vdev *v;
	struct rmnic_vdev_events *out;
};

static void fetch(void *arg)
{
	struct fetching *f = arg;

	*f->out = f->v->events;
	f->v->events.n = f->v->events.nlost = 0;
	f->v->events.left_out = 0;
}

/* --- In the control thread ------------------------------------------------------------------- */

/* Its address, else its uuid. */
static const char *server_name(const struct rmnic_backend *b, const uint8_t uuid[16], char buf[40])
{
	char text[37], address[24];

	for (unsigned int i = 0; i < b->nservers; i++)
		if (!memcmp(b->servers[i].met, uuid, 16)) {
			snprintf(buf, 40, "server %s",
				 rmnic_address_format(b->servers[i].address, address));
			return buf;
		}
	snprintf(buf, 40, "%s", rmnic_uuid_format(uuid, text));
	return buf;
}

static const struct {
	enum rmnic_log_level level;
	/* Device, server or nothing, how often, pages, the first one's slab. */
	const char *format;
	bool server;
} words[RMNIC_REMOTE_EVENT_COUNT] = {
	[RMNIC_REMOTE_EV_DROPPED] = { RMNIC_LOG_WARN, "does not hold %s any more: dropped", true },
	[RMNIC_REMOTE_EV_SYNCING] = { RMNIC_LOG_INFO, "%s: copying to it begins", true },
	[RMNIC_REMOTE_EV_REPAIRED] = { RMNIC_LOG_INFO, "%s: it has all of it now", true },
	[RMNIC_REMOTE_EV_SYNC_FAILED] = { RMNIC_LOG_WARN,
					  "%s: copying to it came to nothing, and is tried again",
					  true },
	[RMNIC_REMOTE_EV_PAGE_LOST] = { RMNIC_LOG_ERROR, "more pages are lost, on %s", false },
	[RMNIC_REMOTE_EV_PAGE_FIXED] = { RMNIC_LOG_WARN, "%s: damaged copies on it were replaced",
					 true },
	[RMNIC_REMOTE_EV_SPILLING] = { RMNIC_LOG_WARN,
				       "page-outs go to the spill file: no server takes %s", false },
	[RMNIC_REMOTE_EV_UNSPILLED] = { RMNIC_LOG_INFO, "%s: back from the spill file", false },
	[RMNIC_REMOTE_EV_UNBACKED] = {
		RMNIC_LOG_WARN,
		"capacity is not backed any more: if it went, %s would have no place elsewhere: add a "
		"server (rmnicctl server add), or give the spill file room",
		true },
};

/* "slab 7", "12 slabs from 7 on", "page 0x1f of slab 7" and how many pages that were. */
static const char *what_of(const struct rmnic_vdev_event *e, char *buf, size_t len)
{
	size_t at;

	if (e->first.kind == RMNIC_REMOTE_EV_UNBACKED) {
		snprintf(buf, len, "%" PRIu64 " pages", e->pages);
		return buf;
	}
	if (e->first.kind == RMNIC_REMOTE_EV_PAGE_FIXED)
		at = (size_t)snprintf(buf, len, "%" PRIu64 " page%s, the first one 0x%" PRIx64, e->times,
				      e->times == 1 ? "" : "s", e->first.rpn);
	else if (e->times == 1)
		at = (size_t)snprintf(buf, len, "slab %" PRIu64, e->first.slab);
	else
		at = (size_t)snprintf(buf, len, "%" PRIu64 " slabs (%" PRIu64 " and others)", e->times,
				      e->first.slab);
	if (e->pages && at < len)
		snprintf(buf + at, len - at, ", %" PRIu64 " pages", e->pages);
	return buf;
}

static void say(const struct rmnic_vdev *v, const struct rmnic_vdev_event *e)
{
	char what[96], text[320], who[40] = "";

	if (words[e->first.kind].server)
		server_name(v->backend, e->first.server, who);
	snprintf(text, sizeof(text), words[e->first.kind].format, what_of(e, what, sizeof(what)));
	rmnic_log(words[e->first.kind].level, "%s: %s%s%s", v->label, who, *who ? ": " : "", text);
}

/* RULES L2: with the page's address, in the device and in bytes of it. */
static void say_lost(const struct rmnic_vdev *v, uint64_t rpn)
{
	rmnic_log_error("%s: page 0x%" PRIx64 " (bytes 0x%" PRIx64 " to 0x%" PRIx64 ") is lost: every "
			"server that held it is proved empty, and whoever reads it gets an error",
			v->label, rpn, rpn * RMNIC_PAGE_SIZE,
			rpn * RMNIC_PAGE_SIZE + RMNIC_PAGE_SIZE - 1);
}

void rmnic_vdev_events_say(struct rmnic_vdev *v)
{
	static struct rmnic_vdev_events all; /* too large for a stack */
	struct fetching f = { v, &all };

	if (v->opened)
		rmnic_worker_call(v->worker, fetch, &f);
	else
		fetch(&f);
	for (unsigned int i = 0; i < all.nlost; i++)
		say_lost(v, all.lost[i]);
	for (unsigned int i = 0; i < all.n; i++)
		say(v, &all.list[i]);
	if (all.left_out)
		rmnic_log_warn("%s: %" PRIu64 " more things happened to its slabs (rmnicctl devices)",
			       v->label, all.left_out);
}

static int on_time(sd_event_source *source, uint64_t usec, void *arg)
{
	struct rmnic_vdev *v = arg;

	(void)source;
	v->events_said = usec;
	v->events_due = false;
	rmnic_vdev_events_say(v);
	return 0;
}

void rmnic_vdev_events_came(struct rmnic_vdev *v)
{
	sd_event *event = v->backend->event;
	uint64_t now = 0, at;

	if (v->events_due)
		return; /* with those that wait already */
	sd_event_now(event, CLOCK_MONOTONIC, &now);
	at = v->events_said + PAUSE_US;
	if (v->events_said && at > now) {
		v->events_due = rmnic_timeout_set(event, &v->events_timer, at - now, on_time, v) >= 0;
		if (v->events_due)
			return;
	}
	v->events_said = now;
	rmnic_vdev_events_say(v);
}
