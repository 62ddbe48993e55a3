/* SPDX-License-Identifier: BSD-3-Clause */
/* What a device refuses: replies that are wrong, command lines that cannot work, migration. */
#include "user_rig.h"

#include "qemu/atomic.h"
#include "qemu/bswap.h"

#include <sys/wait.h>

/* --- Replies ------------------------------------------------------------------------------------------- */

static const struct {
    Lie lie;
    const char *said; /* of the warning */
} lies[] = {
    { LIE_MAGIC, "the magic number is wrong" },
    { LIE_RESERVED, "a reserved byte of the header is not zero" },
    { LIE_TYPE, "the reply is to another request" },
    { LIE_SEQ, "the reply is to another request" },
    { LIE_FLAGS, "it is neither a reply nor a notice" },
    { LIE_STATUS, "the status is unknown" },
    { LIE_LONG, "the payload is longer than any message" },
    { LIE_LENGTH, "the payload's length is wrong" },
    { LIE_TWICE, "a reply came to no request" },
    { LIE_FDS, "it sent file descriptors" },
    { LIE_NOTICE, "the notice is unknown" },
    { LIE_FATAL, "the error is unknown" },
    { LIE_FLOOD, "it sends notices without end" },
    { LIE_PID, "the process that answers is not the one that listens" },
    { LIE_CUT, NULL },
};

QEMU_BUILD_BUG_ON(ARRAY_SIZE(lies) != LIE__MAX - 1);

/*
 * USER-1, USER-23: whatever is wrong, the connection ends with one warning, the registers and
 * the next backend work, and nothing crashed. request: the one that is answered so.
 */
static void lie_at(uint32_t request)
{
    UserRig u = user_start(",kill-timeout-ms=500", NULL);

    user_ready(&u);
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        uint64_t complaints = user_number(&u, "complaints");

        u.plan->lie_at = request;
        u.plan->lie = lies[i].lie;
        if (request == RMNIC_USER_STATS) {
            rig_stat(u.rig, "pages-out");
        } else {
            backend_end(u.backend);
            u.backend = backend_start(u.path, u.plan);
        }
        if (lies[i].said) {
            RIG_WAIT(user_number(&u, "complaints") > complaints);
        } else {
            RIG_WAIT(!backend_lives(u.backend));
        }
        backend_wait(u.backend); /* it ends by itself, or is killed */
        RIG_WAIT(user_status(&u) == (RMNIC_STATUS_READY | RMNIC_STATUS_WAITING));
        g_assert_cmpuint(user_number(&u, "complaints"), <=, complaints + 2);
        u.plan->lie = LIE_NONE;
        user_next_backend(&u);
        RIG_WAIT(user_status(&u) == RMNIC_STATUS_READY);
        user_scribbled(&u);
    }
    user_end(&u);
}

static void refuse__lie_at_stats(void) { lie_at(RMNIC_USER_STATS); }
static void refuse__lie_at_device(void) { lie_at(RMNIC_USER_DEVICE); }
static void refuse__lie_at_enable(void) { lie_at(RMNIC_USER_ENABLE); }

/* --- At the start ---------------------------------------------------------------------------------------- */

#define ADD "{ 'execute': 'device_add', 'arguments': { 'driver': 'rmnic', 'id': 'r'," \
            " 'addr': '4', 'chardev': 'c0', 'size': 134217728 %s } }"

static void check_error(UserRig *u, const char *more, const char *want)
{
    g_autofree char *command = g_strdup_printf(ADD, more);
    g_autofree char *error = user_qmp_error(u, command);

    if (!strstr(error, want)) {
        g_error("the error says '%s', not '%s'", error, want);
    }
}

static void check_works(UserRig *u)
{
    g_autofree char *command = g_strdup_printf(ADD, "");

    qtest_qmp_assert_success(u->rig->qts, command, NULL);
    rig_attach(u->rig, QPCI_DEVFN(4, 0));
    g_assert_cmphex(user_status(u), ==, 0);
}

