/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/memstore.h - what a memory server keeps: devices, their slabs, the pages in them.
 *
 * It knows nothing of datagrams. It outlives the server that answers from it: a server that
 * is started anew on the same memstore is a new incarnation of the same store. 16 bytes of
 * metadata a page; nothing is allocated after creation.
 */
#ifndef RMNIC_ENGINE_MEMSTORE_H
#define RMNIC_ENGINE_MEMSTORE_H

#include "engine/crc32c.h"
#include "engine/env.h"
#include "engine/frame.h"
#include "rmnic/rmp.h"

struct rmnic_memstore_config {
	struct rmnic_env env;
	void *pages;         /* npages * 4096 bytes of address space, the caller's */
	uint32_t npages;     /* frames, at most */
	uint32_t lent;       /* frames that are memory at the start; 0: all */
	uint32_t slack;      /* frames never promised: for pages on their way in or out */
	uint32_t slab_pages; /* most pages of a slab */
	uint32_t max_slabs;  /* at most 1 << 20 */
	uint32_t max_devices;
	uint32_t max_refs;   /* datagrams under way that refer to frames */
	uint32_t quota;      /* pages that one device may reserve; 0: no limit */
	/*
	 * About the granule's memory (engine/frame.h); called in the thread that serves. keep: it
	 * stays in the pool, emptied; else it left the pool. NULL: memory is never given back.
	 */
	void (*discard)(void *arg, uint32_t granule, bool keep);
	/* A page of this device was found damaged at rest, for the log. May be NULL. */
	void (*damaged)(void *arg, const uint8_t device[16], uint64_t rpn);
	void *arg;
};

/* A page. vstate: version in bits 63:16, RMNIC_RMP_PAGE_* in bits 15:0. */
struct rmnic_page_meta {
	uint64_t vstate;
	uint32_t crc;
	uint32_t body; /* STORED: frame; FILLED: the word */
};
_Static_assert(sizeof(struct rmnic_page_meta) == 16, "RULES A2: 16 bytes a page");

struct rmnic_mem_device {
	bool used;
	uint32_t epoch; /* highest sealed: the fence */
	uint8_t uuid[16];
	uint8_t token[32];
	uint64_t version;  /* highest held */
	uint64_t reserved; /* pages */
	uint64_t stored;   /* pages with bytes or a word */
	uint32_t slabs;
	uint32_t sessions; /* the server's count */
	uint64_t seen;     /* ns, last message: the lease runs from here */
};

struct rmnic_mem_slab {
	uint64_t handle; /* 0: not in use */
	uint64_t previous; /* handle before it was renewed; 0: it was not */
	uint64_t number;
	uint64_t version; /* highest held */
	uint32_t device;
	uint32_t epoch;
	uint32_t pages;
	uint32_t stored;
	uint32_t next;   /* in the bucket or of the free ones */
	uint32_t cursor; /* of a released slab: pages given back so far */
	bool dying;
	struct rmnic_page_meta *meta;
	struct rmnic_rmp_view view; /* as it was recorded; little-endian */
};

struct rmnic_memstore {
	struct rmnic_memstore_config cfg;
	struct rmnic_frames *frames;
	struct rmnic_mem_device *devices;
	struct rmnic_mem_slab *slabs;
	struct rmnic_page_meta *meta;
	uint32_t *bucket;
	uint32_t buckets;
	uint32_t free_slab;
	uint32_t dying;
	uint32_t scan;       /* slab at which idle goes on */
	uint32_t scrub_slab, scrub_page; /* where scrubbing goes on */
	struct rmnic_crc32c crc;
	uint64_t store_id;   /* of this memory's contents */
	uint64_t generation; /* upper part of the next handle */
	uint64_t reserved, stored;
	uint64_t lent;       /* pages that the pool is to have; it may have more for a while */
	uint64_t bad;        /* pages that are marked so now */
	uint64_t scrubbed;   /* pages looked at, at rest */
	uint64_t damaged;    /* pages that were found so */
	uint64_t healed;     /* ... and have been written again since */
	bool draining;       /* by the operator: no new slabs */
	bool pressed;        /* memory is short: no new slabs */
};

/* NULL: out of memory or out of the ranges above. */
struct rmnic_memstore *rmnic_memstore_create(const struct rmnic_memstore_config *config);
void rmnic_memstore_destroy(struct rmnic_memstore *ms);

