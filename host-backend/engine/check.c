/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ladder of checks that an I/O command climbs before anything of it happens (device.md,
 * "Commands"). Only the private copies of SQE and list are looked at. Each rung that turns a
 * command down counts it, tells the host why, and gives a status.
 */
#include "engine/internal.h"

#define LADDER_OK 0

uint16_t rmnic_cmd_refuse(struct rmnic_qp *qp, enum rmnic_refusal why, uint64_t value,
			  uint16_t status)
{
	rmnic_dev_refuse(qp->dev, why, qp->id, rmnic_le16_get(qp->sqe.io.cid), value);
	return status;
}

/* CMD-12 */
static uint16_t check_cid(struct rmnic_qp *qp)
{
	uint16_t cid = rmnic_le16_get(qp->sqe.io.cid);

	if (cid >= qp->depth)
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_BAD_CID, cid, RMNIC_SC_INVALID_CID);
	if (qp->cmds[cid].state != RMNIC_CMD_IDLE)
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_CID_IN_FLIGHT, cid, RMNIC_SC_INVALID_CID);
	return LADDER_OK;
}

static uint16_t check_opcode(struct rmnic_qp *qp)
{
	uint8_t opcode = qp->sqe.io.opcode;

	if (opcode < RMNIC_OP_PAGE_OUT || opcode > RMNIC_OP_FLUSH)
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_INVALID_OPCODE, opcode,
					RMNIC_SC_INVALID_OPCODE);
	return LADDER_OK;
}

/* CMD-13 */
static uint16_t check_class(struct rmnic_qp *qp)
{
	uint8_t opcode = qp->sqe.io.opcode;

	if ((opcode == RMNIC_OP_PAGE_IN) != (qp->qclass == RMNIC_CLASS_PAGE_IN))
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_WRONG_CLASS, opcode,
					RMNIC_SC_WRONG_CLASS);
	return LADDER_OK;
}

/* CMD-9: reserved, and fields that this opcode does not use. */
static uint16_t check_reserved(struct rmnic_qp *qp)
{
	const struct rmnic_sqe *sqe = &qp->sqe.io;
	bool list = sqe->flags & RMNIC_SQE_F_LIST;
	bool transfer = sqe->opcode == RMNIC_OP_PAGE_OUT || sqe->opcode == RMNIC_OP_PAGE_IN;
	uint64_t bad = 0;

	for (unsigned int i = 0; i < sizeof(sqe->rsvd) / sizeof(sqe->rsvd[0]); i++)
		bad |= sqe->rsvd[i];
	bad |= sqe->flags & ~RMNIC_SQE_F_LIST;
	if (list && !transfer && sqe->opcode != RMNIC_OP_FREE)
		bad |= sqe->flags;
	if (!list && !transfer)
		bad |= sqe->addr;
	if (sqe->opcode == RMNIC_OP_FLUSH)
		bad |= sqe->npages | sqe->rpn;
	if (sqe->opcode == RMNIC_OP_FREE && list)
		bad |= sqe->rpn;
	if (bad)
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_RESERVED_FIELD, bad,
					RMNIC_SC_INVALID_FIELD);
	return LADDER_OK;
}

static uint16_t check_extent(struct rmnic_qp *qp, uint64_t rpn, uint64_t npages)
{
	uint64_t capacity = qp->dev->capacity;

	if (rpn > capacity || npages > capacity - rpn)
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_RPN_RANGE, rpn, RMNIC_SC_RPN_RANGE);
	return LADDER_OK;
}

/* The address of a run of pages. Whether each is RAM is found when it is mapped (CMD-3). */
static uint16_t check_run(struct rmnic_qp *qp, uint64_t addr, uint32_t npages)
{
	if (addr % RMNIC_PAGE_SIZE)
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_MISALIGNED, addr,
					RMNIC_SC_INVALID_ADDRESS);
	if (addr > UINT64_MAX - (uint64_t)npages * RMNIC_PAGE_SIZE)
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_NOT_RAM, addr, RMNIC_SC_INVALID_ADDRESS);
	return LADDER_OK;
}

