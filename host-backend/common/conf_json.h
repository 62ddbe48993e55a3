/* SPDX-License-Identifier: BSD-3-Clause */
/* common/conf_json.h - the settings in force, for the control socket's "config". */
#ifndef RMNIC_COMMON_CONF_JSON_H
#define RMNIC_COMMON_CONF_JSON_H

#include <jansson.h>

#include "common/conf.h"

/* {"udp_port": 7700, "servers": [{"address": "10.0.0.1"}], ...}; what was not given is null. */
json_t *rmnic_conf_json(const struct rmnic_conf_table *table, const void *values);

#endif /* RMNIC_COMMON_CONF_JSON_H */
