/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/store_remote_internal.h - what the files of the remote store share.
 *
 * store_remote.c   creation, the store's operations, looking in
 * remote_op.c      pages on their way: the members that are asked about one
 * remote_out.c     a page going out
 * remote_in.c      a page coming in
 * remote_slab.c    whose slabs are where, and which servers were met
 * remote_view.c    changing a view: dropping, recording
 * remote_place.c   which servers take a slab
 * remote_reserve.c finding a place for slabs
 * remote_plan.c    what a slab's view needs
 * remote_rescue.c  what is left of a slab whose last members are empty
 * remote_repair.c  filling a member: one that came back, a new one, one instead of another
 * remote_copy.c    one page from a member to another
 * remote_sync.c    ... and all that a member lacks
 * remote_scrub.c   comparing the copies of pages at rest
 * remote_spill.c   pages that no server can take
 * remote_unspill.c ... and their way back
 * remote_backed.c  whether there is a place for the pages of a server that goes
 * remote_range.c   what a member holds of some pages
 * remote_recover.c finding out what servers have, without the state block
 * remote_look.c    looking in
 * remote_sweep.c   giving slabs back to servers
 * remote_free.c    telling members which pages were freed
 */
#ifndef RMNIC_ENGINE_STORE_REMOTE_INTERNAL_H
#define RMNIC_ENGINE_STORE_REMOTE_INTERNAL_H

#include "engine/store_remote_types.h"

/* --- store_remote.c -------------------------------------------------------------------- */

void rmnic_remote_move(struct rmnic_remote *r, enum rmnic_remote_status to);

/* --- remote_op.c ------------------------------------------------------------------------- */

/* NULL: as many as can be are under way. */
struct rmnic_remote_op *rmnic_remote_op_get(struct rmnic_remote *r, struct rmnic_page_op *op,
					    bool out);
/* Ends it; the owner hears of it here, or by what page_out or page_in returns. */
void rmnic_remote_op_end(struct rmnic_remote_op *o, uint16_t status);
/* What page_out or page_in returns. */
uint16_t rmnic_remote_op_started(struct rmnic_remote_op *o);
/* The next call, to entry i; the rest of it is the caller's to fill in. */
struct rmnic_rmp_call *rmnic_remote_op_ask(struct rmnic_remote_op *o, unsigned int i, uint8_t type);
/* False: its server was not met; the call is pending still, and unsent. */
bool rmnic_remote_op_send(struct rmnic_remote_op *o, unsigned int k);
/* The entry of the view that call k is to; -1: it is no member any more. */
int rmnic_remote_op_entry(const struct rmnic_remote_op *o, unsigned int k);
/* Nobody waits for call k any more. */
void rmnic_remote_op_forget(struct rmnic_remote_op *o, unsigned int k);
/* Whether the call is one of a page operation. */
bool rmnic_remote_op_owns(const struct rmnic_rmp_call *call);
/* Starts its read or write of the spill file. False: not now. */
bool rmnic_remote_op_spill(struct rmnic_remote_op *o);
/* A view changed or is recorded, a peer is silent: page operations look again at where they are. */
void rmnic_remote_pages_look(struct rmnic_remote *r);
/* ... at that time (ns) at the latest. */
void rmnic_remote_look_by(struct rmnic_remote *r, uint64_t at);
/* They do. */
void rmnic_remote_pages(struct rmnic_remote *r);
/* Page-outs of the slab under way that began under a view older than this one (STATE-25). */
bool rmnic_remote_writes_before(const struct rmnic_remote *r, uint64_t slab, uint64_t view);
/* The lowest version that a page-out of the slab under way has; else the next one (STATE-23). */
uint64_t rmnic_remote_since(const struct rmnic_remote *r, uint64_t slab);
/* Whether a page-out of the page is under way. */
bool rmnic_remote_is_writing(const struct rmnic_remote *r, uint64_t rpn);
void rmnic_remote_cancel(struct rmnic_store *store, struct rmnic_page_op *op);

/* --- remote_out.c ------------------------------------------------------------------------ */

uint16_t rmnic_remote_page_out(struct rmnic_store *store, struct rmnic_page_op *op);
void rmnic_remote_settle(struct rmnic_store *store, uint64_t rpn, uint64_t n);
void rmnic_remote_out_answer(struct rmnic_remote_op *o, unsigned int k);
void rmnic_remote_out_spilled(struct rmnic_remote_op *o);
void rmnic_remote_out_look(struct rmnic_remote_op *o);
/* Its page is INDETERMINATE from now on. */
void rmnic_remote_out_give_up(struct rmnic_remote_op *o);

