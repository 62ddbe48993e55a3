/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/memfd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "user/memory.h"
#include "user_rig.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)
#define PAGE  4096ull

static struct rmnic_error err;

static uint16_t add(struct rmnic_guest_memory *mem, uint64_t addr, uint64_t size, uint64_t offset,
		    int fd)
{
	struct rmnic_guest_region r;
	uint16_t status = rmnic_guest_region_prepare(&r, addr, size, offset, fd, &err);

	if (status == RMNIC_USER_S_OK)
		status = rmnic_guest_memory_insert(mem, &r);
	if (status != RMNIC_USER_S_OK)
		rmnic_guest_region_unmap(&r);
	return status;
}

static uint16_t prepare(uint64_t addr, uint64_t size, uint64_t offset, int fd)
{
	struct rmnic_guest_memory mem = { 0 };
	uint16_t status = add(&mem, addr, size, offset, fd);

	rmnic_guest_memory_clear(&mem);
	return status;
}

static bool maps(struct rmnic_guest_memory *mem, uint64_t addr, uint32_t len)
{
	struct rmnic_mapping m;

	if (!rmnic_guest_memory_map(mem, addr, len, true, &m))
		return false;
	assert_int_equal(m.len, len);
	assert_true(m.addr == addr);
	rmnic_guest_memory_unmap(mem, &m);
	return true;
}

/* --- Regions ---------------------------------------------------------------------------------- */

/* USER-9 */
static void prepare__wrong_fd(void **state)
{
	int fd;

	(void)state;
	fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	assert_int_equal(prepare(0, PAGE, 0, fd), RMNIC_USER_S_BAD_FD);
	close(fd);
	fd = user_rig_memfd(4 * PAGE, F_SEAL_GROW);
	assert_int_equal(prepare(0, PAGE, 0, fd), RMNIC_USER_S_BAD_FD);
	assert_non_null(strstr(err.text, "shrinking"));
	close(fd);
	fd = user_rig_memfd(4 * PAGE, SEALS | F_SEAL_FUTURE_WRITE);
	assert_int_equal(prepare(0, PAGE, 0, fd), RMNIC_USER_S_BAD_FD);
	assert_non_null(strstr(err.text, "written"));
	close(fd);
	fd = user_rig_memfd(4 * PAGE, F_SEAL_SHRINK);
	assert_int_equal(prepare(0, 5 * PAGE, 0, fd), RMNIC_USER_S_BAD_FD);
	assert_non_null(strstr(err.text, "16384 bytes, not 20480"));
	assert_int_equal(prepare(0, PAGE, 4 * PAGE, fd), RMNIC_USER_S_BAD_FD);
	assert_int_equal(prepare(0, 4 * PAGE, PAGE, fd), RMNIC_USER_S_BAD_FD);
	assert_int_equal(prepare(0, 3 * PAGE, PAGE, fd), RMNIC_USER_S_OK);
	close(fd);
}

