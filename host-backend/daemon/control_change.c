/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands of the control socket that change something. */
#include <string.h>

#include "common/conf_net.h"
#include "common/log.h"
#include "daemon/control_internal.h"
#include "rmnic/rmp.h"

#define MAX_RATE UINT64_C(10000000)

/* --- Servers --------------------------------------------------------------------------------- */

/* How much there is to move, for who wants to see it go down. */
static int drain(struct rmnic_backend *b, struct rmnic_conf_address address, bool on,
		 json_t **result, struct rmnic_error *err)
{
	const struct rmnic_server *server = rmnic_backend_server(b, address);
	struct rmnic_server_use use;
	char text[24];

	if (rmnic_backend_server_drain(b, address, on, err))
		return -1;
	use = rmnic_backend_server_use(b, server);
	*result = json_pack("{s:s, s:I, s:i}", "address",
			    rmnic_address_format(server->address, text), "slabs",
			    (json_int_t)use.slabs, "devices", (int)use.devices);
	return 0;
}

int rmnic_control_server(void *arg, const json_t *request, json_t **result,
			 struct rmnic_error *err)
{
	struct rmnic_backend *b = ((struct rmnic_control *)arg)->report.backend;
	struct rmnic_conf_server server;
	const char *action, *text;
	int ret;

	if (rmnic_ctl_string(request, "action", &action, err) ||
	    rmnic_ctl_string(request, "server", &text, err) ||
	    rmnic_conf_item_parse(&rmnic_conf_server_table, text, &server, err))
		return -1;
	if (!strcmp(action, "add"))
		ret = rmnic_backend_server_add(b, &server, false, err);
	else if (!strcmp(action, "remove"))
		ret = rmnic_backend_server_remove(b, server.address, err);
	else if (!strcmp(action, "drain") || !strcmp(action, "undrain"))
		ret = drain(b, server.address, *action == 'd', result, err);
	else
		ret = rmnic_error_set(err, "action '%s' is none of add, drain, undrain and remove",
				      action);
	rmnic_conf_free(&rmnic_conf_server_table, &server);
	return ret;
}

/* --- Replicas and rates ------------------------------------------------------------------------ */

int rmnic_control_replicas(void *arg, const json_t *request, json_t **result,
			   struct rmnic_error *err)
{
	struct rmnic_control *c = arg;
	struct rmnic_backend *b = c->report.backend;
	struct rmnic_vdev *v = NULL;
	struct rmnic_vdev_names names = { .replicas = 0 };
	const char *name;
	uint64_t n;

	if (json_object_get(request, "device")) {
		if (rmnic_ctl_string(request, "device", &name, err))
			return -1;
		v = rmnic_report_device(&c->report, name, err);
		if (!v)
			return -1;
		rmnic_vdev_names(v, &names);
	}
	if (json_object_get(request, "replicas")) {
		if (rmnic_ctl_uint(request, "replicas", 0, RMNIC_RMP_MAX_MEMBERS, &n, err) ||
		    rmnic_backend_replicas_set(b, v ? names.uuid : NULL, (uint32_t)n, err))
			return -1;
		if (v)
			rmnic_vdev_names(v, &names);
	}
	*result = json_pack("{s:i, s:i}", "replicas",
			    (int)(v ? names.replicas : rmnic_backend_replicas(b)), "setting",
			    (int)b->tuning.replicas);
	return 0;
}

static int rate(struct rmnic_control *c, const json_t *request, uint32_t *value, json_t **result,
		struct rmnic_error *err)
{
	uint64_t n;

	if (json_object_get(request, "pages")) {
		if (rmnic_ctl_uint(request, "pages", 1, MAX_RATE, &n, err))
			return -1;
		*value = (uint32_t)n;
		rmnic_backend_tune(c->report.backend);
	}
	*result = json_pack("{s:i}", "pages", (int)*value);
	return 0;
}

int rmnic_control_repair_rate(void *arg, const json_t *request, json_t **result,
			      struct rmnic_error *err)
{
	struct rmnic_control *c = arg;

	return rate(c, request, &c->report.backend->tuning.repair_rate, result, err);
}

int rmnic_control_scrub_rate(void *arg, const json_t *request, json_t **result,
			     struct rmnic_error *err)
{
	struct rmnic_control *c = arg;

	return rate(c, request, &c->report.backend->tuning.scrub_rate, result, err);
}

/* --- Other settings -------------------------------------------------------------------------------- */

