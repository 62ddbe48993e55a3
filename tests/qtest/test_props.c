/* SPDX-License-Identifier: BSD-3-Clause */
/* Properties: each wrong value is refused with an error that names it; memdev=; capacity. */
#include "rig.h"

#include "qemu/bswap.h"
#if __has_include("qobject/qdict.h")
#include "qobject/qdict.h"
#else
#include "qapi/qmp/qdict.h"
#endif

/* One refusal: the properties as JSON, and what the error has to say. */
static const struct {
    const char *name, *json, *error;
} wrong[] = {
    { "nothing", "", "nothing to keep pages in: give size= or memdev=" },
    { "both", ", 'size': 134217728, 'memdev': 'm'", "size= and memdev= exclude each other" },
    { "size-no-slab", ", 'size': 100000000",
      "size=100000000 is no multiple of slab-size=67108864 up to" },
    { "size-too-large", ", 'size': 562949953421312", "size=562949953421312 is no multiple" },
    { "slab-size", ", 'size': 134217728, 'slab-size': 3000000",
      "slab-size=3000000 is no power of two from 4096 to" },
    { "slab-size-small", ", 'size': 134217728, 'slab-size': 2048", "slab-size=2048 is no power" },
    { "queues-1", ", 'size': 134217728, 'queues': 1", "queues=1 is out of range (2-256)" },
    { "queues-257", ", 'size': 134217728, 'queues': 257", "queues=257 is out of range (2-256)" },
    { "depth-odd", ", 'size': 134217728, 'queue-depth': 100",
      "queue-depth=100 is no power of two from 2 to 4096" },
    { "depth-large", ", 'size': 134217728, 'queue-depth': 8192", "queue-depth=8192 is no power" },
    { "vectors-0", ", 'size': 134217728, 'vectors': 0", "vectors=0 is out of range (1-2048)" },
    { "vectors-2049", ", 'size': 134217728, 'vectors': 2049", "vectors=2049 is out of range" },
    { "serial-long", ", 'size': 134217728, 'serial': '12345678901234567890123456789012'",
      "is longer than 31 characters" },
    { "serial-space", ", 'size': 134217728, 'serial': 'a b'", "not printable ASCII" },
    { "uuid", ", 'size': 134217728, 'uuid': 'x'", "uuid" },
    { "capacity-no-slab", ", 'size': 134217728, 'capacity': 4096",
      "capacity=4096 is no multiple of slab-size=67108864 from 67108864 to 134217728" },
    { "capacity-large", ", 'size': 134217728, 'capacity': 268435456", "capacity=268435456 is no" },
    { "memdev-unknown", ", 'memdev': 'nothere'", "nothere" },
    { "memdev-no-slab", ", 'memdev': 'odd'", "memdev= of size 1048576 is no multiple" },
    { "memdev-taken", ", 'memdev': 'used'", "memdev=used is in use by another device" },
    { "iothread-unknown", ", 'size': 134217728, 'iothread': 'nothere'", "nothere" },
    { "fault-range", ", 'size': 134217728, 'x-fault-permille': 1001",
      "x-fault-permille=1001 is out of range (0-1000)" },
};

static void props__wrong(void)
{
    Rig *rig = rig_start_bare("-machine pc -object memory-backend-ram,id=m,size=128M "
                              "-object memory-backend-ram,id=odd,size=1M "
                              "-object memory-backend-ram,id=used,size=128M "
                              "-device rmnic,id=other,addr=5,memdev=used");

    for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
        g_autofree char *command = g_strdup_printf("{ 'execute': 'device_add', 'arguments': "
            "{ 'driver': 'rmnic', 'id': 'r', 'addr': '4' %s } }", wrong[i].json);
        QDict *rsp = qtest_qmp(rig->qts, command, NULL);
        const char *desc;

        if (!qdict_haskey(rsp, "error")) {
            g_error("%s was taken", wrong[i].name);
        }
        desc = qdict_get_str(qdict_get_qdict(rsp, "error"), "desc");
        if (!strstr(desc, wrong[i].error)) {
            g_error("%s: the error says '%s', not '%s'", wrong[i].name, desc, wrong[i].error);
        }
        qobject_unref(rsp);
    }
    /* Whatever was refused has left nothing behind. */
    qtest_qmp_device_add(rig->qts, "rmnic", "r", "{ 'addr': '4', 'memdev': 'm' }");
    rig_stop(rig);
}

