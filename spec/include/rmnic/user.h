/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-3-Clause) */
/*
 * rmnic/user.h - rmnic-user: what QEMU (the front end) and a backend process say to each other
 * over a UNIX stream socket.
 *
 * Layouts and constants only; spec/user.md is the text. Little-endian; reserved fields are
 * zero when written and are checked by their reader.
 */
#ifndef RMNIC_USER_H
#define RMNIC_USER_H

#include "rmnic/device.h"

#define RMNIC_USER_MAGIC       0x31525355u /* "USR1" */
#define RMNIC_USER_VERSION     1
#define RMNIC_USER_MAX_PAYLOAD 8192 /* bytes after the header */
#define RMNIC_USER_MAX_FDS     16   /* of one message */
#define RMNIC_USER_MAX_REGIONS 64   /* of guest memory at a time */
#define RMNIC_USER_MAX_VECTORS 2049
#define RMNIC_USER_TEXT_MAX    256

/* In front of each message. */
struct rmnic_user_hdr {
	rmnic_le32 magic;
	rmnic_le16 type;   /* RMNIC_USER_* */
	rmnic_le16 flags;  /* RMNIC_USER_F_* */
	rmnic_le32 size;   /* of the payload that follows, in bytes */
	rmnic_le32 seq;    /* of the request; a reply has its request's; notices count 0 */
	rmnic_le16 status; /* replies: RMNIC_USER_S_*; else 0 */
	rmnic_u8 rsvd[6];
};
RMNIC_ABI_SIZE(rmnic_user_hdr, 24);
RMNIC_ABI_OFFSET(rmnic_user_hdr, size, 8);

#define RMNIC_USER_F_REPLY  0x1 /* an answer of the backend */
#define RMNIC_USER_F_NOTICE 0x2 /* said by the backend unasked; not answered */

/* Requests of the front end */
#define RMNIC_USER_HELLO    1  /* versions and features */
#define RMNIC_USER_DEVICE   2  /* which device; its state block. fds: 1 */
#define RMNIC_USER_MEM_ADD  3  /* a region of guest memory. fds: 1 */
#define RMNIC_USER_MEM_DEL  4
#define RMNIC_USER_KICK     5  /* eventfd of the doorbells. fds: 1 */
#define RMNIC_USER_CALL     6  /* eventfds of interrupt vectors. fds: 1 to 16 */
#define RMNIC_USER_ENABLE   7  /* CTRL.ENABLE was set, or is set still after a restart */
#define RMNIC_USER_RESET    8  /* drop every queue and command */
#define RMNIC_USER_STOP     9  /* no DMA after the reply; queues are kept */
#define RMNIC_USER_START    10 /* go on after STOP */
#define RMNIC_USER_CAPACITY 11 /* reserve more */
#define RMNIC_USER_STATS    12
#define RMNIC_USER_LOG      13 /* dirty log; reserved: answered UNSUPPORTED */
#define RMNIC_USER_BYE      14 /* the device is gone for good: free what it holds */
#define RMNIC_USER_REQUESTS 15 /* one above the last */

/* Notices of the backend */
#define RMNIC_USER_FATAL   64 /* the device went FATAL */
#define RMNIC_USER_LEAVING 65 /* the backend has stopped DMA, unmapped all, and closes */

/* Statuses of a reply */
#define RMNIC_USER_S_OK          0
#define RMNIC_USER_S_VERSION     1  /* no version in common */
#define RMNIC_USER_S_INVALID     2  /* a field, length or number of fds is wrong */
#define RMNIC_USER_S_ORDER       3  /* not now: an earlier message is missing, or came twice */
#define RMNIC_USER_S_UNSUPPORTED 4  /* a request or feature that this backend has not */
#define RMNIC_USER_S_NO_SPACE    5  /* the servers cannot hold what the device would advertise */
#define RMNIC_USER_S_BAD_FD      6  /* not what it should be, not sealed, or too short */
#define RMNIC_USER_S_BAD_STATE   7  /* the state block makes no sense */
#define RMNIC_USER_S_IN_USE      8  /* another front end has this device */
#define RMNIC_USER_S_LIMIT       9  /* no more devices, regions or memory */
#define RMNIC_USER_S_FENCED      10 /* the servers know a newer epoch of this device */
#define RMNIC_USER_S_UNREACHABLE 11 /* servers that hold the device do not answer */
#define RMNIC_USER_S_INTERNAL    12
#define RMNIC_USER_S_COUNT       13

