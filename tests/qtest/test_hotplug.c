/* SPDX-License-Identifier: BSD-3-Clause */
/* device_add and device_del, idle and with commands in flight, in both kinds of slot. */
#include "rig.h"

#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "qemu/bswap.h"

/* Leaves commands in flight that would take ten seconds. */
static void load(Rig *rig)
{
    Pair admin = rig_ready(rig), in;
    struct rmnic_sqe sqe = sqe_io(RMNIC_OP_PAGE_IN, 5, 1, rig_alloc(rig, RMNIC_PAGE_SIZE));

    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 1, 16);
    pair_do(&in, RMNIC_OP_PAGE_IN, 5, 1, le64_to_cpu(sqe.addr));
    rig_knob(rig, "x-fault-delay-us", 10000000);
    for (int i = 0; i < 8; i++) {
        sqe.cid = cpu_to_le16(i);
        pair_submit(&in, &sqe);
    }
}

/* A conventional slot, unplugged by ACPI; several times, so that names must become free. */
static void hotplug__conventional(void)
{
    Rig *rig = rig_start_bare("-machine pc");

    for (int i = 0; i < 3; i++) {
        qtest_qmp_device_add(rig->qts, "rmnic", "r", "{ 'addr': '4', 'size': 134217728 }");
        rig_attach(rig, QPCI_DEVFN(4, 0));
        load(rig);
        qpci_unplug_acpi_device_test(rig->qts, "r", 4);
        rig_detach(rig);
        g_assert_null(qpci_device_find(rig->bus, QPCI_DEVFN(4, 0)));
    }
    rig_stop(rig);
}

/* A PCI Express slot, powered off by its slot control register as a guest would. */
static void hotplug__express(void)
{
    Rig *rig = rig_start_bare("-machine q35 -device pcie-root-port,id=rp,addr=3,slot=1,chassis=1"
                              " -global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off"
                              " -object memory-backend-ram,id=m,size=128M");
    QPCIDevice *port = qpci_device_find(rig->bus, QPCI_DEVFN(3, 0));
    uint8_t exp = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);

    qpci_secondary_buses_init(rig->bus);
    qpci_config_writel(port, PCI_MEMORY_BASE, 0xefffe000); /* 0xe0000000 to 0xefffffff */
    qpci_config_writew(port, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    for (int i = 0; i < 2; i++) {
        qtest_qmp_device_add(rig->qts, "rmnic", "r", "{ 'bus': 'rp', 'memdev': 'm' }");
        qpci_config_writew(port, exp + PCI_EXP_SLTCTL,
                           PCI_EXP_SLTCTL_PWR_IND_ON | PCI_EXP_SLTCTL_PWR_ON);
        rig_attach(rig, 1 << 8);
        load(rig);
        qtest_qmp_device_del_send(rig->qts, "r");
        qpci_config_writew(port, exp + PCI_EXP_SLTCTL,
                           PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PWR_OFF);
        qtest_qmp_eventwait(rig->qts, "DEVICE_DELETED");
        rig_detach(rig);
    }
    g_free(port);
    rig_stop(rig);
}

/* An unplug that nobody granted is finished by a system reset. */
static void hotplug__by_reset(void)
{
    Rig *rig = rig_start_bare("-machine pc");

    qtest_qmp_device_add(rig->qts, "rmnic", "r", "{ 'addr': '4', 'size': 134217728 }");
    rig_attach(rig, QPCI_DEVFN(4, 0));
    load(rig);
    qtest_qmp_device_del_send(rig->qts, "r");
    rig_qmp(rig, "system_reset");
    qtest_qmp_eventwait(rig->qts, "DEVICE_DELETED");
    rig_stop(rig);
}

/* The process ends with commands in flight. */
static void hotplug__quit(void)
{
    Rig *rig = rig_start("size=128M", NULL);

    load(rig);
    rig_stop(rig);
}

