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

struct rmnic_server *rmnic_backend_server(struct rmnic_backend *b,
					  struct rmnic_conf_address address)
{
	return find(b, full(address));
}

void rmnic_backend_server_met(struct rmnic_backend *b, struct rmnic_conf_address address,
			      const uint8_t uuid[16])
{
	struct rmnic_server *server = find(b, address);

	if (server)
		memcpy(server->met, uuid, sizeof(server->met));
}

/* Whether a server is in the domain of this number. */
static bool domain_used(const struct rmnic_backend *b, uint32_t number)
{
	for (unsigned int i = 0; i < b->nservers; i++)
		if (b->servers[i].domain_number == number)
			return true;
	return false;
}

/*
 * The number of a domain, which stays the same as long as a server is in it. There are as many
 * numbers as servers can be, so one is free.
 */
static uint32_t domain_number(struct rmnic_backend *b, const char *name)
{
	uint32_t unused = 0;

	if (!*name)
		return 0;
	for (uint32_t i = 1; i <= RMNIC_MAX_SERVERS; i++) {
		if (!domain_used(b, i))
			unused = unused ? unused : i;
		else if (!strcmp(b->domains[i - 1], name))
			return i;
	}
	snprintf(b->domains[unused - 1], sizeof(b->domains[0]), "%s", name);
	return unused;
}

/* What a server is called and belongs to; not what is being done with it. */
static void fill(struct rmnic_backend *b, struct rmnic_server *server,
		 const struct rmnic_conf_server *conf, bool configured)
{
	server->address = full(conf->address);
	snprintf(server->label, sizeof(server->label), "%s", conf->label ? conf->label : "");
	snprintf(server->domain, sizeof(server->domain), "%s", conf->domain ? conf->domain : "");
	server->domain_number = 0;
	server->domain_number = domain_number(b, server->domain);
	server->uuid = conf->uuid;
	server->configured = configured;
}

/* --- What devices make of it ----------------------------------------------------------------- */

/* A server that is there already: its domain and whether it is drained may be others now. */
static void add_peer(struct rmnic_vdev *v, void *arg)
{
	const struct rmnic_server *server = arg;
	uint32_t peer = rmnic_vdev_peer_find(v, server->address);

	if (peer == UINT32_MAX)
		rmnic_vdev_peer_add(v, server);
	else
		rmnic_vdev_peer_set(v, peer, server);
}

static void remove_peer(struct rmnic_vdev *v, void *arg)
{
	const struct rmnic_server *server = arg;
	uint32_t peer = rmnic_vdev_peer_find(v, server->address);

	if (peer != UINT32_MAX)
		rmnic_vdev_peer_remove(v, peer);
}

/* --- Changes --------------------------------------------------------------------------------- */

int rmnic_backend_server_add(struct rmnic_backend *b, const struct rmnic_conf_server *conf,
			     bool configured, struct rmnic_error *err)
{
	struct rmnic_server *server = find(b, full(conf->address));
	char text[24];

	if (server)
		return rmnic_error_set(err, "the server %s is there already%s",
				       rmnic_address_format(server->address, text),
				       server->draining || server->leaving ?
					       ", being drained (rmnicctl server undrain)" : "");
	if (b->nservers == RMNIC_MAX_SERVERS)
		return rmnic_error_set(err, "there are %u servers already, and no more than that can "
				       "be", b->nservers);
	server = &b->servers[b->nservers];
	memset(server, 0, sizeof(*server));
	fill(b, server, conf, configured);
	b->nservers++;
	rmnic_log_info("server %s added", rmnic_address_format(server->address, text));
	rmnic_backend_each(b, add_peer, server);
	rmnic_backend_tune(b);
	return 0;
}

static void take_away(struct rmnic_backend *b, struct rmnic_server *server)
{
	char text[24];

	rmnic_backend_each(b, remove_peer, server);
	rmnic_log_info("server %s removed", rmnic_address_format(server->address, text));
	*server = b->servers[--b->nservers];
	rmnic_backend_tune(b);
}

int rmnic_backend_server_remove(struct rmnic_backend *b, struct rmnic_conf_address address,
				struct rmnic_error *err)
{
	struct rmnic_server *server = find(b, full(address));
	struct rmnic_server_use use;
	char text[24];

