/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/ringmem.h - the memory of an SQ or CQ, mapped page by page: what is contiguous to the
 * device need not be so to the host, because an IOMMU translates each page by itself. No entry
 * crosses a page, both sizes being powers of two.
 */
#ifndef RMNIC_ENGINE_RINGMEM_H
#define RMNIC_ENGINE_RINGMEM_H

#include "engine/host.h"
#include "rmnic/device.h"

struct rmnic_ringmem {
	struct rmnic_mapping *page; /* room for as many as the deepest ring has */
	uint32_t npages;            /* mapped */
	uint64_t addr;
};

/* Pages of a ring of so many entries of size bytes. */
static inline uint32_t rmnic_ringmem_pages(uint32_t depth, uint32_t size)
{
	return (depth * size + RMNIC_PAGE_SIZE - 1) / RMNIC_PAGE_SIZE;
}

/* addr is page-aligned. False: part of it is not RAM; then nothing is mapped. */
bool rmnic_ringmem_map(struct rmnic_ringmem *ring, const struct rmnic_host_ops *ops, void *host,
		       uint64_t addr, uint32_t len, bool write);
void rmnic_ringmem_unmap(struct rmnic_ringmem *ring, const struct rmnic_host_ops *ops,
			 void *host);
/* Bytes offset to offset + len were changed. */
void rmnic_ringmem_written(const struct rmnic_ringmem *ring, const struct rmnic_host_ops *ops,
			   void *host, uint32_t offset, uint32_t len);

static inline void *rmnic_ringmem_at(const struct rmnic_ringmem *ring, uint32_t offset)
{
	return (uint8_t *)ring->page[offset / RMNIC_PAGE_SIZE].ptr + offset % RMNIC_PAGE_SIZE;
}

#endif /* RMNIC_ENGINE_RINGMEM_H */
