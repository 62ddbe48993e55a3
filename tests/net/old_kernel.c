/* SPDX-License-Identifier: BSD-3-Clause */
/* old_kernel.c - a kernel before 5.11: linked into a program it has no epoll_pwait2(). */
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

int epoll_pwait2(int fd, struct epoll_event *events, int max, const struct timespec *timeout,
		 const sigset_t *mask)
{
	(void)fd;
	(void)events;
	(void)max;
	(void)timeout;
	(void)mask;
	errno = ENOSYS;
	return -1;
}
