/* SPDX-License-Identifier: BSD-3-Clause */
/* Where each slab is, and who of its servers has all of it. */
#include <stdio.h>
#include <string.h>

#include "daemon/report.h"
#include "engine/le.h"
#include "engine/state_block.h"

/* Slabs that a worker is asked for at a time. */
#define CHUNK 256

/* The control thread's alone. */
static struct rmnic_remote_slab_info infos[CHUNK];
static struct rmnic_vdev_view view;

/* What a member is to its slab. */
static const char *member_state(const struct rmnic_remote_slab_info *info, unsigned int i)
{
	if (info->away >> i & 1)
		return "away";
	return info->syncing >> i & 1 ? "syncing" : "whole";
}

/* By the uuid: as people know it. Returns buf; empty: the server is not known here. */
static const char *address_of(const struct rmnic_backend *b, const uint8_t uuid[16], char buf[24])
{
	buf[0] = '\0';
	for (unsigned int i = 0; i < b->nservers; i++)
		if (!memcmp(b->servers[i].met, uuid, 16))
			rmnic_address_format(b->servers[i].address, buf);
	return buf;
}

static json_t *members(const struct rmnic_backend *b, const struct rmnic_remote_slab_info *info,
		       const struct rmnic_state_view *row)
{
	char uuid[37], handle[24], address[24];
	json_t *list = json_array();

	for (unsigned int i = 0; i < info->members && i < RMNIC_RMP_MAX_MEMBERS; i++) {
		/* A handle is 64 bits, more than a number of JSON's safely has. */
		snprintf(handle, sizeof(handle), "0x%llx",
			 (unsigned long long)rmnic_le64_get(row->member[i].handle));
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:s}", "server",
						rmnic_uuid_format(info->server[i], uuid), "address",
						address_of(b, info->server[i], address), "handle",
						handle, "state", member_state(info, i)));
	}
	return list;
}

/* Of a slab that waits: servers of its view that are not here. */
static json_t *missing(const struct rmnic_remote_slab_info *info)
{
	json_t *list = json_array();
	char uuid[37];

	for (unsigned int i = 0; info->waiting && i < info->members; i++) {
		bool here = false;

		for (uint32_t p = 0; p < view.npeers; p++)
			here |= view.peers[p].info.state == RMNIC_PEER_READY &&
				!memcmp(view.peers[p].info.uuid, info->server[i], 16);
		if (!here)
			json_array_append_new(list,
					      json_string(rmnic_uuid_format(info->server[i], uuid)));
	}
	return list;
}

static json_t *slab(struct rmnic_vdev *v, const char *uuid, const struct rmnic_backend *b,
		    uint64_t number, const struct rmnic_remote_slab_info *info)
{
	struct rmnic_state_view row;

	/* Of the row only the handles: the store knows the rest, and more. */
	if (!rmnic_state_view_get(rmnic_vdev_block(v), number, &row))
		memset(&row, 0, sizeof(row));
	return json_pack("{s:s, s:I, s:I, s:o, s:b, s:b, s:o}", "device", uuid, "slab",
			 (json_int_t)number, "view", (json_int_t)info->view, "members",
			 members(b, info, &row), "spill", info->spill, "waiting", info->waiting,
			 "missing", missing(info));
}

static void slabs_of(const struct rmnic_backend *b, struct rmnic_vdev *v, json_t *list)
{
	struct rmnic_vdev_names n;
	uint64_t first = 0;
	unsigned int got;
	char uuid[37];

	rmnic_vdev_names(v, &n);
	rmnic_uuid_format(n.uuid, uuid);
	rmnic_vdev_look(v, &view);
	do {
		got = rmnic_vdev_slabs(v, first, CHUNK, infos);
		for (unsigned int i = 0; i < got; i++)
			if (infos[i].members || infos[i].spill || infos[i].waiting)
				json_array_append_new(list, slab(v, uuid, b, first + i, &infos[i]));
		first += got;
	} while (got == CHUNK);
}

struct rmnic_vdev *rmnic_report_device(struct rmnic_report *r, const char *name,
				       struct rmnic_error *err)
{
	struct rmnic_vdev *v = NULL;
	uint8_t uuid[16];

	if (rmnic_uuid_parse(name, uuid))
		v = rmnic_backend_find(r->backend, uuid);
	if (!v)
		rmnic_error_set(err, "there is no device '%s' (see: rmnicctl devices)", name);
	return v;
}

json_t *rmnic_report_slabs(struct rmnic_report *r, const char *name, struct rmnic_error *err)
{
	struct rmnic_vdev *only = NULL;
	json_t *list;

	if (name) {
		only = rmnic_report_device(r, name, err);
		if (!only)
			return NULL;
	}
	list = json_array();
	for (unsigned int i = 0; i < RMNIC_MAX_DEVICES; i++)
		if (r->backend->vdevs[i] && (!only || r->backend->vdevs[i] == only))
			slabs_of(r->backend, r->backend->vdevs[i], list);
	return list;
}