/* Each lie is an error then, and says the same. */
static void refuse__lie_at_start(void)
{
    UserRig u = user_start_bare(USER_PC);

    u.plan->stays = true;
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        u.plan->lie_at = RMNIC_USER_HELLO;
        u.plan->lie = lies[i].lie;
        if (lies[i].lie == LIE_CUT) {
            check_error(&u, ", 'connect-timeout-ms': 500",
                        "it closed the connection in place of answering HELLO");
            backend_wait(u.backend);
            u.backend = backend_start(u.path, u.plan);
        } else if (lies[i].lie == LIE_TWICE) {
            check_error(&u, "", "the reply is to another request"); /* DEVICE is under way */
        } else {
            check_error(&u, "", lies[i].said);
        }
    }
    u.plan->lie = LIE_NONE;
    check_works(&u);
    user_end(&u);
}

/* USER-3, USER-4, USER-7: what the backend refuses is passed on, as printable text. */
static void refuse__by_backend(void)
{
    static const struct {
        uint32_t request, status;
        const char *want;
    } cases[] = {
        { RMNIC_USER_HELLO, RMNIC_USER_S_VERSION, "it refused HELLO with VERSION: so?it is" },
        { RMNIC_USER_DEVICE, RMNIC_USER_S_NO_SPACE,
          "it refused DEVICE with NO_SPACE: so?it is (there is room for 12288 bytes)" },
        { RMNIC_USER_DEVICE, RMNIC_USER_S_BAD_STATE, "it refused DEVICE with BAD_STATE: so?it is" },
        { RMNIC_USER_MEM_ADD, RMNIC_USER_S_BAD_FD, "it refused MEM_ADD with BAD_FD: so?it is" },
        { RMNIC_USER_KICK, RMNIC_USER_S_INTERNAL, "it refused KICK with INTERNAL: so?it is" },
        { RMNIC_USER_CALL, RMNIC_USER_S_LIMIT, "it refused CALL with LIMIT: so?it is" },
    };
    UserRig u = user_start_bare(USER_PC);

    u.plan->stays = true;
    strcpy(u.plan->refuse_text, "so\x1bit is");
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        u.plan->refuse = cases[i].request;
        u.plan->refuse_status = cases[i].status;
        u.plan->available = cases[i].status == RMNIC_USER_S_NO_SPACE ? 3 : 0;
        check_error(&u, "", cases[i].want);
    }
    /* A status that passes is waited for, and said when it does not. */
    u.plan->refuse = RMNIC_USER_DEVICE;
    u.plan->refuse_status = RMNIC_USER_S_IN_USE;
    check_error(&u, ", 'connect-timeout-ms': 1200", "it refused DEVICE with IN_USE: so?it is");
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_DEVICE), >=, 4);
    u.plan->refuse = 0;
    u.plan->version = 2;
    check_error(&u, "", "HELLO: ");
    u.plan->version = 0;
    u.plan->short_of = 1;
    check_error(&u, "", "it reserved 32767 pages of 32768 and calls that a success");
    u.plan->short_of = 0;
    u.plan->hang = RMNIC_USER_DEVICE;
    check_error(&u, ", 'connect-timeout-ms': 300", "did not answer DEVICE within "
                "connect-timeout-ms=300");
    u.plan->hang = 0;
    backend_end(u.backend);
    check_error(&u, ", 'connect-timeout-ms': 300", "start the backend there");
    u.backend = backend_start(u.path, u.plan);
    check_works(&u);
    user_end(&u);
}

/* What comes right by itself within connect-timeout-ms is no error. */
static void refuse__passes(void)
{
    UserRig u = user_start_bare(USER_PC);

    backend_end(u.backend);
    u.plan->late_ms = 500;
    u.plan->refuse = RMNIC_USER_DEVICE;
    u.plan->refuse_status = RMNIC_USER_S_IN_USE;
    u.plan->refuse_times = 2;
    strcpy(u.plan->refuse_text, "the last front end is not gone yet");
    u.backend = backend_start(u.path, u.plan);
    check_works(&u);
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_DEVICE), ==, 3);
    user_end(&u);
}

