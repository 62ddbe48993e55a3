/* SPDX-License-Identifier: BSD-3-Clause */
#include "memd/memory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/log.h"
#include "engine/frame.h"
#include "rmnic/device.h"

#define GRANULE ((uint64_t)RMNIC_FRAME_GRANULE * RMNIC_PAGE_SIZE)

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB (21 << 26)
#endif

uint64_t memd_memory_of_machine(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

const char *memd_memory_kind(const struct memd_memory *m)
{
	switch (m->pages) {
	case MEMD_PAGES_HUGE:
		return "huge pages of 2 MiB";
	case MEMD_PAGES_TRANSPARENT:
		return "transparent huge pages";
	default:
		return "pages of 4 KiB";
	}
}

static bool transparent_allowed(void)
{
	char text[64] = "";
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return text[0] && !strstr(text, "[never]");
}

static bool map_at(struct memd_memory *m, uint64_t offset, uint64_t len)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	void *at = m->base + offset;

	if (m->pages == MEMD_PAGES_HUGE)
		flags |= MAP_HUGETLB | MAP_HUGE_2MB;
	if (mmap(at, len, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED)
		return false;
	if (m->pages == MEMD_PAGES_TRANSPARENT)
		madvise(at, len, MADV_HUGEPAGE);
	/* A page of a server that waits for the server's own disk would be a bad joke. Huge pages
	 * never leave memory. */
	if (m->pages != MEMD_PAGES_HUGE && mlock2(at, len, MLOCK_ONFAULT))
		m->locked = false;
	return true;
}

/* Address space without memory behind it. */
static bool unmap_at(struct memd_memory *m, uint64_t offset, uint64_t len)
{
	return mmap(m->base + offset, len, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != MAP_FAILED;
}

bool memd_memory_map(struct memd_memory *m, uint32_t first, uint32_t n)
{
	/* What a NIC knows was never given back. */
	if (m->pinned && (first + n) * GRANULE <= m->first)
		return true;
	if (map_at(m, first * GRANULE, n * GRANULE))
		return true;
	unmap_at(m, first * GRANULE, n * GRANULE);
	return false;
}

void memd_memory_discard(struct memd_memory *m, uint32_t granule, bool keep)
{
	uint64_t offset = granule * GRANULE;

	if (m->pinned)
		return;
	if (!keep) {
		/* The pages and, for huge ones, their reservation go back; a fault later on
		 * could not be answered otherwise, which is why huge ones are unmapped. */
		if (!unmap_at(m, offset, GRANULE))
			rmnic_log_limited(RMNIC_LOG_WARN, "memory could not be given back: %m");
	} else if (m->pages != MEMD_PAGES_HUGE) {
		/* Locked pages are not given away; and they are locked again when they are used. */
		munlock(m->base + offset, GRANULE);
		madvise(m->base + offset, GRANULE, MADV_DONTNEED);
		if (m->locked && mlock2(m->base + offset, GRANULE, MLOCK_ONFAULT))
			m->locked = false;
	}
}

int memd_memory_open(struct memd_memory *m, uint64_t max, uint64_t lent, bool huge,
		     struct rmnic_error *err)
{
	memset(m, 0, sizeof(*m));
	m->locked = true;
	m->size = (max + GRANULE - 1) / GRANULE * GRANULE;
	lent = (lent + GRANULE - 1) / GRANULE * GRANULE;
	m->first = lent;
	m->mapping_size = m->size + GRANULE;
	m->mapping = mmap(NULL, m->mapping_size, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->mapping == MAP_FAILED) {
		m->mapping = NULL;
		return rmnic_error_set(err, "address space for %llu MiB: %m (a smaller --memory-max?)",
				       (unsigned long long)m->size >> 20);
	}
	m->base = (uint8_t *)(((uintptr_t)m->mapping + GRANULE - 1) / GRANULE * GRANULE);
	m->pages = MEMD_PAGES_HUGE;
	if (huge && map_at(m, 0, lent))
		return 0;
	m->pages = transparent_allowed() ? MEMD_PAGES_TRANSPARENT : MEMD_PAGES_SMALL;
	if (huge)
		rmnic_log_info("there are not %llu free huge pages of 2 MiB (/proc/sys/vm/nr_hugepages, or "
			       "hugepages= on the kernel's command line): %s are used",
			       (unsigned long long)(lent / GRANULE), memd_memory_kind(m));
	if (map_at(m, 0, lent))
		return 0;
	rmnic_error_set(err, "%llu MiB of memory to lend: %m (a smaller --memory?)",
			(unsigned long long)lent >> 20);
	memd_memory_close(m);
	return -1;
}

void memd_memory_close(struct memd_memory *m)
{
	if (m->mapping)
		munmap(m->mapping, m->mapping_size);
	memset(m, 0, sizeof(*m));
}
