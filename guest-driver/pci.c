// SPDX-License-Identifier: GPL-2.0
/*
 * pci.c - the PCI function: probe and remove, vectors, queues, memory.
 */
#include <linux/dma-mapping.h>
#include <linux/dmapool.h>
#include <linux/idr.h>
#include <linux/interrupt.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>

#include "rmnic.h"

/* Entries of a ring for each request: room for commands that end long after their neighbours. */
#define RMNIC_RING_FACTOR 4

static DEFINE_IDA(rmnic_instances);

/* --- Vectors ------------------------------------------------------------------------------- */

/* Vector 0: the admin pair and events. With too few for all, the I/O pairs share the rest. */
static void rmnic_vectors_assign(struct rmnic_ctrl *ctrl)
{
	unsigned int i;

	for (i = 0; i < ctrl->nr_out + ctrl->nr_in; i++)
		ctrl->queues[i].vector =
			ctrl->nr_vectors > 1 ? 1 + i % (ctrl->nr_vectors - 1) : 0;
}

static void rmnic_vectors_free(struct rmnic_ctrl *ctrl)
{
	unsigned int i;

	for (i = 0; i < ctrl->nr_vectors; i++) {
		irq_set_affinity_hint(pci_irq_vector(ctrl->pdev, i), NULL);
		pci_free_irq(ctrl->pdev, i, &ctrl->vectors[i]);
	}
	pci_free_irq_vectors(ctrl->pdev);
	kfree(ctrl->vectors);
}

static int rmnic_vectors_alloc(struct rmnic_ctrl *ctrl)
{
	unsigned int want = 1 + ctrl->nr_out + ctrl->nr_in;
	int n = pci_alloc_irq_vectors(ctrl->pdev, 1, want, PCI_IRQ_MSIX);
	int i, err;

	if (n < 0) {
		dev_err(ctrl->dev, "no MSI-X vector to be had (%d)\n", n);
		return n;
	}
	ctrl->nr_vectors = n;
	ctrl->vectors = kcalloc(n, sizeof(*ctrl->vectors), GFP_KERNEL);
	if (!ctrl->vectors) {
		err = -ENOMEM;
		goto free_vectors;
	}
	rmnic_vectors_assign(ctrl);
	for (i = 0; i < n; i++) {
		struct rmnic_vector *v = &ctrl->vectors[i];

		v->ctrl = ctrl;
		v->index = i;
		err = pci_request_irq(ctrl->pdev, i, rmnic_vector_irq, NULL, v,
				      RMNIC_NAME "%d-%d", ctrl->instance, i);
		if (err)
			goto free_irqs;
	}
	return 0;
free_irqs:
	while (--i >= 0)
		pci_free_irq(ctrl->pdev, i, &ctrl->vectors[i]);
	kfree(ctrl->vectors);
free_vectors:
	pci_free_irq_vectors(ctrl->pdev);
	return err;
}

/* A pair's interrupt goes to the CPUs that submit to it. */
static void rmnic_vectors_spread(struct rmnic_ctrl *ctrl)
{
	unsigned int i, cpu;

	if (ctrl->nr_vectors != 1 + ctrl->nr_out + ctrl->nr_in)
		return;
	for (i = 0; i < ctrl->nr_out + ctrl->nr_in; i++) {
		enum hctx_type type = i < ctrl->nr_out ? HCTX_TYPE_DEFAULT : HCTX_TYPE_READ;
		struct rmnic_vector *v = &ctrl->vectors[ctrl->queues[i].vector];

		cpumask_clear(&v->cpus);
		for_each_possible_cpu(cpu)
			if (ctrl->tagset.map[type].mq_map[cpu] == i)
				cpumask_set_cpu(cpu, &v->cpus);
		irq_set_affinity_and_hint(pci_irq_vector(ctrl->pdev, v->index), &v->cpus);
	}
}

/* --- Queues ----------------------------------------------------------------------------------- */

static void rmnic_queues_free(struct rmnic_ctrl *ctrl)
{
	unsigned int i;

	for (i = 0; i < ctrl->nr_out + ctrl->nr_in; i++)
		rmnic_queue_free(&ctrl->queues[i]);
	kfree(ctrl->queues);
	rmnic_admin_free(ctrl);
}