/* memdev=: the pages lie in the user's memory; capacity, size and identity follow. */
static void props__memdev(void)
{
    g_autofree char *path = rig_path("pages");
    g_autofree char *more = g_strdup_printf("-object memory-backend-file,id=m,size=128M,"
                                            "share=on,mem-path=%s", path);
    Rig *rig = rig_start("memdev=m", more);
    g_autofree char *bytes = NULL;
    Pair admin = rig_ready(rig), out;
    uint64_t page = rig_alloc(rig, RMNIC_PAGE_SIZE);
    uint8_t want[RMNIC_PAGE_SIZE];
    gsize len;

    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_CAPACITY), ==, 32768);
    out = pair_create(&admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    page_fill(rig, page, 77);
    pair_do(&out, RMNIC_OP_PAGE_OUT, 1000, 1, page);
    qtest_memread(rig->qts, page, want, sizeof(want));
    g_assert_true(g_file_get_contents(path, &bytes, &len, NULL));
    g_assert_cmpuint(len, ==, 128 * 1024 * 1024);
    g_assert_cmpint(memcmp(bytes + 1000 * RMNIC_PAGE_SIZE, want, sizeof(want)), ==, 0);
    rig_stop(rig);
}

/* CAP-1, CAP-2: grows at run time, with an event; is never smaller than it was. */
static void props__capacity(void)
{
    Rig *rig = rig_start("size=256M,capacity=64M", NULL);
    g_autofree char *shrink = NULL, *odd = NULL, *above = NULL;
    Pair admin, out;
    struct rmnic_sqe sqe = sqe_io(RMNIC_OP_ZERO, 16384, 1, 0);
    uint64_t event_seq;

    rig_reg64_set(rig, RMNIC_REG_DRV_FEATURES, RMNIC_F_CAPACITY_EV);
    admin = rig_ready(rig);
    event_seq = admin.rec + offsetof(struct rmnic_dbrec, event_seq);
    out = pair_create(&admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    g_assert_cmphex(pair_status(&out, &sqe), ==, RMNIC_SC_RPN_RANGE);
    g_assert_cmphex(qtest_readl(rig->qts, event_seq), ==, 0);

    rig_knob(rig, "capacity", 2 * RIG_SLAB);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_CAPACITY), ==, 32768);
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_EVENT), ==, RMNIC_EVENT_CAPACITY);
    g_assert_cmphex(qtest_readl(rig->qts, event_seq), ==, 1);
    g_assert_cmphex(pair_status(&out, &sqe), ==, RMNIC_SC_OK);
    rig_reg_set(rig, RMNIC_REG_EVENT, RMNIC_EVENT_CAPACITY); /* rw1c */
    g_assert_cmphex(rig_reg(rig, RMNIC_REG_EVENT), ==, 0);

    shrink = rig_qom_set(rig, "capacity", RIG_SLAB);
    odd = rig_qom_set(rig, "capacity", 2 * RIG_SLAB + 4096);
    above = rig_qom_set(rig, "capacity", 5 * RIG_SLAB);
    g_assert_nonnull(strstr(shrink, "capacity=67108864 is no multiple of slab-size=67108864 "
                                    "from 134217728 to 268435456"));
    g_assert_nonnull(odd);
    g_assert_nonnull(above);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_CAPACITY), ==, 32768);

    /* Paused: told when DMA is allowed again. */
    rig_bus_master(rig, false);
    rig_knob(rig, "capacity", 3 * RIG_SLAB);
    g_assert_cmphex(qtest_readl(rig->qts, event_seq), ==, 1);
    rig_bus_master(rig, true);
    g_assert_cmphex(qtest_readl(rig->qts, event_seq), ==, 2);
    rig_stop(rig);
}

