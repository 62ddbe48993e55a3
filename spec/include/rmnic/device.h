/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-3-Clause) */
/*
 * rmnic/device.h - the ABI between the driver in the guest and the device.
 *
 * Layouts and constants only; spec/device.md is the text that goes with them and
 * `make check` compares the two. All fields are little-endian; every reserved field
 * is zero when written and is checked by its reader. The unit of transfer is 4 KiB,
 * whatever the guest's own page size.
 */
#ifndef RMNIC_DEVICE_H
#define RMNIC_DEVICE_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>
typedef __u8 rmnic_u8;
typedef __le16 rmnic_le16;
typedef __le32 rmnic_le32;
typedef __le64 rmnic_le64;
#define RMNIC_ABI_ASSERT(cond) static_assert(cond)
#else
#include <stddef.h>
#include <stdint.h>
typedef uint8_t rmnic_u8;
typedef uint16_t rmnic_le16;
typedef uint32_t rmnic_le32;
typedef uint64_t rmnic_le64;
#define RMNIC_ABI_ASSERT(cond) _Static_assert(cond, #cond)
#endif

#define RMNIC_ABI_SIZE(type, size) RMNIC_ABI_ASSERT(sizeof(struct type) == (size))
#define RMNIC_ABI_OFFSET(type, field, offset) \
	RMNIC_ABI_ASSERT(offsetof(struct type, field) == (offset))

/* --- PCI identity (device.md, "PCI identity") ------------------------------------ */

#define RMNIC_PCI_VENDOR_ID 0x1b36
#define RMNIC_PCI_DEVICE_ID 0x0052
#define RMNIC_PCI_CLASS     0x0580 /* memory controller, other */
#define RMNIC_PCI_REVISION  0x01

#define RMNIC_BAR_REGS 0 /* registers and doorbells, 64-bit, not prefetchable */
#define RMNIC_BAR_MSIX 2 /* MSI-X table and PBA, 64-bit */

#define RMNIC_PAGE_SHIFT 12
#define RMNIC_PAGE_SIZE  4096

/* --- Registers in BAR0 (device.md, "Registers") ----------------------------------- */

#define RMNIC_REG_MAGIC        0x000 /* 32 ro   RMNIC_MAGIC */
#define RMNIC_REG_VERSION      0x004 /* 32 ro   major in 31:16, minor in 15:0 */
#define RMNIC_REG_CAP_PTR      0x008 /* 32 ro   offset in BAR0 of the first capability */
#define RMNIC_REG_STATUS       0x00c /* 32 ro   RMNIC_STATUS_* */
#define RMNIC_REG_CTRL         0x010 /* 32 rw   RMNIC_CTRL_* */
#define RMNIC_REG_ERROR        0x014 /* 32 ro   RMNIC_ERR_*: why the device is FATAL */
#define RMNIC_REG_DEV_FEATURES 0x018 /* 64 ro   RMNIC_F_* the device offers */
#define RMNIC_REG_DRV_FEATURES 0x020 /* 64 rw   RMNIC_F_* the driver takes */
#define RMNIC_REG_CAPACITY     0x028 /* 64 ro   4 KiB pages that may be addressed now */
#define RMNIC_REG_EVENT        0x030 /* 32 rw1c RMNIC_EVENT_* */
#define RMNIC_REG_RESET_COUNT  0x034 /* 32 ro   resets completed, of any kind, mod 2^32 */
#define RMNIC_REG_AQ_DEPTH     0x038 /* 32 rw   entries of admin SQ and CQ, a power of two */
#define RMNIC_REG_AQ_SQ        0x040 /* 64 rw   address of the admin SQ */
#define RMNIC_REG_AQ_CQ        0x048 /* 64 rw   address of the admin CQ */
#define RMNIC_REG_AQ_REC       0x050 /* 64 rw   address of the admin doorbell record */
#define RMNIC_REG_UUID         0x060 /* 16 bytes ro, kept across migration */
#define RMNIC_REG_CAPS         0x100 /* capabilities, up to RMNIC_REGS_SIZE */
#define RMNIC_REGS_SIZE        0x1000
#define RMNIC_DB_OFFSET        0x1000 /* doorbell of queue pair q: + q * RMNIC_DB_STRIDE */
#define RMNIC_DB_STRIDE        4
#define RMNIC_BAR_REGS_SIZE    0x4000

