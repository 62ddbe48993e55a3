/* SPDX-License-Identifier: BSD-3-Clause */
#include "client_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/page.h"

struct cluster w;
struct rmnic_rmp_client *client;
unsigned int client_end;
uint64_t slab_handle;
unsigned int hedged;
struct rmnic_rmp_client_config client_cfg;

void client_rig_rx(void *arg, const struct rmnic_rx *rx)
{
	(void)arg;
	if (client)
		rmnic_rmp_client_rx(client, rx);
}

void client_rig_hedge(void *arg, struct rmnic_rmp_call *call)
{
	(void)arg;
	(void)call;
	hedged++;
}

static void step_until(uint64_t until)
{
	for (;;) {
		uint64_t packet, timer;

		for (unsigned int i = 0; i < w.nservers; i++)
			while (w.servers[i].server && rmnic_rmp_server_poll(w.servers[i].server))
				;
		while (rmnic_rmp_client_poll(client))
			;
		packet = memnet_next(&w.net);
		timer = rmnic_rmp_client_deadline(client);
		if (packet > until && timer > until)
			break;
		if (packet <= timer)
			memnet_deliver(&w.net);
		else if (timer > w.net.now)
			w.net.now = timer;
	}
	w.net.now = until;
}

void pass_time(uint64_t ns)
{
	step_until(w.net.now + ns);
}

static void on_done(struct rmnic_rmp_call *call)
{
	((struct probe_call *)call)->done = true;
}

static void on_idle(struct rmnic_rmp_call *call)
{
	((struct probe_call *)call)->idle = true;
}

void make_call(struct probe_call *p, uint8_t type, uint64_t rpn, uint64_t version)
{
	struct rmnic_peer_info info;

	rmnic_rmp_client_peer(client, 0, &info);
	memset(p, 0, sizeof(*p));
	p->call.type = type;
	p->call.handle = slab_handle;
	p->call.rpn = rpn;
	p->call.version = version;
	p->call.done = on_done;
	p->call.idle = on_idle;
	if (type == RMNIC_RMP_READ)
		p->call.page = p->page;
	if (type == RMNIC_RMP_WRITE) {
		cluster_page(p->page, version);
		p->call.body = p->page;
		p->call.body_len = 4096;
		p->call.crc = rmnic_page_seal(rmnic_rmp_client_crc(client),
					      rmnic_crc32c_update(rmnic_rmp_client_crc(client), 0,
								  p->page, 4096),
					      client_cfg.device, rpn, version);
	}
	p->call.deadline = w.net.now + 10000 * MS;
}

uint16_t run_call(struct probe_call *p)
{
	assert_true(rmnic_rmp_client_submit(client, &p->call));
	for (int i = 0; i < 12000 && !p->done; i++)
		pass_time(MS);
	assert_true(p->done);
	return p->call.status;
}

enum rmnic_peer_state peer_state(void)
{
	struct rmnic_peer_info info;

	rmnic_rmp_client_peer(client, 0, &info);
	return info.state;
}

void start_client(const uint8_t *uuid)
{
	struct rmnic_addr addr[RMNIC_LANES];

	client = rmnic_rmp_client_create(&client_cfg);
	assert_non_null(client);
	addr[0] = addr[1] = w.net.ends[w.servers[0].end].addr;
	addr[0].port = RMNIC_RMP_PORT_IN;
	addr[1].port = RMNIC_RMP_PORT_OUT;
	assert_int_equal(rmnic_rmp_client_add(client, addr, uuid), 0);
}

void alloc_slab(void)
{
	struct rmnic_rmp_alloc a = { .slab = 0, .pages = CLUSTER_SLAB };
	struct probe_call p;

	make_call(&p, RMNIC_RMP_ALLOC, 0, 0);
	p.call.handle = 0;
	p.call.body = &a;
	p.call.body_len = sizeof(a);
	/* The answer's body is gone after done(): the slab_handle is asked of the server itself. */
	assert_int_equal(run_call(&p), RMNIC_RMP_S_OK);
	slab_handle = w.servers[0].store->slabs[0].handle;
}

int client_rig_up(void **state)
{
	(void)state;
	cluster_init(&w, 11, 1, 256, 64, 1);
	client_end = memnet_add(&w.net, 2, client_rig_rx, NULL);
	client_cfg = (struct rmnic_rmp_client_config){
		.env = memnet_env(&w.net), .net = memnet_net(&w.net, client_end), .epoch = 3,
		.max_peers = 2, .max_calls = 64, .max_mtu = 9000, .rx_budget = 8 * 4096,
	};
	memset(client_cfg.device, 0xd0, 16);
	hedged = 0;
	start_client(NULL);
	pass_time(100 * MS);
	assert_int_equal(peer_state(), RMNIC_PEER_READY);
	alloc_slab();
	return 0;
}

int client_rig_down(void **state)
{
	(void)state;
	memnet_settle(&w.net, client_end);
	rmnic_rmp_client_destroy(client);
	client = NULL;
	cluster_fini(&w);
	return 0;
}