/* --- remote_in.c ------------------------------------------------------------------------- */

uint16_t rmnic_remote_page_in(struct rmnic_store *store, struct rmnic_page_op *op);
void rmnic_remote_in_answer(struct rmnic_remote_op *o, unsigned int k);
void rmnic_remote_in_spilled(struct rmnic_remote_op *o);
void rmnic_remote_in_look(struct rmnic_remote_op *o);
/* A page-in takes longer than its server's as a rule: the client's callback. */
void rmnic_remote_hedge(void *arg, struct rmnic_rmp_call *call);

/* --- remote_slab.c ----------------------------------------------------------------------- */

/* Reads every row of the state block. False: one is damaged. */
bool rmnic_remote_slabs_load(struct rmnic_remote *r);
/* The server with this uuid, if it has been met. */
uint16_t rmnic_remote_peer_by(const struct rmnic_remote *r, const uint8_t uuid[16]);
/* The member's server, likewise. */
uint16_t rmnic_remote_peer_of(struct rmnic_remote *r, struct rmnic_remote_slab *slab, unsigned int i);
/* From now on the slab's members are those of view. recorded: they were told of it already. */
void rmnic_remote_view_use(struct rmnic_remote *r, uint64_t slab, const struct rmnic_state_view *view,
			   bool recorded);
/* The row names nobody any more (STATE-17). */
void rmnic_remote_view_clear(struct rmnic_remote *r, uint64_t slab);
/* Whether entry i's server is here with another store than the row names (STATE-8). */
bool rmnic_remote_entry_empty(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i);
/* Sets a page's word, and counts what is stored and what is spilled. */
void rmnic_remote_word_set(struct rmnic_remote *r, uint64_t rpn, uint64_t version, uint32_t bits);
/* Whether any page of the slab was ever written or freed. */
bool rmnic_remote_slab_used(const struct rmnic_remote *r, uint64_t slab);
/* Calls the pages of one slab that is gone LOST. True: there are more such slabs. */
bool rmnic_remote_lose(struct rmnic_remote *r);
/* Whether a row names this slab of a server's. */
bool rmnic_remote_named(const struct rmnic_remote *r, uint64_t slab, const uint8_t server[16],
			uint64_t store_id, uint64_t handle);
/* A server that rows name and that was not met; NULL: there is none. */
const struct rmnic_remote_holder *rmnic_remote_missing(const struct rmnic_remote *r);
/* Whether a server that rows name has sealed this epoch. */
bool rmnic_remote_met(const struct rmnic_remote *r, const uint8_t server[16]);
/* A server became known, or came back. */
void rmnic_remote_peer_up(struct rmnic_remote *r, uint32_t peer);

/* --- remote_view.c ----------------------------------------------------------------------- */

/* The slab's view as it is now, to be changed. */
void rmnic_remote_view_copy(const struct rmnic_remote *r, uint64_t slab,
			    struct rmnic_state_view *out);
/*
 * The slab's next view: recorded in the block at once, and in use; with its members as soon as
 * may be (STATE-21). to->view is set here.
 */
void rmnic_remote_view_change(struct rmnic_remote *r, uint64_t slab, struct rmnic_state_view *to);
/*
 * STATE-22. Drops entry i, if that may be. empty: it has lost what it held, and is not waited for.
 * False: it is the last one, or everybody is silent.
 */
bool rmnic_remote_drop(struct rmnic_remote *r, uint64_t slab, unsigned int i, bool empty);
/* Some peer is silent: it is dropped from the slabs that nobody writes to as well. */
void rmnic_remote_drop_soon(struct rmnic_remote *r);
/* Goes on with that, and with telling members of views. True: there is more to be done now. */
bool rmnic_remote_views(struct rmnic_remote *r);
uint64_t rmnic_remote_views_due(const struct rmnic_remote *r);
/* Takes entry i out of a view. */
void rmnic_remote_view_remove(struct rmnic_state_view *v, unsigned int i);
/* For the log. server: NULL for none. */
void rmnic_remote_event(struct rmnic_remote *r, enum rmnic_remote_event_kind kind, uint64_t slab,
			uint64_t rpn, uint64_t pages, const uint8_t *server);
