/* SPDX-License-Identifier: BSD-3-Clause */
/* Enable and reset in every state, bus mastering, power states: when DMA stops, what stays. */
#include "rig.h"

#include "qemu/bswap.h"

#define DELAY_MAX "10000000" /* us: until something ends the command, not the clock */

/* DMA-2: what every reset leaves behind. */
static void check_reset(Rig *rig, uint32_t resets)
{
    g_autofree char *state = rig_state(rig);

    g_assert_cmpstr(state, ==, "disabled");
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_STATUS), ==, 0);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_CTRL), ==, 0);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_ERROR), ==, 0);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_EVENT), ==, 0);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_AQ_DEPTH), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_DRV_FEATURES), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_AQ_SQ), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_AQ_CQ), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_AQ_REC), ==, 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_CAPACITY), ==, 32768);
    g_assert_cmpuint(rig_reg(rig, RMNIC_REG_RESET_COUNT), ==, resets);
}

static void do_disable(Rig *rig)
{
    rig_reg_set(rig, RMNIC_REG_CTRL, 0);
}

static void do_flr(Rig *rig)
{
    rig_flr(rig);
    rig_attach(rig, rig->dev->devfn); /* the BARs are gone */
}

static void do_system_reset(Rig *rig)
{
    rig_qmp(rig, "system_reset");
    qtest_qmp_eventwait(rig->qts, "RESET");
    rig_attach(rig, rig->dev->devfn);
}

static void do_paused_disable(Rig *rig)
{
    rig_bus_master(rig, false);
    rig_reg_set(rig, RMNIC_REG_CTRL, 0);
    rig_bus_master(rig, true);
}

/* State before the reset. */
static Pair be_ready(Rig *rig)
{
    return rig_ready(rig);
}

static Pair be_fatal(Rig *rig)
{
    rig_reg64_set(rig, RMNIC_REG_DRV_FEATURES, 1ull << 63);
    return rig_enable(rig, 16);
}

/* The reset in question with commands in flight that would be due 0.3 s later. */
static void reset_in_flight(void (*reset)(Rig *rig))
{
    Rig *rig = rig_start("size=128M", NULL);
    Pair admin = rig_ready(rig), out, in;
    uint64_t page = rig_alloc(rig, RMNIC_PAGE_SIZE), back = rig_alloc(rig, RMNIC_PAGE_SIZE);
    struct rmnic_sqe sqe = sqe_io(RMNIC_OP_PAGE_IN, 5, 1, back);
    uint32_t resets = rig_reg(rig, RMNIC_REG_RESET_COUNT);
    gint64 end;

    out = pair_create(&admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 2, 16);
    page_fill(rig, page, 11);
    pair_do(&out, RMNIC_OP_PAGE_OUT, 5, 1, page);
    pair_do(&in, RMNIC_OP_PAGE_IN, 6, 1, back);
    rig_knob(rig, "x-fault-delay-us", 300000);
    for (int i = 0; i < 8; i++) {
        sqe.cid = cpu_to_le16(i);
        pair_submit(&in, &sqe);
    }
    RIG_WAIT(qtest_readl(rig->qts, in.rec + offsetof(struct rmnic_dbrec, sq_head)) == 9);
    reset(rig);
    check_reset(rig, resets + 1);
    rig_knob(rig, "x-fault-delay-us", 0);
    /* DMA-1: no DMA afterwards, also not when the commands would have been due. */
    page_fill(rig, back, 12);
    qtest_memset(rig->qts, in.cq, 0x77, 256);
    end = g_get_monotonic_time() + 500000;
    while (g_get_monotonic_time() < end) {
        for (int i = 0; i < 256; i += 16) {
            g_assert_cmphex(qtest_readl(rig->qts, in.cq + i), ==, 0x77777777);
        }
    }
    /* The pages are still there, for the next driver. */
    admin = rig_ready(rig);
    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 2, 16);
    pair_do(&in, RMNIC_OP_PAGE_IN, 5, 1, page);
    g_assert_true(page_is(rig, page, 11));
    g_assert_true(page_is(rig, back, 12));
    rig_stop(rig);
}

static void reset_idle(Pair (*before)(Rig *rig), void (*reset)(Rig *rig))
{
    Rig *rig = rig_start("size=128M", NULL);
    uint32_t resets = rig_reg(rig, RMNIC_REG_RESET_COUNT);

    if (before) {
        before(rig);
    }
    reset(rig);
    check_reset(rig, resets + 1);
    rig_ready(rig);
    rig_stop(rig);
}

