/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

/* A store between the engine and the real one, that knows what each page must hold. */
static struct shim {
	struct rmnic_store store;
	uint8_t model[PAGES][4096];
	uint8_t before[4096];
} shim;

struct world world;

static struct rmnic_host_ops ops;
static struct rmnic_local_blocks blocks;
static uint32_t in_flight[PAIRS][65536]; /* by pair and cid */

/* --- The host's side ----------------------------------------------------------------------- */

static void hook(struct fake *fake, enum fake_point point, const struct rmnic_mapping *m,
		 uint32_t offset)
{
	(void)point;
	(void)m;
	(void)offset;
	if (world.mutate_after && !--world.mutate_after)
		memcpy(fake->ram + world.mutate_offset, &world.mutate_value, 8);
}

static void count_fetched(void *opaque, uint16_t qid, uint16_t cid, uint8_t opcode, uint64_t rpn,
			  uint32_t npages)
{
	(void)opaque;
	(void)opcode;
	(void)rpn;
	(void)npages;
	CHECK(qid < PAIRS);
	in_flight[qid][cid]++;
	world.outstanding++;
}

static void count_completed(void *opaque, uint16_t qid, uint16_t cid, uint16_t status,
			    uint64_t latency)
{
	(void)opaque;
	(void)status;
	(void)latency;
	CHECK(qid < PAIRS);
	CHECK(in_flight[qid][cid] > 0);
	in_flight[qid][cid]--;
	world.outstanding--;
}

void world_check_off(void)
{
	CHECK(world.host.mapped == 0);
	CHECK(world.slow.pending == 0);
	if (world.outstanding)
		memset(in_flight, 0, sizeof(in_flight));
	world.outstanding = 0;
	world.dropping = world.dev && rmnic_dev_fault(world.dev)->cqe_kind == RMNIC_FAULT_CQE_DROP;
}

static bool discard(void *owner, uint64_t offset, uint64_t len)
{
	(void)owner;
	CHECK(offset + len <= PAGES * 4096);
	memset(blocks.pages + offset, 0xdd, len);
	return true;
}

/* --- The store's side ------------------------------------------------------------------------ */

static void check_op(const struct rmnic_page_op *op)
{
	const uint8_t *data = op->data;

	CHECK(op->rpn < world.capacity);
	CHECK(data >= world.host.device && data <= world.host.device + FAKE_SIZE - 4096);
	CHECK((uintptr_t)data % 4096 == 0);
}

static uint16_t shim_out(struct rmnic_store *store, struct rmnic_page_op *op)
{
	uint16_t status;

	(void)store;
	check_op(op);
	memcpy(shim.before, op->data, 4096);
	status = world.local->ops->page_out(world.local, op);
	if (status == RMNIC_SC_OK)
		memcpy(shim.model[op->rpn], shim.before, 4096);
	return status;
}

static uint16_t shim_in(struct rmnic_store *store, struct rmnic_page_op *op)
{
	uint16_t status;

	(void)store;
	check_op(op);
	status = world.local->ops->page_in(world.local, op);
	CHECK(status == RMNIC_SC_OK);
	CHECK(!memcmp(op->data, shim.model[op->rpn], 4096));
	return status;
}

static void model_zero(uint64_t rpn, uint32_t n)
{
	CHECK(n && rpn < world.capacity && n <= world.capacity - rpn);
	memset(shim.model[rpn], 0, n * 4096ull);
}

static uint16_t shim_free(struct rmnic_store *store, uint64_t rpn, uint32_t n)
{
	(void)store;
	model_zero(rpn, n);
	return world.local->ops->free(world.local, rpn, n);
}

static uint16_t shim_zero(struct rmnic_store *store, uint64_t rpn, uint32_t n)
{
	(void)store;
	model_zero(rpn, n);
	return world.local->ops->zero(world.local, rpn, n);
}

static uint16_t shim_flush(struct rmnic_store *store)
{
	(void)store;
	return world.local->ops->flush(world.local);
}

static bool shim_idle(struct rmnic_store *store)
{
	(void)store;
	return world.local->ops->idle(world.local);
}

static void shim_counters(const struct rmnic_store *store, struct rmnic_store_counters *out)
{
	(void)store;
	world.local->ops->counters(world.local, out);
}

static const struct rmnic_store_ops shim_ops = {
	.page_out = shim_out,
	.page_in = shim_in,
	.free = shim_free,
	.zero = shim_zero,
	.flush = shim_flush,
	.idle = shim_idle,
	.counters = shim_counters,
};

/* The store's tables take long to set up, so one store serves all inputs. */
void world_setup(void)
{
	static const uint8_t uuid[16] = "fuzz";

	blocks = (struct rmnic_local_blocks){
		.pages = aligned_alloc(4096, PAGES * 4096),
		.meta = calloc(PAGES, sizeof(struct rmnic_meta)),
		.npages = PAGES,
		.granule = 8192,
		.discard = discard,
	};
	CHECK(blocks.pages && blocks.meta);
	world.local = rmnic_store_local_create(&blocks, uuid);
	CHECK(world.local);
	fake_init(&world.host);
	ops = fake_ops;
	ops.fetched = count_fetched;
	ops.completed = count_completed;
}

void world_begin(bool use_slow)
{
	struct rmnic_dev_config config = {
		.ops = &ops,
		.host = &world.host,
		.max_qpairs = PAIRS - 1,
		.max_depth = DEPTH,
		.vectors = 3,
		.slab_pages = 8,
		.capacity = CAPACITY,
		.max_capacity = PAGES,
		.features = RMNIC_F_COALESCE | RMNIC_F_CAPACITY_EV,
		.serial = "fuzz",
	};
	uint8_t *ram = world.host.ram, *device = world.host.device, *dirty = world.host.dirty;

	memset(blocks.meta, 0, PAGES * sizeof(struct rmnic_meta));
	rmnic_store_local_reload(world.local);
	shim.store.ops = &shim_ops;
	world.capacity = CAPACITY;
	memset(shim.model, 0, sizeof(shim.model));
	slow_init(&world.slow);
	world.host = (struct fake){
		.ram = ram, .device = device, .dirty = dirty, .tick = 1, .hook = hook
	};
	memset(ram, 0, 72 * 4096);
	world.mutate_after = 0;
	config.store = use_slow ? &world.slow.store : &shim.store;
	world.dev = rmnic_dev_create(&config);
	CHECK(world.dev);
	world_check_off();
}

void world_check(void)
{
	if (world.host.fatals) {
		CHECK(world.host.fatal_error == RMNIC_ERR_BAD_SQ_TAIL ||
		      world.host.fatal_error == RMNIC_ERR_BAD_CQ_HEAD);
		world_check_off();
		world.host.fatals = 0;
	}
	CHECK(world.host.bad_calls == 0);
	if (!world.dropping && rmnic_dev_quiet(world.dev))
		CHECK(world.outstanding == 0);
}