#define SETTABLE "drop-ms, away-ms, hedge-permille, repair-rate or scrub-rate"

/* NULL: it cannot change this way. */
static uint32_t *tuning_find(struct rmnic_tuning *t, const char *name)
{
	const struct {
		const char *name;
		uint32_t *value;
	} all[] = {
		{ "drop-ms", &t->drop_ms },         { "away-ms", &t->away_ms },
		{ "repair-rate", &t->repair_rate }, { "scrub-rate", &t->scrub_rate },
		{ "hedge-permille", &t->hedge_permille },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (!strcmp(name, all[i].name))
			return all[i].value;
	return NULL;
}

/* Its range stands in the configuration's table. */
static const struct rmnic_conf_setting *setting_find(const char *name)
{
	const struct rmnic_conf_table *t = &rmnic_config_program.table;
	size_t i = 0;

	while (strcmp(t->settings[i].name, name) != 0)
		i++; /* each that can change is there: tuning_find() */
	return &t->settings[i];
}

int rmnic_control_set(void *arg, const json_t *request, json_t **result, struct rmnic_error *err)
{
	struct rmnic_backend *b = ((struct rmnic_control *)arg)->report.backend;
	const struct rmnic_conf_setting *setting;
	const char *name;
	uint32_t *value;
	uint64_t n;

	if (rmnic_ctl_string(request, "setting", &name, err))
		return -1;
	value = tuning_find(&b->tuning, name);
	if (!value)
		return rmnic_error_set(err, "'%s' is none of " SETTABLE " (replicas: rmnicctl replicas; "
				       "others change with a restart)", name);
	if (json_object_get(request, "value")) {
		setting = setting_find(name);
		if (rmnic_ctl_uint(request, "value", setting->min, setting->max, &n, err))
			return -1;
		*value = (uint32_t)n;
		rmnic_log_info("%s is %u now", name, *value);
		rmnic_backend_tune(b);
	}
	*result = json_pack("{s:i}", name, (int)*value);
	return 0;
}

/* --- Recovery by hand ---------------------------------------------------------------------------- */

int rmnic_control_slab(void *arg, const json_t *request, json_t **result,
		       struct rmnic_error *err)
{
	struct rmnic_control *c = arg;
	const char *action, *name, *all = json_string_value(json_object_get(request, "slab"));
	uint64_t number = UINT64_MAX, forced;
	struct rmnic_vdev *v;

	if (rmnic_ctl_string(request, "action", &action, err) ||
	    rmnic_ctl_string(request, "device", &name, err))
		return -1;
	if (strcmp(action, "force") != 0)
		return rmnic_error_set(err, "action '%s' is not force", action);
	if ((!all || strcmp(all, "all") != 0) &&
	    rmnic_ctl_uint(request, "slab", 0, INT64_MAX, &number, err))
		return -1;
	v = rmnic_report_device(&c->report, name, err);
	if (!v)
		return -1;
	forced = rmnic_vdev_force(v, number);
	if (!forced && number == UINT64_MAX)
		return rmnic_error_set(err, "no slab of the device waits for a server");
	if (!forced)
		return rmnic_error_set(err, "slab %llu does not wait for a server (see: rmnicctl slabs)",
				       (unsigned long long)number);
	rmnic_log_warn("%s: %llu slab%s forced: what only missing servers have of it is lost", name,
		       (unsigned long long)forced, forced == 1 ? "" : "s");
	*result = json_pack("{s:I}", "forced", (json_int_t)forced);
	return 0;
}

int rmnic_control_device(void *arg, const json_t *request, json_t **result,
			 struct rmnic_error *err)
{
	struct rmnic_backend *b = ((struct rmnic_control *)arg)->report.backend;
	const char *action, *name;
	uint8_t uuid[16];

	(void)result;
	if (rmnic_ctl_string(request, "action", &action, err) ||
	    rmnic_ctl_string(request, "device", &name, err))
		return -1;
	if (!rmnic_uuid_parse(name, uuid))
		return rmnic_error_set(err, "'%s' is not a uuid (such as "
				       "0b8f2c4e-6f0a-4c0e-9d0a-5b1b7c9d3e21)", name);
	if (!strcmp(action, "recover"))
		return rmnic_backend_recover(b, uuid, err);
	if (!strcmp(action, "cancel"))
		return rmnic_backend_recover_cancel(b, uuid, err);
	return rmnic_error_set(err, "action '%s' is neither recover nor cancel", action);
}
