/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/spill_internal.h - what the files of spill files share.
 *
 * spill_pool.c  the directory, what they take in all
 * spill_file.c  one file: opening, its head
 * spill_io.c    one file: reading, writing, room
 */
#ifndef RMNIC_DAEMON_SPILL_INTERNAL_H
#define RMNIC_DAEMON_SPILL_INTERNAL_H

#include <liburing.h>

#include "daemon/spill.h"

#define RMNIC_SPILL_MAGIC UINT64_C(0x31464c50534d4e52) /* "RNMSPLF1" */

/* The beginning of the file. Little-endian. */
struct rmnic_spill_head {
	uint64_t magic;
	uint64_t id;
	uint64_t places;
	uint8_t uuid[16];  /* the device's */
	char boot[40];     /* the machine's life: what is of another one is nobody's */
	uint32_t rsvd;
	uint32_t check;    /* CRC32C of what is before */
};
_Static_assert(sizeof(struct rmnic_spill_head) == 88, "");

/* A range that is given room. */
enum rmnic_spill_range {
	RMNIC_SPILL_RANGE_NONE,
	RMNIC_SPILL_RANGE_RUNS,
	RMNIC_SPILL_RANGE_OK,
	RMNIC_SPILL_RANGE_FAILED,
};

struct rmnic_spill {
	struct rmnic_spill_pool *pool;
	int fd;
	int event;
	bool ring_open;
	char name[48];
	uint64_t id;
	uint64_t places;
	uint64_t held; /* of the pool's */
	/* The worker's. */
	struct io_uring ring;
	uint32_t unsent;   /* entries that the kernel was not told of */
	uint32_t pending;  /* without an end, those included */
	uint32_t punching; /* of these: ranges that are given back */
	enum rmnic_spill_range range;
	uint64_t first, n; /* of that range */
	struct rmnic_spill_counters counters;
};

/* Opens the ring and its event. 0, or -1 with err. */
int rmnic_spill_io_open(struct rmnic_spill *s, struct rmnic_error *err);
void rmnic_spill_io_close(struct rmnic_spill *s);

/* Of a head that is right: true. */
bool rmnic_spill_head_read(int fd, struct rmnic_spill_head *head);
/* The machine's life, as text. */
void rmnic_spill_boot(char boot[40]);
/* What io_uring's refusal means to the user. */
int rmnic_spill_ring_error(struct rmnic_error *err, int error);

static inline uint64_t rmnic_spill_offset(uint64_t place)
{
	return (place + 1) * sizeof(struct rmnic_spill_place);
}

#endif /* RMNIC_DAEMON_SPILL_INTERNAL_H */