/* The device with this uuid, made on first use. Gives RMNIC_RMP_S_OK, DENIED or NO_SPACE. */
uint16_t rmnic_mem_device_open(struct rmnic_memstore *ms, const uint8_t *uuid,
			       const uint8_t *token, uint32_t *device);
/* OK, or FENCED when a higher epoch was sealed. */
uint16_t rmnic_mem_seal(struct rmnic_memstore *ms, uint32_t device, uint32_t epoch);

/* number, pages: of the slab. Gives the same handle again for the same (device, number, epoch). */
uint16_t rmnic_mem_alloc(struct rmnic_memstore *ms, uint32_t device, uint32_t epoch,
			 uint64_t number, uint32_t pages, uint64_t *handle);
/*
 * Gives the slab another handle, and the epoch; what is in it stays, but for pages of version
 * `from` and above. With the handle that it had before as well, which forgets nothing more: so
 * the request can be repeated. OK or UNKNOWN_SLAB.
 */
uint16_t rmnic_mem_renew(struct rmnic_memstore *ms, uint32_t device, uint32_t epoch,
			 uint64_t handle, uint64_t from, uint64_t *renewed);
/* The device's slab with this handle; NULL: none. */
struct rmnic_mem_slab *rmnic_mem_slab(struct rmnic_memstore *ms, uint32_t device, uint64_t handle);
/* The handle works no more; the pages come back by rmnic_mem_idle(). */
void rmnic_mem_release(struct rmnic_memstore *ms, struct rmnic_mem_slab *slab);
/* Whether all of [rpn, rpn + n) belongs to slab. */
bool rmnic_mem_covers(const struct rmnic_mem_slab *slab, uint64_t rpn, uint64_t n);
struct rmnic_page_meta *rmnic_mem_page(const struct rmnic_mem_slab *slab, uint64_t rpn);

/*
 * Whether a write of version to rpn would be applied: OK; DONE_ALREADY is told apart from
 * STALE by *again. crc: the page's, which must agree when the version does, unless what is there
 * is marked as damaged: that is replaced.
 */
uint16_t rmnic_mem_may_write(const struct rmnic_mem_slab *slab, uint64_t rpn, uint64_t version,
			     uint32_t crc, bool *again);
/* Enters a page whose bytes are in frame (STORED) or a word (FILLED); newer versions only. */
uint16_t rmnic_mem_write(struct rmnic_memstore *ms, struct rmnic_mem_slab *slab, uint64_t rpn,
			 uint64_t version, uint16_t kind, uint32_t crc, uint32_t body);
/* Leaves a tombstone on each page of the range that is older than version. */
void rmnic_mem_free(struct rmnic_memstore *ms, struct rmnic_mem_slab *slab, uint64_t rpn,
		    uint32_t n, uint64_t version);
/* Records a view newer than the one recorded; STALE: it is not. */
uint16_t rmnic_mem_record_view(struct rmnic_mem_slab *slab, const struct rmnic_rmp_view *view);

/*
 * Sets how many pages are lent: fewer than before leave the pool as they become free, more must
 * have been added to it (ms->frames). Never below what is promised; gives what it is from now on.
 */
uint64_t rmnic_mem_lend(struct rmnic_memstore *ms, uint64_t pages);
/* The system is short of memory: nothing more is promised. */
void rmnic_mem_press(struct rmnic_memstore *ms, bool on);
/* Gives pages of released slabs back, and memory to the system. Bounded; true: there is more. */
bool rmnic_mem_idle(struct rmnic_memstore *ms);
/* Releases all slabs of a device: its lease ran out, or its owner said so. */
void rmnic_mem_device_drop(struct rmnic_memstore *ms, uint32_t device);
/*
 * RMP-40. Looks at a page at rest and marks it BAD if it is not what its checksum says. False: it
 * is BAD.
 */
bool rmnic_mem_check(struct rmnic_memstore *ms, struct rmnic_mem_slab *slab, uint64_t rpn);
/* The same for the next n pages with content, at most; bounded. Gives how many it were. */
uint32_t rmnic_mem_scrub(struct rmnic_memstore *ms, uint32_t n);
/* Pages that can still be reserved. */
uint64_t rmnic_mem_free_pages(const struct rmnic_memstore *ms);

#endif /* RMNIC_ENGINE_MEMSTORE_H */
