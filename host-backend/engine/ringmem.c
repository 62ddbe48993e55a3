/* SPDX-License-Identifier: BSD-3-Clause */
#include "engine/ringmem.h"

bool rmnic_ringmem_map(struct rmnic_ringmem *ring, const struct rmnic_host_ops *ops, void *host,
		       uint64_t addr, uint32_t len, bool write)
{
	ring->npages = 0;
	ring->addr = addr;
	while (len) {
		uint32_t part = len < RMNIC_PAGE_SIZE ? len : RMNIC_PAGE_SIZE;

		if (!ops->map(host, addr, part, write, &ring->page[ring->npages])) {
			rmnic_ringmem_unmap(ring, ops, host);
			return false;
		}
		ring->npages++;
		addr += part;
		len -= part;
	}
	return true;
}

void rmnic_ringmem_unmap(struct rmnic_ringmem *ring, const struct rmnic_host_ops *ops, void *host)
{
	while (ring->npages)
		ops->unmap(host, &ring->page[--ring->npages], 0);
}

void rmnic_ringmem_written(const struct rmnic_ringmem *ring, const struct rmnic_host_ops *ops,
			   void *host, uint32_t offset, uint32_t len)
{
	while (len) {
		uint32_t at = offset % RMNIC_PAGE_SIZE;
		uint32_t part = len < RMNIC_PAGE_SIZE - at ? len : RMNIC_PAGE_SIZE - at;

		ops->written(host, &ring->page[offset / RMNIC_PAGE_SIZE], at, part);
		offset += part;
		len -= part;
	}
}
