/* SPDX-License-Identifier: BSD-3-Clause */
/* The file of figures, written anew by a timer. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/timeout.h"
#include "common/metrics.h"

struct rmnic_exporter {
	sd_event_source *timer;
	uint64_t interval_us;
	rmnic_metrics_fill fill;
	void *arg;
	char *path;
	char *temporary; /* beside it: a rename is atomic within a file system */
	bool failing;    /* said so already */
};

static int write_all(int fd, const char *text)
{
	size_t left = strlen(text);

	while (left) {
		ssize_t n = write(fd, text, left);

		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0) {
			text += n;
			left -= (size_t)n;
		}
	}
	return 0;
}

static int exporter_write(struct rmnic_exporter *e, struct rmnic_error *err)
{
	char *text = rmnic_metrics_text(e->fill, e->arg);
	int fd, ret;

	if (!text)
		return rmnic_error_set(err, "%s: out of memory", e->path);
	/* Readable by the collector, which runs as another user. */
	fd = open(e->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	ret = fd < 0 ? -1 : write_all(fd, text);
	free(text);
	if (fd >= 0 && close(fd))
		ret = -1;
	if (!ret)
		ret = rename(e->temporary, e->path);
	return ret ? rmnic_error_set(err, "metrics file %s: %s", e->path, strerror(errno)) : 0;
}

static int on_timer(sd_event_source *source, uint64_t usec, void *arg)
{
	struct rmnic_exporter *e = arg;
	struct rmnic_error err;
	int ret = exporter_write(e, &err);

	(void)usec;
	if (ret && !e->failing)
		rmnic_log_warn("%s (tried again, said once)", err.text);
	e->failing = ret != 0;
	return rmnic_timeout_set(sd_event_source_get_event(source), &e->timer, e->interval_us, on_timer,
				 e);
}

static int names_set(struct rmnic_exporter *e, const char *path)
{
	e->path = strdup(path);
	if (asprintf(&e->temporary, "%s.new", path) < 0)
		e->temporary = NULL;
	return e->path && e->temporary ? 0 : -1;
}

struct rmnic_exporter *rmnic_exporter_open(sd_event *event, const char *path,
					   unsigned int interval_ms, rmnic_metrics_fill fill,
					   void *arg, struct rmnic_error *err)
{
	struct rmnic_exporter *e = calloc(1, sizeof(*e));
	int ret;

	if (!e || names_set(e, path)) {
		rmnic_error_set(err, "out of memory");
		goto fail;
	}
	e->fill = fill;
	e->arg = arg;
	e->interval_us = interval_ms * 1000ull;
	if (exporter_write(e, err))
		goto fail;
	ret = rmnic_timeout_set(event, &e->timer, e->interval_us, on_timer, e);
	if (ret >= 0)
		return e;
	rmnic_error_set(err, "metrics file %s: %s", path, strerror(-ret));
fail:
	rmnic_exporter_close(e);
	return NULL;
}

void rmnic_exporter_close(struct rmnic_exporter *e)
{
	if (!e)
		return;
	if (e->timer)
		unlink(e->path);
	if (e->temporary)
		unlink(e->temporary);
	sd_event_source_disable_unref(e->timer);
	free(e->path);
	free(e->temporary);
	free(e);
}
