/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Backends that hang or were stopped when DMA has to end (USER-17, RULES C1). In each case the
 * backend goes on writing to a page of the guest's until it is dead.
 */
#include "user_rig.h"

#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"

#include <sys/wait.h>

/* Long enough that what is looked for before it is over is found on a slow machine, too. */
#define LONG_TIMEOUT  ",kill-timeout-ms=4000"
#define SHORT_TIMEOUT ",kill-timeout-ms=500"

static void check_killed(UserRig *u)
{
    int status = backend_wait(u->backend);

    u->backend = NULL;
    g_assert_true(WIFSIGNALED(status));
    g_assert_cmpint(WTERMSIG(status), ==, SIGKILL);
}

/* RESETTING is shown until it is true that DMA has ended, and the registers work meanwhile. */
static void stop__hangs_in_reset(void)
{
    UserRig u = user_start(LONG_TIMEOUT, NULL);
    uint32_t resets;

    user_ready(&u);
    resets = rig_reg(u.rig, RMNIC_REG_RESET_COUNT);
    u.plan->hang = RMNIC_USER_RESET;
    rig_reg_set(u.rig, RMNIC_REG_CTRL, 0);
    g_assert_cmphex(user_status(&u), ==, RMNIC_STATUS_RESETTING);
    g_assert_cmphex(rig_reg(u.rig, RMNIC_REG_CTRL), ==, 0);
    user_scribbled(&u);
    /* Not now: it is ignored, and counted. */
    rig_reg_set(u.rig, RMNIC_REG_CTRL, RMNIC_CTRL_ENABLE);
    g_assert_cmphex(rig_reg(u.rig, RMNIC_REG_CTRL), ==, 0);
    g_assert_cmpuint(rig_stat(u.rig, "refused/bad-register"), ==, 1);
    g_assert_cmphex(user_status(&u) & RMNIC_STATUS_RESETTING, ==, RMNIC_STATUS_RESETTING);
    g_assert_cmpuint(rig_reg(u.rig, RMNIC_REG_RESET_COUNT), ==, resets);

    RIG_WAIT(!(user_status(&u) & RMNIC_STATUS_RESETTING));
    user_quiet(&u);
    g_assert_cmpuint(rig_reg(u.rig, RMNIC_REG_RESET_COUNT), ==, resets + 1);
    g_assert_cmpuint(user_number(&u, "kills"), ==, 1);
    check_killed(&u);
    u.plan->hang = 0;
    user_next_backend(&u);
    user_ready(&u);
    user_end(&u);
}

/* Stopped before the reset: it would wake up and write, so it is killed, never passed over. */
static void stop__asleep_in_reset(void)
{
    UserRig u = user_start(SHORT_TIMEOUT, NULL);

    user_ready(&u);
    kill(u.backend->pid, SIGSTOP);
    rig_reg_set(u.rig, RMNIC_REG_CTRL, 0);
    RIG_WAIT(!(user_status(&u) & RMNIC_STATUS_RESETTING));
    check_killed(&u);
    user_quiet(&u);
    user_end(&u);
}

/* What must be over when QEMU returns: each with a backend that does not answer. */
static void over(void (*end)(UserRig *u), uint32_t hang)
{
    UserRig u = user_start(SHORT_TIMEOUT, NULL);

    user_ready(&u);
    u.plan->hang = hang;
    end(&u);
    user_quiet(&u);
    check_killed(&u);
    user_end(&u);
}

static void do_bus_master(UserRig *u) { rig_bus_master(u->rig, false); }
static void do_d3(UserRig *u) { rig_power(u->rig, 3); }
static void do_flr(UserRig *u) { rig_flr(u->rig); }

/* Nothing but the reset is left to be waited for. */
static void do_flr_paused(UserRig *u)
{
    g_autofree char *state = NULL;

    rig_bus_master(u->rig, false);
    rig_flr(u->rig);
    state = rig_state(u->rig);
    g_assert_cmpstr(state, ==, "disabled");
}

static void do_stop(UserRig *u) { rig_qmp(u->rig, "stop"); }

static void do_system_reset(UserRig *u)
{
    rig_qmp(u->rig, "system_reset");
    qtest_qmp_eventwait(u->rig->qts, "RESET");
}

/* A reset that the guest began, and something that cannot wait for it. */
static void do_reset_and_stop(UserRig *u)
{
    rig_reg_set(u->rig, RMNIC_REG_CTRL, 0);
    rig_qmp(u->rig, "stop");
}