/* Whether entry i of the slab owes an answer and was not heard for drop_ns, or was never met. */
bool rmnic_remote_is_silent(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i);
/* The entry with this handle on this store; -1: there is none, or it is away. */
int rmnic_remote_entry(const struct rmnic_remote_slab *s, uint64_t store_id, uint64_t handle);

/* --- remote_place.c ---------------------------------------------------------------------- */

/*
 * A server for another member of the slab, beside those it has and those in but[0 .. n - 1]: the one
 * with more room of two drawn at random (STATE-26). RMNIC_NO_PEER: there is none.
 */
uint16_t rmnic_remote_place(struct rmnic_remote *r, uint64_t slab, const uint32_t *but, unsigned int n);
/* Whether the slab's view names the server, in whatever role. */
bool rmnic_remote_in_view(const struct rmnic_remote *r, const struct rmnic_remote_slab *s, uint32_t peer);
/* Whether the server may be given a slab now. */
bool rmnic_remote_may_take(const struct rmnic_remote *r, uint32_t peer);
/* Servers that may. */
unsigned int rmnic_remote_takers(const struct rmnic_remote *r);
/* Asks servers how much room they have, one after the other. */
void rmnic_remote_room_ask(struct rmnic_remote *r);
uint64_t rmnic_remote_room_due(const struct rmnic_remote *r);

/* --- remote_repair.c --------------------------------------------------------------------- */

/* False: no memory. */
bool rmnic_remote_repair_create(struct rmnic_remote *r);
void rmnic_remote_repair_destroy(struct rmnic_remote *r);
/* Something is to be done about the slab, perhaps: its view changed, or a server's state did. */
void rmnic_remote_repair_look(struct rmnic_remote *r, uint64_t slab);
/* Goes on filling members. True: there is more that could be done now. */
bool rmnic_remote_repair(struct rmnic_remote *r);
/* ... at that time (ns) at the latest. */
void rmnic_remote_repair_by(struct rmnic_remote *r, uint64_t at);
/* Whether a server gives, or gave, a handle that no row names yet. */
bool rmnic_remote_repairing_at(const struct rmnic_remote *r, uint32_t peer);
/* Entry i, which is away, is filled under a new handle. False: not now. */
bool rmnic_remote_job_renew(struct rmnic_remote *r, uint64_t slab, unsigned int i);
/* Another member, on peer; leaver: the entry that leaves for it, or -1. */
bool rmnic_remote_job_fill(struct rmnic_remote *r, uint64_t slab, uint16_t peer, int leaver);
/* Entry i, which is SYNCING, is filled from the start. */
bool rmnic_remote_job_resume(struct rmnic_remote *r, uint64_t slab, unsigned int i);
/* Entry i leaves the view. */
bool rmnic_remote_job_leave(struct rmnic_remote *r, uint64_t slab, unsigned int i);
/* When to try that at the latest; UINT64_MAX: no time. */
uint64_t rmnic_remote_repair_due(const struct rmnic_remote *r);
/* Whether a handle on a peer is in use by a repair that no row names yet. */
bool rmnic_remote_repair_named(const struct rmnic_remote *r, uint32_t peer, uint64_t handle);
/* Entry i of the slab's view has a wrong copy of rpn: it is replaced some time (STATE-27). */
void rmnic_remote_fix(struct rmnic_remote *r, uint64_t rpn, unsigned int i);

/* --- remote_plan.c ----------------------------------------------------------------------- */

/* Does what the slab's view needs next, as far as it can. */
void rmnic_remote_plan(struct rmnic_remote *r, uint64_t slab);
/* Whether any server wants to be rid of slabs. */
bool rmnic_remote_unwanted(const struct rmnic_remote *r);
/* Entry i's server is here, with the store that the view names. */
bool rmnic_remote_is_ready(struct rmnic_remote *r, struct rmnic_remote_slab *s, unsigned int i);
/*
 * Entry i has a page that is newer than `version`, which is what was acknowledged last: it is dropped,
 * and forgets all from that one on when it is filled.
 */
void rmnic_remote_orphaned(struct rmnic_remote *r, uint64_t slab, unsigned int i, uint64_t version);
/* The server of the member with this handle; RMNIC_NO_PEER: there is none. */
uint16_t rmnic_remote_peer_with(struct rmnic_remote *r, struct rmnic_remote_slab *s,
				uint64_t store_id, uint64_t handle);