/* How many pairs, how deep: what the parameters ask for, within what the device offers. */
static void rmnic_queues_plan(struct rmnic_ctrl *ctrl)
{
	unsigned int pairs = rmnic_pairs ? rmnic_pairs : num_online_cpus();

	pairs = min(pairs, ctrl->caps.max_qpairs / 2);
	ctrl->nr_out = pairs;
	ctrl->nr_in = pairs;
	ctrl->depth = roundup_pow_of_two(rmnic_queue_depth * RMNIC_RING_FACTOR);
	ctrl->depth = clamp(ctrl->depth, ctrl->caps.min_depth, ctrl->caps.max_depth);
	ctrl->tags = clamp(rmnic_queue_depth, 1u, max(ctrl->depth / 2, 1u));
	ctrl->poll_us = rmnic_poll_us;
	ctrl->timeout_ms = rmnic_timeout_ms ? rmnic_timeout_ms : ctrl->caps.command_timeout_ms;
}

static int rmnic_queues_alloc(struct rmnic_ctrl *ctrl)
{
	unsigned int i;
	int err;

	ctrl->queues = kcalloc(ctrl->nr_out + ctrl->nr_in, sizeof(*ctrl->queues), GFP_KERNEL);
	if (!ctrl->queues)
		return -ENOMEM;
	err = rmnic_admin_alloc(ctrl);
	for (i = 0; !err && i < ctrl->nr_out + ctrl->nr_in; i++) {
		err = rmnic_queue_alloc(ctrl, &ctrl->queues[i], i + 1,
					i < ctrl->nr_out ? RMNIC_CLASS_PAGE_OUT :
							   RMNIC_CLASS_PAGE_IN,
					ctrl->depth);
	}
	if (err)
		rmnic_queues_free(ctrl);
	return err;
}

/* --- Probe ------------------------------------------------------------------------------------ */

static int rmnic_pci_enable(struct rmnic_ctrl *ctrl)
{
	struct pci_dev *pdev = ctrl->pdev;
	int err = pci_enable_device_mem(pdev);

	if (err)
		return err;
	err = pci_request_mem_regions(pdev, RMNIC_NAME);
	if (err)
		goto disable;
	err = dma_set_mask_and_coherent(ctrl->dev, DMA_BIT_MASK(64));
	if (err)
		goto release;
	dma_set_max_seg_size(ctrl->dev, RMNIC_MAX_PAGES * RMNIC_PAGE_SIZE);
	/* Bounce buffers must keep pages page-aligned (CMD-10). */
	dma_set_min_align_mask(ctrl->dev, RMNIC_PAGE_SIZE - 1);
	err = -ENODEV;
	if (pci_resource_len(pdev, RMNIC_BAR_REGS) <= RMNIC_REGS_SIZE) {
		dev_err(ctrl->dev, "BAR 0 is too small\n");
		goto release;
	}
	ctrl->bar = pci_ioremap_bar(pdev, RMNIC_BAR_REGS);
	if (!ctrl->bar)
		goto release;
	return 0;
release:
	pci_release_mem_regions(pdev);
disable:
	pci_disable_device(pdev);
	return err;
}

static void rmnic_pci_disable(struct rmnic_ctrl *ctrl)
{
	iounmap(ctrl->bar);
	pci_release_mem_regions(ctrl->pdev);
	pci_disable_device(ctrl->pdev);
}

static struct rmnic_ctrl *rmnic_ctrl_alloc(struct pci_dev *pdev)
{
	struct rmnic_ctrl *ctrl = kzalloc(sizeof(*ctrl), GFP_KERNEL);

	if (!ctrl)
		return NULL;
	ctrl->pdev = pdev;
	ctrl->dev = &pdev->dev;
	rmnic_ctrl_init(ctrl);
	ctrl->instance = ida_alloc(&rmnic_instances, GFP_KERNEL);
	if (ctrl->instance < 0)
		goto free_ctrl;
	/* Resets run when memory is short, because pages wait for them. */
	ctrl->wq = alloc_workqueue(RMNIC_NAME "%d", WQ_MEM_RECLAIM | WQ_HIGHPRI, 0,
				   ctrl->instance);
	if (!ctrl->wq)
		goto free_instance;
	return ctrl;
free_instance:
	ida_free(&rmnic_instances, ctrl->instance);
free_ctrl:
	kfree(ctrl);
	return NULL;
}