#define DIMM_ADDR      0x100000000ull
#define ACPI_MEMORY    0xa00 /* QEMU's docs/specs/acpi_mem_hotplug */
#define ACPI_EJECT     0x8

/*
 * DMA-8: rings in a memory module that is pulled out. The device holds the memory until it is
 * told to let go of the rings; what it writes meanwhile goes nowhere else.
 */
static void hotplug__memory(void)
{
    Rig *rig = rig_start("size=128M,x-fault-delay-us=10000000",
                         "-m 256,slots=1,maxmem=1G -object memory-backend-ram,id=mem,size=128M,prealloc=on"
                         " -device pc-dimm,id=dimm,memdev=mem,addr=0x100000000");
    Pair admin = rig_ready(rig), in;
    uint64_t below = rig->free, buffer, mark, full;
    struct rmnic_admin_sqe del = { .opcode = RMNIC_OP_DELETE_QP, .qid = cpu_to_le16(1) };
    struct rmnic_admin_sqe create;
    struct rmnic_sqe sqe;

    rig->free = DIMM_ADDR;
    buffer = rig_alloc(rig, RMNIC_PAGE_SIZE);
    mark = rig_alloc(rig, RMNIC_PAGE_SIZE);
    qtest_writel(rig->qts, mark, 0x52414d21);
    g_assert_cmphex(qtest_readl(rig->qts, mark), ==, 0x52414d21);
    in = pair_create(&admin, 1, RMNIC_CLASS_PAGE_IN, RMNIC_NO_VECTOR, 16);
    rig->free = below;
    sqe = sqe_io(RMNIC_OP_PAGE_IN, 0, 1, buffer);
    pair_submit(&in, &sqe);
    RIG_WAIT(rig_stat(rig, "pages-in") == 1);

    full = rig_rss_kib(rig) - 16 * 1024;
    qtest_qmp_device_del_send(rig->qts, "dimm");
    qtest_outl(rig->qts, ACPI_MEMORY, 0);
    qtest_outb(rig->qts, ACPI_MEMORY + 0x14, ACPI_EJECT);
    qtest_qmp_eventwait(rig->qts, "DEVICE_DELETED");
    qtest_qmp_assert_success(rig->qts, "{ 'execute': 'object-del', 'arguments': { 'id': 'mem' } }");
    g_assert_cmphex(qtest_readl(rig->qts, mark), !=, 0x52414d21);
    /* A device_add that fails waits until what is to be freed has been. */
    qobject_unref(qtest_qmp(rig->qts, "{ 'execute': 'device_add',"
                            " 'arguments': { 'driver': 'no-such-device' } }"));
    g_assert_cmpuint(rig_rss_kib(rig), >=, full);

    /* Ends the command: a CQE, an index and a page's mapping in the memory that is gone. */
    g_assert_cmphex(pair_status(&admin, &del), ==, RMNIC_SC_OK);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_STATUS), ==, RMNIC_STATUS_READY);
    g_assert_cmpuint(rig_stat(rig, "aborted"), ==, 1);
    RIG_WAIT(rig_rss_kib(rig) < full - 64 * 1024);

    /* What is no memory any more is refused. */
    rig->free = DIMM_ADDR;
    create = rig_create_sqe(rig, &in, 1, RMNIC_CLASS_PAGE_IN, RMNIC_NO_VECTOR, 16);
    g_assert_cmphex(pair_status(&admin, &create), ==, RMNIC_SC_INVALID_ADDRESS);
    rig_stop(rig);
}

void test_hotplug_add(void)
{
    g_test_add_func("/rmnic/hotplug/memory", hotplug__memory);
    g_test_add_func("/rmnic/hotplug/conventional", hotplug__conventional);
    g_test_add_func("/rmnic/hotplug/express", hotplug__express);
    g_test_add_func("/rmnic/hotplug/by-reset", hotplug__by_reset);
    g_test_add_func("/rmnic/hotplug/quit-in-flight", hotplug__quit);
}
