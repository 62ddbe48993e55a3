/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/store_local.h - a page store in memory of this process: the embedded mode.
 *
 * Two blocks come from outside: the pages, where page rpn lies at rpn * 4096 (so the map is
 * arithmetic), and 16 bytes of metadata a page. Both may be migrated byte by byte; a store
 * opened on migrated blocks goes on where the old one stopped. Each change is told to the
 * owner of the blocks. Zeroed blocks are an empty store.
 */
#ifndef RMNIC_ENGINE_STORE_LOCAL_H
#define RMNIC_ENGINE_STORE_LOCAL_H

#include <stddef.h>

#include "engine/store.h"

/*
 * One page's metadata. version_flags: bits 63:16 version, bits 15:0 RMNIC_META_*. A page
 * whose flags are 0 was never written or was freed and reads as zeros. body: the repeated
 * word of a same-filled page, else the CRC32C in the low half and zero in the high half.
 */
struct rmnic_meta {
	uint64_t version_flags;
	uint64_t body;
};

#define RMNIC_META_STORED      0x1 /* the page's bytes are in the block */
#define RMNIC_META_SAME_FILLED 0x2 /* body is the page's repeated 64-bit word */
#define RMNIC_META_INDETERMINATE 0x4 /* a page-out failed half way (A10) */

struct rmnic_local_blocks {
	uint8_t *pages;          /* npages * 4096 bytes */
	struct rmnic_meta *meta; /* npages entries */
	uint64_t npages;
	uint32_t granule; /* bytes: the smallest piece discard can give back; 4096 or more */
	void *owner;
	/* Bytes were changed in the pages block or the metadata block (for migration). */
	void (*pages_dirty)(void *owner, uint64_t offset, uint64_t len);
	void (*meta_dirty)(void *owner, uint64_t offset, uint64_t len);
	/* Give the memory behind pages[offset, len) back; granule-aligned. False: it failed. */
	bool (*discard)(void *owner, uint64_t offset, uint64_t len);
};

/* uuid: 16 bytes, bound into each page's checksum. NULL: out of memory. */
struct rmnic_store *rmnic_store_local_create(const struct rmnic_local_blocks *blocks,
					     const uint8_t *uuid);
/* The metadata block was replaced (incoming migration, snapshot): count it afresh. */
void rmnic_store_local_reload(struct rmnic_store *store);
/* The counters a migrated store carries along; the gauge `stored` is not one of them. */
void rmnic_store_local_counters_load(struct rmnic_store *store,
				     const struct rmnic_store_counters *from);
void rmnic_store_local_destroy(struct rmnic_store *store);

#endif /* RMNIC_ENGINE_STORE_LOCAL_H */