/* What outlives the PCI device: see rmnic_free_disk(). */
void rmnic_ctrl_release(struct rmnic_ctrl *ctrl)
{
	/* A notice that came while the device was going may have queued it once more. */
	if (ctrl->pages.busy)
		cancel_delayed_work_sync(&ctrl->pages.work);
	destroy_workqueue(ctrl->wq);
	rmnic_pages_free(ctrl);
	ida_free(&rmnic_instances, ctrl->instance);
	kfree(ctrl);
}

static int rmnic_memory_alloc(struct rmnic_ctrl *ctrl)
{
	int err;

	ctrl->list_pool = dma_pool_create(RMNIC_NAME, ctrl->dev, RMNIC_PAGE_SIZE,
					  RMNIC_PAGE_SIZE, 0);
	if (!ctrl->list_pool)
		return -ENOMEM;
	err = rmnic_pages_alloc(ctrl);
	if (err)
		goto free_pages;
	err = rmnic_queues_alloc(ctrl);
	if (err)
		goto free_pages;
	return 0;
free_pages:
	rmnic_pages_free_dma(ctrl);
	dma_pool_destroy(ctrl->list_pool);
	return err;
}

/* With dma_stuck the device may still read and write it: it is lost, not reused (DMA-1). */
static void rmnic_memory_free(struct rmnic_ctrl *ctrl)
{
	if (ctrl->dma_stuck) {
		dev_err(ctrl->dev, "rings are left to a device that may still use them\n");
		return;
	}
	rmnic_queues_free(ctrl);
	rmnic_pages_free_dma(ctrl);
	dma_pool_destroy(ctrl->list_pool);
}

/* From a device that works to a disk in /dev. */
static int rmnic_disk_bring_up(struct rmnic_ctrl *ctrl)
{
	int err = rmnic_tags_alloc(ctrl);

	if (err)
		return err;
	rmnic_vectors_spread(ctrl);
	err = rmnic_rw_page_alloc(ctrl);
	if (err)
		goto free_tags;
	err = rmnic_disk_alloc(ctrl);
	if (err)
		goto free_rw_page;
	pci_set_drvdata(ctrl->pdev, ctrl);
	rmnic_ctrl_set_state(ctrl, RMNIC_LIVE);
	err = device_add_disk(ctrl->dev, ctrl->disk, NULL);
	if (err)
		goto drop_disk;
	rmnic_debugfs_add(ctrl);
	rmnic_power_add(ctrl);
	/* Events from before the handlers were ready. */
	queue_work(ctrl->wq, &ctrl->event_work);
	return 0;
drop_disk:
	/* A disk that was never added does not call free_disk(). */
	mutex_lock(&ctrl->lock);
	rmnic_ctrl_kill(ctrl, RMNIC_GONE);
	mutex_unlock(&ctrl->lock);
	put_disk(ctrl->disk);
	ctrl->disk = NULL;
	pci_set_drvdata(ctrl->pdev, NULL);
free_rw_page:
	rmnic_rw_page_free(ctrl);
free_tags:
	blk_mq_free_tag_set(&ctrl->tagset);
	return err;
}

static void rmnic_works_cancel(struct rmnic_ctrl *ctrl)
{
	cancel_work_sync(&ctrl->reset_work);
	cancel_work_sync(&ctrl->event_work);
	cancel_delayed_work_sync(&ctrl->watchdog);
	cancel_delayed_work_sync(&ctrl->pages.work);
}

static int rmnic_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct rmnic_ctrl *ctrl = rmnic_ctrl_alloc(pdev);
	int err = -ENOMEM;

	if (!ctrl)
		return err;
	err = rmnic_pci_enable(ctrl);
	if (err)
		goto release;
	err = rmnic_regs_identify(ctrl);
	if (err)
		goto disable;
	rmnic_queues_plan(ctrl);
	err = rmnic_memory_alloc(ctrl);
	if (err)
		goto disable;
	err = rmnic_vectors_alloc(ctrl);
	if (err)
		goto free_memory;
	err = rmnic_ctrl_first_start(ctrl);
	if (err)
		goto free_vectors;
	err = rmnic_disk_bring_up(ctrl);
	if (err)
		goto stop;
	dev_info(ctrl->dev, RMNIC_NAME "%d: %llu MiB, %u+%u queue pairs of %u requests, serial %s\n",
		 ctrl->instance, ctrl->capacity >> (20 - RMNIC_PAGE_SHIFT), ctrl->nr_in,
		 ctrl->nr_out, ctrl->tags, ctrl->serial);
	return 0;
