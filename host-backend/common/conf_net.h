/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * common/conf_net.h - the repeatable settings of both daemons: ports and servers.
 */
#ifndef RMNIC_COMMON_CONF_NET_H
#define RMNIC_COMMON_CONF_NET_H

#include "common/conf.h"

#define RMNIC_CONF_SERVER_PORT 7611 /* page-in's; page-out's is one above */

/* --port DEVICE[,address=A/N][,gateway=A][,mtu=N]; DEVICE as in dpdk/port.h */
struct rmnic_conf_port {
	const char *device;
	const char *address; /* NULL: as the kernel has it */
	const char *gateway; /* NULL: none */
	uint64_t mtu;        /* 0: the interface's */
};

/* --server ADDRESS[:PORT][,label=TEXT][,domain=TEXT][,uuid=UUID] */
struct rmnic_conf_server {
	struct rmnic_conf_address address; /* port 0: RMNIC_CONF_SERVER_PORT */
	const char *label;                 /* for people; NULL: none */
	const char *domain;                /* what fails together; NULL: it fails alone */
	struct rmnic_conf_uuid uuid;       /* given: only this server is spoken to there */
};

extern const struct rmnic_conf_table rmnic_conf_port_table;
extern const struct rmnic_conf_table rmnic_conf_server_table;

/* The help of both, for a program's table. */
#define RMNIC_CONF_PORT_METAVAR   "DEVICE[,address=A/N][,gateway=A][,mtu=N]"
#define RMNIC_CONF_PORT_HELP                                                                   \
	"a network port: an interface's name (packet sockets), af_packet:NAME, af_xdp:NAME, a PCI " \
	"address (bound to vfio-pci), tap:NAME, memif:client:SOCKET or memif:server:SOCKET"
#define RMNIC_CONF_SERVER_METAVAR "ADDRESS[:PORT][,label=TEXT][,domain=TEXT][,uuid=UUID]"
#define RMNIC_CONF_SERVER_HELP                                                                 \
	"a memory server; PORT is page-in's, page-out's is the next one (7611 if not given); the " \
	"replicas of a page are on servers of different domains where there are enough of them"

#endif /* RMNIC_COMMON_CONF_NET_H */
