// SPDX-License-Identifier: BSD-3-Clause
/*
 * rmnic_blk - the rmnic device as a plain block device: contents, sizes, discard, errors
 */
#include "../kselftest_harness.h"
#include "rmnic_test.h"

#define MIB (1u << 20)
#define AREA (8u * MIB)
#define AREA_PAGES (AREA / RMNIC_TEST_PAGE)

FIXTURE(blk)
{
	int fd;
	uint8_t *buf;
	uint64_t bytes;
};

FIXTURE_SETUP(blk)
{
	uint64_t range[2] = { 0, AREA };

	self->fd = open(RMNIC_TEST_DISK, O_RDWR | O_DIRECT | O_CLOEXEC | O_EXCL);
	if (self->fd < 0 && errno == ENOENT)
		SKIP(return, "no " RMNIC_TEST_DISK ": load the driver on a machine with the device");
	ASSERT_LE(0, self->fd) TH_LOG(RMNIC_TEST_DISK ": %s", strerror(errno));
	ASSERT_EQ(0, ioctl(self->fd, BLKGETSIZE64, &self->bytes));
	ASSERT_GE(self->bytes, 2 * AREA);
	self->buf = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->buf);
	ASSERT_EQ(0, ioctl(self->fd, BLKDISCARD, range)) TH_LOG("discard: %s", strerror(errno));
}

FIXTURE_TEARDOWN(blk)
{
	if (self->buf)
		munmap(self->buf, AREA);
	if (self->fd >= 0)
		close(self->fd);
}

static bool all_zero(const uint8_t *mem, size_t len)
{
	return len == 0 || (mem[0] == 0 && !memcmp(mem, mem + 1, len - 1));
}

/* Writes the area in pieces of len bytes from the address + shift, 0 or -errno. */
static int write_area(int fd, uint8_t *buf, size_t len)
{
	size_t at;

	for (at = 0; at < AREA; at += len)
		if (pwrite(fd, buf + at, len, at) != (ssize_t)len)
			return -errno;
	return 0;
}

static int read_area(int fd, uint8_t *buf, size_t len)
{
	size_t at;

	for (at = 0; at < AREA; at += len)
		if (pread(fd, buf + at, len, at) != (ssize_t)len)
			return errno ? -errno : -EIO;
	return 0;
}

/* CMD-5 */
TEST_F_TIMEOUT(blk, never_written_reads_zeros, RMNIC_TEST_SECONDS)
{
	uint64_t unwritten = rmnic_test_stat_now("pages_in_unwritten");

	memset(self->buf, 0xff, AREA);
	ASSERT_EQ(0, read_area(self->fd, self->buf, MIB));
	EXPECT_TRUE(all_zero(self->buf, AREA));
	EXPECT_GE(rmnic_test_stat_now("pages_in_unwritten") - unwritten, AREA_PAGES);
}

/* CMD-6, CMD-10: each transfer size up to 2 MiB, in whole and in list form. */
TEST_F_TIMEOUT(blk, every_size_comes_back, RMNIC_TEST_SECONDS)
{
	size_t len;
	unsigned int gen = 1;

	for (len = RMNIC_TEST_PAGE; len <= 2 * MIB; len *= 2, gen++) {
		uint64_t out = rmnic_test_stat_now("pages_out"), in;

		rmnic_test_fill_all(self->buf, AREA_PAGES, gen);
		ASSERT_EQ(0, write_area(self->fd, self->buf, len)) TH_LOG("%zu bytes", len);
		memset(self->buf, 0, AREA);
		in = rmnic_test_stat_now("pages_in");
		ASSERT_EQ(0, read_area(self->fd, self->buf, len)) TH_LOG("%zu bytes", len);
		EXPECT_EQ(0, rmnic_test_bad_pages(self->buf, AREA_PAGES, gen)) TH_LOG("%zu bytes", len);
		EXPECT_GE(rmnic_test_stat_now("pages_out") - out, AREA_PAGES);
		EXPECT_GE(rmnic_test_stat_now("pages_in") - in, AREA_PAGES);
	}
}

