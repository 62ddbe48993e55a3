/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peerload - what a page costs when it is kept by an NBD server, Redis or memcached
 *
 *   peerload nbd|redis|memcached ADDRESS PORT PAGES SECONDS DEPTH...
 *
 * All pages are written once; then for each depth pages are read at random for SECONDS, and written
 * at random for SECONDS. Each page that comes back is verified, outside the time that is measured.
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

struct slot {
	enum op op;
	uint64_t page, start;
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
	uint64_t samples, done, wrong;
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

	if (load.samples < SAMPLES_MAX)
		load.sample[load.samples++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
	load.done++;
	if (a->failed || (slot->op == OP_READ && !page_right(slot->page, a->page)))
		load.wrong++;
	load.free[load.nfree++] = s;
}

/* All answers that are here. Of one operation at a time, so the oldest request says what they are. */
static void answers(void)
{
	uint64_t now = now_ns();
	size_t at = 0;

	while (load.pending) {
		uint32_t s = load.order[load.first];
		struct answer a = load.proto->answer(load.in + at, load.nin - at, load.slot[s].op);

		if (!a.used)
			break;
		if (load.proto->tagged && a.tag >= DEPTH_MAX)
			die("an answer to nothing that was asked");
		load.first = (load.first + 1) % DEPTH_MAX;
		load.pending--;
		answered(load.proto->tagged ? (uint32_t)a.tag : s, &a, now);
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

static void report(const char *workload, unsigned int depth, uint64_t ns)
{
	qsort(load.sample, load.samples, sizeof(*load.sample), compare);
	printf("{\"workload\": \"%s\", \"depth\": %u, \"pages\": %llu, \"pages_per_s\": %.0f, \"latency_us\": "
	       "{\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"p999\": %.2f, \"max\": %.2f}, \"mismatches\": %llu}\n",
	       workload, depth, (unsigned long long)load.done, (double)load.done * 1e9 / (double)ns, share_us(0.5),
	       share_us(0.9), share_us(0.99), share_us(0.999), share_us(1), (unsigned long long)load.wrong);
	fflush(stdout);
}

/* ns 0: all pages once, in order. */
static void run(const char *workload, enum op op, unsigned int depth, uint64_t ns)
{
	uint64_t start = now_ns(), next = 0;
	bool more = true;

	load.samples = load.done = load.first = load.nfree = 0;
	for (uint32_t i = 0; i < depth; i++)
		load.free[load.nfree++] = i;
	do {
		more = ns ? now_ns() - start < ns : next < load.pages;
		while (more && load.nfree && (ns || next < load.pages)) {
			/* Not two requests of one page at a time: which is first would be the server's choice. */
			uint64_t page = ns ? random_next() % (load.pages / depth) * depth + load.free[load.nfree - 1] : next++;

			ask(op, page);
		}
		flush();
		if (load.pending) {
			receive();
			answers();
		}
	} while (more || load.pending);
	report(workload, depth, now_ns() - start);
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
	run("fill", OP_WRITE, 16, 0);
	for (int i = 6; i < argc; i++) {
		unsigned int depth = (unsigned int)atoi(argv[i]);

		if (depth < 1 || depth > DEPTH_MAX) {
			fprintf(stderr, "peerload: depth %s: 1 to %u\n", argv[i], DEPTH_MAX);
			return 2;
		}
		run("in-rand", OP_READ, depth, (uint64_t)(seconds * 1e9));
		run("out-rand", OP_WRITE, depth, (uint64_t)(seconds * 1e9));
	}
	return load.wrong ? 1 : 0;
}
