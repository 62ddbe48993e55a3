/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/remote_places.h - what the spill file has of a few pages, for a recovery by hand.
 *
 * Some places are read at a time; whoever asked looks in between two rounds whether all are here.
 */
#ifndef RMNIC_ENGINE_REMOTE_PLACES_H
#define RMNIC_ENGINE_REMOTE_PLACES_H

#include "engine/remote_range.h"

#define RMNIC_PLACES_AT_ONCE 16

enum rmnic_place_state {
	RMNIC_PLACE_EMPTY,
	RMNIC_PLACE_RIGHT,   /* a page of that version, or one whose bytes are damaged */
	RMNIC_PLACE_TORN,    /* something was written there, and what is not known */
	RMNIC_PLACE_UNREAD,  /* the disk has not given it */
};

struct rmnic_remote_place {
	enum rmnic_place_state state;
	uint64_t version; /* RIGHT */
};

struct rmnic_remote_places {
	struct rmnic_remote *store;
	uint64_t rpn;
	uint32_t pages;
	uint32_t next;    /* page of the range to be read next */
	uint32_t pending; /* reads under way */
	bool unread;      /* some place is UNREAD */
	struct rmnic_remote_place place[RMNIC_RANGE_PAGES];
	struct rmnic_remote_spill_op op[RMNIC_PLACES_AT_ONCE];
	struct rmnic_spill_place *data; /* one an op */
};

/* False: no memory. */
bool rmnic_remote_places_create(struct rmnic_remote_places *p, struct rmnic_remote *r);
void rmnic_remote_places_destroy(struct rmnic_remote_places *p);
/* pages, up to RMNIC_RANGE_PAGES, from rpn on. */
void rmnic_remote_places_begin(struct rmnic_remote_places *p, uint64_t rpn, uint32_t pages);
/* Reads on, with nothing pending. False: all of the range is here. */
bool rmnic_remote_places_next(struct rmnic_remote_places *p);

#endif /* RMNIC_ENGINE_REMOTE_PLACES_H */
