// SPDX-License-Identifier: BSD-3-Clause
/*
 * pagermix - several threads that read and write pages of a working set larger than the memory
 *
 *   pagermix -m MIB [-t THREADS] [-b THREADS] [-w PERCENT] [-s SECONDS] [-c WORDS] [-r REPORT] [-l LABEL] [-k WORKLOAD]
 *
 * Each thread has a part of the working set of its own. -t threads touch pages of theirs at random: a
 * write (-w percent, default 0) gives the page new content, a read verifies it. -b threads drop and write
 * page after page: a burst of page-outs, and of no page-ins, beside the others. Latency is that of touches that were major
 * faults of threads of -t. With -c a page's content is its first WORDS words over and over.
 *
 * REPORT takes one line 'data mix-LABEL JSON'. Exit: 0 all pages were right, 1 not so, 2 wrong use.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PAGE	    4096u
#define WORDS	    (PAGE / 8)
#define THREADS_MAX 16u
#define SAMPLES_MAX (1u << 18)

struct worker {
	pthread_t thread;
	unsigned int index;
	int bursts;
	uint64_t *memory, pages, random, touches, wrong;
	uint8_t *generation;
	uint32_t *sample;
	uint32_t samples;
};

static struct {
	uint64_t pages, distinct;
	unsigned int threads, bursts, writes, seconds;
	const char *label, *workload;
	int report;
	atomic_bool stop;
	pthread_barrier_t filled;
	double ns_per_tick;
	struct worker worker[2 * THREADS_MAX];
} mix = { .distinct = WORDS, .threads = 1, .seconds = 3, .label = "swap", .workload = "read", .report = STDOUT_FILENO };

__attribute__((noreturn)) static void fail(const char *text)
{
	dprintf(mix.report, "say pagermix: %s\n", text);
	exit(2);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
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
	mix.ns_per_tick = (end - start) * 1e9 / (double)(ticks() - first);
}

static uint64_t vmstat(const char *name)
{
	char text[16384], *at;
	int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (len <= 0)
		fail("/proc/vmstat cannot be read");
	close(fd);
	text[len] = 0;
	at = strstr(text, name);
	if (!at)
		fail("/proc/vmstat has no such field");
	return strtoull(at + strlen(name), NULL, 10);
}

static uint64_t random_next(struct worker *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	return w->random ^= w->random << 17;
}

static uint64_t seed_of(const struct worker *w, uint64_t page)
{
	return ((uint64_t)w->index << 48 | page << 8 | w->generation[page]) * 0x9e3779b97f4a7c15ull + 1;
}

static void page_fill(struct worker *w, uint64_t page)
{
	uint64_t *word = w->memory + page * WORDS, x = seed_of(w, page);

	for (uint64_t i = 0; i < WORDS; i++) {
		word[i] = i < mix.distinct ? x : word[i - mix.distinct];
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	}
}

static void page_verify(struct worker *w, uint64_t page)
{
	const uint64_t *word = w->memory + page * WORDS;
	uint64_t x = seed_of(w, page);

	for (uint64_t i = 0; i < WORDS; i++) {
		if (word[i] != (i < mix.distinct ? x : word[i - mix.distinct])) {
			if (!w->wrong++)
				dprintf(mix.report, "say MISMATCH on %s: page %" PRIu64 " of thread %u word %" PRIu64 "\n",
					mix.label, page, w->index, i);
			return;
		}
		x = x * 6364136223846793005ull + 1442695040888963407ull;
	}
}

static long faults_of_thread(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);
	return usage.ru_majflt;
}

static void touch(struct worker *w)
{
	uint64_t page = random_next(w) % w->pages, start, end;
	long before = faults_of_thread();

	start = ticks();
	(void)*(volatile uint64_t *)(w->memory + page * WORDS);
	end = ticks();
	if (faults_of_thread() != before && w->samples < SAMPLES_MAX)
		w->sample[w->samples++] = (uint32_t)((double)(end - start) * mix.ns_per_tick);
	page_verify(w, page);
	if (random_next(w) % 100 < mix.writes) {
		w->generation[page]++;
		page_fill(w, page);
	}
	w->touches++;
}

static void *run(void *arg)
{
	struct worker *w = arg;

	for (uint64_t page = 0; page < w->pages; page++)
		page_fill(w, page);
	pthread_barrier_wait(&mix.filled);
	for (uint64_t page = 0; !atomic_load_explicit(&mix.stop, memory_order_relaxed); page = (page + 1) % w->pages) {
		if (!w->bursts) {
			touch(w);
			continue;
		}
		/* Without the old content it need not come in first. */
		madvise(w->memory + page * WORDS, PAGE, MADV_DONTNEED);
		page_fill(w, page);
	}
	return NULL;
}

