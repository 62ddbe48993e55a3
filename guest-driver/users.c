// SPDX-License-Identifier: GPL-2.0
/*
 * users.c - whoever swaps on a disk that is about to go.
 *
 * Once the disk is deleted nobody can swap it off any more: its node is gone, and swapoff
 * wants one. So before that user space is told, by a "change" event with RMNIC_REMOVING=1,
 * which 60-rmnic.rules answers with swapoff, and is given a bounded time. While the device
 * still works this brings every page back; when it is gone already, those who read a lost
 * page get SIGBUS, and nobody waits.
 */
#include <linux/blkdev.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kobject.h>
#include <linux/xarray.h>

#include "rmnic.h"

/* Nothing tells a driver of a swapoff, so it has to look. */
#define RMNIC_SWAPOFF_LOOK_MS 20

/* How many of the disk and its partitions are swap areas; tell: send the event for each. */
static unsigned int rmnic_disk_swap_areas(struct gendisk *disk, bool tell)
{
	char *event[] = { "RMNIC_REMOVING=1", NULL };
	struct block_device *part;
	unsigned int areas = 0;
	unsigned long i;

	/* Keeps the partitions. */
	mutex_lock(&disk->open_mutex);
	xa_for_each(&disk->part_tbl, i, part) {
		if (!IS_SWAPFILE(rmnic_bdev_inode(part)))
			continue;
		areas++;
		if (tell)
			kobject_uevent_env(bdev_kobj(part), KOBJ_CHANGE, event);
	}
	mutex_unlock(&disk->open_mutex);
	return areas;
}

/* Has the disk swapped off, if it can be done in time. In remove(), without ctrl->lock. */
void rmnic_disk_swapoff(struct rmnic_ctrl *ctrl)
{
	unsigned long limit = jiffies + msecs_to_jiffies(rmnic_swapoff_wait_ms);

	if (!rmnic_disk_swap_areas(ctrl->disk, true))
		return;
	dev_warn(ctrl->dev, "being removed while it is a swap device: %u ms for a swapoff\n",
		 rmnic_swapoff_wait_ms);
	while (rmnic_disk_swap_areas(ctrl->disk, false)) {
		if (time_after(jiffies, limit)) {
			dev_err(ctrl->dev, "removed while it is a swap device: its pages are lost\n");
			return;
		}
		msleep(RMNIC_SWAPOFF_LOOK_MS);
	}
}
