/* SPDX-License-Identifier: GPL-2.0 */
/*
 * compat.h - every difference between the kernels this driver is built for (6.1 to 6.12).
 *
 * The rest of the driver is written against 6.12 and asks for nothing by version.
 */
#ifndef RMNIC_COMPAT_H
#define RMNIC_COMPAT_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/sched/mm.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "rmnic needs a 6.1 kernel or a newer one"
#endif

#if BITS_PER_LONG != 64
#error "rmnic numbers pages with unsigned long and needs a 64-bit kernel"
#endif

/*
 * Lists of requests: struct rq_list came in 6.13 and was given back to 6.12.y. Before it
 * the helpers are macros, which is what tells the two apart.
 */
#ifdef rq_list_add
#define RMNIC_OLD_RQ_LIST 1
typedef struct request *rmnic_rq_list;
#define RMNIC_RQ_LIST_EMPTY NULL

/* In plug order, which the old list holds in reverse; order does not matter to us. */
static inline void rmnic_rq_list_push(rmnic_rq_list *list, struct request *rq)
{
	rq->rq_next = *list;
	*list = rq;
}

/* What blk_mq_get_driver_tag() does; queue_rqs() is called without it. */
static inline void rmnic_rq_claim_tag(struct request *rq)
{
	rq->mq_hctx->tags->rqs[rq->tag] = rq;
}
#else
typedef struct rq_list rmnic_rq_list;
#define RMNIC_RQ_LIST_EMPTY {}

static inline void rmnic_rq_list_push(rmnic_rq_list *list, struct request *rq)
{
	rq_list_add_tail(list, rq);
}

static inline void rmnic_rq_claim_tag(struct request *rq)
{
}
#endif

/* What a disk must know of the device; see RULES L7 and B5 for the values. */
struct rmnic_disk_limits {
	unsigned int max_sectors;
	unsigned int max_segments;
	unsigned int max_segment_size;
	unsigned int max_bulk_sectors; /* of a discard or of a write of zeroes */
};

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 9, 0)
static inline struct gendisk *
rmnic_compat_disk_alloc(struct blk_mq_tag_set *set, const struct rmnic_disk_limits *l, void *data)
{
	struct gendisk *disk = blk_mq_alloc_disk(set, data);
	struct request_queue *q;

	if (IS_ERR(disk))
		return disk;
	q = disk->queue;
	blk_queue_logical_block_size(q, SZ_4K);
	blk_queue_physical_block_size(q, SZ_4K);
	blk_queue_io_min(q, SZ_4K);
	blk_queue_io_opt(q, l->max_sectors << SECTOR_SHIFT);
	blk_queue_max_hw_sectors(q, l->max_sectors);
	/* The setter stops at 1280 KiB; a huge page must stay one request. */
	q->limits.max_sectors = l->max_sectors;
	blk_queue_max_segments(q, l->max_segments);
	blk_queue_max_segment_size(q, l->max_segment_size);
	blk_queue_dma_alignment(q, SZ_4K - 1);
	blk_queue_max_discard_sectors(q, l->max_bulk_sectors);
	q->limits.discard_granularity = SZ_4K;
	blk_queue_max_write_zeroes_sectors(q, l->max_bulk_sectors);
	blk_queue_write_cache(q, true, false);
	blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
	blk_queue_flag_set(QUEUE_FLAG_STABLE_WRITES, q); /* DRV-2 */
	blk_queue_flag_clear(QUEUE_FLAG_ADD_RANDOM, q);
	return disk;
}
#else
static inline struct gendisk *
rmnic_compat_disk_alloc(struct blk_mq_tag_set *set, const struct rmnic_disk_limits *l, void *data)
{
	struct queue_limits lim = {
		.logical_block_size = SZ_4K,
		.physical_block_size = SZ_4K,
		.io_min = SZ_4K,
		.io_opt = l->max_sectors << SECTOR_SHIFT,
		.max_hw_sectors = l->max_sectors,
		.max_user_sectors = l->max_sectors,
		.max_segments = l->max_segments,
		.max_segment_size = l->max_segment_size,
		.dma_alignment = SZ_4K - 1,
		.max_hw_discard_sectors = l->max_bulk_sectors,
		.discard_granularity = SZ_4K,
		.max_write_zeroes_sectors = l->max_bulk_sectors,
		/* DRV-2: stable writes */
		.features = BLK_FEAT_WRITE_CACHE | BLK_FEAT_STABLE_WRITES | BLK_FEAT_IO_STAT,
	};

	return blk_mq_alloc_disk(set, &lim, data);
}
#endif

/* The inode that swapon marks. */
static inline struct inode *rmnic_bdev_inode(struct block_device *bdev)
{
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
	return bdev->bd_inode;
#else
	return bdev->bd_mapping->host;
#endif
}

/* rw_page, a way for single pages past the block layer, went in 6.6 (RULES L3). */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define RMNIC_HAVE_RW_PAGE 1
#endif

#endif /* RMNIC_COMPAT_H */
