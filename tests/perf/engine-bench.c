/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine-bench - what a page costs in the engine: page-out and random page-in over a local
 * store, through the rings, beside a bare memcpy of the same pages.
 *
 * usage: engine-bench [--recorded] [MIB]   (1024: size of the store)
 * --recorded: with a state block, where every command in flight is written down.
 * Prints one line of JSON for each measurement.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "engine/device.h"
#include "engine/state_block.h"
#include "engine/store_local.h"
#include "rmnic/ring.h"

#define DEPTH 64u
#define GUEST (256u * 4096)
#define HUGE  (UINT64_C(2) << 20)
#define DATA  (128u * 4096) /* guest address of the pages that are moved */

static uint8_t *guest;
static uint64_t npages;

static bool map(void *host, uint64_t addr, uint32_t len, bool write, struct rmnic_mapping *out)
{
	(void)host;
	if (addr >= GUEST || len > GUEST - addr)
		return false;
	*out = (struct rmnic_mapping){ .ptr = guest + addr, .addr = addr, .len = len, .write = write };
	return true;
}

static void unmap(void *host, struct rmnic_mapping *m, uint32_t written)
{
	(void)host;
	(void)m;
	(void)written;
}

static void written(void *host, const struct rmnic_mapping *m, uint32_t offset, uint32_t len)
{
	(void)host;
	(void)m;
	(void)offset;
	(void)len;
}

static void irq(void *host, uint16_t vector)
{
	(void)host;
	(void)vector;
}

static uint64_t now_ns(void *host)
{
	struct timespec ts;

	(void)host;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* What this thread has used: other load on the machine does not count. */
static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static void membarrier(void *host)
{
	(void)host;
}

static void refused(void *host, enum rmnic_refusal why, uint16_t qid, uint16_t cid, uint64_t value)
{
	(void)host;
	fprintf(stderr, "engine-bench: refused: %s, pair %u, cid %u, value %#llx\n",
		rmnic_refusal_names[why], qid, cid, (unsigned long long)value);
	exit(1);
}

static void fatal(void *host, uint32_t error)
{
	(void)host;
	fprintf(stderr, "engine-bench: fatal error %u\n", error);
	exit(1);
}

static const struct rmnic_host_ops ops = {
	.map = map,
	.unmap = unmap,
	.written = written,
	.irq = irq,
	.now_ns = now_ns,
	.membarrier = membarrier,
	.refused = refused,
	.fatal = fatal,
};

struct pair {
	uint32_t tail, head;
	struct rmnic_sqe *sq;
	struct rmnic_cqe *cq;
	struct rmnic_dbrec *rec;
};

static struct pair pair_at(uint64_t addr)
{
	return (struct pair){
		.sq = (void *)(guest + addr),
		.cq = (void *)(guest + addr + 4096),
		.rec = (void *)(guest + addr + 8192),
	};
}

static void run(struct rmnic_dev *dev, struct pair *p, uint32_t n)
{
	__atomic_store_n(&p->rec->sq_tail, p->tail, __ATOMIC_RELEASE);
	while (n) {
		rmnic_dev_poll(dev);
		while (n) {
			const struct rmnic_cqe *cqe = &p->cq[p->head % DEPTH];

			if ((__atomic_load_n(&cqe->phase, __ATOMIC_ACQUIRE) & 1) !=
			    rmnic_ring_phase(p->head, DEPTH))
				break;
			if (cqe->status != RMNIC_SC_OK) {
				fprintf(stderr, "engine-bench: status %#x\n", cqe->status);
				exit(1);
			}
			p->head++;
			n--;
		}
		__atomic_store_n(&p->rec->cq_head, p->head, __ATOMIC_RELEASE);
	}
}

static struct pair create(struct rmnic_dev *dev, struct pair *aq, uint16_t qid, uint8_t qclass)
{
	uint64_t addr = qid * 3u * 4096;
	struct rmnic_admin_sqe sqe = {
		.opcode = RMNIC_OP_CREATE_QP, .qid = qid, .vector = RMNIC_NO_VECTOR,
		.sq_addr = addr, .cq_addr = addr + 4096, .rec_addr = addr + 8192,
		.depth = DEPTH, .qclass = qclass,
	};

	memcpy(&aq->sq[aq->tail++ % DEPTH], &sqe, sizeof(sqe));
	run(dev, aq, 1);
	return pair_at(addr);
}

static uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

struct stopwatch {
	uint64_t wall, cpu;
};

static struct stopwatch start_watch(void)
{
	return (struct stopwatch){ now_ns(NULL), cpu_ns() };
}

static void report(const char *what, uint32_t batch, uint64_t pages, struct stopwatch start)
{
	double wall = (double)(now_ns(NULL) - start.wall), cpu = (double)(cpu_ns() - start.cpu);

	printf("{\"what\": \"%s\", \"batch\": %u, \"pages\": %llu, \"ns_per_page\": %.0f, "
	       "\"cpu_ns_per_page\": %.0f, \"pages_per_s\": %.0f}\n",
	       what, batch, (unsigned long long)pages, wall / (double)pages, cpu / (double)pages,
	       (double)pages * 1e9 / wall);
}

static void measure(struct rmnic_dev *dev, struct pair *p, uint8_t opcode, uint32_t batch,
		    uint64_t total, bool random)
{
	struct stopwatch start = start_watch();
	uint64_t seed = 88172645463325252ull;

	for (uint64_t i = 0; i < total; i += batch) {
		for (uint32_t k = 0; k < batch; k++) {
			uint64_t rpn = random ? random_next(&seed) % npages : (i + k) % npages;
			uint64_t addr = DATA + (i + k) % 64 * 4096;

			if (opcode == RMNIC_OP_PAGE_OUT)
				*(uint64_t *)(guest + addr) = rpn * 2654435761u;
			p->sq[p->tail++ % DEPTH] = (struct rmnic_sqe){
				.opcode = opcode, .cid = (uint16_t)k, .npages = 1, .rpn = rpn,
				.addr = addr,
			};
		}
		run(dev, p, batch);
	}
	report(opcode == RMNIC_OP_PAGE_OUT ? "page-out" : "page-in", batch, total, start);
}

static void measure_memcpy(const uint8_t *pages, uint64_t total)
{
	struct stopwatch start = start_watch();
	uint64_t seed = 88172645463325252ull;

	for (uint64_t i = 0; i < total; i++)
		memcpy(guest + DATA + i % 64 * 4096, pages + random_next(&seed) % npages * 4096, 4096);
	report("memcpy", 1, total, start);
}

/* On huge pages where the system has some to give, as QEMU's own memory is. */
static void *memory(uint64_t bytes)
{
	void *p = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("engine-bench: mmap");
		exit(1);
	}
	p = (void *)(((uintptr_t)p + HUGE - 1) / HUGE * HUGE);
	if (madvise(p, bytes, MADV_HUGEPAGE))
		perror("engine-bench: no huge pages: madvise");
	return p;
}

