/* SPDX-License-Identifier: BSD-3-Clause */
#include "user/fds.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

__attribute__((format(printf, 2, 3)))
static uint16_t bad(struct rmnic_error *err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err->text, sizeof(err->text), format, args);
	va_end(args);
	return RMNIC_USER_S_BAD_FD;
}

uint16_t rmnic_user_memfd_check(int fd, int seals, uint64_t size, bool exactly, uint64_t *granule,
				struct rmnic_error *err)
{
	int have = fcntl(fd, F_GET_SEALS);
	struct statfs fs;
	struct stat st;

	if (have < 0)
		return bad(err, "the file descriptor is no memfd");
	if ((have & seals) != seals)
		return bad(err, "the memfd is not sealed against %s",
			   !(have & F_SEAL_SHRINK) ? "shrinking" : "growing");
	if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR ||
	    have & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
		return bad(err, "the memfd cannot be written");
	if (fstat(fd, &st) < 0 || fstatfs(fd, &fs) < 0)
		return bad(err, "the memfd cannot be looked at: %s", strerrordesc_np(errno));
	if ((uint64_t)st.st_size < size || (exactly && (uint64_t)st.st_size != size))
		return bad(err, "the memfd has %llu bytes, not %llu%s",
			   (unsigned long long)st.st_size, (unsigned long long)size,
			   exactly ? "" : " or more");
	*granule = fs.f_type == HUGETLBFS_MAGIC ? (uint64_t)fs.f_bsize : 4096;
	return RMNIC_USER_S_OK;
}

uint16_t rmnic_user_eventfd_check(int fd, struct rmnic_error *err)
{
	char path[32], target[32];
	ssize_t n;
	int flags;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return bad(err, "the file descriptor cannot be looked at: %s: %s", path,
			   strerrordesc_np(errno));
	target[n] = 0;
	if (strcmp(target, "anon_inode:[eventfd]") != 0)
		return bad(err, "the file descriptor is no eventfd");
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return bad(err, "the eventfd cannot be made non-blocking: %s",
			   strerrordesc_np(errno));
	return RMNIC_USER_S_OK;
}
