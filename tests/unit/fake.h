/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fake.h - a host for the engine with nothing real behind it, for unit tests and fuzzing.
 *
 * Guest memory is there twice: `ram` is the driver's view, and the device's view is poisoned
 * for AddressSanitizer except where it is mapped. So an access by the engine outside its
 * mappings, or after it has unmapped them, is an error at that very instruction.
 */
#ifndef RMNIC_TESTS_FAKE_H
#define RMNIC_TESTS_FAKE_H

#include "engine/host.h"
#include "rmnic/device.h"

#define FAKE_BASE     0x100000ull /* guest address of the first byte of RAM */
#define FAKE_PAGES    256u
#define FAKE_SIZE     (FAKE_PAGES * 4096u)
#define FAKE_HOLE     0xfee00000ull /* where there is no RAM */
#define FAKE_MAPPINGS 1100
#define FAKE_VECTORS  2049

/* Where in the engine a hook is called. */
enum fake_point {
	FAKE_MAP,        /* a mapping was made */
	FAKE_WRITTEN,    /* the engine says that it wrote to a ring or record */
	FAKE_MEMBARRIER, /* the engine is about to sleep */
	FAKE_NOW,        /* it looks at the clock */
};

struct fake_live {
	uint64_t addr;
	uint32_t len;
	bool used, write;
};

struct fake {
	uint8_t *ram;    /* driver's view */
	uint8_t *device; /* device's view */
	bool hole[FAKE_PAGES];
	struct fake_live live[FAKE_MAPPINGS];
	unsigned int mapped;
	bool no_memory; /* every map is refused */
	uint64_t now;
	uint64_t tick; /* what the clock moves at each look */
	unsigned int irqs[FAKE_VECTORS];
	unsigned int irq_total;
	unsigned int refused[RMNIC_REFUSAL_COUNT];
	unsigned int refused_total;
	uint64_t refused_value;
	unsigned int fatals;
	uint32_t fatal_error;
	unsigned int fetched, completed;
	uint16_t completed_status;
	unsigned int membarriers;
	unsigned int turns;
	unsigned int bad_calls; /* calls that do not keep to engine/host.h */
	uint8_t *dirty;         /* a byte for each 16 that the engine said it wrote */
	void (*hook)(struct fake *fake, enum fake_point point, const struct rmnic_mapping *m,
		     uint32_t offset);
	void *hook_data;
	uint64_t next; /* fake_alloc() */
};

extern const struct rmnic_host_ops fake_ops;

void fake_init(struct fake *fake);
void fake_free(struct fake *fake);
/* Whoever had mappings is dead. */
void fake_forget(struct fake *fake);
/* Guest memory that nobody else has. */
uint64_t fake_alloc(struct fake *fake, uint32_t bytes, uint32_t align);
/* Whether the engine told of its write to the 16 bytes at addr; forgets it. */
bool fake_dirty(struct fake *fake, uint64_t addr);
/* The driver's pointer to a guest address in RAM. */
void *fake_at(const struct fake *fake, uint64_t addr);

#endif /* RMNIC_TESTS_FAKE_H */
