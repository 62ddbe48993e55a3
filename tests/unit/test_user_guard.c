/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/memfd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/guard.h"
#include "user/memory.h"
#include "user/state.h"
#include "user_rig.h"

#define PAGE 4096ull

/* A memfd without seals, so that the test can take its memory away. */
static volatile uint8_t *map_memfd(uint64_t size, unsigned int flags, int *fd)
{
	void *map;

	*fd = memfd_create("guard", MFD_CLOEXEC | flags);
	if (*fd < 0 || ftruncate(*fd, (off_t)size) < 0)
		return NULL;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	return map == MAP_FAILED ? NULL : map;
}

/* USER-9: what is gone reads as zeros, takes writes, and nothing beside it changes. */
static void fault__replaced(void **state)
{
	uint64_t before = rmnic_guard_faults();
	volatile uint8_t *map;
	uint8_t byte;
	int fd;

	(void)state;
	assert_true(rmnic_guard_install()); /* here: cmocka puts its own handler before each test */
	map = map_memfd(4 * PAGE, 0, &fd);
	assert_non_null(map);
	memset((void *)map, 0x77, 4 * PAGE);
	assert_true(rmnic_guard_add((void *)map, 4 * PAGE, PAGE));
	assert_int_equal(ftruncate(fd, 2 * PAGE), 0);
	assert_int_equal(map[2 * PAGE + 5], 0);
	assert_int_equal(rmnic_guard_faults(), before + 1);
	map[3 * PAGE - 1] = 1;
	assert_int_equal(map[3 * PAGE - 1], 1);
	assert_int_equal(rmnic_guard_faults(), before + 1);
	map[3 * PAGE] = 2; /* a write faults as well */
	assert_int_equal(map[3 * PAGE], 2);
	assert_int_equal(rmnic_guard_faults(), before + 2);
	map[2 * PAGE - 1] = 3;
	assert_int_equal(pread(fd, &byte, 1, 2 * PAGE - 1), 1);
	assert_int_equal(byte, 3);
	rmnic_guard_remove((void *)map);
	munmap((void *)map, 4 * PAGE);
	close(fd);
}

static void fault__huge_page(void **state)
{
	const uint64_t huge = 2 << 20;
	volatile uint8_t *map;
	int fd;

	(void)state;
	assert_true(rmnic_guard_install());
	map = map_memfd(2 * huge, MFD_HUGETLB | MFD_HUGE_2MB, &fd);
	if (!map) {
		print_message("# there are no two free huge pages of 2 MiB\n");
		if (fd >= 0)
			close(fd);
		skip();
	}
	map[0] = map[huge] = 0x77;
	assert_true(rmnic_guard_add((void *)map, 2 * huge, huge));
	assert_int_equal(ftruncate(fd, (off_t)huge), 0);
	assert_int_equal(map[huge + 5 * PAGE], 0);
	map[2 * huge - 1] = 1;
	assert_int_equal(map[0], 0x77);
	rmnic_guard_remove((void *)map);
	munmap((void *)map, 2 * huge);
	close(fd);
}

/* How a process ends that touches a page that is gone, with the one behind it guarded. */
static int end_of_a_child(bool was_guarded)
{
	volatile uint8_t *map;
	int fd, status;
	pid_t pid;

	map = map_memfd(2 * PAGE, 0, &fd);
	assert_non_null(map);
	assert_true(rmnic_guard_add((void *)(map + PAGE), PAGE, PAGE));
	if (was_guarded) {
		assert_true(rmnic_guard_add((void *)map, PAGE, PAGE));
		rmnic_guard_remove((void *)map);
	}
	assert_int_equal(ftruncate(fd, 0), 0);
	pid = fork();
	if (!pid) {
		if (!rmnic_guard_install() || setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0)
			_exit(1);
		map[0] = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	rmnic_guard_remove((void *)(map + PAGE));
	munmap((void *)map, 2 * PAGE);
	close(fd);
	return status;
}

/* A mistake of the program's own is no guest's memory: it must not be covered up. */
static void fault__elsewhere(void **state)
{
	int status = end_of_a_child(false);

	(void)state;
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	status = end_of_a_child(true);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

/* Rows are used again, and there is an end to them. */
static void add__limit(void **state)
{
	static uint8_t fake[RMNIC_GUARD_MAX];
	unsigned int n = 0;

	(void)state;
	while (n < RMNIC_GUARD_MAX && rmnic_guard_add(fake + n, 1, 1))
		n++;
	assert_int_equal(n, RMNIC_GUARD_MAX);
	assert_false(rmnic_guard_add(fake, 1, 1));
	rmnic_guard_remove(fake + 17);
	assert_true(rmnic_guard_add(fake + 17, 1, 1));
	assert_false(rmnic_guard_add(fake, 1, 1));
	for (n = 0; n < RMNIC_GUARD_MAX; n++)
		rmnic_guard_remove(fake + n);
}

/* What a region and a state block map is guarded, for as long as it is mapped. */
static void regions__guarded(void **state)
{
	struct rmnic_user_device device = user_rig_device();
	int fd = user_rig_memfd(PAGE, F_SEAL_SHRINK), block = user_rig_state(&device);
	struct rmnic_user_state held;
	static uint8_t fake[RMNIC_GUARD_MAX];
	struct rmnic_guest_region r;
	struct rmnic_error err;
	unsigned int n = 0;

	(void)state;
	while (n < RMNIC_GUARD_MAX - 1 && rmnic_guard_add(fake + n, 1, 1))
		n++;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rmnic_guest_region_prepare(&r, 0, PAGE, 0, fd, &err),
				 RMNIC_USER_S_OK);
		assert_false(rmnic_guard_add(fake + n, 1, 1));
		rmnic_guest_region_unmap(&r);
		assert_int_equal(rmnic_user_state_map(&held, &device, block, &err), RMNIC_USER_S_OK);
		assert_false(rmnic_guard_add(fake + n, 1, 1));
		rmnic_user_state_unmap(&held);
	}
	assert_true(rmnic_guard_add(fake + n, 1, 1));
	assert_int_equal(rmnic_guest_region_prepare(&r, 0, PAGE, 0, fd, &err), RMNIC_USER_S_LIMIT);
	assert_non_null(strstr(err.text, "too many regions"));
	assert_int_equal(rmnic_user_state_map(&held, &device, block, &err), RMNIC_USER_S_LIMIT);
	assert_non_null(strstr(err.text, "too many devices"));
	assert_int_equal(user_rig_mapped_memfds(), 0);
	for (n = 0; n < RMNIC_GUARD_MAX; n++)
		rmnic_guard_remove(fake + n);
	close(block);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fault__replaced),
		cmocka_unit_test(fault__huge_page),
		cmocka_unit_test(fault__elsewhere),
		cmocka_unit_test(add__limit),
		cmocka_unit_test(regions__guarded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