/* Properties and chardevs that do not go together. */
static void refuse__props(void)
{
    g_autofree char *path = rig_path("listen");
    g_autofree char *options = g_strdup_printf(USER_PC " -object iothread,id=t"
        " -object memory-backend-ram,id=m,size=128M -chardev null,id=n"
        " -chardev socket,id=l,path=%s,server=on,wait=off"
        " -chardev socket,id=tcp,host=127.0.0.1,port=1,reconnect=60", path);
    UserRig u = user_start_bare(options);
    static const struct {
        const char *args, *want;
    } cases[] = {
        { "'chardev': 'c0', 'memdev': 'm'", "chardev= and memdev= exclude each other" },
        { "'chardev': 'c0', 'size': 134217728, 'iothread': 't'",
          "chardev= and iothread= exclude each other" },
        { "'chardev': 'c0', 'size': 134217728, 'x-fault-delay-us': 1",
          "x-fault-delay-us needs the engine in QEMU" },
        { "'chardev': 'c0'", "nothing to keep pages in" },
        { "'chardev': 'c0', 'size': 134217728, 'kill-timeout-ms': 99",
          "kill-timeout-ms=99 is out of range (100-3600000)" },
        { "'chardev': 'c0', 'size': 134217728, 'connect-timeout-ms': 3600001",
          "connect-timeout-ms=3600001 is out of range" },
        { "'chardev': 'n', 'size': 134217728", "chardev=n is no socket" },
        { "'chardev': 'l', 'size': 134217728", "chardev=l listens" },
        { "'chardev': 'tcp', 'size': 134217728", "chardev=tcp has no path" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *command = g_strdup_printf("{ 'execute': 'device_add', 'arguments': "
            "{ 'driver': 'rmnic', 'id': 'r', 'addr': '4', %s } }", cases[i].args);
        g_autofree char *error = user_qmp_error(&u, command);

        if (!strstr(error, cases[i].want)) {
            g_error("the error says '%s', not '%s'", error, cases[i].want);
        }
    }
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_HELLO), ==, 0);
    check_works(&u);
    user_end(&u);
}

/* USER-9's other end: the error says what to add to the command line. */
static void refuse__memory(void)
{
    static const char *const options[] = {
        "-machine pc",
        "-machine pc,memory-backend=mem -object memory-backend-ram,id=mem,size=256M,share=on",
        "-machine pc,memory-backend=mem -object memory-backend-memfd,id=mem,size=256M,share=off",
        "-machine pc,memory-backend=mem"
            " -object memory-backend-memfd,id=mem,size=256M,share=on,seal=off",
        "-machine pc -object memory-backend-memfd,id=n0,size=128M,share=on -numa node,memdev=n0"
            " -object memory-backend-ram,id=n1,size=128M -numa node,memdev=n1",
    };

    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        UserRig u = user_start_bare(options[i]);

        check_error(&u, "", "-object memory-backend-memfd,id=mem,size=268435456,share=on"
                    " -machine memory-backend=mem");
        g_assert_cmpuint(user_seen(&u, RMNIC_USER_HELLO), ==, 0);
        user_end(&u);
    }
}

/* RULES C3 */
static void refuse__iommu(void)
{
    UserRig u = user_start_bare(USER_Q35 " -device intel-iommu"
                                " -device pcie-root-port,id=rp,addr=3,slot=1,chassis=1");
    g_autofree char *error = user_qmp_error(&u, "{ 'execute': 'device_add', 'arguments': "
        "{ 'driver': 'rmnic', 'bus': 'rp', 'chardev': 'c0', 'size': 134217728 } }");

    g_assert_nonnull(strstr(error, "does not work behind a vIOMMU"));
    g_assert_cmpuint(user_seen(&u, RMNIC_USER_HELLO), ==, 0);
    user_end(&u);
}

