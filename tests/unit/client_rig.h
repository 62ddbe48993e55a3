/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An RMP client and one real server on a network in memory. The session is open, and the slab of
 * pages 0 to 63 reserved under slab_handle.
 */
#ifndef CLIENT_RIG_H
#define CLIENT_RIG_H

#include "engine/rmp_client.h"
#include "rmnic/device.h"
#include "cluster.h"

#define MS UINT64_C(1000000)

struct probe_call {
	struct rmnic_rmp_call call;
	bool done, idle;
	uint64_t page[512];
};

extern struct cluster w;
extern struct rmnic_rmp_client *client;
extern unsigned int client_end;
extern uint64_t slab_handle;
extern unsigned int hedged;
extern struct rmnic_rmp_client_config client_cfg;

/* Time goes by, with all that happens in it. */
void pass_time(uint64_t ns);
void make_call(struct probe_call *p, uint8_t type, uint64_t rpn, uint64_t version);
/* Submits and waits; gives the call's status. */
uint16_t run_call(struct probe_call *p);
enum rmnic_peer_state peer_state(void);
void start_client(const uint8_t *uuid);
void alloc_slab(void);
/* For tests that make a world of their own: what client_rig_up() connects. */
void client_rig_rx(void *arg, const struct rmnic_rx *rx);
void client_rig_hedge(void *arg, struct rmnic_rmp_call *call); /* counts in hedged */
int client_rig_up(void **state);
int client_rig_down(void **state);

#endif /* CLIENT_RIG_H */