static void *table(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		fail("no memory");
	return p;
}

static void workers_start(void)
{
	unsigned int count = mix.threads + mix.bursts;

	pthread_barrier_init(&mix.filled, NULL, count + 1);
	for (unsigned int i = 0; i < count; i++) {
		struct worker *w = &mix.worker[i];

		w->index = i;
		w->bursts = i >= mix.threads;
		w->pages = mix.pages / count;
		w->random = 0x9e3779b97f4a7c15ull * (i + 1);
		w->generation = table(w->pages);
		w->sample = table(SAMPLES_MAX * sizeof(*w->sample));
		/* Our own tables are not to be paged, or their faults would be measured too. */
		if (mlock(w->generation, w->pages) || mlock(w->sample, SAMPLES_MAX * sizeof(*w->sample)))
			fail("mlock");
		w->memory = table(w->pages * PAGE);
		if (pthread_create(&w->thread, NULL, run, w))
			fail("no thread");
	}
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int result_report(double seconds, uint64_t in, uint64_t out)
{
	uint32_t *all = table((uint64_t)mix.threads * SAMPLES_MAX * sizeof(*all));
	uint64_t n = 0, wrong = 0, touches = 0;
	double us[5], share[5] = { 0.5, 0.9, 0.99, 0.999, 1 };

	for (unsigned int i = 0; i < mix.threads + mix.bursts; i++) {
		struct worker *w = &mix.worker[i];

		memcpy(all + n, w->sample, w->samples * sizeof(*all));
		n += w->samples;
		wrong += w->wrong;
		touches += w->touches;
	}
	qsort(all, n, sizeof(*all), compare);
	for (int i = 0; i < 5; i++) {
		uint64_t at = (uint64_t)((double)n * share[i]);

		us[i] = n ? all[at < n ? at : n - 1] / 1000.0 : 0;
	}
	dprintf(mix.report, "data mix-%s {\"workload\":\"%s\",\"threads\":%u,\"page_in_us\":{\"p50\":%.1f,\"p90\":%.1f,\"p99\":%.1f,"
			    "\"p999\":%.1f,\"max\":%.1f},\"page_ins_timed\":%" PRIu64 ",\"touches_per_s\":%.0f,"
			    "\"page_in_pages_per_s\":%.0f,\"page_out_pages_per_s\":%.0f,\"mismatches\":%" PRIu64 "}\n",
		mix.label, mix.workload, mix.threads, us[0], us[1], us[2], us[3], us[4], n, (double)touches / seconds,
		(double)in / seconds, (double)out / seconds, wrong);
	return wrong || !n ? 1 : 0;
}

static void options(int argc, char **argv)
{
	int option;

	while ((option = getopt(argc, argv, "m:t:b:w:s:c:r:l:k:")) != -1) {
		switch (option) {
		case 'm': mix.pages = strtoull(optarg, NULL, 10) * 256; break;
		case 't': mix.threads = (unsigned int)atoi(optarg); break;
		case 'b': mix.bursts = (unsigned int)atoi(optarg); break;
		case 'w': mix.writes = (unsigned int)atoi(optarg); break;
		case 's': mix.seconds = (unsigned int)atoi(optarg); break;
		case 'c': mix.distinct = strtoull(optarg, NULL, 10); break;
		case 'l': mix.label = optarg; break;
		case 'k': mix.workload = optarg; break;
		case 'r': mix.report = open(optarg, O_WRONLY | O_NOCTTY | O_CLOEXEC); break;
		default: fail("wrong option");
		}
	}
	if (mix.report < 0)
		exit(2);
	if (!mix.pages || !mix.threads || mix.threads > THREADS_MAX || mix.bursts > THREADS_MAX || !mix.distinct ||
	    mix.distinct > WORDS || !mix.seconds)
		fail("-m MIB, -t and -b up to 16 threads, -c up to 512 words, -s SECONDS");
}

int main(int argc, char **argv)
{
	uint64_t in, out;
	double start, seconds;

	options(argc, argv);
	ticks_calibrate();
	workers_start();
	pthread_barrier_wait(&mix.filled);
	in = vmstat("\npswpin ");
	out = vmstat("\npswpout ");
	start = now_s();
	sleep(mix.seconds); /* the measurement: time has to pass */
	in = vmstat("\npswpin ") - in;
	out = vmstat("\npswpout ") - out;
	seconds = now_s() - start;
	atomic_store(&mix.stop, true);
	for (unsigned int i = 0; i < mix.threads + mix.bursts; i++)
		pthread_join(mix.worker[i].thread, NULL);
	return result_report(seconds, in, out);
}
