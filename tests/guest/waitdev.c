// SPDX-License-Identifier: BSD-3-Clause
/*
 * waitdev PATH SECONDS - wait until a device node is there (or with '!PATH', until it is gone)
 *
 * devtmpfs nodes appear when the kernel says so; inotify tells, so that nobody has to poll.
 * Exit: 0 as wanted, 1 not within the time, 2 wrong use.
 */
#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	char dir[256], events[4096];
	struct pollfd pfd = { .events = POLLIN };
	const char *path;
	int want_gone;
	long end, left;

	if (argc != 3 || atoi(argv[2]) <= 0 || strlen(argv[1]) >= sizeof(dir)) {
		fputs("usage: waitdev [!]PATH SECONDS\n", stderr);
		return 2;
	}
	want_gone = argv[1][0] == '!';
	path = argv[1] + want_gone;
	strcpy(dir, path);

	/* The watch comes before the first look, or a node made between the two is missed. */
	pfd.fd = inotify_init1(IN_CLOEXEC);
	if (pfd.fd < 0 || inotify_add_watch(pfd.fd, dirname(dir), IN_CREATE | IN_DELETE | IN_MOVE) < 0) {
		fprintf(stderr, "waitdev: cannot watch %s: %s\n", dir, strerror(errno));
		return 2;
	}
	end = now_ms() + atoi(argv[2]) * 1000L;
	while ((access(path, F_OK) == 0) == want_gone) {
		left = end - now_ms();
		if (left <= 0 || poll(&pfd, 1, (int)left) < 0)
			break;
		if (pfd.revents && read(pfd.fd, events, sizeof(events)) < 0)
			break;
	}
	if ((access(path, F_OK) == 0) != want_gone)
		return 0;
	fprintf(stderr, "waitdev: %s is %s after %s s\n", path,
		want_gone ? "still there" : "not there", argv[2]);
	return 1;
}