/* The slab's next view is the one without entry i. */
void rmnic_remote_view_without(struct rmnic_remote *r, uint64_t slab, unsigned int i);

/* --- remote_rescue.c --------------------------------------------------------------------- */

/* Whether all who hold every page of the slab are proved empty. */
bool rmnic_remote_emptied(struct rmnic_remote *r, struct rmnic_remote_slab *s);
/* Whether somebody who is no whole member should have the page as its word says (STATE-23). */
bool rmnic_remote_elsewhere(struct rmnic_remote *r, uint64_t rpn);
/* The slab's members are empty. True: it is not lost yet, for somebody who is away is waited for. */
bool rmnic_remote_rescue(struct rmnic_remote *r, uint64_t slab);
/* Whether that is so. */
bool rmnic_remote_rescuing(struct rmnic_remote *r, uint64_t slab);
/* Does what can be done about it now. */
void rmnic_remote_rescue_plan(struct rmnic_remote *r, uint64_t slab);
/* The job's server gave an away entry of such a slab its new handle. False: there is none any more. */
bool rmnic_remote_rescue_join(struct rmnic_remote *r, const struct rmnic_remote_job *j);

/* --- remote_copy.c ----------------------------------------------------------------------- */

/* A place for a copy, if the rate lets it pass now; NULL: not. */
struct rmnic_remote_copy *rmnic_remote_copy_get(struct rmnic_remote *r);
/* Copies rpn to the member with this handle, from another one. job: NULL if the member's is bad. */
void rmnic_remote_copy_page(struct rmnic_remote *r, struct rmnic_remote_copy *c,
			    struct rmnic_remote_job *job, uint64_t rpn, uint64_t store_id,
			    uint64_t handle);
/* Leaves tombstones at the job's member: the first n of c->range. */
void rmnic_remote_copy_freed(struct rmnic_remote *r, struct rmnic_remote_copy *c,
			     struct rmnic_remote_job *job, uint32_t n);
/* None is the job's any more. */
void rmnic_remote_copy_cancel(struct rmnic_remote *r, struct rmnic_remote_job *j);
/* When the rate lets another page pass; UINT64_MAX: that is not what is waited for. */
uint64_t rmnic_remote_copy_due(const struct rmnic_remote *r);

/* --- remote_sync.c ----------------------------------------------------------------------- */

/* Goes on copying what the job's member lacks. True: there is more to be done now. */
bool rmnic_remote_copy_slab(struct rmnic_remote *r, struct rmnic_remote_job *j);
/* Whether another page of it could be copied, but for the rate. */
bool rmnic_remote_copy_more(const struct rmnic_remote *r, const struct rmnic_remote_job *j);
/* Replaces bad copies. True: some are left. */
bool rmnic_remote_copy_bad(struct rmnic_remote *r);

/* --- remote_spill.c ---------------------------------------------------------------------- */

/* False: no memory. */
bool rmnic_remote_spill_create(struct rmnic_remote *r);
void rmnic_remote_spill_destroy(struct rmnic_remote *r);
/*
 * STATE-29: what the rows say of the spill file, compared with the one there is. Called once the
 * rows are loaded and the pages counted.
 */
void rmnic_remote_spill_load(struct rmnic_remote *r);
/* Pages that the file may still take. */
uint64_t rmnic_remote_spill_free(const struct rmnic_remote *r);
/*
 * Whether the slab has a place in the spill file, or gets one now. False may become true: its view
 * changes then, and rmnic_remote_pages_look() is called.
 */
bool rmnic_remote_spill_room(struct rmnic_remote *r, uint64_t slab);
/*
 * op->place's page goes to the file, with its record. False: not now (too many are under way, an
 * earlier write of the page is, or the slab has no place any more); rmnic_remote_pages_look() is
 * called when it may be tried again. May end at once.
 */
bool rmnic_remote_spill_write(struct rmnic_remote_spill_op *op);
/*
 * ... comes from it: done() says OK only when record and checksum are right. There is no file:
 * UNREACHABLE, for it may be on another disk.
 */