stop:
	mutex_lock(&ctrl->lock);
	rmnic_ctrl_kill(ctrl, RMNIC_GONE);
	mutex_unlock(&ctrl->lock);
free_vectors:
	rmnic_vectors_free(ctrl);
free_memory:
	rmnic_works_cancel(ctrl);
	rmnic_memory_free(ctrl);
disable:
	rmnic_pci_disable(ctrl);
release:
	rmnic_ctrl_release(ctrl);
	return err;
}

/* --- Remove ----------------------------------------------------------------------------------- */

/*
 * The device is unbound, unplugged, or pulled out. While it answers, what is in flight ends
 * well and del_gendisk() writes back; from then on everything fails. A disk that still swaps
 * keeps the controller's memory until swapoff (RULES L6).
 */
static void rmnic_remove(struct pci_dev *pdev)
{
	struct rmnic_ctrl *ctrl = pci_get_drvdata(pdev);

	rmnic_power_remove(ctrl);
	rmnic_debugfs_remove(ctrl);

	mutex_lock(&ctrl->lock);
	if (rmnic_regs_gone(ctrl))
		rmnic_ctrl_kill(ctrl, RMNIC_GONE);
	mutex_unlock(&ctrl->lock);
	rmnic_disk_swapoff(ctrl);

	mutex_lock(&ctrl->lock);
	if (rmnic_regs_gone(ctrl)) {
		blk_mark_disk_dead(ctrl->disk);
		rmnic_ctrl_kill(ctrl, RMNIC_GONE);
	} else if (!rmnic_ctrl_set_state(ctrl, RMNIC_REMOVING)) {
		rmnic_ctrl_kill(ctrl, RMNIC_GONE);
	}
	mutex_unlock(&ctrl->lock);

	del_gendisk(ctrl->disk);

	mutex_lock(&ctrl->lock);
	rmnic_ctrl_kill(ctrl, RMNIC_GONE);
	mutex_unlock(&ctrl->lock);
	rmnic_works_cancel(ctrl);
	rmnic_vectors_free(ctrl);
	blk_mq_free_tag_set(&ctrl->tagset);
	rmnic_rw_page_free(ctrl);
	rmnic_memory_free(ctrl);
	rmnic_pci_disable(ctrl);
	put_disk(ctrl->disk);
}

/* Reboot and kexec: the next kernel's memory must not be written (DMA-1). */
static void rmnic_shutdown(struct pci_dev *pdev)
{
	rmnic_ctrl_hold(pci_get_drvdata(pdev));
	pci_clear_master(pdev);
}

/* --- Module ----------------------------------------------------------------------------------- */

static const struct pci_device_id rmnic_ids[] = {
	{ PCI_DEVICE(RMNIC_PCI_VENDOR_ID, RMNIC_PCI_DEVICE_ID) },
	{}
};
MODULE_DEVICE_TABLE(pci, rmnic_ids);

static struct pci_driver rmnic_driver = {
	.name = RMNIC_NAME,
	.id_table = rmnic_ids,
	.probe = rmnic_probe,
	.remove = rmnic_remove,
	.shutdown = rmnic_shutdown,
	.err_handler = &rmnic_err_handlers,
	.dev_groups = rmnic_attr_groups,
	.driver = {
		.pm = pm_sleep_ptr(&rmnic_pm_ops),
	},
};

static int __init rmnic_init(void)
{
	int err = rmnic_power_init();

	if (err)
		return err;
	rmnic_debugfs_init();
	err = pci_register_driver(&rmnic_driver);
	if (err) {
		rmnic_debugfs_exit();
		rmnic_power_exit();
	}
	return err;
}

static void __exit rmnic_exit(void)
{
	pci_unregister_driver(&rmnic_driver);
	rmnic_debugfs_exit();
	rmnic_power_exit();
}

module_init(rmnic_init);
module_exit(rmnic_exit);
MODULE_DESCRIPTION("Remote memory NIC: pages kept in other machines' memory");
MODULE_AUTHOR("The rmnic developers");
MODULE_LICENSE("GPL");
