/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include "fake.h"

#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void die(const char *what)
{
	perror(what);
	abort();
}

void fake_init(struct fake *fake)
{
	int fd = memfd_create("guest", 0);

	memset(fake, 0, sizeof(*fake));
	if (fd < 0 || ftruncate(fd, FAKE_SIZE))
		die("fake: guest memory");
	fake->ram = mmap(NULL, FAKE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	fake->device = mmap(NULL, FAKE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fake->ram == MAP_FAILED || fake->device == MAP_FAILED)
		die("fake: guest memory");
	close(fd);
	__asan_poison_memory_region(fake->device, FAKE_SIZE);
	fake->dirty = calloc(FAKE_SIZE / 16, 1);
	if (!fake->dirty)
		die("fake: dirty bytes");
	fake->tick = 1;
	fake->now = 1000;
	fake->next = FAKE_BASE;
}

void fake_free(struct fake *fake)
{
	__asan_unpoison_memory_region(fake->device, FAKE_SIZE);
	free(fake->dirty);
	munmap(fake->ram, FAKE_SIZE);
	munmap(fake->device, FAKE_SIZE);
}

void fake_forget(struct fake *fake)
{
	memset(fake->live, 0, sizeof(fake->live));
	fake->mapped = 0;
	__asan_poison_memory_region(fake->device, FAKE_SIZE);
}

uint64_t fake_alloc(struct fake *fake, uint32_t bytes, uint32_t align)
{
	uint64_t addr = (fake->next + align - 1) / align * align;

	if (addr + bytes > FAKE_BASE + FAKE_SIZE)
		die("fake: out of guest memory");
	fake->next = addr + bytes;
	return addr;
}

void *fake_at(const struct fake *fake, uint64_t addr)
{
	if (addr < FAKE_BASE || addr >= FAKE_BASE + FAKE_SIZE)
		die("fake: no such guest address");
	return fake->ram + (addr - FAKE_BASE);
}

static void mark(struct fake *fake, uint64_t addr, uint32_t len)
{
	uint64_t first = (addr - FAKE_BASE) / 16;

	if (len)
		memset(fake->dirty + first, 1, (addr - FAKE_BASE + len - 1) / 16 - first + 1);
}

bool fake_dirty(struct fake *fake, uint64_t addr)
{
	uint8_t *dirty = &fake->dirty[(addr - FAKE_BASE) / 16];
	bool was = *dirty;

	*dirty = 0;
	return was;
}

static void call_hook(struct fake *fake, enum fake_point point, const struct rmnic_mapping *m,
		      uint32_t offset)
{
	if (fake->hook)
		fake->hook(fake, point, m, offset);
}

static bool fake_map(void *host, uint64_t addr, uint32_t len, bool write, struct rmnic_mapping *out)
{
	struct fake *fake = host;
	uint64_t offset = addr - FAKE_BASE;
	struct fake_live *live = fake->live;

	if (!len || addr + len < addr) {
		fake->bad_calls++;
		return false;
	}
	if (fake->no_memory || addr < FAKE_BASE || offset >= FAKE_SIZE || len > FAKE_SIZE - offset)
		return false;
	for (uint64_t page = offset / 4096; page <= (offset + len - 1) / 4096; page++)
		if (fake->hole[page])
			return false;
	while (live->used)
		if (++live == fake->live + FAKE_MAPPINGS)
			return false;
	*live = (struct fake_live){ .addr = addr, .len = len, .used = true, .write = write };
	fake->mapped++;
	__asan_unpoison_memory_region(fake->device + offset, len);
	*out = (struct rmnic_mapping){
		.ptr = fake->device + offset, .addr = addr, .len = len, .write = write, .opaque = live
	};
	call_hook(fake, FAKE_MAP, out, 0);
	return true;
}

static void fake_unmap(void *host, struct rmnic_mapping *m, uint32_t written)
{
	struct fake *fake = host;
	struct fake_live *live = m->opaque;

	if (!live->used || live->addr != m->addr || written > m->len || (written && !m->write))
		fake->bad_calls++;
	else
		mark(fake, m->addr, written);
	live->used = false;
	fake->mapped--;
	__asan_poison_memory_region(m->ptr, m->len);
	/* Other mappings of the same memory stay valid. */
	for (unsigned int i = 0, seen = 0; seen < fake->mapped && i < FAKE_MAPPINGS; i++) {
		if (!fake->live[i].used)
			continue;
		seen++;
		__asan_unpoison_memory_region(fake->device + (fake->live[i].addr - FAKE_BASE),
					      fake->live[i].len);
	}
	m->ptr = NULL;
}

static void fake_written(void *host, const struct rmnic_mapping *m, uint32_t offset, uint32_t len)
{
	struct fake *fake = host;
	const struct fake_live *live = m->opaque;

	if (!live->used || !m->write || !len || offset > m->len || len > m->len - offset)
		fake->bad_calls++;
	else
		mark(fake, m->addr + offset, len);
	call_hook(fake, FAKE_WRITTEN, m, offset);
}

static void fake_irq(void *host, uint16_t vector)
{
	struct fake *fake = host;

	fake->irqs[vector]++;
	fake->irq_total++;
}

static uint64_t fake_now(void *host)
{
	struct fake *fake = host;

	call_hook(fake, FAKE_NOW, NULL, 0);
	return fake->now += fake->tick;
}

static void fake_membarrier(void *host)
{
	struct fake *fake = host;

	fake->membarriers++;
	call_hook(fake, FAKE_MEMBARRIER, NULL, 0);
}

static void fake_refused(void *host, enum rmnic_refusal why, uint16_t qid, uint16_t cid,
			 uint64_t value)
{
	struct fake *fake = host;

	(void)qid;
	(void)cid;
	fake->refused[why]++;
	fake->refused_total++;
	fake->refused_value = value;
}

static void fake_fetched(void *host, uint16_t qid, uint16_t cid, uint8_t opcode, uint64_t rpn,
			 uint32_t npages)
{
	struct fake *fake = host;

	(void)qid;
	(void)cid;
	(void)opcode;
	(void)rpn;
	(void)npages;
	fake->fetched++;
}

static void fake_completed(void *host, uint16_t qid, uint16_t cid, uint16_t status,
			   uint64_t latency_ns)
{
	struct fake *fake = host;

	(void)qid;
	(void)cid;
	(void)latency_ns;
	fake->completed++;
	fake->completed_status = status;
}

static void fake_fatal(void *host, uint32_t error)
{
	struct fake *fake = host;

	fake->fatals++;
	fake->fatal_error = error;
}

static void fake_turn(void *host)
{
	struct fake *fake = host;

	fake->turns++;
}

const struct rmnic_host_ops fake_ops = {
	.map = fake_map,
	.unmap = fake_unmap,
	.written = fake_written,
	.irq = fake_irq,
	.now_ns = fake_now,
	.membarrier = fake_membarrier,
	.refused = fake_refused,
	.fetched = fake_fetched,
	.completed = fake_completed,
	.turn = fake_turn,
	.fatal = fake_fatal,
};
