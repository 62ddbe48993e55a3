// SPDX-License-Identifier: BSD-3-Clause
/*
 * pagerload - page a working set larger than the memory in and out, verify every byte, measure
 *
 *   pagerload -m MIB [-n READS] [-w REWRITES] [-s SEED] [-r REPORT] [-l LABEL] [-u FILE] [-x FIFO] [-c WORDS]
 *             [-p CLUSTER]
 *
 * Phases: fill (page-out rate), random reads (page-in latency), random rewrites under a new
 * generation, sequential sweep (page-in rate). Each page's 512 words follow from its number and
 * generation, so a lost, stale, torn or misplaced page cannot pass for the right one.
 *
 * Latency is that of the first touch of a page, counted only where the touch was a major fault
 * (getrusage): mincore() would take a page still in the swap cache for absent or the reverse,
 * the fault counter is the kernel's own word that the page was read from the swap device.
 *
 * With -u reads and rewrites are repeated until FILE is there: the latencies are then those of the last
 * round, but for the slowest page-in, which is that of all rounds. FIFO is opened and closed half way
 * through the first reads: who waits for it may do something to the device then.
 *
 * With -c a page's content is its first WORDS words over and over, so that it can be compressed.
 *
 * With -p there is a second sweep, with vm.page-cluster set to CLUSTER, as it then stays.
 *
 * REPORT takes lines 'say TEXT' and 'data result-LABEL JSON' (default: standard output).
 * Exit: 0 all pages were right and enough of them were paged; 1 not so; 2 wrong use or no swap.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u
#define WORDS (PAGE / 8)
#define LOOK_EVERY 1024u	/* pages between two looks at the clock and at /proc/vmstat */

static struct {
	uint64_t pages, reads, rewrites, seed, distinct;
	const char *label, *until, *half_way, *cluster;
	int report;

	uint64_t *memory;
	uint32_t *generation;
	uint8_t *verified;

	uint32_t *latency_ns;	/* one entry a page-in seen by the random reads */
	uint32_t *local_ns;	/* one entry a touch of a page that was in memory */
	uint64_t latencies, locals;
	uint32_t slowest_ns;
	uint64_t rounds;
	uint64_t mismatches;
	double out_per_s, in_per_s, ahead_per_s;
	double ns_per_tick;
} load = { .pages = 512 * 256, .reads = 20000, .rewrites = 10000, .seed = 1, .distinct = WORDS,
	   .label = "swap", .report = STDOUT_FILENO };

__attribute__((format(printf, 1, 2))) static void report(const char *format, ...)
{
	char line[2048];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (len > 0 && write(load.report, line, len) != len)
		perror("pagerload: report");
}

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	report("say pagerload: %s\n", text);
	exit(2);
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec * 1e-9;
}

/* The guest's clock source may be an emulated timer whose reading costs more than a page-in. */
static uint64_t ticks(void)
{
	__builtin_ia32_lfence();
	return __builtin_ia32_rdtsc();
}

static void ticks_calibrate(void)
{
	double start = now_s(), end;
	uint64_t first = ticks();

	do
		end = now_s();
	while (end - start < 0.1);
	load.ns_per_tick = (end - start) * 1e9 / (double)(ticks() - first);
}

/* A field of /proc/vmstat or /proc/meminfo; these lines are "name value" and "name: value kB". */
static uint64_t proc_field(int fd, const char *name)
{
	char text[16384], *at;
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	if (len <= 0)
		fail("cannot read /proc: %s", strerror(errno));
	text[len] = 0;
	at = strstr(text, name);
	if (!at)
		fail("/proc has no '%s'", name);
	return strtoull(at + strlen(name), NULL, 10);
}

static int vmstat = -1;

/* Both count from the start of this program: a guest runs it on several devices in turn. */
static uint64_t out_before, in_before;

static uint64_t pages_out(void)
{
	return proc_field(vmstat, "\npswpout ") - out_before;
}

