/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/guest.h"

#include <sys/mman.h>
#include <unistd.h>

#include "user/front.h"

int bench_guest_create(struct bench_guest *guest, uint64_t size, struct rmnic_error *err)
{
	void *map;

	*guest = (struct bench_guest){ .size = size, .fd = -1 };
	guest->fd = rmnic_user_memfd("rmnic-bench-ram", size, &map, err);
	if (guest->fd < 0)
		return -1;
	guest->base = map;
	return 0;
}

void bench_guest_destroy(struct bench_guest *guest)
{
	if (guest->base)
		munmap(guest->base, guest->size);
	if (guest->fd >= 0)
		close(guest->fd);
	*guest = (struct bench_guest){ .fd = -1 };
}

uint64_t bench_guest_alloc(struct bench_guest *guest, uint64_t bytes, uint64_t align)
{
	uint64_t at = (guest->used + align - 1) & ~(align - 1);

	if (at > guest->size || bytes > guest->size - at)
		return 0;
	guest->used = at + bytes;
	return BENCH_GUEST_BASE + at;
}
