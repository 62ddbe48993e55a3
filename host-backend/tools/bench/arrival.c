/* SPDX-License-Identifier: BSD-3-Clause */
#include "tools/bench/arrival.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/bench/driver.h"

/* A new socket's name is an event, but that it is listened on is none: so often it is tried. */
#define TRY_MS 20

static bool listens(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool ok;

	if (fd < 0)
		return false;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	ok = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
	close(fd);
	return ok;
}

int bench_arrival_wait(const char *path, int timeout_ms, struct rmnic_error *err)
{
	uint64_t limit = bench_now() + (uint64_t)timeout_ms * 1000000u;
	char directory[108];
	char events[4096];
	struct pollfd names = { .events = POLLIN };

	snprintf(directory, sizeof(directory), "%s", path);
	names.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (names.fd < 0)
		return rmnic_error_set(err, "inotify: %s", strerror(errno));
	if (inotify_add_watch(names.fd, dirname(directory), IN_CREATE | IN_MOVED_TO) < 0) {
		rmnic_error_set(err, "%s: %s", directory, strerror(errno));
		close(names.fd);
		return -1;
	}
	while (!listens(path)) {
		if (bench_now() > limit) {
			close(names.fd);
			return rmnic_error_set(err, "%s: no backend came within %d s", path,
					       timeout_ms / 1000);
		}
		if (poll(&names, 1, TRY_MS) > 0 && read(names.fd, events, sizeof(events)) < 0)
			continue;
	}
	close(names.fd);
	return 0;
}
