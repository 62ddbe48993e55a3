// SPDX-License-Identifier: GPL-2.0
/*
 * trace.c - the one place where the trace points of trace.h are made.
 */
#include "rmnic.h"

#define CREATE_TRACE_POINTS
#include "trace.h"