/* CMD-10, RING-6: checks where a list lies and makes the one copy of it. */
static uint16_t copy_list(struct rmnic_qp *qp, uint64_t addr, uint32_t bytes)
{
	const struct rmnic_host_ops *ops = qp->dev->cfg.ops;
	void *host = qp->dev->cfg.host;
	struct rmnic_mapping m;

	if (addr % RMNIC_LIST_ALIGN)
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_MISALIGNED, addr,
					RMNIC_SC_INVALID_ADDRESS);
	if (addr % RMNIC_PAGE_SIZE + bytes > RMNIC_PAGE_SIZE)
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_LIST_CROSSES_PAGE, addr,
					RMNIC_SC_INVALID_ADDRESS);
	if (!ops->map(host, addr, bytes, false, &m))
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_NOT_RAM, addr, RMNIC_SC_INVALID_ADDRESS);
	rmnic_copy_once(qp->list, m.ptr, bytes);
	ops->unmap(host, &m, 0);
	return LADDER_OK;
}

/* All ranges are checked before the first is freed; failed is the one that is wrong (CMD-4). */
static uint16_t check_ranges(struct rmnic_qp *qp, uint32_t n, uint32_t *failed)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct rmnic_range *range = rmnic_qp_range(qp, i);
		uint32_t npages = rmnic_le32_get(range->npages);
		uint16_t sc;

		*failed = i;
		if (range->rsvd)
			return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_RESERVED_FIELD, range->rsvd,
						RMNIC_SC_INVALID_FIELD);
		if (!npages)
			return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_BAD_LENGTH, 0,
						RMNIC_SC_INVALID_LENGTH);
		sc = check_extent(qp, rmnic_le64_get(range->rpn), npages);
		if (sc)
			return sc;
	}
	*failed = RMNIC_NONE_FAILED;
	return LADDER_OK;
}

static uint16_t check_length(struct rmnic_qp *qp, uint32_t npages, uint32_t limit)
{
	if (npages == 0 || npages > limit)
		return rmnic_cmd_refuse(qp, RMNIC_REFUSAL_BAD_LENGTH, npages,
					RMNIC_SC_INVALID_LENGTH);
	return LADDER_OK;
}

/* What an opcode asks of npages, rpn and addr. */
static uint16_t check_operands(struct rmnic_qp *qp, uint32_t *failed)
{
	const struct rmnic_sqe *sqe = &qp->sqe.io;
	uint32_t npages = rmnic_le32_get(sqe->npages);
	uint64_t rpn = rmnic_le64_get(sqe->rpn), addr = rmnic_le64_get(sqe->addr);
	bool list = sqe->flags & RMNIC_SQE_F_LIST;
	uint16_t sc;

	switch (sqe->opcode) {
	case RMNIC_OP_PAGE_OUT:
	case RMNIC_OP_PAGE_IN:
		if ((sc = check_length(qp, npages, RMNIC_MAX_PAGES)) ||
		    (sc = check_extent(qp, rpn, npages)))
			return sc;
		return list ? copy_list(qp, addr, npages * (uint32_t)sizeof(uint64_t))
			    : check_run(qp, addr, npages);
	case RMNIC_OP_FREE:
		if (!list)
			break;
		if ((sc = check_length(qp, npages, RMNIC_MAX_RANGES)) ||
		    (sc = copy_list(qp, addr, npages * (uint32_t)sizeof(struct rmnic_range))))
			return sc;
		return check_ranges(qp, npages, failed);
	case RMNIC_OP_FLUSH:
		return LADDER_OK;
	}
	sc = check_length(qp, npages, UINT32_MAX);
	return sc ? sc : check_extent(qp, rpn, npages);
}

/* The order of the rungs is the specification's. */
uint16_t rmnic_cmd_check(struct rmnic_qp *qp, uint32_t *failed)
{
	uint16_t sc;

	*failed = RMNIC_NONE_FAILED;
	if ((sc = check_opcode(qp)) || (sc = check_reserved(qp)) || (sc = check_cid(qp)) ||
	    (sc = check_class(qp)))
		return sc;
	return check_operands(qp, failed);
}
