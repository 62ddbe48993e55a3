/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A spill file's input and output, in the device's worker, by io_uring. Entries are told to the kernel
 * once a round, all of them together; their ends are fetched in the same call and wake a worker
 * that sleeps.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/spill_internal.h"

#define ENTRIES   512
#define IN_FLIGHT 2048 /* as many ends as the kernel has room for */
#define FULL_NS   UINT64_C(10000000000)

/* What an end is of, when it is not of a struct rmnic_spill_io. */
static char hold_tag, punch_tag;

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

int rmnic_spill_ring_error(struct rmnic_error *err, int error)
{
	if (error == EPERM || error == ENOSYS || error == EACCES)
		return rmnic_error_set(err, "spill_dir: io_uring is not allowed here (%s): set "
				       "kernel.io_uring_disabled=0, or have the container's seccomp "
				       "profile allow io_uring_setup, io_uring_enter and "
				       "io_uring_register, or do without spill_dir", strerror(error));
	return rmnic_error_set(err, "spill_dir: io_uring: %s", strerror(error));
}

int rmnic_spill_io_open(struct rmnic_spill *s, struct rmnic_error *err)
{
	struct io_uring_params params = { .flags = IORING_SETUP_CQSIZE, .cq_entries = IN_FLIGHT };
	int ret;

	s->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->event < 0)
		return rmnic_error_set(err, "an eventfd for the spill file: %s", strerror(errno));
	ret = io_uring_queue_init_params(ENTRIES, &s->ring, &params);
	if (ret)
		return rmnic_spill_ring_error(err, -ret);
	s->ring_open = true;
	ret = io_uring_register_eventfd(&s->ring, s->event);
	return ret ? rmnic_spill_ring_error(err, -ret) : 0;
}

void rmnic_spill_io_close(struct rmnic_spill *s)
{
	if (s->ring_open)
		io_uring_queue_exit(&s->ring);
	if (s->event >= 0)
		close(s->event);
}

/* --- Entries -------------------------------------------------------------------------------------- */

/* NULL: too many are under way. */
static struct io_uring_sqe *entry(struct rmnic_spill *s)
{
	struct io_uring_sqe *sqe;

	if (s->pending >= IN_FLIGHT)
		return NULL;
	sqe = io_uring_get_sqe(&s->ring);
	if (!sqe) {
		int sent = io_uring_submit(&s->ring);

		s->unsent -= sent > 0 ? (uint32_t)sent : 0;
		sqe = io_uring_get_sqe(&s->ring);
	}
	if (sqe) {
		s->unsent++;
		s->pending++;
	}
	return sqe;
}

static void prepare(struct rmnic_spill *s, struct io_uring_sqe *sqe, struct rmnic_spill_io *io)
{
	if (io->write)
		io_uring_prep_write(sqe, s->fd, io->data, sizeof(*io->data),
				    rmnic_spill_offset(io->place));
	else
		io_uring_prep_read(sqe, s->fd, io->data, sizeof(*io->data),
				   rmnic_spill_offset(io->place));
	io_uring_sqe_set_data(sqe, io);
}

static bool file_submit(void *arg, struct rmnic_spill_io *io)
{
	struct rmnic_spill *s = to_spill(arg);
	struct io_uring_sqe *sqe;

	if (io->place >= s->places)
		return false;
	sqe = entry(s);
	if (!sqe)
		return false;
	prepare(s, sqe, io);
	return true;
}

static void io_ended(struct rmnic_spill *s, struct rmnic_spill_io *io, int res)
{
	uint32_t bytes = res > 0 ? (uint32_t)res : 0;
	struct io_uring_sqe *sqe;

	if ((res == -EAGAIN || res == -EINTR) && (sqe = entry(s)) != NULL) {
		prepare(s, sqe, io);
		return;
	}
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
	struct io_uring_sqe *sqe;

	if (s->punching) /* it may be this range */
		return RMNIC_SPILL_WAIT;
	if (now_ns() < atomic_load(&s->pool->full_until) || !pool_take(s->pool, n))
		return RMNIC_SPILL_NONE;
	s->held += n;
	sqe = entry(s);
	if (!sqe) {
		give_back(s, n);
		return RMNIC_SPILL_NONE;
	}
	io_uring_prep_fallocate(sqe, s->fd, 0, (off_t)rmnic_spill_offset(first),
				(off_t)(n * sizeof(struct rmnic_spill_place)));
	io_uring_sqe_set_data(sqe, &hold_tag);
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

/* If the kernel cannot be asked now, the room stays the file's: it is given back when it is closed. */
static void file_release(void *arg, uint64_t first, uint64_t n)
{
	struct rmnic_spill *s = to_spill(arg);
	struct io_uring_sqe *sqe = entry(s);

	if (!sqe)
		return;
	io_uring_prep_fallocate(sqe, s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)rmnic_spill_offset(first),
				(off_t)(n * sizeof(struct rmnic_spill_place)));
	io_uring_sqe_set_data(sqe, &punch_tag);
	s->punching++;
	give_back(s, n);
}

/* --- A round -------------------------------------------------------------------------------------- */

static void ended(struct rmnic_spill *s, void *data, int res)
{
	s->pending--;
	if (data == &hold_tag) {
		range_ended(s, res);
	} else if (data == &punch_tag) {
		s->punching--;
		s->counters.errors += res != 0;
	} else {
		io_ended(s, data, res);
	}
}

static bool file_poll(void *arg)
{
	struct rmnic_spill *s = to_spill(arg);
	struct io_uring_cqe *cqe;
	bool work = false;

	if (!s->pending)
		return false;
	if (s->unsent) {
		int sent = io_uring_submit(&s->ring);

		s->unsent -= sent > 0 ? (uint32_t)sent : 0;
		work = s->unsent != 0; /* the kernel is short of something: again, at once */
	}
	/* As many as there are now: what done() begins is for the next round. */
	for (unsigned int n = io_uring_cq_ready(&s->ring); n; n--) {
		void *data;
		int res;

		if (io_uring_peek_cqe(&s->ring, &cqe))
			break;
		data = io_uring_cqe_get_data(cqe);
		res = cqe->res;
		io_uring_cqe_seen(&s->ring, cqe);
		ended(s, data, res);
		work = true;
	}
	return work;
}

const struct rmnic_spill_ops rmnic_spill_file_ops = {
	.id = file_id,
	.room = file_room,
	.hold = file_hold,
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
