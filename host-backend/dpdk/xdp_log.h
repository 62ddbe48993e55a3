/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/xdp_log.h - quiets the libraries below DPDK's af_xdp driver.
 */
#ifndef RMNIC_DPDK_XDP_LOG_H
#define RMNIC_DPDK_XDP_LOG_H

/* After the EAL was started, which loads them; they are not linked to us. */
void rmnic_xdp_log_redirect(void);

#endif /* RMNIC_DPDK_XDP_LOG_H */
