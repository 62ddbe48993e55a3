/* SPDX-License-Identifier: BSD-3-Clause */
/* The directory of the spill files, and what they take in all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/spill_internal.h"

#define PLACE sizeof(struct rmnic_spill_place)

/* --- What is there already ---------------------------------------------------------------------- */

void rmnic_spill_boot(char boot[40])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	size_t n = 0;

	memset(boot, 0, 40);
	if (!file)
		return; /* nothing is removed then, for nothing is of another life */
	n = fread(boot, 1, 36, file);
	fclose(file);
	if (n != 36)
		memset(boot, 0, 40);
}

/* Its guests went with the machine: nobody will ask for what is in it. */
static void remove_if_old(int dir, const char *name, const char *boot)
{
	struct rmnic_spill_head head;
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (!flock(fd, LOCK_EX | LOCK_NB) && rmnic_spill_head_read(fd, &head) && head.boot[0] &&
	    boot[0] && memcmp(head.boot, boot, sizeof(head.boot)) != 0 && !unlinkat(dir, name, 0))
		rmnic_log_info("spill_dir: removed %s, which is of an earlier life of this machine",
			       name);
	close(fd);
}

static void remove_old(const struct rmnic_spill_pool *p)
{
	DIR *dir = opendir(p->dir);
	struct dirent *entry;
	char boot[40];

	rmnic_spill_boot(boot);
	while (dir && (entry = readdir(dir)) != NULL) {
		size_t len = strlen(entry->d_name);

		if (len == 36 + 6 && !strcmp(entry->d_name + 36, ".spill"))
			remove_if_old(p->fd, entry->d_name, boot);
	}
	if (dir)
		closedir(dir);
}

/* --- Whether it will do --------------------------------------------------------------------------- */

static int choose_io(struct rmnic_spill_pool *p, enum rmnic_spill_io_mode mode,
		     struct rmnic_error *err)
{
	int ret = mode == RMNIC_SPILL_IO_THREAD ? 0 : rmnic_spill_ring_check(err);

	p->threads = mode == RMNIC_SPILL_IO_THREAD;
	if (!ret || mode == RMNIC_SPILL_IO_URING)
		return ret;
	rmnic_log_warn("%s; a thread for each device does what it would do, more slowly", err->text);
	p->threads = true;
	return 0;
}

/* Room must be to be had before it is used, or capacity is promised that is not there. */
static int check_room(const struct rmnic_spill_pool *p, struct rmnic_error *err)
{
	char name[40];
	int fd, ret = 0;

	snprintf(name, sizeof(name), "rmnicd-check-%d", (int)getpid());
	fd = openat(p->fd, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return rmnic_error_set(err, "spill_dir %s: no file can be made there: %s", p->dir,
				       strerror(errno));
	unlinkat(p->fd, name, 0);
	if (fallocate(fd, 0, 0, PLACE) ||
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PLACE))
		ret = rmnic_error_set(err, "spill_dir %s: its file system cannot set room aside "
				      "(fallocate: %s): choose one on ext4, xfs, btrfs or tmpfs",
				      p->dir, strerror(errno));
	close(fd);
	return ret;
}

static int set_limit(struct rmnic_spill_pool *p, uint64_t size, struct rmnic_error *err)
{
	struct rmnic_spill_pool_status now;

	rmnic_spill_pool_status(p, &now);
	if (size > now.disk_free)
		return rmnic_error_set(err, "spill_size %llu MiB: %s has %llu MiB free: make room there, "
				       "or choose less", (unsigned long long)(size >> 20), p->dir,
				       (unsigned long long)(now.disk_free >> 20));
	p->limit = (size ? size : now.disk_free / 2) / PLACE;
	rmnic_log_info("spill files in %s may take %llu MiB: %llu pages", p->dir,
		       (unsigned long long)(p->limit * PLACE >> 20), (unsigned long long)p->limit);
	return 0;
}

int rmnic_spill_pool_open(struct rmnic_spill_pool *p, const char *dir, uint64_t size,
			  enum rmnic_spill_io_mode mode, struct rmnic_error *err)
{
	memset(p, 0, sizeof(*p));
	if (!dir)
		return size ? rmnic_error_set(err, "spill_size is given, spill_dir is not") : 0;
	if (strlen(dir) >= sizeof(p->dir))
		return rmnic_error_set(err, "spill_dir %s: too long", dir);
	memcpy(p->dir, dir, strlen(dir) + 1);
	p->fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->fd < 0)
		return rmnic_error_set(err, "spill_dir %s: %s", dir, strerror(errno));
	p->there = true;
	if (choose_io(p, mode, err) || check_room(p, err))
		return -1;
	remove_old(p);
	return set_limit(p, size, err);
}

void rmnic_spill_pool_close(struct rmnic_spill_pool *p)
{
	if (p->there)
		close(p->fd);
	p->there = false;
}

void rmnic_spill_pool_status(const struct rmnic_spill_pool *p, struct rmnic_spill_pool_status *out)
{
	struct statvfs disk;

	out->limit = p->limit;
	out->held = atomic_load(&p->held);
	out->disk_free = 0;
	if (p->there && !fstatvfs(p->fd, &disk))
		out->disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
}
