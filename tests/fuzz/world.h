/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * world.h - what surrounds the engine while it is fuzzed: a fake host that checks what the
 * engine asks of it, and a store that knows what each page must hold.
 */
#ifndef RMNIC_FUZZ_WORLD_H
#define RMNIC_FUZZ_WORLD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/device.h"
#include "engine/store_local.h"
#include "fake.h"
#include "rmnic/ring.h"
#include "slow.h"

#define PAIRS    5u /* the admin pair and four */
#define DEPTH    16u
#define PAGES    96u /* of the store */
#define CAPACITY 64u

#define CHECK(cond)                                                                \
	do {                                                                       \
		if (!(cond)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                   \
		}                                                                  \
	} while (0)

struct world {
	struct fake host;
	struct slow slow;           /* the store that answers later, or ... */
	struct rmnic_store *local;  /* ... the one that answers at once */
	struct rmnic_dev *dev;
	uint64_t capacity;
	uint32_t outstanding;       /* commands fetched and not completed */
	bool dropping;              /* completions may be missing: a fault knob says so */
	/* Memory that changes while the engine looks at it: after so many hooks. */
	uint32_t mutate_after, mutate_offset;
	uint64_t mutate_value;
};

extern struct world world;

/* Once for all inputs. */
void world_setup(void);
/* A fresh device that is disabled, over an empty store. */
void world_begin(bool use_slow);
/* The device is disabled or FATAL: nothing may be in use any more. */
void world_check_off(void);
/* What must hold after every step. */
void world_check(void);

#endif /* RMNIC_FUZZ_WORLD_H */
