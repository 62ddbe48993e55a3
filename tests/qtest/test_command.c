/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands: each does what it says, each refusal has its status and counter. */
#include "rig.h"

#include "qemu/bswap.h"

typedef struct Io {
    Rig *rig;
    Pair admin, out, in;
    uint64_t page; /* two pages of guest memory */
} Io;

static Io io_start(const char *props)
{
    Io io = { .rig = rig_start(props, NULL) };

    io.admin = rig_ready(io.rig);
    io.out = pair_create(&io.admin, 1, RMNIC_CLASS_PAGE_OUT, 1, 64);
    io.in = pair_create(&io.admin, 2, RMNIC_CLASS_PAGE_IN, 2, 64);
    io.page = rig_alloc(io.rig, 2 * RMNIC_PAGE_SIZE);
    return io;
}

/* CMD-5, CMD-6 */
static void command__one_page(void)
{
    Io io = io_start("size=128M");
    uint64_t back = io.page + RMNIC_PAGE_SIZE;

    page_fill(io.rig, back, 1);
    pair_do(&io.in, RMNIC_OP_PAGE_IN, 9, 1, back);
    g_assert_true(page_is_zero(io.rig, back));
    page_fill(io.rig, io.page, 2);
    pair_do(&io.out, RMNIC_OP_PAGE_OUT, 9, 1, io.page);
    pair_do(&io.in, RMNIC_OP_PAGE_IN, 9, 1, back);
    g_assert_true(page_is(io.rig, back, 2));
    page_fill(io.rig, io.page, 3);
    pair_do(&io.out, RMNIC_OP_PAGE_OUT, 9, 1, io.page);
    pair_do(&io.in, RMNIC_OP_PAGE_IN, 9, 1, back);
    g_assert_true(page_is(io.rig, back, 3));
    pair_do(&io.out, RMNIC_OP_ZERO, 9, 1, 0);
    pair_do(&io.in, RMNIC_OP_PAGE_IN, 9, 1, back);
    g_assert_true(page_is_zero(io.rig, back));
    pair_do(&io.out, RMNIC_OP_FLUSH, 0, 0, 0);
    rig_stop(io.rig);
}

/* A cluster of 512 pages, by a run and by a list; FREE by ranges. */
static void command__cluster(void)
{
    Io io = io_start("size=128M");
    uint64_t run = rig_alloc(io.rig, 512 * RMNIC_PAGE_SIZE);
    uint64_t list = rig_alloc(io.rig, RMNIC_PAGE_SIZE);
    uint64_t ranges = rig_alloc(io.rig, RMNIC_PAGE_SIZE);
    struct rmnic_sqe sqe;
    struct rmnic_range range[2] = { { .rpn = cpu_to_le64(100), .npages = cpu_to_le32(1) },
                                    { .rpn = cpu_to_le64(16200), .npages = cpu_to_le32(400) } };

    for (int i = 0; i < 512; i++) {
        page_fill(io.rig, run + i * RMNIC_PAGE_SIZE, i);
        qtest_writeq(io.rig->qts, list + i * 8, run + (511 - i) * RMNIC_PAGE_SIZE);
    }
    pair_do(&io.out, RMNIC_OP_PAGE_OUT, 16128, 512, run); /* crosses a slab */
    qtest_memset(io.rig->qts, run, 0xee, 512 * RMNIC_PAGE_SIZE);
    sqe = sqe_io(RMNIC_OP_PAGE_IN, 16128, 512, list);
    sqe.flags = RMNIC_SQE_F_LIST;
    g_assert_cmphex(pair_status(&io.in, &sqe), ==, RMNIC_SC_OK);
    for (int i = 0; i < 512; i++) {
        g_assert_true(page_is(io.rig, run + (511 - i) * RMNIC_PAGE_SIZE, i));
    }
    g_assert_cmpuint(rig_stat(io.rig, "pages-stored"), ==, 512);
    qtest_memwrite(io.rig->qts, ranges, range, sizeof(range));
    sqe = sqe_io(RMNIC_OP_FREE, 0, 2, ranges);
    sqe.flags = RMNIC_SQE_F_LIST;
    g_assert_cmphex(pair_status(&io.out, &sqe), ==, RMNIC_SC_OK);
    g_assert_cmpuint(rig_stat(io.rig, "pages-stored"), ==, 112);
    rig_stop(io.rig);
}

