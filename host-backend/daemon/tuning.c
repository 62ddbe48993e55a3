/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What may change while devices are served: replicas, how much work in the background may cost, and
 * how long a silent server is waited for.
 */
#include "daemon/backend.h"
#include "daemon/device_internal.h"

#include "common/log.h"

#define AUTO_REPLICAS 2u
#define MS UINT64_C(1000000)

void rmnic_tuning_read(const struct rmnic_config *config, struct rmnic_tuning *out)
{
#define X(name) out->name = (uint32_t)config->name;
	RMNIC_TUNINGS(X)
#undef X
}

uint32_t rmnic_backend_replicas(const struct rmnic_backend *b)
{
	if (b->tuning.replicas)
		return b->tuning.replicas;
	return rmnic_backend_servers_staying(b) < AUTO_REPLICAS ? 1 : AUTO_REPLICAS;
}

static void tune(struct rmnic_vdev *v, void *arg)
{
	const struct rmnic_backend *b = arg;
	const struct rmnic_tuning *t = &b->tuning;

	rmnic_store_remote_replicas(v->store, rmnic_vdev_replicas(v));
	rmnic_store_remote_rates(v->store, t->repair_rate, t->scrub_rate);
	rmnic_store_remote_patience(v->store, t->drop_ms * MS, t->away_ms * MS, t->hedge_permille);
}

void rmnic_backend_tune(struct rmnic_backend *b)
{
	rmnic_backend_each(b, tune, b);
}

/* What a command has changed meanwhile stays, unless the file has a new word to say. */
static void take(struct rmnic_backend *b, const struct rmnic_config *config)
{
	struct rmnic_tuning fresh, *old = &b->configured, *t = &b->tuning;

	rmnic_tuning_read(config, &fresh);
#define X(name)                       \
	if (fresh.name != old->name)  \
		t->name = fresh.name;
	RMNIC_TUNINGS(X)
#undef X
	*old = fresh;
}

int rmnic_backend_reload(struct rmnic_backend *b, const struct rmnic_config *config,
			 struct rmnic_error *err)
{
	const struct rmnic_tuning tuning = b->tuning, configured = b->configured;

	/* First: which servers may go depends on the replicas. */
	take(b, config);
	if (rmnic_backend_servers_reload(b, &config->servers, err)) {
		b->tuning = tuning;
		b->configured = configured;
		return -1;
	}
	rmnic_backend_tune(b);
	return 0;
}

int rmnic_backend_replicas_set(struct rmnic_backend *b, const uint8_t *uuid, uint32_t replicas,
			       struct rmnic_error *err)
{
	unsigned int staying = rmnic_backend_servers_staying(b);
	struct rmnic_vdev *v = uuid ? rmnic_backend_find(b, uuid) : NULL;
	char text[37];

	if (uuid && !v)
		return rmnic_error_set(err, "there is no device %s (see: rmnicctl devices)",
				       rmnic_uuid_format(uuid, text));
	if (replicas > staying)
		return rmnic_error_set(err, "%u replicas need as many servers, and there %s %u: add "
				       "some first (rmnicctl server add)", replicas,
				       staying == 1 ? "is" : "are", staying);
	if (v)
		rmnic_vdev_replicas_set(v, replicas);
	else
		b->tuning.replicas = replicas;
	rmnic_log_info("%s: replicas %u", v ? v->label : "all devices",
		       v && replicas ? replicas : rmnic_backend_replicas(b));
	rmnic_backend_tune(b);
	return 0;
}
