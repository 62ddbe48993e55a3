/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tools/bench/guest.h - the memory of a guest that is not there: one region in a sealed memfd.
 *
 * Guest addresses do not start at 0, so that a backend which forgets to translate is noticed.
 */
#ifndef RMNIC_BENCH_GUEST_H
#define RMNIC_BENCH_GUEST_H

#include <stdint.h>

#include "common/error.h"

#define BENCH_GUEST_BASE 0x140000000ull

struct bench_guest {
	uint8_t *base; /* of BENCH_GUEST_BASE */
	uint64_t size, used;
	int fd;
};

/* size: bytes, a multiple of 4096. 0, or -1 with err. */
int bench_guest_create(struct bench_guest *guest, uint64_t size, struct rmnic_error *err);
void bench_guest_destroy(struct bench_guest *guest);
/* Zeroed; align is a power of two. 0: there is no more. */
uint64_t bench_guest_alloc(struct bench_guest *guest, uint64_t bytes, uint64_t align);

static inline void *bench_guest_at(const struct bench_guest *guest, uint64_t addr)
{
	return guest->base + (addr - BENCH_GUEST_BASE);
}

#endif /* RMNIC_BENCH_GUEST_H */