/* Feature bits of the connection; none so far. */
#define RMNIC_USER_FEATURES 0ull

/* The payload of every reply whose status is not OK: NUL-padded printable ASCII for a person. */
struct rmnic_user_error {
	char text[RMNIC_USER_TEXT_MAX];
	rmnic_le64 available; /* NO_SPACE: pages that could be had; else 0 */
};
RMNIC_ABI_SIZE(rmnic_user_error, 264);

struct rmnic_user_hello {
	rmnic_le16 version_min;
	rmnic_le16 version_max;
	rmnic_le32 rsvd;
	rmnic_le64 features; /* the front end's */
};
RMNIC_ABI_SIZE(rmnic_user_hello, 16);

struct rmnic_user_hello_reply {
	rmnic_le16 version; /* chosen */
	rmnic_le16 rsvd0;
	rmnic_le32 rsvd1;
	rmnic_le64 features;        /* taken, of those offered */
	rmnic_le64 device_features; /* RMNIC_F_* this backend's devices can have */
	char name[32];              /* implementation and its version */
};
RMNIC_ABI_SIZE(rmnic_user_hello_reply, 56);

struct rmnic_user_device {
	rmnic_u8 uuid[16];
	rmnic_le64 capacity;     /* pages, to be reserved before the reply */
	rmnic_le64 max_capacity; /* pages */
	rmnic_le32 slab_pages;
	rmnic_le16 max_qpairs;
	rmnic_le16 max_depth;
	rmnic_le16 vectors;
	rmnic_le16 rsvd0;
	rmnic_le32 epoch;      /* as in the state block */
	rmnic_le64 features;   /* RMNIC_F_* that the device offers its driver */
	rmnic_le64 state_size; /* bytes of the state block */
	char serial[32];
	char name[32]; /* of the virtual machine, for people; may be empty */
};
RMNIC_ABI_SIZE(rmnic_user_device, 128);

struct rmnic_user_device_reply {
	rmnic_le64 reserved; /* pages that have a place */
	rmnic_le32 command_timeout_ms;
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_user_device_reply, 16);

struct rmnic_user_region {
	rmnic_le64 addr;   /* guest physical */
	rmnic_le64 size;   /* bytes; both multiples of 4096 */
	rmnic_le64 offset; /* in the file, a multiple of 4096; MEM_DEL: 0 */
	rmnic_le64 rsvd;
};
RMNIC_ABI_SIZE(rmnic_user_region, 32);

struct rmnic_user_call {
	rmnic_le16 first; /* vector of the first fd */
	rmnic_le16 count; /* fds */
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_user_call, 8);

struct rmnic_user_enable {
	rmnic_le64 drv_features;
	rmnic_le64 aq_sq;
	rmnic_le64 aq_cq;
	rmnic_le64 aq_rec;
	rmnic_le32 aq_depth;
	rmnic_le32 generation; /* of this enabling, never 0: a successor goes on only with its own */
	rmnic_le32 stopped;    /* 1: as if a STOP had followed */
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_user_enable, 48);

struct rmnic_user_enable_reply {
	rmnic_le32 error; /* RMNIC_ERR_*: not NONE makes the device FATAL */
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_user_enable_reply, 8);

struct rmnic_user_stop {
	rmnic_le32 drain_ms; /* how long commands may still complete before they are put back */
	rmnic_le32 rsvd;
};
RMNIC_ABI_SIZE(rmnic_user_stop, 8);

struct rmnic_user_capacity {
	rmnic_le64 pages; /* request: wanted; reply: reserved */
};
RMNIC_ABI_SIZE(rmnic_user_capacity, 8);

struct rmnic_user_fatal {
	rmnic_le32 error; /* RMNIC_ERR_* */
	rmnic_le32 generation;
};
RMNIC_ABI_SIZE(rmnic_user_fatal, 8);

#endif /* RMNIC_USER_H */
