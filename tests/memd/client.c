/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client - one device's remote store, told what to do line by line; one line of answer each.
 *
 *   client PORT DEVICE-UUID-BYTE TOKEN-BYTE PAGES SLAB-PAGES RESERVE VERSION SERVER[:PORT]...
 *
 *   wait STATUS MS        until the store has this status ("no-space"): ok, or the one it has
 *   out FROM N SEED       pages out, 32 at a time: ok N, or how many failed and how
 *   in FROM N SEED        pages in, each compared: the same
 *   status                of the store: ok name=value ...
 *   free FROM N · reserve PAGES · release
 *   peers                 of each server: state, MTU, why it was refused
 *   steal HANDLE RPN      asks for a page under a handle of somebody else's
 */
#include <inttypes.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client.h"
#include "rmnic/device.h"

#define WINDOW 32

struct job {
	struct rmnic_page_op op;
	uint16_t status;
	bool used, ended, out;
	uint64_t again; /* ns: BUSY, once more */
	uint64_t page[512];
};

static struct client client;

/* --- Pages ------------------------------------------------------------------------------------- */

static void make_page(uint64_t *page, uint64_t rpn, uint64_t seed)
{
	uint64_t x = (rpn + 1) * 0x9e3779b97f4a7c15ull ^ seed;
	uint64_t word = (uint32_t)x * UINT64_C(0x100000001);

	for (int i = 0; i < 512; i++)
		page[i] = rpn % 7 == 3 ? word : x * (uint64_t)(2 * i + 1); /* some repeat a word */
}

static bool is_page(const uint64_t *page, uint64_t rpn, uint64_t seed)
{
	uint64_t want[512];

	make_page(want, rpn, seed);
	return !memcmp(page, want, sizeof(want));
}

static void job_done(struct rmnic_page_op *op, uint16_t status)
{
	struct job *j = (struct job *)op;

	j->status = status;
	j->ended = true;
}

static void job_start(struct job *j, uint64_t seed)
{
	const struct rmnic_store_ops *ops = client.store->ops;
	uint16_t status;

	j->ended = false;
	j->again = 0;
	if (j->out)
		make_page(j->page, j->op.rpn, seed);
	else
		memset(j->page, 0xee, sizeof(j->page));
	status = j->out ? ops->page_out(client.store, &j->op) : ops->page_in(client.store, &j->op);
	if (status != RMNIC_STORE_PENDING)
		job_done(&j->op, status);
}

struct tally {
	uint64_t good, wrong, failed;
	unsigned int status; /* of the last that failed */
};

/* One that has ended. False: it is tried again. */
static bool settle(struct job *j, uint64_t seed, struct tally *t)
{
	if (j->status == RMNIC_SC_BUSY) {
		j->again = client_now() + 1000000;
		j->ended = false;
		return false;
	}
	if (j->status != RMNIC_SC_OK) {
		t->failed++;
		t->status = j->status;
	} else if (!j->out && !is_page(j->page, j->op.rpn, seed)) {
		t->wrong++;
	} else {
		t->good++;
	}
	j->used = false;
	return true;
}

static void pages(bool out, uint64_t from, uint64_t n, uint64_t seed)
{
	static struct job jobs[WINDOW];
	uint64_t next = from, left = n;
	struct tally t = { 0 };

	while (left) {
		for (int i = 0; i < WINDOW; i++) {
			struct job *j = &jobs[i];

			if (!j->used && next < from + n) {
				j->used = true;
				j->out = out;
				j->op = (struct rmnic_page_op){ .rpn = next++, .data = j->page, .done = job_done };
				job_start(j, seed);
			}
			if (j->used && j->again && j->again <= client_now())
				job_start(j, seed);
			if (j->used && j->ended)
				left -= settle(j, seed, &t);
		}
		client_turn(&client, client_now() + 1000000);
	}
	if (t.good == n)
		printf("ok %" PRIu64 "\n", n);
	else
		printf("failed good=%" PRIu64 " wrong=%" PRIu64 " failed=%" PRIu64 " status=0x%x\n",
		       t.good, t.wrong, t.failed, t.status);
}

