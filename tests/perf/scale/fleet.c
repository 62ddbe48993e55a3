/* SPDX-License-Identifier: BSD-3-Clause */
#include "fleet.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rmnic/device.h"

#define SETUP_NS    UINT64_C(60000000000)
#define SESSIONS    1024 /* of a server; as rmnic-memd's default */
#define DEVICE_OPS  8

static void give_up(const char *what)
{
	fprintf(stderr, "scale: %s\n", what);
	exit(2);
}

/* --- What an end does -------------------------------------------------------------------------- */

static void server_rx(void *arg, const struct rmnic_rx *rx)
{
	rmnic_rmp_server_rx(((struct scale_server *)arg)->server, rx);
}

static bool server_poll(void *arg)
{
	return rmnic_rmp_server_poll(((struct scale_server *)arg)->server);
}

static uint64_t server_deadline(void *arg)
{
	return rmnic_rmp_server_deadline(((struct scale_server *)arg)->server);
}

static void device_rx(void *arg, const struct rmnic_rx *rx)
{
	rmnic_rmp_client_rx(rmnic_store_remote_client(((struct scale_device *)arg)->store), rx);
}

static bool device_poll(void *arg)
{
	struct rmnic_store *store = ((struct scale_device *)arg)->store;
	bool more = rmnic_rmp_client_poll(rmnic_store_remote_client(store));

	return store->ops->idle(store) || more;
}

static uint64_t device_deadline(void *arg)
{
	return rmnic_store_remote_deadline(((struct scale_device *)arg)->store);
}

static const struct scale_kind server_kind = { server_rx, server_poll, server_deadline };
static const struct scale_kind device_kind = { device_rx, device_poll, device_deadline };

/* --- Servers -------------------------------------------------------------------------------------- */

void scale_fleet_uuid(uint32_t server, uint8_t uuid[16])
{
	memset(uuid, 0x50, 16);
	memcpy(uuid, &server, sizeof(server));
}

/* Half as much again as the fleet reserves, so that the others can take what one that dies held. */
static uint32_t server_slabs(const struct scale_options *o)
{
	uint64_t slabs = (uint64_t)o->devices * (o->mib / 64) * o->replicas;

	return (uint32_t)(slabs * 3 / 2 / o->servers + 8);
}

static void server_make(struct scale_fleet *f, uint32_t i)
{
	struct scale_server *s = &f->servers[i];
	uint32_t slabs = server_slabs(&f->o);
	struct rmnic_memstore_config mc = {
		.npages = slabs * SCALE_SLAB_PAGES,
		.slack = 1024,
		.slab_pages = SCALE_SLAB_PAGES,
		.max_slabs = slabs,
		.max_devices = SESSIONS,
		.max_refs = 4096,
	};
	struct rmnic_rmp_server_config sc = {
		.max_sessions = SESSIONS,
		.max_queue = 256,
	};

	s->end = scale_net_add(&f->net, &server_kind, s);
	s->npages = mc.npages;
	mc.env = sc.env = scale_net_env(&f->net, s->end);
	mc.pages = scale_net_memory(&f->net, (uint64_t)mc.npages * RMNIC_PAGE_SIZE);
	sc.net = scale_net_of(&f->net, s->end);
	sc.store = s->store = rmnic_memstore_create(&mc);
	scale_fleet_uuid(i, sc.uuid);
	s->server = s->store ? rmnic_rmp_server_create(&sc) : NULL;
	if (!s->server)
		give_up("a server cannot be made: its size is out of range");
}

void scale_fleet_kill(struct scale_fleet *f, uint32_t server)
{
	struct scale_server *s = &f->servers[server];

	scale_net_cut(&f->net, s->end);
	rmnic_rmp_server_destroy(s->server);
	rmnic_memstore_destroy(s->store);
	s->server = NULL;
	s->store = NULL;
}

/* --- Devices --------------------------------------------------------------------------------------- */

static void event(void *arg, const struct rmnic_remote_event *e)
{
	struct scale_device *d = arg;

	if (e->kind == RMNIC_REMOTE_EV_DROPPED)
		d->dropped_at = d->net->now;
}

static void *make_state(struct scale_fleet *f, struct scale_device *d, const uint8_t uuid[16])
{
	struct rmnic_state_shape shape = {
		.pages = d->pages, .slab_pages = SCALE_SLAB_PAGES, .queues = 3, .depth = 64, .epoch = 1,
	};
	void *state;

	memcpy(shape.uuid, uuid, 16);
	d->state_bytes = rmnic_state_size(&shape);
	/* Tables begin where pages do. */
	scale_net_memory(&f->net, 4096 - f->net.arena_used % 4096);
	state = scale_net_memory(&f->net, d->state_bytes);
	rmnic_state_format(state, &shape);
	return state;
}

