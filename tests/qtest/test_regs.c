/* SPDX-License-Identifier: BSD-3-Clause */
/* Configuration space, registers and capabilities: what they hold, what they refuse. */
#include "rig.h"

#include "hw/pci/pci_regs.h"

static uint64_t bad_registers(Rig *rig)
{
    return rig_stat(rig, "refused/bad-register");
}

static void regs__identity(void)
{
    Rig *rig = rig_start("size=128M", NULL);
    uint8_t pm = qpci_find_capability(rig->dev, PCI_CAP_ID_PM, 0);
    uint8_t exp = qpci_find_capability(rig->dev, PCI_CAP_ID_EXP, 0);

    g_assert_cmphex(qpci_config_readw(rig->dev, PCI_VENDOR_ID), ==, RMNIC_PCI_VENDOR_ID);
    g_assert_cmphex(qpci_config_readw(rig->dev, PCI_DEVICE_ID), ==, RMNIC_PCI_DEVICE_ID);
    g_assert_cmphex(qpci_config_readw(rig->dev, PCI_SUBSYSTEM_ID), ==, RMNIC_PCI_DEVICE_ID);
    g_assert_cmphex(qpci_config_readw(rig->dev, PCI_CLASS_DEVICE), ==, RMNIC_PCI_CLASS);
    g_assert_cmphex(qpci_config_readb(rig->dev, PCI_REVISION_ID), ==, RMNIC_PCI_REVISION);
    /* PCI-1: MSI-X, no INTx. PCI-2: FLR and No_Soft_Reset. Both BARs are 64 bits wide. */
    g_assert_cmphex(qpci_config_readb(rig->dev, PCI_INTERRUPT_PIN), ==, 0);
    g_assert_cmphex(qpci_find_capability(rig->dev, PCI_CAP_ID_MSIX, 0), !=, 0);
    g_assert_cmphex(qpci_find_capability(rig->dev, PCI_CAP_ID_MSI, 0), ==, 0);
    g_assert_cmphex(pm, !=, 0);
    g_assert_cmphex(qpci_config_readw(rig->dev, pm + PCI_PM_CTRL) & PCI_PM_CTRL_NO_SOFT_RESET,
                    !=, 0);
    g_assert_cmphex(exp, !=, 0);
    g_assert_cmphex(qpci_config_readl(rig->dev, exp + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR, !=, 0);
    g_assert_cmphex(qpci_config_readl(rig->dev, PCI_BASE_ADDRESS_0) & 0xf, ==,
                    PCI_BASE_ADDRESS_MEM_TYPE_64);
    g_assert_cmphex(qpci_config_readl(rig->dev, PCI_BASE_ADDRESS_2) & 0xf, ==,
                    PCI_BASE_ADDRESS_MEM_TYPE_64);
    rig_stop(rig);
}

static void regs__reset_values(void)
{
    Rig *rig = rig_start("size=128M,slab-size=32M,capacity=96M,"
                         "uuid=00112233-4455-6677-8899-aabbccddeeff", NULL);

    g_assert_cmphex(rig_reg(rig, RMNIC_REG_MAGIC), ==, RMNIC_MAGIC);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_VERSION), ==, 0x00010000);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_CAP_PTR), ==, RMNIC_REG_CAPS);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_STATUS), ==, 0);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_CTRL), ==, 0);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_ERROR), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_DEV_FEATURES), ==,
                    RMNIC_F_CAPACITY_EV | RMNIC_F_COALESCE | RMNIC_F_SAME_FILLED);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_DRV_FEATURES), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_CAPACITY), ==, 96 * 256);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_EVENT), ==, 0);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_AQ_DEPTH), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_AQ_SQ), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_AQ_CQ), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_AQ_REC), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_UUID), ==, 0x7766554433221100);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_UUID + 12), ==, 0xffeeddcc);
    g_assert_cmpuint(bad_registers(rig), ==, 0);
    rig_stop(rig);
}

