/* SPDX-License-Identifier: BSD-3-Clause */
/* Live migration and snapshots: the pages arrive intact, the queues go on where they were. */
#include "rig.h"

#include "qemu/bswap.h"
#if __has_include("qobject/qdict.h")
#include "qobject/qdict.h"
#else
#include "qapi/qmp/qdict.h"
#endif

#define PAGES 400

static bool migration_is(Rig *rig, const char *wanted)
{
    QDict *rsp = qtest_qmp(rig->qts, "{ 'execute': 'query-migrate' }");
    const char *status = qdict_get_try_str(qdict_get_qdict(rsp, "return"), "status");
    bool is = status && strcmp(status, wanted) == 0;

    qobject_unref(rsp);
    return is;
}

static bool migrated(Rig *rig)
{
    g_assert_false(migration_is(rig, "failed"));
    return migration_is(rig, "completed");
}

/* How often the source has looked for what was dirtied while it sent. */
static int64_t migration_rounds(Rig *rig)
{
    QDict *rsp = qtest_qmp(rig->qts, "{ 'execute': 'query-migrate' }");
    QDict *info = qdict_get_qdict(rsp, "return");
    QDict *ram = qdict_haskey(info, "ram") ? qdict_get_qdict(info, "ram") : NULL;
    int64_t rounds = ram ? qdict_get_try_int(ram, "dirty-sync-count", 0) : 0;

    qobject_unref(rsp);
    return rounds;
}

static char *error_of(QDict *rsp)
{
    char *desc = NULL;

    if (qdict_haskey(rsp, "error")) {
        desc = g_strdup(qdict_get_str(qdict_get_qdict(rsp, "error"), "desc"));
    }
    qobject_unref(rsp);
    return desc;
}

static void migrate(Rig *from, const char *uri)
{
    g_autofree char *error = error_of(qtest_qmp(from->qts, "{ 'execute': 'migrate', "
                                                "'arguments': { 'uri': %s } }", uri));

    g_assert_cmpstr(error, ==, NULL);
    RIG_WAIT(migrated(from));
}

static Rig *target(const char *props, const char *uri)
{
    g_autofree char *options = g_strdup_printf("-machine q35 -device rmnic,id=r,addr=4,%s "
                                               "-incoming %s", props, uri);

    return rig_start_bare(options);
}

/* The driver's view moves along: the guest's memory is the same, the machine another. */
static void move(Rig *to, const Rig *from, Pair *pair)
{
    to->regs = from->regs;
    to->free = from->free;
    if (!to->dev) {
        to->dev = qpci_device_find(to->bus, QPCI_DEVFN(4, 0));
        g_assert_nonnull(to->dev);
    }
    pair->rig = to;
}

static void write_pages(Pair *out, uint64_t page, uint32_t first, uint32_t n, uint32_t seed)
{
    for (uint32_t i = first; i < first + n; i++) {
        page_fill(out->rig, page, seed + i);
        pair_do(out, RMNIC_OP_PAGE_OUT, i * 37, 1, page);
    }
}

static void check_pages(Pair *in, uint64_t page, uint32_t first, uint32_t n, uint32_t seed)
{
    for (uint32_t i = first; i < first + n; i++) {
        pair_do(in, RMNIC_OP_PAGE_IN, i * 37, 1, page);
        g_assert_true(page_is(in->rig, page, seed + i));
    }
}

/*
 * 16 MiB of pages written anew, all from one page of the guest's: as long as this is done over
 * and over, the migration finds too much to send to come to its end.
 */
static void churn(Pair *out, uint64_t page)
{
    uint64_t list = rig_alloc(out->rig, RMNIC_PAGE_SIZE);

    page_fill(out->rig, page, 1);
    for (int i = 0; i < 512; i++) {
        qtest_writeq(out->rig->qts, list + i * 8, page);
    }
    for (uint32_t rpn = 20480; rpn < 24576; rpn += 512) {
        struct rmnic_sqe sqe = sqe_io(RMNIC_OP_PAGE_OUT, rpn, 512, list);

        sqe.flags = RMNIC_SQE_F_LIST;
        g_assert_cmphex(pair_status(out, &sqe), ==, RMNIC_SC_OK);
    }
    out->rig->free = list;
}

