/* SPDX-License-Identifier: BSD-3-Clause */
/* MSI-X, arming, coalescing, doorbells. A vector's message goes to a word of guest memory. */
#include "rig.h"

#include "hw/pci/pci_regs.h"
#include "qemu/bswap.h"

#define MESSAGE(vector) (0xc0de0000u | (vector))

typedef struct Irq {
    Rig *rig;
    uint64_t words; /* one 32-bit word a vector */
    Pair admin;
} Irq;

static uint64_t entry(Rig *rig, uint16_t vector, uint32_t field)
{
    return rig->dev->msix_table_off + vector * PCI_MSIX_ENTRY_SIZE + field;
}

static void irq_mask(Irq *irq, uint16_t vector, bool mask)
{
    qpci_io_writel(irq->rig->dev, irq->rig->dev->msix_table_bar,
                   entry(irq->rig, vector, PCI_MSIX_ENTRY_VECTOR_CTRL), mask);
}

static Irq irq_start(const char *props)
{
    Irq irq = { .rig = rig_start(props, NULL) };
    Rig *rig = irq.rig;

    irq.words = rig_alloc(rig, RMNIC_PAGE_SIZE);
    qpci_msix_enable(rig->dev);
    for (uint16_t i = 0; i < qpci_msix_table_size(rig->dev); i++) {
        qpci_io_writel(rig->dev, rig->dev->msix_table_bar,
                       entry(rig, i, PCI_MSIX_ENTRY_LOWER_ADDR), irq.words + 4 * i);
        qpci_io_writel(rig->dev, rig->dev->msix_table_bar,
                       entry(rig, i, PCI_MSIX_ENTRY_UPPER_ADDR), 0);
        qpci_io_writel(rig->dev, rig->dev->msix_table_bar, entry(rig, i, PCI_MSIX_ENTRY_DATA),
                       MESSAGE(i));
        irq_mask(&irq, i, false);
    }
    irq.admin = rig_ready(rig);
    return irq;
}

static bool irq_came(Irq *irq, uint16_t vector)
{
    return qtest_readl(irq->rig->qts, irq->words + 4 * vector) == MESSAGE(vector);
}

static void irq_clear(Irq *irq, uint16_t vector)
{
    qtest_writel(irq->rig->qts, irq->words + 4 * vector, 0);
}

/* Asks for an interrupt with the CQE of index idx. */
static void arm(Pair *pair, uint32_t idx)
{
    qtest_writel(pair->rig->qts, pair->rec + offsetof(struct rmnic_dbrec, cq_arm), idx);
}

static void zero(Pair *pair)
{
    pair_do(pair, RMNIC_OP_ZERO, 0, 1, 0);
}

