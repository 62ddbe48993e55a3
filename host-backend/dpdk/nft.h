/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/nft.h - keeps our datagrams from the kernel's stack (RULES F7).
 *
 * A rule at the interface's ingress hook drops what is addressed to our UDP ports. Packet sockets
 * see the frames before that. The table is named after interface and ports: a new process with
 * the same ones replaces what a dead one left.
 */
#ifndef RMNIC_DPDK_NFT_H
#define RMNIC_DPDK_NFT_H

#include <stdint.h>

#include "common/error.h"

struct rmnic_nft;

/* ip and ports in host order. NULL: err; there is no rule then. */
struct rmnic_nft *rmnic_nft_add(const char *interface, uint32_t ip, uint16_t first, uint16_t last,
				struct rmnic_error *err);
/* Removes the rule. */
void rmnic_nft_remove(struct rmnic_nft *nft);

#endif /* RMNIC_DPDK_NFT_H */