	rmnic_address_format(full(address), text);
	if (!server)
		return rmnic_error_set(err, "there is no server %s", text);
	use = rmnic_backend_server_use(b, server);
	if (use.slabs)
		return rmnic_error_set(err, "the server %s holds %llu slab%s of %u device%s: drain it "
				       "first (rmnicctl server drain %s)", text,
				       (unsigned long long)use.slabs, use.slabs == 1 ? "" : "s",
				       use.devices, use.devices == 1 ? "" : "s", text);
	take_away(b, server);
	return 0;
}

/* --- Reading the configuration again ------------------------------------------------------------ */

static bool listed(const struct rmnic_conf_list *servers, struct rmnic_conf_address address)
{
	const struct rmnic_conf_server *list = servers->items;

	for (size_t i = 0; i < servers->count; i++)
		if (same(full(list[i].address), address))
			return true;
	return false;
}

/* Whether the server goes when this is the list. */
static bool goes(const struct rmnic_server *server, const struct rmnic_conf_list *servers)
{
	return server->configured && !listed(servers, server->address);
}

/* Nothing was changed yet when this says no. */
static int reload_check(struct rmnic_backend *b, const struct rmnic_conf_list *servers,
			struct rmnic_error *err)
{
	const struct rmnic_conf_server *list = servers->items;
	unsigned int others = 0, staying = 0, in_use = 0;
	char text[24];

	for (size_t i = 0; i < servers->count; i++) {
		const struct rmnic_server *server = find(b, full(list[i].address));

		for (size_t k = 0; k < i; k++)
			if (same(full(list[i].address), full(list[k].address)))
				return rmnic_error_set(err, "the server %s is listed twice",
						       rmnic_address_format(full(list[i].address),
									    text));
		staying += !server || !server->draining;
	}
	for (unsigned int i = 0; i < b->nservers; i++) {
		const struct rmnic_server *server = &b->servers[i];

		if (goes(server, servers)) {
			in_use += rmnic_backend_server_use(b, server).slabs != 0;
		} else if (!listed(servers, server->address)) {
			others++;
			staying += !server->draining;
		}
	}
	if (in_use && staying < (b->tuning.replicas ? b->tuning.replicas : 1))
		return rmnic_error_set(err, "%u server%s that hold slabs are no longer listed, and %u "
				       "others are too few for them: list more, or lower replicas",
				       in_use, in_use == 1 ? "" : "s", staying);
	if (others + in_use + servers->count > RMNIC_MAX_SERVERS)
		return rmnic_error_set(err, "%zu servers are too many (at most %u)", servers->count,
				       RMNIC_MAX_SERVERS);
	return 0;
}

/* Servers that go and hold nothing, now; and those that hold something, when they do not any more. */
static void let_go(struct rmnic_backend *b, const struct rmnic_conf_list *servers, bool empty)
{
	for (unsigned int i = 0; i < b->nservers;) {
		struct rmnic_server *server = &b->servers[i];
		bool going = goes(server, servers);

		if (going && empty && !rmnic_backend_server_use(b, server).slabs) {
			take_away(b, server); /* the last one is in its place now */
			continue;
		}
		if (going && !empty) {
			server->leaving = true;
			rmnic_backend_drain_go(b, server);
		}
		i++;
	}
}

int rmnic_backend_servers_reload(struct rmnic_backend *b, const struct rmnic_conf_list *servers,
				 struct rmnic_error *err)
{
	const struct rmnic_conf_server *list = servers->items;

	if (reload_check(b, servers, err))
		return -1;
	let_go(b, servers, true);
	for (size_t i = 0; i < servers->count; i++) {
		struct rmnic_server *server = find(b, full(list[i].address));

		if (!server) {
			if (rmnic_backend_server_add(b, &list[i], true, err))
				return -1;
			continue;
		}
		fill(b, server, &list[i], true);
		server->leaving = false;
		rmnic_backend_each(b, add_peer, server);
	}
	let_go(b, servers, false);
	rmnic_backend_tune(b);
	return 0;
}
