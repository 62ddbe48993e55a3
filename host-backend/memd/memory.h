/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memd/memory.h - the memory that is lent: address space for as much as it may become, and
 * memory in it, by the granule (engine/frame.h).
 *
 * Huge pages are reserved when they are mapped: what could be mapped is there. Ordinary pages
 * come on first use. Used by one thread at a time.
 */
#ifndef RMNIC_MEMD_MEMORY_H
#define RMNIC_MEMD_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum memd_pages { MEMD_PAGES_HUGE, MEMD_PAGES_TRANSPARENT, MEMD_PAGES_SMALL };

struct memd_memory {
	uint8_t *base;
	uint64_t size;     /* bytes of address space: whole granules */
	uint64_t first;    /* of them memory from the start */
	enum memd_pages pages;
	bool locked;
	bool pinned;       /* a NIC knows the addresses: nothing is unmapped any more */
	void *mapping;
	uint64_t mapping_size;
};

/*
 * Address space for max bytes, of which the first `lent` become memory. huge: try huge pages.
 * -1: err.
 */
int memd_memory_open(struct memd_memory *m, uint64_t max, uint64_t lent, bool huge,
		     struct rmnic_error *err);
void memd_memory_close(struct memd_memory *m);

/* Makes granules memory, n from the first. False: there is none left; nothing was changed. */
bool memd_memory_map(struct memd_memory *m, uint32_t first, uint32_t n);
/* Gives a granule's memory back to the system. keep: it stays usable, and reads as zeros. */
void memd_memory_discard(struct memd_memory *m, uint32_t granule, bool keep);

/* "huge pages of 2 MiB", "transparent huge pages", ... */
const char *memd_memory_kind(const struct memd_memory *m);
/* Bytes of memory this machine has. */
uint64_t memd_memory_of_machine(void);

#endif /* RMNIC_MEMD_MEMORY_H */