/* --- Commands ------------------------------------------------------------------------------------ */

static const char *status_name(void)
{
	return rmnic_remote_status_names[rmnic_store_remote_status(client.store, NULL)];
}

static void wait_for(const char *name, uint64_t ms)
{
	uint64_t until = client_now() + ms * 1000000;

	while (strcmp(status_name(), name) && client_now() < until)
		client_turn(&client, until);
	printf("%s %s\n", strcmp(status_name(), name) ? "failed" : "ok", status_name());
}

static void changed(void *arg)
{
	((struct client *)arg)->changed = true;
}

static void show_status(void)
{
	const struct rmnic_remote_counters *n = rmnic_store_remote_counters(client.store);
	const struct rmnic_rmp_client_counters *w = rmnic_rmp_client_counters(client.rmp);
	uint64_t reserved;

	rmnic_store_remote_status(client.store, &reserved);
	printf("ok status=%s reserved=%" PRIu64 " lost=%" PRIu64 " slabs_lost=%" PRIu64
	       " orphans=%" PRIu64 " unreleased=%" PRIu64 " retransmits=%" PRIu64 " segments=%" PRIu64
	       " crc_errors=%" PRIu64 "\n",
	       status_name(), reserved, n->lost, n->slabs_lost, n->orphans, n->unreleased,
	       w->retransmits, w->segments, w->crc_errors);
}

static void show_peers(void)
{
	struct rmnic_peer_info info;

	printf("ok");
	for (uint32_t i = 0; i < client.servers; i++) {
		rmnic_rmp_client_peer(client.rmp, i, &info);
		printf(" %u:%s,mtu=%u", i, rmnic_peer_state_names[info.state], info.mtu);
		if (info.pressure)
			printf(",pressure");
		if (info.refused == RMNIC_RMP_S_VERSION)
			printf(",speaks=%u-%u", info.version_min, info.version_max);
		else if (info.refused)
			printf(",refused=%u", info.refused);
	}
	printf("\n");
}

static bool stolen;

static void steal_done(struct rmnic_rmp_call *call)
{
	(void)call;
	stolen = true;
}

static void steal(uint64_t handle, uint64_t rpn)
{
	static uint64_t page[512];
	static struct rmnic_rmp_call call;

	memset(&call, 0, sizeof(call));
	call.type = RMNIC_RMP_READ;
	call.handle = handle;
	call.rpn = rpn;
	call.page = page;
	call.deadline = client_now() + UINT64_C(5000000000);
	call.done = steal_done;
	stolen = false;
	if (!rmnic_rmp_client_submit(client.rmp, &call)) {
		printf("failed it was not sent\n");
		return;
	}
	while (!stolen)
		client_turn(&client, call.deadline);
	printf("ok status=%u\n", call.status);
}

static void command(char *line)
{
	char word[32] = "", name[32] = "";
	uint64_t a = 0, b = 0, c = 0;
	int n = sscanf(line, "%31s %" SCNi64 " %" SCNi64 " %" SCNi64, word, (int64_t *)&a, (int64_t *)&b,
		       (int64_t *)&c);

	if (!strcmp(word, "wait") && sscanf(line, "wait %31s %" SCNu64, name, &a) == 2) {
		for (char *at = strchr(name, '-'); at; at = strchr(at, '-'))
			*at = ' ';
		wait_for(name, a);
	} else if (!strcmp(word, "out") && n == 4) {
		pages(true, a, b, c);
	} else if (!strcmp(word, "in") && n == 4) {
		pages(false, a, b, c);
	} else if (!strcmp(word, "free") && n >= 3) {
		printf("ok %u\n", client.store->ops->free(client.store, a, (uint32_t)b));
	} else if (!strcmp(word, "reserve") && n >= 2) {
		printf("%s\n", rmnic_store_remote_reserve(client.store, a) ? "ok" : "failed too many");
	} else if (!strcmp(word, "release")) {
		rmnic_store_remote_release(client.store);
		printf("ok\n");
	} else if (!strcmp(word, "status")) {
		show_status();
	} else if (!strcmp(word, "peers")) {
		show_peers();
	} else if (!strcmp(word, "steal") && n >= 3) {
		steal(a, b);
	} else {
		printf("failed no such command: %s", line);
	}
	fflush(stdout);
}