/* CMD-10: a buffer that is no whole page is refused or bounced by the kernel, never torn. */
TEST_F_TIMEOUT(blk, unaligned_buffers_come_back_or_are_refused, RMNIC_TEST_SECONDS)
{
	const size_t shifts[] = { 512, 1024, 2048, 3584 };
	const size_t len = 64 * RMNIC_TEST_PAGE;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		uint8_t *from = self->buf + shifts[i], *to = self->buf + AREA / 2 + shifts[i];

		rmnic_test_fill_all(from, 64, 50 + i);
		if (pwrite(self->fd, from, len, 0) < 0) {
			ASSERT_EQ(EINVAL, errno);
			continue;
		}
		memset(to, 0, len);
		ASSERT_EQ(len, pread(self->fd, to, len, 0));
		EXPECT_EQ(0, rmnic_test_bad_pages(to, 64, 50 + i)) TH_LOG("shift %zu", shifts[i]);
	}
	EXPECT_EQ(-1, pwrite(self->fd, self->buf, 512, 512));
}

/* REG CAPACITY is the disk's size: its last page can be used, the one after it cannot. */
TEST_F_TIMEOUT(blk, the_end_of_the_disk_is_the_end, RMNIC_TEST_SECONDS)
{
	uint64_t last = self->bytes - RMNIC_TEST_PAGE;
	uint64_t range[2] = { last, RMNIC_TEST_PAGE };

	rmnic_test_fill(self->buf, 99, 1);
	ASSERT_EQ(RMNIC_TEST_PAGE, pwrite(self->fd, self->buf, RMNIC_TEST_PAGE, last));
	memset(self->buf, 0, RMNIC_TEST_PAGE);
	ASSERT_EQ(RMNIC_TEST_PAGE, pread(self->fd, self->buf, 2 * RMNIC_TEST_PAGE, last));
	EXPECT_EQ(-1, rmnic_test_check(self->buf, 99, 1));
	EXPECT_EQ(0, pread(self->fd, self->buf, RMNIC_TEST_PAGE, self->bytes));
	EXPECT_EQ(-1, pwrite(self->fd, self->buf, RMNIC_TEST_PAGE, self->bytes));
	EXPECT_EQ(ENOSPC, errno);
	EXPECT_EQ(0, ioctl(self->fd, BLKDISCARD, range));
}

/* CMD-15: discard gives pages back, and only those. */
TEST_F_TIMEOUT(blk, discard_frees_on_the_device, RMNIC_TEST_SECONDS)
{
	uint64_t range[2] = { MIB, 2 * MIB }, freed, stored;
	const size_t first = MIB / RMNIC_TEST_PAGE, n = 2 * MIB / RMNIC_TEST_PAGE;

	rmnic_test_fill_all(self->buf, AREA_PAGES, 3);
	ASSERT_EQ(0, write_area(self->fd, self->buf, MIB));
	freed = rmnic_test_stat_now("pages_freed");
	stored = rmnic_test_stat_now("pages_stored");
	ASSERT_EQ(0, ioctl(self->fd, BLKDISCARD, range));
	EXPECT_EQ(n, rmnic_test_stat_now("pages_freed") - freed);
	EXPECT_EQ(stored - n, rmnic_test_stat_now("pages_stored"));
	ASSERT_EQ(0, read_area(self->fd, self->buf, MIB));
	EXPECT_TRUE(all_zero(self->buf + range[0], range[1]));
	EXPECT_EQ(0, rmnic_test_bad_pages(self->buf, first, 3));
	EXPECT_EQ(-1, rmnic_test_check(self->buf + 3 * MIB, first + n, 3));
}

/* ZERO: the blocks read as zeros and hold no store. */
TEST_F_TIMEOUT(blk, zeroout_zeroes_on_the_device, RMNIC_TEST_SECONDS)
{
	uint64_t range[2] = { MIB, MIB }, zeroed, stored;

	rmnic_test_fill_all(self->buf, AREA_PAGES, 4);
	ASSERT_EQ(0, write_area(self->fd, self->buf, MIB));
	zeroed = rmnic_test_stat_now("pages_zeroed");
	stored = rmnic_test_stat_now("pages_stored");
	ASSERT_EQ(0, ioctl(self->fd, BLKZEROOUT, range));
	EXPECT_EQ(MIB / RMNIC_TEST_PAGE, rmnic_test_stat_now("pages_zeroed") - zeroed);
	EXPECT_EQ(stored - MIB / RMNIC_TEST_PAGE, rmnic_test_stat_now("pages_stored"));
	ASSERT_EQ(0, read_area(self->fd, self->buf, MIB));
	EXPECT_TRUE(all_zero(self->buf + MIB, MIB));
	EXPECT_EQ(-1, rmnic_test_check(self->buf + 2 * MIB, 2 * MIB / RMNIC_TEST_PAGE, 4));
}