#define RMNIC_MAGIC         0x314e4d52u /* "RMN1" */
#define RMNIC_VERSION_MAJOR 1
#define RMNIC_VERSION_MINOR 0

#define RMNIC_CTRL_ENABLE 0x1u /* 0 to 1: start; 1 to 0: reset */

#define RMNIC_STATUS_READY     0x1u /* commands are executed */
#define RMNIC_STATUS_RESETTING 0x2u /* DMA may still happen */
#define RMNIC_STATUS_FATAL     0x4u /* stopped by an error; leave by CTRL.ENABLE = 0 */
#define RMNIC_STATUS_WAITING   0x8u /* what executes commands is away and expected back */

#define RMNIC_EVENT_CAPACITY 0x1u /* CAPACITY has grown */
#define RMNIC_EVENT_FATAL    0x2u /* STATUS.FATAL was set */

/* RMNIC_REG_ERROR */
#define RMNIC_ERR_NONE         0
#define RMNIC_ERR_FEATURES     1 /* DRV_FEATURES has a bit that DEV_FEATURES has not */
#define RMNIC_ERR_AQ_DEPTH     2 /* AQ_DEPTH is no power of two, too small or too large */
#define RMNIC_ERR_AQ_ADDRESS   3 /* AQ_SQ, AQ_CQ or AQ_REC is misaligned or not in RAM */
#define RMNIC_ERR_BAD_SQ_TAIL  4 /* a tail ran more than a ring ahead of its head */
#define RMNIC_ERR_BAD_CQ_HEAD  5 /* a CQ head passed the CQ's tail */
#define RMNIC_ERR_DMA          6 /* a queue's memory went away */
#define RMNIC_ERR_INTERNAL     7 /* the device itself failed */
#define RMNIC_ERR_BUS_MASTER   8 /* enabled without PCI bus mastering */

/* Feature bits */
#define RMNIC_F_IOVA        (1ull << 0) /* addresses go through the platform's IOMMU */
#define RMNIC_F_CAPACITY_EV (1ull << 1) /* capacity may grow while enabled */
#define RMNIC_F_COALESCE    (1ull << 2) /* SET_COALESCE works */
#define RMNIC_F_SAME_FILLED (1ull << 3) /* same-filled pages take no store; informative */

/* --- Capabilities (device.md, "Capabilities") ------------------------------------- */

#define RMNIC_CAP_QUEUES   1
#define RMNIC_CAP_TRANSFER 2
#define RMNIC_CAP_STORE    3
#define RMNIC_CAP_TIMING   4

struct rmnic_cap_hdr {
	rmnic_le16 id;
	rmnic_u8 version;
	rmnic_u8 rsvd;
	rmnic_le16 length; /* of the whole capability, in bytes */
	rmnic_le16 next;   /* offset in BAR0 of the next one; 0: the last */
};
RMNIC_ABI_SIZE(rmnic_cap_hdr, 8);

struct rmnic_cap_queues {
	struct rmnic_cap_hdr hdr;
	rmnic_le16 max_qpairs; /* I/O queue pairs, ids 1 to max_qpairs */
	rmnic_le16 max_depth;  /* entries of an I/O queue */
	rmnic_le16 max_aq_depth;
	rmnic_le16 min_depth;
	rmnic_le32 db_offset; /* in BAR0, of queue pair 0's doorbell */
	rmnic_le32 db_stride; /* bytes from one doorbell to the next */
};
RMNIC_ABI_SIZE(rmnic_cap_queues, 24);

