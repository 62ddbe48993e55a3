/* SPDX-License-Identifier: BSD-3-Clause */
/* The settings of ports and servers. */
#include "common/conf_net.h"

static const struct rmnic_conf_setting port_settings[] = {
	{ .name = "device", .type = RMNIC_CONF_STRING,
	  .offset = offsetof(struct rmnic_conf_port, device) },
	{ .name = "address", .type = RMNIC_CONF_SUBNET,
	  .offset = offsetof(struct rmnic_conf_port, address) },
	{ .name = "gateway", .type = RMNIC_CONF_IPV4,
	  .offset = offsetof(struct rmnic_conf_port, gateway) },
	{ .name = "mtu", .type = RMNIC_CONF_UINT, .min = 1280, .max = 65535,
	  .offset = offsetof(struct rmnic_conf_port, mtu) },
};

const struct rmnic_conf_table rmnic_conf_port_table = {
	port_settings, sizeof(port_settings) / sizeof(port_settings[0]),
	sizeof(struct rmnic_conf_port)
};

static const struct rmnic_conf_setting server_settings[] = {
	/* Page-out's port is one above. */
	{ .name = "address", .type = RMNIC_CONF_ADDRESS, .max = 65534,
	  .offset = offsetof(struct rmnic_conf_server, address) },
	{ .name = "label", .type = RMNIC_CONF_STRING,
	  .offset = offsetof(struct rmnic_conf_server, label) },
	{ .name = "domain", .type = RMNIC_CONF_STRING,
	  .offset = offsetof(struct rmnic_conf_server, domain) },
	{ .name = "uuid", .type = RMNIC_CONF_UUID,
	  .offset = offsetof(struct rmnic_conf_server, uuid) },
};

const struct rmnic_conf_table rmnic_conf_server_table = {
	server_settings, sizeof(server_settings) / sizeof(server_settings[0]),
	sizeof(struct rmnic_conf_server)
};
