/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STATE-30: devices whose front end is gone, with all that it knew, and whose pages somebody wants
 * back: at their next DEVICE the servers are asked what they have, instead of being told to forget
 * it. An operator's decision, and one device's at a time.
 */
#include <string.h>

#include "common/conf.h"
#include "common/log.h"
#include "daemon/backend.h"

static unsigned int find(const struct rmnic_backend *b, const uint8_t *uuid)
{
	unsigned int i = 0;

	while (i < b->nrecover && memcmp(b->recover[i], uuid, 16) != 0)
		i++;
	return i;
}

bool rmnic_backend_recovering(const struct rmnic_backend *b, const uint8_t uuid[16])
{
	return find(b, uuid) < b->nrecover;
}

int rmnic_backend_recover(struct rmnic_backend *b, const uint8_t uuid[16], struct rmnic_error *err)
{
	char text[37];

	rmnic_uuid_format(uuid, text);
	if (rmnic_backend_find(b, uuid))
		return rmnic_error_set(err, "the device %s is served: its front end has all that is to "
				       "know of it", text);
	if (rmnic_backend_recovering(b, uuid))
		return 0;
	if (b->nrecover == RMNIC_MAX_DEVICES)
		return rmnic_error_set(err, "%u devices are to be recovered already: cancel some "
				       "(rmnicctl device cancel UUID)", b->nrecover);
	memcpy(b->recover[b->nrecover++], uuid, 16);
	rmnic_log_info("%s: to be recovered from what the servers have, when its front end connects",
		       text);
	return 0;
}

/* It is served, or nobody wants it any more. */
static void forget(struct rmnic_backend *b, const uint8_t uuid[16])
{
	unsigned int i = find(b, uuid);

	if (i < b->nrecover)
		memmove(b->recover[i], b->recover[--b->nrecover], 16);
}

int rmnic_backend_recover_cancel(struct rmnic_backend *b, const uint8_t uuid[16],
				 struct rmnic_error *err)
{
	char text[37];

	if (!rmnic_backend_recovering(b, uuid))
		return rmnic_error_set(err, "the device %s is not to be recovered",
				       rmnic_uuid_format(uuid, text));
	forget(b, uuid);
	return 0;
}

void rmnic_backend_recovered(struct rmnic_backend *b, const uint8_t uuid[16])
{
	char text[37];

	if (!rmnic_backend_recovering(b, uuid))
		return;
	forget(b, uuid);
	rmnic_log_info("%s: recovered as far as servers are here (rmnicctl slabs)",
		       rmnic_uuid_format(uuid, text));
}
