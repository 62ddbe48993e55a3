/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/remote_recover.h - a recovery by hand that is under way.
 *
 * remote_trace.c   which slabs servers have, and which views of them they know
 * remote_recover.c which of them can be taken
 * remote_fill.c    their pages' words
 * remote_places.c  what the spill file has of them
 * remote_agree.c   a page that not all members have in one version
 */
#ifndef RMNIC_ENGINE_REMOTE_RECOVER_H
#define RMNIC_ENGINE_REMOTE_RECOVER_H

#include "engine/remote_agree.h"
#include "engine/remote_places.h"
#include "engine/remote_range.h"
#include "engine/remote_trace.h"

#define RMNIC_NO_SLAB UINT64_MAX

struct rmnic_remote_recovery {
	struct rmnic_remote_trace trace;
	struct rmnic_remote_range range; /* of `slab`, below */
	bool finding;    /* the device is not served yet */
	uint64_t cursor; /* slab to be looked at next */
	uint64_t look_at; /* ns: when to begin with the first one again */
	uint64_t slab;   /* that is being taken; RMNIC_NO_SLAB: none */
	unsigned int n;  /* who is asked for its pages; 0: the spill file alone */
	struct rmnic_rmp_member member[RMNIC_MEMBERS];
	uint64_t held;   /* pages that were found */
	uint32_t settled; /* pages of the range whose words are written */
	bool filing;     /* the file's places of the range are being read */
	struct rmnic_remote_places places;
	struct rmnic_remote_agree agree;
};

/* Begins with the slab's pages; member[0 .. n - 1] are set. */
void rmnic_remote_fill_begin(struct rmnic_remote *r, uint64_t slab);
/* The answer that was waited for is here. */
void rmnic_remote_fill_next(struct rmnic_remote *r);
/* Its words are written: who was read are its members from now on, and it has its place in the file. */
void rmnic_remote_recover_take(struct rmnic_remote *r);
/* Nobody has it: whatever was in it is lost, and that is known before it takes pages again. */
void rmnic_remote_recover_lose(struct rmnic_remote *r, uint64_t slab);

#endif /* RMNIC_ENGINE_REMOTE_RECOVER_H */
