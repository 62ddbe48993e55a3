/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rmnic.c - the PCI function: realize and unplug, configuration space, what gates DMA.
 *
 *   regs.c     registers and the state machine
 *   irq.c      MSI-X
 *   local.c    the embedded mode: engine and store in this process
 *     host.c     guest memory, clock and tracing for the engine
 *     poll.c     the IOThread that runs the engine
 *     embed.c    the memory of the store
 *   user.c     the mode with a backend process; user.h lists its files
 *   props.c, fault.c, stats.c   QOM properties
 *   vmstate.c  migration and snapshots
 */
#include "rmnic.h"

#include "hw/pci/msix.h"
#include "hw/pci/pcie.h"
#include "qapi/error.h"
#include "qemu/cutils.h"
#include "qemu/error-report.h"
#include "qemu/module.h"

/* --- What gates DMA ------------------------------------------------------------------------- */

bool rmnic_in_d3(RmnicState *s)
{
    const uint8_t *pm = s->parent_obj.config + s->pm_cap;

    return (pci_get_word(pm + PCI_PM_CTRL) & PCI_PM_CTRL_STATE_MASK) == 3;
}

bool rmnic_config_allows_dma(RmnicState *s)
{
    return (pci_get_word(s->parent_obj.config + PCI_COMMAND) & PCI_COMMAND_MASTER) &&
           !rmnic_in_d3(s);
}

/* The 16 bits at `at` as they will be after a write of val. */
static uint16_t rmnic_config_after(RmnicState *s, unsigned at, uint32_t addr, uint32_t val,
                                   int len)
{
    const PCIDevice *pdev = &s->parent_obj;
    uint16_t word = pci_get_word(pdev->config + at), wmask = pci_get_word(pdev->wmask + at);

    for (unsigned i = 0; i < 2; i++) {
        if (at + i >= addr && at + i < addr + len) {
            uint16_t byte = 0xff << 8 * i & wmask;

            word = (word & ~byte) | (val >> 8 * (at + i - addr) << 8 * i & byte);
        }
    }
    return word;
}

static bool rmnic_write_stops_dma(RmnicState *s, uint32_t addr, uint32_t val, int len)
{
    uint16_t command = rmnic_config_after(s, PCI_COMMAND, addr, val, len);
    uint16_t power = rmnic_config_after(s, s->pm_cap + PCI_PM_CTRL, addr, val, len);

    return !(command & PCI_COMMAND_MASTER) || (power & PCI_PM_CTRL_STATE_MASK) == 3;
}

static void rmnic_dma_update(RmnicState *s, bool vm_running)
{
    rmnic_dma_set(s, vm_running && rmnic_config_allows_dma(s), vm_running);
}

/*
 * DMA-3. What takes DMA away has to stop it before the bus master address space is gone, or
 * commands in flight would be refused instead of finished; what allows it comes after.
 */
static void rmnic_config_write(PCIDevice *pdev, uint32_t addr, uint32_t val, int len)
{
    RmnicState *s = RMNIC(pdev);

    if (rmnic_write_stops_dma(s, addr, val, len)) {
        rmnic_dma_set(s, false, s->running);
    }
    pci_default_write_config(pdev, addr, val, len);
    if (pci_is_express(pdev) && pci_bus_is_express(pci_get_bus(pdev))) {
        pcie_cap_flr_write_config(pdev, addr, val, len);
    }
    rmnic_irq_update(s);
    rmnic_dma_update(s, s->running);
}

/* RULES E4: the store is drained before its memory and the device's state are saved. */
static void rmnic_vm_change(void *opaque, bool running, RunState state)
{
    rmnic_dma_update(opaque, running);
}

bool rmnic_behind_iommu(RmnicState *s)
{
    return pci_device_iommu_address_space(&s->parent_obj) != &address_space_memory;
}

