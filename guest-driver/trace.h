/* SPDX-License-Identifier: GPL-2.0 */
/*
 * trace.h - trace points: begin and end of each page-in and page-out.
 *
 * /sys/kernel/tracing/events/rmnic/rmnic_page_{in,out}_{start,end}. Start and end of one
 * command have the same qid and cid.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rmnic

#if !defined(RMNIC_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RMNIC_TRACE_H

#include <linux/tracepoint.h>

#include "rmnic.h"

DECLARE_EVENT_CLASS(rmnic_start,
	TP_PROTO(const struct rmnic_cmd *cmd),
	TP_ARGS(cmd),
	TP_STRUCT__entry(
		__field(int, instance)
		__field(u16, qid)
		__field(u16, cid)
		__field(u64, rpn)
		__field(u32, npages)
	),
	TP_fast_assign(
		__entry->instance = cmd->queue->ctrl->instance;
		__entry->qid = cmd->queue->qid;
		__entry->cid = le16_to_cpu(cmd->sqe.cid);
		__entry->rpn = cmd->rpn;
		__entry->npages = cmd->npages;
	),
	TP_printk("rmnic%d qid=%u cid=%u rpn=%llu npages=%u",
		  __entry->instance, __entry->qid, __entry->cid, __entry->rpn,
		  __entry->npages)
);

DEFINE_EVENT(rmnic_start, rmnic_page_in_start,
	TP_PROTO(const struct rmnic_cmd *cmd), TP_ARGS(cmd));
DEFINE_EVENT(rmnic_start, rmnic_page_out_start,
	TP_PROTO(const struct rmnic_cmd *cmd), TP_ARGS(cmd));

DECLARE_EVENT_CLASS(rmnic_end,
	TP_PROTO(const struct rmnic_cmd *cmd, u64 latency_ns),
	TP_ARGS(cmd, latency_ns),
	TP_STRUCT__entry(
		__field(int, instance)
		__field(u16, qid)
		__field(u16, cid)
		__field(u64, rpn)
		__field(u32, npages)
		__field(u16, status)
		__field(u64, latency_ns)
	),
	TP_fast_assign(
		__entry->instance = cmd->queue->ctrl->instance;
		__entry->qid = cmd->queue->qid;
		__entry->cid = le16_to_cpu(cmd->sqe.cid);
		__entry->rpn = cmd->rpn;
		__entry->npages = cmd->npages;
		__entry->status = cmd->status;
		__entry->latency_ns = latency_ns;
	),
	TP_printk("rmnic%d qid=%u cid=%u rpn=%llu npages=%u status=0x%x latency_ns=%llu",
		  __entry->instance, __entry->qid, __entry->cid, __entry->rpn,
		  __entry->npages, __entry->status, __entry->latency_ns)
);

DEFINE_EVENT(rmnic_end, rmnic_page_in_end,
	TP_PROTO(const struct rmnic_cmd *cmd, u64 latency_ns), TP_ARGS(cmd, latency_ns));
DEFINE_EVENT(rmnic_end, rmnic_page_out_end,
	TP_PROTO(const struct rmnic_cmd *cmd, u64 latency_ns), TP_ARGS(cmd, latency_ns));

#ifndef RMNIC_TRACE_HELPERS
#define RMNIC_TRACE_HELPERS
static inline void rmnic_trace_start(const struct rmnic_cmd *cmd)
{
	if (cmd->opcode == RMNIC_OP_PAGE_IN)
		trace_rmnic_page_in_start(cmd);
	else if (cmd->opcode == RMNIC_OP_PAGE_OUT)
		trace_rmnic_page_out_start(cmd);
}

static inline void rmnic_trace_end(const struct rmnic_cmd *cmd, u64 latency_ns)
{
	if (cmd->opcode == RMNIC_OP_PAGE_IN)
		trace_rmnic_page_in_end(cmd, latency_ns);
	else if (cmd->opcode == RMNIC_OP_PAGE_OUT)
		trace_rmnic_page_out_end(cmd, latency_ns);
}
#endif

#endif /* RMNIC_TRACE_H */

/* This part must be outside the guard. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