/* Pages are written before and while the migration runs; the queues are used before and after. */
static void migrate_live(const char *props, const char *target_props, bool hotplugged)
{
    g_autofree char *path = rig_path(hotplugged ? "migrate-hot" : "migrate");
    g_autofree char *uri = g_strdup_printf("unix:%s", path), *error = NULL;
    Rig *from = hotplugged ? rig_start_bare("-machine q35") : rig_start(props, NULL), *to;
    Pair admin, out, in;
    uint64_t page, back, uuid;
    uint32_t generation = 0;

    if (hotplugged) {
        /* pcie.0 takes no hot plug; a device added before the machine runs is cold-plugged. */
        rig_stop(from);
        from = rig_start_bare("-machine pc");
        qtest_qmp_device_add(from->qts, "rmnic", "r", "{ 'addr': '4', 'size': 134217728 }");
        rig_attach(from, QPCI_DEVFN(4, 0));
        to = rig_start_bare("-machine pc -incoming defer");
        qtest_qmp_device_add(to->qts, "rmnic", "r", "{ 'addr': '4', 'size': 134217728 }");
        error = error_of(qtest_qmp(to->qts, "{ 'execute': 'migrate-incoming', "
                                   "'arguments': { 'uri': %s } }", uri));
        g_assert_cmpstr(error, ==, NULL);
    } else {
        to = target(target_props, uri);
    }
    admin = rig_ready(from);
    out = pair_create(&admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 2, 16);
    page = rig_alloc(from, RMNIC_PAGE_SIZE);
    back = rig_alloc(from, 50 * RMNIC_PAGE_SIZE);
    uuid = rig_reg64(from, RMNIC_REG_UUID);
    write_pages(&out, page, 0, PAGES, 1000);
    /* Slow, and with no leave to stop the VM, as long as pages are dirtied. */
    error = error_of(qtest_qmp(from->qts, "{ 'execute': 'migrate-set-parameters', "
                               "'arguments': { 'max-bandwidth': 16000000, "
                               "'downtime-limit': 1 } }"));
    g_assert_cmpstr(error, ==, NULL);
    error = error_of(qtest_qmp(from->qts, "{ 'execute': 'migrate', "
                               "'arguments': { 'uri': %s } }", uri));
    g_assert_cmpstr(error, ==, NULL);
    /* Each of these was sent before it is written for the last time. */
    for (; migration_rounds(from) < 3; generation++) {
        g_assert_false(migrated(from)); /* nor failed */
        churn(&out, page);
        write_pages(&out, page, 0, 50, 9000 + 100 * generation);
    }
    write_pages(&out, page, 0, 50, 9000 + 100 * generation);
    write_pages(&out, page, PAGES, 50, 1000);
    pair_do(&out, RMNIC_OP_FREE, 60 * 37, 1, 0);
    /* Into guest memory that has very likely been sent already. */
    pair_do(&in, RMNIC_OP_PAGE_IN, 70 * 37, 1, back);
    g_assert_false(migrated(from));
    error = error_of(qtest_qmp(from->qts, "{ 'execute': 'migrate-set-parameters', "
                               "'arguments': { 'max-bandwidth': 2000000000, "
                               "'downtime-limit': 1000 } }"));
    g_assert_cmpstr(error, ==, NULL);
    RIG_WAIT(migrated(from));
    qtest_qmp_eventwait(to->qts, "RESUME");
    move(to, from, &admin);
    move(to, from, &out);
    move(to, from, &in);

    g_assert_cmphex(rig_reg(to, RMNIC_REG_STATUS), ==, RMNIC_STATUS_READY);
    g_assert_cmphex(rig_reg64(to, RMNIC_REG_UUID), ==, uuid);
    g_assert_true(page_is(to, back, 1000 + 70));
    check_pages(&in, page, 0, 50, 9000 + 100 * generation);
    check_pages(&in, page, 50, 10, 1000);
    check_pages(&in, page, 61, PAGES + 50 - 61, 1000);
    pair_do(&in, RMNIC_OP_PAGE_IN, 60 * 37, 1, page);
    g_assert_true(page_is_zero(to, page));
    write_pages(&out, page, 0, 20, 5000);
    check_pages(&in, page, 0, 20, 5000);
    /* The statistics came along: pages written on both sides, pages read there. */
    g_assert_cmpuint(rig_stat(to, "pages-out"), ==,
                     PAGES + 50 * (generation + 2) + 4096 * generation + 20);
    g_assert_cmpuint(rig_stat(to, "pages-freed"), ==, 1);
    rig_stop(from);
    rig_stop(to);
}

