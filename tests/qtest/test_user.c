/* SPDX-License-Identifier: BSD-3-Clause */
/* A device with a backend: setting up, going on with a successor, capacity, counters, memory. */
#include "user_rig.h"

#include "hw/pci/pci_regs.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"

/* --- Setting up ----------------------------------------------------------------------------------- */

/* USER-4, USER-5, USER-9: what a backend is told, before the guest does anything. */
static void user__setup(void)
{
    UserRig u = user_start(",capacity=64M,queues=20,serial=S1", NULL);
    g_autofree char *name = user_text(&u, "name"), *state = rig_state(u.rig);
    uint64_t covered = 0;

    g_assert_cmpuint(user_seen(&u, RMNIC_USER_HELLO), ==, 1);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_DEVICE), ==, 1);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_KICK), ==, 1);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_CALL), ==, 2); /* 16 fds and 5 */
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_ENABLE), ==, 0);
    g_assert_cmpuint(u.plan->vectors, ==, 21);
    g_assert_cmpuint(u.plan->capacity, ==, 64 * 256);
    g_assert_cmpuint(u.plan->epoch, ==, u.plan->block_epoch);
    g_assert_cmpuint(u.plan->unsealed, ==, 0);
    for (unsigned i = 0; i < RMNIC_USER_MAX_REGIONS; i++) {
        covered += le64_to_cpu(u.plan->region[i].size);
    }
    g_assert_cmpuint(covered, >=, 255 * 1024 * 1024);
    g_assert_cmpstr(name, ==, "fake 1.0");
    g_assert_cmpstr(state, ==, "disabled");
    g_assert_cmpuint(user_number(&u, "epoch"), ==, u.plan->epoch);
    g_assert_cmpuint(user_number(&u, "complaints"), ==, 0);
    g_assert_cmphex(rig_reg64(u.rig, RMNIC_REG_CAPACITY), ==, 64 * 256);
    g_assert_cmphex(user_status(&u), ==, 0);
    user_end(&u);
}

/* USER-5: a device made again, later, is above whatever an earlier life of it may have sealed. */
static void user__epochs_of_lives(void)
{
    UserRig u = user_start("", NULL);
    uint32_t first = u.plan->epoch;

    user_end(&u);
    g_assert_cmpuint(first, >, 1000000);
    g_usleep(G_USEC_PER_SEC / 2); /* the clock is what is tested */
    u = user_start("", NULL);
    g_assert_cmpuint(u.plan->epoch, >, first);
    user_end(&u);
}

/* Doorbells reach the backend, its interrupts the guest; QEMU is not asked. */
static void user__doorbell(void)
{
    UserRig u = user_start("", NULL);
    Rig *rig = u.rig;
    uint64_t word = rig_alloc(rig, RMNIC_PAGE_SIZE), entry;

    user_ready(&u);
    rig_reg_set(rig, RMNIC_DB_OFFSET, 0);
    RIG_WAIT(qatomic_read(&u.plan->kicks) >= 1);
    rig_reg_set(rig, RMNIC_DB_OFFSET + 5 * RMNIC_DB_STRIDE, 0);
    RIG_WAIT(qatomic_read(&u.plan->kicks) >= 2);

    qpci_msix_enable(rig->dev);
    entry = rig->dev->msix_table_off + 3 * PCI_MSIX_ENTRY_SIZE;
    qpci_io_writel(rig->dev, rig->dev->msix_table_bar, entry + PCI_MSIX_ENTRY_LOWER_ADDR, word);
    qpci_io_writel(rig->dev, rig->dev->msix_table_bar, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
    qpci_io_writel(rig->dev, rig->dev->msix_table_bar, entry + PCI_MSIX_ENTRY_DATA, 0x1234);
    qpci_io_writel(rig->dev, rig->dev->msix_table_bar, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    u.plan->interrupt = 3 + 1;
    backend_wake(u.backend);
    RIG_WAIT(qtest_readl(rig->qts, word) == 0x1234);
    user_end(&u);
}

/* DMA-2, USER-15: a reset, and a new generation with the next enabling. */
static void user__reset(void)
{
    UserRig u = user_start("", NULL);
    uint32_t generation, resets = rig_reg(u.rig, RMNIC_REG_RESET_COUNT);

    user_ready(&u);
    generation = u.plan->generation;
    g_assert_cmpuint(generation, !=, 0);
    rig_reg_set(u.rig, RMNIC_REG_CTRL, 0);
    RIG_WAIT(user_status(&u) == 0);
    user_quiet(&u);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_RESET), ==, 1);
    g_assert_cmpuint(rig_reg(u.rig, RMNIC_REG_RESET_COUNT), ==, resets + 1);
    g_assert_cmphex(rig_reg(u.rig, RMNIC_REG_CTRL), ==, 0);
    g_assert_cmphex(rig_reg64(u.rig, RMNIC_REG_AQ_SQ), ==, 0);
    user_ready(&u);
    g_assert_cmpuint(u.plan->generation, !=, generation);
    g_assert_cmpuint(u.plan->generation, !=, 0);
    user_end(&u);
}

