# SPDX-License-Identifier: BSD-3-Clause
"""Deliberate bugs in the engine, each of which the simulator must find.

Each is a file of host-backend/engine, the text that keeps a rule, the text that breaks it, and
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
    Mutant("a late duplicate is applied", "memstore.c",
           "	if (version > held)\n		return RMNIC_RMP_S_OK;",
           "	if (version != held)\n		return RMNIC_RMP_S_OK;"),
    Mutant("a tombstone is forgotten", "memstore.c",
           "meta_set(ms, s, &m[i], version, RMNIC_RMP_PAGE_TOMBSTONE, 0, 0);",
           "meta_set(ms, s, &m[i], 0, 0, 0, 0);"),
    Mutant("a free takes newer pages too", "memstore.c",
           "		if (m[i].vstate >> VERSION_SHIFT < version)\n", ""),
    Mutant("a frame is reused while it is sent", "frame.c",
           "	if (ref)\n		ref->gone = true;\n	else\n		give_back(fs, frame);",
           "	(void)ref;\n	give_back(fs, frame);"),
    Mutant("a replaced frame leaks", "memstore.c",
           "		rmnic_frame_put(ms->frames, m->body);\n		ms->stored--;\n	}\n	if (kind",
           "		ms->stored--;\n	}\n	if (kind"),
    Mutant("the server does not check pages on arrival", "rmp_paging.c",
           "	if (crc != o->msg.crc) {", "	if (0) {"),
    Mutant("the client does not check pages", "rmp_answer.c",
           "	if (crc != m->crc) { /* RMP-3 */", "	if (0) {"),
    Mutant("the fence is not looked at", "rmp_server.c",
           "	if (call->msg.epoch < fence)\n		return RMNIC_RMP_S_FENCED;\n"
           "	if (call->msg.epoch > fence || call->session->epoch != call->msg.epoch)\n"
           "		return RMNIC_RMP_S_NOT_SEALED;\n", "	(void)fence;\n", 2000,
           (("rmp_paging.c", "	if (o->msg.epoch != d->epoch)", "	if (0)"),)),
    Mutant("an unknown slab reads as zeros", "remote_page.c",
           "	case RMNIC_CALL_EMPTY: /* STATE-8: proof, not silence */\n"
           "	case RMNIC_RMP_S_UNKNOWN_SLAB:\n",
           "	case RMNIC_CALL_EMPTY:\n	case RMNIC_RMP_S_UNKNOWN_SLAB:\n"
           "		rmnic_page_fill(o->op->data, 0);\n		return RMNIC_SC_OK;\n", 400),
    Mutant("acknowledged when the first member has it", "remote_page.c",
           "	if (--o->pending == 0) {\n		out_end(o);\n		op_end(o, o->worst);\n	}\n}\n\n/* --- Page-in",
           "	--o->pending;\n	if (o->op && status == RMNIC_SC_OK) {\n		out_end(o);\n"
           "		op_end(o, o->worst);\n	} else if (o->op && !o->pending) {\n		out_end(o);\n"
           "		op_end(o, o->worst);\n	}\n}\n\n/* --- Page-in", 1000),
    Mutant("a failed member does not matter", "remote_page.c",
           "	if (status != RMNIC_SC_OK && o->worst != RMNIC_SC_UNREACHABLE)\n		o->worst = status;\n",
           "	(void)status;\n", 1000),
    Mutant("a failed page-out leaves the old word", "remote_page.c",
           "		rmnic_state_page_set(&r->state, o->rpn, o->version, RMNIC_STATE_PAGE_UNKNOWN);",
           "		rmnic_state_page_set(&r->state, o->rpn, VERSION(word), BITS(word) & ~RMNIC_STATE_PAGE_WRITING);",
           1000),
    Mutant("the word changes before the members answer", "remote_page.c",
           "	rmnic_state_page_set(&r->state, op->rpn, VERSION(word),\n			     BITS(word) | RMNIC_STATE_PAGE_WRITING);",
           "	(void)word;\n	rmnic_state_page_set(&r->state, op->rpn, version,\n			     RMNIC_STATE_PAGE_HELD);"),
    Mutant("a telling goes out while the page is written", "remote_free.c",
           "	const uint32_t bits = RMNIC_STATE_PAGE_KIND | RMNIC_STATE_PAGE_WRITING |\n			      RMNIC_STATE_PAGE_TELL;",
           "	const uint32_t bits = RMNIC_STATE_PAGE_KIND | RMNIC_STATE_PAGE_TELL;", 2500,
           how=("--direct",)),
    Mutant("a page is freed on the members only", "remote_free.c",
           "		rmnic_state_page_set(&r->state, i, version,\n				     RMNIC_STATE_PAGE_FREED | RMNIC_STATE_PAGE_TELL | writing);",
           "		(void)writing;"),
    Mutant("versions start again with each backend", "state_block.c",
           "	RMNIC_PUBLISH(&b->hdr->next_version, rmnic_le64_put(v + 1));",
           "	static uint64_t own;\n	v = ++own % 500 + 1;"),
    Mutant("page-out bytes are never given back", "rmp_client.c",
           "		c->peers[call->peer].out_bytes -= call->cost;", "		;"),
    Mutant("page-in bytes are never given back", "rmp_client.c",
           "		c->in_bytes -= call->cost;", "		;"),
    Mutant("a lost session is not opened again", "rmp_answer.c",
           "			rmnic_peer_lost(c, p);\n", ""),
    Mutant("nothing is sent again", "rmp_client.c",
           "	rmnic_call_send(c, call);\n	if (call->attempt > LOST_ATTEMPTS",
           "	call->retry_at = RMNIC_TIMER_NONE;\n	rmnic_call_arm(c, call);\n	if (call->attempt > LOST_ATTEMPTS"),
    Mutant("the guest's page is sent, not a copy", "remote_page.c",
           "		call->body = type == RMNIC_RMP_WRITE ? (const void *)o->copy : &o->word;",
           "		call->body = type == RMNIC_RMP_WRITE ? (const void *)o->op->data : &o->word;"),
    Mutant("a page's place is reused while it is sent", "rmp_client.c",
           "	if (--call->tx_refs || call->state != RMNIC_CALL_LEAVING)\n		return;",
           "	--call->tx_refs;\n	if (call->state != RMNIC_CALL_LEAVING)\n		return;", 400),
    Mutant("a command whose completion was under way is done again", "takeover.c",
           "			finish(qp, (uint16_t)cid, &f);\n		} else if (state == RMNIC_STATE_FLIGHT_FETCHED) {",
           "			order[n].submission = rmnic_le64_get(f.submission);\n"
           "			order[n++].cid = (uint16_t)cid;\n"
           "		} else if (state == RMNIC_STATE_FLIGHT_FETCHED) {"),
    Mutant("a completion under way is forgotten", "takeover.c",
           "	if (rmnic_le32_get(f->cq_index) == qp->cq_tail) {", "	if (0) {"),
    Mutant("the head moves before the command is recorded", "flight.c",
           "	RMNIC_PUBLISH(&hdr->submissions, rmnic_le64_put(submission + 1));",
           "	RMNIC_PUBLISH(&hdr->submissions, rmnic_le64_put(submission + 1));\n"
           "	RMNIC_PUBLISH(&qp->row->sq_head, rmnic_le32_put(qp->sq_head + 1));"),
    Mutant("a command that is recorded is fetched again", "takeover.c",
           "			if (rmnic_le32_get(f.sq_index) == qp->sq_head)", "			if (0)"),
    Mutant("a command completes without saying so first", "flight.c",
           "	RMNIC_PUBLISH(&f->state, rmnic_le32_put(RMNIC_STATE_FLIGHT_COMPLETING));", ""),
    Mutant("an entry is free before the tail has moved", "qpair.c",
           "	rmnic_flight_tail(qp);\n	if (slot != RMNIC_NO_CID)\n		rmnic_flight_completed(qp, slot);",
           "	if (slot != RMNIC_NO_CID)\n		rmnic_flight_completed(qp, slot);\n	rmnic_flight_tail(qp);",
           2000),
    Mutant("what was in flight is not redriven", "takeover.c",
           "		if (!rmnic_cmd_queue(qp, &f.sqe, true))", "		if (0)"),
    Mutant("redriven under a version that may have been used", "remote_page.c",
           "	version = rmnic_state_version(&r->state);",
           "	version = rmnic_state_page(&r->state, op->rpn) & RMNIC_STATE_PAGE_WRITING\n"
           "			  ? VERSION(rmnic_state_page(&r->state, op->rpn)) + 1\n"
           "			  : rmnic_state_version(&r->state);"),
    Mutant("an aborted command is executed when its turn comes", "admin.c",
           "	if (qp->cmds[cid].state != RMNIC_CMD_IDLE || (qp->row && rmnic_qp_pull(qp, cid))) {\n"
           "		rmnic_cmd_abort(qp, &qp->cmds[cid]);",
           "	if (qp->cmds[cid].state != RMNIC_CMD_IDLE) {\n		rmnic_cmd_abort(qp, &qp->cmds[cid]);\n"
           "	} else if (qp->row && rmnic_qp_pull(qp, cid)) {\n"
           "		rmnic_qp_post(qp, RMNIC_NO_CID, cid, qp->id, RMNIC_SC_ABORTED, 0, 0);", 400),
    Mutant("what is recorded of another enabling is taken over", "control.c",
           "	return b && rmnic_le32_get(b->hdr->generation) == e->generation;",
           "	(void)e;\n	return b && b->hdr->generation;"),
    Mutant("suspending drops what is in flight", "control.c",
           "	if (dev->state == RMNIC_DEV_RUNNING || dev->state == RMNIC_DEV_PAUSED)\n"
           "		rmnic_dev_close(dev);\n	dev->state = RMNIC_DEV_DISABLED;\n}\n\n/* DMA-1",
           "	for (uint32_t i = 0; i < dev->cfg.block->nqueues * dev->cfg.block->depth; i++)\n"
           "		dev->cfg.block->flights[i].state = 0;\n"
           "	rmnic_dev_close(dev);\n	dev->state = RMNIC_DEV_DISABLED;\n}\n\n/* DMA-1"),
    Mutant("pages that were being written at a reset are not settled", "flight.c",
           "	if (dev->unsettled && store->ops->settle)", "	if (0)"),
    Mutant("what was written since it was freed is not told again", "remote_page.c",
           "					     RMNIC_STATE_PAGE_FREED | RMNIC_STATE_PAGE_TELL);\n"
           "			rmnic_remote_tell_add(r, rpn);",
           "					     RMNIC_STATE_PAGE_FREED);", 2000),
]