/* --- Setting up ----------------------------------------------------------------------------------- */

static bool add_server(const char *text)
{
	struct rmnic_addr addr[RMNIC_LANES] = { { .ip = { [10] = 0xff, [11] = 0xff } } };
	char host[64];
	unsigned int port = RMNIC_RMP_PORT_IN;

	if (sscanf(text, "%63[^:]:%u", host, &port) < 1 || inet_pton(AF_INET, host, addr[0].ip + 12) != 1)
		return false;
	addr[1] = addr[0];
	addr[RMNIC_LANE_IN].port = (uint16_t)port;
	addr[RMNIC_LANE_OUT].port = (uint16_t)(port + 1);
	client.servers++;
	return rmnic_rmp_client_add(client.rmp, addr, NULL) != UINT32_MAX;
}

static void *make_state(uint64_t *size)
{
	struct rmnic_state_shape shape = { .pages = client.pages, .slab_pages = client.slab_pages,
					   .queues = 1, .depth = RMNIC_MIN_DEPTH, .epoch = 1 };
	void *state;

	memcpy(shape.uuid, client.cfg.device, 16);
	*size = rmnic_state_size(&shape);
	state = *size ? client_env.alloc(NULL, *size + 4096) : NULL;
	if (!state)
		return NULL;
	state = (void *)(((uintptr_t)state + 4095) & ~(uintptr_t)4095);
	rmnic_state_format(state, &shape);
	return state;
}

int main(int argc, char **argv)
{
	struct rmnic_remote_config *c = &client.cfg;
	char line[256];
	const char *why;

	if (argc < 9) {
		fprintf(stderr, "client: see the top of client.c\n");
		return 2;
	}
	client.pages = strtoull(argv[4], NULL, 0);
	client.slab_pages = (uint32_t)strtoul(argv[5], NULL, 0);
	client.version = (uint8_t)strtoul(argv[7], NULL, 0);
	rmnic_crc32c_init(&client.crc, false);
	if (!client_sockets(&client, (uint16_t)strtoul(argv[1], NULL, 0)))
		return 1;
	memset(c->uuid, 0xb0, 16);
	memset(c->device, (int)strtoul(argv[2], NULL, 0), 16);
	memset(c->token, (int)strtoul(argv[3], NULL, 0), 32);
	c->env = (struct rmnic_env){ &client_env, NULL };
	c->net = (struct rmnic_net){ &client_net, &client };
	c->state = make_state(&c->state_size);
	c->max_peers = 8;
	c->replicas = 1;
	c->max_ops = WINDOW;
	c->max_mtu = RMNIC_RMP_MAX_MTU;
	c->rx_budget = WINDOW * RMNIC_PAGE_SIZE;
	c->reserve = strtoull(argv[6], NULL, 0);
	c->timeout_ns = UINT64_C(30000000000);
	c->status_changed = changed;
	c->arg = &client;
	client.store = c->state ? rmnic_store_remote_create(c, &why) : NULL;
	if (!client.store) {
		fprintf(stderr, "client: %s\n", c->state ? why : "no memory");
		return 1;
	}
	client.rmp = rmnic_store_remote_client(client.store);
	for (int i = 8; i < argc; i++)
		if (!add_server(argv[i]))
			return 2;
	while (fgets(line, sizeof(line), stdin))
		command(line);
	return 0;
}