bool rmnic_remote_spill_read(struct rmnic_remote_spill_op *op);
/* Collects what the file has done. True: something. */
bool rmnic_remote_spill_poll(struct rmnic_remote *r);
/* Whether a read or write of any place of the slab is under way. */
bool rmnic_remote_spill_slab_busy(const struct rmnic_remote *r, uint64_t slab);

/* --- remote_unspill.c -------------------------------------------------------------------- */

/*
 * Called in each round: what the file has done, pages back to servers, places that nobody needs
 * any more. True: there is more that could be done now.
 */
bool rmnic_remote_unspill(struct rmnic_remote *r);
uint64_t rmnic_remote_unspill_due(const struct rmnic_remote *r);

/* --- remote_backed.c --------------------------------------------------------------------- */

/* Says so when a server's loss would leave slabs without a place; looks at most once a second. */
void rmnic_remote_backed_look(struct rmnic_remote *r);

/* --- remote_scrub.c ---------------------------------------------------------------------- */

/* False: no memory. */
bool rmnic_remote_scrub_create(struct rmnic_remote *r);
void rmnic_remote_scrub_destroy(struct rmnic_remote *r);
/* Goes on comparing. True: there is more that could be done now. */
bool rmnic_remote_scrub(struct rmnic_remote *r);
uint64_t rmnic_remote_scrub_due(const struct rmnic_remote *r);

/* --- remote_recover.c -------------------------------------------------------------------- */

/*
 * Once the rows are loaded: begins, if that was asked for or a predecessor did not finish it. Slabs
 * without a row wait from then on. False: no memory.
 */
bool rmnic_remote_recover_create(struct rmnic_remote *r);
void rmnic_remote_recover_destroy(struct rmnic_remote *r);
/* STATE-30: goes on finding out. True: there is more that could be done now. */
bool rmnic_remote_recover(struct rmnic_remote *r);
uint64_t rmnic_remote_recover_due(const struct rmnic_remote *r);
/* Of a slab that waits: the highest view that was seen of it, and who is in that. */
void rmnic_remote_recover_slab(const struct rmnic_remote *r, uint64_t slab,
			       struct rmnic_remote_slab_info *out);
/* The device is not served yet, and nothing is reserved: too little is known of its slabs. */
bool rmnic_remote_finding(const struct rmnic_remote *r);
/* Servers may have slabs that no row names yet: nothing is released on any of them. */
bool rmnic_remote_recovering(const struct rmnic_remote *r);

/* --- remote_reserve.c -------------------------------------------------------------------- */

/* Reserves more slabs, as far as that is possible now, and says how far it is. */
void rmnic_remote_reserve(struct rmnic_remote *r);
/* Wants slabs in all from now on. */
void rmnic_remote_want(struct rmnic_remote *r, uint64_t slabs);
/* Slabs that have a place, or wait for the servers that have their pages (STATE-30). */
uint64_t rmnic_remote_placed(const struct rmnic_remote *r);
/* Whether a place is being found for some slab. */
bool rmnic_remote_reserving(const struct rmnic_remote *r);
/* ... for this one. */
bool rmnic_remote_reserving_slab(const struct rmnic_remote *r, uint64_t slab);
/* Whether one is being found on this server, among others. */
bool rmnic_remote_reserving_at(const struct rmnic_remote *r, uint32_t peer);

/* --- remote_sweep.c ---------------------------------------------------------------------- */

/* The server is to be asked what it has. own: also of what this backend allocated. */
void rmnic_remote_sweep_at(struct rmnic_remote *r, uint32_t peer, bool own);
/* Goes on with that. */
void rmnic_remote_sweep(struct rmnic_remote *r);
/* RELEASING: one step. True: there is more that could be done now. */
bool rmnic_remote_releasing(struct rmnic_remote *r);

/* --- remote_free.c ----------------------------------------------------------------------- */

uint16_t rmnic_remote_free_pages(struct rmnic_store *store, uint64_t rpn, uint32_t n);
void rmnic_remote_tell_add(struct rmnic_remote *r, uint64_t rpn);
void rmnic_remote_tell_drop(struct rmnic_remote *r, uint64_t rpn);
/* Tells members some more. True: there is more that could be told now. */
bool rmnic_remote_tell(struct rmnic_remote *r);
/* When to try that at the latest; UINT64_MAX: no time. */
uint64_t rmnic_remote_tell_due(const struct rmnic_remote *r);

#endif /* RMNIC_ENGINE_STORE_REMOTE_INTERNAL_H */