static void migrate__live(void)
{
    migrate_live("size=128M", "size=128M", false);
}

static void migrate__capacity_state(void)
{
    migrate_live("size=256M,capacity=128M,queues=4", "size=256M,queues=4", false);
}

static void migrate__hotplugged(void)
{
    migrate_live(NULL, NULL, true);
}

/* Commands in flight when the VM stops are finished before the state is taken. */
static void migrate__in_flight(void)
{
    g_autofree char *path = rig_path("migrate-flight");
    g_autofree char *uri = g_strdup_printf("unix:%s", path);
    Rig *from = rig_start("size=128M,x-fault-delay-us=10000000", NULL);
    Rig *to = target("size=128M", uri);
    Pair admin = rig_ready(from), in;
    struct rmnic_sqe sqe = sqe_io(RMNIC_OP_PAGE_IN, 5, 1, rig_alloc(from, RMNIC_PAGE_SIZE));

    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 2, 16);
    for (int i = 0; i < 8; i++) {
        sqe.cid = cpu_to_le16(i);
        pair_submit(&in, &sqe);
    }
    migrate(from, uri);
    qtest_qmp_eventwait(to->qts, "RESUME");
    move(to, from, &in);
    for (int i = 0; i < 8; i++) {
        g_assert_cmphex(le16_to_cpu(pair_reap(&in).status), ==, RMNIC_SC_OK);
    }
    rig_stop(from);
    rig_stop(to);
}

static bool postcopy_on(Rig *rig)
{
    g_autofree char *error = error_of(qtest_qmp(rig->qts,
        "{ 'execute': 'migrate-set-capabilities', 'arguments': { 'capabilities': "
        "[ { 'capability': 'postcopy-ram', 'state': true } ] } }"));

    return !error;
}

static bool in_postcopy(Rig *rig)
{
    return migration_is(rig, "postcopy-active") || migrated(rig);
}

/* The target runs before the pages have come; the device waits for those it needs. */
static void migrate__postcopy(void)
{
    g_autofree char *path = rig_path("migrate-post");
    g_autofree char *uri = g_strdup_printf("unix:%s", path), *error = NULL;
    Rig *from = rig_start("size=128M", NULL);
    Rig *to = target("size=128M", "defer");
    Pair admin = rig_ready(from), out, in;
    uint64_t page = rig_alloc(from, RMNIC_PAGE_SIZE);

    if (!postcopy_on(from) || !postcopy_on(to)) {
        g_test_skip("no postcopy here: userfaultfd is missing or not allowed");
        goto stop;
    }
    error = error_of(qtest_qmp(to->qts, "{ 'execute': 'migrate-incoming', "
                               "'arguments': { 'uri': %s } }", uri));
    g_assert_cmpstr(error, ==, NULL);
    out = pair_create(&admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 2, 16);
    write_pages(&out, page, 0, PAGES, 1000);
    error = error_of(qtest_qmp(from->qts, "{ 'execute': 'migrate-set-parameters', "
                               "'arguments': { 'max-bandwidth': 1000000 } }"));
    g_assert_cmpstr(error, ==, NULL);
    error = error_of(qtest_qmp(from->qts, "{ 'execute': 'migrate', "
                               "'arguments': { 'uri': %s } }", uri));
    g_assert_cmpstr(error, ==, NULL);
    RIG_WAIT(migration_is(from, "active"));
    rig_qmp(from, "migrate-start-postcopy");
    RIG_WAIT(in_postcopy(from));
    qtest_qmp_eventwait(to->qts, "RESUME");
    move(to, from, &out);
    move(to, from, &in);
    check_pages(&in, page, 0, PAGES, 1000);
    pair_do(&out, RMNIC_OP_FREE, 0, 1, 0);
    write_pages(&out, page, 0, 20, 4000);
    check_pages(&in, page, 0, 20, 4000);
    error = error_of(qtest_qmp(from->qts, "{ 'execute': 'migrate-set-parameters', "
                               "'arguments': { 'max-bandwidth': 1000000000, "
                               "'max-postcopy-bandwidth': 1000000000 } }"));
    g_assert_cmpstr(error, ==, NULL);
    RIG_WAIT(migrated(from));
    check_pages(&in, page, 20, PAGES - 20, 1000);
stop:
    rig_stop(from);
    rig_stop(to);
}