static void command__same_filled(void)
{
    Io io = io_start("size=128M");

    qtest_memset(io.rig->qts, io.page, 0x5a, RMNIC_PAGE_SIZE);
    pair_do(&io.out, RMNIC_OP_PAGE_OUT, 4, 1, io.page);
    pair_do(&io.in, RMNIC_OP_PAGE_IN, 4, 1, io.page + RMNIC_PAGE_SIZE);
    g_assert_cmphex(qtest_readq(io.rig->qts, io.page + RMNIC_PAGE_SIZE + 4088), ==,
                    0x5a5a5a5a5a5a5a5a);
    g_assert_cmpuint(rig_stat(io.rig, "pages-same-filled"), ==, 1);
    g_assert_cmpuint(rig_stat(io.rig, "pages-stored"), ==, 0);
    rig_stop(io.rig);
}

/* CMD-15: FREE is seen to fall in the process's resident memory. */
static void command__free_falls(void)
{
    Io io = io_start("size=256M");
    uint64_t list = rig_alloc(io.rig, RMNIC_PAGE_SIZE), before, full;
    const uint32_t npages = 32768; /* 128 MiB */

    page_fill(io.rig, io.page, 5);
    for (int i = 0; i < 512; i++) {
        qtest_writeq(io.rig->qts, list + i * 8, io.page);
    }
    before = rig_rss_kib(io.rig);
    for (uint32_t rpn = 0; rpn < npages; rpn += 512) {
        struct rmnic_sqe sqe = sqe_io(RMNIC_OP_PAGE_OUT, rpn, 512, list);

        sqe.flags = RMNIC_SQE_F_LIST;
        g_assert_cmphex(pair_status(&io.out, &sqe), ==, RMNIC_SC_OK);
    }
    full = rig_rss_kib(io.rig);
    g_assert_cmpuint(full, >, before + 120 * 1024);
    g_assert_cmpuint(rig_stat(io.rig, "pages-stored"), ==, npages);
    pair_do(&io.out, RMNIC_OP_FREE, 0, npages, 0);
    g_assert_cmpuint(rig_stat(io.rig, "pages-stored"), ==, 0);
    RIG_WAIT(rig_rss_kib(io.rig) < before + 8 * 1024);
    rig_stop(io.rig);
}