/* REG-1: 64-bit registers by halves; every other size and alignment reads 0 and is counted. */
static void regs__access_sizes(void)
{
    Rig *rig = rig_start("size=128M", NULL);
    uint64_t bad;

    rig_reg_set(rig, RMNIC_REG_AQ_SQ, 0x9abcdef0);
    rig_reg_set(rig, RMNIC_REG_AQ_SQ + 4, 0x12345678);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_AQ_SQ), ==, 0x123456789abcdef0);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_AQ_SQ + 4), ==, 0x12345678);
    bad = bad_registers(rig);
    g_assert_cmpuint(bad, ==, 0);

    g_assert_cmphex(qpci_io_readb(rig->dev, rig->regs, RMNIC_REG_MAGIC), ==, 0);
    g_assert_cmphex(qpci_io_readw(rig->dev, rig->regs, RMNIC_REG_MAGIC), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_MAGIC), ==, 0);         /* 32 bits wide */
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_MAGIC + 2), ==, 0);       /* unaligned */
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_AQ_SQ + 4), ==, 0);
    g_assert_cmphex(rig_reg(rig, 0x058), ==, 0);                     /* reserved */
    g_assert_cmphex(rig_reg(rig, RMNIC_REGS_SIZE - 4), ==, 0);
    g_assert_cmpuint(bad_registers(rig), ==, bad + 7);

    qpci_io_writeb(rig->dev, rig->regs, RMNIC_REG_AQ_SQ, 0xff);
    qpci_io_writew(rig->dev, rig->regs, RMNIC_REG_AQ_SQ, 0xffff);
    rig_reg_set(rig, RMNIC_REG_AQ_SQ + 2, 0xffffffff);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_AQ_SQ), ==, 0x123456789abcdef0);
    g_assert_cmpuint(bad_registers(rig), ==, bad + 10);
    rig_stop(rig);
}

/* REG-2: what is read-only stays, what is unknown is ignored, reserved bits of CTRL refuse. */
static void regs__read_only(void)
{
    static const uint32_t ro[] = {
        RMNIC_REG_MAGIC, RMNIC_REG_VERSION, RMNIC_REG_CAP_PTR, RMNIC_REG_STATUS,
        RMNIC_REG_ERROR, RMNIC_REG_DEV_FEATURES, RMNIC_REG_CAPACITY, RMNIC_REG_RESET_COUNT,
        RMNIC_REG_UUID, RMNIC_REG_CAPS, 0x05c, RMNIC_REGS_SIZE - 4,
    };
    Rig *rig = rig_start("size=128M", NULL);

    for (size_t i = 0; i < ARRAY_SIZE(ro); i++) {
        uint32_t before = rig_reg(rig, ro[i]);
        uint64_t bad = bad_registers(rig);

        rig_reg_set(rig, ro[i], ~before);
        g_assert_cmpuint(bad_registers(rig), ==, bad + 1);
        g_assert_cmphex(rig_reg(rig, ro[i]), ==, before);
    }
    rig_reg_set(rig, RMNIC_REG_CTRL, 0x80000001);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_CTRL), ==, 0);
    rig_stop(rig);
}

/* REG-3 */
static void regs__setup_only_when_off(void)
{
    static const uint32_t setup[] = { RMNIC_REG_DRV_FEATURES, RMNIC_REG_AQ_DEPTH,
                                      RMNIC_REG_AQ_SQ, RMNIC_REG_AQ_CQ, RMNIC_REG_AQ_REC };
    Rig *rig = rig_start("size=128M", NULL);

    rig_ready(rig);
    for (size_t i = 0; i < ARRAY_SIZE(setup); i++) {
        uint32_t before = rig_reg(rig, setup[i]);
        uint64_t bad = bad_registers(rig);

        rig_reg_set(rig, setup[i], ~before);
        g_assert_cmphex(rig_reg(rig, setup[i]), ==, before);
        g_assert_cmpuint(bad_registers(rig), ==, bad + 1);
    }
    rig_stop(rig);
}

