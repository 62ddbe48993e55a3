/* SPDX-License-Identifier: (GPL-2.0-or-later OR BSD-3-Clause) */
/*
 * rmnic/state.h - the state of a device that outlives its backend.
 *
 * One block of memory a device, held by whoever holds the guest's memory and lent to each
 * backend in turn. Layouts and constants only; spec/state.md is the text. Little-endian;
 * reserved fields are zero. A reader validates every field.
 */
#ifndef RMNIC_STATE_H
#define RMNIC_STATE_H

#include "rmnic/rmp.h"

#define RMNIC_STATE_MAGIC   0x31305453524e4d52ull /* "RMNRST01" */
#define RMNIC_STATE_VERSION 1
#define RMNIC_STATE_ALIGN   4096 /* of each table */

/* At the start of the block. Offsets are from the block's start. */
struct rmnic_state_hdr {
	rmnic_le64 magic;
	rmnic_le32 version;
	rmnic_le32 hdr_size;
	rmnic_le64 size; /* of the whole block */
	rmnic_u8 uuid[16];
	rmnic_le64 pages; /* of the device: its maximum capacity */
	rmnic_le32 slab_pages;
	rmnic_le32 epoch; /* set by the holder of the block alone */
	rmnic_le64 slab_offset;   /* struct rmnic_state_slab, one a slab */
	rmnic_le64 page_offset;   /* 8 bytes a page: RMNIC_STATE_PAGE_* */
	rmnic_le64 queue_offset;  /* struct rmnic_state_queue, one a queue pair */
	rmnic_le64 flight_offset; /* struct rmnic_state_flight */
	rmnic_le32 queues;
	rmnic_le32 flights;
	rmnic_le64 next_version; /* no version at or above it was ever used */
	rmnic_le64 drv_features; /* of the enabling below */
	rmnic_le32 generation; /* of the enabling that queues and flights are of; 0: none */
	rmnic_le32 depth;      /* flights of each queue pair */
	rmnic_le64 spill_id;   /* of the spill file that has the SPILLED pages; 0: none */
	rmnic_le32 recovering; /* 1: servers may have slabs that no row names yet (STATE-30) */
	rmnic_le32 replicas;   /* members that slabs are to have; 0: as the backend is configured */
	rmnic_u8 rsvd[112];
	rmnic_le64 submissions; /* commands fetched so far */
};
RMNIC_ABI_SIZE(rmnic_state_hdr, 256);
RMNIC_ABI_OFFSET(rmnic_state_hdr, submissions, 248);

/* Who holds a slab, as of one view. */
struct rmnic_state_view {
	rmnic_le64 view; /* 0: the slab has no members yet */
	rmnic_u8 members; /* entries of member[] */
	rmnic_u8 syncing; /* a bit a member that is being filled and is not read */
	rmnic_u8 away;    /* a bit an entry that was dropped: not a member, remembered */
	rmnic_u8 spill;   /* 1: the slab has a place in the spill file */
	rmnic_u8 rsvd[4];
	rmnic_le64 since[RMNIC_RMP_MAX_MEMBERS]; /* away: it may lack versions from this one on */
	struct rmnic_rmp_member member[RMNIC_RMP_MAX_MEMBERS];
};
RMNIC_ABI_SIZE(rmnic_state_view, 176);

/* A row: two copies, of which the word `current` selects one. */
struct rmnic_state_slab {
	rmnic_le64 current; /* view that holds; copy[current & 1] has it */
	struct rmnic_state_view copy[2];
	rmnic_u8 rsvd[24];
};
RMNIC_ABI_SIZE(rmnic_state_slab, 384);

/* A page's word: version in bits 63:16, the rest in bits 15:0. */
#define RMNIC_STATE_PAGE_VERSION_SHIFT 16
#define RMNIC_STATE_PAGE_KIND          0x0007 /* one of: */
#define RMNIC_STATE_PAGE_NEVER         0 /* never written: zeros; the whole word is 0 */
#define RMNIC_STATE_PAGE_HELD          1 /* by every member of the slab's view */
#define RMNIC_STATE_PAGE_FREED         2 /* zeros */
#define RMNIC_STATE_PAGE_UNKNOWN       3 /* a page-out failed half way: INDETERMINATE */
#define RMNIC_STATE_PAGE_SPILLED       4 /* in the spill file */
#define RMNIC_STATE_PAGE_LOST          5 /* every holder is proved empty */
#define RMNIC_STATE_PAGE_WRITING       0x0008 /* a newer version may be on its way */
#define RMNIC_STATE_PAGE_TELL          0x0010 /* FREED, LOST: the members were not all told yet */
#define RMNIC_STATE_PAGE_RSVD          0xffe0

/* A queue pair, as far as the backend has come with it. Row 0 is the admin queue pair. */
struct rmnic_state_queue {
	rmnic_le32 active; /* 1: the pair exists; written last, and first when it is closed */
	rmnic_le32 depth;
	rmnic_le32 sq_head; /* SQEs fetched */
	rmnic_le32 cq_tail; /* CQEs written */
	rmnic_le64 sq_addr;
	rmnic_le64 cq_addr;
	rmnic_le64 rec_addr;
	rmnic_le16 vector;
	rmnic_u8 qclass;
	rmnic_u8 refusing; /* 1: the refusal below is under way; written last */
	rmnic_le16 coalesce_count;
	rmnic_le16 coalesce_us;
	/* A command whose cid cannot be its entry's: refused as soon as it is fetched. */
	rmnic_le32 refused_sq; /* index of its SQE, running freely */
	rmnic_le16 refused_cid;
	rmnic_le16 refused_status;
	rmnic_u8 rsvd[8];
};
RMNIC_ABI_SIZE(rmnic_state_queue, 64);
RMNIC_ABI_OFFSET(rmnic_state_queue, sq_head, 8); /* and cq_tail: one store moves both */

#define RMNIC_STATE_FLIGHT_IDLE       0
#define RMNIC_STATE_FLIGHT_FETCHED    1 /* redriven by a successor */
#define RMNIC_STATE_FLIGHT_COMPLETING 2 /* finished by a successor, never redriven */

/* A command in flight: flight[queue pair * depth + cid]. */
struct rmnic_state_flight {
	rmnic_le32 state;    /* RMNIC_STATE_FLIGHT_*: written last */
	rmnic_le32 sq_index; /* the SQE's, running freely */
	rmnic_le64 submission; /* the order in which commands were fetched */
	rmnic_le32 cq_index; /* COMPLETING: of its CQE, running freely */
	rmnic_u8 rsvd0[12];
	struct rmnic_sqe sqe; /* the copy that was checked */
	struct rmnic_cqe cqe; /* COMPLETING: what goes into the CQ */
	rmnic_u8 rsvd1[16];
};
RMNIC_ABI_SIZE(rmnic_state_flight, 128);

#endif /* RMNIC_STATE_H */
