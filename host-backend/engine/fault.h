/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine/fault.h - knobs that make a device misbehave, for tests of its driver.
 *
 * Plain words, read with relaxed atomic loads for each command; 0 is off.
 */
#ifndef RMNIC_ENGINE_FAULT_H
#define RMNIC_ENGINE_FAULT_H

#include <stdint.h>

enum rmnic_fault_cqe {
	RMNIC_FAULT_CQE_NONE,
	RMNIC_FAULT_CQE_BAD_CID,     /* a cid that is not in flight */
	RMNIC_FAULT_CQE_DOUBLE,      /* the completion twice */
	RMNIC_FAULT_CQE_BAD_STATUS,  /* a status code that does not exist */
	RMNIC_FAULT_CQE_BAD_QID,     /* another queue pair's id */
	RMNIC_FAULT_CQE_BAD_DONE,    /* more pages done than the command has */
	RMNIC_FAULT_CQE_DROP,        /* no completion at all */
	RMNIC_FAULT_CQE_COUNT
};

struct rmnic_fault {
	uint32_t opcode;       /* commands concerned; 0: every I/O command. Of an admin command
				* only the completion can be dropped, and only by its opcode. */
	uint32_t delay_us;     /* each concerned command completes so much later, 0 to 10 s */
	uint32_t fail_status;  /* RMNIC_SC_* put in place of the result ... */
	uint32_t fail_nth;     /* ... of every n-th concerned command, counted from now */
	uint32_t fail_permille; /* ... or of this share of them, 0 to 1000 */
	uint64_t fail_rpn_first; /* ... only when it touches this range of pages; */
	uint64_t fail_rpn_count; /* 0: any page */
	uint32_t cqe_kind;     /* enum rmnic_fault_cqe, done to ... */
	uint32_t cqe_nth;      /* ... the n-th concerned completion from now, once */
	uint32_t drop_irq_nth; /* every n-th interrupt is not raised */
};

#endif /* RMNIC_ENGINE_FAULT_H */