static void tell_server(struct scale_fleet *f, struct scale_device *d, uint32_t server)
{
	struct rmnic_addr addr[RMNIC_LANES];

	addr[RMNIC_LANE_IN] = addr[RMNIC_LANE_OUT] = f->net.ends[f->servers[server].end].addr;
	addr[RMNIC_LANE_IN].port = RMNIC_RMP_PORT_IN;
	addr[RMNIC_LANE_OUT].port = RMNIC_RMP_PORT_OUT;
	rmnic_rmp_client_add(rmnic_store_remote_client(d->store), addr, NULL);
}

/* Some servers of the fleet, each as likely as the others. */
static void tell_servers(struct scale_fleet *f, struct scale_device *d)
{
	uint32_t left = f->o.known < f->o.servers ? f->o.known : f->o.servers;

	for (uint32_t i = 0; i < f->o.servers && left; i++)
		if (scale_net_random(&f->net) % (f->o.servers - i) < left) {
			tell_server(f, d, i);
			left--;
		}
}

static void device_make(struct scale_fleet *f, uint32_t i)
{
	struct scale_device *d = &f->devices[i];
	const char *why = "?";
	struct rmnic_remote_config c = {
		.max_peers = f->o.known,
		.replicas = f->o.replicas,
		.max_ops = DEVICE_OPS,
		.max_mtu = 9000,
		.rx_budget = 64 * RMNIC_PAGE_SIZE,
		/* One range and then a long rest: what scrubbing costs is its rate's business. */
		.scrub_rate = 1,
		.arg = d,
		.event = event,
	};

	d->index = i;
	d->net = &f->net;
	d->pages = (uint64_t)f->o.mib * 256;
	d->end = scale_net_add(&f->net, &device_kind, d);
	memset(c.uuid, 0xb0, 16);
	memset(c.token, 0x77, 32);
	memset(c.device, 0xd0, 16);
	memcpy(c.device, &i, sizeof(i));
	memcpy(c.uuid, &i, sizeof(i));
	c.env = scale_net_env(&f->net, d->end);
	c.net = scale_net_of(&f->net, d->end);
	c.state = make_state(f, d, c.device);
	c.state_size = d->state_bytes;
	d->store = rmnic_store_remote_create(&c, &why);
	if (!d->store)
		give_up(why);
	tell_servers(f, d);
	scale_net_wake(&f->net, d->end);
}

void scale_fleet_pause(struct scale_fleet *f, const struct scale_device *but, bool on)
{
	while (on && f->net.count)
		scale_net_step(&f->net, UINT64_MAX - 1);
	for (uint32_t i = 0; i < f->o.devices; i++) {
		struct scale_device *d = &f->devices[i];

		if (d == but)
			continue;
		if (on)
			scale_net_cut(&f->net, d->end);
		f->net.ends[d->end].up = !on;
		scale_net_wake(&f->net, d->end);
	}
}

/* --- All of it ---------------------------------------------------------------------------------------- */

/* One after the other, as guests are started: each sees what those before it reserved. */
static void wait_ready(struct scale_fleet *f, const struct scale_device *d)
{
	uint64_t began = f->net.now, took;

	while (rmnic_store_remote_status(d->store, NULL) != RMNIC_REMOTE_READY)
		if (!scale_net_step(&f->net, began + SETUP_NS)) {
			fprintf(stderr, "scale: device %u of %u is not ready after %" PRIu64 " s: %s\n", d->index,
				f->o.devices, SETUP_NS / 1000000000,
				rmnic_remote_status_names[rmnic_store_remote_status(d->store, NULL)]);
			exit(2);
		}
	took = f->net.now - began;
	f->setup_ns = took > f->setup_ns ? took : f->setup_ns;
}

void scale_fleet_init(struct scale_fleet *f, const struct scale_options *options)
{
	memset(f, 0, sizeof(*f));
	f->o = *options;
	scale_net_init(&f->net, options->seed, options->servers + options->devices);
	f->servers = calloc(options->servers, sizeof(*f->servers));
	f->devices = calloc(options->devices, sizeof(*f->devices));
	if (!f->servers || !f->devices)
		give_up("no memory for the fleet");
	for (uint32_t i = 0; i < options->servers; i++)
		server_make(f, i);
	for (uint32_t i = 0; i < options->devices; i++) {
		device_make(f, i);
		wait_ready(f, &f->devices[i]);
	}
}

void scale_fleet_fini(struct scale_fleet *f)
{
	for (uint32_t i = 0; i < f->o.devices; i++)
		rmnic_store_remote_destroy(f->devices[i].store);
	for (uint32_t i = 0; i < f->o.servers; i++) {
		rmnic_rmp_server_destroy(f->servers[i].server);
		rmnic_memstore_destroy(f->servers[i].store);
	}
	scale_net_fini(&f->net);
	free(f->servers);
	free(f->devices);
}

void scale_fleet_count(const struct scale_fleet *f, uint64_t *sent, uint64_t *polls)
{
	*sent = *polls = 0;
	for (uint32_t i = 0; i < f->net.nends; i++) {
		*sent += f->net.ends[i].sent;
		*polls += f->net.ends[i].polls;
	}
}
