/* SPDX-License-Identifier: BSD-3-Clause */
/* Why a device has no place on the servers, in words for a person. */
#include <stdio.h>
#include <string.h>

#include "daemon/device_internal.h"

/* What is wrong with a server, if it is more than silence. Returns buf, or NULL. */
static const char *peer_fault(const struct rmnic_vdev *v, const struct rmnic_peer_info *info,
			      const char *address, char *buf, size_t len)
{
	if (info->state == RMNIC_PEER_READY) {
		if (info->slab_pages >= v->block.slab_pages)
			return NULL;
		snprintf(buf, len, "the memory server %s gives out slabs of %u pages at most, the "
			 "device's are of %u (slab_size)", address, info->slab_pages,
			 v->block.slab_pages);
		return buf;
	}
	if (info->state != RMNIC_PEER_REFUSED)
		return NULL;
	switch (info->refused) {
	case RMNIC_RMP_S_VERSION:
		snprintf(buf, len, "the memory server %s speaks other versions of RMP than this "
			 "backend, which speaks %d", address, RMNIC_RMP_VERSION);
		break;
	case RMNIC_RMP_S_DENIED:
		snprintf(buf, len, "the memory server %s knows the device under another token "
			 "(token_file)", address);
		break;
	case RMNIC_RMP_S_INVALID:
		snprintf(buf, len, "the memory server at %s is another one than was expected (uuid)",
			 address);
		break;
	default:
		snprintf(buf, len, "the memory server %s refuses this backend (status %u)", address,
			 info->refused);
	}
	return buf;
}

const char *rmnic_vdev_fault(const struct rmnic_vdev *v, char *buf, size_t len)
{
	struct rmnic_peer_info info;
	char text[24];

	for (uint32_t i = 0; i < v->npeers; i++) {
		if (!v->peers[i].ip)
			continue;
		rmnic_rmp_client_peer(v->client, i, &info);
		rmnic_address_format(v->peers[i], text);
		if (peer_fault(v, &info, text, buf, len))
			return buf;
	}
	return NULL;
}

const char *rmnic_vdev_missing(const struct rmnic_vdev *v, char *buf, size_t len)
{
	struct rmnic_peer_info info;
	char text[40], silent[24] = "";
	uint8_t server[16];

	if (rmnic_vdev_fault(v, buf, len))
		return buf;
	for (uint32_t i = 0; i < v->npeers; i++) {
		rmnic_rmp_client_peer(v->client, i, &info);
		if (v->peers[i].ip && info.state != RMNIC_PEER_READY)
			rmnic_address_format(v->peers[i], silent);
	}
	if (rmnic_store_remote_missing(v->store, server))
		snprintf(buf, len, "the memory server %s, which holds pages of the device, does "
			 "not answer", rmnic_uuid_format(server, text));
	else if (silent[0])
		snprintf(buf, len, "the memory server %s does not answer: is it there, and are UDP "
			 "datagrams to this port and the next let through?", silent);
	else if (!v->npeers)
		snprintf(buf, len, "no memory server is configured (--server, or rmnicctl server add)");
	else
		snprintf(buf, len, "%u replicas need more servers than there are",
			 rmnic_vdev_replicas(v));
	return buf;
}
