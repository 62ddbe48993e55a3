/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rig.h - one QEMU with one rmnic in it, driven without a guest: the test plays the driver.
 *
 * Everything that can fail fails the test with g_assert; nothing sleeps for a fixed time,
 * what has to come is waited for RIG_TIMEOUT_S at most.
 */
#ifndef RMNIC_TEST_RIG_H
#define RMNIC_TEST_RIG_H

#include "qemu/osdep.h"

#include "libqtest.h"
#include "libqos/pci.h"
#include "rmnic/device.h"

#define RIG_TIMEOUT_S 20
#define RIG_SLAB      (64 * 1024 * 1024ull)

typedef struct Rig {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar regs;
    QPCIBar msix;
    uint64_t free; /* guest memory from here on is unused */
    char *pidfile;
} Rig;

/* A queue pair as its driver sees it; pair 0 is the admin pair. */
typedef struct Pair {
    Rig *rig;
    uint16_t qid;
    uint32_t depth;
    uint64_t sq, cq, rec;
    uint32_t tail, head;
} Pair;

/* --- Machine -------------------------------------------------------------------------- */

/* q35 with -device rmnic,id=r,addr=4,<props> <more>; BARs mapped, bus master on. */
Rig *rig_start(const char *props, const char *more);
/* The machine and every option are the caller's; no device is looked for. */
Rig *rig_start_bare(const char *options);
/* Finds the device at devfn (bus in bits 15:8), maps it and turns bus mastering on. */
void rig_attach(Rig *rig, int devfn);
void rig_detach(Rig *rig);
void rig_stop(Rig *rig);
/* Zeroed guest memory, page-aligned. */
uint64_t rig_alloc(Rig *rig, size_t len);
uint64_t rig_rss_kib(Rig *rig);
/* A file name in a directory that goes away with the test program. */
char *rig_path(const char *name);

/* --- Registers and configuration space --------------------------------------------------- */

uint32_t rig_reg(Rig *rig, uint32_t offset);
uint64_t rig_reg64(Rig *rig, uint32_t offset);
void rig_reg_set(Rig *rig, uint32_t offset, uint32_t value);
void rig_reg64_set(Rig *rig, uint32_t offset, uint64_t value);
void rig_bus_master(Rig *rig, bool on);
/* D0 or D3hot, by the power management capability. */
void rig_power(Rig *rig, int state);
void rig_flr(Rig *rig);

/* --- QMP ---------------------------------------------------------------------------------- */

/* Counter of the property "stats"; "refused/<kind>" for a refusal. */
uint64_t rig_stat(Rig *rig, const char *name);
void rig_knob(Rig *rig, const char *name, uint64_t value);
/* qom-set; the error's text, or NULL when it was taken. Free it. */
char *rig_qom_set(Rig *rig, const char *name, uint64_t value);
char *rig_state(Rig *rig);
void rig_qmp(Rig *rig, const char *command);
char *rig_hmp(Rig *rig, const char *command);

/* --- Queues ------------------------------------------------------------------------------- */

/* Writes AQ_* and CTRL.ENABLE; the caller looks at STATUS. */
Pair rig_enable(Rig *rig, uint32_t depth);
/* The same, and READY is expected. */
Pair rig_ready(Rig *rig);
struct rmnic_admin_sqe rig_create_sqe(Rig *rig, Pair *pair, uint16_t qid, uint8_t qclass,
                                      uint16_t vector, uint16_t depth);
Pair pair_create(Pair *admin, uint16_t qid, uint8_t qclass, uint16_t vector, uint16_t depth);
/* Puts an entry of 64 bytes into the SQ, publishes it and rings where asked to. */
void pair_submit(Pair *pair, const void *sqe);
/* Rings only when need_wakeup says so, as a driver does (RING-10). */
void pair_ring(Pair *pair);
bool pair_ready(Pair *pair);
struct rmnic_cqe pair_reap(Pair *pair);
/* pair_submit() and pair_reap(): the status. */
uint16_t pair_status(Pair *pair, const void *sqe);

struct rmnic_sqe sqe_io(uint8_t opcode, uint64_t rpn, uint32_t npages, uint64_t addr);
/* One command and its completion, which must be OK. */
void pair_do(Pair *pair, uint8_t opcode, uint64_t rpn, uint32_t npages, uint64_t addr);

/* Fills a page of guest memory with bytes that follow from seed; compares it. */
void page_fill(Rig *rig, uint64_t addr, uint32_t seed);
bool page_is(Rig *rig, uint64_t addr, uint32_t seed);
bool page_is_zero(Rig *rig, uint64_t addr);

/* Waits until cond holds; fails the test with its text otherwise. */
#define RIG_WAIT(cond)                                                         \
    do {                                                                       \
        gint64 end_ = g_get_monotonic_time() + RIG_TIMEOUT_S * G_USEC_PER_SEC; \
        while (!(cond)) {                                                      \
            if (g_get_monotonic_time() > end_) {                               \
                g_error("%s:%d: waited in vain for: %s", __FILE__, __LINE__, #cond); \
            }                                                                  \
            g_usleep(200);                                                     \
        }                                                                      \
    } while (0)

/* --- The cases, one file each ----------------------------------------------------------------- */

void test_regs_add(void);
void test_command_add(void);
void test_reset_add(void);
void test_irq_add(void);
void test_hotplug_add(void);
void test_migrate_add(void);
void test_props_add(void);
void test_user_add(void);
void test_user_stop_add(void);
void test_user_refuse_add(void);

#endif /* RMNIC_TEST_RIG_H */