/* A QEMU that has to end by itself, with what it says; its device told the backend BYE. */
static char *ends(const char *options)
{
    const char *qemu = g_getenv("QTEST_QEMU_BINARY");
    Plan *plan = plan_new();
    g_autofree char *path = rig_path("ends"), *command = NULL;
    Backend *backend = backend_start(path, plan);
    char *err = NULL;
    int status;

    command = g_strdup_printf("%s -m 256 -nodefaults -display none -accel qtest -smp 1,maxcpus=2 "
                              "-L /usr/share/seabios -L /usr/share/qemu " USER_Q35
                              " -chardev socket,id=c0,path=%s"
                              " -device rmnic,id=r,addr=4,chardev=c0,size=128M %s",
                              qemu, path, options);
    g_assert_true(g_spawn_command_line_sync(command, NULL, &err, &status, NULL));
    g_assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    g_assert_cmpuint(plan->seen[RMNIC_USER_BYE], ==, 1);
    backend_end(backend);
    return err;
}

/* The same when the command line names it after the device: QEMU does not start. */
static void refuse__iommu_later(void)
{
    g_autofree char *err = ends("-device intel-iommu");

    g_assert_nonnull(strstr(err, "does not work behind a vIOMMU"));
}

/* RULES C4: until the backend can log what it writes. */
static void refuse__migration(void)
{
    g_autofree char *migrate = NULL, *savevm = NULL;
    UserRig u = user_start("", NULL);

    user_ready(&u);
    migrate = user_qmp_error(&u, "{ 'execute': 'migrate', 'arguments': "
                             "{ 'uri': 'exec:cat >/dev/null' } }");
    g_assert_nonnull(strstr(migrate, "a device with chardev= can be neither migrated nor saved"));
    savevm = rig_hmp(u.rig, "savevm x");
    g_assert_nonnull(strstr(savevm, "a device with chardev= can be neither migrated nor saved"));
    user_scribbled(&u);
    user_end(&u);
}

static bool saved(Rig *rig)
{
    g_autofree char *info = rig_hmp(rig, "info migrate");

    return strstr(info, "completed");
}

/* The other way round: what an embedded device saved is not for one with a backend. */
static void refuse__incoming(void)
{
    g_autofree char *file = rig_path("stream");
    g_autofree char *to = g_strdup_printf("migrate \"exec:cat >%s\"", file);
    g_autofree char *from = g_strdup_printf("-incoming 'exec:cat %s'", file);
    g_autofree char *err = NULL;
    Rig *embedded = rig_start_bare(USER_Q35 " -device rmnic,id=r,addr=4,size=128M");

    g_free(rig_hmp(embedded, to));
    RIG_WAIT(saved(embedded));
    rig_stop(embedded);
    err = ends(from);
    g_assert_nonnull(strstr(err, "load of migration failed"));
}

void test_user_refuse_add(void)
{
    g_test_add_func("/rmnic/user/refuse/lie-at-start", refuse__lie_at_start);
    g_test_add_func("/rmnic/user/refuse/lie-at-stats", refuse__lie_at_stats);
    g_test_add_func("/rmnic/user/refuse/lie-at-device", refuse__lie_at_device);
    g_test_add_func("/rmnic/user/refuse/lie-at-enable", refuse__lie_at_enable);
    g_test_add_func("/rmnic/user/refuse/by-backend", refuse__by_backend);
    g_test_add_func("/rmnic/user/refuse/passes", refuse__passes);
    g_test_add_func("/rmnic/user/refuse/props", refuse__props);
    g_test_add_func("/rmnic/user/refuse/memory", refuse__memory);
    g_test_add_func("/rmnic/user/refuse/iommu", refuse__iommu);
    g_test_add_func("/rmnic/user/refuse/iommu-later", refuse__iommu_later);
    g_test_add_func("/rmnic/user/refuse/migration", refuse__migration);
    g_test_add_func("/rmnic/user/refuse/incoming", refuse__incoming);
}