/* CMD-14 */
TEST_F_TIMEOUT(blk, fsync_reaches_the_device, RMNIC_TEST_SECONDS)
{
	uint64_t flushes = rmnic_test_stat_now("flush_cmds");

	rmnic_test_fill(self->buf, 1, 5);
	ASSERT_EQ(RMNIC_TEST_PAGE, pwrite(self->fd, self->buf, RMNIC_TEST_PAGE, 0));
	ASSERT_EQ(0, fsync(self->fd));
	EXPECT_GE(rmnic_test_stat_now("flush_cmds") - flushes, 1);
}

/* CMD-3, DRV-3: one lost page of a large read fails the read from there on, not before. */
TEST_F_TIMEOUT(blk, a_lost_page_is_eio_for_its_reader_alone, RMNIC_TEST_SECONDS)
{
	const size_t lost = 100, n = 256;
	ssize_t got;
	size_t i;

	if (!rmnic_test_have_host())
		SKIP(return, "no 'host': faults cannot be injected from this machine");
	rmnic_test_fill_all(self->buf, AREA_PAGES, 6);
	ASSERT_EQ(0, write_area(self->fd, self->buf, MIB));
	ASSERT_EQ(0, rmnic_test_fail_range(RMNIC_OP_PAGE_IN, RMNIC_SC_LOST, lost, 1));
	for (i = 0; i < n; i++) {
		memset(self->buf, 0, RMNIC_TEST_PAGE);
		errno = 0;
		got = pread(self->fd, self->buf, RMNIC_TEST_PAGE, i * RMNIC_TEST_PAGE);
		if (i == lost) {
			EXPECT_EQ(-1, got);
			EXPECT_EQ(EIO, errno);
		} else {
			EXPECT_EQ(RMNIC_TEST_PAGE, got) TH_LOG("page %zu: %s", i, strerror(errno));
			EXPECT_EQ(-1, rmnic_test_check(self->buf, i, 6));
		}
	}
	got = pread(self->fd, self->buf, n * RMNIC_TEST_PAGE, 0);
	EXPECT_TRUE(got == -1 || got <= (ssize_t)(lost * RMNIC_TEST_PAGE)) TH_LOG("%zd bytes", got);
	/* RULES L2: on a block device a write of the whole block heals. */
	EXPECT_EQ(0, rmnic_test_fail_end());
	ASSERT_EQ(RMNIC_TEST_PAGE, pread(self->fd, self->buf, RMNIC_TEST_PAGE, lost * RMNIC_TEST_PAGE));
	EXPECT_EQ(-1, rmnic_test_check(self->buf, lost, 6));
}

/* A page-out that is refused for good is EIO or ENOSPC for its writer; what was there stays. */
TEST_F_TIMEOUT(blk, a_failed_write_is_an_error_for_its_writer_alone, RMNIC_TEST_SECONDS)
{
	const size_t bad = 33;
	ssize_t put;

	if (!rmnic_test_have_host())
		SKIP(return, "no 'host': faults cannot be injected from this machine");
	rmnic_test_fill_all(self->buf, AREA_PAGES, 7);
	ASSERT_EQ(0, write_area(self->fd, self->buf, MIB));
	ASSERT_EQ(0, rmnic_test_fail_range(RMNIC_OP_PAGE_OUT, RMNIC_SC_LOST, bad, 1));
	put = pwrite(self->fd, self->buf, RMNIC_TEST_PAGE, bad * RMNIC_TEST_PAGE);
	EXPECT_EQ(-1, put);
	EXPECT_TRUE(errno == EIO || errno == ENOSPC) TH_LOG("%s", strerror(errno));
	EXPECT_EQ(RMNIC_TEST_PAGE,
		  pwrite(self->fd, self->buf + 34 * RMNIC_TEST_PAGE, RMNIC_TEST_PAGE, 34 * RMNIC_TEST_PAGE));
	EXPECT_EQ(0, rmnic_test_fail_end());
	ASSERT_EQ(RMNIC_TEST_PAGE,
		  pwrite(self->fd, self->buf + bad * RMNIC_TEST_PAGE, RMNIC_TEST_PAGE, bad * RMNIC_TEST_PAGE));
	ASSERT_EQ(0, read_area(self->fd, self->buf, MIB));
	EXPECT_EQ(0, rmnic_test_bad_pages(self->buf, AREA_PAGES, 7));
}

TEST_HARNESS_MAIN