static uint64_t pages_in(void)
{
	return proc_field(vmstat, "\npswpin ") - in_before;
}

static uint64_t major_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_majflt;
}

static uint64_t mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static uint64_t random_next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ull;
	return mix(*state);
}

static uint64_t page_seed(uint64_t page)
{
	return mix(load.seed + (page << 24) + load.generation[page]);
}

static void page_fill(uint64_t page)
{
	uint64_t *word = load.memory + page * WORDS, x = page_seed(page);

	for (unsigned i = 0; i < load.distinct; i++) {
		word[i] = x;
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	}
	for (unsigned i = load.distinct; i < WORDS; i++)
		word[i] = word[i - load.distinct];
}

static void page_verify(uint64_t page)
{
	const uint64_t *word = load.memory + page * WORDS;
	uint64_t x = page_seed(page);

	load.verified[page] = 1;
	for (unsigned i = 0; i < WORDS; i++) {
		if (i >= load.distinct)
			x = word[i - load.distinct];
		if (word[i] != x) {
			if (load.mismatches++ < 10)
				report("say MISMATCH on %s: page %" PRIu64 " generation %u word %u: "
				       "%016" PRIx64 " instead of %016" PRIx64 "\n", load.label,
				       page, load.generation[page], i, word[i], x);
			return;
		}
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	}
}

/* A page-in that failed: say which page before dying of it. */
static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	uint64_t page = ((uintptr_t)info->si_addr - (uintptr_t)load.memory) / PAGE;

	(void)context;
	report("say SIGBUS on %s: page %" PRIu64 " could not be read back\n", load.label, page);
	signal(sig, SIG_DFL);
	raise(sig);
}

/* Says how far a phase is, every two seconds at most. */
static void progress(const char *phase, uint64_t done, uint64_t all)
{
	static double last;
	double now = now_s();

	if (now - last < 2 && done != all)
		return;
	last = now;
	report("say %-10s %-11s %3u%%  out %" PRIu64 " in %" PRIu64 "\n", load.label, phase,
	       (unsigned)(all ? done * 100 / all : 100), pages_out(), pages_in());
}

/* The rate counts from the first page-out on: before that, memory was merely being filled. */
static void phase_fill(void)
{
	uint64_t out, first = 0;
	double start = 0;

	for (uint64_t page = 0; page < load.pages; page++) {
		page_fill(page);
		if (page % LOOK_EVERY)
			continue;
		out = pages_out();
		if (!start && out) {
			start = now_s();
			first = out;
		}
		progress("fill", page, load.pages);
	}
	out = pages_out();
	load.out_per_s = start ? (double)(out - first) / (now_s() - start) : 0;
	progress("fill", load.pages, load.pages);
}

/* Who reads the FIFO comes to its end; that nobody does is no reason to wait. */
static void half_way(void)
{
	int fd = load.half_way ? open(load.half_way, O_WRONLY | O_NONBLOCK | O_CLOEXEC) : -1;

	if (load.half_way && fd < 0)
		fail("-x %s: %s", load.half_way, strerror(errno));
	if (fd >= 0)
		close(fd);
	load.half_way = NULL;
}

static void latency_add(uint32_t ns)
{
	load.latency_ns[load.latencies++] = ns;
	if (ns > load.slowest_ns)
		load.slowest_ns = ns;
}

static void phase_random_read(void)
{
	static uint64_t state;
	uint64_t faults = major_faults(), after, start, end, page;

	state += load.seed;
	load.latencies = load.locals = 0;
	for (uint64_t i = 0; i < load.reads; i++) {
		if (i == load.reads / 2)
			half_way();
		page = random_next(&state) % load.pages;
		start = ticks();
		(void)*(volatile uint64_t *)(load.memory + page * WORDS);
		end = ticks();
		after = major_faults();
		if (after != faults)
			latency_add((uint32_t)((double)(end - start) * load.ns_per_tick));
		else
			load.local_ns[load.locals++] = (uint32_t)((double)(end - start) * load.ns_per_tick);
		faults = after;
		page_verify(page);
		if (i % LOOK_EVERY == 0) {
			progress("random read", i, load.reads);
			faults = major_faults();
		}
	}
	progress("random read", load.reads, load.reads);
}

