/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/eal_internal.h - what DPDK said, for errors' texts.
 */
#ifndef RMNIC_DPDK_EAL_INTERNAL_H
#define RMNIC_DPDK_EAL_INTERNAL_H

#include <stddef.h>

/* Before a call that may fail. */
void rmnic_eal_forget(void);
/* After it: the first line DPDK logged at warning or above. Returns buf. */
const char *rmnic_eal_said(char *buf, size_t len);

#endif /* RMNIC_DPDK_EAL_INTERNAL_H */
