// SPDX-License-Identifier: GPL-2.0
/*
 * iod.c - a request's memory: the page list the device reads and the mappings for its DMA.
 *
 * Allocated with the tags, so that nothing is on the way of a page (DRV-5).
 */
#include <linux/blk-mq.h>
#include <linux/dma-mapping.h>
#include <linux/dmapool.h>
#include <linux/slab.h>

#include "rmnic.h"

int rmnic_iod_alloc(struct rmnic_ctrl *ctrl, struct rmnic_iod *iod)
{
	iod->list = dma_pool_alloc(ctrl->list_pool, GFP_KERNEL, &iod->list_dma);
	iod->maps = kcalloc(RMNIC_MAX_PAGES, sizeof(*iod->maps), GFP_KERNEL);
	if (iod->list && iod->maps)
		return 0;
	rmnic_iod_free(ctrl, iod);
	return -ENOMEM;
}

void rmnic_iod_free(struct rmnic_ctrl *ctrl, struct rmnic_iod *iod)
{
	if (iod->list)
		dma_pool_free(ctrl->list_pool, iod->list, iod->list_dma);
	kfree(iod->maps);
	iod->list = NULL;
	iod->maps = NULL;
}

/* Unmaps the first nmaps pieces of the command's part of the request. */
static void rmnic_iod_unmap_some(struct rmnic_ctrl *ctrl, struct request *rq, u16 nmaps)
{
	struct rmnic_iod *iod = blk_mq_rq_to_pdu(rq);
	u32 left = iod->cmd.npages;
	struct req_iterator iter;
	struct bio_vec bv;
	u16 i = 0;

	rq_for_each_bvec(bv, rq, iter) {
		u32 n = min_t(u32, bv.bv_len >> RMNIC_PAGE_SHIFT, left);

		if (i == nmaps)
			break;
		dma_unmap_page(ctrl->dev, iod->maps[i++], n << RMNIC_PAGE_SHIFT,
			       rq_dma_dir(rq));
		left -= n;
	}
}

void rmnic_iod_unmap(struct rmnic_ctrl *ctrl, struct request *rq)
{
	struct rmnic_iod *iod = blk_mq_rq_to_pdu(rq);

	/* With dma_stuck the device may still write: the mapping is left as it is. */
	if (!ctrl->dma_stuck)
		rmnic_iod_unmap_some(ctrl, rq, iod->nmaps);
	iod->nmaps = 0;
}

/*
 * Maps the command's pages and puts their addresses into the SQE: a run of pages inline, else
 * by the page list, which is one aligned page (CMD-10). -EINVAL: not whole 4 KiB pages, which
 * dma_alignment forbids; -ENOMEM: no mapping now.
 */
int rmnic_iod_map(struct rmnic_ctrl *ctrl, struct request *rq)
{
	struct rmnic_iod *iod = blk_mq_rq_to_pdu(rq);
	u32 left = iod->cmd.npages;
	struct req_iterator iter;
	struct bio_vec bv;
	u32 page = 0;
	int err = -ENOMEM;

	iod->nmaps = 0;
	rq_for_each_bvec(bv, rq, iter) {
		u32 n = min_t(u32, bv.bv_len >> RMNIC_PAGE_SHIFT, left);
		dma_addr_t addr;

		if (!left)
			break;
		if (unlikely((bv.bv_len | bv.bv_offset) & (RMNIC_PAGE_SIZE - 1))) {
			/* Waiting would not mend it: the request fails, and says why. */
			dev_err_ratelimited(ctrl->dev,
					    "request at sector %llu refused: its memory (offset %u, %u bytes) is not in whole 4 KiB pages\n",
					    blk_rq_pos(rq), bv.bv_offset, bv.bv_len);
			err = -EINVAL;
			goto unmap;
		}
		bv.bv_len = n << RMNIC_PAGE_SHIFT;
		addr = dma_map_bvec(ctrl->dev, &bv, rq_dma_dir(rq), 0);
		if (dma_mapping_error(ctrl->dev, addr))
			goto unmap;
		iod->maps[iod->nmaps++] = addr;
		left -= n;
		for (; n; n--, addr += RMNIC_PAGE_SIZE)
			iod->list[page++] = cpu_to_le64(addr);
	}
	if (left)
		goto unmap;
	if (iod->nmaps == 1) {
		iod->cmd.sqe.addr = cpu_to_le64(iod->maps[0]);
	} else {
		iod->cmd.sqe.flags = RMNIC_SQE_F_LIST;
		iod->cmd.sqe.addr = cpu_to_le64(iod->list_dma);
	}
	return 0;
unmap:
	rmnic_iod_unmap_some(ctrl, rq, iod->nmaps);
	iod->nmaps = 0;
	return err;
}

/*
 * STYLE 9: the device never said that its DMA has ended. A reference is kept for good on each
 * page of the request, so that nobody else ever owns memory the device may write.
 */
void rmnic_iod_quarantine(struct rmnic_ctrl *ctrl, struct request *rq)
{
	struct req_iterator iter;
	struct bio_vec bv;

	rq_for_each_segment(bv, rq, iter)
		get_page(bv.bv_page);
	dev_err_ratelimited(ctrl->dev, "%u bytes of memory set aside for good\n",
			    blk_rq_bytes(rq));
}
