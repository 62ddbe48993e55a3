// SPDX-License-Identifier: BSD-3-Clause
/*
 * rmnic_swap - anonymous memory on a swap area of the rmnic device, page by page
 *
 * Paging is asked for (MADV_PAGEOUT, memory.reclaim), not waited for, so each case knows which
 * pages went out; the device's own counters say that they really did.
 */
#include <setjmp.h>
#include <signal.h>
#include <sys/swap.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "rmnic_test.h"

#define PAGES 4096u	/* 16 MiB */
#define HUGE (2u << 20)
/* Freed slots a CPU holds back (SWAP_SLOTS_CACHE_SIZE), for at most this many CPUs. */
#define SLOTS_HELD_BACK (64u * sysconf(_SC_NPROCESSORS_ONLN))

FIXTURE(swap)
{
	uint8_t *mem;
	size_t pages;
	bool on;
	uint64_t stored;
};

FIXTURE_SETUP(swap)
{
	if (access(RMNIC_TEST_DISK, R_OK | W_OK))
		SKIP(return, "no " RMNIC_TEST_DISK ": load the driver on a machine with the device");
	ASSERT_EQ(0, system("mkswap " RMNIC_TEST_DISK " >/dev/null"));
	self->stored = rmnic_test_stat_now("pages_stored");
	ASSERT_EQ(0, swapon(RMNIC_TEST_DISK, 0)) TH_LOG("swapon: %s", strerror(errno));
	self->on = true;
	ASSERT_EQ(0, rmnic_test_group_enter());
	self->pages = PAGES;
	self->mem = mmap(NULL, PAGES * RMNIC_TEST_PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	/* A fold of pages has cases of its own. */
	madvise(self->mem, PAGES * RMNIC_TEST_PAGE, MADV_NOHUGEPAGE);
}

FIXTURE_TEARDOWN(swap)
{
	if (self->mem)
		munmap(self->mem, self->pages * RMNIC_TEST_PAGE);
	if (self->on)
		EXPECT_EQ(0, swapoff(RMNIC_TEST_DISK)) TH_LOG("swapoff: %s", strerror(errno));
}

/* CMD-6: what went out comes back, and the device counted each page both ways. */
TEST_F_TIMEOUT(swap, pages_out_and_in_are_verified, RMNIC_TEST_SECONDS)
{
	uint64_t out = rmnic_test_stat_now("pages_out"), in = rmnic_test_stat_now("pages_in");

	rmnic_test_fill_all(self->mem, PAGES, 1);
	ASSERT_GE(PAGES / 64, rmnic_test_page_out(self->mem, PAGES));
	EXPECT_GE(rmnic_test_stat_now("pages_out") - out, PAGES - PAGES / 64);
	EXPECT_EQ(0, rmnic_test_bad_pages(self->mem, PAGES, 1));
	EXPECT_GE(rmnic_test_stat_now("pages_in") - in, PAGES - PAGES / 64);
}

/* CMD-1: a slot is freed and written again and again; the free never overtakes the write. */
TEST_F_TIMEOUT(swap, a_slot_used_again_holds_the_new_page, RMNIC_TEST_SECONDS)
{
	const size_t pages = 512;
	unsigned int gen;

	for (gen = 1; gen <= 40; gen++) {
		void *again;

		rmnic_test_fill_all(self->mem, pages, gen);
		ASSERT_GE(pages / 64, rmnic_test_page_out(self->mem, pages));
		ASSERT_EQ(0, rmnic_test_bad_pages(self->mem, pages, gen)) TH_LOG("generation %u", gen);
		if (gen & 1)
			continue;	/* rewritten in place */
		again = mmap(self->mem, pages * RMNIC_TEST_PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		ASSERT_EQ(self->mem, again);
		madvise(again, pages * RMNIC_TEST_PAGE, MADV_NOHUGEPAGE);
	}
}

/* CMD-15, RULES L6: memory that is given back is given back on the device, without a swapoff. */
TEST_F_TIMEOUT(swap, freed_slots_are_freed_on_the_device, RMNIC_TEST_SECONDS)
{
	uint64_t freed = rmnic_test_stat_now("pages_freed"), stored;
	double end;

	rmnic_test_fill_all(self->mem, PAGES, 1);
	ASSERT_GE(PAGES / 64, rmnic_test_page_out(self->mem, PAGES));
	stored = rmnic_test_stat_now("pages_stored");
	ASSERT_GE(stored, self->stored + PAGES - PAGES / 64);
	ASSERT_EQ(0, munmap(self->mem, PAGES * RMNIC_TEST_PAGE));
	self->mem = NULL;
	for (end = rmnic_test_now() + 10; rmnic_test_now() < end; rmnic_test_pause_ms(20))
		if (rmnic_test_stat_now("pages_freed") - freed + SLOTS_HELD_BACK + PAGES / 64 >= PAGES)
			break;
	EXPECT_GE(rmnic_test_stat_now("pages_freed") - freed + SLOTS_HELD_BACK + PAGES / 64, PAGES);
	EXPECT_LE(rmnic_test_stat_now("pages_stored"), stored - PAGES + SLOTS_HELD_BACK + PAGES / 64);
	/* swapoff drains what the CPUs held back, so nothing of it may be left on the device. */
	ASSERT_EQ(0, swapoff(RMNIC_TEST_DISK));
	self->on = false;
	for (end = rmnic_test_now() + 10; rmnic_test_now() < end; rmnic_test_pause_ms(20))
		if (rmnic_test_stat_now("pages_stored") <= self->stored)
			break;
	EXPECT_LE(rmnic_test_stat_now("pages_stored"), self->stored);
}

/* One word over and over is a page like any other to the guest, and takes no store. */
TEST_F_TIMEOUT(swap, same_filled_pages_take_no_store, RMNIC_TEST_SECONDS)
{
	uint64_t same = rmnic_test_stat_now("pages_same_filled");
	uint64_t stored = rmnic_test_stat_now("pages_stored"), *word = (uint64_t *)self->mem;
	size_t i, bad = 0, words = PAGES * RMNIC_TEST_PAGE / 8;

	for (i = 0; i < words; i++)
		word[i] = 0x5a5a000000000001ull + i / 512;
	ASSERT_GE(PAGES / 64, rmnic_test_page_out(self->mem, PAGES));
	EXPECT_GE(rmnic_test_stat_now("pages_same_filled") - same, PAGES - PAGES / 64);
	EXPECT_LE(rmnic_test_stat_now("pages_stored"), stored + PAGES / 64);
	for (i = 0; i < words; i++)
		bad += word[i] != 0x5a5a000000000001ull + i / 512;
	EXPECT_EQ(0, bad);
}

static int fork_child(uint8_t *mem, unsigned int who)
{
	if (rmnic_test_bad_pages(mem, PAGES, 1))
		return 1;
	/* Half of it becomes this child's own. */
	rmnic_test_fill_all(mem, PAGES / 2, 100 + who);
	if (rmnic_test_page_out(mem, PAGES) > PAGES / 2)
		return 2;
	if (rmnic_test_bad_pages(mem, PAGES / 2, 100 + who))
		return 3;
	return 0;
}

/* Pages on the device shared by five processes, each of which then changes half of them. */
TEST_F_TIMEOUT(swap, fork_shares_swapped_pages, RMNIC_TEST_SECONDS)
{
	pid_t child[4];
	unsigned int i;
	int status;

	rmnic_test_fill_all(self->mem, PAGES, 1);
	ASSERT_GE(PAGES / 64, rmnic_test_page_out(self->mem, PAGES));
	for (i = 0; i < 4; i++) {
		child[i] = fork();
		ASSERT_LE(0, child[i]);
		if (!child[i])
			_exit(fork_child(self->mem, i));
	}
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(child[i], waitpid(child[i], &status, 0));
		EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
			TH_LOG("child %u: wait status %#x", i, status);
	}
	EXPECT_EQ(0, rmnic_test_bad_pages(self->mem, PAGES, 1));
}

static uint64_t vmstat(const char *name)
{
	char key[64];
	uint64_t value, found = 0;
	FILE *f = fopen("/proc/vmstat", "r");

	while (f && fscanf(f, "%63s %" SCNu64, key, &value) == 2)
		if (!strcmp(key, name))
			found = value;
	if (f)
		fclose(f);
	return found;
}

/* RULES L7: a folio of 2 MiB leaves as one piece, in commands of many pages. */
TEST_F_TIMEOUT(swap, huge_pages_leave_whole, RMNIC_TEST_SECONDS)
{
	const size_t huge = 4, pages = huge * HUGE / RMNIC_TEST_PAGE;
	uint64_t whole = vmstat("thp_swpout"), cmds, out;
	uint8_t *area, *mem;

	/* A kernel with less than 512 MiB of memory starts with them off. */
	if (rmnic_test_write_file("/sys/kernel/mm/transparent_hugepage/enabled", "madvise"))
		SKIP(return, "this kernel has no transparent huge pages");
	area = mmap(NULL, (huge + 1) * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, area);
	mem = (uint8_t *)(((uintptr_t)area + HUGE - 1) & ~(uintptr_t)(HUGE - 1));
	ASSERT_EQ(0, madvise(mem, huge * HUGE, MADV_HUGEPAGE));
	rmnic_test_fill_all(mem, pages, 7);
	cmds = rmnic_test_stat_now("page_out_cmds");
	out = rmnic_test_stat_now("pages_out");
	ASSERT_GE(pages / 64, rmnic_test_page_out(mem, pages));
	cmds = rmnic_test_stat_now("page_out_cmds") - cmds;
	out = rmnic_test_stat_now("pages_out") - out;
	EXPECT_GE(vmstat("thp_swpout") - whole, 1);
	EXPECT_GE(out, pages - pages / 64);
	EXPECT_LE(cmds, out / 16) TH_LOG("%" PRIu64 " pages took %" PRIu64 " commands", out, cmds);
	EXPECT_EQ(0, rmnic_test_bad_pages(mem, pages, 7));
	munmap(area, (huge + 1) * HUGE);
}

static sigjmp_buf bus_error;

static void on_bus_error(int sig)
{
	(void)sig;
	siglongjmp(bus_error, 1);
}

/* Pages of mem that raise SIGBUS when read; pages that are wrong are counted apart. */
static size_t count_bus_errors(uint8_t *mem, size_t pages, size_t *wrong)
{
	volatile size_t i, errors = 0, bad = 0;

	signal(SIGBUS, on_bus_error);
	for (i = 0; i < pages; i++) {
		if (sigsetjmp(bus_error, 1))
			errors++;
		else
			bad += rmnic_test_check(mem + i * RMNIC_TEST_PAGE, i, 1) >= 0;
	}
	signal(SIGBUS, SIG_DFL);
	*wrong = bad;
	return errors;
}

/* Reads all its pages with one of them lost; another process does the same with none. */
static int bus_child(uint8_t *mem, size_t expected)
{
	size_t wrong, errors = count_bus_errors(mem, PAGES, &wrong);

	if (wrong)
		return 100;
	return errors == expected ? 0 : (errors > 90 ? 90 : 1 + errors);
}

/*
 * CMD-8, DRV-3, DRV-6, RULES L2: a page that is lost is a SIGBUS for the one who reads it, for that page
 * alone: its neighbours in the same cluster and other processes read on.
 */
TEST_F_TIMEOUT(swap, a_lost_page_is_sigbus_for_its_reader_alone, RMNIC_TEST_SECONDS)
{
	const size_t lost = PAGES / 2 + 3;
	uint8_t *other;
	pid_t pid;
	int64_t slot;
	int status;
	size_t wrong;

	if (!rmnic_test_have_host())
		SKIP(return, "no 'host': faults cannot be injected from this machine");
	other = mmap(NULL, PAGES * RMNIC_TEST_PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, other);
	madvise(other, PAGES * RMNIC_TEST_PAGE, MADV_NOHUGEPAGE);
	rmnic_test_fill_all(self->mem, PAGES, 1);
	rmnic_test_fill_all(other, PAGES, 1);
	ASSERT_GE(PAGES / 64, rmnic_test_page_out(self->mem, PAGES));
	ASSERT_GE(PAGES / 64, rmnic_test_page_out(other, PAGES));
	slot = rmnic_test_slot(self->mem + lost * RMNIC_TEST_PAGE);
	ASSERT_LE(1, slot);
	ASSERT_EQ(0, rmnic_test_fail_range(RMNIC_OP_PAGE_IN, RMNIC_SC_LOST, slot, 1));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(bus_child(self->mem, 1));
	EXPECT_EQ(0, count_bus_errors(other, PAGES, &wrong));
	EXPECT_EQ(0, wrong);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, rmnic_test_fail_end());
	EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0)
		TH_LOG("reader of the lost page: wait status %#x (exit 1 + SIGBUS seen, 100: wrong bytes)",
		       status);
	munmap(other, PAGES * RMNIC_TEST_PAGE);
}

TEST_HARNESS_MAIN
