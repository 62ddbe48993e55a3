/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * user/memory.h - the guest's memory as a backend sees it: the one translation of guest
 * addresses (USER-10, RULES C2).
 *
 * Regions are sealed memfds, mapped when they are added. All functions are called in the
 * thread that polls the device, or while no thread does.
 */
#ifndef RMNIC_USER_MEMORY_H
#define RMNIC_USER_MEMORY_H

#include "common/error.h"
#include "engine/host.h"
#include "rmnic/user.h"

struct rmnic_guest_region {
	uint64_t addr, size;
	uint8_t *base;   /* of addr */
	void *map;       /* as mmap gave it */
	uint64_t map_len;
	uint32_t uses;   /* mappings not unmapped yet */
	bool leaving;    /* MEM_DEL came: no new use */
};

struct rmnic_guest_memory {
	uint32_t count;
	uint32_t last; /* the region of the last hit: guests have few */
	struct rmnic_guest_region region[RMNIC_USER_MAX_REGIONS]; /* by address */
};

/*
 * Maps a region (USER-9). fd stays the caller's. Returns RMNIC_USER_S_*; err has the text for
 * everything but OK. mmap is a system call: map in the control thread with _prepare(), then
 * enter it in the polling thread with _insert(), which cannot fail but for an overlap.
 */
uint16_t rmnic_guest_region_prepare(struct rmnic_guest_region *region, uint64_t addr,
				    uint64_t size, uint64_t offset, int fd,
				    struct rmnic_error *err);
uint16_t rmnic_guest_memory_insert(struct rmnic_guest_memory *mem,
				   const struct rmnic_guest_region *region);
/* The region with exactly this address and size, or NULL. */
struct rmnic_guest_region *rmnic_guest_memory_find(struct rmnic_guest_memory *mem, uint64_t addr,
						   uint64_t size);
/* Takes a region without uses out of the table; the caller unmaps *out afterwards. */
void rmnic_guest_memory_remove(struct rmnic_guest_memory *mem, struct rmnic_guest_region *region,
			       struct rmnic_guest_region *out);
void rmnic_guest_region_unmap(struct rmnic_guest_region *region);
/* Unmaps everything; nothing may be in use. */
void rmnic_guest_memory_clear(struct rmnic_guest_memory *mem);

/* For struct rmnic_host_ops: [addr, addr + len) lies in one region, or false. */
bool rmnic_guest_memory_map(struct rmnic_guest_memory *mem, uint64_t addr, uint32_t len,
			    bool write, struct rmnic_mapping *out);
void rmnic_guest_memory_unmap(struct rmnic_guest_memory *mem, struct rmnic_mapping *mapping);

#endif /* RMNIC_USER_MEMORY_H */