static void phase_random_rewrite(void)
{
	static uint64_t state;
	uint64_t page;

	state += ~load.seed;
	for (uint64_t i = 0; i < load.rewrites; i++) {
		page = random_next(&state) % load.pages;
		page_verify(page);
		load.generation[page]++;
		load.verified[page] = 0;
		page_fill(page);
		if (i % LOOK_EVERY == 0)
			progress("rewrite", i, load.rewrites);
	}
	progress("rewrite", load.rewrites, load.rewrites);
}

static void rounds(void)
{
	do {
		phase_random_read();
		phase_random_rewrite();
		load.rounds++;
	} while (load.until && access(load.until, F_OK));
}

/* Gives pages/s that came in. */
static double phase_sweep(const char *name)
{
	uint64_t before = pages_in();
	double start = now_s(), rate;

	for (uint64_t page = 0; page < load.pages; page++) {
		page_verify(page);
		if (page % LOOK_EVERY == 0)
			progress(name, page, load.pages);
	}
	rate = (double)(pages_in() - before) / (now_s() - start);
	progress(name, load.pages, load.pages);
	return rate;
}

static void phase_sweep_ahead(void)
{
	int fd = open("/proc/sys/vm/page-cluster", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, load.cluster, strlen(load.cluster)) < 0)
		fail("-p %s: /proc/sys/vm/page-cluster: %s", load.cluster, strerror(errno));
	close(fd);
	load.ahead_per_s = phase_sweep("sweep ahead");
}

static int latency_compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double share_us(const uint32_t *sorted_ns, uint64_t count, double share)
{
	uint64_t at = (uint64_t)((double)count * share);

	if (!count)
		return 0;
	return sorted_ns[at < count ? at : count - 1] / 1000.0;
}

static double latency_us(double share)
{
	return share_us(load.latency_ns, load.latencies, share);
}

/* Counts the pages of which the present generation was never read back. */
static uint64_t pages_unverified(void)
{
	uint64_t missing = 0;

	for (uint64_t page = 0; page < load.pages; page++)
		missing += !load.verified[page];
	return missing;
}

static int result_report(uint64_t required)
{
	uint64_t out = pages_out(), in = pages_in(), unverified = pages_unverified();
	int ok = !load.mismatches && !unverified && out >= required && in >= required &&
		 load.latencies >= load.reads / 10;

	qsort(load.latency_ns, load.latencies, sizeof(*load.latency_ns), latency_compare);
	qsort(load.local_ns, load.locals, sizeof(*load.local_ns), latency_compare);
	if (out < required || in < required || load.latencies < load.reads / 10)
		report("say NOT PAGED on %s: %" PRIu64 " out, %" PRIu64 " in, %" PRIu64 " timed; at least %"
		       PRIu64 " had to go out and come back\n", load.label, out, in, load.latencies, required);
	report("data result-%s {\"device\":\"%s\",\"working_set_pages\":%" PRIu64 ",\"pages_out\":%" PRIu64
	       ",\"pages_in\":%" PRIu64 ",\"page_in_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,\"p999\":%.1f,\"max\":%.1f}"
	       ",\"sweep_ahead_pages_per_s\":%.0f,\"local_us\":%.3f,\"page_ins_timed\":%" PRIu64 ",\"rounds\":%" PRIu64 ",\"page_out_pages_per_s\":%.0f,\"page_in_pages_per_s\":%.0f"
	       ",\"mismatches\":%" PRIu64 ",\"unverified\":%" PRIu64 ",\"ok\":%s}\n",
	       load.label, load.label, load.pages, out, in, latency_us(0.5), latency_us(0.9),
	       latency_us(0.99), latency_us(0.999), load.slowest_ns / 1000.0, load.ahead_per_s,
	       share_us(load.local_ns, load.locals, 0.5), load.latencies, load.rounds, load.out_per_s, load.in_per_s,
	       load.mismatches, unverified, ok ? "true" : "false");
	return ok ? 0 : 1;
}