static void stop__bus_master(void) { over(do_bus_master, RMNIC_USER_STOP); }
static void stop__d3(void) { over(do_d3, RMNIC_USER_STOP); }
static void stop__flr(void) { over(do_flr, RMNIC_USER_RESET); }
static void stop__flr_paused(void) { over(do_flr_paused, RMNIC_USER_RESET); }
static void stop__system_reset(void) { over(do_system_reset, RMNIC_USER_RESET); }
static void stop__vm_stop(void) { over(do_stop, RMNIC_USER_STOP); }
static void stop__reset_and_stop(void) { over(do_reset_and_stop, RMNIC_USER_RESET); }

/* The same with one that was stopped by a signal, which is then taken back. */
static void stop__vm_stop_asleep(void)
{
    UserRig u = user_start(SHORT_TIMEOUT, NULL);

    user_ready(&u);
    kill(u.backend->pid, SIGSTOP);
    rig_qmp(u.rig, "stop");
    kill(u.backend->pid, SIGCONT);
    user_quiet(&u);
    check_killed(&u);
    u.plan->scribble = 0;
    user_next_backend(&u);
    g_assert_cmpuint(u.plan->stopped, ==, 1);
    rig_qmp(u.rig, "cont");
    user_end(&u);
}

#if QEMU_VERSION_MAJOR >= 9
#define AS_NOBODY "-run-with user=nobody"
#else
#define AS_NOBODY "-runas nobody"
#endif

/*
 * A QEMU that may not kill waits for whoever may. It gives up its rights only after the device
 * is made.
 */
static void stop__not_killable(void)
{
    UserRig u;

    if (getuid() != 0) {
        g_test_skip("needs root, to have a QEMU that is not");
        return;
    }
    u = user_start(SHORT_TIMEOUT, AS_NOBODY);
    user_ready(&u);
    u.plan->hang = RMNIC_USER_STOP;
    qtest_qmp_send(u.rig->qts, "{ 'execute': 'stop' }");
    RIG_WAIT(user_seen(&u, RMNIC_USER_STOP));
    g_usleep(2000000); /* four times what another one had */
    g_assert_true(backend_lives(u.backend));
    kill(u.backend->pid, SIGKILL);
    qobject_unref(qtest_qmp_receive(u.rig->qts)); /* the answer to "stop" */
    check_killed(&u);
    user_quiet(&u);
    g_assert_cmpuint(user_number(&u, "kills"), ==, 0);
    user_end(&u);
}

/*
 * Hangs before it has taken the device, where the guest would wait for ever: it is given up,
 * and ended only if it had got the state block.
 */
static void hangs_at(uint32_t request, bool killed)
{
    UserRig u = user_start(",connect-timeout-ms=1000" SHORT_TIMEOUT, NULL);

    user_ready(&u);
    backend_end(u.backend);
    u.plan->hang = request;
    u.plan->stays = true;
    u.backend = backend_start(u.path, u.plan);
    if (killed) {
        check_killed(&u);
    } else {
        RIG_WAIT(qatomic_read(&u.plan->connections) >= 3);
        g_assert_true(backend_lives(u.backend));
        backend_end(u.backend);
    }
    g_assert_cmpuint(user_number(&u, "complaints"), >=, 1);
    g_assert_cmpuint(user_number(&u, "kills"), ==, killed);
    g_assert_cmphex(user_status(&u), ==, RMNIC_STATUS_READY | RMNIC_STATUS_WAITING);
    u.plan->hang = 0;
    user_next_backend(&u);
    user_scribbled(&u);
    user_end(&u);
}

static void stop__hangs_in_hello(void) { hangs_at(RMNIC_USER_HELLO, false); }
static void stop__hangs_in_device(void) { hangs_at(RMNIC_USER_DEVICE, true); }

/* Hangs in ENABLE: the reset after it is waited for in the same way. */
static void stop__hangs_in_enable(void)
{
    UserRig u = user_start(SHORT_TIMEOUT, NULL);

    u.plan->hang = RMNIC_USER_ENABLE;
    rig_enable(u.rig, 16);
    RIG_WAIT(user_seen(&u, RMNIC_USER_ENABLE));
    g_assert_cmphex(user_status(&u), ==, 0);
    rig_reg_set(u.rig, RMNIC_REG_CTRL, 0);
    RIG_WAIT(!(user_status(&u) & RMNIC_STATUS_RESETTING));
    check_killed(&u);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_RESET), ==, 0);
    user_end(&u);
}

