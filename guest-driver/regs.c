// SPDX-License-Identifier: GPL-2.0
/*
 * regs.c - the registers: who the device is, what it can do, on, off.
 *
 * Nothing read here is believed before it was checked; what is wrong is named in the log.
 */
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/jiffies.h>
#include <linux/log2.h>

#include "rmnic.h"

/* Features this driver knows how to use. */
#define RMNIC_DRIVER_FEATURES (RMNIC_F_CAPACITY_EV | RMNIC_F_COALESCE | RMNIC_F_SAME_FILLED)
/* However long the device claims to need. */
#define RMNIC_READY_TIMEOUT_MAX_MS 60000
#define RMNIC_COMMAND_TIMEOUT_MAX_MS 120000
/* A list of capabilities longer than this goes round in circles. */
#define RMNIC_CAPS_MAX 64

/* DMA-7: a device that is gone answers with all ones. */
bool rmnic_regs_gone(struct rmnic_ctrl *ctrl)
{
	return readl(ctrl->bar + RMNIC_REG_MAGIC) != RMNIC_MAGIC;
}

static void rmnic_regs_copy(struct rmnic_ctrl *ctrl, u32 offset, void *to, size_t len)
{
	u32 *word = to;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		word[i] = (__force u32)cpu_to_le32(readl(ctrl->bar + offset + i * 4));
}

/* One capability's body into the caller's struct; what is longer than we know is cut. */
static int rmnic_caps_one(struct rmnic_ctrl *ctrl, u32 offset, const struct rmnic_cap_hdr *hdr,
			  u32 *seen)
{
	struct rmnic_caps *caps = &ctrl->caps;
	u16 id = le16_to_cpu(hdr->id);
	u16 length = le16_to_cpu(hdr->length);
	union {
		struct rmnic_cap_queues queues;
		struct rmnic_cap_transfer transfer;
		struct rmnic_cap_store store;
		struct rmnic_cap_timing timing;
	} cap = {};
	static const u8 min_length[] = {
		[RMNIC_CAP_QUEUES] = sizeof(cap.queues),
		[RMNIC_CAP_TRANSFER] = sizeof(cap.transfer),
		[RMNIC_CAP_STORE] = sizeof(cap.store),
		[RMNIC_CAP_TIMING] = sizeof(cap.timing),
	};

	if (id == 0 || id >= ARRAY_SIZE(min_length))
		return 0; /* of a newer version */
	if (length < min_length[id] || offset + min_length[id] > RMNIC_REGS_SIZE) {
		dev_err(ctrl->dev, "capability %u at 0x%x is %u bytes long, too short\n", id,
			offset, length);
		return -EPROTO;
	}
	*seen |= BIT(id);
	rmnic_regs_copy(ctrl, offset, &cap, min_length[id]);
	switch (id) {
	case RMNIC_CAP_QUEUES:
		caps->max_qpairs = le16_to_cpu(cap.queues.max_qpairs);
		caps->max_depth = le16_to_cpu(cap.queues.max_depth);
		caps->max_aq_depth = le16_to_cpu(cap.queues.max_aq_depth);
		caps->min_depth = le16_to_cpu(cap.queues.min_depth);
		caps->db_offset = le32_to_cpu(cap.queues.db_offset);
		caps->db_stride = le32_to_cpu(cap.queues.db_stride);
		break;
	case RMNIC_CAP_TRANSFER:
		if (cap.transfer.page_shift != RMNIC_PAGE_SHIFT) {
			dev_err(ctrl->dev, "unit of transfer is 2^%u bytes, not 4 KiB\n",
				cap.transfer.page_shift);
			return -EPROTO;
		}
		caps->max_pages = le32_to_cpu(cap.transfer.max_pages);
		caps->max_ranges = le32_to_cpu(cap.transfer.max_ranges);
		break;
	case RMNIC_CAP_STORE:
		caps->max_capacity = le64_to_cpu(cap.store.max_capacity);
		caps->slab_pages = le32_to_cpu(cap.store.slab_pages);
		break;
	case RMNIC_CAP_TIMING:
		caps->ready_timeout_ms = le32_to_cpu(cap.timing.ready_timeout_ms);
		caps->command_timeout_ms = le32_to_cpu(cap.timing.command_timeout_ms);
		break;
	}
	return 0;
}