static void props__lie(void)
{
    Rig *rig = rig_start("size=128M,x-lie-capacity=1152921504606846976", NULL);

    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_CAPACITY), ==, 1ull << 60);
    rig_knob(rig, "x-lie-capacity", 0);
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_CAPACITY), ==, 32768);
    rig_stop(rig);
}

static unsigned rig_threads(Rig *rig)
{
    g_autofree char *pid = NULL, *path = NULL;
    GDir *dir;
    unsigned n = 0;

    g_assert_true(g_file_get_contents(rig->pidfile, &pid, NULL, NULL));
    path = g_strdup_printf("/proc/%s/task", g_strstrip(pid));
    dir = g_dir_open(path, 0, NULL);
    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

/* With an IOThread of the user's the device makes none of its own. */
static void props__iothread(void)
{
    Rig *other = rig_start("size=128M", "-object iothread,id=t");
    Rig *rig = rig_start("size=128M,iothread=t,serial=abc", "-object iothread,id=t");
    Pair admin = rig_ready(rig);
    uint64_t page = rig_alloc(rig, RMNIC_PAGE_SIZE);
    struct rmnic_admin_sqe sqe = { .opcode = RMNIC_OP_IDENTIFY, .addr = cpu_to_le64(page) };
    char serial[32];

    g_assert_cmphex(pair_status(&admin, &sqe), ==, RMNIC_SC_OK);
    qtest_memread(rig->qts, page, serial, sizeof(serial));
    g_assert_cmpstr(serial, ==, "abc");
    g_assert_cmpuint(rig_threads(rig), ==, rig_threads(other) - 1);
    rig_stop(rig);
    rig_stop(other);
}

/* Behind a vIOMMU the device says so and uses the addresses it translates (F_IOVA). */
static void iommu(const char *options)
{
    Rig *rig = rig_start_bare(options);
    Pair admin, out, in;
    uint64_t page = rig_alloc(rig, RMNIC_PAGE_SIZE);

    rig_attach(rig, QPCI_DEVFN(4, 0));
    g_assert_cmphex(rig_reg64(rig, RMNIC_REG_DEV_FEATURES) & RMNIC_F_IOVA, ==, RMNIC_F_IOVA);
    rig_reg64_set(rig, RMNIC_REG_DRV_FEATURES, RMNIC_F_IOVA);
    admin = rig_ready(rig);
    out = pair_create(&admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 16);
    in = pair_create(&admin, 2, RMNIC_CLASS_PAGE_IN, 2, 16);
    page_fill(rig, page, 31);
    pair_do(&out, RMNIC_OP_PAGE_OUT, 3, 1, page);
    page_fill(rig, page, 32);
    pair_do(&in, RMNIC_OP_PAGE_IN, 3, 1, page);
    g_assert_true(page_is(rig, page, 31));
    rig_stop(rig);
}

static void props__iommu(void)
{
    iommu("-machine q35 -device intel-iommu -device rmnic,id=r,addr=4,size=128M");
}

static void props__iommu_named_later(void)
{
    iommu("-machine q35 -device rmnic,id=r,addr=4,size=128M -device intel-iommu");
}

void test_props_add(void)
{
    g_test_add_func("/rmnic/props/wrong", props__wrong);
    g_test_add_func("/rmnic/props/memdev", props__memdev);
    g_test_add_func("/rmnic/props/capacity", props__capacity);
    g_test_add_func("/rmnic/props/lie-capacity", props__lie);
    g_test_add_func("/rmnic/props/iothread", props__iothread);
    g_test_add_func("/rmnic/props/iommu", props__iommu);
    g_test_add_func("/rmnic/props/iommu-named-later", props__iommu_named_later);
}