/* USER-9 */
static void prepare__wrong_range(void **state)
{
	int fd = user_rig_memfd(4 * PAGE, SEALS);

	(void)state;
	assert_int_equal(prepare(0, 0, 0, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(prepare(512, PAGE, 0, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(prepare(0, PAGE + 512, 0, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(prepare(0, PAGE, 512, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(prepare(0 - PAGE, 2 * PAGE, 0, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(prepare(0, 0 - PAGE, 0, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(prepare(0, PAGE, 0 - PAGE, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(prepare(0, INT64_MAX - 4095, PAGE, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(prepare(0 - PAGE, PAGE, 0, fd), RMNIC_USER_S_OK);
	close(fd);
}

/* What the backend writes is what the front end's mapping has, at the offset that was told. */
static void prepare__is_the_file(void **state)
{
	int fd = user_rig_memfd(8 * PAGE, SEALS);
	uint8_t *theirs = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct rmnic_guest_memory mem = { 0 };
	struct rmnic_mapping m;

	(void)state;
	assert_int_equal(add(&mem, 0x100000, 4 * PAGE, 3 * PAGE, fd), RMNIC_USER_S_OK);
	close(fd);
	assert_true(rmnic_guest_memory_map(&mem, 0x100000 + PAGE + 8, 100, true, &m));
	memset(m.ptr, 0x77, m.len);
	assert_int_equal(theirs[4 * PAGE + 7], 0);
	assert_int_equal(theirs[4 * PAGE + 8], 0x77);
	assert_int_equal(theirs[4 * PAGE + 107], 0x77);
	assert_int_equal(theirs[4 * PAGE + 108], 0);
	rmnic_guest_memory_unmap(&mem, &m);
	assert_null(m.ptr);
	rmnic_guest_memory_clear(&mem);
	munmap(theirs, 8 * PAGE);
}

/* A file of huge pages is mapped in whole ones, however the region lies in it. */
static void prepare__huge_pages(void **state)
{
	const uint64_t huge = 2 << 20;
	int fd = memfd_create("huge", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_HUGE_2MB);
	struct rmnic_guest_memory mem = { 0 };
	struct rmnic_mapping m;
	uint16_t status;
	void *theirs;

	(void)state;
	if (fd < 0 || ftruncate(fd, (off_t)(2 * huge)) < 0 ||
	    (theirs = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) ==
		    MAP_FAILED) {
		print_message("# there are no two free huge pages of 2 MiB\n");
		if (fd >= 0)
			close(fd);
		skip();
	}
	assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS), 0);
	status = add(&mem, 0x7000, huge, huge - 8 * PAGE, fd);
	assert_int_equal(status, RMNIC_USER_S_OK);
	assert_true(rmnic_guest_memory_map(&mem, 0x7000 + huge - 8, 8, true, &m));
	memset(m.ptr, 0x33, 8);
	assert_int_equal(((uint8_t *)theirs)[2 * huge - 8 * PAGE - 1], 0x33);
	assert_int_equal(((uint8_t *)theirs)[2 * huge - 8 * PAGE], 0);
	rmnic_guest_memory_unmap(&mem, &m);
	rmnic_guest_memory_clear(&mem);
	munmap(theirs, 2 * huge);
	close(fd);
}

/* Not all memory that one can ask for is there: that is LIMIT, no death. */
static void prepare__more_than_can_be_mapped(void **state)
{
	const uint64_t size = 1ull << 62;
	int fd = memfd_create("large", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, SEALS), 0);
	assert_int_equal(prepare(0, size, 0, fd), RMNIC_USER_S_LIMIT);
	close(fd);
}

/* --- The table -------------------------------------------------------------------------------- */

/* USER-9 */
static void insert__overlap(void **state)
{
	int fd = user_rig_memfd(4 * PAGE, SEALS);
	struct rmnic_guest_memory mem = { 0 };

	(void)state;
	assert_int_equal(add(&mem, 0x10000, 4 * PAGE, 0, fd), RMNIC_USER_S_OK);
	assert_int_equal(add(&mem, 0x10000, 4 * PAGE, 0, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(add(&mem, 0x13000, PAGE, 0, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(add(&mem, 0xf000, 2 * PAGE, 0, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(add(&mem, 0x11000, PAGE, 0, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(add(&mem, 0xd000, 4 * PAGE, 0, fd), RMNIC_USER_S_INVALID);
	assert_int_equal(mem.count, 1);
	assert_int_equal(add(&mem, 0xc000, 4 * PAGE, 0, fd), RMNIC_USER_S_OK);
	assert_int_equal(add(&mem, 0x14000, 4 * PAGE, 0, fd), RMNIC_USER_S_OK);
	assert_int_equal(add(&mem, 0 - PAGE, PAGE, 0, fd), RMNIC_USER_S_OK);
	assert_int_equal(mem.count, 4);
	rmnic_guest_memory_clear(&mem);
	close(fd);
}

static void insert__limit(void **state)
{
	int fd = user_rig_memfd(PAGE, SEALS);
	struct rmnic_guest_memory mem = { 0 };

	(void)state;
	for (uint64_t i = 0; i < RMNIC_USER_MAX_REGIONS; i++) {
		/* From both ends, so that rows are moved. */
		uint64_t at = i % 2 ? 1000 - i : i;

		assert_int_equal(add(&mem, at * PAGE, PAGE, 0, fd), RMNIC_USER_S_OK);
	}
	assert_int_equal(add(&mem, 5000 * PAGE, PAGE, 0, fd), RMNIC_USER_S_LIMIT);
	assert_int_equal(add(&mem, 0, PAGE, 0, fd), RMNIC_USER_S_INVALID);
	for (uint64_t i = 0; i < RMNIC_USER_MAX_REGIONS; i++)
		assert_true(maps(&mem, (i % 2 ? 1000 - i : i) * PAGE, PAGE));
	for (uint32_t i = 1; i < mem.count; i++)
		assert_true(mem.region[i - 1].addr < mem.region[i].addr);
	rmnic_guest_memory_clear(&mem);
	close(fd);
}

/* USER-11: exactly as it was added, and not while it is in use. */
static void remove__exactly(void **state)
{
	int fd = user_rig_memfd(4 * PAGE, SEALS);
	struct rmnic_guest_memory mem = { 0 };
	struct rmnic_guest_region *r, out;
	struct rmnic_mapping m;

	(void)state;
	assert_null(rmnic_guest_memory_find(&mem, 0, PAGE));
	assert_int_equal(add(&mem, 0x10000, 4 * PAGE, 0, fd), RMNIC_USER_S_OK);
	assert_int_equal(add(&mem, 0x20000, 4 * PAGE, 0, fd), RMNIC_USER_S_OK);
	assert_int_equal(add(&mem, 0x30000, 4 * PAGE, 0, fd), RMNIC_USER_S_OK);
	assert_null(rmnic_guest_memory_find(&mem, 0x20000, 3 * PAGE));
	assert_null(rmnic_guest_memory_find(&mem, 0x21000, 3 * PAGE));
	assert_null(rmnic_guest_memory_find(&mem, 0x8000, PAGE));
	r = rmnic_guest_memory_find(&mem, 0x20000, 4 * PAGE);
	assert_non_null(r);
	assert_true(rmnic_guest_memory_map(&mem, 0x22000, PAGE, false, &m));
	assert_int_equal(r->uses, 1);
	r->leaving = true;
	assert_false(maps(&mem, 0x21000, PAGE));
	assert_true(maps(&mem, 0x11000, PAGE));
	assert_true(maps(&mem, 0x31000, PAGE));
	rmnic_guest_memory_unmap(&mem, &m);
	assert_int_equal(r->uses, 0);
	rmnic_guest_memory_remove(&mem, r, &out);
	assert_true(out.addr == 0x20000 && out.map && out.base);
	rmnic_guest_region_unmap(&out);
	assert_int_equal(mem.count, 2);
	assert_false(maps(&mem, 0x20000, PAGE));
	assert_true(maps(&mem, 0x10000, PAGE));
	assert_true(maps(&mem, 0x30000, PAGE));
	rmnic_guest_memory_remove(&mem, rmnic_guest_memory_find(&mem, 0x30000, 4 * PAGE), &out);
	rmnic_guest_region_unmap(&out);
	assert_false(maps(&mem, 0x30000, PAGE));
	rmnic_guest_memory_clear(&mem);
	assert_false(maps(&mem, 0x10000, PAGE));
	close(fd);
}

/* --- Translation ------------------------------------------------------------------------------ */

/* USER-10, RULES C2: one region or nothing. */
static void map__edges(void **state)
{
	int fd = user_rig_memfd(4 * PAGE, SEALS);
	struct rmnic_guest_memory mem = { 0 };

	(void)state;
	assert_false(maps(&mem, 0, 1));
	assert_int_equal(add(&mem, 0x10000, 4 * PAGE, 0, fd), RMNIC_USER_S_OK);
	assert_int_equal(add(&mem, 0x14000, 4 * PAGE, 0, fd), RMNIC_USER_S_OK);
	assert_int_equal(add(&mem, 0 - PAGE, PAGE, 0, fd), RMNIC_USER_S_OK);
	assert_int_equal(add(&mem, 0 - 3 * PAGE, PAGE, 0, fd), RMNIC_USER_S_OK);
	for (int round = 0; round < 2; round++) {
		assert_true(maps(&mem, 0x10000, 4 * PAGE));
		assert_true(maps(&mem, 0x13fff, 1));
		assert_true(maps(&mem, 0x14000, 1));
		assert_false(maps(&mem, 0x10000, 4 * PAGE + 1));
		assert_false(maps(&mem, 0x13fff, 2)); /* two regions, though neighbours */
		assert_false(maps(&mem, 0xffff, 1));
		assert_false(maps(&mem, 0xffff, 2));
		assert_false(maps(&mem, 0x18000, 1));
		assert_false(maps(&mem, 0x17fff, UINT32_MAX));
		assert_false(maps(&mem, 0x10000, 0));
		assert_true(maps(&mem, UINT64_MAX, 1));
		assert_false(maps(&mem, UINT64_MAX, 2));
		assert_false(maps(&mem, UINT64_MAX, UINT32_MAX));
		assert_true(maps(&mem, 0 - PAGE, PAGE));
		assert_false(maps(&mem, 0 - PAGE, PAGE + 1));
		assert_false(maps(&mem, 0 - 3 * PAGE, 4 * PAGE)); /* it ends at 0x1000 */
	}
	rmnic_guest_memory_clear(&mem);
	close(fd);
}

/* Against a search through all of them, at addresses drawn anew each time. */
static void map__random(void **state)
{
	int fd = user_rig_memfd(16 * PAGE, SEALS);
	struct rmnic_guest_memory mem = { 0 };
	unsigned int hits = 0;

	(void)state;
	srandom(7);
	for (int i = 0; i < 200; i++)
		add(&mem, (uint64_t)(random() % 512) * PAGE, (uint64_t)(1 + random() % 8) * PAGE,
		    (uint64_t)(random() % 8) * PAGE, fd);
	assert_true(mem.count > 20);
	for (int i = 0; i < 100000; i++) {
		uint64_t addr = (uint64_t)random() % (520 * PAGE);
		uint32_t len = 1 + (uint32_t)random() % 9000;
		struct rmnic_mapping m = { 0 };
		void *expected = NULL;

		for (uint32_t r = 0; r < mem.count; r++)
			if (addr >= mem.region[r].addr &&
			    addr + len <= mem.region[r].addr + mem.region[r].size)
				expected = mem.region[r].base + (addr - mem.region[r].addr);
		assert_int_equal(rmnic_guest_memory_map(&mem, addr, len, true, &m), !!expected);
		assert_ptr_equal(m.ptr, expected);
		hits += !!expected;
		if (expected)
			rmnic_guest_memory_unmap(&mem, &m);
	}
	assert_true(hits > 1000 && hits < 99000);
	for (uint32_t r = 0; r < mem.count; r++)
		assert_int_equal(mem.region[r].uses, 0);
	rmnic_guest_memory_clear(&mem);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prepare__wrong_fd),
		cmocka_unit_test(prepare__wrong_range),
		cmocka_unit_test(prepare__is_the_file),
		cmocka_unit_test(prepare__huge_pages),
		cmocka_unit_test(prepare__more_than_can_be_mapped),
		cmocka_unit_test(insert__overlap),
		cmocka_unit_test(insert__limit),
		cmocka_unit_test(remove__exactly),
		cmocka_unit_test(map__edges),
		cmocka_unit_test(map__random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