/* INFO-2: what is new is skipped, what is wrong refused, and the walk ends. */
static int rmnic_caps_walk(struct rmnic_ctrl *ctrl)
{
	u32 need = BIT(RMNIC_CAP_QUEUES) | BIT(RMNIC_CAP_TRANSFER) | BIT(RMNIC_CAP_STORE) |
		   BIT(RMNIC_CAP_TIMING);
	u32 offset = readl(ctrl->bar + RMNIC_REG_CAP_PTR);
	u32 seen = 0;
	u32 n;
	int err;

	for (n = 0; offset; n++) {
		struct rmnic_cap_hdr hdr;

		if (n == RMNIC_CAPS_MAX || offset % 8 || offset < RMNIC_REG_CAPS ||
		    offset > RMNIC_REGS_SIZE - sizeof(hdr)) {
			dev_err(ctrl->dev, "capability list is broken at offset 0x%x\n",
				offset);
			return -EPROTO;
		}
		rmnic_regs_copy(ctrl, offset, &hdr, sizeof(hdr));
		err = rmnic_caps_one(ctrl, offset, &hdr, &seen);
		if (err)
			return err;
		offset = le16_to_cpu(hdr.next);
	}
	if ((seen & need) != need) {
		dev_err(ctrl->dev, "capabilities are missing (have mask 0x%x, need 0x%x)\n",
			seen, need);
		return -EPROTO;
	}
	return 0;
}

/* Whether each value is one this driver can live with. */
static int rmnic_caps_check(struct rmnic_ctrl *ctrl)
{
	struct rmnic_caps *caps = &ctrl->caps;
	resource_size_t bar = pci_resource_len(ctrl->pdev, RMNIC_BAR_REGS);
	const char *what;

	what = "fewer than 2 or more than 256 I/O queue pairs";
	if (caps->max_qpairs < 2 || caps->max_qpairs > RMNIC_MAX_QPAIRS)
		goto bad;
	what = "a queue depth that is no power of two from 2 to 4096";
	if (!is_power_of_2(caps->max_depth) || caps->max_depth < RMNIC_MIN_DEPTH ||
	    caps->max_depth > RMNIC_MAX_DEPTH || caps->min_depth > caps->max_depth)
		goto bad;
	what = "an admin queue too small";
	if (caps->max_aq_depth < RMNIC_MIN_DEPTH)
		goto bad;
	what = "doorbells outside of BAR 0";
	if (caps->db_stride < 4 || caps->db_stride % 4 || caps->db_offset % 4 ||
	    caps->db_offset >= bar ||
	    (u64)caps->max_qpairs * caps->db_stride + 4 > bar - caps->db_offset)
		goto bad;
	what = "no page or no range in a command";
	if (!caps->max_pages || !caps->max_ranges)
		goto bad;
	what = "a maximum capacity of 0 or above 2^36 pages";
	if (!caps->max_capacity || caps->max_capacity > RMNIC_MAX_CAPACITY) /* CAP-3 */
		goto bad;
	what = "slabs of 0 pages";
	if (!caps->slab_pages)
		goto bad;
	caps->max_pages = min_t(u32, caps->max_pages, RMNIC_MAX_PAGES);
	caps->max_ranges = min_t(u32, caps->max_ranges, RMNIC_MAX_RANGES);
	caps->ready_timeout_ms = clamp_t(u32, caps->ready_timeout_ms, 1000,
					 RMNIC_READY_TIMEOUT_MAX_MS);
	caps->command_timeout_ms = clamp_t(u32, caps->command_timeout_ms, 100,
					   RMNIC_COMMAND_TIMEOUT_MAX_MS);
	return 0;
bad:
	dev_err(ctrl->dev, "device offers %s\n", what);
	return -EPROTO;
}