static void reset__disable_ready(void) { reset_idle(be_ready, do_disable); }
static void reset__disable_fatal(void) { reset_idle(be_fatal, do_disable); }
static void reset__disable_paused(void) { reset_idle(be_ready, do_paused_disable); }
static void reset__disable_in_flight(void) { reset_in_flight(do_disable); }
static void reset__flr_off(void) { reset_idle(NULL, do_flr); }
static void reset__flr_ready(void) { reset_idle(be_ready, do_flr); }
static void reset__flr_fatal(void) { reset_idle(be_fatal, do_flr); }
static void reset__flr_in_flight(void) { reset_in_flight(do_flr); }
static void reset__system_off(void) { reset_idle(NULL, do_system_reset); }
static void reset__system_ready(void) { reset_idle(be_ready, do_system_reset); }
static void reset__system_fatal(void) { reset_idle(be_fatal, do_system_reset); }
static void reset__system_in_flight(void) { reset_in_flight(do_system_reset); }

/* DMA-5: each wrong way to enable, its ERROR; nothing else happens. */
static void reset__bad_enable(void)
{
    Rig *rig = rig_start("size=128M", NULL);
    const struct {
        uint32_t offset;
        uint64_t value;
        uint32_t error;
    } cases[] = {
        { RMNIC_REG_DRV_FEATURES, 1ull << 40, RMNIC_ERR_FEATURES },
        { RMNIC_REG_AQ_DEPTH, 0, RMNIC_ERR_AQ_DEPTH },
        { RMNIC_REG_AQ_DEPTH, 12, RMNIC_ERR_AQ_DEPTH },
        { RMNIC_REG_AQ_DEPTH, 8192, RMNIC_ERR_AQ_DEPTH },
        { RMNIC_REG_AQ_SQ, 0x100040, RMNIC_ERR_AQ_ADDRESS },
        { RMNIC_REG_AQ_CQ, 1ull << 40, RMNIC_ERR_AQ_ADDRESS },
        { RMNIC_REG_AQ_REC, rig->regs.addr, RMNIC_ERR_AQ_ADDRESS },
        { RMNIC_REG_AQ_REC, 0x100080, RMNIC_ERR_AQ_ADDRESS },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        rig_reg_set(rig, RMNIC_REG_AQ_DEPTH, 16);
        rig_reg64_set(rig, RMNIC_REG_AQ_SQ, 0x100000);
        rig_reg64_set(rig, RMNIC_REG_AQ_CQ, 0x101000);
        rig_reg64_set(rig, RMNIC_REG_AQ_REC, 0x102000);
        if (cases[i].offset == RMNIC_REG_AQ_DEPTH) {
            rig_reg_set(rig, cases[i].offset, cases[i].value);
        } else {
            rig_reg64_set(rig, cases[i].offset, cases[i].value);
        }
        rig_reg_set(rig, RMNIC_REG_CTRL, RMNIC_CTRL_ENABLE);
        g_assert_cmphex(rig_reg(rig, RMNIC_REG_STATUS), ==, RMNIC_STATUS_FATAL);
        g_assert_cmphex(rig_reg(rig, RMNIC_REG_ERROR), ==, cases[i].error);
        g_assert_cmphex(rig_reg(rig, RMNIC_REG_CTRL), ==, RMNIC_CTRL_ENABLE);
        rig_reg_set(rig, RMNIC_REG_CTRL, 0);
    }
    rig_bus_master(rig, false);
    rig_enable(rig, 16);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_ERROR), ==, RMNIC_ERR_BUS_MASTER);
    rig_stop(rig);
}

/* DMA-3: nothing is fetched while DMA is not allowed; it goes on where it was. */
static void pause_and_go_on(void (*pause)(Rig *rig, bool on))
{
    Rig *rig = rig_start("size=128M", NULL);
    Pair admin = rig_ready(rig), in;
    uint64_t back = rig_alloc(rig, RMNIC_PAGE_SIZE);
    struct rmnic_sqe sqe = sqe_io(RMNIC_OP_PAGE_IN, 5, 1, back);
    uint64_t cmds;

    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 2, 16);
    pair_do(&in, RMNIC_OP_PAGE_IN, 5, 1, back);
    cmds = rig_stat(rig, "page-in-cmds");
    pause(rig, true);
    page_fill(rig, back, 13);
    qtest_memwrite(rig->qts, in.sq + sizeof(sqe), &sqe, sizeof(sqe));
    qtest_writel(rig->qts, in.rec, ++in.tail);
    rig_reg_set(rig, RMNIC_DB_OFFSET + 2 * RMNIC_DB_STRIDE, 0);
    for (int i = 0; i < 50; i++) { /* round trips through the device's thread */
        rig_knob(rig, "capacity", 128 * 1024 * 1024);
        g_assert_false(pair_ready(&in));
    }
    g_assert_cmpuint(rig_stat(rig, "page-in-cmds"), ==, cmds);
    g_assert_true(page_is(rig, back, 13));
    pause(rig, false);
    g_assert_cmphex(le16_to_cpu(pair_reap(&in).status), ==, RMNIC_SC_OK);
    g_assert_true(page_is_zero(rig, back));
    rig_stop(rig);
}