/* FLR, conventional and system reset. */
static void rmnic_device_reset(DeviceState *dev)
{
    RmnicState *s = RMNIC(dev);
    uint8_t *pm = s->parent_obj.config + s->pm_cap;

    /* The command line may name the vIOMMU after the device; the first reset comes after both. */
    if (s->iommu != rmnic_behind_iommu(s)) {
        s->iommu = !s->iommu;
        s->ops->iommu(s);
    }
    rmnic_reset(s, true);
    pci_word_test_and_clear_mask(pm + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    /* The PCI core clears the command register after this. */
    rmnic_dma_set(s, false, s->running);
}

/* --- Configuration space ---------------------------------------------------------------------- */

/* PCI-1 */
static bool rmnic_msix_init(RmnicState *s, Error **errp)
{
    uint64_t table = s->vectors * PCI_MSIX_ENTRY_SIZE;
    uint64_t pba = QEMU_ALIGN_UP(s->vectors, 64) / 8;

    memory_region_init(&s->msix_bar, OBJECT(s), "rmnic-msix", MAX(4096, pow2ceil(table + pba)));
    if (msix_init(&s->parent_obj, s->vectors, &s->msix_bar, RMNIC_BAR_MSIX, 0, &s->msix_bar,
                  RMNIC_BAR_MSIX, table, 0, errp) < 0) {
        return false;
    }
    pci_register_bar(&s->parent_obj, RMNIC_BAR_MSIX, PCI_BASE_ADDRESS_MEM_TYPE_64, &s->msix_bar);
    return true;
}

/* PCI-2. In a conventional slot there is no FLR. */
static bool rmnic_caps_init(RmnicState *s, Error **errp)
{
    PCIDevice *pdev = &s->parent_obj;
    int pos = pci_add_capability(pdev, PCI_CAP_ID_PM, 0, PCI_PM_SIZEOF, errp);

    if (pos < 0) {
        return false;
    }
    s->pm_cap = pos;
    pci_set_word(pdev->config + pos + PCI_PM_PMC, 3); /* version 1.2; D0 and D3 only */
    pci_set_word(pdev->config + pos + PCI_PM_CTRL, PCI_PM_CTRL_NO_SOFT_RESET);
    pci_set_word(pdev->wmask + pos + PCI_PM_CTRL, PCI_PM_CTRL_STATE_MASK);
    if (pci_bus_is_express(pci_get_bus(pdev))) {
        if (pcie_endpoint_cap_init(pdev, 0) < 0) {
            error_setg(errp, "rmnic: no room for the PCI Express capability");
            return false;
        }
        pcie_cap_flr_init(pdev);
    }
    return true;
}

static void rmnic_bars_init(RmnicState *s)
{
    PCIDevice *pdev = &s->parent_obj;

    memory_region_init_io(&s->bar, OBJECT(s), &rmnic_regs_ops, s, "rmnic-regs",
                          RMNIC_BAR_REGS_SIZE);
    memory_region_transaction_begin();
    for (unsigned i = 0; i <= s->queues; i++) {
        memory_region_add_eventfd(&s->bar, RMNIC_DB_OFFSET + i * RMNIC_DB_STRIDE, 4, false, 0,
                                  &s->wake);
    }
    memory_region_transaction_commit();
    pci_register_bar(pdev, RMNIC_BAR_REGS, PCI_BASE_ADDRESS_MEM_TYPE_64, &s->bar);
}

/* --- Life --------------------------------------------------------------------------------------- */

static void rmnic_realize(PCIDevice *pdev, Error **errp)
{
    RmnicState *s = RMNIC(pdev);
    int ret;

    if (!rmnic_props_check(s, errp)) {
        return;
    }
    s->ops = qemu_chr_fe_backend_connected(&s->chr) ? &rmnic_user_ops : &rmnic_local_ops;
    s->as = pci_get_address_space(pdev);
    s->iommu = rmnic_behind_iommu(s);
    s->features = RMNIC_FEATURES | (s->iommu ? RMNIC_F_IOVA : 0);
    s->ready_timeout_ms = RMNIC_READY_TIMEOUT_MS;
    s->command_timeout_ms = RMNIC_COMMAND_TIMEOUT_MS;
    s->paused = true;
    s->running = runstate_is_running();
    ret = event_notifier_init(&s->wake, 0);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "rmnic: no event notifier for the doorbells");
        return;
    }
    if (!rmnic_caps_init(s, errp) || !rmnic_msix_init(s, errp)) {
        goto cleanup_wake;
    }
    if (!rmnic_irq_init(s, errp)) {
        goto exit_msix;
    }
    if (!s->ops->start(s, errp)) {
        goto exit_irq;
    }
    rmnic_caps_build(s);
    rmnic_bars_init(s);
    s->vmchange = qdev_add_vm_change_state_handler(DEVICE(s), rmnic_vm_change, s);
    return;

