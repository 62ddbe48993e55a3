/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#if __has_include("qobject/qdict.h")
#include "qobject/qdict.h" /* QEMU 10.0 and later */
#else
#include "qapi/qmp/qdict.h"
#endif

#define RIG_RAM_START (2 * 1024 * 1024)
/* Where Debian's packages put what QEMU's source package leaves out. */
#define RIG_FIRMWARE  "-L /usr/share/seabios -L /usr/share/qemu"

/* --- Machine -------------------------------------------------------------------------- */

static char *rig_dir;

static void rig_dir_remove(void)
{
    g_autofree char *command = g_strdup_printf("rm -rf '%s'", rig_dir);

    if (system(command) != 0) {
        g_printerr("rig: %s could not be removed\n", rig_dir);
    }
}

char *rig_path(const char *name)
{
    if (!rig_dir) {
        rig_dir = g_dir_make_tmp("rmnic-qtest-XXXXXX", NULL);
        g_assert_nonnull(rig_dir);
        atexit(rig_dir_remove);
    }
    return g_build_filename(rig_dir, name, NULL);
}

Rig *rig_start_bare(const char *options)
{
    static unsigned n;
    Rig *rig = g_new0(Rig, 1);
    g_autofree char *name = g_strdup_printf("pid%u", n++);

    rig->pidfile = rig_path(name);
    rig->qts = qtest_initf("-m 256 -nodefaults -smp 1,maxcpus=2 " RIG_FIRMWARE " -pidfile %s %s",
                           rig->pidfile, options);
    rig->bus = qpci_new_pc(rig->qts, NULL);
    rig->free = RIG_RAM_START;
    return rig;
}

Rig *rig_start(const char *props, const char *more)
{
    g_autofree char *options = g_strdup_printf("-machine q35 -device rmnic,id=r,addr=4,%s %s",
                                               props, more ? more : "");
    Rig *rig = rig_start_bare(options);

    rig_attach(rig, QPCI_DEVFN(4, 0));
    return rig;
}

void rig_attach(Rig *rig, int devfn)
{
    rig->dev = qpci_device_find(rig->bus, devfn);
    g_assert_nonnull(rig->dev);
    qpci_device_enable(rig->dev);
    rig->regs = qpci_iomap(rig->dev, RMNIC_BAR_REGS, NULL);
}

void rig_detach(Rig *rig)
{
    g_free(rig->dev);
    rig->dev = NULL;
}

void rig_stop(Rig *rig)
{
    rig_detach(rig);
    qpci_free_pc(rig->bus);
    qtest_quit(rig->qts);
    g_free(rig->pidfile);
    g_free(rig);
}

uint64_t rig_alloc(Rig *rig, size_t len)
{
    uint64_t at = rig->free;

    len = ROUND_UP(len, RMNIC_PAGE_SIZE);
    rig->free += len;
    qtest_memset(rig->qts, at, 0, len);
    return at;
}

uint64_t rig_rss_kib(Rig *rig)
{
    g_autofree char *pid = NULL, *path = NULL, *status = NULL;
    const char *line;

    g_assert_true(g_file_get_contents(rig->pidfile, &pid, NULL, NULL));
    path = g_strdup_printf("/proc/%s/status", g_strstrip(pid));
    g_assert_true(g_file_get_contents(path, &status, NULL, NULL));
    line = strstr(status, "VmRSS:");
    g_assert_nonnull(line);
    return g_ascii_strtoull(line + strlen("VmRSS:"), NULL, 10);
}

/* --- Registers and configuration space --------------------------------------------------- */

uint32_t rig_reg(Rig *rig, uint32_t offset)
{
    return qpci_io_readl(rig->dev, rig->regs, offset);
}

uint64_t rig_reg64(Rig *rig, uint32_t offset)
{
    return qpci_io_readq(rig->dev, rig->regs, offset);
}

void rig_reg_set(Rig *rig, uint32_t offset, uint32_t value)
{
    qpci_io_writel(rig->dev, rig->regs, offset, value);
}

void rig_reg64_set(Rig *rig, uint32_t offset, uint64_t value)
{
    qpci_io_writeq(rig->dev, rig->regs, offset, value);
}

void rig_bus_master(Rig *rig, bool on)
{
    uint16_t command = qpci_config_readw(rig->dev, PCI_COMMAND);

    command = on ? command | PCI_COMMAND_MASTER : command & ~PCI_COMMAND_MASTER;
    qpci_config_writew(rig->dev, PCI_COMMAND, command);
}

void rig_power(Rig *rig, int state)
{
    uint8_t pm = qpci_find_capability(rig->dev, PCI_CAP_ID_PM, 0);

    g_assert_cmpint(pm, !=, 0);
    qpci_config_writew(rig->dev, pm + PCI_PM_CTRL, state);
}