/* PCI-3: the first look at the device, before anything is asked of it. */
int rmnic_regs_identify(struct rmnic_ctrl *ctrl)
{
	u32 version;
	int err;

	if (rmnic_regs_gone(ctrl)) {
		dev_err(ctrl->dev, "magic register reads 0x%08x, not 0x%08x: not an rmnic\n",
			readl(ctrl->bar + RMNIC_REG_MAGIC), RMNIC_MAGIC);
		return -ENODEV;
	}
	version = readl(ctrl->bar + RMNIC_REG_VERSION);
	if (version >> 16 != RMNIC_VERSION_MAJOR) {
		dev_err(ctrl->dev, "device speaks version %u.%u, this driver %u.x\n",
			version >> 16, version & 0xffff, RMNIC_VERSION_MAJOR);
		return -EPROTO;
	}
	err = rmnic_caps_walk(ctrl);
	if (err)
		return err;
	err = rmnic_caps_check(ctrl);
	if (err)
		return err;
	ctrl->caps.features = readq(ctrl->bar + RMNIC_REG_DEV_FEATURES);
	if (!(ctrl->caps.features & RMNIC_F_IOVA) && device_iommu_mapped(ctrl->dev)) {
		dev_err(ctrl->dev,
			"device takes guest-physical addresses only and is behind an IOMMU (no RMNIC_F_IOVA)\n");
		return -ENODEV;
	}
	rmnic_regs_copy(ctrl, RMNIC_REG_UUID, ctrl->uuid, sizeof(ctrl->uuid));
	return 0;
}

/* CAP-1, CAP-3. */
int rmnic_regs_read_capacity(struct rmnic_ctrl *ctrl, u64 *pages)
{
	u64 capacity = readq(ctrl->bar + RMNIC_REG_CAPACITY);

	if (!capacity || capacity > ctrl->caps.max_capacity ||
	    capacity % ctrl->caps.slab_pages) {
		dev_err(ctrl->dev,
			"capacity of %llu pages is 0, above %llu, or no multiple of %u\n",
			capacity, ctrl->caps.max_capacity, ctrl->caps.slab_pages);
		return -EPROTO;
	}
	if (capacity < ctrl->capacity) {
		dev_err(ctrl->dev, "capacity shrank from %llu to %llu pages\n",
			ctrl->capacity, capacity);
		return -EPROTO;
	}
	*pages = capacity;
	return 0;
}

/*
 * Waits until (STATUS & mask) == want. -ENODEV: gone; -EIO: fatal, when that is not waited
 * for; -ETIMEDOUT. No interrupt tells of these bits.
 */
static int rmnic_regs_wait(struct rmnic_ctrl *ctrl, u32 mask, u32 want)
{
	unsigned long limit = jiffies + msecs_to_jiffies(ctrl->caps.ready_timeout_ms);

	for (;;) {
		bool late = time_after(jiffies, limit);
		u32 status = readl(ctrl->bar + RMNIC_REG_STATUS);

		if (status == U32_MAX && rmnic_regs_gone(ctrl))
			return -ENODEV;
		if ((status & mask) == want)
			return 0;
		if (rmnic_ctrl_waiting(ctrl, status)) /* DMA-10 */
			limit = jiffies + msecs_to_jiffies(ctrl->caps.ready_timeout_ms);
		if (want && status & RMNIC_STATUS_FATAL)
			return -EIO;
		if (late)
			return -ETIMEDOUT;
		usleep_range(50, 200);
	}
}

int rmnic_regs_enable(struct rmnic_ctrl *ctrl)
{
	struct rmnic_queue *aq = &ctrl->admin.queue;
	int err;

	writeq(ctrl->caps.features & RMNIC_DRIVER_FEATURES, ctrl->bar + RMNIC_REG_DRV_FEATURES);
	writel(aq->depth, ctrl->bar + RMNIC_REG_AQ_DEPTH);
	writeq(aq->sq_dma, ctrl->bar + RMNIC_REG_AQ_SQ);
	writeq(aq->cq_dma, ctrl->bar + RMNIC_REG_AQ_CQ);
	writeq(aq->rec_dma, ctrl->bar + RMNIC_REG_AQ_REC);
	writel(RMNIC_CTRL_ENABLE, ctrl->bar + RMNIC_REG_CTRL);
	err = rmnic_regs_wait(ctrl, RMNIC_STATUS_READY, RMNIC_STATUS_READY);
	if (err)
		dev_err(ctrl->dev, "device did not become ready: status 0x%x error %u (%d)\n",
			readl(ctrl->bar + RMNIC_REG_STATUS),
			readl(ctrl->bar + RMNIC_REG_ERROR), err);
	return err;
}

/*
 * DMA-1: when this returns 0 the device touches no memory any more; -ENODEV means the same,
 * for want of a device. After -ETIMEDOUT it still may.
 */
int rmnic_regs_disable(struct rmnic_ctrl *ctrl)
{
	writel(0, ctrl->bar + RMNIC_REG_CTRL);
	return rmnic_regs_wait(ctrl, RMNIC_STATUS_RESETTING | RMNIC_STATUS_READY, 0);
}
