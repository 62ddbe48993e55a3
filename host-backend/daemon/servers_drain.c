/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Taking a server's slabs away from it, device by device, while the guests go on. The engine moves
 * them; here is who asks for it, and who looks when it is over.
 */
#include <string.h>

#include "common/conf_net.h"
#include "common/log.h"
#include "common/timeout.h"
#include "daemon/backend.h"
#include "daemon/device_internal.h"

/* How often it is looked whether a server is empty: no event of the engine's says so. */
#define LOOK_US UINT64_C(200000)

/* --- How much is there --------------------------------------------------------------------------- */

struct counting {
	const struct rmnic_server *server;
	struct rmnic_server_use use;
};

static bool is_zero(const uint8_t uuid[16])
{
	static const uint8_t zeros[16];

	return !memcmp(uuid, zeros, sizeof(zeros));
}

/* A device that has not met the server itself knows it by the uuid that another one was told. */
static uint64_t rows_naming(const struct rmnic_vdev *v, const uint8_t uuid[16])
{
	struct rmnic_state_view view;
	uint64_t n = 0;

	for (uint64_t i = 0; i < v->block.nslabs; i++) {
		if (!rmnic_state_view_get(&v->block, i, &view))
			continue;
		for (unsigned int k = 0; k < view.members; k++)
			n += !memcmp(view.member[k].server, uuid, 16);
	}
	return n;
}

static void count(struct rmnic_vdev *v, void *arg)
{
	struct counting *c = arg;
	uint32_t peer = rmnic_vdev_peer_find(v, c->server->address);
	uint8_t missing[16];
	uint64_t n = 0;

	if (peer != UINT32_MAX && !is_zero(rmnic_rmp_client_uuid(v->client, peer)))
		n = rmnic_store_remote_holds(v->store, peer);
	else if (!is_zero(c->server->met))
		n = rows_naming(v, c->server->met);
	else if (c->server->uuid.given)
		n = rows_naming(v, c->server->uuid.byte);
	else
		n = rmnic_store_remote_missing(v->store, missing);
	c->use.slabs += n;
	c->use.devices += n != 0;
}

struct rmnic_server_use rmnic_backend_server_use(struct rmnic_backend *b,
						 const struct rmnic_server *server)
{
	struct counting c = { .server = server };

	rmnic_backend_each(b, count, &c);
	return c.use;
}

unsigned int rmnic_backend_servers_staying(const struct rmnic_backend *b)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < b->nservers; i++)
		n += !b->servers[i].draining && !b->servers[i].leaving;
	return n;
}

/* --- Until it is empty ------------------------------------------------------------------------------ */

static void say_empty(struct rmnic_backend *b, struct rmnic_server *server)
{
	char text[24];

	rmnic_address_format(server->address, text);
	server->drained = true;
	if (!server->leaving) {
		rmnic_log_info("server %s is empty now: it may go (rmnicctl server remove %s)", text,
			       text);
		return;
	}
	rmnic_log_info("server %s is empty now and not listed any more", text);
	rmnic_backend_server_remove(b, server->address, NULL);
}

/* True: it is worth looking again. */
static bool look_at(struct rmnic_backend *b)
{
	bool more = false;

	for (unsigned int i = 0; i < b->nservers; i++) {
		struct rmnic_server *server = &b->servers[i];
		unsigned int n = b->nservers;

		if (!server->draining && !server->leaving)
			continue;
		if (rmnic_backend_server_use(b, server).slabs)
			server->drained = false;
		else if (!server->drained)
			say_empty(b, server);
		if (b->nservers < n)
			i--; /* the last one is in its place now */
		else
			more |= !server->drained;
	}
	return more;
}

static void look_soon(struct rmnic_backend *b);

static int on_look(sd_event_source *source, uint64_t usec, void *arg)
{
	struct rmnic_backend *b = arg;

	(void)source;
	(void)usec;
	if (look_at(b))
		look_soon(b);
	return 0;
}

static void look_soon(struct rmnic_backend *b)
{
	if (rmnic_timeout_set(b->event, &b->drain_timer, LOOK_US, on_look, b) < 0)
		rmnic_log_warn("no timer: nothing will say when a drained server is empty");
}

static void set_peer(struct rmnic_vdev *v, void *arg)
{
	const struct rmnic_server *server = arg;
	uint32_t peer = rmnic_vdev_peer_find(v, server->address);

	if (peer != UINT32_MAX)
		rmnic_vdev_peer_set(v, peer, server);
}

void rmnic_backend_drain_go(struct rmnic_backend *b, struct rmnic_server *server)
{
	char text[24];

	server->drained = false;
	rmnic_backend_each(b, set_peer, server);
	rmnic_backend_tune(b);
	rmnic_address_format(server->address, text);
	if (!server->draining && !server->leaving) {
		rmnic_log_info("server %s is not drained any more", text);
		return;
	}
	rmnic_log_info("server %s is drained: %llu slabs are to go elsewhere", text,
		       (unsigned long long)rmnic_backend_server_use(b, server).slabs);
	look_soon(b);
}

int rmnic_backend_server_drain(struct rmnic_backend *b, struct rmnic_conf_address address, bool on,
			       struct rmnic_error *err)
{
	struct rmnic_server *server = rmnic_backend_server(b, address);
	unsigned int staying = rmnic_backend_servers_staying(b);
	uint32_t need = b->tuning.replicas ? b->tuning.replicas : 1;
	char text[24];

	if (!server)
		return rmnic_error_set(err, "there is no server %s",
				       rmnic_address_format(address, text));
	if (server->draining == on && !(server->leaving && !on))
		return on ? 0 : rmnic_error_set(err, "the server %s is not being drained",
						rmnic_address_format(server->address, text));
	if (on && !server->leaving && staying - 1 < need &&
	    rmnic_backend_server_use(b, server).slabs)
		return rmnic_error_set(err, "the other servers (%u) are too few for the slabs of %s "
				       "(replicas %u): add one first, or lower the replicas (rmnicctl "
				       "replicas)", staying - 1,
				       rmnic_address_format(server->address, text), need);
	server->draining = on;
	if (!on && server->leaving) /* kept by this command, as if it had been added by one */
		server->leaving = server->configured = false;
	rmnic_backend_drain_go(b, server);
	return 0;
}