/* A state block of the device's shape. */
static struct rmnic_state_block *recorded(const struct rmnic_dev_config *c)
{
	const struct rmnic_state_shape shape = {
		.pages = c->max_capacity, .slab_pages = c->slab_pages, .epoch = 1,
		.queues = c->max_qpairs + 1u, .depth = c->max_depth,
	};
	static struct rmnic_state_block block;
	uint64_t size = rmnic_state_size(&shape);
	void *state = memory(size);
	const char *why;

	rmnic_state_format(state, &shape);
	why = rmnic_state_attach(&block, state, size, c->uuid);
	if (why) {
		fprintf(stderr, "engine-bench: %s\n", why);
		exit(1);
	}
	return &block;
}

int main(int argc, char **argv)
{
	const struct rmnic_dev_enabling enabling = {
		.aq_cq = 4096, .aq_rec = 8192, .aq_depth = DEPTH, .generation = 1,
	};
	bool record = argc > 1 && !strcmp(argv[1], "--recorded");
	struct rmnic_dev_config c = {
		.ops = &ops, .max_qpairs = 2, .max_depth = DEPTH, .vectors = 1, .slab_pages = 64,
	};
	struct rmnic_local_blocks blocks = { .granule = 4096 };
	uint64_t mib = argc > 1 + record ? strtoull(argv[1 + record], NULL, 10) : 1024;
	struct pair aq, out, in;
	struct rmnic_dev *dev;

	if (argc > 2 + record || mib == 0 || mib > 1u << 20) {
		fprintf(stderr, "usage: engine-bench [--recorded] [MIB]   (1 to 1048576)\n");
		return 2;
	}
	npages = mib * 256;
	guest = memory(GUEST);
	for (uint32_t i = 0; i < GUEST - DATA; i++)
		guest[DATA + i] = (uint8_t)(i * 31 + i / 4096);
	blocks.pages = memory(npages * 4096);
	blocks.meta = memory(npages * sizeof(struct rmnic_meta));
	blocks.npages = npages;
	c.capacity = c.max_capacity = npages;
	if (record)
		c.block = recorded(&c);
	c.store = rmnic_store_local_create(&blocks, c.uuid);
	dev = c.store ? rmnic_dev_create(&c) : NULL;
	if (!dev || rmnic_dev_enable_recorded(dev, &enabling) != RMNIC_ERR_NONE) {
		fprintf(stderr, "engine-bench: no device\n");
		return 1;
	}
	aq = pair_at(0);
	out = create(dev, &aq, 1, RMNIC_CLASS_PAGE_OUT);
	in = create(dev, &aq, 2, RMNIC_CLASS_PAGE_IN);
	measure(dev, &out, RMNIC_OP_PAGE_OUT, 16, npages, false); /* first touch of the store */
	measure(dev, &out, RMNIC_OP_PAGE_OUT, 16, npages, false);
	measure_memcpy(blocks.pages, 2 * npages);
	measure(dev, &in, RMNIC_OP_PAGE_IN, 1, 2 * npages, true);
	measure(dev, &in, RMNIC_OP_PAGE_IN, 16, 2 * npages, true);
	rmnic_dev_destroy(dev);
	rmnic_store_local_destroy(c.store);
	return 0;
}