exit_irq:
    rmnic_irq_exit(s);
exit_msix:
    msix_uninit(pdev, &s->msix_bar, &s->msix_bar);
cleanup_wake:
    event_notifier_cleanup(&s->wake);
}

static void rmnic_exit(PCIDevice *pdev)
{
    RmnicState *s = RMNIC(pdev);

    qemu_del_vm_change_state_handler(s->vmchange);
    rmnic_reset(s, true);
    s->ops->stop(s);
    memory_region_transaction_begin();
    for (unsigned i = 0; i <= s->queues; i++) {
        memory_region_del_eventfd(&s->bar, RMNIC_DB_OFFSET + i * RMNIC_DB_STRIDE, 4, false, 0,
                                  &s->wake);
    }
    memory_region_transaction_commit();
    rmnic_irq_exit(s);
    msix_uninit(pdev, &s->msix_bar, &s->msix_bar);
    if (pci_is_express(pdev) && pdev->exp.exp_cap) {
        pcie_cap_exit(pdev);
    }
    event_notifier_cleanup(&s->wake);
}

static void rmnic_instance_init(Object *obj)
{
    /* 4 KiB of configuration space; the capability itself only where the bus is Express. */
    PCI_DEVICE(obj)->cap_present |= QEMU_PCI_CAP_EXPRESS;
}

static void rmnic_instance_finalize(Object *obj)
{
    g_free(RMNIC(obj)->vm_qp);
}

static void rmnic_class_init(ObjectClass *oc, void *data)
{
    DeviceClass *dc = DEVICE_CLASS(oc);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(oc);

    pc->realize = rmnic_realize;
    pc->exit = rmnic_exit;
    pc->config_write = rmnic_config_write;
    pc->vendor_id = RMNIC_PCI_VENDOR_ID;
    pc->device_id = RMNIC_PCI_DEVICE_ID;
    pc->subsystem_vendor_id = RMNIC_PCI_VENDOR_ID;
    pc->subsystem_id = RMNIC_PCI_DEVICE_ID;
    pc->revision = RMNIC_PCI_REVISION;
    pc->class_id = RMNIC_PCI_CLASS;
    dc->desc = "remote memory NIC: a paging store for the guest";
    dc->vmsd = &rmnic_vmstate;
    set_bit(DEVICE_CATEGORY_STORAGE, dc->categories);
    rmnic_class_set_reset(dc, rmnic_device_reset);
    rmnic_props_class_init(oc);
    rmnic_fault_class_init(oc);
    rmnic_stats_class_init(oc);
    rmnic_user_report_class_init(oc);
}

static const TypeInfo rmnic_type = {
    .name = TYPE_RMNIC,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(RmnicState),
    .instance_init = rmnic_instance_init,
    .instance_finalize = rmnic_instance_finalize,
    .class_init = rmnic_class_init,
    .interfaces = (InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { INTERFACE_CONVENTIONAL_PCI_DEVICE },
        { }
    },
};

static void rmnic_register_types(void)
{
    type_register_static(&rmnic_type);
}

type_init(rmnic_register_types)
