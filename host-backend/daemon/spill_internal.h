/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/spill_internal.h - what the files of spill files share.
 *
 * spill_pool.c  the directory, what they take in all
 * spill_file.c  one file: opening, its head
 * spill_io.c    one file: reading, writing, room
 * spill_ring.c  ... by io_uring
 * spill_thread.c ... by a thread
 */
#ifndef RMNIC_DAEMON_SPILL_INTERNAL_H
#define RMNIC_DAEMON_SPILL_INTERNAL_H

#include <liburing.h>

#include "daemon/spill.h"

#define RMNIC_SPILL_IN_FLIGHT 2048

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

enum rmnic_spill_what {
	RMNIC_SPILL_READ,
	RMNIC_SPILL_WRITE,
	RMNIC_SPILL_ROOM,  /* room for a range */
	RMNIC_SPILL_PUNCH, /* it is given back */
};

struct rmnic_spill_job {
	enum rmnic_spill_what what;
	struct rmnic_spill_io *io; /* NULL: of a range */
	uint64_t offset, len;      /* bytes */
};

struct rmnic_spill_thread;

struct rmnic_spill {
	struct rmnic_spill_pool *pool;
	int fd;
	int event;
	bool ring_open;
	struct rmnic_spill_thread *thread; /* instead of the ring */
	char name[48];
	uint64_t id;
	uint64_t places;
	uint64_t held; /* of the pool's */
	uint64_t slab_pages;
	bool *kept;    /* recovery: a slab's places may have something; NULL: none has */
	/* The worker's. */
	struct io_uring ring;
	uint32_t unsent;   /* entries of the ring that the kernel was not told of */
	uint32_t pending;  /* without an end, those included */
	uint32_t punching; /* of these: ranges that are given back */
	enum rmnic_spill_range range;
	uint64_t first, n; /* of that range */
	struct rmnic_spill_counters counters;
};

/* Opens the ring and its event. 0, or -1 with err. */
int rmnic_spill_io_open(struct rmnic_spill *s, struct rmnic_error *err);
void rmnic_spill_io_close(struct rmnic_spill *s);

/* Worker: a job is at its end; res: bytes, or -errno. */
void rmnic_spill_ended(struct rmnic_spill *s, enum rmnic_spill_what what, struct rmnic_spill_io *io,
		       int res);

/* --- spill_ring.c, spill_thread.c ------------------------------------------------------------- */

/* 0, or -1 with err: io_uring is not to be had here, and why. */
int rmnic_spill_ring_check(struct rmnic_error *err);
int rmnic_spill_ring_open(struct rmnic_spill *s, struct rmnic_error *err);
void rmnic_spill_ring_close(struct rmnic_spill *s);
/* False: not now. */
bool rmnic_spill_ring_begin(struct rmnic_spill *s, const struct rmnic_spill_job *job);
/* Calls rmnic_spill_ended() for what has ended. True: something has, or is still to be begun. */
bool rmnic_spill_ring_collect(struct rmnic_spill *s);

int rmnic_spill_thread_open(struct rmnic_spill *s, struct rmnic_error *err);
void rmnic_spill_thread_close(struct rmnic_spill *s);
bool rmnic_spill_thread_begin(struct rmnic_spill *s, const struct rmnic_spill_job *job);
bool rmnic_spill_thread_collect(struct rmnic_spill *s);

/* --- spill_file.c, spill_pool.c --------------------------------------------------------------- */

/* Of a head that is right: true. */
bool rmnic_spill_head_read(int fd, struct rmnic_spill_head *head);
/* The machine's life, as text. */
void rmnic_spill_boot(char boot[40]);

static inline uint64_t rmnic_spill_offset(uint64_t place)
{
	return (place + 1) * sizeof(struct rmnic_spill_place);
}

#endif /* RMNIC_DAEMON_SPILL_INTERNAL_H */