static void pause_bus_master(Rig *rig, bool on)
{
    rig_bus_master(rig, !on);
}

static void pause_vm(Rig *rig, bool on)
{
    rig_qmp(rig, on ? "stop" : "cont");
    qtest_qmp_eventwait(rig->qts, on ? "STOP" : "RESUME");
}

static void reset__bus_master(void) { pause_and_go_on(pause_bus_master); }
static void reset__vm_stop(void) { pause_and_go_on(pause_vm); }

/* D3hot: no DMA, registers do not answer, queues stay. */
static void reset__d3hot(void)
{
    Rig *rig = rig_start("size=128M", NULL);
    Pair admin = rig_ready(rig), in;
    uint64_t back = rig_alloc(rig, RMNIC_PAGE_SIZE);
    struct rmnic_sqe sqe = sqe_io(RMNIC_OP_PAGE_IN, 5, 1, back);

    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 2, 16);
    rig_power(rig, 3);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_MAGIC), ==, UINT32_MAX);
    qtest_memwrite(rig->qts, in.sq, &sqe, sizeof(sqe));
    qtest_writel(rig->qts, in.rec, ++in.tail);
    for (int i = 0; i < 50; i++) {
        rig_knob(rig, "capacity", 128 * 1024 * 1024);
        g_assert_false(pair_ready(&in));
    }
    rig_power(rig, 0);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_MAGIC), ==, RMNIC_MAGIC);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_STATUS), ==, RMNIC_STATUS_READY);
    g_assert_cmphex(le16_to_cpu(pair_reap(&in).status), ==, RMNIC_SC_OK);
    rig_stop(rig);
}

/* Clearing bus mastering lets delayed commands finish first, none is lost. */
static void reset__pause_in_flight(void)
{
    Rig *rig = rig_start("size=128M,x-fault-delay-us=" DELAY_MAX, NULL);
    Pair admin = rig_ready(rig), in;
    uint64_t back = rig_alloc(rig, RMNIC_PAGE_SIZE);
    struct rmnic_sqe sqe = sqe_io(RMNIC_OP_PAGE_IN, 5, 1, back);

    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 2, 16);
    pair_submit(&in, &sqe);
    /* It is in flight when the device has published that it fetched it (RING-13). */
    RIG_WAIT(qtest_readl(rig->qts, in.rec + offsetof(struct rmnic_dbrec, sq_head)) == 1);
    rig_bus_master(rig, false);
    rig_knob(rig, "x-fault-delay-us", 0);
    rig_bus_master(rig, true);
    g_assert_cmphex(le16_to_cpu(pair_reap(&in).status), ==, RMNIC_SC_OK);
    rig_stop(rig);
}

void test_reset_add(void)
{
    g_test_add_func("/rmnic/reset/disable-ready", reset__disable_ready);
    g_test_add_func("/rmnic/reset/disable-fatal", reset__disable_fatal);
    g_test_add_func("/rmnic/reset/disable-paused", reset__disable_paused);
    g_test_add_func("/rmnic/reset/disable-in-flight", reset__disable_in_flight);
    g_test_add_func("/rmnic/reset/flr-off", reset__flr_off);
    g_test_add_func("/rmnic/reset/flr-ready", reset__flr_ready);
    g_test_add_func("/rmnic/reset/flr-fatal", reset__flr_fatal);
    g_test_add_func("/rmnic/reset/flr-in-flight", reset__flr_in_flight);
    g_test_add_func("/rmnic/reset/system-off", reset__system_off);
    g_test_add_func("/rmnic/reset/system-ready", reset__system_ready);
    g_test_add_func("/rmnic/reset/system-fatal", reset__system_fatal);
    g_test_add_func("/rmnic/reset/system-in-flight", reset__system_in_flight);
    g_test_add_func("/rmnic/reset/bad-enable", reset__bad_enable);
    g_test_add_func("/rmnic/reset/bus-master", reset__bus_master);
    g_test_add_func("/rmnic/reset/vm-stop", reset__vm_stop);
    g_test_add_func("/rmnic/reset/d3hot", reset__d3hot);
    g_test_add_func("/rmnic/reset/pause-in-flight", reset__pause_in_flight);
}
