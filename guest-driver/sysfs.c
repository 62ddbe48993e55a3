// SPDX-License-Identifier: GPL-2.0
/*
 * sysfs.c - attributes in /sys/bus/pci/devices/.../rmnic/, which /sys/block/rmnicN/device/rmnic/
 * is too. ABI-sysfs describes each.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "rmnic.h"

#define RMNIC_SHOW(name, fmt, ...)                                                        \
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr,     \
				   char *buf)                                             \
	{                                                                                 \
		struct rmnic_ctrl *ctrl = dev_get_drvdata(dev);                           \
											  \
		return sysfs_emit(buf, fmt "\n", __VA_ARGS__);                            \
	}

RMNIC_SHOW(state, "%s", rmnic_state_name(READ_ONCE(ctrl->state)))
static DEVICE_ATTR_RO(state);
RMNIC_SHOW(uuid, "%pUb", ctrl->uuid)
static DEVICE_ATTR_RO(uuid);
RMNIC_SHOW(serial, "%s", ctrl->serial)
static DEVICE_ATTR_RO(serial);
RMNIC_SHOW(model, "%s", ctrl->model)
static DEVICE_ATTR_RO(model);
RMNIC_SHOW(firmware, "%s", ctrl->firmware)
static DEVICE_ATTR_RO(firmware);
RMNIC_SHOW(features, "0x%llx", ctrl->caps.features)
static DEVICE_ATTR_RO(features);
RMNIC_SHOW(capacity, "%llu", READ_ONCE(ctrl->capacity))
static DEVICE_ATTR_RO(capacity);
RMNIC_SHOW(max_capacity, "%llu", ctrl->caps.max_capacity)
static DEVICE_ATTR_RO(max_capacity);
RMNIC_SHOW(queue_pairs, "in %u out %u", ctrl->nr_in, ctrl->nr_out)
static DEVICE_ATTR_RO(queue_pairs);
RMNIC_SHOW(queue_depth, "%u", ctrl->tags)
static DEVICE_ATTR_RO(queue_depth);
RMNIC_SHOW(resets, "%lu", READ_ONCE(ctrl->resets))
static DEVICE_ATTR_RO(resets);
RMNIC_SHOW(poll_us, "%u", READ_ONCE(ctrl->poll_us))

static ssize_t poll_us_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	struct rmnic_ctrl *ctrl = dev_get_drvdata(dev);
	unsigned int value;
	int err = kstrtouint(buf, 0, &value);

	if (err)
		return err;
	if (value > RMNIC_POLL_US_MAX)
		return -ERANGE;
	WRITE_ONCE(ctrl->poll_us, value);
	return count;
}
static DEVICE_ATTR_RW(poll_us);

static ssize_t reset_store(struct device *dev, struct device_attribute *attr, const char *buf,
			   size_t count)
{
	struct rmnic_ctrl *ctrl = dev_get_drvdata(dev);
	bool value;
	int err = kstrtobool(buf, &value);

	if (err)
		return err;
	if (!value)
		return -EINVAL;
	err = rmnic_ctrl_reset_sync(ctrl);
	return err ? err : count;
}
static DEVICE_ATTR_WO(reset);

static struct attribute *rmnic_attrs[] = {
	&dev_attr_state.attr,
	&dev_attr_uuid.attr,
	&dev_attr_serial.attr,
	&dev_attr_model.attr,
	&dev_attr_firmware.attr,
	&dev_attr_features.attr,
	&dev_attr_capacity.attr,
	&dev_attr_max_capacity.attr,
	&dev_attr_queue_pairs.attr,
	&dev_attr_queue_depth.attr,
	&dev_attr_resets.attr,
	&dev_attr_poll_us.attr,
	&dev_attr_reset.attr,
	NULL
};

static const struct attribute_group rmnic_attr_group = {
	.name = RMNIC_NAME,
	.attrs = rmnic_attrs,
};

const struct attribute_group *rmnic_attr_groups[] = { &rmnic_attr_group, NULL };
