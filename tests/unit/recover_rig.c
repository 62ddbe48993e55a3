/* SPDX-License-Identifier: BSD-3-Clause */
#include "recover_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/le.h"
#include "engine/step.h"
#include "rmnic/device.h"

int recover_tear_down(void **state)
{
	(void)state;
	cluster_fini(&rw);
	return 0;
}

/* Every third page repeats a word, every seventh was freed again, the last slab was never used. */
static bool recover_is_filled(uint64_t rpn)
{
	return rpn % 3 == 0;
}

bool recover_is_freed(uint64_t rpn)
{
	return rpn % 7 == 0;
}

uint16_t recover_out(uint64_t rpn, uint64_t content)
{
	if (!recover_is_filled(rpn))
		return remote_out(rpn, content);
	for (int i = 0; i < 512; i++)
		remote_buf[i] = content << 32 | content;
	return cluster_out(&rw, rpn, remote_buf);
}

bool recover_holds(uint64_t rpn, uint64_t content)
{
	if (!recover_is_filled(rpn))
		return remote_holds(rpn, content);
	memset(remote_buf, 0xee, sizeof(remote_buf));
	return cluster_in(&rw, rpn, remote_buf) == RMNIC_SC_OK &&
	       remote_buf[0] == (content << 32 | content) && remote_buf[511] == remote_buf[0];
}

void recover_write_all(uint64_t content)
{
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES - CLUSTER_SLAB; rpn++)
		assert_int_equal(recover_out(rpn, content + rpn), RMNIC_SC_OK);
}

void recover_fill(void)
{
	recover_write_all(1000);
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES - CLUSTER_SLAB; rpn += 7)
		assert_int_equal(rw.store->ops->free(rw.store, rpn, 1), RMNIC_SC_OK);
	cluster_run(&rw, 200 * MS); /* the members are told */
}

void recover_up(unsigned int servers, uint32_t replicas)
{
	remote_up(servers, RECOVER_PAGES, replicas);
	recover_fill();
}

void recover_check_all(uint64_t content)
{
	for (uint64_t rpn = 0; rpn < RECOVER_PAGES - CLUSTER_SLAB; rpn++)
		assert_true(recover_is_freed(rpn) ? remote_zeros(rpn) : recover_holds(rpn, content + rpn));
	assert_true(remote_zeros(RECOVER_PAGES - 1));
}

/* The state block is lost with the backend. */
void recover_forget(void)
{
	struct rmnic_state_shape shape = {
		.pages = RECOVER_PAGES, .slab_pages = CLUSTER_SLAB, .queues = 3, .depth = 64, .epoch = 1,
	};

	cluster_stop(&rw);
	memset(shape.uuid, 0xd0, 16);
	memset(rw.state, 0, rw.state_size);
	rmnic_state_format(rw.state, &shape);
	rw.cfg.recover = true;
}

void recover_begin(void)
{
	assert_true(cluster_start(&rw));
	assert_true(cluster_ready(&rw, 20000 * MS));
}

uint64_t recover_waiting(void)
{
	struct rmnic_remote_progress p;

	rmnic_store_remote_progress(rw.store, &p);
	return p.waiting;
}

bool recover_is_over(void)
{
	return !rmnic_le32_get(remote_block().hdr->recovering);
}

void recover_wait_until_over(void)
{
	for (int i = 0; i < 1000 && !recover_is_over(); i++)
		cluster_run(&rw, 50 * MS);
	assert_true(recover_is_over());
	assert_int_equal(recover_waiting(), 0);
}

/* --- Death ------------------------------------------------------------------------------------------ */

static jmp_buf death;
static unsigned int steps_left;

static void count_steps(void)
{
	if (--steps_left == 0) {
		rmnic_step_hook = NULL;
		longjmp(death, 1);
	}
}

bool recover_dies_before(unsigned int n)
{
	if (setjmp(death))
		return true;
	steps_left = n;
	rmnic_step_hook = count_steps;
	while (!recover_is_over())
		cluster_step(&rw, rw.net.now + 10 * MS);
	rmnic_step_hook = NULL;
	return false;
}