/* RING-11: one interrupt for each arming, on the pair's own vector. */
static void irq__armed(void)
{
    Irq irq = irq_start("size=128M,queues=4");
    Pair one = pair_create(&irq.admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    Pair two = pair_create(&irq.admin, 2, RMNIC_CLASS_PAGE_OUT, 2, 16);

    RIG_WAIT(irq_came(&irq, 0)); /* the admin record's cq_arm is 0 */
    zero(&one);                  /* and so are these */
    RIG_WAIT(irq_came(&irq, 1));
    g_assert_false(irq_came(&irq, 2));
    irq_clear(&irq, 1);
    zero(&one); /* not armed */
    arm(&two, 1);
    zero(&two);
    zero(&two);
    RIG_WAIT(irq_came(&irq, 2));
    g_assert_false(irq_came(&irq, 1));
    rig_stop(irq.rig);
}

/* PCI-1: vectors may be shared. */
static void irq__shared(void)
{
    Irq irq = irq_start("size=128M,queues=4,vectors=1");
    Pair one = pair_create(&irq.admin, 1, RMNIC_CLASS_PAGE_OUT, 0, 16);
    Pair two = pair_create(&irq.admin, 2, RMNIC_CLASS_PAGE_OUT, 0, 16);
    Pair none = pair_create(&irq.admin, 3, RMNIC_CLASS_PAGE_OUT, RMNIC_NO_VECTOR, 16);
    uint64_t interrupts;

    g_assert_cmpuint(qpci_msix_table_size(irq.rig->dev), ==, 1);
    RIG_WAIT(irq_came(&irq, 0));
    irq_clear(&irq, 0);
    zero(&one);
    RIG_WAIT(irq_came(&irq, 0));
    irq_clear(&irq, 0);
    zero(&two);
    RIG_WAIT(irq_came(&irq, 0));
    interrupts = rig_stat(irq.rig, "interrupts");
    zero(&none);
    g_assert_cmpuint(rig_stat(irq.rig, "interrupts"), ==, interrupts);
    rig_stop(irq.rig);
}

/* A masked vector stays pending and comes when it is unmasked. */
static void irq__masked(void)
{
    Irq irq = irq_start("size=128M,queues=4");
    Pair one = pair_create(&irq.admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);

    irq_mask(&irq, 1, true);
    zero(&one);
    RIG_WAIT(qpci_msix_pending(irq.rig->dev, 1));
    g_assert_false(irq_came(&irq, 1));
    irq_mask(&irq, 1, false);
    RIG_WAIT(irq_came(&irq, 1));
    g_assert_false(qpci_msix_pending(irq.rig->dev, 1));
    rig_stop(irq.rig);
}

/* RING-12: held back until count completions, or until the time is over; never lost. */
static void irq__coalesce(void)
{
    Irq irq = { .rig = rig_start("size=128M,queues=4", NULL) };
    struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_SET_COALESCE, .qid = cpu_to_le16(1),
                                   .coalesce_count = cpu_to_le16(3),
                                   .coalesce_us = cpu_to_le16(65535) };
    uint64_t interrupts;
    Pair one;

    rig_reg64_set(irq.rig, RMNIC_REG_DRV_FEATURES, RMNIC_F_COALESCE);
    irq.admin = rig_ready(irq.rig);
    one = pair_create(&irq.admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    g_assert_cmphex(pair_status(&irq.admin, &sqe), ==, RMNIC_SC_OK);
    sqe.qid = cpu_to_le16(3);
    g_assert_cmphex(pair_status(&irq.admin, &sqe), ==, RMNIC_SC_INVALID_QID);
    interrupts = rig_stat(irq.rig, "interrupts");
    zero(&one); /* armed with index 0: the hold starts here */
    zero(&one);
    zero(&one);
    RIG_WAIT(rig_stat(irq.rig, "interrupts") == interrupts + 1);
    arm(&one, 3);
    zero(&one); /* alone: the time releases it */
    RIG_WAIT(rig_stat(irq.rig, "interrupts") == interrupts + 2);
    rig_stop(irq.rig);
}

/* SET_COALESCE without its feature. */
static void irq__coalesce_not_taken(void)
{
    Irq irq = irq_start("size=128M,queues=4");
    struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_SET_COALESCE, .qid = cpu_to_le16(1) };

    pair_create(&irq.admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    g_assert_cmphex(pair_status(&irq.admin, &sqe), ==, RMNIC_SC_INVALID_OPCODE);
    rig_stop(irq.rig);
}

/* DMA-4: FATAL raises vector 0. */
static void irq__fatal(void)
{
    Irq irq = irq_start("size=128M,queues=4");
    Pair one = pair_create(&irq.admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);

    RIG_WAIT(irq_came(&irq, 0));
    irq_clear(&irq, 0);
    qtest_writel(irq.rig->qts, one.rec, 12345);
    pair_ring(&one);
    RIG_WAIT(irq_came(&irq, 0));
    g_assert_cmphex(rig_reg(irq.rig, RMNIC_REG_STATUS), ==, RMNIC_STATUS_FATAL);
    rig_stop(irq.rig);
}

/* RING-9, RING-10, RING-15: an idle device sleeps, says so, and the doorbell wakes it. */
static void irq__need_wakeup(void)
{
    Irq irq = irq_start("size=128M,queues=4");
    Pair one = pair_create(&irq.admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    uint64_t need = one.rec + offsetof(struct rmnic_dbrec, need_wakeup);
    struct rmnic_sqe sqe = sqe_io(RMNIC_OP_ZERO, 0, 1, 0);

    for (int i = 0; i < 200; i++) {
        uint64_t doorbells;

        RIG_WAIT(qtest_readl(irq.rig->qts, need) == 1);
        doorbells = rig_stat(irq.rig, "doorbells");
        pair_submit(&one, &sqe);
        g_assert_cmphex(le16_to_cpu(pair_reap(&one).status), ==, RMNIC_SC_OK);
        g_assert_cmpuint(rig_stat(irq.rig, "doorbells"), >=, doorbells);
    }
    /* A doorbell of no pair does nothing. */
    rig_reg_set(irq.rig, RMNIC_DB_OFFSET + 4 * RMNIC_DB_STRIDE, 1);
    rig_reg_set(irq.rig, RMNIC_BAR_REGS_SIZE - 4, 1);
    g_assert_cmphex(rig_reg(irq.rig, RMNIC_REG_STATUS), ==, RMNIC_STATUS_READY);
    g_assert_cmpuint(rig_stat(irq.rig, "refused/bad-register"), ==, 0);
    rig_stop(irq.rig);
}

/* The knob that drops interrupts. */
static void irq__dropped(void)
{
    Irq irq = irq_start("size=128M,queues=4");
    Pair one = pair_create(&irq.admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);

    rig_knob(irq.rig, "x-fault-drop-irq-nth", 1);
    zero(&one);
    RIG_WAIT(rig_stat(irq.rig, "faults-injected") == 1);
    g_assert_false(irq_came(&irq, 1));
    rig_knob(irq.rig, "x-fault-drop-irq-nth", 0);
    arm(&one, 1);
    zero(&one);
    RIG_WAIT(irq_came(&irq, 1));
    rig_stop(irq.rig);
}

void test_irq_add(void)
{
    g_test_add_func("/rmnic/irq/armed", irq__armed);
    g_test_add_func("/rmnic/irq/shared", irq__shared);
    g_test_add_func("/rmnic/irq/masked", irq__masked);
    g_test_add_func("/rmnic/irq/coalesce", irq__coalesce);
    g_test_add_func("/rmnic/irq/coalesce-not-taken", irq__coalesce_not_taken);
    g_test_add_func("/rmnic/irq/fatal", irq__fatal);
    g_test_add_func("/rmnic/irq/need-wakeup", irq__need_wakeup);
    g_test_add_func("/rmnic/irq/dropped", irq__dropped);
}
