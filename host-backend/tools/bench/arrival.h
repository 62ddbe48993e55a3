/* SPDX-License-Identifier: BSD-3-Clause */
/* tools/bench/arrival.h - waiting until somebody listens on a UNIX socket. */
#ifndef RMNIC_BENCH_ARRIVAL_H
#define RMNIC_BENCH_ARRIVAL_H

#include "common/error.h"

/* Returns 0 once a connection is accepted there; -1 with err after timeout_ms. */
int bench_arrival_wait(const char *path, int timeout_ms, struct rmnic_error *err);

#endif /* RMNIC_BENCH_ARRIVAL_H */
