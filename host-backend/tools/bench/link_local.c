/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The queue engine with a local store, polled from the generator's own loop: what paging costs
 * without a network and without another process.
 */
#include "tools/bench/link.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "engine/device.h"
#include "engine/le.h"
#include "engine/store_local.h"

struct local {
	struct bench_link link;
	const struct bench_guest *guest;
	struct rmnic_local_blocks blocks;
	struct rmnic_store *store;
	struct rmnic_dev *dev;
	uint32_t fatal;
};

/* --- What the engine asks of its host ------------------------------------------------------------ */

static bool host_map(void *host, uint64_t addr, uint32_t len, bool write,
		     struct rmnic_mapping *out)
{
	struct local *local = host;

	if (addr < BENCH_GUEST_BASE || addr - BENCH_GUEST_BASE > local->guest->size ||
	    len > local->guest->size - (addr - BENCH_GUEST_BASE))
		return false;
	*out = (struct rmnic_mapping){
		.ptr = bench_guest_at(local->guest, addr),
		.addr = addr,
		.len = len,
		.write = write,
	};
	return true;
}

static void host_unmap(void *host, struct rmnic_mapping *mapping, uint32_t written)
{
	(void)host;
	(void)mapping;
	(void)written;
}

static void host_written(void *host, const struct rmnic_mapping *mapping, uint32_t offset,
			 uint32_t len)
{
	(void)host;
	(void)mapping;
	(void)offset;
	(void)len;
}

/* The generator looks at its queues by itself. */
static void host_irq(void *host, uint16_t vector)
{
	(void)host;
	(void)vector;
}

static uint64_t host_now(void *host)
{
	struct timespec now;

	(void)host;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void host_membarrier(void *host)
{
	(void)host;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void host_refused(void *host, enum rmnic_refusal why, uint16_t qid, uint16_t cid,
			 uint64_t value)
{
	(void)host;
	(void)why;
	(void)qid;
	(void)cid;
	(void)value;
}

static void host_fatal(void *host, uint32_t error)
{
	((struct local *)host)->fatal = error;
}

static const struct rmnic_host_ops host_ops = {
	.map = host_map,
	.unmap = host_unmap,
	.written = host_written,
	.irq = host_irq,
	.now_ns = host_now,
	.membarrier = host_membarrier,
	.refused = host_refused,
	.fatal = host_fatal,
};

/* --- The store's blocks --------------------------------------------------------------------------- */

static void dirty(void *owner, uint64_t offset, uint64_t len)
{
	(void)owner;
	(void)offset;
	(void)len;
}

static bool discard(void *owner, uint64_t offset, uint64_t len)
{
	struct local *local = owner;

	return madvise(local->blocks.pages + offset, len, MADV_DONTNEED) == 0;
}

static void *block(uint64_t bytes)
{
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return map == MAP_FAILED ? NULL : map;
}

/* --- The link --------------------------------------------------------------------------------------- */

static int local_enable(struct bench_link *link, const struct bench_enabling *e,
			struct rmnic_error *err)
{
	struct local *local = (struct local *)link;
	uint32_t error = rmnic_dev_enable(local->dev, e->features, e->depth, e->sq, e->cq, e->rec);

	return error ? rmnic_error_set(err, "the engine refused to be enabled: error %u", error) : 0;
}

static void local_kick(struct bench_link *link)
{
	rmnic_dev_doorbell(((struct local *)link)->dev);
}

static bool local_turn(struct bench_link *link)
{
	struct local *local = (struct local *)link;

	rmnic_dev_poll(local->dev);
	return !local->fatal;
}

static int local_stats(struct bench_link *link, struct rmnic_stats *out, struct rmnic_error *err)
{
	struct local *local = (struct local *)link;
	const struct rmnic_counters *c = rmnic_dev_counters(local->dev);
	struct rmnic_store_counters store;

	(void)err;
	local->store->ops->counters(local->store, &store);
	*out = (struct rmnic_stats){
		.pages_out = rmnic_le64_put(c->pages_out),
		.pages_in = rmnic_le64_put(c->pages_in),
		.pages_freed = rmnic_le64_put(c->pages_freed),
		.pages_stored = rmnic_le64_put(store.stored),
		.doorbells = rmnic_le64_put(c->doorbells),
	};
	return 0;
}

static void local_close(struct bench_link *link)
{
	struct local *local = (struct local *)link;

	if (local->dev) {
		rmnic_dev_disable(local->dev);
		rmnic_dev_destroy(local->dev);
	}
	rmnic_store_local_destroy(local->store);
	if (local->blocks.pages)
		munmap(local->blocks.pages, local->blocks.npages * RMNIC_PAGE_SIZE);
	if (local->blocks.meta)
		munmap(local->blocks.meta, local->blocks.npages * sizeof(struct rmnic_meta));
	free(local);
}

static const struct bench_link_ops local_ops = {
	.enable = local_enable,
	.kick = local_kick,
	.turn = local_turn,
	.stats = local_stats,
	.close = local_close,
};

struct bench_link *bench_link_local(const struct bench_shape *shape,
				    const struct bench_guest *guest, struct rmnic_error *err)
{
	struct local *local = calloc(1, sizeof(*local));
	struct rmnic_dev_config config = {
		.ops = &host_ops,
		.host = local,
		.max_qpairs = shape->max_qpairs,
		.max_depth = shape->max_depth,
		.vectors = shape->vectors,
		.slab_pages = shape->slab_pages,
		.capacity = shape->capacity,
		.max_capacity = shape->capacity,
		.features = RMNIC_F_SAME_FILLED,
		.serial = "bench",
		.firmware = "rmnic-bench",
	};

	if (!local)
		goto no_memory;
	local->link = (struct bench_link){ .ops = &local_ops, .kind = "local", .backend = "this process",
					   .features = config.features };
	local->guest = guest;
	memcpy(config.uuid, shape->uuid, 16);
	local->blocks = (struct rmnic_local_blocks){
		.pages = block(shape->capacity * RMNIC_PAGE_SIZE),
		.meta = block(shape->capacity * sizeof(struct rmnic_meta)),
		.npages = shape->capacity,
		.granule = RMNIC_PAGE_SIZE,
		.owner = local,
		.pages_dirty = dirty,
		.meta_dirty = dirty,
		.discard = discard,
	};
	if (!local->blocks.pages || !local->blocks.meta)
		goto no_memory;
	local->store = rmnic_store_local_create(&local->blocks, shape->uuid);
	config.store = local->store;
	local->dev = local->store ? rmnic_dev_create(&config) : NULL;
	if (local->dev)
		return &local->link;
no_memory:
	rmnic_error_set(err, "a local store of %llu pages does not fit into memory",
			(unsigned long long)shape->capacity);
	if (local)
		local_close(&local->link);
	return NULL;
}
