/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-3-Clause) */
/*
 * rmnic/rmp.h - RMP: the wire between a backend and the memory servers.
 *
 * Layouts and constants only; spec/rmp.md is the text that goes with them and `make check`
 * compares the two. All fields are little-endian; every reserved field is zero when written
 * and is checked by its reader. Headers lie at any address: read them by copying.
 */
#ifndef RMNIC_RMP_H
#define RMNIC_RMP_H

#include "rmnic/device.h"

#define RMNIC_RMP_VERSION 1

/* UDP ports of a server (rmp.md, "Ports") */
#define RMNIC_RMP_PORT_IN  7611 /* READ and what is as urgent */
#define RMNIC_RMP_PORT_OUT 7612 /* everything else */

/* --- Types (rmp.md, "Messages") ------------------------------------------------------ */

#define RMNIC_RMP_REPLY 0x80 /* set in the type of an answer */

#define RMNIC_RMP_HELLO        0x01 /* open a session */
#define RMNIC_RMP_CLOSE        0x02 /* end it */
#define RMNIC_RMP_PING         0x03 /* is anybody there */
#define RMNIC_RMP_PROBE        0x04 /* how much does the path carry */
#define RMNIC_RMP_SEAL         0x05 /* raise the fence to this epoch */
#define RMNIC_RMP_ALLOC        0x06 /* reserve a slab */
#define RMNIC_RMP_RELEASE      0x07 /* give it back */
#define RMNIC_RMP_LIST         0x08 /* the device's slabs here */
#define RMNIC_RMP_READ         0x09 /* page-in */
#define RMNIC_RMP_WRITE        0x0a /* page-out */
#define RMNIC_RMP_WRITE_FILLED 0x0b /* page-out of a repeated word */
#define RMNIC_RMP_FREE         0x0c /* pages given back */
#define RMNIC_RMP_RECORD_VIEW  0x0d /* keep this view beside the slab */
#define RMNIC_RMP_READ_VIEW    0x0e /* which view was recorded */
#define RMNIC_RMP_SYNC         0x0f /* what is held of a range */
#define RMNIC_RMP_STAT         0x10 /* counters and gauges */
#define RMNIC_RMP_RENEW        0x11 /* another handle for a slab, with all that is in it */

/* --- Statuses (rmp.md, "Statuses") --------------------------------------------------- */

#define RMNIC_RMP_S_OK           0
#define RMNIC_RMP_S_BUSY         1  /* not now: send it again */
#define RMNIC_RMP_S_QUOTA        2  /* the device holds as much as it may */
#define RMNIC_RMP_S_DRAINING     3  /* the server takes no new slabs */
#define RMNIC_RMP_S_NO_SPACE     4  /* the server is full */
#define RMNIC_RMP_S_FENCED       5  /* a newer epoch was sealed */
#define RMNIC_RMP_S_NOT_SEALED   6  /* this epoch was not sealed yet */
#define RMNIC_RMP_S_UNKNOWN_SLAB 7  /* no such handle: says nothing about the page */
#define RMNIC_RMP_S_STALE        8  /* a newer version is held */
#define RMNIC_RMP_S_ABSENT       9  /* never written under this handle, or freed */
#define RMNIC_RMP_S_CORRUPT      10 /* a checksum is wrong, on arrival or at rest */
#define RMNIC_RMP_S_VERSION      11 /* no version of the protocol in common */
#define RMNIC_RMP_S_COOKIE       12 /* say HELLO again with this cookie */
#define RMNIC_RMP_S_NO_SESSION   13
#define RMNIC_RMP_S_DENIED       14 /* wrong token */
#define RMNIC_RMP_S_INVALID      15 /* a field is out of range */
#define RMNIC_RMP_S_UNSUPPORTED  16 /* type, checksum or cipher unknown */
#define RMNIC_RMP_S_COUNT        17

/* --- Flags: bits 15:0 of vflags ------------------------------------------------------- */

#define RMNIC_RMP_F_RETRANSMIT 0x0001 /* request: sent before, with another stamp */
#define RMNIC_RMP_F_HEDGE      0x0002 /* request: asked of another member as well */
#define RMNIC_RMP_F_CONGESTION 0x0004 /* reply: the request came marked by the network */
#define RMNIC_RMP_F_COMPRESSED 0x0008 /* reserved for compression */
#define RMNIC_RMP_F_FILLED     0x0010 /* the payload is a word that fills the page */
#define RMNIC_RMP_F_PRESSURE   0x0020 /* reply: take slabs away from this server */
#define RMNIC_RMP_F_MORE       0x0040 /* reply: ask again from the cursor */
#define RMNIC_RMP_F_KNOWN      0x007f

#define RMNIC_RMP_VERSION_SHIFT 16                /* version: bits 63:16 of vflags */
#define RMNIC_RMP_VERSION_MAX   ((1ull << 48) - 1)