struct rmnic_cap_transfer {
	struct rmnic_cap_hdr hdr;
	rmnic_u8 page_shift; /* 12 */
	rmnic_u8 rsvd[3];
	rmnic_le32 max_pages;  /* of one PAGE_OUT or PAGE_IN */
	rmnic_le32 max_ranges; /* of one FREE list */
	rmnic_le32 rsvd2;
};
RMNIC_ABI_SIZE(rmnic_cap_transfer, 24);

struct rmnic_cap_store {
	struct rmnic_cap_hdr hdr;
	rmnic_le64 max_capacity; /* pages; CAPACITY never passes it */
	rmnic_le32 slab_pages;   /* CAPACITY is a multiple of it */
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_cap_store, 24);

struct rmnic_cap_timing {
	struct rmnic_cap_hdr hdr;
	rmnic_le32 ready_timeout_ms; /* longest wait for READY or for RESETTING to clear */
	rmnic_le32 command_timeout_ms; /* after which a driver may take a command for stuck */
};
RMNIC_ABI_SIZE(rmnic_cap_timing, 16);

/* --- Limits ------------------------------------------------------------------------ */

#define RMNIC_MAX_QPAIRS    256
#define RMNIC_MIN_DEPTH     2
#define RMNIC_MAX_DEPTH     4096
#define RMNIC_MAX_PAGES     512 /* a page list fills one 4 KiB page */
#define RMNIC_MAX_RANGES    256 /* a range list fills one 4 KiB page */
#define RMNIC_MAX_CAPACITY  (1ull << 36) /* pages: 256 TiB */
#define RMNIC_LIST_ALIGN    64 /* and a list never crosses a 4 KiB boundary */
#define RMNIC_RING_ALIGN    4096
#define RMNIC_REC_ALIGN     256
#define RMNIC_NO_VECTOR     0xffff

/* --- Submission queue entries (device.md, "Commands") ------------------------------ */

/* I/O commands: queue pairs 1 and up */
#define RMNIC_OP_PAGE_OUT 0x01
#define RMNIC_OP_PAGE_IN  0x02
#define RMNIC_OP_FREE     0x03
#define RMNIC_OP_ZERO     0x04
#define RMNIC_OP_FLUSH    0x05

/* Admin commands: queue pair 0 */
#define RMNIC_OP_IDENTIFY     0x81
#define RMNIC_OP_CREATE_QP    0x82
#define RMNIC_OP_DELETE_QP    0x83
#define RMNIC_OP_SET_COALESCE 0x84
#define RMNIC_OP_ABORT        0x85
#define RMNIC_OP_READ_STATS   0x86

#define RMNIC_SQE_F_LIST 0x01 /* addr is the address of a page list or a range list */

struct rmnic_sqe {
	rmnic_u8 opcode;
	rmnic_u8 flags;
	rmnic_le16 cid;    /* below the queue's depth, unique among the commands in flight */
	rmnic_le32 npages; /* pages; FREE with a list: ranges */
	rmnic_le64 rpn;    /* first remote page; FREE with a list, FLUSH: 0 */
	rmnic_le64 addr;   /* guest address: a run of npages pages, or a list */
	rmnic_le64 rsvd[5];
};
RMNIC_ABI_SIZE(rmnic_sqe, 64);
RMNIC_ABI_OFFSET(rmnic_sqe, rpn, 8);

/* One entry of a FREE list */
struct rmnic_range {
	rmnic_le64 rpn;
	rmnic_le32 npages; /* at least 1 */
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_range, 16);

/* What an I/O queue pair may carry */
#define RMNIC_CLASS_PAGE_OUT 0 /* PAGE_OUT, FREE, ZERO, FLUSH */
#define RMNIC_CLASS_PAGE_IN  1 /* PAGE_IN */

