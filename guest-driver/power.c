// SPDX-License-Identifier: GPL-2.0
/*
 * power.c - what happens to the function from outside: PCI resets and errors, suspend,
 * hibernation.
 */
#include <linux/pci.h>
#include <linux/pm.h>
#include <linux/suspend.h>

#include "rmnic.h"

/* Devices in use as a disk, for the one question of the hibernation notifier. */
static LIST_HEAD(rmnic_ctrls);
static DEFINE_MUTEX(rmnic_ctrls_lock);

static void rmnic_reset_prepare(struct pci_dev *pdev)
{
	rmnic_ctrl_hold(pci_get_drvdata(pdev));
}

static void rmnic_reset_done(struct pci_dev *pdev)
{
	rmnic_ctrl_unhold(pci_get_drvdata(pdev));
}

static pci_ers_result_t rmnic_error_detected(struct pci_dev *pdev, pci_channel_state_t state)
{
	struct rmnic_ctrl *ctrl = pci_get_drvdata(pdev);

	if (state == pci_channel_io_normal)
		return PCI_ERS_RESULT_CAN_RECOVER;
	dev_err(ctrl->dev, "PCI error\n");
	if (state == pci_channel_io_frozen) {
		rmnic_ctrl_hold(ctrl);
		return PCI_ERS_RESULT_NEED_RESET;
	}
	mutex_lock(&ctrl->lock);
	rmnic_ctrl_kill(ctrl, RMNIC_GONE);
	mutex_unlock(&ctrl->lock);
	return PCI_ERS_RESULT_DISCONNECT;
}

static pci_ers_result_t rmnic_slot_reset(struct pci_dev *pdev)
{
	pci_restore_state(pdev);
	return PCI_ERS_RESULT_RECOVERED;
}

static void rmnic_error_resume(struct pci_dev *pdev)
{
	rmnic_ctrl_unhold(pci_get_drvdata(pdev));
}

const struct pci_error_handlers rmnic_err_handlers = {
	.error_detected = rmnic_error_detected,
	.slot_reset = rmnic_slot_reset,
	.resume = rmnic_error_resume,
	.reset_prepare = rmnic_reset_prepare,
	.reset_done = rmnic_reset_done,
};

static int rmnic_suspend(struct device *dev)
{
	rmnic_ctrl_hold(dev_get_drvdata(dev));
	return 0;
}

static int rmnic_resume(struct device *dev)
{
	return rmnic_ctrl_unhold(dev_get_drvdata(dev));
}

DEFINE_SIMPLE_DEV_PM_OPS(rmnic_pm_ops, rmnic_suspend, rmnic_resume);

/*
 * DRV-7, RULES L8: what is paged out lives in the running machine's device and is gone when the
 * machine is switched off, so an image that needs it must not be made.
 */
static int rmnic_pm_notify(struct notifier_block *nb, unsigned long event, void *data)
{
	int ret = NOTIFY_DONE;
	struct rmnic_ctrl *ctrl;

	if (event != PM_HIBERNATION_PREPARE)
		return NOTIFY_DONE;
	mutex_lock(&rmnic_ctrls_lock);
	list_for_each_entry(ctrl, &rmnic_ctrls, list) {
		if (!disk_openers(ctrl->disk))
			continue;
		dev_err(ctrl->dev,
			"hibernation refused: the device is in use and its pages would be lost (swapoff or unmount it first)\n");
		ret = notifier_from_errno(-EBUSY);
	}
	mutex_unlock(&rmnic_ctrls_lock);
	return ret;
}

static struct notifier_block rmnic_pm_notifier = {
	.notifier_call = rmnic_pm_notify,
};

void rmnic_power_add(struct rmnic_ctrl *ctrl)
{
	mutex_lock(&rmnic_ctrls_lock);
	list_add_tail(&ctrl->list, &rmnic_ctrls);
	mutex_unlock(&rmnic_ctrls_lock);
}

void rmnic_power_remove(struct rmnic_ctrl *ctrl)
{
	mutex_lock(&rmnic_ctrls_lock);
	list_del(&ctrl->list);
	mutex_unlock(&rmnic_ctrls_lock);
}

int rmnic_power_init(void)
{
	return register_pm_notifier(&rmnic_pm_notifier);
}

void rmnic_power_exit(void)
{
	unregister_pm_notifier(&rmnic_pm_notifier);
}
