/* SPDX-License-Identifier: BSD-3-Clause */
/* A device in its worker's round: the queue engine, the client of the servers, sleep. */
#include <string.h>

#include "daemon/device_internal.h"

bool rmnic_vdev_peer_add(struct rmnic_vdev *v, const struct rmnic_server *server)
{
	struct rmnic_addr addr[RMNIC_LANES];
	uint32_t peer;

	rmnic_server_addr(server, addr);
	peer = rmnic_rmp_client_add(v->client, addr,
				    server->uuid.given ? server->uuid.byte : NULL);
	if (peer == UINT32_MAX)
		return false;
	v->peers[peer] = server->address;
	if (peer >= v->npeers)
		v->npeers = peer + 1;
	rmnic_vdev_peer_set(v, peer, server);
	return true;
}

void rmnic_vdev_peers_add(void *arg)
{
	struct rmnic_vdev *v = arg;

	for (unsigned int i = 0; v->listening && i < v->backend->nservers; i++)
		rmnic_vdev_peer_add(v, &v->backend->servers[i]);
}

uint32_t rmnic_vdev_peer_find(const struct rmnic_vdev *v, struct rmnic_conf_address address)
{
	for (uint32_t i = 0; i < v->npeers; i++)
		if (v->peers[i].ip == address.ip && v->peers[i].port == address.port)
			return i;
	return UINT32_MAX;
}

void rmnic_vdev_peer_set(struct rmnic_vdev *v, uint32_t peer, const struct rmnic_server *server)
{
	rmnic_store_remote_domain(v->store, peer, server->domain_number);
	rmnic_store_remote_drain(v->store, peer, server->draining || server->leaving);
}

void rmnic_vdev_peer_remove(struct rmnic_vdev *v, uint32_t peer)
{
	rmnic_rmp_client_remove(v->client, peer);
	memset(&v->peers[peer], 0, sizeof(v->peers[peer]));
}

void rmnic_vdev_rx(void *arg, const struct rmnic_rx *rx)
{
	struct rmnic_vdev *v = arg;

	if (v->listening)
		rmnic_rmp_client_rx(v->client, rx);
}

/* Comes from deep inside the store: only noted here. */
void rmnic_vdev_status(void *arg)
{
	struct rmnic_vdev *v = arg;
	enum rmnic_remote_status status = rmnic_store_remote_status(v->store, NULL);

	if (status == RMNIC_REMOTE_FENCED || status == RMNIC_REMOTE_DAMAGED)
		v->lost = true;
	if (status == RMNIC_REMOTE_RELEASED)
		rmnic_vdev_news_released(v);
}

static void lose(struct rmnic_vdev *v)
{
	if (v->serving)
		rmnic_vdev_suspend(v);
	/* While it is being attached the answer says it. */
	if (v->lost_told || (v->pending && v->pending->kind == RMNIC_VDEV_ATTACH))
		return;
	v->lost_told = true;
	rmnic_vdev_notify(v, &v->lost_notice);
}

bool rmnic_vdev_poll_in(struct rmnic_vdev *v)
{
	return v->serving && rmnic_dev_poll_in(v->dev);
}

bool rmnic_vdev_poll(struct rmnic_vdev *v)
{
	bool work;

	if (v->lost)
		lose(v);
	if (v->serving)
		work = rmnic_dev_poll(v->dev);
	else
		work = !v->leaving && v->store->ops->idle(v->store);
	/* Last: what this round has begun is told to the kernel before anybody sleeps. */
	work |= v->spill && rmnic_spill_file_ops.poll(v->spill);
	work |= rmnic_vdev_grow_end(v);
	return rmnic_vdev_go_on(v) || work;
}

bool rmnic_vdev_timers(struct rmnic_vdev *v, uint64_t now)
{
	return rmnic_rmp_client_deadline(v->client) <= now && rmnic_rmp_client_poll(v->client);
}

bool rmnic_vdev_owed(const struct rmnic_vdev *v)
{
	return v->serving && rmnic_rmp_client_owed(v->client);
}

void rmnic_vdev_touch(struct rmnic_vdev *v, uint32_t turn)
{
	if (v->serving && v->npeers)
		rmnic_rmp_client_touch(v->client, turn % v->npeers);
}

bool rmnic_vdev_sleep(struct rmnic_vdev *v, bool brief)
{
	v->brief = brief;
	v->asleep = v->serving && rmnic_dev_sleep_begin(v->dev);
	return v->asleep || !v->serving;
}

void rmnic_vdev_wake(struct rmnic_vdev *v)
{
	if (v->asleep)
		rmnic_dev_sleep_end(v->dev);
	v->asleep = false;
}

static uint64_t min64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t rmnic_vdev_deadline(struct rmnic_vdev *v)
{
	uint64_t first = rmnic_store_remote_deadline(v->store);

	if (v->serving)
		first = min64(first, rmnic_dev_deadline(v->dev));
	if (v->grow_until && !v->pending)
		first = min64(first, v->grow_until);
	if (v->pending && v->pending->deadline)
		first = min64(first, v->pending->deadline);
	return first;
}
