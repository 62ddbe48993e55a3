/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * user/guard.h - memory that somebody else can take away under this process.
 *
 * A seal keeps a memfd from being shortened, but not from having holes punched: a hole in a file
 * of huge pages cannot be filled again when there are none left, and a page may fail in
 * hardware. Either is a SIGBUS at the next access, which would end a process that serves other
 * guests too. Where a guarded range faults, private zeros take the place of what is gone, for
 * this process alone: the front end that lost its guest's page harms nobody else.
 */
#ifndef RMNIC_USER_GUARD_H
#define RMNIC_USER_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All regions and state blocks of all devices of a process. */
#define RMNIC_GUARD_MAX 8192

/* Once, by a program that maps what others own. False: errno says why. */
bool rmnic_guard_install(void);
/*
 * Guards [start, start + len), which was mapped in whole granules (4096, or a huge page's size).
 * Control threads only. False: there are RMNIC_GUARD_MAX already.
 */
bool rmnic_guard_add(void *start, size_t len, size_t granule);
/* Before it is unmapped: afterwards the address may be anything's. */
void rmnic_guard_remove(void *start);
/* Granules that were replaced since the start; any thread. */
uint64_t rmnic_guard_faults(void);

#endif /* RMNIC_USER_GUARD_H */
