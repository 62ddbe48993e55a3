/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of memory servers, and its changes while devices use it. */
#include <stdio.h>
#include <string.h>

#include "common/conf_net.h"
#include "common/log.h"
#include "daemon/backend.h"
#include "daemon/device_internal.h"

void rmnic_server_addr(const struct rmnic_server *server, struct rmnic_addr addr[RMNIC_LANES])
{
	for (int lane = 0; lane < RMNIC_LANES; lane++) {
		uint32_t ip = server->address.ip;

		memset(&addr[lane], 0, sizeof(addr[lane]));
		addr[lane].ip[10] = addr[lane].ip[11] = 0xff;
		for (int i = 0; i < 4; i++)
			addr[lane].ip[12 + i] = (uint8_t)(ip >> (24 - 8 * i));
		addr[lane].port = (uint16_t)(server->address.port + lane);
	}
}

static bool same(struct rmnic_conf_address a, struct rmnic_conf_address b)
{
	return a.ip == b.ip && a.port == b.port;
}

static struct rmnic_conf_address full(struct rmnic_conf_address address)
{
	if (!address.port)
		address.port = RMNIC_CONF_SERVER_PORT;
	return address;
}

static struct rmnic_server *find(struct rmnic_backend *b, struct rmnic_conf_address address)
{
	for (unsigned int i = 0; i < b->nservers; i++)
		if (same(b->servers[i].address, address))
			return &b->servers[i];
	return NULL;
}

static void fill(struct rmnic_server *server, const struct rmnic_conf_server *conf,
		 bool configured)
{
	memset(server, 0, sizeof(*server));
	server->address = full(conf->address);
	snprintf(server->label, sizeof(server->label), "%s", conf->label ? conf->label : "");
	server->uuid = conf->uuid;
	server->configured = configured;
}

/* --- What devices make of it ----------------------------------------------------------------- */

struct change {
	struct rmnic_vdev *v;
	const struct rmnic_server *server;
	bool in_use;
};

static uint32_t peer_of(const struct rmnic_vdev *v, struct rmnic_conf_address address)
{
	for (uint32_t i = 0; i < v->npeers; i++)
		if (same(v->peers[i], address))
			return i;
	return UINT32_MAX;
}

static void add_peer(void *arg)
{
	struct change *c = arg;

	if (peer_of(c->v, c->server->address) == UINT32_MAX)
		rmnic_vdev_peer_add(c->v, c->server);
}

static void check_peer(void *arg)
{
	struct change *c = arg;
	uint32_t peer = peer_of(c->v, c->server->address);

	c->in_use = peer != UINT32_MAX && rmnic_vdev_peer_used(c->v, peer);
}

static void remove_peer(void *arg)
{
	struct change *c = arg;
	uint32_t peer = peer_of(c->v, c->server->address);

	if (peer != UINT32_MAX)
		rmnic_vdev_peer_remove(c->v, peer);
}

/* One that is being made or taken away asks the list, or nothing, itself. */
static void each_device(struct rmnic_backend *b, const struct rmnic_server *server,
			void (*fn)(void *arg), unsigned int *in_use)
{
	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++) {
		struct change c = { .v = b->vdevs[i], .server = server };

		if (!c.v || !c.v->opened)
			continue;
		rmnic_worker_call(c.v->worker, fn, &c);
		if (in_use)
			*in_use += c.in_use;
	}
}

/* --- Changes --------------------------------------------------------------------------------- */

int rmnic_backend_server_add(struct rmnic_backend *b, const struct rmnic_conf_server *conf,
			     bool configured, struct rmnic_error *err)
{
	struct rmnic_server *server = find(b, full(conf->address));
	char text[24];

	if (server)
		return rmnic_error_set(err, "the server %s is there already",
				       rmnic_address_format(server->address, text));
	if (b->nservers == RMNIC_MAX_SERVERS)
		return rmnic_error_set(err, "there are %u servers already, and no more than that can "
				       "be", b->nservers);
	server = &b->servers[b->nservers++];
	fill(server, conf, configured);
	rmnic_log_info("server %s added", rmnic_address_format(server->address, text));
	each_device(b, server, add_peer, NULL);
	return 0;
}

int rmnic_backend_server_remove(struct rmnic_backend *b, struct rmnic_conf_address address,
				struct rmnic_error *err)
{
	struct rmnic_server *server = find(b, full(address));
	unsigned int in_use = 0;
	char text[24];

	rmnic_address_format(full(address), text);
	if (!server)
		return rmnic_error_set(err, "there is no server %s", text);
	each_device(b, server, check_peer, &in_use);
	if (in_use)
		return rmnic_error_set(err, "the server %s holds slabs of %u device%s: it can be "
				       "removed when they are gone (rmnicctl slabs)", text, in_use,
				       in_use == 1 ? "" : "s");
	each_device(b, server, remove_peer, NULL);
	*server = b->servers[--b->nservers];
	rmnic_log_info("server %s removed", text);
	return 0;
}

static bool listed(const struct rmnic_conf_list *servers, struct rmnic_conf_address address)
{
	const struct rmnic_conf_server *list = servers->items;

	for (size_t i = 0; i < servers->count; i++)
		if (same(full(list[i].address), address))
			return true;
	return false;
}

/* Nothing was changed yet when this says no. */
static int reload_check(struct rmnic_backend *b, const struct rmnic_conf_list *servers,
			struct rmnic_error *err)
{
	const struct rmnic_conf_server *list = servers->items;
	unsigned int total = 0;
	char text[24];

	for (size_t i = 0; i < servers->count; i++)
		for (size_t k = 0; k < i; k++)
			if (same(full(list[i].address), full(list[k].address)))
				return rmnic_error_set(err, "the server %s is listed twice",
						       rmnic_address_format(full(list[i].address),
									    text));
	for (unsigned int i = 0; i < b->nservers; i++) {
		const struct rmnic_server *server = &b->servers[i];
		unsigned int in_use = 0;

		total += !server->configured && !listed(servers, server->address);
		if (!server->configured || listed(servers, server->address))
			continue;
		each_device(b, server, check_peer, &in_use);
		if (in_use)
			return rmnic_error_set(err, "the server %s holds slabs of %u device%s and is "
					       "no longer listed: keep it until they are gone",
					       rmnic_address_format(server->address, text), in_use,
					       in_use == 1 ? "" : "s");
	}
	if (total + servers->count > RMNIC_MAX_SERVERS)
		return rmnic_error_set(err, "%zu servers are too many (at most %u)", servers->count,
				       RMNIC_MAX_SERVERS);
	return 0;
}

int rmnic_backend_servers_reload(struct rmnic_backend *b, const struct rmnic_conf_list *servers,
				 struct rmnic_error *err)
{
	const struct rmnic_conf_server *list = servers->items;

	if (reload_check(b, servers, err))
		return -1;
	for (unsigned int i = 0; i < b->nservers;) {
		if (!b->servers[i].configured || listed(servers, b->servers[i].address))
			i++;
		else if (rmnic_backend_server_remove(b, b->servers[i].address, err))
			return -1;
	}
	for (size_t i = 0; i < servers->count; i++) {
		struct rmnic_server *server = find(b, full(list[i].address));

		if (server)
			fill(server, &list[i], true);
		else if (rmnic_backend_server_add(b, &list[i], true, err))
			return -1;
	}
	return 0;
}
