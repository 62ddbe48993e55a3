/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon/spill.h - spill files (engine/spill.h): one a device, UUID.spill in the directory spill_dir,
 * written and read by io_uring, or by a thread of its own where io_uring is not allowed.
 *
 * The file begins with a head of the size of a place; the place of page rpn comes rpn places after
 * it. Room is held by fallocate(), which is done there as well: it may take a while and nobody
 * waits for it. What is read and written goes through the kernel's page cache: a file has to survive
 * this process and not the machine, with which its guests go too.
 *
 * INVARIANT: the file is locked (flock) by who uses it, and the kernel keeps the lock until the last
 * read or write of a dead process has ended. Without it a successor's page could be overwritten by
 * what its predecessor had under way.
 */
#ifndef RMNIC_DAEMON_SPILL_H
#define RMNIC_DAEMON_SPILL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "engine/spill.h"
#include "engine/state_block.h"

/* By whom reads and writes are done. */
enum rmnic_spill_io_mode {
	RMNIC_SPILL_IO_AUTO, /* io_uring if that is allowed here, else threads; the log says which */
	RMNIC_SPILL_IO_URING,
	RMNIC_SPILL_IO_THREAD,
};

/* What all spill files share. Made and closed by the control thread. */
struct rmnic_spill_pool {
	char dir[256];
	bool there;           /* false: no device has a spill file */
	int fd;               /* of the directory */
	bool threads;         /* no io_uring */
	uint64_t limit;       /* places in all */
	_Atomic uint64_t held; /* of these */
	_Atomic uint64_t full_until; /* ns: the disk was full */
};

struct rmnic_spill_pool_status {
	uint64_t limit, held; /* places */
	uint64_t disk_free;   /* bytes that the file system has free */
};

/*
 * dir NULL: none. size: bytes for all files; 0: half of what is free there. Removes files that
 * devices of an earlier life of this machine left. 0, or -1 with err.
 */
int rmnic_spill_pool_open(struct rmnic_spill_pool *p, const char *dir, uint64_t size,
			  enum rmnic_spill_io_mode mode, struct rmnic_error *err);
void rmnic_spill_pool_close(struct rmnic_spill_pool *p);
void rmnic_spill_pool_status(const struct rmnic_spill_pool *p, struct rmnic_spill_pool_status *out);

/* What a file did. The worker's. */
struct rmnic_spill_counters {
	uint64_t reads, writes;
	uint64_t shorts; /* that came to an end too early */
	uint64_t errors; /* that failed; the last one's errno: */
	int error;
};

struct rmnic_spill;

/*
 * Control thread. The file of the device whose state this is: the one its rows mean (spill_id), or
 * else a new one. recover (STATE-30): there are no rows, and what an earlier backend left is the
 * one. *lost: the rows mean another one, which is not there. NULL: err.
 */
struct rmnic_spill *rmnic_spill_open(struct rmnic_spill_pool *p,
				     const struct rmnic_state_block *state, bool recover,
				     bool *lost, struct rmnic_error *err);
/* Nothing is under way. remove: the device is gone for good. NULL is fine. */
void rmnic_spill_close(struct rmnic_spill *s, bool remove);

/* arg: the struct rmnic_spill. All but id() in the worker. */
extern const struct rmnic_spill_ops rmnic_spill_file_ops;

/* Signalled when something ended. */
int rmnic_spill_event(const struct rmnic_spill *s);
/* Worker. Nothing is under way. */
bool rmnic_spill_idle(const struct rmnic_spill *s);
/* Worker. */
const struct rmnic_spill_counters *rmnic_spill_counters(const struct rmnic_spill *s);

#endif /* RMNIC_DAEMON_SPILL_H */
