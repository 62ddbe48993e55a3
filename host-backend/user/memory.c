/* SPDX-License-Identifier: BSD-3-Clause */
#include "user/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "user/fds.h"
#include "user/guard.h"

/* --- Regions ---------------------------------------------------------------------------------- */

static uint16_t cannot_map(struct rmnic_error *err, uint64_t size, const char *why, uint16_t status)
{
	rmnic_error_set(err, "%llu bytes of guest memory cannot be mapped: %s",
			(unsigned long long)size, why);
	return status;
}

/* USER-9: so that no access to what is mapped can fault; for what seals do not keep, see guard.h. */
uint16_t rmnic_guest_region_prepare(struct rmnic_guest_region *r, uint64_t addr, uint64_t size,
				    uint64_t offset, int fd, struct rmnic_error *err)
{
	uint64_t granule, first, end;
	uint16_t status;
	void *map;

	memset(r, 0, sizeof(*r));
	if (!size || (addr | size | offset) % 4096 || addr + size - 1 < addr ||
	    offset > INT64_MAX - size || size > INT64_MAX) {
		rmnic_error_set(err, "the region 0x%llx + 0x%llx at 0x%llx of its file is empty, "
				"not aligned to 4096, or wraps",
				(unsigned long long)addr, (unsigned long long)size,
				(unsigned long long)offset);
		return RMNIC_USER_S_INVALID;
	}
	status = rmnic_user_memfd_check(fd, F_SEAL_SHRINK, offset + size, false, &granule, err);
	if (status != RMNIC_USER_S_OK)
		return status;
	/* The file is a whole number of granules: rounding up does not pass its end. */
	first = offset / granule * granule;
	end = (offset + size + granule - 1) / granule * granule;
	map = mmap(NULL, end - first, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)first);
	if (map == MAP_FAILED)
		return cannot_map(err, size, strerrordesc_np(errno),
				  errno == ENOMEM ? RMNIC_USER_S_LIMIT : RMNIC_USER_S_BAD_FD);
	if (!rmnic_guard_add(map, end - first, granule)) {
		munmap(map, end - first);
		return cannot_map(err, size, "this process has too many regions",
				  RMNIC_USER_S_LIMIT);
	}
	/* A fork would otherwise take page faults on the page path. */
	madvise(map, end - first, MADV_DONTFORK);
	r->addr = addr;
	r->size = size;
	r->map = map;
	r->map_len = end - first;
	r->base = (uint8_t *)map + (offset - first);
	return RMNIC_USER_S_OK;
}

void rmnic_guest_region_unmap(struct rmnic_guest_region *r)
{
	if (r->map) {
		rmnic_guard_remove(r->map);
		munmap(r->map, r->map_len);
	}
	memset(r, 0, sizeof(*r));
}

/* --- The table -------------------------------------------------------------------------------- */

/* The number of regions that begin at addr or below it. */
static uint32_t below(const struct rmnic_guest_memory *mem, uint64_t addr)
{
	uint32_t low = 0, high = mem->count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (mem->region[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

uint16_t rmnic_guest_memory_insert(struct rmnic_guest_memory *mem,
				   const struct rmnic_guest_region *r)
{
	const struct rmnic_guest_region *next;
	uint32_t at = below(mem, r->addr);

	if (at && r->addr - mem->region[at - 1].addr < mem->region[at - 1].size)
		return RMNIC_USER_S_INVALID;
	next = &mem->region[at];
	if (at < mem->count && next->addr - r->addr < r->size)
		return RMNIC_USER_S_INVALID;
	if (mem->count == RMNIC_USER_MAX_REGIONS)
		return RMNIC_USER_S_LIMIT;
	memmove(&mem->region[at] + 1, &mem->region[at],
		(mem->count - at) * sizeof(mem->region[0]));
	mem->region[at] = *r;
	mem->region[at].uses = 0;
	mem->region[at].leaving = false;
	mem->count++;
	mem->last = at;
	return RMNIC_USER_S_OK;
}

struct rmnic_guest_region *rmnic_guest_memory_find(struct rmnic_guest_memory *mem, uint64_t addr,
						   uint64_t size)
{
	uint32_t at = below(mem, addr);
	struct rmnic_guest_region *r = at ? &mem->region[at - 1] : NULL;

	return r && r->addr == addr && r->size == size ? r : NULL;
}

void rmnic_guest_memory_remove(struct rmnic_guest_memory *mem, struct rmnic_guest_region *r,
			       struct rmnic_guest_region *out)
{
	uint32_t at = (uint32_t)(r - mem->region);

	*out = *r;
	mem->count--;
	memmove(r, r + 1, (mem->count - at) * sizeof(*r));
	memset(&mem->region[mem->count], 0, sizeof(*r));
	mem->last = 0;
}

void rmnic_guest_memory_clear(struct rmnic_guest_memory *mem)
{
	for (uint32_t i = 0; i < mem->count; i++)
		rmnic_guest_region_unmap(&mem->region[i]);
	memset(mem, 0, sizeof(*mem));
}

/* --- Translation ------------------------------------------------------------------------------ */

/* USER-10, written so that nothing overflows, whatever addr and len are. */
static bool holds(const struct rmnic_guest_region *r, uint64_t addr, uint32_t len)
{
	return addr >= r->addr && addr - r->addr < r->size && len <= r->size - (addr - r->addr);
}

/* Mappings are given back through it as well: the table's rows shift while they are in use. */
static struct rmnic_guest_region *lookup(struct rmnic_guest_memory *mem, uint64_t addr,
					 uint32_t len)
{
	struct rmnic_guest_region *r = &mem->region[mem->last];
	uint32_t at;

	/* Beyond count all is zero, and a region of size 0 holds nothing. */
	if (__builtin_expect(holds(r, addr, len), 1))
		return r;
	at = below(mem, addr);
	if (!at || !holds(&mem->region[at - 1], addr, len))
		return NULL;
	mem->last = at - 1;
	return &mem->region[at - 1];
}

bool rmnic_guest_memory_map(struct rmnic_guest_memory *mem, uint64_t addr, uint32_t len,
			    bool write, struct rmnic_mapping *out)
{
	struct rmnic_guest_region *r = lookup(mem, addr, len);

	if (!r || r->leaving || !len)
		return false;
	r->uses++;
	*out = (struct rmnic_mapping){
		.ptr = r->base + (addr - r->addr),
		.addr = addr,
		.len = len,
		.write = write,
	};
	return true;
}

void rmnic_guest_memory_unmap(struct rmnic_guest_memory *mem, struct rmnic_mapping *m)
{
	struct rmnic_guest_region *r = lookup(mem, m->addr, m->len);

	if (r && r->uses)
		r->uses--;
	*m = (struct rmnic_mapping){ 0 };
}
