/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pages of PAGE_OUT and PAGE_IN: from the guest's memory to the store and back, at once or
 * with an answer that comes later (RMNIC_STORE_PENDING).
 */
#include "engine/internal.h"

static void page_put(struct rmnic_page *page)
{
	struct rmnic_page **list = &page->qp->dev->free_page[page->qp->qclass];

	page->cmd = NULL;
	page->next_free = *list;
	*list = page;
}

static void page_unmap(struct rmnic_page *page)
{
	struct rmnic_dev *dev = page->qp->dev;

	/* A page-in that failed may have written too (CMD-8). */
	dev->cfg.ops->unmap(dev->cfg.host, &page->mapping,
			    page->mapping.write ? RMNIC_PAGE_SIZE : 0);
}

static void page_end(struct rmnic_page *page, uint16_t status)
{
	struct rmnic_cmd *cmd = page->cmd;
	struct rmnic_counters *c = &page->qp->dev->counters;

	page_unmap(page);
	if (status != RMNIC_SC_OK) {
		rmnic_cmd_fail_unit(cmd, page->index, status);
	} else {
		cmd->done++;
		if (cmd->opcode == RMNIC_OP_PAGE_IN)
			RMNIC_COUNT(c->pages_in, 1);
		else
			RMNIC_COUNT(c->pages_out, 1);
	}
	page_put(page);
}

/* The store answers later than the call that started the page. */
static void page_done(struct rmnic_page_op *op, uint16_t status)
{
	struct rmnic_page *page = (struct rmnic_page *)op;
	struct rmnic_cmd *cmd = page->cmd;
	struct rmnic_qp *qp = page->qp;
	struct rmnic_dev *dev = qp->dev;

	page_end(page, status);
	cmd->pending--;
	if (cmd->state != RMNIC_CMD_WAITING || cmd->pending)
		return;
	rmnic_cmd_finish(qp, cmd);
	if (!qp->active)
		return;
	rmnic_qp_flush(qp);
	if (!dev->in_poll)
		rmnic_dev_irqs(dev);
}

void rmnic_pages_cancel(struct rmnic_qp *qp, struct rmnic_cmd *cmd)
{
	struct rmnic_store *store = qp->dev->cfg.store;

	if (!store->ops->cancel)
		return; /* nothing ever stays with this store */
	for (uint32_t i = 0; i < 2 * RMNIC_PAGE_OPS; i++) {
		struct rmnic_page *page = &qp->dev->pages[i];

		if (!page->cmd || page->qp != qp || (cmd && page->cmd != cmd))
			continue;
		store->ops->cancel(store, &page->op);
		page_unmap(page);
		page->cmd->pending--;
		rmnic_cmd_fail_unit(page->cmd, page->index, RMNIC_SC_ABORTED);
		page_put(page);
	}
}

/* What is likely to be read after page i of the command; if that is not known, the page itself. */
static uint64_t next_rpn(const struct rmnic_qp *qp, const struct rmnic_cmd *cmd, uint32_t i)
{
	uint64_t next = i + 1 < cmd->npages ? cmd->rpn + i + 1 : rmnic_qp_peek(qp);

	return next < qp->dev->capacity ? next : cmd->rpn + i;
}

/* Maps and hands over page index of the command that qp is starting. */
static void page_start(struct rmnic_qp *qp, struct rmnic_cmd *cmd, struct rmnic_page *page)
{
	struct rmnic_dev *dev = qp->dev;
	struct rmnic_store *store = dev->cfg.store;
	uint32_t i = cmd->started;
	bool in = cmd->opcode == RMNIC_OP_PAGE_IN;
	uint64_t addr = cmd->flags & RMNIC_SQE_F_LIST
				? rmnic_le64_get(qp->list[i])
				: rmnic_le64_get(qp->sqe.io.addr) + (uint64_t)i * RMNIC_PAGE_SIZE;
	uint16_t status;

	cmd->started++;
	if (i >= cmd->stop_at) {
		rmnic_cmd_fail_unit(cmd, i, cmd->fault_status);
		return;
	}
	if (addr % RMNIC_PAGE_SIZE) {
		rmnic_cmd_fail_unit(cmd, i,
				    rmnic_cmd_refuse(qp, RMNIC_REFUSAL_MISALIGNED, addr,
						     RMNIC_SC_INVALID_ADDRESS));
		return;
	}
	/* CMD-11: the host's one translator decides; there is no other way to memory. */
	if (!dev->cfg.ops->map(dev->cfg.host, addr, RMNIC_PAGE_SIZE, in, &page->mapping)) {
		rmnic_cmd_fail_unit(cmd, i,
				    rmnic_cmd_refuse(qp, RMNIC_REFUSAL_NOT_RAM, addr,
						     RMNIC_SC_INVALID_ADDRESS));
		return;
	}
	dev->free_page[qp->qclass] = page->next_free;
	page->op.rpn = cmd->rpn + i;
	page->op.next = in ? next_rpn(qp, cmd, i) : page->op.rpn;
	page->op.data = page->mapping.ptr;
	page->op.done = page_done;
	page->qp = qp;
	page->cmd = cmd;
	page->index = i;
	status =
		in ? store->ops->page_in(store, &page->op) : store->ops->page_out(store, &page->op);
	if (status == RMNIC_STORE_PENDING)
		cmd->pending++;
	else
		page_end(page, status);
}

uint32_t rmnic_cmd_step_pages(struct rmnic_qp *qp, struct rmnic_cmd *cmd, uint32_t budget)
{
	uint32_t n = 0;

	while (cmd->started < cmd->npages && cmd->failed == RMNIC_NONE_FAILED && n < budget) {
		struct rmnic_page *page = qp->dev->free_page[qp->qclass];

		if (!page)
			break;
		page_start(qp, cmd, page);
		n++;
	}
	return n;
}