/* DMA-5: what ENABLE is answered with. */
static void user__enable_error(void)
{
    UserRig u = user_start("", NULL);

    u.plan->error = RMNIC_ERR_AQ_ADDRESS;
    rig_enable(u.rig, 16);
    RIG_WAIT(user_status(&u) == RMNIC_STATUS_FATAL);
    g_assert_cmphex(rig_reg(u.rig, RMNIC_REG_ERROR), ==, RMNIC_ERR_AQ_ADDRESS);
    rig_reg_set(u.rig, RMNIC_REG_CTRL, 0);
    RIG_WAIT(user_status(&u) == 0);
    u.plan->error = 0;
    /* Without bus mastering the backend is not even asked. */
    rig_bus_master(u.rig, false);
    rig_enable(u.rig, 16);
    g_assert_cmphex(user_status(&u), ==, RMNIC_STATUS_FATAL);
    g_assert_cmphex(rig_reg(u.rig, RMNIC_REG_ERROR), ==, RMNIC_ERR_BUS_MASTER);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_ENABLE), ==, 1);
    user_end(&u);
}

/* USER-18: of another generation it means nothing. */
static void user__fatal(void)
{
    UserRig u = user_start("", NULL);

    user_ready(&u);
    u.plan->fatal = (uint64_t)(u.plan->generation + 1) << 32 | RMNIC_ERR_DMA;
    backend_wake(u.backend);
    /* Answered after the notice was said. */
    u.plan->stats.pages_in = cpu_to_le64(5);
    g_assert_cmpuint(rig_stat(u.rig, "pages-in"), ==, 5);
    RIG_WAIT(u.plan->scribbles);
    g_assert_cmphex(user_status(&u), ==, RMNIC_STATUS_READY);
    u.plan->fatal = (uint64_t)u.plan->generation << 32 | RMNIC_ERR_BAD_SQ_TAIL;
    backend_wake(u.backend);
    RIG_WAIT(user_status(&u) == RMNIC_STATUS_FATAL);
    g_assert_cmphex(rig_reg(u.rig, RMNIC_REG_ERROR), ==, RMNIC_ERR_BAD_SQ_TAIL);
    g_assert_cmphex(rig_reg(u.rig, RMNIC_REG_EVENT), ==, RMNIC_EVENT_FATAL);
    /* DMA-4: a successor is not asked to go on with it. */
    backend_end(u.backend);
    user_next_backend(&u);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_ENABLE), ==, 1);
    g_assert_cmphex(user_status(&u), ==, RMNIC_STATUS_FATAL);
    user_end(&u);
}

/* --- Successors --------------------------------------------------------------------------------------- */

/* USER-14, USER-19, USER-20, DMA-10: killed with the device in use. */
static void restart(UserRig *u)
{
    uint32_t generation, epoch;

    user_ready(u);
    generation = u->plan->generation;
    epoch = u->plan->epoch;
    backend_end(u->backend);
    RIG_WAIT(user_status(u) == (RMNIC_STATUS_READY | RMNIC_STATUS_WAITING));
    g_assert_cmpuint(rig_reg(u->rig, RMNIC_REG_CTRL), ==, RMNIC_CTRL_ENABLE);
    u->plan->generation = 0;
    user_next_backend(u);
    g_assert_cmphex(user_status(u), ==, RMNIC_STATUS_READY);
    g_assert_cmpuint(u->plan->generation, ==, generation);
    g_assert_cmpuint(u->plan->epoch, >, epoch);
    g_assert_cmpuint(u->plan->epoch, ==, u->plan->block_epoch);
    g_assert_cmpuint(u->plan->stopped, ==, 0);
    g_assert_cmpuint(u->plan->vectors, ==, 17);
    user_scribbled(u);
}

static void user__restart(void)
{
    UserRig u = user_start("", NULL);

    restart(&u);
    user_end(&u);
}

