/* SPDX-License-Identifier: BSD-3-Clause */
#include "common/listener.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Connects and closes: 0, or errno's value. */
static int probe(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret;

	if (fd < 0)
		return errno;
	ret = connect(fd, (const struct sockaddr *)address, sizeof(*address)) ? errno : 0;
	close(fd);
	return ret;
}

/* Two daemons at one path would each believe that it is theirs. */
static int stale_remove(const struct sockaddr_un *address, struct rmnic_error *err)
{
	const char *path = address->sun_path;
	struct stat st;
	int ret;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : rmnic_error_set(err, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return rmnic_error_set(err, "%s: is there and is no socket: remove it or choose "
				       "another path", path);
	ret = probe(address);
	if (ret == 0 || ret == EAGAIN)
		return rmnic_error_set(err, "%s: another daemon serves this socket: stop it, or choose "
				       "another path", path);
	if (ret != ECONNREFUSED)
		return rmnic_error_set(err, "%s: %s", path, strerror(ret));
	if (unlink(path) && errno != ENOENT)
		return rmnic_error_set(err, "%s: %s", path, strerror(errno));
	return 0;
}

int rmnic_listener_open(struct rmnic_listener *l, const char *path, struct rmnic_error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct stat st;
	mode_t old;
	int ret;

	memset(l, 0, sizeof(*l));
	l->fd = -1;
	if (strlen(path) >= sizeof(address.sun_path))
		return rmnic_error_set(err, "%s: the path is too long for a socket (at most %zu "
				       "bytes)", path, sizeof(address.sun_path) - 1);
	snprintf(l->path, sizeof(l->path), "%s", path);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (stale_remove(&address, err))
		return -1;
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return rmnic_error_set(err, "%s: %s", path, strerror(errno));
	/* From the start: between bind and a chmod anybody could connect. */
	old = umask(0117);
	ret = bind(l->fd, (struct sockaddr *)&address, sizeof(address));
	umask(old);
	if (ret || listen(l->fd, 64) || stat(path, &st)) {
		rmnic_error_set(err, "%s: %s", path, strerror(errno));
		close(l->fd);
		l->fd = -1;
		return -1;
	}
	l->dev = st.st_dev;
	l->ino = st.st_ino;
	return 0;
}

int rmnic_listener_group(const struct rmnic_listener *l, const char *group,
			 struct rmnic_error *err)
{
	struct group entry, *found = NULL;
	char buf[4096];
	int ret = getgrnam_r(group, &entry, buf, sizeof(buf), &found);

	if (ret)
		return rmnic_error_set(err, "group %s: %s", group, strerror(ret));
	if (!found)
		return rmnic_error_set(err, "there is no group '%s'", group);
	if (chown(l->path, (uid_t)-1, found->gr_gid))
		return rmnic_error_set(err, "%s: group %s: %s", l->path, group, strerror(errno));
	return 0;
}

void rmnic_listener_close(struct rmnic_listener *l)
{
	struct stat st;

	if (l->fd < 0)
		return;
	close(l->fd);
	l->fd = -1;
	if (!lstat(l->path, &st) && st.st_dev == l->dev && st.st_ino == l->ino)
		unlink(l->path);
}

int rmnic_listener_accept(const struct rmnic_listener *l)
{
	return accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
