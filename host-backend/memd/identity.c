/* SPDX-License-Identifier: BSD-3-Clause */
#include "memd/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf.h"

/* $STATE_DIRECTORY is systemd's. */
static const char *default_path(char *buf, size_t len)
{
	const char *state = secure_getenv("STATE_DIRECTORY"), *home = secure_getenv("HOME");

	if (state && *state) {
		snprintf(buf, len, "%.*s/memd.uuid", (int)strcspn(state, ":"), state);
	} else if (geteuid() == 0) {
		mkdir("/var/lib/rmnic", 0755);
		snprintf(buf, len, "/var/lib/rmnic/memd.uuid");
	} else {
		snprintf(buf, len, "%s/.rmnic-memd.uuid", home && *home ? home : ".");
	}
	return buf;
}

static int draw(uint8_t uuid[16], struct rmnic_error *err)
{
	if (getrandom(uuid, 16, 0) != 16)
		return rmnic_error_set(err, "a random uuid: %m");
	uuid[6] = (uint8_t)((uuid[6] & 0x0f) | 0x40);
	uuid[8] = (uint8_t)((uuid[8] & 0x3f) | 0x80);
	return 0;
}

/* Whole or not at all: under another name first, and never over one that is there. */
static int keep(const char *path, const uint8_t uuid[16], struct rmnic_error *err)
{
	char text[38], temporary[4096];
	int fd, wrong;

	rmnic_uuid_format(uuid, text);
	text[36] = '\n';
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.%d", path, (int)getpid()) >=
	    sizeof(temporary))
		return rmnic_error_set(err, "uuid-file: the path is too long");
	fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return rmnic_error_set(err, "%s: %m (--uuid-file PATH, or --uuid UUID)", temporary);
	wrong = write(fd, text, 37) == 37 && !fsync(fd) ? 0 : errno ? errno : EIO;
	close(fd);
	if (!wrong && link(temporary, path))
		wrong = errno;
	unlink(temporary);
	errno = wrong;
	return wrong ? rmnic_error_set(err, "%s: %m", path) : 0;
}

static int read_uuid(int fd, const char *path, uint8_t uuid[16], struct rmnic_error *err)
{
	char text[64] = "";

	if (read(fd, text, sizeof(text) - 1) < 0)
		return rmnic_error_set(err, "%s: %m", path);
	text[strcspn(text, "\n")] = '\0';
	if (!rmnic_uuid_parse(text, uuid))
		return rmnic_error_set(err, "%s: it has no uuid in it; remove it, and a new one is drawn",
				       path);
	if (flock(fd, LOCK_EX | LOCK_NB))
		return rmnic_error_set(err,
				       "%s: another server has this uuid (give this one --uuid-file PATH "
				       "or --uuid UUID)", path);
	return 0;
}

int memd_identity_load(const char *path, uint8_t uuid[16], struct rmnic_error *err)
{
	char buf[4096];
	int fd;

	if (!path)
		path = default_path(buf, sizeof(buf));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		if (draw(uuid, err) || keep(path, uuid, err))
			return -1;
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	if (fd < 0)
		return rmnic_error_set(err, "%s: %m", path);
	if (read_uuid(fd, path, uuid, err)) {
		close(fd);
		return -1;
	}
	return fd;
}
