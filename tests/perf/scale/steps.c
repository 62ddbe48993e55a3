/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How much the engine does: basic blocks that were run, where it was built with
 * -fsanitize-coverage=trace-pc. Unlike time it is the same on every machine.
 */
#include "phases.h"

uint64_t scale_steps;

void __sanitizer_cov_trace_pc(void);

void __sanitizer_cov_trace_pc(void)
{
	scale_steps++;
}