void rig_flr(Rig *rig)
{
    uint8_t exp = qpci_find_capability(rig->dev, PCI_CAP_ID_EXP, 0);

    g_assert_cmpint(exp, !=, 0);
    qpci_config_writew(rig->dev, exp + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR);
}

/* --- QMP ---------------------------------------------------------------------------------- */

void rig_qmp(Rig *rig, const char *command)
{
    QDict *rsp = qtest_qmp(rig->qts, "{ 'execute': %s }", command);

    g_assert_true(qdict_haskey(rsp, "return"));
    qobject_unref(rsp);
}

char *rig_hmp(Rig *rig, const char *command)
{
    return qtest_hmp(rig->qts, "%s", command);
}

static QDict *rig_qom_get(Rig *rig, const char *name)
{
    QDict *rsp = qtest_qmp(rig->qts, "{ 'execute': 'qom-get', 'arguments': "
                           "{ 'path': '/machine/peripheral/r', 'property': %s } }", name);

    g_assert_true(qdict_haskey(rsp, "return"));
    return rsp;
}

uint64_t rig_stat(Rig *rig, const char *name)
{
    QDict *rsp = rig_qom_get(rig, "stats");
    QDict *stats = qdict_get_qdict(rsp, "return");
    uint64_t value;

    if (g_str_has_prefix(name, "refused/")) {
        stats = qdict_get_qdict(stats, "refused");
        name += strlen("refused/");
    }
    g_assert_true(qdict_haskey(stats, name));
    value = qdict_get_int(stats, name);
    qobject_unref(rsp);
    return value;
}

char *rig_state(Rig *rig)
{
    QDict *rsp = rig_qom_get(rig, "state");
    char *state = g_strdup(qdict_get_str(rsp, "return"));

    qobject_unref(rsp);
    return state;
}

char *rig_qom_set(Rig *rig, const char *name, uint64_t value)
{
    QDict *rsp = qtest_qmp(rig->qts, "{ 'execute': 'qom-set', 'arguments': "
                           "{ 'path': '/machine/peripheral/r', 'property': %s, 'value': %"
                           PRIu64 " } }", name, value);
    char *error = NULL;

    if (qdict_haskey(rsp, "error")) {
        error = g_strdup(qdict_get_str(qdict_get_qdict(rsp, "error"), "desc"));
    }
    qobject_unref(rsp);
    return error;
}

void rig_knob(Rig *rig, const char *name, uint64_t value)
{
    g_autofree char *error = rig_qom_set(rig, name, value);

    g_assert_cmpstr(error, ==, NULL);
}

/* --- Queues ------------------------------------------------------------------------------- */

static Pair pair_memory(Rig *rig, uint16_t qid, uint32_t depth)
{
    return (Pair) {
        .rig = rig,
        .qid = qid,
        .depth = depth,
        .sq = rig_alloc(rig, depth * sizeof(struct rmnic_sqe)),
        .cq = rig_alloc(rig, depth * sizeof(struct rmnic_cqe)),
        .rec = rig_alloc(rig, sizeof(struct rmnic_dbrec)),
    };
}

Pair rig_enable(Rig *rig, uint32_t depth)
{
    Pair admin = pair_memory(rig, 0, depth);

    rig_reg_set(rig, RMNIC_REG_AQ_DEPTH, depth);
    rig_reg64_set(rig, RMNIC_REG_AQ_SQ, admin.sq);
    rig_reg64_set(rig, RMNIC_REG_AQ_CQ, admin.cq);
    rig_reg64_set(rig, RMNIC_REG_AQ_REC, admin.rec);
    rig_reg_set(rig, RMNIC_REG_CTRL, RMNIC_CTRL_ENABLE);
    return admin;
}

Pair rig_ready(Rig *rig)
{
    Pair admin = rig_enable(rig, 16);

    g_assert_cmphex(rig_reg(rig, RMNIC_REG_STATUS), ==, RMNIC_STATUS_READY);
    return admin;
}

struct rmnic_admin_sqe rig_create_sqe(Rig *rig, Pair *pair, uint16_t qid, uint8_t qclass,
                                      uint16_t vector, uint16_t depth)
{
    *pair = pair_memory(rig, qid, depth);
    return (struct rmnic_admin_sqe) {
        .opcode = RMNIC_OP_CREATE_QP,
        .qid = cpu_to_le16(qid),
        .vector = cpu_to_le16(vector),
        .sq_addr = cpu_to_le64(pair->sq),
        .cq_addr = cpu_to_le64(pair->cq),
        .rec_addr = cpu_to_le64(pair->rec),
        .depth = cpu_to_le16(depth),
        .qclass = qclass,
    };
}

