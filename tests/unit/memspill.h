/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A spill file in memory that outlives its backends. Reads and writes end in a later poll(), in an
 * order drawn from a seed; some are short, some are torn by the backend's death.
 */
#ifndef MEMSPILL_H
#define MEMSPILL_H

#include "engine/spill.h"

#define MEMSPILL_IOS 64 /* that can be under way */

struct memspill {
	uint64_t id;
	uint64_t places;   /* of the device */
	uint64_t limit;    /* places that may be held at a time */
	uint64_t held;
	uint64_t holding;  /* first place of a range that comes by and by; UINT64_MAX: none */
	uint8_t *is_held;  /* a byte a place */
	struct rmnic_spill_place *data;
	uint64_t random;
	uint32_t nios;
	struct rmnic_spill_io *io[MEMSPILL_IOS];

	/* Faults; 0: none. */
	uint32_t short_permille; /* reads and writes that end before they are whole */
	uint32_t wait_permille;  /* hold() that says WAIT, submit() that says too many */
	bool stuck;              /* nothing ends */
	bool dead;               /* its backend runs on, and nothing that it does counts any more */

	/* What was done, and what must not be. */
	uint64_t reads, writes, shorts, torn;
	uint64_t wrong; /* a place used that is not held, written twice at a time, released in use */
	const char *why;
};

extern const struct rmnic_spill_ops memspill_ops; /* arg: the struct memspill */

/* A new file; false: no memory. */
bool memspill_init(struct memspill *m, uint64_t seed, uint64_t places, uint64_t limit);
void memspill_fini(struct memspill *m);
/* Another file in its place, empty, with another id. */
void memspill_renew(struct memspill *m);
/*
 * The backend dies: of each write that is under way some bytes are in the file, all or none.
 * done() is not called any more.
 */
void memspill_die(struct memspill *m);
/* Whether something is under way: poll() is to be called. */
bool memspill_busy(const struct memspill *m);

#endif /* MEMSPILL_H */
