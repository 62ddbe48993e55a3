# SPDX-License-Identifier: BSD-3-Clause
"""Deliberate bugs in the engine, each of which the simulator must find.

Each is a file of host-backend/engine (or a path), the text that keeps a rule, the text that breaks it, and
the number of seeds within which the simulator fails.
"""
import typing


class Mutant(typing.NamedTuple):
    name: str
    file: str
    old: str
    new: str
    seeds: int = 200
    also: tuple = ()  # of (file, old, new): further places of the same bug
    how: tuple = ()  # further arguments of the simulator


MUTANTS = [
    # --- Which copy is true: views, members, repair ---
    Mutant("acknowledged before the members know of the view", "remote_out.c",
           "	waits = slab_of(o)->recorded != slab_of(o)->view; /* STATE-21 */", "	waits = false;"),
    Mutant("acknowledged when one member has it", "remote_out.c",
           "	return !missing;\n}\n\nstatic void out_ask", "	return o->held != 0;\n}\n\nstatic void out_ask",
           also=(("remote_out.c", "	if (o->worst == RMNIC_SC_OK && o->pending) {",
                  "	if (o->worst == RMNIC_SC_OK && o->pending && !o->held) {"),)),
    Mutant("copied before the writes from before have ended", "remote_repair.c",
           "		if (s->recorded < j->view || rmnic_remote_writes_before(r, j->slab, j->view))\n"
           "			return;\n", ""),
    Mutant("freed pages are not copied as tombstones", "remote_sync.c",
           "		bool freed = j->freed < r->state.slab_pages;",
           "		bool freed = (j->freed = r->state.slab_pages) < r->state.slab_pages;", 600),
    Mutant("who returns is believed to have the right version", "remote_sync.c",
           "	return VERSION(held) != VERSION(word) || held & RMNIC_RMP_PAGE_BAD ||",
           "	return held & RMNIC_RMP_PAGE_BAD ||"),
    Mutant("who returns is believed to have everything", "remote_sync.c",
           "	if (!j->has_some || word & RMNIC_STATE_PAGE_WRITING) /* by a predecessor, who is dead */\n"
           "		return true;", "	if (j->since)\n		return false;"),
    Mutant("the last one who has everything is dropped", "remote_view.c",
           "	if (!(rmnic_remote_whole(s) & ~(1u << i)) || (!empty && !others_heard(r, s, i)))",
           "	if (rmnic_remote_live(s) == 1u << i || (!empty && !others_heard(r, s, i)))", 400),
    Mutant("who is being filled is read", "remote_in.c",
           "		if (!(rmnic_remote_whole(s) >> i & 1) || was_asked(o, i))",
           "		if (!(rmnic_remote_live(s) >> i & 1) || was_asked(o, i))", 1500),
    Mutant("a member is whole when half of it is copied", "remote_repair.c",
           "	} else if (j->page == r->state.slab_pages && !j->copies) {",
           "	} else if (j->page >= r->state.slab_pages / 2 && !j->copies) {"),
    Mutant("writes do not go to who is being filled", "remote_out.c",
           "		if (rmnic_remote_live(s) >> i & 1)\n			out_ask(o, i);",
           "		if (rmnic_remote_whole(s) >> i & 1)\n			out_ask(o, i);"),
    Mutant("a damaged copy is not replaced", "remote_sync.c",
           "	if (p->nbad < RMNIC_REMOTE_FIXES)", "	if (0)", 1200),
    Mutant("what is damaged at rest cannot be replaced by what it was", "memstore.c",
           "	if (version > held || (version == held && (m->vstate & RMNIC_RMP_PAGE_BAD)))",
           "	if (version > held)", 400),
    Mutant("a page is lost when one member is empty", "remote_rescue.c",
           "		if (rmnic_remote_whole(s) >> i & 1 && !rmnic_remote_entry_empty(r, s, i))\n			return false;",
           "		if (rmnic_remote_whole(s) >> i & 1 && rmnic_remote_entry_empty(r, s, i))\n			return true;", 600),
    Mutant("who is away and has the rest is not waited for", "remote_rescue.c",
           "	if (choose(r, slab) == RMNIC_MEMBERS)\n		return false;", "	if (choose(r, slab) <= RMNIC_MEMBERS)\n		return false;", 1500),
    Mutant("a page is older than its word and is delivered", "remote_in.c",
           "	if (got < least) {", "	if (0) {", 1500,
           (("remote_copy.c", "		if (rmnic_remote_whole(s) >> i & 1 && !(c->tried >> i & 1) &&",
             "		if (!(c->tried >> i & 1) &&"),
            ("remote_in.c", "		if (!(rmnic_remote_whole(s) >> i & 1) || was_asked(o, i))",
             "		if (was_asked(o, i))"))),
    Mutant("an unknown slab reads as zeros", "remote_in.c",
           "	case RMNIC_CALL_EMPTY: /* STATE-8: proof, not silence */\n	case RMNIC_RMP_S_UNKNOWN_SLAB:\n",
           "	case RMNIC_CALL_EMPTY:\n	case RMNIC_RMP_S_UNKNOWN_SLAB:\n"
           "		rmnic_page_fill(page_of(o, k), 0);\n		return RMNIC_SC_OK;\n", 400),
    Mutant("a same-filled page is kept by the backend alone", "remote_out.c",
           "	for (unsigned int i = 0; i < s->members; i++)\n"
           "		if (rmnic_remote_live(s) >> i & 1)\n			out_ask(o, i);",
           "	if (o->type == RMNIC_RMP_WRITE_FILLED) {\n		out_end(o, RMNIC_SC_OK);\n"
           "		return rmnic_remote_op_started(o);\n	}\n"
           "	for (unsigned int i = 0; i < s->members; i++)\n"
           "		if (rmnic_remote_live(s) >> i & 1)\n			out_ask(o, i);"),
    Mutant("a failed page-out leaves the old word", "remote_out.c",
           "	rmnic_remote_word_set(r, o->rpn, o->version, kind);\n	RMNIC_COUNT(r->counters.same",
           "	if (kind == RMNIC_STATE_PAGE_UNKNOWN)\n"
           "		rmnic_remote_word_set(r, o->rpn, VERSION(word), BITS(word) & ~RMNIC_STATE_PAGE_WRITING);\n"
           "	else\n		rmnic_remote_word_set(r, o->rpn, o->version, kind);\n"
           "	RMNIC_COUNT(r->counters.same", 1000),
    Mutant("the word changes before the members answer", "remote_out.c",
           "	rmnic_remote_word_set(r, op->rpn, VERSION(word), BITS(word) | RMNIC_STATE_PAGE_WRITING);",
           "	rmnic_remote_word_set(r, op->rpn, o->version, RMNIC_STATE_PAGE_HELD);"),
    # --- The spill file ---
    Mutant("a short write to the spill file counts", "remote_spill.c",
           "	bool whole = bytes == sizeof(*op->place);", "	bool whole = bytes != 0;", 600),
    Mutant("another spill file passes for the one there was", "remote_spill.c",
           "	if (said == file(r)->id(r->cfg.spill_arg)) {", "	if (said) {", 1000,
           (("remote_spill.c", "	return rec->crc == rmnic_le32_put(page_crc(op, op->version));",
             "	return true;"),)),
    # --- The wire ---
    Mutant("a late duplicate is applied", "memstore.c",
           "	if (version > held || (version == held &&", "	if (version != held || (version == held &&"),
    Mutant("a tombstone is forgotten", "memstore.c",
           "meta_set(ms, s, &m[i], version, RMNIC_RMP_PAGE_TOMBSTONE, 0, 0);",
           "meta_set(ms, s, &m[i], 0, 0, 0, 0);", 400),
    Mutant("a free takes newer pages too", "memstore.c",
           "		if (m[i].vstate >> VERSION_SHIFT < version)\n", ""),
    Mutant("a handle is given out twice", "memstore.c",
           "	s->handle = ++ms->generation << SLOT_BITS | slot;\n	s->number",
           "	s->handle = 1ull << SLOT_BITS | slot;\n	s->number", 600),
    Mutant("a slab that is filled again keeps its handle", "memstore.c",
           "		s->previous = handle;\n		s->handle = ++ms->generation << SLOT_BITS | slot;",
           "		s->previous = handle;", 1000),
    Mutant("a frame is reused while it is sent", "frame.c",
           "	if (ref)\n		ref->gone = true;\n	else\n		give_back(fs, frame);",
           "	(void)ref;\n	give_back(fs, frame);"),
    Mutant("a replaced frame leaks", "memstore.c",
           "		rmnic_frame_put(ms->frames, m->body);\n		ms->stored--;\n	}\n	if (m->vstate",
           "		ms->stored--;\n	}\n	if (m->vstate"),
    Mutant("the server does not check pages on arrival", "rmp_paging.c",
           "	if (crc != o->msg.crc) {", "	if (0) {", 400),
    Mutant("the client does not check pages", "rmp_answer.c",
           "	if (crc != m->crc) { /* RMP-3 */", "	if (0) {"),
    Mutant("the fence is not looked at", "rmp_server.c",
           "	if (call->msg.epoch < fence)\n		return RMNIC_RMP_S_FENCED;\n"
           "	if (call->msg.epoch > fence || call->session->epoch != call->msg.epoch)\n"
           "		return RMNIC_RMP_S_NOT_SEALED;\n", "	(void)fence;\n", 600,
           (("rmp_paging.c", "	if (o->msg.epoch != d->epoch)", "	if (0)"),)),
    Mutant("page-out bytes are never given back", "rmp_window.c",
           "		c->peers[call->peer].out_bytes -= call->cost;", "		;"),
    Mutant("page-in bytes are never given back", "rmp_window.c",
           "		c->in_bytes -= call->cost;", "		;"),
    Mutant("a lost session is not opened again", "rmp_answer.c",
           "			rmnic_peer_lost(c, p);\n", ""),
    Mutant("nothing is sent again", "rmp_due.c",
           "	rmnic_call_send(c, call);\n	if (call->attempt > LOST_ATTEMPTS",
           "	call->retry_at = RMNIC_TIMER_NONE;\n	rmnic_call_arm(c, call);\n	if (call->attempt > LOST_ATTEMPTS"),
    Mutant("the guest's page is sent, not a copy", "remote_out.c",
           "	call->body = o->type == RMNIC_RMP_WRITE ? (const void *)o->copy : &o->word;",
           "	call->body = o->type == RMNIC_RMP_WRITE ? (const void *)o->op->data : &o->word;"),
    Mutant("a page's place is reused while it is sent", "rmp_client.c",
           "	if (--call->tx_refs || call->state != RMNIC_CALL_LEAVING)\n		return;",
           "	--call->tx_refs;\n	if (call->state != RMNIC_CALL_LEAVING)\n		return;", 400),
    Mutant("timers run before what has arrived is read", "tests/unit/cluster.c",
           "	deliver(w);\n	settle(w);\n	packet", "	settle(w);\n	deliver(w);\n	packet"),
    # --- Versions, frees ---
    Mutant("versions start again with each backend", "state_block.c",
           "	RMNIC_PUBLISH(&b->hdr->next_version, rmnic_le64_put(v + 1));",
           "	static uint64_t own;\n	v = ++own % 500 + 1;"),
    Mutant("redriven under a version that may have been used", "remote_out.c",
           "	o->version = rmnic_state_version(&r->state);",
           "	o->version = rmnic_state_page(&r->state, op->rpn) & RMNIC_STATE_PAGE_WRITING\n"
           "			     ? VERSION(rmnic_state_page(&r->state, op->rpn)) + 1\n"
           "			     : rmnic_state_version(&r->state);"),
    Mutant("what was written since it was freed is not told again", "remote_out.c",
           "					      RMNIC_STATE_PAGE_FREED | RMNIC_STATE_PAGE_TELL);\n"
           "			rmnic_remote_tell_add(r, rpn);",
           "					      RMNIC_STATE_PAGE_FREED);", 2000),
    # --- The device ---
    Mutant("a command whose completion was under way is done again", "takeover.c",
           "			finish(qp, (uint16_t)cid, &f);\n		} else if (state == RMNIC_STATE_FLIGHT_FETCHED) {",
           "			order[n].submission = rmnic_le64_get(f.submission);\n"
           "			order[n++].cid = (uint16_t)cid;\n"
           "		} else if (state == RMNIC_STATE_FLIGHT_FETCHED) {", how=("--rings",)),
    Mutant("a completion under way is forgotten", "takeover.c",
           "	if (rmnic_le32_get(f->cq_index) == qp->cq_tail) {", "	if (0) {", how=("--rings",)),
    Mutant("the head moves before the command is recorded", "flight.c",
           "	RMNIC_PUBLISH(&hdr->submissions, rmnic_le64_put(submission + 1));",
           "	RMNIC_PUBLISH(&hdr->submissions, rmnic_le64_put(submission + 1));\n"
           "	RMNIC_PUBLISH(&qp->row->sq_head, rmnic_le32_put(qp->sq_head + 1));", how=("--rings",)),
    Mutant("a command that is recorded is fetched again", "takeover.c",
           "			if (rmnic_le32_get(f.sq_index) == qp->sq_head)", "			if (0)",
           how=("--rings",)),
    Mutant("a command completes without saying so first", "flight.c",
           "	RMNIC_PUBLISH(&f->state, rmnic_le32_put(RMNIC_STATE_FLIGHT_COMPLETING));", "",
           how=("--rings",)),
    Mutant("an entry is free before the tail has moved", "qpair.c",
           "	rmnic_flight_tail(qp);\n	if (slot != RMNIC_NO_CID)\n		rmnic_flight_completed(qp, slot);",
           "	if (slot != RMNIC_NO_CID)\n		rmnic_flight_completed(qp, slot);\n	rmnic_flight_tail(qp);",
           1000, how=("--rings",)),
    Mutant("what was in flight is not redriven", "takeover.c",
           "		if (!rmnic_cmd_queue(qp, &f.sqe, true))", "		if (0)", how=("--rings",)),
    Mutant("an aborted command is executed when its turn comes", "admin.c",
           "	if (qp->cmds[cid].state != RMNIC_CMD_IDLE || (qp->row && rmnic_qp_pull(qp, cid))) {\n"
           "		rmnic_cmd_abort(qp, &qp->cmds[cid]);",
           "	if (qp->cmds[cid].state != RMNIC_CMD_IDLE) {\n		rmnic_cmd_abort(qp, &qp->cmds[cid]);\n"
           "	} else if (qp->row && rmnic_qp_pull(qp, cid)) {\n"
           "		rmnic_qp_post(qp, RMNIC_NO_CID, cid, qp->id, RMNIC_SC_ABORTED, 0, 0);", 400,
           how=("--rings",)),
    Mutant("what is recorded of another enabling is taken over", "control.c",
           "	return b && rmnic_le32_get(b->hdr->generation) == e->generation;",
           "	(void)e;\n	return b && b->hdr->generation;", how=("--rings",)),
    Mutant("suspending drops what is in flight", "control.c",
           "	if (dev->state == RMNIC_DEV_RUNNING || dev->state == RMNIC_DEV_PAUSED)\n"
           "		rmnic_dev_close(dev);\n	dev->state = RMNIC_DEV_DISABLED;\n}\n\n/* DMA-1",
           "	for (uint32_t i = 0; i < dev->cfg.block->nqueues * dev->cfg.block->depth; i++)\n"
           "		dev->cfg.block->flights[i].state = 0;\n"
           "	rmnic_dev_close(dev);\n	dev->state = RMNIC_DEV_DISABLED;\n}\n\n/* DMA-1", 600,
           how=("--rings",)),
    Mutant("pages that were being written at a reset are not settled", "flight.c",
           "	if (dev->unsettled && store->ops->settle)", "	if (0)", 400, how=("--rings",)),
    Mutant("an interrupt that was asked for is not raised", "qpair.c",
           "	arm = rmnic_le32_get(__atomic_load_n(&rec->cq_arm, __ATOMIC_RELAXED));",
           "	arm = rmnic_le32_get(__atomic_load_n(&rec->cq_arm, __ATOMIC_RELAXED)) | 1;", 400,
           how=("--rings",)),
]