/* Each refusal of an I/O command: what is wrong, its status, its counter. */
static void command__refused(void)
{
    Io io = io_start("size=128M");
    const uint64_t mmio = 0xfed00000, hole = 1ull << 40;
    const struct {
        Pair *pair;
        struct rmnic_sqe sqe;
        uint16_t status;
        const char *counter;
    } cases[] = {
        { &io.out, { .opcode = 0x7f }, RMNIC_SC_INVALID_OPCODE, "invalid-opcode" },
        { &io.out, { .opcode = RMNIC_OP_IDENTIFY }, RMNIC_SC_INVALID_OPCODE, "invalid-opcode" },
        /* CMD-9 */
        { &io.out, { .opcode = RMNIC_OP_ZERO, .npages = 1, .rsvd[4] = 1 }, RMNIC_SC_INVALID_FIELD,
          "reserved-field" },
        { &io.out, { .opcode = RMNIC_OP_ZERO, .npages = 1, .flags = 0x80 },
          RMNIC_SC_INVALID_FIELD, "reserved-field" },
        { &io.out, { .opcode = RMNIC_OP_ZERO, .npages = 1, .addr = 4096 },
          RMNIC_SC_INVALID_FIELD, "reserved-field" },
        /* CMD-12 */
        { &io.out, { .opcode = RMNIC_OP_ZERO, .npages = 1, .cid = 64 }, RMNIC_SC_INVALID_CID,
          "bad-cid" },
        /* CMD-13 */
        { &io.in, { .opcode = RMNIC_OP_ZERO, .npages = 1 }, RMNIC_SC_WRONG_CLASS, "wrong-class" },
        { &io.out, { .opcode = RMNIC_OP_PAGE_IN, .npages = 1, .addr = io.page },
          RMNIC_SC_WRONG_CLASS, "wrong-class" },
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 0, .addr = io.page },
          RMNIC_SC_INVALID_LENGTH, "bad-length" },
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 513, .addr = io.page },
          RMNIC_SC_INVALID_LENGTH, "bad-length" },
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 2, .rpn = 32767, .addr = io.page },
          RMNIC_SC_RPN_RANGE, "rpn-range" },
        { &io.out, { .opcode = RMNIC_OP_FREE, .npages = 2, .rpn = UINT64_MAX },
          RMNIC_SC_RPN_RANGE, "rpn-range" },
        /* CMD-10 */
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 1, .addr = io.page + 64 },
          RMNIC_SC_INVALID_ADDRESS, "misaligned" },
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 1, .flags = RMNIC_SQE_F_LIST,
                    .addr = io.page + 32 }, RMNIC_SC_INVALID_ADDRESS, "misaligned" },
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 16, .flags = RMNIC_SQE_F_LIST,
                    .addr = io.page + 4032 }, RMNIC_SC_INVALID_ADDRESS, "list-crosses-page" },
        /* CMD-11: MMIO, nothing at all, ROM to write to, and the device's own BAR */
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 1, .addr = mmio },
          RMNIC_SC_INVALID_ADDRESS, "not-ram" },
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 1, .addr = hole },
          RMNIC_SC_INVALID_ADDRESS, "not-ram" },
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 1, .addr = 0xfffff000 },
          RMNIC_SC_INVALID_ADDRESS, "not-ram" },
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 1, .addr = io.rig->regs.addr },
          RMNIC_SC_INVALID_ADDRESS, "not-ram" },
        { &io.out, { .opcode = RMNIC_OP_PAGE_OUT, .npages = 1, .addr = io.rig->regs.addr },
          RMNIC_SC_INVALID_ADDRESS, "not-ram" },
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 1, .flags = RMNIC_SQE_F_LIST,
                    .addr = io.rig->regs.addr }, RMNIC_SC_INVALID_ADDRESS, "not-ram" },
        { &io.in, { .opcode = RMNIC_OP_PAGE_IN, .npages = 2, .addr = 0xfffffffffffff000 },
          RMNIC_SC_INVALID_ADDRESS, "not-ram" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        g_autofree char *counter = g_strdup_printf("refused/%s", cases[i].counter);
        uint64_t before = rig_stat(io.rig, counter);
        uint16_t status = pair_status(cases[i].pair, &cases[i].sqe);

        if (status != cases[i].status || rig_stat(io.rig, counter) != before + 1) {
            g_error("case %zu (%s): status 0x%x", i, counter, status);
        }
    }
    g_assert_cmphex(rig_reg(io.rig, RMNIC_REG_STATUS), ==, RMNIC_STATUS_READY);
    rig_stop(io.rig);
}

