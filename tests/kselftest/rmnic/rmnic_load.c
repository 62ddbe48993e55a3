// SPDX-License-Identifier: BSD-3-Clause
/*
 * rmnic_load - verified load on the device, until told to stop
 *
 *   rmnic_load memory MIB PROCS COUNTER     anonymous memory, which the group's limit pages out
 *   rmnic_load /dev/rmnic0 MIB PROCS COUNTER    direct I/O of 1 to 64 blocks
 *
 * Every process has a part of its own, in which it rewrites and verifies random pages. COUNTER
 * is a file that holds the number of pages done so far. SIGTERM: verify everything once more,
 * print 'verified=N mismatches=N bus_errors=N io_errors=N' and end. A block load ends by itself
 * after its first I/O error.
 * Exit: 0 nothing was wrong; 1 a page was not what was written; 3 SIGBUS or I/O errors.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "rmnic_test.h"

#define MAX_PROCS 16
#define MAX_RUN 64u

struct totals {
	_Atomic uint64_t verified, mismatches, bus_errors, io_errors;
};

static struct totals *totals;
static volatile sig_atomic_t stop;
static sigjmp_buf bus_error;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static void on_bus_error(int sig)
{
	(void)sig;
	siglongjmp(bus_error, 1);
}

/* One sequence a process; static, so that a jump out of a SIGBUS leaves it whole. */
static uint64_t random_state;

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void verify(const uint8_t *mem, uint64_t page, uint64_t gen)
{
	int word = rmnic_test_check(mem, page, gen);

	atomic_fetch_add(&totals->verified, 1);
	if (word < 0)
		return;
	if (atomic_fetch_add(&totals->mismatches, 1) < 4)
		printf("page %" PRIu64 " generation %" PRIu64 ": word %d is %#" PRIx64 "\n", page, gen,
		       word, ((const uint64_t *)mem)[word]);
}

static uint32_t *generations(uint64_t pages)
{
	uint32_t *gen = mmap(NULL, pages * sizeof(*gen), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* What the pages are compared with must not itself depend on the device. */
	if (gen == MAP_FAILED || mlock(gen, pages * sizeof(*gen)))
		exit(2);
	return gen;
}

static void memory_load(uint64_t pages)
{
	uint32_t *gen = generations(pages);
	uint8_t *mem = mmap(NULL, pages * RMNIC_TEST_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile uint64_t i = 0, page;

	if (mem == MAP_FAILED)
		exit(2);
	signal(SIGBUS, on_bus_error);
	rmnic_test_fill_all(mem, pages, 0);
	while (!stop) {
		page = random_next() % pages;
		if (sigsetjmp(bus_error, 1)) {
			atomic_fetch_add(&totals->bus_errors, 1);
			continue;
		}
		verify(mem + page * RMNIC_TEST_PAGE, page, gen[page]);
		if (random_next() & 1)
			rmnic_test_fill(mem + page * RMNIC_TEST_PAGE, page, ++gen[page]);
	}
	for (i = 0; i < pages; i++)
		if (sigsetjmp(bus_error, 1))
			atomic_fetch_add(&totals->bus_errors, 1);
		else
			verify(mem + i * RMNIC_TEST_PAGE, i, gen[i]);
}

/* true: the transfer was whole. */
static bool transfer(int fd, uint8_t *buf, uint64_t at, uint64_t n, bool write)
{
	ssize_t len = n * RMNIC_TEST_PAGE;
	ssize_t done = write ? pwrite(fd, buf, len, at * RMNIC_TEST_PAGE) :
			       pread(fd, buf, len, at * RMNIC_TEST_PAGE);

	if (done == len)
		return true;
	if (atomic_fetch_add(&totals->io_errors, 1) < 4)
		printf("%s of %" PRIu64 " blocks at %" PRIu64 ": %s\n", write ? "write" : "read", n, at,
		       done < 0 ? strerror(errno) : "short");
	stop = 1;
	return false;
}

static void block_load(int fd, uint64_t first, uint64_t pages)
{
	uint32_t *gen = generations(pages);
	uint8_t *buf = mmap(NULL, MAX_RUN * RMNIC_TEST_PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t i, at, n;

	if (buf == MAP_FAILED)
		exit(2);
	while (!stop) {
		n = 1 + random_next() % MAX_RUN;
		at = random_next() % (pages - n);
		if (random_next() & 1) {
			for (i = 0; i < n; i++)
				rmnic_test_fill(buf + i * RMNIC_TEST_PAGE, first + at + i, ++gen[at + i]);
			if (!transfer(fd, buf, first + at, n, true))
				return;
		} else if (!transfer(fd, buf, first + at, n, false)) {
			return;
		}
		/* A page never written by this process holds something older. */
		for (i = 0; i < n; i++)
			if (gen[at + i])
				verify(buf + i * RMNIC_TEST_PAGE, first + at + i, gen[at + i]);
	}
	for (i = 0; i < pages; i++)
		if (gen[i] && transfer(fd, buf, first + i, 1, false))
			verify(buf, first + i, gen[i]);
}

static void counter_write(const char *path)
{
	char text[32], fresh[256];
	int fd, len = snprintf(text, sizeof(text), "%" PRIu64 "\n", totals->verified);

	/* By rename, so that a reader never sees half a number. */
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || write(fd, text, len) != len || rename(fresh, path))
		perror(path);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	uint64_t pages, part;
	int procs, i, running, failed = 0, status, fd = -1;
	pid_t pids[MAX_PROCS], pid;

	procs = argc == 5 ? atoi(argv[3]) : 0;
	if (procs < 1 || procs > MAX_PROCS || atoi(argv[2]) < 1) {
		fputs("usage: rmnic_load memory|DEVICE MIB PROCS COUNTER\n", stderr);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	pages = atoi(argv[2]) * 256ull;
	part = pages / procs;
	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* This process is to tell what became of the others: it does not depend on the device. */
	if (totals == MAP_FAILED || mlockall(MCL_CURRENT))
		return 2;
	/* Once, for all: a process that gets its turn late finds the device even if it went away. */
	if (strcmp(argv[1], "memory"))
		fd = open(argv[1], O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0 && strcmp(argv[1], "memory")) {
		perror(argv[1]);
		return 2;
	}
	signal(SIGTERM, on_term);
	for (i = 0; i < procs; i++) {
		pids[i] = fork();
		if (pids[i])
			continue;
		random_state = i + 1;
		if (fd >= 0)
			block_load(fd, i * part, part);
		else
			memory_load(part);
		return 0;
	}
	for (running = procs; running;) {
		if (stop) {
			stop = 0; /* first, so that one that comes now is seen in the next round */
			for (i = 0; i < procs; i++)
				if (pids[i])
					kill(pids[i], SIGTERM);
		}
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			running--;
			failed |= status != 0;
			for (i = 0; i < procs; i++)
				if (pids[i] == pid)
					pids[i] = 0;
		}
		counter_write(argv[4]);
		if (running)
			rmnic_test_pause_ms(50);
	}
	printf("verified=%" PRIu64 " mismatches=%" PRIu64 " bus_errors=%" PRIu64 " io_errors=%" PRIu64 "\n",
	       totals->verified, totals->mismatches, totals->bus_errors, totals->io_errors);
	if (failed) {
		puts("a process of the load did not end by itself");
		return 2;
	}
	return totals->mismatches ? 1 : totals->bus_errors || totals->io_errors ? 3 : 0;
}