/* --- Limits --------------------------------------------------------------------------- */

#define RMNIC_RMP_TAG_SIZE    16        /* room that a cipher's tag will take */
#define RMNIC_RMP_MAX_TOTAL   (1u << 21) /* of a message's payload: 2 MiB */
#define RMNIC_RMP_MAX_BODY    1152      /* of a payload that is no page: one datagram */
#define RMNIC_RMP_MIN_MTU     1280
#define RMNIC_RMP_MAX_MTU     9216
#define RMNIC_RMP_SEG_ALIGN   8         /* offset, and length but of the last segment */
#define RMNIC_RMP_PAGE_OUTS   8         /* of one session in a server's queue */
#define RMNIC_RMP_MAX_RANGES  64        /* of one FREE */
#define RMNIC_RMP_MAX_FREE    1024      /* pages in the ranges of one FREE together */
#define RMNIC_RMP_MAX_LIST    24        /* entries in one answer to LIST */
#define RMNIC_RMP_MAX_SYNC    64        /* records in one answer to SYNC */
#define RMNIC_RMP_MAX_MEMBERS 4         /* of a view */
#define RMNIC_RMP_MAX_SLAB    (1u << 20) /* pages of a slab: 4 GiB */

#define RMNIC_RMP_CHECKSUM_CRC32C (1u << 0)
#define RMNIC_RMP_CIPHER_NONE     (1u << 0)
#define RMNIC_RMP_FEATURE_JOIN 1 /* several messages in a datagram (RMP-41) */

/* --- Headers --------------------------------------------------------------------------- */

/* What a client sends before each payload. No padding: 62 bytes (see RMP-1). */
struct rmnic_rmp_req {
	rmnic_u8 proto;    /* RMNIC_RMP_VERSION */
	rmnic_u8 type;
	rmnic_u8 hlen;     /* bytes from proto to the payload */
	rmnic_u8 stamp[3]; /* client's clock in microseconds: one value for each attempt */
	rmnic_le64 request;
	rmnic_le64 handle;
	rmnic_le64 rpn;
	rmnic_le64 vflags; /* version 48, RMNIC_RMP_F_* 16 */
	rmnic_le32 session;
	rmnic_le32 epoch;
	rmnic_le32 offset; /* of this datagram's payload in the message's */
	rmnic_le32 total;  /* bytes of the message's payload */
	rmnic_le32 crc;    /* of the page, or of the body */
	rmnic_le32 check;  /* of this header */
} __attribute__((packed));
RMNIC_ABI_SIZE(rmnic_rmp_req, 62);
RMNIC_ABI_OFFSET(rmnic_rmp_req, check, 58);

/* What a server sends. */
struct rmnic_rmp_rep {
	rmnic_u8 proto;
	rmnic_u8 type; /* the request's | RMNIC_RMP_REPLY */
	rmnic_u8 hlen;
	rmnic_u8 stamp[3]; /* the request's */
	rmnic_le64 request;
	rmnic_le32 credit;  /* bytes of payload that may be on their way to the server */
	rmnic_le16 queued;  /* microseconds the request waited in the server; 65535: or more */
	rmnic_le16 status;  /* RMNIC_RMP_S_* */
	rmnic_le64 rpn;
	rmnic_le64 vflags;
	rmnic_le32 session;
	rmnic_le32 epoch; /* highest one sealed for the device */
	rmnic_le32 offset;
	rmnic_le32 total;
	rmnic_le32 crc;
	rmnic_le32 check;
} __attribute__((packed));
RMNIC_ABI_SIZE(rmnic_rmp_rep, 62);
RMNIC_ABI_OFFSET(rmnic_rmp_rep, check, 58);

/* --- Bodies ----------------------------------------------------------------------------- */

struct rmnic_rmp_hello {
	rmnic_u8 version_min;
	rmnic_u8 version_max;
	rmnic_le16 rsvd0;
	rmnic_le32 checksums; /* offered: RMNIC_RMP_CHECKSUM_* */
	rmnic_le32 ciphers;   /* offered: RMNIC_RMP_CIPHER_* */
	rmnic_le32 rsvd1;
	rmnic_le64 features; /* offered: RMNIC_RMP_FEATURE_* */
	rmnic_u8 client[16]; /* the backend's own uuid */
	rmnic_u8 device[16];
	rmnic_u8 token[32]; /* proof of the right to the device's pages */
	rmnic_u8 cookie[16];
	rmnic_le64 nonce; /* of this attempt to open a session */
	rmnic_u8 rsvd2[16];
};
RMNIC_ABI_SIZE(rmnic_rmp_hello, 128);

