/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/internal.h"

#define MAX_DELAY_US 10000000u

#define KNOB(field) __atomic_load_n(&dev->fault.field, __ATOMIC_RELAXED)

/* Whether the knobs are about this command. */
static bool concerned(struct rmnic_dev *dev, const struct rmnic_cmd *cmd)
{
	uint32_t opcode = KNOB(opcode);

	return opcode == 0 || opcode == cmd->opcode;
}

/* Whether the command touches the range of pages that is to fail, and from where. */
static bool touches(struct rmnic_dev *dev, const struct rmnic_cmd *cmd, uint32_t *index)
{
	uint64_t first = KNOB(fail_rpn_first), count = KNOB(fail_rpn_count);

	*index = 0;
	if (count == 0)
		return true;
	/* The ranges of a list, and FLUSH, have no rpn of their own. */
	if (cmd->npages == 0 || (cmd->opcode == RMNIC_OP_FREE && (cmd->flags & RMNIC_SQE_F_LIST)))
		return false;
	if (cmd->rpn >= first)
		return cmd->rpn - first < count;
	if (first - cmd->rpn >= cmd->npages)
		return false;
	*index = (uint32_t)(first - cmd->rpn);
	return true;
}

/* Counts events from the moment a knob was set; true for each n-th. */
static bool nth(uint32_t knob, uint32_t *seen, uint32_t *count)
{
	if (knob != *seen) {
		*seen = knob;
		*count = 0;
	}
	if (knob == 0 || ++*count < knob)
		return false;
	*count = 0;
	return true;
}

/* xorshift32: the same sequence in each run, so that a test can be repeated. */
static uint32_t random_next(struct rmnic_fault_state *state)
{
	uint32_t x = state->random ? state->random : 0x9e3779b9u;

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return state->random = x;
}

uint16_t rmnic_fault_status(struct rmnic_dev *dev, const struct rmnic_cmd *cmd, uint32_t *stop_at)
{
	struct rmnic_fault_state *state = &dev->fault_state;
	uint32_t status = KNOB(fail_status);
	uint32_t permille;

	if (!status || !concerned(dev, cmd) || !touches(dev, cmd, stop_at))
		return 0;
	permille = KNOB(fail_permille);
	if (!nth(KNOB(fail_nth), &state->nth_seen, &state->nth_count) &&
	    !(permille && random_next(state) % 1000 < permille))
		return 0;
	RMNIC_COUNT(dev->counters.faults_injected, 1);
	return (uint16_t)status;
}

uint64_t rmnic_fault_delay(struct rmnic_dev *dev, const struct rmnic_cmd *cmd)
{
	uint32_t us = KNOB(delay_us);

	if (!us || !concerned(dev, cmd))
		return 0;
	RMNIC_COUNT(dev->counters.faults_injected, 1);
	return (us > MAX_DELAY_US ? MAX_DELAY_US : us) * 1000ull;
}

/* Whether this is the n-th completion. Once; a knob that was set again meanwhile stays set. */
static bool cqe_turn(struct rmnic_dev *dev, uint32_t n)
{
	struct rmnic_fault_state *state = &dev->fault_state;

	if (!nth(n, &state->cqe_seen, &state->cqe_count))
		return false;
	__atomic_compare_exchange_n(&dev->fault.cqe_nth, &n, 0, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	state->cqe_seen = 0;
	RMNIC_COUNT(dev->counters.faults_injected, 1);
	return true;
}

enum rmnic_fault_cqe rmnic_fault_cqe(struct rmnic_dev *dev, const struct rmnic_cmd *cmd)
{
	struct rmnic_fault_state *state = &dev->fault_state;
	uint32_t kind = KNOB(cqe_kind), n = KNOB(cqe_nth);

	if (kind == RMNIC_FAULT_CQE_NONE || kind >= RMNIC_FAULT_CQE_COUNT || !n) {
		state->cqe_seen = 0;
		return RMNIC_FAULT_CQE_NONE;
	}
	if (!concerned(dev, cmd) || !cqe_turn(dev, n))
		return RMNIC_FAULT_CQE_NONE;
	return (enum rmnic_fault_cqe)kind;
}

bool rmnic_fault_drop_admin(struct rmnic_dev *dev, uint8_t opcode)
{
	uint32_t n = KNOB(cqe_nth);

	return n && KNOB(opcode) == opcode && KNOB(cqe_kind) == RMNIC_FAULT_CQE_DROP &&
	       cqe_turn(dev, n);
}

bool rmnic_fault_drop_irq(struct rmnic_dev *dev)
{
	struct rmnic_fault_state *state = &dev->fault_state;

	if (!nth(KNOB(drop_irq_nth), &state->irq_seen, &state->irq_count))
		return false;
	RMNIC_COUNT(dev->counters.faults_injected, 1);
	return true;
}