/* The chardev's own way of connecting again stays out of it. */
static void user__restart_reconnect(void)
{
    Plan *plan = plan_new();
    g_autofree char *path = rig_path("reconnect");
    g_autofree char *options = g_strdup_printf(USER_Q35 " -chardev socket,id=c0,path=%s,reconnect=1"
                                               " -device rmnic,id=r,addr=4,chardev=c0,size=128M,"
                                               "kill-timeout-ms=5000", path);
    UserRig u = { .plan = plan, .path = g_strdup(path), .backend = backend_start(path, plan) };
    uint64_t connections;

    u.rig = rig_start_bare(options);
    rig_attach(u.rig, QPCI_DEVFN(4, 0));
    u.page = rig_alloc(u.rig, RMNIC_PAGE_SIZE);
    restart(&u);
    /* This one closes the connection, lives, and would take another one (USER-19). */
    connections = plan->connections;
    plan->stays = plan->lives = true;
    plan->lie = LIE_MAGIC;
    plan->lie_at = RMNIC_USER_STATS;
    rig_stat(u.rig, "pages-out");
    g_usleep(1500000); /* a chardev that connected by itself would have by now */
    g_assert_true(backend_lives(u.backend));
    g_assert_cmpuint(plan->connections, ==, connections);
    user_end(&u);
}

/* One that stops in order is not waited for: it may be the same process. */
static void user__leaving(void)
{
    UserRig u = user_start("", NULL);
    uint32_t epoch;

    u.plan->stays = true;
    user_ready(&u);
    epoch = u.plan->epoch;
    u.plan->leave++;
    backend_wake(u.backend);
    RIG_WAIT(qatomic_read(&u.plan->epoch) > epoch);
    RIG_WAIT(user_status(&u) == RMNIC_STATUS_READY);
    user_scribbled(&u);
    g_assert_cmpuint(user_number(&u, "kills"), ==, 0);
    g_assert_true(backend_lives(u.backend));
    user_end(&u);
}

/* USER-20: registers work while nobody is there. */
static void user__away(void)
{
    UserRig u = user_start("", NULL);
    uint32_t resets;

    user_ready(&u);
    resets = rig_reg(u.rig, RMNIC_REG_RESET_COUNT);
    backend_end(u.backend);
    RIG_WAIT(user_status(&u) & RMNIC_STATUS_WAITING);
    rig_reg_set(u.rig, RMNIC_REG_CTRL, 0);
    g_assert_cmphex(user_status(&u), ==, RMNIC_STATUS_WAITING);
    g_assert_cmpuint(rig_reg(u.rig, RMNIC_REG_RESET_COUNT), ==, resets + 1);
    rig_bus_master(u.rig, false);
    rig_bus_master(u.rig, true);
    rig_enable(u.rig, 16);
    g_assert_cmphex(user_status(&u), ==, RMNIC_STATUS_WAITING);
    g_assert_cmphex(rig_reg(u.rig, RMNIC_REG_CTRL), ==, RMNIC_CTRL_ENABLE);
    user_next_backend(&u);
    RIG_WAIT(user_status(&u) == RMNIC_STATUS_READY);
    user_scribbled(&u);
    user_end(&u);
}

/* DMA-3: a machine that is stopped stays so with a successor. */
static void user__pause(void)
{
    UserRig u = user_start("", NULL);

    user_ready(&u);
    rig_qmp(u.rig, "stop");
    user_quiet(&u);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_STOP), ==, 1);
    backend_end(u.backend);
    user_next_backend(&u);
    g_assert_cmpuint(u.plan->stopped, ==, 1);
    user_quiet(&u);
    rig_qmp(u.rig, "cont");
    user_scribbled(&u);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_START), ==, 1);
    rig_bus_master(u.rig, false);
    user_quiet(&u);
    rig_bus_master(u.rig, true);
    user_scribbled(&u);
    rig_power(u.rig, 3);
    user_quiet(&u);
    rig_power(u.rig, 0);
    user_scribbled(&u);
    user_end(&u);
}

/* USER-8: fewer features than the guest was shown are no successor's. */
static void user__features(void)
{
    UserRig u = user_start("", NULL);
    uint64_t features = rig_reg64(u.rig, RMNIC_REG_DEV_FEATURES);

    g_assert_cmphex(features, ==, u.plan->features);
    g_assert_cmphex(features & RMNIC_F_COALESCE, ==, RMNIC_F_COALESCE);
    backend_end(u.backend);
    u.plan->lacks = RMNIC_F_COALESCE;
    u.backend = backend_start(u.path, u.plan);
    RIG_WAIT(user_number(&u, "complaints") == 1);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_DEVICE), ==, 1);
    g_assert_cmphex(rig_reg64(u.rig, RMNIC_REG_DEV_FEATURES), ==, features);
    u.plan->lacks = 0;
    user_settled(&u);
    user_end(&u);
}

