/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking into a device from outside of its worker. */
#include <string.h>

#include "daemon/device_internal.h"

/* The front end's words, fit for JSON and logs: printable ASCII, up to the first NUL. */
static void clean(char *to, const char *from, size_t len)
{
	for (size_t i = 0; i < len && from[i]; i++)
		*to++ = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
	*to = '\0';
}

uint32_t rmnic_vdev_replicas(const struct rmnic_vdev *v)
{
	return v->replicas ? v->replicas : rmnic_backend_replicas(v->backend);
}

void rmnic_vdev_replicas_set(struct rmnic_vdev *v, uint32_t replicas)
{
	v->replicas = replicas;
	rmnic_state_replicas_set(&v->block, replicas);
}

void rmnic_vdev_names(const struct rmnic_vdev *v, struct rmnic_vdev_names *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->uuid, v->conf.uuid, sizeof(out->uuid));
	clean(out->name, v->conf.name, sizeof(v->conf.name));
	clean(out->serial, v->conf.serial, sizeof(v->conf.serial));
	out->epoch = rmnic_le32_get(v->conf.epoch);
	out->capacity = atomic_load_explicit(&v->capacity, memory_order_relaxed);
	out->max_capacity = rmnic_le64_get(v->conf.max_capacity);
	out->max_qpairs = rmnic_le16_get(v->conf.max_qpairs);
	out->worker = rmnic_worker_index(v->worker);
	out->lcore = rmnic_worker_lcore(v->worker);
	out->replicas = rmnic_vdev_replicas(v);
	out->pid = v->pid;
}

void rmnic_vdev_pid_set(struct rmnic_vdev *v, int pid)
{
	v->pid = pid;
}

const struct rmnic_state_block *rmnic_vdev_block(const struct rmnic_vdev *v)
{
	return &v->block;
}

struct look {
	struct rmnic_vdev *v;
	struct rmnic_vdev_view *out;
	bool slabs;
};

static void look(void *arg)
{
	struct look *l = arg;
	struct rmnic_vdev *v = l->v;
	struct rmnic_vdev_view *out = l->out;

	out->counters = *rmnic_dev_counters(v->dev);
	for (int i = 0; i < RMNIC_STAGE_COUNT; i++)
		out->hist[i] = *rmnic_dev_hist(v->dev, (enum rmnic_stage)i);
	v->store->ops->counters(v->store, &out->store);
	out->remote = *rmnic_store_remote_counters(v->store);
	if (l->slabs)
		rmnic_store_remote_progress(v->store, &out->progress);
	out->client = *rmnic_rmp_client_counters(v->client);
	out->status = rmnic_store_remote_status(v->store, &out->reserved);
	out->npeers = v->npeers;
	for (uint32_t i = 0; i < v->npeers; i++) {
		out->peers[i].address = v->peers[i];
		out->peers[i].free_pages = rmnic_store_remote_free_pages(v->store, i);
		out->peers[i].slabs = rmnic_store_remote_holds(v->store, i);
		rmnic_rmp_client_peer(v->client, i, &out->peers[i].info);
	}
	out->no_vector = v->no_vector;
	out->enabled = v->enabled;
	out->stopped = v->stopped;
	out->fatal = v->fatal;
}

static void look_now(struct rmnic_vdev *v, struct rmnic_vdev_view *out, bool slabs)
{
	struct look l = { v, out, slabs };

	memset(out, 0, sizeof(*out));
	rmnic_worker_call(v->worker, look, &l);
}

void rmnic_vdev_look(struct rmnic_vdev *v, struct rmnic_vdev_view *out)
{
	look_now(v, out, false);
}

void rmnic_vdev_look_through(struct rmnic_vdev *v, struct rmnic_vdev_view *out)
{
	look_now(v, out, true);
}

/* --- Slabs ----------------------------------------------------------------------------------- */

struct slabs {
	struct rmnic_vdev *v;
	uint64_t first;
	unsigned int n, got;
	struct rmnic_remote_slab_info *out;
};

static void copy_slabs(void *arg)
{
	struct slabs *s = arg;

	while (s->got < s->n &&
	       rmnic_store_remote_slab(s->v->store, s->first + s->got, &s->out[s->got]))
		s->got++;
}

unsigned int rmnic_vdev_slabs(struct rmnic_vdev *v, uint64_t first, unsigned int n,
			      struct rmnic_remote_slab_info *out)
{
	struct slabs s = { .v = v, .first = first, .n = n, .out = out };

	rmnic_worker_call(v->worker, copy_slabs, &s);
	return s.got;
}

struct force {
	struct rmnic_vdev *v;
	uint64_t slab, forced;
};

static void force(void *arg)
{
	struct force *f = arg;

	if (f->slab != UINT64_MAX) {
		f->forced = rmnic_store_remote_force(f->v->store, f->slab);
		return;
	}
	for (uint64_t i = 0; i < f->v->block.nslabs; i++)
		f->forced += rmnic_store_remote_force(f->v->store, i);
}

uint64_t rmnic_vdev_force(struct rmnic_vdev *v, uint64_t slab)
{
	struct force f = { .v = v, .slab = slab };

	if (v->opened)
		rmnic_worker_call(v->worker, force, &f);
	return f.forced;
}
