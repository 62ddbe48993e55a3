/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peerload - what a page costs when it is kept by an NBD server, Redis or memcached
 *
 *   peerload nbd|redis|memcached ADDRESS PORT PAGES SECONDS DEPTH...
 *
 * All pages are written once; then for each depth pages are read at random for SECONDS, and written
 * at random for SECONDS; with a depth of SEQ_DEPTH also in order, and at random, 70 reads to 30 writes. Each page that comes back is verified, outside the time that is measured.
 * It waits for answers as rmnic-bench does: it spins for 50 us, then it sleeps.
 * Prints a line of JSON for each measurement. Exit: 0, or 1 when a page was wrong or refused.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto.h"

#define DEPTH_MAX   256u
#define SPIN_NS     50000ull
#define SAMPLES_MAX (1u << 22)
#define WORDS       (PAGE / 8)
#define SEQ_DEPTH   16u
#define READS       70u  /* percent of the mix */

struct slot {
	enum op op;
	uint64_t page, start;
};

struct workload {
	const char *name;
	unsigned int reads; /* percent */
	bool in_order;
};

static struct {
	const struct proto *proto;
	int fd;
	uint64_t pages;
	uint8_t *generation;
	struct slot slot[DEPTH_MAX];
	uint32_t free[DEPTH_MAX], nfree;
	uint32_t order[DEPTH_MAX], first, pending; /* slots in the order of their requests */
	uint8_t in[DEPTH_MAX * ANSWER_MAX], out[DEPTH_MAX * REQUEST_MAX];
	size_t nin, nout;
	uint32_t *sample;
	const struct workload *workload;
	uint64_t samples, done, reads, wrong, at; /* at: the next page in order */
} load;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t random_next(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15ull;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static uint64_t word_first(uint64_t page)
{
	return (page << 8 | load.generation[page]) * 0x9e3779b97f4a7c15ull + 1;
}

static void page_fill(uint64_t page, uint64_t *word)
{
	uint64_t x = word_first(page);

	for (unsigned int i = 0; i < WORDS; i++, x = x * 6364136223846793005ull + 1)
		word[i] = x;
}

static bool page_right(uint64_t page, const uint8_t *data)
{
	uint64_t word[WORDS];

	page_fill(page, word);
	return memcmp(word, data, PAGE) == 0;
}

static void ask(enum op op, uint64_t page)
{
	uint32_t s = load.free[--load.nfree];
	uint64_t word[WORDS];

	if (op == OP_WRITE) {
		load.generation[page]++;
		page_fill(page, word);
	}
	load.nout += load.proto->request(load.out + load.nout, op, page, s, (const uint8_t *)word);
	load.order[(load.first + load.pending++) % DEPTH_MAX] = s;
	load.slot[s] = (struct slot){ op, page, now_ns() };
}

static void die(const char *what)
{
	fprintf(stderr, "peerload: %s: %s: %s\n", load.proto->name, what, errno ? strerror(errno) : "no reason given");
	exit(1);
}

static void flush(void)
{
	size_t at = 0;

	while (at < load.nout) {
		ssize_t n = send(load.fd, load.out + at, load.nout - at, MSG_NOSIGNAL);

		if (n < 0)
			die("the connection is lost");
		at += (size_t)n;
	}
	load.nout = 0;
}

static void receive(void)
{
	uint64_t until = now_ns() + SPIN_NS;
	int flags = MSG_DONTWAIT;

	for (;;) {
		ssize_t n = recv(load.fd, load.in + load.nin, sizeof(load.in) - load.nin, flags);

		if (n > 0) {
			load.nin += (size_t)n;
			return;
		}
		if (n == 0)
			errno = 0;
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			die("the connection is lost");
		if (now_ns() >= until)
			flags = 0;
	}
}

static void answered(uint32_t s, const struct answer *a, uint64_t now)
{
	const struct slot *slot = &load.slot[s];
	uint64_t took = now - slot->start;

	/* A mix is known by its reads. */
	if ((slot->op == OP_READ || !load.workload->reads) && load.samples < SAMPLES_MAX)
		load.sample[load.samples++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	load.done++;
	load.reads += slot->op == OP_READ;
	if (a->failed || (slot->op == OP_READ && !page_right(slot->page, a->page)))
		load.wrong++;
	load.free[load.nfree++] = s;
}

/* All answers that are here. */
static void answers(void)
{
	uint64_t now = now_ns();
	size_t at = 0;

	while (load.pending) {
		int64_t tag = load.proto->tag ? load.proto->tag(load.in + at, load.nin - at) : load.order[load.first];
		uint32_t s = (uint32_t)tag;
		struct answer a;

		if (tag < 0)
			break;
		errno = 0;
		if (tag >= DEPTH_MAX)
			die("an answer to nothing that was asked");
		a = load.proto->answer(load.in + at, load.nin - at, load.slot[s].op);
		if (!a.used)
			break;
		load.first = (load.first + 1) % DEPTH_MAX;
		load.pending--;
		answered(s, &a, now);
		at += a.used;
	}
	memmove(load.in, load.in + at, load.nin - at);
	load.nin -= at;
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static double share_us(double share)
{
	uint64_t at = (uint64_t)((double)load.samples * share);

	return load.sample[at < load.samples ? at : load.samples - 1] / 1000.0;
}

static void report(unsigned int depth, uint64_t ns)
{
	double seconds = (double)ns / 1e9;

	qsort(load.sample, load.samples, sizeof(*load.sample), compare);
	printf("{\"workload\": \"%s\", \"depth\": %u, \"pages\": %llu, \"pages_in_per_s\": %.0f, \"pages_out_per_s\": %.0f, \"latency_us\": "
	       "{\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"p999\": %.2f, \"max\": %.2f}, \"mismatches\": %llu}\n",
	       load.workload->name, depth, (unsigned long long)load.done, (double)load.reads / seconds,
	       (double)(load.done - load.reads) / seconds, share_us(0.5), share_us(0.9), share_us(0.99), share_us(0.999),
	       share_us(1), (unsigned long long)load.wrong);
	fflush(stdout);
}

/* Not two requests of one page at a time: which is first would be the server's choice. */
static uint64_t page_next(const struct workload *w, unsigned int depth)
{
	if (w->in_order)
		return load.at++ % load.pages;
	return random_next() % (load.pages / depth) * depth + load.free[load.nfree - 1];
}

/* ns 0: all pages once, in order. */
static void run(const struct workload *w, unsigned int depth, uint64_t ns)
{
	uint64_t start = now_ns();
	bool more = true;

	load.samples = load.done = load.reads = load.first = load.nfree = load.at = 0;
	load.workload = w;
	for (uint32_t i = 0; i < depth; i++)
		load.free[load.nfree++] = i;
	do {
		more = ns ? now_ns() - start < ns : load.at < load.pages;
		while (more && load.nfree && (ns || load.at < load.pages)) {
			/* The page goes by the slot that is taken, so it is chosen first. */
			uint64_t page = page_next(w, depth);

			ask(random_next() % 100 < w->reads ? OP_READ : OP_WRITE, page);
		}
		flush();
		if (load.pending) {
			receive();
			answers();
		}
	} while (more || load.pending);
	report(depth, now_ns() - start);
}

static void runs(unsigned int depth, uint64_t ns)
{
	static const struct workload all[] = { { "in-rand", 100, false }, { "out-rand", 0, false }, { "in-seq", 100, true },
					       { "out-seq", 0, true }, { "mix", READS, false } };

	for (unsigned int i = 0; i < (depth == SEQ_DEPTH ? 5 : 2); i++)
		run(&all[i], depth, ns);
}

static int server_connect(const char *address, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	int one = 1;

	load.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (load.fd < 0 || inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
	    connect(load.fd, (struct sockaddr *)&to, sizeof(to))) {
		fprintf(stderr, "peerload: %s:%d: %s\n", address, port, strerror(errno));
		return -1;
	}
	setsockopt(load.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return load.proto->greet(load.fd, load.pages);
}

int main(int argc, char **argv)
{
	const struct proto *const all[] = { &proto_nbd, &proto_redis, &proto_memcached };
	double seconds = argc > 5 ? atof(argv[5]) : 0;

	for (unsigned int i = 0; argc > 6 && i < 3; i++)
		if (!strcmp(argv[1], all[i]->name))
			load.proto = all[i];
	load.pages = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
	if (!load.proto || load.pages < DEPTH_MAX || seconds <= 0) {
		fprintf(stderr, "usage: peerload nbd|redis|memcached ADDRESS PORT PAGES SECONDS DEPTH...\n");
		return 2;
	}
	load.generation = calloc(load.pages, 1);
	load.sample = malloc(SAMPLES_MAX * sizeof(*load.sample));
	if (!load.generation || !load.sample || server_connect(argv[2], atoi(argv[3])))
		return 1;
	run(&(struct workload){ "fill", 0, true }, 16, 0);
	for (int i = 6; i < argc; i++) {
		unsigned int depth = (unsigned int)atoi(argv[i]);

		if (depth < 1 || depth > DEPTH_MAX) {
			fprintf(stderr, "peerload: depth %s: 1 to %u\n", argv[i], DEPTH_MAX);
			return 2;
		}
		runs(depth, (uint64_t)(seconds * 1e9));
	}
	return load.wrong ? 1 : 0;
}