/* CMD-18 and the other admin refusals. */
static void command__admin_refused(void)
{
    Rig *rig = rig_start("size=128M,queues=4,vectors=3", NULL);
    Pair admin = rig_ready(rig), pair;
    struct rmnic_admin_sqe good = rig_create_sqe(rig, &pair, 1, RMNIC_CLASS_PAGE_IN, 1, 16), sqe;

#define REFUSED(change, sc)                                    \
    do {                                                       \
        sqe = good;                                            \
        change;                                                \
        g_assert_cmphex(pair_status(&admin, &sqe), ==, sc);    \
    } while (0)
    REFUSED(sqe.qid = 0, RMNIC_SC_INVALID_QID);
    REFUSED(sqe.qid = 5, RMNIC_SC_INVALID_QID);
    REFUSED(sqe.qclass = 2, RMNIC_SC_INVALID_FIELD);
    REFUSED(sqe.depth = 3, RMNIC_SC_INVALID_DEPTH);
    REFUSED(sqe.depth = 512, RMNIC_SC_INVALID_DEPTH);
    REFUSED(sqe.vector = 3, RMNIC_SC_INVALID_VECTOR);
    REFUSED(sqe.sq_addr += 64, RMNIC_SC_INVALID_ADDRESS);
    REFUSED(sqe.cq_addr = 1ull << 40, RMNIC_SC_INVALID_ADDRESS);
    REFUSED(sqe.rec_addr = rig->regs.addr, RMNIC_SC_INVALID_ADDRESS);
    REFUSED(sqe.rsvd1[0] = 1, RMNIC_SC_INVALID_FIELD);
    REFUSED(sqe.opcode = RMNIC_OP_PAGE_IN, RMNIC_SC_INVALID_OPCODE);
    REFUSED(memset(&sqe, 0, sizeof(sqe)); sqe.opcode = RMNIC_OP_DELETE_QP; sqe.qid = 1,
            RMNIC_SC_INVALID_QID);
    REFUSED(memset(&sqe, 0, sizeof(sqe)); sqe.opcode = RMNIC_OP_ABORT; sqe.qid = 1,
            RMNIC_SC_INVALID_QID);
    REFUSED(memset(&sqe, 0, sizeof(sqe)); sqe.opcode = RMNIC_OP_IDENTIFY; sqe.addr = 8,
            RMNIC_SC_INVALID_ADDRESS);
#undef REFUSED
    g_assert_cmphex(pair_status(&admin, &good), ==, RMNIC_SC_OK);
    g_assert_cmphex(pair_status(&admin, &good), ==, RMNIC_SC_INVALID_QID);
    rig_stop(rig);
}

/* CMD-16, CMD-17: commands held back by the delay knob are ended, each exactly once. */
static void command__abort_delete(void)
{
    Io io = io_start("size=128M,x-fault-delay-us=10000000");
    struct rmnic_sqe sqe = sqe_io(RMNIC_OP_PAGE_IN, 1, 1, io.page);
    struct rmnic_admin_sqe admin = { .opcode = RMNIC_OP_ABORT, .qid = cpu_to_le16(2),
                                     .target_cid = cpu_to_le16(7) };
    struct rmnic_cqe cqe;

    sqe.cid = cpu_to_le16(7);
    pair_submit(&io.in, &sqe);
    sqe.cid = cpu_to_le16(8);
    pair_submit(&io.in, &sqe);
    pair_submit(&io.admin, &admin);
    cqe = pair_reap(&io.admin);
    g_assert_cmphex(le16_to_cpu(cqe.status), ==, RMNIC_SC_OK);
    g_assert_cmphex(le32_to_cpu(cqe.done), ==, 1);
    cqe = pair_reap(&io.in);
    g_assert_cmphex(le16_to_cpu(cqe.cid), ==, 7);
    g_assert_cmphex(le16_to_cpu(cqe.status), ==, RMNIC_SC_ABORTED);
    g_assert_false(pair_ready(&io.in));

    admin = (struct rmnic_admin_sqe) { .opcode = RMNIC_OP_DELETE_QP, .qid = cpu_to_le16(2) };
    g_assert_cmphex(pair_status(&io.admin, &admin), ==, RMNIC_SC_OK);
    cqe = pair_reap(&io.in);
    g_assert_cmphex(le16_to_cpu(cqe.cid), ==, 8);
    g_assert_cmphex(le16_to_cpu(cqe.status), ==, RMNIC_SC_ABORTED);
    rig_stop(io.rig);
}

/* READ_STATS and the property agree. */
static void command__stats(void)
{
    Io io = io_start("size=128M");
    struct rmnic_admin_sqe admin = { .opcode = RMNIC_OP_READ_STATS,
                                     .addr = cpu_to_le64(io.page) };
    struct rmnic_stats stats;

    pair_do(&io.out, RMNIC_OP_ZERO, 0, 3, 0);
    pair_do(&io.in, RMNIC_OP_PAGE_IN, 0, 2, io.page);
    g_assert_cmphex(pair_status(&io.admin, &admin), ==, RMNIC_SC_OK);
    qtest_memread(io.rig->qts, io.page, &stats, sizeof(stats));
    g_assert_cmpuint(le64_to_cpu(stats.pages_zeroed), ==, 3);
    g_assert_cmpuint(le64_to_cpu(stats.pages_in), ==, 2);
    g_assert_cmpuint(rig_stat(io.rig, "pages-zeroed"), ==, 3);
    g_assert_cmpuint(rig_stat(io.rig, "pages-in"), ==, 2);
    g_assert_cmpuint(rig_stat(io.rig, "page-in-cmds"), ==, 1);
    rig_stop(io.rig);
}

