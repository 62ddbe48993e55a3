/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/control.h"

#include <stdlib.h>

#include "common/ctl.h"

struct rmnic_control {
	struct rmnic_backend *backend;
	struct rmnic_frontends *frontends;
	struct rmnic_daemon *daemon;
	struct rmnic_ctl *ctl;
};

static const struct rmnic_ctl_command commands[] = {
	{ 0 },
};

struct rmnic_control *rmnic_control_open(struct rmnic_backend *b, struct rmnic_frontends *fs,
					 struct rmnic_daemon *daemon, const char *path,
					 struct rmnic_error *err)
{
	struct rmnic_control *c = calloc(1, sizeof(*c));

	if (!c) {
		rmnic_error_set(err, "out of memory");
		return NULL;
	}
	c->backend = b;
	c->frontends = fs;
	c->daemon = daemon;
	c->ctl = rmnic_ctl_listen(b->event, path, commands, c, err);
	if (!c->ctl) {
		free(c);
		return NULL;
	}
	return c;
}

void rmnic_control_close(struct rmnic_control *c)
{
	if (!c)
		return;
	rmnic_ctl_close(c->ctl);
	free(c);
}