/* FATAL, and off, arrive as they were. */
static void migrate__fatal(void)
{
    g_autofree char *path = rig_path("migrate-fatal");
    g_autofree char *uri = g_strdup_printf("unix:%s", path);
    Rig *from = rig_start("size=128M", NULL);
    Rig *to = target("size=128M", uri);
    Pair admin;

    rig_reg64_set(from, RMNIC_REG_DRV_FEATURES, 1ull << 50);
    admin = rig_enable(from, 16);
    migrate(from, uri);
    qtest_qmp_eventwait(to->qts, "RESUME");
    move(to, from, &admin);
    g_assert_cmphex(rig_reg(to, RMNIC_REG_STATUS), ==, RMNIC_STATUS_FATAL);
    g_assert_cmphex(rig_reg(to, RMNIC_REG_ERROR), ==, RMNIC_ERR_FEATURES);
    rig_reg_set(to, RMNIC_REG_CTRL, 0);
    rig_ready(to);
    rig_stop(from);
    rig_stop(to);
}

static char *image(void)
{
    const char *qemu = g_getenv("QTEST_QEMU_BINARY");
    g_autofree char *dir = g_path_get_dirname(qemu), *path = rig_path("snapshot.qcow2");
    g_autofree char *command = g_strdup_printf("%s/qemu-img create -q -f qcow2 %s 64M", dir, path);

    g_assert_cmpint(system(command), ==, 0);
    return g_strdup_printf("-drive if=none,id=d,format=qcow2,file=%s", path);
}

/* A snapshot brings the pages back as they were, whatever was written since. */
static void migrate__snapshot(void)
{
    g_autofree char *drive = image(), *said = NULL;
    Rig *rig = rig_start("size=128M", drive);
    Pair admin = rig_ready(rig), out, in, out_then, in_then;
    uint64_t page = rig_alloc(rig, RMNIC_PAGE_SIZE);

    out = pair_create(&admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 2, 16);
    write_pages(&out, page, 0, 100, 1000);
    said = rig_hmp(rig, "savevm one");
    g_assert_cmpstr(said, ==, "");
    out_then = out;
    in_then = in;
    write_pages(&out, page, 0, 50, 7000);
    pair_do(&out, RMNIC_OP_FREE, 60 * 37, 1, 0);
    check_pages(&in, page, 0, 50, 7000);
    g_free(said);
    said = rig_hmp(rig, "loadvm one");
    g_assert_cmpstr(said, ==, "");
    out = out_then;
    in = in_then;
    check_pages(&in, page, 0, 100, 1000);
    write_pages(&out, page, 0, 10, 3000);
    check_pages(&in, page, 0, 10, 3000);
    rig_stop(rig);
}

/* The two sides do not fit: the target says why, the source goes on. */
static void migrate__mismatch(void)
{
    g_autofree char *path = rig_path("migrate-mismatch");
    g_autofree char *uri = g_strdup_printf("unix:%s", path), *error = NULL;
    Rig *from = rig_start("size=128M,queues=4", NULL);
    Rig *to = target("size=128M,queues=8,vectors=5", uri);
    Pair admin = rig_ready(from), out;

    error = error_of(qtest_qmp(from->qts, "{ 'execute': 'migrate', "
                               "'arguments': { 'uri': %s } }", uri));
    g_assert_cmpstr(error, ==, NULL);
    qtest_set_expected_status(to->qts, 1);
    RIG_WAIT(!qtest_probe_child(to->qts));
    /* The source learns of it only when it was still sending; either way it can go on. */
    RIG_WAIT(migration_is(from, "failed") || migration_is(from, "completed"));
    rig_qmp(from, "cont");
    out = pair_create(&admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    pair_do(&out, RMNIC_OP_ZERO, 0, 1, 0);
    rig_stop(from);
    rig_stop(to);
}

void test_migrate_add(void)
{
    g_test_add_func("/rmnic/migrate/live", migrate__live);
    g_test_add_func("/rmnic/migrate/capacity", migrate__capacity_state);
    g_test_add_func("/rmnic/migrate/hotplugged", migrate__hotplugged);
    g_test_add_func("/rmnic/migrate/in-flight", migrate__in_flight);
    g_test_add_func("/rmnic/migrate/postcopy", migrate__postcopy);
    g_test_add_func("/rmnic/migrate/fatal", migrate__fatal);
    g_test_add_func("/rmnic/migrate/snapshot", migrate__snapshot);
    g_test_add_func("/rmnic/migrate/mismatch", migrate__mismatch);
}