struct rmnic_admin_sqe {
	rmnic_u8 opcode;
	rmnic_u8 flags;      /* 0 */
	rmnic_le16 cid;
	rmnic_le16 qid;      /* CREATE_QP, DELETE_QP, SET_COALESCE, ABORT */
	rmnic_le16 vector;   /* CREATE_QP: MSI-X vector or RMNIC_NO_VECTOR */
	rmnic_le64 addr;     /* IDENTIFY, READ_STATS: a 4 KiB buffer */
	rmnic_le64 sq_addr;  /* CREATE_QP */
	rmnic_le64 cq_addr;  /* CREATE_QP */
	rmnic_le64 rec_addr; /* CREATE_QP */
	rmnic_le16 depth;    /* CREATE_QP: entries of SQ and CQ, a power of two */
	rmnic_u8 qclass;     /* CREATE_QP: RMNIC_CLASS_* */
	rmnic_u8 rsvd0;
	rmnic_le16 target_cid;     /* ABORT */
	rmnic_le16 coalesce_count; /* SET_COALESCE: completions; 0 and 1: no coalescing */
	rmnic_le16 coalesce_us;    /* SET_COALESCE: longest delay in us */
	rmnic_u8 rsvd1[14];
};
RMNIC_ABI_SIZE(rmnic_admin_sqe, 64);
RMNIC_ABI_OFFSET(rmnic_admin_sqe, depth, 40);

/* --- Completion queue entries (device.md, "Completions") --------------------------- */

/*
 * INVARIANT: phase is the word that publishes the entry; the device writes it last, with
 * release semantics, and the driver reads it first, with acquire semantics.
 */
struct rmnic_cqe {
	rmnic_le16 cid;
	rmnic_le16 status; /* RMNIC_SC_* */
	rmnic_le32 done;   /* pages (ranges of a FREE list) done; admin: command specific */
	rmnic_le32 failed; /* index of the first one that failed; RMNIC_NONE_FAILED: none */
	rmnic_le32 phase;  /* bit 0: phase; 15:1: zero; 31:16: queue pair id */
};
RMNIC_ABI_SIZE(rmnic_cqe, 16);
RMNIC_ABI_OFFSET(rmnic_cqe, phase, 12);

#define RMNIC_NONE_FAILED   0xffffffffu
#define RMNIC_CQE_PHASE     0x1u
#define RMNIC_CQE_QID_SHIFT 16

/* Status codes: the class in bits 11:8 says what a driver can do about it. */
#define RMNIC_SC_CLASS(sc)     ((sc) & 0xf00)
#define RMNIC_SC_CLASS_OK      0x000
#define RMNIC_SC_CLASS_REFUSED 0x100 /* the command is wrong: do not send it again */
#define RMNIC_SC_CLASS_RETRY   0x200 /* may succeed later; nothing about the page is known to be lost */
#define RMNIC_SC_CLASS_DATA    0x300 /* the page cannot be read; only writing it anew heals it */

#define RMNIC_SC_OK              0x000
#define RMNIC_SC_INVALID_OPCODE  0x101
#define RMNIC_SC_INVALID_FIELD   0x102 /* a reserved field or flag is set, or a value is unknown */
#define RMNIC_SC_INVALID_ADDRESS 0x103 /* misaligned, wrapping, or not directly accessible RAM */
#define RMNIC_SC_INVALID_LENGTH  0x104 /* npages is 0 or above the limit */
#define RMNIC_SC_RPN_RANGE       0x105 /* rpn + npages passes CAPACITY */
#define RMNIC_SC_INVALID_QID     0x106 /* no such queue pair, or it exists already */
#define RMNIC_SC_WRONG_CLASS     0x107 /* this queue pair does not carry this opcode */
#define RMNIC_SC_INVALID_CID     0x108 /* not below the depth, or in flight already */
#define RMNIC_SC_INVALID_VECTOR  0x109 /* beyond the MSI-X table */
#define RMNIC_SC_INVALID_DEPTH   0x10a /* no power of two, or outside the limits */
#define RMNIC_SC_BUSY            0x201
#define RMNIC_SC_UNREACHABLE     0x202 /* no holder of the page answered in time */
#define RMNIC_SC_NO_SPACE        0x203
#define RMNIC_SC_ABORTED         0x204 /* by ABORT or DELETE_QP */
#define RMNIC_SC_INTERNAL        0x205
#define RMNIC_SC_LOST            0x301 /* every holder is proved to have lost the page */
#define RMNIC_SC_INDETERMINATE   0x302 /* an earlier PAGE_OUT of the page failed half way */
#define RMNIC_SC_CORRUPT         0x303 /* every copy fails its checksum */

