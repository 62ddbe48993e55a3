/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/device.h - what a port's DEVICE string names, and the arguments its driver is given.
 */
#ifndef RMNIC_DPDK_DEVICE_H
#define RMNIC_DPDK_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum rmnic_driver {
	RMNIC_DRIVER_PACKET, /* our own (packet.h); the others are DPDK's */
	RMNIC_DRIVER_AF_PACKET,
	RMNIC_DRIVER_AF_XDP,
	RMNIC_DRIVER_TAP,
	RMNIC_DRIVER_MEMIF,
	RMNIC_DRIVER_PCI,
};

struct rmnic_device {
	enum rmnic_driver driver;
	char name[64];      /* as it was given */
	char argument[128]; /* interface, PCI address, or memif's socket */
	bool memif_server;
	bool interface;     /* argument is an interface that the kernel has */
};

extern const char *const rmnic_driver_names[];

/* 0, or -1 with err: what DEVICE may look like. */
int rmnic_device_parse(const char *text, struct rmnic_device *out, struct rmnic_error *err);

/* The rings of a packet socket, ours or net_af_packet's, chosen from what a frame needs and what may be locked. */
struct rmnic_rings {
	uint32_t frame, block, count;
};

/*
 * mtu: of the largest frame that must fit. queues: of the port. lockable: bytes that may be
 * locked, UINT64_MAX: any. False: not even small rings fit.
 */
bool rmnic_rings_choose(uint16_t mtu, uint16_t queues, uint64_t lockable, struct rmnic_rings *out);
/* Bytes this process may still lock in memory, UINT64_MAX: any. */
uint64_t rmnic_lockable(void);
/* What the driver is told. Returns buf. */
const char *rmnic_device_arguments(const struct rmnic_device *device, uint16_t queues,
				   const struct rmnic_rings *rings, char *buf, size_t len);

#endif /* RMNIC_DPDK_DEVICE_H */
