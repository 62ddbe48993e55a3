/* SPDX-License-Identifier: BSD-3-Clause */
/* What the engine asks of a spill file, in the device's worker. */
#include <errno.h>
#include <time.h>

#include "daemon/spill_internal.h"

#define FULL_NS UINT64_C(10000000000)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct rmnic_spill *to_spill(void *arg)
{
	return arg;
}

int rmnic_spill_io_open(struct rmnic_spill *s, struct rmnic_error *err)
{
	return s->pool->threads ? rmnic_spill_thread_open(s, err) : rmnic_spill_ring_open(s, err);
}

void rmnic_spill_io_close(struct rmnic_spill *s)
{
	if (s->thread)
		rmnic_spill_thread_close(s);
	else
		rmnic_spill_ring_close(s);
}

/* --- Pages ---------------------------------------------------------------------------------------- */

/* False: too many are under way. */
static bool begin(struct rmnic_spill *s, enum rmnic_spill_what what, struct rmnic_spill_io *io,
		  uint64_t place, uint64_t n)
{
	const struct rmnic_spill_job job = {
		.what = what,
		.io = io,
		.offset = rmnic_spill_offset(place),
		.len = n * sizeof(struct rmnic_spill_place),
	};

	if (s->pending == RMNIC_SPILL_IN_FLIGHT)
		return false;
	if (!(s->thread ? rmnic_spill_thread_begin(s, &job) : rmnic_spill_ring_begin(s, &job)))
		return false;
	s->pending++;
	return true;
}

static bool file_submit(void *arg, struct rmnic_spill_io *io)
{
	struct rmnic_spill *s = to_spill(arg);

	return io->place < s->places &&
	       begin(s, io->write ? RMNIC_SPILL_WRITE : RMNIC_SPILL_READ, io, io->place, 1);
}

static void io_ended(struct rmnic_spill *s, struct rmnic_spill_io *io, int res)
{
	uint32_t bytes = res > 0 ? (uint32_t)res : 0;

	if ((res == -EAGAIN || res == -EINTR) && file_submit(s, io))
		return;
	s->counters.writes += io->write;
	s->counters.reads += !io->write;
	if (res < 0) {
		s->counters.errors++;
		s->counters.error = -res;
	} else {
		s->counters.shorts += bytes != sizeof(*io->data);
	}
	io->done(io, bytes);
}

/* --- Room ----------------------------------------------------------------------------------------- */

/* Takes n places of what all files may have. */
static bool pool_take(struct rmnic_spill_pool *p, uint64_t n)
{
	uint64_t held = atomic_load(&p->held);

	do {
		if (held + n > p->limit)
			return false;
	} while (!atomic_compare_exchange_weak(&p->held, &held, held + n));
	return true;
}

static void give_back(struct rmnic_spill *s, uint64_t n)
{
	atomic_fetch_sub(&s->pool->held, n);
	s->held -= n;
}

static void range_ended(struct rmnic_spill *s, int res)
{
	s->range = res ? RMNIC_SPILL_RANGE_FAILED : RMNIC_SPILL_RANGE_OK;
	if (!res)
		return;
	s->counters.errors++;
	s->counters.error = -res;
	give_back(s, s->n);
	atomic_store(&s->pool->full_until, now_ns() + FULL_NS);
}

static uint64_t file_id(void *arg)
{
	return to_spill(arg)->id;
}

static uint64_t file_room(void *arg)
{
	const struct rmnic_spill_pool *p = to_spill(arg)->pool;
	uint64_t held = atomic_load(&p->held);

	if (now_ns() < atomic_load(&p->full_until))
		return 0;
	return p->limit > held ? p->limit - held : 0;
}

static enum rmnic_spill_hold range_start(struct rmnic_spill *s, uint64_t first, uint64_t n)
{
	if (s->punching) /* it may be this range */
		return RMNIC_SPILL_WAIT;
	if (now_ns() < atomic_load(&s->pool->full_until) || !pool_take(s->pool, n))
		return RMNIC_SPILL_NONE;
	s->held += n;
	if (!begin(s, RMNIC_SPILL_ROOM, NULL, first, n)) {
		give_back(s, n);
		return RMNIC_SPILL_NONE;
	}
	s->range = RMNIC_SPILL_RANGE_RUNS;
	s->first = first;
	s->n = n;
	return RMNIC_SPILL_WAIT;
}

static enum rmnic_spill_hold file_hold(void *arg, uint64_t first, uint64_t n)
{
	struct rmnic_spill *s = to_spill(arg);
	enum rmnic_spill_range range = s->range;

	if (range == RMNIC_SPILL_RANGE_NONE)
		return range_start(s, first, n);
	if (range == RMNIC_SPILL_RANGE_RUNS || s->first != first)
		return RMNIC_SPILL_WAIT;
	s->range = RMNIC_SPILL_RANGE_NONE;
	return range == RMNIC_SPILL_RANGE_OK ? RMNIC_SPILL_HELD : RMNIC_SPILL_NONE;
}

static bool file_kept(void *arg, uint64_t first, uint64_t n)
{
	const struct rmnic_spill *s = to_spill(arg);

	(void)n; /* a slab's */
	return s->kept && s->kept[first / s->slab_pages];
}

/* If the kernel cannot be asked now, the room stays the file's: it is given back when it is closed. */
static void file_release(void *arg, uint64_t first, uint64_t n)
{
	struct rmnic_spill *s = to_spill(arg);

	if (!begin(s, RMNIC_SPILL_PUNCH, NULL, first, n))
		return;
	s->punching++;
	give_back(s, n);
}

/* --- A round -------------------------------------------------------------------------------------- */

void rmnic_spill_ended(struct rmnic_spill *s, enum rmnic_spill_what what, struct rmnic_spill_io *io,
		       int res)
{
	s->pending--;
	if (what == RMNIC_SPILL_ROOM) {
		range_ended(s, res);
	} else if (what == RMNIC_SPILL_PUNCH) {
		s->punching--;
		s->counters.errors += res != 0;
	} else {
		io_ended(s, io, res);
	}
}

static bool file_poll(void *arg)
{
	struct rmnic_spill *s = to_spill(arg);

	if (!s->pending)
		return false;
	return s->thread ? rmnic_spill_thread_collect(s) : rmnic_spill_ring_collect(s);
}

const struct rmnic_spill_ops rmnic_spill_file_ops = {
	.id = file_id,
	.room = file_room,
	.hold = file_hold,
	.kept = file_kept,
	.release = file_release,
	.submit = file_submit,
	.poll = file_poll,
};

int rmnic_spill_event(const struct rmnic_spill *s)
{
	return s->event;
}

bool rmnic_spill_idle(const struct rmnic_spill *s)
{
	return !s->pending;
}

const struct rmnic_spill_counters *rmnic_spill_counters(const struct rmnic_spill *s)
{
	return &s->counters;
}