Pair pair_create(Pair *admin, uint16_t qid, uint8_t qclass, uint16_t vector, uint16_t depth)
{
    Pair pair;
    struct rmnic_admin_sqe sqe = rig_create_sqe(admin->rig, &pair, qid, qclass, vector, depth);

    g_assert_cmphex(pair_status(admin, &sqe), ==, RMNIC_SC_OK);
    return pair;
}

void pair_ring(Pair *pair)
{
    QTestState *qts = pair->rig->qts;

    if (qtest_readl(qts, pair->rec + offsetof(struct rmnic_dbrec, need_wakeup))) {
        rig_reg_set(pair->rig, RMNIC_DB_OFFSET + pair->qid * RMNIC_DB_STRIDE, 0);
    }
}

void pair_submit(Pair *pair, const void *sqe)
{
    QTestState *qts = pair->rig->qts;
    uint64_t slot = pair->sq + (pair->tail & (pair->depth - 1)) * sizeof(struct rmnic_sqe);

    qtest_memwrite(qts, slot, sqe, sizeof(struct rmnic_sqe));
    pair->tail++;
    qtest_writel(qts, pair->rec + offsetof(struct rmnic_dbrec, sq_tail), pair->tail);
    pair_ring(pair);
}

static struct rmnic_cqe pair_peek(Pair *pair)
{
    struct rmnic_cqe cqe;

    qtest_memread(pair->rig->qts, pair->cq + (pair->head & (pair->depth - 1)) * sizeof(cqe),
                  &cqe, sizeof(cqe));
    return cqe;
}

bool pair_ready(Pair *pair)
{
    struct rmnic_cqe cqe = pair_peek(pair);
    uint32_t phase = pair->head & pair->depth ? 0 : RMNIC_CQE_PHASE;

    return (le32_to_cpu(cqe.phase) & RMNIC_CQE_PHASE) == phase;
}

/* RING-2, RING-3. */
struct rmnic_cqe pair_reap(Pair *pair)
{
    QTestState *qts = pair->rig->qts;
    struct rmnic_cqe cqe;

    RIG_WAIT(pair_ready(pair));
    cqe = pair_peek(pair);
    g_assert_cmphex(le32_to_cpu(cqe.phase) >> RMNIC_CQE_QID_SHIFT, ==, pair->qid);
    pair->head++;
    qtest_writel(qts, pair->rec + offsetof(struct rmnic_dbrec, cq_head), pair->head);
    return cqe;
}

uint16_t pair_status(Pair *pair, const void *sqe)
{
    pair_submit(pair, sqe);
    return le16_to_cpu(pair_reap(pair).status);
}

struct rmnic_sqe sqe_io(uint8_t opcode, uint64_t rpn, uint32_t npages, uint64_t addr)
{
    return (struct rmnic_sqe) {
        .opcode = opcode,
        .npages = cpu_to_le32(npages),
        .rpn = cpu_to_le64(rpn),
        .addr = cpu_to_le64(addr),
    };
}

void pair_do(Pair *pair, uint8_t opcode, uint64_t rpn, uint32_t npages, uint64_t addr)
{
    struct rmnic_sqe sqe = sqe_io(opcode, rpn, npages, addr);
    struct rmnic_cqe cqe;

    pair_submit(pair, &sqe);
    cqe = pair_reap(pair);
    g_assert_cmphex(le16_to_cpu(cqe.status), ==, RMNIC_SC_OK);
    g_assert_cmphex(le32_to_cpu(cqe.done), ==, npages);
    g_assert_cmphex(le32_to_cpu(cqe.failed), ==, RMNIC_NONE_FAILED);
}

/* --- Pages ---------------------------------------------------------------------------------- */

static void page_bytes(uint32_t *page, uint32_t seed)
{
    for (uint32_t i = 0; i < RMNIC_PAGE_SIZE / sizeof(*page); i++) {
        page[i] = cpu_to_le32((seed << 16) ^ (i * 2654435761u));
    }
}

void page_fill(Rig *rig, uint64_t addr, uint32_t seed)
{
    uint32_t page[RMNIC_PAGE_SIZE / 4];

    page_bytes(page, seed);
    qtest_memwrite(rig->qts, addr, page, sizeof(page));
}

bool page_is(Rig *rig, uint64_t addr, uint32_t seed)
{
    uint32_t want[RMNIC_PAGE_SIZE / 4], got[RMNIC_PAGE_SIZE / 4];

    page_bytes(want, seed);
    qtest_memread(rig->qts, addr, got, sizeof(got));
    return memcmp(want, got, sizeof(got)) == 0;
}

bool page_is_zero(Rig *rig, uint64_t addr)
{
    uint8_t got[RMNIC_PAGE_SIZE];

    qtest_memread(rig->qts, addr, got, sizeof(got));
    return buffer_is_zero(got, sizeof(got));
}