/* USER-19: closed the connection, but lives and writes. */
static void stop__closes_and_lives(void)
{
    UserRig u = user_start(LONG_TIMEOUT, NULL);
    g_autofree char *connection = NULL;

    user_ready(&u);
    u.plan->stays = true;
    u.plan->lie = LIE_MAGIC;
    u.plan->lie_at = RMNIC_USER_STATS;
    u.plan->lives = true;
    rig_stat(u.rig, "pages-out");
    connection = user_text(&u, "connection");
    g_assert_cmpstr(connection, ==, "waiting for the last backend's end");
    g_assert_cmphex(user_status(&u), ==, RMNIC_STATUS_READY | RMNIC_STATUS_WAITING);
    user_scribbled(&u);
    g_assert_cmpuint(u.plan->connections, ==, 1);
    check_killed(&u);
    RIG_WAIT(user_number(&u, "kills") == 1);
    user_quiet(&u);
    u.plan->lie = LIE_NONE;
    u.plan->stays = u.plan->lives = false;
    user_next_backend(&u);
    user_scribbled(&u);
    user_end(&u);
}

/* --- Unplug, exit ------------------------------------------------------------------------------------ */

static UserRig plug(void)
{
    UserRig u = user_start_bare(USER_PC);

    qtest_qmp_device_add(u.rig->qts, "rmnic", "r", "{ 'addr': '4', 'chardev': 'c0',"
                         " 'size': 134217728, 'kill-timeout-ms': 500 }");
    rig_attach(u.rig, QPCI_DEVFN(4, 0));
    u.page = rig_alloc(u.rig, RMNIC_PAGE_SIZE);
    user_ready(&u);
    return u;
}

/* In order: the backend is told that it may free everything, and can be used again. */
static void stop__unplug(void)
{
    UserRig u = plug();

    u.plan->stays = true;
    qpci_unplug_acpi_device_test(u.rig->qts, "r", 4);
    user_quiet(&u);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_RESET), ==, 1);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_BYE), ==, 1);
    g_assert_true(backend_lives(u.backend));
    rig_detach(u.rig);
    qtest_qmp_device_add(u.rig->qts, "rmnic", "r", "{ 'addr': '4', 'chardev': 'c0',"
                         " 'size': 134217728 }");
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_DEVICE), ==, 2);
    user_end(&u);
}

static void stop__unplug_asleep(void)
{
    UserRig u = plug();

    kill(u.backend->pid, SIGSTOP);
    qpci_unplug_acpi_device_test(u.rig->qts, "r", 4);
    user_quiet(&u);
    check_killed(&u);
    user_end(&u);
}

static void stop__quit(void)
{
    UserRig u = user_start(SHORT_TIMEOUT, NULL);

    user_ready(&u);
    rig_stop(u.rig);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_STOP), ==, 1);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_BYE), ==, 1);
    backend_end(u.backend);
    g_free(u.path);
}

/* rig_stop() fails the test unless QEMU ends by itself and with 0. */
static void quit_hung(uint32_t hang, bool asleep)
{
    UserRig u = user_start(SHORT_TIMEOUT, NULL);

    user_ready(&u);
    u.plan->hang = hang;
    if (asleep) {
        kill(u.backend->pid, SIGSTOP);
    }
    rig_stop(u.rig);
    backend_end(u.backend);
    g_free(u.path);
}

static void stop__quit_asleep(void) { quit_hung(0, true); }
static void stop__quit_hung(void) { quit_hung(RMNIC_USER_STOP, false); }
static void stop__quit_hung_in_bye(void) { quit_hung(RMNIC_USER_BYE, false); }

/* --- Memory ------------------------------------------------------------------------------------------- */

#define DIMM_ADDR   0x100000000ull
#define ACPI_MEMORY 0xa00 /* QEMU's docs/specs/acpi_mem_hotplug */
#define ACPI_EJECT  0x8
#define DIMM_ROOM   " -m 256,slots=2,maxmem=1G "
#define DIMM        "-object memory-backend-memfd,id=m1,size=128M,share=on" \
                    " -object memory-backend-ram,id=m2,size=128M"

static uint64_t region_size(UserRig *u, uint64_t addr)
{
    for (unsigned i = 0; i < RMNIC_USER_MAX_REGIONS; i++) {
        if (u->plan->region[i].size && le64_to_cpu(u->plan->region[i].addr) == addr) {
            return le64_to_cpu(u->plan->region[i].size);
        }
    }
    return 0;
}

static void eject(UserRig *u, uint32_t slot)
{
    qtest_qmp_device_del_send(u->rig->qts, "d1");
    qtest_outl(u->rig->qts, ACPI_MEMORY, slot);
    qtest_outb(u->rig->qts, ACPI_MEMORY + 0x14, ACPI_EJECT);
    qtest_qmp_eventwait(u->rig->qts, "DEVICE_DELETED");
}