/* INFO-1 */
static void regs__capabilities(void)
{
    Rig *rig = rig_start("size=256M,queues=7,queue-depth=128,slab-size=16M", NULL);
    uint32_t seen = 0, at = rig_reg(rig, RMNIC_REG_CAP_PTR);

    while (at) {
        uint32_t word = rig_reg(rig, at), id = word & 0xffff;
        uint32_t length = rig_reg(rig, at + 4) & 0xffff;

        g_assert_cmphex(word >> 16, ==, 1);
        g_assert_cmpuint(id, <=, RMNIC_CAP_TIMING);
        g_assert_cmphex(seen & (1u << id), ==, 0);
        seen |= 1u << id;
        switch (id) {
        case RMNIC_CAP_QUEUES:
            g_assert_cmpuint(length, ==, sizeof(struct rmnic_cap_queues));
            g_assert_cmphex(rig_reg(rig, at + 8), ==, 128u << 16 | 7);
            g_assert_cmphex(rig_reg(rig, at + 12), ==, RMNIC_MIN_DEPTH << 16 | 128);
            g_assert_cmphex(rig_reg(rig, at + 16), ==, RMNIC_DB_OFFSET);
            g_assert_cmphex(rig_reg(rig, at + 20), ==, RMNIC_DB_STRIDE);
            break;
        case RMNIC_CAP_TRANSFER:
            g_assert_cmpuint(length, ==, sizeof(struct rmnic_cap_transfer));
            g_assert_cmphex(rig_reg(rig, at + 8), ==, RMNIC_PAGE_SHIFT);
            g_assert_cmphex(rig_reg(rig, at + 12), ==, RMNIC_MAX_PAGES);
            g_assert_cmphex(rig_reg(rig, at + 16), ==, RMNIC_MAX_RANGES);
            break;
        case RMNIC_CAP_STORE:
            g_assert_cmpuint(length, ==, sizeof(struct rmnic_cap_store));
            g_assert_cmphex(rig_reg(rig, at + 8), ==, 65536);
            g_assert_cmphex(rig_reg(rig, at + 12), ==, 0);
            g_assert_cmphex(rig_reg(rig, at + 16), ==, 4096);
            break;
        default:
            g_assert_cmpuint(length, ==, sizeof(struct rmnic_cap_timing));
            g_assert_cmpuint(rig_reg(rig, at + 8), >, 0);
            g_assert_cmpuint(rig_reg(rig, at + 12), >, 0);
        }
        at = rig_reg(rig, at + 4) >> 16;
    }
    g_assert_cmphex(seen, ==, 0x1e);
    rig_stop(rig);
}

/* A conventional slot: no PCI Express, no FLR, all else works. */
static void regs__conventional_slot(void)
{
    Rig *rig = rig_start_bare("-machine pc -device rmnic,id=r,addr=4,size=128M");
    Pair admin, out;

    rig_attach(rig, QPCI_DEVFN(4, 0));
    g_assert_cmphex(qpci_find_capability(rig->dev, PCI_CAP_ID_EXP, 0), ==, 0);
    g_assert_cmphex(qpci_find_capability(rig->dev, PCI_CAP_ID_PM, 0), !=, 0);
    g_assert_cmphex(qpci_find_capability(rig->dev, PCI_CAP_ID_MSIX, 0), !=, 0);
    admin = rig_ready(rig);
    out = pair_create(&admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    pair_do(&out, RMNIC_OP_ZERO, 0, 1, 0);
    rig_stop(rig);
}

void test_regs_add(void)
{
    g_test_add_func("/rmnic/regs/identity", regs__identity);
    g_test_add_func("/rmnic/regs/reset-values", regs__reset_values);
    g_test_add_func("/rmnic/regs/access-sizes", regs__access_sizes);
    g_test_add_func("/rmnic/regs/read-only", regs__read_only);
    g_test_add_func("/rmnic/regs/setup-only-when-off", regs__setup_only_when_off);
    g_test_add_func("/rmnic/regs/capabilities", regs__capabilities);
    g_test_add_func("/rmnic/regs/conventional-slot", regs__conventional_slot);
}
