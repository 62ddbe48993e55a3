/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dpdk/port_device.h - a port's device: probing, queues, pools.
 */
#ifndef RMNIC_DPDK_PORT_DEVICE_H
#define RMNIC_DPDK_PORT_DEVICE_H

#include "common/error.h"

struct rmnic_port;
struct rmnic_port_info;

#define RMNIC_PORT_XDP_MTU 3400

/* Needs device, queues and mtu; sets the rest of what the driver knows. */
int rmnic_port_device_open(struct rmnic_port *port, struct rmnic_error *err);
/* Of a device that the kernel has no interface for: keeps port->link true. */
int rmnic_port_link_follow(struct rmnic_port *port, struct rmnic_error *err);
/* Frames and errors so far. */
void rmnic_port_device_count(const struct rmnic_port *port, struct rmnic_port_info *out);
/* Also of one that was opened halfway. */
void rmnic_port_device_close(struct rmnic_port *port);

#endif /* RMNIC_DPDK_PORT_DEVICE_H */