/* USER-11: a memory module comes and goes; it is gone only when nobody writes to it. */
static void stop__memory(void)
{
    UserRig u = user_start(SHORT_TIMEOUT, DIMM_ROOM DIMM);
    unsigned added, deleted;

    user_ready(&u);
    added = user_seen(&u, RMNIC_USER_MEM_ADD);
    deleted = user_seen(&u, RMNIC_USER_MEM_DEL); /* what firmware's memory was remapped to */
    /* A module that no other process can map is left out, with a warning. */
    qtest_qmp_device_add(u.rig->qts, "pc-dimm", "d2", "{ 'memdev': 'm2', 'addr': 4429185024 }");
    qtest_qmp_device_add(u.rig->qts, "pc-dimm", "d1", "{ 'memdev': 'm1', 'addr': 4294967296 }");
    RIG_WAIT(user_seen(&u, RMNIC_USER_MEM_ADD) == added + 1);
    RIG_WAIT(region_size(&u, DIMM_ADDR) == 128 * 1024 * 1024);
    u.plan->scribble = DIMM_ADDR;
    RIG_WAIT(qtest_readq(u.rig->qts, DIMM_ADDR));
    u.plan->scribble = u.page;
    user_scribbled(&u); /* and not to the module any more */
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_MEM_DEL), ==, deleted);
    eject(&u, 1);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_MEM_DEL), ==, deleted + 1);
    g_assert_cmpuint(region_size(&u, DIMM_ADDR), ==, 0);
    g_assert_cmphex(user_status(&u), ==, RMNIC_STATUS_READY);
    user_scribbled(&u);
    user_end(&u);
}

static void stop__memory_hung(void)
{
    UserRig u = user_start(SHORT_TIMEOUT, DIMM_ROOM DIMM
                           " -device pc-dimm,id=d1,memdev=m1,addr=0x100000000");

    user_ready(&u);
    g_assert_cmpuint(region_size(&u, DIMM_ADDR), ==, 128 * 1024 * 1024);
    u.plan->hang = RMNIC_USER_MEM_DEL;
    eject(&u, 0);
    g_assert_false(backend_lives(u.backend)); /* it was waited for */
    check_killed(&u);
    u.plan->hang = 0;
    user_next_backend(&u);
    g_assert_cmpuint(region_size(&u, DIMM_ADDR), ==, 0);
    user_scribbled(&u);
    user_end(&u);
}

void test_user_stop_add(void)
{
    g_test_add_func("/rmnic/user/stop/hangs-in-reset", stop__hangs_in_reset);
    g_test_add_func("/rmnic/user/stop/asleep-in-reset", stop__asleep_in_reset);
    g_test_add_func("/rmnic/user/stop/bus-master", stop__bus_master);
    g_test_add_func("/rmnic/user/stop/d3hot", stop__d3);
    g_test_add_func("/rmnic/user/stop/flr", stop__flr);
    g_test_add_func("/rmnic/user/stop/flr-paused", stop__flr_paused);
    g_test_add_func("/rmnic/user/stop/system-reset", stop__system_reset);
    g_test_add_func("/rmnic/user/stop/vm-stop", stop__vm_stop);
    g_test_add_func("/rmnic/user/stop/reset-and-vm-stop", stop__reset_and_stop);
    g_test_add_func("/rmnic/user/stop/vm-stop-asleep", stop__vm_stop_asleep);
    g_test_add_func("/rmnic/user/stop/not-killable", stop__not_killable);
    g_test_add_func("/rmnic/user/stop/hangs-in-hello", stop__hangs_in_hello);
    g_test_add_func("/rmnic/user/stop/hangs-in-device", stop__hangs_in_device);
    g_test_add_func("/rmnic/user/stop/hangs-in-enable", stop__hangs_in_enable);
    g_test_add_func("/rmnic/user/stop/closes-and-lives", stop__closes_and_lives);
    g_test_add_func("/rmnic/user/stop/unplug", stop__unplug);
    g_test_add_func("/rmnic/user/stop/unplug-asleep", stop__unplug_asleep);
    g_test_add_func("/rmnic/user/stop/quit", stop__quit);
    g_test_add_func("/rmnic/user/stop/quit-asleep", stop__quit_asleep);
    g_test_add_func("/rmnic/user/stop/quit-hung", stop__quit_hung);
    g_test_add_func("/rmnic/user/stop/quit-hung-in-bye", stop__quit_hung_in_bye);
    g_test_add_func("/rmnic/user/stop/memory", stop__memory);
    g_test_add_func("/rmnic/user/stop/memory-hung", stop__memory_hung);
}