/* --- Doorbell record (device.md, "Doorbell record") -------------------------------- */

/*
 * One for each queue pair, in guest memory. Each writer has cache lines of its own. All
 * indexes run freely modulo 2^32; an index's slot is index & (depth - 1).
 */
struct rmnic_dbrec {
	/* written by the driver */
	rmnic_le32 sq_tail; /* SQEs submitted */
	rmnic_u8 rsvd0[60];
	/* written by the driver */
	rmnic_le32 cq_head; /* CQEs consumed */
	rmnic_le32 cq_arm;  /* interrupt when the CQE with this index is written */
	rmnic_u8 rsvd1[56];
	/* written by the device */
	rmnic_le32 need_wakeup; /* 1: ring the doorbell after moving sq_tail */
	rmnic_le32 sq_head;     /* SQEs fetched; informative, frees no slot */
	rmnic_le32 event_seq;   /* admin queue pair only: moves with each event */
	rmnic_u8 rsvd2[116];
};
RMNIC_ABI_SIZE(rmnic_dbrec, 256);
RMNIC_ABI_OFFSET(rmnic_dbrec, cq_head, 64);
RMNIC_ABI_OFFSET(rmnic_dbrec, need_wakeup, 128);

/* --- Data of admin commands -------------------------------------------------------- */

struct rmnic_identify {
	char serial[32];   /* NUL-padded ASCII */
	char model[32];
	char firmware[32]; /* implementation and its version */
	rmnic_u8 uuid[16];
	rmnic_le64 capacity;
	rmnic_le64 max_capacity;
	rmnic_le64 features;
	rmnic_le32 slab_pages;
	rmnic_le32 max_pages;
	rmnic_le32 max_ranges;
	rmnic_le16 max_qpairs;
	rmnic_le16 max_depth;
	rmnic_u8 rsvd[3944];
};
RMNIC_ABI_SIZE(rmnic_identify, 4096);
RMNIC_ABI_OFFSET(rmnic_identify, uuid, 96);
RMNIC_ABI_OFFSET(rmnic_identify, capacity, 112);

/* Free-running counters since power-on; a reset does not clear them. */
struct rmnic_stats {
	rmnic_le64 page_out_cmds;
	rmnic_le64 page_in_cmds;
	rmnic_le64 free_cmds;
	rmnic_le64 zero_cmds;
	rmnic_le64 flush_cmds;
	rmnic_le64 admin_cmds;
	rmnic_le64 pages_out;
	rmnic_le64 pages_in;
	rmnic_le64 pages_freed;
	rmnic_le64 pages_zeroed;
	rmnic_le64 pages_same_filled; /* of pages_out: took no page of the store */
	rmnic_le64 pages_in_unwritten; /* of pages_in: never written or freed, read as zeros */
	rmnic_le64 pages_stored;       /* gauge: pages of the store in use now */
	rmnic_le64 refused;            /* commands that ended with a status of class REFUSED */
	rmnic_le64 retried;            /* ... of class RETRY */
	rmnic_le64 lost;               /* ... of class DATA */
	rmnic_le64 aborted;
	rmnic_le64 interrupts;
	rmnic_le64 doorbells;
	rmnic_le64 wakeups;            /* times the device went to sleep and was woken */
	rmnic_le64 resets;
	rmnic_le64 fatal_errors;
	rmnic_u8 rsvd[3920];
};
RMNIC_ABI_SIZE(rmnic_stats, 4096);

#endif /* RMNIC_DEVICE_H */