static void *table(uint64_t entries, size_t size)
{
	void *p = calloc(entries ? entries : 1, size);

	if (!p)
		fail("no memory for a table of %" PRIu64 " entries", entries);
	return p;
}

/* How many pages cannot be in memory at once; refuses what would end in the OOM killer. */
static uint64_t setup(void)
{
	int meminfo = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	uint64_t total = proc_field(meminfo, "MemTotal:") / 4;
	uint64_t available = proc_field(meminfo, "MemAvailable:") / 4;
	uint64_t swap = proc_field(meminfo, "SwapFree:") / 4;
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };

	if (load.pages <= total)
		fail("a working set of %" PRIu64 " MiB fits into the memory of %" PRIu64
		     " MiB: nothing would be paged", load.pages / 256, total / 256);
	if (load.pages > swap + available / 2)
		fail("a working set of %" PRIu64 " MiB needs more swap than the %" PRIu64
		     " MiB that are free: is it on (swapon), is the device large enough?",
		     load.pages / 256, swap / 256);
	load.generation = table(load.pages, sizeof(*load.generation));
	load.verified = table(load.pages, sizeof(*load.verified));
	load.latency_ns = table(load.reads, sizeof(*load.latency_ns));
	load.local_ns = table(load.reads, sizeof(*load.local_ns));
	/* Our own tables and code are not to be paged, or their faults would be measured too. */
	if (mlockall(MCL_CURRENT))
		fail("mlockall: %s", strerror(errno));
	load.memory = mmap(NULL, load.pages * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (load.memory == MAP_FAILED)
		fail("mmap of %" PRIu64 " MiB: %s", load.pages / 256, strerror(errno));
	sigaction(SIGBUS, &action, NULL);
	ticks_calibrate();
	return load.pages - total;
}

static uint64_t number(const char *text, char option)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*end || !*text || value > (1ull << 32))
		fail("-%c %s: expected a number from 0 to 4294967296", option, text);
	return value;
}

int main(int argc, char **argv)
{
	uint64_t required;
	int option;

	while ((option = getopt(argc, argv, "m:n:w:s:r:l:u:x:c:p:")) != -1) {
		switch (option) {
		case 'm': load.pages = number(optarg, 'm') * 256; break;
		case 'n': load.reads = number(optarg, 'n'); break;
		case 'w': load.rewrites = number(optarg, 'w'); break;
		case 's': load.seed = number(optarg, 's'); break;
		case 'l': load.label = optarg; break;
		case 'u': load.until = optarg; break;
		case 'c': load.distinct = number(optarg, 'c'); break;
		case 'p': load.cluster = optarg; break;
		case 'x': load.half_way = optarg; break;
		case 'r':
			load.report = open(optarg, O_WRONLY | O_NOCTTY | O_CLOEXEC);
			if (load.report < 0)
				fail("-r %s: %s", optarg, strerror(errno));
			break;
		default: fail("usage: pagerload -m MIB [-n READS] [-w REWRITES] [-s SEED] [-r REPORT] [-l LABEL]"
			      " [-u FILE] [-x FIFO] [-c WORDS] [-p CLUSTER]");
		}
	}
	if (!load.distinct || load.distinct > WORDS)
		fail("-c: a page has 1 to %u words", WORDS);
	vmstat = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	required = setup();
	out_before = pages_out();
	in_before = pages_in();
	phase_fill();
	rounds();
	load.in_per_s = phase_sweep("sweep");
	if (load.cluster)
		phase_sweep_ahead();
	return result_report(required);
}
