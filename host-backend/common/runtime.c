/* SPDX-License-Identifier: BSD-3-Clause */
/* Where sockets are by default. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/daemon.h"

/* systemd's variable names several directories, divided by colons; ours is the first. */
static void directory_name(char *buf, size_t len)
{
	const char *given = getenv("RUNTIME_DIRECTORY");
	const char *user = getenv("XDG_RUNTIME_DIR");

	if (given && *given)
		snprintf(buf, len, "%.*s", (int)strcspn(given, ":"), given);
	else if (geteuid() == 0)
		snprintf(buf, len, "/run/rmnic");
	else if (user && *user)
		snprintf(buf, len, "%s/rmnic", user);
	else
		snprintf(buf, len, "/tmp/rmnic-%u", geteuid());
}

/* Under /tmp somebody else may have made it first: then what is put there is theirs. */
static int directory_check(const char *dir, struct rmnic_error *err)
{
	struct stat st;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return rmnic_error_set(err, "%s: %s", dir, strerror(errno));
	if (lstat(dir, &st))
		return rmnic_error_set(err, "%s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0))
		return rmnic_error_set(err, "%s: is no directory of this user's", dir);
	return 0;
}

const char *rmnic_runtime_path(const char *name, char *buf, size_t len, struct rmnic_error *err)
{
	char dir[256];

	directory_name(dir, sizeof(dir));
	if (directory_check(dir, err))
		return NULL;
	if ((size_t)snprintf(buf, len, "%s/%s", dir, name) >= len) {
		rmnic_error_set(err, "%s/%s: the path is too long", dir, name);
		return NULL;
	}
	return buf;
}

const char *rmnic_runtime_name(const char *name, char *buf, size_t len)
{
	char dir[256];

	directory_name(dir, sizeof(dir));
	snprintf(buf, len, "%s/%s", dir, name);
	return buf;
}