struct rmnic_rmp_welcome {
	rmnic_u8 version_min;
	rmnic_u8 version_max;
	rmnic_u8 version; /* chosen; 0: none */
	rmnic_u8 rsvd0;
	rmnic_le32 checksum; /* chosen */
	rmnic_le32 cipher;   /* chosen */
	rmnic_le32 session;
	rmnic_le64 features; /* taken */
	rmnic_u8 server[16];
	rmnic_le64 boot_id;  /* of this life of the server: its incarnation */
	rmnic_le64 store_id; /* of the memory it serves from */
	rmnic_u8 cookie[16];
	rmnic_le64 nonce;
	rmnic_le32 max_mtu;    /* largest MTU worth probing */
	rmnic_le32 page_outs;  /* that the server queues for this session */
	rmnic_le32 slab_pages; /* largest slab */
	rmnic_le32 lease_ms;   /* 0: slabs are kept until released */
	rmnic_u8 rsvd1[32];
};
RMNIC_ABI_SIZE(rmnic_rmp_welcome, 128);

/* PROBE, both ways: the rest of the payload is zeros. */
struct rmnic_rmp_probe {
	rmnic_le32 back;    /* request: bytes of payload wanted in the answer; reply: received */
	rmnic_le32 segment; /* request: use it from now on (RMP-12), 0: no change; reply: 0 */
};
RMNIC_ABI_SIZE(rmnic_rmp_probe, 8);

struct rmnic_rmp_sealed {
	rmnic_le64 version; /* highest held for the device */
	rmnic_le64 view;    /* highest recorded */
	rmnic_le32 slabs;
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_rmp_sealed, 24);

struct rmnic_rmp_alloc {
	rmnic_le64 slab;  /* number: the header's rpn / pages */
	rmnic_le32 pages;
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_rmp_alloc, 16);

struct rmnic_rmp_allocated {
	rmnic_le64 handle;
	rmnic_le64 free_pages; /* that can still be reserved on this server */
};
RMNIC_ABI_SIZE(rmnic_rmp_allocated, 16);

/* LIST, both ways; in the answer entries follow. */
struct rmnic_rmp_list {
	rmnic_le64 cursor; /* 0: from the start; in the answer: where to go on */
	rmnic_le32 count;  /* of entries; 0 in the request */
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_rmp_list, 16);

struct rmnic_rmp_list_entry {
	rmnic_le64 handle;
	rmnic_le64 slab;
	rmnic_le64 view;
	rmnic_le64 version; /* highest held */
	rmnic_le32 epoch;   /* under which it was allocated */
	rmnic_le32 pages;   /* that hold content */
};
RMNIC_ABI_SIZE(rmnic_rmp_list_entry, 40);

struct rmnic_rmp_range {
	rmnic_le64 rpn;
	rmnic_le32 pages;
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_rmp_range, 16);

struct rmnic_rmp_member {
	rmnic_u8 server[16];
	rmnic_le64 store_id;
	rmnic_le64 handle;
};
RMNIC_ABI_SIZE(rmnic_rmp_member, 32);

/* RECORD_VIEW's request, READ_VIEW's answer. */
struct rmnic_rmp_view {
	rmnic_le64 view;
	rmnic_u8 members;
	rmnic_u8 syncing; /* a bit a member that is being filled */
	rmnic_u8 rsvd[6];
	struct rmnic_rmp_member member[RMNIC_RMP_MAX_MEMBERS];
};
RMNIC_ABI_SIZE(rmnic_rmp_view, 144);

/* SYNC, both ways; in the answer records follow. */
struct rmnic_rmp_sync {
	rmnic_le64 next;  /* request: 0; reply: rpn at which to go on */
	rmnic_le32 count; /* request: pages to look at; reply: records */
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_rmp_sync, 16);

#define RMNIC_RMP_PAGE_STORED    0x1 /* bytes are held */
#define RMNIC_RMP_PAGE_FILLED    0x2 /* a word is held */
#define RMNIC_RMP_PAGE_TOMBSTONE 0x4 /* freed at this version */
#define RMNIC_RMP_PAGE_BAD       0x8 /* damaged at rest */

struct rmnic_rmp_sync_record {
	rmnic_le64 vstate; /* version 48, RMNIC_RMP_PAGE_* 16 */
	rmnic_le32 page;   /* within the slab */
	rmnic_le32 crc;
};
RMNIC_ABI_SIZE(rmnic_rmp_sync_record, 16);

/* Of the server; device_* of the session's device. */
struct rmnic_rmp_stat {
	rmnic_le64 pages_total;
	rmnic_le64 pages_reserved;
	rmnic_le64 pages_stored;
	rmnic_le64 device_slabs;
	rmnic_le64 device_pages;
	rmnic_le64 sessions;
	rmnic_le64 reads;
	rmnic_le64 writes;
	rmnic_le64 duplicates;
	rmnic_le64 crc_errors;
	rmnic_le64 busy;
	rmnic_le64 free_pages; /* that can still be reserved */
	rmnic_le64 rsvd[4];
};
RMNIC_ABI_SIZE(rmnic_rmp_stat, 128);

#endif /* RMNIC_RMP_H */
