/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rmnic_test.h - what the C tests of the rmnic driver share: the device, its counters, the
 * faults it can be told to make, contents that cannot be mistaken, and paging on demand.
 */
#ifndef RMNIC_TEST_H
#define RMNIC_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <linux/fs.h>

#define RMNIC_TEST_DISK "/dev/rmnic0"
#define RMNIC_TEST_PAGE 4096u
#define RMNIC_TEST_GROUP "/sys/fs/cgroup/rmnic_ctest"
/* The harness's 30 s are too few in a kernel with checkers; the runner's limit ends what hangs. */
#define RMNIC_TEST_SECONDS 600

/* Values of spec/include/rmnic/device.h; a tree of selftests has no copy of that file. */
#define RMNIC_OP_PAGE_OUT 0x01
#define RMNIC_OP_PAGE_IN 0x02
#define RMNIC_SC_NO_SPACE 0x203
#define RMNIC_SC_LOST 0x301

/* --- Contents ------------------------------------------------------------------------ */

static inline uint64_t rmnic_test_word(uint64_t page, uint64_t gen, unsigned int i)
{
	uint64_t x = (page << 20 ^ gen << 44 ^ i) + 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static inline void rmnic_test_fill(void *page_mem, uint64_t page, uint64_t gen)
{
	uint64_t *word = page_mem;
	unsigned int i;

	for (i = 0; i < RMNIC_TEST_PAGE / 8; i++)
		word[i] = rmnic_test_word(page, gen, i);
}

/* Index of the first wrong word, or -1. */
static inline int rmnic_test_check(const void *page_mem, uint64_t page, uint64_t gen)
{
	const uint64_t *word = page_mem;
	unsigned int i;

	for (i = 0; i < RMNIC_TEST_PAGE / 8; i++)
		if (word[i] != rmnic_test_word(page, gen, i))
			return i;
	return -1;
}

static inline void rmnic_test_fill_all(uint8_t *mem, size_t pages, uint64_t gen)
{
	size_t i;

	for (i = 0; i < pages; i++)
		rmnic_test_fill(mem + i * RMNIC_TEST_PAGE, i, gen);
}

/* Pages that are not what was written. */
static inline size_t rmnic_test_bad_pages(const uint8_t *mem, size_t pages, uint64_t gen)
{
	size_t i, bad = 0;

	for (i = 0; i < pages; i++)
		bad += rmnic_test_check(mem + i * RMNIC_TEST_PAGE, i, gen) >= 0;
	return bad;
}

/* --- Files and commands -------------------------------------------------------------- */

static inline int rmnic_test_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = strlen(text), put;

	if (fd < 0)
		return -errno;
	put = write(fd, text, len);
	put = put == len ? 0 : -errno;
	close(fd);
	return put;
}

static inline double rmnic_test_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static inline void rmnic_test_pause_ms(unsigned int ms)
{
	struct timespec ts = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&ts, NULL);
}

/* --- The device ---------------------------------------------------------------------- */

static inline bool rmnic_test_have_host(void)
{
	return system("command -v host >/dev/null 2>&1") == 0;
}

/* Tells the device to misbehave: the x-fault- properties of -device rmnic,help. 0 or -1. */
static inline int rmnic_test_fault(const char *knob, uint64_t value)
{
	char command[128];

	snprintf(command, sizeof(command), "host set rm0 x-fault-%s %" PRIu64 " >/dev/null", knob,
		 value);
	return system(command) ? -1 : 0;
}

/* Every n-th command with this opcode that touches the pages ends in this status. */
static inline int rmnic_test_fail_range(uint8_t opcode, uint16_t status, uint64_t first,
					uint64_t count)
{
	return rmnic_test_fault("opcode", opcode) || rmnic_test_fault("rpn", first) ||
	       rmnic_test_fault("rpn-count", count) ||
	       rmnic_test_fault("status", status) || rmnic_test_fault("nth", 1);
}

static inline int rmnic_test_fail_end(void)
{
	return rmnic_test_fault("nth", 0) || rmnic_test_fault("status", 0) ||
	       rmnic_test_fault("rpn-count", 0) || rmnic_test_fault("rpn", 0) ||
	       rmnic_test_fault("opcode", 0);
}

/* A counter of the device, by READ_STATS through the driver. false: there is no such one. */
static inline bool rmnic_test_stat(const char *name, uint64_t *value)
{
	char line[128], key[64];
	bool found = false;
	glob_t paths;
	FILE *f;

	if (glob("/sys/kernel/debug/rmnic/*/device_stats", 0, NULL, &paths))
		return false;
	f = fopen(paths.gl_pathv[0], "r");
	globfree(&paths);
	if (!f)
		return false;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%63[a-z_]%*[: ]%" SCNu64, key, value) == 2 && !strcmp(key, name);
	fclose(f);
	return found;
}

/* How much a counter has grown; names that do not exist give no growth, so tests fail. */
static inline uint64_t rmnic_test_stat_now(const char *name)
{
	uint64_t value = 0;

	if (!rmnic_test_stat(name, &value))
		fprintf(stderr, "# no counter '%s' in the driver's debugfs\n", name);
	return value;
}

/* --- Paging on demand ---------------------------------------------------------------- */

#define RMNIC_PM_SWAPPED (1ull << 62)

static inline uint64_t rmnic_test_pagemap(const void *addr)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)addr / RMNIC_TEST_PAGE * 8) != 8)
		entry = 0;
	if (fd >= 0)
		close(fd);
	return entry;
}

/* The swap slot of a page, which is its rpn when the whole disk is the swap area; -1: none. */
static inline int64_t rmnic_test_slot(const void *addr)
{
	uint64_t entry = rmnic_test_pagemap(addr);

	return entry & RMNIC_PM_SWAPPED ? (int64_t)(entry >> 5 & ((1ull << 50) - 1)) : -1;
}

/* Puts this process into a memory group of its own, so that it can be told to reclaim. */
static inline int rmnic_test_group_enter(void)
{
	char pid[16];

	rmnic_test_write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (mkdir(RMNIC_TEST_GROUP, 0755) && errno != EEXIST)
		return -errno;
	snprintf(pid, sizeof(pid), "%d", getpid());
	return rmnic_test_write_file(RMNIC_TEST_GROUP "/cgroup.procs", pid);
}

static inline size_t rmnic_test_resident(void *mem, size_t pages)
{
	unsigned char *map = malloc(pages);
	size_t i, n = 0;

	if (!map || mincore(mem, pages * RMNIC_TEST_PAGE, map)) {
		free(map);
		return pages;
	}
	for (i = 0; i < pages; i++)
		n += map[i] & 1;
	free(map);
	return n;
}

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

/*
 * Pages mem out until at most slack pages are left in memory or in the swap cache (a page in
 * the swap cache would be read back without the device). Returns the pages left.
 */
static inline size_t rmnic_test_page_out(void *mem, size_t pages)
{
	size_t left = pages, slack = pages / 64;
	double end = rmnic_test_now() + 20;

	do {
		madvise(mem, pages * RMNIC_TEST_PAGE, MADV_PAGEOUT);
		/* The swap cache is not reached by madvise, only by reclaim. */
		rmnic_test_write_file(RMNIC_TEST_GROUP "/memory.reclaim", "16M");
		left = rmnic_test_resident(mem, pages);
	} while (left > slack && rmnic_test_now() < end);
	return left;
}

#endif /* RMNIC_TEST_H */
