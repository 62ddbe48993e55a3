/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/remote_trace.h - which slabs of the device servers say they have, and which views of them were
 * recorded there (STATE-30). One server is asked at a time, one question at a time.
 */
#ifndef RMNIC_ENGINE_REMOTE_TRACE_H
#define RMNIC_ENGINE_REMOTE_TRACE_H

#include "engine/store_remote_internal.h"

/* Of one slab: the highest view that was recorded anywhere. */
struct rmnic_remote_found {
	struct rmnic_rmp_view view;     /* view 0: nobody has the slab */
	struct rmnic_rmp_member teller; /* who has that record */
	uint32_t epoch;                 /* under which the teller's slab was allocated */
	bool forced;                    /* the operator takes what there is */
};

struct rmnic_remote_trace {
	struct rmnic_remote *store;
	struct rmnic_remote_found *found; /* one a slab */
	uint64_t end;    /* highest slab that anybody has, and one */
	uint64_t listed[RMNIC_REMOTE_HOLDERS]; /* by peer: the store that was looked through */
	bool used;       /* a server is being asked */
	bool asked;      /* its answer is to come */
	bool more;       /* of its list */
	uint32_t peer;
	uint32_t n;      /* slabs whose views are still to be asked for */
	uint64_t store_id;
	uint64_t cursor;
	uint64_t after;  /* ns: one could not be asked to the end: again from then on */
	struct rmnic_rmp_list_entry entry[RMNIC_RMP_MAX_LIST];
	struct rmnic_rmp_list body;
	struct rmnic_rmp_call call;
};

/* Asks the next question, if there is one. True: it did. */
bool rmnic_remote_trace_ask(struct rmnic_remote_trace *t);
/* Whether every server that is configured was asked, and has the store that was looked through. */
bool rmnic_remote_trace_whole(const struct rmnic_remote_trace *t);
/* Whether any was. */
bool rmnic_remote_trace_begun(const struct rmnic_remote_trace *t);

#endif /* RMNIC_ENGINE_REMOTE_TRACE_H */
