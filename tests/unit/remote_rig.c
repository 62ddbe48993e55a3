/* SPDX-License-Identifier: BSD-3-Clause */
#include "remote_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "rmnic/device.h"

struct cluster rw;
uint64_t remote_buf[512];

void remote_up(unsigned int servers, uint64_t pages, uint32_t replicas)
{
	cluster_init(&rw, 1, servers, (uint32_t)pages + 256, pages, replicas);
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 1000 * MS));
}

uint16_t remote_out(uint64_t rpn, uint64_t content)
{
	cluster_page(remote_buf, content);
	return cluster_out(&rw, rpn, remote_buf);
}

/* Whether page rpn can be read and has the content. */
bool remote_holds(uint64_t rpn, uint64_t content)
{
	memset(remote_buf, 0xee, sizeof(remote_buf));
	return cluster_in(&rw, rpn, remote_buf) == RMNIC_SC_OK && cluster_is_page(remote_buf, content);
}

bool remote_zeros(uint64_t rpn)
{
	memset(remote_buf, 0xee, sizeof(remote_buf));
	return cluster_in(&rw, rpn, remote_buf) == RMNIC_SC_OK && !remote_buf[0] && !remote_buf[511];
}

struct rmnic_state_block remote_block(void)
{
	struct rmnic_state_block b;

	assert_null(rmnic_state_attach(&b, rw.state, rw.state_size, rw.cfg.device));
	return b;
}

uint64_t remote_word(uint64_t rpn)
{
	struct rmnic_state_block b = remote_block();

	return rmnic_state_page(&b, rpn);
}

struct rmnic_mem_slab *remote_slab(unsigned int server, uint64_t rpn)
{
	struct rmnic_memstore *ms = rw.servers[server].store;

	for (uint32_t i = 0; i < ms->cfg.max_slabs; i++)
		if (ms->slabs[i].handle && !ms->slabs[i].dying &&
		    ms->slabs[i].number == rpn / CLUSTER_SLAB)
			return &ms->slabs[i];
	return NULL;
}

const struct rmnic_rmp_client_counters *remote_wire(void)
{
	return rmnic_rmp_client_counters(rmnic_store_remote_client(rw.store));
}