/* The knobs: a status for the n-th command, a completion that lies. */
static void command__faults(void)
{
    Io io = io_start("size=128M");
    struct rmnic_sqe sqe = sqe_io(RMNIC_OP_PAGE_IN, 0, 1, io.page);
    struct rmnic_cqe cqe;

    rig_knob(io.rig, "x-fault-status", RMNIC_SC_LOST);
    rig_knob(io.rig, "x-fault-nth", 2);
    g_assert_cmphex(pair_status(&io.in, &sqe), ==, RMNIC_SC_OK);
    g_assert_cmphex(pair_status(&io.in, &sqe), ==, RMNIC_SC_LOST);
    g_assert_cmphex(pair_status(&io.in, &sqe), ==, RMNIC_SC_OK);
    g_assert_cmphex(pair_status(&io.in, &sqe), ==, RMNIC_SC_LOST);
    rig_knob(io.rig, "x-fault-nth", 0);
    rig_knob(io.rig, "x-fault-cqe", 1);
    rig_knob(io.rig, "x-fault-cqe-nth", 1);
    pair_submit(&io.in, &sqe);
    cqe = pair_reap(&io.in);
    g_assert_cmphex(le16_to_cpu(cqe.cid), !=, 0);
    g_assert_cmpuint(rig_stat(io.rig, "faults-injected"), ==, 3);
    rig_stop(io.rig);
}

/* RING-7: a tail out of range is fatal, and only for the device. */
static void command__bad_tail(void)
{
    Io io = io_start("size=128M");

    qtest_writel(io.rig->qts, io.out.rec, 1000);
    pair_ring(&io.out);
    RIG_WAIT(rig_reg(io.rig, RMNIC_REG_STATUS) == RMNIC_STATUS_FATAL);
    g_assert_cmphex(rig_reg(io.rig, RMNIC_REG_ERROR), ==, RMNIC_ERR_BAD_SQ_TAIL);
    g_assert_cmphex(rig_reg(io.rig, RMNIC_REG_EVENT), ==, RMNIC_EVENT_FATAL);
    g_assert_cmpuint(rig_stat(io.rig, "refused/bad-sq-tail"), ==, 1);
    rig_stop(io.rig);
}

static void command__bad_head(void)
{
    Io io = io_start("size=128M");

    qtest_writel(io.rig->qts, io.in.rec + offsetof(struct rmnic_dbrec, cq_head), 5);
    pair_submit(&io.in, &(struct rmnic_sqe) { .opcode = RMNIC_OP_PAGE_IN });
    RIG_WAIT(rig_reg(io.rig, RMNIC_REG_STATUS) == RMNIC_STATUS_FATAL);
    g_assert_cmphex(rig_reg(io.rig, RMNIC_REG_ERROR), ==, RMNIC_ERR_BAD_CQ_HEAD);
    rig_stop(io.rig);
}

void test_command_add(void)
{
    g_test_add_func("/rmnic/command/one-page", command__one_page);
    g_test_add_func("/rmnic/command/cluster", command__cluster);
    g_test_add_func("/rmnic/command/same-filled", command__same_filled);
    g_test_add_func("/rmnic/command/free-falls", command__free_falls);
    g_test_add_func("/rmnic/command/refused", command__refused);
    g_test_add_func("/rmnic/command/admin-refused", command__admin_refused);
    g_test_add_func("/rmnic/command/abort-delete", command__abort_delete);
    g_test_add_func("/rmnic/command/stats", command__stats);
    g_test_add_func("/rmnic/command/faults", command__faults);
    g_test_add_func("/rmnic/command/bad-tail", command__bad_tail);
    g_test_add_func("/rmnic/command/bad-head", command__bad_head);
}