/* --- Capacity, counters --------------------------------------------------------------------------------- */

/* CAP-2, USER-22: seen when it is reserved, not before. */
static void user__capacity(void)
{
    UserRig u = user_start(",capacity=64M", NULL);
    g_autofree char *refused = NULL, *away = NULL;

    user_ready(&u);
    u.plan->refuse = RMNIC_USER_CAPACITY;
    u.plan->refuse_status = RMNIC_USER_S_NO_SPACE;
    u.plan->available = 5;
    strcpy(u.plan->refuse_text, "two servers\nare full");
    refused = rig_qom_set(u.rig, "capacity", 128 * 1024 * 1024);
    g_assert_nonnull(strstr(refused, "NO_SPACE: two servers?are full (there is room for 20480 "
                                     "bytes)"));
    g_assert_cmphex(rig_reg64(u.rig, RMNIC_REG_CAPACITY), ==, 64 * 256);
    g_assert_cmphex(rig_reg(u.rig, RMNIC_REG_EVENT), ==, 0);
    u.plan->refuse = 0;
    rig_knob(u.rig, "capacity", 128 * 1024 * 1024);
    g_assert_cmphex(rig_reg64(u.rig, RMNIC_REG_CAPACITY), ==, 128 * 256);
    g_assert_cmphex(rig_reg(u.rig, RMNIC_REG_EVENT), ==, RMNIC_EVENT_CAPACITY);
    /* The next one is asked for all of it at once. */
    backend_end(u.backend);
    RIG_WAIT(user_status(&u) & RMNIC_STATUS_WAITING);
    away = rig_qom_set(u.rig, "capacity", 128 * 1024 * 1024);
    g_assert_nonnull(strstr(away, "no backend is connected"));
    u.plan->capacity = 0;
    user_next_backend(&u);
    g_assert_cmpuint(u.plan->capacity, ==, 128 * 256);
    user_end(&u);
}

/* A successor's counters come on top of what was seen; latency is the backend's. */
static void user__stats(void)
{
    UserRig u = user_start("", NULL);
    g_autofree char *latency = NULL;

    u.plan->stats.pages_out = cpu_to_le64(100);
    u.plan->stats.pages_stored = cpu_to_le64(60);
    g_assert_cmpuint(rig_stat(u.rig, "pages-out"), ==, 100);
    g_assert_cmpuint(rig_stat(u.rig, "pages-stored"), ==, 60);
    backend_end(u.backend);
    RIG_WAIT(user_status(&u) & RMNIC_STATUS_WAITING);
    g_assert_cmpuint(rig_stat(u.rig, "pages-out"), ==, 100);
    u.plan->stats.pages_out = cpu_to_le64(7);
    user_next_backend(&u);
    g_assert_cmpuint(rig_stat(u.rig, "pages-out"), ==, 107);
    g_assert_cmpuint(rig_stat(u.rig, "pages-stored"), ==, 60);
    latency = user_qmp_error(&u, "{ 'execute': 'qom-get', 'arguments': "
                             "{ 'path': '/machine/peripheral/r', 'property': 'latency' } }");
    g_assert_nonnull(strstr(latency, "rmnicctl latency"));
    user_end(&u);
}

void test_user_add(void)
{
    g_test_add_func("/rmnic/user/setup", user__setup);
    g_test_add_func("/rmnic/user/epochs-of-lives", user__epochs_of_lives);
    g_test_add_func("/rmnic/user/doorbell", user__doorbell);
    g_test_add_func("/rmnic/user/reset", user__reset);
    g_test_add_func("/rmnic/user/enable-error", user__enable_error);
    g_test_add_func("/rmnic/user/fatal", user__fatal);
    g_test_add_func("/rmnic/user/restart", user__restart);
    g_test_add_func("/rmnic/user/restart-reconnect", user__restart_reconnect);
    g_test_add_func("/rmnic/user/leaving", user__leaving);
    g_test_add_func("/rmnic/user/away", user__away);
    g_test_add_func("/rmnic/user/pause", user__pause);
    g_test_add_func("/rmnic/user/features", user__features);
    g_test_add_func("/rmnic/user/capacity", user__capacity);
    g_test_add_func("/rmnic/user/stats", user__stats);
}
