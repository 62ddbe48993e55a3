/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/spill.h - the spill file, a last resort for pages (STATE-28): what the engine asks of
 * whoever does the input and output.
 *
 * One file a device. It is an array of places, one a page of the device, of which only those
 * take room that are reserved. Nothing here may block. Two writes of a place are never under way
 * together; a read may meet a write, and gives then some of both.
 */
#ifndef RMNIC_ENGINE_SPILL_H
#define RMNIC_ENGINE_SPILL_H

#include <stdbool.h>
#include <stdint.h>

#include "rmnic/device.h"

/* Beside each page, in the file. Little-endian. */
struct rmnic_spill_record {
	uint64_t magic;
	uint64_t rpn;
	uint64_t version;
	uint32_t crc;  /* of bytes, device, rpn and version (RMP-3) */
	uint32_t check; /* CRC32C of the record before it */
};

/* What is written and read in one piece: the page and its record. */
struct rmnic_spill_place {
	uint8_t page[RMNIC_PAGE_SIZE];
	struct rmnic_spill_record record;
	uint8_t rsvd[512 - sizeof(struct rmnic_spill_record)];
};
_Static_assert(sizeof(struct rmnic_spill_place) == 4608, "a multiple of a sector");

/* One read or write of a place. The caller's until done(). */
struct rmnic_spill_io {
	bool write;
	uint64_t place;  /* rpn */
	struct rmnic_spill_place *data;
	/* bytes: that were read or written; less than all of them: the rest failed. */
	void (*done)(struct rmnic_spill_io *io, uint32_t bytes);
	void *arg;
	struct rmnic_spill_io *next; /* the file's, while it is under way */
};

/* Room on a disk is not had at once. */
enum rmnic_spill_hold {
	RMNIC_SPILL_NONE, /* there is no room */
	RMNIC_SPILL_HELD,
	RMNIC_SPILL_WAIT, /* under way: ask again, with the same range, after poll() */
};

struct rmnic_spill_ops {
	/* Random, of this file; another one after it was made anew. Not 0. */
	uint64_t (*id)(void *arg);
	/* Pages that the file may still take. */
	uint64_t (*room)(void *arg);
	/* Gives places first .. first + n - 1 room, or takes it away. A range is all of one slab. */
	enum rmnic_spill_hold (*hold)(void *arg, uint64_t first, uint64_t n);
	/*
	 * STATE-30: whether something may be in these places, which the file of an earlier backend
	 * already gave room. It has, until they are released. NULL: no file is ever kept.
	 */
	bool (*kept)(void *arg, uint64_t first, uint64_t n);
	/* No read or write of these places is under way. */
	void (*release)(void *arg, uint64_t first, uint64_t n);
	/* False: too many are under way; done() will not be called. May call done() at once. */
	bool (*submit)(void *arg, struct rmnic_spill_io *io);
	/*
	 * Starts what was submitted, collects what has ended. Called in each round. True: something
	 * ended. NULL: not needed.
	 */
	bool (*poll)(void *arg);
};

#endif /* RMNIC_ENGINE_SPILL_H */
